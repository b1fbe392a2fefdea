package fuzz

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// alarmTwin says what state alarms must be in, from the data that clients sent (the services' own metrics are read from
// their rows) and the published rules alone: CW-AL-02 to CW-AL-08. It looks at alarms of one metric with a plain statistic;
// of others it knows only when they may change.
type alarmTwin struct {
	data   map[string][]sample
	series map[string]map[string]bool // keys of the rows of a metric, by metricID
	next   map[string]time.Time       // of each alarm, the next evaluation
	reset  bool                       // the cloud was loaded: nothing is due before the next full minute
}

// sample is what one datum says.
type sample struct {
	at                   int64
	unit                 string
	count, sum, min, max float64
}

func newAlarmTwin() alarmTwin {
	return alarmTwin{data: map[string][]sample{}, series: map[string]map[string]bool{}, next: map[string]time.Time{}}
}

func (t *alarmTwin) loaded() { t.reset = true }

// metricID names a metric whatever the order of its dimensions.
func metricID(scope cloud.Scope, namespace, name string, dimensions []cloudwatch.Dimension) string {
	d := slices.Clone(dimensions)
	slices.SortStableFunc(d, func(a, b cloudwatch.Dimension) int { return cmp.Compare(a.Name, b.Name) })
	return scope.String() + "\x00" + namespace + "\x00" + name + "\x00" + encoded(d)
}

// told notes the data of a call that succeeded.
func (t *alarmTwin) told(scope cloud.Scope, in any, now time.Time) {
	put, ok := in.(*cwapi.PutMetricDataInput)
	if !ok {
		return
	}
	for _, d := range put.MetricData {
		var dims []cloudwatch.Dimension
		for _, x := range d.Dimensions {
			dims = append(dims, cloudwatch.Dimension{Name: api.Value(x.Name), Value: api.Value(x.Value)})
		}
		resolution := int64(60)
		if api.Value(d.StorageResolution) == 1 {
			resolution = 1
		}
		s := sample{at: api.Or(d.Timestamp, now).Unix() / resolution * resolution, unit: api.Or(d.Unit, "None")}
		add := func(v, n float64) {
			if s.count == 0 {
				s.min, s.max = v, v
			}
			s.count, s.sum, s.min, s.max = s.count+n, s.sum+v*n, min(s.min, v), max(s.max, v)
		}
		switch {
		case d.StatisticValues != nil:
			x := d.StatisticValues
			s.count, s.sum, s.min, s.max = *x.SampleCount, *x.Sum, *x.Minimum, *x.Maximum
		case d.Value != nil:
			add(*d.Value, 1)
		default:
			for i, v := range d.Values {
				n := 1.0
				if i < len(d.Counts) {
					n = d.Counts[i]
				}
				if n > 0 {
					add(v, n)
				}
			}
		}
		key := metricID(scope, api.Value(put.Namespace), api.Value(d.MetricName), dims)
		t.data[key] = append(t.data[key], s)
	}
}

// rhythm is how often an alarm is evaluated, at which offset, and how long before that its newest window ends
// (CW-AL-03, CW-AL-03c, CW-AL-03f), in seconds.
func rhythm(a *cloudwatch.Alarm) (every, offset, lag int64) {
	period := int64(a.Period)
	for _, q := range a.Metrics {
		period = max(period, int64(q.Period))
	}
	period = max(period, 1)
	switch {
	case period < 60:
		return 10, 0, 10
	case period*int64(a.EvaluationPeriods) > 86400:
		return 3600, 60, 60
	}
	return 60, 0, 60
}

// boundary is the next instant after now at which an alarm is evaluated.
func boundary(a *cloudwatch.Alarm, now time.Time) time.Time {
	every, offset, _ := rhythm(a)
	s := now.Unix() - offset
	return time.Unix(s-s%every+every+offset, 0).UTC()
}

// check holds the alarms against the twin after a step.
func (t *alarmTwin) check(r *run, in cloud.Input, deltas []delta) {
	before := map[string]*cloudwatch.Alarm{}
	for _, d := range deltas {
		switch d.table {
		case cloudwatch.Name + ".alarms":
			before[d.key], _ = d.old.(*cloudwatch.Alarm)
		case cloudwatch.Name + ".metrics":
			t.metric(d)
		}
	}
	call, called := in.(cloud.Call)
	switched := call.Operation == "EnableAlarmActions" || call.Operation == "DisableAlarmActions" // which leaves the timer alone
	for _, key := range sortedKeys(r.rows.alarms) {
		a := r.rows.alarms[key]
		was, changed := before[key]
		if !changed {
			was = a
		}
		switch next := t.next[key]; {
		case was == nil || called:
		case t.reset || next.After(r.latest):
			if was.StateValue != a.StateValue {
				r.fail("an alarm's state is its twin's", "%s went from %s to %s, at %v, but is looked at next at %v", key, was.StateValue, a.StateValue, r.latest, next)
			}
		case was.AlarmConfigurationUpdatedTimestamp.Equal(a.AlarmConfigurationUpdatedTimestamp):
			t.due(r, key, was, a)
		}
		configured := was == nil || !switched && !was.AlarmConfigurationUpdatedTimestamp.Equal(a.AlarmConfigurationUpdatedTimestamp)
		if next := t.next[key]; t.reset || configured || !called && !next.After(r.latest) {
			t.next[key] = boundary(a, r.latest)
		}
	}
	for key := range before { // any order
		if r.rows.alarms[key] == nil {
			delete(t.next, key)
		}
	}
	t.reset = false
}

