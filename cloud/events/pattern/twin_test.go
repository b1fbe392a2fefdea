package pattern

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// The twin says what AWS says of patterns, word for word and without haste: an event is a list of paths with values, a
// pattern a list of conjunctions of conditions on paths, and a conjunction holds if one value can be chosen for each of
// its paths such that no two of them are from different elements of one array.

// leaf is one value of an event. Its places say which element of which array it is in; the array's name is its path with
// the places of the arrays around it.
type leaf struct {
	path   string
	value  any
	places map[string]int
}

func flatten(event any) []leaf {
	var all []leaf
	var walk func(path string, v any, places map[string]int, name string)
	walk = func(path string, v any, places map[string]int, name string) {
		switch v := v.(type) {
		case map[string]any:
			for k, inner := range v {
				walk(path+"\x00"+k, inner, places, name+"\x00"+k)
			}
		case []any:
			for i, inner := range v {
				mine := map[string]int{name: i}
				for k, n := range places {
					mine[k] = n
				}
				if !hasObject(inner) {
					mine = places // values of one array are not at odds with each other
				}
				walk(path, inner, mine, name+"\x00["+strconv.Itoa(i)+"]")
			}
		default:
			all = append(all, leaf{path, v, places})
		}
	}
	walk("", event, nil, "")
	return all
}

func hasObject(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return true
	case []any:
		for _, e := range v {
			if hasObject(e) {
				return true
			}
		}
	}
	return false
}

type twinCondition struct {
	path string
	any  []any // of which one must fit
}

// expand gives the conjunctions that an object of a pattern stands for.
func expand(path string, pattern map[string]any) [][]twinCondition {
	all := [][]twinCondition{nil}
	and := func(more [][]twinCondition) {
		var product [][]twinCondition
		for _, a := range all {
			for _, b := range more {
				product = append(product, append(append([]twinCondition(nil), a...), b...))
			}
		}
		all = product
	}
	for name, v := range pattern {
		if alternatives, ok := choice(name, v); ok {
			var either [][]twinCondition
			for _, a := range alternatives {
				either = append(either, expand(path, a)...)
			}
			and(either)
			continue
		}
		switch v := v.(type) {
		case map[string]any:
			and(expand(path+"\x00"+name, v))
		case []any:
			and([][]twinCondition{{{path + "\x00" + name, v}}})
		}
	}
	return all
}

func twinMatch(pattern string, event any) bool {
	v, _ := Decode([]byte(pattern))
	if _, ok := event.(map[string]any); !ok {
		if list, isList := event.([]any); !isList || list == nil {
			event = map[string]any{}
		}
	}
	leaves := flatten(event)
	for _, conjunction := range expand("", v.(map[string]any)) {
		if choose(leaves, conjunction, nil) {
			return true
		}
	}
	return false
}

// choose tries every value for the first condition, and so on.
func choose(leaves []leaf, conditions []twinCondition, chosen []leaf) bool {
	if len(conditions) == 0 {
		return true
	}
	c := conditions[0]
	exists := false
	for _, l := range leaves {
		exists = exists || l.path == c.path
	}
	for _, test := range c.any {
		if o, ok := test.(map[string]any); ok && o["exists"] == false {
			if !exists && choose(leaves, conditions[1:], chosen) {
				return true
			}
			continue
		}
		for _, l := range leaves {
			if l.path == c.path && twinFits(test, l.value) && consistent(l, chosen) &&
				choose(leaves, conditions[1:], append(chosen[:len(chosen):len(chosen)], l)) {
				return true
			}
		}
	}
	return false
}

func consistent(l leaf, chosen []leaf) bool {
	for _, other := range chosen {
		for array, i := range other.places {
			if j, both := l.places[array]; both && i != j {
				return false
			}
		}
	}
	return true
}

func twinFits(test, v any) bool {
	o, ok := test.(map[string]any)
	if !ok {
		return twinEqual(test, v)
	}
	for operator, operand := range o {
		if operator == "anything-but" {
			switch operand := operand.(type) {
			case []any:
				for _, x := range operand {
					if twinEqual(x, v) {
						return false
					}
				}
				return true
			case map[string]any:
				for inner, x := range operand {
					list, isList := x.([]any)
					if !isList {
						list = []any{x}
					}
					for _, x := range list {
						if twinFits(map[string]any{inner: x}, v) {
							return false
						}
					}
				}
				return true
			}
			return !twinEqual(operand, v)
		}
		if operator == "exists" {
			return true
		}
		if operator == "numeric" {
			return twinNumeric(operand.([]any), v)
		}
		s, isText := v.(string)
		if !isText {
			return false
		}
		flags, text := "", ""
		switch operand := operand.(type) {
		case string:
			text = operand
		case map[string]any:
			flags, text = "(?i)", operand["equals-ignore-case"].(string)
		}
		expr := ""
		switch operator {
		case "prefix":
			expr = flags + "(?s)^" + regexp.QuoteMeta(text)
		case "suffix":
			expr = flags + "(?s)" + regexp.QuoteMeta(text) + `\z`
		case "equals-ignore-case":
			expr = "(?is)^" + regexp.QuoteMeta(text) + `\z`
		case "wildcard":
			for i := 0; i < len(text); i++ {
				switch {
				case text[i] == '*':
					expr += ".*"
					continue
				case text[i] == '\\':
					i++
				}
				expr += regexp.QuoteMeta(text[i : i+1])
			}
			expr = "(?s)^" + expr + `\z`
		case "cidr":
			a, err := netip.ParseAddr(s)
			return err == nil && netip.MustParsePrefix(text).Contains(a.WithZone(""))
		}
		if !isASCII(text) || !isASCII(s) { // bytes that are no characters are not the twin's matter
			f, _ := parseOperator(operator, operand)
			return f(v)
		}
		return regexp.MustCompile(expr).MatchString(s)
	}
	return false
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 126 }) }

func twinEqual(a, b any) bool {
	x, isX := a.(json.Number)
	y, isY := b.(json.Number)
	if !isX || !isY || x == y {
		return a == b
	}
	f, err := x.Float64()
	g, err2 := y.Float64()
	return err == nil && err2 == nil && f == g && f >= -5e9 && f <= 5e9
}

func twinNumeric(list []any, v any) bool {
	n, ok := v.(json.Number)
	if !ok {
		return false
	}
	f, err := n.Float64()
	if err != nil || f < -5e9 || f > 5e9 {
		return false
	}
	for i := 0; i < len(list); i += 2 {
		g, _ := list[i+1].(json.Number).Float64()
		fits := map[string]bool{"=": f == g, "<": f < g, "<=": f <= g, ">": f > g, ">=": f >= g}
		if !fits[list[i].(string)] {
			return false
		}
	}
	return true
}
