package ec2

import (
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/ec2"
)

// imageOf makes an image of a new instance that has another volume.
func (w *world) imageOf(name string) (image string, snapshots []string) {
	w.t.Helper()
	id := w.run(1, func(in *shape.RunInstancesInput) {
		in.BlockDeviceMappings = []shape.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &shape.EbsBlockDevice{VolumeSize: new(int32(2))}}}
	})[0]
	image = *call[shape.CreateImageOutput](w, &shape.CreateImageInput{InstanceId: &id, Name: &name, NoReboot: new(true)}).ImageId
	for _, m := range call[shape.DescribeImagesOutput](w, &shape.DescribeImagesInput{ImageIds: []string{image}}).Images[0].BlockDeviceMappings {
		snapshots = append(snapshots, *m.Ebs.SnapshotId)
	}
	return image, snapshots
}

// restart loads the rows, and looks at the host twice.
func (w *world) restart() *world {
	w.t.Helper()
	n := w.reload()
	for range 2 {
		n.now = n.now.Add(time.Minute)
		n.inventory()
	}
	return n
}

// The snapshots of an image outlive it, and another image can be registered of them.
func TestRegisterImage(t *testing.T) {
	w := newWorld(t, Options{})
	image, snapshots := w.imageOf("first")
	root := snapshots[0]
	register := func(name string, m ...shape.BlockDeviceMapping) *shape.RegisterImageInput {
		return &shape.RegisterImageInput{Name: &name, RootDeviceName: new("/dev/xvda"), BlockDeviceMappings: m, Architecture: new("x86_64")}
	}
	device := func(name, snapshot string) shape.BlockDeviceMapping {
		return shape.BlockDeviceMapping{DeviceName: &name, Ebs: &shape.EbsBlockDevice{SnapshotId: &snapshot}}
	}
	w.refused(register("second"), "InvalidBlockDeviceMapping")
	w.refused(register("first", device("/dev/xvda", root)), "InvalidAMIName.Duplicate")
	w.refused(register("second", device("/dev/xvda", snapshots[1])), "UnsupportedOperation")
	w.refused(register("second", device("/dev/xvda", "snap-0123456789abcdef0")), "InvalidSnapshot.NotFound")
	second := *call[shape.RegisterImageOutput](w, register("second", device("/dev/sda", root), device("/dev/sdf", snapshots[1]))).ImageId

	call[shape.DeregisterImageOutput](w, &shape.DeregisterImageInput{ImageId: &image})
	w = w.restart()
	w.refused(&shape.DeleteSnapshotInput{SnapshotId: &root}, "InvalidSnapshot.InUse")
	w.run(1, func(in *shape.RunInstancesInput) { in.ImageId = &second })
	launched := Spec{}
	for _, wish := range w.wishes {
		if l, ok := wish.(LaunchInstance); ok {
			launched = l.Spec
		}
	}
	if launched.ImageID != image || len(launched.Volumes) != 1 {
		t.Errorf("an instance of the registered image is launched of %q with %+v", launched.ImageID, launched.Volumes)
	}

	out := call[shape.DeregisterImageOutput](w, &shape.DeregisterImageInput{ImageId: &second, DeleteAssociatedSnapshots: new(true)})
	if n := len(out.DeleteSnapshotResults); n != 2 || *out.DeleteSnapshotResults[0].ReturnCode != "success" {
		t.Errorf("of the snapshots is said: %+v", out.DeleteSnapshotResults)
	}
	w = w.restart()
	if len(w.images)+len(w.snapshots)+w.s.images.Len()+w.s.snapshots.Len() > 0 {
		t.Errorf("left are %v, %v and rows of %d images and %d snapshots", w.images, w.snapshots, w.s.images.Len(), w.s.snapshots.Len())
	}
}

