package autoscaling

import (
	"math"
)

// This file is how Billow forecasts. AWS does not publish its method (AS-PD-10); this one is ours: what a season that is
// over tells of the same hour of the next one.

// Seasons in hours, and how much a season counts against the one after it.
const (
	dayHours  = 24
	weekHours = 7 * dayHours
	// fading is the weight of a value against the one a season younger.
	fading = 0.5
)

// HistoryNeeded and HistoryUsed are of how many hours loads must be known for a forecast, and how many are looked at
// (AS-PD-02).
const (
	HistoryNeeded = dayHours
	HistoryUsed   = 2 * weekHours
)

// Forecast is the load of the hours after a history of hourly loads, oldest first; NaN is a load that nobody knows. Each
// hour is forecast as the exponentially weighted mean of the same hour of the weeks before, if the history goes back two
// weeks, else of the days before; an hour of which nothing is known in the weeks falls back to the days, and that to the
// mean of all hours. With fewer than HistoryNeeded known loads there is no forecast, and the answer is nil.
func Forecast(history []float64, hours int) []float64 {
	history = history[max(0, len(history)-HistoryUsed):]
	for len(history) > 0 && math.IsNaN(history[0]) {
		history = history[1:]
	}
	known, sum := 0, 0.0
	for _, v := range history {
		if !math.IsNaN(v) {
			known, sum = known+1, sum+v
		}
	}
	if known < HistoryNeeded {
		return nil
	}
	out := make([]float64, max(0, hours))
	for h := range out {
		v := math.NaN()
		if len(history) >= HistoryUsed {
			v = seasonal(history, h, weekHours)
		}
		if math.IsNaN(v) {
			v = seasonal(history, h, dayHours)
		}
		if math.IsNaN(v) {
			v = sum / float64(known)
		}
		out[h] = v
	}
	return out
}

// seasonal is the weighted mean of the loads that are whole seasons before the h-th hour after the history; NaN if none
// is known.
func seasonal(history []float64, h, season int) float64 {
	sum, weights, weight := 0.0, 0.0, 1.0
	for i := len(history) + h%season - season; i >= 0; i -= season {
		if v := history[i]; !math.IsNaN(v) {
			sum, weights = sum+weight*v, weights+weight
		}
		weight *= fading
	}
	if weights == 0 {
		return math.NaN()
	}
	return sum / weights
}

// ForecastCapacity is how many instances a load takes that shall be target on each (AS-PD-07).
func ForecastCapacity(load, target float64) int {
	n := math.Ceil(load/target - 1e-9)
	switch {
	case !(n > 0):
		return 0
	case n > math.MaxInt32:
		return math.MaxInt32
	}
	return int(n)
}
