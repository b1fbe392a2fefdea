package events

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	shape "github.com/billow-cloud/billow/api/events"
	snsapi "github.com/billow-cloud/billow/api/sns"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/cloud/sns"
)

// TestStateChangeReachesEveryKindOfTarget: EC-EV-01, EC-EV-03.
func TestStateChangeReachesEveryKindOfTarget(t *testing.T) {
	w := newWorld(t)
	w.topic("news")
	w.rule("r", `{"source":["aws.ec2"],"detail-type":["EC2 Instance State-change Notification"],"detail":{"state":["running"]}}`,
		target("1", functionARN), target("2", queueARN), target("3", topicARN), target("4", logARN))
	run := call[ec2api.RunInstancesOutput](w, &ec2api.RunInstancesInput{ImageId: new("ami-12345678"), MinCount: new(int32(1)), MaxCount: new(int32(1))})
	id := *run.Instances[0].InstanceId
	if len(w.take()) != 0 {
		t.Error("pending is not running")
	}
	w.now = w.now.Add(1500 * time.Millisecond)
	w.step(cloud.Observed{Facts: []cloud.Fact{ec2.InstanceRunning{ID: id}}})
	all := w.take()
	if len(all) != 3 {
		t.Fatalf("%v", all)
	}
	for _, g := range all {
		same(t, g.Text, `{"version":"0","id":"*","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","account":"123456789012",
			"time":"2026-11-20T12:00:01Z","region":"us-east-1","resources":["arn:aws:ec2:us-east-1:123456789012:instance/`+id+`"],
			"detail":{"instance-id":"`+id+`","state":"running"}}`)
	}
	if all[0].By != "events.amazonaws.com arn:aws:events:us-east-1:123456789012:rule/r" || all[2].ARN != "/aws/events/all" {
		t.Errorf("%+v", all)
	}
}

// TestAlarmConfigurationChange: CW-AL-17, as documented.
func TestAlarmConfigurationChange(t *testing.T) {
	w := newWorld(t)
	w.rule("alarms", `{"source":["aws.cloudwatch"],"detail-type":["CloudWatch Alarm Configuration Change"]}`, target("1", queueARN))
	put := &cwapi.PutMetricAlarmInput{AlarmName: new("a"), Namespace: new("N"), MetricName: new("M"), Statistic: new("Sum"), Period: new(int32(60)),
		EvaluationPeriods: new(int32(2)), Threshold: new(5.0), ComparisonOperator: new("GreaterThanThreshold")}
	call[cwapi.PutMetricAlarmOutput](w, put)
	const metrics = `"metrics":[{"id":"*","metricStat":{"metric":{"dimensions":{},"name":"M","namespace":"N"},"period":60,"stat":"Sum"},"returnData":true}]`
	configuration := func(threshold string) string {
		return `{"alarmName":"a","actionsEnabled":true,"okActions":[],"alarmActions":[],"insufficientDataActions":[],"evaluationPeriods":2,"threshold":` + threshold +
			`,"comparisonOperator":"GreaterThanThreshold","timestamp":"2026-11-20T12:00:00.000+0000",` + metrics + `}`
	}
	change := func(operation, rest string) string {
		return `{"version":"0","id":"*","detail-type":"CloudWatch Alarm Configuration Change","source":"aws.cloudwatch","account":"123456789012","time":"2026-11-20T12:00:00Z",
			"region":"us-east-1","resources":["arn:aws:cloudwatch:us-east-1:123456789012:alarm:a"],"detail":{"alarmName":"a","operation":"` + operation + `",
			"state":{"reason":"Unchecked: Initial alarm creation","timestamp":"2026-11-20T12:00:00.000+0000","value":"INSUFFICIENT_DATA"},"configuration":` + rest + `}}`
	}
	put.Threshold = new(6.0)
	call[cwapi.PutMetricAlarmOutput](w, put)
	call[cwapi.DeleteAlarmsOutput](w, &cwapi.DeleteAlarmsInput{AlarmNames: []string{"a"}})
	all := w.take()
	if len(all) != 3 {
		t.Fatal(all)
	}
	same(t, all[0].Text, change("create", configuration("5")))
	same(t, all[1].Text, change("update", configuration("6")+`,"previousConfiguration":`+configuration("5")))
	same(t, all[2].Text, change("delete", configuration("6")))
}

// TestAlarmStateChange: CW-AL-17, as documented.
func TestAlarmStateChange(t *testing.T) {
	w := newWorld(t)
	w.rule("alarms", `{"source":["aws.cloudwatch"],"detail":{"state":{"value":["ALARM"]},"alarmName":[{"prefix":"cpu"}]}}`, target("1", queueARN))
	call[cwapi.PutMetricAlarmOutput](w, &cwapi.PutMetricAlarmInput{AlarmName: new("cpu high"), AlarmDescription: new("d"), Namespace: new("AWS/EC2"), MetricName: new("CPUUtilization"),
		Dimensions: []cwapi.Dimension{{Name: new("InstanceId"), Value: new("i-1")}}, Statistic: new("Average"), Period: new(int32(300)), EvaluationPeriods: new(int32(1)),
		Threshold: new(50.0), ComparisonOperator: new("GreaterThanThreshold")})
	call[cwapi.SetAlarmStateOutput](w, &cwapi.SetAlarmStateInput{AlarmName: new("cpu high"), StateValue: new("OK"), StateReason: new("fine")})
	w.now = w.now.Add(1234 * time.Millisecond)
	call[cwapi.SetAlarmStateOutput](w, &cwapi.SetAlarmStateInput{AlarmName: new("cpu high"), StateValue: new("ALARM"), StateReason: new("<hot>"), StateReasonData: new(`{"version":"1.0"}`)})
	all := w.take()
	if len(all) != 1 {
		t.Fatalf("%v", all)
	}
	same(t, all[0].Text, `{"version":"0","id":"*","detail-type":"CloudWatch Alarm State Change","source":"aws.cloudwatch","account":"123456789012","time":"2026-11-20T12:00:01Z",
		"region":"us-east-1","resources":["arn:aws:cloudwatch:us-east-1:123456789012:alarm:cpu high"],
		"detail":{"alarmName":"cpu high","configuration":{"description":"d","metrics":[{"id":"*","metricStat":{"metric":{"dimensions":{"InstanceId":"i-1"},"name":"CPUUtilization",
		"namespace":"AWS/EC2"},"period":300,"stat":"Average"},"returnData":true}]},
		"previousState":{"reason":"fine","timestamp":"2026-11-20T12:00:00.000+0000","value":"OK"},
		"state":{"reason":"<hot>","reasonData":"{\"version\":\"1.0\"}","timestamp":"2026-11-20T12:00:01.234+0000","value":"ALARM"}}}`)
	if strings.Contains(all[0].Text, `\u003c`) {
		t.Error("characters of HTML are escaped")
	}
	expression := configurationOf(&cloudwatch.Alarm{Metrics: []cloudwatch.Query{{ID: "e", Expression: "m*2", ReturnData: true}, {ID: "m", MetricName: "x", Namespace: "n", Stat: "Sum", Period: 60}}})
	same(t, string(encode(expression)), `{"metrics":[{"id":"e","expression":"m*2","returnData":true},
		{"id":"m","metricStat":{"metric":{"dimensions":{},"name":"x","namespace":"n"},"period":60,"stat":"Sum"},"returnData":false}]}`)
}

// elsewhere is an event of a service that this package knows nothing of.
type elsewhere struct{ group string }

func (elsewhere) Told() (string, string) { return "aws.elsewhere", "Something" }
func (e elsewhere) Detail(scope cloud.Scope) ([]string, any) {
	return []string{scope.ARN("elsewhere", e.group)}, map[string]string{"Group": e.group}
}

