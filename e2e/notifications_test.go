package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"
)

// TestLongPolls: a poll that has been sent is answered within 100 ms of a message. Other tests may have the processors, so
// one round of several is enough.
func TestLongPolls(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	s := start(t, "--driver", "sim", "--auth", "none")
	url := s.text("sqs", "create-queue", "--queue-name", "q", "--attributes", "ReceiveMessageWaitTimeSeconds=20", "--query", "QueueUrl")
	ask := func(ctx context.Context, operation string, in map[string]any) (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, strings.NewReader(mustJSON(t, in)))
		if err != nil {
			return "", err
		}
		request.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
		request.Header.Set("Content-Type", "application/x-amz-json-1.0")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	best := time.Hour
	for range 5 {
		asked, answered := make(chan bool, 1), make(chan time.Time, 1)
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { asked <- true }})
		go func() {
			if body, err := ask(ctx, "ReceiveMessage", map[string]any{"QueueUrl": url}); err != nil || !strings.Contains(body, "hello") {
				t.Errorf("%v %s", err, body)
			}
			answered <- time.Now()
		}()
		<-asked
		sent := time.Now()
		if body, err := ask(t.Context(), "SendMessage", map[string]any{"QueueUrl": url, "MessageBody": "hello"}); err != nil || !strings.Contains(body, "MessageId") {
			t.Fatalf("%v %s", err, body)
		}
		best = min(best, (<-answered).Sub(sent))
	}
	t.Logf("answered %v after the send", best)
	if best > 100*time.Millisecond {
		t.Errorf("answered %v after the send", best)
	}
}

// TestHookTarget: a queue hears of the instance that a hook holds, and the token that it hears lets the instance go on.
func TestHookTarget(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	s := start(t, "--driver", "sim", "--auth", "none", "--time-scale", "60")
	url := s.text("sqs", "create-queue", "--queue-name", "hooks", "--attributes", "VisibilityTimeout=43200", "--query", "QueueUrl")
	arn := s.text("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "QueueArn", "--query", "Attributes.QueueArn")
	role := s.text("iam", "create-role", "--role-name", "teller", "--query", "Role.Arn", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"autoscaling.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
	receive := func() (m map[string]string) {
		t.Helper()
		body := s.text("sqs", "receive-message", "--queue-url", url, "--wait-time-seconds", "20", "--query", "Messages[0].Body")
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return m
	}
	s.aws(nil, "autoscaling", "create-launch-configuration", "--launch-configuration-name", "lc", "--image-id", s.amazonLinux(), "--instance-type", "t3.micro")
	create := []string{"autoscaling", "create-auto-scaling-group", "--auto-scaling-group-name", "g", "--launch-configuration-name", "lc", "--min-size", "1", "--max-size", "2",
		"--vpc-zone-identifier", s.defaultSubnets()[0], "--lifecycle-hook-specification-list", mustJSON(t, []any{map[string]any{
			"LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "NotificationTargetARN": arn, "RoleARN": role}})}
	if _, err := s.awsCLI(create...); err == nil || !strings.Contains(err.Error(), "Unable to publish test message to notification target "+arn+" using IAM role "+role) {
		t.Errorf("a role that may not send: %v", err)
	}
	s.aws(nil, "iam", "attach-role-policy", "--role-name", "teller", "--policy-arn", "arn:aws:iam::aws:policy/service-role/AutoScalingNotificationAccessRole")
	s.aws(nil, create...)
	if m := receive(); m["Event"] != "autoscaling:TEST_NOTIFICATION" {
		t.Errorf("%v", m)
	}
	m := receive()
	if m["LifecycleHookName"] != "h" || m["EC2InstanceId"] == "" {
		t.Fatalf("%v", m)
	}
	s.aws(nil, "autoscaling", "complete-lifecycle-action", "--auto-scaling-group-name", "g", "--lifecycle-hook-name", "h",
		"--lifecycle-action-token", m["LifecycleActionToken"], "--lifecycle-action-result", "CONTINUE")
	if ids := s.awaitInService("g", 1, 20*time.Second); ids[0] != m["EC2InstanceId"] {
		t.Errorf("%v, the hook was about %s", ids, m["EC2InstanceId"])
	}
}
