// Package fuzz breaks the control plane on purpose: deterministic simulation testing of the whole of cloud/region.
//
// A run is decided by its seed. Random calls over all implemented operations, right ones and wrong ones, meet a world in
// which effects get lost, instances die, zones vanish, clocks jump and the daemon is killed between any two steps. After
// every step the invariants (invariants.go and the twins) must hold; at the end nothing goes wrong any more, and
// everything that was begun must come to its end (finish.go).
//
// The one idea: nothing is asked of the control plane but what it promises to everyone. The fuzzer sees changes, effects
// and replies, never the inside, so that what it keeps of them is an independent copy to compare with.
//
// It is not a load model: instances serve nothing here (see sim/world).
package fuzz

import (
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/region"
)

// Options decide a run.
type Options struct {
	Seed   uint64
	Steps  int    // of the workload: a call and some time each
	Faults Faults // that the seed may choose from
}

// Count is how many calls of an operation succeeded and were refused.
type Count struct{ Good, Refused int }

// Result is what a run came to.
type Result struct {
	Options
	Broken   *Violation // nil if everything held
	Inputs   int        // steps of the control plane
	Virtual  time.Duration
	Calls    map[string]Count // by "autoscaling.SetDesiredCapacity"
	Injected [faultKinds]int
	Trace    uint64 // a digest of all that the control plane did: runs with the same options have the same
}

// Violation is an invariant that did not hold.
type Violation struct {
	Invariant string
	Detail    string
	Step      int      // of the workload; Steps if it was at the end
	Last      []string // the newest inputs, oldest first
}

func (v *Violation) Error() string { return v.Invariant + ": " + v.Detail }

// start is when runs begin, in the cloud's time.
var start = time.Date(2026, 9, 27, 12, 0, 0, 0, time.UTC)

// run is a run under way.
type run struct {
	*author
	*fate
	*world
	options Options
	result  *Result

	cloud  *cloud.Cloud
	rows   *rows
	offset time.Duration // what the daemon's clock is ahead of the world's
	latest time.Time     // that the cloud was told
	trace  hash.Hash64

	step     int
	recent   []recent
	looking  bool                   // only reading, to learn words
	ticks    ticks                  // how often the cloud has woken
	wished   map[string]elbv2.Route // the newest of each load balancer
	paces    map[string]pace
	alarms   alarmTwin
	targets  targetTwin
	bound    map[string]ec2.BindAddress // the newest of each public address
	messages map[string]string          // where each is, by its ID
	quiet    bool                       // nothing may happen any more
	down     bool                       // the daemon is starting again
	refusals int                        // calls that failed
	calls    int                        // so far, for those that a stranger tries
	routed   map[string]int             // the number of the newest late Route of each load balancer
	ops      []operation
	twin     twin
}

// recent is an input for messages.
type recent struct {
	at time.Time
	in cloud.Input
}

// recentKept is how many inputs a violation tells.
const recentKept = 20

// Run makes one run.
func Run(o Options) (result Result) {
	result = Result{Options: o, Calls: map[string]Count{}}
	r := &run{options: o, result: &result, fate: newFate(o.Seed, o.Faults), rows: newRows(), trace: fnv.New64a(), latest: start,
		wished: map[string]elbv2.Route{}, paces: map[string]pace{}, bound: map[string]ec2.BindAddress{}, messages: map[string]string{}}
	r.author = newAuthor(rand.New(rand.NewPCG(o.Seed, 99)), r.clock)
	r.world = newWorld(rand.New(rand.NewPCG(o.Seed, 7)))
	r.alarms, r.targets = newAlarmTwin(), newTargetTwin()
	defer func() {
		if v := recover(); v != nil {
			result.Broken = r.violation(v)
		}
		result.Virtual = r.now.Sub(start)
		result.Injected = r.count
		result.Trace = r.trace.Sum64()
	}()
	r.cloud = r.fresh()
	r.ops = implemented()
	r.rounds()
	r.stage()
	for r.step = 0; r.step < o.Steps; r.step++ {
		r.act()
		r.pass(pick(r.author, spans))
		if r.step%checkEvery == checkEvery-1 {
			r.verify(false)
			r.look()
		}
	}
	r.finish()
	return result
}

// spans are what passes between two steps of the workload.
var spans = []time.Duration{0, 0, 0, time.Millisecond, time.Second, 20 * time.Second, time.Minute, 2 * time.Minute}

// checkEvery is how often, in steps of the workload, the whole of the rows is compared and a load is tried.
const checkEvery = 50

// fresh is an empty cloud.
func (r *run) fresh() *cloud.Cloud {
	return region.New(region.Options{Seed: r.options.Seed, AnyImage: r.options.Seed%2 == 0})
}

// violation makes one of what a panic was about. What is not a violation is a defect of the fuzzer's or of Wake's.
func (r *run) violation(v any) *Violation {
	broken, ok := v.(*Violation)
	if !ok {
		broken = &Violation{Invariant: "nothing panics outside a step", Detail: fmt.Sprintf("%v\n%s", v, debug.Stack())}
	}
	broken.Step = r.step
	for _, x := range r.recent {
		broken.Last = append(broken.Last, x.at.Format("15:04:05.000 ")+describe(x.in))
	}
	return broken
}

// fail ends the run.
func (r *run) fail(invariant, format string, args ...any) {
	panic(&Violation{Invariant: invariant, Detail: fmt.Sprintf(format, args...)})
}

// describe writes an input in one line.
func describe(in cloud.Input) string {
	switch in := in.(type) {
	case cloud.Call:
		return "call " + in.Service + " " + in.Operation + " " + encoded(in.In)
	case cloud.Observed:
		var facts []string
		for _, f := range in.Facts {
			text := fmt.Sprintf("%T%+v", f, f)
			facts = append(facts, text[:min(len(text), 300)])
		}
		return "facts " + strings.Join(facts, " ")
	}
	return "tick"
}
