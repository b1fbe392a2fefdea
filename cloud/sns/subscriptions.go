package sns

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sns"
	"github.com/billow-cloud/billow/cloud"
)

// Subscription is the row of a subscription:
//
//	Pending -- ConfirmSubscription --> confirmed -- Unsubscribe --> gone
//	   |                                                             ^
//	   +------------------- two days later --------------------------+
type Subscription struct {
	ARN        string
	TopicARN   string
	Protocol   string
	Endpoint   string
	Pending    bool   `json:",omitempty"`
	Token      string // with which it is, or was, confirmed
	Created    time.Time
	Attributes []Attribute `json:",omitempty"`
}

// tokenAge is how long a subscription may wait to be confirmed.
const tokenAge = 48 * time.Hour

// subscription finds the subscription of an ARN, in the scope of the ARN: whoever confirms or ends a subscription may be
// anywhere.
func (s *Service) subscription(tx *cloud.Tx, arn string) (scope cloud.Scope, id string, sub Subscription, err error) {
	scope, id, err = parseARN(arn, "SubscriptionArn")
	if err != nil {
		return scope, id, sub, err
	}
	ok := false
	tx.In(scope, func() { sub, ok = s.subscriptions.Get(tx, id) })
	if !ok {
		err = notFound("Subscription")
	}
	return scope, id, sub, err
}

// Subscribe makes a subscription. An HTTP endpoint is asked to confirm it.
func (s *Service) Subscribe(tx *cloud.Tx, in *shape.SubscribeInput) (*shape.SubscribeOutput, error) {
	t, err := s.topic(tx, api.Value(in.TopicArn))
	if err != nil {
		return nil, err
	}
	protocol, endpoint := api.Value(in.Protocol), api.Value(in.Endpoint)
	if err := checkEndpoint(protocol, endpoint); err != nil {
		return nil, err
	}
	var attributes []Attribute
	for _, name := range slices.Sorted(maps.Keys(in.Attributes)) {
		if attributes, err = setSubscriptionAttribute(attributes, name, in.Attributes[name]); err != nil {
			return nil, err
		}
	}
	if err := checkFilter(attributes); err != nil {
		return nil, err
	}
	id, sub, known := s.subscribed(tx, t, protocol, endpoint)
	if known {
		for _, a := range attributes {
			if !slices.Contains(sub.Attributes, a) {
				return nil, badParameter("Attributes Reason: Subscription already exists with different attributes")
			}
		}
	} else {
		id = t.Name + ":" + tx.UUID()
		sub = Subscription{ARN: tx.Scope.ARN(Name, id), TopicARN: t.ARN, Protocol: protocol, Endpoint: endpoint, Pending: asksToConfirm(tx, protocol, endpoint),
			Token: tx.Hex(32) + tx.Hex(32), Created: tx.Now().Truncate(time.Millisecond), Attributes: attributes}
		s.subscriptions.Put(tx, id, sub)
		tx.Touch(Name, kindSubscription, id)
	}
	if sub.Pending {
		s.hand(tx, id, &sub, Message{Type: typeConfirmation, ID: tx.UUID(), Text: "You have chosen to subscribe to the topic " + t.ARN +
			".\nTo confirm the subscription, visit the SubscribeURL included in this message.", At: tx.Now().Truncate(time.Millisecond)})
	}
	out := &shape.SubscribeOutput{SubscriptionArn: &sub.ARN}
	if sub.Pending && !api.Value(in.ReturnSubscriptionArn) {
		out.SubscriptionArn = new("pending confirmation")
	}
	return out, nil
}

// asksToConfirm tells whether an endpoint has to confirm: queues and functions of the same account do not.
func asksToConfirm(tx *cloud.Tx, protocol, endpoint string) bool {
	switch protocol {
	case "sms":
		return false
	case "sqs", "lambda":
		return account(endpoint) != tx.Scope.Account
	}
	return true
}

func (sub *Subscription) http() bool { return sub.Protocol == "http" || sub.Protocol == "https" }

// subscribed finds a topic's subscription of an endpoint.
func (s *Service) subscribed(tx *cloud.Tx, t Topic, protocol, endpoint string) (string, Subscription, bool) {
	for id, sub := range s.subscriptions.Prefix(tx, t.Name+":") {
		if sub.Protocol == protocol && sub.Endpoint == endpoint {
			return id, sub, true
		}
	}
	return "", Subscription{}, false
}

