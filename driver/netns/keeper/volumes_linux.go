package keeper

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
)

// Where the content of volumes and snapshots is: ID.img, a sparse file, beside
// ID.json. They are on one file system, which can perhaps share blocks.
const (
	volumeDir   = "ebs/volumes"
	snapshotDir = "ebs/snapshots"
)

// volume is a sparse file. While the instance that it is attached to runs, a
// loop device gives it to that instance:
//
//	create            attach               boot
//	------> detached ------> attached <------------> live (loop)
//	           ^                |      stop, detach    |
//	           +----------------+----------------------+
//	             detach, terminate
//
// The lock order is instance.wish, volume.wish, keeper.mu.
type volume struct {
	id   string
	wish sync.Mutex // held while a wish is carried out
	gone bool       // guarded by wish

	record volumeRecord // guarded by wish, and by keeper.mu for writing
	loop   *loop        // guarded by wish; nil unless its instance runs
}

// volumeRecord is what is kept on disk of a volume.
type volumeRecord struct {
	Bytes              int64
	InstanceID, Device string `json:",omitempty"`
}

func (v *volume) content() string { return filepath.Join(volumeDir, v.id+".img") }
func (v *volume) path() string    { return filepath.Join(volumeDir, v.id+".json") }

func busy(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, driver.ErrBusy)...)
}

