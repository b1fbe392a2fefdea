package elbv2

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// maxTargets is the quota of targets per target group (LB-DN-05).
const maxTargets = 1000

// RegisterTargets puts targets into a target group.
func (s *Service) RegisterTargets(tx *cloud.Tx, in *shape.RegisterTargetsInput) (*shape.RegisterTargetsOutput, error) {
	g, err := s.targetGroup(tx, api.Value(in.TargetGroupArn))
	if err != nil {
		return nil, err
	}
	var targets []Target
	var asleep []string
	for _, d := range in.Targets {
		t, err := s.described(tx, g, d)
		if err != nil {
			return nil, err
		}
		if i, _ := s.ec2.Instance(tx, t.ID); g.TargetType == typeInstance && i.State != ec2.Running {
			asleep = append(asleep, "'"+t.ID+"'")
		}
		targets = append(targets, t)
	}
	if len(asleep) > 0 {
		return nil, api.Errorf("InvalidTarget", "The following targets are not in a running state and cannot be registered: %s", strings.Join(asleep, ", "))
	}
	if err := s.registerAll(tx, g, targets); err != nil {
		return nil, err
	}
	return &shape.RegisterTargetsOutput{}, nil
}

func (s *Service) registerAll(tx *cloud.Tx, g TargetGroup, targets []Target) error {
	u, n := s.usage(tx, g.ARN), s.hosts.of(g.ARN).registered
	for _, t := range targets {
		if !s.targets.Has(tx, t.key()) {
			n++
		}
		if n > maxTargets {
			return api.Errorf("TooManyTargets", "The maximum number of targets per target group, %d, has been reached on target group '%s'", maxTargets, g.ARN)
		}
		s.register(tx, u, t)
	}
	return nil
}

// described makes a row of a description, checked.
func (s *Service) described(tx *cloud.Tx, g TargetGroup, d shape.TargetDescription) (Target, error) {
	t := Target{TargetGroup: g.ARN, ID: api.Value(d.Id), Port: api.Or(d.Port, g.Port), AvailabilityZone: api.Value(d.AvailabilityZone)}
	if g.TargetType == typeIP {
		return s.describedAddress(tx, g, t)
	}
	i, found := s.ec2.Instance(tx, t.ID)
	switch {
	case !found:
		return t, api.Errorf("InvalidTarget", "Instance ID '%s' is not valid", t.ID)
	case t.AvailabilityZone != "":
		return t, invalid("You cannot specify an Availability Zone for a target of type 'instance'")
	case i.VPCID != g.VPC && i.VPCID != "":
		return t, api.Errorf("InvalidTarget", "The following targets are not in the target group VPC '%s': '%s'", g.VPC, t.ID)
	}
	return t, nil
}

// sharedRanges are the addresses that may be targets outside the VPC.
var sharedRanges = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
}

func (s *Service) describedAddress(tx *cloud.Tx, g TargetGroup, t Target) (Target, error) {
	a, err := netip.ParseAddr(t.ID)
	if err != nil || !a.Is4() {
		return t, invalid("The IP address '%s' is not a valid IPv4 address", t.ID)
	}
	vpc, _ := s.ec2.VPC(tx, g.VPC)
	cidr, err := netip.ParsePrefix(vpc.CIDR)
	inside := err == nil && cidr.Contains(a)
	shared := slices.ContainsFunc(sharedRanges, func(p netip.Prefix) bool { return p.Contains(a) })
	switch {
	case !inside && !shared:
		return t, api.Errorf("InvalidTarget", "The IP address '%s' is not within a range of IP addresses that are valid for this target group", t.ID)
	case !inside && t.AvailabilityZone != "all":
		return t, invalid("The Availability Zone must be 'all' for the IP address '%s', which is outside the VPC '%s'", t.ID, g.VPC)
	}
	t.Host = t.ID
	if t.AvailabilityZone != "all" {
		t.Zone = t.AvailabilityZone
	}
	for _, n := range s.ec2.DefaultSubnets(tx) {
		if p, err := netip.ParsePrefix(n.CIDR); inside && t.AvailabilityZone == "" && n.VPCID == g.VPC && err == nil && p.Contains(a) {
			t.Zone = n.Zone
		}
	}
	return t, nil
}

// DeregisterTargets begins the draining of targets (LB-DR-01). What is not registered is no error.
func (s *Service) DeregisterTargets(tx *cloud.Tx, in *shape.DeregisterTargetsInput) (*shape.DeregisterTargetsOutput, error) {
	g, err := s.targetGroup(tx, api.Value(in.TargetGroupArn))
	if err != nil {
		return nil, err
	}
	for _, d := range in.Targets {
		for key, t := range s.targets.Prefix(tx, targetKey(g.ARN, api.Value(d.Id)+":")) {
			if d.Port == nil || *d.Port == t.Port {
				s.deregister(tx, g, key)
			}
		}
	}
	return &shape.DeregisterTargetsOutput{}, nil
}

