package region

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
	"time"

	iamapi "github.com/billow-cloud/billow/api/iam"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/lambda"
)

// TestWhoMayInvoke: a user without policies invokes what permits it and nothing else, and passes no role (EC-IA-02).
func TestWhoMayInvoke(t *testing.T) {
	c, now := New(Options{Seed: 1}), time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	scope := cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	user := cloud.Caller{ARN: "arn:aws:iam::123456789012:user/u", Kind: cloud.KindUser, Account: scope.Account}
	call := func(by cloud.Caller, service, operation string, in any) (any, error) {
		now = now.Add(time.Second)
		out := c.Step(now, cloud.Call{Scope: scope, RequestID: now.String(), Service: service, Operation: operation, In: in, Caller: by})
		return out.Reply, out.Err
	}
	must := func(service, operation string, in any) any {
		t.Helper()
		out, err := call(cloud.Caller{}, service, operation, in)
		if err != nil {
			t.Fatalf("%s: %v", operation, err)
		}
		return out
	}
	user.ID = *must("iam", "CreateUser", &iamapi.CreateUserInput{UserName: new("u")}).(*iamapi.CreateUserOutput).User.UserId
	role := *must("iam", "CreateRole", &iamapi.CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)}).(*iamapi.CreateRoleOutput).Role.Arn
	var code bytes.Buffer
	z := zip.NewWriter(&code)
	if _, err := z.Create("bootstrap"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	create := func(name string) *shape.CreateFunctionInput {
		return &shape.CreateFunctionInput{FunctionName: &name, Runtime: new("provided.al2023"), Handler: new("h"), Role: &role, Code: &shape.FunctionCode{ZipFile: code.Bytes()}}
	}
	must("lambda", "CreateFunction", create("open"))
	must("lambda", "CreateFunction", create("closed"))
	must("lambda", "AddPermission", &shape.AddPermissionInput{FunctionName: new("open"), StatementId: new("u"), Action: new("lambda:InvokeFunction"), Principal: &user.ARN})
	denied := func(operation string, in any, part string) {
		t.Helper()
		if _, err := call(user, "lambda", operation, in); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", operation, err)
		}
	}
	denied("Invoke", &shape.InvokeInput{FunctionName: new("closed")}, "is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:123456789012:function:closed")
	denied("DeleteFunction", &shape.DeleteFunctionInput{FunctionName: new("open")}, "lambda:DeleteFunction")
	denied("CreateFunction", create("mine"), "lambda:CreateFunction")
	out, err := call(user, "lambda", "Invoke", &shape.InvokeInput{FunctionName: new("open")})
	if p, ok := out.(*lambda.Pending); err != nil || !ok || p.RequestID == "" {
		t.Errorf("%+v %v", out, err)
	}
	must("iam", "PutUserPolicy", &iamapi.PutUserPolicyInput{UserName: new("u"), PolicyName: new("p"), PolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:*","Resource":"*"}]}`)})
	denied("CreateFunction", create("mine"), "iam:PassRole on resource: "+role)
}
