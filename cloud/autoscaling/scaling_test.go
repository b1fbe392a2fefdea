package autoscaling

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	metrics "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// ask makes a call and gives its answer and error.
func (w *world) ask(service, op string, in any) (any, error) {
	w.t.Helper()
	out := w.step(cloud.Call{Scope: here, RequestID: "r", Service: service, Operation: op, In: in})
	return out.Reply, out.Err
}

// must makes a call that has to succeed.
func must[Out any](w *world, service, op string, in any) *Out {
	w.t.Helper()
	reply, err := w.ask(service, op, in)
	if err != nil {
		w.t.Fatalf("%s: %v", op, err)
	}
	return reply.(*Out)
}

// scaledWorld is a world with a group "g" of lo to hi instances; warm-up is 0 unless changed.
func scaledWorld(t testing.TB, lo, hi, desired int32, change func(*shape.CreateAutoScalingGroupInput)) *world {
	w := newWorld(t, 1)
	must[shape.CreateLaunchConfigurationOutput](w, Name, "CreateLaunchConfiguration", &shape.CreateLaunchConfigurationInput{
		LaunchConfigurationName: new("lc"), ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.micro"),
		InstanceMonitoring: &shape.InstanceMonitoring{Enabled: new(true)}})
	in := &shape.CreateAutoScalingGroupInput{
		AutoScalingGroupName: new("g"), LaunchConfigurationName: new("lc"), MinSize: &lo, MaxSize: &hi, DesiredCapacity: &desired,
		AvailabilityZones: []string{"us-east-1a", "us-east-1b"}, DefaultInstanceWarmup: new(int32(0)),
	}
	if change != nil {
		change(in)
	}
	must[shape.CreateAutoScalingGroupOutput](w, Name, "CreateAutoScalingGroup", in)
	w.advance(time.Minute)
	return w
}

