package fuzz

import (
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elb"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// targetTwin counts health checks by the published rules (LB-HC-03, LB-CL-01, LB-DR-01, LB-DR-05) and says in which state
// every target of a Route must be: none is healthy before its checks have passed often enough, none that has been taken out
// or whose instance does not run is anything but draining or unused.
type targetTwin struct{ counts map[string]*count } // of those that are in use, by row key

// count is a target's streak; the empty state is initial.
type count struct {
	since         time.Time
	state         string
	passes, fails int32
}

func newTargetTwin() targetTwin { return targetTwin{map[string]*count{}} }

// classicName is the name in the ARN of a classic load balancer, or empty.
func classicName(arn string) string {
	_, name, _ := strings.Cut(arn, ":loadbalancer/")
	return name
}

// results counts the health checks among the facts.
func (t *targetTwin) results(r *run, in cloud.Input) {
	observed, _ := in.(cloud.Observed)
	for _, f := range observed.Facts {
		c, ok := f.(elbv2.TargetChecked)
		if !ok {
			continue
		}
		scope := elbv2.ScopeOf(c.TargetGroup).String() + "/"
		if g := r.rows.targetGroups[scope+c.TargetGroup]; g != nil {
			t.counts[scope+c.TargetGroup+"|"+c.Target].add(c, 1, g.Check.HealthyThreshold, g.Check.UnhealthyThreshold)
		}
		name := classicName(c.TargetGroup)
		if b := r.rows.classics[scope+name]; b != nil {
			t.counts[scope+name+"|"+c.Target].add(c, b.Check.HealthyThreshold, b.Check.HealthyThreshold, b.Check.UnhealthyThreshold)
		}
	}
}

// add counts one result.
func (x *count) add(c elbv2.TargetChecked, initial, healthy, unhealthy int32) {
	if x == nil || c.At.Before(x.since) {
		return
	}
	if !c.Passed {
		x.passes = 0
		if x.fails++; x.fails >= unhealthy {
			x.state = elbv2.StateUnhealthy
		}
		return
	}
	x.fails = 0
	x.passes++
	if x.state == "" && x.passes >= initial || x.state == elbv2.StateUnhealthy && x.passes >= healthy {
		x.state = elbv2.StateHealthy
	}
}

// follow begins new streaks for targets that have come into use, and forgets those that have left.
func (t *targetTwin) follow(r *run, deltas []delta) {
	moved := false
	for _, d := range deltas {
		switch d.table {
		case elbv2.Name + ".targets", elb.Name + ".registrations", ec2.Name + ".instances":
			moved = true
		}
	}
	if !moved {
		return
	}
	used := map[string]bool{}
	note := func(key, id string, inUse bool) {
		if i := r.instance(scopeOf(key), id); strings.HasPrefix(id, "i-") && (i == nil || i.State != ec2.Running) {
			if inUse {
				r.fail("a target whose instance does not run is out of use", "%s, instance %s", key, encoded(i))
			}
		}
		if inUse {
			used[key] = true
			if t.counts[key] == nil {
				t.counts[key] = &count{since: r.latest}
			}
		}
	}
	for key, x := range r.rows.targets { // any order
		note(key, x.ID, x.Unused == "" && x.DrainUntil.IsZero())
		if !x.DrainUntil.IsZero() && r.latest.After(x.DrainUntil.Add(time.Minute)) && !r.late() {
			r.fail("draining ends", "%s drains until %v, at %v", key, x.DrainUntil, r.latest)
		}
	}
	for key, x := range r.rows.registrations { // any order
		note(key, x.ID, x.Unused == "" && x.DrainUntil.IsZero())
	}
	for key := range t.counts { // any order
		if !used[key] {
			delete(t.counts, key)
		}
	}
}

// late tells whether timers are due: what they end may not have ended.
func (r *run) late() bool {
	wake := r.cloud.Wake()
	return !wake.IsZero() && !wake.After(r.latest)
}

func (r *run) instance(scope cloud.Scope, id string) *ec2.Instance {
	return r.rows.instances[scope.String()+"/"+id]
}

// route checks one wish for a load balancer.
func (t *targetTwin) route(r *run, route elbv2.Route) {
	if route.LoadBalancer == nil {
		return
	}
	scope := route.Scope.String() + "/"
	for _, g := range route.LoadBalancer.TargetGroups {
		prefix, there := scope+g.ID+"|", 0
		if route.LoadBalancer.Kind == elbv2.KindClassic {
			prefix = scope + classicName(g.ID) + "|"
			for key := range r.rows.registrations { // any order
				if strings.HasPrefix(key, prefix) {
					there++
				}
			}
		} else {
			for key := range r.rows.targets { // any order
				if strings.HasPrefix(key, prefix) {
					there++
				}
			}
		}
		if there != len(g.Targets) {
			r.fail("a Route has the targets that are registered, and no others", "%s has %d of %d in %s", route.ARN, len(g.Targets), there, g.ID)
		}
		for _, target := range g.Targets {
			if want := t.state(r, prefix+target.ID); target.State != want {
				r.fail("a target's state is its twin's", "%s is %s, not %s", prefix+target.ID, target.State, want)
			}
		}
	}
}

// state is what a target must be.
func (t *targetTwin) state(r *run, key string) string {
	draining := false
	if x := r.rows.targets[key]; x != nil {
		draining = !x.DrainUntil.IsZero()
	} else if x := r.rows.registrations[key]; x != nil {
		draining = !x.DrainUntil.IsZero()
	} else {
		return "not registered"
	}
	c := t.counts[key]
	switch {
	case draining:
		return elbv2.StateDraining
	case c == nil:
		return elbv2.StateUnused
	case c.state == "":
		return elbv2.StateInitial
	}
	return c.state
}

// sameRoutes compares the Routes that a loaded cloud wishes for with the newest ones that were wished for.
func (r *run) sameRoutes(effects []cloud.Effect) {
	served := map[string]bool{}
	for _, e := range effects {
		route, ok := e.(elbv2.Route)
		if !ok || route.LoadBalancer == nil {
			continue
		}
		served[route.ARN] = true
		if a, b := encoded(r.wished[route.ARN]), encoded(route); a != b {
			a, b = parting(a, b)
			r.fail("the newest Route is what the rows say", "loaded, the cloud wishes for\n%s\nnot for\n%s", b, a)
		}
	}
	for _, arn := range sortedKeys(r.wished) {
		if r.wished[arn].LoadBalancer != nil && !served[arn] {
			r.fail("the newest Route is what the rows say", "loaded, the cloud does not wish for %s", arn)
		}
	}
}
