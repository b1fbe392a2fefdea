package elbv2

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
)

// LoadBalancer is the row of an application load balancer. Its key is its ARN.
type LoadBalancer struct {
	ARN            string
	Name           string
	DNSName        string
	Address        string // the loopback address of its own
	Scheme         string
	VPC            string
	IPAddressType  string
	Zones          []Zone // in order of name
	SecurityGroups []string
	CreatedTime    time.Time
	Attributes     []Attribute `json:",omitempty"`
	Tags           []Tag       `json:",omitempty"`
}

// Zone is an Availability Zone that is enabled for a load balancer.
type Zone struct{ Name, Subnet string }

// maxLoadBalancers is the quota per region (LB-DN-05).
const maxLoadBalancers = 50

// hostedZone is shown as the CanonicalHostedZoneId of every load balancer.
const hostedZone = "Z35SXDOTRQ7X7K"

func (b LoadBalancer) attribute(key string) string {
	return getAttribute(b.Attributes, loadBalancerAttributes, key)
}

// loadBalancer finds a load balancer by its ARN.
func (s *Service) loadBalancer(tx *cloud.Tx, arn string) (LoadBalancer, error) {
	if err := checkARN(arn, "loadbalancer", "load balancer"); err != nil {
		return LoadBalancer{}, err
	}
	b, ok := s.loadBalancers.Get(tx, arn)
	if !ok {
		return b, api.Errorf("LoadBalancerNotFound", "Load balancer '%s' not found", arn)
	}
	return b, nil
}

// CreateLoadBalancer makes a load balancer, or answers with the one of this name if it has the same settings.
func (s *Service) CreateLoadBalancer(tx *cloud.Tx, in *shape.CreateLoadBalancerInput) (*shape.CreateLoadBalancerOutput, error) {
	b := LoadBalancer{
		Name: api.Value(in.Name), Scheme: api.Or(in.Scheme, shape.LoadBalancerSchemeEnumInternetFacing),
		IPAddressType: api.Or(in.IpAddressType, "ipv4"), CreatedTime: tx.Now().Truncate(time.Millisecond),
	}
	if err := checkLoadBalancer(in, b); err != nil {
		return nil, err
	}
	var err error
	if b.Zones, b.VPC, err = s.zones(tx, in.Subnets, in.SubnetMappings); err != nil {
		return nil, err
	}
	if b.SecurityGroups, err = s.securityGroups(tx, b.VPC, in.SecurityGroups); err != nil {
		return nil, err
	}
	if b.Tags, err = withTags(nil, in.Tags); err != nil {
		return nil, err
	}
	for _, old := range s.loadBalancerNames.Each(tx, b.Name) {
		if old.Scheme != b.Scheme || old.IPAddressType != b.IPAddressType || !slices.Equal(old.Zones, b.Zones) ||
			!slices.Equal(old.SecurityGroups, b.SecurityGroups) {
			return nil, api.Errorf("DuplicateLoadBalancerName", "A load balancer with the same name '%s' exists, but with different settings", b.Name)
		}
		return &shape.CreateLoadBalancerOutput{LoadBalancers: []shape.LoadBalancer{old.describe("active")}}, nil
	}
	n := 0
	for range s.loadBalancers.All(tx) {
		n++
	}
	if n >= maxLoadBalancers {
		return nil, api.Errorf("TooManyLoadBalancers", "The maximum number of load balancers, %d, has been reached", maxLoadBalancers)
	}
	b.ARN = arn(tx.Scope, "loadbalancer/app/"+b.Name+"/"+tx.Hex(16))
	b.DNSName = s.DNSName(tx, b.Name, b.Scheme == shape.LoadBalancerSchemeEnumInternal)
	if b.Address, err = s.AllocateAddress(tx, b.ARN); err != nil {
		return nil, err
	}
	s.loadBalancers.Put(tx, b.ARN, b)
	tx.Touch(Name, kindRoute, b.ARN)
	s.nextMinute(tx, b.ARN)
	return &shape.CreateLoadBalancerOutput{LoadBalancers: []shape.LoadBalancer{b.describe("provisioning")}}, nil
}

