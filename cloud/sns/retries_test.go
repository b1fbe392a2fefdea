package sns

import (
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/sns"
)

// TestPauses: the four phases of a delivery policy, in AWS's order, and how the pauses of the third grow.
func TestPauses(t *testing.T) {
	p := Retries{MinDelay: 1, MaxDelay: 60, Retries: 12, NoDelays: 2, MinDelays: 3, MaxDelays: 3}
	for function, want := range map[string][4]time.Duration{
		"linear":      {1000, 20666, 40333, 60000},
		"arithmetic":  {1000, 7555, 27222, 60000},
		"geometric":   {1000, 3914, 15326, 60000},
		"exponential": {1000, 1523, 6801, 60000},
	} {
		p.BackoffPattern = function
		all := []time.Duration{0, 0, 1000, 1000, 1000, want[0], want[1], want[2], want[3], 60000, 60000, 60000}
		for i, want := range all {
			if got := p.pause(i + 1); got != want*time.Millisecond {
				t.Errorf("%s: before retry %d it waits %s, not %s", function, i+1, got, want*time.Millisecond)
			}
		}
	}
	if got := usualRetries.pause(3); got != 20*time.Second {
		t.Errorf("usually it waits %s", got)
	}
}

// TestDeliveryPolicies: a subscription's policy goes before its topic's, unless the topic forbids it.
func TestDeliveryPolicies(t *testing.T) {
	w := newWorld(t)
	sub := w.subscriber(map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":5,"numRetries":2,"numNoDelayRetries":1},"requestPolicy":{"headerContentType":"application/json"}}`})
	attempts := func() (n int, took time.Duration) {
		before, start := len(w.wishes), w.now
		call[shape.PublishOutput](w, "Publish", &shape.PublishInput{TopicArn: new(topicARN), Message: new("x")})
		for range 10 {
			sent := len(w.wishes)
			if w.answer(500); len(w.wishes) > sent {
				continue // at once
			}
			if w.cloud.Wake().IsZero() {
				break
			}
			w.tick()
		}
		return len(w.wishes) - before, w.now.Sub(start)
	}
	if n, took := attempts(); n != 3 || took != 5*time.Second {
		t.Errorf("%d attempts in %s", n, took)
	}
	last := w.wishes[len(w.wishes)-1]
	if got := last.Headers[len(last.Headers)-1]; got != (Header{"Content-Type", "application/json"}) {
		t.Error(got)
	}
	call[shape.SetTopicAttributesOutput](w, "SetTopicAttributes", &shape.SetTopicAttributesInput{TopicArn: new(topicARN), AttributeName: new("DeliveryPolicy"),
		AttributeValue: new(`{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":1},"disableSubscriptionOverrides":true}}`)})
	if n, took := attempts(); n != 2 || took != time.Second {
		t.Errorf("%d attempts in %s", n, took)
	}
	got := call[shape.GetSubscriptionAttributesOutput](w, "GetSubscriptionAttributes", &shape.GetSubscriptionAttributesInput{SubscriptionArn: &sub}).Attributes["EffectiveDeliveryPolicy"]
	if !strings.HasPrefix(got, `{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":1,`) {
		t.Error(got)
	}
	for _, bad := range []string{`{`, `{"http":{"defaultHealthyRetryPolicy":{"numRetries":101}}}`, `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":9,"maxDelayTarget":8}}}`,
		`{"http":{"defaultHealthyRetryPolicy":{"backoffFunction":"cubic"}}}`, `{"http":{"defaultHealthyRetryPolicy":{"numRetries":1,"numNoDelayRetries":2}}}`} {
		_, err := w.try("SetTopicAttributes", &shape.SetTopicAttributesInput{TopicArn: new(topicARN), AttributeName: new("DeliveryPolicy"), AttributeValue: &bad})
		wantError(t, err, "InvalidParameter", "")
	}
}

func TestPublishBatch(t *testing.T) {
	w := newWorld(t)
	w.subscriber(nil)
	before := len(w.wishes)
	entry := func(id, text string) shape.PublishBatchRequestEntry {
		return shape.PublishBatchRequestEntry{Id: &id, Message: &text}
	}
	out := call[shape.PublishBatchOutput](w, "PublishBatch", &shape.PublishBatchInput{TopicArn: new(topicARN),
		PublishBatchRequestEntries: []shape.PublishBatchRequestEntry{entry("a", "1"), entry("b", ""), entry("c", "3")}})
	if len(out.Successful) != 2 || len(out.Failed) != 1 || *out.Failed[0].Id != "b" || *out.Failed[0].Code != "InvalidParameter" || len(w.wishes)-before != 2 {
		t.Errorf("%+v, %d sent", out, len(w.wishes)-before)
	}
	for code, entries := range map[string][]shape.PublishBatchRequestEntry{
		"EmptyBatchRequest": {}, "BatchEntryIdsNotDistinct": {entry("a", "1"), entry("a", "2")}, "InvalidBatchEntryId": {entry("a b", "1")},
		"TooManyEntriesInBatchRequest": {entry("0", "x"), entry("1", "x"), entry("2", "x"), entry("3", "x"), entry("4", "x"), entry("5", "x"), entry("6", "x"), entry("7", "x"), entry("8", "x"), entry("9", "x"), entry("10", "x")},
		"BatchRequestTooLong":          {entry("a", strings.Repeat("x", maxMessage)), entry("b", "x")},
	} {
		_, err := w.try("PublishBatch", &shape.PublishBatchInput{TopicArn: new(topicARN), PublishBatchRequestEntries: entries})
		wantError(t, err, code, "")
	}
}
