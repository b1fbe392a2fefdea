package sim

import (
	"math"
	"testing"
	"time"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/setup"
	"github.com/billow-cloud/billow/sim/world"
)

var (
	here   = cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	monday = time.Date(2026, 9, 28, 0, 0, 0, 0, time.UTC)
)

// group is a small Auto Scaling group that tracks a target.
type group struct {
	name              string
	min, max, desired int32
	target            float64
	basic             bool // monitoring
}

// setUp makes groups, each with a launch configuration of its own.
func setUp(groups ...group) func(setup.Do) error {
	return func(do setup.Do) error {
		for _, g := range groups {
			for _, c := range g.calls() {
				if _, err := do(c); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func as(operation string, in any) cloud.Call {
	return cloud.Call{Scope: here, Service: autoscaling.Name, Operation: operation, In: in}
}

func (g group) calls() []cloud.Call {
	calls := []cloud.Call{
		as("CreateLaunchConfiguration", &asapi.CreateLaunchConfigurationInput{
			LaunchConfigurationName: &g.name, ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.medium"),
			InstanceMonitoring: &asapi.InstanceMonitoring{Enabled: new(!g.basic)},
		}),
		as("CreateAutoScalingGroup", &asapi.CreateAutoScalingGroupInput{
			AutoScalingGroupName: &g.name, LaunchConfigurationName: &g.name, MinSize: &g.min, MaxSize: &g.max, DesiredCapacity: &g.desired,
			AvailabilityZones: []string{"us-east-1a", "us-east-1b", "us-east-1c"}, DefaultInstanceWarmup: new(int32(120)),
		}),
	}
	if g.target > 0 {
		calls = append(calls, as("PutScalingPolicy", &asapi.PutScalingPolicyInput{
			AutoScalingGroupName: &g.name, PolicyName: new("cpu"), PolicyType: new("TargetTrackingScaling"),
			TargetTrackingConfiguration: &asapi.TargetTrackingConfiguration{TargetValue: &g.target, PredefinedMetricSpecification: &asapi.PredefinedMetricSpecification{
				PredefinedMetricType: new("ASGAverageCPUUtilization"),
			}},
		}))
	}
	return calls
}

// plain is a world in which an instance serves 20 requests per second.
func plain() world.Model {
	return world.Model{
		Types: map[string]world.Type{"*": {ServiceTime: world.Spread{Mean: 0.1, CV: 0.5}, Concurrency: 2, Price: 0.05}},
		Boot:  world.Spread{Mean: 60, CV: 0.2}, WarmUp: 30, ColdRate: 0.5, Deadline: 0.5, Timeout: 5, Seed: 1,
	}
}

// waves is a load with a daily cycle between two rates, in steps of a minute.
func waves(low, high float64, days float64) load.Trace {
	t := load.Trace{Start: monday, Step: time.Minute}
	for m := range int(days * 24 * 60) {
		t.Rates = append(t.Rates, low+(high-low)*day(m))
	}
	return t
}

// day is the time of day as a number from 0 (4 o'clock) to 1 (16 o'clock).
func day(minute int) float64 {
	return 0.5 - 0.5*math.Cos(2*math.Pi*(float64(minute)/1440-4.0/24))
}

func TestAGroupFollowsItsLoad(t *testing.T) {
	all, err := Run(Scenario{
		Setup: setUp(group{name: "web", min: 2, max: 40, desired: 4, target: 50}),
		Loads: map[string]load.Trace{"web": waves(20, 300, 1)}, World: plain(), Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	o := all[0]
	t.Logf("%+v", o.Summary)
	for _, a := range o.Activities {
		t.Log(a)
	}
}
