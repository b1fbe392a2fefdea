// Package addresses is the data plane of public addresses: what is sent to one, on any port, reaches the instance that has
// it now. It is a relay, byte for byte; it knows no AWS resource, no protocol above TCP and UDP, and no security group.
//
// The one idea: a whole immutable Table, which says who has which address, is swapped in one step. Connections are accepted
// either from a socket that catches every port of the pool (Serve), or, where the host has none to give, from a listener per
// address and port on which the instance listens (Watch).
//
// Invariants: once Apply has returned, no byte goes to or comes from an instance that does not have the address any more; an
// address without instance is answered by nobody; a connection that the instance refuses is reset.
package addresses

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Table says which instance answers on each public address. It must not be changed once it was applied.
type Table map[netip.Addr]Target

// Target is an instance.
type Target struct {
	Instance string     // its ID
	Address  netip.Addr // in the private network
}

// Options are what the data plane is made with; they do not change.
type Options struct {
	// Dial reaches instances, "tcp" and "udp". It must end when ctx ends.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Ports tells on which TCP ports instances listen, by their private address: only for Watch.
	Ports func(ctx context.Context) (map[netip.Addr][]uint16, error)
	// Log gets what cannot be done, each once; nil discards it.
	Log *slog.Logger
}

const (
	dialTime = 10 * time.Second
	// most bounds the open connections of one address; further ones are reset.
	most = 8192
)

// Addresses is a running data plane. Its methods may be called from any goroutine.
type Addresses struct {
	options Options

	mu     sync.Mutex
	table  Table
	open   map[netip.Addr]map[*relay]struct{}
	closed bool
	ports  ports
}

// New makes a data plane on which nobody answers.
func New(o Options) *Addresses {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Addresses{options: o, open: map[netip.Addr]map[*relay]struct{}{}, ports: ports{listeners: map[netip.AddrPort]net.Listener{}, said: map[string]bool{}}}
}

// Apply makes t the table. On return, whoever lost an address is cut off from it.
func (a *Addresses) Apply(t Table) {
	a.mu.Lock()
	before := a.table
	a.table = t
	var lost []*relay
	for address, relays := range a.open {
		if before[address] == t[address] {
			continue
		}
		for r := range relays {
			lost = append(lost, r)
		}
		delete(a.open, address)
	}
	a.listen()
	a.mu.Unlock()
	for _, r := range lost {
		r.cut()
	}
}

// Lookup gives the instance that has a public address.
func (a *Addresses) Lookup(address netip.Addr) (Target, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.table[address]
	return t, ok
}

// Serve relays what is accepted from a listener, until that is closed. The public address that a connection is for is its
// local one.
func (a *Addresses) Serve(l net.Listener) {
	for pause := time.Millisecond; ; {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = time.Millisecond
			go a.relay(c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(pause) // out of file descriptors, for example: it passes
			pause = min(2*pause, time.Second)
		}
	}
}

// Close cuts everything off.
func (a *Addresses) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.Apply(nil)
}

// relay carries one connection to the instance that it is for.
func (a *Addresses) relay(c net.Conn) {
	to := c.LocalAddr().(*net.TCPAddr).AddrPort()
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	r := &relay{client: c, cancel: cancel}
	defer r.cut()
	target, ok := a.begin(to.Addr(), r)
	if !ok {
		return
	}
	defer a.end(to.Addr(), r)
	instance, err := a.options.Dial(ctx, "tcp", netip.AddrPortFrom(target.Address, to.Port()).String())
	if err != nil {
		return
	}
	if r.connected(instance) {
		r.carry()
	}
}

// begin enters a connection to an address, so that it is cut off when the address moves.
func (a *Addresses) begin(address netip.Addr, r *relay) (Target, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.table[address]
	if !ok || a.closed || len(a.open[address]) >= most {
		return t, false
	}
	if a.open[address] == nil {
		a.open[address] = map[*relay]struct{}{}
	}
	a.open[address][r] = struct{}{}
	return t, true
}

func (a *Addresses) end(address netip.Addr, r *relay) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if delete(a.open[address], r); len(a.open[address]) == 0 {
		delete(a.open, address)
	}
}
