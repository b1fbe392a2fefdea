package sim

import (
	"math"
	"slices"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/sim/world"
)

// measure gives what the minute that ends now was like: the facts that are seen now. Alarms look at a minute's metrics a
// minute after its end (CW-AL-03f), so a delay up to that changes nothing; longer ones count in whole minutes.
func (e *engine) measure() []cloud.Fact {
	if !e.begun {
		return nil
	}
	var facts []cloud.Fact
	at := e.now.Sub(e.From)
	from, to := e.now.Add(-1).Truncate(time.Minute), e.now
	for _, f := range e.sorted() {
		if f.world == nil {
			continue
		}
		f.world.Advance(at)
		now := f.world.Totals()
		spent := now.Sub(f.last)
		f.last = now
		if !f.ready.Metrics(at - 1) {
			continue
		}
		delay := time.Duration(f.ready.Model.Delay * float64(time.Second))
		if delay <= time.Minute {
			facts = e.tell(facts, f, spent, from, to)
			continue
		}
		late := (delay + time.Minute - 1).Truncate(time.Minute)
		for _, fact := range e.tell(nil, f, spent, from, to) {
			e.fact(late, fact)
		}
	}
	return facts
}

// tell appends the facts of one group's minute.
func (e *engine) tell(facts []cloud.Fact, f *fleet, spent world.Totals, from, to time.Time) []cloud.Fact {
	if e.EachInstance {
		u := ec2.Usage{From: from, To: to}
		for _, i := range e.instances { // any order: they are sorted below
			if i.fleet == f && i.up {
				u.Samples = append(u.Samples, ec2.UsageSample{ID: i.id, CPUPercent: spent.Utilization()})
			}
		}
		slices.SortFunc(u.Samples, func(a, b ec2.UsageSample) int {
			if a.ID < b.ID {
				return -1
			}
			return 1
		})
		facts = append(facts, u)
	} else {
		facts = append(facts, autoscaling.GroupUsage{Scope: f.scope, Group: f.name, From: from, To: to, CPUPercent: spent.Utilization()})
	}
	if lb := e.balancers[f.targetGroup]; f.targetGroup != "" && lb != "" {
		facts = append(facts, f.passed(lb, spent, from, to))
	}
	return facts
}

// passed is what went through the load balancer of a group.
func (f *fleet) passed(loadBalancer string, spent world.Totals, from, to time.Time) elbv2.Traffic {
	sent := spent.Arrived + spent.Retried
	f.rest += sent
	requests := int64(f.rest)
	f.rest -= float64(requests)
	answered := spent.Answered()
	failed := int64(math.Round(spent.Tries))
	group := elbv2.Counters{LoadBalancer: loadBalancer, TargetGroup: f.targetGroup}
	all := elbv2.Counters{LoadBalancer: loadBalancer, NewConnectionCount: requests}
	if f.world.InService() > 0 {
		group.RequestCount = requests
		group.TargetStatus[2] = max(0, requests-failed)
		all.ELB504, all.ELB5XX = failed, failed
	} else {
		all.ELB503, all.ELB5XX = requests, requests
	}
	if answered > 0 {
		mean := spent.Response / answered
		group.TargetResponseTime = elbv2.Distribution{Count: answered, Sum: spent.Response, Min: mean, Max: mean}
		all.ActiveConnectionCount = int64(math.Round(spent.Response / to.Sub(from).Seconds()))
	}
	return elbv2.Traffic{From: from, To: to, Counters: []elbv2.Counters{group, all}}
}
