package autoscaling

import (
	"math"
	"slices"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// forever is after every time of a log.
const forever = math.MaxInt64

// Watch is the row of what a shadow has come to; its key is the shadow's. Its Capacity numbers are of the real group: at
// each evaluation the shadow says what it would set there and then, and that is compared with what was set.
type Watch struct {
	Alarms []WatchedAlarm // of all parts, one after the other
	Moves  []Moves        // per part

	Evaluations int64
	Still, Same int64 // neither changed anything; both set the same
	More, Fewer int64 // the shadow would have set more, or fewer, than the real policies did
	// Wanted is the sum over the evaluations of what it would have set minus what was set, in instance-hours: each counted
	// until the next evaluation.
	Wanted float64
	Wish   Wish   // the newest
	Model  WhatIf // what the group would have come to; whatif.go
}

// WatchedAlarm is the state of an alarm of a shadow: on the real data, and on that of the what-if.
type WatchedAlarm struct {
	Due            time.Time // when it was evaluated last
	State          string
	Since          time.Time
	Value          float64 // the newest data point
	HasValue       bool
	Threshold      float64 // of target tracking's low alarms, which follows the size of the group
	ModelState     string
	ModelSince     time.Time
	ModelThreshold float64
}

// Moves are what a target tracking policy would have done last, for its own cooldowns.
type Moves struct{ Out, In, ModelOut, ModelIn Move }

// Wish is what a shadow would set.
type Wish struct {
	At            time.Time
	From, Desired int // the real desired capacity before, and what it would have set
	Set           int // what was set
	Reason        string
}

// Divergence is an evaluation in which the shadow would have set another capacity than was set.
type Divergence struct {
	Number     int64
	At         time.Time
	From       int // the desired capacity before
	Shadow     int
	Real       int
	Reason     string
	RealReason string
}

// newWatch begins to watch: with alarms as new ones, and a what-if that is as the real group is.
func (s *Service) newWatch(tx *cloud.Tx, g Group, x *Shadow) Watch {
	w := Watch{Moves: make([]Moves, len(x.Parts))}
	for i := range x.Parts {
		for k := range x.Parts[i].Alarms {
			a := &x.Parts[i].Alarms[k]
			w.Alarms = append(w.Alarms, WatchedAlarm{Due: a.Due(tx.Now()), State: a.StateValue, Since: x.Made, Threshold: a.Threshold,
				ModelState: a.StateValue, ModelSince: x.Made, ModelThreshold: a.Threshold})
		}
	}
	c := s.capacity(tx, g, 0)
	w.Wish = Wish{At: x.Made, From: c.Desired, Desired: c.Desired, Set: c.Desired, Reason: "nothing was evaluated yet"}
	w.Model = newWhatIf(x, c, tx.Now())
	return w
}

// watchShadows evaluates those alarms of a group's shadows that are due, has the shadows decide, before the real policies
// do, and sets the timer of the next.
func (s *Service) watchShadows(tx *cloud.Tx, group string) {
	g, ok := s.groups.Get(tx, group)
	next := time.Time{}
	for key, x := range s.diary.shadows.Prefix(tx, policyKey(group, "")) {
		if !ok {
			break
		}
		w, _ := s.diary.watches.Get(tx, key)
		w.Alarms, w.Moves = slices.Clone(w.Alarms), slices.Clone(w.Moves)
		if look := (lookout{s: s, tx: tx, g: g, x: &x, w: &w}); look.look() {
			s.diary.watches.Put(tx, key, w)
			tx.Touch(Name, keyCompare, key)
		}
		n := 0
		for i := range x.Parts {
			for k := range x.Parts[i].Alarms {
				due := w.Alarms[n].Due.Add(x.Parts[i].Alarms[k].Interval())
				if next.IsZero() || due.Before(next) {
					next = due
				}
				n++
			}
		}
	}
	tx.At(Name, keyShadow, group, next)
}

// lookout is one evaluation of one shadow.
type lookout struct {
	s  *Service
	tx *cloud.Tx
	g  Group
	x  *Shadow
	w  *Watch

	evaluated []cloudwatch.Evaluation // per alarm; without points: not due
	called    []bool                  // per alarm
	modelled  []bool
	newest    time.Time // start of the newest window that was looked at
}

// look does all that is due, and tells whether anything was.
func (l *lookout) look() bool {
	l.evaluated = make([]cloudwatch.Evaluation, len(l.w.Alarms))
	l.called, l.modelled = make([]bool, len(l.w.Alarms)), make([]bool, len(l.w.Alarms))
	n, due := 0, false
	c := l.s.capacity(l.tx, l.g, 0)
	for i := range l.x.Parts {
		for k := range l.x.Parts[i].Alarms {
			a := l.x.Parts[i].Alarms[k]
			if at := a.Due(l.tx.Now()); at.After(l.w.Alarms[n].Due) {
				if !due && l.x.Apart == "" {
					l.note(c)
				}
				due = true
				l.evaluate(n, &l.x.Parts[i], a, c)
			}
			n++
		}
	}
	if !due {
		return false
	}
	view := l.s.view(l.tx, l.g, c)
	d := Decision{Desired: view.Desired, Winner: -1, Reason: l.g.barred()}
	signals := l.signals()
	if d.Reason == "" {
		d = Decide(view, signals)
	}
	if d.Winner >= 0 && d.Desired != view.Desired {
		m := Move{At: l.tx.Now(), From: view.Desired, To: d.Desired}
		if m.To > m.From {
			l.w.Moves[d.Winner].Out = m
		} else {
			l.w.Moves[d.Winner].In = m
		}
	}
	l.w.Evaluations++
	l.w.Wish = Wish{At: l.tx.Now(), From: view.Desired, Desired: d.Desired, Set: view.Desired, Reason: d.Reason}
	if l.x.Apart == "" {
		l.model(view, c, signals)
	}
	return true
}

// evaluate evaluates one alarm on the real data and, scaled, on that of the what-if.
func (l *lookout) evaluate(n int, part *ShadowPart, a cloudwatch.Alarm, c Capacity) {
	w := &l.w.Alarms[n]
	settled := c.Pending == 0 && c.InService == c.Desired
	low := a.AlarmName == part.Policy.Low && part.Policy.Low != ""
	if low && settled { // AS-TT-05
		w.Threshold = l.s.scaling.tracking.lowThreshold(part.Policy.target(), c.Desired)
	}
	a.StateValue, a.StateTransitionedTimestamp, a.Threshold = w.State, w.Since, w.Threshold
	e, err := l.s.cloudwatch.EvaluateAt(l.tx, &a, l.tx.Now())
	if w.Due = e.Due; err != nil {
		return
	}
	l.evaluated[n] = e
	if e.State != "" && e.State != w.State {
		w.State, w.Since = e.State, l.tx.Now()
		l.called[n] = a.Calls(w.State, part.Policy.ARN)
	} else {
		l.called[n] = a.Repeats(e.Due) && a.Calls(w.State, part.Policy.ARN)
	}
	w.Value, w.HasValue = 0, false
	for _, p := range slices.Backward(e.Points) {
		if p.Known && !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
			w.Value, w.HasValue = p.Value, true
			break
		}
	}
	if l.x.Apart != "" {
		return
	}
	model := &l.w.Model
	if low && model.settled(l.tx.Now()) {
		w.ModelThreshold = l.s.scaling.tracking.lowThreshold(part.Policy.target(), model.Desired)
	}
	a.StateValue, a.StateTransitionedTimestamp, a.Threshold = w.ModelState, w.ModelSince, w.ModelThreshold
	state := a.Judge(model.scaled(e.Points, &a))
	if state != "" && state != w.ModelState {
		w.ModelState, w.ModelSince = state, l.tx.Now()
		l.modelled[n] = a.Calls(state, part.Policy.ARN)
	} else {
		l.modelled[n] = a.Repeats(e.Due) && a.Calls(w.ModelState, part.Policy.ARN)
	}
}

