package metricmath

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// function is a function of metric math and how many parameters it takes. Those without call are known, but not here.
type function struct {
	least, most int
	call        func(env *Env, args []node) (Value, error)
}

// functions by name (CW-MM-02). It is filled by init because calls evaluate nodes, which refer to it.
var functions map[string]function

func init() {
	functions = map[string]function{
		"ABS":             {1, 1, numbers(math.Abs)},
		"CEIL":            {1, 1, numbers(math.Ceil)},
		"FLOOR":           {1, 1, numbers(math.Floor)},
		"LOG":             {1, 1, numbers(math.Log)},
		"LOG10":           {1, 1, numbers(math.Log10)},
		"AVG":             {1, 1, summary(average)},
		"SUM":             {1, 1, summary(sum)},
		"MIN":             {1, 1, summary(least)},
		"MAX":             {1, 1, summary(most)},
		"STDDEV":          {1, 1, summary(deviation)},
		"DATAPOINT_COUNT": {1, 1, summary(count)},
		"DIFF":            {1, 1, steps(func(dv, _ float64) float64 { return dv })},
		"DIFF_TIME":       {1, 1, steps(func(_, dt float64) float64 { return dt })},
		"RATE":            {1, 1, steps(func(dv, dt float64) float64 { return dv / dt })},
		"RUNNING_SUM":     {1, 1, runningSum},
		"FILL":            {2, 2, fill},
		"IF":              {2, 3, choose},
		"FIRST":           {1, 1, pick(func(n int) int { return 0 })},
		"LAST":            {1, 1, pick(func(n int) int { return n - 1 })},
		"METRIC_COUNT":    {1, 1, metricCount},
		"METRICS":         {0, 1, metrics},
		"PERIOD":          {1, 1, period},
		"REMOVE_EMPTY":    {1, 1, removeEmpty},
		"SLICE":           {2, 3, slice},
		"SORT":            {3, 4, sorted},
		"TIME_SERIES":     {1, 1, timeSeries},
		"EPOCH":           {1, 1, clock(func(t time.Time) int { return int(t.Unix()) })},
		"MINUTE":          {1, 1, clock(time.Time.Minute)},
		"HOUR":            {1, 1, clock(time.Time.Hour)},
		"DAY":             {1, 1, clock(func(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 })}, // CW-MM-05
		"DATE":            {1, 1, clock(time.Time.Day)},
		"MONTH":           {1, 1, clock(func(t time.Time) int { return int(t.Month()) })},
		"YEAR":            {1, 1, clock(time.Time.Year)},

		"ANOMALY_DETECTION_BAND": {1, 2, nil},
		"INSIGHT_RULE_METRIC":    {2, 2, nil},
		"SEARCH":                 {1, 3, nil},
		"SERVICE_QUOTA":          {1, 1, nil},
	}
}

// numbers makes a function of every number.
func numbers(f func(float64) float64) func(*Env, []node) (Value, error) {
	return func(env *Env, args []node) (Value, error) {
		v, err := args[0].eval(env)
		if err != nil {
			return v, err
		}
		return v.each(f), nil
	}
}

// summary makes a function that gives a scalar of a series, and of an array a series, point by point (CW-MM-03). f gets
// the numbers that are there and how many there could be.
func summary(f func(x []float64, of int) float64) func(*Env, []node) (Value, error) {
	return func(env *Env, args []node) (Value, error) {
		v, err := args[0].eval(env)
		if err != nil || v.Kind == Scalar {
			return v, err
		}
		if v.Kind == One {
			x := v.Series[0].Values
			return Number(f(x, len(x))), nil
		}
		var out Series
		for _, s := range v.Series {
			out.Period = max(out.Period, s.Period)
		}
		walk(v.Series, func(at int64, values []float64, has []bool) {
			var there []float64
			for i, x := range values {
				if has[i] {
					there = append(there, x)
				}
			}
			out.add(at, f(there, len(values)))
		})
		return SeriesValue(out), nil
	}
}

func sum(x []float64, _ int) float64 {
	total := 0.0
	for _, v := range x {
		total += v
	}
	return total
}

func average(x []float64, of int) float64 { return sum(x, of) / float64(of) }
func count(x []float64, _ int) float64    { return float64(len(x)) }

func least(x []float64, _ int) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	return slices.Min(x)
}

func most(x []float64, _ int) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	return slices.Max(x)
}

