package drivertest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/billow-cloud/billow/driver"
)

const mebi = 1 << 20

// volumeOf gives the volume's line of the inventory.
func volumeOf(t *testing.T, ctx context.Context, d driver.Driver, id string) (driver.Volume, bool) {
	t.Helper()
	all, err := d.Inventory(ctx)
	ok(t, err)
	for _, v := range all.Volumes {
		if v.ID == id {
			return v, true
		}
	}
	return driver.Volume{}, false
}

func expectAttached(t *testing.T, ctx context.Context, d driver.Driver, id, instance, device string) {
	t.Helper()
	if v, there := volumeOf(t, ctx, d, id); !there || v.InstanceID != instance || v.Device != device {
		t.Fatalf("%s is attached to %q as %q (exists: %v), want %q, %q", id, v.InstanceID, v.Device, there, instance, device)
	}
}

func refused(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want: %v", what, got, want)
	}
}

func snap(ctx context.Context, d driver.Driver, id, volume string) error {
	return d.CreateSnapshot(ctx, id, volume, func() {})
}

// volumeRecords is what holds without anything running inside.
func (s suite) volumeRecords(t *testing.T) {
	dir := directory(t)
	d, ctx := s.openAt(t, dir)
	if why := d.NoVolumes(); why != "" {
		err := d.CreateVolume(ctx, "vol-1", mebi, "")
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("there are no volumes, %q, but the answer is %v", why, err)
		}
		t.Skip(why)
	}
	ok(t, d.Launch(ctx, plain("i-1", "172.31.5.10")))
	ok(t, d.Launch(ctx, plain("i-2", "172.31.5.11")))
	for range 2 { // every wish may be repeated
		ok(t, d.CreateVolume(ctx, "vol-1", 8*mebi, ""))
		ok(t, d.AttachVolume(ctx, "vol-1", "i-1", "/dev/sdf"))
	}
	expectAttached(t, ctx, d, "vol-1", "i-1", "/dev/sdf")
	refused(t, "attached elsewhere", d.AttachVolume(ctx, "vol-1", "i-2", "/dev/sdf"), driver.ErrBusy)
	refused(t, "deleted while attached", d.DeleteVolume(ctx, "vol-1"), driver.ErrBusy)
	refused(t, "to nobody", d.AttachVolume(ctx, "vol-1", "i-nobody", "/dev/sdf"), driver.ErrNotFound)
	refused(t, "of nothing", d.AttachVolume(ctx, "vol-none", "i-1", "/dev/sdg"), driver.ErrNotFound)
	if d.AttachVolume(ctx, "vol-1", "i-1", "/dev/null") == nil {
		t.Error("a volume can be called /dev/null")
	}
	ok(t, d.CreateVolume(ctx, "vol-2", mebi, ""))
	refused(t, "the name is taken", d.AttachVolume(ctx, "vol-2", "i-1", "/dev/xvdf"), driver.ErrBusy)
	ok(t, d.ResizeVolume(ctx, "vol-1", 16*mebi))
	if d.ResizeVolume(ctx, "vol-1", mebi) == nil {
		t.Error("a volume shrinks")
	}
	for range 2 {
		ok(t, snap(ctx, d, "snap-1", "vol-1"))
	}
	refused(t, "snapshot of nothing", snap(ctx, d, "snap-2", "vol-none"), driver.ErrNotFound)
	if d.CreateVolume(ctx, "vol-3", mebi, "snap-1") == nil {
		t.Error("a volume smaller than its snapshot")
	}
	if d.CreateVolume(ctx, "vol-3", 16*mebi, "snap-none") == nil {
		t.Error("a volume of no snapshot")
	}
	ok(t, d.CreateVolume(ctx, "vol-3", 32*mebi, "snap-1"))
	for range 2 {
		ok(t, d.DeleteSnapshot(ctx, "snap-1"))
		ok(t, d.DetachVolume(ctx, "vol-1", "i-1", false))
		ok(t, d.DeleteVolume(ctx, "vol-3"))
	}
	expectAttached(t, ctx, d, "vol-1", "", "")
	s.volumesOverLives(t, dir, d, ctx)
}

// volumesOverLives goes on: what becomes of volumes over launches, ends, and drivers.
func (s suite) volumesOverLives(t *testing.T, dir string, d driver.Driver, ctx context.Context) {
	// At launch, and over the end of the instance.
	spec := plain("i-3", "172.31.5.12")
	spec.Volumes = []driver.Attachment{{VolumeID: "vol-2", Device: "/dev/xvdb"}}
	ok(t, d.Launch(ctx, spec))
	expectAttached(t, ctx, d, "vol-2", "i-3", "/dev/xvdb")
	ok(t, d.Stop(ctx, "i-3", true))
	ok(t, d.AttachVolume(ctx, "vol-1", "i-3", "/dev/sdg")) // a stopped instance takes volumes too
	ok(t, d.Start(ctx, spec))
	expectAttached(t, ctx, d, "vol-1", "i-3", "/dev/sdg")
	ok(t, d.Terminate(ctx, "i-3"))
	expectAttached(t, ctx, d, "vol-1", "", "")
	expectAttached(t, ctx, d, "vol-2", "", "")
	spec.ID, spec.Volumes[0].VolumeID = "i-4", "vol-none"
	if d.Launch(ctx, spec) == nil {
		t.Error("an instance starts without its volume")
	}

	// The next driver finds them.
	ok(t, snap(ctx, d, "snap-4", "vol-1"))
	ok(t, d.AttachVolume(ctx, "vol-1", "i-1", "/dev/sdf"))
	d.Close()
	d, ctx = s.openAt(t, dir)
	expectAttached(t, ctx, d, "vol-1", "i-1", "/dev/sdf")
	all, err := d.Inventory(ctx)
	ok(t, err)
	if len(all.Volumes) != 2 || len(all.Snapshots) != 1 || all.Snapshots[0] != (driver.Snapshot{ID: "snap-4", Bytes: 16 * mebi}) {
		t.Errorf("the next driver finds %+v, %+v", all.Volumes, all.Snapshots)
	}
	ok(t, d.Reset(ctx))
	if all, err = d.Inventory(ctx); err != nil || len(all.Volumes)+len(all.Snapshots) > 0 {
		t.Errorf("after a reset there are %+v, %+v, %v", all.Volumes, all.Snapshots, err)
	}
}

