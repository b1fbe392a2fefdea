package cloudwatch

import (
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
)

// shape gives an alarm to the wire: members that were not given are left out.
func (a *Alarm) shape() shape.MetricAlarm {
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	number := func(n int32) *int32 {
		if n == 0 {
			return nil
		}
		return &n
	}
	out := shape.MetricAlarm{
		AlarmName: &a.AlarmName, AlarmArn: &a.AlarmArn, AlarmDescription: text(a.AlarmDescription),
		AlarmConfigurationUpdatedTimestamp: &a.AlarmConfigurationUpdatedTimestamp, ActionsEnabled: &a.ActionsEnabled,
		OKActions: shown(a.OKActions), AlarmActions: shown(a.AlarmActions), InsufficientDataActions: shown(a.InsufficientDataActions),
		StateValue: &a.StateValue, StateReason: &a.StateReason, StateReasonData: text(a.StateReasonData),
		StateUpdatedTimestamp: &a.StateUpdatedTimestamp, StateTransitionedTimestamp: &a.StateTransitionedTimestamp,
		MetricName: text(a.MetricName), Namespace: text(a.Namespace), Statistic: text(a.Statistic),
		ExtendedStatistic: text(a.ExtendedStatistic), Dimensions: dimensionShapes(a.Dimensions), Period: number(a.Period),
		Unit: text(a.Unit), EvaluationPeriods: &a.EvaluationPeriods, DatapointsToAlarm: number(a.DatapointsToAlarm),
		Threshold: &a.Threshold, ComparisonOperator: &a.ComparisonOperator, TreatMissingData: text(a.TreatMissingData),
		EvaluateLowSampleCountPercentile: text(a.EvaluateLowSampleCountPercentile),
	}
	for i := range a.Metrics {
		out.Metrics = append(out.Metrics, a.Metrics[i].shape())
	}
	return out
}

// shown is a list that is there also when it is empty: as AWS has it, and the same after a load.
func shown(list []string) []string { return append([]string{}, list...) }

// DescribeAlarms lists alarms by name, prefix, state or action, in order of name.
func (s *Service) DescribeAlarms(tx *cloud.Tx, in *shape.DescribeAlarmsInput) (*shape.DescribeAlarmsOutput, error) {
	if len(in.AlarmNames) > 0 && in.AlarmNamePrefix != nil {
		return nil, invalid("AlarmNames and AlarmNamePrefix are mutually exclusive")
	}
	if in.ChildrenOfAlarmName != nil || in.ParentsOfAlarmName != nil {
		return nil, &api.Error{Code: "NotImplemented", Status: 501,
			Message: "Composite alarms are not implemented, and so neither ChildrenOfAlarmName nor ParentsOfAlarmName."}
	}
	out := &shape.DescribeAlarmsOutput{CompositeAlarms: []shape.CompositeAlarm{}, MetricAlarms: []shape.MetricAlarm{}}
	if len(in.AlarmTypes) > 0 && !slices.Contains(in.AlarmTypes, "MetricAlarm") {
		return out, nil
	}
	fits := func(a *Alarm) bool {
		return (in.StateValue == nil || a.StateValue == *in.StateValue) && (in.ActionPrefix == nil || a.hasAction(*in.ActionPrefix))
	}
	if len(in.AlarmNames) > 0 {
		names := slices.Compact(slices.Sorted(slices.Values(in.AlarmNames)))
		for _, name := range names {
			if a, ok := s.alarms.Get(tx, name); ok && fits(&a) {
				out.MetricAlarms = append(out.MetricAlarms, a.shape())
			}
		}
		return out, nil
	}
	limit := 50
	if in.MaxRecords != nil {
		limit = int(*in.MaxRecords)
	}
	prefix, after := api.Value(in.AlarmNamePrefix), api.Value(in.NextToken)
	if after < prefix {
		after = ""
	}
	rows := s.alarms.Prefix(tx, prefix)
	if after != "" {
		rows = s.alarms.After(tx, after)
	}
	for name, a := range rows {
		if !strings.HasPrefix(name, prefix) {
			break
		}
		if !fits(&a) {
			continue
		}
		if len(out.MetricAlarms) == limit {
			out.NextToken = out.MetricAlarms[limit-1].AlarmName
			break
		}
		out.MetricAlarms = append(out.MetricAlarms, a.shape())
	}
	return out, nil
}

