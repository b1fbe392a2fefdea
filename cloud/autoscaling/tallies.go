package autoscaling

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/btree"

	"github.com/billow-cloud/billow/cloud"
)

// tally is what is known of a group's members without a look at each of them: how many there are of which kind, and when
// those that count in its metrics came into service. It is derived from the members' rows and always in line with them.
type tally struct {
	phases    [phaseDetaching + 1]int
	zones     []zoneTally // in order of zone, those that have a member
	sick      int         // in service and not Healthy
	rebalance int         // with the mark Rebalance
	stays     [2]int      // in service or on their way out: with basic, with detailed monitoring
	came      btree.Map[string, stay]
	crew      []*Member // in order of ID
}

// zoneTally counts those members in a zone that count toward the desired capacity, and of these those that scale-in may take.
type zoneTally struct {
	zone    string
	n, free int
	leaving int // on their way out
	members int // in all
}

// stay is of a member that has come into service and is not gone.
type stay struct{ leaving, detailed bool }

// tallies are by scope and group.
type tallies map[string]*tally

// noTally is of a group without members.
var noTally = &tally{}

func (all tallies) of(scope cloud.Scope, group string) *tally {
	if t := all[scope.String()+"/"+group]; t != nil {
		return t
	}
	return noTally
}

// watch takes over that a member's row was written.
func (all tallies) watch(key string, old, row *Member) {
	if old != nil && row != nil && old.Group == row.Group {
		t := all[key[:len(key)-len(row.ID)]+row.Group]
		i, _ := slices.BinarySearchFunc(t.crew, row.ID, byID)
		t.crew[i] = row
		if old.LifecycleState == row.LifecycleState && old.InServiceAt.Equal(row.InServiceAt) && old.HealthStatus == row.HealthStatus &&
			old.Protected == row.Protected && old.Rebalance == row.Rebalance && old.AvailabilityZone == row.AvailabilityZone && old.Detailed == row.Detailed {
			return
		}
		t.add(old, -1)
		t.add(row, 1)
		return
	}
	if old != nil {
		name := key[:len(key)-len(old.ID)] + old.Group
		t := all[name]
		t.add(old, -1)
		i, _ := slices.BinarySearchFunc(t.crew, old.ID, byID)
		if t.crew = slices.Delete(t.crew, i, i+1); len(t.crew) == 0 {
			delete(all, name)
		}
	}
	if row != nil {
		name := key[:len(key)-len(row.ID)] + row.Group
		t := all[name]
		if t == nil {
			t = &tally{}
			all[name] = t
		}
		t.add(row, 1)
		i, _ := slices.BinarySearchFunc(t.crew, row.ID, byID)
		t.crew = slices.Insert(t.crew, i, row)
	}
}

func byID(m *Member, id string) int { return strings.Compare(m.ID, id) }

// membersOf yields a group's members in order of ID. None may be written meanwhile.
func (s *Service) membersOf(tx *cloud.Tx, group string) iter.Seq2[int, *Member] {
	return slices.All(s.tallies.of(tx.Scope, group).crew)
}

// add counts a member in, or out.
func (t *tally) add(m *Member, n int) {
	phase := m.phase()
	t.phases[phase] += n
	t.zone(m, phase, n)
	if m.Rebalance {
		t.rebalance += n
	}
	if phase == phaseInService && m.HealthStatus != healthy {
		t.sick += n
	}
	if (phase == phaseInService || phase == phaseTerminating) && !m.InServiceAt.IsZero() {
		x := stay{leaving: phase == phaseTerminating, detailed: m.Detailed}
		t.stays[x.kind()] += n
		if n > 0 {
			t.came.Set(cameKey(m), x)
		} else {
			t.came.Delete(cameKey(m))
		}
	}
}

func (t *tally) zone(m *Member, phase phase, n int) {
	i, found := slices.BinarySearchFunc(t.zones, m.AvailabilityZone, func(z zoneTally, zone string) int { return strings.Compare(z.zone, zone) })
	if !found {
		t.zones = slices.Insert(t.zones, i, zoneTally{zone: m.AvailabilityZone})
	}
	z := &t.zones[i]
	z.members += n
	if phase == phasePending || phase == phaseInService {
		z.n += n
	}
	if phase == phaseInService && !m.Protected {
		z.free += n
	}
	if phase == phaseTerminating {
		z.leaving += n
	}
	if z.members == 0 {
		t.zones = slices.Delete(t.zones, i, i+1)
	}
}

func (x stay) kind() int {
	if x.detailed {
		return 1
	}
	return 0
}

func cameKey(m *Member) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(m.ID)), uint64(m.InServiceAt.UnixNano()))
	return string(append(b, m.ID...))
}

// after calls f with those that came into service after an instant, the newest first.
func (t *tally) after(instant time.Time, f func(at time.Time, x stay)) {
	edge := instant.UnixNano()
	t.came.Reverse(func(key string, x stay) bool {
		ns := int64(binary.BigEndian.Uint64([]byte(key[:8])))
		if ns <= edge {
			return false
		}
		f(time.Unix(0, ns).UTC(), x)
		return true
	})
}

// contributing counts the members that have been in service, and through their warm-up, when a period began (AS-WU-01,
// AS-WU-05): those with basic and those with detailed monitoring.
func (t *tally) contributing(began time.Time, warmup time.Duration) [2]int {
	n := t.stays
	t.after(began.Add(-warmup), func(_ time.Time, x stay) { n[x.kind()]-- })
	return n
}

// policiesOf are the rows of each group's policies in order of name, by scope and group: derived from the policies' rows.
// A list is replaced when one of its policies is written.
type policiesOf map[string][]*Policy

func (all policiesOf) group(scope cloud.Scope, name string) []*Policy {
	return all[scope.String()+"/"+name]
}

// watch takes over that a policy's row was written.
func (all policiesOf) watch(key string, old, row *Policy) {
	p := row
	if p == nil {
		p = old
	}
	name := key[:len(key)-len(p.key())] + p.Group
	list := slices.Clone(all[name])
	i, found := slices.BinarySearchFunc(list, p.Name, func(p *Policy, name string) int { return strings.Compare(p.Name, name) })
	switch {
	case row == nil:
		list = slices.Delete(list, i, i+1)
	case found:
		list[i] = row
	default:
		list = slices.Insert(list, i, row)
	}
	if all[name] = list; len(list) == 0 {
		delete(all, name)
	}
}
