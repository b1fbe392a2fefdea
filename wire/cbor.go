package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// cborReader reads a CBOR document (RFC 8949), straight into the shape: a tree between would multiply the size of a
// hostile body. What no client of these services sends (bignums, other simple values) is skipped or refused.
type cborReader struct {
	b     []byte
	i     int
	depth int
}

// Major types of CBOR.
const (
	cborUint = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
	cborSimple
)

const cborBreak = 0xff

var errCBOR = errors.New("The request body is not valid CBOR.")

// head reads the first bytes of an item: its major type and argument. indefinite is an argument of its own.
func (r *cborReader) head() (major byte, arg uint64, indefinite bool, err error) {
	if r.i >= len(r.b) {
		return 0, 0, false, errCBOR
	}
	c := r.b[r.i]
	r.i++
	major, minor := c>>5, c&31
	switch {
	case minor < 24:
		return major, uint64(minor), false, nil
	case minor == 31:
		return major, 0, true, nil
	case minor > 27:
		return 0, 0, false, errCBOR
	}
	size := 1 << (minor - 24)
	if len(r.b)-r.i < size {
		return 0, 0, false, errCBOR
	}
	for _, x := range r.b[r.i : r.i+size] {
		arg = arg<<8 | uint64(x)
	}
	r.i += size
	return major, arg, false, nil
}

func (r *cborReader) peek() byte {
	if r.i < len(r.b) {
		return r.b[r.i]
	}
	return 0
}

// finish checks that nothing follows the document.
func (r *cborReader) finish() error {
	if r.i != len(r.b) {
		return errCBOR
	}
	return nil
}

func (r *cborReader) null() bool {
	if c := r.peek(); c == 0xf6 || c == 0xf7 { // null, undefined
		r.i++
		return true
	}
	return false
}

func (r *cborReader) mismatch(want string) error {
	names := [...]string{"INTEGER", "INTEGER", "BYTES", "STRING", "LIST", "MAP", "TAG", "SIMPLE"}
	return fmt.Errorf("%s_VALUE cannot be converted to %s", names[r.peek()>>5], want)
}

func (r *cborReader) enter(want byte, name string) (frame, error) {
	if r.i >= len(r.b) {
		return frame{}, errCBOR
	}
	if r.peek()>>5 != want {
		return frame{}, r.mismatch(name)
	}
	_, n, indefinite, err := r.head()
	if err != nil {
		return frame{}, err
	}
	if r.depth++; r.depth > maxDepth || n > uint64(len(r.b)-r.i) {
		return frame{}, errCBOR
	}
	if indefinite {
		return frame{left: -1}, nil
	}
	return frame{left: int(n)}, nil
}

func (r *cborReader) object() (frame, error) { return r.enter(cborMap, "Structure") }
func (r *cborReader) array() (frame, error)  { return r.enter(cborArray, "List") }

func (r *cborReader) more(f *frame) (bool, error) {
	switch {
	case r.i >= len(r.b) && f.left != 0:
		return false, errCBOR
	case f.left > 0:
		f.left--
		return true, nil
	case f.left < 0 && r.b[r.i] != cborBreak:
		return true, nil
	case f.left < 0:
		r.i++
	}
	r.depth--
	return false, nil
}

func (r *cborReader) key() ([]byte, error) { return r.chunks(cborText, "String") }

// chunks reads a text or byte string, also one sent in pieces.
func (r *cborReader) chunks(want byte, name string) ([]byte, error) {
	if r.i >= len(r.b) {
		return nil, errCBOR
	}
	if r.peek()>>5 != want {
		return nil, r.mismatch(name)
	}
	_, n, indefinite, err := r.head()
	if err != nil {
		return nil, err
	}
	if !indefinite {
		return r.take(n)
	}
	var all []byte
	for r.peek() != cborBreak {
		major, n, indefinite, err := r.head()
		if err != nil || major != want || indefinite {
			return nil, errCBOR
		}
		part, err := r.take(n)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	r.i++
	return all, nil
}

func (r *cborReader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.b)-r.i) {
		return nil, errCBOR
	}
	part := r.b[r.i : r.i+int(n)]
	r.i += int(n)
	return part, nil
}

func (r *cborReader) str() (string, error) {
	b, err := r.chunks(cborText, "String")
	if err == nil && !utf8.Valid(b) {
		err = errCBOR
	}
	return string(b), err
}

func (r *cborReader) blob() ([]byte, error) {
	b, err := r.chunks(cborBytes, "Blob")
	return append([]byte{}, b...), err
}

func (r *cborReader) integer(bits int) (int64, error) {
	want := "Integer"
	if bits == 64 {
		want = "Long"
	}
	switch r.peek() >> 5 {
	case cborUint, cborNegative:
		major, n, indefinite, err := r.head()
		if err != nil || indefinite {
			return 0, errCBOR
		}
		if n >= 1<<(bits-1) {
			return 0, fmt.Errorf("INTEGER_VALUE cannot be converted to %s", want)
		}
		if major == cborNegative {
			return -1 - int64(n), nil
		}
		return int64(n), nil
	case cborSimple:
		f, err := r.simple(want)
		if err == nil && (f != math.Trunc(f) || math.Abs(f) >= math.Ldexp(1, bits-1)) {
			err = fmt.Errorf("FLOAT_VALUE cannot be converted to %s", want)
		}
		return int64(f), err
	}
	return 0, r.mismatch(want)
}