// signals is what the shadow's policies know of the real group.
func (l *lookout) signals() []Signal {
	b := briefing{s: l.s, tx: l.tx, g: l.g}
	var out []Signal
	n := 0
	for i := range l.x.Parts {
		part := &l.x.Parts[i]
		st := Standing{At: l.tx.Now(), Out: l.w.Moves[i].Out, In: l.w.Moves[i].In}
		high, low := false, false
		for k := range part.Alarms {
			a, w := &part.Alarms[k], &l.w.Alarms[n]
			alarm := w.State == cloudwatch.StateAlarm
			high = high || alarm && a.AlarmName == part.Policy.High
			low = low || alarm && a.AlarmName == part.Policy.Low
			if l.called[n] || alarm && !st.Due {
				st.Due = st.Due || l.called[n]
				st.Alarm, st.New, st.Value, st.HasValue = a.AlarmName, w.State, w.Value, w.HasValue
				st.Threshold, st.Below = w.Threshold, watchesBelow(*a)
			}
			n++
		}
		x := b.signal(part.Policy, st)
		x.High, x.Low = high, low
		out = append(out, x)
	}
	return out
}

// compareShadow holds what a shadow wished against what the real policies have set in the same step.
func (s *Service) compareShadow(tx *cloud.Tx, key string) {
	w, ok := s.diary.watches.Get(tx, key)
	x, there := s.diary.shadows.Get(tx, key)
	g, _ := s.groups.Get(tx, x.Group)
	if !ok || !there || !w.Wish.At.Equal(tx.Now()) {
		return
	}
	w.Wish.Set = g.DesiredCapacity
	switch d := w.Wish; {
	case d.Desired == d.Set && d.From == d.Set:
		w.Still++
	case d.Desired == d.Set:
		w.Same++
	case d.Desired > d.Set:
		w.More++
	default:
		w.Fewer++
	}
	interval := time.Duration(math.MaxInt64)
	for i := range x.Parts {
		for k := range x.Parts[i].Alarms {
			interval = min(interval, x.Parts[i].Alarms[k].Interval())
		}
	}
	w.Wanted += float64(w.Wish.Desired-w.Wish.Set) * interval.Hours()
	s.diary.watches.Put(tx, key, w)
	if w.Wish.Desired != w.Wish.Set {
		s.diverge(tx, key, x, w)
	}
}

