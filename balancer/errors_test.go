package balancer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The load balancer's own answers, by what the target does (section LB-ER).
func TestTargetFailures(t *testing.T) {
	refused := func() string {
		ln, _ := net.Listen("tcp", "127.0.0.1:0")
		defer ln.Close()
		return ln.Addr().String()
	}
	respond := func(text string) func(testing.TB) string {
		return func(t testing.TB) string {
			return rawTarget(t, func(c net.Conn, br *bufio.Reader) {
				if _, err := readRequest(br); err == nil {
					io.WriteString(c, text)
				}
			})
		}
	}
	big := "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 33<<10) + "\r\n\r\n"
	for _, c := range []struct {
		rule, name string
		target     func(testing.TB) string
		status     int
		connErrors int64
	}{
		{"LB-ER-10", "refused", func(testing.TB) string { return refused() }, 502, 1},
		{"LB-ER-10", "end of file instead of a response", respond(""), 502, 0},
		{"LB-ER-10", "malformed", respond("hello\r\n\r\n"), 502, 0},
		{"LB-ER-10", "bad status", respond("HTTP/1.1 042 Who\r\n\r\n"), 502, 0},
		{"LB-ER-10", "half a head", respond("HTTP/1.1 200 OK\r\nContent-"), 502, 0},
		{"LB-ER-10", "head above 32 K", respond(big), 502, 0},
		{"LB-ER-10", "switches unasked", respond("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), 502, 0},
		{"LB-ER-12", "silent", func(t testing.TB) string {
			return rawTarget(t, func(c net.Conn, br *bufio.Reader) { io.Copy(io.Discard, br) })
		}, 504, 0},
	} {
		t.Run(c.rule+" "+c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			cfg := config(healthy("a", c.target(t)))
			if c.status == 504 {
				cfg.LoadBalancers[0].IdleTimeout = 150 * time.Millisecond
			}
			r.apply(t, cfg)
			status, body, h := get(t, "http://"+r.addr("lb", "l"))
			if status != c.status {
				t.Fatalf("status %d, want %d", status, c.status)
			}
			has(t, body, fmt.Sprintf("<html>\r\n<head><title>%d ", c.status))
			if h.Get("Server") != "awselb/2.0" {
				t.Errorf("Server: %s", h.Get("Server"))
			}
			rows := r.Collect()
			lb, g := row(rows, "lb", ""), row(rows, "lb", "g")
			if lb.ELB5XX != 1 || lb.ELB502+lb.ELB504 != 1 || g.RequestCount != 1 || g.TargetConnectionErrorCount != c.connErrors {
				t.Errorf("counted %+v %+v", lb, g)
			}
		})
	}
}

func TestConnectTimeout(t *testing.T) { // LB-ER-12
	var tries atomic.Int64
	r := newRig(t, Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		tries.Add(1)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	r.connectTimeout = 200 * time.Millisecond
	r.apply(t, config(healthy("a", "192.0.2.1:80")))
	status, _, _ := get(t, "http://"+r.addr("lb", "l"))
	if status != 504 || tries.Load() < 3 {
		t.Errorf("status %d after %d tries", status, tries.Load())
	}
}

func TestLostSYNCostsMilliseconds(t *testing.T) {
	target := app(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	var tries atomic.Int64
	r := newRig(t, Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if tries.Add(1) == 1 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}})
	r.apply(t, config(healthy("a", target)))
	if status, _, _ := get(t, "http://"+r.addr("lb", "l")); status != 200 || tries.Load() != 2 {
		t.Errorf("status %d after %d tries", status, tries.Load())
	}
}

func TestNoTargets(t *testing.T) { // LB-ER-11, LB-RU-03
	draining := named(t, "d")
	draining.State = StateDraining
	unused := named(t, "u")
	unused.State = StateUnused
	zero := config(named(t, "a"))
	zero.LoadBalancers[0].Listeners[0].Forward[0].Weight = 0
	for name, c := range map[string]*Config{"none": config(), "draining and unused": config(draining, unused), "weight 0": zero} {
		r := newRig(t, Options{})
		r.apply(t, c)
		status, body, _ := get(t, "http://"+r.addr("lb", "l"))
		if status != 503 {
			t.Errorf("%s: status %d", name, status)
		}
		has(t, body, "503 Service Temporarily Unavailable")
		rows := r.Collect()
		if n := row(rows, "lb", ""); n.ELB503 != 1 || n.ELB5XX != 1 {
			t.Errorf("%s: %+v", name, n)
		}
		if n := row(rows, "lb", "g"); n.RequestCount != 0 { // CW-NM-04
			t.Errorf("%s: counted a request without a target", name)
		}
	}
}

func TestFailOpen(t *testing.T) { // LB-HC-07, LB-CL-04
	ill, young := named(t, "ill"), named(t, "young")
	ill.State, young.State = StateUnhealthy, StateInitial
	well := named(t, "well")
	answers := func(c *Config) string {
		r := newRig(t, Options{})
		r.apply(t, c)
		got := ""
		for range 3 {
			_, body, _ := get(t, "http://"+r.addr("lb", "l"))
			got += body[:min(len(body), 5)] + " "
		}
		return got
	}
	if got := answers(config(ill, young)); got != "ill young ill " {
		t.Errorf("no healthy one: %s", got)
	}
	if got := answers(config(ill, well)); got != "well well well " {
		t.Errorf("one healthy: %s", got)
	}
	c := config(ill, well)
	c.TargetGroups[0].MinimumHealthyCount = 2
	if got := answers(c); got != "ill well ill " {
		t.Errorf("count 2: %s", got)
	}
	c = config(ill, well)
	c.TargetGroups[0].MinimumHealthyPercentage = 51
	if got := answers(c); got != "ill well ill " {
		t.Errorf("51 %%: %s", got)
	}
	c = config(ill, young)
	c.LoadBalancers[0].Kind = KindClassic
	if got := answers(c); !strings.HasPrefix(got, "<html") {
		t.Errorf("classic fails open: %s", got)
	}
}

// Requests that are refused without asking a target.
func TestBadRequests(t *testing.T) {
	r := newRig(t, Options{})
	c := config(named(t, "a"))
	c.LoadBalancers[0].IdleTimeout = 400 * time.Millisecond
	r.apply(t, c)
	addr := r.addr("lb", "l")
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		rule, request string
		status        int
	}{
		{"LB-ER-01 malformed", "nonsense\r\n\r\n", 400},
		{"LB-ER-01 header without colon", "GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", 400},
		{"LB-ER-01 two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"LB-ER-01 smuggling", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
		{"LB-HD-03 header of 17 K", "GET / HTTP/1.1\r\nHost: a\r\nA: " + x(17<<10) + "\r\n\r\n", 400},
		{"LB-HD-03 headers of 70 K", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: "+x(10<<10)+"\r\n", 7) + "\r\n", 400},
		{"LB-HD-03 headers of 200 K", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: "+x(10<<10)+"\r\n", 20) + "\r\n", 400},
		{"LB-ER-03 TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405},
		{"LB-ER-04 half a request", "GET / HT", 408},
		{"LB-ER-04 half a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", 408},
		{"LB-ER-04 half a long body", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 408},
		{"LB-ER-05 long URI", "GET /" + x(17<<10) + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 414},
		{"LB-ER-07 31 addresses", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 1.1.1.1" + strings.Repeat(", 1.1.1.1", 30) + "\r\n\r\n", 463},
		{"LB-ER-09 transfer coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		{"LB-ER-13 version", "GET / HTTP/3.7\r\nHost: a\r\n\r\n", 505},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got := raw(t, addr, c.request)
			has(t, got, fmt.Sprintf("HTTP/1.1 %d ", c.status))
			has(t, got, "Server: awselb/2.0\r\n")
			has(t, got, "</html>\r\n")
			n := row(r.Collect(), "lb", "")
			if c.status < 500 && n.ELB4XX != 1 || c.status >= 500 && n.ELB5XX != 1 {
				t.Errorf("counted %+v", n)
			}
		})
	}
	if status, _, _ := get(t, "http://"+addr); status != 200 {
		t.Errorf("after all that: %d", status)
	}
}

func TestClientGone(t *testing.T) { // LB-ER-06
	arrived, left := make(chan struct{}), make(chan struct{})
	target := app(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	})
	r := newRig(t, Options{})
	r.apply(t, config(healthy("a", target)))
	c, err := net.Dial("tcp", r.addr("lb", "l"))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	c.Close()
	<-left // the target is told
	eventually(t, "the request has ended", func() bool { return r.Snapshot()[0].InFlight == 0 })
	if n := row(r.Collect(), "lb", ""); n.ELB4XX != 1 || n.ELB5XX != 0 {
		t.Errorf("%+v", n)
	}
}

func TestTargetDiesInTheMiddle(t *testing.T) {
	target := rawTarget(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := readRequest(br); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
		}
	})
	r := newRig(t, Options{})
	r.apply(t, config(healthy("a", target)))
	res, err := client(t).Get("http://" + r.addr("lb", "l"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if string(b) != "only this" || err != io.ErrUnexpectedEOF {
		t.Errorf("%q, %v: the client must see what came, and that it is not all", b, err)
	}
}

// A classic load balancer tries another instance when it cannot connect, and counts each try.
func TestClassicTriesAgain(t *testing.T) { // CW-NM-06
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	dead := healthy("dead", ln.Addr().String())
	ln.Close()
	c := config(dead, named(t, "b"))
	c.LoadBalancers[0].Kind = KindClassic
	r := newRig(t, Options{})
	r.apply(t, c)
	for range 2 {
		if status, body, _ := get(t, "http://"+r.addr("lb", "l")); status != 200 || body != "b" {
			t.Errorf("%d %s", status, body)
		}
	}
	if n := row(r.Collect(), "lb", "g"); n.RequestCount != 2 || n.TargetConnectionErrorCount == 0 {
		t.Errorf("%+v", n)
	}
}
