package ec2

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// Subnet is the row of a subnet.
type Subnet struct {
	ID             string
	VPCID          string
	CIDR           string
	Zone           string
	Default        bool // the zone's default subnet
	MapPublicIP    bool
	ACLAssociation string
}

// reservedAddresses are the first four and the last of every subnet.
const reservedAddresses = 5

func (n Subnet) prefix() netip.Prefix { return netip.MustParsePrefix(n.CIDR) }

// size is how many addresses instances can have.
func (n Subnet) size() int { return 1<<(32-n.prefix().Bits()) - reservedAddresses }

func (s *Service) makeSubnet(tx *cloud.Tx, n Subnet) Subnet {
	n.ID, n.ACLAssociation = tx.ID("subnet-"), tx.ID("aclassoc-")
	s.subnets.Put(tx, n.ID, n)
	return n
}

// Subnet gives a subnet of the scope.
func (s *Service) Subnet(tx *cloud.Tx, id string) (Subnet, bool) {
	s.home(tx)
	return s.subnets.Get(tx, id)
}

// DefaultSubnets lists the default subnets in order of zone.
func (s *Service) DefaultSubnets(tx *cloud.Tx) []Subnet {
	s.home(tx)
	var all []Subnet
	for _, zone := range s.Zones(tx) {
		if n, ok := s.defaultSubnet(tx, zone); ok {
			all = append(all, n)
		}
	}
	return all
}

func (s *Service) defaultSubnet(tx *cloud.Tx, zone string) (Subnet, bool) {
	for _, n := range s.defaultSubnets.Each(tx, zone) {
		return n, true
	}
	return Subnet{}, false
}

var noSubnet = notFound("InvalidSubnetID", "subnet", "subnet-")

