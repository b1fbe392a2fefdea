package tune

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Confidence is how sure it is that what was recommended is better than the default, from drawing the days of the part
// that was held back again and again (a bootstrap): other weeks with days like these.
type Confidence struct {
	Days      int     `json:"days"`
	Share     float64 `json:"share_kept"` // of the draws in which the objective is kept
	Saving    float64 `json:"saving"`     // of instance-hours against target tracking at 50 %
	Low, High float64 // of the saving: nine of ten draws lie between them
}

// draws is how often days are drawn.
const draws = 2000

// sure judges by the twin, whose runs are the engine's with the blocks they are made of.
func (s *study) sure(c *Candidate) Confidence {
	scores := s.rest.try([]Candidate{*c, s.sweep[usualTarget-lowestTarget]})
	mine, usual := days(scores[0].blocks), days(scores[1].blocks)
	out := Confidence{Days: len(mine), Saving: 1 - scores[0].hours/scores[1].hours}
	rng := rand.New(rand.NewPCG(s.Seed, 2))
	savings := make([]float64, draws)
	kept := 0
	for i := range draws {
		var a, b span
		for range mine {
			k := rng.IntN(len(mine))
			a.add(mine[k])
			b.add(usual[k])
		}
		limit := b.late
		if s.Objective > 0 {
			limit = (1 - s.Objective) * a.arrived
		}
		if a.late <= limit+negligible*a.arrived {
			kept++
		}
		savings[i] = 1 - a.hours/b.hours
	}
	slices.Sort(savings)
	out.Share = float64(kept) / draws
	out.Low, out.High = savings[draws/20], savings[draws-draws/20-1]
	return out
}

func (x *span) add(y span) {
	x.hours += y.hours
	x.late += y.late
	x.arrived += y.arrived
}

// days puts blocks together: a day is not independent of its own night.
func days(blocks []span) []span {
	const each = 24 * 60 / block
	var out []span
	for i := 0; i < len(blocks); i += each {
		var x span
		for _, b := range blocks[i:min(i+each, len(blocks))] {
			x.add(b)
		}
		out = append(out, x)
	}
	return out
}

// remarks say what to know of a result, one sentence each.
func (s *study) remarks(r *Result) {
	say := func(yes bool, format string, args ...any) {
		if yes {
			r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
		}
	}
	days := s.tuned.End().Sub(s.tuned.Start).Hours() / 24
	say(days < 3, "The tuned part is %.1f days long: too short to have seen what a week brings, so take the result for a first guess.", days)
	say(days >= 3 && days < calendarDays, "The tuned part is %.0f days long: calendars were not tried, which need %d days to learn from.", days, calendarDays)
	say(len(r.Missed) > 0 && r.Met, "The first choice missed the objective on the part that was held back, or cost more than the default there; the one that is recommended is the next safer one of %d. So the part that was held back helped to choose it, and is no independent judge of it.", len(r.Missed)+1)
	say(!r.Met && s.Objective == 0, "Nothing that was found keeps the default's share in time on the part that was held back: the default is the safest.")
	least := math.Inf(1)
	for _, t := range s.search.pool {
		least = min(least, t.late)
	}
	for _, x := range s.swept {
		least = min(least, x.late)
	}
	say(!r.Met && s.Objective > 0 && least > s.limit*(1+1e-9), "Nothing that was tried reaches %.5g in time on the tuned part: the best is %.5g.", s.Objective, 1-least/s.folded.total)
	say(!r.Met && s.Objective > 0 && least <= s.limit, "No candidate keeps the objective of %.5g on both parts.", s.Objective)
	say(r.Default.Held.InTime < 0.5, "Even the default answers only %.2g %% of the requests in time on the part that was held back: the load comes faster than instances can be launched, or the group cannot be large enough. Such an objective says little.", 100*r.Default.Held.InTime)
	mean := r.Default.Tuned.Hours / max(1e-9, s.tuned.End().Sub(s.tuned.Start).Hours())
	say(mean < 4, "The group has %.1f instances on average: one more or less is a large step, so savings come in such steps (AS-TT-12).", mean)
	floor := float64(s.Min) * s.held.End().Sub(s.held.Start).Hours()
	say(floor > 0.85*r.Default.Held.Hours, "The default is at the minimum of %d nearly always: %.0f of its %.0f hours cannot be saved.", s.Min, floor, r.Default.Held.Hours)
	say(r.Sure.Share < 0.9 && r.Met, "In %.0f %% of draws of the days that were held back the objective is missed.", 100*(1-r.Sure.Share))
}
