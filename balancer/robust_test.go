package balancer

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whatever bytes a target answers with, the client gets an HTTP response or a closed
// connection, nothing stays in flight, and the process lives.
func FuzzTargetResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.0 200\r\n\r\nto the end", "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 None\r\n\r\n", "HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "HTTP/1.1 999 X\r\nConnection: x, close\r\nX: y\r\n\r\n", "\x00", "",
	} {
		f.Add([]byte(s))
	}
	var answer []byte
	target := rawTarget(f, func(c net.Conn, br *bufio.Reader) {
		if _, err := readRequest(br); err == nil {
			c.Write(answer)
		}
	})
	r := newRig(f, Options{Log: slog.New(slog.NewTextHandler(failOnWrite{f}, nil))})
	r.apply(f, config(healthy("a", target)))
	addr := r.addr("lb", "l")
	f.Fuzz(func(t *testing.T, b []byte) {
		answer = b
		got := raw(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if got != "" {
			if _, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil); err != nil {
				t.Errorf("%q becomes %q: %v", b, got, err)
			}
		}
		eventually(t, "nothing in flight", func() bool { return r.Snapshot()[0].InFlight == 0 })
	})
}

// failOnWrite fails the test when something is logged: a panic was caught.
type failOnWrite struct{ t testing.TB }

func (w failOnWrite) Write(p []byte) (int, error) {
	w.t.Errorf("logged: %s", p)
	return len(p), nil
}

// Whatever bytes a client sends, others are served.
func FuzzClientRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "PUT /x HTTP/1.0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
		"GET http:// HTTP/1.1\r\nHost: \r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	target := app(f, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "ok")
	})
	r := newRig(f, Options{Log: slog.New(slog.NewTextHandler(failOnWrite{f}, nil))})
	r.apply(f, config(healthy("a", target)))
	addr := r.addr("lb", "l")
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		c.Write(b)
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
		if got := raw(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "ok") {
			t.Errorf("after %q: %q", b, got)
		}
	})
}

// brokenPolicy stands for a mistake of ours.
type brokenPolicy struct{}

func (brokenPolicy) pick([]member) member { panic("a mistake") }

func TestAPanicEndsOneRequest(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	r.Balancer.mu.Lock()
	r.groups["g"] = &group{policy: brokenPolicy{}}
	r.Balancer.mu.Unlock()
	r.apply(t, config(named(t, "a")))
	status, body, _ := get(t, "http://"+r.addr("lb", "l"))
	if status != 500 {
		t.Errorf("%d %s", status, body)
	}
	has(t, log.String(), "a mistake")
	if n := row(r.Collect(), "lb", ""); n.ELB500 != 1 {
		t.Errorf("%+v", n)
	}
	fixed := config(named(t, "b"))
	fixed.TargetGroups[0].Algorithm = AlgorithmRoundRobin
	r.apply(t, fixed)
	if status, _, _ := get(t, "http://"+r.addr("lb", "l")); status != 200 {
		t.Errorf("after it: %d", status)
	}
}

// A client that does not read does not hold the target's connection for ever.
func TestClientThatDoesNotRead(t *testing.T) {
	ended := make(chan struct{})
	target := app(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		io.Copy(w, &pattern{left: 1 << 40})
	})
	r := newRig(t, Options{})
	c := config(healthy("a", target))
	c.LoadBalancers[0].IdleTimeout = 50 * time.Millisecond
	r.apply(t, c)
	conn, err := net.Dial("tcp", r.addr("lb", "l"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("still sending")
	}
}

// Idle connections to a target are closed when they have been idle for long, or at once when
// the target has closed its end.
func TestSweep(t *testing.T) {
	closed := make(chan struct{}, 8)
	target := rawTarget(t, func(c net.Conn, br *bufio.Reader) {
		for {
			if _, err := readRequest(br); err != nil {
				closed <- struct{}{}
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	r := newRig(t, Options{})
	r.apply(t, config(healthy("a", target)))
	url := "http://" + r.addr("lb", "l")
	get(t, url)
	p := r.targets[targetKey{"g", "a", target}].pool(target)
	eventually(t, "one is kept", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.idle) == 1 })
	p.sweep(time.Now().Add(-time.Minute))
	if len(p.idle) != 1 {
		t.Error("swept too early")
	}
	get(t, url) // still usable
	eventually(t, "one is kept", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.idle) == 1 })
	p.sweep(time.Now().Add(time.Minute))
	<-closed
	if len(p.idle) != 0 || len(p.open) != 0 {
		t.Error("not swept")
	}
}

func TestApplyFromReport(t *testing.T) {
	var b *Balancer
	applied := make(chan struct{})
	b = New(Options{Report: func(f Facts) {
		if len(f.Drained) > 0 {
			b.Apply(&Config{})
			close(applied)
		}
	}})
	a := healthy("a", "127.0.0.1:1")
	a.State = StateDraining
	b.Apply(config(a))
	<-applied
	if err := b.Close(context.Background()); err != nil || len(b.Snapshot()) != 0 {
		t.Error(err, b.Snapshot())
	}
}
