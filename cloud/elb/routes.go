package elb

import (
	"strconv"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// wish makes the Route of a load balancer from its rows.
func (s *Service) wish(tx *cloud.Tx, name string) {
	b, ok := s.loadBalancers.Get(tx, name)
	if !ok {
		tx.Wish(elbv2.Route{Scope: tx.Scope, ARN: arn(tx.Scope, name)})
		return
	}
	r := &elbv2.RouteLoadBalancer{
		Kind: elbv2.KindClassic, DNSNames: []string{b.DNSName, "dualstack." + b.DNSName}, Address: b.Address,
		IdleTimeout: time.Duration(b.IdleTimeout) * time.Second, XForwardedFor: "append",
	}
	algorithm := "round_robin" // LB-CL-04
	for _, l := range b.Listeners {
		if l.Protocol == "HTTP" {
			algorithm = "least_outstanding_requests"
		}
		r.Listeners = append(r.Listeners, elbv2.RouteListener{
			ID: strconv.Itoa(int(l.Port)), Protocol: l.Protocol, Port: int(l.Port), InstancePort: int(l.InstancePort),
			Forward: []elbv2.RouteForward{{TargetGroup: b.ARN, Weight: 1}},
		})
	}
	protocol, port, path, _ := b.Check.split()
	group := elbv2.RouteTargetGroup{
		ID: b.ARN, Algorithm: algorithm,
		HealthCheck: elbv2.RouteHealthCheck{
			Enabled: true, Protocol: protocol, Port: port, Path: path, Matcher: "200",
			Interval: time.Duration(b.Check.Interval) * time.Second, Timeout: time.Duration(b.Check.Timeout) * time.Second,
		},
	}
	group.Targets = s.routes.Targets(tx, b.ARN, func(yield func(elbv2.RouteTarget) bool) {
		for _, i := range s.registrations.Prefix(tx, name+"|") {
			if !yield(i.route()) {
				return
			}
		}
	}, func(id string) (elbv2.RouteTarget, bool) {
		i, ok := s.registrations.Get(tx, registrationKey(name, id))
		return i.route(), ok
	})
	r.TargetGroups = []elbv2.RouteTargetGroup{group}
	tx.Wish(elbv2.Route{Scope: tx.Scope, ARN: b.ARN, LoadBalancer: r})
}

// route is the instance as a target. The port in its address is never used, since listeners and the health check have
// theirs; it is always the same one, so that the target stays the same one when those are changed.
func (r Registration) route() elbv2.RouteTarget {
	return elbv2.RouteTarget{
		ID: r.ID, Address: r.Host + ":1", Zone: r.Zone, State: r.state(), Streak: r.counts() && r.Count.Streak(),
	}
}

// reroute has the Route made again after a registration has come, changed or gone.
func (s *Service) reroute(tx *cloud.Tx, r Registration) {
	s.routes.Changed(tx, arn(tx.Scope, r.LoadBalancer), r.ID)
	tx.Touch(Name, kindRoute, r.LoadBalancer)
}
