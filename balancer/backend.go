package balancer

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	maxIdlePerPool   = 256
	responseHeadSize = 32 << 10 // LB-HD-03
	firstDialTimeout = 25 * time.Millisecond
)

var (
	errHeadTooLarge = errors.New("response head is larger than 32 KiB")
	errTargetGone   = errors.New("the target is no longer registered")
)

// backend is a connection to a target.
type backend struct {
	net.Conn
	pool      *pool
	br        *bufio.Reader // reads through backend.Read
	bw        *bufio.Writer
	reused    bool
	idleSince time.Time
	extended  time.Time // when the deadline was last moved
	// headRoom, if not negative, is how many bytes may still be read: set while reading a head.
	headRoom int
	got      bool // a byte of the current response has come

	raw   syscall.RawConn // nil if the connection has no file descriptor
	probe func(fd uintptr) bool
	dead  bool // what probe found
}

func (c *backend) Read(p []byte) (int, error) {
	if c.headRoom == 0 {
		return 0, errHeadTooLarge
	}
	if c.headRoom > 0 && len(p) > c.headRoom {
		p = p[:c.headRoom]
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.got = true
		if c.headRoom > 0 {
			c.headRoom -= n
		}
	}
	return n, err
}

// extend moves the deadline to idle from now, if that makes a difference.
func (c *backend) extend(idle time.Duration) {
	if now := time.Now(); now.Sub(c.extended) > idle/16 {
		c.extended = now
		_ = c.SetDeadline(now.Add(idle)) // an error shows at the next use
	}
}

// Close closes the connection for good.
func (c *backend) Close() error {
	c.pool.mu.Lock()
	delete(c.pool.open, c)
	c.pool.mu.Unlock()
	return c.Conn.Close()
}

func (c *backend) CloseWrite() error { return closeWrite(c.Conn) }

// usable tells whether an idle connection is still open, as far as this end knows;
// known is false if that cannot be found out.
func (c *backend) usable() (alive, known bool) {
	if c.raw == nil {
		return true, false
	}
	if err := c.raw.Read(c.probe); err != nil {
		return false, true
	}
	return !c.dead, true
}

// pool holds the connections to one address of a target. There is no goroutine per
// connection: an idle one is probed when it is taken out, and swept when it is old.
type pool struct {
	b       *Balancer
	address string

	mu     sync.Mutex
	idle   []*backend // the most recently used last
	open   map[*backend]struct{}
	closed bool
}

// get returns a connection with a deadline of idle from now. A request that must not be
// sent twice gets a kept one only if that is known to be open.
func (p *pool) get(ctx context.Context, replayable, fresh bool, idle time.Duration) (*backend, error) {
	for !fresh {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		c.extended = time.Time{}
		c.extend(idle)
		if alive, known := c.usable(); alive && (known || replayable) {
			c.reused, c.got = true, false
			return c, nil
		}
		_ = c.Close()
	}
	c, err := p.dial(ctx, idle)
	if err == nil {
		c.extend(idle)
	}
	return c, err
}

// dial connects; a client's connection with a short idle time-out does not wait ten seconds.
func (p *pool) dial(ctx context.Context, idle time.Duration) (*backend, error) {
	nc, err := p.b.connect(ctx, p.address, min(p.b.connectTimeout, 2*idle))
	if err != nil {
		return nil, err
	}
	c := &backend{Conn: nc, pool: p, headRoom: -1}
	c.br, c.bw = bufio.NewReader(c), bufio.NewWriter(nc)
	c.prepareProbe()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = nc.Close()
		return nil, errTargetGone
	}
	p.open[c] = struct{}{}
	return c, nil
}

func (p *pool) put(c *backend) {
	c.idleSince = time.Now()
	p.mu.Lock()
	keep := !p.closed && len(p.idle) < maxIdlePerPool
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		_ = c.Close()
	}
}

// sweep closes connections that have been idle since before, and those that the target
// has closed.
func (p *pool) sweep(before time.Time) {
	p.mu.Lock()
	var old []*backend
	keep := p.idle[:0]
	for _, c := range p.idle {
		_ = c.SetDeadline(time.Time{}) // else the probe finds a deadline that has passed
		if alive, _ := c.usable(); alive && c.idleSince.After(before) {
			keep = append(keep, c)
		} else {
			old = append(old, c)
		}
	}
	clear(p.idle[len(keep):])
	p.idle = keep
	p.mu.Unlock()
	for _, c := range old {
		_ = c.Close()
	}
}

func (p *pool) closeIdle() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

// cut closes every connection, whatever it is doing.
func (p *pool) cut() {
	p.mu.Lock()
	p.closed = true
	p.idle = nil
	var all []*backend
	for c := range p.open {
		all = append(all, c)
	}
	p.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// connect dials within the given total time. If that does not succeed very soon, it dials
// again beside the first try, up to four times: a SYN that is lost because the target's
// network has only just come up would else cost the kernel's whole second before it is
// sent again, and a try that is only slow because the machine is busy is not given up.
func (b *Balancer) connect(ctx context.Context, address string, total time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	type result struct {
		c   net.Conn
		err error
	}
	results := make(chan result)
	try := func() {
		c, err := b.options.Dial(ctx, "tcp", address)
		select {
		case results <- result{c, err}:
		case <-ctx.Done(): // another try was first, or it is too late
			if c != nil {
				_ = c.Close()
			}
		}
	}
	go try()
	tries, wait := 1, firstDialTimeout
	again := time.NewTimer(wait)
	defer again.Stop()
	for {
		select {
		case r := <-results:
			return r.c, r.err
		case <-again.C:
			if tries++; tries <= 4 {
				go try()
				wait *= 3
				again.Reset(wait)
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

func closeWrite(c net.Conn) error {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}
