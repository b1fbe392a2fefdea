package ec2

import (
	"cmp"
	"slices"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// Volume states, and those of an attachment (EC-VO-01).
const (
	volumeCreating  = "creating"
	volumeAvailable = "available"
	volumeInUse     = "in-use"
	volumeDeleting  = "deleting"
	volumeError     = "error"

	attaching = "attaching"
	isOn      = "attached"
	detaching = "detaching"
	isBusy    = "busy"
)

// What a volume can be waiting for the world to do.
const (
	wishCreate      = "create"
	wishAttach      = "attach"
	wishDetach      = "detach"
	wishForceDetach = "force-detach"
	wishResize      = "resize"
	wishDelete      = "delete"
)

// attachmentLimit is how many volumes an instance can have, with its root.
const attachmentLimit = 28

// busyPatience is how soon a busy volume is tried again.
const busyPatience = 5 * time.Second

// Volume is the row of a volume other than a root. In brackets: the fact that makes the transition.
//
//	CreateVolume                AttachVolume
//	     v       [VolumeCreated]     v        [VolumeAttached]
//	 creating ------> available ---> in-use, attaching ---> attached --DetachVolume--> detaching <-> busy [VolumeBusy]
//	     |               |    ^                                                             |
//	[VolumeFailed]  DeleteVolume '------------------------[VolumeDetached]------------------'
//	     v               v
//	   error --------> deleting --[VolumeDeleted]--> gone
//
// What a launch makes is creating and attaching at once: the instance's own wish makes it true.
type Volume struct {
	ID, Zone, State  string
	Created          time.Time
	Changed          time.Time // of the state, or of the last wish: older facts do not count
	SnapshotID       string
	SnapshotContent  string // what the driver knows the snapshot as
	Type             string
	Size             int // GiB
	Iops, Throughput int
	Encrypted        bool
	KmsKeyID         string `json:",omitempty"` // ARN
	AutoEnableIO     bool
	ClientToken      string
	Root             bool // never in a row: made up for an instance's root volume

	Attachment   Attachment
	Modification Modification

	Wish   string
	Wished time.Time
	Wishes int
}

// Attachment says where a volume is; without an InstanceID, nowhere.
type Attachment struct {
	InstanceID, Device, State string
	Since                     time.Time
	DeleteOnTermination       bool
}

// Modification is the last change of a volume; without a State, there was none.
type Modification struct {
	State        string // "modifying" or "completed"
	From, To     Measure
	Began, Ended time.Time
}

func (s *Service) indexVolumes() {
	s.volumeIDs, s.snapshotIDs = s.volumes.ByID(), s.snapshots.ByID()
	s.volumeTokens = s.volumes.Index(func(_ string, v Volume) []string {
		if v.ClientToken == "" {
			return nil
		}
		return one(v.ClientToken)
	})
	s.snapshotContents = s.snapshots.Index(func(_ string, n Snapshot) []string { return one(n.Content) })
	s.sharedSnapshots = s.snapshots.Index(func(_ string, n Snapshot) []string {
		if n.Public {
			return append([]string{"all"}, n.Accounts...)
		}
		return n.Accounts
	})
	s.imageContents = s.images.Index(func(_ string, i Image) []string { return one(i.Content) })
	s.imageSnapshots = s.images.Index(func(_ string, i Image) []string {
		all := one(i.SnapshotID)
		for _, d := range i.Devices {
			if d.SnapshotID != "" {
				all = append(all, d.SnapshotID)
			}
		}
		return all
	})
}

// device is how the volume's instance shows it.
func (v Volume) device() Device {
	d := Device{
		Device: v.Attachment.Device, ID: v.ID, SnapshotID: v.SnapshotID, Type: v.Type, Size: v.Size, Iops: v.Iops, Throughput: v.Throughput,
		Encrypted: v.Encrypted, KmsKeyID: v.KmsKeyID, DeleteOnTermination: v.Attachment.DeleteOnTermination, Attached: v.Attachment.Since,
	}
	if v.Attachment.State != isOn {
		d.Status = v.Attachment.State
	}
	return d
}

// rootVolume makes up the row of an instance's root volume.
func rootVolume(i Instance) Volume {
	d := i.Volumes[0]
	v := Volume{
		ID: d.ID, Zone: i.Zone, State: volumeInUse, Created: d.Attached, SnapshotID: d.SnapshotID, Type: d.Type, Size: d.Size, Iops: d.Iops,
		Throughput: d.Throughput, Encrypted: d.Encrypted, KmsKeyID: d.KmsKeyID, Root: true,
		Attachment: Attachment{InstanceID: i.ID, Device: d.Device, State: isOn, Since: d.Attached, DeleteOnTermination: d.DeleteOnTermination},
	}
	if d.Modification != nil {
		v.Modification = *d.Modification
	}
	return v
}

func noVolume(id string) error {
	if !wellFormed("vol-", id) {
		return api.Errorf("InvalidParameterValue", "Value (%s) for parameter volumeId is invalid. Expected: 'vol-...'.", id)
	}
	return api.Errorf("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
}

// volume gives a volume of the scope, and the instance if it is a root volume.
func (s *Service) volume(tx *cloud.Tx, id string) (Volume, Instance, error) {
	if v, ok := s.volumes.Get(tx, id); ok {
		return v, Instance{}, nil
	}
	for _, i := range s.parts.Each(tx, id) {
		if len(i.Volumes) > 0 && i.Volumes[0].ID == id {
			return rootVolume(i), i, nil
		}
	}
	return Volume{}, Instance{}, noVolume(id)
}

// putVolume writes a volume's row and keeps what instances show of it in step.
func (s *Service) putVolume(tx *cloud.Tx, v Volume) {
	before, _ := s.volumes.Get(tx, v.ID)
	s.volumes.Put(tx, v.ID, v)
	tx.Touch(Name, kindVolume, v.ID)
	for _, id := range slices.Compact([]string{before.Attachment.InstanceID, v.Attachment.InstanceID}) {
		i, ok := s.instances.Get(tx, id)
		if !ok || i.State == Terminated {
			continue
		}
		all := slices.DeleteFunc(slices.Clone(i.Volumes), func(d Device) bool { return d.ID == v.ID })
		if v.Attachment.InstanceID == id {
			all = append(all, v.device())
		}
		if !slices.Equal(all, i.Volumes) {
			i.Volumes = all
			s.instances.Put(tx, id, i)
		}
	}
}

// dropVolume removes the row of a volume that is no more.
func (s *Service) dropVolume(tx *cloud.Tx, v Volume) {
	s.volumes.Delete(tx, v.ID)
	s.tags.Delete(tx, v.ID)
	tx.At(Name, kindVolume, v.ID, time.Time{})
	s.tellVolume(tx, v.ID, "deleteVolume", "deleted", "")
}

const gibi = 1 << 30

// ask makes a wish about a volume, notes it in the row and puts that.
func (s *Service) ask(tx *cloud.Tx, v Volume, kind string) {
	if v.Wish != kind {
		v.Wishes = 0
	}
	v.Wish, v.Wished, v.Changed = kind, tx.Now(), tx.Now()
	v.Wishes++
	a := v.Attachment
	switch kind {
	case wishCreate:
		tx.Wish(CreateVolumeData{ID: v.ID, SnapshotID: v.SnapshotContent, Bytes: int64(v.Size) * gibi})
	case wishAttach:
		tx.Wish(AttachVolumeData{ID: v.ID, InstanceID: a.InstanceID, Device: a.Device})
	case wishDetach, wishForceDetach:
		tx.Wish(DetachVolumeData{ID: v.ID, InstanceID: a.InstanceID, Force: kind == wishForceDetach})
	case wishResize:
		tx.Wish(ResizeVolumeData{ID: v.ID, Bytes: int64(v.Modification.To.Size) * gibi})
	case wishDelete:
		tx.Wish(DeleteVolumeData{ID: v.ID})
	}
	s.putVolume(tx, v)
}

// settled notes that a volume waits for nothing any more, and puts the row.
func (s *Service) settled(tx *cloud.Tx, v Volume) {
	v.Wish, v.Wishes, v.Wished, v.Changed = "", 0, time.Time{}, tx.Now()
	s.putVolume(tx, v)
}

func (v Volume) due() time.Time {
	if v.Attachment.State == isBusy {
		return v.Wished.Add(busyPatience)
	}
	return v.Wished.Add(patience(v.Wishes))
}

// reconcileVolume makes a wish again that nothing was heard of.
func (s *Service) reconcileVolume(tx *cloud.Tx, id string) {
	v, ok := s.volumes.Get(tx, id)
	if !ok {
		return
	}
	if v.Wish == "" {
		tx.At(Name, kindVolume, id, time.Time{})
		return
	}
	if !tx.Now().Before(v.due()) {
		s.ask(tx, v, v.Wish)
		v, _ = s.volumes.Get(tx, id)
	}
	tx.At(Name, kindVolume, id, v.due())
}

// CreateVolume makes a volume in a zone, empty or from a snapshot (EC-VO-03).
func (s *Service) CreateVolume(tx *cloud.Tx, in *shape.CreateVolumeInput) (*shape.CreateVolumeOutput, error) {
	tags, err := specTags(in.TagSpecifications, "volume")
	if err != nil {
		return nil, err
	}
	token := api.Value(in.ClientToken)
	if token != "" {
		for _, v := range s.volumeTokens.Each(tx, token) {
			return new(shape.CreateVolumeOutput(s.volumeShape(tx, v))), nil
		}
	}
	zone, err := s.zoneNamed(tx, api.Value(in.AvailabilityZone), api.Value(in.AvailabilityZoneId))
	if err != nil {
		return nil, err
	}
	switch {
	case s.options.NoVolumes != "":
		return nil, api.Errorf("UnsupportedOperation", "%s", s.options.NoVolumes)
	case api.Value(in.MultiAttachEnabled):
		return nil, api.Errorf("UnsupportedOperation", "A volume can be attached to one instance only here: MultiAttachEnabled is not supported.")
	case in.OutpostArn != nil:
		return nil, api.Errorf("UnsupportedOperation", "There are no Outposts here.")
	}
	source, err := s.volumeSource(tx, api.Value(in.SnapshotId))
	if err != nil {
		return nil, err
	}
	m := Measure{cmp.Or(api.Value(in.VolumeType), "gp2"), int(api.Value(in.Size)), int(api.Value(in.Iops)), int(api.Value(in.Throughput))}
	switch {
	case m.Size == 0 && source.ID == "":
		return nil, api.Errorf("MissingParameter", "The request must contain the parameter size/snapshot")
	case m.Size == 0:
		m.Size = source.Size
	case m.Size < source.Size: // EC-VO-03
		return nil, api.Errorf("InvalidParameterValue", "Volume of %dGiB is smaller than snapshot '%s', expect size >= %dGiB", m.Size, source.ID, source.Size)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	encrypted, key, err := encryption(tx, api.Value(in.Encrypted), api.Value(in.KmsKeyId), source)
	if err != nil {
		return nil, err
	}
	v := Volume{
		ID: tx.ID("vol-"), Zone: zone, State: volumeCreating, Created: tx.Now().Truncate(time.Millisecond), SnapshotID: source.ID,
		SnapshotContent: source.Content, Type: m.Type, Size: m.Size, Iops: m.Iops, Throughput: m.Throughput,
		Encrypted: encrypted, KmsKeyID: key, ClientToken: token,
	}
	s.ask(tx, v, wishCreate)
	s.Tag(tx, v.ID, tags)
	return new(shape.CreateVolumeOutput(s.volumeShape(tx, v))), nil
}

func (s *Service) zoneNamed(tx *cloud.Tx, zone, id string) (string, error) {
	if zone == "" && id == "" {
		return "", api.Errorf("MissingParameter", "The request must contain the parameter AvailabilityZone")
	}
	for _, z := range s.Zones(tx) {
		if z == zone || zone == "" && ZoneID(z) == id {
			return z, nil
		}
	}
	return "", api.Errorf("InvalidZone.NotFound", "The zone '%s' does not exist.", cmp.Or(zone, id))
}

// volumeSource gives the snapshot that a volume shall be made of; without an ID, an empty one.
func (s *Service) volumeSource(tx *cloud.Tx, id string) (Snapshot, error) {
	if id == "" {
		return Snapshot{}, nil
	}
	n, ok := s.Snapshot(tx, id)
	switch {
	case !ok:
		return n, noSnapshot(id)
	case n.State != snapshotCompleted:
		return n, api.Errorf("IncorrectState", "Snapshot is in invalid state - %s", n.State)
	case n.Root:
		return n, api.Errorf("UnsupportedOperation", "The snapshot '%s' is of a root volume, which is the instance's own disk here and no block device: register an image of it (RegisterImage) and launch an instance from that.", id)
	}
	return n, nil
}

// DeleteVolume ends a volume that is attached nowhere.
func (s *Service) DeleteVolume(tx *cloud.Tx, in *shape.DeleteVolumeInput) (*shape.DeleteVolumeOutput, error) {
	v, _, err := s.volume(tx, api.Value(in.VolumeId))
	if err != nil {
		return nil, err
	}
	switch {
	case v.Attachment.InstanceID != "":
		return nil, api.Errorf("VolumeInUse", "Volume %s is currently attached to %s", v.ID, v.Attachment.InstanceID)
	case v.State != volumeAvailable && v.State != volumeError:
		return nil, api.Errorf("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, v.State)
	}
	v.State = volumeDeleting
	s.ask(tx, v, wishDelete)
	return &shape.DeleteVolumeOutput{}, nil
}

// ModifyVolume changes size, type and speed; a volume never shrinks.
func (s *Service) ModifyVolume(tx *cloud.Tx, in *shape.ModifyVolumeInput) (*shape.ModifyVolumeOutput, error) {
	v, i, err := s.volume(tx, api.Value(in.VolumeId))
	if err != nil {
		return nil, err
	}
	to := Measure{cmp.Or(api.Value(in.VolumeType), v.Type), cmp.Or(int(api.Value(in.Size)), v.Size), int(api.Value(in.Iops)), int(api.Value(in.Throughput))}
	if to.Type == v.Type && (v.Type != "gp2") {
		to.Iops, to.Throughput = cmp.Or(to.Iops, v.Iops), cmp.Or(to.Throughput, v.Throughput)
	}
	switch {
	case v.State != volumeAvailable && v.State != volumeInUse:
		return nil, api.Errorf("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, v.State)
	case v.Modification.State == "modifying":
		return nil, api.Errorf("IncorrectModificationState", "Cannot modify volume in modification state MODIFYING")
	case v.Wish != "":
		return nil, api.Errorf("IncorrectState", "Volume '%s' is being attached or detached.", v.ID)
	case api.Value(in.MultiAttachEnabled):
		return nil, api.Errorf("UnsupportedOperation", "A volume can be attached to one instance only here: MultiAttachEnabled is not supported.")
	case to.Size < v.Size:
		return nil, api.Errorf("InvalidParameterValue", "New size cannot be smaller than existing size")
	}
	if err := to.check(); err != nil {
		return nil, err
	}
	now := tx.Now().Truncate(time.Second)
	s.tellVolume(tx, v.ID, "modifyVolume", "optimizing", "")
	v.Modification = Modification{State: "completed", From: v.measure(), To: to, Began: now, Ended: now}
	switch {
	case v.Root: // the instance's own disk has no bounds
		root := i.Volumes[0]
		root.Type, root.Size, root.Iops, root.Throughput, root.Modification = to.Type, to.Size, to.Iops, to.Throughput, &v.Modification
		i.Volumes = append([]Device{root}, i.Volumes[1:]...)
		s.instances.Put(tx, i.ID, i)
	case to.Size == v.Size:
		v.Type, v.Iops, v.Throughput = to.Type, to.Iops, to.Throughput
		s.putVolume(tx, v)
	default:
		v.Modification.State, v.Modification.Ended = "modifying", time.Time{}
		s.ask(tx, v, wishResize)
	}
	if v.Modification.State == "completed" {
		s.tellVolume(tx, v.ID, "modifyVolume", "completed", "")
	}
	return &shape.ModifyVolumeOutput{VolumeModification: new(v.modificationShape())}, nil
}

// resized takes the fact that a volume has the size that was wished for.
func (s *Service) resized(tx *cloud.Tx, v Volume, bytes int64) {
	m := v.Modification
	if v.Wish != wishResize || bytes < int64(m.To.Size)*gibi {
		return
	}
	v.Type, v.Size, v.Iops, v.Throughput = m.To.Type, m.To.Size, m.To.Iops, m.To.Throughput
	v.Modification.State, v.Modification.Ended = "completed", tx.Now().Truncate(time.Second)
	s.settled(tx, v)
	s.tellVolume(tx, v.ID, "modifyVolume", "completed", "")
}
