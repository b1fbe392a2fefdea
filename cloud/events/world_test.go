package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/events"
	snsapi "github.com/billow-cloud/billow/api/sns"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elb"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
	"github.com/billow-cloud/billow/cloud/ssm"
)

var (
	here  = cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	there = cloud.Scope{Account: "210987654321", Region: "us-east-1"}
	noon  = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) // a Friday
)

// ARNs of targets.
const (
	functionARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
	queueARN    = "arn:aws:sqs:us-east-1:123456789012:q"
	deadARN     = "arn:aws:sqs:us-east-1:123456789012:dead"
	topicARN    = "arn:aws:sns:us-east-1:123456789012:news"
	logARN      = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/events/all:*"
)

// got is what a target was given.
type got struct {
	ARN, Text  string
	At         time.Time
	By         string // who called, or the log's stream
	Attributes []sqs.Attribute
}

// world is a cloud in virtual time with targets that can fail.
type world struct {
	t      *testing.T
	cloud  *cloud.Cloud
	events *Service
	now    time.Time
	got    []got
	fail   map[string]error // by ARN
	wishes []cloud.Effect
	stored map[string]map[string]string
	names  []string // of ec2's instances that were made

	measured map[string]int // by rule and metric
}

// below lets facts that are functions run as if a lower service did them.
type below struct{ cloud.Base }

func (below) Name() string { return "below" }
func (below) Observe(tx *cloud.Tx, f cloud.Fact) {
	if f, ok := f.(func(*cloud.Tx)); ok {
		tx.In(here, func() { f(tx) })
	}
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, measured: map[string]int{}, now: noon, fail: map[string]error{}, stored: map[string]map[string]string{}}
	w.make()
	return w
}

func (w *world) make() {
	metrics, topics, parameters := cloudwatch.New(), sns.New(), ssm.New()
	instances := ec2.New(metrics, parameters, ec2.Options{AnyImage: true})
	take := func(tx *cloud.Tx, arn, text, by string, attributes []sqs.Attribute) error {
		if err := w.fail[arn]; err != nil {
			return err
		}
		w.got = append(w.got, got{arn, text, tx.Now(), by, attributes})
		return nil
	}
	w.events = New(Lower{
		Instances: instances, Topics: topics,
		Measure: func(_ *cloud.Tx, rule, metric string) { w.measured[rule+" "+metric]++ },
		Invoke: func(tx *cloud.Tx, arn string, payload []byte, principal, source string) error {
			return take(tx, arn, string(payload), principal+" "+source, nil)
		},
		Send: func(tx *cloud.Tx, arn, body string, attributes []sqs.Attribute, _ iam.Act) error {
			return take(tx, arn, body, "", attributes)
		},
		Write: func(tx *cloud.Tx, group, stream, line string) { _ = take(tx, group, line, stream, nil) },
		CheckRole: func(_ *cloud.Tx, arn string) error {
			if !strings.HasSuffix(arn, "role/r") {
				return invalid("no such role")
			}
			return nil
		},
		Allows: func(_ *cloud.Tx, policy, account, action, resource string, _ func(string) []string) bool {
			return strings.Contains(policy, account) && strings.Contains(policy, action) && strings.Contains(policy, resource)
		},
	})
	balancers := elbv2.New(instances, metrics, elbv2.Options{})
	classic := elb.New(balancers, instances, metrics)
	groups := autoscaling.New(instances, balancers, classic, metrics, topics)
	w.cloud = cloud.New(7, below{}, metrics, topics, parameters, instances, balancers, classic, groups, w.events)
}

// restart makes a new cloud of what was made durable.
func (w *world) restart() {
	w.make()
	for name, rows := range w.stored {
		for key, row := range rows {
			if err := w.cloud.Load(name, key, []byte(row)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func (w *world) step(in cloud.Input) cloud.Output {
	w.t.Helper()
	out := w.cloud.Step(w.now, in)
	var d *cloud.Defect
	if errors.As(out.Err, &d) {
		w.t.Fatalf("%v\n%s", d, d.Stack)
	}
	for _, c := range out.Changes {
		if w.stored[c.Table] == nil {
			w.stored[c.Table] = map[string]string{}
		}
		if delete(w.stored[c.Table], c.Key); c.Row != nil {
			b, err := json.Marshal(c.Row)
			if err != nil {
				w.t.Fatal(err)
			}
			w.stored[c.Table][c.Key] = string(b)
		}
	}
	w.wishes = append(w.wishes, out.Effects...)
	return out
}

// try makes a call in a scope.
func (w *world) try(scope cloud.Scope, in any) (any, error) {
	w.t.Helper()
	service, operation, _ := strings.Cut(strings.TrimPrefix(fmt.Sprintf("%T", in), "*"), ".")
	out := w.step(cloud.Call{Scope: scope, RequestID: "r", Service: service, Operation: strings.TrimSuffix(operation, "Input"), In: in})
	return out.Reply, out.Err
}

func call[Out any](w *world, in any) *Out {
	w.t.Helper()
	reply, err := w.try(here, in)
	if err != nil {
		w.t.Fatalf("%T: %v", in, err)
	}
	return reply.(*Out)
}

// refused checks the code of a call's error.
func (w *world) refused(code string, in any) {
	w.t.Helper()
	_, err := w.try(here, in)
	var e *api.Error
	if !errors.As(err, &e) || e.Code != code {
		w.t.Errorf("%T: %v, want %s", in, err, code)
	}
}

// until lets time pass, timer by timer.
func (w *world) until(at time.Time) {
	w.t.Helper()
	for range 100_000 {
		next := w.cloud.Wake()
		if next.IsZero() || next.After(at) {
			w.now = at
			return
		}
		w.now = next
		w.step(cloud.Tick{})
	}
	w.t.Fatal("time does not pass")
}

// take gives what targets were given since the last call.
func (w *world) take() []got {
	all := w.got
	w.got = nil
	return all
}

func (w *world) rule(name, pattern string, targets ...shape.Target) {
	w.t.Helper()
	call[shape.PutRuleOutput](w, &shape.PutRuleInput{Name: &name, EventPattern: &pattern})
	if len(targets) > 0 {
		call[shape.PutTargetsOutput](w, &shape.PutTargetsInput{Rule: &name, Targets: targets})
	}
}

func (w *world) topic(name string) {
	w.t.Helper()
	call[snsapi.CreateTopicOutput](w, &snsapi.CreateTopicInput{Name: &name})
}

// put puts one event of a source and detail on the default bus.
func (w *world) put(source, detail string) {
	w.t.Helper()
	out := call[shape.PutEventsOutput](w, &shape.PutEventsInput{Entries: []shape.PutEventsRequestEntry{{Source: &source, DetailType: new("t"), Detail: &detail}}})
	if *out.FailedEntryCount != 0 {
		w.t.Fatalf("%s: %s", *out.Entries[0].ErrorCode, *out.Entries[0].ErrorMessage)
	}
}

func target(id, arn string) shape.Target { return shape.Target{Id: &id, Arn: &arn} }

// same compares JSON; "*" in the wanted one is anything.
func same(t *testing.T, gotText, wantText string) {
	t.Helper()
	var g, want any
	if err := json.Unmarshal([]byte(gotText), &g); err != nil {
		t.Fatalf("%v in %s", err, gotText)
	}
	if err := json.Unmarshal([]byte(wantText), &want); err != nil {
		t.Fatalf("%v in %s", err, wantText)
	}
	if d := cmp.Diff(want, blank(g, want)); d != "" {
		t.Error(d)
	}
}

func blank(g, want any) any {
	if want == "*" {
		return "*"
	}
	if list, ok := g.([]any); ok {
		wanted, _ := want.([]any)
		for i, v := range list {
			if i < len(wanted) {
				list[i] = blank(v, wanted[i])
			}
		}
	}
	if object, ok := g.(map[string]any); ok {
		wanted, _ := want.(map[string]any)
		for k, v := range object {
			object[k] = blank(v, wanted[k])
		}
	}
	return g
}
