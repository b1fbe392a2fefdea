package cloudwatch

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/billow-cloud/billow/cloud"
)

// Point is what is known of a series in one period, without raw values. It holds no pointer, so that many millions of
// them are no work for the garbage collector. Its durable form is [v] for one sample and [count,sum,min,max] else.
type Point struct{ Count, Sum, Min, Max float64 }

// MarshalJSON writes the durable form.
func (p Point) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 48), '[')
	if p.Count != 1 || p.Sum != p.Min || p.Min != p.Max {
		b = append(strconv.AppendFloat(b, p.Count, 'g', -1, 64), ',')
		b = append(strconv.AppendFloat(b, p.Sum, 'g', -1, 64), ',')
		b = append(strconv.AppendFloat(b, p.Min, 'g', -1, 64), ',')
	}
	return append(strconv.AppendFloat(b, p.Max, 'g', -1, 64), ']'), nil
}

// UnmarshalJSON reads the durable form. A store holds millions of points, so it goes without reflection.
func (p *Point) UnmarshalJSON(data []byte) error {
	var v [4]float64
	n := 0
	for word := range bytes.SplitSeq(bytes.Trim(data, "[] \n\t"), []byte{','}) {
		if n == len(v) {
			return fmt.Errorf("a point has 1 or 4 numbers, not %s", data)
		}
		x, err := strconv.ParseFloat(string(bytes.TrimSpace(word)), 64)
		if err != nil {
			return fmt.Errorf("a point has 1 or 4 numbers, not %s", data)
		}
		v[n] = x
		n++
	}
	switch n {
	case 1:
		*p = Point{1, v[0], v[0], v[0]}
	case 4:
		*p = Point{v[0], v[1], v[2], v[3]}
	default:
		return fmt.Errorf("a point has 1 or 4 numbers, not %d", n)
	}
	return nil
}

func (p Point) add(q Point) Point {
	return Point{p.Count + q.Count, p.Sum + q.Sum, min(p.Min, q.Min), max(p.Max, q.Max)}
}

// A tier keeps the points of one step: key is the head of its keys in the logs.
type tier struct {
	key  string
	step int64 // seconds
	keep int64 // seconds, at most (CW-ST-03)
	part int64 // share of the budget, in quarters
	wide int   // distinct values in a distribution
}

const (
	tierSecond = "s"
	tierMinute = "m"
)

const (
	hour = 3600
	day  = 24 * hour
)

// tiers, finest first. A series' points move from one to the next; what leaves the last is forgotten.
var tiers = [...]tier{
	{key: tierSecond, step: 1, keep: 3 * hour, part: 4, wide: maxValues},
	{key: tierMinute, step: 60, keep: 15 * day, part: 2, wide: maxValues},
	{key: "f", step: 300, keep: 63 * day, part: 1, wide: 50},
	{key: "h", step: 3600, keep: 455 * day, part: 1, wide: 50},
}

// budget is how many points all series may hold, at about 40 bytes each; floor is what each series may hold at least.
// With up to 250 series everything is kept as long as AWS does; with 100,000 series a minute's points are kept for an
// hour or two. A point with raw values counts as heavy points.
const (
	budget = 12_000_000
	floor  = 200
	heavy  = 16
)

// horizon is how long, in seconds, the tier keeps points that weigh so much when there are so many series.
func (t *tier) horizon(series, weight int) int64 {
	share := int64(budget / max(series, 1) / weight)
	return min(t.keep, max(share, floor)*t.part/4*t.step)
}

// merge adds a stat to the point at a time.
func (s *Service) merge(tx *cloud.Tx, key string, at int64, x Stat) {
	j := tx.Journal()
	p := Point{x.Count, x.Sum, x.Min, x.Max}
	old, had := s.points.Get(key, at)
	if had {
		p = p.add(old)
	}
	s.points.Put(j, key, at, p)
	if p.Min == p.Max { // all samples are the same: nothing more to know
		return
	}
	before, known := s.values.Get(key, at)
	switch {
	case len(x.Values) == 0 || had && !known && old.Min != old.Max || known && len(before.V) == 0 || p.Min < 0:
		if known && len(before.V) > 0 {
			s.values.Put(j, key, at, Values{}) // from now on unknown
		}
		return
	case had && !known:
		before = Values{V: []float64{old.Min}, N: []float64{old.Count}}
	}
	s.values.Put(j, key, at, merged(before, x.distribution(), maxValues))
}

// Sweep is how far the sweep of a scope's series has come.
type Sweep struct{ After string }

const sweepID = "all"

// sweepParts is in how many minutes all series are swept once.
const sweepParts = 60