// metric notes a series that is new or gone.
func (t *alarmTwin) metric(d delta) {
	m, made := d.new.(*cloudwatch.Metric)
	if !made {
		m = d.old.(*cloudwatch.Metric)
	}
	id := metricID(scopeOf(d.key), m.Namespace, m.MetricName, m.Dimensions)
	if t.series[id] == nil {
		t.series[id] = map[string]bool{}
	}
	if t.series[id][d.key] = true; !made {
		delete(t.series[id], d.key)
	}
}

// due compares an alarm that has just been evaluated.
func (t *alarmTwin) due(r *run, key string, was, is *cloudwatch.Alarm) {
	want, ok := t.expected(r, scopeOf(key), was)
	if ok && want != is.StateValue {
		r.fail("an alarm's state is its twin's", "%s was %s and is %s, not %s, at %v: %s", key, was.StateValue, is.StateValue, want, r.latest, encoded(is))
	}
}

// expected is the state that an alarm must go to; false if the twin has no opinion.
func (t *alarmTwin) expected(r *run, scope cloud.Scope, a *cloudwatch.Alarm) (string, bool) {
	period, n := int64(a.Period), int(a.EvaluationPeriods)
	if len(a.Metrics) > 0 || a.Statistic == "" || period*int64(n+2) > 3*3600 {
		return "", false
	}
	every, offset, lag := rhythm(a)
	end := r.latest.Unix() - offset
	end = end - end%every + offset - lag
	var oldest, found, bad, good int
	samples := t.samples(r, scope, a, end-int64(n+2)*period, end)
	for age := 1; age <= n+2; age++ { // the newest window has age 1 (CW-AL-08)
		from := end - int64(age)*period
		v, ok := windowed(samples, a, from, from+period)
		if !ok || found == n {
			continue
		}
		if distance := math.Abs(v - a.Threshold); distance > 0 && distance < 1e-9*(1+math.Abs(v)) {
			return "", false // a matter of rounding
		}
		found, oldest = found+1, age
		if breaches(a, v) {
			bad++
		} else {
			good++
		}
	}
	return verdict(a, found, bad, good, oldest), true
}

// verdict is the algorithm of CW-AL-07.
func verdict(a *cloudwatch.Alarm, found, bad, good, oldest int) string {
	n, m := int(a.EvaluationPeriods), int(cmp.Or(a.DatapointsToAlarm, a.EvaluationPeriods))
	alarm := map[bool]string{true: "ALARM", false: "OK"}
	treatment := a.TreatMissingData
	if treatment == "" {
		treatment = "missing"
		if a.Namespace == "AWS/DynamoDB" {
			treatment = "ignore"
		}
	}
	if found == n {
		return alarm[bad >= m]
	}
	switch treatment {
	case "breaching":
		return alarm[bad+n-found >= m]
	case "notBreaching":
		return alarm[bad >= m]
	}
	switch {
	case found == 0 && treatment == "missing":
		return "INSUFFICIENT_DATA"
	case found == 0:
		return a.StateValue
	case bad >= m:
		return "ALARM"
	case good > 0:
		return "OK"
	case oldest >= m && treatment == "missing":
		return "ALARM"
	}
	return a.StateValue
}

func breaches(a *cloudwatch.Alarm, v float64) bool {
	switch a.ComparisonOperator {
	case "GreaterThanOrEqualToThreshold":
		return v >= a.Threshold
	case "GreaterThanThreshold":
		return v > a.Threshold
	case "LessThanThreshold":
		return v < a.Threshold
	}
	return v <= a.Threshold // LessThanOrEqualToThreshold
}

// windowed is the alarm's statistic of the samples of a window.
func windowed(samples []sample, a *cloudwatch.Alarm, from, to int64) (float64, bool) {
	var w sample
	for _, s := range samples {
		if s.at < from || s.at >= to {
			continue
		}
		if w.count == 0 {
			w.min, w.max = s.min, s.max
		}
		w.count, w.sum, w.min, w.max = w.count+s.count, w.sum+s.sum, min(w.min, s.min), max(w.max, s.max)
	}
	if w.count == 0 {
		return 0, false
	}
	return map[string]float64{"Average": w.sum / w.count, "Sum": w.sum, "SampleCount": w.count, "Minimum": w.min, "Maximum": w.max}[a.Statistic], true
}

// samples are what there is of the alarm's metric in a span.
func (t *alarmTwin) samples(r *run, scope cloud.Scope, a *cloudwatch.Alarm, from, to int64) []sample {
	id := metricID(scope, a.Namespace, a.MetricName, a.Dimensions)
	var all []sample
	if !strings.HasPrefix(a.Namespace, "AWS/") {
		for _, s := range t.data[id] {
			if s.at >= from && s.at < to && (a.Unit == "" || s.unit == a.Unit) {
				all = append(all, s)
			}
		}
		return all
	}
	points := r.rows.tables[cloudwatch.Name+".points"]
	for key := range t.series[id] { // any order
		m, ok := r.rows.tables[cloudwatch.Name+".metrics"][key].value.(*cloudwatch.Metric)
		if !ok || a.Unit != "" && m.Unit != a.Unit {
			continue
		}
		for at := from - from%60; at < to; at += 60 {
			if p, ok := points["m"+m.Series+"@"+strconv.FormatInt(at, 10)].value.(*cloudwatch.Point); ok && at >= from {
				all = append(all, sample{at: at, count: p.Count, sum: p.Sum, min: p.Min, max: p.Max})
			}
		}
	}
	return all
}
