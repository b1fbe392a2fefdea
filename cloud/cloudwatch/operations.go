package cloudwatch

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
)

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	return []cloud.Operation{
		cloud.Handle("PutMetricData", s.PutMetricData).But("the entities of EntityMetricData are not kept; its data are"),
		cloud.Handle("GetMetricStatistics", s.GetMetricStatistics),
		cloud.Handle("GetMetricData", s.GetMetricData).But("SEARCH, ANOMALY_DETECTION_BAND, INSIGHT_RULE_METRIC, SERVICE_QUOTA and SELECT are refused; AccountId, LabelOptions and dynamic labels have no effect"),
		cloud.Handle("ListMetrics", s.ListMetrics),
		cloud.Handle("PutMetricAlarm", s.PutMetricAlarm).But("bands (ThresholdMetricId) and EvaluationCriteria are refused"),
		cloud.Handle("DescribeAlarms", s.DescribeAlarms),
		cloud.Handle("DescribeAlarmsForMetric", s.DescribeAlarmsForMetric),
		cloud.Handle("DescribeAlarmHistory", s.DescribeAlarmHistory),
		cloud.Handle("DeleteAlarms", s.DeleteAlarms),
		cloud.Handle("SetAlarmState", s.SetAlarmState),
		cloud.Handle("EnableAlarmActions", s.EnableAlarmActions),
		cloud.Handle("DisableAlarmActions", s.DisableAlarmActions),
		cloud.Handle("TagResource", s.TagResource),
		cloud.Handle("UntagResource", s.UntagResource),
		cloud.Handle("ListTagsForResource", s.ListTagsForResource),
	}
}

// PutMetricAlarm makes or changes an alarm. Tags count only when it is made.
func (s *Service) PutMetricAlarm(tx *cloud.Tx, in *shape.PutMetricAlarmInput) (*shape.PutMetricAlarmOutput, error) {
	a, err := AlarmOf(in)
	if err != nil {
		return nil, err
	}
	_, had := s.alarms.Get(tx, a.AlarmName)
	if err := s.PutAlarm(tx, a); err != nil {
		return nil, err
	}
	if !had && len(in.Tags) > 0 {
		if err := s.tag(tx, a.AlarmName, in.Tags); err != nil {
			return nil, err
		}
	}
	return &shape.PutMetricAlarmOutput{}, nil
}

// AlarmOf is the alarm that a request describes; PutAlarm and Check look at the rest of it.
func AlarmOf(in *shape.PutMetricAlarmInput) (Alarm, error) {
	if in.ThresholdMetricId != nil || in.EvaluationCriteria != nil || in.EvaluationInterval != nil {
		return Alarm{}, &api.Error{Code: "NotImplemented", Status: 501,
			Message: "ThresholdMetricId, EvaluationCriteria and EvaluationInterval of PutMetricAlarm are not implemented."}
	}
	switch {
	case in.Threshold == nil:
		return Alarm{}, api.Errorf("MissingParameter", "The parameter Threshold is required.")
	case in.EvaluationPeriods == nil:
		return Alarm{}, api.Errorf("MissingParameter", "The parameter EvaluationPeriods is required.")
	case len(in.Metrics) == 0 && in.MetricName != nil && in.Period == nil:
		return Alarm{}, api.Errorf("MissingParameter", "The parameter Period is required.")
	}
	metrics, err := queriesOf(in.Metrics)
	if err != nil {
		return Alarm{}, err
	}
	if len(metrics) == 0 {
		metrics = nil
	}
	return Alarm{
		AlarmName: api.Value(in.AlarmName), AlarmDescription: api.Value(in.AlarmDescription), ActionsEnabled: in.ActionsEnabled == nil || *in.ActionsEnabled,
		OKActions: in.OKActions, AlarmActions: in.AlarmActions, InsufficientDataActions: in.InsufficientDataActions,
		Namespace: api.Value(in.Namespace), MetricName: api.Value(in.MetricName), Dimensions: dimensionsOf(in.Dimensions),
		Statistic: api.Value(in.Statistic), ExtendedStatistic: api.Value(in.ExtendedStatistic), Unit: api.Value(in.Unit),
		Period: api.Value(in.Period), Metrics: metrics,
		EvaluationPeriods: api.Value(in.EvaluationPeriods), DatapointsToAlarm: api.Value(in.DatapointsToAlarm), Threshold: *in.Threshold,
		ComparisonOperator: api.Value(in.ComparisonOperator), TreatMissingData: api.Value(in.TreatMissingData),
		EvaluateLowSampleCountPercentile: api.Value(in.EvaluateLowSampleCountPercentile),
	}, nil
}

func notFound(name string) error {
	return &api.Error{Code: "ResourceNotFound", Message: "Unknown alarm " + name, Status: 404}
}

// DeleteAlarms removes alarms; if one does not exist, none is removed.
func (s *Service) DeleteAlarms(tx *cloud.Tx, in *shape.DeleteAlarmsInput) (*shape.DeleteAlarmsOutput, error) {
	for _, name := range in.AlarmNames {
		if !s.alarms.Has(tx, name) {
			return nil, &api.Error{Code: "ResourceNotFound", Message: "Alarm(s) " + name + " not found.", Status: 404}
		}
	}
	for _, name := range in.AlarmNames {
		s.DeleteAlarm(tx, name)
	}
	return &shape.DeleteAlarmsOutput{}, nil
}