// sweep moves old points of the next sixtieth of the scope's series to coarser tiers. Doing it once an hour per series,
// many points at a time, makes it cheap per point.
func (s *Service) sweep(tx *cloud.Tx) {
	row, ok := s.sweeps.Get(tx, sweepID)
	if !ok {
		return
	}
	due := s.metrics.Len()/sweepParts + 1
	after, last := row.After, ""
	for id, m := range s.metrics.After(tx, after) {
		s.roll(tx, id, m)
		last = id
		if due--; due == 0 {
			break
		}
	}
	if due > 0 {
		last = "" // all seen: start again
	}
	if last == "" && after == "" && !s.anySeries(tx) {
		s.sweeps.Delete(tx, sweepID)
		return
	}
	if last != after {
		s.sweeps.Put(tx, sweepID, Sweep{last})
	}
	tx.At(Name, kindSweeping, sweepID, minuteAfter(tx))
}

func (s *Service) anySeries(tx *cloud.Tx) bool {
	for range s.metrics.All(tx) {
		return true
	}
	return false
}

// roll moves the points of a series that are too old for their tier, and forgets the series when none are left.
func (s *Service) roll(tx *cloud.Tx, id string, m Metric) {
	now, series := tx.Now().Unix(), s.metrics.Len()
	left := false
	for i := range tiers {
		t := &tiers[i]
		key := t.key + m.Series
		first, ok := s.points.First(key)
		if !ok {
			continue
		}
		var next *tier
		step := t.step
		if i+1 < len(tiers) {
			next = &tiers[i+1]
			step = next.step
		}
		weight := 1
		if _, raw := s.values.First(key); raw {
			weight = heavy
		}
		edge := now - t.horizon(series, weight)
		edge -= mod(edge, step)
		if first < edge {
			s.move(tx, m.Series, t, next, edge)
		}
		if _, ok := s.points.First(key); ok || next != nil && first < edge {
			left = true
		}
	}
	if !left {
		s.metrics.Delete(tx, id)
	}
}

// move merges the points of a tier before edge into the next one's.
func (s *Service) move(tx *cloud.Tx, series string, t, next *tier, edge int64) {
	j := tx.Journal()
	from := t.key + series
	if next != nil {
		to := next.key + series
		var sum Stat
		at := int64(-1)
		flush := func() {
			if at >= 0 {
				sum.Values, sum.Counts = narrowed(sum.distribution(), next.wide)
				s.merge(tx, to, at, sum)
			}
		}
		s.points.Range(from, 0, edge, func(when int64, p Point) bool {
			if slot := when - mod(when, next.step); slot != at {
				flush()
				at, sum = slot, Stat{}
			}
			sum = sum.Add(s.stat(from, when, p))
			return true
		})
		flush()
	}
	s.points.Trim(j, from, edge)
	s.values.Trim(j, from, edge)
}

// stat is a point with what is known of its raw values.
func (s *Service) stat(key string, at int64, p Point) Stat {
	x := Stat{Count: p.Count, Sum: p.Sum, Min: p.Min, Max: p.Max}
	if p.Min == p.Max {
		x.Values, x.Counts = []float64{p.Min}, []float64{p.Count}
	} else if v, ok := s.values.Get(key, at); ok {
		x.Values, x.Counts = v.V, v.N
	}
	return x
}

// windows gives the samples of a metric in n windows of period seconds each, the first starting at from. Raw values are
// looked up only if asked for.
func (s *Service) windows(tx *cloud.Tx, key, unit string, from, period int64, n int, raw bool) []Stat {
	out := make([]Stat, n)
	s.window(tx, out, key, unit, from, period, raw)
	return out
}

// window adds the samples of a metric to the windows given.
func (s *Service) window(tx *cloud.Tx, out []Stat, key, unit string, from, period int64, raw bool) {
	to := from + int64(len(out))*period
	s.seriesOf(tx, key, unit, func(m Metric) { s.fill(out, m.Series, from, to, period, raw) })
}

// fill adds the points of one series in [from, to) to their windows.
func (s *Service) fill(out []Stat, series string, from, to, period int64, raw bool) {
	for i := range tiers {
		key := tiers[i].key + series
		s.points.Range(key, from, to, func(at int64, p Point) bool {
			w := &out[(at-from)/period]
			if raw {
				*w = w.Add(s.stat(key, at, p))
				return true
			}
			if w.Count == 0 {
				w.Min, w.Max = p.Min, p.Max
			}
			w.Count, w.Sum, w.Min, w.Max = w.Count+p.Count, w.Sum+p.Sum, min(w.Min, p.Min), max(w.Max, p.Max)
			return true
		})
	}
}

// newest is the time of a series' newest point.
func (s *Service) newest(series string) (int64, bool) {
	var newest int64
	found := false
	for i := range tiers {
		if at, _, ok := s.points.Last(tiers[i].key + series); ok && (!found || at > newest) {
			newest, found = at, true
		}
	}
	return newest, found
}
