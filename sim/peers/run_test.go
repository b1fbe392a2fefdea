package peers

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/world"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func trace(minutes int, rate func(minute int) float64) load.Trace {
	t := load.Trace{Start: start, Step: time.Minute}
	for i := range minutes {
		t.Rates = append(t.Rates, rate(i))
	}
	return t
}

func setup(t *testing.T, m world.Model, l load.Trace) Setup {
	t.Helper()
	r, err := world.Prepare(m)
	if err != nil {
		t.Fatal(err)
	}
	return Setup{Name: "web", Trace: l, Ready: r, Type: "m5.large", Min: 1, Max: 100, Start: 4, Target: 50, InTime: 0.99}
}

func days(n int) load.Trace {
	return trace(n*24*60, func(i int) float64 {
		day := 1000 - 800*math.Cos(2*math.Pi*float64(i)/1440)
		if i%1440 > 900 && i%1440 < 930 {
			day *= 1.6
		}
		return day
	})
}

// All on the same five days: everyone's requests add up, nobody needs fewer hours than the bound for the share in time, the
// clairvoyant is the nearest to it, and the fixed size has the objective exactly when one fewer does not.
func TestCompare(t *testing.T) {
	s := setup(t, world.Default(100), days(5))
	all, err := Compare(s)
	if err != nil {
		t.Fatal(err)
	}
	nearest := ""
	best := math.Inf(1)
	for _, o := range all {
		m := o.Summary
		t.Logf("%-20s %7.1f h (%+.1f %%), in time %.4f, lost %.4f, mean %.0f %%, %d actions, p99 %.3f, react %v s",
			o.Name, m.InstanceHours, 100**m.AboveBound, m.InTime, m.Lost, m.MeanUtilization, m.Actions, m.P99, m.TimeToReact)
		if math.Abs(m.InTime+m.Late+m.Lost-1) > 1e-6 {
			t.Errorf("%s: shares add up to %v", o.Name, m.InTime+m.Late+m.Lost)
		}
		if m.InTime >= s.InTime && *m.AboveBound < 0 {
			t.Errorf("%s beats the bound: %+v", o.Name, m)
		}
		if m.InTime >= s.InTime && m.InstanceHours < best {
			best, nearest = m.InstanceHours, o.Name
		}
		if len(o.Points) != 5*24*60 || m.Actions != len(o.Activities) {
			t.Errorf("%s: %d points, %d actions, %d activities", o.Name, len(o.Points), m.Actions, len(o.Activities))
		}
	}
	if nearest != "clairvoyant" {
		t.Errorf("%s has the fewest hours", nearest)
	}
	if c := all[len(all)-1].Summary; c.InTime < s.InTime || *c.AboveBound > 0.1 {
		t.Errorf("clairvoyant: %+v", c)
	}
	fixed, _ := SmallestFixed(s)
	fewer, err := Run(&Fixed{Instances: fixed.Instances - 1}, s)
	if err != nil || fewer.Summary.InTime >= s.InTime {
		t.Errorf("a fixed size of %d has %v in time (%v)", fixed.Instances-1, fewer.Summary.InTime, err)
	}
	again, err := Compare(s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if !reflect.DeepEqual(all[i].Summary, again[i].Summary) {
			t.Errorf("%s: not reproducible", all[i].Name)
		}
	}
}

// From 200 to 700 requests per second at 30:00 on 4 instances of 100, target 50 %. The step is in the sample of 30:15, seen
// at 30:30 by the HPA, at 100 %: twice as many. They boot for 60 s (exactly) and serve from 31:30.
func TestStepByHand(t *testing.T) {
	m := world.Default(100)
	m.Boot.CV = 0
	m.WarmUp = 0
	s := setup(t, m, trace(60, func(i int) float64 {
		if i < 30 {
			return 200
		}
		return 700
	}))
	o, err := Run(NewKubernetesHPA(50), s)
	if err != nil {
		t.Fatal(err)
	}
	a := o.Activities
	if len(a) < 2 {
		t.Fatalf("%+v", a)
	}
	if a[0].StartTime.Sub(start) != 30*time.Minute+30*time.Second || a[0].From != 4 || a[0].To != 8 {
		t.Errorf("%+v", a[0])
	}
	if a[0].Cause != "desired 4 to 8: 50 % target, measured 100 %" || a[0].Description != "Launching 4 instances" {
		t.Errorf("%q, %q", a[0].Cause, a[0].Description)
	}
	if n := o.Points[31].InService; n != 8 {
		t.Errorf("%d in service at 32:00", n)
	}
	// 8 have 700 of 800 from 31:30, and a backlog: 100 % again, and up to 16 once they have samples.
	last := a[len(a)-1]
	if last.To < 14 || last.To > 16 {
		t.Errorf("the last: %+v", last)
	}
	if o.Summary.TimeToReact != 60 && o.Summary.TimeToReact != 120 {
		t.Errorf("%v s to react", o.Summary.TimeToReact)
	}
}

