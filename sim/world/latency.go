package world

import (
	"math"
	"time"

	"github.com/billow-cloud/billow/sim/outcome"
)

// latencies is the distribution of response times: how many requests had which kind of waiting, from which it is computed
// when it is asked for.
type latencies struct {
	on      bool
	ready   *Ready
	shapes  []shape // by class
	slot    []entry
	total   map[key]int
	entries []entry
}

// key is a kind of waiting with a class's service after it.
type key struct {
	class   int16
	waiting int8
	index   int16 // of the mean or the length of the wait, by waitIndex
}

const (
	none        = int8(iota)
	exponential // with a mean
	fixed       // in a backlog
)

type entry struct {
	key
	requests float64
}

func (l *latencies) reset(r *Ready, on bool) {
	l.on, l.ready = on, r
	l.slot, l.entries = l.slot[:0], l.entries[:0]
	if on {
		l.total = map[key]int{}
		l.shapes = make([]shape, len(r.classes))
	}
}

// unnoticed is the probability of waiting below which latencies do not show it.
const unnoticed = 1e-3

// flow notes n requests of which some have to wait.
func (l *latencies) flow(f *fleet, n, probability, wait float64) {
	if !l.on {
		return
	}
	if probability < unnoticed {
		probability = 0
	}
	for i := range f.parts {
		p := &f.parts[i]
		part := n * p.share
		l.add(entry{key{class: int16(p.index)}, part * (1 - probability)})
		if probability > 0 {
			l.spread(p, exponential, wait, part*probability)
		}
	}
}

// waited notes n requests that waited from v0 to v1, evenly spread.
func (l *latencies) waited(f *fleet, n, v0, v1 float64) {
	if !l.on {
		return
	}
	const parts = 4
	for i := range f.parts {
		p := &f.parts[i]
		for j := range parts {
			v := v0 + (v1-v0)*(float64(j)+0.5)/parts
			l.spread(p, fixed, v, n*p.share/parts)
		}
	}
}

// spread divides requests between the two points of the scale around a wait.
func (l *latencies) spread(p *part, waiting int8, wait, n float64) {
	i, f := waitIndex(wait / l.ready.Model.Deadline)
	l.add(entry{key{int16(p.index), waiting, int16(i)}, n * (1 - f)})
	l.add(entry{key{int16(p.index), waiting, int16(i + 1)}, n * f})
}

func (l *latencies) add(e entry) {
	if e.requests <= 0 {
		return
	}
	for i := range l.slot {
		if l.slot[i].key == e.key {
			l.slot[i].requests += e.requests
			return
		}
	}
	l.slot = append(l.slot, e)
}

// fold adds the slot to the total.
func (l *latencies) fold() {
	for _, e := range l.slot {
		i, found := l.total[e.key]
		if !found {
			i = len(l.entries)
			l.total[e.key] = i
			l.entries = append(l.entries, entry{key: e.key})
		}
		l.entries[i].requests += e.requests
	}
	l.slot = l.slot[:0]
}

// curve is the share of requests that take longer than each point of the scale of waitIndex, relative to the deadline.
type curve [waitPoints + 1]float64

func (c *curve) at(x float64) float64 {
	i, f := waitIndex(x)
	return c[i] + f*(c[i+1]-c[i])
}

// shape is what a class's response times look like, computed when it is first asked for.
type shape struct {
	plain *curve
	after [waitPoints + 1]*curve // of those who wait exponentially with a mean
	own   [3]float64             // the usual quantiles of the service alone
}

func (l *latencies) shape(class int16) *shape {
	s := &l.shapes[class]
	if s.plain == nil {
		c := &l.ready.classes[class]
		s.plain = new(curve)
		for i := range s.plain {
			s.plain[i] = c.above(waitAt(i) * l.ready.Model.Deadline)
		}
		for i, p := range usual {
			s.own[i] = c.quantile(p)
		}
	}
	return s
}

func (l *latencies) after(class, waiting int16) *curve {
	s := l.shape(class)
	if s.after[waiting] == nil {
		c := &l.ready.classes[class]
		k := new(curve)
		wait := waitAt(int(waiting))
		for i := range k {
			for _, n := range c.nodes {
				if over := (waitAt(i) - n.at/l.ready.Model.Deadline) / wait; over <= 0 {
					k[i] += n.share
				} else if over < 30 {
					k[i] += n.share * math.Exp(-over)
				}
			}
		}
		s.after[waiting] = k
	}
	return s.after[waiting]
}

