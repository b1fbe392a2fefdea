package cloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billow-cloud/billow/cloud/table"
)

// counter is a small service: it counts, by call, by event and by timer.
type counter struct {
	Base
	name  string
	rows  Rows[int]
	trace []string
}

func newCounter(name string) *counter {
	return &counter{name: name, rows: NewRows[int](name + ".rows")}
}

func (c *counter) Name() string          { return c.name }
func (c *counter) Stores() []table.Store { return []table.Store{c.rows} }
func (c *counter) Operations() []Operation {
	return []Operation{
		Handle("Add", func(tx *Tx, in *string) (*string, error) {
			n, _ := c.rows.Get(tx, *in)
			c.rows.Put(tx, *in, n+1)
			tx.Touch(c.name, "row", *in)
			tx.Emit(c.name, "added "+*in)
			id := tx.ID("i-")
			return &id, nil
		}),
		Handle("Fail", func(tx *Tx, in *string) (*string, error) {
			c.rows.Put(tx, *in, 99)
			tx.At(c.name, "row", *in, tx.Now().Add(time.Hour))
			tx.Wish("never")
			tx.Uint64()
			return nil, errors.New("no")
		}),
		Handle("Panic", func(tx *Tx, in *string) (*string, error) {
			c.rows.Delete(tx, *in)
			panic("ouch")
		}),
	}
}
func (c *counter) Notice(tx *Tx, e Event) {
	c.trace = append(c.trace, fmt.Sprint("notice ", tx.Scope, " ", e))
}
func (c *counter) Reconcile(tx *Tx, kind, id string) {
	n, _ := c.rows.Get(tx, id)
	c.trace = append(c.trace, fmt.Sprint("reconcile ", tx.Scope, " ", id, " ", n))
	if n > 0 && n < 3 {
		tx.At(c.name, "row", id, tx.Now().Add(time.Minute))
		c.rows.Put(tx, id, n+1)
	}
}
func (c *counter) Keys() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		for k := range c.rows.Everywhere() {
			k.Kind = "row"
			if !yield(k) {
				return
			}
		}
	}
}

var (
	here = Scope{"123456789012", "us-east-1"}
	t0   = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
)

func call(op, id string) Call { return Call{Scope: here, Service: "low", Operation: op, In: &id} }

func dump(c *Cloud) map[string]string {
	rows := map[string]string{}
	c.Dump(func(t, key string, row any) bool {
		b, _ := json.Marshal(row)
		rows[t+"|"+key] = string(b)
		return true
	})
	return rows
}

func TestEventsGoUpwardAndKeysSettle(t *testing.T) {
	low, high := newCounter("low"), newCounter("high")
	c := New(1, low, high)
	out := c.Step(t0, call("Add", "a"))
	if out.Err != nil || len(out.Changes) != 2 {
		t.Fatalf("%+v", out)
	}
	if len(low.trace) != 1 || len(high.trace) != 1 {
		t.Errorf("low %q, high %q", low.trace, high.trace)
	}
	if got := c.Wake(); !got.Equal(t0.Add(time.Minute)) {
		t.Errorf("wake %v", got)
	}
	c.Step(c.Wake(), Tick{})
	if n, _ := low.rows.Table.Get(here.prefix() + "a"); n != 3 {
		t.Errorf("after a tick: %d", n)
	}
}

func TestEventsComeInOrderAndKeysToo(t *testing.T) {
	low, high := &several{newCounter("low")}, newCounter("high")
	c := New(1, low, high)
	if out := c.Step(t0, call("Several", "a")); out.Err != nil {
		t.Fatal(out.Err)
	}
	scope := fmt.Sprint(here)
	if diff := cmp.Diff([]string{"notice " + scope + " first", "notice " + scope + " second", "notice " + scope + " third"}, high.trace); diff != "" {
		t.Errorf("first in, first out: %s", diff)
	}
	if diff := cmp.Diff([]string{"reconcile " + scope + " 1 0", "reconcile " + scope + " 2 0", "reconcile " + scope + " 3 0"}, low.trace); diff != "" {
		t.Errorf("the lowest key first: %s", diff)
	}
}

