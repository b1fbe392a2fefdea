// Package sim is virtual time: the loop that drives the same control plane as the daemon does, with a modelled world in
// place of a host. It jumps from one instant that matters to the next, so that a week takes a second.
//
// It holds no behaviour of AWS: groups, policies and alarms decide in cloud/, as they do for real. Wishes become facts as
// the world says (a launch takes its time, or fails), the group's members that serve are the world's fleet, and what the
// fleet does under the load becomes the metrics of the next minute. A run is decided by its scenario and its seed alone,
// and ends when the load does.
package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/region"
	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/setup"
	"github.com/billow-cloud/billow/sim/world"
)

// Scenario is what to run.
type Scenario struct {
	Name  string               // of the variant, in its outcomes; empty: the group's
	Seed  uint64               // of the control plane's IDs and draws; the world has one of its own, in its Model
	Setup func(setup.Do) error // builds what there is; its calls are made a Lead before From

	Loads  map[string]load.Trace  // by group; a group without one is idle
	World  world.Model            // of all groups
	Worlds map[string]world.Model // of groups that have one of their own

	From, To time.Time // of the outcomes, whole seconds; zero: where the loads begin and end

	// Lead is how long before From everything is set up, so that a group's first instances are in service when the load
	// begins. Nothing is measured meanwhile, so no policy acts. 0 is long enough for four boots of average length.
	Lead time.Duration

	Calls []Timed                  // calls that are made during the run
	Hooks map[string]time.Duration // after how long the lifecycle action of a hook, by its name, is completed; others time out

	// EachInstance has the usage of every instance measured by itself, as the daemon does, so that there are metrics of
	// single instances too. Otherwise a group's usage is one fact, and a minute costs the same for any number of instances.
	EachInstance bool

	NoPoints bool // the outcomes are without Points: for summaries of very many groups

	Progress func(done, total time.Duration) // told now and then, if given
	Stop     func() error                    // asked now and then, if given: an error ends the run; a context's Err will do
}

// Timed is a call that is made at an instant. A call that the control plane refuses ends the run.
type Timed struct {
	At   time.Time
	Call cloud.Call
}

// Run runs a scenario from nothing. The outcomes are in order of the groups' names. What utilization a group's policies
// keep to, and so the minutes over it, is for the caller to say (outcome.Summarize, setup.Target).
func Run(s Scenario) ([]outcome.Outcome, error) {
	e, err := newEngine(s, freshCloud(s))
	if err != nil {
		return nil, err
	}
	return e.run(e.From.Add(-e.Lead))
}

// freshCloud is a control plane in which there is nothing yet.
func freshCloud(s Scenario) *cloud.Cloud {
	return region.New(region.Options{Seed: s.Seed, AnyImage: true, NoRoutes: true})
}

// Continue goes on with a cloud whose rows were loaded, as they were at s.From, which must be given: what runs there is
// the fleet, and the scenario's Setup, if it has one, is made at once. Lead is not used.
func Continue(c *cloud.Cloud, s Scenario) ([]outcome.Outcome, error) {
	e, err := newEngine(s, c)
	if err != nil {
		return nil, err
	}
	e.Lead = 0
	e.adopt()
	return e.run(e.From)
}

// Bounds of a scenario: what is longer is a mistake in a date.
const (
	longestRun  = 10 * 366 * 24 * time.Hour
	longestLead = 24 * time.Hour
)

// complete checks a scenario and fills in what is not given.
func (s *Scenario) complete() error {
	first, last := time.Time{}, time.Time{}
	for _, group := range slices.Sorted(maps.Keys(s.Loads)) {
		l := s.Loads[group]
		if l.Step < time.Second || l.Step%time.Second != 0 {
			return fmt.Errorf("sim: the load of group %s has slots of %v, which is not a whole number of seconds", group, l.Step)
		}
		if first.IsZero() || l.Start.Before(first) {
			first = l.Start
		}
		if l.End().After(last) {
			last = l.End()
		}
	}
	if s.From.IsZero() {
		s.From = first
	}
	if s.To.IsZero() {
		s.To = last
	}
	s.From, s.To = s.From.UTC().Truncate(time.Second), s.To.UTC()
	switch {
	case s.From.IsZero():
		return errors.New("sim: there is neither a load nor a time to begin at")
	case !s.From.Before(s.To):
		return fmt.Errorf("sim: the run would end at %s, before it begins at %s", s.To.Format(time.RFC3339), s.From.Format(time.RFC3339))
	case s.To.Sub(s.From) > longestRun:
		return fmt.Errorf("sim: a run of %.0f years is too long; ten are the most", s.To.Sub(s.From).Hours()/24/365)
	case s.Lead < 0 || s.Lead > longestLead:
		return fmt.Errorf("sim: a lead of %v is not possible; it can be up to a day", s.Lead)
	}
	if s.Lead == 0 {
		boot := s.World.Boot.Mean
		for _, group := range slices.Sorted(maps.Keys(s.Worlds)) {
			boot = max(boot, s.Worlds[group].Boot.Mean)
		}
		lead := max(10*time.Minute, time.Duration(4*boot*float64(time.Second)).Truncate(time.Minute)+time.Minute)
		s.Lead = min(lead, longestLead)
	}
	return nil
}
