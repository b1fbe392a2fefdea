package balancer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// rig is a balancer with its facts, on a loopback address, with ports that the kernel gives.
type rig struct {
	*Balancer
	mu     sync.Mutex
	health []HealthResult
	gone   []Drained
	news   chan struct{}
}

func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	r := &rig{news: make(chan struct{}, 1)}
	o.Report = func(f Facts) {
		r.mu.Lock()
		r.health = append(r.health, f.Health...)
		r.gone = append(r.gone, f.Drained...)
		r.mu.Unlock()
		select {
		case r.news <- struct{}{}:
		default:
		}
	}
	r.Balancer = New(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		_ = r.Close(ctx)
	})
	return r
}

// apply fails the test if there is a problem.
func (r *rig) apply(t testing.TB, c *Config) {
	t.Helper()
	for _, p := range r.Apply(c) {
		t.Fatal(p.Message)
	}
}

// addr is where a listener listens.
func (r *rig) addr(lb, listener string) string {
	r.Balancer.mu.Lock()
	defer r.Balancer.mu.Unlock()
	return r.table.Load().fronts[frontKey{lb, listener}].socket.listener.Addr().String()
}

// until waits for facts that satisfy ok.
func (r *rig) until(t testing.TB, what string, ok func(health []HealthResult, gone []Drained) bool) {
	t.Helper()
	limit := time.After(5 * time.Second)
	for {
		r.mu.Lock()
		done := ok(r.health, r.gone)
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-r.news:
		case <-limit:
			t.Fatalf("after 5 s still not: %s", what)
		}
	}
}

// eventually waits for a condition that no event announces.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("after 5 s still not: %s", what)
}

// config is one load balancer "lb" with one HTTP listener "l" to one group "g".
func config(targets ...Target) *Config {
	return &Config{
		LoadBalancers: []LoadBalancer{{
			ID: "lb", Kind: KindApplication, DNSNames: []string{"web-1.us-east-1.elb.localhost"},
			Address: netip.MustParseAddr("127.0.0.1"),
			Listeners: []Listener{{ID: "l", Protocol: ProtocolHTTP,
				Forward: []WeightedTargetGroup{{TargetGroup: "g", Weight: 1}}}},
		}},
		TargetGroups: []TargetGroup{{ID: "g", Targets: targets}},
	}
}

func healthy(id, address string) Target {
	return Target{ID: id, Address: address, Zone: "us-east-1a", State: StateHealthy}
}

// app is a small program behind the balancer.
func app(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.Listener.Addr().String()
}

// named answers with its name.
func named(t testing.TB, name string) Target {
	return healthy(name, app(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) }))
}

// rawTarget lets a test write the target's side of each connection by hand.
func rawTarget(t testing.TB, serve func(c net.Conn, br *bufio.Reader)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { ln.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer c.Close(); serve(c, bufio.NewReader(c)) })
		}
	})
	return ln.Addr().String()
}

// readRequest reads a request head and its body of known length.
func readRequest(br *bufio.Reader) (*http.Request, error) {
	r, err := http.ReadRequest(br)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return r, err
}

func get(t testing.TB, url string) (status int, body string, h http.Header) {
	t.Helper()
	res, err := client(t).Get(url)
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, string(b), res.Header
}

func client(t testing.TB) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// raw sends text and reads all that comes back.
func raw(t testing.TB, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprint(c, text)
	b, _ := io.ReadAll(c) // a reset after the answer is as good as an end
	return string(b)
}

// row is the sum of counters that match.
func row(rows []Counters, lb, group string) Counters {
	for _, c := range rows {
		if c.LoadBalancer == lb && c.TargetGroup == group {
			return c
		}
	}
	return Counters{}
}

func has(t testing.TB, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q is not in:\n%s", part, text)
	}
}
