package iam

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
)

func (s *Service) role(tx *cloud.Tx, name string) (Role, error) {
	r, ok := s.roles.Get(tx, key(name))
	if !ok {
		return r, missing("The role with name %s cannot be found.", name)
	}
	return r, nil
}

// ownRole is a role that users may change: not one that is a service's.
func (s *Service) ownRole(tx *cloud.Tx, name string) (Role, error) {
	r, err := s.role(tx, name)
	if err == nil && r.Service != "" {
		return r, api.Errorf("UnmodifiableEntity", "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", name)
	}
	return r, err
}

func (r Role) shape(full bool) shape.Role {
	x := shape.Role{
		Path: &r.Path, RoleName: &r.Name, RoleId: &r.ID, Arn: &r.ARN, CreateDate: &r.Created, AssumeRolePolicyDocument: encoded(r.Trust),
		MaxSessionDuration: new(int32(r.MaxSession / time.Second)),
	}
	if r.Description != "" {
		x.Description = &r.Description
	}
	if full {
		x.PermissionsBoundary, x.Tags, x.RoleLastUsed = boundaryShape(r.Boundary), optionalTags(r.Tags), &shape.RoleLastUsed{}
		if !r.LastUsed.IsZero() {
			x.RoleLastUsed = &shape.RoleLastUsed{LastUsedDate: new(r.LastUsed), Region: new(r.LastRegion)}
		}
	}
	return x
}

// CreateRole makes a role.
func (s *Service) CreateRole(tx *cloud.Tx, in *shape.CreateRoleInput) (*shape.CreateRoleOutput, error) {
	if strings.HasPrefix(api.Value(in.Path), "/aws-service-role/") {
		return nil, invalid("Path /aws-service-role/ is reserved for service-linked roles.")
	}
	if err := s.checkTrust(tx, *in.AssumeRolePolicyDocument); err != nil {
		return nil, err
	}
	boundary, err := s.boundary(tx, in.PermissionsBoundary)
	if err != nil {
		return nil, err
	}
	r := Role{
		Trust: *in.AssumeRolePolicyDocument, Description: api.Value(in.Description),
		MaxSession: time.Duration(api.Or(in.MaxSessionDuration, int32(defaultSession/time.Second))) * time.Second,
	}
	r.Boundary = boundary
	if r, err = s.addRole(tx, r, *in.RoleName, in.Path, in.Tags); err != nil {
		return nil, err
	}
	return &shape.CreateRoleOutput{Role: new(r.shape(true))}, nil
}

func (s *Service) addRole(tx *cloud.Tx, r Role, name string, path *string, tags []shape.Tag) (Role, error) {
	if s.roles.Has(tx, key(name)) {
		return r, taken("Role with name %s already exists.", name)
	}
	if count(s.roles.All(tx), roleQuota) >= roleQuota {
		return r, quota("RolesPerAccount", roleQuota)
	}
	var err error
	if r.Entity, err = entity(tx, "role", "AROA", name, path, tags); err != nil {
		return r, err
	}
	s.roles.Put(tx, key(name), r)
	return r, nil
}

// checkTrust checks a document that says who may assume a role; users and roles that it names must exist.
func (s *Service) checkTrust(tx *cloud.Tx, document string) error {
	if policy.Size(document) > trustSize {
		return quota("ACLSizePerRole", trustSize)
	}
	d, err := parse(document, policy.Trust)
	if err != nil {
		return err
	}
	for _, name := range d.PrincipalNames() {
		account, resource, ok := strings.Cut(strings.TrimPrefix(name, "arn:aws:iam::"), ":")
		if !ok {
			continue
		}
		kind, entity, _ := strings.Cut(resource, "/")
		entity = entity[strings.LastIndexByte(entity, '/')+1:]
		there := true
		tx.In(Home(account), func() {
			switch kind {
			case "user":
				u, ok := s.users.Get(tx, key(entity))
				there = ok && u.ARN == name
			case "role":
				r, ok := s.roles.Get(tx, key(entity))
				there = ok && r.ARN == name
			}
		})
		if !there {
			return api.Errorf("MalformedPolicyDocument", "Invalid principal in policy: \"AWS\":\"%s\"", name)
		}
	}
	return nil
}

