package table

// Journal is one step's memory of what it wrote. The zero value is ready to use.
type Journal struct {
	writes []write
	seen   map[id]int // empty: memory of Changes
	most   int        // writes that it had room for
}

// id is a row's identity.
type id struct {
	table undoer
	key   string
}

type write struct {
	table undoer
	key   string
	old   any // the row before, nil if there was none
	row   any // the row after, nil if it is gone
}

type undoer interface {
	Name() string
	restore(key string, old any)
}

// volatile marks what is undone but never listed as a change: state that is derived from rows.
type volatile struct{ undo func() }

func (volatile) Name() string          { return "" }
func (v volatile) restore(string, any) { v.undo() }

// record notes a write; nil pointers stand for "no row".
func record[R any](j *Journal, t undoer, key string, old, row *R) {
	j.writes = append(j.writes, write{t, key, boxed(old), boxed(row)})
}

// boxed keeps a typed nil pointer from looking like a row.
func boxed[R any](row *R) any {
	if row == nil {
		return nil
	}
	return row
}

// OnUndo notes how to take back a change of derived state that is not a row.
func (j *Journal) OnUndo(undo func()) {
	j.writes = append(j.writes, write{table: volatile{undo}})
}

// Reset makes the journal as good as new, with the memory that it has.
func (j *Journal) Reset() {
	clear(j.writes)
	j.writes = j.writes[:0]
}

// Mark returns the journal's present length, for UndoTo.
func (j *Journal) Mark() int { return len(j.writes) }

// UndoTo takes back every write after a mark, newest first.
func (j *Journal) UndoTo(mark int) {
	for i := len(j.writes) - 1; i >= mark; i-- {
		w := j.writes[i]
		w.table.restore(w.key, w.old)
	}
	j.writes = j.writes[:mark]
}

// Undo takes back every write.
func (j *Journal) Undo() { j.UndoTo(0) }

// few is how many writes are compared with each other sooner than put into a map.
const few = 16

// fewChanges is Changes of a few writes.
func (j *Journal) fewChanges() []Change {
	var first [few]undoer // the table of each change
	changes := make([]Change, 0, len(j.writes))
next:
	for _, w := range j.writes {
		if _, derived := w.table.(volatile); derived {
			continue
		}
		for i := range changes {
			if changes[i].Key == w.key && first[i] == w.table {
				changes[i].Row = w.row
				continue next
			}
		}
		first[len(changes)] = w.table
		changes = append(changes, Change{w.table.Name(), w.key, w.row})
	}
	return changes
}

// Changes lists the rows written, each once with its last value, in the order of their first write. A row that was
// made and removed in the same step is listed as gone: an earlier step's commit may still hold one of that key.
func (j *Journal) Changes() []Change {
	if len(j.writes) == 0 {
		return nil
	}
	if len(j.writes) <= few {
		return j.fewChanges()
	}
	at := j.places()
	changes := make([]Change, 0, j.rows())
	for _, w := range j.writes {
		if _, derived := w.table.(volatile); derived {
			continue
		}
		k := id{w.table, w.key}
		if i, seen := at[k]; seen {
			changes[i].Row = w.row
			continue
		}
		at[k] = len(changes)
		changes = append(changes, Change{w.table.Name(), w.key, w.row})
	}
	clear(at)
	return changes
}

// rows counts the writes that are of rows.
func (j *Journal) rows() int {
	n := 0
	for i := range j.writes {
		if _, derived := j.writes[i].table.(volatile); !derived {
			n++
		}
	}
	return n
}

// places gives an empty map for this step's rows: the one that there is, unless to clear it would cost more than to make
// one of the right size.
func (j *Journal) places() map[id]int {
	n := len(j.writes)
	if n < j.most/8 {
		return make(map[id]int, n)
	}
	if n > j.most {
		j.seen, j.most = make(map[id]int, n), n
	}
	return j.seen
}
