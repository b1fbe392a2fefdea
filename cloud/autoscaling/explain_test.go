package autoscaling

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	metrics "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
)

// told is a scaled world that keeps what explanations need.
func told(t testing.TB, lo, hi, desired int32, change func(*shape.CreateAutoScalingGroupInput)) *world {
	t.Helper()
	w := scaledWorld(t, lo, hi, desired, change)
	w.s.Remember()
	w.do(func(tx *cloud.Tx) { w.s.openDiary(tx, "g") })
	w.advance(time.Minute)
	return w
}

func (w *world) explain(at time.Time) Explanation {
	w.t.Helper()
	return must[ExplainOutput](w, Name, "explain", &ExplainInput{Group: "g", At: at.Format(time.RFC3339Nano)}).Evaluations[0]
}

// step puts a step policy with an alarm on the group's CPU that calls it after m of n minutes.
func (w *world) stepping(name string, adjustment int32, from, threshold float64, m, n int32) {
	w.t.Helper()
	s := shape.StepAdjustment{ScalingAdjustment: &adjustment, MetricIntervalLowerBound: &from}
	operator := "GreaterThanThreshold"
	if adjustment < 0 {
		s.MetricIntervalLowerBound, s.MetricIntervalUpperBound, operator = nil, &from, "LessThanThreshold"
	}
	p := must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{AutoScalingGroupName: new("g"), PolicyName: &name,
		PolicyType: new(typeStep), AdjustmentType: new(changeInCapacity), StepAdjustments: []shape.StepAdjustment{s}})
	w.alarmed(name, operator, threshold, m, n, *p.PolicyARN)
}

func (w *world) simple(name string, adjustment int32, threshold float64) {
	w.t.Helper()
	p := must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{AutoScalingGroupName: new("g"), PolicyName: &name,
		AdjustmentType: new(changeInCapacity), ScalingAdjustment: &adjustment})
	w.alarmed(name, "GreaterThanThreshold", threshold, 1, 1, *p.PolicyARN)
}

func (w *world) alarmed(name, operator string, threshold float64, m, n int32, actions ...string) {
	w.t.Helper()
	must[metrics.PutMetricAlarmOutput](w, "cloudwatch", "PutMetricAlarm", &metrics.PutMetricAlarmInput{AlarmName: new(name + " alarm"),
		Namespace: new("AWS/EC2"), MetricName: new("CPUUtilization"), Statistic: new("Average"), Period: new(int32(60)),
		Dimensions:        []metrics.Dimension{{Name: new("AutoScalingGroupName"), Value: new("g")}},
		EvaluationPeriods: &n, DatapointsToAlarm: &m, ComparisonOperator: &operator, Threshold: &threshold, AlarmActions: actions})
}

func (w *world) desire(n int32) {
	w.t.Helper()
	must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: &n})
}

func (w *world) suspend(process string) {
	w.t.Helper()
	must[shape.SuspendProcessesOutput](w, Name, "SuspendProcesses", &shape.SuspendProcessesInput{AutoScalingGroupName: new("g"), ScalingProcesses: []string{process}})
}

