package functions

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud/lambda"
)

// maxAnswer is what a function may answer, and maxKept what of an asynchronous one's answer is passed on.
const (
	maxAnswer = 6291556
	maxKept   = 256 << 10
)

// The kinds of errors that are told apart here.
const (
	timedOut    = "Sandbox.Timedout"
	outOfMemory = "Runtime.OutOfMemory"
)

// pending is a Run that was wished for, or is waited for before that.
type pending struct {
	begun bool // guarded by Functions.mu
	once  sync.Once
	done  chan struct{}
	outcome
}

func (p *pending) finish(o outcome) {
	p.once.Do(func() {
		p.outcome = o
		close(p.done)
	})
}

// outcome is how a Run ended.
type outcome struct {
	payload []byte
	fault   *fault
	err     *api.Error // it did not run at all

	duration, init time.Duration
	memory         int64
	log            *journal // of the environment
	page           *page    // what it logged
	broken         bool     // its environment is of no more use
	again          bool     // nothing of it was seen by the function
}

// fault is an error of a function, or of what became of it.
type fault struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
	raw     []byte // as the runtime said it
}

func runKey(id string, attempt int32) string { return id + " " + strconv.Itoa(int(attempt)) }

// pendingOf finds or makes the entry of a Run. The caller holds mu.
func (f *Functions) pendingOf(key string) *pending {
	p := f.runs[key]
	if p == nil {
		p = &pending{done: make(chan struct{})}
		f.runs[key] = p
	}
	return p
}

// begin carries out a Run, once.
func (f *Functions) begin(r lambda.Run) {
	key := runKey(r.RequestID, r.Attempt)
	f.mu.Lock()
	p, era := f.pendingOf(key), f.era
	twice := p.begun
	p.begun = true
	f.mu.Unlock()
	if twice {
		return
	}
	go func() {
		o := f.carryOut(era, r)
		if era.Err() != nil {
			o = outcome{err: errEnding} // nobody is told: it is run again if it was asynchronous
		} else {
			f.Observe(o.ran(r))
		}
		p.finish(o)
		forget := func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.runs[key] == p {
				delete(f.runs, key)
			}
		}
		if r.Sync { // whoever waits may still be on the way
			time.AfterFunc(keptFor, forget)
		} else {
			forget()
		}
	}()
}

