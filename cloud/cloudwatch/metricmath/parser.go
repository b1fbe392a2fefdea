package metricmath

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Expression is a parsed text.
type Expression struct {
	root node
	ids  []string
	all  bool
}

// IDs lists the names of other queries that the expression uses, in order of their first use.
func (x *Expression) IDs() []string { return x.ids }

// UsesMetrics tells whether the expression calls METRICS(), and so depends on every metric there is.
func (x *Expression) UsesMetrics() bool { return x.all }

// Eval computes the expression.
func (x *Expression) Eval(env *Env) (Value, error) { return x.root.eval(env) }

// node is a part of an expression.
type node interface {
	eval(env *Env) (Value, error)
}

type (
	numberNode float64
	idNode     string
	wordNode   string // REPEAT, ASC and the like, and quoted text: only functions take them
	arrayNode  []node
	binaryNode struct {
		op   string
		a, b node
	}
	callNode struct {
		name string
		f    function
		args []node
	}
)

// Limits keep a text from being a burden.
const (
	maxLength = 2048
	maxDepth  = 100
)

// Parse reads an expression.
func Parse(text string) (*Expression, error) {
	if len(text) > maxLength {
		return nil, fmt.Errorf("an expression may have %d characters at most", maxLength)
	}
	p := &parser{text: text}
	if err := p.scan(); err != nil {
		return nil, err
	}
	root, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if p.at < len(p.tokens) {
		return nil, p.unexpected()
	}
	return &Expression{root: root, ids: p.ids, all: p.all}, nil
}

type token struct {
	kind byte // n number, i name, s quoted text, o operator or bracket
	text string
}

type parser struct {
	text   string
	tokens []token
	at     int
	depth  int
	ids    []string
	all    bool
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// scan cuts the text into tokens.
func (p *parser) scan() error {
	for i := 0; i < len(p.text); {
		c, start := p.text[i], i
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
			continue
		case isDigit(c) || c == '.':
			for i < len(p.text) && (isDigit(p.text[i]) || p.text[i] == '.' || (p.text[i] == 'e' || p.text[i] == 'E') && i > start) {
				if e := p.text[i]; (e == 'e' || e == 'E') && i+1 < len(p.text) && (p.text[i+1] == '-' || p.text[i+1] == '+') {
					i++
				}
				i++
			}
			p.tokens = append(p.tokens, token{'n', p.text[start:i]})
		case isLetter(c):
			for i < len(p.text) && (isLetter(p.text[i]) || isDigit(p.text[i])) {
				i++
			}
			word := p.text[start:i]
			if word == "AND" || word == "OR" {
				p.tokens = append(p.tokens, token{'o', word})
			} else {
				p.tokens = append(p.tokens, token{'i', word})
			}
		case c == '"' || c == '\'':
			end := strings.IndexByte(p.text[i+1:], c)
			if end < 0 {
				return fmt.Errorf("the quoted text at position %d has no end", i+1)
			}
			p.tokens = append(p.tokens, token{'s', p.text[i+1 : i+1+end]})
			i += end + 2
		default:
			op := operator(p.text[i:])
			if op == "" {
				return fmt.Errorf("unexpected character %q at position %d", c, i+1)
			}
			i += len(op)
			op = strings.NewReplacer("&&", "AND", "||", "OR").Replace(op)
			p.tokens = append(p.tokens, token{'o', op})
		}
	}
	return nil
}

func operator(text string) string {
	for _, op := range []string{"==", "!=", "<=", ">=", "&&", "||"} {
		if strings.HasPrefix(text, op) {
			return op
		}
	}
	if strings.IndexByte("+-*/^<>()[],", text[0]) >= 0 {
		return text[:1]
	}
	return ""
}

func (p *parser) peek() token {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return token{}
}

// take goes past the token if it is the operator.
func (p *parser) take(op string) bool {
	if t := p.peek(); t.kind == 'o' && t.text == op {
		p.at++
		return true
	}
	return false
}

func (p *parser) unexpected() error {
	if p.at >= len(p.tokens) {
		return fmt.Errorf("unexpected end of the expression")
	}
	return fmt.Errorf("unexpected %q", p.peek().text)
}

