package balancer

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func tcpConfig(targets ...Target) *Config {
	c := config(targets...)
	c.LoadBalancers[0].Kind = KindClassic
	c.LoadBalancers[0].Listeners[0].Protocol = ProtocolTCP
	return c
}

// A TCP target that reads until the client has finished, then answers: half-close both ways.
func TestTCPRoundRobinAndHalfClose(t *testing.T) { // LB-CL-04
	var targets []Target
	for _, name := range []string{"a", "b", "c"} {
		targets = append(targets, healthy(name, rawTarget(t, func(c net.Conn, br *bufio.Reader) {
			b, _ := io.ReadAll(br)
			io.WriteString(c, name+" got "+string(b))
		})))
	}
	r := newRig(t, Options{})
	r.apply(t, tcpConfig(targets...))
	got := ""
	for range 4 {
		c, err := net.Dial("tcp", r.addr("lb", "l"))
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(5 * time.Second))
		io.WriteString(c, "hi")
		c.(*net.TCPConn).CloseWrite()
		b, err := io.ReadAll(c)
		if err != nil {
			t.Error(err)
		}
		c.Close()
		got += string(b) + ";"
	}
	if got != "a got hi;b got hi;c got hi;a got hi;" {
		t.Error(got)
	}
	eventually(t, "all connections closed", func() bool { return r.Snapshot()[0].InFlight == 0 })
	rows := r.Collect()
	if n := row(rows, "lb", "g"); n.RequestCount != 4 {
		t.Errorf("%+v", n)
	}
	if n := row(rows, "lb", ""); n.NewConnectionCount != 4 || n.ProcessedBytes != 4*int64(len("hi")+len("a got hi")) {
		t.Errorf("%+v", n)
	}
}

func TestTCPIdle(t *testing.T) { // LB-CL-02
	ended := make(chan error, 1)
	target := rawTarget(t, func(c net.Conn, br *bufio.Reader) {
		_, err := io.Copy(io.Discard, br)
		ended <- err
	})
	r := newRig(t, Options{})
	c := tcpConfig(healthy("a", target))
	c.LoadBalancers[0].IdleTimeout = 200 * time.Millisecond
	r.apply(t, c)
	conn, err := net.Dial("tcp", r.addr("lb", "l"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Error(err)
	}
	<-ended
}

func TestIdleWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var limit, fired atomic.Int64
		limit.Store(int64(time.Minute))
		idle := func() time.Duration { return time.Duration(limit.Load()) }
		w := watchIdle(idle, func() { fired.Store(int64(time.Since(start))) })
		for range 5 {
			time.Sleep(50 * time.Second)
			w.touch()
		}
		limit.Store(int64(2 * time.Minute)) // a new configuration
		time.Sleep(time.Hour)
		if d := time.Duration(fired.Load()); d != 250*time.Second+2*time.Minute {
			t.Errorf("fired after %s", d)
		}
		stopped := watchIdle(idle, func() { t.Error("fired though stopped") })
		stopped.stop()
		time.Sleep(time.Hour)
	})
}

func TestTCPWithoutTarget(t *testing.T) {
	r := newRig(t, Options{})
	r.apply(t, tcpConfig())
	if got := raw(t, r.addr("lb", "l"), ""); got != "" {
		t.Error(got)
	}
}

func TestClassicInstancePort(t *testing.T) {
	target := named(t, "a")
	_, port, _ := net.SplitHostPort(target.Address)
	target.Address = "127.0.0.1:1" // where the health check would go
	c := config(target)
	p, _ := net.LookupPort("tcp", port)
	c.LoadBalancers[0].Kind = KindClassic
	c.LoadBalancers[0].Listeners[0].InstancePort = p
	r := newRig(t, Options{})
	r.apply(t, c)
	if status, body, _ := get(t, "http://"+r.addr("lb", "l")); status != 200 || body != "a" {
		t.Error(status, body)
	}
}

