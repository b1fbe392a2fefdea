package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
)

// How long the processes of an instance may take to end after SIGTERM.
const (
	stopGrace      = 5 * time.Second
	terminateGrace = 2 * time.Second
)

// bootWindow bounds the time that booting goes unthrottled.
const bootWindow = 60 * time.Second

// instance exists from Launch to Terminate.
//
//	          launch                   stop, poweroff, crash
//	(nothing) ------> running (boot) -----------------------> stopped
//	    ^                |      ^                                |
//	    |   terminate    |      +--------------------------------+
//	    +----------------+------+           start
type instance struct {
	id   string
	wish sync.Mutex // held while a wish is carried out: one at a time per instance
	gone bool       // terminated, or its launch failed; guarded by wish

	record record // guarded by wish, and by keeper.mu for writing

	// Guarded by keeper.mu:
	boot      *boot // nil when stopped
	launched  bool  // its first boot succeeded
	rebooting bool  // between two boots: for others it goes on running
	reason    driver.Reason
}

// record is what is kept on disk of an instance.
type record struct {
	Spec   driver.Spec
	Layers []string
	Whole  bool               `json:",omitempty"` // as its image
	Config driver.ImageConfig `json:",omitzero"`
	Ran    bool               // user data ran, or was given up
	Up     bool               // running, as far as the last keeper knew
	Reason driver.Reason      `json:",omitempty"`
}

// boot is one run of an instance.
type boot struct {
	guest   *guest
	place   *placement
	console *console
	power   *os.File // the pipe that the power commands write to
	address netip.Addr
	started time.Time
	booted  bool          // guarded by keeper.mu
	reason  driver.Reason // why it ends, once that is known; guarded by keeper.mu
	over    chan struct{} // closed when everything of it is cleaned up
	used    usage         // guarded by keeper.mu
	mounts  *mounts

	environment []string // of the programs that the keeper starts inside
}

func (i *instance) path(parts ...string) string {
	return filepath.Join(append([]string{"instances", i.id}, parts...)...)
}

func (i *instance) hostname() string {
	if i.record.Spec.Hostname != "" {
		return i.record.Spec.Hostname
	}
	return i.id
}

func notFound(id string) error { return fmt.Errorf("%s: %w", id, driver.ErrNotFound) }

// explain turns an error of the host into one that an activity can show.
func explain(doing string, err error) error {
	var coded *driver.Error
	switch {
	case errors.As(err, &coded):
		return err
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return driver.Errorf(driver.CodeCapacity, "The disk of the data directory is full (%s).", doing)
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return driver.Errorf(driver.CodeCapacity, "The host has no room for more: %s: %v.", doing, err)
	}
	return driver.Errorf(driver.CodeInternal, "%s: %v.", doing, err)
}

func (k *keeper) find(id string) *instance {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.instances[id]
}

// current is the instance's run, nil when it is stopped.
func (k *keeper) current(i *instance) *boot {
	k.mu.Lock()
	defer k.mu.Unlock()
	return i.boot
}

func (k *keeper) launch(spec *driver.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	image, err := k.imageOf(spec.ImageID)
	i := &instance{id: spec.ID, record: record{Spec: *spec, Layers: image.Layers, Whole: image.Whole, Config: image.Config}}
	i.wish.Lock()
	defer i.wish.Unlock()
	k.mu.Lock()
	if other := k.instances[spec.ID]; other != nil {
		k.mu.Unlock()
		other.wish.Lock() // if it is being launched, the answer waits for that
		defer other.wish.Unlock()
		if other.gone {
			return driver.Errorf(driver.CodeInternal, "Instance %s was terminated meanwhile.", spec.ID)
		}
		return nil
	}
	if err != nil {
		k.mu.Unlock()
		return err
	}
	k.instances[spec.ID] = i
	k.mu.Unlock()
	if err = k.start(i); err != nil {
		k.forget(i)
		return explain("Launching "+spec.ID, err)
	}
	return nil
}

// forget removes every trace of an instance that does not run.
func (k *keeper) forget(i *instance) {
	i.gone = true
	k.freeVolumes(i)
	// The record goes first: without it, a new keeper clears the rest away.
	os.Remove(i.path("instance.json"))
	os.RemoveAll(i.path())
	k.mu.Lock()
	delete(k.instances, i.id)
	k.mu.Unlock()
	if len(i.record.Layers) > 0 {
		k.sweepLayers()
	}
}

