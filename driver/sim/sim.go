// Package sim is the driver that runs nothing: instances are records, for tests of the API and for scale.
//
// Launch, Stop and the others succeed at once, or after Options.Boot. There are no processes, so there is nothing to
// execute, to measure or to connect to: processor time stays zero, and Network is nil.
//
// The records are kept in an append-only file, so that a server that is started again finds the instances of the one
// before, as with any other driver.
package sim

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/billow-cloud/billow/driver"
)

// Options are what New takes.
type Options struct {
	// Dir is where the records are kept; empty keeps them in memory only.
	Dir string
	// Boot is how long launches, starts, stops and terminations take.
	Boot time.Duration
}

// Driver is the driver.
type Driver struct {
	options Options
	events  chan driver.Event

	mu        sync.Mutex
	file      *os.File
	instances map[string]record
	images    map[string]bool
}

// record is an instance or an image, and a line of the file; the last line about an ID counts.
type record struct {
	ID, ImageID string
	Image       bool         `json:",omitempty"`
	Gone        bool         `json:",omitempty"`
	State       driver.State `json:",omitempty"`
	PrivateIP   netip.Addr   `json:",omitzero"`
	CPUs        float64      `json:",omitempty"`
	Started     time.Time    `json:",omitzero"`
	Reason      driver.Reason
}

// New makes the driver and reads the records of the one before.
func New(o Options) (*Driver, error) {
	d := &Driver{options: o, events: make(chan driver.Event, 16), instances: map[string]record{}, images: map[string]bool{}}
	if o.Dir == "" {
		return d, nil
	}
	path := filepath.Join(o.Dir, "sim.records")
	if err := d.read(path); err != nil {
		return nil, fmt.Errorf("the records of the sim driver cannot be read: %w", err)
	}
	if err := d.rewrite(path); err != nil {
		return nil, fmt.Errorf("the records of the sim driver cannot be written: %w", err)
	}
	return d, nil
}

func (d *Driver) read(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r record
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			return nil // the last line of a server that was killed
		}
		d.apply(r)
	}
	return nil
}

// rewrite starts the file anew with what is there, so that it does not grow for ever.
func (d *Driver) rewrite(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	d.file = f
	for _, r := range d.instances {
		if err := d.write(r); err != nil {
			return err
		}
	}
	for id := range d.images {
		if err := d.write(record{ID: id, Image: true}); err != nil {
			return err
		}
	}
	return os.Rename(path+".new", path)
}

func (d *Driver) apply(r record) {
	switch {
	case r.Image && r.Gone:
		delete(d.images, r.ID)
	case r.Image:
		d.images[r.ID] = true
	case r.Gone:
		delete(d.instances, r.ID)
	default:
		d.instances[r.ID] = r
	}
}

func (d *Driver) write(r record) error {
	if d.file == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = d.file.Write(append(line, '\n'))
	return err
}

