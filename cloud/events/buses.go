package events

import (
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/events"
	"github.com/billow-cloud/billow/cloud"
)

// defaultBus is the bus that every account has in every region, and which hears what services tell.
const defaultBus = "default"

// AWS's quotas.
const (
	maxBuses = 100 // in a region
	maxRules = 300 // of a bus
)

// Bus is the row of an event bus.
type Bus struct {
	Name        string
	Description string     `json:",omitempty"`
	Key         string     `json:",omitempty"` // KmsKeyIdentifier
	DeadLetter  string     `json:",omitempty"`
	LogDetail   string     `json:",omitempty"` // of LogConfig
	LogLevel    string     `json:",omitempty"`
	Statements  []string   `json:",omitempty"` // the policy's, as JSON
	Version     string     `json:",omitempty"` // the policy's
	Created     time.Time  `json:",omitzero"`
	Modified    time.Time  `json:",omitzero"`
	Tags        []TagValue `json:",omitempty"`
}

func notFound(format string, args ...any) error {
	return api.Errorf("ResourceNotFoundException", format, args...)
}

func invalid(format string, args ...any) error {
	return api.Errorf("ValidationException", format, args...)
}

func limitExceeded() error {
	return api.Errorf("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
}

func busARN(scope cloud.Scope, name string) string { return scope.ARN(Name, "event-bus/"+name) }

// busName takes the scope and name of a bus from what a call names it by: nothing, a name or an ARN.
func busName(tx *cloud.Tx, nameOrARN *string) (cloud.Scope, string) {
	name := api.Or(nameOrARN, defaultBus)
	if scope, resource, ok := parseARN(name, Name); ok {
		if name, isBus := strings.CutPrefix(resource, "event-bus/"); isBus {
			return scope, name
		}
	}
	return tx.Scope, name
}

// parseARN takes the scope and the resource from an ARN of a service.
func parseARN(arn, service string) (cloud.Scope, string, bool) {
	part := strings.SplitN(arn, ":", 6)
	if len(part) < 6 || part[0] != "arn" || part[2] != service || part[5] == "" {
		return cloud.Scope{}, "", false
	}
	return cloud.Scope{Account: part[4], Region: part[3]}, part[5], true
}

// bus finds a bus of the call's scope.
func (s *Service) bus(tx *cloud.Tx, nameOrARN *string) (Bus, error) {
	scope, name := busName(tx, nameOrARN)
	if scope != tx.Scope {
		return Bus{}, notFound("Event bus %s does not exist.", api.Value(nameOrARN))
	}
	b, ok := s.buses.Get(tx, name)
	if !ok && name != defaultBus {
		return Bus{}, notFound("Event bus %s does not exist.", name)
	}
	b.Name = name
	return b, nil
}

// putBus writes a bus that something was changed of.
func (s *Service) putBus(tx *cloud.Tx, b Bus) {
	b.Modified = tx.Now().Truncate(time.Millisecond)
	s.buses.Put(tx, b.Name, b)
}

// CreateEventBus makes a bus.
func (s *Service) CreateEventBus(tx *cloud.Tx, in *shape.CreateEventBusInput) (*shape.CreateEventBusOutput, error) {
	name := api.Value(in.Name)
	switch {
	case in.EventSourceName != nil || strings.HasPrefix(name, "aws.partner/"):
		return nil, notFound("Event source %s does not exist.", api.Or(in.EventSourceName, name))
	case strings.Contains(name, "/"):
		return nil, invalid("Event bus name is not valid.")
	case name == defaultBus || s.buses.Has(tx, name):
		return nil, api.Errorf("ResourceAlreadyExistsException", "Event bus %s already exists.", name)
	}
	n := 0
	for range s.buses.All(tx) {
		if n++; n >= maxBuses {
			return nil, limitExceeded()
		}
	}
	tags, err := tagged(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	b := Bus{Name: name, Created: tx.Now().Truncate(time.Millisecond), Tags: tags}
	b.set(in.Description, in.KmsKeyIdentifier, in.DeadLetterConfig, in.LogConfig)
	s.putBus(tx, b)
	return &shape.CreateEventBusOutput{EventBusArn: new(busARN(tx.Scope, name)), Description: in.Description, KmsKeyIdentifier: in.KmsKeyIdentifier,
		DeadLetterConfig: in.DeadLetterConfig, LogConfig: in.LogConfig}, nil
}

func (b *Bus) set(description, key *string, dead *shape.DeadLetterConfig, log *shape.LogConfig) {
	b.Description, b.Key = api.Value(description), api.Value(key)
	b.DeadLetter, b.LogDetail, b.LogLevel = "", "", ""
	if dead != nil {
		b.DeadLetter = api.Value(dead.Arn)
	}
	if log != nil {
		b.LogDetail, b.LogLevel = api.Value(log.IncludeDetail), api.Value(log.Level)
	}
}

// UpdateEventBus sets what is kept of a bus.
func (s *Service) UpdateEventBus(tx *cloud.Tx, in *shape.UpdateEventBusInput) (*shape.UpdateEventBusOutput, error) {
	b, err := s.bus(tx, in.Name)
	if err != nil {
		return nil, err
	}
	b.set(in.Description, in.KmsKeyIdentifier, in.DeadLetterConfig, in.LogConfig)
	s.putBus(tx, b)
	return &shape.UpdateEventBusOutput{Arn: new(busARN(tx.Scope, b.Name)), Name: &b.Name, Description: in.Description, KmsKeyIdentifier: in.KmsKeyIdentifier,
		DeadLetterConfig: in.DeadLetterConfig, LogConfig: in.LogConfig}, nil
}

// DeleteEventBus removes a bus without rules; one that does not exist is no error.
func (s *Service) DeleteEventBus(tx *cloud.Tx, in *shape.DeleteEventBusInput) (*shape.DeleteEventBusOutput, error) {
	scope, name := busName(tx, in.Name)
	if name == defaultBus || scope != tx.Scope {
		return nil, invalid("Cannot delete event bus %s.", name)
	}
	for range s.rules.Prefix(tx, ruleKey(name, "")) {
		return nil, invalid("EventBus can't be deleted since it has rules.")
	}
	s.buses.Delete(tx, name)
	return &shape.DeleteEventBusOutput{}, nil
}

// DescribeEventBus tells of one bus.
func (s *Service) DescribeEventBus(tx *cloud.Tx, in *shape.DescribeEventBusInput) (*shape.DescribeEventBusOutput, error) {
	b, err := s.bus(tx, in.Name)
	if err != nil {
		return nil, err
	}
	e := b.shape(tx)
	out := &shape.DescribeEventBusOutput{Name: e.Name, Arn: e.Arn, Description: e.Description, KmsKeyIdentifier: some(b.Key), Policy: e.Policy,
		CreationTime: e.CreationTime, LastModifiedTime: e.LastModifiedTime, DeadLetterConfig: deadLetter(b.DeadLetter)}
	if b.LogDetail+b.LogLevel != "" {
		out.LogConfig = &shape.LogConfig{IncludeDetail: some(b.LogDetail), Level: some(b.LogLevel)}
	}
	return out, nil
}

// shape is a bus as it is listed.
func (b Bus) shape(tx *cloud.Tx) shape.EventBus {
	e := shape.EventBus{Name: &b.Name, Arn: new(busARN(tx.Scope, b.Name)), Description: some(b.Description), Policy: some(b.policy())}
	if !b.Created.IsZero() {
		e.CreationTime = &b.Created
	}
	if !b.Modified.IsZero() {
		e.LastModifiedTime = &b.Modified
	}
	return e
}

// ListEventBuses lists the buses in order of name.
func (s *Service) ListEventBuses(tx *cloud.Tx, in *shape.ListEventBusesInput) (*shape.ListEventBusesOutput, error) {
	each := func(yield func(string, shape.EventBus) bool) {
		prefix, told := api.Value(in.NamePrefix), !strings.HasPrefix(defaultBus, api.Value(in.NamePrefix))
		usual := Bus{Name: defaultBus}
		for name, b := range s.buses.Prefix(tx, prefix) {
			if !told && name > defaultBus {
				if told = true; !yield(defaultBus, usual.shape(tx)) {
					return
				}
			}
			told = told || name == defaultBus
			if !yield(name, b.shape(tx)) {
				return
			}
		}
		if !told {
			yield(defaultBus, usual.shape(tx))
		}
	}
	all, next, err := page(each, in.NextToken, in.Limit)
	return &shape.ListEventBusesOutput{EventBuses: all, NextToken: next}, err
}

func deadLetter(arn string) *shape.DeadLetterConfig {
	if arn == "" {
		return nil
	}
	return &shape.DeadLetterConfig{Arn: &arn}
}

// some is nil for an empty string.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
