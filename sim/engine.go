package sim

import (
	"container/heap"
	"fmt"
	"slices"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/world"
)

// engine is one run. Each of its turns is one step of the control plane, at the earliest instant at which anything
// happens: a fact or a call that is due, a timer of the cloud, or the end of a minute.
type engine struct {
	Scenario
	cloud *cloud.Cloud
	now   time.Time

	events agenda
	minute time.Time // of the next measurement

	fleets    map[string]*fleet // by scope and group
	order     []*fleet          // in order of name
	instances map[string]*instance
	targets   map[string]*target       // by key of the row
	checks    map[string]time.Duration // intervals of target groups
	balancers map[string]string        // of target groups
	tokens    map[string]bool          // lifecycle actions that will be completed
	ready     *world.Ready

	touched []*instance // whose part in a fleet may have changed in this step
	changed []*fleet    // of which the world has something to be told
	born    int         // instances so far
	begun   bool        // From is reached: the load has begun
	restart time.Time   // for tests: when the cloud is replaced by one that is loaded with its rows
	failed  error
}

// event is something that happens at an instant: it gives a fact, or does something else and gives nil.
type event struct {
	at time.Time
	n  int // order among those of the same instant
	do func() cloud.Fact
}

type agenda struct {
	list []event
	made int
}

func (a *agenda) Len() int { return len(a.list) }
func (a *agenda) Less(i, j int) bool {
	if !a.list[i].at.Equal(a.list[j].at) {
		return a.list[i].at.Before(a.list[j].at)
	}
	return a.list[i].n < a.list[j].n
}
func (a *agenda) Swap(i, j int) { a.list[i], a.list[j] = a.list[j], a.list[i] }
func (a *agenda) Push(x any)    { a.list = append(a.list, x.(event)) }
func (a *agenda) Pop() any {
	last := len(a.list) - 1
	x := a.list[last]
	a.list[last] = event{}
	a.list = a.list[:last]
	return x
}

// at has something happen at an instant.
func (e *engine) at(at time.Time, do func() cloud.Fact) {
	e.events.made++
	heap.Push(&e.events, event{at: at, n: e.events.made, do: do})
}

// fact has a fact seen after a while.
func (e *engine) fact(after time.Duration, f cloud.Fact) {
	e.at(e.now.Add(after), func() cloud.Fact { return f })
}

func newEngine(s Scenario, c *cloud.Cloud) (*engine, error) {
	if err := s.complete(); err != nil {
		return nil, err
	}
	e := &engine{
		Scenario: s, cloud: c,
		fleets: map[string]*fleet{}, instances: map[string]*instance{}, targets: map[string]*target{},
		checks: map[string]time.Duration{}, balancers: map[string]string{}, tokens: map[string]bool{},
	}
	if err := e.prepareWorlds(); err != nil {
		return nil, err
	}
	return e, nil
}

// stepsPerMinute bounds the steps of a virtual minute: beyond it the control plane and the world wake each other.
const stepsPerMinute = 1_000_000

// run goes from the set-up to the end.
func (e *engine) run(start time.Time) ([]outcome.Outcome, error) {
	e.now = start
	if e.Setup != nil {
		if err := e.Setup(e.call); err != nil {
			return nil, err
		}
	}
	e.at(e.From, e.begin)
	for _, t := range e.Calls {
		e.at(t.At, func() cloud.Fact {
			if _, err := e.call(t.Call); err != nil && e.failed == nil {
				e.failed = fmt.Errorf("sim: %s at %s: %w", t.Call.Operation, t.At.Format(time.RFC3339), err)
			}
			return nil
		})
	}
	e.minute = e.From.Truncate(time.Minute).Add(time.Minute)
	steps, minute := 0, e.now.Truncate(time.Minute)
	for {
		next := e.next()
		if !next.Before(e.To) {
			break
		}
		if next.After(e.now) {
			e.now = next
		}
		if steps++; steps > stepsPerMinute {
			return nil, fmt.Errorf("sim: the cloud does not come to rest at %s", e.now.Format(time.RFC3339))
		}
		if m := e.now.Truncate(time.Minute); m.After(minute) {
			steps, minute = 0, m
			if err := e.report(); err != nil {
				return nil, err
			}
		}
		if e.turn(); e.failed != nil {
			return nil, e.failed
		}
	}
	e.now = e.To
	e.measure() // the last minute
	return e.outcomes(), nil
}

// report tells how far the run is, once an hour of virtual time.
func (e *engine) report() error {
	if e.now.Minute() != 0 {
		return nil
	}
	if e.Progress != nil && e.begun {
		e.Progress(e.now.Sub(e.From), e.To.Sub(e.From))
	}
	if e.Stop != nil {
		return e.Stop()
	}
	return nil
}

// next is the earliest instant at which anything happens.
func (e *engine) next() time.Time {
	next := e.minute
	if len(e.events.list) > 0 && e.events.list[0].at.Before(next) {
		next = e.events.list[0].at
	}
	if wake := e.cloud.Wake(); !wake.IsZero() && wake.Before(next) {
		next = wake
	}
	return next
}

// turn makes one step: all facts that are due in one input, or a call, or a tick.
func (e *engine) turn() {
	if !e.restart.IsZero() && !e.now.Before(e.restart) {
		e.restart = time.Time{}
		e.reload()
	}
	var facts []cloud.Fact
	if !e.minute.After(e.now) {
		facts = e.measure()
		e.minute = e.now.Truncate(time.Minute).Add(time.Minute)
	}
	for len(e.events.list) > 0 && !e.events.list[0].at.After(e.now) {
		if f := heap.Pop(&e.events).(event).do(); f != nil {
			facts = append(facts, f)
		}
	}
	switch wake := e.cloud.Wake(); {
	case len(facts) > 0:
		e.step(cloud.Observed{Facts: facts})
	case !wake.IsZero() && !wake.After(e.now):
		e.step(cloud.Tick{})
	}
	e.settle()
}

// call makes one API call and gives its reply's shape.
func (e *engine) call(c cloud.Call) (any, error) {
	out := e.step(c)
	e.settle()
	return out.Reply, out.Err
}

// step gives the control plane an input and takes what comes out of it.
func (e *engine) step(in cloud.Input) cloud.Output {
	out := e.cloud.Step(e.now, in)
	if _, isCall := in.(cloud.Call); out.Err != nil && !isCall {
		e.failed = fmt.Errorf("sim: at %s: %w", e.now.Format(time.RFC3339), out.Err)
	}
	e.follow(out.Changes)
	for _, effect := range out.Effects {
		e.wish(effect)
	}
	return out
}

// sorted are the fleets in order of name.
func (e *engine) sorted() []*fleet {
	if len(e.order) != len(e.fleets) {
		e.order = e.order[:0]
		for _, f := range e.fleets { // any order
			e.order = append(e.order, f)
		}
		slices.SortFunc(e.order, func(a, b *fleet) int {
			switch {
			case a.key < b.key:
				return -1
			case a.key > b.key:
				return 1
			}
			return 0
		})
	}
	return e.order
}
