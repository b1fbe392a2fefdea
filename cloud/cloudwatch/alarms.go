package cloudwatch

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// States of an alarm.
const (
	StateOK               = "OK"
	StateAlarm            = "ALARM"
	StateInsufficientData = "INSUFFICIENT_DATA"
)

// Tag is a key and a value on an alarm.
type Tag struct{ Key, Value string }

// Query is one entry of an alarm's Metrics: a metric with its statistic, or an Expression over other queries.
type Query struct {
	ID         string
	Expression string `json:",omitempty"`
	Label      string `json:",omitempty"`
	ReturnData bool
	Period     int32 `json:",omitempty"` // seconds; of the metric, or of the expression
	Namespace  string
	MetricName string
	Dimensions []Dimension `json:",omitempty"`
	Stat       string
	Unit       string
}

// Alarm is the row of a metric alarm: AWS's members by their names, 0 and "" where a member was not given. It watches
// either one metric (MetricName and the rest) or an expression (Metrics).
type Alarm struct {
	AlarmName        string
	AlarmArn         string
	AlarmDescription string `json:",omitempty"`
	ActionsEnabled   bool

	OKActions               []string `json:",omitempty"`
	AlarmActions            []string `json:",omitempty"`
	InsufficientDataActions []string `json:",omitempty"`

	Namespace         string      `json:",omitempty"`
	MetricName        string      `json:",omitempty"`
	Dimensions        []Dimension `json:",omitempty"`
	Statistic         string      `json:",omitempty"`
	ExtendedStatistic string      `json:",omitempty"`
	Unit              string      `json:",omitempty"`
	Period            int32       `json:",omitempty"` // seconds
	Metrics           []Query     `json:",omitempty"`

	EvaluationPeriods                int32
	DatapointsToAlarm                int32 `json:",omitempty"`
	Threshold                        float64
	ComparisonOperator               string
	TreatMissingData                 string `json:",omitempty"`
	EvaluateLowSampleCountPercentile string `json:",omitempty"`

	StateValue                         string
	StateReason                        string
	StateReasonData                    string `json:",omitempty"`
	StateUpdatedTimestamp              time.Time
	StateTransitionedTimestamp         time.Time
	AlarmConfigurationUpdatedTimestamp time.Time

	Tags []Tag `json:",omitempty"`
}

// AlarmAction is an event: something to do because of an alarm, one event for each ARN. Repeat marks those that come
// again once a minute while the alarm stays in its state, as Auto Scaling's do (CW-AL-14). Value is the newest data
// point of the evaluation, if it had one.
type AlarmAction struct {
	ActionARN string
	Alarm     Alarm
	Old, New  string
	Value     float64
	HasValue  bool
	At        time.Time
	Repeat    bool
}

// AlarmStateChanged is an event: an alarm's state is another one than before. Old is the alarm as it was.
type AlarmStateChanged struct {
	Alarm Alarm
	Old   Alarm
	At    time.Time
}

// AlarmConfigurationChanged is an event: an alarm was made, changed or removed. Old is what it was before, the alarm itself if
// it is new; of one that was removed, Alarm is what it was.
type AlarmConfigurationChanged struct {
	Alarm, Old Alarm
	Operation  string // "create", "update", "delete"
}

// Alarm returns an alarm by name.
func (s *Service) Alarm(tx *cloud.Tx, name string) (Alarm, bool) { return s.alarms.Get(tx, name) }

// AlarmsWithAction yields the alarms, in order of name, of which an action in whatever state is the ARN.
func (s *Service) AlarmsWithAction(tx *cloud.Tx, arn string) iter.Seq2[string, Alarm] {
	return s.calling.Each(tx, arn)
}

// AlarmARN is the ARN of the alarm of that name, whether it exists or not.
func (s *Service) AlarmARN(tx *cloud.Tx, name string) string {
	return tx.Scope.ARN(Name, "alarm:"+name)
}

// PutAlarm makes an alarm or gives it a new configuration; its state and tags stay (CW-AL-01). Members that
// PutMetricAlarm would set by default must be given, ActionsEnabled above all. State, ARN and timestamps are ignored.
func (s *Service) PutAlarm(tx *cloud.Tx, a Alarm) error {
	if err := a.validate(); err != nil {
		return err
	}
	for _, arn := range a.calls() {
		if region := strings.Split(arn, ":")[3]; region != tx.Scope.Region {
			return invalid("Invalid region %s specified. Only %s is supported.", region, tx.Scope.Region)
		}
	}
	a.AlarmArn = s.AlarmARN(tx, a.AlarmName)
	a.AlarmConfigurationUpdatedTimestamp = now(tx)
	old, had := s.alarms.Get(tx, a.AlarmName)
	if had {
		a.StateValue, a.StateReason, a.StateReasonData = old.StateValue, old.StateReason, old.StateReasonData
		a.StateUpdatedTimestamp, a.StateTransitionedTimestamp = old.StateUpdatedTimestamp, old.StateTransitionedTimestamp
		a.Tags = old.Tags
	} else {
		a.StateValue, a.StateReason, a.StateReasonData = StateInsufficientData, "Unchecked: Initial alarm creation", ""
		a.StateUpdatedTimestamp, a.StateTransitionedTimestamp = now(tx), now(tx)
	}
	s.alarms.Put(tx, a.AlarmName, a)
	if had {
		s.recordConfiguration(tx, &old, "Update")
	} else {
		s.recordConfiguration(tx, &a, "Create")
	}
	tx.Touch(Name, kindAlarm, a.AlarmName)
	return nil
}

// DeleteAlarm removes an alarm; a missing one is no error.
func (s *Service) DeleteAlarm(tx *cloud.Tx, name string) {
	a, ok := s.alarms.Get(tx, name)
	if !ok {
		return
	}
	s.alarms.Delete(tx, name)
	s.recordConfiguration(tx, &a, "Delete")
	tx.Touch(Name, kindAlarm, name)
}

// watches gives the keys of the metrics that the alarm looks at.
func (a Alarm) watches() []string {
	if len(a.Metrics) == 0 {
		return []string{metricKey(a.Namespace, a.MetricName, a.Dimensions)}
	}
	var keys []string
	for _, q := range a.Metrics {
		if q.Expression == "" {
			keys = append(keys, metricKey(q.Namespace, q.MetricName, q.Dimensions))
		}
	}
	return keys
}

// calls are the ARNs of all actions, those of several states more than once.
func (a Alarm) calls() []string {
	return slices.Concat(a.OKActions, a.AlarmActions, a.InsufficientDataActions)
}

// kind is the alarm's AlarmType.
func (a *Alarm) kind() string { return "MetricAlarm" }
