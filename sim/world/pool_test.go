package world

import (
	"testing"
	"time"
)

// Two instances more at 10:00 boot for exactly a minute: paid for from 10:00, in service from 11:00, at half speed until
// 12:00. Three fewer at 20:00 end at once, or after a drain.
func TestPoolByHand(t *testing.T) {
	m := Default(100)
	m.Boot.CV = 0
	for _, drain := range []time.Duration{0, 5 * time.Minute} {
		w, err := New(m, constant(100, 30), Options{})
		if err != nil {
			t.Fatal(err)
		}
		p := NewPool(w, 0, 4)
		p.Drain = drain
		steps := []struct {
			minute           time.Duration
			want             int
			serving, running int
			capacity         float64
		}{
			{10, 6, 4, 6, 400}, {11, 6, 6, 6, 500}, {12, 6, 6, 6, 600}, {20, 3, 3, 3, 300}, {30, 3, 3, 3, 300},
		}
		for _, s := range steps {
			p.Advance(s.minute * time.Minute)
			p.Want(s.want)
			running := s.running
			if s.minute == 20 && drain > 0 {
				running = 6
			}
			if w.InService() != s.serving || w.Running() != running || w.Capacity() != s.capacity {
				t.Errorf("at %d min: %d in service, %d running, capacity %v; want %+v", s.minute, w.InService(), w.Running(), w.Capacity(), s)
			}
		}
		within(t, "instance-minutes", w.Totals().Instance/60, 4*10+6*10+3*10+3*drain.Minutes(), 1e-6)
		within(t, "service-minutes", w.Totals().Service/60, 4*11+6*9+3*10, 1e-6)
	}
}

func TestPoolFailures(t *testing.T) {
	m := Default(100)
	m.Failures = Failures{LaunchShare: 0.3, PerInstance: 2, Events: []Event{
		{At: 600, For: 600, Kind: ZoneDown, Zone: "b"},
		{At: 1800, For: 300, Kind: NoCapacity},
		{At: 1900, Kind: Kill, Count: 5},
	}}
	run := func() (Totals, int, int) {
		w, err := New(m, constant(500, 120), Options{})
		if err != nil {
			t.Fatal(err)
		}
		p := NewPool(w, 0, 12)
		p.Advance(599 * time.Second)
		before := p.Alive()
		p.Advance(600 * time.Second)
		if p.Serving() > before*2/3+2 {
			t.Errorf("%d of %d serve when one of three zones has gone", p.Serving(), before)
		}
		p.Advance(1900 * time.Second)
		if p.Alive() > 8 {
			t.Errorf("%d alive after 5 were killed while there is no capacity", p.Alive())
		}
		p.Advance(time.Hour)
		balance(t, w)
		if p.Alive() != 12 {
			t.Errorf("%d alive at the end", p.Alive())
		}
		if w.Running() != p.Alive() || w.InService() != p.Serving() {
			t.Errorf("%d run, %d serve; pool says %d and %d", w.Running(), w.InService(), p.Alive(), p.Serving())
		}
		return w.Totals(), p.Failed, int(p.launches)
	}
	t1, f1, l1 := run()
	t2, f2, l2 := run()
	if t1 != t2 || f1 != f2 || l1 != l2 {
		t.Errorf("not reproducible: %+v and %+v", t1, t2)
	}
	if f1 == 0 {
		t.Error("no launch failed")
	}
}
