package autoscaling

import (
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// past stores what a metric had in each minute of the last hours, as the sum of n samples.
func (w *world) past(hours int, namespace, metric string, n float64, load func(at time.Time) float64, dims ...cloudwatch.Dimension) {
	w.t.Helper()
	w.pull(&puppet{do: func(tx *cloud.Tx) {
		now := w.now.Truncate(time.Hour)
		for at := now.Add(-time.Duration(hours) * time.Hour); at.Before(now); at = at.Add(time.Minute) {
			v := load(at)
			w.s.cloudwatch.Put(tx, []cloudwatch.Datum{{Namespace: namespace, Metric: metric, Dimensions: dims, At: at,
				Stat: cloudwatch.Stat{Count: n, Sum: v, Min: v / n, Max: v / n}}})
		}
	}})
}

// office is the CPU that a group has together: 400 from 9 to 17, else 90.
func office(at time.Time) float64 {
	if h := at.Hour(); h >= 9 && h < 17 {
		return 400
	}
	return 90
}

func ofGroup() cloudwatch.Dimension {
	return cloudwatch.Dimension{Name: "AutoScalingGroupName", Value: "g"}
}

func forecasting(target float64, change func(*shape.PredictiveScalingConfiguration)) *shape.PutScalingPolicyInput {
	c := &shape.PredictiveScalingConfiguration{
		Mode: new(shape.PredictiveScalingModeForecastAndScale),
		MetricSpecifications: []shape.PredictiveScalingMetricSpecification{{TargetValue: &target,
			PredefinedMetricPairSpecification: &shape.PredictiveScalingPredefinedMetricPair{PredefinedMetricType: new("ASGCPUUtilization")}}},
	}
	if change != nil {
		change(c)
	}
	return &shape.PutScalingPolicyInput{AutoScalingGroupName: new("g"), PolicyName: new("p"), PolicyType: new(typePredictive),
		PredictiveScalingConfiguration: c}
}

// predictiveWorld is one with two weeks of office hours behind it, at 4:01.
func predictiveWorld(t *testing.T, hi int32, change func(*shape.PredictiveScalingConfiguration)) *world {
	w := scaledWorld(t, 1, hi, 1, nil)
	w.check = 0
	w.past(14*24, "AWS/EC2", "CPUUtilization", 4, office, ofGroup())
	must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", forecasting(50, change))
	return w
}

// until lets time pass until a time of day.
func (w *world) until(day, hour, minute int) {
	w.t.Helper()
	w.advance(time.Date(2026, 9, 27+day, hour, minute, 0, 0, time.UTC).Sub(w.now))
}

func (w *world) wants(desired, hi int) {
	w.t.Helper()
	if g := w.group("g"); g.DesiredCapacity != desired || g.MaxSize != hi {
		w.t.Fatalf("at %v: desired %d of %d, want %d of %d", w.now, g.DesiredCapacity, g.MaxSize, desired, hi)
	}
}

func TestPredictiveRaisesToTheForecast(t *testing.T) {
	w := predictiveWorld(t, 10, nil)
	w.until(0, 4, 54)
	w.wants(1, 10)
	w.until(0, 4, 56) // AS-PD-03: five minutes before the hour
	w.wants(2, 10)
	w.until(0, 8, 54)
	w.restart()
	w.check = 0
	w.wants(2, 10)
	w.until(0, 8, 56)
	w.wants(8, 10) // AS-PD-07: 400 / 50
	w.until(2, 12, 0)
	w.wants(8, 10) // AS-PD-04: never lowered
	want := "At 2026-09-27T08:55:00Z the forecast of 8 for the hour from 2026-09-27T09:00:00Z triggered policy p changing the desired capacity from 2 to 8."
	found := 0
	for _, cause := range w.causes() {
		if strings.HasPrefix(cause, want) {
			found++
		}
	}
	if found != 6 {
		t.Errorf("%d activities with the cause %q of %q", found, want, w.causes())
	}
	if st := w.standing("p"); st.Reason != "the forecast for the hour from 2026-09-29T12:00:00Z is 8, and the group wants 8 already" {
		t.Errorf("standing: %+v", st)
	}
}

func TestPredictiveMakesGoodWhatADeadServerMissed(t *testing.T) {
	w := predictiveWorld(t, 10, nil)
	w.until(0, 8, 50)
	w.now = w.now.Add(2*time.Hour + 30*time.Minute) // nobody was there
	w.restart()
	w.wants(8, 10)
}

func TestPredictiveForecastIsShown(t *testing.T) { // AS-PD-02, AS-PD-08
	w := predictiveWorld(t, 10, func(c *shape.PredictiveScalingConfiguration) { c.Mode = nil })
	w.until(0, 10, 0)
	w.wants(1, 10) // AS-PD-01: ForecastOnly
	ask := func(from, to time.Time) *shape.GetPredictiveScalingForecastOutput {
		return must[shape.GetPredictiveScalingForecastOutput](w, Name, "GetPredictiveScalingForecast", &shape.GetPredictiveScalingForecastInput{
			AutoScalingGroupName: new("g"), PolicyName: new("p"), StartTime: &from, EndTime: &to})
	}
	out := ask(start, start.Add(30*24*time.Hour))
	hours := out.CapacityForecast
	// From 4:00, when it was made first, until 48 hours after 9:00, when it was last made.
	if n := len(hours.Values); n != 5+49 || !hours.Timestamps[0].Equal(start) {
		t.Fatalf("%d hours from %v", n, hours.Timestamps[0])
	}
	for i, at := range hours.Timestamps {
		if want := float64(ForecastCapacity(office(at), 50)); hours.Values[i] != want || out.LoadForecast[0].Values[i] != office(at) {
			t.Errorf("%v: %v for %v, want %v", at, hours.Values[i], out.LoadForecast[0].Values[i], want)
		}
	}
	if want := start.Add(5*time.Hour + 55*time.Minute); !out.UpdateTime.Equal(want) {
		t.Errorf("made at %v, want %v", out.UpdateTime, want)
	}
	if out := ask(start.Add(9*time.Hour), start.Add(10*time.Hour)); len(out.CapacityForecast.Values) != 1 { // the end is exclusive
		t.Errorf("one hour: %v", out.CapacityForecast.Timestamps)
	}
	p := must[shape.DescribePoliciesOutput](w, Name, "DescribePolicies", &shape.DescribePoliciesInput{}).ScalingPolicies[0]
	if c := p.PredictiveScalingConfiguration; c == nil || *c.Mode != "ForecastOnly" || *c.MaxCapacityBreachBehavior != "HonorMaxCapacity" || p.AdjustmentType != nil {
		t.Errorf("shown as %+v", p)
	}
}

func TestPredictiveAtTheMaximum(t *testing.T) { // AS-PD-05
	w := predictiveWorld(t, 5, nil)
	w.until(0, 9, 0)
	w.wants(5, 5)
	w = predictiveWorld(t, 5, func(c *shape.PredictiveScalingConfiguration) {
		c.MaxCapacityBreachBehavior, c.MaxCapacityBuffer = new("IncreaseMaxCapacity"), new(int32(10))
	})
	w.until(0, 8, 54)
	w.wants(2, 5)
	w.until(0, 20, 0)
	w.wants(8, 9) // 8 and a tenth, rounded up; it stays
}

func TestPredictiveAndDynamic(t *testing.T) { // AS-PM-07: the larger of both
	w := predictiveWorld(t, 10, nil)
	must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{AutoScalingGroupName: new("g"),
		PolicyName: new("less"), AdjustmentType: new(exactCapacity), ScalingAdjustment: new(int32(1))})
	less := func() {
		must[shape.ExecutePolicyOutput](w, Name, "ExecutePolicy", &shape.ExecutePolicyInput{AutoScalingGroupName: new("g"), PolicyName: new("less")})
	}
	w.until(0, 8, 56)
	less()
	w.wants(8, 10) // the hour to come
	must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(10))})
	w.until(0, 12, 0)
	less()
	w.wants(8, 10)
	w.until(0, 16, 56) // the next hour is forecast at 2, but this one is not over
	less()
	w.wants(8, 10)
	w.until(0, 17, 0)
	less()
	w.wants(2, 10)
}

