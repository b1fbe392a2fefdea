package fuzz

import (
	"os"
	"strconv"
	"testing"
	"time"
)

func TestOne(t *testing.T) {
	from, _ := strconv.Atoi(os.Getenv("FROM"))
	n, _ := strconv.Atoi(os.Getenv("N"))
	for seed := uint64(from); seed < uint64(from+n); seed++ {
		began := time.Now()
		x := Run(Options{Seed: seed, Steps: 250, Faults: AllFaults})
		t.Logf("%d: %d inputs, %v, %v, took %v", seed, x.Inputs, x.Virtual, x.Injected, time.Since(began))
		if x.Broken != nil {
			t.Errorf("seed %d step %d: %v", seed, x.Broken.Step, x.Broken)
			if n == 1 {
				for _, l := range x.Broken.Last {
					t.Log(l[:min(len(l), 700)])
				}
			}
		}
	}
}
