package cloud

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/billow-cloud/billow/cloud/table"
	"github.com/tidwall/btree"
)

// Tx is one step: the time it happens at, the scope it works in, and all that it writes, wishes and tells.
type Tx struct {
	// Scope is the account and region of the call, event or key at hand.
	Scope Scope
	// RequestID is the call's; empty in steps that are not calls.
	RequestID string
	// Caller is who makes the call at hand; the zero value, this cloud itself, in all that is not a call's handler.
	Caller Caller

	cloud   *Cloud
	now     time.Time
	journal table.Journal
	effects []Effect
	events  []emitted
	dirty   btree.Set[string]
	trying  int       // Tries under way
	tried   []string  // keys that became dirty in them
	random  *rand.PCG // nil until the step draws
}

type emitted struct {
	scope Scope
	from  int // the emitting service's place; only services above it notice
	event Event
}

// settleLimit bounds the events and keys of one step; more means that two services wake each other for ever.
const settleLimit = 5_000_000

// Now is the time of the step, in UTC.
func (tx *Tx) Now() time.Time { return tx.now }

// Journal is where tables that are not Rows write.
func (tx *Tx) Journal() *table.Journal { return &tx.journal }

// Wish adds an effect to the step's output.
func (tx *Tx) Wish(e Effect) { tx.effects = append(tx.effects, e) }

// Emit tells the services above the named one, in the present scope, before the step ends.
func (tx *Tx) Emit(service string, e Event) {
	tx.events = append(tx.events, emitted{tx.Scope, tx.cloud.order[service], e})
}

// Touch has a service reconcile something of the present scope before the step ends.
func (tx *Tx) Touch(service, kind, id string) {
	key := tx.cloud.dirtyKey(service, Key{tx.Scope, kind, id})
	if tx.trying > 0 && !tx.dirty.Contains(key) {
		tx.tried = append(tx.tried, key)
	}
	tx.dirty.Insert(key)
}

// At has a service reconcile something of the present scope at an instant: one timer per key, the last call counts.
// The zero time takes the timer away.
func (tx *Tx) At(service, kind, id string, at time.Time) {
	tx.cloud.timers.set(&tx.journal, tx.cloud.dirtyKey(service, Key{tx.Scope, kind, id}), at)
}

// In runs f in another scope.
func (tx *Tx) In(scope Scope, f func()) {
	before := tx.Scope
	tx.Scope = scope
	f()
	tx.Scope = before
}

// Try runs f as a part that may fail on its own: if it returns an error, its rows, wishes, events and keys are taken
// back and the step goes on.
func (tx *Tx) Try(f func() error) error {
	mark, effects, events, tried := tx.journal.Mark(), len(tx.effects), len(tx.events), len(tx.tried)
	tx.trying++
	err := f()
	tx.trying--
	if err != nil {
		tx.journal.UndoTo(mark)
		tx.effects, tx.events = tx.effects[:effects], tx.events[:events]
		for _, key := range tx.tried[tried:] {
			tx.dirty.Delete(key)
		}
		tx.tried = tx.tried[:tried]
	}
	if tx.trying == 0 {
		tx.tried = tx.tried[:0]
	}
	return err
}

// settle drains events and dirty keys: all events first, in the order they were emitted, then the lowest key.
func (tx *Tx) settle() error {
	for range settleLimit {
		if len(tx.events) > 0 {
			e := tx.events[0]
			tx.events = tx.events[1:]
			for _, s := range tx.cloud.services[e.from+1:] {
				tx.Scope = e.scope
				s.Notice(tx, e.event)
			}
			continue
		}
		key, ok := tx.dirty.PopMin()
		if !ok {
			return nil
		}
		service, k := tx.cloud.parseDirty(key)
		tx.Scope = k.Scope
		service.Reconcile(tx, k.Kind, k.ID)
	}
	return errors.New("cloud: a step did not settle")
}

// touchAll has everything reconciled: after a load no timer is known.
func (tx *Tx) touchAll() {
	for _, s := range tx.cloud.services {
		for k := range s.Keys() {
			tx.dirty.Insert(tx.cloud.dirtyKey(s.Name(), k))
		}
	}
}