func deviation(x []float64, _ int) float64 {
	mean, squares := average(x, len(x)), 0.0
	for _, v := range x {
		squares += (v - mean) * (v - mean)
	}
	return math.Sqrt(squares / float64(len(x)))
}

// series makes a function that takes series, or every series of an array.
func series(f func(env *Env, s Series) Series) func(*Env, []node) (Value, error) {
	return func(env *Env, args []node) (Value, error) {
		v, err := args[0].eval(env)
		if err != nil {
			return v, err
		}
		if v.Kind == Scalar {
			return v, fmt.Errorf("it takes time series, not %v", v.Kind)
		}
		return v.eachSeries(func(s Series) Series { return f(env, s) }), nil
	}
}

// steps makes a function of the differences of one point to the one before, in value and seconds (CW-MM-04).
func steps(f func(dv, dt float64) float64) func(*Env, []node) (Value, error) {
	return series(func(_ *Env, s Series) Series {
		out := Series{Label: s.Label, Period: s.Period}
		for i := 1; i < len(s.Times); i++ {
			out.add(s.Times[i], f(s.Values[i]-s.Values[i-1], float64(s.Times[i]-s.Times[i-1])))
		}
		return out
	})
}

func runningSum(env *Env, args []node) (Value, error) {
	return series(func(_ *Env, s Series) Series {
		total := 0.0
		return s.each(func(_ int64, x float64) float64 { total += x; return total })
	})(env, args)
}

// clock makes a function of the instants of the grid.
func clock(f func(time.Time) int) func(*Env, []node) (Value, error) {
	return series(func(env *Env, s Series) Series {
		return env.grid(s.Label, func(at int64) float64 { return float64(f(time.Unix(at, 0).UTC())) })
	})
}

func timeSeries(env *Env, args []node) (Value, error) {
	v, err := args[0].eval(env)
	if err != nil || v.Kind != Scalar {
		return v, err
	}
	return SeriesValue(env.grid("", func(int64) float64 { return v.Number })), nil
}

// fill puts something where the grid has no point (CW-MM-04): a number, another series' point, the point before
// (REPEAT), or what lies on the line between the neighbours (LINEAR).
func fill(env *Env, args []node) (Value, error) {
	word, _ := args[1].(wordNode)
	var with Value
	switch word {
	case "REPEAT", "LINEAR":
	default:
		var err error
		if with, err = args[1].eval(env); err != nil {
			return with, err
		}
		if with.Kind == Many {
			return with, fmt.Errorf("it fills with a number or a time series, not with %v", with.Kind)
		}
	}
	return series(func(env *Env, s Series) Series {
		grid := env.grid("", func(int64) float64 { return with.Number })
		if with.Kind == One {
			grid = with.Series[0]
		}
		out := Series{Label: s.Label, Period: s.Period}
		i := 0 // of the first point of s that has not been seen
		walk([]Series{s, grid}, func(at int64, v []float64, has []bool) {
			switch {
			case has[0]:
				out.add(at, v[0])
				i++
			case word == "REPEAT" && i > 0:
				out.add(at, s.Values[i-1])
			case word == "LINEAR" && i > 0 && i < len(s.Times):
				part := float64(at-s.Times[i-1]) / float64(s.Times[i]-s.Times[i-1])
				out.add(at, s.Values[i-1]+part*(s.Values[i]-s.Values[i-1]))
			case word == "":
				out.add(at, v[1])
			}
		})
		return out
	})(env, args[:1])
}

// choose is IF (CW-MM-06): where the condition is not zero the second parameter, in which a missing point counts as 0,
// else the third, in which it is missing.
func choose(env *Env, args []node) (Value, error) {
	vals := make([]Value, len(args))
	for i, a := range args {
		var err error
		if vals[i], err = a.eval(env); err != nil {
			return vals[i], err
		}
	}
	cond := vals[0]
	if cond.Kind == Scalar {
		switch {
		case cond.Number != 0:
			return vals[1], nil
		case len(vals) == 3:
			return vals[2], nil
		}
		return SeriesValue(Series{}), nil
	}
	if cond.Kind == Many {
		return cond, fmt.Errorf("the condition is %v", cond.Kind)
	}
	parts := []Series{cond.Series[0], {}, {}}
	label := cond.Series[0].Label
	for i, v := range vals[1:] {
		switch v.Kind {
		case Many:
			return v, fmt.Errorf("it chooses between scalars and single time series")
		case One:
			parts[i+1] = v.Series[0]
			label = v.Series[0].Label
		}
	}
	out := Series{Label: label, Period: parts[0].Period}
	walk(parts, func(at int64, v []float64, has []bool) {
		switch {
		case !has[0]:
		case v[0] != 0 && vals[1].Kind == Scalar:
			out.add(at, vals[1].Number)
		case v[0] != 0:
			out.add(at, v[1])
		case len(vals) == 3 && vals[2].Kind == Scalar:
			out.add(at, vals[2].Number)
		case has[2]:
			out.add(at, v[2])
		}
	})
	return SeriesValue(out), nil
}

