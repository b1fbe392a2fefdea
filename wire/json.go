package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader reads a JSON document.
type jsonReader struct {
	b     []byte
	i     int
	depth int
	buf   []byte // a key with escapes, taken apart
}

var errJSON = errors.New("The request body is not valid JSON.")

func (r *jsonReader) space() byte {
	for r.i < len(r.b) {
		switch c := r.b[r.i]; c {
		case ' ', '\t', '\r', '\n':
			r.i++
		default:
			return c
		}
	}
	return 0
}

// finish checks that nothing follows the document.
func (r *jsonReader) finish() error {
	if r.space(); r.i != len(r.b) {
		return errJSON
	}
	return nil
}

func (r *jsonReader) literal(word string) bool {
	r.space()
	if len(r.b)-r.i < len(word) || string(r.b[r.i:r.i+len(word)]) != word {
		return false
	}
	r.i += len(word)
	return true
}

func (r *jsonReader) null() bool { return r.literal("null") }

// mismatch says in AWS's words what was found where a want was due.
func (r *jsonReader) mismatch(want string) error {
	switch c := r.space(); {
	case c == '{':
		return errors.New("Start of structure or map found where not expected.")
	case c == '[':
		return errors.New("Start of list found where not expected")
	case c == '"':
		return fmt.Errorf("STRING_VALUE cannot be converted to %s", want)
	case c == 't':
		return fmt.Errorf("TRUE_VALUE cannot be converted to %s", want)
	case c == 'f':
		return fmt.Errorf("FALSE_VALUE cannot be converted to %s", want)
	case c == '-' || '0' <= c && c <= '9':
		return fmt.Errorf("NUMBER_VALUE cannot be converted to %s", want)
	}
	return errJSON
}

func (r *jsonReader) enter(open, end byte, want string) (frame, error) {
	if r.space() != open {
		return frame{}, r.mismatch(want)
	}
	if r.depth++; r.depth > maxDepth {
		return frame{}, errJSON
	}
	r.i++
	return frame{end: end, first: true}, nil
}

func (r *jsonReader) object() (frame, error) { return r.enter('{', '}', "Structure") }
func (r *jsonReader) array() (frame, error)  { return r.enter('[', ']', "List") }

func (r *jsonReader) more(f *frame) (bool, error) {
	c := r.space()
	if c == f.end {
		r.i++
		r.depth--
		return false, nil
	}
	if !f.first {
		if c != ',' {
			return false, errJSON
		}
		r.i++
		if r.space() == f.end {
			return false, errJSON
		}
	}
	f.first = false
	return true, nil
}

func (r *jsonReader) key() ([]byte, error) {
	if r.space() != '"' {
		return nil, errJSON
	}
	key, err := r.text()
	if err == nil && r.space() != ':' {
		err = errJSON
	}
	r.i++
	return key, err
}

// text reads a string. What it gives is part of the document, or of buf if there were escapes.
func (r *jsonReader) text() ([]byte, error) {
	r.i++
	start := r.i
	for r.i < len(r.b) {
		switch c := r.b[r.i]; {
		case c == '"':
			s := r.b[start:r.i]
			r.i++
			if !utf8.Valid(s) {
				return nil, errJSON
			}
			return s, nil
		case c == '\\':
			return r.escaped(start)
		case c < 0x20:
			return nil, errJSON
		}
		r.i++
	}
	return nil, errJSON
}

// escaped goes on with a string from its first escape.
func (r *jsonReader) escaped(start int) ([]byte, error) {
	buf := append(r.buf[:0], r.b[start:r.i]...)
	defer func() { r.buf = buf }()
	for r.i < len(r.b) {
		c := r.b[r.i]
		r.i++
		switch {
		case c == '"':
			if !utf8.Valid(buf) {
				return nil, errJSON
			}
			return buf, nil
		case c < 0x20:
			return nil, errJSON
		case c != '\\':
			buf = append(buf, c)
			continue
		}
		if r.i >= len(r.b) {
			return nil, errJSON
		}
		c = r.b[r.i]
		r.i++
		switch c {
		case '"', '\\', '/':
			buf = append(buf, c)
		case 'b':
			buf = append(buf, '\b')
		case 'f':
			buf = append(buf, '\f')
		case 'n':
			buf = append(buf, '\n')
		case 'r':
			buf = append(buf, '\r')
		case 't':
			buf = append(buf, '\t')
		case 'u':
			u, ok := r.hex4()
			if !ok {
				return nil, errJSON
			}
			buf = utf8.AppendRune(buf, r.surrogate(u))
		default:
			return nil, errJSON
		}
	}
	return nil, errJSON
}

func (r *jsonReader) hex4() (rune, bool) {
	if r.i+4 > len(r.b) {
		return 0, false
	}
	n := 0
	for _, c := range r.b[r.i : r.i+4] {
		h := unhex(c)
		if h < 0 {
			return 0, false
		}
		n = n<<4 | h
	}
	r.i += 4
	return rune(n), true
}

// surrogate joins u with the second half that follows it, if it is a first half.
func (r *jsonReader) surrogate(u rune) rune {
	if !utf16.IsSurrogate(u) {
		return u
	}
	if r.i+6 <= len(r.b) && r.b[r.i] == '\\' && r.b[r.i+1] == 'u' {
		back := r.i
		r.i += 2
		if low, ok := r.hex4(); ok {
			if joined := utf16.DecodeRune(u, low); joined != utf8.RuneError {
				return joined
			}
		}
		r.i = back
	}
	return utf8.RuneError
}

func (r *jsonReader) str() (string, error) {
	if r.space() != '"' {
		return "", r.mismatch("String")
	}
	s, err := r.text()
	return string(s), err
}

