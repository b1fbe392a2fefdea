package autoscaling

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// steady is a group of n, all warm, with wide bounds.
func steady(n int) View {
	return View{Now: noon, Min: 0, Max: 1000, Desired: n, InService: n}
}

func simplePolicy(kind string, n int) Policy {
	return Policy{Name: "simple", Type: typeSimple, Enabled: true, AdjustmentType: kind, ScalingAdjustment: n}
}

func stepPolicy(kind string, steps ...shape.StepAdjustment) Policy {
	return Policy{Name: "step", Type: typeStep, Enabled: true, AdjustmentType: kind, StepAdjustments: steps}
}

func trackingPolicy(name string, target float64) Policy {
	return Policy{Name: name, Type: typeTargetTracking, Enabled: true, TargetTracking: shape.TargetTrackingConfiguration{TargetValue: &target}}
}

func due(p Policy) Signal { return Signal{Policy: p, Due: true} }

// between is a step; use open for a bound that is missing.
func between(lo, hi float64, n int32) shape.StepAdjustment {
	a := shape.StepAdjustment{ScalingAdjustment: &n}
	if lo != open {
		a.MetricIntervalLowerBound = &lo
	}
	if hi != open {
		a.MetricIntervalUpperBound = &hi
	}
	return a
}

const open = 1e300

// breach is a step policy's signal: a metric against the alarm's threshold.
func breach(p Policy, metric, threshold float64) Signal {
	return Signal{Policy: p, Due: true, Value: metric, HasValue: true, Threshold: threshold, Below: metric < threshold}
}

func tracked(p Policy, high bool, metric float64, instances int) Signal {
	return Signal{Policy: p, Due: true, High: high, Low: !high, Value: metric, HasValue: true, Measured: instances}
}

func TestCapacityOfAdjustments(t *testing.T) {
	rules := []struct {
		rule          string
		view          View
		signal        Signal
		want          int
		dueButNothing bool
	}{
		{rule: "AS-PM-01 a decrement smaller than what is above desired", view: View{Now: noon, Max: 40, Desired: 30, InService: 32}, signal: due(simplePolicy(changeInCapacity, -1)), want: 30},
		{rule: "AS-PM-01 a larger one", view: View{Now: noon, Max: 40, Desired: 30, InService: 32}, signal: due(simplePolicy(changeInCapacity, -3)), want: 29},
		{rule: "AS-PM-02 max 3, current 2, +3", view: View{Now: noon, Max: 3, Desired: 2, InService: 2}, signal: due(simplePolicy(changeInCapacity, 3)), want: 3},
		{rule: "AS-PM-02 min 2, current 3, -2", view: View{Now: noon, Min: 2, Max: 3, Desired: 3, InService: 3}, signal: due(simplePolicy(changeInCapacity, -2)), want: 2},
		{rule: "AS-PM-05 disabled", view: steady(3), signal: due(Policy{Type: typeSimple, AdjustmentType: changeInCapacity, ScalingAdjustment: 1}), want: 3},
		{rule: "AS-ST-04 exact", view: steady(3), signal: due(simplePolicy(exactCapacity, 7)), want: 7},
		{rule: "AS-ST-05 12.7 -> 12", view: steady(127), signal: due(simplePolicy(percentChangeInCapacity, 10)), want: 139},
		{rule: "AS-ST-05 .67 -> 1", view: steady(67), signal: due(simplePolicy(percentChangeInCapacity, 1)), want: 68},
		{rule: "AS-ST-05 -.58 -> -1", view: steady(58), signal: due(simplePolicy(percentChangeInCapacity, -1)), want: 57},
		{rule: "AS-ST-05 -6.67 -> -6", view: steady(667), signal: due(simplePolicy(percentChangeInCapacity, -1)), want: 661},
		{rule: "AS-ST-06 4 instances, +25%, magnitude 2", view: steady(4), signal: due(Policy{Type: typeSimple, Enabled: true, AdjustmentType: percentChangeInCapacity, ScalingAdjustment: 25, MinAdjustmentMagnitude: 2}), want: 6},
		{rule: "AS-SI-03 the old name", view: steady(4), signal: due(Policy{Type: typeSimple, Enabled: true, AdjustmentType: percentChangeInCapacity, ScalingAdjustment: -25, MinAdjustmentStep: 3}), want: 1},
		{rule: "AS-SI-02 an activity is in progress", view: View{Now: noon, Max: 9, Desired: 2, InService: 2, Activity: "a"}, signal: due(simplePolicy(changeInCapacity, 1)), want: 2},
		{rule: "AS-CD-01 in the cooldown", view: View{Now: noon, Max: 9, Desired: 2, InService: 2, CooldownEnds: noon.Add(1)}, signal: due(simplePolicy(changeInCapacity, 1)), want: 2},
		{rule: "AS-CD-01 after it", view: View{Now: noon, Max: 9, Desired: 2, InService: 2, CooldownEnds: noon}, signal: due(simplePolicy(changeInCapacity, 1)), want: 3},
		{rule: "AS-CD-05 by hand", view: View{Now: noon, Max: 9, Desired: 2, InService: 2, CooldownEnds: noon.Add(1)}, signal: Signal{Policy: simplePolicy(changeInCapacity, 1), Due: true, ByHand: true}, want: 3},
		{rule: "AS-CD-03 step policies know no cooldown", view: View{Now: noon, Max: 9, Desired: 2, InService: 2, CooldownEnds: noon.Add(1), Activity: "a"}, signal: breach(stepPolicy(changeInCapacity, between(0, open, 1)), 60, 50), want: 3},
		{rule: "AS-SP-03 Launch suspended", view: View{Now: noon, Max: 9, Desired: 2, InService: 2, NoLaunch: true}, signal: due(simplePolicy(changeInCapacity, 1)), want: 2},
		{rule: "AS-SP-04 Terminate suspended", view: View{Now: noon, Max: 9, Desired: 2, InService: 2, NoTerminate: true}, signal: due(simplePolicy(changeInCapacity, -1)), want: 2},
		{rule: "AS-SP-04 which does not hold a scale-out", view: View{Now: noon, Max: 9, Desired: 2, InService: 2, NoTerminate: true}, signal: due(simplePolicy(changeInCapacity, 1)), want: 3},
	}
	for _, r := range rules {
		if d := Decide(r.view, []Signal{r.signal}); d.Desired != r.want || d.Reason == "" {
			t.Errorf("%s: %d (%s), want %d", r.rule, d.Desired, d.Reason, r.want)
		}
	}
}

