package autoscaling

import (
	"slices"
	"testing"
	"time"
)

// tallied holds the tallies against their dumb twins: what the members' rows add up to, counted anew.
func tallied(t *testing.T, w *world) {
	t.Helper()
	type twin struct {
		phases    [phaseDetaching + 1]int
		sick      int
		rebalance int
		warming   int
		measured  [2]int
		crew      []string
		zones     map[string]zoneTally
	}
	const warmup = 90 * time.Second
	began := w.now.Truncate(time.Minute)
	twins := map[string]*twin{}
	for key, m := range w.s.members.Everywhere() {
		x := twins[key.Scope.String()+"/"+m.Group]
		if x == nil {
			x = &twin{zones: map[string]zoneTally{}}
			twins[key.Scope.String()+"/"+m.Group] = x
		}
		p, z := m.phase(), x.zones[m.AvailabilityZone]
		x.phases[p]++
		x.crew = append(x.crew, m.ID)
		z.zone, z.members = m.AvailabilityZone, z.members+1
		if p == phasePending || p == phaseInService {
			z.n++
		}
		if p == phaseInService && !m.Protected {
			z.free++
		}
		if p == phaseTerminating {
			z.leaving++
		}
		x.zones[m.AvailabilityZone] = z
		if m.Rebalance {
			x.rebalance++
		}
		if p == phaseInService && m.HealthStatus != healthy {
			x.sick++
		}
		if p == phaseInService && m.InServiceAt.Add(warmup).After(w.now) {
			x.warming++
		}
		if m.contributes(began, warmup) {
			x.measured[stay{detailed: m.Detailed}.kind()]++
		}
	}
	if len(w.s.tallies) != len(twins) {
		t.Errorf("%d tallies of %d groups with members", len(w.s.tallies), len(twins))
	}
	for name, x := range twins {
		y := w.s.tallies[name]
		if y == nil {
			t.Fatalf("%s has no tally", name)
		}
		var crew []string
		for _, m := range y.crew {
			crew = append(crew, m.ID)
		}
		if y.phases != x.phases || y.sick != x.sick || y.rebalance != x.rebalance || !slices.Equal(crew, x.crew) {
			t.Errorf("%s: %v %d %d %v, want %v %d %d %v", name, y.phases, y.sick, y.rebalance, crew, x.phases, x.sick, x.rebalance, x.crew)
		}
		for _, z := range y.zones {
			if z != x.zones[z.zone] {
				t.Errorf("%s: zone %+v, want %+v", name, z, x.zones[z.zone])
			}
		}
		warming := 0
		y.after(w.now.Add(-warmup), func(_ time.Time, x stay) {
			if !x.leaving {
				warming++
			}
		})
		if measured := y.contributing(began, warmup); len(y.zones) != len(x.zones) || warming != x.warming || measured != x.measured {
			t.Errorf("%s: %d zones, %d warming, %v measured; want %d, %d, %v", name, len(y.zones), warming, measured, len(x.zones), x.warming, x.measured)
		}
	}
}
