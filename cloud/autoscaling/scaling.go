package autoscaling

import (
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/table"
)

// scaling is the state of what moves a group's desired capacity and tells others about it: policies, scheduled
// actions, notifications, group metrics.
//
// This file is the seam between it and the groups: the functions below are called by service.go and the group's
// reconcile; setDesired, capacity and cooldownEnds in service.go, membersOf and openActivities are what it calls back.
type scaling struct {
	policies      cloud.Rows[Policy]          // by policyKey
	standings     cloud.Rows[Standing]        // by policyKey
	predictions   cloud.Rows[Prediction]      // by policyKey
	contributions cloud.Rows[Contributions]   // by group
	alike         cloud.Rows[Alike]           // by group
	notifications cloud.Rows[Notification]    // by group and topic
	schedules     cloud.Rows[ScheduledAction] // by group and name

	policyARNs cloud.Index[Policy]
	tracking   TrackingModel
}

func newScaling() scaling {
	x := scaling{
		policies:      cloud.NewRows[Policy](Name + ".policies"),
		standings:     cloud.NewRows[Standing](Name + ".standings"),
		predictions:   cloud.NewRows[Prediction](Name + ".predictions"),
		contributions: cloud.NewRows[Contributions](Name + ".contributions"),
		alike:         cloud.NewRows[Alike](Name + ".alike"),
		notifications: cloud.NewRows[Notification](Name + ".notifications"),
		schedules:     cloud.NewRows[ScheduledAction](Name + ".schedules"),
	}
	x.policyARNs = x.policies.Index(func(_ string, p Policy) []string { return []string{p.ARN} })
	return x
}

// Track replaces the model of what AWS does not publish about target tracking. It is to be called before the first
// step.
func (s *Service) Track(m TrackingModel) { s.scaling.tracking = m }

func (s *Service) scalingStores() []table.Store {
	x := s.scaling
	return []table.Store{x.policies, x.standings, x.predictions, x.contributions, x.alike, x.notifications, x.schedules}
}

func (s *Service) scalingOperations() []cloud.Operation {
	return slices.Concat(s.policyOperations(), s.metricOperations(), s.notificationOperations(), s.scheduleOperations())
}

// Kinds that scalingReconcile takes; the ID is the group's name, of a schedule and of a forecast its key.
const (
	keyDecision = "decision" // policies are due
	keyMetrics  = "metrics"  // publish group metrics
	keyMinute   = "minute"   // have that done at the next minute
	keySchedule = "schedule" // a scheduled action is due
	keyForecast = "forecast" // an hour comes that a predictive policy may raise to
)

// scalingNotice takes events of lower services (alarm actions, measured instances); groups take ec2's and the load
// balancers' themselves.
func (s *Service) scalingNotice(tx *cloud.Tx, e cloud.Event) {
	switch e := e.(type) {
	case cloudwatch.AlarmAction:
		s.called(tx, e)
	case ec2.InstancesMeasured:
		s.aggregate(tx, e)
	}
}

// scalingReconcile takes every kind other than "group" and "member".
func (s *Service) scalingReconcile(tx *cloud.Tx, kind, id string) {
	switch kind {
	case keyDecision:
		s.decide(tx, id)
	case keyMetrics:
		s.publishGroup(tx, id)
	case keyMinute:
		if g, ok := s.groups.Get(tx, id); ok {
			s.scheduleMetrics(tx, g)
		}
	case keySchedule:
		s.runSchedule(tx, id)
	case keyForecast:
		s.predict(tx, id)
	}
}

// scalingKeys lists what scalingReconcile may be asked about; false means stop.
func (s *Service) scalingKeys(yield func(cloud.Key) bool) bool {
	for k, g := range s.groups.Everywhere() {
		if k.Kind = keyMinute; len(g.EnabledMetrics) > 0 && !yield(k) {
			return false
		}
	}
	for k := range s.scaling.schedules.Everywhere() {
		if k.Kind = keySchedule; !yield(k) {
			return false
		}
	}
	for k := range s.scaling.predictions.Everywhere() {
		if k.Kind = keyForecast; !yield(k) {
			return false
		}
	}
	return true
}

// groupChanged is called whenever a group's bounds, desired capacity or members changed, once per reconcile.
func (s *Service) groupChanged(tx *cloud.Tx, g *Group) { s.settleLow(tx, g) }

// groupDeleted is called when a group's row is about to go: everything that hangs on it goes with it.
func (s *Service) groupDeleted(tx *cloud.Tx, g Group) {
	for _, p := range s.scaling.policies.Prefix(tx, policyKey(g.Name, "")) {
		s.dropPolicy(tx, p)
	}
	for key := range s.scaling.schedules.Prefix(tx, policyKey(g.Name, "")) {
		s.dropSchedule(tx, key)
	}
	for key := range s.scaling.notifications.Prefix(tx, policyKey(g.Name, "")) {
		s.scaling.notifications.Delete(tx, key)
	}
	s.scaling.contributions.Delete(tx, g.Name)
	s.scaling.alike.Delete(tx, g.Name)
	tx.At(Name, keyMetrics, g.Name, time.Time{})
}

// processesResumed is called when ResumeProcesses took a suspension away. Nothing is to be done for
// AlarmNotification: alarms that are in breach call their policies again within the minute (AS-SP-06, AS-TT-09).
// Scheduled actions that were due meanwhile are lost (AS-SP-11).
func (s *Service) processesResumed(tx *cloud.Tx, g Group, processes []string) {}

// targetGroupsChanged is called when target groups were attached to or detached from the group. A policy that counts
// the requests of a target group that is gone keeps its alarms, which find no data (AS-TT-14).
func (s *Service) targetGroupsChanged(tx *cloud.Tx, g Group) {}

// scaledGroup finds a group that a policy, a schedule or a notification can hang on.
func (s *Service) scaledGroup(tx *cloud.Tx, name string) (Group, error) {
	r, err := s.known(tx, name)
	if err != nil {
		return Group{}, err
	}
	return r.Group, nil
}

// where yields the rows that a filter keeps.
func where[R any](rows iter.Seq2[string, R], keep func(R) bool) iter.Seq2[string, R] {
	return func(yield func(string, R) bool) {
		for key, row := range rows {
			if keep(row) && !yield(key, row) {
				return
			}
		}
	}
}

// anyOf tells whether v is in a filter; an empty one lets everything through.
func anyOf(filter []string, v string) bool { return len(filter) == 0 || slices.Contains(filter, v) }

// number32 and whole take an optional number from the wire and back.
func number32(v *int32) *int {
	if v == nil {
		return nil
	}
	return new(int(*v))
}

func whole(v *int) *int32 {
	if v == nil {
		return nil
	}
	return new(int32(*v))
}

// number writes a value as people would: 50, 42.5, 0.333.
func number(v float64) string {
	t := strconv.FormatFloat(v, 'f', 3, 64)
	return strings.TrimSuffix(strings.TrimRight(t, "0"), ".")
}

func signed(v float64) string {
	if v < 0 {
		return number(v)
	}
	return "+" + number(v)
}
