// Package sqs is Simple Queue Service: standard queues with visibility time-out, delay, redrive and retention.
//
// It has no FIFO queues and does not wait: a ReceiveMessage that finds nothing is answered as it is, and whoever has patience
// for it asks again when Arrived is wished for. The one idea: a message is a row, and a second row in order of time
// says from when on it can be received.
//
// Invariants: a message is in one queue; each has one place in the order of time; what was acknowledged is there until it
// is deleted, moved or over its retention.
package sqs

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is the service's name.
const Name = "sqs"

// Kinds of keys: all are named by a queue.
const (
	kindRetention = "retention"
	kindArrival   = "arrival"
	kindDeleted   = "deleted"
	kindMove      = "move"
)

// Arrived wishes that those who wait for messages of a queue ask again. It may be lost: they ask again in the end. It is an
// event, too, for services above.
type Arrived struct {
	Scope cloud.Scope
	Queue string // its name
}

// Service is SQS.
type Service struct {
	cloud.Base
	// Endpoint is the URL that clients reach the server by: the head of the URLs of queues.
	Endpoint string
	// Identities decides who may send for others; without it everybody may. It may be set before the first step.
	Identities *iam.Service

	queues   cloud.Rows[Queue]
	messages cloud.Rows[Message] // by queue and number
	places   cloud.Rows[Place]   // by queue, time and number
	deleted  cloud.Rows[Deleted] // by the queue's name
	moves    cloud.Rows[Move]    // by source and number

	seen map[string]int // of each queue that has some, how many of its messages were received before
}

// New makes the service.
func New() *Service {
	s := &Service{
		Endpoint: "http://127.0.0.1:4566",
		queues:   cloud.NewRows[Queue](Name + ".queues"),
		messages: cloud.NewRows[Message](Name + ".messages"),
		places:   cloud.NewRows[Place](Name + ".places"),
		deleted:  cloud.NewRows[Deleted](Name + ".deleted"),
		moves:    cloud.NewRows[Move](Name + ".moves"),
		seen:     map[string]int{},
	}
	s.messages.Watch(s.watch)
	return s
}

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store {
	return []table.Store{s.queues, s.messages, s.places, s.deleted, s.moves}
}

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	const stored = "RedriveAllowPolicy, KMS and SSE attributes are kept only; FIFO queues are refused"
	const wall = "WaitTimeSeconds are of the wall clock, all other times are of the cloud's"
	return []cloud.Operation{
		cloud.Handle("AddPermission", s.AddPermission),
		cloud.Handle("CancelMessageMoveTask", s.CancelMessageMoveTask),
		cloud.Handle("ChangeMessageVisibility", s.ChangeMessageVisibility),
		cloud.Handle("ChangeMessageVisibilityBatch", s.ChangeMessageVisibilityBatch),
		cloud.Handle("CreateQueue", s.CreateQueue).But(stored),
		cloud.Handle("DeleteMessage", s.DeleteMessage),
		cloud.Handle("DeleteMessageBatch", s.DeleteMessageBatch),
		cloud.Handle("DeleteQueue", s.DeleteQueue),
		cloud.Handle("GetQueueAttributes", s.GetQueueAttributes).But("the approximate numbers are exact"),
		cloud.Handle("GetQueueUrl", s.GetQueueUrl),
		cloud.Handle("ListDeadLetterSourceQueues", s.ListDeadLetterSourceQueues),
		cloud.Handle("ListMessageMoveTasks", s.ListMessageMoveTasks),
		cloud.Handle("ListQueueTags", s.ListQueueTags),
		cloud.Handle("ListQueues", s.ListQueues),
		cloud.Handle("PurgeQueue", s.PurgeQueue),
		cloud.Handle("ReceiveMessage", s.ReceiveMessage).But(wall),
		cloud.Handle("RemovePermission", s.RemovePermission),
		cloud.Handle("SendMessage", s.SendMessage),
		cloud.Handle("SendMessageBatch", s.SendMessageBatch),
		cloud.Handle("SetQueueAttributes", s.SetQueueAttributes).But(stored),
		cloud.Handle("StartMessageMoveTask", s.StartMessageMoveTask),
		cloud.Handle("TagQueue", s.TagQueue),
		cloud.Handle("UntagQueue", s.UntagQueue),
		cloud.Handle("patience", s.patience), // Billow's own, for the daemon
	}
}

