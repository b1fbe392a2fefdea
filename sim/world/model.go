// Package world is the model of everything around the control plane: how long an instance takes to boot, how many requests
// it serves at a time and how long each takes, what fails, who waits and who gives up.
//
// It is a fluid model: requests are a flow, not objects. Between two events (a slot of the load, an instance more or less)
// the rate is constant; waiting follows from the number of servers and how busy they are, and from the backlog where there
// is more load than capacity. The same model serves the real control plane and the references of other makers.
//
// Invariants: every request that arrived is in time, late, lost, waiting or away (it will try again); more capacity never
// makes more requests late; a run is decided by the model, the load and the calls made, and by nothing else.
package world

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Model is what a user says of the world; it is the JSON of --world. Durations are in seconds, shares from 0 to 1.
type Model struct {
	Types    map[string]Type `json:"instance_types"` // by name; "*" is any other
	Boot     Spread          `json:"boot"`           // from launch until it can serve
	WarmUp   float64         `json:"warm_up"`        // after that, until it is at full speed
	ColdRate float64         `json:"cold_rate"`      // its speed meanwhile; 0 is 1: no difference
	Delay    float64         `json:"metric_delay"`   // from the end of a period until its metrics can be seen
	Deadline float64         `json:"deadline"`       // an answer within it is in time
	Timeout  float64         `json:"timeout"`        // clients that have waited for it leave, lost; also if the service takes longer; 0 is never
	Retries  Retries         `json:"retries"`
	Queue    float64         `json:"queue"` // requests that may wait per instance in service, others are lost; 0 is no limit, but without an instance all are lost
	Failures Failures        `json:"failures"`
	Seed     uint64          `json:"seed"`
}

// Type is what one instance of a type does.
type Type struct {
	ServiceTime Spread  `json:"service_time"` // of one request
	Concurrency float64 `json:"concurrency"`  // requests at a time; Concurrency / ServiceTime.Mean requests per second are 100 % CPU
	Price       float64 `json:"price"`        // per hour
}

// PerSecond is the rate at which one instance is at 100 %.
func (t Type) PerSecond() float64 { return t.Concurrency / t.ServiceTime.Mean }

// Spread is a distribution of durations: a log-normal one by its mean and its coefficient of variation.
type Spread struct {
	Mean float64 `json:"mean"`
	CV   float64 `json:"cv"`
}

// Retries are of requests that were lost. Who is answered at a further try was not answered in time.
type Retries struct {
	Share float64 `json:"share"` // of those who try again
	After float64 `json:"after"`
	Times int     `json:"times"`
}

// Failures are what goes wrong, at rates and at set times.
type Failures struct {
	LaunchShare float64 `json:"launch_share"`      // of launches that fail
	PerInstance float64 `json:"per_instance_hour"` // instances that die
	Events      []Event `json:"events"`
}

// Kinds of events.
const (
	NoCapacity = "no-capacity" // launches fail
	ZoneDown   = "zone-down"   // instances of the zone die, and none can be launched
	Kill       = "kill"        // Count instances die
	NoMetrics  = "no-metrics"  // what is measured is not seen
)

// Event is something at a set time after the start of the run.
type Event struct {
	At    float64 `json:"at"`
	For   float64 `json:"for"`
	Kind  string  `json:"kind"`
	Zone  string  `json:"zone"`  // name or its last letter; empty: all
	Count int     `json:"count"` // of instances, for "kill"
}

// Default is a plain web service in which one instance of any type serves perInstance requests per second at 100 %.
func Default(perInstance float64) Model { return Lasting(perInstance, 0.1) }

// Lasting is Default with requests that last for some seconds on average; longer if an instance that works on one at a time
// would serve more than perInstance of them.
func Lasting(perInstance, service float64) Model {
	t := Type{ServiceTime: Spread{Mean: service, CV: 0.5}, Concurrency: perInstance * service}
	if t.Concurrency < 1 {
		t.Concurrency, t.ServiceTime.Mean = 1, 1/perInstance
	}
	return Model{
		Types:    map[string]Type{"*": t},
		Boot:     Spread{Mean: 60, CV: 0.2},
		WarmUp:   60,
		ColdRate: 0.5,
		Delay:    30,
		Deadline: 10 * t.ServiceTime.Mean,
		Timeout:  max(10, 100*t.ServiceTime.Mean),
		Seed:     1,
	}
}

