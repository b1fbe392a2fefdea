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

// above is the share of an entry's requests that take longer than x.
func (l *latencies) above(e *entry, x float64) float64 {
	c := &l.ready.classes[e.class]
	switch e.waiting {
	case none:
		return c.above(x)
	case fixed:
		return c.above(x - waitAt(int(e.index))*l.ready.Model.Deadline)
	}
	wait := waitAt(int(e.index)) * l.ready.Model.Deadline
	sum := 0.0
	for _, s := range c.nodes {
		if s.at >= x {
			sum += s.share
		} else if over := (x - s.at) / wait; over < 30 {
			sum += s.share * math.Exp(-over)
		}
	}
	return sum
}

// quantiles are the response times that a half, 95 and 99 % of the requests do not exceed; 0 if there were none.
func (l *latencies) quantiles(entries []entry) (q [3]float64) {
	all := 0.0
	for i := range entries {
		all += entries[i].requests
	}
	if all == 0 {
		return q
	}
	for i, p := range [3]float64{0.5, 0.95, 0.99} {
		if len(entries) == 1 && entries[0].waiting == none {
			q[i] = l.ready.classes[entries[0].class].quantile(p)
			continue
		}
		q[i] = l.quantile(entries, p, (1-p)*all)
	}
	return q
}

// quantile is the response time that so many requests exceed, to half a percent.
func (l *latencies) quantile(entries []entry, p, exceed float64) float64 {
	low := math.Inf(1)
	for i := range entries {
		low = min(low, l.ready.classes[entries[i].class].quantile(p))
	}
	over := func(x float64) bool {
		above := 0.0
		for i := range entries {
			above += entries[i].requests * l.above(&entries[i], x)
		}
		return above > exceed
	}
	high := low
	for over(high) && high < 1e9 {
		low, high = high, 2*high
	}
	for high > low*1.005 {
		if middle := (low + high) / 2; over(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// slots makes the Points.
type slots struct {
	end    float64
	length float64
	start  Totals
	points []outcome.Point
}

func (s *slots) reset(o Options) {
	s.end, s.length, s.start, s.points = math.Inf(1), o.Slot.Seconds(), Totals{}, s.points[:0]
	if o.Points {
		s.end = s.length
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
	w.sum.Late += w.queue.waiting
	w.sum.Lost += w.away.total()
	w.queue.clear()
	clear(w.away.buckets)
	if w.Options.Points && w.now > w.slots.end-w.slots.length {
		w.endSlot()
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
