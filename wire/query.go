package wire

import (
	"bytes"
	"errors"
	"reflect"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/billow-cloud/billow/api"
)

// pair is one parameter of a query request, unescaped.
type pair struct{ key, value []byte }

// maxPairs bounds the parameters of one request; AWS's own bounds on the members stay far below.
const maxPairs = 100_000

var (
	errForm  = api.Errorf("MalformedQueryString", "The query string contains a syntax error.")
	errPairs = api.Errorf("MalformedQueryString", "The request has more than %d parameters.", maxPairs)
)

// parseForm appends form's parameters to pairs. It unescapes in place: the pairs point into form, which is not to be
// read again.
func parseForm(pairs []pair, form []byte) ([]pair, error) {
	for len(form) > 0 {
		part := form
		if i := bytes.IndexByte(form, '&'); i >= 0 {
			part, form = form[:i], form[i+1:]
		} else {
			form = nil
		}
		if len(part) == 0 {
			continue
		}
		if len(pairs) == maxPairs {
			return pairs, errPairs
		}
		key, value := part, []byte(nil)
		if i := bytes.IndexByte(part, '='); i >= 0 {
			key, value = part[:i], part[i+1:]
		}
		key, ok1 := unescape(key)
		value, ok2 := unescape(value)
		if !ok1 || !ok2 {
			return pairs, errForm
		}
		pairs = append(pairs, pair{key, value})
	}
	return pairs, nil
}

