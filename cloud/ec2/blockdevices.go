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
	KmsKeyID            string `json:",omitempty"`
	DeleteOnTermination bool
	Attached            time.Time
	Modification        *Modification `json:",omitempty"` // the last one of a root; nobody changes it
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
	KmsKeyID            string `json:",omitempty"`
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
			d.KmsKeyID = api.Value(e.KmsKeyId)
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
		Throughput: optional(int32(d.Throughput)), Encrypted: new(d.Encrypted), KmsKeyId: optional(d.KmsKeyID),
		DeleteOnTermination: d.DeleteOnTermination,
	}
	return m
}

func checkDevices(all []BlockDevice) error {
	for n, d := range all {
		if d.VirtualName == "" && !d.NoDevice && !deviceName.MatchString(d.Device) {
			return api.Errorf("InvalidBlockDeviceMapping", "Invalid device name %s", d.Device)
		}
		if d.Size < 0 {
			return api.Errorf("InvalidParameterValue", "Volume of %dGiB is too small.", d.Size)
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

// over gives a device with what a request says of it laid over what it would be.
func (d Device) over(asked BlockDevice) Device {
	if asked.Type != "" && asked.Type != d.Type { // the speeds were those of the other type
		d.Type, d.Iops, d.Throughput = asked.Type, 0, 0
	}
	d.SnapshotID, d.Size = cmp.Or(asked.SnapshotID, d.SnapshotID), cmp.Or(asked.Size, d.Size)
	d.Iops, d.Throughput = cmp.Or(asked.Iops, d.Iops), cmp.Or(asked.Throughput, d.Throughput)
	d.Encrypted, d.KmsKeyID = d.Encrypted || asked.Encrypted, cmp.Or(asked.KmsKeyID, d.KmsKeyID)
	if asked.DeleteOnTermination != nil {
		d.DeleteOnTermination = *asked.DeleteOnTermination
	}
	return d
}

// blockDevice is what an image or a template says of a device like this one.
func (d Device) blockDevice() BlockDevice {
	b := BlockDevice{
		Device: d.Device, SnapshotID: d.SnapshotID, Type: d.Type, Size: d.Size, Iops: d.Iops, Throughput: d.Throughput, Encrypted: d.Encrypted,
		KmsKeyID: d.KmsKeyID, DeleteOnTermination: new(d.DeleteOnTermination),
	}
	if t := volumeTypes[d.Type]; t.mostIops == 0 { // it has them by itself
		b.Iops = 0
	}
	return b
}

// blockDevices gives what a new instance shall have: the devices of the image, changed and added to by those of the
// request. The first is the root.
func (p plan) blockDevices() []Device {
	all := []Device{Device{Device: p.image.RootDevice}.over(p.image.root())}
	for _, d := range append(slices.Clone(p.image.Devices), p.BlockDevices...) {
		at := slices.IndexFunc(all, func(v Device) bool { return sameDevice(v.Device, d.Device) })
		switch {
		case d.VirtualName != "" || d.NoDevice && at <= 0: // no instance store here, and a root volume there must be
		case d.NoDevice:
			all = slices.Delete(all, at, at+1)
		case at < 0:
			all = append(all, Device{Device: d.Device, Type: "gp2"}.over(d)) // EC-IN-04: added volumes are kept
		default:
			all[at] = all[at].over(d)
		}
	}
	return all
}

// findDevices checks the volumes of a request, and looks up what they are made of.
func (p *plan) findDevices(s *Service, tx *cloud.Tx) error {
	if err := checkDevices(p.BlockDevices); err != nil {
		return err
	}
	p.devices = p.blockDevices()
	p.sources = make([]Snapshot, len(p.devices))
	for n := range p.devices {
		if err := p.findDevice(s, tx, n); err != nil {
			return err
		}
	}
	if len(p.devices) > attachmentLimit {
		return api.Errorf("AttachmentLimitExceeded", "The instance would have %d volumes; the limit is %d.", len(p.devices), attachmentLimit)
	}
	return nil
}

// findDevice does so for one of them; the first is the root, whose content is the image's.
func (p *plan) findDevice(s *Service, tx *cloud.Tx, n int) (err error) {
	d, source := &p.devices[n], &p.sources[n]
	switch *source = p.image.snapshot(); {
	case n == 0 && d.SnapshotID != source.ID:
		return api.Errorf("InvalidBlockDeviceMapping", "snapshotId cannot be modified on root device")
	case n == 0:
	case s.options.NoVolumes != "":
		return api.Errorf("UnsupportedOperation", "%s", s.options.NoVolumes)
	case p.image.hasSnapshot(d.SnapshotID): // whoever may launch the image may have its volumes
		_, found, known := s.snapshotIDs.Find(d.SnapshotID)
		if !known || found.State == snapshotDeleted { // it was another account's
			return noSnapshot(d.SnapshotID)
		}
		*source = found
	default:
		if *source, err = s.volumeSource(tx, d.SnapshotID); err != nil {
			return err
		}
	}
	switch {
	case d.Size == 0 && source.ID == "":
		return api.Errorf("MissingParameter", "The request must contain the parameter size or snapshotId")
	case d.Size == 0:
		d.Size = source.Size
	case d.Size < source.Size: // EC-VO-03
		return api.Errorf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB", d.Size, source.ID, source.Size)
	}
	m := Measure{d.Type, d.Size, d.Iops, d.Throughput}
	if err := m.check(); err != nil {
		return err
	}
	d.Iops, d.Throughput = m.Iops, m.Throughput
	d.Encrypted, d.KmsKeyID, err = encryption(tx, d.Encrypted, d.KmsKeyID, *source)
	return err
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
			Iops: d.Iops, Throughput: d.Throughput, Encrypted: d.Encrypted, KmsKeyID: d.KmsKeyID, SnapshotContent: p.sources[n].Content,
			Attachment: Attachment{InstanceID: instance, Device: d.Device, State: attaching, Since: now, DeleteOnTermination: d.DeleteOnTermination},
		}
		s.volumes.Put(tx, v.ID, v)
		*d = v.device()
	}
	return all
}
