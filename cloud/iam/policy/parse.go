package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Kind is what a document is for; it decides what it must and must not have.
type Kind int

// The kinds of documents.
const (
	Identity Kind = iota // of users, groups, roles; managed policies, boundaries, session policies
	Trust                // who may assume a role
	Resource             // of a queue, topic, function
)

// Error is what is wrong with a document, in AWS's words.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func wrong(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

var errSyntax = &Error{"Syntax errors in policy."}

// Versions of the language.
const (
	current = "2012-10-17"
	old     = "2008-10-17"
)

// Parse reads and checks a document. Its error is an *Error.
func Parse(text string, kind Kind) (*Document, error) {
	root, err := read(text)
	if err != nil || root.kind != '{' {
		if kind == Trust {
			return nil, wrong("This policy contains invalid Json")
		}
		return nil, errSyntax
	}
	d := &Document{Version: old}
	var statements []node
	for i, key := range root.keys {
		v := root.items[i]
		switch {
		case key == "Version" && v.kind == 's':
			if d.Version = v.text; v.text != current && v.text != old {
				return nil, wrong("The policy must contain a valid version string.")
			}
		case key == "Id" && v.kind == 's':
			d.ID = v.text
		case key == "Statement" && v.kind == '{':
			statements = []node{v}
		case key == "Statement" && v.kind == '[':
			statements = v.items
		case kind == Trust:
			return nil, wrong("Has prohibited field %s", key)
		default:
			return nil, errSyntax
		}
	}
	if len(statements) == 0 {
		if kind == Trust {
			return nil, wrong("Missing required field Statement")
		}
		return nil, errSyntax
	}
	for _, n := range statements {
		s, err := d.statement(n, kind)
		if err != nil {
			return nil, err
		}
		if s.Sid != "" && kind != Resource && slices.ContainsFunc(d.Statements, func(o Statement) bool { return o.Sid == s.Sid }) {
			return nil, wrong("Statement IDs (SID) in a single policy must be unique.")
		}
		d.Statements = append(d.Statements, s)
	}
	return d, nil
}

var sid = regexp.MustCompile("^[0-9A-Za-z]*$")

// statement reads one statement.
func (d *Document) statement(n node, kind Kind) (s Statement, err error) {
	if n.kind != '{' {
		return s, errSyntax
	}
	effect := false
	for i, key := range n.keys {
		v := n.items[i]
		switch key {
		case "Sid":
			if s.Sid = v.text; v.kind != 's' {
				return s, errSyntax
			}
			if kind == Identity && !sid.MatchString(s.Sid) {
				return s, wrong("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*")
			}
		case "Effect":
			if effect = true; v.kind != 's' || v.text != "Allow" && v.text != "Deny" {
				return s, wrong("Invalid effect: %s", v.text)
			}
			s.Deny = v.text == "Deny"
		case "Action", "NotAction":
			err = s.Actions.read(v, key == "NotAction", false)
		case "Resource", "NotResource":
			err = s.Resources.read(v, key == "NotResource", d.Version == current)
		case "Principal", "NotPrincipal":
			err = s.Principals.read(v, key == "NotPrincipal")
		case "Condition":
			s.Conditions, err = conditions(v, d.Version == current)
		default:
			err = errSyntax
			if kind == Trust {
				err = wrong("Has prohibited field %s", key)
			}
		}
		if err != nil {
			return s, err
		}
	}
	if !effect {
		if kind == Trust {
			return s, wrong("Missing required field Effect")
		}
		return s, errSyntax
	}
	return s, s.check(n, kind)
}

