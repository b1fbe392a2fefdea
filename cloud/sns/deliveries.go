package sns

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// Types of messages.
const (
	typeNotification = "Notification"
	typeConfirmation = "SubscriptionConfirmation"
)

// Message is what is sent to a subscription.
type Message struct {
	Type       string
	ID         string
	Subject    string `json:",omitempty"`
	Text       string
	At         time.Time
	Attributes []MessageAttribute `json:",omitempty"` // in order of name
}

// MessageAttribute is one attribute of a message; binary values are in base64.
type MessageAttribute struct{ Name, Type, Value string }

// Delivery is the row of a message on its way to one subscription:
//
//	sent -- Delivered with success, or one that will not change --> gone
//	 ^ \---- Delivered without, or nothing for long --> waiting --> sent again; after the last attempt: gone
type Delivery struct {
	Message
	Attempt int       // from 1
	Waiting bool      `json:",omitempty"` // between two attempts
	Next    time.Time // of the next attempt, or until when an answer is waited for
}

// Two bounds of our own: a wish of which nothing is heard is made again, and beyond very many waiting deliveries new ones
// are given up at once.
const (
	lostAfter     = 30 * time.Minute
	maxDeliveries = 10_000
)

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

// deliver starts to send a message to a subscription.
func (s *Service) deliver(tx *cloud.Tx, subscription string, sub *Subscription, m Message) {
	if s.deliveries.Len() >= maxDeliveries {
		s.undelivered(tx, sub, &m)
		return
	}
	key := subscription + ":" + m.ID
	s.deliveries.Put(tx, key, Delivery{Message: m, Next: m.At})
	tx.Touch(Name, kindDelivery, key)
}

// reconcileDelivery makes the next attempt when its time has come.
func (s *Service) reconcileDelivery(tx *cloud.Tx, key string) {
	d, ok := s.deliveries.Get(tx, key)
	id := key[:max(0, len(key)-len(d.ID)-1)]
	sub, subscribed := s.subscriptions.Get(tx, id)
	policy := s.policyOf(tx, &sub)
	switch {
	case !ok:
		tx.At(Name, kindDelivery, key, time.Time{})
		return
	case !subscribed || d.Attempt > policy.Retries.Retries && !tx.Now().Before(d.Next):
		if subscribed {
			s.undelivered(tx, &sub, &d.Message)
		}
		s.deliveries.Delete(tx, key)
		tx.At(Name, kindDelivery, key, time.Time{})
		return
	case tx.Now().Before(d.Next):
		tx.At(Name, kindDelivery, key, d.Next)
		return
	}
	d.Attempt, d.Waiting, d.Next = d.Attempt+1, false, tx.Now().Add(lostAfter).Truncate(time.Millisecond)
	s.deliveries.Put(tx, key, d)
	tx.At(Name, kindDelivery, key, d.Next)
	headers, body := s.envelope(&sub, &d.Message)
	headers = append(headers, Header{"Content-Type", policy.Request.ContentType})
	tx.Wish(DeliverHTTP{Scope: tx.Scope, MessageID: d.ID, SubscriptionARN: sub.ARN, URL: sub.Endpoint, Headers: headers, Body: body, Attempt: d.Attempt})
}

// delivered takes the outcome of an attempt. Errors of the client's, but for 429, are not tried again.
func (s *Service) delivered(tx *cloud.Tx, key string, f Delivered) {
	d, ok := s.deliveries.Get(tx, key)
	if !ok || d.Waiting || f.Attempt != d.Attempt {
		return
	}
	sub, subscribed := s.subscriptions.Get(tx, key[:len(key)-len(d.ID)-1])
	policy := s.policyOf(tx, &sub)
	final := f.Status >= 200 && f.Status < 500 && f.Status != 429
	if final || d.Attempt > policy.Retries.Retries {
		if subscribed && (f.Status < 200 || f.Status > 299) {
			s.undelivered(tx, &sub, &d.Message)
		}
		s.deliveries.Delete(tx, key)
	} else {
		d.Waiting, d.Next = true, tx.Now().Add(policy.Retries.pause(d.Attempt)).Truncate(time.Millisecond)
		s.deliveries.Put(tx, key, d)
	}
	tx.Touch(Name, kindDelivery, key)
}

// subscribeURL confirms a subscription, unsubscribeURL ends it, for whoever visits them.
func (s *Service) subscribeURL(sub *Subscription) string {
	return s.Endpoint + "/?Action=ConfirmSubscription&TopicArn=" + url.QueryEscape(sub.TopicARN) + "&Token=" + sub.Token
}

func (s *Service) unsubscribeURL(sub *Subscription) string {
	return s.Endpoint + "/?Action=Unsubscribe&SubscriptionArn=" + url.QueryEscape(sub.ARN)
}

// envelope gives headers and body of a message as HTTP endpoints get it. It is not signed.
func (s *Service) envelope(sub *Subscription, m *Message) ([]Header, string) {
	headers := []Header{
		{"x-amz-sns-message-type", m.Type},
		{"x-amz-sns-message-id", m.ID},
		{"x-amz-sns-topic-arn", sub.TopicARN},
	}
	if m.Type == typeNotification {
		headers = append(headers, Header{"x-amz-sns-subscription-arn", sub.ARN})
	}
	headers = append(headers, Header{"User-Agent", "Amazon Simple Notification Service Agent"})
	if m.Type == typeNotification && sub.raw() {
		return append(headers, Header{"x-amz-sns-rawdelivery", "true"}), m.Text
	}
	body := envelope{Type: m.Type, MessageID: m.ID, TopicARN: sub.TopicARN, Subject: m.Subject, Message: m.Text, Timestamp: stamp(m.At)}
	if m.Type == typeConfirmation {
		body.Token = sub.Token
		body.SubscribeURL = s.subscribeURL(sub)
	} else {
		body.UnsubscribeURL = s.unsubscribeURL(sub)
	}
	for _, a := range m.Attributes {
		if body.Attributes == nil {
			body.Attributes = map[string]envelopeAttribute{}
		}
		body.Attributes[a.Name] = envelopeAttribute{a.Type, a.Value}
	}
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false) // people take URLs out of it with grep
	if err := e.Encode(body); err != nil {
		panic(err) // it has only strings
	}
	return headers, strings.TrimSuffix(text.String(), "\n")
}

// envelope is the body of a message, in AWS's order of members.
type envelope struct {
	Type           string
	MessageID      string `json:"MessageId"`
	Token          string `json:",omitempty"`
	TopicARN       string `json:"TopicArn"`
	Subject        string `json:",omitempty"`
	Message        string
	SubscribeURL   string `json:",omitempty"`
	Timestamp      string
	UnsubscribeURL string                       `json:",omitempty"`
	Attributes     map[string]envelopeAttribute `json:"MessageAttributes,omitempty"`
}

type envelopeAttribute struct{ Type, Value string }
