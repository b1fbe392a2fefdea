package iam

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
)

// Question is whether the caller of a step may do something.
type Question struct {
	Action   string // "ec2:AssociateAddress"
	Resource string // an ARN, or "*"
	// Context gives the condition keys that the call and the resource have, by key in lower case; those of the caller and
	// of the request as such are known here. It may be nil.
	Context func(key string) []string
	// Resources are policies of the resource itself, if it has any.
	Resources []*policy.Document
}

// Thing is a resource as policies see it. All of it may be empty.
type Thing struct {
	ARN    string
	Tags   []Tag
	Brings []Tag             // tags that the call gives it, where they are not the call's own
	Keys   map[string]string // condition keys, in lower case: "ec2:instancetype"
	Policy string            // document of the resource itself
}

// Key gives a condition key that a resource has.
func (t *Thing) Key(key string) []string {
	if v := t.Keys[key]; v != "" {
		return []string{v}
	}
	_, name, ok := strings.Cut(key, ":resourcetag/")
	if ok {
		return tagNamed(t.Tags, name)
	}
	if name, ok = strings.CutPrefix(key, "aws:requesttag/"); ok {
		return tagNamed(t.Brings, name)
	}
	if key == "aws:tagkeys" {
		return tagKeys(t.Brings)
	}
	return nil
}

func tagNamed(tags []Tag, name string) []string {
	for _, t := range tags {
		if strings.EqualFold(t.Key, name) {
			return []string{t.Value}
		}
	}
	return nil
}

func tagKeys(tags []Tag) []string {
	var keys []string
	for _, t := range tags {
		keys = append(keys, t.Key)
	}
	return keys
}

// Principal is the caller as policies of resources and roles name it.
func (s *Service) Principal(tx *cloud.Tx) policy.Principal {
	c := tx.Caller
	p := policy.Principal{ARNs: []string{c.ARN, c.ID}, Account: c.Account}
	if c.Kind == cloud.KindRole {
		id, _, _ := strings.Cut(c.ID, ":")
		p.ARNs = append(p.ARNs, id)
		tx.In(Home(c.Account), func() {
			x, _ := s.sessions.Get(tx, c.Session)
			if r, ok := s.roles.Get(tx, x.Role); ok {
				p.ARNs = append(p.ARNs, r.ARN)
			}
		})
	}
	return p
}

// applying are the policies that apply to the caller of a step.
func (s *Service) applying(tx *cloud.Tx) (p policy.Policies, x Session) {
	c := tx.Caller
	tx.In(Home(c.Account), func() {
		if c.Session != "" {
			x, _ = s.sessions.Get(tx, c.Session)
		}
		switch c.Kind {
		case cloud.KindUser:
			name := c.ARN[strings.LastIndexByte(c.ARN, '/')+1:]
			u, ok := s.users.Get(tx, key(name))
			if ok && u.ID == c.ID {
				p = s.policiesOf(tx, u.Grants, u.Groups)
			}
		case cloud.KindRole:
			if r, ok := s.roles.Get(tx, x.Role); ok && r.ID == x.RoleID {
				p = s.policiesOf(tx, r.Grants, nil)
			}
		}
		if x.Limited {
			p.Session = []*policy.Document{}
			if x.Policy != "" {
				p.Session = append(p.Session, s.document(x.Policy, policy.Identity))
			}
			p.Session = s.addManaged(tx, p.Session, x.Policies)
		}
	})
	return p, x
}

// policiesOf are the documents of a user's or role's grants and of those of its groups.
func (s *Service) policiesOf(tx *cloud.Tx, g Grants, groups []string) policy.Policies {
	var p policy.Policies
	p.Identity = s.addGrants(tx, nil, g)
	for _, name := range groups {
		if group, ok := s.groups.Get(tx, name); ok {
			p.Identity = s.addGrants(tx, p.Identity, group.Grants)
		}
	}
	if g.Boundary != "" {
		p.Boundary = &policy.Document{} // one that has gone allows nothing
		if m, ok := s.managed(tx, g.Boundary); ok {
			p.Boundary = s.document(m.document(), policy.Identity)
		}
	}
	return p
}

