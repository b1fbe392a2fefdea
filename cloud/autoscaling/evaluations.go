package autoscaling

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/table"
)

// This file keeps what explain.go needs to know of the past and what no other row tells: the decisions of the policies
// with all that they were made from, the group as it was at the minute after each change, and the policies that it had.
// Alarms and their data are not here: CloudWatch has them, with their history.

// Minute is the row of a group's evaluations in one minute. Groups to which nothing happens have no rows.
type Minute struct {
	State     *GroupState      `json:",omitempty"` // at the beginning, if the group had changed in the minute before
	Decisions []DecisionRecord `json:",omitempty"`
}

// DecisionRecord is one decision and what it was made from.
type DecisionRecord struct {
	At       time.Time
	View     View
	Signals  []Signal // with the names of their policies only: what these were is in a PolicySet
	Decision Decision
	Barred   string `json:",omitempty"` // why the policies were not asked
	Policies int64  // the time of the PolicySet
}

// GroupState is a group as it was at an instant.
type GroupState struct {
	At                             time.Time
	Min, Max, Desired              int
	InService, Pending             int
	Standby, Terminating           int
	DefaultCooldown, DefaultWarmup int // seconds; a warm-up of -1 is not set
	Cooldown                       int
	CooldownStart                  time.Time
	CooldownActivity               string        `json:",omitempty"`
	OpenActivity                   string        `json:",omitempty"`
	Suspended                      []string      `json:",omitempty"`
	Young                          []YoungMember `json:",omitempty"` // on their way in, or lately arrived
	Deleting                       bool          `json:",omitempty"`
}

// YoungMember is a member that may still be warming. InServiceAt is zero while it is on its way.
type YoungMember struct {
	ID, State   string
	InServiceAt time.Time `json:",omitzero"`
}

// PolicySet is all policies that a group had from an instant on.
type PolicySet struct{ Policies []Policy }

// Bounds of what is kept: a day of every group while there are few groups, two hours of each when there are very many.
const (
	minutesKept       = 24 * 60
	minutesKeptAtOnce = 200_000
	minutesAtLeast    = 120
	decisionsAMinute  = 8
	policySetsKept    = 50
	youngKept         = 100
)

// diary is the rows of this file and of shadows.go.
type diary struct {
	on          bool
	minutes     *table.Log[Minute]
	policySets  *table.Log[PolicySet]
	shadows     cloud.Rows[Shadow] // by policyKey, as are the next two
	watches     cloud.Rows[Watch]
	divergences *table.Log[Divergence]
}

func newDiary() diary {
	return diary{
		minutes:     table.NewLog[Minute](Name + ".evaluations"),
		policySets:  table.NewLog[PolicySet](Name + ".policysets"),
		shadows:     cloud.NewRows[Shadow](Name + ".shadows"),
		watches:     cloud.NewRows[Watch](Name + ".watches"),
		divergences: table.NewLog[Divergence](Name + ".divergences"),
	}
}

func (d *diary) stores() []table.Store {
	return []table.Store{d.minutes, d.policySets, d.shadows, d.watches, d.divergences}
}

// Remember has the service keep what explanations of the past are made of. It is to be called before the first step.
func (s *Service) Remember() { s.diary.on = true }

const (
	keyState   = "0 state"  // note the group as it is; before anything else decides in a step
	keyDiary   = "diary"    // after a load: have that done at the next minute
	keyShadow  = "0 shadow" // a group's shadow policies are to be looked at, before the real ones decide
	keyCompare = "shadow"   // what a shadow wished is to be held against what was set, after they have decided; by its key
)

func logKey(tx *cloud.Tx, group string) string { return tx.Scope.String() + "/" + group }

// noteGroup has the group's state kept at the next minute: one row, however often it changes until then.
func (s *Service) noteGroup(tx *cloud.Tx, group string) {
	if s.diary.on {
		tx.At(Name, keyState, group, tx.Now().Truncate(time.Minute).Add(time.Minute))
	}
}

// keepState writes the group's state into the row of the minute that begins.
func (s *Service) keepState(tx *cloud.Tx, group string) {
	g, ok := s.groups.Get(tx, group)
	if !ok || !s.diary.on {
		return
	}
	s.notePolicies(tx, group) // the first time, and when another build has changed them
	s.keep(tx, group, func(m *Minute) {
		if m.State == nil {
			m.State = new(s.snapshot(tx, g))
		}
	})
}