// TestAutoScalingEvents: AS-EB-01 to AS-EB-04.
func TestAutoScalingEvents(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["aws.autoscaling"]}`, target("1", queueARN))
	call[asapi.CreateLaunchConfigurationOutput](w, &asapi.CreateLaunchConfigurationInput{LaunchConfigurationName: new("l"), ImageId: new("ami-12345678"), InstanceType: new("t3.micro")})
	group := &asapi.CreateAutoScalingGroupInput{AutoScalingGroupName: new("g"), LaunchConfigurationName: new("l"), MinSize: new(int32(1)), MaxSize: new(int32(1)),
		AvailabilityZones: []string{"us-east-1a"}, LifecycleHookSpecificationList: []asapi.LifecycleHookSpecification{
			{LifecycleHookName: new("h"), LifecycleTransition: new("autoscaling:EC2_INSTANCE_LAUNCHING"), NotificationMetadata: new("m<e>ta"), HeartbeatTimeout: new(int32(60)), DefaultResult: new("CONTINUE")}}}
	call[asapi.CreateAutoScalingGroupOutput](w, group)
	var id string
	for range 10 {
		w.until(w.now.Add(time.Second))
		for _, wish := range w.wishes {
			if l, ok := wish.(ec2.LaunchInstance); ok {
				id = l.Spec.ID
			}
		}
		if id != "" {
			break
		}
	}
	w.step(cloud.Observed{Facts: []cloud.Fact{ec2.InstanceRunning{ID: id}}})
	all := w.take()
	if len(all) != 1 {
		t.Fatalf("%v", all)
	}
	arn := *call[asapi.DescribeAutoScalingGroupsOutput](w, &asapi.DescribeAutoScalingGroupsInput{}).AutoScalingGroups[0].AutoScalingGroupARN
	same(t, all[0].Text, `{"version":"0","id":"*","detail-type":"EC2 Instance-launch Lifecycle Action","source":"aws.autoscaling","account":"123456789012","time":"*","region":"us-east-1",
		"resources":["`+arn+`"],"detail":{"LifecycleActionToken":"*","AutoScalingGroupName":"g","LifecycleHookName":"h","EC2InstanceId":"`+id+`",
		"LifecycleTransition":"autoscaling:EC2_INSTANCE_LAUNCHING","NotificationMetadata":"m<e>ta","Origin":"EC2","Destination":"AutoScalingGroup"}}`)
	w.until(w.now.Add(2 * time.Minute))
	if all = w.take(); len(all) != 1 {
		t.Fatalf("%v", all)
	}
	const end = `"AutoScalingGroupName":"g","ActivityId":"*","Details":{"Availability Zone":"us-east-1a","Subnet ID":"*"},"RequestId":"*","EndTime":"*","StartTime":"*","Cause":"*"`
	same(t, all[0].Text, `{"version":"0","id":"*","detail-type":"EC2 Instance Launch Successful","source":"aws.autoscaling","account":"123456789012","time":"*","region":"us-east-1",
		"resources":["`+arn+`","arn:aws:ec2:us-east-1:123456789012:instance/`+id+`"],"detail":{"StatusCode":"InProgress","Description":"Launching a new EC2 instance: `+id+`",
		"StatusMessage":"","EC2InstanceId":"`+id+`","Origin":"EC2","Destination":"AutoScalingGroup",`+end+`}}`)
	call[asapi.TerminateInstanceInAutoScalingGroupOutput](w, &asapi.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: new(false)})
	w.step(cloud.Observed{Facts: []cloud.Fact{ec2.InstanceTerminated{ID: id}}})
	w.until(w.now.Add(time.Minute))
	if all = w.take(); len(all) == 0 || !strings.Contains(all[0].Text, `"EC2 Instance Terminate Successful"`) || !strings.Contains(all[0].Text, `"Origin":"AutoScalingGroup","Destination":"EC2"`) {
		t.Errorf("%v", all)
	}
	source, detailType := autoscaling.ActivityEnded{Activity: autoscaling.Activity{Kind: "launch", StatusCode: "Failed"}}.Told()
	_, detail := autoscaling.ActivityEnded{Activity: autoscaling.Activity{Kind: "launch", StatusCode: "Failed", Description: "d", StatusMessage: "why", GroupARN: "a"}}.Detail(here)
	if text := string(encode(detail)); source+detailType != "aws.autoscalingEC2 Instance Launch Unsuccessful" || strings.Contains(text, "Description") || !strings.Contains(text, `"StatusMessage":"why"`) {
		t.Errorf("%s %s", detailType, text)
	}
}

func TestWhatOtherServicesTell(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["aws.elsewhere"],"detail":{"Group":["g"]}}`, target("1", queueARN))
	for _, group := range []string{"g", "h"} {
		w.step(cloud.Observed{Facts: []cloud.Fact{func(tx *cloud.Tx) { tx.Emit("below", elsewhere{group}) }}})
	}
	if all := w.take(); len(all) != 1 || !strings.Contains(all[0].Text, `"resources":["arn:aws:elsewhere:us-east-1:123456789012:g"],"detail":{"Group":"g"}`) {
		t.Errorf("%v", all)
	}
}

