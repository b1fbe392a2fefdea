package sns

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	queueapi "github.com/billow-cloud/billow/api/sqs"

	shape "github.com/billow-cloud/billow/api/sns"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// queue makes a queue and gives its ARN and URL. Topics may send to it, if its attributes do not say otherwise.
func (w *world) queue(name string, attributes map[string]string) (arn, url string) {
	w.t.Helper()
	if attributes == nil {
		attributes = map[string]string{"Policy": `{"Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}}`}
	}
	reply, err := w.step(cloud.Call{Scope: here, Service: sqs.Name, Operation: "CreateQueue", In: &queueapi.CreateQueueInput{QueueName: &name, Attributes: attributes}})
	if err != nil {
		w.t.Fatal(err)
	}
	return here.ARN(sqs.Name, name), *reply.(*queueapi.CreateQueueOutput).QueueUrl
}

// receive takes all messages of a queue.
func (w *world) receive(url string) (all []queueapi.Message) {
	w.t.Helper()
	for range 20 {
		reply, err := w.step(cloud.Call{Scope: here, Service: sqs.Name, Operation: "ReceiveMessage",
			In: &queueapi.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: new(int32(10)), MessageAttributeNames: []string{"All"}}})
		if err != nil {
			w.t.Fatal(err)
		}
		got := reply.(*queueapi.ReceiveMessageOutput).Messages
		if len(got) == 0 {
			break
		}
		all = append(all, got...)
	}
	return all
}

func (w *world) subscribe(protocol, endpoint string, attributes map[string]string) string {
	w.t.Helper()
	call[shape.CreateTopicOutput](w, "CreateTopic", &shape.CreateTopicInput{Name: new("news")})
	return *call[shape.SubscribeOutput](w, "Subscribe", &shape.SubscribeInput{TopicArn: new(topicARN), Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes}).SubscriptionArn
}

func (w *world) publish(text string, attributes map[string]shape.MessageAttributeValue) {
	w.t.Helper()
	call[shape.PublishOutput](w, "Publish", &shape.PublishInput{TopicArn: new(topicARN), Message: &text, Subject: new("s"), MessageAttributes: attributes})
}

// TestQueuesSubscribe: a queue of the account is confirmed at once, gets the envelope or, raw, the text with its attributes.
func TestQueuesSubscribe(t *testing.T) {
	w := newWorld(t)
	arn, url := w.queue("q", nil)
	raw, rawURL := w.queue("raw", nil)
	if got := w.subscribe("sqs", arn, nil); !strings.HasPrefix(got, topicARN+":") {
		t.Errorf("subscription %s", got)
	}
	w.subscribe("sqs", raw, map[string]string{"RawMessageDelivery": "true"})
	w.publish("hello", map[string]shape.MessageAttributeValue{"n": {DataType: new("Number"), StringValue: new("3")}})
	got := w.receive(url)
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	var body struct{ Type, TopicArn, Subject, Message, UnsubscribeURL string }
	if err := json.Unmarshal([]byte(*got[0].Body), &body); err != nil || body.Type != "Notification" || body.TopicArn != topicARN || body.Message != "hello" ||
		body.Subject != "s" || body.UnsubscribeURL == "" {
		t.Error(err, *got[0].Body)
	}
	got = w.receive(rawURL)
	if len(got) != 1 || *got[0].Body != "hello" || *got[0].MessageAttributes["n"].StringValue != "3" || *got[0].MessageAttributes["n"].DataType != "Number" {
		t.Errorf("%+v", got)
	}
	if len(w.wishes) != 0 {
		t.Errorf("%+v", w.wishes)
	}
}

