// Package tproxy brings everything that is sent to a pool of addresses, on any port, to one socket of this process, by the
// kernel's transparent proxying. It works in the network namespace of the calling thread and takes CAP_NET_ADMIN there.
//
// It relays nothing: who accepts from the socket learns from a connection's local address where the client wanted to go.
//
// Invariants: the rules live in a table of their own that belongs to the process that made it: the kernel removes it when
// Close is called or the process dies, however it dies. Nothing else of the namespace is touched. While nobody listens any
// more, connections are refused.
package tproxy

import (
	"net/netip"
	"os"
)

// Socket is a listening TCP socket, and a UDP socket, to which everything comes that is sent to a pool.
type Socket struct {
	TCP, UDP *os.File
	rules    interface{ Close() error }
}

// Open makes the socket and the rules for a pool of IPv4 addresses. The process must keep the Socket; the files can be
// given away.
func Open(pool netip.Prefix) (*Socket, error) { return open(pool) }

// Close removes the rules and closes the files.
func (s *Socket) Close() error {
	s.TCP.Close()
	s.UDP.Close()
	return s.rules.Close()
}

// table is the name of the table of a pool.
func table(pool netip.Prefix) string { return "billow " + pool.String() }
