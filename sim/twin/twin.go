package twin

import (
	"math"
	"time"

	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/world"
)

// Result is what a run came to. Requests that wait at the end count as neither in time nor lost.
type Result struct {
	world.Totals
	Actions int // changes of desired capacity
	Largest int // most instances at a time
}

// Hours are instance-hours.
func (r Result) Hours() float64 { return r.Instance / 3600 }

// Share is that of requests served in time.
func (r Result) Share() float64 {
	if r.Arrived == 0 {
		return 1
	}
	return r.InTime / r.Arrived
}

// Twin runs one plan after the other in the same memory. It is not for several goroutines.
type Twin struct {
	World *world.World
	kind  world.Kind
	boots []float64 // how long each launch takes, seconds: the same as in every other run of the world
	boot  int       // launches so far
	lag   int       // minutes by which data is late beyond CloudWatch's own delay

	plan     *Plan
	start    time.Time
	view     autoscaling.View
	decision autoscaling.Decision
	signals  []autoscaling.Signal
	warmups  []float64 // of the policies, seconds
	metricUp float64   // of the metric
	watches  []watch
	dues     []due
	window   []cloudwatch.Datapoint

	pending  []float64 // instants at which launched instances will be in service, ascending
	arrivals []float64 // instants at which those in service came, ascending; only those of the last longest warm-up
	longest  float64
	values   []float64 // metric of each minute, NaN if there was none
	measured []int     // of how many instances
	known    int       // newest points in a row that are there
	last     world.Totals
	cooldown float64 // until when
	result   Result
}

// inFlight is how many launches of a group may be under way.
const inFlight = 100

// New is a twin of groups of one kind of instance in a world.
func New(r *world.Ready, kind world.Kind) *Twin {
	t := &Twin{World: r.World(load.Trace{Step: time.Minute}, world.Options{}), kind: kind}
	t.lag = max(0, int(math.Ceil((r.Model.Delay-60)/60)))
	return t
}

// Run has a plan under a load, from DesiredCapacity warm instances on. Every so many minutes, if every is not 0, it adds
// the totals so far to marks, and once more at the end.
func (t *Twin) Run(p *Plan, trace load.Trace, every int, marks *[]world.Totals) Result {
	t.reset(p, trace)
	minutes := int(math.Ceil(float64(len(trace.Rates)) * trace.Step.Seconds() / 60))
	for len(t.values) < minutes {
		t.values, t.measured = append(t.values, 0), append(t.measured, 0)
	}
	losses := p.Losses
	for k := range minutes {
		t.decide(k)
		for len(losses) > 0 && losses[0].At < float64(k+1)*60 {
			t.lose(losses[0])
			losses = losses[1:]
		}
		t.advance(float64(k+1) * 60)
		t.measure(k)
		if every > 0 && (k+1)%every == 0 && k+1 < minutes {
			*marks = append(*marks, t.World.Totals())
		}
	}
	t.result.Totals = t.World.Totals()
	if every > 0 {
		*marks = append(*marks, t.result.Totals)
	}
	return t.result
}

func (t *Twin) reset(p *Plan, trace load.Trace) {
	t.World.Reset(trace, world.Options{Slot: 1000000 * time.Hour})
	t.plan, t.start, t.boot, t.known, t.cooldown = p, trace.Start, 0, 0, 0
	t.pending, t.arrivals, t.last, t.result = t.pending[:0], t.arrivals[:0], world.Totals{}, Result{}
	g := &p.Group
	n := max(g.MinSize, min(g.DesiredCapacity, g.MaxSize))
	t.view = autoscaling.View{Min: g.MinSize, Max: g.MaxSize, Desired: n, InService: n, Silent: true}
	t.World.Begin(t.kind, n)
	t.result.Largest = n
	t.watches = p.watches(t.watches)
	t.settle()
	t.signals, t.warmups, t.longest = t.signals[:0], t.warmups[:0], 0
	for i := range p.Policies {
		t.signals = append(t.signals, autoscaling.Signal{Policy: p.Policies[i]})
		up := p.Policies[i].InstanceWarmup(g).Seconds()
		t.warmups = append(t.warmups, up)
		t.longest = max(t.longest, up)
	}
	t.metricUp = autoscaling.MetricWarmup(*g, p.Policies).Seconds()
	t.longest = max(t.longest, t.metricUp) + 120
	if len(t.decision.Verdicts) != len(p.Policies) {
		t.decision.Verdicts = make([]autoscaling.Verdict, len(p.Policies))
	}
	t.dues = t.dues[:0]
	for _, s := range p.Schedules {
		t.dues = append(t.dues, due{s, s.Recurrence.Next(trace.Start.Add(-time.Nanosecond), time.UTC)})
	}
}

