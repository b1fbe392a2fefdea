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

// Instances per call (AS-AD-09, AS-PR-04).
const (
	idsPerCall       = 20
	protectedPerCall = 50
)

// chosen opens a group and finds the members that a call names.
func (s *Service) chosen(tx *cloud.Tx, group string, ids []string, limit int) (*roster, []Member, error) {
	r, err := s.known(tx, group)
	if err != nil {
		return nil, nil, err
	}
	if err := r.notDeleting(); err != nil {
		return nil, nil, err
	}
	if len(ids) == 0 || len(ids) > limit {
		return nil, nil, invalid("The number of instance IDs must be between 1 and %d.", limit)
	}
	var found []Member
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			continue
		}
		m, ok := s.members.Get(tx, id)
		if !ok || m.Group != group { // AS-PR-04
			return nil, nil, invalid("The instance %s is not part of Auto Scaling group %s.", id, group)
		}
		found = append(found, m)
	}
	return r, found, nil
}

// lower takes n from the desired capacity for members that leave with it; it writes no trigger, since each member's
// activity says what it did to the capacity.
func (r *roster) lower(n int) { r.DesiredCapacity, r.changed = r.DesiredCapacity-n, true }

// TerminateInstanceInAutoScalingGroup ends one instance, with or without replacement (AS-AD-07).
func (s *Service) TerminateInstanceInAutoScalingGroup(tx *cloud.Tx, in *shape.TerminateInstanceInAutoScalingGroupInput) (*shape.TerminateInstanceInAutoScalingGroupOutput, error) {
	m, ok := s.members.Get(tx, *in.InstanceId)
	if !ok {
		return nil, invalid("Instance Id not found - No managed instance found for instance ID: %s", *in.InstanceId)
	}
	r, _ := s.open(tx, m.Group)
	decrement := *in.ShouldDecrementDesiredCapacity
	switch {
	case m.phase() == phaseTerminating:
		return nil, api.Errorf("ScalingActivityInProgress", "Instance %s is already being terminated.", m.ID)
	case decrement && m.phase() == phaseRetained:
		return nil, m.notCounted()
	case decrement && r.DesiredCapacity <= r.MinSize:
		return nil, invalid("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", r.MinSize)
	}
	e := ending{cause: at(tx.Now(), userTerminated(m.ID, decrement, r.DesiredCapacity)), scaling: decrement}
	if decrement {
		r.lower(1)
	}
	key := r.terminate(m, e)
	r.save()
	a, _ := s.activities.Get(tx, key)
	return &shape.TerminateInstanceInAutoScalingGroupOutput{Activity: new(a.shape(groupInService))}, nil
}

