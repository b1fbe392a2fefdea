package autoscaling

import (
	"slices"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/elb"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// Types of attachment, as TrafficSourceIdentifier names them.
const (
	typeClassic     = "elb"   // the ID is a load balancer's name
	typeTargetGroup = "elbv2" // the ID is a target group's ARN
)

// States of an attachment (AS-HC-05).
//
//	Adding --all members registered--> Added --one of them passes--> InService
//	   '---------------+-------------------+---Detach---> Removing --drained--> (gone)
const (
	attachmentAdding    = "Adding"
	attachmentAdded     = "Added"
	attachmentInService = "InService"
	attachmentRemoving  = "Removing"
)

// attachmentLimit is how many a group may have of each type (AS-QL-08).
const attachmentLimit = 50

// traffic is what a group needs of a kind of load balancer.
type traffic interface {
	has(tx *cloud.Tx, id string) bool
	register(tx *cloud.Tx, id, instance string) error
	deregister(tx *cloud.Tx, id, instance string) error
	health(tx *cloud.Tx, id, instance string) (state string, registered bool)
	// drained tells that no request of the instance is left to wait for.
	drained(tx *cloud.Tx, id, instance string) bool
}

// targetGroups are elbv2's, by ARN.
type targetGroups struct{ *elbv2.Service }

func (t targetGroups) has(tx *cloud.Tx, arn string) bool { return t.HasTargetGroup(tx, arn) }
func (t targetGroups) register(tx *cloud.Tx, arn, instance string) error {
	return t.RegisterInstances(tx, arn, []string{instance})
}
func (t targetGroups) deregister(tx *cloud.Tx, arn, instance string) error {
	return t.DeregisterInstances(tx, arn, []string{instance})
}
func (t targetGroups) health(tx *cloud.Tx, arn, instance string) (string, bool) {
	h, registered := t.InstanceHealth(tx, arn, instance)
	return h.State, registered
}
func (t targetGroups) drained(tx *cloud.Tx, arn, instance string) bool {
	return t.InstanceDrained(tx, arn, instance)
}

// classicBalancers are elb's, by name.
type classicBalancers struct{ *elb.Service }

func (c classicBalancers) has(tx *cloud.Tx, name string) bool { return c.HasLoadBalancer(tx, name) }
func (c classicBalancers) register(tx *cloud.Tx, name, instance string) error {
	return c.RegisterInstances(tx, name, []string{instance})
}
func (c classicBalancers) deregister(tx *cloud.Tx, name, instance string) error {
	return c.DeregisterInstances(tx, name, []string{instance})
}
func (c classicBalancers) health(tx *cloud.Tx, name, instance string) (string, bool) {
	h, registered := c.InstanceHealth(tx, name, instance)
	return h.State, registered
}
func (c classicBalancers) drained(tx *cloud.Tx, name, instance string) bool {
	return c.InstanceDrained(tx, name, instance)
}

func (s *Service) traffic(kind string) traffic {
	if kind == typeClassic {
		return s.classic
	}
	return s.targetGroups
}

// register puts a member behind every load balancer of the group.
func (r *roster) register(id string) {
	for _, a := range r.Attachments {
		if a.State != attachmentRemoving {
			// An error means that the target group is gone; launches say so in their activity.
			_ = r.s.traffic(a.Type).register(r.tx, a.ID, id)
		}
	}
}

// deregister takes an instance out of every load balancer of the group; draining may follow.
func (r *roster) deregister(id string) {
	for _, a := range r.Attachments {
		if _, registered := r.health(a, id); registered {
			_ = r.s.traffic(a.Type).deregister(r.tx, a.ID, id) // as above
		}
	}
}

// draining tells whether a load balancer of the group still serves requests of an instance that has left it (LB-DR-04).
func (r *roster) draining(id string) bool {
	for _, a := range r.Attachments {
		state, registered := r.health(a, id)
		if registered && state == elbv2.StateDraining && !r.s.traffic(a.Type).drained(r.tx, a.ID, id) {
			return true
		}
	}
	return false
}

func (r *roster) health(a Attachment, id string) (state string, registered bool) {
	return r.s.traffic(a.Type).health(r.tx, a.ID, id)
}

// attachmentsExist fails as a launch does whose load balancer is gone (AS-AC-13).
func (r *roster) attachmentsExist() error {
	for _, a := range r.Attachments {
		switch {
		case a.State == attachmentRemoving || r.s.traffic(a.Type).has(r.tx, a.ID):
		case a.Type == typeClassic:
			return api.Errorf(codeLoadBalancer, "Cannot find Load Balancer %s.%s", a.ID, noLoadBalance)
		default:
			return api.Errorf(codeLoadBalancer, "One or more target groups not found.%s", noLoadBalance)
		}
	}
	return nil
}

// codeLoadBalancer marks an error whose text is the activity's whole StatusMessage.
const codeLoadBalancer = "LoadBalancerNotFound"

// settleAttachments moves attachments on that wait for their members.
func (r *roster) settleAttachments() {
	var kept []Attachment
	moved := false
	for _, a := range r.Attachments {
		state := r.nextState(a)
		moved = moved || state != a.State
		if a.State = state; state != "" {
			kept = append(kept, a)
		}
		if state == attachmentInService && moved { // its verdicts count from now on
			for _, m := range r.team() {
				r.tx.Touch(Name, keyMember, m.ID)
			}
		}
	}
	if moved {
		r.Attachments, r.changed = kept, true
	}
}

// nextState is where an attachment is now; empty is gone.
func (r *roster) nextState(a Attachment) string {
	switch a.State {
	case attachmentAdding, attachmentAdded:
		for _, m := range r.team() {
			if state, _ := r.health(a, m.ID); m.phase() == phaseInService && state == elbv2.StateHealthy {
				return attachmentInService
			}
		}
		return attachmentAdded
	case attachmentRemoving:
		for _, m := range r.team() {
			if _, registered := r.health(a, m.ID); registered {
				return attachmentRemoving
			}
		}
		return ""
	}
	return a.State
}

// attach adds load balancers to a group and registers its members with them.
func (r *roster) attach(kind string, ids []string) error {
	for _, id := range ids {
		if !r.s.traffic(kind).has(r.tx, id) {
			if kind == typeClassic {
				return invalid("Provided Load Balancers may not be valid. Please ensure they exist and try again.")
			}
			return invalid("Target group ARNs may not be valid. Please ensure they exist and try again.")
		}
		i := slices.IndexFunc(r.Attachments, func(a Attachment) bool { return a.Type == kind && a.ID == id })
		if i >= 0 && r.Attachments[i].State != attachmentRemoving {
			continue
		}
		kept := slices.Clone(r.Attachments)
		if i >= 0 {
			kept = slices.Delete(kept, i, i+1)
		}
		r.Attachments = append(kept, Attachment{kind, id, attachmentAdding})
		r.changed = true
		if r.suspended("AddToLoadBalancer") {
			continue
		}
		for _, m := range r.team() {
			if m.phase() == phaseInService {
				_ = r.s.traffic(kind).register(r.tx, id, m.ID)
			}
		}
	}
	n := 0
	for _, a := range r.Attachments {
		if a.Type == kind {
			n++
		}
	}
	if n > attachmentLimit {
		return api.Errorf("LimitExceeded", "You may only attach %d load balancers of one type to an Auto Scaling group.", attachmentLimit)
	}
	r.touch()
	return nil
}

// detach takes load balancers away from a group, draining what it has registered there.
func (r *roster) detach(kind string, ids []string) error {
	left := slices.Clone(r.Attachments)
	for _, id := range ids {
		i := slices.IndexFunc(left, func(a Attachment) bool { return a.Type == kind && a.ID == id && a.State != attachmentRemoving })
		if i < 0 {
			if kind == typeClassic {
				return invalid("Trying to remove Load Balancers that are not part of the group")
			}
			return invalid("Trying to remove Target Groups that are not part of the group")
		}
		left[i].State = attachmentRemoving
		for _, m := range r.team() {
			if _, registered := r.health(left[i], m.ID); registered {
				_ = r.s.traffic(kind).deregister(r.tx, id, m.ID)
			}
		}
	}
	r.Attachments, r.changed = left, true
	r.touch()
	return nil
}

// attached lists the IDs of the group's attachments of a type, but for those being removed.
func (g Group) attached(kind string) []string {
	var ids []string
	for _, a := range g.Attachments {
		if a.Type == kind && a.State != attachmentRemoving {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// reattach runs one of the calls below.
func (s *Service) reattach(tx *cloud.Tx, group *string, f func(r *roster) error) error {
	r, err := s.known(tx, *group)
	if err != nil {
		return err
	}
	if err := f(r); err != nil {
		return err
	}
	r.save()
	s.targetGroupsChanged(tx, r.Group)
	return nil
}

// AttachLoadBalancers attaches classic load balancers.
func (s *Service) AttachLoadBalancers(tx *cloud.Tx, in *shape.AttachLoadBalancersInput) (*shape.AttachLoadBalancersOutput, error) {
	return &shape.AttachLoadBalancersOutput{}, s.reattach(tx, in.AutoScalingGroupName, func(r *roster) error {
		return r.attach(typeClassic, in.LoadBalancerNames)
	})
}

// DetachLoadBalancers detaches classic load balancers.
func (s *Service) DetachLoadBalancers(tx *cloud.Tx, in *shape.DetachLoadBalancersInput) (*shape.DetachLoadBalancersOutput, error) {
	return &shape.DetachLoadBalancersOutput{}, s.reattach(tx, in.AutoScalingGroupName, func(r *roster) error {
		return r.detach(typeClassic, in.LoadBalancerNames)
	})
}

// AttachLoadBalancerTargetGroups attaches target groups.
func (s *Service) AttachLoadBalancerTargetGroups(tx *cloud.Tx, in *shape.AttachLoadBalancerTargetGroupsInput) (*shape.AttachLoadBalancerTargetGroupsOutput, error) {
	return &shape.AttachLoadBalancerTargetGroupsOutput{}, s.reattach(tx, in.AutoScalingGroupName, func(r *roster) error {
		return r.attach(typeTargetGroup, in.TargetGroupARNs)
	})
}

// DetachLoadBalancerTargetGroups detaches target groups.
func (s *Service) DetachLoadBalancerTargetGroups(tx *cloud.Tx, in *shape.DetachLoadBalancerTargetGroupsInput) (*shape.DetachLoadBalancerTargetGroupsOutput, error) {
	return &shape.DetachLoadBalancerTargetGroupsOutput{}, s.reattach(tx, in.AutoScalingGroupName, func(r *roster) error {
		return r.detach(typeTargetGroup, in.TargetGroupARNs)
	})
}

// AttachTrafficSources attaches load balancers and target groups by the newer call.
func (s *Service) AttachTrafficSources(tx *cloud.Tx, in *shape.AttachTrafficSourcesInput) (*shape.AttachTrafficSourcesOutput, error) {
	return &shape.AttachTrafficSourcesOutput{}, s.reattach(tx, in.AutoScalingGroupName, func(r *roster) error {
		return r.attachSources(in.TrafficSources)
	})
}

func (r *roster) attachSources(sources []shape.TrafficSourceIdentifier) error {
	for _, x := range sources {
		kind, err := sourceType(x)
		if err == nil {
			err = r.attach(kind, []string{*x.Identifier})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// DetachTrafficSources detaches load balancers and target groups by the newer call.
func (s *Service) DetachTrafficSources(tx *cloud.Tx, in *shape.DetachTrafficSourcesInput) (*shape.DetachTrafficSourcesOutput, error) {
	return &shape.DetachTrafficSourcesOutput{}, s.reattach(tx, in.AutoScalingGroupName, func(r *roster) error {
		for _, x := range in.TrafficSources {
			kind, err := sourceType(x)
			if err == nil {
				err = r.detach(kind, []string{*x.Identifier})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// sourceType is a traffic source's type; one that is not given follows from the identifier.
func sourceType(x shape.TrafficSourceIdentifier) (string, error) {
	switch kind := api.Value(x.Type); kind {
	case typeClassic, typeTargetGroup:
		return kind, nil
	case "":
		if len(*x.Identifier) > 4 && (*x.Identifier)[:4] == "arn:" {
			return typeTargetGroup, nil
		}
		return typeClassic, nil
	default:
		return "", invalid("The traffic source type %s is not supported.", kind)
	}
}