// Without metrics nothing is decided; afterwards everything is.
func TestNoMetrics(t *testing.T) {
	m := world.Default(100)
	m.Failures.Events = []world.Event{{At: 600, For: 1200, Kind: world.NoMetrics}}
	s := setup(t, m, trace(60, func(i int) float64 { return 200 + 20*float64(i) }))
	kind, _ := s.Ready.Kind("m5.large")
	for _, p := range []Scaler{NewKubernetesHPA(50), NewGoogleMIG(50), NewNomad(50), NewKEDA(0.5 * s.Ready.PerSecond(kind))} {
		o, err := Run(p, s)
		if err != nil {
			t.Fatal(err)
		}
		after := 0
		for _, a := range o.Activities {
			at := a.StartTime.Sub(start)
			if at > 11*time.Minute && at < 30*time.Minute {
				t.Errorf("%s: %+v", p.Name(), a)
			}
			if at >= 30*time.Minute {
				after++
			}
		}
		if after == 0 {
			t.Errorf("%s did nothing afterwards", p.Name())
		}
	}
}

// With requests that take half a minute and may take four, a backlog is worth more than an instance: a plan that keeps none
// would need more hours than a fixed size. Whoever knows the load is never worse than that.
func TestKnowingIsNeverWorseThanFixed(t *testing.T) {
	s := setup(t, world.Default(0.04), trace(24*60, func(i int) float64 { return 0.14 + 0.03*math.Sin(float64(i)/3) }))
	s.Min, s.Max = 2, 20
	all, err := Compare(s)
	if err != nil {
		t.Fatal(err)
	}
	fixed, knowing := all[0].Summary, all[len(all)-1].Summary
	if knowing.InstanceHours > fixed.InstanceHours+1e-6 || knowing.InTime < 0.99 {
		t.Errorf("%g hours with %g in time; %s has %g with %g", knowing.InstanceHours, knowing.InTime, all[0].Name, fixed.InstanceHours, fixed.InTime)
	}
}

func TestBadSetups(t *testing.T) {
	m := world.Default(100)
	typed := m
	typed.Types = map[string]world.Type{"c5.large": m.Types["*"]}
	l := days(1)
	slow := m
	slow.Deadline = 0.05
	for _, c := range []struct {
		run  func() error
		says string
	}{
		{func() error { _, err := Run(NewNomad(50), setup(t, typed, l)); return err }, `no instance type "m5.large"`},
		{func() error { _, err := Run(NewNomad(50), setup(t, m, load.Trace{})); return err }, "the load is empty"},
		{func() error { _, err := Compare(setup(t, slow, l)); return err }, "no number of instances"},
		{func() error { s := setup(t, m, l); s.Max = 3; _, err := SmallestFixed(s); return err }, "no fixed size up to 3"},
		{func() error { s := setup(t, m, l); s.Min, s.Max = 5, 3; _, err := Run(NewNomad(50), s); return err }, "more than the Max"},
		{func() error { s := setup(t, m, l); s.Max = 3; _, err := NewClairvoyant(s); return err }, "3 instances at most are too few"},
	} {
		if err := c.run(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}

func BenchmarkWeek(b *testing.B) {
	r, err := world.Prepare(world.Default(100))
	if err != nil {
		b.Fatal(err)
	}
	s := Setup{Trace: days(7), Ready: r, Type: "any", Min: 1, Start: 4, Target: 50, InTime: 0.99}
	var o []outcome.Outcome
	for b.Loop() {
		if o, err = Compare(s); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(o)), "runs/op")
}
