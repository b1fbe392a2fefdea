package sqs

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud"
)

// Queue is a queue's row.
type Queue struct {
	Name              string
	Created, Modified time.Time
	Visibility        int          // seconds
	Retention         int          // seconds
	Delay             int          // seconds
	Wait              int          // seconds
	MaxSize           int          // bytes
	MaxReceives       int          // before a message goes to DeadLetters; 0 is never
	DeadLetters       string       // ARN
	Kept              []Attribute  `json:",omitempty"` // attributes without an effect, in order of name
	Tags              []Attribute  `json:",omitempty"` // in order of name
	Permissions       []Permission `json:",omitempty"`
	Purged            time.Time
	Next              int64 // number of the next message
}

// Deleted is the row of a queue that is gone: for a minute its name cannot be used again.
type Deleted struct{ At time.Time }

const deletedFor = time.Minute

// Permission is one statement that AddPermission made.
type Permission struct {
	Label             string
	Accounts, Actions []string
}

func (s *Service) url(tx *cloud.Tx, name string) *string {
	return new(s.Endpoint + "/" + tx.Scope.Account + "/" + name)
}

func queueName(name string) error {
	if strings.HasSuffix(name, ".fifo") {
		return &api.Error{Code: "NotImplemented", Message: "FIFO queues are not implemented.", Status: 501}
	}
	if name == "" || len(name) > 80 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return badValue("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	return nil
}

// CreateQueue makes a queue; the same call again gives the same queue.
func (s *Service) CreateQueue(tx *cloud.Tx, in *shape.CreateQueueInput) (*shape.CreateQueueOutput, error) {
	name := api.Value(in.QueueName)
	if err := queueName(name); err != nil {
		return nil, err
	}
	if in.Attributes["FifoQueue"] == "true" {
		return nil, badValue("The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.")
	}
	before, exists := s.queues.Get(tx, name)
	q := Queue{Name: name, Created: tx.Now().Truncate(time.Second), Visibility: 30, Retention: 345_600, MaxSize: largest, Next: 1}
	if exists {
		q = before
	}
	q.Modified = q.Created
	for _, a := range sorted(in.Attributes) {
		if a == "FifoQueue" {
			continue
		}
		if err := s.set(tx, &q, a, in.Attributes[a]); err != nil {
			return nil, err
		}
		if exists && s.attribute(tx, &q, a) != s.attribute(tx, &before, a) {
			return nil, api.Errorf("QueueAlreadyExists", "A queue already exists with the same name and a different value for attribute %s", a)
		}
	}
	if exists {
		return &shape.CreateQueueOutput{QueueUrl: s.url(tx, name)}, nil
	}
	if gone, ok := s.deleted.Get(tx, name); ok && tx.Now().Before(gone.At.Add(deletedFor)) {
		return nil, fault("QueueDeletedRecently", "You must wait 60 seconds after deleting a queue before you can create another with the same name.")
	}
	if err := tag(&q, in.Tags); err != nil {
		return nil, err
	}
	s.queues.Put(tx, name, q)
	return &shape.CreateQueueOutput{QueueUrl: s.url(tx, name)}, nil
}

// DeleteQueue deletes a queue with all that is in it.
func (s *Service) DeleteQueue(tx *cloud.Tx, in *shape.DeleteQueueInput) (*shape.DeleteQueueOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	s.empty(tx, q.Name)
	s.queues.Delete(tx, q.Name)
	for id := range s.moves.Prefix(tx, key(q.Name)) {
		s.moves.Delete(tx, id)
	}
	for _, kind := range []string{kindRetention, kindArrival, kindMove} {
		tx.At(Name, kind, q.Name, time.Time{})
	}
	s.deleted.Put(tx, q.Name, Deleted{tx.Now()})
	tx.Touch(Name, kindDeleted, q.Name)
	return &shape.DeleteQueueOutput{}, nil
}

// forget gives a deleted queue's name free when its time is over.
func (s *Service) forget(tx *cloud.Tx, name string) {
	gone, ok := s.deleted.Get(tx, name)
	end := gone.At.Add(deletedFor)
	switch {
	case !ok:
		end = time.Time{}
	case !tx.Now().Before(end):
		s.deleted.Delete(tx, name)
		end = time.Time{}
	}
	tx.At(Name, kindDeleted, name, end)
}

func (s *Service) empty(tx *cloud.Tx, queue string) {
	for id := range s.messages.Prefix(tx, key(queue)) {
		s.messages.Delete(tx, id)
	}
	for id := range s.places.Prefix(tx, key(queue)) {
		s.places.Delete(tx, id)
	}
	s.left(tx, queue)
}

// PurgeQueue deletes all messages of a queue.
func (s *Service) PurgeQueue(tx *cloud.Tx, in *shape.PurgeQueueInput) (*shape.PurgeQueueOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if tx.Now().Before(q.Purged.Add(time.Minute)) {
		return nil, fault("PurgeQueueInProgress", "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.Name)
	}
	q.Purged = tx.Now()
	s.queues.Put(tx, q.Name, q)
	s.empty(tx, q.Name)
	return &shape.PurgeQueueOutput{}, nil
}

// GetQueueUrl finds a queue by its name.
func (s *Service) GetQueueUrl(tx *cloud.Tx, in *shape.GetQueueUrlInput) (*shape.GetQueueUrlOutput, error) {
	owner := api.Value(in.QueueOwnerAWSAccountId)
	if !s.queues.Has(tx, api.Value(in.QueueName)) || owner != "" && owner != tx.Scope.Account {
		return nil, noQueue()
	}
	return &shape.GetQueueUrlOutput{QueueUrl: s.url(tx, *in.QueueName)}, nil
}

// page cuts a list of names that begins after a token, which is a name.
func page(names []string, after *string, most *int32) ([]string, *string, error) {
	if most != nil && (*most < 1 || *most > 1000) {
		return nil, nil, badValue("Value for parameter MaxResults is invalid. Reason: MaxResults must be between 1 and 1000, inclusive.")
	}
	if after != nil {
		i, found := slices.BinarySearch(names, *after)
		if found {
			i++
		}
		names = names[i:]
	}
	limit := 1000
	if most != nil {
		limit = int(*most)
	}
	if len(names) <= limit {
		return names, nil, nil
	}
	var next *string
	if most != nil { // without it there is one page
		next = new(names[limit-1])
	}
	return names[:limit], next, nil
}

func (s *Service) urls(tx *cloud.Tx, names []string) []string {
	urls := make([]string, len(names))
	for i, n := range names {
		urls[i] = *s.url(tx, n)
	}
	return urls
}

// ListQueues lists queues in order of name.
func (s *Service) ListQueues(tx *cloud.Tx, in *shape.ListQueuesInput) (*shape.ListQueuesOutput, error) {
	var names []string
	for name := range s.queues.Prefix(tx, api.Value(in.QueueNamePrefix)) {
		names = append(names, name)
	}
	names, next, err := page(names, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &shape.ListQueuesOutput{QueueUrls: s.urls(tx, names), NextToken: next}, nil
}

// ListDeadLetterSourceQueues lists the queues whose dead letters come to a queue.
func (s *Service) ListDeadLetterSourceQueues(tx *cloud.Tx, in *shape.ListDeadLetterSourceQueuesInput) (*shape.ListDeadLetterSourceQueuesOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	var names []string
	for name, other := range s.queues.All(tx) {
		if other.DeadLetters == tx.Scope.ARN(Name, q.Name) {
			names = append(names, name)
		}
	}
	names, next, err := page(names, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &shape.ListDeadLetterSourceQueuesOutput{QueueUrls: s.urls(tx, names), NextToken: next}, nil
}

// tag adds tags to a queue's.
func tag(q *Queue, tags map[string]string) error {
	all := slices.Clone(q.Tags)
	for _, name := range sorted(tags) {
		if name == "" || len(name) > 128 || len(tags[name]) > 256 {
			return badValue("Tag keys must be between 1 and 128 characters in length, tag values at most 256.")
		}
		all = put(all, name, tags[name])
	}
	if len(all) > 50 {
		return badValue("Too many tags added for queue %s.", q.Name)
	}
	q.Tags = all
	return nil
}

// TagQueue adds tags.
func (s *Service) TagQueue(tx *cloud.Tx, in *shape.TagQueueInput) (*shape.TagQueueOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err == nil {
		err = tag(&q, in.Tags)
	}
	if err != nil {
		return nil, err
	}
	s.queues.Put(tx, q.Name, q)
	return &shape.TagQueueOutput{}, nil
}

// UntagQueue takes tags away.
func (s *Service) UntagQueue(tx *cloud.Tx, in *shape.UntagQueueInput) (*shape.UntagQueueOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	q.Tags = slices.DeleteFunc(slices.Clone(q.Tags), func(a Attribute) bool { return slices.Contains(in.TagKeys, a.Name) })
	s.queues.Put(tx, q.Name, q)
	return &shape.UntagQueueOutput{}, nil
}

// ListQueueTags lists tags.
func (s *Service) ListQueueTags(tx *cloud.Tx, in *shape.ListQueueTagsInput) (*shape.ListQueueTagsOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	out := &shape.ListQueueTagsOutput{Tags: map[string]string{}}
	for _, t := range q.Tags {
		out.Tags[t.Name] = t.Value
	}
	return out, nil
}

// Named gives the tags and the policy of a queue of the present scope, for decisions on calls.
func (s *Service) Named(tx *cloud.Tx, arn string) (tags []Attribute, policy string, ok bool) {
	q, ok := s.at(tx, arn)
	return q.Tags, s.attribute(tx, &q, "Policy"), ok
}