// levels are the binary operators, those that bind least first. ^ is above them, and binds to the right.
var levels = [][]string{{"OR"}, {"AND"}, {"==", "!=", "<", "<=", ">", ">="}, {"+", "-"}, {"*", "/"}}

func (p *parser) binary(level int) (node, error) {
	if level == len(levels) {
		return p.unary()
	}
	a, err := p.binary(level + 1)
	for err == nil {
		t := p.peek()
		if t.kind != 'o' || !slices.Contains(levels[level], t.text) {
			return a, nil
		}
		p.at++
		var b node
		if b, err = p.binary(level + 1); err == nil {
			a = binaryNode{t.text, a, b}
		}
	}
	return nil, err
}

func (p *parser) unary() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("the expression is nested too deeply")
	}
	defer func() { p.depth-- }()
	if p.take("-") {
		a, err := p.unary()
		return binaryNode{"-", numberNode(0), a}, err
	}
	a, err := p.primary()
	if err == nil && p.take("^") {
		b, err := p.unary()
		return binaryNode{"^", a, b}, err
	}
	return a, err
}

func (p *parser) primary() (node, error) {
	t := p.peek()
	switch {
	case t.kind == 'n':
		p.at++
		v, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", t.text)
		}
		return numberNode(v), nil
	case t.kind == 's':
		p.at++
		return wordNode(t.text), nil
	case t.kind == 'i':
		p.at++
		return p.name(t.text)
	case p.take("("):
		a, err := p.binary(0)
		if err == nil && !p.take(")") {
			return nil, p.unexpected()
		}
		return a, err
	case p.take("["):
		list, err := p.list("]")
		return arrayNode(list), err
	}
	return nil, p.unexpected()
}

// name reads what begins with a name: a call, the ID of a query, which starts with a small letter, or a word.
func (p *parser) name(name string) (node, error) {
	if p.take("(") {
		f, ok := functions[name]
		if !ok {
			return nil, fmt.Errorf("unknown function %s", name)
		}
		args, err := p.list(")")
		if err != nil {
			return nil, err
		}
		if len(args) < f.least || len(args) > f.most {
			return nil, fmt.Errorf("%s does not take %d parameters", name, len(args))
		}
		if f.call == nil {
			return nil, fmt.Errorf("the function %s is not supported", name)
		}
		p.all = p.all || name == "METRICS"
		return callNode{name, f, args}, nil
	}
	if name[0] >= 'a' && name[0] <= 'z' {
		if !slices.Contains(p.ids, name) {
			p.ids = append(p.ids, name)
		}
		return idNode(name), nil
	}
	return wordNode(name), nil
}

func (p *parser) list(end string) ([]node, error) {
	if p.take(end) {
		return nil, nil
	}
	var list []node
	for {
		a, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
		if p.take(end) {
			return list, nil
		}
		if !p.take(",") {
			return nil, p.unexpected()
		}
	}
}

func (n numberNode) eval(*Env) (Value, error) { return Number(float64(n)), nil }
func (n idNode) eval(env *Env) (Value, error) { return env.Lookup(string(n)) }
func (n wordNode) eval(*Env) (Value, error) {
	return Value{}, fmt.Errorf("unexpected %q", string(n))
}

func (n binaryNode) eval(env *Env) (Value, error) {
	a, err := n.a.eval(env)
	if err != nil {
		return a, err
	}
	b, err := n.b.eval(env)
	if err != nil {
		return b, err
	}
	return combine(n.op, a, b)
}

// eval makes an array; a scalar in it is a series with that number wherever another has a point.
func (n arrayNode) eval(env *Env) (Value, error) {
	out := Value{Kind: Many}
	var numbers []float64
	for _, part := range n {
		v, err := part.eval(env)
		if err != nil {
			return v, err
		}
		if v.Kind == Scalar {
			numbers = append(numbers, v.Number)
		}
		out.Series = append(out.Series, v.Series...)
	}
	real := out.Series
	for _, number := range numbers {
		var s Series
		walk(real, func(at int64, _ []float64, _ []bool) { s.add(at, number) })
		out.Series = append(out.Series, s)
	}
	return out, nil
}

func (n callNode) eval(env *Env) (Value, error) {
	v, err := n.f.call(env, n.args)
	if err != nil {
		return v, fmt.Errorf("%s: %w", n.name, err)
	}
	return v, nil
}
