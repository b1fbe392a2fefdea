package balancer

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// echo answers with the request line and headers that it got.
func echo(t testing.TB) Target {
	return healthy("echo", app(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("X-Powered-By", "test")
		w.Header()["Content-Type"] = nil
		fmt.Fprintf(w, "%s %s %s\nHost: %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
		var lines []string
		for k, vs := range r.Header {
			for _, v := range vs {
				lines = append(lines, k+": "+v)
			}
		}
		slices.Sort(lines)
		io.WriteString(w, strings.Join(lines, "\n"))
	}))
}

func TestForwardedHeaders(t *testing.T) { // LB-HD-01, LB-HD-02, LB-HD-04
	target := echo(t)
	for _, c := range []struct {
		name, send string
		set        func(*LoadBalancer)
		want, not  []string
	}{
		{"new", "", nil, []string{
			"GET /a%2Fb?q=1 HTTP/1.1\nHost: www.example.com\n", "X-Forwarded-For: 127.0.0.1\n",
			"X-Forwarded-Proto: http", "X-Forwarded-Port: ", "\r\nX-Powered-By: test\r\n"},
			[]string{"Keep-Alive", "Content-Type"}},
		{"append", "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\nX-Forwarded-Proto: https\r\n", nil,
			[]string{"X-Forwarded-For: 10.0.0.1, 10.0.0.2, 127.0.0.1\n", "X-Forwarded-Proto: http"}, []string{"https"}},
		{"preserve", "X-Forwarded-For: 10.0.0.1\r\n", func(lb *LoadBalancer) { lb.XForwardedFor = "preserve" },
			[]string{"X-Forwarded-For: 10.0.0.1\n"}, []string{"127.0.0.1\n"}},
		{"remove", "X-Forwarded-For: 10.0.0.1\r\n", func(lb *LoadBalancer) { lb.XForwardedFor = "remove" },
			nil, []string{"X-Forwarded-For"}},
		{"port", "", func(lb *LoadBalancer) { lb.XFFClientPort = true }, []string{"X-Forwarded-For: 127.0.0.1:"}, nil},
		{"hop by hop", "Connection: close, X-Secret\r\nX-Secret: 1\r\nTe: trailers\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\nX-Open: 1\r\n", nil,
			[]string{"X-Open: 1\n"}, []string{"X-Secret", "Te:", "Keep-Alive", "Proxy-"}},
		{"underscore", "A_b: 1\r\n", nil, []string{"A_b: 1\n"}, nil},
		{"no underscore", "A_b: 1\r\n", func(lb *LoadBalancer) { lb.DropInvalidHeaderFields = true }, nil, []string{"A_b"}},
		{"classic has no trace", "", func(lb *LoadBalancer) { lb.Kind = KindClassic }, nil, []string{"X-Amzn-Trace-Id"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			cfg := config(target)
			if c.set != nil {
				c.set(&cfg.LoadBalancers[0])
			}
			r.apply(t, cfg)
			send := c.send
			if !strings.Contains(send, "Connection:") {
				send += "Connection: close\r\n"
			}
			got := raw(t, r.addr("lb", "l"), "GET /a%2Fb?q=1 HTTP/1.1\r\nHost: www.example.com\r\n"+send+"\r\n") + "\n"
			for _, part := range c.want {
				has(t, got, part)
			}
			for _, part := range c.not {
				if strings.Contains(got, part) {
					t.Errorf("%q should not be in:\n%s", part, got)
				}
			}
		})
	}
}

func TestTraceID(t *testing.T) { // LB-HD-01
	const id = `1-[0-9a-f]{8}-[0-9a-f]{24}`
	for had, want := range map[string]string{
		"":                     `^Root=` + id + `$`,
		"Root=1-67891233-abc":  `^Self=` + id + `;Root=1-67891233-abc$`,
		"CalledFrom=something": `^Root=` + id + `;CalledFrom=something$`,
	} {
		if got := traceID(had); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%q becomes %q", had, got)
		}
	}
}

func TestMatch(t *testing.T) {
	r := newRig(t, Options{})
	c := config(echo(t))
	lb := &c.LoadBalancers[0]
	forward := lb.Listeners[0].Forward
	lb.Listeners = []Listener{
		{ID: "tcp", Protocol: ProtocolTCP, Forward: nil},
		{ID: "8080", Protocol: ProtocolHTTP, Port: 0, Forward: nil},
		{ID: "80", Protocol: ProtocolHTTP, Port: 80, Forward: forward},
	}
	lb.Address = netip.Addr{} // it does not listen
	c.LoadBalancers = append(c.LoadBalancers, LoadBalancer{ID: "bare", DNSNames: []string{"bare.localhost"}})
	r.apply(t, c)
	for host, want := range map[string]bool{
		"web-1.us-east-1.elb.localhost": true, "web-1.us-east-1.elb.localhost:4566": true,
		"WEB-1.us-east-1.ELB.localhost.:4566": true, "bare.localhost": true,
		"localhost:4566": false, "x.web-1.us-east-1.elb.localhost": false, "": false, "[::1]:80": false,
	} {
		if _, ok := r.Match(host); ok != want {
			t.Errorf("%q: %v", host, ok)
		}
	}
	api := httptest.NewServer(r) // billow's own port
	defer api.Close()
	ask := func(host string) string {
		return raw(t, api.Listener.Addr().String(), "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
	}
	got := ask("web-1.us-east-1.elb.localhost:4566")
	has(t, got, "HTTP/1.1 200 OK")
	has(t, got, "X-Forwarded-Port: 4566")
	has(t, ask("web-1.us-east-1.elb.localhost"), "X-Forwarded-Port: 80")
	has(t, ask("bare.localhost"), "HTTP/1.1 503 ")
	has(t, ask("other.localhost"), "HTTP/1.1 404 ")
	if n := row(r.Collect(), "lb", "g"); n.RequestCount != 2 {
		t.Errorf("%+v", n)
	}
}

func TestClientKeepAliveEnds(t *testing.T) { // LB-HD-03
	r := newRig(t, Options{})
	c := config(named(t, "a"))
	c.LoadBalancers[0].ClientKeepAlive = time.Nanosecond
	r.apply(t, c)
	got := raw(t, r.addr("lb", "l"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n") // returns because it is closed
	has(t, got, "Connection: close\r\n")
	has(t, got, "200 OK")
}

func TestIdleClientIsClosed(t *testing.T) { // LB-HD-03
	r := newRig(t, Options{})
	c := config(named(t, "a"))
	c.LoadBalancers[0].IdleTimeout = 100 * time.Millisecond
	r.apply(t, c)
	got := raw(t, r.addr("lb", "l"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if !strings.HasSuffix(got, "\r\n\r\na") {
		t.Errorf("%q", got)
	}
	if n := row(r.Collect(), "lb", ""); n.ELB4XX != 0 || n.ActiveConnectionCount != 0 {
		t.Errorf("%+v", n)
	}
}

func TestAbsoluteFormAndHTTP10(t *testing.T) {
	r := newRig(t, Options{})
	r.apply(t, config(echo(t)))
	addr := r.addr("lb", "l")
	has(t, raw(t, addr, "GET http://www.example.com/p?q HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n"), "GET /p?q HTTP/1.1\nHost: www.example.com\n")
	has(t, raw(t, addr, "GET /p HTTP/1.0\r\n\r\n"), "GET /p HTTP/1.1\nHost: 127.0.0.1:")
	has(t, raw(t, addr, "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "HTTP/1.1 200")
	if got := raw(t, addr, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("HEAD has a body: %q", got)
	}
}
