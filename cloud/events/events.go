// Package events is EventBridge: buses, rules with patterns and schedules, and the delivery of events to targets.
//
// It is the highest service: it hears what all others tell and calls those that are targets. The one idea: a pattern is
// compiled to a tree of tests once; an event that comes finds its rules by source and detail-type.
package events

import "github.com/billow-cloud/billow/cloud"

// Name is the service's name.
const Name = "events"

// Service is EventBridge.
type Service struct{ cloud.Base }

// New makes the service.
func New() *Service { return &Service{} }

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }
