package iam

import (
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
)

// What policies users, groups and roles have: each operation is one of grants.go, for one of the three.

// AttachUserPolicy has a managed policy apply to a user.
func (s *Service) AttachUserPolicy(tx *cloud.Tx, in *shape.AttachUserPolicyInput) (*shape.AttachUserPolicyOutput, error) {
	return &shape.AttachUserPolicyOutput{}, s.attach(tx, (*Service).userBearer, *in.UserName, *in.PolicyArn)
}

// DetachUserPolicy takes a managed policy from a user.
func (s *Service) DetachUserPolicy(tx *cloud.Tx, in *shape.DetachUserPolicyInput) (*shape.DetachUserPolicyOutput, error) {
	return &shape.DetachUserPolicyOutput{}, s.detach(tx, (*Service).userBearer, *in.UserName, *in.PolicyArn)
}

// ListAttachedUserPolicies lists the managed policies of a user.
func (s *Service) ListAttachedUserPolicies(tx *cloud.Tx, in *shape.ListAttachedUserPoliciesInput) (*shape.ListAttachedUserPoliciesOutput, error) {
	out := &shape.ListAttachedUserPoliciesOutput{}
	var err error
	out.AttachedPolicies, out.Marker, out.IsTruncated, err = s.attached(tx, (*Service).userBearer, *in.UserName, in.PathPrefix, in.Marker, in.MaxItems)
	return out, err
}

// PutUserPolicy gives a user an inline policy.
func (s *Service) PutUserPolicy(tx *cloud.Tx, in *shape.PutUserPolicyInput) (*shape.PutUserPolicyOutput, error) {
	return &shape.PutUserPolicyOutput{}, s.putInline(tx, (*Service).userBearer, *in.UserName, *in.PolicyName, *in.PolicyDocument)
}

// GetUserPolicy tells an inline policy of a user.
func (s *Service) GetUserPolicy(tx *cloud.Tx, in *shape.GetUserPolicyInput) (*shape.GetUserPolicyOutput, error) {
	document, err := s.getInline(tx, (*Service).userBearer, *in.UserName, *in.PolicyName)
	return &shape.GetUserPolicyOutput{UserName: in.UserName, PolicyName: in.PolicyName, PolicyDocument: document}, err
}

// DeleteUserPolicy takes an inline policy from a user.
func (s *Service) DeleteUserPolicy(tx *cloud.Tx, in *shape.DeleteUserPolicyInput) (*shape.DeleteUserPolicyOutput, error) {
	return &shape.DeleteUserPolicyOutput{}, s.deleteInline(tx, (*Service).userBearer, *in.UserName, *in.PolicyName)
}

// ListUserPolicies lists the inline policies of a user.
func (s *Service) ListUserPolicies(tx *cloud.Tx, in *shape.ListUserPoliciesInput) (*shape.ListUserPoliciesOutput, error) {
	out := &shape.ListUserPoliciesOutput{}
	var err error
	out.PolicyNames, out.Marker, out.IsTruncated, err = s.inlines(tx, (*Service).userBearer, *in.UserName, in.Marker, in.MaxItems)
	return out, err
}

// PutUserPermissionsBoundary limits what policies allow a user.
func (s *Service) PutUserPermissionsBoundary(tx *cloud.Tx, in *shape.PutUserPermissionsBoundaryInput) (*shape.PutUserPermissionsBoundaryOutput, error) {
	return &shape.PutUserPermissionsBoundaryOutput{}, s.bound(tx, (*Service).userBearer, *in.UserName, in.PermissionsBoundary)
}

// DeleteUserPermissionsBoundary ends a limit of a user.
func (s *Service) DeleteUserPermissionsBoundary(tx *cloud.Tx, in *shape.DeleteUserPermissionsBoundaryInput) (*shape.DeleteUserPermissionsBoundaryOutput, error) {
	return &shape.DeleteUserPermissionsBoundaryOutput{}, s.bound(tx, (*Service).userBearer, *in.UserName, nil)
}

// AttachGroupPolicy has a managed policy apply to a group.
func (s *Service) AttachGroupPolicy(tx *cloud.Tx, in *shape.AttachGroupPolicyInput) (*shape.AttachGroupPolicyOutput, error) {
	return &shape.AttachGroupPolicyOutput{}, s.attach(tx, (*Service).groupBearer, *in.GroupName, *in.PolicyArn)
}

// DetachGroupPolicy takes a managed policy from a group.
func (s *Service) DetachGroupPolicy(tx *cloud.Tx, in *shape.DetachGroupPolicyInput) (*shape.DetachGroupPolicyOutput, error) {
	return &shape.DetachGroupPolicyOutput{}, s.detach(tx, (*Service).groupBearer, *in.GroupName, *in.PolicyArn)
}

// ListAttachedGroupPolicies lists the managed policies of a group.
func (s *Service) ListAttachedGroupPolicies(tx *cloud.Tx, in *shape.ListAttachedGroupPoliciesInput) (*shape.ListAttachedGroupPoliciesOutput, error) {
	out := &shape.ListAttachedGroupPoliciesOutput{}
	var err error
	out.AttachedPolicies, out.Marker, out.IsTruncated, err = s.attached(tx, (*Service).groupBearer, *in.GroupName, in.PathPrefix, in.Marker, in.MaxItems)
	return out, err
}

// PutGroupPolicy gives a group an inline policy.
func (s *Service) PutGroupPolicy(tx *cloud.Tx, in *shape.PutGroupPolicyInput) (*shape.PutGroupPolicyOutput, error) {
	return &shape.PutGroupPolicyOutput{}, s.putInline(tx, (*Service).groupBearer, *in.GroupName, *in.PolicyName, *in.PolicyDocument)
}

