package fuzz

import (
	"time"

	"github.com/billow-cloud/billow/cloud/elbv2"
)

// reroute gives a Route to the data plane, perhaps late; the newest one counts.
func (r *run) reroute(route elbv2.Route) {
	delay := time.Duration(0)
	if r.strikes(Late, 50) {
		delay = time.Duration(1+r.upTo(Late, 60)) * time.Second
	}
	if delay == 0 {
		r.routes[route.ARN] = route
		return
	}
	number := r.serial
	if r.routed == nil {
		r.routed = map[string]int{}
	}
	r.routed[route.ARN] = number
	r.later(delay, event{what: func() {
		if newest := r.wished[route.ARN]; newest.ARN != "" && r.routed[route.ARN] == number {
			r.routes[route.ARN] = newest
		}
	}})
}

// checks has the data plane report on all targets: what agrees with a target's state is left out, unless it matters.
func (r *run) checks() {
	for _, arn := range sortedKeys(r.routes) {
		b := r.routes[arn].LoadBalancer
		if b == nil {
			continue
		}
		for _, g := range b.TargetGroups {
			for _, t := range g.Targets {
				r.check1(g.ID, t)
			}
		}
	}
}

func (r *run) check1(group string, t elbv2.RouteTarget) {
	if t.State == elbv2.StateDraining {
		if r.calm || r.nature.IntN(3) == 0 {
			r.tell(elbv2.TargetDrained{TargetGroup: group, Target: t.ID})
		}
		return
	}
	h := r.hosts[t.ID[:min(len(t.ID), 19)]]
	passed := h != nil && h.state == running && !h.sick && !r.strikes(Hang, 10)
	agrees := passed == (t.State == elbv2.StateHealthy)
	old := r.strikes(Facts, 20) // a result from before, perhaps from before the target was one
	if !old && (t.State == elbv2.StateUnused || agrees && !t.Streak && t.State != elbv2.StateInitial) {
		return
	}
	c := elbv2.TargetChecked{TargetGroup: group, Target: t.ID, At: r.clock(), Passed: passed, Code: 200}
	if old {
		c.At = c.At.Add(-time.Duration(r.upTo(Facts, 300)) * time.Second)
	}
	if !passed {
		c.Reason, c.Code = "Target.ResponseCodeMismatch", 503
		if r.nature.IntN(2) == 0 {
			c.Reason, c.Code = "Target.Timeout", 0
		}
	}
	r.tell(c)
}

// traffic tells what went through the load balancers.
func (r *run) traffic(span time.Duration) {
	f := elbv2.Traffic{From: r.clock().Add(-span), To: r.clock()}
	for _, arn := range sortedKeys(r.routes) {
		b := r.routes[arn].LoadBalancer
		if b == nil {
			continue
		}
		f.Counters = append(f.Counters, elbv2.Counters{LoadBalancer: arn, Zone: "us-east-1a", NewConnectionCount: 3, ELB5XX: 1})
		for _, g := range b.TargetGroups {
			c := elbv2.Counters{LoadBalancer: arn, TargetGroup: g.ID, Zone: "us-east-1a", RequestCount: int64(r.load) * 10}
			c.TargetResponseTime = elbv2.Distribution{Count: 2, Sum: 3, Min: 1, Max: 2, Values: []float64{1, 2}}
			f.Counters = append(f.Counters, c)
		}
	}
	if len(f.Counters) > 0 {
		r.later(time.Millisecond, event{fact: f})
	}
}
