package autoscaling

import (
	"fmt"
	"slices"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	metrics "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
)

const (
	benchGroups  = 500
	benchMembers = 20
)

// crowd is a world with 500 groups of 20 instances in service, each with target tracking.
func crowd(b *testing.B) *world {
	b.Helper()
	w := newWorld(b, 1)
	w.boot, w.check = time.Second, 0
	must[shape.CreateLaunchConfigurationOutput](w, Name, "CreateLaunchConfiguration", &shape.CreateLaunchConfigurationInput{
		LaunchConfigurationName: new("lc"), ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.micro")})
	for i := range benchGroups {
		name := fmt.Sprintf("g%03d", i)
		must[shape.CreateAutoScalingGroupOutput](w, Name, "CreateAutoScalingGroup", &shape.CreateAutoScalingGroupInput{
			AutoScalingGroupName: &name, LaunchConfigurationName: new("lc"), MinSize: new(int32(0)), MaxSize: new(int32(40)),
			DesiredCapacity: new(int32(benchMembers)), AvailabilityZones: []string{"us-east-1a", "us-east-1b", "us-east-1c"}, DefaultInstanceWarmup: new(int32(0))})
		must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{
			AutoScalingGroupName: &name, PolicyName: new("cpu"), PolicyType: new(typeTargetTracking),
			TargetTrackingConfiguration: &shape.TargetTrackingConfiguration{TargetValue: new(50.0),
				PredefinedMetricSpecification: &shape.PredefinedMetricSpecification{PredefinedMetricType: new("ASGAverageCPUUtilization")}}})
	}
	for i := 0; len(w.facts) > 0; i++ {
		n := min(len(w.facts), 100)
		var facts []cloud.Fact
		for _, f := range w.facts[:n] {
			facts = append(facts, f.fact)
		}
		w.facts = w.facts[n:]
		w.now = w.now.Add(10 * time.Millisecond)
		w.step(cloud.Observed{Facts: facts})
		if i > 2*benchGroups*benchMembers {
			b.Fatal("launches do not end")
		}
	}
	w.advance(time.Minute)
	for k, m := range w.s.members.Everywhere() {
		if m.LifecycleState != stateInService {
			b.Fatalf("%s is %s", k.ID, m.LifecycleState)
		}
	}
	if n := w.s.members.Len(); n != benchGroups*benchMembers {
		b.Fatalf("%d members", n)
	}
	return w
}

// One alarm's call of one group's policy, from the event to the decision: the group stays as it is.
func BenchmarkAlarmToDecision(b *testing.B) {
	w := crowd(b)
	var arns []string
	var alarms []cloudwatch.Alarm
	for _, p := range w.s.scaling.policies.Table.Prefix("") {
		must[metrics.SetAlarmStateOutput](w, cloudwatch.Name, "SetAlarmState", &metrics.SetAlarmStateInput{
			AlarmName: &p.High, StateValue: new(cloudwatch.StateAlarm), StateReason: new("bench")})
		arns, alarms = append(arns, p.ARN), append(alarms, w.alarm(p.High))
	}
	i := 0
	puppet := &puppet{do: func(tx *cloud.Tx) {
		n := i % len(arns)
		tx.Emit(cloudwatch.Name, cloudwatch.AlarmAction{ActionARN: arns[n], Alarm: alarms[n], Old: cloudwatch.StateAlarm,
			New: cloudwatch.StateAlarm, Value: 50, HasValue: true, At: tx.Now(), Repeat: true})
	}}
	c := w.with(puppet)
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		w.now = w.now.Add(time.Microsecond)
		began := time.Now()
		puppet.pull(b, c, w.now)
		took = append(took, time.Since(began))
		i++
	}
	if st, _ := w.s.scaling.standings.Table.Get(here.String() + "/" + policyKey("g000", "cpu")); st.Desired != benchMembers || st.Reason == "" {
		b.Fatalf("%+v", st)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-µs")
}

// One batch of measurements of all 10,000 instances; the figure is for each of them.
func BenchmarkAggregates(b *testing.B) {
	w := crowd(b)
	e := ec2.InstancesMeasured{}
	for k := range w.s.members.Everywhere() {
		e.Samples = append(e.Samples, ec2.Measured{InstanceID: k.ID, Detailed: true})
	}
	spent := time.Duration(0)
	puppet := &puppet{do: func(tx *cloud.Tx) {
		began := time.Now()
		w.s.aggregate(tx, e)
		spent += time.Since(began)
	}}
	c := w.with(puppet)
	b.ReportAllocs()
	for b.Loop() {
		w.now = w.now.Add(time.Minute)
		for i := range e.Samples {
			e.Samples[i].At = w.now.Truncate(time.Minute)
			for k := range e.Samples[i].Stats {
				e.Samples[i].Stats[k] = cloudwatch.Single(float64(i % 100))
			}
		}
		puppet.pull(b, c, w.now)
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/float64(len(e.Samples)), "ns/entry")
}

// The pure part of a decision.
func BenchmarkDecide(b *testing.B) {
	signals := []Signal{tracked(trackingPolicy("a", 50), true, 80, 20), tracked(trackingPolicy("b", 100), false, 10, 20)}
	v := steady(20)
	b.ReportAllocs()
	for b.Loop() {
		Decide(v, signals)
	}
}
