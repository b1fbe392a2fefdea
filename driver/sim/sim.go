// Package sim is the driver that runs nothing: an instance is a record. It is
// for tests of the API and for clouds larger than the host.
//
// It is not a simulator of virtual time and models neither load nor failures;
// here an instance just exists, idle. The one idea is that everything is
// complete when the call returns, unless a boot time is asked for. Records are
// kept in a file, one line per change, so that the next daemon finds them, as
// with every driver.
package sim

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/billow-cloud/billow/driver"
)

// Config tells New what to do.
type Config struct {
	// Dir keeps the records; empty keeps them in memory.
	Dir string
	// Boot is how long a boot takes.
	Boot time.Duration
}

// ErrNoProcesses answers whatever would need a real instance.
var ErrNoProcesses = errors.New("the sim driver runs no processes: start the server with --driver netns to have real instances")

// line is one change in the file: an instance, image, volume or snapshot as it is now.
type line struct {
	ID     string
	Image  bool          `json:",omitempty"`
	Gone   bool          `json:",omitempty"`
	State  driver.State  `json:",omitempty"`
	Start  time.Time     `json:",omitzero"`
	Reason driver.Reason `json:",omitempty"`
	Spec   *driver.Spec  `json:",omitempty"`

	Volume   *driver.Volume   `json:",omitempty"`
	Snapshot *driver.Snapshot `json:",omitempty"`
}

// Driver is a driver.Driver. Make one with New.
type Driver struct {
	boot   time.Duration
	events chan driver.Event

	mu        sync.Mutex
	instances map[string]*line
	images    map[string]*line
	volumes   map[string]*line
	snapshots map[string]*line
	addresses map[netip.Addr]string    // of all instances, to who has it
	booting   map[string]chan struct{} // closed when the boot is over
	file      *os.File
	closed    bool
}

var _ driver.Driver = (*Driver)(nil)

// New reads the records of the directory.
func New(config Config) (*Driver, error) {
	d := &Driver{
		boot: config.Boot, events: make(chan driver.Event, 1024),
		instances: map[string]*line{}, images: map[string]*line{}, volumes: map[string]*line{}, snapshots: map[string]*line{},
		addresses: map[netip.Addr]string{}, booting: map[string]chan struct{}{},
	}
	if config.Dir == "" {
		return d, nil
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("the directory of the instances cannot be made: %w", err)
	}
	path := filepath.Join(config.Dir, "instances.jsonl")
	if err := d.read(path); err != nil {
		return nil, fmt.Errorf("the records of the instances cannot be read: %w", err)
	}
	if err := d.rewrite(path); err != nil {
		return nil, fmt.Errorf("the records of the instances cannot be written: %w", err)
	}
	return d, nil
}

// rewrite makes a file of what is left. It takes the place of the old one only when all of it is written.
func (d *Driver) rewrite(path string) (err error) {
	if d.file, err = os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	for _, all := range []map[string]*line{d.images, d.snapshots, d.instances, d.volumes} {
		for _, l := range all {
			err = errors.Join(err, d.save(l))
		}
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		d.file.Close()
	}
	return err
}

func (d *Driver) read(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		l := &line{}
		if json.Unmarshal(scanner.Bytes(), l) != nil || !l.Image && !l.Gone && l.Spec == nil && l.Volume == nil && l.Snapshot == nil {
			continue // a line cut short by a crash: that change was never answered
		}
		all := d.instances
		switch {
		case l.Image:
			all = d.images
		case l.Volume != nil:
			all = d.volumes
		case l.Snapshot != nil:
			all = d.snapshots
		}
		if l.Gone {
			delete(all, l.ID)
		} else {
			all[l.ID] = l
		}
	}
	for id, l := range d.instances {
		d.addresses[l.Spec.PrivateIP] = id
	}
	return scanner.Err()
}

// save writes a change. The caller holds mu.
func (d *Driver) save(l *line) error {
	if d.file == nil {
		return nil
	}
	text, err := json.Marshal(l)
	if err == nil {
		_, err = d.file.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("the record of %s cannot be written: %w", l.ID, err)
	}
	return nil
}

func (d *Driver) emit(e driver.Event) {
	select {
	case d.events <- e:
	default:
	}
}

// Name implements driver.Driver.
func (d *Driver) Name() string { return "sim" }

// Notes implements driver.Driver.
func (d *Driver) Notes() []string {
	return []string{"Instances are modelled: nothing runs in them and nothing answers."}
}

// Launch implements driver.Driver.
func (d *Driver) Launch(ctx context.Context, spec driver.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	return d.run(ctx, spec, true)
}

