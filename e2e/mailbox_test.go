package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// TestNotifications: topics reach queues and mailboxes, a long poll is answered at once, and what is received too often goes
// to the dead letters.
func TestNotifications(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	s := start(t, "--driver", "sim", "--auth", "none")
	queue := func(name string, attributes ...string) (url, arn string) {
		url = s.text(append([]string{"sqs", "create-queue", "--queue-name", name, "--query", "QueueUrl"}, attributes...)...)
		return url, s.text("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "QueueArn", "--query", "Attributes.QueueArn")
	}
	deadURL, dead := queue("dead")
	url, arn := queue("news", "--attributes", `{"VisibilityTimeout":"0","RedrivePolicy":"{\"deadLetterTargetArn\":\"`+dead+`\",\"maxReceiveCount\":\"2\"}"}`)
	topic := s.text("sns", "create-topic", "--name", "news", "--query", "TopicArn")
	s.aws(nil, "sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", arn, "--attributes", "RawMessageDelivery=true")

	// A queue's policy has to let the topic in, as on AWS.
	s.aws(nil, "sns", "publish", "--topic-arn", topic, "--message", "lost")
	s.aws(nil, "sqs", "set-queue-attributes", "--queue-url", url, "--attributes", mustJSON(t, map[string]string{"Policy": mustJSON(t, map[string]any{
		"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Principal": map[string]string{"Service": "sns.amazonaws.com"},
			"Action": "sqs:SendMessage", "Resource": arn, "Condition": map[string]any{"ArnEquals": map[string]string{"aws:SourceArn": topic}}}}})}))
	s.aws(nil, "sns", "publish", "--topic-arn", topic, "--message", "hello")
	if got := s.text("sqs", "receive-message", "--queue-url", url, "--wait-time-seconds", "20", "--query", "Messages[0].Body"); got != "hello" {
		t.Errorf("received %q", got)
	}
	s.aws(nil, "sqs", "receive-message", "--queue-url", url)
	if out, err := s.awsCLI("sqs", "receive-message", "--queue-url", url); err != nil || strings.Contains(string(out), "hello") {
		t.Errorf("received a third time: %v %s", err, out)
	}
	if got := s.text("sqs", "receive-message", "--queue-url", deadURL, "--wait-time-seconds", "5", "--query", "Messages[0].Body"); got != "hello" {
		t.Errorf("dead letter %q", got)
	}
	if out, err := s.awsCLI("sqs", "get-queue-url", "--queue-name", "none"); err == nil || !strings.Contains(err.Error()+string(out), "AWS.SimpleQueueService.NonExistentQueue") {
		t.Errorf("%v %s", err, out)
	}

	// Mail: the link in it confirms.
	s.aws(nil, "sns", "subscribe", "--topic-arn", topic, "--protocol", "email", "--notification-endpoint", "me@example.com")
	mail := func(args ...string) string {
		out, err := s.billow(append([]string{"mailbox", args[0], "--data", s.data}, args[1:]...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	token := regexp.MustCompile(`Token=(\w+)`).FindStringSubmatch(mail("show", "1"))
	if token == nil {
		t.Fatal(mail("show", "1"))
	}
	s.aws(nil, "sns", "confirm-subscription", "--topic-arn", topic, "--token", token[1])
	s.aws(nil, "sns", "publish", "--topic-arn", topic, "--subject", "greeting", "--message", "by mail")
	if list := mail("list"); !strings.Contains(list, "greeting") || !strings.Contains(list, "me@example.com") {
		t.Error(list)
	}
	if m := mail("show", "2"); !strings.Contains(m, "Subject: greeting") || !strings.Contains(m, "by mail\n") {
		t.Error(m)
	}
}

// TestAlarmStopsAnInstance: a status check fails, and the alarm on it stops the instance and says so.
func TestAlarmStopsAnInstance(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	s := start(t, "--driver", "sim", "--auth", "none", "--time-scale", "60")
	id := s.text("ec2", "run-instances", "--image-id", s.amazonLinux(), "--instance-type", "t3.micro", "--query", "Instances[0].InstanceId")
	s.awaitState(id, "running")
	s.aws(nil, "cloudwatch", "put-metric-alarm", "--alarm-name", "sick", "--namespace", "AWS/EC2", "--metric-name", "StatusCheckFailed_Instance", "--dimensions", "Name=InstanceId,Value="+id,
		"--statistic", "Maximum", "--period", "60", "--evaluation-periods", "1", "--threshold", "0", "--comparison-operator", "GreaterThanThreshold",
		"--alarm-actions", "arn:aws:automate:us-east-1:ec2:stop")
	if out, err := s.billow("fail", "--data", s.data, id, "--instance").CombinedOutput(); err != nil || !strings.Contains(string(out), "instance impaired, system ok") {
		t.Fatalf("%v: %s", err, out)
	}
	s.awaitState(id, "stopped")
	if got := s.text("cloudwatch", "describe-alarm-history", "--alarm-name", "sick", "--history-item-type", "Action", "--query", "AlarmHistoryItems[0].HistorySummary"); got != "Successfully executed action arn:aws:automate:us-east-1:ec2:stop" {
		t.Error(got)
	}
}
