package lambda

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	iamapi "github.com/billow-cloud/billow/api/iam"
	shape "github.com/billow-cloud/billow/api/lambda"
	snsapi "github.com/billow-cloud/billow/api/sns"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
)

var (
	here = cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
)

// world is a cloud whose functions are run by the test.
type world struct {
	t       *testing.T
	cloud   *cloud.Cloud
	lambda  *Service
	metrics *cloudwatch.Service
	now     time.Time
	runs    []Run
	dropped []string
	have    []string
	sent    []string // bodies that topics sent to their subscribers
	told    []Told
	stored  map[[2]string][]byte
	calls   int
}

// above hears the events of the services below it, and runs facts that are functions.
type above struct {
	cloud.Base
	w *world
}

func (above) Name() string { return "above" }
func (a above) Notice(_ *cloud.Tx, e cloud.Event) {
	if e, ok := e.(Told); ok {
		a.w.told = append(a.w.told, e)
	}
}
func (above) Observe(tx *cloud.Tx, f cloud.Fact) {
	if f, ok := f.(func(*cloud.Tx)); ok {
		tx.In(here, func() { f(tx) })
	}
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: noon, stored: map[[2]string][]byte{}}
	w.build()
	w.role("runner", "lambda.amazonaws.com")
	return w
}

// role makes a role that trusts a service.
func (w *world) role(name, service string) {
	w.t.Helper()
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`
	if _, err := w.step(cloud.Call{Scope: here, RequestID: "r", Service: iam.Name, Operation: "CreateRole", In: &iamapi.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) build() {
	identities, metrics, queues, topics := iam.New(), cloudwatch.New(), sqs.New(), sns.New()
	w.lambda, w.metrics = New(identities, metrics, queues, topics), metrics
	w.cloud = cloud.New(1, identities, metrics, queues, topics, w.lambda, above{w: w})
}

// restart loads what was stored into a new cloud.
func (w *world) restart() {
	w.build()
	for k, b := range w.stored {
		if err := w.cloud.Load(k[0], k[1], b); err != nil {
			w.t.Fatal(err)
		}
	}
	w.step(cloud.Tick{}) // one tick is what the daemon makes when it has loaded
}

func (w *world) step(in cloud.Input) (any, error) {
	out := w.cloud.Step(w.now, in)
	var defect *cloud.Defect
	if errors.As(out.Err, &defect) {
		w.t.Fatalf("%v\n%s", defect.Value, defect.Stack)
	}
	for _, ch := range out.Changes {
		k := [2]string{ch.Table, ch.Key}
		if ch.Row == nil {
			delete(w.stored, k)
			continue
		}
		b, err := json.Marshal(ch.Row)
		if err != nil {
			w.t.Fatal(err)
		}
		w.stored[k] = b
	}
	for _, e := range out.Effects {
		switch e := e.(type) {
		case Run:
			w.runs = append(w.runs, e)
		case DropCode:
			w.dropped = append(w.dropped, e.CodeHash)
		case HaveCode:
			w.have = append(w.have, e.CodeHash)
		case sns.DeliverHTTP:
			w.sent = append(w.sent, e.Body)
		}
	}
	return out.Reply, out.Err
}

func (w *world) try(operation string, in any) (any, error) {
	w.calls++
	return w.step(cloud.Call{Scope: here, RequestID: fmt.Sprintf("request-%d", w.calls), Service: Name, Operation: operation, In: in})
}

// do makes a call that has to succeed.
func do[Out any](w *world, operation string, in any) *Out {
	w.t.Helper()
	out, err := w.try(operation, in)
	if err != nil {
		w.t.Fatalf("%s: %v", operation, err)
	}
	return out.(*Out)
}

// refused makes a call that has to fail with a code and a text that contains part.
func (w *world) refused(operation string, in any, code, part string) {
	w.t.Helper()
	out, err := w.try(operation, in)
	var e *api.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, part) {
		w.t.Errorf("%s: %v %v, want %s with %q", operation, out, err, code, part)
	}
}

// pass lets time go by, tick by tick.
func (w *world) pass(d time.Duration) {
	until := w.now.Add(d)
	for range 100_000 {
		wake := w.cloud.Wake()
		if wake.IsZero() || wake.After(until) {
			break
		}
		w.now = wake
		w.step(cloud.Tick{})
	}
	w.now = until
}

// ended says how the oldest run that was wished for ended, which is taken off the list.
func (w *world) ended(functionError, payload string) Run {
	w.t.Helper()
	if len(w.runs) == 0 {
		w.t.Fatal("nothing runs")
	}
	r := w.runs[0]
	w.runs = w.runs[1:]
	ran := Ran{Scope: r.Scope, RequestID: r.RequestID, Function: r.Function.Name, ARN: r.Function.ARN, Version: r.Function.Version, Sync: r.Sync,
		Attempt: r.Attempt, FunctionError: functionError, Duration: 20 * time.Millisecond}
	if !r.Sync {
		ran.Payload = []byte(payload)
	}
	w.step(cloud.Observed{Facts: []cloud.Fact{ran}})
	return r
}

// measured tells whether a function has a metric.
func (w *world) measured(name, function string) (found bool) {
	w.cloud.Dump(func(table, key string, row any) bool {
		m, ok := row.(*cloudwatch.Metric)
		found = found || ok && m.MetricName == name && len(m.Dimensions) == 1 && m.Dimensions[0].Value == function
		return !found
	})
	return found
}

// subscribed makes a topic that sends to an HTTP endpoint, and gives its ARN.
func (w *world) subscribed(name string) string {
	w.t.Helper()
	call := func(operation string, in any) any {
		out, err := w.step(cloud.Call{Scope: here, RequestID: "r", Service: sns.Name, Operation: operation, In: in})
		if err != nil {
			w.t.Fatal(err)
		}
		return out
	}
	arn := *call("CreateTopic", &snsapi.CreateTopicInput{Name: &name}).(*snsapi.CreateTopicOutput).TopicArn
	call("Subscribe", &snsapi.SubscribeInput{TopicArn: &arn, Protocol: new("http"), Endpoint: new("http://127.0.0.1:1/"),
		Attributes: map[string]string{"RawMessageDelivery": "true"}})
	var confirmation struct{ Token string }
	if err := json.Unmarshal([]byte(w.sent[len(w.sent)-1]), &confirmation); err != nil {
		w.t.Fatal(err)
	}
	call("ConfirmSubscription", &snsapi.ConfirmSubscriptionInput{TopicArn: &arn, Token: &confirmation.Token})
	w.sent = nil
	return arn
}

// file is one entry of a zip.
type file struct {
	name, content string
	mode          fs.FileMode
}

func zipped(t *testing.T, files ...file) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(f.mode | 0o755)
		out, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(f.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const roleARN = "arn:aws:iam::123456789012:role/runner"

func creation(t *testing.T, name string) *shape.CreateFunctionInput {
	return &shape.CreateFunctionInput{FunctionName: &name, Runtime: new("provided.al2023"), Handler: new("bootstrap"), Role: new(roleARN),
		Code: &shape.FunctionCode{ZipFile: zipped(t, file{name: "bootstrap", content: "code of " + name})}}
}

// made makes a function that is ready.
func (w *world) made(name string) string {
	w.t.Helper()
	arn := *do[shape.CreateFunctionOutput](w, "CreateFunction", creation(w.t, name)).FunctionArn
	w.pass(readyAfter)
	return arn
}
