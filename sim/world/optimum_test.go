package world

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/sim/load"
)

// tried is a sequence of fleets: its instance-hours and the share in time.
type tried struct{ hours, inTime float64 }

// brute runs every sequence of fleets of at most most instances, changed at the slots, on the whole world (with backlog
// from slot to slot).
func brute(r *Ready, trace load.Trace, most int) (all []tried) {
	plan := make([]int, len(trace.Rates))
	w := r.World(trace, Options{})
	for {
		w.Reset(trace, Options{})
		for t, n := range plan {
			w.Begin(0, n-w.InService())
			w.Advance(time.Duration(t+1) * trace.Step)
		}
		s := w.Totals()
		all = append(all, tried{s.Instance / 3600, s.InTime / s.Arrived})
		i := 0
		for i < len(plan) && plan[i] == most {
			plan[i] = 0
			i++
		}
		if i == len(plan) {
			return all
		}
		plan[i]++
	}
}

// Nobody beats the bound, and the plan (without boots) is close to what every sequence tried out finds.
func TestOptimumAgainstBruteForce(t *testing.T) {
	m := Default(100)
	m.Boot, m.WarmUp = Spread{}, 0
	r, err := Prepare(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, rates := range [][]float64{
		{100, 250, 350, 250, 90, 20},
		{300, 300, 300, 300, 300, 300},
		{10, 380, 10, 380, 10, 380},
		{0, 0, 333, 333, 1, 0},
		{95, 195, 295, 195, 95, 195},
	} {
		trace := load.Trace{Start: start, Step: time.Minute, Rates: rates}
		all := brute(r, trace, 4)
		for _, inTime := range []float64{0.8, 0.95, 0.99, 0.9999} {
			fewest := math.Inf(1)
			for _, a := range all {
				if a.inTime >= inTime-1e-12 {
					fewest = min(fewest, a.hours)
				}
			}
			p, err := r.Optimum(trace, Aim{InTime: inTime})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v, %v: bound %.4f, fewest %.4f, plan %.4f %v (%.5f in time)", rates, inTime, p.Bound, fewest, p.Hours, p.Instances, p.InTime)
			if p.Bound > fewest+1e-9 {
				t.Errorf("%v, %v in time: the bound of %v h is above %v h", rates, inTime, p.Bound, fewest)
			}
			if p.Bound < 0.7*fewest-1.0/60 {
				t.Errorf("%v, %v in time: the bound of %v h is far below %v h", rates, inTime, p.Bound, fewest)
			}
			if p.InTime < inTime-1e-9 || p.Hours < fewest-1e-9 || inTime >= 0.99 && p.Hours > fewest+2.0/60+1e-9 {
				t.Errorf("%v, %v in time: plan %+v, but %v h are enough", rates, inTime, p, fewest)
			}
		}
	}
}

// With a boot of two slots, the k-th instance is paid for from two slots before each time that it is needed, and through
// gaps that are shorter.
func TestAheadByHand(t *testing.T) {
	p := Plan{Instances: []int{1, 1, 1, 3, 1, 1, 2, 0, 0, 0, 0, 1}}
	got := p.Ahead(time.Minute, 2*time.Minute)
	if want := []int{1, 3, 3, 3, 2, 2, 2, 0, 0, 1, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestOptimumOfAWeek(t *testing.T) {
	r, err := Prepare(Default(100))
	if err != nil {
		t.Fatal(err)
	}
	trace := constant(0, 7*24*60)
	for i := range trace.Rates {
		trace.Rates[i] = 2000 + 1500*math.Sin(float64(i)/229)
	}
	p, err := r.Optimum(trace, Aim{InTime: 0.999, Min: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("bound %.0f h, plan %.0f h, %.5f in time", p.Bound, p.Hours, p.InTime)
	if p.Bound > p.Hours || p.Bound < 0.9*p.Hours {
		t.Errorf("bound %v h, plan %v h", p.Bound, p.Hours)
	}
	// The plan keeps its promise in the whole world.
	w := r.World(trace, Options{})
	for i, n := range p.Instances {
		w.Begin(0, n-w.InService())
		w.Advance(time.Duration(i+1) * time.Minute)
	}
	s := w.Totals()
	if s.InTime/s.Arrived < 0.999 {
		t.Errorf("%v in time", s.InTime/s.Arrived)
	}
}

func TestWorldThatCannotServe(t *testing.T) {
	trace := constant(100, 10)
	change := func(f func(*Model)) Model {
		m := Default(100)
		f(&m)
		return m
	}
	for _, c := range []struct {
		model Model
		share float64
		says  string
	}{
		{change(func(m *Model) {}), 0.999, ""},
		{change(func(m *Model) { m.Deadline = 0.05; m.Timeout = 0.07 }), 0, "clients give up after 0.07 s"},
		{change(func(m *Model) { m.Deadline = 0.05 }), 0, "the deadline is 0.05 s, but one request takes 0.1 s"},
		{change(func(m *Model) { m.Deadline = 0.15 }), 0.99, "even if none has to wait"},
		{change(func(m *Model) { m.Failures.LaunchShare = 1 }), 0.99, "every launch fails"},
		{change(func(m *Model) { m.Types = nil }), 0.99, "instance_types is empty"},
	} {
		err := c.model.Check(trace, c.share)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}

func TestRead(t *testing.T) {
	m, err := Read("w.json", strings.NewReader(`{"instance_types":{"m5.large":{"service_time":{"mean":0.2},"concurrency":20}},"boot":{"mean":90}}`))
	if err != nil || m.Deadline != 2 || m.Timeout != 20 || m.Boot.Mean != 90 || m.Boot.CV != 0.2 || len(m.Types) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	for in, says := range map[string]string{
		"":                                "w.json:1: the model ends too early",
		"{\n\"bot\": 1}":                  "w.json:2: a model has no field \"bot\"",
		"{\n\n\"warm_up\": \"x\"}":        "w.json:3: \"warm_up\" cannot be a string",
		"{\n\n,}":                         "w.json:3: this is not JSON",
		"{} {}":                           "w.json:1: there is something after",
		`{"cold_rate": 2}`:                "cold_rate is 2; it must be from 0 to 1",
		`{"timeout": 0.1, "deadline": 1}`: "the timeout of 0.1 s is shorter than the deadline",
		`{"failures":{"events":[{"at":5,"kind":"storm"}]}}`:    `event 1 has the kind "storm"`,
		`{"instance_types":{"a":{"concurrency":4}}}`:           `the service_time of "a" has the mean 0`,
		`{"instance_types":{"a":{"service_time":{"mean":1}}}}`: `the concurrency of "a" is 0`,
		`{"failures":{"events":[{"at":5,"kind":"kill"}]}}`:     "has no count",
		`{"queue": 0.001}`:                          "too short to model",
		"{\n\"boot\":\n{\"cv\": 0,\n\"mean\": -3}}": "w.json:4: the boot mean is -3; it must be from 0 to 1e+06",
		"{\"instance_types\": {\n\"*\": {\n\"service_time\": {\"mean\": 1},\n\"concurrency\": 0}}}":                                           "w.json:4: the concurrency of \"*\" is 0",
		"{\"instance_types\": {\n\"*\": {\n\"service_time\": {\"mean\": 1}}}}":                                                                "w.json:2: the concurrency of \"*\" is 0",
		"{\"failures\": {\"events\": [\n{\"at\": 1, \"for\": 2, \"kind\": \"no-metrics\"},\n{\"at\": 1, \"for\": 2,\n\"kind\": \"storm\"}]}}": "w.json:4: event 2 has the kind \"storm\"",
		"{\"failures\": {\"events\": [\n{\"at\": 1e300, \"count\": 2, \"kind\": \"kill\"}]}}":                                                 "w.json:2: event 1 (kill) is at 1e+300 s",
		"[]":      "w.json:1: a model is an object; this is array",
		" null\n": "w.json:1: a model is an object",
	} {
		if _, err := Read("w.json", strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", in, err, says)
		}
	}
}

// Nobody beats the bound for the share in time that he has: fleets that change at random, with boots, deaths and backlogs.
func TestBoundAgainstRandomFleets(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		m := Default(20 + 200*random.Float64())
		m.WarmUp, m.Seed = 100*random.Float64(), seed
		m.Failures.PerInstance = random.Float64()
		if seed%2 == 0 {
			m.Retries = Retries{Share: 0.7, After: 5, Times: 3}
		}
		r, err := Prepare(m)
		if err != nil {
			t.Fatal(err)
		}
		trace := constant(0, 120)
		rate := 500.0
		for i := range trace.Rates {
			rate = max(0, rate*math.Exp(0.2*random.NormFloat64()))
			trace.Rates[i] = rate
		}
		w := r.World(trace, Options{})
		p := NewPool(w, 0, random.IntN(20))
		for i, rate := range trace.Rates {
			p.Want(int(rate / r.PerSecond(0) * (0.7 + random.Float64())))
			p.Advance(time.Duration(i+1) * time.Minute)
		}
		balance(t, w)
		s := w.Totals()
		plan, err := r.Optimum(trace, Aim{InTime: s.InTime / s.Arrived})
		if err != nil {
			t.Fatal(err)
		}
		if plan.Bound > s.Instance/3600 {
			t.Errorf("seed %d: %v in time with %v h, below the bound of %v h", seed, s.InTime/s.Arrived, s.Instance/3600, plan.Bound)
		}
	}
}

// TestNoneCanServe: where instances die before they have booted there is no plan, however few hours such a fleet takes.
func TestNoneCanServe(t *testing.T) {
	m := Default(100)
	m.Failures.PerInstance = 30 // each lives for two minutes
	trace := load.Trace{Step: time.Minute, Rates: []float64{500, 800, 500}}
	if err := m.Check(trace, 0.99); err != nil {
		t.Error(err)
	}
	m.Failures.PerInstance = 120
	r, err := Prepare(m)
	if err != nil {
		t.Fatal(err)
	}
	const want = "world: instances die after 30 s on average (per_instance_hour is 120), before they have booted (60 s): no number of them can be kept in service"
	if _, err := r.Optimum(trace, Aim{InTime: 0.99}); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