// check is what a statement must have and must not, by the kind of its document.
func (s *Statement) check(n node, kind Kind) error {
	actions, resources := texts(n, "Action", "NotAction"), texts(n, "Resource", "NotResource")
	switch {
	case !s.Actions.Given || len(actions) == 0:
		if kind == Trust {
			return wrong("Missing required field Action")
		}
		return wrong("Policy statement must contain actions.")
	case kind == Identity && s.Principals.Given:
		return wrong("Policy document should not specify a principal.")
	case kind == Identity && (!s.Resources.Given || len(resources) == 0):
		return wrong("Policy statement must contain resources.")
	case kind == Trust && s.Resources.Given:
		return wrong("Has prohibited field Resource")
	case kind != Identity && !s.Principals.Given:
		return wrong("Missing required field Principal")
	case kind == Trust && s.Principals.Not:
		return wrong("Has prohibited field NotPrincipal")
	}
	for _, a := range actions {
		vendor, name, ok := strings.Cut(a, ":")
		switch {
		case a == "*" && kind != Trust:
		case !ok || name == "":
			return wrong("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		case strings.ContainsAny(vendor, "*?$ ") || vendor == "":
			return wrong("Vendor %s is not valid", vendor)
		case kind == Trust && !strings.EqualFold(vendor, "sts"):
			return wrong("AssumeRole policy may only specify STS AssumeRole actions.")
		}
	}
	for _, r := range resources {
		if kind == Identity && r != "*" && !strings.HasPrefix(r, "${") {
			if err := checkARN(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkARN refuses what cannot be an ARN, with or without wildcards.
func checkARN(r string) error {
	parts := strings.SplitN(r, ":", 6)
	if parts[0] != "arn" && parts[0] != "*" {
		return wrong("Resource %s must be in ARN format or \"*\".", r)
	}
	if len(parts) > 1 && !slices.Contains([]string{"aws", "aws-cn", "aws-us-gov", "*"}, parts[1]) && !strings.Contains(parts[1], "${") {
		return wrong("Partition %q is not valid for resource %q.", parts[1], r)
	}
	if len(parts) < 6 && !strings.HasSuffix(r, "*") {
		return wrong("The policy failed legacy parsing")
	}
	return nil
}

// texts are those of one of two members of an object.
func texts(n node, key, other string) []string {
	for _, k := range []string{key, other} {
		if v := n.get(k); v != nil {
			all, _ := v.strings(false)
			return all
		}
	}
	return nil
}

func (m *matcher) read(n node, not, variables bool) error {
	all, ok := n.strings(false)
	if !ok || m.Given {
		return errSyntax
	}
	m.Given, m.Not = true, not
	for _, text := range all {
		m.Patterns = append(m.Patterns, newPattern(text, variables))
	}
	return nil
}

var principalKinds = []string{"AWS", "Service", "Federated", "CanonicalUser"}

func (p *principals) read(n node, not bool) error {
	if p.Given {
		return errSyntax
	}
	p.Given, p.Not = true, not
	if n.kind == 's' && n.text == "*" {
		p.Everybody = true
		return nil
	}
	if n.kind != '{' || len(n.keys) == 0 {
		return wrong("Invalid principal in policy.")
	}
	for i, kind := range n.keys {
		all, ok := n.items[i].strings(true)
		if !ok || !slices.Contains(principalKinds, kind) {
			return wrong("Invalid principal in policy: %q", kind)
		}
		for _, name := range all {
			switch kind {
			case "AWS":
				if !isPrincipal(name) {
					return wrong("Invalid principal in policy: %q:%q", kind, name)
				}
				p.Everybody = p.Everybody || name == "*"
				p.AWS = append(p.AWS, name)
			case "Service":
				if !strings.Contains(name, ".") && name != "*" {
					return wrong("Invalid principal in policy: %q:%q", kind, name)
				}
				p.Service = append(p.Service, name)
			default:
				p.Other = append(p.Other, name)
			}
		}
	}
	return nil
}

var principalForm = regexp.MustCompile(`^(\*|\d{12}|A[A-Z0-9]{15,}|arn:aws:(iam|sts)::\d{12}:(root|user/.+|role/.+|assumed-role/[^/]+/[^/]+|federated-user/.+))$`)

func isPrincipal(name string) bool { return principalForm.MatchString(name) }

// PrincipalNames are the names of the AWS kind that a document's statements have, in order: whoever keeps the document may
// want to see that they exist.
func (d *Document) PrincipalNames() []string {
	var all []string
	for _, s := range d.Statements {
		all = append(all, s.Principals.AWS...)
	}
	return all
}

// conditions reads a condition block.
func conditions(n node, variables bool) ([]condition, error) {
	if n.kind != '{' {
		return nil, errSyntax
	}
	var all []condition
	for i, name := range n.keys {
		op, ok := parseOperator(name)
		if !ok {
			return nil, wrong("Invalid Condition type : %s.", name)
		}
		block := n.items[i]
		if block.kind != '{' {
			return nil, errSyntax
		}
		for j, key := range block.keys {
			texts, ok := block.items[j].strings(true)
			if !ok {
				return nil, errSyntax
			}
			if !strings.Contains(key, ":") {
				return nil, wrong("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
			}
			c := condition{op: op, key: strings.ToLower(key)}
			for _, text := range texts {
				c.values = append(c.values, newValue(op, text, variables))
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// Keys are the condition keys that a document asks for, in conditions and in variables: in order, in lower case, each once.
func (d *Document) Keys() []string {
	var all []string
	add := func(p pattern) {
		for _, v := range p.vars {
			all = append(all, v.key)
		}
	}
	for _, s := range d.Statements {
		for _, r := range s.Resources.Patterns {
			add(r)
		}
		for _, c := range s.Conditions {
			all = append(all, c.key)
			for _, v := range c.values {
				add(v.pattern)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Size is the length of a document as AWS counts it against its quotas: without white space.
func Size(text string) int {
	n := 0
	for _, c := range text {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			n++
		}
	}
	return n
}
