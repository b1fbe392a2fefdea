package ec2

import "time"

// VPC is the row of a virtual private cloud.
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
	Created          time.Time
}

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
