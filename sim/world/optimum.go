package world

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/billow-cloud/billow/sim/load"
)

// Aim is what a fleet of one kind is for.
type Aim struct {
	Kind     Kind
	InTime   float64 // share of all requests to be answered within the deadline
	Min, Max int     // instances; a Max of 0 is no limit
}

// Plan is what one who knows the load would do for an aim.
//
// The aim is about all requests together, so that late ones are best spent where an instance fewer makes the fewest: each
// slot has the number of instances for which hours + price * late requests is least, at the price at which just as many
// are late as may be. That is also how Bound is found (the dual of the problem): it counts neither boots nor whole
// instances within a slot, and abandons slots if that is cheaper, so no way of scaling that changes its fleet at the
// slots of the load needs fewer hours for the aim.
type Plan struct {
	Instances []int   // in service at full speed, by slot of the load
	InTime    float64 // the share answered in time with them
	Hours     float64 // with each paid for from Lead before it is needed
	Bound     float64 // instance-hours that nobody can do without
}

// Lead is how long before it is needed an instance is launched by one who knows the load, but not the luck of each boot.
func (r *Ready) Lead() time.Duration {
	m := &r.Model
	lead := m.Boot.Mean * (1 + 2*m.Boot.CV)
	if r.slowed {
		lead += m.WarmUp
	}
	return seconds(math.Ceil(lead))
}

// Ahead is the plan's instances at the instant from the start at which they are launched: the most of what is needed from
// then until lead later. So it also keeps those that would be launched again before they were gone for that long.
func (p Plan) Ahead(step, lead time.Duration) []int {
	width := int((lead+step-1)/step) + 1
	ahead := make([]int, len(p.Instances))
	var candidates []int // slots in order, each of more instances than all later ones
	for i := len(p.Instances) - 1; i >= 0; i-- {
		for len(candidates) > 0 && p.Instances[candidates[len(candidates)-1]] <= p.Instances[i] {
			candidates = candidates[:len(candidates)-1]
		}
		candidates = append(candidates, i)
		if candidates[0] >= i+width {
			candidates = candidates[1:]
		}
		ahead[i] = p.Instances[candidates[0]]
	}
	return ahead
}

// choice is a number of instances in a slot and the least that is then not in time.
type choice struct {
	instances int
	late      float64
}

// rateClass is slots of nearly the same rate.
type rateClass struct {
	slots   int
	arrived float64  // requests in all of them
	plan    []choice // for the highest rate of the class: enough for the load, in order
	bound   []choice // for the lowest
}

// rateWidth is the width of a class, relative to its rate.
const rateWidth = 0.002

// Optimum is the plan for an aim, or one sentence on why there is none.
func (r *Ready) Optimum(trace load.Trace, aim Aim) (Plan, error) {
	if err := r.Model.Check(trace, aim.InTime); err != nil {
		return Plan{}, err
	}
	classes := map[int]*rateClass{}
	all := 0.0
	step := trace.Step.Seconds()
	for _, rate := range trace.Rates {
		if rate <= 0 {
			continue
		}
		i := int(math.Floor(math.Log(rate) / rateWidth))
		c := classes[i]
		if c == nil {
			c = &rateClass{}
			classes[i] = c
		}
		c.slots++
		c.arrived += rate * step
		all += rate * step
	}
	keys := slices.Sorted(maps.Keys(classes))
	s := &slotJudge{w: r.World(load.Trace{}, Options{}), aim: aim, step: trace.Step}
	for _, i := range keys {
		c := classes[i]
		s.judge(c, math.Exp(float64(i)*rateWidth), math.Exp(float64(i+1)*rateWidth), all)
	}
	budget := (1 - aim.InTime) * all
	list := make([]*rateClass, len(keys))
	for i, k := range keys {
		list[i] = classes[k]
	}
	p := Plan{Instances: make([]int, len(trace.Rates)), InTime: 1, Bound: bound(list, budget, step/3600)}
	p.Bound += float64(len(trace.Rates)*aim.Min) * step / 3600
	price, late := spend(list, budget, step/3600)
	if late > budget*(1+1e-9)+1e-9 {
		return Plan{}, fmt.Errorf("world: %d instances at most are too few for %.4g %% of the requests in time", aim.Max, 100*aim.InTime)
	}
	if all > 0 {
		p.InTime = 1 - late/all
	}
	for t, rate := range trace.Rates {
		p.Instances[t] = aim.Min
		if rate > 0 {
			p.Instances[t] = best(classes[int(math.Floor(math.Log(rate)/rateWidth))].plan, price, step/3600).instances
		}
	}
	for _, n := range p.Ahead(trace.Step, r.Lead()) {
		p.Hours += float64(n) * step / 3600
	}
	return p, nil
}

