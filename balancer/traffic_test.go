package balancer

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A change of configuration under load fails no request: targets come, drain and go 500 times.
func TestConfigSwappedUnderLoad(t *testing.T) { // LB-DR-01
	r := newRig(t, Options{})
	var all []Target
	for i := range 6 {
		all = append(all, named(t, fmt.Sprint("t", i)))
	}
	r.apply(t, config(all...))
	addr := r.addr("lb", "l")
	ctx, stop := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	var answered, failed atomic.Int64
	for range 8 {
		clients.Go(func() {
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			for ctx.Err() == nil {
				res, err := (&http.Client{Transport: tr}).Post("http://"+addr, "text/plain", strings.NewReader("x"))
				if err != nil || res.StatusCode != 200 {
					failed.Add(1)
					t.Error(err, res)
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				answered.Add(1)
			}
		})
	}
	rounds := 0
	for ; rounds < 500 || answered.Load() < 500 && failed.Load() == 0 && rounds < 20_000; rounds++ {
		i := rounds
		// Of six targets, the i-th drains, then is gone, then is there again.
		out := i % len(all)
		drains := append([]Target(nil), all...)
		drains[out].State = StateDraining
		r.mu.Lock()
		before := len(r.gone)
		r.mu.Unlock()
		r.apply(t, config(drains...))
		r.until(t, "drained", func(_ []HealthResult, gone []Drained) bool { return len(gone) > before })
		r.apply(t, config(append(append([]Target(nil), all[:out]...), all[out+1:]...)...))
		r.apply(t, config(all...))
	}
	stop()
	clients.Wait()
	if failed.Load() > 0 || answered.Load() < 500 {
		t.Errorf("%d answered, %d failed", answered.Load(), failed.Load())
	}
	rows := r.Collect()
	if n := row(rows, "lb", "g"); n.RequestCount != answered.Load() || n.TargetStatus[2] != answered.Load() {
		t.Errorf("%d answered, counted %+v", answered.Load(), n)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.gone) != rounds {
		t.Errorf("%d drained facts for %d drains", len(r.gone), rounds)
	}
	t.Logf("%d requests answered over %d configurations", answered.Load(), 3*rounds+1)
}

func TestDraining(t *testing.T) { // LB-DR-01, LB-DR-02, LB-DR-03
	arrived, finish := make(chan string, 4), make(chan struct{})
	slow := func(name string) Target {
		return healthy(name, app(t, func(w http.ResponseWriter, r *http.Request) {
			arrived <- name
			select {
			case <-finish:
				io.WriteString(w, name)
			case <-r.Context().Done():
			}
		}))
	}
	a, b := slow("a"), slow("b")
	draining := a
	draining.State = StateDraining
	r := newRig(t, Options{})
	r.apply(t, config(a))
	url := "http://" + r.addr("lb", "l")
	type result struct {
		status int
		body   string
	}
	results := make(chan result, 4)
	send := func() {
		go func() {
			status, body, _ := get(t, url)
			results <- result{status, body}
		}()
	}
	send()
	<-arrived
	r.apply(t, config(draining, b))
	send()
	if to := <-arrived; to != "b" {
		t.Errorf("a new request went to the draining target")
	}
	if load := r.Snapshot(); load[0].InFlight != 1 || load[0].State != StateDraining {
		t.Errorf("%+v", load)
	}
	finish <- struct{}{}
	finish <- struct{}{}
	for range 2 {
		if got := <-results; got.status != 200 {
			t.Errorf("a request that was under way: %+v", got)
		}
	}
	once := func(_ []HealthResult, gone []Drained) bool { return len(gone) == 1 && gone[0].Target == "a" }
	r.until(t, "drained once", once)
	r.apply(t, config(draining, b))
	r.until(t, "still once", once)

	r.apply(t, config(a)) // registered again
	send()
	<-arrived
	r.apply(t, config(b)) // gone without draining: cut
	if got := <-results; got.status != 502 {
		t.Errorf("the target is gone: %+v", got)
	}
}

func TestKeepAliveOnBothSides(t *testing.T) {
	var mu sync.Mutex
	from := map[string]bool{}
	target := app(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr] = true
		mu.Unlock()
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	})
	r := newRig(t, Options{})
	r.apply(t, config(healthy("a", target)))
	c := client(t)
	for i := range 20 {
		r.apply(t, config(healthy("a", target))) // a new configuration keeps them
		res, err := c.Post("http://"+r.addr("lb", "l"), "", strings.NewReader(strings.Repeat("x", 1000*i)))
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := io.Copy(io.Discard, res.Body); n != int64(1000*i) {
			t.Errorf("%d bytes of %d", n, 1000*i)
		}
		res.Body.Close()
	}
	if len(from) != 1 {
		t.Errorf("%d connections to the target", len(from))
	}
	if n := row(r.Collect(), "lb", ""); n.NewConnectionCount != 1 {
		t.Errorf("%+v", n)
	}
}

