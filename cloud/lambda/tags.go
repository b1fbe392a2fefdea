package lambda

import (
	"maps"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
)

func tagsOf(m map[string]string) []Tag {
	var out []Tag
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, Tag{key, m[key]})
	}
	return out
}

func tagMap(tags []Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// tagged finds the function that an ARN names.
func (s *Service) tagged(tx *cloud.Tx, arn *string) (Function, error) {
	if !strings.Contains(api.Value(arn), ":function:") {
		return Function{}, notFound("The resource you requested does not exist.")
	}
	f, q, err := s.function(tx, arn, nil)
	if err == nil && q != "" {
		err = invalid("Tags on function aliases and versions are not supported. Please specify either a function ARN or an event source mapping ARN.")
	}
	return f, err
}

// TagResource gives a function tags.
func (s *Service) TagResource(tx *cloud.Tx, in *shape.TagResourceInput) (*shape.TagResourceOutput, error) {
	f, err := s.tagged(tx, in.Resource)
	if err != nil {
		return nil, err
	}
	m := tagMap(f.Tags)
	maps.Copy(m, in.Tags)
	if len(m) > maxTags {
		return nil, invalid("The number of tags exceeds the maximum of %d", maxTags)
	}
	f.Tags = tagsOf(m)
	s.functions.Put(tx, f.Name, f)
	return &shape.TagResourceOutput{}, nil
}

// UntagResource takes tags away.
func (s *Service) UntagResource(tx *cloud.Tx, in *shape.UntagResourceInput) (*shape.UntagResourceOutput, error) {
	f, err := s.tagged(tx, in.Resource)
	if err != nil {
		return nil, err
	}
	f.Tags = slices.DeleteFunc(slices.Clone(f.Tags), func(t Tag) bool { return slices.Contains(in.TagKeys, t.Key) })
	s.functions.Put(tx, f.Name, f)
	return &shape.UntagResourceOutput{}, nil
}

// ListTags lists a function's tags.
func (s *Service) ListTags(tx *cloud.Tx, in *shape.ListTagsInput) (*shape.ListTagsOutput, error) {
	f, err := s.tagged(tx, in.Resource)
	if err != nil {
		return nil, err
	}
	return &shape.ListTagsOutput{Tags: tagMap(f.Tags)}, nil
}
