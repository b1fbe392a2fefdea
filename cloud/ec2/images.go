package ec2

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// Image states.
const (
	imagePending      = "pending"
	imageAvailable    = "available"
	imageFailed       = "failed"
	imageDeregistered = "deregistered" // the row waits until the host has forgotten the content
)

// Image is the row of an image.
//
//	CreateImage -> pending --[ImageCaptured]--> available --DeregisterImage--> deregistered --[not in inventory]--> gone
//	                  '------[ImageFailed]----> failed ----DeregisterImage--------'
type Image struct {
	ID, Name, Description string
	Owner, Region         string
	State                 string
	StateReason           Reason
	Created               time.Time
	Changed               time.Time // of the state, or of the last wish: older facts do not count
	Wishes                int       // how often its making was wished
	Architecture          string
	BuiltIn               bool
	Content               string // what the driver knows it as; empty for the built-in content
	SourceInstanceID      string // while it is being made, and after
	SourceImageID         string
	SourceRegion          string
	NoReboot              bool
	Imported              bool // its content comes from outside: nothing to wish for
	RootDevice            string
	SnapshotID            string
	Size                  int         // GiB of the root volume
	Root                  BlockDevice `json:",omitzero"`  // the rest of the root volume: its type (gp3 if it is not said), speeds and encryption
	RootVolumeID          string      `json:",omitempty"` // that SnapshotID was taken of
	Bytes                 int64       // that the content takes
	Devices               []BlockDevice
	Public                bool
	LaunchAccounts        []string // who may launch it besides the owner
	ImdsSupport           string
	LastLaunched          time.Time
}

// noImage is the error for images that are not there.
func noImage(ids []string) error {
	if !wellFormed("ami-", ids[0]) {
		return api.Errorf("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", ids[0])
	}
	if len(ids) > 1 {
		return api.Errorf("InvalidAMIID.NotFound", "The image ids '[%s]' do not exist", strings.Join(ids, ", "))
	}
	return api.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", ids[0])
}

// Image gives an image that the scope may launch: built in, its own, public, or shared with its account.
func (s *Service) Image(tx *cloud.Tx, id string) (Image, bool) {
	if i, ok := builtin[id]; ok {
		return i, true
	}
	_, i, ok := s.imageIDs.Find(id)
	if !ok || i.State == imageDeregistered || i.Region != tx.Scope.Region || !i.visible(tx.Scope.Account) {
		return Image{}, false
	}
	return i, true
}

func (i Image) visible(account string) bool {
	return i.Owner == account || i.Public || slices.Contains(i.LaunchAccounts, account)
}

// ownImage gives an image that the scope's account may change.
func (s *Service) ownImage(tx *cloud.Tx, id string) (Image, error) {
	if i, ok := s.images.Get(tx, id); ok && i.State != imageDeregistered {
		return i, nil
	}
	if _, ok := s.Image(tx, id); ok {
		return Image{}, api.Errorf("AuthFailure", "Not authorized for image:%s", id)
	}
	return Image{}, noImage([]string{id})
}

// alias is the owner's alias, of AWS's own accounts.
func (i Image) alias() string {
	if i.Owner == amazon {
		return "amazon"
	}
	return ""
}

