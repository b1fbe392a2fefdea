package ec2

import "time"

// Instance states (EC-IN-01).
const (
	Pending      = "pending"
	Running      = "running"
	ShuttingDown = "shutting-down"
	Terminated   = "terminated"
	Stopping     = "stopping"
	Stopped      = "stopped"
)

// Instance is the row of an instance. In brackets: the fact that makes the transition.
//
//	 RunInstances                       StartInstances
//	      |            .-------------------------------------------.
//	      v            v                                           |
//	   pending --[InstanceRunning]--> running --StopInstances--> stopping
//	      |                            |  |                        |
//	[LaunchFailed]       TerminateInst.|  |[InstanceExited]   [InstanceStopped]
//	      |              [Exited,killed]  | poweroff, "stop"       |
//	      v                            v  '--------------------> stopped
//	 terminated <-[InstanceTerminated]- shutting-down <-Terminate--'
//	      |
//	   an hour, then the row is gone
//
// A start that fails goes back to stopped. Reboots do not leave running.
type Instance struct {
	ID          string
	State       string
	StateReason Reason
	Transition  string    // StateTransitionReason, "User initiated (2026-09-27 04:49:13 GMT)"
	Changed     time.Time // of the state, or of the last wish: older facts do not count

	ReservationID string
	LaunchIndex   int
	ClientToken   string
	RequesterID   string
	Created       time.Time
	LaunchTime    time.Time // of the last start

	ImageID         string
	ImageContent    string // what the driver boots: an own image's ID, or empty for the built-in one
	Architecture    string
	InstanceType    string
	KeyName         string
	UserData        []byte
	IamProfile      string // ARN
	Monitoring      bool   // detailed
	EbsOptimized    bool
	CPUCredits      string
	Tenancy         string
	PlacementGroup  string
	Lifecycle       string // "spot", "scheduled" or empty
	TemplateID      string
	TemplateVersion string
	Metadata        MetadataOptions

	DisableAPITermination bool
	DisableAPIStop        bool
	ShutdownBehaviour     string // "stop" or "terminate"
	SourceDestCheck       bool

	VPCID, SubnetID, Zone string
	PrivateIP, PublicIP   string // empty once terminated; PublicIP also while stopped
	AutoPublicIP          bool   // has a public address at each start (EC-IP-07)
	MAC                   string
	InterfaceID           string
	AttachmentID          string
	SecurityGroupIDs      []string
	Volumes               []Volume

	Booted    bool      // was running once: a failed start goes back to stopped
	Wish      string    // what is wished and not yet seen: one of the wish constants, or empty
	Wished    time.Time // when the wish was made last
	Wishes    int       // how often it was made
	Capturing string    // image that is being made with a reboot: a stop that is seen is no failure
	StatusOK  time.Time // when the status checks pass; zero when not running

	TargetLifecycleState string // Auto Scaling's, for the metadata service
}

// Volume is a block device of an instance, listed by DescribeVolumes too. Only the root volume exists in the world.
type Volume struct {
	Device              string
	ID                  string
	SnapshotID          string
	Type                string
	Size                int // GiB
	Iops, Throughput    int
	Encrypted           bool
	DeleteOnTermination bool
	Attached            time.Time
}

// MetadataOptions are those of an instance's metadata service; empty members stand for what is not said.
type MetadataOptions struct {
	HTTPTokens   string // "optional" or "required"
	HopLimit     int
	HTTPEndpoint string // "enabled" or "disabled"
	HTTPIPv6     string
	InstanceTags string
}
