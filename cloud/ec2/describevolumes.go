package ec2

import (
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

func attachment(get func(Attachment) []string) func(*cloud.Tx, Volume) []string {
	return func(_ *cloud.Tx, v Volume) []string {
		if v.Attachment.InstanceID == "" {
			return nil
		}
		return get(v.Attachment)
	}
}

var volumeFields = fields[Volume]{
	"volume-id":                        func(_ *cloud.Tx, v Volume) []string { return one(v.ID) },
	"size":                             func(_ *cloud.Tx, v Volume) []string { return one(strconv.Itoa(v.Size)) },
	"snapshot-id":                      func(_ *cloud.Tx, v Volume) []string { return one(v.SnapshotID) },
	"volume-type":                      func(_ *cloud.Tx, v Volume) []string { return one(v.Type) },
	"encrypted":                        func(_ *cloud.Tx, v Volume) []string { return yes(v.Encrypted) },
	"multi-attach-enabled":             func(*cloud.Tx, Volume) []string { return yes(false) },
	"fast-restored":                    func(*cloud.Tx, Volume) []string { return yes(false) },
	"status":                           func(_ *cloud.Tx, v Volume) []string { return one(v.State) },
	"availability-zone":                func(_ *cloud.Tx, v Volume) []string { return one(v.Zone) },
	"availability-zone-id":             func(_ *cloud.Tx, v Volume) []string { return one(ZoneID(v.Zone)) },
	"create-time":                      func(_ *cloud.Tx, v Volume) []string { return stamp(v.Created) },
	"attachment.instance-id":           attachment(func(a Attachment) []string { return one(a.InstanceID) }),
	"attachment.device":                attachment(func(a Attachment) []string { return one(a.Device) }),
	"attachment.status":                attachment(func(a Attachment) []string { return one(a.State) }),
	"attachment.attach-time":           attachment(func(a Attachment) []string { return stamp(a.Since) }),
	"attachment.delete-on-termination": attachment(func(a Attachment) []string { return yes(a.DeleteOnTermination) }),
}

// allVolumes gives the volumes of the scope in order of ID, those asked for or all.
func (s *Service) allVolumes(tx *cloud.Tx, ids []string, fields fields[Volume], filters []shape.Filter) ([]Volume, error) {
	match, err := matcher(s, fields, func(v Volume) string { return v.ID }, filters)
	if err != nil {
		return nil, err
	}
	var found []Volume
	for _, id := range ids {
		v, _, err := s.volume(tx, id)
		if err != nil {
			return nil, err
		}
		found = append(found, v)
	}
	if len(ids) == 0 {
		found = rowsOf(s.volumes.All(tx))
		for _, i := range s.instances.All(tx) {
			if len(i.Volumes) > 0 {
				found = append(found, rootVolume(i))
			}
		}
	}
	found = slices.DeleteFunc(found, func(v Volume) bool { return !match(tx, v) })
	slices.SortFunc(found, func(a, b Volume) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(found, func(a, b Volume) bool { return a.ID == b.ID }), nil
}

// DescribeVolumes lists volumes, those of instances' roots among them.
func (s *Service) DescribeVolumes(tx *cloud.Tx, in *shape.DescribeVolumesInput) (*shape.DescribeVolumesOutput, error) {
	if in.VolumeIds != nil && in.MaxResults != nil {
		return nil, api.Errorf("InvalidParameterCombination", "The parameter volumeIds cannot be used with the parameter maxResults")
	}
	found, err := s.allVolumes(tx, in.VolumeIds, volumeFields, in.Filters)
	if err != nil {
		return nil, err
	}
	found, next := pageOf(found, func(v Volume) string { return v.ID }, in.MaxResults, in.NextToken)
	out := &shape.DescribeVolumesOutput{NextToken: next}
	for _, v := range found {
		out.Volumes = append(out.Volumes, s.volumeShape(tx, v))
	}
	return out, nil
}

func (s *Service) volumeShape(tx *cloud.Tx, v Volume) shape.Volume {
	out := shape.Volume{
		VolumeId: new(v.ID), Size: new(int32(v.Size)), SnapshotId: new(v.SnapshotID), VolumeType: new(v.Type), State: new(v.State),
		Encrypted: new(v.Encrypted), AvailabilityZone: new(v.Zone), AvailabilityZoneId: new(ZoneID(v.Zone)), CreateTime: new(v.Created),
		Iops: optional(int32(v.Iops)), Throughput: optional(int32(v.Throughput)), MultiAttachEnabled: new(false), Tags: tagShapes(s.Tags(tx, v.ID)),
		KmsKeyId: optional(v.KmsKeyID),
	}
	if v.Attachment.InstanceID != "" {
		out.Attachments = []shape.VolumeAttachment{v.attachmentShape()}
	}
	return out
}

func (v Volume) attachmentShape() shape.VolumeAttachment {
	a := v.Attachment
	return shape.VolumeAttachment{
		VolumeId: new(v.ID), InstanceId: new(a.InstanceID), Device: new(a.Device), State: new(a.State), AttachTime: new(a.Since),
		DeleteOnTermination: new(a.DeleteOnTermination),
	}
}

// DescribeVolumeStatus tells of each volume that is not about to end that it is well, or not.
func (s *Service) DescribeVolumeStatus(tx *cloud.Tx, in *shape.DescribeVolumeStatusInput) (*shape.DescribeVolumeStatusOutput, error) {
	status := func(v Volume) string {
		switch v.State {
		case volumeError:
			return "impaired"
		case volumeCreating:
			return "insufficient-data"
		}
		return "ok"
	}
	found, err := s.allVolumes(tx, in.VolumeIds, fields[Volume]{
		"availability-zone":          volumeFields["availability-zone"],
		"volume-status.status":       func(_ *cloud.Tx, v Volume) []string { return one(status(v)) },
		"volume-status.details-name": func(*cloud.Tx, Volume) []string { return []string{"io-enabled", "io-performance"} },
		"volume-status.details-status": func(_ *cloud.Tx, v Volume) []string {
			return []string{map[bool]string{true: "failed", false: "passed"}[v.State == volumeError], "not-applicable"}
		},
		"action.code": func(*cloud.Tx, Volume) []string { return nil }, "action.event-id": func(*cloud.Tx, Volume) []string { return nil },
		"event.event-type": func(*cloud.Tx, Volume) []string { return nil }, "event.event-id": func(*cloud.Tx, Volume) []string { return nil },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	found, next := pageOf(found, func(v Volume) string { return v.ID }, in.MaxResults, in.NextToken)
	out := &shape.DescribeVolumeStatusOutput{NextToken: next}
	for _, v := range found {
		passed := "passed"
		if v.State == volumeError {
			passed = "failed"
		}
		out.VolumeStatuses = append(out.VolumeStatuses, shape.VolumeStatusItem{
			VolumeId: new(v.ID), AvailabilityZone: new(v.Zone), AvailabilityZoneId: new(ZoneID(v.Zone)),
			VolumeStatus: &shape.VolumeStatusInfo{Status: new(status(v)), Details: []shape.VolumeStatusDetails{
				{Name: new("io-enabled"), Status: new(passed)}, {Name: new("io-performance"), Status: new("not-applicable")},
			}},
			Actions: []shape.VolumeStatusAction{}, Events: []shape.VolumeStatusEvent{},
		})
	}
	return out, nil
}

// DescribeVolumesModifications lists the last change of each volume that had one.
func (s *Service) DescribeVolumesModifications(tx *cloud.Tx, in *shape.DescribeVolumesModificationsInput) (*shape.DescribeVolumesModificationsOutput, error) {
	number := func(get func(Modification) int) func(*cloud.Tx, Volume) []string {
		return func(_ *cloud.Tx, v Volume) []string { return one(strconv.Itoa(get(v.Modification))) }
	}
	found, err := s.allVolumes(tx, in.VolumeIds, fields[Volume]{
		"volume-id":            volumeFields["volume-id"],
		"modification-state":   func(_ *cloud.Tx, v Volume) []string { return one(v.Modification.State) },
		"original-size":        number(func(m Modification) int { return m.From.Size }),
		"target-size":          number(func(m Modification) int { return m.To.Size }),
		"original-iops":        number(func(m Modification) int { return m.From.Iops }),
		"target-iops":          number(func(m Modification) int { return m.To.Iops }),
		"original-volume-type": func(_ *cloud.Tx, v Volume) []string { return one(v.Modification.From.Type) },
		"target-volume-type":   func(_ *cloud.Tx, v Volume) []string { return one(v.Modification.To.Type) },
		"start-time":           func(_ *cloud.Tx, v Volume) []string { return stamp(v.Modification.Began) },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	for _, v := range found {
		if v.Modification.State == "" && len(in.VolumeIds) > 0 {
			return nil, api.Errorf("InvalidVolumeModification.NotFound", "Modification for volume '%s' does not exist.", v.ID)
		}
	}
	found = slices.DeleteFunc(found, func(v Volume) bool { return v.Modification.State == "" })
	found, next := pageOf(found, func(v Volume) string { return v.ID }, in.MaxResults, in.NextToken)
	out := &shape.DescribeVolumesModificationsOutput{NextToken: next}
	for _, v := range found {
		out.VolumesModifications = append(out.VolumesModifications, v.modificationShape())
	}
	return out, nil
}

func (v Volume) modificationShape() shape.VolumeModification {
	m := v.Modification
	out := shape.VolumeModification{
		VolumeId: new(v.ID), ModificationState: new(m.State), TargetSize: new(int32(m.To.Size)), TargetVolumeType: new(m.To.Type),
		TargetIops: optional(int32(m.To.Iops)), TargetThroughput: optional(int32(m.To.Throughput)), OriginalSize: new(int32(m.From.Size)),
		OriginalVolumeType: new(m.From.Type), OriginalIops: optional(int32(m.From.Iops)), OriginalThroughput: optional(int32(m.From.Throughput)),
		TargetMultiAttachEnabled: new(false), OriginalMultiAttachEnabled: new(false), StartTime: new(m.Began), Progress: new(int64(0)),
	}
	if m.State == "completed" {
		out.Progress, out.EndTime = new(int64(100)), new(m.Ended)
	}
	return out
}

// DescribeVolumeAttribute gives one attribute of a volume.
func (s *Service) DescribeVolumeAttribute(tx *cloud.Tx, in *shape.DescribeVolumeAttributeInput) (*shape.DescribeVolumeAttributeOutput, error) {
	v, _, err := s.volume(tx, api.Value(in.VolumeId))
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeVolumeAttributeOutput{VolumeId: new(v.ID)}
	switch attribute := api.Value(in.Attribute); attribute {
	case "autoEnableIO":
		out.AutoEnableIO = &shape.AttributeBooleanValue{Value: new(v.AutoEnableIO)}
	case "productCodes":
		out.ProductCodes = []shape.ProductCode{}
	default:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", attribute)
	}
	return out, nil
}

// ModifyVolumeAttribute changes whether a volume's I/O is enabled by itself after a fault, of which there are none.
func (s *Service) ModifyVolumeAttribute(tx *cloud.Tx, in *shape.ModifyVolumeAttributeInput) (*shape.ModifyVolumeAttributeOutput, error) {
	v, _, err := s.volume(tx, api.Value(in.VolumeId))
	if err != nil {
		return nil, err
	}
	if in.AutoEnableIO == nil {
		return nil, api.Errorf("MissingParameter", "The request must contain the parameter AutoEnableIO")
	}
	if !v.Root {
		v.AutoEnableIO = api.Value(in.AutoEnableIO.Value)
		s.putVolume(tx, v)
	}
	return &shape.ModifyVolumeAttributeOutput{}, nil
}
