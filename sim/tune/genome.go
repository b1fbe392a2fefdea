package tune

import (
	"math"
	"math/rand/v2"
	"slices"
)

// genome is a candidate as a point in the unit cube: what a search moves.
type genome [genes]float64

// The genes. Thresholds and aims are relative to gAim, so that moving it moves all policies together.
const (
	gMode     = iota // which policies there are
	gAim             // the utilization to be at
	gOut             // threshold of the step policy that scales out
	gOutAim          // where its steps take the group
	gOutWait         // its alarm's periods
	gSurge           //
	gTrend           //
	gIn              // threshold of the step policy that scales in
	gInAim           //
	gInWait          //
	gInMost          //
	gWarmup          //
	gMin             //
	gCalendar        // kind
	gShare           //
	gUse             //
	gLead            //
	genes
)

// What there is, by the gene gMode.
const (
	modeTrack     = iota // target tracking alone
	modeTrackOut         // with a step policy for what comes fast
	modeTrackIn          // target tracking out, steps in
	modeTrackBoth        // target tracking out, steps both ways
	modeSteps            // steps alone
	modes
)

func pick(x float64, n int) int { return max(0, min(n-1, int(x*float64(n)))) }

// picked is a gene for which pick gives i.
func picked(i, n int) float64 { return (float64(i) + 0.5) / float64(n) }

func between(x, lo, hi float64) float64 { return lo + x*(hi-lo) }

// share is what between gives x for.
func share(x, lo, hi float64) float64 { return (x - lo) / (hi - lo) }

func half(x float64) float64 { return math.Round(x*2) / 2 }

