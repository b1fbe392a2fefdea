package elbv2

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	ec2api "github.com/billow-cloud/billow/api/ec2"
	shape "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
)

// TestCountAgainstItsDefinition: LB-HC-01, LB-HC-03. The twin looks at the whole history each time.
func TestCountAgainstItsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		limit := Thresholds{Initial: int32(1 + rng.IntN(3)), Healthy: int32(2 + rng.IntN(4)), Unhealthy: int32(2 + rng.IntN(3))}
		var c Count
		state, run := StateInitial, []bool(nil) // run: the results since the state last changed
		for range 60 {
			passed := rng.IntN(2) == 0
			c = c.Checked(passed, "why", 503, limit)
			run = append(run, passed)
			last := func(n int32, want bool) bool {
				return len(run) >= int(n) && !slices.Contains(run[len(run)-int(n):], !want)
			}
			switch {
			case state != StateHealthy && state != StateUnhealthy && last(limit.Initial, true), state == StateUnhealthy && last(limit.Healthy, true):
				state, run = StateHealthy, nil
			case state != StateUnhealthy && last(limit.Unhealthy, false):
				state, run = StateUnhealthy, nil
			}
			if c.Name() != state {
				t.Fatalf("%+v: is %s, want %s", limit, c.Name(), state)
			}
			agrees := len(run) == 0 || state == StateHealthy && run[len(run)-1] || state == StateUnhealthy && !run[len(run)-1]
			if c.Streak() == agrees {
				t.Fatalf("streak is %v in %s after %v", c.Streak(), state, run)
			}
		}
	}
}

func TestTheLifeOfATarget(t *testing.T) {
	w := newWorld(t)
	subnets, _ := w.subnets()
	id, group := w.launch(1, subnets[0])[0], w.targetGroup("web")
	is := func(want string) {
		t.Helper()
		if got := w.health(group, id); got != want {
			t.Errorf("is %q, want %q", got, want)
		}
	}
	is("unused Target.NotRegistered: Target is not registered to the target group")
	w.register(group, id)
	is("unused Target.NotInUse: Target group is not configured to receive traffic from the load balancer") // LB-HC-08
	lb := *w.loadBalancer("front").LoadBalancerArn
	listener := w.listener(lb, 80, group)
	is("initial Elb.RegistrationInProgress: Target registration is in progress")
	w.check(group, id, 503)
	is("initial Elb.InitialHealthChecking: Initial health checks in progress")
	w.check(group, id, 200)
	is("healthy") // LB-HC-03: one pass
	w.check(group, id, 503)
	is("healthy")
	if r, _ := w.route(lb, group, id); r.State != StateHealthy || !r.Streak {
		t.Errorf("the data plane is told %+v", r)
	}
	w.check(group, id, 200)
	if r, _ := w.route(lb, group, id); r.Streak || r.Zone != "us-east-1a" || r.Address == ":80" {
		t.Errorf("the data plane is told %+v", r)
	}
	w.check(group, id, 503)
	w.check(group, id, 503)
	is("unhealthy Target.ResponseCodeMismatch: Health checks failed with these codes: [503]") // LB-HC-01, LB-HC-06
	w.check(group, id, 0)
	is("unhealthy Target.Timeout: Request timed out")
	for range 4 {
		w.check(group, id, 200)
	}
	is("unhealthy Target.Timeout: Request timed out")
	w.check(group, id, 200)
	is("healthy") // LB-HC-01: five passes

	w.try("ec2", "StopInstances", &ec2api.StopInstancesInput{InstanceIds: []string{id}})
	is("unused Target.InvalidState: Target is in the stopped state") // LB-DR-05
	stale := TargetChecked{TargetGroup: group, Target: id + ":80", At: w.now.Add(-time.Minute), Passed: true}
	w.try("ec2", "StartInstances", &ec2api.StartInstancesInput{InstanceIds: []string{id}})
	w.step(cloud.Observed{Facts: []cloud.Fact{stale}})
	is("initial Elb.RegistrationInProgress: Target registration is in progress")
	w.check(group, id, 200)
	is("healthy")
	do[shape.DeleteListenerOutput](w, "DeleteListener", &shape.DeleteListenerInput{ListenerArn: &listener})
	is("unused Target.NotInUse: Target group is not configured to receive traffic from the load balancer")
	w.listener(lb, 80, group)

	w.try("ec2", "TerminateInstances", &ec2api.TerminateInstancesInput{InstanceIds: []string{id}})
	is("unused Target.InvalidState: Target is in the terminated state")
	w.pass(ForgetAfter + time.Second)
	is("unused Target.NotRegistered: Target is not registered to the target group")
	want := []string{
		">unused", "unused>initial", "initial>healthy", "healthy>unhealthy", "unhealthy>healthy", "healthy>unused",
		"unused>initial", "initial>healthy", "healthy>unused", "unused>initial", "initial>unused", "gone " + id,
	}
	if !slices.Equal(w.spy.heard, want) {
		t.Errorf("heard %q", w.spy.heard)
	}
}

