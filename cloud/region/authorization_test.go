package region

import (
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	elbapi "github.com/billow-cloud/billow/api/elbv2"
	iamapi "github.com/billow-cloud/billow/api/iam"
	snsapi "github.com/billow-cloud/billow/api/sns"
	sqsapi "github.com/billow-cloud/billow/api/sqs"
	stsapi "github.com/billow-cloud/billow/api/sts"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

// people is a strict cloud with a user and an instance profile with a role.
type people struct {
	*world
	alice cloud.Caller
}

func newPeople(t testing.TB) *people {
	w := newWorld(t)
	w.cloud = New(Options{Seed: 1})
	p := &people{world: w}
	call[iamapi.CreateUserOutput](w, "iam", "CreateUser", &iamapi.CreateUserInput{UserName: new("alice")})
	k := call[iamapi.CreateAccessKeyOutput](w, "iam", "CreateAccessKey", &iamapi.CreateAccessKeyInput{UserName: new("alice")})
	p.alice = call[iam.KeyOutput](w, "iam", "access-key", &iam.KeyInput{AccessKey: *k.AccessKey.AccessKeyId}).Caller
	call[iamapi.CreateRoleOutput](w, "iam", "CreateRole", &iamapi.CreateRoleInput{RoleName: new("web"), AssumeRolePolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
	call[iamapi.CreateInstanceProfileOutput](w, "iam", "CreateInstanceProfile", &iamapi.CreateInstanceProfileInput{InstanceProfileName: new("web")})
	call[iamapi.AddRoleToInstanceProfileOutput](w, "iam", "AddRoleToInstanceProfile", &iamapi.AddRoleToInstanceProfileInput{InstanceProfileName: new("web"), RoleName: new("web")})
	return p
}

// let gives alice one policy, with these statements.
func (p *people) let(statements string) {
	p.t.Helper()
	call[iamapi.PutUserPolicyOutput](p.world, "iam", "PutUserPolicy", &iamapi.PutUserPolicyInput{
		UserName: new("alice"), PolicyName: new("p"), PolicyDocument: new(`{"Version":"2012-10-17","Statement":[` + statements + `]}`),
	})
}

// try is a call of alice's, and its error in short.
func (p *people) try(service, operation string, in any) string {
	p.t.Helper()
	return p.tryAs(p.alice, service, operation, in)
}

// asRoot is try by the account's root.
func (p *people) asRoot(service, operation string, in any) string {
	p.t.Helper()
	return p.tryAs(cloud.Root(here.Account), service, operation, in)
}

func (p *people) tryAs(by cloud.Caller, service, operation string, in any) string {
	p.t.Helper()
	out := p.cloud.Step(p.now, cloud.Call{Scope: here, RequestID: "r", Service: service, Operation: operation, In: in, Caller: by})
	switch e := out.Err.(type) {
	case nil:
		return ""
	case *api.Error:
		if len(out.Changes) > 0 {
			p.t.Errorf("%s changed something and was refused", operation)
		}
		text, _, _ := strings.Cut(e.Message, ". Encoded")
		return e.Code + ": " + text
	}
	p.t.Fatalf("%s: %v", operation, out.Err)
	return ""
}

// TestWhatCallsAreAbout: the action and the resource that a call is refused for, by the service's own code.
func TestWhatCallsAreAbout(t *testing.T) {
	p := newPeople(t)
	const who = "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: "
	for _, c := range []struct {
		service, operation string
		in                 any
		code, action, on   string
	}{
		{"ec2", "DescribeInstances", &ec2api.DescribeInstancesInput{InstanceIds: []string{"i-1"}}, "UnauthorizedOperation", "ec2:DescribeInstances", ""},
		{"ec2", "StopInstances", &ec2api.StopInstancesInput{InstanceIds: []string{"i-1"}}, "UnauthorizedOperation", "ec2:StopInstances", "arn:aws:ec2:us-east-1:123456789012:instance/i-1"},
		{"ec2", "AssociateAddress", &ec2api.AssociateAddressInput{InstanceId: new("i-1"), AllocationId: new("eipalloc-1")}, "UnauthorizedOperation", "ec2:AssociateAddress", "arn:aws:ec2:us-east-1:123456789012:elastic-ip/eipalloc-1"},
		{"ec2", "CreateTags", &ec2api.CreateTagsInput{Resources: []string{"ami-1"}}, "UnauthorizedOperation", "ec2:CreateTags", "arn:aws:ec2:us-east-1::image/ami-1"},
		{"ec2", "AllocateAddress", &ec2api.AllocateAddressInput{}, "UnauthorizedOperation", "ec2:AllocateAddress", "arn:aws:ec2:us-east-1:123456789012:elastic-ip/*"},
		{"autoscaling", "SetDesiredCapacity", &asapi.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(1))}, "AccessDenied", "autoscaling:SetDesiredCapacity", "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/g"},
		{"elbv2", "CreateTargetGroup", &elbapi.CreateTargetGroupInput{Name: new("t")}, "AccessDenied", "elasticloadbalancing:CreateTargetGroup", "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/t/*"},
		{"sns", "Publish", &snsapi.PublishInput{TopicArn: new("arn:aws:sns:us-east-1:123456789012:t"), Message: new("m")}, "AuthorizationError", "SNS:Publish", "arn:aws:sns:us-east-1:123456789012:t"},
		{"sqs", "SendMessage", &sqsapi.SendMessageInput{QueueUrl: new("http://h/123456789012/q"), MessageBody: new("m")}, "AccessDenied", "sqs:sendmessage", "arn:aws:sqs:us-east-1:123456789012:q"},
		{"iam", "DeleteRole", &iamapi.DeleteRoleInput{RoleName: new("web")}, "AccessDenied", "iam:DeleteRole", "arn:aws:iam::123456789012:role/web"},
		{"iam", "CreateAccessKey", &iamapi.CreateAccessKeyInput{}, "AccessDenied", "iam:CreateAccessKey", "arn:aws:iam::123456789012:user/alice"},
	} {
		want := c.code + ": "
		if c.service == "ec2" {
			want += "You are not authorized to perform this operation. "
		}
		want += who + c.action
		if c.on != "" {
			want += " on resource: " + c.on
		}
		want += " because no identity-based policy allows the " + c.action + " action"
		if got := p.try(c.service, c.operation, c.in); got != want {
			t.Errorf("%s\n got %s\nwant %s", c.operation, got, want)
		}
	}
	if got := p.try("sts", "GetCallerIdentity", &stsapi.GetCallerIdentityInput{}); got != "" {
		t.Error(got)
	}
}

// image is one of the types' architecture.
func (p *people) image() *string {
	in := &ec2api.DescribeImagesInput{Filters: []ec2api.Filter{{Name: new("architecture"), Values: []string{"x86_64"}}}}
	return call[ec2api.DescribeImagesOutput](p.world, "ec2", "DescribeImages", in).Images[0].ImageId
}

// run launches an instance as alice.
func (p *people) run(change func(in *ec2api.RunInstancesInput)) string {
	image := p.image()
	in := &ec2api.RunInstancesInput{ImageId: image, InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(1))}
	change(in)
	return p.try("ec2", "RunInstances", in)
}

