package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/addresses"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/tproxy"
)

// DefaultPublicPool is where public addresses come from: the host's own loopback.
var DefaultPublicPool = netip.MustParsePrefix("127.64.0.0/16")

// partBits is the size of the part of a pool that one server takes, so that several on one host do not meet.
const partBits = 21

// publics merges the wishes for single public addresses into the data plane's one table, and brings what is sent to them,
// by the host's programs and by instances, to the data plane.
type publics struct {
	log     *slog.Logger
	pool    netip.Prefix
	home    netip.Prefix // the part that new addresses come from
	network driver.Network
	plane   *addresses.Addresses

	mu      sync.Mutex
	wished  addresses.Table
	changed chan struct{}
	held    map[netip.Prefix]io.Closer // parts of the pool that are this server's
	caught  []io.Closer                // sockets, and what reads from them
	watch   bool                       // the host gives no socket for all ports
}

// newPublics takes a part of the pool for the server with a data directory.
func newPublics(log *slog.Logger, pool netip.Prefix, data string, network driver.Network) (*publics, error) {
	p := &publics{
		log: log, pool: pool, network: network, wished: addresses.Table{}, changed: make(chan struct{}, 1), held: map[netip.Prefix]io.Closer{},
	}
	p.plane = addresses.New(addresses.Options{Dial: network.Dial, Ports: network.Ports, Log: log})
	count := 1 << max(0, partBits-pool.Bits())
	first := directoryHash(data) % count
	for n := range count {
		part := p.part((first + n) % count)
		if p.hold(part) == nil {
			p.home = part
			return p, nil
		}
	}
	return nil, fmt.Errorf("other servers on this host use all of the public addresses %s; choose others with --public-pool, or stop a server", pool)
}

// directoryHash is the same for a directory at every start.
func directoryHash(dir string) int {
	var st unix.Stat_t
	unix.Stat(dir, &st)
	h := fnv.New32a()
	fmt.Fprint(h, st.Dev, " ", st.Ino)
	return int(h.Sum32() >> 1)
}

// part is the n-th part of the pool.
func (p *publics) part(n int) netip.Prefix {
	b := p.pool.Masked().Addr().As4()
	bits := max(partBits, p.pool.Bits())
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(n)<<(32-bits))
	return netip.PrefixFrom(netip.AddrFrom4(b), bits)
}

// hold claims a part, for as long as this process lives. The claim is a name in the network namespace that the addresses are
// in, whoever the server's user is.
func (p *publics) hold(part netip.Prefix) error {
	claim, err := net.Listen("unix", "@billow public addresses "+part.String())
	if err != nil {
		return err
	}
	p.held[part] = claim
	socket, err := tproxy.Open(part)
	if err != nil {
		if !errors.Is(err, syscall.EPERM) {
			p.log.Warn("public addresses are served port by port", "reason", err)
		}
		p.watch = true
		return nil
	}
	p.caught = append(p.caught, socket)
	if listener, err := net.FileListener(socket.TCP); err == nil {
		p.caught = append(p.caught, listener)
		go p.plane.Serve(listener)
	}
	if packets, err := net.FilePacketConn(socket.UDP); err == nil {
		p.caught = append(p.caught, packets)
		go p.plane.ServePackets(packets.(*net.UDPConn))
	}
	return nil
}

// Notes says in plain sentences what the host takes away.
func (p *publics) notes() []string {
	if !p.watch {
		return nil
	}
	return []string{"Without root, public addresses answer on the TCP ports on which an instance listens, about 0.1 s after it begins to, and not on ports that the host keeps for root (those below net.ipv4.ip_unprivileged_port_start)."}
}

// wish takes the newest wish for an address; run applies it.
func (p *publics) wish(b ec2.BindAddress) {
	address, err := netip.ParseAddr(b.PublicIP)
	if err != nil {
		return
	}
	private, err := netip.ParseAddr(b.PrivateIP)
	p.mu.Lock()
	if delete(p.wished, address); err == nil {
		p.wished[address] = addresses.Target{Instance: b.InstanceID, Address: private}
	}
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// run applies wishes as they come, many at a time if they come fast, until ctx ends.
func (p *publics) run(ctx context.Context) {
	defer p.close()
	if inside, err := p.network.Catch(p.pool); err == nil {
		go p.plane.Serve(inside)
		defer inside.Close()
	} else {
		p.log.Warn("instances cannot reach public addresses", "reason", err)
	}
	if p.watch {
		go p.plane.Watch(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
			p.apply()
		}
	}
}

func (p *publics) apply() {
	p.mu.Lock()
	defer p.mu.Unlock()
	table := make(addresses.Table, len(p.wished))
	for address, target := range p.wished {
		table[address] = target
		if p.home.Contains(address) || !p.pool.Contains(address) {
			continue
		}
		// Given out while another part was this server's.
		part, _ := address.Prefix(p.home.Bits())
		if p.held[part] == nil && p.hold(part) != nil {
			p.log.Warn("another server on this host has public addresses that this one gave out before; they do not answer while it runs", "addresses", part)
		}
	}
	p.plane.Apply(table)
}

// clear forgets every wish.
func (p *publics) clear() {
	p.mu.Lock()
	clear(p.wished)
	p.mu.Unlock()
	p.apply()
}

func (p *publics) close() {
	p.plane.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.caught {
		s.Close()
	}
	for _, claim := range p.held {
		claim.Close()
	}
}
