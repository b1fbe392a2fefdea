// Package cloud is the control plane as one deterministic value: Step takes the time and an input and gives back what
// to make durable, what to wish for in the world and what to answer; Wake says when it next needs time.
//
// There is no goroutine, clock, random source or I/O in it or in anything below it. The daemon and the simulator are
// two loops that call Step. AWS services plug in as an ordered slice of Service (see cloud/region): calls go to lower
// services directly, in the same step; events go upward, queued and drained first in, first out, before the step ends.
//
// Invariants: a failed step changes nothing; the same rows and inputs give the same outputs; a step costs what it
// touches (dirty keys and due timers), not what exists.
package cloud

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud/table"
)

// Input is what a step is about: Call, Observed or Tick.
type Input interface{ input() }

// Call is one API request, decoded and validated against its model.
type Call struct {
	Scope     Scope
	RequestID string
	Service   string // the service's Name, such as "autoscaling"
	Operation string // the AWS operation, such as "SetDesiredCapacity"
	In        any    // a pointer to the operation's input shape
	Caller    Caller // the zero value is this cloud itself
}

// Observed is a batch of facts about the world: what was seen, never what to do.
type Observed struct{ Facts []Fact }

// Tick says only that time has passed.
type Tick struct{}

func (Call) input()     {}
func (Observed) input() {}
func (Tick) input()     {}

// Fact is an observation from the world; each service declares its own and takes those it knows.
type Fact any

// Effect is a wish about the world, idempotent by the ID of the resource it names. It may be lost: when the next
// inventory disagrees with the rows, the service makes the same wish again.
type Effect any

// Event is something a service tells those above it, in the same step; each service declares its own.
type Event any

// Output is what a step gives, to be used strictly in this order: make Changes durable, start Effects, answer.
type Output struct {
	Changes []table.Change
	Effects []Effect
	Reply   any   // a pointer to the operation's output shape
	Err     error // an *api.Error for the client; any other error is a defect, and nothing was changed
}

// Defect is a step that panicked. Its writes were undone.
type Defect struct {
	Value any
	Stack []byte
}

func (d *Defect) Error() string { return fmt.Sprintf("defect in the control plane: %v", d.Value) }

// Cloud is the control plane. It is not safe for concurrent use: one loop owns it.
type Cloud struct {
	services   []Service
	order      map[string]int // service name -> place in services
	operations map[string]map[string]Operation
	stores     map[string]table.Store
	clock      *table.Table[clock]
	authorize  Authorizer
	timers     timers
	last       time.Time
	loaded     bool
	journal    table.Journal // the last step's, for its memory
}

// clock is the one row of the cloud itself: the state of its generator.
type clock struct{ Hi, Lo uint64 }

// New makes an empty cloud of the given services, lowest first. The seed decides every ID that it will ever make.
func New(seed uint64, services ...Service) *Cloud {
	c := &Cloud{
		services:   services,
		order:      map[string]int{},
		operations: map[string]map[string]Operation{},
		stores:     map[string]table.Store{},
		clock:      table.New[clock]("cloud"),
		timers:     timers{at: map[string]place{}},
	}
	c.addStore(c.clock)
	c.clock.Put(&table.Journal{}, randomKey, clock{Hi: seed, Lo: 0x9e3779b97f4a7c15})
	for i, s := range services {
		c.order[s.Name()] = i
		ops := map[string]Operation{}
		for _, op := range s.Operations() {
			ops[op.Name] = op
		}
		c.operations[s.Name()] = ops
		for _, st := range s.Stores() {
			c.addStore(st)
		}
	}
	return c
}

func (c *Cloud) addStore(s table.Store) {
	if _, twice := c.stores[s.Name()]; twice {
		panic("cloud: two tables named " + s.Name())
	}
	c.stores[s.Name()] = s
}

// Load puts one durable row; it may be called only before the first Step.
func (c *Cloud) Load(tableName, key string, data []byte) error {
	s, ok := c.stores[tableName]
	if !ok {
		return fmt.Errorf("the store has rows of a table %q that this build does not know", tableName)
	}
	c.loaded = true
	return s.Load(key, data)
}

// Dump calls yield with every row of every table, tables in the order of services. It is for comparing two clouds.
func (c *Cloud) Dump(yield func(table, key string, row any) bool) {
	for _, st := range c.tables() {
		for key, row := range st.Dump {
			if !yield(st.Name(), key, row) {
				return
			}
		}
	}
}

// tables are all of them, in the order of services.
func (c *Cloud) tables() []table.Store {
	all := []table.Store{c.clock}
	for _, s := range c.services {
		all = append(all, s.Stores()...)
	}
	return all
}

// Operation returns what is known of a service's operation.
func (c *Cloud) Operation(service, name string) (Operation, bool) {
	op, ok := c.operations[service][name]
	return op, ok
}

// Operations yields what every service answers, services in order.
func (c *Cloud) Operations(yield func(service string, op Operation) bool) {
	for _, s := range c.services {
		for _, op := range s.Operations() {
			if !yield(s.Name(), op) {
				return
			}
		}
	}
}

// Wake is the next instant at which a Tick matters; zero is never.
func (c *Cloud) Wake() time.Time {
	if c.loaded { // rows were loaded and nothing has been reconciled yet
		return c.last.Add(1)
	}
	return c.timers.next()
}

// Step advances the cloud by one input. Time never goes back: a now before the last one counts as the last one.
func (c *Cloud) Step(now time.Time, in Input) (out Output) {
	now = now.UTC()
	if now.Before(c.last) {
		now = c.last
	}
	c.last = now
	tx := &Tx{cloud: c, now: now, journal: c.journal}
	c.journal = table.Journal{}
	defer func() {
		defer func() {
			tx.journal.Reset()
			c.journal = tx.journal
		}()
		if v := recover(); v != nil {
			tx.journal.Undo()
			out = Output{Err: &Defect{Value: v, Stack: debug.Stack()}}
		}
	}()
	if c.loaded {
		c.loaded = false
		tx.touchAll()
	}
	reply, err := c.take(tx, in)
	if err == nil {
		err = tx.settle()
	}
	if err != nil {
		tx.journal.Undo()
		return Output{Err: err}
	}
	tx.saveRandom()
	return Output{Changes: tx.journal.Changes(), Effects: tx.effects, Reply: reply}
}

func (c *Cloud) take(tx *Tx, in Input) (any, error) {
	switch in := in.(type) {
	case Call:
		op, ok := c.operations[in.Service][in.Operation]
		if !ok {
			return nil, api.NotImplemented(in.Service, in.Operation)
		}
		tx.Scope, tx.RequestID, tx.Caller = in.Scope, in.RequestID, in.Caller
		if c.authorize != nil && !in.Caller.Above() {
			if err := c.authorize(tx, in); err != nil {
				return nil, err
			}
		}
		out, err := op.handle(tx, in.In)
		tx.Caller = Caller{} // what follows from a call is not done in the caller's name
		return out, err
	case Observed:
		for _, f := range in.Facts {
			for _, s := range c.services {
				s.Observe(tx, f)
			}
		}
	case Tick:
	}
	c.timers.due(tx)
	return nil, nil
}
