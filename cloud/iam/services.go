package iam

import (
	"strings"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
)

// Act is what a service of AWS is about to do for an account: a rule calls its target, a hook tells one, a topic sends to
// a queue.
type Act struct {
	Service  string // who does it: "events.amazonaws.com"
	Role     string // name or ARN of the role in which it does it; empty if in none
	Source   string // ARN of what it does it for: aws:SourceArn, with the account for aws:SourceAccount; may be empty
	Action   string // "sqs:SendMessage"
	Resource string // ARN of what it does it to
	Policy   string // document of that resource; empty if it has none
	// Context gives further condition keys, by key in lower case. It may be nil.
	Context func(key string) []string
}

// MayAct is the error, in the words of the action's service, if a service may not do something (EC-IA-02, EC-IA-03). In a
// role it may do what the role's policies or the resource's allow and none denies, if the role trusts it; in none, what the
// resource's policy allows it.
func (s *Service) MayAct(tx *cloud.Tx, a Act) error {
	who := policy.Principal{Service: a.Service}
	p := policy.Policies{Resource: s.ResourcePolicy(a.Policy)}
	name := a.Service
	if a.Role != "" {
		r, ok := s.roleOf(tx, a)
		name = sessionARN(tx.Scope.Account, baseName(a.Role), strings.TrimSuffix(a.Service, ".amazonaws.com"))
		if !ok || !s.trusts(tx, r, a) {
			return refusedAct(a.Service, Act{Action: "sts:AssumeRole", Resource: a.Role}, policy.Decision{Why: policy.ByResource})
		}
		account, _ := accountAndName(tx, r.ARN, "role/")
		who = policy.Principal{ARNs: []string{name, r.ID + ":" + baseName(name), r.ID, r.ARN}, Account: account}
		tx.In(Home(account), func() {
			of := s.policiesOf(tx, r.Grants, nil)
			p.Identity, p.Boundary = of.Identity, of.Boundary
		})
	}
	d := p.Decide(&policy.Request{Action: a.Action, Resource: a.Resource, Principal: who, Context: a.context(tx, who)})
	if d.Allowed() {
		return nil
	}
	if a.Role == "" && d.Verdict == policy.Silent {
		d.Why = policy.ByResource
	}
	return refusedAct(name, a, d)
}

// roleOf is the role of an act; the service-linked one is what it will be if nobody has made it yet.
func (s *Service) roleOf(tx *cloud.Tx, a Act) (Role, bool) {
	r, ok := s.Role(tx, a.Role)
	for _, l := range linked {
		if !ok && l.service == a.Service && a.Role == LinkedRole(tx, a.Service) {
			r = linkedRole(l.service, l.policy)
			r.ARN, ok = a.Role, true
		}
	}
	return r, ok
}

func refusedAct(name string, a Act, d policy.Decision) error {
	service, _, _ := strings.Cut(a.Action, ":")
	q := Question{Action: a.Action, Resource: a.Resource}
	return Refusal(service, a.Action, refusal(cloud.Caller{ARN: name}, q, d))
}

// context are the condition keys of an act.
func (a Act) context(tx *cloud.Tx, who policy.Principal) func(string) []string {
	byService := who.Service != ""
	return func(k string) []string {
		if a.Context != nil {
			if v := a.Context(k); v != nil {
				return v
			}
		}
		switch k {
		case "aws:sourcearn":
			return some(a.Source)
		case "aws:sourceaccount":
			if part := strings.SplitN(a.Source, ":", 6); len(part) == 6 && part[4] != "" {
				return []string{part[4]}
			}
			return some(tx.Scope.Account)
		case "aws:securetransport":
			return []string{"true"}
		case "aws:principalisawsservice":
			return truth(byService)
		case "aws:viaawsservice":
			return truth(!byService)
		case "aws:principalservicename":
			return some(who.Service)
		case "aws:principalaccount":
			return some(who.Account)
		case "aws:principalarn":
			return who.ARNs[max(0, len(who.ARNs)-1):]
		}
		return requestKey(tx, k)
	}
}

// Trusts tells whether a service of AWS may assume a role for this account.
func (s *Service) Trusts(tx *cloud.Tx, r Role, service string) bool {
	return s.trusts(tx, r, Act{Service: service})
}

func (s *Service) trusts(tx *cloud.Tx, r Role, a Act) bool {
	who := policy.Principal{Service: a.Service}
	a.Context = nil
	verdict, _ := s.document(r.Trust, policy.Trust).Evaluate(&policy.Request{Action: "sts:AssumeRole", Resource: r.ARN, Principal: who, Context: a.context(tx, who)})
	return verdict == policy.Allowed
}

func truth(b bool) []string {
	if b {
		return []string{"true"}
	}
	return []string{"false"}
}
