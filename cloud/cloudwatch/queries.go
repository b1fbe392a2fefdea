package cloudwatch

import (
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch/metricmath"
)

// plan is a list of queries whose expressions are parsed and whose references hold.
type plan struct {
	queries []Query
	parsed  []*metricmath.Expression // nil for a metric
	stats   []statistic
	at      map[string]int // ID -> place
}

// compile checks queries and parses their expressions.
func compile(queries []Query) (*plan, error) {
	p := &plan{queries: queries, at: map[string]int{}}
	for i := range queries {
		q := &queries[i]
		if !isID(q.ID) {
			return nil, invalid("Invalid Id %q: it must begin with a lower-case letter, and letters, digits and _ follow.", q.ID)
		}
		if _, twice := p.at[q.ID]; twice {
			return nil, invalid("The values for parameter Id in MetricDataQueries are not unique.")
		}
		p.at[q.ID] = i
		var x *metricmath.Expression
		stat, ok := statistic{}, true
		if q.Expression != "" {
			var err error
			if x, err = metricmath.Parse(q.Expression); err != nil {
				return nil, invalid("Error in expression '%s': %v", q.ID, err)
			}
		} else if stat, ok = parseStatistic(q.Stat); !ok {
			return nil, invalid("The value %s for parameter MetricStat.Stat is not supported.", q.Stat)
		}
		p.parsed, p.stats = append(p.parsed, x), append(p.stats, stat)
	}
	done := make([]bool, len(queries))
	for i := range queries {
		if err := p.check(i, done, nil); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func isID(id string) bool {
	return id != "" && id[0] >= 'a' && id[0] <= 'z' &&
		strings.Trim(strings.ToLower(id), "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// check follows the references of a query: they must exist and not lead back.
func (p *plan) check(i int, done []bool, path []string) error {
	if done[i] || p.parsed[i] == nil {
		return nil
	}
	id := p.queries[i].ID
	for _, above := range path {
		if above == id {
			return invalid("Error in expression '%s': the expressions refer to each other in a circle", id)
		}
	}
	for _, ref := range p.parsed[i].IDs() {
		next, ok := p.at[ref]
		if !ok {
			return invalid("Error in expression '%s': the Id %s is not defined", id, ref)
		}
		if err := p.check(next, done, append(path, id)); err != nil {
			return err
		}
	}
	done[i] = true
	return nil
}

// period is that of a query: its own, or the longest of what an expression uses.
func (p *plan) period(i int) int64 {
	q := &p.queries[i]
	if q.Period > 0 {
		return int64(q.Period)
	}
	longest := int64(0)
	if x := p.parsed[i]; x != nil {
		for _, ref := range x.IDs() {
			longest = max(longest, p.period(p.at[ref]))
		}
		if x.UsesMetrics() {
			for k := range p.queries {
				longest = max(longest, int64(p.queries[k].Period))
			}
		}
	}
	return longest
}

// computation evaluates the queries of a plan, each at most once, in time from (by period) to to.
type computation struct {
	*plan
	from    func(period int64) int64
	to      int64
	fetch   func(q *Query, stat statistic, from, to int64) metricmath.Series
	results []*metricmath.Value
}

func (c *computation) value(i int) (metricmath.Value, error) {
	if c.results == nil {
		c.results = make([]*metricmath.Value, len(c.queries))
	}
	if v := c.results[i]; v != nil {
		return *v, nil
	}
	q := &c.queries[i]
	period := max(c.period(i), 1)
	var v metricmath.Value
	if x := c.parsed[i]; x == nil {
		v = metricmath.SeriesValue(c.fetch(q, c.stats[i], c.from(period), c.to))
	} else {
		env := &metricmath.Env{From: c.from(period), To: c.to, Period: period, Metrics: c.metrics,
			Lookup: func(id string) (metricmath.Value, error) { return c.value(c.at[id]) }}
		var err error
		if v, err = x.Eval(env); err != nil {
			return v, invalid("Error in expression '%s': %v", q.ID, err)
		}
	}
	if q.Label != "" && v.Kind == metricmath.One {
		named := v.Series[0]
		named.Label = q.Label
		v = metricmath.SeriesValue(named)
	}
	c.results[i] = &v
	return v, nil
}

// metrics gives the series of all metrics whose ID contains part.
func (c *computation) metrics(part string) ([]metricmath.Series, error) {
	var list []metricmath.Series
	for i := range c.queries {
		if c.parsed[i] == nil && strings.Contains(c.queries[i].ID, part) {
			v, err := c.value(i)
			if err != nil {
				return nil, err
			}
			list = append(list, v.Series...)
		}
	}
	return list, nil
}

// fetcher reads metrics for a computation.
func (s *Service) fetcher(tx *cloud.Tx) func(q *Query, stat statistic, from, to int64) metricmath.Series {
	return func(q *Query, stat statistic, from, to int64) metricmath.Series {
		period := int64(q.Period)
		out := metricmath.Series{Label: q.MetricName, Period: period}
		if to <= from {
			return out
		}
		windows := make([]Stat, (to-from+period-1)/period)
		s.seriesOf(tx, metricKey(q.Namespace, q.MetricName, q.Dimensions), q.Unit, func(m Metric) {
			s.fill(windows, m.Series, from, to, period, stat.raw())
		})
		for i, w := range windows {
			if v, ok := stat.of(w); ok {
				out.Times, out.Values = append(out.Times, from+int64(i)*period), append(out.Values, v)
			}
		}
		return out
	}
}

// returned is the place of the query whose data the plan is about.
func (p *plan) returned() int {
	for i := range p.queries {
		if p.queries[i].ReturnData {
			return i
		}
	}
	return 0
}

// seriesOnly checks that the plan gives one series, by computing it without data (CW-MM-08).
func (p *plan) seriesOnly() error {
	c := computation{plan: p, from: func(int64) int64 { return 0 }, to: 0,
		fetch: func(*Query, statistic, int64, int64) metricmath.Series { return metricmath.Series{} }}
	v, err := c.value(p.returned())
	if err == nil && v.Kind != metricmath.One {
		err = invalid("Error in expression '%s': it gives %v; an alarm needs one time series", p.queries[p.returned()].ID, v.Kind)
	}
	return err
}

// evaluatedMath fills an alarm's data points with what its expression gives.
func (s *Service) evaluatedMath(tx *cloud.Tx, a *Alarm, points []datapoint, from, period int64) error {
	p, err := compile(a.Metrics)
	if err != nil {
		return err
	}
	c := computation{plan: p, from: func(int64) int64 { return from }, to: from + period*int64(len(points)), fetch: s.fetcher(tx)}
	v, err := c.value(p.returned())
	if err != nil {
		return err
	}
	for _, result := range v.Series[:min(1, len(v.Series))] {
		for i, at := range result.Times {
			if k := (at - from) / period; k >= 0 && k < int64(len(points)) {
				points[k].Value, points[k].Known = result.Values[i], true
			}
		}
	}
	return nil
}

// queriesOf takes queries from the wire.
func queriesOf(in []shape.MetricDataQuery) ([]Query, error) {
	out := make([]Query, len(in))
	for i, q := range in {
		r := Query{ID: api.Value(q.Id), Expression: api.Value(q.Expression), Label: api.Value(q.Label),
			ReturnData: q.ReturnData == nil || *q.ReturnData, Period: api.Value(q.Period)}
		if (q.MetricStat == nil) == (r.Expression == "") {
			return nil, invalid("Exactly one of Expression and MetricStat must be specified for the query '%s'.", r.ID)
		}
		if m := q.MetricStat; m != nil {
			if m.Metric == nil || api.Value(m.Metric.MetricName) == "" {
				return nil, invalid("MetricStat.Metric.MetricName must be specified for the query '%s'.", r.ID)
			}
			r.Namespace, r.MetricName = api.Value(m.Metric.Namespace), api.Value(m.Metric.MetricName)
			r.Dimensions = dimensionsOf(m.Metric.Dimensions)
			r.Period, r.Stat, r.Unit = api.Value(m.Period), api.Value(m.Stat), api.Value(m.Unit)
		}
		out[i] = r
	}
	return out, nil
}

func dimensionsOf(in []shape.Dimension) []Dimension {
	if len(in) == 0 {
		return nil
	}
	out := make([]Dimension, len(in))
	for i, d := range in {
		out[i] = Dimension{api.Value(d.Name), api.Value(d.Value)}
	}
	return out
}

// shape gives a query back to the wire.
func (q *Query) shape() shape.MetricDataQuery {
	out := shape.MetricDataQuery{Id: &q.ID, ReturnData: &q.ReturnData}
	if q.Label != "" {
		out.Label = &q.Label
	}
	if q.Expression != "" {
		out.Expression = &q.Expression
		if q.Period > 0 {
			out.Period = &q.Period
		}
		return out
	}
	out.MetricStat = &shape.MetricStat{Period: &q.Period, Stat: &q.Stat, Metric: &shape.Metric{Namespace: &q.Namespace,
		MetricName: &q.MetricName, Dimensions: dimensionShapes(q.Dimensions)}}
	if q.Unit != "" {
		out.MetricStat.Unit = &q.Unit
	}
	return out
}

func dimensionShapes(in []Dimension) []shape.Dimension {
	out := make([]shape.Dimension, len(in))
	for i := range in {
		out[i] = shape.Dimension{Name: &in[i].Name, Value: &in[i].Value}
	}
	return out
}
