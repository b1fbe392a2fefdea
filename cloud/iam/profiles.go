package iam

import (
	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
)

func (s *Service) profile(tx *cloud.Tx, name string) (Profile, error) {
	p, ok := s.profiles.Get(tx, key(name))
	if !ok {
		return p, missing("Instance Profile %s cannot be found.", name)
	}
	return p, nil
}

func (s *Service) profileShape(tx *cloud.Tx, p Profile) shape.InstanceProfile {
	x := shape.InstanceProfile{
		Path: &p.Path, InstanceProfileName: &p.Name, InstanceProfileId: &p.ID, Arn: &p.ARN, CreateDate: &p.Created,
		Roles: []shape.Role{}, Tags: optionalTags(p.Tags),
	}
	if r, ok := s.roles.Get(tx, p.Role); ok && p.Role != "" {
		x.Roles = append(x.Roles, r.shape(false))
	}
	return x
}

// CreateInstanceProfile makes an instance profile without a role.
func (s *Service) CreateInstanceProfile(tx *cloud.Tx, in *shape.CreateInstanceProfileInput) (*shape.CreateInstanceProfileOutput, error) {
	if s.profiles.Has(tx, key(*in.InstanceProfileName)) {
		return nil, taken("Instance Profile %s already exists.", *in.InstanceProfileName)
	}
	if count(s.profiles.All(tx), profileQuota) >= profileQuota {
		return nil, quota("InstanceProfilesPerAccount", profileQuota)
	}
	e, err := entity(tx, "instance-profile", "AIPA", *in.InstanceProfileName, in.Path, in.Tags)
	if err != nil {
		return nil, err
	}
	p := Profile{Entity: e}
	s.profiles.Put(tx, key(p.Name), p)
	return &shape.CreateInstanceProfileOutput{InstanceProfile: new(s.profileShape(tx, p))}, nil
}

// GetInstanceProfile tells of an instance profile and its role.
func (s *Service) GetInstanceProfile(tx *cloud.Tx, in *shape.GetInstanceProfileInput) (*shape.GetInstanceProfileOutput, error) {
	p, err := s.profile(tx, *in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	return &shape.GetInstanceProfileOutput{InstanceProfile: new(s.profileShape(tx, p))}, nil
}

// ListInstanceProfiles lists instance profiles by name.
func (s *Service) ListInstanceProfiles(tx *cloud.Tx, in *shape.ListInstanceProfilesInput) (*shape.ListInstanceProfilesOutput, error) {
	out := &shape.ListInstanceProfilesOutput{InstanceProfiles: []shape.InstanceProfile{}}
	var rows []Profile
	rows, out.Marker, out.IsTruncated = page(s.profiles.All(tx), in.Marker, in.MaxItems, func(p Profile) bool { return under(in.PathPrefix, p.Path) })
	for _, p := range rows {
		out.InstanceProfiles = append(out.InstanceProfiles, s.profileShape(tx, p))
	}
	return out, nil
}

// ListInstanceProfilesForRole lists the instance profiles that have a role.
func (s *Service) ListInstanceProfilesForRole(tx *cloud.Tx, in *shape.ListInstanceProfilesForRoleInput) (*shape.ListInstanceProfilesForRoleOutput, error) {
	r, err := s.role(tx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &shape.ListInstanceProfilesForRoleOutput{InstanceProfiles: []shape.InstanceProfile{}}
	var rows []Profile
	rows, out.Marker, out.IsTruncated = page(s.roleProfiles.Each(tx, key(r.Name)), in.Marker, in.MaxItems, nil)
	for _, p := range rows {
		out.InstanceProfiles = append(out.InstanceProfiles, s.profileShape(tx, p))
	}
	return out, nil
}

// AddRoleToInstanceProfile puts the one role into a profile.
func (s *Service) AddRoleToInstanceProfile(tx *cloud.Tx, in *shape.AddRoleToInstanceProfileInput) (*shape.AddRoleToInstanceProfileOutput, error) {
	p, err := s.profile(tx, *in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	r, err := s.ownRole(tx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, quota("InstanceSessionsPerInstanceProfile", 1)
	}
	if err := s.MayPass(tx, r.ARN, "ec2.amazonaws.com"); err != nil {
		return nil, api.Errorf("AccessDenied", "%s", err.(*api.Error).Message)
	}
	p.Role = key(r.Name)
	s.profiles.Put(tx, key(p.Name), p)
	return &shape.AddRoleToInstanceProfileOutput{}, nil
}

// RemoveRoleFromInstanceProfile takes a role out of a profile.
func (s *Service) RemoveRoleFromInstanceProfile(tx *cloud.Tx, in *shape.RemoveRoleFromInstanceProfileInput) (*shape.RemoveRoleFromInstanceProfileOutput, error) {
	p, err := s.profile(tx, *in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if p.Role == "" || p.Role != key(*in.RoleName) {
		return nil, missing("The role with name %s cannot be found.", *in.RoleName)
	}
	p.Role = ""
	s.profiles.Put(tx, key(p.Name), p)
	return &shape.RemoveRoleFromInstanceProfileOutput{}, nil
}

// DeleteInstanceProfile deletes a profile without a role.
func (s *Service) DeleteInstanceProfile(tx *cloud.Tx, in *shape.DeleteInstanceProfileInput) (*shape.DeleteInstanceProfileOutput, error) {
	p, err := s.profile(tx, *in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, conflict("Cannot delete entity, must remove roles from instance profile first.")
	}
	s.profiles.Delete(tx, key(p.Name))
	return &shape.DeleteInstanceProfileOutput{}, nil
}