var (
	outWaits  = [][2]int{{1, 1}, {2, 2}, {3, 2}, {3, 3}, {5, 3}, {5, 5}, {10, 6}, {30, 10}} // N and M of alarms
	inWaits   = [][2]int{{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {7, 7}, {10, 10}, {15, 15}, {20, 20}, {30, 30}, {60, 60}, {15, 10}, {30, 20}, {60, 45}}
	calendars = []string{"", "", "", "", "", Daily, Weekend, Weekly}
	shares    = []float64{0.5, 0.8, 0.9, 1}
	trends    = []int{0, 0, 1, 2, 3, 4, 5}
	warmups   = []int{-1, 0, 30, 60, 90, 120, 150, 180, 240, 300}
)

// space is what a search may use.
type space struct {
	min      int
	mean     float64 // of the load, in instances at 100 %
	calendar bool
}

// decode is the candidate of a genome.
func (g *genome) decode(o *space) Candidate {
	c := Candidate{Warmup: warmups[pick(g[gWarmup], len(warmups))], Min: o.min}
	mode := pick(g[gMode], modes)
	aim := between(g[gAim], 15, 97)
	if mode != modeSteps {
		c.Target = half(min(95, aim))
		c.NoIn = mode == modeTrackIn || mode == modeTrackBoth
	}
	if mode == modeTrackOut || mode == modeTrackBoth || mode == modeSteps {
		t := half(min(97, aim*between(g[gOut], 0.8, 1.6)))
		wait := outWaits[pick(g[gOutWait]*g[gOutWait], len(outWaits))]
		c.Out = Out{Threshold: t, Aim: round(min(t, aim*between(g[gOutAim], 0.4, 1.2))), Periods: wait[0], Points: wait[1], Surge: 5 * int(math.Round(between(g[gSurge], 10, 300)/5)), Trend: trends[pick(g[gTrend], len(trends))]}
	}
	if mode == modeTrackIn || mode == modeTrackBoth || mode == modeSteps {
		t := half(aim * between(g[gIn], 0.2, 1))
		wait := inWaits[pick(g[gInWait], len(inWaits))]
		c.In = In{Threshold: max(t, 1), Aim: round(max(t, 1) * between(g[gInAim], 1, 1.5)), Periods: wait[0], Points: wait[1], Most: int(math.Round(between(g[gInMost]*g[gInMost], 1, 60)))}
	}
	if x := g[gMin]; x > 0.6 {
		c.Min = max(o.min, int(math.Round((x-0.6)/0.4*4*o.mean)))
	}
	if k := calendars[pick(g[gCalendar], len(calendars))]; k != "" && o.calendar {
		c.Calendar = Calendar{Kind: k, Share: shares[pick(g[gShare], len(shares))],
			Use: math.Round(between(g[gUse], 40, 140)), Lead: 5 * pick(g[gLead], 5)}
	}
	return c
}

// outShapes and inShapes are ways to react, relative to the utilization that is aimed at: thresholds, where the steps take
// the group, how much it grows when the metric is at its end, and how far ahead the alarm looks.
var (
	outShapes = []outShape{{1.06, 0.97, 300, 0}, {1.05, 1, 100, 2}, {1.12, 0.8, 300, 0}, {1.12, 0.85, 100, 2}, {1.25, 0.7, 200, 0}, {1.4, 0.65, 170, 2}}
	inShapes  = []inShape{{0.95, 1.03, 10}, {0.86, 1.08, 20}, {0.72, 1.2, 20}}
)

type outShape struct {
	at, to, surge float64
	trend         int
}

type inShape struct{ at, to, most float64 }

func (o outShape) set(g *genome) {
	g[gOut], g[gOutAim] = share(o.at, 0.8, 1.6), share(o.to/o.at, 0.4, 1.2)
	g[gSurge], g[gTrend] = share(o.surge, 10, 300), picked(slices.Index(trends, o.trend), len(trends))
}

func (i inShape) set(g *genome) {
	g[gIn], g[gInAim], g[gInMost] = share(i.at, 0.2, 1), share(i.to/i.at, 1, 1.5), math.Sqrt(share(i.most, 1, 60))
}

// seeds are simple candidates at all levels of utilization: target tracking with a quick way out, and steps both ways. A
// search begins with as many of them as it can afford, in any order.
func seeds(rng *rand.Rand) []genome {
	var all []genome
	for aim := 46.0; aim <= 94; aim += 6 {
		g := genome{gAim: share(aim, 15, 97), gShare: picked(2, len(shares)), gUse: 0.5, gLead: picked(1, 5)}
		g[gMode], g[gWarmup] = picked(modeTrack, modes), picked(slices.Index(warmups, 60), len(warmups))
		all = append(all, g)
		for _, i := range inShapes { // what tracks a target upward and comes down faster than target tracking
			i.set(&g)
			for _, wait := range []int{1, 3, 7} {
				g[gMode], g[gInWait], g[gWarmup] = picked(modeTrackIn, modes), picked(slices.Index(inWaits, [2]int{wait, wait}), len(inWaits)), picked(slices.Index(warmups, 120), len(warmups))
				all = append(all, g)
			}
		}
		g[gInWait] = 0
		for _, o := range outShapes {
			o.set(&g)
			for _, warm := range []int{60, 150} {
				g[gMode], g[gWarmup] = picked(modeTrackOut, modes), picked(slices.Index(warmups, warm), len(warmups))
				all = append(all, g)
			}
			for _, i := range inShapes {
				i.set(&g)
				for _, mode := range []int{modeTrackBoth, modeSteps} {
					g[gMode] = picked(mode, modes)
					all = append(all, g)
				}
			}
		}
	}
	for _, least := range []float64{1, 1.5, 2, 3} { // hardly anything but a minimum, of so many times the mean
		for _, surge := range []float64{0.05, 0.5} {
			all = append(all, genome{gMode: picked(modeSteps, modes), gAim: 0.85, gOut: 0.3, gOutAim: 0.6, gOutWait: picked(2, len(outWaits)), gSurge: surge,
				gIn: 0.6, gInAim: 0.3, gInMost: 0.8, gWarmup: picked(4, len(warmups)), gMin: 0.6 + 0.1*least})
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return append([]genome{{gMode: picked(modeTrack, modes), gAim: share(usualTarget, 15, 97)}}, all...)
}

func random(rng *rand.Rand) (g genome) {
	for i := range g {
		g[i] = rng.Float64()
	}
	return g
}

// child mixes two genomes and moves a few genes of the mix.
func child(rng *rand.Rand, a, b genome, spread float64) genome {
	g := a
	if rng.IntN(2) == 0 {
		for i := range g {
			if rng.IntN(3) == 0 {
				g[i] = b[i]
			}
		}
	}
	for n := 1 + rng.IntN(4); n > 0; n-- {
		i := rng.IntN(genes)
		if rng.IntN(12) == 0 {
			g[i] = rng.Float64()
			continue
		}
		g[i] = reflected(g[i] + rng.NormFloat64()*spread)
	}
	return g
}

// neighbour moves one or two genes by little.
func neighbour(rng *rand.Rand, g genome, spread float64) genome {
	for n := 1 + rng.IntN(2); n > 0; n-- {
		i := rng.IntN(genes)
		g[i] = reflected(g[i] + rng.NormFloat64()*spread)
	}
	return g
}

// reflected keeps a gene in the unit interval without gathering many at its ends.
func reflected(x float64) float64 {
	x = math.Abs(x)
	if x > 1 {
		x = max(0, 2-x)
	}
	return min(x, 1)
}
