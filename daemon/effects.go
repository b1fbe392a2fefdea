package daemon

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/store"
)

// effects starts wishes once the changes that they came with are durable: those about one thing in the order in which
// they were made, those about different things side by side.
type effects struct {
	store *store.Store
	log   *slog.Logger
	// key names what an effect is about; do carries it out. An effect with an empty key is carried out at once, in
	// order, and must not block.
	key func(cloud.Effect) string
	do  func(context.Context, cloud.Effect)

	mu        sync.Mutex
	pending   []pending
	more      chan struct{}
	queues    map[string][]cloud.Effect // what is waiting per key; the key is present while one is being carried out
	idle      *sync.Cond
	starting  bool   // run is between taking what is pending and having started it
	forgotten uint64 // how often forget was called: what was taken before that is not started any more
}

type pending struct {
	ticket store.Ticket
	wishes []cloud.Effect
}

func newEffects(s *store.Store, log *slog.Logger, key func(cloud.Effect) string, do func(context.Context, cloud.Effect)) *effects {
	e := &effects{store: s, log: log, key: key, do: do, more: make(chan struct{}, 1), queues: map[string][]cloud.Effect{}}
	e.idle = sync.NewCond(&e.mu)
	return e
}

// add queues wishes behind a ticket.
func (e *effects) add(t store.Ticket, wishes []cloud.Effect) {
	if len(wishes) == 0 {
		return
	}
	e.mu.Lock()
	e.pending = append(e.pending, pending{t, wishes})
	e.mu.Unlock()
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// run starts effects until ctx ends, then waits for those under way.
func (e *effects) run(ctx context.Context) {
	defer e.drain()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.more:
		}
		e.mu.Lock()
		batch, forgotten := e.pending, e.forgotten
		e.pending, e.starting = nil, true
		e.mu.Unlock()
		for _, p := range batch {
			if !e.durable(ctx, p.ticket, forgotten) {
				break
			}
			for _, w := range p.wishes {
				e.start(ctx, w)
			}
		}
		e.mu.Lock()
		e.starting = false
		e.idle.Broadcast()
		e.mu.Unlock()
	}
}

// durable waits as long as it takes: an effect must never run ahead of the rows that explain it. It is false when the
// effects are not wanted any more.
func (e *effects) durable(ctx context.Context, t store.Ticket, forgotten uint64) bool {
	for {
		err := e.store.Wait(ctx, t)
		e.mu.Lock()
		wanted := e.forgotten == forgotten
		e.mu.Unlock()
		if err == nil || !wanted || ctx.Err() != nil {
			return err == nil && wanted
		}
		e.log.Error("effects are waiting for the store", "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Second):
		}
	}
}

func (e *effects) start(ctx context.Context, w cloud.Effect) {
	key := e.key(w)
	if key == "" {
		e.do(ctx, w)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	queue, busy := e.queues[key]
	if n := len(queue); n > 0 && repeats(queue[n-1], w) {
		queue[n-1] = w // the same wish, made again before its turn came
		return
	}
	e.queues[key] = append(queue, w)
	if !busy {
		go e.work(ctx, key)
	}
}

// repeats tells whether a wish is one that waits, made again, so that the newer one is enough.
func repeats(waiting, w cloud.Effect) bool {
	return reflect.TypeOf(waiting) == reflect.TypeOf(w) && part(waiting) == part(w)
}

// part tells wishes of one kind and key apart that must all be carried out: the key of two images or messages is where
// they come from or go to.
func part(w cloud.Effect) string {
	switch w := w.(type) {
	case sns.DeliverHTTP:
		return w.MessageID
	case ec2.CaptureImage:
		return w.ImageID
	case ec2.DetachVolumeData: // a volume that was found in a place where it should not be is to leave that one
		return w.InstanceID
	}
	return ""
}

// work carries out what is queued for one key, and ends with the queue.
func (e *effects) work(ctx context.Context, key string) {
	for {
		e.mu.Lock()
		queue := e.queues[key]
		if len(queue) == 0 || ctx.Err() != nil {
			delete(e.queues, key)
			e.idle.Broadcast()
			e.mu.Unlock()
			return
		}
		w := queue[0]
		e.queues[key] = queue[1:]
		e.mu.Unlock()
		e.do(ctx, w)
	}
}

// drain waits until nothing is being carried out.
func (e *effects) drain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.queues) > 0 || e.starting {
		e.idle.Wait()
	}
}

// forget drops what has not been started, and waits for the rest.
func (e *effects) forget() {
	e.mu.Lock()
	e.pending = nil
	e.forgotten++
	for key := range e.queues {
		e.queues[key] = nil
	}
	e.mu.Unlock()
	e.drain()
}