// situations are ways in which something or nothing happens; code is what an explanation at their end says.
var situations = []struct {
	name, code, reason string
	build              func(t testing.TB, change func(*world)) *world // change comes before the load
}{
	{"at rest", CodeInBand, "in the band from 35 to 50 %", func(t testing.TB, change func(*world)) *world {
		return tracked50(t, 1, 4, 2, change, 20, 84)
	}},
	{"scales out", CodeOut, "that takes 2", func(t testing.TB, change func(*world)) *world {
		return tracked50(t, 1, 4, 1, change, 4, 80)
	}},
	{"two of three", CodeTooFew, "2 of the last 3 data points of CPUUtilization are above 50 %; it takes 3", func(t testing.TB, change func(*world)) *world {
		w := tracked50(t, 1, 4, 1, change, 5, 40)
		w.load(3, 80)
		return w
	}},
	{"two of three at the max", CodeTooFew, "it takes 3", func(t testing.TB, change func(*world)) *world {
		w := tracked50(t, 1, 1, 1, change, 5, 40)
		w.load(3, 80)
		return w
	}},
	{"no data", CodeNoData, "none of the last 3 minutes had data", func(t testing.TB, change func(*world)) *world {
		w := tracked50(t, 1, 4, 2, change, 0, 0)
		w.advance(20 * time.Minute)
		return w
	}},
	{"at the max", CodeMax, "the max size is 2", func(t testing.TB, change func(*world)) *world {
		return tracked50(t, 1, 2, 2, change, 6, 180)
	}},
	{"at the min", CodeMin, "the min size is 2", func(t testing.TB, change func(*world)) *world {
		return tracked50(t, 2, 4, 2, change, 20, 10)
	}},
	{"removing one would go above the target (AS-TT-11)", CodeTarget, "that takes 2", func(t testing.TB, change func(*world)) *world {
		return tracked50(t, 1, 4, 2, change, 20, 60)
	}},
	{"enough is there", CodeEnough, "there are or will be 2", func(t testing.TB, change func(*world)) *world {
		w := tracked50(t, 1, 4, 1, change, 2, 200)
		w.boot = 10 * time.Minute
		w.load(4, 200)
		return w
	}},
	{"an instance warms up", CodeWarming, "1 instances are warming up", func(t testing.TB, change func(*world)) *world {
		w := tracked50(t, 1, 4, 2, change, 20, 60)
		must[shape.UpdateAutoScalingGroupOutput](w, Name, "UpdateAutoScalingGroup", &shape.UpdateAutoScalingGroupInput{AutoScalingGroupName: new("g"), DefaultInstanceWarmup: new(int32(230))})
		w.desire(3)
		w.load(4, 40)
		return w
	}},
	{"a launch goes on", CodePending, "a scale-out is in progress", func(t testing.TB, change func(*world)) *world {
		w := tracked50(t, 1, 4, 2, change, 20, 60)
		w.boot = 3 * time.Minute
		w.desire(3)
		w.load(2, 60)
		return w
	}},
	{"disabled", CodeDisabled, "the policy is disabled", func(t testing.TB, change func(*world)) *world {
		w := told(t, 1, 4, 1, nil)
		w.track("cpu", 50, func(in *shape.PutScalingPolicyInput) { in.Enabled = new(false) })
		change(w)
		w.load(6, 80)
		return w
	}},
	{"Launch is suspended", CodeSuspended, "Launch is suspended", func(t testing.TB, change func(*world)) *world {
		return tracked50(t, 1, 4, 1, func(w *world) { w.suspend("Launch"); change(w) }, 6, 80)
	}},
	{"AlarmNotification is suspended", CodeSuspended, "AlarmNotification is suspended", func(t testing.TB, change func(*world)) *world {
		return tracked50(t, 1, 4, 1, func(w *world) { w.suspend("AlarmNotification"); change(w) }, 6, 80)
	}},
	{"cooldown", CodeCooldown, "the cooldown lasts until", func(t testing.TB, change func(*world)) *world {
		w := told(t, 1, 4, 1, nil)
		w.advance(6 * time.Minute)
		w.simple("add", 1, 60)
		change(w)
		w.load(6, 400)
		return w
	}},
	{"an activity goes on", CodeActivity, "is in progress", func(t testing.TB, change func(*world)) *world {
		w := told(t, 1, 4, 1, nil)
		w.advance(6 * time.Minute)
		w.boot = 5 * time.Minute
		w.simple("add", 1, 60)
		change(w)
		w.load(4, 400)
		return w
	}},
	{"no alarm", CodeNoAlarm, "no alarm calls the policy", func(t testing.TB, change func(*world)) *world {
		w := told(t, 1, 4, 1, nil)
		w.stepping("add", 1, 0, 50, 1, 1)
		must[metrics.DeleteAlarmsOutput](w, "cloudwatch", "DeleteAlarms", &metrics.DeleteAlarmsInput{AlarmNames: []string{"add alarm"}})
		w.load(6, 90)
		return w
	}},
	{"actions are disabled", CodeNoActions, "its actions are disabled", func(t testing.TB, change func(*world)) *world {
		w := told(t, 1, 4, 1, nil)
		w.stepping("add", 1, 0, 50, 1, 1)
		must[metrics.DisableAlarmActionsOutput](w, "cloudwatch", "DisableAlarmActions", &metrics.DisableAlarmActionsInput{AlarmNames: []string{"add alarm"}})
		change(w)
		w.load(6, 90)
		return w
	}},
	{"no step is for it", CodeNoStep, "no step is for that", func(t testing.TB, change func(*world)) *world {
		w := told(t, 1, 4, 1, nil)
		w.stepping("add", 1, 20, 50, 1, 1)
		change(w)
		w.load(6, 60)
		return w
	}},
	{"another policy is not ready", CodeOther, "is not ready to scale in", func(t testing.TB, change func(*world)) *world {
		w := tracked50(t, 1, 4, 2, change, 0, 0)
		w.track("memory", 25, nil)
		w.load(20, 46)
		return w
	}},
	{"no policy", CodeNoPolicy, "no policies", func(t testing.TB, change func(*world)) *world {
		w := told(t, 1, 4, 2, nil)
		w.load(5, 50)
		return w
	}},
}

