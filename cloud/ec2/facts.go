package ec2

import "time"

// Spec is what an instance shall be on the host.
type Spec struct {
	ID           string
	Region       string
	ImageID      string // an image made by CaptureImage; empty is the built-in one
	Hostname     string // "ip-172-31-5-10.ec2.internal"
	PrivateIP    string
	Subnet       string // CIDR block; its first address is the router
	MAC          string
	InstanceType string
	VCPUs        int
	Memory       int // MiB
	UserData     []byte
	Volumes      []SpecVolume // in order of ID
}

// SpecVolume is a volume that an instance has when it boots. If it is not there, it is made before: of so many bytes, with
// the content of the snapshot if there is one.
type SpecVolume struct {
	ID, Device string
	Bytes      int64
	SnapshotID string
}

// The effects: wishes about instances and images, each idempotent by the ID in it.
type (
	// LaunchInstance wishes for an instance that was never there before.
	LaunchInstance struct{ Spec Spec }
	// StartInstance wishes that a stopped instance boots from its disk; a running one is left alone.
	StartInstance struct{ Spec Spec }
	// StopInstance wishes for an instance without processes that keeps its disk.
	StopInstance struct {
		ID    string
		Force bool // without a chance to shut down in order
	}
	// RebootInstance wishes for one restart of the instance; it is not repeated when it is lost.
	RebootInstance struct{ ID string }
	// TerminateInstance wishes that nothing is left of the instance.
	TerminateInstance struct{ ID string }
	// CaptureImage wishes for an image of the instance's disk. With Reboot, a running instance is stopped for the
	// copy; when the outcome is observed, good or bad, a StartInstance brings it back.
	// Snapshots of its volumes are taken beside it, and belong to the outcome.
	CaptureImage struct {
		ImageID, InstanceID string
		Reboot              bool
		Snapshots           []TakeSnapshot
	}
	// BindAddress wishes that connections to a public address reach the instance with the private address, and no other
	// one, from now on; those that are open to another end. Without a private address nobody answers. It is idempotent by
	// PublicIP, and every address with somebody behind it is wished for again after a load.
	BindAddress struct{ PublicIP, PrivateIP, InstanceID string }
	// DeleteImage wishes that the image is forgotten; instances made of it live on.
	DeleteImage struct{ ImageID string }
)

// The effects on volumes and snapshots, each idempotent by the ID in it.
type (
	// CreateVolumeData wishes for a volume, empty or with the content of a snapshot.
	CreateVolumeData struct {
		ID, SnapshotID string
		Bytes          int64
	}
	// DeleteVolumeData wishes that nothing is left of a volume.
	DeleteVolumeData struct{ ID string }
	// AttachVolumeData wishes that an instance has a volume as a block device.
	AttachVolumeData struct{ ID, InstanceID, Device string }
	// DetachVolumeData wishes that it has it no more.
	DetachVolumeData struct {
		ID, InstanceID string
		Force          bool
	}
	// ResizeVolumeData wishes for a larger volume.
	ResizeVolumeData struct {
		ID    string
		Bytes int64
	}
	// TakeSnapshot wishes that the content of a volume is kept as it is now. It is not repeated when it is lost: now is over.
	TakeSnapshot struct{ ID, VolumeID string }
	// DeleteSnapshotData wishes that nothing is left of a snapshot; volumes made of it live on.
	DeleteSnapshotData struct{ ID string }
)

// The facts about volumes and snapshots, in any scope.
type (
	// VolumeCreated says that the volume can be used.
	VolumeCreated struct{ ID string }
	// VolumeFailed says that it could not be made.
	VolumeFailed struct{ ID, Message string }
	// VolumeAttached says that the instance has it, or will have it when it boots.
	VolumeAttached struct{ ID, InstanceID string }
	// AttachFailed says that the instance cannot have it.
	AttachFailed struct{ ID, InstanceID, Message string }
	// VolumeDetached says that the instance has it no more.
	VolumeDetached struct{ ID, InstanceID string }
	// VolumeBusy says that it cannot be detached, since the instance uses it.
	VolumeBusy struct{ ID, InstanceID string }
	// VolumeResized says that it is that large now.
	VolumeResized struct {
		ID    string
		Bytes int64
	}
	// VolumeDeleted says that nothing is left of it.
	VolumeDeleted struct{ ID string }
	// SnapshotTaken says that the snapshot can be used.
	SnapshotTaken struct{ ID string }
	// SnapshotFailed says that it could not be taken.
	SnapshotFailed struct{ ID, Message string }
	// SnapshotDeleted says that nothing is left of it.
	SnapshotDeleted struct{ ID string }
	// SeenVolume is one volume of an Inventory.
	SeenVolume struct {
		ID         string
		Bytes      int64
		InstanceID string // that has it; empty: none
	}
	// SeenSnapshot is one snapshot of an Inventory.
	SeenSnapshot struct {
		ID      string
		Pending bool // it is being copied
	}
)