// Start implements driver.Driver.
func (d *Driver) Start(ctx context.Context, spec driver.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	return d.run(ctx, spec, false)
}

// run boots an instance. While that takes time, another call for it waits.
func (d *Driver) run(ctx context.Context, spec driver.Spec, launch bool) error {
	d.mu.Lock()
	for d.booting[spec.ID] != nil {
		over := d.booting[spec.ID]
		d.mu.Unlock()
		select {
		case <-over:
		case <-ctx.Done():
			return ctx.Err()
		}
		d.mu.Lock()
	}
	defer d.mu.Unlock()
	l := d.instances[spec.ID]
	if l != nil && (launch || l.State == driver.Running) {
		return nil
	}
	if l == nil && !launch {
		return notFound(spec.ID)
	}
	if err := d.check(spec, launch); err != nil {
		return err
	}
	if d.boot > 0 {
		over := make(chan struct{})
		d.booting[spec.ID] = over
		d.mu.Unlock()
		timer := time.NewTimer(d.boot)
		select {
		case <-timer.C:
		case <-ctx.Done(): // the wish goes on without its caller, and faster
		}
		timer.Stop()
		d.mu.Lock()
		delete(d.booting, spec.ID)
		close(over)
		if !launch && d.instances[spec.ID] == nil {
			return notFound(spec.ID) // terminated meanwhile
		}
	}
	for _, v := range spec.Volumes {
		if err := d.attach(v.VolumeID, spec.ID, v.Device); err != nil {
			return err
		}
	}
	spec.UserData, spec.Volumes = nil, nil // nothing will run the first; the others are attached
	l = &line{ID: spec.ID, State: driver.Running, Start: time.Now(), Spec: &spec}
	if err := d.save(l); err != nil {
		return err
	}
	if old := d.instances[spec.ID]; old != nil {
		delete(d.addresses, old.Spec.PrivateIP)
	}
	d.instances[spec.ID], d.addresses[spec.PrivateIP] = l, spec.ID
	d.emit(driver.Event{ID: spec.ID, Kind: driver.Booted, At: l.Start})
	return nil
}

// check refuses what a real host would refuse. The caller holds mu.
func (d *Driver) check(spec driver.Spec, launch bool) error {
	if launch && spec.ImageID != "" && d.images[spec.ImageID] == nil {
		return driver.Errorf(driver.CodeImage, "The content of image %s is not on this host.", spec.ImageID)
	}
	if owner := d.addresses[spec.PrivateIP]; owner != "" && owner != spec.ID {
		return driver.Errorf(driver.CodeInvalid, "The address %s is in use by %s.", spec.PrivateIP, owner)
	}
	return nil
}

func notFound(id string) error { return fmt.Errorf("%s: %w", id, driver.ErrNotFound) }

// change replaces the record of an instance.
func (d *Driver) change(id string, how func(l line) (line, error)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.instances[id]
	if l == nil {
		return notFound(id)
	}
	next, err := how(*l)
	if err == nil {
		err = d.save(&next)
	}
	if err != nil {
		return err
	}
	d.instances[id] = &next
	return nil
}

// Stop implements driver.Driver.
func (d *Driver) Stop(ctx context.Context, id string, force bool) error {
	return d.change(id, func(l line) (line, error) {
		if l.State == driver.Running {
			l.State, l.Start, l.Reason = driver.Stopped, time.Time{}, driver.ReasonStopped
		}
		return l, nil
	})
}

// Reboot implements driver.Driver.
func (d *Driver) Reboot(ctx context.Context, id string) error {
	return d.change(id, func(l line) (line, error) {
		if l.State != driver.Running {
			return l, fmt.Errorf("%s: %w", id, driver.ErrNotRunning)
		}
		l.Start = time.Now()
		d.emit(driver.Event{ID: id, Kind: driver.Booted, At: l.Start})
		return l, nil
	})
}

// Terminate implements driver.Driver.
func (d *Driver) Terminate(ctx context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.instances[id]
	if l == nil {
		return nil
	}
	if err := d.save(&line{ID: id, Gone: true}); err != nil {
		return err
	}
	delete(d.instances, id)
	delete(d.addresses, l.Spec.PrivateIP)
	return d.detachAll(id)
}

// CreateImage implements driver.Driver.
func (d *Driver) CreateImage(ctx context.Context, imageID, instanceID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.instances[instanceID] == nil {
		return notFound(instanceID)
	}
	if !driver.ValidID(imageID) {
		return driver.Errorf(driver.CodeInvalid, "%q is not a valid image ID.", imageID)
	}
	l := &line{ID: imageID, Image: true}
	if err := d.save(l); err != nil {
		return err
	}
	d.images[imageID] = l
	return nil
}

