package region

import (
	"testing"
	"time"

	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	evapi "github.com/billow-cloud/billow/api/events"
	iamapi "github.com/billow-cloud/billow/api/iam"
	snsapi "github.com/billow-cloud/billow/api/sns"
	sqsapi "github.com/billow-cloud/billow/api/sqs"
)

// received is how many messages are in a queue; they are taken.
func (w *world) received(name string) int {
	w.t.Helper()
	out := call[sqsapi.ReceiveMessageOutput](w, "sqs", "ReceiveMessage", &sqsapi.ReceiveMessageInput{QueueUrl: new("http://h/123456789012/" + name), MaxNumberOfMessages: new(int32(10))})
	for _, m := range out.Messages {
		call[sqsapi.DeleteMessageOutput](w, "sqs", "DeleteMessage", &sqsapi.DeleteMessageInput{QueueUrl: new("http://h/123456789012/" + name), ReceiptHandle: m.ReceiptHandle})
	}
	return len(out.Messages)
}

// letIn sets a queue's policy.
func (w *world) letIn(queue, principal, source string) {
	w.t.Helper()
	call[sqsapi.SetQueueAttributesOutput](w, "sqs", "SetQueueAttributes", &sqsapi.SetQueueAttributesInput{QueueUrl: new("http://h/123456789012/" + queue), Attributes: map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + principal + `"},"Action":"sqs:SendMessage","Resource":"*",` +
			`"Condition":{"ArnLike":{"aws:SourceArn":"` + source + `"},"StringEquals":{"aws:SourceAccount":"123456789012"}}}]}`,
	}})
}

// sum is the sum of a rule's metric over an hour.
func (w *world) sum(metric, rule string) float64 {
	w.t.Helper()
	out := call[cwapi.GetMetricStatisticsOutput](w, "cloudwatch", "GetMetricStatistics", &cwapi.GetMetricStatisticsInput{
		Namespace: new("AWS/Events"), MetricName: &metric, Dimensions: []cwapi.Dimension{{Name: new("RuleName"), Value: &rule}},
		StartTime: new(w.now.Add(-time.Hour).Truncate(time.Hour)), EndTime: new(w.now.Add(time.Hour).Truncate(time.Hour)), Period: new(int32(3600)), Statistics: []string{"Sum"},
	})
	total := 0.0
	for _, d := range out.Datapoints {
		total += *d.Sum
	}
	return total
}

