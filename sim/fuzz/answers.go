package fuzz

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// checkFacts: what is seen of the world has its consequence in the very step that tells of it, however much comes later to
// the same end.
func (r *run) checkFacts(facts []cloud.Fact, effects []cloud.Effect, deltas []delta) {
	before := map[string]*ec2.Instance{} // of the instances that have changed
	for _, d := range deltas {
		if i, _ := d.old.(*ec2.Instance); i != nil {
			before[i.ID] = i
		}
	}
	was := func(id string) *ec2.Instance {
		if i := before[id]; i != nil {
			return i
		}
		return r.rows.instances[r.rows.where[id]]
	}
	for _, f := range facts {
		id, from, to := "", "", ""
		switch f := f.(type) {
		case ec2.InstanceRunning:
			id, from, to = f.ID, ec2.Pending, "running shutting-down stopping stopped terminated"
		case ec2.LaunchFailed:
			id, from, to = f.ID, ec2.Pending, "stopped terminated running shutting-down stopping"
		case ec2.InstanceStopped:
			id, from, to = f.ID, ec2.Stopping, "stopped shutting-down terminated"
		case ec2.InstanceTerminated:
			id, from, to = f.ID, ec2.ShuttingDown, "terminated"
		case ec2.Inventory:
			if len(facts) == 1 {
				r.checkInventory(f, was, effects, before)
			}
		}
		if i := was(id); i != nil && i.State == from {
			if is := r.rows.instances[r.rows.where[id]]; is != nil && !slices.Contains(strings.Fields(to), is.State) {
				r.fail("a fact has its consequence at once", "%T of %s, which was %s and is %s", f, id, from, is.State)
			}
		}
	}
}

// checkInventory: where an inventory disagrees with a row that is older, the row changes, or the wish is made again.
func (r *run) checkInventory(f ec2.Inventory, was func(string) *ec2.Instance, effects []cloud.Effect, changed map[string]*ec2.Instance) {
	wished := map[string]bool{}
	for _, e := range effects {
		wished[about(e)] = true
	}
	seen := map[string]string{}
	for _, x := range f.Instances {
		seen[x.ID] = x.State
		i, answer := was(x.ID), changed[x.ID] != nil || wished[x.ID]
		switch {
		case answer || i != nil && !i.Changed.Before(f.Began):
		case i == nil, i.State == ec2.Terminated, i.State == ec2.Stopped && x.State == running, i.State == ec2.Running && x.State == stopped && i.Wish == "" && i.Capturing == "",
			i.State == ec2.Pending && x.State == running, i.State == ec2.Stopping && x.State == stopped:
			r.fail("an inventory that disagrees has a consequence", "%s, seen at %v, is %s", encoded(x), f.Began, encoded(i))
		}
	}
	for _, i := range r.rows.instances { // any order
		if seen[i.ID] == "" && changed[i.ID] == nil && !wished[i.ID] && i.Changed.Before(f.Began) && i.Capturing == "" &&
			(i.State == ec2.Running && i.Wish == "" || i.State == ec2.ShuttingDown || i.State == ec2.Stopping || i.State == ec2.Stopped) {
			r.fail("an inventory that disagrees has a consequence", "nothing was seen at %v of %s", f.Began, encoded(i))
		}
	}
}

// checkLeft: a member that leaves service has left the group's load balancers (LB-DR-04, AS-LC-07).
func (r *run) checkLeft(d delta, to string) {
	m, _ := d.old.(*autoscaling.Member)
	if m == nil || m.LifecycleState != "InService" || to == "InService" || to == "" {
		return
	}
	scope := scopeOf(d.key).String() + "/"
	g := r.rows.groups[scope+m.Group]
	if g == nil {
		return
	}
	for _, a := range g.Attachments {
		if x := r.rows.registrations[scope+a.ID+"|"+m.ID]; x != nil && x.Unused == "" && x.DrainUntil.IsZero() {
			r.fail("who leaves service leaves the load balancers", "%s went to %s and is still with %s", m.ID, to, a.ID)
		}
		for key, x := range r.rows.targets { // any order
			if x.ID == m.ID && x.TargetGroup == a.ID && strings.HasPrefix(key, scope) && x.Unused == "" && x.DrainUntil.IsZero() {
				r.fail("who leaves service leaves the load balancers", "%s went to %s and is still in %s", m.ID, to, a.ID)
			}
		}
	}
}

// checkProtected: scale-in leaves instances alone that are in service and protected (AS-PR-01).
func (r *run) checkProtected(d delta) {
	was, _ := d.old.(*autoscaling.Member)
	m, _ := d.new.(*autoscaling.Member)
	if was == nil || m == nil || !was.Protected || !m.Protected || was.LifecycleState != "InService" || m.Activity == "" {
		return
	}
	if g := r.rows.groups[scopeOf(d.key).String()+"/"+m.Group]; g == nil || g.Deleting {
		return // ForceDelete ends all of them, also where the group had been told to have none
	}
	if a := r.rows.activities[scopeOf(d.key).String()+"/"+m.Activity]; a != nil && strings.Contains(a.Cause, "was selected for termination") && !strings.Contains(a.Cause, "deleted") {
		r.fail("scale-in leaves protected instances alone", "%s", encoded(a))
	}
}

// checkDrained: who has drained need not wait for the rest of the delay (LB-DR-01).
func (r *run) checkDrained(facts []cloud.Fact) {
	for _, f := range facts {
		c, ok := f.(elbv2.TargetDrained)
		if !ok {
			continue
		}
		scope := elbv2.ScopeOf(c.TargetGroup).String() + "/"
		if x := r.rows.targets[scope+c.TargetGroup+"|"+c.Target]; x != nil && !x.DrainUntil.IsZero() && !x.Drained {
			r.fail("a fact has its consequence at once", "%s has drained: %s", c.Target, encoded(x))
		}
		if x := r.rows.registrations[scope+classicName(c.TargetGroup)+"|"+c.Target]; x != nil && !x.DrainUntil.IsZero() && !x.Drained {
			r.fail("a fact has its consequence at once", "%s has drained: %s", c.Target, encoded(x))
		}
	}
}

// pace counts a group's launches in a minute of the cloud's time.
type pace struct {
	minute time.Time
	count  int
}

// checkPace: launches that fail are not tried again without end (AS-HK-18).
func (r *run) checkPace(d delta) {
	a, _ := d.new.(*autoscaling.Activity)
	if d.old != nil || a == nil || a.Kind != "launch" {
		return
	}
	key := scopeOf(d.key).String() + "/" + a.Group
	p, minute := r.paces[key], r.latest.Truncate(time.Minute)
	if p.minute != minute {
		p = pace{minute: minute}
	}
	p.count++
	r.paces[key] = p
	if g := r.rows.groups[key]; g != nil && p.count > 10+3*max(most, g.MaxSize) {
		r.fail("launches that fail are held back", "%s: %d launches in the minute of %v; %s", key, p.count, minute, r.why(key))
	}
}