// float takes whole numbers too: clients send 1.0 in the shortest form.
func (r *cborReader) float() (float64, error) {
	switch r.peek() >> 5 {
	case cborUint, cborNegative:
		major, n, indefinite, err := r.head()
		if err != nil || indefinite {
			return 0, errCBOR
		}
		if major == cborNegative {
			return -1 - float64(n), nil
		}
		return float64(n), nil
	case cborSimple:
		return r.simple("Double")
	}
	return 0, r.mismatch("Double")
}

// simple reads a float of 16, 32 or 64 bits.
func (r *cborReader) simple(want string) (float64, error) {
	c := r.peek()
	if c < 0xf9 || c > 0xfb {
		return 0, r.mismatch(want)
	}
	_, n, _, err := r.head()
	if err != nil {
		return 0, err
	}
	switch c {
	case 0xf9:
		return float16(uint16(n)), nil
	case 0xfa:
		return float64(math.Float32frombits(uint32(n))), nil
	}
	return math.Float64frombits(n), nil
}

func float16(h uint16) float64 {
	exponent, fraction := int(h>>10&31), float64(h&1023)
	var f float64
	switch exponent {
	case 0:
		f = math.Ldexp(fraction, -24)
	case 31:
		f = math.Inf(1)
		if fraction != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(fraction+1024, exponent-25)
	}
	return math.Copysign(f, 1-2*float64(h>>15))
}

func (r *cborReader) boolean() (bool, error) {
	switch r.peek() {
	case 0xf4, 0xf5:
		r.i++
		return r.b[r.i-1] == 0xf5, nil
	}
	return false, r.mismatch("Boolean")
}

func (r *cborReader) instant() (time.Time, error) {
	if r.peek()>>5 == cborTag {
		if _, tag, indefinite, err := r.head(); err != nil || indefinite || tag != 1 {
			return time.Time{}, errCBOR
		}
	}
	f, err := r.float()
	if err != nil {
		return time.Time{}, err
	}
	t, ok := epoch(f)
	if !ok {
		return t, errors.New("The value cannot be converted to Timestamp")
	}
	return t, nil
}

func (r *cborReader) skip() error {
	if r.i >= len(r.b) {
		return errCBOR
	}
	switch major := r.peek() >> 5; major {
	case cborBytes, cborText:
		_, err := r.chunks(major, "")
		return err
	case cborArray, cborMap:
		f, err := r.enter(major, "")
		if err != nil {
			return err
		}
		for {
			ok, err := r.more(&f)
			if err != nil || !ok {
				return err
			}
			if major == cborMap {
				if _, err := r.key(); err != nil {
					return err
				}
			}
			if err := r.skip(); err != nil {
				return err
			}
		}
	case cborTag:
		if r.depth++; r.depth > maxDepth {
			return errCBOR
		}
		_, _, indefinite, err := r.head()
		if err != nil || indefinite {
			return errCBOR
		}
		err = r.skip()
		r.depth--
		return err
	}
	_, _, indefinite, err := r.head()
	if indefinite {
		return errCBOR
	}
	return err
}

// cborWriter writes a CBOR document. Maps and arrays are of indefinite length, so that nothing is counted beforehand.
type cborWriter struct{ b []byte }

func (w *cborWriter) open()           { w.b = append(w.b, cborMap<<5|31) }
func (w *cborWriter) close()          { w.b = append(w.b, cborBreak) }
func (w *cborWriter) openList()       { w.b = append(w.b, cborArray<<5|31) }
func (w *cborWriter) closeList()      { w.b = append(w.b, cborBreak) }
func (w *cborWriter) member(f *field) { w.b = append(w.b, f.cbor...) }
func (w *cborWriter) key(s string)    { w.b = appendCBORText(w.b, s) }
func (w *cborWriter) comma()          {}
func (w *cborWriter) str(s string)    { w.b = appendCBORText(w.b, s) }
func (w *cborWriter) integer(n int64) {
	if n < 0 {
		w.b = appendCBORHead(w.b, cborNegative, uint64(-1-n))
	} else {
		w.b = appendCBORHead(w.b, cborUint, uint64(n))
	}
}
func (w *cborWriter) float(f float64) {
	w.b = binary.BigEndian.AppendUint64(append(w.b, 0xfb), math.Float64bits(f))
}
func (w *cborWriter) boolean(b bool) {
	if b {
		w.b = append(w.b, 0xf5)
	} else {
		w.b = append(w.b, 0xf4)
	}
}
func (w *cborWriter) instant(t time.Time) {
	w.b = append(w.b, cborTag<<5|1)
	if ms := t.UnixMilli(); ms%1000 == 0 {
		w.integer(ms / 1000)
	} else {
		w.float(float64(ms) / 1000)
	}
}
func (w *cborWriter) blob(b []byte) {
	w.b = append(appendCBORHead(w.b, cborBytes, uint64(len(b))), b...)
}

func appendCBORText(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	return append(appendCBORHead(b, cborText, uint64(len(s))), s...)
}

func appendCBORHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}
