// Package sns is Amazon SNS: topics, subscriptions and the delivery of messages to them.
//
// It sends nothing itself: a delivery over HTTP is the wish DeliverHTTP, and the fact Delivered says what became of it;
// queues get messages in the same step, functions are told of with an event, and mails are kept to be read. Messages
// come from clients, from services above (Publish), and from CloudWatch alarms that name a topic as an action. Unlike
// AWS's, messages are not signed: SignatureVersion, Signature and SigningCertURL are left out.
//
// The one idea: a delivery that is under way is a row, so that a restart neither loses nor repeats it for ever; it goes
// when the endpoint has taken it or the last attempt has failed.
//
// Invariants: nothing is sent to a subscription that its endpoint has not confirmed, but for the request to do so; the
// number of attempts and of waiting deliveries is bounded.
package sns

import (
	"iter"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/sqs"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is what calls are addressed to.
const Name = "sns"

// Kinds of things that are reconciled.
const (
	kindDelivery     = "delivery"
	kindSubscription = "subscription"
)

// Service is SNS in all accounts and regions.
type Service struct {
	cloud.Base
	// Endpoint is the base of the URLs in messages with which a subscriber confirms or ends a subscription. It may be
	// set before the first step.
	Endpoint string
	// Queues is where the queues are that subscribe; without it none can be reached. It, too, may be set before the first step.
	Queues *sqs.Service
	// Identities decides which services may publish for others; without it all may. Likewise.
	Identities *iam.Service
	// Alarms hears what came of the messages that alarms send. It may be nil, or set before the first step.
	Alarms *cloudwatch.Service

	topics        cloud.Rows[Topic]        // by name
	subscriptions cloud.Rows[Subscription] // by topic name, a colon, and the ID: the last two parts of the ARN
	deliveries    cloud.Rows[Delivery]     // by subscription, a colon, and the message's ID
	mails         cloud.Rows[Mail]         // by number
	numbers       cloud.Rows[int64]        // one row: the number of the newest mail
}

// New makes the service.
func New() *Service {
	return &Service{
		Endpoint:      "http://127.0.0.1:4566",
		topics:        cloud.NewRows[Topic](Name + ".topics"),
		subscriptions: cloud.NewRows[Subscription](Name + ".subscriptions"),
		deliveries:    cloud.NewRows[Delivery](Name + ".deliveries"),
		mails:         cloud.NewRows[Mail](Name + ".mails"),
		numbers:       cloud.NewRows[int64](Name + ".numbers"),
	}
}

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store {
	return []table.Store{s.topics, s.subscriptions, s.deliveries, s.mails, s.numbers}
}

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	return []cloud.Operation{
		cloud.Handle("CreateTopic", s.CreateTopic).But("KMS and feedback attributes and throttling are kept only; FIFO topics are refused"),
		cloud.Handle("DeleteTopic", s.DeleteTopic),
		cloud.Handle("ListTopics", s.ListTopics),
		cloud.Handle("GetTopicAttributes", s.GetTopicAttributes),
		cloud.Handle("SetTopicAttributes", s.SetTopicAttributes).But("KMS and feedback attributes and throttling are kept only"),
		cloud.Handle("Subscribe", s.Subscribe).But("mails are kept to be read with billow mailbox; messages are not signed; sms subscriptions are kept and get nothing; firehose and application are refused"),
		cloud.Handle("ConfirmSubscription", s.ConfirmSubscription),
		cloud.Handle("Unsubscribe", s.Unsubscribe),
		cloud.Handle("ListSubscriptions", s.ListSubscriptions),
		cloud.Handle("ListSubscriptionsByTopic", s.ListSubscriptionsByTopic),
		cloud.Handle("GetSubscriptionAttributes", s.GetSubscriptionAttributes),
		cloud.Handle("SetSubscriptionAttributes", s.SetSubscriptionAttributes).But("throttling is kept only"),
		cloud.Handle("Publish", s.PublishMessage),
		cloud.Handle("PublishBatch", s.PublishBatch),
		cloud.Handle("TagResource", s.TagResource),
		cloud.Handle("UntagResource", s.UntagResource),
		cloud.Handle("ListTagsForResource", s.ListTagsForResource),
		cloud.Handle("mailbox", s.Mails).But("internal, for billow mailbox"),
	}
}

// Observe implements cloud.Service.
func (s *Service) Observe(tx *cloud.Tx, f cloud.Fact) {
	if d, ok := f.(Delivered); ok {
		if scope, resource, err := parseARN(d.SubscriptionARN, "SubscriptionArn"); err == nil {
			tx.In(scope, func() { s.delivered(tx, resource+":"+d.MessageID, d) })
		}
	}
}

// Notice implements cloud.Service.
func (s *Service) Notice(tx *cloud.Tx, e cloud.Event) {
	if a, ok := e.(cloudwatch.AlarmAction); ok && strings.HasPrefix(a.ActionARN, "arn:aws:sns:") {
		subject, body := a.Message()
		account := tx.Scope.Account
		err := s.PublishFor(tx, iam.Act{Service: alarmPrincipal, Source: a.Alarm.AlarmArn, Context: func(key string) []string {
			if key == "aws:sourceowner" {
				return []string{account}
			}
			return nil
		}}, a.ActionARN, subject, body)
		if s.Alarms != nil {
			s.Alarms.Acted(tx, a, err)
		}
	}
}

// Reconcile implements cloud.Service.
func (s *Service) Reconcile(tx *cloud.Tx, kind, id string) {
	switch kind {
	case kindDelivery:
		s.reconcileDelivery(tx, id)
	case kindSubscription:
		s.reconcileSubscription(tx, id)
	}
}

// Keys implements cloud.Service.
func (s *Service) Keys() iter.Seq[cloud.Key] {
	return func(yield func(cloud.Key) bool) {
		for k := range s.deliveries.Everywhere() {
			k.Kind = kindDelivery
			if !yield(k) {
				return
			}
		}
		for k := range s.subscriptions.Everywhere() {
			k.Kind = kindSubscription
			if !yield(k) {
				return
			}
		}
	}
}

// Attribute is one name and value of a topic's or subscription's attributes, which are kept in order of name.
type Attribute struct{ Name, Value string }

// parseARN takes the scope and the resource from an ARN of SNS; member is what an error calls it.
func parseARN(arn, member string) (cloud.Scope, string, error) {
	part := strings.SplitN(arn, ":", 6)
	if len(part) < 6 {
		return cloud.Scope{}, "", badParameter("%s Reason: An ARN must have at least 6 elements, not %d", member, len(part))
	}
	if part[0] != "arn" || part[2] != Name || part[5] == "" {
		return cloud.Scope{}, "", badParameter("%s", member)
	}
	return cloud.Scope{Account: part[4], Region: part[3]}, part[5], nil
}

func badParameter(format string, args ...any) error {
	return api.Errorf("InvalidParameter", "Invalid parameter: "+format, args...)
}

func notFound(what string) error {
	return &api.Error{Code: "NotFound", Message: what + " does not exist", Status: 404}
}

func notImplemented(what string) error {
	return &api.Error{Code: "NotImplemented", Message: what, Status: 501}
}

// stamp is how times look in messages.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
