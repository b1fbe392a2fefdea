package autoscaling

import (
	"encoding/json"
	"sort"
	"testing"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elb"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
	"github.com/billow-cloud/billow/cloud/ssm"
)

var (
	here  = cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	start = time.Date(2026, 9, 27, 4, 0, 0, 0, time.UTC)
)

// world is what wishes come true in: instances that boot and end after a while, and the health checks of load
// balancers, in virtual time.
type world struct {
	t     testing.TB
	cloud *cloud.Cloud
	s     *Service
	ec2   *ec2.Service
	now   time.Time
	trace func(cloud.Output) // sees every step's output

	boot, end time.Duration // from wish to fact
	check     time.Duration // between health checks; 0 is none
	checked   time.Time
	failing   func(ec2.Spec) (code, message string) // the launches that fail
	sick      map[string]bool                       // instances that fail the load balancers' checks
	busy      map[string]bool                       // instances whose requests do not end while they drain

	running map[string]bool
	facts   []dated
	routes  map[string]elbv2.Route
}

// inside is a service that runs a test's code in a step.
type inside struct{ cloud.Base }

func (inside) Name() string { return "inside" }
func (inside) Operations() []cloud.Operation {
	return []cloud.Operation{cloud.Handle("Do", func(tx *cloud.Tx, f *func(*cloud.Tx)) (*int, error) {
		(*f)(tx)
		return new(0), nil
	})}
}

// do runs f in a step.
func (w *world) do(f func(tx *cloud.Tx)) {
	w.t.Helper()
	if out := w.step(cloud.Call{Scope: here, Service: "inside", Operation: "Do", In: &f}); out.Err != nil {
		w.t.Fatal(out.Err)
	}
}

type dated struct {
	at   time.Time
	n    int
	fact cloud.Fact
}

func newWorld(t testing.TB, seed uint64) *world {
	identities, metrics, queues, topics, parameters := iam.New(), cloudwatch.New(), sqs.New(), sns.New(), ssm.New()
	topics.Queues = queues
	e := ec2.New(metrics, parameters, ec2.Options{AnyImage: true})
	v2 := elbv2.New(e, metrics, elbv2.Options{})
	classic := elb.New(v2, e, metrics)
	s := New(e, v2, classic, metrics, topics)
	s.Reach(queues, identities)
	return &world{
		t: t, s: s, ec2: e, now: start, boot: 20 * time.Second, end: 5 * time.Second, check: 10 * time.Second, checked: start,
		cloud:   cloud.New(seed, identities, metrics, queues, topics, parameters, e, v2, classic, s, inside{}),
		sick:    map[string]bool{},
		busy:    map[string]bool{},
		running: map[string]bool{},
		routes:  map[string]elbv2.Route{},
	}
}

// step gives the cloud an input and takes its wishes.
func (w *world) step(in cloud.Input) cloud.Output {
	w.t.Helper()
	out := w.cloud.Step(w.now, in)
	if d, ok := out.Err.(*cloud.Defect); ok {
		w.t.Fatalf("%v\n%s", d, d.Stack)
	}
	if w.trace != nil {
		w.trace(out)
	}
	for _, e := range out.Effects {
		w.wish(e)
	}
	return out
}

func (w *world) later(d time.Duration, f cloud.Fact) {
	w.facts = append(w.facts, dated{w.now.Add(d), len(w.facts), f})
	sort.SliceStable(w.facts, func(i, j int) bool { return w.facts[i].at.Before(w.facts[j].at) })
}

func (w *world) wish(e cloud.Effect) {
	switch e := e.(type) {
	case ec2.LaunchInstance:
		if w.running[e.Spec.ID] {
			return
		}
		if w.failing != nil {
			if code, message := w.failing(e.Spec); code != "" {
				w.later(w.boot/4, ec2.LaunchFailed{ID: e.Spec.ID, Code: code, Message: message})
				return
			}
		}
		w.running[e.Spec.ID] = true
		w.later(w.boot, ec2.InstanceRunning{ID: e.Spec.ID})
	case ec2.StartInstance:
		w.later(w.boot, ec2.InstanceRunning{ID: e.Spec.ID})
	case ec2.StopInstance:
		w.later(w.end, ec2.InstanceStopped{ID: e.ID})
	case ec2.TerminateInstance:
		delete(w.running, e.ID)
		w.later(w.end, ec2.InstanceTerminated{ID: e.ID})
	case elbv2.Route:
		w.routes[e.ARN] = e
	}
}

// advance lets time pass, with facts and timers at their instants.
func (w *world) advance(d time.Duration) {
	w.t.Helper()
	until := w.now.Add(d)
	for range 1_000_000 {
		next := until
		if len(w.facts) > 0 && w.facts[0].at.Before(next) {
			next = w.facts[0].at
		}
		if wake := w.cloud.Wake(); !wake.IsZero() && wake.Before(next) {
			next = wake
		}
		if w.check > 0 && w.checked.Add(w.check).Before(next) {
			next = w.checked.Add(w.check)
		}
		if next.After(w.now) {
			w.now = next
		}
		switch {
		case len(w.facts) > 0 && !w.facts[0].at.After(w.now):
			f := w.facts[0].fact
			w.facts = w.facts[1:]
			w.step(cloud.Observed{Facts: []cloud.Fact{f}})
		case w.check > 0 && !w.checked.Add(w.check).After(w.now):
			w.checked = w.now
			if facts := w.checks(); len(facts) > 0 {
				w.step(cloud.Observed{Facts: facts})
			}
		case !w.cloud.Wake().IsZero() && !w.cloud.Wake().After(w.now):
			w.step(cloud.Tick{})
		default:
			return
		}
	}
	w.t.Fatal("time does not pass: the cloud wakes for ever")
}

// restart replaces the cloud by one that was loaded from its durable rows.
func (w *world) restart() {
	w.t.Helper()
	again := newWorld(w.t, 99)
	again.s.diary.on = w.s.diary.on
	w.cloud.Dump(func(table, key string, row any) bool {
		b, err := json.Marshal(row)
		if err == nil {
			err = again.cloud.Load(table, key, b)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		return true
	})
	w.cloud, w.s, w.ec2 = again.cloud, again.s, again.ec2
	w.step(cloud.Tick{})
}

// checks are the health checks of all targets of all load balancers.
func (w *world) checks() []cloud.Fact {
	var arns []string
	for arn := range w.routes {
		arns = append(arns, arn)
	}
	sort.Strings(arns)
	var facts []cloud.Fact
	for _, arn := range arns {
		lb := w.routes[arn].LoadBalancer
		if lb == nil {
			continue
		}
		for _, g := range lb.TargetGroups {
			for _, x := range g.Targets {
				id := x.ID[:min(len(x.ID), 19)]
				switch {
				case x.State == elbv2.StateDraining && !w.busy[id]:
					facts = append(facts, elbv2.TargetDrained{TargetGroup: g.ID, Target: x.ID})
				case x.State == elbv2.StateDraining || x.State == elbv2.StateUnused:
				case w.sick[id]:
					facts = append(facts, elbv2.TargetChecked{TargetGroup: g.ID, Target: x.ID, At: w.now, Reason: "Target.ResponseCodeMismatch", Code: 503})
				default:
					facts = append(facts, elbv2.TargetChecked{TargetGroup: g.ID, Target: x.ID, At: w.now, Passed: true, Code: 200})
				}
			}
		}
	}
	return facts
}