// TestRulesNeedTheirTargetsLeave: a queue's and a topic's policy must let EventBridge in, or the target's role; what is
// refused is no error anywhere but FailedInvocations (EC-IA-02, EC-IA-03).
func TestRulesNeedTheirTargetsLeave(t *testing.T) {
	p := newPeople(t)
	w := p.world
	for _, name := range []string{"q", "dead", "heard"} {
		call[sqsapi.CreateQueueOutput](w, "sqs", "CreateQueue", &sqsapi.CreateQueueInput{QueueName: &name})
	}
	const queue, dead, topic = "arn:aws:sqs:us-east-1:123456789012:q", "arn:aws:sqs:us-east-1:123456789012:dead", "arn:aws:sns:us-east-1:123456789012:news"
	rule := call[evapi.PutRuleOutput](w, "events", "PutRule", &evapi.PutRuleInput{Name: new("r"), EventPattern: new(`{"source":["my.app"]}`)})
	target := func(arn, role string) {
		t.Helper()
		x := evapi.Target{Id: new("1"), Arn: &arn, DeadLetterConfig: &evapi.DeadLetterConfig{Arn: new(dead)}}
		if role != "" {
			x.RoleArn = new("arn:aws:iam::123456789012:role/" + role)
		}
		call[evapi.PutTargetsOutput](w, "events", "PutTargets", &evapi.PutTargetsInput{Rule: new("r"), Targets: []evapi.Target{x}})
	}
	put := func() {
		t.Helper()
		call[evapi.PutEventsOutput](w, "events", "PutEvents", &evapi.PutEventsInput{Entries: []evapi.PutEventsRequestEntry{{Source: new("my.app"), DetailType: new("t"), Detail: new("{}")}}})
		w.settle()
	}
	expect := func(what, in string, messages int, failed float64) {
		t.Helper()
		if got := w.received(in); got != messages {
			t.Errorf("%s: %d messages in %s", what, got, in)
		}
		if got := w.sum("FailedInvocations", "r"); got != failed {
			t.Errorf("%s: %v failed invocations, want %v", what, got, failed)
		}
	}
	target(queue, "")
	put()
	expect("no policy", "q", 0, 1)
	w.letIn("q", "events.amazonaws.com", *rule.RuleArn+"-other")
	put()
	expect("another rule's", "q", 0, 2)
	expect("a dead-letter queue without a policy", "dead", 0, 2)
	w.letIn("dead", "events.amazonaws.com", *rule.RuleArn)
	put()
	expect("a dead-letter queue with one", "dead", 1, 3)
	w.letIn("q", "events.amazonaws.com", *rule.RuleArn)
	put()
	expect("the rule's", "q", 1, 3)
	if n, sent := w.sum("Invocations", "r"), w.sum("InvocationsSentToDlq", "r"); n != 4 || sent != 1 || w.sum("TriggeredRules", "r") != 4 {
		t.Errorf("%v invocations, %v to the dead-letter queue", n, sent)
	}

	// A topic's own policy lets alarms in, and no rule.
	call[snsapi.CreateTopicOutput](w, "sns", "CreateTopic", &snsapi.CreateTopicInput{Name: new("news")})
	call[snsapi.SubscribeOutput](w, "sns", "Subscribe", &snsapi.SubscribeInput{TopicArn: new(topic), Protocol: new("sqs"), Endpoint: new("arn:aws:sqs:us-east-1:123456789012:heard")})
	w.letIn("heard", "sns.amazonaws.com", topic)
	target(topic, "")
	put()
	expect("a topic's own policy", "heard", 0, 4)
	alarm := func() {
		call[cwapi.PutMetricAlarmOutput](w, "cloudwatch", "PutMetricAlarm", &cwapi.PutMetricAlarmInput{
			AlarmName: new("a"), Namespace: new("N"), MetricName: new("M"), Statistic: new("Average"), Period: new(int32(60)), EvaluationPeriods: new(int32(1)),
			Threshold: new(1.0), ComparisonOperator: new("GreaterThanThreshold"), AlarmActions: []string{topic},
		})
		for _, state := range []string{"OK", "ALARM"} {
			call[cwapi.SetAlarmStateOutput](w, "cloudwatch", "SetAlarmState", &cwapi.SetAlarmStateInput{AlarmName: new("a"), StateValue: &state, StateReason: new("test")})
		}
		w.settle()
	}
	alarm()
	expect("an alarm", "heard", 1, 4)
	policy := func(principal string) {
		call[snsapi.SetTopicAttributesOutput](w, "sns", "SetTopicAttributes", &snsapi.SetTopicAttributesInput{TopicArn: new(topic), AttributeName: new("Policy"), AttributeValue: new(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + principal + `"},"Action":"sns:Publish","Resource":"` + topic + `"}]}`)})
	}
	policy("events.amazonaws.com")
	put()
	expect("a policy for rules", "heard", 1, 4)
	alarm()
	expect("a policy for rules, and an alarm", "heard", 0, 4)
	policy("cloudwatch.amazonaws.com")
	alarm()
	expect("a policy for alarms", "heard", 1, 4)

	// EC2's own actions are done in the target's role.
	ids := call[ec2api.RunInstancesOutput](w, "ec2", "RunInstances", &ec2api.RunInstancesInput{ImageId: p.image(), InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(1))})
	w.settle()
	id := *ids.Instances[0].InstanceId
	call[iamapi.CreateRoleOutput](w, "iam", "CreateRole", &iamapi.CreateRoleInput{RoleName: new("stops"), AssumeRolePolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
	call[evapi.PutRuleOutput](w, "events", "PutRule", &evapi.PutRuleInput{Name: new("stop"), EventPattern: new(`{"source":["my.app"]}`)})
	stop := evapi.Target{Id: new("1"), Arn: new("arn:aws:events:us-east-1:123456789012:target/stop-instance"), Input: new(`"` + id + `"`)}
	if got := p.asRoot("events", "PutTargets", &evapi.PutTargetsInput{Rule: new("stop"), Targets: []evapi.Target{stop}}); got !=
		"ValidationException: RoleArn is required for target arn:aws:events:us-east-1:123456789012:target/stop-instance." {
		t.Error(got)
	}
	stop.RoleArn = new("arn:aws:iam::123456789012:role/stops")
	call[evapi.PutTargetsOutput](w, "events", "PutTargets", &evapi.PutTargetsInput{Rule: new("stop"), Targets: []evapi.Target{stop}})
	state := func() string {
		return *call[ec2api.DescribeInstancesOutput](w, "ec2", "DescribeInstances", &ec2api.DescribeInstancesInput{InstanceIds: []string{id}}).Reservations[0].Instances[0].State.Name
	}
	before := state()
	put()
	if state() != before || w.sum("FailedInvocations", "stop") != 1 {
		t.Errorf("%s with a role that may nothing", state())
	}
	call[iamapi.PutRolePolicyOutput](w, "iam", "PutRolePolicy", &iamapi.PutRolePolicyInput{RoleName: new("stops"), PolicyName: new("p"), PolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:StopInstances","Resource":"arn:aws:ec2:*:*:instance/` + id + `"}]}`)})
	put()
	if got := state(); got != "stopping" && got != "stopped" {
		t.Errorf("%s with a role that may stop it", got)
	}
}
