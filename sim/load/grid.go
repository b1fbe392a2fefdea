package load

import (
	"fmt"
	"math"
	"time"
)

// bridge is the longest gap that is filled with a line between its neighbours unless told otherwise, in milliseconds.
func bridge(slot int64) int64 { return max(3*slot, 60*minute) }

// trace makes the trace of all that was collected.
func (c *collector) trace() (Trace, error) {
	switch {
	case c.rows == 0:
		return Trace{}, fmt.Errorf("%s: there are no values in it", c.name)
	case c.rows == 1 && !c.counting:
		return Trace{}, fmt.Errorf("%s: it has one value; at least two are needed to know how long a slot is", c.name)
	}
	if c.period == 0 {
		if err := c.learn(); err != nil {
			return Trace{}, err
		}
	}
	c.merge()
	rates, filled, err := c.dense()
	if err != nil {
		return Trace{}, err
	}
	t := Trace{Step: time.Duration(c.slot) * time.Millisecond, Rates: rates, Unit: c.unit}
	if c.served > 0 {
		t.Service = c.service / float64(c.served)
	}
	start := c.cells[0].slot*c.slot + c.phase
	if c.phase%minute != 0 && c.slot%minute == 0 { // all that follows runs by whole minutes
		start = floor(start, minute) * minute
	}
	t.Start = time.UnixMilli(floor(start, 1000) * 1000).UTC()
	t.Notes = append(c.notes(), filled...)
	if want := c.step(); want < c.slot {
		t.Notes = append(t.Notes, fmt.Sprintf("Its values are %s apart: lines were drawn through them so that each keeps its mean, in slots of %s.", spoken(c.slot), spoken(want)))
		if int64(len(t.Rates))*(c.slot/want) > maxSlots {
			return Trace{}, fmt.Errorf("%s: it is too long for slots of %s", c.name, spoken(want))
		}
		t.Rates, t.Step = smooth(t.Rates, t.Step, time.Duration(want)*time.Millisecond), time.Duration(want)*time.Millisecond
	} else if c.finer() {
		t.Notes = append(t.Notes, fmt.Sprintf("Its values are %s apart: their means over %s were taken.", spoken(c.period), spoken(c.slot)))
	}
	return t, nil
}

// notes tell what had to be repaired while reading, and what the values were taken for.
func (c *collector) notes() []string {
	say := func(yes bool, format string, args ...any) {
		if yes {
			c.say(format, args...)
		}
	}
	if !c.finer() && !c.counting {
		for _, x := range c.cells {
			c.doubles += int(x.weight) - 1
		}
	}
	were := func(n int) string { return map[bool]string{true: "was", false: "were"}[n == 1] }
	say(c.unit == Percent, "A CPU percentage is taken for the work of one instance: 100 %% is what one instance can do. CPUUtilization of a group is the mean over its instances: that times their number is the group's.")
	say(c.ups > 0 && c.downs > 0 && !c.unordered, "%d of %d values %s out of order; the values were sorted.", c.downs, c.rows, were(c.downs))
	say(c.ups == 0 && c.downs > 0 && !c.unordered, "The newest value came first; the values were sorted.")
	if c.doubles > 0 {
		first := ""
		if c.doubled > 0 {
			first = fmt.Sprintf(" (the first in line %d)", c.doubled)
		}
		verb := map[bool]string{true: "has", false: "have"}[c.doubles == 1]
		c.say("%s%s %s a time that was there already; the mean was taken.%s", counted(c.doubles, "value"), first, verb, c.daylight())
	}
	say(c.missing == 1, "1 line has no value.")
	say(c.missing > 1, "%d lines have no value.", c.missing)
	say(c.uneven > c.rows/100, "%d of %d values %s not on an even grid of %s: each was moved to the nearest slot.", c.uneven, c.rows, were(c.uneven), spoken(c.period))
	say(c.clock.naive > 0 && c.clock.zoned > 0, "Some times (%d) name a time zone and some (%d) do not; those were taken for %s.", c.clock.zoned, c.clock.naive, c.zoneName())
	return c.said
}

