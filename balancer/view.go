package balancer

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// front is what stays of a listener while configurations come and go: the HTTP handler and
// the TCP acceptor.
type front struct {
	b      *Balancer
	view   atomic.Pointer[view]
	turn   atomic.Uint64 // for the choice of a target group
	socket *socket       // nil if it does not listen; guarded by Balancer.mu
}

// view is what a listener is to do according to one configuration. It does not change.
type view struct {
	lb          *LoadBalancer
	listener    *Listener
	stats       *lbStats
	idle        time.Duration // wall
	keepAlive   time.Duration // wall
	port        string        // of the listener
	branches    []branch
	totalWeight int
}

type branch struct {
	weight  int
	policy  policy
	members []member // that requests may go to
}

// member is a target as one load balancer sees it.
type member struct {
	target *target
	pool   *pool
	stats  *targetStats
}

// group is what stays of a target group: its policy's state.
type group struct {
	algorithm string
	policy    policy
}

// table is a whole configuration in the form in which it is worked with. It does not change.
type table struct {
	config *Config
	lbs    map[string]*LoadBalancer
	groups map[string]*TargetGroup
	used   map[string]bool   // target groups that a listener forwards to
	hosts  map[string]*front // by DNS name in lower case
	fronts map[frontKey]*front
	views  map[*front]*view
	// targets of this configuration, with their place in it.
	targets map[targetKey]*Target
}

type frontKey struct{ lb, listener string }

// pick chooses a target. There is none if no registered target may get requests (LB-ER-11),
// or all weights are zero (LB-RU-03).
func (v *view) pick(turn *atomic.Uint64) (member, bool) {
	if v.totalWeight == 0 {
		return member{}, false
	}
	br := &v.branches[0]
	if len(v.branches) > 1 {
		br = pickBranch(v.branches, v.totalWeight, turn.Add(1))
	}
	if len(br.members) == 0 {
		return member{}, false
	}
	return br.policy.pick(br.members), true
}

// choose picks a target and begins a request on it. Only between a change of configuration
// and its taking effect can a pick be of a target that has just closed; then the next view
// is there already.
func (f *front) choose() (*view, member, bool) {
	for range 1000 {
		v := f.view.Load()
		m, ok := v.pick(&f.turn)
		if !ok {
			return v, m, false
		}
		if m.target.acquire() {
			return v, m, true
		}
	}
	return f.view.Load(), member{}, false // a listener that was removed, and its targets too
}

// routable are the registered targets that requests go to: the healthy ones, or all of them
// if an application load balancer's group has too few (LB-HC-07). Draining and unused targets
// never are.
func routable(g *TargetGroup, kind Kind) []*Target {
	var healthy, registered []*Target
	for i := range g.Targets {
		t := &g.Targets[i]
		switch t.State {
		case StateHealthy, StateUnavailable:
			healthy = append(healthy, t)
			registered = append(registered, t)
		case StateInitial, StateUnhealthy:
			registered = append(registered, t)
		}
	}
	if kind == KindClassic {
		return healthy // LB-CL-04
	}
	few := len(healthy) < max(g.MinimumHealthyCount, 1) ||
		len(healthy)*100 < len(registered)*g.MinimumHealthyPercentage
	if few {
		return registered
	}
	return healthy
}

// compile makes the table of a configuration, reusing what stays. It changes nothing that
// requests look at. Balancer.mu is held.
func (b *Balancer) compile(c *Config) (*table, []Problem) {
	t := &table{
		config: c, lbs: map[string]*LoadBalancer{}, groups: map[string]*TargetGroup{}, used: map[string]bool{},
		hosts: map[string]*front{}, fronts: map[frontKey]*front{}, views: map[*front]*view{},
		targets: map[targetKey]*Target{},
	}
	var problems []Problem
	for i := range c.TargetGroups {
		g := &c.TargetGroups[i]
		t.groups[g.ID] = g
		for j := range g.Targets {
			key := targetKey{g.ID, g.Targets[j].ID, g.Targets[j].Address}
			t.targets[key] = &g.Targets[j]
			if b.targets[key] == nil {
				b.targets[key] = &target{b: b, key: key}
			}
		}
		if _, err := parseMatcher(g.HealthCheck.Matcher); err != nil {
			problems = append(problems, Problem{TargetGroup: g.ID, Message: fmt.Sprintf(
				"The matcher %q of target group %s is not a list of HTTP codes and ranges; 200 is used.", g.HealthCheck.Matcher, g.ID)})
		}
	}
	for i := range c.LoadBalancers {
		lb := &c.LoadBalancers[i]
		t.lbs[lb.ID] = lb
		problems = append(problems, b.compileLB(t, lb)...)
	}
	return t, problems
}

func (b *Balancer) compileLB(t *table, lb *LoadBalancer) (problems []Problem) {
	var fronts []*front
	for i := range lb.Listeners {
		l := &lb.Listeners[i]
		key := frontKey{lb.ID, l.ID}
		if t.fronts[key] != nil {
			problems = append(problems, Problem{LoadBalancer: lb.ID, Listener: l.ID,
				Message: fmt.Sprintf("Listener %s of %s is there twice; the first is used.", l.ID, lb.ID)})
			continue
		}
		f := b.front(key)
		v, err := b.compileView(t, lb, l)
		if err != "" {
			problems = append(problems, Problem{LoadBalancer: lb.ID, Listener: l.ID, Message: err})
		}
		t.fronts[key], t.views[f] = f, v
		fronts = append(fronts, f)
	}
	if len(fronts) == 0 { // its name is known all the same: answers 503
		f := b.front(frontKey{lb.ID, ""})
		v, _ := b.compileView(t, lb, &Listener{Port: 80})
		t.fronts[frontKey{lb.ID, ""}], t.views[f] = f, v
		fronts = append(fronts, f)
	}
	// A DNS name leads to the HTTP listener on port 80, else to the first HTTP listener, else,
	// for convenience, to the first one.
	rank := func(f *front) int {
		switch l := t.views[f].listener; {
		case l.Protocol == ProtocolHTTP && l.Port == 80:
			return 0
		case l.Protocol == ProtocolHTTP:
			return 1
		}
		return 2
	}
	best := slices.MinFunc(fronts, func(x, y *front) int { return cmp.Compare(rank(x), rank(y)) })
	for _, name := range lb.DNSNames {
		t.hosts[strings.ToLower(strings.TrimSuffix(name, "."))] = best
	}
	return problems
}

func (b *Balancer) front(key frontKey) *front {
	if old := b.table.Load(); old != nil && old.fronts[key] != nil {
		return old.fronts[key]
	}
	return &front{b: b}
}

func (b *Balancer) compileView(t *table, lb *LoadBalancer, l *Listener) (v *view, problem string) {
	v = &view{
		lb: lb, listener: l, stats: b.statsOfLB(lb.ID), port: strconv.Itoa(l.Port),
		idle:      b.wall(cmp.Or(lb.IdleTimeout, 60*time.Second), idleFloor),
		keepAlive: b.wall(cmp.Or(lb.ClientKeepAlive, time.Hour), idleFloor),
	}
	for _, w := range l.Forward {
		g := t.groups[w.TargetGroup]
		if g == nil {
			problem = fmt.Sprintf("Listener %s of %s forwards to target group %s, which does not exist.", l.ID, lb.ID, w.TargetGroup)
			continue
		}
		t.used[g.ID] = true
		br := branch{weight: max(w.Weight, 0), policy: b.group(g).policy}
		for _, c := range routable(g, lb.Kind) {
			tg := b.targets[targetKey{g.ID, c.ID, c.Address}]
			br.members = append(br.members, member{
				target: tg, pool: tg.pool(instanceAddress(c.Address, l.InstancePort)),
				stats: b.statsOfTarget(statsKey{lb.ID, g.ID, c.Zone})})
		}
		v.branches = append(v.branches, br)
		v.totalWeight += br.weight
	}
	return v, problem
}

func instanceAddress(address string, port int) string {
	if port == 0 {
		return address
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

func (b *Balancer) group(g *TargetGroup) *group {
	kept := b.groups[g.ID]
	if kept == nil || kept.algorithm != g.Algorithm {
		kept = &group{algorithm: g.Algorithm, policy: newPolicy(g.Algorithm)}
		b.groups[g.ID] = kept
	}
	return kept
}

func (b *Balancer) statsOfLB(id string) *lbStats {
	if b.lbStats[id] == nil {
		b.lbStats[id] = &lbStats{}
	}
	return b.lbStats[id]
}

func (b *Balancer) statsOfTarget(key statsKey) *targetStats {
	if b.targetStats[key] == nil {
		b.targetStats[key] = &targetStats{}
	}
	return b.targetStats[key]
}
