package iam

import (
	"strings"

	"github.com/billow-cloud/billow/cloud"
)

// Named finds the entity that an ARN without its path names, as it follows from a call, and its tags.
func (s *Service) Named(tx *cloud.Tx, arn string) (e Entity, ok bool) {
	account, resource, _ := strings.Cut(strings.TrimPrefix(arn, "arn:aws:iam::"), ":")
	kind, name, _ := strings.Cut(resource, "/")
	name = key(name[strings.LastIndexByte(name, '/')+1:])
	tx.In(Home(account), func() {
		switch kind {
		case "user":
			var u User
			u, ok = s.users.Get(tx, name)
			e = u.Entity
		case "group":
			var g Group
			g, ok = s.groups.Get(tx, name)
			e = g.Entity
		case "role":
			var r Role
			r, ok = s.roles.Get(tx, name)
			e = r.Entity
		case "instance-profile":
			var p Profile
			p, ok = s.profiles.Get(tx, name)
			e = p.Entity
		case "policy":
			var p Policy
			p, ok = s.policies.Get(tx, arn)
			e = p.Entity
		}
	})
	return e, ok
}
