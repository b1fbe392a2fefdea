package balancer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// three is a pool of three targets with these requests in flight.
func three(inFlight ...int64) []member {
	var all []member
	for i, n := range inFlight {
		t := &target{key: targetKey{id: string(rune('a' + i))}}
		t.load.Store(n)
		all = append(all, member{target: t})
	}
	return all
}

func picks(p policy, members []member, n int) (s string) {
	for range n {
		s += p.pick(members).target.key.id
	}
	return s
}

func TestRoundRobin(t *testing.T) { // LB-RT-01
	p := newPolicy("")
	if got := picks(p, three(0, 9, 0), 7); got != "abcabca" {
		t.Error(got)
	}
	if got := picks(p, three(0, 0), 3); got != "bab" {
		t.Errorf("after one has left: %s", got)
	}
}

func TestLeastOutstandingRequests(t *testing.T) { // LB-RT-02
	p := newPolicy(AlgorithmLeastOutstandingRequests)
	if got := picks(p, three(2, 1, 3), 4); got != "bbbb" {
		t.Error(got)
	}
	if got := picks(p, three(1, 5, 1), 4); got != "acac" && got != "caca" && got != "aaca" && got != "ccac" {
		t.Errorf("ties: %s", got)
	}
	if got := picks(newPolicy(AlgorithmLeastOutstandingRequests), three(0, 0, 0), 6); got != "abcabc" {
		t.Errorf("idle targets take turns: %s", got)
	}
}

func TestWeightedRandom(t *testing.T) { // LB-RT-03
	p := weightedRandom{intN: rand.New(rand.NewPCG(1, 2)).IntN}
	n := map[rune]int{}
	for _, c := range picks(p, three(0, 0, 0), 3000) {
		n[c]++
	}
	for c, k := range n {
		if k < 900 || k > 1100 {
			t.Errorf("%c: %d of 3000", c, k)
		}
	}
}

func TestWeights(t *testing.T) { // LB-RU-03
	for _, weights := range [][]int{{1}, {80, 20}, {1, 1, 1}, {999, 1, 0}, {0, 0, 5}, {3, 5, 7, 11, 13}} {
		var branches []branch
		total := 0
		for _, w := range weights {
			branches = append(branches, branch{weight: w})
			total += w
		}
		for _, requests := range []uint64{100, 10000} {
			n := make([]int, len(weights))
			for turn := range requests {
				for i := range branches {
					if pickBranch(branches, total, turn+1) == &branches[i] {
						n[i]++
					}
				}
			}
			for i, w := range weights {
				want := float64(requests) * float64(w) / float64(total)
				if math.Abs(float64(n[i])-want) > 4 || w == 0 && n[i] > 0 {
					t.Errorf("weights %v: branch %d got %d of %d", weights, i, n[i], requests)
				}
			}
		}
	}
}

// A target group without healthy targets keeps its share (LB-RU-04).
func TestWeightedForward(t *testing.T) {
	c := config(named(t, "a"))
	c.TargetGroups = append(c.TargetGroups, TargetGroup{ID: "h"})
	c.LoadBalancers[0].Listeners[0].Forward = []WeightedTargetGroup{{"g", 1}, {"h", 1}}
	r := newRig(t, Options{})
	r.apply(t, c)
	n := map[int]int{}
	for range 20 {
		status, _, _ := get(t, "http://"+r.addr("lb", "l"))
		n[status]++
	}
	if n[200] < 9 || n[200] > 11 || n[200]+n[503] != 20 {
		t.Error(n)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	if d := h.take(); d.Count != 0 || d.Min != 0 || d.Max != 0 || len(d.Values) != 0 {
		t.Errorf("empty: %+v", d)
	}
	r := rand.New(rand.NewPCG(3, 4))
	sum := 0.0
	for range 10000 {
		d := time.Duration(math.Exp(r.Float64()*20) * 100)
		sum += d.Seconds()
		h.add(d)
	}
	d := h.take()
	if d.Count != 10000 || math.Abs(d.Sum-sum) > 1e-6*sum || d.Min < 100e-9 || d.Max <= d.Min {
		t.Errorf("%d, %g of %g, %g to %g", d.Count, d.Sum, sum, d.Min, d.Max)
	}
	weighted, last := 0.0, -1.0
	for i, v := range d.Values {
		if v <= last || v < d.Min || v > d.Max {
			t.Errorf("value %d: %g after %g", i, v, last)
		}
		last = v
		weighted += v * d.Counts[i]
	}
	if math.Abs(weighted-sum) > 0.05*sum {
		t.Errorf("the buckets say %g, not %g", weighted, sum)
	}
	for _, ns := range []int64{-1, 0, 1, 7, 8, 9, 15, 16, 1000, 1e6, 1e9, 1e12, math.MaxInt64} {
		i := bucketOf(ns)
		if m := middle(i); ns >= 0 && ns < 1<<39 && math.Abs(m-float64(ns)) > 0.0625*float64(ns)+0.5 {
			t.Errorf("%d ns is in bucket %d, of %g", ns, i, m)
		}
	}
	h.add(0)
	if d := h.take(); d.Count != 1 || fmt.Sprint(d.Values) != "[0]" {
		t.Errorf("zero: %+v", d)
	}
}

// Weak twin: requests and drains from many goroutines never meet on a closed target.
func TestAcquireAgainstDrain(t *testing.T) {
	b := New(Options{})
	defer b.Close(t.Context())
	tg := &target{b: b}
	tg.follow(&Target{State: StateHealthy})
	var acquired atomic.Int64
	var stop atomic.Bool
	var requests sync.WaitGroup
	for range 2 {
		requests.Go(func() {
			for !stop.Load() {
				if tg.acquire() {
					acquired.Add(1)
					tg.release()
				}
			}
		})
	}
	// On a busy machine the two sides may not meet for a while: it goes on until they have.
	for i := 0; i < 2000 || acquired.Load() < 100 && i < 10_000_000; i++ {
		tg.follow(&Target{State: StateDraining})
		tg.follow(&Target{State: StateHealthy})
	}
	stop.Store(true)
	requests.Wait()
	if acquired.Load() < 100 {
		t.Errorf("acquired %d times", acquired.Load())
	}
	if n := tg.inFlight(); n != 0 || !tg.acquire() {
		t.Errorf("%d in flight at the end, or stuck", n)
	}
}
