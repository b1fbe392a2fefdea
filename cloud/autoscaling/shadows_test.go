package autoscaling

import (
	"math"
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	metrics "github.com/billow-cloud/billow/api/cloudwatch"
)

func cpuPolicy(name string, target float64) ShadowPolicy {
	return ShadowPolicy{PutScalingPolicyInput: shape.PutScalingPolicyInput{
		PolicyName: &name, PolicyType: new(typeTargetTracking),
		TargetTrackingConfiguration: &shape.TargetTrackingConfiguration{
			TargetValue:                   &target,
			PredefinedMetricSpecification: &shape.PredefinedMetricSpecification{PredefinedMetricType: new("ASGAverageCPUUtilization")},
		},
	}}
}

func (w *world) report(name string) ShadowReport {
	w.t.Helper()
	return must[ShadowListOutput](w, Name, "shadow-report", &ShadowInput{Group: "g", Name: name}).Shadows[0]
}

// day is a load that rises and falls twice.
func (w *world) day(minutes int) {
	for i := range minutes {
		w.load(1, 160+140*math.Sin(float64(i)/40))
	}
}

// A shadow with the real policy's configuration is what the what-if is held to: it must agree with every decision, and
// come to the same capacity.
func TestAShadowOfTheSamePolicyAgrees(t *testing.T) {
	w := told(t, 1, 10, 1, nil)
	w.track("cpu", 50, nil)
	must[ShadowReport](w, Name, "shadow-put", &ShadowPutInput{Group: "g", Policies: []ShadowPolicy{cpuPolicy("twin", 50)}})
	differ := 0
	for i := range 400 {
		w.load(1, 160+140*math.Sin(float64(i)/40))
		if r := w.report("twin"); r.Watch.Model.Desired != w.group("g").DesiredCapacity {
			differ++
		}
	}
	r := w.report("twin")
	if r.Watch.More+r.Watch.Fewer != 0 || r.Watch.Same < 5 || r.Watch.Wanted != 0 || len(r.First) != 0 {
		t.Errorf("%+v %+v", r.Watch, r.First)
	}
	m := r.Watch.Model
	if differ > 0 || math.Abs(m.Hours-m.RealHours) > 0.001*m.RealHours || m.Over != m.RealOver || m.Moves != m.RealMoves {
		t.Errorf("the what-if is not the real group: %d of 400 minutes differ; %+v", differ, m)
	}
}

// What a shadow of another policy would have come to is held to a group that really has that policy, on the same load.
func TestTheWhatIfIsWhatTheGroupWouldHaveBeen(t *testing.T) {
	run := func(real, shadow float64) (*world, []int, []int) {
		w := told(t, 1, 20, 3, func(in *shape.CreateAutoScalingGroupInput) { in.DefaultInstanceWarmup = new(int32(120)) })
		w.track("cpu", real, nil)
		must[ShadowReport](w, Name, "shadow-put", &ShadowPutInput{Group: "g", Name: "x", Policies: []ShadowPolicy{cpuPolicy("p", shadow)}})
		var was, would []int
		for i := range 600 {
			w.load(1, 220+120*math.Sin(float64(i)/60))
			was, would = append(was, w.group("g").DesiredCapacity), append(would, w.report("x").Watch.Model.Desired)
		}
		return w, was, would
	}
	for _, other := range []float64{35, 70} {
		w, _, would := run(50, other)
		_, was, _ := run(other, 50)
		off, most, all := 0, 0, 0
		for i := range was {
			d := was[i] - would[i]
			off, most, all = off+max(d, -d), max(most, d, -d), all+was[i]
		}
		m := w.report("x").Watch.Model
		t.Logf("target %g: %.1f h would be used instead of %.1f h; off by %d of %d instance-minutes, by %d at most", other, m.Hours, m.RealHours, off, all, most)
		if off > all*3/100 || most > 2 {
			t.Errorf("target %g: the what-if is off by %d of %d instance-minutes, by %d at most", other, off, all, most)
		}
	}
}

