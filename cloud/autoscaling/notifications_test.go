package autoscaling

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	topics "github.com/billow-cloud/billow/api/sns"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/sns"
)

func TestNotificationMessage(t *testing.T) { // AS-NT-03, AS-NT-05, AS-WP-07, AS-AC-15
	alarm := cloudwatch.Alarm{
		AlarmName: "high", AlarmArn: here.ARN("cloudwatch", "alarm:high"), Namespace: "AWS/EC2", MetricName: "CPUUtilization",
		Statistic: "Average", Period: 60, EvaluationPeriods: 3, Threshold: 50, ComparisonOperator: "GreaterThanThreshold",
		TreatMissingData: "missing", StateTransitionedTimestamp: noon, AlarmConfigurationUpdatedTimestamp: noon.Add(-time.Hour),
		Dimensions: []cloudwatch.Dimension{{Name: "AutoScalingGroupName", Value: "g"}},
	}
	a := Activity{
		ID: "5c1c6d2e-0000-4000-8000-000000000000", Group: "g", Kind: kindLaunch, InstanceID: "i-0123456789abcdef0",
		Description: "Launching a new EC2 instance: i-0123456789abcdef0", Cause: "At <noon> & later", Start: noon, End: noon.Add(time.Minute),
		StatusCode: statusSuccessful, Progress: 100, Subnet: "subnet-1", Zone: "us-east-1a",
		InvokingAlarms: invokingAlarms(here, alarm, "ALARM", "ALARM"),
	}
	w := newWorld(t, 1)
	g := Group{Name: "g", ARN: "arn:g"}
	var body string
	p := &puppet{}
	p.do = func(tx *cloud.Tx) { body = text(message(tx, g, a, notifyLaunch, "EC2", "AutoScalingGroup")) }
	w.pull(p)
	want := `{"Progress":50,"AccountId":"123456789012","Description":"Launching a new EC2 instance: i-0123456789abcdef0",` +
		`"RequestId":"5c1c6d2e-0000-4000-8000-000000000000","EndTime":"2026-11-20T12:01:00.000Z","AutoScalingGroupARN":"arn:g",` +
		`"ActivityId":"5c1c6d2e-0000-4000-8000-000000000000","StartTime":"2026-11-20T12:00:00.000Z","Service":"AWS Auto Scaling",` +
		`"Time":"2026-09-27T04:00:00.000Z","EC2InstanceId":"i-0123456789abcdef0","StatusCode":"InProgress","StatusMessage":"",` +
		`"Details":{"Subnet ID":"subnet-1","Availability Zone":"us-east-1a","InvokingAlarms":[{` +
		`"AlarmArn":"arn:aws:cloudwatch:us-east-1:123456789012:alarm:high","Trigger":{"MetricName":"CPUUtilization","Namespace":"AWS/EC2",` +
		`"StatisticType":"Statistic","Statistic":"AVERAGE","Unit":null,"Dimensions":[{"Name":"AutoScalingGroupName","Value":"g"}],` +
		`"Period":60,"EvaluationPeriods":3,"ComparisonOperator":"GreaterThanThreshold","Threshold":50,"TreatMissingData":"missing",` +
		`"EvaluateLowSampleCountPercentile":""},"AlarmName":"high","AlarmDescription":null,"AWSAccountId":"123456789012",` +
		`"OldStateValue":"ALARM","Region":"US East (N. Virginia)","NewStateValue":"ALARM","AlarmConfigurationUpdatedTimestamp":1795172400000,` +
		`"StateChangeTime":1795176000000}]},"AutoScalingGroupName":"g","Cause":"At <noon> & later",` +
		`"Event":"autoscaling:EC2_INSTANCE_LAUNCH","Origin":"EC2","Destination":"AutoScalingGroup"}`
	if diff := cmp.Diff(want, body); diff != "" || !json.Valid([]byte(body)) {
		t.Error(diff)
	}
	if got := subject("termination", "g"); got != `Auto Scaling: termination for group "g"` { // AS-NT-04
		t.Error(got)
	}
}

// heard is what a subscriber was told.
type heard struct{ Type, Subject, Message, Token string }

