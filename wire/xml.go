package wire

import (
	"encoding/base64"
	"reflect"
	"sort"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/billow-cloud/billow/api"
)

// appendXMLAnswer writes a query or ec2 answer. out is the output struct, or an invalid value for an empty answer.
func appendXMLAnswer(b []byte, op *operation, out reflect.Value, requestID string) []byte {
	ec2 := op.svc.speaks(api.EC2)
	if ec2 {
		b = append(b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"...)
	}
	b = append(b, '<')
	b = append(b, op.Name...)
	b = append(b, `Response xmlns="`...)
	b = append(b, op.svc.Namespace...)
	b = append(b, `">`...)
	if ec2 {
		b = append(b, "<requestId>"...)
		b = append(b, requestID...)
		b = append(b, "</requestId>"...)
		if len(op.out.fields) == 0 {
			b = append(b, "<return>true</return>"...)
		}
		b = appendXMLTop(b, op.out, out)
	} else {
		if op.Result != "" {
			b = append(b, '<')
			b = append(b, op.Result...)
			b = append(b, '>')
			b = appendXMLTop(b, op.out, out)
			b = append(b, "</"...)
			b = append(b, op.Result...)
			b = append(b, '>')
		}
		b = append(b, "<ResponseMetadata><RequestId>"...)
		b = append(b, requestID...)
		b = append(b, "</RequestId></ResponseMetadata>"...)
	}
	b = append(b, "</"...)
	b = append(b, op.Name...)
	return append(b, "Response>"...)
}

// appendXMLTop writes an output's members. AWS shows the lists of an answer also when they are empty.
func appendXMLTop(b []byte, p *plan, v reflect.Value) []byte {
	for i := range p.fields {
		f := &p.fields[i]
		if !p.shape.Sparse && f.plan.kind == api.List && (!v.IsValid() || v.Field(i).IsNil()) {
			if !f.plan.shape.Flattened {
				b = append(b, f.empty...)
			}
		} else if v.IsValid() {
			b = appendXMLField(b, f, v.Field(i))
		}
	}
	return b
}

func appendXMLField(b []byte, f *field, v reflect.Value) []byte {
	if v.IsNil() {
		return b
	}
	p := f.plan
	switch p.kind {
	case api.List:
		return appendXMLList(b, f, v)
	case api.Map:
		return appendXMLMap(b, f, v)
	case api.Blob:
	default:
		v = v.Elem()
	}
	b = append(b, f.open...)
	b = appendXMLValue(b, p, v)
	return append(b, f.close...)
}

// appendXMLValue writes a value that stands between tags; a list in a list or map is one too.
func appendXMLValue(b []byte, p *plan, v reflect.Value) []byte {
	switch p.kind {
	case api.Structure:
		for i := range p.fields {
			b = appendXMLField(b, &p.fields[i], v.Field(i))
		}
		return b
	case api.List:
		return appendXMLElements(b, p, v, p.open, p.close)
	case api.String:
		return appendXMLText(b, v.String())
	case api.Integer, api.Long:
		return strconv.AppendInt(b, v.Int(), 10)
	case api.Double:
		return appendXMLFloat(b, v.Float())
	case api.Boolean:
		return strconv.AppendBool(b, v.Bool())
	case api.Timestamp:
		return appendISO(b, v.Interface().(time.Time))
	case api.Blob:
		return base64.StdEncoding.AppendEncode(b, v.Bytes())
	}
	return b
}

func appendXMLList(b []byte, f *field, v reflect.Value) []byte {
	p := f.plan
	if p.shape.Flattened {
		return appendXMLElements(b, p, v, f.open, f.close)
	}
	if v.Len() == 0 {
		return append(b, f.empty...)
	}
	b = append(b, f.open...)
	b = appendXMLElements(b, p, v, p.open, p.close)
	return append(b, f.close...)
}

func appendXMLElements(b []byte, p *plan, v reflect.Value, open, end string) []byte {
	for i, n := 0, v.Len(); i < n; i++ {
		b = append(b, open...)
		b = appendXMLValue(b, p.elem, v.Index(i))
		b = append(b, end...)
	}
	return b
}

// appendXMLMap writes <name><entry><key>..</key><value>..</value></entry></name>, in the order of the keys.
func appendXMLMap(b []byte, f *field, v reflect.Value) []byte {
	p := f.plan
	open, end := "<entry>", "</entry>"
	if p.shape.Flattened {
		open, end = f.open, f.close
	} else {
		b = append(b, f.open...)
	}
	for _, key := range sortedKeys(v) {
		b = append(b, open...)
		b = append(b, '<')
		b = append(b, p.key...)
		b = append(b, '>')
		b = appendXMLText(b, key.String())
		b = append(b, "</"...)
		b = append(b, p.key...)
		b = append(b, "><"...)
		b = append(b, p.value...)
		b = append(b, '>')
		b = appendXMLValue(b, p.elem, v.MapIndex(key))
		b = append(b, "</"...)
		b = append(b, p.value...)
		b = append(b, '>')
		b = append(b, end...)
	}
	if !p.shape.Flattened {
		b = append(b, f.close...)
	}
	return b
}

func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	return keys
}

// plain marks the bytes that stand for themselves in XML text.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = true
	}
	t['\t'], t['\n'] = true, true
	for _, c := range `&<>"'` {
		t[c] = false
	}
	return t
}()

// appendXMLText writes s escaped. What XML 1.0 has no way to write becomes U+FFFD.
func appendXMLText(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		size, instead := 1, ""
		switch {
		case c == '&':
			instead = "&amp;"
		case c == '<':
			instead = "&lt;"
		case c == '>':
			instead = "&gt;"
		case c == '"':
			instead = "&quot;"
		case c == '\'':
			instead = "&#39;"
		case c == '\r':
			instead = "&#xD;"
		case c < 0x20:
			instead = "\uFFFD"
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError || r == 0xFFFE || r == 0xFFFF {
				instead = "\uFFFD"
			}
		}
		if instead != "" {
			b = append(b, s[start:i]...)
			b = append(b, instead...)
			start = i + size
		}
		i += size
	}
	return append(b, s[start:]...)
}
