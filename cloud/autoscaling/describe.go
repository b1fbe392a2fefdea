package autoscaling

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/iam"
)

// DescribeAutoScalingGroups lists groups by name (AS-ER-03), filtered by tags.
func (s *Service) DescribeAutoScalingGroups(tx *cloud.Tx, in *shape.DescribeAutoScalingGroupsInput) (*shape.DescribeAutoScalingGroupsOutput, error) {
	if err := checkGroupFilters(in.Filters); err != nil {
		return nil, err
	}
	rows := pick(tx, s.groups, in.AutoScalingGroupNames, in.NextToken)
	matching := func(yield func(string, Group) bool) {
		for name, g := range rows {
			if g.matches(in.Filters) && !yield(name, g) {
				return
			}
		}
	}
	groups, next, err := page(matching, in.NextToken, in.MaxRecords, 50, 100)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeAutoScalingGroupsOutput{AutoScalingGroups: make([]shape.AutoScalingGroup, 0, len(groups)), NextToken: next}
	for _, g := range groups {
		x := g.shape(tx)
		if in.IncludeInstances == nil || *in.IncludeInstances {
			x.Instances = make([]shape.Instance, 0, g.DesiredCapacity)
			for _, m := range s.membersOf(tx, g.Name) {
				x.Instances = append(x.Instances, m.shape(&x))
			}
		}
		out.AutoScalingGroups = append(out.AutoScalingGroups, x)
	}
	return out, nil
}

func checkGroupFilters(filters []shape.Filter) error {
	for _, f := range filters {
		switch name := api.Value(f.Name); {
		case name == "tag-key", name == "tag-value", strings.HasPrefix(name, "tag:"):
		default:
			return invalid("Filter type %s is not correct. Allowed Filter types are: [tag-key, tag-value, tag:<key>]", name)
		}
	}
	return nil
}

// matches tells whether the group passes all filters; values of one filter are alternatives.
func (g Group) matches(filters []shape.Filter) bool {
	for _, f := range filters {
		name := api.Value(f.Name)
		if !slices.ContainsFunc(g.Tags, func(t Tag) bool {
			switch {
			case name == "tag-key":
				return slices.Contains(f.Values, t.Key)
			case name == "tag-value":
				return slices.Contains(f.Values, t.Value)
			}
			return name[len("tag:"):] == t.Key && slices.Contains(f.Values, t.Value)
		}) {
			return false
		}
	}
	return true
}

