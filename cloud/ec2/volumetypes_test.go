package ec2

import (
	"strconv"
	"strings"
	"testing"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
)

func TestVolumeTypes(t *testing.T) {
	for _, x := range []struct {
		asked Measure
		want  string // what it has; or the code and a part of the text
	}{
		{Measure{"gp2", 1, 0, 0}, "100 0"},
		{Measure{"gp2", 1000, 0, 0}, "3000 0"},
		{Measure{"gp2", 16384, 0, 0}, "16000 0"},
		{Measure{"gp2", 16385, 0, 0}, "InvalidParameterValue too large"},
		{Measure{"gp2", 10, 100, 0}, "InvalidParameterCombination iops is not supported for gp2"},
		{Measure{"gp2", 10, 0, 200}, "InvalidParameterCombination throughput is not supported for gp2"},
		{Measure{"gp3", 1, 0, 0}, "3000 125"},
		{Measure{"gp3", 10, 2999, 0}, "InvalidParameterValue too low; minimum is 3000."},
		{Measure{"gp3", 10, 5000, 0}, "5000 125"},
		{Measure{"gp3", 20, 15000, 0}, "InvalidParameterValue Iops to volume size ratio of 750.000000 is too high; maximum is 500"},
		{Measure{"gp3", 1000, 80001, 0}, "InvalidParameterValue maximum is 80000"},
		{Measure{"gp3", 10, 3000, 1000}, "InvalidParameterValue Throughput (MiBps) to iops ratio of 0.333333 is too high; maximum is 0.250000 MiBps per iops"},
		{Measure{"gp3", 10, 0, 750}, "3000 750"},
		{Measure{"gp3", 10, 0, 100}, "InvalidParameterValue minimum is 125"},
		{Measure{"gp3", 100, 20000, 2001}, "InvalidParameterValue maximum is 2000"},
		{Measure{"io1", 10, 0, 0}, "InvalidParameterCombination The parameter iops must be specified for io1 volumes."},
		{Measure{"io1", 10, 500, 0}, "500 0"},
		{Measure{"io1", 10, 501, 0}, "InvalidParameterValue maximum is 50"},
		{Measure{"io1", 3, 150, 0}, "InvalidParameterValue too small"},
		{Measure{"io2", 10, 10000, 0}, "10000 0"},
		{Measure{"io2", 10, 99, 0}, "InvalidParameterValue minimum is 100"},
		{Measure{"st1", 124, 0, 0}, "InvalidParameterValue minimum is 125GiB"},
		{Measure{"standard", 1024, 0, 0}, "0 0"},
		{Measure{"gp9", 1, 0, 0}, "UnknownVolumeType gp9"},
	} {
		m := x.asked
		err := m.check()
		if err == nil {
			if got := strings.TrimSpace(strconv.Itoa(m.Iops) + " " + strconv.Itoa(m.Throughput)); got != x.want {
				t.Errorf("%+v has %s, want %s", x.asked, got, x.want)
			}
			continue
		}
		code, text, _ := strings.Cut(x.want, " ")
		if e := err.(*api.Error); e.Code != code || !strings.Contains(e.Message, text) {
			t.Errorf("%+v: %v, want %s", x.asked, err, x.want)
		}
	}
}