// Validate says in one sentence what is wrong with the model.
func (m Model) Validate() error {
	if len(m.Types) == 0 {
		return wrong("instance_types", "instance_types is empty; name a type, or \"*\" for any")
	}
	for _, name := range slices.Sorted(maps.Keys(m.Types)) {
		t := m.Types[name]
		if !(t.ServiceTime.Mean > 0) || math.IsInf(t.ServiceTime.Mean, 0) {
			return below(wrong("service_time.mean", "the service_time of %q has the mean %v; it must be above 0", name, t.ServiceTime.Mean), "instance_types", name)
		}
		if !(t.Concurrency >= 1) || math.IsInf(t.Concurrency, 0) {
			return below(wrong("concurrency", "the concurrency of %q is %v; it must be at least 1", name, t.Concurrency), "instance_types", name)
		}
		if err := limits(" of "+strconv.Quote(name), limit{"service_time.mean", t.ServiceTime.Mean, 1e6}, limit{"service_time.cv", t.ServiceTime.CV, 10},
			limit{"concurrency", t.Concurrency, 1e15}, limit{"price", t.Price, 1e9}); err != nil {
			return below(err, "instance_types", name)
		}
	}
	if err := limits("",
		limit{"boot.mean", m.Boot.Mean, 1e6}, limit{"boot.cv", m.Boot.CV, 10}, limit{"warm_up", m.WarmUp, 1e6},
		limit{"cold_rate", m.ColdRate, 1}, limit{"metric_delay", m.Delay, 1e6}, limit{"deadline", m.Deadline, 1e6},
		limit{"timeout", m.Timeout, 1e6}, limit{"retries.share", m.Retries.Share, 1}, limit{"retries.after", m.Retries.After, 1e6},
		limit{"retries.times", float64(m.Retries.Times), maxTries - 1}, limit{"queue", m.Queue, 1e12},
		limit{"failures.launch_share", m.Failures.LaunchShare, 1}, limit{"failures.per_instance_hour", m.Failures.PerInstance, 1e4},
	); err != nil {
		return err
	}
	if m.Deadline == 0 {
		return wrong("deadline", "the deadline is 0; say within how many seconds an answer is in time")
	}
	if m.Timeout > 0 && m.Timeout < m.Deadline {
		return wrong("timeout", "the timeout of %v s is shorter than the deadline of %v s", m.Timeout, m.Deadline)
	}
	if m.Queue > 0 && m.Queue < leastQueue {
		return wrong("queue", "the queue of %v requests per instance is too short to model; it must be at least %v, or 0 for no limit", m.Queue, leastQueue)
	}
	return m.Failures.validate()
}

const (
	leastQueue = 0.01
	longest    = 1e9 // seconds
)

func (f Failures) validate() error {
	for i, e := range f.Events {
		path := "failures.events." + strconv.Itoa(i)
		switch e.Kind {
		case NoCapacity, ZoneDown, NoMetrics:
			if !(e.For > 0) {
				return wrong(path, "event %d (%s) has no length; set \"for\" in seconds", i+1, e.Kind)
			}
		case Kill:
			if e.Count <= 0 {
				return wrong(path, "event %d (kill) has no count of instances", i+1)
			}
		default:
			return wrong(path+".kind", "event %d has the kind %q; it can be %s, %s, %s or %s", i+1, e.Kind, NoCapacity, ZoneDown, Kill, NoMetrics)
		}
		if !(e.At >= 0 && e.At <= longest) {
			return wrong(path+".at", "event %d (%s) is at %v s; it must be from 0, the start of the run, to %v", i+1, e.Kind, e.At, longest)
		}
		if e.For > longest {
			return wrong(path+".for", "event %d (%s) lasts %v s; %v are the most", i+1, e.Kind, e.For, longest)
		}
	}
	return nil
}

type limit struct {
	path  string
	value float64
	most  float64
}

func limits(of string, bounds ...limit) error {
	for _, b := range bounds {
		if !(b.value >= 0 && b.value <= b.most) {
			return wrong(b.path, "the %s%s is %v; it must be from 0 to %v", strings.ReplaceAll(b.path, ".", " "), of, b.value, b.most)
		}
	}
	return nil
}
