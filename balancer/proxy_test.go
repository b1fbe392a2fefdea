package balancer

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

func TestRoundRobinOverHealthyTargets(t *testing.T) { // LB-RT-01
	r := newRig(t, Options{})
	ill := named(t, "ill")
	ill.State = StateUnhealthy
	r.apply(t, config(named(t, "a"), ill, named(t, "b"), named(t, "c")))
	c := client(t)
	got := ""
	for range 6 {
		res, err := c.Get("http://" + r.addr("lb", "l"))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		got += string(b)
	}
	if got != "abcabc" {
		t.Errorf("order %q", got)
	}
	rows := r.Collect()
	if n := row(rows, "lb", "g"); n.RequestCount != 6 || n.TargetStatus[2] != 6 || n.TargetResponseTime.Count != 6 || n.Zone != "us-east-1a" {
		t.Errorf("target row %+v", n)
	}
	if n := row(rows, "lb", ""); n.NewConnectionCount != 1 || n.ActiveConnectionCount != 1 || n.ProcessedBytes < 600 {
		t.Errorf("load balancer row %+v", n)
	}
}

// BenchmarkProxy compares with net/http/httputil on the same target and client.
func BenchmarkProxy(b *testing.B) {
	target := app(b, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello, world") })
	r := newRig(b, Options{})
	r.apply(b, config(healthy("a", target)))
	u, _ := url.Parse("http://" + target)
	rp := httputil.NewSingleHostReverseProxy(u)
	rp.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	reference := app(b, rp.ServeHTTP)
	rate := map[string]float64{}
	for _, side := range []struct{ name, address string }{
		{"balancer", r.addr("lb", "l")}, {"ReverseProxy", reference}, {"direct", target},
	} {
		b.Run(side.name, func(b *testing.B) {
			load(b, side.address)
			rate[side.name] = float64(b.N) / b.Elapsed().Seconds()
		})
	}
	b.Logf("requests per second: %.2f times those of ReverseProxy", rate["balancer"]/rate["ReverseProxy"])
}

// load sends b.N requests over 32 kept connections, with as little work of its own as possible.
func load(b *testing.B, address string) {
	const clients = 32
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() { rawLoad(b, address, &left) })
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func rawLoad(b *testing.B, address string, left *atomic.Int64) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	request := []byte("GET /path?x=1 HTTP/1.1\r\nHost: web.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n")
	buffer := make([]byte, 4096)
	for left.Add(-1) >= 0 {
		if _, err := conn.Write(request); err != nil {
			b.Error(err)
			return
		}
		for n := 0; !bytes.HasSuffix(buffer[:n], []byte("hello, world")); {
			m, err := conn.Read(buffer[n:])
			if err != nil {
				b.Error(err)
				return
			}
			n += m
		}
	}
}

// BenchmarkApply changes one target's state among 10,000 in 500 groups of 500 load balancers.
func BenchmarkApply(b *testing.B) {
	make := func(state State) *Config {
		c := &Config{}
		for i := range 500 {
			id := fmt.Sprint("g", i)
			c.LoadBalancers = append(c.LoadBalancers, LoadBalancer{ID: id, DNSNames: []string{id + ".localhost"},
				Listeners: []Listener{{ID: "80", Protocol: ProtocolHTTP, Port: 80, Forward: []WeightedTargetGroup{{id, 1}}}}})
			g := TargetGroup{ID: id}
			for j := range 20 {
				g.Targets = append(g.Targets, Target{ID: fmt.Sprint("i-", i, "-", j), Address: "10.0.0.1:80", State: StateHealthy})
			}
			g.Targets[0].State = state
			c.TargetGroups = append(c.TargetGroups, g)
		}
		return c
	}
	both := []*Config{make(StateHealthy), make(StateUnhealthy)}
	r := newRig(b, Options{})
	for i := 0; b.Loop(); i++ {
		r.apply(b, both[i%2])
	}
}
