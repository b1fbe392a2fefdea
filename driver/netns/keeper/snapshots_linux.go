package keeper

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
)

// snapshot is a file that nobody writes to any more.
type snapshot struct {
	record snapshotRecord
	over   chan struct{} // closed when it is complete, or has failed
	err    error         // then
}

type snapshotRecord struct{ Bytes int64 }

var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// stillLimit bounds how long a volume that is in use stands still for a copy,
// where the file system cannot share blocks.
const stillLimit = 60 * time.Second

var noDeadline time.Time

func snapshotContent(id string) string { return filepath.Join(snapshotDir, id+".img") }
func snapshotPath(id string) string    { return filepath.Join(snapshotDir, id+".json") }

func (s *snapshot) complete() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// createSnapshot keeps the content of a volume. While it copies, the volume's
// wish is held, so that nothing can be attached that would change the content.
func (k *keeper) createSnapshot(id, volumeID string, taken func()) error {
	if !driver.ValidID(id) {
		return driver.Errorf(driver.CodeInvalid, "%q is not a valid snapshot ID.", id)
	}
	s := &snapshot{over: make(chan struct{})}
	k.mu.Lock()
	if other := k.snapshots[id]; other != nil {
		k.mu.Unlock()
		taken()
		<-other.over
		return other.err
	}
	k.snapshots[id] = s
	k.mu.Unlock()
	err := k.withVolume(volumeID, func(v *volume) error {
		s.record.Bytes = v.record.Bytes
		return k.takeSnapshot(id, v, taken)
	})
	if err == nil {
		err = writeJSON(snapshotPath(id), s.record)
	}
	if err != nil {
		if !errors.Is(err, driver.ErrNotFound) {
			err = explain("Taking snapshot "+id, err)
		}
		os.Remove(snapshotContent(id))
		k.mu.Lock()
		delete(k.snapshots, id)
		k.mu.Unlock()
	}
	s.err = err
	close(s.over)
	return err
}

func (k *keeper) takeSnapshot(id string, v *volume, taken func()) error {
	in, err := os.Open(v.content())
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(snapshotContent(id), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	release, err := k.hold(v)
	if err != nil {
		return err
	}
	taken() // from here on nothing is written to it before it is copied
	deadline := noDeadline
	if v.loop != nil {
		deadline = time.Now().Add(stillLimit)
	}
	if !share(out, in) {
		err = copySparse(out, in, deadline)
	}
	release()
	if err == nil {
		err = out.Truncate(v.record.Bytes)
	}
	if err == nil {
		err = out.Sync()
	}
	return err
}

func (k *keeper) deleteSnapshot(id string) error {
	k.mu.Lock()
	s := k.snapshots[id]
	k.mu.Unlock()
	if s == nil {
		return nil
	}
	<-s.over
	k.mu.Lock()
	delete(k.snapshots, id)
	k.mu.Unlock()
	return errors.Join(ignoreMissing(os.Remove(snapshotPath(id))), ignoreMissing(os.Remove(snapshotContent(id))))
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// hold has the content of a volume stand still until release is called, with
// all that was written before in the file: by freezing its file system or, if
// it has none that is mounted, its instance's programs.
func (k *keeper) hold(v *volume) (release func(), err error) {
	if v.loop == nil {
		return func() {}, nil
	}
	i := k.find(v.record.InstanceID)
	if i == nil {
		return func() {}, v.loop.flush()
	}
	b := k.current(i)
	if b == nil {
		return func() {}, v.loop.flush()
	}
	if kind := b.mounts.kindOn(v.id); kind != "" {
		if release, err = v.loop.freeze(kind); err == nil {
			return release, nil
		}
		if !errors.Is(err, unix.EOPNOTSUPP) {
			return nil, err
		}
	}
	release = func() {}
	if b.place.freeze() {
		release = b.place.thaw
	}
	return release, v.loop.flush()
}

// share has a file stand on the blocks of another one, if the file system can
// do that.
func share(out, in *os.File) bool {
	return unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) == nil
}

var errTooSlow = driver.Errorf(driver.CodeInternal, "The volume holds too much to be copied while it stands still; detach it or stop its instance for the snapshot, "+
	"or keep the data directory on a file system that shares blocks (xfs, btrfs).")

// copySparse copies what is not a hole.
func copySparse(out, in *os.File, deadline time.Time) error {
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := out.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); at < info.Size(); {
		start, err := in.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // a hole to the end
		}
		if err != nil {
			return err
		}
		end, err := in.Seek(start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		for at = start; at < end; {
			if !deadline.IsZero() && time.Now().After(deadline) {
				return errTooSlow
			}
			from, to := at, at
			n, err := unix.CopyFileRange(int(in.Fd()), &from, int(out.Fd()), &to, int(min(end-at, 8<<20)), 0)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return err
			}
			if n == 0 {
				return io.ErrUnexpectedEOF
			}
			at += int64(n)
		}
	}
	return nil
}
