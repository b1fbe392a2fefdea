package tune

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/world"
)

// folds is into how many parts the tuned part is cut: calendars are tried on each as learned from the others, so that no
// candidate can know what comes.
const folds = 4

// cut makes the parts of a load.
func cut(t load.Trace, n int, ready *world.Ready, kind world.Kind, most int) []part {
	per := ready.PerSecond(kind)
	var parts []part
	for i := range n {
		from := t.Start.Add(time.Duration(len(t.Rates)*i/n) * t.Step)
		to := t.Start.Add(time.Duration(len(t.Rates)*(i+1)/n) * t.Step)
		p := part{load: t.Between(from, to), ready: ready, kind: kind, most: most, begin: t.Start}
		p.start = first(p.load, per, most)
		if n > 1 {
			p.needs = &Needs{}
			p.needs.add(t.Between(t.Start, from), per)
			p.needs.add(t.Between(to, t.End()), per)
		}
		parts = append(parts, p)
	}
	return parts
}

// first is how many instances a group begins with: those that its first minutes keep at two thirds, which gives no policy
// a reserve to live on that it would not have made itself.
func first(t load.Trace, perInstance float64, most int) int {
	sum, n := 0.0, min(10, len(t.Rates))
	for _, r := range t.Rates[:n] {
		sum += r
	}
	return max(1, min(most, int(math.Ceil(1.5*sum/float64(max(n, 1))/perInstance))))
}

// stressParts are parts of a load under one stress: about a third of it, to save time.
func stressParts(t load.Trace, k int, m world.Model, kind world.Kind, most int, seed uint64) ([]part, error) {
	x := stresses[k]
	if x.model != nil {
		m = x.model(m)
	}
	ready, err := world.Prepare(m)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(seed, uint64(k)))
	l := x.load(t, rng)
	var parts []part
	all := cut(l, 2*len(stresses), ready, kind, most)
	for i := k; i < len(all); i += len(stresses) {
		p := all[i]
		if most := enough / 4; len(p.load.Rates) > most { // of long ones the middle
			from := p.load.Start.Add(time.Duration((len(p.load.Rates)-most)/2) * p.load.Step)
			p.load = p.load.Between(from, from.Add(time.Duration(most)*p.load.Step))
			p.start = first(p.load, ready.PerSecond(kind), p.most)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// enough is how many minutes of a load a search looks at: of longer ones, days from all over it.
const enough = 40 * 1000

// thinned leaves of many parts as many as are enough, evenly spread.
func thinned(t load.Trace, ready *world.Ready, kind world.Kind, most int) []part {
	minutes := int(t.End().Sub(t.Start) / time.Minute)
	const days = 3 * 24 * 60
	all := cut(t, minutes/days, ready, kind, most)
	n := enough / days
	parts := make([]part, n)
	for i := range parts {
		parts[i] = all[(2*i+1)*len(all)/(2*n)]
	}
	return parts
}
