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
	base  float64
	every int // minutes of a block
	limit func(late []float64) float64
}

// score is what a candidate came to on a part.
type score struct {
	hours  float64
	late   float64   // requests not served in time
	share  float64   // of those served in time
	blocks []float64 // late, by block
	acts   int
}

// trial is a candidate that was tried.
type trial struct {
	genome genome
	c      Candidate
	score
}

// bench runs candidates side by side; results do not depend on how many at a time.
type bench struct {
	part  part
	twins []*twin.Twin
	needs *Needs
}

func newBench(p part, n *Needs, workers int) *bench {
	b := &bench{part: p, needs: n}
	for range workers {
		b.twins = append(b.twins, twin.New(p.ready, p.kind))
	}
	return b
}

func (b *bench) run(t *twin.Twin, c *Candidate, marks *[]world.Totals) score {
	p, err := c.Plan(b.part.most, b.part.start, b.needs)
	if err != nil {
		panic(err) // candidates are made to be valid
	}
	*marks = (*marks)[:0]
	r := t.Run(p, b.part.load, b.part.every, marks)
	s := score{hours: r.Hours(), late: r.Arrived - r.InTime, share: r.Share(), acts: r.Actions}
	s.blocks = make([]float64, len(*marks))
	last := world.Totals{}
	for i, m := range *marks {
		s.blocks[i] = (m.Arrived - m.InTime) - (last.Arrived - last.InTime)
		last = m
	}
	return s
}

func (b *bench) try(trials []trial) {
	var wg sync.WaitGroup
	next := make(chan int)
	for _, t := range b.twins {
		wg.Go(func() {
			var marks []world.Totals
			for i := range next {
				trials[i].score = b.run(t, &trials[i].c, &marks)
			}
		})
	}
	for i := range trials {
		next <- i
	}
	close(next)
	wg.Wait()
}

// search looks for cheap candidates with few late requests. limit is how many may be late.
type search struct {
	bench   *bench
	rng     *rand.Rand
	limit   float64
	total   float64 // requests
	archive []trial // the front, by hours
	tried   int
}

// fitness is what a search makes small: the logarithm of hours, and of how far late requests are over the limit.
func (s *search) fitness(t *trial, limit float64) float64 {
	floor := 1e-7 * s.total
	over := math.Log((t.late + floor) / (limit + floor))
	return math.Log(t.hours) + max(0, over)*0.3
}

func (s *search) add(trials []trial) {
	s.tried += len(trials)
	s.archive = append(s.archive, trials...)
	slices.SortStableFunc(s.archive, func(a, b trial) int {
		return cmp.Or(cmp.Compare(a.hours, b.hours), cmp.Compare(a.late, b.late))
	})
	var front []trial
	best := math.Inf(1)
	for _, t := range s.archive {
		if t.late < best {
			best = t.late
			front = append(front, t)
		}
	}
	s.archive = front
}

func (s *search) go_(seeds []genome, budget int) {
	const brood = 64
	var pool []trial
	batch := make([]trial, 0, len(seeds))
	for _, g := range seeds {
		batch = append(batch, trial{genome: g, c: g.decode(s.bench.part.base)})
	}
	s.bench.try(batch)
	s.add(batch)
	pool = batch
	limits := []float64{0.25, 0.5, 1, 2}
	for s.tried < budget {
		progress := float64(s.tried) / float64(budget)
		spread := 0.2*(1-progress) + 0.02
		batch = make([]trial, 0, brood)
		for i := range brood {
			l := s.limit * limits[i%len(limits)]
			a, b := s.choose(pool, l), s.choose(pool, l)
			g := child(s.rng, a.genome, b.genome, spread)
			batch = append(batch, trial{genome: g, c: g.decode(s.bench.part.base)})
		}
		s.bench.try(batch)
		s.add(batch)
		pool = s.keep(append(pool, batch...), limits)
	}
}

// choose is a tournament.
func (s *search) choose(pool []trial, limit float64) *trial {
	best := &pool[s.rng.IntN(len(pool))]
	for range 3 {
		x := &pool[s.rng.IntN(len(pool))]
		if s.fitness(x, limit) < s.fitness(best, limit) {
			best = x
		}
	}
	return best
}

// keep leaves the fittest for each limit.
func (s *search) keep(pool []trial, limits []float64) []trial {
	const each = 24
	kept := map[int]bool{}
	order := make([]int, len(pool))
	for _, l := range limits {
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			return cmp.Compare(s.fitness(&pool[a], l*s.limit), s.fitness(&pool[b], l*s.limit))
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
