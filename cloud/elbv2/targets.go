package elbv2

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// Target is the row of a target in one target group.
//
//	register --> unused <--[not in use, other zone, stopped]--> initial --[checks: Count]--> healthy, unhealthy
//	                |                                                |                          |
//	                '---------> gone <--[delay over]--- draining <---deregister-----------------'
type Target struct {
	TargetGroup      string // ARN
	ID               string // an instance ID or an address
	Port             int32
	AvailabilityZone string    `json:",omitempty"` // as it was given, "all" is possible
	Zone             string    // where it is; empty if that is not known or not in the VPC
	Host             string    // its address; the last one known, for an instance that has none any more
	Unused           string    `json:",omitempty"` // why it is not in service: one of the unused constants
	Since            time.Time // checks before do not count
	Count            Count
	DrainUntil       time.Time // zero when it is not draining
	Drained          bool      `json:",omitempty"` // draining, and no request is left
	ForgetAt         time.Time // when a terminated instance is taken out; zero otherwise
}

// Why a target is not in service.
const (
	unusedGroup      = "group"      // no listener forwards to its target group (LB-HC-08)
	unusedZone       = "zone"       // its zone is not enabled for the load balancer
	unusedStopped    = "stopped"    // its instance does not run (LB-DR-05)
	unusedTerminated = "terminated" // its instance is no more
)

// ForgetAfter is how long a terminated instance is still listed, also by a classic load balancer; AWS does not say.
const ForgetAfter = 5 * time.Minute

// targetName is a target's name in its group: "i-0123456789abcdef0:80".
func targetName(id string, port int32) string { return id + ":" + strconv.Itoa(int(port)) }

// targetKey is the key of a target's row.
func targetKey(group, name string) string { return group + "|" + name }

func (t Target) name() string { return targetName(t.ID, t.Port) }

func (t Target) key() string { return targetKey(t.TargetGroup, t.name()) }

// instanceID is the instance, or empty if the target is an address.
func (t Target) instanceID() string {
	if _, err := netip.ParseAddr(t.ID); err == nil {
		return ""
	}
	return t.ID
}

// leaves tells whether the target has a timer.
func (t Target) leaves() bool { return !t.DrainUntil.IsZero() || !t.ForgetAt.IsZero() }

// counts tells whether results of health checks count.
func (t Target) counts() bool { return t.Unused == "" && t.DrainUntil.IsZero() }

// Health is the target's state with its reason (LB-HC-05) and description (LB-HC-06).
func (t Target) Health() Health {
	switch {
	case !t.DrainUntil.IsZero():
		return Health{StateDraining, "Target.DeregistrationInProgress", "Target deregistration is in progress"}
	case t.Unused == unusedGroup:
		return Health{StateUnused, "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"}
	case t.Unused == unusedZone:
		return Health{StateUnused, "Target.NotInUse", "Target is in an Availability Zone that is not enabled for the load balancer"}
	case t.Unused != "":
		return Health{StateUnused, "Target.InvalidState", "Target is in the " + t.Unused + " state"}
	case t.Count.State == StateHealthy:
		return Health{State: StateHealthy}
	case t.Count.State == StateUnhealthy:
		return Health{StateUnhealthy, t.Count.Reason, t.Count.failure()}
	case t.Count == Count{}:
		return Health{StateInitial, "Elb.RegistrationInProgress", "Target registration is in progress"}
	}
	return Health{StateInitial, "Elb.InitialHealthChecking", "Initial health checks in progress"}
}

// failure describes the last failed check.
func (c Count) failure() string {
	switch c.Reason {
	case "Target.ResponseCodeMismatch":
		return fmt.Sprintf("Health checks failed with these codes: [%d]", c.Code)
	case "Target.Timeout":
		return "Request timed out"
	case "Elb.InternalError":
		return "Health checks failed due to an internal error"
	}
	return "Health checks failed"
}

// notRegistered is the health of what is not in the target group.
var notRegistered = Health{StateUnused, "Target.NotRegistered", "Target is not registered to the target group"}

// usage is who uses a target group: nobody, or one load balancer.
type usage struct {
	loadBalancer LoadBalancer
	used         bool
}

func (s *Service) usage(tx *cloud.Tx, group string) usage {
	for _, l := range s.users.Each(tx, group) {
		lb, ok := s.loadBalancers.Get(tx, l.LoadBalancer)
		return usage{lb, ok}
	}
	return usage{}
}

// serves tells whether the load balancer may send requests into a zone.
func (u usage) serves(zone string) bool {
	return zone == "" || slices.ContainsFunc(u.loadBalancer.Zones, func(z Zone) bool { return z.Name == zone })
}

// judge decides anew whether a target is in service, after something outside it has changed, and writes its row.
func (s *Service) judge(tx *cloud.Tx, u usage, key string, was Target) {
	t := s.placed(tx, u, was)
	if t.Unused != "" && !t.DrainUntil.IsZero() { // nothing is left that could drain
		s.remove(tx, key, was)
		return
	}
	if t.Unused != was.Unused {
		t.Count, t.Since = Count{}, tx.Now()
	}
	s.write(tx, key, was, t)
}

// placed fills in where a target is and why it is not in service, if it is not.
func (s *Service) placed(tx *cloud.Tx, u usage, t Target) Target {
	t.Unused = ""
	if t.instanceID() != "" {
		t = s.placedInstance(tx, t)
	}
	switch {
	case t.Unused != "":
	case !u.used:
		t.Unused = unusedGroup
	case !u.serves(t.Zone):
		t.Unused = unusedZone
	}
	return t
}