func TestAShadowNeverActsNorShows(t *testing.T) {
	run := func(shadow bool) (string, *world) {
		w := told(t, 1, 10, 2, nil)
		w.track("cpu", 50, nil)
		if shadow {
			must[ShadowReport](w, Name, "shadow-put", &ShadowPutInput{Group: "g", Name: "eager", Policies: []ShadowPolicy{cpuPolicy("p", 20)}})
		}
		w.day(120)
		return strings.Join(w.causes(), "\n"), w
	}
	alone, _ := run(false)
	watched, w := run(true)
	if alone != watched || alone == "" {
		t.Errorf("a shadow changed what the group did:\n%s\n\n%s", alone, watched)
	}
	policies := must[shape.DescribePoliciesOutput](w, Name, "DescribePolicies", &shape.DescribePoliciesInput{}).ScalingPolicies
	alarms := must[metrics.DescribeAlarmsOutput](w, "cloudwatch", "DescribeAlarms", &metrics.DescribeAlarmsInput{}).MetricAlarms
	if len(policies) != 1 || len(alarms) != 2 {
		t.Errorf("%d policies, %d alarms", len(policies), len(alarms))
	}
	r := w.report("eager")
	m := r.Watch.Model
	if r.Watch.More == 0 || len(r.First) == 0 || m.Hours <= m.RealHours || m.Desired <= w.group("g").DesiredCapacity {
		t.Errorf("an eager shadow wants more: %+v", r.Watch)
	}
	if d := r.First[0]; d.Shadow <= d.Real || d.Reason == "" || d.RealReason == "" {
		t.Errorf("%+v", d)
	}
	if len(r.First) > divergencesKept || len(r.Newest) > divergencesKept {
		t.Errorf("%d and %d divergences are kept", len(r.First), len(r.Newest))
	}
}

// A pair of step policies, one with an alarm of the account and one with its own.
func TestAShadowOfStepPolicies(t *testing.T) {
	w := told(t, 1, 10, 2, nil)
	w.track("cpu", 50, nil)
	alarm := func(name, operator string, threshold float64, actions ...string) *metrics.PutMetricAlarmInput {
		return &metrics.PutMetricAlarmInput{AlarmName: &name, Namespace: new("AWS/EC2"), MetricName: new("CPUUtilization"), Statistic: new("Average"),
			Dimensions: []metrics.Dimension{{Name: new("AutoScalingGroupName"), Value: new("g")}}, Period: new(int32(60)), EvaluationPeriods: new(int32(2)),
			ComparisonOperator: &operator, Threshold: &threshold, AlarmActions: actions}
	}
	must[metrics.PutMetricAlarmOutput](w, "cloudwatch", "PutMetricAlarm", alarm("busy", "GreaterThanThreshold", 60))
	step := func(name string, n int32, up bool) ShadowPolicy {
		s := shape.StepAdjustment{ScalingAdjustment: &n}
		if up {
			s.MetricIntervalLowerBound = new(0.0)
		} else {
			s.MetricIntervalUpperBound = new(0.0)
		}
		return ShadowPolicy{PutScalingPolicyInput: shape.PutScalingPolicyInput{PolicyName: &name, PolicyType: new(typeStep),
			AdjustmentType: new(changeInCapacity), StepAdjustments: []shape.StepAdjustment{s}}}
	}
	out, in := step("out", 2, true), step("in", -1, false)
	out.Alarms = []metrics.PutMetricAlarmInput{{AlarmName: new("busy")}}
	put := &ShadowPutInput{Group: "g", Name: "steps", Policies: []ShadowPolicy{out, in}, Alarms: []metrics.PutMetricAlarmInput{*alarm("idle", "LessThanThreshold", 30)}}
	r := must[ShadowReport](w, Name, "shadow-put", put)
	if r.Apart != "" {
		t.Fatal(r.Apart)
	}
	w.load(5, 150)
	// 75 % of 2 is above 60: 2 more, and 2 more a minute later, when the newest data is still of 2 (there is no warm-up).
	if got := w.report("steps").Watch; got.Model.Desired != 6 {
		t.Errorf("%+v", got)
	}
	w.load(20, 20)
	if got := w.report("steps").Watch; got.Model.Desired != 1 || got.Model.Moves != 7 {
		t.Errorf("%+v", got)
	}
}

