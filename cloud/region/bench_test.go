package region

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// The size at which one step of the control plane has to be done within 50 microseconds.
const (
	groups  = 500
	members = 20
	bound   = 50.0 // µs
)

// crowd is a cloud with 10,000 instances in 500 groups, each with target tracking and 20 minutes of metrics.
func crowd(b *testing.B) *world {
	b.Helper()
	w := newWorld(b)
	call[asapi.CreateLaunchConfigurationOutput](w, autoscaling.Name, "CreateLaunchConfiguration", &asapi.CreateLaunchConfigurationInput{
		LaunchConfigurationName: new("lc"), ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.micro"),
	})
	for i := range groups {
		name := groupName(i)
		call[asapi.CreateAutoScalingGroupOutput](w, autoscaling.Name, "CreateAutoScalingGroup", &asapi.CreateAutoScalingGroupInput{
			AutoScalingGroupName: &name, LaunchConfigurationName: new("lc"), MinSize: new(int32(0)), MaxSize: new(int32(2 * members)),
			DesiredCapacity: new(int32(members)), AvailabilityZones: []string{"us-east-1a", "us-east-1b", "us-east-1c"}, DefaultInstanceWarmup: new(int32(0)),
		})
		call[asapi.PutScalingPolicyOutput](w, autoscaling.Name, "PutScalingPolicy", &asapi.PutScalingPolicyInput{
			AutoScalingGroupName: &name, PolicyName: new("cpu"), PolicyType: new("TargetTrackingScaling"),
			TargetTrackingConfiguration: &asapi.TargetTrackingConfiguration{TargetValue: new(50.0), PredefinedMetricSpecification: &asapi.PredefinedMetricSpecification{
				PredefinedMetricType: new("ASGAverageCPUUtilization"),
			}},
		})
		w.settle()
	}
	if len(w.running) != groups*members {
		b.Fatalf("%d instances run", len(w.running))
	}
	for range 20 {
		w.minute()
	}
	return w
}

func groupName(i int) string { return fmt.Sprintf("group-%03d", i) }

// steady is near every policy's target: no alarm has anything to do.
func steady(n int) float64 { return 46 + float64(n%5) }

// minute lets a minute pass and has it measured.
func (w *world) minute() {
	w.until(w.now.Truncate(time.Minute).Add(time.Minute))
	w.step(cloud.Observed{Facts: []cloud.Fact{w.usage(steady)}})
	w.settle()
}

// stopwatch takes the time of steps, and the processor time of the whole program meanwhile, with its garbage collection:
// on a busy machine that is what can be relied on.
type stopwatch struct {
	took      []time.Duration
	processor time.Duration
}

func (s *stopwatch) time(step func()) {
	before, began := processorTime(), time.Now()
	step()
	s.took = append(s.took, time.Since(began))
	s.processor += processorTime() - before
}

func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report prints the median of one step's time, or of the part of it that one of parts things costs, beside its bound in
// microseconds, if there is one.
func (s *stopwatch) report(b *testing.B, parts int, bound float64) {
	b.Helper()
	slices.Sort(s.took)
	each := func(d time.Duration) float64 { return float64(d) / float64(parts) / float64(time.Microsecond) }
	median, p90 := each(s.took[len(s.took)/2]), each(s.took[len(s.took)*9/10])
	verdict := ""
	switch {
	case bound == 0:
	case median > bound:
		verdict = fmt.Sprintf(", at most %g: MISSED", bound)
	default:
		verdict = fmt.Sprintf(", at most %g: met", bound)
	}
	processor := each(s.processor) / float64(len(s.took))
	b.Logf("median %.2f µs%s (p90 %.2f µs, processor %.2f µs, of %d)", median, verdict, p90, processor, len(s.took))
	b.ReportMetric(median, "p50-µs")
	b.ReportMetric(p90, "p90-µs")
	b.ReportMetric(processor, "processor-µs")
	b.ReportMetric(0, "ns/op") // what is around the steps
}

// BenchmarkStep is one step of the control plane with 10,000 instances in 500 groups, and nothing around it: no store, no
// wire. The bound is 50 µs, also on average over what a batch or a tick is about.
func BenchmarkStep(b *testing.B) {
	if testing.Short() {
		b.Skip("not part of the short run")
	}
	w := crowd(b)
	b.Run("metric-batch-entry", w.benchBatch)
	b.Run("metric-batch-of-one", w.benchBatchOfOne)
	b.Run("alarm-evaluation", w.benchAlarms)
	b.Run("describe-group", w.benchDescribeGroup)
	b.Run("describe-instance", w.benchDescribeInstance)
}

// benchBatch is the batch of all instances' measurements of a minute; the figure is for each of its 10,000 entries, with
// the metrics of the instance, its share in its group's metrics, and everything else that the step does.
func (w *world) benchBatch(b *testing.B) {
	w.t = b
	var watch stopwatch
	for b.Loop() {
		for range 5 {
			w.until(w.now.Truncate(time.Minute).Add(time.Minute))
			in := cloud.Observed{Facts: []cloud.Fact{w.usage(steady)}}
			watch.time(func() { w.step(in) })
			w.settle()
		}
	}
	watch.report(b, groups*members, bound)
}

// benchBatchOfOne is a whole step for one instance's measurement alone, which is 39 points: its own metrics, and those of
// its image, its type and its group.
func (w *world) benchBatchOfOne(b *testing.B) {
	w.t = b
	var watch stopwatch
	w.minute()
	for n := 0; b.Loop(); n++ {
		u := ec2.Usage{From: w.now.Add(-time.Minute), To: w.now, Samples: []ec2.UsageSample{{ID: w.ids[n*7919%len(w.ids)], CPUPercent: steady(n)}}}
		watch.time(func() { w.step(cloud.Observed{Facts: []cloud.Fact{u}}) })
	}
	watch.report(b, 1, 0)
}

// benchAlarms is the tick at which the alarms of all groups are due, two for each; the figure is for each alarm.
func (w *world) benchAlarms(b *testing.B) {
	w.t = b
	var watch stopwatch
	for b.Loop() {
		for range 10 {
			w.minute()
			next := w.now.Truncate(time.Minute).Add(time.Minute)
			w.until(next.Add(-time.Nanosecond))
			w.now = next
			watch.time(func() { w.step(cloud.Tick{}) })
		}
	}
	watch.report(b, 2*groups, bound)
}

func (w *world) benchDescribeGroup(b *testing.B) {
	w.t = b
	var watch stopwatch
	for n := 0; b.Loop(); n++ {
		in := &asapi.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{groupName(n * 13 % groups)}}
		var out *asapi.DescribeAutoScalingGroupsOutput
		watch.time(func() {
			out = call[asapi.DescribeAutoScalingGroupsOutput](w, autoscaling.Name, "DescribeAutoScalingGroups", in)
		})
		if len(out.AutoScalingGroups) != 1 || len(out.AutoScalingGroups[0].Instances) != members {
			b.Fatalf("%+v", out)
		}
	}
	watch.report(b, 1, bound)
}

func (w *world) benchDescribeInstance(b *testing.B) {
	w.t = b
	var watch stopwatch
	for n := 0; b.Loop(); n++ {
		in := &ec2api.DescribeInstancesInput{InstanceIds: []string{w.ids[n*7919%len(w.ids)]}}
		var out *ec2api.DescribeInstancesOutput
		watch.time(func() { out = call[ec2api.DescribeInstancesOutput](w, ec2.Name, "DescribeInstances", in) })
		if len(out.Reservations) != 1 {
			b.Fatalf("%+v", out)
		}
	}
	watch.report(b, 1, bound)
}
