package daemon

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/store"
)

// loop owns the control plane: it is the only one that calls Step, one step at a time, and it keeps the order that an
// Output asks for. Changes are handed to the store inside the lock, so that they become durable in the order of the
// steps; effects are queued behind the ticket of their changes; whoever answers waits for the ticket first.
type loop struct {
	clock Clock
	store *store.Store
	log   *slog.Logger
	// instant, if set, carries out the effects it knows within the step that made them and returns what came of them;
	// the other effects go the usual way (driver "sim").
	instant func(cloud.Effect) (facts []cloud.Fact, done bool)
	flight  *recorder

	mu      sync.Mutex
	cloud   *cloud.Cloud
	effects *effects
	rearm   chan struct{}
	steps   uint64
	halted  bool // between two clouds: inputs are about the one that goes, and are dropped
}

// errHalted answers calls between two clouds.
var errHalted = &api.Error{Code: "ServiceUnavailable", Message: "The server is being reset.", Status: http.StatusServiceUnavailable}

// step takes one input and returns what it gave and the ticket after which it may be answered.
func (l *loop) step(in cloud.Input) (cloud.Output, store.Ticket) {
	noted := l.flight.note(in)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.halted {
		return cloud.Output{Err: errHalted}, 0
	}
	out, rows := l.one(in, noted)
	wishes := out.Effects
	if l.instant != nil {
		rows, wishes = l.carryOut(rows, wishes)
	}
	ticket := l.store.Write(rows)
	l.effects.add(ticket, wishes)
	select {
	case l.rearm <- struct{}{}:
	default:
	}
	return out, ticket
}

func (l *loop) one(in cloud.Input, noted noted) (cloud.Output, []store.Row) {
	l.flight.before(l.cloud)
	now := l.clock.Now()
	out := l.cloud.Step(now, in)
	l.flight.after(now, noted, out)
	l.steps++
	if broken(out.Err) {
		said := []any{"input", kindOf(in), "error", out.Err}
		if defect, ok := out.Err.(*cloud.Defect); ok {
			said = append(said, "stack", string(defect.Stack))
		}
		l.log.Error("a step failed and was undone", said...)
	}
	rows := make([]store.Row, len(out.Changes))
	for i, c := range out.Changes {
		rows[i] = store.Row{Table: c.Table, Key: c.Key, Value: c.Row}
	}
	return out, rows
}

// carryOut makes instant effects true before the call that caused them is answered, and returns all rows that this
// changed, which become durable together, and the other effects. Facts can cause further effects; the bound is there for
// a driver that never agrees with the control plane.
func (l *loop) carryOut(rows []store.Row, wishes []cloud.Effect) (_ []store.Row, others []cloud.Effect) {
	for range 100 {
		var facts []cloud.Fact
		for _, e := range wishes {
			f, done := l.instant(e)
			if !done {
				others = append(others, e)
			}
			facts = append(facts, f...)
		}
		if len(facts) == 0 {
			return rows, others
		}
		seen := cloud.Observed{Facts: facts}
		out, more := l.one(seen, l.flight.note(seen))
		rows, wishes = append(rows, more...), out.Effects
	}
	return rows, append(others, wishes...)
}

// halt has inputs dropped, or taken again.
func (l *loop) halt(halted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.halted = halted
}

// observe tells the control plane facts. Nobody waits for them to be durable but the effects that they cause.
func (l *loop) observe(facts ...cloud.Fact) {
	if len(facts) > 0 {
		l.step(cloud.Observed{Facts: facts})
	}
}

// call carries out an API call and returns when its changes are durable. While the store cannot be written, calls that
// would change something are refused before they do, and those that only ask are answered with what is known.
func (l *loop) call(ctx context.Context, c cloud.Call) (any, error) {
	failing := l.store.Failing()
	if failing != nil && !asks(c.Operation) {
		return nil, unavailable(failing)
	}
	out, ticket := l.step(c)
	if failing != nil {
		return out.Reply, out.Err
	}
	if err := l.store.Wait(ctx, ticket); err != nil {
		if ctx.Err() == nil && asks(c.Operation) {
			return out.Reply, out.Err
		}
		return nil, unavailable(err)
	}
	return out.Reply, out.Err
}

func unavailable(cause error) error {
	return &api.Error{Code: "ServiceUnavailable", Message: "The server cannot keep changes at present: " + cause.Error() + ".",
		Status: http.StatusServiceUnavailable}
}

// asks tells from AWS's way of naming operations whether one only asks.
func asks(operation string) bool {
	for _, verb := range []string{"Describe", "Get", "List", "access-key", "instance-metadata", "explain", "shadow-list", "shadow-report", "mailbox", "patience"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}

// broken tells a defect of this program from an error that a client has made.
func broken(err error) bool {
	_, answer := err.(*api.Error)
	return err != nil && !answer
}

// pause is how long, by the wall clock, the loop leaves a tick alone that has failed: its timers are due still.
const pause = time.Second

// ticks steps whenever the control plane has asked for it, until ctx ends.
func (l *loop) ticks(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var after time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.rearm:
		case <-timer.C:
			if out, _ := l.step(cloud.Tick{}); out.Err != nil {
				after = time.Now().Add(pause)
			}
		}
		l.mu.Lock()
		wake := l.cloud.Wake()
		l.mu.Unlock()
		if wake.IsZero() {
			timer.Stop()
			continue
		}
		timer.Reset(max(l.clock.Until(wake), time.Until(after), 0))
	}
}

func kindOf(in cloud.Input) string {
	switch in := in.(type) {
	case cloud.Call:
		return in.Service + "." + in.Operation
	case cloud.Observed:
		return "facts"
	}
	return "tick"
}
