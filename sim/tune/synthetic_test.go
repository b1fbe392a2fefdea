package tune

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/billow-cloud/billow/sim/load"
)

// synthetic are loads of many kinds, two weeks each: what a search is judged by that must do well on loads that nobody has
// looked at. Their means are 1000 requests per second.
func synthetic(seed uint64) []load.Trace {
	const days = 14
	kinds := []struct {
		name string
		step int // minutes
		rate func(rng *rand.Rand) func(day float64) float64
	}{
		{"diurnal", 1, func(rng *rand.Rand) func(float64) float64 { return noisy(rng, 0.05, diurnal(0.6)) }},
		{"diurnal-weekly", 5, func(rng *rand.Rand) func(float64) float64 { return noisy(rng, 0.08, weekly(diurnal(0.7))) }},
		{"office", 1, func(rng *rand.Rand) func(float64) float64 { return noisy(rng, 0.1, weekly(office)) }},
		{"slow-smooth", 5, func(rng *rand.Rand) func(float64) float64 { return noisy(rng, 0.01, diurnal(0.35)) }},
		{"growth", 5, func(rng *rand.Rand) func(float64) float64 {
			d := diurnal(0.5)
			return noisy(rng, 0.06, func(x float64) float64 { return (1 + x/days) * d(x) })
		}},
		{"crowds", 1, func(rng *rand.Rand) func(float64) float64 { return noisy(rng, 0.05, crowds(rng, days, 8, 0, days)) }},
		{"crowds-late", 1, func(rng *rand.Rand) func(float64) float64 {
			return noisy(rng, 0.05, crowds(rng, days, 4, 0.6*days, days))
		}},
		{"crowds-early", 5, func(rng *rand.Rand) func(float64) float64 { return noisy(rng, 0.05, crowds(rng, days, 4, 0, 0.6*days)) }},
		{"levels", 5, func(rng *rand.Rand) func(float64) float64 { return noisy(rng, 0.05, levels(rng, days)) }},
		{"on-off", 1, func(rng *rand.Rand) func(float64) float64 {
			on, length := false, 0.0
			return noisy(rng, 0.05, func(x float64) float64 {
				if x >= length {
					on, length = !on, x+(0.5+rng.Float64())/12
				}
				if on {
					return 1.6
				}
				return 0.4
			})
		}},
		{"sawtooth", 5, func(rng *rand.Rand) func(float64) float64 {
			return noisy(rng, 0.04, func(x float64) float64 { return 0.4 + 1.2*math.Mod(x*4, 1) })
		}},
		{"walk", 1, func(rng *rand.Rand) func(float64) float64 {
			at := 0.0
			return func(float64) float64 {
				at = at*0.9995 + 0.015*rng.NormFloat64()
				return math.Exp(at)
			}
		}},
		{"noise", 5, func(rng *rand.Rand) func(float64) float64 { return noisy(rng, 0.3, diurnal(0.3)) }},
		{"batches", 5, func(rng *rand.Rand) func(float64) float64 { // a job each hour that lasts ten minutes
			d := diurnal(0.3)
			return noisy(rng, 0.05, func(x float64) float64 {
				if math.Mod(x*24, 1) < 1.0/6 {
					return d(x) + 0.8
				}
				return d(x)
			})
		}},
		{"spikes", 5, func(rng *rand.Rand) func(float64) float64 { // next to nothing, and now and then all at once
			until := 0.0
			return noisy(rng, 0.2, func(x float64) float64 {
				if x > until && rng.IntN(300) == 0 {
					until = x + float64(1+rng.IntN(3))/288
				}
				if x < until {
					return 20
				}
				return 0.5
			})
		}},
	}
	var all []load.Trace
	for i, k := range kinds {
		rate := k.rate(rand.New(rand.NewPCG(seed, uint64(i))))
		t := load.Trace{Name: k.name, Start: time.Date(2026, 9, 28, 0, 0, 0, 0, time.UTC), Step: time.Duration(k.step) * time.Minute}
		for m := 0; m < days*1440; m += k.step {
			t.Rates = append(t.Rates, max(0, rate(float64(m)/1440)))
		}
		all = append(all, Fit(t, 100))
	}
	return all
}

func noisy(rng *rand.Rand, by float64, f func(float64) float64) func(float64) float64 {
	return func(x float64) float64 { return f(x) * (1 + by*rng.NormFloat64()) }
}

// diurnal is a daily wave, by its depth.
func diurnal(depth float64) func(float64) float64 {
	return func(x float64) float64 { return 1 - depth*math.Cos(2*math.Pi*x) }
}

// office rises at eight, rests at noon and falls at six.
func office(x float64) float64 {
	h := math.Mod(x, 1) * 24
	rise := func(at float64) float64 { return 1 / (1 + math.Exp(-4*(h-at))) }
	return 0.2 + 1.6*rise(8)*(1-rise(18))*(1-0.3*rise(12)*(1-rise(13)))
}

// weekly has less on Saturdays and Sundays.
func weekly(f func(float64) float64) func(float64) float64 {
	return func(x float64) float64 {
		if d := math.Mod(x, 7); d >= 5 {
			return 0.6 * f(x)
		}
		return f(x)
	}
}

// crowds are a daily wave with crowds of three to six times the load between two days.
func crowds(rng *rand.Rand, days float64, n int, from, to float64) func(float64) float64 {
	d := diurnal(0.4)
	at, height := make([]float64, n), make([]float64, n)
	for i := range n {
		at[i], height[i] = from+rng.Float64()*(to-from), 2+3*rng.Float64()
	}
	return func(x float64) float64 {
		y := d(x)
		for i := range n {
			if since := (x - at[i]) * 1440; since >= 0 && since < 60 { // minutes
				y += height[i] * min(1, since/5, (60-since)/20)
			}
		}
		return y
	}
}

// levels are constant for some hours, then others.
func levels(rng *rand.Rand, days float64) func(float64) float64 {
	level, until := 1.0, 0.0
	return func(x float64) float64 {
		if x >= until {
			level, until = 0.4+1.2*rng.Float64(), x+(2+10*rng.Float64())/24
		}
		return level
	}
}