// keep changes the row of the present minute and forgets rows that are too old.
func (s *Service) keep(tx *cloud.Tx, group string, change func(*Minute)) {
	key, at := logKey(tx, group), tx.Now().Truncate(time.Minute).Unix()
	row, _ := s.diary.minutes.Get(key, at)
	change(&row)
	s.diary.minutes.Put(tx.Journal(), key, at, row)
	kept := int64(max(minutesAtLeast, min(minutesKept, minutesKeptAtOnce/max(1, s.groups.Len()))))
	first, _ := s.diary.minutes.First(key)
	edge := at - 60*kept
	if first >= edge-600 { // some at a time: what is left has to be moved
		return
	}
	last, oldest := first, Minute{} // the newest of the old ones stays, and says how the group was then
	s.diary.minutes.Range(key, first, edge, func(at int64, m Minute) bool {
		if m.State == nil {
			m.State = oldest.State
		}
		last, oldest = at, m
		return true
	})
	s.diary.minutes.Trim(tx.Journal(), key, last)
	s.diary.minutes.Put(tx.Journal(), key, last, oldest)
}

// snapshot is the group as it is now.
func (s *Service) snapshot(tx *cloud.Tx, g Group) GroupState {
	c := s.capacity(tx, g, 0)
	x := GroupState{
		At: tx.Now(), Min: c.Min, Max: c.Max, Desired: c.Desired, InService: c.InService, Pending: c.Pending, Standby: c.Standby,
		Terminating: c.Terminating, DefaultCooldown: g.DefaultCooldown, DefaultWarmup: g.DefaultInstanceWarmup,
		Cooldown: g.Cooldown, CooldownStart: g.CooldownStart, CooldownActivity: g.CooldownActivity, Deleting: g.Deleting,
	}
	for _, p := range g.Suspended {
		x.Suspended = append(x.Suspended, p.Process)
	}
	for _, a := range s.openActivities(tx, g.Name) {
		x.OpenActivity = a.ID
		break
	}
	longest := s.longestWarmup(tx, g)
	for _, m := range s.membersOf(tx, g.Name) {
		young := YoungMember{ID: m.ID, State: m.LifecycleState}
		switch m.phase() {
		case phasePending:
		case phaseInService:
			if !m.InServiceAt.Add(longest).After(tx.Now()) {
				continue
			}
			young.InServiceAt = m.InServiceAt
		default:
			continue
		}
		if x.Young = append(x.Young, young); len(x.Young) == youngKept {
			break
		}
	}
	return x
}

// longestWarmup is that of all policies of a group, the watched ones included.
func (s *Service) longestWarmup(tx *cloud.Tx, g Group) time.Duration {
	longest := time.Duration(0)
	for _, p := range s.scaling.policies.Prefix(tx, policyKey(g.Name, "")) {
		longest = max(longest, p.warmup(g))
	}
	for _, x := range s.diary.shadows.Prefix(tx, policyKey(g.Name, "")) {
		for i := range x.Parts {
			longest = max(longest, x.Parts[i].Policy.warmup(g))
		}
	}
	return longest
}

// keepDecision notes a decision and what it was made from.
func (s *Service) keepDecision(tx *cloud.Tx, group string, r DecisionRecord) {
	if !s.diary.on {
		return
	}
	r.At = tx.Now()
	r.Policies, _, _ = s.diary.policySets.Last(logKey(tx, group))
	r.Signals = slices.Clone(r.Signals)
	for i := range r.Signals {
		x := &r.Signals[i]
		x.Policy = Policy{Name: x.Policy.Name}
		if math.IsNaN(x.Value) || math.IsInf(x.Value, 0) { // has no durable form
			x.Value, x.HasValue = 0, false
		}
	}
	s.keep(tx, group, func(m *Minute) {
		m.Decisions = append(slices.Clone(m.Decisions), r)
		m.Decisions = m.Decisions[max(0, len(m.Decisions)-decisionsAMinute):]
	})
}

