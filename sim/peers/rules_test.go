package peers

import (
	"testing"
	"time"
)

// pods is what an HPA sees of a settled group.
func pods(at, n int, utilization float64) Seen {
	return Seen{At: time.Duration(at) * time.Second, Desired: n, Min: 1, Max: 100, Alive: n, Ready: n, Known: true, Utilization: utilization}
}

// PE-K8-01: desired = ceil(pods * ratio), nothing within 10 % of the target. The documented examples: 200m for a target of
// 100m doubles, 50m halves.
func TestHPARatio(t *testing.T) {
	for _, c := range []struct {
		n           int
		utilization float64
		want        int
	}{
		{3, 100, 6}, {4, 25, 2}, {10, 50, 10}, {10, 55, 10}, {10, 45, 10}, {10, 55.1, 12}, {10, 44.9, 9}, {7, 71, 10}, {1, 1, 1},
		{3, 66.666666666666667, 4}, // exactly 4, not 5 by the noise of floating point
	} {
		s := pods(0, c.n, c.utilization)
		h := NewKubernetesHPA(50)
		h.behaviour.downWindow = 0
		if n, _ := h.Desired(s); n != c.want {
			t.Errorf("%d pods at %v %%: %d, want %d", c.n, c.utilization, n, c.want)
		}
	}
}