// diverge keeps a divergence: of the first ones all, then the newest.
func (s *Service) diverge(tx *cloud.Tx, key string, x Shadow, w Watch) {
	d := Divergence{Number: w.More + w.Fewer, At: tx.Now(), From: w.Wish.From, Shadow: w.Wish.Desired, Real: w.Wish.Set, Reason: w.Wish.Reason,
		RealReason: "no policy was called"}
	if list := s.decisionsIn(tx, x.Group, tx.Now(), tx.Now()); len(list) > 0 {
		d.RealReason = list[len(list)-1].Decision.Reason
	} else if w.Wish.Set != w.Wish.From {
		d.RealReason = "something else than a policy has set it"
	}
	log := divergenceKey(tx, key, d.Number <= divergencesKept)
	s.diary.divergences.Put(tx.Journal(), log, tx.Now().Unix(), d)
	var times []int64
	s.diary.divergences.Range(log, 0, forever, func(at int64, _ Divergence) bool { times = append(times, at); return true })
	if n := len(times) - divergencesKept; n > 0 {
		s.diary.divergences.Trim(tx.Journal(), log, times[n])
	}
}

// divergenceKey is where a shadow's first divergences are, or the others.
func divergenceKey(tx *cloud.Tx, key string, first bool) string {
	if first {
		return logKey(tx, key) + nameMark + "first"
	}
	return logKey(tx, key) + nameMark + "newest"
}
