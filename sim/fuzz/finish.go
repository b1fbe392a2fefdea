package fuzz

import (
	"reflect"
	"slices"
	"strings"
	"time"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elb"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/cloud/sns"
)

// How long everything may take to come to its end once nothing goes wrong any more: a group backs off for up to one hour, a
// message whose sending was lost is sent again after half an hour, four times at most.
const settling = 2*time.Hour + 30*time.Minute

// finish has everything work from now on and nobody ask for anything, and checks that all that was begun comes to an end,
// that nothing happens on a quiet day after, and that a restart changes nothing.
func (r *run) finish() {
	r.peace()
	if back := r.latest.Sub(r.clock()); back > 0 {
		r.offset += back
	}
	r.pass(time.Minute)
	r.repair()
	r.repairFunctions()
	r.pass(10 * time.Minute) // what was being launched is in service
	r.unprotect()
	r.looks, r.meters = 2*time.Minute, 10*time.Minute
	r.pass(settling)
	r.settled()
	r.quiet, r.looks, r.meters = true, 10*time.Minute, 30*time.Minute
	if r.options.Seed%16 == 0 {
		r.pass(24 * time.Hour)
	} else {
		r.pass(2 * time.Hour)
	}
	r.quiet = false
	r.settled()
	r.orphans()
	r.verify(r.options.Seed%4 == 0)
}

// ask makes a call that may be refused.
func (r *run) ask(scope cloud.Scope, service, operation string, in any) {
	r.call(scope, find(r.ops, service, operation), in)
}

// repair takes away what calls have asked for and what keeps a group from its capacity for ever: images that are gone,
// zones without a subnet, hooks that nobody answers, instances that are retained, suspended processes.
func (r *run) repair() {
	made := map[cloud.Scope]string{}
	for _, key := range sortedKeys(r.rows.groups) {
		g, scope := r.rows.groups[key], scopeOf(key)
		if made[scope] == "" {
			made[scope] = r.places(scope)
			images := r.must(scope, ec2.Name, "DescribeImages", &ec2api.DescribeImagesInput{Owners: []string{"amazon"}, Filters: []ec2api.Filter{
				{Name: new("architecture"), Values: []string{"x86_64"}}, {Name: new("state"), Values: []string{"available"}}}}).(*ec2api.DescribeImagesOutput)
			r.must(scope, ec2.Name, "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateInput{LaunchTemplateName: new(last),
				LaunchTemplateData: &ec2api.RequestLaunchTemplateData{ImageId: images.Images[0].ImageId, InstanceType: new("t3.micro")}})
		}
		for _, m := range r.team(key) {
			for _, w := range m.Waits {
				r.ask(scope, autoscaling.Name, "CompleteLifecycleAction", &asapi.CompleteLifecycleActionInput{AutoScalingGroupName: &g.Name,
					InstanceId: &m.ID, LifecycleHookName: &w.Hook, LifecycleActionResult: new("CONTINUE")})
			}
		}
		if g = r.rows.groups[key]; g != nil && !g.Deleting {
			r.repairGroup(scope, key, g, made[scope])
		}
	}
}

// last is the name of the launch template that all groups get in the end.
const last = "the-last-one"

