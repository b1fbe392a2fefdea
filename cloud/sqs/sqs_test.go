package sqs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud"
)

var here = cloud.Scope{Account: "123456789012", Region: "us-east-1"}

// world is a cloud with queues only, and its clock.
type world struct {
	t     *testing.T
	cloud *cloud.Cloud
	now   time.Time
	woken int // how often those who wait were told
}

func newWorld(t *testing.T) *world {
	return &world{t: t, cloud: cloud.New(1, New()), now: time.Date(2026, 9, 27, 12, 0, 0, 0, time.UTC)}
}

func (w *world) step(in cloud.Input) cloud.Output {
	out := w.cloud.Step(w.now, in)
	for _, e := range out.Effects {
		if _, ok := e.(Arrived); ok {
			w.woken++
		}
	}
	return out
}

// pass lets time go by, with every tick that is due.
func (w *world) pass(d time.Duration) {
	end := w.now.Add(d)
	for range 1000 {
		next := w.cloud.Wake()
		if next.IsZero() || next.After(end) {
			w.now = end
			return
		}
		w.now = next
		if out := w.step(cloud.Tick{}); out.Err != nil {
			w.t.Fatal(out.Err)
		}
	}
	w.t.Fatal("time does not pass")
}

func (w *world) try(in any) (any, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", in), "*sqs."), "Input")
	out := w.step(cloud.Call{Scope: here, Service: Name, Operation: name, In: in})
	return out.Reply, out.Err
}

func call[Out any](w *world, in any) *Out {
	w.t.Helper()
	out, err := w.try(in)
	if err != nil {
		w.t.Fatalf("%T: %v", in, err)
	}
	return out.(*Out)
}

func (w *world) refused(code string, in any) {
	w.t.Helper()
	_, err := w.try(in)
	var e *api.Error
	if !errors.As(err, &e) || e.Code != code {
		w.t.Errorf("%T: %v, not %s", in, err, code)
	}
}

func (w *world) queue(name string, attributes map[string]string) *string {
	w.t.Helper()
	return call[shape.CreateQueueOutput](w, &shape.CreateQueueInput{QueueName: &name, Attributes: attributes}).QueueUrl
}

func (w *world) send(url *string, bodies ...string) {
	w.t.Helper()
	for _, b := range bodies {
		call[shape.SendMessageOutput](w, &shape.SendMessageInput{QueueUrl: url, MessageBody: &b})
	}
}

func (w *world) receive(url *string) []shape.Message {
	w.t.Helper()
	return call[shape.ReceiveMessageOutput](w, &shape.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(10)), AttributeNames: []string{"All"}, MessageAttributeNames: []string{"All"}}).Messages
}

func (w *world) numbers(url *string) string {
	w.t.Helper()
	a := call[shape.GetQueueAttributesOutput](w, &shape.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []string{"All"}}).Attributes
	return a["ApproximateNumberOfMessages"] + " " + a["ApproximateNumberOfMessagesDelayed"] + " " + a["ApproximateNumberOfMessagesNotVisible"]
}

func bodies(all []shape.Message) (text string) {
	for _, m := range all {
		text += *m.Body
	}
	return text
}

func TestAMessageIsHiddenUntilItIsDeletedOrItsTimeIsOver(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", map[string]string{"VisibilityTimeout": "10"})
	w.send(q, "a", "b")
	first := w.receive(q)
	if bodies(first) != "ab" || bodies(w.receive(q)) != "" || w.numbers(q) != "0 0 2" {
		t.Fatalf("received %q, then %s", bodies(first), w.numbers(q))
	}
	call[shape.DeleteMessageOutput](w, &shape.DeleteMessageInput{QueueUrl: q, ReceiptHandle: first[0].ReceiptHandle})
	woken := w.woken
	w.pass(10 * time.Second)
	if w.woken == woken {
		t.Error("nobody was told that a message is there again")
	}
	again := w.receive(q)
	if bodies(again) != "b" || again[0].Attributes["ApproximateReceiveCount"] != "2" || again[0].Attributes["SenderId"] != here.Account {
		t.Fatalf("%+v", again)
	}
	call[shape.DeleteMessageOutput](w, &shape.DeleteMessageInput{QueueUrl: q, ReceiptHandle: first[1].ReceiptHandle}) // an old handle
	w.refused("AWS.SimpleQueueService.MessageNotInflight", &shape.ChangeMessageVisibilityInput{QueueUrl: q, ReceiptHandle: first[1].ReceiptHandle, VisibilityTimeout: new(int32(0))})
	call[shape.ChangeMessageVisibilityOutput](w, &shape.ChangeMessageVisibilityInput{QueueUrl: q, ReceiptHandle: again[0].ReceiptHandle, VisibilityTimeout: new(int32(0))})
	third := w.receive(q)
	if bodies(third) != "b" {
		t.Fatal("it is not back at once")
	}
	call[shape.DeleteMessageOutput](w, &shape.DeleteMessageInput{QueueUrl: q, ReceiptHandle: third[0].ReceiptHandle})
	call[shape.DeleteMessageOutput](w, &shape.DeleteMessageInput{QueueUrl: q, ReceiptHandle: third[0].ReceiptHandle}) // again is no error
	if w.numbers(q) != "0 0 0" {
		t.Error(w.numbers(q))
	}
}

