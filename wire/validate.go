package wire

import (
	"fmt"
	"reflect"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/billow-cloud/billow/api"
)

// rules are what the model says of the values of one shape.
type rules struct {
	hasMin, hasMax bool
	min, max       float64
	enum           map[string]bool
	order          []string // of the enum
	match          func(string) bool
	source         string // of the pattern
}

func compileRules(s *api.Shape) *rules {
	if !s.HasMin && !s.HasMax && len(s.Enum) == 0 && s.Pattern == "" {
		return nil
	}
	r := &rules{hasMin: s.HasMin, hasMax: s.HasMax, min: s.Min, max: s.Max, order: s.Enum, source: s.Source}
	if len(s.Enum) > 0 {
		r.enum = make(map[string]bool, len(s.Enum))
		for _, v := range s.Enum {
			r.enum[v] = true
		}
	}
	if s.Pattern != "" {
		r.match = matcher(s.Pattern)
	}
	return r
}

// matcher makes a pattern's test. Most patterns are one class of characters, repeated: those need no regexp.
func matcher(pattern string) func(string) bool {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic(err) // the generator has checked it
	}
	re = re.Simplify()
	if re.Op == syntax.OpConcat && len(re.Sub) == 3 &&
		re.Sub[0].Op == syntax.OpBeginText && re.Sub[2].Op == syntax.OpEndText {
		loop := re.Sub[1]
		if (loop.Op == syntax.OpStar || loop.Op == syntax.OpPlus) && loop.Sub[0].Op == syntax.OpCharClass {
			class, empty := loop.Sub[0].Rune, loop.Op == syntax.OpStar
			return func(s string) bool { return (empty || s != "") && only(class, s) }
		}
	}
	return regexp.MustCompile(pattern).MatchString
}

// only says whether s has no character outside class, a list of ranges.
func only(class []rune, s string) bool {
next:
	for _, c := range s {
		for i := 0; i < len(class); i += 2 {
			if class[i] <= c && c <= class[i+1] {
				continue next
			}
		}
		return false
	}
	return true
}

// validator walks an input and collects what does not fit the model.
type validator struct {
	op      *operation
	path    []string // how error texts name the member at hand: "tags", "1", "member", "key"
	query   []string // how the request names it: "Tags", "member", "1", "Key"
	faults  []string
	missing string // the first required member that is not there, if the service words that in its own way
	ec2     *api.Error
}

// maxFaults bounds the sentences of one error.
const maxFaults = 20

// validate checks an input against the model (AS-ER-05).
func validate(op *operation, in any) error {
	v := validator{op: op}
	v.structure(op.in, reflect.ValueOf(in).Elem())
	f := &op.svc.Faults
	switch {
	case v.missing != "":
		return api.Errorf(f.Missing, f.MissingText, v.missing)
	case v.ec2 != nil:
		return v.ec2
	case len(v.faults) == 1:
		return api.Errorf(f.Invalid, "1 validation error detected: %s", v.faults[0])
	case len(v.faults) > 1:
		return api.Errorf(f.Invalid, "%d validation errors detected: %s", len(v.faults), strings.Join(v.faults, "; "))
	}
	return nil
}

func (v *validator) structure(p *plan, val reflect.Value) {
	for i := range p.fields {
		f := &p.fields[i]
		m := val.Field(i)
		if m.IsNil() {
			if f.required {
				v.absent(f)
			}
			continue
		}
		if m.Kind() == reflect.Pointer {
			m = m.Elem()
		}
		if f.plan.rules == nil && !f.plan.nests() {
			continue
		}
		v.path, v.query = append(v.path, lowerFirst(f.name)), append(v.query, f.query)
		v.value(f.plan, m)
		v.path, v.query = v.path[:len(v.path)-1], v.query[:len(v.query)-1]
	}
}

// nests says whether values of the plan have values below them that may have rules.
func (p *plan) nests() bool { return p.elem != nil || p.kind == api.Structure }

func (v *validator) absent(f *field) {
	if v.op.svc.Faults.MissingText != "" {
		if v.missing == "" {
			v.missing = strings.Join(append(v.query, f.query), ".")
		}
		return
	}
	name := strings.Join(append(v.path, lowerFirst(f.name)), ".")
	v.fault(fmt.Sprintf("Value null at '%s' failed to satisfy constraint: Member must not be null", name))
}

func (v *validator) fault(text string) {
	if len(v.faults) < maxFaults {
		v.faults = append(v.faults, text)
	}
}

func (v *validator) value(p *plan, val reflect.Value) {
	if p.rules != nil {
		for _, b := range p.rules.broken(p.kind, val) {
			v.breach(p, val, b)
		}
	}
	switch p.kind {
	case api.Structure:
		v.structure(p, val)
	case api.List:
		v.elements(p, val)
	case api.Map:
		for _, key := range sortedKeys(val) {
			if p.keys != nil {
				if b := p.keys.broken(api.String, key); len(b) > 0 {
					v.breach(p, val, breach{text: "Map keys must satisfy constraint: [" + texts(b) + "]"})
				}
			}
			v.path, v.query = append(v.path, key.String(), "member"), append(v.query, key.String())
			v.value(p.elem, val.MapIndex(key))
			v.path, v.query = v.path[:len(v.path)-2], v.query[:len(v.query)-1]
		}
	}
}

