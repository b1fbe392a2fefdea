package iam

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
)

// managed finds a managed policy, a customer's or AWS's, by its ARN.
func (s *Service) managed(tx *cloud.Tx, arn string) (Policy, bool) {
	if p, ok := builtIn[arn]; ok {
		return p, true
	}
	return s.policies.Get(tx, arn)
}

func (s *Service) managedPolicy(tx *cloud.Tx, arn string) (Policy, error) {
	p, ok := s.managed(tx, arn)
	if !ok {
		if !strings.HasPrefix(arn, "arn:aws:iam::") || !strings.Contains(arn, ":policy/") {
			return p, api.Errorf("InvalidInput", "ARN %s is not valid.", arn)
		}
		return p, missing("Policy %s was not found.", arn)
	}
	return p, nil
}

// ownPolicy is a policy that users may change.
func (s *Service) ownPolicy(tx *cloud.Tx, arn string) (Policy, error) {
	p, err := s.managedPolicy(tx, arn)
	if _, aws := builtIn[arn]; err == nil && aws {
		return p, &api.Error{Code: "AccessDenied", Message: "Policy " + arn + " is AWS's own: it cannot be changed.", Status: 403}
	}
	return p, err
}

// boundary is the ARN of a permissions boundary that a call names.
func (s *Service) boundary(tx *cloud.Tx, arn *string) (string, error) {
	if arn == nil {
		return "", nil
	}
	if _, ok := s.managed(tx, *arn); !ok {
		return "", missing("Scope ARN: %s does not exist or is not attachable.", *arn)
	}
	return *arn, nil
}

func (s *Service) attachments(tx *cloud.Tx, arn string) int {
	return s.userPolicies.Count(tx, arn) + s.groupUses.Count(tx, arn) + s.rolePolicies.Count(tx, arn)
}

func (s *Service) policyShape(tx *cloud.Tx, p Policy, full bool) shape.Policy {
	x := shape.Policy{
		PolicyName: &p.Name, PolicyId: &p.ID, Arn: &p.ARN, Path: &p.Path, DefaultVersionId: &p.Default, IsAttachable: new(true),
		AttachmentCount:               new(int32(s.attachments(tx, p.ARN))),
		PermissionsBoundaryUsageCount: new(int32(s.userPolicies.Count(tx, boundaryUse(p.ARN)) + s.rolePolicies.Count(tx, boundaryUse(p.ARN)))),
		CreateDate:                    &p.Created, UpdateDate: &p.Updated,
	}
	if full {
		x.Tags = optionalTags(p.Tags)
		if p.Description != "" {
			x.Description = &p.Description
		}
	}
	return x
}

func checkManaged(document string) error {
	if policy.Size(document) > managedSize {
		return quota("PolicySize", managedSize)
	}
	_, err := parse(document, policy.Identity)
	return err
}

// CreatePolicy makes a customer managed policy with its first version.
func (s *Service) CreatePolicy(tx *cloud.Tx, in *shape.CreatePolicyInput) (*shape.CreatePolicyOutput, error) {
	for _, p := range s.policies.All(tx) {
		if strings.EqualFold(p.Name, *in.PolicyName) {
			return nil, taken("A policy called %s already exists. Duplicate names are not allowed.", *in.PolicyName)
		}
	}
	if count(s.policies.All(tx), policyQuota) >= policyQuota {
		return nil, quota("PoliciesPerAccount", policyQuota)
	}
	if err := checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	e, err := entity(tx, "policy", "ANPA", *in.PolicyName, in.Path, in.Tags)
	if err != nil {
		return nil, err
	}
	p := Policy{Entity: e, Description: api.Value(in.Description), Default: "v1", Next: 2, Updated: e.Created}
	p.Versions = []Version{{"v1", *in.PolicyDocument, e.Created}}
	s.policies.Put(tx, p.ARN, p)
	return &shape.CreatePolicyOutput{Policy: new(s.policyShape(tx, p, true))}, nil
}

