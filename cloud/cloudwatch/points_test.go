package cloudwatch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
)

// TestWindowsAgainstSamples keeps every sample in a list, which is the obvious store, and compares random windows.
func TestWindowsAgainstSamples(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(3, 4))
	type sample struct {
		at int64
		v  float64
	}
	var all []sample
	for range 3000 {
		at := noon.Add(-time.Duration(r.IntN(7200)) * time.Second)
		v := float64(r.IntN(40))
		all = append(all, sample{at.Unix(), v})
		d := Datum{Namespace: "My", Metric: "m", At: at, Stat: Stat{Count: 1, Sum: v, Min: v, Max: v, Values: []float64{v}}, Resolution: 1}
		w.put(d)
	}
	stats := map[string]func(v []float64) float64{
		"Sum":     func(v []float64) (sum float64) { return total(v) },
		"Average": func(v []float64) float64 { return total(v) / float64(len(v)) },
		"Minimum": func(v []float64) float64 { return v[0] },
		"Maximum": func(v []float64) float64 { return v[len(v)-1] },
		"p50":     func(v []float64) float64 { return v[int(math.Ceil(float64(len(v))*0.5))-1] },
		"p99":     func(v []float64) float64 { return v[int(math.Ceil(float64(len(v))*0.99))-1] },
		"tc(10:20)": func(v []float64) float64 {
			n := 0
			for _, x := range v {
				if x > 10 && x <= 20 {
					n++
				}
			}
			return float64(n)
		},
	}
	for range 200 {
		period := []int64{1, 10, 60, 300, 420}[r.IntN(5)]
		from := noon.Unix() - int64(r.IntN(7200))
		for name, want := range stats {
			stat, ok := parseStatistic(name)
			if !ok {
				t.Fatal(name)
			}
			var windows []Stat
			w.inside(func(tx *cloud.Tx) { windows = w.cw.windows(tx, metricKey("My", "m", nil), "", from, period, 3, true) })
			for i, x := range windows {
				var in []float64
				for _, s := range all {
					if s.at >= from+int64(i)*period && s.at < from+int64(i+1)*period {
						in = append(in, s.v)
					}
				}
				slices.Sort(in)
				got, ok := stat.of(x)
				if ok != (len(in) > 0) || ok && math.Abs(got-want(in)) > 1e-9 {
					t.Fatalf("%s of %v: %v %v, want %v", name, in, got, ok, len(in))
				}
			}
		}
	}
}

func total(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum
}

func TestStatistics(t *testing.T) {
	x := Stat{}
	for v := 1.0; v <= 100; v++ { // 1 to 100, once each
		x = x.Add(Stat{Count: 1, Sum: v, Min: v, Max: v, Values: []float64{v}})
	}
	for _, c := range []struct {
		name string
		want float64
	}{
		{"SampleCount", 100}, {"Sum", 5050}, {"Average", 50.5}, {"Minimum", 1}, {"Maximum", 100},
		{"p90", 90}, {"p99.9", 100}, {"p0", 1}, {"tm90", 45.5}, {"tm(10%:90%)", 50.5}, {"IQM", 50.5}, {"TM(:50%)", 25.5},
		{"tm(20:30)", 25.5}, {"tm(90:)", 95.5}, {"ts(90%:)", 955}, {"tc(:10)", 10}, {"tc90", 90}, {"PR(:25)", 25}, {"PR(25:75)", 50},
		{"wm(10%:90%)", 50.5}, {"wm(:90%)", (4095 + 10*90) / 100.0}, {"ts99", 4950},
	} {
		s, ok := parseStatistic(c.name)
		got, known := s.of(x)
		if !ok || !known || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("CW-ST-07 %s: %v %v %v, want %v", c.name, got, ok, known, c.want)
		}
	}
	for _, bad := range []string{"", "p", "p101", "p1.12345678901", "average", "tm", "tm(", "tm(:)", "tm(90%:10%)", "PR90", "PR(10%:20%)", "tm(1:2%)", "x90", "p-1"} {
		if _, ok := parseStatistic(bad); ok {
			t.Errorf("%q is no statistic", bad)
		}
	}
}

// TestPercentilesNeedRawValues (CW-ST-08).
func TestPercentilesNeedRawValues(t *testing.T) {
	w := newWorld(t)
	sets := map[string]shape.MetricDatum{
		"set":      {StatisticValues: &shape.StatisticSet{SampleCount: new(4.0), Sum: new(10.0), Minimum: new(1.0), Maximum: new(4.0)}},
		"equal":    {StatisticValues: &shape.StatisticSet{SampleCount: new(4.0), Sum: new(8.0), Minimum: new(2.0), Maximum: new(2.0)}},
		"values":   {Values: []float64{3, 1, 2}, Counts: []float64{1, 2, 5}},
		"negative": {Values: []float64{-1, 1}},
		"value":    {Value: new(7.0)},
	}
	for name, d := range sets {
		d.MetricName = &name
		call[shape.PutMetricDataOutput](w, "PutMetricData", &shape.PutMetricDataInput{Namespace: new("My"), MetricData: []shape.MetricDatum{d}})
	}
	for name, want := range map[string]string{"set": "none", "equal": "2", "values": "2", "negative": "none", "value": "7"} {
		got := "none"
		for _, p := range w.statistics("My", name, 60, "p75").Datapoints {
			got = fmt.Sprint(p.ExtendedStatistics["p75"])
		}
		if got != want {
			t.Errorf("%s: p75 %s, want %s", name, got, want)
		}
	}
}