func (a *Alarm) hasAction(prefix string) bool {
	for _, list := range [][]string{a.OKActions, a.AlarmActions, a.InsufficientDataActions} {
		for _, arn := range list {
			if strings.HasPrefix(arn, prefix) {
				return true
			}
		}
	}
	return false
}

// DescribeAlarmsForMetric lists the alarms on one metric.
func (s *Service) DescribeAlarmsForMetric(tx *cloud.Tx, in *shape.DescribeAlarmsForMetricInput) (*shape.DescribeAlarmsForMetricOutput, error) {
	if in.Statistic != nil && in.ExtendedStatistic != nil {
		return nil, api.Errorf("InvalidParameterCombination", "Statistic and ExtendedStatistic are mutually exclusive")
	}
	out := &shape.DescribeAlarmsForMetricOutput{MetricAlarms: []shape.MetricAlarm{}}
	key := metricKey(api.Value(in.Namespace), api.Value(in.MetricName), dimensionsOf(in.Dimensions))
	differs := func(want *string, is string) bool { return want != nil && *want != is }
	for _, a := range s.watched.Each(tx, key) {
		if differs(in.Statistic, a.Statistic) || differs(in.ExtendedStatistic, a.ExtendedStatistic) || differs(in.Unit, a.Unit) ||
			in.Period != nil && *in.Period != a.period() {
			continue
		}
		out.MetricAlarms = append(out.MetricAlarms, a.shape())
	}
	return out, nil
}

// DescribeAlarmHistory lists what happened to alarms, newest first by default.
func (s *Service) DescribeAlarmHistory(tx *cloud.Tx, in *shape.DescribeAlarmHistoryInput) (*shape.DescribeAlarmHistoryOutput, error) {
	if in.StartDate != nil && in.EndDate != nil && in.EndDate.Before(*in.StartDate) {
		return nil, invalid("StartDate must be less than or equal to EndDate")
	}
	rows := s.history.All(tx)
	if in.AlarmName != nil {
		rows = s.ofAlarm.Each(tx, *in.AlarmName)
	}
	var found []HistoryItem
	for _, h := range rows {
		switch {
		case in.StartDate != nil && h.Timestamp.Before(*in.StartDate):
		case in.EndDate != nil && h.Timestamp.After(*in.EndDate):
		case in.HistoryItemType != nil && h.HistoryItemType != *in.HistoryItemType:
		case len(in.AlarmTypes) > 0 && !slices.Contains(in.AlarmTypes, h.AlarmType):
		default:
			found = append(found, h)
		}
	}
	if in.ScanBy == nil || *in.ScanBy == shape.ScanByTimestampDescending {
		slices.Reverse(found)
	}
	skip, limit := 0, 100
	if in.NextToken != nil {
		var err error
		if skip, err = strconv.Atoi(*in.NextToken); err != nil || skip < 0 || skip > len(found) {
			return nil, api.Errorf("InvalidNextToken", "The specified nextToken is invalid.")
		}
	}
	if in.MaxRecords != nil {
		limit = int(*in.MaxRecords)
	}
	out := &shape.DescribeAlarmHistoryOutput{AlarmHistoryItems: []shape.AlarmHistoryItem{}}
	if skip+limit < len(found) {
		out.NextToken = new(strconv.Itoa(skip + limit))
	}
	found = found[skip:min(skip+limit, len(found))]
	for i := range found {
		h := &found[i]
		out.AlarmHistoryItems = append(out.AlarmHistoryItems, shape.AlarmHistoryItem{AlarmName: &h.AlarmName, AlarmType: &h.AlarmType,
			Timestamp: &h.Timestamp, HistoryItemType: &h.HistoryItemType, HistorySummary: &h.HistorySummary, HistoryData: &h.HistoryData})
	}
	return out, nil
}
