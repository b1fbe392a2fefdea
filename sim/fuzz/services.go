package fuzz

import (
	"encoding/json"
	"slices"
	"strings"
)

// More forms, a line each, in an order in which each works once: what instances have beside themselves, and the services
// that are not about instances. These have a vocabulary of their own: "@sqs.queueurl".
const (
	formsOfAddresses = `
ec2 AllocateAddress {}
ec2 AllocateAddress {"Domain":"vpc","TagSpecifications":[{"ResourceType":"elastic-ip","Tags":[{"Key":"k","Value":"v"}]}]}
ec2 AssociateAddress {"AllocationId":"@allocationid","InstanceId":"@instanceid"}
ec2 AssociateAddress {"AllocationId":"@allocationid","InstanceId":"@memberid","AllowReassociation":true}
ec2 AssociateAddress {"AllocationId":"@allocationid","InstanceId":"@instanceid","AllowReassociation":false}
ec2 ModifyNetworkInterfaceAttribute {"NetworkInterfaceId":"@networkinterfaceid","SourceDestCheck":{"Value":false}}
ec2 AssociateAddress {"PublicIp":"@publicip","InstanceId":"@instanceid"}
ec2 DisassociateAddress {"AssociationId":"@associationid"}
ec2 ReleaseAddress {"AllocationId":"@allocationid"}`

	formsOfVolumes = `
ec2 CreateVolume {"AvailabilityZone":"us-east-1a","Size":2,"VolumeType":"gp3"}
ec2 CreateVolume {"AvailabilityZone":"us-east-1b","Size":1}
ec2 CreateVolume {"AvailabilityZone":"@availabilityzone","SnapshotId":"@snapshotid"}
ec2 AttachVolume {"VolumeId":"@ownvolume","InstanceId":"@instanceid","Device":"/dev/sdf"}
ec2 AttachVolume {"VolumeId":"@ownvolume","InstanceId":"@memberid","Device":"/dev/sdg"}
ec2 CreateSnapshot {"VolumeId":"@ownvolume"}
ec2 ModifyVolume {"VolumeId":"@ownvolume","Size":5}
ec2 CopySnapshot {"SourceRegion":"us-east-1","SourceSnapshotId":"@ownsnapshot"}
ec2 ModifySnapshotAttribute {"SnapshotId":"@ownsnapshot","Attribute":"createVolumePermission","OperationType":"add","UserIds":["111122223333"]}
ec2 ResetSnapshotAttribute {"SnapshotId":"@ownsnapshot","Attribute":"createVolumePermission"}
ec2 DetachVolume {"VolumeId":"@ownvolume"}
ec2 DetachVolume {"VolumeId":"@ownvolume","Force":true}
ec2 CreateVolume {"AvailabilityZone":"us-east-1a","Size":1,"Encrypted":true}
ec2 RegisterImage {"Name":"@name","RootDeviceName":"/dev/xvda","BlockDeviceMappings":[{"DeviceName":"/dev/xvda","Ebs":{"SnapshotId":"@rootsnapshot"}}]}
ec2 DeregisterImage {"ImageId":"@ownimage","DeleteAssociatedSnapshots":true}
ec2 DeleteSnapshot {"SnapshotId":"@rootsnapshot"}
ec2 DeleteSnapshot {"SnapshotId":"@ownsnapshot"}
ec2 DeleteVolume {"VolumeId":"@ownvolume"}`

	formsOfQueues = `
sqs CreateQueue {"QueueName":"dead"}
sqs CreateQueue {"QueueName":"q","Attributes":{"VisibilityTimeout":"20","RedrivePolicy":$redrive,"Policy":$open}}
sqs CreateQueue {"QueueName":"@name"}
sqs SetQueueAttributes {"QueueUrl":"@sqs.queueurl","Attributes":{"DelaySeconds":"0","VisibilityTimeout":"10"}}
sqs SendMessage {"QueueUrl":"@sqs.queueurl","MessageBody":"hello"}
sqs SendMessage {"QueueUrl":"@sqs.queueurl","MessageBody":"late","DelaySeconds":15}
sqs SendMessageBatch {"QueueUrl":"@sqs.queueurl","Entries":[{"Id":"a","MessageBody":"x"},{"Id":"b","MessageBody":"y"}]}
sqs ReceiveMessage {"QueueUrl":"@sqs.queueurl","MaxNumberOfMessages":10}
sqs ReceiveMessage {"QueueUrl":"http://127.0.0.1:4566/123456789012/q","VisibilityTimeout":60}
sqs ChangeMessageVisibility {"QueueUrl":"http://127.0.0.1:4566/123456789012/q","ReceiptHandle":"@sqs.receipthandle","VisibilityTimeout":0}
sqs ChangeMessageVisibilityBatch {"QueueUrl":"@sqs.queueurl","Entries":[{"Id":"a","ReceiptHandle":"@sqs.receipthandle","VisibilityTimeout":5}]}
sqs DeleteMessage {"QueueUrl":"@sqs.queueurl","ReceiptHandle":"@sqs.receipthandle"}
sqs DeleteMessageBatch {"QueueUrl":"@sqs.queueurl","Entries":[{"Id":"a","ReceiptHandle":"@sqs.receipthandle"}]}
sqs AddPermission {"QueueUrl":"http://127.0.0.1:4566/123456789012/q","Label":"l","AWSAccountIds":["111122223333"],"Actions":["SendMessage"]}
sqs RemovePermission {"QueueUrl":"http://127.0.0.1:4566/123456789012/q","Label":"l"}
sqs TagQueue {"QueueUrl":"@sqs.queueurl","Tags":{"k":"v"}}
sqs UntagQueue {"QueueUrl":"@sqs.queueurl","TagKeys":["k"]}
sqs StartMessageMoveTask {"SourceArn":"arn:aws:sqs:us-east-1:123456789012:dead","DestinationArn":"arn:aws:sqs:us-east-1:123456789012:q","MaxNumberOfMessagesPerSecond":1}
sqs StartMessageMoveTask {"SourceArn":"arn:aws:sqs:us-east-1:123456789012:dead"}
sqs CancelMessageMoveTask {"TaskHandle":"@sqs.taskhandle"}
sqs ListMessageMoveTasks {"SourceArn":"arn:aws:sqs:us-east-1:123456789012:dead","MaxResults":10}
sqs PurgeQueue {"QueueUrl":"@sqs.queueurl"}
sqs DeleteQueue {"QueueUrl":"@sqs.queueurl"}`

	formsOfUsers = `
iam CreateUser {"UserName":"u"}
iam CreateUser {"UserName":"alone"}
iam CreateGroup {"GroupName":"people"}
iam CreateGroup {"GroupName":"nobody"}
iam AddUserToGroup {"GroupName":"people","UserName":"u"}
iam AttachGroupPolicy {"GroupName":"people","PolicyArn":"arn:aws:iam::aws:policy/AmazonEC2FullAccess"}
iam AttachUserPolicy {"UserName":"u","PolicyArn":"arn:aws:iam::aws:policy/AmazonSQSFullAccess"}
iam PutGroupPolicy {"GroupName":"people","PolicyName":"in","PolicyDocument":$policy}
iam PutUserPolicy {"UserName":"u","PolicyName":"in","PolicyDocument":$deny}
iam PutUserPermissionsBoundary {"UserName":"u","PermissionsBoundary":"arn:aws:iam::aws:policy/PowerUserAccess"}
iam TagUser {"UserName":"u","Tags":[{"Key":"k","Value":"v"}]}
iam UntagUser {"UserName":"u","TagKeys":["k"]}
iam CreateAccessKey {"UserName":"u"}
sts GetAccessKeyInfo {"AccessKeyId":"@iam.accesskeyid"}
iam UpdateAccessKey {"UserName":"u","AccessKeyId":"@iam.accesskeyid","Status":"Inactive"}
iam SimulatePrincipalPolicy {"PolicySourceArn":"arn:aws:iam::123456789012:user/u","ActionNames":["ec2:RunInstances"]}
iam SimulateCustomPolicy {"PolicyInputList":[$policy],"ActionNames":["ec2:RunInstances"]}
iam DeleteAccessKey {"UserName":"u","AccessKeyId":"@iam.accesskeyid"}
iam DeleteUserPermissionsBoundary {"UserName":"u"}
iam DeleteUserPolicy {"UserName":"u","PolicyName":"in"}
iam DeleteGroupPolicy {"GroupName":"people","PolicyName":"in"}
iam DetachUserPolicy {"UserName":"u","PolicyArn":"arn:aws:iam::aws:policy/AmazonSQSFullAccess"}
iam DetachGroupPolicy {"GroupName":"people","PolicyArn":"arn:aws:iam::aws:policy/AmazonEC2FullAccess"}
iam RemoveUserFromGroup {"GroupName":"people","UserName":"u"}
iam UpdateGroup {"GroupName":"people","NewPath":"/x/"}
iam UpdateUser {"UserName":"u","NewPath":"/x/"}
iam DeleteGroup {"GroupName":"nobody"}
iam DeleteUser {"UserName":"alone"}`

	formsOfRoles = `
iam CreateRole {"RoleName":"r","AssumeRolePolicyDocument":$trust}
iam CreateRole {"RoleName":"alone","AssumeRolePolicyDocument":$trust}
iam AttachRolePolicy {"RoleName":"r","PolicyArn":"arn:aws:iam::aws:policy/AmazonEC2FullAccess"}
iam PutRolePolicy {"RoleName":"r","PolicyName":"in","PolicyDocument":$policy}
iam PutRolePermissionsBoundary {"RoleName":"r","PermissionsBoundary":"arn:aws:iam::aws:policy/PowerUserAccess"}
iam UpdateAssumeRolePolicy {"RoleName":"r","PolicyDocument":$trust}
iam UpdateRole {"RoleName":"r","MaxSessionDuration":7200}
iam UpdateRoleDescription {"RoleName":"r","Description":"d"}
iam TagRole {"RoleName":"r","Tags":[{"Key":"k","Value":"v"}]}
iam UntagRole {"RoleName":"r","TagKeys":["k"]}
iam CreateInstanceProfile {"InstanceProfileName":"r"}
iam CreateInstanceProfile {"InstanceProfileName":"alone"}
iam AddRoleToInstanceProfile {"InstanceProfileName":"r","RoleName":"r"}
iam TagInstanceProfile {"InstanceProfileName":"r","Tags":[{"Key":"k","Value":"v"}]}
iam UntagInstanceProfile {"InstanceProfileName":"r","TagKeys":["k"]}
iam CreatePolicy {"PolicyName":"p","PolicyDocument":$policy}
iam CreatePolicyVersion {"PolicyArn":"arn:aws:iam::123456789012:policy/p","PolicyDocument":$deny}
iam SetDefaultPolicyVersion {"PolicyArn":"arn:aws:iam::123456789012:policy/p","VersionId":"v1"}
iam TagPolicy {"PolicyArn":"arn:aws:iam::123456789012:policy/p","Tags":[{"Key":"k","Value":"v"}]}
iam UntagPolicy {"PolicyArn":"arn:aws:iam::123456789012:policy/p","TagKeys":["k"]}
sts AssumeRole {"RoleArn":"arn:aws:iam::123456789012:role/r","RoleSessionName":"s"}
sts GetSessionToken {"DurationSeconds":900}
sts DecodeAuthorizationMessage {"EncodedMessage":"e30"}
ec2 AssociateIamInstanceProfile {"IamInstanceProfile":{"Name":"r"},"InstanceId":"@instanceid"}
ec2 ReplaceIamInstanceProfileAssociation {"IamInstanceProfile":{"Name":"r"},"AssociationId":"@profileassociation"}
ec2 DisassociateIamInstanceProfile {"AssociationId":"@profileassociation"}
iam CreateServiceLinkedRole {"AWSServiceName":"autoscaling.amazonaws.com"}
iam DeleteServiceLinkedRole {"RoleName":"AWSServiceRoleForAutoScaling"}
iam DeletePolicyVersion {"PolicyArn":"arn:aws:iam::123456789012:policy/p","VersionId":"v2"}
iam DeletePolicy {"PolicyArn":"arn:aws:iam::123456789012:policy/p"}
iam RemoveRoleFromInstanceProfile {"InstanceProfileName":"r","RoleName":"r"}
iam DeleteInstanceProfile {"InstanceProfileName":"alone"}
iam DeleteRolePermissionsBoundary {"RoleName":"r"}
iam DeleteRolePolicy {"RoleName":"r","PolicyName":"in"}
iam DetachRolePolicy {"RoleName":"r","PolicyArn":"arn:aws:iam::aws:policy/AmazonEC2FullAccess"}
iam DeleteRole {"RoleName":"alone"}`

	formsOfLogs = `
logs CreateLogGroup {"LogGroupName":"g"}
logs CreateLogGroup {"LogGroupName":"@name"}
logs CreateLogStream {"LogGroupName":"g","LogStreamName":"s"}
logs CreateLogStream {"LogGroupName":"g","LogStreamName":"@name"}
logs PutLogEvents {"LogGroupName":"g","LogStreamName":"s","LogEvents":[{"Timestamp":1790511000000,"Message":"hello"},{"Timestamp":1790511600000,"Message":"there"}]}
logs FilterLogEvents {"LogGroupName":"g","FilterPattern":"hello"}
logs PutRetentionPolicy {"LogGroupName":"g","RetentionInDays":1}
logs TagLogGroup {"LogGroupName":"g","Tags":{"k":"v"}}
logs UntagLogGroup {"LogGroupName":"g","Tags":["k"]}
logs TagResource {"ResourceArn":"arn:aws:logs:us-east-1:123456789012:log-group:g","Tags":{"k":"v"}}
logs UntagResource {"ResourceArn":"arn:aws:logs:us-east-1:123456789012:log-group:g","TagKeys":["k"]}
logs DeleteRetentionPolicy {"LogGroupName":"g"}
logs DeleteLogStream {"LogGroupName":"g","LogStreamName":"@logs.logstreamname"}
logs DeleteLogGroup {"LogGroupName":"@logs.loggroupname"}`

	formsOfEvents = `
events CreateEventBus {"Name":"b"}
events CreateEventBus {"Name":"alone"}
events UpdateEventBus {"Name":"b","Description":"d"}
events PutRule {"Name":"hourly","ScheduleExpression":"rate(1 hour)"}
events PutRule {"Name":"states","EventPattern":$pattern}
events PutRule {"Name":"alone","EventBusName":"b","EventPattern":$pattern}
events PutTargets {"Rule":"hourly","Targets":[{"Id":"1","Arn":"arn:aws:sqs:us-east-1:123456789012:q"}]}
events PutTargets {"Rule":"states","Targets":[{"Id":"1","Arn":"arn:aws:sqs:us-east-1:123456789012:dead","InputPath":"$.detail"}]}
events PutEvents {"Entries":[{"Source":"me","DetailType":"t","Detail":"{\"a\":1}"}]}
events PutPermission {"StatementId":"s","Action":"events:PutEvents","Principal":"111122223333"}
events RemovePermission {"StatementId":"s"}
events TestEventPattern {"EventPattern":$pattern,"Event":$event}
events TagResource {"ResourceARN":"arn:aws:events:us-east-1:123456789012:rule/hourly","Tags":[{"Key":"k","Value":"v"}]}
events UntagResource {"ResourceARN":"arn:aws:events:us-east-1:123456789012:rule/hourly","TagKeys":["k"]}
events DisableRule {"Name":"states"}
events EnableRule {"Name":"states"}
events RemoveTargets {"Rule":"hourly","Ids":["1"]}
events DeleteRule {"Name":"alone","EventBusName":"b"}
events DeleteRule {"Name":"hourly"}
events DeleteEventBus {"Name":"alone"}`
)

