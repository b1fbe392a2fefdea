package daemon

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/billow-cloud/billow/balancer"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// routes merges the wishes for single load balancers into the data plane's one snapshot, and turns what the data plane
// saw into facts.
type routes struct {
	clock    Clock
	log      *slog.Logger
	balancer *balancer.Balancer
	observe  func(...cloud.Fact)

	mu      sync.Mutex
	wished  map[string]*elbv2.RouteLoadBalancer // by ARN
	changed chan struct{}
	said    []balancer.Problem // those of the last Apply, so that each is logged once
	since   time.Time          // cloud time of the last collection
}

func newRoutes(clock Clock, log *slog.Logger, dial dialFunc, observe func(...cloud.Fact)) *routes {
	r := &routes{
		clock: clock, log: log, observe: observe, wished: map[string]*elbv2.RouteLoadBalancer{},
		changed: make(chan struct{}, 1), since: clock.Now(),
	}
	r.balancer = balancer.New(balancer.Options{Dial: dial, Report: r.report, TimeScale: clock.Scale, Log: log})
	return r
}

// wish takes the newest wish for a load balancer; run applies it.
func (r *routes) wish(w elbv2.Route) {
	r.mu.Lock()
	if w.LoadBalancer == nil {
		delete(r.wished, w.ARN)
	} else {
		r.wished[w.ARN] = w.LoadBalancer
	}
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// run applies wishes as they come, many at a time if they come fast, until ctx ends.
func (r *routes) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.changed:
			r.apply()
		}
	}
}

func (r *routes) apply() {
	r.mu.Lock()
	var c balancer.Config
	for _, arn := range sortedKeys(r.wished) {
		lb := r.wished[arn]
		c.LoadBalancers = append(c.LoadBalancers, loadBalancer(arn, lb))
		for _, g := range lb.TargetGroups {
			c.TargetGroups = append(c.TargetGroups, targetGroup(g))
		}
	}
	r.mu.Unlock()
	problems := r.balancer.Apply(&c)
	for _, p := range problems {
		if !slices.Contains(r.said, p) {
			r.log.Warn("a load balancer cannot serve all that it should", "problem", p.Message, "load-balancer", p.LoadBalancer)
		}
	}
	r.said = problems
}

// clear forgets every wish.
func (r *routes) clear() {
	r.mu.Lock()
	clear(r.wished)
	r.mu.Unlock()
	r.apply()
}

func (r *routes) report(f balancer.Facts) {
	facts := make([]cloud.Fact, 0, len(f.Health)+len(f.Drained))
	for _, h := range f.Health {
		facts = append(facts, elbv2.TargetChecked{
			TargetGroup: h.TargetGroup, Target: h.Target, At: r.clock.At(h.At), Passed: h.Passed, Reason: h.Reason, Code: h.Code,
		})
	}
	for _, d := range f.Drained {
		facts = append(facts, elbv2.TargetDrained{TargetGroup: d.TargetGroup, Target: d.Target})
	}
	r.observe(facts...)
}

// traffic gives what went through since the last call, as a fact.
func (r *routes) traffic(to time.Time) elbv2.Traffic {
	t := elbv2.Traffic{From: r.since, To: to}
	r.since = to
	for _, c := range r.balancer.Collect() {
		d := c.TargetResponseTime
		t.Counters = append(t.Counters, elbv2.Counters{
			LoadBalancer: c.LoadBalancer, TargetGroup: c.TargetGroup, Zone: c.Zone,
			RequestCount: c.RequestCount, TargetStatus: c.TargetStatus, TargetConnectionErrorCount: c.TargetConnectionErrorCount,
			TargetResponseTime: elbv2.Distribution{
				Count: float64(d.Count), Sum: d.Sum, Min: d.Min, Max: d.Max, Values: d.Values, Counts: d.Counts,
			},
			NewConnectionCount: c.NewConnectionCount, ActiveConnectionCount: c.ActiveConnectionCount,
			RejectedConnectionCount: c.RejectedConnectionCount, ProcessedBytes: c.ProcessedBytes,
			ELB4XX: c.ELB4XX, ELB5XX: c.ELB5XX, ELB500: c.ELB500, ELB502: c.ELB502, ELB503: c.ELB503, ELB504: c.ELB504,
		})
	}
	return t
}

// match finds the load balancer of a Host header.
func (r *routes) match(host string) (http.Handler, bool) { return r.balancer.Match(host) }

func loadBalancer(arn string, lb *elbv2.RouteLoadBalancer) balancer.LoadBalancer {
	address, _ := netip.ParseAddr(lb.Address) // none: reached by its Host header only
	out := balancer.LoadBalancer{
		ID: arn, Kind: balancer.Kind(lb.Kind), DNSNames: lb.DNSNames, Address: address,
		IdleTimeout: lb.IdleTimeout, ClientKeepAlive: lb.ClientKeepAlive, XForwardedFor: lb.XForwardedFor,
		XFFClientPort: lb.XFFClientPort, DropInvalidHeaderFields: lb.DropInvalidHeaderFields,
	}
	for _, l := range lb.Listeners {
		listener := balancer.Listener{ID: l.ID, Protocol: l.Protocol, Port: l.Port, InstancePort: l.InstancePort}
		for _, f := range l.Forward {
			listener.Forward = append(listener.Forward, balancer.WeightedTargetGroup(f))
		}
		out.Listeners = append(out.Listeners, listener)
	}
	return out
}

func targetGroup(g elbv2.RouteTargetGroup) balancer.TargetGroup {
	out := balancer.TargetGroup{
		ID: g.ID, Algorithm: g.Algorithm, HealthCheck: balancer.HealthCheck(g.HealthCheck),
		MinimumHealthyCount: g.MinimumHealthyCount, MinimumHealthyPercentage: g.MinimumHealthyPercentage,
	}
	for _, t := range g.Targets {
		out.Targets = append(out.Targets, balancer.Target{
			ID: t.ID, Address: t.Address, Zone: t.Zone, State: balancer.State(t.State), Streak: t.Streak,
		})
	}
	return out
}
