package netns

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A keeper that dies takes its network namespace with it, and what listened
// there would listen for ever in a place that nobody can reach. Therefore
// listeners are held here and made again in the next keeper's, unseen by who
// uses them.
type holder interface {
	// renew makes the socket again.
	renew() error
}

// renew brings all listeners into the network of a new keeper.
func (n *network) renew() {
	n.mu.Lock()
	held := make(map[holder]string, len(n.held))
	for h, what := range n.held {
		held[h] = what
	}
	n.mu.Unlock()
	for h, what := range held {
		if err := h.renew(); err != nil {
			fmt.Fprintf(os.Stderr, "billow: listening again on %s: %v\n", what, err)
		}
	}
}

func (n *network) hold(h holder, what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held[h] = what
}

func (n *network) drop(h holder) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.held, h)
}

// socketHolder is what both kinds of listeners have in common: a current
// socket, which changes under them.
type socketHolder[S interface{ Close() error }] struct {
	make func() (S, error)

	mu      sync.Mutex
	current S
	closed  bool
}

func (h *socketHolder[S]) renew() error {
	fresh, err := h.make()
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return fresh.Close()
	}
	h.current.Close()
	h.current = fresh
	return nil
}

func (h *socketHolder[S]) get() (current S, closed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.current, h.closed
}

func (h *socketHolder[S]) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return net.ErrClosed
	}
	h.closed = true
	return h.current.Close()
}

type listener struct {
	socketHolder[net.Listener]
	n *network
}

// Listen implements driver.Network.
func (n *network) Listen(kind, address string) (net.Listener, error) {
	l := &listener{n: n}
	l.make = func() (net.Listener, error) {
		file, err := n.bind(kind, address)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if err := unix.Listen(int(file.Fd()), 4096); err != nil {
			return nil, os.NewSyscallError("listen", err)
		}
		return net.FileListener(file)
	}
	var err error
	if l.current, err = l.make(); err != nil {
		return nil, &net.OpError{Op: "listen", Net: kind, Err: err}
	}
	n.hold(l, address)
	return l, nil
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		current, _ := l.get()
		conn, err := current.Accept()
		if err == nil {
			return conn, nil
		}
		if next, closed := l.get(); closed || next == current {
			return nil, err
		}
	}
}

func (l *listener) Addr() net.Addr {
	current, _ := l.get()
	return current.Addr()
}

func (l *listener) Close() error {
	l.n.drop(l)
	return l.socketHolder.Close()
}

type packetConn struct {
	socketHolder[net.PacketConn]
	n *network
}

// ListenPacket implements driver.Network.
func (n *network) ListenPacket(kind, address string) (net.PacketConn, error) {
	p := &packetConn{n: n}
	p.make = func() (net.PacketConn, error) {
		file, err := n.bind(kind, address)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return net.FilePacketConn(file)
	}
	var err error
	if p.current, err = p.make(); err != nil {
		return nil, &net.OpError{Op: "listen", Net: kind, Err: err}
	}
	n.hold(p, address)
	return p, nil
}

func (p *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		current, _ := p.get()
		n, from, err := current.ReadFrom(b)
		if err == nil {
			return n, from, nil
		}
		if next, closed := p.get(); closed || next == current {
			return n, from, err
		}
	}
}

func (p *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	current, _ := p.get()
	return current.WriteTo(b, to)
}

func (p *packetConn) LocalAddr() net.Addr {
	current, _ := p.get()
	return current.LocalAddr()
}

func (p *packetConn) SetDeadline(t time.Time) error {
	current, _ := p.get()
	return current.SetDeadline(t)
}

func (p *packetConn) SetReadDeadline(t time.Time) error {
	current, _ := p.get()
	return current.SetReadDeadline(t)
}

func (p *packetConn) SetWriteDeadline(t time.Time) error {
	current, _ := p.get()
	return current.SetWriteDeadline(t)
}

func (p *packetConn) Close() error {
	p.n.drop(p)
	return p.socketHolder.Close()
}
