package tune

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/world"
)

// stress is a world or a load that is worse than what a policy is tuned on, in a way that the next weeks may be.
type stress struct {
	name  string
	load  func(load.Trace, *rand.Rand) load.Trace
	model func(world.Model) world.Model
}

// stresses are what candidates are tried on beside the load itself.
var stresses = []stress{
	{name: "crowds of up to twice the load", load: func(t load.Trace, rng *rand.Rand) load.Trace { return crowded(t, rng, 0.2, 1) }},
	{name: "crowds of up to six times the load", load: func(t load.Trace, rng *rand.Rand) load.Trace { return crowded(t, rng, 1, 5) }},
	{name: "ups and downs a third larger, slow boots", load: func(t load.Trace, _ *rand.Rand) load.Trace { return amplified(t, 1.33) },
		model: func(m world.Model) world.Model { m.Boot.Mean *= 1.5; m.WarmUp *= 1.5; return m }},
}

// amplified has the ratios of rates to each other to a power, around the median.
func amplified(t load.Trace, power float64) load.Trace {
	middle := quantile(t.Rates, 0.5)
	if middle == 0 {
		return t
	}
	t.Rates = slices.Clone(t.Rates)
	for i, r := range t.Rates {
		t.Rates[i] = min(middle*math.Pow(r/middle, power), 3*r)
	}
	return t
}

// crowded has about six crowds a day, which come within ten minutes and stay for half an hour.
func crowded(t load.Trace, rng *rand.Rand, low, high float64) load.Trace {
	t.Rates = slices.Clone(t.Rates)
	for i := rng.IntN(240); i < len(t.Rates); i += 120 + rng.IntN(240) {
		height, ramp := low+(high-low)*rng.Float64(), 1+rng.IntN(10)
		for k := range 30 {
			if i+k < len(t.Rates) {
				t.Rates[i+k] *= 1 + height*min(1, float64(k+1)/float64(ramp), float64(30-k)/float64(ramp))
			}
		}
	}
	return t
}
