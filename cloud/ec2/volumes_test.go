package ec2

import (
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// volume makes an empty volume of one GiB.
func (w *world) volume(zone string) string {
	w.t.Helper()
	return *call[shape.CreateVolumeOutput](w, &shape.CreateVolumeInput{AvailabilityZone: new(zone), Size: new(int32(1))}).VolumeId
}

func (w *world) seeVolume(id string) shape.Volume {
	w.t.Helper()
	return call[shape.DescribeVolumesOutput](w, &shape.DescribeVolumesInput{VolumeIds: []string{id}}).Volumes[0]
}

func (w *world) wantVolume(id, state, attachment string) {
	w.t.Helper()
	v, got := w.seeVolume(id), ""
	if len(v.Attachments) > 0 {
		got = *v.Attachments[0].State
	}
	if *v.State != state || got != attachment {
		w.t.Errorf("volume is %s (%s), want %s (%s)", *v.State, got, state, attachment)
	}
}

func (w *world) attach(volume, instance string) {
	w.t.Helper()
	call[shape.AttachVolumeOutput](w, &shape.AttachVolumeInput{VolumeId: &volume, InstanceId: &instance, Device: new("/dev/sdf")})
}

func (w *world) zoneOf(id string) string { return *w.see(id).Placement.AvailabilityZone }

// EC-VO-01, EC-VO-02, EC-VO-04: a volume's states, and what AWS refuses.
func TestVolume(t *testing.T) {
	w := newWorld(t, Options{})
	ids := w.run(2)
	zone := w.zoneOf(ids[0])
	w.hold = true
	id := w.volume(zone)
	w.wantVolume(id, "creating", "")
	w.refused(&shape.AttachVolumeInput{VolumeId: &id, InstanceId: &ids[0], Device: new("/dev/sdf")}, "IncorrectState")
	w.refused(&shape.DeleteVolumeInput{VolumeId: &id}, "IncorrectState")
	w.observe(VolumeCreated{id})
	w.wantVolume(id, "available", "")
	w.refused(&shape.DetachVolumeInput{VolumeId: &id}, "IncorrectState")
	w.refused(&shape.AttachVolumeInput{VolumeId: &id, InstanceId: &ids[0], Device: new("/dev/null")}, "InvalidParameterValue")
	w.refused(&shape.AttachVolumeInput{VolumeId: &id, InstanceId: &ids[0], Device: new("/dev/xvda")}, "InvalidParameterValue")
	w.refused(&shape.AttachVolumeInput{VolumeId: new("vol-0123456789abcdef0"), InstanceId: &ids[0], Device: new("/dev/sdf")}, "InvalidVolume.NotFound")
	w.refused(&shape.AttachVolumeInput{VolumeId: &id, InstanceId: new("i-0123456789abcdef0"), Device: new("/dev/sdf")}, "InvalidInstanceID.NotFound")

	w.attach(id, ids[0])
	w.wantVolume(id, "in-use", "attaching")
	w.observe(VolumeAttached{id, ids[0]})
	w.wantVolume(id, "in-use", "attached")
	if devices := w.see(ids[0]).BlockDeviceMappings; len(devices) != 2 || *devices[1].Ebs.VolumeId != id || *devices[1].DeviceName != "/dev/sdf" {
		t.Errorf("the instance shows %d devices", len(devices))
	}
	w.refused(&shape.AttachVolumeInput{VolumeId: &id, InstanceId: &ids[1], Device: new("/dev/sdf")}, "VolumeInUse")
	w.refused(&shape.DeleteVolumeInput{VolumeId: &id}, "VolumeInUse")
	w.refused(&shape.DetachVolumeInput{VolumeId: &id, InstanceId: &ids[1]}, "InvalidAttachment.NotFound")
	root := *w.see(ids[0]).BlockDeviceMappings[0].Ebs.VolumeId
	w.refused(&shape.DetachVolumeInput{VolumeId: &root}, "OperationNotPermitted")

	call[shape.DetachVolumeOutput](w, &shape.DetachVolumeInput{VolumeId: &id})
	w.wantVolume(id, "in-use", "detaching")
	w.observe(VolumeBusy{id, ids[0]})
	w.wantVolume(id, "in-use", "busy")
	w.wishes = nil
	w.pass(busyPatience)
	if len(w.wishes) != 1 || w.wishes[0] != (DetachVolumeData{ID: id, InstanceID: ids[0]}) {
		t.Errorf("while it is busy, the wishes are %+v", w.wishes)
	}
	w.observe(VolumeDetached{id, ids[0]})
	w.wantVolume(id, "available", "")
	if n := len(w.see(ids[0]).BlockDeviceMappings); n != 1 {
		t.Errorf("the instance shows %d devices", n)
	}
	call[shape.DeleteVolumeOutput](w, &shape.DeleteVolumeInput{VolumeId: &id})
	w.wantVolume(id, "deleting", "")
	w.observe(VolumeDeleted{id})
	w.refused(&shape.DeleteVolumeInput{VolumeId: &id}, "InvalidVolume.NotFound")
	if !w.c.Wake().IsZero() && w.c.Wake().Before(w.now.Add(time.Second)) {
		t.Error("the cloud does not come to rest")
	}
}

// EC-VO-02: zones are kept apart; a stopped instance takes volumes, one that has ended does not (EC-VO-04).
func TestVolumesOfOtherZones(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	other := here.Region + "c"
	if w.zoneOf(id) == other {
		other = here.Region + "a"
	}
	away := w.volume(other)
	w.refused(&shape.AttachVolumeInput{VolumeId: &away, InstanceId: &id, Device: new("/dev/sdf")}, "InvalidVolume.ZoneMismatch")
	w.refused(&shape.CreateVolumeInput{AvailabilityZone: new("us-east-1z"), Size: new(int32(1))}, "InvalidZone.NotFound")
	w.refused(&shape.CreateVolumeInput{Size: new(int32(1))}, "MissingParameter")
	w.refused(&shape.CreateVolumeInput{AvailabilityZone: &other}, "MissingParameter")
	w.refused(&shape.CreateVolumeInput{AvailabilityZone: &other, Size: new(int32(1)), VolumeType: new("st1")}, "InvalidParameterValue")
	near := w.volume(w.zoneOf(id))
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: []string{id}})
	w.attach(near, id)
	w.wantVolume(near, "in-use", "attached")
	call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: []string{id}})
	w.wantVolume(near, "available", "") // attached by hand: it is kept (EC-IN-04)
	w.refused(&shape.AttachVolumeInput{VolumeId: &near, InstanceId: &id, Device: new("/dev/sdf")}, "IncorrectState")
}

