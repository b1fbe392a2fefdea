package ec2

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

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

// ruleLimit is EC2's quota of rules per group and direction.
const ruleLimit = 60

// allTraffic is the rule that lets everything out.
func allTraffic(tx *cloud.Tx) Rule {
	return Rule{ID: tx.ID("sgr-"), Egress: true, Protocol: "-1", FromPort: -1, ToPort: -1, CIDR: "0.0.0.0/0"}
}

// same tells whether two rules let the same through.
func (r Rule) same(o Rule) bool {
	o.ID, o.Description = r.ID, r.Description
	return r == o
}

func (r Rule) String() string {
	peer := r.CIDR + r.CIDRIPv6 + r.PrefixListID + r.GroupID
	switch r.Protocol {
	case "-1":
		return fmt.Sprintf("peer: %s, ALL, ALLOW", peer)
	case "icmp", "icmpv6":
		return fmt.Sprintf("peer: %s, %s, type: %d, code: %d, ALLOW", peer, strings.ToUpper(r.Protocol), r.FromPort, r.ToPort)
	}
	return fmt.Sprintf("peer: %s, %s, from port: %d, to port: %d, ALLOW", peer, strings.ToUpper(r.Protocol), r.FromPort, r.ToPort)
}

// ruleRequest is what the four operations on rules have in common.
type ruleRequest struct {
	egress        bool
	groupID, name *string
	permissions   []shape.IpPermission
	ids           []string // of rules, to revoke
	single        shape.IpPermission
	cidr, source  *string // of single
}

// rules gives the rules that a request names, without IDs.
func (s *Service) rules(tx *cloud.Tx, g SecurityGroup, q ruleRequest) ([]Rule, error) {
	all := slices.Clone(q.permissions)
	if q.single.IpProtocol != nil || q.cidr != nil || q.source != nil {
		p := q.single
		if q.source != nil { // the old form: everything from another group
			p.UserIdGroupPairs = []shape.UserIdGroupPair{{GroupName: q.source}}
			if p.IpProtocol == nil {
				p.IpProtocol = new("-1")
			}
		} else {
			p.IpRanges = []shape.IpRange{{CidrIp: q.cidr}}
		}
		all = append(all, p)
	}
	if len(all) == 0 && len(q.ids) == 0 {
		return nil, api.Errorf("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")
	}
	var rules []Rule
	for _, p := range all {
		more, err := s.rulesOf(tx, g, q.egress, p)
		if err != nil {
			return nil, err
		}
		rules = append(rules, more...)
	}
	return rules, nil
}

func (s *Service) rulesOf(tx *cloud.Tx, g SecurityGroup, egress bool, p shape.IpPermission) ([]Rule, error) {
	head, err := portRange(p)
	if err != nil {
		return nil, err
	}
	head.Egress = egress
	var rules []Rule
	add := func(description *string, set func(*Rule)) {
		r := head
		r.Description = api.Value(description)
		set(&r)
		rules = append(rules, r)
	}
	for _, r := range p.IpRanges {
		block, err := netip.ParsePrefix(api.Value(r.CidrIp))
		if err != nil || !block.Addr().Is4() {
			return nil, api.Errorf("InvalidParameterValue", "CIDR block %s is malformed", api.Value(r.CidrIp))
		}
		add(r.Description, func(x *Rule) { x.CIDR = block.Masked().String() })
	}
	for _, r := range p.Ipv6Ranges {
		block, err := netip.ParsePrefix(api.Value(r.CidrIpv6))
		if err != nil || !block.Addr().Is6() {
			return nil, api.Errorf("InvalidParameterValue", "CIDR block %s is malformed", api.Value(r.CidrIpv6))
		}
		add(r.Description, func(x *Rule) { x.CIDRIPv6 = block.Masked().String() })
	}
	for _, l := range p.PrefixListIds {
		add(l.Description, func(x *Rule) { x.PrefixListID = api.Value(l.PrefixListId) })
	}
	for _, pair := range p.UserIdGroupPairs {
		other, ok := SecurityGroup{}, false
		if pair.GroupId != nil {
			other, ok = s.groups.Get(tx, *pair.GroupId)
		} else {
			other, ok = s.groupNamed(tx, g.VPCID, api.Value(pair.GroupName))
		}
		if !ok {
			return nil, api.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", api.Value(pair.GroupId)+api.Value(pair.GroupName))
		}
		add(pair.Description, func(x *Rule) { x.GroupID = other.ID })
	}
	if len(rules) == 0 {
		return nil, api.Errorf("MissingParameter", "The request must contain the parameter CidrIp, Ipv6Ranges, PrefixListIds or UserIdGroupPairs")
	}
	return rules, nil
}