// placedInstance looks at the instance: LB-DR-05.
func (s *Service) placedInstance(tx *cloud.Tx, t Target) Target {
	i, found := s.ec2.Instance(tx, t.ID)
	if i.PrivateIP != "" {
		t.Host, t.Zone = i.PrivateIP, i.Zone
	}
	switch {
	case !found || i.State == ec2.Terminated || i.State == ec2.ShuttingDown:
		t.Unused = unusedTerminated
		if t.ForgetAt.IsZero() {
			t.ForgetAt = tx.Now().Add(ForgetAfter)
		}
	case i.State != ec2.Running:
		t.Unused = unusedStopped
	}
	return t
}

// judgeGroup judges all targets of a group.
func (s *Service) judgeGroup(tx *cloud.Tx, group string) {
	u := s.usage(tx, group)
	for key, t := range s.targets.Prefix(tx, group+"|") {
		s.judge(tx, u, key, t)
	}
}

// write puts a target's row, tells of a new state, has the timer set and the Route made again. A new target was zero.
func (s *Service) write(tx *cloud.Tx, key string, was, t Target) {
	if was == t {
		return
	}
	s.targets.Put(tx, key, t)
	from, to := "", t.Health().State
	if was.ID != "" {
		from = was.Health().State
	}
	if from != to {
		tx.Emit(Name, TargetHealthChanged{t.TargetGroup, t.instanceID(), t.name(), from, to})
	}
	if t.leaves() || was.leaves() {
		tx.Touch(Name, kindTarget, key)
	}
	if was.ID == "" || was.route() != t.route() {
		s.reroute(tx, t)
	}
}

// remove takes a target out at once.
func (s *Service) remove(tx *cloud.Tx, key string, t Target) {
	s.targets.Delete(tx, key)
	tx.At(Name, kindTarget, key, time.Time{})
	tx.Emit(Name, TargetGone{t.TargetGroup, t.instanceID(), t.name()})
	s.reroute(tx, t)
}

// reroute has the Route made again after a target has come, changed or gone.
func (s *Service) reroute(tx *cloud.Tx, t Target) {
	s.routes.Changed(tx, t.TargetGroup, t.name())
	s.rerouteGroup(tx, t.TargetGroup)
}

// rerouteGroup has the Route made again of the load balancer that uses a target group.
func (s *Service) rerouteGroup(tx *cloud.Tx, group string) {
	if u := s.usage(tx, group); u.used {
		tx.Touch(Name, kindRoute, u.loadBalancer.ARN)
	}
}

// settleTarget ends what is over and sets the timer for what is not.
func (s *Service) settleTarget(tx *cloud.Tx, key string) {
	t, ok := s.targets.Get(tx, key)
	if !ok {
		return
	}
	at := t.ForgetAt
	if !t.DrainUntil.IsZero() {
		at = t.DrainUntil
	}
	if !at.IsZero() && !tx.Now().Before(at) {
		s.remove(tx, key, t)
		return
	}
	tx.At(Name, kindTarget, key, at)
}

// register puts a target into a group. One that is there already stays as it is, unless it is draining (LB-DR-03).
func (s *Service) register(tx *cloud.Tx, u usage, t Target) {
	was, there := s.targets.Get(tx, t.key())
	if there && was.DrainUntil.IsZero() {
		return
	}
	t.Since = tx.Now()
	s.write(tx, t.key(), was, s.placed(tx, u, t))
}

// deregister begins a target's draining, if there is anything to drain (LB-DR-01).
func (s *Service) deregister(tx *cloud.Tx, g TargetGroup, key string) {
	t, ok := s.targets.Get(tx, key)
	if !ok || !t.DrainUntil.IsZero() {
		return
	}
	delay := g.delay()
	if t.Unused != "" || delay == 0 {
		s.remove(tx, key, t)
		return
	}
	was := t
	t.DrainUntil, t.Drained, t.Count = tx.Now().Add(delay), false, Count{}
	s.write(tx, key, was, t)
}

// checked takes the result of a health check.
func (s *Service) checked(tx *cloud.Tx, f TargetChecked) {
	tx.Scope = ScopeOf(f.TargetGroup)
	key := targetKey(f.TargetGroup, f.Target)
	t, ok := s.targets.Get(tx, key)
	if !ok || !t.counts() || f.At.Before(t.Since) {
		return
	}
	g, _ := s.targetGroups.Get(tx, f.TargetGroup)
	was := t
	t.Count = t.Count.Checked(f.Passed, f.Reason, f.Code, Thresholds{
		Initial: 1, Healthy: g.Check.HealthyThreshold, Unhealthy: g.Check.UnhealthyThreshold,
	})
	s.write(tx, key, was, t)
}

// drained takes the news that a draining target has no request left.
func (s *Service) drained(tx *cloud.Tx, f TargetDrained) {
	tx.Scope = ScopeOf(f.TargetGroup)
	key := targetKey(f.TargetGroup, f.Target)
	t, ok := s.targets.Get(tx, key)
	if !ok || t.DrainUntil.IsZero() || t.Drained {
		return
	}
	t.Drained = true
	s.targets.Put(tx, key, t)
	tx.Emit(Name, TargetDrained{f.TargetGroup, f.Target, t.instanceID()})
}
