package netns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/driver/netns/keeper"
)

// network is the daemon's door to the VPC. A socket belongs to the network
// namespace that it was made in for all its life, wherever it is used: the
// keeper makes them, a batch at a time, and connecting and listening is done
// here, so that a dial costs no round trip.
type network struct {
	d *Driver

	mu      sync.Mutex
	sockets []int             // TCP, not used yet
	held    map[holder]string // open listeners; what they are for messages
}

var _ driver.Network = (*network)(nil)

// batch is how many sockets are fetched at a time.
const batch = 32

func newNetwork(d *Driver) *network { return &network{d: d, held: map[holder]string{}} }

// forget drops the stock: those of a keeper that died lead nowhere.
func (n *network) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, fd := range n.sockets {
		unix.Close(fd)
	}
	n.sockets = nil
}

// Dial implements driver.Network.
func (n *network) Dial(ctx context.Context, kind, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !to.Addr().Is4() || to.Port() == 0 {
		return nil, &net.OpError{Op: "dial", Net: kind, Err: &net.AddrError{Err: "not an IPv4 address and port of the private network", Addr: address}}
	}
	fd, err := n.socket(ctx, kind)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: kind, Err: err}
	}
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close()
	if err := connect(ctx, file, fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		return nil, &net.OpError{Op: "dial", Net: kind, Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	return net.FileConn(file)
}

// connect waits for the handshake or for ctx.
func connect(ctx context.Context, file *os.File, fd int, to unix.Sockaddr) error {
	err := unix.Connect(fd, to)
	if err == nil || err != unix.EINPROGRESS && err != unix.EINTR {
		return os.NewSyscallError("connect", err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		file.SetWriteDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { file.SetWriteDeadline(time.Unix(1, 0)) })()
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var status error
	err = raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			status = err
			return true
		case code != 0:
			status = unix.Errno(code)
			return true
		}
		_, err = unix.Getpeername(int(fd)) // not connected yet: a spurious wake-up
		return err == nil
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return context.DeadlineExceeded
	case err != nil:
		return err
	}
	return os.NewSyscallError("connect", status)
}

// bind makes a socket with an address, which becomes the cloud's own.
func (n *network) bind(kind, address string) (*os.File, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().Is4() {
		return nil, fmt.Errorf("%q is not an IPv4 address and port of the private network", address)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.d.do(ctx, &keeper.Request{Op: "address", Address: at.Addr().String()}); err != nil {
		return nil, err
	}
	fd, err := n.socket(ctx, kind)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "socket")
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}); err != nil {
		file.Close()
		return nil, os.NewSyscallError("bind", err)
	}
	return file, nil
}

// socket takes one from stock, or fetches more.
func (n *network) socket(ctx context.Context, kind string) (int, error) {
	switch kind {
	case "tcp", "tcp4":
	case "udp", "udp4":
		fds, err := n.fetch(ctx, "udp", 1)
		if err != nil {
			return -1, err
		}
		return fds[0], nil
	default:
		return -1, net.UnknownNetworkError(kind)
	}
	n.mu.Lock()
	if last := len(n.sockets) - 1; last >= 0 {
		fd := n.sockets[last]
		n.sockets = n.sockets[:last]
		n.mu.Unlock()
		return fd, nil
	}
	n.mu.Unlock()
	fds, err := n.fetch(ctx, "tcp", batch)
	if err != nil {
		return -1, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sockets = append(n.sockets, fds[1:]...)
	return fds[0], nil
}

func (n *network) fetch(ctx context.Context, kind string, count int) ([]int, error) {
	conn, done, err := n.d.open(ctx, &keeper.Request{Op: "sockets", Network: kind, Count: count})
	if err != nil {
		return nil, err
	}
	defer done()
	text, control := make([]byte, 4<<10), make([]byte, unix.CmsgSpace(batch*4))
	size, nc, _, _, err := conn.ReadMsgUnix(text, control)
	if err != nil {
		return nil, contextual(ctx, err)
	}
	var res keeper.Response
	if err := json.Unmarshal(text[:size], &res); err != nil {
		return nil, err
	}
	if err := res.Error.Err(); err != nil {
		return nil, err
	}
	fds := descriptors(control[:nc])
	if len(fds) == 0 {
		return nil, errors.New("the keeper gave no socket")
	}
	return fds, nil
}

// descriptors takes descriptors out of a control message.
func descriptors(control []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for i := range messages {
		if got, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	return fds
}
