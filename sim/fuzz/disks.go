package fuzz

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// disks are the volumes and snapshots of the world.
type disks struct {
	volumes   map[string]ec2.SeenVolume
	snapshots map[string]ec2.SeenSnapshot
}

func newDisks() disks {
	return disks{map[string]ec2.SeenVolume{}, map[string]ec2.SeenSnapshot{}}
}

// free detaches the volumes of an instance that is no more.
func (d disks) free(instance string) {
	for id, v := range d.volumes {
		if v.InstanceID == instance {
			v.InstanceID = ""
			d.volumes[id] = v
		}
	}
}

// attach is what a host answers: whether the instance has the volume now.
func (d disks) attach(id, instance string) bool {
	v, there := d.volumes[id]
	if there && v.InstanceID == "" {
		v.InstanceID = instance
		d.volumes[id] = v
	}
	return there && v.InstanceID == instance
}

// bring makes what an instance shall boot with.
func (d disks) bring(s ec2.Spec) {
	for _, v := range s.Volumes {
		if _, there := d.volumes[v.ID]; !there {
			d.volumes[v.ID] = ec2.SeenVolume{ID: v.ID, Bytes: v.Bytes}
		}
		d.attach(v.ID, s.ID)
	}
}

// store has the world answer a wish about volumes and snapshots.
func (r *run) store(e cloud.Effect) {
	switch e := e.(type) {
	case ec2.CreateVolumeData:
		if r.strikes(Launch, 60) {
			r.tell(ec2.VolumeFailed{ID: e.ID, Message: "It cannot be made."})
			return
		}
		if _, there := r.disks.volumes[e.ID]; !there {
			r.disks.volumes[e.ID] = ec2.SeenVolume{ID: e.ID, Bytes: e.Bytes}
		}
		r.tell(ec2.VolumeCreated{ID: e.ID})
	case ec2.AttachVolumeData:
		switch {
		case r.strikes(Launch, 60):
			r.tell(ec2.AttachFailed{ID: e.ID, InstanceID: e.InstanceID, Message: "It cannot be attached."})
		case r.hosts[e.InstanceID] != nil && r.disks.attach(e.ID, e.InstanceID):
			r.tell(ec2.VolumeAttached{ID: e.ID, InstanceID: e.InstanceID})
		}
	case ec2.DetachVolumeData:
		if !e.Force && r.strikes(Hang, 60) {
			r.tell(ec2.VolumeBusy{ID: e.ID, InstanceID: e.InstanceID})
			return
		}
		if v := r.disks.volumes[e.ID]; v.InstanceID == e.InstanceID {
			v.InstanceID = ""
			r.disks.volumes[e.ID] = v
		}
		r.tell(ec2.VolumeDetached{ID: e.ID, InstanceID: e.InstanceID})
	case ec2.ResizeVolumeData:
		if v, there := r.disks.volumes[e.ID]; there {
			v.Bytes = max(v.Bytes, e.Bytes)
			r.disks.volumes[e.ID] = v
			r.tell(ec2.VolumeResized{ID: e.ID, Bytes: v.Bytes})
		}
	case ec2.DeleteVolumeData:
		if r.disks.volumes[e.ID].InstanceID == "" {
			delete(r.disks.volumes, e.ID)
			r.tell(ec2.VolumeDeleted{ID: e.ID})
		}
	case ec2.TakeSnapshot:
		if _, there := r.disks.volumes[e.VolumeID]; !there || r.strikes(Launch, 60) {
			r.tell(ec2.SnapshotFailed{ID: e.ID, Message: "It cannot be taken."})
			return
		}
		r.disks.snapshots[e.ID] = ec2.SeenSnapshot{ID: e.ID, Pending: true}
		r.later(r.between(time.Second, time.Minute), event{what: func() {
			if _, there := r.disks.snapshots[e.ID]; there {
				r.disks.snapshots[e.ID] = ec2.SeenSnapshot{ID: e.ID}
				r.tell(ec2.SnapshotTaken{ID: e.ID})
			}
		}})
	case ec2.DeleteSnapshotData:
		delete(r.disks.snapshots, e.ID)
		r.tell(ec2.SnapshotDeleted{ID: e.ID})
	}
}
