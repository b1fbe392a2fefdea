// Package tune searches for the policies of a group: those that cost the fewest instance-hours for an objective, the share
// of requests that is answered in time.
//
// Thousands of candidates are tried on sim/twin, on the first part of the load only: as it is, and under stress (crowds,
// larger ups and downs, slower boots): simple ones at all levels of utilization first, then mixes and neighbours of the best.
// What it recommends is not the cheapest one, which would be the one that fits this part best, but of those that save
// enough the one that is late least, under stress too. Then the whole control plane runs it on the rest of the load beside
// AWS's default and the best single target. If it misses the objective there, the next on a short ladder has its turn:
// then no part of the load is left that it was not chosen by, and the result says so.
//
// A candidate is nothing but calls of AWS's API. Results are decided by the load, the options and the seed: the budget
// counts trials, not seconds. It knows no file and prints nothing.
package tune

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/world"
)

// Options say what to tune, and for what.
type Options struct {
	Load      load.Trace
	World     world.Model
	Type      string  // of the instances
	Min, Max  int     // of the group; a Max of 0 is four times what the peak needs at 100 %
	Objective float64 // share in time; 0 is what target tracking at 50 % CPU reaches
	Tuned     float64 // share of the load to tune on; 0 is 0.6
	Budget    int     // trials; 0 is as many as take about a minute: more for a shorter load
	Seed      uint64
	Workers   int // trials side by side; results do not depend on it
	Progress  func(done, of int)
	Stop      func() error // asked now and then; an error ends the search
}

// Figures are what a way of scaling came to on one part of the load.
type Figures struct {
	Hours   float64 `json:"instance_hours"`
	Cost    float64 `json:"cost"`
	InTime  float64 `json:"in_time_share"`
	Late    float64 `json:"late_share"`
	Lost    float64 `json:"lost_share"`
	Actions int     `json:"actions"`
	Meets   bool    `json:"meets_objective"`
}

// Row is one way of scaling on both parts.
type Row struct {
	Name        string     `json:"name"`
	Candidate   *Candidate `json:"policy,omitempty"`
	Tuned, Held Figures
}

// Point is one of the front: nothing that was tried costs less and has no fewer in time, on the tuned part.
type Point struct {
	Candidate Candidate `json:"policy"`
	Hours     float64   `json:"instance_hours"`
	InTime    float64   `json:"in_time_share"`
	Strain    float64   `json:"strain"` // under stress, against target tracking at 50 %: below 0 is better
}

// Result is what a search found.
type Result struct {
	From, Cut, To time.Time // of the load, and where its tuned part ends
	Objective     float64   // share in time; of the tuned part, if it is that of the default
	Relative      bool      // the objective is what the default reaches on each part

	Default, Sweep, Recommended, Optimum Row
	Missed                               []Row // what would have been recommended, but on the part that was held back missed the objective or cost more than the default
	Front                                []Point
	Sure                                 Confidence
	Trials                               int
	Met                                  bool     // the recommended one meets the objective on both parts
	Notes                                []string // what to know, a sentence each

	Needs    *Needs // what calendars are made of
	Min, Max int
	Type     string
}

// negligible is the share of requests below which a difference is none: a thousandth of a percent.
const negligible = 1e-5

// Run searches.
func Run(o Options) (*Result, error) {
	s, err := prepare(o)
	if err != nil {
		return nil, err
	}
	if err := s.search.run(s.Budget); err != nil {
		return nil, err
	}
	return s.conclude()
}

// again scores what the search found on all folds, if it looked at a part of them only.
func (s *study) again() {
	cs := make([]Candidate, len(s.search.pool))
	for i, t := range s.search.pool {
		cs[i] = t.c
	}
	whole := s.whole.try(cs)
	limit, _ := s.late(s.whole, s.whole.try(s.sweep))
	for i, x := range s.folded.try(cs) {
		t := &s.search.pool[i]
		t.dear *= x.hours / t.hours
		t.score = x
		t.out = x.late > safe(s.limit, s.folded.total, margin/2) || whole[i].late > limit+negligible*s.whole.total
	}
	if s.best >= 0 { // where a single target is as good as it gets, that is the answer
		x := s.swept[s.best]
		strain := s.search.strains(s.sweep[s.best : s.best+1])[0].late + strained(x.late, s.limit, s.folded.total)
		s.search.pool = append(s.search.pool, trial{c: s.sweep[s.best], score: x, dear: x.hours, strain: strain})
	}
}