func TestTheLargestCapacityWins(t *testing.T) { // AS-PM-03
	three, quarter := simplePolicy(changeInCapacity, -3), simplePolicy(percentChangeInCapacity, -25)
	if d := Decide(steady(8), []Signal{due(three), due(quarter)}); d.Desired != 6 || d.Winner != 1 {
		t.Errorf("-3 and -25%% of 8: %d by %d, want 6 by the second", d.Desired, d.Winner)
	}
	out := simplePolicy(changeInCapacity, 1)
	if d := Decide(steady(8), []Signal{due(three), due(out)}); d.Desired != 9 {
		t.Errorf("-3 and +1 of 8: %d, want 9", d.Desired)
	}
	full := steady(8)
	full.Max = 8
	if d := Decide(full, []Signal{due(out), due(three)}); d.Desired != 8 {
		t.Errorf("a scale-out that the maximum stops still wins over a scale-in: %d, want 8", d.Desired)
	}
}

// steps50 are the policies of AS-ST-08.
func steps50() (out, in Policy) {
	return stepPolicy(percentChangeInCapacity, between(0, 10, 0), between(10, 20, 10), between(20, open, 30)),
		stepPolicy(percentChangeInCapacity, between(-10, 0, 0), between(-20, -10, -10), between(open, -20, -30))
}

func TestStepsOfTheGuide(t *testing.T) { // AS-ST-08
	out, in := steps50()
	n := 10
	for _, s := range []struct {
		metric float64
		want   int
	}{{50, 10}, {59.9, 10}, {60, 11}, {70, 14}, {55, 14}, {41, 14}, {40, 13}, {30, 10}} {
		p := out
		if s.metric < 50 {
			p = in
		}
		d := Decide(steady(n), []Signal{breach(p, s.metric, 50)})
		if d.Desired != s.want {
			t.Fatalf("%d at %v: %d (%s), want %d", n, s.metric, d.Desired, d.Reason, s.want)
		}
		n = d.Desired
	}
}

