package table

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFrozenRowsStayAsTheyWere: whatever is put, deleted, trimmed or undone afterwards.
func TestFrozenRowsStayAsTheyWere(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	rows, points := New[int]("rows"), NewLog[int]("points")
	text := func(dump func(func(string, any) bool)) (all []string) {
		dump(func(key string, row any) bool { all = append(all, fmt.Sprint(key, " ", *row.(*int))); return true })
		return all
	}
	type moment struct {
		rows, points func(func(string, any) bool)
		want         [2][]string
	}
	var moments []moment
	for n := range 20_000 {
		var j Journal
		key := fmt.Sprint("k", rng.IntN(30))
		switch rng.IntN(10) {
		case 0:
			rows.Delete(&j, key)
		case 1:
			points.Trim(&j, key, int64(n/10-rng.IntN(50)))
		case 2, 3:
			rows.Put(&j, key, n)
		default:
			points.Put(&j, key, int64(n/10+rng.IntN(20)-15), n)
		}
		if rng.IntN(4) == 0 {
			j.Undo()
		}
		if n%50 == 0 {
			moments = append(moments, moment{rows.Freeze(), points.Freeze(), [2][]string{text(rows.Dump), text(points.Dump)}})
		}
	}
	for i, m := range moments {
		if diff := cmp.Diff(m.want, [2][]string{text(m.rows), text(m.points)}); diff != "" {
			t.Fatalf("moment %d is another one: %s", i, diff)
		}
	}
}
