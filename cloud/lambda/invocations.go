package lambda

import (
	"encoding/json"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// How long an asynchronous invocation waits (EC-EV-04): after an error of the function, and, doubling, when there is no
// room for it.
var retryAfter = []time.Duration{time.Minute, 2 * time.Minute}

const (
	throttledFirst = time.Second
	throttledMost  = 5 * time.Minute
)

// InvokeAsync puts an invocation into the queue of a function, on behalf of a service ("events.amazonaws.com") and because
// of something of the account (the ARN of a rule). The function's resource policy must permit it (EC-IA-03).
func (s *Service) InvokeAsync(tx *cloud.Tx, arn string, payload []byte, principal, sourceARN string) error {
	f, q, err := s.qualified(tx, &arn, nil)
	if err != nil {
		return err
	}
	if err := s.mayInvoke(tx, f, q, principal, sourceARN); err != nil {
		return err
	}
	return s.enqueue(tx, f.Name, q, tx.UUID(), payload)
}

// Has tells whether there is such a function (or version, or alias), by its ARN.
func (s *Service) Has(tx *cloud.Tx, arn string) bool {
	_, _, err := s.qualified(tx, &arn, nil)
	return err == nil
}

// enqueue accepts an asynchronous invocation.
func (s *Service) enqueue(tx *cloud.Tx, function, qualifier, id string, payload []byte) error {
	if s.queuedBytes()+int64(len(payload))+queuedEvery > maxQueued {
		s.throttled(tx, function)
		return errTooMany()
	}
	if s.invocations.Has(tx, id) { // a request ID that somebody chose
		id = tx.UUID()
	}
	now := tx.Now()
	s.putInvocation(tx, Invocation{ID: id, Function: function, Qualifier: qualifier, Payload: payload, At: now, Next: now})
	tx.Touch(Name, kindInvocation, id)
	return nil
}

// queuedBytes is what the queue holds, of all accounts.
func (s *Service) queuedBytes() int64 {
	if s.queued < 0 {
		s.queued = 0
		for _, i := range s.invocations.Everywhere() {
			s.queued += i.size()
		}
	}
	return s.queued
}

func (i *Invocation) size() int64 { return int64(len(i.Payload)+len(i.Answer)) + queuedEvery }

func (s *Service) putInvocation(tx *cloud.Tx, i Invocation) {
	before := s.queuedBytes()
	if old, ok := s.invocations.Get(tx, i.ID); ok {
		s.queued -= old.size()
	}
	s.queued += i.size()
	tx.Journal().OnUndo(func() { s.queued = before })
	s.invocations.Put(tx, i.ID, i)
}

func (s *Service) dropInvocation(tx *cloud.Tx, i Invocation) {
	before := s.queuedBytes()
	if old, ok := s.invocations.Get(tx, i.ID); ok {
		s.queued -= old.size()
		tx.Journal().OnUndo(func() { s.queued = before })
		s.invocations.Delete(tx, i.ID)
	}
	tx.At(Name, kindInvocation, i.ID, time.Time{})
}

// reconcileInvocation begins an invocation whose time has come. One that is running is wished for again: that is after a
// load, or when nothing was heard of it for long.
func (s *Service) reconcileInvocation(tx *cloud.Tx, id string) {
	i, ok := s.invocations.Get(tx, id)
	if !ok {
		tx.At(Name, kindInvocation, id, time.Time{})
		return
	}
	early := tx.Now().Before(i.Next)
	if early {
		tx.At(Name, kindInvocation, id, i.Next)
	}
	f, known := s.functions.Get(tx, i.Function)
	v, err := s.version(tx, i.Function, i.Qualifier)
	gone := !known || err != nil
	switch {
	case early && (gone || !i.Running):
	case gone: // deleted meanwhile: AWS drops what was queued
		s.dropInvocation(tx, i)
	case i.Running:
		s.resume(tx, f, v, i)
	default:
		s.begin(tx, f, v, i)
	}
}

// resume wishes for a run that may have been lost once more, in the version that it was begun in.
func (s *Service) resume(tx *cloud.Tx, f Function, v Version, i Invocation) {
	if begun, ok := s.versions.Get(tx, versionKey(f.Name, i.Version)); ok {
		v = begun
	}
	run, ok := s.rerun(tx, f, v, i.Qualifier, i.ID, i.Payload)
	if due := !tx.Now().Before(i.Next); due && !ok {
		s.again(tx, f, v, i, Unhandled, errRole.Error(), nil)
		return
	} else if due {
		s.next(tx, i, v.patience(tx))
	}
	if ok {
		run.Attempt = i.Attempt
		tx.Wish(run)
	}
}

// begin makes the next attempt, if there is room and it is not too late.
func (s *Service) begin(tx *cloud.Tx, f Function, v Version, i Invocation) {
	_, age, _, _ := limitsOf(f, i.Qualifier)
	if tx.Now().Sub(i.At) > age {
		s.fail(tx, f, v, i, conditionAge)
		return
	}
	if !s.room(tx, f) {
		s.wait(tx, i, age)
		return
	}
	v = s.pick(tx, v, i.Qualifier)
	i.Throttled, i.Version = 0, v.Number
	i.Attempt++
	run, err := s.run(tx, f, v, i.Qualifier, i.ID, i.Payload)
	if err != nil { // the role is gone
		s.again(tx, f, v, i, Unhandled, err.Error(), nil)
		return
	}
	i.Running, run.Attempt = true, i.Attempt
	s.next(tx, i, v.patience(tx))
	tx.Wish(run)
}

// patience is until when a run of a version that begins now may be heard of.
func (v *Version) patience(tx *cloud.Tx) time.Time {
	return tx.Now().Add(time.Duration(v.Timeout)*time.Second + lostAfter)
}

// next writes an invocation of which nothing is to be done until then.
func (s *Service) next(tx *cloud.Tx, i Invocation, at time.Time) {
	i.Next = at
	s.putInvocation(tx, i)
	tx.At(Name, kindInvocation, i.ID, at)
}

// wait has an invocation wait because there is no room, twice as long each time.
func (s *Service) wait(tx *cloud.Tx, i Invocation, age time.Duration) {
	s.throttled(tx, i.Function)
	pause := min(throttledFirst<<min(i.Throttled, 20), throttledMost)
	i.Throttled++
	at := tx.Now().Add(pause)
	if oldest := i.At.Add(age + time.Millisecond); oldest.Before(at) {
		at = oldest
	}
	s.next(tx, i, at)
}

// invocationRan takes the end of a run of an asynchronous invocation.
func (s *Service) invocationRan(tx *cloud.Tx, r Ran) {
	i, ok := s.invocations.Get(tx, r.RequestID)
	if !ok || !i.Running || r.Attempt != i.Attempt {
		return
	}
	f, known := s.functions.Get(tx, i.Function)
	if !known {
		s.dropInvocation(tx, i)
		return
	}
	v, ok := s.versions.Get(tx, versionKey(i.Function, r.Version))
	if !ok {
		v = Version{Function: i.Function, Number: r.Version}
	}
	if r.FunctionError != "" {
		s.again(tx, f, v, i, r.FunctionError, r.Message, answer(r.Payload))
		return
	}
	i.Answer = answer(r.Payload)
	s.dropInvocation(tx, i)
	if _, _, target, _ := limitsOf(f, i.Qualifier); target != "" {
		s.tell(tx, f, v, i, conditionSuccess, target)
	}
}

// answer is what is kept of an answer: JSON, and not more than a destination takes.
func answer(payload []byte) []byte {
	if len(payload) > maxAsync || !json.Valid(payload) {
		return nil
	}
	return payload
}

// again has a failed invocation run once more, if it may.
func (s *Service) again(tx *cloud.Tx, f Function, v Version, i Invocation, kind, message string, payload []byte) {
	i.Running, i.Error, i.Message, i.Answer = false, kind, message, payload
	retries, age, _, _ := limitsOf(f, i.Qualifier)
	if i.Attempt > retries {
		s.fail(tx, f, v, i, conditionRetries)
		return
	}
	at := tx.Now().Add(retryAfter[min(int(i.Attempt)-1, len(retryAfter)-1)])
	if at.Sub(i.At) > age {
		s.fail(tx, f, v, i, conditionAge)
		return
	}
	s.next(tx, i, at)
}

// fail gives an invocation up, and tells whoever shall know.
func (s *Service) fail(tx *cloud.Tx, f Function, v Version, i Invocation, condition string) {
	s.dropInvocation(tx, i)
	s.measure(tx, f.Name, "AsyncEventsDropped", "Count", 1)
	if _, _, _, target := limitsOf(f, i.Qualifier); target != "" {
		s.tell(tx, f, v, i, condition, target)
	}
	if v.DeadLetter != "" {
		s.bury(tx, f, v, i)
	}
}
