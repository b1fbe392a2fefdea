// Package sqs is Simple Queue Service: standard queues with visibility time-out, delay, redrive and retention.
//
// It has no FIFO queues and does not wait: who polls longer asks again when told that a message has come. The one idea: a
// message is a row with the instant from which it can be received.
package sqs

import "github.com/billow-cloud/billow/cloud"

// Name is the service's name.
const Name = "sqs"

// Service is SQS.
type Service struct{ cloud.Base }

// New makes the service.
func New() *Service { return &Service{} }

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }
