package setup

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/billow-cloud/billow/api"
)

// fault is an error at a line of a file.
func fault(file string, line int, format string, args ...any) error {
	return fmt.Errorf("%s: %s", Source{file, line}, fmt.Sprintf(format, args...))
}

// filler puts nodes into shapes, as the service's tables say.
type filler struct {
	file    string
	service *api.Service
	short   bool // shorthand: one value is a list too
	strict  bool // a member that the shape does not have is an error: in what users write, not in what aws prints
}

// fill sets v, the Go value of a shape, to what a node says. Empty lists are none: aws prints them for what is not there.
func (f filler) fill(shape int, n *node, path string, v reflect.Value) error {
	s := &f.service.Shapes[shape]
	if n.kind == null {
		return nil
	}
	wrong := func(want kind) error {
		return fault(f.file, n.line, "%s must be %s, not %s", path, want, n.kind)
	}
	switch s.Kind {
	case api.Structure:
		if n.kind != object {
			return wrong(object)
		}
		v = through(v)
		for _, m := range n.members {
			i := slices.IndexFunc(s.Members, func(x api.Member) bool { return x.Name == m.name })
			if i < 0 {
				if f.strict {
					return fault(f.file, m.line, "%s has no member %s; it can have %s", or(path, "it"), m.name, memberNames(s))
				}
				continue
			}
			if err := f.fill(s.Members[i].Shape, m.value, below(path, m.name), v.Field(i)); err != nil {
				return err
			}
		}
	case api.List:
		if n.kind != list && f.short {
			n = &node{line: n.line, kind: list, items: []*node{n}}
		}
		if n.kind != list {
			return wrong(list)
		}
		if len(n.items) == 0 {
			return nil
		}
		out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
		for i, item := range n.items {
			if err := f.fill(s.Elem, item, fmt.Sprintf("%s[%d]", path, i), out.Index(i)); err != nil {
				return err
			}
		}
		v.Set(out)
	case api.Map:
		if n.kind != object {
			return wrong(object)
		}
		out := reflect.MakeMap(v.Type())
		for _, m := range n.members {
			item := reflect.New(v.Type().Elem()).Elem()
			if err := f.fill(s.Elem, m.value, below(path, m.name), item); err != nil {
				return err
			}
			out.SetMapIndex(reflect.ValueOf(m.name), item)
		}
		v.Set(out)
	default:
		if n.kind == object || n.kind == list {
			return wrong(text)
		}
		if err := scalar(s.Kind, n, v); err != nil {
			return fault(f.file, n.line, "%s: %q %v", path, n.text, err)
		}
	}
	return nil
}

// scalar sets a value that has no parts. Numbers in quotes are numbers: the shorthand knows no other ones.
func scalar(k api.Kind, n *node, v reflect.Value) error {
	if k == api.Blob {
		data, err := base64.StdEncoding.DecodeString(n.text)
		if err != nil {
			return errors.New("is not base64")
		}
		v.SetBytes(data)
		return nil
	}
	v = through(v)
	switch k {
	case api.String:
		v.SetString(n.text)
	case api.Integer, api.Long:
		i, err := strconv.ParseInt(strings.TrimSuffix(n.text, ".0"), 10, v.Type().Bits())
		if errors.Is(err, strconv.ErrRange) {
			return errors.New("is too large")
		}
		if err != nil {
			return errors.New("is not a whole number")
		}
		v.SetInt(i)
	case api.Double:
		x, err := strconv.ParseFloat(n.text, 64)
		if errors.Is(err, strconv.ErrRange) {
			return errors.New("is too large")
		}
		if err != nil || x != x {
			return errors.New("is not a number")
		}
		v.SetFloat(x)
	case api.Boolean:
		b, err := strconv.ParseBool(strings.ToLower(n.text))
		if err != nil {
			return errors.New("is not true or false")
		}
		v.SetBool(b)
	case api.Timestamp:
		at, err := instant(n)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(at))
	}
	return nil
}

func instant(n *node) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.Parse(layout, n.text); err == nil {
			return at.UTC(), nil
		}
	}
	if seconds, err := strconv.ParseFloat(n.text, 64); err == nil && seconds > 0 && seconds < 1e11 {
		return time.UnixMilli(int64(seconds * 1000)).UTC(), nil
	}
	return time.Time{}, errors.New("is not a time")
}

// through makes a pointer point to a new value, and gives that.
func through(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	return v.Elem()
}

// check refuses a request that does not fit the model: what the wire does for requests that come over it.
func check(service *api.Service, shape int, path string, v reflect.Value) error {
	s := &service.Shapes[shape]
	v = reflect.Indirect(v)
	switch s.Kind {
	case api.Structure:
		for i, m := range s.Members {
			field := v.Field(i)
			if field.IsNil() {
				if m.Required {
					return fmt.Errorf("%s is missing", below(path, m.Name))
				}
				continue
			}
			if err := check(service, m.Shape, below(path, m.Name), field); err != nil {
				return err
			}
		}
	case api.List:
		for i := range v.Len() {
			if err := check(service, s.Elem, fmt.Sprintf("%s[%d]", path, i), v.Index(i)); err != nil {
				return err
			}
		}
		return inRange(s, path, float64(v.Len()), "elements")
	case api.String:
		return goodText(s, path, v.String())
	case api.Integer, api.Long:
		return inRange(s, path, float64(v.Int()), "")
	case api.Double:
		return inRange(s, path, v.Float(), "")
	}
	return nil
}

func goodText(s *api.Shape, path, value string) error {
	if strings.Contains(value, "${") { // it is not known yet
		return nil
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
		return fmt.Errorf("%s is %q; it can be %s", path, value, strings.Join(s.Enum, ", "))
	}
	if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(value) {
		return fmt.Errorf("%s: %q is not of the form %s", path, value, s.Source)
	}
	return inRange(s, path, float64(utf8.RuneCountInString(value)), "characters")
}

func inRange(s *api.Shape, path string, n float64, of string) error {
	if n == 1 {
		of = strings.TrimSuffix(of, "s")
	}
	switch of = strings.TrimSuffix(" "+of, " "); {
	case s.HasMin && n < s.Min:
		return fmt.Errorf("%s is %g%s; it must be at least %g", path, n, of, s.Min)
	case s.HasMax && n > s.Max:
		return fmt.Errorf("%s is %g%s; it must be at most %g", path, n, of, s.Max)
	}
	return nil
}

func memberNames(s *api.Shape) string {
	var names []string
	for _, m := range s.Members {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// carry sets the members of a request to those of a description that have the same name and type.
func carry(description, request any) {
	from, to := reflect.Indirect(reflect.ValueOf(description)), reflect.ValueOf(request).Elem()
	for i := range to.NumField() {
		name := to.Type().Field(i).Name
		if v := from.FieldByName(name); v.IsValid() && v.Type() == to.Field(i).Type() {
			to.Field(i).Set(v)
		}
	}
}
