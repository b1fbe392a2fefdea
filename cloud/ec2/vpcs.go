package ec2

import (
	"net/netip"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// VPC is the row of a virtual private cloud, with those of its parts that cannot be changed here.
type VPC struct {
	ID               string
	CIDR             string
	AssociationID    string
	Default          bool
	Tenancy          string
	DhcpOptionsID    string
	DNSSupport       bool
	DNSHostnames     bool
	AddressMetrics   bool
	MainRouteTableID string
	MainAssociation  string
	NetworkACLID     string
	GatewayID        string // internet gateway, or empty
	GroupID          string // default security group
}

// Home is the row of what a new account finds in a region. It stays when the default VPC is deleted.
type Home struct {
	VPCID         string // of the default VPC; empty when it was deleted
	DhcpOptionsID string
}

const (
	homeKey     = "default"
	defaultCIDR = "172.31.0.0/16"
)

// home makes what a new AWS account finds, on the first touch of a scope.
func (s *Service) home(tx *cloud.Tx) Home {
	if h, ok := s.homes.Get(tx, homeKey); ok {
		return h
	}
	s.homes.Put(tx, homeKey, Home{DhcpOptionsID: tx.ID("dopt-")})
	return s.makeDefaultVPC(tx)
}

func (s *Service) makeDefaultVPC(tx *cloud.Tx) Home {
	h, _ := s.homes.Get(tx, homeKey)
	v := s.makeVPC(tx, defaultCIDR, true)
	h.VPCID = v.ID
	s.homes.Put(tx, homeKey, h)
	for i, zone := range s.Zones(tx) {
		first := netip.AddrFrom4([4]byte{172, 31, byte(i) << 4, 0})
		s.makeSubnet(tx, Subnet{VPCID: v.ID, CIDR: netip.PrefixFrom(first, 20).String(), Zone: zone, Default: true, MapPublicIP: true})
	}
	return h
}

func (s *Service) makeVPC(tx *cloud.Tx, cidr string, standard bool) VPC {
	h, _ := s.homes.Get(tx, homeKey)
	v := VPC{
		ID: tx.ID("vpc-"), CIDR: cidr, AssociationID: tx.ID("vpc-cidr-assoc-"), Default: standard, Tenancy: "default",
		DhcpOptionsID: h.DhcpOptionsID, DNSSupport: true, DNSHostnames: standard, MainRouteTableID: tx.ID("rtb-"),
		MainAssociation: tx.ID("rtbassoc-"), NetworkACLID: tx.ID("acl-"), GroupID: tx.ID("sg-"),
	}
	if standard {
		v.GatewayID = tx.ID("igw-")
	}
	s.vpcs.Put(tx, v.ID, v)
	s.groups.Put(tx, v.GroupID, SecurityGroup{
		ID: v.GroupID, Name: "default", Description: "default VPC security group", VPCID: v.ID,
		Rules: []Rule{
			{ID: tx.ID("sgr-"), Protocol: "-1", FromPort: -1, ToPort: -1, GroupID: v.GroupID},
			allTraffic(tx),
		},
	})
	return v
}

// VPC gives a VPC of the scope.
func (s *Service) VPC(tx *cloud.Tx, id string) (VPC, bool) {
	s.home(tx)
	return s.vpcs.Get(tx, id)
}

// DefaultVPC gives the default VPC, if it was not deleted.
func (s *Service) DefaultVPC(tx *cloud.Tx) (VPC, bool) { return s.vpcs.Get(tx, s.home(tx).VPCID) }

var noVPC = notFound("InvalidVpcID", "vpc", "vpc-")

// CreateDefaultVpc makes the default VPC again after it was deleted.
func (s *Service) CreateDefaultVpc(tx *cloud.Tx, _ *shape.CreateDefaultVpcInput) (*shape.CreateDefaultVpcOutput, error) {
	if v, there := s.DefaultVPC(tx); there {
		return nil, api.Errorf("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region: %s", v.ID)
	}
	v, _ := s.vpcs.Get(tx, s.makeDefaultVPC(tx).VPCID)
	return &shape.CreateDefaultVpcOutput{Vpc: new(s.vpcShape(tx, v))}, nil
}

// CreateVpc makes a VPC with its default security group, route table and network ACL.
func (s *Service) CreateVpc(tx *cloud.Tx, in *shape.CreateVpcInput) (*shape.CreateVpcOutput, error) {
	tags, err := specTags(in.TagSpecifications, "vpc")
	if err != nil {
		return nil, err
	}
	if in.CidrBlock == nil {
		return nil, api.Errorf("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
	}
	block, err := cidr(*in.CidrBlock)
	if err != nil {
		return nil, err
	}
	if block.Bits() < 16 || block.Bits() > 28 {
		return nil, api.Errorf("InvalidVpc.Range", "The CIDR '%s' is invalid.", *in.CidrBlock)
	}
	v := s.makeVPC(tx, block.String(), false)
	if t := api.Value(in.InstanceTenancy); t != "" {
		v.Tenancy = t
		s.vpcs.Put(tx, v.ID, v)
	}
	s.Tag(tx, v.ID, tags)
	return &shape.CreateVpcOutput{Vpc: new(s.vpcShape(tx, v))}, nil
}

// cidr reads an IPv4 block and clears its host bits, as AWS does.
func cidr(text string) (netip.Prefix, error) {
	block, err := netip.ParsePrefix(text)
	if err != nil || !block.Addr().Is4() {
		return netip.Prefix{}, api.Errorf("InvalidParameterValue", "Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", text)
	}
	return block.Masked(), nil
}

// DeleteVpc removes a VPC that has no subnets and no other security groups.
func (s *Service) DeleteVpc(tx *cloud.Tx, in *shape.DeleteVpcInput) (*shape.DeleteVpcOutput, error) {
	id := api.Value(in.VpcId)
	v, ok := s.vpcs.Get(tx, id)
	if !ok {
		return nil, noVPC([]string{id})
	}
	busy := false
	for _, sub := range s.subnets.All(tx) {
		busy = busy || sub.VPCID == id
	}
	for _, g := range s.groups.All(tx) {
		busy = busy || g.VPCID == id && g.ID != v.GroupID
	}
	if busy {
		return nil, api.Errorf("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted.", id)
	}
	s.vpcs.Delete(tx, id)
	s.groups.Delete(tx, v.GroupID)
	for _, part := range append(vpcParts(id, v), id, v.GroupID) {
		if part != v.DhcpOptionsID {
			s.tags.Delete(tx, part)
		}
	}
	if h := s.home(tx); h.VPCID == id {
		h.VPCID = ""
		s.homes.Put(tx, homeKey, h)
	}
	return &shape.DeleteVpcOutput{}, nil
}

// vpcParts lists the IDs of what belongs to a VPC and has no row of its own.
func vpcParts(_ string, v VPC) []string {
	parts := []string{v.MainRouteTableID, v.NetworkACLID, v.DhcpOptionsID}
	if v.GatewayID != "" {
		parts = append(parts, v.GatewayID)
	}
	return parts
}

var vpcFields = fields[VPC]{
	"vpc-id":                            func(_ *cloud.Tx, v VPC) []string { return one(v.ID) },
	"cidr":                              func(_ *cloud.Tx, v VPC) []string { return one(v.CIDR) },
	"cidr-block":                        func(_ *cloud.Tx, v VPC) []string { return one(v.CIDR) },
	"cidr-block-association.cidr-block": func(_ *cloud.Tx, v VPC) []string { return one(v.CIDR) },
	"dhcp-options-id":                   func(_ *cloud.Tx, v VPC) []string { return one(v.DhcpOptionsID) },
	"is-default":                        func(_ *cloud.Tx, v VPC) []string { return yes(v.Default) },
	"isDefault":                         func(_ *cloud.Tx, v VPC) []string { return yes(v.Default) },
	"owner-id":                          func(tx *cloud.Tx, _ VPC) []string { return one(tx.Scope.Account) },
	"state":                             func(*cloud.Tx, VPC) []string { return one("available") },
}

// DescribeVpcs lists VPCs.
func (s *Service) DescribeVpcs(tx *cloud.Tx, in *shape.DescribeVpcsInput) (*shape.DescribeVpcsOutput, error) {
	found, next, err := listing[VPC]{
		rows: s.vpcs, fields: vpcFields, id: func(v VPC) string { return v.ID }, ids: in.VpcIds, missing: noVPC,
		filters: in.Filters, max: in.MaxResults, token: in.NextToken,
	}.find(s, tx)
	out := &shape.DescribeVpcsOutput{NextToken: next}
	for _, v := range found {
		out.Vpcs = append(out.Vpcs, s.vpcShape(tx, v))
	}
	return out, err
}

func (s *Service) vpcShape(tx *cloud.Tx, v VPC) shape.Vpc {
	return shape.Vpc{
		VpcId: new(v.ID), CidrBlock: new(v.CIDR), DhcpOptionsId: new(v.DhcpOptionsID), InstanceTenancy: new(v.Tenancy),
		IsDefault: new(v.Default), OwnerId: new(tx.Scope.Account), State: new("available"), Tags: tagShapes(s.Tags(tx, v.ID)),
		CidrBlockAssociationSet: []shape.VpcCidrBlockAssociation{{
			AssociationId: new(v.AssociationID), CidrBlock: new(v.CIDR), CidrBlockState: &shape.VpcCidrBlockState{State: new("associated")},
		}},
	}
}

// DescribeVpcAttribute gives one attribute of a VPC.
func (s *Service) DescribeVpcAttribute(tx *cloud.Tx, in *shape.DescribeVpcAttributeInput) (*shape.DescribeVpcAttributeOutput, error) {
	v, ok := s.vpcs.Get(tx, api.Value(in.VpcId))
	if !ok {
		return nil, noVPC([]string{api.Value(in.VpcId)})
	}
	out := &shape.DescribeVpcAttributeOutput{VpcId: in.VpcId}
	switch api.Value(in.Attribute) {
	case "enableDnsSupport":
		out.EnableDnsSupport = &shape.AttributeBooleanValue{Value: new(v.DNSSupport)}
	case "enableDnsHostnames":
		out.EnableDnsHostnames = &shape.AttributeBooleanValue{Value: new(v.DNSHostnames)}
	case "enableNetworkAddressUsageMetrics":
		out.EnableNetworkAddressUsageMetrics = &shape.AttributeBooleanValue{Value: new(v.AddressMetrics)}
	}
	return out, nil
}

// ModifyVpcAttribute changes attributes of a VPC.
func (s *Service) ModifyVpcAttribute(tx *cloud.Tx, in *shape.ModifyVpcAttributeInput) (*shape.ModifyVpcAttributeOutput, error) {
	v, ok := s.vpcs.Get(tx, api.Value(in.VpcId))
	if !ok {
		return nil, noVPC([]string{api.Value(in.VpcId)})
	}
	if in.EnableDnsSupport != nil {
		v.DNSSupport = api.Value(in.EnableDnsSupport.Value)
	}
	if in.EnableDnsHostnames != nil {
		v.DNSHostnames = api.Value(in.EnableDnsHostnames.Value)
	}
	if in.EnableNetworkAddressUsageMetrics != nil {
		v.AddressMetrics = api.Value(in.EnableNetworkAddressUsageMetrics.Value)
	}
	s.vpcs.Put(tx, v.ID, v)
	return &shape.ModifyVpcAttributeOutput{}, nil
}

// publicDNS is the public host name of an address.
func (s *Service) publicDNS(tx *cloud.Tx, ip string) string {
	if ip == "" {
		return ""
	}
	where := tx.Scope.Region + ".compute"
	if tx.Scope.Region == "us-east-1" {
		where = "compute-1"
	}
	return "ec2-" + strings.ReplaceAll(ip, ".", "-") + "." + where + "." + s.options.DNSSuffix
}

// privateDNS is the private host name of an address.
func privateDNS(region, ip string) string {
	if ip == "" {
		return ""
	}
	return "ip-" + strings.ReplaceAll(ip, ".", "-") + "." + domain(region)
}
