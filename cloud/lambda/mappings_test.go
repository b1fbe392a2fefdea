package lambda

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/lambda"
	sqsapi "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/sqs"
)

func (w *world) sqs(operation string, in any) any {
	w.t.Helper()
	out, err := w.step(cloud.Call{Scope: here, RequestID: "r", Service: sqs.Name, Operation: operation, In: in})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) newQueue(name string) string {
	w.sqs("CreateQueue", &sqsapi.CreateQueueInput{QueueName: &name})
	return here.ARN("sqs", name)
}

// left is how many messages of a queue can be received, and how many are hidden.
func (w *world) left(queue string) string {
	a := w.sqs("GetQueueAttributes", &sqsapi.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: []string{"All"}}).(*sqsapi.GetQueueAttributesOutput).Attributes
	return a["ApproximateNumberOfMessages"] + " " + a["ApproximateNumberOfMessagesNotVisible"]
}

func (w *world) send(queue string, bodies ...string) {
	for _, body := range bodies {
		w.sqs("SendMessage", &sqsapi.SendMessageInput{QueueUrl: &queue, MessageBody: &body,
			MessageAttributes: map[string]sqsapi.MessageAttributeValue{"kind": {DataType: new("String"), StringValue: new("test")}}})
	}
}

func (w *world) records(i int) (all []queueRecord) {
	w.t.Helper()
	var event struct{ Records []queueRecord }
	if i >= len(w.runs) || json.Unmarshal(w.runs[i].Payload, &event) != nil {
		w.t.Fatalf("run %d of %d", i, len(w.runs))
	}
	return event.Records
}

// TestMapping: a function gets a queue's messages, and what it is done with goes.
func TestMapping(t *testing.T) {
	w := newWorld(t)
	w.made("f")
	arn := w.newQueue("q")
	w.send("q", "before")
	create := &shape.CreateEventSourceMappingInput{FunctionName: new("f"), EventSourceArn: &arn, BatchSize: new(int32(2))}
	m := do[shape.CreateEventSourceMappingOutput](w, "CreateEventSourceMapping", create)
	if *m.State != "Creating" || *m.FunctionArn != functionARN(here, "f", "") || *m.BatchSize != 2 {
		t.Errorf("%+v", m)
	}
	w.refused("CreateEventSourceMapping", create, "ResourceConflictException", "already exists. Please update or delete the existing mapping with UUID "+*m.UUID)
	r := w.records(0)
	if len(r) != 1 || r[0].Body != "before" || r[0].EventSource != "aws:sqs" || r[0].EventSourceARN != arn || r[0].Region != "us-east-1" ||
		r[0].Attributes["ApproximateReceiveCount"] != "1" || *r[0].MessageAttributes["kind"].StringValue != "test" || r[0].MD5OfBody == "" {
		t.Errorf("%+v", r)
	}
	w.ended("", "null")
	if got := w.left("q"); got != "0 0" {
		t.Errorf("left: %s", got)
	}
	w.send("q", "one")
	w.ended(Unhandled, "")
	if got := w.left("q"); got != "0 1" || len(w.runs) != 0 {
		t.Errorf("left: %s", got)
	}
	if w.pass(30 * time.Second); len(w.runs) != 1 || w.records(0)[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("it does not come back: %+v", w.runs)
	}
	w.ended("", "")
	if got := do[shape.GetEventSourceMappingOutput](w, "GetEventSourceMapping", &shape.GetEventSourceMappingInput{UUID: m.UUID}); *got.State != "Enabled" || *got.LastProcessingResult != "OK" {
		t.Errorf("%+v", got)
	}
	do[shape.UpdateEventSourceMappingOutput](w, "UpdateEventSourceMapping", &shape.UpdateEventSourceMappingInput{UUID: m.UUID, Enabled: new(false)})
	w.send("q", "two", "three", "four")
	if len(w.runs) != 0 {
		t.Error("it is off")
	}
	do[shape.UpdateEventSourceMappingOutput](w, "UpdateEventSourceMapping", &shape.UpdateEventSourceMappingInput{UUID: m.UUID, Enabled: new(true), FunctionResponseTypes: []string{"ReportBatchItemFailures"}})
	if len(w.runs) != 2 || len(w.records(0)) != 2 || len(w.records(1)) != 1 {
		t.Fatalf("%d runs", len(w.runs))
	}
	w.ended("", fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, w.records(0)[1].MessageID))
	w.ended("", "{}")
	if got := w.left("q"); got != "0 1" {
		t.Errorf("the one that failed: %s", got)
	}
	list := do[shape.ListEventSourceMappingsOutput](w, "ListEventSourceMappings", &shape.ListEventSourceMappingsInput{FunctionName: new("f")})
	if len(list.EventSourceMappings) != 1 {
		t.Errorf("%+v", list)
	}
	do[shape.DeleteEventSourceMappingOutput](w, "DeleteEventSourceMapping", &shape.DeleteEventSourceMappingInput{UUID: m.UUID})
	if w.pass(time.Minute); len(w.runs) != 0 {
		t.Error("it is deleted")
	}
	w.refused("GetEventSourceMapping", &shape.GetEventSourceMappingInput{UUID: m.UUID}, "ResourceNotFoundException", "does not exist")
}

