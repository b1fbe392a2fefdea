package ec2

import (
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// Tagged is the row of a resource's tags, in order of key.
type Tagged struct{ Tags []Tag }

// tagLimit is how many tags of its own a user may put on a resource.
const tagLimit = 50

// resourceTypes tells a resource's type from the head of its ID.
var resourceTypes = []struct{ prefix, name, code string }{
	{"i-", "instance", "InvalidInstanceID"}, {"ami-", "image", "InvalidAMIID"}, {"sg-", "security-group", "InvalidGroup"},
	{"sgr-", "security-group-rule", "InvalidSecurityGroupRuleId"}, {"subnet-", "subnet", "InvalidSubnetID"},
	{"vpc-", "vpc", "InvalidVpcID"}, {"lt-", "launch-template", "InvalidLaunchTemplateId"}, {"key-", "key-pair", "InvalidKeyPair"},
	{"vol-", "volume", "InvalidVolume"}, {"snap-", "snapshot", "InvalidSnapshot"}, {"eni-", "network-interface", "InvalidNetworkInterfaceID"},
	{"rtb-", "route-table", "InvalidRouteTableID"}, {"acl-", "network-acl", "InvalidNetworkAclID"},
	{"igw-", "internet-gateway", "InvalidInternetGatewayID"}, {"dopt-", "dhcp-options", "InvalidDhcpOptionsID"},
	{"eipalloc-", "elastic-ip", "InvalidAllocationID"},
}

func resourceType(id string) (name, code string) {
	for _, t := range resourceTypes {
		if strings.HasPrefix(id, t.prefix) {
			return t.name, t.code
		}
	}
	return "", "InvalidID"
}

// Tags gives a resource's tags in order of key.
func (s *Service) Tags(tx *cloud.Tx, resourceID string) []Tag {
	row, _ := s.tags.Get(tx, resourceID)
	return row.Tags
}

// Tag puts tags on a resource, over those with the same keys. Unlike CreateTags it takes keys that start with "aws:".
func (s *Service) Tag(tx *cloud.Tx, resourceID string, tags []Tag) {
	if len(tags) > 0 {
		s.tags.Put(tx, resourceID, Tagged{mergedTags(s.Tags(tx, resourceID), tags)})
	}
}

// Untag takes the tags with the given keys from a resource.
func (s *Service) Untag(tx *cloud.Tx, resourceID string, keys ...string) {
	s.untag(tx, resourceID, func(t Tag) bool { return slices.Contains(keys, t.Key) })
}

func (s *Service) untag(tx *cloud.Tx, resourceID string, gone func(Tag) bool) {
	before := s.Tags(tx, resourceID)
	after := slices.DeleteFunc(slices.Clone(before), gone)
	switch {
	case len(after) == len(before):
	case len(after) == 0:
		s.tags.Delete(tx, resourceID)
	default:
		s.tags.Put(tx, resourceID, Tagged{after})
	}
}

// mergedTags puts tags over others and gives them in order of key.
func mergedTags(under, over []Tag) []Tag {
	all := slices.Clone(under)
	for _, t := range over {
		if i, found := slices.BinarySearchFunc(all, t.Key, func(t Tag, key string) int { return strings.Compare(t.Key, key) }); found {
			all[i] = t
		} else {
			all = slices.Insert(all, i, t)
		}
	}
	return all
}

// userTags leaves out the tags that only AWS services can put.
func userTags(tags []Tag) []Tag {
	return slices.DeleteFunc(slices.Clone(tags), func(t Tag) bool { return strings.HasPrefix(t.Key, "aws:") })
}

// tagPart is the value under which resources with a tag are found.
func tagPart(t Tag) string { return t.Key + "\x01" + t.Value }

func tagShapes(tags []Tag) []shape.Tag {
	if len(tags) == 0 {
		return nil
	}
	out := make([]shape.Tag, len(tags))
	for i := range tags { // rows are not written again, so their texts can be pointed to
		out[i] = shape.Tag{Key: &tags[i].Key, Value: &tags[i].Value}
	}
	return out
}

// checkTags takes the tags of a request.
func checkTags(in []shape.Tag) ([]Tag, error) {
	var tags []Tag
	for _, t := range in {
		tag := Tag{api.Value(t.Key), api.Value(t.Value)}
		switch {
		case tag.Key == "":
			return nil, api.Errorf("InvalidParameterValue", "Tag key cannot be null or empty.")
		case strings.HasPrefix(strings.ToLower(tag.Key), "aws:"):
			return nil, api.Errorf("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case len([]rune(tag.Key)) > 128:
			return nil, api.Errorf("InvalidParameterValue", "Tag key exceeds the maximum length of 128 characters")
		case len([]rune(tag.Value)) > 256:
			return nil, api.Errorf("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters")
		}
		for _, other := range tags {
			if other.Key == tag.Key {
				return nil, api.Errorf("InvalidParameterValue", "Duplicate tag key '%s' specified.", tag.Key)
			}
		}
		tags = append(tags, tag)
	}
	if len(tags) > tagLimit {
		return nil, tooManyTags()
	}
	return tags, nil
}

func tooManyTags() error {
	return api.Errorf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
}

// specTags takes the tags that a request's TagSpecifications give to resources of a type; others of the list must be
// among also.
func specTags(specs []shape.TagSpecification, kind string, also ...string) ([]Tag, error) {
	var tags []Tag
	for _, spec := range specs {
		of := api.Value(spec.ResourceType)
		if of == "" {
			return nil, api.Errorf("MissingParameter", "Tag specification must have a resource type")
		}
		if of != kind && !slices.Contains(also, of) {
			return nil, api.Errorf("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", of)
		}
		checked, err := checkTags(spec.Tags)
		if err != nil {
			return nil, err
		}
		if of == kind {
			tags = mergedTags(tags, checked)
		}
	}
	return tags, nil
}

// CreateTags puts tags on resources.
func (s *Service) CreateTags(tx *cloud.Tx, in *shape.CreateTagsInput) (*shape.CreateTagsOutput, error) {
	tags, err := checkTags(in.Tags)
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, api.Errorf("MissingParameter", "The request must contain the parameter Tag")
	}
	for _, id := range in.Resources {
		if err := s.exists(tx, id); err != nil {
			return nil, err
		}
		if len(userTags(mergedTags(s.Tags(tx, id), tags))) > tagLimit {
			return nil, tooManyTags()
		}
		if i, ok := s.instances.Get(tx, id); ok {
			if err := i.Metadata.checkMetadataTags(tags); err != nil {
				return nil, err
			}
		}
		s.Tag(tx, id, tags)
	}
	return &shape.CreateTagsOutput{}, nil
}

// DeleteTags takes tags from resources: those with the key and, if it is given, the value; without any tag, all.
func (s *Service) DeleteTags(tx *cloud.Tx, in *shape.DeleteTagsInput) (*shape.DeleteTagsOutput, error) {
	for _, t := range in.Tags {
		if strings.HasPrefix(strings.ToLower(api.Value(t.Key)), "aws:") {
			return nil, api.Errorf("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		}
	}
	for _, id := range in.Resources {
		if err := s.exists(tx, id); err != nil {
			return nil, err
		}
		s.untag(tx, id, func(t Tag) bool {
			if len(in.Tags) == 0 {
				return !strings.HasPrefix(t.Key, "aws:")
			}
			return slices.ContainsFunc(in.Tags, func(want shape.Tag) bool {
				return api.Value(want.Key) == t.Key && (want.Value == nil || *want.Value == t.Value)
			})
		})
	}
	return &shape.DeleteTagsOutput{}, nil
}

// exists refuses IDs of resources that are not there.
func (s *Service) exists(tx *cloud.Tx, id string) error {
	kind, code := resourceType(id)
	found := false
	switch kind {
	case "":
		return api.Errorf("InvalidID", "The ID '%s' is not valid", id)
	case "instance":
		found = s.instances.Has(tx, id)
	case "image":
		image, own := s.images.Get(tx, id)
		found = own && image.State != imageDeregistered
	case "security-group":
		found = s.groups.Has(tx, id)
	case "security-group-rule":
		for range s.ruleGroups.Each(tx, id) {
			found = true
		}
	case "elastic-ip":
		found = s.elastic.Has(tx, id)
	case "subnet":
		found = s.subnets.Has(tx, id)
	case "vpc":
		found = s.vpcs.Has(tx, id)
	case "launch-template":
		found = s.templates.Has(tx, id)
	case "key-pair":
		_, found = s.keyPair(tx, id)
	case "volume":
		_, _, err := s.volume(tx, id)
		found = err == nil
	case "network-interface":
		for range s.parts.Each(tx, id) {
			found = true
		}
	case "snapshot":
		_, found = s.ownSnapshot(tx, id)
	default: // parts of a VPC
		for range s.vpcParts.Each(tx, id) {
			found = true
		}
	}
	if !found {
		return notFound(code, strings.ReplaceAll(kind, "-", " "), id[:strings.IndexByte(id, '-')+1])([]string{id})
	}
	return nil
}

// DescribeTags lists tags, by the key, value and resource that carries them.
func (s *Service) DescribeTags(tx *cloud.Tx, in *shape.DescribeTagsInput) (*shape.DescribeTagsOutput, error) {
	type entry struct {
		id string
		Tag
	}
	known := fields[entry]{
		"key":         func(_ *cloud.Tx, e entry) []string { return one(e.Key) },
		"value":       func(_ *cloud.Tx, e entry) []string { return one(e.Value) },
		"resource-id": func(_ *cloud.Tx, e entry) []string { return one(e.id) },
		"resource-type": func(_ *cloud.Tx, e entry) []string {
			kind, _ := resourceType(e.id)
			return one(kind)
		},
	}
	match, err := matcher(s, known, func(e entry) string { return e.id }, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeTagsOutput{}
	after, from, _ := strings.Cut(api.Value(in.NextToken), " ") // the token: a resource and the key it was at
	rows := s.tags.After(tx, "")
	if after != "" {
		rows = s.tags.After(tx, after[:len(after)-1])
	}
	for id, row := range rows {
		for _, t := range row.Tags {
			e := entry{id, t}
			if id < after || id == after && t.Key < from || !match(tx, e) {
				continue
			}
			if in.MaxResults != nil && len(out.Tags) == int(*in.MaxResults) {
				out.NextToken = new(id + " " + t.Key)
				return out, nil
			}
			kind, _ := resourceType(id)
			out.Tags = append(out.Tags, shape.TagDescription{Key: new(t.Key), Value: new(t.Value), ResourceId: new(id), ResourceType: new(kind)})
		}
	}
	return out, nil
}