// tracked50 is a group with a target of 50 % after minutes of work.
func tracked50(t testing.TB, lo, hi, desired int32, change func(*world), minutes int, work float64) *world {
	t.Helper()
	w := told(t, lo, hi, desired, nil)
	w.track("cpu", 50, nil)
	change(w)
	w.load(minutes, work)
	return w
}

func TestWhyNothingHappened(t *testing.T) {
	for _, x := range situations {
		t.Run(x.name, func(t *testing.T) {
			w := x.build(t, func(*world) {})
			e := w.explain(w.now)
			said := e.Reason
			for _, p := range e.Policies {
				said += "\n" + p.Reason
			}
			if e.Code != x.code || !strings.Contains(said, x.reason) {
				t.Errorf("%s: %s, want %s: %s", e.Code, said, x.code, x.reason)
			}
			if e.To != w.group("g").DesiredCapacity || (e.Code != CodeOut) == (e.To != e.From) {
				t.Errorf("from %d to %d, the group has %d", e.From, e.To, w.group("g").DesiredCapacity)
			}
			for _, c := range e.Counterfactuals {
				t.Logf("%5.2f %s: %s -> %d", c.Distance, c.Kind, c.Change, c.Desired)
				if c.Desired == e.To {
					t.Errorf("%s would change nothing", c.Change)
				}
			}
			if len(e.Notes) != 0 {
				t.Errorf("%q", e.Notes)
			}
			w.restart()
			if again := w.explain(e.At); fmt.Sprint(again.Code, again.Reason, again.Counterfactuals) != fmt.Sprint(e.Code, e.Reason, e.Counterfactuals) {
				t.Errorf("after a restart: %+v, before: %+v", again, e)
			}
		})
	}
}

func (e *Explanation) counterfactual(t *testing.T, kind string) Counterfactual {
	t.Helper()
	for _, c := range e.Counterfactuals {
		if c.Kind == kind {
			return c
		}
	}
	t.Fatalf("there is no counterfactual of kind %s: %+v", kind, e.Counterfactuals)
	return Counterfactual{}
}

