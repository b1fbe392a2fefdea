// Package events is EventBridge: buses, rules with patterns and schedules, and the delivery of events to targets.
//
// It is the highest service: it hears what all others tell (Told) and calls those that are targets (Lower). It runs
// nothing itself. The one idea: an event finds its rules by source and detail-type, and each target gets it by a direct
// call in the same step; only a call that failed and may succeed later becomes a row, with its retries in virtual time.
//
// Invariants: an event that nobody has a rule for costs a look at an index; an event goes on to another bus at most once,
// so that no rules can wake each other for ever; waiting deliveries are bounded in number, attempts and age.
package events

import (
	"iter"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/events/pattern"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is the service's name.
const Name = "events"

// Kinds of things that are reconciled.
const (
	kindRule     = "rule"
	kindDelivery = "delivery"
)

// Service is EventBridge in all accounts and regions.
type Service struct {
	cloud.Base
	lower Lower

	buses      cloud.Rows[Bus]  // by name; the default one is there only when something was set of it
	rules      cloud.Rows[Rule] // by bus, a colon and name
	targets    cloud.Rows[Target]
	schedules  cloud.Rows[Due] // of scheduled rules that are enabled, by the rule's key
	deliveries cloud.Rows[Delivery]

	interested cloud.Index[Rule]   // enabled rules with a pattern by bus, source and detail-type
	aimed      cloud.Index[Target] // by bus and the target's ARN
	patterns   map[string]*pattern.Pattern
}

// New makes the service.
func New(lower Lower) *Service {
	s := &Service{
		lower:      lower,
		buses:      cloud.NewRows[Bus](Name + ".buses"),
		rules:      cloud.NewRows[Rule](Name + ".rules"),
		targets:    cloud.NewRows[Target](Name + ".targets"),
		schedules:  cloud.NewRows[Due](Name + ".schedules"),
		deliveries: cloud.NewRows[Delivery](Name + ".deliveries"),
		patterns:   map[string]*pattern.Pattern{},
	}
	s.rules.Watch(s.compile)
	s.interested = s.rules.Index(func(_ string, r Rule) []string { return r.interests() })
	s.aimed = s.targets.Index(func(_ string, t Target) []string { return []string{t.Bus + " " + t.ARN} })
	return s
}

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store {
	return []table.Store{s.buses, s.rules, s.targets, s.schedules, s.deliveries}
}

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	const keyed = "KmsKeyIdentifier, DeadLetterConfig and LogConfig are kept only"
	return []cloud.Operation{
		cloud.Handle("CreateEventBus", s.CreateEventBus).But(keyed + "; partner event sources are refused"),
		cloud.Handle("UpdateEventBus", s.UpdateEventBus).StoredOnly("Description, " + keyed),
		cloud.Handle("DeleteEventBus", s.DeleteEventBus),
		cloud.Handle("DescribeEventBus", s.DescribeEventBus),
		cloud.Handle("ListEventBuses", s.ListEventBuses),
		cloud.Handle("PutPermission", s.PutPermission).But("it decides on events from other accounts; statements about rules are kept only"),
		cloud.Handle("RemovePermission", s.RemovePermission),
		cloud.Handle("PutRule", s.PutRule),
		cloud.Handle("DescribeRule", s.DescribeRule),
		cloud.Handle("ListRules", s.ListRules),
		cloud.Handle("EnableRule", s.EnableRule),
		cloud.Handle("DisableRule", s.DisableRule),
		cloud.Handle("DeleteRule", s.DeleteRule),
		cloud.Handle("PutTargets", s.PutTargets).But("targets are Lambda, SNS, standard queues of SQS, log groups (made if missing), event buses and target/stop-instance, reboot-instance and terminate-instance; others are refused"),
		cloud.Handle("RemoveTargets", s.RemoveTargets),
		cloud.Handle("ListTargetsByRule", s.ListTargetsByRule),
		cloud.Handle("ListRuleNamesByTarget", s.ListRuleNamesByTarget),
		cloud.Handle("PutEvents", s.PutEvents).But("EndpointId is refused; TraceHeader is dropped"),
		cloud.Handle("TestEventPattern", s.TestEventPattern),
		cloud.Handle("TagResource", s.TagResource),
		cloud.Handle("UntagResource", s.UntagResource),
		cloud.Handle("ListTagsForResource", s.ListTagsForResource),
	}
}

// Notice implements cloud.Service.
func (s *Service) Notice(tx *cloud.Tx, e cloud.Event) {
	if s.rules.Len() == 0 {
		return
	}
	if r, ok := e.(lambda.Told); ok {
		if bus, err := s.bus(tx, &r.Bus); err == nil { // one that has gone hears nothing
			s.route(tx, bus.Name, newEvent(tx, r.Source, r.DetailType, r.Resources, []byte(r.Detail)))
		}
	}
	if told := tell(e); told != nil {
		source, detailType := told.Told()
		if source != "" && s.anyRule(tx, defaultBus, source, detailType) {
			resources, detail := told.Detail(tx.Scope)
			s.route(tx, defaultBus, newEvent(tx, source, detailType, resources, encode(detail)))
		}
	}
}

// Reconcile implements cloud.Service.
func (s *Service) Reconcile(tx *cloud.Tx, kind, id string) {
	switch kind {
	case kindRule:
		s.reconcileRule(tx, id)
	case kindDelivery:
		s.reconcileDelivery(tx, id)
	}
}

// Keys implements cloud.Service.
func (s *Service) Keys() iter.Seq[cloud.Key] {
	return func(yield func(cloud.Key) bool) {
		for k := range s.schedules.Everywhere() {
			k.Kind = kindRule
			if !yield(k) {
				return
			}
		}
		for k := range s.deliveries.Everywhere() {
			k.Kind = kindDelivery
			if !yield(k) {
				return
			}
		}
	}
}