// shape is the group as DescribeAutoScalingGroups shows it, without its instances; what is not set is shown as
// AS-ER-06 says.
func (g Group) shape(tx *cloud.Tx) shape.AutoScalingGroup {
	o := g.Options
	x := shape.AutoScalingGroup{
		AutoScalingGroupName: &g.Name, AutoScalingGroupARN: &g.ARN, CreatedTime: &g.Created,
		LaunchConfigurationName: some(g.LaunchConfigurationName), LaunchTemplate: g.Template.shape(),
		MinSize: new(int32(g.MinSize)), MaxSize: new(int32(g.MaxSize)), DesiredCapacity: new(int32(g.DesiredCapacity)),
		DefaultCooldown: new(int32(g.DefaultCooldown)), AvailabilityZones: g.AvailabilityZones,
		LoadBalancerNames: g.attached(typeClassic), TargetGroupARNs: g.attached(typeTargetGroup),
		HealthCheckType: &g.HealthCheckType, HealthCheckGracePeriod: new(int32(g.HealthCheckGracePeriod)),
		Instances: []shape.Instance{}, VPCZoneIdentifier: &g.VPCZoneIdentifier, TerminationPolicies: g.TerminationPolicies,
		NewInstancesProtectedFromScaleIn: &g.NewInstancesProtectedFromScaleIn, PlacementGroup: some(o.PlacementGroup),
		Context: some(o.Context), DesiredCapacityType: some(o.DesiredCapacityType), MaxInstanceLifetime: positive(o.MaxInstanceLifetime),
		ServiceLinkedRoleARN: new(g.serviceLinkedRole(tx)), CapacityRebalance: new(o.CapacityRebalance),
		DeletionProtection:               new(cmp.Or(o.DeletionProtection, "none")),
		AvailabilityZoneDistribution:     &shape.AvailabilityZoneDistribution{CapacityDistributionStrategy: new(cmp.Or(o.Distribution, "balanced-best-effort"))},
		AvailabilityZoneImpairmentPolicy: &shape.AvailabilityZoneImpairmentPolicy{ZonalShiftEnabled: new(false), ImpairedZoneHealthCheckBehavior: new("IgnoreUnhealthy")},
		CapacityReservationSpecification: &shape.CapacityReservationSpecification{CapacityReservationPreference: new(cmp.Or(o.ReservationPreference, "default"))},
		InstanceLifecyclePolicy:          o.retention(),
		SuspendedProcesses:               []shape.SuspendedProcess{}, EnabledMetrics: []shape.EnabledMetric{}, Tags: []shape.TagDescription{},
		TrafficSources: []shape.TrafficSourceIdentifier{},
	}
	if g.DefaultInstanceWarmup >= 0 {
		x.DefaultInstanceWarmup = new(int32(g.DefaultInstanceWarmup))
	}
	if o.MinHealthy >= 0 {
		x.InstanceMaintenancePolicy = &shape.InstanceMaintenancePolicy{MinHealthyPercentage: new(int32(o.MinHealthy)), MaxHealthyPercentage: new(int32(o.MaxHealthy))}
	}
	for _, z := range g.AvailabilityZones {
		x.AvailabilityZoneIds = append(x.AvailabilityZoneIds, ec2.ZoneID(z))
	}
	if g.Deleting {
		x.Status = new("Delete in progress")
	}
	for _, p := range g.Suspended {
		x.SuspendedProcesses = append(x.SuspendedProcesses, shape.SuspendedProcess{ProcessName: &p.Process, SuspensionReason: &p.Reason})
	}
	for _, m := range g.EnabledMetrics {
		x.EnabledMetrics = append(x.EnabledMetrics, shape.EnabledMetric{Metric: &m, Granularity: new("1Minute")})
	}
	for _, t := range g.Tags {
		x.Tags = append(x.Tags, g.tag(t))
	}
	for _, a := range g.Attachments {
		if a.State != attachmentRemoving {
			x.TrafficSources = append(x.TrafficSources, shape.TrafficSourceIdentifier{Identifier: &a.ID, Type: &a.Type})
		}
	}
	return x
}

// serviceLinkedRole is the ARN of the role that the group acts in.
func (g Group) serviceLinkedRole(tx *cloud.Tx) string {
	return cmp.Or(g.Options.ServiceLinkedRole, iam.LinkedRole(tx, servicePrincipal))
}

// shape is nil if there is no template.
func (t *TemplateRef) shape() *shape.LaunchTemplateSpecification {
	if t.ID == "" {
		return nil
	}
	return &shape.LaunchTemplateSpecification{LaunchTemplateId: &t.ID, LaunchTemplateName: &t.Name, Version: filled(&t.Version)}
}

// shape is the member as its group shows it; the group's zone IDs are shared, since there are many members to a zone.
func (m Member) shape(g *shape.AutoScalingGroup) shape.Instance {
	// What the answer points to is copied: a whole member would be three times as much.
	x := &struct {
		id, instanceType, zone, state, health, configuration, image string
		template                                                    TemplateRef
		protected                                                   bool
	}{
		m.ID, m.InstanceType, m.AvailabilityZone, m.LifecycleState, m.HealthStatus, m.LaunchConfigurationName, m.ImageID, m.Template, m.Protected,
	}
	var zoneID *string
	if i, found := slices.BinarySearch(g.AvailabilityZones, x.zone); found {
		zoneID = &g.AvailabilityZoneIds[i]
	} else { // a zone that is no longer the group's
		zoneID = new(ec2.ZoneID(x.zone))
	}
	return shape.Instance{
		InstanceId: &x.id, InstanceType: &x.instanceType, AvailabilityZone: &x.zone, AvailabilityZoneId: zoneID,
		LifecycleState: &x.state, HealthStatus: &x.health, LaunchConfigurationName: filled(&x.configuration),
		LaunchTemplate: x.template.shape(), ImageId: filled(&x.image), ProtectedFromScaleIn: &x.protected,
	}
}