// Each counterfactual is made so, in a world that is otherwise the same: it must come true.
func TestCounterfactualsComeTrue(t *testing.T) {
	situation := func(name string) func(testing.TB, func(*world)) *world {
		for _, x := range situations {
			if x.name == name {
				return x.build
			}
		}
		t.Fatal(name)
		return nil
	}
	update := func(change func(*shape.UpdateAutoScalingGroupInput)) func(*world) {
		return func(w *world) {
			in := &shape.UpdateAutoScalingGroupInput{AutoScalingGroupName: new("g")}
			change(in)
			must[shape.UpdateAutoScalingGroupOutput](w, Name, "UpdateAutoScalingGroup", in)
		}
	}
	for _, x := range []struct {
		situation, kind, want string
		change                func(*world)              // before the load
		after                 func(w *world)            // what follows on the situation
		instead               func(t testing.TB) *world // the situation with other data
	}{
		{situation: "two of three", kind: "minutes", want: "1 minute more with CPUUtilization above 50 % (2 of 3 were, and it takes 3)",
			after: func(w *world) { w.load(1, 80) }},
		{situation: "at rest", kind: "minutes", want: "3 minutes more with CPUUtilization above 50 % (0 of 3 were, and it takes 3)",
			after: func(w *world) { w.load(4, 100.2) }},
		{situation: "at the max", kind: "max", want: "max size 3 instead of 2",
			change: update(func(in *shape.UpdateAutoScalingGroupInput) { in.MaxSize = new(int32(3)) })},
		{situation: "at the min", kind: "min", want: "min size 1 instead of 2",
			change: update(func(in *shape.UpdateAutoScalingGroupInput) { in.MinSize = new(int32(1)) })},
		{situation: "an instance warms up", kind: "wait", want: "is warm", after: func(w *world) { w.load(1, 40) }},
		{situation: "disabled", kind: "enable", want: "policy cpu enabled",
			change: func(w *world) { w.track("cpu", 50, nil) }},
		{situation: "Launch is suspended", kind: "resume", want: "process Launch not suspended", change: resume("Launch")},
		{situation: "AlarmNotification is suspended", kind: "resume", want: "process AlarmNotification not suspended", change: resume("AlarmNotification")},
		{situation: "actions are disabled", kind: "actions", want: "the actions of alarm add alarm enabled", change: func(w *world) {
			must[metrics.EnableAlarmActionsOutput](w, "cloudwatch", "EnableAlarmActions", &metrics.EnableAlarmActionsInput{AlarmNames: []string{"add alarm"}})
		}},
		{situation: "no step is for it", kind: "threshold", want: "a threshold of 40 % or less instead of 50 % for alarm add alarm",
			change: func(w *world) {
				p := must[shape.DescribePoliciesOutput](w, Name, "DescribePolicies", &shape.DescribePoliciesInput{}).ScalingPolicies[0]
				w.alarmed("add", "GreaterThanThreshold", 40, 1, 1, *p.PolicyARN)
			}},
		{situation: "another policy is not ready", kind: "without", want: "without policy memory", change: nil,
			after: func(w *world) {
				must[shape.DeletePolicyOutput](w, Name, "DeletePolicy", &shape.DeletePolicyInput{AutoScalingGroupName: new("g"), PolicyName: new("memory")})
				w.load(1, 46)
			}},
		{situation: "removing one would go above the target (AS-TT-11)", kind: "value", want: "CPUUtilization of 25 % or less instead of 30 % at 04:20:00",
			instead: func(t testing.TB) *world {
				w := tracked50(t, 1, 4, 2, func(*world) {}, 18, 60)
				w.load(1, 50)
				w.load(1, 60)
				return w
			}},
		{situation: "no step is for it", kind: "value", want: "CPUUtilization of 70 % or more instead of 60 % at",
			instead: func(t testing.TB) *world {
				w := told(t, 1, 4, 1, nil)
				w.stepping("add", 1, 20, 50, 1, 1)
				w.load(4, 60)
				w.load(1, 70)
				w.load(1, 60)
				return w
			}},
		{situation: "two of three at the max", kind: "minutes", want: "max size 2 instead of 1, and 1 minute more with CPUUtilization above 50 %",
			change: update(func(in *shape.UpdateAutoScalingGroupInput) { in.MaxSize = new(int32(2)) }), after: func(w *world) { w.load(1, 80) }},
		{situation: "at rest", kind: "target", want: "a target of less than 42 instead of 50 for policy cpu",
			change: func(w *world) { w.track("cpu", 41.9, nil) }},
		{situation: "cooldown", kind: "wait", want: "the cooldown is over", after: func(w *world) { w.load(2, 400) }},
	} {
		t.Run(x.situation+", "+x.kind, func(t *testing.T) {
			w := situation(x.situation)(t, func(*world) {})
			e := w.explain(w.now)
			c := e.counterfactual(t, x.kind)
			if !strings.Contains(c.Change, x.want) {
				t.Errorf("%s, want %s", c.Change, x.want)
			}
			if x.instead != nil {
				w = x.instead(t)
			}
			if x.change != nil {
				w = situation(x.situation)(t, x.change)
			}
			before := w.group("g").DesiredCapacity
			if x.after != nil {
				x.after(w)
			}
			// A change that came early has had its effect at the first call; what follows is another matter.
			reached := w.group("g").DesiredCapacity
			for _, cause := range w.causes() {
				if strings.Contains(cause, fmt.Sprintf("changing the desired capacity from %d to %d", e.To, c.Desired)) {
					reached = c.Desired
				}
			}
			if reached != c.Desired {
				t.Errorf("%s: should come to %d, came from %d to %d\n%s", c.Change, c.Desired, before, reached, strings.Join(w.causes(), "\n"))
			}
		})
	}
}

