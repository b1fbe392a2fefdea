package sqs

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud"
)

// Message is a message's row. A queue numbers its messages in the order in which they came.
type Message struct {
	Number     int64
	ID         string
	Body       string
	Attributes []Attribute `json:",omitempty"` // in order of name
	Trace      string      `json:",omitempty"` // AWSTraceHeader
	Sender     string
	Sent       time.Time
	First      time.Time // when it was received first
	Receives   int
	Visible    time.Time // from when on it can be received
	Source     string    `json:",omitempty"` // ARN of the queue that it is a dead letter of
}

// Place is where a message stands in the order of time.
type Place struct {
	Number  int64
	At      time.Time // from when on it can be received
	Delayed bool      // it has not been received yet
}

// deadAtOnce is how many messages one call moves to the dead letters at most: a step stays short.
const deadAtOnce = 1000

// inFlight is how many messages of a queue may be received and not yet deleted. Only a test changes it.
var inFlight = 120_000

func (m *Message) row(queue string) string   { return key(queue) + numbered(m.Number) }
func (m *Message) place(queue string) string { return place(queue, m.Visible, m.Number) }

func place(queue string, at time.Time, number int64) string {
	return key(queue) + numbered(at.UnixNano()) + "/" + numbered(number)
}

// handle is what a receiver of the message deletes it by. The next receiver gets another.
func (m *Message) handle() *string {
	return new(base64.StdEncoding.EncodeToString([]byte(strconv.FormatInt(m.Number, 10) + ":" + strconv.Itoa(m.Receives) + ":" + m.ID)))
}

// keep writes a message that can be received from an instant on.
func (s *Service) keep(tx *cloud.Tx, queue string, m Message, at time.Time) {
	s.places.Delete(tx, m.place(queue))
	m.Visible = at
	s.messages.Put(tx, m.row(queue), m)
	s.places.Put(tx, m.place(queue), Place{Number: m.Number, At: at, Delayed: m.Receives == 0})
	tx.Touch(Name, kindArrival, queue)
}

func (s *Service) drop(tx *cloud.Tx, queue string, m Message) {
	s.places.Delete(tx, m.place(queue))
	s.messages.Delete(tx, m.row(queue))
	s.left(tx, queue)
}

// left has what a queue waits for follow what is in it: messages have left it.
func (s *Service) left(tx *cloud.Tx, queue string) {
	tx.Touch(Name, kindRetention, queue)
	s.await(tx, queue)
}

// add gives a message the queue's next number.
func (s *Service) add(tx *cloud.Tx, q Queue, m Message, at time.Time) Message {
	m.Number, m.Visible = q.Next, at
	q.Next++
	s.queues.Put(tx, q.Name, q)
	s.keep(tx, q.Name, m, at)
	tx.Touch(Name, kindRetention, q.Name)
	return m
}

// outgoing is a message to be sent.
type outgoing struct {
	body       string
	attributes []Attribute
	trace      string
	delay      *int32
}

