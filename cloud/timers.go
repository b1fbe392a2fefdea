package cloud

import (
	"iter"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud/table"
	"github.com/tidwall/btree"
)

// timers holds one instant per dirty key. It is derived from rows, but for what ends with a restart: after a load everything
// is reconciled once, which sets every other timer again. Most timers are due at the same instants as others, whole minutes, so that they are queued by
// instant.
type timers struct {
	at    map[string]place
	queue btree.Map[int64, *[]string] // nanoseconds since 1970 -> keys, in any order
}

// place is where a key stands in the queue.
type place struct {
	ns int64
	n  int
}

func (t *timers) set(j *table.Journal, key string, at time.Time) {
	old := t.at[key].ns
	var ns int64
	if !at.IsZero() {
		ns = at.UnixNano()
	}
	if old == ns {
		return
	}
	t.put(key, ns)
	j.OnUndo(func() { t.put(key, old) })
}

// put moves a key to an instant; 0 is none.
func (t *timers) put(key string, ns int64) {
	if p, had := t.at[key]; had {
		t.remove(p)
	}
	if ns == 0 {
		delete(t.at, key)
		return
	}
	keys, ok := t.queue.Get(ns)
	if !ok {
		keys = new([]string)
		t.queue.Set(ns, keys)
	}
	t.at[key] = place{ns, len(*keys)}
	*keys = append(*keys, key)
}

// remove takes what stands at a place out of the queue: the last of the same instant takes the place.
func (t *timers) remove(p place) {
	keys, _ := t.queue.Get(p.ns)
	last := len(*keys) - 1
	if last == 0 {
		t.queue.Delete(p.ns)
		return
	}
	if p.n < last {
		moved := (*keys)[last]
		(*keys)[p.n], t.at[moved] = moved, p
	}
	(*keys)[last] = ""
	*keys = (*keys)[:last]
}

// next is the earliest instant; zero if there is none.
func (t *timers) next() time.Time {
	ns, _, ok := t.queue.Min()
	if !ok {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// due takes every timer that has come and marks its key dirty.
func (t *timers) due(tx *Tx) {
	for {
		ns, keys, ok := t.queue.Min()
		if !ok || ns > tx.now.UnixNano() {
			return
		}
		t.queue.Delete(ns)
		for _, key := range *keys {
			delete(t.at, key)
			tx.dirty.Load(key) // which costs little where they come in order, and they mostly do
		}
		tx.journal.OnUndo(func() {
			for _, key := range *keys {
				t.put(key, ns)
			}
		})
	}
}

// Timers are the keys of a kind that a service has timers for, in all scopes and in any order. It costs a look at every
// timer there is.
func (tx *Tx) Timers(service, kind string) iter.Seq[Key] {
	return func(yield func(Key) bool) {
		c := tx.cloud
		for key := range c.timers.at { // any order
			if int(key[0]) != c.order[service] {
				continue
			}
			if _, k := c.parseDirty(key); k.Kind == kind && !yield(k) {
				return
			}
		}
	}
}

// dirtyKey orders by service, scope, kind and ID.
func (c *Cloud) dirtyKey(service string, k Key) string {
	i, ok := c.order[service]
	if !ok {
		panic("cloud: unknown service " + service)
	}
	return string([]byte{byte(i)}) + k.Scope.Account + "\x00" + k.Scope.Region + "\x00" + k.Kind + "\x00" + k.ID
}

func (c *Cloud) parseDirty(key string) (Service, Key) {
	account, rest, _ := strings.Cut(key[1:], "\x00")
	region, rest, _ := strings.Cut(rest, "\x00")
	kind, id, _ := strings.Cut(rest, "\x00")
	return c.services[key[0]], Key{Scope{account, region}, kind, id}
}
