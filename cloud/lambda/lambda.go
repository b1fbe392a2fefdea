// Package lambda is Lambda's control plane: functions, versions, aliases, who may invoke them, and the queue of
// asynchronous invocations with its retries and dead-letter targets.
//
// It runs nothing: an invocation is a wish, and how it ended is a fact. The one idea: what must not be lost is a row
// (an asynchronous invocation, until it has ended); a synchronous one lives as long as the call that waits for it.
package lambda

import "github.com/billow-cloud/billow/cloud"

// Name is the service's name.
const Name = "lambda"

// Service is Lambda.
type Service struct{ cloud.Base }

// New makes the service.
func New() *Service { return &Service{} }

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }
