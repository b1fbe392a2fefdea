package twin

import (
	"math"
	"time"

	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// decide is minute k: scheduled actions, then alarms, then the policies that they call.
func (t *Twin) decide(k int) {
	now := t.start.Add(time.Duration(k) * time.Minute)
	for i := range t.dues {
		if d := &t.dues[i]; !d.next.After(now) {
			t.apply(&d.Schedule, float64(k)*60)
			d.next = d.Recurrence.Next(now, time.UTC)
		}
	}
	// An alarm looks at the windows that end a minute before (CW-AL-03f).
	newest := k - 2 - t.lag
	if newest < 0 {
		return
	}
	if math.IsNaN(t.values[newest]) {
		t.known = 0
	} else {
		t.known++
	}
	called := false
	for i := range t.watches {
		called = t.look(&t.watches[i], newest) || called
	}
	if !called {
		return
	}
	t.brief(k, newest)
	t.view.Now = now
	if t.view.Activity = ""; t.view.Pending > 0 {
		t.view.Activity = "launch"
	}
	t.view.CooldownEnds = t.start.Add(seconds(t.cooldown))
	t.decision.Take(t.view, t.signals)
	if t.decision.Desired != t.view.Desired {
		t.record(now)
		t.change(t.decision.Desired, float64(k)*60)
	}
}

// look evaluates an alarm whose newest point is that of a minute, and tells whether it calls its policy: on entering
// ALARM and again each minute that it stays (AS-TT-09).
func (t *Twin) look(w *watch, newest int) bool {
	if t.known < w.Periods {
		w.run = -1
		switch w.full.Decide(t.points(w, newest)) {
		case cloudwatch.StateAlarm:
			w.alarming = true
		case "":
		default:
			w.alarming = false
		}
		return w.alarming
	}
	switch {
	case w.run < 0:
		w.run = 0
		for w.run < w.Periods && w.breaching(t.value(w, newest-w.run)) {
			w.run++
		}
	case w.breaching(t.value(w, newest)):
		w.run++
	default:
		w.run = 0
	}
	if w.alarming = w.run >= w.Points; w.alarming || w.Points == w.Periods {
		return w.alarming
	}
	n := 0
	for i := range w.Periods {
		if w.breaching(t.value(w, newest-i)) {
			n++
		}
	}
	w.alarming = n >= w.Points
	return w.alarming
}

// value is what an alarm sees of a minute that has a data point.
func (t *Twin) value(w *watch, minute int) float64 {
	v := t.values[minute]
	if w.Trend == 0 {
		return v
	}
	// DIFF takes the point before within the windows of the evaluation; where there is none it counts as 0 (CW-MM-01).
	for j := minute - 1; j >= 0 && j > minute-w.Periods-2; j-- {
		if before := t.values[j]; !math.IsNaN(before) {
			return v + w.Trend*(v-before)
		}
	}
	return v
}

// points are those of an evaluation, oldest first: the alarm's newest periods and two more (CW-AL-06).
func (t *Twin) points(w *watch, newest int) []cloudwatch.Datapoint {
	n := w.Periods + 2
	t.window = t.window[:0]
	for i := newest - n + 1; i <= newest; i++ {
		p := cloudwatch.Datapoint{At: int64(i) * 60}
		if i >= 0 && !math.IsNaN(t.values[i]) {
			p.Value, p.Known, p.Samples = t.value(w, i), true, 1
			p.Breaching = w.breaching(p.Value)
		}
		t.window = append(t.window, p)
	}
	return t.window
}

// brief tells each policy what its alarms say.
func (t *Twin) brief(k, newest int) {
	at := float64(k) * 60
	for i := range t.signals {
		s := &t.signals[i]
		s.Due, s.High, s.Low = false, false, false
		s.Warming = t.younger(at - t.warmups[i])
	}
	for i := range t.watches {
		w := &t.watches[i]
		if !w.alarming {
			continue
		}
		s := &t.signals[w.Policy]
		s.Due, s.Threshold, s.Below = true, w.Threshold, !w.Above
		s.High, s.Low = s.High || w.kind == watchHigh, s.Low || w.kind == watchLow
		s.HasValue = false
		for j := newest; j >= 0 && j > newest-w.Periods-2; j-- {
			if !math.IsNaN(t.values[j]) {
				s.Value, s.HasValue, s.Measured = t.value(w, j), true, t.measured[j]
				break
			}
		}
	}
}

// record notes what a target tracking policy did.
func (t *Twin) record(now time.Time) {
	s := &t.signals[t.decision.Winner]
	m := autoscaling.Move{At: now, From: t.view.Desired, To: t.decision.Desired}
	if m.To > m.From {
		s.Out = m
	} else {
		s.In = m
	}
}

func (t *Twin) change(desired int, now float64) {
	t.view.Desired = desired
	t.result.Actions++
	t.resize(now)
}

// apply is a scheduled action (AS-SC-06).
func (t *Twin) apply(s *Schedule, now float64) {
	lo, hi, desired := t.view.Min, t.view.Max, t.view.Desired
	if s.Min >= 0 {
		lo = s.Min
	}
	if s.Max >= 0 {
		hi = s.Max
	}
	if lo > hi || s.Desired >= 0 && (s.Desired < lo || s.Desired > hi) {
		return
	}
	if s.Desired >= 0 {
		desired = s.Desired
	}
	t.view.Min, t.view.Max = lo, hi
	if desired = max(lo, min(desired, hi)); desired != t.view.Desired {
		t.change(desired, now)
	}
}
