package setup

import (
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
	lower := func(to *float64, v float64) {
		if v > 0 && (*to == 0 || v < *to) {
			*to = v
		}
	}
	for _, step := range s.Steps {
		if step.Group != group {
			continue
		}
		switch in := step.Call.In.(type) {
		case *asapi.PutScalingPolicyInput:
			for _, m := range forecasts(in) {
				lower(&threshold, m)
			}
			c := in.TargetTrackingConfiguration
			if c == nil || c.TargetValue == nil {
				continue
			}
			switch kindOf(c) {
			case "ASGAverageCPUUtilization":
				lower(&target, *c.TargetValue)
			case "ALBRequestCountPerTarget":
				if perSecond > 0 {
					lower(&target, *c.TargetValue/60/perSecond*100)
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

// RequestTarget is the lowest number of requests per minute and instance that a group's policies keep to; 0 is none.
func (s Setup) RequestTarget(group string) float64 {
	target := 0.0
	for _, step := range s.Steps {
		in, ok := step.Call.In.(*asapi.PutScalingPolicyInput)
		if !ok || step.Group != group || in.TargetTrackingConfiguration == nil || kindOf(in.TargetTrackingConfiguration) != "ALBRequestCountPerTarget" {
			continue
		}
		if v := api.Value(in.TargetTrackingConfiguration.TargetValue); target == 0 || v < target {
			target = v
		}
	}
	return target
}

// kindOf is the predefined metric of a target, or what a customized one comes to.
func kindOf(c *asapi.TargetTrackingConfiguration) string {
	if p := c.PredefinedMetricSpecification; p != nil {
		return api.Value(p.PredefinedMetricType)
	}
	if m := c.CustomizedMetricSpecification; m != nil && api.Value(m.Namespace) == "AWS/EC2" && api.Value(m.MetricName) == "CPUUtilization" {
		return "ASGAverageCPUUtilization"
	}
	return ""
}
