package metricmath

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
)

// points reads "1 - 3": a point a minute from 0 on, - is missing.
func points(text string) Series {
	s := Series{Period: 60}
	for i, word := range strings.Fields(text) {
		if v, err := strconv.ParseFloat(word, 64); err == nil {
			s.add(int64(i)*60, v)
		}
	}
	return s
}

// show writes a value as points reads it, on a grid of five; series of an array are separated by semicolons.
func show(v Value) string {
	if v.Kind == Scalar {
		return fmt.Sprintf("%.4g", v.Number)
	}
	var all []string
	for _, s := range v.Series {
		var words []string
		walk([]Series{s, {Times: []int64{0, 60, 120, 180, 240}, Values: make([]float64, 5)}}, func(_ int64, x []float64, has []bool) {
			if has[0] {
				words = append(words, fmt.Sprintf("%.4g", x[0]))
			} else {
				words = append(words, "-")
			}
		})
		all = append(all, strings.Join(words, " "))
	}
	return strings.Join(all, "; ")
}

func eval(text string) (Value, error) {
	series := map[string]Series{
		"m1": points("1 1 0 0 -"), "m2": points("30 - 0 0 30"), "m3": points("0 0 20 - 20"), // those of CW-MM-06
		"a": points("1 2 3 4 5"), "b": points("10 - 30 - 50"), "z": points("0 1 0 1 0"), "none": points(""),
	}
	x, err := Parse(text)
	if err != nil {
		return Value{}, err
	}
	return x.Eval(&Env{From: 0, To: 300, Period: 60,
		Lookup: func(id string) (Value, error) {
			s, ok := series[id]
			if !ok {
				return Value{}, fmt.Errorf("no %s", id)
			}
			s.Label = id
			return SeriesValue(s), nil
		},
		Metrics: func(part string) ([]Series, error) {
			if part == "m" {
				return []Series{series["m1"], series["m2"], series["m3"]}, nil
			}
			return []Series{series["a"], series["b"]}, nil
		}})
}

// expressions are computed on the series of eval, and shown as show does.
var expressions = []struct{ rule, text, want string }{
	// CW-MM-01: operators, precedence, missing points, division by zero.
	{"CW-MM-01", "1 + 2 * 3 ^ 2", "19"},
	{"CW-MM-01", "2 ^ 3 ^ 2", "512"},
	{"CW-MM-01", "-2 ^ 2", "-4"},
	{"CW-MM-01", "10 - 4 - 3", "3"},
	{"CW-MM-01", "(1 + 2) * 3", "9"},
	{"CW-MM-01", "1e3 + 1.5E-1", "1000"},
	{"CW-MM-01", "a + b", "11 2 33 4 55"},
	{"CW-MM-01", "a - b", "-9 2 -27 4 -45"},
	{"CW-MM-01", "a / b", "0.1 - 0.1 - 0.1"},
	{"CW-MM-01", "a / z", "- 2 - 4 -"},
	{"CW-MM-01", "100 * a / 5", "20 40 60 80 100"},
	{"CW-MM-01", "-a", "-1 -2 -3 -4 -5"},
	{"CW-MM-01", "a > 2 AND a < 5", "0 0 1 1 0"},
	{"CW-MM-01", "a == 1 || a >= 5", "1 0 0 0 1"},
	{"CW-MM-01", "a <= 2 && z != 0", "0 1 0 0 0"},
	{"CW-MM-01", "b > 5", "1 - 1 - 1"},
	{"CW-MM-01", "a < b", "1 0 1 0 1"},
	{"CW-MM-01", "[a, b] * 2", "2 4 6 8 10; 20 - 60 - 100"},
	{"CW-MM-01", "[a, b] + a", "2 4 6 8 10; 11 2 33 4 55"},
	// CW-MM-03: a scalar of a series, a series of an array.
	{"CW-MM-03", "AVG(b)", "30"},
	{"CW-MM-03", "SUM(a)", "15"},
	{"CW-MM-03", "MIN(a) + MAX(a)", "6"},
	{"CW-MM-03", "STDDEV(a)", "1.414"},
	{"CW-MM-03", "DATAPOINT_COUNT(b)", "3"},
	{"CW-MM-03", "SUM([a, b])", "11 2 33 4 55"},
	{"CW-MM-03", "AVG([a, b])", "5.5 1 16.5 2 27.5"},
	{"CW-MM-03", "MAX([a, b, 3])", "10 3 30 4 50"},
	{"CW-MM-03", "MIN(METRICS())", "1 2 3 4 5"},
	{"CW-MM-03", "SUM(METRICS(\"m\"))", "31 1 20 0 50"},
	{"CW-MM-03", "DATAPOINT_COUNT([a, b])", "2 1 2 1 2"},
	// CW-MM-04
	{"CW-MM-04", "FILL(b, 0)", "10 0 30 0 50"},
	{"CW-MM-04", "FILL(b, a)", "10 2 30 4 50"},
	{"CW-MM-04", "FILL(b, REPEAT)", "10 10 30 30 50"},
	{"CW-MM-04", "FILL(b, LINEAR)", "10 20 30 40 50"},
	{"CW-MM-04", "FILL(none, 7)", "7 7 7 7 7"},
	{"CW-MM-04", "FILL([m1, b], 0)", "1 1 0 0 0; 10 0 30 0 50"},
	{"CW-MM-04", "RATE(a)", "- 0.01667 0.01667 0.01667 0.01667"},
	{"CW-MM-04", "DIFF(b)", "- - 20 - 20"},
	{"CW-MM-04", "DIFF_TIME(b)", "- - 120 - 120"},
	{"CW-MM-04", "RUNNING_SUM(a)", "1 3 6 10 15"},
	{"CW-MM-04", "SUM(a) / PERIOD(a)", "0.25"},
	// CW-MM-05: 1 January 1970 was a Thursday.
	{"CW-MM-05", "DAY(b)", "4 4 4 4 4"},
	{"CW-MM-05", "MINUTE(b)", "0 1 2 3 4"},
	{"CW-MM-05", "YEAR(b) + MONTH(b) + DATE(b) + HOUR(b)", "1972 1972 1972 1972 1972"},
	{"CW-MM-05", "EPOCH(b)", "0 60 120 180 240"},
	{"CW-MM-05", "TIME_SERIES(4)", "4 4 4 4 4"},
	// CW-MM-06
	{"CW-MM-06", "IF(m1, m2, m3)", "30 0 20 - -"},
	{"CW-MM-06", "IF(m1, 5, m3)", "5 5 20 - -"},
	{"CW-MM-06", "IF(m1, m2, 5)", "30 0 5 5 -"},
	{"CW-MM-06", "IF(a > 3, a)", "- - - 4 5"},
	{"CW-MM-06", "IF(1 > 0, a, b)", "1 2 3 4 5"},
	// CW-MM-07
	{"CW-MM-07", "SLICE(SORT([a, b, z], AVG, DESC), 0, 2)", "10 - 30 - 50; 1 2 3 4 5"},
	{"CW-MM-07", "SLICE([a, b], 1)", "10 - 30 - 50"},
	{"CW-MM-07", "SORT([a, b, z], SUM, ASC, 1)", "0 1 0 1 0"},
	{"CW-MM-07", "FIRST(SORT([none, a, b], MAX, ASC))", "1 2 3 4 5"},
	{"CW-MM-02", "METRIC_COUNT(REMOVE_EMPTY([none, a]))", "1"},
	{"CW-MM-02", "LAST([a, b])", "10 - 30 - 50"},
	{"CW-MM-02", "ABS(-a) + CEIL(0.2) + FLOOR(0.9) + LOG10(100)", "4 5 6 7 8"},
}

