// Package logs is CloudWatch Logs as far as functions and those who read their logs need it: groups, streams, events.
//
// It is no search engine: filters are plain terms. The one idea: a stream is a list of blocks, each one row, so that a
// batch of events costs what it holds; what a group may hold is bounded, and the oldest blocks make room for new ones.
//
// Invariants: the blocks of a stream follow each other in time, and their events too, first by timestamp and then by the
// order in which they came; the key of a block begins with its group and its first event's time, so that a group's blocks
// are in order, too.
package logs

import (
	"iter"
	"maps"
	"slices"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is the service's name.
const Name = "logs"

// kindGroup are keys of groups, which have a timer if their events expire.
const kindGroup = "group"

// Service is CloudWatch Logs.
type Service struct {
	cloud.Base
	groups   cloud.Rows[Group]
	streams  cloud.Rows[Stream]
	blocks   cloud.Rows[Block]
	byStream cloud.Index[Block]
}

// New makes the service.
func New() *Service {
	s := &Service{
		groups:  cloud.NewRows[Group](Name + ".groups"),
		streams: cloud.NewRows[Stream](Name + ".streams"),
		blocks:  cloud.NewRows[Block](Name + ".blocks"),
	}
	s.byStream = s.blocks.Index(func(_ string, b Block) []string { return []string{streamKey(b.Group, b.Stream)} })
	return s
}

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store { return []table.Store{s.groups, s.streams, s.blocks} }

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	const terms = "filter patterns are terms, \"phrases\", -excluded and ?optional ones; JSON, space-delimited and regular expression patterns are refused"
	return []cloud.Operation{
		cloud.Handle("CreateLogGroup", s.CreateLogGroup).But("KmsKeyId, LogGroupClass and DeletionProtectionEnabled are stored only; a group holds 16 MiB, then the oldest events make room"),
		cloud.Handle("CreateLogStream", s.CreateLogStream),
		cloud.Handle("DeleteLogGroup", s.DeleteLogGroup),
		cloud.Handle("DeleteLogStream", s.DeleteLogStream),
		cloud.Handle("DeleteRetentionPolicy", s.DeleteRetentionPolicy),
		cloud.Handle("DescribeLogGroups", s.DescribeLogGroups).But("AccountIdentifiers and IncludeLinkedAccounts are ignored"),
		cloud.Handle("DescribeLogStreams", s.DescribeLogStreams),
		cloud.Handle("FilterLogEvents", s.FilterLogEvents).But(terms),
		cloud.Handle("GetLogEvents", s.GetLogEvents),
		cloud.Handle("ListTagsForResource", s.ListTagsForResource),
		cloud.Handle("ListTagsLogGroup", s.ListTagsLogGroup),
		cloud.Handle("PutLogEvents", s.PutLogEvents).But("Entity is ignored"),
		cloud.Handle("PutRetentionPolicy", s.PutRetentionPolicy),
		cloud.Handle("TagLogGroup", s.TagLogGroup),
		cloud.Handle("TagResource", s.TagResource).But("log groups only"),
		cloud.Handle("UntagLogGroup", s.UntagLogGroup),
		cloud.Handle("UntagResource", s.UntagResource).But("log groups only"),
	}
}

// Observe implements cloud.Service.
func (s *Service) Observe(tx *cloud.Tx, f cloud.Fact) {
	if f, ok := f.(Written); ok {
		tx.In(f.Scope, func() { s.Put(tx, f.Group, f.Stream, f.Events) })
	}
}

// Reconcile implements cloud.Service.
func (s *Service) Reconcile(tx *cloud.Tx, _, id string) { s.expire(tx, id) }

// Keys implements cloud.Service.
func (s *Service) Keys() iter.Seq[cloud.Key] {
	return func(yield func(cloud.Key) bool) {
		for k, g := range s.groups.Everywhere() {
			k.Kind = kindGroup
			if g.Retention > 0 && !yield(k) {
				return
			}
		}
	}
}

// Tag is a tag.
type Tag struct{ Key, Value string }

func tagMap(tags []Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

func tagsOf(m map[string]string) []Tag {
	var out []Tag
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, Tag{key, m[key]})
	}
	return out
}
