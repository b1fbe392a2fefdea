package ec2

import (
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// SecurityGroup is the row of a security group.
type SecurityGroup struct {
	ID          string
	Name        string
	Description string
	VPCID       string
	Rules       []Rule
}

var noGroup = func(ids []string) error {
	if !wellFormed("sg-", ids[0]) {
		return api.Errorf("InvalidGroupId.Malformed", "Invalid id: \"%s\" (expecting \"sg-...\")", ids[0])
	}
	return api.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", ids[0])
}

// SecurityGroup gives a security group of the scope.
func (s *Service) SecurityGroup(tx *cloud.Tx, id string) (SecurityGroup, bool) {
	s.home(tx)
	return s.groups.Get(tx, id)
}

// groupNamed finds a security group of a VPC by its name.
func (s *Service) groupNamed(tx *cloud.Tx, vpc, name string) (SecurityGroup, bool) {
	for _, g := range s.groupNames.Each(tx, vpc+"/"+name) {
		return g, true
	}
	return SecurityGroup{}, false
}

// groupGiven finds the group that a request names by ID or, in the default VPC, by name.
func (s *Service) groupGiven(tx *cloud.Tx, id, name *string) (SecurityGroup, error) {
	switch {
	case id != nil:
		if g, ok := s.groups.Get(tx, *id); ok {
			return g, nil
		}
		return SecurityGroup{}, noGroup([]string{*id})
	case name != nil:
		v, _ := s.DefaultVPC(tx)
		if g, ok := s.groupNamed(tx, v.ID, *name); ok {
			return g, nil
		}
		return SecurityGroup{}, api.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", *name, v.ID)
	}
	return SecurityGroup{}, api.Errorf("MissingParameter", "The request must contain the parameter GroupName or GroupId")
}

func notASCII(r rune) bool { return r > 0x7e || r < 0x20 }

// CreateSecurityGroup makes a security group that lets everything out and nothing in.
func (s *Service) CreateSecurityGroup(tx *cloud.Tx, in *shape.CreateSecurityGroupInput) (*shape.CreateSecurityGroupOutput, error) {
	tags, err := specTags(in.TagSpecifications, "security-group")
	if err != nil {
		return nil, err
	}
	name, description := api.Value(in.GroupName), api.Value(in.Description)
	v, ok := s.DefaultVPC(tx)
	if in.VpcId != nil {
		v, ok = s.vpcs.Get(tx, *in.VpcId)
		if !ok {
			return nil, noVPC([]string{*in.VpcId})
		}
	}
	switch {
	case !ok:
		return nil, api.Errorf("VPCIdNotSpecified", "No default VPC for this user")
	case name == "":
		return nil, api.Errorf("MissingParameter", "The request must contain the parameter GroupName")
	case description == "":
		return nil, api.Errorf("MissingParameter", "The request must contain the parameter GroupDescription")
	case strings.ContainsFunc(description, notASCII):
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported.", description)
	case strings.ContainsFunc(name, notASCII):
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. Character sets beyond ASCII are not supported.", name)
	case len(description) > 255:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupDescription is invalid. Group descriptions may not be longer than 255 characters", description)
	case name == "default":
		return nil, api.Errorf("InvalidParameterValue", "Cannot use reserved security group name: default")
	case len(name) > 255 || len(name) > 2 && name[:3] == "sg-":
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. Group names may not be in the format sg-*, nor be longer than 255 characters", name)
	}
	if _, there := s.groupNamed(tx, v.ID, name); there {
		return nil, api.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, v.ID)
	}
	g := SecurityGroup{ID: tx.ID("sg-"), Name: name, Description: description, VPCID: v.ID, Rules: []Rule{allTraffic(tx)}}
	s.groups.Put(tx, g.ID, g)
	s.Tag(tx, g.ID, tags)
	return &shape.CreateSecurityGroupOutput{GroupId: new(g.ID), SecurityGroupArn: new(groupARN(tx, g.ID)), Tags: tagShapes(tags)}, nil
}

func groupARN(tx *cloud.Tx, id string) string { return tx.Scope.ARN(Name, "security-group/"+id) }