func resume(process string) func(*world) {
	return func(w *world) {
		must[shape.ResumeProcessesOutput](w, Name, "ResumeProcesses", &shape.ResumeProcessesInput{AutoScalingGroupName: new("g"), ScalingProcesses: []string{process}})
	}
}

// What is said of an instant later, also after a restart, is what was said then; and it is what happened.
func TestThePastIsToldAsItWas(t *testing.T) {
	w := told(t, 1, 6, 2, func(in *shape.CreateAutoScalingGroupInput) { in.DefaultInstanceWarmup = new(int32(90)) })
	w.track("cpu", 50, nil)
	w.stepping("burst", 2, 0, 85, 1, 2)
	tell := func(e Explanation) string {
		e.Activities, e.At, e.Group.Young, e.Group.Warming = nil, time.Time{}, nil, nil
		for i := range e.Policies {
			e.Policies[i].Measured = 0 // of quiet policies: kept for some minutes only
		}
		b, _ := json.Marshal(e)
		return string(b)
	}
	type moment struct {
		at   time.Time
		said string
	}
	var past []moment
	codes := map[string]int{}
	for i := range 150 {
		switch i {
		case 40:
			w.suspend("AlarmNotification")
		case 50:
			resume("AlarmNotification")(w)
		case 70:
			w.track("cpu", 40, nil)
		case 90:
			w.stepping("burst", 1, 0, 70, 2, 3)
		}
		before := w.group("g").DesiredCapacity
		w.load(1, 200+190*math.Sin(float64(i)/8))
		e := w.explain(w.now)
		if after := w.group("g").DesiredCapacity; e.From != before || e.To != after || len(e.Notes) > 0 {
			t.Fatalf("%v: from %d to %d, told as from %d to %d: %s %q", w.now, before, after, e.From, e.To, e.Reason, e.Notes)
		}
		codes[e.Code]++
		if e.To != e.From {
			a := e.Activities[0]
			if !a.Decided || a.ID == "" || !strings.Contains(a.Cause, "triggered policy "+e.Winner) {
				t.Errorf("%v: %+v", w.now, e.Activities)
			}
		}
		past = append(past, moment{w.now, tell(e)})
	}
	if len(codes) < 6 {
		t.Errorf("too little happened: %v", codes)
	}
	w.restart()
	for _, m := range past {
		if again := tell(w.explain(m.at)); again != m.said {
			t.Fatalf("%v\nthen  %s\nlater %s", m.at, m.said, again)
		}
	}
	// The list says the same, in parts.
	in, n := ExplainInput{Group: "g", Last: "2h", At: w.now.Format(time.RFC3339)}, 0
	for range 10 {
		out := must[ExplainOutput](w, Name, "explain", &in)
		for _, e := range out.Evaluations {
			if one := w.explain(e.Due); one.Code != e.Code || one.Reason != e.Reason || one.To != e.To {
				t.Errorf("%v: %s %s, alone %s %s", e.Due, e.Code, e.Reason, one.Code, one.Reason)
			}
			n++
		}
		if in.After = out.Next; out.Next.IsZero() {
			break
		}
	}
	if n != 120 {
		t.Errorf("%d evaluations in two hours", n)
	}
}

