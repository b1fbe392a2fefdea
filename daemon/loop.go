package daemon

import (
	"context"
	"log/slog"
	"sync"
	"time"

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

	mu      sync.Mutex
	cloud   *cloud.Cloud
	effects *effects
	rearm   chan struct{}
	steps   uint64
}

// step takes one input and returns what it gave and the ticket after which it may be answered.
func (l *loop) step(in cloud.Input) (cloud.Output, store.Ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, rows := l.one(in)
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

func (l *loop) one(in cloud.Input) (cloud.Output, []store.Row) {
	out := l.cloud.Step(l.clock.Now(), in)
	l.steps++
	if defect, ok := out.Err.(*cloud.Defect); ok {
		l.log.Error("a step failed and was undone", "input", kindOf(in), "defect", defect.Value, "stack", string(defect.Stack))
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
		out, more := l.one(cloud.Observed{Facts: facts})
		rows, wishes = append(rows, more...), out.Effects
	}
	return rows, append(others, wishes...)
}

// observe tells the control plane facts. Nobody waits for them to be durable but the effects that they cause.
func (l *loop) observe(facts ...cloud.Fact) {
	if len(facts) > 0 {
		l.step(cloud.Observed{Facts: facts})
	}
}

// call carries out an API call and returns when its changes are durable.
func (l *loop) call(ctx context.Context, c cloud.Call) (any, error) {
	out, ticket := l.step(c)
	if err := l.store.Wait(ctx, ticket); err != nil {
		return nil, err
	}
	return out.Reply, out.Err
}

// ticks steps whenever the control plane has asked for it, until ctx ends.
func (l *loop) ticks(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.rearm:
		case <-timer.C:
			l.step(cloud.Tick{})
		}
		l.mu.Lock()
		wake := l.cloud.Wake()
		l.mu.Unlock()
		if wake.IsZero() {
			timer.Stop()
			continue
		}
		timer.Reset(max(l.clock.Until(wake), 0))
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
