package cloud

import (
	"iter"

	"github.com/billow-cloud/billow/cloud/table"
)

// Rows is a table whose rows belong to scopes: all its methods see the rows of tx.Scope only, but for Everywhere.
type Rows[R any] struct{ *table.Table[R] }

// NewRows makes an empty table; the name is the service's name, a dot and the plural noun: "ec2.instances".
func NewRows[R any](name string) Rows[R] { return Rows[R]{table.New[R](name)} }

// Get returns a row of tx.Scope.
func (r Rows[R]) Get(tx *Tx, id string) (R, bool) {
	if p := r.Look(tx, id); p != nil {
		return *p, true
	}
	var zero R
	return zero, false
}

// Look returns a row of tx.Scope itself, not to be written, or nil. It stays as it is when the row is written later.
func (r Rows[R]) Look(tx *Tx, id string) *R {
	var room [128]byte // for most keys, so that looking costs no memory
	key := append(append(room[:0], tx.Scope.Account...), '/')
	key = append(append(key, tx.Scope.Region...), '/')
	return r.Table.Look(append(key, id...))
}

// Has tells whether there is such a row in tx.Scope.
func (r Rows[R]) Has(tx *Tx, id string) bool { return r.Look(tx, id) != nil }

// Put writes a row of tx.Scope.
func (r Rows[R]) Put(tx *Tx, id string, row R) {
	r.Table.Put(&tx.journal, tx.Scope.prefix()+id, row)
}

// Delete removes a row of tx.Scope.
func (r Rows[R]) Delete(tx *Tx, id string) { r.Table.Delete(&tx.journal, tx.Scope.prefix()+id) }

// All yields the rows of tx.Scope in order of ID. Rows may be written meanwhile.
func (r Rows[R]) All(tx *Tx) iter.Seq2[string, R] { return r.Prefix(tx, "") }

// Prefix yields the rows of tx.Scope whose ID starts with prefix, in order.
func (r Rows[R]) Prefix(tx *Tx, prefix string) iter.Seq2[string, R] {
	return stripped(r.Table.Prefix(tx.Scope.prefix()+prefix), len(tx.Scope.prefix()))
}

// After yields the rows of tx.Scope whose ID is greater than id, in order: for paging.
func (r Rows[R]) After(tx *Tx, id string) iter.Seq2[string, R] {
	p := tx.Scope.prefix()
	return stripped(r.Table.From(p, p+id+"\x00"), len(p))
}

// Everywhere yields all rows of all scopes.
func (r Rows[R]) Everywhere() iter.Seq2[Key, R] {
	return func(yield func(Key, R) bool) {
		for key, row := range r.Table.Prefix("") {
			scope, id := split(key)
			if !yield(Key{Scope: scope, ID: id}, row) {
				return
			}
		}
	}
}

// Index adds an index to the rows, found again with the values that values gives.
func (r Rows[R]) Index(values func(id string, row R) []string) Index[R] {
	return Index[R]{table.NewIndex(r.Table, func(key string, row R) []string {
		_, id := split(key)
		return values(id, row)
	})}
}

// ByID is the index over a table's own IDs, for facts, which come without a scope.
func (r Rows[R]) ByID() Index[R] {
	return r.Index(func(id string, _ R) []string { return []string{id} })
}

// Index finds rows by a derived value.
type Index[R any] struct{ *table.Index[R] }

// Each yields the rows of tx.Scope indexed under value, in order of ID. Rows may be written meanwhile.
func (x Index[R]) Each(tx *Tx, value string) iter.Seq2[string, R] {
	p := tx.Scope.prefix()
	return stripped(x.Index.Each(value, p), len(p))
}

// Count is the number of rows of tx.Scope indexed under value.
func (x Index[R]) Count(tx *Tx, value string) int { return x.Index.Count(value, tx.Scope.prefix()) }

// Find returns the first row indexed under value in any scope.
func (x Index[R]) Find(value string) (Scope, R, bool) {
	for key, row := range x.Index.Each(value, "") {
		scope, _ := split(key)
		return scope, row, true
	}
	var zero R
	return Scope{}, zero, false
}

func stripped[R any](rows iter.Seq2[string, R], n int) iter.Seq2[string, R] {
	return func(yield func(string, R) bool) {
		for key, row := range rows {
			if !yield(key[n:], row) {
				return
			}
		}
	}
}