// What an encrypted snapshot is made into is encrypted, and a key needs encryption.
func TestEncryptionIsInherited(t *testing.T) {
	w := newWorld(t, Options{})
	create := func(change func(*shape.CreateVolumeInput)) shape.Volume {
		t.Helper()
		in := &shape.CreateVolumeInput{AvailabilityZone: new("us-east-1a")}
		change(in)
		return w.seeVolume(*call[shape.CreateVolumeOutput](w, in).VolumeId)
	}
	w.refused(&shape.CreateVolumeInput{AvailabilityZone: new("us-east-1a"), Size: new(int32(1)), KmsKeyId: new("alias/mine")}, "InvalidParameterDependency")
	const key = "arn:aws:kms:us-east-1:123456789012:key/7f1a"
	v := create(func(in *shape.CreateVolumeInput) {
		in.Size, in.Encrypted, in.KmsKeyId = new(int32(1)), new(true), new("7f1a")
	})
	if *v.KmsKeyId != key {
		t.Errorf("the key is %s", *v.KmsKeyId)
	}
	n := call[shape.CreateSnapshotOutput](w, &shape.CreateSnapshotInput{VolumeId: v.VolumeId})
	if of := create(func(in *shape.CreateVolumeInput) { in.SnapshotId = n.SnapshotId }); !*n.Encrypted || !*of.Encrypted || *of.KmsKeyId != key {
		t.Errorf("of an encrypted snapshot comes %+v", of)
	}
	id := w.run(1, func(in *shape.RunInstancesInput) {
		in.BlockDeviceMappings = []shape.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &shape.EbsBlockDevice{SnapshotId: n.SnapshotId}}}
	})[0]
	if of := w.seeVolume(*w.see(id).BlockDeviceMappings[1].Ebs.VolumeId); !*of.Encrypted || *of.KmsKeyId != key {
		t.Errorf("of an encrypted snapshot comes, with an instance, %+v", of)
	}
	plain := create(func(in *shape.CreateVolumeInput) { in.Size = new(int32(1)) })
	if *plain.Encrypted || plain.KmsKeyId != nil {
		t.Errorf("nobody asked for encryption: %+v", plain)
	}
}

// A launch checks its volumes as CreateVolume does, and the root's size against the image (EC-VO-03).
func TestLaunchRefusesVolumes(t *testing.T) {
	w := newWorld(t, Options{})
	for _, x := range []struct {
		device string
		ebs    shape.EbsBlockDevice
		code   string
	}{
		{"/dev/xvda", shape.EbsBlockDevice{VolumeSize: new(int32(7))}, "InvalidBlockDeviceMapping"},
		{"/dev/xvda", shape.EbsBlockDevice{SnapshotId: new("snap-0123456789abcdef0")}, "InvalidBlockDeviceMapping"},
		{"/dev/xvda", shape.EbsBlockDevice{VolumeType: new("io1")}, "InvalidParameterCombination"},
		{"/dev/sdf", shape.EbsBlockDevice{}, "MissingParameter"},
		{"/dev/sdf", shape.EbsBlockDevice{VolumeSize: new(int32(1)), Iops: new(int32(200))}, "InvalidParameterCombination"},
		{"/dev/sdf", shape.EbsBlockDevice{VolumeSize: new(int32(1)), VolumeType: new("gp3"), Iops: new(int32(90000))}, "InvalidParameterValue"},
		{"/dev/sdf", shape.EbsBlockDevice{VolumeSize: new(int32(1)), VolumeType: new("io2")}, "InvalidParameterValue"},
		{"/dev/sdf", shape.EbsBlockDevice{VolumeSize: new(int32(1)), KmsKeyId: new("alias/mine")}, "InvalidParameterDependency"},
	} {
		w.refused(&shape.RunInstancesInput{
			ImageId: new(builtins[0].ID), InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(1)),
			BlockDeviceMappings: []shape.BlockDeviceMapping{{DeviceName: new(x.device), Ebs: &x.ebs}},
		}, x.code)
	}
}

// The last change of a root volume is told, too.
func TestModifiedRootVolume(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	root := *w.see(id).BlockDeviceMappings[0].Ebs.VolumeId
	w.refused(&shape.DescribeVolumesModificationsInput{VolumeIds: []string{root}}, "InvalidVolumeModification.NotFound")
	call[shape.ModifyVolumeOutput](w, &shape.ModifyVolumeInput{VolumeId: &root, Size: new(int32(20))})
	w = w.reload()
	m := call[shape.DescribeVolumesModificationsOutput](w, &shape.DescribeVolumesModificationsInput{VolumeIds: []string{root}}).VolumesModifications[0]
	if *m.ModificationState != "completed" || *m.OriginalSize != 8 || *m.TargetSize != 20 || *w.seeVolume(root).Size != 20 {
		t.Errorf("the change is %+v", m)
	}
}
