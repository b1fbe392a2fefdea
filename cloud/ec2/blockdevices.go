package ec2

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// Device is a block device of an instance. The root is only here: its content is the instance's own disk. The others show
// what their volumes' rows say, and are kept in step with them by putVolume.
type Device struct {
	Device              string
	ID                  string
	Status              string // of the attachment; empty is attached
	SnapshotID          string
	Type                string
	Size                int // GiB
	Iops, Throughput    int
	Encrypted           bool
	DeleteOnTermination bool
	Attached            time.Time
}

// BlockDevice is a block device mapping of an image, a template or a request.
type BlockDevice struct {
	Device              string
	NoDevice            bool
	VirtualName         string
	SnapshotID          string
	Type                string
	Size                int
	Iops, Throughput    int
	Encrypted           bool
	DeleteOnTermination *bool
}

// devices reads block device mappings.
func devices(in []shape.BlockDeviceMapping) []BlockDevice {
	var all []BlockDevice
	for _, m := range in {
		d := BlockDevice{Device: api.Value(m.DeviceName), NoDevice: m.NoDevice != nil, VirtualName: api.Value(m.VirtualName)}
		if e := m.Ebs; e != nil {
			d.SnapshotID, d.Type, d.Size, d.Iops = api.Value(e.SnapshotId), api.Value(e.VolumeType), int(api.Value(e.VolumeSize)), int(api.Value(e.Iops))
			d.Throughput, d.Encrypted, d.DeleteOnTermination = int(api.Value(e.Throughput)), api.Value(e.Encrypted), e.DeleteOnTermination
		}
		all = append(all, d)
	}
	return all
}

func (d BlockDevice) shape() shape.BlockDeviceMapping {
	m := shape.BlockDeviceMapping{DeviceName: new(d.Device), VirtualName: optional(d.VirtualName)}
	if d.NoDevice {
		m.NoDevice = new("")
		return m
	}
	m.Ebs = &shape.EbsBlockDevice{
		SnapshotId: optional(d.SnapshotID), VolumeType: optional(d.Type), VolumeSize: optional(int32(d.Size)), Iops: optional(int32(d.Iops)),
		Throughput: optional(int32(d.Throughput)), Encrypted: new(d.Encrypted), DeleteOnTermination: d.DeleteOnTermination,
	}
	return m
}

func checkDevices(all []BlockDevice) error {
	for n, d := range all {
		if d.VirtualName == "" && !d.NoDevice && !deviceName.MatchString(d.Device) {
			return api.Errorf("InvalidBlockDeviceMapping", "Invalid device name %s", d.Device)
		}
		if d.Size < 0 || d.Size > 16384 {
			return api.Errorf("InvalidParameterValue", "The volume size must be at least 1 GiB and at most 16384 GiB.")
		}
		for _, other := range all[:n] {
			if sameDevice(other.Device, d.Device) {
				return api.Errorf("InvalidBlockDeviceMapping", "Duplicate device name %s", d.Device)
			}
		}
		if d.VirtualName != "" && !strings.HasPrefix(d.VirtualName, "ephemeral") {
			return api.Errorf("InvalidParameterValue", "Value (%s) for parameter virtualName is invalid. Expected format: 'ephemeralNUMBER'.", d.VirtualName)
		}
	}
	return nil
}

// blockDevices gives what a new instance shall have: the devices of the image, changed and added to by those of the
// request. The first is the root.
func (p plan) blockDevices() []Device {
	all := []Device{{Device: p.image.RootDevice, SnapshotID: p.image.SnapshotID, Type: "gp3", Size: p.image.Size, DeleteOnTermination: true}}
	for _, d := range append(slices.Clone(p.image.Devices), p.BlockDevices...) {
		at := slices.IndexFunc(all, func(v Device) bool { return sameDevice(v.Device, d.Device) })
		switch {
		case d.VirtualName != "" || d.NoDevice && at <= 0: // no instance store here, and a root volume there must be
			continue
		case d.NoDevice:
			all = slices.Delete(all, at, at+1)
			continue
		case at < 0:
			at = len(all)
			all = append(all, Device{Device: d.Device, Type: "gp2"}) // EC-IN-04: added volumes are kept
		}
		v := &all[at]
		v.SnapshotID, v.Type = cmp.Or(d.SnapshotID, v.SnapshotID), cmp.Or(d.Type, v.Type)
		v.Iops, v.Throughput, v.Encrypted = d.Iops, d.Throughput, d.Encrypted
		if d.Size > 0 {
			v.Size = d.Size
		}
		if d.DeleteOnTermination != nil {
			v.DeleteOnTermination = *d.DeleteOnTermination
		}
	}
	for n := range all {
		if all[n].Type == "gp3" && all[n].Iops == 0 {
			all[n].Iops, all[n].Throughput = 3000, 125
		}
	}
	return all
}

// findDevices checks the volumes of a request, but for the root.
func (p *plan) findDevices(s *Service, tx *cloud.Tx) error {
	if err := checkDevices(p.BlockDevices); err != nil {
		return err
	}
	p.devices = p.blockDevices()
	for n, d := range p.devices {
		if n == 0 {
			continue
		}
		if s.options.NoVolumes != "" {
			return api.Errorf("UnsupportedOperation", "%s", s.options.NoVolumes)
		}
		size, err := s.volumeSize(tx, d.SnapshotID, d.Size)
		if err != nil {
			return err
		}
		p.devices[n].Size = size
	}
	if len(p.devices) > attachmentLimit {
		return api.Errorf("AttachmentLimitExceeded", "The instance would have %d volumes; the limit is %d.", len(p.devices), attachmentLimit)
	}
	return nil
}

// makeDevices makes the block devices of a new instance: the root, which comes with it, and volumes, which are made and
// attached on the way to its launch.
func (s *Service) makeDevices(tx *cloud.Tx, p plan, instance, zone string) []Device {
	all := slices.Clone(p.devices)
	now := tx.Now().Truncate(time.Second)
	for n := range all {
		d := &all[n]
		d.ID, d.Attached = tx.ID("vol-"), now
		if n == 0 {
			continue
		}
		v := Volume{
			ID: d.ID, Zone: zone, State: volumeCreating, Created: now, Changed: tx.Now(), SnapshotID: d.SnapshotID, Type: d.Type, Size: d.Size,
			Iops: d.Iops, Throughput: d.Throughput, Encrypted: d.Encrypted, SnapshotContent: s.snapshotContent(tx, d.SnapshotID),
			Attachment: Attachment{InstanceID: instance, Device: d.Device, State: attaching, Since: now, DeleteOnTermination: d.DeleteOnTermination},
		}
		s.volumes.Put(tx, v.ID, v)
		*d = v.device()
	}
	return all
}
