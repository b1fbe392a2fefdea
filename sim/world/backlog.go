package world

import "math"

// queue is the backlog where there is more load than capacity: pieces of a flow, first in, first out. Those who have
// waited for as long as the clients' timeout leave from its front.
type queue struct {
	timeout float64
	waiting float64
	pieces  []piece
	head    int
}

// piece is what arrived at one rate in one span, of which the front may have been served already.
type piece struct {
	from, to float64
	flow     flow
}

func (q *queue) reset(r *Ready) {
	q.timeout = r.Model.Timeout
	if q.timeout == 0 {
		q.timeout = math.Inf(1)
	}
	q.clear()
}

func (q *queue) clear() { q.pieces, q.head, q.waiting = q.pieces[:0], 0, 0 }

// flush loses everyone who waits.
func (q *queue) flush(w *World) {
	if q.waiting == 0 {
		return
	}
	for i := q.head; i < len(q.pieces); i++ {
		if p := &q.pieces[i]; p.flow.rate > 0 && p.to > p.from {
			w.fail(&p.flow, p.flow.rate*(p.to-p.from), w.now+1e-6)
		}
	}
	q.clear()
}

// tail is the piece that grows with what arrives now at a rate.
func (q *queue) tail(t float64, in *flow, rate float64) *piece {
	if n := len(q.pieces); n > q.head {
		p := &q.pieces[n-1]
		same := math.Abs(p.flow.rate-rate) <= 1e-9*rate
		if same && p.to == t && math.Abs(p.flow.tries[0]*in.rate-in.tries[0]*rate) <= 1e-9*rate*in.rate {
			return p
		}
	}
	if q.head > 64 && q.head*2 > len(q.pieces) {
		q.pieces = q.pieces[:copy(q.pieces, q.pieces[q.head:])]
		q.head = 0
	}
	p := piece{from: t, to: t, flow: *in}
	p.flow.rate = rate
	if in.rate > 0 {
		for k := range p.flow.tries {
			p.flow.tries[k] *= rate / in.rate
		}
	}
	q.pieces = append(q.pieces, p)
	return &q.pieces[len(q.pieces)-1]
}

// overload serves a span in which requests wait: from one change of the front's or the queue's behaviour to the next.
func (w *World) overload(in *flow, end float64) {
	q, f := &w.queue, &w.fleet
	for t, turns := w.now, 0; t < end; turns++ {
		if q.waiting == 0 && in.rate <= f.capacity {
			q.clear()
			w.flow(in, end-t, end)
			return
		}
		if turns > 100000 {
			panic("world: the queue makes no progress")
		}
		t = w.drain(in, t, end)
	}
}

// drain serves up to the next change and returns its instant.
//
// The front of the queue is what arrived at p.from. It moves at capacity over the rate that arrived then; when those at the
// front have waited for the timeout, it moves with time, and what capacity does not reach is lost.
func (w *World) drain(in *flow, t, end float64) float64 {
	q, f := &w.queue, &w.fleet
	for q.head < len(q.pieces) && (q.pieces[q.head].to-q.pieces[q.head].from < 1e-9 || q.pieces[q.head].flow.rate == 0) {
		q.head++
	}
	dropped := 0.0
	if q.head < len(q.pieces) {
		if p := &q.pieces[q.head]; t-p.from >= q.timeout-1e-9 {
			dropped = max(0, p.flow.rate-f.capacity)
		}
	}
	out := f.capacity + dropped
	admitted := in.rate
	full := q.waiting >= f.room*(1-1e-9)
	if full {
		admitted = min(in.rate, out)
		if q.waiting > f.room*(1+1e-9) {
			admitted = 0
		}
	}
	q.tail(t, in, admitted)
	p := &q.pieces[q.head]
	open := q.head == len(q.pieces)-1
	speed := 1.0 // of the front
	if dropped == 0 {
		speed = math.Inf(1)
		if p.flow.rate > 0 {
			speed = f.capacity / p.flow.rate
		}
	}
	next := end
	switch {
	case !open:
		next = min(next, t+(p.to-p.from)/speed)
	case speed > 1:
		next = min(next, t+(t-p.from)/(speed-1))
	}
	if speed < 1 {
		next = min(next, t+max(0, p.from+q.timeout-t)/(1-speed))
	}
	switch growth := admitted - out; {
	case growth > 0 && !full:
		next = min(next, t+(f.room-q.waiting)/growth)
	case growth < 0 && q.waiting > f.room*(1+1e-9):
		next = min(next, t+(f.room-q.waiting)/growth)
	}
	next = min(end, max(next, t+1e-7))
	w.depart(p, t, next, speed, dropped)
	if refused := in.rate - admitted; refused > 0 {
		w.fail(in, refused*(next-t), next)
	}
	q.pieces[len(q.pieces)-1].to = next
	p.from = min(p.to, p.from+speed*(next-t))
	q.waiting += (admitted - out) * (next - t)
	if len(q.pieces)-q.head <= 2 {
		q.count()
	}
	if q.waiting < 1e-6 {
		q.clear()
	}
	return next
}

// count is what waiting is kept to without counting while there are many pieces.
func (q *queue) count() {
	q.waiting = 0
	for i := q.head; i < len(q.pieces); i++ {
		q.waiting += q.pieces[i].flow.rate * (q.pieces[i].to - q.pieces[i].from)
	}
}

// quarters are the means of an exponential distribution's four quarters.
var quarters = func() (means [4]float64) {
	integral := func(q float64) float64 { // of -log(1-q)
		if q == 1 {
			return 1
		}
		return q + (1-q)*math.Log(1-q)
	}
	for i := range means {
		means[i] = 4 * (integral(float64(i+1)/4) - integral(float64(i)/4))
	}
	return means
}()

// depart serves the front at capacity from t to next, and loses what is dropped.
func (w *World) depart(p *piece, t, next, speed, dropped float64) {
	f, dt := &w.fleet, next-t
	served := f.capacity * dt
	w.sum.Busy += float64(f.serving) * dt
	v0 := t - p.from
	v1 := max(0, next-p.from-speed*dt)
	_, wait := f.waiting(1)
	late := 0.0
	for i := range f.parts {
		c := f.parts[i].class
		over := 0.0
		for _, x := range quarters {
			over += c.overAfter(c.late.limit, v0+x*wait, v1+x*wait) / 4
		}
		late += f.parts[i].share * max(over, c.late.share(1, wait))
	}
	w.latency.waited(f, served, v0, v1)
	w.answer(&p.flow, served, cut(late), f.gone, f.mean+(v0+v1)/2+wait, next)
	if dropped > 0 {
		w.fail(&p.flow, dropped*dt, next)
	}
}
