package lambda

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
)

func (w *world) event(function, payload string) {
	w.t.Helper()
	out := do[Pending](w, "Invoke", &shape.InvokeInput{FunctionName: &function, InvocationType: new("Event"), Payload: []byte(payload)})
	if out.RequestID != "" || *out.Output.StatusCode != 202 {
		w.t.Fatalf("%+v", out)
	}
}

func (w *world) queue() (n int) {
	for range w.lambda.invocations.Everywhere() {
		n++
	}
	return n
}

func TestSynchronousInvocation(t *testing.T) {
	w := newWorld(t)
	w.made("f")
	out := do[Pending](w, "Invoke", &shape.InvokeInput{FunctionName: new("f"), LogType: new("Tail"), Payload: []byte(`{"a":1}`)})
	if len(w.runs) != 1 || out.RequestID != w.runs[0].RequestID || !out.Tail || *out.Output.StatusCode != 200 || *out.Output.ExecutedVersion != "$LATEST" {
		t.Fatalf("%+v %+v", out, w.runs)
	}
	if r := w.runs[0]; !r.Sync || string(r.Payload) != `{"a":1}` || r.Function.LogGroup != "/aws/lambda/f" || r.Function.Timeout != 3 || r.Function.Reserved != -1 {
		t.Errorf("%+v", r)
	}
	for k := range w.stored {
		if k[0] == Name+".invocations" {
			t.Error("a synchronous invocation is no row")
		}
	}
	for i, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		if v := w.runs[0].Function.Environment[i]; v.Name != name || v.Value == "" {
			t.Errorf("%+v", v)
		}
	}
	w.ended(Unhandled, "")
	for _, name := range []string{"Invocations", "Errors", "Duration", "ConcurrentExecutions"} {
		if !w.measured(name, "f") {
			t.Errorf("no %s", name)
		}
	}
	w.refused("Invoke", &shape.InvokeInput{FunctionName: new("f"), Payload: []byte("{")}, "InvalidRequestContentException", "Could not parse")
	w.refused("Invoke", &shape.InvokeInput{FunctionName: new("f"), Payload: make([]byte, 6<<20+1)}, "RequestEntityTooLargeException", "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)")
	w.refused("Invoke", &shape.InvokeInput{FunctionName: new("f"), InvocationType: new("Event"), Payload: make([]byte, 256<<10+1)}, "RequestEntityTooLargeException", "limit 262144 bytes")
	if out := do[Pending](w, "Invoke", &shape.InvokeInput{FunctionName: new("f"), InvocationType: new("DryRun")}); *out.Output.StatusCode != 204 || len(w.runs) != 0 {
		t.Errorf("%+v", out)
	}
	// a fact about what nobody knows is nothing
	w.step(cloud.Observed{Facts: []cloud.Fact{Ran{Scope: here, RequestID: "?", Function: "gone", Sync: true}, Ran{Scope: here, RequestID: "?", Function: "gone"}}})
	if w.queue() != 0 {
		t.Error("something came of it")
	}
}

// TestRetries: two more attempts, after one and after two minutes (EC-EV-04), then the dead-letter topic gets the payload.
func TestRetries(t *testing.T) {
	w := newWorld(t)
	topic := w.subscribed("dead")
	w.made("f")
	do[shape.UpdateFunctionConfigurationOutput](w, "UpdateFunctionConfiguration", &shape.UpdateFunctionConfigurationInput{FunctionName: new("f"), DeadLetterConfig: &shape.DeadLetterConfig{TargetArn: &topic}})
	w.pass(readyAfter)
	w.event("f", `{"n":1}`)
	id := w.runs[0].RequestID
	for i, pause := range []time.Duration{time.Minute, 2 * time.Minute} {
		r := w.ended(Unhandled, `{"errorMessage":"no"}`)
		if r.RequestID != id || int(r.Attempt) != i+1 || r.Sync {
			t.Fatalf("%+v", r)
		}
		if w.pass(pause - time.Millisecond); len(w.runs) != 0 {
			t.Fatalf("attempt %d comes too early", i+2)
		}
		if w.pass(time.Millisecond); len(w.runs) != 1 {
			t.Fatalf("attempt %d does not come", i+2)
		}
	}
	w.ended(Unhandled, "")
	if w.pass(7 * time.Hour); len(w.runs) != 0 || w.queue() != 0 {
		t.Errorf("%d runs, %d queued", len(w.runs), w.queue())
	}
	if len(w.sent) == 0 || w.sent[0] != `{"n":1}` {
		t.Errorf("dead letters: %q", w.sent)
	}
	if w.lambda.queuedBytes() != 0 {
		t.Errorf("%d bytes queued", w.lambda.queuedBytes())
	}
}

