package pattern

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// bound is the greatest number, of either sign, that is compared as one.
const bound = 5e9

// number reads a JSON number that can be compared.
func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	return f, err == nil && f >= -bound && f <= bound
}

// equals fits the same string, literal or number; numbers are equal if they are written alike or have the same value.
func equals(want any) func(any) bool {
	n, isNumber := number(want)
	if !isNumber {
		return func(v any) bool { return v == want }
	}
	return func(v any) bool {
		if v == want {
			return true
		}
		f, ok := number(v)
		return ok && f == n
	}
}

func equalsIgnoreCase(text string) func(any) bool {
	return func(v any) bool {
		s, ok := v.(string)
		return ok && strings.EqualFold(s, text)
	}
}

// affix fits strings with a prefix or, if not, a suffix.
func affix(prefix, fold bool, text string) func(any) bool {
	return func(v any) bool {
		s, ok := v.(string)
		if !ok {
			return false
		}
		switch {
		case fold:
			return foldedAffix(prefix, s, text)
		case prefix:
			return strings.HasPrefix(s, text)
		}
		return strings.HasSuffix(s, text)
	}
}

// foldedAffix compares as many characters as the text has: in another case they may take another number of bytes.
func foldedAffix(prefix bool, s, text string) bool {
	have, want := []rune(s), []rune(text)
	if len(have) < len(want) {
		return false
	}
	if prefix {
		return strings.EqualFold(string(have[:len(want)]), text)
	}
	return strings.EqualFold(string(have[len(have)-len(want):]), text)
}

// wildcard fits strings of which the stars of a text are any part; \* and \\ are the characters themselves.
func wildcard(text string) (func(any) bool, error) {
	parts, star := []string{""}, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '*' && star:
			return nil, fmt.Errorf("Consecutive wildcard characters at pos %d", i-1)
		case c == '*':
			parts, star = append(parts, ""), true
			continue
		case c == '\\':
			if i++; i == len(text) || text[i] != '*' && text[i] != '\\' {
				return nil, fmt.Errorf("Invalid escape character at pos %d", i-1)
			}
			c = text[i]
		}
		parts[len(parts)-1] += string([]byte{c})
		star = false
	}
	return func(v any) bool {
		s, ok := v.(string)
		return ok && glob(parts, s)
	}, nil
}

// glob tells whether a string is the parts with anything between them. The first place of each part is as good as any.
func glob(parts []string, s string) bool {
	if len(parts) == 1 {
		return s == parts[0]
	}
	s, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		_, after, found := strings.Cut(s, part)
		if !found {
			return false
		}
		s = after
	}
	return strings.HasSuffix(s, parts[last])
}

// cidr fits strings that are addresses in a network.
func cidr(text string) (func(any) bool, error) {
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, fmt.Errorf("Malformed CIDR, one '/' required: %s", text)
	}
	network = network.Masked()
	return func(v any) bool {
		s, ok := v.(string)
		if !ok {
			return false
		}
		a, err := netip.ParseAddr(s)
		return err == nil && network.Contains(a.WithZone(""))
	}, nil
}

// parseNumeric reads ["=", 3], [">", 0] or [">", 0, "<=", 5].
func parseNumeric(list []any) (func(any) bool, error) {
	var tests []func(float64) bool
	var lower, upper *float64
	for i := 0; i < len(list); i += 2 {
		operator, ok := list[i].(string)
		if !ok {
			return nil, fmt.Errorf("Invalid member in numeric match: %v", list[i])
		}
		if i+1 == len(list) {
			return nil, fmt.Errorf("Value of %s must be numeric", operator)
		}
		n, ok := number(list[i+1])
		if !ok {
			if _, isNumber := list[i+1].(json.Number); isNumber {
				return nil, fmt.Errorf("Value must be between -5.0E9 and 5.0E9, inclusive")
			}
			return nil, fmt.Errorf("Value of %s must be numeric", operator)
		}
		switch {
		case len(list) > 4, upper != nil, operator == "=" && len(list) > 2:
			return nil, fmt.Errorf("Too many elements in numeric expression")
		case operator == "=":
			tests = append(tests, func(v float64) bool { return v == n })
		case operator == ">" && lower == nil:
			lower, tests = &n, append(tests, func(v float64) bool { return v > n })
		case operator == ">=" && lower == nil:
			lower, tests = &n, append(tests, func(v float64) bool { return v >= n })
		case operator == "<":
			upper, tests = &n, append(tests, func(v float64) bool { return v < n })
		case operator == "<=":
			upper, tests = &n, append(tests, func(v float64) bool { return v <= n })
		default:
			return nil, fmt.Errorf("Unrecognized numeric range operator: %s", operator)
		}
	}
	switch {
	case len(tests) == 0:
		return nil, fmt.Errorf("Invalid member in numeric match: ]")
	case lower != nil && upper != nil && *lower >= *upper:
		return nil, fmt.Errorf("Bottom must be less than top")
	}
	return func(v any) bool {
		f, ok := number(v)
		if !ok {
			return false
		}
		for _, t := range tests {
			if !t(f) {
				return false
			}
		}
		return true
	}, nil
}
