// Package peers is what others would do under the same load: Kubernetes, Google's instance groups, Nomad, KEDA, a fixed
// size, and one who knows the load. Each computes what its maker documents (rules PE-*), sees metrics as late as its own
// source of metrics shows them, and runs on the same world with the same boots and the same accounting.
//
// A Scaler decides and nothing else: it sees numbers and answers with a number. It is not the maker's program: what its
// maker leaves open is as favourable to it as the world allows (a perfect balancer, a new instance at once).
package peers

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/world"
)

// Scaler is one way of scaling. It may remember what it saw; a new run needs a new one.
type Scaler interface {
	Name() string
	Every() time.Duration // between decisions
	Source() Source       // of its metrics
	// Desired is how many instances there shall be, before limits, and why if that is not Seen.Desired.
	Desired(s Seen) (n int, why string)
}

// Source is how metrics come about: a sample each Period, of the mean over the Window before it, visible Delay later.
type Source struct {
	Period, Window, Delay time.Duration
	Young                 time.Duration // for so long after its launch an instance is new
}

// Seen is what a Scaler sees at an instant.
type Seen struct {
	At       time.Duration // from the start of the run
	Desired  int           // as set last
	Min, Max int
	Alive    int // launched and not ended: Ready and booting
	Ready    int // in service
	Fresh    int // of those, for less than a window and a delay: without a sample of their own
	Young    int // of Alive, launched less than the Source's Young ago

	Known       bool    // there is a sample
	Utilization float64 // percent, mean over the instances in service
	Rate        float64 // requests per second that arrive at all of them
}

// Setup is what is the same for all.
type Setup struct {
	Name     string // of the group
	Trace    load.Trace
	Ready    *world.Ready
	Type     string // of the instances
	Zones    []string
	Min, Max int           // a Max of 0 is no limit
	Start    int           // instances in service at the start; below Min it is Min
	Target   float64       // utilization to keep, percent
	InTime   float64       // share of requests to be answered in time, for those that know the load
	Drain    time.Duration // an instance taken out of service is paid for until then
	Slot     time.Duration // of the outcome's points; 0 is a minute
	Optimum  float64       // instance-hours, if known: a Plan's Bound
}

func (s *Setup) limit(n int) int {
	n = max(n, s.Min)
	if s.Max > 0 {
		n = min(n, s.Max)
	}
	return n
}

// watch samples a world for a Source.
type watch struct {
	source  Source
	samples []sample // a ring, by number of the sample
	taken   int
}

type sample struct {
	at    time.Duration
	seen  bool
	total world.Totals
}

func newWatch(s Source) *watch {
	return &watch{source: s, samples: make([]sample, int((s.Window+s.Delay)/s.Period)+3)}
}

func (w *watch) take(r *world.World, at time.Duration) {
	w.samples[w.taken%len(w.samples)] = sample{at: at, seen: r.Metrics(at), total: r.Totals()}
	w.taken++
}

// latest is what happened in the window before the newest sample that is visible.
func (w *watch) latest(at time.Duration) (world.Totals, time.Duration, bool) {
	for i := w.taken - 1; i > 0 && i > w.taken-len(w.samples); i-- {
		s := &w.samples[i%len(w.samples)]
		if s.at+w.source.Delay > at {
			continue
		}
		if !s.seen {
			return world.Totals{}, 0, false
		}
		j := max(0, i-int(w.source.Window/w.source.Period), w.taken-len(w.samples))
		first := &w.samples[j%len(w.samples)]
		return s.total.Sub(first.total), s.at - first.at, s.at > first.at
	}
	return world.Totals{}, 0, false
}

// Run has a Scaler serve the load of a setup.
func Run(p Scaler, s Setup) (outcome.Outcome, error) {
	kind, found := s.Ready.Kind(s.Type)
	if !found {
		return outcome.Outcome{}, fmt.Errorf("peers: the world model has no instance type %q", s.Type)
	}
	if len(s.Trace.Rates) == 0 || s.Trace.Step <= 0 {
		return outcome.Outcome{}, errors.New("peers: the load is empty")
	}
	if s.Max > 0 && s.Min > s.Max {
		return outcome.Outcome{}, fmt.Errorf("peers: a Min of %d is more than the Max of %d", s.Min, s.Max)
	}
	if s.Slot <= 0 {
		s.Slot = time.Minute
	}
	w := s.Ready.World(s.Trace, world.Options{Slot: s.Slot, Points: true})
	begin := s.limit(s.Start)
	if a, ok := p.(interface{ Begin() int }); ok {
		begin = s.limit(a.Begin())
	}
	pool := world.NewPool(w, kind, begin, s.Zones...)
	pool.Drain = s.Drain
	activities := drive(p, &s, w, pool)
	o := w.Finish()
	o.Name, o.Group, o.Activities = p.Name(), s.Name, activities
	o.Summary.FailedLaunches = pool.Failed
	o.CountActions()
	o.Summarize(s.Target)
	o.Summary.Compare(s.Optimum)
	return o, nil
}

// drive goes through the run: from sample to decision.
func drive(p Scaler, s *Setup, w *world.World, pool *world.Pool) (activities []outcome.Activity) {
	end := s.Trace.End().Sub(s.Trace.Start)
	metrics := newWatch(p.Source())
	every := p.Every()
	var sampled, decided time.Duration
	for at := time.Duration(0); at < end; at = min(sampled, decided) {
		pool.Advance(at)
		if at == sampled {
			metrics.take(w, at)
			sampled += metrics.source.Period
		}
		if at != decided {
			continue
		}
		decided += every
		seen := Seen{At: at, Desired: pool.Wanted(), Min: s.Min, Max: s.Max, Alive: pool.Alive(), Ready: pool.Serving()}
		seen.Fresh = pool.Joined(at - metrics.source.Window - metrics.source.Delay)
		seen.Young = pool.Launched(at - metrics.source.Young)
		if spent, span, known := metrics.latest(at); known {
			seen.Known = true
			seen.Utilization = spent.Utilization()
			seen.Rate = (spent.Arrived + spent.Retried) / span.Seconds()
		}
		n, why := p.Desired(seen)
		if n = s.limit(n); n == seen.Desired {
			continue
		}
		pool.Want(n)
		activities = append(activities, activity(len(activities)+1, s.Trace.Start.Add(at), seen.Desired, n, why))
	}
	pool.Advance(end)
	return activities
}

func activity(number int, at time.Time, from, to int, why string) outcome.Activity {
	what := "Launching"
	change := to - from
	if change < 0 {
		what, change = "Ending", -change
	}
	noun := " instances"
	if change == 1 {
		noun = " instance"
	}
	return outcome.Activity{
		ID: strconv.Itoa(number), StartTime: at, EndTime: at, StatusCode: "Successful",
		Description: what + " " + strconv.Itoa(change) + noun,
		Cause:       "desired " + strconv.Itoa(from) + " to " + strconv.Itoa(to) + ": " + why,
		From:        from, To: to,
	}
}

// measured is the usual reason.
func measured(target, utilization float64) string {
	return fmt.Sprintf("%.4g %% target, measured %.3g %%", target, utilization)
}
