package iam

import (
	"slices"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
)

func (s *Service) group(tx *cloud.Tx, name string) (Group, error) {
	g, ok := s.groups.Get(tx, key(name))
	if !ok {
		return g, missing("The group with name %s cannot be found.", name)
	}
	return g, nil
}

func (g Group) shape() shape.Group {
	return shape.Group{Path: &g.Path, GroupName: &g.Name, GroupId: &g.ID, Arn: &g.ARN, CreateDate: &g.Created}
}

// CreateGroup makes a group.
func (s *Service) CreateGroup(tx *cloud.Tx, in *shape.CreateGroupInput) (*shape.CreateGroupOutput, error) {
	if s.groups.Has(tx, key(*in.GroupName)) {
		return nil, taken("Group with name %s already exists.", *in.GroupName)
	}
	if count(s.groups.All(tx), groupQuota) >= groupQuota {
		return nil, quota("GroupsPerAccount", groupQuota)
	}
	e, err := entity(tx, "group", "AGPA", *in.GroupName, in.Path, nil)
	if err != nil {
		return nil, err
	}
	g := Group{Entity: e}
	s.groups.Put(tx, key(g.Name), g)
	return &shape.CreateGroupOutput{Group: new(g.shape())}, nil
}

// GetGroup tells of a group and its users.
func (s *Service) GetGroup(tx *cloud.Tx, in *shape.GetGroupInput) (*shape.GetGroupOutput, error) {
	g, err := s.group(tx, *in.GroupName)
	if err != nil {
		return nil, err
	}
	out := &shape.GetGroupOutput{Group: new(g.shape()), Users: []shape.User{}}
	var users []User
	users, out.Marker, out.IsTruncated = page(s.members.Each(tx, key(g.Name)), in.Marker, in.MaxItems, nil)
	for _, u := range users {
		out.Users = append(out.Users, u.shape(false))
	}
	return out, nil
}

// ListGroups lists groups by name.
func (s *Service) ListGroups(tx *cloud.Tx, in *shape.ListGroupsInput) (*shape.ListGroupsOutput, error) {
	out := &shape.ListGroupsOutput{Groups: []shape.Group{}}
	var rows []Group
	rows, out.Marker, out.IsTruncated = page(s.groups.All(tx), in.Marker, in.MaxItems, func(g Group) bool { return under(in.PathPrefix, g.Path) })
	for _, g := range rows {
		out.Groups = append(out.Groups, g.shape())
	}
	return out, nil
}

// UpdateGroup changes a group's name or path; its members stay.
func (s *Service) UpdateGroup(tx *cloud.Tx, in *shape.UpdateGroupInput) (*shape.UpdateGroupOutput, error) {
	g, err := s.group(tx, *in.GroupName)
	if err != nil {
		return nil, err
	}
	before, name := key(g.Name), api.Or(in.NewGroupName, g.Name)
	if key(name) != before && s.groups.Has(tx, key(name)) {
		return nil, taken("Group with name %s already exists.", name)
	}
	g.Name, g.Path = name, api.Or(in.NewPath, g.Path)
	g.ARN = arnOf(tx, "group", g.Path, g.Name)
	s.groups.Delete(tx, before)
	s.groups.Put(tx, key(name), g)
	for id, u := range s.members.Each(tx, before) {
		u.Groups = slices.Clone(u.Groups)
		u.Groups[slices.Index(u.Groups, before)] = key(name)
		s.users.Put(tx, id, u)
	}
	return &shape.UpdateGroupOutput{}, nil
}

// DeleteGroup deletes a group without users and policies.
func (s *Service) DeleteGroup(tx *cloud.Tx, in *shape.DeleteGroupInput) (*shape.DeleteGroupOutput, error) {
	g, err := s.group(tx, *in.GroupName)
	if err != nil {
		return nil, err
	}
	switch {
	case s.members.Count(tx, key(g.Name)) > 0:
		return nil, conflict("Cannot delete entity, must remove users from group first.")
	case len(g.Attached) > 0:
		return nil, conflict("Cannot delete entity, must detach all policies first.")
	case len(g.Inline) > 0:
		return nil, conflict("Cannot delete entity, must delete policies first.")
	}
	s.groups.Delete(tx, key(g.Name))
	return &shape.DeleteGroupOutput{}, nil
}
