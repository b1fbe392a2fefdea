package netns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/driver/netns/keeper"
)

// Driver is a driver.Driver. Make one with New.
type Driver struct {
	dir      *os.File // the keeper's directory
	rootless bool
	notes    []string
	none     string // why there are no volumes
	network  *network
	events   chan driver.Event
	closing  chan struct{}
	finished chan struct{} // the event loop has ended

	mu     sync.Mutex    // held while the keeper is started
	stream *net.UnixConn // of events; it holds the keeper
	closed bool
}

var _ driver.Driver = (*Driver)(nil)

// errClosed answers calls after Close.
var errClosed = fmt.Errorf("the driver is closed: %w", os.ErrClosed)

// New connects to the keeper of the directory, and starts one if there is none.
func New(config Config) (*Driver, error) {
	path, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("the directory of the instances cannot be made: %w", err)
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the directory of the instances cannot be opened: %w", err)
	}
	d := &Driver{
		dir: dir, rootless: config.Rootless || !privileged(),
		events: make(chan driver.Event, 1024), closing: make(chan struct{}), finished: make(chan struct{}),
	}
	d.network = newNetwork(d)
	reader, err := d.connect()
	if err != nil {
		dir.Close()
		return nil, err
	}
	go d.follow(reader)
	return d, nil
}

// Name implements driver.Driver.
func (d *Driver) Name() string { return "netns" }

// Notes implements driver.Driver.
func (d *Driver) Notes() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.notes
}

// Network implements driver.Driver.
func (d *Driver) Network() driver.Network { return d.network }

// Events implements driver.Driver.
func (d *Driver) Events() <-chan driver.Event { return d.events }

// connect makes sure that a keeper runs and holds on to it by a stream of
// events: a keeper that nobody holds ends when its last instance does.
func (d *Driver) connect() (*json.Decoder, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var last error
	for range 20 {
		if d.closed {
			return nil, errClosed
		}
		conn, err := d.dial()
		if err != nil {
			if err := startKeeper(d.dir, d.rootless); err != nil {
				return nil, err
			}
			if conn, err = d.dial(); err != nil {
				last = err
				continue // it left again, idle, before we came
			}
		}
		reader := json.NewDecoder(conn)
		var hello keeper.Response
		if err = writeRequest(conn, &keeper.Request{Op: "events"}); err == nil {
			err = reader.Decode(&hello)
		}
		switch {
		case err != nil || hello.Version == 0:
			last = fmt.Errorf("the keeper hung up: %w", err)
			conn.Close()
		case hello.Version != keeper.Version:
			// Made by another version of this program: its instances go on after
			// a restart, as after a crash of the host.
			if err := killPeer(conn); err != nil {
				return nil, err
			}
			conn.Close()
		default:
			d.notes, d.none, d.stream = hello.Notes, hello.NoVolumes, conn
			d.network.forget()
			return reader, nil
		}
	}
	return nil, fmt.Errorf("the keeper of the instances does not stay up: %w", last)
}

// follow passes events on. When the keeper dies, a new one is started, and the
// instances that went down with the old one are told.
func (d *Driver) follow(reader *json.Decoder) {
	defer close(d.finished)
	defer close(d.events)
	for {
		var res keeper.Response
		if err := reader.Decode(&res); err == nil {
			if res.Event != nil {
				d.emit(*res.Event)
			}
			continue
		}
		var err error
		if reader, err = d.connect(); err != nil {
			if errors.Is(err, errClosed) {
				return
			}
			select { // the host is in a bad way: every call fails meanwhile and says why
			case <-d.closing:
				return
			case <-time.After(time.Second):
			}
			reader = json.NewDecoder(eofReader{})
			continue
		}
		d.network.renew()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		all, err := d.Inventory(ctx)
		cancel()
		for _, i := range all.Instances {
			if err == nil && i.State == driver.Stopped && i.Reason == driver.ReasonHost {
				d.emit(driver.Event{ID: i.ID, Kind: driver.Exited, At: time.Now(), Reason: i.Reason})
			}
		}
	}
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }

func (d *Driver) emit(e driver.Event) {
	select {
	case d.events <- e:
	default:
	}
}

// Close implements driver.Driver.
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	close(d.closing)
	d.stream.Close()
	d.mu.Unlock()
	<-d.finished
	d.network.forget()
	return d.dir.Close()
}

// dial opens a connection to the keeper. The socket is reached through the
// directory's descriptor, since a path may be longer than addresses can be.
func (d *Driver) dial() (*net.UnixConn, error) {
	path := "/proc/self/fd/" + strconv.Itoa(int(d.dir.Fd())) + "/" + keeper.SocketName
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
}