// EC-VO-03: a snapshot can be used when it is complete, in any zone and, copied, in any region.
func TestSnapshot(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.volume("us-east-1a")
	w.hold = true
	n := *call[shape.CreateSnapshotOutput](w, &shape.CreateSnapshotInput{VolumeId: &id, Description: new("nightly")}).SnapshotId
	w.refused(&shape.CreateVolumeInput{AvailabilityZone: new("us-east-1b"), SnapshotId: &n}, "IncorrectState")
	w.refused(&shape.CopySnapshotInput{SourceRegion: new("us-east-1"), SourceSnapshotId: &n}, "IncorrectState")
	w.hold = false
	w.snapshots[n] = SeenSnapshot{ID: n}
	w.observe(SnapshotTaken{n})
	w.refused(&shape.CreateVolumeInput{AvailabilityZone: new("us-east-1b"), SnapshotId: new("snap-0123456789abcdef0")}, "InvalidSnapshot.NotFound")
	call[shape.ModifyVolumeOutput](w, &shape.ModifyVolumeInput{VolumeId: &id, Size: new(int32(3))})
	w.refused(&shape.ModifyVolumeInput{VolumeId: &id, Size: new(int32(2))}, "InvalidParameterValue")
	big := *call[shape.CreateSnapshotOutput](w, &shape.CreateSnapshotInput{VolumeId: &id}).SnapshotId
	w.refused(&shape.CreateVolumeInput{AvailabilityZone: new("us-east-1b"), SnapshotId: &big, Size: new(int32(2))}, "InvalidParameterValue")
	made := *call[shape.CreateVolumeOutput](w, &shape.CreateVolumeInput{AvailabilityZone: new("us-east-1b"), SnapshotId: &big}).VolumeId
	if v := w.seeVolume(made); *v.Size != 3 || *v.State != "available" {
		t.Errorf("of a snapshot of 3 GiB comes %d, %s", *v.Size, *v.State)
	}

	// In another region; the content is deleted with the last that stands on it.
	w.scope.Region = "eu-west-1"
	w.refused(&shape.CreateVolumeInput{AvailabilityZone: new("eu-west-1a"), SnapshotId: &n}, "InvalidSnapshot.NotFound")
	copied := *call[shape.CopySnapshotOutput](w, &shape.CopySnapshotInput{SourceRegion: new("us-east-1"), SourceSnapshotId: &n}).SnapshotId
	call[shape.CreateVolumeOutput](w, &shape.CreateVolumeInput{AvailabilityZone: new("eu-west-1a"), SnapshotId: &copied})
	w.scope.Region = "us-east-1"
	call[shape.DeleteSnapshotOutput](w, &shape.DeleteSnapshotInput{SnapshotId: &n})
	if _, there := w.snapshots[n]; !there {
		t.Error("the content went with the first")
	}
	w.scope.Region = "eu-west-1"
	call[shape.DeleteSnapshotOutput](w, &shape.DeleteSnapshotInput{SnapshotId: &copied})
	if _, there := w.snapshots[n]; there {
		t.Error("the content stays with nobody on it")
	}
}

