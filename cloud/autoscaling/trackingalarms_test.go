package autoscaling

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	metrics "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

func TestMetricsOfTargetTracking(t *testing.T) { // AS-TT-06, AS-TT-16, AS-TT-17, AS-TT-18
	predefined := func(kind, label string) shape.TargetTrackingConfiguration {
		return shape.TargetTrackingConfiguration{PredefinedMetricSpecification: &shape.PredefinedMetricSpecification{PredefinedMetricType: &kind, ResourceLabel: &label}}
	}
	group := []cloudwatch.Dimension{{Name: "AutoScalingGroupName", Value: "g"}}
	queue := &shape.Metric{Namespace: new("N"), MetricName: new("Queue"), Dimensions: []shape.MetricDimension{{Name: new("Q"), Value: new("q")}}}
	for name, x := range map[string]struct {
		c    shape.TargetTrackingConfiguration
		want cloudwatch.Alarm
	}{
		"network": {predefined("ASGAverageNetworkIn", ""), cloudwatch.Alarm{Namespace: "AWS/EC2", MetricName: "NetworkIn", Statistic: "Average", Period: 60, Dimensions: group}},
		"requests": {predefined(requestCountPerTarget, "app/web/1/targetgroup/t/2"), cloudwatch.Alarm{Namespace: "AWS/ApplicationELB", MetricName: "RequestCountPerTarget",
			Statistic: "Sum", Period: 60, Dimensions: []cloudwatch.Dimension{{Name: "LoadBalancer", Value: "app/web/1"}, {Name: "TargetGroup", Value: "targetgroup/t/2"}}}},
		"customized": {shape.TargetTrackingConfiguration{CustomizedMetricSpecification: &shape.CustomizedMetricSpecification{
			Namespace: new("N"), MetricName: new("Queue"), Statistic: new("Maximum"), Unit: new("Count"), Period: new(int32(10))}},
			cloudwatch.Alarm{Namespace: "N", MetricName: "Queue", Statistic: "Maximum", Unit: "Count", Period: 10}},
		"math": {shape.TargetTrackingConfiguration{CustomizedMetricSpecification: &shape.CustomizedMetricSpecification{Metrics: []shape.TargetTrackingMetricDataQuery{
			{Id: new("m1"), ReturnData: new(false), MetricStat: &shape.TargetTrackingMetricStat{Metric: queue, Stat: new("Sum"), Period: new(int32(30))}},
			{Id: new("e1"), Expression: new("m1 / 2"), Label: new("half")}}}},
			cloudwatch.Alarm{Metrics: []cloudwatch.Query{
				{ID: "m1", Period: 30, Namespace: "N", MetricName: "Queue", Dimensions: []cloudwatch.Dimension{{Name: "Q", Value: "q"}}, Stat: "Sum"},
				{ID: "e1", Expression: "m1 / 2", Label: "half", ReturnData: true, Period: 30}}}},
	} {
		if diff := cmp.Diff(x.want, trackedMetric("g", x.c)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// publish puts a value of a metric of the client's own.
func (w *world) publish(metric string, v float64, resolution int32) {
	w.t.Helper()
	must[metrics.PutMetricDataOutput](w, cloudwatch.Name, "PutMetricData", &metrics.PutMetricDataInput{Namespace: new("N"), MetricData: []metrics.MetricDatum{
		{MetricName: &metric, Value: &v, Timestamp: new(w.now), StorageResolution: &resolution}}})
}

func customized(metric string, period int32) func(in *shape.PutScalingPolicyInput) {
	return func(in *shape.PutScalingPolicyInput) {
		in.TargetTrackingConfiguration.PredefinedMetricSpecification = nil
		in.TargetTrackingConfiguration.CustomizedMetricSpecification = &shape.CustomizedMetricSpecification{
			Namespace: new("N"), MetricName: &metric, Statistic: new("Average"), Period: &period}
	}
}

func TestHighResolutionTracking(t *testing.T) { // AS-TT-18
	w := scaledWorld(t, 1, 9, 2, nil)
	w.track("queue", 100, customized("Queue", 10))
	if low := w.alarm(w.policy("queue").Low); low.EvaluationPeriods != 90 || low.Period != 10 {
		t.Errorf("the low alarm still takes a quarter of an hour: %d of %d s", low.EvaluationPeriods, low.Period)
	}
	began := w.now
	for range 12 {
		w.publish("Queue", 250, 1)
		w.advance(10 * time.Second)
		if w.group("g").DesiredCapacity != 2 {
			break
		}
	}
	if n, after := w.group("g").DesiredCapacity, w.now.Sub(began); n != 5 || after > 50*time.Second {
		t.Errorf("%d after %v, want 5 within 50 s: %+v", n, after, w.standing("queue"))
	}
}

func TestPoliciesDueTogether(t *testing.T) { // AS-PM-03, AS-PM-04
	w := scaledWorld(t, 1, 20, 8, nil)
	w.track("a", 100, customized("A", 60))
	w.track("b", 100, customized("B", 60))
	// run shares two kinds of work among the instances for some minutes.
	run := func(minutes int, a, b float64) int {
		for range minutes {
			n := float64(len(w.running))
			w.publish("A", a/n, 60)
			w.publish("B", b/n, 60)
			w.advance(time.Minute)
		}
		return w.group("g").DesiredCapacity
	}
	if got := run(30, 80, 760); got != 8 {
		t.Errorf("one is not ready to scale in, so none does: %d; %s", got, w.standing("a").Reason)
	}
	if got := run(10, 80, 1200); got != 12 {
		t.Errorf("one is ready to scale out: %d; %s", got, w.standing("b").Reason)
	}
	if got := run(18, 80, 480); got >= 12 {
		t.Errorf("both are ready: %d; %s", got, w.standing("a").Reason)
	}
	if got := run(30, 80, 480); got != 5 {
		t.Errorf("the one that wants more decides where it ends: %d; %s; %s", got, w.standing("a").Reason, w.standing("b").Reason)
	}
}

func TestAlarmsOfTheSameMinute(t *testing.T) { // AS-PM-03: 8 instances, -3 and -25 %
	w := scaledWorld(t, 0, 20, 8, func(in *shape.CreateAutoScalingGroupInput) { in.DefaultCooldown = new(int32(0)) })
	put := func(name, kind string, n int32) string {
		return *must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{
			AutoScalingGroupName: new("g"), PolicyName: &name, AdjustmentType: &kind, ScalingAdjustment: &n}).PolicyARN
	}
	w.putAlarm("one", "LessThanThreshold", 5, put("three", changeInCapacity, -3))
	w.putAlarm("two", "LessThanThreshold", 5, put("quarter", percentChangeInCapacity, -25))
	for range 5 {
		w.load(1, 0)
		if w.group("g").DesiredCapacity != 8 {
			break
		}
	}
	if g := w.group("g"); g.DesiredCapacity != 6 || !w.standing("quarter").Changed || w.standing("three").Changed {
		t.Errorf("%d; %+v; %+v", g.DesiredCapacity, w.standing("three"), w.standing("quarter"))
	}
}

// An alarm that is put into ALARM by hand calls its policies as well, with the newest data point if there is one.
func TestAlarmStateByHand(t *testing.T) {
	w := scaledWorld(t, 0, 20, 2, nil)
	arn := *must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{
		AutoScalingGroupName: new("g"), PolicyName: new("steps"), PolicyType: new(typeStep), AdjustmentType: new(changeInCapacity),
		StepAdjustments: []shape.StepAdjustment{between(0, open, 2)}}).PolicyARN
	w.putAlarm("busy", "GreaterThanThreshold", 50, arn)
	out := w.step(cloud.Call{Scope: here, Service: cloudwatch.Name, Operation: "SetAlarmState", In: &metrics.SetAlarmStateInput{
		AlarmName: new("busy"), StateValue: new(cloudwatch.StateAlarm), StateReason: new("a test")}})
	if g := w.group("g"); out.Err != nil || g.DesiredCapacity != 4 {
		t.Errorf("%v, %d; %+v", out.Err, g.DesiredCapacity, w.standing("steps"))
	}
}