var imageFields = fields[Image]{
	"architecture":                     func(_ *cloud.Tx, i Image) []string { return one(i.Architecture) },
	"creation-date":                    func(_ *cloud.Tx, i Image) []string { return stamp(i.Created) },
	"description":                      func(_ *cloud.Tx, i Image) []string { return one(i.Description) },
	"ena-support":                      func(*cloud.Tx, Image) []string { return yes(true) },
	"hypervisor":                       func(*cloud.Tx, Image) []string { return one("xen") },
	"image-id":                         func(_ *cloud.Tx, i Image) []string { return one(i.ID) },
	"image-type":                       func(*cloud.Tx, Image) []string { return one("machine") },
	"is-public":                        func(_ *cloud.Tx, i Image) []string { return yes(i.Public) },
	"manifest-location":                func(_ *cloud.Tx, i Image) []string { return one(i.location()) },
	"name":                             func(_ *cloud.Tx, i Image) []string { return one(i.Name) },
	"owner-alias":                      func(_ *cloud.Tx, i Image) []string { return one(i.alias()) },
	"owner-id":                         func(_ *cloud.Tx, i Image) []string { return one(i.Owner) },
	"platform":                         func(*cloud.Tx, Image) []string { return nil },
	"platform-details":                 func(*cloud.Tx, Image) []string { return one("Linux/UNIX") },
	"root-device-name":                 func(_ *cloud.Tx, i Image) []string { return one(i.RootDevice) },
	"root-device-type":                 func(*cloud.Tx, Image) []string { return one("ebs") },
	"source-image-id":                  func(_ *cloud.Tx, i Image) []string { return one(i.SourceImageID) },
	"source-image-region":              func(_ *cloud.Tx, i Image) []string { return one(i.SourceRegion) },
	"source-instance-id":               func(_ *cloud.Tx, i Image) []string { return one(i.SourceInstanceID) },
	"sriov-net-support":                func(*cloud.Tx, Image) []string { return one("simple") },
	"state-reason-code":                func(_ *cloud.Tx, i Image) []string { return one(i.StateReason.Code) },
	"state-reason-message":             func(_ *cloud.Tx, i Image) []string { return one(i.StateReason.Message) },
	"image-allowed":                    func(*cloud.Tx, Image) []string { return yes(true) },
	"free-tier-eligible":               func(*cloud.Tx, Image) []string { return yes(false) },
	"kernel-id":                        func(*cloud.Tx, Image) []string { return nil },
	"product-code":                     func(*cloud.Tx, Image) []string { return nil },
	"product-code.type":                func(*cloud.Tx, Image) []string { return nil },
	"ramdisk-id":                       func(*cloud.Tx, Image) []string { return nil },
	"tpm-support":                      func(*cloud.Tx, Image) []string { return nil },
	"state":                            func(_ *cloud.Tx, i Image) []string { return one(i.State) },
	"virtualization-type":              func(*cloud.Tx, Image) []string { return one("hvm") },
	"block-device-mapping.snapshot-id": ofDevices(func(d BlockDevice) string { return d.SnapshotID }),
	"block-device-mapping.device-name": ofDevices(func(d BlockDevice) string { return d.Device }),
	"block-device-mapping.delete-on-termination": ofDevices(func(d BlockDevice) string {
		return strconv.FormatBool(api.Value(d.DeleteOnTermination))
	}),
	"block-device-mapping.encrypted":   ofDevices(func(d BlockDevice) string { return strconv.FormatBool(d.Encrypted) }),
	"block-device-mapping.volume-size": ofDevices(func(d BlockDevice) string { return strconv.Itoa(d.Size) }),
	"block-device-mapping.volume-type": ofDevices(func(d BlockDevice) string { return d.Type }),
}

// ofDevices is a filter's view of one thing about each of an image's block devices.
func ofDevices(get func(BlockDevice) string) func(*cloud.Tx, Image) []string {
	return func(_ *cloud.Tx, i Image) (all []string) {
		for _, d := range i.blockDevices() {
			all = append(all, get(d))
		}
		return all
	}
}

func (i Image) location() string {
	if a := i.alias(); a != "" {
		return a + "/" + i.Name
	}
	return i.Owner + "/" + i.Name
}

