package sns

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sns"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
)

// Topic is the row of a topic.
type Topic struct {
	Name       string
	ARN        string
	Attributes []Attribute `json:",omitempty"`
	Tags       []Attribute `json:",omitempty"`
}

// pageSize is how many topics or subscriptions a list gives at a time.
const pageSize = 100

// maxTags is how many tags a topic may have.
const maxTags = 50

// topicAttributes are those that a client may set.
var topicAttributes = []string{"DisplayName", "Policy", "DeliveryPolicy", "KmsMasterKeyId", "SignatureVersion", "TracingConfig",
	"HTTPSuccessFeedbackRoleArn", "HTTPSuccessFeedbackSampleRate", "HTTPFailureFeedbackRoleArn",
	"SQSSuccessFeedbackRoleArn", "SQSSuccessFeedbackSampleRate", "SQSFailureFeedbackRoleArn",
	"LambdaSuccessFeedbackRoleArn", "LambdaSuccessFeedbackSampleRate", "LambdaFailureFeedbackRoleArn"}

// topic finds the topic of an ARN in the call's scope.
func (s *Service) topic(tx *cloud.Tx, arn string) (Topic, error) {
	scope, name, err := parseARN(arn, "TopicArn")
	if err != nil {
		return Topic{}, err
	}
	t, ok := s.topics.Get(tx, name)
	if !ok || scope != tx.Scope {
		return Topic{}, notFound("Topic")
	}
	return t, nil
}

// Exists tells whether there is such a topic.
func (s *Service) Exists(tx *cloud.Tx, arn string) bool {
	_, err := s.topic(tx, arn)
	return err == nil
}

// CreateTopic makes a topic; the same call again gives the same topic.
func (s *Service) CreateTopic(tx *cloud.Tx, in *shape.CreateTopicInput) (*shape.CreateTopicOutput, error) {
	name := api.Value(in.Name)
	if strings.HasSuffix(name, ".fifo") || in.Attributes["FifoTopic"] == "true" {
		return nil, notImplemented("FIFO topics are not implemented.")
	}
	if name == "" || len(name) > 256 || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return nil, badParameter("Topic Name")
	}
	tags, err := tagged(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	var attributes []Attribute
	for _, key := range slices.Sorted(maps.Keys(in.Attributes)) {
		if key == "FifoTopic" {
			continue
		}
		if attributes, err = setTopicAttribute(attributes, key, in.Attributes[key]); err != nil {
			return nil, err
		}
	}
	if old, ok := s.topics.Get(tx, name); ok {
		for _, a := range attributes {
			if !slices.Contains(old.Attributes, a) {
				return nil, badParameter("Attributes Reason: Topic already exists with different attributes")
			}
		}
		if len(tags) > 0 && !slices.Equal(tags, old.Tags) {
			return nil, badParameter("Tags Reason: Topic already exists with different tags")
		}
		return &shape.CreateTopicOutput{TopicArn: &old.ARN}, nil
	}
	t := Topic{Name: name, ARN: tx.Scope.ARN(Name, name), Attributes: attributes, Tags: tags}
	s.topics.Put(tx, name, t)
	return &shape.CreateTopicOutput{TopicArn: &t.ARN}, nil
}

// setTopicAttribute checks and sets one attribute.
func setTopicAttribute(list []Attribute, name, value string) ([]Attribute, error) {
	if !slices.Contains(topicAttributes, name) {
		return nil, badParameter("AttributeName")
	}
	switch {
	case strings.HasSuffix(name, "Policy") && value != "" && !json.Valid([]byte(value)):
		return nil, badParameter("%s Error - Policy JSON is not valid", name)
	case name == "Policy" && value != "":
		if _, err := policy.Parse(value, policy.Resource); err != nil {
			return nil, badParameter("Policy Error: %s", err.Error())
		}
	case name == "DeliveryPolicy":
		if err := checkDeliveryPolicy(value, true); err != nil {
			return nil, err
		}
	case name == "DisplayName" && len(value) > 100:
		return nil, badParameter("DisplayName")
	}
	return set(list, name, value), nil
}

