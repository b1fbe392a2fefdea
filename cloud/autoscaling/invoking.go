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
		AlarmArn: x.AlarmArn, AlarmName: x.AlarmName, AWSAccountId: scope.Account, Region: regionName(scope.Region),
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

// regionName is what AWS calls a region in messages; a region without a name is called by its code.
func regionName(code string) string {
	if name, ok := regionNames[code]; ok {
		return name
	}
	return code
}

var regionNames = map[string]string{
	"us-east-1": "US East (N. Virginia)", "us-east-2": "US East (Ohio)",
	"us-west-1": "US West (N. California)", "us-west-2": "US West (Oregon)",
	"af-south-1":     "Africa (Cape Town)",
	"ap-east-1":      "Asia Pacific (Hong Kong)",
	"ap-south-1":     "Asia Pacific (Mumbai)",
	"ap-northeast-1": "Asia Pacific (Tokyo)", "ap-northeast-2": "Asia Pacific (Seoul)", "ap-northeast-3": "Asia Pacific (Osaka)",
	"ap-southeast-1": "Asia Pacific (Singapore)", "ap-southeast-2": "Asia Pacific (Sydney)",
	"ca-central-1": "Canada (Central)",
	"eu-central-1": "EU (Frankfurt)", "eu-north-1": "EU (Stockholm)", "eu-south-1": "EU (Milan)",
	"eu-west-1": "EU (Ireland)", "eu-west-2": "EU (London)", "eu-west-3": "EU (Paris)",
	"me-south-1": "Middle East (Bahrain)",
	"sa-east-1":  "South America (Sao Paulo)",
}