func TestExpressions(t *testing.T) {
	for _, c := range expressions {
		v, err := eval(c.text)
		if err != nil {
			t.Errorf("%s %s: %v", c.rule, c.text, err)
		} else if got := show(v); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.rule, c.text, got, c.want)
		}
	}
}

func TestBadExpressions(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "unexpected end",
		"a +":                             "unexpected end",
		"a b":                             `unexpected "b"`,
		"(a":                              "unexpected end",
		"a)":                              `unexpected ")"`,
		"NOPE(a)":                         "unknown function NOPE",
		"SUM(a, b)":                       "SUM does not take 2 parameters",
		"SEARCH('{AWS/EC2} CPU', 'Sum')":  "SEARCH is not supported",
		"ANOMALY_DETECTION_BAND(a, 2)":    "ANOMALY_DETECTION_BAND is not supported",
		"a $ b":                           "unexpected character",
		"'a":                              "has no end",
		"1.2.3":                           "is not a number",
		"RATE(5)":                         "RATE: it takes time series, not a scalar",
		"[a] + [b]":                       "does not take two arrays",
		"SORT([a], SIZE, ASC)":            "SORT: it sorts by",
		"PERIOD(a + a)":                   "PERIOD: it takes the ID",
		"REPEAT":                          `unexpected "REPEAT"`,
		strings.Repeat("(", 200) + "a":    "nested too deeply",
		strings.Repeat("-", 200) + "a":    "nested too deeply",
		strings.Repeat("a + ", 999) + "a": "2048 characters",
	} {
		if _, err := eval(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
}

func TestIDs(t *testing.T) {
	x, err := Parse("m1 + SUM([m2, m1]) * m_3")
	if err != nil || strings.Join(x.IDs(), " ") != "m1 m2 m_3" || x.UsesMetrics() {
		t.Error(x, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"a + b", "IF(m1, [m2, 3], m3)", "FILL(METRICS(\"m\"), REPEAT)", "-1e+5 ^ (a)"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := eval(text)
		if err != nil {
			return
		}
		for _, s := range v.Series {
			for i, x := range s.Values {
				if math.IsNaN(x) || math.IsInf(x, 0) || i > 0 && s.Times[i] <= s.Times[i-1] {
					t.Errorf("%q gives %v", text, s)
				}
			}
		}
	})
}