// set gives the list with one attribute set, or removed if the value is empty; the list itself stays as it is.
func set(list []Attribute, name, value string) []Attribute {
	out := slices.DeleteFunc(slices.Clone(list), func(a Attribute) bool { return a.Name == name })
	if value != "" {
		out = append(out, Attribute{name, value})
	}
	slices.SortFunc(out, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func get(list []Attribute, name string) string {
	for _, a := range list {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// DeleteTopic removes a topic with its subscriptions; a missing one is no error.
func (s *Service) DeleteTopic(tx *cloud.Tx, in *shape.DeleteTopicInput) (*shape.DeleteTopicOutput, error) {
	scope, name, err := parseARN(api.Value(in.TopicArn), "TopicArn")
	if err != nil {
		return nil, err
	}
	if scope == tx.Scope {
		for id := range s.subscriptions.Prefix(tx, name+":") {
			s.removeSubscription(tx, id)
		}
		s.topics.Delete(tx, name)
	}
	return &shape.DeleteTopicOutput{}, nil
}

// ListTopics lists topics in order of name.
func (s *Service) ListTopics(tx *cloud.Tx, in *shape.ListTopicsInput) (*shape.ListTopicsOutput, error) {
	out := &shape.ListTopicsOutput{Topics: []shape.Topic{}}
	last := ""
	for name, t := range s.topics.After(tx, api.Value(in.NextToken)) {
		if len(out.Topics) == pageSize {
			out.NextToken = &last
			break
		}
		last = name
		out.Topics = append(out.Topics, shape.Topic{TopicArn: new(t.ARN)})
	}
	return out, nil
}

// GetTopicAttributes gives what was set and what SNS knows of a topic.
func (s *Service) GetTopicAttributes(tx *cloud.Tx, in *shape.GetTopicAttributesInput) (*shape.GetTopicAttributesOutput, error) {
	t, err := s.topic(tx, api.Value(in.TopicArn))
	if err != nil {
		return nil, err
	}
	pending, confirmed := 0, 0
	for _, sub := range s.subscriptions.Prefix(tx, t.Name+":") {
		if sub.Pending {
			pending++
		} else {
			confirmed++
		}
	}
	out := map[string]string{
		"TopicArn": t.ARN, "Owner": tx.Scope.Account, "DisplayName": "", "EffectiveDeliveryPolicy": text(topicPolicyOf(&t)),
		"SubscriptionsPending": strconv.Itoa(pending), "SubscriptionsConfirmed": strconv.Itoa(confirmed), "SubscriptionsDeleted": "0",
	}
	for _, a := range t.Attributes {
		out[a.Name] = a.Value
	}
	out["Policy"] = t.policy(tx)
	return &shape.GetTopicAttributesOutput{Attributes: out}, nil
}

// policy is a topic's: the one it was given, or SNS's, which lets in what acts for the topic's owner.
func (t Topic) policy(tx *cloud.Tx) string {
	if own := get(t.Attributes, "Policy"); own != "" {
		return own
	}
	return `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow",` +
		`"Principal":{"AWS":"*"},"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission",` +
		`"SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],"Resource":"` + t.ARN +
		`","Condition":{"StringEquals":{"AWS:SourceOwner":"` + tx.Scope.Account + `"}}}]}`
}

// SetTopicAttributes sets one attribute of a topic.
func (s *Service) SetTopicAttributes(tx *cloud.Tx, in *shape.SetTopicAttributesInput) (*shape.SetTopicAttributesOutput, error) {
	t, err := s.topic(tx, api.Value(in.TopicArn))
	if err == nil {
		t.Attributes, err = setTopicAttribute(t.Attributes, api.Value(in.AttributeName), api.Value(in.AttributeValue))
	}
	if err != nil {
		return nil, err
	}
	s.topics.Put(tx, t.Name, t)
	return &shape.SetTopicAttributesOutput{}, nil
}

// tagged gives the tags with those of a request set.
func tagged(list []Attribute, in []shape.Tag) ([]Attribute, error) {
	list = slices.Clone(list)
	for _, t := range in {
		key := api.Value(t.Key)
		list = slices.DeleteFunc(list, func(a Attribute) bool { return a.Name == key })
		list = append(list, Attribute{key, api.Value(t.Value)})
	}
	if len(list) > maxTags {
		return nil, api.Errorf("TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded")
	}
	slices.SortFunc(list, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// tagTarget finds the topic whose tags a call is about.
func (s *Service) tagTarget(tx *cloud.Tx, arn string) (Topic, error) {
	t, err := s.topic(tx, arn)
	if err != nil {
		return t, &api.Error{Code: "ResourceNotFound", Message: "Resource does not exist", Status: 404}
	}
	return t, nil
}

// TagResource puts tags on a topic.
func (s *Service) TagResource(tx *cloud.Tx, in *shape.TagResourceInput) (*shape.TagResourceOutput, error) {
	t, err := s.tagTarget(tx, api.Value(in.ResourceArn))
	if err == nil {
		t.Tags, err = tagged(t.Tags, in.Tags)
	}
	if err != nil {
		return nil, err
	}
	s.topics.Put(tx, t.Name, t)
	return &shape.TagResourceOutput{}, nil
}

// UntagResource takes tags off a topic.
func (s *Service) UntagResource(tx *cloud.Tx, in *shape.UntagResourceInput) (*shape.UntagResourceOutput, error) {
	t, err := s.tagTarget(tx, api.Value(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	t.Tags = slices.DeleteFunc(slices.Clone(t.Tags), func(a Attribute) bool { return slices.Contains(in.TagKeys, a.Name) })
	s.topics.Put(tx, t.Name, t)
	return &shape.UntagResourceOutput{}, nil
}

// ListTagsForResource lists a topic's tags.
func (s *Service) ListTagsForResource(tx *cloud.Tx, in *shape.ListTagsForResourceInput) (*shape.ListTagsForResourceOutput, error) {
	t, err := s.tagTarget(tx, api.Value(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	out := &shape.ListTagsForResourceOutput{Tags: []shape.Tag{}}
	for _, a := range t.Tags {
		out.Tags = append(out.Tags, shape.Tag{Key: new(a.Name), Value: new(a.Value)})
	}
	return out, nil
}

// Named gives the tags and the policy of a topic, for decisions on calls.
func (s *Service) Named(tx *cloud.Tx, arn string) (tags []Attribute, policy string, ok bool) {
	t, err := s.topic(tx, arn)
	return t.Tags, t.policy(tx), err == nil
}
