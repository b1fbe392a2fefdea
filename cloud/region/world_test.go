package region

import (
	"testing"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

var (
	here = cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	noon = time.Date(2026, 9, 27, 12, 0, 0, 0, time.UTC)
)

// world is a host in which everything works at once: a wish is a fact in the next step.
type world struct {
	t       testing.TB
	cloud   *cloud.Cloud
	now     time.Time
	running map[string]bool
	ids     []string // in the order of their launch; those that ended too
	facts   []cloud.Fact
}

func newWorld(t testing.TB) *world {
	return &world{t: t, cloud: New(Options{Seed: 1, AnyImage: true}), now: noon, running: map[string]bool{}}
}

// step gives the cloud an input and notes its wishes.
func (w *world) step(in cloud.Input) cloud.Output {
	w.t.Helper()
	out := w.cloud.Step(w.now, in)
	if out.Err != nil {
		w.t.Fatalf("%T: %v", in, out.Err)
	}
	for _, e := range out.Effects {
		switch e := e.(type) {
		case ec2.LaunchInstance:
			if !w.running[e.Spec.ID] {
				w.running[e.Spec.ID] = true
				w.ids = append(w.ids, e.Spec.ID)
			}
			w.facts = append(w.facts, ec2.InstanceRunning{ID: e.Spec.ID})
		case ec2.TerminateInstance:
			delete(w.running, e.ID)
			w.facts = append(w.facts, ec2.InstanceTerminated{ID: e.ID})
		}
	}
	return out
}

// call makes an API call that must succeed.
func call[Out any](w *world, service, operation string, in any) *Out {
	w.t.Helper()
	return w.step(cloud.Call{Scope: here, RequestID: "r", Service: service, Operation: operation, In: in}).Reply.(*Out)
}

// settle tells facts, a hundred at a time, until nothing is wished for any more.
func (w *world) settle() {
	w.t.Helper()
	for range 10_000 {
		if len(w.facts) == 0 {
			return
		}
		n := min(len(w.facts), 100)
		facts := w.facts[:n:n]
		w.facts = w.facts[n:]
		w.now = w.now.Add(time.Millisecond)
		w.step(cloud.Observed{Facts: facts})
	}
	w.t.Fatal("wishes do not end")
}

// until lets time pass, with ticks when the cloud wants them.
func (w *world) until(at time.Time) {
	w.t.Helper()
	for range 100_000 {
		wake := w.cloud.Wake()
		if wake.IsZero() || wake.After(at) {
			w.now = at
			return
		}
		if wake.After(w.now) {
			w.now = wake
		}
		w.step(cloud.Tick{})
		w.settle()
	}
	w.t.Fatal("the cloud wakes for ever")
}

// usage is a minute's measurement of all instances, up to now.
func (w *world) usage(percent func(n int) float64) ec2.Usage {
	u := ec2.Usage{From: w.now.Add(-time.Minute), To: w.now}
	for n, id := range w.ids {
		if w.running[id] {
			u.Samples = append(u.Samples, ec2.UsageSample{ID: id, CPUPercent: percent(n), NetworkIn: 1000, NetworkOut: 2000, PacketsIn: 10, PacketsOut: 20})
		}
	}
	return u
}
