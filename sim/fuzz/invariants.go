package fuzz

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// check holds what must be true after every step.
func (r *run) check(in cloud.Input, out cloud.Output, deltas []delta) {
	r.targets.results(r, in)
	r.targets.follow(r, deltas)
	r.alarms.check(r, in, deltas)
	for _, d := range deltas {
		switch d.table {
		case autoscaling.Name + ".activities":
			r.checkActivity(d)
			r.checkPace(d)
		case autoscaling.Name + ".members":
			r.checkMove(d)
			r.checkRetained(in, d)
		case ec2.Name + ".instances":
			r.checkInstance(d)
		}
		if r.quiet {
			r.checkQuiet(d)
		}
	}
	if observed, ok := in.(cloud.Observed); ok {
		r.checkFacts(observed.Facts, out.Effects, deltas)
		r.checkDrained(observed.Facts)
	}
	r.checkBeside(out.Effects, deltas)
	r.checkFunctions(in, out.Effects, deltas)
	r.checkMessages(in, deltas)
	r.checkGroups()
	r.checkMembers()
	r.checkLaunches(deltas)
	for _, e := range out.Effects {
		if route, ok := e.(elbv2.Route); ok {
			r.wished[route.ARN] = route
		}
	}
	for n, e := range out.Effects {
		r.checkEffect(e, out.Effects[n+1:])
	}
}

func (r *run) checkGroups() {
	for key, g := range r.rows.groups { // any order
		if g.MinSize > g.DesiredCapacity || g.DesiredCapacity > g.MaxSize {
			r.fail("MinSize <= DesiredCapacity <= MaxSize", "%s: %d <= %d <= %d", key, g.MinSize, g.DesiredCapacity, g.MaxSize)
		}
	}
}

// checkMembers holds members against their groups, instances and activities.
func (r *run) checkMembers() {
	moving := 0
	for key, m := range r.rows.members { // any order
		scope := scopeOf(key).String() + "/"
		g, i := r.rows.groups[scope+m.Group], r.rows.instances[scope+m.ID]
		if g == nil {
			r.fail("a member has a group", "%s: %s", key, encoded(m))
		}
		steady := m.LifecycleState == "InService" || m.LifecycleState == "Standby" || m.LifecycleState == retained
		if steady != (m.Activity == "") {
			r.fail("a member has an activity while it moves, and only then", "%s is %s with activity %q", key, m.LifecycleState, m.Activity)
		}
		if !steady {
			if moving++; r.rows.activities[scope+m.Activity] == nil || !r.rows.activities[scope+m.Activity].End.IsZero() {
				r.fail("a member has an activity while it moves, and only then", "the activity of %s, %s, is over or not there", key, m.LifecycleState)
			}
		}
		gone := i == nil || i.State == ec2.Terminated
		switch {
		case !gone || m.LifecycleState == "Standby" || m.LifecycleState == "EnteringStandby":
		case m.LifecycleState == "Terminating:Wait": // whoever the hook has told may still be at what the instance left
		case m.LifecycleState != "InService":
			r.fail("an instance that is no more is no member", "%s is %s", key, m.LifecycleState)
		case m.HealthStatus == "Healthy" && !suspended(g, "HealthCheck"):
			r.fail("an instance that is no more is Unhealthy", "%s is in service and healthy", key)
		}
		if len(m.Waits) > 0 != strings.HasSuffix(m.LifecycleState, ":Wait") {
			r.fail("a member waits in a wait state", "%s is %s with %d lifecycle actions", key, m.LifecycleState, len(m.Waits))
		}
	}
	open := 0
	for _, a := range r.rows.activities { // any order
		if a.End.IsZero() {
			open++
		}
	}
	if open != moving {
		r.fail("an open activity moves a member", "%d activities are open, %d members are on their way", open, moving)
	}
}

func suspended(g *autoscaling.Group, process string) bool {
	return slices.ContainsFunc(g.Suspended, func(s autoscaling.Suspension) bool { return s.Process == process })
}

// statusCodes are the legal ones (AS-AC-02) of those that occur.
var statusCodes = []string{"PreInService", "InProgress", "WaitingForELBConnectionDraining", "MidLifecycleAction", "Successful", "Failed", "Cancelled"}

