package autoscaling

import (
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// checkPeriod is the time between a group's health checks (AS-HC-06) [I]. Nothing happens at a check but for members
// that fail it: a member with a failing check has a timer for the next multiple of the period.
const checkPeriod = 30 * time.Second

// impairedTolerated is how long failing status checks are put up with (AS-HC-04) [I].
const impairedTolerated = 5 * time.Minute

// check looks at the health of a member in service and marks it Unhealthy: at once if its instance does not run
// (AS-HC-03), at the next check after the grace period if a status check or a load balancer says so.
func (r *roster) check(m Member) {
	if m.HealthStatus != healthy {
		return
	}
	if r.suspended("HealthCheck") {
		if !m.CheckAt.After(r.tx.Now()) {
			m.CheckAt = time.Time{}
		}
		r.tx.At(Name, keyMember, m.ID, m.CheckAt)
		return
	}
	i, gone := r.instance(m.ID)
	if gone || i.State != ec2.Running && i.State != ec2.Pending {
		r.died(m)
		r.mark(m, sickState)
		return
	}
	now, sickness := r.tx.Now(), r.sickness(m)
	switch due := r.graceEnds(m); {
	case sickness == "":
		if !m.CheckAt.IsZero() {
			m.CheckAt = time.Time{}
			r.put(m)
		}
	case m.CheckAt.IsZero() || due.After(m.CheckAt): // found now, or the grace period was made longer
		if (sickness == sickStatus || sickness == sickEBS) && m.CheckAt.IsZero() {
			due = later(due, now.Add(impairedTolerated))
		}
		due = later(due, now)
		m.CheckAt = nextCheck(due)
		r.put(m)
	case !m.CheckAt.After(now):
		r.mark(m, sickness)
		return
	}
	r.tx.At(Name, keyMember, m.ID, m.CheckAt)
}

// nextCheck is the first multiple of the period after t.
func nextCheck(t time.Time) time.Time { return t.Truncate(checkPeriod).Add(checkPeriod) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (r *roster) graceEnds(m Member) time.Time {
	return m.InServiceAt.Add(time.Duration(r.HealthCheckGracePeriod) * time.Second)
}

// sickness is what is wrong with a member whose instance runs (AS-HC-04, AS-HC-05), or empty.
func (r *roster) sickness(m Member) string {
	if r.s.ec2.Status(r.tx, m.ID) == "impaired" {
		return sickStatus
	}
	if r.checks("EBS") && r.s.ec2.VolumesStatus(r.tx, m.ID) == "impaired" {
		return sickEBS
	}
	if !r.checks("ELB") {
		return ""
	}
	for _, a := range r.Attachments {
		if a.State != attachmentInService {
			continue
		}
		if state, registered := r.health(a, m.ID); registered && state == elbv2.StateUnhealthy {
			return sickELB
		}
	}
	return ""
}

// checks tells whether a kind of health check is the group's; EC2 always is (AS-HC-01).
func (g Group) checks(kind string) bool { return strings.Contains(g.HealthCheckType, kind) }

// mark makes a member Unhealthy; the group replaces it as soon as it is in service.
func (r *roster) mark(m Member, sickness string) {
	m.HealthStatus, m.Sickness, m.CheckAt = unhealthy, sickness, time.Time{}
	if m.phase() == phaseInService { // elsewhere the timer is that of a hook's heartbeat
		r.tx.At(Name, keyMember, m.ID, time.Time{})
	}
	r.put(m)
	r.touch()
}

// replaceUnhealthy ends unhealthy members, as fast as AS-HC-10 allows; grow launches others for them in the same step
// (AS-HC-09). It returns when to try again if some have to wait for a warm-up.
func (r *roster) replaceUnhealthy() (again time.Time) {
	if r.tally().sick == 0 || r.suspended("ReplaceUnhealthy") || r.suspended("Terminate") || r.Deleting { // AS-SP-04, AS-SP-10
		return
	}
	var waiting []*Member
	for _, m := range r.team() {
		switch {
		case m.HealthStatus == healthy || m.phase() != phaseInService:
		case m.Sickness == sickState || m.Sickness == sickUser:
			r.replace(*m)
		default:
			waiting = append(waiting, m)
		}
	}
	if len(waiting) == 0 {
		return
	}
	allowed, again := r.pace(len(waiting))
	for _, m := range waiting[:min(allowed, len(waiting))] {
		r.replace(*m)
	}
	return again
}

func (r *roster) replace(m Member) {
	r.Replacing++
	r.terminate(m, ending{cause: at(r.tx.Now(), healthSentence(m.Sickness))})
}

// pace is how many of the group's failing but running members may be replaced now (AS-HC-10): a tenth of the desired
// capacity at a time, at least one, less what is missing from it already. Members that are warming up or that no load
// balancer has passed yet are still missing.
func (r *roster) pace(sick int) (allowed int, again time.Time) {
	now, up := r.tx.Now(), 0
	coming := r.count(phasePending) > 0 || r.count(phaseTerminating) > 0
	warmup := time.Duration(max(0, r.DefaultInstanceWarmup)) * time.Second
	for _, m := range r.team() {
		if m.phase() != phaseInService {
			continue
		}
		warm := m.InServiceAt.Add(warmup)
		switch {
		case warm.After(now):
			coming = true
			if again.IsZero() || warm.Before(again) {
				again = warm
			}
		case m.HealthStatus == healthy && r.untested(*m):
			coming = true
		default:
			up++
		}
	}
	batch := max(1, r.DesiredCapacity/10)
	if sick >= r.count(phaseInService) { // nothing passes: the fault may not be the instances'
		batch = 1
	}
	missing := max(0, r.DesiredCapacity-up)
	if missing >= batch && !coming {
		return batch, time.Time{} // nobody is on the way: waiting would be for ever
	}
	return max(0, batch-missing), again
}

// untested tells whether a load balancer that counts has not made up its mind about a member.
func (r *roster) untested(m Member) bool {
	if !r.checks("ELB") {
		return false
	}
	for _, a := range r.Attachments {
		if state, registered := r.health(a, m.ID); registered && state == elbv2.StateInitial {
			return true
		}
	}
	return false
}

// SetInstanceHealth marks an instance by hand (AS-HC-07).
func (s *Service) SetInstanceHealth(tx *cloud.Tx, in *shape.SetInstanceHealthInput) (*shape.SetInstanceHealthOutput, error) {
	m, ok := s.members.Get(tx, *in.InstanceId)
	if !ok { // AS-HC-13
		return nil, invalid("Instance Id not found - No managed instance found for instance ID: %s", *in.InstanceId)
	}
	r, _ := s.open(tx, m.Group)
	switch *in.HealthStatus {
	case healthy:
		if m.phase() == phaseTerminating {
			return nil, invalid("Instance %s is already terminating.", m.ID)
		}
		m.HealthStatus, m.Sickness, m.CheckAt = healthy, "", time.Time{}
		r.put(m)
		tx.Touch(Name, keyMember, m.ID)
	case unhealthy:
		respect := in.ShouldRespectGracePeriod == nil || api.Value(in.ShouldRespectGracePeriod)
		if m.phase() == phaseInService && respect && r.graceEnds(m).After(tx.Now()) {
			break
		}
		if m.phase() != phaseTerminating && m.HealthStatus == healthy {
			r.mark(m, sickUser)
		}
	default:
		return nil, invalid("Instance health status can be only set to 'Healthy' or 'Unhealthy'.")
	}
	return &shape.SetInstanceHealthOutput{}, nil
}