func (w *world) statistics(namespace, name string, period int32, extended ...string) *shape.GetMetricStatisticsOutput {
	w.t.Helper()
	in := &shape.GetMetricStatisticsInput{Namespace: &namespace, MetricName: &name, Period: &period, ExtendedStatistics: extended,
		StartTime: new(w.now.Add(-time.Hour)), EndTime: new(w.now.Add(time.Hour))}
	if len(extended) == 0 {
		in.Statistics = []string{"SampleCount", "Sum", "Average", "Minimum", "Maximum"}
	}
	return call[shape.GetMetricStatisticsOutput](w, "GetMetricStatistics", in)
}

// TestManyValuesShareBuckets: a distribution stays small, and percentiles are right to about the width of a bucket.
func TestManyValuesShareBuckets(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(5, 6))
	var all []float64
	for range 40 {
		d := shape.MetricDatum{MetricName: new("latency")}
		for range 100 {
			v := math.Exp(r.NormFloat64())
			all = append(all, v)
			d.Values = append(d.Values, v)
		}
		call[shape.PutMetricDataOutput](w, "PutMetricData", &shape.PutMetricDataInput{Namespace: new("My"), MetricData: []shape.MetricDatum{d}})
	}
	w.cw.values.Dump(func(key string, row any) bool {
		if v := row.(*Values); len(v.V) > maxValues || v.total() != 4000 {
			t.Errorf("%s has %d values of %v samples", key, len(v.V), v.total())
		}
		return true
	})
	slices.Sort(all)
	points := w.statistics("My", "latency", 60, "p50", "p99").Datapoints
	for name, want := range map[string]float64{"p50": all[2000], "p99": all[3960]} {
		if got := points[0].ExtendedStatistics[name]; math.Abs(got/want-1) > 0.1 {
			t.Errorf("%s: %v, want about %v", name, got, want)
		}
	}
}

// TestRetention: points move to coarser tiers and go away (CW-ST-03); sums stay what they were, and memory is bounded.
func TestRetention(t *testing.T) {
	w := newWorld(t)
	const minutes = 20 * 24 * 60
	for i := range minutes {
		w.until(noon.Add(time.Duration(i) * time.Minute))
		w.put(Datum{Namespace: "My", Metric: "m", At: w.now, Stat: Single(float64(i % 10))})
		if i%60 == 0 {
			w.put(Datum{Namespace: "My", Metric: "fast", At: w.now, Stat: Single(1), Resolution: 1})
		}
	}
	count := map[string]int{}
	w.cw.points.Dump(func(key string, _ any) bool { count[key[:2]]++; return true })
	if n := count["m1"]; n < 15*1440 || n > 15*1440+120 {
		t.Errorf("%d points of a minute", n)
	}
	if n := count["f1"]; n < 5*288-24 || n > 5*288 {
		t.Errorf("%d points of five minutes", n)
	}
	if n := count["s2"]; n < 3 || n > 5 {
		t.Errorf("%d points of a second", n)
	}
	// The sum over all time is that of all samples, whatever tiers they are in.
	out := call[shape.GetMetricStatisticsOutput](w, "GetMetricStatistics", &shape.GetMetricStatisticsInput{Namespace: new("My"),
		MetricName: new("m"), Period: new(int32(21 * 86400)), Statistics: []string{"Sum", "SampleCount"}, StartTime: new(noon.Add(-time.Hour)),
		EndTime: new(noon.Add(20 * 24 * time.Hour))})
	if len(out.Datapoints) != 1 || *out.Datapoints[0].SampleCount != minutes || *out.Datapoints[0].Sum != 4.5*minutes {
		t.Errorf("%+v", out.Datapoints)
	}
	// At last nothing is left, not even the timer.
	w.now = w.now.Add(456 * 24 * time.Hour)
	w.until(w.now.Add(3 * time.Hour))
	w.cloud.Dump(func(table, key string, _ any) bool {
		if table != "cloud" && table != "cloudwatch.numbers" {
			t.Errorf("left: %s %s", table, key)
			return false
		}
		return true
	})
	if wake := w.cloud.Wake(); !wake.IsZero() {
		t.Errorf("wakes at %v for nothing", wake)
	}
}

// TestHorizons: with very many series the whole stays bounded.
func TestHorizons(t *testing.T) {
	for _, c := range []struct{ series, weight int }{{1, 1}, {250, 1}, {1000, 1}, {10_000, 1}, {100_000, 1}, {1000, heavy}} {
		points := int64(0)
		for i := 1; i < len(tiers); i++ {
			points += tiers[i].horizon(c.series, c.weight) / tiers[i].step
		}
		if all := points * int64(c.series); all > 20_000_000 || c.series <= 250 && tiers[1].horizon(c.series, c.weight) < 15*day {
			t.Errorf("%+v: %d points of each", c, points)
		}
	}
}