// TestEndsOfFunctions: the end of an asynchronous invocation is told to the bus that is its destination, and to no other.
func TestEndsOfFunctions(t *testing.T) {
	w := newWorld(t)
	call[shape.CreateEventBusOutput](w, &shape.CreateEventBusInput{Name: new("b")})
	const functions = `{"source":["lambda"],"detail":{"requestContext":{"condition":["Success"]}}}`
	w.rule("default", functions, target("1", topicARN))
	call[shape.PutRuleOutput](w, &shape.PutRuleInput{Name: new("r"), EventBusName: new("b"), EventPattern: new(functions)})
	call[shape.PutTargetsOutput](w, &shape.PutTargetsInput{Rule: new("r"), EventBusName: new("b"), Targets: []shape.Target{target("1", queueARN)}})
	bus := here.ARN(Name, "event-bus/b")
	for _, to := range []string{bus, here.ARN(Name, "event-bus/gone"), "arn:aws:events:eu-west-1:123456789012:event-bus/b"} {
		w.step(cloud.Observed{Facts: []cloud.Fact{func(tx *cloud.Tx) {
			tx.Emit("below", lambda.Told{Bus: to, Source: "lambda", DetailType: "Lambda Function Invocation Result - Success", Resources: []string{to, functionARN},
				Detail: `{"requestContext":{"condition":"Success"},"responsePayload":[1]}`})
		}}})
	}
	if all := w.take(); len(all) != 1 || all[0].ARN != queueARN || !strings.Contains(all[0].Text,
		`"resources":["`+bus+`","`+functionARN+`"],"detail":{"requestContext":{"condition":"Success"},"responsePayload":[1]}`) {
		t.Errorf("%v", all)
	}
}

func TestTopicGetsTheEvent(t *testing.T) {
	w := newWorld(t)
	w.topic("news")
	call[snsapi.SubscribeOutput](w, &snsapi.SubscribeInput{TopicArn: new(topicARN), Protocol: new("http"), Endpoint: new("http://127.0.0.1/")})
	var token string
	for _, wish := range w.wishes {
		if d, ok := wish.(sns.DeliverHTTP); ok {
			_, token, _ = strings.Cut(d.Body, `"Token": "`)
			token, _, _ = strings.Cut(token, `"`)
		}
	}
	call[snsapi.ConfirmSubscriptionOutput](w, &snsapi.ConfirmSubscriptionInput{TopicArn: new(topicARN), Token: &token})
	w.rule("r", `{"source":["my.app"]}`, target("1", topicARN))
	w.wishes = nil
	w.put("my.app", `{"a": 1}`)
	if len(w.wishes) != 1 || !strings.Contains(w.wishes[0].(sns.DeliverHTTP).Body, `\"detail\":{\"a\":1}`) {
		t.Errorf("%v", w.wishes)
	}
}