func TestDestinations(t *testing.T) {
	w := newWorld(t)
	w.made("f")
	next := w.made("next")
	topic := w.subscribed("failed")
	const bus = "arn:aws:events:us-east-1:123456789012:event-bus/b"
	put := func(success, failure string) {
		do[shape.PutFunctionEventInvokeConfigOutput](w, "PutFunctionEventInvokeConfig", &shape.PutFunctionEventInvokeConfigInput{FunctionName: new("f"), MaximumRetryAttempts: new(int32(0)),
			DestinationConfig: &shape.DestinationConfig{OnSuccess: &shape.OnSuccess{Destination: &success}, OnFailure: &shape.OnFailure{Destination: &failure}}})
	}
	put(next, topic)
	w.event("f", `{"n":1}`)
	w.ended("", `{"ok":true}`)
	if len(w.runs) != 1 || w.runs[0].Function.Name != "next" {
		t.Fatalf("%+v", w.runs)
	}
	var r record
	if err := json.Unmarshal(w.runs[0].Payload, &r); err != nil || r.Request.Condition != "Success" || string(r.Payload) != `{"n":1}` || string(r.Answer) != `{"ok":true}` ||
		r.Request.FunctionARN != "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST" || r.Response.Status != 200 || r.Response.Version != "$LATEST" {
		t.Errorf("%s", w.runs[0].Payload)
	}
	w.ended("", "null")
	w.event("f", `{"n":2}`)
	w.ended(Handled, `{"errorMessage":"x"}`)
	if len(w.sent) != 1 || json.Unmarshal([]byte(w.sent[0]), &r) != nil || r.Request.Condition != "RetriesExhausted" || r.Request.Count != 1 || r.Response.Error != "Handled" {
		t.Errorf("%q", w.sent)
	}
	put(bus, bus)
	w.event("f", `{"n":3}`)
	w.ended(Handled, "")
	if len(w.told) != 1 || w.told[0].Bus != bus || w.told[0].DetailType != "Lambda Function Invocation Result - Failure" {
		t.Errorf("%+v", w.told)
	}
	w.refused("PutFunctionEventInvokeConfig", &shape.PutFunctionEventInvokeConfigInput{FunctionName: new("f"), DestinationConfig: &shape.DestinationConfig{OnFailure: &shape.OnFailure{Destination: new(functionARN(here, "f", ""))}}}, "InvalidParameterValueException", "itself")
	if got := do[shape.GetFunctionEventInvokeConfigOutput](w, "GetFunctionEventInvokeConfig", &shape.GetFunctionEventInvokeConfigInput{FunctionName: new("f")}); *got.MaximumRetryAttempts != 0 || got.MaximumEventAgeInSeconds != nil {
		t.Errorf("%+v", got)
	}
	do[shape.DeleteFunctionEventInvokeConfigOutput](w, "DeleteFunctionEventInvokeConfig", &shape.DeleteFunctionEventInvokeConfigInput{FunctionName: new("f")})
	w.refused("GetFunctionEventInvokeConfig", &shape.GetFunctionEventInvokeConfigInput{FunctionName: new("f")}, "ResourceNotFoundException", "doesn't have an EventInvokeConfig")
}

// TestMaximumAge: what waits too long is given up, whether after an error or because there was never room.
func TestMaximumAge(t *testing.T) {
	w := newWorld(t)
	topic := w.subscribed("old")
	w.made("f")
	do[shape.PutFunctionEventInvokeConfigOutput](w, "PutFunctionEventInvokeConfig", &shape.PutFunctionEventInvokeConfigInput{FunctionName: new("f"), MaximumEventAgeInSeconds: new(int32(90)),
		DestinationConfig: &shape.DestinationConfig{OnFailure: &shape.OnFailure{Destination: &topic}}})
	w.event("f", `{"n":1}`)
	w.ended(Unhandled, "")
	w.pass(time.Minute)
	w.ended(Unhandled, "") // the third attempt would be after 3 minutes
	if len(w.sent) != 1 || !strings.Contains(w.sent[0], `"condition":"EventAgeExceeded","approximateInvokeCount":2`) {
		t.Fatalf("%q", w.sent)
	}
	do[shape.PutFunctionConcurrencyOutput](w, "PutFunctionConcurrency", &shape.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: new(int32(0))})
	w.event("f", `{"n":2}`)
	w.pass(89 * time.Second)
	if len(w.sent) != 1 || w.queue() != 1 {
		t.Errorf("too early: %q", w.sent)
	}
	w.pass(2 * time.Second)
	if len(w.sent) != 2 || w.queue() != 0 || len(w.runs) != 0 || strings.Contains(w.sent[1], "responseContext") {
		t.Errorf("%q", w.sent)
	}
	if !w.measured("Throttles", "f") {
		t.Error("no Throttles")
	}
}

