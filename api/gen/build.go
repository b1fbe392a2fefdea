package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/billow-cloud/billow/api"
)

// service is what gets written: a model reduced to the listed operations.
type service struct {
	name       string
	model      *model
	faults     api.Faults
	errors     []api.ErrorShape
	operations []op
	types      []*typ // sorted by name
	index      map[string]int
}

// op is one operation; in and out are nil unless it is listed.
type op struct {
	name    string
	in, out *typ
	result  string
	method  string
	path    string
	status  int
	maxBody int64
}

// typ is one shape under its Go name. An operation's input and output are types of their own, named after the
// operation, whatever the model calls them.
type typ struct {
	name   string
	from   *shape
	top    bool // an operation's input or output
	sparse bool
}

var kinds = map[string]api.Kind{
	"structure": api.Structure, "list": api.List, "map": api.Map, "string": api.String, "integer": api.Integer,
	"long": api.Long, "double": api.Double, "float": api.Double, "boolean": api.Boolean,
	"timestamp": api.Timestamp, "blob": api.Blob,
}

func build(name string, m *model, listed map[string]bool, corrections []correction) (*service, error) {
	s := &service{name: name, model: m, faults: commonFaults(m.Metadata.Protocol)}
	for _, c := range corrections {
		if err := s.correct(c); err != nil {
			return nil, fmt.Errorf("corrections.txt: %s %s: %w", c.verb, c.target, err)
		}
	}
	types := map[string]*typ{}
	for _, opName := range slices.Sorted(slices.Values(m.Operations.names)) {
		o, _ := m.Operations.get(opName)
		entry := op{name: opName, method: o.HTTP.Method, path: o.HTTP.RequestURI, status: o.HTTP.Status, maxBody: o.maxBody}
		if listed[opName] {
			delete(listed, opName)
			if o.Output != nil {
				entry.result = o.Output.ResultWrapper
			}
			var err error
			if entry.in, err = s.topLevel(types, opName+"Input", o.Input); err != nil {
				return nil, err
			}
			if entry.out, err = s.topLevel(types, opName+"Output", o.Output); err != nil {
				return nil, err
			}
		}
		s.operations = append(s.operations, entry)
	}
	for opName := range listed {
		return nil, fmt.Errorf("%s is listed but not in the model", opName)
	}
	for _, t := range types {
		s.types = append(s.types, t)
	}
	slices.SortFunc(s.types, func(a, b *typ) int { return strings.Compare(a.name, b.name) })
	s.index = map[string]int{}
	for i, t := range s.types {
		s.index[t.name] = i
	}
	s.readErrors()
	return s, nil
}

func commonFaults(protocol string) api.Faults {
	switch protocol {
	case "ec2":
		return api.Faults{Invalid: "InvalidParameterValue", Missing: "MissingParameter", Malformed: "InvalidParameterValue",
			MissingText: "The request must contain the parameter %s"}
	case "query", "smithy-rpc-v2-cbor":
		return api.Faults{Invalid: "ValidationError", Missing: "ValidationError", Malformed: "MalformedInput"}
	}
	return api.Faults{Invalid: "ValidationException", Missing: "ValidationException", Malformed: "SerializationException"}
}

// topLevel adds the type of an operation's input or output and everything it reaches.
func (s *service) topLevel(types map[string]*typ, name string, r *ref) (*typ, error) {
	from := &shape{Type: "structure"}
	if r != nil {
		from, _ = s.model.Shapes.get(r.Shape)
		if from == nil || from.Type != "structure" {
			return nil, fmt.Errorf("%s: %s is no structure", name, r.Shape)
		}
	}
	if types[name] != nil {
		return nil, fmt.Errorf("%s: two types of this name", name)
	}
	t := &typ{name: name, from: from, top: true, sparse: from.sparse}
	types[name] = t
	return t, s.reach(types, from)
}

// reach adds every shape that from refers to.
func (s *service) reach(types map[string]*typ, from *shape) error {
	for _, r := range from.refs() {
		sh, ok := s.model.Shapes.get(r.Shape)
		if !ok {
			return fmt.Errorf("no shape %s", r.Shape)
		}
		if _, ok := kinds[sh.Type]; !ok {
			return fmt.Errorf("%s: unknown type %s", r.Shape, sh.Type)
		}
		name := export(r.Shape)
		if t := types[name]; t != nil {
			if t.from != sh || t.top {
				return fmt.Errorf("%s: two types of this name", name)
			}
			continue
		}
		types[name] = &typ{name: name, from: sh}
		if err := s.reach(types, sh); err != nil {
			return err
		}
	}
	return nil
}

func (s *shape) refs() []*ref {
	var out []*ref
	for _, name := range s.Members.names {
		out = append(out, s.Members.byKey[name])
	}
	for _, r := range []*ref{s.Member, s.Key, s.Value} {
		if r != nil {
			out = append(out, r)
		}
	}
	return out
}