func TestActionsOfEC2(t *testing.T) {
	w := newWorld(t)
	run := call[ec2api.RunInstancesOutput](w, &ec2api.RunInstancesInput{ImageId: new("ami-12345678"), MinCount: new(int32(2)), MaxCount: new(int32(2))})
	a, b := *run.Instances[0].InstanceId, *run.Instances[1].InstanceId
	w.step(cloud.Observed{Facts: []cloud.Fact{ec2.InstanceRunning{ID: a}, ec2.InstanceRunning{ID: b}}})
	stop := target("1", here.ARN("events", "target/stop-instance"))
	stop.RoleArn = new("arn:aws:iam::123456789012:role/r")
	stop.Input = new(`"` + a + `"`)
	end := target("2", here.ARN("events", "target/terminate-instance")) // of the event's own instance
	end.RoleArn = stop.RoleArn
	w.rule("r", `{"source":["my.app"]}`, stop)
	w.rule("s", `{"source":["aws.ec2"],"detail":{"state":["stopped"]}}`, end)
	w.put("my.app", `{}`)
	state := func(id string) string {
		out := call[ec2api.DescribeInstancesOutput](w, &ec2api.DescribeInstancesInput{InstanceIds: []string{id}})
		return *out.Reservations[0].Instances[0].State.Name
	}
	if state(a) != "stopping" || state(b) != "running" {
		t.Errorf("%s %s", state(a), state(b))
	}
	w.step(cloud.Observed{Facts: []cloud.Fact{ec2.InstanceStopped{ID: a}}})
	if got := state(a); got != "shutting-down" && got != "terminated" {
		t.Error(got)
	}
	for input, want := range map[string]string{
		`"i-1"`: "[i-1]", `"arn:aws:ec2:us-east-1:1:instance/i-2"`: "[i-2]", `["i-1","i-2"]`: "[i-1 i-2]", `{"InstanceIds":["i-1"]}`: "[i-1]",
		`{"detail":{"EC2InstanceId":"i-3"}}`: "[i-3]", `{"detail":{}}`: "[]", `7`: "[]", `x`: "[]", `[""]`: "[]",
	} {
		if got := fmt.Sprint(instancesIn(input)); got != want {
			t.Errorf("%s: %s", input, got)
		}
	}
}

// TestSchedules: rate and cron come at their instants, not before and not after they were disabled, also after a restart.
func TestSchedules(t *testing.T) {
	w := newWorld(t)
	w.now = noon.Add(20 * time.Second)
	for name, expression := range map[string]string{"a": "rate(5 minutes)", "b": "cron(0/10 * ? * FRI *)"} {
		call[shape.PutRuleOutput](w, &shape.PutRuleInput{Name: &name, ScheduleExpression: &expression})
		call[shape.PutTargetsOutput](w, &shape.PutTargetsInput{Rule: &name, Targets: []shape.Target{target("t", queueARN)}})
	}
	times := func() (all []string) {
		for _, g := range w.take() {
			all = append(all, g.Text[strings.Index(g.Text, "rule/")+5:][:1]+g.At.Format(" 15:04:05"))
		}
		slices.Sort(all)
		return all
	}
	w.until(noon.Add(11 * time.Minute))
	if got := fmt.Sprint(times()); got != "[a 12:05:20 a 12:10:20 b 12:10:00]" {
		t.Error(got)
	}
	w.restart()
	w.step(cloud.Tick{})
	w.until(noon.Add(16 * time.Minute))
	all := w.take()
	if len(all) != 1 {
		t.Fatal(all)
	}
	same(t, all[0].Text, `{"version":"0","id":"*","detail-type":"Scheduled Event","source":"aws.events","account":"123456789012","time":"2026-11-20T12:15:20Z",
		"region":"us-east-1","resources":["arn:aws:events:us-east-1:123456789012:rule/a"],"detail":{}}`)
	call[shape.DisableRuleOutput](w, &shape.DisableRuleInput{Name: new("a")})
	w.until(noon.Add(29 * time.Minute))
	if got := fmt.Sprint(times()); got != "[b 12:20:00]" {
		t.Error(got)
	}
	call[shape.EnableRuleOutput](w, &shape.EnableRuleInput{Name: new("a")}) // counts from here
	w.until(noon.Add(35 * time.Minute))
	if got := fmt.Sprint(times()); got != "[a 12:34:00 b 12:30:00]" {
		t.Error(got)
	}
	w.now = noon.Add(13 * time.Hour) // nobody looked for half a day: Saturday now
	w.restart()
	w.step(cloud.Tick{})
	w.step(cloud.Tick{})
	if got := len(times()); got != 2 {
		t.Errorf("each comes once for what was missed, %d came", got)
	}
	for _, name := range []string{"a", "b"} {
		call[shape.RemoveTargetsOutput](w, &shape.RemoveTargetsInput{Rule: &name, Ids: []string{"t"}})
		call[shape.DeleteRuleOutput](w, &shape.DeleteRuleInput{Name: &name})
	}
	w.until(w.now.Add(time.Hour))
	if !w.cloud.Wake().IsZero() || len(w.stored["events.schedules"]) > 0 {
		t.Error("a deleted rule has a timer")
	}
}

