package autoscaling

import (
	"math/rand/v2"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
)

func TestTargetTrackingWorkedExamples(t *testing.T) { // AS-TT-10, AS-TT-11, AS-TT-23
	for _, x := range []struct {
		instances int
		metric    float64
		want      int
	}{
		{4, 80, 7}, // ceil(6.4)
		{4, 30, 3}, // 30*4/3 = 40
		{2, 30, 2}, // 0.8 is nothing
		{2, 24, 1}, // 24*2/1 = 48
		{1, 0, 0},
		{1, 0.1, 1},
		{4, 50.01, 5},
		{2, 75, 3},
		{10, 45, 9}, // 45*10/9 is the target itself
		{10, 45.1, 10},
	} {
		s := tracked(trackingPolicy("t", 50), x.metric > 50, x.metric, x.instances)
		if d := Decide(steady(x.instances), []Signal{s}); d.Desired != x.want {
			t.Errorf("%d at %v: %d (%s), want %d", x.instances, x.metric, d.Desired, d.Reason, x.want)
		}
	}
	one := steady(1)
	one.Min = 1
	if d := Decide(one, []Signal{tracked(trackingPolicy("t", 50), false, 0, 1)}); d.Desired != 1 {
		t.Errorf("the minimum holds: %d", d.Desired)
	}
}

func TestScaleInIsGradual(t *testing.T) { // AS-TT-11
	p := trackingPolicy("t", 50)
	if d := Decide(steady(4), []Signal{tracked(p, false, 1, 4)}); d.Desired != 3 {
		t.Errorf("an idle group of 4: %d, want 3", d.Desired)
	}
	if d := Decide(steady(100), []Signal{tracked(p, false, 1, 100)}); d.Desired != 90 {
		t.Errorf("an idle group of 100: %d, want 90", d.Desired)
	}
	v := steady(100)
	v.Tracking.AllAtOnce = true
	if d := Decide(v, []Signal{tracked(p, false, 1, 100)}); d.Desired != 2 {
		t.Errorf("all at once: %d, want 2", d.Desired)
	}
}

// The dumb twin counts up until the metric, spread over more or fewer instances, is not above the target.
func TestWantedIsTheLeastThatMeetsTheTarget(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		n, metric, target := 1+r.IntN(50), float64(r.IntN(2000))/10, float64(1+r.IntN(900))/10
		twin := 0
		for twin == 0 && metric > 0 || twin > 0 && metric*float64(n) > target*float64(twin)*(1+1e-9) {
			twin++
		}
		if got := wanted(n, metric, target); got != twin {
			t.Fatalf("%d at %v, target %v: %d, want %d", n, metric, target, got, twin)
		}
	}
	if wanted(1000, 1e300, 1e-300) <= 0 {
		t.Error("overflow")
	}
}

func TestTargetTrackingHolds(t *testing.T) {
	p := trackingPolicy("t", 50)
	high, low := tracked(p, true, 80, 4), tracked(p, false, 10, 4)
	rules := []struct {
		rule   string
		view   View
		signal Signal
		change func(*Signal)
		want   int
	}{
		{"AS-TT-14 no data, out", steady(4), high, func(s *Signal) { s.HasValue = false }, 4},
		{"AS-TT-14 no data, in", steady(4), low, func(s *Signal) { s.HasValue = false }, 4},
		{"AS-TT-13 warming", steady(4), low, func(s *Signal) { s.Warming = 1 }, 4},
		{"AS-TT-13 pending", View{Now: noon, Max: 9, Desired: 5, InService: 4, Pending: 1}, low, nil, 5},
		{"AS-TT-07 no scale-in", steady(4), low, func(s *Signal) { s.Policy.TargetTracking.DisableScaleIn = new(true) }, 4},
		{"AS-WU-03 nothing is warm", steady(4), high, func(s *Signal) { s.Measured, s.Warming = 0, 4 }, 4},
		{"AS-WU-03 warming ones count in what is there", steady(7), high, func(s *Signal) { s.Warming = 3 }, 7},
		{"AS-WU-03 and more is added to them", steady(6), high, func(s *Signal) { s.Warming = 2 }, 7},
		{"AS-WU-05 terminating ones do not block", View{Now: noon, Max: 9, Desired: 4, InService: 4}, low, func(s *Signal) { s.Measured = 5 }, 3},
		{"a metric of its own in an empty group", steady(0), high, func(s *Signal) { s.Measured = 0 }, 2},
		{"AS-PM-08 by hand", steady(4), high, func(s *Signal) { s.ByHand = true }, 4},
	}
	for _, r := range rules {
		s := r.signal
		if r.change != nil {
			r.change(&s)
		}
		if d := Decide(r.view, []Signal{s}); d.Desired != r.want || d.Reason == "" {
			t.Errorf("%s: %d (%s), want %d", r.rule, d.Desired, d.Reason, r.want)
		}
	}
}

