package load

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// collector takes values in any order. It keeps the first of them, from which it learns how far apart they are, and from
// then on only the sums of the slots of its grid: what it holds is bounded by the time that the trace spans.
type collector struct {
	name    string // for errors
	options Options
	unit    Unit
	gaps    Gaps
	clock   clock

	head     []point
	period   int64 // between values, in milliseconds; 0 until it is known
	slot     int64 // of the cells, in milliseconds
	phase    int64 // a cell's middle (of a value that fills it) or beginning (of finer ones) is at phase + n * slot
	cells    []cell
	limit    int     // of cells before they are put together
	counting bool    // requests one by one
	service  float64 // seconds that targets took for them, and of how many of them that is known
	served   int

	first            int64 // earliest and latest time
	latest           int64
	rows, ups, downs int
	previous         int64
	doubles, missing int
	uneven           int
	doubled          int  // the line of the first double, if it is known
	unordered        bool // by nature: not worth a note
	said             []string
}

type point struct {
	at    int64
	value float64
	line  int
}

// cell is a slot's values as far as they are known: their sum, each as often as it weighs, and the sum of the weights. A
// value that fills its slot weighs 1; a finer one the milliseconds that it has of the slot, since its period may have
// parts of several.
type cell struct {
	slot        int64
	sum, weight float64
}

const (
	headPoints = 50_000
	minute     = 60_000 // milliseconds

	longestPeriod = 1440 * minute

	maxService = 1e5 // seconds of a request: what a load balancer waits for at most is less
)

func newCollector(name string, o Options) (*collector, error) {
	c := &collector{name: name, options: o, unit: o.Unit, gaps: o.Gaps, clock: clock{zone: o.Zone}, limit: 1 << 20}
	if c.unit == "" {
		c.unit = PerPeriod
	}
	if c.gaps == "" {
		c.gaps = Auto
	}
	if o.Step < 0 || o.Step%time.Second != 0 {
		return nil, fmt.Errorf("a slot of %v is not a whole number of seconds", o.Step)
	}
	return c, c.setUnit(c.unit)
}

func (c *collector) setUnit(u Unit) error {
	if c.unit = u; u == Percent && !(c.options.PerInstance > 0) {
		return fmt.Errorf("%s: it is the utilization of processors; what one instance serves at 100 %% is needed to know the requests", c.name)
	}
	return nil
}

// step is the length of the trace's slots, in milliseconds.
func (c *collector) step() int64 {
	if c.options.Step > 0 {
		return c.options.Step.Milliseconds()
	}
	return minute
}

// count makes every added value one request.
func (c *collector) count() error {
	if !c.counting && c.rows > 0 {
		return fmt.Errorf("%s: an access log among other files", c.name)
	}
	c.counting, c.unit, c.gaps, c.unordered = true, PerPeriod, Zero, true
	c.period, c.slot = c.step(), c.step()
	return nil
}

// add takes one value.
func (c *collector) add(at int64, value float64, line int) error {
	switch {
	case value < 0:
		return c.fault(line, "%g is negative; a load cannot be", value)
	case value > maxValue:
		return c.fault(line, "%g is too large for a load", value)
	case at < 0:
		return c.fault(line, "its time is before 1970")
	}
	if c.rows == 0 {
		c.first, c.latest, c.previous = at, at, at
	}
	switch c.rows++; {
	case at < c.previous:
		c.downs++
	case at > c.previous:
		c.ups++
	}
	c.previous, c.first, c.latest = at, min(c.first, at), max(c.latest, at)
	if c.period > 0 {
		if c.first/c.slot+maxSlots < c.latest/c.slot {
			return c.fault(line, "the times up to here are %s apart, which is too long for slots of %s", spoken(c.latest-c.first), spoken(c.slot))
		}
		return c.put(at, value)
	}
	if c.head = append(c.head, point{at, value, line}); len(c.head) >= headPoints {
		return c.learn()
	}
	return nil
}