// The facts: what was seen of instances and images, in any scope.
type (
	// InstanceRunning says that the instance is up and can be reached.
	InstanceRunning struct{ ID string }
	// LaunchFailed says that a launch or a start failed; Code is a StateReason code (EC-IN-03), Message a sentence.
	LaunchFailed struct{ ID, Code, Message string }
	// InstanceStopped says that a stop is complete.
	InstanceStopped struct{ ID string }
	// InstanceTerminated says that nothing is left of the instance.
	InstanceTerminated struct{ ID string }
	// InstanceExited says that an instance ended without a wish: Reason is one of the Exit constants.
	InstanceExited struct{ ID, Reason string }
	// InstanceBooted says that the boot scripts and user data have ended; ExitStatus is that of the user data. As on AWS
	// no state waits for it.
	InstanceBooted struct {
		ID         string
		ExitStatus int
	}
	// ConsoleOutput is the whole of what the instance's console shows now.
	ConsoleOutput struct {
		ID   string
		Text []byte
	}
	// ImageCaptured says that the image and the snapshots wished for with it can be used.
	ImageCaptured struct {
		ImageID string
		Bytes   int64
	}
	// ImageFailed says that the image could not be made.
	ImageFailed struct{ ImageID, Message string }
	// StatusChecks says which instances gave no sign of life when, from Began on, all that ran were asked for one. It need not
	// be told when there are none, if there were none the last time.
	StatusChecks struct {
		Began  time.Time
		Failed []string
	}
	// Inventory is everything that exists on the host. A row that changed at or after Began is newer than it.
	Inventory struct {
		Began     time.Time
		First     bool // of a daemon: nothing that was wished for before is on its way, but what the driver may be at still
		Instances []Seen
		Images    []string
		Volumes   []SeenVolume
		Snapshots []SeenSnapshot
	}
	// Seen is one instance of an Inventory.
	Seen struct {
		ID     string
		State  string // "running" or "stopped"
		Reason string // why it is stopped: one of the Exit constants, or empty
	}
	// Usage is what instances used between two instants: best a whole minute of the cloud's time, any span is taken.
	Usage struct {
		From, To time.Time
		Samples  []UsageSample
	}
	// UsageSample is one instance's part of a Usage.
	UsageSample struct {
		ID                            string
		CPUPercent                    float64 // 100 is all that the instance type promises
		NetworkIn, NetworkOut         float64 // bytes in the span, seen from the instance
		PacketsIn, PacketsOut         float64
		DiskReadBytes, DiskWriteBytes float64
		DiskReadOps, DiskWriteOps     float64
		MemoryBytes                   float64 // in use at To
	}
)

// Why an instance ended by itself (InstanceExited.Reason, Seen.Reason).
const (
	ExitStopped  = "stopped"  // the driver was told to stop it
	ExitPoweroff = "poweroff" // it shut itself down from inside
	ExitKilled   = "killed"   // it crashed or somebody killed it
	ExitHost     = "host"     // the host went down with it
)

// The events for services above.
type (
	// InstanceStateChanged says that an instance went from one state to another; From is empty for a new instance.
	InstanceStateChanged struct {
		ID, From, To string
		Reason       Reason
	}
	// InstanceStatusChanged says that an instance's status checks now read Status: "initializing", "ok" or "impaired".
	InstanceStatusChanged struct{ ID, Status string }
	// InstancesMeasured carries the metric points that have just been published for instances of this scope, so that
	// aggregates over groups of them can be made.
	InstancesMeasured struct{ Samples []Measured }
)
