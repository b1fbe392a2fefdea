package iam

import (
	"encoding/json"
	"strings"
	"time"
)

// allow writes the document of a policy that allows actions on everything.
func allow(actions ...string) string {
	list, err := json.Marshal(actions)
	if err != nil {
		panic(err)
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":` + string(list) + `,"Resource":"*"}]}`
}

// reading are the actions of this cloud's services that only read.
var reading = []string{
	"autoscaling:Describe*", "autoscaling:GetPredictiveScalingForecast", "cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*",
	"ec2:Describe*", "ec2:Get*", "elasticloadbalancing:Describe*", "events:Describe*", "events:List*", "events:Test*", "iam:Generate*",
	"iam:Get*", "iam:List*", "iam:Simulate*", "lambda:Get*", "lambda:List*", "logs:Describe*", "logs:FilterLogEvents", "logs:Get*",
	"logs:List*", "logs:StartQuery", "logs:StopQuery", "s3:Get*", "s3:List*", "sns:Check*", "sns:Get*", "sns:List*", "sqs:Get*", "sqs:List*",
	"sqs:Receive*", "ssm:Describe*", "ssm:Get*", "ssm:List*", "sts:GetAccessKeyInfo", "sts:GetCallerIdentity", "sts:GetSessionToken",
}

// awsPolicies are AWS's own policies that are there, as far as they are about this cloud's services.
var awsPolicies = []struct{ name, document string }{
	{"AdministratorAccess", allow("*")},
	{"PowerUserAccess", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},` +
		`{"Effect":"Allow","Action":["account:GetAccountInformation","account:ListRegions","iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole","iam:ListRoles","organizations:DescribeOrganization"],"Resource":"*"}]}`},
	{"ReadOnlyAccess", allow(reading...)},
	{"job-function/ViewOnlyAccess", allow(reading...)},
	{"IAMFullAccess", allow("iam:*", "organizations:DescribeAccount", "organizations:DescribeOrganization")},
	{"IAMReadOnlyAccess", allow("iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails", "iam:Get*", "iam:List*", "iam:SimulateCustomPolicy", "iam:SimulatePrincipalPolicy")},
	{"AmazonEC2FullAccess", allow("ec2:*", "elasticloadbalancing:*", "cloudwatch:*", "autoscaling:*", "iam:CreateServiceLinkedRole")},
	{"AmazonEC2ReadOnlyAccess", allow("ec2:Describe*", "ec2:GetSecurityGroupsForVpc", "elasticloadbalancing:Describe*", "cloudwatch:ListMetrics", "cloudwatch:GetMetricStatistics", "cloudwatch:Describe*", "autoscaling:Describe*")},
	{"AmazonVPCFullAccess", allow("ec2:*Address*", "ec2:*Vpc*", "ec2:*Subnet*", "ec2:*SecurityGroup*", "ec2:*Route*", "ec2:*InternetGateway*", "ec2:*NetworkAcl*", "ec2:*NetworkInterface*", "ec2:*Tags", "ec2:Describe*")},
	{"AmazonVPCReadOnlyAccess", allow("ec2:Describe*", "ec2:Get*")},
	{"AutoScalingFullAccess", allow("autoscaling:*", "cloudwatch:PutMetricAlarm", "ec2:Describe*", "ec2:GetInstanceTypesFromInstanceRequirements", "elasticloadbalancing:Describe*", "iam:CreateServiceLinkedRole")},
	{"AutoScalingReadOnlyAccess", allow("autoscaling:Describe*")},
	{"AutoScalingConsoleFullAccess", allow("autoscaling:*", "cloudwatch:*", "ec2:Describe*", "ec2:CreateKeyPair", "ec2:CreateSecurityGroup", "elasticloadbalancing:Describe*", "iam:ListInstanceProfiles", "sns:ListTopics", "sns:ListSubscriptions", "iam:CreateServiceLinkedRole")},
	{"service-role/AutoScalingNotificationAccessRole", allow("sqs:SendMessage", "sqs:GetQueueUrl", "sns:Publish")},
	{"ElasticLoadBalancingFullAccess", allow("elasticloadbalancing:*", "ec2:Describe*", "ec2:GetCoipPoolUsage", "iam:CreateServiceLinkedRole", "cloudwatch:*")},
	{"ElasticLoadBalancingReadOnly", allow("elasticloadbalancing:Describe*", "elasticloadbalancing:Get*", "ec2:DescribeInstances", "ec2:DescribeSecurityGroups")},
	{"CloudWatchFullAccess", allow("autoscaling:Describe*", "cloudwatch:*", "logs:*", "sns:*", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole")},
	{"CloudWatchFullAccessV2", allow("autoscaling:Describe*", "cloudwatch:*", "logs:*", "sns:CreateTopic", "sns:ListSubscriptions", "sns:ListSubscriptionsByTopic", "sns:ListTopics", "sns:Subscribe", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole")},
	{"CloudWatchReadOnlyAccess", allow("autoscaling:Describe*", "cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*", "logs:Get*", "logs:List*", "logs:StartQuery", "logs:StopQuery", "logs:Describe*", "logs:TestMetricFilter", "logs:FilterLogEvents", "sns:Get*", "sns:List*")},
	{"CloudWatchAgentServerPolicy", allow("cloudwatch:PutMetricData", "ec2:DescribeVolumes", "ec2:DescribeTags", "logs:PutLogEvents", "logs:PutRetentionPolicy", "logs:DescribeLogStreams", "logs:DescribeLogGroups", "logs:CreateLogStream", "logs:CreateLogGroup", "ssm:GetParameter")},
	{"CloudWatchActionsEC2Access", allow("cloudwatch:Describe*", "ec2:Describe*", "ec2:RebootInstances", "ec2:StopInstances", "ec2:TerminateInstances")},
	{"CloudWatchLogsFullAccess", allow("logs:*", "cloudwatch:GenerateQuery")},
	{"CloudWatchLogsReadOnlyAccess", allow("logs:Describe*", "logs:Get*", "logs:List*", "logs:StartQuery", "logs:StopQuery", "logs:TestMetricFilter", "logs:FilterLogEvents")},
	{"AWSLambda_FullAccess", allow("lambda:*", "cloudwatch:ListMetrics", "cloudwatch:GetMetricData", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:ListRoles", "iam:PassRole", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents", "logs:StartLiveTail", "logs:StopLiveTail")},
	{"AWSLambda_ReadOnlyAccess", allow("lambda:Get*", "lambda:List*", "cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "iam:Get*", "iam:List*", "logs:DescribeLogGroups", "logs:GetLogEvents", "logs:FilterLogEvents")},
	{"service-role/AWSLambdaBasicExecutionRole", allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")},
	{"service-role/AWSLambdaRole", allow("lambda:InvokeFunction")},
	{"service-role/AWSLambdaVPCAccessExecutionRole", allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses")},
	{"service-role/AWSLambdaSQSQueueExecutionRole", allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")},
	{"AmazonEventBridgeFullAccess", allow("events:*", "iam:CreateServiceLinkedRole", "iam:PassRole")},
	{"AmazonEventBridgeReadOnlyAccess", allow("events:Describe*", "events:List*", "events:TestEventPattern")},
	{"AmazonSNSFullAccess", allow("sns:*")},
	{"AmazonSNSReadOnlyAccess", allow("sns:Get*", "sns:List*", "sns:CheckIfPhoneNumberIsOptedOut")},
	{"AmazonSQSFullAccess", allow("sqs:*")},
	{"AmazonSQSReadOnlyAccess", allow("sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListDeadLetterSourceQueues", "sqs:ListMessageMoveTasks", "sqs:ListQueues", "sqs:ListQueueTags")},
	{"AmazonSSMFullAccess", allow("cloudwatch:PutMetricData", "ds:CreateComputer", "ds:DescribeDirectories", "ec2:DescribeInstanceStatus", "logs:*", "ssm:*", "ec2messages:*", "ssmmessages:*")},
	{"AmazonSSMReadOnlyAccess", allow("ssm:Describe*", "ssm:Get*", "ssm:List*")},
	{"AmazonSSMManagedInstanceCore", allow("ssm:DescribeAssociation", "ssm:GetDeployablePatchSnapshotForInstance", "ssm:GetDocument", "ssm:DescribeDocument", "ssm:GetManifest", "ssm:GetParameter", "ssm:GetParameters", "ssm:ListAssociations", "ssm:ListInstanceAssociations", "ssm:PutInventory", "ssm:PutComplianceItems", "ssm:PutConfigurePackageResult", "ssm:UpdateAssociationStatus", "ssm:UpdateInstanceAssociationStatus", "ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel", "ec2messages:*")},
	{"AmazonS3FullAccess", allow("s3:*", "s3-object-lambda:*")},
	{"AmazonS3ReadOnlyAccess", allow("s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*")},
	{"AmazonDynamoDBFullAccess", allow("dynamodb:*")},
	{"AmazonRDSFullAccess", allow("rds:*")},
	{"aws-service-role/AutoScalingServiceRolePolicy", allow("ec2:*", "elasticloadbalancing:*", "cloudwatch:*", "sns:Publish", "events:*")},
	{"aws-service-role/AWSElasticLoadBalancingServiceRolePolicy", allow("ec2:Describe*", "ec2:*NetworkInterface*", "ec2:*SecurityGroup*", "ec2:*Address*", "logs:*")},
	{"aws-service-role/AWSEC2SpotServiceRolePolicy", allow("ec2:DescribeInstances", "ec2:StopInstances", "ec2:StartInstances", "ec2:RunInstances", "ec2:CreateTags")},
	{"aws-service-role/CloudWatchEventsServiceRolePolicy", allow("cloudwatch:DescribeAlarms", "ec2:DescribeInstanceStatus", "ec2:DescribeInstances", "ec2:RebootInstances", "ec2:StopInstances", "ec2:TerminateInstances", "ec2:CreateSnapshot")},
}

// builtIn are AWS's policies by ARN, and builtInARNs their ARNs in order.
var builtIn, builtInARNs = func() (all map[string]Policy, arns []string) {
	all = map[string]Policy{}
	since := time.Date(2015, 2, 6, 18, 39, 46, 0, time.UTC)
	for n, p := range awsPolicies {
		path, name := "/", baseName(p.name)
		if folder, _, found := strings.Cut(p.name, "/"); found {
			path = "/" + folder + "/"
		}
		arn := "arn:aws:iam::aws:policy" + path + name
		b := Policy{Default: "v1", Next: 2, Updated: since, Versions: []Version{{"v1", p.document, since}}}
		b.Entity = Entity{Name: name, Path: path, ARN: arn, Created: since, ID: "ANPAI" + strings.Repeat("A", 14) + string(idDigits[n/32]) + string(idDigits[n%32])}
		all[arn] = b
		arns = append(arns, arn)
	}
	return all, arns
}()

// baseName is what is behind the last slash.
func baseName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