func (r *run) repairGroup(scope cloud.Scope, key string, g *autoscaling.Group, places string) {
	for _, h := range g.Hooks { // a launch whose hook gives it up is launched again, for ever
		r.must(scope, autoscaling.Name, "DeleteLifecycleHook", &asapi.DeleteLifecycleHookInput{AutoScalingGroupName: &g.Name, LifecycleHookName: &h.Name})
	}
	for _, a := range r.rows.groups[key].Attachments {
		prefix := scope.String() + "/"
		switch {
		case a.State == "Removing", r.rows.targetGroups[prefix+a.ID] != nil, r.rows.classics[prefix+a.ID] != nil:
		case a.Type == "elb":
			r.must(scope, autoscaling.Name, "DetachLoadBalancers", &asapi.DetachLoadBalancersInput{AutoScalingGroupName: &g.Name, LoadBalancerNames: []string{a.ID}})
		default:
			r.must(scope, autoscaling.Name, "DetachLoadBalancerTargetGroups", &asapi.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: &g.Name, TargetGroupARNs: []string{a.ID}})
		}
	}
	r.must(scope, autoscaling.Name, "ResumeProcesses", &asapi.ResumeProcessesInput{AutoScalingGroupName: &g.Name})
	r.must(scope, autoscaling.Name, "SuspendProcesses", &asapi.SuspendProcessesInput{AutoScalingGroupName: &g.Name, ScalingProcesses: []string{"AlarmNotification", "ScheduledActions"}})
	for _, m := range r.team(key) {
		if m.LifecycleState == retained {
			r.must(scope, autoscaling.Name, "TerminateInstanceInAutoScalingGroup", &asapi.TerminateInstanceInAutoScalingGroupInput{InstanceId: &m.ID,
				ShouldDecrementDesiredCapacity: new(false)})
		}
	}
	in := &asapi.UpdateAutoScalingGroupInput{AutoScalingGroupName: &g.Name, LaunchTemplate: &asapi.LaunchTemplateSpecification{LaunchTemplateName: new(last)},
		VPCZoneIdentifier: &places, HealthCheckGracePeriod: new(int32(60)), DefaultInstanceWarmup: new(int32(0)),
		NewInstancesProtectedFromScaleIn: new(false), MinSize: new(int32(min(g.MinSize, 6))), MaxSize: new(int32(min(g.MaxSize, 6)))}
	in.DesiredCapacity = new(int32(min(g.DesiredCapacity, 6)))
	r.must(scope, autoscaling.Name, "UpdateAutoScalingGroup", in)
}

// unprotect lets scale-in take whom it wants, for the balance of zones.
func (r *run) unprotect() {
	for _, key := range sortedKeys(r.rows.groups) {
		g, scope := r.rows.groups[key], scopeOf(key)
		var protected []string
		for _, m := range r.team(key) {
			if m.Protected && (m.LifecycleState == "InService" || strings.HasSuffix(m.LifecycleState, "Standby")) {
				protected = append(protected, m.ID)
			}
		}
		for ids := range slices.Chunk(protected, 50) {
			if !g.Deleting {
				r.must(scope, autoscaling.Name, "SetInstanceProtection", &asapi.SetInstanceProtectionInput{AutoScalingGroupName: &g.Name, InstanceIds: ids, ProtectedFromScaleIn: new(false)})
			}
		}
	}
}

// team is a group's members in order of ID.
func (r *run) team(group string) []*autoscaling.Member {
	var all []*autoscaling.Member
	for _, key := range sortedKeys(r.rows.members) {
		if m := r.rows.members[key]; scopeOf(key).String()+"/"+m.Group == group {
			all = append(all, m)
		}
	}
	return all
}

// places are subnets of one VPC, one per zone, for VPCZoneIdentifier.
func (r *run) places(scope cloud.Scope) string {
	list := func() string {
		best := map[string]string{}
		used := map[string]bool{}
		for _, key := range sortedKeys(r.rows.tables[ec2.Name+".subnets"]) {
			n := r.rows.tables[ec2.Name+".subnets"][key].value.(*ec2.Subnet)
			if scopeOf(key) == scope && !used[n.VPCID+n.Zone] && (strings.HasSuffix(n.CIDR, "/20") || strings.HasSuffix(n.CIDR, "/24")) {
				used[n.VPCID+n.Zone] = true
				best[n.VPCID] = strings.TrimPrefix(best[n.VPCID]+","+n.ID, ",")
			}
		}
		most := ""
		for _, vpc := range sortedKeys(best) {
			if len(best[vpc]) > len(most) {
				most = best[vpc]
			}
		}
		return most
	}
	if list() == "" {
		r.ask(scope, ec2.Name, "CreateDefaultVpc", &ec2api.CreateDefaultVpcInput{})
	}
	return list()
}

