package logs

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/logs"
	"github.com/billow-cloud/billow/cloud"
)

const maxTags = 50

func invalid(format string, args ...any) error {
	return api.Errorf("InvalidParameterException", format, args...)
}

func noGroup() error {
	return api.Errorf("ResourceNotFoundException", "The specified log group does not exist.")
}

func noStream() error {
	return api.Errorf("ResourceNotFoundException", "The specified log stream does not exist.")
}

// group finds a group by its name, or by an identifier that is its name or ARN.
func (s *Service) group(tx *cloud.Tx, name, identifier *string) (Group, error) {
	if (name == nil) == (identifier == nil) {
		return Group{}, invalid("Exactly one of logGroupName and logGroupIdentifier must be given.")
	}
	id := api.Value(name)
	if name == nil {
		id = fromARN(*identifier)
	}
	g, ok := s.groups.Get(tx, id)
	if !ok {
		return g, noGroup()
	}
	return g, nil
}

// fromARN gives the name in a group's ARN, with or without ":*".
func fromARN(s string) string {
	if _, name, ok := strings.Cut(s, ":log-group:"); ok {
		return strings.TrimSuffix(name, ":*")
	}
	return s
}

func groupARN(tx *cloud.Tx, name string) string { return tx.Scope.ARN(Name, "log-group:"+name) }

// CreateLogGroup makes a group.
func (s *Service) CreateLogGroup(tx *cloud.Tx, in *shape.CreateLogGroupInput) (*shape.CreateLogGroupOutput, error) {
	name := api.Value(in.LogGroupName)
	if s.groups.Has(tx, name) {
		return nil, api.Errorf("ResourceAlreadyExistsException", "The specified log group already exists")
	}
	if len(in.Tags) > maxTags {
		return nil, api.Errorf("TooManyTagsException", "A resource can have no more than %d tags.", maxTags)
	}
	g := s.newGroup(tx, name)
	g.KMSKey, g.Class, g.Protected = api.Value(in.KmsKeyId), api.Or(in.LogGroupClass, g.Class), api.Value(in.DeletionProtectionEnabled)
	g.Tags = tagsOf(in.Tags)
	s.groups.Put(tx, name, g)
	return &shape.CreateLogGroupOutput{}, nil
}

// DeleteLogGroup takes a group away with all its streams and events.
func (s *Service) DeleteLogGroup(tx *cloud.Tx, in *shape.DeleteLogGroupInput) (*shape.DeleteLogGroupOutput, error) {
	g, err := s.group(tx, in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	for key := range s.blocks.Prefix(tx, g.Name+"\x00") {
		s.blocks.Delete(tx, key)
	}
	for key := range s.streams.Prefix(tx, g.Name+"\x00") {
		s.streams.Delete(tx, key)
	}
	s.groups.Delete(tx, g.Name)
	tx.At(Name, kindGroup, g.Name, time.Time{})
	return &shape.DeleteLogGroupOutput{}, nil
}

// periods are the days for which events can be kept.
var periods = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// PutRetentionPolicy says for how long a group's events are kept.
func (s *Service) PutRetentionPolicy(tx *cloud.Tx, in *shape.PutRetentionPolicyInput) (*shape.PutRetentionPolicyOutput, error) {
	g, err := s.group(tx, in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	days := api.Value(in.RetentionInDays)
	if !slices.Contains(periods, days) {
		var set []string
		for _, p := range periods {
			set = append(set, strconv.Itoa(int(p)))
		}
		return nil, invalid("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: [%s]", days, strings.Join(set, ", "))
	}
	g.Retention = days
	s.groups.Put(tx, g.Name, g)
	tx.Touch(Name, kindGroup, g.Name)
	return &shape.PutRetentionPolicyOutput{}, nil
}

// DeleteRetentionPolicy keeps a group's events for ever.
func (s *Service) DeleteRetentionPolicy(tx *cloud.Tx, in *shape.DeleteRetentionPolicyInput) (*shape.DeleteRetentionPolicyOutput, error) {
	g, err := s.group(tx, in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	g.Retention = 0
	s.groups.Put(tx, g.Name, g)
	tx.Touch(Name, kindGroup, g.Name)
	return &shape.DeleteRetentionPolicyOutput{}, nil
}

// DescribeLogGroups lists groups by the beginning or a part of their names.
func (s *Service) DescribeLogGroups(tx *cloud.Tx, in *shape.DescribeLogGroupsInput) (*shape.DescribeLogGroupsOutput, error) {
	prefix, part := api.Value(in.LogGroupNamePrefix), api.Value(in.LogGroupNamePattern)
	if prefix != "" && part != "" {
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	limit := int(api.Or(in.Limit, 50))
	out := &shape.DescribeLogGroupsOutput{LogGroups: []shape.LogGroup{}}
	for name, g := range s.groups.Prefix(tx, prefix) {
		if in.NextToken != nil && name <= *in.NextToken || !strings.Contains(name, part) ||
			in.LogGroupClass != nil && *in.LogGroupClass != g.Class || in.LogGroupIdentifiers != nil && !named(in.LogGroupIdentifiers, name) {
			continue
		}
		if len(out.LogGroups) == limit {
			out.NextToken = out.LogGroups[limit-1].LogGroupName
			break
		}
		out.LogGroups = append(out.LogGroups, groupShape(tx, g))
	}
	return out, nil
}

func named(identifiers []string, name string) bool {
	return slices.ContainsFunc(identifiers, func(id string) bool { return fromARN(id) == name })
}

func groupShape(tx *cloud.Tx, g Group) shape.LogGroup {
	arn := groupARN(tx, g.Name)
	out := shape.LogGroup{LogGroupName: new(g.Name), CreationTime: new(g.Created.UnixMilli()), MetricFilterCount: new(int32(0)),
		Arn: new(arn + ":*"), LogGroupArn: &arn, StoredBytes: new(g.Bytes), LogGroupClass: new(g.Class)}
	if g.Retention > 0 {
		out.RetentionInDays = new(g.Retention)
	}
	if g.KMSKey != "" {
		out.KmsKeyId = new(g.KMSKey)
	}
	if g.Protected {
		out.DeletionProtectionEnabled = new(true)
	}
	return out
}

// tag changes a group's tags.
func (s *Service) tag(tx *cloud.Tx, name string, add map[string]string, remove []string) error {
	g, ok := s.groups.Get(tx, name)
	if !ok {
		return noGroup()
	}
	m := tagMap(g.Tags)
	maps.Copy(m, add)
	for _, key := range remove {
		delete(m, key)
	}
	if len(m) > maxTags {
		return api.Errorf("TooManyTagsException", "A resource can have no more than %d tags.", maxTags)
	}
	g.Tags = tagsOf(m)
	s.groups.Put(tx, name, g)
	return nil
}

// TagResource gives a group tags.
func (s *Service) TagResource(tx *cloud.Tx, in *shape.TagResourceInput) (*shape.TagResourceOutput, error) {
	return &shape.TagResourceOutput{}, s.tag(tx, fromARN(api.Value(in.ResourceArn)), in.Tags, nil)
}

// TagLogGroup is the older TagResource.
func (s *Service) TagLogGroup(tx *cloud.Tx, in *shape.TagLogGroupInput) (*shape.TagLogGroupOutput, error) {
	return &shape.TagLogGroupOutput{}, s.tag(tx, api.Value(in.LogGroupName), in.Tags, nil)
}

// UntagResource takes tags away.
func (s *Service) UntagResource(tx *cloud.Tx, in *shape.UntagResourceInput) (*shape.UntagResourceOutput, error) {
	return &shape.UntagResourceOutput{}, s.tag(tx, fromARN(api.Value(in.ResourceArn)), nil, in.TagKeys)
}

// UntagLogGroup is the older UntagResource.
func (s *Service) UntagLogGroup(tx *cloud.Tx, in *shape.UntagLogGroupInput) (*shape.UntagLogGroupOutput, error) {
	return &shape.UntagLogGroupOutput{}, s.tag(tx, api.Value(in.LogGroupName), nil, in.Tags)
}

// ListTagsForResource lists a group's tags.
func (s *Service) ListTagsForResource(tx *cloud.Tx, in *shape.ListTagsForResourceInput) (*shape.ListTagsForResourceOutput, error) {
	g, err := s.group(tx, nil, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &shape.ListTagsForResourceOutput{Tags: tagMap(g.Tags)}, nil
}

// ListTagsLogGroup is the older ListTagsForResource.
func (s *Service) ListTagsLogGroup(tx *cloud.Tx, in *shape.ListTagsLogGroupInput) (*shape.ListTagsLogGroupOutput, error) {
	g, err := s.group(tx, in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	return &shape.ListTagsLogGroupOutput{Tags: tagMap(g.Tags)}, nil
}

// Named gives the tags of a log group, for decisions on calls.
func (s *Service) Named(tx *cloud.Tx, name string) ([]Tag, bool) {
	g, ok := s.groups.Get(tx, name)
	return g.Tags, ok
}
