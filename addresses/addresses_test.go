package addresses

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// public is an address of the host's loopback that nobody else uses, one for each test.
var publics atomic.Uint32

func public() netip.Addr {
	n := publics.Add(1)
	return netip.AddrFrom4([4]byte{127, byte(70 + n%50), byte(os.Getpid() >> 8), byte(os.Getpid())})
}

// instance is a server in the place of an instance: it says its name on connect, then echoes.
type instance struct {
	Target
	port uint16
	l    net.Listener
}

func newInstance(t testing.TB, name string, number byte, port uint16) *instance {
	t.Helper()
	address := netip.AddrFrom4([4]byte{127, 69, byte(os.Getpid()), number})
	l, err := net.Listen("tcp4", netip.AddrPortFrom(address, port).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	i := &instance{Target{name, address}, uint16(l.Addr().(*net.TCPAddr).Port), l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintln(c, name)
				io.Copy(c, c)
			}()
		}
	}()
	return i
}

// network is the private network of instances.
type network struct {
	mu    sync.Mutex
	ports map[netip.Addr][]uint16
}

func (n *network) open(i *instance) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports[i.Address] = append(n.ports[i.Address], i.port)
}

func start(t testing.TB, instances ...*instance) (*Addresses, *network) {
	t.Helper()
	n := &network{ports: map[netip.Addr][]uint16{}}
	for _, i := range instances {
		n.open(i)
	}
	var dialer net.Dialer
	a := New(Options{Dial: dialer.DialContext, Ports: func(context.Context) (map[netip.Addr][]uint16, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		all := map[netip.Addr][]uint16{}
		for address, ports := range n.ports {
			all[address] = append([]uint16(nil), ports...)
		}
		return all, nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { a.Watch(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended; a.Close() })
	return a, n
}

// ask connects and reads the name of who answers.
func ask(to netip.AddrPort) (string, error) {
	c, err := net.DialTimeout("tcp4", to.String(), time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	name, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return "", err
	}
	return name[:len(name)-1], nil
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not happen: %s", what)
		}
	}
}

func answeredBy(t testing.TB, to netip.AddrPort, name string) {
	t.Helper()
	eventually(t, name+" answers", func() bool { got, _ := ask(to); return got == name })
}

// A client that asks every millisecond: after the move only the new instance answers, and the gap is short.
func TestMoveUnderLoad(t *testing.T) {
	a, b := newInstance(t, "a", 1, 0), (*instance)(nil)
	b = newInstance(t, "b", 2, a.port)
	plane, _ := start(t, a, b)
	address := public()
	at := netip.AddrPortFrom(address, a.port)
	plane.Apply(Table{address: a.Target})
	answeredBy(t, at, "a")

	var moves, failures int
	var worst time.Duration
	last := time.Now() // of an answer
	current, deadline := a, time.Now().Add(600*time.Millisecond)
	for n := 0; time.Now().Before(deadline); n++ {
		if n%20 == 10 {
			if current == a {
				current = b
			} else {
				current = a
			}
			plane.Apply(Table{address: current.Target})
			moves++
		}
		got, err := ask(at)
		switch {
		case err != nil:
			failures++
		case got != current.Instance:
			t.Fatalf("%s answers after the address went to %s", got, current.Instance)
		default:
			worst = max(worst, time.Since(last))
			last = time.Now()
		}
		time.Sleep(time.Millisecond)
	}
	if moves == 0 || worst > 20*time.Millisecond && failures > 0 {
		t.Errorf("%d moves, %d failed requests, longest time without an answer %v", moves, failures, worst)
	}
	t.Logf("%d moves, %d failed requests, longest time without an answer %v", moves, failures, worst)
}

// Many clients at a move: none hears the old instance once Apply has returned, on new and on open connections.
func TestNeverTwoInstances(t *testing.T) {
	a := newInstance(t, "a", 3, 0)
	b := newInstance(t, "b", 4, a.port)
	plane, _ := start(t, a, b)
	address := public()
	at := netip.AddrPortFrom(address, a.port)
	plane.Apply(Table{address: a.Target})
	answeredBy(t, at, "a")

	var moved atomic.Bool
	var clients sync.WaitGroup
	var answers, late atomic.Int64
	for range 16 {
		clients.Go(func() {
			for range 40 {
				after := moved.Load()
				got, err := ask(at)
				if err == nil {
					answers.Add(1)
				}
				if after && got == "a" {
					late.Add(1)
				}
			}
		})
	}
	eventually(t, "some answers", func() bool { return answers.Load() > 100 })
	plane.Apply(Table{address: b.Target})
	moved.Store(true)
	clients.Wait()
	if late.Load() > 0 {
		t.Errorf("%d answers of the old instance after the move", late.Load())
	}
}

// Open connections to the old instance are reset; those to other addresses stay.
func TestOpenConnectionsAreCut(t *testing.T) {
	a := newInstance(t, "a", 5, 0)
	b := newInstance(t, "b", 6, a.port)
	plane, _ := start(t, a, b)
	first, second := public(), public()
	plane.Apply(Table{first: a.Target, second: a.Target})
	answeredBy(t, netip.AddrPortFrom(first, a.port), "a")
	answeredBy(t, netip.AddrPortFrom(second, a.port), "a")
	var readers []*bufio.Reader
	var conns []net.Conn
	for _, address := range []netip.Addr{first, second} {
		c, err := net.Dial("tcp4", netip.AddrPortFrom(address, a.port).String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		r := bufio.NewReader(c)
		if name, err := r.ReadString('\n'); name != "a\n" {
			t.Fatal(name, err)
		}
		conns, readers = append(conns, c), append(readers, r)
	}
	began := time.Now()
	plane.Apply(Table{first: b.Target, second: a.Target})
	if _, err := readers[0].ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection to the old instance: %v", err)
	}
	t.Logf("a move took %v until the old connection was cut", time.Since(began))
	fmt.Fprintln(conns[1], "still there")
	if line, err := readers[1].ReadString('\n'); line != "still there\n" {
		t.Errorf("the connection to the other address: %q, %v", line, err)
	}
	plane.Apply(Table{second: a.Target})
	if got, err := ask(netip.AddrPortFrom(first, a.port)); !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an address of nobody: %q, %v", got, err)
	}
}