// PE-K8-03: pods that are not ready yet count 0 % when the others say to scale up; if that brings the ratio within the
// tolerance or turns it round, nothing is done. They are left out when the others say to scale down.
func TestHPANotReady(t *testing.T) {
	for _, c := range []struct {
		ready, fresh, booting int
		utilization           float64
		want                  int
	}{
		{4, 0, 0, 75, 6},  // 1.5 * 4
		{4, 0, 4, 75, 8},  // 1.5 * 4/8 = 0.75: turned round
		{4, 0, 1, 75, 6},  // 1.5 * 4/5 = 1.2: 6
		{4, 0, 2, 80, 6},  // 1.6 * 4/6 = 1.07: within the tolerance
		{6, 2, 0, 75, 6},  // fresh ones as well: 1.5 * 4/6 = 1
		{4, 0, 2, 100, 8}, // 2 * 4/6 = 1.33: 8
		{4, 4, 0, 100, 4}, // nobody has a sample
		{4, 0, 4, 25, 2},  // 0.5 of the 4 that are ready
	} {
		n := c.ready + c.booting
		s := Seen{Desired: n, Min: 1, Max: 100, Alive: n, Ready: c.ready, Fresh: c.fresh, Known: true, Utilization: c.utilization}
		h := NewKubernetesHPA(50)
		h.behaviour.downWindow = 0
		if got, _ := h.Desired(s); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	h := NewKubernetesHPA(50)
	if n, _ := h.Desired(Seen{Desired: 5, Alive: 5, Ready: 5}); n != 5 {
		t.Errorf("%d without metrics", n)
	}
	if n, _ := h.Desired(Seen{Known: true, Utilization: 100}); n != 0 {
		t.Errorf("%d from zero: an HPA is disabled there", n)
	}
}

// PE-K8-04: up at once, by at most 100 % or 4 pods in 15 s, whichever is more; down to the highest recommendation of the
// last 300 s.
func TestHPABehaviour(t *testing.T) {
	h := NewKubernetesHPA(10)
	n := 1
	for i, want := range []int{5, 10, 20, 40, 80, 100, 100} {
		if n, _ = h.Desired(pods(15*i, n, 100)); n != want {
			t.Fatalf("step %d up: %d, want %d", i, n, want)
		}
	}
	h = NewKubernetesHPA(50)
	n = 10
	for _, c := range []struct {
		at          int
		utilization float64
		want        int
	}{
		{0, 50, 10}, {15, 25, 10}, {30, 40, 10}, {285, 25, 10}, {300, 25, 8}, {315, 20, 8}, {330, 20, 5},
	} {
		s := pods(c.at, 10, c.utilization)
		s.Desired = n
		if n, _ = h.Desired(s); n != c.want {
			t.Errorf("at %d s: %d, want %d", c.at, n, c.want)
		}
	}
}

// PE-KE-01: 0 to 1 by activity at the poll of 30 s, to 0 after 300 s without; 1 to N by ceil(total / target), 10 % of
// tolerance, and the HPA's windows.
func TestKEDA(t *testing.T) {
	k := NewKEDA(10)
	n := 0
	for _, c := range []struct {
		at   int
		rate float64
		want int
	}{
		{0, 0, 0}, {15, 5, 0}, {30, 5, 1}, {45, 5, 1}, {60, 34, 4}, {75, 37, 4}, {90, 45, 5}, {105, 5, 5},
		{390, 5, 1}, // 300 s after the recommendation of 5 at 90 s
		{405, 0, 1}, {420, 0, 1}, {675, 0, 1}, {690, 0, 0}, {705, 0, 0},
	} {
		s := Seen{At: time.Duration(c.at) * time.Second, Desired: n, Max: 100, Alive: n, Ready: n, Known: true, Rate: c.rate}
		if n, _ = k.Desired(s); n != c.want {
			t.Fatalf("at %d s: %d, want %d", c.at, n, c.want)
		}
	}
	k = NewKEDA(10)
	for at := 0; at < 3600; at += 15 {
		if n, _ := k.Desired(Seen{At: time.Duration(at) * time.Second, Desired: 2, Min: 2, Max: 9, Known: true}); n != 2 {
			t.Fatalf("%d with a smallest size of 2", n)
		}
	}
}

// PE-NO-01: ceil(count * factor), nothing within 1 %, 5 min of cooldown after an action, limits of a step.
func TestNomad(t *testing.T) {
	// The documented example: 80 % for a target of 70 with 10 makes 12.
	n := NewNomad(70)
	if got, _ := n.Desired(pods(0, 10, 80)); got != 12 {
		t.Errorf("%d, want 12", got)
	}
	n = NewNomad(50)
	count := 10
	for _, c := range []struct {
		at          int
		utilization float64
		want        int
	}{
		{0, 50.5, 10}, {10, 49.5, 10}, {20, 50.6, 11}, {30, 100, 11}, {310, 100, 11}, {320, 100, 22}, {330, 5, 22}, {620, 5, 3},
	} {
		if count, _ = n.Desired(pods(c.at, count, c.utilization)); count != c.want {
			t.Fatalf("at %d s: %d, want %d", c.at, count, c.want)
		}
	}
	n = NewNomad(50)
	n.MaxUp, n.MaxDown, n.Cooldown = 2, 3, 0
	if got, _ := n.Desired(pods(0, 10, 100)); got != 12 {
		t.Errorf("%d, want 2 more", got)
	}
	if got, _ := n.Desired(pods(10, 10, 5)); got != 7 {
		t.Errorf("%d, want 3 fewer", got)
	}
	if got, _ := NewNomad(50).Desired(Seen{Known: true, Utilization: 120, Max: 9}); got != 3 {
		t.Errorf("%d from zero, want ceil(factor)", got)
	}
}

// PE-GC-01: ceil(load / target) at once up, without new instances; down to the peak of the last 10 minutes.
func TestGoogleMIG(t *testing.T) {
	g := NewGoogleMIG(60)
	n := 5
	for _, c := range []struct {
		at, young   int
		utilization float64
		want        int
	}{
		{0, 0, 60, 5}, {15, 0, 90, 8}, // 4.5 / 0.6 = 7.5
		{30, 3, 56, 8},                                   // 8 * 0.56 / 0.6 = 7.5 with the new ones
		{60, 0, 30, 8}, {600, 0, 15, 8}, {615, 0, 15, 8}, // 8 was recommended at 30 s for the last time
		{630, 0, 15, 4}, // the peak is now what 60 s had said
		{660, 0, 15, 2}, // 8 * 0.15 / 0.6 = 2
	} {
		s := Seen{At: time.Duration(c.at) * time.Second, Desired: n, Min: 1, Max: 100, Alive: n, Ready: n, Young: c.young, Known: true, Utilization: c.utilization}
		if c.at == 660 {
			s.Alive, s.Ready = 8, 8
		}
		if n, _ = g.Desired(s); n != c.want {
			t.Fatalf("at %d s: %d, want %d", c.at, n, c.want)
		}
	}
	// New instances are left out of a decision for more: 4 old and 4 new at 90 %.
	g = NewGoogleMIG(60)
	s := pods(0, 8, 90)
	s.Young = 4
	if n, _ := g.Desired(s); n != 8 {
		t.Errorf("%d: 4 * 0.9 / 0.6 = 6 is no reason for more than 8", n)
	}
}

// PE-GC-02: with scale-in controls of 2 in 10 minutes, the size is at least the peak size of 10 minutes less 2.
func TestGoogleScaleInControls(t *testing.T) {
	g := NewGoogleMIG(60)
	g.MaxScaledIn, g.ScaledInWindow = 2, 10*time.Minute
	n, last, lastAt := 10, 10, 0
	for at := 0; at <= 3*3600; at += 15 {
		n, _ = g.Desired(pods(at, n, 6))
		if n != last {
			if last-n != 2 && n != 1 || lastAt > 0 && at-lastAt < 600 {
				t.Errorf("from %d to %d at %d s, %d s after the one before", last, n, at, at-lastAt)
			}
			last, lastAt = n, at
		}
	}
	if n != 1 {
		t.Errorf("%d at the end", n)
	}
}

// PE-GC-03: after three days of the same peak, the size for it is there before it comes.
func TestGooglePredictive(t *testing.T) {
	g := NewGoogleMIG(50)
	g.Predictive, g.Initialization = true, 5*time.Minute
	const day = 24 * 60
	n := 4
	for minute := 0; minute < 4*day; minute++ {
		used := 2.0
		if m := minute % day; m >= 600 && m < 660 {
			used = 10
		}
		s := pods(60*minute, n, min(100, 100*used/float64(n)))
		n, _ = g.Desired(s)
		switch minute {
		case 2*day + 598:
			if n != 4 {
				t.Errorf("%d before the peak of day 3", n)
			}
		case 3*day + 590:
			if n != 4 {
				t.Errorf("%d long before the peak of day 4", n)
			}
		case 3*day + 598: // sees 603, when 10 were busy on all days
			if n != 20 {
				t.Errorf("%d just before the peak of day 4, want 20", n)
			}
		}
	}
}
