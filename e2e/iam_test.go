package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// identity is a client of the API that is not the root of the account.
type identity struct {
	s   *server
	env []string
}

type keys struct{ AccessKeyId, SecretAccessKey, SessionToken, Token, Expiration, Code string }

func (s *server) as(k keys) identity {
	return identity{s, []string{"AWS_ACCESS_KEY_ID=" + k.AccessKeyId, "AWS_SECRET_ACCESS_KEY=" + k.SecretAccessKey, "AWS_SESSION_TOKEN=" + k.SessionToken + k.Token}}
}

// aws runs an AWS CLI command and returns what it printed, on whichever of its outputs.
func (i identity) aws(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "aws", append([]string{"--endpoint-url", i.s.endpoint, "--output", "text"}, args...)...)
	cmd.Env = append(os.Environ(), append(i.env, "AWS_DEFAULT_REGION=us-east-1", "AWS_MAX_ATTEMPTS=1", "HOME="+i.s.data, "AWS_PAGER=")...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}

// may makes a call that must succeed.
func (i identity) may(args ...string) string {
	i.s.t.Helper()
	out, err := i.aws(args...)
	if err != nil {
		i.s.t.Errorf("aws %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// mayNot makes a call that must be refused with words.
func (i identity) mayNot(words string, args ...string) {
	i.s.t.Helper()
	out, err := i.aws(args...)
	if err == nil || !strings.Contains(out, words) {
		i.s.t.Errorf("aws %s: %v: %s\nwant %s", strings.Join(args, " "), err, out, words)
	}
}

const (
	trustEC2 = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	describe = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*","autoscaling:Describe*"],"Resource":"*"}]}`
)

func (s *server) user(name string) identity {
	s.t.Helper()
	s.aws(nil, "iam", "create-user", "--user-name", name)
	var made struct{ AccessKey keys }
	s.aws(&made, "iam", "create-access-key", "--user-name", name)
	return s.as(made.AccessKey)
}

// TestIAM: users, roles and sessions, allowed and refused in AWS's words, with signatures checked and without.
func TestIAM(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	for _, auth := range []string{"sigv4", "none"} {
		t.Run(auth, func(t *testing.T) {
			t.Parallel()
			testIAM(t, start(t, "--driver", "sim", "--auth", auth))
		})
	}
}

func testIAM(t *testing.T, s *server) {
	alice := s.user("alice")
	if got := alice.may("sts", "get-caller-identity", "--query", "Arn"); got != "arn:aws:iam::123456789012:user/alice" {
		t.Errorf("alice is %s", got)
	}
	if got := s.text("sts", "get-caller-identity", "--query", "Arn"); got != "arn:aws:iam::123456789012:root" {
		t.Errorf("the server's own keys are of %s", got)
	}
	const who = "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: "
	alice.mayNot("(UnauthorizedOperation) when calling the DescribeInstances operation: You are not authorized to perform this operation. "+who+
		"ec2:DescribeInstances because no identity-based policy allows the ec2:DescribeInstances action", "ec2", "describe-instances")
	alice.mayNot("(AccessDenied) when calling the DescribeAutoScalingGroups operation: "+who+"autoscaling:DescribeAutoScalingGroups", "autoscaling", "describe-auto-scaling-groups")
	alice.mayNot("(AccessDeniedException) when calling the GetParameter operation: "+who+"ssm:GetParameter on resource: arn:aws:ssm:us-east-1:123456789012:parameter/x", "ssm", "get-parameter", "--name", "/x")
	alice.mayNot("(AccessDenied) when calling the CreateUser operation: "+who+"iam:CreateUser on resource: arn:aws:iam::123456789012:user/bob", "iam", "create-user", "--user-name", "bob")
	s.aws(nil, "iam", "put-user-policy", "--user-name", "alice", "--policy-name", "look", "--policy-document", describe)
	alice.may("ec2", "describe-instances")
	alice.may("autoscaling", "describe-auto-scaling-groups")

	// An explicit deny, by tag and by region.
	s.aws(nil, "iam", "attach-user-policy", "--user-name", "alice", "--policy-arn", "arn:aws:iam::aws:policy/AmazonEC2FullAccess")
	s.aws(nil, "iam", "put-user-policy", "--user-name", "alice", "--policy-name", "not", "--policy-document", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Deny","Action":"ec2:TerminateInstances","Resource":"*","Condition":{"StringEquals":{"ec2:ResourceTag/keep":"yes"}}},
		{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":"us-east-1"}}}]}`)
	id := alice.may("ec2", "run-instances", "--image-id", s.amazonLinux(), "--instance-type", "t3.micro", "--query", "Instances[0].InstanceId",
		"--tag-specifications", "ResourceType=instance,Tags=[{Key=keep,Value=yes}]")
	alice.mayNot("with an explicit deny in an identity-based policy", "ec2", "terminate-instances", "--instance-ids", id)
	alice.mayNot("with an explicit deny in an identity-based policy", "ec2", "describe-instances", "--region", "eu-west-1")

	// A role: who may assume it, what its sessions may, and who may pass it.
	s.aws(nil, "iam", "create-role", "--role-name", "look", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/alice"},"Action":"sts:AssumeRole"}]}`)
	s.aws(nil, "iam", "put-role-policy", "--role-name", "look", "--policy-name", "look", "--policy-document", describe)
	var assumed struct{ Credentials keys }
	role := "arn:aws:iam::123456789012:role/look"
	data, err := identity{s, append(alice.env, "AWS_DEFAULT_OUTPUT=json")}.aws("sts", "assume-role", "--role-arn", role, "--role-session-name", "tuesday", "--output", "json")
	if err == nil {
		err = json.Unmarshal([]byte(data), &assumed)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	session := s.as(assumed.Credentials)
	if got := session.may("sts", "get-caller-identity", "--query", "Arn"); got != "arn:aws:sts::123456789012:assumed-role/look/tuesday" {
		t.Errorf("the session is %s", got)
	}
	session.may("ec2", "describe-instances")
	session.mayNot("(UnauthorizedOperation)", "ec2", "stop-instances", "--instance-ids", id)
	bob := s.user("bob")
	bob.mayNot("(AccessDenied) when calling the AssumeRole operation: User: arn:aws:iam::123456789012:user/bob is not authorized to perform: sts:AssumeRole on resource: "+role,
		"sts", "assume-role", "--role-arn", role, "--role-session-name", "monday")

	s.aws(nil, "iam", "create-role", "--role-name", "web", "--assume-role-policy-document", trustEC2)
	s.aws(nil, "iam", "create-instance-profile", "--instance-profile-name", "web")
	s.aws(nil, "iam", "add-role-to-instance-profile", "--instance-profile-name", "web", "--role-name", "web")
	alice.mayNot("iam:PassRole on resource: arn:aws:iam::123456789012:role/web", "ec2", "run-instances", "--image-id", s.amazonLinux(), "--instance-type", "t3.micro",
		"--iam-instance-profile", "Name=web")
	s.aws(nil, "ec2", "associate-iam-instance-profile", "--instance-id", id, "--iam-instance-profile", "Name=web")
	if got := s.text("ec2", "describe-iam-instance-profile-associations", "--query", "IamInstanceProfileAssociations[0].InstanceId"); got != id {
		t.Errorf("associated with %s", got)
	}

	// Documents that are none change nothing; keys that are none any more are refused.
	if out, err := s.awsCLI("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "bad", "--policy-document", "no JSON"); err == nil || !strings.Contains(err.Error(), "MalformedPolicyDocument") {
		t.Errorf("%s %v", out, err)
	}
	large := s.file("large.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`+strings.Repeat(" ", 1<<20))
	if out, err := s.awsCLI("iam", "put-user-policy", "--user-name", "alice", "--policy-name", "bad", "--policy-document", large); err == nil || !strings.Contains(err.Error(), "ValidationError") {
		t.Errorf("%s %v", out, err)
	}
	if got := s.text("iam", "list-user-policies", "--user-name", "alice", "--query", "to_string(length(PolicyNames))"); got != "2" {
		t.Errorf("%s policies", got)
	}
	key := strings.TrimPrefix(bob.env[0], "AWS_ACCESS_KEY_ID=")
	s.aws(nil, "iam", "delete-access-key", "--user-name", "bob", "--access-key-id", key)
	if s.args[3] == "sigv4" {
		bob.mayNot("InvalidClientTokenId", "sts", "get-caller-identity")
	}
}

// TestInstanceRole: the AWS CLI in an instance finds the credentials of its role by itself, and may what the role may
// (EC-MD-05).
func TestInstanceRole(t *testing.T) {
	need(t, "aws", "curl")
	t.Parallel()
	s := start(t)
	s.aws(nil, "iam", "create-role", "--role-name", "web", "--assume-role-policy-document", trustEC2)
	s.aws(nil, "iam", "put-role-policy", "--role-name", "web", "--policy-name", "look", "--policy-document", describe)
	s.aws(nil, "iam", "create-instance-profile", "--instance-profile-name", "web")
	s.aws(nil, "iam", "add-role-to-instance-profile", "--instance-profile-name", "web", "--role-name", "web")
	if _, err := s.awsCLI("ec2", "run-instances", "--image-id", s.amazonLinux(), "--instance-type", "t3.micro", "--iam-instance-profile", "Name=nobody"); err == nil || !strings.Contains(err.Error(), "Invalid IAM Instance Profile name") {
		t.Errorf("an unknown profile: %v", err)
	}
	id := s.runInstance("#!/bin/sh\n:\n", "--iam-instance-profile", "Name=web")

	const token = `token=$(curl -sS -m 10 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token); `
	get := func(path string) string {
		return s.shell(t, id, token+`curl -sS -m 10 -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/iam/`+path)
	}
	if got := get("security-credentials/"); got != "web" {
		t.Errorf("the role is %q", got)
	}
	if got := get("info"); !strings.Contains(got, "arn:aws:iam::123456789012:instance-profile/web") {
		t.Errorf("iam/info is %s", got)
	}
	var first, again keys
	for _, k := range []*keys{&first, &again} {
		if err := json.Unmarshal([]byte(get("security-credentials/web")), k); err != nil {
			t.Fatal(err)
		}
	}
	if first.Code != "Success" || first != again {
		t.Errorf("%+v, then %+v", first, again)
	}
	if end, err := time.Parse(time.RFC3339, first.Expiration); err != nil || time.Until(end) < time.Hour {
		t.Errorf("they end at %s", first.Expiration)
	}
	arn := "arn:aws:sts::123456789012:assumed-role/web/" + id
	outside := s.as(first)
	if got := outside.may("sts", "get-caller-identity", "--query", "Arn"); got != arn {
		t.Errorf("the instance is %s", got)
	}
	if s.shell(t, id, "echo $AWS_ENDPOINT_URL $AWS_REGION") != "http://billow.internal us-east-1" {
		t.Error("programs in the instance do not find the endpoint")
	}
	allocation := s.text("ec2", "allocate-address", "--query", "AllocationId")
	refused := fmt.Sprintf("(UnauthorizedOperation) when calling the AssociateAddress operation: You are not authorized to perform this operation. User: %s "+
		"is not authorized to perform: ec2:AssociateAddress on resource: arn:aws:ec2:us-east-1:123456789012:elastic-ip/%s because no identity-based policy allows the ec2:AssociateAddress action", arn, allocation)
	outside.mayNot(refused, "ec2", "associate-address", "--allocation-id", allocation, "--instance-id", id)

	if _, err := os.Stat("/usr/bin/aws"); err == nil {
		// Versions before 2.13 do not read AWS_ENDPOINT_URL; the credentials they find by themselves.
		const cli = "/usr/bin/aws --endpoint-url $AWS_ENDPOINT_URL --output text "
		if got := s.shell(t, id, cli+"ec2 describe-instances --query 'Reservations[0].Instances[0].InstanceId'"); got != id {
			t.Errorf("the CLI inside sees %q", got)
		}
		if out, err := s.exec(id, "/bin/sh", "-c", cli+"ec2 associate-address --allocation-id "+allocation+" --instance-id "+id); err == nil || !strings.Contains(out, refused) {
			t.Errorf("inside: %v: %s", err, out)
		}
		s.aws(nil, "iam", "put-role-policy", "--role-name", "web", "--policy-name", "take", "--policy-document",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:AssociateAddress","Resource":"*"}]}`)
		s.shell(t, id, cli+"ec2 associate-address --allocation-id "+allocation+" --instance-id "+id)
	}
	s.aws(nil, "ec2", "associate-address", "--allocation-id", allocation, "--instance-id", id) // the root may
}
