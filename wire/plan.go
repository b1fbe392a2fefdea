package wire

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/billow-cloud/billow/api"
)

// A plan is one shape, made ready for walking a Go value of its type. Plans are compiled on first use and never change
// after that. A recursive shape is a recursive plan.
type plan struct {
	shape  *api.Shape
	kind   api.Kind
	typ    reflect.Type   // of the value itself, without the pointer that a member has
	fields []field        // Structure: in the order of the Go fields
	query  map[string]int // Structure: fields by their name in a query request
	named  map[string]int // Structure: fields by their name in a document (JSON, CBOR)
	bodied bool           // Structure: some fields are in a document
	elem   *plan          // List, Map
	ec2    bool           // List: elements are numbered directly behind the name
	tag    string         // List: wire name of an element
	open   string         // List: "<tag>"
	close  string
	key    string // Map: wire name of a key
	value  string // Map: wire name of a value
	rules  *rules // nil if the model bounds nothing
	keys   *rules // Map: of the keys
}

type field struct {
	plan     *plan
	name     string // in documents and error texts
	query    string
	required bool
	open     string // "<name>", as an answer has it
	close    string
	empty    string // "<name/>"
	json     string // `"name":`
	location string // rest-json: where the member is, if not in the document
	wire     string // rest-json: what it is called there
	cbor     string // the name as a CBOR text
}

// service is an api.Service with what the wire keeps for it.
type service struct {
	*api.Service
	ops    map[string]*operation // the listed ones
	errors map[string]*api.ErrorShape

	templates []template // rest-json

	mu    sync.Mutex
	plans []*plan // by index of the shape
}

// operation is a listed operation; in and out are there after ready.
type operation struct {
	*api.Operation
	svc     *service
	once    sync.Once
	in, out *plan
}

func newService(s *api.Service) *service {
	svc := &service{Service: s, ops: map[string]*operation{}, errors: map[string]*api.ErrorShape{},
		plans: make([]*plan, len(s.Shapes)), templates: templates(s)}
	for i := range s.Operations {
		if op := &s.Operations[i]; op.Listed() {
			svc.ops[op.Name] = &operation{Operation: op, svc: svc}
		}
	}
	for i := range s.Errors {
		svc.errors[s.Errors[i].Code] = &s.Errors[i]
	}
	return svc
}

func (s *service) speaks(p api.Protocol) bool {
	for _, have := range s.Protocols {
		if have == p {
			return true
		}
	}
	return false
}

// ready compiles the operation's plans.
func (op *operation) ready() {
	op.once.Do(func() {
		op.svc.mu.Lock()
		defer op.svc.mu.Unlock()
		op.in = op.svc.compile(op.Input, reflect.TypeOf(op.In()).Elem())
		op.out = op.svc.compile(op.Output, reflect.TypeOf(op.Out()).Elem())
	})
}

// compile gives the plan of a shape whose values have the Go type t (a member's pointer taken off).
func (s *service) compile(index int, t reflect.Type) *plan {
	if p := s.plans[index]; p != nil {
		return p
	}
	shape := &s.Shapes[index]
	p := &plan{shape: shape, kind: shape.Kind, typ: t, rules: compileRules(shape)}
	s.plans[index] = p
	switch shape.Kind {
	case api.Structure:
		s.compileFields(p)
	case api.List:
		p.elem = s.compile(shape.Elem, t.Elem())
		p.ec2 = s.speaks(api.EC2) || shape.Flattened
		p.tag = cmp.Or(shape.ElemName, "member")
		p.open, p.close = "<"+p.tag+">", "</"+p.tag+">"
	case api.Map:
		p.elem = s.compile(shape.Elem, t.Elem())
		p.ec2 = shape.Flattened
		p.key, p.value = cmp.Or(shape.KeyName, "key"), cmp.Or(shape.ElemName, "value")
		p.keys = compileRules(&s.Shapes[shape.Key])
	}
	return p
}

func (s *service) compileFields(p *plan) {
	members := p.shape.Members
	if p.typ.NumField() != len(members) {
		panic(fmt.Sprintf("%s: table and struct of %s differ: run the generator", s.Name, p.shape.Name))
	}
	p.fields = make([]field, len(members))
	p.query = make(map[string]int, len(members))
	p.named = make(map[string]int, len(members))
	for i := range members {
		m := &members[i]
		t := p.typ.Field(i).Type
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		xml := cmp.Or(m.XML, m.Name)
		f := &p.fields[i]
		*f = field{name: m.Name, query: cmp.Or(m.Query, m.Name), required: m.Required,
			open: "<" + xml + ">", close: "</" + xml + ">", empty: "<" + xml + "/>",
			json: string(appendJSONString(nil, m.Name)) + ":", cbor: string(appendCBORText(nil, m.Name))}
		p.query[f.query] = i
		if m.Location == "" {
			p.named[f.name] = i
			p.bodied = true
		} else {
			f.location, f.wire, f.name = m.Location, m.Name, p.typ.Field(i).Name
		}
		f.plan = s.compile(m.Shape, t)
	}
}

// settle gives the place to put a value of the plan into: dst itself, or behind its pointer, which is made if need be.
func (p *plan) settle(dst reflect.Value) reflect.Value {
	if dst.Kind() != reflect.Pointer {
		return dst
	}
	if dst.IsNil() {
		dst.Set(reflect.New(p.typ))
	}
	return dst.Elem()
}

// grow appends a zero element to the slice and gives its place.
func grow(slice reflect.Value) reflect.Value {
	n := slice.Len()
	if n == slice.Cap() {
		slice.Grow(1)
	}
	slice.SetLen(n + 1)
	e := slice.Index(n)
	e.SetZero()
	return e
}

// maxStructures bounds how many list elements that are structures, lists or maps one request may make: a few bytes of
// request would otherwise make hundreds of bytes of memory each.
const maxStructures = 100_000

// budget counts down from maxStructures.
type budget int

func (b *budget) take(p *plan) bool {
	if p.kind != api.Structure && p.kind != api.List && p.kind != api.Map {
		return true
	}
	*b--
	return *b >= 0
}

// lowerFirst is how error texts spell a member: autoScalingGroupName.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
