package driver

import (
	"context"
	"errors"
	"io"
)

// Volumes keeps block devices that outlive instances, and images from outside.
// Calls for the same volume are put in order by the driver.
type Volumes interface {
	// NoVolumes says in one plain sentence why there can be no volumes on this
	// host or in this mode; empty when there can. Then every method that makes
	// something answers with that sentence.
	NoVolumes() string

	// CreateVolume makes a volume of so many bytes: empty, or with the content
	// of a snapshot, which may be smaller. A volume that exists is left alone.
	CreateVolume(ctx context.Context, id string, bytes int64, snapshotID string) error

	// DeleteVolume removes the volume and its content. One that is attached is
	// ErrBusy, an unknown ID is no error.
	DeleteVolume(ctx context.Context, id string) error

	// AttachVolume makes the volume a block device of the instance, running or
	// stopped, under the name asked for: /dev/sdf is also /dev/xvdf and the
	// other way round. It stays that over stops and starts until it is
	// detached or the instance is terminated. If it is there already, nothing
	// is done; if it is somewhere else, the error is ErrBusy. An unknown
	// instance or volume is ErrNotFound.
	AttachVolume(ctx context.Context, id, instanceID, device string) error

	// DetachVolume takes it away from the instance. While the instance uses it
	// (it is mounted, say), that is ErrBusy; with force, its file systems are
	// shut down and the programs that hold it are killed. A volume that is not
	// attached to the instance is no error.
	DetachVolume(ctx context.Context, id, instanceID string, force bool) error

	// ResizeVolume makes the volume that large, also while it is attached. It
	// never shrinks: a smaller size is an error, the same is none.
	ResizeVolume(ctx context.Context, id string, bytes int64) error

	// CreateSnapshot keeps the content of the volume as it is at one instant
	// during the call; what is written later is not in it. taken is called at
	// that instant, the method returns when the snapshot can be used. A
	// snapshot that exists is left alone. It may be given up by ctx only
	// before taken.
	CreateSnapshot(ctx context.Context, id, volumeID string, taken func()) error

	// DeleteSnapshot forgets it; volumes made of it live on. An unknown ID is
	// no error.
	DeleteSnapshot(ctx context.Context, id string) error

	// ImportImage makes an image of a root file system, given as a tar
	// archive. Nothing of the built-in image is below it. What points out of
	// the tree, device nodes, and more than ImportLimit bytes or ImportEntries
	// files are refused, with an error that says so, and leave nothing behind.
	ImportImage(ctx context.Context, imageID string, config ImageConfig, tar io.Reader) error
}

// The bounds of an image from outside.
const (
	ImportLimit   = 16 << 30 // bytes, unpacked
	ImportEntries = 1 << 20
)

// Attachment is a volume that an instance has from its launch or start on.
type Attachment struct{ VolumeID, Device string }

// Volume is one line of the inventory.
type Volume struct {
	ID         string
	Bytes      int64
	InstanceID string // that it is attached to; empty: none
	Device     string // as asked for
}

// Snapshot is one line of the inventory.
type Snapshot struct {
	ID      string
	Pending bool // its content is being copied
	Bytes   int64
}

// ImageConfig is what the maker of an image wants to be run in its instances.
type ImageConfig struct {
	Entrypoint []string `json:",omitempty"` // with Cmd as further arguments
	Cmd        []string `json:",omitempty"`
	Env        []string `json:",omitempty"` // NAME=VALUE, for everything that is run in the instance
	WorkingDir string   `json:",omitempty"`
	User       string   `json:",omitempty"` // "name", "uid", "name:group" or "uid:gid"; of the entry point only
}

// Command is the program that runs at every boot; none if it is empty.
func (c ImageConfig) Command() []string {
	return append(append([]string{}, c.Entrypoint...), c.Cmd...)
}

// ErrBusy is wrapped by errors about a volume that is in use.
var ErrBusy = errors.New("the volume is in use")
