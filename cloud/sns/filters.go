package sns

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/cloud/events/pattern"
)

// The values of FilterPolicyScope: what a filter policy is about.
const (
	scopeAttributes = "MessageAttributes"
	scopeBody       = "MessageBody"
)

// Limits of a filter policy.
const (
	maxFilterKeys         = 5
	maxFilterCombinations = 150
)

// parseFilter reads and checks a FilterPolicy: the language is that of event patterns, and over attributes it has one level.
func parseFilter(text, scope string) (*pattern.Pattern, error) {
	var policy map[string]any
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return nil, fmt.Errorf("failed to parse JSON.")
	}
	keys, combinations := 0, 1
	for _, name := range slices.Sorted(maps.Keys(policy)) {
		if _, nested := policy[name].(map[string]any); nested && scope != scopeBody {
			return nil, fmt.Errorf("Filter policy scope MessageAttributes does not support nested filter policy")
		}
		k, c := weigh(policy[name])
		keys, combinations = keys+k, min(combinations*c, maxFilterCombinations+1)
	}
	switch {
	case keys > maxFilterKeys:
		return nil, fmt.Errorf("Filter policy can not have more than %d keys", maxFilterKeys)
	case combinations > maxFilterCombinations:
		return nil, fmt.Errorf("Filter policy is too complex")
	}
	return pattern.Parse(text)
}

// weigh counts the fields of a part of a policy and the combinations of their values.
func weigh(v any) (keys, combinations int) {
	object, nested := v.(map[string]any)
	if !nested {
		list, _ := v.([]any)
		return 1, max(1, len(list))
	}
	combinations = 1
	for _, name := range slices.Sorted(maps.Keys(object)) {
		k, c := weigh(object[name])
		keys, combinations = keys+k, min(combinations*c, maxFilterCombinations+1)
	}
	return keys, combinations
}

// passes tells whether a message gets through a subscription's filter; without a policy all do.
func (sub *Subscription) passes(m *Message) bool {
	text, scope := get(sub.Attributes, "FilterPolicy"), get(sub.Attributes, "FilterPolicyScope")
	if text == "" {
		return true
	}
	p, err := parseFilter(text, scope)
	if err != nil {
		return false
	}
	if scope != scopeBody {
		return p.Match(filtered(m.Attributes))
	}
	body, err := pattern.Decode([]byte(m.Text))
	return err == nil && p.Match(body) // what is no JSON has no fields
}

// filtered are a message's attributes as a pattern looks at them; binary ones are not looked at.
func filtered(attributes []MessageAttribute) map[string]any {
	out := map[string]any{}
	for _, a := range attributes {
		kind, _, _ := strings.Cut(a.Type, ".")
		switch {
		case a.Type == "String.Array":
			if list, err := pattern.Decode([]byte(a.Value)); err == nil {
				out[a.Name] = list
			}
		case kind == "Number":
			out[a.Name] = json.Number(a.Value)
		case kind == "String":
			out[a.Name] = a.Value
		}
	}
	return out
}
