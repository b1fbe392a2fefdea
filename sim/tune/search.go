package tune

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/twin"
	"github.com/billow-cloud/billow/sim/world"
)

// part is a load in a world: what candidates are tried on.
type part struct {
	load  load.Trace
	ready *world.Ready
	kind  world.Kind
	most  int
	start int
	needs *Needs // what calendars are made of; never of the part itself
}

// total is how many requests arrive.
func (p *part) total() float64 {
	sum := 0.0
	for _, r := range p.load.Rates {
		sum += r
	}
	return sum * p.load.Step.Seconds()
}

// score is what a candidate came to on some parts.
type score struct {
	hours  float64
	late   float64 // requests not served in time
	blocks []span  // one after the other
}

// span is a block of a run.
type span struct{ hours, late, arrived float64 }

// block is the length of what confidence is judged by, in minutes.
const block = 6 * 60

// bench runs candidates side by side on the same parts; results do not depend on how many at a time.
type bench struct {
	parts []part
	total float64
	twins [][]*twin.Twin // by worker, then by part
}

func newBench(parts []part, workers int) *bench {
	b := &bench{parts: parts}
	for i := range parts {
		b.total += parts[i].total()
	}
	for range workers {
		byWorld := map[*world.Ready]*twin.Twin{}
		var twins []*twin.Twin
		for _, p := range parts {
			if byWorld[p.ready] == nil {
				byWorld[p.ready] = twin.New(p.ready, p.kind)
			}
			twins = append(twins, byWorld[p.ready])
		}
		b.twins = append(b.twins, twins)
	}
	return b
}

// run has one candidate under all parts.
func (b *bench) run(twins []*twin.Twin, c *Candidate, marks *[]world.Totals) (s score) {
	for i := range b.parts {
		part := &b.parts[i]
		p, err := c.Plan(part.most, part.start, part.needs)
		if err != nil {
			panic(err) // candidates are made to be valid
		}
		*marks = (*marks)[:0]
		r := twins[i].Run(p, part.load, block, marks)
		s.hours += r.Hours()
		s.late += r.Arrived - r.InTime
		last := world.Totals{}
		for _, m := range *marks {
			d := m.Sub(last)
			s.blocks = append(s.blocks, span{d.Instance / 3600, d.Arrived - d.InTime, d.Arrived})
			last = m
		}
	}
	return s
}

// try runs candidates, each on all parts.
func (b *bench) try(candidates []Candidate) []score {
	scores := make([]score, len(candidates))
	var wg sync.WaitGroup
	next := make(chan int)
	for _, twins := range b.twins {
		wg.Go(func() {
			var marks []world.Totals
			for i := range next {
				scores[i] = b.run(twins, &candidates[i], &marks)
			}
		})
	}
	for i := range candidates {
		next <- i
	}
	close(next)
	wg.Wait()
	return scores
}

// trial is a candidate that was tried.
type trial struct {
	genome genome
	c      Candidate
	score
	strain float64 // how much worse than the reference it does under stress: the mean of the logarithms of late requests
	out    bool    // it does not keep the objective on the tuned part
	dear   float64 // hours, or more if savings are not everywhere: in all quarters, under stress, at a lower level of the load
}

// dearest is how much more than the reference a candidate may cost when the load falls to half.
const dearest = 1.6

// sticky is how much of a candidate's savings may go under stress: one that keeps what a crowd made it launch costs more
// the first time that a crowd comes.
const sticky = 1.12

// goal is something that a search makes small: hours and strain, with penalties for hours and late requests over limits.
type goal struct {
	hours, strain float64 // weights
	most          float64 // hours
	late          float64 // requests
	margin        float64 // by which late must be better, on the scale of worse
}

func (g *goal) of(t *trial, total float64) float64 {
	f := g.hours*math.Log(t.dear) + g.strain*t.strain
	f += 3 * max(0, math.Log(t.dear/g.most))
	over := max(0, worse(t.late, g.late, total, negligible/3)+g.margin)
	return f + min(over, 1) + 0.2*max(0, over-1)
}

// worse is how much worse it is to have one number of late requests than another, as a logarithm: of what is late, and of
// what is in time, so that differences count where nearly all and where hardly any are in time.
func worse(late, than, total, tolerance float64) float64 {
	floor := tolerance * total
	return math.Log((late+floor)/(than+floor)) + math.Log((total-than+floor)/(total-late+floor))
}

