package fuzz

import (
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/billow-cloud/billow/api"
)

var junk = []string{"", "a", "0", "-1", "x y", "ünï-ço∂é", "a/b", "*", "?", "$Latest", "$Default", "<&>\"'", "i-0123456789abcdef0", "i-zzz", "ami-1",
	"arn:aws:sns:us-east-1:999999999999:other", "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/x/0123456789abcdef",
	"10.0.0.0/16", "10.0.0.0/8", "0.0.0.0/0", "172.31.0.9", "300.1.1.1", "9223372036854775808", "99999", "80", "8080-8081", "true", "TRUE", "null",
	"us-east-1a", "us-east-1z", "eu-west-1a", "2026-02-30T00:00:00Z", "2026-09-27T12:00:00Z", "0 9 * * *", "* * * * * *", "61 * * * *", "Europe/Berlin",
	"http://example.test/", "aGVsbG8=", "not base64 !", "m1+m2", "m1/0", "SUM(METRICS())", "{}", "{\"a\":[1]}", "[", strings.Repeat("long", 400)}

// text is a string for a member.
func (a *author) text(service, name string, s *api.Shape) string {
	if len(s.Enum) > 0 {
		return pick(a, s.Enum)
	}
	learned := a.words[known(service, name)]
	for range 6 {
		var w string
		switch n := a.rng.IntN(100); {
		case n < 84 && len(learned) > 0:
			w = pick(a, learned)
		case n < 88 && len(learned) > 0: // two of them, or half of one
			w = pick(a, learned)
			w = pick(a, []string{w + "," + pick(a, learned), w[:len(w)/2], w + "x", strings.ToUpper(w)})
		case n < 92 && len(a.words["resource"]) > 0:
			w = pick(a, a.words["resource"])
		case n < 95:
			w = "nn" + string(rune('0'+a.rng.IntN(10)))
		default:
			w = pick(a, junk)
		}
		if a.fits(s, w) {
			return w
		}
	}
	return "nn" + string(rune('0'+a.rng.IntN(10)))
}

func (a *author) fits(s *api.Shape, w string) bool {
	n := float64(utf8.RuneCountInString(w))
	if s.HasMin && n < s.Min || s.HasMax && n > s.Max || !utf8.ValidString(w) {
		return false
	}
	if s.Pattern == "" {
		return true
	}
	re := a.patterns[s.Pattern]
	if re == nil {
		re = regexp.MustCompile(s.Pattern)
		a.patterns[s.Pattern] = re
	}
	return re.MatchString(w)
}

func (a *author) number(s *api.Shape) float64 {
	n := pick(a, []float64{0, 1, 1, 2, 2, 3, 4, 5, 10, 20, 30, 60, 60, 80, 300, 3600, 86400, -1, -2, 65536, 1 << 31, 1e15, float64(a.rng.IntN(100))})
	if s.HasMin && n < s.Min {
		n = s.Min
	}
	if s.HasMax && n > s.Max {
		n = s.Max
	}
	return n
}

// fill writes a value of a shape; depth bounds shapes that contain themselves.
func (a *author) fill(svc *api.Service, shape int, name string, v reflect.Value, depth int) {
	s := &svc.Shapes[shape]
	switch s.Kind {
	case api.Structure:
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			v = v.Elem()
		}
		a.members(svc, s, v, depth, 25)
	case api.List:
		n := pick(a, []int{1, 1, 1, 2, 2, 3, 0})
		if s.HasMin {
			n = max(n, int(s.Min))
		}
		if depth == 0 && !s.HasMin {
			n = 0
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			a.fill(svc, s.Elem, name, v.Index(i), depth-1)
		}
	case api.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range a.rng.IntN(3) {
			e := reflect.New(v.Type().Elem()).Elem()
			a.fill(svc, s.Elem, name, e, depth-1)
			v.SetMapIndex(reflect.ValueOf(a.text(svc.Name, name+"key", &svc.Shapes[s.Key])), e)
		}
	case api.String:
		set(v, a.text(svc.Name, name, s))
	case api.Integer:
		set(v, int32(min(a.number(s), 1<<31-1)))
	case api.Long:
		set(v, int64(a.number(s)))
	case api.Double:
		n := a.number(s) + pick(a, []float64{0, 0, 0.5, -0.25})
		if a.chance(3) {
			n = pick(a, []float64{math.Inf(1), math.Inf(-1), math.NaN()}) // the wire carries them; no row can
		}
		set(v, n)
	case api.Boolean:
		set(v, a.chance(50))
	case api.Timestamp:
		set(v, a.at().Add(time.Duration(a.rng.IntN(7200)-3600)*pick(a, []time.Duration{time.Second, time.Second, time.Hour})))
	case api.Blob:
		v.SetBytes([]byte(pick(a, junk)))
	}
}