// SetAlarmState puts an alarm into a state until its next evaluation, and runs the state's actions (CW-AL-12).
func (s *Service) SetAlarmState(tx *cloud.Tx, in *shape.SetAlarmStateInput) (*shape.SetAlarmStateOutput, error) {
	a, ok := s.alarms.Get(tx, api.Value(in.AlarmName))
	if !ok {
		return nil, notFound(api.Value(in.AlarmName))
	}
	data := api.Value(in.StateReasonData)
	if data != "" && !json.Valid([]byte(data)) {
		return nil, api.Errorf("InvalidFormat", "StateReasonData was not valid JSON")
	}
	s.transition(tx, a, api.Value(in.StateValue), api.Value(in.StateReason), data, 0, false)
	return &shape.SetAlarmStateOutput{}, nil
}

// EnableAlarmActions lets alarms act; names that do not exist are passed over.
func (s *Service) EnableAlarmActions(tx *cloud.Tx, in *shape.EnableAlarmActionsInput) (*shape.EnableAlarmActionsOutput, error) {
	s.enable(tx, in.AlarmNames, true)
	return &shape.EnableAlarmActionsOutput{}, nil
}

// DisableAlarmActions keeps alarms from acting; their states go on changing.
func (s *Service) DisableAlarmActions(tx *cloud.Tx, in *shape.DisableAlarmActionsInput) (*shape.DisableAlarmActionsOutput, error) {
	s.enable(tx, in.AlarmNames, false)
	return &shape.DisableAlarmActionsOutput{}, nil
}

func (s *Service) enable(tx *cloud.Tx, names []string, yes bool) {
	for _, name := range names {
		a, ok := s.alarms.Get(tx, name)
		if !ok || a.ActionsEnabled == yes {
			continue
		}
		a.ActionsEnabled = yes
		a.AlarmConfigurationUpdatedTimestamp = now(tx)
		s.alarms.Put(tx, name, a)
		s.recordConfiguration(tx, &a, "Update")
	}
}

// maxTags is how many tags an alarm may have.
const maxTags = 50

// named finds the alarm of an ARN.
func (s *Service) named(tx *cloud.Tx, arn string) (Alarm, error) {
	name, ok := strings.CutPrefix(arn, s.AlarmARN(tx, ""))
	a, found := s.alarms.Get(tx, name)
	if !ok || !found {
		return a, &api.Error{Code: "ResourceNotFoundException", Message: "Unknown resource " + arn, Status: 404}
	}
	return a, nil
}

func (s *Service) tag(tx *cloud.Tx, name string, tags []shape.Tag) error {
	a, _ := s.alarms.Get(tx, name)
	out := slices.Clone(a.Tags)
	for _, t := range tags {
		key := api.Value(t.Key)
		out = slices.DeleteFunc(out, func(t Tag) bool { return t.Key == key })
		out = append(out, Tag{key, api.Value(t.Value)})
	}
	if len(out) > maxTags {
		return api.Errorf("InvalidParameterValue", "A resource may have %d tags at most.", maxTags)
	}
	slices.SortFunc(out, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	a.Tags = out
	s.alarms.Put(tx, name, a)
	return nil
}

// TagResource puts tags on an alarm.
func (s *Service) TagResource(tx *cloud.Tx, in *shape.TagResourceInput) (*shape.TagResourceOutput, error) {
	a, err := s.named(tx, api.Value(in.ResourceARN))
	if err == nil {
		err = s.tag(tx, a.AlarmName, in.Tags)
	}
	if err != nil {
		return nil, err
	}
	return &shape.TagResourceOutput{}, nil
}

// UntagResource takes tags off an alarm.
func (s *Service) UntagResource(tx *cloud.Tx, in *shape.UntagResourceInput) (*shape.UntagResourceOutput, error) {
	a, err := s.named(tx, api.Value(in.ResourceARN))
	if err != nil {
		return nil, err
	}
	a.Tags = slices.DeleteFunc(slices.Clone(a.Tags), func(t Tag) bool { return slices.Contains(in.TagKeys, t.Key) })
	s.alarms.Put(tx, a.AlarmName, a)
	return &shape.UntagResourceOutput{}, nil
}

// ListTagsForResource lists an alarm's tags.
func (s *Service) ListTagsForResource(tx *cloud.Tx, in *shape.ListTagsForResourceInput) (*shape.ListTagsForResourceOutput, error) {
	a, err := s.named(tx, api.Value(in.ResourceARN))
	if err != nil {
		return nil, err
	}
	out := &shape.ListTagsForResourceOutput{Tags: []shape.Tag{}}
	for i := range a.Tags {
		out.Tags = append(out.Tags, shape.Tag{Key: &a.Tags[i].Key, Value: &a.Tags[i].Value})
	}
	return out, nil
}

// Named gives the tags of an alarm, for decisions on calls.
func (s *Service) Named(tx *cloud.Tx, arn string) ([]Tag, bool) {
	a, err := s.named(tx, arn)
	return a.Tags, err == nil
}