func TestRetriesAndDeadLetters(t *testing.T) {
	w := newWorld(t)
	busy := &api.Error{Code: "TooManyRequestsException", Message: "busy", Status: 429}
	x := target("1", functionARN)
	x.DeadLetterConfig = &shape.DeadLetterConfig{Arn: new(deadARN)}
	x.RetryPolicy = &shape.RetryPolicy{MaximumRetryAttempts: new(int32(3))}
	w.rule("r", `{"source":["my.app"]}`, x)

	w.fail[functionARN] = busy // for a while
	w.put("my.app", `{"n":1}`)
	w.until(noon.Add(2 * time.Second))
	w.restart() // in the middle
	w.fail[functionARN] = nil
	w.step(cloud.Tick{})
	w.until(noon.Add(4 * time.Second))
	if all := w.take(); len(all) != 1 || all[0].At != noon.Add(3*time.Second) || !strings.Contains(all[0].Text, `{"n":1}`) {
		t.Errorf("tries at 0, 1 and 3 s: %v", all)
	}

	w.fail[functionARN] = busy // for ever
	w.put("my.app", `{"n":2}`)
	w.until(w.now.Add(time.Hour))
	all := w.take()
	if len(all) != 1 || all[0].ARN != deadARN || !strings.Contains(all[0].Text, `{"n":2}`) {
		t.Fatalf("%v", all)
	}
	want := "[{ERROR_CODE THROTTLING String} {ERROR_MESSAGE busy String} {EXHAUSTED_RETRY_CONDITION MaximumRetryAttempts String} {RETRY_ATTEMPTS 3 String} " +
		"{RULE_ARN arn:aws:events:us-east-1:123456789012:rule/r String} {TARGET_ARN " + functionARN + " String}]"
	if got := fmt.Sprint(all[0].Attributes); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}

	w.fail[functionARN] = notFound("gone") // that is not tried again
	w.put("my.app", `{"n":3}`)
	if all := w.take(); len(all) != 1 || len(w.stored["events.deliveries"]) > 0 {
		t.Errorf("%v", all)
	}
	if got := fmt.Sprint(w.measured); got != "map[r FailedInvocations:2 r Invocations:3 r InvocationsSentToDlq:2 r TriggeredRules:3]" {
		t.Errorf("measured: %s", got)
	}

	x.RetryPolicy = &shape.RetryPolicy{MaximumEventAgeInSeconds: new(int32(60))}
	call[shape.PutTargetsOutput](w, &shape.PutTargetsInput{Rule: new("r"), Targets: []shape.Target{x}})
	w.fail[functionARN], w.fail[deadARN] = busy, notFound("gone")
	w.put("my.app", `{"n":4}`)
	w.until(w.now.Add(61 * time.Second))
	if !w.cloud.Wake().IsZero() || len(w.stored["events.deliveries"]) > 0 || len(w.take()) > 0 {
		t.Error("an event older than a minute is still tried")
	}
	x.RetryPolicy, x.DeadLetterConfig = nil, nil
	call[shape.PutTargetsOutput](w, &shape.PutTargetsInput{Rule: new("r"), Targets: []shape.Target{x}})
	w.put("my.app", `{"n":5}`)
	put := w.now
	w.until(put.Add(25 * time.Hour))
	if !w.cloud.Wake().IsZero() {
		t.Error("after a day it is over")
	}
}