// The snapshot of a root volume, by itself, can be copied and registered; the content goes with the last of them.
func TestRootSnapshots(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	volume := *w.see(id).BlockDeviceMappings[0].Ebs.VolumeId
	n := *call[shape.CreateSnapshotOutput](w, &shape.CreateSnapshotInput{VolumeId: &volume}).SnapshotId
	w.refused(&shape.CreateVolumeInput{AvailabilityZone: new("us-east-1a"), SnapshotId: &n}, "UnsupportedOperation")
	copied := *call[shape.CopySnapshotOutput](w, &shape.CopySnapshotInput{SourceRegion: new("us-east-1"), SourceSnapshotId: &n}).SnapshotId
	image := *call[shape.RegisterImageOutput](w, &shape.RegisterImageInput{
		Name: new("of a snapshot"), RootDeviceName: new("/dev/sda1"),
		BlockDeviceMappings: []shape.BlockDeviceMapping{{DeviceName: new("/dev/sda1"), Ebs: &shape.EbsBlockDevice{SnapshotId: &copied}}},
	}).ImageId
	w.refused(&shape.DeleteSnapshotInput{SnapshotId: &copied}, "InvalidSnapshot.InUse")
	call[shape.DeleteSnapshotOutput](w, &shape.DeleteSnapshotInput{SnapshotId: &n})
	w = w.restart()
	if !w.images[n] {
		t.Error("the content went with the first snapshot")
	}
	w.run(1, func(in *shape.RunInstancesInput) { in.ImageId = &image })
	call[shape.DeregisterImageOutput](w, &shape.DeregisterImageInput{ImageId: &image})
	call[shape.DeleteSnapshotOutput](w, &shape.DeleteSnapshotInput{SnapshotId: &copied})
	if w = w.restart(); w.images[n] {
		t.Error("the content stays with nobody on it")
	}
}

// A copy in another region has snapshots of its own, from which it can be launched.
func TestCopiedImageHasItsOwnSnapshots(t *testing.T) {
	w := newWorld(t, Options{})
	image, snapshots := w.imageOf("here")
	w.scope.Region = "eu-west-1"
	copied := *call[shape.CopyImageOutput](w, &shape.CopyImageInput{
		SourceImageId: &image, SourceRegion: new("us-east-1"), Name: new("there"), Encrypted: new(true),
	}).ImageId
	w.scope.Region = "us-east-1"
	call[shape.DeregisterImageOutput](w, &shape.DeregisterImageInput{ImageId: &image})
	for _, id := range snapshots {
		call[shape.DeleteSnapshotOutput](w, &shape.DeleteSnapshotInput{SnapshotId: &id})
	}
	w = w.restart()
	w.scope.Region = "eu-west-1"
	id := w.run(1, func(in *shape.RunInstancesInput) { in.ImageId = &copied })[0]
	for _, m := range w.see(id).BlockDeviceMappings {
		if v := w.seeVolume(*m.Ebs.VolumeId); !*v.Encrypted || v.KmsKeyId == nil || *v.State != "in-use" {
			t.Errorf("the volume at %s of an encrypted copy is %+v", *m.DeviceName, v)
		}
	}
}

// Whoever may launch an image gets its volumes, without a right to the snapshots.
func TestSharedImageWithVolumes(t *testing.T) {
	w := newWorld(t, Options{})
	image, snapshots := w.imageOf("shared")
	call[shape.ModifyImageAttributeOutput](w, &shape.ModifyImageAttributeInput{
		ImageId: &image, LaunchPermission: &shape.LaunchPermissionModifications{Add: []shape.LaunchPermission{{UserId: new("210987654321")}}},
	})
	w.scope.Account = "210987654321"
	for _, id := range []string{snapshots[0], builtins[0].SnapshotID} {
		w.refused(&shape.CopySnapshotInput{SourceRegion: new("us-east-1"), SourceSnapshotId: &id}, "InvalidRequest")
	}
	w.refused(&shape.CreateVolumeInput{AvailabilityZone: new("us-east-1a"), SnapshotId: &snapshots[1]}, "InvalidSnapshot.NotFound")
	id := w.run(1, func(in *shape.RunInstancesInput) { in.ImageId = &image })[0]
	if n := len(w.see(id).BlockDeviceMappings); n != 2 {
		t.Errorf("it has %d devices", n)
	}
}