// texts are documents that forms name by "$".
var texts = []string{
	"$policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`,
	"$deny", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ec2:Run*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}}]}`,
	"$trust", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["ec2.amazonaws.com","lambda.amazonaws.com"]},"Action":"sts:AssumeRole"}]}`,
	"$open", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}`,
	"$redrive", `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":"3"}`,
	"$pattern", `{"source":["aws.ec2","aws.autoscaling","me"],"detail-type":[{"anything-but":"no"}]}`,
	"$zip1", packed("one"),
	"$zip2", packed("two"),
	"$event", `{"id":"1","source":"me","detail-type":"t","account":"123456789012","time":"2026-09-27T12:00:00Z","region":"us-east-1","resources":[],"detail":{}}`,
}

// lines makes forms of their texts.
func lines(text string) []form {
	pairs := slices.Clone(texts)
	for i := 1; i < len(pairs); i += 2 {
		quoted, err := json.Marshal(pairs[i])
		if err != nil {
			panic(err) // a string can be encoded
		}
		pairs[i] = string(quoted)
	}
	var all []form
	for line := range strings.Lines(strings.NewReplacer(pairs...).Replace(text)) {
		if part := strings.SplitN(strings.TrimSpace(line), " ", 3); len(part) == 3 {
			all = append(all, form{part[0], part[1], part[2]})
		}
	}
	return all
}

// beside are the forms of what is not about groups. A third of all runs makes each of these calls once in the beginning.
var beside = lines(formsOfAddresses + formsOfVolumes + formsOfQueues + formsOfUsers + formsOfRoles + formsOfLogs + formsOfEvents + formsOfFunctions)

// all are the forms that calls are made from.
var all = slices.Concat(forms, beside)
