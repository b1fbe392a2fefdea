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
	f, known := s.functions.Get(tx, m.Function)
	v, err := s.version(tx, m.Function, m.Qualifier)
	if !ok || !m.Enabled || !known || err != nil {
		tx.At(Name, kindMapping, id, time.Time{})
		return
	}
	before := m
	tx.At(Name, kindMapping, id, s.poll(tx, f, v, &m))
	if !m.Next.Equal(before.Next) || !m.Since.Equal(before.Since) {
		s.mappings.Put(tx, id, m)
	}
}

// poll begins batches; it says when to look again if nothing arrives before.
func (s *Service) poll(tx *cloud.Tx, f Function, v Version, m *Mapping) time.Time {
	if m.Next.Before(v.Ready) {
		m.Next = v.Ready
	}
	if tx.Now().Before(m.Next) {
		return m.Next
	}
	m.Next = time.Time{}
	most := m.Concurrency
	if most == 0 {
		most = defaultBatches
	}
	for s.byMapping.Count(tx, m.UUID) < int(most) {
		waiting := s.waiting(tx, m)
		if at := m.gathered(tx, waiting); tx.Now().Before(at) {
			return at
		}
		if m.Since = (time.Time{}); waiting == 0 {
			return time.Time{}
		}
		if !s.room(tx, f) {
			s.throttled(tx, f.Name)
			m.Next = tx.Now().Add(lookAgain)
			return m.Next
		}
		if err := s.receive(tx, f, v, m); err != nil { // the role is gone
			m.Next = tx.Now().Add(time.Minute)
			return m.Next
		}
	}
	return time.Time{}
}

// gathered tells when a mapping with so many messages waiting is to begin a batch: at once, or when its window is over.
func (m *Mapping) gathered(tx *cloud.Tx, waiting int) time.Time {
	if m.Window == 0 || waiting >= int(m.Batch) || m.Since.IsZero() && waiting == 0 {
		return tx.Now()
	}
	if m.Since.IsZero() {
		m.Since = tx.Now()
	}
	return m.Since.Add(time.Duration(m.Window) * time.Second)
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

// receive takes a batch of messages and has the function run. It fails if the function has no role any more.
func (s *Service) receive(tx *cloud.Tx, f Function, v Version, m *Mapping) error {
	v = s.pick(tx, v, m.Qualifier)
	run, err := s.run(tx, f, v, m.Qualifier, tx.UUID(), nil)
	if err != nil {
		return err
	}
	var records struct{ Records []queueRecord }
	b := Batch{ID: run.RequestID, Mapping: m.UUID, Function: f.Name, Qualifier: m.Qualifier, Version: v.Number, At: tx.Now(), Until: v.patience(tx)}
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
	if len(b.Messages) == 0 { // all that was there went to the dead letters
		return nil
	}
	b.Payload = encoded(records)
	run.Payload, run.Attempt = b.Payload, 1
	s.batches.Put(tx, b.ID, b)
	tx.At(Name, kindBatch, b.ID, b.Until)
	tx.Wish(run)
	return nil
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

// reconcileBatch wishes for a batch's run again after a load, and forgets one of which nothing was heard for long.
func (s *Service) reconcileBatch(tx *cloud.Tx, id string) {
	b, ok := s.batches.Get(tx, id)
	if !ok {
		tx.At(Name, kindBatch, id, time.Time{})
		return
	}
	if !tx.Now().Before(b.Until) {
		s.dropBatch(tx, b)
		return
	}
	tx.At(Name, kindBatch, id, b.Until)
	f, known := s.functions.Get(tx, b.Function)
	v, there := s.versions.Get(tx, versionKey(b.Function, b.Version))
	if !known || !there {
		return
	}
	if run, ok := s.rerun(tx, f, v, b.Qualifier, b.ID, b.Payload); ok {
		run.Attempt = 1
		tx.Wish(run)
	}
}

func (s *Service) dropBatch(tx *cloud.Tx, b Batch) {
	s.batches.Delete(tx, b.ID)
	tx.At(Name, kindBatch, b.ID, time.Time{})
	tx.Touch(Name, kindMapping, b.Mapping)
}

// batchRan takes the end of a batch: what the function has done with goes from the queue, the rest comes back.
func (s *Service) batchRan(tx *cloud.Tx, r Ran) {
	b, ok := s.batches.Get(tx, r.RequestID)
	if !ok {
		return
	}
	s.dropBatch(tx, b)
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
