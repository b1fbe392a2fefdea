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
	crew    []Member // in order of ID; see members
	read    bool
}

// open reads a group for a step to work on.
func (s *Service) open(tx *cloud.Tx, name string) (*roster, bool) {
	g, ok := s.groups.Get(tx, name)
	return &roster{s: s, tx: tx, Group: g}, ok
}

// save writes the group's row if it was changed.
func (r *roster) save() {
	if r.changed {
		r.s.groups.Put(r.tx, r.Name, r.Group)
		r.changed = false
	}
}

// touch has the group reconciled before the step ends.
func (r *roster) touch() { r.tx.Touch(Name, keyGroup, r.Name) }

// team is the group's members in order of ID.
func (r *roster) team() []Member {
	if !r.read {
		r.read = true
		for _, m := range r.s.membersOf.Each(r.tx, r.Name) {
			r.crew = append(r.crew, m)
		}
	}
	return r.crew
}

// put writes a member.
func (r *roster) put(m Member) {
	r.s.members.Put(r.tx, m.ID, m)
	if !r.read {
		return
	}
	i, found := slices.BinarySearchFunc(r.crew, m.ID, byID)
	if found {
		r.crew[i] = m
	} else {
		r.crew = slices.Insert(r.crew, i, m)
	}
}

// drop removes a member and has the group look at the gap.
func (r *roster) drop(m Member) {
	r.s.members.Delete(r.tx, m.ID)
	r.tx.At(Name, keyMember, m.ID, time.Time{})
	if i, found := slices.BinarySearchFunc(r.crew, m.ID, byID); found {
		r.crew = slices.Delete(r.crew, i, i+1)
	}
	r.touch()
}

func byID(m Member, id string) int {
	switch {
	case m.ID < id:
		return -1
	case m.ID > id:
		return 1
	}
	return 0
}

// have is the capacity that counts toward the desired one (AS-LC-09).
func (r *roster) have() int { return r.count(phasePending) + r.count(phaseInService) }

func (r *roster) count(p phase) int {
	n := 0
	for i := range r.team() {
		if r.crew[i].phase() == p {
			n++
		}
	}
	return n
}

// move puts a member into a lifecycle state.
func (r *roster) move(m *Member, state string) {
	m.LifecycleState = state
	m.Since = r.tx.Now()
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
	s.groupChanged(tx, r.Group)
	s.noteGroup(tx, r.Name)
}

// settled notes that the group has what it wants: what was owed to earlier events is owed no more.
func (r *roster) settled() {
	if len(r.Triggers) > 0 || r.Replacing > 0 {
		r.Triggers, r.Replacing, r.changed = nil, 0, true
	}
	for _, m := range r.team() {
		if m.Rebalance && m.phase() == phaseInService {
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
	if len(r.team()) > 0 {
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