func TestSeveralTargetTrackingPolicies(t *testing.T) { // AS-PM-04
	a, b := trackingPolicy("a", 50), trackingPolicy("b", 100)
	low := tracked(a, false, 10, 10)
	standing := func(p Policy, metric float64, low bool) Signal {
		return Signal{Policy: p, Low: low, Value: metric, HasValue: true, Measured: 10}
	}
	noScaleIn := standing(b, 100, false)
	noScaleIn.Policy.TargetTracking.DisableScaleIn = new(true)
	disabled := standing(b, 100, false)
	disabled.Policy.Enabled = false
	out := standing(b, 150, false)
	out.High = true
	for _, x := range []struct {
		name  string
		other Signal
		want  int
	}{
		{"not ready", standing(b, 95, false), 10},
		{"not ready, though its newest value is low", standing(b, 20, false), 10},
		{"ready", standing(b, 20, true), 9},
		{"ready, but wants all there is", standing(b, 95, true), 10},
		{"does not scale in", noScaleIn, 9},
		{"disabled", disabled, 9},
		{"ready to scale out", out, 10},
	} {
		if d := Decide(steady(10), []Signal{low, x.other}); d.Desired != x.want {
			t.Errorf("%s: %d (%s), want %d", x.name, d.Desired, d.Reason, x.want)
		}
	}
	out.Due = true
	if d := Decide(steady(10), []Signal{low, out}); d.Desired != 15 || d.Winner != 1 {
		t.Errorf("one ready to scale out is enough: %d", d.Desired)
	}
	// A step policy does not wait for target tracking to be ready.
	in := stepPolicy(changeInCapacity, between(open, 0, -2))
	if d := Decide(steady(10), []Signal{breach(in, 10, 50), standing(b, 95, false)}); d.Desired != 8 {
		t.Errorf("step beside target tracking: %d, want 8", d.Desired)
	}
}

func TestCooldownsOfApplicationAutoScaling(t *testing.T) {
	p := trackingPolicy("t", 50)
	p.TargetTracking.ScaleOutCooldown, p.TargetTracking.ScaleInCooldown = new(int32(300)), new(int32(300))
	ago := func(m int) time.Time { return noon.Add(-time.Duration(m) * time.Minute) }

	s := tracked(p, true, 80, 7)
	s.Out = Move{At: ago(1), From: 4, To: 7}
	if d := Decide(steady(7), []Signal{s}); d.Desired != 7 {
		t.Errorf("what was added counts in the next scale-out: %d, want 7", d.Desired)
	}
	s.Value = 120
	if d := Decide(steady(7), []Signal{s}); d.Desired != 10 {
		t.Errorf("a larger one goes through: %d, want 10", d.Desired)
	}
	s.Out.At = ago(5)
	if d := Decide(steady(7), []Signal{s}); d.Desired != 17 {
		t.Errorf("after the cooldown: %d, want 17", d.Desired)
	}

	in := tracked(p, false, 10, 4)
	in.In = Move{At: ago(4), From: 5, To: 4}
	if d := Decide(steady(4), []Signal{in}); d.Desired != 4 {
		t.Errorf("in the scale-in cooldown: %d", d.Desired)
	}
	high := tracked(p, true, 80, 4)
	high.In = in.In
	if d := Decide(steady(4), []Signal{high}); d.Desired != 7 {
		t.Errorf("a scale-out does not wait for it: %d", d.Desired)
	}
	in.Out = Move{At: ago(3), From: 4, To: 5}
	if d := Decide(steady(4), []Signal{in}); d.Desired != 3 {
		t.Errorf("and ends it: %d", d.Desired)
	}
}

func TestLowThreshold(t *testing.T) { // AS-TT-04, AS-TT-05
	m := TrackingModel{}
	for _, x := range []struct {
		target float64
		n      int
		want   float64
	}{
		{20, 2, 14}, {30, 1, 21}, {40, 2, 28}, {50, 3, 35}, {60, 3, 42}, {75, 1, 52.5}, {1, 1, 0.7},
		{50, 7, 42.5}, {60, 0, 54}, {40, 0, 36}, {100, 4, 75}, {100, 5, 80}, {100, 6, 80}, {100, 9, 85}, {100, 10, 90}, {100, 10_000, 90},
	} {
		if got := m.lowThreshold(x.target, x.n); got != x.want {
			t.Errorf("target %v, %d instances: %v, want %v", x.target, x.n, got, x.want)
		}
	}
	m.FixedLow = true
	if got := m.lowThreshold(50, 2); got != 45 {
		t.Errorf("fixed: %v", got)
	}
}

