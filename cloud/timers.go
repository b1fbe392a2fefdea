package cloud

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud/table"
	"github.com/tidwall/btree"
)

// timers holds one instant per dirty key. It is derived from rows: after a load everything is reconciled once, which
// sets every timer again.
type timers struct {
	at    map[string]int64  // key -> nanoseconds since 1970
	queue btree.Set[string] // big-endian instant + key
}

func (t *timers) set(j *table.Journal, key string, at time.Time) {
	old, had := t.at[key]
	var ns int64
	if !at.IsZero() {
		ns = at.UnixNano()
	}
	if had == (ns != 0) && old == ns {
		return
	}
	t.put(key, ns)
	j.OnUndo(func() { t.put(key, old) })
}

func (t *timers) put(key string, ns int64) {
	if old, had := t.at[key]; had {
		t.queue.Delete(queueKey(old, key))
	}
	if ns == 0 {
		delete(t.at, key)
		return
	}
	t.at[key] = ns
	t.queue.Insert(queueKey(ns, key))
}

// next is the earliest instant; zero if there is none.
func (t *timers) next() time.Time {
	first, ok := t.queue.Min()
	if !ok {
		return time.Time{}
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64([]byte(first[:8])))).UTC()
}

// due takes every timer that has come and marks its key dirty.
func (t *timers) due(tx *Tx) {
	for {
		first, ok := t.queue.Min()
		if !ok || int64(binary.BigEndian.Uint64([]byte(first[:8]))) > tx.now.UnixNano() {
			return
		}
		key := first[8:]
		t.set(&tx.journal, key, time.Time{})
		tx.dirty.Insert(key)
	}
}

func queueKey(ns int64, key string) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(ns))
	return string(b[:]) + key
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