// checkActivity: every activity says why, when and how far; one that is over never changes.
func (r *run) checkActivity(d delta) {
	was, _ := d.old.(*autoscaling.Activity)
	a, _ := d.new.(*autoscaling.Activity)
	if a == nil {
		if was != nil && r.latest.Sub(was.Start) < 6*7*24*time.Hour && was.Number > 0 {
			r.fail("activities are kept", "%s is gone", encoded(was))
		}
		return
	}
	over := a.StatusCode == "Successful" || a.StatusCode == "Failed" || a.StatusCode == "Cancelled"
	switch {
	case was != nil && !was.End.IsZero() && *was != *a:
		r.fail("an activity that is over never changes", "%s\nwas %s", encoded(a), encoded(was))
	case !strings.HasPrefix(a.Cause, "At 20") || len(a.Cause) > 1023 || strings.Contains(a.Cause, ". At "):
		r.fail("every activity has a cause", "%s", encoded(a))
	case a.Start.IsZero() || a.Start.After(r.latest) || a.Description == "" || a.ID == "":
		r.fail("every activity has a start and a description", "%s", encoded(a))
	case !slices.Contains(statusCodes, a.StatusCode) || a.Progress < 0 || a.Progress > 100:
		r.fail("every activity has a legal status", "%s", encoded(a))
	case over != !a.End.IsZero() || over != (a.Progress == 100):
		r.fail("an activity is over when it has ended", "%s", encoded(a))
	case over && a.End.Before(a.Start):
		r.fail("an activity ends after its start", "%s", encoded(a))
	}
}

// moves are the lifecycle states that can follow each other within one step, those that are passed through included
// (AS-LC-01 to AS-LC-07). Empty is no member.
var moves = map[string]string{
	"":                    "Pending Pending:Wait InService" + ending,
	"Pending":             " Pending:Wait Pending:Proceed InService Detaching" + ending,
	"Pending:Wait":        " Pending:Proceed InService Detaching" + ending,
	"Pending:Proceed":     " InService" + ending,
	"InService":           " EnteringStandby Standby Detaching" + ending,
	"EnteringStandby":     " Standby" + ending,
	"Standby":             " Pending InService Detaching" + ending,
	"Detaching":           ending,
	"Terminating":         " Terminating:Wait Terminating:Proceed " + retained,
	"Terminating:Wait":    " Terminating:Proceed " + retained,
	"Terminating:Proceed": " ",
	retained:              " Detaching" + ending,
}

// ending are the states on the way out, of which hooks whose target has gone pass several in a step (AS-HK-16).
const ending = " Terminating Terminating:Wait Terminating:Proceed " + retained

// retained is the state of who is left alone since a hook abandoned its end (AS-HK-19).
const retained = "Terminating:Retained"

// checkRetained: only groups that want it retain, and nothing but a call or the end of its instance moves who is retained.
func (r *run) checkRetained(in cloud.Input, d delta) {
	was, _ := d.old.(*autoscaling.Member)
	m, _ := d.new.(*autoscaling.Member)
	switch {
	case m != nil && m.LifecycleState == retained && (was == nil || was.LifecycleState != retained):
		if g := r.rows.groups[scopeOf(d.key).String()+"/"+m.Group]; !g.Options.Retain || g.Deleting {
			r.fail("only a group that wants it retains", "%s: %s", d.key, encoded(g))
		}
	case was != nil && was.LifecycleState == retained && (m == nil || m.LifecycleState != retained):
		call, called := in.(cloud.Call)
		named := called && slices.Contains([]string{"TerminateInstanceInAutoScalingGroup", "DetachInstances", "DeleteAutoScalingGroup"}, call.Operation)
		if i := r.rows.instances[r.rows.where[was.ID]]; !named && i != nil && i.State != ec2.ShuttingDown && i.State != ec2.Terminated {
			r.fail("who is retained is left alone", "%s went on after %T", d.key, in)
		}
	}
}

func (r *run) checkMove(d delta) {
	from, to := "", ""
	defer func() {
		r.checkLeft(d, to)
		r.checkProtected(d)
	}()
	if m, _ := d.old.(*autoscaling.Member); m != nil {
		from = m.LifecycleState
	}
	m, _ := d.new.(*autoscaling.Member)
	if m != nil {
		to = m.LifecycleState
	}
	if was, _ := d.old.(*autoscaling.Member); was != nil && m != nil && was.Group != m.Group {
		r.fail("an instance is a member of one group", "%s went from %s to %s", m.ID, was.Group, m.Group)
	}
	if from != to && !slices.Contains(strings.Split(moves[from], " "), to) {
		r.fail("lifecycle states follow each other as published", "%s went from %q to %q", d.key, from, to)
	}
}

// states are the instance states that can follow each other in one step (EC-IN-01). Empty is no instance.
var states = map[string]string{
	"":               "pending shutting-down",
	ec2.Pending:      "running stopped terminated shutting-down",
	ec2.Running:      "stopping stopped shutting-down terminated",
	ec2.Stopping:     "stopped shutting-down terminated",
	ec2.Stopped:      "pending shutting-down running stopped",
	ec2.ShuttingDown: "terminated",
	ec2.Terminated:   "",
}