// checkLoadBalancer refuses what cannot be built, rather than building something else.
func checkLoadBalancer(in *shape.CreateLoadBalancerInput, b LoadBalancer) error {
	if err := CheckName("Load balancer", b.Name); err != nil {
		return err
	}
	switch kind := api.Or(in.Type, shape.LoadBalancerTypeEnumApplication); {
	case strings.HasPrefix(b.Name, "internal-"):
		return invalid("Load balancer name '%s' cannot begin with 'internal-'", b.Name)
	case kind != shape.LoadBalancerTypeEnumApplication:
		return api.Errorf("InvalidConfigurationRequest", "Load balancers of type '%s' are not implemented; 'application' is", kind)
	case b.IPAddressType != "ipv4":
		return api.Errorf("InvalidConfigurationRequest", "The IP address type '%s' is not implemented; 'ipv4' is", b.IPAddressType)
	}
	return nil
}

// DNSName makes the name of a load balancer, application or classic (LB-DN-01).
func (s *Service) DNSName(tx *cloud.Tx, name string, internal bool) string {
	if internal {
		name = "internal-" + name
	}
	return fmt.Sprintf("%s-%d.%s.elb.%s", name, 100_000_000+tx.Uint64()%1_900_000_000, tx.Scope.Region, s.options.DNSSuffix)
}

// zones checks subnets: at least two, one per zone, of one VPC (LB-DN-03).
func (s *Service) zones(tx *cloud.Tx, subnets []string, mappings []shape.SubnetMapping) ([]Zone, string, error) {
	if len(subnets) > 0 && len(mappings) > 0 {
		return nil, "", invalid("Subnets and subnet mappings cannot both be specified")
	}
	for _, m := range mappings {
		if m.AllocationId != nil || m.PrivateIPv4Address != nil || m.IPv6Address != nil {
			return nil, "", api.Errorf("InvalidConfigurationRequest", "Addresses cannot be specified for load balancers of type 'application'")
		}
		subnets = append(subnets, api.Value(m.SubnetId))
	}
	var zones []Zone
	vpc := ""
	for _, id := range subnets {
		n, ok := s.ec2.Subnet(tx, id)
		switch {
		case !ok:
			return nil, "", api.Errorf("SubnetNotFound", "The subnet ID '%s' does not exist", id)
		case vpc != "" && n.VPCID != vpc:
			return nil, "", api.Errorf("InvalidConfigurationRequest", "All subnets must belong to the same VPC")
		case slices.Contains(zones, Zone{n.Zone, id}):
			continue
		case slices.ContainsFunc(zones, func(z Zone) bool { return z.Name == n.Zone }):
			return nil, "", api.Errorf("InvalidConfigurationRequest", "A load balancer cannot be attached to multiple subnets in the same Availability Zone")
		}
		vpc = n.VPCID
		zones = append(zones, Zone{n.Zone, id})
	}
	if len(zones) < 2 {
		return nil, "", invalid("At least two subnets in two different Availability Zones must be specified")
	}
	slices.SortFunc(zones, func(a, b Zone) int { return strings.Compare(a.Name, b.Name) })
	return zones, vpc, nil
}

// securityGroups checks security groups; without any it is the VPC's default one.
func (s *Service) securityGroups(tx *cloud.Tx, vpc string, ids []string) ([]string, error) {
	if len(ids) == 0 {
		if v, ok := s.ec2.VPC(tx, vpc); ok {
			return []string{v.GroupID}, nil
		}
	}
	for _, id := range ids {
		g, ok := s.ec2.SecurityGroup(tx, id)
		if !ok {
			return nil, api.Errorf("InvalidSecurityGroup", "The security group '%s' does not exist", id)
		}
		if g.VPCID != vpc {
			return nil, api.Errorf("InvalidConfigurationRequest", "The security group '%s' does not belong to VPC '%s'", id, vpc)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(ids))), nil
}

