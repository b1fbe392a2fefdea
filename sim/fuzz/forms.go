package fuzz

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
)

// form is an input that works, from which others are made; "@name" stands for something that has been heard of, "@name0"
// and "@name1" for two that differ.
type form struct{ service, operation, text string }

var forms = []form{
	{"ec2", "CreateSecurityGroup", `{"GroupName":"@name","Description":"d","VpcId":"@vpcid"}`},
	{"ec2", "AuthorizeSecurityGroupIngress", `{"GroupId":"@groupid","IpPermissions":[{"IpProtocol":"tcp","FromPort":80,"ToPort":80,"IpRanges":[{"CidrIp":"0.0.0.0/0"}]}]}`},
	{"ec2", "CreateKeyPair", `{"KeyName":"@name","KeyType":"ed25519"}`},
	{"ec2", "CreateSubnet", `{"VpcId":"@vpcid","CidrBlock":"172.31.96.0/24","AvailabilityZone":"@availabilityzone"}`},
	{"ec2", "RunInstances", `{"ImageId":"@imageid","InstanceType":"t3.micro","MinCount":1,"MaxCount":2,"SubnetId":"@subnetid","SecurityGroupIds":["@groupid"],"TagSpecifications":[{"ResourceType":"instance","Tags":[{"Key":"Name","Value":"@name"}]}]}`},
	{"ec2", "StopInstances", `{"InstanceIds":["@instanceid"]}`},
	{"ec2", "StartInstances", `{"InstanceIds":["@instanceid"]}`},
	{"ec2", "TerminateInstances", `{"InstanceIds":["@instanceid"]}`},
	{"ec2", "TerminateInstances", `{"InstanceIds":["@memberid"]}`},
	{"ec2", "StopInstances", `{"InstanceIds":["@memberid"]}`},
	{"ec2", "CreateImage", `{"InstanceId":"@instanceid","Name":"@name"}`},
	{"ec2", "CreateTags", `{"Resources":["@resource"],"Tags":[{"Key":"k","Value":"v"}]}`},
	{"ec2", "CreateLaunchTemplate", `{"LaunchTemplateName":"@name","LaunchTemplateData":{"ImageId":"@imageid","InstanceType":"t3.micro","SecurityGroupIds":["@groupid"],"UserData":"IyEvYmluL3NoCg=="}}`},
	{"ec2", "CreateLaunchTemplateVersion", `{"LaunchTemplateName":"@launchtemplatename","SourceVersion":"1","LaunchTemplateData":{"InstanceType":"t3.small"}}`},
	{"ec2", "DescribeInstances", `{"Filters":[{"Name":"tag:Name","Values":["n*"]},{"Name":"instance-state-name","Values":["running","pending"]}]}`},
	{"elbv2", "CreateLoadBalancer", `{"Name":"@name","Subnets":["@subnetid0","@subnetid1"]}`},
	{"elbv2", "CreateTargetGroup", `{"Name":"@name","Protocol":"HTTP","Port":80,"VpcId":"@vpcid"}`},
	{"elbv2", "CreateListener", `{"LoadBalancerArn":"@loadbalancerarn","Protocol":"HTTP","Port":80,"DefaultActions":[{"Type":"forward","TargetGroupArn":"@targetgrouparn"}]}`},
	{"elbv2", "RegisterTargets", `{"TargetGroupArn":"@targetgrouparn","Targets":[{"Id":"@instanceid"}]}`},
	{"elbv2", "DeregisterTargets", `{"TargetGroupArn":"@targetgrouparn","Targets":[{"Id":"@instanceid"}]}`},
	{"elbv2", "ModifyTargetGroupAttributes", `{"TargetGroupArn":"@targetgrouparn","Attributes":[{"Key":"deregistration_delay.timeout_seconds","Value":"30"}]}`},
	{"elb", "CreateLoadBalancer", `{"LoadBalancerName":"@name","Listeners":[{"Protocol":"HTTP","LoadBalancerPort":80,"InstancePort":80}],"AvailabilityZones":["@availabilityzone"]}`},
	{"elbv2", "DeleteListener", `{"ListenerArn":"@listenerarn"}`},
	{"elb", "RegisterInstancesWithLoadBalancer", `{"LoadBalancerName":"@loadbalancername","Instances":[{"InstanceId":"@instanceid"}]}`},
	{"elb", "ConfigureHealthCheck", `{"LoadBalancerName":"@loadbalancername","HealthCheck":{"Target":"HTTP:80/","Interval":30,"Timeout":5,"UnhealthyThreshold":2,"HealthyThreshold":2}}`},
	{"cloudwatch", "PutMetricData", `{"Namespace":"my","MetricData":[{"MetricName":"m1","Value":3,"Dimensions":[{"Name":"d","Value":"v"}]},{"MetricName":"m2","Values":[1,2,3],"Counts":[1,1,2]}]}`},
	{"cloudwatch", "PutMetricAlarm", `{"AlarmName":"@name","Namespace":"my","MetricName":"m1","Dimensions":[{"Name":"d","Value":"v"}],"Statistic":"Average","Period":60,"EvaluationPeriods":2,"Threshold":2,"ComparisonOperator":"GreaterThanThreshold","AlarmActions":["@policyarn"]}`},
	{"cloudwatch", "PutMetricAlarm", `{"AlarmName":"@name","Metrics":[{"Id":"m1","ReturnData":false,"MetricStat":{"Metric":{"Namespace":"my","MetricName":"m1"},"Period":60,"Stat":"Sum"}},{"Id":"e1","Expression":"m1*2","ReturnData":true}],"EvaluationPeriods":1,"Threshold":2,"ComparisonOperator":"LessThanThreshold","OKActions":["@topicarn"]}`},
	{"cloudwatch", "SetAlarmState", `{"AlarmName":"@alarmname","StateValue":"ALARM","StateReason":"because"}`},
	{"cloudwatch", "GetMetricData", `{"StartTime":"2026-09-27T12:00:00Z","EndTime":"2026-09-27T15:00:00Z","MetricDataQueries":[{"Id":"m1","MetricStat":{"Metric":{"Namespace":"my","MetricName":"m1"},"Period":60,"Stat":"Average"}},{"Id":"e1","Expression":"m1+1"}]}`},
	{"cloudwatch", "GetMetricStatistics", `{"StartTime":"2026-09-27T12:00:00Z","EndTime":"2026-09-27T15:00:00Z","Namespace":"AWS/EC2","MetricName":"CPUUtilization","Dimensions":[{"Name":"AutoScalingGroupName","Value":"@autoscalinggroupname"}],"Period":60,"Statistics":["Average","Maximum"]}`},
	{"sns", "CreateTopic", `{"Name":"@name"}`},
	{"sns", "Subscribe", `{"TopicArn":"@topicarn","Protocol":"http","Endpoint":"http://example.test/","ReturnSubscriptionArn":true}`},
	{"sns", "Publish", `{"TopicArn":"@topicarn","Message":"hello","Subject":"s"}`},
	{"sns", "PublishBatch", `{"TopicArn":"@topicarn","PublishBatchRequestEntries":[{"Id":"a","Message":"hello"},{"Id":"b","Message":"again"}]}`},
	{"ssm", "PutParameter", `{"Name":"@name","Type":"String","Value":"v","Overwrite":true}`},
	{"ssm", "GetParameters", `{"Names":["/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64","@name"]}`},
	{"autoscaling", "CreateLaunchConfiguration", `{"LaunchConfigurationName":"@name","ImageId":"@imageid","InstanceType":"t3.micro","SecurityGroups":["@groupid"]}`},
	{"autoscaling", "CreateAutoScalingGroup", `{"AutoScalingGroupName":"@name","LaunchConfigurationName":"@launchconfigurationname","MinSize":1,"MaxSize":6,"DesiredCapacity":2,"AvailabilityZones":["us-east-1a","us-east-1b"],"Tags":[{"Key":"k","Value":"v","PropagateAtLaunch":true}]}`},
	{"autoscaling", "CreateAutoScalingGroup", `{"AutoScalingGroupName":"@name","LaunchTemplate":{"LaunchTemplateName":"@launchtemplatename","Version":"$Latest"},"MinSize":0,"MaxSize":4,"VPCZoneIdentifier":"@subnetid","TargetGroupARNs":["@targetgrouparn"],"HealthCheckType":"ELB","HealthCheckGracePeriod":60}`},
	{"autoscaling", "UpdateAutoScalingGroup", `{"AutoScalingGroupName":"@autoscalinggroupname","MaxSize":5,"DefaultCooldown":60}`},
	{"autoscaling", "SetDesiredCapacity", `{"AutoScalingGroupName":"@autoscalinggroupname","DesiredCapacity":3}`},
	{"autoscaling", "PutScalingPolicy", `{"AutoScalingGroupName":"@autoscalinggroupname","PolicyName":"@name","PolicyType":"TargetTrackingScaling","TargetTrackingConfiguration":{"TargetValue":50,"PredefinedMetricSpecification":{"PredefinedMetricType":"ASGAverageCPUUtilization"}}}`},
	{"autoscaling", "PutScalingPolicy", `{"AutoScalingGroupName":"@autoscalinggroupname","PolicyName":"@name","PolicyType":"StepScaling","AdjustmentType":"ChangeInCapacity","StepAdjustments":[{"MetricIntervalLowerBound":0,"MetricIntervalUpperBound":10,"ScalingAdjustment":1},{"MetricIntervalLowerBound":10,"ScalingAdjustment":2}]}`},
	{"autoscaling", "PutScalingPolicy", `{"AutoScalingGroupName":"@autoscalinggroupname","PolicyName":"@name","AdjustmentType":"PercentChangeInCapacity","ScalingAdjustment":-30,"MinAdjustmentMagnitude":1,"Cooldown":30}`},
	{"autoscaling", "ExecutePolicy", `{"AutoScalingGroupName":"@autoscalinggroupname","PolicyName":"@policyname","MetricValue":70,"BreachThreshold":50}`},
	{"autoscaling", "PutLifecycleHook", `{"AutoScalingGroupName":"@autoscalinggroupname","LifecycleHookName":"@name","LifecycleTransition":"autoscaling:EC2_INSTANCE_LAUNCHING","HeartbeatTimeout":60,"DefaultResult":"CONTINUE"}`},
	{"autoscaling", "PutLifecycleHook", `{"AutoScalingGroupName":"@autoscalinggroupname","LifecycleHookName":"@name","LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING","HeartbeatTimeout":30}`},
	{"autoscaling", "CompleteLifecycleAction", `{"AutoScalingGroupName":"@membergroup","LifecycleHookName":"@lifecyclehookname","InstanceId":"@memberid","LifecycleActionResult":"CONTINUE"}`},
	{"autoscaling", "CompleteLifecycleAction", `{"AutoScalingGroupName":"@membergroup","LifecycleHookName":"@lifecyclehookname","InstanceId":"@memberid","LifecycleActionResult":"ABANDON"}`},
	{"autoscaling", "UpdateAutoScalingGroup", `{"AutoScalingGroupName":"@autoscalinggroupname","InstanceLifecyclePolicy":{"RetentionTriggers":{"TerminateHookAbandon":"retain"}}}`},
	{"autoscaling", "UpdateAutoScalingGroup", `{"AutoScalingGroupName":"@autoscalinggroupname","InstanceLifecyclePolicy":{"RetentionTriggers":{"TerminateHookAbandon":"terminate"}}}`},
	{"autoscaling", "EnterStandby", `{"AutoScalingGroupName":"@membergroup","InstanceIds":["@memberid"],"ShouldDecrementDesiredCapacity":false}`},
	{"autoscaling", "ExitStandby", `{"AutoScalingGroupName":"@membergroup","InstanceIds":["@memberid"]}`},
	{"autoscaling", "AttachInstances", `{"AutoScalingGroupName":"@autoscalinggroupname","InstanceIds":["@instanceid"]}`},
	{"autoscaling", "DetachInstances", `{"AutoScalingGroupName":"@membergroup","InstanceIds":["@memberid"],"ShouldDecrementDesiredCapacity":true}`},
	{"autoscaling", "TerminateInstanceInAutoScalingGroup", `{"InstanceId":"@memberid","ShouldDecrementDesiredCapacity":false}`},
	{"autoscaling", "RecordLifecycleActionHeartbeat", `{"AutoScalingGroupName":"@membergroup","LifecycleHookName":"@lifecyclehookname","InstanceId":"@memberid"}`},
	{"autoscaling", "DeleteLifecycleHook", `{"AutoScalingGroupName":"@autoscalinggroupname","LifecycleHookName":"@lifecyclehookname"}`},
	{"autoscaling", "DeletePolicy", `{"AutoScalingGroupName":"@autoscalinggroupname","PolicyName":"@policyname"}`},
	{"autoscaling", "DetachLoadBalancerTargetGroups", `{"AutoScalingGroupName":"@autoscalinggroupname","TargetGroupARNs":["@targetgrouparn"]}`},
	{"autoscaling", "SetInstanceProtection", `{"AutoScalingGroupName":"@membergroup","InstanceIds":["@memberid"],"ProtectedFromScaleIn":true}`},
	{"autoscaling", "SetInstanceHealth", `{"InstanceId":"@memberid","HealthStatus":"Unhealthy","ShouldRespectGracePeriod":false}`},
	{"autoscaling", "SuspendProcesses", `{"AutoScalingGroupName":"@autoscalinggroupname","ScalingProcesses":["Launch"]}`},
	{"autoscaling", "ResumeProcesses", `{"AutoScalingGroupName":"@autoscalinggroupname"}`},
	{"autoscaling", "PutScheduledUpdateGroupAction", `{"AutoScalingGroupName":"@autoscalinggroupname","ScheduledActionName":"@name","Recurrence":"*/5 * * * *","DesiredCapacity":2}`},
	{"autoscaling", "PutNotificationConfiguration", `{"AutoScalingGroupName":"@autoscalinggroupname","TopicARN":"@topicarn","NotificationTypes":["autoscaling:EC2_INSTANCE_LAUNCH","autoscaling:EC2_INSTANCE_TERMINATE_ERROR"]}`},
	{"autoscaling", "AttachLoadBalancerTargetGroups", `{"AutoScalingGroupName":"@autoscalinggroupname","TargetGroupARNs":["@targetgrouparn"]}`},
	{"autoscaling", "AttachLoadBalancers", `{"AutoScalingGroupName":"@autoscalinggroupname","LoadBalancerNames":["@loadbalancername"]}`},
	{"autoscaling", "EnableMetricsCollection", `{"AutoScalingGroupName":"@autoscalinggroupname","Granularity":"1Minute"}`},
	{"autoscaling", "CreateOrUpdateTags", `{"Tags":[{"ResourceId":"@autoscalinggroupname","ResourceType":"auto-scaling-group","Key":"k","Value":"v2","PropagateAtLaunch":false}]}`},
	{"autoscaling", "DescribeScalingActivities", `{"AutoScalingGroupName":"@autoscalinggroupname","MaxRecords":3}`},
	{"ec2", "AuthorizeSecurityGroupEgress", `{"GroupId":"@groupid","IpPermissions":[{"IpProtocol":"tcp","FromPort":443,"ToPort":443,"IpRanges":[{"CidrIp":"10.0.0.0/8"}]}]}`},
	{"ec2", "RevokeSecurityGroupIngress", `{"GroupId":"@groupid","IpPermissions":[{"IpProtocol":"tcp","FromPort":80,"ToPort":80,"IpRanges":[{"CidrIp":"0.0.0.0/0"}]}]}`},
	{"ec2", "RevokeSecurityGroupEgress", `{"GroupId":"@groupid","IpPermissions":[{"IpProtocol":"tcp","FromPort":443,"ToPort":443,"IpRanges":[{"CidrIp":"10.0.0.0/8"}]}]}`},
	{"ec2", "DeleteSecurityGroup", `{"GroupId":"@groupid"}`},
	{"ec2", "CopyImage", `{"Name":"@name","SourceImageId":"@ownimage","SourceRegion":"us-east-1"}`},
	{"ec2", "DeregisterImage", `{"ImageId":"@ownimage"}`},
	{"ec2", "ModifyImageAttribute", `{"ImageId":"@ownimage","LaunchPermission":{"Add":[{"UserId":"111122223333"}]}}`},
	{"ec2", "ImportKeyPair", `{"KeyName":"@name","PublicKeyMaterial":"c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSUpPRkMzQjFoZVFFNUpVYVBkd2ZCYU5MUFU5ZndJSFdGdlJ0aWk2UEhJNW8gZnV6eg=="}`},
	{"ec2", "DeleteKeyPair", `{"KeyName":"@name"}`},
	{"ec2", "CreateVpc", `{"CidrBlock":"10.0.0.0/16"}`},
	{"ec2", "DeleteVpc", `{"VpcId":"@emptyvpc"}`},
	{"ec2", "DeleteLaunchTemplateVersions", `{"LaunchTemplateName":"@launchtemplatename","Versions":["2"]}`},
	{"ec2", "ModifyLaunchTemplate", `{"LaunchTemplateName":"@launchtemplatename","DefaultVersion":"1"}`},
	{"ec2", "DeleteLaunchTemplate", `{"LaunchTemplateName":"@name"}`},
	{"ec2", "ModifyInstanceMetadataOptions", `{"InstanceId":"@instanceid","HttpTokens":"required"}`},
	{"ec2", "RebootInstances", `{"InstanceIds":["@instanceid"]}`},
	{"elbv2", "DeleteTargetGroup", `{"TargetGroupArn":"@targetgrouparn"}`},
	{"elbv2", "SetSubnets", `{"LoadBalancerArn":"@loadbalancerarn","Subnets":["@subnetid0","@subnetid1"]}`},
	{"elb", "DeleteLoadBalancerListeners", `{"LoadBalancerName":"@loadbalancername","LoadBalancerPorts":[80]}`},
	{"elb", "AttachLoadBalancerToSubnets", `{"LoadBalancerName":"@loadbalancername","Subnets":["@subnetid"]}`},
	{"elb", "DeregisterInstancesFromLoadBalancer", `{"LoadBalancerName":"@loadbalancername","Instances":[{"InstanceId":"@instanceid"}]}`},
	{"cloudwatch", "TagResource", `{"ResourceARN":"@alarmarn","Tags":[{"Key":"k","Value":"v"}]}`},
	{"cloudwatch", "UntagResource", `{"ResourceARN":"@alarmarn","TagKeys":["k"]}`},
	{"cloudwatch", "DeleteAlarms", `{"AlarmNames":["@alarmname"]}`},
	{"sns", "ConfirmSubscription", `{"TopicArn":"@topicarn","Token":"@token"}`},
	{"sns", "SetSubscriptionAttributes", `{"SubscriptionArn":"@subscriptionarn","AttributeName":"RawMessageDelivery","AttributeValue":"true"}`},
	{"sns", "SetTopicAttributes", `{"TopicArn":"@topicarn","AttributeName":"DisplayName","AttributeValue":"d"}`},
	{"ssm", "DeleteParameter", `{"Name":"@name"}`},
	{"autoscaling", "DeleteTags", `{"Tags":[{"ResourceId":"@autoscalinggroupname","ResourceType":"auto-scaling-group","Key":"k"}]}`},
	{"autoscaling", "DeleteScheduledAction", `{"AutoScalingGroupName":"@autoscalinggroupname","ScheduledActionName":"@scheduledactionname"}`},
	{"autoscaling", "DeleteLaunchConfiguration", `{"LaunchConfigurationName":"@launchconfigurationname"}`},
	{"autoscaling", "DetachLoadBalancers", `{"AutoScalingGroupName":"@autoscalinggroupname","LoadBalancerNames":["@loadbalancername"]}`},
	{"autoscaling", "DetachTrafficSources", `{"AutoScalingGroupName":"@autoscalinggroupname","TrafficSources":[{"Identifier":"@targetgrouparn"}]}`},
}

