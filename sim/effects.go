package sim

import (
	"slices"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/sim/world"
)

// How long the world takes for what the model says nothing of.
const (
	failTakes      = 5 * time.Second // until a launch is seen to have failed
	terminateTakes = 5 * time.Second // from the wish until nothing is left of an instance
	stopTakes      = 5 * time.Second
	checkTakes     = time.Second // from a new target until the result of its first health check
	imageTakes     = time.Minute
	imageBytes     = 1 << 30
)

// instance is a machine of the world.
type instance struct {
	id, zone string
	kind     world.Kind
	fleet    *fleet // of its group; nil if it has none
	member   bool   // its group says that it is in service
	balanced int    // target groups that it is in
	healthy  int    // of them, those in which it is healthy
	fate     world.Fate
	number   int  // counts all instances
	wished   bool // it was launched
	up       bool // it can serve
	gone     bool
	boots    int // how often it was told to boot, or to stop: what was begun before does not count

	// As the fleet knows it.
	touched, serving, billed bool
}

// wish makes a wish come true, or fail, after a while.
func (e *engine) wish(effect cloud.Effect) {
	switch w := effect.(type) {
	case ec2.LaunchInstance:
		e.launch(w.Spec.ID)
	case ec2.StartInstance:
		if i := e.instances[w.Spec.ID]; i != nil && !i.up && !i.gone {
			e.boot(i)
		}
	case ec2.StopInstance:
		if i := e.instances[w.ID]; i != nil {
			i.up = false
			i.boots++
			e.touch(i)
		}
		e.fact(stopTakes, ec2.InstanceStopped{ID: w.ID})
	case ec2.TerminateInstance:
		if i := e.instances[w.ID]; i != nil {
			e.end(i)
		}
		e.fact(terminateTakes, ec2.InstanceTerminated{ID: w.ID})
	case ec2.CaptureImage:
		e.fact(imageTakes, ec2.ImageCaptured{ImageID: w.ImageID, Bytes: imageBytes})
	case sns.DeliverHTTP:
		e.fact(0, sns.Delivered{MessageID: w.MessageID, SubscriptionARN: w.SubscriptionARN, Attempt: w.Attempt, Status: 200})
	}
}

// launch has an instance boot, or fail to. The same wish made again is no news.
func (e *engine) launch(id string) {
	i := e.instances[id]
	if i == nil || i.wished {
		return
	}
	i.wished = true
	i.fate = e.fate(i)
	if i.fate.Fails != "" {
		code := "Server.InsufficientInstanceCapacity"
		if i.fate.Fails == world.NoStart {
			code = "Server.InternalError"
		}
		i.gone = true
		if i.fleet != nil {
			i.fleet.failures++
		}
		e.fact(failTakes, ec2.LaunchFailed{ID: id, Code: code, Message: i.fate.Fails})
		return
	}
	e.touch(i)
	e.boot(i)
	if i.fate.DiesAt > 0 {
		e.at(e.now.Add(i.fate.DiesAt), func() cloud.Fact { return e.kill(i) })
	}
}

// boot has an instance serve after a while, unless it is gone by then, or was stopped.
func (e *engine) boot(i *instance) {
	i.boots++
	this := i.boots
	e.at(e.now.Add(i.fate.Boot), func() cloud.Fact {
		if i.gone || i.boots != this {
			return nil
		}
		i.up = true
		e.touch(i)
		return ec2.InstanceRunning{ID: i.id}
	})
}

// kill ends an instance that nobody wished to end.
func (e *engine) kill(i *instance) cloud.Fact {
	if i.gone {
		return nil
	}
	e.end(i)
	return ec2.InstanceExited{ID: i.id, Reason: ec2.ExitKilled}
}

func (e *engine) end(i *instance) {
	i.gone, i.up = true, false
	e.touch(i)
}

// fate is what the world has in store for a launch. Those of the set-up have numbers of their own, so that the run's are
// the same whatever was there before it.
func (e *engine) fate(i *instance) world.Fate {
	const before = 1 << 63
	f := i.fleet
	if f == nil {
		return e.ready.Fate(before+uint64(i.number), i.zone, e.now.Sub(e.From))
	}
	if !e.begun {
		return f.ready.Fate(before+uint64(i.number), i.zone, e.now.Sub(e.From))
	}
	f.launches++
	return f.ready.Fate(f.place<<32+f.launches-1, i.zone, e.now.Sub(e.From))
}

// upset arranges the events of the model that end a fleet's instances.
func (e *engine) upset(f *fleet) {
	for _, x := range f.ready.Model.Failures.Events {
		at := e.From.Add(time.Duration(x.At * float64(time.Second)))
		if x.Kind != world.Kill && x.Kind != world.ZoneDown || at.Before(e.now) {
			continue
		}
		e.at(at, func() cloud.Fact {
			victims := e.living(f, x)
			if x.Kind == world.Kill {
				victims = victims[:min(x.Count, len(victims))]
			}
			for _, i := range victims {
				e.at(e.now, func() cloud.Fact { return e.kill(i) })
			}
			return nil
		})
	}
}

// living are a fleet's instances where an event strikes, the oldest first.
func (e *engine) living(f *fleet, x world.Event) []*instance {
	var all []*instance
	for _, i := range e.instances { // any order: they are sorted below
		if i.fleet == f && i.wished && !i.gone && x.Affects(i.zone) {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b *instance) int { return a.number - b.number })
	return all
}
