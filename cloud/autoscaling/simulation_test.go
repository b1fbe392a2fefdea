package autoscaling

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	elbv2api "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// TestGroupsConverge drives two groups with random calls and faults, checks what must always hold after every step,
// then lets the faults stop: every group must come to what it wants, soon and for good. BILLOW_SEED runs one seed.
func TestGroupsConverge(t *testing.T) {
	seeds := []uint64{}
	for i := range uint64(25) {
		seeds = append(seeds, i)
	}
	if s := os.Getenv("BILLOW_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{n}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { converge(t, seed) })
	}
}

func converge(t *testing.T, seed uint64) {
	w := newWorld(t, seed)
	rng := rand.New(rand.NewPCG(seed, 7))
	zones := []string{"us-east-1a", "us-east-1b", "us-east-1c"}
	call := func(op string, in any) cloud.Output {
		return w.step(cloud.Call{Scope: here, Service: Name, Operation: op, In: in})
	}
	must := func(op string, in any) {
		if out := call(op, in); out.Err != nil {
			t.Fatalf("%s: %v", op, out.Err)
		}
	}
	must("CreateLaunchConfiguration", &shape.CreateLaunchConfigurationInput{LaunchConfigurationName: new("lc"), ImageId: new("ami-0abcdef1234567890"), InstanceType: new("t3.micro")})
	groups := []string{"one", "two"}
	for _, g := range groups {
		must("CreateAutoScalingGroup", &shape.CreateAutoScalingGroupInput{AutoScalingGroupName: new(g), LaunchConfigurationName: new("lc"),
			MinSize: new(int32(0)), MaxSize: new(int32(8)), DesiredCapacity: new(int32(3)), AvailabilityZones: zones})
	}
	tg := balanced(t, w, must)
	failing := ""
	w.failing = func(s ec2.Spec) (string, string) {
		switch {
		case failing == "all":
			return "Server.InternalError", "It does not start."
		case failing != "" && rng.IntN(2) == 0:
			return "InsufficientInstanceCapacity", "There is no room."
		}
		return "", ""
	}
	w.trace = func(cloud.Output) { holds(t, w) }
	for range 60 {
		g := new(groups[rng.IntN(2)])
		id := someMember(w, rng)
		switch rng.IntN(16) {
		case 0, 1:
			call("SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: g, DesiredCapacity: new(int32(rng.IntN(10)))})
		case 2:
			low := int32(rng.IntN(3))
			call("UpdateAutoScalingGroup", &shape.UpdateAutoScalingGroupInput{AutoScalingGroupName: g, MinSize: new(low), MaxSize: new(low + int32(rng.IntN(8))), AvailabilityZones: zones[:1+rng.IntN(3)]})
		case 3, 4:
			w.step(cloud.Observed{Facts: []cloud.Fact{ec2.InstanceExited{ID: id, Reason: []string{ec2.ExitKilled, ec2.ExitPoweroff}[rng.IntN(2)]}}})
		case 5:
			call("TerminateInstanceInAutoScalingGroup", &shape.TerminateInstanceInAutoScalingGroupInput{InstanceId: new(id), ShouldDecrementDesiredCapacity: new(rng.IntN(2) == 0)})
		case 6:
			call("EnterStandby", &shape.EnterStandbyInput{AutoScalingGroupName: g, InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: new(rng.IntN(2) == 0)})
		case 7:
			call("ExitStandby", &shape.ExitStandbyInput{AutoScalingGroupName: g, InstanceIds: []string{id}})
		case 8:
			call("SetInstanceHealth", &shape.SetInstanceHealthInput{InstanceId: new(id), HealthStatus: new(unhealthy)})
		case 9:
			call("DetachInstances", &shape.DetachInstancesInput{AutoScalingGroupName: g, InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: new(rng.IntN(2) == 0)})
		case 10:
			failing = []string{"", "some", "all"}[rng.IntN(3)]
		case 11:
			op := "SuspendProcesses"
			in := &shape.SuspendProcessesInput{AutoScalingGroupName: g, ScalingProcesses: []string{processes[rng.IntN(len(processes))]}}
			if rng.IntN(2) == 0 {
				call("ResumeProcesses", (*shape.ResumeProcessesInput)(in))
			} else {
				call(op, in)
			}
		case 12:
			w.sick[id] = !w.sick[id]
		case 13:
			w.busy[id] = !w.busy[id]
		case 14:
			if rng.IntN(2) == 0 {
				call("DetachLoadBalancerTargetGroups", &shape.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: g, TargetGroupARNs: []string{tg}})
			} else {
				call("AttachLoadBalancerTargetGroups", &shape.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: g, TargetGroupARNs: []string{tg}})
			}
		case 15:
			call("SetInstanceProtection", &shape.SetInstanceProtectionInput{AutoScalingGroupName: g, InstanceIds: []string{id}, ProtectedFromScaleIn: new(rng.IntN(2) == 0)})
		}
		nothingLeft(t, w)
		if rng.IntN(10) == 0 {
			w.restart()
		}
		w.advance(time.Duration(rng.IntN(90)) * time.Second)
	}
	failing = ""
	clear(w.sick)
	clear(w.busy)
	for k, m := range w.s.members.Everywhere() {
		call("SetInstanceProtection", &shape.SetInstanceProtectionInput{AutoScalingGroupName: &m.Group, InstanceIds: []string{k.ID}, ProtectedFromScaleIn: new(false)})
	}
	for _, g := range groups {
		must("ResumeProcesses", &shape.ResumeProcessesInput{AutoScalingGroupName: new(g)})
		must("UpdateAutoScalingGroup", &shape.UpdateAutoScalingGroupInput{AutoScalingGroupName: new(g), AvailabilityZones: zones})
	}
	w.check = time.Minute
	w.advance(2 * time.Hour) // launches may be held back for an hour
	settled(t, w, groups, len(zones))
	before := w.activities()
	w.trace, w.check = nil, 5*time.Minute
	w.advance(24 * time.Hour)
	if after := w.activities(); after != before {
		t.Errorf("seed %d: %d activities in a day in which nothing happened", seed, after-before)
	}
}

