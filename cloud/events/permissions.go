package events

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/events"
	"github.com/billow-cloud/billow/cloud"
)

// A bus's policy says who from other accounts may put events on it. It is kept statement by statement, as they came.

// maxPolicy is how long a bus's policy may be.
const maxPolicy = 10_240

// policyVersion is that of policies which are made of single permissions.
const policyVersion = "2012-10-17"

// document is a policy's outer JSON.
type document struct {
	Version   string
	Statement []json.RawMessage
}

// policy is the JSON of a bus's policy; empty if it has none.
func (b Bus) policy() string {
	if len(b.Statements) == 0 {
		return ""
	}
	d := document{Version: b.Version}
	for _, s := range b.Statements {
		d.Statement = append(d.Statement, json.RawMessage(s))
	}
	return string(encode(d))
}

// sid is the ID of a statement.
func sid(statement string) string {
	var s struct{ Sid string }
	_ = json.Unmarshal([]byte(statement), &s) // it was checked when it came
	return s.Sid
}

// PutPermission sets one statement of a bus's policy, or all of it.
func (s *Service) PutPermission(tx *cloud.Tx, in *shape.PutPermissionInput) (*shape.PutPermissionOutput, error) {
	b, err := s.bus(tx, in.EventBusName)
	if err != nil {
		return nil, err
	}
	if in.Policy != nil {
		if in.Action != nil || in.Principal != nil || in.StatementId != nil || in.Condition != nil {
			return nil, invalid("Policy cannot be specified with Action, Principal, StatementId or Condition.")
		}
		if b.Version, b.Statements, err = statements(*in.Policy); err != nil {
			return nil, err
		}
	} else {
		statement, err := permission(tx, b, in)
		if err != nil {
			return nil, err
		}
		b.Statements = slices.DeleteFunc(slices.Clone(b.Statements), func(x string) bool { return sid(x) == *in.StatementId })
		b.Version, b.Statements = policyVersion, append(b.Statements, statement)
	}
	if len(b.policy()) > maxPolicy {
		return nil, api.Errorf("PolicyLengthExceededException", "The event bus policy is longer than %d characters.", maxPolicy)
	}
	s.putBus(tx, b)
	return &shape.PutPermissionOutput{}, nil
}

// statements takes a policy apart.
func statements(text string) (version string, list []string, err error) {
	wrong := invalid("The policy is not valid.")
	var d struct {
		Version   string
		Statement json.RawMessage
	}
	if json.Unmarshal([]byte(text), &d) != nil {
		return "", nil, wrong
	}
	var many []json.RawMessage
	if json.Unmarshal(d.Statement, &many) != nil {
		many = []json.RawMessage{d.Statement}
	}
	for _, raw := range many {
		var s struct {
			Effect            string
			Principal, Action any
		}
		if json.Unmarshal(raw, &s) != nil || s.Effect != "Allow" && s.Effect != "Deny" || s.Principal == nil || s.Action == nil {
			return "", nil, wrong
		}
		list = append(list, string(encode(raw)))
	}
	if len(list) == 0 {
		return "", nil, wrong
	}
	if d.Version == "" {
		d.Version = "2008-10-17"
	}
	return d.Version, list, nil
}

// permission makes a statement of the single members of a call.
func permission(tx *cloud.Tx, b Bus, in *shape.PutPermissionInput) (string, error) {
	for _, need := range []struct {
		name  string
		value *string
	}{{"Action", in.Action}, {"Principal", in.Principal}, {"StatementId", in.StatementId}} {
		if need.value == nil {
			return "", invalid("Parameter %s must be specified.", need.name)
		}
	}
	if *in.Action != "events:PutEvents" {
		return "", invalid("Provided value in parameter 'action' is not supported.")
	}
	type allowance struct {
		Sid, Effect string
		Principal   any
		Action      string
		Resource    string
		Condition   any `json:",omitempty"`
	}
	a := allowance{Sid: *in.StatementId, Effect: "Allow", Principal: *in.Principal, Action: *in.Action, Resource: busARN(tx.Scope, b.Name)}
	if *in.Principal != "*" {
		a.Principal = map[string]string{"AWS": "arn:aws:iam::" + *in.Principal + ":root"}
	}
	if c := in.Condition; c != nil {
		if *c.Type != "StringEquals" || *c.Key != "aws:PrincipalOrgID" {
			return "", invalid("Provided value in parameter 'condition' is not supported.")
		}
		a.Condition = map[string]map[string]string{*c.Type: {*c.Key: *c.Value}}
	}
	return string(encode(a)), nil
}

// RemovePermission takes a statement, or all, from a bus's policy.
func (s *Service) RemovePermission(tx *cloud.Tx, in *shape.RemovePermissionInput) (*shape.RemovePermissionOutput, error) {
	b, err := s.bus(tx, in.EventBusName)
	if err != nil {
		return nil, err
	}
	if api.Value(in.RemoveAllPermissions) {
		if len(b.Statements) > 0 {
			b.Statements = nil
			s.putBus(tx, b)
		}
		return &shape.RemovePermissionOutput{}, nil
	}
	switch {
	case in.StatementId == nil:
		return nil, invalid("Parameter StatementId must be specified.")
	case len(b.Statements) == 0:
		return nil, notFound("EventBus does not have a policy.")
	}
	i := slices.IndexFunc(b.Statements, func(x string) bool { return sid(x) == *in.StatementId })
	if i < 0 {
		return nil, notFound("Statement with the provided id does not exist.")
	}
	b.Statements = slices.Delete(slices.Clone(b.Statements), i, i+1)
	s.putBus(tx, b)
	return &shape.RemovePermissionOutput{}, nil
}

// allowed tells whether a bus of the present scope takes an event from another account.
func (s *Service) allowed(tx *cloud.Tx, b Bus, from, source, detailType string) bool {
	text := b.policy()
	if text == "" || s.lower.Allows == nil {
		return false
	}
	return s.lower.Allows(tx, text, from, "events:PutEvents", busARN(tx.Scope, b.Name), func(key string) []string {
		switch strings.ToLower(key) {
		case "events:source":
			return []string{source}
		case "events:detail-type":
			return []string{detailType}
		}
		return nil
	})
}