// first are the forms that a run begins with: groups of all kinds behind load balancers of both, with hooks, policies that
// alarms call, and a schedule.
var first = []form{
	{"ec2", "CreateLaunchTemplate", `{"LaunchTemplateName":"lt","LaunchTemplateData":{"ImageId":"@imageid","InstanceType":"t3.micro"}}`},
	{"ec2", "CreateKeyPair", `{"KeyName":"key","KeyType":"ed25519"}`},
	{"autoscaling", "CreateLaunchConfiguration", `{"LaunchConfigurationName":"lc","ImageId":"@imageid","InstanceType":"t3.micro","KeyName":"key"}`},
	{"elbv2", "CreateTargetGroup", `{"Name":"tg1","Protocol":"HTTP","Port":80,"VpcId":"@vpcid","HealthCheckIntervalSeconds":10,"HealthyThresholdCount":2}`},
	{"elbv2", "CreateTargetGroup", `{"Name":"tg2","Protocol":"HTTP","Port":81,"VpcId":"@vpcid","UnhealthyThresholdCount":3}`},
	{"elbv2", "CreateLoadBalancer", `{"Name":"lb","Subnets":["@subnetid0","@subnetid1","@subnetid2"]}`},
	{"elbv2", "CreateListener", `{"LoadBalancerArn":"@loadbalancerarn0","Protocol":"HTTP","Port":80,"DefaultActions":[{"Type":"forward","TargetGroupArn":"@targetgrouparn0"}]}`},
	{"elbv2", "CreateListener", `{"LoadBalancerArn":"@loadbalancerarn0","Protocol":"HTTP","Port":81,"DefaultActions":[{"Type":"forward","TargetGroupArn":"@targetgrouparn1"}]}`},
	{"elbv2", "ModifyTargetGroupAttributes", `{"TargetGroupArn":"@targetgrouparn0","Attributes":[{"Key":"deregistration_delay.timeout_seconds","Value":"60"}]}`},
	{"elb", "CreateLoadBalancer", `{"LoadBalancerName":"clb","Listeners":[{"Protocol":"HTTP","LoadBalancerPort":80,"InstancePort":80}],"AvailabilityZones":["us-east-1a","us-east-1b","us-east-1c"]}`},
	{"elb", "ModifyLoadBalancerAttributes", `{"LoadBalancerName":"clb","LoadBalancerAttributes":{"ConnectionDraining":{"Enabled":true,"Timeout":60}}}`},
	{"sns", "CreateTopic", `{"Name":"t"}`},
	{"sns", "Subscribe", `{"TopicArn":"@topicarn","Protocol":"http","Endpoint":"http://example.test/"}`},
	{"autoscaling", "CreateAutoScalingGroup", `{"AutoScalingGroupName":"web","LaunchTemplate":{"LaunchTemplateName":"lt","Version":"$Latest"},"MinSize":1,"MaxSize":8,"DesiredCapacity":3,"AvailabilityZones":["us-east-1a","us-east-1b","us-east-1c"],"TargetGroupARNs":["@targetgrouparn0"],"HealthCheckType":"ELB","HealthCheckGracePeriod":60}`},
	{"autoscaling", "CreateAutoScalingGroup", `{"AutoScalingGroupName":"api","LaunchConfigurationName":"lc","MinSize":0,"MaxSize":6,"DesiredCapacity":2,"AvailabilityZones":["us-east-1a","us-east-1b"],"LoadBalancerNames":["clb"],"InstanceLifecyclePolicy":{"RetentionTriggers":{"TerminateHookAbandon":"retain"}},"HealthCheckType":"ELB","HealthCheckGracePeriod":120,"DefaultInstanceWarmup":60}`},
	{"autoscaling", "CreateAutoScalingGroup", `{"AutoScalingGroupName":"batch","LaunchConfigurationName":"lc","MinSize":0,"MaxSize":5,"DesiredCapacity":1,"AvailabilityZones":["us-east-1b","us-east-1c"],"DefaultCooldown":60}`},
	{"autoscaling", "CreateAutoScalingGroup", `{"AutoScalingGroupName":"both","LaunchConfigurationName":"lc","MinSize":0,"MaxSize":4,"DesiredCapacity":2,"AvailabilityZones":["us-east-1a","us-east-1c"],"TargetGroupARNs":["@targetgrouparn1"],"TerminationPolicies":["OldestInstance"]}`},
	{"autoscaling", "PutLifecycleHook", `{"AutoScalingGroupName":"api","LifecycleHookName":"up","LifecycleTransition":"autoscaling:EC2_INSTANCE_LAUNCHING","HeartbeatTimeout":60,"DefaultResult":"CONTINUE"}`},
	{"autoscaling", "PutLifecycleHook", `{"AutoScalingGroupName":"api","LifecycleHookName":"down","LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING","HeartbeatTimeout":60}`},
	{"autoscaling", "PutScalingPolicy", `{"AutoScalingGroupName":"web","PolicyName":"cpu","PolicyType":"TargetTrackingScaling","TargetTrackingConfiguration":{"TargetValue":50,"PredefinedMetricSpecification":{"PredefinedMetricType":"ASGAverageCPUUtilization"}}}`},
	{"autoscaling", "PutScalingPolicy", `{"AutoScalingGroupName":"api","PolicyName":"steps","PolicyType":"StepScaling","AdjustmentType":"ChangeInCapacity","StepAdjustments":[{"MetricIntervalLowerBound":0,"MetricIntervalUpperBound":2,"ScalingAdjustment":1},{"MetricIntervalLowerBound":2,"ScalingAdjustment":2}]}`},
	{"cloudwatch", "PutMetricAlarm", `{"AlarmName":"high","Namespace":"my","MetricName":"m1","Dimensions":[{"Name":"d","Value":"v"}],"Statistic":"Average","Period":60,"EvaluationPeriods":2,"DatapointsToAlarm":1,"Threshold":2.5,"ComparisonOperator":"GreaterThanThreshold","AlarmActions":["@policyarn1","@topicarn"]}`},
	{"autoscaling", "PutScalingPolicy", `{"AutoScalingGroupName":"batch","PolicyName":"in","AdjustmentType":"ChangeInCapacity","ScalingAdjustment":-1,"Cooldown":30}`},
	{"autoscaling", "PutScalingPolicy", `{"AutoScalingGroupName":"batch","PolicyName":"out","AdjustmentType":"PercentChangeInCapacity","ScalingAdjustment":50,"MinAdjustmentMagnitude":1,"Cooldown":60}`},
	{"cloudwatch", "PutMetricAlarm", `{"AlarmName":"low","Namespace":"my","MetricName":"m1","Dimensions":[{"Name":"d","Value":"v"}],"Statistic":"Minimum","Period":60,"EvaluationPeriods":3,"Threshold":1,"ComparisonOperator":"LessThanOrEqualToThreshold","AlarmActions":["@policyarn2"],"OKActions":["@policyarn3"]}`},
	{"cloudwatch", "PutMetricAlarm", `{"AlarmName":"busy","Namespace":"AWS/EC2","MetricName":"CPUUtilization","Dimensions":[{"Name":"AutoScalingGroupName","Value":"both"}],"Statistic":"Average","Period":60,"EvaluationPeriods":1,"Threshold":40,"ComparisonOperator":"GreaterThanOrEqualToThreshold","TreatMissingData":"notBreaching","OKActions":["@topicarn"]}`},
	{"cloudwatch", "PutMetricAlarm", `{"AlarmName":"quiet","Namespace":"my","MetricName":"m1","Dimensions":[{"Name":"d","Value":"v"}],"Statistic":"Maximum","Period":60,"EvaluationPeriods":3,"DatapointsToAlarm":1,"Threshold":3,"ComparisonOperator":"GreaterThanThreshold","TreatMissingData":"notBreaching"}`},
	{"cloudwatch", "PutMetricAlarm", `{"AlarmName":"gone","Namespace":"my","MetricName":"m1","Dimensions":[{"Name":"d","Value":"v"}],"Statistic":"Sum","Period":60,"EvaluationPeriods":3,"DatapointsToAlarm":2,"Threshold":3,"ComparisonOperator":"LessThanThreshold","TreatMissingData":"breaching"}`},
	{"cloudwatch", "PutMetricAlarm", `{"AlarmName":"kept","Namespace":"my","MetricName":"m1","Dimensions":[{"Name":"d","Value":"v"}],"Statistic":"SampleCount","Period":120,"EvaluationPeriods":2,"Threshold":2,"ComparisonOperator":"GreaterThanOrEqualToThreshold","TreatMissingData":"ignore"}`},
	{"ec2", "RunInstances", `{"ImageId":"@imageid","InstanceType":"t3.micro","MinCount":2,"MaxCount":2,"SubnetId":"@subnetid"}`},
	{"autoscaling", "PutScheduledUpdateGroupAction", `{"AutoScalingGroupName":"both","ScheduledActionName":"up","Recurrence":"*/20 * * * *","DesiredCapacity":4}`},
	{"autoscaling", "PutScheduledUpdateGroupAction", `{"AutoScalingGroupName":"both","ScheduledActionName":"down","Recurrence":"10-59/20 * * * *","DesiredCapacity":1}`},
	{"autoscaling", "PutNotificationConfiguration", `{"AutoScalingGroupName":"batch","TopicARN":"@topicarn","NotificationTypes":["autoscaling:EC2_INSTANCE_LAUNCH","autoscaling:EC2_INSTANCE_TERMINATE"]}`},
	{"autoscaling", "EnableMetricsCollection", `{"AutoScalingGroupName":"web","Granularity":"1Minute"}`},
}