// DescribeTargetHealth tells the targets' states, of all or of those asked for.
func (s *Service) DescribeTargetHealth(tx *cloud.Tx, in *shape.DescribeTargetHealthInput) (*shape.DescribeTargetHealthOutput, error) {
	g, err := s.targetGroup(tx, api.Value(in.TargetGroupArn))
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeTargetHealthOutput{TargetHealthDescriptions: []shape.TargetHealthDescription{}}
	tell := func(t Target, h Health) {
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, g.describe(t, h))
	}
	if len(in.Targets) == 0 {
		for _, t := range s.targets.Prefix(tx, g.ARN+"|") {
			tell(t, t.Health())
		}
		return out, nil
	}
	for _, d := range in.Targets {
		found := false
		for _, t := range s.targets.Prefix(tx, targetKey(g.ARN, api.Value(d.Id)+":")) {
			if d.Port == nil || *d.Port == t.Port {
				found = true
				tell(t, t.Health())
			}
		}
		if !found {
			tell(Target{TargetGroup: g.ARN, ID: api.Value(d.Id), Port: api.Or(d.Port, g.Port)}, notRegistered)
		}
	}
	return out, nil
}

func (g TargetGroup) describe(t Target, h Health) shape.TargetHealthDescription {
	d := shape.TargetHealthDescription{
		Target:          &shape.TargetDescription{Id: new(t.ID), Port: new(t.Port)},
		HealthCheckPort: new(g.Check.Port),
		TargetHealth:    &shape.TargetHealth{State: new(h.State)},
	}
	if g.Check.Port == trafficPort {
		d.HealthCheckPort = new(strconv.Itoa(int(t.Port)))
	}
	if t.AvailabilityZone != "" {
		d.Target.AvailabilityZone = new(t.AvailabilityZone)
	}
	if h.Reason != "" {
		d.TargetHealth.Reason = new(h.Reason)
	}
	if h.Description != "" {
		d.TargetHealth.Description = new(h.Description)
	}
	return d
}

// RegisterInstances registers instances on the target group's own port. Instances that do not run are taken too and are
// unused until they do. Those already registered stay as they are.
func (s *Service) RegisterInstances(tx *cloud.Tx, targetGroupARN string, ids []string) error {
	g, err := s.targetGroup(tx, targetGroupARN)
	if err != nil {
		return err
	}
	targets := make([]Target, len(ids))
	for i, id := range ids {
		if targets[i], err = s.described(tx, g, shape.TargetDescription{Id: new(id)}); err != nil {
			return err
		}
	}
	return s.registerAll(tx, g, targets)
}

// DeregisterInstances begins the draining of instances, on all their ports. Each ends in TargetGone, some in this very
// step; TargetDrained comes before it if no request is left sooner than the delay is over. Instances that are not
// registered tell nothing.
func (s *Service) DeregisterInstances(tx *cloud.Tx, targetGroupARN string, ids []string) error {
	g, err := s.targetGroup(tx, targetGroupARN)
	if err != nil {
		return err
	}
	for _, id := range ids {
		for key := range s.targets.Prefix(tx, targetKey(g.ARN, id+":")) {
			s.deregister(tx, g, key)
		}
	}
	return nil
}

// InstanceHealth is an instance's health in a target group and whether it is registered there. Of an instance with
// several ports it is the first one's, or that of the first one that is unhealthy.
func (s *Service) InstanceHealth(tx *cloud.Tx, targetGroupARN, id string) (Health, bool) {
	health, registered := notRegistered, false
	for _, t := range s.targets.Prefix(tx, targetKey(targetGroupARN, id+":")) {
		if h := t.Health(); !registered || h.State == StateUnhealthy {
			health, registered = h, true
		}
		if health.State == StateUnhealthy {
			break
		}
	}
	return health, registered
}

// InstanceDrained tells that nothing has to be waited for any more: the instance is not registered, or what drains has
// no request left.
func (s *Service) InstanceDrained(tx *cloud.Tx, targetGroupARN, id string) bool {
	for _, t := range s.targets.Prefix(tx, targetKey(targetGroupARN, id+":")) {
		if !t.Drained {
			return false
		}
	}
	return true
}

// HasTargetGroup tells whether there is such a target group.
func (s *Service) HasTargetGroup(tx *cloud.Tx, arn string) bool { return s.targetGroups.Has(tx, arn) }

// LoadBalancersOf lists the ARNs of the load balancers that use a target group: none or one.
func (s *Service) LoadBalancersOf(tx *cloud.Tx, targetGroupARN string) []string {
	if u := s.usage(tx, targetGroupARN); u.used {
		return []string{u.loadBalancer.ARN}
	}
	return nil
}
