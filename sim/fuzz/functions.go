package fuzz

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"strings"
	"time"

	lambdaapi "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/cloud/sqs"
)

const formsOfFunctions = `
iam CreateRole {"RoleName":"runner","AssumeRolePolicyDocument":$trust}
sqs CreateQueue {"QueueName":"work","Attributes":{"VisibilityTimeout":"30"}}
sqs CreateQueue {"QueueName":"dead"}
lambda CreateFunction {"FunctionName":"f","Runtime":"provided.al2023","Role":"arn:aws:iam::123456789012:role/runner","Handler":"h","Code":{"ZipFile":$zip1},"Publish":true}
lambda CreateFunction {"FunctionName":"g","Runtime":"python3.12","Role":"arn:aws:iam::123456789012:role/runner","Handler":"m.h","Code":{"ZipFile":$zip2},"Timeout":20}
lambda CreateFunction {"FunctionName":"alone","Runtime":"nodejs20.x","Role":"arn:aws:iam::123456789012:role/runner","Handler":"m.h","Code":{"ZipFile":$zip1}}
lambda UpdateFunctionConfiguration {"FunctionName":"g","Timeout":10,"DeadLetterConfig":{"TargetArn":"arn:aws:sqs:us-east-1:123456789012:dead"}}
lambda UpdateFunctionCode {"FunctionName":"f","ZipFile":$zip2,"Publish":true}
lambda PublishVersion {"FunctionName":"g"}
lambda PublishVersion {"FunctionName":"f","Description":"another"}
lambda CreateAlias {"FunctionName":"f","Name":"live","FunctionVersion":"1"}
lambda CreateAlias {"FunctionName":"f","Name":"old","FunctionVersion":"1"}
lambda UpdateAlias {"FunctionName":"f","Name":"live","FunctionVersion":"2","RoutingConfig":{"AdditionalVersionWeights":{"1":0.5}}}
lambda PutFunctionEventInvokeConfig {"FunctionName":"f","MaximumRetryAttempts":1,"DestinationConfig":{"OnSuccess":{"Destination":"arn:aws:lambda:us-east-1:123456789012:function:g"},"OnFailure":{"Destination":"arn:aws:sqs:us-east-1:123456789012:dead"}}}
lambda PutFunctionEventInvokeConfig {"FunctionName":"f","Qualifier":"live","MaximumEventAgeInSeconds":120,"DestinationConfig":{"OnSuccess":{"Destination":"arn:aws:events:us-east-1:123456789012:event-bus/default"},"OnFailure":{"Destination":"@topicarn"}}}
lambda UpdateFunctionEventInvokeConfig {"FunctionName":"f","MaximumRetryAttempts":2}
lambda PutFunctionConcurrency {"FunctionName":"f","ReservedConcurrentExecutions":2}
lambda Invoke {"FunctionName":"f","Payload":"e30="}
lambda Invoke {"FunctionName":"f","InvocationType":"Event","Payload":"e30="}
lambda Invoke {"FunctionName":"g","InvocationType":"Event","Payload":"WzFd"}
lambda Invoke {"FunctionName":"f","Qualifier":"live","InvocationType":"Event"}
lambda Invoke {"FunctionName":"f:1","InvocationType":"Event"}
lambda Invoke {"FunctionName":"@lambda.functionname","InvocationType":"DryRun"}
lambda AddPermission {"FunctionName":"f","StatementId":"events","Action":"lambda:InvokeFunction","Principal":"events.amazonaws.com"}
lambda AddPermission {"FunctionName":"f","StatementId":"topics","Action":"lambda:InvokeFunction","Principal":"sns.amazonaws.com","SourceArn":"@topicarn"}
lambda AddPermission {"FunctionName":"g","StatementId":"alarms","Action":"lambda:InvokeFunction","Principal":"lambda.alarms.cloudwatch.amazonaws.com","SourceAccount":"123456789012"}
lambda AddPermission {"FunctionName":"g","StatementId":"s","Action":"lambda:InvokeFunction","Principal":"111122223333"}
lambda RemovePermission {"FunctionName":"g","StatementId":"s"}
events PutRule {"Name":"calls","ScheduleExpression":"rate(5 minutes)"}
events PutTargets {"Rule":"calls","Targets":[{"Id":"1","Arn":"arn:aws:lambda:us-east-1:123456789012:function:f"}]}
sns Subscribe {"TopicArn":"@topicarn","Protocol":"lambda","Endpoint":"arn:aws:lambda:us-east-1:123456789012:function:f"}
cloudwatch PutMetricAlarm {"AlarmName":"calls","Namespace":"my","MetricName":"m1","Dimensions":[{"Name":"d","Value":"v"}],"Statistic":"Average","Period":60,"EvaluationPeriods":1,"Threshold":3,"ComparisonOperator":"GreaterThanThreshold","AlarmActions":["arn:aws:lambda:us-east-1:123456789012:function:g"],"OKActions":["arn:aws:lambda:us-east-1:123456789012:function:f"]}
lambda CreateEventSourceMapping {"EventSourceArn":"arn:aws:sqs:us-east-1:123456789012:work","FunctionName":"g","FunctionResponseTypes":["ReportBatchItemFailures"]}
lambda CreateEventSourceMapping {"EventSourceArn":"arn:aws:sqs:us-east-1:123456789012:work","FunctionName":"f:live","BatchSize":20,"MaximumBatchingWindowInSeconds":30,"ScalingConfig":{"MaximumConcurrency":2}}
sqs SendMessageBatch {"QueueUrl":"http://127.0.0.1:4566/123456789012/work","Entries":[{"Id":"a","MessageBody":"x"},{"Id":"b","MessageBody":"y"},{"Id":"c","MessageBody":"z","DelaySeconds":30}]}
sqs SendMessage {"QueueUrl":"http://127.0.0.1:4566/123456789012/work","MessageBody":"hello"}
lambda UpdateEventSourceMapping {"UUID":"@lambda.uuid","BatchSize":5}
lambda UpdateEventSourceMapping {"UUID":"@lambda.uuid","Enabled":true}
lambda TagResource {"Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Tags":{"k":"v"}}
lambda UntagResource {"Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","TagKeys":["k"]}
lambda DeleteAlias {"FunctionName":"f","Name":"old"}
lambda DeleteFunction {"FunctionName":"f","Qualifier":"@lambda.version"}
lambda DeleteFunctionConcurrency {"FunctionName":"@lambda.functionname"}
lambda DeleteFunctionEventInvokeConfig {"FunctionName":"f"}
lambda DeleteEventSourceMapping {"UUID":"@lambda.uuid"}
lambda DeleteFunction {"FunctionName":"alone"}`

