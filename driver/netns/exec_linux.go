package netns

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/driver/netns/keeper"
)

// drainTime bounds the wait for output after the program has ended: something
// it left in the background may hold the pipe open for ever.
const drainTime = 250 * time.Millisecond

// Exec implements driver.Driver.
func (d *Driver) Exec(ctx context.Context, id string, req driver.ExecRequest) (int, error) {
	order := &keeper.Request{Op: "exec", ID: id, Args: req.Args, Env: req.Env, Dir: req.Dir, TTY: req.TTY}
	if req.TTY {
		return d.execTerminal(ctx, order, req)
	}
	var p pipes
	defer p.close()
	theirs := []*os.File{p.input(req.Stdin), p.output(req.Stdout), p.output(req.Stderr)}
	if p.err != nil {
		return 0, p.err
	}
	conn, done, err := d.open(ctx, order, theirs...)
	if err != nil {
		return 0, err
	}
	defer done()
	for _, f := range theirs {
		f.Close()
	}
	p.copy()
	reader := json.NewDecoder(conn)
	if code, err := await(ctx, reader); err != nil {
		return code, err
	}
	code, err := await(ctx, reader)
	p.drain()
	return code, err
}

// await reads the next answer.
func await(ctx context.Context, reader *json.Decoder) (int, error) {
	var res keeper.Response
	if err := reader.Decode(&res); err != nil {
		return 0, contextual(ctx, err)
	}
	if res.Error != nil {
		return res.Error.ExitCode, res.Error.Err()
	}
	return res.ExitCode, nil
}

// pipes are the streams between our readers and writers and the program.
type pipes struct {
	err     error
	ours    []*os.File
	inputs  []func()
	outputs []func()
	group   sync.WaitGroup
}

func (p *pipes) pair(reading bool) (ours, theirs *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		p.err = errors.Join(p.err, err)
		return nil, nil
	}
	if reading {
		ours, theirs = r, w
	} else {
		ours, theirs = w, r
	}
	p.ours = append(p.ours, ours)
	return ours, theirs
}

func (p *pipes) null(flag int) *os.File {
	f, err := os.OpenFile(os.DevNull, flag, 0)
	p.err = errors.Join(p.err, err)
	return f
}

func (p *pipes) input(r io.Reader) *os.File {
	if r == nil {
		return p.null(os.O_RDONLY)
	}
	ours, theirs := p.pair(false)
	p.inputs = append(p.inputs, func() {
		io.Copy(ours, r)
		ours.Close()
	})
	return theirs
}

func (p *pipes) output(w io.Writer) *os.File {
	if w == nil {
		return p.null(os.O_WRONLY)
	}
	ours, theirs := p.pair(true)
	p.outputs = append(p.outputs, func() { io.Copy(w, ours) })
	return theirs
}

func (p *pipes) copy() {
	for _, in := range p.inputs {
		go in() // not waited for: a reader may block for ever, like a terminal
	}
	for _, out := range p.outputs {
		p.group.Go(out)
	}
}

// drain waits for the end of the output, or cuts it off.
func (p *pipes) drain() {
	timer := time.AfterFunc(drainTime, p.close)
	p.group.Wait()
	timer.Stop()
}

func (p *pipes) close() {
	for _, f := range p.ours {
		f.Close()
	}
}

// execTerminal runs a program on a new terminal of the instance, whose other
// end comes here.
func (d *Driver) execTerminal(ctx context.Context, order *keeper.Request, req driver.ExecRequest) (int, error) {
	conn, done, err := d.open(ctx, order)
	if err != nil {
		return 0, err
	}
	defer done()
	terminal, rest, code, err := receiveTerminal(ctx, conn)
	if err != nil {
		return code, err
	}
	defer terminal.Close()
	ended := make(chan struct{})
	defer close(ended)
	if req.Resize != nil {
		go func() {
			for {
				select {
				case size, open := <-req.Resize:
					if !open {
						return
					}
					resize(terminal, size)
				case <-ended:
					return
				}
			}
		}()
	}
	if req.Stdin != nil {
		go io.Copy(terminal, req.Stdin)
	}
	output := make(chan struct{})
	go func() {
		defer close(output)
		if req.Stdout == nil {
			req.Stdout = io.Discard
		}
		io.Copy(req.Stdout, terminal) // ends with EIO when the last program has closed its side
	}()
	code, err = await(ctx, rest)
	select {
	case <-output:
	case <-time.After(drainTime):
	}
	return code, err
}

// receiveTerminal takes the first answer with the terminal beside it.
func receiveTerminal(ctx context.Context, conn *net.UnixConn) (terminal *os.File, rest *json.Decoder, code int, err error) {
	text, control := make([]byte, 4<<10), make([]byte, unix.CmsgSpace(4))
	size, nc, _, _, err := conn.ReadMsgUnix(text, control)
	if err != nil {
		return nil, nil, 0, contextual(ctx, err)
	}
	var res keeper.Response
	if err := json.Unmarshal(text[:size], &res); err != nil {
		return nil, nil, 0, err
	}
	if res.Error != nil {
		return nil, nil, res.Error.ExitCode, res.Error.Err()
	}
	fds := descriptors(control[:nc])
	if len(fds) != 1 {
		return nil, nil, 0, errors.New("the keeper gave no terminal")
	}
	unix.SetNonblock(fds[0], true)
	return os.NewFile(uintptr(fds[0]), "terminal"), json.NewDecoder(conn), 0, nil
}

func resize(terminal *os.File, size driver.WindowSize) {
	raw, err := terminal.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Columns})
	})
}
