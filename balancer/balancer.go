package balancer

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Floors, in wall time: a time-out of cloud time is divided by the time scale, but what
// waits for a real program is not made shorter than this (nor longer than it is at scale 1).
const (
	idleFloor    = 10 * time.Second      // idle and keep-alive time-outs
	connectFloor = 2 * time.Second       // connecting to a target
	healthFloor  = time.Second           // time-out of a health check
	checkFloor   = 20 * time.Millisecond // interval of health checks
	sweepEvery   = 2 * time.Second       // idle connections to targets
	retireGrace  = 30 * time.Second      // open requests of a removed listener
	connectTime  = 10 * time.Second      // LB-ER-12, cloud time
)

// Options are what a balancer is made with; they do not change.
type Options struct {
	// Dial reaches targets, which may live in private networks. It must end when ctx ends.
	// Nil dials from this process's own network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Report is given facts as they come. Calls do not overlap; a slow call delays and
	// gathers facts, nothing else. It may call Apply.
	Report func(Facts)
	// TimeScale is how many times as fast as the wall clock the cloud's clock runs; 0 is 1.
	// Time-outs that wait for programs have floors in wall time: idle time-outs 10 s,
	// connecting 2 s, health checks 1 s (or their unscaled value, if that is less).
	// Intervals of health checks go down to 20 ms.
	TimeScale float64
	// MaxConnections bounds the open client connections of each load balancer; further ones
	// are closed at once and counted as rejected. 0 is 8192.
	MaxConnections int
	// Log gets what should not happen; nil discards it.
	Log *slog.Logger
}

// Balancer is a running data plane. Its methods may be called from any goroutine.
type Balancer struct {
	options        Options
	connectTimeout time.Duration
	facts          *factQueue
	table          atomic.Pointer[table]
	checkSlots     chan struct{} // bounds the health checks under way
	stop           context.Context
	stopNow        context.CancelFunc

	mu          sync.Mutex // Apply, Collect, Snapshot, Close: never a request
	closed      bool
	targets     map[targetKey]*target
	groups      map[string]*group
	lbStats     map[string]*lbStats
	targetStats map[statsKey]*targetStats
	checkers    map[targetKey]*checker
	retiring    sync.WaitGroup
}

// New starts a balancer with an empty configuration.
func New(o Options) *Balancer {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.TimeScale <= 0 {
		o.TimeScale = 1
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = 8192
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Balancer{
		options: o, facts: newFactQueue(o.Report), checkSlots: make(chan struct{}, 512),
		targets: map[targetKey]*target{}, groups: map[string]*group{},
		lbStats: map[string]*lbStats{}, targetStats: map[statsKey]*targetStats{},
		checkers: map[targetKey]*checker{},
	}
	b.connectTimeout = b.wall(connectTime, connectFloor)
	b.stop, b.stopNow = context.WithCancel(context.Background())
	empty, _ := b.compile(&Config{})
	b.table.Store(empty)
	go b.sweep()
	return b
}

// wall is a duration of cloud time in wall time.
func (b *Balancer) wall(cloud, floor time.Duration) time.Duration {
	return max(time.Duration(float64(cloud)/b.options.TimeScale), min(cloud, floor))
}

// Apply makes c the configuration. On return, requests that begin are handled according to
// c; those under way end as they began. What could not be done is returned, and the rest
// was done. It does not wait for requests.
func (b *Balancer) Apply(c *Config) []Problem {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return []Problem{{Message: "The balancer is closed."}}
	}
	old := b.table.Load()
	next, problems := b.compile(c)
	// The order matters: first new requests go by the new views, then targets close.
	for f, v := range next.views {
		f.view.Store(v)
	}
	b.table.Store(next)
	problems = append(problems, b.listen(old, next)...)
	for key, t := range b.targets {
		if place := next.targets[key]; place != nil {
			t.follow(place)
		} else {
			t.cut()
			delete(b.targets, key)
		}
	}
	for id := range b.groups {
		if next.groups[id] == nil {
			delete(b.groups, id)
		}
	}
	b.check(next)
	return problems
}

// Match finds the load balancer with this DNS name (a Host header, with or without port)
// and returns the handler of its HTTP listener: the one on port 80 if there is one, else its
// first.
func (b *Balancer) Match(host string) (http.Handler, bool) {
	hosts := b.table.Load().hosts
	if f, ok := hosts[host]; ok {
		return f, true
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	f, ok := hosts[strings.ToLower(strings.TrimSuffix(host, "."))]
	if !ok {
		return nil, false
	}
	return f, true
}

// ServeHTTP serves a request for a load balancer by its Host header; 404 if there is none
// with that name.
func (b *Balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := b.Match(r.Host); ok {
		h.ServeHTTP(w, r)
		return
	}
	http.Error(w, "no load balancer has this name", http.StatusNotFound)
}

// sweep closes connections to targets that have been idle for long.
func (b *Balancer) sweep() {
	every := time.NewTicker(sweepEvery)
	defer every.Stop()
	idle := b.wall(60*time.Second, idleFloor)
	for {
		select {
		case <-b.stop.Done():
			return
		case <-every.C:
		}
		var pools []*pool
		b.mu.Lock()
		for _, t := range b.targets {
			t.mu.Lock()
			for _, p := range t.pools {
				pools = append(pools, p)
			}
			t.mu.Unlock()
		}
		b.mu.Unlock()
		for _, p := range pools {
			p.sweep(time.Now().Add(-idle))
		}
	}
}

// Close stops checking and listening, lets open requests end until ctx is done, then cuts
// what is left.
func (b *Balancer) Close(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.stopNow()
	for key, k := range b.checkers {
		k.close()
		delete(b.checkers, key)
	}
	for _, f := range b.table.Load().fronts {
		b.retire(ctx, f)
	}
	b.mu.Unlock()
	ended := make(chan struct{})
	go func() { b.retiring.Wait(); close(ended) }()
	var err error
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	b.mu.Lock()
	for _, t := range b.targets {
		t.cut()
	}
	b.mu.Unlock()
	<-ended
	b.facts.close()
	return err
}
