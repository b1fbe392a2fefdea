package access

import (
	"reflect"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/cloud"
)

// rule says what resources a member of a service's inputs names.
type rule struct {
	member string
	// resource is the last part of the ARN, with V for the value; "arn" says that the value is one.
	resource string
	make     func(tx *cloud.Tx, p *plan, in reflect.Value, v string) string // instead of resource
	alone    bool                                                           // only if no member above it was given
	only     []string                                                       // operations, by the head of their names; none is all
	each     string                                                         // the member is a list of structures with this one
	none     string                                                         // what stands for a structure without it
}

// values are those of a member that name resources.
func (r rule) values(member reflect.Value) []string {
	if r.each == "" {
		return texts(member)
	}
	var all []string
	for i := range member.Len() {
		v := text(member.Index(i).FieldByName(r.each))
		if v == "" {
			v = r.none
		}
		all = append(all, v)
	}
	return all
}

func (r rule) applies(operation string) bool {
	return len(r.only) == 0 || slices.ContainsFunc(r.only, func(head string) bool { return strings.HasPrefix(operation, head) })
}

// arn is the ARN of what a value of the member names.
func (r rule) arn(tx *cloud.Tx, c cloud.Call, p *plan, in reflect.Value, v string) string {
	switch {
	case r.make != nil:
		return r.make(tx, p, in, v)
	case strings.HasPrefix(v, "arn:"):
		return v
	case r.resource == "arn":
		return ""
	}
	resource := strings.Replace(r.resource, "V", v, 1)
	switch vendor, _, _ := strings.Cut(p.action, ":"); {
	case c.Service == "iam":
		return "arn:aws:iam::" + tx.Scope.Account + ":" + resource
	case strings.HasPrefix(resource, "image/") || strings.HasPrefix(resource, "snapshot/"):
		return "arn:aws:" + vendor + ":" + tx.Scope.Region + "::" + resource
	default:
		return tx.Scope.ARN(vendor, resource)
	}
}

const groupName = "autoScalingGroup:*:autoScalingGroupName/V"

