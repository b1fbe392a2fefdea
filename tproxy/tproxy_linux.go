package tproxy

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// owner is NFT_TABLE_F_OWNER: the table goes when the socket that made it is closed.
const owner = 2

// here is the address that the sockets have of their own.
var here = [4]byte{127, 0, 0, 1}

func open(pool netip.Prefix) (*Socket, error) {
	if !pool.Addr().Is4() {
		return nil, fmt.Errorf("the pool %s is not one of IPv4 addresses", pool)
	}
	tcp, tcpPort, err := socket(unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	udp, udpPort, err := socket(unix.SOCK_DGRAM)
	if err != nil {
		tcp.Close()
		return nil, err
	}
	rules, err := install(pool.Masked(), map[byte]uint16{unix.IPPROTO_TCP: tcpPort, unix.IPPROTO_UDP: udpPort})
	if err != nil {
		tcp.Close()
		udp.Close()
		return nil, err
	}
	return &Socket{TCP: tcp, UDP: udp, rules: rules}, nil
}

// socket makes one that may answer in the name of any address.
func socket(kind int) (*os.File, uint16, error) {
	fail := func(doing string, err error) (*os.File, uint16, error) {
		return nil, 0, fmt.Errorf("%s a transparent socket: %w", doing, err)
	}
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fail("making", err)
	}
	file := os.NewFile(uintptr(fd), "tproxy")
	options := []int{unix.IP_TRANSPARENT}
	if kind == unix.SOCK_DGRAM {
		options = append(options, unix.IP_RECVORIGDSTADDR)
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, o, 1); err != nil {
			file.Close()
			return fail("setting up", err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: here}); err != nil {
		file.Close()
		return fail("binding", err)
	}
	if kind == unix.SOCK_STREAM {
		if err := unix.Listen(fd, 4096); err != nil {
			file.Close()
			return fail("listening on", err)
		}
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		file.Close()
		return fail("naming", err)
	}
	return file, uint16(name.(*unix.SockaddrInet4).Port), nil
}

// rules hold a table by the netlink connection that made it.
type rules struct{ conn *nftables.Conn }

func (r rules) Close() error { return r.conn.CloseLasting() }

// install makes the table.
func install(pool netip.Prefix, ports map[byte]uint16) (rules, error) {
	var raw *netlink.Conn
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error { raw = c; return nil }))
	if err != nil {
		return rules{}, fmt.Errorf("opening nftables: %w", err)
	}
	r := rules{conn}
	t := &nftables.Table{Name: table(pool), Family: nftables.TableFamilyIPv4}
	if err := own(raw, t.Name); err != nil {
		r.Close()
		return r, fmt.Errorf("making the nftables table %q: %w", t.Name, err)
	}
	chain := conn.AddChain(&nftables.Chain{
		Name: "prerouting", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle,
	})
	mask, network := net.CIDRMask(pool.Bits(), 32), pool.Addr().As4()
	for protocol, port := range ports {
		conn.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocol}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}, // destination address
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: network[:]},
			&expr.Immediate{Register: 1, Data: here[:]},
			&expr.Immediate{Register: 2, Data: binary.BigEndian.AppendUint16(nil, port)},
			&expr.TProxy{Family: unix.NFPROTO_IPV4, TableFamily: unix.NFPROTO_IPV4, RegAddr: 1, RegPort: 2},
			&expr.Verdict{Kind: expr.VerdictAccept},
		}})
	}
	if err := conn.Flush(); err != nil {
		r.Close()
		return r, fmt.Errorf("making the nftables rules: %w", err)
	}
	return r, nil
}

// own makes a table that goes when the connection does, which the library cannot say. One of the same name that belongs to
// another process is an error.
func own(conn *netlink.Conn, name string) error {
	attributes, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_TABLE_NAME, Data: []byte(name + "\x00")},
		{Type: unix.NFTA_TABLE_FLAGS, Data: binary.BigEndian.AppendUint32(nil, owner)},
	})
	if err != nil {
		return err
	}
	header := func(family byte, resource uint16) []byte {
		return binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
	}
	_, err = conn.SendMessages([]netlink.Message{
		{Header: netlink.Header{Type: unix.NFNL_MSG_BATCH_BEGIN, Flags: netlink.Request}, Data: header(0, unix.NFNL_SUBSYS_NFTABLES)},
		{
			Header: netlink.Header{
				Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWTABLE),
				Flags: netlink.Request | netlink.Acknowledge | netlink.Create | netlink.Excl,
			},
			Data: append(header(unix.NFPROTO_IPV4, 0), attributes...),
		},
		{Header: netlink.Header{Type: unix.NFNL_MSG_BATCH_END, Flags: netlink.Request}, Data: header(0, unix.NFNL_SUBSYS_NFTABLES)},
	})
	if err != nil {
		return err
	}
	_, err = conn.Receive()
	return err
}
