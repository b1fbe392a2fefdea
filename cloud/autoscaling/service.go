// Package autoscaling is EC2 Auto Scaling: groups keep their desired capacity with real instances, replace what is
// unhealthy, keep the zones balanced and write an activity with its cause for everything they do; policies, alarms and
// schedules move the desired capacity.
//
// It is not a scheduler of its own: instances are launched and ended by ec2, targets are registered with elbv2 and elb,
// alarms are raised by cloudwatch; all of them are called in the same step and answer with events.
//
// The one idea: calls, policies and health only change rows (desired capacity, a member's health, a wish to leave) and
// touch the group; Reconcile of the group is the only place that decides to launch or to end an instance.
//
// Invariants: MinSize <= DesiredCapacity <= MaxSize; an instance is a member of one group at most; every open activity
// belongs to a member that is on its way, and is closed when the member has arrived or is gone.
package autoscaling

import (
	"iter"
	"slices"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elb"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is the service's name.
const Name = "autoscaling"

// Service is EC2 Auto Scaling.
type Service struct {
	cloud.Base
	ec2          *ec2.Service
	cloudwatch   *cloudwatch.Service
	sns          *sns.Service
	queues       *sqs.Service // nil where there are none: see Reach
	identities   *iam.Service // nil where nobody has roles
	targetGroups traffic
	classic      traffic

	groups         cloud.Rows[Group]
	members        cloud.Rows[Member]
	activities     cloud.Rows[Activity]
	configurations cloud.Rows[LaunchConfiguration]

	groupsUsing cloud.Index[Group]    // by launch configuration
	activityIDs cloud.Index[Activity] // see activityValues
	tallies     tallies               // of groups' members
	policiesOf  policiesOf            // by group
	spare       *roster               // memory of one that is closed

	scaling scaling // policies, schedules, notifications, group metrics: scaling.go
	diary   diary   // what explanations are made of, and policies that are only watched: evaluations.go, shadows.go
}

// New makes the service above those that run instances, spread requests, raise alarms and send messages.
func New(e *ec2.Service, v2 *elbv2.Service, classic *elb.Service, metrics *cloudwatch.Service, topics *sns.Service) *Service {
	s := &Service{
		ec2: e, cloudwatch: metrics, sns: topics, targetGroups: targetGroups{v2}, classic: classicBalancers{classic},
		groups:         cloud.NewRows[Group](Name + ".groups"),
		members:        cloud.NewRows[Member](Name + ".members"),
		activities:     cloud.NewRows[Activity](Name + ".activities"),
		configurations: cloud.NewRows[LaunchConfiguration](Name + ".launchconfigurations"),
		scaling:        newScaling(),
		diary:          newDiary(),
	}
	s.tallies = tallies{}
	s.members.Watch(s.tallies.watch)
	s.policiesOf = policiesOf{}
	s.scaling.policies.Watch(s.policiesOf.watch)
	s.groupsUsing = s.groups.Index(func(_ string, g Group) []string { return []string{g.LaunchConfigurationName} })
	s.activityIDs = s.activities.Index(activityValues)
	return s
}

// Reach has lifecycle hooks reach queues, and their roles looked at. It is called before the first step.
func (s *Service) Reach(queues *sqs.Service, identities *iam.Service) {
	s.queues, s.identities = queues, identities
}

// Kinds of key that are reconciled here. Keys settle in order: members come before groups, so that a group sees what
// became of all of them once.
const (
	keyMember = "1 member" // by instance ID
	keyGroup  = "2 group"  // by name
)

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store {
	return append([]table.Store{s.groups, s.members, s.activities, s.configurations}, append(s.scalingStores(), s.diary.stores()...)...)
}

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	return slices.Concat(s.groupOperations(), s.scalingOperations(), s.explainOperations(), s.shadowOperations())
}

// Observe implements cloud.Service.
func (s *Service) Observe(tx *cloud.Tx, f cloud.Fact) {
	if f, ok := f.(GroupUsage); ok {
		tx.In(f.Scope, func() { s.measure(tx, f) })
	}
}

// Notice implements cloud.Service.
func (s *Service) Notice(tx *cloud.Tx, e cloud.Event) {
	switch e := e.(type) {
	case ec2.InstanceStateChanged:
		s.noticeMember(tx, e.ID)
	case ec2.InstanceStatusChanged:
		s.noticeMember(tx, e.ID)
	case elbv2.TargetHealthChanged:
		s.noticeMember(tx, e.InstanceID)
	case elbv2.TargetDrained:
		s.noticeMember(tx, e.InstanceID)
	case elbv2.TargetGone:
		s.noticeMember(tx, e.InstanceID)
	case elb.InstanceHealthChanged:
		s.noticeMember(tx, e.InstanceID)
	case elb.InstanceDrained:
		s.noticeMember(tx, e.InstanceID)
	case elb.InstanceGone:
		s.noticeMember(tx, e.InstanceID)
	default:
		s.scalingNotice(tx, e)
	}
}

