package daemon

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/driver"
)

// loopbackNetwork has instances that are servers on the host's loopback.
type loopbackNetwork struct {
	driver.Network
	net.Dialer
	port uint16
}

func (n *loopbackNetwork) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return n.DialContext(ctx, network, address)
}

func (n *loopbackNetwork) Catch(netip.Prefix) (net.Listener, error) {
	return nil, fmt.Errorf("there is no network")
}

func (n *loopbackNetwork) Ports(context.Context) (map[netip.Addr][]uint16, error) {
	return map[netip.Addr][]uint16{netip.MustParseAddr("127.0.0.1"): {n.port}}, nil
}

// Two servers on one host take different parts of the pool; an address of a part that a server once had answers again, and
// one that is another's does not.
func TestServersShareThePoolOfPublicAddresses(t *testing.T) {
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, "hello")
			c.Close()
		}
	}()
	port := uint16(server.Addr().(*net.TCPAddr).Port)
	pool := netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(120 + os.Getpid()%7), 0, 0}), 20) // two parts, of this test alone
	dir := t.TempDir()
	begin := func() (*publics, func()) {
		t.Helper()
		p, err := newPublics(slog.New(slog.DiscardHandler), pool, dir, &loopbackNetwork{port: port})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { p.run(ctx); close(ended) }()
		return p, func() { cancel(); <-ended }
	}
	one, endOne := begin()
	two, endTwo := begin()
	defer endTwo()
	if one.home == two.home || one.home.Overlaps(two.home) {
		t.Fatalf("two servers with the parts %v and %v", one.home, two.home)
	}
	if _, err := newPublics(slog.New(slog.DiscardHandler), pool, dir, &loopbackNetwork{}); err == nil {
		t.Error("a third server got a part")
	}
	old := one.home.Addr().Next()
	answers := func() bool {
		c, err := net.DialTimeout("tcp4", netip.AddrPortFrom(old, port).String(), time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Second))
		line, _ := bufio.NewReader(c).ReadString('\n')
		return line == "hello\n"
	}
	await := func(want bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); answers() != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s answers: %v", old, !want)
			}
		}
	}
	bind := ec2.BindAddress{PublicIP: old.String(), PrivateIP: "127.0.0.1", InstanceID: "i-1"}
	one.wish(bind)
	await(true)
	endOne()
	await(false)
	two.wish(bind) // it was given out while the other part was this server's
	await(true)
	two.wish(ec2.BindAddress{PublicIP: old.String()})
	await(false)
}