// unescape takes form encoding off, in place.
func unescape(b []byte) ([]byte, bool) {
	n := 0
	for n < len(b) && b[n] != '%' && b[n] != '+' {
		n++
	}
	for i := n; i < len(b); i++ {
		c := b[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(b) {
				return nil, false
			}
			hi, lo := unhex(b[i+1]), unhex(b[i+2])
			if hi < 0 || lo < 0 {
				return nil, false
			}
			c = byte(hi<<4 | lo)
			i += 2
		}
		b[n] = c
		n++
	}
	return b[:n], true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func param(pairs []pair, name string) string {
	for i := range pairs {
		if string(pairs[i].key) == name {
			return string(pairs[i].value)
		}
	}
	return ""
}

// queryDecoder puts parameters into an input struct.
type queryDecoder struct {
	svc    *service
	ec2    bool
	budget budget
	key    []byte         // the parameter at hand
	last   map[string]int // sorted pass: the raw index that a list's last element came from
	maps   map[string]*entries
}

// errGap says that an index came that is not the next one: then the parameters are taken in sorted order.
var errGap = errors.New("wire: list index out of order")

// decodeQuery fills in, a pointer to the input struct. Clients mostly send list elements in order; the Go SDK sorts
// them as text (1, 10, 2), and nobody forbids gaps. Elements keep the order of their numbers, and how big the numbers
// are does not matter.
func decodeQuery(op *operation, pairs []pair, in any) error {
	d := queryDecoder{svc: op.svc, ec2: op.svc.speaks(api.EC2), budget: maxStructures}
	v := reflect.ValueOf(in).Elem()
	err := d.all(op.in, v, pairs)
	if err == errGap {
		sort.SliceStable(pairs, func(i, j int) bool { return compareKeys(pairs[i].key, pairs[j].key) < 0 })
		v.SetZero()
		d.last, d.maps, d.budget = map[string]int{}, nil, maxStructures
		err = d.all(op.in, v, pairs)
	}
	return err
}

func (d *queryDecoder) all(p *plan, v reflect.Value, pairs []pair) error {
	for i := range pairs {
		d.key = pairs[i].key
		if err := d.set(p, v, d.key, pairs[i].value); err != nil {
			return err
		}
	}
	return d.fill()
}

// set puts value at path below dst, which is a place for a value of the plan.
func (d *queryDecoder) set(p *plan, dst reflect.Value, path, value []byte) error {
	switch p.kind {
	case api.Structure:
		v := p.settle(dst)
		if len(path) == 0 {
			if len(value) != 0 {
				return d.malformed(value)
			}
			return nil
		}
		name, rest := segment(path)
		i, ok := p.query[string(name)]
		if !ok {
			return d.unknown()
		}
		return d.set(p.fields[i].plan, v.Field(i), rest, value)
	case api.List:
		return d.list(p, dst, path, value)
	case api.Map:
		return d.entry(p, dst, path, value)
	}
	if len(path) != 0 {
		return d.unknown()
	}
	if d.ec2 && bytes.ContainsFunc(value, unwritable) || !p.parseText(value, dst) {
		return d.malformed(value)
	}
	return nil
}

func (d *queryDecoder) list(p *plan, dst reflect.Value, path, value []byte) error {
	if dst.IsNil() {
		dst.Set(reflect.MakeSlice(dst.Type(), 0, 1))
	}
	if len(path) == 0 { // an empty list is sent as an empty parameter
		if len(value) != 0 {
			return d.malformed(value)
		}
		return nil
	}
	if !p.ec2 {
		name, rest := segment(path)
		if string(name) != p.tag {
			return d.unknown()
		}
		path = rest
	}
	prefix := d.key[:len(d.key)-len(path)]
	number, rest := segment(path)
	index, ok := parseIndex(number)
	if !ok {
		return d.unknown()
	}
	place, err := d.place(p, dst, prefix, index)
	if err != nil {
		return err
	}
	return d.set(p.elem, place, rest, value)
}

// place gives the element of a list that the number in a parameter's name stands for.
func (d *queryDecoder) place(p *plan, slice reflect.Value, prefix []byte, index int) (reflect.Value, error) {
	n := slice.Len()
	if d.last != nil {
		if n > 0 && d.last[string(prefix)] == index {
			return slice.Index(n - 1), nil
		}
		d.last[string(prefix)] = index
	} else if index <= n {
		return slice.Index(index - 1), nil
	} else if index > n+1 {
		return reflect.Value{}, errGap
	}
	if !d.budget.take(p.elem) {
		return reflect.Value{}, errPairs
	}
	return grow(slice), nil
}

// entries is a map under way: its entries by number, until all parameters have been seen.
type entries struct {
	target reflect.Value // the map
	keys   []*string
	values reflect.Value // a slice
}

// entry handles Name.entry.N.key and Name.entry.N.value.
func (d *queryDecoder) entry(p *plan, dst reflect.Value, path, value []byte) error {
	if dst.IsNil() {
		dst.Set(reflect.MakeMap(dst.Type()))
	}
	if len(path) == 0 {
		if len(value) != 0 {
			return d.malformed(value)
		}
		return nil
	}
	if !p.ec2 {
		name, rest := segment(path)
		if string(name) != "entry" {
			return d.unknown()
		}
		path = rest
	}
	prefix := d.key[:len(d.key)-len(path)]
	number, rest := segment(path)
	index, ok := parseIndex(number)
	half, rest := segment(rest)
	if !ok || string(half) != p.key && string(half) != p.value {
		return d.unknown()
	}
	e := d.maps[string(prefix)]
	if e == nil {
		if d.maps == nil {
			d.maps = map[string]*entries{}
		}
		e = &entries{values: reflect.New(reflect.SliceOf(dst.Type().Elem())).Elem()}
		// Not dst itself: the place moves when a list around it grows. The map it refers to stays.
		e.target = reflect.ValueOf(dst.Interface())
		d.maps[string(prefix)] = e
	}
	place, err := d.place(p, e.values, prefix, index)
	if err != nil {
		return err
	}
	for len(e.keys) < e.values.Len() {
		e.keys = append(e.keys, nil)
	}
	if string(half) == p.value {
		return d.set(p.elem, place, rest, value)
	}
	if !utf8.Valid(value) {
		return d.malformed(value)
	}
	at := e.values.Len() - 1
	if d.last == nil {
		at = index - 1
	}
	e.keys[at] = new(string(value))
	return nil
}

// fill moves the entries into their maps.
func (d *queryDecoder) fill() error {
	for prefix, e := range d.maps {
		for i, key := range e.keys {
			if key == nil {
				d.key = []byte(prefix)
				return d.malformed(nil)
			}
			e.target.SetMapIndex(reflect.ValueOf(*key), e.values.Index(i))
		}
	}
	return nil
}

func (d *queryDecoder) unknown() error {
	if !d.ec2 || common[string(d.key)] || bytes.HasPrefix(d.key, []byte("X-Amz-")) {
		return nil
	}
	return api.Errorf("UnknownParameter", "The parameter %s is not recognized", d.key)
}

// common are the parameters that every query request may have beside its operation's own.
var common = map[string]bool{"Action": true, "Version": true, "AWSAccessKeyId": true, "Signature": true,
	"SignatureMethod": true, "SignatureVersion": true, "Timestamp": true, "Expires": true, "SecurityToken": true}

func (d *queryDecoder) malformed(value []byte) error {
	text := value
	if len(text) > 100 {
		text = text[:100]
	}
	if d.ec2 {
		return api.Errorf(d.svc.Faults.Malformed, "Value (%s) for parameter %s is invalid.",
			strings.ToValidUTF8(string(text), "?"), d.key)
	}
	return api.Errorf(d.svc.Faults.Malformed, "The value '%s' of the parameter %s has the wrong type.",
		strings.ToValidUTF8(string(text), "?"), d.key)
}

// unwritable says whether XML 1.0 has no way to write a character: what comes in with it could not be read back as it
// is. EC2's model has no patterns that would keep such out of names.
func unwritable(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// segment cuts path at its first point.
func segment(path []byte) (first, rest []byte) {
	for i, c := range path {
		if c == '.' {
			return path[:i], path[i+1:]
		}
	}
	return path, nil
}

// parseIndex reads the number of a list element, from 1 on.
func parseIndex(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, n > 0
}

// compareKeys orders parameter names segment by segment, numbers by value.
func compareKeys(a, b []byte) int {
	for len(a) > 0 && len(b) > 0 {
		var x, y []byte
		x, a = segment(a)
		y, b = segment(b)
		m, ok1 := parseIndex(x)
		n, ok2 := parseIndex(y)
		c := 0
		switch {
		case ok1 && ok2:
			c = m - n
		default:
			c = bytes.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}
