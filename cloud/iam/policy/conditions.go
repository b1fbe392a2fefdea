package policy

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// condition is one key of a condition block: an operator, a key and the values that it is compared with.
type condition struct {
	op     operator
	key    string // in lower case
	values []value
}

// value is one value of a condition, made ready for its operator.
type value struct {
	pattern
	number float64
	at     time.Time
	prefix netip.Prefix
	valid  bool // as a number, date or address
}

// operator is a condition operator, taken apart.
type operator struct {
	kind     kind
	compare  string // of numbers and dates: "Equals", "LessThan", ...
	not      bool   // negated: StringNotLike
	fold     bool   // ignores case
	ifExists bool
	all      bool // ForAllValues
	any      bool // ForAnyValue
}

type kind int

const (
	stringEquals kind = iota
	stringLike
	numeric
	date
	boolean
	binary
	address
	arn
	null
)

// operators are all of them, in lower case.
var operators = func() map[string]operator {
	all := map[string]operator{
		"stringequals": {kind: stringEquals}, "stringnotequals": {kind: stringEquals, not: true},
		"stringequalsignorecase": {kind: stringEquals, fold: true}, "stringnotequalsignorecase": {kind: stringEquals, fold: true, not: true},
		"stringlike": {kind: stringLike}, "stringnotlike": {kind: stringLike, not: true},
		"bool": {kind: boolean, fold: true}, "binaryequals": {kind: binary}, "null": {kind: null},
		"ipaddress": {kind: address}, "notipaddress": {kind: address, not: true},
		"arnequals": {kind: arn}, "arnlike": {kind: arn}, "arnnotequals": {kind: arn, not: true}, "arnnotlike": {kind: arn, not: true},
	}
	for _, c := range []string{"Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"} {
		all["numeric"+strings.ToLower(c)] = operator{kind: numeric, compare: c}
		all["date"+strings.ToLower(c)] = operator{kind: date, compare: c}
	}
	all["numericnotequals"] = operator{kind: numeric, compare: "Equals", not: true}
	all["datenotequals"] = operator{kind: date, compare: "Equals", not: true}
	return all
}()

// parseOperator reads an operator with its prefix and suffix.
func parseOperator(name string) (operator, bool) {
	name = strings.ToLower(name)
	name, all := strings.CutPrefix(name, "forallvalues:")
	name, anyOf := strings.CutPrefix(name, "foranyvalue:")
	name, exists := strings.CutSuffix(name, "ifexists")
	op, ok := operators[name]
	op.all, op.any, op.ifExists = all, anyOf, exists
	return op, ok && !(op.kind == null && exists) && !(all && anyOf)
}

// newValue makes a value ready; text that its operator cannot read is never matched.
func newValue(op operator, text string, variables bool) value {
	v := value{pattern: newPattern(text, variables)}
	switch op.kind {
	case numeric:
		n, err := strconv.ParseFloat(text, 64)
		v.number, v.valid = n, err == nil
	case date:
		v.at, v.valid = instant(text)
	case address:
		v.prefix, v.valid = addresses(text)
	case binary:
		_, err := base64.StdEncoding.DecodeString(text)
		v.valid = err == nil
	}
	return v
}

// holds tells whether a condition is met.
func (c *condition) holds(context func(string) []string) bool {
	got := lookup(context, c.key)
	if c.op.kind == null {
		for i := range c.values {
			if strings.EqualFold(c.values[i].text, "true") == (len(got) == 0) {
				return true
			}
		}
		return false
	}
	if len(got) == 0 {
		switch {
		case c.op.all || c.op.ifExists:
			return true
		case c.op.any:
			return false
		}
		return c.op.not // what is not there is not equal to anything
	}
	for _, g := range got {
		met := c.meets(g, context)
		switch {
		case c.op.all && !met:
			return false
		case c.op.any && met:
			return true
		case !c.op.all && !c.op.any && met != c.op.not: // one value: it is met by any, its negation by none
			return !c.op.not
		}
	}
	return c.op.all || !c.op.any && c.op.not
}

// meets tells whether one of the request's values is as the operator wants it: like one of the condition's, or, negated,
// like none of them.
func (c *condition) meets(got string, context func(string) []string) bool {
	for i := range c.values {
		if c.values[i].like(c.op, got, context) {
			return !c.op.not
		}
	}
	return c.op.not
}

// like compares one value with one of the request's, without the operator's negation.
func (v *value) like(op operator, got string, context func(string) []string) bool {
	switch op.kind {
	case numeric:
		n, err := strconv.ParseFloat(got, 64)
		return v.valid && err == nil && ordered(op.compare, n < v.number, n == v.number)
	case date:
		at, ok := instant(got)
		return v.valid && ok && ordered(op.compare, at.Before(v.at), at.Equal(v.at))
	case address:
		a, err := netip.ParseAddr(got)
		return v.valid && err == nil && v.prefix.Contains(a.Unmap())
	case binary:
		return v.valid && v.text == wildcards.Replace(got)
	}
	text, ok := v.expand(context)
	if !ok {
		return false
	}
	switch op.kind {
	case arn:
		return matchARN(text, got)
	case stringLike:
		return match(text, got)
	}
	text = plain(text)
	return text == got || op.fold && strings.EqualFold(text, got)
}

// ordered tells whether a comparison holds between two values of which the first is less than or equal to the second.
func ordered(compare string, less, equal bool) bool {
	switch compare {
	case "Equals":
		return equal
	case "LessThan":
		return less
	case "LessThanEquals":
		return less || equal
	case "GreaterThan":
		return !less && !equal
	}
	return !less // GreaterThanEquals
}

// instant reads a date as policies write it: ISO 8601, in any of W3C's precisions, or seconds since 1970.
func instant(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, text); err == nil && (layout != "2006" || len(text) == 4) {
			return t, true
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(n, 0).UTC(), err == nil
}

// addresses reads an address or a range of addresses.
func addresses(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err == nil
}
