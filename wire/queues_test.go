package wire

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	sqsapi "github.com/billow-cloud/billow/api/sqs"
)

// TestQueuesInQuery: clients from before SQS had JSON send and get what its API reference of that time shows. A queue is
// named by the path if not by a parameter.
func TestQueuesInQuery(t *testing.T) {
	b := &recorder{out: &sqsapi.SendMessageOutput{MessageId: new("m")}}
	h := newTestHandler(b, false)
	ask := func(path, form string) *httptest.ResponseRecorder {
		r := request("", form)
		r.URL.Path = path
		return serve(h, r)
	}
	const call = "Version=2012-11-05&Action="
	ask("/123456789012/q/", call+"SendMessage&MessageBody=hi&MessageAttribute.1.Name=a&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=v")
	ask("/", call+"SendMessage&QueueUrl=http%3A%2F%2Fx%2F1%2Fq&MessageBody=hi")
	ask("/", call+"CreateQueue&QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&Tag.1.Key=k&Tag.1.Value=v")
	ask("/1/q", call+"DeleteMessageBatch&DeleteMessageBatchRequestEntry.1.Id=x&DeleteMessageBatchRequestEntry.1.ReceiptHandle=y")
	want := []any{
		&sqsapi.SendMessageInput{QueueUrl: new("/123456789012/q"), MessageBody: new("hi"),
			MessageAttributes: map[string]sqsapi.MessageAttributeValue{"a": {DataType: new("String"), StringValue: new("v")}}},
		&sqsapi.SendMessageInput{QueueUrl: new("http://x/1/q"), MessageBody: new("hi")},
		&sqsapi.CreateQueueInput{QueueName: new("q"), Attributes: map[string]string{"DelaySeconds": "5"}, Tags: map[string]string{"k": "v"}},
		&sqsapi.DeleteMessageBatchInput{QueueUrl: new("/1/q"), Entries: []sqsapi.DeleteMessageBatchRequestEntry{{Id: new("x"), ReceiptHandle: new("y")}}},
	}
	if len(b.calls) != len(want) {
		t.Fatalf("%d calls", len(b.calls))
	}
	for i, c := range b.calls {
		if !reflect.DeepEqual(c.In, want[i]) {
			t.Errorf("%s: %+v", c.Operation, c.In)
		}
	}
	b.out = &sqsapi.ReceiveMessageOutput{Messages: []sqsapi.Message{{Body: new("hi"), Attributes: map[string]string{"SenderId": "s"}}}}
	got := ask("/1/q", call+"ReceiveMessage&AttributeName.1=All").Body.String()
	if !strings.Contains(got, "<ReceiveMessageResult><Message><Body>hi</Body><Attribute><Name>SenderId</Name><Value>s</Value></Attribute></Message></ReceiveMessageResult>") {
		t.Error(got)
	}
	b.out = &sqsapi.ReceiveMessageOutput{}
	r := request("AmazonSQS.ReceiveMessage", `{"QueueUrl":"q"}`)
	if got := serve(h, r).Body.String(); got != "{}" { // programs ask whether there are Messages
		t.Error(got)
	}
}
