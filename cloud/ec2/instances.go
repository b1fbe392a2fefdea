package ec2

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
)

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
	TokenDigest   string // of the request that ClientToken came with
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
	IamProfileID    string
	Monitoring      bool // detailed
	EbsOptimized    bool
	CPUCredits      string
	Tenancy         string
	PlacementGroup  string
	Lifecycle       string // "spot" or empty
	Spot            Spot   `json:",omitzero"`
	TemplateID      string
	TemplateVersion string
	Metadata        MetadataOptions

	DisableAPITermination bool
	DisableAPIStop        bool
	ShutdownBehaviour     string // "stop" or "terminate"
	SourceDestCheck       bool

	VPCID, SubnetID, Zone string
	PrivateIP, PublicIP   string // empty once terminated; an automatic PublicIP also while stopped
	ElasticIP             string // allocation ID of the Elastic IP that PublicIP is; empty: it is automatic
	AutoPublicIP          bool   // has a public address at each start (EC-IP-07)
	MAC                   string
	InterfaceID           string
	AttachmentID          string
	SecurityGroupIDs      []string
	Volumes               []Device // the root first

	Booted    bool      // was running once: a failed start goes back to stopped
	Wish      string    // what is wished and not yet seen: one of the wish constants, or empty
	Wished    time.Time // when the wish was made last
	Wishes    int       // how often it was made
	Capturing string    // image that is being made with a reboot: a stop that is seen is no failure
	StatusOK  time.Time // when the status checks pass; zero when not running

	ChecksPassed bool // it was told that they have

	// The status checks that fail (EC-IN-05): of the instance itself, of what it runs on, of its volumes.
	InstanceCheck, SystemCheck, VolumeCheck Check   `json:",omitzero"`
	Silence                                 Silence `json:",omitzero"`  // of an instance that does not answer its own check
	NoRecovery                              bool    `json:",omitempty"` // it is not recovered by itself (EC-IN-06)

	Events []ScheduledEvent `json:",omitempty"` // those that are over too, for a while

	ProfileAssociation string // "iip-assoc-...", while it has a profile

	TargetLifecycleState string // Auto Scaling's, for the metadata service
}

// MetadataOptions are those of an instance's metadata service; empty members stand for what is not said.
type MetadataOptions struct {
	HTTPTokens   string // "optional" or "required"
	HopLimit     int
	HTTPEndpoint string // "enabled" or "disabled"
	HTTPIPv6     string
	InstanceTags string
}

// Instance gives an instance of the scope; a terminated one for another hour.
func (s *Service) Instance(tx *cloud.Tx, id string) (Instance, bool) { return s.instances.Get(tx, id) }

// SetTargetLifecycleState says what the metadata service tells the instance of Auto Scaling's plans for it.
func (s *Service) SetTargetLifecycleState(tx *cloud.Tx, id, state string) {
	if i, ok := s.instances.Get(tx, id); ok && i.TargetLifecycleState != state {
		i.TargetLifecycleState = state
		s.instances.Put(tx, id, i)
	}
}

func tokenPart(token string) string { return "token " + token }

// instanceParts are the values under which an instance is found: itself, its addresses, interface, volumes and token.
func instanceParts(id string, i Instance) []string {
	parts := append(make([]string, 0, 6), id)
	for _, p := range []string{i.PrivateIP, i.PublicIP, i.InterfaceID} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	for _, v := range i.Volumes {
		parts = append(parts, v.ID)
	}
	if i.ProfileAssociation != "" {
		parts = append(parts, i.ProfileAssociation)
	}
	if i.ClientToken != "" {
		parts = append(parts, tokenPart(i.ClientToken))
	}
	return parts
}