// slotJudge runs single slots.
type slotJudge struct {
	w     *World
	aim   Aim
	step  time.Duration
	rates [1]float64
}

// late is how many requests of a slot cannot be in time with n instances: whatever comes before or after the slot.
func (s *slotJudge) late(rate float64, n int) float64 {
	s.rates[0] = rate
	s.w.Reset(load.Trace{Step: s.step, Rates: s.rates[:]}, Options{})
	s.w.Begin(s.aim.Kind, n)
	s.w.Advance(s.step)
	t := s.w.Totals()
	late := t.Arrived - t.InTime
	if s.w.Waiting() > 0 { // the last of them may still be
		late -= rate * s.w.Model.Deadline
	}
	return max(0, late)
}

// judge finds the choices for a class of rates.
func (s *slotJudge) judge(c *rateClass, low, high, all float64) {
	most := s.aim.Max
	if most == 0 {
		most = math.MaxInt32
	}
	instance := s.w.PerSecond(s.aim.Kind)
	enough := (1 - s.aim.InTime) * high * s.step.Seconds() / 1000 // so few late ones are not worth an instance
	first := min(most, max(s.aim.Min, int(high/instance)+1))
	idle := s.w.floor(s.aim.Kind) * high * s.step.Seconds()
	for n := first; n <= most; n++ {
		late := s.late(high, n)
		c.plan = append(c.plan, choice{n, late})
		if late <= idle+enough || late <= idle*(1+1e-9) || n-first > 100000 {
			break
		}
	}
	// For the bound, instances beyond Min count from 0. Between two numbers that were tried, a fleet costs at least what
	// the lower one costs and has at least as many late as the higher one.
	next := s.aim.Min
	for {
		n := next
		next = max(n+1, int(float64(n)*1.05))
		if n == s.aim.Min && n == 0 {
			c.bound = append(c.bound, choice{0, low * s.step.Seconds()})
			continue
		}
		if n >= int(low/instance) {
			next = n + 1
		}
		late := s.late(low, min(next-1, most))
		c.bound = append(c.bound, choice{n - s.aim.Min, late})
		if n >= c.plan[len(c.plan)-1].instances || n >= most {
			c.bound = append(c.bound, choice{n - s.aim.Min + 1, min(late, s.w.floor(s.aim.Kind)*low*s.step.Seconds())})
			return
		}
	}
}

// best is the choice of the least hours + price * late requests.
func best(choices []choice, price, hours float64) choice {
	least, cost := choices[0], math.Inf(1)
	for _, c := range choices {
		if k := float64(c.instances)*hours + price*c.late; k < cost {
			least, cost = c, k
		}
	}
	return least
}

// spend finds the lowest price of a late request, in instance-hours, at which no more are late than the budget allows.
func spend(classes []*rateClass, budget, hours float64) (price, late float64) {
	at := func(price float64) float64 {
		late := 0.0
		for _, c := range classes {
			late += float64(c.slots) * best(c.plan, price, hours).late
		}
		return late
	}
	low, high := math.Log(1e-12), math.Log(1e12)
	if late := at(math.Exp(low)); late <= budget {
		return math.Exp(low), late
	}
	for range 60 {
		if middle := (low + high) / 2; at(math.Exp(middle)) <= budget {
			high = middle
		} else {
			low = middle
		}
	}
	return math.Exp(high), at(math.Exp(high))
}

// bound is the largest value of the dual: whatever the price, least cost minus price * budget is a bound.
func bound(classes []*rateClass, budget, hours float64) float64 {
	at := func(price float64) float64 {
		sum := -price * budget
		for _, c := range classes {
			b := best(c.bound, price, hours)
			sum += float64(c.slots) * (float64(b.instances)*hours + price*b.late)
		}
		return sum
	}
	low, high := math.Log(1e-12), math.Log(1e6)
	for range 80 {
		a, b := low+(high-low)/3, high-(high-low)/3
		if at(math.Exp(a)) < at(math.Exp(b)) {
			low = a
		} else {
			high = b
		}
	}
	return max(0, at(math.Exp((low+high)/2)))
}

// floor is the share of requests that are late even if nobody has to wait.
func (r *Ready) floor(k Kind) float64 { return cut(r.classes[2*k].late.base) }
