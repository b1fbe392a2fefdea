package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/sim/outcome"
)

// A figure is one line of a summary: what it is called and how it is written.
type figure struct {
	name string
	text func(outcome.Summary) string
}

// figures are all lines of a summary, the most asked for first.
var figures = []figure{
	{"Requests", func(s outcome.Summary) string { return count(s.Requests) }},
	{"In time", func(s outcome.Summary) string { return ofRequests(s, s.InTime) }},
	{"Late", func(s outcome.Summary) string { return ofRequests(s, s.Late) }},
	{"Lost", func(s outcome.Summary) string { return ofRequests(s, s.Lost) }},
	{"Retries", func(s outcome.Summary) string { return count(s.Retries) }},
	{"Latency p50", func(s outcome.Summary) string { return latency(s, s.P50) }},
	{"Latency p95", func(s outcome.Summary) string { return latency(s, s.P95) }},
	{"Latency p99", func(s outcome.Summary) string { return latency(s, s.P99) }},
	{"Instance-hours", func(s outcome.Summary) string { return Number(s.InstanceHours, 1) }},
	{"Cost", func(s outcome.Summary) string { return Number(s.Cost, 2) }},
	{"Lower bound, hours", func(s outcome.Summary) string { return bound(s) }},
	{"Above lower bound", func(s outcome.Summary) string { return above(s) }},
	{"Minutes over target", func(s outcome.Summary) string { return Number(s.MinutesOverTarget, 0) }},
	{"Mean utilization", func(s outcome.Summary) string { return Number(s.MeanUtilization, 1) + " %" }},
	{"Headroom", func(s outcome.Summary) string { return Number(100*s.Headroom, 1) + " %" }},
	{"Changes of capacity", func(s outcome.Summary) string { return whole(s.Actions) }},
	{"Largest change", func(s outcome.Summary) string { return whole(s.LargestAction) }},
	{"Time to react", func(s outcome.Summary) string { return reaction(s.TimeToReact) }},
	{"Most instances", func(s outcome.Summary) string { return whole(s.MaxInstances) }},
	{"Failed launches", func(s outcome.Summary) string { return whole(s.FailedLaunches) }},
}

// count is a number of requests, with thousands set apart.
func count(v float64) string { return Number(math.Round(v), 0) }

func whole(n int) string { return Number(float64(n), 0) }

// Number has a fixed number of decimals and thousands set apart.
func Number(v float64, decimals int) string {
	text := strconv.FormatFloat(math.Abs(v), 'f', decimals, 64)
	whole, rest, _ := strings.Cut(text, ".")
	var groups []string
	for len(whole) > 3 {
		groups = append([]string{whole[len(whole)-3:]}, groups...)
		whole = whole[:len(whole)-3]
	}
	text = strings.Join(append([]string{whole}, groups...), ",")
	if rest != "" {
		text += "." + rest
	}
	if v < 0 && strings.Trim(text, "0.,") != "" {
		text = "-" + text
	}
	return text
}

// Share is in percent, with more places the nearer it is to all or nothing: 99.9 and 99.999 % are worlds apart. What is not
// quite all is never written as all, nor a little as nothing.
func Share(v float64) string {
	if v <= 0 || v >= 1 || math.IsNaN(v) {
		return Number(100*v, 0) + " %"
	}
	rest := 100 * min(v, 1-v)
	switch {
	case rest < 1e-6 && v < 0.5:
		return "< 0.000001 %"
	case rest < 1e-6:
		return "> 99.999999 %"
	}
	return strconv.FormatFloat(100*v, 'f', max(2, int(math.Ceil(-math.Log10(rest)-1e-6))), 64) + " %"
}

// none stands for a figure of nothing.
const none = "-"

// ofRequests is a share of the requests, if there were any.
func ofRequests(s outcome.Summary, v float64) string {
	if s.Requests == 0 {
		return none
	}
	return Share(v)
}

// latency is one of the answers, if there were any.
func latency(s outcome.Summary, v float64) string {
	if s.Requests == 0 || s.InTime+s.Late == 0 {
		return none
	}
	return seconds(v)
}

// brief is a share with at most three places, for tables that have little room.
func brief(s outcome.Summary, v float64) string {
	switch {
	case s.Requests == 0:
		return none
	case v > 0.99999 && v < 1:
		return "> 99.999 %"
	case v > 0 && v < 0.00001:
		return "< 0.001 %"
	}
	return Share(v)
}

func seconds(v float64) string {
	if v < 1 {
		return Number(1000*v, 0) + " ms"
	}
	return Number(v, 2) + " s"
}

func bound(s outcome.Summary) string {
	if s.AboveBound == nil {
		return none
	}
	return Number(s.LowerBound, 1)
}

func above(s outcome.Summary) string {
	if s.AboveBound == nil {
		return none
	}
	return Number(100**s.AboveBound, 1) + " %"
}

func reaction(seconds float64) string {
	if seconds == 0 {
		return none
	}
	return (time.Duration(math.Round(seconds)) * time.Second).String()
}

func change(a outcome.Activity) string {
	if a.From == a.To {
		return ""
	}
	return fmt.Sprintf("%d to %d", a.From, a.To)
}
