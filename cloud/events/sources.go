package events

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// Told is an event of a lower service that EventBridge tells on. A service that has one need not know of this package:
// it gives its event these two methods. Only what a rule may match is asked for its Detail.
type Told interface {
	// Told names the source, "aws.autoscaling", and the detail-type; an empty source tells nothing.
	Told() (source, detailType string)
	// Detail gives the ARNs of what it is about and what becomes the JSON of its detail.
	Detail(scope cloud.Scope) (resources []string, detail any)
}

// tell gives an event of a lower service as EventBridge tells it; nil if it does not.
func tell(e cloud.Event) Told {
	switch e := e.(type) {
	case ec2.InstanceStateChanged:
		return stateChange(e)
	case cloudwatch.AlarmStateChanged:
		return alarmChange(e)
	case cloudwatch.AlarmConfigurationChanged:
		return alarmPut(e)
	case Told:
		return e
	}
	return nil
}

// stateChange is the event of EC-EV-01.
type stateChange ec2.InstanceStateChanged

func (stateChange) Told() (source, detailType string) {
	return "aws.ec2", "EC2 Instance State-change Notification"
}

func (e stateChange) Detail(scope cloud.Scope) ([]string, any) {
	return []string{scope.ARN("ec2", "instance/"+e.ID)}, struct {
		ID    string `json:"instance-id"`
		State string `json:"state"`
	}{e.ID, e.To}
}

// alarmChange is the first event of CW-AL-17.
type alarmChange cloudwatch.AlarmStateChanged

func (alarmChange) Told() (source, detailType string) {
	return "aws.cloudwatch", "CloudWatch Alarm State Change"
}

func (e alarmChange) Detail(cloud.Scope) ([]string, any) {
	return []string{e.Alarm.AlarmArn}, struct {
		Name          string             `json:"alarmName"`
		Configuration alarmConfiguration `json:"configuration"`
		Previous      alarmState         `json:"previousState"`
		State         alarmState         `json:"state"`
	}{e.Alarm.AlarmName, configurationOf(&e.Alarm), stateOf(&e.Old), stateOf(&e.Alarm)}
}

// alarmPut is the second event of CW-AL-17.
type alarmPut cloudwatch.AlarmConfigurationChanged

func (alarmPut) Told() (source, detailType string) {
	return "aws.cloudwatch", "CloudWatch Alarm Configuration Change"
}

func (e alarmPut) Detail(cloud.Scope) ([]string, any) {
	var before *fullConfiguration
	if e.Operation == "update" {
		before = new(fullConfigurationOf(&e.Old))
	}
	return []string{e.Alarm.AlarmArn}, struct {
		Name          string             `json:"alarmName"`
		Operation     string             `json:"operation"`
		State         alarmState         `json:"state"`
		Configuration fullConfiguration  `json:"configuration"`
		Before        *fullConfiguration `json:"previousConfiguration,omitempty"`
	}{e.Alarm.AlarmName, e.Operation, stateOf(&e.Alarm), fullConfigurationOf(&e.Alarm), before}
}

// fullConfiguration is all that an alarm was told.
type fullConfiguration struct {
	Name               string   `json:"alarmName"`
	ActionsEnabled     bool     `json:"actionsEnabled"`
	OKActions          []string `json:"okActions"`
	AlarmActions       []string `json:"alarmActions"`
	NoDataActions      []string `json:"insufficientDataActions"`
	EvaluationPeriods  int32    `json:"evaluationPeriods"`
	DatapointsToAlarm  int32    `json:"datapointsToAlarm,omitempty"`
	Threshold          float64  `json:"threshold"`
	ComparisonOperator string   `json:"comparisonOperator"`
	TreatMissingData   string   `json:"treatMissingData,omitempty"`
	LowSampleCount     string   `json:"evaluateLowSampleCountPercentile,omitempty"`
	Timestamp          string   `json:"timestamp"`
	alarmConfiguration
}

func fullConfigurationOf(a *cloudwatch.Alarm) fullConfiguration {
	list := func(arns []string) []string { return append([]string{}, arns...) }
	return fullConfiguration{Name: a.AlarmName, ActionsEnabled: a.ActionsEnabled, OKActions: list(a.OKActions), AlarmActions: list(a.AlarmActions),
		NoDataActions: list(a.InsufficientDataActions), EvaluationPeriods: a.EvaluationPeriods, DatapointsToAlarm: a.DatapointsToAlarm, Threshold: a.Threshold,
		ComparisonOperator: a.ComparisonOperator, TreatMissingData: a.TreatMissingData, LowSampleCount: a.EvaluateLowSampleCountPercentile,
		Timestamp: a.AlarmConfigurationUpdatedTimestamp.UTC().Format(alarmTime), alarmConfiguration: configurationOf(a)}
}

const alarmTime = "2006-01-02T15:04:05.000-0700"

type alarmState struct {
	Reason    string `json:"reason"`
	Data      string `json:"reasonData,omitempty"` // JSON in a string
	Timestamp string `json:"timestamp"`
	Value     string `json:"value"`
}

func stateOf(a *cloudwatch.Alarm) alarmState {
	return alarmState{a.StateReason, a.StateReasonData, a.StateUpdatedTimestamp.UTC().Format(alarmTime), a.StateValue}
}

type alarmConfiguration struct {
	Description string        `json:"description,omitempty"`
	Metrics     []alarmMetric `json:"metrics"`
}

type alarmMetric struct {
	ID         string      `json:"id"`
	Expression string      `json:"expression,omitempty"`
	Label      string      `json:"label,omitempty"`
	Stat       *metricStat `json:"metricStat,omitempty"`
	ReturnData bool        `json:"returnData"`
}

type metricStat struct {
	Metric metric `json:"metric"`
	Period int32  `json:"period"`
	Stat   string `json:"stat"`
	Unit   string `json:"unit,omitempty"`
}

type metric struct {
	Dimensions map[string]string `json:"dimensions"`
	Name       string            `json:"name"`
	Namespace  string            `json:"namespace"`
}

func configurationOf(a *cloudwatch.Alarm) alarmConfiguration {
	c := alarmConfiguration{Description: a.AlarmDescription}
	if a.MetricName != "" {
		c.Metrics = []alarmMetric{{ID: metricID(a.AlarmArn), ReturnData: true, Stat: &metricStat{
			metric{dimensions(a.Dimensions), a.MetricName, a.Namespace}, a.Period, a.Statistic + a.ExtendedStatistic, a.Unit}}}
	}
	for _, q := range a.Metrics {
		m := alarmMetric{ID: q.ID, Expression: q.Expression, Label: q.Label, ReturnData: q.ReturnData}
		if q.Expression == "" {
			m.Stat = &metricStat{metric{dimensions(q.Dimensions), q.MetricName, q.Namespace}, q.Period, q.Stat, q.Unit}
		}
		c.Metrics = append(c.Metrics, m)
	}
	return c
}

func dimensions(list []cloudwatch.Dimension) map[string]string {
	all := map[string]string{}
	for _, d := range list {
		all[d.Name] = d.Value
	}
	return all
}

// metricID is the ID of an alarm's one metric: AWS makes one up, here it is always the same for an alarm.
func metricID(arn string) string {
	sum := md5.Sum([]byte(arn))
	h := hex.EncodeToString(sum[:])
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}
