package ec2

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// CreateImage makes an image of a running or stopped instance; a running one is rebooted unless NoReboot (EC-VO-05).
func (s *Service) CreateImage(tx *cloud.Tx, in *shape.CreateImageInput) (*shape.CreateImageOutput, error) {
	tags, err := specTags(in.TagSpecifications, "image", "snapshot")
	if err != nil {
		return nil, err
	}
	source, err := s.instance(tx, api.Value(in.InstanceId))
	if err != nil {
		return nil, err
	}
	switch {
	case source.State != Running && source.State != Stopped:
		return nil, api.Errorf("IncorrectState", "Instance '%s' is not in a state from which an image can be created: it is %s.", source.ID, source.State)
	case source.Capturing != "":
		return nil, api.Errorf("InvalidParameterValue", "An image of instance '%s' is being made: %s.", source.ID, source.Capturing)
	}
	if err := s.imageName(tx, api.Value(in.Name)); err != nil {
		return nil, err
	}
	if len(source.Volumes) == 0 {
		return nil, api.Errorf("IncorrectState", "Instance '%s' has no root volume.", source.ID)
	}
	snapshotTags, _ := specTags(in.TagSpecifications, "snapshot", "image")
	root, added, err := s.imageDevicesOf(tx, source, devices(in.BlockDeviceMappings), snapshotTags)
	if err != nil {
		return nil, err
	}
	i := s.newImage(tx, Image{
		Name: *in.Name, Description: api.Value(in.Description), Architecture: source.Architecture, SourceInstanceID: source.ID,
		SourceImageID: source.ImageID, SourceRegion: tx.Scope.Region, NoReboot: api.Value(in.NoReboot) || source.State == Stopped,
		RootDevice: root.Device, Size: root.Size, Root: root, RootVolumeID: source.Volumes[0].ID, Devices: added,
	})
	s.Tag(tx, i.ID, tags)
	s.Tag(tx, i.SnapshotID, snapshotTags)
	for _, n := range s.pendingFor(tx, i) {
		n.ImageID, n.Description = i.ID, i.snapshotDescription()
		s.snapshots.Put(tx, n.ID, n)
	}
	if !i.NoReboot {
		source.Capturing, source.Changed = i.ID, tx.Now()
		s.instances.Put(tx, source.ID, source)
	}
	s.capture(tx, i)
	return &shape.CreateImageOutput{ImageId: new(i.ID)}, nil
}

// imageDevicesOf makes the snapshots of an instance's added volumes for an image, and gives its devices: the root and those
// volumes, changed and added to by what the request says.
func (s *Service) imageDevicesOf(tx *cloud.Tx, of Instance, asked []BlockDevice, tags []Tag) (root BlockDevice, added []BlockDevice, err error) {
	if err := checkDevices(asked); err != nil {
		return root, nil, err
	}
	for n, d := range of.Volumes {
		k := slices.IndexFunc(asked, func(a BlockDevice) bool { return sameDevice(a.Device, d.Device) })
		if k >= 0 {
			size := d.Size
			d = d.over(asked[k])
			d.Size = max(d.Size, size)
		}
		v, ok := s.volumes.Get(tx, d.ID)
		switch {
		case n == 0:
			root = d.blockDevice()
		case k >= 0 && asked[k].NoDevice:
		case !ok || v.State != volumeInUse: // it is not there yet, or already on its way out
		default:
			b := d.blockDevice()
			b.SnapshotID = s.newSnapshot(tx, v, "", tags).ID
			added = append(added, b)
		}
	}
	for _, d := range asked {
		if !slices.ContainsFunc(of.Volumes, func(v Device) bool { return sameDevice(v.Device, d.Device) }) {
			added = append(added, d)
		}
	}
	return root, added, nil
}

// pendingFor lists the snapshots of its volumes that a pending image waits for.
func (s *Service) pendingFor(tx *cloud.Tx, i Image) (all []Snapshot) {
	for _, d := range i.Devices {
		if n, ok := s.snapshots.Get(tx, d.SnapshotID); ok && n.State == snapshotPending && (n.ImageID == "" || n.ImageID == i.ID) {
			all = append(all, n)
		}
	}
	return all
}

// imageName refuses names that are not good or that the account has already given.
func (s *Service) imageName(tx *cloud.Tx, name string) error {
	if len(name) < 3 || len(name) > 128 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789()[] ./-'@_") != "" {
		return api.Errorf("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_'")
	}
	for _, i := range s.images.All(tx) {
		if i.Name == name && i.State != imageDeregistered && i.State != imageFailed {
			return api.Errorf("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, i.ID)
		}
	}
	return nil
}

func (s *Service) newImage(tx *cloud.Tx, i Image) Image {
	i.ID = tx.ID("ami-")
	if i.SnapshotID == "" {
		i.SnapshotID = tx.ID("snap-")
	}
	i.Owner, i.Region, i.State = tx.Scope.Account, tx.Scope.Region, imagePending
	i.Created, i.Changed = tx.Now().Truncate(time.Second), tx.Now()
	if i.Content == "" {
		i.Content = i.ID
	}
	s.images.Put(tx, i.ID, i)
	return i
}