// serving is a world with a load balancer, a target group and healthy instances in zone a.
func serving(t testing.TB, n int) (w *world, lb, group string, ids []string) {
	w = newWorld(t)
	subnets, _ := w.subnets()
	ids, group, lb = w.launch(n, subnets[0]), w.targetGroup("web"), *w.loadBalancer("front").LoadBalancerArn
	w.listener(lb, 80, group)
	w.register(group, ids...)
	for _, id := range ids {
		w.check(group, id, 200)
	}
	w.spy.heard = nil
	return w, lb, group, ids
}

func (w *world) setDelay(group, delay string) {
	w.t.Helper()
	do[shape.ModifyTargetGroupAttributesOutput](w, "ModifyTargetGroupAttributes", &shape.ModifyTargetGroupAttributesInput{
		TargetGroupArn: new(group), Attributes: []shape.TargetGroupAttribute{{Key: new(keyDelay), Value: new(delay)}},
	})
}

// TestDraining: LB-DR-01, LB-DR-03.
func TestDraining(t *testing.T) {
	w, lb, group, ids := serving(t, 3)
	w.setDelay(group, "60")
	w.deregister(group, ids[0])
	const draining = "draining Target.DeregistrationInProgress: Target deregistration is in progress"
	if got := w.health(group, ids[0]); got != draining {
		t.Error(got)
	}
	if r, ok := w.route(lb, group, ids[0]); !ok || r.State != StateDraining {
		t.Errorf("the data plane is told %+v", r)
	}
	w.pass(10 * time.Second)
	w.deregister(group, ids[0]) // again: nothing new
	w.step(cloud.Observed{Facts: []cloud.Fact{TargetDrained{TargetGroup: group, Target: ids[0] + ":80"}, TargetDrained{TargetGroup: group, Target: ids[0] + ":80"}}})
	w.pass(49 * time.Second)
	if got := w.health(group, ids[0]); got != draining {
		t.Error("shown until the delay is over, was", got)
	}
	w.pass(2 * time.Second)
	if _, ok := w.route(lb, group, ids[0]); ok || w.health(group, ids[0])[:6] != "unused" {
		t.Error("still there after the delay")
	}
	if want := []string{"healthy>draining", "drained " + ids[0], "gone " + ids[0]}; !slices.Equal(w.spy.heard, want) {
		t.Errorf("heard %q", w.spy.heard)
	}

	w.spy.heard = nil
	w.deregister(group, ids[1])
	w.register(group, ids[1])
	if got := w.health(group, ids[1]); got[:7] != "initial" {
		t.Error("registered again:", got)
	}
	w.pass(2 * time.Minute)
	if _, ok := w.route(lb, group, ids[1]); !ok {
		t.Error("the old draining took the new registration away")
	}
	w.setDelay(group, "0")
	w.deregister(group, ids[2])
	if want := []string{"healthy>draining", "draining>initial", "gone " + ids[2]}; !slices.Equal(w.spy.heard, want) {
		t.Errorf("heard %q", w.spy.heard)
	}
}

// TestNothingDrainsOnADeadInstance: an instance that ends while it drains is gone at once.
func TestNothingDrainsOnADeadInstance(t *testing.T) {
	w, _, group, ids := serving(t, 1)
	w.deregister(group, ids[0])
	w.try("ec2", "TerminateInstances", &ec2api.TerminateInstancesInput{InstanceIds: ids})
	if want := []string{"healthy>draining", "gone " + ids[0]}; !slices.Equal(w.spy.heard, want) {
		t.Errorf("heard %q", w.spy.heard)
	}
	w.pass(10 * time.Minute)
	if len(w.spy.heard) != 2 {
		t.Errorf("heard %q", w.spy.heard)
	}
}