// volumes is a disk's life as programs inside see it.
func (s suite) volumes(t *testing.T) {
	d, ctx := s.open(t)
	if why := d.NoVolumes(); why != "" {
		t.Skip(why)
	}
	ok(t, d.CreateVolume(ctx, "vol-1", 64*mebi, ""))
	spec := plain("i-1", "172.31.5.10")
	spec.Volumes = []driver.Attachment{{VolumeID: "vol-1", Device: "/dev/sdf"}}
	spec.UserData = []byte("#!/bin/sh -e\nmkfs.ext4 -q /dev/sdf\nmkdir /data\nmount /dev/sdf /data\necho first > /data/row\nsync\n")
	ok(t, d.Launch(ctx, spec))
	if e := event(t, d, "i-1", driver.Booted); e.ExitStatus != 0 {
		console, _ := d.Console(ctx, "i-1")
		t.Fatalf("user data failed: %s", console)
	}
	sh(t, ctx, d, "i-1", "test -b /dev/xvdf && grep -q '^/dev/.* /data ext4 rw,nodev' /proc/mounts")

	// What may not be.
	for _, script := range []string{
		"mount -t tmpfs none /mnt", "mount --bind / /mnt", "mount -o remount,rw /proc/sys", "umount /proc", "umount /dev",
		"mount /dev/loop-control /mnt", "su ec2-user -c 'umount /data'", "mount -o remount,dev /data && mknod /data/disk b 8 0",
	} {
		if code, output := run(t, ctx, d, "i-1", "sh", "-c", script); code == 0 {
			t.Errorf("%s works: %s", script, output)
		}
	}
	refused(t, "detached while mounted", d.DetachVolume(ctx, "vol-1", "i-1", false), driver.ErrBusy)

	// Growing it, with the file system on it.
	ok(t, d.ResizeVolume(ctx, "vol-1", 128*mebi))
	grow := "umount /data && e2fsck -fp /dev/sdf && resize2fs /dev/sdf && mount /dev/sdf /data"
	if s.kind.GrowsMounted {
		grow = "resize2fs /dev/sdf"
	}
	sh(t, ctx, d, "i-1", "("+grow+") 2>&1 && test $(df -m --output=size /data | tail -1) -gt 100")

	// A snapshot holds what was written before it was taken and nothing after.
	sh(t, ctx, d, "i-1", "dd if=/dev/zero of=/data/zeros bs=1M count=20 2>/dev/null; sync; echo before >> /data/row")
	taken := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- d.CreateSnapshot(ctx, "snap-1", "vol-1", func() { close(taken) }) }()
	<-taken
	sh(t, ctx, d, "i-1", "echo after >> /data/row; sync")
	ok(t, <-done)
	// Whoever does it, a mount that is over holds nothing any more when the program goes on.
	sh(t, ctx, d, "i-1", "for n in $(seq 30); do mount -o remount,ro /data && mount -o remount,rw /data && umount /data && mount /dev/xvdf /data || exit 1; done; umount /dev/xvdf")

	// Another instance gets what the snapshot holds.
	ok(t, d.CreateVolume(ctx, "vol-2", 128*mebi, "snap-1"))
	ok(t, d.Launch(ctx, plain("i-2", "172.31.5.11")))
	ok(t, d.AttachVolume(ctx, "vol-2", "i-2", "/dev/sdh"))
	if got := sh(t, ctx, d, "i-2", "mount /dev/sdh /mnt && cat /mnt/row"); got != "first\nbefore" {
		t.Errorf("the snapshot holds %q", got)
	}
	// A restart keeps the device; what was mounted has to be mounted again.
	ok(t, d.Stop(ctx, "i-2", false))
	ok(t, d.Start(ctx, plain("i-2", "172.31.5.11")))
	sh(t, ctx, d, "i-2", "mount /dev/sdh /mnt && echo third >> /mnt/row && umount /mnt")
	ok(t, d.DetachVolume(ctx, "vol-2", "i-2", false))
	if code, _ := run(t, ctx, d, "i-2", "test", "-e", "/dev/sdh"); code == 0 {
		t.Error("the device stays after the volume was detached")
	}

	// Force takes it away from whoever has it.
	sh(t, ctx, d, "i-1", "mount /dev/sdf /data && (cd /data && sleep 100 >/dev/null 2>&1 &) && echo forced >> /data/row")
	ok(t, d.DetachVolume(ctx, "vol-1", "i-1", true))
	ok(t, d.AttachVolume(ctx, "vol-1", "i-2", "/dev/sdf"))
	if got := sh(t, ctx, d, "i-2", "mount /dev/sdf /mnt && cat /mnt/row"); got != "first\nbefore\nafter\nforced" {
		t.Errorf("the volume holds %q", got)
	}
	ok(t, d.Terminate(ctx, "i-2"))
	ok(t, d.DeleteVolume(ctx, "vol-1"))
	expectState(t, ctx, d, "i-1", driver.Running)
}
