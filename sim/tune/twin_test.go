package tune

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/twin"
	"github.com/billow-cloud/billow/sim/world"
)

// loads are what the twin is held to the engine with: a day each.
func loads() map[string]load.Trace {
	rng := rand.New(rand.NewPCG(7, 7))
	make := func(f func(minute int) float64) load.Trace {
		t := load.Trace{Start: time.Date(2026, 9, 28, 0, 0, 0, 0, time.UTC), Step: time.Minute}
		for m := range 1440 {
			t.Rates = append(t.Rates, max(0, f(m)))
		}
		return t
	}
	day := func(m int) float64 { return 0.5 - 0.5*math.Cos(2*math.Pi*float64(m)/1440) }
	walk := 900.0
	return map[string]load.Trace{
		"noise": make(func(m int) float64 { return (200 + 2000*day(m)) * (1 + 0.2*rng.NormFloat64()) }),
		"crowds": make(func(m int) float64 {
			if m%480 < 40 {
				return 3500
			}
			return 600
		}),
		"walk":  make(func(int) float64 { walk = max(100, walk*(1+0.03*rng.NormFloat64())); return walk }),
		"small": make(func(m int) float64 { return 30 + 150*day(m) }),
	}
}

func TestTheTwinDoesAsTheEngine(t *testing.T) {
	model := world.Default(100)
	ready, err := world.Prepare(model)
	if err != nil {
		t.Fatal(err)
	}
	candidates := map[string]Candidate{
		"default":   {Target: 50, Warmup: -1},
		"tt70":      {Target: 70, Warmup: 60},
		"steps":     {Warmup: 120, Out: Out{Threshold: 70, Periods: 1, Points: 1, Aim: 60, Surge: 60}, In: In{Threshold: 50, Periods: 5, Points: 5, Aim: 60, Most: 20}},
		"2 of 3":    {Warmup: 0, Out: Out{Threshold: 75, Periods: 3, Points: 2, Aim: 65, Surge: 100}, In: In{Threshold: 60, Periods: 3, Points: 3, Aim: 65, Most: 30}},
		"trend":     {Warmup: 120, Out: Out{Threshold: 75, Periods: 1, Points: 1, Aim: 60, Surge: 60, Trend: 3}, In: In{Threshold: 50, Periods: 5, Points: 5, Aim: 60, Most: 20}},
		"both":      {Target: 75, Warmup: 90, Out: Out{Threshold: 85, Periods: 1, Points: 1, Aim: 60, Surge: 100}},
		"out by tt": {Target: 65, NoIn: true, Warmup: 60, In: In{Threshold: 50, Periods: 2, Points: 2, Aim: 55, Most: 10}},
		"calendar":  {Target: 80, Warmup: 60, Calendar: Calendar{Kind: Daily, Share: 0.9, Use: 70, Lead: 10}},
	}
	for name, l := range loads() {
		n := &Needs{}
		n.add(l, 100)
		p := part{load: l, ready: ready, most: 200, start: max(1, int(l.Rates[0]/50)), needs: n}
		for what, c := range candidates {
			plan, err := c.Plan(p.most, p.start, n)
			if err != nil {
				t.Fatal(err)
			}
			got := twin.New(ready, 0).Run(plan, l, 0, nil)
			want, err := p.judge(what, &c, false)
			if err != nil {
				t.Fatal(err)
			}
			off := got.Hours()/want.Summary.InstanceHours - 1
			t.Logf("%-8s %-10s hours %8.2f %8.2f %+.3f%% share %.6f %.6f actions %d %d", name, what, got.Hours(), want.Summary.InstanceHours, 100*off, got.Share(), want.Summary.InTime, got.Actions, want.Summary.Actions)
			allowed := 1e-9 // they are the same, but for scheduled actions, which the engine already runs before the load begins
			if c.Calendar.Kind != "" {
				allowed = 0.02
			}
			if math.Abs(off) > allowed || math.Abs(got.Share()-want.Summary.InTime) > allowed {
				t.Errorf("%s under %s: %.1f hours and %.5f in time, the engine says %.1f and %.5f", what, name, got.Hours(), got.Share(), want.Summary.InstanceHours, want.Summary.InTime)
			}
		}
	}
}

// TestTheTwinLosesAZone: a third of the instances dies, and others are launched, as in the engine.
func TestTheTwinLosesAZone(t *testing.T) {
	model := world.Default(100)
	model.Failures.Events = []world.Event{{At: 6 * 3600, For: 1800, Kind: world.ZoneDown, Zone: "a"}, {At: 12 * 3600, Kind: world.Kill, Count: 3}}
	ready, err := world.Prepare(model)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []float64{50, 80} {
		l := loads()["walk"]
		p := part{load: l, ready: ready, most: 200, start: max(1, int(l.Rates[0]/50)), begin: l.Start}
		b := newBench([]part{p}, 1)
		c := Candidate{Target: target, Warmup: 60}
		got := b.try([]Candidate{c})[0]
		want, err := p.judge("", &c, false)
		if err != nil {
			t.Fatal(err)
		}
		late, wanted := got.late/b.total, 1-want.Summary.InTime
		t.Logf("target %.0f: hours %.2f %.2f, late %.6f %.6f", target, got.hours, want.Summary.InstanceHours, late, wanted)
		if math.Abs(got.hours/want.Summary.InstanceHours-1) > 0.01 || math.Abs(late-wanted) > 0.002 || target == 80 && late < 1e-4 {
			t.Errorf("target %.0f: %.2f hours and %.6f late, the engine says %.2f and %.6f", target, got.hours, late, want.Summary.InstanceHours, wanted)
		}
	}
}

func TestTheTwinAllocatesNothingAMinute(t *testing.T) {
	ready, err := world.Prepare(world.Default(100))
	if err != nil {
		t.Fatal(err)
	}
	l := loads()["noise"]
	c := Candidate{Target: 75, Warmup: 90, Out: Out{Threshold: 85, Periods: 1, Points: 1, Aim: 60, Surge: 100, Trend: 2}, In: In{Threshold: 50, Periods: 5, Points: 5, Aim: 60, Most: 20}}
	plan, err := c.Plan(200, 5, nil)
	if err != nil {
		t.Fatal(err)
	}
	tw := twin.New(ready, 0)
	run := func() { tw.Run(plan, l, 0, nil) }
	run()
	if n := testing.AllocsPerRun(3, run); n > 60 { // a few while data is missing at the beginning
		t.Errorf("a day takes %v allocations", n)
	}
}

func BenchmarkTwin(b *testing.B) {
	ready, err := world.Prepare(world.Default(100))
	if err != nil {
		b.Fatal(err)
	}
	l := loads()["noise"]
	c := tracking(50, 1)
	plan, err := c.Plan(200, 5, nil)
	if err != nil {
		b.Fatal(err)
	}
	tw := twin.New(ready, 0)
	for b.Loop() {
		tw.Run(plan, l, 0, nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(l.Rates)), "ns/minute")
}