// from makes an input of its JSON form, in which "@name" stands for something learned under that name.
func (a *author) from(op *api.Operation, form string) any {
	in := op.In()
	a.pair = member{"n1", "i-0123456789abcdef0"}
	if len(a.enrolled) > 0 {
		a.pair = pick(a, a.enrolled)
	}
	if err := json.Unmarshal([]byte(form), in); err != nil {
		panic(op.Name + ": " + err.Error())
	}
	a.resolve(reflect.ValueOf(in).Elem())
	return in
}

func (a *author) resolve(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			a.resolve(v.Elem())
		}
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			return
		}
		for i := range v.NumField() {
			a.resolve(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			a.resolve(v.Index(i))
		}
	case reflect.String:
		if name, ok := strings.CutPrefix(v.String(), "@"); ok {
			w := "nn" + string(rune('0'+a.rng.IntN(6)))
			switch name {
			case "membergroup":
				w = a.pair.group
			case "memberid":
				w = a.pair.id
			}
			if bare := strings.TrimRight(name, "0123456789"); bare != name && len(a.words[bare]) > 0 {
				learned := a.words[bare]
				w = learned[int(name[len(bare)]-'0')%len(learned)]
			}
			if learned := a.words[name]; len(learned) > 0 && name != "name" {
				w = pick(a, learned)
			}
			v.SetString(w)
		}
	}
}
