// Package load holds what comes in: requests per second over time, on a grid of equal slots, and reads it from what users
// have: CSV, the JSON of `aws cloudwatch get-metric-data`, access logs of an Application Load Balancer.
//
// A trace is data, not a process: it has no gaps, no doubles and no negative values; reading repairs what can be repaired
// and says so, or refuses with the file and the line. It knows nothing of groups, policies or instances.
package load

import "time"

// Trace is load over time, piecewise constant.
type Trace struct {
	Name  string
	Start time.Time     // UTC, start of the first slot
	Step  time.Duration // length of a slot, a whole number of seconds
	Rates []float64     // requests per second, the mean over each slot; finite, not negative
	Notes []string      // what was repaired while reading, one sentence each

	Unit    Unit    // of the values that it was read from, as the file or the options say; empty if it was not read
	Service float64 // seconds that targets took for a request on average, where an access log tells; 0 is unknown
}

// End is the end of the last slot.
func (t Trace) End() time.Time { return t.Start.Add(time.Duration(len(t.Rates)) * t.Step) }

// At is the rate at an instant, 0 outside of the trace.
func (t Trace) At(at time.Time) float64 {
	if at.Before(t.Start) || !at.Before(t.End()) {
		return 0
	}
	return t.Rates[at.Sub(t.Start)/t.Step]
}

// Peak is the largest rate.
func (t Trace) Peak() float64 {
	peak := 0.0
	for _, r := range t.Rates {
		peak = max(peak, r)
	}
	return peak
}

// Between is the part of the trace in [from, to), widened to whole slots and cut to what there is.
func (t Trace) Between(from, to time.Time) Trace {
	first := max(0, int(from.Sub(t.Start)/t.Step))
	last := min(len(t.Rates), int((to.Sub(t.Start)+t.Step-1)/t.Step))
	t.Start = t.Start.Add(time.Duration(first) * t.Step)
	t.Rates = t.Rates[first:max(first, last)]
	return t
}
