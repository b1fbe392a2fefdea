package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// server answers in virtual time.
type server func(*http.Request) (*http.Response, error)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func answer(status int) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("ok"))}
}

// after answers when this time has passed, if the client waits so long.
func after(d time.Duration) server {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return answer(200), nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

func TestRateStepsAndRamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		start := time.Now()
		g := New(Options{URL: "http://x", Transport: server(func(*http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(start))
			return answer(200), nil
		})})
		g.SetRate(10)
		done := make(chan Summary)
		go func() { done <- g.Run(context.Background()) }()
		count := func(what string, want int, d time.Duration) {
			t.Helper()
			mu.Lock()
			before := len(at)
			mu.Unlock()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if n := len(at) - before; n < want-1 || n > want+1 {
				t.Errorf("%s: %d requests, want %d", what, n, want)
			}
		}
		count("10 per second", 100, 10*time.Second)
		g.SetRate(100)
		count("100 per second", 1000, 10*time.Second)
		g.Ramp(200, 10*time.Second)
		count("a ramp up", 1500, 10*time.Second)
		count("after it", 200, time.Second)
		g.Ramp(0, 4*time.Second)
		count("half a ramp down", 300, 2*time.Second)
		if r := g.Rate(); math.Abs(r-100) > 1 {
			t.Errorf("rate in the middle: %g", r)
		}
		g.Ramp(10, 2*time.Second) // changed on the way
		count("another ramp", 110, 2*time.Second)
		g.SetRate(0)
		count("nothing", 0, time.Minute)
		g.SetRate(0.1)
		count("one in ten seconds", 6, time.Minute)
		g.Stop()
		g.Stop()
		s := <-done
		if s.Sent != int64(len(at)) || s.Answered != s.Sent || s.Failures() != 0 {
			t.Errorf("%+v, the server saw %d", s, len(at))
		}
		for i := 1; i < 100; i++ {
			if d := at[i] - at[i-1]; d != 100*time.Millisecond {
				t.Fatalf("request %d came after %s", i, d)
			}
		}
	})
}

// A server that stops for two seconds: the requests that were due meanwhile have waited, and
// a second of the schedule is not left out.
func TestLatencyFromIntendedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := make(chan struct{}, 1) // one request at a time
		n := 0
		var seconds []Second
		g := New(Options{URL: "http://x", Duration: 10 * time.Second, Each: func(s Second) { seconds = append(seconds, s) },
			Transport: server(func(*http.Request) (*http.Response, error) {
				turn <- struct{}{}
				defer func() { <-turn }()
				if n++; n == 100 {
					time.Sleep(2 * time.Second)
				}
				return answer(200), nil
			})})
		g.SetRate(100)
		s := g.Run(context.Background())
		if s.Sent < 999 || s.Answered != s.Sent || s.Elapsed < 10*time.Second {
			t.Fatalf("%+v", s)
		}
		if s.Latency.P50 > time.Millisecond || s.Latency.P90 < 900*time.Millisecond || s.Latency.P99 < 1800*time.Millisecond || s.Latency.Max < 1990*time.Millisecond {
			t.Errorf("%+v", s.Latency)
		}
		if len(seconds) < 10 || seconds[1].InFlight < 95 || seconds[1].Sent < 99 || seconds[1].Answered > 2 || seconds[3].InFlight > 1 {
			t.Errorf("%+v", seconds)
		}
		var sent, answered int64
		for _, x := range seconds {
			sent, answered = sent+x.Sent, answered+x.Answered
		}
		if sent != s.Sent || answered != s.Answered {
			t.Errorf("the seconds add up to %d and %d of %d", sent, answered, s.Sent)
		}
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Options{URL: "http://x", MaxInFlight: 5, Timeout: time.Second, Duration: 10 * time.Second, Transport: after(time.Hour)})
		g.SetRate(10)
		s := g.Run(context.Background())
		if s.NotSent < 40 || s.Failed["not sent: 5 in flight"] != int(s.NotSent) || s.Failed["timeout"] != int(s.Sent) || s.Answered != 0 {
			t.Errorf("%+v", s)
		}
		if n := s.Sent + s.NotSent; n < 99 || n > 100 {
			t.Errorf("%d were due", n)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Options{URL: "http://x", Transport: after(500 * time.Millisecond)})
		g.SetRate(10)
		ctx, cancel := context.WithTimeout(context.Background(), 10100*time.Millisecond)
		defer cancel()
		s := g.Run(ctx)
		if s.Cancelled < 4 || s.Cancelled > 6 || s.Failures() != 0 || s.Sent != s.Answered+s.Cancelled || s.Elapsed != 10100*time.Millisecond {
			t.Errorf("%+v", s)
		}
	})
}

func TestPoisson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		var seconds []float64
		g := New(Options{URL: "http://x", Poisson: true, Seed: 7, Duration: 200 * time.Second,
			Each: func(s Second) { seconds = append(seconds, float64(s.Sent)) },
			Transport: server(func(*http.Request) (*http.Response, error) {
				n.Add(1)
				return answer(200), nil
			})})
		g.SetRate(50)
		g.Run(context.Background())
		if k := n.Load(); k < 9600 || k > 10400 {
			t.Errorf("%d of about 10000", k)
		}
		variance := 0.0
		for _, x := range seconds[:200] {
			variance += (x - 50) * (x - 50) / 200
		}
		if variance < 30 || variance > 75 { // of a Poisson distribution: its mean
			t.Errorf("variance %g", variance)
		}
	})
}

func TestReasons(t *testing.T) {
	var want atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := int(want.Load())
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer s.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	ln.Close()
	for _, c := range []struct {
		status  int
		address string
		want    string
	}{
		{200, s.Listener.Addr().String(), "map[] 5"}, {302, s.Listener.Addr().String(), "map[] 5"},
		{404, s.Listener.Addr().String(), "map[HTTP 404:5] 0"}, {503, s.Listener.Addr().String(), "map[HTTP 503:5] 0"},
		{0, s.Listener.Addr().String(), "map[connection closed:5] 0"}, {200, closed, "map[connection refused:5] 0"},
	} {
		want.Store(int64(c.status))
		var seen atomic.Int64
		var g *Generator
		g = New(Options{Address: c.address, NewRequest: func() (*http.Request, error) {
			if seen.Add(1) == 5 {
				g.Stop()
			}
			return http.NewRequest("GET", "http://lb-1.us-east-1.elb.localhost/", nil)
		}})
		g.SetRate(20)
		got := g.Run(t.Context())
		if s := fmt.Sprint(got.Failed, got.Answered); s != c.want {
			t.Errorf("%d at %s: %s, want %s", c.status, c.address, s, c.want)
		}
	}
	if got := reason(0, fmt.Errorf("a: %w", errors.New("b"))); got != "b" {
		t.Error(got)
	}
}
