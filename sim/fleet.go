package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/table"
	"github.com/billow-cloud/billow/sim/world"
)

// fleet is an Auto Scaling group as the world knows it: who serves its load.
type fleet struct {
	key   string // scope and name
	scope cloud.Scope
	name  string
	ready *world.Ready
	world *world.World // nil until the load begins
	last  world.Totals // at the last measurement

	desired     int
	targetGroup string  // ARN of the first that is attached and in service; empty if there is none
	deltas      []delta // what has changed in this step, by kind
	changed     bool
	rest        float64 // of a request: traffic is counted in whole ones

	place    uint64 // in the order of names
	launches uint64
	failures int
	record   record
}

// delta is what becomes of a kind of instances in a step.
type delta struct{ in, out, billed int }

// target is a row of a target group.
type target struct {
	instance *instance
	healthy  bool
	waiting  bool // the result of a check is on its way
	draining bool
}

// prepareWorlds checks the models before anything runs.
func (e *engine) prepareWorlds() error {
	for _, group := range slices.Sorted(maps.Keys(e.Worlds)) {
		if _, err := world.Prepare(e.Worlds[group]); err != nil {
			return fmt.Errorf("group %s: %w", group, err)
		}
	}
	r, err := world.Prepare(e.World)
	if err != nil && (len(e.World.Types) > 0 || len(e.Worlds) == 0) {
		return err
	}
	e.ready = r
	return nil
}

// fleetOf finds the fleet of a group, making it if it is new.
func (e *engine) fleetOf(scope, name string) *fleet {
	key := scope + name
	f := e.fleets[key]
	if f == nil {
		account, region, _ := strings.Cut(strings.TrimSuffix(scope, "/"), "/")
		f = &fleet{key: key, scope: cloud.Scope{Account: account, Region: region}, name: name, ready: e.ready}
		if m, own := e.Worlds[name]; own {
			f.ready, _ = world.Prepare(m) // it was checked before
		}
		f.deltas = make([]delta, len(f.ready.Kinds))
		e.fleets[key] = f
	}
	return f
}

// split takes the key of a row apart: its scope, with the slash after it, and its ID.
func split(key string) (scope, id string) {
	account := strings.IndexByte(key, '/') + 1
	region := account + strings.IndexByte(key[account:], '/') + 1
	return key[:region], key[region:]
}

// follow takes over what a step has changed.
func (e *engine) follow(changes []table.Change) {
	for _, c := range changes {
		switch row := c.Row.(type) {
		case *ec2.Instance:
			if e.instances[row.ID] == nil {
				e.born++
				e.instances[row.ID] = &instance{id: row.ID, zone: row.Zone, number: e.born}
			}
		case *autoscaling.Member:
			scope, _ := split(c.Key)
			e.enlist(scope, row)
		case *autoscaling.Group:
			scope, _ := split(c.Key)
			e.resize(scope, row)
		case *autoscaling.Activity:
			scope, key := split(c.Key)
			e.fleetOf(scope, row.Group).record.activity(key, row)
		case *elbv2.TargetGroup:
			e.checks[row.ARN] = time.Duration(row.Check.Interval) * time.Second
		case *elbv2.Listener:
			for _, to := range row.Forward {
				e.balancers[to.TargetGroup] = row.LoadBalancer
			}
		case *elbv2.Target:
			e.aim(c.Key, row)
		case nil:
			e.forget(c.Table, c.Key)
		}
	}
}

// forget takes over that a row is gone.
func (e *engine) forget(name, key string) {
	_, id := split(key)
	switch name {
	case "autoscaling.members":
		if i := e.instances[id]; i != nil {
			i.member = false
			e.touch(i)
		}
	case "ec2.instances":
		delete(e.instances, id)
	case "elbv2.targets":
		if t := e.targets[key]; t != nil {
			delete(e.targets, key)
			if t.instance != nil {
				t.instance.balanced--
				if t.healthy {
					t.instance.healthy--
				}
				e.touch(t.instance)
			}
		}
	}
}

// enlist takes over a member's row.
func (e *engine) enlist(scope string, m *autoscaling.Member) {
	i := e.instances[m.ID]
	if i == nil {
		return
	}
	f := e.fleetOf(scope, m.Group)
	i.fleet = f
	if kind, ok := f.ready.Kind(m.InstanceType); ok {
		i.kind = kind
	} else if e.failed == nil {
		e.failed = fmt.Errorf("sim: the world model has no instance type %s, which group %s uses; add it to instance_types, or \"*\" for any", m.InstanceType, m.Group)
	}
	i.member = m.LifecycleState == "InService"
	e.touch(i)
	for _, w := range m.Waits {
		if after, known := e.Hooks[w.Hook]; known && w.Result == "" && !e.tokens[w.Token] {
			e.complete(f, w, after)
		}
	}
}

// complete has a lifecycle action completed after a while, as a script on the instance would.
func (e *engine) complete(f *fleet, w autoscaling.Wait, after time.Duration) {
	e.tokens[w.Token] = true
	e.at(e.now.Add(after), func() cloud.Fact {
		delete(e.tokens, w.Token)
		// It may be over by now: then there is nothing to complete, and that is no fault.
		_, _ = e.call(cloud.Call{Scope: f.scope, Service: autoscaling.Name, Operation: "CompleteLifecycleAction", In: &shape.CompleteLifecycleActionInput{
			AutoScalingGroupName: &f.name, LifecycleHookName: &w.Hook, LifecycleActionToken: &w.Token, LifecycleActionResult: new("CONTINUE"),
		}})
		return nil
	})
}

