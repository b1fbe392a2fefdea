package cloudwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// This file looks at alarms without acting: what one looked at and came to at an instant, also a past one, and also of an
// alarm that has no row. It goes through the same functions as the evaluation that acts.

// DataPoint is one window of an evaluation.
type DataPoint = datapoint

// Evaluation is what an alarm's evaluation looked at and what it came to.
type Evaluation struct {
	Due    time.Time   // the instant at which the alarm was due
	Points []DataPoint // oldest first: of the N newest windows and of two before them (CW-AL-06)
	State  string      // what the points call for; empty is to keep the state that there is
}

// errCoarse tells that the points that an evaluation saw have been added up since.
var errCoarse = errors.New("the data points of then are kept only added up to longer periods by now")

// EvaluateAt evaluates an alarm as it was due last at or before an instant, on the data that is stored now: data that came
// late is in it. It changes nothing, and the alarm need not have a row.
func (s *Service) EvaluateAt(tx *cloud.Tx, a *Alarm, at time.Time) (Evaluation, error) {
	due := a.Due(at)
	_, _, lag := a.rhythm()
	end := due.Unix() - lag
	e := Evaluation{Due: due}
	if s.coarse(tx, a, end-int64(a.EvaluationPeriods+2)*int64(a.period())) {
		return e, errCoarse
	}
	points, err := s.evaluated(tx, a, end, nil)
	if err != nil {
		return e, err
	}
	e.Points, e.State = points, a.decide(points)
	return e, nil
}

// coarse tells whether points of the alarm's metrics from a time on have moved to a tier too coarse for its period.
func (s *Service) coarse(tx *cloud.Tx, a *Alarm, from int64) bool {
	old := false
	for _, key := range a.watches() {
		s.seriesOf(tx, key, a.Unit, func(m Metric) {
			for _, t := range tiers {
				last, _, ok := s.points.Last(t.key + m.Series)
				old = old || ok && t.step > int64(a.period()) && last+t.step > from
			}
		})
	}
	return old
}

// Due is the newest instant at or before another at which the alarm is evaluated.
func (a *Alarm) Due(at time.Time) time.Time {
	interval, offset, _ := a.rhythm()
	now := at.Unix()
	return time.Unix(now-mod(now-offset, interval), 0).UTC()
}

// Interval is the time between two evaluations of the alarm.
func (a *Alarm) Interval() time.Duration {
	interval, _, _ := a.rhythm()
	return time.Duration(interval) * time.Second
}

// Repeats tells whether an alarm that is due and stays in its state calls its Auto Scaling policies again (CW-AL-14).
func (a *Alarm) Repeats(due time.Time) bool {
	interval, offset, _ := a.rhythm()
	since := a.StateTransitionedTimestamp.Unix()
	since -= mod(since-offset, interval)
	at := due.Unix()
	return at > since && (interval >= 60 || (at-since)%60 == 0)
}

// Judge gives the state that points, oldest first, call for, comparing their values with the threshold anew; empty is to
// keep the present one. It is how to ask "what if" of an evaluation.
func (a *Alarm) Judge(points []DataPoint) string {
	points = slices.Clone(points)
	for i := range points {
		points[i].Breaching = points[i].Known && a.breaching(points[i].Value)
	}
	return a.decide(points)
}

// Counted gives the points that an evaluation counts, oldest first: the N newest that have data.
func (a *Alarm) Counted(points []DataPoint) []DataPoint {
	return lastKnown(points, int(a.EvaluationPeriods))
}

// Breaches tells whether a value is on the wrong side of the threshold (CW-AL-04).
func (a *Alarm) Breaches(v float64) bool { return a.breaching(v) }

// Needed is M of N: how many breaching points make ALARM.
func (a *Alarm) Needed() int { return a.needed() }

// Seconds is the period of the alarm's data points.
func (a *Alarm) Seconds() int32 { return a.period() }

// Treatment is what the alarm takes missing data for.
func (a *Alarm) Treatment() string { return a.treatment() }

// Calls tells whether the alarm in a state calls an action.
func (a *Alarm) Calls(state, arn string) bool { return slices.Contains(a.actions(state), arn) }

// Check refuses an alarm that PutMetricAlarm would refuse.
func (a *Alarm) Check() error { return a.validate() }

// Measure names what the alarm looks at: two alarms of the same measure see the same values.
func (a *Alarm) Measure() string {
	if len(a.Metrics) > 0 {
		text, err := json.Marshal(a.Metrics)
		if err != nil {
			return a.AlarmName
		}
		return string(text)
	}
	return metricKey(a.Namespace, a.MetricName, a.Dimensions) + a.Unit + fieldMark + a.statistic() + fieldMark + time.Duration(a.Period).String()
}