// Reconcile implements cloud.Service.
func (s *Service) Reconcile(tx *cloud.Tx, kind, id string) {
	switch kind {
	case kindRetention:
		s.expire(tx, id)
	case kindArrival:
		s.arrive(tx, id)
	case kindDeleted:
		s.forget(tx, id)
	case kindMove:
		s.move(tx, id)
	}
}

// Keys implements cloud.Service.
func (s *Service) Keys() iter.Seq[cloud.Key] {
	return func(yield func(cloud.Key) bool) {
		for k := range s.queues.Everywhere() {
			for _, kind := range []string{kindRetention, kindArrival, kindMove} {
				k.Kind = kind
				if !yield(k) {
					return
				}
			}
		}
		for k := range s.deleted.Everywhere() {
			k.Kind = kindDeleted
			if !yield(k) {
				return
			}
		}
	}
}

// named finds the queue of a URL.
func (s *Service) named(tx *cloud.Tx, url *string) (Queue, error) {
	head, name := "", api.Value(url)
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		head, name = name[:i], name[i+1:]
	}
	account := head[strings.LastIndexByte(head, '/')+1:]
	q, ok := s.queues.Get(tx, name)
	if !ok || account != "" && account != tx.Scope.Account {
		return Queue{}, noQueue()
	}
	return q, nil
}

// at finds the queue of an ARN in the present scope.
func (s *Service) at(tx *cloud.Tx, arn string) (Queue, bool) {
	head, name := arn[:strings.LastIndexByte(arn, ':')+1], arn[strings.LastIndexByte(arn, ':')+1:]
	if head != tx.Scope.ARN(Name, "") {
		return Queue{}, false
	}
	return s.queues.Get(tx, name)
}

// Has tells whether there is a queue with the ARN in the present scope.
func (s *Service) Has(tx *cloud.Tx, arn string) bool {
	_, ok := s.at(tx, arn)
	return ok
}

// Send puts a message into the queue with the ARN, for other services.
func (s *Service) Send(tx *cloud.Tx, arn, body string, attributes []Attribute) error {
	q, ok := s.at(tx, arn)
	if !ok {
		return noQueue()
	}
	_, err := s.send(tx, q, outgoing{body: body, attributes: attributes})
	return err
}

// Deliver is Send for a service that acts for somebody, such as a topic or a rule: its role or the queue's policy must
// allow it (EC-IA-02). A queue that has no policy takes nothing from services without a role.
func (s *Service) Deliver(tx *cloud.Tx, arn, body string, attributes []Attribute, by iam.Act) error {
	q, ok := s.at(tx, arn)
	if !ok {
		return noQueue()
	}
	if s.Identities != nil {
		by.Action, by.Resource, by.Policy = "sqs:SendMessage", arn, s.attribute(tx, &q, "Policy")
		if err := s.Identities.MayAct(tx, by); err != nil {
			return err
		}
	}
	_, err := s.send(tx, q, outgoing{body: body, attributes: attributes})
	return err
}

// fault is an error of SQS's own.
func fault(name, format string, args ...any) *api.Error {
	return api.Errorf("AWS.SimpleQueueService."+name, format, args...)
}

func noQueue() error { return fault("NonExistentQueue", "The specified queue does not exist.") }

func badValue(format string, args ...any) error {
	return api.Errorf("InvalidParameterValue", format, args...)
}

// key is the head of the IDs of what is in a queue.
func key(queue string) string { return queue + "/" }

// numbered orders numbers as texts.
func numbered(n int64) string { return fmt.Sprintf("%019d", n) }

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
