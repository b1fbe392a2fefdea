package cloudwatch

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
)

// PutMetricData takes measurements of clients (CW-PD-01..04). All of them are checked before the first is stored.
func (s *Service) PutMetricData(tx *cloud.Tx, in *shape.PutMetricDataInput) (*shape.PutMetricDataOutput, error) {
	namespace := api.Value(in.Namespace)
	if strings.HasPrefix(namespace, "AWS/") {
		return nil, api.Errorf("InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid.")
	}
	if !printable(namespace) {
		return nil, api.Errorf("InvalidParameterValue", "The value %q for parameter Namespace is invalid.", namespace)
	}
	given := in.MetricData
	for _, e := range in.EntityMetricData {
		given = append(given[:len(given):len(given)], e.MetricData...)
	}
	switch {
	case len(given) == 0:
		return nil, api.Errorf("MissingParameter", "The parameter MetricData is required.")
	case len(given) > 1000:
		return nil, invalid("The collection MetricData must not have a size greater than 1000.")
	}
	data := make([]Datum, len(given))
	for i := range given {
		d, err := datumOf(tx, &given[i], fmt.Sprintf("MetricData.member.%d", i+1))
		if err != nil {
			return nil, err
		}
		d.Namespace = namespace
		data[i] = d
	}
	s.Put(tx, data)
	return &shape.PutMetricDataOutput{}, nil
}

// printable tells whether a name has no control characters, which AWS does not take and keys are made with.
func printable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] == 0x7f {
			return false
		}
	}
	return true
}

// datumOf checks one measurement; name is what errors call it.
func datumOf(tx *cloud.Tx, in *shape.MetricDatum, name string) (Datum, error) {
	d := Datum{Metric: api.Value(in.MetricName), Unit: api.Value(in.Unit), At: tx.Now(), Dimensions: dimensionsOf(in.Dimensions)}
	bad := func(member string, value any) (Datum, error) {
		return d, api.Errorf("InvalidParameterValue", "The value %v for parameter %s.%s is invalid.", value, name, member)
	}
	if !printable(d.Metric) {
		return bad("MetricName", d.Metric)
	}
	for i, a := range d.Dimensions {
		for _, b := range d.Dimensions[:i] {
			if a.Name == b.Name {
				return bad(fmt.Sprintf("Dimensions.member.%d.Name", i+1), a.Name)
			}
		}
		if a.Name == "" || a.Value == "" || strings.HasPrefix(a.Name, ":") || !printable(a.Name) || !printable(a.Value) {
			return bad(fmt.Sprintf("Dimensions.member.%d", i+1), a.Name)
		}
	}
	if in.Timestamp != nil {
		d.At = *in.Timestamp
		if d.At.Before(tx.Now().Add(-14*24*time.Hour)) || d.At.After(tx.Now().Add(2*time.Hour)) { // CW-PD-02
			return d, api.Errorf("InvalidParameterValue", "Timestamp must not be more than two weeks in the past or two hours in the future.")
		}
	}
	switch r := api.Value(in.StorageResolution); {
	case r == 0 || r == 60:
	case r == 1:
		d.Resolution = 1
	default:
		return bad("StorageResolution", r)
	}
	given := 0
	for _, g := range []bool{in.Value != nil, in.StatisticValues != nil, len(in.Values) > 0} {
		if g {
			given++
		}
	}
	if given != 1 {
		return d, api.Errorf("InvalidParameterCombination", "Exactly one of the parameters %s.Value, %s.Values and %s.StatisticValues must be specified.", name, name, name)
	}
	stat, member, ok := statOf(in)
	if !ok {
		return bad(member, "given")
	}
	d.Stat = stat
	return d, nil
}

// statOf makes a Stat of a datum's value, values or statistic set; ok is false if a number is out of range, and member
// says where.
func statOf(in *shape.MetricDatum) (stat Stat, member string, ok bool) {
	fits := func(x ...float64) bool {
		for _, v := range x {
			if !(math.Abs(v) <= bound) { // CW-PD-03
				return false
			}
		}
		return true
	}
	if in.Value != nil {
		v := *in.Value
		stat = Single(v)
		stat.Values = []float64{v}
		return stat, "Value", fits(v)
	}
	if x := in.StatisticValues; x != nil {
		stat = Stat{Count: api.Value(x.SampleCount), Sum: api.Value(x.Sum), Min: api.Value(x.Minimum), Max: api.Value(x.Maximum)}
		if stat.Min == stat.Max && stat.Count > 0 { // CW-ST-08
			stat.Values, stat.Counts = []float64{stat.Min}, []float64{stat.Count}
		}
		return stat, "StatisticValues", fits(stat.Count, stat.Sum, stat.Min, stat.Max) && stat.Count > 0 && stat.Min <= stat.Max
	}
	if len(in.Values) > 150 || len(in.Counts) > 0 && len(in.Counts) != len(in.Values) {
		return stat, "Values", false
	}
	var v Values
	for i, x := range in.Values {
		n := 1.0
		if len(in.Counts) > 0 {
			n = in.Counts[i]
		}
		if !fits(x, n) || n < 0 {
			return stat, "Values", false
		}
		if n == 0 {
			continue
		}
		one := Stat{Count: n, Sum: x * n, Min: x, Max: x}
		stat = stat.Add(one)
		v.V, v.N = append(v.V, x), append(v.N, n)
	}
	v = merged(v, Values{}, maxValues)
	stat.Values, stat.Counts = v.V, v.N
	return stat, "Counts", stat.Count > 0
}

