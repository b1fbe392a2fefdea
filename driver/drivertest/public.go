package drivertest

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// public: what an instance sends to a public address reaches the daemon, on every port, and the daemon knows where
// instances listen.
func (s suite) public(t *testing.T) {
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, server("i-1", "172.31.5.10")))
	l, err := d.Network().Catch(netip.MustParsePrefix("127.64.8.0/21"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, address := range []string{"127.64.8.1:80", "127.64.9.200:4711"} {
		answered := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				_, err = fmt.Fprintf(c, "%s asked by %s\n", c.LocalAddr(), c.RemoteAddr())
				c.Close()
			}
			answered <- err
		}()
		code, got := run(t, ctx, d, "i-1", s.kind.Program, "helper", "fetch", address)
		if want := address + " asked by 172.31.5.10:"; code != 0 || len(got) < len(want) || got[:len(want)] != want {
			t.Fatalf("code %d, %q", code, got)
		}
		ok(t, <-answered)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		ports, err := d.Network().Ports(ctx)
		ok(t, err)
		if slices.Equal(ports[netip.MustParseAddr("172.31.5.10")], []uint16{80}) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the instance listens on port 80; known are %v", ports)
		}
	}
	ok(t, l.Close())
	if code, got := run(t, ctx, d, "i-1", s.kind.Program, "helper", "fetch", "127.64.8.1:80"); code == 0 {
		t.Errorf("an address that nobody serves any more answers %q", got)
	}
}
