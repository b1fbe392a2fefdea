package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
)

// maxRequest bounds what a driver may send: a spec with its user data, or the
// arguments of a program.
const maxRequest = 1 << 20

// serve answers the one request of a connection.
func (k *keeper) serve(conn *net.UnixConn) {
	req, files, err := readRequest(conn)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) { // who hangs up wants no answer
			k.log("a request could not be read: %v", err)
		}
		return
	}
	switch req.Op {
	case "events":
		k.serveEvents(conn)
	case "exec":
		k.serveExec(conn, req, files)
	case "sockets":
		k.serveSockets(conn, req)
	case "catch":
		k.serveCatch(conn, req)
	case "import-image":
		err := errors.New("there is no archive")
		if len(files) == 1 && req.Config != nil {
			err = k.importImage(req.ImageID, *req.Config, files[0])
		}
		respond(conn, &Response{Error: Fail(err)})
	case "create-snapshot":
		err := k.createSnapshot(req.ID, req.VolumeID, func() { respond(conn, &Response{Started: true}) })
		respond(conn, &Response{Error: Fail(err)})
	default:
		res, err := k.do(context.Background(), req)
		if res == nil {
			res = &Response{}
		}
		res.Error = Fail(err)
		if err := respond(conn, res); err != nil && !errors.Is(err, unix.EPIPE) {
			k.log("the answer to %s %s could not be sent: %v", req.Op, req.ID, err)
		}
	}
}

// readRequest reads one line of JSON and the descriptors that came with its
// beginning.
func readRequest(conn *net.UnixConn) (*Request, []*os.File, error) {
	buffer, control := make([]byte, 32<<10), make([]byte, unix.CmsgSpace(8*4))
	var text []byte
	var files []*os.File
	for {
		n, nc, _, _, err := conn.ReadMsgUnix(buffer, control)
		files = append(files, receivedFiles(control[:nc])...)
		text = append(text, buffer[:n]...)
		if err != nil {
			return nil, files, err
		}
		if n == 0 {
			return nil, files, io.EOF
		}
		if len(text) > maxRequest {
			return nil, files, errors.New("the request is too long")
		}
		if text[len(text)-1] == '\n' {
			break
		}
	}
	req := &Request{}
	return req, files, json.Unmarshal(text, req)
}

// respond writes one line of JSON, with descriptors beside it.
func respond(conn *net.UnixConn, res *Response, files ...int) error {
	text, err := json.Marshal(res)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	return WriteAll(conn, append(text, '\n'), rights)
}

// WriteAll sends a text with descriptors beside its beginning. The call that
// takes descriptors may send less than everything.
func WriteAll(conn *net.UnixConn, text, rights []byte) error {
	n, _, err := conn.WriteMsgUnix(text, rights, nil)
	if err == nil && n < len(text) {
		_, err = conn.Write(text[n:])
	}
	return err
}

// serveEvents greets a driver and then tells it what happens, until it leaves.
func (k *keeper) serveEvents(conn *net.UnixConn) {
	events := k.subscribe()
	defer k.unsubscribe(events)
	if respond(conn, &Response{Version: Version, PID: os.Getpid(), Notes: k.notes(), NoVolumes: k.noVolumes}) != nil {
		return
	}
	left := closed(conn)
	for {
		select {
		case e := <-events:
			if respond(conn, &Response{Event: &e}) != nil {
				return
			}
		case <-left:
			return
		}
	}
}

// closed tells when the other side hangs up.
func closed(conn *net.UnixConn) <-chan struct{} {
	left := make(chan struct{})
	go func() {
		defer close(left)
		var one [1]byte
		conn.Read(one[:])
	}()
	return left
}

// serveSockets makes sockets in this network namespace, for the driver to use.
func (k *keeper) serveSockets(conn *net.UnixConn, req *Request) {
	kind := unix.SOCK_STREAM
	if req.Network == "udp" {
		kind = unix.SOCK_DGRAM
	}
	var fds []int
	var err error
	for range min(max(req.Count, 1), 64) {
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			break
		}
		defer unix.Close(fd)
		fds = append(fds, fd)
	}
	if len(fds) > 0 {
		err = nil
	}
	respond(conn, &Response{Error: Fail(err)}, fds...)
}

// serveExec runs a program and tells how it ended. When the driver hangs up
// before, the program is killed.
func (k *keeper) serveExec(conn *net.UnixConn, req *Request, files []*os.File) {
	b, err := k.runningBoot(req.ID)
	if err == nil && len(req.Args) == 0 {
		err = errors.New("there is no program to run")
	}
	if err != nil {
		respond(conn, &Response{Error: Fail(err)})
		return
	}
	env := b.environment
	if req.TTY {
		env = append([]string{"TERM=xterm-256color"}, env...)
	}
	env = overlaid(env, req.Env)
	dir := req.Dir
	if dir == "" {
		dir = "/"
	}
	s := b.guest.spawn(program{args: req.Args, env: env, dir: dir, tty: req.TTY, files: files})
	if s.err != nil {
		failure := Fail(fmt.Errorf("%s: %w", req.Args[0], s.err))
		failure.ExitCode = 126
		if errors.Is(s.err, fs.ErrNotExist) {
			failure.ExitCode = 127
		}
		respond(conn, &Response{Error: failure})
		return
	}
	var beside []int
	if s.terminal != nil {
		beside = append(beside, int(s.terminal.Fd()))
	}
	err = respond(conn, &Response{Started: true}, beside...)
	if s.terminal != nil {
		s.terminal.Close()
	}
	for i, f := range files {
		f.Close() // ours only keep the driver from seeing the end of the output
		files[i] = nil
	}
	if err == nil {
		select {
		case exit := <-s.exit:
			res := &Response{ExitCode: exitCode(exit.status)}
			if exit.lost {
				res.Error = Fail(fmt.Errorf("%s ended: %w", req.ID, driver.ErrNotRunning))
			}
			respond(conn, res)
			return
		case <-closed(conn):
		}
	}
	b.guest.kill(s.pid)
	<-s.exit
}

func (k *keeper) runningBoot(id string) (*boot, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := k.instances[id]
	if i == nil {
		return nil, notFound(id)
	}
	if i.boot == nil {
		return nil, fmt.Errorf("%s: %w", id, driver.ErrNotRunning)
	}
	return i.boot, nil
}
