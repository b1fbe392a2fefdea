// Package sts is the Security Token Service: who is calling, and temporary credentials.
//
// It keeps nothing: sessions are rows of IAM, which also decides who may have one. The one idea: STS is the words in which
// clients ask IAM for sessions.
package sts

import (
	"encoding/base64"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sts"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

// Name is the service's name.
const Name = "sts"

// Service is STS. It keeps nothing.
type Service struct {
	cloud.Base
	identities *iam.Service
}

// New makes the service over the one that it calls.
func New(identities *iam.Service) *Service { return &Service{identities: identities} }

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	return []cloud.Operation{
		cloud.Handle("AssumeRole", s.AssumeRole).But("an account's root may assume the account's roles; SerialNumber, TokenCode and ProvidedContexts are ignored"),
		cloud.Handle("DecodeAuthorizationMessage", s.DecodeAuthorizationMessage).But("the message says the action and the reason only"),
		cloud.Handle("GetAccessKeyInfo", s.GetAccessKeyInfo),
		cloud.Handle("GetCallerIdentity", s.GetCallerIdentity),
		cloud.Handle("GetSessionToken", s.GetSessionToken).But("SerialNumber and TokenCode are ignored: there is no multi-factor authentication"),
	}
}

// GetCallerIdentity tells who calls. It needs no permission.
func (s *Service) GetCallerIdentity(tx *cloud.Tx, _ *shape.GetCallerIdentityInput) (*shape.GetCallerIdentityOutput, error) {
	c := tx.Caller
	if c.Kind == "" {
		c = cloud.Root(tx.Scope.Account)
	}
	return &shape.GetCallerIdentityOutput{Account: &c.Account, UserId: &c.ID, Arn: &c.ARN}, nil
}

// AssumeRole makes a session of a role.
func (s *Service) AssumeRole(tx *cloud.Tx, in *shape.AssumeRoleInput) (*shape.AssumeRoleOutput, error) {
	q := iam.AssumeRequest{
		RoleARN: *in.RoleArn, Name: *in.RoleSessionName, Life: time.Duration(api.Value(in.DurationSeconds)) * time.Second,
		ExternalID: api.Value(in.ExternalId), Identity: api.Value(in.SourceIdentity), Policy: api.Value(in.Policy), Transitive: in.TransitiveTagKeys,
	}
	for _, p := range in.PolicyArns {
		q.Policies = append(q.Policies, api.Value(p.Arn))
	}
	for _, t := range in.Tags {
		q.Tags = append(q.Tags, iam.Tag{Key: api.Value(t.Key), Value: api.Value(t.Value)})
	}
	a, err := s.identities.Assume(tx, q)
	if err != nil {
		return nil, err
	}
	out := &shape.AssumeRoleOutput{Credentials: credentials(a.Credentials), AssumedRoleUser: &shape.AssumedRoleUser{AssumedRoleId: &a.ID, Arn: &a.ARN}}
	if a.SourceIdentity != "" {
		out.SourceIdentity = &a.SourceIdentity
	}
	if q.Policy != "" || len(q.Policies) > 0 || len(q.Tags) > 0 {
		out.PackedPolicySize = new(int32(1 + len(q.Policy)*99/2048))
	}
	return out, nil
}

func credentials(c iam.Credentials) *shape.Credentials {
	return &shape.Credentials{AccessKeyId: &c.AccessKeyID, SecretAccessKey: &c.SecretAccessKey, SessionToken: &c.SessionToken, Expiration: &c.Expiration}
}

// GetSessionToken makes a session of the caller itself.
func (s *Service) GetSessionToken(tx *cloud.Tx, in *shape.GetSessionTokenInput) (*shape.GetSessionTokenOutput, error) {
	c, err := s.identities.Token(tx, time.Duration(api.Value(in.DurationSeconds))*time.Second)
	if err != nil {
		return nil, err
	}
	return &shape.GetSessionTokenOutput{Credentials: credentials(c)}, nil
}

// GetAccessKeyInfo tells the account of an access key.
func (s *Service) GetAccessKeyInfo(tx *cloud.Tx, in *shape.GetAccessKeyInfoInput) (*shape.GetAccessKeyInfoOutput, error) {
	account, ok := s.identities.AccountOf(*in.AccessKeyId)
	switch {
	case !ok && *in.AccessKeyId == tx.Caller.Key:
		account = tx.Caller.Account
	case !ok:
		return nil, &api.Error{Code: "ValidationError", Message: "Invalid Access Key ID", Status: 400}
	}
	return &shape.GetAccessKeyInfoOutput{Account: &account}, nil
}

// DecodeAuthorizationMessage reads what EC2 adds to its refusals.
func (s *Service) DecodeAuthorizationMessage(tx *cloud.Tx, in *shape.DecodeAuthorizationMessageInput) (*shape.DecodeAuthorizationMessageOutput, error) {
	text, err := base64.RawURLEncoding.DecodeString(*in.EncodedMessage)
	if err != nil || len(text) == 0 || text[0] != '{' {
		return nil, api.Errorf("InvalidAuthorizationMessageException", "Message is not valid")
	}
	return &shape.DecodeAuthorizationMessageOutput{DecodedMessage: new(string(text))}, nil
}
