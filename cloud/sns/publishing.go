package sns

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sns"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

// maxMessage is how many bytes a message may have.
const maxMessage = 256 * 1024

// Publish sends a message to all who have subscribed to a topic.
func (s *Service) Publish(tx *cloud.Tx, topicARN, subject, message string) error {
	t, err := s.topic(tx, topicARN)
	if err != nil {
		return err
	}
	s.publish(tx, t, Message{Subject: subject, Text: message}, nil)
	return nil
}

// PublishFor is Publish for a service that acts for somebody, such as an alarm or a rule: its role or the topic's policy must
// allow it (EC-IA-02).
func (s *Service) PublishFor(tx *cloud.Tx, by iam.Act, topicARN, subject, message string) error {
	t, err := s.topic(tx, topicARN)
	if err != nil {
		return err
	}
	if s.Identities != nil {
		by.Action, by.Resource, by.Policy = "sns:Publish", t.ARN, t.policy(tx)
		if err := s.Identities.MayAct(tx, by); err != nil {
			return err
		}
	}
	s.publish(tx, t, Message{Subject: subject, Text: message}, nil)
	return nil
}

// PublishTexts is Publish with other texts for some protocols: "email".
func (s *Service) PublishTexts(tx *cloud.Tx, topicARN, subject, message string, byProtocol map[string]string) error {
	t, err := s.topic(tx, topicARN)
	if err != nil {
		return err
	}
	s.publish(tx, t, Message{Subject: subject, Text: message}, byProtocol)
	return nil
}

// publish gives a message to every confirmed subscription; byProtocol has other texts for some protocols.
func (s *Service) publish(tx *cloud.Tx, t Topic, m Message, byProtocol map[string]string) string {
	m.Type, m.ID, m.At = typeNotification, tx.UUID(), tx.Now().Truncate(time.Millisecond)
	for id, sub := range s.subscriptions.Prefix(tx, t.Name+":") {
		mine := m
		if text, ok := byProtocol[sub.Protocol]; ok {
			mine.Text = text
		}
		if !sub.Pending && sub.passes(&mine) {
			s.hand(tx, id, &sub, mine)
		}
	}
	return m.ID
}

// PublishMessage is the operation Publish.
func (s *Service) PublishMessage(tx *cloud.Tx, in *shape.PublishInput) (*shape.PublishOutput, error) {
	if in.PhoneNumber != nil {
		return nil, notImplemented("Publish to a PhoneNumber is not implemented.")
	}
	if (in.TopicArn == nil) == (in.TargetArn == nil) {
		return nil, badParameter("TopicArn or TargetArn Reason: no value for required parameter")
	}
	t, err := s.topic(tx, api.Or(in.TopicArn, api.Value(in.TargetArn)))
	if err != nil {
		return nil, err
	}
	id, err := s.put(tx, t, in)
	if err != nil {
		return nil, err
	}
	return &shape.PublishOutput{MessageId: &id}, nil
}

// put checks a client's message and publishes it.
func (s *Service) put(tx *cloud.Tx, t Topic, in *shape.PublishInput) (string, error) {
	text, subject := api.Value(in.Message), api.Value(in.Subject)
	if in.Subject != nil && (subject == "" || utf8.RuneCountInString(subject) > 100 || strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' || r == 0x7f })) {
		return "", badParameter("Subject")
	}
	attributes, size, err := attributesOf(in.MessageAttributes)
	if err != nil {
		return "", err
	}
	switch {
	case text == "":
		return "", badParameter("Empty message")
	case len(text)+size > maxMessage:
		return "", badParameter("Message too long")
	}
	var byProtocol map[string]string
	switch api.Value(in.MessageStructure) {
	case "":
	case "json":
		if byProtocol, err = structured(text); err != nil {
			return "", err
		}
		text = byProtocol["default"]
	default:
		return "", badParameter("MessageStructure")
	}
	return s.publish(tx, t, Message{Subject: subject, Text: text, Attributes: attributes}, byProtocol), nil
}