func (r *run) checkInstance(d delta) {
	was, _ := d.old.(*ec2.Instance)
	i, _ := d.new.(*ec2.Instance)
	from := ""
	if was != nil {
		from = was.State
	}
	if i == nil {
		if was != nil && from != ec2.Terminated {
			r.fail("an instance is forgotten after its end", "%s was %s", d.key, from)
		}
		return
	}
	if from != i.State && !slices.Contains(strings.Fields(states[from]), i.State) {
		r.fail("instance states follow each other as published", "%s went from %q to %q", i.ID, from, i.State)
	}
	waits := i.Wish != ""
	if must := i.State == ec2.Pending || i.State == ec2.Stopping || i.State == ec2.ShuttingDown; must && !waits || waits && !must && i.State != ec2.Running {
		r.fail("an instance between two states has a wish", "%s is %s with wish %q", i.ID, i.State, i.Wish)
	}
	if i.State == ec2.Terminated {
		return
	}
	for key, x := range r.rows.instances { // any order
		if x.ID != i.ID && x.State != ec2.Terminated && x.PrivateIP == i.PrivateIP && x.VPCID == i.VPCID && scopeOf(key) == scopeOf(d.key) {
			r.fail("every instance has an address of its own", "%s and %s have %s", x.ID, i.ID, i.PrivateIP)
		}
	}
}

// checkLaunches: a group launches what is missing and no more, however often it is asked.
func (r *run) checkLaunches(deltas []delta) {
	for _, d := range deltas {
		m, _ := d.new.(*autoscaling.Member)
		if d.table != autoscaling.Name+".members" || d.old != nil || m == nil || !strings.HasPrefix(m.LifecycleState, "Pending") {
			continue
		}
		scope := scopeOf(d.key)
		if a := r.rows.activities[scope.String()+"/"+m.Activity]; a == nil || a.Kind != "launch" {
			continue
		}
		g := r.rows.groups[scope.String()+"/"+m.Group]
		pending, have, extra := 0, 0, 0
		for key, x := range r.rows.members { // any order
			if x.Group != m.Group || scopeOf(key) != scope {
				continue
			}
			coming := strings.HasPrefix(x.LifecycleState, "Pending")
			if coming {
				pending++
			}
			if coming || x.LifecycleState == "InService" {
				have++
			}
			if x.Rebalance {
				extra++
			}
		}
		if have-extra > g.DesiredCapacity || extra > max(1, g.MaxSize/10) || pending > 100 {
			r.fail("launches in flight are what is missing", "group %s wants %d, has %d with %d pending and %d to balance zones, after the launch of %s", g.Name, g.DesiredCapacity, have, pending, extra, m.ID)
		}
	}
}

// checkEffect: no wish is against the rows. Of several wishes about one thing in a step the last one counts.
func (r *run) checkEffect(e cloud.Effect, after []cloud.Effect) {
	id, legal := "", ""
	switch e := e.(type) {
	case ec2.LaunchInstance:
		id, legal = e.Spec.ID, "pending running" // it may have shown in the same step
	case ec2.StartInstance:
		id, legal = e.Spec.ID, "pending running"
	case ec2.StopInstance:
		id, legal = e.ID, "stopping stopped"
	case ec2.TerminateInstance:
		id, legal = e.ID, "shutting-down terminated unknown"
	case elbv2.Route:
		if reflect.DeepEqual(r.wished[e.ARN], e) {
			r.targets.route(r, e)
		}
		return
	default:
		return
	}
	s := "unknown"
	if i := r.rows.instances[r.rows.where[id]]; i != nil {
		s = i.State
	}
	if !slices.Contains(strings.Fields(legal), s) && !slices.ContainsFunc(after, func(e cloud.Effect) bool { return about(e) == id }) {
		r.fail("no wish is against the rows", "%T of %s, which is %s", e, id, s)
	}
}

// about is the instance that a wish is about, or empty.
func about(e cloud.Effect) string {
	switch e := e.(type) {
	case ec2.LaunchInstance:
		return e.Spec.ID
	case ec2.StartInstance:
		return e.Spec.ID
	case ec2.StopInstance:
		return e.ID
	case ec2.TerminateInstance:
		return e.ID
	}
	return ""
}

// checkQuiet: on a day on which nothing happens nothing happens.
func (r *run) checkQuiet(d delta) {
	switch d.table {
	case autoscaling.Name + ".groups", autoscaling.Name + ".members", autoscaling.Name + ".activities", autoscaling.Name + ".policies",
		elbv2.Name + ".targets", elbv2.Name + ".loadbalancers", "elb.registrations":
	case ec2.Name + ".instances":
		if d.new == nil {
			return // what has ended is forgotten
		}
	default:
		return
	}
	r.fail("a quiet day is quiet", "%s %s was\n%s\nand is\n%s", d.table, d.key, encoded(d.old), encoded(d.new))
}
