package setup

import (
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
)

// Target is the utilization in percent that a group's policies keep to: the target of tracking its CPU, or its requests
// where one instance serves perSecond of them at 100 %, else the lowest threshold above which an alarm on its CPU acts, or target
// of a forecast of it. 0 is none.
func (s Setup) Target(group string, perSecond float64) float64 {
	target, threshold := 0.0, 0.0
	for _, call := range s.standing(group) {
		switch in := call.(type) {
		case *asapi.PutScalingPolicyInput:
			for _, m := range forecasts(in) {
				lower(&threshold, m)
			}
			switch metric, value := tracked(in); metric {
			case "ASGAverageCPUUtilization":
				lower(&target, value)
			case "ALBRequestCountPerTarget":
				if perSecond > 0 {
					lower(&target, value/60/perSecond*100)
				}
			}
		case *cwapi.PutMetricAlarmInput:
			if api.Value(in.MetricName) == "CPUUtilization" && strings.HasPrefix(api.Value(in.ComparisonOperator), "GreaterThan") {
				lower(&threshold, api.Value(in.Threshold))
			}
		}
	}
	if target > 0 {
		return target
	}
	return threshold
}

// RequestTarget is the lowest number of requests per minute and instance that a group's policies keep to; 0 is none.
func (s Setup) RequestTarget(group string) float64 {
	target := 0.0
	for _, call := range s.standing(group) {
		if in, ok := call.(*asapi.PutScalingPolicyInput); ok {
			if metric, value := tracked(in); metric == "ALBRequestCountPerTarget" {
				lower(&target, value)
			}
		}
	}
	return target
}

// lower keeps the lowest value above 0.
func lower(to *float64, v float64) {
	if v > 0 && (*to == 0 || v < *to) {
		*to = v
	}
}

// standing are the calls that put what is there of a group's policies and their alarms once all steps are made: of several
// with the same name the last one, and none if that is deleted after it.
func (s Setup) standing(group string) (calls []any) {
	var keys []string
	in, brought := map[string]any{}, map[string]string{} // by key; the keys of policies by what their answers bring
	put := func(key string, call any) {
		if _, known := in[key]; !known {
			keys = append(keys, key)
		}
		in[key] = call
	}
	for _, step := range s.Steps {
		switch call := step.Call.In.(type) {
		case *cwapi.DeleteAlarmsInput:
			for _, name := range call.AlarmNames {
				delete(in, "alarm "+name)
			}
		case *asapi.DeletePolicyInput:
			key := "policy " + api.Value(call.PolicyName)
			if is, by := brought[api.Value(call.PolicyName)]; by {
				key = is
			} else if step.Group != group {
				continue
			}
			delete(in, key)
		case *asapi.PutScalingPolicyInput:
			key := "policy " + api.Value(call.PolicyName)
			if step.Group != group {
				continue
			}
			for _, n := range step.Brings {
				brought[n.Old] = key
			}
			put(key, call)
			if !api.Or(call.Enabled, true) {
				delete(in, key)
			}
		case *cwapi.PutMetricAlarmInput:
			key := "alarm " + api.Value(call.AlarmName)
			if delete(in, key); step.Group == group {
				put(key, call)
			}
		}
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		call, there := in[key]
		if alarm, ok := call.(*cwapi.PutMetricAlarmInput); ok {
			runs := func(arn string) bool { return in[brought[arn]] != nil }
			there = api.Or(alarm.ActionsEnabled, true) && slices.ContainsFunc(alarm.AlarmActions, runs)
		}
		if there {
			calls = append(calls, call)
		}
	}
	return calls
}

// tracked is the metric of a target tracking policy, by the name that a predefined one has, and its target.
func tracked(in *asapi.PutScalingPolicyInput) (metric string, target float64) {
	c := in.TargetTrackingConfiguration
	if c == nil || c.TargetValue == nil {
		return "", 0
	}
	switch m := c.CustomizedMetricSpecification; {
	case c.PredefinedMetricSpecification != nil:
		metric = api.Value(c.PredefinedMetricSpecification.PredefinedMetricType)
	case m != nil && api.Value(m.Namespace) == "AWS/EC2" && api.Value(m.MetricName) == "CPUUtilization":
		metric = "ASGAverageCPUUtilization"
	}
	return metric, *c.TargetValue
}

// forecasts are the CPU targets of a predictive policy.
func forecasts(in *asapi.PutScalingPolicyInput) (targets []float64) {
	if in.PredictiveScalingConfiguration == nil {
		return nil
	}
	for _, m := range in.PredictiveScalingConfiguration.MetricSpecifications {
		if p := m.PredefinedMetricPairSpecification; p != nil && api.Value(p.PredefinedMetricType) == "ASGCPUUtilization" {
			targets = append(targets, api.Value(m.TargetValue))
		}
	}
	return targets
}