// TestMappingWindowsAndRoom: batches wait to be full; no more are under way than may be; after a restart all comes back.
func TestMappingWindowsAndRoom(t *testing.T) {
	w := newWorld(t)
	w.made("f")
	arn := w.newQueue("q")
	do[shape.CreateEventSourceMappingOutput](w, "CreateEventSourceMapping", &shape.CreateEventSourceMappingInput{FunctionName: new("f"), EventSourceArn: &arn,
		BatchSize: new(int32(20)), MaximumBatchingWindowInSeconds: new(int32(5)), ScalingConfig: &shape.ScalingConfig{MaximumConcurrency: new(int32(2))}})
	w.send("q", "a", "b")
	if w.pass(4 * time.Second); len(w.runs) != 0 {
		t.Error("too early")
	}
	if w.pass(time.Second); len(w.runs) != 1 || len(w.records(0)) != 2 {
		t.Fatalf("%d runs", len(w.runs))
	}
	w.ended("", "")
	for i := range 41 {
		w.send("q", fmt.Sprint(i))
	}
	if len(w.runs) != 2 || len(w.records(1)) != 20 {
		t.Fatalf("two full batches: %d runs", len(w.runs))
	}
	w.pass(10 * time.Second)
	if len(w.runs) != 2 {
		t.Errorf("two at once: %d runs", len(w.runs))
	}
	w.ended("", "")
	if w.pass(10 * time.Second); len(w.runs) != 2 || len(w.records(1)) != 1 {
		t.Errorf("the rest: %d runs", len(w.runs))
	}
	w.runs = nil
	w.restart()
	if len(w.runs) != 2 || len(w.records(0))+len(w.records(1)) != 21 {
		t.Fatalf("what was under way is run again: %d runs", len(w.runs))
	}
	seen := 0
	for range 10 {
		for len(w.runs) > 0 {
			seen += len(w.records(0))
			w.ended("", "")
		}
		w.pass(10 * time.Second)
	}
	if got := w.left("q"); seen != 21 || got != "0 0" {
		t.Errorf("%d messages, left %s", seen, got)
	}
	do[shape.PutFunctionConcurrencyOutput](w, "PutFunctionConcurrency", &shape.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: new(int32(0))})
	w.send("q", "x")
	if w.pass(10 * time.Second); len(w.runs) != 0 || w.left("q") != "1 0" {
		t.Errorf("no room: %d runs, left %s", len(w.runs), w.left("q"))
	}
	do[shape.DeleteFunctionConcurrencyOutput](w, "DeleteFunctionConcurrency", &shape.DeleteFunctionConcurrencyInput{FunctionName: new("f")})
	if w.pass(2 * time.Second); len(w.runs) != 1 {
		t.Errorf("%d runs", len(w.runs))
	}
}

