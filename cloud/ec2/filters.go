package ec2

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// fields are the filters that a describe call knows: what a row has under each name.
type fields[R any] map[string]func(tx *cloud.Tx, r R) []string

// listing is one describe call over rows of one kind.
type listing[R any] struct {
	rows    cloud.Rows[R]
	fields  fields[R]
	id      func(R) string
	visible func(R) bool // nil: all
	ids     []string     // those asked for; none: all
	missing func(ids []string) error
	filters []shape.Filter
	max     *int32
	token   *string
}

// find gives the rows asked for in order of ID, and the token of the next page.
func (l listing[R]) find(s *Service, tx *cloud.Tx) ([]R, *string, error) {
	match, err := matcher(s, l.fields, l.id, l.filters)
	if err != nil {
		return nil, nil, err
	}
	if len(l.ids) > 0 {
		return l.named(tx, match)
	}
	var found []R
	for _, row := range l.rows.After(tx, api.Value(l.token)) {
		if l.visible != nil && !l.visible(row) || !match(tx, row) {
			continue
		}
		if l.max != nil && len(found) == int(*l.max) {
			return found, new(l.id(found[len(found)-1])), nil
		}
		found = append(found, row)
	}
	return found, nil, nil
}

func (l listing[R]) named(tx *cloud.Tx, match func(*cloud.Tx, R) bool) (found []R, next *string, err error) {
	var lost []string
	for i, id := range l.ids {
		row, ok := l.rows.Get(tx, id)
		if !ok || l.visible != nil && !l.visible(row) {
			lost = append(lost, id)
			continue
		}
		if !slices.Contains(l.ids[:i], id) && match(tx, row) {
			found = append(found, row)
		}
	}
	if lost != nil {
		if err := l.missing(lost); err != nil {
			return nil, nil, err
		}
	}
	return found, nil, nil
}

// matcher makes one predicate of filters: a row must fit them all, and each by any of its values.
func matcher[R any](s *Service, known fields[R], id func(R) string, filters []shape.Filter) (func(*cloud.Tx, R) bool, error) {
	type test struct {
		values func(tx *cloud.Tx, r R) []string
		want   []string
	}
	tests := make([]test, 0, len(filters))
	for _, f := range filters {
		name := api.Value(f.Name)
		get := known[name]
		if get == nil {
			get = tagFilter(s, name, id)
		}
		if get == nil {
			return nil, api.Errorf("InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		tests = append(tests, test{get, f.Values})
	}
	return func(tx *cloud.Tx, r R) bool {
		for _, t := range tests {
			if !anyLike(t.want, t.values(tx, r)) {
				return false
			}
		}
		return true
	}, nil
}

// tagFilter gives what the filters that all resources have look at; nil if the name is none of them.
func tagFilter[R any](s *Service, name string, id func(R) string) func(*cloud.Tx, R) []string {
	key, one := strings.CutPrefix(name, "tag:")
	if !one && name != "tag-key" && name != "tag-value" {
		return nil
	}
	return func(tx *cloud.Tx, r R) []string {
		var values []string
		for _, t := range s.Tags(tx, id(r)) {
			switch {
			case one && t.Key == key, name == "tag-value":
				values = append(values, t.Value)
			case name == "tag-key":
				values = append(values, t.Key)
			}
		}
		return values
	}
}

func anyLike(patterns, values []string) bool {
	for _, p := range patterns {
		for _, v := range values {
			if like(p, v) {
				return true
			}
		}
	}
	return false
}

// like matches a filter's value: * is any run of characters, ? any one, a backslash takes away their meaning.
func like(pattern, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && pattern[i] == '\\' && i+1 < len(pattern) && pattern[i+1] == s[j]:
			i, j = i+2, j+1
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j] && pattern[i] != '\\'):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(pattern) && pattern[i] == '*' {
		i++
	}
	return i == len(pattern)
}

// literal tells whether a filter's value stands for itself alone.
func literal(pattern string) bool { return !strings.ContainsAny(pattern, `*?\`) }

// wellFormed tells whether an ID is a prefix and 8 or 17 hexadecimal digits.
func wellFormed(prefix, id string) bool {
	digits, ok := strings.CutPrefix(id, prefix)
	if !ok || len(digits) != 8 && len(digits) != 17 {
		return false
	}
	return strings.Trim(digits, "0123456789abcdef") == ""
}

// notFound makes the error for IDs of one kind that do not exist: code "InvalidSubnetID", noun "subnet".
func notFound(code, noun, prefix string) func(ids []string) error {
	return func(ids []string) error {
		for _, id := range ids {
			if !wellFormed(prefix, id) {
				return api.Errorf(code+".Malformed", "Invalid id: \"%s\" (expecting \"%s...\")", id, prefix)
			}
		}
		if len(ids) == 1 {
			return api.Errorf(code+".NotFound", "The %s ID '%s' does not exist", noun, ids[0])
		}
		return api.Errorf(code+".NotFound", "The %s IDs '%s' do not exist", noun, strings.Join(ids, ", "))
	}
}

func one(s string) []string { return []string{s} }

func yes(b bool) []string {
	if b {
		return []string{"true"}
	}
	return []string{"false"}
}

func stamp(t time.Time) []string { return []string{t.UTC().Format("2006-01-02T15:04:05.000Z")} }

// rowsOf gives the rows of a sequence.
func rowsOf[R any](seq iter.Seq2[string, R]) []R {
	var all []R
	for _, r := range seq {
		all = append(all, r)
	}
	return all
}

// optional gives nil for a zero value: a member that is left out of an answer.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// pageOf cuts a page from a list in order of id.
func pageOf[R any](all []R, id func(R) string, limit *int32, token *string) ([]R, *string) {
	from := 0
	for token != nil && from < len(all) && id(all[from]) <= *token {
		from++
	}
	all = all[from:]
	if limit == nil || len(all) <= int(*limit) {
		return all, nil
	}
	all = all[:*limit]
	return all, new(id(all[len(all)-1]))
}