func TestTopicsHearOfActivities(t *testing.T) { // AS-NT-01, AS-NT-02
	w := scaledWorld(t, 0, 3, 0, nil)
	var all []heard
	w.trace = func(out cloud.Output) {
		for _, e := range out.Effects {
			if d, ok := e.(sns.DeliverHTTP); ok {
				var h heard
				if err := json.Unmarshal([]byte(d.Body), &h); err != nil {
					t.Fatal(err)
				}
				all = append(all, h)
				w.later(time.Second, sns.Delivered{MessageID: d.MessageID, SubscriptionARN: d.SubscriptionARN, Attempt: d.Attempt, Status: 200})
			}
		}
	}
	put := func(topic string, types ...string) error {
		_, err := w.ask(Name, "PutNotificationConfiguration", &shape.PutNotificationConfigurationInput{
			AutoScalingGroupName: new("g"), TopicARN: &topic, NotificationTypes: types})
		return err
	}
	if put("arn:aws:sns:us-east-1:123456789012:none", notifyLaunch) == nil {
		t.Error("a topic that does not exist is accepted")
	}
	topic := *must[topics.CreateTopicOutput](w, sns.Name, "CreateTopic", &topics.CreateTopicInput{Name: new("t")}).TopicArn
	must[topics.SubscribeOutput](w, sns.Name, "Subscribe", &topics.SubscribeInput{TopicArn: &topic, Protocol: new("http"), Endpoint: new("http://127.0.0.1:1/")})
	must[topics.ConfirmSubscriptionOutput](w, sns.Name, "ConfirmSubscription", &topics.ConfirmSubscriptionInput{TopicArn: &topic, Token: &all[0].Token})
	if put(topic, "autoscaling:PARTY") == nil {
		t.Error("an unknown type is accepted")
	}
	all = nil
	if err := put(topic, notifyTerminate, notifyLaunch, notifyLaunchError); err != nil {
		t.Fatal(err)
	}
	expect := func(what string, want ...string) {
		t.Helper()
		var got []string
		for _, h := range all {
			var m struct {
				Event, StatusCode, EC2InstanceId, AutoScalingGroupName, StatusMessage string
				Progress                                                              int
			}
			if err := json.Unmarshal([]byte(h.Message), &m); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %s %d %s", m.Event, m.StatusCode, m.Progress, h.Subject))
		}
		all = nil
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	expect("put", `autoscaling:TEST_NOTIFICATION  0 Auto Scaling: test notification for group "g"`)
	size := func(n int32) {
		must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: &n})
		w.advance(time.Minute)
	}
	size(1)
	expect("launch", `autoscaling:EC2_INSTANCE_LAUNCH InProgress 50 Auto Scaling: launch for group "g"`)
	size(0)
	expect("terminate", `autoscaling:EC2_INSTANCE_TERMINATE InProgress 50 Auto Scaling: termination for group "g"`)
	w.failing = func(ec2.Spec) (string, string) { return "Server.InternalError", "no" }
	must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(1))})
	w.advance(w.boot / 2)
	if len(all) == 0 || !strings.Contains(all[0].Message, `"StatusCode":"Failed"`) || !strings.Contains(all[0].Message, notifyLaunchError) {
		t.Errorf("a failed launch: %+v", all)
	}
	list := must[shape.DescribeNotificationConfigurationsOutput](w, Name, "DescribeNotificationConfigurations", &shape.DescribeNotificationConfigurationsInput{MaxRecords: new(int32(2))})
	rest := must[shape.DescribeNotificationConfigurationsOutput](w, Name, "DescribeNotificationConfigurations", &shape.DescribeNotificationConfigurationsInput{NextToken: list.NextToken})
	if len(list.NotificationConfigurations) != 2 || len(rest.NotificationConfigurations) != 1 || *rest.NotificationConfigurations[0].NotificationType != notifyTerminate {
		t.Errorf("%+v %+v", list, rest)
	}
	must[shape.DeleteNotificationConfigurationOutput](w, Name, "DeleteNotificationConfiguration", &shape.DeleteNotificationConfigurationInput{AutoScalingGroupName: new("g"), TopicARN: &topic})
	if n := w.s.scaling.notifications.Len(); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}