func TestShadowsOutliveARestartAndDieWithTheGroup(t *testing.T) {
	w := told(t, 1, 10, 1, func(in *shape.CreateAutoScalingGroupInput) { in.MinSize = new(int32(0)) })
	w.track("cpu", 50, nil)
	must[ShadowReport](w, Name, "shadow-put", &ShadowPutInput{Group: "g", Policies: []ShadowPolicy{cpuPolicy("other", 30)}})
	w.day(30)
	before := w.report("other")
	w.restart()
	after := w.report("other")
	if after.Watch.Evaluations != before.Watch.Evaluations || after.Watch.Model.Hours != before.Watch.Model.Hours || len(after.First) != len(before.First) {
		t.Errorf("%+v, then %+v", before, after)
	}
	w.day(10)
	if n := w.report("other").Watch.Evaluations; n < before.Watch.Evaluations+9 {
		t.Errorf("%d evaluations, then %d", before.Watch.Evaluations, n)
	}
	must[shape.DeleteAutoScalingGroupOutput](w, Name, "DeleteAutoScalingGroup", &shape.DeleteAutoScalingGroupInput{AutoScalingGroupName: new("g"), ForceDelete: new(true)})
	w.advance(10 * time.Minute)
	w.cloud.Dump(func(table, key string, row any) bool {
		switch table {
		case Name + ".shadows", Name + ".watches", Name + ".divergences", Name + ".evaluations", Name + ".policysets":
			t.Errorf("left: %s %q", table, key)
		}
		return true
	})
}

func TestShadowsThatAreRefused(t *testing.T) {
	w := told(t, 1, 10, 1, nil)
	simple := ShadowPolicy{PutScalingPolicyInput: shape.PutScalingPolicyInput{PolicyName: new("s"), AdjustmentType: new(changeInCapacity), ScalingAdjustment: new(int32(1))}}
	stray := simple
	stray.Alarms = []metrics.PutMetricAlarmInput{{AlarmName: new("nowhere")}}
	nameless := cpuPolicy("", 50)
	for _, x := range []struct {
		in   ShadowPutInput
		want string
	}{
		{ShadowPutInput{Group: "none", Policies: []ShadowPolicy{cpuPolicy("p", 50)}}, "there is no group none"},
		{ShadowPutInput{Group: "g"}, "no policy"},
		{ShadowPutInput{Group: "g", Policies: []ShadowPolicy{nameless}}, "needs a name"},
		{ShadowPutInput{Group: "g", Policies: []ShadowPolicy{cpuPolicy("p", 0)}}, "TargetValue must be greater than 0"},
		{ShadowPutInput{Group: "g", Policies: []ShadowPolicy{simple}}, "has no alarm"},
		{ShadowPutInput{Group: "g", Policies: []ShadowPolicy{stray}}, "has no alarm"},
		{ShadowPutInput{Group: "g", Policies: []ShadowPolicy{{PutScalingPolicyInput: shape.PutScalingPolicyInput{PolicyName: new("f"), PolicyType: new(typePredictive)}}}}, "PredictiveScaling"},
		{ShadowPutInput{Group: "g", Policies: []ShadowPolicy{simple}, Alarms: []metrics.PutMetricAlarmInput{{AlarmName: new("a"), MetricName: new("m")}}}, "Threshold"},
	} {
		if _, err := w.ask(Name, "shadow-put", &x.in); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%v, want %s", err, x.want)
		}
	}
	for i := range shadowsAGroup + 1 {
		_, err := w.ask(Name, "shadow-put", &ShadowPutInput{Group: "g", Name: string(rune('a' + i)), Policies: []ShadowPolicy{cpuPolicy("p", 50)}})
		if (err != nil) != (i == shadowsAGroup) {
			t.Errorf("shadow %d: %v", i, err)
		}
	}
	if _, err := w.ask(Name, "shadow-delete", &ShadowInput{Group: "g", Name: "zz"}); err == nil {
		t.Error("deleted a shadow that there is not")
	}
	must[ShadowListOutput](w, Name, "shadow-delete", &ShadowInput{Group: "g", Name: "a"})
	if n := len(must[ShadowListOutput](w, Name, "shadow-list", &ShadowInput{Group: "g"}).Shadows); n != shadowsAGroup-1 {
		t.Errorf("%d are left", n)
	}
}