// PublishBatch publishes up to ten messages, each by itself.
func (s *Service) PublishBatch(tx *cloud.Tx, in *shape.PublishBatchInput) (*shape.PublishBatchOutput, error) {
	t, err := s.topic(tx, api.Value(in.TopicArn))
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.PublishBatchRequestEntries); err != nil {
		return nil, err
	}
	out := &shape.PublishBatchOutput{Successful: []shape.PublishBatchResultEntry{}, Failed: []shape.BatchResultErrorEntry{}}
	for _, e := range in.PublishBatchRequestEntries {
		id := ""
		err := tx.Try(func() (err error) {
			id, err = s.put(tx, t, &shape.PublishInput{Message: e.Message, Subject: e.Subject, MessageStructure: e.MessageStructure, MessageAttributes: e.MessageAttributes})
			return err
		})
		var known *api.Error
		switch {
		case err == nil:
			out.Successful = append(out.Successful, shape.PublishBatchResultEntry{Id: e.Id, MessageId: &id})
		case errors.As(err, &known):
			out.Failed = append(out.Failed, shape.BatchResultErrorEntry{Id: e.Id, Code: &known.Code, Message: &known.Message, SenderFault: new(true)})
		default:
			return nil, err
		}
	}
	return out, nil
}

// checkBatch refuses a batch whose entries are too many, too long or cannot be told apart.
func checkBatch(entries []shape.PublishBatchRequestEntry) error {
	size, seen := 0, map[string]bool{}
	for _, e := range entries {
		id := api.Value(e.Id)
		switch size += len(api.Value(e.Message)); {
		case id == "" || len(id) > 80 || strings.Trim(strings.ToLower(id), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
			return api.Errorf("InvalidBatchEntryId", "The Id of a batch entry in a batch request doesn't abide by the specification.")
		case seen[id]:
			return api.Errorf("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
		}
		seen[id] = true
	}
	switch {
	case len(entries) == 0:
		return api.Errorf("EmptyBatchRequest", "The batch request doesn't contain any entries.")
	case len(entries) > 10:
		return api.Errorf("TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.")
	case size > maxMessage:
		return api.Errorf("BatchRequestTooLong", "The length of all the batch messages put together is more than the limit.")
	}
	return nil
}

// structured takes a message with a text per protocol.
func structured(text string) (map[string]string, error) {
	var parts map[string]any
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		return nil, badParameter("Message Structure - JSON message body failed to parse")
	}
	out := map[string]string{}
	for _, protocol := range slices.Sorted(maps.Keys(parts)) {
		if part, ok := parts[protocol].(string); ok {
			out[protocol] = part
		}
	}
	if _, ok := out["default"]; !ok {
		return nil, badParameter("Message Structure - No default entry in JSON message body")
	}
	return out, nil
}

// attributesOf takes a message's attributes in order of name, and their size in bytes.
func attributesOf(in map[string]shape.MessageAttributeValue) (out []MessageAttribute, size int, err error) {
	for _, name := range slices.Sorted(maps.Keys(in)) {
		v := in[name]
		a := MessageAttribute{Name: name, Type: api.Value(v.DataType), Value: api.Value(v.StringValue)}
		kind, _, _ := strings.Cut(a.Type, ".")
		switch kind {
		case "Binary":
			a.Value = base64.StdEncoding.EncodeToString(v.BinaryValue)
		case "Number":
			var n json.Number
			if json.Unmarshal([]byte(a.Value), &n) != nil || n == "" {
				return nil, 0, api.Errorf("ParameterValueInvalid", "Could not cast message attribute '%s' value to number.", name)
			}
		case "String":
		default:
			return nil, 0, api.Errorf("ParameterValueInvalid", "The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
		}
		if a.Value == "" {
			return nil, 0, api.Errorf("ParameterValueInvalid", "The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", name, a.Type)
		}
		size += len(name) + len(a.Type) + len(a.Value)
		out = append(out, a)
	}
	return out, size, nil
}