// GetPolicy tells of a managed policy.
func (s *Service) GetPolicy(tx *cloud.Tx, in *shape.GetPolicyInput) (*shape.GetPolicyOutput, error) {
	p, err := s.managedPolicy(tx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return &shape.GetPolicyOutput{Policy: new(s.policyShape(tx, p, true))}, nil
}

// ListPolicies lists managed policies, the account's own first.
func (s *Service) ListPolicies(tx *cloud.Tx, in *shape.ListPoliciesInput) (*shape.ListPoliciesOutput, error) {
	var all []shape.Policy
	add := func(p Policy) {
		x := s.policyShape(tx, p, false)
		boundary := api.Value(in.PolicyUsageFilter) == "PermissionsBoundary"
		switch {
		case !under(in.PathPrefix, p.Path):
		case api.Value(in.OnlyAttached) && !boundary && *x.AttachmentCount == 0:
		case boundary && *x.PermissionsBoundaryUsageCount == 0:
		default:
			all = append(all, x)
		}
	}
	if scope := api.Value(in.Scope); scope != "AWS" {
		for _, p := range s.policies.All(tx) {
			add(p)
		}
	}
	if scope := api.Value(in.Scope); scope != "Local" {
		for _, arn := range builtInARNs {
			add(builtIn[arn])
		}
	}
	out := &shape.ListPoliciesOutput{Policies: []shape.Policy{}}
	rows, next, truncated := listed(all, in.Marker, in.MaxItems)
	out.Policies, out.Marker, out.IsTruncated = append(out.Policies, rows...), next, truncated
	return out, nil
}

// DeletePolicy deletes a policy that is attached to nothing and has its default version only.
func (s *Service) DeletePolicy(tx *cloud.Tx, in *shape.DeletePolicyInput) (*shape.DeletePolicyOutput, error) {
	p, err := s.ownPolicy(tx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	bounds := s.userPolicies.Count(tx, boundaryUse(p.ARN)) + s.rolePolicies.Count(tx, boundaryUse(p.ARN))
	switch {
	case s.attachments(tx, p.ARN)+bounds > 0:
		return nil, conflict("Cannot delete a policy attached to entities.")
	case len(p.Versions) > 1:
		return nil, conflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	s.policies.Delete(tx, p.ARN)
	return &shape.DeletePolicyOutput{}, nil
}

func (p Policy) version(id string) (int, error) {
	n := slices.IndexFunc(p.Versions, func(v Version) bool { return v.ID == id })
	if n < 0 {
		return n, missing("Policy %s version %s does not exist or is not attachable.", p.ARN, id)
	}
	return n, nil
}

func (p Policy) versionShape(v Version, document bool) shape.PolicyVersion {
	x := shape.PolicyVersion{VersionId: new(v.ID), IsDefaultVersion: new(v.ID == p.Default), CreateDate: new(v.Created)}
	if document {
		x.Document = encoded(v.Document)
	}
	return x
}

// CreatePolicyVersion adds a version.
func (s *Service) CreatePolicyVersion(tx *cloud.Tx, in *shape.CreatePolicyVersionInput) (*shape.CreatePolicyVersionOutput, error) {
	p, err := s.ownPolicy(tx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	if err := checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	if len(p.Versions) >= versionQuota {
		return nil, api.Errorf("LimitExceeded", "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", versionQuota)
	}
	v := Version{"v" + strconv.Itoa(p.Next), *in.PolicyDocument, tx.Now().Truncate(time.Second)}
	p.Versions = append(slices.Clone(p.Versions), v)
	p.Next++
	p.Updated = v.Created
	if api.Value(in.SetAsDefault) {
		p.Default = v.ID
	}
	s.policies.Put(tx, p.ARN, p)
	return &shape.CreatePolicyVersionOutput{PolicyVersion: new(p.versionShape(v, false))}, nil
}

// GetPolicyVersion tells of a version, with its document.
func (s *Service) GetPolicyVersion(tx *cloud.Tx, in *shape.GetPolicyVersionInput) (*shape.GetPolicyVersionOutput, error) {
	p, err := s.managedPolicy(tx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	n, err := p.version(*in.VersionId)
	if err != nil {
		return nil, err
	}
	return &shape.GetPolicyVersionOutput{PolicyVersion: new(p.versionShape(p.Versions[n], true))}, nil
}

// ListPolicyVersions lists versions, the newest first.
func (s *Service) ListPolicyVersions(tx *cloud.Tx, in *shape.ListPolicyVersionsInput) (*shape.ListPolicyVersionsOutput, error) {
	p, err := s.managedPolicy(tx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	out := &shape.ListPolicyVersionsOutput{Versions: []shape.PolicyVersion{}}
	newest := slices.Clone(p.Versions)
	slices.Reverse(newest)
	rows, next, truncated := listed(newest, in.Marker, in.MaxItems)
	for _, v := range rows {
		out.Versions = append(out.Versions, p.versionShape(v, false))
	}
	out.Marker, out.IsTruncated = next, truncated
	return out, nil
}

// SetDefaultPolicyVersion chooses the version that counts.
func (s *Service) SetDefaultPolicyVersion(tx *cloud.Tx, in *shape.SetDefaultPolicyVersionInput) (*shape.SetDefaultPolicyVersionOutput, error) {
	p, err := s.ownPolicy(tx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	if _, err := p.version(*in.VersionId); err != nil {
		return nil, err
	}
	p.Default, p.Updated = *in.VersionId, tx.Now().Truncate(time.Second)
	s.policies.Put(tx, p.ARN, p)
	return &shape.SetDefaultPolicyVersionOutput{}, nil
}

// DeletePolicyVersion deletes a version that is not the default one.
func (s *Service) DeletePolicyVersion(tx *cloud.Tx, in *shape.DeletePolicyVersionInput) (*shape.DeletePolicyVersionOutput, error) {
	p, err := s.ownPolicy(tx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	n, err := p.version(*in.VersionId)
	if err != nil {
		return nil, err
	}
	if p.Default == *in.VersionId {
		return nil, conflict("Cannot delete the default version of a policy.")
	}
	p.Versions = slices.Delete(slices.Clone(p.Versions), n, n+1)
	s.policies.Put(tx, p.ARN, p)
	return &shape.DeletePolicyVersionOutput{}, nil
}

// ListEntitiesForPolicy lists who has a managed policy.
func (s *Service) ListEntitiesForPolicy(tx *cloud.Tx, in *shape.ListEntitiesForPolicyInput) (*shape.ListEntitiesForPolicyOutput, error) {
	p, err := s.managedPolicy(tx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	out := &shape.ListEntitiesForPolicyOutput{PolicyGroups: []shape.PolicyGroup{}, PolicyUsers: []shape.PolicyUser{}, PolicyRoles: []shape.PolicyRole{}, IsTruncated: new(false)}
	wanted := func(kind, path string) bool {
		filter := api.Value(in.EntityFilter)
		return under(in.PathPrefix, path) && (filter == "" || filter == kind)
	}
	uses := []string{p.ARN, boundaryUse(p.ARN)}
	switch api.Value(in.PolicyUsageFilter) {
	case "PermissionsPolicy":
		uses = uses[:1]
	case "PermissionsBoundary":
		uses = uses[1:]
	}
	for _, use := range uses {
		for _, g := range s.groupUses.Each(tx, use) {
			if wanted("Group", g.Path) {
				out.PolicyGroups = append(out.PolicyGroups, shape.PolicyGroup{GroupName: new(g.Name), GroupId: new(g.ID)})
			}
		}
		for _, u := range s.userPolicies.Each(tx, use) {
			if wanted("User", u.Path) {
				out.PolicyUsers = append(out.PolicyUsers, shape.PolicyUser{UserName: new(u.Name), UserId: new(u.ID)})
			}
		}
		for _, r := range s.rolePolicies.Each(tx, use) {
			if wanted("Role", r.Path) {
				out.PolicyRoles = append(out.PolicyRoles, shape.PolicyRole{RoleName: new(r.Name), RoleId: new(r.ID)})
			}
		}
	}
	return out, nil
}
