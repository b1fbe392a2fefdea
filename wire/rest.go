package wire

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
)

// template is the path of a rest-json operation, taken apart; what stands in braces in it takes a segment's place.
type template struct {
	op       *api.Operation
	method   string
	segments []string // "functions", "{FunctionName}"; the last may be greedy: "{Key+}"
	query    string   // "find=LayerVersion": what the query must have, too
	literals int
}

// templates are a service's, the most literal first.
func templates(s *api.Service) []template {
	var all []template
	for i := range s.Operations {
		op := &s.Operations[i]
		if op.Path == "" {
			continue
		}
		path, query, _ := strings.Cut(op.Path, "?")
		t := template{op: op, method: op.Method, segments: strings.Split(strings.Trim(path, "/"), "/"), query: query}
		for _, s := range t.segments {
			if _, ok := label(s); !ok {
				t.literals++
			}
		}
		if query != "" {
			t.literals++
		}
		all = append(all, t)
	}
	slices.SortStableFunc(all, func(a, b template) int { return cmp.Compare(b.literals, a.literals) })
	return all
}

// label gives the name of a template's segment that takes any value.
func label(segment string) (string, bool) {
	name, ok := strings.CutPrefix(segment, "{")
	return strings.TrimSuffix(strings.TrimSuffix(name, "}"), "+"), ok
}

// match gives the labels' values, or nil and false if the path is not the template's.
func (t *template) match(segments []string, query string) ([]pair, bool) {
	var labels []pair
	for i, want := range t.segments {
		if i >= len(segments) {
			return nil, false
		}
		name, free := label(want)
		if !free {
			if segments[i] != want {
				return nil, false
			}
			continue
		}
		given := segments[i]
		if strings.HasSuffix(want, "+}") {
			given, segments = strings.Join(segments[i:], "/"), segments[:i+1]
		}
		value, err := url.PathUnescape(given)
		if err != nil || value == "" {
			return nil, false
		}
		labels = append(labels, pair{[]byte(name), []byte(value)})
	}
	return labels, len(segments) == len(t.segments) && (t.query == "" || slices.Contains(strings.Split(query, "&"), t.query))
}

// routeREST finds service and operation of a rest-json request, before its body is read: the service by the signature's
// scope, else by the host's first label, else by the path itself. It says whether the request is one.
func (h *Handler) routeREST(x *exchange, r *http.Request, s *signature) bool {
	if r.URL.Path == "" || r.URL.Path == "/" {
		return false
	}
	segments := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	host, _, _ := strings.Cut(r.Host, ".")
	for _, svc := range h.services {
		named := s != nil && svc.Signing == s.service || s == nil && svc.Endpoint == host
		if len(svc.templates) == 0 || s != nil && !named {
			continue
		}
		for i := range svc.templates {
			t := &svc.templates[i]
			if t.method != r.Method {
				continue
			}
			if labels, ok := t.match(segments, r.URL.RawQuery); ok {
				x.svc, x.protocol, x.call.Operation, x.labels = svc, api.RestJSON, t.op.Name, labels
				x.limit = max(x.limit, t.op.MaxBody)
				return true
			}
		}
		if named {
			x.svc, x.protocol = svc, api.RestJSON
			return true
		}
	}
	return false
}

// decodeREST fills in from path, query, headers and body.
func (x *exchange) decodeREST(op *operation, r *http.Request, in any) error {
	x.query = append(x.query[:0], r.URL.RawQuery...)
	var err error
	if x.pairs, err = parseForm(x.pairs[:0], x.query); err != nil {
		return err
	}
	v := reflect.ValueOf(in).Elem()
	var payload *field
	for i := range op.in.fields {
		f := &op.in.fields[i]
		ok := true
		switch f.location {
		case "uri":
			ok = f.texts(values(x.labels, f.wire), v.Field(i))
		case "querystring":
			ok = f.texts(values(x.pairs, f.wire), v.Field(i))
		case "header":
			ok = f.header(r.Header.Values(f.wire), v.Field(i))
		case "headers":
			f.prefixed(r.Header, v.Field(i))
		case "payload":
			payload = f
			err = x.payload(f, v.Field(i))
		}
		if !ok {
			return api.Errorf(op.svc.Faults.Malformed, "The value of %s cannot be converted to %s", f.wire, f.plan.shape.Name)
		}
		if err != nil {
			return err
		}
	}
	if payload != nil || len(x.body) == 0 || !op.in.bodied {
		return nil
	}
	return x.document(op.in, v)
}

