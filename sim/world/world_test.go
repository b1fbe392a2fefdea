package world

import (
	"math"
	"testing"
	"time"

	"github.com/billow-cloud/billow/sim/load"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func constant(rate float64, minutes int) load.Trace {
	t := load.Trace{Start: start, Step: time.Minute, Rates: make([]float64, minutes)}
	for i := range t.Rates {
		t.Rates[i] = rate
	}
	return t
}

func within(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %v, want %v within %v", what, got, want, tolerance)
	}
}

// balance checks that every request that arrived is somewhere.
func balance(t *testing.T, w *World) {
	t.Helper()
	s := w.Totals()
	within(t, "in time + late + lost + waiting + away", s.InTime+s.Late+s.Lost+w.Waiting()+w.Away(), s.Arrived, 1e-6*s.Arrived+1e-4)
}

func TestLightLoad(t *testing.T) {
	m := Default(100)
	w, err := New(m, constant(500, 60), Options{Points: true})
	if err != nil {
		t.Fatal(err)
	}
	k, _ := w.Kind("m5.large")
	w.Begin(k, 10)
	w.Advance(time.Hour)
	balance(t, w)
	o := w.Finish()
	if o.Summary.Late != 0 || o.Summary.Lost != 0 {
		t.Errorf("late %v, lost %v", o.Summary.Late, o.Summary.Lost)
	}
	within(t, "utilization", o.Summary.MeanUtilization, 50, 1e-9)
	within(t, "hours", o.Summary.InstanceHours, 10, 1e-9)
	if len(o.Points) != 60 || math.Abs(o.Points[0].Rate-500) > 1e-9 {
		t.Errorf("%d points, first %+v", len(o.Points), o.Points[0])
	}
}

// 1,500 requests per second on 1,000 for an hour, with a timeout of 10 s: for the first 30 s, until those at the front
// have waited 10 s, the backlog grows by 500 a second; from then on a third is lost.
func TestOverload(t *testing.T) {
	m := Default(100)
	m.Timeout = 10
	w, err := New(m, constant(1500, 60), Options{Points: true})
	if err != nil {
		t.Fatal(err)
	}
	w.Begin(0, 10)
	w.Advance(15 * time.Second)
	within(t, "backlog after 15 s", w.Waiting(), 7500, 1)
	w.Advance(time.Hour)
	balance(t, w)
	within(t, "backlog", w.Waiting(), 15000, 20)
	s := w.Totals()
	within(t, "lost", s.Lost, (3600-30)*500, 100)
	within(t, "answered", s.Answered(), 3600*1000, 1)
	within(t, "utilization", s.Utilization(), 100, 1e-6)
}

func BenchmarkQuietMinute(b *testing.B) {
	r, err := Prepare(Default(100))
	if err != nil {
		b.Fatal(err)
	}
	const minutes = 7 * 24 * 60
	trace := constant(500, minutes)
	for i := range trace.Rates {
		trace.Rates[i] = 500 + 300*math.Sin(float64(i)/200)
	}
	w := r.World(trace, Options{})
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		if i%minutes == 0 {
			w.Reset(trace, Options{})
			w.Begin(0, 12)
		}
		w.Advance(time.Duration(i%minutes+1) * time.Minute)
	}
}
