package elbv2

import (
	"fmt"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
)

// large is a world with 10,000 instances behind load balancers: many groups of size targets each.
func large(b *testing.B, size int) (w *world, groups []string, ids []string) {
	w = newWorld(b)
	subnets, _ := w.subnets()
	const perBalancer = 10
	for i := range 10_000 / size {
		group := w.targetGroup(fmt.Sprint("g", i))
		mine := w.launch(size, subnets[i%3])
		if i%perBalancer == 0 && i/perBalancer < maxLoadBalancers {
			do[shape.CreateLoadBalancerOutput](w, "CreateLoadBalancer", &shape.CreateLoadBalancerInput{
				Name: new(fmt.Sprint("lb", i/perBalancer)), Subnets: subnets,
			})
		}
		lb := do[shape.DescribeLoadBalancersOutput](w, "DescribeLoadBalancers", &shape.DescribeLoadBalancersInput{
			Names: []string{fmt.Sprint("lb", i/perBalancer)},
		}).LoadBalancers[0]
		w.register(group, mine...)
		w.listener(*lb.LoadBalancerArn, int32(80+i%perBalancer), group)
		groups, ids = append(groups, group), append(ids, mine[0])
	}
	return w, groups, ids
}

// The step of one health fact with 10,000 instances: a pass and a failure in turn, so that each writes a row and has the
// Route of a load balancer with ten target groups made again.
func BenchmarkHealthFact(b *testing.B) {
	for _, size := range []int{20, 1000} {
		b.Run(fmt.Sprintf("groupsOf%d", size), func(b *testing.B) {
			w, groups, ids := large(b, size)
			for n := 0; b.Loop(); n++ {
				i := n / 2 % len(groups)
				w.now = w.now.Add(time.Millisecond)
				out := w.c.Step(w.now, cloud.Observed{Facts: []cloud.Fact{TargetChecked{
					TargetGroup: groups[i], Target: ids[i] + ":80", At: w.now, Passed: n%2 == 0, Reason: "Target.Timeout",
				}}})
				if out.Err != nil || n >= 2*len(groups) && len(out.Changes) != 1 {
					b.Fatal(out.Err, len(out.Changes))
				}
			}
		})
	}
}

// A whole round of health checks of 10,000 targets in one step, as after a restart of the data plane.
func BenchmarkHealthFacts10000(b *testing.B) {
	w, groups, _ := large(b, 20)
	var facts []cloud.Fact
	for _, g := range groups {
		for _, t := range do[shape.DescribeTargetHealthOutput](w, "DescribeTargetHealth", &shape.DescribeTargetHealthInput{TargetGroupArn: &g}).TargetHealthDescriptions {
			facts = append(facts, TargetChecked{TargetGroup: g, Target: targetName(*t.Target.Id, *t.Target.Port), Passed: true})
		}
	}
	for n := 0; b.Loop(); n++ {
		w.now = w.now.Add(time.Second)
		for i := range facts {
			f := facts[i].(TargetChecked)
			f.At, f.Passed = w.now, n%2 == 0
			facts[i] = f
		}
		if out := w.c.Step(w.now, cloud.Observed{Facts: facts}); out.Err != nil {
			b.Fatal(out.Err)
		}
	}
}

func BenchmarkDescribeTargetHealth(b *testing.B) {
	for _, size := range []int{20, 1000} {
		b.Run(fmt.Sprintf("of%d", size), func(b *testing.B) {
			w, groups, _ := large(b, size)
			for n := 0; b.Loop(); n++ {
				in := &shape.DescribeTargetHealthInput{TargetGroupArn: &groups[n%len(groups)]}
				out := w.c.Step(w.now, cloud.Call{Scope: here, Service: Name, Operation: "DescribeTargetHealth", In: in})
				if out.Err != nil || len(out.Reply.(*shape.DescribeTargetHealthOutput).TargetHealthDescriptions) != size {
					b.Fatal(out.Err)
				}
			}
		})
	}
}

// One collection's traffic of 500 target groups in one zone each; the figure that counts is per row.
func BenchmarkTraffic(b *testing.B) {
	w, groups, _ := large(b, 20)
	var f Traffic
	for _, g := range groups {
		lb := do[shape.DescribeTargetGroupsOutput](w, "DescribeTargetGroups", &shape.DescribeTargetGroupsInput{
			TargetGroupArns: []string{g},
		}).TargetGroups[0].LoadBalancerArns[0]
		f.Counters = append(f.Counters, Counters{
			LoadBalancer: lb, TargetGroup: g, Zone: "us-east-1a", RequestCount: 100, TargetStatus: [6]int64{2: 99, 5: 1},
			TargetResponseTime: Distribution{Count: 100, Sum: 2, Min: 0.01, Max: 0.03, Values: []float64{0.01, 0.02, 0.03}, Counts: []float64{30, 40, 30}},
		})
	}
	for b.Loop() {
		f.From, f.To = w.now, w.now.Add(10*time.Second)
		w.now = f.To
		if out := w.c.Step(w.now, cloud.Observed{Facts: []cloud.Fact{f}}); out.Err != nil {
			b.Fatal(out.Err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(groups)), "µs/row")
}