// visibleImages gives all images that the scope may see, in order of ID.
func (s *Service) visibleImages(tx *cloud.Tx) []Image {
	all := slices.Clone(builtins)
	for _, i := range s.images.All(tx) {
		all = append(all, i)
	}
	for _, to := range []string{"all", tx.Scope.Account} {
		for _, i := range s.sharedImages.Index.Each(to, "") {
			if i.Owner != tx.Scope.Account && i.Region == tx.Scope.Region {
				all = append(all, i)
			}
		}
	}
	all = slices.DeleteFunc(all, func(i Image) bool { return i.State == imageDeregistered })
	slices.SortFunc(all, func(a, b Image) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(all, func(a, b Image) bool { return a.ID == b.ID })
}

// DescribeImages lists images by ID, owner, who may launch them, and filters.
func (s *Service) DescribeImages(tx *cloud.Tx, in *shape.DescribeImagesInput) (*shape.DescribeImagesOutput, error) {
	match, err := matcher(s, imageFields, func(i Image) string { return i.ID }, in.Filters)
	if err != nil {
		return nil, err
	}
	var all []Image
	if len(in.ImageIds) > 0 {
		var lost []string
		for _, id := range in.ImageIds {
			i, ok := s.Image(tx, id)
			if !ok && s.options.AnyImage && wellFormed("ami-", id) {
				i, ok = standardImage(), true
				i.ID = id
			}
			if !ok {
				lost = append(lost, id)
			}
			all = append(all, i)
		}
		if lost != nil {
			return nil, noImage(lost)
		}
	} else {
		all = s.visibleImages(tx)
	}
	var found []Image
	for _, i := range all {
		if i.owned(tx, in.Owners) && i.executable(tx, in.ExecutableUsers) && match(tx, i) {
			found = append(found, i)
		}
	}
	found, next := pageOf(found, func(i Image) string { return i.ID }, in.MaxResults, in.NextToken)
	out := &shape.DescribeImagesOutput{NextToken: next}
	for _, i := range found {
		out.Images = append(out.Images, s.imageShape(tx, i))
	}
	return out, nil
}

func (i Image) owned(tx *cloud.Tx, owners []string) bool {
	return len(owners) == 0 || slices.ContainsFunc(owners, func(o string) bool {
		return o == i.Owner || o == "self" && i.Owner == tx.Scope.Account || o == "amazon" && i.alias() == o
	})
}

func (i Image) executable(tx *cloud.Tx, users []string) bool {
	return len(users) == 0 || slices.ContainsFunc(users, func(u string) bool {
		return u == "all" && i.Public || u == "self" && slices.Contains(i.LaunchAccounts, tx.Scope.Account) || slices.Contains(i.LaunchAccounts, u)
	})
}

func (s *Service) imageShape(tx *cloud.Tx, i Image) shape.Image {
	out := shape.Image{
		ImageId: new(i.ID), Name: new(i.Name), Description: optional(i.Description), OwnerId: new(i.Owner), ImageOwnerAlias: optional(i.alias()),
		ImageLocation: new(i.location()), State: new(i.State), CreationDate: new(stamp(i.Created)[0]), Public: new(i.Public),
		Architecture: new(i.Architecture), ImageType: new("machine"), RootDeviceName: new(i.RootDevice), RootDeviceType: new("ebs"),
		VirtualizationType: new("hvm"), Hypervisor: new("xen"), EnaSupport: new(true), SriovNetSupport: new("simple"),
		PlatformDetails: new("Linux/UNIX"), UsageOperation: new("RunInstances"), BootMode: new("uefi-preferred"),
		SourceInstanceId: optional(i.SourceInstanceID), SourceImageId: optional(i.SourceImageID), SourceImageRegion: optional(i.SourceRegion),
		ImdsSupport: optional(i.ImdsSupport), Tags: tagShapes(s.Tags(tx, i.ID)), BlockDeviceMappings: i.mappings(),
	}
	if i.State == imageFailed {
		out.StateReason = &shape.StateReason{Code: new(i.StateReason.Code), Message: new(i.StateReason.Message)}
	}
	return out
}

// root is what a launch of the image makes its root volume of.
func (i Image) root() BlockDevice {
	d := i.Root
	d.Device, d.SnapshotID, d.Size = i.RootDevice, i.SnapshotID, i.Size
	if d.Type == "" {
		d.Type, d.Iops, d.Throughput = "gp3", 3000, leastThroughput
	}
	if d.DeleteOnTermination == nil { // EC-IN-04
		d.DeleteOnTermination = new(true)
	}
	return d
}

// blockDevices are the root and the others.
func (i Image) blockDevices() []BlockDevice { return append([]BlockDevice{i.root()}, i.Devices...) }

// mappings show the image's block devices.
func (i Image) mappings() (all []shape.BlockDeviceMapping) {
	for _, d := range i.blockDevices() {
		all = append(all, d.shape())
	}
	return all
}

// hasSnapshot tells whether a volume other than the root is made of a snapshot.
func (i Image) hasSnapshot(id string) bool {
	return id != "" && slices.ContainsFunc(i.Devices, func(d BlockDevice) bool { return d.SnapshotID == id })
}

// snapshotImage finds the own image whose root snapshot has an ID.
func (s *Service) snapshotImage(tx *cloud.Tx, snapshot string) (Image, bool) {
	for _, i := range s.imageIDs.Each(tx, snapshot) {
		return i, i.State != imageDeregistered
	}
	return Image{}, false
}

func (i Image) snapshotDescription() string {
	if i.SourceInstanceID == "" {
		return ""
	}
	return "Created by CreateImage(" + i.SourceInstanceID + ") for " + i.ID
}
