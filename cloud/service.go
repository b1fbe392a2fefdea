package cloud

import (
	"fmt"
	"iter"

	"github.com/billow-cloud/billow/cloud/table"
)

// Service is one AWS service: tables, operations, and what it does when something below it or outside changes.
type Service interface {
	// Name is the name calls are addressed to; it is also the head of the service's table names.
	Name() string
	// Stores lists the service's tables.
	Stores() []table.Store
	// Operations lists what the service answers.
	Operations() []Operation
	// Observe takes a fact if it is one of the service's own and ignores all others. It sets tx.Scope itself.
	Observe(tx *Tx, f Fact)
	// Notice takes an event of a lower service, in the scope in which it was emitted; unknown ones are ignored.
	Notice(tx *Tx, e Event)
	// Reconcile brings one thing in line with its row: it is called, in the thing's scope, for every key touched in
	// this step and for every timer that is due, and for all Keys after a load. It must be idempotent, must not trust
	// that the thing still exists, and sets the thing's next timer.
	Reconcile(tx *Tx, kind, id string)
	// Keys yields everything that Reconcile may be asked about: the obvious full scan.
	Keys() iter.Seq[Key]
}

// Key names something that a service reconciles.
type Key struct {
	Scope    Scope
	Kind, ID string
}

// Operation is one AWS operation of a service.
type Operation struct {
	Name string
	// Stored says that what the operation writes is kept and read back, but has no effect.
	Stored bool
	// Note names what is stored only, refused or different, in plain words; for `billow ops`.
	Note string
	// Input makes a new input: a pointer to the operation's input shape.
	Input  func() any
	handle func(tx *Tx, in any) (any, error)
}

// Handle makes an Operation of a handler.
func Handle[In, Out any](name string, h func(tx *Tx, in *In) (*Out, error)) Operation {
	input := func() any { return new(In) }
	return Operation{Name: name, Input: input, handle: func(tx *Tx, in any) (any, error) {
		shape, ok := in.(*In)
		if !ok {
			return nil, fmt.Errorf("cloud: %s takes %T, got %T", name, (*In)(nil), in)
		}
		out, err := h(tx, shape)
		if err != nil {
			return nil, err
		}
		return out, nil
	}}
}

// But notes what of a real operation is stored only, refused or different, naming the members concerned.
func (op Operation) But(what string) Operation {
	op.Note = what
	return op
}

// StoredOnly marks an operation whose whole effect is that it can be read back.
func (op Operation) StoredOnly(why string) Operation {
	op.Stored, op.Note = true, why
	return op
}

// Base is a Service that has nothing: embed it and override what the service does have.
type Base struct{}

func (Base) Stores() []table.Store         { return nil }
func (Base) Operations() []Operation       { return nil }
func (Base) Observe(*Tx, Fact)             {}
func (Base) Notice(*Tx, Event)             {}
func (Base) Reconcile(*Tx, string, string) {}
func (Base) Keys() iter.Seq[Key]           { return func(func(Key) bool) {} }
