package autoscaling

import (
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// tagLimit is how many tags a group may have.
const tagLimit = 50

// setTags adds tags to the group, over those of the same key, and keeps them in order of key.
func (r *roster) setTags(tags []shape.Tag) error {
	list := slices.Clone(r.Tags)
	for _, t := range tags {
		key := *t.Key
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return invalid("Tag keys starting with 'aws:' are reserved for AWS use: %s", key)
		}
		tag := Tag{key, api.Value(t.Value), api.Value(t.PropagateAtLaunch)}
		if i, found := slices.BinarySearchFunc(list, key, byKey); found {
			list[i] = tag
		} else {
			list = slices.Insert(list, i, tag)
		}
	}
	if len(list) > tagLimit {
		return api.Errorf("LimitExceeded", "You may only have %d tags on an Auto Scaling group.", tagLimit)
	}
	r.Tags, r.changed = list, true
	return nil
}

func byKey(t Tag, key string) int { return strings.Compare(t.Key, key) }

// tag is a tag of the group as the API shows it.
func (g Group) tag(t Tag) shape.TagDescription {
	return shape.TagDescription{ResourceId: &g.Name, ResourceType: new("auto-scaling-group"), Key: &t.Key, Value: &t.Value, PropagateAtLaunch: &t.PropagateAtLaunch}
}

// tagged opens the group that a tag of a call belongs to.
func (s *Service) tagged(tx *cloud.Tx, t shape.Tag) (*roster, error) {
	if kind := api.Value(t.ResourceType); kind != "auto-scaling-group" && kind != "" {
		return nil, invalid("Invalid tag resource type: %s", kind)
	}
	if t.ResourceId == nil {
		return nil, invalid("A tag must name the resource it belongs to.")
	}
	return s.known(tx, *t.ResourceId)
}

// CreateOrUpdateTags tags groups. Instances that are there already are not tagged (AS-LC-14).
func (s *Service) CreateOrUpdateTags(tx *cloud.Tx, in *shape.CreateOrUpdateTagsInput) (*shape.CreateOrUpdateTagsOutput, error) {
	for _, t := range in.Tags {
		r, err := s.tagged(tx, t)
		if err == nil {
			err = r.setTags([]shape.Tag{t})
		}
		if err != nil {
			return nil, err
		}
		r.save()
	}
	return &shape.CreateOrUpdateTagsOutput{}, nil
}

// DeleteTags takes tags off groups.
func (s *Service) DeleteTags(tx *cloud.Tx, in *shape.DeleteTagsInput) (*shape.DeleteTagsOutput, error) {
	for _, t := range in.Tags {
		r, err := s.tagged(tx, t)
		if err != nil {
			return nil, err
		}
		r.Tags = slices.DeleteFunc(slices.Clone(r.Tags), func(x Tag) bool { return x.Key == *t.Key })
		r.changed = true
		r.save()
	}
	return &shape.DeleteTagsOutput{}, nil
}

// DescribeTags lists the tags of all groups by group and key.
func (s *Service) DescribeTags(tx *cloud.Tx, in *shape.DescribeTagsInput) (*shape.DescribeTagsOutput, error) {
	for _, f := range in.Filters {
		if !slices.Contains([]string{"auto-scaling-group", "key", "value", "propagate-at-launch"}, api.Value(f.Name)) {
			return nil, invalid("Filter type %s is not correct. Allowed Filter types are: [auto-scaling-group, key, value, propagate-at-launch]", api.Value(f.Name))
		}
	}
	rows, next, err := page(func(yield func(string, shape.TagDescription) bool) {
		for name, g := range s.groups.All(tx) {
			for _, t := range g.Tags {
				if tagMatches(name, t, in.Filters) && !yield(name+"\x00"+t.Key, g.tag(t)) {
					return
				}
			}
		}
	}, in.NextToken, in.MaxRecords, 50, 100)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeTagsOutput{Tags: rows, NextToken: next}, nil
}

func tagMatches(group string, t Tag, filters []shape.Filter) bool {
	for _, f := range filters {
		value := ""
		switch api.Value(f.Name) {
		case "auto-scaling-group":
			value = group
		case "key":
			value = t.Key
		case "value":
			value = t.Value
		case "propagate-at-launch":
			value = map[bool]string{true: "true", false: "false"}[t.PropagateAtLaunch]
		}
		if !slices.Contains(f.Values, value) {
			return false
		}
	}
	return true
}