// number gives the text of a number, checked against JSON's grammar.
func (r *jsonReader) number(want string) (string, error) {
	if c := r.space(); c != '-' && (c < '0' || c > '9') {
		return "", r.mismatch(want)
	}
	start := r.i
	digits := func() bool {
		from := r.i
		for r.i < len(r.b) && '0' <= r.b[r.i] && r.b[r.i] <= '9' {
			r.i++
		}
		return r.i > from
	}
	at := func(c byte) bool { return r.i < len(r.b) && r.b[r.i] == c }
	if at('-') {
		r.i++
	}
	zero := at('0')
	from := r.i
	ok := digits() && (!zero || r.i == from+1)
	if ok && at('.') {
		r.i++
		ok = digits()
	}
	if ok && (at('e') || at('E')) {
		r.i++
		if at('+') || at('-') {
			r.i++
		}
		ok = digits()
	}
	if !ok {
		return "", errJSON
	}
	return string(r.b[start:r.i]), nil
}

func (r *jsonReader) integer(bits int) (int64, error) {
	want := "Integer"
	if bits == 64 {
		want = "Long"
	}
	text, err := r.number(want)
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseInt(text, 10, bits); err == nil {
		return n, nil
	}
	// 1e3 and 5.0 are integers too.
	if f, err := strconv.ParseFloat(text, 64); err == nil && f == math.Trunc(f) && math.Abs(f) < math.Ldexp(1, bits-1) {
		return int64(f), nil
	}
	return 0, fmt.Errorf("NUMBER_VALUE cannot be converted to %s", want)
}

func (r *jsonReader) float() (float64, error) {
	if r.space() == '"' { // the numbers that JSON has no literal for are sent as text
		s, err := r.text()
		if err != nil {
			return 0, err
		}
		switch string(s) {
		case "NaN", "Infinity", "-Infinity":
			f, _ := parseFloat(string(s))
			return f, nil
		}
		return 0, errors.New("STRING_VALUE cannot be converted to Double")
	}
	text, err := r.number("Double")
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, errors.New("NUMBER_VALUE cannot be converted to Double")
	}
	return f, nil
}

func (r *jsonReader) boolean() (bool, error) {
	if r.literal("true") {
		return true, nil
	}
	if r.literal("false") {
		return false, nil
	}
	return false, r.mismatch("Boolean")
}

func (r *jsonReader) instant() (time.Time, error) {
	var t time.Time
	var ok bool
	if r.space() == '"' {
		s, err := r.text()
		if err != nil {
			return t, err
		}
		t, ok = parseTime(string(s))
	} else {
		text, err := r.number("Timestamp")
		if err != nil {
			return t, err
		}
		f, _ := strconv.ParseFloat(text, 64)
		t, ok = epoch(f)
	}
	if !ok {
		return t, errors.New("The value cannot be converted to Timestamp")
	}
	return t, nil
}

func (r *jsonReader) blob() ([]byte, error) {
	if r.space() != '"' {
		return nil, r.mismatch("Blob")
	}
	s, err := r.text()
	if err != nil {
		return nil, err
	}
	b, ok := parseBase64(s)
	if !ok {
		return nil, errors.New("STRING_VALUE cannot be converted to Blob")
	}
	return b, nil
}

func (r *jsonReader) skip() error {
	switch r.space() {
	case '{':
		return r.skipContainer(r.object, true)
	case '[':
		return r.skipContainer(r.array, false)
	case '"':
		_, err := r.text()
		return err
	case 't', 'f':
		_, err := r.boolean()
		return err
	case 'n':
		if !r.null() {
			return errJSON
		}
		return nil
	}
	_, err := r.number("value")
	return err
}

func (r *jsonReader) skipContainer(enter func() (frame, error), keyed bool) error {
	f, err := enter()
	if err != nil {
		return err
	}
	for {
		ok, err := r.more(&f)
		if err != nil || !ok {
			return err
		}
		if keyed {
			if _, err := r.key(); err != nil {
				return err
			}
		}
		if err := r.skip(); err != nil {
			return err
		}
	}
}

// jsonWriter writes a JSON document.
type jsonWriter struct{ b []byte }

// comma goes before everything that is not first in its container.
func (w *jsonWriter) comma() {
	if c := w.b[len(w.b)-1]; c != '{' && c != '[' {
		w.b = append(w.b, ',')
	}
}
func (w *jsonWriter) open()      { w.b = append(w.b, '{') }
func (w *jsonWriter) close()     { w.b = append(w.b, '}') }
func (w *jsonWriter) openList()  { w.b = append(w.b, '[') }
func (w *jsonWriter) closeList() { w.b = append(w.b, ']') }
func (w *jsonWriter) member(f *field) {
	w.comma()
	w.b = append(w.b, f.json...)
}
func (w *jsonWriter) key(s string) {
	w.comma()
	w.b = append(appendJSONString(w.b, s), ':')
}
func (w *jsonWriter) str(s string)        { w.b = appendJSONString(w.b, s) }
func (w *jsonWriter) integer(n int64)     { w.b = strconv.AppendInt(w.b, n, 10) }
func (w *jsonWriter) boolean(b bool)      { w.b = strconv.AppendBool(w.b, b) }
func (w *jsonWriter) instant(t time.Time) { w.b = appendEpoch(w.b, t) }
func (w *jsonWriter) float(f float64) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		w.b = appendJSONString(w.b, string(appendXMLFloat(nil, f)))
	default:
		w.b = strconv.AppendFloat(w.b, f, 'g', -1, 64)
	}
}
func (w *jsonWriter) blob(b []byte) {
	w.b = append(w.b, '"')
	w.b = base64.StdEncoding.AppendEncode(w.b, b)
	w.b = append(w.b, '"')
}

// appendJSONString writes s quoted; bytes that are no UTF-8 become U+FFFD.
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}