// GetRole tells of a role.
func (s *Service) GetRole(tx *cloud.Tx, in *shape.GetRoleInput) (*shape.GetRoleOutput, error) {
	r, err := s.role(tx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	return &shape.GetRoleOutput{Role: new(r.shape(true))}, nil
}

// ListRoles lists roles by name.
func (s *Service) ListRoles(tx *cloud.Tx, in *shape.ListRolesInput) (*shape.ListRolesOutput, error) {
	out := &shape.ListRolesOutput{Roles: []shape.Role{}}
	var rows []Role
	rows, out.Marker, out.IsTruncated = page(s.roles.All(tx), in.Marker, in.MaxItems, func(r Role) bool { return under(in.PathPrefix, r.Path) })
	for _, r := range rows {
		out.Roles = append(out.Roles, r.shape(false))
	}
	return out, nil
}

// UpdateRole changes a role's description and how long its sessions may be.
func (s *Service) UpdateRole(tx *cloud.Tx, in *shape.UpdateRoleInput) (*shape.UpdateRoleOutput, error) {
	r, err := s.ownRole(tx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	r.Description = api.Or(in.Description, r.Description)
	if in.MaxSessionDuration != nil {
		r.MaxSession = time.Duration(*in.MaxSessionDuration) * time.Second
	}
	s.roles.Put(tx, key(r.Name), r)
	return &shape.UpdateRoleOutput{}, nil
}

// UpdateRoleDescription changes a role's description.
func (s *Service) UpdateRoleDescription(tx *cloud.Tx, in *shape.UpdateRoleDescriptionInput) (*shape.UpdateRoleDescriptionOutput, error) {
	if _, err := s.UpdateRole(tx, &shape.UpdateRoleInput{RoleName: in.RoleName, Description: in.Description}); err != nil {
		return nil, err
	}
	r, err := s.role(tx, *in.RoleName)
	return &shape.UpdateRoleDescriptionOutput{Role: new(r.shape(true))}, err
}

// UpdateAssumeRolePolicy changes who may assume a role; sessions that there are stay.
func (s *Service) UpdateAssumeRolePolicy(tx *cloud.Tx, in *shape.UpdateAssumeRolePolicyInput) (*shape.UpdateAssumeRolePolicyOutput, error) {
	r, err := s.ownRole(tx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := s.checkTrust(tx, *in.PolicyDocument); err != nil {
		return nil, err
	}
	r.Trust = *in.PolicyDocument
	s.roles.Put(tx, key(r.Name), r)
	return &shape.UpdateAssumeRolePolicyOutput{}, nil
}

// DeleteRole deletes a role that nothing hangs on.
func (s *Service) DeleteRole(tx *cloud.Tx, in *shape.DeleteRoleInput) (*shape.DeleteRoleOutput, error) {
	r, err := s.ownRole(tx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	switch {
	case s.roleProfiles.Count(tx, key(r.Name)) > 0:
		return nil, conflict("Cannot delete entity, must remove roles from instance profile first.")
	case len(r.Attached) > 0:
		return nil, conflict("Cannot delete entity, must detach all policies first.")
	case len(r.Inline) > 0:
		return nil, conflict("Cannot delete entity, must delete policies first.")
	}
	s.roles.Delete(tx, key(r.Name))
	return &shape.DeleteRoleOutput{}, nil
}

// linked are services that have a role of their own in an account, and its name (EC-IA-03).
var linked = []struct{ service, name, policy string }{
	{"autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling", "AutoScalingServiceRolePolicy"},
	{"elasticloadbalancing.amazonaws.com", "AWSServiceRoleForElasticLoadBalancing", "AWSElasticLoadBalancingServiceRolePolicy"},
	{"spot.amazonaws.com", "AWSServiceRoleForEC2Spot", "AWSEC2SpotServiceRolePolicy"},
	{"events.amazonaws.com", "AWSServiceRoleForCloudWatchEvents", "CloudWatchEventsServiceRolePolicy"},
}

// LinkedRole is the ARN of the role that a service has of its own in the account of a step; empty if it has none.
func LinkedRole(tx *cloud.Tx, service string) string {
	for _, l := range linked {
		if l.service == service {
			return "arn:aws:iam::" + tx.Scope.Account + ":role/aws-service-role/" + service + "/" + l.name
		}
	}
	return ""
}

// linkedRole is a service's own role, without a name yet.
func linkedRole(service, policy string) Role {
	r := Role{Service: service, MaxSession: defaultSession,
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`}
	r.Attached = []string{"arn:aws:iam::aws:policy/aws-service-role/" + policy}
	return r
}

// CreateServiceLinkedRole makes the role of a service.
func (s *Service) CreateServiceLinkedRole(tx *cloud.Tx, in *shape.CreateServiceLinkedRoleInput) (*shape.CreateServiceLinkedRoleOutput, error) {
	service, suffix := *in.AWSServiceName, api.Value(in.CustomSuffix)
	for _, l := range linked {
		if l.service != service {
			continue
		}
		name := l.name
		if suffix != "" {
			if service != "autoscaling.amazonaws.com" {
				return nil, api.Errorf("InvalidInput", "Custom suffix is not allowed for %s", service)
			}
			name += "_" + suffix
		}
		if s.roles.Has(tx, key(name)) {
			return nil, api.Errorf("InvalidInput", "Service role name %s has been taken in this account, please try a different suffix.", name)
		}
		r := linkedRole(service, l.policy)
		r.Description = api.Value(in.Description)
		r, err := s.addRole(tx, r, name, new("/aws-service-role/"+service+"/"), nil)
		if err != nil {
			return nil, err
		}
		return &shape.CreateServiceLinkedRoleOutput{Role: new(r.shape(true))}, nil
	}
	return nil, api.Errorf("InvalidInput", "Service %s is not supported for service-linked roles here.", service)
}

// DeleteServiceLinkedRole deletes the role of a service, at once.
func (s *Service) DeleteServiceLinkedRole(tx *cloud.Tx, in *shape.DeleteServiceLinkedRoleInput) (*shape.DeleteServiceLinkedRoleOutput, error) {
	r, err := s.role(tx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	if r.Service == "" {
		return nil, api.Errorf("InvalidInput", "Role %s is not a service-linked role.", r.Name)
	}
	s.roles.Delete(tx, key(r.Name))
	return &shape.DeleteServiceLinkedRoleOutput{DeletionTaskId: new("task/aws-service-role/" + r.Service + "/" + r.Name + "/" + tx.UUID())}, nil
}

// GetServiceLinkedRoleDeletionStatus tells that a deletion is over: they are over at once.
func (s *Service) GetServiceLinkedRoleDeletionStatus(tx *cloud.Tx, in *shape.GetServiceLinkedRoleDeletionStatusInput) (*shape.GetServiceLinkedRoleDeletionStatusOutput, error) {
	parts := strings.Split(*in.DeletionTaskId, "/")
	known := slices.ContainsFunc(linked, func(l struct{ service, name, policy string }) bool {
		return len(parts) == 5 && parts[0] == "task" && parts[1] == "aws-service-role" && parts[2] == l.service && strings.HasPrefix(parts[3], l.name)
	})
	if !known {
		return nil, missing("The deletion task with id %s cannot be found.", *in.DeletionTaskId)
	}
	return &shape.GetServiceLinkedRoleDeletionStatusOutput{Status: new("SUCCEEDED")}, nil
}
