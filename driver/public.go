package driver

import (
	"context"
	"net"
	"net/netip"
)

// Public is what a Network does for public addresses. Which instance has one is
// not its affair.
type Public interface {
	// Catch accepts what instances send by TCP to the addresses of a pool, on
	// every port: a connection's local address tells where it was going. A
	// driver has one pool at most.
	Catch(pool netip.Prefix) (net.Listener, error)
	// Ports tells on which TCP ports running instances listen, by private
	// address and in order; ports that only the instance itself can reach are
	// left out.
	Ports(ctx context.Context) (map[netip.Addr][]uint16, error)
}
