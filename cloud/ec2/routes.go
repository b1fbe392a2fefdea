package ec2

import (
	"slices"
	"strconv"

	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// The parts of a VPC that exist with it and cannot be changed: route table, network ACL, internet gateway, DHCP options.

// partListing lists one kind of part of the VPCs.
func (s *Service) partListing(known fields[VPC], id func(VPC) string, ids []string, missing func([]string) error,
	filters []shape.Filter) listing[VPC] {
	l := listing[VPC]{rows: s.vpcs, fields: known, id: id, filters: filters, missing: missing}
	l.visible = func(v VPC) bool { return id(v) != "" && (len(ids) == 0 || slices.Contains(ids, id(v))) }
	return l
}

// parts gives the VPCs whose parts were asked for.
func (l listing[R]) parts(s *Service, tx *cloud.Tx, ids []string) ([]R, error) {
	all := l
	all.filters = nil
	there, _, _ := all.find(s, tx)
	for _, id := range ids {
		found := false
		for _, r := range there {
			found = found || l.id(r) == id
		}
		if !found {
			return nil, l.missing([]string{id})
		}
	}
	found, _, err := l.find(s, tx)
	return found, err
}

// partFields are the filters that all parts have, and one for the part's own ID.
func partFields(own string, id func(VPC) string, vpc string) fields[VPC] {
	return fields[VPC]{
		own:        func(_ *cloud.Tx, v VPC) []string { return one(id(v)) },
		vpc:        func(_ *cloud.Tx, v VPC) []string { return one(v.ID) },
		"owner-id": func(tx *cloud.Tx, _ VPC) []string { return one(tx.Scope.Account) },
	}
}

func (s *Service) subnetsOf(tx *cloud.Tx, vpc string) []Subnet {
	var all []Subnet
	for _, n := range s.subnets.All(tx) {
		if n.VPCID == vpc {
			all = append(all, n)
		}
	}
	return all
}

func (s *Service) subnetIDsOf(tx *cloud.Tx, v VPC) []string {
	var ids []string
	for _, n := range s.subnetsOf(tx, v.ID) {
		ids = append(ids, n.ID)
	}
	return ids
}

// DescribeRouteTables lists the main route tables.
func (s *Service) DescribeRouteTables(tx *cloud.Tx, in *shape.DescribeRouteTablesInput) (*shape.DescribeRouteTablesOutput, error) {
	id := func(v VPC) string { return v.MainRouteTableID }
	known := partFields("route-table-id", id, "vpc-id")
	known["association.main"] = func(*cloud.Tx, VPC) []string { return yes(true) }
	known["association.route-table-id"] = known["route-table-id"]
	known["association.route-table-association-id"] = func(_ *cloud.Tx, v VPC) []string { return one(v.MainAssociation) }
	known["association.subnet-id"] = func(*cloud.Tx, VPC) []string { return nil } // subnets use the main table implicitly
	known["route.gateway-id"] = func(_ *cloud.Tx, v VPC) []string { return []string{"local", v.GatewayID} }
	known["route.destination-cidr-block"] = func(_ *cloud.Tx, v VPC) []string {
		if v.GatewayID == "" {
			return one(v.CIDR)
		}
		return []string{v.CIDR, "0.0.0.0/0"}
	}
	missing := notFound("InvalidRouteTableID", "routeTable", "rtb-")
	found, err := s.partListing(known, id, in.RouteTableIds, missing, in.Filters).parts(s, tx, in.RouteTableIds)
	out := &shape.DescribeRouteTablesOutput{}
	for _, v := range found {
		routes := []shape.Route{{
			DestinationCidrBlock: new(v.CIDR), GatewayId: new("local"), Origin: new("CreateRouteTable"), State: new("active"),
		}}
		if v.GatewayID != "" {
			routes = append(routes, shape.Route{
				DestinationCidrBlock: new("0.0.0.0/0"), GatewayId: new(v.GatewayID), Origin: new("CreateRoute"), State: new("active"),
			})
		}
		out.RouteTables = append(out.RouteTables, shape.RouteTable{
			RouteTableId: new(v.MainRouteTableID), VpcId: new(v.ID), OwnerId: new(tx.Scope.Account), Routes: routes,
			Associations: []shape.RouteTableAssociation{{
				Main: new(true), RouteTableId: new(v.MainRouteTableID), RouteTableAssociationId: new(v.MainAssociation),
				AssociationState: &shape.RouteTableAssociationState{State: new("associated")},
			}},
			Tags: tagShapes(s.Tags(tx, v.MainRouteTableID)),
		})
	}
	return out, err
}

// DescribeInternetGateways lists the internet gateways.
func (s *Service) DescribeInternetGateways(tx *cloud.Tx, in *shape.DescribeInternetGatewaysInput) (*shape.DescribeInternetGatewaysOutput, error) {
	id := func(v VPC) string { return v.GatewayID }
	known := partFields("internet-gateway-id", id, "attachment.vpc-id")
	known["attachment.state"] = func(*cloud.Tx, VPC) []string { return one("available") }
	missing := notFound("InvalidInternetGatewayID", "internetGateway", "igw-")
	found, err := s.partListing(known, id, in.InternetGatewayIds, missing, in.Filters).parts(s, tx, in.InternetGatewayIds)
	out := &shape.DescribeInternetGatewaysOutput{}
	for _, v := range found {
		out.InternetGateways = append(out.InternetGateways, shape.InternetGateway{
			InternetGatewayId: new(v.GatewayID), OwnerId: new(tx.Scope.Account), Tags: tagShapes(s.Tags(tx, v.GatewayID)),
			Attachments: []shape.InternetGatewayAttachment{{State: new("available"), VpcId: new(v.ID)}},
		})
	}
	return out, err
}

// DescribeNetworkAcls lists the default network ACLs, which let everything through.
func (s *Service) DescribeNetworkAcls(tx *cloud.Tx, in *shape.DescribeNetworkAclsInput) (*shape.DescribeNetworkAclsOutput, error) {
	id := func(v VPC) string { return v.NetworkACLID }
	known := partFields("network-acl-id", id, "vpc-id")
	known["default"] = func(*cloud.Tx, VPC) []string { return yes(true) }
	known["association.network-acl-id"] = known["network-acl-id"]
	known["association.subnet-id"] = func(tx *cloud.Tx, v VPC) []string { return s.subnetIDsOf(tx, v) }
	missing := notFound("InvalidNetworkAclID", "networkAcl", "acl-")
	found, err := s.partListing(known, id, in.NetworkAclIds, missing, in.Filters).parts(s, tx, in.NetworkAclIds)
	out := &shape.DescribeNetworkAclsOutput{}
	for _, v := range found {
		acl := shape.NetworkAcl{
			NetworkAclId: new(v.NetworkACLID), VpcId: new(v.ID), OwnerId: new(tx.Scope.Account), IsDefault: new(true),
			Tags: tagShapes(s.Tags(tx, v.NetworkACLID)),
		}
		for _, egress := range []bool{true, false} {
			for _, rule := range []struct {
				number int32
				action string
			}{{100, "allow"}, {32767, "deny"}} {
				acl.Entries = append(acl.Entries, shape.NetworkAclEntry{
					CidrBlock: new("0.0.0.0/0"), Egress: new(egress), Protocol: new(strconv.Itoa(-1)), RuleAction: new(rule.action),
					RuleNumber: new(rule.number),
				})
			}
		}
		for _, n := range s.subnetsOf(tx, v.ID) {
			acl.Associations = append(acl.Associations, shape.NetworkAclAssociation{
				NetworkAclAssociationId: new(n.ACLAssociation), NetworkAclId: new(v.NetworkACLID), SubnetId: new(n.ID),
			})
		}
		out.NetworkAcls = append(out.NetworkAcls, acl)
	}
	return out, err
}

// DescribeDhcpOptions lists the one set of DHCP options that all VPCs of a region have.
func (s *Service) DescribeDhcpOptions(tx *cloud.Tx, in *shape.DescribeDhcpOptionsInput) (*shape.DescribeDhcpOptionsOutput, error) {
	id := func(h Home) string { return h.DhcpOptionsID }
	for _, want := range in.DhcpOptionsIds {
		if want != s.home(tx).DhcpOptionsID {
			return nil, notFound("InvalidDhcpOptionsID", "dhcpOption", "dopt-")([]string{want})
		}
	}
	found, _, err := listing[Home]{rows: s.homes, id: id, filters: in.Filters, fields: fields[Home]{
		"dhcp-options-id": func(_ *cloud.Tx, h Home) []string { return one(h.DhcpOptionsID) },
		"owner-id":        func(tx *cloud.Tx, _ Home) []string { return one(tx.Scope.Account) },
		"key":             func(*cloud.Tx, Home) []string { return []string{"domain-name", "domain-name-servers"} },
		"value":           func(tx *cloud.Tx, _ Home) []string { return []string{domain(tx.Scope.Region), "AmazonProvidedDNS"} },
	}}.find(s, tx)
	out := &shape.DescribeDhcpOptionsOutput{}
	for _, h := range found {
		out.DhcpOptions = append(out.DhcpOptions, shape.DhcpOptions{
			DhcpOptionsId: new(h.DhcpOptionsID), OwnerId: new(tx.Scope.Account), Tags: tagShapes(s.Tags(tx, h.DhcpOptionsID)),
			DhcpConfigurations: []shape.DhcpConfiguration{
				{Key: new("domain-name"), Values: []shape.AttributeValue{{Value: new(domain(tx.Scope.Region))}}},
				{Key: new("domain-name-servers"), Values: []shape.AttributeValue{{Value: new("AmazonProvidedDNS")}}},
			},
		})
	}
	return out, err
}

// domain is the domain of a region's private host names.
func domain(region string) string {
	if region == "us-east-1" {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}
