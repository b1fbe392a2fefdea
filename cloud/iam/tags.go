package iam

import (
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
)

// Tags of users, roles, instance profiles and policies.

// TagUser puts tags over those that there are.
func (s *Service) TagUser(tx *cloud.Tx, in *shape.TagUserInput) (*shape.TagUserOutput, error) {
	x, err := s.user(tx, *in.UserName)
	if err != nil {
		return nil, err
	}
	if x.Tags, err = tagged(x.Tags, in.Tags); err != nil {
		return nil, err
	}
	s.users.Put(tx, key(x.Name), x)
	return &shape.TagUserOutput{}, nil
}

// UntagUser takes tags away; keys that are not there do not matter.
func (s *Service) UntagUser(tx *cloud.Tx, in *shape.UntagUserInput) (*shape.UntagUserOutput, error) {
	x, err := s.user(tx, *in.UserName)
	if err != nil {
		return nil, err
	}
	x.Tags = untagged(x.Tags, in.TagKeys)
	s.users.Put(tx, key(x.Name), x)
	return &shape.UntagUserOutput{}, nil
}

// ListUserTags lists tags in order of key.
func (s *Service) ListUserTags(tx *cloud.Tx, in *shape.ListUserTagsInput) (*shape.ListUserTagsOutput, error) {
	x, err := s.user(tx, *in.UserName)
	if err != nil {
		return nil, err
	}
	out := &shape.ListUserTagsOutput{}
	out.Tags, out.Marker, out.IsTruncated = listed(tagShapes(x.Tags), in.Marker, in.MaxItems)
	return out, nil
}

// TagRole puts tags over those that there are.
func (s *Service) TagRole(tx *cloud.Tx, in *shape.TagRoleInput) (*shape.TagRoleOutput, error) {
	x, err := s.ownRole(tx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	if x.Tags, err = tagged(x.Tags, in.Tags); err != nil {
		return nil, err
	}
	s.roles.Put(tx, key(x.Name), x)
	return &shape.TagRoleOutput{}, nil
}

// UntagRole takes tags away; keys that are not there do not matter.
func (s *Service) UntagRole(tx *cloud.Tx, in *shape.UntagRoleInput) (*shape.UntagRoleOutput, error) {
	x, err := s.ownRole(tx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	x.Tags = untagged(x.Tags, in.TagKeys)
	s.roles.Put(tx, key(x.Name), x)
	return &shape.UntagRoleOutput{}, nil
}

// ListRoleTags lists tags in order of key.
func (s *Service) ListRoleTags(tx *cloud.Tx, in *shape.ListRoleTagsInput) (*shape.ListRoleTagsOutput, error) {
	x, err := s.role(tx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &shape.ListRoleTagsOutput{}
	out.Tags, out.Marker, out.IsTruncated = listed(tagShapes(x.Tags), in.Marker, in.MaxItems)
	return out, nil
}

// TagInstanceProfile puts tags over those that there are.
func (s *Service) TagInstanceProfile(tx *cloud.Tx, in *shape.TagInstanceProfileInput) (*shape.TagInstanceProfileOutput, error) {
	x, err := s.profile(tx, *in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if x.Tags, err = tagged(x.Tags, in.Tags); err != nil {
		return nil, err
	}
	s.profiles.Put(tx, key(x.Name), x)
	return &shape.TagInstanceProfileOutput{}, nil
}

// UntagInstanceProfile takes tags away; keys that are not there do not matter.
func (s *Service) UntagInstanceProfile(tx *cloud.Tx, in *shape.UntagInstanceProfileInput) (*shape.UntagInstanceProfileOutput, error) {
	x, err := s.profile(tx, *in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	x.Tags = untagged(x.Tags, in.TagKeys)
	s.profiles.Put(tx, key(x.Name), x)
	return &shape.UntagInstanceProfileOutput{}, nil
}

// ListInstanceProfileTags lists tags in order of key.
func (s *Service) ListInstanceProfileTags(tx *cloud.Tx, in *shape.ListInstanceProfileTagsInput) (*shape.ListInstanceProfileTagsOutput, error) {
	x, err := s.profile(tx, *in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	out := &shape.ListInstanceProfileTagsOutput{}
	out.Tags, out.Marker, out.IsTruncated = listed(tagShapes(x.Tags), in.Marker, in.MaxItems)
	return out, nil
}

// TagPolicy puts tags over those that there are.
func (s *Service) TagPolicy(tx *cloud.Tx, in *shape.TagPolicyInput) (*shape.TagPolicyOutput, error) {
	x, err := s.ownPolicy(tx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	if x.Tags, err = tagged(x.Tags, in.Tags); err != nil {
		return nil, err
	}
	s.policies.Put(tx, x.ARN, x)
	return &shape.TagPolicyOutput{}, nil
}

// UntagPolicy takes tags away; keys that are not there do not matter.
func (s *Service) UntagPolicy(tx *cloud.Tx, in *shape.UntagPolicyInput) (*shape.UntagPolicyOutput, error) {
	x, err := s.ownPolicy(tx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	x.Tags = untagged(x.Tags, in.TagKeys)
	s.policies.Put(tx, x.ARN, x)
	return &shape.UntagPolicyOutput{}, nil
}

// ListPolicyTags lists tags in order of key.
func (s *Service) ListPolicyTags(tx *cloud.Tx, in *shape.ListPolicyTagsInput) (*shape.ListPolicyTagsOutput, error) {
	x, err := s.managedPolicy(tx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	out := &shape.ListPolicyTagsOutput{}
	out.Tags, out.Marker, out.IsTruncated = listed(tagShapes(x.Tags), in.Marker, in.MaxItems)
	return out, nil
}
