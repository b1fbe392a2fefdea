package world

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/sim/load"
)

// Ready is a checked model with its tables: it never changes, and any number of worlds run on it, also side by side.
type Ready struct {
	Model   Model
	Kinds   []string // instance types in order of name; a Kind is an index
	classes []class  // two for each kind: warm, cold
	slowed  bool     // warm-up makes a difference
}

// Kind is an instance type of the model, an index of Kinds.
type Kind int

// Prepare checks a model and computes what every run of it needs.
func Prepare(m Model) (*Ready, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	r := &Ready{Model: m, Kinds: slices.Sorted(maps.Keys(m.Types))}
	timeout := m.Timeout
	if timeout == 0 {
		timeout = math.Inf(1)
	}
	cold := m.ColdRate
	if cold == 0 {
		cold = 1
	}
	r.slowed = cold != 1 && m.WarmUp > 0
	for k, name := range r.Kinds {
		t := m.Types[name]
		r.classes = append(r.classes,
			newClass(k, false, t, 1, m.Deadline, timeout),
			newClass(k, true, t, cold, m.Deadline, timeout))
	}
	return r, nil
}

// Kind finds an instance type: by its name, or else the model's "*".
func (r *Ready) Kind(name string) (Kind, bool) {
	if i, found := slices.BinarySearch(r.Kinds, name); found {
		return Kind(i), true
	}
	i, found := slices.BinarySearch(r.Kinds, "*")
	return Kind(i), found
}

// PerSecond is the rate at which one warm instance is at 100 %.
func (r *Ready) PerSecond(k Kind) float64 { return r.classes[2*k].rate }

// Price is for an hour of an instance.
func (r *Ready) Price(k Kind) float64 { return r.Model.Types[r.Kinds[k]].Price }

// Options are how a world is run.
type Options struct {
	Slot   time.Duration // length of a Point; 0 is a minute
	Points bool          // keep Points and the distribution of latencies
}

// World is the world of one run under one load: a fleet, its queue, and what they have done so far.
//
// Time goes from 0, the start of the load. Calls that change the fleet apply to the instant reached by Advance.
type World struct {
	*Ready
	Trace   load.Trace
	Options Options
	Desired int // shown in Points; set by whoever scales

	now     float64
	sum     Totals
	fleet   fleet
	queue   queue
	away    away
	latency latencies
	slots   slots

	load     int     // index of the current slot of the load, which ends at loadEnd
	loadEnd  float64 //
	step     float64 // of the load
	arriving float64 // its rate
}

// New is a world in which nothing runs yet.
func New(m Model, trace load.Trace, o Options) (*World, error) {
	r, err := Prepare(m)
	if err != nil {
		return nil, err
	}
	return r.World(trace, o), nil
}

// World is a world in which nothing runs yet.
func (r *Ready) World(trace load.Trace, o Options) *World {
	w := &World{Ready: r}
	w.Reset(trace, o)
	return w
}

// Reset makes it a new world, with the memory of the old one.
func (w *World) Reset(trace load.Trace, o Options) {
	if o.Slot <= 0 {
		o.Slot = time.Minute
	}
	w.Trace, w.Options, w.Desired = trace, o, 0
	w.now, w.sum = 0, Totals{}
	w.step = trace.Step.Seconds()
	w.load, w.loadEnd = -1, 0
	w.fleet.reset(w.Ready)
	w.queue.reset(w.Ready)
	w.away.reset(w.Ready)
	w.latency.reset(w.Ready, o.Points)
	w.slots.reset(o, time.Duration(len(trace.Rates))*trace.Step)
	w.nextLoad()
}

func (w *World) nextLoad() {
	w.load++
	w.arriving, w.loadEnd = 0, math.Inf(1)
	if w.load < len(w.Trace.Rates) {
		w.arriving, w.loadEnd = w.Trace.Rates[w.load], float64(w.load+1)*w.step
	}
}

// Now is the instant reached, from the start of the load.
func (w *World) Now() time.Duration { return time.Duration(math.Round(w.now * 1e9)) }

// zoneIs says whether an event's zone, a name or its last letter or nothing for all, means a zone.
func zoneIs(event, zone string) bool {
	return event == "" || event == zone || len(event) == 1 && strings.HasSuffix(zone, event)
}
