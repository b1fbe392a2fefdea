package region

import (
	"strings"
	"testing"

	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	classicapi "github.com/billow-cloud/billow/api/elb"
	elbapi "github.com/billow-cloud/billow/api/elbv2"
	evapi "github.com/billow-cloud/billow/api/events"
	iamapi "github.com/billow-cloud/billow/api/iam"
	logsapi "github.com/billow-cloud/billow/api/logs"
	snsapi "github.com/billow-cloud/billow/api/sns"
	sqsapi "github.com/billow-cloud/billow/api/sqs"
	ssmapi "github.com/billow-cloud/billow/api/ssm"
)

// TestPoliciesDecideOnWhatIsThere: one of each service's things has the tag, one has not, and the policy goes by the tag or
// by the ARN.
func TestPoliciesDecideOnWhatIsThere(t *testing.T) {
	p := newPeople(t)
	group := func(name string) *string {
		out := call[elbapi.CreateTargetGroupOutput](p.world, "elbv2", "CreateTargetGroup", &elbapi.CreateTargetGroupInput{
			Name: &name, Protocol: new("HTTP"), Port: new(int32(80)), VpcId: p.vpc(), Tags: []elbapi.Tag{{Key: new("team"), Value: new(name)}},
		})
		return out.TargetGroups[0].TargetGroupArn
	}
	mine, theirs := group("shop"), group("ops")
	for _, team := range []string{"shop", "ops"} {
		call[snsapi.CreateTopicOutput](p.world, "sns", "CreateTopic", &snsapi.CreateTopicInput{Name: &team, Tags: []snsapi.Tag{{Key: new("team"), Value: &team}}})
		call[sqsapi.CreateQueueOutput](p.world, "sqs", "CreateQueue", &sqsapi.CreateQueueInput{QueueName: &team, Tags: map[string]string{"team": team}})
		call[evapi.PutRuleOutput](p.world, "events", "PutRule", &evapi.PutRuleInput{Name: &team, ScheduleExpression: new("rate(1 minute)"), Tags: []evapi.Tag{{Key: new("team"), Value: &team}}})
		call[logsapi.CreateLogGroupOutput](p.world, "logs", "CreateLogGroup", &logsapi.CreateLogGroupInput{LogGroupName: &team, Tags: map[string]string{"team": team}})
		call[cwapi.PutMetricAlarmOutput](p.world, "cloudwatch", "PutMetricAlarm", &cwapi.PutMetricAlarmInput{
			AlarmName: &team, Namespace: new("N"), MetricName: new("M"), Statistic: new("Average"), Period: new(int32(60)), EvaluationPeriods: new(int32(1)),
			Threshold: new(1.0), ComparisonOperator: new("GreaterThanThreshold"), Tags: []cwapi.Tag{{Key: new("team"), Value: &team}},
		})
		call[classicapi.CreateLoadBalancerOutput](p.world, "elb", "CreateLoadBalancer", &classicapi.CreateLoadBalancerInput{
			LoadBalancerName: &team, AvailabilityZones: []string{"us-east-1a"}, Tags: []classicapi.Tag{{Key: new("team"), Value: &team}},
			Listeners: []classicapi.Listener{{Protocol: new("HTTP"), LoadBalancerPort: new(int32(80)), InstancePort: new(int32(80))}},
		})
		call[iamapi.CreateRoleOutput](p.world, "iam", "CreateRole", &iamapi.CreateRoleInput{RoleName: &team, Tags: []iamapi.Tag{{Key: new("team"), Value: &team}},
			AssumeRolePolicyDocument: new(`{"Statement":{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sts:AssumeRole"}}`)})
	}
	url := func(name string) *string { return new("http://h/123456789012/" + name) }
	topic := func(name string) *string { return new("arn:aws:sns:us-east-1:123456789012:" + name) }
	byTag := func(action string) string {
		return `{"Effect":"Allow","Action":"` + action + `","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"shop"}}}`
	}
	byARN := func(action, resource string) string {
		return `{"Effect":"Allow","Action":"` + action + `","Resource":"arn:aws:` + resource + `"}`
	}
	for _, c := range []struct {
		service, operation, statement string
		mine, theirs                  any
	}{
		{"elbv2", "ModifyTargetGroup", byTag("elasticloadbalancing:*"), &elbapi.ModifyTargetGroupInput{TargetGroupArn: mine}, &elbapi.ModifyTargetGroupInput{TargetGroupArn: theirs}},
		{"elb", "DeleteLoadBalancer", byTag("elasticloadbalancing:*"), &classicapi.DeleteLoadBalancerInput{LoadBalancerName: new("shop")}, &classicapi.DeleteLoadBalancerInput{LoadBalancerName: new("ops")}},
		{"cloudwatch", "DisableAlarmActions", byTag("cloudwatch:*"), &cwapi.DisableAlarmActionsInput{AlarmNames: []string{"shop"}}, &cwapi.DisableAlarmActionsInput{AlarmNames: []string{"shop", "ops"}}},
		{"sns", "Publish", byTag("sns:Publish"), &snsapi.PublishInput{TopicArn: topic("shop"), Message: new("m")}, &snsapi.PublishInput{TopicArn: topic("ops"), Message: new("m")}},
		{"sns", "Publish", byARN("sns:*", "sns:*:*:sh?p"), &snsapi.PublishInput{TargetArn: topic("shop"), Message: new("m")}, &snsapi.PublishInput{TargetArn: topic("ops"), Message: new("m")}},
		{"sqs", "SendMessage", byTag("sqs:SendMessage"), &sqsapi.SendMessageInput{QueueUrl: url("shop"), MessageBody: new("m")}, &sqsapi.SendMessageInput{QueueUrl: url("ops"), MessageBody: new("m")}},
		{"events", "DisableRule", byTag("events:*"), &evapi.DisableRuleInput{Name: new("shop")}, &evapi.DisableRuleInput{Name: new("ops")}},
		{"events", "DescribeRule", byARN("events:*", "events:us-east-1:123456789012:rule/shop"), &evapi.DescribeRuleInput{Name: new("shop"), EventBusName: new("default")}, &evapi.DescribeRuleInput{Name: new("ops")}},
		{"events", "PutEvents", byARN("events:PutEvents", "events:*:*:event-bus/default"), &evapi.PutEventsInput{Entries: []evapi.PutEventsRequestEntry{{Source: new("s"), DetailType: new("t"), Detail: new("{}")}}},
			&evapi.PutEventsInput{Entries: []evapi.PutEventsRequestEntry{{Source: new("s"), DetailType: new("t"), Detail: new("{}")}, {EventBusName: new("other")}}}},
		{"logs", "DescribeLogStreams", byTag("logs:*"), &logsapi.DescribeLogStreamsInput{LogGroupName: new("shop")}, &logsapi.DescribeLogStreamsInput{LogGroupName: new("ops")}},
		{"ssm", "PutParameter", byARN("ssm:*", "ssm:*:*:parameter/shop/*"), &ssmapi.PutParameterInput{Name: new("/shop/x"), Value: new("v"), Type: new("String")}, &ssmapi.PutParameterInput{Name: new("/ops/x"), Value: new("v"), Type: new("String")}},
		{"iam", "GetRole", byTag("iam:*"), &iamapi.GetRoleInput{RoleName: new("shop")}, &iamapi.GetRoleInput{RoleName: new("ops")}},
		{"iam", "DeleteRole", `{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"StringEquals":{"iam:ResourceTag/team":"shop"}}}`, &iamapi.DeleteRoleInput{RoleName: new("shop")}, &iamapi.DeleteRoleInput{RoleName: new("ops")}},
		{"cloudwatch", "DescribeAlarms", byARN("cloudwatch:DescribeAlarms", "cloudwatch:*:*:alarm:*"), &cwapi.DescribeAlarmsInput{}, nil},
	} {
		p.let(c.statement)
		if got := p.try(c.service, c.operation, c.mine); got != "" {
			t.Errorf("%s %s of one's own: %s", c.service, c.operation, got)
		}
		if c.theirs == nil {
			continue
		}
		if got := p.try(c.service, c.operation, c.theirs); !strings.Contains(got, " is not authorized to perform: ") {
			t.Errorf("%s %s of others': %q", c.service, c.operation, got)
		}
	}
}

