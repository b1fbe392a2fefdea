package ec2

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// Namespace is that of EC2's metrics.
const Namespace = "AWS/EC2"

// Metric is one of the metrics that EC2 publishes for an instance from its usage, in namespace AWS/EC2.
type Metric struct{ Name, Unit string }

// MetricCount is the length of Metrics.
const MetricCount = 9

// Metrics are the metrics made of Usage, in the order of Measured.Stats (CW-NM-01).
var Metrics = [MetricCount]Metric{
	{"CPUUtilization", "Percent"},
	{"NetworkIn", "Bytes"}, {"NetworkOut", "Bytes"},
	{"NetworkPacketsIn", "Count"}, {"NetworkPacketsOut", "Count"},
	{"DiskReadBytes", "Bytes"}, {"DiskWriteBytes", "Bytes"},
	{"DiskReadOps", "Count"}, {"DiskWriteOps", "Count"},
}

// statusMetrics are free and come every minute, also with basic monitoring.
var statusMetrics = [4]string{"StatusCheckFailed", "StatusCheckFailed_Instance", "StatusCheckFailed_System", "StatusCheckFailed_AttachedEBS"}

// The periods of detailed and basic monitoring (CW-NM-02).
const (
	minute = time.Minute
	basic  = 5 * time.Minute
)

// Measured is one instance's newest point of every metric: one minute with detailed monitoring, five without. Counts of
// statistics are minutes, so sums over instances of both kinds make sense.
type Measured struct {
	InstanceID string
	Detailed   bool
	At         time.Time // start of the period (CW-ST-05)
	Stats      [MetricCount]cloudwatch.Stat
}

// Accumulated is the row of what an instance has used and what is not published yet.
type Accumulated struct {
	Minute  time.Time            // start of the minute that is being measured; zero: none
	Seconds float64              // of it that were measured
	Sums    [MetricCount]float64 // CPU percent times seconds, then plain sums

	Period time.Time // start of the five minutes that Stats are of, with basic monitoring
	Stats  [MetricCount]Totals
}

// Totals is a cloudwatch.Stat without raw values.
type Totals struct{ Count, Sum, Min, Max float64 }

func (t Totals) add(v float64) Totals {
	if t.Count == 0 {
		return Totals{1, v, v, v}
	}
	return Totals{t.Count + 1, t.Sum + v, min(t.Min, v), max(t.Max, v)}
}

func (t Totals) merge(o Totals) Totals {
	if t.Count == 0 {
		return o
	}
	return Totals{t.Count + o.Count, t.Sum + o.Sum, min(t.Min, o.Min), max(t.Max, o.Max)}
}

func (t Totals) stat() cloudwatch.Stat {
	return cloudwatch.Stat{Count: t.Count, Sum: t.Sum, Min: t.Min, Max: t.Max}
}

// scopeData is what one batch publishes in one scope.
type scopeData struct {
	scope    cloud.Scope
	own      []cloudwatch.Dimension // of the instance at hand
	data     []cloudwatch.Datum     // of the instance at hand
	measured []Measured

	// The aggregates over instances, in the order in which they came up; where says at which place.
	aggregates []aggregate
	where      map[aggregateKey]int
}

type aggregateKey struct {
	dimension cloudwatch.Dimension
	at        int64
}

type aggregate struct {
	dimension cloudwatch.Dimension
	at        time.Time
	stats     [MetricCount]Totals
}

// add counts an instance's points in those of a dimension: a thousand instances of a type are one point, put once.
func (d *scopeData) add(name, value string, at time.Time, stats *[MetricCount]Totals) {
	key := aggregateKey{cloudwatch.Dimension{Name: name, Value: value}, at.Unix()}
	n, ok := d.where[key]
	if !ok {
		if d.where == nil {
			d.where = map[aggregateKey]int{}
		}
		n = len(d.aggregates)
		d.where[key] = n
		d.aggregates = append(d.aggregates, aggregate{dimension: key.dimension, at: at})
	}
	sums := &d.aggregates[n].stats
	for k := range stats {
		sums[k] = sums[k].merge(stats[k])
	}
}

