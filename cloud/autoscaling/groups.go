package autoscaling

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

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

	Replacing    int           // launches owed for members that were replaced
	Failures     []ZoneFailure // zones where launches failed lately, in order of zone
	EarlyDeaths  int           // instances in a row that died soon after InService
	LastDeath    time.Time     // of the newest of them
	LaunchAfter  time.Time     // no launch before: instances died too soon too often
	ActivityNext int           // number of the next activity

	Hooks []Hook // in order of name
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

// Options are settings that are kept and read back, but for Distribution, DeletionProtection and Retain, which count.
type Options struct {
	PlacementGroup        string
	Context               string
	DesiredCapacityType   string
	MaxInstanceLifetime   int
	CapacityRebalance     bool
	DeletionProtection    string
	Distribution          string // CapacityDistributionStrategy
	ServiceLinkedRole     string
	MinHealthy            int // InstanceMaintenancePolicy; -1 is not set
	MaxHealthy            int
	ReservationPreference string
	Retain                bool `json:",omitempty"` // instances whose termination a hook abandons (AS-HK-19)
}

// Trigger is why the desired capacity changed: one whole sentence, and the alarms of it.
type Trigger struct{ Text, InvokingAlarms string }

// ZoneFailure is how often in a row launches in a zone have failed and when the next try is due.
type ZoneFailure struct {
	Zone  string
	Count int
	Until time.Time
	// General tells that the reason was not the zone's: a success in any zone takes it away.
	General bool
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

// Limits of an account (AS-QL-01, AS-QL-02).
const (
	groupLimit         = 500
	configurationLimit = 200
)

// CreateAutoScalingGroup makes a group; its instances follow at once.
func (s *Service) CreateAutoScalingGroup(tx *cloud.Tx, in *shape.CreateAutoScalingGroupInput) (*shape.CreateAutoScalingGroupOutput, error) {
	name := *in.AutoScalingGroupName
	if strings.Contains(name, ":") {
		return nil, invalid("1 validation error detected: Value '%s' at 'autoScalingGroupName' failed to satisfy constraint: Member must not contain a colon", name)
	}
	if g, ok := s.groups.Get(tx, name); ok {
		if g.Deleting {
			return nil, api.Errorf("AlreadyExists", "AutoScalingGroup by this name already exists and is pending delete - A group with the name %s already exists and is pending delete", name)
		}
		return nil, api.Errorf("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", name)
	}
	if n := counted(s.groups.All(tx), groupLimit); n >= groupLimit {
		return nil, api.Errorf("LimitExceeded", "You have reached your limit of %d Auto Scaling groups.", groupLimit)
	}
	if err := checkBounds(int(*in.MinSize), int(*in.MaxSize), in.DesiredCapacity); err != nil {
		return nil, err
	}
	r := &roster{s: s, tx: tx, Group: Group{
		Name: name, ARN: tx.Scope.ARN("autoscaling", "autoScalingGroup:"+tx.UUID()+":autoScalingGroupName/"+name), // AS-LC-13
		Created: tx.Now(), DefaultCooldown: 300, DefaultInstanceWarmup: -1, HealthCheckType: "EC2",
		TerminationPolicies: []string{"Default"}, Options: Options{MinHealthy: -1, MaxHealthy: -1},
	}}
	for _, step := range []func() error{
		func() error {
			return r.setSource(in.LaunchConfigurationName, in.LaunchTemplate, in.MixedInstancesPolicy, in.InstanceId)
		},
		func() error { return r.setPlaces(in.VPCZoneIdentifier, in.AvailabilityZones, in.AvailabilityZoneIds) },
		func() error { return r.setSettings(ofCreate(in)) },
		func() error { return r.setTags(in.Tags) },
		r.checkLaunch,
		func() error { return r.attach(typeClassic, in.LoadBalancerNames) },
		func() error { return r.attach(typeTargetGroup, in.TargetGroupARNs) },
		func() error { return r.attachSources(in.TrafficSources) },
		func() error { return r.setHooks(in.LifecycleHookSpecificationList) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	r.MinSize, r.MaxSize = int(*in.MinSize), int(*in.MaxSize)
	desired := r.MinSize
	if in.DesiredCapacity != nil {
		desired = int(*in.DesiredCapacity)
	}
	s.groups.Put(tx, name, r.Group)
	s.setDesired(tx, r.Group, desired, Cause{Text: "a user request created an AutoScalingGroup"})
	r.touch()
	return &shape.CreateAutoScalingGroupOutput{}, nil
}

// UpdateAutoScalingGroup changes a group; members that need not change stay as they are.
func (s *Service) UpdateAutoScalingGroup(tx *cloud.Tx, in *shape.UpdateAutoScalingGroupInput) (*shape.UpdateAutoScalingGroupOutput, error) {
	r, err := s.known(tx, *in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if err := r.notDeleting(); err != nil {
		return nil, err
	}
	lowest, highest, desired := r.MinSize, r.MaxSize, r.DesiredCapacity
	given(in.MinSize, &lowest)
	given(in.MaxSize, &highest)
	given(in.DesiredCapacity, &desired)
	if err := checkBounds(lowest, highest, in.DesiredCapacity); err != nil {
		return nil, err
	}
	source := in.LaunchConfigurationName != nil || in.LaunchTemplate != nil || in.MixedInstancesPolicy != nil
	if source {
		if err := r.setSource(in.LaunchConfigurationName, in.LaunchTemplate, in.MixedInstancesPolicy, nil); err != nil {
			return nil, err
		}
	}
	places := in.VPCZoneIdentifier != nil || in.AvailabilityZones != nil || in.AvailabilityZoneIds != nil
	if places {
		if err := r.setPlaces(in.VPCZoneIdentifier, in.AvailabilityZones, in.AvailabilityZoneIds); err != nil {
			return nil, err
		}
	}
	if err := r.setSettings(ofUpdate(in)); err != nil {
		return nil, err
	}
	if source || places { // what failed before may work now
		r.Failures, r.LaunchAfter, r.EarlyDeaths = nil, time.Time{}, 0
		if err := r.checkLaunch(); err != nil {
			return nil, err
		}
	}
	for _, m := range r.team() { // the grace period or the kind of check may be another
		tx.Touch(Name, keyMember, m.ID)
	}
	bounded := s.resize(tx, r.Group, lowest, highest, desired, "user request update")
	s.groups.Put(tx, r.Name, bounded)
	r.touch()
	return &shape.UpdateAutoScalingGroupOutput{}, nil
}

// DeleteAutoScalingGroup deletes a group (AS-AD-10). One without instances is gone when the call is answered.
func (s *Service) DeleteAutoScalingGroup(tx *cloud.Tx, in *shape.DeleteAutoScalingGroupInput) (*shape.DeleteAutoScalingGroupOutput, error) {
	r, err := s.known(tx, *in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	force := api.Value(in.ForceDelete)
	switch p := r.Options.DeletionProtection; {
	case p == "prevent-all-deletion", p == "prevent-force-deletion" && force:
		return nil, api.Errorf("ResourceInUse", "You cannot delete AutoScalingGroup %s because its deletion protection is set to %s.", r.Name, p)
	case len(r.tally().crew) > 0 && !force:
		return nil, api.Errorf("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	}
	if force {
		if err := r.mayForceDelete(); err != nil {
			return nil, err
		}
	}
	before := r.DesiredCapacity
	r.Deleting, r.Force, r.MinSize, r.MaxSize = true, r.Force || force, 0, 0
	g := s.setDesired(tx, r.Group, 0, Cause{Text: "a user request force deleted AutoScalingGroup"}) // text [G]
	s.groups.Put(tx, r.Name, g)
	if force {
		r.Group = g
		r.endAll(before)
		r.save()
	}
	r.touch()
	return &shape.DeleteAutoScalingGroupOutput{}, nil
}

// endAll ends every member, protected, on standby or retained as well.
func (r *roster) endAll(before int) {
	now := r.tx.Now()
	for _, m := range r.team() {
		if m.phase() == phaseTerminating {
			r.tx.Touch(Name, keyMember, m.ID) // it need not wait for draining any more
			continue
		}
		r.terminate(*m, ending{cause: sentences(r.triggers(), at(now, shrinking(before, 0)), at(now, selected(m.ID)))})
	}
	r.Triggers, r.changed = nil, true
}

// setSource sets what the group launches. InstanceId makes a launch configuration of the group's name from an
// instance.
func (r *roster) setSource(configuration *string, template *shape.LaunchTemplateSpecification, mixed *shape.MixedInstancesPolicy, instance *string) error {
	n := 0
	for _, there := range []bool{configuration != nil, template != nil, mixed != nil, instance != nil} {
		if there {
			n++
		}
	}
	if n != 1 {
		return invalid("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	switch {
	case mixed != nil:
		return invalid("MixedInstancesPolicy is not supported by this cloud yet: use LaunchTemplate.")
	case instance != nil:
		if err := r.configurationFrom(*instance); err != nil {
			return err
		}
		r.LaunchConfigurationName, r.Template = r.Name, TemplateRef{}
	case configuration != nil:
		if !r.s.configurations.Has(r.tx, *configuration) {
			return invalid("Launch configuration name not found - Launch configuration %s not found", *configuration)
		}
		r.LaunchConfigurationName, r.Template = *configuration, TemplateRef{}
	default:
		if (template.LaunchTemplateId == nil) == (template.LaunchTemplateName == nil) {
			return invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName")
		}
		ref := api.Value(template.LaunchTemplateId) + api.Value(template.LaunchTemplateName)
		t, _, err := r.s.ec2.Template(r.tx, ref, api.Value(template.Version))
		if err != nil {
			return wrapped("You must use a valid fully-formed launch template. ", err)
		}
		r.LaunchConfigurationName, r.Template = "", TemplateRef{t.ID, t.Name, api.Value(template.Version)}
	}
	r.changed = true
	return nil
}

// checkLaunch refuses a group whose first launch could not work (AS-LC-12).
func (r *roster) checkLaunch() error {
	request, err := r.request(&Member{})
	if err != nil {
		return wrapped("", err)
	}
	for _, z := range r.AvailabilityZones {
		request.Zone, request.Count = z, 1
		for _, x := range r.Subnets {
			if x.Zone == z {
				request.SubnetID = x.ID
			}
		}
		if err := r.s.ec2.ValidateLaunch(r.tx, request); err != nil {
			if r.Template.ID != "" {
				return wrapped("You must use a valid fully-formed launch template. ", err)
			}
			return wrapped("", err)
		}
	}
	return nil
}

// wrapped gives an error of EC2 as one of Auto Scaling.
func wrapped(head string, err error) error {
	if e, ok := err.(*api.Error); ok {
		if e.Code == "UnauthorizedOperation" {
			return &api.Error{Code: "AccessDenied", Status: e.Status, Message: e.Message}
		}
		return invalid("%s%s", head, e.Message)
	}
	return err
}

// setPlaces sets the group's subnets and the zones that they are in (AS-AZ-09).
func (r *roster) setPlaces(subnets *string, zones, zoneIDs []string) error {
	for _, id := range zoneIDs {
		i := slices.IndexFunc(r.s.ec2.Zones(r.tx), func(z string) bool { return ec2.ZoneID(z) == id })
		if i < 0 {
			return invalid("Invalid Availability Zone ID: %s", id)
		}
		zones = append(slices.Clone(zones), r.s.ec2.Zones(r.tx)[i])
	}
	var chosen []Subnet
	vpc := ""
	if list := strings.TrimSpace(api.Value(subnets)); list != "" {
		for id := range strings.SplitSeq(list, ",") {
			x, ok := r.s.ec2.Subnet(r.tx, strings.TrimSpace(id))
			if !ok {
				return invalid("The subnet ID '%s' does not exist", strings.TrimSpace(id))
			}
			if vpc != "" && vpc != x.VPCID {
				return invalid("The subnets specified must belong to the same VPC.")
			}
			vpc = x.VPCID
			chosen = append(chosen, Subnet{x.ID, x.Zone})
		}
		found := zonesOf(chosen)
		if given := sortedSet(zones); len(given) > 0 && !slices.Equal(given, found) {
			return invalid("The availability zones of the specified subnets and the Auto Scaling group do not match")
		}
		zones = found
		r.VPCZoneIdentifier = list
	} else {
		zones = sortedSet(zones)
		if len(zones) == 0 {
			return invalid("At least one Availability Zone or VPC Subnet is required.")
		}
		defaults := r.s.ec2.DefaultSubnets(r.tx)
		for _, z := range zones {
			i := slices.IndexFunc(defaults, func(x ec2.Subnet) bool { return x.Zone == z })
			if i < 0 {
				return invalid("Invalid Availability Zone: %s", z)
			}
			chosen = append(chosen, Subnet{defaults[i].ID, z})
		}
		r.VPCZoneIdentifier = ""
	}
	r.Subnets, r.AvailabilityZones, r.changed = chosen, zones, true
	return nil
}

func zonesOf(subnets []Subnet) []string {
	var zones []string
	for _, x := range subnets {
		zones = append(zones, x.Zone)
	}
	return sortedSet(zones)
}

// sortedSet is the values in order, each once.
func sortedSet(values []string) []string {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// given sets an int if the call has it.
func given(p *int32, to *int) {
	if p != nil {
		*to = int(*p)
	}
}
