package addresses

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// packetIdle is how long an exchange of UDP packets is kept without one.
const packetIdle = time.Minute

// ServePackets relays UDP packets that are sent to public addresses and come from one socket, which must tell where each was
// going (IP_RECVORIGDSTADDR), until it is closed. Only the first packet of a client to a port comes from there: then there is
// a socket for the two.
func (a *Addresses) ServePackets(c *net.UDPConn) {
	packet, control := make([]byte, 64<<10), make([]byte, 256)
	for {
		n, nc, _, client, err := c.ReadMsgUDPAddrPort(packet, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if to, ok := destination(control[:nc]); err == nil && ok {
			client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
			go a.exchange(client, to, append([]byte(nil), packet[:n]...))
		}
	}
}

// destination reads where a packet was going.
func destination(control []byte) (netip.AddrPort, bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_ORIGDSTADDR && len(m.Data) >= 8 {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(m.Data[4:8])), binary.BigEndian.Uint16(m.Data[2:4])), true
		}
	}
	return netip.AddrPort{}, false
}

// exchange carries packets between a client and the instance with the address that it has written to, beginning with one.
func (a *Addresses) exchange(client, to netip.AddrPort, first []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	r := &relay{cancel: cancel}
	defer r.cut()
	target, ok := a.begin(to.Addr(), r)
	if !ok {
		return
	}
	defer a.end(to.Addr(), r)
	answer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(to), Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	}}
	back, err := answer.DialContext(ctx, "udp4", client.String())
	if err != nil || !r.accepted(back) {
		return
	}
	instance, err := a.options.Dial(ctx, "udp", netip.AddrPortFrom(target.Address, to.Port()).String())
	if err != nil || !r.connected(instance) {
		return
	}
	if _, err := instance.Write(first); err != nil {
		return
	}
	var last atomic.Int64
	last.Store(time.Now().UnixNano())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		packets(instance, back, &last)
		r.cut()
	}()
	packets(back, instance, &last)
	r.cut()
	<-ended
}

// packets copies until either side fails or nothing has come either way for long.
func packets(to, from net.Conn, last *atomic.Int64) {
	buffer := make([]byte, 64<<10)
	for {
		from.SetReadDeadline(time.Unix(0, last.Load()).Add(packetIdle))
		n, err := from.Read(buffer)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() && time.Since(time.Unix(0, last.Load())) < packetIdle {
				continue
			}
			return
		}
		last.Store(time.Now().UnixNano())
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
