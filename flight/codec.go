package flight

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"
)

// The codec writes Go values so that they are read back exactly as they were: a nil slice stays nil and an empty one
// empty, a pointer to a zero stays a pointer, floats keep their bits. It is positional: only a program whose types have
// the same form can read what another wrote (see Fingerprint).

// coder writes and reads the values of one type.
type coder struct {
	put func(b []byte, v reflect.Value) []byte
	get func(s *source, v reflect.Value)
	// zero tells what need not be written in a structure. It is not reflect's IsZero, to which -0 is a zero.
	zero func(v reflect.Value) bool
}

// codec is a set of coders.
type codec struct {
	// empty has an empty list, map or blob written as none: rows that were loaded from their JSON have the one for the
	// other, which makes no difference to what they mean. What is written so is not read back.
	empty    bool
	building sync.Mutex
	coders   sync.Map // reflect.Type -> *coder
}

var exact, meaning = &codec{}, &codec{empty: true}

func (x *codec) of(t reflect.Type) *coder {
	if c, ok := x.coders.Load(t); ok {
		return c.(*coder)
	}
	x.building.Lock()
	defer x.building.Unlock()
	m := maker{x, map[reflect.Type]*coder{}}
	c := m.coder(t)
	for t, c := range m.made { // any order
		x.coders.LoadOrStore(t, c)
	}
	return c
}

// put appends a value.
func (x *codec) put(b []byte, v reflect.Value) []byte { return x.of(v.Type()).put(b, v) }

// none tells whether a list, map or blob is written as none.
func (x *codec) none(v reflect.Value) bool { return v.IsNil() || x.empty && v.Len() == 0 }

// source is what is left to read; after an error it gives zeros.
type source struct {
	b   []byte
	err error
}

var errShort = errors.New("it ends too early")

func (s *source) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.b = nil
}

func (s *source) uvarint() uint64 {
	n, size := binary.Uvarint(s.b)
	if size <= 0 {
		s.fail(errShort)
		return 0
	}
	s.b = s.b[size:]
	return n
}

func (s *source) varint() int64 {
	n, size := binary.Varint(s.b)
	if size <= 0 {
		s.fail(errShort)
		return 0
	}
	s.b = s.b[size:]
	return n
}

func (s *source) bytes(n uint64) []byte {
	if n > uint64(len(s.b)) {
		s.fail(errShort)
		return nil
	}
	b := s.b[:n]
	s.b = s.b[n:]
	return b
}

func (s *source) byte() byte {
	if b := s.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (s *source) string() string { return string(s.bytes(s.uvarint())) }

// count reads the length of a list whose elements take at least a byte each; -1 is nil.
func (s *source) count() int {
	n := s.uvarint()
	if n > uint64(len(s.b))+1 {
		s.fail(errShort)
		return -1
	}
	return int(n) - 1
}

func putString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var (
	timeType  = reflect.TypeFor[time.Time]()
	bytesType = reflect.TypeFor[[]byte]()
)

// maker makes the coder of a type and of its parts.
type maker struct {
	*codec
	made map[reflect.Type]*coder
}

func (m maker) coder(t reflect.Type) *coder {
	if c, ok := m.coders.Load(t); ok {
		return c.(*coder)
	}
	if c, ok := m.made[t]; ok {
		return c
	}
	c := &coder{zero: reflect.Value.IsZero}
	m.made[t] = c // before its parts: a type may contain itself
	switch k := t.Kind(); {
	case t == timeType:
		c.put, c.get = putTime, getTime
	case k == reflect.Bool:
		c.put = func(b []byte, v reflect.Value) []byte {
			if v.Bool() {
				return append(b, 1)
			}
			return append(b, 0)
		}
		c.get = func(s *source, v reflect.Value) { v.SetBool(s.byte() != 0) }
	case k >= reflect.Int && k <= reflect.Int64:
		c.put = func(b []byte, v reflect.Value) []byte { return binary.AppendVarint(b, v.Int()) }
		c.get = func(s *source, v reflect.Value) { v.SetInt(s.varint()) }
	case k >= reflect.Uint && k <= reflect.Uint64:
		c.put = func(b []byte, v reflect.Value) []byte { return binary.AppendUvarint(b, v.Uint()) }
		c.get = func(s *source, v reflect.Value) { v.SetUint(s.uvarint()) }
	case k == reflect.Float64:
		c.zero = func(v reflect.Value) bool { return math.Float64bits(v.Float()) == 0 }
		c.put = func(b []byte, v reflect.Value) []byte {
			return binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Float()))
		}
		c.get = func(s *source, v reflect.Value) {
			if b := s.bytes(8); b != nil {
				v.SetFloat(math.Float64frombits(binary.LittleEndian.Uint64(b)))
			}
		}
	case k == reflect.String:
		c.put = func(b []byte, v reflect.Value) []byte { return putString(b, v.String()) }
		c.get = func(s *source, v reflect.Value) { v.SetString(s.string()) }
	case t.ConvertibleTo(bytesType) && k == reflect.Slice:
		c.bytes(m)
	case k == reflect.Slice:
		c.slice(m, m.coder(t.Elem()))
	case k == reflect.Array:
		c.array(t.Len(), m.coder(t.Elem()))
	case k == reflect.Map:
		c.table(m, t)
	case k == reflect.Pointer:
		c.pointer(t.Elem(), m.coder(t.Elem()))
	case k == reflect.Struct:
		c.structure(m, t)
	case k == reflect.Interface: // enough to compare; it is not read back
		c.put = func(b []byte, v reflect.Value) []byte {
			if v.IsNil() {
				return append(b, 0)
			}
			return m.put(putString(append(b, 1), v.Elem().Type().String()), v.Elem())
		}
		c.get = func(s *source, v reflect.Value) { s.fail(fmt.Errorf("%v says nothing of its type", t)) }
	default:
		c.put = func(b []byte, v reflect.Value) []byte { panic(fmt.Sprintf("flight: a %v has no written form", t)) }
		c.get = func(s *source, v reflect.Value) { s.fail(fmt.Errorf("a %v has no written form", t)) }
	}
	return c
}