func TestPredictiveHolds(t *testing.T) {
	w := predictiveWorld(t, 10, nil)
	for _, process := range []string{"AlarmNotification", "ScheduledActions"} { // neither is about forecasts
		w.ask(Name, "SuspendProcesses", &shape.SuspendProcessesInput{AutoScalingGroupName: new("g"), ScalingProcesses: []string{process}})
	}
	w.until(0, 5, 0)
	w.wants(2, 10)
	w.ask(Name, "SuspendProcesses", &shape.SuspendProcessesInput{AutoScalingGroupName: new("g"), ScalingProcesses: []string{"Launch"}})
	w.until(0, 9, 0)
	w.wants(2, 10) // AS-SP-03
	w.ask(Name, "ResumeProcesses", &shape.ResumeProcessesInput{AutoScalingGroupName: new("g")})
	w.until(0, 9, 30)
	w.wants(2, 10)
	w.until(0, 10, 0)
	w.wants(8, 10)

	w = predictiveWorld(t, 10, nil)
	off := forecasting(50, nil)
	off.Enabled = new(false)
	must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", off)
	w.until(0, 12, 0)
	w.wants(1, 10) // AS-PM-05
	must[shape.DeletePolicyOutput](w, Name, "DeletePolicy", &shape.DeletePolicyInput{AutoScalingGroupName: new("g"), PolicyName: new("p")})
	if n := w.s.scaling.predictions.Table.Len(); n != 0 {
		t.Errorf("%d predictions of policies that are gone", n)
	}
}

