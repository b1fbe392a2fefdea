package ec2

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// Volume is a block device of an instance, listed by DescribeVolumes too. Only the root volume exists in the world.
type Volume struct {
	Device              string
	ID                  string
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
		if !strings.HasPrefix(d.Device, "/dev/") && !strings.HasPrefix(d.Device, "xvd") && !strings.HasPrefix(d.Device, "sd") {
			return api.Errorf("InvalidBlockDeviceMapping", "Invalid device name %s", d.Device)
		}
		if d.Size < 0 || d.Size > 16384 {
			return api.Errorf("InvalidParameterValue", "The volume size must be at least 1 GiB and at most 16384 GiB.")
		}
		for _, other := range all[:n] {
			if other.Device == d.Device {
				return api.Errorf("InvalidBlockDeviceMapping", "Duplicate device name %s", d.Device)
			}
		}
		if d.VirtualName != "" && !strings.HasPrefix(d.VirtualName, "ephemeral") {
			return api.Errorf("InvalidParameterValue", "Value (%s) for parameter virtualName is invalid. Expected format: 'ephemeralNUMBER'.", d.VirtualName)
		}
	}
	return nil
}

// volumes makes the block devices of a new instance: those of the image, changed and added to by those of the request.
func (s *Service) volumes(tx *cloud.Tx, p plan) []Volume {
	all := []Volume{{Device: p.image.RootDevice, SnapshotID: p.image.SnapshotID, Type: "gp3", Size: p.image.Size, DeleteOnTermination: true}}
	for _, d := range append(slices.Clone(p.image.Devices), p.BlockDevices...) {
		at := slices.IndexFunc(all, func(v Volume) bool { return v.Device == d.Device })
		switch {
		case d.VirtualName != "" || d.NoDevice && at <= 0: // no instance store here, and a root volume there must be
			continue
		case d.NoDevice:
			all = slices.Delete(all, at, at+1)
			continue
		case at < 0:
			at = len(all)
			all = append(all, Volume{Device: d.Device, Type: "gp2", Size: 8}) // EC-IN-04: added volumes are kept
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
		all[n].ID, all[n].Attached = tx.ID("vol-"), tx.Now().Truncate(time.Second)
		if all[n].Type == "gp3" && all[n].Iops == 0 {
			all[n].Iops, all[n].Throughput = 3000, 125
		}
	}
	return all
}

// attached is a volume with the instance that it is on.
type attached struct {
	Volume
	instance Instance
}

var volumeFields = fields[attached]{
	"volume-id":                        func(_ *cloud.Tx, v attached) []string { return one(v.ID) },
	"size":                             func(_ *cloud.Tx, v attached) []string { return one(strconv.Itoa(v.Size)) },
	"snapshot-id":                      func(_ *cloud.Tx, v attached) []string { return one(v.SnapshotID) },
	"volume-type":                      func(_ *cloud.Tx, v attached) []string { return one(v.Type) },
	"encrypted":                        func(_ *cloud.Tx, v attached) []string { return yes(v.Encrypted) },
	"status":                           func(*cloud.Tx, attached) []string { return one("in-use") },
	"availability-zone":                func(_ *cloud.Tx, v attached) []string { return one(v.instance.Zone) },
	"create-time":                      func(_ *cloud.Tx, v attached) []string { return stamp(v.Attached) },
	"attachment.instance-id":           func(_ *cloud.Tx, v attached) []string { return one(v.instance.ID) },
	"attachment.device":                func(_ *cloud.Tx, v attached) []string { return one(v.Device) },
	"attachment.status":                func(*cloud.Tx, attached) []string { return one("attached") },
	"attachment.delete-on-termination": func(_ *cloud.Tx, v attached) []string { return yes(v.DeleteOnTermination) },
}

// DescribeVolumes lists the volumes of instances.
func (s *Service) DescribeVolumes(tx *cloud.Tx, in *shape.DescribeVolumesInput) (*shape.DescribeVolumesOutput, error) {
	id := func(v attached) string { return v.ID }
	match, err := matcher(s, volumeFields, id, in.Filters)
	if err != nil {
		return nil, err
	}
	var found []attached
	add := func(i Instance) {
		for _, v := range i.Volumes {
			if a := (attached{v, i}); (len(in.VolumeIds) == 0 || slices.Contains(in.VolumeIds, v.ID)) && match(tx, a) {
				found = append(found, a)
			}
		}
	}
	for _, id := range in.VolumeIds {
		there := false
		for _, i := range s.parts.Each(tx, id) {
			there = true
			if !slices.ContainsFunc(found, func(a attached) bool { return a.instance.ID == i.ID }) {
				add(i)
			}
		}
		if !there {
			return nil, api.Errorf("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
		}
	}
	if len(in.VolumeIds) == 0 {
		for _, i := range s.instances.All(tx) {
			add(i)
		}
	}
	slices.SortFunc(found, func(a, b attached) int { return strings.Compare(a.ID, b.ID) })
	found, next := pageOf(found, id, in.MaxResults, in.NextToken)
	out := &shape.DescribeVolumesOutput{NextToken: next}
	for _, v := range found {
		out.Volumes = append(out.Volumes, shape.Volume{
			VolumeId: new(v.ID), Size: new(int32(v.Size)), SnapshotId: new(v.SnapshotID), VolumeType: new(v.Type), State: new("in-use"),
			Encrypted: new(v.Encrypted), AvailabilityZone: new(v.instance.Zone), AvailabilityZoneId: new(ZoneID(v.instance.Zone)),
			CreateTime: new(v.Attached), Iops: optional(int32(v.Iops)), Throughput: optional(int32(v.Throughput)), MultiAttachEnabled: new(false),
			Tags: tagShapes(s.Tags(tx, v.ID)),
			Attachments: []shape.VolumeAttachment{{
				VolumeId: new(v.ID), InstanceId: new(v.instance.ID), Device: new(v.Device), State: new("attached"), AttachTime: new(v.Attached),
				DeleteOnTermination: new(v.DeleteOnTermination),
			}},
		})
	}
	return out, nil
}
