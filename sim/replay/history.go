package replay

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/table"
	"github.com/billow-cloud/billow/flight"
)

// history is what a recording says of the world: how much work there was, how fast instances came up, which were lost.
type history struct {
	groups    map[string]*group // by scope and name
	instances map[string]*machine
	hooks     map[string]time.Time   // when lifecycle actions began, by token
	completed map[string][]float64   // seconds that lifecycle actions took, by hook
	calls     map[string][]timedCall // of groups, by group: what operators changed
}

// group is one Auto Scaling group over time.
type group struct {
	key     string
	scope   cloud.Scope
	name    string
	from    []attachment
	fronts  map[string]bool   // load balancers in front of its target groups
	minutes map[int64]*minute // by start, in seconds since 1970
	desired []level
	members map[string]bool // in service now
	served  []level         // number in service
	losses  []time.Time     // members that ended without the group's wish
	tracked float64         // percent of CPU that a policy keeps to; 0 if none does
}

type attachment struct{ kind, id string }

// level is a number from an instant on.
type level struct {
	at time.Time
	n  int
}

// minute is what was measured of a group in one minute.
type minute struct {
	work      float64 // percent of CPU, over all instances
	measured  int     // instances
	requests  float64
	failed    float64
	answers   float64 // with a known response time
	answering float64 // seconds that they took, together
}

// machine is one instance.
type machine struct {
	group   *group
	begun   time.Time // launched
	seen    bool      // while it was pending: one that a snapshot has running came up at an unknown time
	running time.Time
	passed  time.Time // its first health check of a load balancer
	ended   time.Time // the first wish or news of its end
}

type timedCall struct {
	at   time.Time
	call cloud.Call
}

func newHistory() *history {
	return &history{
		groups: map[string]*group{}, instances: map[string]*machine{}, hooks: map[string]time.Time{}, completed: map[string][]float64{},
		calls: map[string][]timedCall{},
	}
}

// begin takes over what a snapshot has.
func (h *history) begin(c *cloud.Cloud, at time.Time) {
	c.Dump(func(name, key string, row any) bool {
		h.row(at, table.Change{Table: name, Key: key, Row: row})
		return true
	})
}

// step takes over one step.
func (h *history) step(s flight.Step, out cloud.Output) {
	switch in := s.Input.(type) {
	case cloud.Call:
		if out.Err == nil {
			h.call(s.At, in)
		}
	case cloud.Observed:
		for _, f := range in.Facts {
			h.fact(s.At, f)
		}
	}
	for _, c := range out.Changes {
		h.row(s.At, c)
	}
}

func (h *history) group(scope, name string) *group {
	key := scope + "/" + name
	g := h.groups[key]
	if g == nil {
		account, region, _ := strings.Cut(scope, "/")
		g = &group{key: key, scope: cloud.Scope{Account: account, Region: region}, name: name, fronts: map[string]bool{}, minutes: map[int64]*minute{}, members: map[string]bool{}}
		h.groups[key] = g
	}
	return g
}

func (h *history) machine(id string) *machine {
	m := h.instances[id]
	if m == nil {
		m = &machine{}
		h.instances[id] = m
	}
	return m
}

func (h *history) row(at time.Time, c table.Change) {
	switch row := c.Row.(type) {
	case *autoscaling.Group:
		g := h.group(scope(c.Key), row.Name)
		g.desired = append(g.desired, level{at, row.DesiredCapacity})
		g.from = g.from[:0]
		for _, a := range row.Attachments {
			g.from = append(g.from, attachment{a.Type, a.ID})
		}
	case *autoscaling.Member:
		g := h.group(scope(c.Key), row.Group)
		h.machine(row.ID).group = g
		g.serve(at, row.ID, row.LifecycleState == "InService")
		for _, w := range row.Waits {
			if _, seen := h.hooks[w.Token]; !seen && w.Result == "" {
				h.hooks[w.Token] = at
			} else if seen && w.Result != "" && !w.TimedOut && !h.hooks[w.Token].IsZero() {
				h.completed[w.Hook] = append(h.completed[w.Hook], at.Sub(h.hooks[w.Token]).Seconds())
				h.hooks[w.Token] = time.Time{}
			}
		}
	case *autoscaling.Policy:
		g := h.group(scope(c.Key), row.Group)
		if m := row.TargetTracking.PredefinedMetricSpecification; m != nil && row.TargetTracking.TargetValue != nil &&
			m.PredefinedMetricType != nil && *m.PredefinedMetricType == "ASGAverageCPUUtilization" {
			g.tracked = *row.TargetTracking.TargetValue
		}
	case *ec2.Instance:
		m := h.machine(row.ID)
		if m.begun.IsZero() {
			m.begun = row.Created
		}
		switch row.State {
		case ec2.Pending:
			m.seen = true
		case ec2.Running:
			if m.seen && m.running.IsZero() {
				m.running = at
			}
		case ec2.ShuttingDown, ec2.Terminated:
			m.ended = earliest(m.ended, at)
		}
	case nil:
		_, id, _ := strings.Cut(strings.TrimPrefix(c.Key, scope(c.Key)), "/")
		switch c.Table {
		case "autoscaling.members":
			if m := h.instances[id]; m != nil && m.group != nil {
				m.group.serve(at, id, false)
			}
		case "ec2.instances":
			if m := h.instances[id]; m != nil {
				m.ended = earliest(m.ended, at)
			}
		}
	}
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func (g *group) serve(at time.Time, id string, in bool) {
	if g.members[id] == in {
		return
	}
	if delete(g.members, id); in {
		g.members[id] = true
	}
	g.served = append(g.served, level{at, len(g.members)})
}

func (g *group) minute(end time.Time) *minute {
	start := end.Add(-1).Truncate(time.Minute).Unix()
	m := g.minutes[start]
	if m == nil {
		m = &minute{}
		g.minutes[start] = m
	}
	return m
}

func (h *history) fact(at time.Time, f cloud.Fact) {
	switch f := f.(type) {
	case ec2.Usage:
		for _, s := range f.Samples {
			if m := h.instances[s.ID]; m != nil && m.group != nil && m.group.members[s.ID] {
				of := m.group.minute(f.To)
				of.work += s.CPUPercent
				of.measured++
			}
		}
	case elbv2.Traffic:
		for _, key := range slices.Sorted(maps.Keys(h.groups)) {
			h.groups[key].traffic(f)
		}
	case elbv2.TargetChecked:
		id, _, _ := strings.Cut(f.Target, ":")
		if m := h.instances[id]; m != nil && f.Passed && m.passed.IsZero() {
			m.passed = at
		}
	case ec2.InstanceExited:
		h.lost(at, f.ID)
	}
}

// lost notes that an instance of a group is gone, though the group did not want that.
func (h *history) lost(at time.Time, id string) {
	if m := h.instances[id]; m != nil && m.group != nil && m.group.members[id] && m.ended.IsZero() {
		m.group.losses = append(m.group.losses, at)
	}
}

// traffic takes what came through the group's load balancers.
func (g *group) traffic(f elbv2.Traffic) {
	for _, c := range f.Counters {
		for _, a := range g.from {
			classic := a.kind == "elb" && c.LoadBalancer == g.scope.ARN("elasticloadbalancing", "loadbalancer/"+a.id)
			if a.kind == "elbv2" && c.TargetGroup == a.id || classic {
				m := g.minute(f.To)
				g.fronts[c.LoadBalancer] = !classic
				m.requests += float64(c.RequestCount)
				m.failed += float64(c.TargetStatus[5]) // connections that failed are in what the balancer answers
				m.answers += c.TargetResponseTime.Count
				m.answering += c.TargetResponseTime.Sum
				if classic {
					m.failed += float64(c.ELB5XX)
				}
				break
			}
		}
		if c.TargetGroup == "" && g.fronts[c.LoadBalancer] { // what it answered itself
			m := g.minute(f.To)
			m.requests += float64(c.ELB503) // no target was there
			m.failed += float64(c.ELB5XX)
		}
	}
}

// call keeps what operators did to groups, and the instances that they took from them.
func (h *history) call(at time.Time, c cloud.Call) {
	name := ""
	switch in := c.In.(type) {
	case *ec2api.TerminateInstancesInput:
		for _, id := range in.InstanceIds {
			h.lost(at, id)
		}
	case *asapi.UpdateAutoScalingGroupInput:
		name = *in.AutoScalingGroupName
	case *asapi.SetDesiredCapacityInput:
		if in.HonorCooldown == nil || !*in.HonorCooldown {
			name = *in.AutoScalingGroupName
		}
	case *asapi.PutScheduledUpdateGroupActionInput:
		name = *in.AutoScalingGroupName
	case *asapi.SuspendProcessesInput:
		name = *in.AutoScalingGroupName
	case *asapi.ResumeProcessesInput:
		name = *in.AutoScalingGroupName
	case *asapi.PutScalingPolicyInput:
		name = *in.AutoScalingGroupName
	}
	if name != "" {
		g := h.group(c.Scope.String(), name)
		h.calls[g.key] = append(h.calls[g.key], timedCall{at, c})
	}
}

// at is a level at an instant.
func at(levels []level, t time.Time) int {
	n := 0
	for _, l := range levels {
		if l.at.After(t) {
			break
		}
		n = l.n
	}
	return n
}

// boots are the seconds that the group's instances took from launch until they could serve.
func (h *history) boots(g *group) (took []float64) {
	for _, id := range slices.Sorted(maps.Keys(h.instances)) {
		m := h.instances[id]
		if m.group != g || m.begun.IsZero() || m.running.IsZero() {
			continue
		}
		ready := m.running
		if m.passed.After(ready) {
			ready = m.passed
		}
		if s := ready.Sub(m.begun).Seconds(); s >= 0 {
			took = append(took, s)
		}
	}
	return took
}

// spread is the mean and the coefficient of variation.
func spread(values []float64) (mean, cv float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		cv += (v - mean) * (v - mean) / float64(len(values))
	}
	if mean > 0 {
		return mean, math.Sqrt(cv) / mean
	}
	return mean, 0
}

// sorted are the groups in the order of their keys.
func (h *history) sorted() []*group {
	return slices.SortedFunc(maps.Values(h.groups), func(a, b *group) int { return cmp.Compare(a.key, b.key) })
}
