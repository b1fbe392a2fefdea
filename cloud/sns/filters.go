package sns

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// filter is a parsed FilterPolicy over message attributes: all of its conditions must hold.
type filter []condition

// condition holds if the attribute fits one of the rules: a value, or an object with one operator.
type condition struct {
	name  string
	rules []any
}

// parseFilter reads and checks a FilterPolicy.
func parseFilter(text string) (filter, error) {
	var policy map[string]any
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return nil, fmt.Errorf("failed to parse JSON.")
	}
	var out filter
	for _, name := range slices.Sorted(maps.Keys(policy)) {
		rules, ok := policy[name].([]any)
		if !ok {
			return nil, fmt.Errorf("%q must be an object or an array", name)
		}
		for _, r := range rules {
			if err := checkRule(r); err != nil {
				return nil, err
			}
		}
		out = append(out, condition{name, rules})
	}
	if len(out) > 5 {
		return nil, fmt.Errorf("Filter policy can not have more than 5 keys")
	}
	return out, nil
}

func checkRule(rule any) error {
	object, ok := rule.(map[string]any)
	if !ok {
		if _, list := rule.([]any); list {
			return fmt.Errorf("Match value must be String, number, true, false, or null")
		}
		return nil
	}
	for _, op := range slices.Sorted(maps.Keys(object)) {
		v := object[op]
		switch op {
		case "prefix", "suffix", "equals-ignore-case":
			_, ok = v.(string)
		case "exists":
			_, ok = v.(bool)
		case "anything-but":
			ok = v != nil
		case "numeric":
			_, ok = numericFits(0, v)
		default:
			return fmt.Errorf("Unrecognized match type %s", op)
		}
		if !ok {
			return fmt.Errorf("the value of %s is invalid", op)
		}
	}
	if len(object) != 1 {
		return fmt.Errorf("Only one key allowed in match expression")
	}
	return nil
}

// passes tells whether a message with such attributes gets through; without a policy all do.
func passes(policy string, attributes []MessageAttribute) bool {
	if policy == "" {
		return true
	}
	f, err := parseFilter(policy)
	if err != nil {
		return false
	}
	for _, c := range f {
		if !slices.ContainsFunc(c.rules, func(rule any) bool { return fits(rule, c.name, attributes) }) {
			return false
		}
	}
	return true
}

// fits tells whether one rule holds for an attribute.
func fits(rule any, name string, attributes []MessageAttribute) bool {
	i := slices.IndexFunc(attributes, func(a MessageAttribute) bool { return a.Name == name })
	object, isObject := rule.(map[string]any)
	if isObject {
		if want, ok := object["exists"].(bool); ok {
			return want == (i >= 0)
		}
	}
	if i < 0 {
		return false
	}
	a := attributes[i]
	values := []any{a.Value}
	switch {
	case a.Type == "String.Array":
		values = nil
		_ = json.Unmarshal([]byte(a.Value), &values) // what is no array has no values
	case strings.HasPrefix(a.Type, "Number"):
		n, _ := strconv.ParseFloat(a.Value, 64)
		values = []any{n}
	}
	for _, v := range values {
		switch v.(type) {
		case map[string]any, []any:
			continue // no rule is about these, and they cannot be compared
		}
		if isObject && operatorFits(object, v) || !isObject && v == rule {
			return true
		}
	}
	return false
}

func operatorFits(object map[string]any, v any) bool {
	text, isText := v.(string)
	if p, ok := object["prefix"].(string); ok {
		return isText && strings.HasPrefix(text, p)
	}
	if p, ok := object["suffix"].(string); ok {
		return isText && strings.HasSuffix(text, p)
	}
	if p, ok := object["equals-ignore-case"].(string); ok {
		return isText && strings.EqualFold(text, p)
	}
	if not, ok := object["anything-but"]; ok {
		switch not := not.(type) {
		case []any:
			return !slices.Contains(not, v)
		case map[string]any:
			return !operatorFits(not, v)
		}
		return v != not
	}
	if n, ok := v.(float64); ok {
		yes, _ := numericFits(n, object["numeric"])
		return yes
	}
	return false
}

// numericFits evaluates ["=", 3] or [">", 0, "<=", 5]; valid is false if the rule is not of that form.
func numericFits(n float64, rule any) (yes, valid bool) {
	list, ok := rule.([]any)
	if !ok || len(list) == 0 || len(list)%2 != 0 {
		return false, false
	}
	yes = true
	for i := 0; i < len(list); i += 2 {
		op, isOp := list[i].(string)
		bound, isNumber := list[i+1].(float64)
		if !isOp || !isNumber {
			return false, false
		}
		switch op {
		case "=":
			yes = yes && n == bound
		case "<":
			yes = yes && n < bound
		case "<=":
			yes = yes && n <= bound
		case ">":
			yes = yes && n > bound
		case ">=":
			yes = yes && n >= bound
		default:
			return false, false
		}
	}
	return yes, true
}
