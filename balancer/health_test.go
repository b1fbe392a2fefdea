package balancer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is a network of one, in virtual time: what a target at any address answers to a check.
type world struct {
	mu     sync.Mutex
	answer func(address string, c net.Conn) error // an error is a refused connection
	at     []time.Duration                        // of each dial, since the start
	start  time.Time

	open, most int // connections that the balancer holds
}

// held counts a connection until the balancer closes it.
type held struct {
	net.Conn
	w    *world
	once sync.Once
}

func (h *held) Close() error {
	h.once.Do(func() {
		h.w.mu.Lock()
		defer h.w.mu.Unlock()
		h.w.open--
	})
	return h.Conn.Close()
}

func (w *world) dial(ctx context.Context, _, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = append(w.at, time.Since(w.start))
	mine, theirs := net.Pipe()
	if err := w.answer(address, theirs); err != nil {
		return nil, err
	}
	w.open++
	w.most = max(w.most, w.open)
	return &held{Conn: mine, w: w}, nil
}

// says makes a target that answers every request with this status.
func says(status int) func(string, net.Conn) error {
	return func(_ string, c net.Conn) error {
		go func() {
			defer c.Close()
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				fmt.Fprintf(c, "HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n", status)
			}
		}()
		return nil
	}
}

func silent(_ string, c net.Conn) error {
	go func() { io.Copy(io.Discard, c); c.Close() }()
	return nil
}

func refusing(string, net.Conn) error { return errors.New("connection refused") }

// checked is config with health checks and without sockets.
func checked(h HealthCheck, targets ...Target) *Config {
	c := config(targets...)
	c.LoadBalancers[0].Address = netip.Addr{}
	h.Enabled = true
	c.TargetGroups[0].HealthCheck = h
	return c
}

// inBubble runs a balancer in virtual time and returns what it reported.
func inBubble(t *testing.T, scale float64, w *world, run func(*rig)) (health []HealthResult) {
	synctest.Test(t, func(t *testing.T) {
		w.start = time.Now()
		r := newRig(t, Options{Dial: w.dial, TimeScale: scale})
		run(r)
		synctest.Wait()
		_ = r.Close(context.Background())
		health = r.health
	})
	return health
}

func state(s State) Target { return Target{ID: "i-1:80", Address: "10.0.0.1:80", State: s} }

func TestCheckTimes(t *testing.T) { // LB-HC-01: interval 30 s; the first check at once
	w := &world{answer: says(200)}
	got := inBubble(t, 1, w, func(r *rig) {
		r.apply(t, checked(HealthCheck{}, state(StateInitial)))
		time.Sleep(3 * time.Minute)
	})
	if w.at[0] != 0 || len(w.at) != 7 {
		t.Fatalf("checks at %v", w.at)
	}
	if d := w.at[1]; d < 22500*time.Millisecond || d > 30*time.Second {
		t.Errorf("second check at %s", d)
	}
	for i := 2; i < len(w.at); i++ {
		if d := w.at[i] - w.at[i-1]; d != 30*time.Second {
			t.Errorf("interval %s", d)
		}
	}
	if len(got) != 7 || !got[0].Passed || got[0].Code != 200 || got[0].Target != "i-1:80" || got[0].TargetGroup != "g" {
		t.Errorf("while it is initial, every result is reported: %+v", got)
	}
}

func TestCheckScale(t *testing.T) { // 30 s at scale 60 are 500 ms; the time-out of 5 s stays at 1 s
	w := &world{answer: says(200)}
	inBubble(t, 60, w, func(r *rig) {
		r.apply(t, checked(HealthCheck{}, state(StateHealthy)))
		time.Sleep(10 * time.Second)
	})
	if n := len(w.at); n != 21 {
		t.Errorf("%d checks in 10 s", n)
	}
	w = &world{answer: silent}
	got := inBubble(t, 60, w, func(r *rig) {
		r.apply(t, checked(HealthCheck{}, state(StateHealthy)))
		time.Sleep(1100 * time.Millisecond)
	})
	if len(got) != 1 || got[0].At.Sub(w.start) != time.Second || got[0].Reason != ReasonTimeout {
		t.Errorf("%+v", got)
	}
	w = &world{answer: says(200)}
	inBubble(t, 100000, w, func(r *rig) {
		r.apply(t, checked(HealthCheck{}, state(StateHealthy)))
		time.Sleep(time.Second)
	})
	if n := len(w.at); n < 50 || n > 52 {
		t.Errorf("%d checks in a second at the floor of 20 ms", n)
	}
}

func TestCheckReasons(t *testing.T) { // LB-HC-05
	for _, c := range []struct {
		name   string
		check  HealthCheck
		answer func(string, net.Conn) error
		passed bool
		reason string
		code   int
	}{
		{"200", HealthCheck{}, says(200), true, "", 200},
		{"503", HealthCheck{}, says(503), false, ReasonResponseCodeMismatch, 503},
		{"301 is not 200", HealthCheck{}, says(301), false, ReasonResponseCodeMismatch, 301},
		{"301 in a list", HealthCheck{Matcher: "200-299, 301"}, says(301), true, "", 301},
		{"refused", HealthCheck{}, refusing, false, ReasonFailedHealthChecks, 0},
		{"silent", HealthCheck{}, silent, false, ReasonTimeout, 0},
		{"nonsense", HealthCheck{}, func(_ string, c net.Conn) error {
			go func() { readRequest(bufio.NewReader(c)); io.WriteString(c, "?\r\n\r\n"); c.Close() }()
			return nil
		}, false, ReasonFailedHealthChecks, 0},
		{"TCP", HealthCheck{Protocol: ProtocolTCP}, silent, true, "", 0},
		{"TCP refused", HealthCheck{Protocol: ProtocolTCP}, refusing, false, ReasonFailedHealthChecks, 0},
	} {
		got := inBubble(t, 1, &world{answer: c.answer}, func(r *rig) {
			r.apply(t, checked(c.check, state(StateInitial)))
			time.Sleep(6 * time.Second)
		})
		if len(got) != 1 || got[0].Passed != c.passed || got[0].Reason != c.reason || got[0].Code != c.code {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// Steady state is silent; what can matter is not.
func TestOnlyNewsIsReported(t *testing.T) {
	w := &world{answer: says(200)}
	set := func(answer func(string, net.Conn) error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.answer = answer
	}
	inBubble(t, 1, w, func(r *rig) {
		h := HealthCheck{Interval: 10 * time.Second}
		news := func(what string, want ...int) {
			t.Helper()
			time.Sleep(30 * time.Second)
			synctest.Wait()
			var got []int
			for _, x := range r.health {
				got = append(got, x.Code)
			}
			r.health = nil
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		r.apply(t, checked(h, state(StateHealthy)))
		time.Sleep(time.Second)
		news("healthy and passing")
		set(says(500))
		news("healthy and failing", 500, 500, 500)
		set(says(200))
		news("the failing has ended", 200)
		streak := state(StateHealthy)
		streak.Streak = true
		r.apply(t, checked(h, streak))
		news("counting", 200, 200, 200)
		set(says(500))
		r.apply(t, checked(h, state(StateUnhealthy)))
		news("unhealthy and failing", 500)
		set(says(502))
		news("unhealthy for another reason", 502)
		set(says(200))
		news("unhealthy and passing", 200, 200, 200)
	})
}

func TestWhatIsNotChecked(t *testing.T) { // LB-HC-08
	off := checked(HealthCheck{}, state(StateInitial))
	off.TargetGroups[0].HealthCheck.Enabled = false
	unused := checked(HealthCheck{}, state(StateInitial))
	unused.LoadBalancers = nil
	for name, c := range map[string]*Config{
		"disabled": off, "not in use": unused,
		"draining": checked(HealthCheck{}, state(StateDraining)),
		"stopped":  checked(HealthCheck{}, state(StateUnused)),
	} {
		w := &world{answer: says(200)}
		inBubble(t, 1, w, func(r *rig) {
			r.apply(t, checked(HealthCheck{}, state(StateHealthy)))
			time.Sleep(time.Second)
			r.apply(t, c)
			time.Sleep(time.Minute)
		})
		if len(w.at) != 1 {
			t.Errorf("%s: checked at %v", name, w.at)
		}
	}
}

// A change of the check, or registering anew, checks at once; other changes disturb nothing.
func TestRecheck(t *testing.T) {
	w := &world{answer: says(200)}
	inBubble(t, 1, w, func(r *rig) {
		r.apply(t, checked(HealthCheck{}, state(StateHealthy)))
		time.Sleep(time.Second)
		r.apply(t, checked(HealthCheck{}, state(StateUnhealthy)))
		time.Sleep(time.Second)
		r.apply(t, checked(HealthCheck{Path: "/new"}, state(StateUnhealthy)))
		time.Sleep(time.Second)
		r.apply(t, checked(HealthCheck{Path: "/new"}, state(StateInitial)))
		time.Sleep(time.Second)
		r.apply(t, checked(HealthCheck{Path: "/new"}, state(StateInitial), Target{ID: "i-2:80", Address: "10.0.0.2:80", State: StateInitial}))
		time.Sleep(time.Second)
	})
	if fmt.Sprint(w.at) != "[0s 2s 3s 4s]" {
		t.Errorf("checks at %v", w.at)
	}
}

func TestAThousandTargets(t *testing.T) { // LB-DN-05; spread over the interval, none forgotten
	w := &world{answer: silent}
	var targets []Target
	for i := range 1000 {
		targets = append(targets, Target{ID: fmt.Sprint("i-", i), Address: fmt.Sprintf("10.0.%d.%d:80", i/250, i%250), State: StateInitial})
	}
	got := inBubble(t, 1, w, func(r *rig) {
		r.apply(t, checked(HealthCheck{}, targets...))
		time.Sleep(65 * time.Second)
	})
	per := map[string]int{}
	for _, x := range got {
		per[x.Target]++
	}
	for _, x := range targets {
		if n := per[x.ID]; n < 2 || n > 3 {
			t.Fatalf("%s: %d results", x.ID, n)
		}
	}
	if w.most > 512 || w.open != 0 {
		t.Errorf("%d checks at once, %d left open", w.most, w.open)
	}
}

// The request on a real socket (LB-HC-02).
func TestCheckRequest(t *testing.T) {
	seen := make(chan *http.Request, 8)
	target := app(t, func(w http.ResponseWriter, r *http.Request) { seen <- r })
	r := newRig(t, Options{})
	c := checked(HealthCheck{Path: "/health?deep=1"}, Target{ID: "a", Address: target, State: StateInitial})
	r.apply(t, c)
	r.until(t, "a result", func(h []HealthResult, _ []Drained) bool { return len(h) == 1 && h[0].Passed })
	got := <-seen
	if got.Method != "GET" || got.RequestURI != "/health?deep=1" || got.UserAgent() != "ELB-HealthChecker/2.0" || got.Host != target || got.Proto != "HTTP/1.1" {
		t.Errorf("%+v", got)
	}
	if n := r.Collect(); len(n) != 0 {
		t.Errorf("a check is not a request: %+v", n)
	}
}

func TestCheckPort(t *testing.T) {
	w := &world{}
	w.answer = func(address string, c net.Conn) error {
		if address != "10.0.0.1:8080" {
			t.Errorf("checked %s", address)
		}
		return refusing("", nil)
	}
	inBubble(t, 1, w, func(r *rig) {
		r.apply(t, checked(HealthCheck{Port: 8080}, state(StateInitial)))
		time.Sleep(time.Second)
	})
}

func TestMatcher(t *testing.T) {
	for s, want := range map[string]string{"": "200", "200,202": "200 202", "200-202": "200 201 202", " 201 , 404 ": "201 404"} {
		m, err := parseMatcher(s)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for code := 100; code < 600; code++ {
			if m(code) {
				got += fmt.Sprint(code, " ")
			}
		}
		if got != want+" " {
			t.Errorf("%q matches %s", s, got)
		}
	}
	for _, s := range []string{"x", "200-", "-", "300-200", "200,,201", "2xx"} {
		if _, err := parseMatcher(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}
