package elbv2

import (
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
)

// DescribeRules lists the rules of a listener, or of ARNs: the default rule is the only one that a listener has, since
// the data plane takes no other. Its ARN is the listener's with the last part twice.
func (s *Service) DescribeRules(tx *cloud.Tx, in *shape.DescribeRulesInput) (*shape.DescribeRulesOutput, error) {
	var arns []string
	switch {
	case in.ListenerArn != nil && len(in.RuleArns) > 0:
		return nil, invalid("You cannot specify both a listener ARN and rule ARNs")
	case in.ListenerArn == nil && len(in.RuleArns) == 0:
		return nil, invalid("You must specify either a listener ARN or rule ARNs")
	case in.ListenerArn != nil:
		arns = []string{*in.ListenerArn}
	}
	for _, rule := range in.RuleArns {
		if err := checkARN(rule, "listener-rule", "listener rule"); err != nil {
			return nil, err
		}
		at := strings.LastIndexByte(rule, '/')
		listener := strings.Replace(rule[:at], ":listener-rule/", ":listener/", 1)
		if l, ok := s.listeners.Get(tx, listener); !ok || l.ruleARN() != rule {
			return nil, api.Errorf("RuleNotFound", "One or more rules not found")
		}
		arns = append(arns, listener)
	}
	out := &shape.DescribeRulesOutput{Rules: []shape.Rule{}}
	for _, arn := range arns {
		l, err := s.listener(tx, arn)
		if err != nil {
			return nil, err
		}
		out.Rules = append(out.Rules, shape.Rule{
			RuleArn: new(l.ruleARN()), Priority: new("default"), IsDefault: new(true),
			Conditions: []shape.RuleCondition{}, Actions: l.describeActions(),
		})
	}
	return out, nil
}

// ruleARN names the listener's default rule (LB-DN-02).
func (l Listener) ruleARN() string {
	return strings.Replace(l.ARN, ":listener/", ":listener-rule/", 1) + l.ARN[strings.LastIndexByte(l.ARN, '/'):]
}