// AttachInstances takes running instances into a group (AS-AD-03).
func (s *Service) AttachInstances(tx *cloud.Tx, in *shape.AttachInstancesInput) (*shape.AttachInstancesOutput, error) {
	r, err := s.known(tx, *in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if err := r.notDeleting(); err != nil {
		return nil, err
	}
	ids := sortedSet(in.InstanceIds)
	switch n := len(ids); {
	case n == 0 || n > idsPerCall:
		return nil, invalid("The number of instance IDs must be between 1 and %d.", idsPerCall)
	case r.suspended("Launch"): // AS-SP-03
		return nil, invalid("AttachInstances is not allowed while the Launch process is suspended.")
	case r.DesiredCapacity+n > r.MaxSize:
		return nil, invalid("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To attach %d instances, please update the AutoScalingGroup sizes appropriately.", r.Name, r.MinSize, r.MaxSize, r.DesiredCapacity, n)
	}
	for _, id := range ids {
		i, err := r.attachable(id)
		if err != nil {
			return nil, err
		}
		m := Member{ID: id, Group: r.Name, AvailabilityZone: i.Zone, InstanceType: i.InstanceType, ImageID: i.ImageID,
			HealthStatus: healthy, Protected: r.NewInstancesProtectedFromScaleIn, Detailed: i.Monitoring, Launched: i.LaunchTime}
		m.Activity = r.begin(Activity{Kind: kindAttach, InstanceID: id, Description: attaching + ": " + id, StatusCode: statusPreInService,
			Progress: 30, Zone: i.Zone, Subnet: i.SubnetID, Cause: at(tx.Now(), userAttached(r.DesiredCapacity, r.DesiredCapacity+1))})
		r.lower(-1)
		r.move(&m, statePending)
		r.put(m)
		s.ec2.Tag(tx, id, r.launchTags())
		s.ec2.SetTargetLifecycleState(tx, id, stateInService)
		tx.Touch(Name, keyMember, id)
	}
	r.save()
	r.touch()
	return &shape.AttachInstancesOutput{}, nil
}

// attachable refuses instances that may not join the group.
func (r *roster) attachable(id string) (ec2.Instance, error) {
	i, ok := r.s.ec2.Instance(r.tx, id)
	m, taken := r.s.members.Get(r.tx, id)
	switch {
	case !ok:
		return i, invalid("Invalid Instance ID(s): [%s]. One or more instances do not exist.", id)
	case i.State != ec2.Running:
		return i, invalid("Instance %s is not in correct state. Instance(s) must be in 'running' state.", id)
	case taken:
		return i, invalid("Instance %s is already part of AutoScalingGroup %s.", id, m.Group)
	case !slices.Contains(r.AvailabilityZones, i.Zone):
		return i, invalid("The availability zone %s of instance %s does not match with any of the AutoScalingGroup's availability zones.", i.Zone, id)
	}
	if x, ok := r.s.ec2.Subnet(r.tx, r.Subnets[0].ID); ok && len(r.Attachments) > 0 && x.VPCID != i.VPCID {
		return i, invalid("EC2 instance %s is not in VPC. Updating load balancer configuration failed.", id)
	}
	return i, nil
}

// DetachInstances lets instances go on without the group (AS-AD-04).
func (s *Service) DetachInstances(tx *cloud.Tx, in *shape.DetachInstancesInput) (*shape.DetachInstancesOutput, error) {
	r, members, err := s.chosen(tx, *in.AutoScalingGroupName, in.InstanceIds, idsPerCall)
	if err != nil {
		return nil, err
	}
	decrement := *in.ShouldDecrementDesiredCapacity
	if decrement && r.DesiredCapacity-len(members) < r.MinSize {
		return nil, r.tooFew("detach", len(members))
	}
	out := &shape.DetachInstancesOutput{Activities: []shape.Activity{}}
	for _, m := range members {
		switch p := m.phase(); {
		case p == phaseRetained && decrement:
			return nil, m.notCounted()
		case p != phaseInService && p != phaseRetained && m.LifecycleState != stateStandby:
			return nil, invalid("The instance %s is not in InService or Standby.", m.ID)
		}
		a := r.depart(m, departure{kind: kindDetach, description: detaching, moved: "detached", state: stateDetaching, target: "Detached"}, decrement)
		out.Activities = append(out.Activities, a)
	}
	r.save()
	return out, nil
}

// EnterStandby takes instances out of service without ending them (AS-LC-04, AS-AD-05).
func (s *Service) EnterStandby(tx *cloud.Tx, in *shape.EnterStandbyInput) (*shape.EnterStandbyOutput, error) {
	r, members, err := s.chosen(tx, *in.AutoScalingGroupName, in.InstanceIds, idsPerCall)
	if err != nil {
		return nil, err
	}
	decrement := *in.ShouldDecrementDesiredCapacity
	if decrement && r.DesiredCapacity-len(members) < r.MinSize {
		return nil, r.tooFew("place into standby", len(members))
	}
	out := &shape.EnterStandbyOutput{Activities: []shape.Activity{}}
	for _, m := range members {
		if m.phase() != phaseInService {
			return nil, invalid("The instance %s is not in InService.", m.ID)
		}
		a := r.depart(m, departure{kind: kindEnterStandby, description: toStandby, moved: "moved to standby", state: stateEnteringStandby, target: "Standby"}, decrement)
		out.Activities = append(out.Activities, a)
	}
	r.save()
	return out, nil
}

// tooFew is the answer to a call that would bring the group under its minimum (AS-AD-05).
func (r *roster) tooFew(what string, n int) error {
	noun := "instance"
	if n > 1 {
		noun = "instances"
	}
	return invalid("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To %s %d %s, please update the AutoScalingGroup sizes appropriately.",
		r.Name, r.MinSize, r.MaxSize, r.DesiredCapacity, what, n, noun)
}

// departure is a way out of service that does not end the instance.
type departure struct{ kind, description, moved, state, target string }

func (r *roster) depart(m Member, d departure, decrement bool) shape.Activity {
	a := Activity{Kind: d.kind, InstanceID: m.ID, Description: d.description + ": " + m.ID, StatusCode: statusInProgress, Progress: 50,
		Zone: m.AvailabilityZone, Cause: at(r.tx.Now(), userMoved(m.ID, d.moved, decrement, r.DesiredCapacity, r.DesiredCapacity-1))}
	if i, gone := r.instance(m.ID); !gone {
		a.Subnet = i.SubnetID
	}
	if decrement {
		r.lower(1)
	}
	m.Activity = r.begin(a)
	m.CheckAt, m.Rebalance = time.Time{}, false
	r.leave(&m, d.state, d.target)
	a, _ = r.s.activities.Get(r.tx, m.Activity)
	return a.shape(groupInService)
}

// ExitStandby brings instances back into service; the desired capacity rises by their number (AS-AD-06).
func (s *Service) ExitStandby(tx *cloud.Tx, in *shape.ExitStandbyInput) (*shape.ExitStandbyOutput, error) {
	r, members, err := s.chosen(tx, *in.AutoScalingGroupName, in.InstanceIds, idsPerCall)
	if err != nil {
		return nil, err
	}
	switch {
	case r.suspended("Launch"): // AS-SP-03
		return nil, invalid("ExitStandby is not allowed while the Launch process is suspended.")
	case r.DesiredCapacity+len(members) > r.MaxSize:
		return nil, r.tooFew("take out of standby", len(members))
	}
	out := &shape.ExitStandbyOutput{Activities: []shape.Activity{}}
	for _, m := range members {
		if m.LifecycleState != stateStandby {
			return nil, invalid("The instance %s is not in Standby.", m.ID)
		}
		a := Activity{Kind: kindExitStandby, InstanceID: m.ID, Description: fromStandby + ": " + m.ID, StatusCode: statusPreInService, Progress: 30,
			Zone: m.AvailabilityZone, Cause: at(tx.Now(), userMoved(m.ID, "moved out of standby", true, r.DesiredCapacity, r.DesiredCapacity+1))}
		if i, gone := r.instance(m.ID); !gone {
			a.Subnet = i.SubnetID
		}
		r.lower(-1)
		m.Activity = r.begin(a)
		r.move(&m, statePending)
		r.put(m)
		s.ec2.SetTargetLifecycleState(tx, m.ID, stateInService)
		tx.Touch(Name, keyMember, m.ID)
		a, _ = s.activities.Get(tx, m.Activity)
		out.Activities = append(out.Activities, a.shape(groupInService))
	}
	r.save()
	r.touch()
	return out, nil
}

// SetInstanceProtection protects members from scale-in, or no longer (AS-PR-04).
func (s *Service) SetInstanceProtection(tx *cloud.Tx, in *shape.SetInstanceProtectionInput) (*shape.SetInstanceProtectionOutput, error) {
	r, members, err := s.chosen(tx, *in.AutoScalingGroupName, in.InstanceIds, protectedPerCall)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if p := m.phase(); p != phaseInService && p != phaseStandby {
			return nil, invalid("The instance %s is not in InService or EnteringStandby or Standby.", m.ID)
		}
		m.Protected = *in.ProtectedFromScaleIn
		r.put(m)
	}
	r.touch() // what protection held back may go now
	return &shape.SetInstanceProtectionOutput{}, nil
}

