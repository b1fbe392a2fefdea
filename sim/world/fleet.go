package world

import (
	"math"
)

// fleet is what is launched and what serves, by kind. Changes cost the same whatever its size.
type fleet struct {
	ready   *Ready
	billed  []int
	warm    []int // in service at full speed
	cold    []int // in service, warming up
	warming []cohort
	head    int // of warming

	running, serving int
	costRate         float64 // per second
	largest          int

	// Derived, when changed.
	dirty    bool
	capacity float64 // requests per second
	servers  float64 // requests at a time
	mean     float64 // service time over all requests
	spread   float64 // (1 + CV^2) / 2 of it
	floor    float64 // of 1 - rho, see waiting
	parts    []part  // classes that serve, and their share of the requests
	wait     waiters //
	idle     float64 // share late without waiting
	gone     float64 // share lost without waiting
	room     float64 // requests that may wait
}

// part is a class's share of the requests: a perfect balancer gives each instance what it is worth.
type part struct {
	class *class
	index int
	share float64
}

// cohort is instances that came into service together.
type cohort struct {
	until float64
	kind  Kind
	count int
}

func (f *fleet) reset(r *Ready) {
	n := len(r.Kinds)
	if f.ready != r {
		*f = fleet{ready: r, billed: make([]int, n), warm: make([]int, n), cold: make([]int, n)}
	}
	for k := range n {
		f.billed[k], f.warm[k], f.cold[k] = 0, 0, 0
	}
	f.warming, f.head = f.warming[:0], 0
	f.running, f.serving, f.costRate, f.largest = 0, 0, 0, 0
	f.dirty = true
}

// Bill counts instances as paid for from now on: n more since they are launched, or fewer since they are terminated.
func (w *World) Bill(k Kind, n int) {
	f := &w.fleet
	f.billed[k] += n
	f.running += n
	f.largest = max(f.largest, f.running)
	f.costRate += float64(n) * w.Price(k) / 3600
}

// Serve takes n more instances into service, which warm up, or fewer: those at full speed leave first.
func (w *World) Serve(k Kind, n int) {
	f := &w.fleet
	f.serving += n
	f.dirty = true
	switch {
	case n > 0 && w.slowed:
		f.cold[k] += n
		f.warming = append(f.warming, cohort{until: w.now + w.Model.WarmUp, kind: k, count: n})
	case n > 0:
		f.warm[k] += n
	default:
		out := min(-n, f.warm[k])
		f.warm[k] -= out
		f.cool(k, -n-out)
	}
}

// cool takes instances out of service that are warming up, those of the longest service first.
func (f *fleet) cool(k Kind, n int) {
	f.cold[k] -= n
	for i := f.head; i < len(f.warming) && n > 0; i++ {
		if c := &f.warming[i]; c.kind == k {
			out := min(n, c.count)
			c.count -= out
			n -= out
		}
	}
}

// Begin has n instances running, in service and warm: the fleet with which a run begins.
func (w *World) Begin(k Kind, n int) {
	w.Bill(k, n)
	w.fleet.serving += n
	w.fleet.warm[k] += n
	w.fleet.dirty = true
}

// InService is how many instances serve.
func (w *World) InService() int { return w.fleet.serving }

// Running is how many instances are paid for.
func (w *World) Running() int { return w.fleet.running }

// Capacity is what the instances in service can serve, requests per second.
func (w *World) Capacity() float64 {
	w.fleet.refresh()
	return w.fleet.capacity
}

// warmest is when the next cohort is at full speed.
func (f *fleet) warmest() float64 {
	if f.head == len(f.warming) {
		return math.Inf(1)
	}
	return f.warming[f.head].until
}

func (f *fleet) warmUp(now float64) {
	for f.head < len(f.warming) && f.warming[f.head].until <= now {
		c := f.warming[f.head]
		f.cold[c.kind] -= c.count
		f.warm[c.kind] += c.count
		f.dirty = true
		f.head++
	}
	if f.head == len(f.warming) {
		f.warming, f.head = f.warming[:0], 0
	}
}

func (f *fleet) refresh() {
	if !f.dirty {
		return
	}
	f.dirty = false
	f.capacity, f.servers, f.idle, f.gone = 0, 0, 0, 0
	f.parts = f.parts[:0]
	for i := range f.ready.classes {
		c := &f.ready.classes[i]
		n := f.warm[c.kind]
		if c.cold {
			n = f.cold[c.kind]
		}
		if n > 0 {
			f.capacity += float64(n) * c.rate
			f.servers += float64(n) * c.servers
			f.parts = append(f.parts, part{class: c, index: i, share: float64(n) * c.rate})
		}
	}
	if f.capacity == 0 {
		return
	}
	f.mean = f.servers / f.capacity
	square := 0.0
	for i := range f.parts {
		p := &f.parts[i]
		p.share /= f.capacity
		square += p.share * p.class.mean * p.class.mean * (1 + p.class.cv*p.class.cv)
		f.idle += p.share * p.class.late.base
		f.gone += p.share * p.class.gone
	}
	f.idle, f.gone = cut(f.idle), cut(f.gone)
	f.spread = square / (f.mean * f.mean) / 2
	f.floor = math.Sqrt(2*f.spread/(f.capacity*settling)) / 1.06
	f.wait = waitersFor(f.servers)
	f.room = math.Inf(1)
	if q := f.ready.Model.Queue; q > 0 {
		f.room = q * float64(f.serving)
	}
}

// settling is for how long, in seconds, a load is taken to stay near a fleet's capacity. In that time chance builds up no
// longer queue than a random walk goes: without it the waiting time would go to infinity at 100 %.
const settling = 60

// waiting is the probability of having to wait, and the mean wait of those who do, below saturation: M/G/c with Kingman's
// correction for the spread of service times (Allen and Cunneen), as M/M/c is exact.
func (f *fleet) waiting(rho float64) (probability, wait float64) {
	probability = f.wait.probability(rho)
	if probability == 0 {
		return 0, 0
	}
	idle := max(0, 1-rho)
	idle = (idle + math.Sqrt(idle*idle+4*f.floor*f.floor)) / 2
	return probability, f.spread / (f.capacity * idle)
}