func set[T any](v reflect.Value, x T) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.ValueOf(&x))
		return
	}
	v.Set(reflect.ValueOf(x))
}

func (a *author) members(svc *api.Service, s *api.Shape, v reflect.Value, depth, percent int) {
	for i, m := range s.Members {
		if m.Name == "DryRun" && !a.chance(2) {
			continue
		}
		if m.Required || depth > 0 && a.chance(percent) {
			a.fill(svc, m.Shape, m.Name, v.Field(i), depth-1)
		}
	}
}

// input writes an input from nothing.
func (a *author) input(svc *api.Service, op *api.Operation) any {
	in := op.In()
	a.members(svc, &svc.Shapes[op.Input], reflect.ValueOf(in).Elem(), 4, pick(a, []int{0, 10, 20, 40}))
	return in
}

// mutate changes up to three members of an input, at any depth.
func (a *author) mutate(svc *api.Service, op *api.Operation, in any) {
	for range a.rng.IntN(4) {
		a.mutateIn(svc, op.Input, reflect.ValueOf(in).Elem())
	}
}

func (a *author) mutateIn(svc *api.Service, shape int, v reflect.Value) {
	s := &svc.Shapes[shape]
	switch s.Kind {
	case api.Structure:
		if len(s.Members) == 0 {
			return
		}
		i := a.rng.IntN(len(s.Members))
		if used := given(v); len(used) > 0 && a.chance(60) {
			i = pick(a, used)
		}
		m, f := s.Members[i], v.Field(i)
		switch {
		case !f.IsNil() && !m.Required && a.chance(30):
			f.SetZero()
		case !f.IsNil() && a.chance(50):
			if f.Kind() == reflect.Pointer && f.Elem().Kind() == reflect.Struct {
				f = f.Elem()
			}
			a.mutateIn(svc, m.Shape, f)
		default:
			a.fill(svc, m.Shape, m.Name, f, 3)
		}
	case api.List:
		switch n := v.Len(); {
		case n > 0 && a.chance(70):
			a.mutateIn(svc, s.Elem, v.Index(a.rng.IntN(n)))
		case n > 0 && a.chance(50): // one twice
			v.Set(reflect.Append(v, v.Index(a.rng.IntN(n))))
		default:
			a.fill(svc, shape, "", v, 2)
		}
	default:
		a.fill(svc, shape, "", v, 2)
	}
}

// given lists the members of a structure that are there.
func given(v reflect.Value) []int {
	var all []int
	for i := range v.NumField() {
		if !v.Field(i).IsNil() {
			all = append(all, i)
		}
	}
	return all
}

// valid says whether the wire would let the value through.
func (a *author) valid(svc *api.Service, shape int, v reflect.Value) bool {
	s := &svc.Shapes[shape]
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	within := func(n float64) bool { return !(s.HasMin && n < s.Min) && !(s.HasMax && n > s.Max) }
	switch s.Kind {
	case api.Structure:
		for i, m := range s.Members {
			if v.Field(i).IsNil() {
				if m.Required {
					return false
				}
			} else if !a.valid(svc, m.Shape, v.Field(i)) {
				return false
			}
		}
	case api.List:
		for i := range v.Len() {
			if !a.valid(svc, s.Elem, v.Index(i)) {
				return false
			}
		}
		return within(float64(v.Len()))
	case api.Map:
		for _, k := range v.MapKeys() {
			if !a.valid(svc, s.Key, k) || !a.valid(svc, s.Elem, v.MapIndex(k)) {
				return false
			}
		}
		return within(float64(v.Len()))
	case api.String:
		if len(s.Enum) > 0 {
			return slices.Contains(s.Enum, v.String())
		}
		return a.fits(s, v.String())
	case api.Integer, api.Long:
		return within(float64(v.Int()))
	case api.Double:
		return within(v.Float())
	}
	return true
}
