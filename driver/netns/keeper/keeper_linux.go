package keeper

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/tproxy"
)

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// idleStart is how long a new keeper waits for its first driver.
const idleStart = 10 * time.Second

type keeper struct {
	rootless   bool
	executable string
	null, lock *os.File
	listener   *net.UnixListener
	base       *base // once baseMade is closed; nil if that failed
	baseMade   chan struct{}
	cgroups    *cgroups
	vpc        *vpc
	caught     *tproxy.Socket // guarded by mu
	filter     []byte         // seccomp
	noVolumes  string         // why there are none; empty when there can be

	mu          sync.Mutex
	instances   map[string]*instance
	images      map[string]imageRecord
	making      map[string]bool // layers under construction
	volumes     map[string]*volume
	snapshots   map[string]*snapshot
	addresses   map[netip.Addr]*instance
	subscribers map[chan driver.Event]bool
	busy        int // requests under way
}

// The keeper takes over here, so that no program that links the driver has to
// know of it: neither main nor a test's main.
func init() {
	mode := os.Getenv(Marker)
	if os.Getpid() != 1 || mode == "" {
		return
	}
	os.Unsetenv(Marker)
	os.WriteFile("/proc/self/comm", []byte("billow-keeper"), 0) // it was executed as /proc/self/exe
	ready := os.NewFile(ReadyFD, "ready")
	unix.CloseOnExec(ReadyFD)
	k, err := start(mode == "rootless")
	if err != nil {
		fmt.Fprint(ready, err)
		os.Exit(1)
	}
	fmt.Fprint(ready, "ok")
	ready.Close()
	k.run()
}

// start makes everything ready in the working directory, which is the driver's.
func start(rootless bool) (*keeper, error) {
	k := &keeper{
		rootless: rootless, instances: map[string]*instance{}, images: map[string]imageRecord{}, making: map[string]bool{},
		addresses: map[netip.Addr]*instance{}, subscribers: map[chan driver.Event]bool{},
		volumes: map[string]*volume{}, snapshots: map[string]*snapshot{},
		executable: "/proc/self/exe", baseMade: make(chan struct{}), noVolumes: whyNoLoops(rootless),
	}
	k.filter = seccompFilter(k.noVolumes == "")
	if err := k.takeLock(); err != nil {
		return nil, err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return nil, fmt.Errorf("separating the mount table: %w", err)
	}
	program, err := os.Readlink("/proc/self/exe") // before /proc becomes that of the new PID namespace
	if err != nil {
		return nil, err
	}
	k.cgroups = findCgroups(GroupName("."))
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NOEXEC|unix.MS_NODEV, ""); err != nil {
		return nil, fmt.Errorf("mounting /proc in a new PID namespace: %w (in a container, /proc must not be masked)", err)
	}
	if k.null, err = os.OpenFile("/dev/null", os.O_RDWR, 0); err != nil {
		return nil, err
	}
	for _, dir := range []string{"instances", "images", "layers", "mnt"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if err := k.probeOverlay(); err != nil {
		return nil, err
	}
	go k.prepareBase(program)
	if k.vpc, err = newVPC(); err != nil {
		return nil, err
	}
	if err := errors.Join(k.loadImages(), k.load(), k.loadVolumes()); err != nil {
		return nil, err
	}
	k.sweepLoops()
	k.sweepLayers()
	for _, root := range append(k.cgroups.hierarchies[:len(k.cgroups.hierarchies):len(k.cgroups.hierarchies)], k.cgroups.unified) {
		if root != "" {
			k.cgroups.sweep(root)
		}
	}
	os.Remove(SocketName)
	k.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: SocketName, Net: "unix"})
	if err != nil {
		return nil, err
	}
	return k, os.Chmod(SocketName, 0o600)
}

// prepareBase makes the built-in image while the daemon goes on starting.
func (k *keeper) prepareBase(program string) {
	defer close(k.baseMade)
	var err error
	if k.base, err = makeBase(program, k.rootless); err != nil {
		k.log("making the built-in image: %v", err)
	}
}

// probeOverlay finds out now what would otherwise fail every launch.
func (k *keeper) probeOverlay() error {
	defer os.RemoveAll("probe")
	for _, dir := range []string{"probe/lower", "probe/upper", "probe/work", "probe/mnt"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return explain("trying an overlay", err)
		}
	}
	options := "lowerdir=probe/lower,upperdir=probe/upper,workdir=probe/work,volatile"
	if k.rootless {
		options += ",userxattr"
	}
	if err := unix.Mount("overlay", "probe/mnt", "overlay", 0, options); err != nil {
		return fmt.Errorf("an overlay cannot be mounted in the data directory: %w (it takes Linux 5.11 and a local file system such as ext4, xfs, btrfs or tmpfs, not another overlay: choose another --data)", err)
	}
	return unix.Unmount("probe/mnt", 0)
}