// DeleteSecurityGroup removes a group that no instance and no other group's rule uses.
func (s *Service) DeleteSecurityGroup(tx *cloud.Tx, in *shape.DeleteSecurityGroupInput) (*shape.DeleteSecurityGroupOutput, error) {
	g, err := s.groupGiven(tx, in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	if g.Name == "default" {
		return nil, api.Errorf("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", g.ID)
	}
	busy := false
	for _, i := range s.instances.All(tx) {
		busy = busy || i.State != Terminated && slices.Contains(i.SecurityGroupIDs, g.ID)
	}
	for _, other := range s.groups.All(tx) {
		busy = busy || other.ID != g.ID && slices.ContainsFunc(other.Rules, func(r Rule) bool { return r.GroupID == g.ID })
	}
	if busy {
		return nil, api.Errorf("DependencyViolation", "resource %s has a dependent object", g.ID)
	}
	s.groups.Delete(tx, g.ID)
	s.tags.Delete(tx, g.ID)
	for _, r := range g.Rules {
		s.tags.Delete(tx, r.ID)
	}
	return &shape.DeleteSecurityGroupOutput{GroupId: new(g.ID), Return: new(true)}, nil
}

var groupFields = ruleFilters(fields[SecurityGroup]{
	"group-id":    func(_ *cloud.Tx, g SecurityGroup) []string { return one(g.ID) },
	"group-name":  func(_ *cloud.Tx, g SecurityGroup) []string { return one(g.Name) },
	"description": func(_ *cloud.Tx, g SecurityGroup) []string { return one(g.Description) },
	"vpc-id":      func(_ *cloud.Tx, g SecurityGroup) []string { return one(g.VPCID) },
	"owner-id":    func(tx *cloud.Tx, _ SecurityGroup) []string { return one(tx.Scope.Account) },
})

// ruleFilters adds the filters that look at a group's rules, for both directions.
func ruleFilters(known fields[SecurityGroup]) fields[SecurityGroup] {
	for _, f := range []struct {
		name string
		of   func(Rule) string
	}{
		{"cidr", func(r Rule) string { return r.CIDR }},
		{"ipv6-cidr", func(r Rule) string { return r.CIDRIPv6 }},
		{"from-port", func(r Rule) string { return strconv.Itoa(r.FromPort) }},
		{"to-port", func(r Rule) string { return strconv.Itoa(r.ToPort) }},
		{"protocol", func(r Rule) string { return r.Protocol }},
		{"group-id", func(r Rule) string { return r.GroupID }},
		{"prefix-list-id", func(r Rule) string { return r.PrefixListID }},
	} {
		for _, side := range []struct {
			head   string
			egress bool
		}{{"ip-permission.", false}, {"egress.ip-permission.", true}} {
			known[side.head+f.name] = func(_ *cloud.Tx, g SecurityGroup) []string {
				var values []string
				for _, r := range g.Rules {
					if v := f.of(r); r.Egress == side.egress && v != "" {
						values = append(values, v)
					}
				}
				return values
			}
		}
	}
	return known
}

// DescribeSecurityGroups lists security groups.
func (s *Service) DescribeSecurityGroups(tx *cloud.Tx, in *shape.DescribeSecurityGroupsInput) (*shape.DescribeSecurityGroupsOutput, error) {
	ids := slices.Clone(in.GroupIds)
	for _, name := range in.GroupNames {
		g, err := s.groupGiven(tx, nil, &name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, g.ID)
	}
	found, next, err := listing[SecurityGroup]{
		rows: s.groups, fields: groupFields, id: func(g SecurityGroup) string { return g.ID }, ids: ids, missing: noGroup,
		filters: in.Filters, max: in.MaxResults, token: in.NextToken,
	}.find(s, tx)
	out := &shape.DescribeSecurityGroupsOutput{NextToken: next}
	for _, g := range found {
		out.SecurityGroups = append(out.SecurityGroups, shape.SecurityGroup{
			GroupId: new(g.ID), GroupName: new(g.Name), Description: new(g.Description), VpcId: new(g.VPCID), OwnerId: new(tx.Scope.Account),
			SecurityGroupArn: new(groupARN(tx, g.ID)), Tags: tagShapes(s.Tags(tx, g.ID)),
			IpPermissions: permissions(tx, g, false), IpPermissionsEgress: permissions(tx, g, true),
		})
	}
	return out, err
}

// permissions gives the rules of one direction as AWS groups them: those of the same protocol and ports together.
func permissions(tx *cloud.Tx, g SecurityGroup, egress bool) []shape.IpPermission {
	var out []shape.IpPermission
	for _, r := range g.Rules {
		if r.Egress != egress {
			continue
		}
		at := slices.IndexFunc(out, func(p shape.IpPermission) bool {
			return *p.IpProtocol == r.Protocol && (r.Protocol == "-1" || int(*p.FromPort) == r.FromPort && int(*p.ToPort) == r.ToPort)
		})
		if at < 0 {
			at = len(out)
			p := shape.IpPermission{IpProtocol: new(r.Protocol)}
			if r.Protocol != "-1" {
				p.FromPort, p.ToPort = new(int32(r.FromPort)), new(int32(r.ToPort))
			}
			out = append(out, p)
		}
		p := &out[at]
		switch {
		case r.CIDR != "":
			p.IpRanges = append(p.IpRanges, shape.IpRange{CidrIp: new(r.CIDR), Description: optional(r.Description)})
		case r.CIDRIPv6 != "":
			p.Ipv6Ranges = append(p.Ipv6Ranges, shape.Ipv6Range{CidrIpv6: new(r.CIDRIPv6), Description: optional(r.Description)})
		case r.PrefixListID != "":
			p.PrefixListIds = append(p.PrefixListIds, shape.PrefixListId{PrefixListId: new(r.PrefixListID), Description: optional(r.Description)})
		default:
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, shape.UserIdGroupPair{
				GroupId: new(r.GroupID), UserId: new(tx.Scope.Account), Description: optional(r.Description),
			})
		}
	}
	return out
}
