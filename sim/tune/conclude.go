package tune

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/world"
)

// conclude judges what the search found, with the whole control plane.
func (s *study) conclude() (*Result, error) {
	r := &Result{
		From: s.tuned.Start, Cut: s.held.Start, To: s.held.End(), Objective: s.Objective, Relative: s.Objective == 0,
		Trials: s.search.tried, Needs: s.whole.parts[0].needs, Min: s.Min, Max: s.most, Type: s.Type,
	}
	s.again()
	usual := s.sweep[usualTarget-lowestTarget]
	var err error
	if r.Default, err = s.judge("target tracking 50 %, the default", usual, nil); err != nil {
		return nil, err
	}
	if r.Relative {
		r.Objective = r.Default.Tuned.InTime
		r.Default.Tuned.Meets, r.Default.Held.Meets = true, true
	} else {
		r.Default = s.met(r.Default, nil)
	}
	r.Sweep = r.Default
	if s.best >= 0 {
		c := s.sweep[s.best]
		if r.Sweep, err = s.judge(fmt.Sprintf("target tracking %.0f %%, the best single target", c.Target), c, &r.Default); err != nil {
			return nil, err
		}
	}
	if err := s.recommend(r); err != nil {
		return nil, err
	}
	if err := s.optimum(r); err != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("There is no optimum to compare with: %s.", strings.TrimPrefix(err.Error(), "world: ")))
	}
	s.frontier(r)
	r.Sure = s.sure(r.Recommended.Candidate)
	s.remarks(r)
	return r, nil
}

// judge runs a candidate on both parts.
func (s *study) judge(name string, c Candidate, usual *Row) (Row, error) {
	row := Row{Name: name, Candidate: &c}
	for _, x := range []struct {
		b *bench
		f *Figures
	}{{s.whole, &row.Tuned}, {s.rest, &row.Held}} {
		if err := s.Stop(); err != nil {
			return row, err
		}
		o, err := x.b.parts[0].judge(name, &c, false)
		if err != nil {
			return row, err
		}
		*x.f = figures(o.Summary)
	}
	return s.met(row, usual), nil
}

func figures(o outcome.Summary) Figures {
	return Figures{Hours: o.InstanceHours, Cost: o.Cost, InTime: o.InTime, Late: o.Late, Lost: o.Lost, Actions: o.Actions}
}

// met says on which parts a row meets the objective.
func (s *study) met(row Row, usual *Row) Row {
	want := [2]float64{s.Objective, s.Objective}
	if s.Objective == 0 && usual != nil {
		want = [2]float64{usual.Tuned.InTime, usual.Held.InTime}
	}
	row.Tuned.Meets = row.Tuned.InTime >= want[0]-negligible
	row.Held.Meets = row.Held.InTime >= want[1]-negligible
	return row
}

// recommend takes the first of the ladder that keeps the objective also on the part that it has not seen, and does not cost
// more than the default there.
func (s *study) recommend(r *Result) error {
	for _, t := range append(s.ladder(), s.careful()...) {
		row, err := s.judge("recommended", t.c, &r.Default)
		if err != nil {
			return err
		}
		if row.Tuned.Meets && row.Held.Meets && row.Held.Hours <= r.Default.Held.Hours {
			r.Recommended, r.Met = row, true
			return nil
		}
		r.Missed = append(r.Missed, row)
	}
	// Nothing holds: the safest of what people know.
	r.Recommended = r.Sweep
	if !r.Recommended.Tuned.Meets || !r.Recommended.Held.Meets {
		r.Recommended = r.Default
	}
	r.Recommended.Name = "recommended"
	r.Met = r.Recommended.Tuned.Meets && r.Recommended.Held.Meets
	return nil
}

// ladder is what may be recommended, the first choice first: under each limit of hours the best of those that keep the
// objective on the tuned part. Each rung stands stress better than that before.
func (s *study) ladder() []trial {
	rungs := s.rungs()
	if len(rungs) == 0 { // a load that is never the same for long: what was saved on it is all there is to go by
		for i := range s.search.pool {
			s.search.pool[i].dear = s.search.pool[i].hours
		}
		rungs = s.rungs()
	}
	return rungs
}

func (s *study) rungs() []trial {
	var rungs []trial
	for _, cap := range s.caps(s.swept, s.best) {
		best := -1
		for i := range s.search.pool {
			t := &s.search.pool[i]
			if !t.out && t.dear <= cap && (best < 0 || t.value() < s.search.pool[best].value()) {
				best = i
			}
		}
		if best < 0 || len(rungs) > 0 && s.search.pool[best].strain > rungs[len(rungs)-1].strain-safer {
			continue
		}
		rungs = append(rungs, s.search.pool[best])
	}
	return rungs
}

// safer is how much less strain the next rung has at least: another that is as risky would miss as well.
const safer = 0.05

// value is what is small for a good choice.
func (t *trial) value() float64 { return t.strain + thrift*math.Log(t.dear) }

// optimum is what one who knows the load would have cost.
func (s *study) optimum(r *Result) error {
	r.Optimum = Row{Name: "one who knows the load"}
	for _, x := range []struct {
		b     *bench
		f     *Figures
		share float64
	}{{s.whole, &r.Optimum.Tuned, r.Default.Tuned.InTime}, {s.rest, &r.Optimum.Held, r.Default.Held.InTime}} {
		if s.Objective > 0 {
			x.share = s.Objective
		}
		plan, err := s.ready.Optimum(x.b.parts[0].load, world.Aim{Kind: s.kind, InTime: min(x.share, 1-negligible), Min: s.Min, Max: s.most})
		if err != nil {
			return err
		}
		*x.f = Figures{Hours: plan.Bound, Cost: plan.Bound * s.ready.Price(s.kind), InTime: plan.InTime, Late: 1 - plan.InTime, Meets: true}
	}
	return nil
}

// frontPoints is how many points of the front are shown.
const frontPoints = 12

// frontier is what is not beaten in hours and share both, thinned out to points that differ.
func (s *study) frontier(r *Result) {
	all := slices.Clone(s.search.pool)
	strains := s.search.strains(s.sweep)
	for i, x := range s.swept {
		all = append(all, trial{c: s.sweep[i], score: x, strain: strains[i].late})
	}
	slices.SortStableFunc(all, func(a, b trial) int { return cmp.Or(cmp.Compare(a.hours, b.hours), cmp.Compare(a.late, b.late)) })
	var front []Point
	last := math.Inf(1)
	for _, t := range all {
		// Shares far below the objective are of no interest.
		if worse(t.late, s.limit, s.folded.total, negligible) > 3 || last-t.late < negligible*s.folded.total {
			continue
		}
		last = t.late
		front = append(front, Point{Candidate: t.c, Hours: t.hours, InTime: 1 - t.late/s.folded.total, Strain: t.strain})
	}
	for i := range front {
		if n := len(front); n <= frontPoints || i == 0 || i*(frontPoints-1)/(n-1) != (i-1)*(frontPoints-1)/(n-1) {
			r.Front = append(r.Front, front[i])
		}
	}
}