// search looks for candidates that serve its goals. It is decided by its seed.
type search struct {
	plain        *bench
	stressed     []*bench
	lower        *bench
	stressedLate []float64 // of the reference
	usual        struct {
		hours, lower, stressed float64
		blocks                 []span
	} // what the reference costs
	space    space
	goals    []goal
	rng      *rand.Rand
	tried    int
	pool     []trial
	progress func(done, of int)
	stop     func() error
}

// trial tries genomes.
func (s *search) trial(genomes []genome) []trial {
	cs := make([]Candidate, len(genomes))
	for i := range genomes {
		cs[i] = genomes[i].decode(&s.space)
	}
	trials := make([]trial, len(genomes))
	for i, x := range s.plain.try(cs) {
		trials[i] = trial{genome: genomes[i], c: cs[i], score: x, dear: x.hours}
	}
	// What is far from any goal needs no stress to be left out.
	near := make([]int, 0, len(cs))
	var some []Candidate
	for i := range trials {
		trials[i].strain = hopeless
		if t := &trials[i]; t.hours < 1.2*s.goals[len(s.goals)-1].most && worse(t.late, s.goals[0].late, s.plain.total, negligible) < 1 {
			near, some = append(near, i), append(some, t.c)
		}
	}
	lower := s.lower.try(some)
	for k, x := range s.strains(some) {
		t := &trials[near[k]]
		t.strain = x.late
		plain := t.hours / s.usual.hours
		t.dear += max(0, s.usual.hours*worstQuarter(t.blocks, s.usual.blocks)-t.hours) / 2
		t.dear *= max(1, lower[k].hours/s.usual.lower/dearest, x.hours/plain/sticky)
	}
	s.tried += len(genomes)
	return trials
}

// hopeless is the strain of what was not tried under stress.
const hopeless = 10

// worstQuarter is the share of the reference's hours that a candidate has in the quarter of a run in which that is largest:
// savings that only a part of the load allows may not come again.
func worstQuarter(mine, usual []span) float64 {
	worst := 0.0
	for q := range 4 {
		var a, b span
		for i := len(mine) * q / 4; i < len(mine)*(q+1)/4; i++ {
			a.add(mine[i])
			b.add(usual[i])
		}
		if b.hours > 0 {
			worst = max(worst, a.hours/b.hours)
		}
	}
	return worst
}

// strain is how a candidate does under stress against the reference.
type strain struct {
	late  float64 // the mean over the stresses of how much worse it is, on the scale of worse: twice, but at least -1
	hours float64 // as a part of the reference's
}

func (s *search) strains(cs []Candidate) []strain {
	out := make([]strain, len(cs))
	for k, b := range s.stressed {
		for i, x := range b.try(cs) {
			w := worse(x.late, s.stressedLate[k], b.total, negligible)
			out[i].late += max(w, 2*w, -1) / float64(len(s.stressed))
			out[i].hours += x.hours / s.usual.stressed
		}
	}
	return out
}

// run spends a number of trials and leaves the fittest in pool.
func (s *search) run(first []genome, budget int) error {
	const brood = 64
	for len(first) > 0 && s.tried < budget {
		n := min(len(first), brood, budget-s.tried)
		s.pool = append(s.pool, s.trial(first[:n])...)
		first = first[n:]
		s.progress(s.tried, budget)
	}
	for s.tried < budget {
		if err := s.stop(); err != nil {
			return err
		}
		part := float64(s.tried) / float64(budget)
		spread := 0.2*(1-part) + 0.02
		genomes := make([]genome, 0, brood)
		for i := range min(brood, budget-s.tried) {
			g := &s.goals[i%len(s.goals)]
			genomes = append(genomes, child(s.rng, s.choose(g).genome, s.choose(g).genome, spread))
		}
		s.pool = s.keep(append(s.pool, s.trial(genomes)...))
		s.progress(s.tried, budget)
	}
	return nil
}

// choose is a tournament.
func (s *search) choose(g *goal) *trial {
	best := &s.pool[s.rng.IntN(len(s.pool))]
	for range 4 {
		if x := &s.pool[s.rng.IntN(len(s.pool))]; g.of(x, s.plain.total) < g.of(best, s.plain.total) {
			best = x
		}
	}
	return best
}

// keep leaves the fittest for each goal.
func (s *search) keep(pool []trial) []trial {
	const each = 24
	kept := make([]bool, len(pool))
	order := make([]int, len(pool))
	for k := range s.goals {
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			return cmp.Compare(s.goals[k].of(&pool[a], s.plain.total), s.goals[k].of(&pool[b], s.plain.total))
		})
		for _, i := range order[:min(each, len(order))] {
			kept[i] = true
		}
	}
	var out []trial
	for i := range pool {
		if kept[i] {
			out = append(out, pool[i])
		}
	}
	return out
}
