package sim

import (
	"context"
	"net"
	"net/netip"
)

// Catch implements driver.Public: nobody connects.
func (network) Catch(pool netip.Prefix) (net.Listener, error) {
	return &silence{at: &net.TCPAddr{IP: pool.Addr().AsSlice()}, over: make(chan struct{})}, nil
}

// Ports implements driver.Public: nobody listens.
func (network) Ports(context.Context) (map[netip.Addr][]uint16, error) { return nil, nil }
