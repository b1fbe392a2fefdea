package world

import (
	"math"
	"time"
)

// Totals is what has happened since the start; the difference of two is what happened between.
type Totals struct {
	Arrived float64 // first tries
	Retried float64 // further ones
	InTime  float64 // answered within the deadline
	Late    float64 // answered after it, or not at the first try
	Lost    float64 // given up for good
	Tries   float64 // that failed: timed out, refused or no instance in service

	Busy     float64 // instance-seconds in service at work
	Service  float64 // instance-seconds in service
	Instance float64 // instance-seconds from launch to termination
	Cost     float64
	Response float64 // sum of response times of what was answered, seconds
}

// Sub is what happened since an earlier time.
func (t Totals) Sub(b Totals) Totals {
	return Totals{
		Arrived: t.Arrived - b.Arrived, Retried: t.Retried - b.Retried, InTime: t.InTime - b.InTime, Late: t.Late - b.Late,
		Lost: t.Lost - b.Lost, Tries: t.Tries - b.Tries, Busy: t.Busy - b.Busy, Service: t.Service - b.Service,
		Instance: t.Instance - b.Instance, Cost: t.Cost - b.Cost, Response: t.Response - b.Response,
	}
}

// Utilization is the mean over the instances in service, in percent; 0 if there were none.
func (t Totals) Utilization() float64 {
	if t.Service <= 0 {
		return 0
	}
	return 100 * min(1, t.Busy/t.Service)
}

// Answered is the number of requests that got an answer.
func (t Totals) Answered() float64 { return t.InTime + t.Late }

// Totals is what has happened so far.
func (w *World) Totals() Totals { return w.sum }

// Waiting is how many requests wait for lack of capacity.
func (w *World) Waiting() float64 { return w.queue.waiting }

// Away is how many requests have failed and will be tried again.
func (w *World) Away() float64 { return w.away.total() }

// Advance serves until an instant.
func (w *World) Advance(to time.Duration) {
	end := to.Seconds()
	for w.now < end {
		next := min(end, w.loadEnd, w.fleet.warmest(), w.slots.end)
		w.fleet.refresh()
		if w.away.used && (w.away.count > 0 || w.queue.waiting > 0 || w.arriving > 0.98*w.fleet.capacity) {
			next = min(next, w.away.bucketEnd(w.now))
		}
		w.serve(next)
		w.now = next
		w.fleet.warmUp(next)
		if next >= w.loadEnd {
			w.nextLoad()
		}
		if next >= w.slots.end {
			w.endSlot()
		}
	}
}

// serve goes on to the end of a span in which load and fleet do not change.
func (w *World) serve(end float64) {
	f, dt := &w.fleet, end-w.now
	w.sum.Arrived += w.arriving * dt
	w.sum.Service += float64(f.serving) * dt
	w.sum.Instance += float64(f.running) * dt
	w.sum.Cost += f.costRate * dt
	in := flow{}
	in.rate, in.tries[0] = w.arriving, w.arriving
	if w.away.count > 0 {
		w.away.arrive(w.now, end, &in)
		w.sum.Retried += (in.rate - in.tries[0]) * dt
	}
	switch {
	case f.capacity == 0:
		w.queue.flush(w)
		if in.rate > 0 {
			w.fail(&in, in.rate*dt, end)
		}
	case w.queue.waiting == 0 && in.rate <= f.capacity:
		w.flow(&in, dt, end)
	default:
		w.overload(&in, end)
	}
}

// flow serves a rate below capacity with no backlog.
func (w *World) flow(in *flow, dt, end float64) {
	if in.rate == 0 {
		return
	}
	f := &w.fleet
	rho := in.rate / f.capacity
	n := in.rate * dt
	w.sum.Busy += rho * float64(f.serving) * dt
	late, lost := f.idle, f.gone
	probability, wait := f.waiting(rho)
	if probability > 0 {
		late = 0
		for i := range f.parts {
			late += f.parts[i].share * f.parts[i].class.late.share(probability, wait)
		}
		late = cut(late)
		if over := w.queue.timeout / wait; over < 14 { // exp(-14) is negligible
			lost = min(1, lost+cut(probability*math.Exp(-over)))
		}
	}
	w.latency.flow(f, n, probability, wait)
	w.answer(in, n, late, lost, f.mean+probability*wait, end)
}

