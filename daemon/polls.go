package daemon

import (
	"context"
	"strings"
	"sync"
	"time"

	queueapi "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/sqs"
	"github.com/billow-cloud/billow/wire"
)

// polls are the calls that wait for messages of queues. The control plane answers at once; here an empty answer is kept
// back until something arrives, the time is over, or the client, the cloud or the server is gone.
type polls struct {
	mu      sync.Mutex
	waiting map[sqs.Arrived]*poll
	ended   chan struct{} // closed when the server stops
	once    sync.Once
}

// poll is what those have in common who wait for one queue.
type poll struct {
	arrived chan struct{} // closed when something arrives
	waiters int
}

func newPolls() *polls {
	return &polls{waiting: map[sqs.Arrived]*poll{}, ended: make(chan struct{})}
}

// next gives what is closed when the next message arrives in a queue; leave ends the wait for it.
func (p *polls) next(queue sqs.Arrived) (arrived <-chan struct{}, leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.waiting[queue]
	if one == nil {
		one = &poll{arrived: make(chan struct{})}
		p.waiting[queue] = one
	}
	one.waiters++
	return one.arrived, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if one.waiters--; one.waiters == 0 && p.waiting[queue] == one {
			delete(p.waiting, queue) // also that of a queue that was never there
		}
	}
}

// arrived has those ask again who wait for a queue.
func (p *polls) arrived(queue sqs.Arrived) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.waiting[queue]; one != nil {
		close(one.arrived)
		delete(p.waiting, queue)
	}
}

// clear has all ask again.
func (p *polls) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for queue, one := range p.waiting {
		close(one.arrived)
		delete(p.waiting, queue)
	}
}

// end has nobody wait any more.
func (p *polls) end() { p.once.Do(func() { close(p.ended) }) }

// receive is ReceiveMessage as clients see it: with patience, in seconds of the wall clock.
func (d *Daemon) receive(ctx context.Context, c wire.Call, in *queueapi.ReceiveMessageInput) (any, error) {
	queue := sqs.Arrived{Scope: cloud.Scope{Account: c.Account, Region: c.Region}}
	if in.QueueUrl != nil {
		queue.Queue = (*in.QueueUrl)[strings.LastIndexByte(*in.QueueUrl, '/')+1:]
	}
	var over <-chan time.Time
	var next <-chan struct{}
	leave := func() {}
	defer func() { leave() }()
	for {
		leave()
		next, leave = d.polls.next(queue) // before the look: what arrives in between counts
		out, err := d.take(ctx, c)
		got, ok := out.(*queueapi.ReceiveMessageOutput)
		if err != nil || !ok || len(got.Messages) > 0 {
			return out, err
		}
		if over == nil {
			patience, err := d.patience(ctx, queue.Scope, in)
			if err != nil || patience <= 0 {
				return out, nil
			}
			timer := time.NewTimer(patience)
			defer timer.Stop()
			over = timer.C
		}
		select {
		case <-next:
		case <-over:
			return out, nil
		case <-d.polls.ended:
			return out, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// patience asks the control plane how long a call would wait.
func (d *Daemon) patience(ctx context.Context, scope cloud.Scope, in *queueapi.ReceiveMessageInput) (time.Duration, error) {
	d.resetting.RLock()
	defer d.resetting.RUnlock()
	out, err := d.loop.call(ctx, cloud.Call{Scope: scope, Service: sqs.Name, Operation: "patience", In: in})
	if err != nil {
		return 0, err
	}
	return out.(*sqs.Patience).Wait, nil
}