// EC-IN-04: what a launch asks for is made and attached with it, and ends with it or not, as said.
func TestBlockDeviceMappings(t *testing.T) {
	w := newWorld(t, Options{})
	source := w.volume("us-east-1a")
	n := *call[shape.CreateSnapshotOutput](w, &shape.CreateSnapshotInput{VolumeId: &source}).SnapshotId
	id := w.run(1, func(in *shape.RunInstancesInput) {
		in.BlockDeviceMappings = []shape.BlockDeviceMapping{
			{DeviceName: new("/dev/sdf"), Ebs: &shape.EbsBlockDevice{VolumeSize: new(int32(2))}},
			{DeviceName: new("/dev/sdg"), Ebs: &shape.EbsBlockDevice{SnapshotId: &n, DeleteOnTermination: new(true)}},
		}
	})[0]
	devices := w.see(id).BlockDeviceMappings
	if len(devices) != 3 || *devices[1].Ebs.Status != "attached" {
		t.Fatalf("it has %d devices", len(devices))
	}
	kept, ended := *devices[1].Ebs.VolumeId, *devices[2].Ebs.VolumeId
	w.wantVolume(kept, "in-use", "attached")
	var spec Spec
	for _, wish := range w.wishes {
		if launch, ok := wish.(LaunchInstance); ok {
			spec = launch.Spec
		}
	}
	if len(spec.Volumes) != 2 || spec.Volumes[0] != (SpecVolume{kept, "/dev/sdf", 2 * gibi, ""}) || spec.Volumes[1] != (SpecVolume{ended, "/dev/sdg", gibi, n}) {
		t.Errorf("launched with %+v", spec.Volumes)
	}

	// An image of it carries a snapshot of each (EC-VO-05), and instances of that have such volumes.
	image := *call[shape.CreateImageOutput](w, &shape.CreateImageInput{InstanceId: &id, Name: new("with volumes"), NoReboot: new(true)}).ImageId
	of := call[shape.DescribeImagesOutput](w, &shape.DescribeImagesInput{ImageIds: []string{image}}).Images[0]
	if len(of.BlockDeviceMappings) != 3 || *of.State != "available" {
		t.Fatalf("the image is %s with %d devices", *of.State, len(of.BlockDeviceMappings))
	}
	inside := *of.BlockDeviceMappings[1].Ebs.SnapshotId
	w.refused(&shape.DeleteSnapshotInput{SnapshotId: &inside}, "InvalidSnapshot.InUse")
	second := w.run(1, func(in *shape.RunInstancesInput) { in.ImageId = &image })[0]
	if n := len(w.see(second).BlockDeviceMappings); n != 3 {
		t.Errorf("an instance of the image has %d devices", n)
	}
	call[shape.DeregisterImageOutput](w, &shape.DeregisterImageInput{ImageId: &image})
	call[shape.DeleteSnapshotOutput](w, &shape.DeleteSnapshotInput{SnapshotId: &inside})

	call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: []string{id}})
	w.wantVolume(kept, "available", "")
	w.refused(&shape.DeleteVolumeInput{VolumeId: &ended}, "InvalidVolume.NotFound")
	w.refused(&shape.RunInstancesInput{ImageId: new(builtins[0].ID), MinCount: new(int32(1)), MaxCount: new(int32(1)), BlockDeviceMappings: []shape.BlockDeviceMapping{
		{DeviceName: new("/dev/sdf"), Ebs: &shape.EbsBlockDevice{SnapshotId: new("snap-0123456789abcdef0")}},
	}}, "InvalidSnapshot.NotFound")
}