// An image keeps what its instance's root volume was, and filters see every device.
func TestImageKeepsItsRootVolume(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1, func(in *shape.RunInstancesInput) {
		in.BlockDeviceMappings = []shape.BlockDeviceMapping{
			{DeviceName: new("/dev/xvda"), Ebs: &shape.EbsBlockDevice{VolumeSize: new(int32(20)), VolumeType: new("io1"), Iops: new(int32(300)), Encrypted: new(true), DeleteOnTermination: new(false)}},
			{DeviceName: new("/dev/sdf"), Ebs: &shape.EbsBlockDevice{VolumeSize: new(int32(2)), VolumeType: new("gp2")}},
		}
	})[0]
	image := *call[shape.CreateImageOutput](w, &shape.CreateImageInput{InstanceId: &id, Name: new("large"), BlockDeviceMappings: []shape.BlockDeviceMapping{
		{DeviceName: new("/dev/sdf"), Ebs: &shape.EbsBlockDevice{VolumeSize: new(int32(3)), DeleteOnTermination: new(true)}},
	}}).ImageId
	devices := call[shape.DescribeImagesOutput](w, &shape.DescribeImagesInput{ImageIds: []string{image}}).Images[0].BlockDeviceMappings
	root, added := devices[0].Ebs, devices[1].Ebs
	if *root.VolumeSize != 20 || *root.VolumeType != "io1" || *root.Iops != 300 || !*root.Encrypted || *root.DeleteOnTermination {
		t.Errorf("the root is %+v", root)
	}
	if *added.VolumeSize != 3 || *added.VolumeType != "gp2" || added.Iops != nil || !*added.DeleteOnTermination {
		t.Errorf("the other is %+v", added)
	}
	for name, value := range map[string]string{
		"block-device-mapping.snapshot-id": *added.SnapshotId, "block-device-mapping.volume-size": "20", "block-device-mapping.volume-type": "gp2",
		"block-device-mapping.device-name": "/dev/sdf", "block-device-mapping.encrypted": "true", "block-device-mapping.delete-on-termination": "false",
	} {
		if out := call[shape.DescribeImagesOutput](w, &shape.DescribeImagesInput{Owners: []string{"self"}, Filters: filter(name, value)}); len(out.Images) != 1 {
			t.Errorf("%s=%s finds %d images", name, value, len(out.Images))
		}
	}
	snapshots := call[shape.DescribeSnapshotsOutput](w, &shape.DescribeSnapshotsInput{SnapshotIds: []string{*root.SnapshotId}}).Snapshots
	if n := snapshots[0]; !*n.Encrypted || *n.VolumeId != *w.see(id).BlockDeviceMappings[0].Ebs.VolumeId {
		t.Errorf("the root's snapshot is %+v", n)
	}

	// A launch template made of the instance launches another like it (gp2's speeds are not to be chosen).
	data := call[shape.GetLaunchTemplateDataOutput](w, &shape.GetLaunchTemplateDataInput{InstanceId: &id}).LaunchTemplateData
	var again []shape.BlockDeviceMapping
	for _, m := range data.BlockDeviceMappings {
		again = append(again, shape.BlockDeviceMapping{DeviceName: m.DeviceName, Ebs: &shape.EbsBlockDevice{
			SnapshotId: m.Ebs.SnapshotId, VolumeSize: m.Ebs.VolumeSize, VolumeType: m.Ebs.VolumeType, Iops: m.Ebs.Iops, Throughput: m.Ebs.Throughput,
			Encrypted: m.Ebs.Encrypted, KmsKeyId: m.Ebs.KmsKeyId,
		}})
	}
	w.run(1, func(in *shape.RunInstancesInput) { in.BlockDeviceMappings = again })
}