// elements checks a list's elements. What is wrong with a scalar one is said of the list.
func (v *validator) elements(p *plan, val reflect.Value) {
	for i, n := 0, val.Len(); i < n; i++ {
		if !p.elem.nests() {
			if p.elem.rules == nil {
				return
			}
			b := p.elem.rules.broken(p.elem.kind, val.Index(i))
			if len(b) == 0 {
				continue
			}
			if v.op.svc.speaks(api.EC2) {
				v.breach(p.elem, val.Index(i), b[0])
			} else {
				v.breach(p, val, breach{text: "Member must satisfy constraint: [" + texts(b) + "]"})
			}
			return
		}
		number := strconv.Itoa(i + 1)
		paths, queries := len(v.path), len(v.query)
		v.path = append(v.path, number, "member")
		if !p.ec2 {
			v.query = append(v.query, p.tag)
		}
		v.query = append(v.query, number)
		v.value(p.elem, val.Index(i))
		v.path, v.query = v.path[:paths], v.query[:queries]
	}
}

// breach is one rule that a value breaks.
type breach struct {
	text string // "Member must ..."
	ec2  string // EC2's way to say more, or empty
}

func texts(all []breach) string {
	var out []string
	for _, b := range all {
		out = append(out, b.text)
	}
	return strings.Join(out, ", ")
}

func (r *rules) broken(kind api.Kind, v reflect.Value) []breach {
	var out []breach
	size, what := 0.0, "length"
	switch kind {
	case api.String:
		size = float64(utf8.RuneCountInString(v.String()))
	case api.List, api.Map, api.Blob:
		size = float64(v.Len())
	case api.Integer, api.Long:
		size, what = float64(v.Int()), "value"
	case api.Double:
		size, what = v.Float(), "value"
	default:
		return nil
	}
	if r.hasMin && !(size >= r.min) {
		n := strconv.FormatFloat(r.min, 'f', -1, 64)
		out = append(out, breach{"Member must have " + what + " greater than or equal to " + n, "Expecting a " + what + " greater than " + n + "."})
	}
	if r.hasMax && !(size <= r.max) {
		n := strconv.FormatFloat(r.max, 'f', -1, 64)
		out = append(out, breach{"Member must have " + what + " less than or equal to " + n, "Expecting a " + what + " less than or equal to " + n + "."})
	}
	if kind != api.String {
		return out
	}
	if r.match != nil && !r.match(v.String()) {
		out = append(out, breach{text: "Member must satisfy regular expression pattern: " + r.source})
	}
	if r.enum != nil && !r.enum[v.String()] {
		out = append(out, breach{text: "Member must satisfy enum value set: [" + strings.Join(r.order, ", ") + "]"})
	}
	return out
}

// breach notes that a value breaks a rule, in the words of the service's protocol.
func (v *validator) breach(p *plan, val reflect.Value, b breach) {
	if !v.op.svc.speaks(api.EC2) {
		v.fault(fmt.Sprintf("Value '%s' at '%s' failed to satisfy constraint: %s", show(p, val), strings.Join(v.path, "."), b.text))
		return
	}
	if v.ec2 != nil {
		return
	}
	name := lowerFirst(v.query[len(v.query)-1])
	if _, number := parseIndex([]byte(name)); number && len(v.query) > 1 {
		name = lowerFirst(v.query[len(v.query)-2])
	}
	text := fmt.Sprintf("Value (%s) for parameter %s is invalid.", show(p, val), name)
	if b.ec2 != "" {
		text = fmt.Sprintf("Value ( %s ) for parameter %s is invalid. %s", show(p, val), name, b.ec2)
	}
	v.ec2 = api.Errorf(v.op.svc.Faults.Invalid, "%s", text)
}

// show is a value as error texts have it.
func show(p *plan, v reflect.Value) string {
	var s string
	switch p.kind {
	case api.String:
		s = v.String()
	case api.Integer, api.Long:
		return strconv.FormatInt(v.Int(), 10)
	case api.Double:
		return string(appendXMLFloat(nil, v.Float()))
	case api.List:
		var parts []string
		for i, n := 0, min(v.Len(), 100); i < n; i++ {
			parts = append(parts, show(p.elem, v.Index(i)))
		}
		s = "[" + strings.Join(parts, ", ") + "]"
	case api.Map:
		var parts []string
		for _, key := range sortedKeys(v) {
			parts = append(parts, key.String()+"="+show(p.elem, v.MapIndex(key)))
		}
		s = "{" + strings.Join(parts, ", ") + "}"
	case api.Structure:
		return p.shape.Name
	case api.Blob:
		return "java.nio.HeapByteBuffer"
	}
	if len(s) > 1024 {
		s = strings.ToValidUTF8(s[:1024], "") + "..."
	}
	return s
}