func TestConcurrency(t *testing.T) {
	w := newWorld(t)
	w.made("f")
	w.made("g")
	do[shape.PutFunctionConcurrencyOutput](w, "PutFunctionConcurrency", &shape.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: new(int32(2))})
	w.refused("PutFunctionConcurrency", &shape.PutFunctionConcurrencyInput{FunctionName: new("g"), ReservedConcurrentExecutions: new(int32(899))}, "InvalidParameterValueException", "below its minimum value of [100]")
	do[Pending](w, "Invoke", &shape.InvokeInput{FunctionName: new("f")})
	w.event("f", "{}")
	w.refused("Invoke", &shape.InvokeInput{FunctionName: new("f")}, "TooManyRequestsException", "Rate Exceeded")
	do[Pending](w, "Invoke", &shape.InvokeInput{FunctionName: new("g")})
	for range 3 {
		w.event("f", "{}")
	}
	if len(w.runs) != 3 {
		t.Fatalf("%d run", len(w.runs))
	}
	for i := range 5 { // as one ends the next begins, at once
		w.ended("", "{}")
		under := 0
		for _, r := range w.runs {
			if r.Function.Name == "f" {
				under++
			}
		}
		if want := min(2, 4-i); i < 3 && under != want && under > 2 {
			t.Errorf("%d of f run after %d have ended", under, i+1)
		}
		w.pass(10 * time.Second)
	}
	for range 5 {
		if len(w.runs) > 0 {
			w.ended("", "{}")
		}
	}
	if len(w.runs) != 0 || w.queue() != 0 || len(w.lambda.flights.count) != 0 {
		t.Errorf("%d runs, %d queued, %v", len(w.runs), w.queue(), w.lambda.flights.count)
	}
	got := do[shape.GetAccountSettingsOutput](w, "GetAccountSettings", &shape.GetAccountSettingsInput{})
	if *got.AccountLimit.UnreservedConcurrentExecutions != 998 || *got.AccountUsage.FunctionCount != 2 {
		t.Errorf("%+v", got)
	}
	do[shape.PutFunctionConcurrencyOutput](w, "PutFunctionConcurrency", &shape.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: new(int32(0))})
	w.refused("Invoke", &shape.InvokeInput{FunctionName: new("f")}, "TooManyRequestsException", "")
	do[shape.DeleteFunctionConcurrencyOutput](w, "DeleteFunctionConcurrency", &shape.DeleteFunctionConcurrencyInput{FunctionName: new("f")})
	do[Pending](w, "Invoke", &shape.InvokeInput{FunctionName: new("f")})
}

// TestALostRunIsForgotten: a runner that never answers takes no place for ever.
func TestALostRunIsForgotten(t *testing.T) {
	w := newWorld(t)
	w.made("f")
	do[shape.PutFunctionConcurrencyOutput](w, "PutFunctionConcurrency", &shape.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: new(int32(1))})
	do[Pending](w, "Invoke", &shape.InvokeInput{FunctionName: new("f")})
	w.pass(lostAfter)
	w.refused("Invoke", &shape.InvokeInput{FunctionName: new("f")}, "TooManyRequestsException", "")
	w.pass(10 * time.Second)
	do[Pending](w, "Invoke", &shape.InvokeInput{FunctionName: new("f")})
}

// TestRestart: what was queued or running is run again, and nothing twice for one end.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	w.made("f")
	w.event("f", `{"n":1}`)
	w.event("f", `{"n":2}`)
	w.ended(Unhandled, "") // waits for its second attempt
	w.runs = nil
	w.restart()
	if len(w.runs) != 1 || string(w.runs[0].Payload) != `{"n":2}` || w.runs[0].Attempt != 1 {
		t.Fatalf("%+v", w.runs)
	}
	again := w.runs[0]
	w.ended("", "{}")
	w.runs = append(w.runs, again)
	w.ended("", "{}") // the same end once more
	w.pass(time.Minute)
	if len(w.runs) != 1 || string(w.runs[0].Payload) != `{"n":1}` || w.runs[0].Attempt != 2 {
		t.Fatalf("%+v", w.runs)
	}
	stale := w.runs[0]
	stale.Attempt = 1
	w.runs = []Run{stale, w.runs[0]}
	w.ended(Unhandled, "") // an old attempt's end changes nothing
	w.ended("", "{}")
	if w.queue() != 0 || w.lambda.queuedBytes() != 0 {
		t.Errorf("%d queued, %d bytes", w.queue(), w.lambda.queuedBytes())
	}
}

