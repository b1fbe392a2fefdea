package sim

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/setup"
)

// perInstance is what an instance of the plain world serves at 100 %, requests per second.
const perInstance = 20.0

func runs(b *testing.B, s Scenario) []outcome.Outcome {
	b.Helper()
	all, err := Run(s)
	if err != nil {
		b.Fatal(err)
	}
	return all
}

// processorTime is what the program has used so far, with its garbage collection: on a busy machine that is what can be
// relied on.
func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// verdict prints a run's time beside what it may take.
func verdict(b *testing.B, what string, took, most time.Duration) {
	b.Helper()
	word := "met"
	if took > most {
		word = "MISSED"
	}
	b.Logf("%s: %.2f s of processor time, at most %.0f s: %s", what, took.Seconds(), most.Seconds(), word)
}

// BenchmarkWeek is a week of one group that follows a daily cycle between 300 and 1,000 instances: 1 s at most. The
// second one is behind a load balancer.
func BenchmarkWeek(b *testing.B) {
	g := group{name: "web", min: 100, max: 1000, desired: 600, target: 50}
	b.Run("plain", func(b *testing.B) { benchWeek(b, setUp(g)) })
	b.Run("balanced", func(b *testing.B) { benchWeek(b, behind(g, 0)) })
}

func benchWeek(b *testing.B, build func(setup.Do) error) {
	s := Scenario{Setup: build, Loads: map[string]load.Trace{"web": waves(300*perInstance/2, 990*perInstance/2, 7)}, World: plain(), Seed: 1}
	var all []outcome.Outcome
	b.ReportAllocs()
	before := processorTime()
	for b.Loop() {
		all = runs(b, s)
	}
	o := all[0]
	took := (processorTime() - before) / time.Duration(b.N)
	b.Logf("%d instances at most, %.0f instance-hours, %d activities", o.Summary.MaxInstances, o.Summary.InstanceHours, len(o.Activities))
	b.ReportMetric(float64(took.Microseconds())/float64(7*24*60), "µs/minute")
	verdict(b, "a week of a group of up to 1,000", took, time.Second)
}

// BenchmarkRegion is a day of many groups, for the cost of an instance-hour at three sizes; the largest, of a minute or
// two, only with BILLOW_BENCH_REGION.
func BenchmarkRegion(b *testing.B) {
	before, cost := 0, time.Duration(0)
	for _, size := range []int{1000, 10_000, 100_000} {
		if size > 10_000 && os.Getenv("BILLOW_BENCH_REGION") == "" {
			continue
		}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			each := benchRegion(b, size, size/100)
			b.Logf("%v for an instance-hour", each)
			if before > 0 {
				b.Logf("that is %.2f times what it is for %d, where n log n is %.2f times", float64(each)/float64(cost), before, math.Log(float64(size))/math.Log(float64(before)))
			}
			before, cost = size, each
		})
	}
}

// benchRegion gives the processor time of an instance-hour.
func benchRegion(b *testing.B, instances, groups int) time.Duration {
	s := Scenario{Loads: map[string]load.Trace{}, World: plain(), Seed: 1}
	var list []group
	each := float64(instances / groups)
	for n := range groups {
		name := fmt.Sprintf("group-%04d", n)
		list = append(list, group{name: name, min: 1, max: int32(2 * each), desired: int32(each), target: 50})
		t := waves(each*perInstance/2*0.6, each*perInstance/2*1.3, 1)
		shift := n * 1440 / groups // so that they do not all do the same at the same time
		t.Rates = append(t.Rates[shift:len(t.Rates):len(t.Rates)], t.Rates[:shift]...)
		s.Loads[name] = t
	}
	s.Setup = spacious(list)
	hours, activities := 0.0, 0
	var memory runtime.MemStats
	before := processorTime()
	for b.Loop() {
		hours, activities = 0, 0
		for _, o := range runs(b, s) {
			hours += o.Summary.InstanceHours
			activities += len(o.Activities)
		}
		runtime.ReadMemStats(&memory)
	}
	took := (processorTime() - before) / time.Duration(b.N)
	b.ReportMetric(float64(took.Nanoseconds())/hours, "ns/instance-hour")
	b.Logf("%d groups, %.0f instances on average, %.0f instance-hours, %d activities, %.1f s, %d MB from the system", groups, hours/24, hours, activities, took.Seconds(), memory.Sys>>20)
	if instances == 100_000 {
		verdict(b, "a day of 1,000 groups with 100,000 instances", took, 10*time.Minute)
	}
	return time.Duration(float64(took) / hours)
}