// measure takes a batch of usage. A sample counts for the minute in which the middle of its span lies; the minute is
// published when the next span of the same length would belong to a later one.
func (s *Service) measure(tx *cloud.Tx, u Usage) {
	span := u.To.Sub(u.From)
	if span <= 0 {
		return
	}
	middle, next := u.From.Add(span/2).UTC().Truncate(minute), u.To.Add(span/2).UTC().Truncate(minute)
	var all []scopeData
	at := map[cloud.Scope]int{}
	for _, sample := range u.Samples {
		scope, i, ok := s.parts.Find(sample.ID)
		if !ok || i.State != Running && i.State != Stopping && i.State != ShuttingDown {
			continue
		}
		n, ok := at[scope]
		if !ok {
			n = len(all)
			at[scope] = n
			all = append(all, scopeData{scope: scope})
		}
		d := &all[n]
		d.own, d.data = dimension("InstanceId", i.ID), d.data[:0]
		tx.In(scope, func() {
			s.sample(tx, d, i, sample, span, middle, next)
			s.metrics.Put(tx, d.data)
		})
	}
	for _, d := range all {
		tx.In(d.scope, func() {
			for _, a := range d.aggregates {
				s.metrics.Put(tx, points(nil, []cloudwatch.Dimension{a.dimension}, a.at, &a.stats))
			}
			if len(d.measured) > 0 {
				tx.Emit(Name, InstancesMeasured{Samples: d.measured})
			}
		})
	}
}

// sample adds one sample to what an instance has used and publishes what is complete.
func (s *Service) sample(tx *cloud.Tx, d *scopeData, i Instance, u UsageSample, span time.Duration, middle, next time.Time) {
	a, _ := s.usage.Get(tx, i.ID)
	before := a
	if !a.Minute.IsZero() && !a.Minute.Equal(middle) { // the minute went by without its last batch
		a.close(d, i)
	}
	if !a.Period.IsZero() && (i.Monitoring || !a.Period.Equal(middle.Truncate(basic))) {
		a.publish(d, i, a.Period, false)
	}
	a.Minute = middle
	a.Seconds += span.Seconds()
	for n, v := range [MetricCount]float64{
		u.CPUPercent * span.Seconds(), u.NetworkIn, u.NetworkOut, u.PacketsIn, u.PacketsOut, u.DiskReadBytes, u.DiskWriteBytes, u.DiskReadOps, u.DiskWriteOps,
	} {
		a.Sums[n] += v
	}
	if !next.Equal(middle) {
		a.close(d, i)
	}
	if !a.Period.IsZero() && !next.Before(a.Period.Add(basic)) {
		a.publish(d, i, a.Period, false)
	}
	switch {
	case a == before:
	case a == Accumulated{}:
		s.usage.Delete(tx, i.ID)
	default:
		s.usage.Put(tx, i.ID, a)
	}
}

// close ends the minute that is being measured.
func (a *Accumulated) close(d *scopeData, i Instance) {
	values := a.Sums
	values[0] /= a.Seconds
	at := a.Minute
	a.Minute, a.Seconds, a.Sums = time.Time{}, 0, [MetricCount]float64{}
	failed := i.failed(at)
	for n, name := range statusMetrics {
		d.data = append(d.data, cloudwatch.Datum{
			Namespace: Namespace, Metric: name, Unit: "Count", At: at, Stat: cloudwatch.Single(failed[n]), Dimensions: d.own,
		})
	}
	if a.Period.IsZero() {
		a.Period = at.Truncate(basic)
	}
	for n, v := range values {
		a.Stats[n] = a.Stats[n].add(v)
	}
	if i.Monitoring {
		a.publish(d, i, at, true)
	}
}

// publish gives the collected minutes as one point of every metric.
func (a *Accumulated) publish(d *scopeData, i Instance, at time.Time, detailed bool) {
	m := Measured{InstanceID: i.ID, Detailed: detailed, At: at}
	for n, t := range a.Stats {
		m.Stats[n] = t.stat()
	}
	d.data = points(d.data, d.own, at, &a.Stats)
	if detailed { // the aggregates come with detailed monitoring only (CW-NM-02)
		d.add("ImageId", i.ImageID, at, &a.Stats)
		d.add("InstanceType", i.InstanceType, at, &a.Stats)
	}
	d.measured = append(d.measured, m)
	a.Period, a.Stats = time.Time{}, [MetricCount]Totals{}
}

// points appends a point of every metric.
func points(data []cloudwatch.Datum, dimensions []cloudwatch.Dimension, at time.Time, stats *[MetricCount]Totals) []cloudwatch.Datum {
	for n, t := range stats {
		data = append(data, cloudwatch.Datum{
			Namespace: Namespace, Metric: Metrics[n].Name, Unit: Metrics[n].Unit, At: at, Stat: t.stat(), Dimensions: dimensions,
		})
	}
	return data
}

func dimension(name, value string) []cloudwatch.Dimension {
	return []cloudwatch.Dimension{{Name: name, Value: value}}
}
