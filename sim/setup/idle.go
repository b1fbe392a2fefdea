package setup

import (
	"math"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
)

// unmeasured are metrics of instances that a model of requests says nothing about: AWS takes a policy on them, but here it
// has nothing to act on.
var unmeasured = ofInstances[1:9]

// idle tells of policies that AWS takes and that never do anything, so that nobody wonders why a group keeps its size.
func (b *builder) idle() {
	policies := map[string]int{}
	for _, s := range b.out.Steps {
		switch in := s.Call.In.(type) {
		case *asapi.PutScalingPolicyInput:
			policies[s.Group]++
			b.idlePolicy(s, in)
		case *cwapi.PutMetricAlarmInput:
			b.idleAlarm(s, in)
		case *asapi.PutScheduledUpdateGroupActionInput:
			policies[s.Group]++
		}
	}
	for _, g := range b.out.Groups {
		switch {
		case policies[g.Name] == 0:
			b.note(g.Source, "%s has neither policies nor schedules in the files: it stays at %d.", g.Name, g.Desired)
		case g.Min == g.Max:
			b.note(g.Source, "MinSize and MaxSize of %s are both %d: no policy can change its size.", g.Name, g.Min)
		}
	}
}

func (b *builder) idlePolicy(s Step, in *asapi.PutScalingPolicyInput) {
	kind := api.Value(in.PolicyType)
	if in.Enabled != nil && !*in.Enabled {
		b.note(s.Source, "%s is not enabled: it never acts.", s.What)
		return
	}
	switch kind {
	case "TargetTrackingScaling":
		name, target := tracked(in)
		if name == "ASGAverageCPUUtilization" && target >= 100 {
			b.note(s.Source, "%s can never add an instance: CPU is at most 100 %%, and its target is %g %%.", s.What, target)
		}
		if metric, network := strings.CutPrefix(name, "ASGAverage"); network && slices.Contains(unmeasured, metric) {
			b.note(s.Source, "%s never acts: nothing in a simulation has %s.", s.What, metric)
		}
		carried := &asapi.ScalingPolicy{}
		carry(in, carried)
		for _, m := range policyMetrics(carried) {
			b.noteUnmeasured(s, m)
		}
	case "StepScaling", "SimpleScaling", "":
		if !slices.ContainsFunc(b.out.Steps, func(a Step) bool {
			alarm, ok := a.Call.In.(*cwapi.PutMetricAlarmInput)
			return ok && slices.ContainsFunc(s.Brings, func(n Name) bool {
				return slices.Contains(slices.Concat(alarm.AlarmActions, alarm.OKActions, alarm.InsufficientDataActions), n.Old)
			})
		}) {
			b.note(s.Source, "%s never acts: no alarm in the files runs it (aws cloudwatch describe-alarms prints them).", s.What)
		}
	}
}

func (b *builder) noteUnmeasured(s Step, m metric) {
	if m.namespace == "AWS/EC2" && slices.Contains(unmeasured, m.name) {
		b.note(s.Source, "%s never acts: nothing in a simulation has %s.", s.What, m.name)
	}
}

// idleAlarm tells of an alarm that does not run what it names, or runs a policy that has no step where it is on.
func (b *builder) idleAlarm(s Step, in *cwapi.PutMetricAlarmInput) {
	if in.ActionsEnabled != nil && !*in.ActionsEnabled {
		b.note(s.Source, "%s runs nothing: its ActionsEnabled is false.", s.What)
		return
	}
	for _, m := range alarmMetrics(in) {
		b.noteUnmeasured(s, m)
	}
	for _, arn := range in.AlarmActions {
		p := b.policies[arn]
		if p == nil || len(p.StepAdjustments) == 0 {
			continue
		}
		compares, above := api.Value(in.ComparisonOperator), false
		switch {
		case strings.HasPrefix(compares, "GreaterThan"):
			above = true
		case !strings.HasPrefix(compares, "LessThan"):
			continue
		}
		if !slices.ContainsFunc(p.StepAdjustments, func(a asapi.StepAdjustment) bool {
			if above {
				return a.MetricIntervalUpperBound == nil || api.Or(a.MetricIntervalUpperBound, math.Inf(1)) > 0
			}
			return a.MetricIntervalLowerBound == nil || api.Or(a.MetricIntervalLowerBound, math.Inf(-1)) < 0
		}) {
			side := map[bool]string{true: "above", false: "below"}[above]
			b.note(s.Source, "%s is on %s its threshold, but policy %s has steps on the other side only: it never acts.", s.What, side, api.Value(p.PolicyName))
		}
	}
}
