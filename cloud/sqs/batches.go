package sqs

import (
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud"
)

// checkBatch refuses a batch whose entries cannot be told apart.
func checkBatch(ids []*string) error {
	switch {
	case len(ids) == 0:
		return fault("EmptyBatchRequest", "There should be at least one entry in the request.")
	case len(ids) > 10:
		return fault("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent %d.", len(ids))
	}
	var seen []string
	for _, p := range ids {
		id := api.Value(p)
		if id == "" || len(id) > 80 || strings.Trim(strings.ToLower(id), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return fault("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if slices.Contains(seen, id) {
			return fault("BatchEntryIdsNotDistinct", "Id %s repeated.", id)
		}
		seen = append(seen, id)
	}
	return nil
}

func ids[E any](entries []E, id func(E) *string) []*string {
	var all []*string
	for _, e := range entries {
		all = append(all, id(e))
	}
	return all
}

// batch carries entries out, each by itself: one that fails changes nothing and does not hold up the others.
func batch[E any](tx *cloud.Tx, entries []E, id func(E) *string, do func(E) error) ([]shape.BatchResultErrorEntry, error) {
	if err := checkBatch(ids(entries, id)); err != nil {
		return nil, err
	}
	failed := []shape.BatchResultErrorEntry{}
	for _, e := range entries {
		err := tx.Try(func() error { return do(e) })
		if err == nil {
			continue
		}
		known, ok := err.(*api.Error)
		if !ok {
			return nil, err
		}
		failed = append(failed, shape.BatchResultErrorEntry{Id: id(e), Code: &known.Code, Message: &known.Message, SenderFault: new(true)})
	}
	return failed, nil
}

// SendMessageBatch sends up to ten messages.
func (s *Service) SendMessageBatch(tx *cloud.Tx, in *shape.SendMessageBatchInput) (*shape.SendMessageBatchOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	size := 0
	for _, e := range in.Entries {
		size += len(api.Value(e.MessageBody))
		for name, a := range e.MessageAttributes { // a sum: in any order
			size += len(name) + len(api.Value(a.DataType)) + len(api.Value(a.StringValue)) + len(a.BinaryValue)
		}
	}
	if size > largest {
		return nil, fault("BatchRequestTooLong", "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", largest, size)
	}
	out := &shape.SendMessageBatchOutput{Successful: []shape.SendMessageBatchResultEntry{}}
	out.Failed, err = batch(tx, in.Entries, func(e shape.SendMessageBatchRequestEntry) *string { return e.Id }, func(e shape.SendMessageBatchRequestEntry) error {
		o, err := newOutgoing(e.MessageBody, e.MessageAttributes, e.MessageSystemAttributes, e.DelaySeconds)
		if err != nil {
			return err
		}
		now, _ := s.queues.Get(tx, q.Name) // the numbers have gone on
		m, err := s.send(tx, now, o)
		if err == nil {
			out.Successful = append(out.Successful, shape.SendMessageBatchResultEntry{Id: e.Id, MessageId: &m.ID, MD5OfMessageBody: digest(m.Body),
				MD5OfMessageAttributes: digestOf(m.Attributes), MD5OfMessageSystemAttributes: digestOf(o.system())})
		}
		return err
	})
	return out, err
}

// DeleteMessageBatch deletes up to ten messages.
func (s *Service) DeleteMessageBatch(tx *cloud.Tx, in *shape.DeleteMessageBatchInput) (*shape.DeleteMessageBatchOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	out := &shape.DeleteMessageBatchOutput{Successful: []shape.DeleteMessageBatchResultEntry{}}
	out.Failed, err = batch(tx, in.Entries, func(e shape.DeleteMessageBatchRequestEntry) *string { return e.Id }, func(e shape.DeleteMessageBatchRequestEntry) error {
		err := s.delete(tx, q.Name, e.ReceiptHandle)
		if err == nil {
			out.Successful = append(out.Successful, shape.DeleteMessageBatchResultEntry{Id: e.Id})
		}
		return err
	})
	return out, err
}

// ChangeMessageVisibilityBatch changes up to ten messages.
func (s *Service) ChangeMessageVisibilityBatch(tx *cloud.Tx, in *shape.ChangeMessageVisibilityBatchInput) (*shape.ChangeMessageVisibilityBatchOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	out := &shape.ChangeMessageVisibilityBatchOutput{Successful: []shape.ChangeMessageVisibilityBatchResultEntry{}}
	out.Failed, err = batch(tx, in.Entries, func(e shape.ChangeMessageVisibilityBatchRequestEntry) *string { return e.Id }, func(e shape.ChangeMessageVisibilityBatchRequestEntry) error {
		err := s.hide(tx, q.Name, e.ReceiptHandle, e.VisibilityTimeout)
		if err == nil {
			out.Successful = append(out.Successful, shape.ChangeMessageVisibilityBatchResultEntry{Id: e.Id})
		}
		return err
	})
	return out, err
}