func (s *Service) addGrants(tx *cloud.Tx, to []*policy.Document, g Grants) []*policy.Document {
	for _, i := range g.Inline {
		to = append(to, s.document(i.Document, policy.Identity))
	}
	return s.addManaged(tx, to, g.Attached)
}

func (s *Service) addManaged(tx *cloud.Tx, to []*policy.Document, arns []string) []*policy.Document {
	for _, arn := range arns {
		if m, ok := s.managed(tx, arn); ok {
			to = append(to, s.document(m.document(), policy.Identity))
		}
	}
	return to
}

// Decide decides on a question about the caller of a step who is not above all policies (EC-IA-02).
func (s *Service) Decide(tx *cloud.Tx, q Question) policy.Decision {
	p, x := s.applying(tx)
	if x.Kind == cloud.KindUser && tokenRefuses(q.Action) {
		return policy.Decision{Policy: -1, Statement: -1}
	}
	p.Resource = q.Resources
	return p.Decide(&policy.Request{Action: q.Action, Resource: q.Resource, Principal: s.Principal(tx), Context: s.context(tx, x, q.Context)})
}

// tokenRefuses are actions for which the credentials of GetSessionToken are no good: IAM's without multi-factor
// authentication, and STS's but two.
func tokenRefuses(action string) bool {
	service, name, _ := strings.Cut(action, ":")
	return service == "iam" && name != "PassRole" || service == "sts" && name != "AssumeRole" && name != "GetCallerIdentity"
}

// context are the condition keys of the caller and the request as such, under what the question brings.
func (s *Service) context(tx *cloud.Tx, x Session, more func(string) []string) func(string) []string {
	c := tx.Caller
	return func(k string) []string {
		if more != nil {
			if v := more(k); v != nil {
				return v
			}
		}
		if tag, ok := strings.CutPrefix(k, "aws:principaltag/"); ok {
			return s.principalTag(tx, x, tag)
		}
		switch k {
		case "aws:sourceip":
			return some(c.Address)
		case "aws:securetransport", "aws:viaawsservice", "aws:principalisawsservice":
			return []string{"false"}
		case "aws:principalaccount", "aws:resourceaccount":
			return some(c.Account)
		case "aws:userid":
			return some(c.ID)
		case "aws:principaltype":
			return []string{map[string]string{cloud.KindUser: "User", cloud.KindRole: "AssumedRole", cloud.KindRoot: "Account"}[c.Kind]}
		case "aws:principalarn":
			if p := s.Principal(tx).ARNs; c.Kind == cloud.KindRole {
				return some(p[len(p)-1])
			}
			return some(c.ARN)
		case "aws:username":
			if c.Kind == cloud.KindUser {
				return some(c.ARN[strings.LastIndexByte(c.ARN, '/')+1:])
			}
		case "aws:tokenissuetime":
			if c.Session != "" {
				return []string{x.Made.Format(time.RFC3339)}
			}
		case "aws:multifactorauthpresent":
			if c.Session != "" {
				return []string{"false"}
			}
		case "aws:sourceidentity":
			return some(x.Identity)
		}
		return requestKey(tx, k)
	}
}

// requestKey is a condition key that every request has, whoever makes it.
func requestKey(tx *cloud.Tx, k string) []string {
	switch k {
	case "aws:currenttime":
		return []string{tx.Now().Format(time.RFC3339)}
	case "aws:epochtime":
		return []string{strconv.FormatInt(tx.Now().Unix(), 10)}
	case "aws:requestedregion", "ec2:region":
		return []string{tx.Scope.Region}
	}
	return nil
}

// principalTag is a tag of the session, or else of the user or role.
func (s *Service) principalTag(tx *cloud.Tx, x Session, name string) (value []string) {
	c := tx.Caller
	tx.In(Home(c.Account), func() {
		tags := x.Tags
		if r, ok := s.roles.Get(tx, x.Role); ok && x.Role != "" {
			tags = append(tags[:len(tags):len(tags)], r.Tags...)
		}
		for _, u := range s.caller(tx) {
			tags = append(tags[:len(tags):len(tags)], u.Tags...)
		}
		value = tagNamed(tags, name)
	})
	return value
}

