package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/driver"
)

// volumeOf is the ID that effects about one volume or snapshot are put in order by; "" for other effects.
func volumeOf(e cloud.Effect) string {
	switch e := e.(type) {
	case ec2.CreateVolumeData:
		return e.ID
	case ec2.DeleteVolumeData:
		return e.ID
	case ec2.AttachVolumeData:
		return e.ID
	case ec2.DetachVolumeData:
		return e.ID
	case ec2.ResizeVolumeData:
		return e.ID
	case ec2.TakeSnapshot: // not behind what is going on with its volume: it is about now
		return e.ID
	case ec2.DeleteSnapshotData:
		return e.ID
	}
	return ""
}

// storage carries out a wish about a volume or a snapshot and returns what came of it. What the world is not ready for, a
// volume that is still somewhere else, is no failure: the inventory sets it right and the wish is made again.
func (i *instances) storage(ctx context.Context, e cloud.Effect) []cloud.Fact {
	switch e := e.(type) {
	case ec2.CreateVolumeData:
		return i.outcome(ctx, i.driver.CreateVolume(ctx, e.ID, e.Bytes, e.SnapshotID), "create", e.ID, ec2.VolumeCreated{ID: e.ID},
			func(why string) cloud.Fact { return ec2.VolumeFailed{ID: e.ID, Message: why} })
	case ec2.DeleteVolumeData:
		return i.result(i.driver.DeleteVolume(ctx, e.ID), "delete", e.ID, ec2.VolumeDeleted{ID: e.ID})
	case ec2.AttachVolumeData:
		err := i.driver.AttachVolume(ctx, e.ID, e.InstanceID, e.Device)
		if errors.Is(err, driver.ErrBusy) || errors.Is(err, driver.ErrNotFound) {
			return i.result(err, "attach", e.ID)
		}
		return i.outcome(ctx, err, "attach", e.ID, ec2.VolumeAttached{ID: e.ID, InstanceID: e.InstanceID},
			func(why string) cloud.Fact {
				return ec2.AttachFailed{ID: e.ID, InstanceID: e.InstanceID, Message: why}
			})
	case ec2.DetachVolumeData:
		err := i.driver.DetachVolume(ctx, e.ID, e.InstanceID, e.Force)
		if errors.Is(err, driver.ErrBusy) {
			return []cloud.Fact{ec2.VolumeBusy{ID: e.ID, InstanceID: e.InstanceID}}
		}
		return i.result(err, "detach", e.ID, ec2.VolumeDetached{ID: e.ID, InstanceID: e.InstanceID})
	case ec2.ResizeVolumeData:
		return i.result(i.driver.ResizeVolume(ctx, e.ID, e.Bytes), "resize", e.ID, ec2.VolumeResized{ID: e.ID, Bytes: e.Bytes})
	case ec2.TakeSnapshot:
		return i.take(ctx, e)
	case ec2.DeleteSnapshotData:
		return i.result(i.driver.DeleteSnapshot(ctx, e.ID), "delete", e.ID, ec2.SnapshotDeleted{ID: e.ID})
	}
	return nil
}

// outcome is a fact for each way in which a wish can end, but for the end of the daemon.
func (i *instances) outcome(ctx context.Context, err error, what, id string, good cloud.Fact, bad func(why string) cloud.Fact) []cloud.Fact {
	switch {
	case err == nil:
		return []cloud.Fact{good}
	case ctx.Err() != nil:
		return nil
	}
	i.log.Warn("a volume or snapshot failed", "wish", what, "id", id, "error", err)
	why := err.Error()
	var known *driver.Error
	if errors.As(err, &known) {
		why = known.Message
	}
	return []cloud.Fact{bad(why)}
}

func (i *instances) take(ctx context.Context, e ec2.TakeSnapshot) []cloud.Fact {
	taken := i.moments.of(e.ID)
	defer i.moments.pass(e.ID, taken)
	err := i.driver.CreateSnapshot(ctx, e.ID, e.VolumeID, taken.pass)
	return i.outcome(ctx, err, "snapshot", e.ID, ec2.SnapshotTaken{ID: e.ID}, func(why string) cloud.Fact {
		return ec2.SnapshotFailed{ID: e.ID, Message: why}
	})
}

// bring makes the volumes of an instance that are not there yet, and says under which names it has them.
func (i *instances) bring(ctx context.Context, s ec2.Spec) (all []driver.Attachment, err error) {
	for _, v := range s.Volumes {
		if err := i.driver.CreateVolume(ctx, v.ID, v.Bytes, v.SnapshotID); err != nil {
			return nil, err
		}
		all = append(all, driver.Attachment{VolumeID: v.ID, Device: v.Device})
	}
	return all, nil
}

// momentPatience bounds how long the answer to CreateSnapshot waits for the snapshot's moment.
const momentPatience = 25 * time.Millisecond

// moments lets the answer to CreateSnapshot wait for the instant at which the content of the snapshot is settled, so that
// what a client writes after the answer is not in it (EC-VO-03).
type moments struct{ all sync.Map }

type moment struct {
	once sync.Once
	over chan struct{}
}

func (m *moment) pass() { m.once.Do(func() { close(m.over) }) }

func (m *moments) of(id string) *moment {
	one, _ := m.all.LoadOrStore(id, &moment{over: make(chan struct{})})
	return one.(*moment)
}

// pass has a moment be over, and forgets it when nobody can ask for it any more.
func (m *moments) pass(id string, one *moment) {
	one.pass()
	time.AfterFunc(time.Minute, func() { m.all.Delete(id) })
}

// await waits for the moments of the snapshots that an answer tells of.
func (m *moments) await(ctx context.Context, reply any) {
	var ids []string
	switch reply := reply.(type) {
	case *shape.CreateSnapshotOutput:
		ids = append(ids, *reply.SnapshotId)
	case *shape.CreateSnapshotsOutput:
		for _, n := range reply.Snapshots {
			ids = append(ids, *n.SnapshotId)
		}
	default:
		return
	}
	ctx, cancel := context.WithTimeout(ctx, momentPatience)
	defer cancel()
	for _, id := range ids {
		one := m.of(id)
		select {
		case <-one.over:
		case <-ctx.Done(): // it will never come, or late
			time.AfterFunc(time.Minute, func() { m.all.Delete(id) })
		}
	}
}
