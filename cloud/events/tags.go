package events

import (
	"slices"
	"strings"

	shape "github.com/billow-cloud/billow/api/events"
	"github.com/billow-cloud/billow/cloud"
)

// TagValue is a tag of a rule or a bus; they are kept in the order in which they came.
type TagValue struct{ Key, Value string }

// maxTags is how many tags a rule or a bus may have.
const maxTags = 50

// tagged gives tags with others set.
func tagged(tags []TagValue, more []shape.Tag) ([]TagValue, error) {
	tags = slices.Clone(tags)
	for _, t := range more {
		if strings.HasPrefix(strings.ToLower(*t.Key), "aws:") {
			return nil, invalid("aws: prefixed tag key names are not allowed for external use.")
		}
		i := slices.IndexFunc(tags, func(x TagValue) bool { return x.Key == *t.Key })
		if i < 0 {
			tags = append(tags, TagValue{*t.Key, *t.Value})
		} else {
			tags[i].Value = *t.Value
		}
	}
	if len(tags) > maxTags {
		return nil, invalid("A resource may have %d tags at most.", maxTags)
	}
	return tags, nil
}

// retag replaces the tags of a rule or a bus.
func (s *Service) retag(tx *cloud.Tx, arn string, change func([]TagValue) ([]TagValue, error)) error {
	scope, resource, ok := parseARN(arn, Name)
	kind, name, _ := strings.Cut(resource, "/")
	if !ok || scope != tx.Scope {
		return notFound("%s does not exist.", arn)
	}
	switch kind {
	case "event-bus":
		b, err := s.bus(tx, &name)
		if err != nil {
			return err
		}
		tags, err := change(b.Tags)
		if err == nil && !slices.Equal(tags, b.Tags) {
			b.Tags = tags
			s.putBus(tx, b)
		}
		return err
	case "rule":
		bus := defaultBus
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			bus, name = name[:i], name[i+1:]
		}
		r, err := s.rule(tx, bus, name)
		if err != nil {
			return err
		}
		tags, err := change(r.Tags)
		if err == nil && !slices.Equal(tags, r.Tags) {
			r.Tags = tags
			s.rules.Put(tx, r.key(), r)
		}
		return err
	}
	return notFound("%s does not exist.", arn)
}

// TagResource sets tags of a rule or a bus.
func (s *Service) TagResource(tx *cloud.Tx, in *shape.TagResourceInput) (*shape.TagResourceOutput, error) {
	err := s.retag(tx, *in.ResourceARN, func(tags []TagValue) ([]TagValue, error) { return tagged(tags, in.Tags) })
	return &shape.TagResourceOutput{}, err
}

// UntagResource takes tags away; those that are not there are no error.
func (s *Service) UntagResource(tx *cloud.Tx, in *shape.UntagResourceInput) (*shape.UntagResourceOutput, error) {
	err := s.retag(tx, *in.ResourceARN, func(tags []TagValue) ([]TagValue, error) {
		return slices.DeleteFunc(slices.Clone(tags), func(t TagValue) bool { return slices.Contains(in.TagKeys, t.Key) }), nil
	})
	return &shape.UntagResourceOutput{}, err
}

// ListTagsForResource lists the tags of a rule or a bus.
func (s *Service) ListTagsForResource(tx *cloud.Tx, in *shape.ListTagsForResourceInput) (*shape.ListTagsForResourceOutput, error) {
	out := &shape.ListTagsForResourceOutput{Tags: []shape.Tag{}}
	err := s.retag(tx, *in.ResourceARN, func(tags []TagValue) ([]TagValue, error) {
		for _, t := range tags {
			out.Tags = append(out.Tags, shape.Tag{Key: &t.Key, Value: &t.Value})
		}
		return tags, nil
	})
	return out, err
}

// Named gives the tags of a rule or a bus, and the policy of a bus, for decisions on calls.
func (s *Service) Named(tx *cloud.Tx, arn string) (tags []TagValue, policy string, ok bool) {
	err := s.retag(tx, arn, func(have []TagValue) ([]TagValue, error) {
		tags = have
		return have, nil
	})
	if name, isBus := strings.CutPrefix(arn, busARN(tx.Scope, "")); isBus && err == nil {
		b, _ := s.buses.Get(tx, name)
		policy = b.policy()
	}
	return tags, policy, err == nil
}
