// Package iam is Identity and Access Management: users, roles, groups, access keys, instance profiles and policies, and
// the decision whether a caller may do what a call asks for.
//
// It knows no other service: what a call does and to what is told to it. The one idea: a decision is a pure function of
// policy documents and a request (EC-IA-02): an explicit deny wins, else an allow is needed, else it is denied.
package iam

import "github.com/billow-cloud/billow/cloud"

// Name is the service's name.
const Name = "iam"

// Service is IAM. Its rows are those of an account, in no region.
type Service struct{ cloud.Base }

// New makes the service.
func New() *Service { return &Service{} }

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }
