//go:build !linux

package addresses

import "net"

// ServePackets is not possible here.
func (a *Addresses) ServePackets(c *net.UDPConn) {}
