package demo

import (
	"context"
	"net"
	"net/url"
	"sync"

	"github.com/billow-cloud/billow/loadgen"
)

// load is the demo's traffic: an open-loop generator and what it has counted so far.
type load struct {
	generator *loadgen.Generator
	ended     chan struct{}

	mu      sync.Mutex
	totals  totals
	summary loadgen.Summary
}

// totals are the last full second and the sums since the start.
type totals struct {
	loadgen.Second
	AllAnswered int64
	AllFailed   int
}

// startLoad sends requests to the load balancer's name. The name is resolved here, since not every resolver knows names
// under .localhost: they are all this host.
func startLoad(ctx context.Context, endpoint, dnsName string, rate float64) (*load, error) {
	server, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	l := &load{ended: make(chan struct{})}
	l.generator = loadgen.New(loadgen.Options{
		URL: "http://" + net.JoinHostPort(dnsName, server.Port()) + "/", Address: server.Host, Each: l.each,
	})
	l.generator.SetRate(rate)
	go func() {
		defer close(l.ended)
		summary := l.generator.Run(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.summary = summary
	}()
	return l, nil
}

func (l *load) each(s loadgen.Second) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.totals.Second = s
	l.totals.AllAnswered += s.Answered
	l.totals.AllFailed += s.Failures()
}

// now is what has been counted so far; all zero before the load has begun.
func (l *load) now() totals {
	if l == nil {
		return totals{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.totals
}

// end stops sending and waits for what is in flight.
func (l *load) end() loadgen.Summary {
	l.generator.Stop()
	<-l.ended
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.summary
}
