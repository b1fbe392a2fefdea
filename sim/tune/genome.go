package tune

import (
	"math"
	"math/rand/v2"
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

func half(x float64) float64 { return math.Round(x*2) / 2 }

var (
	outWaits  = [][2]int{{1, 1}, {2, 2}, {3, 2}, {3, 3}}
	calendars = []string{"", "", "", "", "", Daily, Weekend, Weekly}
	shares    = []float64{0.5, 0.8, 0.9, 1}
	warmups   = []int{-1, 0, 30, 60, 90, 120, 150, 180, 240, 300}
)

// decode is the candidate of a genome for loads of which base, in instances at 100 %, is there nearly always.
func (g *genome) decode(base float64) Candidate {
	c := Candidate{Warmup: warmups[pick(g[gWarmup], len(warmups))], Min: 1}
	mode := pick(g[gMode], modes)
	aim := between(g[gAim], 15, 97)
	if mode != modeSteps {
		c.Target = half(min(95, aim))
		c.NoIn = mode == modeTrackIn || mode == modeTrackBoth
	}
	if mode == modeTrackOut || mode == modeTrackBoth || mode == modeSteps {
		t := half(min(97, aim*between(g[gOut], 0.8, 1.6)))
		wait := outWaits[pick(g[gOutWait]*g[gOutWait], len(outWaits))]
		c.Out = Out{Threshold: t, Aim: round(min(t, aim*between(g[gOutAim], 0.4, 1.2))), Periods: wait[0], Points: wait[1], Surge: 5 * int(math.Round(between(g[gSurge], 10, 300)/5))}
	}
	if mode == modeTrackIn || mode == modeTrackBoth || mode == modeSteps {
		t := half(aim * between(g[gIn], 0.2, 1))
		n := 1 + pick(g[gInWait]*g[gInWait], 15)
		c.In = In{Threshold: max(t, 1), Aim: round(max(t, 1) * between(g[gInAim], 1, 1.5)), Periods: n, Points: n, Most: int(math.Round(between(g[gInMost]*g[gInMost], 1, 60)))}
	}
	if x := g[gMin]; x > 0.5 {
		c.Min = max(1, int(math.Round((x-0.5)/0.5*2*base)))
	}
	if k := calendars[pick(g[gCalendar], len(calendars))]; k != "" {
		c.Calendar = Calendar{Kind: k, Share: shares[pick(g[gShare], len(shares))],
			Use: math.Round(between(g[gUse], 40, 140)), Lead: 5 * pick(g[gLead], 5)}
	}
	return c
}

// seeds are candidates that people would try first.
func seeds() []genome {
	var all []genome
	for _, aim := range []float64{30, 40, 50, 60, 70, 80, 90} {
		for mode := range modes {
			for _, wait := range []float64{0, 0.35, 0.6} { // 1, 2, 6 minutes
				for _, calendar := range []int{0, 7} {
					g := genome{gMode: picked(mode, modes), gAim: (aim - 15) / 82, gOut: 0.35, gOutAim: 0.6, gOutWait: 0, gSurge: 0.3,
						gIn: 0.75, gInAim: 0.3, gInWait: wait, gInMost: 0.6, gWarmup: picked(4, len(warmups)),
						gCalendar: picked(calendar, len(calendars)), gShare: picked(2, len(shares)), gUse: 0.5, gLead: picked(1, 5)}
					all = append(all, g)
					if mode == modeTrack {
						break
					}
				}
			}
		}
	}
	return append(all, genome{gMode: picked(modeTrack, modes), gAim: (50.0 - 15) / 82}) // AWS's default
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

// reflected keeps a gene in the unit interval without gathering many at its ends.
func reflected(x float64) float64 {
	x = math.Abs(x)
	if x > 1 {
		x = max(0, 2-x)
	}
	return min(x, 1)
}
