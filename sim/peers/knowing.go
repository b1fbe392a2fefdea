package peers

import (
	"fmt"
	"slices"
	"time"

	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/world"
)

// Fixed is a size that never changes.
type Fixed struct {
	Instances int
	why       string
}

// Name and the rest make it a Scaler.
func (f *Fixed) Name() string { return fmt.Sprintf("fixed size %d", f.Instances) }

// Every has no meaning.
func (*Fixed) Every() time.Duration { return 24 * time.Hour }

// Source is none that matters.
func (*Fixed) Source() Source {
	return Source{Period: 24 * time.Hour, Window: 24 * time.Hour}
}

// Desired is the size.
func (f *Fixed) Desired(Seen) (int, string) { return f.Instances, f.why }

// Begin has it run at its size from the start.
func (f *Fixed) Begin() int { return f.Instances }

// SmallestFixed is the smallest size that meets the setup's share in time: found by halving, since more instances never
// make more requests late.
func SmallestFixed(s Setup) (*Fixed, error) {
	if err := s.Ready.Model.Check(s.Trace, s.InTime); err != nil {
		return nil, err
	}
	kind, found := s.Ready.Kind(s.Type)
	if !found {
		return nil, fmt.Errorf("peers: the world model has no instance type %q", s.Type)
	}
	w := s.Ready.World(s.Trace, world.Options{})
	end := s.Trace.End().Sub(s.Trace.Start)
	meets := func(n int) bool {
		w.Reset(s.Trace, world.Options{})
		world.NewPool(w, kind, n, s.Zones...).Advance(end)
		t := w.Totals()
		return t.InTime >= s.InTime*t.Arrived
	}
	low, high := 0, max(1, s.Min)
	for !meets(high) {
		if s.Max > 0 && high >= s.Max {
			return nil, fmt.Errorf("peers: no fixed size up to %d has %.6g %% of the requests in time", s.Max, 100*s.InTime)
		}
		if high > 1<<20 {
			return nil, fmt.Errorf("peers: no fixed size has %.6g %% of the requests in time", 100*s.InTime)
		}
		low, high = high, 2*high
		if s.Max > 0 {
			high = min(high, s.Max)
		}
	}
	for high-low > 1 {
		if middle := (low + high) / 2; meets(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return &Fixed{Instances: max(high, s.Min), why: "the smallest size that meets the objective"}, nil
}

// Clairvoyant knows the load: it launches what a Plan needs just in time to be at full speed when it is needed.
type Clairvoyant struct {
	Plan   world.Plan
	ahead  []int
	step   time.Duration
	inTime float64
}

// NewClairvoyant is for the setup's share in time.
func NewClairvoyant(s Setup) (*Clairvoyant, error) {
	kind, found := s.Ready.Kind(s.Type)
	if !found {
		return nil, fmt.Errorf("peers: the world model has no instance type %q", s.Type)
	}
	plan, err := s.Ready.Optimum(s.Trace, world.Aim{Kind: kind, InTime: s.InTime, Min: s.Min, Max: s.Max})
	if err != nil {
		return nil, err
	}
	return &Clairvoyant{Plan: plan, ahead: plan.Ahead(s.Trace.Step, s.Ready.Lead()), step: s.Trace.Step, inTime: s.InTime}, nil
}

// learn takes what a fixed size shows: a plan has enough for each slot by itself, while a fixed size that lets requests wait
// from one slot to the next may need fewer hours if they have the time. Then the plan is cut off at the lowest number that
// still meets the objective, or is that size.
func (c *Clairvoyant) learn(fixed *Fixed, s Setup) error {
	hours := s.Trace.End().Sub(s.Trace.Start).Hours() * float64(fixed.Instances)
	if hours >= c.Plan.Hours {
		return nil
	}
	whole := c.Plan.Instances
	cut := func(most int) (outcome.Summary, error) {
		c.Plan.Instances = make([]int, len(whole))
		for i, n := range whole {
			c.Plan.Instances[i] = min(n, most)
		}
		c.ahead = c.Plan.Ahead(c.step, s.Ready.Lead())
		o, err := Run(c, s)
		return o.Summary, err
	}
	low, high := fixed.Instances-1, slices.Max(whole) // high meets the objective
	for high-low > 1 {
		middle := (low + high) / 2
		o, err := cut(middle)
		if err != nil {
			return err
		}
		if o.InTime >= s.InTime {
			high = middle
		} else {
			low = middle
		}
	}
	o, err := cut(high)
	if o.InstanceHours > hours || o.InTime < s.InTime {
		for i := range c.ahead {
			c.Plan.Instances[i], c.ahead[i] = fixed.Instances, fixed.Instances
		}
		o.InstanceHours = hours
	}
	c.Plan.Hours = o.InstanceHours
	return err
}

// Name and the rest make it a Scaler.
func (*Clairvoyant) Name() string { return "clairvoyant" }

// Every is the load's slot: between them nothing changes.
func (c *Clairvoyant) Every() time.Duration { return c.step }

// Source is none that matters: it knows.
func (*Clairvoyant) Source() Source {
	return Source{Period: 24 * time.Hour, Window: 24 * time.Hour}
}

// Begin has what the first slot needs in service.
func (c *Clairvoyant) Begin() int {
	if len(c.ahead) == 0 {
		return 0
	}
	return c.ahead[0]
}

// Desired is what is needed from now until what is launched now is at full speed.
func (c *Clairvoyant) Desired(s Seen) (int, string) {
	i := int(s.At / c.step)
	if i >= len(c.ahead) {
		return s.Desired, ""
	}
	n := c.ahead[i]
	if n == s.Desired {
		return n, ""
	}
	return n, fmt.Sprintf("the load to come needs %d for %.6g %% in time", n, 100*c.inTime)
}

// References are all of them, for a setup: those that need a target keep the setup's.
func References(s Setup) ([]Scaler, error) {
	clairvoyant, err := NewClairvoyant(s)
	if err != nil {
		return nil, err
	}
	fixed, err := SmallestFixed(s)
	if err != nil {
		return nil, err
	}
	if err := clairvoyant.learn(fixed, s); err != nil {
		return nil, err
	}
	kind, _ := s.Ready.Kind(s.Type)
	// Its maker says to set the initialization period to how long an instance takes until it serves.
	google, predictive := NewGoogleMIG(s.Target), NewGoogleMIG(s.Target)
	google.Initialization = max(google.Initialization, s.Ready.Lead())
	predictive.Initialization, predictive.Predictive = google.Initialization, true
	list := []Scaler{fixed, NewKubernetesHPA(s.Target), google}
	if s.Trace.End().Sub(s.Trace.Start) > 3*24*time.Hour {
		list = append(list, predictive)
	}
	return append(list, NewNomad(s.Target), NewKEDA(s.Target/100*s.Ready.PerSecond(kind)), clairvoyant), nil
}

// Compare runs all references on a setup. Each outcome has its distance to the same optimum: the fewest instance-hours with
// which anyone can have the setup's share in time.
func Compare(s Setup) ([]outcome.Outcome, error) {
	list, err := References(s)
	if err != nil {
		return nil, err
	}
	s.Optimum = list[len(list)-1].(*Clairvoyant).Plan.Bound
	var all []outcome.Outcome
	for _, p := range list {
		o, err := Run(p, s)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}
