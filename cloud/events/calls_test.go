package events

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/events"
)

func TestRules(t *testing.T) {
	w := newWorld(t)
	put := call[shape.PutRuleOutput](w, &shape.PutRuleInput{Name: new("r"), EventPattern: new(`{"source":["a"]}`), Description: new("d"), RoleArn: new("arn:aws:iam::123456789012:role/r"),
		Tags: []shape.Tag{{Key: new("k"), Value: new("v")}}})
	if *put.RuleArn != "arn:aws:events:us-east-1:123456789012:rule/r" {
		t.Error(*put.RuleArn)
	}
	call[shape.PutRuleOutput](w, &shape.PutRuleInput{Name: new("r"), ScheduleExpression: new("rate(1 hour)"), State: new("DISABLED")}) // replaces all but tags
	r := call[shape.DescribeRuleOutput](w, &shape.DescribeRuleInput{Name: new("r")})
	if r.EventPattern != nil || r.Description != nil || r.RoleArn != nil || *r.State != "DISABLED" || *r.EventBusName != "default" || *r.CreatedBy != here.Account {
		t.Errorf("%+v", r)
	}
	tags := call[shape.ListTagsForResourceOutput](w, &shape.ListTagsForResourceInput{ResourceARN: put.RuleArn})
	if len(tags.Tags) != 1 || *tags.Tags[0].Value != "v" {
		t.Errorf("%+v", tags)
	}
	if !w.cloud.Wake().IsZero() {
		t.Error("a disabled rule has a timer")
	}
	for code, inputs := range map[string][]any{
		"ValidationException": {
			&shape.PutRuleInput{Name: new("x")}, &shape.PutRuleInput{Name: new("x"), ScheduleExpression: new("rate(1 minutes)")},
			&shape.PutRuleInput{Name: new("x"), EventPattern: new(`{"a":[1]}`), RoleArn: new("arn:aws:iam::123456789012:role/other")},
		},
		"InvalidEventPatternException": {&shape.PutRuleInput{Name: new("x"), EventPattern: new(`{"a":1}`)}, &shape.TestEventPatternInput{EventPattern: new(`x`), Event: new(`{}`)}},
		"ResourceNotFoundException": {
			&shape.PutRuleInput{Name: new("x"), EventPattern: new(`{"a":[1]}`), EventBusName: new("nobody")}, &shape.DescribeRuleInput{Name: new("x")}, &shape.EnableRuleInput{Name: new("x")},
			&shape.DisableRuleInput{Name: new("x")}, &shape.ListTargetsByRuleInput{Rule: new("x")}, &shape.PutTargetsInput{Rule: new("x"), Targets: []shape.Target{target("1", queueARN)}},
			&shape.RemoveTargetsInput{Rule: new("x"), Ids: []string{"1"}}, &shape.ListRulesInput{EventBusName: new("nobody")}, &shape.DescribeEventBusInput{Name: new("nobody")},
			&shape.ListTagsForResourceInput{ResourceARN: new("arn:aws:events:us-east-1:123456789012:rule/x")}, &shape.TagResourceInput{ResourceARN: new("x")},
			&shape.PutRuleInput{Name: new("x"), EventPattern: new(`{"a":[1]}`), EventBusName: new(busARN(there, "default"))},
		},
	} {
		for _, in := range inputs {
			w.refused(code, in)
		}
	}
	call[shape.DeleteRuleOutput](w, &shape.DeleteRuleInput{Name: new("x")})
	for i := range maxRules - 1 {
		w.rule(fmt.Sprintf("n%03d", i), `{"source":["a"]}`)
	}
	w.refused("LimitExceededException", &shape.PutRuleInput{Name: new("one-more"), EventPattern: new(`{"source":["a"]}`)})
	names := 0
	var token *string
	for range 10 {
		out := call[shape.ListRulesOutput](w, &shape.ListRulesInput{NamePrefix: new("n"), Limit: new(int32(90)), NextToken: token})
		names += len(out.Rules)
		if token = out.NextToken; token == nil {
			break
		}
	}
	if names != maxRules-1 {
		t.Errorf("%d rules are listed", names)
	}
	w.refused("ValidationException", &shape.ListRulesInput{NextToken: new("?")})
}