// A port answers soon after the instance listens on it, and is refused when it does not; one end can finish before the
// other.
func TestPortsFollowTheInstance(t *testing.T) {
	a := newInstance(t, "a", 7, 0)
	plane, n := start(t, a)
	address := public()
	plane.Apply(Table{address: a.Target})
	answeredBy(t, netip.AddrPortFrom(address, a.port), "a")
	other := newInstance(t, "other", 7, 0)
	if _, err := ask(netip.AddrPortFrom(address, other.port)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port that is not known: %v", err)
	}
	began := time.Now()
	n.open(other)
	answeredBy(t, netip.AddrPortFrom(address, other.port), "other")
	t.Logf("a new port answered after %v", time.Since(began))

	c, err := net.Dial("tcp4", netip.AddrPortFrom(address, other.port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	big := make([]byte, 1<<20)
	go func() { c.Write(big); c.(*net.TCPConn).CloseWrite() }()
	all, err := io.ReadAll(c)
	if err != nil || len(all) != len("other\n")+len(big) {
		t.Errorf("%d bytes came back: %v", len(all), err)
	}
	other.l.Close() // it is still known: the instance refuses, and the client is told
	eventually(t, "a refused connection is reset", func() bool {
		_, err := ask(netip.AddrPortFrom(address, other.port))
		return errors.Is(err, syscall.ECONNRESET)
	})
}

// BenchmarkRelay compares a request over a public address with one to the instance itself.
func BenchmarkRelay(b *testing.B) {
	i := newInstance(b, "a", 9, 0)
	plane, _ := start(b, i)
	address := public()
	at := netip.AddrPortFrom(address, i.port)
	plane.Apply(Table{address: i.Target})
	answeredBy(b, at, "a")
	for name, to := range map[string]netip.AddrPort{"direct": netip.AddrPortFrom(i.Address, i.port), "public": at} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := ask(to); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
