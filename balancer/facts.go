package balancer

import "sync"

// factQueue gathers facts while the previous ones are being reported, so that a slow
// receiver gets fewer and larger reports.
type factQueue struct {
	report func(Facts)

	mu      sync.Mutex
	pending Facts
	wake    chan struct{} // of size 1
	stop    chan struct{}
	stopped chan struct{}
}

func newFactQueue(report func(Facts)) *factQueue {
	q := &factQueue{report: report, wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
	go q.run()
	return q
}

func (q *factQueue) health(r HealthResult) {
	q.mu.Lock()
	q.pending.Health = append(q.pending.Health, r)
	q.mu.Unlock()
	q.ring()
}

func (q *factQueue) drained(d Drained) {
	q.mu.Lock()
	q.pending.Drained = append(q.pending.Drained, d)
	q.mu.Unlock()
	q.ring()
}

func (q *factQueue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *factQueue) run() {
	defer close(q.stopped)
	for {
		select {
		case <-q.wake:
			q.flush()
		case <-q.stop:
			q.flush()
			return
		}
	}
}

func (q *factQueue) flush() {
	q.mu.Lock()
	facts := q.pending
	q.pending = Facts{}
	q.mu.Unlock()
	if len(facts.Health)+len(facts.Drained) > 0 && q.report != nil {
		q.report(facts)
	}
}

// close reports what is pending and ends.
func (q *factQueue) close() {
	close(q.stop)
	<-q.stopped
}
