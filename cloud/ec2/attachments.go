package ec2

import (
	"cmp"
	"regexp"
	"slices"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

var deviceName = regexp.MustCompile(`^(?:/dev/)?(?:sd|xvd)([a-z]{1,2}[0-9]{0,2})$`)

// sameDevice tells whether two names are of one attachment point: /dev/sdf is /dev/xvdf.
func sameDevice(a, b string) bool {
	x, y := deviceName.FindStringSubmatch(a), deviceName.FindStringSubmatch(b)
	return a == b || x != nil && y != nil && x[1] == y[1]
}

// AttachVolume gives a volume to an instance of its zone (EC-VO-02).
func (s *Service) AttachVolume(tx *cloud.Tx, in *shape.AttachVolumeInput) (*shape.AttachVolumeOutput, error) {
	v, _, err := s.volume(tx, api.Value(in.VolumeId))
	if err != nil {
		return nil, err
	}
	i, err := s.instance(tx, api.Value(in.InstanceId))
	if err != nil {
		return nil, err
	}
	device := api.Value(in.Device)
	switch {
	case v.Attachment.InstanceID != "":
		return nil, api.Errorf("VolumeInUse", "%s is already attached to an instance", v.ID)
	case v.State != volumeAvailable:
		return nil, api.Errorf("IncorrectState", "%s is not 'available'.", v.ID)
	case v.Wish != "":
		return nil, api.Errorf("IncorrectState", "%s is being modified.", v.ID)
	case i.State != Running && i.State != Stopped: // EC-VO-04
		return nil, api.Errorf("IncorrectState", "Instance '%s' is not 'running'.", i.ID)
	case v.Zone != i.Zone:
		return nil, api.Errorf("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", v.ID, i.ID)
	case !deviceName.MatchString(device):
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter device is invalid. %s is not a valid EBS device name.", device, device)
	case slices.ContainsFunc(i.Volumes, func(d Device) bool { return sameDevice(d.Device, device) }):
		return nil, api.Errorf("InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use", device, device)
	case len(i.Volumes) >= attachmentLimit:
		return nil, api.Errorf("AttachmentLimitExceeded", "The instance '%s' has %d volumes; that is the limit.", i.ID, attachmentLimit)
	}
	v.State = volumeInUse
	v.Attachment = Attachment{InstanceID: i.ID, Device: device, State: attaching, Since: tx.Now().Truncate(time.Millisecond)}
	s.ask(tx, v, wishAttach)
	return new(shape.AttachVolumeOutput(v.attachmentShape())), nil
}

// DetachVolume takes a volume from an instance; while it is mounted, it stays busy, unless Force (EC-VO-04).
func (s *Service) DetachVolume(tx *cloud.Tx, in *shape.DetachVolumeInput) (*shape.DetachVolumeOutput, error) {
	v, _, err := s.volume(tx, api.Value(in.VolumeId))
	if err != nil {
		return nil, err
	}
	a := v.Attachment
	switch {
	case a.InstanceID == "":
		return nil, api.Errorf("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, v.State)
	case in.InstanceId != nil && *in.InstanceId != a.InstanceID, in.Device != nil && !sameDevice(*in.Device, a.Device):
		return nil, api.Errorf("InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s' as device '%s'.", v.ID, cmp.Or(api.Value(in.InstanceId), a.InstanceID), cmp.Or(api.Value(in.Device), a.Device))
	case v.Root:
		return nil, api.Errorf("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", v.ID, a.InstanceID)
	case v.State == volumeCreating || v.Wish == wishResize:
		return nil, api.Errorf("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, cmp.Or(v.Modification.State, v.State))
	}
	kind := wishDetach
	if api.Value(in.Force) || v.Wish == wishForceDetach {
		kind = wishForceDetach
	}
	v.Attachment.State = detaching
	s.ask(tx, v, kind)
	return new(shape.DetachVolumeOutput(v.attachmentShape())), nil
}

// specVolumes are the volumes that an instance boots with, in order of device.
func (s *Service) specVolumes(tx *cloud.Tx, i Instance) []SpecVolume {
	var all []SpecVolume
	for n, d := range i.Volumes {
		v, ok := s.volumes.Get(tx, d.ID)
		if n == 0 || !ok || v.Attachment.State != attaching && v.Attachment.State != isOn {
			continue
		}
		all = append(all, SpecVolume{ID: v.ID, Device: d.Device, Bytes: int64(v.Size) * gibi, SnapshotID: v.SnapshotContent})
	}
	return all
}

// volumesSeenWith takes the fact that an instance has booted: its volumes are there.
func (s *Service) volumesSeenWith(tx *cloud.Tx, instance string) {
	i, _ := s.instances.Get(tx, instance)
	for n, d := range i.Volumes {
		if n > 0 {
			s.attached(tx, d.ID, instance)
		}
	}
}

func (s *Service) attached(tx *cloud.Tx, id, instance string) {
	v, ok := s.volumes.Get(tx, id)
	if !ok || v.Attachment.InstanceID != instance || v.Attachment.State != attaching {
		return
	}
	if v.State == volumeCreating { // by the launch of the instance
		s.tellVolume(tx, id, "createVolume", "available", "")
	}
	v.State, v.Attachment.State = volumeInUse, isOn
	s.settled(tx, v)
	s.tellVolume(tx, id, "attachVolume", "attached", "")
}

// created takes the fact that a volume that CreateVolume asked for is there.
func (s *Service) created(tx *cloud.Tx, v Volume) {
	v.State = volumeAvailable
	s.settled(tx, v)
	s.tellVolume(tx, v.ID, "createVolume", "available", "")
}

// detached takes the fact that a volume is free.
func (s *Service) detached(tx *cloud.Tx, v Volume) {
	v.State, v.Attachment = volumeAvailable, Attachment{}
	s.settled(tx, v)
}

// releaseVolumes sees to the volumes of an instance that has ended: those that end with it do (EC-IN-04), the others
// are available. What a launch that failed had not made yet is not kept either.
func (s *Service) releaseVolumes(tx *cloud.Tx, i *Instance) {
	for n, d := range i.Volumes {
		v, ok := s.volumes.Get(tx, d.ID)
		switch {
		case n == 0 || !ok:
			s.tags.Delete(tx, d.ID)
		case v.Attachment.DeleteOnTermination || v.State == volumeCreating:
			v.State, v.Attachment = volumeDeleting, Attachment{}
			s.ask(tx, v, wishDelete)
		case v.Wish == wishResize:
			v.State, v.Attachment = volumeAvailable, Attachment{}
			s.putVolume(tx, v)
		default:
			s.detached(tx, v)
		}
	}
}

// volumeSeen takes the facts about one volume.
func (s *Service) volumeSeen(tx *cloud.Tx, f cloud.Fact) {
	switch f := f.(type) {
	case VolumeCreated:
		s.onVolume(tx, f.ID, func(v Volume) {
			if v.State == volumeCreating && v.Wish == wishCreate {
				s.created(tx, v)
			}
		})
	case VolumeFailed:
		s.onVolume(tx, f.ID, func(v Volume) {
			if v.State == volumeCreating && v.Wish == wishCreate {
				v.State = volumeError
				s.settled(tx, v)
				s.tellVolume(tx, v.ID, "createVolume", "failed", f.Message)
			}
		})
	case VolumeAttached:
		s.onVolume(tx, f.ID, func(v Volume) { s.attached(tx, v.ID, f.InstanceID) })
	case AttachFailed:
		s.onVolume(tx, f.ID, func(v Volume) {
			if v.Attachment.InstanceID == f.InstanceID && v.Wish == wishAttach && v.Attachment.State == attaching {
				s.detached(tx, v)
				s.tellVolume(tx, v.ID, "attachVolume", "failed", f.Message)
			}
		})
	case VolumeDetached:
		s.onVolume(tx, f.ID, func(v Volume) {
			if v.Attachment.InstanceID == f.InstanceID && (v.Attachment.State == detaching || v.Attachment.State == isBusy) {
				s.detached(tx, v)
			}
		})
	case VolumeBusy:
		s.onVolume(tx, f.ID, func(v Volume) {
			if v.Attachment.InstanceID == f.InstanceID && v.Attachment.State == detaching {
				v.Attachment.State, v.Changed = isBusy, tx.Now()
				s.putVolume(tx, v)
			}
		})
	case VolumeResized:
		s.onVolume(tx, f.ID, func(v Volume) { s.resized(tx, v, f.Bytes) })
	case VolumeDeleted:
		s.onVolume(tx, f.ID, func(v Volume) {
			if v.State == volumeDeleting {
				s.dropVolume(tx, v)
			}
		})
	}
}

// onVolume runs f for a volume in its scope.
func (s *Service) onVolume(tx *cloud.Tx, id string, f func(Volume)) {
	if scope, v, ok := s.volumeIDs.Find(id); ok {
		tx.In(scope, func() { f(v) })
	}
}

// volumesSeen compares the host's volumes with the rows.
func (s *Service) volumesSeen(tx *cloud.Tx, f Inventory) {
	seen := make(map[string]SeenVolume, len(f.Volumes))
	for _, x := range f.Volumes {
		seen[x.ID] = x
		if _, _, known := s.volumeIDs.Find(x.ID); !known { // a zombie
			if x.InstanceID != "" {
				tx.Wish(DetachVolumeData{ID: x.ID, InstanceID: x.InstanceID, Force: true})
			}
			tx.Wish(DeleteVolumeData{ID: x.ID})
		}
	}
	for key, v := range s.volumes.Everywhere() {
		if v.Changed.Before(f.Began) {
			x, there := seen[v.ID]
			tx.In(key.Scope, func() { s.compareVolume(tx, v, x, there, f) })
		}
	}
}

// compareVolume brings one row and what was seen of it together.
func (s *Service) compareVolume(tx *cloud.Tx, v Volume, x SeenVolume, there bool, f Inventory) {
	again := func() {
		if v.Wish != "" && f.late(v.Wished) {
			s.ask(tx, v, v.Wish)
		}
	}
	a := v.Attachment
	switch {
	case v.State == volumeError:
	case v.State == volumeDeleting && !there:
		s.dropVolume(tx, v)
	case v.State == volumeDeleting:
		again()
	case v.State == volumeCreating && there && v.Wish == wishCreate:
		s.created(tx, v)
	case v.State == volumeCreating: // or the launch that makes it is under way
		again()
	case !there: // its content is gone
		v.State = volumeError
		s.settled(tx, v)
	case x.InstanceID != "" && x.InstanceID != a.InstanceID:
		tx.Wish(DetachVolumeData{ID: v.ID, InstanceID: x.InstanceID, Force: true})
	case v.Wish == wishResize && x.Bytes >= int64(v.Modification.To.Size)*gibi:
		s.resized(tx, v, x.Bytes)
	case a.State == attaching && x.InstanceID != "":
		s.attached(tx, v.ID, a.InstanceID)
	case (a.State == detaching || a.State == isBusy) && x.InstanceID == "":
		s.detached(tx, v)
	case a.State == isOn && x.InstanceID == "" && v.Wish == "":
		if i, ok := s.instances.Get(tx, a.InstanceID); ok && (i.State == Running || i.State == Stopped) { // it lost it
			v.Attachment.State = attaching
			s.ask(tx, v, wishAttach)
		}
	default:
		again()
	}
}
