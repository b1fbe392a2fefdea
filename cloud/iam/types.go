package iam

import (
	"slices"
	"time"
)

// Tag is a key and a value on an entity.
type Tag struct{ Key, Value string }

// Inline is a policy that belongs to one entity.
type Inline struct{ Name, Document string }

// Entity is what users, groups, roles, profiles and policies have in common.
type Entity struct {
	Name    string
	Path    string
	ID      string // "AIDA..."
	ARN     string
	Created time.Time
	Tags    []Tag // in order of key
}

// Grants are what a user, group or role may do.
type Grants struct {
	Attached []string // ARNs of managed policies, in the order of their attachment
	Inline   []Inline // in order of name
	Boundary string   // ARN of the managed policy that limits them; empty is none
}

// uses are the ARNs of managed policies that an entity uses, for an index: a boundary's stands behind a "boundary ".
func (g Grants) uses() []string {
	if g.Boundary == "" {
		return g.Attached
	}
	return append(slices.Clone(g.Attached), boundaryUse(g.Boundary))
}

func boundaryUse(arn string) string { return "boundary " + arn }

// User is a person or program with keys of its own.
type User struct {
	Entity
	Grants
	Groups []string // keys, in the order in which the user was added
}

// Group is a set of users.
type Group struct {
	Entity
	Grants
}

// Role is what others assume.
type Role struct {
	Entity
	Grants
	Trust       string // the document that says who may
	Description string
	MaxSession  time.Duration
	Service     string // of a service-linked role: "autoscaling.amazonaws.com"
	LastUsed    time.Time
	LastRegion  string
}

// Profile is an instance profile: the container of one role for instances (EC-IA-01).
type Profile struct {
	Entity
	Role string // key; empty is none
}

// Policy is a customer managed policy. Its key is its ARN.
type Policy struct {
	Entity
	Description string
	Default     string // version
	Next        int    // number of the next version
	Versions    []Version
	Updated     time.Time
}

// Version is one version of a managed policy.
type Version struct {
	ID       string // "v1"
	Document string
	Created  time.Time
}

// document is the default version's.
func (p Policy) document() string {
	for _, v := range p.Versions {
		if v.ID == p.Default {
			return v.Document
		}
	}
	return ""
}

// AccessKey is a long-term key of a user. Its key is its ID.
type AccessKey struct {
	ID      string
	Secret  string
	User    string // key
	Active  bool
	Created time.Time
}

// Use is when and for what an access key was last used, to the quarter of an hour.
type Use struct {
	At      time.Time
	Service string
	Region  string
}

// Session is temporary credentials: of a role, or of a user's GetSessionToken. Its key is the access key.
type Session struct {
	AccessKey string
	Secret    string
	Token     string
	Made      time.Time
	Expires   time.Time
	Kind      string // cloud.KindRole, cloud.KindUser or cloud.KindRoot
	Role      string // key; empty if it is no role's
	RoleID    string // the role that it is a session of: one made anew under the name is another one
	User      string // key; empty if it is no user's
	Name      string // of a role's session
	Identity  string // SourceIdentity
	Policy    string // inline session policy
	Policies  []string
	Limited   bool // there are session policies
	Tags      []Tag
	Carried   []string // keys of tags that chained sessions have too
}

// currentKey is the key of the row that says which of a role's sessions is given out.
func (x Session) currentKey() string { return x.Role + "/" + x.Name }
