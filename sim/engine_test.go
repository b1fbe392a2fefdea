package sim

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	elbv2api "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/setup"
	"github.com/billow-cloud/billow/sim/world"
)

var update = flag.Bool("update", false, "rewrite testdata")

// ran runs a scenario that must succeed.
func ran(t *testing.T, s Scenario) []outcome.Outcome {
	t.Helper()
	all, err := Run(s)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// morning is half a day of a load that doubles and falls again.
func morning() Scenario {
	t := waves(40, 300, 0.75)
	return Scenario{
		Setup: setUp(group{name: "web", min: 2, max: 40, desired: 4, target: 50}),
		Loads: map[string]load.Trace{"web": t}, World: plain(), Seed: 1,
	}
}

func TestTheSameSeedIsTheSameRun(t *testing.T) {
	s := morning()
	s.World.Failures = world.Failures{LaunchShare: 0.1, PerInstance: 0.05}
	a, b := ran(t, s), ran(t, s)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
	s.Seed = 2
	if c := ran(t, s); reflect.DeepEqual(a[0].Activities, c[0].Activities) {
		t.Error("another seed gives the same IDs")
	}
}

// TestUsageTogetherOrOneByOne: a group's usage as one fact gives the same activities as one sample for each instance.
func TestUsageTogetherOrOneByOne(t *testing.T) {
	for _, basic := range []bool{false, true} {
		s := morning()
		s.Setup = setUp(group{name: "web", min: 2, max: 40, desired: 4, target: 50, basic: basic})
		s.World.Failures = world.Failures{LaunchShare: 0.05, PerInstance: 0.1, Events: []world.Event{
			{At: 3 * 3600, For: 600, Kind: world.ZoneDown, Zone: "b"}, {At: 5 * 3600, For: 900, Kind: world.NoMetrics}}}
		together := ran(t, s)
		s.EachInstance = true
		if diff := cmp.Diff(together, ran(t, s)); diff != "" {
			t.Errorf("basic monitoring %v: %s", basic, diff)
		}
		if len(together[0].Activities) < 20 {
			t.Errorf("only %d activities", len(together[0].Activities))
		}
	}
}

// TestARestartChangesNothing replaces the cloud in the middle of a run by one that is loaded with its rows.
func TestARestartChangesNothing(t *testing.T) {
	s := morning()
	s.World.Failures = world.Failures{LaunchShare: 0.1, PerInstance: 0.05}
	want := ran(t, s)
	for _, after := range []time.Duration{time.Minute, 5*time.Hour + 3*time.Second, 8*time.Hour + 40*time.Second, 9 * time.Hour} {
		e, err := newEngine(s, freshCloud(s))
		if err != nil {
			t.Fatal(err)
		}
		e.restart = e.From.Add(after)
		got, err := e.run(e.From.Add(-e.Lead))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after %v: %s", after, diff)
		}
	}
}