// A target that closes kept connections after each answer without saying so.
func TestStaleConnections(t *testing.T) {
	var connections atomic.Int64
	closed := make(chan struct{}, 100)
	target := rawTarget(t, func(c net.Conn, br *bufio.Reader) {
		connections.Add(1)
		if _, err := readRequest(br); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
		c.Close()
		closed <- struct{}{}
	})
	r := newRig(t, Options{})
	r.apply(t, config(healthy("a", target)))
	c := client(t)
	for i := range 20 {
		method := []string{"GET", "POST"}[i%2]
		req, _ := http.NewRequest(method, "http://"+r.addr("lb", "l"), nil)
		res, err := c.Do(req)
		if err != nil || res.StatusCode != 200 {
			t.Fatal(method, err, res)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		<-closed
	}
	if n := connections.Load(); n != 20 {
		t.Errorf("%d connections", n)
	}
}

// The target reads a request on a kept connection and closes without a word: sent again only
// if that is safe.
func TestRetryOnlyIfIdempotent(t *testing.T) {
	var requests atomic.Int64
	target := rawTarget(t, func(c net.Conn, br *bufio.Reader) {
		for n := 0; n < 1; n++ {
			if _, err := readRequest(br); err != nil {
				return
			}
			requests.Add(1)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
		if _, err := readRequest(br); err == nil {
			requests.Add(1)
		}
	})
	for _, c := range []struct {
		method   string
		status   int
		requests int64
	}{{"GET", 200, 3}, {"POST", 502, 2}} {
		requests.Store(0)
		r := newRig(t, Options{})
		r.apply(t, config(healthy("a", target)))
		for i, want := range []int{200, c.status} {
			req, _ := http.NewRequest(c.method, "http://"+r.addr("lb", "l"), nil)
			res, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s %d: %d", c.method, i, res.StatusCode)
			}
		}
		if requests.Load() != c.requests {
			t.Errorf("%s: the target saw %d requests", c.method, requests.Load())
		}
	}
}

// pattern gives bytes that show any loss or reordering, without holding them.
type pattern struct{ left, at int64 }

var period = func() []byte {
	b := make([]byte, 65521)
	for i := range b {
		b[i] = byte(i * 31 >> 3)
	}
	return b
}()

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(int64(len(b)), p.left)], period[p.at%int64(len(period)):])
	p.at, p.left = p.at+int64(n), p.left-int64(n)
	return n, nil
}

func TestStreamingInBoundedMemory(t *testing.T) {
	const size = 100 << 20
	want := crc32.NewIEEE()
	io.Copy(want, &pattern{left: size})
	target := app(t, func(w http.ResponseWriter, r *http.Request) {
		got := crc32.NewIEEE()
		io.Copy(got, r.Body)
		w.Header().Set("Got", fmt.Sprintf("%x", got.Sum(nil)))
		if r.URL.Path == "/known" {
			w.Header().Set("Content-Length", strconv.Itoa(size))
		}
		io.Copy(w, &pattern{left: size})
	})
	r := newRig(t, Options{})
	r.apply(t, config(healthy("a", target)))
	for _, path := range []string{"/known", "/chunked"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		req, _ := http.NewRequest("POST", "http://"+r.addr("lb", "l")+path, &pattern{left: size})
		if path == "/known" {
			req.ContentLength = size
		}
		res, err := client(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got := crc32.NewIEEE()
		n, err := io.Copy(got, res.Body)
		res.Body.Close()
		if err != nil || n != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) || res.Header.Get("Got") != fmt.Sprintf("%x", want.Sum(nil)) {
			t.Errorf("%s: %d bytes, %v, or wrong ones", path, n, err)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("%s: %d MiB were allocated on the way", path, used>>20)
		}
	}
	if n := row(r.Collect(), "lb", ""); n.ProcessedBytes < 4*size || n.ProcessedBytes > 4*size+size/10 {
		t.Errorf("%d bytes counted", n.ProcessedBytes)
	}
}

