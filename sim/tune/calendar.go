package tune

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/billow-cloud/billow/sim/load"
)

// Needs are the busiest minutes of every hour of a trace, by the place of the hour in the week, in instances at 100 %.
type Needs struct{ hours [7 * 24][]float64 }

// add sorts the hours of a trace into weeks. A minute is taken as the mean of five, so that one outlier is not a need.
func (n *Needs) add(t load.Trace, perInstance float64) {
	perHour := max(1, int(time.Hour/t.Step))
	wide := max(1, int(5*time.Minute/t.Step))
	first := 0
	if over := t.Start.Sub(t.Start.Truncate(time.Hour)); over > 0 {
		first = int((time.Hour - over + t.Step - 1) / t.Step)
	}
	for i := first; i+perHour <= len(t.Rates); i += perHour {
		at := t.Start.Add(time.Duration(i) * t.Step)
		peak := 0.0
		for j := i; j+wide <= i+perHour; j++ {
			sum := 0.0
			for _, r := range t.Rates[j : j+wide] {
				sum += r
			}
			peak = max(peak, sum/float64(wide))
		}
		h := int(at.Weekday())*24 + at.Hour()
		n.hours[h] = append(n.hours[h], peak/perInstance)
	}
}

// quantile is what a share of the values are not above.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[min(len(sorted)-1, max(0, int(math.Ceil(share*float64(len(sorted))))-1))]
}

// action is a scheduled action.
type action struct {
	Name, Recurrence string
	Min              int
}

// maxActions is how many scheduled actions a group may have (AS-QL-04).
const maxActions = 125

// days are the days of the week that a calendar treats alike, with their name in a recurrence.
func (c Calendar) days() map[string][]int {
	switch c.Kind {
	case Daily:
		return map[string][]int{"*": {0, 1, 2, 3, 4, 5, 6}}
	case Weekend:
		return map[string][]int{"MON-FRI": {1, 2, 3, 4, 5}, "SAT,SUN": {0, 6}}
	case Weekly:
		return map[string][]int{"SUN": {0}, "MON": {1}, "TUE": {2}, "WED": {3}, "THU": {4}, "FRI": {5}, "SAT": {6}}
	}
	return nil
}

// actions are the scheduled actions that set the minimum for each hour, as far as it differs from the hour before.
func (c Calendar) actions(n *Needs, least, most int) []action {
	groups := c.days()
	if len(groups) == 0 || n == nil {
		return nil
	}
	for tolerance := 0; ; tolerance++ {
		var out []action
		for _, days := range []string{"*", "MON-FRI", "SAT,SUN", "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"} {
			list, ok := groups[days]
			if !ok {
				continue
			}
			out = append(out, c.dayActions(n, days, list, least, most, tolerance)...)
		}
		if len(out) <= maxActions {
			return out
		}
	}
}

func (c Calendar) dayActions(n *Needs, days string, list []int, least, most, tolerance int) []action {
	var sizes [24]int
	for h := range 24 {
		var values []float64
		for _, d := range list {
			values = append(values, n.hours[d*24+h]...)
		}
		need := quantile(values, c.Share)
		sizes[h] = max(least, min(most, int(math.Ceil(need*100/c.Use-1e-9))))
	}
	var out []action
	at := 0
	for h := range 24 { // neighbours that differ by little have one action, with the larger size
		if h > 0 && within(sizes[at:h+1], tolerance) {
			continue
		}
		if h > 0 {
			out = append(out, c.action(days, at, slices.Max(sizes[at:h])))
		}
		at = h
	}
	return append(out, c.action(days, at, slices.Max(sizes[at:])))
}

func within(sizes []int, tolerance int) bool { return slices.Max(sizes)-slices.Min(sizes) <= tolerance }

// action sets the minimum for the hour h, Lead minutes before it; before midnight that is the last minute of lead that
// is left on the day, since days of the week are named.
func (c Calendar) action(days string, h, size int) action {
	minute := h*60 - c.Lead
	if minute < 0 {
		minute = 0
	}
	name := fmt.Sprintf("min-%s-%02d", dayNames[days], h)
	return action{Name: name, Recurrence: fmt.Sprintf("%d %d * * %s", minute%60, minute/60, days), Min: size}
}

var dayNames = map[string]string{"*": "daily", "MON-FRI": "weekdays", "SAT,SUN": "weekend", "SUN": "sun", "MON": "mon", "TUE": "tue", "WED": "wed", "THU": "thu", "FRI": "fri", "SAT": "sat"}
