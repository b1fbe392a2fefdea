package autoscaling

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	topicapi "github.com/billow-cloud/billow/api/sns"
	queueapi "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// receive takes the message of a queue, and fails the test if there is not just one.
func (w *world) receive(url string) map[string]string {
	w.t.Helper()
	got := must[queueapi.ReceiveMessageOutput](w, sqs.Name, "ReceiveMessage", &queueapi.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: new(int32(10)), VisibilityTimeout: new(int32(43_200))}).Messages
	if len(got) != 1 {
		w.t.Fatalf("%d messages", len(got))
	}
	var m map[string]string
	if err := json.Unmarshal([]byte(*got[0].Body), &m); err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) states() (all []string) {
	w.t.Helper()
	for _, i := range must[shape.DescribeAutoScalingInstancesOutput](w, Name, "DescribeAutoScalingInstances", &shape.DescribeAutoScalingInstancesInput{}).AutoScalingInstances {
		all = append(all, *i.LifecycleState)
	}
	return all
}

// TestHookTargets: a queue that is a hook's target is tried when the hook is put and told of every action; who completes
// the action by the token that it was told has the instance go on (AS-HK-13 to AS-HK-16). Hooks that a group is made with
// hold its first instance.
func TestHookTargets(t *testing.T) {
	w := newWorld(t, 1)
	url := *must[queueapi.CreateQueueOutput](w, sqs.Name, "CreateQueue", &queueapi.CreateQueueInput{QueueName: new("q")}).QueueUrl
	target := here.ARN(sqs.Name, "q")
	must[shape.CreateLaunchConfigurationOutput](w, Name, "CreateLaunchConfiguration", &shape.CreateLaunchConfigurationInput{
		LaunchConfigurationName: new("lc"), ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.micro")})
	must[shape.CreateAutoScalingGroupOutput](w, Name, "CreateAutoScalingGroup", &shape.CreateAutoScalingGroupInput{
		AutoScalingGroupName: new("g"), LaunchConfigurationName: new("lc"), MinSize: new(int32(0)), MaxSize: new(int32(3)), DesiredCapacity: new(int32(1)),
		AvailabilityZones: []string{"us-east-1a"},
		LifecycleHookSpecificationList: []shape.LifecycleHookSpecification{{LifecycleHookName: new("h"), LifecycleTransition: new(launchingTransition),
			DefaultResult: new(resultContinue), NotificationMetadata: new("meta"), NotificationTargetARN: &target, RoleARN: new(w.notifier("teller"))}},
	})
	if m := w.receive(url); m["Event"] != notifyTest || m["AutoScalingGroupName"] != "g" || m["Service"] != serviceTitle { // AS-HK-14
		t.Errorf("%v", m)
	}
	w.advance(time.Minute)
	m := w.receive(url)
	for name, want := range map[string]string{"Service": serviceTitle, "AutoScalingGroupName": "g", "LifecycleHookName": "h", "LifecycleTransition": launchingTransition,
		"NotificationMetadata": "meta", "Origin": "EC2", "Destination": "AutoScalingGroup", "AccountId": here.Account} {
		if m[name] != want {
			t.Errorf("%s is %q, want %q", name, m[name], want)
		}
	}
	if s := w.states(); len(s) != 1 || s[0] != statePendingWait || !strings.HasPrefix(m["EC2InstanceId"], "i-") {
		t.Fatalf("%v, %v", s, m)
	}
	must[shape.CompleteLifecycleActionOutput](w, Name, "CompleteLifecycleAction", &shape.CompleteLifecycleActionInput{AutoScalingGroupName: new("g"),
		LifecycleHookName: new("h"), LifecycleActionToken: new(m["LifecycleActionToken"]), LifecycleActionResult: new(resultContinue)})
	w.advance(time.Second)
	if s := w.states(); s[0] != stateInService {
		t.Errorf("%v", s)
	}
	hooks := must[shape.DescribeLifecycleHooksOutput](w, Name, "DescribeLifecycleHooks", &shape.DescribeLifecycleHooksInput{AutoScalingGroupName: new("g")}).LifecycleHooks
	if len(hooks) != 1 || *hooks[0].NotificationTargetARN != target {
		t.Errorf("%+v", hooks)
	}
	// The target goes, and the default result counts at once (AS-HK-16).
	must[queueapi.DeleteQueueOutput](w, sqs.Name, "DeleteQueue", &queueapi.DeleteQueueInput{QueueUrl: &url})
	must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(2))})
	w.advance(time.Minute)
	if s := w.states(); len(s) != 2 || s[0] != stateInService || s[1] != stateInService {
		t.Errorf("%v", s)
	}
}

// TestHookTargetsThatAreRefused: what cannot be told, or is FIFO, is no target (AS-HK-13); a mail has lines (AS-HK-15).
func TestHookTargetsThatAreRefused(t *testing.T) {
	w := scaledWorld(t, 0, 3, 0, nil)
	put := func(target string) error {
		_, err := w.ask(Name, "PutLifecycleHook", &shape.PutLifecycleHookInput{AutoScalingGroupName: new("g"), LifecycleHookName: new("h"),
			LifecycleTransition: new(terminatingTransition), NotificationTargetARN: &target})
		return err
	}
	for target, want := range map[string]string{
		here.ARN(sqs.Name, "none"):      "Unable to publish test message to notification target",
		here.ARN(sns.Name, "none"):      "Unable to publish test message to notification target",
		here.ARN(sqs.Name, "none.fifo"): "FIFO",
		here.ARN("lambda", "f"):         "Unable to publish test message to notification target",
	} {
		if err := put(target); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", target, err)
		}
	}
	topic := *must[topicapi.CreateTopicOutput](w, sns.Name, "CreateTopic", &topicapi.CreateTopicInput{Name: new("t")}).TopicArn
	must[topicapi.SubscribeOutput](w, sns.Name, "Subscribe", &topicapi.SubscribeInput{TopicArn: &topic, Protocol: new("email"), Endpoint: new("me@example.com")})
	mails := func() []sns.Mail { return must[sns.MailsOutput](w, sns.Name, "mailbox", &sns.MailsInput{}).Mails }
	must[topicapi.ConfirmSubscriptionOutput](w, sns.Name, "ConfirmSubscription", &topicapi.ConfirmSubscriptionInput{TopicArn: &topic, Token: new(mails()[0].Token)})
	if err := put(topic); err != nil {
		t.Fatal(err)
	}
	desire := func(n int32) {
		must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: &n})
		w.advance(2 * time.Minute)
	}
	desire(1)
	desire(0)
	all := mails()
	if len(all) != 3 || all[1].Subject != `Auto Scaling: test notification for group "g"` || !strings.Contains(all[2].Subject, "Lifecycle action 'TERMINATING'") ||
		!strings.Contains(all[2].Body, "\nLifecycleTransition: "+terminatingTransition+"\n") {
		t.Errorf("%+v", all)
	}
}
