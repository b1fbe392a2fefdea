package elb

import (
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/elb"
	"github.com/billow-cloud/billow/cloud"
)

// serves tells whether the load balancer may send requests into a zone.
func (b LoadBalancer) serves(zone string) bool {
	return slices.ContainsFunc(b.Zones, func(z Zone) bool { return z.Name == zone })
}

func (b LoadBalancer) zoneNames() []string {
	names := []string{}
	for _, z := range b.Zones {
		names = append(names, z.Name)
	}
	return names
}

func (b LoadBalancer) subnets() []string {
	ids := []string{}
	for _, z := range b.Zones {
		ids = append(ids, z.Subnet)
	}
	return ids
}

// place decides a new load balancer's zones: it is given zones, which stand for their default subnets, or subnets.
func (s *Service) place(tx *cloud.Tx, b *LoadBalancer, zones, subnets []string) error {
	switch {
	case len(zones) > 0 && len(subnets) > 0:
		return api.Errorf("ValidationError", "Only one of SubnetIds or AvailabilityZones may be specified")
	case len(zones) > 0:
		return s.addZones(tx, b, zones)
	case len(subnets) > 0:
		return s.addSubnets(tx, b, subnets)
	}
	return api.Errorf("ValidationError", "Either AvailabilityZones or SubnetIds must be specified")
}

// addZones enables zones by their default subnets.
func (s *Service) addZones(tx *cloud.Tx, b *LoadBalancer, zones []string) error {
	var subnets []string
	for _, zone := range zones {
		if b.serves(zone) {
			continue
		}
		n := len(subnets)
		for _, d := range s.ec2.DefaultSubnets(tx) {
			if d.Zone == zone {
				subnets = append(subnets, d.ID)
			}
		}
		if len(subnets) == n {
			return api.Errorf("ValidationError", "Requested Availability Zone %s is not valid: it does not exist or has no default subnet", zone)
		}
	}
	return s.addSubnets(tx, b, subnets)
}

// addSubnets enables the zones of subnets; a subnet takes the place of another one in its zone.
func (s *Service) addSubnets(tx *cloud.Tx, b *LoadBalancer, subnets []string) error {
	list := slices.Clone(b.Zones)
	seen := map[string]string{}
	for _, id := range subnets {
		n, ok := s.ec2.Subnet(tx, id)
		switch {
		case !ok:
			return api.Errorf("SubnetNotFound", "The requested subnet %s does not exist", id)
		case b.VPC != "" && n.VPCID != b.VPC:
			return api.Errorf("InvalidConfigurationRequest", "Subnets must be in the same VPC: %s is not in %s", id, b.VPC)
		case seen[n.Zone] != "" && seen[n.Zone] != id:
			return api.Errorf("InvalidConfigurationRequest", "ELB cannot be attached to multiple subnets in the same AZ.")
		}
		b.VPC, seen[n.Zone] = n.VPCID, id
		list = append(slices.DeleteFunc(list, func(z Zone) bool { return z.Name == n.Zone }), Zone{n.Zone, id})
	}
	slices.SortFunc(list, func(a, b Zone) int { return strings.Compare(a.Name, b.Name) })
	b.Zones = list
	return nil
}

// securityGroups checks security groups; without any it is the VPC's default one.
func (s *Service) securityGroups(tx *cloud.Tx, vpc string, ids []string) ([]string, error) {
	if len(ids) == 0 {
		if v, ok := s.ec2.VPC(tx, vpc); ok {
			return []string{v.GroupID}, nil
		}
	}
	for _, id := range ids {
		if g, ok := s.ec2.SecurityGroup(tx, id); !ok || g.VPCID != vpc {
			return nil, api.Errorf("InvalidSecurityGroup", "One or more of the specified security groups do not exist: %s", id)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(ids))), nil
}

