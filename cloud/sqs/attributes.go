package sqs

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
)

// Attribute is a name and a value: an attribute or a tag of a queue, or an attribute of a message, which has a type too.
type Attribute struct {
	Name, Value string
	Type        string `json:",omitempty"` // of a message's: "String", "Number.int"; the value of a Binary one is in base64
}

// largest is the most bytes that a message may have.
const largest = 1 << 20

// number is an attribute that is one, with its bounds.
type number struct {
	of       func(*Queue) *int
	low, top int
}

var numbers = map[string]number{
	"VisibilityTimeout":             {func(q *Queue) *int { return &q.Visibility }, 0, 43_200},
	"MessageRetentionPeriod":        {func(q *Queue) *int { return &q.Retention }, 60, 1_209_600},
	"DelaySeconds":                  {func(q *Queue) *int { return &q.Delay }, 0, 900},
	"ReceiveMessageWaitTimeSeconds": {func(q *Queue) *int { return &q.Wait }, 0, 20},
	"MaximumMessageSize":            {func(q *Queue) *int { return &q.MaxSize }, 1024, largest},
}

// kept are attributes that have no effect here.
var kept = []string{"KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "Policy", "RedriveAllowPolicy", "SqsManagedSseEnabled"}

// told are all attributes that GetQueueAttributes knows.
var told = []string{
	"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible", "CreatedTimestamp",
	"DelaySeconds", "KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "LastModifiedTimestamp", "MaximumMessageSize",
	"MessageRetentionPeriod", "Policy", "QueueArn", "ReceiveMessageWaitTimeSeconds", "RedriveAllowPolicy", "RedrivePolicy",
	"SqsManagedSseEnabled", "VisibilityTimeout",
}

func put(list []Attribute, name, value string) []Attribute {
	i, found := slices.BinarySearchFunc(list, name, func(a Attribute, name string) int { return strings.Compare(a.Name, name) })
	list = slices.Clone(list)
	if found {
		list[i].Value = value
		return list
	}
	return slices.Insert(list, i, Attribute{Name: name, Value: value})
}

func get(list []Attribute, name string) string {
	for _, a := range list {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

func unknownAttribute(name string) error {
	return api.Errorf("InvalidAttributeName", "Unknown Attribute %s.", name)
}

func wrongAttribute(name string) error {
	return api.Errorf("InvalidAttributeValue", "Invalid value for the parameter %s.", name)
}

// set changes an attribute.
func (s *Service) set(tx *cloud.Tx, q *Queue, name, value string) error {
	if n, ok := numbers[name]; ok {
		x, err := strconv.Atoi(value)
		if err != nil || x < n.low || x > n.top {
			return wrongAttribute(name)
		}
		*n.of(q) = x
		return nil
	}
	switch {
	case name == "RedrivePolicy":
		return s.redrive(tx, q, value)
	case !slices.Contains(kept, name):
		return unknownAttribute(name)
	case strings.HasSuffix(name, "Policy") && value != "" && !json.Valid([]byte(value)), name == "Policy" && value != "" && !isPolicy(value):
		return wrongAttribute(name)
	case value == "":
		q.Kept = slices.DeleteFunc(slices.Clone(q.Kept), func(a Attribute) bool { return a.Name == name })
	default:
		q.Kept = put(q.Kept, name, value)
	}
	return nil
}

// redrive sets where messages go that are received too often; an empty policy takes it back.
func (s *Service) redrive(tx *cloud.Tx, q *Queue, policy string) error {
	if policy == "" {
		q.DeadLetters, q.MaxReceives = "", 0
		return nil
	}
	var p struct {
		DeadLetterTargetArn string          `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.RawMessage `json:"maxReceiveCount"` // a number, or one in quotes
	}
	if err := json.Unmarshal([]byte(policy), &p); err != nil {
		return badValue("Value %s for parameter RedrivePolicy is invalid. Reason: Redrive policy is not a valid JSON map.", policy)
	}
	n, err := strconv.Atoi(strings.Trim(string(p.MaxReceiveCount), `"`))
	switch {
	case p.DeadLetterTargetArn == "":
		return badValue("Value %s for parameter RedrivePolicy is invalid. Reason: Redrive policy does not contain mandatory attribute: deadLetterTargetArn.", policy)
	case err != nil || n < 1 || n > 1000:
		return badValue("Value %s for parameter RedrivePolicy is invalid. Reason: Invalid value for maxReceiveCount: %s, valid values are from 1 to 1000 both inclusive.", policy, p.MaxReceiveCount)
	case !s.Has(tx, p.DeadLetterTargetArn):
		return badValue("Value %s for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.", policy)
	}
	q.DeadLetters, q.MaxReceives = p.DeadLetterTargetArn, n
	return nil
}

// attribute is what GetQueueAttributes tells; empty if there is nothing to tell.
func (s *Service) attribute(tx *cloud.Tx, q *Queue, name string) string {
	if n, ok := numbers[name]; ok {
		return strconv.Itoa(*n.of(q))
	}
	switch name {
	case "QueueArn":
		return tx.Scope.ARN(Name, q.Name)
	case "CreatedTimestamp":
		return strconv.FormatInt(q.Created.Unix(), 10)
	case "LastModifiedTimestamp":
		return strconv.FormatInt(q.Modified.Unix(), 10)
	case "SqsManagedSseEnabled":
		if v := get(q.Kept, name); v != "" {
			return v
		}
		return "true"
	case "RedrivePolicy":
		if q.DeadLetters == "" {
			return ""
		}
		return `{"deadLetterTargetArn":"` + q.DeadLetters + `","maxReceiveCount":` + strconv.Itoa(q.MaxReceives) + `}`
	case "Policy":
		return s.policyOf(tx, q)
	}
	return get(q.Kept, name)
}

// GetQueueAttributes tells the attributes that are asked for.
func (s *Service) GetQueueAttributes(tx *cloud.Tx, in *shape.GetQueueAttributesInput) (*shape.GetQueueAttributesOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	names := in.AttributeNames
	if slices.Contains(names, "All") {
		names = told
	}
	out := &shape.GetQueueAttributesOutput{Attributes: map[string]string{}}
	var count *counts
	for _, name := range names {
		if !slices.Contains(told, name) {
			return nil, unknownAttribute(name)
		}
		if strings.HasPrefix(name, "Approximate") {
			if count == nil {
				count = s.count(tx, q.Name)
			}
			out.Attributes[name] = strconv.Itoa(map[string]int{"ApproximateNumberOfMessages": count.visible,
				"ApproximateNumberOfMessagesDelayed": count.delayed, "ApproximateNumberOfMessagesNotVisible": count.hidden}[name])
			continue
		}
		if v := s.attribute(tx, &q, name); v != "" {
			out.Attributes[name] = v
		}
	}
	return out, nil
}

// counts are the messages of a queue by what can be done with them.
type counts struct{ visible, delayed, hidden int }

func (s *Service) count(tx *cloud.Tx, queue string) *counts {
	c := &counts{}
	for _, p := range s.places.Prefix(tx, key(queue)) {
		switch {
		case !p.At.After(tx.Now()):
			c.visible++
		case p.Delayed:
			c.delayed++
		default:
			c.hidden++
		}
	}
	return c
}

// SetQueueAttributes changes attributes.
func (s *Service) SetQueueAttributes(tx *cloud.Tx, in *shape.SetQueueAttributesInput) (*shape.SetQueueAttributesOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	for _, name := range sorted(in.Attributes) {
		if err := s.set(tx, &q, name, in.Attributes[name]); err != nil {
			return nil, err
		}
	}
	q.Modified = tx.Now().Truncate(time.Second)
	s.queues.Put(tx, q.Name, q)
	tx.Touch(Name, kindRetention, q.Name)
	return &shape.SetQueueAttributesOutput{}, nil
}

// AddPermission adds a statement to the queue's policy.
func (s *Service) AddPermission(tx *cloud.Tx, in *shape.AddPermissionInput) (*shape.AddPermissionOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	label := api.Value(in.Label)
	switch {
	case slices.ContainsFunc(q.Permissions, func(p Permission) bool { return p.Label == label }):
		return nil, badValue("Value %s for parameter Label is invalid. Reason: Already exists.", label)
	case len(in.Actions) > 7:
		return nil, api.Errorf("OverLimit", "%d Actions were found, maximum allowed is 7.", len(in.Actions))
	case len(q.Permissions) >= 20:
		return nil, api.Errorf("OverLimit", "%d Statements were found, maximum allowed is 20.", len(q.Permissions)+1)
	}
	q.Permissions = append(slices.Clone(q.Permissions), Permission{Label: label, Accounts: in.AWSAccountIds, Actions: in.Actions})
	s.queues.Put(tx, q.Name, q)
	return &shape.AddPermissionOutput{}, nil
}

// RemovePermission takes a statement away.
func (s *Service) RemovePermission(tx *cloud.Tx, in *shape.RemovePermissionInput) (*shape.RemovePermissionOutput, error) {
	q, err := s.named(tx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	rest := slices.DeleteFunc(slices.Clone(q.Permissions), func(p Permission) bool { return p.Label == api.Value(in.Label) })
	if len(rest) == len(q.Permissions) {
		return nil, badValue("Value %s for parameter Label is invalid. Reason: can't find label.", api.Value(in.Label))
	}
	q.Permissions = rest
	s.queues.Put(tx, q.Name, q)
	return &shape.RemovePermissionOutput{}, nil
}

// policyOf is a queue's policy: the one that it was given, with the statements that AddPermission added.
func (s *Service) policyOf(tx *cloud.Tx, q *Queue) string {
	own := get(q.Kept, "Policy")
	if len(q.Permissions) == 0 {
		return own
	}
	var d struct {
		Version   string
		ID        string `json:"Id"`
		Statement []json.RawMessage
	}
	if json.Unmarshal([]byte(own), &d) != nil {
		var single struct{ Statement json.RawMessage }
		if json.Unmarshal([]byte(own), &single) == nil && single.Statement != nil {
			d.Statement = []json.RawMessage{single.Statement}
		}
	}
	d.Version, d.ID = cmp.Or(d.Version, "2008-10-17"), cmp.Or(d.ID, tx.Scope.ARN(Name, q.Name)+"/SQSDefaultPolicy")
	for _, p := range q.Permissions {
		var x struct {
			Sid       string
			Effect    string
			Principal struct{ AWS []string }
			Action    []string
			Resource  string
		}
		x.Sid, x.Effect, x.Resource = p.Label, "Allow", tx.Scope.ARN(Name, q.Name)
		for _, account := range p.Accounts {
			x.Principal.AWS = append(x.Principal.AWS, "arn:aws:iam::"+account+":root")
		}
		for _, action := range p.Actions {
			x.Action = append(x.Action, "SQS:"+action)
		}
		d.Statement = append(d.Statement, encode(x))
	}
	return string(encode(d))
}

func encode(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it has only strings
	}
	return text
}

func isPolicy(text string) bool {
	_, err := policy.Parse(text, policy.Resource)
	return err == nil
}
