// Package iam is Identity and Access Management: users, roles, groups, access keys, instance profiles and policies, the
// sessions that are made of roles, and the decision whether a caller may do what a call asks for.
//
// It knows no other service: what a call does and to what is told to it (see cloud/access). The one idea: a decision is a
// pure function of policy documents and a request (EC-IA-02, package policy); the rows here are what documents apply.
//
// Invariants: rows are those of an account, in no region (Home); a name is unique whatever its case; an access key's ID
// means one thing in the whole cloud; a policy document in a row has been parsed.
package iam

import (
	"iter"
	"strings"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is the service's name.
const Name = "iam"

// Region stands in the place of a region in the scopes of rows that belong to none.
const Region = "aws-global"

// Home is the scope of an account's rows.
func Home(account string) cloud.Scope { return cloud.Scope{Account: account, Region: Region} }

// Service is IAM. Its rows are those of an account, in no region.
type Service struct {
	cloud.Base
	users    cloud.Rows[User]
	groups   cloud.Rows[Group]
	roles    cloud.Rows[Role]
	profiles cloud.Rows[Profile]
	policies cloud.Rows[Policy]
	keys     cloud.Rows[AccessKey]
	uses     cloud.Rows[Use]
	sessions cloud.Rows[Session]
	currents cloud.Rows[string] // role and session name -> access key of the session that Session gives out

	members      cloud.Index[User]    // by group
	userPolicies cloud.Index[User]    // by the ARNs of attached policies and of the boundary
	rolePolicies cloud.Index[Role]    // likewise
	groupUses    cloud.Index[Group]   // likewise
	roleProfiles cloud.Index[Profile] // by role
	userKeys     cloud.Index[AccessKey]
	keyIDs       cloud.Index[AccessKey]
	sessionIDs   cloud.Index[Session]
	userSessions cloud.Index[Session]

	operations []cloud.Operation
	parsed     map[string]*policy.Document // of documents in rows; only for speed
}

// kindSession is the one kind of thing that is reconciled: sessions end.
const kindSession = "session"

// New makes the service.
func New() *Service {
	s := &Service{
		users: cloud.NewRows[User](Name + ".users"), groups: cloud.NewRows[Group](Name + ".groups"), roles: cloud.NewRows[Role](Name + ".roles"),
		profiles: cloud.NewRows[Profile](Name + ".instance-profiles"), policies: cloud.NewRows[Policy](Name + ".policies"),
		keys: cloud.NewRows[AccessKey](Name + ".access-keys"), uses: cloud.NewRows[Use](Name + ".access-key-uses"),
		sessions: cloud.NewRows[Session](Name + ".sessions"), currents: cloud.NewRows[string](Name + ".current-sessions"),
		parsed: map[string]*policy.Document{},
	}
	s.members = s.users.Index(func(_ string, u User) []string { return u.Groups })
	s.userPolicies = s.users.Index(func(_ string, u User) []string { return u.uses() })
	s.rolePolicies = s.roles.Index(func(_ string, r Role) []string { return r.uses() })
	s.groupUses = s.groups.Index(func(_ string, g Group) []string { return g.uses() })
	s.roleProfiles = s.profiles.Index(func(_ string, p Profile) []string { return some(p.Role) })
	s.userKeys = s.keys.Index(func(_ string, k AccessKey) []string { return []string{k.User} })
	s.keyIDs = s.keys.ByID()
	s.sessionIDs = s.sessions.ByID()
	s.userSessions = s.sessions.Index(func(_ string, x Session) []string { return some(x.User) })
	s.operations = s.makeOperations()
	return s
}

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store {
	return []table.Store{s.users, s.groups, s.roles, s.profiles, s.policies, s.keys, s.uses, s.sessions, s.currents}
}

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation { return s.operations }

// Reconcile implements cloud.Service: a session that has ended is forgotten a day later, so that its keys are told to
// have expired until then.
func (s *Service) Reconcile(tx *cloud.Tx, kind, id string) {
	x, ok := s.sessions.Get(tx, id)
	if !ok {
		return
	}
	if end := x.Expires.Add(forget); tx.Now().Before(end) {
		tx.At(Name, kind, id, end)
		return
	}
	s.sessions.Delete(tx, id)
	if current, _ := s.currents.Get(tx, x.currentKey()); current == id {
		s.currents.Delete(tx, x.currentKey())
	}
}

// Keys implements cloud.Service.
func (s *Service) Keys() iter.Seq[cloud.Key] {
	return func(yield func(cloud.Key) bool) {
		for k := range s.sessions.Everywhere() {
			k.Kind = kindSession
			if !yield(k) {
				return
			}
		}
	}
}

// maxParsed bounds the memory of parsed documents; a full one starts afresh.
const maxParsed = 4096

// document parses the document of a row.
func (s *Service) document(text string, kind policy.Kind) *policy.Document {
	d, ok := s.parsed[text]
	if !ok {
		d, _ = policy.Parse(text, kind) // it was found good when it came
		if d == nil {
			d = &policy.Document{}
		}
		if len(s.parsed) >= maxParsed {
			s.parsed = map[string]*policy.Document{}
		}
		s.parsed[text] = d
	}
	return d
}

// base32 digits of AWS's unique IDs.
const idDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// uniqueID makes an ID as IAM does: four letters of its kind and base-32 digits.
func uniqueID(tx *cloud.Tx, prefix string, n int) string { return prefix + text(tx, idDigits, n) }

// secretDigits are those of secret access keys.
const secretDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// text draws n of some digits, 32 or 64 of them.
func text(tx *cloud.Tx, digits string, n int) string {
	b := make([]byte, n)
	var bits uint64
	for i := range b {
		if i%8 == 0 {
			bits = tx.Uint64()
		}
		b[i] = digits[bits%uint64(len(digits))]
		bits >>= 8
	}
	return string(b)
}

// key is the row key of a name.
func key(name string) string { return strings.ToLower(name) }
