package autoscaling

import (
	"encoding/json"
	"strings"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// invokingAlarm is an alarm as activities and notifications show it (AS-NT-05).
type invokingAlarm struct {
	AlarmArn                           string
	Trigger                            invokingTrigger
	AlarmName                          string
	AlarmDescription                   *string
	AWSAccountId                       string
	OldStateValue                      string
	Region                             string
	NewStateValue                      string
	AlarmConfigurationUpdatedTimestamp int64
	StateChangeTime                    int64
}

type invokingTrigger struct {
	MetricName                       string                 `json:",omitempty"`
	Namespace                        string                 `json:",omitempty"`
	StatisticType                    string                 `json:",omitempty"`
	Statistic                        string                 `json:",omitempty"`
	Unit                             *string                // null when there is none
	Dimensions                       []cloudwatch.Dimension `json:",omitempty"`
	Period                           int32
	EvaluationPeriods                int32
	ComparisonOperator               string
	Threshold                        float64
	TreatMissingData                 string
	EvaluateLowSampleCountPercentile string
}

// invokingAlarms is the JSON array of one alarm for an activity's Details.
func invokingAlarms(scope cloud.Scope, x cloudwatch.Alarm, from, to string) string {
	out := invokingAlarm{
		AlarmArn: x.AlarmArn, AlarmName: x.AlarmName, AWSAccountId: scope.Account, Region: cloudwatch.RegionName(scope.Region),
		OldStateValue: from, NewStateValue: to,
		AlarmConfigurationUpdatedTimestamp: x.AlarmConfigurationUpdatedTimestamp.UnixMilli(),
		StateChangeTime:                    x.StateTransitionedTimestamp.UnixMilli(),
		Trigger: invokingTrigger{
			MetricName: x.MetricName, Namespace: x.Namespace, Dimensions: x.Dimensions, Period: x.Period,
			EvaluationPeriods: x.EvaluationPeriods, ComparisonOperator: x.ComparisonOperator, Threshold: x.Threshold,
			TreatMissingData: x.TreatMissingData, EvaluateLowSampleCountPercentile: x.EvaluateLowSampleCountPercentile,
		},
	}
	if x.AlarmDescription != "" {
		out.AlarmDescription = &x.AlarmDescription
	}
	if x.Statistic != "" {
		out.Trigger.StatisticType, out.Trigger.Statistic = "Statistic", statisticName(x.Statistic)
	}
	if x.Unit != "" {
		out.Trigger.Unit = &x.Unit
	}
	text, err := json.Marshal([]invokingAlarm{out})
	if err != nil { // numbers are finite: AWS allows no others in alarms
		return ""
	}
	return string(text)
}

// statisticName is a statistic as alarms show it in messages: AVERAGE, SAMPLE_COUNT.
func statisticName(s string) string {
	if s == "SampleCount" {
		return "SAMPLE_COUNT"
	}
	return strings.ToUpper(s)
}