func TestBadMappings(t *testing.T) {
	w := newWorld(t)
	w.made("f")
	arn := w.newQueue("q")
	for part, change := range map[string]func(*shape.CreateEventSourceMappingInput){
		"must be the ARN of an SQS queue": func(in *shape.CreateEventSourceMappingInput) {
			in.EventSourceArn = new("arn:aws:kinesis:us-east-1:123456789012:stream/s")
		},
		"NonExistentQueue":                func(in *shape.CreateEventSourceMappingInput) { in.EventSourceArn = new(here.ARN("sqs", "none")) },
		"Maximum batch window in seconds": func(in *shape.CreateEventSourceMappingInput) { in.BatchSize = new(int32(11)) },
		"FilterCriteria": func(in *shape.CreateEventSourceMappingInput) {
			in.FilterCriteria = &shape.FilterCriteria{Filters: []shape.Filter{{}}}
		},
		"StartingPosition is not valid": func(in *shape.CreateEventSourceMappingInput) { in.StartingPosition = new("LATEST") },
		"Unsupported parameter":         func(in *shape.CreateEventSourceMappingInput) { in.ParallelizationFactor = new(int32(2)) },
	} {
		in := &shape.CreateEventSourceMappingInput{FunctionName: new("f"), EventSourceArn: &arn}
		change(in)
		w.refused("CreateEventSourceMapping", in, "InvalidParameterValueException", part)
	}
	do[shape.UpdateFunctionConfigurationOutput](w, "UpdateFunctionConfiguration", &shape.UpdateFunctionConfigurationInput{FunctionName: new("f"), Timeout: new(int32(100))})
	w.refused("CreateEventSourceMapping", &shape.CreateEventSourceMappingInput{FunctionName: new("f"), EventSourceArn: &arn}, "InvalidParameterValueException",
		"Queue visibility timeout: 30 seconds is less than Function timeout: 100 seconds")
}

// TestQueuesAsTargets: dead letters and records of what was done go to queues.
func TestQueuesAsTargets(t *testing.T) {
	w := newWorld(t)
	w.made("f")
	dead, done := w.newQueue("dead"), w.newQueue("done")
	do[shape.UpdateFunctionConfigurationOutput](w, "UpdateFunctionConfiguration", &shape.UpdateFunctionConfigurationInput{FunctionName: new("f"), DeadLetterConfig: &shape.DeadLetterConfig{TargetArn: &dead}})
	do[shape.PutFunctionEventInvokeConfigOutput](w, "PutFunctionEventInvokeConfig", &shape.PutFunctionEventInvokeConfigInput{FunctionName: new("f"), MaximumRetryAttempts: new(int32(0)),
		DestinationConfig: &shape.DestinationConfig{OnSuccess: &shape.OnSuccess{Destination: &done}}})
	w.event("f", `{"n":1}`)
	w.ended("", `{"ok":1}`)
	w.event("f", `{"n":2}`)
	w.ended(Unhandled, "")
	receive := func(queue string) sqsapi.Message {
		out := w.sqs("ReceiveMessage", &sqsapi.ReceiveMessageInput{QueueUrl: &queue, MessageAttributeNames: []string{"All"}}).(*sqsapi.ReceiveMessageOutput)
		if len(out.Messages) != 1 {
			t.Fatalf("%s: %+v", queue, out)
		}
		return out.Messages[0]
	}
	if m := receive("dead"); *m.Body != `{"n":2}` || *m.MessageAttributes["ErrorCode"].StringValue != "200" || m.MessageAttributes["RequestID"].StringValue == nil {
		t.Errorf("%+v", m)
	}
	if m := receive("done"); !strings.Contains(*m.Body, `"condition":"Success"`) || !strings.Contains(*m.Body, `"responsePayload":{"ok":1}`) {
		t.Errorf("%s", *m.Body)
	}
}
