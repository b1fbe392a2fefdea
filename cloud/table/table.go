// Package table keeps rows in key order, undoes what a failed step wrote and lists what a good one changed.
//
// A Table maps string keys to rows of one type; an Index finds rows by a derived value; a Log keeps points in time
// order per key. All of them write through a Journal, which is one step's memory: Undo puts back every row as it was,
// Changes lists the rows that differ, once each, in the order they were first touched.
//
// It is not a database: nothing here reads or writes a file, and there is no locking. Rows are values: a row that was
// put is never changed in place, so that a Change may be encoded later and elsewhere. Slices and maps inside a row are
// replaced, not edited.
package table

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/btree"
)

// Change is one row's new value: a pointer to a row that will never be written again, or nil when the row is gone. The
// row's JSON is its durable form, which Store.Load reads back.
type Change struct {
	Table string
	Key   string
	Row   any
}

// Store is what all kinds of table have in common: enough to load them and to compare two of them.
type Store interface {
	// Name is the table's name in Changes.
	Name() string
	// Load puts a stored row, without a journal. It is used only before the first step.
	Load(key string, data []byte) error
	// Dump calls yield with every row in key order, as Changes would list it.
	Dump(yield func(key string, row any) bool)
	// Freeze gives what Dump would now, to be walked later and by another goroutine, whatever is written meanwhile.
	Freeze() (dump func(yield func(key string, row any) bool))
}

// Table is an ordered map of rows: most are read and written by their key, which costs the same however many there are,
// and the order of keys changes only when there are more of them or fewer. The zero value is not usable; see New.
type Table[R any] struct {
	name    string
	rows    map[string]*R
	keys    btree.Set[string]
	indexes []*Index[R]
	watches []func(key string, old, row *R)
	moves   int // grows when keys come or go: what an iterator compares to know whether it still stands where it stood
}

// New makes an empty table.
func New[R any](name string) *Table[R] { return &Table[R]{name: name, rows: map[string]*R{}} }

// Name implements Store.
func (t *Table[R]) Name() string { return t.name }

// Len is the number of rows.
func (t *Table[R]) Len() int { return len(t.rows) }

// Get returns the row of a key.
func (t *Table[R]) Get(key string) (R, bool) {
	if p, ok := t.rows[key]; ok {
		return *p, true
	}
	var zero R
	return zero, false
}

// Look returns the row of a key itself, or nil. It is not to be written. For what is read very often: nothing is copied.
func (t *Table[R]) Look(key []byte) *R { return t.rows[string(key)] }

// Put writes a row.
func (t *Table[R]) Put(j *Journal, key string, row R) {
	p := &row
	record(j, t, key, t.set(key, p), p)
}

// Delete removes a row; a missing one is no error.
func (t *Table[R]) Delete(j *Journal, key string) {
	if old := t.set(key, nil); old != nil {
		record(j, t, key, old, nil)
	}
}

// Prefix yields the rows whose key starts with prefix, in key order. Rows may be put or deleted while it runs: it
// then goes on from the key it last gave.
func (t *Table[R]) Prefix(prefix string) iter.Seq2[string, R] {
	return t.From(prefix, prefix)
}

// From yields the rows whose key starts with prefix and is not less than start, in key order.
func (t *Table[R]) From(prefix, start string) iter.Seq2[string, R] {
	return func(yield func(string, R) bool) {
		it, moves := t.keys.Iter(), t.moves
		for ok := it.Seek(start); ok; {
			key := it.Key()
			if !strings.HasPrefix(key, prefix) || !yield(key, *t.rows[key]) {
				return
			}
			if t.moves == moves {
				ok = it.Next()
				continue
			}
			it, moves = t.keys.Iter(), t.moves // an iterator does not survive writes to its tree
			ok = it.Seek(key + "\x00")
		}
	}
}

// Load implements Store.
func (t *Table[R]) Load(key string, data []byte) error {
	row := new(R)
	if err := json.Unmarshal(data, row); err != nil {
		return fmt.Errorf("table %s, row %q: %w", t.name, key, err)
	}
	t.set(key, row)
	return nil
}