// packed is a zip with one file, in base64.
func packed(content string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("bootstrap")
	if err == nil {
		_, err = w.Write([]byte(content))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic(err) // memory takes everything
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// execute has the runner begin a Run, unless it has it under way. What it runs ends with the daemon.
func (r *run) execute(e lambda.Run) {
	key := e.RequestID + " " + string(rune('0'+e.Attempt))
	if r.executing[key] {
		return
	}
	if r.strikes(Hang, 30) {
		return // it will never be heard of
	}
	r.executing[key] = true
	ran := lambda.Ran{Scope: e.Scope, RequestID: e.RequestID, Function: e.Function.Name, ARN: e.Function.ARN, Version: e.Function.Version,
		Sync: e.Sync, Attempt: e.Attempt, Duration: r.between(time.Millisecond, time.Duration(e.Function.Timeout)*time.Second)}
	switch n := r.nature.IntN(100); {
	case r.calm || n < 50:
		ran.Payload = []byte(`{"done":true}`)
	case n < 60:
		ran.Payload = []byte(`{"batchItemFailures":[{"itemIdentifier":"` + firstMessage(e.Payload) + `"}]}`)
	case n < 70:
		ran.Payload = []byte(`{"batchItemFailures":3`)
	default:
		ran.FunctionError, ran.Message, ran.Payload = lambda.Unhandled, "It fails.", []byte(`{"errorMessage":"It fails."}`)
	}
	if e.Sync {
		ran.Payload = nil
	}
	life := r.lives
	r.later(ran.Duration, event{what: func() {
		if r.lives == life {
			delete(r.executing, key)
			r.tell(ran)
		}
	}})
}

// firstMessage is the ID of the first message in an event of a queue.
func firstMessage(payload []byte) string {
	_, rest, _ := strings.Cut(string(payload), `"messageId":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// row is a row of a table, or nil.
func row[R any](r *run, table, key string) *R {
	x, _ := r.rows.tables[table][key].value.(*R)
	return x
}

// checkFunctions holds versions, invocations and batches, and what was wished for them.
func (r *run) checkFunctions(in cloud.Input, effects []cloud.Effect, deltas []delta) {
	for _, d := range deltas {
		switch d.table {
		case lambda.Name + ".versions":
			was, _ := d.old.(*lambda.Version)
			if is, _ := d.new.(*lambda.Version); was != nil && is != nil && was.Number != "$LATEST" && encoded(was) != encoded(is) {
				r.fail("a published version never changes", "%s\nwas %s", encoded(is), encoded(was))
			}
		case lambda.Name + ".invocations":
			r.checkInvocation(d, in, effects, deltas)
		case lambda.Name + ".batches":
			if b, _ := d.new.(*lambda.Batch); b != nil && d.old == nil {
				r.checkRoom(scopeOf(d.key).String()+"/", b.Function)
			}
		}
	}
	for _, e := range effects {
		switch e := e.(type) {
		case lambda.Run:
			key := e.Scope.String() + "/" + e.RequestID
			i, b := row[lambda.Invocation](r, lambda.Name+".invocations", key), row[lambda.Batch](r, lambda.Name+".batches", key)
			if !e.Sync && b == nil && (i == nil || !i.Running || i.Attempt != e.Attempt) {
				r.fail("no wish is against the rows", "a Run of %s, attempt %d, which is %s", e.RequestID, e.Attempt, encoded(i))
			}
		case lambda.DropCode:
			for _, s := range r.rows.tables[lambda.Name+".versions"] { // any order
				if v := s.value.(*lambda.Version); v.CodeHash == e.CodeHash {
					r.fail("no wish is against the rows", "the code of %s %s is dropped", v.Function, v.Number)
				}
			}
		}
	}
}

// checkInvocation: an asynchronous invocation ends once, for a reason, and whoever shall know is told.
func (r *run) checkInvocation(d delta, in cloud.Input, effects []cloud.Effect, deltas []delta) {
	scope := scopeOf(d.key).String() + "/"
	was, _ := d.old.(*lambda.Invocation)
	is, _ := d.new.(*lambda.Invocation)
	if is == nil {
		if was != nil {
			r.checkEnd(scope, was, in, deltas)
		}
		return
	}
	if was == nil {
		was = &lambda.Invocation{}
	}
	if more := is.Attempt - was.Attempt; more < 0 || more > 1 || is.Attempt > 3 {
		r.fail("an asynchronous invocation is tried three times at most", "%s\nwas %s", encoded(is), encoded(was))
	}
	if is.Running && is.Attempt > was.Attempt {
		r.checkRoom(scope, is.Function)
		for _, e := range effects {
			if run, ok := e.(lambda.Run); ok && run.RequestID == is.ID && run.Attempt == is.Attempt {
				return
			}
		}
		r.fail("what runs was wished for", "%s", encoded(is))
	}
}

// checkRoom: when something of a function begins, no more is under way than is reserved.
func (r *run) checkRoom(scope, function string) {
	f := row[lambda.Function](r, lambda.Name+".functions", scope+function)
	if f == nil || f.Reserved < 0 {
		return
	}
	under := int32(0)
	for key, s := range r.rows.tables[lambda.Name+".invocations"] { // any order
		if i := s.value.(*lambda.Invocation); i.Running && i.Function == function && strings.HasPrefix(key, scope) {
			under++
		}
	}
	for key, s := range r.rows.tables[lambda.Name+".batches"] { // any order
		if s.value.(*lambda.Batch).Function == function && strings.HasPrefix(key, scope) {
			under++
		}
	}
	if under > f.Reserved {
		r.fail("no more run than are reserved", "%d of %s, which has %d", under, function, f.Reserved)
	}
}

// checkEnd: why an invocation is no more, and who was told.
func (r *run) checkEnd(scope string, i *lambda.Invocation, in cloud.Input, deltas []delta) {
	f := row[lambda.Function](r, lambda.Name+".functions", scope+i.Function)
	if f == nil {
		return
	}
	retries, age := int32(2), 6*time.Hour
	onSuccess, onFailure := "", ""
	for _, c := range f.Configs {
		if c.Qualifier != i.Qualifier {
			continue
		}
		if c.Retries >= 0 {
			retries = c.Retries
		}
		if c.MaxAge > 0 {
			age = time.Duration(c.MaxAge) * time.Second
		}
		onSuccess, onFailure = c.OnSuccess, c.OnFailure
	}
	if observed, ok := in.(cloud.Observed); ok {
		for _, fact := range observed.Facts {
			if ran, ok := fact.(lambda.Ran); ok && ran.RequestID == i.ID && i.Running && ran.Attempt == i.Attempt && ran.FunctionError == "" {
				r.checkTold(scope, onSuccess, i, deltas)
				return
			}
		}
	}
	if i.Attempt < retries && r.latest.Sub(i.At)+2*time.Minute < age && !r.nameless(scope, i) {
		r.fail("an asynchronous invocation ends for a reason", "%s, of %s", encoded(i), encoded(f))
	}
	if !r.nameless(scope, i) {
		r.checkTold(scope, onFailure, i, deltas)
	}
}

// nameless tells whether what an invocation was of, an alias or a version, is no more.
func (r *run) nameless(scope string, i *lambda.Invocation) bool {
	for key, s := range r.rows.tables[lambda.Name+".versions"] { // any order
		if v := s.value.(*lambda.Version); v.Function == i.Function && (v.Number == i.Qualifier || i.Qualifier == "") && strings.HasPrefix(key, scope) {
			return false
		}
	}
	return row[lambda.Alias](r, lambda.Name+".aliases", scope+i.Function+":"+i.Qualifier) == nil
}

// checkTold: a destination that is a queue or a function got something in the same step.
func (r *run) checkTold(scope, to string, i *lambda.Invocation, deltas []delta) {
	parts := strings.SplitN(to, ":", 6)
	if len(parts) < 6 {
		return
	}
	switch parts[2] {
	case "sqs":
		if row[sqs.Queue](r, sqs.Name+".queues", scope+parts[5]) == nil {
			return
		}
		for _, d := range deltas {
			if m, _ := d.new.(*sqs.Message); m != nil && d.old == nil && strings.HasPrefix(d.key, scope+parts[5]+"/") && strings.Contains(m.Body, i.ID) {
				return
			}
		}
	case "lambda":
		name, qualifier, _ := strings.Cut(strings.TrimPrefix(parts[5], "function:"), ":")
		other := &lambda.Invocation{Function: name, Qualifier: qualifier}
		if row[lambda.Function](r, lambda.Name+".functions", scope+name) == nil || r.nameless(scope, other) {
			return
		}
		for _, d := range deltas {
			if n, _ := d.new.(*lambda.Invocation); n != nil && d.old == nil && n.Function == name && strings.Contains(string(n.Payload), i.ID) {
				return
			}
		}
	default:
		return
	}
	r.fail("whoever shall know of an end is told", "%s was not told of %s", to, encoded(i))
}

// repairFunctions lets everything run that waits: nothing is reserved, and no function has another run for ever.
func (r *run) repairFunctions() {
	for _, key := range sortedKeys(r.rows.tables[lambda.Name+".functions"]) {
		f, scope := row[lambda.Function](r, lambda.Name+".functions", key), scopeOf(key)
		r.must(scope, lambda.Name, "DeleteFunctionConcurrency", &lambdaapi.DeleteFunctionConcurrencyInput{FunctionName: &f.Name})
		for _, c := range f.Configs {
			in := &lambdaapi.DeleteFunctionEventInvokeConfigInput{FunctionName: &f.Name}
			if c.Qualifier != "" {
				in.Qualifier = &c.Qualifier
			}
			r.ask(scope, lambda.Name, "DeleteFunctionEventInvokeConfig", in)
		}
	}
}

// settledFunctions: nothing waits for ever.
func (r *run) settledFunctions() {
	const most = 20 * time.Minute // the longest time-out and the longest wait for room
	for _, key := range sortedKeys(r.rows.tables[lambda.Name+".invocations"]) {
		if i := row[lambda.Invocation](r, lambda.Name+".invocations", key); r.latest.Sub(i.At) > most {
			r.fail("everything comes to its end", "invocation %s", encoded(i))
		}
	}
	for _, key := range sortedKeys(r.rows.tables[lambda.Name+".batches"]) {
		if b := row[lambda.Batch](r, lambda.Name+".batches", key); r.latest.Sub(b.At) > most {
			r.fail("everything comes to its end", "batch %s", encoded(b))
		}
	}
	for _, key := range sortedKeys(r.rows.tables[lambda.Name+".mappings"]) {
		m, scope := row[lambda.Mapping](r, lambda.Name+".mappings", key), scopeOf(key).String()+"/"
		v := row[lambda.Version](r, lambda.Name+".versions", scope+m.Function+":$LATEST")
		if !m.Enabled || v == nil || r.nameless(scope, &lambda.Invocation{Function: m.Function, Qualifier: m.Qualifier}) || !r.runnable(scopeOf(key), v) {
			continue
		}
		queue := scope + m.Queue[strings.LastIndexByte(m.Queue, ':')+1:]
		for k, s := range r.rows.tables[sqs.Name+".messages"] { // any order
			if x := s.value.(*sqs.Message); strings.HasPrefix(k, queue+"/") && r.latest.Sub(x.Visible) > most {
				r.fail("a function gets a queue's messages", "%s has %s, which can be received since %v", encoded(m), x.ID, x.Visible)
			}
		}
	}
}

// runnable tells whether a version has its role; a trust that was changed is not looked at.
func (r *run) runnable(scope cloud.Scope, v *lambda.Version) bool {
	home := iam.Home(scope.Account).String() + "/"
	name := v.Role[strings.LastIndexByte(v.Role, '/')+1:]
	x := row[iam.Role](r, iam.Name+".roles", home+strings.ToLower(name))
	return x != nil && strings.Contains(x.Trust, "lambda.amazonaws.com")
}