// notePolicies keeps the policies that the group has now.
func (s *Service) notePolicies(tx *cloud.Tx, group string) {
	if !s.diary.on || !s.groups.Has(tx, group) {
		return
	}
	var set PolicySet
	for _, p := range s.scaling.policies.Prefix(tx, policyKey(group, "")) {
		set.Policies = append(set.Policies, p)
	}
	key, log := logKey(tx, group), s.diary.policySets
	newest, last, had := log.Last(key)
	if had && (reflect.DeepEqual(last, set) || sameForm(last, set)) {
		return
	}
	log.Put(tx.Journal(), key, max(tx.Now().Unix(), newest+1), set) // a time of its own for each
	var times []int64
	log.Range(key, 0, math.MaxInt64, func(at int64, _ PolicySet) bool { times = append(times, at); return true })
	if n := len(times) - policySetsKept; n > 0 {
		log.Trim(tx.Journal(), key, times[n])
	}
}

// sameForm tells whether two rows are the same once they were stored.
func sameForm(a, b any) bool {
	x, err := json.Marshal(a)
	y, also := json.Marshal(b)
	return err == nil && also == nil && bytes.Equal(x, y)
}

// openDiary is called for every group after a load.
func (s *Service) openDiary(tx *cloud.Tx, group string) {
	if s.groups.Has(tx, group) {
		s.noteGroup(tx, group)
	}
}

// diaryKeys lists what is to be looked at after a load.
func (s *Service) diaryKeys(yield func(cloud.Key) bool) bool {
	if s.diary.on {
		for k := range s.groups.Everywhere() {
			if k.Kind = keyDiary; !yield(k) {
				return false
			}
		}
	}
	last := cloud.Key{}
	for k, x := range s.diary.shadows.Everywhere() {
		if k.Kind, k.ID = keyShadow, x.Group; k != last && !yield(k) {
			return false
		}
		last = k
	}
	return true
}

// closeDiary forgets a group.
func (s *Service) closeDiary(tx *cloud.Tx, group string) {
	s.diary.minutes.Trim(tx.Journal(), logKey(tx, group), math.MaxInt64)
	s.diary.policySets.Trim(tx.Journal(), logKey(tx, group), math.MaxInt64)
	tx.At(Name, keyState, group, time.Time{})
	for key := range s.diary.shadows.Prefix(tx, policyKey(group, "")) {
		s.dropShadow(tx, key)
	}
	tx.At(Name, keyShadow, group, time.Time{})
}

// stateAt is the group as it was last noted at or before an instant; false if it was not.
func (s *Service) stateAt(tx *cloud.Tx, group string, at time.Time) (GroupState, bool) {
	key := logKey(tx, group)
	first, ok := s.diary.minutes.First(key)
	var found *GroupState
	if !ok {
		return GroupState{}, false
	}
	// Backwards in growing strides: the newest row is near as a rule.
	for from, to, stride := at.Unix()-600, at.Unix()+1, int64(600); found == nil; {
		s.diary.minutes.Range(key, from, to, func(_ int64, m Minute) bool {
			if m.State != nil && !m.State.At.After(at) {
				found = m.State
			}
			return true
		})
		if from <= first {
			break
		}
		stride *= 4
		from, to = from-stride, from
	}
	if found == nil {
		return GroupState{}, false
	}
	return *found, true
}

// policiesAt are the policies that a group had at an instant; known is false if that is not known, and these are the
// oldest that are.
func (s *Service) policiesAt(tx *cloud.Tx, group string, at int64) (policies []Policy, known bool) {
	var oldest, found *PolicySet
	s.diary.policySets.Range(logKey(tx, group), 0, math.MaxInt64, func(when int64, set PolicySet) bool {
		if oldest == nil {
			oldest = &set
		}
		if when <= at {
			found = &set
		}
		return when <= at
	})
	switch {
	case found != nil:
		return found.Policies, true
	case oldest != nil:
		return oldest.Policies, false
	}
	for _, p := range s.scaling.policies.Prefix(tx, policyKey(group, "")) {
		policies = append(policies, p)
	}
	return policies, false
}

// decisionsIn yields the decisions in [from, to], oldest first.
func (s *Service) decisionsIn(tx *cloud.Tx, group string, from, to time.Time) []DecisionRecord {
	var out []DecisionRecord
	s.diary.minutes.Range(logKey(tx, group), from.Truncate(time.Minute).Unix(), to.Unix()+1, func(_ int64, m Minute) bool {
		for _, d := range m.Decisions {
			if !d.At.Before(from) && !d.At.After(to) {
				out = append(out, d)
			}
		}
		return true
	})
	return out
}