// loadVolumes finds what an earlier keeper left. What has no record was being
// made or removed.
func (k *keeper) loadVolumes() error {
	for _, dir := range []string{volumeDir, snapshotDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			id, whole := strings.CutSuffix(entry.Name(), ".json")
			if !whole {
				if _, err := os.Lstat(filepath.Join(dir, strings.TrimSuffix(entry.Name(), ".img")+".json")); err != nil {
					os.Remove(filepath.Join(dir, entry.Name()))
				}
				continue
			}
			if dir == volumeDir {
				v := &volume{id: id}
				err = readJSON(v.path(), &v.record)
				k.volumes[id] = v
			} else {
				s := &snapshot{over: closedChannel}
				err = readJSON(filepath.Join(dir, entry.Name()), &s.record)
				k.snapshots[id] = s
			}
			if err != nil {
				return fmt.Errorf("reading %s: %w", entry.Name(), err)
			}
		}
	}
	for _, v := range k.volumes {
		if v.record.InstanceID != "" && k.instances[v.record.InstanceID] == nil {
			v.record.InstanceID, v.record.Device = "", ""
			if err := writeJSON(v.path(), v.record); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *keeper) findVolume(id string) (*volume, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v := k.volumes[id]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("volume %s: %w", id, driver.ErrNotFound)
}

// withVolume carries out a wish about one that exists.
func (k *keeper) withVolume(id string, do func(*volume) error) error {
	v, err := k.findVolume(id)
	if err != nil {
		return err
	}
	v.wish.Lock()
	defer v.wish.Unlock()
	if v.gone {
		return fmt.Errorf("volume %s: %w", id, driver.ErrNotFound)
	}
	return do(v)
}

// keep writes a new record of a volume.
func (k *keeper) keep(v *volume, record volumeRecord) error {
	if err := writeJSON(v.path(), record); err != nil {
		return err
	}
	k.mu.Lock()
	v.record = record
	k.mu.Unlock()
	return nil
}

func (k *keeper) createVolume(id string, bytes int64, snapshotID string) error {
	if k.noVolumes != "" {
		return driver.Errorf(driver.CodeInvalid, "%s", k.noVolumes)
	}
	if !driver.ValidID(id) || bytes <= 0 {
		return driver.Errorf(driver.CodeInvalid, "A volume %q of %d bytes cannot be made.", id, bytes)
	}
	v := &volume{id: id, record: volumeRecord{Bytes: bytes}}
	v.wish.Lock()
	defer v.wish.Unlock()
	k.mu.Lock()
	if other := k.volumes[id]; other != nil {
		k.mu.Unlock()
		other.wish.Lock() // if it is being made, the answer waits for that
		defer other.wish.Unlock()
		if other.gone {
			return driver.Errorf(driver.CodeInternal, "Volume %s was deleted meanwhile, or could not be made.", id)
		}
		return nil
	}
	k.volumes[id] = v
	k.mu.Unlock()
	err := k.fill(v, snapshotID)
	if err == nil {
		err = writeJSON(v.path(), v.record)
	}
	if err != nil {
		k.drop(v)
		return explain("Making volume "+id, err)
	}
	return nil
}

// fill makes the content of a new volume.
func (k *keeper) fill(v *volume, snapshotID string) error {
	out, err := os.OpenFile(v.content(), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if snapshotID != "" {
		k.mu.Lock()
		s := k.snapshots[snapshotID]
		k.mu.Unlock()
		if s == nil {
			return driver.Errorf(driver.CodeImage, "The content of snapshot %s is not on this host.", snapshotID)
		}
		<-s.over
		in, err := os.Open(snapshotContent(snapshotID))
		if err != nil {
			return driver.Errorf(driver.CodeImage, "The content of snapshot %s is not on this host.", snapshotID)
		}
		defer in.Close()
		if s.record.Bytes > v.record.Bytes {
			return driver.Errorf(driver.CodeInvalid, "Volume %s would be smaller than snapshot %s.", v.id, snapshotID)
		}
		if !share(out, in) {
			if err := copySparse(out, in, noDeadline); err != nil {
				return err
			}
		}
	}
	return out.Truncate(v.record.Bytes)
}

// drop removes every trace of a volume. The caller holds wish.
func (k *keeper) drop(v *volume) {
	v.gone = true
	os.Remove(v.path()) // the record goes first: without it, a new keeper clears the rest away
	os.Remove(v.content())
	k.mu.Lock()
	delete(k.volumes, v.id)
	k.mu.Unlock()
}

func (k *keeper) deleteVolume(id string) error {
	err := k.withVolume(id, func(v *volume) error {
		if v.record.InstanceID != "" {
			return busy("volume %s is attached to %s", id, v.record.InstanceID)
		}
		k.drop(v)
		return nil
	})
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	return err
}

func (k *keeper) attachVolume(id, instanceID, device string) error {
	if driver.DeviceNames(device) == nil {
		return driver.Errorf(driver.CodeInvalid, "%q is no device name that a volume can have.", device)
	}
	return k.withInstance(instanceID, func(i *instance) error {
		return k.withVolume(id, func(v *volume) error {
			if err := k.assign(v, i, device); err != nil {
				return err
			}
			b := k.current(i)
			if b == nil || v.loop != nil {
				return nil // it gets its device when the instance boots
			}
			err := v.open()
			if err == nil {
				err = b.guest.within(func() error { return v.makeNodes() })
			}
			if err != nil {
				v.close()
				k.keep(v, volumeRecord{Bytes: v.record.Bytes})
				return explain("Attaching "+id, err)
			}
			return nil
		})
	})
}

// assign notes that a volume belongs to an instance from now on. The caller
// holds both wishes.
func (k *keeper) assign(v *volume, i *instance, device string) error {
	switch {
	case v.record.InstanceID == i.id && v.record.Device == device:
		return nil
	case v.record.InstanceID != "":
		return busy("volume %s is attached to %s as %s", v.id, v.record.InstanceID, v.record.Device)
	}
	for _, other := range k.volumesOf(i) {
		if slices.Contains(driver.DeviceNames(device), driver.DeviceNames(other.record.Device)[0]) {
			return busy("%s of %s is volume %s", device, i.id, other.id)
		}
	}
	return k.keep(v, volumeRecord{Bytes: v.record.Bytes, InstanceID: i.id, Device: device})
}

// volumesOf lists the volumes of an instance in order of ID.
func (k *keeper) volumesOf(i *instance) []*volume {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []*volume
	for _, v := range k.volumes {
		if v.record.InstanceID == i.id {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b *volume) int { return cmp.Compare(a.id, b.id) })
	return all
}

// takeVolumes assigns those that the spec names, and opens all of the
// instance's before it boots. The caller holds the instance's wish.
func (k *keeper) takeVolumes(i *instance) (nodes []node, err error) {
	for _, a := range i.record.Spec.Volumes {
		if driver.DeviceNames(a.Device) == nil {
			return nil, driver.Errorf(driver.CodeInvalid, "%q is no device name that a volume can have.", a.Device)
		}
		if err := k.withVolume(a.VolumeID, func(v *volume) error { return k.assign(v, i, a.Device) }); err != nil {
			return nil, err
		}
	}
	for _, v := range k.volumesOf(i) {
		v.wish.Lock()
		err := v.open()
		if err == nil {
			nodes = append(nodes, v.nodes()...)
		}
		v.wish.Unlock()
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", v.id, err)
		}
	}
	return nodes, nil
}

// leaveVolumes closes the devices of an instance that does not run any more.
func (k *keeper) leaveVolumes(i *instance) {
	for _, v := range k.volumesOf(i) {
		v.wish.Lock()
		v.close()
		v.wish.Unlock()
	}
}

// freeVolumes detaches all of an instance that is no more.
func (k *keeper) freeVolumes(i *instance) {
	for _, v := range k.volumesOf(i) {
		v.wish.Lock()
		v.close()
		if err := k.keep(v, volumeRecord{Bytes: v.record.Bytes}); err != nil {
			k.log("detaching %s of %s: %v", v.id, i.id, err)
		}
		v.wish.Unlock()
	}
}

func (k *keeper) detachVolume(id, instanceID string, force bool) error {
	i := k.find(instanceID)
	if i == nil {
		return nil // termination detaches
	}
	i.wish.Lock()
	defer i.wish.Unlock()
	err := k.withVolume(id, func(v *volume) error {
		if v.record.InstanceID != instanceID {
			return nil
		}
		if b := k.current(i); b != nil && v.loop != nil {
			if err := k.unplug(b, v, force); err != nil {
				return err
			}
		}
		v.close()
		return k.keep(v, volumeRecord{Bytes: v.record.Bytes})
	})
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	return err
}

// unplug takes the device from a running instance.
func (k *keeper) unplug(b *boot, v *volume, force bool) error {
	if force {
		b.mounts.shutDown(b, v)
	}
	if v.loop.claimed() {
		return busy("volume %s is mounted or held in %s", v.id, v.record.InstanceID)
	}
	if err := b.guest.within(func() error { return v.removeNodes() }); err != nil && !errors.Is(err, errGone) {
		return explain("Detaching "+v.id, err)
	}
	if held := v.loop.holders(); len(held) > 0 { // opened as a plain device
		if !force {
			b.guest.within(func() error { return v.makeNodes() })
			return busy("volume %s is open in %s", v.id, v.record.InstanceID)
		}
		kill(held)
		if !v.loop.unheld() {
			return busy("volume %s does not come free", v.id)
		}
	}
	return v.loop.flush()
}

func (k *keeper) resizeVolume(id string, bytes int64) error {
	return k.withVolume(id, func(v *volume) error {
		if bytes < v.record.Bytes {
			return driver.Errorf(driver.CodeInvalid, "Volume %s cannot shrink from %d to %d bytes.", id, v.record.Bytes, bytes)
		}
		if err := os.Truncate(v.content(), bytes); err != nil {
			return explain("Resizing "+id, err)
		}
		if v.loop != nil {
			if err := v.loop.grow(); err != nil {
				return explain("Resizing "+id, err)
			}
		}
		record := v.record
		record.Bytes = bytes
		return k.keep(v, record)
	})
}

// resetVolumes removes all volumes and snapshots; no instance is left.
func (k *keeper) resetVolumes() {
	k.mu.Lock()
	var volumes []*volume
	for _, v := range k.volumes {
		volumes = append(volumes, v)
	}
	var snapshots []string
	for id := range k.snapshots {
		snapshots = append(snapshots, id)
	}
	k.mu.Unlock()
	for _, v := range volumes {
		v.wish.Lock()
		v.close()
		if !v.gone {
			k.drop(v)
		}
		v.wish.Unlock()
	}
	for _, id := range snapshots {
		k.deleteSnapshot(id)
	}
}

// inventoryVolumes lists what is complete, in order of ID. The caller holds mu.
func (k *keeper) inventoryVolumes(all *driver.Inventory) {
	for id, v := range k.volumes {
		if _, err := os.Lstat(v.path()); errors.Is(err, fs.ErrNotExist) {
			continue // it is being made
		}
		all.Volumes = append(all.Volumes, driver.Volume{ID: id, Bytes: v.record.Bytes, InstanceID: v.record.InstanceID, Device: v.record.Device})
	}
	for id, s := range k.snapshots {
		all.Snapshots = append(all.Snapshots, driver.Snapshot{ID: id, Pending: !s.complete(), Bytes: s.record.Bytes})
	}
	slices.SortFunc(all.Volumes, func(a, b driver.Volume) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(all.Snapshots, func(a, b driver.Snapshot) int { return cmp.Compare(a.ID, b.ID) })
}

// open gives the volume a device. The caller holds wish.
func (v *volume) open() (err error) {
	if v.loop == nil {
		v.loop, err = openLoop(v.content())
	}
	return err
}

// close takes its device away; the kernel writes back what is dirty.
func (v *volume) close() {
	if v.loop != nil {
		v.loop.close()
		v.loop = nil
	}
}

// node is a device file of a guest.
type node struct {
	name string // below /dev
	dev  uint64
}

const nodeMode = unix.S_IFBLK | 0o660

// nodes are the names that a guest finds the volume under: the one asked for,
// the other usual one, and the kernel's, which is what /proc and /sys show.
func (v *volume) nodes() (all []node) {
	dev := unix.Mkdev(loopMajor, uint32(v.loop.minor))
	for _, name := range append(driver.DeviceNames(v.record.Device), fmt.Sprint("loop", v.loop.minor)) {
		all = append(all, node{name, dev})
	}
	return all
}

// makeNodes is run inside the guest's mount namespace.
func (v *volume) makeNodes() error {
	for _, n := range v.nodes() {
		path := "/dev/" + n.name
		unix.Unlink(path)
		if err := unix.Mknod(path, nodeMode, int(n.dev)); err != nil {
			return fmt.Errorf("making %s: %w", path, err)
		}
	}
	return nil
}

func (v *volume) removeNodes() error {
	for _, n := range v.nodes() {
		var st unix.Stat_t
		path := "/dev/" + n.name
		if unix.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK && st.Rdev == n.dev {
			if err := unix.Unlink(path); err != nil {
				return err
			}
		}
	}
	return nil
}
