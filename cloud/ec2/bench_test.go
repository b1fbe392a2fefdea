package ec2

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

func crowd(b *testing.B, n int) (*world, []string) {
	w := newWorld(b, Options{})
	var ids []string
	for k := range n / 100 {
		zone := []string{"us-east-1a", "us-east-1b", "us-east-1c"}[k%3]
		ids = append(ids, w.run(100, func(in *shape.RunInstancesInput) {
			in.Placement = &shape.Placement{AvailabilityZone: new(zone)}
			in.TagSpecifications = []shape.TagSpecification{{ResourceType: new("instance"), Tags: []shape.Tag{{Key: new("Name"), Value: new(fmt.Sprint("web-", k))}}}}
		})...)
	}
	w.pass(2 * time.Minute)
	return w, ids
}

// busy reports processor time, which a busy machine does not inflate: defer busy(b)().
func busy(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64((used()-before).Nanoseconds())/float64(b.N), "cpu-ns/op") }
}

func BenchmarkDescribeInstanceByID(b *testing.B) {
	w, ids := crowd(b, 10_000)
	defer busy(b)()
	n := 0
	for b.Loop() {
		call[shape.DescribeInstancesOutput](w, &shape.DescribeInstancesInput{InstanceIds: []string{ids[n%len(ids)]}})
		n += 7
	}
}

func BenchmarkDescribeInstancesByNameTag(b *testing.B) { // answers with 100 instances of 10,000
	w, _ := crowd(b, 10_000)
	defer busy(b)()
	for b.Loop() {
		in := &shape.DescribeInstancesInput{Filters: []shape.Filter{{Name: new("tag:Name"), Values: []string{"web-42"}}}}
		if got := call[shape.DescribeInstancesOutput](w, in); len(got.Reservations[0].Instances) != 100 {
			b.Fatal(len(got.Reservations))
		}
	}
}

func BenchmarkDescribeAllInstances(b *testing.B) {
	w, _ := crowd(b, 10_000)
	defer busy(b)()
	for b.Loop() {
		call[shape.DescribeInstancesOutput](w, &shape.DescribeInstancesInput{})
	}
}

func BenchmarkRunAndTerminate(b *testing.B) { // four steps: two calls, two facts, among 10,000
	w, _ := crowd(b, 10_000)
	defer busy(b)()
	for b.Loop() {
		id := w.run(1)
		call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: id})
	}
}

func BenchmarkRunInstances(b *testing.B) { // the call alone, among 9,000
	w, _ := crowd(b, 9_000)
	w.hold = true
	for n := 0; b.Loop(); n++ {
		if w.s.instances.Len() > 11_000 {
			b.StopTimer()
			w, _ = crowd(b, 9_000)
			w.hold = true
			b.StartTimer()
		}
		w.run(1, func(in *shape.RunInstancesInput) {
			in.Placement = &shape.Placement{AvailabilityZone: new([]string{"us-east-1a", "us-east-1b", "us-east-1c"}[n%3])}
		})
		w.wishes = w.wishes[:0]
	}
}

func BenchmarkUsageSample(b *testing.B) { // one instance's sample of a batch of 10,000, detailed monitoring off
	w, ids := crowd(b, 10_000)
	defer busy(b)()
	batch := Usage{}
	for _, id := range ids {
		batch.Samples = append(batch.Samples, UsageSample{ID: id, CPUPercent: 40, NetworkIn: 1000})
	}
	n := 0
	for b.Loop() {
		batch.From, batch.To = w.now, w.now.Add(time.Minute)
		w.now = batch.To
		w.step(cloud.Observed{Facts: []cloud.Fact{batch}})
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*len(ids)), "ns/sample")
}

func BenchmarkInventory(b *testing.B) {
	w, ids := crowd(b, 10_000)
	defer busy(b)()
	f := Inventory{}
	for _, id := range ids {
		f.Instances = append(f.Instances, Seen{ID: id, State: Running})
	}
	for b.Loop() {
		f.Began = w.now
		w.now = w.now.Add(time.Second)
		w.step(cloud.Observed{Facts: []cloud.Fact{f}})
	}
}
