// Package pattern is EventBridge's language of event patterns (EC-EV-03): whether an event has what a pattern asks for.
//
// A pattern is parsed once to a tree of tests that walks an event as far as it must. It is not a matcher of many
// patterns at once; who has many asks Strings for the sources and types that each can match, and indexes them by these.
//
// Invariants: fields are AND, the values of a field OR; an array in an event stands for each of its elements, and what a
// pattern says of one object must hold in one and the same element; what does not exist is looked for in the whole event.
package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Pattern is a parsed pattern. It never changes.
type Pattern struct{ root object }

// object is what a pattern says of one object: all fields, and of each choice one alternative.
type object struct {
	fields  []field
	choices [][]object // $or
}

// field is what is said of one field: of an object in it, or one of some tests of a value.
type field struct {
	name   string
	path   []string // from the event's top, name included
	object *object
	tests  []test
	exact  []string // the values, if all tests are of equality with a string
}

// test is a condition on a value that is no object and no array; absent has the field not exist anywhere instead.
type test struct {
	absent bool
	fits   func(v any) bool
}

// Decode reads an event as Match takes it: encoding/json's types, but json.Number for numbers.
func Decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(text[d.InputOffset():])) > 0 {
		return nil, errors.New("there is something behind the JSON value")
	}
	return v, nil
}

// Match tells whether an event, as Decode gives it, is what the pattern asks for.
func (p *Pattern) Match(event any) bool {
	m := match{event}
	return m.object(&p.root, event)
}

// Strings gives the values of which one must be that of a field at the event's top; ok is false if others may match too.
func (p *Pattern) Strings(name string) (values []string, ok bool) {
	for _, f := range p.root.fields {
		if f.name == name && f.exact != nil {
			return f.exact, true
		}
	}
	return nil, false
}

// match is one event being compared.
type match struct{ event any }

// object tells whether an object, or one of those in an array, is as described. What is neither is an empty object.
func (m match) object(o *object, v any) bool {
	some, yes := m.some(o, v)
	return yes || !some && m.holds(o, nil)
}

// some looks at v or the objects in it; any tells whether there was one.
func (m match) some(o *object, v any) (some, yes bool) {
	switch v := v.(type) {
	case map[string]any:
		return true, m.holds(o, v)
	case []any:
		for _, element := range v {
			one, fits := m.some(o, element)
			some = some || one
			if fits {
				return true, true
			}
		}
	}
	return some, false
}

func (m match) holds(o *object, v map[string]any) bool {
	for i := range o.fields {
		f := &o.fields[i]
		value, present := v[f.name]
		if f.object != nil && !m.object(f.object, value) || f.object == nil && !m.field(f, value, present) {
			return false
		}
	}
	for _, alternatives := range o.choices {
		one := false
		for i := range alternatives {
			if one = m.holds(&alternatives[i], v); one {
				break
			}
		}
		if !one {
			return false
		}
	}
	return true
}

func (m match) field(f *field, v any, present bool) bool {
	for _, t := range f.tests {
		if t.absent && !there(m.event, f.path) || !t.absent && present && anyLeaf(v, t.fits) {
			return true
		}
	}
	return false
}

// anyLeaf tells whether a value, or one in the array that it is, fits.
func anyLeaf(v any, fits func(any) bool) bool {
	switch v := v.(type) {
	case map[string]any:
		return false
	case []any:
		for _, element := range v {
			if anyLeaf(element, fits) {
				return true
			}
		}
		return false
	}
	return fits(v)
}

// there tells whether there is a value at a path, through whatever arrays.
func there(v any, path []string) bool {
	if len(path) == 0 {
		return anyLeaf(v, func(any) bool { return true })
	}
	switch v := v.(type) {
	case map[string]any:
		inner, ok := v[path[0]]
		return ok && there(inner, path[1:])
	case []any:
		for _, element := range v {
			if there(element, path) {
				return true
			}
		}
	}
	return false
}
