package balancer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"runtime/debug"
	"strings"
	"time"
)

const (
	headTimeout  = 90 * time.Second // wall: for a client to send a request head
	continueTime = time.Second      // wall: for a target to answer Expect: 100-continue
	smallBody    = 16 << 10         // request bodies up to this need no goroutine
)

// exchange is one request and its response.
type exchange struct {
	front   *front
	view    *view
	w       http.ResponseWriter
	r       *http.Request
	client  *clientConn // nil by way of Match
	control *http.ResponseController
	upgrade string // the protocol that the client wants to switch to
	expect  bool   // the client waits for 100 Continue
	unread  bool   // the target answered without wanting the body
	started bool   // a response head was sent to the client
}

// errClient marks failures of the client's side.
type errClient struct{ error }

// ServeHTTP forwards a request to a target. Whatever goes wrong ends with this request.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{front: f, view: f.view.Load(), w: w, r: r}
	if x.client, _ = r.Context().Value(clientConnKey{}).(*clientConn); x.client != nil {
		x.client.busy.Store(true)
		x.client.begun.Store(false)
		defer x.client.busy.Store(false)
		if time.Since(x.client.opened) > x.view.keepAlive { // LB-HD-03
			w.Header()["Connection"] = []string{"close"}
		}
	}
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p != http.ErrAbortHandler {
			f.b.options.Log.Error("balancer: request failed", "panic", p, "stack", string(debug.Stack()))
			if !x.started {
				x.answer(http.StatusInternalServerError)
				return
			}
		}
		panic(http.ErrAbortHandler) // net/http closes the connection
	}()
	x.control = http.NewResponseController(w)
	if status := refuse(r); status != 0 {
		x.answer(status)
		return
	}
	x.upgrade = upgradeType(r.Header)
	x.expect = r.ContentLength != 0 && strings.EqualFold(r.Header.Get("Expect"), "100-continue")
	x.serve()
}

// recovered ends a panic in f's own goroutines.
func (f *front) recovered(what string) {
	if p := recover(); p != nil {
		f.b.options.Log.Error("balancer: "+what+" failed", "panic", p, "stack", string(debug.Stack()))
	}
}

// serve tries targets: one for an application load balancer, up to three for a classic one,
// and another one if the target goes before the request was sent.
func (x *exchange) serve() {
	var failed error
	for try := 1; try <= x.view.tries(); {
		v, m, ok := x.front.choose()
		x.view = v
		if !ok {
			x.answer(http.StatusServiceUnavailable) // LB-ER-11
			return
		}
		if try == 1 {
			m.stats.requests.Add(1) // CW-NM-04
		}
		failed = x.forward(m)
		if failed == nil {
			return
		}
		if x.r.Context().Err() != nil {
			x.view.stats.answered(460) // LB-ER-06
			panic(http.ErrAbortHandler)
		}
		if failed == errTargetGone { // before anything was sent: as if it had not been chosen
			if try == 1 {
				m.stats.requests.Add(-1)
			}
			continue
		}
		m.stats.connErrors.Add(1)
		try++
	}
	if isTimeout(failed) {
		x.answer(http.StatusGatewayTimeout) // LB-ER-12
	} else {
		x.answer(http.StatusBadGateway) // LB-ER-10
	}
}

// forward sends the request to a target and answers the client. An error means that no
// connection could be made and nothing was answered.
func (x *exchange) forward(m member) error {
	defer m.target.release()
	// Sending again is safe if it changes nothing and there is no body that has been read
	// (RFC 9110, 9.2.2); a kept connection may turn out to be dead at any time.
	replayable := x.r.ContentLength == 0 && x.upgrade == "" && idempotent(x.r)
	for fresh := false; ; fresh = true {
		c, err := m.pool.get(x.r.Context(), replayable, fresh, x.view.idle)
		if err != nil {
			return err
		}
		if again := x.roundTrip(m, c, replayable); !again {
			return nil
		}
	}
}

func idempotent(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return r.Header["Idempotency-Key"] != nil || r.Header["X-Idempotency-Key"] != nil
}

// roundTrip uses a connection for this request. If it returns true, the connection was an
// old one that turned out to be dead, and the request can be sent again.
func (x *exchange) roundTrip(m member, c *backend, replayable bool) (again bool) {
	ctx := x.r.Context()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // the client is gone
	keep := false
	defer func() {
		if stop() && keep {
			m.pool.put(c)
		} else {
			_ = c.Close()
		}
	}()
	sent := time.Now()
	x.writeHead(c.bw, m.pool.address)
	u, err := x.send(c)
	defer u.end(x, c)
	var res *http.Response
	if err == nil {
		res, err = x.readHead(c)
	}
	if err != nil {
		_ = c.Close()
		if c.reused && !c.got && replayable && ctx.Err() == nil && !isTimeout(err) {
			return true
		}
		x.fail(u, err)
		return false
	}
	if at := u.doneAt(); at.After(sent) {
		sent = at
	}
	m.stats.responseTime.add(time.Since(sent))
	m.stats.status[min(res.StatusCode/100, 5)].Add(1)
	if res.StatusCode == http.StatusSwitchingProtocols {
		stop()
		x.switchProtocols(c, res)
		return false
	}
	if !u.finished() {
		x.w.Header()["Connection"] = []string{"close"} // the rest of the body may not be read
	}
	x.respond(c, res)
	keep = !res.Close && !x.unread && u.finished() && u.err() == nil && c.br.Buffered() == 0
	return false
}

// fail answers a request whose connection broke before the response head came.
func (x *exchange) fail(u *upload, err error) {
	var client errClient
	if !u.finished() {
		x.w.Header()["Connection"] = []string{"close"}
	}
	switch {
	case u.finished() && errors.As(u.err(), &client):
		if isTimeout(client.error) {
			x.answer(http.StatusRequestTimeout) // LB-ER-04
		} else {
			x.answer(http.StatusBadRequest) // LB-ER-01: client closed before the whole body
		}
	case x.r.Context().Err() != nil:
		x.view.stats.answered(460) // LB-ER-06
		panic(http.ErrAbortHandler)
	case isTimeout(err):
		x.answer(http.StatusGatewayTimeout) // LB-ER-12
	default:
		x.answer(http.StatusBadGateway) // LB-ER-10
	}
}

// readHead reads the final response head, passing on informational ones.
func (x *exchange) readHead(c *backend) (*http.Response, error) {
	for range 8 {
		c.headRoom = responseHeadSize
		res, err := http.ReadResponse(c.br, x.r)
		c.headRoom = -1
		if err != nil {
			return nil, err
		}
		switch s := res.StatusCode; {
		case s == http.StatusSwitchingProtocols:
			if x.upgrade == "" || !strings.EqualFold(upgradeType(res.Header), x.upgrade) {
				return nil, errors.New("the target switched to a protocol that was not asked for")
			}
			return res, nil
		case s < 100 || s > 999:
			return nil, errors.New("the target's status code is not one")
		case s >= 200:
			return res, nil
		case s != http.StatusContinue: // net/http has sent that when the body was read
			h := x.w.Header()
			for name, values := range res.Header {
				h[name] = values
			}
			x.w.WriteHeader(s)
			for name := range res.Header {
				delete(h, name)
			}
		}
	}
	return nil, errors.New("the target sends informational responses without end")
}

// respond passes the response on as it comes. If the target fails on the way, the client's
// connection is cut, so that the client can tell.
func (x *exchange) respond(c *backend, res *http.Response) {
	copyHead(x.w.Header(), res.Header)
	x.started = true
	x.w.WriteHeader(res.StatusCode)
	if res.Body == http.NoBody {
		return
	}
	buffer := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buffer)
	for {
		c.extend(x.view.idle)
		n, err := res.Body.Read(*buffer)
		if n > 0 {
			if x.client == nil {
				x.view.stats.bytes.Add(int64(n))
			}
			if _, werr := x.w.Write((*buffer)[:n]); werr != nil {
				panic(http.ErrAbortHandler) // the client is gone
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			_ = x.control.Flush() // what has come is the client's
			panic(http.ErrAbortHandler)
		}
		if c.br.Buffered() == 0 { // nothing to send along: the client may be waiting for this
			_ = x.control.Flush()
		}
	}
	for name, values := range res.Trailer {
		x.w.Header()[http.TrailerPrefix+name] = values
	}
}

// switchProtocols carries a WebSocket or the like until it ends.
func (x *exchange) switchProtocols(c *backend, res *http.Response) {
	conn, rw, err := x.control.Hijack()
	if err != nil {
		x.answer(http.StatusBadGateway)
		return
	}
	defer conn.Close()
	x.started = true
	_ = conn.SetDeadline(time.Time{}) // errors show at the next use
	rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = res.Header.Write(rw)
	rw.WriteString("\r\n")
	if rw.Flush() != nil {
		return
	}
	tunnel(conn, afterBuffer(rw.Reader, conn), c, func() time.Duration { return x.front.view.Load().idle })
}

// upload is a request body on its way to the target. The nil upload is one that has ended.
type upload struct {
	ended  chan struct{}
	failed error
	at     time.Time
}

func (u *upload) finished() bool {
	if u == nil {
		return true
	}
	select {
	case <-u.ended:
		return true
	default:
		return false
	}
}

// err is why it ended early; only after finished.
func (u *upload) err() error {
	if u == nil {
		return nil
	}
	return u.failed
}

func (u *upload) doneAt() time.Time {
	if u == nil || !u.finished() {
		return time.Time{}
	}
	return u.at
}

// end makes sure that nothing reads the request or writes to the connection any more.
func (u *upload) end(x *exchange, c *backend) {
	if u.finished() {
		return
	}
	_ = c.Close()
	_ = x.control.SetReadDeadline(time.Now())
	<-u.ended
}

// send writes out the head and the body: a small body here, a larger one or one of unknown
// length beside the reading of the response, which may come first.
func (x *exchange) send(c *backend) (*upload, error) {
	if x.r.ContentLength == 0 {
		return nil, c.bw.Flush()
	}
	if x.expect {
		if err := c.bw.Flush(); err != nil {
			return nil, err
		}
		if x.unread = x.awaitContinue(c); x.unread {
			return nil, nil
		}
	}
	u := &upload{ended: make(chan struct{})}
	if n := x.r.ContentLength; n > 0 && n <= smallBody {
		u.copy(x, c)
		return u, nil // if it failed, the target may have said why
	}
	_ = x.control.EnableFullDuplex()
	go u.copy(x, c)
	return u, nil
}

// awaitContinue tells whether the target's first answer to Expect is a final response. A
// target that does not answer in time is sent the body.
func (x *exchange) awaitContinue(c *backend) bool {
	_ = c.SetReadDeadline(time.Now().Add(min(continueTime, x.view.idle)))
	line, err := c.br.Peek(len("HTTP/1.1 100"))
	_ = c.SetReadDeadline(time.Now().Add(x.view.idle))
	if err != nil {
		return false // if it is not only late, reading the response will show it
	}
	return line[9] != '1'
}

func (u *upload) copy(x *exchange, c *backend) {
	defer func() { // after ended is closed, so that whoever finds c closed knows why
		var client errClient
		if errors.As(u.failed, &client) {
			_ = c.Close() // the request is not whole: the target must not take it for one
		}
	}()
	defer close(u.ended)
	defer x.front.recovered("upload")
	u.failed = io.ErrUnexpectedEOF // in case it panics
	u.failed = u.transfer(x, c)
	u.at = time.Now()
}

func (u *upload) transfer(x *exchange, c *backend) error {
	var to io.Writer = c.bw
	if x.r.ContentLength < 0 {
		to = httputil.NewChunkedWriter(c.bw)
	}
	buffer := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buffer)
	for {
		// Whoever is silent for the idle time is at fault; the target is not while the client is.
		now := time.Now()
		_ = x.control.SetReadDeadline(now.Add(x.view.idle)) // without it, that of the connection holds
		_ = c.SetReadDeadline(now.Add(2*x.view.idle + time.Second))
		n, err := x.r.Body.Read(*buffer)
		if n > 0 {
			if x.client == nil {
				x.view.stats.bytes.Add(int64(n))
			}
			_ = c.SetWriteDeadline(time.Now().Add(x.view.idle))
			if _, werr := to.Write((*buffer)[:n]); werr != nil {
				return werr
			}
			if x.r.ContentLength < 0 || n < len(*buffer) { // it may be all there is for now
				if werr := c.bw.Flush(); werr != nil {
					return werr
				}
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return errClient{err}
		}
	}
	_ = x.control.SetReadDeadline(time.Time{})
	_ = c.SetDeadline(time.Now().Add(x.view.idle))
	if chunked, ok := to.(io.Closer); ok && x.r.ContentLength < 0 {
		_ = chunked.Close() // writes the last chunk; an error shows at Flush
		for name, values := range x.r.Trailer {
			for _, v := range values {
				_, _ = c.bw.WriteString(name + ": " + v + "\r\n")
			}
		}
		_, _ = c.bw.WriteString("\r\n")
	}
	return c.bw.Flush()
}