// set changes a record after the time that things take here.
func (d *Driver) set(ctx context.Context, r record) error {
	if d.options.Boot > 0 {
		timer := time.NewTimer(d.options.Boot)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.write(r); err != nil {
		return err
	}
	d.apply(r)
	return nil
}

func (d *Driver) get(id string) (record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.instances[id]
	if !ok {
		return r, fmt.Errorf("%s: %w", id, driver.ErrNotFound)
	}
	return r, nil
}

// Name implements driver.Driver.
func (d *Driver) Name() string { return "sim" }

// Notes implements driver.Driver.
func (d *Driver) Notes() []string {
	return []string{"Instances are modelled: no process runs, nothing can be executed in them or connected to."}
}

// Launch implements driver.Driver.
func (d *Driver) Launch(ctx context.Context, s driver.Spec) error {
	if _, err := d.get(s.ID); err == nil {
		return nil
	}
	if s.ImageID != "" {
		d.mu.Lock()
		known := d.images[s.ImageID]
		d.mu.Unlock()
		if !known {
			return driver.Errorf(driver.CodeImage, "The image %s is not on this host.", s.ImageID)
		}
	}
	return d.set(ctx, running(s))
}

func running(s driver.Spec) record {
	return record{ID: s.ID, ImageID: s.ImageID, State: driver.Running, PrivateIP: s.PrivateIP, CPUs: s.CPUs, Started: time.Now()}
}

// Start implements driver.Driver.
func (d *Driver) Start(ctx context.Context, s driver.Spec) error {
	r, err := d.get(s.ID)
	if err != nil || r.State == driver.Running {
		return err
	}
	again := running(s)
	again.ImageID = r.ImageID
	return d.set(ctx, again)
}

// Stop implements driver.Driver.
func (d *Driver) Stop(ctx context.Context, id string, force bool) error {
	r, err := d.get(id)
	if err != nil || r.State == driver.Stopped {
		return err
	}
	r.State, r.Reason, r.Started = driver.Stopped, driver.ReasonStopped, time.Time{}
	return d.set(ctx, r)
}

// Reboot implements driver.Driver.
func (d *Driver) Reboot(ctx context.Context, id string) error {
	r, err := d.get(id)
	if err != nil {
		return err
	}
	if r.State != driver.Running {
		return fmt.Errorf("%s: %w", id, driver.ErrNotRunning)
	}
	r.Started = time.Now()
	return d.set(ctx, r)
}

// Terminate implements driver.Driver.
func (d *Driver) Terminate(ctx context.Context, id string) error {
	if _, err := d.get(id); err != nil {
		return nil
	}
	return d.set(ctx, record{ID: id, Gone: true})
}

// CreateImage implements driver.Driver.
func (d *Driver) CreateImage(ctx context.Context, imageID, instanceID string) error {
	if _, err := d.get(instanceID); err != nil {
		return err
	}
	return d.set(ctx, record{ID: imageID, Image: true})
}

// DeleteImage implements driver.Driver.
func (d *Driver) DeleteImage(ctx context.Context, imageID string) error {
	return d.set(ctx, record{ID: imageID, Image: true, Gone: true})
}

// Inventory implements driver.Driver.
func (d *Driver) Inventory(context.Context) (driver.Inventory, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all driver.Inventory
	for _, r := range d.instances {
		all.Instances = append(all.Instances, driver.Instance{
			ID: r.ID, State: r.State, Started: r.Started, Booted: r.State == driver.Running, PrivateIP: r.PrivateIP,
			ImageID: r.ImageID, Reason: r.Reason,
		})
	}
	for id := range d.images {
		all.Images = append(all.Images, id)
	}
	slices.SortFunc(all.Instances, func(a, b driver.Instance) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(all.Images)
	return all, nil
}

// Measure implements driver.Driver: everything is idle.
func (d *Driver) Measure(ctx context.Context) ([]driver.Usage, error) {
	all, err := d.Inventory(ctx)
	var usage []driver.Usage
	for _, i := range all.Instances {
		if i.State == driver.Running {
			usage = append(usage, driver.Usage{ID: i.ID, Started: i.Started, At: time.Now()})
		}
	}
	return usage, err
}

// Console implements driver.Driver.
func (d *Driver) Console(_ context.Context, id string) ([]byte, error) {
	if _, err := d.get(id); err != nil {
		return nil, err
	}
	return []byte("This instance is modelled; nothing runs in it.\n"), nil
}

// Exec implements driver.Driver.
func (d *Driver) Exec(context.Context, string, driver.ExecRequest) (int, error) {
	return 126, errors.New("the sim driver runs no processes, so nothing can be executed in its instances")
}

// Network implements driver.Driver: there is none.
func (d *Driver) Network() driver.Network { return nil }

// Events implements driver.Driver: nothing happens by itself.
func (d *Driver) Events() <-chan driver.Event { return d.events }

// Reset implements driver.Driver.
func (d *Driver) Reset(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.instances)
	clear(d.images)
	if d.file == nil {
		return nil
	}
	return d.file.Truncate(0)
}

// Close implements driver.Driver.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.events)
	if d.file == nil {
		return nil
	}
	return d.file.Close()
}
