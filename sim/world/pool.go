package world

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// Pool keeps a number of instances of one kind in a World: it launches and ends them as the number changes, replaces those
// that die, and tries again when a launch fails. It is for ways of scaling that do nothing else; the real control plane
// does this itself.
//
// A member is launched (paid for), in service after its boot, out of service when it is ended, and paid for until Drain
// later. Ended first are those that boot, the newest first, and then those in service, the oldest first.
type Pool struct {
	World  *World
	Kind   Kind
	Zones  []string
	Drain  time.Duration
	Again  time.Duration // from a launch that failed to the next try
	Failed int           // launches

	want     int
	alive    int // booting or serving
	booting  int
	launches uint64
	members  []member
	oldest   int // members before it are gone
	due      agenda
	planned  uint64
	joined   []time.Duration // when members came into service, in order; the last of them
	launched []time.Duration // when members were launched
	tryAt    time.Duration   // 0: no launch has failed since the last try
}

type member struct {
	zone  uint8
	state uint8
}

const (
	memberBoots = uint8(iota)
	memberServes
	memberGone
)

// due is something that will happen.
type due struct {
	at     time.Duration
	order  uint64
	member int // or the index of an event of the model
	what   uint8
}

// agenda is a heap in order of time, and for one instant in the order in which it was planned.
type agenda []due

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(due)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}

const (
	dueBoot = uint8(iota)
	dueDeath
	dueEnd
	dueEvent
)

// NewPool is a pool with a number of instances that are in service already.
func NewPool(w *World, k Kind, begin int, zones ...string) *Pool {
	p := &Pool{World: w, Kind: k, Zones: zones, Again: 30 * time.Second}
	if len(zones) == 0 {
		p.Zones = []string{"a", "b", "c"}
	}
	for i, e := range w.Model.Failures.Events {
		if e.Kind == Kill || e.Kind == ZoneDown {
			p.plan(due{at: seconds(e.At), member: i, what: dueEvent})
		}
	}
	p.want, p.alive = begin, begin
	for range begin {
		f := p.fate()
		p.members = append(p.members, member{zone: p.zone(), state: memberServes})
		if f.DiesAt > 0 {
			p.plan(due{at: w.Now() + f.DiesAt, member: len(p.members) - 1, what: dueDeath})
		}
	}
	w.Begin(k, begin)
	w.Desired = begin
	return p
}

// zone of the latest launch.
func (p *Pool) zone() uint8 { return uint8(p.launches % uint64(len(p.Zones))) }

func (p *Pool) fate() Fate {
	p.launches++
	return p.World.Fate(p.launches, p.Zones[p.zone()], p.World.Now())
}

// Want sets how many instances there shall be.
func (p *Pool) Want(n int) {
	p.want = max(0, n)
	p.World.Desired = p.want
	p.keep()
}

// Wanted is how many instances there shall be.
func (p *Pool) Wanted() int { return p.want }

// Alive is how many boot or serve.
func (p *Pool) Alive() int { return p.alive }

// Booting is how many were launched and do not serve yet.
func (p *Pool) Booting() int { return p.booting }

// Serving is how many are in service.
func (p *Pool) Serving() int { return p.alive - p.booting }

// Joined is how many in service came into it after an instant; ask for later and later instants.
func (p *Pool) Joined(after time.Duration) int { return min(p.Serving(), since(&p.joined, after)) }

// Launched is how many that boot or serve were launched after an instant; ask for later and later instants.
func (p *Pool) Launched(after time.Duration) int { return min(p.alive, since(&p.launched, after)) }

// since forgets what is not after an instant and counts the rest.
func since(list *[]time.Duration, after time.Duration) int {
	l := *list
	first := 0
	for first < len(l) && l[first] <= after {
		first++
	}
	if first > 0 {
		*list = l[:copy(l, l[first:])]
	}
	return len(*list)
}

