// Package policy is the language of IAM policies: documents are parsed and checked, and a request is decided on by
// those that apply to it.
//
// It knows no users, roles or services: what is asked for comes as names, ARNs and context keys. The one idea (EC-IA-02):
// a decision is a pure function of documents and a request. An explicit deny anywhere wins; then a permissions boundary
// and session policies, where there are any, must each allow; then an identity or a resource policy must, and both of
// them if the resource is another account's; else it is denied.
//
// Invariants: a document never changes after it was parsed, so it may be kept and shared; evaluating neither fails nor
// allocates for documents without variables; no document, however written, costs more than its length times the request's.
package policy

import "strings"

// Document is a parsed policy.
type Document struct {
	Version    string // "2012-10-17" or "2008-10-17"
	ID         string
	Statements []Statement
}

// Statement is one statement of a document.
type Statement struct {
	Sid        string
	Deny       bool
	Actions    matcher // Action or NotAction
	Resources  matcher // Resource or NotResource
	Principals principals
	Conditions []condition
}

// matcher is a list of patterns, or everything but them.
type matcher struct {
	Not      bool
	Patterns []pattern
	Given    bool
}

// Request is what is asked for.
type Request struct {
	Action    string // "ec2:AssociateAddress"
	Resource  string // an ARN, or "*" where an action is about nothing in particular
	Principal Principal
	// Context gives the values of a condition key, which is in lower case; nil if the request does not have it.
	Context func(key string) []string
}

// Principal is who asks, for policies that name principals: those of resources and of roles' trust.
type Principal struct {
	// ARNs are all that the principal may be named by: its own ARN and ID first, then those of the role whose session it is.
	ARNs    []string
	Account string
	Service string // "ec2.amazonaws.com", if a service asks

	itself bool // only its own names count
}

// Verdict is what policies say of a request.
type Verdict int

// The verdicts.
const (
	Silent  Verdict = iota // nothing says anything: an implicit deny
	Allowed                // something allows it and nothing denies it
	Denied                 // something denies it
)

// Policies are all documents that apply to a request.
type Policies struct {
	Identity []*Document // of the user and its groups, or of the role
	Resource []*Document // of what is asked for
	// Boundary and Session limit what identity policies allow. They do not limit where there is none: nil.
	Boundary *Document
	Session  []*Document
}

// Why says what a decision rests on.
type Why int

// What decisions rest on.
const (
	ByIdentity Why = iota
	ByResource
	ByBoundary
	BySession
)

// Decision is the outcome for a request.
type Decision struct {
	Verdict Verdict
	Why     Why
	// Policy is the place, in its list of Policies, of the document that decided, and Statement that of the statement in it;
	// -1 if nothing says anything.
	Policy, Statement int
}

// Allowed tells whether the request may go on.
func (d Decision) Allowed() bool { return d.Verdict == Allowed }

// Decide decides on a request (EC-IA-02).
func (p *Policies) Decide(r *Request) Decision {
	lists := [...][]*Document{ByIdentity: p.Identity, ByResource: p.Resource, ByBoundary: one(p.Boundary), BySession: p.Session}
	var said [len(lists)]Decision
	for why, documents := range lists {
		said[why] = Decision{Silent, Why(why), -1, -1}
		for i, d := range documents {
			switch verdict, statement := d.Evaluate(r); {
			case verdict == Denied:
				return Decision{Denied, Why(why), i, statement}
			case verdict == Allowed && said[why].Verdict == Silent:
				said[why] = Decision{Allowed, Why(why), i, statement}
			}
		}
	}
	allowed := said[ByIdentity]
	switch {
	case r.foreign():
		if allowed.Allowed() && !said[ByResource].Allowed() {
			return said[ByResource]
		}
	case said[ByResource].Allowed() && r.Principal.Service != "":
		return said[ByResource]
	case said[ByResource].Allowed() && p.named(r, true):
		return said[ByResource] // whom the resource names itself is limited by nobody else
	case said[ByResource].Allowed() && !allowed.Allowed() && p.named(r, false):
		allowed = said[ByResource]
	}
	switch {
	case !allowed.Allowed():
		return allowed
	case p.Boundary != nil && !said[ByBoundary].Allowed():
		return said[ByBoundary]
	case p.Session != nil && !said[BySession].Allowed():
		return said[BySession]
	}
	return allowed
}

