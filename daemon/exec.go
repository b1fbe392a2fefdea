package daemon

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/billow-cloud/billow/driver"
)

// The administration socket lives in the data directory: who may read that may run programs in instances. A program's
// streams are frames of one byte kind, four bytes length and data, over a connection taken out of HTTP.
const (
	socketFile = "admin.sock"
	maxFrame   = 1 << 20
)

const (
	frameStdin  = 'i' // empty: end of input
	frameResize = 'r' // rows and columns, two bytes each
	frameStdout = 'o'
	frameStderr = 'e'
	frameExit   = 'x' // four bytes exit code
	frameThere  = 't' // empty: is the client there?
	frameFailed = 'f' // a sentence
)

// execOrder is the body of an exec request.
type execOrder struct {
	Instance string
	Args     []string
	Env      []string
	Dir      string
	TTY      bool
	Stdin    bool
}

// frames writes frames from several goroutines.
type frames struct {
	mu sync.Mutex
	w  io.Writer
}

func (f *frames) send(kind byte, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	head := append([]byte{kind}, binary.BigEndian.AppendUint32(nil, uint32(len(data)))...)
	_, err := f.w.Write(append(head, data...))
	return err
}

// stream is an io.Writer that makes frames of one kind.
type stream struct {
	frames *frames
	kind   byte
}

func (s stream) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), maxFrame)
		if err := s.frames.send(s.kind, rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

func receive(r io.Reader) (kind byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes is too long", n)
	}
	data = make([]byte, n)
	_, err = io.ReadFull(r, data)
	return head[0], data, err
}

// watchPeriod is how often a client is looked for: its end cannot be read while input that its program does not take is in
// the way.
const watchPeriod = 500 * time.Millisecond

// serveExec runs a program for a client of the administration socket.
func (d *Daemon) serveExec(w http.ResponseWriter, r *http.Request) {
	var order execOrder
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxFrame)).Decode(&order); err != nil || len(order.Args) == 0 {
		http.Error(w, "the order is not readable", http.StatusBadRequest)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: billow-exec\r\n\r\n")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out := &frames{w: conn}
	request := driver.ExecRequest{
		Args: order.Args, Env: order.Env, Dir: order.Dir, TTY: order.TTY,
		Stdout: stream{out, frameStdout}, Stderr: stream{out, frameStderr},
	}
	stdin, feed := io.Pipe()
	defer stdin.Close() // who feeds a program that has ended must not wait for it
	resize := make(chan driver.WindowSize, 1)
	request.Resize = resize
	if order.Stdin {
		request.Stdin = stdin
	}
	go func() {
		defer cancel() // the client is gone, and so is its program
		feedExec(rw.Reader, feed, resize)
	}()
	go func() {
		for sleep(ctx, watchPeriod) {
			if out.send(frameThere, nil) != nil {
				cancel()
			}
		}
	}()
	code, err := d.instances.driver.Exec(ctx, order.Instance, request)
	if err != nil && code == 0 {
		code = 1
	}
	if err != nil {
		out.send(frameFailed, []byte(err.Error()))
	}
	out.send(frameExit, binary.BigEndian.AppendUint32(nil, uint32(code)))
}

func feedExec(r *bufio.Reader, stdin *io.PipeWriter, resize chan driver.WindowSize) {
	defer stdin.Close()
	for {
		kind, data, err := receive(r)
		switch {
		case err != nil:
			return
		case kind == frameStdin && len(data) == 0:
			stdin.Close()
		case kind == frameStdin:
			stdin.Write(data)
		case kind == frameResize && len(data) == 4:
			select {
			case <-resize: // nobody has taken the last size yet
			default:
			}
			select {
			case resize <- driver.WindowSize{Rows: binary.BigEndian.Uint16(data), Columns: binary.BigEndian.Uint16(data[2:])}:
			default:
			}
		}
	}
}

// Exec runs a program in an instance of the server that uses a data directory, and returns the program's exit code. An
// error means that the program did not run, that the server went away, or that ctx ended, which ends the program too.
func Exec(ctx context.Context, dir, instance string, req driver.ExecRequest) (int, error) {
	code, err := execute(ctx, dir, instance, req)
	if ctx.Err() != nil {
		return code, ctx.Err()
	}
	return code, err
}

func execute(ctx context.Context, dir, instance string, req driver.ExecRequest) (int, error) {
	conn, err := dialSocket(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	body, err := json.Marshal(execOrder{Instance: instance, Args: req.Args, Env: req.Env, Dir: req.Dir, TTY: req.TTY, Stdin: req.Stdin != nil})
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(conn, "POST /exec HTTP/1.1\r\nHost: billow\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, fmt.Errorf("the server did not answer: %w", err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(response.Body, maxFrame))
		return 0, fmt.Errorf("the server refused: %s", text)
	}
	out := &frames{w: conn}
	if req.Stdin != nil {
		go func() {
			io.Copy(stream{out, frameStdin}, req.Stdin)
			out.send(frameStdin, nil)
		}()
	}
	go func() {
		for size := range req.Resize {
			out.send(frameResize, binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, size.Rows), size.Columns))
		}
	}()
	return awaitExit(in, req)
}

func awaitExit(in *bufio.Reader, req driver.ExecRequest) (int, error) {
	var failed error
	for {
		kind, data, err := receive(in)
		switch {
		case err != nil:
			return 0, fmt.Errorf("the server went away: %w", err)
		case kind == frameStdout && req.Stdout != nil:
			req.Stdout.Write(data)
		case kind == frameStderr && req.Stderr != nil:
			req.Stderr.Write(data)
		case kind == frameFailed:
			failed = errors.New(string(data))
		case kind == frameExit && len(data) == 4:
			return int(binary.BigEndian.Uint32(data)), failed
		}
	}
}

// A socket's path may have 107 bytes; a longer one is reached through a descriptor of its directory.
func listenSocket(dir string) (net.Listener, error) {
	path := filepath.Join(dir, socketFile)
	os.Remove(path) // the store's lock says that no other server uses it
	var l net.Listener
	err := throughDir(dir, func(short string) (err error) {
		l, err = net.Listen("unix", short)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the administration socket %s cannot be made: %w", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // its name may be gone by then
	return l, os.Chmod(path, 0o600)
}

func dialSocket(ctx context.Context, dir string) (net.Conn, error) {
	var conn net.Conn
	err := throughDir(dir, func(short string) (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", short)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("no server is running with the data directory %s", dir)
	}
	return conn, nil
}

func throughDir(dir string, f func(path string) error) error {
	if path := filepath.Join(dir, socketFile); len(path) < 100 {
		return f(path)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return f(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketFile))
}
