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

// TestRoutesAgainstAFreshLook does things at random, some of which fail, and compares what the data plane was told, piece
// by piece, with what a cloud that is loaded from the stored rows tells of itself.
func TestRoutesAgainstAFreshLook(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	w := newWorld(t)
	subnets, _ := w.subnets()
	var ids, groups, lbs []string
	for i := range 3 {
		ids = append(ids, w.launch(8, subnets[i])...)
		groups = append(groups, w.targetGroup(fmt.Sprint("g", i)))
	}
	for i := range 2 {
		lbs = append(lbs, *w.loadBalancer(fmt.Sprint("lb", i)).LoadBalancerArn)
	}
	told := map[*RouteLoadBalancer]string{} // what effects said when they were given
	for step := range 400 {
		id, group, lb := ids[rng.IntN(len(ids))], groups[rng.IntN(len(groups))], lbs[rng.IntN(len(lbs))]
		batch := targets(id, ids[rng.IntN(len(ids))])
		switch rng.IntN(12) {
		case 0, 1:
			w.try(Name, "RegisterTargets", &shape.RegisterTargetsInput{TargetGroupArn: &group, Targets: batch})
		case 2:
			w.try(Name, "RegisterTargets", &shape.RegisterTargetsInput{TargetGroupArn: &group, Targets: append(batch, targets("i-none")...)})
		case 3:
			w.try(Name, "DeregisterTargets", &shape.DeregisterTargetsInput{TargetGroupArn: &group, Targets: batch})
		case 4:
			w.try(Name, "CreateListener", &shape.CreateListenerInput{
				LoadBalancerArn: &lb, Protocol: new("HTTP"), Port: new(int32(80 + rng.IntN(2))), DefaultActions: forward(group),
			})
		case 5:
			for _, l := range do[shape.DescribeListenersOutput](w, "DescribeListeners", &shape.DescribeListenersInput{LoadBalancerArn: &lb}).Listeners {
				w.try(Name, "DeleteListener", &shape.DeleteListenerInput{ListenerArn: l.ListenerArn})
				break
			}
		case 6:
			w.try("ec2", "StopInstances", &ec2api.StopInstancesInput{InstanceIds: []string{id}})
		case 7:
			w.try("ec2", "StartInstances", &ec2api.StartInstancesInput{InstanceIds: []string{id}})
		case 8:
			w.pass(time.Duration(rng.IntN(200)) * time.Second)
		default:
			w.step(cloud.Observed{Facts: []cloud.Fact{
				TargetChecked{TargetGroup: group, Target: id + ":80", At: w.now, Passed: rng.IntN(3) > 0, Reason: "Target.Timeout"},
				TargetDrained{TargetGroup: group, Target: id + ":80"},
			}})
		}
		tallied(t, w.elb)
		if step%4 != 0 {
			continue
		}
		fresh := &world{t: t, now: w.now, routes: map[string]*RouteLoadBalancer{}, rows: map[[2]string][]byte{}}
		fresh.c, fresh.elb, fresh.spy = newCloud()
		for k, b := range w.rows {
			if err := fresh.c.Load(k[0], k[1], b); err != nil {
				t.Fatal(err)
			}
		}
		fresh.step(cloud.Tick{})
		for r, said := range told {
			if now := fmt.Sprintf("%+v", *r); now != said {
				t.Fatalf("step %d: an effect that was given before has changed:\n%s\n%s", step, said, now)
			}
		}
		clear(told)
		for _, lb := range lbs {
			told[w.routes[lb]] = fmt.Sprintf("%+v", *w.routes[lb])
			if got, want := fmt.Sprintf("%+v", *w.routes[lb]), fmt.Sprintf("%+v", *fresh.routes[lb]); got != want {
				t.Fatalf("step %d: told\n%s\nis\n%s", step, got, want)
			}
		}
	}
}

// tallied compares the counts of hosts with what a look at every target gives.
func tallied(t *testing.T, s *Service) {
	t.Helper()
	want := hostsOf{}
	for _, row := range s.targets.Everywhere() {
		want.watch("", nil, &row)
	}
	for group := range s.targetGroups.Everywhere() {
		a, b := want.of(group.ID), s.hosts.of(group.ID)
		zones := slices.DeleteFunc(slices.Clone(b.zones), func(z zoneHosts) bool { return z.served == 0 })
		if a.healthy != b.healthy || a.unhealthy != b.unhealthy || a.served != b.served || a.registered != b.registered || !slices.Equal(a.zones, zones) {
			t.Fatalf("%s has %+v, but is counted as %+v", group.ID, a, b)
		}
	}
}
