package addresses

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// ports are the listeners of a host on which no socket can catch them all.
type ports struct {
	watched   bool
	known     map[netip.Addr][]uint16 // of the instances, as they were seen last
	listeners map[netip.AddrPort]net.Listener
	said      map[string]bool
}

// Instances are asked for their ports every lookEvery, and less often if that would take more than a fiftieth of the time.
const (
	lookEvery = 100 * time.Millisecond
	lookShare = 50
)

// Watch listens on every address and port on which an instance listens, until ctx ends. A port that an instance opens
// answers about a tenth of a second later; those of an instance that gets another address answer there at once.
func (a *Addresses) Watch(ctx context.Context) {
	a.mu.Lock()
	a.ports.watched = true
	a.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		known, err := a.options.Ports(ctx)
		a.mu.Lock()
		if err == nil && !a.closed {
			a.ports.known = known
			a.listen()
		}
		a.mu.Unlock()
		timer.Reset(max(lookEvery, lookShare*time.Since(began)))
	}
}

// listen opens the listeners that the table and the known ports ask for, and closes the others. a.mu is held.
func (a *Addresses) listen() {
	if !a.ports.watched {
		return
	}
	for at, l := range a.ports.listeners {
		target, ok := a.table[at.Addr()]
		if !ok || a.closed || !slices.Contains(a.ports.known[target.Address], at.Port()) {
			l.Close()
			delete(a.ports.listeners, at)
		}
	}
	if a.closed {
		return
	}
	for address, target := range a.table {
		for _, port := range a.ports.known[target.Address] {
			at := netip.AddrPortFrom(address, port)
			if a.ports.listeners[at] != nil {
				continue
			}
			l, err := net.Listen("tcp4", at.String())
			if err != nil {
				a.say(at, err)
				continue
			}
			a.ports.listeners[at] = l
			go a.Serve(l)
		}
	}
}

// say tells once why an address and port, or all ports below 1024, cannot be served.
func (a *Addresses) say(at netip.AddrPort, err error) {
	why := fmt.Sprintf("%s cannot be listened on: %v", at, err)
	switch {
	case errors.Is(err, syscall.EACCES):
		why = "ports below 1024 of public addresses take root, or a lower net.ipv4.ip_unprivileged_port_start"
	case errors.Is(err, syscall.EADDRINUSE):
		why = fmt.Sprintf("port %d of public addresses is in use: another program listens on it on all addresses of this host", at.Port())
	}
	if len(a.ports.said) < 1000 && !a.ports.said[why] {
		a.ports.said[why] = true
		a.options.Log.Warn("an instance cannot be reached by its public address", "reason", why)
	}
}
