package tune

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

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
	needs *Needs    // what calendars are made of; never of the part itself
	begin time.Time // of the load that it is a part of: the world's events are timed from there
}

// zones is how many zones a group is spread over.
const zones = 3

// losses are the instances that the world's events take in the part.
func (p *part) losses() []twin.Loss {
	var all []twin.Loss
	for _, e := range p.ready.Model.Failures.Events {
		l := twin.Loss{At: e.At - p.load.Start.Sub(p.begin).Seconds()}
		switch {
		case l.At < 0 || e.Kind != world.ZoneDown && e.Kind != world.Kill:
			continue
		case e.Kind == world.Kill:
			l.Count = e.Count
		case e.Zone == "":
			l.Share = 1
		default:
			l.Share = 1.0 / zones
		}
		all = append(all, l)
	}
	slices.SortStableFunc(all, func(a, b twin.Loss) int { return cmp.Compare(a.At, b.At) })
	return all
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
	busy   float64 // instance-hours at work
	late   float64 // requests not served in time
	blocks []span  // one after the other
}

// span is a block of a run.
type span struct{ hours, late, arrived float64 }

// block is the length of what confidence is judged by, in minutes.
const block = 6 * 60

// bench runs candidates side by side on the same parts; results do not depend on how many at a time.
type bench struct {
	parts  []part
	total  float64
	losses [][]twin.Loss  // by part
	twins  [][]*twin.Twin // by worker, then by part
}

func newBench(parts []part, workers int) *bench {
	b := &bench{parts: parts}
	for i := range parts {
		b.total += parts[i].total()
		b.losses = append(b.losses, parts[i].losses())
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
		p.Losses = b.losses[i]
		*marks = (*marks)[:0]
		r := twins[i].Run(p, part.load, block, marks)
		s.hours += r.Hours()
		s.busy += r.Busy / 3600
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
	strain float64 // how much worse than the reference it does, under stress and without: logarithms of late requests
	out    bool    // it does not keep the objective on the tuned part
	dear   float64 // hours, or what they may become under other loads, if that is more
}

// slack is how much of the hours that it is bound to save whatever the load a candidate must have: between the CPU at which
// it scales in and that at which it scales out it may be anywhere, and where it was on one load says little of the next.
const slack = 0.85

// sticky is how much of a candidate's savings may go under stress: one that keeps what a crowd made it launch costs more
// the first time that a crowd comes.
const sticky = 1.12

// goal is something that a search makes small: hours and strain, with penalties for hours and late requests over limits.
type goal struct {
	hours, strain float64 // weights
	most          float64 // hours
	late          float64 // requests
}

func (g *goal) of(t *trial, total float64) float64 {
	f := g.hours*math.Log(t.dear) + g.strain*t.strain
	f += 20 * max(0, math.Log(t.dear/g.most))
	over := max(0, worse(t.late, g.late, total, negligible/3))
	return f + 4*min(over, 0.5) + 0.3*max(0, over-0.5)
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
	stressedLate []float64 // of the reference
	usual        struct {
		score
		stressed float64
	} // of the reference: a run, and instance-hours under stress
	space    space
	limit    float64 // late requests of the objective
	goals    []goal
	rng      *rand.Rand
	tried    int
	pool     []trial
	seen     map[Candidate]bool // what was bred
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
		trials[i] = trial{genome: genomes[i], c: cs[i], score: x, dear: max(x.hours+unsure(x.blocks, s.usual.blocks), slack*100*s.usual.busy/cs[i].leastBusy())}
	}
	// What is far from any goal needs no stress to be left out.
	near := make([]int, 0, len(cs))
	var some []Candidate
	for i := range trials {
		trials[i].strain = hopeless
		if t := &trials[i]; t.hours < 1.2*s.goals[len(s.goals)-1].most && worse(t.late, s.limit, s.plain.total, negligible) < 1 {
			near, some = append(near, i), append(some, t.c)
		}
	}
	for k, x := range s.strains(some) {
		t := &trials[near[k]]
		t.strain = x.late + strained(t.late, s.limit, s.plain.total)
		t.dear *= max(1, x.hours*s.usual.hours/t.hours/sticky)
	}
	s.tried += len(genomes)
	return trials
}