func some(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// Check is the error, in the words of the action's service, if the caller of a step may not do something.
func (s *Service) Check(tx *cloud.Tx, q Question) error {
	if tx.Caller.Above() {
		return nil
	}
	d := s.Decide(tx, q)
	if d.Allowed() {
		return nil
	}
	service, _, _ := strings.Cut(q.Action, ":")
	return Refusal(service, q.Action, refusal(tx.Caller, q, d))
}

// MayPass is the error if the caller of a step may not pass a role to a service such as "lambda.amazonaws.com", in the
// words of that service.
func (s *Service) MayPass(tx *cloud.Tx, roleARN, service string) error {
	if tx.Caller.Above() {
		return nil
	}
	q := Question{Action: "iam:PassRole", Resource: roleARN, Context: func(k string) []string {
		if k == "iam:passedtoservice" {
			return []string{service}
		}
		return nil
	}}
	d := s.Decide(tx, q)
	if d.Allowed() {
		return nil
	}
	name, _, _ := strings.Cut(service, ".")
	return Refusal(name, q.Action, refusal(tx.Caller, q, d))
}

// Allows tells whether a policy of a resource, by itself, allows something; context may be nil.
func (s *Service) Allows(_ *cloud.Tx, document string, who policy.Principal, action, resource string, context func(key string) []string) bool {
	if document == "" {
		return false
	}
	verdict, _ := s.document(document, policy.Resource).Evaluate(&policy.Request{Action: action, Resource: resource, Principal: who, Context: context})
	return verdict == policy.Allowed
}

// ResourcePolicy is the parsed policy of a resource, for a Question.
func (s *Service) ResourcePolicy(document string) []*policy.Document {
	if document == "" {
		return nil
	}
	return []*policy.Document{s.document(document, policy.Resource)}
}

// refusal is AWS's sentence.
func refusal(c cloud.Caller, q Question, d policy.Decision) string {
	switch service, name, _ := strings.Cut(q.Action, ":"); service { // these two write actions in their own way
	case "sns":
		q.Action = "SNS:" + name
	case "sqs":
		q.Action = strings.ToLower(q.Action)
	}
	text := "User: " + c.ARN + " is not authorized to perform: " + q.Action
	if q.Resource != "*" && q.Resource != "" {
		text += " on resource: " + q.Resource
	}
	names := map[policy.Why]string{
		policy.ByIdentity: "identity-based policy", policy.ByResource: "resource-based policy", policy.ByBoundary: "permissions boundary", policy.BySession: "session policy",
	}
	if d.Verdict != policy.Denied {
		return text + " because no " + names[d.Why] + " allows the " + q.Action + " action"
	}
	article := "a "
	if d.Why == policy.ByIdentity {
		article = "an "
	}
	return text + " with an explicit deny in " + article + names[d.Why]
}

// Refusal is a refusal in the form of a service.
func Refusal(service, action, text string) error {
	switch service {
	case "ec2":
		message, err := json.Marshal(struct {
			Allowed        bool
			Action, Reason string
		}{false, action, text})
		if err != nil {
			panic(err)
		}
		return &api.Error{Code: "UnauthorizedOperation", Status: 403, Message: "You are not authorized to perform this operation. " + text +
			". Encoded authorization failure message: " + base64.RawURLEncoding.EncodeToString(message)}
	case "sns":
		return &api.Error{Code: "AuthorizationError", Status: 403, Message: text}
	case "lambda":
		return &api.Error{Code: "AccessDeniedException", Status: 403, Message: text}
	case "events", "logs", "ssm":
		return &api.Error{Code: "AccessDeniedException", Status: 400, Message: text}
	}
	return &api.Error{Code: "AccessDenied", Status: 403, Message: text}
}