// rules are the members of each service that name resources.
var rules = map[string][]rule{
	"ec2": {
		{member: "AllocationId", resource: "elastic-ip/V"}, {member: "PublicIp", resource: "elastic-ip/V", alone: true},
		{member: "InstanceId", resource: "instance/V"}, {member: "InstanceIds", resource: "instance/V"},
		{member: "NetworkInterfaceId", resource: "network-interface/V"},
		{member: "VolumeId", resource: "volume/V"}, {member: "SnapshotId", resource: "snapshot/V"}, {member: "ImageId", resource: "image/V"},
		{member: "SourceImageId", resource: "image/V"}, {member: "GroupId", resource: "security-group/V"}, {member: "SubnetId", resource: "subnet/V"},
		{member: "VpcId", resource: "vpc/V"}, {member: "KeyName", resource: "key-pair/V"}, {member: "KeyPairId", resource: "key-pair/V"},
		{member: "LaunchTemplateId", resource: "launch-template/V"}, {member: "LaunchTemplateName", resource: "launch-template/V", only: []string{"Delete", "Modify", "CreateLaunchTemplateVersion"}},
		{member: "InternetGatewayId", resource: "internet-gateway/V"}, {member: "RouteTableId", resource: "route-table/V"},
		{member: "AssociationId", resource: "elastic-ip/V", only: []string{"DisassociateAddress"}, alone: true},
		{member: "AssociationId", resource: "instance/V", only: []string{"DisassociateIam", "ReplaceIam"}},
		{member: "Resources", make: taggedResource},
	},
	"autoscaling": {
		{member: "AutoScalingGroupName", resource: groupName},
		{member: "LaunchConfigurationName", resource: "launchConfiguration:*:launchConfigurationName/V", only: []string{"CreateLaunchConfiguration", "DeleteLaunchConfiguration"}},
		{member: "Tags", each: "ResourceId", resource: groupName, only: []string{"CreateOrUpdateTags", "DeleteTags"}},
		{member: "InstanceId", make: groupOf, only: []string{"TerminateInstanceInAutoScalingGroup", "SetInstanceHealth"}},
	},
	"elbv2": {
		{member: "LoadBalancerArn", resource: "arn"}, {member: "TargetGroupArn", resource: "arn"}, {member: "ListenerArn", resource: "arn"},
		{member: "RuleArn", resource: "arn"}, {member: "ResourceArns", resource: "arn"}, {member: "ResourceArn", resource: "arn"},
		{member: "RulePriorities", each: "RuleArn", resource: "arn"},
		{member: "Name", resource: "loadbalancer/app/V/*", only: []string{"CreateLoadBalancer"}},
		{member: "Name", resource: "targetgroup/V/*", only: []string{"CreateTargetGroup"}},
	},
	"elb":        {{member: "LoadBalancerName", resource: "loadbalancer/V"}, {member: "LoadBalancerNames", resource: "loadbalancer/V"}},
	"cloudwatch": {{member: "AlarmName", resource: "alarm:V"}, {member: "AlarmNames", resource: "alarm:V"}, {member: "ResourceARN", resource: "arn"}, {member: "DashboardName", resource: "dashboard/V"}},
	"sns": {
		{member: "TopicArn", resource: "arn"}, {member: "TargetArn", resource: "arn"}, {member: "ResourceArn", resource: "arn"},
		{member: "SubscriptionArn", make: topicOf}, {member: "Name", resource: "V", only: []string{"CreateTopic"}},
	},
	"sqs": {
		{member: "QueueUrl", make: queueOf}, {member: "QueueName", resource: "V"}, {member: "SourceArn", resource: "arn"}, {member: "ResourceArn", resource: "arn"},
	},
	"lambda": {
		{member: "FunctionName", make: functionOf}, {member: "UUID", resource: "event-source-mapping:V", alone: true}, {member: "Resource", resource: "arn"}, {member: "FunctionArn", resource: "arn", alone: true},
	},
	"events": {
		{member: "Rule", make: ruleOf}, {member: "Name", make: ruleOf, only: []string{"PutRule", "DeleteRule", "DescribeRule", "EnableRule", "DisableRule"}},
		{member: "Name", resource: "event-bus/V", only: []string{"CreateEventBus", "DeleteEventBus", "DescribeEventBus", "UpdateEventBus"}},
		{member: "EventBusName", resource: "event-bus/V", only: []string{"PutPermission", "RemovePermission"}}, {member: "ResourceARN", resource: "arn"},
		{member: "Entries", each: "EventBusName", none: "default", resource: "event-bus/V", only: []string{"PutEvents"}},
	},
	"logs": {
		{member: "LogGroupName", make: logGroupOf}, {member: "LogGroupIdentifier", make: logGroupOf}, {member: "ResourceArn", resource: "arn"},
		{member: "LogGroupNamePrefix", make: logGroupOf},
	},
	"ssm": {
		{member: "Name", make: parameterOf}, {member: "Names", make: parameterOf}, {member: "Path", make: parameterOf},
		{member: "ResourceId", make: parameterOf},
	},
	"iam": {
		{member: "GroupName", resource: "group/V"}, {member: "InstanceProfileName", resource: "instance-profile/V", alone: true},
		{member: "RoleName", resource: "role/V", alone: true}, {member: "UserName", resource: "user/V", alone: true},
		{member: "PolicyArn", resource: "arn", alone: true}, {member: "PolicySourceArn", resource: "arn", alone: true},
		{member: "PolicyName", resource: "policy/V", alone: true}, {member: "AWSServiceName", resource: "role/aws-service-role/V/*", alone: true},
	},
	"sts": {{member: "RoleArn", resource: "arn"}},
}

// makes are the resources, not yet named, that an operation of EC2 makes.
func makes(service, operation string) []string {
	if service != "ec2" {
		return nil
	}
	return made[operation]
}

var made = map[string][]string{
	"AllocateAddress": {"elastic-ip/*"}, "CreateVolume": {"volume/*"}, "CreateSecurityGroup": {"security-group/*"},
	"CreateLaunchTemplate": {"launch-template/*"}, "CreateVpc": {"vpc/*"}, "CreateSubnet": {"subnet/*"}, "CreateInternetGateway": {"internet-gateway/*"},
	"CreateRouteTable": {"route-table/*"}, "CreateImage": {"image/*"}, "CreateSnapshot": {"snapshot/*"}, "RegisterImage": {"image/*"},
	"CopyImage": {"image/*"}, "CopySnapshot": {"snapshot/*"},
}