// CreateSubnet makes a subnet of a VPC.
func (s *Service) CreateSubnet(tx *cloud.Tx, in *shape.CreateSubnetInput) (*shape.CreateSubnetOutput, error) {
	tags, err := specTags(in.TagSpecifications, "subnet")
	if err != nil {
		return nil, err
	}
	v, ok := s.vpcs.Get(tx, api.Value(in.VpcId))
	if !ok {
		return nil, noVPC([]string{api.Value(in.VpcId)})
	}
	if in.CidrBlock == nil {
		return nil, api.Errorf("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
	}
	block, err := cidr(*in.CidrBlock)
	if err != nil {
		return nil, err
	}
	whole := netip.MustParsePrefix(v.CIDR)
	if block.Bits() < 16 || block.Bits() > 28 || !whole.Contains(block.Addr()) || block.Bits() < whole.Bits() {
		return nil, api.Errorf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", *in.CidrBlock)
	}
	zone := api.Value(in.AvailabilityZone)
	if in.AvailabilityZoneId != nil {
		if zone, ok = s.zoneOfID(tx, *in.AvailabilityZoneId); !ok {
			return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter availabilityZoneId is invalid.", *in.AvailabilityZoneId)
		}
	}
	if zone == "" {
		zone = s.Zones(tx)[0]
	}
	if !slices.Contains(s.Zones(tx), zone) {
		return nil, badZone(zone)
	}
	for _, n := range s.subnets.All(tx) {
		if n.VPCID == v.ID && n.prefix().Overlaps(block) {
			return nil, api.Errorf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", *in.CidrBlock)
		}
	}
	n := s.makeSubnet(tx, Subnet{VPCID: v.ID, CIDR: block.String(), Zone: zone})
	s.Tag(tx, n.ID, tags)
	return &shape.CreateSubnetOutput{Subnet: new(s.subnetShape(tx, n, 0))}, nil
}

func badZone(zone string) error {
	return api.Errorf("InvalidParameterValue", "Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the availability zones of this region.", zone)
}

// DeleteSubnet removes a subnet without instances.
func (s *Service) DeleteSubnet(tx *cloud.Tx, in *shape.DeleteSubnetInput) (*shape.DeleteSubnetOutput, error) {
	id := api.Value(in.SubnetId)
	if !s.subnets.Has(tx, id) {
		return nil, noSubnet([]string{id})
	}
	if s.addressesUsed(tx)[id] > 0 {
		return nil, api.Errorf("DependencyViolation", "The subnet '%s' has dependencies and cannot be deleted.", id)
	}
	s.subnets.Delete(tx, id)
	s.tags.Delete(tx, id)
	return &shape.DeleteSubnetOutput{}, nil
}

// addressesUsed counts the addresses that instances hold, by subnet.
func (s *Service) addressesUsed(tx *cloud.Tx) map[string]int {
	used := map[string]int{}
	for _, i := range s.instances.All(tx) {
		if i.PrivateIP != "" {
			used[i.SubnetID]++
		}
	}
	return used
}

var subnetFields = fields[Subnet]{
	"subnet-id":               func(_ *cloud.Tx, n Subnet) []string { return one(n.ID) },
	"vpc-id":                  func(_ *cloud.Tx, n Subnet) []string { return one(n.VPCID) },
	"cidr":                    func(_ *cloud.Tx, n Subnet) []string { return one(n.CIDR) },
	"cidr-block":              func(_ *cloud.Tx, n Subnet) []string { return one(n.CIDR) },
	"cidrBlock":               func(_ *cloud.Tx, n Subnet) []string { return one(n.CIDR) },
	"availability-zone":       func(_ *cloud.Tx, n Subnet) []string { return one(n.Zone) },
	"availabilityZone":        func(_ *cloud.Tx, n Subnet) []string { return one(n.Zone) },
	"availability-zone-id":    func(_ *cloud.Tx, n Subnet) []string { return one(ZoneID(n.Zone)) },
	"availabilityZoneId":      func(_ *cloud.Tx, n Subnet) []string { return one(ZoneID(n.Zone)) },
	"default-for-az":          func(_ *cloud.Tx, n Subnet) []string { return yes(n.Default) },
	"defaultForAz":            func(_ *cloud.Tx, n Subnet) []string { return yes(n.Default) },
	"map-public-ip-on-launch": func(_ *cloud.Tx, n Subnet) []string { return yes(n.MapPublicIP) },
	"owner-id":                func(tx *cloud.Tx, _ Subnet) []string { return one(tx.Scope.Account) },
	"subnet-arn":              func(tx *cloud.Tx, n Subnet) []string { return one(tx.Scope.ARN(Name, "subnet/"+n.ID)) },
	"state":                   func(*cloud.Tx, Subnet) []string { return one("available") },
	"ipv6-native":             func(*cloud.Tx, Subnet) []string { return yes(false) },
}

// DescribeSubnets lists subnets.
func (s *Service) DescribeSubnets(tx *cloud.Tx, in *shape.DescribeSubnetsInput) (*shape.DescribeSubnetsOutput, error) {
	used := s.addressesUsed(tx)
	known := maps.Clone(subnetFields)
	known["available-ip-address-count"] = func(_ *cloud.Tx, n Subnet) []string { return one(strconv.Itoa(n.size() - used[n.ID])) }
	found, next, err := listing[Subnet]{
		rows: s.subnets, fields: known, id: func(n Subnet) string { return n.ID }, ids: in.SubnetIds, missing: noSubnet,
		filters: in.Filters, max: in.MaxResults, token: in.NextToken,
	}.find(s, tx)
	out := &shape.DescribeSubnetsOutput{NextToken: next}
	for _, n := range found {
		out.Subnets = append(out.Subnets, s.subnetShape(tx, n, used[n.ID]))
	}
	return out, err
}

func (s *Service) subnetShape(tx *cloud.Tx, n Subnet, used int) shape.Subnet {
	return shape.Subnet{
		SubnetId: new(n.ID), VpcId: new(n.VPCID), CidrBlock: new(n.CIDR), AvailabilityZone: new(n.Zone),
		AvailabilityZoneId: new(ZoneID(n.Zone)), AvailableIpAddressCount: new(int32(n.size() - used)), DefaultForAz: new(n.Default),
		MapPublicIpOnLaunch: new(n.MapPublicIP), OwnerId: new(tx.Scope.Account), State: new("available"),
		SubnetArn: new(tx.Scope.ARN(Name, "subnet/"+n.ID)), Tags: tagShapes(s.Tags(tx, n.ID)), AssignIpv6AddressOnCreation: new(false),
		EnableDns64: new(false), Ipv6Native: new(false), MapCustomerOwnedIpOnLaunch: new(false),
		PrivateDnsNameOptionsOnLaunch: &shape.PrivateDnsNameOptionsOnLaunch{
			HostnameType: new("ip-name"), EnableResourceNameDnsARecord: new(false), EnableResourceNameDnsAAAARecord: new(false),
		},
	}
}

// ModifySubnetAttribute says whether instances of the subnet get a public address.
func (s *Service) ModifySubnetAttribute(tx *cloud.Tx, in *shape.ModifySubnetAttributeInput) (*shape.ModifySubnetAttributeOutput, error) {
	n, ok := s.subnets.Get(tx, api.Value(in.SubnetId))
	if !ok {
		return nil, noSubnet([]string{api.Value(in.SubnetId)})
	}
	if in.MapPublicIpOnLaunch == nil {
		return nil, api.Errorf("Unsupported", "Only MapPublicIpOnLaunch can be changed here.")
	}
	n.MapPublicIP = api.Value(in.MapPublicIpOnLaunch.Value)
	s.subnets.Put(tx, n.ID, n)
	return &shape.ModifySubnetAttributeOutput{}, nil
}