// balanced puts a target group of a load balancer before the groups and has its health count in the second.
func balanced(t *testing.T, w *world, must func(string, any)) (arn string) {
	run := func(op string, in any) any {
		out := w.step(cloud.Call{Scope: here, Service: elbv2.Name, Operation: op, In: in})
		if out.Err != nil {
			t.Fatalf("%s: %v", op, out.Err)
		}
		return out.Reply
	}
	var vpc string
	var subnets []string
	w.do(func(tx *cloud.Tx) {
		for _, x := range w.ec2.DefaultSubnets(tx) {
			vpc, subnets = x.VPCID, append(subnets, x.ID)
		}
	})
	tg := run("CreateTargetGroup", &elbv2api.CreateTargetGroupInput{Name: new("tg"), Protocol: new("HTTP"), Port: new(int32(80)), VpcId: &vpc}).(*elbv2api.CreateTargetGroupOutput)
	lb := run("CreateLoadBalancer", &elbv2api.CreateLoadBalancerInput{Name: new("lb"), Subnets: subnets}).(*elbv2api.CreateLoadBalancerOutput)
	arn = *tg.TargetGroups[0].TargetGroupArn
	run("CreateListener", &elbv2api.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Protocol: new("HTTP"), Port: new(int32(80)),
		DefaultActions: []elbv2api.Action{{Type: new("forward"), TargetGroupArn: &arn}}})
	must("AttachLoadBalancerTargetGroups", &shape.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: new("two"), TargetGroupARNs: []string{arn}})
	must("UpdateAutoScalingGroup", &shape.UpdateAutoScalingGroupInput{AutoScalingGroupName: new("two"), HealthCheckType: new("ELB"), HealthCheckGracePeriod: new(int32(60))})
	return arn
}

// nothingLeft reconciles everything: what the dirty keys have brought in order must need nothing more.
func nothingLeft(t *testing.T, w *world) {
	t.Helper()
	f := func(tx *cloud.Tx) {
		for k := range w.s.Keys() {
			tx.In(k.Scope, func() { tx.Touch(Name, k.Kind, k.ID) })
		}
	}
	out := w.cloud.Step(w.now, cloud.Call{Scope: here, Service: "inside", Operation: "Do", In: &f})
	for _, c := range out.Changes {
		t.Fatalf("a full reconcile still changed %s %s: %+v", c.Table, c.Key, c.Row)
	}
	if out.Err != nil {
		t.Fatal(out.Err)
	}
}

func (w *world) activities() int {
	n := 0
	w.do(func(tx *cloud.Tx) {
		for range w.s.activities.All(tx) {
			n++
		}
	})
	return n
}

func someMember(w *world, rng *rand.Rand) string {
	var list []string
	for k := range w.s.members.Everywhere() {
		list = append(list, k.ID)
	}
	if len(list) == 0 {
		return "i-00000000000000000"
	}
	return list[rng.IntN(len(list))]
}

// holds checks what is true after every step.
func holds(t *testing.T, w *world) {
	t.Helper()
	tallied(t, w)
	owners := map[string]bool{}
	for _, m := range w.s.members.Everywhere() {
		steady := m.LifecycleState == stateInService || m.LifecycleState == stateStandby
		if steady != (m.Activity == "") {
			t.Fatalf("%s is %s with activity %q", m.ID, m.LifecycleState, m.Activity)
		}
		owners[m.Activity] = true
	}
	for k, a := range w.s.activities.Everywhere() {
		if a.End.IsZero() != owners[k.ID] {
			t.Fatalf("activity of %s (%s, %s) has no member that it moves, or did not end with it", a.InstanceID, a.Kind, a.StatusCode)
		}
		if !strings.HasPrefix(a.Cause, "At 2026-") || strings.Contains(a.Cause, ". At ") || len(a.Cause) > causeLimit {
			t.Fatalf("cause %q", a.Cause)
		}
	}
	for _, g := range w.s.groups.Everywhere() {
		if g.MinSize > g.DesiredCapacity || g.DesiredCapacity > g.MaxSize {
			t.Fatalf("%d <= %d <= %d", g.MinSize, g.DesiredCapacity, g.MaxSize)
		}
	}
}

// settled checks what must be true when nothing has happened for a while.
func settled(t *testing.T, w *world, groups []string, zones int) {
	t.Helper()
	w.do(func(tx *cloud.Tx) {
		for _, name := range groups {
			r, _ := w.s.open(tx, name)
			in, least, most := 0, 1000, 0
			for _, c := range r.zoneCounts() {
				in, least, most = in+c.n, min(least, c.n), max(most, c.n)
			}
			if in != r.DesiredCapacity || most-least > 1 || len(r.zoneCounts()) != zones {
				t.Errorf("group %s wants %d: %+v", name, r.DesiredCapacity, r.zoneCounts())
			}
			for _, m := range r.team() {
				i, gone := r.instance(m.ID)
				if m.LifecycleState != stateStandby && (m.LifecycleState != stateInService || m.HealthStatus != healthy || gone || i.State != ec2.Running) {
					t.Errorf("%s is %s, %s and %s", m.ID, m.LifecycleState, m.HealthStatus, i.State)
				}
			}
			for range w.s.openActivities(tx, name) {
				t.Errorf("group %s has an open activity", name)
			}
		}
	})
}
