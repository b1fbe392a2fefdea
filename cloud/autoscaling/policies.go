package autoscaling

import (
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// Policy types (AS-PM-05).
const (
	typeSimple         = "SimpleScaling"
	typeStep           = "StepScaling"
	typeTargetTracking = "TargetTrackingScaling"
	typePredictive     = "PredictiveScaling"
)

// maxPolicies is how many policies a group may have (AS-QL-03).
const maxPolicies = 50

// Policy is one scaling policy. Its key is policyKey.
type Policy struct {
	Group, Name, ARN, Type string
	Enabled                bool

	AdjustmentType         string `json:",omitempty"`
	ScalingAdjustment      int    `json:",omitempty"` // simple
	MinAdjustmentStep      int    `json:",omitempty"` // the old name of the next (AS-SI-03)
	MinAdjustmentMagnitude int    `json:",omitempty"`
	Cooldown               *int   // seconds; simple; nil is the group's
	Warmup                 *int   // seconds; EstimatedInstanceWarmup; nil is the group's

	MetricAggregationType string                                `json:",omitempty"` // step
	StepAdjustments       []shape.StepAdjustment                `json:",omitempty"`
	TargetTracking        shape.TargetTrackingConfiguration     // target tracking
	Predictive            *shape.PredictiveScalingConfiguration `json:",omitempty"` // predictive
	High, Low             string                                `json:",omitempty"` // names of its alarms (AS-TT-02)
	LowThreshold          float64                               `json:",omitempty"` // what the low alarm was last given
}

// Standing is the row of what a policy was last called with and what it last decided; its key is the policy's. It is
// there so that every evaluation can be explained, also one that changed nothing.
type Standing struct {
	Due       bool `json:",omitempty"` // called in this step and not yet decided
	At        time.Time
	Alarm     string `json:",omitempty"`
	Old, New  string `json:",omitempty"` // states of the alarm
	Value     float64
	HasValue  bool
	Threshold float64
	Below     bool

	Decided time.Time
	Desired int
	Changed bool
	Reason  string

	Out, In Move // target tracking's last changes
}

// nameMark stands between a group's name and that of something that belongs to it; names have no control characters.
const nameMark = "\x1f"

func policyKey(group, name string) string { return group + nameMark + name }

func (p Policy) key() string { return policyKey(p.Group, p.Name) }

// magnitude is the least change that a percentage makes (AS-ST-06).
func (p *Policy) magnitude() int { return max(p.MinAdjustmentMagnitude, p.MinAdjustmentStep) }

func (s *Service) policyOperations() []cloud.Operation {
	return []cloud.Operation{
		cloud.Handle("PutScalingPolicy", s.PutScalingPolicy).But("MetricAggregationType is kept, an alarm's own statistic is what counts; forecasts of PredictiveScaling are made by Billow's own method, " +
			"and its customized metrics are computed per hour and without SEARCH"),
		cloud.Handle("DescribePolicies", s.DescribePolicies),
		cloud.Handle("DeletePolicy", s.DeletePolicy),
		cloud.Handle("ExecutePolicy", s.ExecutePolicy),
		cloud.Handle("GetPredictiveScalingForecast", s.GetPredictiveScalingForecast).But("forecasts of the last 30 days are kept"),
		cloud.Handle("DescribeAdjustmentTypes", s.DescribeAdjustmentTypes),
	}
}

// PutScalingPolicy makes a policy or replaces it; its ARN stays (AS-PM-06).
func (s *Service) PutScalingPolicy(tx *cloud.Tx, in *shape.PutScalingPolicyInput) (*shape.PutScalingPolicyOutput, error) {
	g, err := s.scaledGroup(tx, api.Value(in.AutoScalingGroupName))
	if err != nil {
		return nil, err
	}
	p, err := newPolicy(g, in)
	if err != nil {
		return nil, err
	}
	old, replaced := s.scaling.policies.Get(tx, p.key())
	if replaced {
		p.ARN = old.ARN
		s.deleteAlarms(tx, old)
		s.stopPredicting(tx, old.key())
	} else {
		if s.countUnder(tx, g.Name) >= maxPolicies {
			return nil, api.Errorf("LimitExceeded", "You have reached the limit of %d scaling policies for the AutoScalingGroup %s", maxPolicies, g.Name)
		}
		p.ARN = tx.Scope.ARN(Name, "scalingPolicy:"+tx.UUID()+":autoScalingGroupName/"+g.Name+":policyName/"+p.Name)
	}
	if p.Type == typeTargetTracking {
		if p, err = s.putAlarms(tx, g, p); err != nil {
			return nil, err
		}
	}
	s.scaling.policies.Put(tx, p.key(), p)
	s.scaling.standings.Delete(tx, p.key())
	if p.Type == typePredictive {
		s.startPredicting(tx, p)
	}
	s.notePolicies(tx, g.Name)
	return &shape.PutScalingPolicyOutput{PolicyARN: &p.ARN, Alarms: s.alarmsOf(tx, p)}, nil
}

func (s *Service) countUnder(tx *cloud.Tx, group string) int {
	n := 0
	for range s.scaling.policies.Prefix(tx, policyKey(group, "")) {
		n++
	}
	return n
}

// newPolicy checks a request and gives the policy it describes, without ARN and alarms.
func newPolicy(g Group, in *shape.PutScalingPolicyInput) (Policy, error) {
	p := Policy{
		Group: g.Name, Name: api.Value(in.PolicyName), Type: api.Value(in.PolicyType),
		Enabled:                in.Enabled == nil || *in.Enabled,
		AdjustmentType:         api.Value(in.AdjustmentType),
		ScalingAdjustment:      int(api.Value(in.ScalingAdjustment)),
		MinAdjustmentStep:      int(api.Value(in.MinAdjustmentStep)),
		MinAdjustmentMagnitude: int(api.Value(in.MinAdjustmentMagnitude)),
		MetricAggregationType:  api.Value(in.MetricAggregationType),
		StepAdjustments:        in.StepAdjustments,
		Cooldown:               number32(in.Cooldown),
		Warmup:                 number32(in.EstimatedInstanceWarmup),
	}
	if p.Type == "" {
		p.Type = typeSimple
	}
	if in.TargetTrackingConfiguration != nil {
		p.TargetTracking = *in.TargetTrackingConfiguration
	}
	if p.Cooldown != nil && *p.Cooldown < 0 {
		return p, invalid("Cooldown must not be negative")
	}
	if p.Warmup != nil && *p.Warmup < 0 {
		return p, invalid("EstimatedInstanceWarmup must not be negative")
	}
	if in.PredictiveScalingConfiguration != nil && p.Type != typePredictive {
		return p, invalid("PredictiveScalingConfiguration is not supported for policy type %s", p.Type)
	}
	switch p.Type {
	case typeSimple, typeStep:
		return checkAdjusting(p, in)
	case typeTargetTracking:
		return p, checkTracking(g, in)
	case typePredictive:
		return checkPredictive(g, p, in)
	}
	return p, invalid("Policy type %s is not valid. It must be one of SimpleScaling, StepScaling, TargetTrackingScaling, PredictiveScaling", p.Type)
}

// checkAdjusting checks simple and step policies.
func checkAdjusting(p Policy, in *shape.PutScalingPolicyInput) (Policy, error) {
	switch p.AdjustmentType {
	case changeInCapacity, exactCapacity, percentChangeInCapacity:
	case "":
		return p, invalid("AdjustmentType is required for policy type %s", p.Type)
	default:
		return p, invalid("AdjustmentType %s is not valid. It must be one of ChangeInCapacity, ExactCapacity, PercentChangeInCapacity", p.AdjustmentType)
	}
	if in.TargetTrackingConfiguration != nil {
		return p, invalid("TargetTrackingConfiguration is not supported for policy type %s", p.Type)
	}
	if (in.MinAdjustmentMagnitude != nil || in.MinAdjustmentStep != nil) && p.AdjustmentType != percentChangeInCapacity {
		return p, invalid("MinAdjustmentMagnitude is only supported for adjustment type PercentChangeInCapacity")
	}
	if p.magnitude() < 0 {
		return p, invalid("MinAdjustmentMagnitude must not be negative")
	}
	if p.Type == typeStep {
		switch {
		case in.ScalingAdjustment != nil:
			return p, invalid("ScalingAdjustment is not supported for policy type StepScaling")
		case in.Cooldown != nil:
			return p, invalid("Cooldown is not supported for policy type StepScaling")
		}
		if p.MetricAggregationType == "" {
			p.MetricAggregationType = "Average" // AS-ST-03
		}
		return p, checkSteps(p.AdjustmentType, p.StepAdjustments)
	}
	switch {
	case in.ScalingAdjustment == nil:
		return p, invalid("ScalingAdjustment is required for policy type SimpleScaling")
	case len(in.StepAdjustments) > 0:
		return p, invalid("StepAdjustments are not supported for policy type SimpleScaling")
	case in.EstimatedInstanceWarmup != nil:
		return p, invalid("EstimatedInstanceWarmup is not supported for policy type SimpleScaling")
	case in.MetricAggregationType != nil:
		return p, invalid("MetricAggregationType is not supported for policy type SimpleScaling")
	case p.AdjustmentType == exactCapacity && p.ScalingAdjustment < 0:
		return p, invalid("The scaling adjustment of an ExactCapacity policy must not be negative") // AS-ST-04
	}
	return p, nil
}

// DescribePolicies lists policies in order of group and name.
func (s *Service) DescribePolicies(tx *cloud.Tx, in *shape.DescribePoliciesInput) (*shape.DescribePoliciesOutput, error) {
	group := api.Value(in.AutoScalingGroupName)
	rows := s.scaling.policies.Prefix(tx, "")
	if group != "" {
		rows = s.scaling.policies.Prefix(tx, policyKey(group, ""))
	}
	page, next, err := page(where(rows, func(p Policy) bool {
		return isAsked(in.PolicyNames, p) && anyOf(in.PolicyTypes, p.Type)
	}), in.NextToken, in.MaxRecords, 50, 100)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribePoliciesOutput{ScalingPolicies: []shape.ScalingPolicy{}, NextToken: next}
	for _, p := range page {
		out.ScalingPolicies = append(out.ScalingPolicies, s.policyShape(tx, p))
	}
	return out, nil
}

func isAsked(names []string, p Policy) bool {
	return anyOf(names, p.Name) || len(names) > 0 && anyOf(names, p.ARN)
}

func (s *Service) policyShape(tx *cloud.Tx, p Policy) shape.ScalingPolicy {
	out := shape.ScalingPolicy{
		AutoScalingGroupName: &p.Group, PolicyName: &p.Name, PolicyARN: &p.ARN, PolicyType: &p.Type, Enabled: &p.Enabled,
		Alarms: s.alarmsOf(tx, p), Cooldown: whole(p.Cooldown), EstimatedInstanceWarmup: whole(p.Warmup),
		StepAdjustments: append([]shape.StepAdjustment{}, p.StepAdjustments...), // there also when there are none
	}
	switch p.Type {
	case typeTargetTracking:
		out.TargetTrackingConfiguration = &p.TargetTracking
		return out
	case typePredictive:
		out.PredictiveScalingConfiguration = p.Predictive
		return out
	case typeSimple:
		out.ScalingAdjustment = new(int32(p.ScalingAdjustment))
	case typeStep:
		out.MetricAggregationType = &p.MetricAggregationType
	}
	out.AdjustmentType = &p.AdjustmentType
	if p.MinAdjustmentStep != 0 {
		out.MinAdjustmentStep = new(int32(p.MinAdjustmentStep))
	}
	if p.MinAdjustmentMagnitude != 0 {
		out.MinAdjustmentMagnitude = new(int32(p.MinAdjustmentMagnitude))
	}
	return out
}

// DeletePolicy removes a policy and the alarms that it owns (AS-TT-01).
func (s *Service) DeletePolicy(tx *cloud.Tx, in *shape.DeletePolicyInput) (*shape.DeletePolicyOutput, error) {
	p, err := s.policy(tx, api.Value(in.AutoScalingGroupName), api.Value(in.PolicyName))
	if err != nil {
		return nil, err
	}
	s.dropPolicy(tx, p)
	s.notePolicies(tx, p.Group)
	return &shape.DeletePolicyOutput{}, nil
}

func (s *Service) dropPolicy(tx *cloud.Tx, p Policy) {
	s.deleteAlarms(tx, p)
	s.stopPredicting(tx, p.key())
	s.scaling.policies.Delete(tx, p.key())
	s.scaling.standings.Delete(tx, p.key())
}

// policy finds a policy by name in a group or by ARN.
func (s *Service) policy(tx *cloud.Tx, group, name string) (Policy, error) {
	if strings.HasPrefix(name, "arn:") {
		for _, p := range s.scaling.policyARNs.Each(tx, name) {
			if group == "" || group == p.Group {
				return p, nil
			}
		}
		return Policy{}, invalid("ScalingPolicy not found - policy '%s' not found", name)
	}
	if group == "" {
		return Policy{}, invalid("AutoScalingGroupName is required when PolicyName is not an ARN")
	}
	if _, err := s.scaledGroup(tx, group); err != nil {
		return Policy{}, err
	}
	p, ok := s.scaling.policies.Get(tx, policyKey(group, name))
	if !ok {
		return Policy{}, invalid("ScalingPolicy name not found - policy '%s' not found", name)
	}
	return p, nil
}

// DescribeAdjustmentTypes lists how an adjustment may be meant (AS-ST-04).
func (s *Service) DescribeAdjustmentTypes(*cloud.Tx, *shape.DescribeAdjustmentTypesInput) (*shape.DescribeAdjustmentTypesOutput, error) {
	return &shape.DescribeAdjustmentTypesOutput{AdjustmentTypes: []shape.AdjustmentType{
		{AdjustmentType: new(changeInCapacity)}, {AdjustmentType: new(exactCapacity)}, {AdjustmentType: new(percentChangeInCapacity)},
	}}, nil
}