// vpc is the default VPC.
func (p *people) vpc() *string {
	return call[ec2api.DescribeVpcsOutput](p.world, "ec2", "DescribeVpcs", &ec2api.DescribeVpcsInput{}).Vpcs[0].VpcId
}

// TestTagsOnMakingNeedTheirOwnRight: who makes something with tags needs the action that tags, too.
func TestTagsOnMakingNeedTheirOwnRight(t *testing.T) {
	p := newPeople(t)
	for _, c := range []struct {
		service, operation, action string
		in                         any
	}{
		{"sns", "CreateTopic", "SNS:TagResource", &snsapi.CreateTopicInput{Name: new("x"), Tags: []snsapi.Tag{{Key: new("team"), Value: new("shop")}}}},
		{"sqs", "CreateQueue", "sqs:tagqueue", &sqsapi.CreateQueueInput{QueueName: new("x"), Tags: map[string]string{"team": "shop"}}},
		{"iam", "CreateUser", "iam:TagUser", &iamapi.CreateUserInput{UserName: new("x"), Tags: []iamapi.Tag{{Key: new("team"), Value: new("shop")}}}},
		{"elbv2", "CreateTargetGroup", "elasticloadbalancing:AddTags", &elbapi.CreateTargetGroupInput{Name: new("x"), Protocol: new("HTTP"), Port: new(int32(80)), VpcId: p.vpc(), Tags: []elbapi.Tag{{Key: new("team"), Value: new("shop")}}}},
	} {
		vendor, _, _ := strings.Cut(strings.ToLower(c.action), ":")
		create := `{"Effect":"Allow","Action":"` + vendor + `:Create*","Resource":"*"}`
		p.let(create)
		if got := p.try(c.service, c.operation, c.in); !strings.Contains(got, " is not authorized to perform: "+c.action+" on resource: ") {
			t.Errorf("%s: %q", c.operation, got)
		}
		p.let(create + `,{"Effect":"Allow","Action":"` + c.action + `","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"shop"},"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}}`)
		if got := p.try(c.service, c.operation, c.in); got != "" {
			t.Errorf("%s: %s", c.operation, got)
		}
	}
}