// settled checks that nothing is on its way any more.
func (r *run) settled() {
	for _, key := range sortedKeys(r.rows.instances) {
		i := r.rows.instances[key]
		steady := i.State == ec2.Running || i.State == ec2.Stopped || i.State == ec2.Terminated
		host := "nothing"
		if h := r.hosts[i.ID]; h != nil {
			host = h.state
		}
		switch {
		case !steady || i.Wish != "":
			r.fail("everything comes to its end", "instance %s is %s with wish %q, made %d times", i.ID, i.State, i.Wish, i.Wishes)
		case host != i.State && (host != "nothing" || i.State != ec2.Terminated):
			r.fail("instances are what their rows say", "%s is %s, on the host %s", i.ID, i.State, host)
		case i.State == ec2.Running && !i.Spot.InterruptedAt.IsZero():
			r.fail("an interruption ends its instance", "instance %s: %s", i.ID, encoded(i.Spot))
		case i.State == ec2.Running && slices.ContainsFunc(i.Events, func(e ec2.ScheduledEvent) bool { return e.Done.IsZero() }):
			r.fail("everything comes to its end", "instance %s: %s", i.ID, encoded(i.Events))
		case i.Silence.Checks > 0:
			r.fail("an instance that answers is not impaired", "instance %s: %s", i.ID, encoded(i.Silence))
		case i.Capturing != "":
			r.fail("everything comes to its end", "instance %s is made an image of: %s", i.ID, i.Capturing)
		}
	}
	for _, id := range sortedKeys(r.hosts) {
		if r.rows.instances[r.rows.where[id]] == nil {
			r.fail("there are no zombies", "instance %s is on the host and nowhere else", id)
		}
	}
	for _, key := range sortedKeys(r.rows.targets) {
		if x := r.rows.targets[key]; !x.DrainUntil.IsZero() || !x.ForgetAt.IsZero() {
			r.fail("everything comes to its end", "target %s: %s", key, encoded(x))
		}
	}
	for _, key := range sortedKeys(r.rows.registrations) {
		if x := r.rows.registrations[key]; !x.DrainUntil.IsZero() || !x.ForgetAt.IsZero() {
			r.fail("everything comes to its end", "registration %s: %s", key, encoded(x))
		}
	}
	for _, key := range sortedKeys(r.rows.tables[sns.Name+".deliveries"]) {
		r.fail("everything comes to its end", "delivery %s: %s", key, r.rows.tables[sns.Name+".deliveries"][key].text)
	}
	r.settledFunctions()
	r.settledStorage()
	for _, arn := range sortedKeys(r.wished) {
		if !reflect.DeepEqual(r.wished[arn], r.routes[arn]) {
			r.fail("the fuzzer's data plane has the newest Routes", "%s", arn)
		}
	}
	for _, key := range sortedKeys(r.rows.groups) {
		r.settledGroup(key, r.rows.groups[key])
	}
}

// settledGroup checks that a group has what it wants, in balance.
func (r *run) settledGroup(key string, g *autoscaling.Group) {
	if g.Deleting {
		r.fail("everything comes to its end", "group %s is still being deleted: %s", key, r.teamText(key))
	}
	counts := map[string]int{}
	for _, z := range g.AvailabilityZones {
		counts[z] = 0
	}
	in := 0
	for _, m := range r.team(key) {
		i := r.instance(scopeOf(key), m.ID)
		switch {
		case m.LifecycleState == "Standby":
			continue
		case m.LifecycleState != "InService" || m.HealthStatus != "Healthy" || i == nil || i.State != ec2.Running:
			r.fail("every group is at its desired capacity", "member %s of %s, %s", encoded(m), key, r.why(key))
		}
		in++
		counts[m.AvailabilityZone]++
	}
	if in != g.DesiredCapacity {
		r.fail("every group is at its desired capacity", "%s has %d of %d; %s; %s", key, in, g.DesiredCapacity, r.why(key), encoded(g))
	}
	least, most := in, 0
	for _, n := range counts { // any order
		least, most = min(least, n), max(most, n)
	}
	if most-least > 1 || len(counts) != len(g.AvailabilityZones) {
		r.fail("every group is in balance", "%s: %s of %v; %s; %s\n%s", key, encoded(counts), g.AvailabilityZones, r.why(key), encoded(g), r.teamText(key))
	}
	for _, a := range g.Attachments {
		if a.State == "Removing" || a.State == "Adding" {
			r.fail("everything comes to its end", "%s: %s", key, encoded(a))
		}
	}
}