func TestPredictiveNeedsADayOfHistory(t *testing.T) { // AS-PD-02
	w := scaledWorld(t, 1, 10, 1, nil)
	w.check = 0
	w.past(22, "AWS/EC2", "CPUUtilization", 1, func(time.Time) float64 { return 100 }, ofGroup())
	must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", forecasting(50, nil))
	now, later := w.now, w.now.Add(time.Hour)
	in := &shape.GetPredictiveScalingForecastInput{AutoScalingGroupName: new("g"), PolicyName: new("p"), StartTime: &now, EndTime: &later}
	if _, err := w.ask(Name, "GetPredictiveScalingForecast", in); err == nil || !strings.Contains(err.Error(), "at least 24 hours") {
		t.Errorf("a forecast of less than a day: %v", err)
	}
	for h := range 3 {
		w.until(0, 5+h, 0)
		w.past(1, "AWS/EC2", "CPUUtilization", 1, func(time.Time) float64 { return 100 }, ofGroup())
	}
	w.until(0, 8, 0)
	w.wants(2, 10)
}

// historyOf is the load that a policy with a specification looks back on, and what it is on an instance.
func historyOf(w *world, m shape.PredictiveScalingMetricSpecification) (loads []float64, perInstance float64) {
	m.TargetValue = new(1.0)
	w.pull(&puppet{do: func(tx *cloud.Tx) {
		g, _ := w.s.groups.Get(tx, "g")
		p := Policy{Predictive: &shape.PredictiveScalingConfiguration{MetricSpecifications: []shape.PredictiveScalingMetricSpecification{m}}}
		loads, perInstance = w.s.history(tx, g, p, w.now.Truncate(time.Hour))
	}})
	return loads, perInstance
}

