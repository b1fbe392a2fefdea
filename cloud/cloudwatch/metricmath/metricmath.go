// Package metricmath is CloudWatch's metric math: expressions over time series.
//
// It knows no metrics and no queries: Parse makes an Expression of a text, and Eval computes it in an Env, which says
// what the names in it mean. An Expression is immutable and may be evaluated any number of times.
//
// The one idea: everything is a scalar, a series, or an array of series, as in AWS's documentation (S, TS, TS[]); a
// series is sparse, and only what stands in its Times is there.
//
// Invariants: Times ascend and are as many as Values; an evaluation changes none of its inputs.
package metricmath

import (
	"fmt"
	"math"
)

// Series is a sparse time series: Values[i] begins at Times[i], in seconds since 1970.
type Series struct {
	Label  string
	Period int64 // seconds between points; 0 if it is not a metric's
	Times  []int64
	Values []float64
}

// A Kind is what a Value is.
type Kind uint8

// The kinds, as the documentation calls them: S, TS and TS[].
const (
	Scalar Kind = iota
	One
	Many
)

func (k Kind) String() string {
	return [...]string{"a scalar", "a time series", "an array of time series"}[k]
}

// Value is what an expression gives.
type Value struct {
	Kind   Kind
	Number float64  // of a Scalar
	Series []Series // one, or of Many any number
}

// Number makes a scalar.
func Number(v float64) Value { return Value{Kind: Scalar, Number: v} }

// SeriesValue makes a series.
func SeriesValue(s Series) Value { return Value{Kind: One, Series: []Series{s}} }

// Env is what an evaluation takes place in.
type Env struct {
	// From, To and Period are the grid on which series without gaps are made: From inclusive, To exclusive, in seconds.
	From, To, Period int64
	// Lookup gives the value of an ID.
	Lookup func(id string) (Value, error)
	// Metrics gives the series of all metrics whose ID contains part: what METRICS() means.
	Metrics func(part string) ([]Series, error)
}

// grid is the series that has f of every instant of the Env.
func (e *Env) grid(label string, f func(at int64) float64) Series {
	s := Series{Label: label, Period: e.Period}
	for at := e.From; at < e.To && e.Period > 0; at += e.Period {
		s.Times, s.Values = append(s.Times, at), append(s.Values, f(at))
	}
	return s
}

// each gives f of every number of a value; what is not a number is dropped from series.
func (v Value) each(f func(x float64) float64) Value {
	if v.Kind == Scalar {
		return Number(f(v.Number))
	}
	return v.eachSeries(func(s Series) Series {
		return s.each(func(_ int64, x float64) float64 { return f(x) })
	})
}

// eachSeries gives f of every series.
func (v Value) eachSeries(f func(s Series) Series) Value {
	out := Value{Kind: v.Kind, Series: make([]Series, len(v.Series))}
	for i, s := range v.Series {
		out.Series[i] = f(s)
	}
	return out
}

func (s Series) each(f func(at int64, x float64) float64) Series {
	out := Series{Label: s.Label, Period: s.Period}
	for i, x := range s.Values {
		out.add(s.Times[i], f(s.Times[i], x))
	}
	return out
}

// add appends a point unless it is not a number.
func (s *Series) add(at int64, x float64) {
	if !math.IsNaN(x) && !math.IsInf(x, 0) {
		s.Times, s.Values = append(s.Times, at), append(s.Values, x)
	}
}

// walk calls f for every instant at which any of the series has a point, in order, with their values; has tells which
// are there, the others are 0.
func walk(series []Series, f func(at int64, values []float64, has []bool)) {
	next := make([]int, len(series))
	values, has := make([]float64, len(series)), make([]bool, len(series))
	for {
		at, any := int64(0), false
		for i, s := range series {
			if next[i] < len(s.Times) && (!any || s.Times[next[i]] < at) {
				at, any = s.Times[next[i]], true
			}
		}
		if !any {
			return
		}
		for i, s := range series {
			values[i], has[i] = 0, next[i] < len(s.Times) && s.Times[next[i]] == at
			if has[i] {
				values[i] = s.Values[next[i]]
				next[i]++
			}
		}
		f(at, values, has)
	}
}

// combine applies a binary operation. Where only one of two series has a point, the other counts as 0 (CW-MM-01).
func combine(op string, a, b Value) (Value, error) {
	f := operations[op]
	switch {
	case a.Kind == Scalar && b.Kind == Scalar:
		return Number(f(a.Number, b.Number)), nil
	case b.Kind == Scalar:
		return a.each(func(x float64) float64 { return f(x, b.Number) }), nil
	case a.Kind == Scalar:
		return b.each(func(x float64) float64 { return f(a.Number, x) }), nil
	case a.Kind == Many && b.Kind == Many:
		return Value{}, fmt.Errorf("the operator %s does not take two arrays of time series", op)
	case b.Kind == Many:
		return b.eachSeries(func(s Series) Series { return together(a.Series[0], s, s.Label, f) }), nil
	}
	return a.eachSeries(func(s Series) Series { return together(s, b.Series[0], s.Label, f) }), nil
}

func together(a, b Series, label string, f func(x, y float64) float64) Series {
	out := Series{Label: label, Period: max(a.Period, b.Period)}
	walk([]Series{a, b}, func(at int64, v []float64, _ []bool) { out.add(at, f(v[0], v[1])) })
	return out
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// operations are the binary operators. Division by zero gives no number, which drops the point.
var operations = map[string]func(x, y float64) float64{
	"+": func(x, y float64) float64 { return x + y },
	"-": func(x, y float64) float64 { return x - y },
	"*": func(x, y float64) float64 { return x * y },
	"/": func(x, y float64) float64 {
		if y == 0 {
			return math.NaN()
		}
		return x / y
	},
	"^":   math.Pow,
	"==":  func(x, y float64) float64 { return truth(x == y) },
	"!=":  func(x, y float64) float64 { return truth(x != y) },
	"<":   func(x, y float64) float64 { return truth(x < y) },
	"<=":  func(x, y float64) float64 { return truth(x <= y) },
	">":   func(x, y float64) float64 { return truth(x > y) },
	">=":  func(x, y float64) float64 { return truth(x >= y) },
	"AND": func(x, y float64) float64 { return truth(x != 0 && y != 0) },
	"OR":  func(x, y float64) float64 { return truth(x != 0 || y != 0) },
}