func checkEndpoint(protocol, endpoint string) error {
	ok := false
	switch protocol {
	case "http", "https":
		rest, scheme := strings.CutPrefix(endpoint, protocol+"://")
		ok = scheme && rest != "" && rest[0] != '/' && !strings.ContainsAny(rest, " \t\r\n")
	case "email", "email-json":
		name, domain, at := strings.Cut(endpoint, "@")
		ok = at && name != "" && domain != ""
	case "sms":
		digits := strings.Trim(strings.TrimPrefix(endpoint, "+"), "0123456789-")
		ok = endpoint != "" && digits == ""
	case "sqs":
		_, name, err := parseQueue(endpoint)
		if err == nil && strings.HasSuffix(name, ".fifo") {
			err = badParameter("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
		}
		return err
	case "lambda":
		part := strings.SplitN(endpoint, ":", 7)
		if len(part) < 7 || part[0] != "arn" || part[2] != "lambda" || part[4] == "" || part[5] != "function" || part[6] == "" {
			return badParameter("Lambda endpoint ARN")
		}
		return nil
	case "firehose", "application":
		return notImplemented("Subscriptions with the protocol " + protocol + " are not implemented.")
	default:
		return badParameter("Amazon SNS does not support this protocol string: %s", protocol)
	}
	if !ok {
		return badParameter("Endpoint must match the specified protocol")
	}
	return nil
}

// ConfirmSubscription confirms the subscription that a token was sent for; to do so again is no error. The scope is that
// of the topic: the call comes from a subscriber who visits the SubscribeURL.
func (s *Service) ConfirmSubscription(tx *cloud.Tx, in *shape.ConfirmSubscriptionInput) (*shape.ConfirmSubscriptionOutput, error) {
	scope, name, err := parseARN(api.Value(in.TopicArn), "TopicArn")
	if err != nil {
		return nil, err
	}
	out := &shape.ConfirmSubscriptionOutput{}
	tx.In(scope, func() {
		if !s.topics.Has(tx, name) {
			err = notFound("Topic")
			return
		}
		for id, sub := range s.subscriptions.Prefix(tx, name+":") {
			if sub.Token != api.Value(in.Token) {
				continue
			}
			out.SubscriptionArn = &sub.ARN
			if sub.Pending {
				sub.Pending = false
				s.subscriptions.Put(tx, id, sub)
				tx.Touch(Name, kindSubscription, id)
			}
			return
		}
		err = badParameter("Token")
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Unsubscribe removes a subscription; a missing one is no error.
func (s *Service) Unsubscribe(tx *cloud.Tx, in *shape.UnsubscribeInput) (*shape.UnsubscribeOutput, error) {
	scope, id, err := parseARN(api.Value(in.SubscriptionArn), "SubscriptionArn")
	if err != nil {
		return nil, err
	}
	tx.In(scope, func() { s.removeSubscription(tx, id) })
	return &shape.UnsubscribeOutput{}, nil
}

func (s *Service) removeSubscription(tx *cloud.Tx, id string) {
	for key := range s.deliveries.Prefix(tx, id+":") {
		s.deliveries.Delete(tx, key)
		tx.Touch(Name, kindDelivery, key)
	}
	s.subscriptions.Delete(tx, id)
	tx.Touch(Name, kindSubscription, id)
}

// reconcileSubscription forgets a subscription that nobody confirmed.
func (s *Service) reconcileSubscription(tx *cloud.Tx, id string) {
	sub, ok := s.subscriptions.Get(tx, id)
	end := sub.Created.Add(tokenAge)
	switch {
	case !ok || !sub.Pending:
		tx.At(Name, kindSubscription, id, time.Time{})
	case tx.Now().Before(end):
		tx.At(Name, kindSubscription, id, end)
	default:
		s.removeSubscription(tx, id)
	}
}

func (sub *Subscription) shape(tx *cloud.Tx) shape.Subscription {
	out := shape.Subscription{SubscriptionArn: new(sub.ARN), Owner: new(tx.Scope.Account), Protocol: new(sub.Protocol),
		Endpoint: new(sub.Endpoint), TopicArn: new(sub.TopicARN)}
	if sub.Pending {
		out.SubscriptionArn = new("PendingConfirmation")
	}
	return out
}

// ListSubscriptions lists all subscriptions.
func (s *Service) ListSubscriptions(tx *cloud.Tx, in *shape.ListSubscriptionsInput) (*shape.ListSubscriptionsOutput, error) {
	list, next := s.subscriptionPage(tx, "", api.Value(in.NextToken))
	return &shape.ListSubscriptionsOutput{Subscriptions: list, NextToken: next}, nil
}

// ListSubscriptionsByTopic lists the subscriptions of a topic.
func (s *Service) ListSubscriptionsByTopic(tx *cloud.Tx, in *shape.ListSubscriptionsByTopicInput) (*shape.ListSubscriptionsByTopicOutput, error) {
	t, err := s.topic(tx, api.Value(in.TopicArn))
	if err != nil {
		return nil, err
	}
	list, next := s.subscriptionPage(tx, t.Name+":", api.Value(in.NextToken))
	return &shape.ListSubscriptionsByTopicOutput{Subscriptions: list, NextToken: next}, nil
}

func (s *Service) subscriptionPage(tx *cloud.Tx, prefix, after string) (list []shape.Subscription, next *string) {
	list = []shape.Subscription{}
	last := ""
	for id, sub := range s.subscriptions.After(tx, max(after, prefix)) {
		if !strings.HasPrefix(id, prefix) {
			break
		}
		if len(list) == pageSize {
			return list, &last
		}
		last = id
		list = append(list, sub.shape(tx))
	}
	return list, nil
}

// setSubscriptionAttribute checks and sets one attribute.
func setSubscriptionAttribute(list []Attribute, name, value string) ([]Attribute, error) {
	switch name {
	case "RawMessageDelivery":
		if value != "true" && value != "false" {
			return nil, badParameter("Attributes Reason: RawMessageDelivery: Invalid value [%s]. Must be true or false.", value)
		}
	case "FilterPolicy":
		if value == "{}" {
			value = ""
		}
	case "FilterPolicyScope":
		if value != scopeAttributes && value != scopeBody {
			return nil, badParameter("Attributes Reason: FilterPolicyScope: Invalid value [%s]. Please use either MessageBody or MessageAttributes", value)
		}
	case "RedrivePolicy":
		if _, name, err := parseQueue(deadLetters(value)); value != "" && (err != nil || strings.HasSuffix(name, ".fifo")) {
			return nil, badParameter("Attributes Reason: RedrivePolicy: deadLetterTargetArn is an invalid arn")
		}
	case "DeliveryPolicy":
		if err := checkDeliveryPolicy(value, false); err != nil {
			return nil, err
		}
	default:
		return nil, badParameter("AttributeName")
	}
	return set(list, name, value), nil
}

// checkFilter checks the filter of a subscription, with its scope.
func checkFilter(list []Attribute) error {
	text := get(list, "FilterPolicy")
	if text == "" {
		return nil
	}
	if _, err := parseFilter(text, get(list, "FilterPolicyScope")); err != nil {
		return badParameter("Attributes Reason: FilterPolicy: %v", err)
	}
	return nil
}

// SetSubscriptionAttributes sets one attribute of a subscription.
func (s *Service) SetSubscriptionAttributes(tx *cloud.Tx, in *shape.SetSubscriptionAttributesInput) (*shape.SetSubscriptionAttributesOutput, error) {
	scope, id, sub, err := s.subscription(tx, api.Value(in.SubscriptionArn))
	if err == nil && scope != tx.Scope {
		err = notFound("Subscription")
	}
	if err == nil {
		sub.Attributes, err = setSubscriptionAttribute(sub.Attributes, api.Value(in.AttributeName), api.Value(in.AttributeValue))
	}
	if err == nil {
		err = checkFilter(sub.Attributes)
	}
	if err != nil {
		return nil, err
	}
	s.subscriptions.Put(tx, id, sub)
	return &shape.SetSubscriptionAttributesOutput{}, nil
}

// GetSubscriptionAttributes gives what was set and what SNS knows of a subscription.
func (s *Service) GetSubscriptionAttributes(tx *cloud.Tx, in *shape.GetSubscriptionAttributesInput) (*shape.GetSubscriptionAttributesOutput, error) {
	scope, _, sub, err := s.subscription(tx, api.Value(in.SubscriptionArn))
	if err == nil && scope != tx.Scope {
		err = notFound("Subscription")
	}
	if err != nil {
		return nil, err
	}
	word := map[bool]string{true: "true", false: "false"}
	out := map[string]string{
		"SubscriptionArn": sub.ARN, "TopicArn": sub.TopicARN, "Owner": tx.Scope.Account, "Protocol": sub.Protocol, "Endpoint": sub.Endpoint,
		"PendingConfirmation": word[sub.Pending], "ConfirmationWasAuthenticated": "false", "RawMessageDelivery": "false",
		"SubscriptionPrincipal": "arn:aws:iam::" + tx.Scope.Account + ":root",
	}
	if sub.http() {
		out["EffectiveDeliveryPolicy"] = text(s.policyOf(tx, &sub))
	}
	for _, a := range sub.Attributes {
		out[a.Name] = a.Value
	}
	if out["FilterPolicy"] != "" && out["FilterPolicyScope"] == "" {
		out["FilterPolicyScope"] = "MessageAttributes"
	}
	return &shape.GetSubscriptionAttributesOutput{Attributes: out}, nil
}
