package balancer

import (
	"bytes"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// clientConn is a connection from a client. It counts bytes, ends idle connections, and
// puts the errors that net/http makes by itself into the load balancer's words.
type clientConn struct {
	net.Conn
	s      *socket
	stats  *lbStats
	opened time.Time
	watch  *idleWatch
	busy   atomic.Bool // a request is being handled
	// begun: bytes of a request have come that is not being handled yet.
	begun   atomic.Bool
	refused atomic.Bool // refuse has answered: nothing more is said
	close   sync.Once
}

type clientConnKey struct{}

func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.stats.bytes.Add(int64(n))
		c.watch.touch()
		if !c.busy.Load() {
			c.begun.Store(true)
		}
	}
	return n, err
}

// ownError is what follows the status line in answers that net/http makes without asking a
// handler (nothing else: ours always have a Date).
var ownError = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

func (c *clientConn) Write(p []byte) (int, error) {
	if !c.busy.Load() && c.s.server != nil && bytes.HasPrefix(p, []byte("HTTP/1.1 ")) && bytes.Contains(p[:min(len(p), 256)], ownError) {
		status, err := strconv.Atoi(string(p[9:12]))
		if err == nil {
			if status == 431 {
				status = 400 // LB-ER-01: header limits
			}
			c.refuse(status)
			return len(p), nil
		}
	}
	n, err := c.Conn.Write(p)
	c.stats.bytes.Add(int64(n))
	c.watch.touch()
	return n, err
}

// refuse answers a request that no handler has seen.
func (c *clientConn) refuse(status int) {
	if c.refused.Swap(true) {
		return
	}
	c.begun.Store(false)
	c.stats.answered(status)
	page := errorPage(status)
	head := "HTTP/1.1 " + statusLine(status) + "\r\nServer: " + serverName + "\r\nDate: " +
		time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") +
		"\r\nContent-Type: text/html\r\nContent-Length: " + strconv.Itoa(len(page)) + "\r\nConnection: close\r\n\r\n"
	n, _ := c.Conn.Write([]byte(head + page)) // the connection is closed next in any case
	c.stats.bytes.Add(int64(n))
}

func (c *clientConn) CloseWrite() error { return closeWrite(c.Conn) }

func (c *clientConn) Close() error {
	err := net.ErrClosed
	c.close.Do(func() {
		c.stats.active.Add(-1)
		err = c.Conn.Close()
		c.watch.stop()
		c.s.mu.Lock()
		delete(c.s.open, c)
		if len(c.s.open) == 0 {
			c.s.empty.Broadcast()
		}
		c.s.mu.Unlock()
	})
	return err
}

// idleLimit is the idle time-out. While a request is handled, waiting for its target has the
// same limit and must be able to run out first, to be answered with 504.
func (c *clientConn) idleLimit() time.Duration {
	limit := c.s.f.view.Load().idle
	if c.busy.Load() {
		return 2*limit + time.Second
	}
	return limit
}

func (c *clientConn) expire() {
	if c.s.server != nil && c.begun.Load() && !c.busy.Load() {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(time.Second))
		c.refuse(408) // LB-ER-04
	}
	_ = c.Close()
}

// idleWatch calls expire once when it was not touched for as long as limit says. A touch
// costs one atomic store: the timer is set anew only when it fires.
type idleWatch struct {
	limit  func() time.Duration
	expire func()
	start  time.Time
	last   atomic.Int64 // since start

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func watchIdle(limit func() time.Duration, expire func()) *idleWatch {
	w := &idleWatch{limit: limit, expire: expire, start: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(limit(), w.fire)
	return w
}

func (w *idleWatch) touch() { w.last.Store(int64(time.Since(w.start))) }

func (w *idleWatch) fire() {
	w.mu.Lock()
	if w.stopped {
		w.mu.Unlock()
		return
	}
	left := w.limit() - (time.Since(w.start) - time.Duration(w.last.Load()))
	if left > 0 {
		w.timer.Reset(left)
		w.mu.Unlock()
		return
	}
	w.stopped = true
	w.mu.Unlock()
	w.expire()
}

func (w *idleWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.timer.Stop()
}
