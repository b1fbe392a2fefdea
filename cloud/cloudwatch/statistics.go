package cloudwatch

import (
	"math"
	"strconv"
	"strings"
)

// statistic is what is made of a window's samples (CW-ST-07): Average and the like, or one that needs raw values,
// between two bounds.
type statistic struct {
	kind     string  // "Average", "SampleCount", "Sum", "Minimum", "Maximum", "p", "tm", "wm", "PR", "tc", "ts"
	low      float64 // exclusive
	high     float64 // inclusive
	absolute bool    // the bounds are values and not percentages of the samples
}

// raw tells whether the statistic needs raw values.
func (s statistic) raw() bool {
	switch s.kind {
	case "Average", "SampleCount", "Sum", "Minimum", "Maximum":
		return false
	}
	return true
}

// percentile gives p of pNN as a fraction.
func (s statistic) percentile() (float64, bool) { return s.high / 100, s.kind == "p" }

// parseStatistic reads a statistic's name: "Average", "p99.9", "tm90", "tm(10%:90%)", "PR(:300)", "IQM".
func parseStatistic(name string) (statistic, bool) {
	switch name {
	case "Average", "SampleCount", "Sum", "Minimum", "Maximum":
		return statistic{kind: name}, true
	case "IQM", "iqm":
		return statistic{kind: "tm", low: 25, high: 75}, true
	}
	if len(name) < 2 {
		return statistic{}, false
	}
	if rest := name[1:]; name[0] == 'p' || name[0] == 'P' {
		if p, ok := percent(rest); ok {
			return statistic{kind: "p", high: p}, true
		}
	}
	kind, rest := strings.ToLower(name[:2]), name[2:]
	switch kind {
	case "tm", "wm", "tc", "ts":
		if p, ok := percent(rest); ok {
			return statistic{kind: kind, high: p}, true
		}
	case "pr":
		kind = "PR"
	default:
		return statistic{}, false
	}
	return parseBounds(kind, rest)
}

// parseBounds reads "(low:high)", in which either may be left out.
func parseBounds(kind, text string) (statistic, bool) {
	inner, ok := strings.CutPrefix(text, "(")
	inner, closed := strings.CutSuffix(inner, ")")
	low, high, both := strings.Cut(inner, ":")
	if !ok || !closed || !both || low == "" && high == "" {
		return statistic{}, false
	}
	s := statistic{kind: kind, absolute: !strings.Contains(inner, "%")}
	if s.absolute {
		s.low, s.high = math.Inf(-1), math.Inf(1)
	} else {
		s.high = 100
	}
	for _, b := range []struct {
		text string
		at   *float64
	}{{low, &s.low}, {high, &s.high}} {
		if b.text == "" {
			continue
		}
		number, percents := strings.CutSuffix(b.text, "%")
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || percents == s.absolute || percents && (v < 0 || v > 100) {
			return statistic{}, false
		}
		*b.at = v
	}
	return s, s.low < s.high && (kind != "PR" || s.absolute)
}

// percent reads a number from 0 to 100 with at most 10 decimals.
func percent(text string) (float64, bool) {
	if text == "" || strings.Trim(text, "0123456789.") != "" {
		return 0, false
	}
	_, decimals, _ := strings.Cut(text, ".")
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && len(decimals) <= 10 && v >= 0 && v <= 100
}

// of gives the statistic of a window's samples; false if there are none, or no raw values where it needs them.
func (s statistic) of(x Stat) (float64, bool) {
	if x.Count == 0 {
		return 0, false
	}
	switch s.kind {
	case "Average":
		return x.Sum / x.Count, true
	case "SampleCount":
		return x.Count, true
	case "Sum":
		return x.Sum, true
	case "Minimum":
		return x.Min, true
	case "Maximum":
		return x.Max, true
	}
	if x.Min < 0 {
		return 0, false // CW-ST-08
	}
	v := x.distribution()
	if x.Min == x.Max {
		v = Values{V: []float64{x.Min}, N: []float64{x.Count}}
	}
	if len(v.V) == 0 {
		return 0, false
	}
	if s.kind == "p" {
		return v.at(s.high), true
	}
	return s.within(v)
}

// at is the least value that at least so many percent of the samples do not exceed.
func (v Values) at(percent float64) float64 {
	want, seen := v.total()*percent/100, 0.0
	for i, n := range v.N {
		if seen += n; seen >= want-1e-9 {
			return v.V[i]
		}
	}
	return v.V[len(v.V)-1]
}

// within gives a trimmed or winsorised statistic: of the samples between the bounds, be they values or ranks.
func (s statistic) within(v Values) (float64, bool) {
	total := v.total()
	count, sum, below, seen := 0.0, 0.0, 0.0, 0.0
	lowest, highest := math.NaN(), math.NaN() // the extreme values inside
	for i, value := range v.V {
		n := v.N[i]
		inside := n
		if !s.absolute {
			inside = max(0, min(seen+n, total*s.high/100)-max(seen, total*s.low/100))
			below += max(0, min(seen+n, total*s.low/100)-seen)
		} else if value <= s.low {
			inside = 0
			below += n
		} else if value > s.high {
			inside = 0
		}
		seen += n
		if inside > 0 {
			count, sum = count+inside, sum+inside*value
			if math.IsNaN(lowest) {
				lowest = value
			}
			highest = value
		}
	}
	switch s.kind {
	case "PR":
		return 100 * count / total, true
	case "tc":
		return count, true
	case "ts":
		return sum, count > 0
	case "tm":
		return sum / count, count > 0
	}
	return (sum + below*lowest + (total-below-count)*highest) / total, count > 0 // wm
}
