package ec2

import (
	"cmp"
	"slices"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// Snapshot states (EC-VO-01).
const (
	snapshotPending   = "pending"
	snapshotCompleted = "completed"
	snapshotError     = "error"
	snapshotDeleted   = "deleted" // the row waits until the host has forgotten the content
)

// Snapshot is the row of a snapshot, but for those of the root volumes of images, which are made up from the image's row.
//
//	CreateSnapshot -> pending --[SnapshotTaken]--> completed --DeleteSnapshot--> deleted --[SnapshotDeleted]--> gone
//	                     '------[SnapshotFailed]---> error -----DeleteSnapshot-----'
type Snapshot struct {
	ID, VolumeID, Description string
	Owner, Region             string
	State, Message            string
	Size                      int // GiB
	Created, Completed        time.Time
	Changed                   time.Time // of the state, or of the last wish: older facts do not count
	Encrypted                 bool
	KmsKeyID                  string `json:",omitempty"` // ARN
	Content                   string // what the driver knows it as: copies share it
	Root                      bool   // of a root volume: for the driver, an image
	ImageID                   string // that it is taken for; what becomes of that becomes of it
	Public                    bool
	Accounts                  []string // that may make volumes of it besides the owner
}

// copiedVolume is what snapshots are of that were not taken of a volume here.
const copiedVolume = "vol-ffffffff"

func noSnapshot(id string) error {
	if !wellFormed("snap-", id) {
		return api.Errorf("InvalidParameterValue", "Value (%s) for parameter snapshotId is invalid. Expected: 'snap-...'.", id)
	}
	return api.Errorf("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
}

func (n Snapshot) visible(account string) bool {
	return n.Owner == account || n.Public || slices.Contains(n.Accounts, account)
}

// Snapshot gives a snapshot that volumes of the scope may be made of: its own, public, or shared with its account.
func (s *Service) Snapshot(tx *cloud.Tx, id string) (Snapshot, bool) {
	if _, n, ok := s.snapshotIDs.Find(id); ok {
		return n, n.State != snapshotDeleted && n.Region == tx.Scope.Region && n.visible(tx.Scope.Account)
	}
	for _, i := range s.visibleImages(tx) {
		if i.SnapshotID == id {
			return i.snapshot(), true
		}
	}
	return Snapshot{}, false
}

// ownSnapshot gives a snapshot of the scope's account.
func (s *Service) ownSnapshot(tx *cloud.Tx, id string) (Snapshot, bool) {
	if n, ok := s.snapshots.Get(tx, id); ok {
		return n, n.State != snapshotDeleted
	}
	i, ok := s.snapshotImage(tx, id)
	return i.snapshot(), ok
}

// snapshot makes up the row of an image's root snapshot.
func (i Image) snapshot() Snapshot {
	n := Snapshot{
		ID: i.SnapshotID, VolumeID: cmp.Or(i.RootVolumeID, copiedVolume), Description: i.snapshotDescription(), Owner: i.Owner, Region: i.Region,
		State: snapshotCompleted, Size: i.Size, Created: i.Created, Completed: i.Created, Encrypted: i.Root.Encrypted, KmsKeyID: i.Root.KmsKeyID,
		Content: i.Content, Root: true, ImageID: i.ID, Public: i.Public, Accounts: i.LaunchAccounts,
	}
	switch i.State {
	case imagePending:
		n.State, n.Completed = snapshotPending, time.Time{}
	case imageFailed:
		n.State, n.Message = snapshotError, i.StateReason.Message
	}
	return n
}

// newSnapshot makes a snapshot of a volume, pending; the caller makes the wish.
func (s *Service) newSnapshot(tx *cloud.Tx, v Volume, description string, tags []Tag) Snapshot {
	n := Snapshot{
		ID: tx.ID("snap-"), VolumeID: v.ID, Description: description, Owner: tx.Scope.Account, Region: tx.Scope.Region, State: snapshotPending,
		Size: v.Size, Created: tx.Now().Truncate(time.Millisecond), Changed: tx.Now(), Encrypted: v.Encrypted, KmsKeyID: v.KmsKeyID, Root: v.Root,
	}
	n.Content = n.ID
	s.snapshots.Put(tx, n.ID, n)
	s.Tag(tx, n.ID, tags)
	return n
}

// take makes a snapshot and wishes for it. That of a root volume is an image for the driver.
func (s *Service) take(tx *cloud.Tx, v Volume, description string, tags []Tag) (Snapshot, error) {
	if v.State != volumeAvailable && v.State != volumeInUse {
		return Snapshot{}, api.Errorf("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, v.State)
	}
	n := s.newSnapshot(tx, v, description, tags)
	if v.Root {
		tx.Wish(CaptureImage{ImageID: n.Content, InstanceID: v.Attachment.InstanceID})
	} else {
		tx.Wish(TakeSnapshot{ID: n.Content, VolumeID: v.ID})
	}
	return n, nil
}

// CreateSnapshot keeps what a volume holds now (EC-VO-03).
func (s *Service) CreateSnapshot(tx *cloud.Tx, in *shape.CreateSnapshotInput) (*shape.CreateSnapshotOutput, error) {
	tags, err := specTags(in.TagSpecifications, "snapshot")
	if err != nil {
		return nil, err
	}
	v, _, err := s.volume(tx, api.Value(in.VolumeId))
	if err != nil {
		return nil, err
	}
	n, err := s.take(tx, v, api.Value(in.Description), tags)
	if err != nil {
		return nil, err
	}
	return new(shape.CreateSnapshotOutput(s.snapshotShape(tx, n))), nil
}

// CreateSnapshots keeps what all volumes of an instance hold now.
func (s *Service) CreateSnapshots(tx *cloud.Tx, in *shape.CreateSnapshotsInput) (*shape.CreateSnapshotsOutput, error) {
	tags, err := specTags(in.TagSpecifications, "snapshot")
	if err != nil {
		return nil, err
	}
	i, err := s.instance(tx, api.Value(in.InstanceSpecification.InstanceId))
	if err != nil {
		return nil, err
	}
	if i.State != Running && i.State != Stopped && i.State != Stopping {
		return nil, api.Errorf("IncorrectState", "Instance '%s' is not 'running' or 'stopped'.", i.ID)
	}
	out := &shape.CreateSnapshotsOutput{}
	for n, d := range i.Volumes {
		if n == 0 && api.Value(in.InstanceSpecification.ExcludeBootVolume) || slices.Contains(in.InstanceSpecification.ExcludeDataVolumeIds, d.ID) {
			continue
		}
		v, _, err := s.volume(tx, d.ID)
		if err != nil {
			return nil, err
		}
		own := tags
		if in.CopyTagsFromSource != nil {
			own = mergedTags(userTags(s.Tags(tx, v.ID)), tags)
		}
		made, err := s.take(tx, v, api.Value(in.Description), own)
		if err != nil {
			return nil, err
		}
		full := s.snapshotShape(tx, made)
		out.Snapshots = append(out.Snapshots, shape.SnapshotInfo{
			SnapshotId: full.SnapshotId, VolumeId: full.VolumeId, VolumeSize: full.VolumeSize, State: full.State, Progress: full.Progress,
			StartTime: full.StartTime, OwnerId: full.OwnerId, Description: full.Description, Encrypted: full.Encrypted, Tags: full.Tags,
		})
	}
	return out, nil
}

// CopySnapshot makes another snapshot of the same content, from this region or another one: all of them share the host.
func (s *Service) CopySnapshot(tx *cloud.Tx, in *shape.CopySnapshotInput) (*shape.CopySnapshotOutput, error) {
	tags, err := specTags(in.TagSpecifications, "snapshot")
	if err != nil {
		return nil, err
	}
	id := api.Value(in.SourceSnapshotId)
	var source Snapshot
	there := false
	tx.In(cloud.Scope{Account: tx.Scope.Account, Region: api.Value(in.SourceRegion)}, func() { source, there = s.Snapshot(tx, id) })
	switch {
	case !there:
		return nil, noSnapshot(id)
	case source.ImageID != "" && source.Owner != tx.Scope.Account: // who may launch an image may not have what it is made of
		return nil, api.Errorf("InvalidRequest", "You do not have permission to access the snapshot '%s'.", id)
	case source.State != snapshotCompleted:
		return nil, api.Errorf("IncorrectState", "Snapshot is in invalid state - %s", source.State)
	}
	if source.Encrypted, source.KmsKeyID, err = encryption(tx, api.Value(in.Encrypted), api.Value(in.KmsKeyId), source); err != nil {
		return nil, err
	}
	n := s.copySnapshot(tx, source, cmp.Or(api.Value(in.Description), "[Copied "+id+" from "+api.Value(in.SourceRegion)+"]"))
	s.Tag(tx, n.ID, tags)
	tx.Emit(Name, SnapshotNotification{
		ID: n.ID, Event: "copySnapshot", Source: "snapshot/" + id, SourceRegion: api.Value(in.SourceRegion), Began: n.Created, Ended: n.Completed,
	})
	return &shape.CopySnapshotOutput{SnapshotId: new(n.ID), Tags: tagShapes(s.Tags(tx, n.ID))}, nil
}

// copySnapshot makes a snapshot of the scope with the content of another one.
func (s *Service) copySnapshot(tx *cloud.Tx, n Snapshot, description string) Snapshot {
	now := tx.Now().Truncate(time.Millisecond)
	n.ID, n.Owner, n.Region, n.Public, n.Accounts, n.ImageID = tx.ID("snap-"), tx.Scope.Account, tx.Scope.Region, false, nil, ""
	n.VolumeID, n.Description, n.Created, n.Completed, n.Changed = copiedVolume, description, now, now, tx.Now()
	s.snapshots.Put(tx, n.ID, n)
	return n
}

// DeleteSnapshot takes a snapshot away that no image stands on. Volumes made of it live on.
func (s *Service) DeleteSnapshot(tx *cloud.Tx, in *shape.DeleteSnapshotInput) (*shape.DeleteSnapshotOutput, error) {
	id := api.Value(in.SnapshotId)
	n, own := s.ownSnapshot(tx, id)
	if !own {
		if _, visible := s.Snapshot(tx, id); visible {
			return nil, api.Errorf("OperationNotPermitted", "The snapshot '%s' belongs to another account.", id)
		}
		return nil, noSnapshot(id)
	}
	if user := s.snapshotUser(tx, id); user != "" {
		return nil, api.Errorf("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", id, user)
	}
	s.deleteSnapshot(tx, n)
	return &shape.DeleteSnapshotOutput{}, nil
}

// snapshotUser gives an image that stands on a snapshot; empty if there is none.
func (s *Service) snapshotUser(tx *cloud.Tx, id string) string {
	for _, i := range s.imageSnapshots.Each(tx, id) {
		if i.State != imageDeregistered && i.State != imageFailed {
			return i.ID
		}
	}
	return ""
}

func (s *Service) deleteSnapshot(tx *cloud.Tx, n Snapshot) {
	s.tags.Delete(tx, n.ID)
	n.State, n.Changed = snapshotDeleted, tx.Now()
	s.snapshots.Put(tx, n.ID, n)
	s.forgetContent(tx, n)
}

// forgetContent wishes that the content of a deleted snapshot is forgotten, or drops the row if something stands on it still.
func (s *Service) forgetContent(tx *cloud.Tx, n Snapshot) {
	switch {
	case s.contentUsed(n.Content):
		s.snapshots.Delete(tx, n.ID)
	case n.Root:
		tx.Wish(DeleteImage{ImageID: n.Content})
	default:
		tx.Wish(DeleteSnapshotData{ID: n.Content})
	}
}

// snapshotSeen takes the facts about one snapshot.
func (s *Service) snapshotSeen(tx *cloud.Tx, f cloud.Fact) {
	switch f := f.(type) {
	case SnapshotTaken:
		s.snapshotOver(tx, f.ID, "")
	case SnapshotFailed:
		s.snapshotOver(tx, f.ID, cmp.Or(f.Message, "The snapshot could not be taken."))
	case SnapshotDeleted:
		for _, n := range s.withContent(f.ID) {
			if n.row.State == snapshotDeleted {
				tx.In(n.scope, func() { s.snapshots.Delete(tx, n.row.ID) })
			}
		}
	}
}

type placed struct {
	scope cloud.Scope
	row   Snapshot
}

// withContent lists the snapshots that stand on a content, in all scopes.
func (s *Service) withContent(content string) (all []placed) {
	for _, n := range s.snapshotContents.Index.Each(content, "") {
		all = append(all, placed{cloud.Scope{Account: n.Owner, Region: n.Region}, n})
	}
	return all
}

// snapshotOver takes the fact that a snapshot is there or, with a message, that it will not be.
func (s *Service) snapshotOver(tx *cloud.Tx, content, failure string) {
	for _, n := range s.withContent(content) {
		if n.row.State != snapshotPending {
			continue
		}
		row := n.row
		row.State, row.Changed, row.Message = snapshotCompleted, tx.Now(), failure
		if failure != "" {
			row.State = snapshotError
		} else {
			row.Completed = tx.Now().Truncate(time.Millisecond)
		}
		tx.In(n.scope, func() {
			s.snapshots.Put(tx, row.ID, row)
			tx.Emit(Name, SnapshotNotification{
				ID: row.ID, Event: "createSnapshot", Failure: failure, Source: "volume/" + row.VolumeID, SourceRegion: row.Region, Began: row.Created, Ended: tx.Now(),
			})
		})
	}
}

// interrupted is why a snapshot failed of which nothing was heard: its moment has passed.
const interrupted = "The snapshot was interrupted, and what it should hold is no more: take another one."

// snapshotsSeen compares the host's snapshots with the rows.
func (s *Service) snapshotsSeen(tx *cloud.Tx, f Inventory) {
	seen := make(map[string]SeenSnapshot, len(f.Snapshots))
	for _, x := range f.Snapshots {
		if seen[x.ID] = x; len(s.withContent(x.ID)) == 0 {
			tx.Wish(DeleteSnapshotData{ID: x.ID}) // a zombie
		}
	}
	for _, id := range f.Images { // those of root volumes are images for the host
		if seen[id] = (SeenSnapshot{ID: id}); len(s.withContent(id)) == 0 && !s.ofImage(id) {
			tx.Wish(DeleteImage{ImageID: id}) // a zombie
		}
	}
	for key, n := range s.snapshots.Everywhere() {
		if !n.Changed.Before(f.Began) || n.State != snapshotPending && n.State != snapshotDeleted {
			continue
		}
		x, there := seen[n.Content]
		lost := f.late(n.Changed)
		if n.Root { // while it is made, it does not show
			lost = f.First || f.Began.Sub(n.Changed) >= lastPatience
		}
		switch {
		case n.State == snapshotDeleted && there:
			tx.In(key.Scope, func() { s.forgetContent(tx, n) })
		case n.State == snapshotDeleted:
			tx.In(key.Scope, func() { s.snapshots.Delete(tx, n.ID) })
		case n.ImageID != "": // the image's wish brings it
		case there && !x.Pending:
			s.snapshotOver(tx, n.Content, "")
		case !there && lost:
			s.snapshotOver(tx, n.Content, interrupted)
		}
	}
}