// open sends a request on a connection of its own. When ctx ends, the
// connection is closed; done must be called.
func (d *Driver) open(ctx context.Context, req *keeper.Request, files ...*os.File) (conn *net.UnixConn, done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	for range 100 {
		if conn, err = d.dial(); err == nil {
			break
		}
		// The keeper died; follow starts a new one.
		select {
		case <-d.closing:
			return nil, nil, errClosed
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the keeper of the instances cannot be reached: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	done = func() { stop(); conn.Close() }
	if err := writeRequest(conn, req, files...); err != nil {
		done()
		return nil, nil, contextual(ctx, err)
	}
	return conn, done, nil
}

func writeRequest(conn *net.UnixConn, req *keeper.Request, files ...*os.File) error {
	text, err := json.Marshal(req)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		var fds []int
		for _, f := range files {
			fds = append(fds, int(f.Fd()))
		}
		rights = unix.UnixRights(fds...)
	}
	return keeper.WriteAll(conn, append(text, '\n'), rights)
}

// contextual prefers the reason why a call was given up.
func contextual(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// call sends a request and waits for its answer.
func (d *Driver) call(ctx context.Context, req *keeper.Request) (*keeper.Response, error) {
	conn, done, err := d.open(ctx, req)
	if err != nil {
		return nil, err
	}
	defer done()
	var res keeper.Response
	if err := json.NewDecoder(conn).Decode(&res); err != nil {
		return nil, contextual(ctx, fmt.Errorf("the keeper of the instances hung up: %w", err))
	}
	return &res, res.Error.Err()
}

func (d *Driver) do(ctx context.Context, req *keeper.Request) error {
	_, err := d.call(ctx, req)
	return err
}

// Launch implements driver.Driver.
func (d *Driver) Launch(ctx context.Context, spec driver.Spec) error {
	return d.do(ctx, &keeper.Request{Op: "launch", Spec: &spec})
}

// Start implements driver.Driver.
func (d *Driver) Start(ctx context.Context, spec driver.Spec) error {
	return d.do(ctx, &keeper.Request{Op: "start", Spec: &spec})
}

// Stop implements driver.Driver.
func (d *Driver) Stop(ctx context.Context, id string, force bool) error {
	return d.do(ctx, &keeper.Request{Op: "stop", ID: id, Force: force})
}

// Reboot implements driver.Driver.
func (d *Driver) Reboot(ctx context.Context, id string) error {
	return d.do(ctx, &keeper.Request{Op: "reboot", ID: id})
}

// Terminate implements driver.Driver.
func (d *Driver) Terminate(ctx context.Context, id string) error {
	return d.do(ctx, &keeper.Request{Op: "terminate", ID: id})
}

// CreateImage implements driver.Driver.
func (d *Driver) CreateImage(ctx context.Context, imageID, instanceID string) error {
	return d.do(ctx, &keeper.Request{Op: "create-image", ImageID: imageID, ID: instanceID})
}

// DeleteImage implements driver.Driver.
func (d *Driver) DeleteImage(ctx context.Context, imageID string) error {
	return d.do(ctx, &keeper.Request{Op: "delete-image", ImageID: imageID})
}

// Inventory implements driver.Driver.
func (d *Driver) Inventory(ctx context.Context) (driver.Inventory, error) {
	res, err := d.call(ctx, &keeper.Request{Op: "inventory"})
	if err != nil || res.Inventory == nil {
		return driver.Inventory{}, err
	}
	return *res.Inventory, nil
}

// Measure implements driver.Driver.
func (d *Driver) Measure(ctx context.Context) ([]driver.Usage, error) {
	res, err := d.call(ctx, &keeper.Request{Op: "measure"})
	if err != nil {
		return nil, err
	}
	return res.Usage, nil
}

// Check implements driver.Driver.
func (d *Driver) Check(ctx context.Context) ([]string, error) {
	res, err := d.call(ctx, &keeper.Request{Op: "check"})
	if err != nil {
		return nil, err
	}
	return res.Silent, nil
}

// Console implements driver.Driver.
func (d *Driver) Console(ctx context.Context, id string) ([]byte, error) {
	res, err := d.call(ctx, &keeper.Request{Op: "console", ID: id})
	if err != nil {
		return nil, err
	}
	return res.Data, nil
}

// Reset implements driver.Driver.
func (d *Driver) Reset(ctx context.Context) error {
	return d.do(ctx, &keeper.Request{Op: "reset"})
}
