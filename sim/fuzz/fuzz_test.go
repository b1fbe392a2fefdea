package fuzz

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // many small clouds that live shortly
	os.Exit(m.Run())
}

// TestSeeds makes 300 runs, with -short 15: every invariant holds in all of them, and every operation that changes
// something has succeeded in one. BILLOW_FUZZ_SEEDS and BILLOW_FUZZ_FIRST make others.
func TestSeeds(t *testing.T) {
	number := func(name string, usual int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return usual
	}
	n := 300
	if testing.Short() {
		n = 15
	}
	n = number("BILLOW_FUZZ_SEEDS", n)
	var sum Summary
	Many(Options{Seed: uint64(number("BILLOW_FUZZ_FIRST", 0)), Steps: 200, Faults: AllFaults}, n, runtime.NumCPU(), func() bool { return len(sum.Broken) > number("BILLOW_FUZZ_MOST", 0) }, sum.Add)
	for _, x := range sum.Broken {
		t.Error(x.Explain())
	}
	calls := sum.Answered()
	t.Logf("%d runs, %d steps, %d inputs, %.0f virtual hours; %d calls succeeded, %d were refused; faults %v", sum.Runs, sum.Steps, sum.Inputs, sum.Hours, calls.Good, calls.Refused, sum.Injected)
	if never := sum.Never(); len(never) == 0 {
		t.Logf("each of the %d operations that change something has succeeded", len(Mutating()))
	} else if n >= 300 && !t.Failed() {
		t.Errorf("never succeeded: %s", strings.Join(never, " "))
	} else {
		t.Logf("never succeeded: %s", strings.Join(never, " "))
	}
}

// TestRunsAreReproducible: the same options give the same run, to the last byte.
func TestRunsAreReproducible(t *testing.T) {
	for seed := range uint64(3) {
		o := Options{Seed: seed, Steps: 60, Faults: AllFaults}
		if a, b := Run(o), Run(o); a.Trace != b.Trace || a.Inputs != b.Inputs {
			t.Errorf("seed %d: %d inputs, then %d; traces %x and %x", seed, a.Inputs, b.Inputs, a.Trace, b.Trace)
		}
	}
}