func TestPredictiveLoads(t *testing.T) { // AS-PD-06, AS-PD-07
	const label = "app/front/1/targetgroup/web/2"
	w := scaledWorld(t, 1, 10, 1, nil)
	alb := []cloudwatch.Dimension{{Name: "LoadBalancer", Value: "app/front/1"}, {Name: "TargetGroup", Value: "targetgroup/web/2"}}
	one := func(v float64) func(time.Time) float64 { return func(time.Time) float64 { return v } }
	w.past(30, "AWS/EC2", "CPUUtilization", 4, one(200), ofGroup()) // 4 instances at 50 %
	w.past(30, "AWS/ApplicationELB", "RequestCountPerTarget", 1, one(30), alb...)
	w.past(3, "AWS/ApplicationELB", "RequestCount", 120, one(120), alb...)
	pair := func(kind, label string) shape.PredictiveScalingMetricSpecification {
		x := &shape.PredictiveScalingPredefinedMetricPair{PredefinedMetricType: &kind}
		if label != "" {
			x.ResourceLabel = &label
		}
		return shape.PredictiveScalingMetricSpecification{PredefinedMetricPairSpecification: x}
	}
	custom := func(namespace, name, stat string) []shape.MetricDataQuery {
		d := []shape.MetricDimension{{Name: new("AutoScalingGroupName"), Value: new("g")}}
		return []shape.MetricDataQuery{
			{Id: new("m1"), ReturnData: new(false), MetricStat: &shape.MetricStat{Stat: &stat,
				Metric: &shape.Metric{Namespace: &namespace, MetricName: &name, Dimensions: d}}},
			{Id: new("e1"), Expression: new("m1 / 2")},
		}
	}
	for _, x := range []struct {
		name            string
		spec            shape.PredictiveScalingMetricSpecification
		last, before, k float64
	}{
		{"CPU", pair("ASGCPUUtilization", ""), 200, 200, 1},
		{"requests, of which there were none before", pair("ALBRequestCount", label), 120, 0, 1},
		{"two of the same thing", shape.PredictiveScalingMetricSpecification{
			PredefinedLoadMetricSpecification:    &shape.PredictiveScalingPredefinedLoadMetric{PredefinedMetricType: new("ASGTotalCPUUtilization")},
			PredefinedScalingMetricSpecification: &shape.PredictiveScalingPredefinedScalingMetric{PredefinedMetricType: new("ASGAverageCPUUtilization")}}, 200, 200, 1},
		{"requests and CPU", shape.PredictiveScalingMetricSpecification{
			PredefinedLoadMetricSpecification:    &shape.PredictiveScalingPredefinedLoadMetric{PredefinedMetricType: new("ALBTargetGroupRequestCount"), ResourceLabel: new(label)},
			PredefinedScalingMetricSpecification: &shape.PredictiveScalingPredefinedScalingMetric{PredefinedMetricType: new("ASGAverageCPUUtilization")}}, 120, 0, 200. / 120},
		{"customized", shape.PredictiveScalingMetricSpecification{
			CustomizedLoadMetricSpecification:    &shape.PredictiveScalingCustomizedLoadMetric{MetricDataQueries: custom("AWS/EC2", "CPUUtilization", "Sum")},
			CustomizedScalingMetricSpecification: &shape.PredictiveScalingCustomizedScalingMetric{MetricDataQueries: custom("AWS/EC2", "CPUUtilization", "Average")}}, 6000, 6000, 25 * 4. / 6000},
	} {
		loads, k := historyOf(w, x.spec)
		if n := len(loads); n != HistoryUsed || loads[n-1] != x.last || loads[n-20] != x.before || k-x.k > 1e-9 || x.k-k > 1e-9 {
			t.Errorf("%s: %v before, %v last, %v per instance; want %v, %v, %v", x.name, loads[n-20], loads[n-1], k, x.before, x.last, x.k)
		}
	}
}

func TestPredictiveLeavesOutHoursThatWereHardlyMeasured(t *testing.T) {
	w := scaledWorld(t, 1, 10, 1, nil)
	w.pull(&puppet{do: func(tx *cloud.Tx) {
		for m := range 60 {
			at := w.now.Truncate(time.Hour).Add(time.Duration(m-120) * time.Minute)
			for k, minutes := range []int{40, 20} { // of the hour before the last 40 minutes, of the last one 20
				if m < minutes {
					w.s.cloudwatch.Put(tx, []cloudwatch.Datum{{Namespace: "AWS/EC2", Metric: "CPUUtilization",
						Dimensions: []cloudwatch.Dimension{ofGroup()}, At: at.Add(time.Duration(k) * time.Hour), Stat: cloudwatch.Single(70)}})
				}
			}
		}
	}})
	loads, _ := historyOf(w, forecasting(1, nil).PredictiveScalingConfiguration.MetricSpecifications[0])
	if n := len(loads); loads[n-2] != 70 || loads[n-1] == loads[n-1] {
		t.Errorf("40 minutes %v, 20 minutes %v", loads[n-2], loads[n-1])
	}
}

