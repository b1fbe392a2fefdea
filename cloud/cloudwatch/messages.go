package cloudwatch

import (
	"encoding/json"
	"strings"
)

// Message is what a topic is told of an alarm (CW-AL-21).
func (x AlarmAction) Message() (subject, body string) {
	a := &x.Alarm
	part := append(strings.SplitN(a.AlarmArn, ":", 6), "", "", "", "", "") // arn:aws:cloudwatch:region:account:alarm
	region := RegionName(part[3])
	message := alarmMessage{
		AlarmName: a.AlarmName, AWSAccountID: part[4], AlarmConfigurationUpdatedTimestamp: longTime(a.AlarmConfigurationUpdatedTimestamp),
		NewStateValue: x.New, NewStateReason: a.StateReason, StateChangeTime: longTime(x.At), Region: region, AlarmArn: a.AlarmArn,
		OldStateValue: x.Old, OKActions: list(a.OKActions), AlarmActions: list(a.AlarmActions),
		InsufficientDataActions: list(a.InsufficientDataActions), Trigger: a.trigger(),
	}
	if a.AlarmDescription != "" {
		message.AlarmDescription = &a.AlarmDescription
	}
	text, err := json.Marshal(message)
	if err != nil {
		panic(err) // strings and numbers that are not NaN
	}
	subject = x.New + `: "` + a.AlarmName + `" in ` + region
	if len(subject) > 100 {
		subject = strings.ToValidUTF8(subject[:97], "") + "..."
	}
	return subject, string(text)
}

func list(arns []string) []string { return append([]string{}, arns...) }

type alarmMessage struct {
	AlarmName                          string
	AlarmDescription                   *string
	AWSAccountID                       string `json:"AWSAccountId"`
	AlarmConfigurationUpdatedTimestamp string
	NewStateValue                      string
	NewStateReason                     string
	StateChangeTime                    string
	Region                             string
	AlarmArn                           string
	OldStateValue                      string
	OKActions                          []string
	AlarmActions                       []string
	InsufficientDataActions            []string
	Trigger                            trigger
}

type trigger struct {
	MetricName                       string `json:",omitempty"`
	Namespace                        string `json:",omitempty"`
	StatisticType                    string `json:",omitempty"`
	Statistic                        string `json:",omitempty"`
	ExtendedStatistic                string `json:",omitempty"`
	Unit                             *string
	Dimensions                       []triggerDimension
	Metrics                          []triggerMetric `json:",omitempty"`
	Period                           int32           `json:",omitempty"`
	EvaluationPeriods                int32
	DatapointsToAlarm                int32 `json:",omitempty"`
	ComparisonOperator               string
	Threshold                        float64
	TreatMissingData                 string
	EvaluateLowSampleCountPercentile string
}

type triggerDimension struct {
	Value string `json:"value"`
	Name  string `json:"name"`
}

type triggerMetric struct {
	Expression string             `json:",omitempty"`
	ID         string             `json:"Id"`
	Label      string             `json:",omitempty"`
	MetricStat *triggerMetricStat `json:",omitempty"`
	ReturnData bool
}

type triggerMetricStat struct {
	Metric struct {
		Dimensions []triggerDimension
		MetricName string
		Namespace  string
	}
	Period int32
	Stat   string
}

// trigger is the alarm's configuration as messages have it.
func (a *Alarm) trigger() trigger {
	t := trigger{
		MetricName: a.MetricName, Namespace: a.Namespace, Dimensions: triggerDimensions(a.Dimensions), Period: a.Period,
		EvaluationPeriods: a.EvaluationPeriods, DatapointsToAlarm: a.DatapointsToAlarm, ComparisonOperator: a.ComparisonOperator,
		Threshold: a.Threshold, TreatMissingData: a.treatment(), EvaluateLowSampleCountPercentile: a.EvaluateLowSampleCountPercentile,
	}
	if a.Unit != "" {
		t.Unit = &a.Unit
	}
	switch {
	case a.Statistic == "SampleCount":
		t.StatisticType, t.Statistic = "Statistic", "SAMPLE_COUNT"
	case a.Statistic != "":
		t.StatisticType, t.Statistic = "Statistic", strings.ToUpper(a.Statistic)
	case a.ExtendedStatistic != "":
		t.StatisticType, t.ExtendedStatistic = "ExtendedStatistic", a.ExtendedStatistic
	}
	for _, q := range a.Metrics {
		m := triggerMetric{Expression: q.Expression, ID: q.ID, Label: q.Label, ReturnData: q.ReturnData}
		if q.Expression == "" {
			m.MetricStat = &triggerMetricStat{Period: q.Period, Stat: q.Stat}
			m.MetricStat.Metric.Dimensions = triggerDimensions(q.Dimensions)
			m.MetricStat.Metric.MetricName, m.MetricStat.Metric.Namespace = q.MetricName, q.Namespace
		}
		t.Metrics = append(t.Metrics, m)
	}
	return t
}

func triggerDimensions(in []Dimension) []triggerDimension {
	out := make([]triggerDimension, len(in))
	for i, d := range in {
		out[i] = triggerDimension{Value: d.Value, Name: d.Name}
	}
	return out
}

// RegionName is a region's long name, which messages use; the code itself if there is none.
func RegionName(code string) string {
	if name, ok := regionNames[code]; ok {
		return name
	}
	return code
}

var regionNames = map[string]string{
	"us-east-1":      "US East (N. Virginia)",
	"us-east-2":      "US East (Ohio)",
	"us-west-1":      "US West (N. California)",
	"us-west-2":      "US West (Oregon)",
	"af-south-1":     "Africa (Cape Town)",
	"ap-east-1":      "Asia Pacific (Hong Kong)",
	"ap-northeast-1": "Asia Pacific (Tokyo)",
	"ap-northeast-2": "Asia Pacific (Seoul)",
	"ap-northeast-3": "Asia Pacific (Osaka)",
	"ap-south-1":     "Asia Pacific (Mumbai)",
	"ap-south-2":     "Asia Pacific (Hyderabad)",
	"ap-southeast-1": "Asia Pacific (Singapore)",
	"ap-southeast-2": "Asia Pacific (Sydney)",
	"ap-southeast-3": "Asia Pacific (Jakarta)",
	"ap-southeast-4": "Asia Pacific (Melbourne)",
	"ca-central-1":   "Canada (Central)",
	"ca-west-1":      "Canada West (Calgary)",
	"eu-central-1":   "EU (Frankfurt)",
	"eu-central-2":   "Europe (Zurich)",
	"eu-north-1":     "EU (Stockholm)",
	"eu-south-1":     "EU (Milan)",
	"eu-south-2":     "Europe (Spain)",
	"eu-west-1":      "EU (Ireland)",
	"eu-west-2":      "EU (London)",
	"eu-west-3":      "EU (Paris)",
	"il-central-1":   "Israel (Tel Aviv)",
	"me-central-1":   "Middle East (UAE)",
	"me-south-1":     "Middle East (Bahrain)",
	"sa-east-1":      "South America (Sao Paulo)",
}
