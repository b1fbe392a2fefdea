package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestEvents is EventBridge as people use it: a rule on state changes and a schedule, both heard by a topic's subscriber.
func TestEvents(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	s := start(t, "--driver", "sim", "--auth", "none", "--time-scale", "60") // a minute is a second
	box := newMailbox(t)
	topic := s.text("sns", "create-topic", "--name", "news", "--query", "TopicArn")
	s.aws(nil, "sns", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", box.server.URL)
	s.aws(nil, "sns", "confirm-subscription", "--topic-arn", topic, "--token", box.await(t, "SubscriptionConfirmation", "")["Token"].(string))

	s.aws(nil, "sns", "set-topic-attributes", "--topic-arn", topic, "--attribute-name", "Policy", "--attribute-value", // a topic's own policy lets no rule in
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sns:Publish","Resource":"`+topic+`"}]}`)

	arn := s.text("events", "put-rule", "--name", "states", "--event-pattern",
		`{"source":["aws.ec2"],"detail-type":["EC2 Instance State-change Notification"],"detail":{"state":["running",{"prefix":"term"}]}}`, "--query", "RuleArn")
	s.aws(nil, "events", "put-targets", "--rule", "states", "--targets", mustJSON(t, []any{
		map[string]any{"Id": "short", "Arn": topic, "InputTransformer": map[string]any{
			"InputPathsMap": map[string]string{"state": "$.detail.state", "id": "$.detail.instance-id"}, "InputTemplate": `{"Event": <state>, "of": "<id> by <aws.events.rule-name>"}`}},
		map[string]any{"Id": "whole", "Arn": topic},
	}))
	id := s.text("ec2", "run-instances", "--image-id", s.amazonLinux(), "--instance-type", "t3.micro", "--query", "Instances[0].InstanceId")
	if m := box.await(t, "Notification", "running"); m["of"] != id+" by states" {
		t.Errorf("%v", m)
	}
	s.aws(nil, "ec2", "terminate-instances", "--instance-ids", id)
	if m := box.await(t, "Notification", "terminated"); m["of"] != id+" by states" {
		t.Errorf("%v", m)
	}
	whole := box.event(t, "EC2 Instance State-change Notification")
	if whole["source"] != "aws.ec2" || whole["region"] != "us-east-1" || !strings.HasSuffix(whole["resources"].([]any)[0].(string), ":instance/"+id) {
		t.Errorf("%v", whole)
	}

	// A schedule, in the cloud's time.
	tick := s.text("events", "put-rule", "--name", "tick", "--schedule-expression", "rate(1 minute)", "--query", "RuleArn")
	s.aws(nil, "events", "put-targets", "--rule", "tick", "--targets", "Id=1,Arn="+topic)
	if e := box.event(t, "Scheduled Event"); e["resources"].([]any)[0] != tick {
		t.Errorf("%v", e)
	}

	// What a client asks and what it is refused.
	event := mustJSON(t, map[string]any{"id": "1", "account": "1", "source": "a", "time": "2026-01-01T00:00:00Z", "region": "r", "resources": []string{}, "detail-type": "t",
		"detail": map[string]any{"n": 5, "ip": "10.0.0.7"}})
	for pattern, want := range map[string]bool{`{"detail":{"n":[{"numeric":[">",4]}],"ip":[{"cidr":"10.0.0.0/8"}]}}`: true, `{"detail":{"n":["5"]}}`: false} {
		var got struct{ Result bool }
		if s.aws(&got, "events", "test-event-pattern", "--event-pattern", pattern, "--event", event); got.Result != want {
			t.Errorf("%s: %v", pattern, got.Result)
		}
	}
	var put struct {
		FailedEntryCount int
		Entries          []struct{ ErrorCode string }
	}
	s.aws(&put, "events", "put-events", "--entries", `[{"Source":"my.app","DetailType":"t","Detail":"{}"},{"Source":"my.app","DetailType":"t","Detail":"no"}]`)
	if put.FailedEntryCount != 1 || len(put.Entries) != 2 || put.Entries[1].ErrorCode != "MalformedDetail" {
		t.Errorf("%+v", put)
	}
	if out, err := s.awsCLI("events", "delete-rule", "--name", "states"); err == nil || !strings.Contains(err.Error(), "ValidationException") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := s.awsCLI("events", "put-rule", "--name", "x", "--event-pattern", `{"a":1}`); err == nil || !strings.Contains(err.Error(), "InvalidEventPatternException") {
		t.Errorf("%v %s", err, out)
	}
	if names := s.texts("events", "list-rule-names-by-target", "--target-arn", topic, "--query", "RuleNames"); strings.Join(names, " ") != "states tick" {
		t.Error(names)
	}
	s.aws(nil, "events", "remove-targets", "--rule", "states", "--ids", "short", "whole")
	s.aws(nil, "events", "delete-rule", "--name", "states")
	if !strings.HasSuffix(arn, ":rule/states") {
		t.Error(arn)
	}
}

// event awaits a notification whose message is an event of a type.
func (m *mailbox) event(t *testing.T, detailType string) map[string]any {
	t.Helper()
	var found map[string]any
	eventually(t, 20*time.Second, "the topic delivers "+detailType, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, message := range m.got {
			text, _ := message["Message"].(string)
			if found = nil; json.Unmarshal([]byte(text), &found) == nil && found["detail-type"] == detailType {
				return true
			}
		}
		return false
	})
	return found
}
