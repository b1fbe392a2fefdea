package world

import (
	"math"
	"math/rand/v2"
	"strings"
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

// late is the share not in time in one minute at a rate with n instances.
func late(t *testing.T, r *Ready, rate float64, n int) float64 {
	t.Helper()
	w := r.World(constant(rate, 1), Options{})
	w.Begin(0, n)
	w.Advance(time.Minute)
	balance(t, w)
	s := w.Totals()
	return 1 - s.InTime/s.Arrived
}

func TestMonotone(t *testing.T) {
	for _, m := range []Model{Default(10), Default(100), Default(1000), {
		Types:    map[string]Type{"*": {ServiceTime: Spread{0.05, 0}, Concurrency: 1.5}},
		Deadline: 0.06, Timeout: 2, Queue: 20,
	}} {
		r, err := Prepare(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 2, 3, 7, 40, 1000} {
			last, capacity := 0.0, float64(n)*r.PerSecond(0)
			for rho := 0.05; rho < 1.6; rho += 0.002 {
				w := r.World(constant(rho*capacity, 1), Options{})
				w.Begin(0, n)
				w.Advance(time.Minute)
				balance(t, w)
				s := w.Totals()
				now := (s.Late + s.Lost + w.Waiting()) / s.Arrived
				if now < last-1e-9 {
					t.Errorf("%d instances at %.1f %%: %v late or lost, less than %v at a lower load", n, 100*rho, now, last)
					break
				}
				last = now
			}
		}
		last := 1.0
		for n := 1; n < 200; n++ {
			now := late(t, r, 40*r.PerSecond(0), n)
			if now > last+1e-9 {
				t.Errorf("%d instances: %v late or lost, more than %v with one fewer", n, now, last)
			}
			last = now
		}
	}
}

// 30 refused a second of 130 with room for nobody: all of them are tried again after 10 s, twice at most, so that from 20 s
// on, 30 + 27... arrive a second; by hand for the first three waves, and everything is counted once.
func TestRetries(t *testing.T) {
	m := Model{
		Types:    map[string]Type{"*": {ServiceTime: Spread{0.1, 0}, Concurrency: 10}},
		Deadline: 1, Queue: 0.01, Retries: Retries{Share: 1, After: 10, Times: 2},
	}
	w, err := New(m, constant(130, 10), Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.Begin(0, 1)
	w.Advance(10 * time.Second)
	balance(t, w)
	s := w.Totals()
	within(t, "failed in 10 s", s.Tries, 300, 1)
	within(t, "away after 10 s", w.Away(), 300, 1)
	w.Advance(21 * time.Second)
	balance(t, w)
	// From about 10 s on 160 arrive a second, of which 60 fail; those of the second wave that fail come a third time.
	s = w.Totals()
	within(t, "failed in 21 s", s.Tries, 300+10*60+1*90, 45)
	w.Advance(10 * time.Minute)
	balance(t, w)
	s = w.Totals()
	within(t, "answered", s.Answered(), 600*100, 1)
	within(t, "utilization", s.Utilization(), 100, 1e-6)
	if s.Lost == 0 || s.Retried <= s.Lost {
		t.Errorf("%+v", s)
	}
}

func TestNoInstance(t *testing.T) {
	m := Default(100)
	w, err := New(m, constant(100, 3), Options{Points: true})
	if err != nil {
		t.Fatal(err)
	}
	w.Advance(time.Minute)
	w.Begin(0, 1)
	w.Advance(2 * time.Minute)
	w.Serve(0, -1)
	w.Bill(0, -1)
	w.Advance(3 * time.Minute)
	balance(t, w)
	s := w.Totals()
	within(t, "lost", s.Lost, 2*6000, 300) // the queue at 100 % goes with the instance
	o := w.Finish()
	within(t, "lost in the last minute", o.Points[2].Lost, 6000, 300)
	if o.Points[2].Utilization != 0 {
		t.Errorf("utilization %v without instances", o.Points[2].Utilization)
	}
}

// Mixed fleets: each type gets what it is worth. 10 of 100 per second and 5 of 400 per second at 1,500 per second are at
// 50 % all of them; cold ones at half speed count half.
func TestMixedTypes(t *testing.T) {
	m := Default(100)
	m.Types = map[string]Type{
		"large": {ServiceTime: Spread{0.1, 0.5}, Concurrency: 40, Price: 0.4},
		"small": {ServiceTime: Spread{0.1, 0.5}, Concurrency: 10, Price: 0.1},
	}
	w, err := New(m, constant(1500, 60), Options{})
	if err != nil {
		t.Fatal(err)
	}
	large, _ := w.Kind("large")
	small, _ := w.Kind("small")
	if _, found := w.Kind("other"); found {
		t.Error("a type that is not in the model was found")
	}
	w.Begin(large, 5)
	w.Begin(small, 10)
	w.Advance(30 * time.Minute)
	s := w.Totals()
	within(t, "utilization", s.Utilization(), 50, 1e-9)
	within(t, "cost", s.Cost, (5*0.4+10*0.1)/2, 1e-9)
	w.Bill(large, 5)
	w.Serve(large, 5)
	within(t, "capacity of cold ones", w.Capacity(), 3000+1000, 1e-9)
	w.Serve(large, -7) // five warm ones, then two of those that warm up
	within(t, "capacity", w.Capacity(), 1000+3*200, 1e-9)
	w.Advance(32 * time.Minute)
	within(t, "capacity of warm ones", w.Capacity(), 1000+3*400, 1e-9)
}

// A search meets all of it: a fleet that changes every few minutes, is too small now and then, and has cold instances.
func BenchmarkBusyMinute(b *testing.B) {
	m := Default(100)
	m.Retries = Retries{Share: 0.5, After: 10, Times: 2}
	for name, m := range map[string]Model{"retries": m, "plain": Default(100)} {
		b.Run(name, func(b *testing.B) {
			r, err := Prepare(m)
			if err != nil {
				b.Fatal(err)
			}
			const minutes = 7 * 24 * 60
			trace := constant(500, minutes)
			for i := range trace.Rates {
				trace.Rates[i] = 500 + 300*math.Sin(float64(i)/200)
			}
			w := r.World(trace, Options{})
			over := 0
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				minute := i % minutes
				if minute == 0 {
					w.Reset(trace, Options{})
					w.Begin(0, 8)
				}
				w.Advance(time.Duration(minute+1) * time.Minute)
				if want := int(trace.Rates[minute] / 100 * (0.97 + float64(minute%50)/50)); minute%3 == 0 && want != w.InService() {
					w.Bill(0, want-w.InService())
					w.Serve(0, want-w.InService())
				}
				if w.Waiting() > 0 {
					over++
				}
			}
			b.ReportMetric(100*float64(over)/float64(b.N), "%overloaded")
		})
	}
}

// Random worlds, loads and fleets: everyone who arrived is somewhere, nothing goes down, nobody works more than all the time,
// the points add up to the totals, and the same again is the same.
func TestRandomWorlds(t *testing.T) {
	for seed := range uint64(150) {
		run := func() Totals {
			random := rand.New(rand.NewPCG(seed, 2))
			pick := func(p, value float64) float64 {
				if random.Float64() < p {
					return value * random.Float64()
				}
				return 0
			}
			m := Default(1 + 300*random.Float64())
			m.WarmUp, m.ColdRate = pick(0.5, 200), 0.1+0.9*random.Float64()
			if m.Timeout = pick(0.7, 30); m.Timeout > 0 {
				m.Timeout += m.Deadline
			}
			if m.Queue = pick(0.4, 50); m.Queue > 0 {
				m.Queue += leastQueue
			}
			m.Retries = Retries{Share: pick(0.6, 1), After: pick(0.8, 90), Times: random.IntN(6)}
			m.Failures = Failures{LaunchShare: pick(0.3, 0.5), PerInstance: pick(0.3, 5)}
			m.Seed = seed
			rate := 500 * random.Float64()
			trace := load.Trace{Start: start, Step: time.Duration(1+random.IntN(300)) * time.Second}
			for range 60 {
				rate = max(0, rate*math.Exp(0.3*random.NormFloat64())-0.1)
				trace.Rates = append(trace.Rates, rate)
			}
			w, err := New(m, trace, Options{Points: true})
			if err != nil {
				t.Fatal(err)
			}
			p := NewPool(w, 0, random.IntN(10))
			p.Drain = time.Duration(pick(0.5, 300)) * time.Second
			last := Totals{}
			for at := time.Duration(0); at < trace.End().Sub(start); {
				at = min(trace.End().Sub(start), at+time.Duration(random.IntN(400))*time.Second)
				p.Advance(at)
				balance(t, w)
				d := w.Totals().Sub(last)
				if least := min(d.Arrived, d.Retried, d.InTime, d.Late, d.Lost, d.Busy, d.Service, d.Instance, d.Response); !(least >= -1e-6) {
					t.Fatalf("seed %d at %v: %+v", seed, at, d)
				}
				if d.Busy > d.Service*(1+1e-9)+1e-6 || w.InService() > w.Running() {
					t.Fatalf("seed %d at %v: %+v, %d of %d serve", seed, at, d, w.InService(), w.Running())
				}
				last = w.Totals()
				if random.IntN(3) == 0 {
					p.Want(random.IntN(1 + int(2*w.Trace.At(start.Add(at))/w.PerSecond(0))))
				}
			}
			o := w.Finish()
			sum := 0.0
			for _, x := range o.Points {
				sum += x.InTime + x.Late + x.Lost
				if !(x.P50 <= x.P95 && x.P95 <= x.P99) {
					t.Fatalf("seed %d: %+v", seed, x)
				}
			}
			if s := o.Summary; s.Requests > 0 {
				within(t, "shares", s.InTime+s.Late+s.Lost, 1, 1e-6)
			}
			end := w.Totals()
			within(t, "points", sum, end.InTime+end.Late+end.Lost, 1e-6*sum+1e-3)
			return end
		}
		if a, b := run(), run(); a != b {
			t.Fatalf("seed %d: %+v, then %+v", seed, a, b)
		}
	}
}

// TestLine: a field of a model is found in its JSON, elements of lists too.
func TestLine(t *testing.T) {
	text := []byte("{\n\"boot\": {\"mean\": 3},\n\"failures\": {\"events\": [\n{\"kind\": \"kill\"},\n\n{\"kind\": \"kill\"}]}}")
	for path, want := range map[string]int{"boot mean": 2, "failures events 0": 4, "failures events 1": 6, "failures events 1 kind": 6, "failures events 7": 3, "none": 1} {
		if got := Line(text, strings.Fields(path)...); got != want {
			t.Errorf("%s is in line %d, not %d", path, want, got)
		}
	}
}