// kinds are EC2's resources by the heads of their IDs.
var kinds = []struct{ head, kind string }{
	{"i-", "instance"}, {"ami-", "image"}, {"sg-", "security-group"}, {"sgr-", "security-group-rule"}, {"subnet-", "subnet"}, {"vpc-", "vpc"},
	{"lt-", "launch-template"}, {"key-", "key-pair"}, {"vol-", "volume"}, {"snap-", "snapshot"}, {"eni-", "network-interface"},
	{"eipalloc-", "elastic-ip"}, {"rtb-", "route-table"}, {"acl-", "network-acl"}, {"igw-", "internet-gateway"}, {"dopt-", "dhcp-options"},
}

// taggedResource is what CreateTags names: the head of its ID tells its kind.
func taggedResource(tx *cloud.Tx, _ *plan, _ reflect.Value, v string) string {
	for _, k := range kinds {
		if strings.HasPrefix(v, k.head) {
			account := tx.Scope.Account
			if k.kind == "image" || k.kind == "snapshot" {
				account = ""
			}
			return "arn:aws:ec2:" + tx.Scope.Region + ":" + account + ":" + k.kind + "/" + v
		}
	}
	return ""
}

// groupOf stands for the group of an instance, which the service is asked for.
func groupOf(tx *cloud.Tx, _ *plan, _ reflect.Value, v string) string {
	return tx.Scope.ARN("autoscaling", "autoScalingGroup:*:instance/"+v)
}

// topicOf is the topic of a subscription.
func topicOf(_ *cloud.Tx, _ *plan, _ reflect.Value, v string) string {
	if strings.Count(v, ":") == 6 {
		return v[:strings.LastIndexByte(v, ':')]
	}
	return v
}

// queueOf is the queue of a URL, whose path ends with account and name.
func queueOf(tx *cloud.Tx, _ *plan, _ reflect.Value, v string) string {
	parts := strings.Split(v, "/")
	if len(parts) < 2 {
		return tx.Scope.ARN("sqs", v)
	}
	return "arn:aws:sqs:" + tx.Scope.Region + ":" + parts[len(parts)-2] + ":" + parts[len(parts)-1]
}

// functionOf is the function that a name, a partial or a whole ARN names, with its qualifier.
func functionOf(tx *cloud.Tx, p *plan, in reflect.Value, v string) string {
	if account, name, ok := strings.Cut(v, ":function:"); ok && !strings.HasPrefix(v, "arn:") {
		v = "arn:aws:lambda:" + tx.Scope.Region + ":" + account + ":function:" + name
	} else if !strings.HasPrefix(v, "arn:") {
		v = tx.Scope.ARN("lambda", "function:"+v)
	}
	if i, ok := p.members["qualifier"]; ok && strings.Count(v, ":") == 6 {
		if q := text(in.Field(i)); q != "" {
			v += ":" + q
		}
	}
	return v
}

// ruleOf is a rule of the bus that the call names, or of the default one.
func ruleOf(tx *cloud.Tx, p *plan, in reflect.Value, v string) string {
	bus := ""
	if i, ok := p.members["eventbusname"]; ok {
		bus = text(in.Field(i))
		bus = bus[strings.LastIndexByte(bus, '/')+1:]
	}
	if bus == "" || bus == "default" {
		return tx.Scope.ARN("events", "rule/"+v)
	}
	return tx.Scope.ARN("events", "rule/"+bus+"/"+v)
}

// logGroupOf is a log group with the stream that the call names, as CloudWatch Logs asks about it.
func logGroupOf(tx *cloud.Tx, p *plan, in reflect.Value, v string) string {
	v = strings.TrimSuffix(v, ":*")
	if _, group, ok := strings.Cut(v, ":log-group:"); ok {
		v = group
	}
	stream := ""
	if i, ok := p.members["logstreamname"]; ok {
		stream = text(in.Field(i))
	}
	return tx.Scope.ARN("logs", "log-group:"+v+":log-stream:"+stream)
}

// parameterOf is a parameter, whose name may begin with a slash.
func parameterOf(tx *cloud.Tx, _ *plan, _ reflect.Value, v string) string {
	if strings.HasPrefix(v, "arn:") {
		return v
	}
	return tx.Scope.ARN("ssm", "parameter/"+strings.TrimPrefix(v, "/"))
}
