package lambda

import (
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// alarmPrincipal is who invokes a function that is an alarm's action.
const alarmPrincipal = "lambda.alarms.cloudwatch.amazonaws.com"

// topicPrincipal is who invokes a function that has subscribed to a topic.
const topicPrincipal = "sns.amazonaws.com"

// Notice implements cloud.Service.
func (s *Service) Notice(tx *cloud.Tx, e cloud.Event) {
	switch e := e.(type) {
	case cloudwatch.AlarmAction:
		if !e.Repeat && e.ByLambda() {
			s.metrics.Acted(tx, e, s.alarmed(tx, e))
		}
	case sqs.Arrived:
		s.arrived(tx, e)
	case sns.Notify:
		if tx.Try(func() error { return s.InvokeAsync(tx, e.FunctionARN, []byte(e.Payload), topicPrincipal, e.TopicARN) }) != nil {
			s.topics.NotInvoked(tx, e)
		}
	}
}

// alarmState is an alarm's state in what a function is told of it.
type alarmState struct {
	Value     string `json:"value"`
	Reason    string `json:"reason,omitempty"`
	Data      string `json:"reasonData,omitempty"`
	Timestamp string `json:"timestamp,omitempty"`
}

// alarmed invokes the function that is an alarm's action.
func (s *Service) alarmed(tx *cloud.Tx, e cloudwatch.AlarmAction) error {
	const layout = "2006-01-02T15:04:05.000-0700"
	a := e.Alarm
	var event struct {
		Source    string `json:"source"`
		AlarmARN  string `json:"alarmArn"`
		AccountID string `json:"accountId"`
		Time      string `json:"time"`
		Region    string `json:"region"`
		Data      struct {
			Name          string         `json:"alarmName"`
			State         alarmState     `json:"state"`
			Previous      alarmState     `json:"previousState"`
			Configuration map[string]any `json:"configuration"`
		} `json:"alarmData"`
	}
	event.Source, event.AlarmARN, event.AccountID, event.Region = "aws.cloudwatch", a.AlarmArn, tx.Scope.Account, tx.Scope.Region
	event.Time = e.At.UTC().Format(layout)
	event.Data.Name = a.AlarmName
	event.Data.State = alarmState{Value: e.New, Reason: a.StateReason, Data: a.StateReasonData, Timestamp: event.Time}
	event.Data.Previous = alarmState{Value: e.Old}
	event.Data.Configuration = map[string]any{}
	if a.AlarmDescription != "" {
		event.Data.Configuration["description"] = a.AlarmDescription
	}
	if a.MetricName != "" {
		dimensions := map[string]string{}
		for _, d := range a.Dimensions {
			dimensions[d.Name] = d.Value
		}
		event.Data.Configuration["metrics"] = []any{map[string]any{"id": "m1", "returnData": true, "metricStat": map[string]any{
			"metric": map[string]any{"namespace": a.Namespace, "name": a.MetricName, "dimensions": dimensions},
			"period": a.Period, "stat": a.Statistic + a.ExtendedStatistic}}}
	}
	payload := encoded(event)
	return tx.Try(func() error { return s.InvokeAsync(tx, e.ActionARN, payload, alarmPrincipal, a.AlarmArn) })
}
