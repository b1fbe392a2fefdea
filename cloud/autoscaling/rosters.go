package autoscaling

import (
	"slices"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// roster is one group and its members while a step works on them: the group's row is read once, changed here and
// written back by save; members are written as they change.
type roster struct {
	s  *Service
	tx *cloud.Tx
	Group
	changed bool
}

// open reads a group for a step to work on.
func (s *Service) open(tx *cloud.Tx, name string) (*roster, bool) {
	r := s.spare
	if s.spare = nil; r == nil {
		r = &roster{}
	}
	g, ok := s.groups.Get(tx, name)
	*r = roster{s: s, tx: tx, Group: g}
	return r, ok
}

// close gives a roster's memory to the next one that is opened. Whoever does not close one only leaves it to the garbage.
func (r *roster) close() { r.s.spare = r }

// save writes the group's row if it was changed.
func (r *roster) save() {
	if r.changed {
		r.s.groups.Put(r.tx, r.Name, r.Group)
		r.changed = false
	}
}

// touch has the group reconciled before the step ends.
func (r *roster) touch() { r.tx.Touch(Name, keyGroup, r.Name) }

// tally is what the group's members add up to, as of their last write.
func (r *roster) tally() *tally { return r.s.tallies.of(r.tx.Scope, r.Name) }

// team is the group's members in order of ID: their rows as they are now, whatever is written while they are looked at.
func (r *roster) team() []*Member { return slices.Clone(r.tally().crew) }

// put writes a member.
func (r *roster) put(m Member) { r.s.members.Put(r.tx, m.ID, m) }

// drop removes a member and has the group look at the gap.
func (r *roster) drop(m Member) {
	r.s.members.Delete(r.tx, m.ID)
	r.tx.At(Name, keyMember, m.ID, time.Time{})
	r.touch()
}

// have is the capacity that counts toward the desired one (AS-LC-09).
func (r *roster) have() int { return r.count(phasePending) + r.count(phaseInService) }

func (r *roster) count(p phase) int { return r.tally().phases[p] }

// move puts a member into a lifecycle state. A timer is that of the state that ends.
func (r *roster) move(m *Member, state string) {
	m.LifecycleState = state
	m.Since = r.tx.Now()
	r.tx.At(Name, keyMember, m.ID, time.Time{})
}

// instance is what EC2 knows of a member; gone tells that nothing is left of it.
func (r *roster) instance(id string) (i ec2.Instance, gone bool) {
	i, ok := r.s.ec2.Instance(r.tx, id)
	return i, !ok || i.State == ec2.Terminated
}

// reconcileGroup is the one place that starts and ends instances of a group.
func (s *Service) reconcileGroup(tx *cloud.Tx, name string) {
	r, ok := s.open(tx, name)
	if !ok {
		return
	}
	if r.Deleting && r.dissolve() {
		return
	}
	r.settleAttachments()
	again := r.replaceUnhealthy()
	switch have, want := r.have(), r.DesiredCapacity; {
	case have < want:
		r.grow(want - have)
	case have > want:
		r.shrink(have - want)
	default:
		r.settled()
		r.rebalance()
	}
	r.setTimer(again)
	r.save()
	s.groupChanged(tx, &r.Group)
	s.noteGroup(tx, r.Name)
	r.close()
}

// settled notes that the group has what it wants: what was owed to earlier events is owed no more.
func (r *roster) settled() {
	if len(r.Triggers) > 0 || r.Replacing > 0 {
		r.Triggers, r.Replacing, r.changed = nil, 0, true
	}
	if r.tally().rebalance == 0 {
		return
	}
	for _, m := range r.team() {
		if m.Rebalance && m.phase() == phaseInService {
			m := *m
			m.Rebalance = false
			r.put(m)
		}
	}
}

// setTimer has the group reconciled when a failed zone may be tried again, when launches are allowed again, or at the
// instant given, whichever comes first.
func (r *roster) setTimer(again time.Time) {
	next := again
	consider := func(t time.Time) {
		if t.After(r.tx.Now()) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, f := range r.Failures {
		consider(f.Until)
	}
	consider(r.LaunchAfter)
	r.tx.At(Name, keyGroup, r.Name, next)
}

// dissolve goes on with a deletion; true means that the group is gone.
func (r *roster) dissolve() bool {
	if len(r.tally().crew) > 0 {
		return false
	}
	r.s.groupDeleted(r.tx, r.Group)
	r.s.closeDiary(r.tx, r.Name)
	r.s.groups.Delete(r.tx, r.Name)
	r.tx.At(Name, keyGroup, r.Name, time.Time{})
	return true
}

// noticeMember has a member looked at to which something happened, and its group.
func (s *Service) noticeMember(tx *cloud.Tx, id string) {
	if m, ok := s.members.Get(tx, id); ok {
		tx.Touch(Name, keyMember, id)
		tx.Touch(Name, keyGroup, m.Group)
	}
}