func TestStepBounds(t *testing.T) { // AS-ST-01, AS-ST-11
	p := stepPolicy(changeInCapacity, between(0, 10, 1), between(10, open, 2), between(-10, 0, -1), between(open, -10, -2))
	for breachBy, want := range map[float64]int{0: 1, 9.99: 1, 10: 2, 1e9: 2, -0.01: -1, -9.99: -1, -10: -2, -1e9: -2} {
		if n, ok := matchStep(p.StepAdjustments, breachBy, breachBy < 0); !ok || n != want {
			t.Errorf("breach %v: step %d %v, want %d", breachBy, n, ok, want)
		}
	}
	down := stepPolicy(changeInCapacity, between(open, 0, -1))
	if n, ok := matchStep(down.StepAdjustments, 0, true); !ok || n != -1 {
		t.Error("a metric at the threshold of an alarm for less or equal is in the step below it")
	}
	if d := Decide(steady(5), []Signal{breach(down, 60, 50)}); d.Desired != 5 || d.Winner != -1 {
		t.Errorf("no step matches, yet %d", d.Desired)
	}
	if d := Decide(steady(5), []Signal{{Policy: down, Due: true, Below: true, Threshold: 50}}); d.Desired != 4 {
		t.Errorf("an alarm without data counts as at its threshold: %d (%s)", d.Desired, d.Reason)
	}
}

func TestStepsWhileWarming(t *testing.T) { // AS-ST-07
	out, in := steps50()
	v := steady(11)
	s := breach(out, 60, 50)
	s.Warming = 1
	if d := Decide(v, []Signal{s}); d.Desired != 11 {
		t.Errorf("the same step again: %d, want 11", d.Desired)
	}
	s = breach(out, 70, 50)
	s.Warming = 1
	if d := Decide(v, []Signal{s}); d.Desired != 13 {
		t.Errorf("a higher step adds the difference: %d, want 13", d.Desired)
	}
	v.InService, v.Pending = 10, 1
	if d := Decide(v, []Signal{breach(out, 70, 50)}); d.Desired != 13 {
		t.Errorf("pending ones count like warming ones: %d, want 13", d.Desired)
	}
	if d := Decide(v, []Signal{breach(in, 30, 50)}); d.Desired != 11 || d.Winner != -1 {
		t.Errorf("AS-WU-04: no scale-in while a scale-out is in progress: %d", d.Desired)
	}
	exact := stepPolicy(exactCapacity, between(0, open, 20), between(open, 0, 2))
	if d := Decide(v, []Signal{breach(exact, 60, 50)}); d.Desired != 20 {
		t.Errorf("exact, up: %d", d.Desired)
	}
	if d := Decide(v, []Signal{breach(exact, 40, 50)}); d.Desired != 11 {
		t.Errorf("exact, down, held: %d", d.Desired)
	}
}