// TestLaunchesNeedManyRights: all that a launch uses, tags, and the role that it passes (EC-IA-01).
func TestLaunchesNeedManyRights(t *testing.T) {
	p := newPeople(t)
	plain := func(*ec2api.RunInstancesInput) {}
	p.let(`{"Effect":"Allow","Action":"ec2:RunInstances","Resource":["arn:aws:ec2:*:*:instance/*","arn:aws:ec2:*::image/*"]}`)
	if got := p.run(plain); !strings.Contains(got, "ec2:RunInstances on resource: arn:aws:ec2:us-east-1:123456789012:subnet/subnet-") {
		t.Error(got)
	}
	p.let(`{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*","Condition":{"StringEqualsIfExists":{"ec2:InstanceType":"t3.micro"}}}`)
	if got := p.run(plain); got != "" {
		t.Error(got)
	}
	if got := p.run(func(in *ec2api.RunInstancesInput) { in.InstanceType = new("m5.large") }); !strings.Contains(got, "ec2:RunInstances") {
		t.Error(got)
	}
	tagged := func(in *ec2api.RunInstancesInput) {
		in.TagSpecifications = []ec2api.TagSpecification{{ResourceType: new("instance"), Tags: []ec2api.Tag{{Key: new("team"), Value: new("shop")}}}}
	}
	if got := p.run(tagged); !strings.Contains(got, "ec2:CreateTags on resource: arn:aws:ec2:us-east-1:123456789012:instance/*") {
		t.Error(got)
	}
	p.let(`{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*"},
		{"Effect":"Allow","Action":"ec2:CreateTags","Resource":"*","Condition":{"StringEquals":{"ec2:CreateAction":"RunInstances","aws:RequestTag/team":"shop"}}},
		{"Effect":"Allow","Action":"ec2:TerminateInstances","Resource":"*","Condition":{"StringEquals":{"ec2:ResourceTag/team":"shop"}}}`)
	if got := p.run(tagged); got != "" {
		t.Error(got)
	}
	all := call[ec2api.DescribeInstancesOutput](p.world, "ec2", "DescribeInstances", &ec2api.DescribeInstancesInput{}).Reservations
	for _, r := range all {
		i := r.Instances[0]
		got := p.try("ec2", "TerminateInstances", &ec2api.TerminateInstancesInput{InstanceIds: []string{*i.InstanceId}})
		if (got == "") != (len(i.Tags) > 0) {
			t.Errorf("with %d tags: %s", len(i.Tags), got)
		}
	}
	profile := func(in *ec2api.RunInstancesInput) {
		in.IamInstanceProfile = &ec2api.IamInstanceProfileSpecification{Name: new("web")}
	}
	if got := p.run(profile); got != "UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/alice is not authorized to perform: "+
		"iam:PassRole on resource: arn:aws:iam::123456789012:role/web because no identity-based policy allows the iam:PassRole action" {
		t.Error(got)
	}
	p.let(`{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
		{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::*:role/web","Condition":{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}}`)
	if got := p.run(profile); got != "" {
		t.Error(got)
	}
	if got := p.run(func(in *ec2api.RunInstancesInput) {
		in.IamInstanceProfile = &ec2api.IamInstanceProfileSpecification{Name: new("nobody")}
	}); got != "InvalidParameterValue: Value (nobody) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name" {
		t.Error(got)
	}
}