// rezone changes a load balancer's zones and judges its instances anew.
func (s *Service) rezone(tx *cloud.Tx, name *string, change func(b *LoadBalancer) error) (LoadBalancer, error) {
	b, err := s.loadBalancer(tx, api.Value(name))
	if err != nil {
		return b, err
	}
	if err := change(&b); err != nil {
		return b, err
	}
	if len(b.Zones) == 0 {
		return b, api.Errorf("InvalidConfigurationRequest", "A load balancer must have at least one Availability Zone enabled")
	}
	s.put(tx, b)
	s.judgeAll(tx, b)
	return b, nil
}

// EnableAvailabilityZonesForLoadBalancer enables zones by their default subnets.
func (s *Service) EnableAvailabilityZonesForLoadBalancer(tx *cloud.Tx, in *shape.EnableAvailabilityZonesForLoadBalancerInput) (*shape.EnableAvailabilityZonesForLoadBalancerOutput, error) {
	b, err := s.rezone(tx, in.LoadBalancerName, func(b *LoadBalancer) error { return s.addZones(tx, b, in.AvailabilityZones) })
	if err != nil {
		return nil, err
	}
	return &shape.EnableAvailabilityZonesForLoadBalancerOutput{AvailabilityZones: b.zoneNames()}, nil
}

// DisableAvailabilityZonesForLoadBalancer disables zones; one must stay.
func (s *Service) DisableAvailabilityZonesForLoadBalancer(tx *cloud.Tx, in *shape.DisableAvailabilityZonesForLoadBalancerInput) (*shape.DisableAvailabilityZonesForLoadBalancerOutput, error) {
	b, err := s.rezone(tx, in.LoadBalancerName, func(b *LoadBalancer) error {
		b.Zones = slices.DeleteFunc(slices.Clone(b.Zones), func(z Zone) bool { return slices.Contains(in.AvailabilityZones, z.Name) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DisableAvailabilityZonesForLoadBalancerOutput{AvailabilityZones: b.zoneNames()}, nil
}

// AttachLoadBalancerToSubnets enables the zones of subnets.
func (s *Service) AttachLoadBalancerToSubnets(tx *cloud.Tx, in *shape.AttachLoadBalancerToSubnetsInput) (*shape.AttachLoadBalancerToSubnetsOutput, error) {
	b, err := s.rezone(tx, in.LoadBalancerName, func(b *LoadBalancer) error { return s.addSubnets(tx, b, in.Subnets) })
	if err != nil {
		return nil, err
	}
	return &shape.AttachLoadBalancerToSubnetsOutput{Subnets: b.subnets()}, nil
}

// DetachLoadBalancerFromSubnets disables the zones of subnets; one must stay.
func (s *Service) DetachLoadBalancerFromSubnets(tx *cloud.Tx, in *shape.DetachLoadBalancerFromSubnetsInput) (*shape.DetachLoadBalancerFromSubnetsOutput, error) {
	b, err := s.rezone(tx, in.LoadBalancerName, func(b *LoadBalancer) error {
		b.Zones = slices.DeleteFunc(slices.Clone(b.Zones), func(z Zone) bool { return slices.Contains(in.Subnets, z.Subnet) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DetachLoadBalancerFromSubnetsOutput{Subnets: b.subnets()}, nil
}

// ApplySecurityGroupsToLoadBalancer replaces the security groups.
func (s *Service) ApplySecurityGroupsToLoadBalancer(tx *cloud.Tx, in *shape.ApplySecurityGroupsToLoadBalancerInput) (*shape.ApplySecurityGroupsToLoadBalancerOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerName))
	if err != nil {
		return nil, err
	}
	if b.SecurityGroups, err = s.securityGroups(tx, b.VPC, in.SecurityGroups); err != nil {
		return nil, err
	}
	s.loadBalancers.Put(tx, b.Name, b)
	return &shape.ApplySecurityGroupsToLoadBalancerOutput{SecurityGroups: b.SecurityGroups}, nil
}
