package cloudwatch

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// Dimension is one name and value of a metric's identity.
type Dimension struct{ Name, Value string }

// Stat is a set of samples: how many, their sum, the least and the greatest, and, where the samples themselves are
// known, the distinct Values and how often each occurred (no Counts: once each). Without Values there are no percentiles
// unless all samples are equal (CW-ST-08).
type Stat struct {
	Count, Sum, Min, Max float64
	Values, Counts       []float64
}

// Single is the Stat of one sample.
func Single(v float64) Stat { return Stat{Count: 1, Sum: v, Min: v, Max: v} }

// Add gives the set of both sets' samples. Raw values are kept only if both have them.
func (a Stat) Add(b Stat) Stat {
	if a.Count == 0 {
		return b
	}
	if b.Count == 0 {
		return a
	}
	sum := Stat{Count: a.Count + b.Count, Sum: a.Sum + b.Sum, Min: min(a.Min, b.Min), Max: max(a.Max, b.Max)}
	if len(a.Values) > 0 && len(b.Values) > 0 {
		v := merged(a.distribution(), b.distribution(), maxValues)
		sum.Values, sum.Counts = v.V, v.N
	}
	return sum
}

// distribution is what Values and Counts say; empty if they say nothing.
func (a Stat) distribution() Values {
	v := Values{V: a.Values, N: a.Counts}
	if len(v.N) != len(v.V) {
		v.N = slices.Repeat([]float64{1}, len(v.V))
	}
	return v
}

// Datum is one measurement of one metric. At is the start of what was measured; it is rounded down to the Resolution,
// in seconds: 1, or 60, which 0 stands for. An empty Unit is "None".
type Datum struct {
	Namespace, Metric string
	Dimensions        []Dimension
	Unit              string
	At                time.Time
	Stat              Stat
	Resolution        int32
}

// Metric is the row of a series: a metric in one unit. Its key is made of everything but Series.
type Metric struct {
	Namespace, MetricName string
	Dimensions            []Dimension // sorted by name
	Unit                  string
	Series                string // key of its points
}

// Separators in keys: AWS allows no control characters in names and values.
const (
	fieldMark     = "\x1f"
	dimensionMark = "\x1e"
	valueMark     = "\x1d"
)

// metricKey is the head of the keys of all units of a metric.
func metricKey(namespace, name string, dimensions []Dimension) string {
	return metricID(namespace, name, dimensions, "")
}

// metricID is the key of a metric's row.
func metricID(namespace, name string, dimensions []Dimension, unit string) string {
	n := len(namespace) + len(name) + 3
	for _, d := range dimensions {
		n += len(d.Name) + len(d.Value) + 2
	}
	var b strings.Builder
	b.Grow(n + len(unit))
	b.WriteString(namespace)
	b.WriteString(fieldMark)
	b.WriteString(name)
	b.WriteString(fieldMark)
	for _, d := range sorted(dimensions) {
		b.WriteString(d.Name)
		b.WriteString(valueMark)
		b.WriteString(d.Value)
		b.WriteString(dimensionMark)
	}
	b.WriteString(fieldMark)
	b.WriteString(unit)
	return b.String()
}

// sorted gives the dimensions in order of name, the same slice if they are so already.
func sorted(d []Dimension) []Dimension {
	byName := func(a, b Dimension) int { return strings.Compare(a.Name, b.Name) }
	if slices.IsSortedFunc(d, byName) {
		return d
	}
	d = slices.Clone(d)
	slices.SortStableFunc(d, byName)
	return d
}

// Put merges data into the points of their periods, making series that are new. It checks nothing: limits and reserved
// namespaces are for clients.
func (s *Service) Put(tx *cloud.Tx, data []Datum) {
	for i := range data {
		s.put(tx, &data[i])
	}
}

func (s *Service) put(tx *cloud.Tx, d *Datum) {
	if d.Stat.Count <= 0 {
		return
	}
	unit := d.Unit
	if unit == "" {
		unit = "None"
	}
	id := metricID(d.Namespace, d.Metric, d.Dimensions, unit)
	m, ok := s.metrics.Get(tx, id)
	if !ok {
		m = Metric{d.Namespace, d.Metric, slices.Clone(sorted(d.Dimensions)), unit, s.newSeries(tx)}
		s.metrics.Put(tx, id, m)
	}
	if d.Resolution == 1 {
		s.merge(tx, tierSecond+m.Series, d.At.Unix(), d.Stat)
		return
	}
	at := d.At.Unix()
	s.merge(tx, tierMinute+m.Series, at-mod(at, 60), d.Stat)
}

// newSeries makes the key of a new series' points: a number, so that what is stored per point stays small.
func (s *Service) newSeries(tx *cloud.Tx) string {
	n, _ := s.numbers.Get("series")
	n++
	s.numbers.Put(tx.Journal(), "series", n)
	if !s.sweeps.Has(tx, sweepID) {
		s.sweeps.Put(tx, sweepID, Sweep{})
		tx.Touch(Name, kindSweep, sweepID)
	}
	return strconv.FormatInt(n, 36)
}

// seriesOf calls yield with the series of a metric: all its units, or one.
func (s *Service) seriesOf(tx *cloud.Tx, key, unit string, yield func(Metric)) {
	if unit != "" {
		if m, ok := s.metrics.Get(tx, key+unit); ok {
			yield(m)
		}
		return
	}
	for _, m := range s.units.of(tx, key) {
		yield(*m)
	}
}

// units are the rows of all units of each metric in order of unit, by scope and key of the metric: derived from the
// metrics' rows. A list is replaced when one of its rows is written.
type units map[string][]*Metric

func (all units) of(tx *cloud.Tx, key string) []*Metric {
	var room [192]byte
	name := append(append(room[:0], tx.Scope.Account...), '/')
	name = append(append(name, tx.Scope.Region...), '/')
	return all[string(append(name, key...))]
}

// watch takes over that a metric's row was written.
func (all units) watch(key string, old, row *Metric) {
	m := row
	if m == nil {
		m = old
	}
	name := key[:len(key)-len(m.Unit)]
	list := slices.Clone(all[name])
	i, found := slices.BinarySearchFunc(list, m.Unit, func(m *Metric, unit string) int { return strings.Compare(m.Unit, unit) })
	switch {
	case row == nil && found:
		list = slices.Delete(list, i, i+1)
	case found:
		list[i] = row
	case row != nil:
		list = slices.Insert(list, i, row)
	}
	if all[name] = list; len(list) == 0 {
		delete(all, name)
	}
}

// mod is the remainder that is never negative.
func mod(a, b int64) int64 { return ((a % b) + b) % b }