// DeleteImage implements driver.Driver.
func (d *Driver) DeleteImage(ctx context.Context, imageID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.images[imageID] == nil {
		return nil
	}
	if err := d.save(&line{ID: imageID, Image: true, Gone: true}); err != nil {
		return err
	}
	delete(d.images, imageID)
	return nil
}

// Inventory implements driver.Driver.
func (d *Driver) Inventory(ctx context.Context) (driver.Inventory, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := driver.Inventory{Instances: make([]driver.Instance, 0, len(d.instances))}
	for _, l := range d.instances {
		all.Instances = append(all.Instances, driver.Instance{
			ID: l.ID, State: l.State, Started: l.Start, Booted: l.State == driver.Running,
			PrivateIP: l.Spec.PrivateIP, ImageID: l.Spec.ImageID, Reason: l.Reason,
		})
	}
	for id := range d.images {
		all.Images = append(all.Images, id)
	}
	slices.SortFunc(all.Instances, func(a, b driver.Instance) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(all.Images)
	d.inventoryVolumes(&all)
	return all, nil
}

// Measure implements driver.Driver: everything is idle.
func (d *Driver) Measure(ctx context.Context) ([]driver.Usage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	all := make([]driver.Usage, 0, len(d.instances))
	for _, l := range d.instances {
		if l.State == driver.Running {
			all = append(all, driver.Usage{ID: l.ID, Started: l.Start, At: now, CPUs: l.Spec.CPUs, MemoryLimit: l.Spec.Memory})
		}
	}
	slices.SortFunc(all, func(a, b driver.Usage) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Check implements driver.Driver: a record never hangs.
func (d *Driver) Check(context.Context) ([]string, error) { return nil, nil }

// Console implements driver.Driver.
func (d *Driver) Console(ctx context.Context, id string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.instances[id] == nil {
		return nil, notFound(id)
	}
	return []byte("[billow] This instance is modelled; user data was not run.\n"), nil
}

// Exec implements driver.Driver.
func (d *Driver) Exec(ctx context.Context, id string, req driver.ExecRequest) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch l := d.instances[id]; {
	case l == nil:
		return 0, notFound(id)
	case l.State != driver.Running:
		return 0, fmt.Errorf("%s: %w", id, driver.ErrNotRunning)
	}
	return 126, ErrNoProcesses
}

// Network implements driver.Driver.
func (d *Driver) Network() driver.Network { return network{} }

// Events implements driver.Driver.
func (d *Driver) Events() <-chan driver.Event { return d.events }

// Reset implements driver.Driver.
func (d *Driver) Reset(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return os.ErrClosed
	}
	clear(d.instances)
	clear(d.images)
	clear(d.volumes)
	clear(d.snapshots)
	clear(d.addresses)
	if d.file == nil {
		return nil
	}
	if err := d.file.Truncate(0); err != nil {
		return err
	}
	_, err := d.file.Seek(0, 0)
	return err
}

// Close implements driver.Driver.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	close(d.events)
	if d.file == nil {
		return nil
	}
	return d.file.Close()
}

// network has nobody in it: nobody answers a call, and nobody ever calls.
type network struct{}

func (network) Dial(ctx context.Context, kind, address string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Net: kind, Err: ErrNoProcesses}
}

func (network) Listen(kind, address string) (net.Listener, error) {
	at, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	return &silence{at: at, over: make(chan struct{})}, nil
}

func (network) ListenPacket(kind, address string) (net.PacketConn, error) {
	at, err := net.ResolveUDPAddr("udp4", address)
	if err != nil {
		return nil, err
	}
	return &silence{at: at, over: make(chan struct{})}, nil
}

// silence is a socket that nothing ever arrives at.
type silence struct {
	at   net.Addr
	once sync.Once
	over chan struct{}
}

func (s *silence) Accept() (net.Conn, error) {
	<-s.over
	return nil, net.ErrClosed
}

func (s *silence) ReadFrom([]byte) (int, net.Addr, error) {
	<-s.over
	return 0, nil, net.ErrClosed
}

func (s *silence) Close() error {
	s.once.Do(func() { close(s.over) })
	return nil
}

func (s *silence) WriteTo(b []byte, to net.Addr) (int, error) { return len(b), nil }
func (s *silence) Addr() net.Addr                             { return s.at }
func (s *silence) LocalAddr() net.Addr                        { return s.at }
func (s *silence) SetDeadline(time.Time) error                { return nil }
func (s *silence) SetReadDeadline(time.Time) error            { return nil }
func (s *silence) SetWriteDeadline(time.Time) error           { return nil }
