package pattern

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// combinations is how many ways through its choices a pattern may have.
const combinations = 1000

// TooComplex is the error of a pattern whose choices have too many combinations.
type TooComplex struct{ Combinations int }

func (e *TooComplex) Error() string {
	return fmt.Sprintf("the pattern has %d combinations of its $or alternatives, the limit is %d", e.Combinations, combinations)
}

// Parse reads a pattern.
func Parse(text string) (*Pattern, error) {
	v, err := Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("Filter is not valid JSON: %w", err)
	}
	top, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("Filter is not an object")
	}
	root, err := parseObject(top, nil)
	if err != nil {
		return nil, err
	}
	if n := root.combinations(); n > combinations {
		return nil, &TooComplex{n}
	}
	return &Pattern{root}, nil
}

// combinations counts the ways through an object's choices, up to a bound that is over the limit.
func (o *object) combinations() int {
	n := 1
	for i := range o.fields {
		if o.fields[i].object != nil {
			n = min(n*o.fields[i].object.combinations(), 10*combinations)
		}
	}
	for _, alternatives := range o.choices {
		sum := 0
		for i := range alternatives {
			sum += alternatives[i].combinations()
		}
		n = min(n*sum, 10*combinations)
	}
	return n
}

func parseObject(in map[string]any, path []string) (object, error) {
	var o object
	if len(in) == 0 {
		return o, fmt.Errorf("Empty objects are not allowed")
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if alternatives, ok := choice(name, in[name]); ok {
			var parsed []object
			for _, a := range alternatives {
				inner, err := parseObject(a, path)
				if err != nil {
					return o, err
				}
				parsed = append(parsed, inner)
			}
			o.choices = append(o.choices, parsed)
			continue
		}
		f, err := parseField(name, in[name], path)
		if err != nil {
			return o, err
		}
		o.fields = append(o.fields, f)
	}
	return o, nil
}

