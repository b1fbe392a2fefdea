package iam

import (
	"slices"

	"github.com/billow-cloud/billow/cloud"
)

// handle makes an operation of a handler that works in the account's own scope, whatever region the call is made in.
func handle[In, Out any](name string, h func(tx *cloud.Tx, in *In) (*Out, error)) cloud.Operation {
	return cloud.Handle(name, func(tx *cloud.Tx, in *In) (out *Out, err error) {
		tx.In(Home(tx.Scope.Account), func() { out, err = h(tx, in) })
		return out, err
	})
}

func (s *Service) makeOperations() []cloud.Operation {
	return slices.Concat(s.userOperations(), s.roleOperations(), s.policyOperations(), []cloud.Operation{cloud.Handle("access-key", s.Key)})
}

func (s *Service) userOperations() []cloud.Operation {
	return []cloud.Operation{
		handle("AddUserToGroup", s.AddUserToGroup),
		handle("AttachGroupPolicy", s.AttachGroupPolicy),
		handle("AttachUserPolicy", s.AttachUserPolicy),
		handle("CreateAccessKey", s.CreateAccessKey),
		handle("CreateGroup", s.CreateGroup),
		handle("CreateUser", s.CreateUser),
		handle("DeleteAccessKey", s.DeleteAccessKey),
		handle("DeleteGroup", s.DeleteGroup),
		handle("DeleteGroupPolicy", s.DeleteGroupPolicy),
		handle("DeleteUser", s.DeleteUser),
		handle("DeleteUserPermissionsBoundary", s.DeleteUserPermissionsBoundary),
		handle("DeleteUserPolicy", s.DeleteUserPolicy),
		handle("DetachGroupPolicy", s.DetachGroupPolicy),
		handle("DetachUserPolicy", s.DetachUserPolicy),
		handle("GetAccessKeyLastUsed", s.GetAccessKeyLastUsed),
		handle("GetAccountSummary", s.GetAccountSummary).But("numbers of what this cloud does not have are zero"),
		handle("GetGroup", s.GetGroup),
		handle("GetGroupPolicy", s.GetGroupPolicy),
		handle("GetUser", s.GetUser),
		handle("GetUserPolicy", s.GetUserPolicy),
		handle("ListAccessKeys", s.ListAccessKeys),
		handle("ListAttachedGroupPolicies", s.ListAttachedGroupPolicies),
		handle("ListAttachedUserPolicies", s.ListAttachedUserPolicies),
		handle("ListGroupPolicies", s.ListGroupPolicies),
		handle("ListGroups", s.ListGroups),
		handle("ListGroupsForUser", s.ListGroupsForUser),
		handle("ListUserPolicies", s.ListUserPolicies),
		handle("ListUserTags", s.ListUserTags),
		handle("ListUsers", s.ListUsers),
		handle("PutGroupPolicy", s.PutGroupPolicy),
		handle("PutUserPermissionsBoundary", s.PutUserPermissionsBoundary),
		handle("PutUserPolicy", s.PutUserPolicy),
		handle("RemoveUserFromGroup", s.RemoveUserFromGroup),
		handle("TagUser", s.TagUser),
		handle("UntagUser", s.UntagUser),
		handle("UpdateAccessKey", s.UpdateAccessKey),
		handle("UpdateGroup", s.UpdateGroup),
		handle("UpdateUser", s.UpdateUser),
	}
}

func (s *Service) roleOperations() []cloud.Operation {
	return []cloud.Operation{
		handle("AddRoleToInstanceProfile", s.AddRoleToInstanceProfile),
		handle("AttachRolePolicy", s.AttachRolePolicy),
		handle("CreateInstanceProfile", s.CreateInstanceProfile),
		handle("CreateRole", s.CreateRole),
		handle("CreateServiceLinkedRole", s.CreateServiceLinkedRole).But("Auto Scaling, Elastic Load Balancing, Spot and EventBridge have one; services act by themselves also without it"),
		handle("DeleteInstanceProfile", s.DeleteInstanceProfile),
		handle("DeleteRole", s.DeleteRole),
		handle("DeleteRolePermissionsBoundary", s.DeleteRolePermissionsBoundary),
		handle("DeleteRolePolicy", s.DeleteRolePolicy),
		handle("DeleteServiceLinkedRole", s.DeleteServiceLinkedRole).But("it is deleted at once, whatever uses it"),
		handle("DetachRolePolicy", s.DetachRolePolicy),
		handle("GetInstanceProfile", s.GetInstanceProfile),
		handle("GetRole", s.GetRole),
		handle("GetRolePolicy", s.GetRolePolicy),
		handle("GetServiceLinkedRoleDeletionStatus", s.GetServiceLinkedRoleDeletionStatus),
		handle("ListAttachedRolePolicies", s.ListAttachedRolePolicies),
		handle("ListInstanceProfileTags", s.ListInstanceProfileTags),
		handle("ListInstanceProfiles", s.ListInstanceProfiles),
		handle("ListInstanceProfilesForRole", s.ListInstanceProfilesForRole),
		handle("ListRolePolicies", s.ListRolePolicies),
		handle("ListRoleTags", s.ListRoleTags),
		handle("ListRoles", s.ListRoles),
		handle("PutRolePermissionsBoundary", s.PutRolePermissionsBoundary),
		handle("PutRolePolicy", s.PutRolePolicy),
		handle("RemoveRoleFromInstanceProfile", s.RemoveRoleFromInstanceProfile),
		handle("TagInstanceProfile", s.TagInstanceProfile),
		handle("TagRole", s.TagRole),
		handle("UntagInstanceProfile", s.UntagInstanceProfile),
		handle("UntagRole", s.UntagRole),
		handle("UpdateAssumeRolePolicy", s.UpdateAssumeRolePolicy),
		handle("UpdateRole", s.UpdateRole),
		handle("UpdateRoleDescription", s.UpdateRoleDescription),
	}
}

func (s *Service) policyOperations() []cloud.Operation {
	return []cloud.Operation{
		handle("CreatePolicy", s.CreatePolicy),
		handle("CreatePolicyVersion", s.CreatePolicyVersion),
		handle("DeletePolicy", s.DeletePolicy),
		handle("DeletePolicyVersion", s.DeletePolicyVersion),
		handle("GetPolicy", s.GetPolicy),
		handle("GetPolicyVersion", s.GetPolicyVersion),
		handle("ListEntitiesForPolicy", s.ListEntitiesForPolicy),
		handle("ListPolicies", s.ListPolicies).But("of AWS's policies, those about this cloud's services are there"),
		handle("ListPolicyTags", s.ListPolicyTags),
		handle("ListPolicyVersions", s.ListPolicyVersions),
		handle("SetDefaultPolicyVersion", s.SetDefaultPolicyVersion),
		handle("SimulateCustomPolicy", s.SimulateCustomPolicy).But("MatchedStatements name the policy and not the place in it; ResourceOwner and ResourceHandlingOption are ignored"),
		handle("SimulatePrincipalPolicy", s.SimulatePrincipalPolicy).But("MatchedStatements name the policy and not the place in it; ResourceOwner and ResourceHandlingOption are ignored"),
		handle("TagPolicy", s.TagPolicy),
		handle("UntagPolicy", s.UntagPolicy),
	}
}
