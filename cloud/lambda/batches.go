package lambda

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	sqsapi "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud"
)

// queueRecord is a message as a function gets it (EC-EV-05).
type queueRecord struct {
	MessageID         string                     `json:"messageId"`
	ReceiptHandle     string                     `json:"receiptHandle"`
	Body              string                     `json:"body"`
	Attributes        map[string]string          `json:"attributes"`
	MessageAttributes map[string]recordAttribute `json:"messageAttributes"`
	MD5OfAttributes   string                     `json:"md5OfMessageAttributes,omitempty"`
	MD5OfBody         string                     `json:"md5OfBody"`
	EventSource       string                     `json:"eventSource"`
	EventSourceARN    string                     `json:"eventSourceARN"`
	Region            string                     `json:"awsRegion"`
}

type recordAttribute struct {
	StringValue *string  `json:"stringValue,omitempty"`
	BinaryValue []byte   `json:"binaryValue,omitempty"`
	Strings     []string `json:"stringListValues"`
	Binaries    [][]byte `json:"binaryListValues"`
	DataType    *string  `json:"dataType"`
}

// reconcileMapping gives the function as many batches as there are messages and room for.
func (s *Service) reconcileMapping(tx *cloud.Tx, id string) {
	m, ok := s.mappings.Get(tx, id)
	tx.At(Name, kindMapping, id, time.Time{})
	f, known := s.functions.Get(tx, m.Function)
	if !ok || !m.Enabled || !known {
		return
	}
	most := m.Concurrency
	if most == 0 {
		most = defaultBatches
	}
	if m.Window > 0 && !s.gathered(tx, &m) {
		return
	}
	v, err := s.version(tx, m.Function, m.Qualifier)
	if err != nil || tx.Now().Before(v.Ready) {
		tx.At(Name, kindMapping, id, tx.Now().Add(lookAgain))
		return
	}
	for s.byMapping.Count(tx, id) < int(most) {
		if !s.room(tx, f) {
			s.throttled(tx, f.Name)
			tx.At(Name, kindMapping, id, tx.Now().Add(lookAgain))
			return
		}
		if !s.begin(tx, f, v, &m) {
			s.await(tx, &m, time.Time{})
			return
		}
	}
}

// gathered tells whether a mapping with a window has a whole batch, or has waited for one long enough.
func (s *Service) gathered(tx *cloud.Tx, m *Mapping) bool {
	waiting := s.waiting(tx, m)
	switch {
	case waiting == 0:
		s.await(tx, m, time.Time{})
		return false
	case waiting >= int(m.Batch):
		return true
	case m.Since.IsZero():
		s.await(tx, m, tx.Now())
	}
	ready := m.Since.Add(time.Duration(m.Window) * time.Second)
	if tx.Now().Before(ready) {
		tx.At(Name, kindMapping, m.UUID, ready)
		return false
	}
	return true
}

// await notes from when on a mapping waits for a batch to fill.
func (s *Service) await(tx *cloud.Tx, m *Mapping, since time.Time) {
	if !m.Since.Equal(since) {
		m.Since = since
		s.mappings.Put(tx, m.UUID, *m)
	}
}

// waiting is how many messages of a mapping's queue can be received.
func (s *Service) waiting(tx *cloud.Tx, m *Mapping) int {
	const name = "ApproximateNumberOfMessages"
	out, err := s.queues.GetQueueAttributes(tx, &sqsapi.GetQueueAttributesInput{QueueUrl: new(m.queue()), AttributeNames: []string{name}})
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(out.Attributes[name])
	return n
}

