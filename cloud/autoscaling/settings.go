package autoscaling

import (
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
)

// settings are the members that create and update have in common and that are set one by one.
type settings struct {
	cooldown, warmup, grace, lifetime   *int32
	healthCheckType, placement, context *string
	capacityType, role, protection      *string
	policies                            []string
	protected, rebalance                *bool
	maintenance                         *shape.InstanceMaintenancePolicy
	distribution                        *shape.AvailabilityZoneDistribution
	impairment                          *shape.AvailabilityZoneImpairmentPolicy
	reservation                         *shape.CapacityReservationSpecification
	lifecycle                           *shape.InstanceLifecyclePolicy
}

func ofCreate(in *shape.CreateAutoScalingGroupInput) settings {
	return settings{
		cooldown: in.DefaultCooldown, warmup: in.DefaultInstanceWarmup, grace: in.HealthCheckGracePeriod,
		lifetime: in.MaxInstanceLifetime, healthCheckType: in.HealthCheckType, placement: in.PlacementGroup,
		context: in.Context, capacityType: in.DesiredCapacityType, role: in.ServiceLinkedRoleARN,
		protection: in.DeletionProtection, policies: in.TerminationPolicies,
		protected: in.NewInstancesProtectedFromScaleIn, rebalance: in.CapacityRebalance,
		maintenance: in.InstanceMaintenancePolicy, distribution: in.AvailabilityZoneDistribution,
		impairment: in.AvailabilityZoneImpairmentPolicy, reservation: in.CapacityReservationSpecification,
		lifecycle: in.InstanceLifecyclePolicy,
	}
}

func ofUpdate(in *shape.UpdateAutoScalingGroupInput) settings {
	return settings{
		cooldown: in.DefaultCooldown, warmup: in.DefaultInstanceWarmup, grace: in.HealthCheckGracePeriod,
		lifetime: in.MaxInstanceLifetime, healthCheckType: in.HealthCheckType, placement: in.PlacementGroup,
		context: in.Context, capacityType: in.DesiredCapacityType, role: in.ServiceLinkedRoleARN,
		protection: in.DeletionProtection, policies: in.TerminationPolicies,
		protected: in.NewInstancesProtectedFromScaleIn, rebalance: in.CapacityRebalance,
		maintenance: in.InstanceMaintenancePolicy, distribution: in.AvailabilityZoneDistribution,
		impairment: in.AvailabilityZoneImpairmentPolicy, reservation: in.CapacityReservationSpecification,
		lifecycle: in.InstanceLifecyclePolicy,
	}
}

// setSettings checks and sets what is given.
func (r *roster) setSettings(x settings) error {
	for _, n := range []*int32{x.cooldown, x.grace} {
		if n != nil && *n < 0 {
			return invalid("Cooldowns and grace periods must not be negative.")
		}
	}
	given(x.cooldown, &r.DefaultCooldown)
	given(x.grace, &r.HealthCheckGracePeriod)
	given(x.warmup, &r.DefaultInstanceWarmup)
	if r.DefaultInstanceWarmup < -1 { // AS-WU-02
		return invalid("DefaultInstanceWarmup must be at least -1.")
	}
	if x.healthCheckType != nil {
		for kind := range strings.SplitSeq(*x.healthCheckType, ",") {
			if !slices.Contains([]string{"EC2", "EBS", "ELB", "VPC_LATTICE"}, strings.TrimSpace(kind)) { // AS-HC-01
				return invalid("Invalid HealthCheckType: %s", *x.healthCheckType)
			}
		}
		r.HealthCheckType = *x.healthCheckType
	}
	if x.policies != nil {
		if err := checkTerminationPolicies(x.policies); err != nil {
			return err
		}
		r.TerminationPolicies = slices.Clone(x.policies)
		if len(x.policies) == 0 {
			r.TerminationPolicies = []string{"Default"}
		}
	}
	if x.protected != nil {
		r.NewInstancesProtectedFromScaleIn = *x.protected
	}
	r.changed = true
	return r.setOptions(x)
}

// setOptions sets the group's Options.
func (r *roster) setOptions(x settings) error {
	o := &r.Options
	if n := x.lifetime; n != nil && *n != 0 && *n < 86400 { // AS-LT-01
		return invalid("MaxInstanceLifetime must be 0 or at least 86400 seconds.")
	}
	given(x.lifetime, &o.MaxInstanceLifetime)
	for _, p := range []struct {
		in *string
		to *string
	}{{x.placement, &o.PlacementGroup}, {x.context, &o.Context}, {x.capacityType, &o.DesiredCapacityType},
		{x.role, &o.ServiceLinkedRole}, {x.protection, &o.DeletionProtection}} {
		if p.in != nil {
			*p.to = *p.in
		}
	}
	if x.rebalance != nil {
		o.CapacityRebalance = *x.rebalance
	}
	if x.distribution != nil {
		o.Distribution = api.Value(x.distribution.CapacityDistributionStrategy)
	}
	if m := x.maintenance; m != nil { // AS-MP-01
		low, high := int(api.Value(m.MinHealthyPercentage)), int(api.Value(m.MaxHealthyPercentage))
		if (m.MinHealthyPercentage == nil) != (m.MaxHealthyPercentage == nil) || (low != -1 || high != -1) &&
			(low < 0 || low > 100 || high < 100 || high > 200 || high-low > 100) {
			return invalid("MinHealthyPercentage must be 0 to 100, MaxHealthyPercentage 100 to 200, both or neither given, and at most 100 apart.")
		}
		o.MinHealthy, o.MaxHealthy = low, high
	}
	if x.impairment != nil && api.Value(x.impairment.ZonalShiftEnabled) {
		return invalid("Zonal shift is not supported by this cloud yet.")
	}
	r.setRetention(x.lifecycle)
	if c := x.reservation; c != nil {
		o.ReservationPreference = api.Value(c.CapacityReservationPreference)
	}
	return nil
}

// terminationPolicies are the names that may stand in a chain; the last is no choice of an instance but the whole of
// AS-TP-02.
var terminationPolicies = []string{"AllocationStrategy", "ClosestToNextInstanceHour", "Default", "NewestInstance",
	"OldestInstance", "OldestLaunchConfiguration", "OldestLaunchTemplate"}

// checkTerminationPolicies refuses chains that AS-TP-06 does not allow.
func checkTerminationPolicies(policies []string) error {
	for i, p := range policies {
		switch {
		case strings.HasPrefix(p, "arn:"):
			return invalid("Custom termination policies are not supported by this cloud yet.")
		case !slices.Contains(terminationPolicies, p):
			return invalid("Unsupported termination policy: %s", p)
		case p == "Default" && i < len(policies)-1:
			return invalid("The Default termination policy must be the last in the list.")
		case slices.Contains(policies[:i], p):
			return invalid("Duplicate termination policy: %s", p)
		}
	}
	return nil
}
