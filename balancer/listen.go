package balancer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// socket is the listening end of a front.
type socket struct {
	f        *front
	address  netip.AddrPort
	protocol string
	listener net.Listener
	server   *http.Server // nil for TCP

	mu    sync.Mutex
	open  map[*clientConn]struct{}
	empty *sync.Cond // signalled when open becomes empty
}

// listen closes the sockets that next does not want and opens those it does. A socket whose
// address and protocol stay is not touched.
func (b *Balancer) listen(old, next *table) (problems []Problem) {
	wanted := func(f *front) (netip.AddrPort, string) {
		v := next.views[f]
		if v == nil || !v.lb.Address.IsValid() || v.listener.ID == "" {
			return netip.AddrPort{}, ""
		}
		return netip.AddrPortFrom(v.lb.Address, uint16(v.listener.Port)), v.listener.Protocol
	}
	for _, f := range old.fronts { // first close, so that an address can pass to another listener
		if s := f.socket; s != nil {
			if address, protocol := wanted(f); address != s.address || protocol != s.protocol {
				ctx, cancel := context.WithTimeout(context.Background(), retireGrace)
				b.retire(ctx, f)
				context.AfterFunc(ctx, cancel)
			}
		}
	}
	for i := range next.config.LoadBalancers { // in the order of the configuration
		lb := &next.config.LoadBalancers[i]
		for j := range lb.Listeners {
			f := next.fronts[frontKey{lb.ID, lb.Listeners[j].ID}]
			address, protocol := wanted(f)
			if f.socket != nil || !address.IsValid() {
				continue
			}
			if err := b.open(f, address, protocol); err != nil {
				problems = append(problems, Problem{LoadBalancer: lb.ID, Listener: lb.Listeners[j].ID,
					Message: fmt.Sprintf("Listener %s of %s cannot listen on %s: %s.", lb.Listeners[j].ID, lb.ID, address, why(err))})
			}
		}
	}
	return problems
}

func why(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "the address is in use by another program"
	case errors.Is(err, syscall.EACCES):
		return "ports below 1024 need root (or a lower net.ipv4.ip_unprivileged_port_start)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this host does not have the address"
	}
	return err.Error()
}

func (b *Balancer) open(f *front, address netip.AddrPort, protocol string) error {
	if protocol != ProtocolHTTP && protocol != ProtocolTCP {
		return fmt.Errorf("listeners of protocol %s are not implemented", protocol)
	}
	ln, err := net.Listen("tcp", address.String())
	if err != nil {
		return err
	}
	s := &socket{f: f, address: address, protocol: protocol, open: map[*clientConn]struct{}{}}
	s.empty = sync.NewCond(&s.mu)
	s.listener = &acceptor{Listener: ln, s: s}
	f.socket = s
	b.retiring.Add(1)
	if protocol == ProtocolTCP {
		go func() { defer b.retiring.Done(); s.serveTCP() }()
		return nil
	}
	s.server = &http.Server{
		Handler: f,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, clientConnKey{}, c)
		},
		MaxHeaderBytes:               headersSize + 2*lineSize, // what is in between is refused by refuse
		ReadHeaderTimeout:            headTimeout,
		DisableGeneralOptionsHandler: true,
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateIdle { // what was read since the response was the request's rest
				c.(*clientConn).begun.Store(false)
			}
		},
		ErrorLog: log.New(io.Discard, "", 0), // clients' mistakes are counted, not logged
	}
	go func() { defer b.retiring.Done(); _ = s.server.Serve(s.listener) }() // ends when closed
	return nil
}

// retire stops listening at once and lets what is open end until ctx is done.
func (b *Balancer) retire(ctx context.Context, f *front) {
	s := f.socket
	if s == nil {
		return
	}
	f.socket = nil
	_ = s.listener.Close()
	b.retiring.Go(func() {
		stop := context.AfterFunc(ctx, s.cut)
		defer stop()
		if s.server != nil {
			_ = s.server.Shutdown(ctx) // closes idle connections; what is cut has been counted
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for len(s.open) > 0 {
			s.empty.Wait()
		}
	})
}

func (s *socket) cut() {
	s.mu.Lock()
	var all []*clientConn
	for c := range s.open {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// acceptor makes accepted connections clientConns and refuses those that are too many.
type acceptor struct {
	net.Listener
	s    *socket
	once sync.Once
}

func (a *acceptor) Close() (err error) {
	a.once.Do(func() { err = a.Listener.Close() })
	return err
}

func (a *acceptor) Accept() (net.Conn, error) {
	for {
		nc, err := a.Listener.Accept()
		if err != nil {
			return nil, err
		}
		f := a.s.f
		stats := f.view.Load().stats
		if stats.active.Add(1) > int64(f.b.options.MaxConnections) {
			stats.active.Add(-1)
			stats.rejected.Add(1)
			_ = nc.Close()
			continue
		}
		stats.newConns.Add(1)
		c := &clientConn{Conn: nc, s: a.s, stats: stats, opened: time.Now()}
		c.watch = watchIdle(c.idleLimit, c.expire)
		a.s.mu.Lock()
		a.s.open[c] = struct{}{}
		a.s.mu.Unlock()
		return c, nil
	}
}

// serveTCP accepts until the listener is closed.
func (s *socket) serveTCP() {
	for pause := time.Millisecond; ; {
		c, err := s.listener.Accept()
		if err == nil {
			pause = time.Millisecond
			go s.f.serveTCP(c.(*clientConn))
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		time.Sleep(pause) // out of file descriptors, for example: it passes
		pause = min(2*pause, time.Second)
	}
}
