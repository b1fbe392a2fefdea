package iam

import (
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
)

// CreateAccessKey makes a key of a user; its secret is told this once.
func (s *Service) CreateAccessKey(tx *cloud.Tx, in *shape.CreateAccessKeyInput) (*shape.CreateAccessKeyOutput, error) {
	name, err := s.nameOrOwn(tx, in.UserName)
	if err != nil {
		return nil, err
	}
	u, err := s.user(tx, name)
	if err != nil {
		return nil, err
	}
	if s.userKeys.Count(tx, key(u.Name)) >= keyQuota {
		return nil, quota("AccessKeysPerUser", keyQuota)
	}
	k := AccessKey{
		ID: uniqueID(tx, "AKIA", 16), Secret: text(tx, secretDigits, 40), User: key(u.Name), Active: true, Created: tx.Now().Truncate(time.Second),
	}
	s.keys.Put(tx, k.ID, k)
	return &shape.CreateAccessKeyOutput{AccessKey: &shape.AccessKey{
		UserName: &u.Name, AccessKeyId: &k.ID, Status: new("Active"), SecretAccessKey: &k.Secret, CreateDate: &k.Created,
	}}, nil
}

// accessKey finds a key of a user, or of the caller.
func (s *Service) accessKey(tx *cloud.Tx, name *string, id string) (AccessKey, error) {
	k, ok := s.keys.Get(tx, id)
	if ok && name == nil && tx.Caller.Above() {
		return k, nil
	}
	owner, err := s.nameOrOwn(tx, name)
	if err == nil {
		_, err = s.user(tx, owner)
	}
	if err == nil && (!ok || k.User != key(owner)) {
		err = missing("The Access Key with id %s cannot be found.", id)
	}
	return k, err
}

// ListAccessKeys lists the keys of a user without their secrets.
func (s *Service) ListAccessKeys(tx *cloud.Tx, in *shape.ListAccessKeysInput) (*shape.ListAccessKeysOutput, error) {
	out := &shape.ListAccessKeysOutput{AccessKeyMetadata: []shape.AccessKeyMetadata{}, IsTruncated: new(false)}
	if in.UserName == nil && tx.Caller.Above() {
		return out, nil // the root's keys are the server's
	}
	name, err := s.nameOrOwn(tx, in.UserName)
	if err != nil {
		return nil, err
	}
	u, err := s.user(tx, name)
	if err != nil {
		return nil, err
	}
	for _, k := range s.userKeys.Each(tx, key(u.Name)) {
		status := "Inactive"
		if k.Active {
			status = "Active"
		}
		out.AccessKeyMetadata = append(out.AccessKeyMetadata, shape.AccessKeyMetadata{
			UserName: &u.Name, AccessKeyId: new(k.ID), Status: &status, CreateDate: new(k.Created),
		})
	}
	return out, nil
}

// UpdateAccessKey makes a key active or inactive.
func (s *Service) UpdateAccessKey(tx *cloud.Tx, in *shape.UpdateAccessKeyInput) (*shape.UpdateAccessKeyOutput, error) {
	k, err := s.accessKey(tx, in.UserName, *in.AccessKeyId)
	if err != nil {
		return nil, err
	}
	k.Active = *in.Status == "Active"
	s.keys.Put(tx, k.ID, k)
	return &shape.UpdateAccessKeyOutput{}, nil
}

// DeleteAccessKey deletes a key.
func (s *Service) DeleteAccessKey(tx *cloud.Tx, in *shape.DeleteAccessKeyInput) (*shape.DeleteAccessKeyOutput, error) {
	k, err := s.accessKey(tx, in.UserName, *in.AccessKeyId)
	if err != nil {
		return nil, err
	}
	s.keys.Delete(tx, k.ID)
	s.uses.Delete(tx, k.ID)
	return &shape.DeleteAccessKeyOutput{}, nil
}

// GetAccessKeyLastUsed tells when and for what a key was last used.
func (s *Service) GetAccessKeyLastUsed(tx *cloud.Tx, in *shape.GetAccessKeyLastUsedInput) (*shape.GetAccessKeyLastUsedOutput, error) {
	k, ok := s.keys.Get(tx, *in.AccessKeyId)
	if !ok {
		return nil, &api.Error{Code: "AccessDenied", Message: "The Access Key with id " + *in.AccessKeyId + " is not of this account.", Status: 403}
	}
	u, _ := s.users.Get(tx, k.User)
	last := &shape.AccessKeyLastUsed{ServiceName: new("N/A"), Region: new("N/A")}
	if use, ok := s.uses.Get(tx, k.ID); ok {
		last = &shape.AccessKeyLastUsed{LastUsedDate: new(use.At), ServiceName: new(use.Service), Region: new(use.Region)}
	}
	return &shape.GetAccessKeyLastUsedOutput{UserName: &u.Name, AccessKeyLastUsed: last}, nil
}