// load lets minutes pass in which the instances share some work: 100 is all that one instance can do.
func (w *world) load(minutes int, work float64) {
	w.t.Helper()
	for range minutes {
		next := w.now.Truncate(time.Minute).Add(time.Minute)
		w.advance(next.Sub(w.now))
		var ids []string
		for id := range w.running {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		u := ec2.Usage{From: w.now.Add(-time.Minute), To: w.now}
		for _, id := range ids {
			u.Samples = append(u.Samples, ec2.UsageSample{ID: id, CPUPercent: min(100, work/float64(len(ids)))})
		}
		w.step(cloud.Observed{Facts: []cloud.Fact{u}})
	}
}

func (w *world) group(name string) Group {
	g, _ := w.s.groups.Table.Get(here.String() + "/" + name)
	return g
}

func (w *world) alarm(name string) (a cloudwatch.Alarm) {
	w.cloud.Dump(func(table, key string, row any) bool {
		if x, ok := row.(*cloudwatch.Alarm); ok && x.AlarmName == name {
			a = *x
		}
		return a.AlarmName == ""
	})
	return a
}

func (w *world) standing(policy string) Standing {
	st, _ := w.s.scaling.standings.Table.Get(here.String() + "/" + policyKey("g", policy))
	return st
}

// causes are the causes of the group's activities, oldest first, without their times.
func (w *world) causes() []string {
	var out []string
	w.cloud.Dump(func(table, key string, row any) bool {
		if a, ok := row.(*Activity); ok {
			out = append(out, a.Cause)
		}
		return true
	})
	slices.Reverse(out)
	return out
}

func (w *world) track(policy string, target float64, change func(*shape.PutScalingPolicyInput)) *shape.PutScalingPolicyOutput {
	w.t.Helper()
	in := &shape.PutScalingPolicyInput{
		AutoScalingGroupName: new("g"), PolicyName: &policy, PolicyType: new(typeTargetTracking),
		TargetTrackingConfiguration: &shape.TargetTrackingConfiguration{
			TargetValue:                   &target,
			PredefinedMetricSpecification: &shape.PredefinedMetricSpecification{PredefinedMetricType: new("ASGAverageCPUUtilization")},
		},
	}
	if change != nil {
		change(in)
	}
	return must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", in)
}

func TestTargetTrackingClosesTheLoop(t *testing.T) {
	w := scaledWorld(t, 1, 4, 1, nil)
	w.track("cpu", 50, nil)
	w.load(20, 20)
	if g := w.group("g"); g.DesiredCapacity != 1 {
		t.Fatalf("at rest: %d", g.DesiredCapacity)
	}
	breach := w.now
	var changes []string
	last := 1
	for range 40 {
		w.load(1, 160)
		if n := w.group("g").DesiredCapacity; n != last {
			changes = append(changes, fmt.Sprintf("%d->%d after %v", last, n, w.now.Sub(breach)))
			last = n
		}
	}
	// AS-TT-22: the first scale-out comes 3 to 4 minutes after the rise: 1 instance at 100 makes 2 of it, 2 at 80 make 4
	// (AS-TT-10), as soon as there is a data point of both: of the minute from 5:00, evaluated at 7:00.
	if want := []string{"1->2 after 4m0s", "2->4 after 7m0s"}; !slices.Equal(changes, want) {
		t.Errorf("%q, want %q", changes, want)
	}
	if st := w.standing("cpu"); st.Reason == "" || st.Value != 40 && !strings.Contains(st.Reason, "target 50") {
		t.Errorf("not explained: %+v", st)
	}
	rest := w.now
	changes = nil
	for range 30 {
		w.load(1, 5)
		if n := w.group("g").DesiredCapacity; n != last {
			changes = append(changes, fmt.Sprintf("%d->%d after %v", last, n, w.now.Sub(rest)))
			last = n
		}
	}
	if want := []string{"4->3 after 16m0s", "3->2 after 17m0s", "2->1 after 18m0s"}; !slices.Equal(changes, want) {
		t.Errorf("%q, want %q", changes, want)
	}
	high := w.policy("cpu").High
	want := "a monitor alarm " + high + " in state ALARM triggered policy cpu changing the desired capacity from 1 to 2.  At "
	if c := w.causes(); len(c) < 2 || !strings.Contains(c[1], want) { // AS-AC-09
		t.Errorf("causes: %q, want %q", c, want)
	}
}

func (w *world) policy(name string) Policy {
	p, _ := w.s.scaling.policies.Table.Get(here.String() + "/" + policyKey("g", name))
	return p
}

func TestAlarmsOfTargetTracking(t *testing.T) {
	w := scaledWorld(t, 1, 20, 2, nil)
	out := w.track("cpu", 50, nil)
	p := w.policy("cpu")
	high, low := w.alarm(p.High), w.alarm(p.Low)
	if len(out.Alarms) != 2 || *out.Alarms[0].AlarmName != p.High || *out.Alarms[1].AlarmARN != low.AlarmArn {
		t.Errorf("AS-TT-01: %+v", out.Alarms)
	}
	if !strings.HasPrefix(p.High, "TargetTracking-g-AlarmHigh-") || !strings.HasPrefix(p.Low, "TargetTracking-g-AlarmLow-") ||
		high.AlarmDescription != "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy "+p.ARN+"." || !slices.Equal(high.AlarmActions, []string{p.ARN}) {
		t.Errorf("AS-TT-02: %+v", high)
	}
	dims := []cloudwatch.Dimension{{Name: "AutoScalingGroupName", Value: "g"}}
	for _, a := range []cloudwatch.Alarm{high, low} {
		if a.Namespace != "AWS/EC2" || a.MetricName != "CPUUtilization" || a.Statistic != "Average" || a.Period != 60 || !slices.Equal(a.Dimensions, dims) || !a.ActionsEnabled {
			t.Errorf("AS-TT-03: %+v", a)
		}
	}
	if high.Threshold != 50 || high.EvaluationPeriods != 3 || low.Threshold != 35 || low.EvaluationPeriods != 15 {
		t.Errorf("AS-TT-03, AS-TT-05: %v of %d, %v of %d", high.Threshold, high.EvaluationPeriods, low.Threshold, low.EvaluationPeriods)
	}
	must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(10))})
	if w.alarm(p.Low).Threshold != 35 {
		t.Error("the threshold waits for the capacity to settle")
	}
	w.advance(2 * time.Minute)
	if got := w.alarm(p.Low).Threshold; got != 45 {
		t.Errorf("AS-TT-05 at 10: %v", got)
	}
	w.track("cpu", 60, func(in *shape.PutScalingPolicyInput) { in.TargetTrackingConfiguration.DisableScaleIn = new(true) })
	q := w.policy("cpu")
	if q.ARN != p.ARN || q.Low != "" || w.alarm(p.High).AlarmName != "" || w.alarm(p.Low).AlarmName != "" || w.alarm(q.High).Threshold != 60 {
		t.Errorf("AS-TT-01, AS-TT-07, AS-PM-06: replaced by %+v", q)
	}
	must[shape.DeletePolicyOutput](w, Name, "DeletePolicy", &shape.DeletePolicyInput{PolicyName: &q.ARN})
	if w.alarm(q.High).AlarmName != "" || w.policy("cpu").Name != "" {
		t.Error("the alarms go with the policy")
	}
	w.track("cpu", 60, nil)
	must[shape.DeleteAutoScalingGroupOutput](w, Name, "DeleteAutoScalingGroup", &shape.DeleteAutoScalingGroupInput{AutoScalingGroupName: new("g"), ForceDelete: new(true)})
	w.advance(5 * time.Minute)
	if w.group("g").Name != "" || w.policy("cpu").Name != "" {
		t.Error("the policy goes with the group")
	}
	w.cloud.Dump(func(table, key string, row any) bool {
		if a, ok := row.(*cloudwatch.Alarm); ok {
			t.Errorf("alarm %s is left", a.AlarmName)
		}
		return true
	})
}