// Dump implements Store.
func (t *Table[R]) Dump(yield func(string, any) bool) {
	t.keys.Scan(func(key string) bool { return yield(key, t.rows[key]) })
}

// Freeze implements Store.
func (t *Table[R]) Freeze() func(func(string, any) bool) {
	rows, keys := maps.Clone(t.rows), t.keys.Copy() // which is copied on write
	return func(yield func(string, any) bool) {
		keys.Scan(func(key string) bool { return yield(key, rows[key]) })
	}
}

// set writes or, with nil, removes a row with its index entries, and returns the row before.
func (t *Table[R]) set(key string, row *R) *R {
	old := t.rows[key]
	switch {
	case row == nil && old != nil:
		delete(t.rows, key)
		t.keys.Delete(key)
		t.moves++
	case row != nil && old == nil:
		t.rows[key] = row
		t.keys.Insert(key)
		t.moves++
	case row != nil:
		t.rows[key] = row
	}
	for _, x := range t.indexes {
		x.move(key, old, row)
	}
	for _, f := range t.watches {
		f(key, old, row)
	}
	return old
}

// Watch has f called with every row that is written, taken back or loaded, and the row before; nil is no row. It is for
// state that is derived from rows and always in line with them. It is to be called while the table is empty.
func (t *Table[R]) Watch(f func(key string, old, row *R)) { t.watches = append(t.watches, f) }

// restore implements undoer.
func (t *Table[R]) restore(key string, old any) {
	row, _ := old.(*R)
	t.set(key, row)
}

// Index finds the rows of a table by values derived from them.
type Index[R any] struct {
	table   *Table[R]
	values  func(key string, row R) []string
	entries btree.Set[string] // value, a zero byte and key
	moves   int               // as in Table
}

// NewIndex adds an index to a table; values gives the values under which a row is found (none: not indexed). It must
// be a pure function of its arguments.
func NewIndex[R any](t *Table[R], values func(key string, row R) []string) *Index[R] {
	x := &Index[R]{table: t, values: values}
	t.indexes = append(t.indexes, x)
	t.keys.Scan(func(key string) bool { x.move(key, nil, t.rows[key]); return true })
	return x
}

// Each yields the rows indexed under value whose key starts with prefix, in key order.
func (x *Index[R]) Each(value, prefix string) iter.Seq2[string, R] {
	return func(yield func(string, R) bool) {
		head := len(value) + 1
		start := value + "\x00" + prefix
		it, moves := x.entries.Iter(), x.moves
		for ok := it.Seek(start); ok; {
			entry := it.Key()
			if !strings.HasPrefix(entry, start) {
				return
			}
			if row := x.table.rows[entry[head:]]; row != nil && !yield(entry[head:], *row) {
				return
			}
			if x.moves == moves {
				ok = it.Next()
				continue
			}
			it, moves = x.entries.Iter(), x.moves
			ok = it.Seek(entry + "\x00")
		}
	}
}

// Count is the number of rows indexed under value whose key starts with prefix.
func (x *Index[R]) Count(value, prefix string) int {
	n := 0
	start := value + "\x00" + prefix
	x.entries.Ascend(start, func(entry string) bool {
		if !strings.HasPrefix(entry, start) {
			return false
		}
		n++
		return true
	})
	return n
}

func (x *Index[R]) move(key string, old, row *R) {
	var before, after []string
	if old != nil {
		before = x.values(key, *old)
	}
	if row != nil {
		after = x.values(key, *row)
	}
	if slices.Equal(before, after) {
		return
	}
	x.moves++
	for _, v := range before {
		if !slices.Contains(after, v) {
			x.entries.Delete(v + "\x00" + key)
		}
	}
	for _, v := range after {
		if !slices.Contains(before, v) {
			x.entries.Insert(v + "\x00" + key)
		}
	}
}