func (b LoadBalancer) describe(state string) shape.LoadBalancer {
	d := shape.LoadBalancer{
		LoadBalancerArn: new(b.ARN), LoadBalancerName: new(b.Name), DNSName: new(b.DNSName),
		CanonicalHostedZoneId: new(hostedZone), CreatedTime: new(b.CreatedTime), Scheme: new(b.Scheme), VpcId: new(b.VPC),
		State: &shape.LoadBalancerState{Code: new(state)}, Type: new(shape.LoadBalancerTypeEnumApplication),
		AvailabilityZones: b.describeZones(), SecurityGroups: b.SecurityGroups, IpAddressType: new(b.IPAddressType),
		EnablePrefixForIpv6SourceNat: new("off"),
	}
	return d
}

func (b LoadBalancer) describeZones() []shape.AvailabilityZone {
	var zones []shape.AvailabilityZone
	for _, z := range b.Zones {
		zones = append(zones, shape.AvailabilityZone{ZoneName: new(z.Name), SubnetId: new(z.Subnet), LoadBalancerAddresses: []shape.LoadBalancerAddress{}})
	}
	return zones
}

// DescribeLoadBalancers lists load balancers: all, or those of the given ARNs or names.
func (s *Service) DescribeLoadBalancers(tx *cloud.Tx, in *shape.DescribeLoadBalancersInput) (*shape.DescribeLoadBalancersOutput, error) {
	if len(in.LoadBalancerArns) > 0 && len(in.Names) > 0 {
		return nil, invalid("Load balancer names and load balancer ARNs cannot be specified at the same time")
	}
	var rows []LoadBalancer
	for _, arn := range in.LoadBalancerArns {
		b, err := s.loadBalancer(tx, arn)
		if err != nil {
			return nil, err
		}
		rows = append(rows, b)
	}
	for _, name := range in.Names {
		n := len(rows)
		for _, b := range s.loadBalancerNames.Each(tx, name) {
			rows = append(rows, b)
		}
		if len(rows) == n {
			return nil, api.Errorf("LoadBalancerNotFound", "Load balancers '[%s]' not found", name)
		}
	}
	if len(in.LoadBalancerArns) == 0 && len(in.Names) == 0 {
		for _, b := range s.loadBalancers.All(tx) {
			rows = append(rows, b)
		}
	}
	out := &shape.DescribeLoadBalancersOutput{LoadBalancers: []shape.LoadBalancer{}}
	rows, out.NextMarker = page(rows, func(b LoadBalancer) string { return b.ARN }, in.Marker, in.PageSize)
	for _, b := range rows {
		out.LoadBalancers = append(out.LoadBalancers, b.describe("active"))
	}
	return out, nil
}

// DeleteLoadBalancer removes a load balancer with its listeners. One that is not there is no error.
func (s *Service) DeleteLoadBalancer(tx *cloud.Tx, in *shape.DeleteLoadBalancerInput) (*shape.DeleteLoadBalancerOutput, error) {
	arn := api.Value(in.LoadBalancerArn)
	if err := checkARN(arn, "loadbalancer", "load balancer"); err != nil {
		return nil, err
	}
	b, ok := s.loadBalancers.Get(tx, arn)
	if !ok {
		return &shape.DeleteLoadBalancerOutput{}, nil
	}
	if b.attribute(keyDeletionProtection) == "true" {
		return nil, api.Errorf("OperationNotPermitted", "Load balancer '%s' cannot be deleted because deletion protection is enabled", arn)
	}
	var groups []string
	for key, l := range s.listenersOf(tx, arn) {
		groups = append(groups, l.targetGroups()...)
		s.listeners.Delete(tx, key)
	}
	s.loadBalancers.Delete(tx, arn)
	s.ReleaseAddress(tx, b.Address)
	for _, g := range slices.Compact(slices.Sorted(slices.Values(groups))) {
		s.judgeGroup(tx, g)
	}
	tx.Touch(Name, kindRoute, arn)
	tx.At(Name, kindMinute, arn, time.Time{})
	return &shape.DeleteLoadBalancerOutput{}, nil
}

