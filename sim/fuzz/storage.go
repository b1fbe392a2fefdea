package fuzz

import (
	"slices"

	"github.com/billow-cloud/billow/cloud/ec2"
)

// Storage outlives instances, and nobody misses it until it is needed: so its rows are held against each other as they
// change, and against the host's disks in the end.

// checkVolume: a volume is at one device of an instance of its zone, and holds what it was made of.
func (r *run) checkVolume(scope string, v *ec2.Volume) {
	if n := r.snapshot(scope + v.SnapshotID); n != nil && v.SnapshotID != "" && v.State == "creating" && (v.Size < n.Size || n.Encrypted && !v.Encrypted) {
		r.fail("a volume is no smaller and no less encrypted than its snapshot", "%s is of %s", encoded(v), encoded(n))
	}
	if v.Attachment.InstanceID == "" {
		return
	}
	i := r.rows.instances[scope+v.Attachment.InstanceID]
	if i == nil || i.Zone != v.Zone || !slices.ContainsFunc(i.Volumes, func(d ec2.Device) bool { return d.ID == v.ID && d.Device == v.Attachment.Device }) {
		r.fail("a volume is attached to an instance of its zone", "%s, and the instance is %s", encoded(v), encoded(i))
	}
	devices := map[string]bool{}
	for _, d := range i.Volumes {
		if devices[d.Device] {
			r.fail("a device is one volume", "%s is twice at %s", d.Device, encoded(i))
		}
		devices[d.Device] = true
	}
}

func (r *run) snapshot(key string) *ec2.Snapshot {
	n, _ := r.rows.tables[ec2.Name+".snapshots"][key].value.(*ec2.Snapshot)
	return n
}

func (r *run) image(key string) *ec2.Image {
	i, _ := r.rows.tables[ec2.Name+".images"][key].value.(*ec2.Image)
	return i
}

// checkSnapshot: none goes that an image stands on.
func (r *run) checkSnapshot(scope string, was, is *ec2.Snapshot) {
	if was == nil || was.State == "deleted" || is != nil && is.State != "deleted" {
		return
	}
	for _, key := range sortedKeys(r.rows.tables[ec2.Name+".images"]) {
		i := r.image(key)
		if scopeOf(key).String()+"/" != scope || i.State == "deregistered" || i.State == "failed" {
			continue
		}
		if i.SnapshotID == was.ID || slices.ContainsFunc(i.Devices, func(d ec2.BlockDevice) bool { return d.SnapshotID == was.ID }) {
			r.fail("an image has its snapshots", "%s goes, and there is %s", encoded(was), encoded(i))
		}
	}
}

// settledStorage: when nothing is on its way any more, the host has what the rows say, and nothing else.
func (r *run) settledStorage() {
	const gibi = 1 << 30
	known := map[string]bool{} // volumes, snapshots and images that the host may have
	for _, key := range sortedKeys(r.rows.tables[ec2.Name+".volumes"]) {
		v := r.rows.tables[ec2.Name+".volumes"][key].value.(*ec2.Volume)
		on, there := r.disks.volumes[v.ID]
		known[v.ID] = true
		switch {
		case v.State == "error":
		case v.Wish != "" || v.State != "available" && v.State != "in-use" || v.Attachment.State != "" && v.Attachment.State != "attached":
			r.fail("everything comes to its end", "volume %s", encoded(v))
		case !there || on.InstanceID != v.Attachment.InstanceID || on.Bytes < int64(v.Size)*gibi:
			r.fail("volumes are what their rows say", "%s, and the host has %s", encoded(v), encoded(on))
		}
	}
	for _, key := range sortedKeys(r.rows.tables[ec2.Name+".snapshots"]) {
		n := r.snapshot(key)
		_, there := r.disks.snapshots[n.Content]
		known[n.Content] = true
		switch {
		case n.State == "error":
		case n.State != "completed":
			r.fail("everything comes to its end", "snapshot %s", encoded(n))
		case !there && !(n.Root && r.images[n.Content]):
			r.fail("what a snapshot holds is there", "%s", encoded(n))
		}
	}
	for _, key := range sortedKeys(r.rows.tables[ec2.Name+".images"]) {
		i := r.image(key)
		known[i.Content] = true
		switch {
		case i.State == "pending" || i.State == "deregistered":
			r.fail("everything comes to its end", "image %s", encoded(i))
		case i.State == "available" && i.Content != "" && !r.images[i.Content]:
			r.fail("what an image holds is there", "%s", encoded(i))
		}
	}
	for _, id := range slices.Concat(sortedKeys(r.disks.volumes), sortedKeys(r.disks.snapshots), sortedKeys(r.images)) {
		if !known[id] {
			r.fail("there are no zombies", "%s is on the host's disk and nowhere else", id)
		}
	}
}