// Wishes that nothing is heard of are made again; what the world has otherwise than the rows is put right.
func TestVolumesAgainstTheInventory(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	w.hold = true
	vol := w.volume(w.zoneOf(id))
	w.hold = false
	w.now = w.now.Add(time.Minute)
	w.inventory() // not there: wished for again
	w.wantVolume(vol, "available", "")
	w.attach(vol, id)
	w.volumes[vol] = SeenVolume{vol, gibi, ""}
	w.now = w.now.Add(time.Second)
	w.inventory() // lost: attached again
	if w.volumes[vol].InstanceID != id {
		t.Error("an attachment that was lost stays lost")
	}
	w.volumes["vol-0123456789abcdef0"] = SeenVolume{"vol-0123456789abcdef0", gibi, id}
	w.snapshots["snap-0123456789abcdef0"] = SeenSnapshot{ID: "snap-0123456789abcdef0"}
	w.now = w.now.Add(time.Second)
	w.inventory()
	if len(w.volumes) != 1 || len(w.snapshots) != 0 {
		t.Errorf("zombies stay: %v, %v", w.volumes, w.snapshots)
	}

	// A snapshot of which nothing came is none: what it should hold has been written over.
	w.hold = true
	n := *call[shape.CreateSnapshotOutput](w, &shape.CreateSnapshotInput{VolumeId: &vol}).SnapshotId
	w.now = w.now.Add(time.Second)
	w.snapshots[n] = SeenSnapshot{ID: n, Pending: true}
	w.inventory()
	if got := *call[shape.DescribeSnapshotsOutput](w, &shape.DescribeSnapshotsInput{SnapshotIds: []string{n}}).Snapshots[0].State; got != "pending" {
		t.Errorf("while it is copied it is %s", got)
	}
	delete(w.snapshots, n)
	w.now = w.now.Add(time.Minute)
	w.inventory()
	if got := call[shape.DescribeSnapshotsOutput](w, &shape.DescribeSnapshotsInput{SnapshotIds: []string{n}}).Snapshots[0]; *got.State != "error" || *got.StateMessage != interrupted {
		t.Errorf("it is %s", *got.State)
	}
	w.hold = false
	w = w.reload()
	w.step(cloud.Tick{})
	w.wantVolume(vol, "in-use", "attached")
	delete(w.volumes, vol)
	w.now = w.now.Add(time.Second)
	w.inventory()
	w.wantVolume(vol, "error", "attached")
}

// A host without volumes says so at the call.
func TestNoVolumes(t *testing.T) {
	w := newWorld(t, Options{NoVolumes: "There are none."})
	if e := w.refused(&shape.CreateVolumeInput{AvailabilityZone: new("us-east-1a"), Size: new(int32(1))}, "UnsupportedOperation"); e.Message != "There are none." {
		t.Errorf("it says %q", e.Message)
	}
	w.refused(&shape.RunInstancesInput{ImageId: new(builtins[0].ID), MinCount: new(int32(1)), MaxCount: new(int32(1)), BlockDeviceMappings: []shape.BlockDeviceMapping{
		{DeviceName: new("/dev/sdf"), Ebs: &shape.EbsBlockDevice{VolumeSize: new(int32(1))}},
	}}, "UnsupportedOperation")
	w.run(1)
}
