package iam

import (
	"slices"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
)

func (s *Service) user(tx *cloud.Tx, name string) (User, error) {
	u, ok := s.users.Get(tx, key(name))
	if !ok {
		return u, missing("The user with name %s cannot be found.", name)
	}
	return u, nil
}

// nameOrOwn is the user that a call names, or else the caller.
func (s *Service) nameOrOwn(tx *cloud.Tx, name *string) (string, error) {
	if name != nil {
		return *name, nil
	}
	for _, u := range s.caller(tx) {
		return u.Name, nil
	}
	return "", invalid("Must specify userName when calling with non-User credentials")
}

// CreateUser makes a user.
func (s *Service) CreateUser(tx *cloud.Tx, in *shape.CreateUserInput) (*shape.CreateUserOutput, error) {
	if s.users.Has(tx, key(*in.UserName)) {
		return nil, taken("User with name %s already exists.", *in.UserName)
	}
	if count(s.users.All(tx), userQuota) >= userQuota {
		return nil, quota("UsersPerAccount", userQuota)
	}
	boundary, err := s.boundary(tx, in.PermissionsBoundary)
	if err != nil {
		return nil, err
	}
	e, err := entity(tx, "user", "AIDA", *in.UserName, in.Path, in.Tags)
	if err != nil {
		return nil, err
	}
	u := User{Entity: e, Grants: Grants{Boundary: boundary}}
	s.users.Put(tx, key(u.Name), u)
	return &shape.CreateUserOutput{User: new(u.shape(true))}, nil
}

func (u User) shape(full bool) shape.User {
	x := shape.User{Path: &u.Path, UserName: &u.Name, UserId: &u.ID, Arn: &u.ARN, CreateDate: &u.Created}
	if full {
		x.PermissionsBoundary, x.Tags = boundaryShape(u.Boundary), optionalTags(u.Tags)
	}
	return x
}

// GetUser tells of a user, of the caller if none is named.
func (s *Service) GetUser(tx *cloud.Tx, in *shape.GetUserInput) (*shape.GetUserOutput, error) {
	if in.UserName == nil && (tx.Caller.Above()) {
		account := tx.Scope.Account
		return &shape.GetUserOutput{User: &shape.User{
			Path: new("/"), UserName: new("root"), UserId: new(account), Arn: new("arn:aws:iam::" + account + ":root"), CreateDate: new(tx.Now()),
		}}, nil
	}
	name, err := s.nameOrOwn(tx, in.UserName)
	if err != nil {
		return nil, err
	}
	u, err := s.user(tx, name)
	if err != nil {
		return nil, err
	}
	return &shape.GetUserOutput{User: new(u.shape(true))}, nil
}

// ListUsers lists users by name.
func (s *Service) ListUsers(tx *cloud.Tx, in *shape.ListUsersInput) (*shape.ListUsersOutput, error) {
	out := &shape.ListUsersOutput{Users: []shape.User{}}
	var rows []User
	rows, out.Marker, out.IsTruncated = page(s.users.All(tx), in.Marker, in.MaxItems, func(u User) bool { return under(in.PathPrefix, u.Path) })
	for _, u := range rows {
		out.Users = append(out.Users, u.shape(false))
	}
	return out, nil
}

// UpdateUser changes a user's name or path; its ID, keys, groups and policies stay.
func (s *Service) UpdateUser(tx *cloud.Tx, in *shape.UpdateUserInput) (*shape.UpdateUserOutput, error) {
	u, err := s.user(tx, *in.UserName)
	if err != nil {
		return nil, err
	}
	before, name := key(u.Name), api.Or(in.NewUserName, u.Name)
	if key(name) != before && s.users.Has(tx, key(name)) {
		return nil, taken("User with name %s already exists.", name)
	}
	u.Name, u.Path = name, api.Or(in.NewPath, u.Path)
	u.ARN = arnOf(tx, "user", u.Path, u.Name)
	s.users.Delete(tx, before)
	s.users.Put(tx, key(name), u)
	for id, k := range s.userKeys.Each(tx, before) {
		k.User = key(name)
		s.keys.Put(tx, id, k)
	}
	for id, x := range s.userSessions.Each(tx, before) {
		x.User = key(name)
		s.sessions.Put(tx, id, x)
	}
	return &shape.UpdateUserOutput{}, nil
}

// DeleteUser deletes a user that nothing hangs on.
func (s *Service) DeleteUser(tx *cloud.Tx, in *shape.DeleteUserInput) (*shape.DeleteUserOutput, error) {
	u, err := s.user(tx, *in.UserName)
	if err != nil {
		return nil, err
	}
	switch {
	case len(u.Groups) > 0:
		return nil, conflict("Cannot delete entity, must remove users from group first.")
	case len(u.Attached) > 0:
		return nil, conflict("Cannot delete entity, must detach all policies first.")
	case len(u.Inline) > 0:
		return nil, conflict("Cannot delete entity, must delete policies first.")
	case s.userKeys.Count(tx, key(u.Name)) > 0:
		return nil, conflict("Cannot delete entity, must delete access keys first.")
	}
	s.users.Delete(tx, key(u.Name))
	return &shape.DeleteUserOutput{}, nil
}

// AddUserToGroup makes a user a member; one that is one already stays so.
func (s *Service) AddUserToGroup(tx *cloud.Tx, in *shape.AddUserToGroupInput) (*shape.AddUserToGroupOutput, error) {
	g, err := s.group(tx, *in.GroupName)
	if err != nil {
		return nil, err
	}
	u, err := s.user(tx, *in.UserName)
	if err != nil {
		return nil, err
	}
	switch {
	case slices.Contains(u.Groups, key(g.Name)):
		return &shape.AddUserToGroupOutput{}, nil
	case len(u.Groups) >= membershipQuota:
		return nil, quota("GroupsPerUser", membershipQuota)
	}
	u.Groups = append(slices.Clone(u.Groups), key(g.Name))
	s.users.Put(tx, key(u.Name), u)
	return &shape.AddUserToGroupOutput{}, nil
}

// RemoveUserFromGroup ends a membership.
func (s *Service) RemoveUserFromGroup(tx *cloud.Tx, in *shape.RemoveUserFromGroupInput) (*shape.RemoveUserFromGroupOutput, error) {
	g, err := s.group(tx, *in.GroupName)
	if err != nil {
		return nil, err
	}
	u, err := s.user(tx, *in.UserName)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(u.Groups, key(g.Name)) {
		return nil, missing("User %s is not in group %s.", u.Name, g.Name)
	}
	u.Groups = slices.DeleteFunc(slices.Clone(u.Groups), func(k string) bool { return k == key(g.Name) })
	s.users.Put(tx, key(u.Name), u)
	return &shape.RemoveUserFromGroupOutput{}, nil
}

// ListGroupsForUser lists the groups of a user.
func (s *Service) ListGroupsForUser(tx *cloud.Tx, in *shape.ListGroupsForUserInput) (*shape.ListGroupsForUserOutput, error) {
	u, err := s.user(tx, *in.UserName)
	if err != nil {
		return nil, err
	}
	out := &shape.ListGroupsForUserOutput{Groups: []shape.Group{}}
	var names []string
	names, out.Marker, out.IsTruncated = listed(u.Groups, in.Marker, in.MaxItems)
	for _, name := range names {
		if g, ok := s.groups.Get(tx, name); ok {
			out.Groups = append(out.Groups, g.shape())
		}
	}
	return out, nil
}