func TestWarmup(t *testing.T) { // AS-WU-01, AS-WU-02, AS-WU-07
	unset := Group{DefaultInstanceWarmup: -1, DefaultCooldown: 300}
	p := trackingPolicy("t", 50)
	if p.warmup(unset) != 5*time.Minute {
		t.Error("the cooldown is the last resort")
	}
	if p.warmup(Group{DefaultInstanceWarmup: 0, DefaultCooldown: 300}) != 0 {
		t.Error("an explicit 0 counts")
	}
	p.Warmup = new(40)
	if p.warmup(Group{DefaultInstanceWarmup: 90}) != 40*time.Second {
		t.Error("the policy comes first")
	}
}

func TestTargetTrackingConfigurationsThatAreRefused(t *testing.T) { // AS-TT-16 to AS-TT-19
	g := Group{Name: "g", Attachments: []Attachment{{Type: "elbv2", ID: "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"}}}
	cpu := func(c *shape.TargetTrackingConfiguration) {
		c.PredefinedMetricSpecification = &shape.PredefinedMetricSpecification{PredefinedMetricType: new("ASGAverageCPUUtilization")}
	}
	requests := func(label string) func(c *shape.TargetTrackingConfiguration) {
		return func(c *shape.TargetTrackingConfiguration) {
			c.PredefinedMetricSpecification = &shape.PredefinedMetricSpecification{PredefinedMetricType: new(requestCountPerTarget)}
			if label != "" {
				c.PredefinedMetricSpecification.ResourceLabel = &label
			}
		}
	}
	custom := func(m shape.CustomizedMetricSpecification) func(c *shape.TargetTrackingConfiguration) {
		return func(c *shape.TargetTrackingConfiguration) { c.CustomizedMetricSpecification = &m }
	}
	queue := shape.CustomizedMetricSpecification{Namespace: new("N"), MetricName: new("M"), Statistic: new("Average")}
	odd := queue
	odd.Period = new(int32(300))
	math := func(q ...shape.TargetTrackingMetricDataQuery) func(c *shape.TargetTrackingConfiguration) {
		return custom(shape.CustomizedMetricSpecification{Metrics: q})
	}
	m1 := shape.TargetTrackingMetricDataQuery{Id: new("m1"), ReturnData: new(false), MetricStat: &shape.TargetTrackingMetricStat{
		Metric: &shape.Metric{Namespace: new("N"), MetricName: new("M")}, Stat: new("Sum")}}
	e1 := shape.TargetTrackingMetricDataQuery{Id: new("e1"), Expression: new("m1 / 2")}
	shown := m1
	shown.ReturnData = nil
	for _, x := range []struct {
		name string
		ok   bool
		set  []func(*shape.TargetTrackingConfiguration)
	}{
		{"cpu", true, []func(*shape.TargetTrackingConfiguration){cpu}},
		{"no metric", false, nil},
		{"two metrics", false, []func(*shape.TargetTrackingConfiguration){cpu, custom(queue)}},
		{"target 0", false, []func(*shape.TargetTrackingConfiguration){cpu, func(c *shape.TargetTrackingConfiguration) { c.TargetValue = new(0.0) }}},
		{"negative cooldown", false, []func(*shape.TargetTrackingConfiguration){cpu, func(c *shape.TargetTrackingConfiguration) { c.ScaleInCooldown = new(int32(-1)) }}},
		{"requests", true, []func(*shape.TargetTrackingConfiguration){requests("app/lb/1234/targetgroup/web/0123456789abcdef")}},
		{"requests without label", false, []func(*shape.TargetTrackingConfiguration){requests("")}},
		{"requests of another target group", false, []func(*shape.TargetTrackingConfiguration){requests("app/lb/1234/targetgroup/api/0123456789abcdef")}},
		{"requests with half a label", false, []func(*shape.TargetTrackingConfiguration){requests("targetgroup/web/0123456789abcdef")}},
		{"customized", true, []func(*shape.TargetTrackingConfiguration){custom(queue)}},
		{"customized, period 300", false, []func(*shape.TargetTrackingConfiguration){custom(odd)}},
		{"customized, nothing", false, []func(*shape.TargetTrackingConfiguration){custom(shape.CustomizedMetricSpecification{})}},
		{"math", true, []func(*shape.TargetTrackingConfiguration){math(m1, e1)}},
		{"math, two returned", false, []func(*shape.TargetTrackingConfiguration){math(shown, e1)}},
		{"math, none returned", false, []func(*shape.TargetTrackingConfiguration){math(m1)}},
		{"math, one id twice", false, []func(*shape.TargetTrackingConfiguration){math(m1, m1, e1)}},
		{"math, capital id", false, []func(*shape.TargetTrackingConfiguration){math(m1, shape.TargetTrackingMetricDataQuery{Id: new("E1"), Expression: new("m1")})}},
	} {
		c := shape.TargetTrackingConfiguration{TargetValue: new(50.0)}
		for _, f := range x.set {
			f(&c)
		}
		if err := checkTracking(g, &shape.PutScalingPolicyInput{TargetTrackingConfiguration: &c}); (err == nil) != x.ok {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}