// TestDeadLetters: what a queue does not take, what an HTTP endpoint refuses and what a function cannot be invoked with goes
// to the subscription's dead-letter queue; a queue's policy has to let topics in.
func TestDeadLetters(t *testing.T) {
	w := newWorld(t)
	dead, deadURL := w.queue("dead", nil)
	redrive := map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q}`, dead)}
	statement := func(effect string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":%q,"Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage",`+
			`"Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, effect, topicARN)
	}
	open, openURL := w.queue("open", map[string]string{"Policy": statement("Allow")})
	shut, shutURL := w.queue("shut", map[string]string{"Policy": strings.Replace(statement("Allow"), ":news", ":other", 1)})
	denied, deniedURL := w.queue("denied", map[string]string{"Policy": statement("Deny")})
	bare, bareURL := w.queue("bare", map[string]string{})
	for _, q := range []string{open, shut, denied, bare, here.ARN(sqs.Name, "gone")} {
		w.subscribe("sqs", q, redrive)
	}
	w.publish("m", nil)
	if a, b, c, d := len(w.receive(openURL)), len(w.receive(shutURL)), len(w.receive(deniedURL)), len(w.receive(bareURL)); a != 1 || b != 0 || c != 0 || d != 0 {
		t.Errorf("open %d, shut %d, denied %d, without a policy %d", a, b, c, d)
	}
	if got := w.receive(deadURL); len(got) != 4 || !strings.Contains(*got[0].Body, `"Message": "m"`) {
		t.Errorf("%d dead letters", len(got))
	}

	w = newWorld(t)
	dead, deadURL = w.queue("dead", nil)
	w.subscriber(redrive)
	w.publish("m", nil)
	w.answer(404)
	if got := w.receive(deadURL); len(got) != 1 {
		t.Errorf("%d dead letters of an endpoint that refuses", len(got))
	}
	w.publish("m", nil)
	for range 3 {
		w.answer(500)
		w.tick()
	}
	w.answer(500)
	if got := w.receive(deadURL); len(got) != 1 || !strings.Contains(*got[0].Body, `"Message": "m"`) {
		t.Errorf("%d dead letters of an endpoint that fails", len(got))
	}

	w = newWorld(t)
	_, deadURL = w.queue("dead", nil)
	function := "arn:aws:lambda:us-east-1:123456789012:function:f"
	id := w.subscribe("lambda", function, redrive)
	w.publish("for you", nil)
	if len(w.above.heard) != 1 {
		t.Fatalf("%d heard", len(w.above.heard))
	}
	n := w.above.heard[0]
	var payload struct {
		Records []struct {
			EventSource, EventSubscriptionArn string
			Sns                               struct{ Message, Subject, TopicArn, MessageId string }
		}
	}
	if err := json.Unmarshal([]byte(n.Payload), &payload); err != nil || n.FunctionARN != function || n.SubscriptionARN != id || len(payload.Records) != 1 ||
		payload.Records[0].EventSource != "aws:sns" || payload.Records[0].Sns.Message != "for you" || payload.Records[0].Sns.MessageId != n.MessageID {
		t.Error(err, n)
	}
	w.step(cloud.Observed{Facts: []cloud.Fact{func(tx *cloud.Tx) { w.sns.NotInvoked(tx, n) }}})
	if got := w.receive(deadURL); len(got) != 1 || *got[0].Body != n.Payload {
		t.Errorf("%d dead letters of a function", len(got))
	}
}

// TestMailbox: mails are kept, the request to confirm with a token that works, and the oldest go.
func TestMailbox(t *testing.T) {
	w := newWorld(t)
	w.subscribe("email", "me@example.com", nil)
	w.subscribe("email-json", "you@example.com", nil)
	w.publish("too early", nil)
	mails := func(in MailsInput) []Mail { return call[MailsOutput](w, "mailbox", &in).Mails }
	all := mails(MailsInput{})
	if len(all) != 2 || all[0].Subject != "AWS Notification - Subscription Confirmation" || !strings.Contains(all[0].Body, "Token="+all[0].Token) ||
		!strings.Contains(all[1].Body, `"Type": "SubscriptionConfirmation"`) {
		t.Fatalf("%+v", all)
	}
	for _, m := range all {
		call[shape.ConfirmSubscriptionOutput](w, "ConfirmSubscription", &shape.ConfirmSubscriptionInput{TopicArn: &m.TopicARN, Token: &m.Token})
	}
	w.publish("hello", nil)
	mine := mails(MailsInput{To: "ME@example.com"})
	if len(mine) != 2 || mine[1].Subject != "s" || !strings.HasPrefix(mine[1].Body, "hello\n\n--\n") || mine[1].From != "AWS Notifications <no-reply@sns.amazonaws.com>" {
		t.Errorf("%+v", mine)
	}
	if one := mails(MailsInput{ID: mine[1].ID}); len(one) != 1 || one[0] != mine[1] {
		t.Errorf("%+v", one)
	}
	if _, err := w.try("mailbox", &MailsInput{ID: "nope"}); err == nil {
		t.Error("a mail that is not there")
	}
	for range maxMails {
		w.publish("more", nil)
	}
	if all := mails(MailsInput{}); len(all) != maxMails || all[0].Subject != "s" {
		t.Errorf("%d mails", len(all))
	}
}

// TestFiltersOverTheBody look into the message itself.
func TestFiltersOverTheBody(t *testing.T) {
	w := newWorld(t)
	arn, url := w.queue("q", nil)
	w.subscribe("sqs", arn, map[string]string{"FilterPolicyScope": "MessageBody", "RawMessageDelivery": "true",
		"FilterPolicy": `{"order":{"total":[{"numeric":[">",10]}],"kind":[{"anything-but":{"prefix":"test"}}]},"$or":[{"vip":[true]},{"country":["CH"]}]}`})
	for text, want := range map[string]bool{
		`{"order":{"total":11,"kind":"real"},"vip":true}`:    true,
		`{"order":[{"total":11,"kind":"r"}],"country":"CH"}`: true,
		`{"order":{"total":10,"kind":"real"},"vip":true}`:    false,
		`{"order":{"total":11,"kind":"tests"},"vip":true}`:   false,
		`{"order":{"total":11,"kind":"real"}}`:               false,
		`no json`:                                            false,
	} {
		w.publish(text, nil)
		if got := w.receive(url); (len(got) == 1) != want {
			t.Errorf("%s: %d", text, len(got))
		}
	}
}
