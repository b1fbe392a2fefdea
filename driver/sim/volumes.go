package sim

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/driver"
)

// NoVolumes implements driver.Driver: records of volumes can always be had.
func (d *Driver) NoVolumes() string { return "" }

func noVolume(id string) error { return fmt.Errorf("volume %s: %w", id, driver.ErrNotFound) }

func busy(v driver.Volume) error {
	return fmt.Errorf("volume %s is attached to %s as %s: %w", v.ID, v.InstanceID, v.Device, driver.ErrBusy)
}

// putVolume writes a volume's record. The caller holds mu.
func (d *Driver) putVolume(v driver.Volume) error {
	l := &line{ID: v.ID, Volume: &v}
	if err := d.save(l); err != nil {
		return err
	}
	d.volumes[v.ID] = l
	return nil
}

// CreateVolume implements driver.Driver.
func (d *Driver) CreateVolume(ctx context.Context, id string, bytes int64, snapshotID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !driver.ValidID(id) || bytes <= 0:
		return driver.Errorf(driver.CodeInvalid, "A volume %q of %d bytes cannot be made.", id, bytes)
	case d.volumes[id] != nil:
		return nil
	case snapshotID != "" && d.snapshots[snapshotID] == nil:
		return driver.Errorf(driver.CodeImage, "The content of snapshot %s is not on this host.", snapshotID)
	case snapshotID != "" && d.snapshots[snapshotID].Snapshot.Bytes > bytes:
		return driver.Errorf(driver.CodeInvalid, "Volume %s would be smaller than snapshot %s.", id, snapshotID)
	}
	return d.putVolume(driver.Volume{ID: id, Bytes: bytes})
}

// DeleteVolume implements driver.Driver.
func (d *Driver) DeleteVolume(ctx context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.volumes[id]
	switch {
	case l == nil:
		return nil
	case l.Volume.InstanceID != "":
		return busy(*l.Volume)
	}
	if err := d.save(&line{ID: id, Volume: l.Volume, Gone: true}); err != nil {
		return err
	}
	delete(d.volumes, id)
	return nil
}

// AttachVolume implements driver.Driver.
func (d *Driver) AttachVolume(ctx context.Context, id, instanceID, device string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.instances[instanceID] == nil {
		return notFound(instanceID)
	}
	return d.attach(id, instanceID, device)
}

// attach is AttachVolume for an instance that may be about to be. The caller holds mu.
func (d *Driver) attach(id, instanceID, device string) error {
	names := driver.DeviceNames(device)
	if names == nil {
		return driver.Errorf(driver.CodeInvalid, "%q is no device name that a volume can have.", device)
	}
	l := d.volumes[id]
	if l == nil {
		return noVolume(id)
	}
	v := *l.Volume
	switch {
	case v.InstanceID == instanceID && v.Device == device:
		return nil
	case v.InstanceID != "":
		return busy(v)
	}
	for _, other := range d.volumes {
		if other.Volume.InstanceID == instanceID && slices.Contains(names, driver.DeviceNames(other.Volume.Device)[0]) {
			return busy(*other.Volume)
		}
	}
	v.InstanceID, v.Device = instanceID, device
	return d.putVolume(v)
}

// DetachVolume implements driver.Driver: nothing is ever mounted.
func (d *Driver) DetachVolume(ctx context.Context, id, instanceID string, force bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.volumes[id]
	if l == nil || l.Volume.InstanceID != instanceID {
		return nil
	}
	return d.putVolume(driver.Volume{ID: id, Bytes: l.Volume.Bytes})
}

// detachAll frees the volumes of an instance that ends. The caller holds mu.
func (d *Driver) detachAll(instanceID string) error {
	for _, id := range slices.Sorted(maps.Keys(d.volumes)) {
		if v := d.volumes[id].Volume; v.InstanceID == instanceID {
			if err := d.putVolume(driver.Volume{ID: id, Bytes: v.Bytes}); err != nil {
				return err
			}
		}
	}
	return nil
}