// advance goes on to an instant and takes instances into service on the way.
func (t *Twin) advance(to float64) {
	for len(t.pending) > 0 && t.pending[0] <= to {
		at := t.pending[0]
		t.World.Advance(seconds(at))
		t.World.Serve(t.kind, 1)
		t.arrivals = append(t.arrivals, at)
		t.pending = t.pending[:copy(t.pending, t.pending[1:])]
		t.view.InService++
		t.view.Pending--
		t.cooldown = at + float64(t.plan.Group.DefaultCooldown)
		t.resize(at)
	}
	t.World.Advance(seconds(to))
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }

// measure notes the metric of minute k, which is over.
func (t *Twin) measure(k int) {
	at := float64(k) * 60
	now := t.World.Totals()
	t.measured[k] = t.view.InService - t.younger(at-t.metricUp)
	t.values[k] = math.NaN()
	if t.measured[k] > 0 {
		d := now.Sub(t.last)
		t.values[k] = d.Utilization()
	}
	t.last = now
	drop := 0
	for drop < len(t.arrivals) && t.arrivals[drop] < at-t.longest {
		drop++
	}
	if drop > 0 {
		t.arrivals = t.arrivals[:copy(t.arrivals, t.arrivals[drop:])]
	}
}

// younger counts the instances that came into service after an instant.
func (t *Twin) younger(than float64) int {
	n := 0
	for i := len(t.arrivals) - 1; i >= 0 && t.arrivals[i] > than; i-- {
		n++
	}
	return n
}

// resize launches and ends instances until there are as many as desired.
func (t *Twin) resize(now float64) {
	switch have := t.view.InService + t.view.Pending; {
	case have < t.view.Desired:
		for n := min(t.view.Desired-have, inFlight-t.view.Pending); n > 0; n-- {
			t.launch(now)
		}
	case have > t.view.Desired:
		t.end(have-t.view.Desired, now)
	}
	t.settle()
}

func (t *Twin) launch(now float64) {
	if t.boot == len(t.boots) {
		t.boots = append(t.boots, t.World.Fate(uint64(t.boot), "", 0).Boot.Seconds())
	}
	at := now + t.boots[t.boot]
	t.boot++
	t.World.Bill(t.kind, 1)
	t.view.Pending++
	t.result.Largest = max(t.result.Largest, t.view.InService+t.view.Pending)
	i := len(t.pending)
	t.pending = append(t.pending, at)
	for ; i > 0 && t.pending[i-1] > at; i-- {
		t.pending[i] = t.pending[i-1]
	}
	t.pending[i] = at
}

// end ends n instances, the longest in service first and pending ones last, as the core does with the usual termination
// policies.
func (t *Twin) end(n int, now float64) {
	serving := min(n, t.view.InService)
	t.World.Serve(t.kind, -serving)
	t.World.Bill(t.kind, -n)
	t.view.InService -= serving
	t.view.Pending -= n - serving
	t.pending = t.pending[:len(t.pending)-(n-serving)]
	if extra := len(t.arrivals) - t.view.InService; extra > 0 {
		t.arrivals = t.arrivals[:copy(t.arrivals, t.arrivals[extra:])]
	}
	t.cooldown = now + float64(t.plan.Group.DefaultCooldown)
}

// lose has instances die: the group launches others at once.
func (t *Twin) lose(l Loss) {
	t.advance(l.At)
	n := min(t.view.InService, max(l.Count, int(math.Ceil(l.Share*float64(t.view.InService)))))
	t.World.Serve(t.kind, -n)
	t.World.Bill(t.kind, -n)
	t.view.InService -= n
	if extra := len(t.arrivals) - t.view.InService; extra > 0 {
		t.arrivals = t.arrivals[:copy(t.arrivals, t.arrivals[extra:])]
	}
	t.resize(l.At)
}

// settle gives low alarms their thresholds anew when the capacity has settled (AS-TT-05).
func (t *Twin) settle() {
	if t.view.Pending > 0 || t.view.InService != t.view.Desired {
		return
	}
	for i := range t.watches {
		if w := &t.watches[i]; w.kind == watchLow {
			if x := t.view.Tracking.LowThreshold(w.target, t.view.Desired); x != w.Threshold {
				w.Threshold, w.run = x, -1
			}
		}
	}
}
