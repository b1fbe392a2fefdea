package iam

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
)

// AssumeRequest asks for a session of a role.
type AssumeRequest struct {
	RoleARN    string
	Name       string
	Life       time.Duration // zero is an hour
	ExternalID string
	Identity   string // SourceIdentity
	Policy     string // inline session policy
	Policies   []string
	Tags       []Tag
	Transitive []string // keys of tags that sessions assumed by this one have too
}

// Assumed is a session and who it is.
type Assumed struct {
	Credentials
	ARN, ID, SourceIdentity string
}

// Assume makes a session of a role for the caller of a step. Who is trusted by the role with its own name needs no more,
// in the role's account; everybody else also needs a policy that allows it.
func (s *Service) Assume(tx *cloud.Tx, q AssumeRequest) (Assumed, error) {
	r, ok := s.Role(tx, q.RoleARN)
	if !ok {
		return Assumed{}, s.mayNotAssume(tx, "sts:AssumeRole", q.RoleARN)
	}
	account, _ := accountAndName(tx, r.ARN, "role/")
	x := Session{
		Kind: cloud.KindRole, Role: key(r.Name), RoleID: r.ID, Name: q.Name, Identity: q.Identity, Policy: q.Policy, Policies: q.Policies,
		Limited: q.Policy != "" || len(q.Policies) > 0, Tags: q.Tags, Carried: q.Transitive,
	}
	tx.In(Home(tx.Caller.Account), func() { x.inherit(s.sessions.Get(tx, tx.Caller.Session)) })
	actions := []string{"sts:AssumeRole"}
	if len(q.Tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if q.Identity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	for _, action := range actions {
		if err := s.mayAssume(tx, action, r, account, q); err != nil {
			return Assumed{}, err
		}
	}
	if err := s.checkSession(tx, q, r); err != nil {
		return Assumed{}, err
	}
	if q.Life == 0 {
		q.Life = defaultSession
	}
	tx.In(Home(account), func() { x = s.begin(tx, x, q.Life) })
	return Assumed{x.credentials(), sessionARN(account, r.Name, q.Name), r.ID + ":" + q.Name, x.Identity}, nil
}

// inherit takes what a session hands on to those that it assumes.
func (x *Session) inherit(from Session, ok bool) {
	if !ok {
		return
	}
	if from.Identity != "" {
		x.Identity = from.Identity
	}
	for _, t := range from.Tags {
		carried := slices.ContainsFunc(from.Carried, func(k string) bool { return strings.EqualFold(k, t.Key) })
		if carried && !slices.ContainsFunc(x.Tags, func(o Tag) bool { return strings.EqualFold(o.Key, t.Key) }) {
			x.Tags, x.Carried = append(slices.Clone(x.Tags), t), append(slices.Clone(x.Carried), t.Key)
		}
	}
}

func (s *Service) mayNotAssume(tx *cloud.Tx, action, arn string) error {
	return &api.Error{Code: "AccessDenied", Status: 403, Message: "User: " + tx.Caller.ARN + " is not authorized to perform: " + action + " on resource: " + arn}
}

// mayAssume asks the role's trust and the caller's policies.
func (s *Service) mayAssume(tx *cloud.Tx, action string, r Role, account string, q AssumeRequest) error {
	same := tx.Caller.Account == account
	if tx.Caller.Kind == "" || tx.Caller.Above() && same {
		return nil
	}
	context := func(k string) []string {
		switch k {
		case "sts:externalid":
			return some(q.ExternalID)
		case "sts:rolesessionname":
			return some(q.Name)
		case "sts:sourceidentity":
			return some(q.Identity)
		}
		if t := (Thing{Tags: r.Tags, Brings: q.Tags}); strings.HasPrefix(k, "iam:") || strings.HasPrefix(k, "aws:") {
			return t.Key(k)
		}
		return nil
	}
	p, x := s.applying(tx)
	all := s.context(tx, x, context)
	ask := policy.Request{Action: action, Resource: r.ARN, Principal: s.Principal(tx), Context: all}
	trust := s.document(r.Trust, policy.Trust)
	if verdict, _ := trust.Evaluate(&ask); verdict != policy.Allowed {
		return s.mayNotAssume(tx, action, r.ARN)
	}
	if tx.Caller.Above() {
		return nil // the root of another account that is trusted
	}
	p.Resource = []*policy.Document{trust}
	d := p.Decide(&ask)
	switch {
	case d.Allowed():
		return nil
	case d.Verdict == policy.Denied:
		q := Question{Action: action, Resource: r.ARN}
		return Refusal("sts", action, refusal(tx.Caller, q, d))
	}
	return s.mayNotAssume(tx, action, r.ARN)
}

// checkSession checks how long a session is to be and its policies.
func (s *Service) checkSession(tx *cloud.Tx, q AssumeRequest, r Role) error {
	switch {
	case q.Life > r.MaxSession:
		return invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case tx.Caller.Kind == cloud.KindRole && q.Life > time.Hour:
		return invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	case policy.Size(q.Policy) > sessionSize:
		return api.Errorf("PackedPolicyTooLarge", "Serialized token too large for session")
	}
	if q.Policy != "" {
		if _, err := parse(q.Policy, policy.Identity); err != nil {
			return err
		}
	}
	for _, arn := range q.Policies {
		if _, ok := s.managed(tx, arn); !ok {
			return invalid("Policy %s does not exist or is not attachable.", arn)
		}
	}
	for i, t := range q.Tags {
		if slices.ContainsFunc(q.Tags[:i], func(o Tag) bool { return strings.EqualFold(o.Key, t.Key) }) {
			return api.Errorf("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
	}
	return nil
}

// Token makes a session of the caller itself, a user or root. Zero is as long as AWS's default: twelve hours.
func (s *Service) Token(tx *cloud.Tx, life time.Duration) (c Credentials, err error) {
	longest := longestUserToken
	x := Session{Kind: tx.Caller.Kind}
	account := tx.Caller.Account
	switch {
	case tx.Caller.Kind == cloud.KindRole || tx.Caller.Session != "":
		return c, &api.Error{Code: "AccessDenied", Status: 403, Message: "Cannot call GetSessionToken with session credentials"}
	case tx.Caller.Above():
		x.Kind, longest, account = cloud.KindRoot, longestRootToken, tx.Scope.Account
	}
	if life == 0 {
		life = min(12*time.Hour, longest)
	}
	life = max(min(life, longest), shortestSession)
	tx.In(Home(account), func() {
		for _, u := range s.caller(tx) {
			x.User = key(u.Name)
		}
		c = s.begin(tx, x, life).credentials()
	})
	return c, nil
}

// AccountOf is the account that an access key belongs to.
func (s *Service) AccountOf(accessKey string) (string, bool) {
	if scope, _, ok := s.keyIDs.Find(accessKey); ok {
		return scope.Account, true
	}
	scope, _, ok := s.sessionIDs.Find(accessKey)
	return scope.Account, ok
}
