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
		tx.Wish(elbv2.Route{Scope: tx.Scope, ARN: tx.Scope.ARN("elasticloadbalancing", "loadbalancer/"+name)})
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
	for _, i := range s.registrations.Prefix(tx, name+"|") {
		group.Targets = append(group.Targets, elbv2.RouteTarget{
			ID: i.ID, Address: i.Host + ":" + strconv.Itoa(port), Zone: i.Zone,
			State: i.state(), Streak: i.counts() && i.Count.Streak(),
		})
	}
	r.TargetGroups = []elbv2.RouteTargetGroup{group}
	tx.Wish(elbv2.Route{Scope: tx.Scope, ARN: b.ARN, LoadBalancer: r})
}