// start boots the instance from what its record says. The caller holds wish.
func (k *keeper) start(i *instance) (err error) {
	if err := k.needBase(); err != nil {
		return err
	}
	if err := k.claimAddress(i); err != nil {
		return err
	}
	address := i.record.Spec.PrivateIP
	defer func() {
		if err != nil {
			k.releaseNetwork(i, address)
		}
	}()
	defer func() {
		if err != nil {
			k.leaveVolumes(i)
		}
	}()
	nodes, err := k.takeVolumes(i)
	if err != nil {
		return err
	}
	k.mu.Lock()
	i.record.Up = true
	k.mu.Unlock()
	if err := k.prepare(i); err != nil {
		return err
	}
	place, err := k.cgroups.create(i.id, i.record.Spec.Memory)
	if err != nil {
		return err
	}
	if box := i.record.Spec.Sandbox; box != nil {
		if err := place.limitProcesses(box.Processes); err != nil {
			place.remove()
			return fmt.Errorf("limiting processes: %w", err)
		}
	}
	g, err := k.clone(place)
	if err != nil {
		place.remove()
		return err
	}
	// The inside and the network are made at the same time, by two processes.
	network := make(chan error, 1)
	go func() { network <- k.vpc.attach(i.record.Spec, g.pid, g.pidfd) }()
	err = g.setup(k.steps(i, nodes))
	if err = errors.Join(err, <-network); err != nil {
		g.destroy()
		place.remove()
		return err
	}
	b := &boot{guest: g, place: place, address: address, power: g.file("power"), started: time.Now(), over: make(chan struct{}), environment: i.environment()}
	b.console = newConsole(i.path("console.log"), g.file("console"), g.file("log"))
	b.mounts = k.supervise(i, b, g.file("supervisor"))
	k.mu.Lock()
	i.boot, i.launched, i.rebooting = b, true, false
	k.mu.Unlock()
	go k.watchPower(b)
	go k.attend(i, b)
	go k.runBoot(i, b)
	return nil
}

// claimAddress makes sure that no other running instance has the address.
func (k *keeper) claimAddress(i *instance) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := i.record.Spec.PrivateIP
	if owner := k.addresses[a]; owner != nil && owner != i {
		return driver.Errorf(driver.CodeInvalid, "The address %s is in use by %s.", a, owner.id)
	}
	k.addresses[a] = i
	return nil
}

// releaseNetwork undoes claimAddress and what vpc.attach made reachable.
func (k *keeper) releaseNetwork(i *instance, a netip.Addr) {
	k.vpc.unroute(a)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.addresses[a] == i {
		delete(k.addresses, a)
	}
}

// attend waits for the end of a run, whoever wished for it, and clears up.
func (k *keeper) attend(i *instance, b *boot) {
	<-b.guest.ended
	k.releaseNetwork(i, b.address)
	b.place.remove()
	b.console.finish()
	b.mounts.stop()
	k.leaveVolumes(i)
	if b.power != nil {
		b.power.Close()
	}
	for _, top := range append([]string{"root"}, k.tops(i)...) {
		// The overlay's own scratch; without root, nobody else could delete it.
		os.RemoveAll(i.path(top, "work"))
	}
	k.mu.Lock()
	if b.reason == "" {
		b.reason = driver.ReasonKilled
	}
	i.boot, i.reason = nil, b.reason
	i.rebooting = i.rebooting || b.reason == rebooting
	k.mu.Unlock()
	close(b.over)
	switch b.reason {
	case driver.ReasonStopped:
	case rebooting:
		i.wish.Lock()
		defer i.wish.Unlock()
		if !i.gone && i.record.Up && k.current(i) == nil { // not stopped meanwhile
			if err := k.start(i); err != nil {
				k.log("rebooting %s: %v", i.id, err)
				k.settle(i, driver.ReasonKilled)
				k.publish(driver.Event{ID: i.id, Kind: driver.Exited, At: time.Now(), Reason: driver.ReasonKilled})
			}
		}
	default:
		k.publish(driver.Event{ID: i.id, Kind: driver.Exited, At: time.Now(), Reason: b.reason})
	}
	k.saveReason(i, b.reason)
	k.leaveIfIdle()
}

// rebooting marks the end of a run that the instance itself wants to be
// followed by another.
const rebooting driver.Reason = "rebooting"

// saveReason keeps why an instance that still exists is stopped.
func (k *keeper) saveReason(i *instance, reason driver.Reason) {
	if reason == rebooting || !i.wish.TryLock() {
		return // somebody is at it and will save it
	}
	defer i.wish.Unlock()
	if !i.gone && k.current(i) == nil {
		k.settle(i, reason)
	}
}

// settle records that the instance is stopped, and why. The caller holds wish.
func (k *keeper) settle(i *instance, reason driver.Reason) error {
	k.mu.Lock()
	i.record.Up, i.record.Reason = false, reason
	i.reason, i.rebooting = reason, false
	k.mu.Unlock()
	return k.save(i)
}

