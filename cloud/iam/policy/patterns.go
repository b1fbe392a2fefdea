package policy

import "strings"

// pattern is a text with wildcards (* is any characters, ? is one) and policy variables.
type pattern struct {
	text string // with star and mark for wildcards, so that a * that a variable brings is only a *
	vars []variable
}

// What stands for wildcards in a pattern's text: bytes that no text in UTF-8 has.
const (
	star = '\xfe'
	mark = '\xff'
)

// variable is a ${...} in a pattern: what is before it, its key and what it is if the request does not have it.
type variable struct {
	before, key, otherwise string
	defaulted              bool
}

// wildcards is the replacement of wildcards by what stands for them.
var wildcards = strings.NewReplacer("*", "\xfe", "?", "\xff")

// newPattern takes a pattern apart. Variables mean something only in documents of version 2012-10-17.
func newPattern(text string, variables bool) pattern {
	var p pattern
	rest, literal := text, ""
	for variables {
		before, after, found := strings.Cut(rest, "${")
		inner, tail, closed := strings.Cut(after, "}")
		if !found || !closed {
			break
		}
		literal += wildcards.Replace(before)
		rest = tail
		switch inner {
		case "*", "?", "$":
			literal += inner
			continue
		}
		v := variable{before: literal, key: strings.ToLower(strings.TrimSpace(inner))}
		if key, otherwise, has := strings.Cut(inner, ","); has {
			v.key, v.defaulted = strings.ToLower(strings.TrimSpace(key)), true
			v.otherwise = strings.Trim(strings.TrimSpace(otherwise), "'")
		}
		p.vars, literal = append(p.vars, v), ""
	}
	p.text = literal + wildcards.Replace(rest)
	return p
}

// expand puts the request's values in the place of variables; it fails if there is none, or more than one.
func (p *pattern) expand(context func(string) []string) (string, bool) {
	if len(p.vars) == 0 {
		return p.text, true
	}
	var b strings.Builder
	for _, v := range p.vars {
		b.WriteString(v.before)
		switch values := lookup(context, v.key); {
		case len(values) == 1:
			b.WriteString(strings.ToValidUTF8(values[0], "?")) // the bytes of wildcards are no UTF-8
		case v.defaulted && len(values) == 0:
			b.WriteString(v.otherwise)
		default:
			return "", false
		}
	}
	b.WriteString(p.text)
	return b.String(), true
}

func lookup(context func(string) []string, key string) []string {
	if context == nil {
		return nil
	}
	return context(key)
}

// plain is a pattern's text as it was written, for what takes no wildcards.
func plain(text string) string {
	return strings.NewReplacer("\xfe", "*", "\xff", "?").Replace(text)
}

// match tells whether a text fits an expanded pattern.
func match(pattern, text string) bool { return wild(pattern, text, false) }

// fold is match for actions, which do not tell letters by case and have no variables.
func (p *pattern) fold(text string) bool { return wild(p.text, text, true) }

// wild matches with one memory, of the last star: at most the product of both lengths.
func wild(pattern, text string, fold bool) bool {
	p, t, back, from := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == star:
			back, from = p, t
			p++
		case p < len(pattern) && pattern[p] == mark:
			p++
			t++
			for t < len(text) && text[t]&0xc0 == 0x80 { // the rest of a character of several bytes
				t++
			}
		case p < len(pattern) && (pattern[p] == text[t] || fold && lower(pattern[p]) == lower(text[t])):
			p++
			t++
		case back >= 0:
			from++
			p, t = back+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == star {
		p++
	}
	return p == len(pattern)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// matchARN compares the six parts of an ARN each by itself.
func matchARN(pattern, text string) bool {
	for i := range 6 {
		p, restP, moreP := cut(pattern, i)
		t, restT, moreT := cut(text, i)
		if moreP != moreT || !match(p, t) {
			return false
		}
		if !moreP {
			return i == 5
		}
		pattern, text = restP, restT
	}
	return true
}

// cut takes the next part of an ARN; the sixth is all that is left.
func cut(s string, i int) (part, rest string, more bool) {
	if i == 5 {
		return s, "", false
	}
	return strings.Cut(s, ":")
}
