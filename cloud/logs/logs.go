// Package logs is CloudWatch Logs as far as functions and those who read their logs need it: groups, streams, events.
//
// It is no search engine: filters are plain terms. The one idea: a stream is a list of blocks, each one row, so that a
// batch of events costs what it holds; what a group may hold is bounded.
package logs

import "github.com/billow-cloud/billow/cloud"

// Name is the service's name.
const Name = "logs"

// Service is CloudWatch Logs.
type Service struct{ cloud.Base }

// New makes the service.
func New() *Service { return &Service{} }

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }
