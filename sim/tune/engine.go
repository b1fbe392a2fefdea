package tune

import (
	"fmt"
	"strconv"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	metrics "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/sim"
	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/setup"
)

// This file has candidates run by the whole control plane, as calls of its API: the same that the files for the AWS CLI
// have.

var scope = cloud.Scope{Account: "123456789012", Region: "us-east-1"}

// update is the call of UpdateAutoScalingGroup.
func (c *Candidate) update(group string, most int) *shape.UpdateAutoScalingGroupInput {
	return &shape.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: &group, MinSize: new(int32(max(1, c.Min))), MaxSize: new(int32(most)), DefaultInstanceWarmup: new(int32(c.Warmup)),
	}
}

// alarms are the calls of PutMetricAlarm, by the policy that each calls.
func (c *Candidate) alarms(group string) map[string]*metrics.PutMetricAlarmInput {
	all := map[string]*metrics.PutMetricAlarmInput{}
	add := func(policy, operator string, threshold float64, periods, points, trend int) {
		a := &metrics.PutMetricAlarmInput{
			AlarmName: new(group + "-" + policy), Namespace: new("AWS/EC2"), MetricName: new("CPUUtilization"), Statistic: new("Average"),
			Dimensions: []metrics.Dimension{{Name: new("AutoScalingGroupName"), Value: &group}},
			Period:     new(int32(60)), EvaluationPeriods: new(int32(periods)), ComparisonOperator: &operator, Threshold: new(round(threshold)),
		}
		if trend > 0 {
			a.Metrics = []metrics.MetricDataQuery{
				{Id: new("m1"), ReturnData: new(false), MetricStat: &metrics.MetricStat{
					Metric: &metrics.Metric{Namespace: a.Namespace, MetricName: a.MetricName, Dimensions: a.Dimensions}, Period: a.Period, Stat: a.Statistic}},
				{Id: new("e1"), Expression: new(fmt.Sprintf("m1 + %d * DIFF(m1)", trend)), Label: new("CPU in " + strconv.Itoa(trend) + " minutes"), ReturnData: new(true)},
			}
			a.Namespace, a.MetricName, a.Dimensions, a.Period, a.Statistic = nil, nil, nil, nil, nil
		}
		if points < periods {
			a.DatapointsToAlarm = new(int32(points))
		}
		all[policy] = a
	}
	if c.Out.Threshold > 0 {
		add("out", "GreaterThanOrEqualToThreshold", c.Out.Threshold, c.Out.Periods, c.Out.Points, c.Out.Trend)
	}
	if c.In.Threshold > 0 {
		add("in", "LessThanOrEqualToThreshold", c.In.Threshold, c.In.Periods, c.In.Points, 0)
	}
	return all
}

// schedules are the calls of PutScheduledUpdateGroupAction.
func (c *Candidate) schedules(group string, needs *Needs, most int) []*shape.PutScheduledUpdateGroupActionInput {
	var all []*shape.PutScheduledUpdateGroupActionInput
	for _, a := range c.Calendar.actions(needs, max(1, c.Min), most) {
		all = append(all, &shape.PutScheduledUpdateGroupActionInput{
			AutoScalingGroupName: &group, ScheduledActionName: new(a.Name), Recurrence: new(a.Recurrence), MinSize: new(int32(a.Min)),
		})
	}
	return all
}

// setUp makes a group that begins with start instances of a type and scales as the candidate says.
func (c *Candidate) setUp(group, instanceType string, most, start int, needs *Needs) func(setup.Do) error {
	return func(do setup.Do) error {
		as := func(operation string, in any) (any, error) {
			return do(cloud.Call{Scope: scope, Service: autoscaling.Name, Operation: operation, In: in})
		}
		least := int32(max(1, c.Min))
		create := &shape.CreateAutoScalingGroupInput{
			AutoScalingGroupName: &group, LaunchConfigurationName: &group, MinSize: &least, MaxSize: new(int32(most)),
			DesiredCapacity: new(max(least, int32(start))), AvailabilityZones: []string{"us-east-1a", "us-east-1b", "us-east-1c"},
		}
		if c.Warmup >= 0 {
			create.DefaultInstanceWarmup = new(int32(c.Warmup))
		}
		if _, err := as("CreateLaunchConfiguration", &shape.CreateLaunchConfigurationInput{
			LaunchConfigurationName: &group, ImageId: new("ami-0123456789abcdef0"), InstanceType: &instanceType,
			InstanceMonitoring: &shape.InstanceMonitoring{Enabled: new(true)},
		}); err != nil {
			return err
		}
		if _, err := as("CreateAutoScalingGroup", create); err != nil {
			return err
		}
		alarms := c.alarms(group)
		for _, in := range c.policies(group) {
			reply, err := as("PutScalingPolicy", in)
			if err != nil {
				return err
			}
			a, ok := alarms[*in.PolicyName]
			if !ok {
				continue
			}
			a.AlarmActions = []string{*reply.(*shape.PutScalingPolicyOutput).PolicyARN}
			if _, err := do(cloud.Call{Scope: scope, Service: cloudwatch.Name, Operation: "PutMetricAlarm", In: a}); err != nil {
				return err
			}
		}
		for _, in := range c.schedules(group, needs, most) {
			if _, err := as("PutScheduledUpdateGroupAction", in); err != nil {
				return err
			}
		}
		return nil
	}
}

// judge runs the candidate under the part's load with the whole control plane.
func (p *part) judge(name string, c *Candidate, points bool) (outcome.Outcome, error) {
	all, err := sim.Run(sim.Scenario{
		Name: name, Seed: 1, Setup: c.setUp("group", instanceType(p.ready.Kinds[p.kind]), p.most, p.start, p.needs),
		Loads: map[string]load.Trace{"group": p.load}, World: p.ready.Model, NoPoints: !points,
	})
	if err != nil {
		return outcome.Outcome{}, fmt.Errorf("%s: %w", name, err)
	}
	if len(all) != 1 {
		return outcome.Outcome{}, fmt.Errorf("%s: there are %s outcomes of one group", name, strconv.Itoa(len(all)))
	}
	return all[0], nil
}

// instanceType is the type of a group's instances: that of the model, or any if it is a model of any.
func instanceType(kind string) string {
	if kind == "*" {
		return "t3.medium"
	}
	return kind
}