func TestZones(t *testing.T) {
	w, lb, group, _ := serving(t, 1)
	subnets, vpc := w.subnets()
	far := w.launch(1, subnets[2])[0]
	w.register(group, far)
	if got := w.health(group, far); got != "unused Target.NotInUse: Target is in an Availability Zone that is not enabled for the load balancer" { // LB-HC-06
		t.Error(got)
	}
	if r, _ := w.route(lb, group, far); r.State != StateUnused {
		t.Errorf("the data plane is told %+v", r)
	}
	do[shape.SetSubnetsOutput](w, "SetSubnets", &shape.SetSubnetsInput{LoadBalancerArn: &lb, Subnets: subnets})
	if got := w.health(group, far); got[:7] != "initial" {
		t.Error(got)
	}
	addresses := *do[shape.CreateTargetGroupOutput](w, "CreateTargetGroup", &shape.CreateTargetGroupInput{
		Name: new("addresses"), Protocol: new("HTTP"), Port: new(int32(8080)), VpcId: &vpc, TargetType: new("ip"),
	}).TargetGroups[0].TargetGroupArn
	w.listener(lb, 8080, addresses)
	do[shape.RegisterTargetsOutput](w, "RegisterTargets", &shape.RegisterTargetsInput{TargetGroupArn: &addresses, Targets: []shape.TargetDescription{
		{Id: new("172.31.1.7")}, {Id: new("10.1.2.3"), Port: new(int32(81)), AvailabilityZone: new("all")},
	}})
	got := fmt.Sprint(w.routes[lb].TargetGroups[1].Targets)
	if len(w.routes[lb].TargetGroups) != 2 || got != "[{10.1.2.3:81 10.1.2.3:81  initial false} {172.31.1.7:8080 172.31.1.7:8080 us-east-1a initial false}]" &&
		got != "[{10.1.2.3:81 10.1.2.3:81  initial false} {172.31.1.7:8080 172.31.1.7:8080 us-east-1b initial false}]" {
		t.Error(got)
	}
	for _, bad := range []shape.TargetDescription{{Id: new("8.8.8.8")}, {Id: new("10.1.2.3")}, {Id: new("i-0123")}, {Id: new("127.0.0.1")}} {
		if _, code := w.try(Name, "RegisterTargets", &shape.RegisterTargetsInput{TargetGroupArn: &addresses, Targets: []shape.TargetDescription{bad}}); code == "" {
			t.Errorf("%s was taken", *bad.Id)
		}
	}
}

// TestRestart: what a store holds makes the same cloud, and the routes are wished for again.
func TestRestart(t *testing.T) {
	w, lb, group, ids := serving(t, 3)
	w.check(group, ids[1], 503)
	w.deregister(group, ids[0])
	w.pass(20 * time.Second)
	again, s, heard := newCloud()
	for k, b := range w.rows {
		if err := again.Load(k[0], k[1], b); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := fmt.Sprint(dump(again)), fmt.Sprint(dump(w.c)); got != want {
		t.Errorf("rows differ:\n%s\n%s", got, want)
	}
	before := fmt.Sprintf("%+v", *w.routes[lb])
	w.c, w.elb, w.spy, w.routes = again, s, heard, map[string]*RouteLoadBalancer{}
	w.step(cloud.Tick{})
	if got := fmt.Sprintf("%+v", *w.routes[lb]); got != before {
		t.Errorf("routes differ:\n%s\n%s", got, before)
	}
	w.check(group, ids[1], 503)
	if got := w.health(group, ids[1]); got[:9] != "unhealthy" {
		t.Error("the streak was lost:", got)
	}
	w.pass(5 * time.Minute)
	if _, ok := w.route(lb, group, ids[0]); ok {
		t.Error("the end of the draining was lost")
	}
}

func dump(c *cloud.Cloud) (rows []string) {
	c.Dump(func(table, key string, row any) bool {
		rows = append(rows, fmt.Sprintf("%s|%s|%+v", table, key, row))
		return true
	})
	return rows
}
