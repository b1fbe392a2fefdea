package autoscaling

import "github.com/billow-cloud/billow/cloud"

// groupOperations are those of groups and their members.
func (s *Service) groupOperations() []cloud.Operation {
	return []cloud.Operation{
		cloud.Handle("CreateAutoScalingGroup", s.CreateAutoScalingGroup).But(optionsStored),
		cloud.Handle("UpdateAutoScalingGroup", s.UpdateAutoScalingGroup).But(optionsStored),
		cloud.Handle("DeleteAutoScalingGroup", s.DeleteAutoScalingGroup),
		cloud.Handle("DescribeAutoScalingGroups", s.DescribeAutoScalingGroups),
		cloud.Handle("DescribeAutoScalingInstances", s.DescribeAutoScalingInstances),
		cloud.Handle("SetDesiredCapacity", s.SetDesiredCapacity),
		cloud.Handle("DescribeScalingActivities", s.DescribeScalingActivities),
		cloud.Handle("CreateLaunchConfiguration", s.CreateLaunchConfiguration).But("KernelId, RamdiskId, ClassicLink are ignored"),
		cloud.Handle("DeleteLaunchConfiguration", s.DeleteLaunchConfiguration),
		cloud.Handle("DescribeLaunchConfigurations", s.DescribeLaunchConfigurations),
		cloud.Handle("TerminateInstanceInAutoScalingGroup", s.TerminateInstanceInAutoScalingGroup),
		cloud.Handle("AttachInstances", s.AttachInstances),
		cloud.Handle("DetachInstances", s.DetachInstances),
		cloud.Handle("EnterStandby", s.EnterStandby),
		cloud.Handle("ExitStandby", s.ExitStandby),
		cloud.Handle("SetInstanceProtection", s.SetInstanceProtection),
		cloud.Handle("SetInstanceHealth", s.SetInstanceHealth),
		cloud.Handle("SuspendProcesses", s.SuspendProcesses),
		cloud.Handle("ResumeProcesses", s.ResumeProcesses),
		cloud.Handle("AttachLoadBalancers", s.AttachLoadBalancers),
		cloud.Handle("DetachLoadBalancers", s.DetachLoadBalancers),
		cloud.Handle("DescribeLoadBalancers", s.DescribeLoadBalancers),
		cloud.Handle("AttachLoadBalancerTargetGroups", s.AttachLoadBalancerTargetGroups),
		cloud.Handle("DetachLoadBalancerTargetGroups", s.DetachLoadBalancerTargetGroups),
		cloud.Handle("DescribeLoadBalancerTargetGroups", s.DescribeLoadBalancerTargetGroups),
		cloud.Handle("AttachTrafficSources", s.AttachTrafficSources),
		cloud.Handle("DetachTrafficSources", s.DetachTrafficSources),
		cloud.Handle("DescribeTrafficSources", s.DescribeTrafficSources),
		cloud.Handle("CreateOrUpdateTags", s.CreateOrUpdateTags),
		cloud.Handle("DeleteTags", s.DeleteTags),
		cloud.Handle("DescribeTags", s.DescribeTags),
		cloud.Handle("PutLifecycleHook", s.PutLifecycleHook),
		cloud.Handle("DeleteLifecycleHook", s.DeleteLifecycleHook),
		cloud.Handle("DescribeLifecycleHooks", s.DescribeLifecycleHooks),
		cloud.Handle("DescribeLifecycleHookTypes", s.DescribeLifecycleHookTypes),
		cloud.Handle("CompleteLifecycleAction", s.CompleteLifecycleAction),
		cloud.Handle("RecordLifecycleActionHeartbeat", s.RecordLifecycleActionHeartbeat),
		cloud.Handle("DescribeAccountLimits", s.DescribeAccountLimits),
		cloud.Handle("DescribeTerminationPolicyTypes", s.DescribeTerminationPolicyTypes),
		cloud.Handle("DescribeScalingProcessTypes", s.DescribeScalingProcessTypes),
	}
}

const optionsStored = "MaxInstanceLifetime, CapacityRebalance, PlacementGroup, Context, DesiredCapacityType, InstanceMaintenancePolicy, " +
	"CapacityReservationSpecification preference and ServiceLinkedRoleARN are kept; HealthCheckType VPC_LATTICE checks nothing; " +
	"MixedInstancesPolicy, zonal shift and custom termination policies are refused"
