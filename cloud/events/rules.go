package events

import (
	"errors"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/events"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/events/pattern"
	"github.com/billow-cloud/billow/cloud/events/schedule"
)

// States of a rule.
const (
	enabled  = "ENABLED"
	disabled = "DISABLED"
)

// Rule is the row of a rule.
type Rule struct {
	Bus, Name   string
	Pattern     string `json:",omitempty"`
	Schedule    string `json:",omitempty"`
	State       string
	Description string     `json:",omitempty"`
	RoleARN     string     `json:",omitempty"`
	Since       time.Time  // when it was put or enabled: a rate counts from there
	CreatedBy   string     // the account
	Tags        []TagValue `json:",omitempty"`
}

// Due is when a scheduled rule comes next.
type Due struct{ Next time.Time }

// ruleKey is a rule's key; with an empty name it is what those of all rules of the bus start with.
func ruleKey(bus, name string) string { return bus + ":" + name }

func (r Rule) key() string { return ruleKey(r.Bus, r.Name) }

func ruleARN(scope cloud.Scope, bus, name string) string {
	if bus == defaultBus {
		return scope.ARN(Name, "rule/"+name)
	}
	return scope.ARN(Name, "rule/"+bus+"/"+name)
}

// interestLimit is how many pairs of source and detail-type a rule is found by; one with more is found by source alone.
const interestLimit = 64

// interest is what an event and the rules that may match it are found by; "" is any.
func interest(bus, source, detailType string) string {
	return bus + "\x00" + source + "\x00" + detailType
}

// interests gives what an enabled rule with a pattern is to be found by.
func (r Rule) interests() []string {
	if r.Pattern == "" || r.State == disabled {
		return nil
	}
	p, err := pattern.Parse(r.Pattern)
	if err != nil {
		return nil // it was checked when it was put
	}
	sources, bySource := p.Strings("source")
	types, byType := p.Strings("detail-type")
	if !bySource || len(sources) > interestLimit {
		sources = []string{""}
	}
	if !byType || len(sources)*len(types) > interestLimit {
		types = []string{""}
	}
	var all []string
	for _, source := range sources {
		for _, detailType := range types {
			all = append(all, interest(r.Bus, source, detailType))
		}
	}
	return all
}

// compile keeps the parsed pattern of every rule.
func (s *Service) compile(key string, old, r *Rule) {
	switch {
	case r == nil || r.Pattern == "":
		delete(s.patterns, key)
	case old == nil || old.Pattern != r.Pattern || s.patterns[key] == nil:
		p, err := pattern.Parse(r.Pattern)
		if err != nil {
			p = nil // a nil pattern matches nothing
		}
		s.patterns[key] = p
	}
}

// rule finds a rule of a bus.
func (s *Service) rule(tx *cloud.Tx, bus, name string) (Rule, error) {
	r, ok := s.rules.Get(tx, ruleKey(bus, name))
	if !ok {
		return Rule{}, notFound("Rule %s does not exist on EventBus %s.", name, bus)
	}
	return r, nil
}

// ruleOf finds the rule that a call names.
func (s *Service) ruleOf(tx *cloud.Tx, bus, name *string) (Rule, error) {
	b, err := s.bus(tx, bus)
	if err != nil {
		return Rule{}, err
	}
	return s.rule(tx, b.Name, api.Value(name))
}

