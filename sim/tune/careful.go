package tune

import "cmp"

// careful are what is fallen back on when nothing that was found keeps the objective on the part that was held back: near
// the default in what they keep in reserve, but quicker when that is used up. Of those that cost about as much as each
// other it is the one with the fewest late requests; the first ones save most.
func (s *study) careful() []trial {
	const above = 3 // the sooner it is called, the less is late
	var cs []Candidate
	for target := 54.0; target <= 72; target++ {
		cs = append(cs, Candidate{Target: target, Warmup: 60, Min: s.Min,
			Out: Out{Threshold: target + above, Periods: 1, Points: 1, Aim: min(50, target), Surge: 300}})
	}
	whole, folded, strains := s.whole.try(cs), s.folded.try(cs), s.search.strains(cs)
	limit, _ := s.late(s.whole, s.whole.try(s.sweep))
	usual := s.swept[usualTarget-lowestTarget].hours
	var rungs []trial
	const step = 0.04
	for most := 0.8; most < 0.95; most += step {
		best := -1
		for i, x := range folded {
			if x.hours > most*usual || x.hours <= (most-step)*usual || x.late > safe(s.limit, s.folded.total, margin/2) || whole[i].late > limit+negligible*s.whole.total {
				continue
			}
			if best < 0 || cmp.Or(cmp.Compare(x.late, folded[best].late), cmp.Compare(x.hours, folded[best].hours)) < 0 {
				best = i
			}
		}
		if best >= 0 {
			rungs = append(rungs, trial{c: cs[best], score: folded[best], dear: folded[best].hours, strain: strains[best].late})
		}
	}
	return rungs
}