func (w *world) putAlarm(name, comparison string, threshold float64, policyARN string) {
	w.t.Helper()
	must[metrics.PutMetricAlarmOutput](w, cloudwatch.Name, "PutMetricAlarm", &metrics.PutMetricAlarmInput{
		AlarmName: &name, Namespace: new("AWS/EC2"), MetricName: new("CPUUtilization"), Statistic: new("Average"), Period: new(int32(60)),
		Dimensions:        []metrics.Dimension{{Name: new("AutoScalingGroupName"), Value: new("g")}},
		EvaluationPeriods: new(int32(1)), Threshold: &threshold, ComparisonOperator: &comparison, AlarmActions: []string{policyARN},
	})
}

func TestSimplePoliciesByConditions(t *testing.T) { // walkthrough W3, AS-SI-02, AS-CD-02
	w := scaledWorld(t, 1, 3, 1, func(in *shape.CreateAutoScalingGroupInput) { in.DefaultCooldown = new(int32(300)) })
	put := func(name string, n int32) string {
		return *must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{
			AutoScalingGroupName: new("g"), PolicyName: &name, AdjustmentType: new(changeInCapacity), ScalingAdjustment: &n}).PolicyARN
	}
	w.putAlarm("busy", "GreaterThanOrEqualToThreshold", 10, put("out", 1))
	w.putAlarm("idle", "LessThanOrEqualToThreshold", 5, put("in", -1))
	began := w.now
	var changes []string
	last := 1
	watch := func(minutes int, work float64) {
		for range minutes {
			w.load(1, work)
			if n := w.group("g").DesiredCapacity; n != last {
				changes = append(changes, fmt.Sprintf("%d->%d after %v", last, n, w.now.Sub(began)))
				last = n
			}
		}
	}
	watch(14, 60)
	began = w.now
	watch(20, 0)
	// Each waits for 5 minutes after the end of the launch or termination before it, the first launch included.
	want := []string{"1->2 after 5m0s", "2->3 after 11m0s", "3->2 after 3m0s", "2->1 after 9m0s"}
	if !slices.Equal(changes, want) {
		t.Errorf("%q, want %q", changes, want)
	}
}