// GetGroupPolicy tells an inline policy of a group.
func (s *Service) GetGroupPolicy(tx *cloud.Tx, in *shape.GetGroupPolicyInput) (*shape.GetGroupPolicyOutput, error) {
	document, err := s.getInline(tx, (*Service).groupBearer, *in.GroupName, *in.PolicyName)
	return &shape.GetGroupPolicyOutput{GroupName: in.GroupName, PolicyName: in.PolicyName, PolicyDocument: document}, err
}

// DeleteGroupPolicy takes an inline policy from a group.
func (s *Service) DeleteGroupPolicy(tx *cloud.Tx, in *shape.DeleteGroupPolicyInput) (*shape.DeleteGroupPolicyOutput, error) {
	return &shape.DeleteGroupPolicyOutput{}, s.deleteInline(tx, (*Service).groupBearer, *in.GroupName, *in.PolicyName)
}

// ListGroupPolicies lists the inline policies of a group.
func (s *Service) ListGroupPolicies(tx *cloud.Tx, in *shape.ListGroupPoliciesInput) (*shape.ListGroupPoliciesOutput, error) {
	out := &shape.ListGroupPoliciesOutput{}
	var err error
	out.PolicyNames, out.Marker, out.IsTruncated, err = s.inlines(tx, (*Service).groupBearer, *in.GroupName, in.Marker, in.MaxItems)
	return out, err
}

// AttachRolePolicy has a managed policy apply to a role.
func (s *Service) AttachRolePolicy(tx *cloud.Tx, in *shape.AttachRolePolicyInput) (*shape.AttachRolePolicyOutput, error) {
	return &shape.AttachRolePolicyOutput{}, s.attach(tx, (*Service).ownRoleBearer, *in.RoleName, *in.PolicyArn)
}

// DetachRolePolicy takes a managed policy from a role.
func (s *Service) DetachRolePolicy(tx *cloud.Tx, in *shape.DetachRolePolicyInput) (*shape.DetachRolePolicyOutput, error) {
	return &shape.DetachRolePolicyOutput{}, s.detach(tx, (*Service).ownRoleBearer, *in.RoleName, *in.PolicyArn)
}

// ListAttachedRolePolicies lists the managed policies of a role.
func (s *Service) ListAttachedRolePolicies(tx *cloud.Tx, in *shape.ListAttachedRolePoliciesInput) (*shape.ListAttachedRolePoliciesOutput, error) {
	out := &shape.ListAttachedRolePoliciesOutput{}
	var err error
	out.AttachedPolicies, out.Marker, out.IsTruncated, err = s.attached(tx, (*Service).roleBearer, *in.RoleName, in.PathPrefix, in.Marker, in.MaxItems)
	return out, err
}

// PutRolePolicy gives a role an inline policy.
func (s *Service) PutRolePolicy(tx *cloud.Tx, in *shape.PutRolePolicyInput) (*shape.PutRolePolicyOutput, error) {
	return &shape.PutRolePolicyOutput{}, s.putInline(tx, (*Service).ownRoleBearer, *in.RoleName, *in.PolicyName, *in.PolicyDocument)
}

// GetRolePolicy tells an inline policy of a role.
func (s *Service) GetRolePolicy(tx *cloud.Tx, in *shape.GetRolePolicyInput) (*shape.GetRolePolicyOutput, error) {
	document, err := s.getInline(tx, (*Service).roleBearer, *in.RoleName, *in.PolicyName)
	return &shape.GetRolePolicyOutput{RoleName: in.RoleName, PolicyName: in.PolicyName, PolicyDocument: document}, err
}

// DeleteRolePolicy takes an inline policy from a role.
func (s *Service) DeleteRolePolicy(tx *cloud.Tx, in *shape.DeleteRolePolicyInput) (*shape.DeleteRolePolicyOutput, error) {
	return &shape.DeleteRolePolicyOutput{}, s.deleteInline(tx, (*Service).ownRoleBearer, *in.RoleName, *in.PolicyName)
}

// ListRolePolicies lists the inline policies of a role.
func (s *Service) ListRolePolicies(tx *cloud.Tx, in *shape.ListRolePoliciesInput) (*shape.ListRolePoliciesOutput, error) {
	out := &shape.ListRolePoliciesOutput{}
	var err error
	out.PolicyNames, out.Marker, out.IsTruncated, err = s.inlines(tx, (*Service).roleBearer, *in.RoleName, in.Marker, in.MaxItems)
	return out, err
}

// PutRolePermissionsBoundary limits what policies allow a role.
func (s *Service) PutRolePermissionsBoundary(tx *cloud.Tx, in *shape.PutRolePermissionsBoundaryInput) (*shape.PutRolePermissionsBoundaryOutput, error) {
	return &shape.PutRolePermissionsBoundaryOutput{}, s.bound(tx, (*Service).ownRoleBearer, *in.RoleName, in.PermissionsBoundary)
}

// DeleteRolePermissionsBoundary ends a limit of a role.
func (s *Service) DeleteRolePermissionsBoundary(tx *cloud.Tx, in *shape.DeleteRolePermissionsBoundaryInput) (*shape.DeleteRolePermissionsBoundaryOutput, error) {
	return &shape.DeleteRolePermissionsBoundaryOutput{}, s.bound(tx, (*Service).ownRoleBearer, *in.RoleName, nil)
}