// listPage is how many metrics ListMetrics gives at a time, and listAge for how long it shows one without data
// (CW-ST-06).
const (
	listPage = 500
	listAge  = 14 * 24 * time.Hour
)

// ListMetrics lists the metrics that had data lately, in order of namespace, name and dimensions.
func (s *Service) ListMetrics(tx *cloud.Tx, in *shape.ListMetricsInput) (*shape.ListMetricsOutput, error) {
	since := tx.Now().Add(-listAge)
	if in.RecentlyActive != nil {
		since = tx.Now().Add(-3 * time.Hour)
	}
	out := &shape.ListMetricsOutput{Metrics: []shape.Metric{}}
	last := ""
	after, err := base64.URLEncoding.DecodeString(api.Value(in.NextToken))
	if err != nil {
		return nil, api.Errorf("InvalidParameterValue", "The value given for parameter NextToken is invalid.")
	}
	for id, m := range s.metrics.After(tx, string(after)) {
		key := strings.TrimSuffix(id, m.Unit)
		if key == last || !listed(&m, in) { // another unit of the same metric
			continue
		}
		if at, ok := s.newest(m.Series); !ok || at < since.Unix() {
			continue
		}
		if len(out.Metrics) == listPage {
			// After all units of the last one; keys have control characters, which XML can't write.
			out.NextToken = new(base64.URLEncoding.EncodeToString([]byte(last + "\x7f")))
			break
		}
		last = key
		out.Metrics = append(out.Metrics, shape.Metric{Namespace: new(m.Namespace), MetricName: new(m.MetricName),
			Dimensions: dimensionShapes(m.Dimensions)})
		if api.Value(in.IncludeLinkedAccounts) {
			out.OwningAccounts = append(out.OwningAccounts, tx.Scope.Account)
		}
	}
	return out, nil
}

func listed(m *Metric, in *shape.ListMetricsInput) bool {
	if in.Namespace != nil && *in.Namespace != m.Namespace || in.MetricName != nil && *in.MetricName != m.MetricName {
		return false
	}
	for _, f := range in.Dimensions {
		found := false
		for _, d := range m.Dimensions {
			found = found || d.Name == api.Value(f.Name) && (f.Value == nil || *f.Value == d.Value)
		}
		if !found {
			return false
		}
	}
	return true
}

// startOf rounds the start of a time range down, the more the older it is (CW-GM-02).
func startOf(tx *cloud.Tx, start time.Time, period int64) int64 {
	at, step := start.Unix(), int64(60)
	switch age := tx.Now().Unix() - at; {
	case age > 63*day:
		step = hour
	case age > 15*day:
		step = 300
	case period < 60:
		step = period
	}
	return at - mod(at, step)
}

