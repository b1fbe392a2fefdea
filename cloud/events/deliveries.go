package events

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// AWS's retry policy where a target has none of its own, and two choices of ours: how the pauses grow, and beyond how
// many waiting deliveries new ones go to the dead-letter queue at once.
const (
	usualAttempts = 185
	usualAge      = 24 * time.Hour
	firstPause    = time.Second
	longestPause  = 10 * time.Minute
	maxDeliveries = 10_000
)

// Delivery is the row of an event on its way to a target that has failed to take it:
//
//	(a call that fails in a way that may pass) --> waiting -- taken --> gone
//	                                                ^  |  \-- too often, too late, or not to be tried again --> dead letter
//	                                                \--/
type Delivery struct {
	Event  Event
	Target Target // as it was when the event came
	Tries  int32  // so far
	Next   time.Time
}

// deliver calls a target, and keeps what should be tried again.
func (s *Service) deliver(tx *cloud.Tx, t Target, e *Event) {
	err := s.try(tx, t, e)
	if err == nil {
		s.measure(tx, t, "Invocations")
		return
	}
	d := Delivery{Event: *e, Target: t, Tries: 1}
	d.Event.decoded, d.Event.encoded = nil, ""
	switch {
	case !passing(err):
		s.bury(tx, d, err, "")
	case s.deliveries.Len() >= maxDeliveries:
		s.bury(tx, d, err, "TooManyDeliveries")
	default:
		s.retry(tx, tx.ID("delivery-"), d, err)
	}
}

// try calls a target, in nobody's name; what it did is taken back if it failed.
func (s *Service) try(tx *cloud.Tx, t Target, e *Event) error {
	caller := tx.Caller
	tx.Caller = cloud.Caller{}
	defer func() { tx.Caller = caller }()
	return tx.Try(func() error { return s.call(tx, t, e) })
}

// passing tells whether an error may be over at the next attempt: what is not there or not allowed is not tried again.
func passing(err error) bool {
	var e *api.Error
	if !errors.As(err, &e) {
		return true
	}
	return e.Status >= 500 || strings.Contains(e.Code, "Throttl") || strings.Contains(e.Code, "TooManyRequests") ||
		strings.HasSuffix(e.Code, "LimitExceeded") || e.Code == "ResourceConflictException"
}

// retry keeps a delivery until its next attempt, if there may be one.
func (s *Service) retry(tx *cloud.Tx, id string, d Delivery, err error) {
	most, age := api.Or(d.Target.Attempts, usualAttempts), usualAge
	if d.Target.Age > 0 {
		age = time.Duration(d.Target.Age) * time.Second
	}
	pause := longestPause
	if d.Tries < 11 {
		pause = min(longestPause, firstPause<<(d.Tries-1))
	}
	d.Next = tx.Now().Add(pause).Truncate(time.Millisecond)
	switch {
	case d.Tries > most:
		s.bury(tx, d, err, "MaximumRetryAttempts")
	case d.Next.After(d.Event.Ingested.Add(age)):
		s.bury(tx, d, err, "MaximumEventAgeInSeconds")
	default:
		s.deliveries.Put(tx, id, d)
		tx.At(Name, kindDelivery, id, d.Next)
		return
	}
	s.deliveries.Delete(tx, id)
	tx.At(Name, kindDelivery, id, time.Time{})
}

// reconcileDelivery makes the next attempt when its time has come.
func (s *Service) reconcileDelivery(tx *cloud.Tx, id string) {
	d, ok := s.deliveries.Get(tx, id)
	if !ok || tx.Now().Before(d.Next) {
		tx.At(Name, kindDelivery, id, d.Next)
		return
	}
	e := d.Event
	err := s.try(tx, d.Target, &e)
	if err != nil && passing(err) {
		d.Tries++
		s.retry(tx, id, d, err)
		return
	}
	if err == nil {
		s.measure(tx, d.Target, "Invocations")
	} else {
		d.Tries++
		s.bury(tx, d, err, "")
	}
	s.deliveries.Delete(tx, id)
	tx.At(Name, kindDelivery, id, time.Time{})
}

// measure counts in a metric of the target's rule.
func (s *Service) measure(tx *cloud.Tx, t Target, metric string) {
	if s.lower.Measure != nil {
		s.lower.Measure(tx, t.Rule, metric)
	}
}

// errorCode is how a dead letter names what went wrong.
func errorCode(err error) string {
	var e *api.Error
	if !errors.As(err, &e) {
		return "INTERNAL_ERROR"
	}
	for _, x := range []struct{ part, code string }{
		{"NotFound", "NO_RESOURCE"}, {"NonExistent", "NO_RESOURCE"}, {"AccessDenied", "NO_PERMISSIONS"}, {"NotAuthorized", "NO_PERMISSIONS"},
		{"Unauthorized", "NO_PERMISSIONS"}, {"Throttl", "THROTTLING"}, {"TooManyRequests", "THROTTLING"}, {"LimitExceeded", "RESOURCE_LIMIT_EXCEEDED"},
		{"InvalidRequestContent", "INVALID_JSON"}, {"Invalid", "INVALID_PARAMETER"}, {"Validation", "INVALID_PARAMETER"},
	} {
		if strings.Contains(e.Code, x.part) {
			return x.code
		}
	}
	if e.Status >= 500 {
		return "INTERNAL_ERROR"
	}
	return "SDK_CLIENT_ERROR"
}

// bury gives up an event that could not be delivered: it goes into the target's dead-letter queue, if that has one.
func (s *Service) bury(tx *cloud.Tx, d Delivery, why error, exhausted string) {
	s.measure(tx, d.Target, "Invocations")
	s.measure(tx, d.Target, "FailedInvocations")
	if d.Target.DeadLetter == "" || s.lower.Send == nil {
		return
	}
	code, text := errorCode(why), why.Error()
	var e *api.Error
	if errors.As(why, &e) {
		text = e.Message
	}
	var attributes []sqs.Attribute
	tell := func(name, value string) {
		attributes = append(attributes, sqs.Attribute{Name: name, Value: value, Type: "String"})
	}
	tell("ERROR_CODE", code)
	tell("ERROR_MESSAGE", text)
	if exhausted != "" {
		tell("EXHAUSTED_RETRY_CONDITION", exhausted)
	}
	tell("RETRY_ATTEMPTS", strconv.Itoa(int(d.Tries-1)))
	tell("RULE_ARN", ruleARN(tx.Scope, d.Target.Bus, d.Target.Rule))
	tell("TARGET_ARN", d.Target.ARN)
	by := iam.Act{Service: principal, Source: ruleARN(tx.Scope, d.Target.Bus, d.Target.Rule)}
	if tx.Try(func() error { return s.lower.Send(tx, d.Target.DeadLetter, d.Event.JSON(), attributes, by) }) != nil {
		s.measure(tx, d.Target, "InvocationsFailedToBeSentToDlq") // it has gone, or its policy does not let rules in
		return
	}
	s.measure(tx, d.Target, "InvocationsSentToDlq")
}