func TestCooldownsOfPolicies(t *testing.T) { // AS-CD-01: a policy's own cooldown comes before the group's
	w := scaledWorld(t, 1, 9, 1, func(in *shape.CreateAutoScalingGroupInput) { in.DefaultCooldown = new(int32(300)) })
	for name, seconds := range map[string]*int32{"long": new(int32(600)), "usual": nil} {
		must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{AutoScalingGroupName: new("g"),
			PolicyName: &name, AdjustmentType: new(changeInCapacity), ScalingAdjustment: new(int32(1)), Cooldown: seconds})
	}
	w.advance(10 * time.Minute)
	must[shape.ExecutePolicyOutput](w, Name, "ExecutePolicy", &shape.ExecutePolicyInput{AutoScalingGroupName: new("g"), PolicyName: new("long")})
	waits := func() int {
		for minutes := range 60 {
			if _, err := w.ask(Name, "ExecutePolicy", &shape.ExecutePolicyInput{AutoScalingGroupName: new("g"), PolicyName: new("usual"), HonorCooldown: new(true)}); err == nil {
				return minutes
			}
			w.advance(time.Minute)
		}
		return 60
	}
	if long, usual := waits(), waits(); long != 11 || usual != 6 { // from the end of a launch, which takes less than a minute
		t.Errorf("%d and %d minutes, want 11 and 6", long, usual)
	}
}

// TestReplacementsStartNoCooldown: only what a change of the desired capacity brought about does (AS-CD-02).
func TestReplacementsStartNoCooldown(t *testing.T) {
	w := scaledWorld(t, 1, 9, 2, func(in *shape.CreateAutoScalingGroupInput) { in.DefaultCooldown = new(int32(300)) })
	must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{AutoScalingGroupName: new("g"),
		PolicyName: new("out"), AdjustmentType: new(changeInCapacity), ScalingAdjustment: new(int32(1))})
	w.advance(10 * time.Minute)
	for id := range w.running {
		must[shape.SetInstanceHealthOutput](w, Name, "SetInstanceHealth", &shape.SetInstanceHealthInput{InstanceId: &id, HealthStatus: new(unhealthy)})
		break
	}
	w.advance(2 * time.Minute)
	if n := len(w.causes()); n != 4 { // two launches, one end, one launch for it
		t.Fatalf("%d activities", n)
	}
	must[shape.ExecutePolicyOutput](w, Name, "ExecutePolicy", &shape.ExecutePolicyInput{AutoScalingGroupName: new("g"), PolicyName: new("out"), HonorCooldown: new(true)})
}

func TestStepPolicyAndItsWarmup(t *testing.T) { // AS-ST-07, AS-WU-04
	w := scaledWorld(t, 1, 10, 4, nil)
	arn := *must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{
		AutoScalingGroupName: new("g"), PolicyName: new("steps"), PolicyType: new(typeStep), AdjustmentType: new(changeInCapacity),
		EstimatedInstanceWarmup: new(int32(600)), StepAdjustments: []shape.StepAdjustment{between(0, 20, 1), between(20, open, 3)}}).PolicyARN
	w.advance(10 * time.Minute)
	w.putAlarm("busy", "GreaterThanThreshold", 50, arn)
	w.load(3, 240)
	if n := w.group("g").DesiredCapacity; n != 5 {
		t.Fatalf("60 of 50 is the first step: %d; %+v", n, w.standing("steps"))
	}
	w.load(4, 300)
	if n := w.group("g").DesiredCapacity; n != 5 {
		t.Errorf("the same step again while warming: %d; %s", n, w.standing("steps").Reason)
	}
	w.load(4, 400)
	if n := w.group("g").DesiredCapacity; n != 7 {
		t.Errorf("a higher step adds the difference: %d; %s", n, w.standing("steps").Reason)
	}
	p := must[shape.DescribePoliciesOutput](w, Name, "DescribePolicies", &shape.DescribePoliciesInput{}).ScalingPolicies[0]
	if len(p.Alarms) != 1 || *p.Alarms[0].AlarmName != "busy" || *p.MetricAggregationType != "Average" {
		t.Errorf("%+v", p)
	}
}

