package elbv2

import (
	"slices"
	"strconv"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// wish makes the Route of a load balancer from its rows.
func (s *Service) wish(tx *cloud.Tx, arn string) {
	b, ok := s.loadBalancers.Get(tx, arn)
	if !ok {
		tx.Wish(Route{Scope: tx.Scope, ARN: arn})
		return
	}
	r := &RouteLoadBalancer{
		Kind: KindApplication, DNSNames: []string{b.DNSName, "dualstack." + b.DNSName}, Address: b.Address,
		IdleTimeout:             seconds(b.attribute(keyIdleTimeout)),
		ClientKeepAlive:         seconds(b.attribute(keyClientKeepAlive)),
		XForwardedFor:           b.attribute(keyXFFMode),
		XFFClientPort:           b.attribute(keyXFFClientPort) == "true",
		DropInvalidHeaderFields: b.attribute(keyDropInvalidHeaders) == "true",
	}
	var groups []string
	for _, l := range s.listenersOf(tx, arn) {
		to := RouteListener{ID: l.ARN, Protocol: l.Protocol, Port: int(l.Port)}
		for _, f := range l.Forward {
			to.Forward = append(to.Forward, RouteForward{f.TargetGroup, int(f.Weight)})
			if !slices.Contains(groups, f.TargetGroup) {
				groups = append(groups, f.TargetGroup)
			}
		}
		r.Listeners = append(r.Listeners, to)
	}
	for _, g := range groups {
		r.TargetGroups = append(r.TargetGroups, s.routeGroup(tx, g))
	}
	tx.Wish(Route{tx.Scope, arn, r})
}

func (s *Service) routeGroup(tx *cloud.Tx, arn string) RouteTargetGroup {
	g, _ := s.targetGroups.Get(tx, arn)
	minimum, _ := strconv.Atoi(g.attribute(keyMinimumCount))
	percentage, _ := strconv.Atoi(g.attribute(keyMinimumPercentage)) // "off" is 0
	port, _ := strconv.Atoi(g.Check.Port)                            // trafficPort is 0
	r := RouteTargetGroup{
		ID: arn, Algorithm: g.attribute(keyAlgorithm), MinimumHealthyCount: minimum, MinimumHealthyPercentage: percentage,
		HealthCheck: RouteHealthCheck{
			Enabled: true, Protocol: g.Check.Protocol, Port: port, Path: g.Check.Path, Matcher: g.Check.Matcher,
			Interval: time.Duration(g.Check.Interval) * time.Second, Timeout: time.Duration(g.Check.Timeout) * time.Second,
		},
	}
	for _, t := range s.targets.Prefix(tx, arn+"|") {
		r.Targets = append(r.Targets, t.route())
	}
	return r
}

func (t Target) route() RouteTarget {
	return RouteTarget{
		ID: t.name(), Address: targetName(t.Host, t.Port), Zone: t.Zone,
		State: t.Health().State, Streak: t.counts() && t.Count.Streak(),
	}
}
