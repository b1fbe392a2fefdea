package region

import (
	"fmt"
	"time"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// finish has everything work from now on and nobody ask for anything, and checks that all that was begun comes to an end.
func (f *fuzzer) finish() {
	f.calm = true
	names := f.groups()
	for _, name := range sortedKeys(names) {
		f.must(autoscaling.Name, "ResumeProcesses", &asapi.ResumeProcessesInput{AutoScalingGroupName: &name})
		out := f.must(autoscaling.Name, "DescribeLifecycleHooks", &asapi.DescribeLifecycleHooksInput{AutoScalingGroupName: &name}).(*asapi.DescribeLifecycleHooksOutput)
		for _, h := range out.LifecycleHooks {
			if *h.LifecycleTransition == "autoscaling:EC2_INSTANCE_LAUNCHING" { // else launches are abandoned for ever
				f.must(autoscaling.Name, "DeleteLifecycleHook", &asapi.DeleteLifecycleHookInput{AutoScalingGroupName: &name, LifecycleHookName: h.LifecycleHookName})
			}
		}
		f.must(autoscaling.Name, "SuspendProcesses", &asapi.SuspendProcessesInput{AutoScalingGroupName: &name, ScalingProcesses: []string{"AlarmNotification", "ScheduledActions"}})
	}
	for range 200 { // minutes: a hook of termination may take two hours, and a group backs off for up to one
		f.inventory()
		for _, arn := range sortedKeys(f.route) {
			f.checks(f.route[arn])
		}
		f.world()
		f.sleep(time.Minute)
	}
	f.last = "the end"
	f.settled()
}

// must makes a call that has to succeed.
func (f *fuzzer) must(service, op string, in any) any {
	out := f.step(cloud.Call{Scope: here, RequestID: "r", Service: service, Operation: op, In: in})
	if out.Err != nil {
		f.t.Fatalf("%s: %v", op, out.Err)
	}
	f.world()
	return out.Reply
}

// sleep lets time pass.
func (f *fuzzer) sleep(span time.Duration) {
	until := f.clock.Add(span)
	for range 1000 {
		wake := f.cloud.Wake()
		if wake.IsZero() || wake.After(until) {
			break
		}
		if wake.After(f.clock) {
			f.clock = wake
		}
		f.step(cloud.Tick{})
		f.world()
	}
	f.clock = until
}

func (f *fuzzer) groups() map[string]asapi.AutoScalingGroup {
	all := map[string]asapi.AutoScalingGroup{}
	out := f.must(autoscaling.Name, "DescribeAutoScalingGroups", &asapi.DescribeAutoScalingGroupsInput{MaxRecords: new(int32(100))}).(*asapi.DescribeAutoScalingGroupsOutput)
	for _, g := range out.AutoScalingGroups {
		all[*g.AutoScalingGroupName] = g
	}
	return all
}

// settled checks that nothing is on its way any more: instances are what their rows say, and groups have what they want
// or say why they can't.
func (f *fuzzer) settled() {
	states := map[string]string{}
	for _, r := range f.must(ec2.Name, "DescribeInstances", &ec2api.DescribeInstancesInput{}).(*ec2api.DescribeInstancesOutput).Reservations {
		for _, i := range r.Instances {
			state := *i.State.Name
			states[*i.InstanceId] = state
			if host := f.hosts[*i.InstanceId]; host == "" && state != "terminated" || host != "" && host != state {
				f.t.Errorf("instance %s is %s, on the host %q", *i.InstanceId, state, host)
			}
		}
	}
	for _, id := range sortedKeys(f.hosts) {
		if states[id] == "" {
			f.t.Errorf("instance %s is on the host and nowhere else", id)
		}
	}
	groups := f.groups()
	for _, name := range sortedKeys(groups) {
		f.settledGroup(groups[name], states)
	}
}

func (f *fuzzer) settledGroup(g asapi.AutoScalingGroup, states map[string]string) {
	inService := 0
	for _, m := range g.Instances {
		switch *m.LifecycleState {
		case "InService":
			inService++
			if states[*m.InstanceId] != "running" || *m.HealthStatus != "Healthy" {
				f.t.Errorf("group %s: %s is InService, %s and %s", *g.AutoScalingGroupName, *m.InstanceId, *m.HealthStatus, states[*m.InstanceId])
			}
		case "Standby":
		default:
			f.t.Errorf("group %s: %s is still %s", *g.AutoScalingGroupName, *m.InstanceId, *m.LifecycleState)
		}
	}
	out := f.must(autoscaling.Name, "DescribeScalingActivities", &asapi.DescribeScalingActivitiesInput{AutoScalingGroupName: g.AutoScalingGroupName}).(*asapi.DescribeScalingActivitiesOutput)
	why := "no activity"
	if len(out.Activities) > 0 {
		why = *out.Activities[0].StatusCode
	}
	if want := int(*g.DesiredCapacity); inService != want && !(why == "Failed" && inService < want) && !(why == "Cancelled") {
		f.t.Errorf("group %s has %d of %d instances, and the last activity is %s: %s", *g.AutoScalingGroupName, inService, want, why, fmt.Sprintf("%s", encoded(out.Activities[:min(2, len(out.Activities))])))
	}
}