func (p *Pool) keep() {
	p.tryAt = 0
	for missing := p.want - p.alive; missing > 0; missing-- {
		p.launch()
	}
	for p.alive > p.want {
		p.end()
	}
}

func (p *Pool) launch() {
	f, now := p.fate(), p.World.Now()
	if f.Fails != "" {
		p.Failed++
		p.tryAt = now + p.Again
		return
	}
	p.members = append(p.members, member{zone: p.zone(), state: memberBoots})
	i := len(p.members) - 1
	p.alive++
	p.booting++
	p.World.Bill(p.Kind, 1)
	p.launched = append(p.launched, now)
	p.plan(due{at: now + f.Boot, member: i, what: dueBoot})
	if f.DiesAt > 0 {
		p.plan(due{at: now + f.DiesAt, member: i, what: dueDeath})
	}
}

func (p *Pool) end() {
	if p.booting > 0 {
		for i := len(p.members) - 1; i >= p.oldest; i-- {
			if p.members[i].state == memberBoots {
				p.remove(i)
				p.World.Bill(p.Kind, -1)
				return
			}
		}
	}
	for i := p.oldest; i < len(p.members); i++ {
		if p.members[i].state != memberServes {
			continue
		}
		p.remove(i)
		if p.Drain > 0 {
			p.plan(due{at: p.World.Now() + p.Drain, what: dueEnd})
		} else {
			p.World.Bill(p.Kind, -1)
		}
		return
	}
}

func (p *Pool) remove(i int) {
	if p.members[i].state == memberBoots {
		p.booting--
	} else {
		p.World.Serve(p.Kind, -1)
	}
	p.members[i].state = memberGone
	p.alive--
	for p.oldest < len(p.members) && p.members[p.oldest].state == memberGone {
		p.oldest++
	}
}

// Advance goes on to an instant, with everything that happens to the instances before it.
func (p *Pool) Advance(to time.Duration) {
	for {
		at := to
		if len(p.due) > 0 {
			at = min(at, p.due[0].at)
		}
		if p.tryAt > 0 {
			at = min(at, p.tryAt)
		}
		p.World.Advance(at)
		again := p.tryAt > 0 && p.tryAt <= at
		for len(p.due) > 0 && p.due[0].at <= at {
			p.happen(heap.Pop(&p.due).(due))
			again = again || p.alive < p.want && p.tryAt == 0
		}
		if again {
			p.keep()
		}
		if at >= to {
			return
		}
	}
}

func (p *Pool) happen(d due) {
	switch d.what {
	case dueBoot:
		if p.members[d.member].state == memberBoots {
			p.members[d.member].state = memberServes
			p.booting--
			p.joined = append(p.joined, d.at)
			p.World.Serve(p.Kind, 1)
		}
	case dueDeath:
		p.kill(d.member)
	case dueEnd:
		p.World.Bill(p.Kind, -1)
	case dueEvent:
		e := p.World.Model.Failures.Events[d.member]
		if e.Kind == ZoneDown {
			for i := p.oldest; i < len(p.members); i++ {
				if e.Affects(p.Zones[p.members[i].zone]) {
					p.kill(i)
				}
			}
			return
		}
		random := rand.New(rand.NewPCG(p.World.Model.Seed, ^uint64(d.member)))
		var those []int
		for i := p.oldest; i < len(p.members); i++ {
			if p.members[i].state != memberGone && e.Affects(p.Zones[p.members[i].zone]) {
				those = append(those, i)
			}
		}
		random.Shuffle(len(those), func(i, j int) { those[i], those[j] = those[j], those[i] })
		for _, i := range those[:min(e.Count, len(those))] {
			p.kill(i)
		}
	}
}

func (p *Pool) kill(i int) {
	if p.members[i].state != memberGone {
		p.remove(i)
		p.World.Bill(p.Kind, -1)
	}
}

func (p *Pool) plan(d due) {
	p.planned++
	d.order = p.planned
	heap.Push(&p.due, d)
}
