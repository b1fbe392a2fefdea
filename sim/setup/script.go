package setup

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/sim/input"
	"mvdan.cc/sh/v3/syntax"
)

// script reads the part of the shell that people write calls of the AWS CLI in: commands with words in quotes, variables
// that are set to a text or to an answer (ARN=$(aws ... --query PolicyARN --output text)), files written by cat <<EOF.
type script struct {
	*pieces
	file  string
	vars  map[string]string
	files map[string]string // that the script itself writes
}

// commands takes a script.
func (p *pieces) commands(file, data string) error {
	s := &script{pieces: p, file: file, vars: map[string]string{}, files: map[string]string{}}
	data = strings.ReplaceAll(strings.TrimPrefix(data, "\xef\xbb\xbf"), "\r\n", "\n")
	tree, err := syntax.NewParser().Parse(strings.NewReader(data), file)
	if wrong, ok := errors.AsType[syntax.ParseError](err); ok {
		return fault(file, int(wrong.Pos.Line()), "it is neither JSON nor a script of aws calls: %s", wrong.Text)
	}
	if err != nil {
		return fmt.Errorf("%s: it is neither JSON nor a script of aws calls: %w", file, err)
	}
	for _, statement := range tree.Stmts {
		if err := s.statement(statement); err != nil {
			return err
		}
	}
	return nil
}

func (s *script) fault(at syntax.Node, format string, args ...any) error {
	return fault(s.file, int(at.Pos().Line()), format, args...)
}

func (s *script) statement(st *syntax.Stmt) error {
	switch c := st.Cmd.(type) {
	case *syntax.DeclClause: // export A=b
		for _, a := range c.Args {
			if a.Name != nil && a.Value != nil {
				if err := s.assign(a); err != nil {
					return err
				}
			}
		}
		return nil
	case *syntax.CallExpr:
		for _, a := range c.Assigns {
			if err := s.assign(a); err != nil {
				return err
			}
		}
		if len(c.Args) == 0 {
			return nil
		}
		switch name := c.Args[0].Lit(); name {
		case "aws":
			return s.aws(c, "")
		case "set", "echo", "printf", "true", ":", "cd", "sleep", "exit":
			return nil
		case "cat":
			return s.document(st)
		default:
			return s.fault(c, "only calls of aws, variables and cat > FILE <<EOF can be read; it has %q", name)
		}
	case nil:
		return nil
	default:
		return s.fault(st, "only calls of aws, variables and cat > FILE <<EOF can be read, not conditions, loops or pipes")
	}
}

// assign sets a variable to a text, or to what a call will answer.
func (s *script) assign(a *syntax.Assign) error {
	if a.Value == nil {
		s.vars[a.Name.Value] = ""
		return nil
	}
	if call := substitution(a.Value); call != nil {
		if len(call.Args) == 0 || call.Args[0].Lit() != "aws" {
			return s.fault(a, "only the answer of a call of aws can be put into %s", a.Name.Value)
		}
		token := fmt.Sprintf("${%s in %s}", a.Name.Value, s.file)
		s.vars[a.Name.Value] = token
		return s.aws(call, token)
	}
	text, err := s.word(a.Value)
	s.vars[a.Name.Value] = text
	return err
}

// substitution is the command of a word that is $(command), or nil.
func substitution(w *syntax.Word) *syntax.CallExpr {
	parts := w.Parts
	if len(parts) == 1 {
		if q, quoted := parts[0].(*syntax.DblQuoted); quoted {
			parts = q.Parts
		}
	}
	if len(parts) != 1 {
		return nil
	}
	sub, ok := parts[0].(*syntax.CmdSubst)
	if !ok || len(sub.Stmts) != 1 {
		return nil
	}
	call, _ := sub.Stmts[0].Cmd.(*syntax.CallExpr)
	return call
}

// word is a word's text, with variables put in.
func (s *script) word(w *syntax.Word) (string, error) { return s.parts(w, w.Parts, false) }

var escaped = regexp.MustCompile(`\\(\n|.)`)

func (s *script) parts(at syntax.Node, parts []syntax.WordPart, quoted bool) (string, error) {
	var out strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			out.WriteString(escaped.ReplaceAllStringFunc(p.Value, func(e string) string {
				switch {
				case e == "\\\n":
					return ""
				case quoted && !strings.ContainsAny(e[1:], "\"\\$`"):
					return e
				}
				return e[1:]
			}))
		case *syntax.SglQuoted:
			out.WriteString(p.Value)
		case *syntax.DblQuoted:
			text, err := s.parts(at, p.Parts, true)
			if err != nil {
				return "", err
			}
			out.WriteString(text)
		case *syntax.ParamExp:
			if p.Param == nil {
				return "", s.fault(p, "a variable is used in a way that cannot be read")
			}
			value, set := s.vars[p.Param.Value]
			if !set || p.Exp != nil || p.Slice != nil || p.Repl != nil || p.Length {
				return "", s.fault(p, "the variable %s is not set before it is used, or is used in a way that cannot be read", p.Param.Value)
			}
			out.WriteString(value)
		default:
			return "", s.fault(at, "the answer of a command can only be put into a variable first: NAME=$(aws ...)")
		}
	}
	return out.String(), nil
}

