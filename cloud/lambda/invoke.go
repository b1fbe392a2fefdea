package lambda

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

// Invoke has a function run: at once, with the answer to wait for, or some time, from the queue.
func (s *Service) Invoke(tx *cloud.Tx, in *shape.InvokeInput) (*Pending, error) {
	f, q, err := s.qualified(tx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if in.TenantId != nil || in.DurableExecutionName != nil {
		return nil, invalid("TenantId and DurableExecutionName are not implemented here")
	}
	kind, most := api.Or(in.InvocationType, shape.InvocationTypeRequestResponse), maxSync
	if kind == shape.InvocationTypeEvent {
		most = maxAsync
	}
	if len(in.Payload) > most {
		return nil, &api.Error{Code: "RequestEntityTooLargeException", Status: 413, Message: decimal(int64(len(in.Payload))) +
			" byte payload is too large for the " + kind + " invocation type (limit " + decimal(int64(most)) + " bytes)"}
	}
	payload := in.Payload
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if !json.Valid(payload) {
		return nil, api.Errorf("InvalidRequestContentException", "Could not parse request body into json: Could not parse payload into json: Unexpected character in the payload")
	}
	v, err := s.version(tx, f.Name, q)
	if err != nil {
		return nil, err
	}
	if tx.Now().Before(v.Ready) {
		return nil, errPending()
	}
	switch kind {
	case shape.InvocationTypeDryRun:
		return &Pending{Output: shape.InvokeOutput{StatusCode: new(int32(204))}}, nil
	case shape.InvocationTypeEvent:
		if err := s.enqueue(tx, f.Name, q, tx.RequestID, payload); err != nil {
			return nil, err
		}
		return &Pending{Output: shape.InvokeOutput{StatusCode: new(int32(202))}}, nil
	}
	if !s.room(tx, f) {
		return nil, errTooMany()
	}
	v = s.pick(tx, v, q)
	run, err := s.run(tx, f, v, q, tx.RequestID, payload)
	if err != nil {
		return nil, err
	}
	run.Sync, run.Attempt, run.Context = true, 1, api.Value(in.ClientContext)
	s.takeOff(tx, run.RequestID, v)
	tx.Wish(run)
	return &Pending{RequestID: run.RequestID, Tail: api.Value(in.LogType) == shape.LogTypeTail,
		Output: shape.InvokeOutput{StatusCode: new(int32(200)), ExecutedVersion: new(v.Number)}}, nil
}

// pick gives the version that one invocation goes to: an alias may send a part of them to another.
func (s *Service) pick(tx *cloud.Tx, v Version, qualifier string) Version {
	a, ok := s.aliases.Get(tx, v.Function+":"+qualifier)
	if number(qualifier) || !ok || len(a.Weights) == 0 {
		return v
	}
	if float64(tx.Uint64()>>11)/(1<<53) < a.Weights[0].Part {
		if other, ok := s.versions.Get(tx, versionKey(v.Function, a.Weights[0].Version)); ok {
			return other
		}
	}
	return v
}

// run is the wish for a new run.
func (s *Service) run(tx *cloud.Tx, f Function, v Version, qualifier, id string, payload []byte) (Run, error) {
	c, err := s.credentials(tx, v.Role, f.Name)
	if err != nil {
		return Run{}, err
	}
	return runWith(tx, c, f, v, qualifier, id, payload), nil
}

// rerun is the wish for a run that was begun: with what its role had given, since a look at what is must change nothing.
func (s *Service) rerun(tx *cloud.Tx, f Function, v Version, qualifier, id string, payload []byte) (Run, bool) {
	c, ok := s.identities.Given(tx, v.Role, f.Name)
	return runWith(tx, c, f, v, qualifier, id, payload), ok
}

func runWith(tx *cloud.Tx, c iam.Credentials, f Function, v Version, qualifier, id string, payload []byte) Run {
	environment := append(slices.Clone(v.Environment), keysOf(c)...)
	slices.SortFunc(environment, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	return Run{Scope: tx.Scope, RequestID: id, Payload: payload, Deadline: tx.Now().Add(time.Duration(v.Timeout) * time.Second),
		Function: Runnable{
			Name: f.Name, ARN: functionARN(tx.Scope, f.Name, qualifier), Version: v.Number, Runtime: v.Runtime,
			Revision: v.Revision + " " + c.AccessKeyID, // when credentials change, old sandboxes have the old ones
			Handler:  v.Handler, Memory: v.Memory, Timeout: v.Timeout, Storage: v.Storage, CodeHash: v.CodeHash, CodeSize: v.CodeSize,
			Environment: environment, LogGroup: v.logGroup(), Reserved: f.Reserved,
		}}
}

// ran takes the end of a run.
func (s *Service) ran(tx *cloud.Tx, r Ran) {
	s.measure(tx, r.Function, "ConcurrentExecutions", "Count", float64(max(1, s.executions(tx, r.Function))))
	s.measure(tx, r.Function, "Invocations", "Count", 1)
	errors := 0.0
	if r.FunctionError != "" {
		errors = 1
	}
	s.measure(tx, r.Function, "Errors", "Count", errors)
	s.measure(tx, r.Function, "Duration", "Milliseconds", float64(r.Duration)/float64(time.Millisecond))
	if r.Sync {
		s.land(tx, flightKey(tx, r.Function, r.RequestID))
	} else {
		s.invocationRan(tx, r)
		s.batchRan(tx, r)
	}
	for _, i := range s.byState.Each(tx, "throttled "+r.Function) { // there may be room now
		s.next(tx, i, tx.Now())
		tx.Touch(Name, kindInvocation, i.ID)
		break
	}
}