// TestContinue: a run that is cut in two at a quiet moment goes on as the whole one does.
func TestContinue(t *testing.T) {
	s := morning()
	s.World.Boot.CV = 0 // the numbers of launches begin anew
	whole := ran(t, s)[0]
	middle := monday.Add(6*time.Hour + 30*time.Second)
	first := s
	first.To = middle
	c := freshCloud(first)
	e, err := newEngine(first, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.run(e.From.Add(-e.Lead)); err != nil {
		t.Fatal(err)
	}
	e.reload()
	second := s
	second.Setup, second.From = nil, middle
	rest, err := Continue(e.cloud, second)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, a := range whole.Activities {
		if a.StartTime.After(middle) {
			want = append(want, a.StartTime.String()+a.Cause)
		}
	}
	for _, a := range rest[0].Activities {
		got = append(got, a.StartTime.String()+a.Cause)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 5 {
		t.Errorf("%d activities: %s", len(want), diff)
	}
}

// TestActivities holds the activities of small scenarios to testdata.
func TestActivities(t *testing.T) {
	for name, s := range map[string]Scenario{
		"tracking": hour(group{name: "web", min: 2, max: 10, desired: 2, target: 50}, 15, 90),
		"hooks":    hooked(),
		"failures": broken(world.Failures{Events: []world.Event{
			{At: 600, Kind: world.Kill, Count: 1}, {At: 1200, For: 900, Kind: world.NoCapacity, Zone: "a"}}}),
		"zone":     broken(world.Failures{Events: []world.Event{{At: 900, For: 1500, Kind: world.ZoneDown, Zone: "us-east-1a"}}}),
		"balancer": balanced(),
	} {
		t.Run(name, func(t *testing.T) {
			o := ran(t, s)[0]
			file := filepath.Join("testdata", name+".txt")
			got := told(o)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// told is an outcome as text: every activity, and the fleet every five minutes.
func told(o outcome.Outcome) string {
	var b strings.Builder
	for _, p := range o.Points {
		if p.At.Minute()%5 == 0 {
			fmt.Fprintf(&b, "%s %5.1f/s  wants %d, has %d, coming %d, at %3.0f %%, late %.0f, lost %.0f\n", p.At.Format("15:04"), p.Rate, p.Desired, p.InService, p.Pending, p.Utilization, p.Late, p.Lost)
		}
	}
	for _, a := range o.Activities {
		end := "-"
		if !a.EndTime.IsZero() {
			end = a.EndTime.Format("15:04:05")
		}
		fmt.Fprintf(&b, "\n%s to %s %s: %s\n", a.StartTime.Format("15:04:05"), end, a.StatusCode, a.Description)
		if a.From != a.To {
			fmt.Fprintf(&b, "  from %d to %d\n", a.From, a.To)
		}
		for _, line := range strings.SplitAfter(a.Cause, ".  ") {
			fmt.Fprintf(&b, "  %s\n", strings.TrimSpace(line))
		}
	}
	return b.String()
}

// hour is an hour of a group under a load that jumps after ten minutes and ends after forty.
func hour(g group, low, high float64) Scenario {
	t := load.Trace{Start: monday, Step: time.Minute}
	for m := range 60 {
		rate := low
		if m >= 10 && m < 40 {
			rate = high
		}
		t.Rates = append(t.Rates, rate)
	}
	s := Scenario{Setup: setUp(g), Loads: map[string]load.Trace{g.name: t}, World: plain(), Seed: 1}
	s.World.Boot.CV = 0
	return s
}

// broken is a group of fixed size in a world in which things break.
func broken(f world.Failures) Scenario {
	s := hour(group{name: "web", min: 6, max: 6, desired: 6}, 40, 60)
	s.World.Failures = f
	return s
}

// hooked has one hook that a script completes after 20 seconds and one that nobody does.
func hooked() Scenario {
	g := group{name: "web", min: 1, max: 10, desired: 1, target: 50}
	s := hour(g, 8, 40)
	s.Setup = func(do setup.Do) error {
		calls := g.calls()
		for _, h := range []struct{ name, transition, result string }{
			{"prepare", "autoscaling:EC2_INSTANCE_LAUNCHING", "ABANDON"}, {"save", "autoscaling:EC2_INSTANCE_TERMINATING", "CONTINUE"},
		} {
			calls = append(calls, as("PutLifecycleHook", &asapi.PutLifecycleHookInput{AutoScalingGroupName: &g.name, LifecycleHookName: &h.name,
				LifecycleTransition: &h.transition, DefaultResult: &h.result, HeartbeatTimeout: new(int32(120))}))
		}
		return made(do, calls)
	}
	s.Hooks = map[string]time.Duration{"prepare": 20 * time.Second}
	return s
}

func made(do setup.Do, calls []cloud.Call) error {
	for _, c := range calls {
		if _, err := do(c); err != nil {
			return err
		}
	}
	return nil
}

// balanced is a group behind a load balancer that tracks its requests per target.
func balanced() Scenario {
	g := group{name: "web", min: 2, max: 10, desired: 2}
	s := hour(g, 10, 60)
	s.Setup = behind(g, 600)
	return s
}

// behind sets up a group behind a load balancer, with a policy that tracks the requests per target and minute if requests
// is not 0.
func behind(g group, requests float64) func(setup.Do) error {
	return func(do setup.Do) error {
		out, err := do(cloud.Call{Scope: here, Service: ec2.Name, Operation: "DescribeSubnets", In: &ec2api.DescribeSubnetsInput{}})
		if err != nil {
			return err
		}
		var subnets []string
		for _, n := range out.(*ec2api.DescribeSubnetsOutput).Subnets {
			subnets = append(subnets, *n.SubnetId)
		}
		vpc := out.(*ec2api.DescribeSubnetsOutput).Subnets[0].VpcId
		balancing := func(operation string, in any) (any, error) {
			return do(cloud.Call{Scope: here, Service: elbv2.Name, Operation: operation, In: in})
		}
		if out, err = balancing("CreateTargetGroup", &elbv2api.CreateTargetGroupInput{Name: &g.name, Protocol: new("HTTP"), Port: new(int32(80)), VpcId: vpc}); err != nil {
			return err
		}
		targets := out.(*elbv2api.CreateTargetGroupOutput).TargetGroups[0].TargetGroupArn
		if out, err = balancing("CreateLoadBalancer", &elbv2api.CreateLoadBalancerInput{Name: &g.name, Subnets: subnets}); err != nil {
			return err
		}
		lb := out.(*elbv2api.CreateLoadBalancerOutput).LoadBalancers[0].LoadBalancerArn
		if _, err = balancing("CreateListener", &elbv2api.CreateListenerInput{LoadBalancerArn: lb, Protocol: new("HTTP"), Port: new(int32(80)),
			DefaultActions: []elbv2api.Action{{Type: new("forward"), TargetGroupArn: targets}}}); err != nil {
			return err
		}
		label := func(arn *string, kind string) string { return (*arn)[strings.Index(*arn, kind):] }
		calls := append(g.calls(), as("AttachLoadBalancerTargetGroups", &asapi.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: &g.name, TargetGroupARNs: []string{*targets}}))
		if requests > 0 {
			calls = append(calls, as("PutScalingPolicy", &asapi.PutScalingPolicyInput{
				AutoScalingGroupName: &g.name, PolicyName: new("requests"), PolicyType: new("TargetTrackingScaling"),
				TargetTrackingConfiguration: &asapi.TargetTrackingConfiguration{TargetValue: &requests, PredefinedMetricSpecification: &asapi.PredefinedMetricSpecification{
					PredefinedMetricType: new("ALBRequestCountPerTarget"), ResourceLabel: new(label(lb, "app/") + "/" + label(targets, "targetgroup/")),
				}},
			}))
		}
		return made(do, calls)
	}
}

func TestWhatCannotBeRun(t *testing.T) {
	good := morning()
	for want, change := range map[string]func(*Scenario){
		"neither a load nor a time": func(s *Scenario) { s.Loads = nil },
		"before it begins":          func(s *Scenario) { s.To = s.Loads["web"].Start },
		"not a whole number":        func(s *Scenario) { s.Loads = map[string]load.Trace{"web": {Start: monday, Step: time.Millisecond}} },
		"ten are the most":          func(s *Scenario) { s.To = monday.AddDate(20, 0, 0) },
		"instance_types is empty":   func(s *Scenario) { s.World = world.Model{} },
		"no instance type t3.medium": func(s *Scenario) {
			s.World.Types = map[string]world.Type{"m5.large": s.World.Types["*"]}
		},
		"AutoScalingGroup name not found": func(s *Scenario) {
			s.Calls = []Timed{{At: monday.Add(time.Hour), Call: as("SetDesiredCapacity", &asapi.SetDesiredCapacityInput{AutoScalingGroupName: new("nobody"), DesiredCapacity: new(int32(1))})}}
		},
		"enough": func(s *Scenario) { s.Stop = func() error { return fmt.Errorf("enough") } },
	} {
		s := good
		change(&s)
		if _, err := Run(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// TestALoadForNobody: a load whose group is not there is refused, since it would be silently lost.
func TestALoadForNobody(t *testing.T) {
	s := morning()
	s.Loads["app"] = s.Loads["web"]
	if _, err := Run(s); err == nil || !strings.Contains(err.Error(), "app") {
		t.Error(err)
	}
}

func TestAWorldThatServesNothing(t *testing.T) {
	s := hour(group{name: "web", min: 1, max: 2, desired: 1, target: 50}, 1000, 2000)
	o := ran(t, s)[0]
	if o.Summary.Lost < 0.9 || o.Points[50].Desired != 2 {
		t.Errorf("%+v", o.Summary)
	}
}