func values(all []pair, name string) [][]byte {
	var out [][]byte
	for _, p := range all {
		if string(p.key) == name {
			out = append(out, p.value)
		}
	}
	return out
}

// texts takes a parameter that was given any number of times; only a list takes more than the first.
func (f *field) texts(given [][]byte, dst reflect.Value) bool {
	if len(given) == 0 {
		return true
	}
	if f.plan.kind != api.List {
		return f.plan.parseText(given[0], dst)
	}
	for _, text := range given {
		if !f.plan.elem.parseText(text, grow(dst)) {
			return false
		}
	}
	return true
}

func (f *field) header(given []string, dst reflect.Value) bool {
	if len(given) == 0 {
		return true
	}
	if f.plan.kind == api.Timestamp {
		if t, err := http.ParseTime(given[0]); err == nil {
			f.plan.settle(dst).Set(reflect.ValueOf(t.UTC()))
			return true
		}
	}
	return f.texts([][]byte{[]byte(strings.Join(given, ", "))}, dst)
}

// prefixed takes all headers that begin with the member's name, as a map of texts.
func (f *field) prefixed(h http.Header, dst reflect.Value) {
	m := reflect.MakeMap(dst.Type())
	for name, given := range h {
		if rest, ok := strings.CutPrefix(name, http.CanonicalHeaderKey(f.wire)); ok && len(given) > 0 {
			m.SetMapIndex(reflect.ValueOf(rest), reflect.ValueOf(given[0]))
		}
	}
	if m.Len() > 0 {
		dst.Set(m)
	}
}

// payload takes the whole body as one member.
func (x *exchange) payload(f *field, dst reflect.Value) error {
	switch {
	case len(x.body) == 0:
	case f.plan.kind == api.Blob:
		dst.SetBytes(slices.Clone(x.body)) // the body's memory is the next request's
	case f.plan.kind == api.String:
		if !f.plan.parseText(x.body, dst) {
			return api.Errorf("SerializationException", "The body is not valid UTF-8.")
		}
	default:
		return x.document(f.plan, f.plan.settle(dst))
	}
	return nil
}

// document reads the body as JSON into a structure.
func (x *exchange) document(p *plan, v reflect.Value) error {
	j := &jsonReader{b: x.body}
	if err := decodeStructure(p, j, v); err != nil {
		return err
	}
	if j.finish() != nil {
		return api.Errorf("SerializationException", "%s", errJSON)
	}
	return nil
}

// answerREST writes an operation's output: some of it into headers, the rest as the body. Lists that the handler left nil
// are left out.
func (x *exchange) answerREST(w http.ResponseWriter, op *operation, out reflect.Value) {
	status := cmp.Or(op.Status, http.StatusOK)
	var payload *field
	var content reflect.Value
	for i := range op.out.fields {
		f := &op.out.fields[i]
		if f.location == "" || !out.IsValid() || out.Field(i).IsNil() {
			continue
		}
		v := out.Field(i)
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		switch f.location {
		case "statusCode":
			status = int(v.Int())
		case "header":
			w.Header()[http.CanonicalHeaderKey(f.wire)] = []string{headerText(f.plan, v)}
		case "headers":
			for _, key := range sortedKeys(v) {
				w.Header().Set(f.wire+key.String(), v.MapIndex(key).String())
			}
		case "payload":
			payload, content = f, v
		}
	}
	switch {
	case payload != nil && payload.plan.kind == api.Blob:
		x.out = append(x.out, content.Bytes()...)
	case payload != nil && payload.plan.kind == api.String:
		x.out = append(x.out, content.String()...)
	case payload != nil:
		j := jsonWriter{b: x.out}
		encodeValue(&j, payload.plan, content)
		x.out = j.b
	case op.out.bodied:
		j := jsonWriter{b: x.out}
		j.open()
		for i := range op.out.fields {
			if f := &op.out.fields[i]; f.location == "" && out.IsValid() {
				encodeField(&j, f, out.Field(i))
			}
		}
		j.close()
		x.out = j.b
	}
	send(w, x, status)
}

// headerText is a value as a header has it.
func headerText(p *plan, v reflect.Value) string {
	switch p.kind {
	case api.Timestamp:
		return v.Interface().(time.Time).UTC().Format(http.TimeFormat)
	case api.Integer, api.Long:
		return strconv.FormatInt(v.Int(), 10)
	case api.Double:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case api.Boolean:
		return strconv.FormatBool(v.Bool())
	case api.Blob:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, v.String())
}
