package lambda

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	iamapi "github.com/billow-cloud/billow/api/iam"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/iam"
)

// TestRoles: a role must be there and trust Lambda; its credentials are a function's, and change before they are too old.
func TestRoles(t *testing.T) {
	w := newWorld(t)
	w.role("other", "ec2.amazonaws.com")
	in := creation(t, "f")
	const text = "The role defined for the function cannot be assumed by Lambda."
	for _, role := range []string{"arn:aws:iam::123456789012:role/none", "arn:aws:iam::123456789012:role/other"} {
		in.Role = &role
		w.refused("CreateFunction", in, "InvalidParameterValueException", text)
	}
	w.made("f")
	invoke := func() Run {
		do[Pending](w, "Invoke", &shape.InvokeInput{FunctionName: new("f")})
		return w.ended("", "")
	}
	a, b := invoke(), invoke()
	w.pass(sessionLife)
	c := invoke()
	if a.Function.Revision != b.Function.Revision || a.Function.Revision == c.Function.Revision ||
		!slices.Equal(a.Function.Environment, b.Function.Environment) || slices.Equal(a.Function.Environment, c.Function.Environment) {
		t.Errorf("%+v\n%+v\n%+v", a.Function, b.Function, c.Function)
	}
	w.event("f", "{}")
	w.ended(Unhandled, "")
	if _, err := w.step(cloud.Call{Scope: here, Service: iam.Name, Operation: "DeleteRole", In: &iamapi.DeleteRoleInput{RoleName: new("runner")}}); err != nil {
		t.Fatal(err)
	}
	w.refused("Invoke", &shape.InvokeInput{FunctionName: new("f")}, "InvalidParameterValueException", text)
	if w.pass(10 * time.Minute); w.queue() != 0 || len(w.runs) != 0 {
		t.Errorf("without a role attempts fail: %d queued, %d run", w.queue(), len(w.runs))
	}
}

// TestAlarms: an alarm invokes the function that is its action, if that permits it.
func TestAlarms(t *testing.T) {
	w := newWorld(t)
	arn := w.made("f")
	call := func(operation string, in any) {
		t.Helper()
		if _, err := w.step(cloud.Call{Scope: here, Service: cloudwatch.Name, Operation: operation, In: in}); err != nil {
			t.Fatal(err)
		}
	}
	call("PutMetricAlarm", &cwapi.PutMetricAlarmInput{AlarmName: new("hot"), Namespace: new("n"), MetricName: new("m"), Statistic: new("Average"), Period: new(int32(60)),
		EvaluationPeriods: new(int32(1)), Threshold: new(1.0), ComparisonOperator: new("GreaterThanThreshold"), AlarmActions: []string{arn}})
	ring := func() {
		for _, state := range []string{"OK", "ALARM"} {
			call("SetAlarmState", &cwapi.SetAlarmStateInput{AlarmName: new("hot"), StateValue: &state, StateReason: new("a test")})
		}
	}
	if ring(); len(w.runs) != 0 {
		t.Fatal("the function permits nobody")
	}
	newest := func() string {
		out, err := w.step(cloud.Call{Scope: here, Service: cloudwatch.Name, Operation: "DescribeAlarmHistory", In: &cwapi.DescribeAlarmHistoryInput{HistoryItemType: new("Action")}})
		if err != nil || len(out.(*cwapi.DescribeAlarmHistoryOutput).AlarmHistoryItems) == 0 {
			t.Fatalf("%+v %v", out, err)
		}
		return *out.(*cwapi.DescribeAlarmHistoryOutput).AlarmHistoryItems[0].HistorySummary
	}
	if got := newest(); !strings.HasPrefix(got, "Failed to execute action "+arn+". Received error: ") || !strings.Contains(got, "no resource-based policy allows") {
		t.Errorf("history: %s", got)
	}
	do[shape.AddPermissionOutput](w, "AddPermission", &shape.AddPermissionInput{FunctionName: new("f"), StatementId: new("a"), Action: new("lambda:InvokeFunction"),
		Principal: new(alarmPrincipal), SourceArn: new("arn:aws:cloudwatch:us-east-1:123456789012:alarm:hot"), SourceAccount: new("123456789012")})
	if ring(); len(w.runs) != 1 {
		t.Fatalf("%d runs", len(w.runs))
	}
	if got := newest(); got != "Successfully executed action "+arn {
		t.Errorf("history: %s", got)
	}
	var event struct {
		Source string
		Data   struct {
			Name            string `json:"alarmName"`
			State, Previous struct{ Value string }
		} `json:"alarmData"`
	}
	if err := json.Unmarshal(w.runs[0].Payload, &event); err != nil || event.Source != "aws.cloudwatch" || event.Data.Name != "hot" || event.Data.State.Value != "ALARM" {
		t.Errorf("%s", w.runs[0].Payload)
	}
	do[shape.DeleteFunctionOutput](w, "DeleteFunction", &shape.DeleteFunctionInput{FunctionName: new("f")})
	if ring(); !strings.Contains(newest(), "Function not found: "+arn) {
		t.Errorf("history: %s", newest())
	}
}