// reserved are the names that an alternative of $or must not have as fields: then $or is the name of a field as well.
var reserved = []string{"exactly", "prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "cidr", "exists", "wildcard"}

// choice takes the alternatives of $or: two objects at least. Any other $or is a field of that name.
func choice(name string, v any) (alternatives []map[string]any, ok bool) {
	list, isList := v.([]any)
	if name != "$or" || !isList || len(list) < 2 {
		return nil, false
	}
	for _, element := range list {
		object, isObject := element.(map[string]any)
		if !isObject {
			return nil, false
		}
		for _, word := range reserved {
			if _, used := object[word]; used {
				return nil, false
			}
		}
		alternatives = append(alternatives, object)
	}
	return alternatives, true
}

func parseField(name string, v any, path []string) (field, error) {
	f := field{name: name, path: append(slices.Clone(path), name)}
	switch v := v.(type) {
	case map[string]any:
		inner, err := parseObject(v, f.path)
		f.object = &inner
		return f, err
	case []any:
		if len(v) == 0 {
			return f, fmt.Errorf("Empty arrays are not allowed")
		}
		for _, value := range v {
			t, err := parseTest(value)
			if err != nil {
				return f, err
			}
			f.tests = append(f.tests, t)
			if text, isText := value.(string); isText {
				f.exact = append(f.exact, text)
			}
		}
		if len(f.exact) < len(f.tests) {
			f.exact = nil
		}
		return f, nil
	}
	return f, fmt.Errorf("%q must be an object or an array", name)
}

// parseTest reads one value of a field's array: a value to equal, or an object with one operator.
func parseTest(v any) (test, error) {
	switch v := v.(type) {
	case []any:
		return test{}, fmt.Errorf("Match value must be String, number, true, false, or null")
	case map[string]any:
		operator, operand, err := only(v)
		if err != nil {
			return test{}, err
		}
		if operator == "exists" {
			want, ok := operand.(bool)
			if !ok {
				return test{}, fmt.Errorf("exists match pattern must be either true or false.")
			}
			return test{absent: !want, fits: func(any) bool { return true }}, nil
		}
		fits, err := parseOperator(operator, operand)
		return test{fits: fits}, err
	}
	return test{fits: equals(v)}, nil
}

// only takes an object of one member apart.
func only(v map[string]any) (name string, value any, err error) {
	if len(v) != 1 {
		return "", nil, fmt.Errorf("Only one key allowed in match expression")
	}
	name = slices.Sorted(maps.Keys(v))[0]
	return name, v[name], nil
}

func parseOperator(operator string, operand any) (func(any) bool, error) {
	switch operator {
	case "prefix", "suffix":
		return parseAffix(operator, operand)
	case "equals-ignore-case", "wildcard", "cidr":
		text, ok := operand.(string)
		if !ok {
			return nil, fmt.Errorf("%s match pattern must be a string", operator)
		}
		return parseText(operator, text)
	case "numeric":
		list, ok := operand.([]any)
		if !ok {
			return nil, fmt.Errorf("Value of numeric must be an array.")
		}
		return parseNumeric(list)
	case "anything-but":
		return parseAnythingBut(operand)
	}
	return nil, fmt.Errorf("Unrecognized match type %s", operator)
}

// parseAffix reads what a prefix or suffix is: a string, or one of which the case does not matter.
func parseAffix(operator string, operand any) (func(any) bool, error) {
	fold := false
	if object, ok := operand.(map[string]any); ok {
		inner, value, err := only(object)
		if err != nil {
			return nil, err
		}
		if inner != "equals-ignore-case" {
			return nil, fmt.Errorf("Unsupported %s match pattern: %s", operator, inner)
		}
		operand, fold = value, true
	}
	text, ok := operand.(string)
	if !ok {
		return nil, fmt.Errorf("%s match pattern must be a string", operator)
	}
	return affix(operator == "prefix", fold, text), nil
}

func parseText(operator, text string) (func(any) bool, error) {
	switch operator {
	case "equals-ignore-case":
		return equalsIgnoreCase(text), nil
	case "wildcard":
		return wildcard(text)
	}
	return cidr(text)
}

// parseAnythingBut reads values, or an operator over one text or several, of which none may fit.
func parseAnythingBut(operand any) (func(any) bool, error) {
	var list []any
	read := func(v any) (func(any) bool, error) { return equals(v), nil }
	switch v := operand.(type) {
	case []any:
		list = v
	case map[string]any:
		operator, inner, err := only(v)
		if err != nil {
			return nil, err
		}
		switch operator {
		case "prefix", "suffix", "equals-ignore-case", "wildcard":
		default:
			return nil, fmt.Errorf("Unsupported anything-but pattern: %s", operator)
		}
		several, isList := inner.([]any)
		if list = several; !isList {
			list = []any{inner}
		}
		read = func(v any) (func(any) bool, error) {
			if _, ok := v.(string); !ok && isList {
				return nil, fmt.Errorf("Inside anything-but/%s list, only strings are supported", operator)
			}
			return parseOperator(operator, v)
		}
		if len(list) > 0 {
			return none(list, read)
		}
	default:
		list = []any{operand}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("Empty arrays are not allowed")
	}
	texts, numbers := 0, 0
	for _, v := range list {
		switch v.(type) {
		case string:
			texts++
		case json.Number:
			numbers++
		}
	}
	switch {
	case texts+numbers < len(list):
		return nil, fmt.Errorf("Inside anything-but list, only strings and numbers are supported")
	case texts > 0 && numbers > 0:
		return nil, fmt.Errorf("Inside anything but list, either all values are number or string, mixed type is not supported")
	}
	return none(list, read)
}

// none makes the test that no test of a list fits.
func none(list []any, read func(any) (func(any) bool, error)) (func(any) bool, error) {
	var fits []func(any) bool
	for _, v := range list {
		f, err := read(v)
		if err != nil {
			return nil, err
		}
		fits = append(fits, f)
	}
	return func(v any) bool {
		return !slices.ContainsFunc(fits, func(f func(any) bool) bool { return f(v) })
	}, nil
}