func TestSuspendedAlarmNotification(t *testing.T) { // AS-SP-06
	w := scaledWorld(t, 1, 4, 1, nil)
	w.track("cpu", 50, nil)
	must[shape.SuspendProcessesOutput](w, Name, "SuspendProcesses", &shape.SuspendProcessesInput{AutoScalingGroupName: new("g"), ScalingProcesses: []string{"AlarmNotification"}})
	w.load(8, 100)
	if n := w.group("g").DesiredCapacity; n != 1 || w.standing("cpu").Reason != "AlarmNotification is suspended" {
		t.Errorf("suspended: %d, %+v", n, w.standing("cpu"))
	}
	must[shape.ResumeProcessesOutput](w, Name, "ResumeProcesses", &shape.ResumeProcessesInput{AutoScalingGroupName: new("g")})
	w.load(1, 100)
	if n := w.group("g").DesiredCapacity; n != 2 {
		t.Errorf("resumed: %d; %+v", n, w.standing("cpu"))
	}
}

func TestExecutePolicy(t *testing.T) { // AS-PM-08, AS-CD-04, AS-CD-05
	w := scaledWorld(t, 0, 9, 1, nil)
	put := func(in shape.PutScalingPolicyInput) {
		in.AutoScalingGroupName, in.AdjustmentType = new("g"), new(changeInCapacity)
		must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &in)
	}
	put(shape.PutScalingPolicyInput{PolicyName: new("simple"), ScalingAdjustment: new(int32(1))})
	put(shape.PutScalingPolicyInput{PolicyName: new("step"), PolicyType: new(typeStep), StepAdjustments: []shape.StepAdjustment{between(0, open, 2)}})
	w.track("cpu", 50, nil)
	execute := func(in shape.ExecutePolicyInput) string {
		in.AutoScalingGroupName = new("g")
		_, err := w.ask(Name, "ExecutePolicy", &in)
		return fmt.Sprintf("%d %v", w.group("g").DesiredCapacity, err)
	}
	for i, x := range []struct {
		in   shape.ExecutePolicyInput
		want string
	}{
		{shape.ExecutePolicyInput{PolicyName: new("simple")}, "2 <nil>"},
		{shape.ExecutePolicyInput{PolicyName: new("simple")}, "3 <nil>"},
		{shape.ExecutePolicyInput{PolicyName: new("simple"), HonorCooldown: new(true)}, "3 ScalingActivityInProgress"},
		{shape.ExecutePolicyInput{PolicyName: new("step")}, "3 ValidationError"},
		{shape.ExecutePolicyInput{PolicyName: new("step"), MetricValue: new(60.0), BreachThreshold: new(50.0)}, "3 <nil>"}, // AS-ST-07
		{shape.ExecutePolicyInput{PolicyName: new("step"), MetricValue: new(60.0), BreachThreshold: new(50.0)}, "5 <nil>"},
		{shape.ExecutePolicyInput{PolicyName: new("step"), MetricValue: new(40.0), BreachThreshold: new(50.0)}, "5 <nil>"},
		{shape.ExecutePolicyInput{PolicyName: new("cpu")}, "5 ValidationError"},
		{shape.ExecutePolicyInput{PolicyName: new("none")}, "5 ValidationError"},
	} {
		if i == 5 {
			w.advance(time.Minute)
		}
		if got := execute(x.in); !strings.HasPrefix(got, x.want) {
			t.Errorf("%d: %s, want %s", i, got, x.want)
		}
	}
	w.advance(time.Minute)
	if c := w.causes(); !strings.Contains(strings.Join(c, "\n"), "a user request executed policy simple changing the desired capacity from 1 to 2.") {
		t.Errorf("%q", c)
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	w := scaledWorld(t, 0, 9, 0, nil)
	for name, in := range map[string]shape.PutScalingPolicyInput{
		"no adjustment type":  {ScalingAdjustment: new(int32(1))},
		"odd adjustment type": {AdjustmentType: new("Odd"), ScalingAdjustment: new(int32(1))},
		"no adjustment":       {AdjustmentType: new(changeInCapacity)},
		"simple with steps":   {AdjustmentType: new(changeInCapacity), ScalingAdjustment: new(int32(1)), StepAdjustments: []shape.StepAdjustment{between(0, open, 1)}},
		"magnitude":           {AdjustmentType: new(changeInCapacity), ScalingAdjustment: new(int32(1)), MinAdjustmentMagnitude: new(int32(1))},
		"odd type":            {PolicyType: new("Odd"), AdjustmentType: new(changeInCapacity), ScalingAdjustment: new(int32(1))},
		"tracking nothing":    {PolicyType: new(typeTargetTracking)},
		"predictive":          {PolicyType: new(typePredictive)},
		"unknown group":       {AutoScalingGroupName: new("x"), AdjustmentType: new(changeInCapacity), ScalingAdjustment: new(int32(1))},
	} {
		if in.AutoScalingGroupName == nil {
			in.AutoScalingGroupName = new("g")
		}
		in.PolicyName = new("p")
		if _, err := w.ask(Name, "PutScalingPolicy", &in); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for i := range maxPolicies + 1 {
		_, err := w.ask(Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{AutoScalingGroupName: new("g"), PolicyName: new(fmt.Sprintf("p%02d", i)),
			AdjustmentType: new(exactCapacity), ScalingAdjustment: new(int32(0))})
		if (err != nil) != (i == maxPolicies) {
			t.Errorf("AS-QL-03, policy %d: %v", i, err)
		}
	}
	seen, token := []string{}, (*string)(nil)
	for range 10 {
		out := must[shape.DescribePoliciesOutput](w, Name, "DescribePolicies", &shape.DescribePoliciesInput{AutoScalingGroupName: new("g"), MaxRecords: new(int32(20)), NextToken: token})
		for _, p := range out.ScalingPolicies {
			seen = append(seen, *p.PolicyName)
		}
		if token = out.NextToken; token == nil {
			break
		}
	}
	if len(seen) != maxPolicies || !slices.IsSorted(seen) {
		t.Errorf("pages give %d: %q", len(seen), seen)
	}
	for _, in := range []shape.DescribePoliciesInput{{PolicyNames: []string{"p01", "none"}}, {PolicyNames: []string{w.policy("p01").ARN}}} {
		if out := must[shape.DescribePoliciesOutput](w, Name, "DescribePolicies", &in); len(out.ScalingPolicies) != 1 {
			t.Errorf("%+v: %d", in, len(out.ScalingPolicies))
		}
	}
	if out := must[shape.DescribePoliciesOutput](w, Name, "DescribePolicies", &shape.DescribePoliciesInput{PolicyTypes: []string{typeStep}}); len(out.ScalingPolicies) != 0 {
		t.Error("the type is not looked at")
	}
}

func (w *world) statistics(namespace, metric string, minutes int) []metrics.Datapoint {
	w.t.Helper()
	out := must[metrics.GetMetricStatisticsOutput](w, cloudwatch.Name, "GetMetricStatistics", &metrics.GetMetricStatisticsInput{
		Namespace: &namespace, MetricName: &metric, Dimensions: []metrics.Dimension{{Name: new("AutoScalingGroupName"), Value: new("g")}},
		StartTime: new(w.now.Add(-time.Duration(minutes) * time.Minute)), EndTime: new(w.now.Add(time.Minute)), Period: new(int32(60)),
		Statistics: []string{"SampleCount", "Average", "Minimum", "Maximum", "Sum"},
	})
	slices.SortFunc(out.Datapoints, func(a, b metrics.Datapoint) int { return a.Timestamp.Compare(*b.Timestamp) })
	return out.Datapoints
}

func TestGroupMetrics(t *testing.T) { // AS-GM-01, AS-GM-02
	w := scaledWorld(t, 1, 5, 2, nil)
	must[shape.EnableMetricsCollectionOutput](w, Name, "EnableMetricsCollection", &shape.EnableMetricsCollectionInput{AutoScalingGroupName: new("g"), Granularity: new("1Minute")})
	w.advance(5 * time.Minute)
	for metric, want := range map[string]float64{"GroupMinSize": 1, "GroupMaxSize": 5, "GroupDesiredCapacity": 2, "GroupInServiceInstances": 2,
		"GroupPendingInstances": 0, "GroupTotalInstances": 2, "GroupTotalCapacity": 2, "GroupStandbyInstances": 0} {
		points := w.statistics("AWS/AutoScaling", metric, 10)
		if len(points) != 5 {
			t.Fatalf("%s: %d points, want 5", metric, len(points))
		}
		if p := points[4]; *p.Average != want || *p.SampleCount != 1 || *p.Unit != "None" {
			t.Errorf("%s: %v of %v %s, want %v", metric, *p.Average, *p.SampleCount, *p.Unit, want)
		}
	}
	must[shape.DisableMetricsCollectionOutput](w, Name, "DisableMetricsCollection", &shape.DisableMetricsCollectionInput{AutoScalingGroupName: new("g"), Metrics: []string{"GroupMinSize"}})
	if g := w.group("g"); len(g.EnabledMetrics) != len(groupMetrics)-1 || slices.Contains(g.EnabledMetrics, "GroupMinSize") {
		t.Errorf("%q", g.EnabledMetrics)
	}
	if _, err := w.ask(Name, "EnableMetricsCollection", &shape.EnableMetricsCollectionInput{AutoScalingGroupName: new("g"), Granularity: new("1Minute"), Metrics: []string{"GroupMood"}}); err == nil {
		t.Error("GroupMood is accepted")
	}
}

func TestAggregatesLeaveOutWarmingInstances(t *testing.T) { // AS-WU-01, AS-LC-10, CW-NM-02
	w := scaledWorld(t, 2, 5, 2, func(in *shape.CreateAutoScalingGroupInput) { in.DefaultInstanceWarmup = new(int32(180)) })
	w.load(8, 60)
	points := w.statistics("AWS/EC2", "CPUUtilization", 10)
	if len(points) == 0 {
		t.Fatal("no points")
	}
	// In service 20 seconds after 4:00, so warm at 4:03:20: the first whole minute after that begins at 4:04.
	if first := points[0]; !first.Timestamp.Equal(start.Add(4*time.Minute)) || *first.SampleCount != 2 || *first.Average != 30 || *first.Unit != "Percent" {
		t.Errorf("the first point: %v %v of %v", first.Timestamp, *first.Average, *first.SampleCount)
	}
	if row, _ := w.s.scaling.contributions.Table.Get(here.String() + "/g"); len(row.Points) == 0 || row.Points[0].Instances != 2 {
		t.Errorf("contributions: %+v", row)
	}
}

func TestListsOfTypes(t *testing.T) {
	w := newWorld(t, 1)
	if out := must[shape.DescribeAdjustmentTypesOutput](w, Name, "DescribeAdjustmentTypes", &shape.DescribeAdjustmentTypesInput{}); len(out.AdjustmentTypes) != 3 {
		t.Errorf("%+v", out)
	}
	out := must[shape.DescribeMetricCollectionTypesOutput](w, Name, "DescribeMetricCollectionTypes", &shape.DescribeMetricCollectionTypesInput{})
	if len(out.Metrics) != 24 || len(out.Granularities) != 1 || api.Value(out.Granularities[0].Granularity) != "1Minute" {
		t.Errorf("%+v", out)
	}
	if out := must[shape.DescribeAutoScalingNotificationTypesOutput](w, Name, "DescribeAutoScalingNotificationTypes", &shape.DescribeAutoScalingNotificationTypesInput{}); len(out.AutoScalingNotificationTypes) != 5 {
		t.Errorf("%+v", out)
	}
}