// TestKeysOfALaunchAreThoseOfItsParts: a condition that only instances have leaves out the subnet and all the rest, as on EC2.
func TestKeysOfALaunchAreThoseOfItsParts(t *testing.T) {
	p := newPeople(t)
	plain := func(*ec2api.RunInstancesInput) {}
	p.let(`{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*","Condition":{"StringEquals":{"ec2:InstanceType":"t3.micro"}}}`)
	if got := p.run(plain); !strings.Contains(got, "ec2:RunInstances on resource: arn:aws:ec2:us-east-1::image/") {
		t.Error(got)
	}
	rest := `{"Effect":"Allow","Action":"ec2:RunInstances","NotResource":"arn:aws:ec2:*:*:instance/*"},`
	p.let(rest + `{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*:*:instance/*","Condition":{"StringEquals":{"ec2:InstanceType":"t3.micro"}}}`)
	if got := p.run(plain); got != "" {
		t.Error(got)
	}
	image := p.image()
	call[ec2api.CreateLaunchTemplateOutput](p.world, "ec2", "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateInput{LaunchTemplateName: new("web"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{
		ImageId: image, InstanceType: new("m5.large"),
		TagSpecifications: []ec2api.LaunchTemplateTagSpecificationRequest{{ResourceType: new("instance"), Tags: []ec2api.Tag{{Key: new("team"), Value: new("shop")}}}},
	}})
	templated := func(in *ec2api.RunInstancesInput) {
		in.ImageId, in.InstanceType = nil, nil
		in.LaunchTemplate = &ec2api.LaunchTemplateSpecification{LaunchTemplateName: new("web")}
	}
	if got := p.run(templated); !strings.Contains(got, "ec2:RunInstances on resource: arn:aws:ec2:us-east-1:123456789012:instance/*") {
		t.Errorf("the template's type counts: %q", got)
	}
	only := `{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*","Condition":{"ArnLike":{"ec2:LaunchTemplate":"arn:aws:ec2:*:*:launch-template/*"},"Bool":{"ec2:IsLaunchTemplateResource":"true"}}}`
	p.let(only)
	if got := p.run(templated); !strings.Contains(got, "ec2:CreateTags on resource: arn:aws:ec2:us-east-1:123456789012:instance/*") {
		t.Errorf("the template's tags count: %q", got)
	}
	p.let(only + `,{"Effect":"Allow","Action":"ec2:CreateTags","Resource":"*","Condition":{"StringEquals":{"ec2:CreateAction":"RunInstances","aws:RequestTag/team":"shop"}}}`)
	if got := p.run(templated); got != "" {
		t.Error(got)
	}
	if got := p.run(func(in *ec2api.RunInstancesInput) { templated(in); in.InstanceType = new("t3.micro") }); !strings.Contains(got, "instance/*") {
		t.Errorf("the template's type is not to be changed: %q", got)
	}
}