// document keeps what cat > FILE <<EOF writes.
func (s *script) document(st *syntax.Stmt) error {
	var to, body *syntax.Redirect
	for _, r := range st.Redirs {
		switch r.Op {
		case syntax.RdrOut, syntax.RdrClob, syntax.AppOut:
			to = r
		case syntax.Hdoc, syntax.DashHdoc:
			body = r
		}
	}
	if to == nil || body == nil || body.Hdoc == nil {
		return s.fault(st, "cat can only write a file: cat > FILE <<EOF")
	}
	name, err := s.word(to.Word)
	if err != nil {
		return err
	}
	text, err := s.parts(body, body.Hdoc.Parts, true)
	if to.Op == syntax.AppOut {
		text = s.files[name] + text
	}
	s.files[name] = text
	return err
}

// ignored are flags of the aws command itself; those with true have a value.
var ignored = map[string]bool{"--output": true, "--profile": true, "--endpoint-url": true, "--no-cli-pager": false, "--debug": false,
	"--no-paginate": false, "--color": true, "--cli-read-timeout": true, "--cli-connect-timeout": true, "--no-verify-ssl": false}

// aws takes one call. token is the variable that its answer goes to, if any.
func (s *script) aws(call *syntax.CallExpr, token string) error {
	var words []string
	for _, w := range call.Args[1:] {
		text, err := s.word(w)
		if err != nil {
			return err
		}
		words = append(words, text)
	}
	line := int(call.Pos().Line())
	c := &command{script: s, line: line}
	words, err := c.global(words)
	if err != nil {
		return err
	}
	if len(words) < 2 {
		return fault(s.file, line, "a call is aws SERVICE OPERATION ...")
	}
	if c.service = service(words[0]); c.service == nil {
		return fault(s.file, line, "there is no service %q here", words[0])
	}
	if words[1] == "wait" {
		return nil
	}
	if c.operation = operationOf(c.service, words[1]); c.operation == nil {
		return fault(s.file, line, "%s has no operation %q here", words[0], words[1])
	}
	if token == "" && (strings.HasPrefix(words[1], "describe-") || strings.HasPrefix(words[1], "get-")) {
		return nil
	}
	in := c.operation.In()
	if err := c.flags(words[2:], reflect.ValueOf(in).Elem()); err != nil {
		return err
	}
	if err := checkCall(c.service.Name, c.operation.Name, in); err != nil {
		return fault(s.file, line, "%s: %v", words[1], err)
	}
	step := Step{Call: cloud.Call{Scope: cloud.Scope{Region: c.region}, Service: c.service.Name, Operation: c.operation.Name, In: in}, What: words[1], Source: Source{s.file, line}}
	if group, ok := lookUp(in, "AutoScalingGroupName"); ok {
		step.Group = group
	}
	for _, name := range []string{"AlarmName", "PolicyName", "ScheduledActionName"} {
		if name, ok := lookUp(in, name); ok {
			step.What += " " + name
		}
	}
	if token != "" {
		path, err := queryPath(c.query)
		if err != nil {
			return fault(s.file, line, "%v", err)
		}
		step.Brings = []Name{{Old: token, Path: path}}
	}
	s.script = append(s.script, step)
	return nil
}

// operationOf finds put-scaling-policy's PutScalingPolicy.
func operationOf(s *api.Service, name string) *api.Operation {
	i := slices.IndexFunc(s.Operations, func(o api.Operation) bool {
		return o.Listed() && strings.EqualFold(o.Name, strings.ReplaceAll(name, "-", ""))
	})
	if i < 0 {
		return nil
	}
	return &s.Operations[i]
}

var simpleQuery = regexp.MustCompile(`^[A-Za-z]\w*(\[\d+\]|\.[A-Za-z]\w*)*$`)

// queryPath makes "Subnets.0.SubnetId" of "Subnets[0].SubnetId".
func queryPath(query string) (string, error) {
	if !simpleQuery.MatchString(query) {
		return "", fmt.Errorf("a variable is set to one text of an answer: --query Name, or List[0].Name; it has %q", query)
	}
	return strings.NewReplacer("[", ".", "]", "").Replace(query), nil
}

// load reads a parameter that stands in a file: file://x.json.
func (s *script) load(word string) (text, name string, err error) {
	path, ok := strings.CutPrefix(word, "file://")
	if !ok {
		return word, s.file, nil
	}
	if text, written := s.files[path]; written {
		return text, path, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(s.file), path)
	}
	data, err := input.Read(path)
	return string(data), path, err
}