// SetSecurityGroups replaces the security groups.
func (s *Service) SetSecurityGroups(tx *cloud.Tx, in *shape.SetSecurityGroupsInput) (*shape.SetSecurityGroupsOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerArn))
	if err != nil {
		return nil, err
	}
	if b.SecurityGroups, err = s.securityGroups(tx, b.VPC, in.SecurityGroups); err != nil {
		return nil, err
	}
	s.loadBalancers.Put(tx, b.ARN, b)
	return &shape.SetSecurityGroupsOutput{SecurityGroupIds: b.SecurityGroups}, nil
}

// SetSubnets replaces the subnets, and with them the zones that are enabled.
func (s *Service) SetSubnets(tx *cloud.Tx, in *shape.SetSubnetsInput) (*shape.SetSubnetsOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerArn))
	if err != nil {
		return nil, err
	}
	zones, vpc, err := s.zones(tx, in.Subnets, in.SubnetMappings)
	if err != nil {
		return nil, err
	}
	if vpc != b.VPC {
		return nil, api.Errorf("InvalidConfigurationRequest", "All subnets must belong to VPC '%s'", b.VPC)
	}
	if t := api.Or(in.IpAddressType, "ipv4"); t != "ipv4" {
		return nil, api.Errorf("InvalidConfigurationRequest", "The IP address type '%s' is not implemented; 'ipv4' is", t)
	}
	b.Zones = zones
	s.loadBalancers.Put(tx, b.ARN, b)
	for _, g := range s.groupsOf(tx, b.ARN) {
		s.judgeGroup(tx, g)
	}
	return &shape.SetSubnetsOutput{AvailabilityZones: b.describeZones(), IpAddressType: new(b.IPAddressType)}, nil
}

// SetIpAddressType takes ipv4, which every load balancer has.
func (s *Service) SetIpAddressType(tx *cloud.Tx, in *shape.SetIpAddressTypeInput) (*shape.SetIpAddressTypeOutput, error) {
	if _, err := s.loadBalancer(tx, api.Value(in.LoadBalancerArn)); err != nil {
		return nil, err
	}
	if t := api.Value(in.IpAddressType); t != "ipv4" {
		return nil, api.Errorf("InvalidConfigurationRequest", "The IP address type '%s' is not implemented; 'ipv4' is", t)
	}
	return &shape.SetIpAddressTypeOutput{IpAddressType: in.IpAddressType}, nil
}

// DescribeLoadBalancerAttributes lists all attributes.
func (s *Service) DescribeLoadBalancerAttributes(tx *cloud.Tx, in *shape.DescribeLoadBalancerAttributesInput) (*shape.DescribeLoadBalancerAttributesOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerArn))
	if err != nil {
		return nil, err
	}
	return &shape.DescribeLoadBalancerAttributesOutput{Attributes: b.describeAttributes()}, nil
}

func (b LoadBalancer) describeAttributes() (list []shape.LoadBalancerAttribute) {
	allAttributes(b.Attributes, loadBalancerAttributes, func(k, v string) {
		list = append(list, shape.LoadBalancerAttribute{Key: new(k), Value: new(v)})
	})
	return list
}

// ModifyLoadBalancerAttributes sets attributes, all or none.
func (s *Service) ModifyLoadBalancerAttributes(tx *cloud.Tx, in *shape.ModifyLoadBalancerAttributesInput) (*shape.ModifyLoadBalancerAttributesOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerArn))
	if err != nil {
		return nil, err
	}
	for _, a := range in.Attributes {
		if b.Attributes, err = setAttribute(b.Attributes, loadBalancerAttributes, "Load balancer", api.Value(a.Key), api.Value(a.Value)); err != nil {
			return nil, err
		}
	}
	s.loadBalancers.Put(tx, b.ARN, b)
	tx.Touch(Name, kindRoute, b.ARN)
	return &shape.ModifyLoadBalancerAttributesOutput{Attributes: b.describeAttributes()}, nil
}