func (c *coder) bytes(m maker) {
	c.zero = m.none
	c.put = func(b []byte, v reflect.Value) []byte {
		if m.none(v) {
			return append(b, 0)
		}
		return append(binary.AppendUvarint(b, uint64(v.Len())+1), v.Bytes()...)
	}
	c.get = func(s *source, v reflect.Value) {
		if n := s.count(); n >= 0 {
			v.SetBytes(append(make([]byte, 0, n), s.bytes(uint64(n))...))
		}
	}
}

// putTime keeps the instant and the offset; the name of a zone and the monotonic reading have no meaning elsewhere.
func putTime(b []byte, v reflect.Value) []byte {
	t := v.Interface().(time.Time)
	offset := 0
	if t.Location() != time.UTC {
		_, offset = t.Zone()
	}
	b = binary.AppendVarint(b, int64(offset))
	b = binary.AppendVarint(b, t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond()))
}

func getTime(s *source, v reflect.Value) {
	offset, seconds, nanoseconds := s.varint(), s.varint(), s.uvarint()
	t := time.Unix(seconds, int64(nanoseconds)).UTC()
	if offset != 0 {
		t = t.In(time.FixedZone("", int(offset)))
	}
	v.Set(reflect.ValueOf(t))
}

func (c *coder) slice(m maker, elem *coder) {
	c.zero = m.none
	c.put = func(b []byte, v reflect.Value) []byte {
		if m.none(v) {
			return append(b, 0)
		}
		n := v.Len()
		b = binary.AppendUvarint(b, uint64(n)+1)
		for i := range n {
			b = elem.put(b, v.Index(i))
		}
		return b
	}
	c.get = func(s *source, v reflect.Value) {
		n := s.count()
		if n < 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			elem.get(s, v.Index(i))
		}
	}
}

func (c *coder) array(n int, elem *coder) {
	c.zero = func(v reflect.Value) bool {
		for i := range n {
			if !elem.zero(v.Index(i)) {
				return false
			}
		}
		return true
	}
	c.put = func(b []byte, v reflect.Value) []byte {
		for i := range n {
			b = elem.put(b, v.Index(i))
		}
		return b
	}
	c.get = func(s *source, v reflect.Value) {
		for i := range n {
			elem.get(s, v.Index(i))
		}
	}
}

// table writes a map in the order of its written keys.
func (c *coder) table(m maker, t reflect.Type) {
	key, elem := m.coder(t.Key()), m.coder(t.Elem())
	c.zero = m.none
	c.put = func(b []byte, v reflect.Value) []byte {
		if m.none(v) {
			return append(b, 0)
		}
		type entry struct {
			key   []byte
			value reflect.Value
		}
		var all []entry
		for it := v.MapRange(); it.Next(); {
			all = append(all, entry{key.put(nil, it.Key()), it.Value()})
		}
		slices.SortFunc(all, func(x, y entry) int { return bytes.Compare(x.key, y.key) })
		b = binary.AppendUvarint(b, uint64(len(all))+1)
		for _, e := range all {
			b = elem.put(append(b, e.key...), e.value)
		}
		return b
	}
	c.get = func(s *source, v reflect.Value) {
		n := s.count()
		if n < 0 {
			return
		}
		v.Set(reflect.MakeMapWithSize(t, n))
		for range n {
			k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			key.get(s, k)
			elem.get(s, e)
			v.SetMapIndex(k, e)
		}
	}
}

func (c *coder) pointer(t reflect.Type, elem *coder) {
	c.put = func(b []byte, v reflect.Value) []byte {
		if v.IsNil() {
			return append(b, 0)
		}
		return elem.put(append(b, 1), v.Elem())
	}
	c.get = func(s *source, v reflect.Value) {
		if s.byte() != 0 {
			v.Set(reflect.New(t))
			elem.get(s, v.Elem())
		}
	}
}

// structure writes which fields are not zero, a bit each, and then those: most members of most inputs are not there.
func (c *coder) structure(m maker, t reflect.Type) {
	fields := make([]*coder, t.NumField())
	for i := range fields {
		fields[i] = m.coder(t.Field(i).Type)
	}
	bits := max(1, (len(fields)+7)/8)
	c.zero = func(v reflect.Value) bool {
		for i, f := range fields {
			if !f.zero(v.Field(i)) {
				return false
			}
		}
		return true
	}
	c.put = func(b []byte, v reflect.Value) []byte {
		at := len(b)
		for range bits {
			b = append(b, 0)
		}
		for i, f := range fields {
			if field := v.Field(i); !f.zero(field) {
				b[at+i/8] |= 1 << (i % 8)
				b = f.put(b, field)
			}
		}
		return b
	}
	c.get = func(s *source, v reflect.Value) {
		there := s.bytes(uint64(bits))
		for i, f := range fields {
			if there != nil && there[i/8]&(1<<(i%8)) != 0 {
				f.get(s, v.Field(i))
			}
		}
	}
}
