package setup

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
)

// command is one call of aws on its way to a shape.
type command struct {
	*script
	line      int
	service   *api.Service
	operation *api.Operation
	query     string
	region    string // empty: it is not said
}

// global takes the flags of aws itself off.
func (c *command) global(words []string) ([]string, error) {
	var rest []string
	c.region = or(c.vars["AWS_REGION"], c.vars["AWS_DEFAULT_REGION"])
	for i := 0; i < len(words); i++ {
		name, value, joined := strings.Cut(words[i], "=")
		valued, known := ignored[name]
		switch {
		case !strings.HasPrefix(words[i], "--"):
		case known && valued && !joined:
			i++
			continue
		case known:
			continue
		case name == "--query", name == "--region":
			if !joined {
				if i++; i >= len(words) {
					return nil, fault(c.file, c.line, "%s has no value", name)
				}
				value = words[i]
			}
			if name == "--query" {
				c.query = value
			} else {
				c.region = value
			}
			continue
		}
		rest = append(rest, words[i])
	}
	return rest, nil
}

// flags sets the members of an input: --min-size 1 --tags Key=a,Value=b.
func (c *command) flags(words []string, in reflect.Value) error {
	shape := &c.service.Shapes[c.operation.Input]
	for i := 0; i < len(words); {
		if !strings.HasPrefix(words[i], "--") {
			return fault(c.file, c.line, "%q is neither a flag nor the value of one", words[i])
		}
		flag, value, joined := strings.Cut(words[i], "=")
		i++
		var values []string
		if joined {
			values = []string{value}
		}
		for !joined && i < len(words) && !strings.HasPrefix(words[i], "--") {
			values, i = append(values, words[i]), i+1
		}
		if flag == "--cli-input-json" {
			if err := c.whole(values, in); err != nil {
				return err
			}
			continue
		}
		at, no := memberOf(c.service, shape, flag)
		if at < 0 {
			return fault(c.file, c.line, "%s has no flag %s", c.operation.Name, flag)
		}
		m := shape.Members[at]
		if kind := c.service.Shapes[m.Shape].Kind; kind == api.Boolean && len(values) == 0 {
			values = []string{fmt.Sprint(!no)}
		}
		if err := c.set(m.Shape, values, flag, m.Name, in.Field(at)); err != nil {
			return err
		}
	}
	return nil
}

// memberOf finds --auto-scaling-group-name's AutoScalingGroupName, and the --no- of a switch.
func memberOf(s *api.Service, shape *api.Shape, flag string) (at int, no bool) {
	find := func(name string) int {
		return slices.IndexFunc(shape.Members, func(m api.Member) bool { return strings.EqualFold(m.Name, strings.ReplaceAll(name, "-", "")) })
	}
	name := strings.TrimPrefix(flag, "--")
	if at = find(name); at >= 0 {
		return at, false
	}
	if rest, ok := strings.CutPrefix(name, "no-"); ok {
		if at = find(rest); at >= 0 && s.Shapes[shape.Members[at].Shape].Kind == api.Boolean {
			return at, true
		}
	}
	return -1, false
}

// whole fills the input from JSON.
func (c *command) whole(values []string, in reflect.Value) error {
	if len(values) != 1 {
		return fault(c.file, c.line, "--cli-input-json needs one value")
	}
	text, file, err := c.load(values[0])
	if err != nil {
		return fault(c.file, c.line, "%v", err)
	}
	all, err := documents(file, text, c.first(file))
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return fault(c.file, c.line, "--cli-input-json must be one object")
	}
	return filler{file: file, service: c.service, strict: true}.fill(c.operation.Input, all[0], "", in)
}

// first is the number of a text's first line: of one in the script, the command's.
func (c *command) first(file string) int {
	if file == c.file {
		return c.line
	}
	return 1
}

// set sets one member from the values of its flag: JSON, shorthand, or words.
func (c *command) set(shape int, values []string, flag, name string, to reflect.Value) error {
	s := &c.service.Shapes[shape]
	if len(values) == 0 {
		return fault(c.file, c.line, "%s has no value", flag)
	}
	data, file, err := c.load(values[0])
	if err != nil {
		return fault(c.file, c.line, "%s: %v", flag, err)
	}
	nested := s.Kind == api.Structure || s.Kind == api.List || s.Kind == api.Map
	if trimmed := strings.TrimSpace(data); nested && len(values) == 1 && (strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[")) {
		all, err := documents(file, data, c.first(file))
		if err != nil {
			return err
		}
		n := all[0]
		if s.Kind == api.List && n.kind == object {
			n = &node{line: n.line, kind: list, items: []*node{n}}
		}
		return filler{file: file, service: c.service, strict: true}.fill(shape, n, name, to)
	}
	n := &node{line: c.line, kind: list}
	for _, v := range values {
		item := &node{line: c.line, kind: text, text: v}
		if parts := s.Kind == api.Structure || s.Kind == api.Map || s.Kind == api.List && c.service.Shapes[s.Elem].Kind == api.Structure; parts {
			if item, err = shorthand(v, c.line); err != nil {
				return fault(c.file, c.line, "%s: %v", flag, err)
			}
		}
		n.items = append(n.items, item)
	}
	if s.Kind != api.List {
		if len(values) > 1 {
			return fault(c.file, c.line, "%s takes one value, not %d; words with blanks need quotes", flag, len(values))
		}
		n = n.items[0]
	}
	return filler{file: c.file, service: c.service, strict: true, short: true}.fill(shape, n, name, to)
}

// shorthand reads the AWS CLI's Key=value,List=a,b,Structure={Key=value},Other=[a,b].
func shorthand(text string, line int) (*node, error) {
	p := &shortParser{text: text, line: line}
	n, err := p.pairs(0)
	if err == nil && p.at < len(p.text) {
		err = fmt.Errorf("%q is left over at the end", p.text[p.at:])
	}
	return n, err
}

type shortParser struct {
	text string
	at   int
	line int
}

// next is whether the text goes on with one of the characters.
func (p *shortParser) next(of string) bool {
	return p.at < len(p.text) && strings.IndexByte(of, p.text[p.at]) >= 0
}

func (p *shortParser) pairs(depth int) (*node, error) {
	n := &node{line: p.line, kind: object}
	if depth > 20 {
		return nil, fmt.Errorf("it is nested too deeply")
	}
	for {
		end := strings.IndexAny(p.text[p.at:], "=,{}[]")
		if end < 0 || p.text[p.at+end] != '=' {
			return nil, fmt.Errorf("%q is not Name=value", p.text[p.at:])
		}
		m := member{name: strings.TrimSpace(p.text[p.at : p.at+end]), line: p.line}
		p.at += end + 1
		value, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		for p.next(",") && !p.named() { // Name=a,b
			p.at++
			more, err := p.value(depth)
			if err != nil {
				return nil, err
			}
			if value.kind != list {
				value = &node{line: p.line, kind: list, items: []*node{value}}
			}
			value.items = append(value.items, more)
		}
		m.value = value
		n.members = append(n.members, m)
		if !p.next(",") {
			return n, nil
		}
		p.at++
	}
}

// named is whether what follows the comma is a name and not one more value.
func (p *shortParser) named() bool {
	rest := p.text[p.at+1:]
	end := strings.IndexAny(rest, "=,{}[]\"'")
	return end >= 0 && rest[end] == '='
}

func (p *shortParser) value(depth int) (*node, error) {
	switch {
	case p.next("{"):
		p.at++
		n, err := p.pairs(depth + 1)
		if err == nil && !p.next("}") {
			err = fmt.Errorf("a } is missing")
		}
		p.at++
		return n, err
	case p.next("["):
		p.at++
		n := &node{line: p.line, kind: list}
		for !p.next("]") {
			item, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
			if p.next(",") {
				p.at++
			} else if !p.next("]") {
				return nil, fmt.Errorf("a ] is missing")
			}
		}
		p.at++
		return n, nil
	case p.next("\"'"):
		quote := p.text[p.at]
		end := strings.IndexByte(p.text[p.at+1:], quote)
		if end < 0 {
			return nil, fmt.Errorf("a quote is open")
		}
		value := p.text[p.at+1 : p.at+1+end]
		p.at += end + 2
		return &node{line: p.line, kind: text, text: value}, nil
	}
	end := strings.IndexAny(p.text[p.at:], ",}]")
	if strings.HasPrefix(p.text[p.at:], "${") { // a variable that is set later
		if stop := strings.IndexByte(p.text[p.at:], '}'); stop >= 0 {
			end = strings.IndexAny(p.text[p.at+stop+1:], ",}]")
			if end >= 0 {
				end += stop + 1
			}
		}
	}
	if end < 0 {
		end = len(p.text) - p.at
	}
	value := p.text[p.at : p.at+end]
	p.at += end
	return &node{line: p.line, kind: text, text: value}, nil
}