func TestStepAdjustmentsThatAreRefused(t *testing.T) { // AS-ST-02, AS-ST-04
	many := make([]shape.StepAdjustment, 0, 21)
	for i := range 20 {
		many = append(many, between(float64(i), float64(i+1), 1))
	}
	many = append(many, between(20, open, 1))
	bad := map[string]struct {
		kind  string
		steps []shape.StepAdjustment
	}{
		"none":                    {changeInCapacity, nil},
		"too many":                {changeInCapacity, many},
		"gap":                     {changeInCapacity, []shape.StepAdjustment{between(0, 10, 1), between(11, open, 2)}},
		"overlap":                 {changeInCapacity, []shape.StepAdjustment{between(0, 10, 1), between(9, open, 2)}},
		"two without lower":       {changeInCapacity, []shape.StepAdjustment{between(open, 0, 1), between(open, 10, 2), between(10, open, 1)}},
		"no end above":            {changeInCapacity, []shape.StepAdjustment{between(0, 10, 1)}},
		"no end below":            {changeInCapacity, []shape.StepAdjustment{between(-10, 0, 1)}},
		"infinite bound":          {changeInCapacity, []shape.StepAdjustment{between(0, math.Inf(1), 1)}},
		"bound that is no number": {changeInCapacity, []shape.StepAdjustment{between(math.NaN(), open, 1)}},
		"empty interval":          {changeInCapacity, []shape.StepAdjustment{between(5, 5, 1), between(5, open, 1)}},
		"negative exact capacity": {exactCapacity, []shape.StepAdjustment{between(0, open, -1)}},
	}
	for name, b := range bad {
		if checkSteps(b.kind, b.steps) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	out, in := steps50()
	for _, good := range [][]shape.StepAdjustment{out.StepAdjustments, in.StepAdjustments, {between(open, open, 1)},
		{between(10, open, 2), between(0, 10, 1)}} {
		if err := checkSteps(percentChangeInCapacity, good); err != nil {
			t.Error(err)
		}
	}
}

// someView draws a group that could exist.
func someView(r *rand.Rand) View {
	v := View{Now: noon, Min: r.IntN(5), NoLaunch: r.IntN(8) == 0, NoTerminate: r.IntN(8) == 0, Tracking: TrackingModel{AllAtOnce: r.IntN(2) == 0}}
	v.Max = v.Min + r.IntN(40)
	v.Desired = v.Min + r.IntN(v.Max-v.Min+1)
	v.Pending = r.IntN(3) * r.IntN(3)
	v.InService = max(0, v.Desired-v.Pending+r.IntN(3)-1)
	if r.IntN(3) == 0 {
		v.CooldownEnds = noon.Add(time.Duration(r.IntN(3)-1) * time.Minute)
	}
	return v
}

func someSignal(r *rand.Rand, v View) Signal {
	kind := []string{changeInCapacity, exactCapacity, percentChangeInCapacity}[r.IntN(3)]
	s := Signal{Due: r.IntN(5) > 0, Value: r.Float64() * 100, HasValue: r.IntN(9) > 0, Threshold: 50}
	s.Below = s.Value < 50
	s.Warming = r.IntN(2) * r.IntN(v.InService+1)
	s.Measured = v.InService - s.Warming
	n := r.IntN(60)
	switch r.IntN(3) {
	case 0:
		if kind != exactCapacity {
			n -= 30
		}
		s.Policy = simplePolicy(kind, n)
	case 1:
		s.Policy = stepPolicy(kind, between(0, 20, int32(n)), between(20, open, int32(2*n)))
		if s.Below {
			s.Policy = stepPolicy(kind, between(-20, 0, int32(-n)), between(open, -20, int32(-2*n)))
		}
	case 2:
		s.Policy = trackingPolicy("t", 50)
		s.High, s.Low = s.Value > 50, s.Value < 35
	}
	s.Policy.Enabled = r.IntN(20) > 0
	return s
}

func TestDecisionsKeepTheirPromises(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 50_000 {
		v := someView(r)
		signals := make([]Signal, 1+r.IntN(4))
		for j := range signals {
			signals[j] = someSignal(r, v)
		}
		d := Decide(v, signals)
		switch {
		case d.Desired < v.Min || d.Desired > v.Max:
			t.Fatalf("%d: %d is outside [%d,%d]", i, d.Desired, v.Min, v.Max)
		case d.Reason == "":
			t.Fatalf("%d: no reason", i)
		case d.Desired > v.Desired && v.NoLaunch, d.Desired < v.Desired && v.NoTerminate:
			t.Fatalf("%d: a suspended process was run", i)
		case d.Winner < 0 && d.Desired != v.Desired:
			t.Fatalf("%d: nobody wanted %d", i, d.Desired)
		}
		for j, x := range d.Verdicts {
			if x.Ready && !signals[j].Policy.Enabled {
				t.Fatalf("%d: a disabled policy has an opinion", i)
			}
			if x.Ready && d.Desired < x.Wants && !v.NoLaunch && !v.NoTerminate {
				t.Fatalf("%d: %d is less than one policy wants, %d", i, d.Desired, x.Wants) // AS-PM-03
			}
			if d.Desired < v.Desired && d.Winner == j && signals[j].Policy.Type != typeSimple && v.Pending+signals[j].Warming > 0 {
				t.Fatalf("%d: scale-in during a scale-out (AS-WU-04)", i)
			}
		}
	}
}

func TestMoreLoadNeverMeansLess(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	out, in := steps50()
	for i := range 600 {
		v := someView(r)
		v.Pending, v.NoLaunch, v.NoTerminate = 0, false, false
		last, lastStep := 0, 0
		for metric := 0.5; metric < 200; metric += 0.5 {
			s := tracked(trackingPolicy("t", 50), metric > 50, metric, v.InService)
			s.Low = metric < v.Tracking.lowThreshold(50, v.Desired)
			d := Decide(v, []Signal{s})
			if d.Desired < last {
				t.Fatalf("%d: %+v at %v: target tracking goes from %d to %d", i, v, metric, last, d.Desired)
			}
			last = d.Desired
			p := out
			if metric < 50 {
				p = in
			}
			if d = Decide(v, []Signal{breach(p, metric, 50)}); d.Desired < lastStep {
				t.Fatalf("%d: %+v at %v: steps go from %d to %d", i, v, metric, lastStep, d.Desired)
			}
			lastStep = d.Desired
		}
	}
}