// TestGroupsAreMadeWithRightsAndLaunchWithout: AS-LC-12.
func TestGroupsAreMadeWithRightsAndLaunchWithout(t *testing.T) {
	p := newPeople(t)
	image := p.image()
	call[ec2api.CreateLaunchTemplateOutput](p.world, "ec2", "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateInput{LaunchTemplateName: new("web"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{
		ImageId: image, InstanceType: new("t3.micro"), IamInstanceProfile: &ec2api.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: new("web")},
	}})
	group := func() string {
		return p.try("autoscaling", "CreateAutoScalingGroup", &asapi.CreateAutoScalingGroupInput{
			AutoScalingGroupName: new("web"), MinSize: new(int32(1)), MaxSize: new(int32(2)), AvailabilityZones: []string{"us-east-1a"},
			LaunchTemplate: &asapi.LaunchTemplateSpecification{LaunchTemplateName: new("web")},
		})
	}
	p.let(`{"Effect":"Allow","Action":"autoscaling:*","Resource":"*"}`)
	if got := group(); !strings.HasPrefix(got, "AccessDenied: ") || !strings.Contains(got, "ec2:RunInstances") {
		t.Error(got)
	}
	p.let(`{"Effect":"Allow","Action":["autoscaling:*","ec2:RunInstances"],"Resource":"*"}`)
	if got := group(); !strings.HasPrefix(got, "AccessDenied: ") || !strings.Contains(got, "iam:PassRole") {
		t.Error(got)
	}
	p.let(`{"Effect":"Allow","Action":["autoscaling:*","ec2:RunInstances","iam:PassRole"],"Resource":"*"}`)
	if got := group(); got != "" {
		t.Error(got)
	}
	p.settle()
	p.let(`{"Effect":"Allow","Action":"autoscaling:*","Resource":"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/web"}`)
	if got := p.try("autoscaling", "SetDesiredCapacity", &asapi.SetDesiredCapacityInput{AutoScalingGroupName: new("web"), DesiredCapacity: new(int32(2))}); got != "" {
		t.Error(got)
	}
	p.until(p.now.Add(time.Minute))
	p.settle()
	if len(p.running) != 2 {
		t.Errorf("%d instances run", len(p.running))
	}
}

// BenchmarkAuthorization is one call of the root's and of an allowed role's: what deciding costs.
func BenchmarkAuthorization(b *testing.B) {
	p := newPeople(b)
	call[iamapi.PutRolePolicyOutput](p.world, "iam", "PutRolePolicy", &iamapi.PutRolePolicyInput{RoleName: new("web"), PolicyName: new("p"), PolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*","autoscaling:*"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}}]}`)})
	call[iamapi.AttachRolePolicyOutput](p.world, "iam", "AttachRolePolicy", &iamapi.AttachRolePolicyInput{RoleName: new("web"), PolicyArn: new("arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy")})
	a := call[stsapi.AssumeRoleOutput](p.world, "sts", "AssumeRole", &stsapi.AssumeRoleInput{RoleArn: new("arn:aws:iam::123456789012:role/web"), RoleSessionName: new("s")})
	role := call[iam.KeyOutput](p.world, "iam", "access-key", &iam.KeyInput{AccessKey: *a.Credentials.AccessKeyId}).Caller
	for name, by := range map[string]cloud.Caller{"root": cloud.Root(here.Account), "role": role} { // any order
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				out := p.cloud.Step(p.now, cloud.Call{Scope: here, Service: "ec2", Operation: "DescribeVpcs", In: &ec2api.DescribeVpcsInput{}, Caller: by})
				if out.Err != nil {
					b.Fatal(out.Err)
				}
			}
		})
	}
}