// takeLock waits until no keeper and no instance of an earlier keeper is left:
// every init holds the lock beside its keeper.
func (k *keeper) takeLock() (err error) {
	k.lock, err = os.OpenFile(LockName, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	for range 1000 {
		if err = unix.Flock(int(k.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("another keeper uses this directory and does not answer: %w", err)
}

// GroupName is the name of the control groups of a directory's instances; it
// tells the clouds of one host apart.
func GroupName(dir string) string {
	var st unix.Stat_t
	unix.Stat(dir, &st)
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d", st.Dev, st.Ino))
	return "billow-" + hex.EncodeToString(sum[:6])
}

func (k *keeper) run() {
	time.AfterFunc(idleStart, k.leaveIfIdle)
	signals := make(chan os.Signal, 1)
	// Taken and dropped: what is ignored here would be ignored in every instance, and Ctrl-C there would do nothing.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals // the host goes down: give instances the chance to save their work
		k.log("SIGTERM: ending all instances")
		k.shutdown()
	}()
	for {
		conn, err := k.listener.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				select {} // leaving
			}
			k.log("accepting: %v", err)
			time.Sleep(10 * time.Millisecond) // out of descriptors: wait for some
			continue
		}
		k.mu.Lock()
		k.busy++
		k.mu.Unlock()
		go func() {
			defer k.leaveIfIdle()
			defer func() {
				conn.Close()
				k.mu.Lock()
				k.busy--
				k.mu.Unlock()
			}()
			k.serve(conn)
		}()
	}
}

// leaveIfIdle ends the keeper when nobody needs it: no driver is connected and
// nothing runs.
func (k *keeper) leaveIfIdle() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy > 0 || len(k.subscribers) > 0 {
		return
	}
	for _, i := range k.instances {
		if i.boot != nil {
			return
		}
	}
	k.leave()
}

func (k *keeper) leave() {
	k.listener.Close() // removes the socket too
	k.cgroups.removeAll()
	os.Exit(0)
}

// shutdown stops everything, as a host does that goes down.
func (k *keeper) shutdown() {
	k.mu.Lock()
	var group sync.WaitGroup
	for _, i := range k.instances {
		if i.boot != nil {
			group.Go(func() { k.end(i, stopGrace, driver.ReasonHost) })
		}
	}
	k.mu.Unlock()
	group.Wait()
	k.leave()
}

// subscribe registers for events.
func (k *keeper) subscribe() chan driver.Event {
	events := make(chan driver.Event, 1024)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.subscribers[events] = true
	return events
}

func (k *keeper) unsubscribe(events chan driver.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.subscribers, events)
}

// publish never waits: an event that finds no room is lost.
func (k *keeper) publish(e driver.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for events := range k.subscribers {
		select {
		case events <- e:
		default:
		}
	}
}

func (k *keeper) inventory() *driver.Inventory {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := &driver.Inventory{Instances: make([]driver.Instance, 0, len(k.instances)), Images: k.imageIDs()}
	for _, i := range k.instances {
		if !i.launched {
			continue
		}
		one := driver.Instance{ID: i.id, State: driver.Stopped, PrivateIP: i.record.Spec.PrivateIP, ImageID: i.record.Spec.ImageID, Reason: i.reason}
		if i.boot != nil {
			one.Started, one.Booted = i.boot.started, i.boot.booted
		}
		if i.boot != nil || i.rebooting {
			one.State, one.Reason = driver.Running, ""
		}
		all.Instances = append(all.Instances, one)
	}
	slices.SortFunc(all.Instances, func(a, b driver.Instance) int { return cmp.Compare(a.ID, b.ID) })
	k.inventoryVolumes(all)
	return all
}

func (k *keeper) notes() []string {
	notes := []string{
		"Instances reach each other and the cloud's own services, but not the internet.",
	}
	if k.rootless {
		notes = append(notes, "Without root, an instance has one user only: programs that change to another user (su, sudo, some servers' workers) fail, and the host's own files below /usr can be replaced but not changed in place.")
	}
	if k.noVolumes != "" {
		notes = append(notes, k.noVolumes)
	}
	if len(k.filter) == 0 {
		notes = append(notes, "There is no system call filter for this kind of processor.")
	}
	return append(notes, k.cgroups.notes...)
}

func (k *keeper) log(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().UTC().Format(time.RFC3339), fmt.Sprintf(format, args...))
}

// do carries out the requests that have one plain answer.
func (k *keeper) do(ctx context.Context, req *Request) (*Response, error) {
	if req.Spec == nil {
		req.Spec = &driver.Spec{} // which is refused
	}
	switch req.Op {
	case "launch":
		return nil, k.launch(req.Spec)
	case "start":
		return nil, k.restart(req.Spec)
	case "stop":
		return nil, k.stop(req.ID, req.Force)
	case "reboot":
		return nil, k.reboot(req.ID)
	case "terminate":
		return nil, k.terminate(req.ID)
	case "create-image":
		return nil, k.createImage(req.ImageID, req.ID)
	case "delete-image":
		return nil, k.deleteImage(req.ImageID)
	case "create-volume":
		return nil, k.createVolume(req.ID, req.Bytes, req.SnapshotID)
	case "delete-volume":
		return nil, k.deleteVolume(req.ID)
	case "attach-volume":
		return nil, k.attachVolume(req.ID, req.InstanceID, req.Device)
	case "detach-volume":
		return nil, k.detachVolume(req.ID, req.InstanceID, req.Force)
	case "resize-volume":
		return nil, k.resizeVolume(req.ID, req.Bytes)
	case "delete-snapshot":
		return nil, k.deleteSnapshot(req.ID)
	case "ports":
		return &Response{Ports: k.ports()}, nil
	case "inventory":
		return &Response{Inventory: k.inventory()}, nil
	case "measure":
		return &Response{Usage: k.measure()}, nil
	case "check":
		return &Response{Silent: k.check()}, nil
	case "console":
		i := k.find(req.ID)
		if i == nil {
			return nil, notFound(req.ID)
		}
		data, err := readConsole(i.path("console.log"))
		return &Response{Data: data}, err
	case "address":
		a, err := netip.ParseAddr(req.Address)
		if err != nil {
			return nil, err
		}
		k.mu.Lock()
		owner := k.addresses[a]
		k.mu.Unlock()
		if owner != nil {
			return nil, fmt.Errorf("the address %s belongs to %s", a, owner.id)
		}
		return nil, k.vpc.claim(a)
	case "reset":
		return nil, k.reset(ctx)
	}
	return nil, fmt.Errorf("the keeper does not know the request %q", req.Op)
}