// Ports open and close by difference; what cannot be opened is said, and the rest works.
func TestListeners(t *testing.T) {
	taken, err := net.Listen("tcp", "127.83.12.9:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := netip.MustParseAddrPort(taken.Addr().String())
	c := config(named(t, "a"))
	lb := &c.LoadBalancers[0]
	lb.Address = busy.Addr()
	forward := lb.Listeners[0].Forward
	lb.Listeners = append(lb.Listeners,
		Listener{ID: "busy", Protocol: ProtocolHTTP, Port: int(busy.Port()), Forward: forward},
		Listener{ID: "secure", Protocol: "HTTPS", Port: 1, Forward: forward},
		Listener{ID: "lost", Protocol: ProtocolHTTP, Forward: []WeightedTargetGroup{{TargetGroup: "none", Weight: 1}}})
	c.TargetGroups[0].HealthCheck.Matcher = "2xx"
	r := newRig(t, Options{})
	problems := r.Apply(c)
	text := ""
	for _, p := range problems {
		text += p.Listener + p.TargetGroup + ": " + p.Message + "\n"
	}
	has(t, text, "busy: Listener busy of lb cannot listen on "+busy.String()+": the address is in use by another program.\n")
	has(t, text, "secure: Listener secure of lb cannot listen on 127.83.12.9:1: listeners of protocol HTTPS are not implemented.\n")
	has(t, text, "lost: Listener lost of lb forwards to target group none, which does not exist.\n")
	has(t, text, "g: The matcher \"2xx\" of target group g is not a list")
	if len(problems) != 4 {
		t.Error(text)
	}
	addr := r.addr("lb", "l")
	if status, _, _ := get(t, "http://"+addr); status != 200 {
		t.Errorf("the rest: %d", status)
	}
	if status, _, _ := get(t, "http://"+r.addr("lb", "lost")); status != 503 {
		t.Errorf("without its group: %d", status)
	}
	taken.Close()
	next := *c
	next.LoadBalancers = []LoadBalancer{*lb}
	next.LoadBalancers[0].Listeners = lb.Listeners[1:2:2] // only busy, which is free now
	next.TargetGroups = config(named(t, "b")).TargetGroups
	r.apply(t, &next)
	if _, body, _ := get(t, "http://"+busy.String()); body != "b" {
		t.Errorf("tried again: %s", body)
	}
	if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the removed listener: %v", err)
	}
	// The same address passes to another listener, of another protocol, in one change.
	last := tcpConfig(named(t, "c"))
	last.LoadBalancers[0].Address = busy.Addr()
	last.LoadBalancers[0].Listeners[0].Port = int(busy.Port())
	r.apply(t, last)
	if _, body, _ := get(t, "http://"+busy.String()); body != "c" {
		t.Errorf("passed on: %s", body)
	}
}

// A request under way on a listener that is removed, or at Close, ends as it would have.
func TestOpenRequestsEnd(t *testing.T) {
	for _, how := range []string{"removed", "closed"} {
		arrived, finish := make(chan struct{}), make(chan struct{})
		target := app(t, func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-finish
			io.WriteString(w, "done")
		})
		r := newRig(t, Options{})
		r.apply(t, config(healthy("a", target)))
		addr := r.addr("lb", "l")
		answer, closed := make(chan string), make(chan error)
		go func() { answer <- raw(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") }()
		<-arrived
		if how == "removed" {
			c := config(healthy("a", target))
			c.LoadBalancers = nil
			r.apply(t, c)
		} else {
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				closed <- r.Close(ctx)
			}()
		}
		eventually(t, "not listening", func() bool {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		close(finish)
		if got := <-answer; !strings.HasSuffix(got, "done") {
			t.Errorf("%s: %q", how, got)
		}
		if how == "closed" {
			if err := <-closed; err != nil {
				t.Error(err)
			}
			if p := r.Apply(config()); len(p) != 1 || p[0].Message != "The balancer is closed." {
				t.Error(p)
			}
		}
	}
}

func TestCloseCutsWhatDoesNotEnd(t *testing.T) {
	arrived := make(chan struct{})
	target := app(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	r := newRig(t, Options{})
	r.apply(t, config(healthy("a", target)))
	go raw(t, r.addr("lb", "l"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := r.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	r := newRig(t, Options{MaxConnections: 2})
	r.apply(t, config(named(t, "a")))
	addr := r.addr("lb", "l")
	for range 2 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	eventually(t, "two connections", func() bool {
		r.Balancer.mu.Lock()
		defer r.Balancer.mu.Unlock()
		return r.lbStats["lb"].active.Load() == 2
	})
	if got := raw(t, addr, ""); got != "" {
		t.Error(got)
	}
	if n := row(r.Collect(), "lb", ""); n.RejectedConnectionCount != 1 || n.NewConnectionCount != 2 {
		t.Errorf("%+v", n)
	}
}