// ResizeVolume implements driver.Driver.
func (d *Driver) ResizeVolume(ctx context.Context, id string, bytes int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.volumes[id]
	switch {
	case l == nil:
		return noVolume(id)
	case bytes < l.Volume.Bytes:
		return driver.Errorf(driver.CodeInvalid, "Volume %s cannot shrink from %d to %d bytes.", id, l.Volume.Bytes, bytes)
	}
	v := *l.Volume
	v.Bytes = bytes
	return d.putVolume(v)
}

// CreateSnapshot implements driver.Driver.
func (d *Driver) CreateSnapshot(ctx context.Context, id, volumeID string, taken func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !driver.ValidID(id):
		return driver.Errorf(driver.CodeInvalid, "%q is not a valid snapshot ID.", id)
	case d.snapshots[id] != nil:
		taken()
		return nil
	case d.volumes[volumeID] == nil:
		return noVolume(volumeID)
	}
	taken()
	l := &line{ID: id, Snapshot: &driver.Snapshot{ID: id, Bytes: d.volumes[volumeID].Volume.Bytes}}
	if err := d.save(l); err != nil {
		return err
	}
	d.snapshots[id] = l
	return nil
}

// DeleteSnapshot implements driver.Driver.
func (d *Driver) DeleteSnapshot(ctx context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.snapshots[id]
	if l == nil {
		return nil
	}
	if err := d.save(&line{ID: id, Snapshot: l.Snapshot, Gone: true}); err != nil {
		return err
	}
	delete(d.snapshots, id)
	return nil
}

// ImportImage implements driver.Driver: the content is looked at and thrown away.
func (d *Driver) ImportImage(ctx context.Context, imageID string, config driver.ImageConfig, archive io.Reader) error {
	if !driver.ValidID(imageID) {
		return driver.Errorf(driver.CodeInvalid, "%q is not a valid image ID.", imageID)
	}
	if err := looked(tar.NewReader(archive)); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	l := &line{ID: imageID, Image: true}
	if err := d.save(l); err != nil {
		return err
	}
	d.images[imageID] = l
	return nil
}

// looked refuses what a real host would refuse, as far as names and sizes tell.
func looked(r *tar.Reader) error {
	size, entries := int64(0), 0
	links := map[string]bool{}
	for {
		h, err := r.Next()
		if err == io.EOF && entries > 0 {
			return nil
		}
		if err != nil {
			return driver.Errorf(driver.CodeInvalid, "The archive cannot be read, or is empty: %v.", err)
		}
		entries, size = entries+1, size+h.Size
		name, through := strings.Trim(h.Name, "/"), false
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			through = through || links[dir]
		}
		links[name] = h.Typeflag == tar.TypeSymlink && (path.IsAbs(h.Linkname) || strings.HasPrefix(path.Join(path.Dir(name), h.Linkname), ".."))
		switch {
		case slices.Contains(strings.Split(h.Name, "/"), ".."), h.Typeflag == tar.TypeLink && slices.Contains(strings.Split(h.Linkname, "/"), ".."), through:
			return driver.Errorf(driver.CodeInvalid, "%q points out of the root file system.", h.Name)
		case h.Typeflag == tar.TypeBlock, h.Typeflag == tar.TypeChar, h.Typeflag == tar.TypeFifo:
			return driver.Errorf(driver.CodeInvalid, "%s is a device node or a pipe.", h.Name)
		case size > driver.ImportLimit, entries > driver.ImportEntries:
			return driver.Errorf(driver.CodeInvalid, "The archive unpacks to more than %d GiB or %d files.", driver.ImportLimit>>30, driver.ImportEntries)
		}
	}
}

func (d *Driver) inventoryVolumes(all *driver.Inventory) {
	for _, id := range slices.Sorted(maps.Keys(d.volumes)) {
		all.Volumes = append(all.Volumes, *d.volumes[id].Volume)
	}
	for _, id := range slices.Sorted(maps.Keys(d.snapshots)) {
		all.Snapshots = append(all.Snapshots, *d.snapshots[id].Snapshot)
	}
}