// above is the share of an entry's requests that take longer than x deadlines.
func (l *latencies) above(e *entry, x float64) float64 {
	switch e.waiting {
	case none:
		return l.shape(e.class).plain.at(x)
	case fixed:
		x -= waitAt(int(e.index))
		if x <= 0 {
			return 1
		}
		return l.shape(e.class).plain.at(x)
	}
	return l.after(e.class, e.index).at(x)
}

// usual are the quantiles that are shown.
var usual = [3]float64{0.5, 0.95, 0.99}

// quantiles are the response times that a half, 95 and 99 % of the requests do not exceed; 0 if there were none.
func (l *latencies) quantiles(entries []entry) (q [3]float64) {
	all := 0.0
	for i := range entries {
		all += entries[i].requests
	}
	if all == 0 {
		return q
	}
	for i, p := range usual {
		least := math.Inf(1)
		for j := range entries {
			least = min(least, l.shape(entries[j].class).own[i])
		}
		if len(entries) == 1 && entries[0].waiting == none {
			q[i] = least
			continue
		}
		q[i] = l.quantile(entries, least, (1-p)*all)
		if i > 0 {
			q[i] = max(q[i], q[i-1])
		}
	}
	return q
}

// quantile is the response time that so many requests exceed, to half a percent; it is no less than least.
func (l *latencies) quantile(entries []entry, least, exceed float64) float64 {
	deadline := l.ready.Model.Deadline
	over := func(x float64) bool {
		above := 0.0
		for i := range entries {
			above += entries[i].requests * l.above(&entries[i], x)
		}
		return above > exceed
	}
	low, high := least/deadline, least/deadline
	for over(high) && high < 1e9 {
		low, high = high, 1.5*high
	}
	for high > low*1.005 {
		if middle := (low + high) / 2; over(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2 * deadline
}

// slots makes the Points.
type slots struct {
	end    float64
	length float64
	start  Totals
	points []outcome.Point
}

func (s *slots) reset(o Options, load time.Duration) {
	s.end, s.length, s.start, s.points = math.Inf(1), o.Slot.Seconds(), Totals{}, nil
	if o.Points { // they are given away at the end
		s.end = s.length
		s.points = make([]outcome.Point, 0, int(load/o.Slot)+1)
	}
}

func (w *World) endSlot() {
	s, f := &w.slots, &w.fleet
	t := w.sum.Sub(s.start)
	q := w.latency.quantiles(w.latency.slot)
	w.latency.fold()
	length := s.length - (s.end - w.now)
	f.refresh()
	s.points = append(s.points, outcome.Point{
		At:          w.Trace.Start.Add(time.Duration((s.end - s.length) * 1e9)),
		Rate:        t.Arrived / length,
		Desired:     w.Desired,
		InService:   f.serving,
		Pending:     max(0, f.running-f.serving),
		Capacity:    f.capacity,
		Utilization: t.Utilization(),
		InTime:      t.InTime, Late: t.Late, Lost: t.Lost,
		Backlog: w.queue.waiting,
		P50:     q[0], P95: q[1], P99: q[2],
	})
	s.start = w.sum
	s.end += s.length
}

// Finish ends the run: who still waits is late, who would have tried again is lost. The fleet is paid for until now.
func (w *World) Finish() outcome.Outcome {
	late, lost := w.queue.waiting, w.away.total()
	w.sum.Late += late
	w.sum.Lost += lost
	w.queue.clear()
	clear(w.away.buckets)
	w.away.count = 0
	if w.Options.Points && w.now > w.slots.end-w.slots.length {
		w.endSlot()
	} else if n := len(w.slots.points); n > 0 {
		w.slots.points[n-1].Late += late
		w.slots.points[n-1].Lost += lost
	}
	q := w.latency.quantiles(w.latency.entries)
	t := w.sum
	s := outcome.Summary{
		Requests: t.Arrived, Retries: t.Retried,
		P50: q[0], P95: q[1], P99: q[2],
		InstanceHours: t.Instance / 3600, Cost: t.Cost,
		MeanUtilization: t.Utilization(),
		MaxInstances:    w.fleet.largest,
	}
	if t.Service > 0 {
		s.Headroom = 1 - t.Utilization()/100
	}
	if t.Arrived > 0 {
		s.InTime, s.Late, s.Lost = t.InTime/t.Arrived, t.Late/t.Arrived, t.Lost/t.Arrived
	}
	return outcome.Outcome{From: w.Trace.Start, To: w.Trace.Start.Add(w.Now()), Summary: s, Points: w.slots.points}
}