// spacious sets groups up in networks that have room for them, since the default one ends at 12,000 instances, and in
// accounts that may have so many. The groups of an account have one launch configuration.
func spacious(groups []group) func(setup.Do) error {
	const account, network = 500, 250 // groups of each
	return func(do setup.Do) error {
		scope, subnets, configuration := here, "", ""
		for n, g := range groups {
			var err error
			if n%account == 0 {
				scope.Account, configuration = fmt.Sprintf("%012d", 1+n/account), g.name
			}
			if n%network == 0 {
				if subnets, err = roomy(do, scope, n/network); err != nil {
					return err
				}
			}
			calls := g.calls()
			if n%account > 0 {
				calls = calls[1:]
			}
			for i := range calls {
				calls[i].Scope = scope
				if in, ok := calls[i].In.(*asapi.CreateAutoScalingGroupInput); ok {
					in.LaunchConfigurationName, in.AvailabilityZones, in.VPCZoneIdentifier = &configuration, nil, &subnets
				}
			}
			if err := made(do, calls); err != nil {
				return err
			}
		}
		return nil
	}
}

// roomy makes a network of 49,000 addresses in three zones and gives its subnets.
func roomy(do setup.Do, scope cloud.Scope, n int) (string, error) {
	out, err := do(cloud.Call{Scope: scope, Service: ec2.Name, Operation: "CreateVpc", In: &ec2api.CreateVpcInput{CidrBlock: new(fmt.Sprintf("10.%d.0.0/16", n))}})
	if err != nil {
		return "", err
	}
	vpc, ids := out.(*ec2api.CreateVpcOutput).Vpc.VpcId, ""
	for z := range 3 {
		out, err := do(cloud.Call{Scope: scope, Service: ec2.Name, Operation: "CreateSubnet", In: &ec2api.CreateSubnetInput{
			VpcId: vpc, CidrBlock: new(fmt.Sprintf("10.%d.%d.0/18", n, 64*z)), AvailabilityZone: new("us-east-1" + string(rune('a'+z)))}})
		if err != nil {
			return "", err
		}
		ids += "," + *out.(*ec2api.CreateSubnetOutput).Subnet.SubnetId
	}
	return ids[1:], nil
}

// BenchmarkWorldCup is a trace of 87 days, one with its shape or the one that BILLOW_WORLDCUP names: 10 s at most, of
// which a report may take two.
func BenchmarkWorldCup(b *testing.B) {
	trace := matches()
	if path := os.Getenv("BILLOW_WORLDCUP"); path != "" {
		var err error
		if trace, err = load.Read(path, load.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	s := Scenario{
		Setup: setUp(group{name: "web", min: 2, max: 200, desired: 10, target: 50}),
		Loads: map[string]load.Trace{"web": trace}, World: plain(), Seed: 1,
	}
	var all []outcome.Outcome
	b.ReportAllocs()
	before := processorTime()
	for b.Loop() {
		all = runs(b, s)
	}
	o := all[0]
	took := (processorTime() - before) / time.Duration(b.N)
	b.Logf("%d instances at most, %.0f instance-hours, %d activities", o.Summary.MaxInstances, o.Summary.InstanceHours, len(o.Activities))
	b.ReportMetric(float64(took.Microseconds())/float64(len(trace.Rates)), "µs/minute")
	verdict(b, "87 days of the World Cup", took, 8*time.Second)
}

// matches is 87 days with a daily cycle, growth towards the middle, and peaks of an hour or two on half of the days.
func matches() load.Trace {
	t := waves(0, 1, 87)
	for m := range t.Rates {
		n := m / 1440
		season := 1 - float64((n-60)*(n-60))/5000
		rate := 40 + 200*season*t.Rates[m]
		if at := m % 1440; n%2 == 1 && n > 40 && n < 75 && at > 900 && at < 1030 {
			rate *= 4
		}
		t.Rates[m] = max(10, rate)
	}
	return t
}
