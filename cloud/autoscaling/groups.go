package autoscaling

import "time"

// Group is one Auto Scaling group. Its key is its name.
type Group struct {
	Name    string
	ARN     string
	Created time.Time

	// What to launch: a launch configuration's name or a template, never both.
	LaunchConfigurationName string
	Template                TemplateRef

	MinSize, MaxSize, DesiredCapacity int

	DefaultCooldown       int // seconds
	DefaultInstanceWarmup int // seconds; -1 is not set (AS-WU-02)

	AvailabilityZones []string // sorted
	Subnets           []Subnet // where instances go, at least one per zone
	VPCZoneIdentifier string   // as given; empty if the group was made with zones only

	HealthCheckType        string // as given: "EC2", "ELB", "EC2,ELB" ...
	HealthCheckGracePeriod int    // seconds
	TerminationPolicies    []string

	NewInstancesProtectedFromScaleIn bool

	Attachments []Attachment
	Suspended   []Suspension
	Tags        []Tag
	Options     Options

	EnabledMetrics []string // group metrics that are collected (AS-GM-01)

	Deleting bool // Status "Delete in progress"
	Force    bool // the deletion takes the instances with it

	// Triggers are the sentences that the next activities begin their cause with.
	Triggers []Trigger

	CooldownStart    time.Time // end of the last launch or termination that a change of desired capacity brought about
	CooldownActivity string    // the ID of that activity
	Cooldown         int       // seconds; of the policy or call that changed the desired capacity last

	Failures     []ZoneFailure // zones where launches failed lately, in order of zone
	EarlyDeaths  int           // instances in a row that died soon after InService
	LastDeath    time.Time     // of the newest of them
	LaunchAfter  time.Time     // no launch before: instances died too soon too often
	ActivityNext int           // number of the next activity
}

// TemplateRef names a launch template and a version of it; Version is a number, "$Latest" or "$Default" in a group and
// always a number in a member (AS-LC-11).
type TemplateRef struct{ ID, Name, Version string }

// Subnet is a subnet with its zone.
type Subnet struct{ ID, Zone string }

// Attachment is a load balancer or a target group of a group, with the state that AS-HC-05 gives.
type Attachment struct {
	Type  string // "elb": ID is a load balancer's name; "elbv2": a target group's ARN
	ID    string
	State string // Adding, Added, InService, Removing
}

// Suspension is a process that is suspended (AS-SP-01).
type Suspension struct{ Process, Reason string }

// Tag is a tag of a group.
type Tag struct {
	Key, Value        string
	PropagateAtLaunch bool
}

// Options are settings that are kept and read back.
type Options struct {
	PlacementGroup      string
	Context             string
	DesiredCapacityType string
	MaxInstanceLifetime int
	CapacityRebalance   bool
	DeletionProtection  string
	Distribution        string // CapacityDistributionStrategy
	ServiceLinkedRole   string
	MinHealthy          int // InstanceMaintenancePolicy; -1 is not set
	MaxHealthy          int
}

// Trigger is why the desired capacity changed: one whole sentence, and the alarms of it.
type Trigger struct{ Text, InvokingAlarms string }

// ZoneFailure is how often in a row launches in a zone have failed and when the next try is due.
type ZoneFailure struct {
	Zone  string
	Count int
	Until time.Time
}

// suspended tells whether a process is (AS-SP-01).
func (g Group) suspended(process string) bool {
	for _, x := range g.Suspended {
		if x.Process == process {
			return true
		}
	}
	return false
}