// correct applies one line of corrections.txt.
func (s *service) correct(c correction) error {
	switch c.verb {
	case "missing":
		s.faults.Missing, s.faults.MissingText = c.target, c.value
		return nil
	case "invalid":
		s.faults.Invalid = c.target
		return nil
	case "malformed":
		s.faults.Malformed = c.target
		return nil
	case "query":
		s.alsoQuery(c.target)
		return nil
	case "body":
		o, ok := s.model.Operations.get(c.target)
		if !ok {
			return fmt.Errorf("no operation %s", c.target)
		}
		var err error
		o.maxBody, err = strconv.ParseInt(c.value, 10, 64)
		return err
	}
	name, member, _ := strings.Cut(c.target, ".")
	sh, ok := s.model.Shapes.get(name)
	if !ok {
		return fmt.Errorf("no shape %s", name)
	}
	_, has := sh.Members.get(member)
	switch c.verb {
	case "add":
		if _, ok := s.model.Shapes.get(c.value); !ok || has {
			return fmt.Errorf("no shape %q, or the member is there already", c.value)
		}
		sh.Members.add(member, &ref{Shape: c.value})
	case "open":
		sh.opened, sh.Enum, sh.Min, sh.Max, sh.Pattern = sh.Enum, nil, nil, nil, ""
	case "optional":
		if !sh.requires(member) {
			return fmt.Errorf("not required in the model")
		}
		sh.Required = slices.DeleteFunc(sh.Required, func(r string) bool { return r == member })
	case "sparse":
		sh.sparse = true
	case "code":
		sh.code = c.value
	case "called":
		sh.called = c.value
	case "pairs":
		key, value, ok := strings.Cut(c.value, " ")
		if !ok || sh.Type != "map" {
			return fmt.Errorf("want a map and two names")
		}
		sh.Key.LocationName, sh.Value.LocationName = key, value
	default:
		return fmt.Errorf("unknown verb")
	}
	return nil
}

// alsoQuery has a JSON service answer those who speak query as well.
func (s *service) alsoQuery(namespace string) {
	s.model.Metadata.Protocols = append(s.model.Metadata.Protocols, "query")
	s.model.Metadata.XMLNamespace = namespace
	for _, name := range s.model.Operations.names {
		if o := s.model.Operations.byKey[name]; o.Output != nil {
			o.Output.ResultWrapper = name + "Result"
		}
	}
}

// readErrors collects the exceptions: the code that query answers carry, the shape's name, the HTTP status. Of several
// shapes with one code the one counts that is named after it.
func (s *service) readErrors() {
	byCode := map[string]api.ErrorShape{}
	for _, name := range s.model.Shapes.names {
		sh := s.model.Shapes.byKey[name]
		if !sh.Exception {
			continue
		}
		e := api.ErrorShape{Code: name, Name: name, Status: 400}
		if sh.Fault {
			e.Status = 500
		}
		if sh.Error != nil {
			if sh.Error.Code != "" {
				e.Code = sh.Error.Code
			}
			if sh.Error.HTTPStatusCode != 0 {
				e.Status = sh.Error.HTTPStatusCode
			}
		}
		if sh.code != "" {
			e.Code = sh.code
		}
		if have, ok := byCode[e.Code]; !ok || !strings.HasPrefix(have.Name, e.Code) {
			byCode[e.Code] = e
		}
	}
	for _, e := range byCode {
		s.errors = append(s.errors, e)
	}
	slices.SortFunc(s.errors, func(a, b api.ErrorShape) int { return strings.Compare(a.Code, b.Code) })
}

// export gives a model name its Go form: the same with a capital first letter.
func export(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// goType is the Go type of a value of the shape; element says that it stands in a list or map, where scalars and
// structures are values.
func (s *service) goType(shapeName string, element bool) string {
	sh := s.model.Shapes.byKey[shapeName]
	pointer := "*"
	if element {
		pointer = ""
	}
	switch kinds[sh.Type] {
	case api.Structure:
		return pointer + export(shapeName)
	case api.List:
		return "[]" + s.goType(sh.Member.Shape, true)
	case api.Map:
		return "map[string]" + s.goType(sh.Value.Shape, true)
	case api.Integer:
		return pointer + "int32"
	case api.Long:
		return pointer + "int64"
	case api.Double:
		return pointer + "float64"
	case api.Boolean:
		return pointer + "bool"
	case api.Timestamp:
		return pointer + "time.Time"
	case api.Blob:
		return "[]byte"
	}
	return pointer + "string"
}

// member gives the table entry of one member: its names as the protocols write them.
func (s *service) member(sh *shape, name string) api.Member {
	r := sh.Members.byKey[name]
	m := api.Member{Name: name, Shape: s.index[export(r.Shape)], Required: sh.requires(name), Location: r.Location}
	if sh.Payload == name {
		m.Location = "payload"
	}
	query, xml := name, name
	if r.LocationName != "" {
		query, xml = r.LocationName, r.LocationName
	}
	switch s.model.Metadata.Protocol {
	case "ec2":
		if query = export(query); r.QueryName != "" {
			query = r.QueryName
		}
	case "json", "rest-json":
		m.Name, query, xml = query, "", ""
		if called := s.model.Shapes.byKey[r.Shape].called; called != "" {
			query, xml = called, called
		}
	}
	if query != m.Name {
		m.Query = query
	}
	if xml != m.Name {
		m.XML = xml
	}
	return m
}

// constant is the name of an enum value: the enum's name and the value's words, as aws-sdk-go-v2 has it.
func constant(enum, value string) string {
	words := strings.FieldsFunc(value, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	name := export(enum)
	for _, w := range words {
		if strings.ToUpper(w) == w {
			w = strings.ToLower(w)
		}
		name += export(w)
	}
	return name
}

var (
	unicodeEscape = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)
	// Java names characters above U+FFFF by two surrogates; two of the models spell the range in ways of their own.
	astral = strings.NewReplacer(
		`\x{D800}\x{DC00}-\x{DBFF}\x{DFFF}`, `\x{10000}-\x{10FFFF}`,
		`\x{1000}0-\x{10FF}FF`, `\x{10000}-\x{10FFFF}`)
)

// goPattern translates a Java pattern; the whole value has to match.
func goPattern(p string) (string, error) {
	if p == "" {
		return "", nil
	}
	p = astral.Replace(unicodeEscape.ReplaceAllString(p, `\x{$1}`))
	p = "^(?:" + strings.ReplaceAll(p, `\/`, "/") + ")$"
	if _, err := regexp.Compile(p); err != nil {
		return "", err
	}
	return p, nil
}