func (c *collector) zoneName() string {
	if c.clock.zone == nil {
		return "UTC"
	}
	return c.clock.zone.String()
}

func (c *collector) daylight() string {
	if c.clock.naive == 0 || c.clock.zone != nil {
		return ""
	}
	return " If these are times of a place with summer time, name its time zone."
}

// dense lays the cells side by side and fills what is missing between them.
func (c *collector) dense() (rates []float64, notes []string, err error) {
	first, last := c.cells[0].slot, c.cells[len(c.cells)-1].slot
	rates = make([]float64, 0, last-first+1)
	bridged, gaps, empty := 0, 0, 0
	longest, longestAt := int64(0), int64(0)
	for i, x := range c.cells {
		rate := c.mean(x, x.slot == first || x.slot == last)
		if missing := x.slot - first - int64(len(rates)); missing > 0 {
			gap, from := missing*c.slot, c.at(c.cells[i-1].slot+1)
			line := c.gaps == Interpolate || c.gaps == Auto && gap <= bridge(c.slot)
			before := rates[len(rates)-1]
			for k := range missing {
				fill := 0.0
				if line {
					fill = before + (rate-before)*float64(k+1)/float64(missing+1)
				}
				rates = append(rates, fill)
			}
			switch gaps++; {
			case c.gaps == Refuse:
				return nil, nil, fmt.Errorf("%s: it has no values from %s to %s (%s)", c.name, written(from), written(c.at(x.slot)), spoken(gap))
			case line:
				bridged += int(missing)
			default:
				if empty += int(missing); missing > longest {
					longest, longestAt = missing, from
				}
			}
		}
		rates = append(rates, rate)
	}
	if bridged > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d slots had no value; the neighbours filled in.", bridged, len(rates)))
	}
	if empty > 0 && !c.counting {
		notes = append(notes, fmt.Sprintf("%d of %d slots had no value: no load was taken for it; the longest gap begins at %s and lasts %s.",
			empty, len(rates), written(longestAt), spoken(longest*c.slot)))
	}
	return rates, notes, nil
}

// mean is a slot's rate. Where finer values have only a part of it, the rest is like them; but there is no load in the rest
// at an edge of the trace, whose sum would change, nor where what is missing is zero.
func (c *collector) mean(x cell, edge bool) float64 {
	switch {
	case c.counting:
		return x.sum
	case c.finer() && (edge || c.gaps == Zero):
		return x.sum / max(x.weight, float64(c.slot))
	}
	return x.sum / x.weight
}

func (c *collector) at(slot int64) int64 { return slot*c.slot + c.phase }

// smooth draws a line through slots that are longer than wanted, in place of stairs: from one edge to the middle to the
// next edge of each slot, so that the slot keeps its mean and nothing is negative. An edge lies between the means of its
// neighbours, but at most twice as high as the lower one. Of a wanted slot that goes beyond the end, the rest is empty.
func smooth(means []float64, step, want time.Duration) []float64 {
	n := len(means)
	edges := make([]float64, n+1)
	edges[0], edges[n] = means[0], means[n-1]
	for i := 1; i < n; i++ {
		low, high := min(means[i-1], means[i]), max(means[i-1], means[i])
		edges[i] = min((low+high)/2, 2*low)
	}
	before := make([]float64, n+1) // the sum of the means before a slot, in steps
	for i, m := range means {
		before[i+1] = before[i] + m
	}
	// until is what came in before an instant, counted in steps.
	until := func(x float64) float64 {
		i := min(int(x), n-1)
		x = min(x-float64(i), 1)
		left, right := edges[i], edges[i+1]
		middle := 2*means[i] - (left+right)/2
		if x <= 0.5 {
			return before[i] + x*left + x*x*(middle-left)
		}
		rest := 1 - x
		return before[i+1] - rest*right - rest*rest*(middle-right)
	}
	total := step * time.Duration(n)
	out := make([]float64, 0, total/want+1)
	last := 0.0
	for at := time.Duration(0); at < total; at += want {
		next := until(float64(min(at+want, total)) / float64(step))
		out = append(out, math.Max(0, next-last)*float64(step)/float64(want))
		last = next
	}
	return out
}
