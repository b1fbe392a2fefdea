package sqs

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud"
)

// States of a move.
const (
	running   = "RUNNING"
	completed = "COMPLETED"
	cancelled = "CANCELLED"
	failed    = "FAILED"
)

// Move is the row of a message move task: dead letters go back to where they came from, or to another queue.
//
//	RUNNING -- nothing is left that can be received --> COMPLETED
//	   |  \--- CancelMessageMoveTask -----------------> CANCELLED
//	   \------ a message that can go nowhere ---------> FAILED
type Move struct {
	ID            string
	Source        string // ARN
	Destination   string `json:",omitempty"` // ARN; empty is the queue that each message comes from
	Rate          int32  `json:",omitempty"` // MaxNumberOfMessagesPerSecond; 0 is as fast as may be
	Status        string
	Failure       string `json:",omitempty"`
	Moved, ToMove int64
	Started, Next time.Time
}

// Bounds of moves: how many messages go in a second, and how many tasks of a queue are remembered.
const (
	movesPerSecond = 500
	movesKept      = 10
)

func noTask() error {
	return &api.Error{Code: "ResourceNotFoundException", Message: "Task does not exist.", Status: 404}
}

// StartMessageMoveTask begins to move the dead letters of a queue.
func (s *Service) StartMessageMoveTask(tx *cloud.Tx, in *shape.StartMessageMoveTaskInput) (*shape.StartMessageMoveTaskOutput, error) {
	m := Move{Source: api.Value(in.SourceArn), Destination: api.Value(in.DestinationArn), Rate: api.Value(in.MaxNumberOfMessagesPerSecond), Status: running,
		Started: tx.Now().Truncate(time.Millisecond), Next: tx.Now()}
	q, ok := s.at(tx, m.Source)
	switch {
	case !ok:
		return nil, &api.Error{Code: "ResourceNotFoundException", Message: "The resource that you specified for the SourceArn parameter doesn't exist.", Status: 404}
	case m.Destination != "" && !s.Has(tx, m.Destination):
		return nil, &api.Error{Code: "ResourceNotFoundException", Message: "The resource that you specified for the DestinationArn parameter doesn't exist.", Status: 404}
	case m.Destination == m.Source:
		return nil, badValue("Source queue arn and destination queue arn cannot be the same.")
	case in.MaxNumberOfMessagesPerSecond != nil && (m.Rate < 1 || m.Rate > movesPerSecond):
		return nil, badValue("Value %d for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: You must enter a value between 1 and %d.", m.Rate, movesPerSecond)
	case !s.hasDeadLetters(tx, m.Source):
		return nil, badValue("Source queue must be configured as a Dead Letter Queue.")
	}
	last := ""
	for id, old := range s.moves.Prefix(tx, key(q.Name)) {
		if last = id; old.Status == running {
			return nil, badValue("There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
		}
	}
	m.ID = tx.UUID()
	m.ToMove = int64(s.count(tx, q.Name).visible)
	id := key(q.Name) + numbered(max(tx.Now().UnixNano(), 0))
	if id <= last { // two in one instant
		id = last + "+"
	}
	s.moves.Put(tx, id, m)
	s.forgetMoves(tx, q.Name)
	tx.Touch(Name, kindMove, q.Name)
	return &shape.StartMessageMoveTaskOutput{TaskHandle: m.handle()}, nil
}

// hasDeadLetters tells whether a queue is one that others send their dead letters to.
func (s *Service) hasDeadLetters(tx *cloud.Tx, arn string) bool {
	for _, other := range s.queues.All(tx) {
		if other.DeadLetters == arn {
			return true
		}
	}
	return false
}

// forgetMoves keeps a queue's newest tasks only.
func (s *Service) forgetMoves(tx *cloud.Tx, queue string) {
	var ids []string
	for id := range s.moves.Prefix(tx, key(queue)) {
		ids = append(ids, id)
	}
	for _, id := range ids[:max(0, len(ids)-movesKept)] {
		s.moves.Delete(tx, id)
	}
}

type taskHandle struct {
	ID     string `json:"taskId"`
	Source string `json:"sourceArn"`
}

func (m *Move) handle() *string {
	text, err := json.Marshal(taskHandle{m.ID, m.Source})
	if err != nil {
		panic(err) // it has only strings
	}
	return new(base64.StdEncoding.EncodeToString(text))
}

// CancelMessageMoveTask ends a move; what was moved stays moved.
func (s *Service) CancelMessageMoveTask(tx *cloud.Tx, in *shape.CancelMessageMoveTaskInput) (*shape.CancelMessageMoveTaskOutput, error) {
	var h taskHandle
	text, err := base64.StdEncoding.DecodeString(api.Value(in.TaskHandle))
	if err != nil || json.Unmarshal(text, &h) != nil || h.ID == "" {
		return nil, badValue("Value for parameter TaskHandle is invalid.")
	}
	q, ok := s.at(tx, h.Source)
	if !ok {
		return nil, &api.Error{Code: "ResourceNotFoundException", Message: "The resource that you specified for the SourceArn parameter doesn't exist.", Status: 404}
	}
	for id, m := range s.moves.Prefix(tx, key(q.Name)) {
		if m.ID != h.ID {
			continue
		}
		if m.Status != running {
			return nil, badValue("Only active tasks can be cancelled.")
		}
		m.Status = cancelled
		s.moves.Put(tx, id, m)
		tx.Touch(Name, kindMove, q.Name)
		return &shape.CancelMessageMoveTaskOutput{ApproximateNumberOfMessagesMoved: &m.Moved}, nil
	}
	return nil, noTask()
}

// ListMessageMoveTasks lists the newest moves from a queue.
func (s *Service) ListMessageMoveTasks(tx *cloud.Tx, in *shape.ListMessageMoveTasksInput) (*shape.ListMessageMoveTasksOutput, error) {
	q, ok := s.at(tx, api.Value(in.SourceArn))
	if !ok {
		return nil, &api.Error{Code: "ResourceNotFoundException", Message: "The resource that you specified for the SourceArn parameter doesn't exist.", Status: 404}
	}
	most := api.Or(in.MaxResults, 1)
	if most < 1 || most > movesKept {
		return nil, badValue("Value for parameter MaxResults is invalid. Reason: MaxResults must be between 1 and %d, inclusive.", movesKept)
	}
	out := &shape.ListMessageMoveTasksOutput{Results: []shape.ListMessageMoveTasksResultEntry{}}
	var all []Move
	for _, m := range s.moves.Prefix(tx, key(q.Name)) {
		all = append(all, m)
	}
	for _, m := range slices.Backward(all[max(0, len(all)-int(most)):]) {
		out.Results = append(out.Results, m.shape())
	}
	return out, nil
}

func (m Move) shape() shape.ListMessageMoveTasksResultEntry {
	e := shape.ListMessageMoveTasksResultEntry{Status: &m.Status, SourceArn: &m.Source, ApproximateNumberOfMessagesMoved: &m.Moved,
		ApproximateNumberOfMessagesToMove: &m.ToMove, StartedTimestamp: new(m.Started.UnixMilli())}
	if m.Status == running {
		e.TaskHandle = m.handle()
	}
	if m.Destination != "" {
		e.DestinationArn = &m.Destination
	}
	if m.Rate > 0 {
		e.MaxNumberOfMessagesPerSecond = &m.Rate
	}
	if m.Failure != "" {
		e.FailureReason = &m.Failure
	}
	return e
}

// move carries on the move from a queue, if there is one: as many messages as may go in a second.
func (s *Service) move(tx *cloud.Tx, queue string) {
	next := time.Time{}
	for id, m := range s.moves.Prefix(tx, key(queue)) {
		if m.Status != running {
			continue
		}
		if !tx.Now().Before(m.Next) {
			s.moveSome(tx, queue, &m)
			m.Next = tx.Now().Add(time.Second)
			s.moves.Put(tx, id, m)
		}
		if m.Status == running {
			next = m.Next
		}
	}
	tx.At(Name, kindMove, queue, next)
}

func (s *Service) moveSome(tx *cloud.Tx, queue string, m *Move) {
	left, before := int32(movesPerSecond), m.Moved
	if m.Rate > 0 {
		left = m.Rate
	}
	for _, p := range s.places.Prefix(tx, key(queue)) {
		if p.At.After(tx.Now()) {
			break
		}
		if left == 0 {
			return
		}
		left--
		x, _ := s.messages.Get(tx, key(queue)+numbered(p.Number))
		to := m.Destination
		if to == "" {
			to = x.Source
		}
		q, ok := s.at(tx, to)
		switch {
		case to == "":
			m.Status, m.Failure = failed, "CouldNotDetermineMessageSource"
			return
		case !ok:
			m.Status, m.Failure = failed, "AWS.SimpleQueueService.NonExistentQueue"
			return
		}
		s.drop(tx, queue, x)
		// It counts as a new one: its retention begins anew.
		s.add(tx, q, Message{ID: tx.UUID(), Body: x.Body, Attributes: x.Attributes, Trace: x.Trace, Sender: x.Sender, Sent: tx.Now().Truncate(time.Millisecond)}, tx.Now())
		m.Moved++
	}
	if m.Moved == before {
		m.Status = completed
	}
}