// named tells whether resource policies allow the principal something by a name of its own, or, if not itself, also by its
// role's or by that of everybody. A name that is the whole account's leaves it to the account's own policies.
func (p *Policies) named(r *Request, itself bool) bool {
	own := *r
	if own.Principal.Account = ""; itself {
		own.Principal.ARNs, own.Principal.itself = own.Principal.ARNs[:min(len(own.Principal.ARNs), 2)], true
	}
	for _, d := range p.Resource {
		if verdict, _ := d.Evaluate(&own); verdict == Allowed {
			return true
		}
	}
	return false
}

// foreign tells whether a request is about what another account has: policies of both must allow it.
func (r *Request) foreign() bool {
	if r.Principal.Service != "" || r.Principal.Account == "" {
		return false
	}
	part := r.Resource
	for range 4 {
		_, after, ok := strings.Cut(part, ":")
		if part = after; !ok {
			return false
		}
	}
	account, _, _ := strings.Cut(part, ":")
	return len(account) == accountDigits && account != r.Principal.Account && account[0] >= '0' && account[0] <= '9'
}

// accountDigits is how long the number of an account is.
const accountDigits = 12

func one(d *Document) []*Document {
	if d == nil {
		return nil
	}
	return []*Document{d}
}

// Evaluate is what one document says of a request, and the place of the statement that says so, or -1.
func (d *Document) Evaluate(r *Request) (v Verdict, statement int) {
	statement = -1
	for i := range d.Statements {
		s := &d.Statements[i]
		if v == Allowed && !s.Deny || !s.applies(r) {
			continue
		}
		if s.Deny {
			return Denied, i
		}
		v, statement = Allowed, i
	}
	return v, statement
}

// applies tells whether a statement is about a request.
func (s *Statement) applies(r *Request) bool {
	if !s.action(r.Action) || s.Resources.Given && !s.resource(r) {
		return false
	}
	if s.Principals.Given && !s.Principals.match(r.Principal) {
		return false
	}
	for i := range s.Conditions {
		if !s.Conditions[i].holds(r.Context) {
			return false
		}
	}
	return true
}

func (s *Statement) action(action string) bool {
	for i := range s.Actions.Patterns {
		if s.Actions.Patterns[i].fold(action) {
			return !s.Actions.Not
		}
	}
	return s.Actions.Not
}

func (s *Statement) resource(r *Request) bool {
	for i := range s.Resources.Patterns {
		p := &s.Resources.Patterns[i]
		text, ok := p.expand(r.Context)
		if ok && match(text, r.Resource) {
			return !s.Resources.Not
		}
		if !ok && s.Resources.Not {
			return false // what is left out is not known: the statement is about nothing
		}
	}
	return s.Resources.Not
}

// principals are those of a statement: lists by kind, or everybody.
type principals struct {
	Given, Not bool
	Everybody  bool
	AWS        []string // ARNs, accounts, unique IDs
	Service    []string
	Other      []string // of federations, kept and never matched
}

// match tells whether a statement with a Principal is about one.
func (p *principals) match(who Principal) bool {
	found := p.Everybody && !(who.itself && !p.Not)
	for _, s := range p.Service {
		found = found || who.Service != "" && (s == "*" || strings.EqualFold(s, who.Service))
	}
	for _, a := range p.AWS {
		found = found || who.Service == "" && names(a, who)
	}
	return found != p.Not
}

// names tells whether a name of the AWS kind is one of a principal's: its ARN, its account, or the account's root.
func names(name string, who Principal) bool {
	if name == who.Account && name != "" {
		return true
	}
	for _, arn := range who.ARNs {
		if name == arn {
			return true
		}
	}
	account, ok := strings.CutPrefix(name, "arn:aws:iam::")
	return ok && account == who.Account+":root" && who.Account != ""
}