func TestPredictiveRefusals(t *testing.T) {
	w := scaledWorld(t, 1, 10, 1, nil)
	spec := func(change func(*shape.PredictiveScalingMetricSpecification)) func(*shape.PutScalingPolicyInput) {
		return func(in *shape.PutScalingPolicyInput) {
			change(&in.PredictiveScalingConfiguration.MetricSpecifications[0])
		}
	}
	for want, change := range map[string]func(*shape.PutScalingPolicyInput){
		"is required for policy type PredictiveScaling": func(in *shape.PutScalingPolicyInput) { in.PredictiveScalingConfiguration = nil },
		"Only PredictiveScalingConfiguration":           func(in *shape.PutScalingPolicyInput) { in.EstimatedInstanceWarmup = new(int32(1)) },
		"not supported for policy type StepScaling":     func(in *shape.PutScalingPolicyInput) { in.PolicyType = new(typeStep) },
		"Mode x": func(in *shape.PutScalingPolicyInput) { in.PredictiveScalingConfiguration.Mode = new("x") },
		"MaxCapacityBreachBehavior x": func(in *shape.PutScalingPolicyInput) {
			in.PredictiveScalingConfiguration.MaxCapacityBreachBehavior = new("x")
		},
		"MaxCapacityBuffer is only": func(in *shape.PutScalingPolicyInput) {
			in.PredictiveScalingConfiguration.MaxCapacityBuffer = new(int32(1))
		},
		"MaxCapacityBuffer is required": func(in *shape.PutScalingPolicyInput) {
			in.PredictiveScalingConfiguration.MaxCapacityBreachBehavior = new("IncreaseMaxCapacity")
		},
		"less than 3600": func(in *shape.PutScalingPolicyInput) {
			in.PredictiveScalingConfiguration.SchedulingBufferTime = new(int32(3600))
		},
		"Exactly one metric specification": func(in *shape.PutScalingPolicyInput) {
			c := in.PredictiveScalingConfiguration
			c.MetricSpecifications = append(c.MetricSpecifications, c.MetricSpecifications[0])
		},
		"TargetValue must be": spec(func(m *shape.PredictiveScalingMetricSpecification) { m.TargetValue = new(0.0) }),
		"metric type x is not valid": spec(func(m *shape.PredictiveScalingMetricSpecification) {
			m.PredefinedMetricPairSpecification.PredefinedMetricType = new("x")
		}),
		"must have the form": spec(func(m *shape.PredictiveScalingMetricSpecification) {
			m.PredefinedMetricPairSpecification.PredefinedMetricType = new("ALBRequestCount")
		}),
		"is not attached": spec(func(m *shape.PredictiveScalingMetricSpecification) {
			m.PredefinedMetricPairSpecification.PredefinedMetricType = new("ALBRequestCount")
			m.PredefinedMetricPairSpecification.ResourceLabel = new("app/a/1/targetgroup/b/2")
		}),
		"or a predefined metric pair": spec(func(m *shape.PredictiveScalingMetricSpecification) { m.PredefinedMetricPairSpecification = nil }),
		"must not be given together": spec(func(m *shape.PredictiveScalingMetricSpecification) {
			m.CustomizedLoadMetricSpecification = &shape.PredictiveScalingCustomizedLoadMetric{}
		}),
		"SEARCH is not supported": spec(func(m *shape.PredictiveScalingMetricSpecification) {
			*m = shape.PredictiveScalingMetricSpecification{TargetValue: m.TargetValue,
				PredefinedScalingMetricSpecification: &shape.PredictiveScalingPredefinedScalingMetric{PredefinedMetricType: new("ASGAverageCPUUtilization")},
				CustomizedLoadMetricSpecification: &shape.PredictiveScalingCustomizedLoadMetric{MetricDataQueries: []shape.MetricDataQuery{
					{Id: new("e1"), Expression: new("SUM(SEARCH('{AWS/EC2} CPU', 'Sum', 300))")}}}}
		}),
	} {
		in := forecasting(50, nil)
		change(in)
		if _, err := w.ask(Name, "PutScalingPolicy", in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", forecasting(50, nil))
	if _, err := w.ask(Name, "ExecutePolicy", &shape.ExecutePolicyInput{AutoScalingGroupName: new("g"), PolicyName: new("p")}); err == nil {
		t.Error("a predictive policy was executed")
	}
}