func TestExplainRefuses(t *testing.T) {
	w := told(t, 1, 4, 1, nil)
	w.track("cpu", 50, nil)
	w.load(30, 20)
	for _, x := range []struct {
		in   ExplainInput
		want string
	}{
		{ExplainInput{Group: "nope"}, "there is no group nope; there are g"},
		{ExplainInput{Group: "g", Region: "mars"}, "there is no group g in mars; there is one in us-east-1"},
		{ExplainInput{Group: "g", At: "2030-01-01T00:00:00Z"}, "is in the future: the cloud's clock shows 2026-09-27 04:3"},
		{ExplainInput{Group: "g", At: "24h"}, "is before group g was made"},
		{ExplainInput{Group: "g", At: "noon"}, "is no time: write it as"},
		{ExplainInput{Group: "g", At: "-1"}, "is no time: write it as"},
		{ExplainInput{Group: "g", Last: "soon"}, "--last takes a duration"},
		{ExplainInput{Group: "g", Last: "48h"}, "--last takes a duration"},
	} {
		if _, err := w.ask(Name, "explain", &x.in); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%+v: %v, want %s", x.in, err, x.want)
		}
	}
	for _, x := range []struct{ text, want string }{
		{"04:20", "04:20:00"}, {"04:20:30", "04:20:30"}, {"5m", w.now.Add(-5 * time.Minute).Format("15:04:05")},
		{"5m ago", w.now.Add(-5 * time.Minute).Format("15:04:05")}, {"2026-09-27T04:10:00Z", "04:10:00"}, {"2026-09-27 04:10", "04:10:00"},
		{"2026-09-27T06:10:00+02:00", "04:10:00"}, {"23:59", "23:59:00"}, {"", w.now.Format("15:04:05")},
	} {
		at, err := Moment(x.text, w.now)
		if err != nil || at.Format("15:04:05") != x.want || at.After(w.now) {
			t.Errorf("%s: %v %v, want %s", x.text, at, err, x.want)
		}
	}
	quiet := scaledWorld(t, 1, 4, 1, nil)
	if _, err := quiet.ask(Name, "explain", &ExplainInput{Group: "g"}); err == nil {
		t.Error("explained without anything kept")
	}
}

// What is kept is bounded, and what is said to be kept can be explained.
func TestOldEvaluationsAreForgotten(t *testing.T) {
	w := told(t, 1, 4, 2, nil)
	w.track("cpu", 50, nil)
	for range 30 {
		w.load(60, 10) // the low alarm calls every minute
	}
	rows := 0
	w.cloud.Dump(func(table, key string, row any) bool {
		if table == Name+".evaluations" {
			rows++
		}
		return true
	})
	if rows < minutesKept || rows > minutesKept+15 {
		t.Errorf("%d rows", rows)
	}
	if _, err := w.ask(Name, "explain", &ExplainInput{Group: "g", At: "28h"}); err == nil || !strings.Contains(err.Error(), "is kept from") {
		t.Error(err)
	}
	if e := w.explain(w.now.Add(-23 * time.Hour)); e.Code != CodeTarget || len(e.Notes) > 0 {
		t.Errorf("%+v", e)
	}
}

func TestExplainOfSeveralPolicies(t *testing.T) {
	w := told(t, 1, 9, 2, nil)
	w.stepping("little", 1, 0, 50, 1, 1)
	w.stepping("much", 3, 0, 50, 1, 1)
	for range 6 {
		if w.load(1, 180); w.group("g").DesiredCapacity > 2 {
			break
		}
	}
	e := w.explain(w.now)
	if e.Winner != "much" || e.To != 5 || e.Policies[0].Code != CodeOutvoted || *e.Policies[0].Wants != 3 || e.Policies[1].Code != CodeOut {
		t.Errorf("%+v", e)
	}
	if c := e.counterfactual(t, "without"); c.Change != "without policy much" || c.Desired != 3 {
		t.Errorf("%+v", c)
	}
	// An alarm that is gone is still told of.
	at := w.now
	must[metrics.DeleteAlarmsOutput](w, "cloudwatch", "DeleteAlarms", &metrics.DeleteAlarmsInput{AlarmNames: []string{"much alarm"}})
	must[shape.DeletePolicyOutput](w, Name, "DeletePolicy", &shape.DeletePolicyInput{AutoScalingGroupName: new("g"), PolicyName: new("little")})
	w.load(3, 20)
	later := w.explain(at)
	if len(later.Policies) != 2 || len(later.Policies[1].Alarms) != 1 || later.Policies[1].Alarms[0].State != "ALARM" || later.Winner != "much" || len(later.Notes) > 0 {
		t.Errorf("%+v", later)
	}
	if now := w.explain(w.now); len(now.Policies) != 1 || now.Policies[0].Code != CodeNoAlarm {
		t.Errorf("%+v", now)
	}
}