// TestWhatTargetsGet: Input, InputPath and InputTransformer.
func TestWhatTargetsGet(t *testing.T) {
	w := newWorld(t)
	const detail = `{"state":"run \"now\"","n":7,"list":["a","b"],"deep":{"x":[{"y":1},{"y":2}]},"none":null,"flag":false}`
	transform := func(template string, paths ...string) shape.Target {
		x := target("1", queueARN)
		x.InputTransformer = &shape.InputTransformer{InputTemplate: &template, InputPathsMap: map[string]string{}}
		for i := 0; i < len(paths); i += 2 {
			x.InputTransformer.InputPathsMap[paths[i]] = paths[i+1]
		}
		return x
	}
	input, path := target("1", queueARN), func(p string) shape.Target {
		x := target("1", queueARN)
		x.InputPath = &p
		return x
	}
	input.Input = new(`{"always": "this"}`)
	for _, c := range []struct {
		target shape.Target
		want   string
	}{
		{input, `{"always": "this"}`},
		{path("$.detail.deep"), `{"x":[{"y":1},{"y":2}]}`},
		{path("$.detail.state"), `"run \"now\""`},
		{path("$.detail.list[1]"), `"b"`},
		{path("$.detail.deep.x[*].y"), `[1,2]`},
		{path("$.detail.gone"), `null`},
		{path("$.detail-type"), `"t"`},
		{path("$.detail['n']"), `7`},
		{transform(`{"is":<s>,"text":"it is <o>, <n> times","list":<l>,"gone":<g>,"rule":"<aws.events.rule-name>"}`, "s", "$.detail.state", "o", "$.source", "n", "$.detail.n", "l", "$.detail.list", "g", "$.detail.gone"),
			`{"is":"run \"now\"","text":"it is my.app, 7 times","list":["a","b"],"gone":"","rule":"r"}`},
		{transform(`"<n> of <aws.events.rule-arn> at <aws.events.event.ingestion-time>"`, "n", "$.detail.n"), `"7 of arn:aws:events:us-east-1:123456789012:rule/r at 2026-11-20T12:00:00Z"`},
		{transform(`<d>`, "d", "$.detail.deep"), `{"x":[{"y":1},{"y":2}]}`},
		{transform(`{"n":<n>,"no":<f>,"nil":<x>,"all":"<l>"}`, "n", "$.detail.n", "f", "$.detail.flag", "x", "$.detail.none", "l", "$.detail.list"), `{"n":7,"no":false,"nil":null,"all":"[a,b]"}`}, // without quotation marks, in a string
		{transform(`{"e":<aws.events.event>}`), `{"e":{"version":"0","id":"*","detail-type":"t","source":"my.app","account":"123456789012","time":"2026-11-20T12:00:00Z","region":"us-east-1","resources":[]}}`},
		{transform(`{"e":<aws.events.event.json>}`), `{"e":{"version":"0","id":"*","detail-type":"t","source":"my.app","account":"123456789012","time":"2026-11-20T12:00:00Z","region":"us-east-1","resources":[],"detail":` + detail + `}}`},
	} {
		w.rule("r", `{"source":["my.app"]}`, c.target)
		w.put("my.app", detail)
		all := w.take()
		if len(all) != 1 {
			t.Fatalf("%v", all)
		}
		same(t, all[0].Text, c.want)
	}
	w.rule("r", `{"source":["my.app"]}`, transform(`<s> it is`, "s", "$.source"))
	w.put("my.app", `{}`)
	if all := w.take(); all[0].Text != "my.app it is" {
		t.Errorf("%v", all)
	}
	w.rule("r", `{"source":["my.app"]}`, transform(`"it is <s>"`, "s", "$.detail.state"))
	w.put("my.app", detail)
	if all := w.take(); all[0].Text != `"it is run "now""` { // EventBridge escapes nothing in a string
		t.Errorf("%v", all)
	}
	for template, source := range map[string]string{`{<s>:1}`: `{null:1}`, `nothing`: `nothing`, `{"x":1`: `{"x":1`, `"<s>`: `"null`} {
		_, err := w.try(here, &shape.PutTargetsInput{Rule: new("r"), Targets: []shape.Target{transform(template, "s", "$.source")}})
		if want := `Invalid InputTemplate for target 1 : [Source: (String)"` + source + `"; line: 1, column: `; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", template, err)
		}
	}
	w.rule("r", `{"source":["my.app"]}`, transform("\"<s>\"\n\"is <s>\"", "s", "$.source")) // a string on each line
}

