package ec2

import (
	"cmp"
	"slices"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// contentUsed tells whether an image or the snapshot of a root volume, in any scope, stands on what the driver knows as an
// image.
func (s *Service) contentUsed(content string) bool {
	for _, i := range s.imageContents.Index.Each(content, "") {
		if i.State != imageDeregistered {
			return true
		}
	}
	for _, n := range s.snapshotContents.Index.Each(content, "") {
		if n.State != snapshotDeleted {
			return true
		}
	}
	return false
}

// ofImage tells whether there is a row of an image with a content, also one that waits until the host has forgotten it.
func (s *Service) ofImage(content string) bool {
	for range s.imageContents.Index.Each(content, "") {
		return true
	}
	return false
}

// RegisterImage makes an image of the snapshot of a root volume.
func (s *Service) RegisterImage(tx *cloud.Tx, in *shape.RegisterImageInput) (*shape.RegisterImageOutput, error) {
	tags, err := specTags(in.TagSpecifications, "image")
	if err != nil {
		return nil, err
	}
	if in.ImageLocation != nil {
		return nil, api.Errorf("UnsupportedOperation", "There are no images in S3 here: give the snapshot of a root volume in BlockDeviceMappings.")
	}
	if err := s.imageName(tx, api.Value(in.Name)); err != nil {
		return nil, err
	}
	all := devices(in.BlockDeviceMappings)
	if err := checkDevices(all); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(d BlockDevice) bool { return in.RootDeviceName != nil && sameDevice(d.Device, *in.RootDeviceName) })
	if at < 0 || all[at].SnapshotID == "" {
		return nil, api.Errorf("InvalidBlockDeviceMapping", "No root snapshot specified in device mapping.")
	}
	root := all[at]
	source, err := s.rootSource(tx, root)
	if err != nil {
		return nil, err
	}
	added := slices.Delete(all, at, at+1)
	for n, d := range added {
		of, err := s.volumeSource(tx, d.SnapshotID)
		if err != nil {
			return nil, err
		}
		added[n].Size, added[n].Encrypted = cmp.Or(d.Size, of.Size), d.Encrypted || of.Encrypted
	}
	i := s.newImage(tx, Image{
		Name: *in.Name, Description: api.Value(in.Description), Architecture: cmp.Or(api.Value(in.Architecture), "x86_64"), NoReboot: true,
		RootDevice: root.Device, SnapshotID: source.ID, Size: cmp.Or(root.Size, source.Size), Root: root, Content: source.Content, Devices: added,
		ImdsSupport: api.Value(in.ImdsSupport),
	})
	i.State = imageAvailable // the content is there already
	s.images.Put(tx, i.ID, i)
	s.Tag(tx, i.ID, tags)
	return &shape.RegisterImageOutput{ImageId: new(i.ID)}, nil
}

// rootSource gives the snapshot that the root volume of a new image shall be made of.
func (s *Service) rootSource(tx *cloud.Tx, root BlockDevice) (Snapshot, error) {
	n, own := s.ownSnapshot(tx, root.SnapshotID)
	switch {
	case !own:
		return n, noSnapshot(root.SnapshotID)
	case n.State != snapshotCompleted:
		return n, api.Errorf("IncorrectState", "Snapshot is in invalid state - %s", n.State)
	case !n.Root:
		return n, api.Errorf("UnsupportedOperation", "The snapshot '%s' is not of a root volume: no instance can boot from it here.", n.ID)
	case root.Size != 0 && root.Size < n.Size:
		return n, api.Errorf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB", root.Size, n.ID, n.Size)
	}
	if of, ok := s.snapshotImage(tx, n.ID); ok { // from now on it is that of two images
		s.keepSnapshot(tx, of)
	}
	return n, nil
}

