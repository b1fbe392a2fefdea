package addresses

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/billow-cloud/billow/tproxy"
)

// UDP: packets reach the instance, answers come from the public address, and both follow a move.
func TestPackets(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("transparent proxying takes root")
	}
	var instances []Target
	port := 0
	for n, name := range []string{"a", "b"} {
		address := netip.AddrFrom4([4]byte{127, 69, byte(os.Getpid()), byte(100 + n)})
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, uint16(port))))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		port = c.LocalAddr().(*net.UDPAddr).Port
		go func() {
			b := make([]byte, 1500)
			for {
				n, from, err := c.ReadFromUDP(b)
				if err != nil {
					return
				}
				c.WriteToUDP(append([]byte(name+" "), b[:n]...), from)
			}
		}()
		instances = append(instances, Target{name, address})
	}
	address := public()
	socket, err := tproxy.Open(netip.PrefixFrom(address, 32))
	if err != nil {
		t.Skipf("no transparent proxying here: %v", err)
	}
	defer socket.Close()
	packets, err := net.FilePacketConn(socket.UDP)
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	plane, _ := start(t)
	go plane.ServePackets(packets.(*net.UDPConn))
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, uint16(port)))
	var said atomic.Int64
	ask := func(c *net.UDPConn) (string, error) {
		said.Add(1)
		c.SetDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err := c.Write([]byte("hello")); err != nil {
			return "", err
		}
		b := make([]byte, 100)
		n, err := c.Read(b)
		return string(b[:n]), err
	}
	for n, want := range []string{"a hello", "b hello", "a hello"} {
		plane.Apply(Table{address: instances[n%2]})
		c, err := net.DialUDP("udp4", nil, to) // connected: an answer from another address would not arrive
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			got := ""
			eventually(t, want+" is answered", func() bool { got, err = ask(c); return err == nil })
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if n == 2 {
			plane.Apply(nil)
			if got, err := ask(c); err == nil || errors.Is(err, syscall.EINVAL) {
				t.Errorf("an address of nobody: %q, %v", got, err)
			}
		}
		c.Close()
	}
}

// BenchmarkCaught compares a request over a public address whose pool is caught by one socket with one to the instance, and
// tells how long a move takes until the table is in force.
func BenchmarkCaught(b *testing.B) {
	i, j := newInstance(b, "a", 10, 0), newInstance(b, "b", 11, 0)
	plane, _ := start(b)
	address := public()
	socket, err := tproxy.Open(netip.PrefixFrom(address, 32))
	if err != nil {
		b.Skipf("no transparent proxying here: %v", err)
	}
	defer socket.Close()
	l, err := net.FileListener(socket.TCP)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go plane.Serve(l)
	plane.Apply(Table{address: i.Target})
	for _, way := range []struct {
		name string
		to   netip.AddrPort
	}{{"direct", netip.AddrPortFrom(i.Address, i.port)}, {"public", netip.AddrPortFrom(address, i.port)}} {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := ask(way.to); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("move", func(b *testing.B) {
		tables := []Table{{address: i.Target}, {address: j.Target}}
		for n := 0; b.Loop(); n++ {
			plane.Apply(tables[n%2])
		}
	})
}