// answer counts n requests that were served, of which shares took longer than the deadline and the timeout.
func (w *World) answer(in *flow, n, late, lost, response, end float64) {
	late = max(late, lost)
	w.sum.Response += n * (1 - lost) * response
	first := n
	if in.rate > in.tries[0] {
		first = n * in.tries[0] / in.rate
		w.sum.Late += (n - first) * (1 - lost)
	}
	w.sum.InTime += first * (1 - late)
	w.sum.Late += first * (late - lost)
	if lost > 0 {
		w.fail(in, n*lost, end)
	}
}

// fail counts n tries that failed: some are tried again.
func (w *World) fail(in *flow, n, at float64) {
	w.sum.Tries += n
	if !w.away.used || in.rate == 0 {
		w.sum.Lost += n
		return
	}
	w.sum.Lost += w.away.leave(in, n, at)
}

// maxTries is how often a request can be tried in all.
const maxTries = 6

// flow is a rate of requests by how often they have been tried before.
type flow struct {
	rate  float64
	tries [maxTries]float64
}

// away holds the requests that failed and will be tried again: a ring of buckets of equal length, by when that will be.
type away struct {
	used    bool
	share   float64
	times   int
	width   float64
	ahead   int // buckets
	buckets [][maxTries]float64
	count   int // of buckets that hold something
}

func (a *away) reset(r *Ready) {
	m := r.Model.Retries
	width := max(1, m.After/4)
	ahead := max(1, int(math.Round(m.After/width)))
	a.used, a.share, a.times, a.width, a.ahead, a.count = m.Share > 0 && m.Times > 0, m.Share, min(m.Times, maxTries-1), width, ahead, 0
	if len(a.buckets) != ahead+2 {
		a.buckets = make([][maxTries]float64, ahead+2)
	}
	clear(a.buckets)
}

// bucket is the one that an instant is in; ends belong to the span before.
func (a *away) bucket(at float64) int { return int(math.Floor(at/a.width + 1e-9)) }

func (a *away) bucketEnd(now float64) float64 { return float64(a.bucket(now)+1) * a.width }

// arrive adds what is tried again in a span, which lies in one bucket, and takes it out.
func (a *away) arrive(from, to float64, in *flow) {
	i := a.bucket(from)
	b := &a.buckets[i%len(a.buckets)]
	if *b == ([maxTries]float64{}) {
		return
	}
	end := float64(i+1) * a.width
	last := to >= end-1e-9
	left := max(to, end) - from
	for k := 1; k < maxTries; k++ {
		if b[k] == 0 {
			continue
		}
		rate := b[k] / left
		in.tries[k] = rate
		in.rate += rate
		b[k] -= rate * (to - from)
		if last {
			b[k] = 0
		}
	}
	if last {
		a.count--
	}
}

// leave puts n failed tries into the future and returns what is given up.
func (a *away) leave(in *flow, n, at float64) (lost float64) {
	b := &a.buckets[(a.bucket(at-1e-6*a.width)+a.ahead)%len(a.buckets)]
	empty := *b == [maxTries]float64{}
	for k := range maxTries {
		part := n * in.tries[k] / in.rate
		if part <= 0 {
			continue
		}
		if k >= a.times {
			lost += part
			continue
		}
		b[k+1] += part * a.share
		lost += part * (1 - a.share)
	}
	if empty && *b != ([maxTries]float64{}) {
		a.count++
	}
	return lost
}

func (a *away) total() float64 {
	sum := 0.0
	for i := range a.buckets {
		for _, n := range a.buckets[i] {
			sum += n
		}
	}
	return sum
}
