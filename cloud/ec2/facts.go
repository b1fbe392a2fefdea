package ec2

import "time"

// Spec is what an instance shall be on the host.
type Spec struct {
	ID           string
	ImageID      string // an image made by CaptureImage; empty is the built-in one
	Hostname     string // "ip-172-31-5-10.ec2.internal"
	PrivateIP    string
	Subnet       string // CIDR block; its first address is the router
	MAC          string
	InstanceType string
	VCPUs        int
	Memory       int // MiB
	UserData     []byte
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
	CaptureImage struct {
		ImageID, InstanceID string
		Reboot              bool
	}
	// BindAddress wishes that connections to a public address reach the instance with the private address, and no other
	// one, from now on; those that are open to another end. Without a private address nobody answers. It is idempotent by
	// PublicIP, and every address with somebody behind it is wished for again after a load.
	BindAddress struct{ PublicIP, PrivateIP, InstanceID string }
	// DeleteImage wishes that the image is forgotten; instances made of it live on.
	DeleteImage struct{ ImageID string }
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
	// ImageCaptured says that the image can be used.
	ImageCaptured struct {
		ImageID string
		Bytes   int64
	}
	// ImageFailed says that the image could not be made.
	ImageFailed struct{ ImageID, Message string }
	// Inventory is everything that exists on the host. A row that changed at or after Began is newer than it.
	Inventory struct {
		Began     time.Time
		First     bool // of a daemon: nothing that was wished for before is on its way, but what the driver may be at still
		Instances []Seen
		Images    []string
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
