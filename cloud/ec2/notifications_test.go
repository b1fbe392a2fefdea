package ec2

import (
	"regexp"
	"slices"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/ec2"
)

var requestIDs = regexp.MustCompile(`"request-id":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"`)

// wantTold compares what EventBridge was told since the last time.
func (w *world) wantTold(want ...string) {
	w.t.Helper()
	var got []string
	for _, text := range w.events.told {
		got = append(got, requestIDs.ReplaceAllString(text, `"request-id":"*"`))
	}
	if w.events.told = nil; !slices.Equal(got, want) {
		w.t.Errorf("told\n%q, want\n%q", got, want)
	}
}

// TestVolumesTellEventBridge: "EBS Volume Notification" and "EBS Snapshot Notification", as AWS documents them.
func TestVolumesTellEventBridge(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	volume := w.volume(w.zoneOf(id))
	about := func(id, result, cause, event string) string {
		return `EBS Volume Notification [arn:aws:ec2:us-east-1:123456789012:volume/` + id + `] {"result":"` + result + `","cause":"` + cause + `","event":"` + event + `","request-id":"*"}`
	}
	w.wantTold(about(volume, "available", "", "createVolume"))
	w.attach(volume, id)
	w.wantTold(about(volume, "attached", "", "attachVolume"))
	call[shape.ModifyVolumeOutput](w, &shape.ModifyVolumeInput{VolumeId: &volume, Size: new(int32(2))})
	w.wantTold(about(volume, "optimizing", "", "modifyVolume"), about(volume, "completed", "", "modifyVolume"))
	call[shape.ModifyVolumeOutput](w, &shape.ModifyVolumeInput{VolumeId: &volume, VolumeType: new("gp3")})
	w.wantTold(about(volume, "optimizing", "", "modifyVolume"), about(volume, "completed", "", "modifyVolume"))

	w.hold = true
	snapshot := *call[shape.CreateSnapshotOutput](w, &shape.CreateSnapshotInput{VolumeId: &volume}).SnapshotId
	w.wantTold()
	w.pass(time.Second)
	w.observe(SnapshotTaken{snapshot})
	w.wantTold(`EBS Snapshot Notification [arn:aws:ec2::us-east-1:snapshot/` + snapshot + `] {"event":"createSnapshot","result":"succeeded","cause":"","request-id":"",` +
		`"snapshot_id":"arn:aws:ec2::us-east-1:snapshot/` + snapshot + `","source":"arn:aws:ec2::us-east-1:volume/` + volume + `","startTime":"2026-11-20T12:00:00Z","endTime":"2026-11-20T12:00:01Z"}`)
	failed := *call[shape.CreateSnapshotOutput](w, &shape.CreateSnapshotInput{VolumeId: &volume}).SnapshotId
	w.observe(SnapshotFailed{failed, "no room"})
	w.wantTold(`EBS Snapshot Notification [arn:aws:ec2::us-east-1:snapshot/` + failed + `] {"event":"createSnapshot","result":"failed","cause":"no room","request-id":"",` +
		`"snapshot_id":"arn:aws:ec2::us-east-1:snapshot/` + failed + `","source":"arn:aws:ec2::us-east-1:volume/` + volume + `","startTime":"2026-11-20T12:00:01Z","endTime":"2026-11-20T12:00:01Z"}`)
	copied := *call[shape.CopySnapshotOutput](w, &shape.CopySnapshotInput{SourceSnapshotId: &snapshot, SourceRegion: new("us-east-1")}).SnapshotId
	w.wantTold(`EBS Snapshot Notification [arn:aws:ec2::us-east-1:snapshot/` + copied + `] {"event":"copySnapshot","result":"succeeded","cause":"","request-id":"",` +
		`"snapshot_id":"arn:aws:ec2::us-east-1:snapshot/` + copied + `","source":"arn:aws:ec2::us-east-1:snapshot/` + snapshot + `","startTime":"2026-11-20T12:00:01Z","endTime":"2026-11-20T12:00:01Z",` +
		`"incremental":"true","transferType":"standard"}`)

	call[shape.DetachVolumeOutput](w, &shape.DetachVolumeInput{VolumeId: &volume})
	w.observe(VolumeDetached{volume, id})
	w.attach(volume, id)
	w.observe(AttachFailed{volume, id, "no device"})
	w.wantTold(about(volume, "failed", "no device", "attachVolume"))
	call[shape.DeleteVolumeOutput](w, &shape.DeleteVolumeInput{VolumeId: &volume})
	w.wantTold()
	w.observe(VolumeDeleted{volume})
	w.wantTold(about(volume, "deleted", "", "deleteVolume"))
	bad := w.volume(w.zoneOf(id))
	w.observe(VolumeFailed{bad, "the disk is full"})
	w.wantTold(about(bad, "failed", "the disk is full", "createVolume"))
	call[shape.DeleteVolumeOutput](w, &shape.DeleteVolumeInput{VolumeId: &bad})
	w.observe(VolumeDeleted{bad})
	w.events.told, w.hold = nil, false

	with := w.run(1, func(in *shape.RunInstancesInput) {
		in.BlockDeviceMappings = []shape.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &shape.EbsBlockDevice{VolumeSize: new(int32(1)), DeleteOnTermination: new(true)}}}
	})[0]
	own := *w.see(with).BlockDeviceMappings[1].Ebs.VolumeId
	w.wantTold(about(own, "available", "", "createVolume"), about(own, "attached", "", "attachVolume"))
	call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: []string{with}})
	w.wantTold(about(own, "deleted", "", "deleteVolume"))
}