// DeregisterImage takes an image away; its snapshots stay, unless DeleteAssociatedSnapshots. Instances made of it live on.
func (s *Service) DeregisterImage(tx *cloud.Tx, in *shape.DeregisterImageInput) (*shape.DeregisterImageOutput, error) {
	i, err := s.ownImage(tx, api.Value(in.ImageId))
	if err != nil {
		return nil, err
	}
	s.bringBack(tx, i)
	for _, n := range s.pendingFor(tx, i) {
		s.snapshotOver(tx, n.Content, interrupted)
	}
	if i.State == imageAvailable {
		s.keepSnapshot(tx, i)
	} else {
		s.tags.Delete(tx, i.SnapshotID)
	}
	i.State, i.Changed = imageDeregistered, tx.Now()
	s.images.Put(tx, i.ID, i)
	s.tags.Delete(tx, i.ID)
	tx.At(Name, kindImage, i.ID, time.Time{})
	out := &shape.DeregisterImageOutput{Return: new(true)}
	if api.Value(in.DeleteAssociatedSnapshots) {
		for _, d := range i.blockDevices() {
			if n, own := s.ownSnapshot(tx, d.SnapshotID); own {
				out.DeleteSnapshotResults = append(out.DeleteSnapshotResults, s.deleteAssociated(tx, n))
			}
		}
	}
	if s.contentUsed(i.Content) {
		s.images.Delete(tx, i.ID) // the host has nothing to forget
	} else {
		tx.Wish(DeleteImage{ImageID: i.Content})
	}
	return out, nil
}

// keepSnapshot writes down the snapshot that an image has had, for the time after the image.
func (s *Service) keepSnapshot(tx *cloud.Tx, i Image) {
	if s.snapshots.Has(tx, i.SnapshotID) { // it was made of one
		return
	}
	n := i.snapshot()
	n.ImageID, n.Changed, n.Public, n.Accounts = "", tx.Now(), false, nil
	s.snapshots.Put(tx, n.ID, n)
}

func (s *Service) deleteAssociated(tx *cloud.Tx, n Snapshot) shape.DeleteSnapshotReturnCode {
	result := shape.DeleteSnapshotReturnCode{SnapshotId: new(n.ID), ReturnCode: new("skipped")}
	if s.snapshotUser(tx, n.ID) == "" {
		s.deleteSnapshot(tx, n)
		result.ReturnCode = new("success")
	}
	return result
}

// CopyImage makes another image of the same content, from this region or another one: all of them share the host. The copy
// has snapshots of its own.
func (s *Service) CopyImage(tx *cloud.Tx, in *shape.CopyImageInput) (*shape.CopyImageOutput, error) {
	tags, err := specTags(in.TagSpecifications, "image", "snapshot")
	if err != nil {
		return nil, err
	}
	id := api.Value(in.SourceImageId)
	var source Image
	there := false
	var sourceTags []Tag
	tx.In(cloud.Scope{Account: tx.Scope.Account, Region: api.Value(in.SourceRegion)}, func() {
		source, there = s.Image(tx, id)
		sourceTags = s.Tags(tx, id)
	})
	switch {
	case !there:
		return nil, noImage([]string{id})
	case source.State != imageAvailable:
		return nil, api.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available", id)
	case source.BuiltIn:
		return nil, api.Errorf("InvalidRequest", "You do not have permission to access the storage of this ami")
	}
	if err := s.imageName(tx, api.Value(in.Name)); err != nil {
		return nil, err
	}
	asked, key := api.Value(in.Encrypted), api.Value(in.KmsKeyId)
	copied := source
	copied.Name, copied.SourceImageID, copied.SourceRegion = *in.Name, id, *in.SourceRegion
	copied.Public, copied.LaunchAccounts, copied.SourceInstanceID, copied.RootVolumeID, copied.SnapshotID = false, nil, "", "", ""
	if in.Description != nil {
		copied.Description = *in.Description
	}
	if copied.Root.Encrypted, copied.Root.KmsKeyID, err = encryption(tx, asked, key, source.snapshot()); err != nil {
		return nil, err
	}
	copied.Devices = slices.Clone(source.Devices)
	for n, d := range copied.Devices {
		if _, of, known := s.snapshotIDs.Find(d.SnapshotID); known {
			of.Encrypted, of.KmsKeyID, _ = encryption(tx, asked, key, of)
			made := s.copySnapshot(tx, of, "Copied for DestinationAmi for SourceAmi "+id+" for SourceSnapshot "+of.ID)
			copied.Devices[n].SnapshotID, copied.Devices[n].Encrypted, copied.Devices[n].KmsKeyID = made.ID, made.Encrypted, made.KmsKeyID
		}
	}
	copied = s.newImage(tx, copied)
	copied.State = imageAvailable // the content is there already
	s.images.Put(tx, copied.ID, copied)
	if api.Value(in.CopyImageTags) {
		s.Tag(tx, copied.ID, userTags(sourceTags))
	}
	s.Tag(tx, copied.ID, tags)
	return &shape.CopyImageOutput{ImageId: new(copied.ID)}, nil
}