func TestTargets(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["a"]}`, target("1", queueARN), target("2", topicARN))
	w.rule("s", `{"source":["a"]}`, target("1", queueARN), target("2", queueARN))
	if out := call[shape.ListRuleNamesByTargetOutput](w, &shape.ListRuleNamesByTargetInput{TargetArn: new(queueARN)}); fmt.Sprint(out.RuleNames) != "[r s]" {
		t.Error(out.RuleNames)
	}
	with := func(change func(*shape.Target)) *shape.PutTargetsInput {
		x := target("9", queueARN)
		change(&x)
		return &shape.PutTargetsInput{Rule: new("r"), Targets: []shape.Target{x}}
	}
	for _, in := range []*shape.PutTargetsInput{
		with(func(x *shape.Target) { x.Arn = new("arn:aws:kinesis:us-east-1:123456789012:stream/s") }),
		with(func(x *shape.Target) { x.Arn = new("arn:aws:events:us-east-1:123456789012:target/create-snapshot") }),
		with(func(x *shape.Target) { x.Arn = new("q") }),
		with(func(x *shape.Target) { x.Input = new("{") }),
		with(func(x *shape.Target) { x.Input, x.InputPath = new("{}"), new("$.detail") }),
		with(func(x *shape.Target) { x.InputPath = new("detail") }),
		with(func(x *shape.Target) { x.RoleArn = new("arn:aws:iam::123456789012:role/other") }),
		with(func(x *shape.Target) { x.InputTransformer = &shape.InputTransformer{InputTemplate: new("<a>")} }),
		with(func(x *shape.Target) {
			x.InputTransformer = &shape.InputTransformer{InputTemplate: new("<a>"), InputPathsMap: map[string]string{"a": "x"}}
		}),
		with(func(x *shape.Target) {
			x.InputTransformer = &shape.InputTransformer{InputTemplate: new("<a>"), InputPathsMap: map[string]string{"a": "$", "aws.b": "$"}}
		}),
		with(func(x *shape.Target) { x.DeadLetterConfig = &shape.DeadLetterConfig{Arn: new(topicARN)} }),
		with(func(x *shape.Target) { x.EcsParameters = &shape.EcsParameters{} }),
		with(func(x *shape.Target) { x.SqsParameters = &shape.SqsParameters{MessageGroupId: new("g")} }),
		with(func(x *shape.Target) { x.Arn = new(queueARN + ".fifo") }),
		{Rule: new("r"), Targets: []shape.Target{target("9", queueARN), target("9", queueARN)}},
	} {
		w.refused("ValidationException", in)
	}
	var many []shape.Target
	for i := range 4 {
		many = append(many, target(fmt.Sprint("m", i), queueARN))
	}
	w.refused("LimitExceededException", &shape.PutTargetsInput{Rule: new("r"), Targets: many})
	full := target("2", functionARN)
	full.InputTransformer = &shape.InputTransformer{InputTemplate: new(`"<a>"`), InputPathsMap: map[string]string{"a": "$.source"}}
	full.RetryPolicy = &shape.RetryPolicy{MaximumEventAgeInSeconds: new(int32(60)), MaximumRetryAttempts: new(int32(0))}
	full.DeadLetterConfig = &shape.DeadLetterConfig{Arn: new(deadARN)}
	call[shape.PutTargetsOutput](w, &shape.PutTargetsInput{Rule: new("r"), Targets: append(many[:3], full)}) // replaces 2
	list := call[shape.ListTargetsByRuleOutput](w, &shape.ListTargetsByRuleInput{Rule: new("r")})
	if len(list.Targets) != 5 {
		t.Fatalf("%+v", list)
	}
	x := list.Targets[1]
	if *x.Arn != functionARN || x.InputTransformer.InputPathsMap["a"] != "$.source" || *x.RetryPolicy.MaximumRetryAttempts != 0 || *x.DeadLetterConfig.Arn != deadARN {
		t.Errorf("%+v", x)
	}
	w.refused("ValidationException", &shape.DeleteRuleInput{Name: new("r")})
	out := call[shape.RemoveTargetsOutput](w, &shape.RemoveTargetsInput{Rule: new("r"), Ids: []string{"1", "2", "m0", "m1", "m2", "none"}})
	if *out.FailedEntryCount != 1 || *out.FailedEntries[0].TargetId != "none" || *out.FailedEntries[0].ErrorCode != "ResourceNotFoundException" {
		t.Errorf("%+v", out)
	}
	call[shape.DeleteRuleOutput](w, &shape.DeleteRuleInput{Name: new("r")})
}

func TestPutEventsEntries(t *testing.T) {
	w := newWorld(t)
	w.rule("r", `{"source":["a"]}`, target("1", queueARN))
	entry := func(source, detailType, detail *string) shape.PutEventsRequestEntry {
		return shape.PutEventsRequestEntry{Source: source, DetailType: detailType, Detail: detail}
	}
	at := time.Date(2020, 1, 2, 3, 4, 5, 600, time.UTC)
	good := entry(new("a"), new("t"), new(` { "n" : 12345678901234567890 } `))
	good.Time, good.Resources = &at, []string{"x"}
	elsewhere := good
	elsewhere.EventBusName = new("nobody")
	out := call[shape.PutEventsOutput](w, &shape.PutEventsInput{Entries: []shape.PutEventsRequestEntry{
		entry(nil, new("t"), new("{}")), good, entry(new("a"), nil, new("{}")), entry(new("a"), new("t"), nil), entry(new("aws.ec2"), new("t"), new("{}")),
		entry(new("a"), new("t"), new("[1]")), entry(new("a"), new("t"), new("{")), entry(new("a"), new(strings.Repeat("t", 129)), new("{}")), elsewhere,
		entry(new("a"), new("t"), new(`{"a":`+strings.Repeat("[", 1100)+strings.Repeat("]", 1100)+"}")),
	}})
	var codes []string
	for _, e := range out.Entries {
		codes = append(codes, api.Value(e.ErrorCode))
		if (e.EventId == nil) == (e.ErrorCode == nil) {
			t.Errorf("%+v", e)
		}
	}
	if got, want := fmt.Sprintf("%q", codes), `["InvalidArgument" "" "InvalidArgument" "InvalidArgument" "NotAuthorizedForSourceException" "MalformedDetail" "MalformedDetail" "InvalidArgument" "" "MalformedDetail"]`; got != want || *out.FailedEntryCount != 8 {
		t.Errorf("%s\nwant %s", got, want)
	}
	if all := w.take(); len(all) != 1 || !strings.Contains(all[0].Text, `"time":"2020-01-02T03:04:05Z","region":"us-east-1","resources":["x"],"detail":{"n":12345678901234567890}}`) {
		t.Errorf("%v", all)
	}
	big := entry(new("a"), new("t"), new(`{"a":"`+strings.Repeat("x", 100_000)+`"}`))
	w.refused("ValidationException", &shape.PutEventsInput{Entries: []shape.PutEventsRequestEntry{big, big, big}})
	if call[shape.PutEventsOutput](w, &shape.PutEventsInput{Entries: []shape.PutEventsRequestEntry{big, big}}); len(w.take()) != 2 {
		t.Error("200 kB are not too much")
	}
}

func TestBuses(t *testing.T) {
	w := newWorld(t)
	out := call[shape.CreateEventBusOutput](w, &shape.CreateEventBusInput{Name: new("mine"), Description: new("d"), Tags: []shape.Tag{{Key: new("k"), Value: new("v")}}})
	call[shape.CreateEventBusOutput](w, &shape.CreateEventBusInput{Name: new("apps")})
	list := call[shape.ListEventBusesOutput](w, &shape.ListEventBusesInput{})
	var names []string
	for _, b := range list.EventBuses {
		names = append(names, *b.Name)
	}
	if fmt.Sprint(names) != "[apps default mine]" {
		t.Error(names)
	}
	w.refused("ResourceAlreadyExistsException", &shape.CreateEventBusInput{Name: new("mine")})
	w.refused("ResourceAlreadyExistsException", &shape.CreateEventBusInput{Name: new("default")})
	w.refused("ResourceNotFoundException", &shape.CreateEventBusInput{Name: new("aws.partner/x/y"), EventSourceName: new("aws.partner/x/y")})
	w.refused("ValidationException", &shape.CreateEventBusInput{Name: new("a/b")})
	w.refused("ValidationException", &shape.PutRuleInput{Name: new("s"), EventBusName: new("mine"), ScheduleExpression: new("rate(1 hour)")})
	call[shape.PutRuleOutput](w, &shape.PutRuleInput{Name: new("r"), EventBusName: out.EventBusArn, EventPattern: new(`{"a":[1]}`)})
	w.refused("ValidationException", &shape.DeleteEventBusInput{Name: new("mine")})
	w.refused("ValidationException", &shape.DeleteEventBusInput{Name: new("default")})
	call[shape.TagResourceOutput](w, &shape.TagResourceInput{ResourceARN: new("arn:aws:events:us-east-1:123456789012:rule/mine/r"), Tags: []shape.Tag{{Key: new("a"), Value: new("b")}, {Key: new("c"), Value: new("d")}}})
	call[shape.UntagResourceOutput](w, &shape.UntagResourceInput{ResourceARN: new("arn:aws:events:us-east-1:123456789012:rule/mine/r"), TagKeys: []string{"a", "x"}})
	if tags := call[shape.ListTagsForResourceOutput](w, &shape.ListTagsForResourceInput{ResourceARN: new("arn:aws:events:us-east-1:123456789012:rule/mine/r")}); len(tags.Tags) != 1 || *tags.Tags[0].Key != "c" {
		t.Errorf("%+v", tags)
	}
	call[shape.DeleteRuleOutput](w, &shape.DeleteRuleInput{Name: new("r"), EventBusName: new("mine")})
	call[shape.DeleteEventBusOutput](w, &shape.DeleteEventBusInput{Name: new("mine")})
	call[shape.DeleteEventBusOutput](w, &shape.DeleteEventBusInput{Name: new("mine")})

	permit := &shape.PutPermissionInput{Action: new("events:PutEvents"), Principal: new("*"), StatementId: new("s"),
		Condition: &shape.Condition{Type: new("StringEquals"), Key: new("aws:PrincipalOrgID"), Value: new("o-1")}}
	call[shape.PutPermissionOutput](w, permit)
	call[shape.PutPermissionOutput](w, permit) // the same statement
	d := call[shape.DescribeEventBusOutput](w, &shape.DescribeEventBusInput{})
	same(t, *d.Policy, `{"Version":"2012-10-17","Statement":[{"Sid":"s","Effect":"Allow","Principal":"*","Action":"events:PutEvents",
		"Resource":"arn:aws:events:us-east-1:123456789012:event-bus/default","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}]}`)
	w.refused("ResourceNotFoundException", &shape.RemovePermissionInput{StatementId: new("other")})
	w.refused("ValidationException", &shape.PutPermissionInput{Action: new("events:PutEvents"), Principal: new("*")})
	w.refused("ValidationException", &shape.PutPermissionInput{Policy: new(`{"Statement":[]}`)})
	w.refused("PolicyLengthExceededException", &shape.PutPermissionInput{Policy: new(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"` + strings.Repeat("x", 10_240) + `"}}`)})
	call[shape.RemovePermissionOutput](w, &shape.RemovePermissionInput{StatementId: new("s")})
	call[shape.PutPermissionOutput](w, &shape.PutPermissionInput{Policy: new(`{"Version":"2012-10-17","Statement":{"Sid":"x","Effect":"Allow","Principal":"*","Action":"events:*","Resource":"*"}}`)})
	call[shape.RemovePermissionOutput](w, &shape.RemovePermissionInput{RemoveAllPermissions: new(true)})
	if d := call[shape.DescribeEventBusOutput](w, &shape.DescribeEventBusInput{}); d.Policy != nil {
		t.Error(*d.Policy)
	}
}

func TestTestEventPattern(t *testing.T) {
	w := newWorld(t)
	const event = `{"id":"1","account":"1","source":"a","time":"t","region":"r","resources":[],"detail-type":"t","detail":{"n":5}}`
	for pattern, want := range map[string]bool{`{"detail":{"n":[{"numeric":[">",4]}]}}`: true, `{"detail":{"n":["5"]}}`: false} {
		if got := call[shape.TestEventPatternOutput](w, &shape.TestEventPatternInput{EventPattern: &pattern, Event: new(event)}); *got.Result != want {
			t.Errorf("%s: %v", pattern, *got.Result)
		}
	}
	for _, event := range []string{`{`, `[]`, `{"id":"1"}`} {
		w.refused("ValidationException", &shape.TestEventPatternInput{EventPattern: new(`{"a":[1]}`), Event: &event})
	}
}
