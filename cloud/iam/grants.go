package iam

import (
	"cmp"
	"slices"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
)

// The operations on what users, groups and roles may do are the same three times: bearer is what they are about.

// bearer is a user, group or role, by what it may do.
type bearer struct {
	Grants
	kind   string // "user", in texts
	title  string // "User", in names of quotas
	name   string
	inline int // size of all inline policies together, at most
	put    func(Grants)
}

func (s *Service) userBearer(tx *cloud.Tx, name string) (bearer, error) {
	u, err := s.user(tx, name)
	return bearer{u.Grants, "user", "User", u.Name, userInlineSize, func(g Grants) {
		u.Grants = g
		s.users.Put(tx, key(u.Name), u)
	}}, err
}

func (s *Service) groupBearer(tx *cloud.Tx, name string) (bearer, error) {
	g, err := s.group(tx, name)
	return bearer{g.Grants, "group", "Group", g.Name, groupInlineSize, func(x Grants) {
		g.Grants = x
		s.groups.Put(tx, key(g.Name), g)
	}}, err
}

// roleBearer is a role to ask about; ownRoleBearer is one to change.
func (s *Service) roleBearer(tx *cloud.Tx, name string) (bearer, error) {
	r, err := s.role(tx, name)
	return bearer{r.Grants, "role", "Role", r.Name, roleInlineSize, func(g Grants) {
		r.Grants = g
		s.roles.Put(tx, key(r.Name), r)
	}}, err
}

func (s *Service) ownRoleBearer(tx *cloud.Tx, name string) (bearer, error) {
	if _, err := s.ownRole(tx, name); err != nil {
		return bearer{}, err
	}
	return s.roleBearer(tx, name)
}

// find is a way to find a bearer by its name.
type find func(s *Service, tx *cloud.Tx, name string) (bearer, error)

// attach has a managed policy apply to a bearer; one that does already stays.
func (s *Service) attach(tx *cloud.Tx, f find, name, arn string) error {
	b, err := f(s, tx, name)
	if err != nil {
		return err
	}
	if _, ok := s.managed(tx, arn); !ok {
		return missing("Policy %s does not exist or is not attachable.", arn)
	}
	switch {
	case slices.Contains(b.Attached, arn):
		return nil
	case len(b.Attached) >= attachedQuota:
		return quota("PoliciesPer"+b.title, attachedQuota)
	}
	b.Attached = append(slices.Clone(b.Attached), arn)
	b.put(b.Grants)
	return nil
}

func (s *Service) detach(tx *cloud.Tx, f find, name, arn string) error {
	b, err := f(s, tx, name)
	if err != nil {
		return err
	}
	if !slices.Contains(b.Attached, arn) {
		return missing("Policy %s was not found.", arn)
	}
	b.Attached = slices.DeleteFunc(slices.Clone(b.Attached), func(a string) bool { return a == arn })
	b.put(b.Grants)
	return nil
}

// attached lists the managed policies of a bearer.
func (s *Service) attached(tx *cloud.Tx, f find, name string, prefix, marker *string, most *int32) ([]shape.AttachedPolicy, *string, *bool, error) {
	b, err := f(s, tx, name)
	if err != nil {
		return nil, nil, nil, err
	}
	all := []shape.AttachedPolicy{}
	for _, arn := range b.Attached {
		if p, ok := s.managed(tx, arn); !ok || under(prefix, p.Path) {
			all = append(all, shape.AttachedPolicy{PolicyName: new(baseName(arn)), PolicyArn: new(arn)})
		}
	}
	rows, next, truncated := listed(all, marker, most)
	return rows, next, truncated, nil
}

// putInline gives a bearer a policy of its own, in the place of one of the same name.
func (s *Service) putInline(tx *cloud.Tx, f find, name, called, document string) error {
	b, err := f(s, tx, name)
	if err != nil {
		return err
	}
	size := policy.Size(document)
	for _, i := range b.Inline {
		if i.Name != called {
			size += policy.Size(i.Document)
		}
	}
	if size > b.inline {
		return api.Errorf("LimitExceeded", "Maximum policy size of %d bytes exceeded for %s %s", b.inline, b.kind, b.name)
	}
	if _, err := parse(document, policy.Identity); err != nil {
		return err
	}
	b.Inline = slices.DeleteFunc(slices.Clone(b.Inline), func(i Inline) bool { return i.Name == called })
	b.Inline = append(b.Inline, Inline{called, document})
	slices.SortFunc(b.Inline, func(x, y Inline) int { return cmp.Compare(x.Name, y.Name) })
	b.put(b.Grants)
	return nil
}

func (b bearer) find(called string) (int, error) {
	n := slices.IndexFunc(b.Inline, func(i Inline) bool { return i.Name == called })
	if n < 0 {
		return n, missing("The %s policy with name %s cannot be found.", b.kind, called)
	}
	return n, nil
}

func (s *Service) getInline(tx *cloud.Tx, f find, name, called string) (*string, error) {
	b, err := f(s, tx, name)
	if err != nil {
		return nil, err
	}
	n, err := b.find(called)
	if err != nil {
		return nil, err
	}
	return encoded(b.Inline[n].Document), nil
}

func (s *Service) deleteInline(tx *cloud.Tx, f find, name, called string) error {
	b, err := f(s, tx, name)
	if err != nil {
		return err
	}
	n, err := b.find(called)
	if err != nil {
		return err
	}
	b.Inline = slices.Delete(slices.Clone(b.Inline), n, n+1)
	b.put(b.Grants)
	return nil
}

func (s *Service) inlines(tx *cloud.Tx, f find, name string, marker *string, most *int32) ([]string, *string, *bool, error) {
	b, err := f(s, tx, name)
	if err != nil {
		return nil, nil, nil, err
	}
	names := []string{}
	for _, i := range b.Inline {
		names = append(names, i.Name)
	}
	rows, next, truncated := listed(names, marker, most)
	return rows, next, truncated, nil
}

// bound sets or, with nil, takes away a permissions boundary.
func (s *Service) bound(tx *cloud.Tx, f find, name string, arn *string) error {
	b, err := f(s, tx, name)
	if err != nil {
		return err
	}
	if arn == nil && b.Boundary == "" {
		return missing("The %s with name %s does not have a permissions boundary.", b.kind, b.name)
	}
	if b.Boundary, err = s.boundary(tx, arn); err != nil {
		return err
	}
	b.put(b.Grants)
	return nil
}
