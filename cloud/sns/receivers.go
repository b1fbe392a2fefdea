package sns

import (
	"encoding/json"
	"strings"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// principal is who sends to queues and invokes functions.
const principal = "sns.amazonaws.com"

// alarmPrincipal is who publishes for alarms.
const alarmPrincipal = "cloudwatch.amazonaws.com"

// maxQueueAttributes is how many attributes a message of a queue may have.
const maxQueueAttributes = 10

// Notify is an event: a function has subscribed, and a message is there for it (EC-EV-05). Who cannot invoke the function
// says so with NotInvoked.
type Notify struct {
	FunctionARN     string
	SubscriptionARN string
	TopicARN        string
	MessageID       string
	Payload         string // what the function is given; JSON
}

// hand gives a message to a subscription: what needs no one outside is done in the same step.
func (s *Service) hand(tx *cloud.Tx, id string, sub *Subscription, m Message) {
	switch sub.Protocol {
	case "http", "https":
		s.deliver(tx, id, sub, m)
	case "sqs":
		if err := s.enqueue(tx, sub.Endpoint, sub, &m); err != nil {
			s.undelivered(tx, sub, &m)
		}
	case "lambda":
		if m.Type == typeNotification {
			tx.Emit(Name, Notify{FunctionARN: sub.Endpoint, SubscriptionARN: sub.ARN, TopicARN: sub.TopicARN, MessageID: m.ID, Payload: s.record(sub, &m)})
		}
	case "email", "email-json":
		s.mail(tx, sub, &m)
	}
}

// enqueue sends a message to a queue, which may be in another account or region.
func (s *Service) enqueue(tx *cloud.Tx, queue string, sub *Subscription, m *Message) (err error) {
	scope, _, err := parseQueue(queue)
	if err != nil || s.Queues == nil {
		return notFound("Queue")
	}
	var attributes []sqs.Attribute
	if m.Type == typeNotification && sub.raw() {
		for _, a := range m.Attributes {
			attributes = append(attributes, sqs.Attribute{Name: a.Name, Type: a.Type, Value: a.Value})
		}
		if len(attributes) > maxQueueAttributes {
			return badParameter("MessageAttributes")
		}
	}
	_, body := s.envelope(sub, m)
	tx.In(scope, func() {
		err = s.Queues.Deliver(tx, queue, body, attributes, iam.Act{Service: principal, Source: sub.TopicARN})
	})
	return err
}

func (sub *Subscription) raw() bool { return get(sub.Attributes, "RawMessageDelivery") == "true" }

// undelivered puts a message that a subscription can not get into its dead-letter queue, if it has one.
func (s *Service) undelivered(tx *cloud.Tx, sub *Subscription, m *Message) {
	if queue := deadLetters(get(sub.Attributes, "RedrivePolicy")); queue != "" && m.Type == typeNotification {
		_ = s.enqueue(tx, queue, sub, m) // a dead-letter queue that is gone or refuses hears nothing
	}
}

// NotInvoked says that a function could not be invoked with what a Notify told: the payload goes to the subscription's
// dead-letter queue.
func (s *Service) NotInvoked(tx *cloud.Tx, n Notify) {
	scope, _, sub, err := s.subscription(tx, n.SubscriptionARN)
	queue := deadLetters(get(sub.Attributes, "RedrivePolicy"))
	if err != nil || queue == "" || s.Queues == nil {
		return
	}
	tx.In(scope, func() {
		_ = s.Queues.Deliver(tx, queue, n.Payload, nil, iam.Act{Service: principal, Source: n.TopicARN})
	})
}

// deadLetters takes the queue from a RedrivePolicy.
func deadLetters(policy string) string {
	var p struct {
		Target string `json:"deadLetterTargetArn"`
	}
	_ = json.Unmarshal([]byte(policy), &p) // it was found good when it was set
	return p.Target
}

// parseQueue takes scope and name from a queue's ARN.
func parseQueue(arn string) (cloud.Scope, string, error) {
	part := strings.Split(arn, ":")
	if len(part) != 6 || part[0] != "arn" || part[2] != sqs.Name || part[3] == "" || part[4] == "" || part[5] == "" {
		return cloud.Scope{}, "", badParameter("SQS endpoint ARN")
	}
	return cloud.Scope{Account: part[4], Region: part[3]}, part[5], nil
}

// account is whose a queue or function is that has subscribed.
func account(arn string) string {
	if part := strings.SplitN(arn, ":", 6); len(part) == 6 {
		return part[4]
	}
	return ""
}

// record is what a function is given (EC-EV-05).
func (s *Service) record(sub *Subscription, m *Message) string {
	type notification struct {
		Type              string
		MessageID         string `json:"MessageId"`
		TopicARN          string `json:"TopicArn"`
		Subject           *string
		Message           string
		Timestamp         string
		SignatureVersion  string
		Signature         string
		SigningCertURL    string `json:"SigningCertUrl"`
		UnsubscribeURL    string `json:"UnsubscribeUrl"`
		MessageAttributes map[string]envelopeAttribute
	}
	type record struct {
		EventSource          string
		EventVersion         string
		EventSubscriptionArn string
		Sns                  notification
	}
	n := notification{Type: m.Type, MessageID: m.ID, TopicARN: sub.TopicARN, Message: m.Text, Timestamp: stamp(m.At), SignatureVersion: "1",
		UnsubscribeURL: s.unsubscribeURL(sub), MessageAttributes: map[string]envelopeAttribute{}}
	if m.Subject != "" {
		n.Subject = &m.Subject
	}
	for _, a := range m.Attributes {
		n.MessageAttributes[a.Name] = envelopeAttribute{a.Type, a.Value}
	}
	return text(map[string][]record{"Records": {{"aws:sns", "1.0", sub.ARN, n}}})
}
