package tproxy

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inside runs f on a thread in a network namespace of its own, with a loopback device that is up.
func inside(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making a network namespace takes root")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine, and the namespace with it
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- loopbackUp()
		f()
		close(done)
	}()
	if err := <-done; err != nil {
		t.Skipf("no network namespace here: %v", err)
	}
	<-done
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// dial connects from the calling thread's namespace.
func dial(address string) (net.Conn, error) {
	to := netip.MustParseAddrPort(address)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "client")
	c, err := net.FileConn(file)
	runtime.KeepAlive(file)
	return c, err
}

func TestEveryPortOfThePoolReachesTheSocket(t *testing.T) {
	inside(t, func() {
		pool := netip.MustParsePrefix("127.64.8.0/21")
		s, err := Open(pool)
		if err != nil {
			t.Error(err)
			return
		}
		defer s.Close()
		if _, err := Open(pool); err == nil {
			t.Error("a second one for the same pool was made")
		}
		l, err := net.FileListener(s.TCP)
		if err != nil {
			t.Error(err)
			return
		}
		defer l.Close()
		for _, address := range []string{"127.64.8.1:80", "127.64.15.254:65535", "127.64.9.9:22"} {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			if err != nil {
				t.Error(err)
				return
			}
			to := netip.MustParseAddrPort(address)
			if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
				t.Errorf("%s: %v", address, err)
				return
			}
			l.(*net.TCPListener).SetDeadline(time.Now().Add(5 * time.Second))
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			if got := c.LocalAddr().String(); got != address {
				t.Errorf("accepted at %s, want %s", got, address)
			}
			io.WriteString(c, "hello")
			var b [5]byte
			if n, err := unix.Read(fd, b[:]); err != nil || string(b[:n]) != "hello" {
				t.Errorf("%q, %v", b[:n], err)
			}
			c.Close()
			unix.Close(fd)
		}
		if c, err := dial("127.64.16.1:80"); err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("outside of the pool: %v, %v", c, err)
		}
		s.Close()
		l.Close()
		if c, err := dial("127.64.8.1:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after the end: %v, %v", c, err)
		}
		again, err := Open(pool)
		if err != nil {
			t.Errorf("the table was left behind: %v", err)
			return
		}
		again.Close()
	})
}
