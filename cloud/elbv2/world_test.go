package elbv2

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	shape "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/ssm"
)

// world is a cloud in virtual time whose instances do at once what they are wished to do.
type world struct {
	t      testing.TB
	c      *cloud.Cloud
	elb    *Service
	spy    *spy
	now    time.Time
	routes map[string]*RouteLoadBalancer
	rows   map[[2]string][]byte // what a store would hold
	nets   []string             // the default subnets, once they have been asked for
	vpc    string
}

// spy hears the events that services above elbv2 would hear.
type spy struct {
	cloud.Base
	heard []string
}

func (*spy) Name() string { return "spy" }

func (s *spy) Notice(_ *cloud.Tx, e cloud.Event) {
	switch e := e.(type) {
	case TargetHealthChanged:
		s.heard = append(s.heard, fmt.Sprintf("%s>%s", e.From, e.To))
	case TargetDrained:
		s.heard = append(s.heard, "drained "+e.InstanceID)
	case TargetGone:
		s.heard = append(s.heard, "gone "+e.InstanceID)
	}
}

var here = cloud.Scope{Account: "123456789012", Region: "us-east-1"}

func newCloud() (*cloud.Cloud, *Service, *spy) {
	cw, parameters, above := cloudwatch.New(), ssm.New(), &spy{}
	machines := ec2.New(cw, parameters, ec2.Options{AnyImage: true})
	s := New(machines, cw, Options{})
	return cloud.New(1, cw, parameters, machines, s, above), s, above
}

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, now: time.Date(2026, 11, 20, 12, 0, 30, 0, time.UTC),
		routes: map[string]*RouteLoadBalancer{}, rows: map[[2]string][]byte{},
	}
	w.c, w.elb, w.spy = newCloud()
	return w
}

// step makes one step and answers what it wishes for.
func (w *world) step(in cloud.Input) (any, error) {
	w.t.Helper()
	out := w.c.Step(w.now, in)
	for _, ch := range out.Changes {
		b, err := json.Marshal(ch.Row)
		if err != nil {
			w.t.Fatal(err)
		}
		w.rows[[2]string{ch.Table, ch.Key}] = b
		if ch.Row == nil {
			delete(w.rows, [2]string{ch.Table, ch.Key})
		}
	}
	var facts []cloud.Fact
	for _, e := range out.Effects {
		switch e := e.(type) {
		case Route:
			w.routes[e.ARN] = e.LoadBalancer
		case ec2.LaunchInstance:
			facts = append(facts, ec2.InstanceRunning{ID: e.Spec.ID})
		case ec2.StartInstance:
			facts = append(facts, ec2.InstanceRunning{ID: e.Spec.ID})
		case ec2.StopInstance:
			facts = append(facts, ec2.InstanceStopped{ID: e.ID})
		case ec2.TerminateInstance:
			facts = append(facts, ec2.InstanceTerminated{ID: e.ID})
		}
	}
	if len(facts) > 0 {
		w.now = w.now.Add(time.Millisecond)
		w.step(cloud.Observed{Facts: facts})
	}
	return out.Reply, out.Err
}

// pass lets time pass, with a tick whenever the cloud asks for one.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for range 100_000 {
		wake := w.c.Wake()
		if wake.IsZero() || wake.After(end) {
			w.now = end
			return
		}
		if wake.After(w.now) {
			w.now = wake
		}
		w.step(cloud.Tick{})
	}
	w.t.Fatal("time does not pass")
}

// try makes a call, and tells the error's code.
func (w *world) try(service, operation string, in any) (any, string) {
	w.t.Helper()
	reply, err := w.step(cloud.Call{Scope: here, RequestID: "r", Service: service, Operation: operation, In: in})
	var e *api.Error
	switch {
	case err == nil:
		return reply, ""
	case errors.As(err, &e):
		return nil, e.Code
	}
	w.t.Fatalf("%s: %v", operation, err)
	return nil, ""
}

// do makes a call of elbv2 that must succeed.
func do[Out any](w *world, operation string, in any) *Out {
	w.t.Helper()
	reply, err := w.step(cloud.Call{Scope: here, RequestID: "r", Service: Name, Operation: operation, In: in})
	if err != nil {
		w.t.Fatalf("%s: %v", operation, err)
	}
	return reply.(*Out)
}