func (r *run) teamText(group string) string {
	var texts []string
	for _, m := range r.team(group) {
		texts = append(texts, encoded(m))
	}
	return strings.Join(texts, "\n")
}

// why tells a group's newest activities.
func (r *run) why(group string) string {
	var texts []string
	for _, key := range sortedKeys(r.rows.activities) { // newest first
		if a := r.rows.activities[key]; len(texts) < 3 && scopeOf(key).String()+"/"+a.Group == group {
			texts = append(texts, encoded(a))
		}
	}
	return "newest activities: " + strings.Join(texts, "\n")
}

// orphans checks that rows which hang on others are gone with them, so that what is kept stays bounded.
func (r *run) orphans() {
	within := func(table string, owner func(scope string, row any) (string, bool)) {
		for _, key := range sortedKeys(r.rows.tables[table]) {
			if name, there := owner(scopeOf(key).String()+"/", r.rows.tables[table][key].value); !there {
				r.fail("what hangs on something goes with it", "%s %q: there is no %s", table, key, name)
			}
		}
	}
	group := func(scope, name string) (string, bool) { return name, r.rows.groups[scope+name] != nil }
	within(autoscaling.Name+".policies", func(s string, row any) (string, bool) { return group(s, row.(*autoscaling.Policy).Group) })
	within(autoscaling.Name+".schedules", func(s string, row any) (string, bool) { return group(s, row.(*autoscaling.ScheduledAction).Group) })
	within(elbv2.Name+".targets", func(s string, row any) (string, bool) {
		x := row.(*elbv2.Target)
		return x.TargetGroup, r.rows.targetGroups[s+x.TargetGroup] != nil
	})
	within(elb.Name+".registrations", func(s string, row any) (string, bool) {
		x := row.(*elb.Registration)
		return x.LoadBalancer, r.rows.classics[s+x.LoadBalancer] != nil
	})
	function := func(scope, name string) (string, bool) {
		return name, r.rows.tables[lambda.Name+".functions"][scope+name].value != nil
	}
	within(lambda.Name+".versions", func(s string, row any) (string, bool) { return function(s, row.(*lambda.Version).Function) })
	within(lambda.Name+".aliases", func(s string, row any) (string, bool) { return function(s, row.(*lambda.Alias).Function) })
	for _, table := range []string{ec2.Name + ".usage", ec2.Name + ".consoles"} {
		for _, key := range sortedKeys(r.rows.tables[table]) {
			if r.rows.instances[key] == nil {
				r.fail("what hangs on something goes with it", "%s %s: there is no such instance", table, key)
			}
		}
	}
	for _, key := range sortedKeys(r.rows.instances) {
		if i := r.rows.instances[key]; i.State == ec2.Terminated && r.latest.Sub(i.Changed) > time.Hour+time.Minute {
			r.fail("what has ended is forgotten", "instance %s ended at %v", key, i.Changed)
		}
	}
	points := r.rows.tables["cloudwatch.points"]
	for _, key := range sortedKeys(r.rows.tables["cloudwatch.values"]) {
		if _, ok := points[key]; !ok {
			r.fail("what hangs on something goes with it", "cloudwatch.values %q: there is no such point", key)
		}
	}
	if n := len(points); n > 1_000_000 {
		r.fail("what is kept is bounded", "%d points", n)
	}
}