// several emits events and touches keys, in other orders than those that they are to be taken in.
type several struct{ *counter }

func (s *several) Operations() []Operation {
	return []Operation{Handle("Several", func(tx *Tx, in *string) (*string, error) {
		for _, e := range []string{"first", "second", "third"} {
			tx.Emit(s.name, e)
		}
		for _, id := range []string{"2", "3", "1"} {
			tx.Touch(s.name, "row", id)
		}
		return in, nil
	})}
}

func TestTimeDoesNotGoBack(t *testing.T) {
	low := &clocked{counter: newCounter("low")}
	c := New(1, low)
	for _, at := range []time.Time{t0, t0.Add(-time.Hour), t0.Add(time.Second)} {
		c.Step(at, call("Now", "a"))
	}
	if diff := cmp.Diff([]time.Time{t0, t0, t0.Add(time.Second)}, low.seen); diff != "" {
		t.Error(diff)
	}
}

// clocked notes the time of its calls.
type clocked struct {
	*counter
	seen []time.Time
}

func (s *clocked) Operations() []Operation {
	return []Operation{Handle("Now", func(tx *Tx, in *string) (*string, error) {
		s.seen = append(s.seen, tx.Now())
		return in, nil
	})}
}

func TestAFailedStepChangesNothing(t *testing.T) {
	c := New(1, newCounter("low"))
	c.Step(t0, call("Add", "a"))
	before, wake := dump(c), c.Wake()
	for _, op := range []string{"Fail", "Panic", "Missing"} {
		out := c.Step(t0, call(op, "a"))
		if out.Err == nil || out.Changes != nil || out.Effects != nil {
			t.Errorf("%s: %+v", op, out)
		}
		if diff := cmp.Diff(before, dump(c)); diff != "" || !c.Wake().Equal(wake) {
			t.Errorf("%s changed something: %s, wake %v", op, diff, c.Wake())
		}
	}
	var defect *Defect
	if out := c.Step(t0, call("Panic", "a")); !errors.As(out.Err, &defect) {
		t.Errorf("a panic must be a Defect, got %v", out.Err)
	}
}

func TestLoadingTheChangesGivesTheSameCloud(t *testing.T) {
	c := New(7, newCounter("low"))
	stored := map[[2]string][]byte{}
	for i := range 21 {
		out := c.Step(t0, call("Add", fmt.Sprint(i%5+i/20*5)))
		for _, ch := range out.Changes {
			b, err := json.Marshal(ch.Row)
			if err != nil {
				t.Fatal(err)
			}
			stored[[2]string{ch.Table, ch.Key}] = b
		}
	}
	again := New(0, newCounter("low"))
	for k, b := range stored {
		if err := again.Load(k[0], k[1], b); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(dump(c), dump(again)); diff != "" {
		t.Error(diff)
	}
	if again.Wake().IsZero() {
		t.Error("a loaded cloud must ask for a tick")
	}
	again.Step(again.Wake(), Tick{})
	if got := again.Wake(); got.IsZero() { // timers are not stored: what is loaded is reconciled, which sets them
		t.Error("nothing will happen after a load")
	}
	a, b := c.Step(t0, call("Add", "x")), again.Step(t0, call("Add", "x"))
	if *a.Reply.(*string) != *b.Reply.(*string) {
		t.Error("the generator did not go on where it was")
	}
}

func TestTryTakesBackItsPart(t *testing.T) {
	low := newCounter("low")
	c := New(1, low)
	tx := &Tx{cloud: c, now: t0, Scope: here}
	low.rows.Put(tx, "kept", 1)
	err := tx.Try(func() error {
		low.rows.Put(tx, "gone", 1)
		low.rows.Delete(tx, "kept")
		tx.Wish("w")
		tx.Touch("low", "row", "gone")
		return errors.New("no")
	})
	if err == nil || !low.rows.Has(tx, "kept") || low.rows.Has(tx, "gone") || len(tx.effects) != 0 || tx.dirty.Len() != 0 {
		t.Error("not taken back")
	}
}
