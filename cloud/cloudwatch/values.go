package cloudwatch

import (
	"cmp"
	"math"
	"slices"
)

// Values is a distribution: distinct values, ascending, and how often each occurred.
type Values struct{ V, N []float64 }

// maxValues bounds a distribution; beyond it values that are close share a bucket.
const maxValues = 150

// total is the number of samples.
func (v Values) total() float64 {
	sum := 0.0
	for _, n := range v.N {
		sum += n
	}
	return sum
}

// merged is the distribution of both, of at most limit values.
func merged(a, b Values, limit int) Values {
	type pair struct{ v, n float64 }
	pairs := make([]pair, 0, len(a.V)+len(b.V))
	for _, x := range []Values{a, b} {
		for i, v := range x.V {
			pairs = append(pairs, pair{v, x.N[i]})
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.v, b.v) })
	out := Values{V: make([]float64, 0, len(pairs)), N: make([]float64, 0, len(pairs))}
	for _, p := range pairs {
		if n := len(out.V); n > 0 && out.V[n-1] == p.v {
			out.N[n-1] += p.n
			continue
		}
		out.V, out.N = append(out.V, p.v), append(out.N, p.n)
	}
	v, n := narrowed(out, limit)
	return Values{v, n}
}

// narrowed puts values into logarithmic buckets, from 1 % wide on, until there are at most limit. A bucket stands at
// the mean of what is in it. Values are not negative: others have no percentiles (CW-ST-08).
func narrowed(x Values, limit int) (values, counts []float64) {
	for width := 0.01; len(x.V) > limit; width *= 2 {
		scale := 1 / math.Log1p(width)
		out := Values{V: make([]float64, 0, limit), N: make([]float64, 0, limit)}
		last := math.Inf(-1)
		for i, v := range x.V {
			slot := math.Floor(math.Log(v) * scale)
			if n := len(out.V) - 1; n >= 0 && slot == last {
				sum := out.N[n] + x.N[i]
				out.V[n] += (v - out.V[n]) * x.N[i] / sum
				out.N[n] = sum
				continue
			}
			last = slot
			out.V, out.N = append(out.V, v), append(out.N, x.N[i])
		}
		x = out
	}
	return x.V, x.N
}