// Reconcile implements cloud.Service.
func (s *Service) Reconcile(tx *cloud.Tx, kind, id string) {
	switch kind {
	case keyMember:
		s.reconcileMember(tx, id)
	case keyGroup:
		s.reconcileGroup(tx, id)
	case keyState:
		s.keepState(tx, id)
	case keyDiary:
		s.openDiary(tx, id)
	case keyShadow:
		s.watchShadows(tx, id)
	case keyCompare:
		s.compareShadow(tx, id)
	default:
		s.scalingReconcile(tx, kind, id)
	}
}

// Keys implements cloud.Service.
func (s *Service) Keys() iter.Seq[cloud.Key] {
	return func(yield func(cloud.Key) bool) {
		for k := range s.groups.Everywhere() {
			k.Kind = keyGroup
			if !yield(k) {
				return
			}
		}
		for k := range s.members.Everywhere() {
			k.Kind = keyMember
			if !yield(k) {
				return
			}
		}
		_ = s.scalingKeys(yield) && s.diaryKeys(yield)
	}
}

// Cause is why a group's desired capacity changes, as its activities will tell it (AS-AC-09).
type Cause struct {
	// Text is the trigger sentence without its "At <time> " and without the change itself, which setDesired adds:
	// "a monitor alarm high in state ALARM triggered policy out".
	Text string
	// InvokingAlarms is a JSON array (AS-NT-05) for the activities' Details, or empty.
	InvokingAlarms string
	// Cooldown in seconds is what a simple policy asks for; nil is the group's DefaultCooldown (AS-CD-01).
	Cooldown *int
}

// setDesired is the one place that changes a group's desired capacity. It clamps desired to the group's bounds,
// notes the trigger for the activities that follow, writes the row and has the group reconciled. Nothing happens if
// the clamped value is what the group has already.
func (s *Service) setDesired(tx *cloud.Tx, g Group, desired int, why Cause) Group {
	desired = max(g.MinSize, min(desired, g.MaxSize))
	if desired == g.DesiredCapacity {
		return g
	}
	text := why.Text + changing("the desired capacity", g.DesiredCapacity, desired)
	g.Triggers = append(append([]Trigger(nil), g.Triggers...), Trigger{Text: at(tx.Now(), text), InvokingAlarms: why.InvokingAlarms})
	if n := len(g.Triggers); n > triggersKept {
		g.Triggers = g.Triggers[n-triggersKept:]
	}
	g.DesiredCapacity = desired
	g.Cooldown = g.DefaultCooldown
	if why.Cooldown != nil {
		g.Cooldown = *why.Cooldown
	}
	s.groups.Put(tx, g.Name, g)
	tx.Touch(Name, keyGroup, g.Name)
	return g
}

// triggersKept bounds the sentences that wait for an activity to tell them.
const triggersKept = 10

// Capacity is what decisions need to know of a group.
type Capacity struct {
	Min, Max, Desired int
	InService         int
	Pending           int // Pending, Pending:Wait, Pending:Proceed
	Standby           int // and EnteringStandby
	Terminating       int // Terminating, Terminating:Wait, Terminating:Proceed
	Retained          int // Terminating:Retained
	Warming           int // InService, but the warm-up asked about is not over (AS-WU-01)
	// WarmAt is when the last of the warming members will be warm; zero if none is.
	WarmAt time.Time
}

// ScalingOut tells that instances are on their way in or warming (AS-WU-04).
func (c Capacity) ScalingOut() bool { return c.Pending > 0 || c.Warming > 0 }

// capacity counts a group's members. warmup is the time after InService in which a member counts as warming.
func (s *Service) capacity(tx *cloud.Tx, g Group, warmup time.Duration) Capacity {
	t := s.tallies.of(tx.Scope, g.Name)
	c := Capacity{Min: g.MinSize, Max: g.MaxSize, Desired: g.DesiredCapacity, InService: t.phases[phaseInService],
		Pending: t.phases[phasePending], Standby: t.phases[phaseStandby], Terminating: t.phases[phaseTerminating], Retained: t.phases[phaseRetained]}
	t.after(tx.Now().Add(-warmup), func(at time.Time, x stay) {
		if !x.leaving {
			c.Warming++
			c.WarmAt = later(c.WarmAt, at.Add(warmup))
		}
	})
	return c
}

// cooldownEnds is when the group's cooldown is over: Cooldown seconds after the last launch or termination that a
// change of desired capacity brought about (AS-CD-02). Zero if there was none.
func (g Group) cooldownEnds() time.Time {
	if g.CooldownStart.IsZero() {
		return time.Time{}
	}
	return g.CooldownStart.Add(time.Duration(g.Cooldown) * time.Second)
}
