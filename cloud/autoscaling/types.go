package autoscaling

import (
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// DescribeTerminationPolicyTypes lists the termination policies.
func (s *Service) DescribeTerminationPolicyTypes(tx *cloud.Tx, in *shape.DescribeTerminationPolicyTypesInput) (*shape.DescribeTerminationPolicyTypesOutput, error) {
	return &shape.DescribeTerminationPolicyTypesOutput{TerminationPolicyTypes: terminationPolicies}, nil
}

// DescribeScalingProcessTypes lists the processes that can be suspended.
func (s *Service) DescribeScalingProcessTypes(tx *cloud.Tx, in *shape.DescribeScalingProcessTypesInput) (*shape.DescribeScalingProcessTypesOutput, error) {
	out := &shape.DescribeScalingProcessTypesOutput{}
	for _, p := range processes {
		out.Processes = append(out.Processes, shape.ProcessType{ProcessName: &p})
	}
	return out, nil
}

// DescribeLifecycleHookTypes lists the transitions that hooks can hold up.
func (s *Service) DescribeLifecycleHookTypes(tx *cloud.Tx, in *shape.DescribeLifecycleHookTypesInput) (*shape.DescribeLifecycleHookTypesOutput, error) {
	return &shape.DescribeLifecycleHookTypesOutput{LifecycleHookTypes: []string{launchingTransition, terminatingTransition}}, nil
}
