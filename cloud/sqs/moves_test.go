package sqs

import (
	"fmt"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/sqs"
)

func arn(name string) *string { return new(here.ARN(Name, name)) }

// deadLetters makes a queue with as many dead letters, each received once.
func (w *world) deadLetters(n int) (q, dead *string) {
	w.t.Helper()
	dead = w.queue("dead", nil)
	q = w.queue("q", map[string]string{"VisibilityTimeout": "1", "RedrivePolicy": `{"deadLetterTargetArn":"` + *arn("dead") + `","maxReceiveCount":1}`})
	for i := range n {
		w.send(q, fmt.Sprint(i%10))
	}
	for range n {
		if len(w.receive(q)) == 0 {
			break
		}
	}
	w.pass(time.Second)
	w.receive(q)
	return q, dead
}

func (w *world) task(source string) shape.ListMessageMoveTasksResultEntry {
	w.t.Helper()
	out := call[shape.ListMessageMoveTasksOutput](w, &shape.ListMessageMoveTasksInput{SourceArn: arn(source)})
	if len(out.Results) != 1 {
		w.t.Fatalf("%d tasks", len(out.Results))
	}
	return out.Results[0]
}

func TestDeadLettersGoBack(t *testing.T) {
	w := newWorld(t)
	q, dead := w.deadLetters(12)
	if w.numbers(q) != "0 0 0" || w.numbers(dead) != "12 0 0" {
		t.Fatal(w.numbers(q), "and", w.numbers(dead))
	}
	w.pass(time.Hour)
	call[shape.StartMessageMoveTaskOutput](w, &shape.StartMessageMoveTaskInput{SourceArn: arn("dead"), MaxNumberOfMessagesPerSecond: new(int32(5))})
	w.refused("InvalidParameterValue", &shape.StartMessageMoveTaskInput{SourceArn: arn("dead")}) // one at a time
	w.pass(1500 * time.Millisecond)
	if x := w.task("dead"); *x.Status != "RUNNING" || *x.ApproximateNumberOfMessagesMoved != 10 || *x.ApproximateNumberOfMessagesToMove != 12 || w.numbers(q) != "10 0 0" {
		t.Errorf("%s %d, %s", *x.Status, *x.ApproximateNumberOfMessagesMoved, w.numbers(q))
	}
	w.pass(2 * time.Second)
	if x := w.task("dead"); *x.Status != "COMPLETED" || *x.ApproximateNumberOfMessagesMoved != 12 || x.TaskHandle != nil || w.numbers(q)+w.numbers(dead) != "12 0 00 0 0" {
		t.Errorf("%+v, %s", x, w.numbers(q))
	}
	m := w.receive(q)[0]
	if m.Attributes["ApproximateReceiveCount"] != "1" || m.Attributes["DeadLetterQueueSourceArn"] != "" || m.Attributes["SentTimestamp"] < fmt.Sprint(w.now.Add(-time.Minute).UnixMilli()) {
		t.Errorf("it is not as new: %v", m.Attributes)
	}
}

func TestAMoveEnds(t *testing.T) {
	w := newWorld(t)
	_, dead := w.deadLetters(3)
	other := w.queue("other", nil)
	start := call[shape.StartMessageMoveTaskOutput](w, &shape.StartMessageMoveTaskInput{SourceArn: arn("dead"), DestinationArn: arn("other"), MaxNumberOfMessagesPerSecond: new(int32(1))})
	if out := call[shape.CancelMessageMoveTaskOutput](w, &shape.CancelMessageMoveTaskInput{TaskHandle: start.TaskHandle}); *out.ApproximateNumberOfMessagesMoved != 1 {
		t.Error(*out.ApproximateNumberOfMessagesMoved)
	}
	w.refused("InvalidParameterValue", &shape.CancelMessageMoveTaskInput{TaskHandle: start.TaskHandle})
	w.pass(10 * time.Second)
	if x := w.task("dead"); *x.Status != "CANCELLED" || w.numbers(dead)+w.numbers(other) != "2 0 01 0 0" {
		t.Errorf("%s, %s and %s", *x.Status, w.numbers(dead), w.numbers(other))
	}
	w.send(dead, "of nowhere")
	call[shape.StartMessageMoveTaskOutput](w, &shape.StartMessageMoveTaskInput{SourceArn: arn("dead")})
	w.pass(time.Second)
	if x := w.task("dead"); *x.Status != "FAILED" || *x.FailureReason != "CouldNotDetermineMessageSource" || *x.ApproximateNumberOfMessagesMoved != 2 {
		t.Errorf("%+v", x)
	}
	w.refused("InvalidParameterValue", &shape.StartMessageMoveTaskInput{SourceArn: arn("other")}) // nobody's dead letters
	w.refused("ResourceNotFoundException", &shape.StartMessageMoveTaskInput{SourceArn: arn("none")})
	w.refused("ResourceNotFoundException", &shape.StartMessageMoveTaskInput{SourceArn: arn("dead"), DestinationArn: arn("none")})
	w.refused("InvalidParameterValue", &shape.CancelMessageMoveTaskInput{TaskHandle: new("x")})
}

func TestADeletedQueuesNameIsFreeAfterAMinute(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", nil)
	call[shape.DeleteQueueOutput](w, &shape.DeleteQueueInput{QueueUrl: q})
	w.pass(59 * time.Second)
	w.refused("AWS.SimpleQueueService.QueueDeletedRecently", &shape.CreateQueueInput{QueueName: new("q")})
	w.pass(time.Second)
	w.queue("q", nil)
	if wake := w.cloud.Wake(); !wake.IsZero() {
		t.Errorf("it still wakes at %v", wake)
	}
}

func TestNamesOfAttributes(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", nil)
	w.send(q, "a")
	got := call[shape.ReceiveMessageOutput](w, &shape.ReceiveMessageInput{QueueUrl: q, AttributeNames: []string{"ApproximateReceiveCount"}}).Messages
	if len(got) != 1 || len(got[0].Attributes) != 1 || got[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("%+v", got)
	}
	w.refused("InvalidAttributeName", &shape.ReceiveMessageInput{QueueUrl: q, AttributeNames: []string{"Colour"}})
	w.refused("InvalidAttributeName", &shape.GetQueueAttributesInput{QueueUrl: q, AttributeNames: []string{"Colour"}})
}

// TestTooManyInFlight: a call that does not wait is refused, one that does gets nothing.
func TestTooManyInFlight(t *testing.T) {
	defer func(n int) { inFlight = n }(inFlight)
	inFlight = 20
	w := newWorld(t)
	q := w.queue("q", nil)
	for range inFlight + 5 {
		w.send(q, "x")
	}
	first := w.receive(q)
	w.receive(q)
	w.refused("OverLimit", &shape.ReceiveMessageInput{QueueUrl: q})
	if out := call[shape.ReceiveMessageOutput](w, &shape.ReceiveMessageInput{QueueUrl: q, WaitTimeSeconds: new(int32(5))}); len(out.Messages) != 0 {
		t.Error("received")
	}
	call[shape.DeleteMessageOutput](w, &shape.DeleteMessageInput{QueueUrl: q, ReceiptHandle: first[0].ReceiptHandle})
	if got := w.receive(q); len(got) != 5 {
		t.Errorf("%d messages when there is room again", len(got))
	}
	w.pass(time.Minute)
	if got := w.receive(q); len(got) != 10 {
		t.Errorf("%d messages when those in flight are back", len(got))
	}
}