// Each part of a chunked response reaches the client before the next is made, and trailers do.
func TestChunksAreNotHeldBack(t *testing.T) {
	next := make(chan struct{})
	target := app(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		for i := range 3 {
			fmt.Fprintf(w, "part %d\n", i)
			w.(http.Flusher).Flush()
			<-next
		}
		w.Header().Set("Sum", "3")
	})
	r := newRig(t, Options{})
	r.apply(t, config(healthy("a", target)))
	res, err := client(t).Get("http://" + r.addr("lb", "l"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	br := bufio.NewReader(res.Body)
	for i := range 3 {
		if s, err := br.ReadString('\n'); s != fmt.Sprintf("part %d\n", i) {
			t.Fatal(s, err)
		}
		next <- struct{}{}
	}
	if _, err := br.ReadByte(); err != io.EOF || res.Trailer.Get("Sum") != "3" {
		t.Error(err, res.Trailer)
	}
}

func TestExpectContinue(t *testing.T) {
	target := app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(417)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	r := newRig(t, Options{})
	r.apply(t, config(healthy("a", target)))
	ask := func(path string) (c net.Conn, br *bufio.Reader) {
		c, err := net.Dial("tcp", r.addr("lb", "l"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", path)
		return c, bufio.NewReader(c)
	}
	c, br := ask("/yes")
	if s, _ := br.ReadString('\n'); !strings.HasPrefix(s, "HTTP/1.1 100 ") {
		t.Fatal(s)
	}
	br.ReadString('\n')
	io.WriteString(c, "hello")
	if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != 200 {
		t.Error(res, err)
	}
	_, br = ask("/no")
	if s, _ := br.ReadString('\n'); !strings.HasPrefix(s, "HTTP/1.1 417 ") {
		t.Errorf("a target that does not want the body: %q", s)
	}
	if eventually(t, "nothing in flight", func() bool { return r.Snapshot()[0].InFlight == 0 }); t.Failed() {
		t.Log(r.Snapshot())
	}
}

// The target answers and closes before the client has sent everything.
func TestEarlyResponse(t *testing.T) {
	target := rawTarget(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err == nil {
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!")
		}
	})
	r := newRig(t, Options{})
	r.apply(t, config(healthy("a", target)))
	c, err := net.Dial("tcp", r.addr("lb", "l"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome")
	c.SetDeadline(time.Now().Add(5 * time.Second))
	b, _ := io.ReadAll(c)
	has(t, string(b), "HTTP/1.1 413 ")
	has(t, string(b), "no!")
	eventually(t, "nothing in flight", func() bool { return r.Snapshot()[0].InFlight == 0 })
}

func TestWebSocket(t *testing.T) {
	target := rawTarget(t, func(c net.Conn, br *bufio.Reader) {
		r, err := readRequest(br)
		if err != nil || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" {
			t.Error("the target did not get the upgrade", r, err)
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nwelcome ")
		io.Copy(c, br) // an echo, until the client has finished sending
		io.WriteString(c, " bye")
	})
	r := newRig(t, Options{})
	r.apply(t, config(healthy("a", target)))
	c, err := net.Dial("tcp", r.addr("lb", "l"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: y\r\n\r\nearly ")
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != "x" {
		t.Fatal(res, err)
	}
	io.WriteString(c, "late")
	c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(br)
	if string(b) != "welcome early late bye" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	eventually(t, "nothing in flight", func() bool { return r.Snapshot()[0].InFlight == 0 })
	if n := row(r.Collect(), "lb", "g"); n.TargetStatus[1] != 1 {
		t.Errorf("%+v", n)
	}
}