// capture wishes for the content of a pending image, and says when to wish again.
func (s *Service) capture(tx *cloud.Tx, i Image) {
	if i.Imported {
		return
	}
	i.Changed = tx.Now()
	i.Wishes++
	s.images.Put(tx, i.ID, i)
	wish := CaptureImage{ImageID: i.Content, InstanceID: i.SourceInstanceID, Reboot: !i.NoReboot}
	for _, n := range s.pendingFor(tx, i) {
		wish.Snapshots = append(wish.Snapshots, TakeSnapshot{ID: n.Content, VolumeID: n.VolumeID})
	}
	tx.Wish(wish)
	tx.At(Name, kindImage, i.ID, tx.Now().Add(patience(i.Wishes)))
}

// reconcileImage wishes again for an image that nothing was heard of.
func (s *Service) reconcileImage(tx *cloud.Tx, id string) {
	i, ok := s.images.Get(tx, id)
	if !ok || i.State != imagePending || i.Imported {
		return
	}
	due := i.Changed.Add(patience(i.Wishes))
	if tx.Now().Before(due) {
		tx.At(Name, kindImage, id, due)
		return
	}
	s.capture(tx, i)
}

// ImportImageInput asks for an image whose content comes from outside. The image stays pending until an ImageCaptured
// or ImageFailed with its ID is observed.
type ImportImageInput struct {
	Name, Description, Architecture string
}

// ImportImageOutput tells the ID under which the content has to be stored.
type ImportImageOutput struct{ ImageID string }

// importImage makes the row of an image that `billow image import` brings.
func (s *Service) importImage(tx *cloud.Tx, in *ImportImageInput) (*ImportImageOutput, error) {
	if err := s.imageName(tx, in.Name); err != nil {
		return nil, err
	}
	architecture := in.Architecture
	if architecture == "" {
		architecture = "x86_64"
	}
	i := s.newImage(tx, Image{
		Name: in.Name, Description: in.Description, Architecture: architecture, Imported: true, NoReboot: true, RootDevice: "/dev/xvda", Size: 8,
	})
	return &ImportImageOutput{ImageID: i.ID}, nil
}

// imageCaptured takes the fact that an image's content is there, or, with a message, that it will not be.
func (s *Service) imageCaptured(tx *cloud.Tx, id string, bytes int64, failure string) {
	if s.snapshotOver(tx, id, failure); strings.HasPrefix(id, "snap-") {
		return // of a root volume
	}
	scope, i, ok := s.imageIDs.Find(id)
	if !ok || i.State != imagePending {
		return
	}
	tx.In(scope, func() {
		for _, n := range s.pendingFor(tx, i) {
			s.snapshotOver(tx, n.Content, failure)
		}
		i.State, i.Bytes, i.Changed = imageAvailable, bytes, tx.Now()
		if failure != "" {
			i.State, i.StateReason = imageFailed, Reason{"Client.ImageImportFailure", failure}
			if !i.Imported {
				i.StateReason.Code = "Server.InternalError"
			}
		}
		s.images.Put(tx, i.ID, i)
		tx.At(Name, kindImage, i.ID, time.Time{})
		s.bringBack(tx, i)
	})
}

// bringBack sees to it that the instance of which an image was made with a reboot runs again.
func (s *Service) bringBack(tx *cloud.Tx, of Image) {
	i, ok := s.instances.Get(tx, of.SourceInstanceID)
	if !ok || i.Capturing != of.ID {
		return
	}
	i.Capturing, i.Changed = "", tx.Now()
	if i.State == Running {
		s.wish(tx, &i, wishStart)
	}
	s.instances.Put(tx, i.ID, i)
}

// imagesSeen compares the host's images with the rows.
func (s *Service) imagesSeen(tx *cloud.Tx, f Inventory) {
	there := map[string]bool{}
	for _, id := range f.Images {
		there[id] = true
	}
	for key, i := range s.images.Everywhere() {
		if !i.Changed.Before(f.Began) {
			continue
		}
		switch {
		case i.State == imagePending && there[i.Content]:
			s.imageCaptured(tx, i.ID, i.Bytes, "")
		case i.State == imagePending && i.Imported && f.First: // whoever brought it has gone with the daemon before
			s.imageCaptured(tx, i.ID, 0, "The import was interrupted.")
		case i.State == imagePending && f.late(i.Changed):
			tx.In(key.Scope, func() { s.capture(tx, i) })
		case i.State == imageDeregistered && there[i.Content]:
			if !s.contentUsed(i.Content) {
				tx.Wish(DeleteImage{ImageID: i.Content})
			}
		case i.State == imageDeregistered:
			tx.In(key.Scope, func() { s.images.Delete(tx, i.ID) })
		}
	}
}