// Label is a short name for what the alarm looks at.
func (a *Alarm) Label() string {
	for _, q := range a.Metrics {
		if !q.ReturnData {
			continue
		}
		for _, name := range []string{q.Label, q.Expression, q.MetricName} {
			if name != "" {
				return name
			}
		}
	}
	return a.MetricName
}

// Timeline is what is known of an alarm's configurations and states over time, from its history.
type Timeline struct {
	now     Alarm
	exists  bool
	configs []datedAlarm // oldest first
	states  []datedState
}

type datedAlarm struct {
	at   time.Time
	kind string // Create, Update, Delete
	a    Alarm  // as it was from then on; of Delete as it was before
}

type datedState struct {
	at       time.Time
	old, new stateData
}

// Timeline reads an alarm's history from an instant on, and what it was then.
func (s *Service) Timeline(tx *cloud.Tx, name string, from time.Time) Timeline {
	var t Timeline
	t.now, t.exists = s.alarms.Get(tx, name)
	var config, state HistoryItem // the newest before from
	for _, h := range s.ofAlarm.Each(tx, name) {
		before := h.Timestamp.Before(from)
		switch {
		case h.HistoryItemType == "ConfigurationUpdate" && before:
			config = h
		case h.HistoryItemType == "StateUpdate" && before:
			state = h
		default:
			t.add(h)
		}
	}
	t.add(config)
	t.add(state)
	slices.SortStableFunc(t.configs, func(a, b datedAlarm) int { return a.at.Compare(b.at) })
	slices.SortStableFunc(t.states, func(a, b datedState) int { return a.at.Compare(b.at) })
	return t
}

func (t *Timeline) add(h HistoryItem) {
	switch h.HistoryItemType {
	case "StateUpdate":
		var x struct{ OldState, NewState stateData }
		if json.Unmarshal([]byte(h.HistoryData), &x) == nil {
			t.states = append(t.states, datedState{h.Timestamp, x.OldState, x.NewState})
		}
	case "ConfigurationUpdate":
		var x struct {
			Type                                     string
			CreatedAlarm, UpdatedAlarm, DeletedAlarm *Alarm
		}
		if json.Unmarshal([]byte(h.HistoryData), &x) != nil {
			return
		}
		for _, a := range []*Alarm{x.CreatedAlarm, x.UpdatedAlarm, x.DeletedAlarm} {
			if a != nil {
				t.configs = append(t.configs, datedAlarm{h.Timestamp, x.Type, *a})
			}
		}
	}
}

// At is the alarm as it was at an instant, in the state of that or of another instant; false if it did not exist. Where the
// history does not go back so far, it is the oldest that is known.
func (t *Timeline) At(at, state time.Time) (Alarm, bool) {
	a, there := t.now, t.exists
	for i, c := range slices.Backward(t.configs) {
		if !c.at.After(at) {
			a, there = c.a, c.kind != "Delete"
			break
		}
		if i == 0 { // everything that is known is younger
			a, there = c.a, c.kind != "Create"
		}
	}
	if !there {
		return a, false
	}
	a.StateValue, a.StateReason, a.StateReasonData = StateInsufficientData, "Unchecked: Initial alarm creation", ""
	a.StateTransitionedTimestamp = time.Time{}
	if n := len(t.states); n == 0 && t.exists {
		a.StateValue, a.StateReason, a.StateReasonData = t.now.StateValue, t.now.StateReason, t.now.StateReasonData
		a.StateTransitionedTimestamp = t.now.StateTransitionedTimestamp
	} else if n > 0 {
		a = t.stateAt(a, state)
	}
	a.StateUpdatedTimestamp = a.StateTransitionedTimestamp
	return a, true
}

func (t *Timeline) stateAt(a Alarm, at time.Time) Alarm {
	set := func(d stateData, since time.Time) Alarm {
		a.StateValue, a.StateReason, a.StateReasonData = d.StateValue, d.StateReason, string(d.StateReasonData)
		a.StateTransitionedTimestamp = since
		return a
	}
	for _, x := range slices.Backward(t.states) {
		if !x.at.After(at) {
			return set(x.new, x.at)
		}
	}
	since := time.Time{}
	if first := t.configs; len(first) > 0 && first[0].kind == "Create" && !first[0].at.After(at) {
		since = first[0].at
	}
	return set(t.states[0].old, since)
}

// AlarmsCalling gives, in order, the names of the alarms that call an ARN now, and of those that were made, changed or
// removed after an instant and called it before or afterwards.
func (s *Service) AlarmsCalling(tx *cloud.Tx, arn string, from time.Time) []string {
	var names []string
	for name := range s.calling.Each(tx, arn) {
		names = append(names, name)
	}
	for _, h := range s.history.After(tx, fmt.Sprintf("%020d", from.UnixMilli())) {
		if h.HistoryItemType == "ConfigurationUpdate" && strings.Contains(h.HistoryData, strconv.Quote(arn)) {
			names = append(names, h.AlarmName)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
