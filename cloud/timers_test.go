package cloud

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/billow-cloud/billow/cloud/table"
)

// TestTimersAgainstAMap sets, moves, takes away and undoes timers, many of them at the same instants, and compares what
// is next and what is due with a plain map.
func TestTimersAgainstAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all, want := timers{at: map[string]place{}}, map[string]int64{}
	first := func() (least int64) {
		for _, ns := range want {
			if least == 0 || ns < least {
				least = ns
			}
		}
		return least
	}
	for n := range 20_000 {
		tx, before := &Tx{}, maps.Clone(want)
		for range 1 + r.IntN(5) {
			key, ns := fmt.Sprint(r.IntN(60)), int64(n+r.IntN(40))*int64(r.IntN(4)) // often 0: none
			if ns == 0 {
				all.set(&tx.journal, key, time.Time{})
				delete(want, key)
				continue
			}
			all.set(&tx.journal, key, time.Unix(0, ns))
			want[key] = ns
		}
		if least := first(); n%3 == 0 && least > 0 {
			tx.now = time.Unix(0, least+int64(r.IntN(3)))
			all.due(tx)
			for key, ns := range want {
				if came := ns <= tx.now.UnixNano(); came != tx.dirty.Contains(key) {
					t.Fatalf("round %d: the timer %s of %d is dirty at %d: %v", n, key, ns, tx.now.UnixNano(), !came)
				} else if came {
					delete(want, key)
				}
			}
		}
		if r.IntN(4) == 0 {
			tx.journal.Undo()
			want = before
		}
		tx.journal = table.Journal{}
		got := map[string]int64{}
		all.queue.Scan(func(ns int64, keys *[]string) bool {
			for i, key := range *keys {
				if got[key] = ns; all.at[key] != (place{ns, i}) {
					t.Fatalf("round %d: %s stands at %v, not at %v", n, key, place{ns, i}, all.at[key])
				}
			}
			return len(*keys) > 0
		})
		if !maps.Equal(got, want) || len(all.at) != len(want) {
			t.Fatalf("round %d: the timers are %v, not %v", n, got, want)
		}
		if next, least := all.next(), first(); next.IsZero() != (least == 0) || least != 0 && next.UnixNano() != least {
			t.Fatalf("round %d: next is %v, not %d", n, next, least)
		}
	}
}
