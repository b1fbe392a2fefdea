package netns

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver/netns/keeper"
)

// Catch implements driver.Public.
func (n *network) Catch(pool netip.Prefix) (net.Listener, error) {
	l := &listener{n: n}
	l.make = func() (net.Listener, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		fd, err := n.receive(ctx, &keeper.Request{Op: "catch", Address: pool.String()})
		if err != nil {
			return nil, err
		}
		file := os.NewFile(uintptr(fd), "catch")
		defer file.Close()
		return net.FileListener(file)
	}
	var err error
	if l.current, err = l.make(); err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	n.hold(l, pool.String())
	return l, nil
}

// receive asks the keeper for one descriptor.
func (n *network) receive(ctx context.Context, req *keeper.Request) (int, error) {
	conn, done, err := n.d.open(ctx, req)
	if err != nil {
		return -1, err
	}
	defer done()
	text, control := make([]byte, 4<<10), make([]byte, unix.CmsgSpace(4))
	size, nc, _, _, err := conn.ReadMsgUnix(text, control)
	if err != nil {
		return -1, contextual(ctx, err)
	}
	var res keeper.Response
	if err := json.Unmarshal(text[:size], &res); err != nil {
		return -1, err
	}
	fds := descriptors(control[:nc])
	if err := res.Error.Err(); err != nil {
		return -1, err
	}
	if len(fds) == 0 {
		return -1, errors.New("the keeper gave no socket")
	}
	return fds[0], nil
}

// Ports implements driver.Public.
func (n *network) Ports(ctx context.Context) (map[netip.Addr][]uint16, error) {
	res, err := n.d.call(ctx, &keeper.Request{Op: "ports"})
	if err != nil {
		return nil, err
	}
	return res.Ports, nil
}