// hopeless is the strain of what was not tried under stress.
const hopeless = 10

// unsure is the standard error of a candidate's hours as a part of the reference's, in hours, from how much that part
// differs between blocks: savings that a few hours brought may not come again.
func unsure(mine, usual []span) float64 {
	var a, b span
	for i := range mine {
		a.add(mine[i])
		b.add(usual[i])
	}
	part, sum := a.hours/b.hours, 0.0
	for i := range mine {
		off := mine[i].hours - part*usual[i].hours
		sum += off * off
	}
	return math.Sqrt(sum)
}

// strained is how much worse one number of late requests is than another, counted twice; if it is better, at least -1.
func strained(late, than, total float64) float64 {
	w := worse(late, than, total, negligible)
	return max(w, 2*w, -1)
}

// strain is how a candidate does under stress against the reference.
type strain struct {
	late  float64 // the mean over the stresses of strained
	hours float64 // as a part of the reference's
}

func (s *search) strains(cs []Candidate) []strain {
	out := make([]strain, len(cs))
	for k, b := range s.stressed {
		for i, x := range b.try(cs) {
			out[i].late += strained(x.late, s.stressedLate[k], b.total) / float64(len(s.stressed))
			out[i].hours += x.hours / s.usual.stressed
		}
	}
	return out
}

// brood is how many candidates are tried before the search looks at them.
const brood = 64

// run spends a number of trials and leaves the fittest in pool: first simple candidates from all over, then mixes of what
// is good, and in the end what is near the best.
func (s *search) run(budget int) error {
	first := seeds(s.rng)
	first = first[:min(len(first), budget/2)]
	s.seen = map[Candidate]bool{}
	for s.tried < budget {
		if err := s.stop(); err != nil {
			return err
		}
		n := min(brood, budget-s.tried)
		var genomes []genome
		if len(first) > 0 {
			n = min(n, len(first))
			genomes, first = first[:n], first[n:]
		} else {
			genomes = s.breed(n, float64(s.tried)/float64(budget))
		}
		s.pool = s.keep(append(s.pool, s.trial(genomes)...))
		s.progress(s.tried, budget)
	}
	return nil
}

// breed makes genomes of candidates that were not tried yet; part is how much of the search is over.
func (s *search) breed(n int, part float64) []genome {
	const near = 0.6 // of the search: from here on every second one is a neighbour of the best
	genomes := make([]genome, 0, n)
	for i := range n {
		goal := &s.goals[i%len(s.goals)]
		var g genome
		for range 8 {
			if part > near && s.rng.IntN(3) > 0 {
				g = neighbour(s.rng, s.choose(goal, 20).genome, 0.1*(1-part)+0.01)
			} else {
				g = child(s.rng, s.choose(goal, 5).genome, s.choose(goal, 5).genome, 0.2*(1-part)+0.02)
			}
			if c := g.decode(&s.space); !s.seen[c] {
				s.seen[c] = true
				break
			}
		}
		genomes = append(genomes, g)
	}
	return genomes
}

// choose is a tournament.
func (s *search) choose(g *goal, among int) *trial {
	best := &s.pool[s.rng.IntN(len(s.pool))]
	for range among - 1 {
		if x := &s.pool[s.rng.IntN(len(s.pool))]; g.of(x, s.plain.total) < g.of(best, s.plain.total) {
			best = x
		}
	}
	return best
}

// keep leaves the fittest for each goal.
func (s *search) keep(pool []trial) []trial {
	const each = 24
	pool = distinct(pool)
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

// distinct leaves the first of each candidate.
func distinct(pool []trial) []trial {
	seen := make(map[Candidate]bool, len(pool))
	return slices.DeleteFunc(pool, func(t trial) bool {
		was := seen[t.c]
		seen[t.c] = true
		return was
	})
}