// begin receives a batch and has the function run; it says whether there was one.
func (s *Service) begin(tx *cloud.Tx, f Function, v Version, m *Mapping) bool {
	v = s.pick(tx, v, m.Qualifier)
	given, err := s.run(tx, f, v, m.Qualifier, tx.UUID(), nil)
	if err != nil { // the role is gone
		tx.At(Name, kindMapping, m.UUID, tx.Now().Add(time.Minute))
		return false
	}
	var records struct{ Records []queueRecord }
	b := Batch{ID: given.RequestID, Mapping: m.UUID, Function: f.Name}
	for size := 0; len(b.Messages) < int(m.Batch); {
		n := min(10, int(m.Batch)-len(b.Messages), (maxSync-size)/largestMessage)
		if n <= 0 {
			break
		}
		out, err := s.queues.ReceiveMessage(tx, &sqsapi.ReceiveMessageInput{QueueUrl: new(m.queue()), MaxNumberOfMessages: new(int32(n)),
			AttributeNames: []string{"All"}, MessageAttributeNames: []string{"All"}})
		if err != nil || len(out.Messages) == 0 {
			break
		}
		for _, got := range out.Messages {
			size += len(*got.Body)
			b.Messages = append(b.Messages, Received{*got.MessageId, *got.ReceiptHandle})
			records.Records = append(records.Records, recordOf(tx, got, m.Queue))
		}
	}
	if len(b.Messages) == 0 {
		return false
	}
	given.Payload, given.Attempt = encoded(records), 1
	s.batches.Put(tx, b.ID, b)
	tx.At(Name, kindBatch, b.ID, tx.Now().Add(time.Duration(v.Timeout)*time.Second+lostAfter))
	tx.Wish(given)
	return true
}

func recordOf(tx *cloud.Tx, m sqsapi.Message, queue string) queueRecord {
	r := queueRecord{MessageID: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes, MD5OfBody: api.Value(m.MD5OfBody),
		MD5OfAttributes: api.Value(m.MD5OfMessageAttributes), EventSource: "aws:sqs", EventSourceARN: queue, Region: tx.Scope.Region,
		MessageAttributes: map[string]recordAttribute{}}
	for _, name := range sortedNames(m.MessageAttributes) {
		a := m.MessageAttributes[name]
		r.MessageAttributes[name] = recordAttribute{StringValue: a.StringValue, BinaryValue: a.BinaryValue, DataType: a.DataType, Strings: []string{}, Binaries: [][]byte{}}
	}
	return r
}

// reconcileBatch forgets a batch of which nothing was heard: after a load, or for long.
func (s *Service) reconcileBatch(tx *cloud.Tx, id string) {
	tx.At(Name, kindBatch, id, time.Time{})
	if b, ok := s.batches.Get(tx, id); ok {
		s.batches.Delete(tx, id)
		tx.Touch(Name, kindMapping, b.Mapping)
	}
}

// batchRan takes the end of a batch: what the function has done with goes from the queue, the rest comes back.
func (s *Service) batchRan(tx *cloud.Tx, r Ran) {
	b, ok := s.batches.Get(tx, r.RequestID)
	if !ok {
		return
	}
	s.batches.Delete(tx, b.ID)
	tx.At(Name, kindBatch, b.ID, time.Time{})
	m, ok := s.mappings.Get(tx, b.Mapping)
	if !ok {
		return
	}
	failed, all := []string(nil), r.FunctionError != ""
	if !all && m.PartialFailures {
		failed, all = failures(r.Payload)
	}
	if m.Result = "OK"; all || len(failed) > 0 {
		m.Result = "PROBLEM: Function call failed"
	}
	for _, got := range b.Messages {
		if !all && !slices.Contains(failed, got.ID) {
			_, _ = s.queues.DeleteMessage(tx, &sqsapi.DeleteMessageInput{QueueUrl: new(m.queue()), ReceiptHandle: &got.Handle}) // the queue may be gone
		}
	}
	s.mappings.Put(tx, m.UUID, m)
	tx.Touch(Name, kindMapping, m.UUID)
}

// failures reads which messages a function says it has failed at; an answer that says nonsense means all.
func failures(payload []byte) (ids []string, all bool) {
	if text := strings.TrimSpace(string(payload)); text == "" || text == "null" {
		return nil, false
	}
	var answer struct {
		Items []struct {
			ID *string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(payload, &answer); err != nil {
		return nil, true
	}
	for _, item := range answer.Items {
		if api.Value(item.ID) == "" {
			return nil, true
		}
		ids = append(ids, *item.ID)
	}
	return ids, false
}