// processes are those that can be suspended (AS-SP-01), and which DescribeScalingProcessTypes lists.
var processes = []string{"AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "Launch",
	"ReplaceUnhealthy", "ScheduledActions", "Terminate"}

// processesOf are the processes a call means: those it names, or all.
func processesOf(names []string) ([]string, error) {
	if len(names) == 0 {
		return processes, nil
	}
	for _, p := range names {
		if !slices.Contains(processes, p) {
			return nil, invalid("'%s' is not a valid scaling process. Valid processes: [%s]", p, strings.Join(processes, ", "))
		}
	}
	return names, nil
}

// SuspendProcesses keeps the group from doing some of what it does (AS-SP-01).
func (s *Service) SuspendProcesses(tx *cloud.Tx, in *shape.SuspendProcessesInput) (*shape.SuspendProcessesOutput, error) {
	r, err := s.known(tx, *in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	names, err := processesOf(in.ScalingProcesses)
	if err != nil {
		return nil, err
	}
	list := slices.Clone(r.Suspended)
	for _, p := range names {
		if !slices.ContainsFunc(list, func(x Suspension) bool { return x.Process == p }) {
			list = append(list, Suspension{p, "User suspended at " + tx.Now().Format("2006-01-02T15:04:05Z")})
		}
	}
	slices.SortFunc(list, func(a, b Suspension) int { return strings.Compare(a.Process, b.Process) })
	r.Suspended, r.changed = list, true
	r.save()
	s.noteGroup(tx, r.Name)
	return &shape.SuspendProcessesOutput{}, nil
}

// ResumeProcesses lets the group do again what it was kept from; what waited is done at once (AS-SP-02).
func (s *Service) ResumeProcesses(tx *cloud.Tx, in *shape.ResumeProcessesInput) (*shape.ResumeProcessesOutput, error) {
	r, err := s.known(tx, *in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	names, err := processesOf(in.ScalingProcesses)
	if err != nil {
		return nil, err
	}
	var resumed []string
	kept := slices.DeleteFunc(slices.Clone(r.Suspended), func(x Suspension) bool {
		gone := slices.Contains(names, x.Process)
		if gone {
			resumed = append(resumed, x.Process)
		}
		return gone
	})
	r.Suspended, r.changed = kept, true
	r.save()
	if slices.Contains(resumed, "HealthCheck") {
		for _, m := range r.team() {
			tx.Touch(Name, keyMember, m.ID)
		}
	}
	r.touch()
	s.processesResumed(tx, r.Group, resumed)
	return &shape.ResumeProcessesOutput{}, nil
}
