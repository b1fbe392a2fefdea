// Package sns is Amazon SNS: topics, subscriptions and the delivery of messages to them.
//
// It sends nothing itself: a delivery is the wish DeliverHTTP, and the fact Delivered says what became of it. Messages
// come from Publish, from services above, and from CloudWatch alarms that name a topic as an action.
//
// The one idea: a delivery that is under way is a row, so that a restart neither loses nor repeats it for ever; it goes
// when the endpoint has taken it or the last attempt has failed.
//
// Invariants: nothing is sent to a subscription that its endpoint has not confirmed, but for the confirmation itself;
// the number of attempts and of waiting deliveries is bounded.
package sns

import (
	"strings"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is what calls are addressed to.
const Name = "sns"

// Service is SNS in all accounts and regions.
type Service struct {
	cloud.Base
	topics cloud.Rows[Topic] // by name
}

// New makes the service.
func New() *Service { return &Service{topics: cloud.NewRows[Topic](Name + ".topics")} }

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store { return []table.Store{s.topics} }

// Topic is the row of a topic.
type Topic struct{ ARN string }

// DeliverHTTP is a wish: POST Body to URL with Headers; any status from 200 to 299 is success. It is idempotent by
// MessageID, SubscriptionARN and Attempt.
type DeliverHTTP struct {
	Scope           cloud.Scope
	MessageID       string
	SubscriptionARN string
	URL             string
	Headers         []Header
	Body            string
	Attempt         int // from 1
}

// Header is one HTTP header.
type Header struct{ Name, Value string }

// Delivered is a fact: what became of a DeliverHTTP. Status is 0 and Error says why when no answer came.
type Delivered struct {
	MessageID       string
	SubscriptionARN string
	Attempt         int
	Status          int
	Error           string
}

// Exists tells whether there is such a topic.
func (s *Service) Exists(tx *cloud.Tx, arn string) bool {
	name, ok := strings.CutPrefix(arn, tx.Scope.ARN(Name, ""))
	return ok && s.topics.Has(tx, name)
}

// Publish sends a message to all who have subscribed to a topic.
func (s *Service) Publish(tx *cloud.Tx, topicARN, subject, message string) error {
	if !s.Exists(tx, topicARN) {
		return &api.Error{Code: "NotFound", Message: "Topic does not exist", Status: 404}
	}
	return nil
}

// Notice implements cloud.Service.
func (s *Service) Notice(tx *cloud.Tx, e cloud.Event) {
	if a, ok := e.(cloudwatch.AlarmAction); ok && s.Exists(tx, a.ActionARN) {
		_ = a
	}
}
