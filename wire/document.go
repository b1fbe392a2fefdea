package wire

import (
	"reflect"
	"time"

	"github.com/billow-cloud/billow/api"
)

// reader takes a document (JSON or CBOR) apart, token by token. Its errors are *api.Error or plain ones that say what
// was found where something else was wanted; decodeDocument gives those the service's code.
type reader interface {
	// null takes a null if one comes next.
	null() bool
	object() (frame, error)
	array() (frame, error)
	// more says whether the container has another member or element, and takes its end if not.
	more(f *frame) (bool, error)
	// key is valid until the next call.
	key() ([]byte, error)
	str() (string, error)
	integer(bits int) (int64, error)
	float() (float64, error)
	boolean() (bool, error)
	instant() (time.Time, error)
	blob() ([]byte, error)
	skip() error
}

// frame is a container that a reader is in.
type frame struct {
	end   byte // JSON: the bracket that closes it
	first bool // JSON: nothing has been read of it
	left  int  // CBOR: members or elements to come, -1 if a break ends it
}

// maxDepth bounds how deep a document nests. The deepest shape of the models stays below 20.
const maxDepth = 64

type documentDecoder struct {
	r      reader
	budget budget
}

func (d *documentDecoder) value(p *plan, dst reflect.Value) error {
	switch p.kind {
	case api.Structure:
		return d.structure(p, p.settle(dst))
	case api.List:
		return d.list(p, dst)
	case api.Map:
		return d.entries(p, dst)
	case api.String:
		s, err := d.r.str()
		if err != nil {
			return err
		}
		p.settle(dst).SetString(s)
	case api.Integer, api.Long:
		bits := 64
		if p.kind == api.Integer {
			bits = 32
		}
		n, err := d.r.integer(bits)
		if err != nil {
			return err
		}
		p.settle(dst).SetInt(n)
	case api.Double:
		f, err := d.r.float()
		if err != nil {
			return err
		}
		p.settle(dst).SetFloat(f)
	case api.Boolean:
		b, err := d.r.boolean()
		if err != nil {
			return err
		}
		p.settle(dst).SetBool(b)
	case api.Timestamp:
		t, err := d.r.instant()
		if err != nil {
			return err
		}
		p.settle(dst).Set(reflect.ValueOf(t))
	case api.Blob:
		b, err := d.r.blob()
		if err != nil {
			return err
		}
		dst.SetBytes(b)
	}
	return nil
}

func (d *documentDecoder) structure(p *plan, v reflect.Value) error {
	f, err := d.r.object()
	if err != nil {
		return err
	}
	for {
		ok, err := d.r.more(&f)
		if err != nil || !ok {
			return err
		}
		key, err := d.r.key()
		if err != nil {
			return err
		}
		i, known := p.named[string(key)]
		switch {
		case d.r.null():
		case known:
			err = d.value(p.fields[i].plan, v.Field(i))
		default:
			err = d.r.skip()
		}
		if err != nil {
			return err
		}
	}
}

func (d *documentDecoder) list(p *plan, dst reflect.Value) error {
	f, err := d.r.array()
	if err != nil {
		return err
	}
	dst.Set(reflect.MakeSlice(dst.Type(), 0, 0))
	for {
		ok, err := d.r.more(&f)
		if err != nil || !ok {
			return err
		}
		if d.r.null() {
			continue
		}
		if !d.budget.take(p.elem) {
			return errElements
		}
		if err := d.value(p.elem, grow(dst)); err != nil {
			return err
		}
	}
}

func (d *documentDecoder) entries(p *plan, dst reflect.Value) error {
	f, err := d.r.object()
	if err != nil {
		return err
	}
	m := reflect.MakeMap(dst.Type())
	dst.Set(m)
	for {
		ok, err := d.r.more(&f)
		if err != nil || !ok {
			return err
		}
		key, err := d.r.key()
		if err != nil {
			return err
		}
		name := reflect.ValueOf(string(key))
		if d.r.null() {
			continue
		}
		if !d.budget.take(p) {
			return errElements
		}
		e := reflect.New(dst.Type().Elem()).Elem()
		if err := d.value(p.elem, e); err != nil {
			return err
		}
		m.SetMapIndex(name, e)
	}
}

var errElements = api.Errorf("SerializationException", "The request has more than %d elements.", maxStructures)

// decodeDocument fills in, a pointer to the input struct. A reader that is nil stands for an empty body, {}.
func decodeDocument(op *operation, r reader, in any) error {
	if r == nil {
		return nil
	}
	return decodeStructure(op.in, r, reflect.ValueOf(in).Elem())
}

func decodeStructure(p *plan, r reader, v reflect.Value) error {
	d := documentDecoder{r: r, budget: maxStructures}
	err := d.structure(p, v)
	if err == nil {
		return nil
	}
	if _, ok := err.(*api.Error); ok {
		return err
	}
	return api.Errorf("SerializationException", "%s", err.Error())
}

// writer puts a document together.
type writer interface {
	open()
	close()
	openList()
	closeList()
	member(f *field)
	key(s string)
	comma() // before every element of a list
	str(s string)
	integer(n int64)
	float(f float64)
	boolean(b bool)
	instant(t time.Time)
	blob(b []byte)
}

// encodeDocument writes an output struct; v is invalid for an empty answer.
func encodeDocument(w writer, p *plan, v reflect.Value) {
	w.open()
	for i := range p.fields {
		f := &p.fields[i]
		if !p.shape.Sparse && f.plan.kind == api.List && (!v.IsValid() || v.Field(i).IsNil()) {
			w.member(f)
			w.openList()
			w.closeList()
		} else if v.IsValid() {
			encodeField(w, f, v.Field(i))
		}
	}
	w.close()
}

func encodeField(w writer, f *field, v reflect.Value) {
	if v.IsNil() {
		return
	}
	w.member(f)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	encodeValue(w, f.plan, v)
}

func encodeValue(w writer, p *plan, v reflect.Value) {
	switch p.kind {
	case api.Structure:
		w.open()
		for i := range p.fields {
			encodeField(w, &p.fields[i], v.Field(i))
		}
		w.close()
	case api.List:
		w.openList()
		for i, n := 0, v.Len(); i < n; i++ {
			w.comma()
			encodeValue(w, p.elem, v.Index(i))
		}
		w.closeList()
	case api.Map:
		w.open()
		for _, key := range sortedKeys(v) {
			w.key(key.String())
			encodeValue(w, p.elem, v.MapIndex(key))
		}
		w.close()
	case api.String:
		w.str(v.String())
	case api.Integer, api.Long:
		w.integer(v.Int())
	case api.Double:
		w.float(v.Float())
	case api.Boolean:
		w.boolean(v.Bool())
	case api.Timestamp:
		w.instant(v.Interface().(time.Time))
	case api.Blob:
		w.blob(v.Bytes())
	}
}