func (k *keeper) save(i *instance) error {
	k.mu.Lock()
	r := i.record
	k.mu.Unlock()
	return writeJSON(i.path("instance.json"), r)
}

// end stops the run: by SIGTERM to all and a bounded wait, or at once.
func (k *keeper) end(i *instance, grace time.Duration, reason driver.Reason) {
	b := k.current(i)
	if b == nil {
		return
	}
	k.mu.Lock()
	if b.reason == "" {
		b.reason = reason
	}
	k.mu.Unlock()
	if !b.place.held() {
		b.place.wake() // frozen by somebody else, it could not even be killed everywhere
	}
	if grace > 0 && b.guest.term() == nil {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-b.guest.ended:
		case <-timer.C:
		}
	}
	b.place.kill()
	b.guest.destroy()
	<-b.over
}

func (k *keeper) restart(spec *driver.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	return k.withInstance(spec.ID, func(i *instance) error {
		if k.current(i) != nil {
			return nil
		}
		if err := spent(i); err != nil {
			return err
		}
		k.mu.Lock()
		i.record.Spec = *spec
		k.mu.Unlock()
		if err := k.start(i); err != nil {
			k.settle(i, i.reason)
			return explain("Starting "+spec.ID, err)
		}
		return nil
	})
}

// spent refuses a second run of a sandbox.
func spent(i *instance) error {
	if i.record.Spec.Sandbox == nil {
		return nil
	}
	return driver.Errorf(driver.CodeInvalid, "%s is a sandbox: it runs once.", i.id)
}

func (k *keeper) stop(id string, force bool) error {
	return k.withInstance(id, func(i *instance) error {
		grace := stopGrace
		if force {
			grace = 0
		}
		k.end(i, grace, driver.ReasonStopped)
		if i.record.Up {
			return k.settle(i, driver.ReasonStopped)
		}
		return nil
	})
}

func (k *keeper) reboot(id string) error {
	return k.withInstance(id, func(i *instance) error {
		if k.current(i) == nil {
			return fmt.Errorf("%s: %w", id, driver.ErrNotRunning)
		}
		if err := spent(i); err != nil {
			return err
		}
		k.mu.Lock()
		i.rebooting = true
		k.mu.Unlock()
		k.end(i, stopGrace, driver.ReasonStopped)
		if err := k.start(i); err != nil {
			k.settle(i, driver.ReasonKilled)
			return explain("Rebooting "+id, err)
		}
		return nil
	})
}

func (k *keeper) terminate(id string) error {
	err := k.withInstance(id, func(i *instance) error {
		grace := terminateGrace
		if i.record.Spec.Sandbox != nil {
			grace = 0
		}
		k.end(i, grace, driver.ReasonStopped)
		k.forget(i)
		return nil
	})
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	return err
}

// reset removes everything, without grace and side by side.
func (k *keeper) reset(ctx context.Context) error {
	k.mu.Lock()
	all := make([]*instance, 0, len(k.instances))
	for _, i := range k.instances {
		all = append(all, i)
	}
	k.images = map[string]imageRecord{}
	k.mu.Unlock()
	var group sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, i := range all {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			i.wish.Lock()
			defer i.wish.Unlock()
			if !i.gone {
				k.end(i, 0, driver.ReasonStopped)
				k.forget(i)
			}
		})
	}
	group.Wait()
	k.resetVolumes()
	entries, _ := os.ReadDir("images")
	for _, entry := range entries {
		os.Remove(filepath.Join("images", entry.Name()))
	}
	k.sweepLayers()
	return ctx.Err()
}

// withInstance carries out a wish about one that exists.
func (k *keeper) withInstance(id string, do func(*instance) error) error {
	i := k.find(id)
	if i == nil {
		return notFound(id)
	}
	i.wish.Lock()
	defer i.wish.Unlock()
	if i.gone {
		return notFound(id)
	}
	return do(i)
}

// load finds the instances that an earlier keeper left. None of them runs.
func (k *keeper) load() error {
	entries, err := os.ReadDir("instances")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		i := &instance{id: entry.Name()}
		err := readJSON(i.path("instance.json"), &i.record)
		if errors.Is(err, fs.ErrNotExist) || err == nil && i.record.Spec.ID != i.id {
			os.RemoveAll(i.path()) // a launch or a termination that was cut short
			continue
		}
		if err != nil {
			return fmt.Errorf("reading instance %s: %w", i.id, err)
		}
		if i.record.Up {
			i.record.Up, i.record.Reason = false, driver.ReasonHost
			if err := k.save(i); err != nil {
				return err
			}
		}
		i.reason, i.launched = i.record.Reason, true
		k.instances[i.id] = i
	}
	return nil
}
