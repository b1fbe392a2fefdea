package table

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type row struct {
	Group string
	N     int
}

// TestAgainstAMap drives a table with an index and a log with random steps, half of which fail, beside plain maps.
func TestAgainstAMap(t *testing.T) {
	tab := New[row]("rows")
	byGroup := NewIndex(tab, func(_ string, r row) []string { return []string{r.Group} })
	log := NewLog[int]("points")
	twin, points := map[string]row{}, map[string]map[int64]int{}
	rng := rand.New(rand.NewPCG(1, 2))
	for step := range 3000 {
		var j Journal
		t2, p2 := clone(twin), clonePoints(points)
		for range rng.IntN(6) {
			key, at := fmt.Sprint("k", rng.IntN(30)), int64(rng.IntN(20))
			switch rng.IntN(4) {
			case 0, 1:
				r := row{fmt.Sprint("g", rng.IntN(4)), step}
				tab.Put(&j, key, r)
				t2[key] = r
			case 2:
				tab.Delete(&j, key)
				delete(t2, key)
			case 3:
				if rng.IntN(3) == 0 {
					log.Trim(&j, key, at)
					for old := range p2[key] {
						if old < at {
							delete(p2[key], old)
						}
					}
				} else {
					log.Put(&j, key, at, step)
					if p2[key] == nil {
						p2[key] = map[int64]int{}
					}
					p2[key][at] = step
				}
			}
		}
		if rng.IntN(2) == 0 {
			j.Undo()
		} else {
			twin, points = t2, p2
		}
		same(t, tab, byGroup, twin)
		samePoints(t, log, points)
		if t.Failed() {
			t.Fatalf("at step %d", step)
		}
	}
}

func same(t *testing.T, tab *Table[row], byGroup *Index[row], twin map[string]row) {
	t.Helper()
	var keys, want []string
	for k, r := range tab.Prefix("k") {
		keys = append(keys, k)
		if twin[k] != r {
			t.Errorf("%s: %v, want %v", k, r, twin[k])
		}
	}
	for k := range twin {
		want = append(want, k)
	}
	sort.Strings(want)
	if !slices.Equal(keys, want) {
		t.Errorf("keys %v, want %v", keys, want)
	}
	for g := range 4 {
		group, n := fmt.Sprint("g", g), 0
		for _, r := range twin {
			if r.Group == group {
				n++
			}
		}
		if got := byGroup.Count(group, ""); got != n {
			t.Errorf("group %s: %d rows, want %d", group, got, n)
		}
	}
}

func samePoints(t *testing.T, log *Log[int], points map[string]map[int64]int) {
	t.Helper()
	for i := range 30 {
		key := fmt.Sprint("k", i)
		got, last := map[int64]int{}, int64(-1)
		log.Range(key, 0, 100, func(at int64, p int) bool {
			if at <= last {
				t.Errorf("%s: out of order", key)
			}
			got[at], last = p, at
			return true
		})
		want := points[key]
		if want == nil {
			want = map[int64]int{}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
}

func clone(m map[string]row) map[string]row {
	c := map[string]row{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

func clonePoints(m map[string]map[int64]int) map[string]map[int64]int {
	c := map[string]map[int64]int{}
	for k, v := range m {
		c[k] = map[int64]int{}
		for at, p := range v {
			c[k][at] = p
		}
	}
	return c
}

func TestChangesListEachRowOnce(t *testing.T) {
	for _, others := range []int{0, 9, 10, 11, 12, 13, 100} { // a step of few rows and one of many
		tab := New[row]("rows")
		var j Journal
		tab.Put(&j, "b", row{N: 1})
		tab.Put(&j, "a", row{N: 2})
		for i := range others {
			tab.Put(&j, fmt.Sprint("other", i), row{})
		}
		tab.Put(&j, "b", row{N: 3})
		tab.Delete(&j, "a")
		tab.Delete(&j, "missing")
		got := j.Changes()
		if len(got) != 2+others || got[0].Key != "b" || got[0].Row.(*row).N != 3 || got[1].Key != "a" || got[1].Row != nil {
			t.Errorf("%+v", got)
		}
	}
}

func TestRowsMayBeWrittenWhileTheyAreRead(t *testing.T) {
	tab := New[row]("rows")
	var j Journal
	for i := range 100 {
		tab.Put(&j, fmt.Sprintf("%03d", i), row{N: i})
	}
	n := 0
	for k := range tab.Prefix("") {
		tab.Delete(&j, k)
		n++
	}
	if n != 100 || tab.Len() != 0 {
		t.Errorf("%d read, %d left", n, tab.Len())
	}
}