// parsePattern reads a pattern of a call.
func parsePattern(text string) (*pattern.Pattern, error) {
	p, err := pattern.Parse(text)
	var complex *pattern.TooComplex
	switch {
	case errors.As(err, &complex):
		return nil, api.Errorf("LimitExceededException", "The event pattern is too complex: %v", err)
	case err != nil:
		return nil, api.Errorf("InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
	}
	return p, nil
}

// PutRule makes a rule or replaces all of it but its tags and targets.
func (s *Service) PutRule(tx *cloud.Tx, in *shape.PutRuleInput) (*shape.PutRuleOutput, error) {
	b, err := s.bus(tx, in.EventBusName)
	if err != nil {
		return nil, err
	}
	r := Rule{
		Bus: b.Name, Name: api.Value(in.Name), Pattern: api.Value(in.EventPattern), Schedule: api.Value(in.ScheduleExpression),
		State: api.Or(in.State, enabled), Description: api.Value(in.Description), RoleARN: api.Value(in.RoleArn),
		Since: tx.Now().Truncate(time.Millisecond), CreatedBy: tx.Scope.Account,
	}
	switch {
	case r.Pattern == "" && r.Schedule == "":
		return nil, invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	case in.ScheduleExpression != nil && r.Bus != defaultBus:
		return nil, invalid("ScheduleExpression is supported only on the default event bus.")
	}
	if err := s.checkRole(tx, r.RoleARN); err != nil {
		return nil, err
	}
	if r.Pattern != "" {
		if _, err := parsePattern(r.Pattern); err != nil {
			return nil, err
		}
	}
	if r.Schedule != "" {
		if _, err := schedule.Parse(r.Schedule); err != nil {
			return nil, invalid("Parameter ScheduleExpression is not valid.")
		}
	}
	old, had := s.rules.Get(tx, r.key())
	if r.Tags = old.Tags; !had {
		if r.Tags, err = tagged(nil, in.Tags); err != nil {
			return nil, err
		}
		n := 0
		for range s.rules.Prefix(tx, ruleKey(r.Bus, "")) {
			if n++; n >= maxRules {
				return nil, limitExceeded()
			}
		}
	}
	s.putRule(tx, r)
	return &shape.PutRuleOutput{RuleArn: new(ruleARN(tx.Scope, r.Bus, r.Name))}, nil
}

// checkRole is the error if there is a role and EventBridge may not have it.
func (s *Service) checkRole(tx *cloud.Tx, arn string) error {
	if arn == "" || s.lower.CheckRole == nil {
		return nil
	}
	return s.lower.CheckRole(tx, arn)
}

// putRule writes a rule and sets when its schedule, if it has one, comes next.
func (s *Service) putRule(tx *cloud.Tx, r Rule) {
	s.rules.Put(tx, r.key(), r)
	s.schedules.Delete(tx, r.key())
	if r.Schedule != "" && r.State != disabled {
		s.schedules.Put(tx, r.key(), Due{r.next(tx.Now())})
	}
	tx.Touch(Name, kindRule, r.key())
}

// next is the instant after another at which a rule's schedule comes; zero is never.
func (r Rule) next(after time.Time) time.Time {
	plan, err := schedule.Parse(r.Schedule)
	if err != nil {
		return time.Time{} // it was checked when it was put
	}
	return plan.Next(after, r.Since)
}

// reconcileRule lets a rule's schedule come when its time has come. What was missed while nobody looked comes once.
func (s *Service) reconcileRule(tx *cloud.Tx, key string) {
	due, scheduled := s.schedules.Get(tx, key)
	r, ok := s.rules.Get(tx, key)
	if !scheduled || !ok || due.Next.IsZero() {
		tx.At(Name, kindRule, key, time.Time{})
		return
	}
	if !tx.Now().Before(due.Next) {
		e := newEvent(tx, "aws.events", "Scheduled Event", []string{ruleARN(tx.Scope, r.Bus, r.Name)}, []byte("{}"))
		e.Time = due.Next
		due.Next = r.next(tx.Now())
		s.schedules.Put(tx, key, due)
		s.hand(tx, r, &e)
	}
	tx.At(Name, kindRule, key, due.Next)
}

// setState enables or disables a rule.
func (s *Service) setState(tx *cloud.Tx, bus, name *string, state string) error {
	r, err := s.ruleOf(tx, bus, name)
	if err == nil && r.State != state {
		r.State, r.Since = state, tx.Now().Truncate(time.Millisecond)
		s.putRule(tx, r)
	}
	return err
}

// EnableRule has a rule work again.
func (s *Service) EnableRule(tx *cloud.Tx, in *shape.EnableRuleInput) (*shape.EnableRuleOutput, error) {
	return &shape.EnableRuleOutput{}, s.setState(tx, in.EventBusName, in.Name, enabled)
}

// DisableRule has a rule match nothing and its schedule not come.
func (s *Service) DisableRule(tx *cloud.Tx, in *shape.DisableRuleInput) (*shape.DisableRuleOutput, error) {
	return &shape.DisableRuleOutput{}, s.setState(tx, in.EventBusName, in.Name, disabled)
}

// DeleteRule removes a rule without targets; one that does not exist is no error.
func (s *Service) DeleteRule(tx *cloud.Tx, in *shape.DeleteRuleInput) (*shape.DeleteRuleOutput, error) {
	b, err := s.bus(tx, in.EventBusName)
	if err != nil {
		return nil, err
	}
	key := ruleKey(b.Name, api.Value(in.Name))
	for range s.targets.Prefix(tx, key+":") {
		return nil, invalid("Rule can't be deleted since it has targets.")
	}
	s.rules.Delete(tx, key)
	s.schedules.Delete(tx, key)
	tx.Touch(Name, kindRule, key)
	return &shape.DeleteRuleOutput{}, nil
}

// DescribeRule tells of one rule.
func (s *Service) DescribeRule(tx *cloud.Tx, in *shape.DescribeRuleInput) (*shape.DescribeRuleOutput, error) {
	r, err := s.ruleOf(tx, in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	x := r.shape(tx)
	return &shape.DescribeRuleOutput{Name: x.Name, Arn: x.Arn, EventPattern: x.EventPattern, ScheduleExpression: x.ScheduleExpression, State: x.State,
		Description: x.Description, RoleArn: x.RoleArn, EventBusName: x.EventBusName, CreatedBy: &r.CreatedBy}, nil
}

func (r Rule) shape(tx *cloud.Tx) shape.Rule {
	return shape.Rule{Name: &r.Name, Arn: new(ruleARN(tx.Scope, r.Bus, r.Name)), EventPattern: some(r.Pattern), ScheduleExpression: some(r.Schedule),
		State: &r.State, Description: some(r.Description), RoleArn: some(r.RoleARN), EventBusName: &r.Bus}
}

// ListRules lists the rules of a bus in order of name.
func (s *Service) ListRules(tx *cloud.Tx, in *shape.ListRulesInput) (*shape.ListRulesOutput, error) {
	b, err := s.bus(tx, in.EventBusName)
	if err != nil {
		return nil, err
	}
	each := func(yield func(string, shape.Rule) bool) {
		for key, r := range s.rules.Prefix(tx, ruleKey(b.Name, api.Value(in.NamePrefix))) {
			if !yield(strings.TrimPrefix(key, ruleKey(b.Name, "")), r.shape(tx)) {
				return
			}
		}
	}
	all, next, err := page(each, in.NextToken, in.Limit)
	return &shape.ListRulesOutput{Rules: all, NextToken: next}, err
}
