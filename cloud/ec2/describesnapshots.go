package ec2

import (
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

var snapshotFields = fields[Snapshot]{
	"snapshot-id":  func(_ *cloud.Tx, n Snapshot) []string { return one(n.ID) },
	"volume-id":    func(_ *cloud.Tx, n Snapshot) []string { return one(n.VolumeID) },
	"owner-id":     func(_ *cloud.Tx, n Snapshot) []string { return one(n.Owner) },
	"owner-alias":  func(_ *cloud.Tx, n Snapshot) []string { return one(n.alias()) },
	"status":       func(_ *cloud.Tx, n Snapshot) []string { return one(n.State) },
	"progress":     func(_ *cloud.Tx, n Snapshot) []string { return one(n.progress()) },
	"volume-size":  func(_ *cloud.Tx, n Snapshot) []string { return one(strconv.Itoa(n.Size)) },
	"description":  func(_ *cloud.Tx, n Snapshot) []string { return one(n.Description) },
	"start-time":   func(_ *cloud.Tx, n Snapshot) []string { return stamp(n.Created) },
	"encrypted":    func(_ *cloud.Tx, n Snapshot) []string { return yes(n.Encrypted) },
	"storage-tier": func(*cloud.Tx, Snapshot) []string { return one("standard") },
}

func (n Snapshot) alias() string { return Image{Owner: n.Owner}.alias() }

func (n Snapshot) progress() string {
	if n.State == snapshotCompleted {
		return "100%"
	}
	return "0%"
}

// visibleSnapshots gives all snapshots that the scope may see, those of images among them, in order of ID.
func (s *Service) visibleSnapshots(tx *cloud.Tx) []Snapshot {
	all := rowsOf(s.snapshots.All(tx))
	for _, to := range []string{"all", tx.Scope.Account} {
		for _, n := range s.sharedSnapshots.Index.Each(to, "") {
			if n.Owner != tx.Scope.Account && n.Region == tx.Scope.Region {
				all = append(all, n)
			}
		}
	}
	for _, i := range s.visibleImages(tx) {
		if _, _, kept := s.snapshotIDs.Find(i.SnapshotID); !kept {
			all = append(all, i.snapshot())
		}
	}
	all = slices.DeleteFunc(all, func(n Snapshot) bool { return n.State == snapshotDeleted })
	slices.SortFunc(all, func(a, b Snapshot) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(all, func(a, b Snapshot) bool { return a.ID == b.ID })
}

// DescribeSnapshots lists snapshots by ID, owner, who may use them, and filters.
func (s *Service) DescribeSnapshots(tx *cloud.Tx, in *shape.DescribeSnapshotsInput) (*shape.DescribeSnapshotsOutput, error) {
	id := func(n Snapshot) string { return n.ID }
	match, err := matcher(s, snapshotFields, id, in.Filters)
	if err != nil {
		return nil, err
	}
	all := s.visibleSnapshots(tx)
	for _, want := range in.SnapshotIds {
		if !slices.ContainsFunc(all, func(n Snapshot) bool { return n.ID == want }) {
			return nil, noSnapshot(want)
		}
	}
	var found []Snapshot
	for _, n := range all {
		as := Image{Owner: n.Owner, Public: n.Public, LaunchAccounts: n.Accounts}
		if (len(in.SnapshotIds) == 0 || slices.Contains(in.SnapshotIds, n.ID)) && as.owned(tx, in.OwnerIds) && as.executable(tx, in.RestorableByUserIds) && match(tx, n) {
			found = append(found, n)
		}
	}
	found, next := pageOf(found, id, in.MaxResults, in.NextToken)
	out := &shape.DescribeSnapshotsOutput{NextToken: next}
	for _, n := range found {
		out.Snapshots = append(out.Snapshots, s.snapshotShape(tx, n))
	}
	return out, nil
}

func (s *Service) snapshotShape(tx *cloud.Tx, n Snapshot) shape.Snapshot {
	out := shape.Snapshot{
		SnapshotId: new(n.ID), OwnerId: new(n.Owner), OwnerAlias: optional(n.alias()), Description: new(n.Description), State: new(n.State),
		StateMessage: optional(n.Message), Progress: new(n.progress()), StartTime: new(n.Created), VolumeSize: new(int32(n.Size)),
		Encrypted: new(n.Encrypted), KmsKeyId: optional(n.KmsKeyID), StorageTier: new("standard"), VolumeId: new(n.VolumeID), Tags: tagShapes(s.Tags(tx, n.ID)),
	}
	if !n.Completed.IsZero() {
		out.CompletionTime = new(n.Completed)
	}
	return out
}

// shared gives a snapshot of the scope whose sharing can be changed.
func (s *Service) shared(tx *cloud.Tx, id string) (Snapshot, error) {
	n, ok := s.snapshots.Get(tx, id)
	switch _, visible := s.Snapshot(tx, id); {
	case ok && n.State != snapshotDeleted:
		return n, nil
	case visible:
		return n, api.Errorf("OperationNotPermitted", "The snapshot '%s' belongs to an image or to another account: share the image.", id)
	}
	return n, noSnapshot(id)
}

// DescribeSnapshotAttribute tells who may make volumes of a snapshot.
func (s *Service) DescribeSnapshotAttribute(tx *cloud.Tx, in *shape.DescribeSnapshotAttributeInput) (*shape.DescribeSnapshotAttributeOutput, error) {
	n, own := s.ownSnapshot(tx, api.Value(in.SnapshotId))
	if !own {
		return nil, noSnapshot(api.Value(in.SnapshotId))
	}
	out := &shape.DescribeSnapshotAttributeOutput{SnapshotId: new(n.ID)}
	switch attribute := api.Value(in.Attribute); attribute {
	case "createVolumePermission":
		out.CreateVolumePermissions = []shape.CreateVolumePermission{}
		if n.Public {
			out.CreateVolumePermissions = append(out.CreateVolumePermissions, shape.CreateVolumePermission{Group: new("all")})
		}
		for _, account := range n.Accounts {
			out.CreateVolumePermissions = append(out.CreateVolumePermissions, shape.CreateVolumePermission{UserId: new(account)})
		}
	case "productCodes":
		out.ProductCodes = []shape.ProductCode{}
	default:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", attribute)
	}
	return out, nil
}

// ModifySnapshotAttribute changes who may make volumes of a snapshot.
func (s *Service) ModifySnapshotAttribute(tx *cloud.Tx, in *shape.ModifySnapshotAttributeInput) (*shape.ModifySnapshotAttributeOutput, error) {
	n, err := s.shared(tx, api.Value(in.SnapshotId))
	if err != nil {
		return nil, err
	}
	as := Image{Public: n.Public, LaunchAccounts: n.Accounts}
	if p := in.CreateVolumePermission; p != nil {
		for _, add := range p.Add {
			as.permit(api.Value(add.Group), api.Value(add.UserId), true)
		}
		for _, remove := range p.Remove {
			as.permit(api.Value(remove.Group), api.Value(remove.UserId), false)
		}
	}
	may := api.Value(in.OperationType) != "remove"
	for _, group := range in.GroupNames {
		as.permit(group, "", may)
	}
	for _, user := range in.UserIds {
		as.permit("", user, may)
	}
	n.Public, n.Accounts = as.Public, as.LaunchAccounts
	s.snapshots.Put(tx, n.ID, n)
	return &shape.ModifySnapshotAttributeOutput{}, nil
}

// ResetSnapshotAttribute makes a snapshot its owner's alone.
func (s *Service) ResetSnapshotAttribute(tx *cloud.Tx, in *shape.ResetSnapshotAttributeInput) (*shape.ResetSnapshotAttributeOutput, error) {
	n, err := s.shared(tx, api.Value(in.SnapshotId))
	if err != nil {
		return nil, err
	}
	if attribute := api.Value(in.Attribute); attribute != "createVolumePermission" {
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", attribute)
	}
	n.Public, n.Accounts = false, nil
	s.snapshots.Put(tx, n.ID, n)
	return &shape.ResetSnapshotAttributeOutput{}, nil
}
