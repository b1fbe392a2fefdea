package lambda

import (
	"cmp"
	"encoding/json"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// Why an asynchronous invocation has ended.
const (
	conditionSuccess = "Success"
	conditionRetries = "RetriesExhausted"
	conditionAge     = "EventAgeExceeded"
)

// checkTarget says whether something can be a dead-letter target or, with more kinds, a destination.
func (s *Service) checkTarget(tx *cloud.Tx, arn string, destination bool) error {
	service, region, account, _ := target(arn)
	if region != tx.Scope.Region || account != tx.Scope.Account {
		return invalid("The destination ARN %s is invalid: it must be of this account and region.", arn)
	}
	switch {
	case service == "sns", service == "sqs":
	case service == "lambda" && destination, service == "events" && destination:
	default:
		return invalid("The destination ARN %s is invalid.", arn)
	}
	return nil
}

// record is what a destination gets.
type record struct {
	Version   string          `json:"version"`
	Timestamp string          `json:"timestamp"`
	Request   recordRequest   `json:"requestContext"`
	Payload   json.RawMessage `json:"requestPayload"`
	Response  *recordResponse `json:"responseContext,omitempty"`
	Answer    json.RawMessage `json:"responsePayload,omitempty"`
}

type recordRequest struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	Condition   string `json:"condition"`
	Count       int32  `json:"approximateInvokeCount"`
}

type recordResponse struct {
	Status  int    `json:"statusCode"`
	Version string `json:"executedVersion"`
	Error   string `json:"functionError,omitempty"`
}

// tell sends the record of an invocation to a destination.
func (s *Service) tell(tx *cloud.Tx, f Function, v Version, i Invocation, condition, to string) {
	qualifier := i.Qualifier
	if qualifier == "" {
		qualifier = latest
	}
	arn := functionARN(tx.Scope, f.Name, qualifier)
	r := record{Version: "1.0", Timestamp: tx.Now().Format("2006-01-02T15:04:05.000Z"), Payload: i.Payload, Answer: i.Answer,
		Request: recordRequest{RequestID: i.ID, FunctionARN: arn, Condition: condition, Count: i.Attempt}}
	if i.Attempt > 0 {
		r.Response = &recordResponse{Status: 200, Version: v.Number, Error: i.Error}
	}
	if condition == conditionSuccess {
		r.Response.Error = ""
	}
	text := encoded(r)
	service, _, _, _ := target(to)
	var err error
	switch service {
	case "sns":
		err = s.topics.Publish(tx, to, "", string(text))
	case "sqs":
		err = s.queues.Send(tx, to, string(text), nil)
	case "lambda":
		var other Function
		var q string
		if other, q, err = s.qualified(tx, &to, nil); err == nil {
			err = s.enqueue(tx, other.Name, q, tx.UUID(), text)
		}
	case "events":
		kind := "Success"
		if condition != conditionSuccess {
			kind = "Failure"
		}
		tx.Emit(Name, Told{Bus: to, Source: Name, DetailType: "Lambda Function Invocation Result - " + kind, Resources: []string{to, arn}, Detail: string(text)})
	}
	if err != nil {
		s.measure(tx, f.Name, "DestinationDeliveryFailures", "Count", 1)
	}
}

// bury sends what could not be run to the function's dead-letter target.
func (s *Service) bury(tx *cloud.Tx, f Function, v Version, i Invocation) {
	var err error
	if service, _, _, _ := target(v.DeadLetter); service == "sqs" {
		err = s.queues.Send(tx, v.DeadLetter, string(i.Payload), []sqs.Attribute{{Name: "ErrorCode", Type: "Number", Value: "200"},
			{Name: "ErrorMessage", Type: "String", Value: cmp.Or(i.Message, "The event was not processed.")}, {Name: "RequestID", Type: "String", Value: i.ID}})
	} else {
		err = s.topics.Publish(tx, v.DeadLetter, "", string(i.Payload))
	}
	if err != nil {
		s.measure(tx, f.Name, "DeadLetterErrors", "Count", 1)
	}
}
