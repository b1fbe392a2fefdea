package elbv2

import (
	"slices"
	"strconv"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// Route is the wish that the data plane serve one load balancer so and no other way. It is made again, whole, whenever
// anything in it changes and once after a load; the newest one counts. Classic load balancers are wished for with the
// same effect.
type Route struct {
	Scope cloud.Scope
	// ARN names the load balancer everywhere, in all accounts and regions. That of a classic one is
	// "...:loadbalancer/NAME", without "app/".
	ARN string
	// LoadBalancer is nil when there is no such load balancer any more.
	LoadBalancer *RouteLoadBalancer
}

// Kinds of load balancers.
const (
	KindApplication = "application"
	KindClassic     = "classic"
)

// RouteLoadBalancer is a load balancer as the data plane needs to know it. Durations are cloud time.
type RouteLoadBalancer struct {
	Kind     string // KindApplication or KindClassic
	DNSNames []string
	Address  string // the loopback address of its own, "127.65.0.1"

	IdleTimeout             time.Duration
	ClientKeepAlive         time.Duration // 0: as the data plane does by itself
	XForwardedFor           string        // append, preserve or remove
	XFFClientPort           bool
	DropInvalidHeaderFields bool

	Listeners    []RouteListener
	TargetGroups []RouteTargetGroup // those that a listener names
}

// RouteListener is a port and where its requests go.
type RouteListener struct {
	ID       string // unique within the load balancer
	Protocol string // HTTP or TCP
	Port     int
	Forward  []RouteForward
	// InstancePort, if not 0, takes the place of the port in the targets' addresses: classic listeners only.
	InstancePort int
}

// RouteForward is one branch of a forward action.
type RouteForward struct {
	TargetGroup string // RouteTargetGroup.ID
	Weight      int
}

// RouteTargetGroup is a set of targets with one health check.
type RouteTargetGroup struct {
	ID                       string // the target group's ARN; of a classic load balancer, its own ARN
	Algorithm                string
	Targets                  []RouteTarget // in order of ID
	HealthCheck              RouteHealthCheck
	MinimumHealthyCount      int // fail-open (LB-HC-07)
	MinimumHealthyPercentage int // 0 is off
}

// RouteTarget is one address in a target group.
type RouteTarget struct {
	ID      string // "i-0123456789abcdef0:80", "10.0.0.7:80"; of a classic load balancer, the instance's ID
	Address string // "ip:port"
	Zone    string
	State   string // initial, healthy, unhealthy, draining or unused
	Streak  bool   // results are being counted towards another state: every one of them is wanted
}

// RouteHealthCheck says how targets are checked. Thresholds are counted in the control plane.
type RouteHealthCheck struct {
	Enabled  bool
	Protocol string // HTTP or TCP
	Port     int    // 0 is traffic-port
	Path     string
	Interval time.Duration
	Timeout  time.Duration
	Matcher  string // HTTP codes, "200,202" or "200-299"
}

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
	r.Targets = s.routes.Targets(tx, arn, func(yield func(RouteTarget) bool) {
		for _, t := range s.targets.Prefix(tx, arn+"|") {
			if !yield(t.route()) {
				return
			}
		}
	}, func(id string) (RouteTarget, bool) {
		t, ok := s.targets.Get(tx, targetKey(arn, id))
		return t.route(), ok
	})
	return r
}

func (t Target) route() RouteTarget {
	return RouteTarget{
		ID: t.name(), Address: targetName(t.Host, t.Port), Zone: t.Zone,
		State: t.Health().State, Streak: t.counts() && t.Count.Streak(),
	}
}
