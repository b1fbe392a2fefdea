package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/cloud/events/pattern"
)

// This file makes what a target gets of an event.

// The variables that every template has.
const (
	varRuleARN   = "aws.events.rule-arn"
	varRuleName  = "aws.events.rule-name"
	varEvent     = "aws.events.event"      // without its detail
	varEventJSON = "aws.events.event.json" // all of it
	varIngestion = "aws.events.event.ingestion-time"
)

var predefined = []string{varRuleARN, varRuleName, varEvent, varEventJSON, varIngestion}

var placeholder = regexp.MustCompile(`<([A-Za-z0-9_.\-]+)>`)

// placeholders names the variables that a template has, in order.
func placeholders(template string) []string {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(template, -1) {
		names = append(names, m[1])
	}
	return names
}

// payload is what a target gets of an event that its rule hands on.
func (t Target) payload(e *Event, ruleARN string) string {
	switch {
	case t.Input != "":
		return t.Input
	case t.InputPath != "":
		v, _ := walk(e.value(), t.InputPath)
		return string(encode(v))
	case t.Template != "":
		return t.fill(e, ruleARN)
	}
	return e.JSON()
}

// fill puts values into the target's template. Outside of a JSON string a value is put in as JSON. Inside, EventBridge escapes
// nothing: a text stands there as it is, and objects and arrays lose their quotation marks, so that they do not end the
// string. What is not in the event is an empty string.
func (t Target) fill(e *Event, ruleARN string) string {
	trimmed := strings.TrimSpace(t.Template)
	isJSON := trimmed != "" && strings.ContainsRune(`{["`, rune(trimmed[0])) || placeholder.FindString(trimmed) == trimmed
	var out strings.Builder
	rest, quoted := t.Template, false
	for {
		at := placeholder.FindStringSubmatchIndex(rest)
		if at == nil {
			out.WriteString(rest)
			return out.String()
		}
		out.WriteString(rest[:at[0]])
		quoted = quotedAfter(rest[:at[0]], quoted)
		v := t.variable(rest[at[2]:at[3]], e, ruleARN)
		text, isText := v.(string)
		if !isText {
			text = string(encode(v))
		}
		switch {
		case quoted && !isText:
			text = strings.ReplaceAll(text, `"`, "")
		case quoted:
		case isText && isJSON:
			text = string(encode(text))
		}
		out.WriteString(text)
		rest = rest[at[1]:]
	}
}

// badTemplate says what keeps a template from being JSON when its variables have values, in the words of AWS's parser; empty
// if nothing does. Only the first value counts: a template may have a string on each line.
func badTemplate(template string) string {
	filled := placeholder.ReplaceAllString(template, "null")
	d := json.NewDecoder(strings.NewReader(filled))
	var first json.RawMessage
	if d.Decode(&first) == nil {
		return ""
	}
	at := int(d.InputOffset())
	var wrong *json.SyntaxError
	if err := json.Unmarshal([]byte(filled), &first); errors.As(err, &wrong) {
		at = int(wrong.Offset)
	}
	before := filled[:min(at, len(filled))]
	return fmt.Sprintf("[Source: (String)\"%s\"; line: %d, column: %d]", filled, strings.Count(before, "\n")+1, len(before)-strings.LastIndexByte(before, '\n'))
}

// quotedAfter tells whether a JSON string is open after a text, if one was or was not before it.
func quotedAfter(text string, quoted bool) bool {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		}
	}
	return quoted
}

// variable is the value of a placeholder.
func (t Target) variable(name string, e *Event, ruleARN string) any {
	switch name {
	case varRuleARN:
		return ruleARN
	case varRuleName:
		return t.Rule
	case varIngestion:
		return stamp(e.Ingested)
	case varEvent:
		return json.RawMessage(e.text(false))
	case varEventJSON:
		return json.RawMessage(e.JSON())
	}
	i := slices.IndexFunc(t.Variables, func(v Variable) bool { return v.Name == name })
	if i < 0 {
		return ""
	}
	v, ok := walk(e.value(), t.Variables[i].Path)
	if !ok {
		return ""
	}
	return v
}

// jsonPath is what EventBridge knows of JSON paths: members by a dot, elements by their number or all of them.
var jsonPath = regexp.MustCompile(`^\$((\.[A-Za-z0-9_\-/:*]+|\['[^']*'\])(\[(\d{1,9}|\*)\])*|\[(\d{1,9}|\*)\])*$`)

var pathStep = regexp.MustCompile(`\.([A-Za-z0-9_\-/:*]+)|\['([^']*)'\]|\[(\d+|\*)\]`)

func validPath(path string) bool { return jsonPath.MatchString(path) }

// walk gives what is at a path; with a star in it, the list of all that is.
func walk(v any, path string) (any, bool) {
	found, many := []any{v}, false
	for _, step := range pathStep.FindAllStringSubmatch(path, -1) {
		name, index := step[1]+step[2], step[3]
		many = many || name == "*" || index == "*"
		var next []any
		for _, v := range found {
			next = append(next, children(v, name, index)...)
		}
		found = next
	}
	switch {
	case many:
		return append([]any{}, found...), len(found) > 0
	case len(found) == 0:
		return nil, false
	}
	return found[0], true
}

func children(v any, name, index string) []any {
	switch v := v.(type) {
	case map[string]any:
		if name == "*" {
			var all []any
			for _, k := range sortedKeys(v) {
				all = append(all, v[k])
			}
			return all
		}
		if inner, ok := v[name]; ok && index == "" {
			return []any{inner}
		}
	case []any:
		if index == "*" || name == "*" {
			return v
		}
		if i, err := strconv.Atoi(index); err == nil && i < len(v) {
			return v[i : i+1]
		}
	}
	return nil
}

// value is the event as patterns and paths look at it.
func (e *Event) value() any {
	if e.decoded == nil {
		e.decoded, _ = pattern.Decode([]byte(e.JSON())) // it was made here
	}
	return e.decoded
}
