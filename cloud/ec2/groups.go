package ec2

// SecurityGroup is the row of a security group.
type SecurityGroup struct {
	ID          string
	Name        string
	Description string
	VPCID       string
	Rules       []Rule
}

// Rule is one rule of a security group: one source or destination.
type Rule struct {
	ID               string
	Egress           bool
	Protocol         string // "tcp", "udp", "icmp", "icmpv6", "-1" or a number
	FromPort, ToPort int    // -1 with protocol "-1"; type and code with ICMP
	CIDR             string // exactly one of the next four is set
	CIDRIPv6         string
	PrefixListID     string
	GroupID          string
	Description      string
}
