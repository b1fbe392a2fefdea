package lambda

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

// policyOf finds the policy of a function, or of a version or alias of it.
func policyOf(f Function, qualifier string) (int, bool) {
	return slices.BinarySearchFunc(f.Policies, qualifier, func(p Policy, q string) int { return cmp.Compare(p.Qualifier, q) })
}

// AddPermission lets somebody invoke a function.
func (s *Service) AddPermission(tx *cloud.Tx, in *shape.AddPermissionInput) (*shape.AddPermissionOutput, error) {
	f, q, err := s.qualified(tx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	switch {
	case q == latest:
		return nil, invalid("We currently do not support adding policies for $LATEST.")
	case in.PrincipalOrgID != nil || in.EventSourceToken != nil || in.FunctionUrlAuthType != nil || in.InvokedViaFunctionUrl != nil:
		return nil, invalid("PrincipalOrgID, EventSourceToken, FunctionUrlAuthType and InvokedViaFunctionUrl are not implemented here")
	}
	st := Statement{ID: api.Value(in.StatementId), Action: api.Value(in.Action), SourceARN: api.Value(in.SourceArn), SourceAccount: api.Value(in.SourceAccount)}
	switch p := api.Value(in.Principal); {
	case strings.HasSuffix(p, ".amazonaws.com"):
		st.Service = p
	case p == "*" || strings.HasPrefix(p, "arn:"):
		st.AWS = p
	case len(p) == 12 && number(p):
		st.AWS = "arn:aws:iam::" + p + ":root"
	default:
		return nil, invalid("The provided principal was invalid. Please check the principal and try again.")
	}
	i, found := policyOf(f, q)
	p := Policy{Qualifier: q}
	if found {
		p = f.Policies[i]
	}
	if in.RevisionId != nil && *in.RevisionId != p.Revision {
		return nil, errRevision("GetPolicy")
	}
	if slices.ContainsFunc(p.Statements, func(have Statement) bool { return have.ID == st.ID }) {
		return nil, conflict("The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", st.ID)
	}
	p.Statements = append(slices.Clone(p.Statements), st)
	if size := len(p.document(tx, f.Name)); size > maxPolicy {
		return nil, &api.Error{Code: "PolicyLengthExceededException", Status: 400, Message: "The final policy size (" + decimal(int64(size)) + ") is bigger than the limit (" + decimal(maxPolicy) + ")."}
	}
	p.Revision = tx.UUID()
	f.Policies = slices.Clone(f.Policies)
	if found {
		f.Policies[i] = p
	} else {
		f.Policies = slices.Insert(f.Policies, i, p)
	}
	s.functions.Put(tx, f.Name, f)
	return &shape.AddPermissionOutput{Statement: new(string(st.document(functionARN(tx.Scope, f.Name, q))))}, nil
}

// qualified gives a function and a qualifier that stands for something.
func (s *Service) qualified(tx *cloud.Tx, name, qualifier *string) (Function, string, error) {
	f, q, err := s.function(tx, name, qualifier)
	if err == nil {
		_, err = s.version(tx, f.Name, q)
	}
	return f, q, err
}

// RemovePermission takes one back.
func (s *Service) RemovePermission(tx *cloud.Tx, in *shape.RemovePermissionInput) (*shape.RemovePermissionOutput, error) {
	f, q, err := s.qualified(tx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	i, found := policyOf(f, q)
	if !found {
		return nil, notFound("No policy is associated with the given resource.")
	}
	p := f.Policies[i]
	if in.RevisionId != nil && *in.RevisionId != p.Revision {
		return nil, errRevision("GetPolicy")
	}
	at := slices.IndexFunc(p.Statements, func(st Statement) bool { return st.ID == api.Value(in.StatementId) })
	if at < 0 {
		return nil, notFound("Statement %s is not found in resource policy.", api.Value(in.StatementId))
	}
	p.Statements, p.Revision = slices.Delete(slices.Clone(p.Statements), at, at+1), tx.UUID()
	f.Policies = slices.Clone(f.Policies)
	if f.Policies[i] = p; len(p.Statements) == 0 {
		f.Policies = slices.Delete(f.Policies, i, i+1)
	}
	s.functions.Put(tx, f.Name, f)
	return &shape.RemovePermissionOutput{}, nil
}

// GetPolicy shows who may invoke a function.
func (s *Service) GetPolicy(tx *cloud.Tx, in *shape.GetPolicyInput) (*shape.GetPolicyOutput, error) {
	f, q, err := s.qualified(tx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	i, found := policyOf(f, q)
	if !found {
		return nil, notFound("The resource you requested does not exist.")
	}
	return &shape.GetPolicyOutput{Policy: new(string(f.Policies[i].document(tx, f.Name))), RevisionId: new(f.Policies[i].Revision)}, nil
}

// document is a policy as JSON.
func (p Policy) document(tx *cloud.Tx, function string) []byte {
	var d struct {
		Version   string
		ID        string `json:"Id"`
		Statement []json.RawMessage
	}
	d.Version, d.ID = "2012-10-17", "default"
	for _, st := range p.Statements {
		d.Statement = append(d.Statement, st.document(functionARN(tx.Scope, function, p.Qualifier)))
	}
	return encoded(d)
}

func (st Statement) document(resource string) json.RawMessage {
	var d struct {
		Sid       string
		Effect    string
		Principal any
		Action    string
		Resource  string
		Condition map[string]map[string]string `json:",omitempty"`
	}
	d.Sid, d.Effect, d.Action, d.Resource = st.ID, "Allow", st.Action, resource
	switch {
	case st.Service != "":
		d.Principal = map[string]string{"Service": st.Service}
	case st.AWS == "*":
		d.Principal = "*"
	default:
		d.Principal = map[string]string{"AWS": st.AWS}
	}
	d.Condition = map[string]map[string]string{}
	if st.SourceAccount != "" {
		d.Condition["StringEquals"] = map[string]string{"AWS:SourceAccount": st.SourceAccount}
	}
	if st.SourceARN != "" {
		d.Condition["ArnLike"] = map[string]string{"AWS:SourceArn": st.SourceARN}
	}
	return encoded(d)
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts only
	}
	return b
}

// Named tells the tags of a function and the policy of what an ARN names, for decisions on calls.
func (s *Service) Named(tx *cloud.Tx, arn string) (tags []Tag, policy string, ok bool) {
	f, q, err := s.qualified(tx, &arn, nil)
	if err != nil {
		return nil, "", false
	}
	if i, found := policyOf(f, q); found {
		policy = string(f.Policies[i].document(tx, f.Name))
	}
	return f.Tags, policy, true
}

// mayInvoke is the error if a service may not invoke a function because of something (EC-IA-03).
func (s *Service) mayInvoke(tx *cloud.Tx, f Function, qualifier, principal, sourceARN string) error {
	act := iam.Act{Service: principal, Source: sourceARN, Action: "lambda:InvokeFunction", Resource: functionARN(tx.Scope, f.Name, qualifier)}
	if i, found := policyOf(f, qualifier); found {
		act.Policy = string(f.Policies[i].document(tx, f.Name))
	}
	return s.identities.MayAct(tx, act)
}
