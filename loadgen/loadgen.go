// Package loadgen sends HTTP requests at a rate that does not depend on the answers: an
// open-loop load generator. It is not a benchmark of the greatest possible throughput, and
// it knows nothing of what it loads.
//
// The one idea: a schedule says when each request is meant to be sent, and latency counts
// from that instant, whenever the request was really sent. A generator that waits for
// answers hides exactly the requests that a slow server would have made wait.
//
// Invariants: what was due is sent, or counted as failed with the reason; every request
// that was sent is counted once as answered, failed or cancelled; the number in flight, and
// the time that each may take, are bounded.
package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// Options are what a generator is made with.
type Options struct {
	// URL to get. NewRequest, if given, makes each request instead.
	URL        string
	NewRequest func() (*http.Request, error)
	// Address, if given, is connected to instead of the URL's host, which stays in the Host
	// header: for names that only the server at Address knows.
	Address string
	// Transport, if given, is used instead of one of the generator's own.
	Transport http.RoundTripper
	// Timeout bounds each request, from its intended time until its body has been read; 0 is 10 s.
	Timeout time.Duration
	// MaxInFlight bounds the requests under way; what is due while there are so many is
	// counted as failed, not sent later. 0 is 1000.
	MaxInFlight int
	// Duration ends the run; 0 is until Stop or the context.
	Duration time.Duration
	// Poisson spaces requests at random, as independent users do, by Seed. Else they are
	// evenly spaced.
	Poisson bool
	Seed    uint64
	// Each is called once per second of the run, and once for the part of a second at its
	// end, by one goroutine.
	Each func(Second)
}

// Generator is a load generator. Its rate may be changed while it runs.
type Generator struct {
	options Options
	client  *http.Client
	tokens  chan struct{} // one per request in flight
	stats   stats

	mu      sync.Mutex
	pace    pace
	changed chan struct{} // closed when pace was changed from outside
	stop    chan struct{}
	stopped bool
}

// New makes a generator with rate 0.
func New(o Options) *Generator {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = 1000
	}
	if o.NewRequest == nil {
		o.NewRequest = func() (*http.Request, error) { return http.NewRequest(http.MethodGet, o.URL, nil) }
	}
	if o.Transport == nil {
		dialer := net.Dialer{}
		o.Transport = &http.Transport{
			MaxIdleConnsPerHost: o.MaxInFlight, DisableCompression: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if o.Address != "" {
					address = o.Address
				}
				return dialer.DialContext(ctx, network, address)
			},
		}
	}
	g := &Generator{
		options: o, tokens: make(chan struct{}, o.MaxInFlight), changed: make(chan struct{}), stop: make(chan struct{}),
		client: &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}
	g.pace.draw = func() float64 { return 1 }
	if o.Poisson {
		g.pace.draw = rand.New(rand.NewPCG(o.Seed, 0)).ExpFloat64
	}
	return g
}

// SetRate changes the rate to rps requests per second, from now on.
func (g *Generator) SetRate(rps float64) { g.Ramp(rps, 0) }

// Ramp changes the rate evenly from what it is now to rps, over that time.
func (g *Generator) Ramp(rps float64, over time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace.change(time.Now(), max(rps, 0), over)
	close(g.changed)
	g.changed = make(chan struct{})
}

// Rate is the rate that is meant to be sent now.
func (g *Generator) Rate() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pace.rate(time.Now())
}

// Stop ends sending; Run returns when what is in flight has ended.
func (g *Generator) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stopped {
		g.stopped = true
		close(g.stop)
	}
}

// Run sends until Duration is over, Stop or the end of ctx, and returns what came of it. The
// end of ctx also ends what is in flight: that counts as cancelled, not as failed. A
// generator runs once.
func (g *Generator) Run(ctx context.Context) Summary {
	start := time.Now()
	g.mu.Lock()
	g.pace.begin(start)
	g.mu.Unlock()
	g.stats.begin(start)
	var end <-chan time.Time
	if g.options.Duration > 0 {
		t := time.NewTimer(g.options.Duration)
		defer t.Stop()
		end = t.C
	}
	seconds, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); g.everySecond(seconds) }()
	var inFlight sync.WaitGroup
	g.send(ctx, end, &inFlight)
	inFlight.Wait()
	close(seconds)
	<-ended
	if t, ok := g.options.Transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
	return g.stats.summary(time.Now())
}

// send starts each request when it is due.
func (g *Generator) send(ctx context.Context, end <-chan time.Time, inFlight *sync.WaitGroup) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		g.mu.Lock()
		due, ok := g.pace.next()
		changed := g.changed
		g.mu.Unlock()
		var fires <-chan time.Time
		if ok {
			timer.Reset(time.Until(due))
			fires = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-end:
			return
		case <-g.stop:
			return
		case <-changed:
			continue
		case <-fires:
		}
		g.mu.Lock()
		if now, ok := g.pace.next(); !ok || now != due { // changed at the last moment
			g.mu.Unlock()
			continue
		}
		g.pace.take(due)
		g.mu.Unlock()
		g.start(ctx, due, inFlight)
	}
}

func (g *Generator) start(ctx context.Context, due time.Time, inFlight *sync.WaitGroup) {
	select {
	case g.tokens <- struct{}{}:
	default:
		g.stats.notSent(fmt.Sprintf("not sent: %d in flight", g.options.MaxInFlight))
		return
	}
	g.stats.sent(time.Since(due))
	inFlight.Go(func() {
		defer func() { <-g.tokens }()
		status, err := g.exchange(ctx, due)
		g.stats.ended(due, status, err, ctx.Err() != nil)
	})
}

// exchange makes one request and reads the whole answer.
func (g *Generator) exchange(ctx context.Context, due time.Time) (status int, err error) {
	ctx, cancel := context.WithDeadline(ctx, due.Add(g.options.Timeout))
	defer cancel()
	r, err := g.options.NewRequest()
	if err != nil {
		return 0, err
	}
	res, err := g.client.Do(r.WithContext(ctx))
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

func (g *Generator) everySecond(end <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		last := false
		select {
		case <-tick.C:
		case <-end:
			last = true
		}
		s := g.stats.second(time.Now(), g.Rate())
		if g.options.Each != nil {
			g.options.Each(s)
		}
		if last {
			return
		}
	}
}

// reason names why a request failed, in words that are the same for the same cause.
func reason(status int, err error) string {
	var ne net.Error
	switch {
	case err == nil:
		return fmt.Sprintf("HTTP %d", status)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}