// TestTheQueueIsBounded: it takes what it has memory for.
func TestTheQueueIsBounded(t *testing.T) {
	w := newWorld(t)
	w.made("f")
	do[shape.PutFunctionConcurrencyOutput](w, "PutFunctionConcurrency", &shape.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: new(int32(0))})
	w.lambda.queued = maxQueued - 1000 // as if others had filled it
	w.event("f", "{}")
	w.refused("Invoke", &shape.InvokeInput{FunctionName: new("f"), InvocationType: new("Event")}, "TooManyRequestsException", "")
}

// TestPermissions: who may invoke, because of what (EC-IA-03).
func TestPermissions(t *testing.T) {
	w := newWorld(t)
	arn := w.made("f")
	invoke := func(principal, source string) error {
		var err error
		w.step(cloud.Observed{Facts: []cloud.Fact{func(tx *cloud.Tx) { err = w.lambda.InvokeAsync(tx, arn, []byte("{}"), principal, source) }}})
		return err
	}
	const rule = "arn:aws:events:us-east-1:123456789012:rule/r"
	if err := invoke("events.amazonaws.com", rule); err == nil || !strings.Contains(err.Error(), "AccessDeniedException") {
		t.Errorf("without a policy: %v", err)
	}
	add := func(id, principal, source, account string) string {
		in := &shape.AddPermissionInput{FunctionName: new("f"), StatementId: &id, Action: new("lambda:InvokeFunction"), Principal: &principal}
		if source != "" {
			in.SourceArn = &source
		}
		if account != "" {
			in.SourceAccount = &account
		}
		return *do[shape.AddPermissionOutput](w, "AddPermission", in).Statement
	}
	const want = `{"Sid":"rules","Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"lambda:InvokeFunction",` +
		`"Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:events:us-east-1:123456789012:rule/r*"}}}`
	if got := add("rules", "events.amazonaws.com", rule+"*", ""); got != want {
		t.Errorf("%s", got)
	}
	add("topics", "sns.amazonaws.com", "", "210987654321")
	for _, c := range []struct {
		principal, source string
		ok                bool
	}{
		{"events.amazonaws.com", rule, true}, {"events.amazonaws.com", rule + "2", true},
		{"events.amazonaws.com", "arn:aws:events:us-east-1:123456789012:rule/x", false},
		{"events.amazonaws.com", "arn:aws:events:eu-west-1:123456789012:rule/r", false},
		{"s3.amazonaws.com", rule, false}, {"sns.amazonaws.com", "arn:aws:sns:us-east-1:123456789012:t", false},
	} {
		if err := invoke(c.principal, c.source); (err == nil) != c.ok {
			t.Errorf("%s %s: %v", c.principal, c.source, err)
		}
	}
	w.refused("AddPermission", &shape.AddPermissionInput{FunctionName: new("f"), StatementId: new("rules"), Action: new("*"), Principal: new("*")}, "ResourceConflictException", "The statement id (rules) provided already exists")
	w.refused("AddPermission", &shape.AddPermissionInput{FunctionName: new("f"), StatementId: new("x"), Action: new("*"), Principal: new("me")}, "InvalidParameterValueException", "principal was invalid")
	for i := range 100 {
		id := strings.Repeat("i", 40) + decimal(int64(i))
		if _, err := w.try("AddPermission", &shape.AddPermissionInput{FunctionName: new("f"), StatementId: &id, Action: new("lambda:InvokeFunction"), Principal: new("s3.amazonaws.com"), SourceArn: new("arn:aws:s3:::" + strings.Repeat("b", 60))}); err != nil {
			if !strings.Contains(err.Error(), "PolicyLengthExceededException") {
				t.Error(err)
			}
			break
		} else if i == 99 {
			t.Error("a policy has no end")
		}
	}
	policy := do[shape.GetPolicyOutput](w, "GetPolicy", &shape.GetPolicyInput{FunctionName: new("f")})
	if !json.Valid([]byte(*policy.Policy)) || !strings.HasPrefix(*policy.Policy, `{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"rules"`) {
		t.Errorf("%.200s", *policy.Policy)
	}
	w.refused("RemovePermission", &shape.RemovePermissionInput{FunctionName: new("f"), StatementId: new("none")}, "ResourceNotFoundException", "Statement none is not found")
	do[shape.RemovePermissionOutput](w, "RemovePermission", &shape.RemovePermissionInput{FunctionName: new("f"), StatementId: new("rules")})
	if invoke("events.amazonaws.com", rule) == nil {
		t.Error("the permission is gone")
	}
	w.refused("GetPolicy", &shape.GetPolicyInput{FunctionName: new("f"), Qualifier: new("$LATEST")}, "ResourceNotFoundException", "The resource you requested does not exist.")
}