// send checks a message and puts it into a queue.
func (s *Service) send(tx *cloud.Tx, q Queue, o outgoing) (Message, error) {
	size := len(o.body)
	for _, a := range o.attributes {
		size += len(a.Name) + len(a.Type) + len(a.Value)
	}
	delay := q.Delay
	switch {
	case o.body == "":
		return Message{}, api.Errorf("MissingParameter", "The request must contain the parameter MessageBody.")
	case size > q.MaxSize:
		return Message{}, badValue("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.MaxSize)
	case strings.ContainsFunc(o.body, forbidden):
		return Message{}, api.Errorf("InvalidMessageContents", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
	case o.delay != nil:
		if delay = int(*o.delay); delay < 0 || delay > 900 {
			return Message{}, badValue("Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.", delay)
		}
	}
	m := Message{ID: tx.UUID(), Body: o.body, Attributes: o.attributes, Trace: o.trace, Sender: cmp.Or(tx.Caller.ID, tx.Scope.Account), Sent: tx.Now().Truncate(time.Millisecond)}
	return s.add(tx, q, m, tx.Now().Add(seconds(delay))), nil
}

func forbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff || r == 0xfffd
}

// SendMessage puts a message into a queue.
func (s *Service) SendMessage(tx *cloud.Tx, in *shape.SendMessageInput) (*shape.SendMessageOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	o, err := newOutgoing(in.MessageBody, in.MessageAttributes, in.MessageSystemAttributes, in.DelaySeconds)
	if err != nil {
		return nil, err
	}
	m, err := s.send(tx, q, o)
	if err != nil {
		return nil, err
	}
	return &shape.SendMessageOutput{MessageId: &m.ID, MD5OfMessageBody: digest(m.Body), MD5OfMessageAttributes: digestOf(m.Attributes), MD5OfMessageSystemAttributes: digestOf(o.system())}, nil
}

// ReceiveMessage gives messages that can be received now and hides them for a while. One that finds nothing is answered at
// once: see Arrived.
func (s *Service) ReceiveMessage(tx *cloud.Tx, in *shape.ReceiveMessageInput) (*shape.ReceiveMessageOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	most, hide := 1, q.Visibility
	if in.MaxNumberOfMessages != nil {
		if most = int(*in.MaxNumberOfMessages); most < 1 || most > 10 {
			return nil, badValue("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", most)
		}
	}
	if in.VisibilityTimeout != nil {
		if hide = int(*in.VisibilityTimeout); hide < 0 || hide > 43_200 {
			return nil, badValue("Value %d for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and 43200.", hide)
		}
	}
	if w := api.Value(in.WaitTimeSeconds); w < 0 || w > 20 {
		return nil, badValue("Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.", w)
	}
	names := append(slices.Clone(in.AttributeNames), in.MessageSystemAttributeNames...)
	for _, name := range names {
		if !slices.Contains(systemAttributes, name) {
			return nil, unknownAttribute(name)
		}
	}
	if s.crowded(tx, q.Name) {
		if wait := in.WaitTimeSeconds; wait != nil && *wait > 0 || wait == nil && q.Wait > 0 {
			return &shape.ReceiveMessageOutput{}, nil // who waits is not told why
		}
		return nil, api.Errorf("OverLimit", "The maximum number of in-flight messages is reached: %d.", inFlight)
	}
	out := &shape.ReceiveMessageOutput{}
	for _, m := range s.take(tx, q, most, hide) {
		out.Messages = append(out.Messages, m.shape(names, in.MessageAttributeNames))
	}
	return out, nil
}

// Patience is how long a ReceiveMessage waits for the first message.
type Patience struct{ Wait time.Duration }

// patience is the internal operation that tells how long a call waits: as it asks for, or as the queue has it.
func (s *Service) patience(tx *cloud.Tx, in *shape.ReceiveMessageInput) (*Patience, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if in.WaitTimeSeconds != nil {
		return &Patience{seconds(int(*in.WaitTimeSeconds))}, nil
	}
	return &Patience{seconds(q.Wait)}, nil
}

// watch keeps count of the messages that were received before.
func (s *Service) watch(id string, old, m *Message) {
	queue := id[:strings.LastIndexByte(id, '/')]
	if old != nil && old.Receives > 0 {
		s.seen[queue]--
	}
	if m != nil && m.Receives > 0 {
		s.seen[queue]++
	}
	if s.seen[queue] == 0 {
		delete(s.seen, queue)
	}
}

// crowded tells whether too many messages are in flight. They are counted only when so many have been received at all.
func (s *Service) crowded(tx *cloud.Tx, queue string) bool {
	return s.seen[tx.Scope.String()+"/"+queue] >= inFlight && s.count(tx, queue).hidden >= inFlight
}

// take receives messages: those that were received too often go to the dead letters instead.
func (s *Service) take(tx *cloud.Tx, q Queue, most, hide int) []Message {
	var taken []Message
	dead := 0
	for _, p := range s.places.Prefix(tx, key(q.Name)) {
		if len(taken) == most || dead == deadAtOnce || p.At.After(tx.Now()) {
			break
		}
		m, ok := s.messages.Get(tx, key(q.Name)+numbered(p.Number))
		if !ok {
			continue
		}
		if s.deadLetter(tx, q, m) {
			dead++
			continue
		}
		if m.Receives++; m.Receives == 1 {
			m.First = tx.Now().Truncate(time.Millisecond)
		}
		s.keep(tx, q.Name, m, tx.Now().Add(seconds(hide)))
		taken = append(taken, m)
	}
	return taken
}

// deadLetter moves a message that was received as often as it may be.
func (s *Service) deadLetter(tx *cloud.Tx, q Queue, m Message) bool {
	if q.MaxReceives == 0 || m.Receives < q.MaxReceives {
		return false
	}
	dead, ok := s.at(tx, q.DeadLetters)
	if !ok || dead.Name == q.Name {
		return false
	}
	s.drop(tx, q.Name, m)
	m.Receives, m.First, m.Source = 0, time.Time{}, tx.Scope.ARN(Name, q.Name)
	s.add(tx, dead, m, tx.Now())
	return true
}

// systemAttributes are what ReceiveMessage can be asked for; standard queues have no values of the last three.
var systemAttributes = []string{"All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", "AWSTraceHeader",
	"DeadLetterQueueSourceArn", "MessageDeduplicationId", "MessageGroupId", "SequenceNumber"}

// shape is a message as ReceiveMessage gives it.
func (m *Message) shape(system, attributes []string) shape.Message {
	out := shape.Message{MessageId: &m.ID, Body: &m.Body, MD5OfBody: digest(m.Body), ReceiptHandle: m.handle()}
	millis := func(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
	for _, a := range []Attribute{
		{Name: "SenderId", Value: m.Sender}, {Name: "SentTimestamp", Value: millis(m.Sent)}, {Name: "ApproximateReceiveCount", Value: strconv.Itoa(m.Receives)},
		{Name: "ApproximateFirstReceiveTimestamp", Value: millis(m.First)}, {Name: "AWSTraceHeader", Value: m.Trace}, {Name: "DeadLetterQueueSourceArn", Value: m.Source},
	} {
		if a.Value != "" && (slices.Contains(system, a.Name) || slices.Contains(system, "All")) {
			if out.Attributes == nil {
				out.Attributes = map[string]string{}
			}
			out.Attributes[a.Name] = a.Value
		}
	}
	var given []Attribute
	for _, a := range m.Attributes {
		if !slices.ContainsFunc(attributes, func(p string) bool { return matches(p, a.Name) }) {
			continue
		}
		given = append(given, a)
		if out.MessageAttributes == nil {
			out.MessageAttributes = map[string]shape.MessageAttributeValue{}
		}
		out.MessageAttributes[a.Name] = a.shape()
	}
	out.MD5OfMessageAttributes = digestOf(given)
	return out
}

// matches tells whether a name is asked for: by itself, by "All" or ".*", or by the beginning in "foo.*".
func matches(pattern, name string) bool {
	head, every := strings.CutSuffix(pattern, ".*")
	return pattern == "All" || pattern == name || every && (head == "" || strings.HasPrefix(name, head+"."))
}

// received finds the message of a receipt handle; fresh is false if it has been received again since.
func (s *Service) received(tx *cloud.Tx, queue string, handle *string) (m Message, fresh, exists bool, err error) {
	text, wrong := base64.StdEncoding.DecodeString(api.Value(handle))
	part := strings.SplitN(string(text), ":", 3)
	if wrong != nil || len(part) != 3 {
		return m, false, false, api.Errorf("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
	}
	n, a := strconv.ParseInt(part[0], 10, 64)
	receives, b := strconv.Atoi(part[1])
	if a != nil || b != nil || n < 1 {
		return m, false, false, api.Errorf("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
	}
	m, exists = s.messages.Get(tx, key(queue)+numbered(n))
	exists = exists && m.ID == part[2]
	return m, m.Receives == receives, exists, nil
}

func (s *Service) delete(tx *cloud.Tx, queue string, handle *string) error {
	m, fresh, exists, err := s.received(tx, queue, handle)
	if err == nil && exists && fresh {
		s.drop(tx, queue, m)
	}
	return err
}

// DeleteMessage deletes a message that was received. One that was received again since stays: its newer receiver has it.
func (s *Service) DeleteMessage(tx *cloud.Tx, in *shape.DeleteMessageInput) (*shape.DeleteMessageOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err == nil {
		err = s.delete(tx, q.Name, in.ReceiptHandle)
	}
	if err != nil {
		return nil, err
	}
	return &shape.DeleteMessageOutput{}, nil
}

func (s *Service) hide(tx *cloud.Tx, queue string, handle *string, timeout *int32) error {
	n := int(api.Value(timeout))
	if n < 0 || n > 43_200 {
		return badValue("Value %d for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and 43200.", n)
	}
	m, fresh, exists, err := s.received(tx, queue, handle)
	switch {
	case err != nil:
		return err
	case !exists:
		return badValue("Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", api.Value(handle))
	case !fresh || !m.Visible.After(tx.Now()):
		return fault("MessageNotInflight", "The message referred to is not in flight.")
	}
	s.keep(tx, queue, m, tx.Now().Add(seconds(n)))
	return nil
}

// ChangeMessageVisibility hides a message that was received for longer or less long, from now on.
func (s *Service) ChangeMessageVisibility(tx *cloud.Tx, in *shape.ChangeMessageVisibilityInput) (*shape.ChangeMessageVisibilityOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err == nil {
		err = s.hide(tx, q.Name, in.ReceiptHandle, in.VisibilityTimeout)
	}
	if err != nil {
		return nil, err
	}
	return &shape.ChangeMessageVisibilityOutput{}, nil
}

// arrive tells those who wait that there is something, and says when there will be more.
func (s *Service) arrive(tx *cloud.Tx, queue string) {
	for _, p := range s.places.Prefix(tx, key(queue)) {
		if !p.At.After(tx.Now()) {
			tx.Wish(Arrived{Scope: tx.Scope, Queue: queue})
			tx.Emit(Name, Arrived{Scope: tx.Scope, Queue: queue})
		}
		break
	}
	s.await(tx, queue)
}

// await sets the time at which the next hidden message can be received.
func (s *Service) await(tx *cloud.Tx, queue string) {
	next := time.Time{}
	for id, p := range s.places.After(tx, place(queue, tx.Now(), 1<<62)) {
		if strings.HasPrefix(id, key(queue)) {
			next = p.At
		}
		break
	}
	tx.At(Name, kindArrival, queue, next)
}

// expire deletes what is over the queue's retention. Dead letters keep the time at which they were sent first; one that is
// older than those before it goes with them.
func (s *Service) expire(tx *cloud.Tx, queue string) {
	q, ok := s.queues.Get(tx, queue)
	next := time.Time{}
	if ok {
		for _, m := range s.messages.Prefix(tx, key(queue)) {
			if end := m.Sent.Add(seconds(q.Retention)); end.After(tx.Now()) {
				next = end
				break
			}
			s.drop(tx, queue, m)
		}
	}
	tx.At(Name, kindRetention, queue, next)
}