// TestBusesAndLoops: an event goes from bus to bus once, so that rules that feed themselves and each other end.
func TestBusesAndLoops(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"x", "y"} {
		call[shape.CreateEventBusOutput](w, &shape.CreateEventBusInput{Name: &name})
	}
	busTarget := func(id, name string) shape.Target { return target(id, busARN(here, name)) }
	any := new(`{"source":[{"prefix":""}]}`)
	for bus, targets := range map[string][]shape.Target{
		"default": {busTarget("1", "x"), busTarget("2", "default"), target("3", queueARN)},
		"x":       {busTarget("1", "y"), busTarget("2", "default"), target("3", functionARN)},
		"y":       {busTarget("1", "x"), target("3", logARN)},
	} {
		call[shape.PutRuleOutput](w, &shape.PutRuleInput{Name: new("r"), EventBusName: &bus, EventPattern: any})
		call[shape.PutTargetsOutput](w, &shape.PutTargetsInput{Rule: new("r"), EventBusName: &bus, Targets: targets})
	}
	w.put("my.app", `{}`)
	var arns []string
	for _, g := range w.take() {
		arns = append(arns, g.ARN)
	}
	if got, want := fmt.Sprint(arns), fmt.Sprint([]string{functionARN, queueARN, queueARN}); got != want {
		t.Errorf("%s, want %s", got, want)
	}

	// Another account's bus takes what its policy lets through.
	w.try(there, &shape.CreateEventBusInput{Name: new("z")})
	w.try(there, &shape.PutRuleInput{Name: new("r"), EventBusName: new("z"), EventPattern: any})
	w.try(there, &shape.PutTargetsInput{Rule: new("r"), EventBusName: new("z"), Targets: []shape.Target{target("1", "arn:aws:sqs:us-east-1:210987654321:q")}})
	entry := shape.PutEventsRequestEntry{Source: new("my.app"), DetailType: new("t"), Detail: new("{}"), EventBusName: new(busARN(there, "z"))}
	out := call[shape.PutEventsOutput](w, &shape.PutEventsInput{Entries: []shape.PutEventsRequestEntry{entry}})
	if *out.FailedEntryCount != 1 || *out.Entries[0].ErrorCode != "AccessDeniedException" {
		t.Errorf("%+v", out)
	}
	permit := &shape.PutPermissionInput{EventBusName: new("z"), Action: new("events:PutEvents"), Principal: new(here.Account), StatementId: new("s")}
	if _, err := w.try(there, permit); err != nil {
		t.Fatal(err)
	}
	out = call[shape.PutEventsOutput](w, &shape.PutEventsInput{Entries: []shape.PutEventsRequestEntry{entry}})
	if all := w.take(); *out.FailedEntryCount != 0 || len(all) != 1 || !strings.Contains(all[0].Text, `"account":"123456789012"`) {
		t.Errorf("%+v %v", out, all)
	}
}

// TestAStepCostsWhatMatches: of many rules only those are looked at that the source and type lead to.
func TestAStepCostsWhatMatches(t *testing.T) {
	w := newWorld(t)
	for i := range 200 {
		w.rule(fmt.Sprint("r", i), fmt.Sprintf(`{"source":["s%d"],"detail-type":["a","b"]}`, i), target("1", queueARN))
	}
	count := func(source, detailType string) (n int) {
		w.step(cloud.Observed{Facts: []cloud.Fact{func(tx *cloud.Tx) {
			for _, x := range interestsIn(defaultBus, source, detailType) {
				n += w.events.interested.Count(tx, x)
			}
		}}})
		return n
	}
	if count("s7", "a") != 1 || count("s7", "c") != 0 || count("aws.ec2", "a") != 0 {
		t.Error("rules are not found by source and type")
	}
	w.rule("wide", `{"detail-type":["a"]}`)
	w.rule("all", `{"$or":[{"source":["s1"]},{"source":["s2"]}]}`)
	w.rule("types", `{"source":["s7"],"detail-type":[{"prefix":"c"}]}`)
	if count("s7", "a") != 4 || count("s7", "cc") != 2 || count("x", "y") != 1 {
		t.Errorf("%d %d %d", count("s7", "a"), count("s7", "cc"), count("x", "y"))
	}
	call[shape.DisableRuleOutput](w, &shape.DisableRuleInput{Name: new("all")})
	if count("x", "y") != 0 {
		t.Error("a disabled rule is looked at")
	}
}
