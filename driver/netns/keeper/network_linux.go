package keeper

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
)

// Addresses that the cloud itself owns in every VPC.
const (
	metadataAddress = "169.254.169.254"
	resolverAddress = "169.254.169.253"
)

// routerMAC is the same on the cloud's end of every veth pair: each is a link
// of its own.
var routerMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}

const mtu = 9001 // as inside an AWS VPC

// vpc is the network namespace that this process lives in.
type vpc struct {
	handle *netlink.Handle
	lo     netlink.Link

	mu  sync.Mutex
	own map[netip.Addr]bool // addresses on lo
}

func newVPC() (*vpc, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("opening netlink: %w", err)
	}
	lo, err := handle.LinkByName("lo")
	if err != nil {
		return nil, fmt.Errorf("looking for the loopback device: %w", err)
	}
	if err := handle.LinkSetUp(lo); err != nil {
		return nil, fmt.Errorf("starting the loopback device: %w", err)
	}
	v := &vpc{handle: handle, lo: lo, own: map[netip.Addr]bool{}}
	for _, setting := range [][2]string{
		{"net/ipv4/ip_forward", "1"},
		{"net/ipv4/conf/all/rp_filter", "1"}, // strict: nobody can forge a source address
		{"net/ipv4/conf/default/rp_filter", "1"},
		{"net/ipv4/conf/all/route_localnet", "1"}, // public addresses on loopback come from instances; see attach
		{"net/ipv4/conf/all/send_redirects", "0"},
		{"net/ipv4/conf/default/send_redirects", "0"},
		{"net/ipv4/icmp_ratelimit", "0"},             // "port unreachable" must come at once, or resolvers wait
		{"net/ipv4/ip_unprivileged_port_start", "0"}, // the daemon listens here without being root
		{"net/ipv6/conf/default/disable_ipv6", "1"},
	} {
		if err := os.WriteFile("/proc/sys/"+setting[0], []byte(setting[1]), 0); err != nil && !strings.Contains(setting[0], "ipv6") {
			return nil, fmt.Errorf("setting %s: %w", setting[0], err)
		}
	}
	for _, a := range []string{metadataAddress, resolverAddress} {
		if err := v.claim(netip.MustParseAddr(a)); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// claim makes an address the cloud's own.
func (v *vpc) claim(a netip.Addr) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.own[a] || a.IsUnspecified() || a.IsLoopback() {
		return nil
	}
	err := v.handle.AddrAdd(v.lo, &netlink.Addr{IPNet: host(a)})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("adding %s to the network: %w", a, err)
	}
	v.own[a] = true
	return nil
}

// release gives an address back, since an instance is going to have it.
func (v *vpc) release(a netip.Addr) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.own[a] {
		v.handle.AddrDel(v.lo, &netlink.Addr{IPNet: host(a)})
		delete(v.own, a)
	}
}

// attach gives the instance, told by its init, its network: eth0 with
// the VPC address, and a default route over the router. Neighbours are entered
// by hand on both sides, so ARP never runs and never overflows.
func (v *vpc) attach(spec driver.Spec, pid, pidfd int) error {
	router := spec.Subnet.Masked().Addr().Next()
	if err := v.claim(router); err != nil {
		return err
	}
	v.release(spec.PrivateIP)
	mac, err := hardwareAddress(spec)
	if err != nil {
		return err
	}
	name := linkName(spec.PrivateIP)
	link := netlink.NewVeth(netlink.LinkAttrs{Name: name, MTU: mtu, HardwareAddr: routerMAC, Flags: net.FlagUp, TxQLen: 1000})
	link.PeerName, link.PeerHardwareAddr, link.PeerMTU = "eth0", mac, mtu
	link.PeerNamespace = netlink.NsPid(pid)
	if err := v.handle.LinkAdd(link); err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("the kernel has no veth devices: load the module as root (modprobe veth)")
		}
		if !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("making the network interface: %w", err)
		}
		// The address's former owner is gone, its link not yet.
		v.detach(spec.PrivateIP)
		if err := v.handle.LinkAdd(link); err != nil {
			return fmt.Errorf("making the network interface: %w", err)
		}
	}
	outer, err := v.handle.LinkByName(name)
	if err != nil {
		return err
	}
	index := outer.Attrs().Index
	if err := v.inside(spec, router, mac, pidfd); err != nil {
		return fmt.Errorf("setting up the network inside: %w", err)
	}
	if err := v.handle.NeighSet(&netlink.Neigh{LinkIndex: index, IP: spec.PrivateIP.AsSlice(), HardwareAddr: mac, State: netlink.NUD_PERMANENT}); err != nil {
		return fmt.Errorf("entering the neighbour: %w", err)
	}
	err = v.handle.RouteReplace(&netlink.Route{LinkIndex: index, Dst: host(spec.PrivateIP), Scope: netlink.SCOPE_LINK, Src: router.AsSlice()})
	if err != nil {
		return fmt.Errorf("routing to the instance: %w", err)
	}
	return nil
}

