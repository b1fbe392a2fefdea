package cloudwatch

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// The size that a step has to cope with: 10,000 instances in 500 groups, ten metrics of each instance, and the two
// alarms of a target tracking policy of each group.
const (
	benchInstances = 10_000
	benchGroups    = 500
	benchMetrics   = 10
)

// batch is one minute's data of all instances and groups.
func batch(at time.Time) puts {
	data := make(puts, 0, benchInstances*benchMetrics+benchGroups)
	for i := range benchInstances {
		d := []Dimension{{"InstanceId", fmt.Sprintf("i-%017x", i*7919)}}
		for m := range benchMetrics {
			data = append(data, Datum{Namespace: "AWS/EC2", Metric: fmt.Sprintf("Metric%d", m), Dimensions: d, Unit: "Percent", At: at, Stat: Single(float64(i % 100))})
		}
	}
	for g := range benchGroups {
		data = append(data, Datum{Namespace: "AWS/EC2", Metric: "CPUUtilization", Unit: "Percent", At: at, Stat: Stat{Count: 20, Sum: 400, Min: 1, Max: 90},
			Dimensions: []Dimension{{"AutoScalingGroupName", fmt.Sprintf("group-%03d", g)}}})
	}
	return data
}

// largeWorld has half an hour of data, and alarms that have settled.
func largeWorld(b *testing.B) *world {
	w := newWorld(b)
	w.inside(func(tx *cloud.Tx) {
		for g := range benchGroups {
			for _, side := range []string{"High", "Low"} {
				a := Alarm{AlarmName: fmt.Sprintf("TargetTracking-group-%03d-Alarm%s", g, side), ActionsEnabled: true, Namespace: "AWS/EC2",
					MetricName: "CPUUtilization", Dimensions: []Dimension{{"AutoScalingGroupName", fmt.Sprintf("group-%03d", g)}}, Statistic: "Average",
					Period: 60, EvaluationPeriods: 3, Threshold: 50, ComparisonOperator: "GreaterThanThreshold"}
				if side == "Low" {
					a.EvaluationPeriods, a.Threshold, a.ComparisonOperator = 15, 10, "LessThanThreshold"
				}
				if err := w.cw.PutAlarm(tx, a); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	for i := range 20 {
		w.until(noon.Add(time.Duration(i)*time.Minute + 30*time.Second))
		w.put(batch(noon.Add(time.Duration(i) * time.Minute))...)
	}
	return w
}

// BenchmarkPut is one entry of a metric batch, in a batch of a minute of 10,000 instances.
func BenchmarkPut(b *testing.B) {
	w := largeWorld(b)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		w.until(w.now.Add(time.Minute))
		data := batch(w.now)
		w.now = w.now.Add(time.Second)
		b.StartTimer()
		w.put(data...)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(benchInstances*benchMetrics+benchGroups), "ns/entry")
}

// BenchmarkPutOne is a step with one datum.
func BenchmarkPutOne(b *testing.B) {
	w := largeWorld(b)
	data := batch(w.now.Truncate(time.Minute))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		w.put(data[n*7919%len(data)])
	}
}

// BenchmarkAlarms is a tick in which all 1,000 alarms are due and a sixtieth of the series is swept.
func BenchmarkAlarms(b *testing.B) {
	w := largeWorld(b)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for g := range benchGroups {
			w.put(Datum{Namespace: "AWS/EC2", Metric: "CPUUtilization", Unit: "Percent", At: w.now.Truncate(time.Minute), Stat: Stat{Count: 20, Sum: 400, Min: 1, Max: 90},
				Dimensions: []Dimension{{"AutoScalingGroupName", fmt.Sprintf("group-%03d", g)}}})
		}
		b.StartTimer()
		w.until(w.now.Add(time.Minute))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(2*benchGroups), "ns/alarm-and-sweep")
}

// BenchmarkDescribeAlarm is a describe by name.
func BenchmarkDescribeAlarm(b *testing.B) {
	w := largeWorld(b)
	in := describeOne("TargetTracking-group-250-AlarmHigh")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.try("DescribeAlarms", in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAlarm is a step with the evaluation of one alarm, which stays in its state.
func BenchmarkAlarm(b *testing.B) {
	w := largeWorld(b)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		name := fmt.Sprintf("TargetTracking-group-%03d-AlarmLow", n*7%benchGroups)
		w.inside(func(tx *cloud.Tx) { w.cw.evaluate(tx, name) })
	}
}

// BenchmarkMemory reports what 100,500 series with twenty points each hold in memory.
func BenchmarkMemory(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	w := largeWorld(b)
	runtime.GC()
	runtime.ReadMemStats(&after)
	for b.Loop() {
		runtime.KeepAlive(w)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB")
}