// DescribeAutoScalingInstances lists members of all groups by instance ID; health is in upper case here (AS-LC-08).
func (s *Service) DescribeAutoScalingInstances(tx *cloud.Tx, in *shape.DescribeAutoScalingInstancesInput) (*shape.DescribeAutoScalingInstancesOutput, error) {
	rows, next, err := page(pick(tx, s.members, in.InstanceIds, in.NextToken), in.NextToken, in.MaxRecords, 50, 50)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeAutoScalingInstancesOutput{AutoScalingInstances: []shape.AutoScalingInstanceDetails{}, NextToken: next}
	for _, m := range rows {
		out.AutoScalingInstances = append(out.AutoScalingInstances, shape.AutoScalingInstanceDetails{
			InstanceId: &m.ID, InstanceType: &m.InstanceType, AutoScalingGroupName: &m.Group, AvailabilityZone: &m.AvailabilityZone,
			AvailabilityZoneId: new(ec2.ZoneID(m.AvailabilityZone)), LifecycleState: &m.LifecycleState, HealthStatus: new(strings.ToUpper(m.HealthStatus)),
			LaunchConfigurationName: some(m.LaunchConfigurationName), LaunchTemplate: m.Template.shape(), ImageId: some(m.ImageID),
			ProtectedFromScaleIn: &m.Protected,
		})
	}
	return out, nil
}

// attachmentsPage is a page of the group's attachments of a type, or of all types.
func (s *Service) attachmentsPage(tx *cloud.Tx, group, kind string, token *string, size *int32) ([]Attachment, *string, error) {
	r, err := s.known(tx, group)
	if err != nil {
		return nil, nil, err
	}
	return page(func(yield func(string, Attachment) bool) {
		for i, a := range r.Attachments {
			if (kind == "" || a.Type == kind) && !yield("#"+strconv.Itoa(1000+i), a) {
				return
			}
		}
	}, token, size, 100, 100)
}

// DescribeLoadBalancers lists the group's classic load balancers with their states.
func (s *Service) DescribeLoadBalancers(tx *cloud.Tx, in *shape.DescribeLoadBalancersInput) (*shape.DescribeLoadBalancersOutput, error) {
	rows, next, err := s.attachmentsPage(tx, *in.AutoScalingGroupName, typeClassic, in.NextToken, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeLoadBalancersOutput{LoadBalancers: []shape.LoadBalancerState{}, NextToken: next}
	for _, a := range rows {
		out.LoadBalancers = append(out.LoadBalancers, shape.LoadBalancerState{LoadBalancerName: &a.ID, State: &a.State})
	}
	return out, nil
}

// DescribeLoadBalancerTargetGroups lists the group's target groups with their states.
func (s *Service) DescribeLoadBalancerTargetGroups(tx *cloud.Tx, in *shape.DescribeLoadBalancerTargetGroupsInput) (*shape.DescribeLoadBalancerTargetGroupsOutput, error) {
	rows, next, err := s.attachmentsPage(tx, *in.AutoScalingGroupName, typeTargetGroup, in.NextToken, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeLoadBalancerTargetGroupsOutput{LoadBalancerTargetGroups: []shape.LoadBalancerTargetGroupState{}, NextToken: next}
	for _, a := range rows {
		out.LoadBalancerTargetGroups = append(out.LoadBalancerTargetGroups, shape.LoadBalancerTargetGroupState{LoadBalancerTargetGroupARN: &a.ID, State: &a.State})
	}
	return out, nil
}

// DescribeTrafficSources lists the group's load balancers and target groups with their states.
func (s *Service) DescribeTrafficSources(tx *cloud.Tx, in *shape.DescribeTrafficSourcesInput) (*shape.DescribeTrafficSourcesOutput, error) {
	rows, next, err := s.attachmentsPage(tx, *in.AutoScalingGroupName, api.Value(in.TrafficSourceType), in.NextToken, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeTrafficSourcesOutput{TrafficSources: []shape.TrafficSourceState{}, NextToken: next}
	for _, a := range rows {
		out.TrafficSources = append(out.TrafficSources, shape.TrafficSourceState{TrafficSource: &a.ID, Identifier: &a.ID, Type: &a.Type, State: &a.State})
	}
	return out, nil
}

// DescribeAccountLimits tells the limits and how much of them is used.
func (s *Service) DescribeAccountLimits(tx *cloud.Tx, in *shape.DescribeAccountLimitsInput) (*shape.DescribeAccountLimitsOutput, error) {
	return &shape.DescribeAccountLimitsOutput{
		MaxNumberOfAutoScalingGroups: new(int32(groupLimit)), MaxNumberOfLaunchConfigurations: new(int32(configurationLimit)),
		NumberOfAutoScalingGroups:    new(int32(counted(s.groups.All(tx), groupLimit))),
		NumberOfLaunchConfigurations: new(int32(counted(s.configurations.All(tx), configurationLimit))),
	}, nil
}