// portRange reads protocol and ports of a permission.
func portRange(p shape.IpPermission) (Rule, error) {
	protocol := strings.ToLower(api.Value(p.IpProtocol))
	switch protocol {
	case "":
		return Rule{}, api.Errorf("MissingParameter", "The request must contain the parameter IpProtocol")
	case "all":
		protocol = "-1"
	case "6":
		protocol = "tcp"
	case "17":
		protocol = "udp"
	case "1":
		protocol = "icmp"
	case "58":
		protocol = "icmpv6"
	}
	r := Rule{Protocol: protocol, FromPort: -1, ToPort: -1}
	switch protocol {
	case "-1":
		return r, nil
	case "tcp", "udp":
		if p.FromPort == nil || p.ToPort == nil {
			return r, api.Errorf("MissingParameter", "Invalid %s ports: from port and to port are required", strings.ToUpper(protocol))
		}
		r.FromPort, r.ToPort = int(*p.FromPort), int(*p.ToPort)
		if r.FromPort == -1 && r.ToPort == -1 {
			r.FromPort, r.ToPort = 0, 65535
		}
		if r.FromPort < 0 || r.ToPort > 65535 || r.FromPort > r.ToPort {
			return r, api.Errorf("InvalidParameterValue", "Invalid value '%d-%d' for %s port range: it must be within 0-65535 and in order.", r.FromPort, r.ToPort, strings.ToUpper(protocol))
		}
	case "icmp", "icmpv6":
		if p.FromPort != nil {
			r.FromPort = int(*p.FromPort)
		}
		if p.ToPort != nil {
			r.ToPort = int(*p.ToPort)
		}
	default:
		if n, err := strconv.Atoi(protocol); err != nil || n < 0 || n > 255 {
			return r, api.Errorf("InvalidPermission.Malformed", "Invalid IP protocol '%s'", protocol)
		}
	}
	return r, nil
}