func TestDelayRetentionAndRedrive(t *testing.T) {
	w := newWorld(t)
	dead := w.queue("dead", nil)
	q := w.queue("q", map[string]string{"DelaySeconds": "5", "MessageRetentionPeriod": "600", "VisibilityTimeout": "1",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":"2"}`})
	w.send(q, "a")
	if bodies(w.receive(q)) != "" || w.numbers(q) != "0 1 0" {
		t.Error("not delayed: " + w.numbers(q))
	}
	w.pass(5 * time.Second)
	for range 2 {
		if bodies(w.receive(q)) != "a" {
			t.Fatal("not received")
		}
		w.pass(time.Second)
	}
	if bodies(w.receive(q)) != "" {
		t.Error("received too often")
	}
	got := w.receive(dead)
	if bodies(got) != "a" || got[0].Attributes["DeadLetterQueueSourceArn"] != "arn:aws:sqs:us-east-1:123456789012:q" {
		t.Errorf("dead letters: %+v", got)
	}
	if x := call[shape.ListDeadLetterSourceQueuesOutput](w, &shape.ListDeadLetterSourceQueuesInput{QueueUrl: dead}); len(x.QueueUrls) != 1 || x.QueueUrls[0] != *q {
		t.Error(x.QueueUrls)
	}
	w.send(q, "b")
	w.pass(599 * time.Second)
	if w.numbers(q) != "1 0 0" {
		t.Error(w.numbers(q))
	}
	w.pass(time.Second)
	if w.numbers(q) != "0 0 0" {
		t.Error("kept for longer than the retention")
	}
}

// TestDigests: SDKs refuse what does not fit the digests. That of the attributes was computed by AWS's description of it, in
// another language.
func TestDigests(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", nil)
	out := call[shape.SendMessageOutput](w, &shape.SendMessageInput{QueueUrl: q, MessageBody: new("hello"), MessageAttributes: map[string]shape.MessageAttributeValue{
		"n": {DataType: new("Number"), StringValue: new("1")}, "b": {DataType: new("Binary"), BinaryValue: []byte{1, 2}}}})
	if *out.MD5OfMessageBody != "5d41402abc4b2a76b9719d911017c592" || *out.MD5OfMessageAttributes != "d363733c49aca51ad4de1ebab905ec7c" {
		t.Error(*out.MD5OfMessageBody, *out.MD5OfMessageAttributes)
	}
	got := w.receive(q)
	if len(got) != 1 || *got[0].MD5OfMessageAttributes != *out.MD5OfMessageAttributes || string(got[0].MessageAttributes["b"].BinaryValue) != "\x01\x02" {
		t.Errorf("%+v", got)
	}
}

func TestBatches(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", nil)
	entry := func(id, body string) shape.SendMessageBatchRequestEntry {
		return shape.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
	}
	out := call[shape.SendMessageBatchOutput](w, &shape.SendMessageBatchInput{QueueUrl: q, Entries: []shape.SendMessageBatchRequestEntry{entry("1", "a"), entry("2", "\x01"), entry("3", "c")}})
	if len(out.Successful) != 2 || len(out.Failed) != 1 || *out.Failed[0].Id != "2" || *out.Failed[0].Code != "InvalidMessageContents" {
		t.Fatalf("%+v", out)
	}
	got := w.receive(q)
	if bodies(got) != "ac" {
		t.Fatal(bodies(got))
	}
	call[shape.DeleteMessageBatchOutput](w, &shape.DeleteMessageBatchInput{QueueUrl: q, Entries: []shape.DeleteMessageBatchRequestEntry{{Id: new("x"), ReceiptHandle: got[0].ReceiptHandle}, {Id: new("y"), ReceiptHandle: new("?")}}})
	if w.numbers(q) != "0 0 1" {
		t.Error(w.numbers(q))
	}
	w.refused("AWS.SimpleQueueService.EmptyBatchRequest", &shape.SendMessageBatchInput{QueueUrl: q})
	w.refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", &shape.SendMessageBatchInput{QueueUrl: q, Entries: []shape.SendMessageBatchRequestEntry{entry("1", "a"), entry("1", "b")}})
}

func TestQueues(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", map[string]string{"VisibilityTimeout": "10"})
	if *q != "http://127.0.0.1:4566/123456789012/q" || *w.queue("q", map[string]string{"VisibilityTimeout": "10"}) != *q || *w.queue("q", nil) != *q {
		t.Error(*q)
	}
	w.refused("QueueAlreadyExists", &shape.CreateQueueInput{QueueName: new("q"), Attributes: map[string]string{"VisibilityTimeout": "11"}})
	w.refused("InvalidParameterValue", &shape.CreateQueueInput{QueueName: new("a b")})
	w.refused("NotImplemented", &shape.CreateQueueInput{QueueName: new("a.fifo")})
	w.refused("InvalidAttributeName", &shape.CreateQueueInput{QueueName: new("r"), Attributes: map[string]string{"Colour": "red"}})
	w.refused("InvalidAttributeValue", &shape.CreateQueueInput{QueueName: new("r"), Attributes: map[string]string{"DelaySeconds": "901"}})
	w.refused("AWS.SimpleQueueService.NonExistentQueue", &shape.SendMessageInput{QueueUrl: new("http://127.0.0.1:4566/210987654321/q"), MessageBody: new("x")})
	w.refused("ReceiptHandleIsInvalid", &shape.DeleteMessageInput{QueueUrl: q, ReceiptHandle: new("x")})
	w.refused("InvalidParameterValue", &shape.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: new(int32(11))})
	call[shape.AddPermissionOutput](w, &shape.AddPermissionInput{QueueUrl: q, Label: new("l"), AWSAccountIds: []string{"210987654321"}, Actions: []string{"SendMessage"}})
	a := call[shape.GetQueueAttributesOutput](w, &shape.GetQueueAttributesInput{QueueUrl: q, AttributeNames: []string{"All"}}).Attributes
	if a["QueueArn"] != "arn:aws:sqs:us-east-1:123456789012:q" || a["VisibilityTimeout"] != "10" || !strings.Contains(a["Policy"], `"SQS:SendMessage"`) {
		t.Errorf("%v", a)
	}
	for _, name := range []string{"a", "b", "c"} {
		w.queue(name, nil)
	}
	page := call[shape.ListQueuesOutput](w, &shape.ListQueuesInput{MaxResults: new(int32(3))})
	rest := call[shape.ListQueuesOutput](w, &shape.ListQueuesInput{MaxResults: new(int32(3)), NextToken: page.NextToken})
	if len(page.QueueUrls) != 3 || len(rest.QueueUrls) != 1 || rest.QueueUrls[0] != *q || rest.NextToken != nil {
		t.Errorf("%v, %v", page, rest)
	}
	w.send(q, "a")
	call[shape.PurgeQueueOutput](w, &shape.PurgeQueueInput{QueueUrl: q})
	w.refused("AWS.SimpleQueueService.PurgeQueueInProgress", &shape.PurgeQueueInput{QueueUrl: q})
	if w.numbers(q) != "0 0 0" {
		t.Error("purged: " + w.numbers(q))
	}
	call[shape.DeleteQueueOutput](w, &shape.DeleteQueueInput{QueueUrl: q})
	w.refused("AWS.SimpleQueueService.NonExistentQueue", &shape.GetQueueUrlInput{QueueName: new("q")})
}
