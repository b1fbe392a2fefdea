package world

import (
	"math"
	"math/rand/v2"
	"time"
)

// NoStart is why an instance with bad luck does not start.
const NoStart = "the instance failed to start"

// Fate is what becomes of one launch.
type Fate struct {
	Fails  string        // why there is no instance; empty: there is one
	Boot   time.Duration // from launch until it can serve
	DiesAt time.Duration // from launch until it dies by itself; 0 is never
}

// Fate decides what becomes of the nth launch of a run, in a zone at an instant: the same for the same seed, whatever else
// happened before.
func (r *Ready) Fate(n uint64, zone string, at time.Duration) Fate {
	m := &r.Model
	random := rand.New(rand.NewPCG(m.Seed, n))
	failed := random.Float64() < m.Failures.LaunchShare
	boot := m.Boot.Draw(random)
	dies := 0.0
	if m.Failures.PerInstance > 0 {
		dies = max(1, random.ExpFloat64()*3600/m.Failures.PerInstance)
	}
	f := Fate{Boot: seconds(boot), DiesAt: seconds(dies)}
	if kind := r.closed(zone, at); kind == ZoneDown {
		f.Fails = "the zone is not available"
	} else if kind == NoCapacity {
		f.Fails = "there is no capacity"
	} else if failed {
		f.Fails = NoStart
	}
	return f
}

// Draw is one duration, in seconds.
func (s Spread) Draw(random *rand.Rand) float64 {
	if s.CV == 0 || s.Mean == 0 {
		return s.Mean
	}
	variance := math.Log1p(s.CV * s.CV)
	return math.Exp(math.Log(s.Mean) - variance/2 + math.Sqrt(variance)*random.NormFloat64())
}

// closed is the kind of event that keeps a zone from launching at an instant, or empty.
func (r *Ready) closed(zone string, at time.Duration) string {
	kind := ""
	for _, e := range r.Model.Failures.Events {
		if (e.Kind == NoCapacity || e.Kind == ZoneDown) && e.during(at) && zoneIs(e.Zone, zone) {
			if kind = e.Kind; kind == ZoneDown {
				break
			}
		}
	}
	return kind
}

// Metrics says whether what is measured at an instant is seen.
func (r *Ready) Metrics(at time.Duration) bool {
	for _, e := range r.Model.Failures.Events {
		if e.Kind == NoMetrics && e.during(at) {
			return false
		}
	}
	return true
}

// Affects says whether an event is about a zone.
func (e Event) Affects(zone string) bool { return zoneIs(e.Zone, zone) }

func (e Event) during(at time.Duration) bool {
	return at >= seconds(e.At) && at < seconds(e.At+e.For)
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }
