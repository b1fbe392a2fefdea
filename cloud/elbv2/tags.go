package elbv2

import (
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
)

// Tag is a key and a value on a load balancer, target group or listener.
type Tag struct{ Key, Value string }

// maxTags is the quota of tags per resource.
const maxTags = 50

// withTags returns the tags with more of them, checked.
func withTags(tags []Tag, more []shape.Tag) ([]Tag, error) {
	tags = slices.Clone(tags)
	for i, m := range more {
		key := api.Value(m.Key)
		if slices.ContainsFunc(more[:i], func(o shape.Tag) bool { return api.Value(o.Key) == key }) {
			return nil, api.Errorf("DuplicateTagKeys", "Tag keys must be unique; '%s' was given twice", key)
		}
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, invalid("Tag keys cannot begin with 'aws:'")
		}
		tags = slices.DeleteFunc(tags, func(t Tag) bool { return t.Key == key })
		tags = append(tags, Tag{key, api.Value(m.Value)})
	}
	if len(tags) > maxTags {
		return nil, api.Errorf("TooManyTags", "A resource can have at most %d tags", maxTags)
	}
	return tags, nil
}

// tagged finds the tags of what has an ARN, and how to give it others.
func (s *Service) tagged(tx *cloud.Tx, arn string) (tags []Tag, put func([]Tag), err error) {
	switch kind, _, _ := strings.Cut(resource(arn), "/"); kind {
	case "loadbalancer":
		r, err := s.loadBalancer(tx, arn)
		return r.Tags, func(t []Tag) { r.Tags = t; s.loadBalancers.Put(tx, arn, r) }, err
	case "targetgroup":
		r, err := s.targetGroup(tx, arn)
		return r.Tags, func(t []Tag) { r.Tags = t; s.targetGroups.Put(tx, arn, r) }, err
	case "listener":
		r, err := s.listener(tx, arn)
		return r.Tags, func(t []Tag) { r.Tags = t; s.listeners.Put(tx, arn, r) }, err
	}
	return nil, nil, invalid("'%s' is not a valid ARN of a load balancer, target group or listener", arn)
}

// AddTags adds tags or gives them other values.
func (s *Service) AddTags(tx *cloud.Tx, in *shape.AddTagsInput) (*shape.AddTagsOutput, error) {
	for _, arn := range in.ResourceArns {
		tags, put, err := s.tagged(tx, arn)
		if err != nil {
			return nil, err
		}
		if tags, err = withTags(tags, in.Tags); err != nil {
			return nil, err
		}
		put(tags)
	}
	return &shape.AddTagsOutput{}, nil
}

// RemoveTags removes tags; those that are not there are no error.
func (s *Service) RemoveTags(tx *cloud.Tx, in *shape.RemoveTagsInput) (*shape.RemoveTagsOutput, error) {
	for _, arn := range in.ResourceArns {
		tags, put, err := s.tagged(tx, arn)
		if err != nil {
			return nil, err
		}
		put(slices.DeleteFunc(slices.Clone(tags), func(t Tag) bool { return slices.Contains(in.TagKeys, t.Key) }))
	}
	return &shape.RemoveTagsOutput{}, nil
}

// DescribeTags lists tags.
func (s *Service) DescribeTags(tx *cloud.Tx, in *shape.DescribeTagsInput) (*shape.DescribeTagsOutput, error) {
	out := &shape.DescribeTagsOutput{TagDescriptions: []shape.TagDescription{}}
	for _, arn := range in.ResourceArns {
		tags, _, err := s.tagged(tx, arn)
		if err != nil {
			return nil, err
		}
		d := shape.TagDescription{ResourceArn: new(arn), Tags: []shape.Tag{}}
		for _, t := range tags {
			d.Tags = append(d.Tags, shape.Tag{Key: new(t.Key), Value: new(t.Value)})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}

// Named gives the tags of what has an ARN, for decisions on calls; a rule has those of no one.
func (s *Service) Named(tx *cloud.Tx, arn string) ([]Tag, bool) {
	tags, _, err := s.tagged(tx, arn)
	return tags, err == nil
}
