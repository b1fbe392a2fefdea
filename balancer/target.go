package balancer

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

type targetKey struct{ group, id, address string }

// target is what stays of a target while configurations come and go.
//
//	           drain            last request ends: fact Drained
//	open  ------------->  draining  ------------------->  closed
//	 ^                       |                              |
//	 +-----------------------+---- registered anew ---------+
//
// From any of them it is closed and cut when it is missing from a Config.
type target struct {
	b   *Balancer
	key targetKey
	// load is the number of requests in flight, plus shut while no request may begin:
	// beginning a request and closing an idle target are each one atomic operation, so a
	// target that was reported as drained stays so.
	load     atomic.Int64
	draining atomic.Bool // written under mu
	config   atomic.Pointer[Target]

	mu    sync.Mutex
	pools map[string]*pool // by address; more than one with classic instance ports
}

const shut = math.MinInt64 / 2

// acquire begins a request or connection; if false, choose again from the current view.
func (t *target) acquire() bool {
	if t.load.Add(1) > 0 {
		return true
	}
	t.load.Add(-1)
	return false
}

func (t *target) release() {
	if t.load.Add(-1) == 0 && t.draining.Load() {
		t.mu.Lock()
		t.closeIfDrained()
		t.mu.Unlock()
	}
}

func (t *target) inFlight() int64 {
	if n := t.load.Load(); n >= 0 {
		return n
	} else {
		return n - shut
	}
}

func (t *target) closeIfDrained() {
	if t.draining.Load() && t.load.CompareAndSwap(0, shut) {
		t.b.facts.drained(Drained{TargetGroup: t.key.group, Target: t.key.id, At: time.Now()})
		for _, p := range t.pools {
			p.closeIdle()
		}
	}
}

// follow takes over the target's place in a new configuration.
func (t *target) follow(c *Target) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.config.Store(c)
	if c.State == StateDraining {
		t.draining.Store(true)
		t.closeIfDrained()
		return
	}
	t.draining.Store(false)
	if t.load.Load() < 0 {
		t.load.Add(-shut) // registered anew (LB-DR-03)
	}
}

// cut ends a target that is no longer configured, with all that is open (LB-DR-02).
func (t *target) cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining.Store(false)
	if t.load.Load() >= 0 {
		t.load.Add(shut)
	}
	for _, p := range t.pools {
		p.cut()
	}
}

func (t *target) pool(address string) *pool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pools[address]
	if p == nil {
		p = &pool{b: t.b, address: address, open: map[*backend]struct{}{}}
		if t.pools == nil {
			t.pools = map[string]*pool{}
		}
		t.pools[address] = p
	}
	return p
}