// defaults fills in what is not given and refuses what cannot be.
func (o *Options) defaults() error {
	if o.Tuned == 0 {
		o.Tuned = 0.6
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	if o.Stop == nil {
		o.Stop = func() error { return nil }
	}
	o.Workers, o.Min = max(1, o.Workers), max(1, o.Min)
	switch {
	case !(o.Tuned >= 0.1 && o.Tuned <= 0.9):
		return errors.New("the share of the load to tune on must be from 0.1 to 0.9")
	case o.Objective < 0 || o.Objective > 1:
		return errors.New("the objective is a share of requests: above 0 and at most 1")
	case o.Budget != 0 && o.Budget < 100 || o.Budget > 1_000_000:
		return errors.New("the budget must be from 100 to 1000000 trials")
	case len(o.Load.Rates) < 240 || o.Load.End().Sub(o.Load.Start) < 4*time.Hour:
		return errors.New("the load is too short to tune on: at least four hours of minutes are needed, and a week is good")
	case o.Load.Peak() <= 0:
		return errors.New("there is no load")
	}
	if o.Budget == 0 {
		minutes := o.Tuned * o.Load.End().Sub(o.Load.Start).Minutes()
		o.Budget = int(max(1500, min(6000, 36e6/minutes)))
	}
	return nil
}

// study is a search with what it is judged by.
type study struct {
	Options
	ready       *world.Ready
	kind        world.Kind
	most        int
	tuned, held load.Trace
	whole       *bench // the tuned part in one piece
	folded      *bench // in folds; the search's own may be a part of it
	rest        *bench // the part that is held back
	search      search
	sweep       []Candidate
	swept       []score // on the folds of the tuned part
	best        int     // of sweep: the cheapest that meets the objective, or -1
	limit       float64 // late requests on the folds
	notes       []string
}

// The single targets that are swept.
const (
	lowestTarget  = 10
	highestTarget = 95
	usualTarget   = 50
)

// tracking is target tracking as AWS makes it by default.
func tracking(target float64, least int) Candidate {
	return Candidate{Target: target, Warmup: -1, Min: least}
}

func prepare(o Options) (*study, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	ready, err := world.Prepare(o.World)
	if err != nil {
		return nil, err
	}
	kind, ok := ready.Kind(o.Type)
	if !ok {
		return nil, fmt.Errorf("the world model has no instance type %s", o.Type)
	}
	s := &study{Options: o, ready: ready, kind: kind, most: o.Max}
	per := ready.PerSecond(kind)
	if s.most == 0 {
		s.most = int(max(100, min(1000, math.Ceil(4*o.Load.Peak()/per))))
	}
	if s.most < s.Min {
		return nil, fmt.Errorf("a maximum of %d is less than the minimum of %d", s.most, s.Min)
	}
	cutAt := o.Load.Start.Add(time.Duration(float64(len(o.Load.Rates))*o.Tuned) * o.Load.Step)
	s.tuned, s.held = o.Load.Between(o.Load.Start, cutAt), o.Load.Between(cutAt, o.Load.End())
	s.whole = newBench(cut(s.tuned, 1, ready, kind, s.most), o.Workers)
	s.rest = newBench(cut(s.held, 1, ready, kind, s.most), o.Workers)
	all := &Needs{}
	all.add(s.tuned, per)
	s.whole.parts[0].needs, s.rest.parts[0].needs = all, all
	days := s.tuned.End().Sub(s.tuned.Start).Hours() / 24
	pieces := 1
	if days >= calendarDays {
		pieces = folds
	}
	s.folded = newBench(cut(s.tuned, pieces, ready, kind, s.most), o.Workers)
	thin := s.folded.parts
	if len(s.tuned.Rates) > enough {
		thin = thinned(s.tuned, ready, kind, s.most)
	}
	s.search = search{
		plain: newBench(thin, o.Workers), space: space{min: s.Min, mean: s.folded.total / s.tuned.End().Sub(s.tuned.Start).Seconds() / per, calendar: days >= calendarDays},
		rng: rand.New(rand.NewPCG(o.Seed, 1)), progress: o.Progress, stop: o.Stop,
	}
	return s, s.aim()
}

// calendarDays is how many days a calendar is learned from at least.
const calendarDays = 21

// aim sweeps single targets, which gives the objective and its price, and sets the goals.
func (s *study) aim() error {
	for target := lowestTarget; target <= highestTarget; target++ {
		s.sweep = append(s.sweep, tracking(float64(target), s.Min))
	}
	usual := s.sweep[usualTarget-lowestTarget]
	s.swept = s.folded.try(s.sweep)
	s.limit, s.best = s.late(s.folded, s.swept)
	mine := s.search.plain.try(s.sweep)
	late, best := s.late(s.search.plain, mine)
	s.search.usual.score = mine[usualTarget-lowestTarget]
	for k := range stresses {
		parts, err := stressParts(s.tuned, k, s.World, s.kind, s.most, s.Seed)
		if err != nil {
			return err
		}
		b := newBench(parts, s.Workers)
		s.search.stressed = append(s.search.stressed, b)
		x := b.try([]Candidate{usual})[0]
		s.search.stressedLate = append(s.search.stressedLate, x.late)
		s.search.usual.stressed += x.hours
	}
	s.search.limit = late
	allowed := safe(late, s.search.plain.total, margin)
	s.search.goals = []goal{
		{hours: 1, most: math.Inf(1), late: allowed},
		{hours: 1, strain: 0.05, most: math.Inf(1), late: allowed},
	}
	for _, cap := range s.caps(mine, best) {
		s.search.goals = append(s.search.goals, goal{hours: 0.2 * thrift, strain: 0.2, most: 0.98 * cap, late: allowed})
	}
	return nil
}

// late is how many requests may be late, by what the single targets came to, and which of them costs least then; -1 if
// none keeps it.
func (s *study) late(b *bench, swept []score) (limit float64, best int) {
	limit = swept[usualTarget-lowestTarget].late
	if s.Objective > 0 {
		limit = (1 - s.Objective) * b.total
	}
	best = -1
	for i, x := range swept {
		if x.late <= limit+negligible*b.total && (best < 0 || x.hours < swept[best].hours) {
			best = i
		}
	}
	return limit, best
}

// thrift is how much strain the logarithm of hours is worth once they are below a cap: little, so that a choice is the
// safest of those that save enough.
const thrift = 1

// margin is how much better than the objective a candidate must be on the tuned part: a part of what is late or of what is
// in time, whichever is less.
const margin = 0.05

// safe is how many requests may be late where limit may, to keep clear of it by a margin. Of what is negligible half is.
func safe(limit, total, margin float64) float64 {
	return limit - margin*min(limit, total-limit) + (0.5-margin)*negligible*total
}

// caps are the hours that what is recommended may cost, by what the single targets cost, the first choice first: what
// comes after it is what one falls back on.
func (s *study) caps(swept []score, best int) []float64 {
	usual := swept[usualTarget-lowestTarget].hours
	if best < 0 {
		return []float64{usual * 1.5, usual * 2, usual * 3}
	}
	single := swept[best].hours
	if s.Objective > 0 {
		return []float64{0.92 * single, 0.94 * single, 0.96 * single, 1.001 * single}
	}
	// First what keeps clear of both promises, then what still saves much against the default.
	all := []float64{min(0.92*single, 0.8*usual)}
	for _, cap := range []float64{0.945 * single, 0.98 * single, 1.001 * single, 0.69 * usual, 0.735 * usual, 0.78 * usual, 0.82 * usual, 0.88 * usual} {
		if cap > all[len(all)-1]*1.01 && cap < 0.89*usual {
			all = append(all, cap)
		}
	}
	return all
}
