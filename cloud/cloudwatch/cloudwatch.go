// Package cloudwatch is Amazon CloudWatch: metrics, their statistics and metric math, and alarms on them.
//
// It is not where anything is measured: other services and clients put data in, and alarms tell those above with events
// (AlarmStateChanged, AlarmAction) and never call them.
//
// The one idea: a datum is merged into the one point of its series' period as it comes (count, sum, minimum, maximum and,
// when raw values are known, their distribution), and everything that is read is made of such points, over windows that
// may start at any of them.
//
// Invariants: points of a series stand in one tier each (seconds, minutes, five minutes, hours) and move to the coarser
// one when they are old (CW-ST-03), sooner where there are very many series; an alarm that stays in its state writes
// nothing; an alarm is looked at only when it is due.
package cloudwatch

import (
	"iter"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is what calls are addressed to.
const Name = "cloudwatch"

// Kinds of things that are reconciled.
const (
	kindAlarm      = "alarm" // touched when an alarm is put: sets the timer of its evaluation
	kindSweep      = "sweep" // sets the timer of the next
	kindSweeping   = "sweeping"
	kindEvaluation = "evaluation"
)

// Service is CloudWatch in all accounts and regions.
type Service struct {
	cloud.Base
	metrics cloud.Rows[Metric]
	units   units               // of each metric
	numbers *table.Table[int64] // one row: the number of the newest series
	points  *table.Log[Point]   // tier letter and series
	values  *table.Log[Values]  // the same keys, for points whose raw values are known and differ
	sweeps  cloud.Rows[Sweep]   // one row per scope
	alarms  cloud.Rows[Alarm]
	watched cloud.Index[Alarm] // by the metric an alarm watches
	calling cloud.Index[Alarm] // by the ARNs of an alarm's actions
	history cloud.Rows[HistoryItem]
	ofAlarm cloud.Index[HistoryItem]
	scratch []Stat      // windows of the evaluation at hand
	looked  []datapoint // its data points

	recorded struct { // the number of the item that was recorded last
		tx *cloud.Tx
		n  int
	}
}

// New makes the service.
func New() *Service {
	s := &Service{
		metrics: cloud.NewRows[Metric](Name + ".metrics"),
		numbers: table.New[int64](Name + ".numbers"),
		points:  table.NewLog[Point](Name + ".points"),
		values:  table.NewLog[Values](Name + ".values"),
		sweeps:  cloud.NewRows[Sweep](Name + ".sweeps"),
		alarms:  cloud.NewRows[Alarm](Name + ".alarms"),
		history: cloud.NewRows[HistoryItem](Name + ".history"),
	}
	s.units = units{}
	s.metrics.Watch(s.units.watch)
	s.watched = s.alarms.Index(func(_ string, a Alarm) []string { return a.watches() })
	s.calling = s.alarms.Index(func(_ string, a Alarm) []string { return a.calls() })
	s.ofAlarm = s.history.Index(func(_ string, h HistoryItem) []string { return []string{h.AlarmName} })
	return s
}

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store {
	return []table.Store{s.metrics, s.numbers, s.points, s.values, s.sweeps, s.alarms, s.history}
}

// Reconcile implements cloud.Service.
func (s *Service) Reconcile(tx *cloud.Tx, kind, id string) {
	switch kind {
	case kindAlarm:
		s.schedule(tx, id)
	case kindEvaluation:
		s.evaluate(tx, id)
	case kindSweep:
		tx.At(Name, kindSweeping, id, minuteAfter(tx))
	case kindSweeping:
		s.sweep(tx)
	}
}

// Keys implements cloud.Service.
func (s *Service) Keys() iter.Seq[cloud.Key] {
	return func(yield func(cloud.Key) bool) {
		for k := range s.alarms.Everywhere() {
			k.Kind = kindAlarm
			if !yield(k) {
				return
			}
		}
		for k := range s.sweeps.Everywhere() {
			k.Kind = kindSweep
			if !yield(k) {
				return
			}
		}
	}
}

// now is the present instant as AWS shows it: whole milliseconds, without a monotonic clock reading.
func now(tx *cloud.Tx) time.Time { return tx.Now().Truncate(time.Millisecond) }
