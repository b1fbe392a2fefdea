package autoscaling

import (
	"math"
	"slices"
	"time"

	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// WhatIf follows what a group would have come to if a shadow had set its capacity since it was made. What the real
// instances are measured to do is taken to be work that is there either way and that more or fewer instances would share:
// each data point is multiplied by how many the real instances were in that minute, and divided by how many there would
// have been. Launches take as long as the real group's last ones. Bounds and suspended processes are the real group's;
// capacity that users, schedules and forecasts set is not followed.
type WhatIf struct {
	Desired      int
	Serving      []Level // how many would have been in service; the newest may lie ahead
	Real         []Level // how many were
	Boot         float64 // seconds that a launch takes
	CooldownEnds time.Time

	At               time.Time // until when what follows is counted
	Hours            float64   // instance-hours that would have been used since the shadow was made, from launch to termination
	RealHours        float64
	Goal             float64 // target of the first target tracking policy, or threshold of the first alarm that looks upward
	GoalAlarm        int     // the alarm whose data is compared with it; -1: there is none
	GoalAt           int64   // start of the last period that was compared
	Compared         int64   // periods
	Over, RealOver   float64 // minutes over the goal
	Moves, RealMoves int     // changes of the desired capacity
	RealDesired      int
	Reason           string // of the newest decision
}

// Level is a number of instances from an instant on.
type Level struct {
	At time.Time
	N  int
}

// levelsKept bounds how far back a what-if can look.
const levelsKept = 2000

func newWhatIf(x *Shadow, c Capacity, now time.Time) WhatIf {
	m := WhatIf{
		Desired: c.Desired, Serving: []Level{{now, c.InService}}, Real: []Level{{now, c.InService}}, At: now, GoalAlarm: -1, RealDesired: c.Desired,
		Reason: "nothing was evaluated yet",
	}
	if c.Pending > 0 { // they arrive when the real ones do
		m.Serving = append(m.Serving, Level{now.Add(time.Minute), c.Desired})
	}
	n := 0
	for i := range x.Parts {
		p := &x.Parts[i]
		for k := range p.Alarms {
			tracking := p.Policy.Type == typeTargetTracking && p.Alarms[k].AlarmName == p.Policy.High
			if m.GoalAlarm < 0 && (tracking || !watchesBelow(p.Alarms[k])) {
				m.GoalAlarm, m.Goal = n, p.Alarms[k].Threshold
			}
			n++
		}
	}
	return m
}

// apart says why a shadow's metrics can't be scaled, or nothing.
func (x *Shadow) apart(perInstance bool) string {
	for i := range x.Parts {
		p := &x.Parts[i]
		if p.Policy.Type == typeTargetTracking || perInstance {
			continue // its metric falls as capacity grows, or it could not be tracked (AS-TT-17)
		}
		for k := range p.Alarms {
			a := &p.Alarms[k]
			own := slices.ContainsFunc(a.Dimensions, func(d cloudwatch.Dimension) bool { return d.Name == "AutoScalingGroupName" && d.Value == x.Group })
			share := a.Statistic == "Average" || a.Statistic == "Minimum" || a.Statistic == "Maximum"
			switch {
			case a.Namespace == "AWS/EC2" && own && share, a.Namespace == "AWS/ApplicationELB" && a.MetricName == "RequestCountPerTarget":
			default:
				return "alarm " + a.AlarmName + " looks at " + a.Label() + ", which is not known to be work that the instances share"
			}
		}
	}
	return ""
}

// level is the number at an instant: of the newest level that is not after it, or of the first.
func level(list []Level, at time.Time) int {
	n := list[0].N
	for _, x := range list {
		if x.At.After(at) {
			break
		}
		n = x.N
	}
	return n
}

// throughout is the smallest number in [from, to]: those that were there all the time.
func throughout(list []Level, from, to time.Time) int {
	n := level(list, from)
	for _, x := range list {
		if x.At.After(from) && !x.At.After(to) {
			n = min(n, x.N)
		}
	}
	return n
}

func bounded(list []Level) []Level { return slices.Clone(list[max(0, len(list)-levelsKept):]) }

// settled tells that everything that is wanted is in service.
func (m *WhatIf) settled(now time.Time) bool { return level(m.Serving, now) == m.Desired }

// note takes how many real instances are in service, after the time that was counted last. What has arrived since then says
// itself when; what has left did so at the end of the last evaluation, as a rule because of it.
func (l *lookout) note(c Capacity) {
	m, now := &l.w.Model, l.tx.Now()
	var arrived []time.Time
	for _, x := range l.s.membersOf(l.tx, l.g.Name) {
		if x.phase() == phaseInService && x.InServiceAt.After(m.At) {
			arrived = append(arrived, x.InServiceAt)
		}
	}
	slices.SortFunc(arrived, time.Time.Compare)
	list, n := slices.Clone(m.Real), c.InService-len(arrived)
	add := func(at time.Time) {
		if list[len(list)-1].N != n {
			list = append(list, Level{at, n})
		}
	}
	add(m.At)
	for _, at := range arrived {
		n++
		add(at)
	}
	m.Real = bounded(list)
	m.Hours += now.Sub(m.At).Hours() * float64(max(m.Desired, level(m.Serving, now)))
	m.RealHours += now.Sub(m.At).Hours() * float64(c.InService+c.Pending+c.Standby+c.Terminating+c.Retained)
	m.At = now
}

// scaled gives the points as they would have been with the what-if's instances.
func (m *WhatIf) scaled(points []cloudwatch.DataPoint, a *cloudwatch.Alarm) []cloudwatch.DataPoint {
	out := slices.Clone(points)
	middle := time.Duration(a.Seconds()) * time.Second / 2
	for i := range out {
		p := &out[i]
		at := time.Unix(p.At, 0).Add(middle)
		if at.Before(m.Real[0].At) || !p.Known {
			continue // from before the shadow was made
		}
		own, real := level(m.Serving, at), level(m.Real, at)
		if own == 0 {
			p.Known = false
			continue
		}
		if p.Value = p.Value * float64(real) / float64(own); (&sight{alarm: *a}).unit() != "" {
			p.Value = min(p.Value, 100)
		}
	}
	return out
}

// model lets the shadow decide on the what-if, and follows it.
func (l *lookout) model(real View, c Capacity, known []Signal) {
	m, now := &l.w.Model, l.tx.Now()
	m.Boot = l.boot()
	if c.Desired != m.RealDesired {
		m.RealDesired = c.Desired
		m.RealMoves++
	}
	l.compareGoal()
	m.set(max(real.Min, min(m.Desired, real.Max)), now)
	v := real
	v.Desired, v.InService, v.Floor = m.Desired, min(m.Desired, level(m.Serving, now)), 0
	v.Pending, v.CooldownEnds, v.Activity = m.Desired-v.InService, m.CooldownEnds, ""
	if v.Pending > 0 {
		v.Activity = "a launch"
	}
	m.Reason = l.g.barred()
	if m.Reason != "" {
		return
	}
	d := Decide(v, l.modelSignals(v, known))
	m.Reason = d.Reason
	if d.Winner < 0 || d.Desired == v.Desired {
		return
	}
	move, mine := Move{At: now, From: v.Desired, To: d.Desired}, &l.w.Moves[d.Winner]
	if move.To > move.From {
		mine.ModelOut = move
	} else {
		mine.ModelIn = move
	}
	cooldown := l.g.DefaultCooldown
	if p := l.x.Parts[d.Winner].Policy; p.Cooldown != nil {
		cooldown = *p.Cooldown
	}
	m.Moves++
	done := m.set(d.Desired, now)
	m.CooldownEnds = done.Add(time.Duration(cooldown) * time.Second)
}

// set changes the desired capacity, and gives the instant at which all is in service.
func (m *WhatIf) set(desired int, now time.Time) time.Time {
	if desired == m.Desired {
		return now
	}
	up := desired > m.Desired
	m.Desired = desired
	done := now
	if up {
		done = now.Add(time.Duration(m.Boot * float64(time.Second)))
	}
	list := slices.Clone(m.Serving)
	if !up { // what was to come does not come any more
		for i := range list {
			if list[i].At.After(now) {
				list[i].N = min(list[i].N, desired)
			}
		}
		desired = min(desired, level(m.Serving, now))
	}
	i, _ := slices.BinarySearchFunc(list, done, func(x Level, at time.Time) int { return x.At.Compare(at) })
	for i < len(list) && !list[i].At.After(done) {
		i++
	}
	m.Serving = bounded(slices.Insert(list, i, Level{done, desired}))
	return done
}

// modelSignals is what the shadow's policies would have known; known is what they know of the real group.
func (l *lookout) modelSignals(v View, known []Signal) []Signal {
	m, now := &l.w.Model, l.tx.Now()
	var out []Signal
	n := 0
	for i := range l.x.Parts {
		part := &l.x.Parts[i]
		warmup := part.Policy.warmup(l.g)
		x := Signal{Policy: part.Policy, Warming: max(0, v.InService-throughout(m.Serving, now.Add(-warmup), now)), Out: l.w.Moves[i].ModelOut, In: l.w.Moves[i].ModelIn}
		for k := range part.Alarms {
			a, w := &part.Alarms[k], &l.w.Alarms[n]
			alarm := w.ModelState == cloudwatch.StateAlarm
			x.High = x.High || alarm && a.AlarmName == part.Policy.High
			x.Low = x.Low || alarm && a.AlarmName == part.Policy.Low
			points := l.evaluated[n].Points
			if points != nil && (l.modelled[n] || alarm && !x.Due) {
				x.Due = x.Due || l.modelled[n]
				x.Alarm, x.Threshold, x.Below, x.HasValue = a.AlarmName, w.ModelThreshold, watchesBelow(*a), false
				for _, p := range slices.Backward(m.scaled(points, a)) {
					if p.Known {
						x.Value, x.HasValue = p.Value, true
						break
					}
				}
			}
			n++
		}
		if part.Policy.Type == typeTargetTracking {
			point := newestPoint(now, part.Policy.period())
			x.Measured = max(0, known[i].Measured+throughout(m.Serving, point.Add(-warmup), point)-throughout(m.Real, point.Add(-warmup), point))
		}
		out = append(out, x)
	}
	return out
}

// compareGoal counts the newest period as over the goal or not, for both worlds.
func (l *lookout) compareGoal() {
	m := &l.w.Model
	if m.GoalAlarm < 0 || l.evaluated[m.GoalAlarm].Points == nil {
		return
	}
	a := l.alarm(m.GoalAlarm)
	points := l.evaluated[m.GoalAlarm].Points
	newest := points[len(points)-1]
	if newest.At <= m.GoalAt || !newest.Known || math.IsNaN(newest.Value) {
		return
	}
	minutes := float64(a.Seconds()) / 60
	m.GoalAt = newest.At
	m.Compared++
	if newest.Value > m.Goal {
		m.RealOver += minutes
	}
	own := m.scaled(points, a)[len(points)-1]
	if !own.Known || own.Value > m.Goal {
		m.Over += minutes
	}
}

// alarm is the shadow's n-th.
func (l *lookout) alarm(n int) *cloudwatch.Alarm {
	for i := range l.x.Parts {
		if k := len(l.x.Parts[i].Alarms); n >= k {
			n -= k
			continue
		}
		return &l.x.Parts[i].Alarms[n]
	}
	return nil
}

// boot is how long, in seconds, the newest member took from its launch into service; without members it is as before.
func (l *lookout) boot() float64 {
	newest, seconds := time.Time{}, l.w.Model.Boot
	for _, m := range l.s.membersOf(l.tx, l.g.Name) {
		took := m.InServiceAt.Sub(m.Launched)
		if m.Launched.After(newest) && took >= 0 && took < time.Hour { // longer: it was attached, or came back from standby
			newest, seconds = m.Launched, took.Seconds()
		}
	}
	return seconds
}
