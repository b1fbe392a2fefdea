// Package sts is the Security Token Service as far as there is something to tell: who is calling.
//
// There are no roles and no sessions yet, so AssumeRole and GetSessionToken are absent rather than pretended. The one
// idea: whoever signs with an account's keys is that account's root.
package sts

import (
	shape "github.com/billow-cloud/billow/api/sts"
	"github.com/billow-cloud/billow/cloud"
)

// Name is the service's name.
const Name = "sts"

// Service is STS. It keeps nothing.
type Service struct{ cloud.Base }

// New makes the service.
func New() *Service { return &Service{} }

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	return []cloud.Operation{cloud.Handle("GetCallerIdentity", s.GetCallerIdentity)}
}

// GetCallerIdentity names the account and its root user.
func (s *Service) GetCallerIdentity(tx *cloud.Tx, _ *shape.GetCallerIdentityInput) (*shape.GetCallerIdentityOutput, error) {
	account := tx.Scope.Account
	return &shape.GetCallerIdentityOutput{Account: new(account), UserId: new(account), Arn: new("arn:aws:iam::" + account + ":root")}, nil
}
