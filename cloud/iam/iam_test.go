package iam

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
)

const account = "123456789012"

// world is a cloud of IAM alone, with an operation of the test's own.
type world struct {
	t     testing.TB
	s     *Service
	cloud *cloud.Cloud
	now   time.Time
	by    cloud.Caller
}

// probe runs a test's function inside of a step.
type probe struct{ cloud.Base }

type probing struct{ Do func(tx *cloud.Tx) error }

func (probe) Name() string { return "probe" }
func (probe) Operations() []cloud.Operation {
	return []cloud.Operation{cloud.Handle("Do", func(tx *cloud.Tx, in *probing) (*struct{}, error) { return &struct{}{}, in.Do(tx) })}
}

func newWorld(t testing.TB) *world {
	s := New()
	return &world{t: t, s: s, cloud: cloud.New(1, s, probe{}), now: time.Date(2026, 9, 27, 12, 0, 0, 0, time.UTC), by: cloud.Root(account)}
}

func (w *world) call(service, operation string, in any) cloud.Output {
	return w.cloud.Step(w.now, cloud.Call{Scope: cloud.Scope{Account: account, Region: "eu-west-1"}, Service: service, Operation: operation, In: in, Caller: w.by})
}

func good[Out any](w *world, operation string, in any) *Out {
	w.t.Helper()
	out := w.call(Name, operation, in)
	if out.Err != nil {
		w.t.Fatalf("%s: %v", operation, out.Err)
	}
	return out.Reply.(*Out)
}

// bad makes a call that must be refused with a code and change nothing.
func (w *world) bad(operation string, in any, code string) {
	w.t.Helper()
	out := w.call(Name, operation, in)
	e, ok := out.Err.(*api.Error)
	if !ok || e.Code != code || len(out.Changes) > 0 {
		w.t.Errorf("%s: %v with %d changes, want %s", operation, out.Err, len(out.Changes), code)
	}
}

func (w *world) do(f func(tx *cloud.Tx) error) error {
	w.t.Helper()
	return w.call("probe", "Do", &probing{f}).Err
}

const (
	anything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}]}`
	trustEC2 = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
)

func TestEntitiesAndTheirConflicts(t *testing.T) {
	w := newWorld(t)
	u := good[shape.CreateUserOutput](w, "CreateUser", &shape.CreateUserInput{UserName: new("alice"), Path: new("/eng/")}).User
	if *u.Arn != "arn:aws:iam::123456789012:user/eng/alice" || len(*u.UserId) != 21 || !strings.HasPrefix(*u.UserId, "AIDA") {
		t.Errorf("%s %s", *u.Arn, *u.UserId)
	}
	w.bad("CreateUser", &shape.CreateUserInput{UserName: new("Alice")}, "EntityAlreadyExists")
	w.bad("GetUser", &shape.GetUserInput{UserName: new("bob")}, "NoSuchEntity")
	k := good[shape.CreateAccessKeyOutput](w, "CreateAccessKey", &shape.CreateAccessKeyInput{UserName: new("alice")}).AccessKey
	if len(*k.AccessKeyId) != 20 || len(*k.SecretAccessKey) != 40 {
		t.Errorf("%s %s", *k.AccessKeyId, *k.SecretAccessKey)
	}
	good[shape.CreateAccessKeyOutput](w, "CreateAccessKey", &shape.CreateAccessKeyInput{UserName: new("alice")})
	w.bad("CreateAccessKey", &shape.CreateAccessKeyInput{UserName: new("alice")}, "LimitExceeded")
	good[shape.CreateGroupOutput](w, "CreateGroup", &shape.CreateGroupInput{GroupName: new("ops")})
	good[shape.AddUserToGroupOutput](w, "AddUserToGroup", &shape.AddUserToGroupInput{GroupName: new("ops"), UserName: new("alice")})
	w.bad("DeleteUser", &shape.DeleteUserInput{UserName: new("alice")}, "DeleteConflict")
	w.bad("DeleteGroup", &shape.DeleteGroupInput{GroupName: new("ops")}, "DeleteConflict")
	good[shape.UpdateUserOutput](w, "UpdateUser", &shape.UpdateUserInput{UserName: new("alice"), NewUserName: new("alison")})
	if g := good[shape.GetGroupOutput](w, "GetGroup", &shape.GetGroupInput{GroupName: new("ops")}); len(g.Users) != 1 || *g.Users[0].UserName != "alison" {
		t.Errorf("%+v", g.Users)
	}
	if l := good[shape.ListAccessKeysOutput](w, "ListAccessKeys", &shape.ListAccessKeysInput{UserName: new("alison")}); len(l.AccessKeyMetadata) != 2 {
		t.Errorf("%+v", l)
	}

	good[shape.CreateRoleOutput](w, "CreateRole", &shape.CreateRoleInput{RoleName: new("web"), AssumeRolePolicyDocument: new(trustEC2)})
	good[shape.CreateInstanceProfileOutput](w, "CreateInstanceProfile", &shape.CreateInstanceProfileInput{InstanceProfileName: new("web")})
	good[shape.AddRoleToInstanceProfileOutput](w, "AddRoleToInstanceProfile", &shape.AddRoleToInstanceProfileInput{InstanceProfileName: new("web"), RoleName: new("web")})
	w.bad("AddRoleToInstanceProfile", &shape.AddRoleToInstanceProfileInput{InstanceProfileName: new("web"), RoleName: new("web")}, "LimitExceeded")
	w.bad("DeleteRole", &shape.DeleteRoleInput{RoleName: new("web")}, "DeleteConflict")
	w.bad("DeleteInstanceProfile", &shape.DeleteInstanceProfileInput{InstanceProfileName: new("web")}, "DeleteConflict")
	r := good[shape.GetRoleOutput](w, "GetRole", &shape.GetRoleInput{RoleName: new("web")}).Role
	if text, err := url.QueryUnescape(*r.AssumeRolePolicyDocument); err != nil || text != trustEC2 || *r.MaxSessionDuration != 3600 {
		t.Errorf("%+v", r)
	}
	good[shape.CreateServiceLinkedRoleOutput](w, "CreateServiceLinkedRole", &shape.CreateServiceLinkedRoleInput{AWSServiceName: new("autoscaling.amazonaws.com")})
	w.bad("DeleteRole", &shape.DeleteRoleInput{RoleName: new("AWSServiceRoleForAutoScaling")}, "UnmodifiableEntity")
}

func TestPoliciesOfBadFormChangeNothing(t *testing.T) {
	w := newWorld(t)
	good[shape.CreateUserOutput](w, "CreateUser", &shape.CreateUserInput{UserName: new("alice")})
	large := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*","Sid":"` + strings.Repeat("x", 1<<20) + `"}]}`
	w.bad("PutUserPolicy", &shape.PutUserPolicyInput{UserName: new("alice"), PolicyName: new("p"), PolicyDocument: new("no JSON")}, "MalformedPolicyDocument")
	w.bad("PutUserPolicy", &shape.PutUserPolicyInput{UserName: new("alice"), PolicyName: new("p"), PolicyDocument: &large}, "LimitExceeded")
	w.bad("CreatePolicy", &shape.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: &large}, "LimitExceeded")
	w.bad("CreatePolicy", &shape.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: new("{}")}, "MalformedPolicyDocument")
	w.bad("CreateRole", &shape.CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: new(`{`)}, "MalformedPolicyDocument")
	w.bad("CreateRole", &shape.CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: new(`{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"arn:aws:iam::123456789012:user/nobody"}}}`)}, "MalformedPolicyDocument")
	w.bad("AttachUserPolicy", &shape.AttachUserPolicyInput{UserName: new("alice"), PolicyArn: new("arn:aws:iam::aws:policy/NoSuchThing")}, "NoSuchEntity")
}

func TestManagedPoliciesHaveVersions(t *testing.T) {
	w := newWorld(t)
	good[shape.CreateUserOutput](w, "CreateUser", &shape.CreateUserInput{UserName: new("alice")})
	arn := *good[shape.CreatePolicyOutput](w, "CreatePolicy", &shape.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: new(anything)}).Policy.Arn
	good[shape.AttachUserPolicyOutput](w, "AttachUserPolicy", &shape.AttachUserPolicyInput{UserName: new("alice"), PolicyArn: &arn})
	for range 4 {
		good[shape.CreatePolicyVersionOutput](w, "CreatePolicyVersion", &shape.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: new(anything), SetAsDefault: new(true)})
	}
	w.bad("CreatePolicyVersion", &shape.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: new(anything)}, "LimitExceeded")
	w.bad("DeletePolicyVersion", &shape.DeletePolicyVersionInput{PolicyArn: &arn, VersionId: new("v5")}, "DeleteConflict")
	good[shape.DeletePolicyVersionOutput](w, "DeletePolicyVersion", &shape.DeletePolicyVersionInput{PolicyArn: &arn, VersionId: new("v1")})
	w.bad("DeletePolicy", &shape.DeletePolicyInput{PolicyArn: &arn}, "DeleteConflict")
	p := good[shape.GetPolicyOutput](w, "GetPolicy", &shape.GetPolicyInput{PolicyArn: &arn}).Policy
	if *p.AttachmentCount != 1 || *p.DefaultVersionId != "v5" {
		t.Errorf("%+v", p)
	}
	w.bad("DeletePolicy", &shape.DeletePolicyInput{PolicyArn: new("arn:aws:iam::aws:policy/ReadOnlyAccess")}, "AccessDenied")
	sim := good[shape.SimulatePrincipalPolicyOutput](w, "SimulatePrincipalPolicy", &shape.SimulatePrincipalPolicyInput{
		PolicySourceArn: new("arn:aws:iam::123456789012:user/alice"), ActionNames: []string{"ec2:DescribeVpcs", "ec2:RunInstances"},
	}).EvaluationResults
	if len(sim) != 2 || *sim[0].EvalDecision != "allowed" || *sim[1].EvalDecision != "implicitDeny" || *sim[0].MatchedStatements[0].SourcePolicyId != "p" {
		t.Errorf("%+v", sim)
	}
}

func TestEveryPolicyOfAWSIsOne(t *testing.T) {
	for _, arn := range builtInARNs {
		if _, err := policy.Parse(builtIn[arn].document(), policy.Identity); err != nil {
			t.Errorf("%s: %v", arn, err)
		}
	}
}

// TestSessionsAreKeptAndRotated: EC-MD-05.
func TestSessionsAreKeptAndRotated(t *testing.T) {
	w := newWorld(t)
	arn := *good[shape.CreateRoleOutput](w, "CreateRole", &shape.CreateRoleInput{RoleName: new("web"), AssumeRolePolicyDocument: new(trustEC2)}).Role.Arn
	session := func() (c Credentials) {
		t.Helper()
		if err := w.do(func(tx *cloud.Tx) (err error) {
			c, err = w.s.Session(tx, arn, "i-1", 6*time.Hour)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := session()
	w.now = w.now.Add(4 * time.Hour)
	if again := session(); again != first {
		t.Errorf("other credentials after 4 of 6 hours")
	}
	w.now = w.now.Add(time.Hour + 50*time.Minute)
	second := session()
	if second == first || second.Expiration.Sub(w.now) < 5*time.Hour {
		t.Errorf("no new credentials 10 minutes before the end: %v", second.Expiration)
	}
	known := func(key string) *KeyOutput {
		out := w.call(Name, "access-key", &KeyInput{key})
		if out.Err != nil {
			return nil
		}
		return out.Reply.(*KeyOutput)
	}
	if k := known(first.AccessKeyID); k == nil || k.Expired || k.Secret != first.SecretAccessKey || k.Caller.ARN != "arn:aws:sts::123456789012:assumed-role/web/i-1" {
		t.Errorf("the first ones before they end: %+v", k)
	}
	w.now = w.now.Add(20 * time.Minute)
	if k := known(first.AccessKeyID); k == nil || !k.Expired {
		t.Errorf("the first ones after they ended: %+v", k)
	}
	for range 10 {
		if wake := w.cloud.Wake(); !wake.IsZero() {
			w.now = wake
			w.cloud.Step(w.now, cloud.Tick{})
		}
	}
	if w.s.sessions.Len() != 0 || w.s.currents.Len() != 0 || known(second.AccessKeyID) != nil {
		t.Errorf("%d sessions are kept for ever", w.s.sessions.Len())
	}
}

func TestKeysThatAreInactiveOrGone(t *testing.T) {
	w := newWorld(t)
	good[shape.CreateUserOutput](w, "CreateUser", &shape.CreateUserInput{UserName: new("alice")})
	k := good[shape.CreateAccessKeyOutput](w, "CreateAccessKey", &shape.CreateAccessKeyInput{UserName: new("alice")}).AccessKey
	in := &KeyInput{*k.AccessKeyId}
	if out := good[KeyOutput](w, "access-key", in); out.Caller.Kind != cloud.KindUser || out.Caller.ARN != "arn:aws:iam::123456789012:user/alice" || out.Secret != *k.SecretAccessKey {
		t.Errorf("%+v", out)
	}
	good[shape.UpdateAccessKeyOutput](w, "UpdateAccessKey", &shape.UpdateAccessKeyInput{AccessKeyId: k.AccessKeyId, Status: new("Inactive")})
	w.bad("access-key", in, "InvalidClientTokenId")
	good[shape.DeleteAccessKeyOutput](w, "DeleteAccessKey", &shape.DeleteAccessKeyInput{AccessKeyId: k.AccessKeyId})
	w.bad("access-key", in, "InvalidClientTokenId")
}

// TestAssuming: who is trusted by name needs no policy, who is trusted with its account does, and session policies limit.
func TestAssuming(t *testing.T) {
	w := newWorld(t)
	user := func(name string) cloud.Caller {
		good[shape.CreateUserOutput](w, "CreateUser", &shape.CreateUserInput{UserName: &name})
		k := good[shape.CreateAccessKeyOutput](w, "CreateAccessKey", &shape.CreateAccessKeyInput{UserName: &name}).AccessKey
		return good[KeyOutput](w, "access-key", &KeyInput{*k.AccessKeyId}).Caller
	}
	alice, bob := user("alice"), user("bob")
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/alice"},"Action":"sts:AssumeRole"},
		{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"secret"}}}]}`
	arn := *good[shape.CreateRoleOutput](w, "CreateRole", &shape.CreateRoleInput{RoleName: new("deploy"), AssumeRolePolicyDocument: &trust}).Role.Arn
	good[shape.AttachRolePolicyOutput](w, "AttachRolePolicy", &shape.AttachRolePolicyInput{RoleName: new("deploy"), PolicyArn: new("arn:aws:iam::aws:policy/AmazonEC2FullAccess")})
	assume := func(by cloud.Caller, q AssumeRequest) (a Assumed, err error) {
		w.by = by
		defer func() { w.by = cloud.Root(account) }()
		q.RoleARN, q.Name = arn, "s"
		err = w.do(func(tx *cloud.Tx) (err error) {
			a, err = w.s.Assume(tx, q)
			return err
		})
		return a, err
	}
	a, err := assume(alice, AssumeRequest{Policy: anything})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []AssumeRequest{{}, {ExternalID: "secret"}} {
		if _, err := assume(bob, q); err == nil || !strings.HasPrefix(err.Error(), "AccessDenied: User: arn:aws:iam::123456789012:user/bob is not authorized to perform: sts:AssumeRole on resource: "+arn) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	good[shape.PutUserPolicyOutput](w, "PutUserPolicy", &shape.PutUserPolicyInput{UserName: new("bob"), PolicyName: new("p"),
		PolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`)})
	if _, err := assume(bob, AssumeRequest{}); err == nil {
		t.Error("without the external ID")
	}
	if _, err := assume(bob, AssumeRequest{ExternalID: "secret"}); err != nil {
		t.Error(err)
	}
	if _, err := assume(alice, AssumeRequest{Life: 2 * time.Hour}); err == nil || !strings.Contains(err.Error(), "exceeds the MaxSessionDuration") {
		t.Error(err)
	}
	w.by = good[KeyOutput](w, "access-key", &KeyInput{a.AccessKeyID}).Caller
	check := func(action string) error {
		return w.do(func(tx *cloud.Tx) error { return w.s.Check(tx, Question{Action: action, Resource: "*"}) })
	}
	if err := check("ec2:DescribeVpcs"); err != nil {
		t.Error(err)
	}
	if err := check("ec2:RunInstances"); err == nil || !strings.Contains(err.Error(), "because no session policy allows the ec2:RunInstances action") {
		t.Error(err)
	}
}