// ceiling is the first whole second that is not before t.
func ceiling(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

func readPeriod(p int32) bool { // CW-ST-04
	return p == 1 || p == 5 || p == 10 || p == 20 || p == 30 || p > 0 && p%60 == 0
}

// GetMetricStatistics gives statistics of one metric, a unit at a time (CW-GM-03).
func (s *Service) GetMetricStatistics(tx *cloud.Tx, in *shape.GetMetricStatisticsInput) (*shape.GetMetricStatisticsOutput, error) {
	period := int64(api.Value(in.Period))
	if !readPeriod(api.Value(in.Period)) {
		return nil, api.Errorf("InvalidParameterValue", "The parameter Period must be a multiple of 60.")
	}
	if !in.StartTime.Before(*in.EndTime) {
		return nil, api.Errorf("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.")
	}
	if len(in.Statistics)+len(in.ExtendedStatistics) == 0 {
		return nil, api.Errorf("MissingParameter", "The parameter Statistics or ExtendedStatistics must be specified.")
	}
	from, to := startOf(tx, *in.StartTime, period), ceiling(*in.EndTime)
	n := (to - from + period - 1) / period
	if n > 1440 {
		return nil, api.Errorf("InvalidParameterCombination", "You have requested up to %d datapoints, which exceeds the limit of 1440. "+
			"You may reduce the datapoints requested by increasing Period, or decreasing the time range.", n)
	}
	extended := make([]statistic, len(in.ExtendedStatistics))
	for i, name := range in.ExtendedStatistics {
		x, ok := parseStatistic(name)
		if !ok || !x.raw() {
			return nil, api.Errorf("InvalidParameterValue", "The value %s for parameter ExtendedStatistics.member.%d is invalid.", name, i+1)
		}
		extended[i] = x
	}
	out := &shape.GetMetricStatisticsOutput{Label: in.MetricName, Datapoints: []shape.Datapoint{}}
	key := metricKey(api.Value(in.Namespace), api.Value(in.MetricName), dimensionsOf(in.Dimensions))
	s.seriesOf(tx, key, api.Value(in.Unit), func(m Metric) {
		windows := make([]Stat, n)
		s.fill(windows, m.Series, from, to, period, len(extended) > 0)
		for i, w := range windows {
			d := shape.Datapoint{Timestamp: new(time.Unix(from+int64(i)*period, 0).UTC()), Unit: new(m.Unit)}
			if w.Count > 0 && statistics(&d, w, in, extended) {
				out.Datapoints = append(out.Datapoints, d)
			}
		}
	})
	return out, nil
}

// statistics sets those members of a data point that were asked for, and tells whether there were any.
func statistics(d *shape.Datapoint, w Stat, in *shape.GetMetricStatisticsInput, extended []statistic) bool {
	for _, name := range in.Statistics {
		switch name {
		case "SampleCount":
			d.SampleCount = new(w.Count)
		case "Average":
			d.Average = new(w.Sum / w.Count)
		case "Sum":
			d.Sum = new(w.Sum)
		case "Minimum":
			d.Minimum = new(w.Min)
		case "Maximum":
			d.Maximum = new(w.Max)
		}
	}
	for i, x := range extended {
		if v, ok := x.of(w); ok {
			if d.ExtendedStatistics == nil {
				d.ExtendedStatistics = map[string]float64{}
			}
			d.ExtendedStatistics[in.ExtendedStatistics[i]] = v
		}
	}
	return len(in.Statistics) > 0 || d.ExtendedStatistics != nil
}

// Limits of GetMetricData (CW-GM-01) and of the windows it may look at.
const (
	maxQueries = 500
	maxPoints  = 100_800
	maxWindows = 2_000_000
)

// GetMetricData gives statistics of many metrics and of expressions over them.
func (s *Service) GetMetricData(tx *cloud.Tx, in *shape.GetMetricDataInput) (*shape.GetMetricDataOutput, error) {
	if len(in.MetricDataQueries) > maxQueries {
		return nil, invalid("The collection MetricDataQueries must not have a size greater than %d.", maxQueries)
	}
	if !in.StartTime.Before(*in.EndTime) {
		return nil, invalid("The parameter StartTime must be less than the parameter EndTime.")
	}
	queries, err := queriesOf(in.MetricDataQueries)
	if err != nil {
		return nil, err
	}
	to, windows := ceiling(*in.EndTime), int64(0)
	for _, q := range queries {
		if (q.Expression == "" || q.Period != 0) && !readPeriod(q.Period) {
			return nil, invalid("The period %d of the query '%s' is invalid: it must be 1, 5, 10, 20, 30 or a multiple of 60.", q.Period, q.ID)
		}
		if n := (to - in.StartTime.Unix()) / int64(max(q.Period, 1)); q.Expression == "" || q.Period > 0 {
			windows += n
		}
	}
	if windows > maxWindows {
		return nil, invalid("The time range has %d periods, which is more than can be looked at in one call. "+
			"You may increase Period, or decrease the time range.", windows)
	}
	p, err := compile(queries)
	if err != nil {
		return nil, err
	}
	c := &computation{plan: p, to: to, fetch: s.fetcher(tx),
		from: func(period int64) int64 { return startOf(tx, *in.StartTime, period) }}
	all, err := c.all(in.ScanBy == nil || *in.ScanBy == shape.ScanByTimestampDescending)
	if err != nil {
		return nil, err
	}
	limit := maxPoints
	if m := int(api.Value(in.MaxDatapoints)); m > 0 && m < limit {
		limit = m
	}
	return page(all, api.Value(in.NextToken), limit)
}