// Await fills in what a synchronous invocation waits for. If ctx ends before, the function goes on all the same.
func (f *Functions) Await(ctx context.Context, p *lambda.Pending) (*shape.InvokeOutput, error) {
	out := p.Output
	if p.RequestID == "" {
		return &out, nil
	}
	key := runKey(p.RequestID, 1)
	f.mu.Lock()
	run := f.pendingOf(key)
	f.mu.Unlock()
	select {
	case <-run.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if run.err != nil {
		return nil, run.err
	}
	out.Payload = run.payload
	if run.fault != nil {
		out.FunctionError = new(lambda.Unhandled)
	}
	if p.Tail && run.page != nil {
		out.LogResult = new(run.log.tail(run.page))
	}
	return &out, nil
}

// ran is the fact.
func (o *outcome) ran(r lambda.Run) lambda.Ran {
	fact := lambda.Ran{
		Scope: r.Scope, RequestID: r.RequestID, Function: r.Function.Name, ARN: r.Function.ARN, Version: r.Function.Version, Sync: r.Sync, Attempt: r.Attempt,
		Duration: o.duration, Billed: billed(o.duration), Init: o.init, MaxMemory: o.memory,
	}
	switch {
	case o.err != nil:
		fact.FunctionError, fact.Message = lambda.Unhandled, o.err.Message
	case o.fault != nil:
		fact.FunctionError, fact.Message = lambda.Unhandled, o.fault.Message
	}
	if !r.Sync && len(o.payload) <= maxKept {
		fact.Payload = o.payload
	}
	return fact
}

// billed is a duration in whole milliseconds, rounded up.
func billed(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}

// carryOut runs a function in an environment. If that ends before the function was given anything, which may happen to a
// warm one, another is tried.
func (f *Functions) carryOut(era context.Context, r lambda.Run) outcome {
	if f.Modelled {
		return outcome{err: unavailable("Functions do not run with --driver sim, which runs nothing; start the server with --driver netns.")}
	}
	select {
	case <-f.ready:
	case <-era.Done():
		return outcome{err: errEnding}
	}
	for try := 0; ; try++ {
		e, err := f.acquire(era, r)
		if err != nil {
			return outcome{err: err}
		}
		o := f.invoke(era, e, r)
		f.release(e, o.broken)
		if !o.again || try == 2 {
			return o
		}
	}
}

// invocation is one Run in an environment.
type invocation struct {
	run    lambda.Run
	begun  chan time.Time // when the runtime took it
	answer chan answer
}

// answer is what the runtime said; fault if it reported an error.
type answer struct {
	payload []byte
	fault   *fault
}

// invoke gives an invocation to an environment and waits for its end.
func (f *Functions) invoke(era context.Context, e *environment, r lambda.Run) outcome {
	timeout := time.Duration(r.Function.Timeout) * time.Second
	inv := &invocation{run: r, begun: make(chan time.Time, 1), answer: make(chan answer, 1)}
	page := e.log.open(r.RequestID, r.Function.Version)
	cold := !e.warm
	limit := timeout
	if cold {
		limit += initMost
	}
	begun := time.Now()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	e.current.Store(inv)
	e.next <- inv
	o := outcome{log: e.log, page: page}
	taken := inv.begun
	for waiting := true; waiting; {
		select {
		case at := <-taken:
			if taken = nil; cold {
				begun, o.init = at, at.Sub(e.started)
				timer.Reset(timeout)
			}
			e.warm = true
			continue
		case a := <-inv.answer:
			o.payload, o.fault = a.payload, a.fault
		case <-e.ended:
			select {
			case a := <-inv.answer: // its last deed
				o.payload, o.fault, o.broken, waiting = a.payload, a.fault, true, false
				continue
			default:
			}
			if !e.warm && e.refused != nil {
				o.err = e.refused
			} else if o.again = e.warm && !cold && taken != nil; !o.again {
				o.fault = f.lastWords(e)
			}
			o.broken = true
		case <-timer.C:
			o.broken = true
			o.fault = &fault{Type: timedOut, Message: fmt.Sprintf("Task timed out after %.2f seconds", timeout.Seconds())}
		case <-era.Done():
			return outcome{err: errEnding, broken: true}
		}
		waiting = false
	}
	e.current.Store(nil)
	o.duration = time.Since(begun)
	if o.broken && o.fault != nil && o.fault.Type == timedOut {
		o.duration = timeout
	}
	if o.again || o.err != nil {
		e.log.discard()
		return o
	}
	if o.memory = f.memoryOf(e); o.fault != nil && o.fault.Type == outOfMemory {
		o.memory = e.promise
	}
	o.finish(r)
	e.log.close(page, o.lines(r)...)
	return o
}

// finish makes the payload of a fault that the runtime did not report itself.
func (o *outcome) finish(r lambda.Run) {
	if o.fault == nil || o.payload != nil {
		return
	}
	if o.fault.raw != nil {
		o.payload = o.fault.raw
		return
	}
	told := *o.fault
	if o.broken {
		told.Message = "RequestId: " + r.RequestID + " Error: " + told.Message
	}
	o.payload, _ = json.Marshal(told)
}

// lines are what Lambda itself writes at the end of an invocation.
func (o *outcome) lines(r lambda.Run) (lines []string) {
	status := ""
	if o.broken && o.fault != nil && o.fault.raw == nil {
		if o.fault.Type == timedOut {
			lines = append(lines, fmt.Sprintf("%s %s %s\n\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), r.RequestID, o.fault.Message))
			status = "\tStatus: timeout"
		} else {
			lines = append(lines, fmt.Sprintf("RequestId: %s Error: %s\n%s\n", r.RequestID, o.fault.Message, o.fault.Type))
			status = "\tStatus: error\tError Type: " + o.fault.Type
		}
	}
	report := fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %d ms\tMemory Size: %d MB\tMax Memory Used: %d MB",
		r.RequestID, milliseconds(o.duration), billed(o.duration).Milliseconds(), r.Function.Memory, min(o.memory>>20, int64(r.Function.Memory)))
	if o.init > 0 {
		report += fmt.Sprintf("\tInit Duration: %.2f ms", milliseconds(o.init))
	}
	return append(lines, "END RequestId: "+r.RequestID+"\n", report+status+"\t\n")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