// learn finds out how far apart values are, and sets the grid.
func (c *collector) learn() error {
	slices.SortStableFunc(c.head, func(a, b point) int { return cmp.Compare(a.at, b.at) })
	var steps []int64
	for i := 1; i < len(c.head); i++ {
		if d := c.head[i].at - c.head[i-1].at; d > 0 {
			steps = append(steps, d)
		}
	}
	if len(steps) == 0 {
		return fmt.Errorf("%s: all of its values are of the same time; at least two are needed to know how long a slot is", c.name)
	}
	slices.Sort(steps)
	c.period = steps[(len(steps)-1)/2]
	if c.period < 1000 {
		return fmt.Errorf("%s: its values are %d ms apart; at least a second is needed", c.name, c.period)
	}
	if c.period > longestPeriod {
		return fmt.Errorf("%s: its values are %s apart; a day is the most of which a load can be made", c.name, spoken(c.period))
	}
	if rest := c.period % 1000; rest != 0 {
		c.period += 1000*((rest+500)/1000) - rest
	}
	if whole := (c.period + minute/2) / minute * minute; whole > 0 && abs(c.period-whole) <= whole/30 {
		c.period = whole // values that are taken every minute, or every few, are not taken on the second
	}
	if c.slot = c.step(); c.period >= c.slot {
		c.slot, c.phase = c.period, c.head[0].at
	} else {
		c.phase = floor(c.head[0].at, minute) * minute // so that the first slot is a whole one, whatever its length
		if c.slot < minute {
			c.phase = floor(c.head[0].at, c.slot) * c.slot
		}
	}
	if span := (c.head[len(c.head)-1].at - c.head[0].at) / c.slot; span > maxSlots {
		return fmt.Errorf("%s: its times are %s apart, from %s to %s, which is too long for slots of %s", c.name,
			spoken(c.latest-c.first), written(c.first), written(c.latest), spoken(c.slot))
	}
	last := int64(-1)
	for _, p := range c.head {
		if p.at == last {
			if c.finer() {
				c.doubles++
			}
			if c.doubled == 0 || p.line < c.doubled {
				c.doubled = p.line
			}
		}
		last = p.at
		if err := c.put(p.at, p.value); err != nil {
			return err
		}
	}
	c.head = nil
	return nil
}

// finer tells whether several values make one slot.
func (c *collector) finer() bool { return c.period < c.slot }

// rate is a value in requests per second.
func (c *collector) rate(value float64) float64 {
	switch c.unit {
	case PerMinute:
		return value / 60
	case PerSecond:
		return value
	case Percent:
		return value / 100 * c.options.PerInstance
	default:
		return value * 1000 / float64(c.period)
	}
}

// put adds a value to its cell, or to those that its period has a part of.
func (c *collector) put(at int64, value float64) error {
	rate, from := c.rate(value), at-c.phase
	switch {
	case c.counting:
		return c.share(floor(from, c.slot), rate, 1)
	case !c.finer():
		slot := floor(from+c.slot/2, c.slot)
		if abs(from-slot*c.slot) >= 1000 {
			c.uneven++
		}
		return c.share(slot, rate, 1)
	}
	for to := from + c.period; from < to; {
		slot := floor(from, c.slot)
		end := min(to, (slot+1)*c.slot)
		if err := c.share(slot, rate, float64(end-from)); err != nil {
			return err
		}
		from = end
	}
	return nil
}

// share adds a rate to a slot's cell.
func (c *collector) share(slot int64, rate, weight float64) error {
	if n := len(c.cells); n > 0 && c.cells[n-1].slot == slot {
		c.cells[n-1].sum += rate * weight
		c.cells[n-1].weight += weight
		return nil
	}
	c.cells = append(c.cells, cell{slot, rate * weight, weight})
	if len(c.cells) < c.limit {
		return nil
	}
	c.merge()
	if len(c.cells) > maxSlots {
		return fmt.Errorf("%s: it has more than %d slots of %s", c.name, maxSlots, spoken(c.slot))
	}
	c.limit = max(c.limit, 2*len(c.cells))
	return nil
}

// merge puts the cells in order, one for each slot.
func (c *collector) merge() {
	byTime := func(a, b cell) int { return cmp.Compare(a.slot, b.slot) }
	if !slices.IsSortedFunc(c.cells, byTime) {
		slices.SortStableFunc(c.cells, byTime)
	}
	out := c.cells[:0]
	for _, x := range c.cells {
		if n := len(out); n > 0 && out[n-1].slot == x.slot {
			out[n-1].sum += x.sum
			out[n-1].weight += x.weight
			continue
		}
		out = append(out, x)
	}
	c.cells = out
}

func floor(a, b int64) int64 { return int64(math.Floor(float64(a) / float64(b))) }

func written(at int64) string { return time.UnixMilli(at).UTC().Format("2006-01-02 15:04") }

// spoken is a number of milliseconds in the largest units that fit: "3 d 2 h", "5 min".
func spoken(milli int64) string {
	type unit struct {
		of   int64
		name string
	}
	units := []unit{{1440 * minute, " d"}, {60 * minute, " h"}, {minute, " min"}, {1000, " s"}}
	for i, u := range units {
		if milli < u.of && i < len(units)-1 {
			continue
		}
		text := fmt.Sprint(milli/u.of, u.name)
		if i < len(units)-1 && milli%u.of >= units[i+1].of {
			text += fmt.Sprint(" ", milli%u.of/units[i+1].of, units[i+1].name)
		}
		return text
	}
	return "0 s"
}

// counted is a number of things: "1 value", "2 values".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprint(n, " ", noun, "s")
}

// say keeps a note for the trace.
func (c *collector) say(format string, args ...any) {
	c.said = append(c.said, fmt.Sprintf(format, args...))
}
