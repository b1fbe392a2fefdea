package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// BenchmarkVolumes measures attaching, from the call until the instance has the device, and the call of CreateSnapshot on a
// mounted volume of 1 GB with 200 MB in it, while a program writes to it.
func BenchmarkVolumes(b *testing.B) {
	asRoot(b)
	needVolumes(b)
	s := start(b)
	id := s.runInstance("#!/bin/sh\n")
	client := ec2.NewFromConfig(s.sdk())
	zone := s.zoneOf(id)
	volume := *must(b, func(ctx context.Context) (*ec2.CreateVolumeOutput, error) {
		return client.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: &zone, Size: new(int32(1))})
	}).VolumeId
	await := func(holds func(types.Volume) bool) {
		b.Helper()
		eventually(b, 20*time.Second, "the volume is as it shall be", func() bool {
			all := must(b, func(ctx context.Context) (*ec2.DescribeVolumesOutput, error) {
				return client.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{volume}})
			})
			return holds(all.Volumes[0])
		})
	}
	available := func(v types.Volume) bool { return v.State == types.VolumeStateAvailable }
	attached := func(v types.Volume) bool {
		return len(v.Attachments) > 0 && v.Attachments[0].State == types.VolumeAttachmentStateAttached
	}
	await(available)
	attach := func() time.Duration {
		began := time.Now()
		must(b, func(ctx context.Context) (*ec2.AttachVolumeOutput, error) {
			return client.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &volume, InstanceId: &id, Device: new("/dev/sdf")})
		})
		await(attached)
		return time.Since(began)
	}
	var attaching, calls, complete []time.Duration
	first := true
	for b.Loop() {
		attaching = append(attaching, attach())
		if first {
			s.sh(id, "mkfs.ext4 -q /dev/sdf && mkdir /data")
			first = false
		}
		s.sh(id, "mount /dev/sdf /data && dd if=/dev/urandom of=/data/block bs=1M count=200 2>/dev/null && sync")
		s.sh(id, "(while echo row >> /data/rows; do :; done) >/dev/null 2>&1 & echo $! > /run/writer")
		began := time.Now()
		snapshot := *must(b, func(ctx context.Context) (*ec2.CreateSnapshotOutput, error) {
			return client.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: &volume})
		}).SnapshotId
		calls = append(calls, time.Since(began))
		eventually(b, 30*time.Second, "the snapshot is complete", func() bool {
			return must(b, func(ctx context.Context) (*ec2.DescribeSnapshotsOutput, error) {
				return client.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{snapshot}})
			}).Snapshots[0].State == types.SnapshotStateCompleted
		})
		complete = append(complete, time.Since(began))
		s.sh(id, "kill $(cat /run/writer); until umount /data 2>/dev/null; do sleep 0.01; done")
		must(b, func(ctx context.Context) (*ec2.DeleteSnapshotOutput, error) {
			return client.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: &snapshot})
		})
		must(b, func(ctx context.Context) (*ec2.DetachVolumeOutput, error) {
			return client.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &volume})
		})
		await(available)
	}
	b.ReportMetric(milliseconds(quantile(attaching, 0.5)), "ms-attach")
	b.ReportMetric(milliseconds(quantile(attaching, 1)), "ms-attach-max")
	b.ReportMetric(milliseconds(quantile(calls, 0.5)), "ms-snapshot-call")
	b.ReportMetric(milliseconds(quantile(calls, 1)), "ms-snapshot-call-max")
	b.ReportMetric(milliseconds(quantile(complete, 0.5)), "ms-snapshot-complete")
}