// inside configures the instance's end.
func (v *vpc) inside(spec driver.Spec, router netip.Addr, mac net.HardwareAddr, pidfd int) error {
	handle, err := netlink.NewHandleAt(netns.NsHandle(pidfd), unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	lo, err := handle.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := handle.LinkSetUp(lo); err != nil {
		return err
	}
	eth0, err := handle.LinkByName("eth0")
	if err != nil {
		return err
	}
	index := eth0.Attrs().Index
	address := &netlink.Addr{
		IPNet: &net.IPNet{IP: spec.PrivateIP.AsSlice(), Mask: net.CIDRMask(spec.Subnet.Bits(), 32)},
		Flags: unix.IFA_F_NOPREFIXROUTE,
	}
	if err := handle.AddrAdd(eth0, address); err != nil {
		return err
	}
	if err := handle.LinkSetUp(eth0); err != nil {
		return err
	}
	if err := handle.NeighSet(&netlink.Neigh{LinkIndex: index, IP: router.AsSlice(), HardwareAddr: routerMAC, State: netlink.NUD_PERMANENT}); err != nil {
		return err
	}
	if err := handle.RouteAdd(&netlink.Route{LinkIndex: index, Dst: host(router), Scope: netlink.SCOPE_LINK}); err != nil {
		return err
	}
	public := &net.IPNet{IP: publicPool.Addr().AsSlice(), Mask: net.CIDRMask(publicPool.Bits(), 32)}
	for _, route := range []netlink.Route{
		{LinkIndex: index, Gw: router.AsSlice(), Src: spec.PrivateIP.AsSlice()},
		// In the table that is asked first, where all of 127.0.0.0/8 is local.
		{LinkIndex: index, Gw: router.AsSlice(), Src: spec.PrivateIP.AsSlice(), Dst: public, Table: unix.RT_TABLE_LOCAL},
	} {
		if err := handle.RouteAdd(&route); err != nil {
			return err
		}
	}
	return nil
}

// unroute makes the address unreachable at once. The link itself goes with the
// instance's network namespace, which the kernel clears away in its own time.
func (v *vpc) unroute(a netip.Addr) {
	v.handle.RouteDel(&netlink.Route{Dst: host(a), Scope: netlink.SCOPE_LINK})
}

// detach removes the link and waits for it.
func (v *vpc) detach(a netip.Addr) {
	if link, err := v.handle.LinkByName(linkName(a)); err == nil {
		v.handle.LinkDel(link)
	}
}

// traffic reads the counters of all links in one go.
func (v *vpc) traffic() map[string]counters {
	all := map[string]counters{}
	for line := range strings.Lines(readString("/proc/thread-self/net/dev")) {
		name, rest, found := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if !found || len(fields) < 16 {
			continue
		}
		// What our end receives is what the instance sends.
		all[strings.TrimSpace(name)] = counters{
			bytesOut: parse(fields[0]), packetsOut: parse(fields[1]),
			bytesIn: parse(fields[8]), packetsIn: parse(fields[9]),
		}
	}
	return all
}

type counters struct{ bytesIn, packetsIn, bytesOut, packetsOut uint64 }

func linkName(a netip.Addr) string {
	b := a.As4()
	return fmt.Sprintf("v%02x%02x%02x%02x", b[0], b[1], b[2], b[3])
}

func host(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

// hardwareAddress is the given MAC, or one made of the address.
func hardwareAddress(spec driver.Spec) (net.HardwareAddr, error) {
	if spec.MAC != "" {
		return net.ParseMAC(spec.MAC)
	}
	b := spec.PrivateIP.As4()
	return net.HardwareAddr{0x02, 0xb1, b[0], b[1], b[2], b[3]}, nil
}