// array evaluates a parameter that has to be an array of series.
func array(env *Env, n node) ([]Series, error) {
	v, err := n.eval(env)
	if err == nil && v.Kind != Many {
		err = fmt.Errorf("it takes an array of time series, not %v", v.Kind)
	}
	return v.Series, err
}

// number evaluates a parameter that has to be a scalar.
func number(env *Env, n node) (float64, error) {
	v, err := n.eval(env)
	if err == nil && v.Kind != Scalar {
		err = fmt.Errorf("it takes a scalar, not %v", v.Kind)
	}
	return v.Number, err
}

func pick(which func(n int) int) func(*Env, []node) (Value, error) {
	return func(env *Env, args []node) (Value, error) {
		list, err := array(env, args[0])
		if err != nil || len(list) == 0 {
			return SeriesValue(Series{}), err
		}
		return SeriesValue(list[which(len(list))]), nil
	}
}

func metricCount(env *Env, args []node) (Value, error) {
	list, err := array(env, args[0])
	return Number(float64(len(list))), err
}

func metrics(env *Env, args []node) (Value, error) {
	part := ""
	if len(args) == 1 {
		word, ok := args[0].(wordNode)
		if !ok {
			return Value{}, fmt.Errorf("it takes a quoted text")
		}
		part = string(word)
	}
	list, err := env.Metrics(part)
	return Value{Kind: Many, Series: list}, err
}

func period(env *Env, args []node) (Value, error) {
	if _, ok := args[0].(idNode); !ok {
		return Value{}, fmt.Errorf("it takes the ID of a metric")
	}
	v, err := args[0].eval(env)
	if err == nil && v.Kind != One {
		err = fmt.Errorf("it takes the ID of a metric, not of %v", v.Kind)
	}
	if err != nil {
		return v, err
	}
	return Number(float64(v.Series[0].Period)), nil
}

func removeEmpty(env *Env, args []node) (Value, error) {
	list, err := array(env, args[0])
	out := Value{Kind: Many}
	for _, s := range list {
		if len(s.Times) > 0 {
			out.Series = append(out.Series, s)
		}
	}
	return out, err
}

// slice is a part of an array, start inclusive, end exclusive; without an end it is the one series at start (CW-MM-07).
func slice(env *Env, args []node) (Value, error) {
	list, err := array(env, args[0])
	if err != nil {
		return Value{}, err
	}
	var at [2]int
	for i, a := range args[1:] {
		v, err := number(env, a)
		if err != nil {
			return Value{}, err
		}
		at[i] = int(min(max(v, 0), float64(len(list))))
	}
	if len(args) == 2 {
		if at[0] == len(list) {
			return SeriesValue(Series{}), nil
		}
		return SeriesValue(list[at[0]]), nil
	}
	return Value{Kind: Many, Series: list[at[0]:max(at[0], at[1])]}, nil
}

// sorted orders an array by a summary of each series; those without points come last.
func sorted(env *Env, args []node) (Value, error) {
	list, err := array(env, args[0])
	if err != nil {
		return Value{}, err
	}
	by := map[wordNode]func([]float64, int) float64{"AVG": average, "MIN": least, "MAX": most, "SUM": sum}
	word, _ := args[1].(wordNode)
	f, ok := by[word]
	order, _ := args[2].(wordNode)
	if !ok || order != "ASC" && order != "DESC" {
		return Value{}, fmt.Errorf("it sorts by AVG, MIN, MAX or SUM, ASC or DESC")
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Series) int {
		switch {
		case len(a.Values) == 0 || len(b.Values) == 0:
			return cmp.Compare(len(b.Values), len(a.Values))
		case order == "DESC":
			a, b = b, a
		}
		return cmp.Compare(f(a.Values, len(a.Values)), f(b.Values, len(b.Values)))
	})
	if len(args) == 4 {
		limit, err := number(env, args[3])
		if err != nil {
			return Value{}, err
		}
		list = list[:int(min(max(limit, 0), float64(len(list))))]
	}
	return Value{Kind: Many, Series: list}, nil
}