func (s *Service) authorize(tx *cloud.Tx, q ruleRequest, specs []shape.TagSpecification) ([]shape.SecurityGroupRule, error) {
	tags, err := specTags(specs, "security-group-rule")
	if err != nil {
		return nil, err
	}
	g, err := s.groupGiven(tx, q.groupID, q.name)
	if err != nil {
		return nil, err
	}
	rules, err := s.rules(tx, g, q)
	if err != nil {
		return nil, err
	}
	var out []shape.SecurityGroupRule
	after := slices.Clone(g.Rules)
	for _, r := range rules {
		if slices.ContainsFunc(after, r.same) {
			return nil, api.Errorf("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", r)
		}
		r.ID = tx.ID("sgr-")
		after = append(after, r)
		s.Tag(tx, r.ID, tags)
		out = append(out, s.ruleShape(tx, g, r))
	}
	n := 0
	for _, r := range after {
		if r.Egress == q.egress {
			n++
		}
	}
	if n > ruleLimit {
		return nil, api.Errorf("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
	}
	g.Rules = after
	s.groups.Put(tx, g.ID, g)
	return out, nil
}

// AuthorizeSecurityGroupIngress adds rules for what comes in.
func (s *Service) AuthorizeSecurityGroupIngress(tx *cloud.Tx, in *shape.AuthorizeSecurityGroupIngressInput) (*shape.AuthorizeSecurityGroupIngressOutput, error) {
	rules, err := s.authorize(tx, ruleRequest{
		groupID: in.GroupId, name: in.GroupName, permissions: in.IpPermissions, cidr: in.CidrIp, source: in.SourceSecurityGroupName,
		single: shape.IpPermission{IpProtocol: in.IpProtocol, FromPort: in.FromPort, ToPort: in.ToPort},
	}, in.TagSpecifications)
	return &shape.AuthorizeSecurityGroupIngressOutput{Return: new(true), SecurityGroupRules: rules}, err
}

// AuthorizeSecurityGroupEgress adds rules for what goes out.
func (s *Service) AuthorizeSecurityGroupEgress(tx *cloud.Tx, in *shape.AuthorizeSecurityGroupEgressInput) (*shape.AuthorizeSecurityGroupEgressOutput, error) {
	rules, err := s.authorize(tx, ruleRequest{
		egress: true, groupID: in.GroupId, permissions: in.IpPermissions, cidr: in.CidrIp, source: in.SourceSecurityGroupName,
		single: shape.IpPermission{IpProtocol: in.IpProtocol, FromPort: in.FromPort, ToPort: in.ToPort},
	}, in.TagSpecifications)
	return &shape.AuthorizeSecurityGroupEgressOutput{Return: new(true), SecurityGroupRules: rules}, err
}

func (s *Service) revoke(tx *cloud.Tx, q ruleRequest) ([]shape.RevokedSecurityGroupRule, error) {
	g, err := s.groupGiven(tx, q.groupID, q.name)
	if err != nil {
		return nil, err
	}
	rules, err := s.rules(tx, g, q)
	if err != nil {
		return nil, err
	}
	after := slices.Clone(g.Rules)
	var out []shape.RevokedSecurityGroupRule
	take := func(fits func(Rule) bool) bool {
		at := slices.IndexFunc(after, func(r Rule) bool { return r.Egress == q.egress && fits(r) })
		if at < 0 {
			return false
		}
		out = append(out, revoked(g, after[at]))
		s.tags.Delete(tx, after[at].ID)
		after = slices.Delete(after, at, at+1)
		return true
	}
	for _, r := range rules {
		if !take(r.same) {
			return nil, api.Errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
	}
	for _, id := range q.ids {
		if !take(func(r Rule) bool { return r.ID == id }) {
			return nil, api.Errorf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
		}
	}
	g.Rules = after
	s.groups.Put(tx, g.ID, g)
	return out, nil
}

func revoked(g SecurityGroup, r Rule) shape.RevokedSecurityGroupRule {
	return shape.RevokedSecurityGroupRule{
		SecurityGroupRuleId: new(r.ID), GroupId: new(g.ID), IsEgress: new(r.Egress), IpProtocol: new(r.Protocol), FromPort: new(int32(r.FromPort)),
		ToPort: new(int32(r.ToPort)), CidrIpv4: optional(r.CIDR), CidrIpv6: optional(r.CIDRIPv6), PrefixListId: optional(r.PrefixListID),
		ReferencedGroupId: optional(r.GroupID), Description: optional(r.Description),
	}
}

// RevokeSecurityGroupIngress removes rules for what comes in.
func (s *Service) RevokeSecurityGroupIngress(tx *cloud.Tx, in *shape.RevokeSecurityGroupIngressInput) (*shape.RevokeSecurityGroupIngressOutput, error) {
	rules, err := s.revoke(tx, ruleRequest{
		groupID: in.GroupId, name: in.GroupName, permissions: in.IpPermissions, ids: in.SecurityGroupRuleIds, cidr: in.CidrIp,
		source: in.SourceSecurityGroupName,
		single: shape.IpPermission{IpProtocol: in.IpProtocol, FromPort: in.FromPort, ToPort: in.ToPort},
	})
	return &shape.RevokeSecurityGroupIngressOutput{Return: new(true), RevokedSecurityGroupRules: rules}, err
}

// RevokeSecurityGroupEgress removes rules for what goes out.
func (s *Service) RevokeSecurityGroupEgress(tx *cloud.Tx, in *shape.RevokeSecurityGroupEgressInput) (*shape.RevokeSecurityGroupEgressOutput, error) {
	rules, err := s.revoke(tx, ruleRequest{
		egress: true, groupID: in.GroupId, permissions: in.IpPermissions, ids: in.SecurityGroupRuleIds, cidr: in.CidrIp,
		source: in.SourceSecurityGroupName,
		single: shape.IpPermission{IpProtocol: in.IpProtocol, FromPort: in.FromPort, ToPort: in.ToPort},
	})
	return &shape.RevokeSecurityGroupEgressOutput{Return: new(true), RevokedSecurityGroupRules: rules}, err
}

func (s *Service) ruleShape(tx *cloud.Tx, g SecurityGroup, r Rule) shape.SecurityGroupRule {
	out := shape.SecurityGroupRule{
		SecurityGroupRuleId: new(r.ID), SecurityGroupRuleArn: new(tx.Scope.ARN(Name, "security-group-rule/"+r.ID)), GroupId: new(g.ID),
		GroupOwnerId: new(tx.Scope.Account), IsEgress: new(r.Egress), IpProtocol: new(r.Protocol), FromPort: new(int32(r.FromPort)),
		ToPort: new(int32(r.ToPort)), CidrIpv4: optional(r.CIDR), CidrIpv6: optional(r.CIDRIPv6), PrefixListId: optional(r.PrefixListID),
		Description: optional(r.Description), Tags: tagShapes(s.Tags(tx, r.ID)),
	}
	if r.GroupID != "" {
		out.ReferencedGroupInfo = &shape.ReferencedSecurityGroup{GroupId: new(r.GroupID), UserId: new(tx.Scope.Account), VpcId: new(g.VPCID)}
	}
	return out
}

// DescribeSecurityGroupRules lists rules of all groups.
func (s *Service) DescribeSecurityGroupRules(tx *cloud.Tx, in *shape.DescribeSecurityGroupRulesInput) (*shape.DescribeSecurityGroupRulesOutput, error) {
	type rule struct {
		group SecurityGroup
		Rule
	}
	match, err := matcher(s, fields[rule]{
		"group-id":               func(_ *cloud.Tx, r rule) []string { return one(r.group.ID) },
		"security-group-rule-id": func(_ *cloud.Tx, r rule) []string { return one(r.ID) },
	}, func(r rule) string { return r.ID }, in.Filters)
	if err != nil {
		return nil, err
	}
	for _, id := range in.SecurityGroupRuleIds {
		if s.ruleGroups.Count(tx, id) == 0 {
			return nil, api.Errorf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
		}
	}
	var found []rule
	for _, g := range s.groups.All(tx) {
		for _, r := range g.Rules {
			x := rule{g, r}
			if (len(in.SecurityGroupRuleIds) == 0 || slices.Contains(in.SecurityGroupRuleIds, r.ID)) && match(tx, x) {
				found = append(found, x)
			}
		}
	}
	slices.SortFunc(found, func(a, b rule) int { return strings.Compare(a.ID, b.ID) })
	found, next := pageOf(found, func(r rule) string { return r.ID }, in.MaxResults, in.NextToken)
	out := &shape.DescribeSecurityGroupRulesOutput{NextToken: next}
	for _, r := range found {
		out.SecurityGroupRules = append(out.SecurityGroupRules, s.ruleShape(tx, r.group, r.Rule))
	}
	return out, nil
}