// subnets are the default subnets, zones a, b and c.
func (w *world) subnets() (ids []string, vpc string) {
	w.t.Helper()
	if w.nets != nil {
		return w.nets, w.vpc
	}
	reply, code := w.try("ec2", "DescribeSubnets", &ec2api.DescribeSubnetsInput{})
	if code != "" {
		w.t.Fatal(code)
	}
	byZone := map[string]string{}
	for _, n := range reply.(*ec2api.DescribeSubnetsOutput).Subnets {
		byZone[*n.AvailabilityZone], vpc = *n.SubnetId, *n.VpcId
	}
	w.nets, w.vpc = []string{byZone["us-east-1a"], byZone["us-east-1b"], byZone["us-east-1c"]}, vpc
	return w.nets, w.vpc
}

// launch starts instances in a subnet.
func (w *world) launch(n int, subnet string) (ids []string) {
	w.t.Helper()
	reply, code := w.try("ec2", "RunInstances", &ec2api.RunInstancesInput{
		ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.nano"),
		MinCount: new(int32(n)), MaxCount: new(int32(n)), SubnetId: new(subnet),
	})
	if code != "" {
		w.t.Fatal(code)
	}
	for _, i := range reply.(*ec2api.RunInstancesOutput).Instances {
		ids = append(ids, *i.InstanceId)
	}
	return ids
}

// loadBalancer makes one over zones a and b.
func (w *world) loadBalancer(name string) shape.LoadBalancer {
	w.t.Helper()
	subnets, _ := w.subnets()
	return do[shape.CreateLoadBalancerOutput](w, "CreateLoadBalancer", &shape.CreateLoadBalancerInput{
		Name: new(name), Subnets: subnets[:2],
	}).LoadBalancers[0]
}

func (w *world) targetGroup(name string) string {
	w.t.Helper()
	_, vpc := w.subnets()
	return *do[shape.CreateTargetGroupOutput](w, "CreateTargetGroup", &shape.CreateTargetGroupInput{
		Name: new(name), Protocol: new("HTTP"), Port: new(int32(80)), VpcId: new(vpc),
	}).TargetGroups[0].TargetGroupArn
}

func forward(groups ...string) []shape.Action {
	c := &shape.ForwardActionConfig{}
	for _, g := range groups {
		c.TargetGroups = append(c.TargetGroups, shape.TargetGroupTuple{TargetGroupArn: new(g)})
	}
	return []shape.Action{{Type: new("forward"), ForwardConfig: c}}
}

func (w *world) listener(lb string, port int32, groups ...string) string {
	w.t.Helper()
	return *do[shape.CreateListenerOutput](w, "CreateListener", &shape.CreateListenerInput{
		LoadBalancerArn: new(lb), Protocol: new("HTTP"), Port: new(port), DefaultActions: forward(groups...),
	}).Listeners[0].ListenerArn
}

func targets(ids ...string) (d []shape.TargetDescription) {
	for _, id := range ids {
		d = append(d, shape.TargetDescription{Id: new(id)})
	}
	return d
}

func (w *world) register(group string, ids ...string) {
	w.t.Helper()
	do[shape.RegisterTargetsOutput](w, "RegisterTargets", &shape.RegisterTargetsInput{TargetGroupArn: new(group), Targets: targets(ids...)})
}

func (w *world) deregister(group string, ids ...string) {
	w.t.Helper()
	do[shape.DeregisterTargetsOutput](w, "DeregisterTargets", &shape.DeregisterTargetsInput{TargetGroupArn: new(group), Targets: targets(ids...)})
}

// health is a target's state, reason and description in one line.
func (w *world) health(group, id string) string {
	w.t.Helper()
	h := do[shape.DescribeTargetHealthOutput](w, "DescribeTargetHealth", &shape.DescribeTargetHealthInput{
		TargetGroupArn: new(group), Targets: targets(id),
	}).TargetHealthDescriptions[0].TargetHealth
	line := *h.State
	if h.Reason != nil {
		line += " " + *h.Reason + ": " + *h.Description
	}
	return line
}

// check reports the result of a health check of a target on port 80.
func (w *world) check(group, id string, code int) {
	w.t.Helper()
	w.now = w.now.Add(time.Second)
	f := TargetChecked{TargetGroup: group, Target: id + ":80", At: w.now, Passed: code == 200, Code: code}
	switch {
	case f.Passed:
	case code == 0:
		f.Reason = "Target.Timeout"
	default:
		f.Reason = "Target.ResponseCodeMismatch"
	}
	if _, err := w.step(cloud.Observed{Facts: []cloud.Fact{f}}); err != nil {
		w.t.Fatal(err)
	}
}

// route is a target as the data plane is told of it.
func (w *world) route(lb, group, id string) (RouteTarget, bool) {
	for _, g := range w.routes[lb].TargetGroups {
		for _, t := range g.Targets {
			if g.ID == group && t.ID == id+":80" {
				return t, true
			}
		}
	}
	return RouteTarget{}, false
}