// resize takes over a group's row.
func (e *engine) resize(scope string, g *autoscaling.Group) {
	f := e.fleetOf(scope, g.Name)
	f.targetGroup = ""
	for _, a := range g.Attachments {
		if a.Type == "elbv2" && f.targetGroup == "" {
			f.targetGroup = a.ID
		}
	}
	if f.desired != g.DesiredCapacity {
		if e.begun {
			f.record.change(e.now, f.desired, g.DesiredCapacity)
		}
		f.desired = g.DesiredCapacity
		e.change(f)
	}
}

// aim takes over a target's row: a new one is checked at once, and further checks are reported where they count.
func (e *engine) aim(key string, row *elbv2.Target) {
	t := e.targets[key]
	if t == nil {
		t = &target{instance: e.instances[row.ID]}
		e.targets[key] = t
		if t.instance != nil {
			t.instance.balanced++
		}
	}
	health := row.Health().State
	if now := health == elbv2.StateHealthy; now != t.healthy && t.instance != nil {
		t.healthy = now
		if now {
			t.instance.healthy++
		} else {
			t.instance.healthy--
		}
	}
	if t.instance != nil {
		e.touch(t.instance)
	}
	name := row.ID + ":" + strconv.Itoa(int(row.Port))
	switch {
	case health == elbv2.StateDraining && !t.draining:
		t.draining = true
		e.fact(checkTakes, elbv2.TargetDrained{TargetGroup: row.TargetGroup, Target: name})
	case health == elbv2.StateInitial && row.Count == (elbv2.Count{}):
		e.check(key, row.TargetGroup, name, checkTakes)
	case (health == elbv2.StateInitial || health == elbv2.StateHealthy || health == elbv2.StateUnhealthy) && row.Count.Streak():
		e.check(key, row.TargetGroup, name, e.checks[row.TargetGroup])
	}
	t.draining = health == elbv2.StateDraining
}

// check has the result of a target's health check seen after a while.
func (e *engine) check(key, group, name string, after time.Duration) {
	if t := e.targets[key]; !t.waiting {
		t.waiting = true
		e.at(e.now.Add(after), func() cloud.Fact {
			t.waiting = false
			f := elbv2.TargetChecked{TargetGroup: group, Target: name, At: e.now, Passed: t.instance == nil || t.instance.up}
			if !f.Passed {
				f.Reason = "Target.Timeout"
			}
			return f
		})
	}
}

// touch notes that an instance's part in its fleet may have changed.
func (e *engine) touch(i *instance) {
	if !i.touched {
		i.touched = true
		e.touched = append(e.touched, i)
	}
}

// change notes that a fleet's world has something to be told.
func (e *engine) change(f *fleet) {
	if !f.changed {
		f.changed = true
		e.changed = append(e.changed, f)
	}
}

// settle tells the worlds what has become of their fleets.
func (e *engine) settle() {
	for _, i := range e.touched {
		i.touched = false
		f := i.fleet
		if f == nil {
			continue
		}
		serving := i.up && i.member && (i.balanced == 0 || i.healthy > 0)
		billed := i.wished && !i.gone
		if serving == i.serving && billed == i.billed {
			continue
		}
		d := &f.deltas[i.kind]
		switch {
		case serving && !i.serving:
			d.in++
		case !serving && i.serving:
			d.out++
		}
		switch {
		case billed && !i.billed:
			d.billed++
		case !billed && i.billed:
			d.billed--
		}
		i.serving, i.billed = serving, billed
		e.change(f)
	}
	e.touched = e.touched[:0]
	for _, f := range e.changed {
		f.changed = false
		if f.world == nil && e.begun {
			e.open(f)
		}
		if f.world == nil {
			continue // begin tells it all
		}
		f.world.Advance(e.now.Sub(e.From))
		f.world.Desired = f.desired
		for k := range f.deltas {
			d := &f.deltas[k]
			if d.billed != 0 {
				f.world.Bill(world.Kind(k), d.billed)
			}
			if d.out > 0 {
				f.world.Serve(world.Kind(k), -d.out)
			}
			if d.in > 0 {
				f.world.Serve(world.Kind(k), d.in)
			}
			*d = delta{}
		}
	}
	e.changed = e.changed[:0]
}

// begin is the instant From: the load begins, and the outcome with it.
func (e *engine) begin() cloud.Fact {
	e.settle()
	e.begun = true
	for _, group := range slices.Sorted(maps.Keys(e.Loads)) {
		if len(e.Calls) == 0 && !slices.ContainsFunc(e.sorted(), func(f *fleet) bool { return f.name == group }) && e.failed == nil {
			e.failed = fmt.Errorf("sim: there is a load for group %s, but the set-up has no such group", group)
		}
	}
	for n, f := range e.sorted() {
		f.place = uint64(n)
		e.open(f)
	}
	for _, i := range e.instances { // any order: they are counted
		if i.fleet == nil {
			continue
		}
		if i.serving {
			i.fleet.world.Begin(i.kind, 1)
		} else if i.billed {
			i.fleet.world.Bill(i.kind, 1)
		}
	}
	return nil
}

// open makes a fleet's world.
func (e *engine) open(f *fleet) {
	clear(f.deltas)
	f.world = f.ready.World(aligned(e.Loads[f.name], e.From, e.To), world.Options{Points: !e.NoPoints})
	f.world.Desired = f.desired
	f.world.Advance(e.now.Sub(e.From))
	f.last = f.world.Totals()
	e.upset(f)
}
