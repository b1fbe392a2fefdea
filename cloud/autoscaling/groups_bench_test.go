package autoscaling

import (
	"slices"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// names of the groups and of one member of each, in a crowd.
func crowdNames(w *world) (groups, members []string) {
	for k := range w.s.groups.Everywhere() {
		groups = append(groups, k.ID)
		w.do(func(tx *cloud.Tx) {
			for _, m := range w.s.membersOf(tx, k.ID) {
				members = append(members, m.ID)
				break
			}
		})
	}
	return groups, members
}

// timed measures one step at a time.
func timed(b *testing.B, w *world, step func(i int) cloud.Output) {
	var took []time.Duration
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		out := step(i)
		took = append(took, time.Since(began))
		if out.Err != nil {
			b.Fatal(out.Err)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-µs")
}

// A group with 20 instances, described by its name.
func BenchmarkDescribeByName(b *testing.B) {
	w := crowd(b)
	groups, _ := crowdNames(w)
	timed(b, w, func(i int) cloud.Output {
		return w.cloud.Step(w.now, cloud.Call{Scope: here, Service: Name, Operation: "DescribeAutoScalingGroups",
			In: &shape.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{groups[i%len(groups)]}}})
	})
}

// Twenty groups with 20 instances each, described in one call.
func BenchmarkDescribeTwenty(b *testing.B) {
	w := crowd(b)
	groups, _ := crowdNames(w)
	timed(b, w, func(i int) cloud.Output {
		return w.cloud.Step(w.now, cloud.Call{Scope: here, Service: Name, Operation: "DescribeAutoScalingGroups",
			In: &shape.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: groups[:20]}})
	})
}

// The group of an instance to which something happened is looked at, and nothing is to be done.
func BenchmarkReconcile(b *testing.B) {
	w := crowd(b)
	_, members := crowdNames(w)
	f := func(tx *cloud.Tx) {}
	timed(b, w, func(i int) cloud.Output {
		f = func(tx *cloud.Tx) { w.s.noticeMember(tx, members[i%len(members)]) }
		return w.cloud.Step(w.now, cloud.Call{Scope: here, Service: "inside", Operation: "Do", In: &f})
	})
}

// An instance is killed: its end, its activity, another instance's launch and activity, in one step.
func BenchmarkReplace(b *testing.B) {
	w := crowd(b)
	_, members := crowdNames(w)
	timed(b, w, func(i int) cloud.Output {
		w.now = w.now.Add(time.Second)
		if i >= len(members) { // all are replaced: let the new ones come up
			b.StopTimer()
			w.advance(time.Hour)
			_, members = crowdNames(w)
			b.StartTimer()
		}
		out := w.cloud.Step(w.now, cloud.Observed{Facts: []cloud.Fact{ec2.InstanceExited{ID: members[i%len(members)], Reason: ec2.ExitKilled}}})
		for _, e := range out.Effects {
			w.wish(e)
		}
		return out
	})
}