// What one alarm needs is not told of another one that looks at the same data.
func TestCounterfactualsOfTwoAlarmsOnOneMetric(t *testing.T) {
	w := told(t, 1, 9, 2, nil)
	w.track("tracking", 50, nil)
	w.stepping("step", 1, 0, 70, 2, 3)
	w.load(20, 84)
	var said []string
	for _, c := range w.explain(w.now).Counterfactuals {
		if c.Kind == "minutes" {
			said = append(said, c.Change)
		}
	}
	all := strings.Join(said, "\n")
	if strings.Count(all, "2 minutes more") != 1 || !strings.Contains(all, "3 minutes more with CPUUtilization above 50 %") {
		t.Error(all)
	}
}

func TestExplainOfAPolicyThatWasExecuted(t *testing.T) {
	w := told(t, 1, 9, 2, nil)
	w.stepping("add", 1, 0, 50, 1, 1)
	w.advance(20 * time.Second)
	must[shape.ExecutePolicyOutput](w, Name, "ExecutePolicy", &shape.ExecutePolicyInput{AutoScalingGroupName: new("g"), PolicyName: new("add"),
		MetricValue: new(60.0), BreachThreshold: new(50.0)})
	e := w.explain(w.now)
	if !e.Policies[0].ByHand || e.From != 2 || e.To != 3 || len(e.Activities) != 1 || !e.Activities[0].Decided || !e.Decided.Equal(w.now) {
		t.Errorf("%+v", e)
	}
}

// Alarms of ten seconds are evaluated every ten.
func TestExplainOfShortPeriods(t *testing.T) {
	w := told(t, 1, 9, 2, nil)
	p := must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{AutoScalingGroupName: new("g"), PolicyName: new("fast"),
		PolicyType: new(typeStep), AdjustmentType: new(changeInCapacity), StepAdjustments: []shape.StepAdjustment{{ScalingAdjustment: new(int32(1)), MetricIntervalLowerBound: new(0.0)}}})
	must[metrics.PutMetricAlarmOutput](w, "cloudwatch", "PutMetricAlarm", &metrics.PutMetricAlarmInput{AlarmName: new("fast"), Namespace: new("App"), MetricName: new("Queue"),
		Statistic: new("Maximum"), Period: new(int32(10)), EvaluationPeriods: new(int32(2)), ComparisonOperator: new("GreaterThanOrEqualToThreshold"), Threshold: new(100.0),
		AlarmActions: []string{*p.PolicyARN}})
	for i := range 6 {
		must[metrics.PutMetricDataOutput](w, "cloudwatch", "PutMetricData", &metrics.PutMetricDataInput{Namespace: new("App"), MetricData: []metrics.MetricDatum{
			{MetricName: new("Queue"), Value: new(90.0 + 5*float64(i)), StorageResolution: new(int32(1))}}})
		w.advance(10 * time.Second)
	}
	e := w.explain(w.now) // 90 95 100 105 110, the newest ten seconds are not looked at yet
	if len(e.Notes) > 0 || w.group("g").DesiredCapacity != 3 {
		t.Fatalf("%+v", e)
	}
	first := w.explain(w.now.Add(-20 * time.Second))
	if first.Code != CodeTooFew || first.counterfactual(t, "minutes").Change != "1 period of 10 s more with Queue at or above 100 (1 of 2 was, and it takes 2)" {
		t.Errorf("%+v", first)
	}
	list := must[ExplainOutput](w, Name, "explain", &ExplainInput{Group: "g", Last: "1m"}).Evaluations
	if len(list) != 6 {
		t.Errorf("%d evaluations in a minute", len(list))
	}
	for _, x := range list {
		if x.Code != CodeOut {
			continue
		}
		must[metrics.PutMetricDataOutput](w, "cloudwatch", "PutMetricData", &metrics.PutMetricDataInput{Namespace: new("App"), MetricData: []metrics.MetricDatum{
			{MetricName: new("Queue"), Value: new(500.0), StorageResolution: new(int32(1)), Timestamp: new(x.Due.Add(-15 * time.Second))}}})
		if again := w.explain(x.Due); again.Code != CodeOut || len(again.Notes) != 1 || !strings.Contains(again.Notes[0], "data has come since") {
			t.Errorf("%+v", again)
		}
		return
	}
	t.Error("none of them scaled out")
}
