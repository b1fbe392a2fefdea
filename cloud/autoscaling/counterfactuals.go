package autoscaling

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// Counterfactual is something that was not so and would have changed what came of an evaluation. Each was found by
// evaluating and deciding again with it.
type Counterfactual struct {
	Kind    string // value, minutes, wait, max, min, target, threshold, points, data, resume, enable, actions, without, forecast
	Change  string
	Desired int // what the desired capacity would have become
	// Distance is how far from what was: minutes of waiting, tenths of a value, instances of a bound; a setting counts as
	// one to five of these.
	Distance float64
}

// counterfactualsShown is how many are given, nearest first.
const counterfactualsShown = 8

// inquiry looks for changes of a scene that would have changed its decision.
type inquiry struct {
	scene
	was    Decision
	prefix string  // what was changed already
	far    float64 // how far that is
	found  []Counterfactual
}

// counterfactuals gives the nearest single changes or, if there are none, pairs of which the first lets something through.
func (s scene) counterfactuals() []Counterfactual {
	was := s.decide()
	s.view.Silent = true
	q := &inquiry{scene: s, was: was}
	q.data()
	q.waits()
	q.bounds()
	q.settings()
	q.configurations()
	if len(q.found) == 0 {
		for _, g := range s.gates() {
			pair := &inquiry{scene: g.scene, was: was, prefix: g.change + ", and ", far: g.distance, found: q.found}
			if g.scene.decide().Desired == was.Desired {
				pair.data()
			}
			q.found = pair.found
		}
	}
	slices.SortStableFunc(q.found, func(a, b Counterfactual) int { return cmp.Compare(a.Distance, b.Distance) })
	q.found = slices.CompactFunc(q.found, func(a, b Counterfactual) bool { return a.Change == b.Change })
	return q.found[:min(len(q.found), counterfactualsShown)]
}

func (q *inquiry) differs(s scene) bool { return s.decide().Desired != q.was.Desired }

// try adds a change if it would have changed the decision.
func (q *inquiry) try(s scene, kind string, distance float64, format string, args ...any) bool {
	d := s.decide()
	if d.Desired == q.was.Desired {
		return false
	}
	q.found = append(q.found, Counterfactual{Kind: kind, Change: q.prefix + fmt.Sprintf(format, args...), Desired: d.Desired, Distance: q.far + distance})
	return true
}

// measures gives one alarm for each thing that is looked at, of those that have data.
func (q *inquiry) measures() []*sight {
	var out []*sight
	for i := range q.posts {
		for k := range q.posts[i].alarms {
			a := &q.posts[i].alarms[k]
			same := func(b *sight) bool { return b.alarm.Measure() == a.alarm.Measure() }
			if a.wrong == "" && len(a.points) > 0 && !slices.ContainsFunc(out, same) {
				out = append(out, a)
			}
		}
	}
	return out
}

// data looks for other data.
func (q *inquiry) data() {
	for _, a := range q.measures() {
		measure := a.alarm.Measure()
		if newest, known := a.newest(); known {
			size := max(math.Abs(newest.Value), math.Abs(a.alarm.Threshold)/10, 1e-9)
			for _, dir := range []float64{1, -1} {
				b, ok := q.boundary(func(v float64) scene { return q.newestIs(measure, v) }, newest.Value, dir, size, a.limit(dir))
				if !ok {
					continue
				}
				q.try(q.newestIs(measure, b.sure), "value", 10*math.Abs(b.sure-newest.Value)/size, "%s of %s instead of %s at %s",
					a.alarm.Label(), b.words(a.unit()), figure(newest.Value)+a.unit(), clock(newest.At))
			}
			if n := a.missing(); n > 0 {
				q.try(q.filled(measure), "data", float64(n), "data like that of %s (%s) for the %s without any",
					clock(newest.At), figure(newest.Value)+a.unit(), periods(n, a.alarm.Seconds()))
			}
		}
	}
	for i := range q.posts {
		for k := range q.posts[i].alarms {
			if q.was.Desired == q.view.Desired { // else it was decided already
				q.minutes(&q.posts[i].alarms[k])
			}
		}
	}
}

// minutes looks for more data points on the wrong side of an alarm's threshold: how many, and how far beyond it.
func (q *inquiry) minutes(a *sight) {
	if a.wrong != "" || len(a.points) == 0 || a.state == cloudwatch.StateAlarm {
		return
	}
	measure, dir, size := a.alarm.Measure(), 1.0, max(math.Abs(a.alarm.Threshold), 1e-9)
	if a.below() {
		dir = -1
	}
	newest, _ := a.newest()
	rings := func(s scene) bool { // else another alarm on the same data is what changes the decision
		for i := range s.posts {
			for k := range s.posts[i].alarms {
				if b := &s.posts[i].alarms[k]; b.alarm.AlarmName == a.alarm.AlarmName && b.state == cloudwatch.StateAlarm {
					return true
				}
			}
		}
		return false
	}
	for n := 1; n <= a.alarm.Needed() && n <= 60; n++ {
		with := func(v float64) scene { return q.more(measure, n, v) }
		b, ok := bound{at: a.alarm.Threshold, sure: a.alarm.Threshold, inclusive: true, up: dir > 0}, q.differs(with(a.alarm.Threshold))
		if !ok {
			if b, ok = q.boundary(with, a.alarm.Threshold, dir, size, a.limit(dir)); !ok {
				continue
			}
		}
		if !rings(with(b.sure)) {
			continue
		}
		far := float64(n) * float64(a.alarm.Seconds()) / 60
		if (b.sure-newest.Value)*dir > 0 { // beyond what it is now
			far += 10 * math.Abs(b.sure-newest.Value) / size
		}
		if q.try(with(b.sure), "minutes", far, "%s more with %s %s (%d of %d %s, %s)", periods(n, a.alarm.Seconds()), a.alarm.Label(), b.side(a.unit()),
			a.breaching(), a.alarm.EvaluationPeriods, wereOrWas(a.breaching()), needs(a.alarm.Needed())) {
			return
		}
	}
}

func wereOrWas(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func needs(m int) string { return fmt.Sprintf("and it takes %d", m) }

// waits looks for time that had to pass.
func (q *inquiry) waits() {
	type moment struct {
		at  time.Time
		why string
	}
	var list []moment
	add := func(at time.Time, why string) {
		if at.After(q.view.Now) {
			list = append(list, moment{at, why})
		}
	}
	add(q.view.CooldownEnds, "the cooldown is over")
	for i := range q.posts {
		p := &q.posts[i]
		if p.signal.Policy.Type != typeSimple {
			for _, m := range q.young {
				if !m.InServiceAt.IsZero() {
					add(m.InServiceAt.Add(p.warmup), m.ID+" is warm")
				}
			}
		}
		if p.signal.Policy.Type == typeTargetTracking {
			add(p.signal.In.At.Add(p.signal.Policy.scaleInCooldown()), "the scale-in cooldown of policy "+p.signal.Policy.Name+" is over")
			add(p.signal.Out.At.Add(p.signal.Policy.scaleOutCooldown()), "the scale-out cooldown of policy "+p.signal.Policy.Name+" is over")
		}
	}
	slices.SortStableFunc(list, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, x := range list {
		d := x.at.Sub(q.view.Now)
		if q.try(q.later(d, false), "wait", d.Minutes(), "%s later, when %s", short(d), x.why) {
			return
		}
	}
	if q.view.Pending == 0 && q.view.Activity == "" {
		return
	}
	s, what := q.arrived(), "all that is on its way in is in service and warm"
	if names := pendingNames(q.young); len(names) > 0 && q.view.Pending == len(names) {
		what = strings.Join(names, ", ") + " in service and warm"
	}
	s.view.CooldownEnds = time.Time{}
	q.try(s, "wait", 2, "later, with %s, what goes on finished and the cooldown after it over", what)
}

func pendingNames(young []YoungMember) []string {
	var names []string
	for _, m := range young {
		if m.InServiceAt.IsZero() && len(names) < 3 {
			names = append(names, m.ID)
		}
	}
	return names
}

// bounds looks for other sizes.
func (q *inquiry) bounds() {
	v := q.view
	free := q.clone()
	free.view.Max, free.view.Min = math.MaxInt32, 0
	wants := free.decide().Desired
	size := func(lo, hi int) scene {
		s := q.clone()
		s.view.Min, s.view.Max = lo, hi
		return s
	}
	for _, hi := range []int{v.Max + 1, wants} {
		if wants > v.Max && hi > v.Max && q.try(size(v.Min, hi), "max", float64(hi-v.Max), "max size %d instead of %d", hi, v.Max) {
			break
		}
	}
	for _, lo := range []int{v.Min - 1, wants} {
		if wants < v.Min && lo >= 0 && lo < v.Min && q.try(size(lo, v.Max), "min", float64(v.Min-lo), "min size %d instead of %d", lo, v.Min) {
			break
		}
	}
	if to := q.was.Desired; to > v.Desired {
		q.try(size(v.Min, to-1), "max", float64(v.Max-to+1), "max size %d instead of %d", to-1, v.Max)
	} else if to < v.Desired {
		q.try(size(to+1, v.Max), "min", float64(to+1-v.Min), "min size %d instead of %d", to+1, v.Min)
	}
	if v.Floor > 0 {
		s := q.clone()
		s.view.Floor = 0
		q.try(s, "forecast", 2, "without the forecast for this hour, which is %d", v.Floor)
	}
}

// settings looks at what is switched off, and at each policy's part.
func (q *inquiry) settings() {
	for _, g := range q.scene.gates() {
		if g.kind != "wait" && g.kind != "max" && g.kind != "data" {
			q.try(g.scene, g.kind, g.distance, "%s", g.change)
		}
	}
	for i := range q.posts {
		if len(q.posts) > 1 {
			s := q.clone()
			s.posts = slices.Delete(s.posts, i, i+1)
			q.try(s, "without", 3, "without policy %s", q.posts[i].signal.Policy.Name)
		}
	}
}

// gate is a change that may let something through without changing anything itself.
type gate struct {
	scene    scene
	kind     string
	distance float64
	change   string
}

func (s scene) gates() []gate {
	var out []gate
	add := func(kind string, distance float64, change string, how func(*scene)) {
		x := s.clone()
		how(&x)
		out = append(out, gate{x, kind, distance, change})
	}
	if s.barred == "AlarmNotification is suspended" {
		add("resume", 1, "process AlarmNotification not suspended", func(x *scene) { x.barred = "" })
	}
	if s.view.NoLaunch {
		add("resume", 1, "process Launch not suspended", func(x *scene) { x.view.NoLaunch = false })
	}
	if s.view.NoTerminate {
		add("resume", 1, "process Terminate not suspended", func(x *scene) { x.view.NoTerminate = false })
	}
	for i := range s.posts {
		p := &s.posts[i]
		if !p.signal.Policy.Enabled {
			add("enable", 1, "policy "+p.signal.Policy.Name+" enabled", func(x *scene) { x.posts[i].signal.Policy.Enabled = true })
		}
		for k := range p.alarms {
			if !p.alarms[k].alarm.ActionsEnabled {
				add("actions", 1, "the actions of alarm "+p.alarms[k].alarm.AlarmName+" enabled", func(x *scene) {
					x.posts[i].alarms[k].alarm.ActionsEnabled = true
					x.posts[i].ring()
				})
			}
		}
	}
	if s.view.Desired >= s.view.Max {
		add("max", 1, fmt.Sprintf("max size %d instead of %d", s.view.Max+1, s.view.Max), func(x *scene) { x.view.Max++ })
	}
	if s.view.Pending > 0 || len(s.young) > 0 || s.view.Activity != "" || s.view.CooldownEnds.After(s.view.Now) {
		add("wait", 2, "later, with nothing on its way or warming and no cooldown", func(x *scene) {
			*x = x.arrived()
			x.view.CooldownEnds = time.Time{}
		})
	}
	return out
}

// configurations looks for other targets and thresholds.
func (q *inquiry) configurations() {
	for i := range q.posts {
		p := &q.posts[i]
		if p.signal.Policy.Type == typeTargetTracking {
			q.target(i)
			continue
		}
		for k := range p.alarms {
			q.threshold(i, k)
		}
	}
}

func (q *inquiry) target(i int) {
	now := q.posts[i].signal.Policy.target()
	with := func(target float64) scene {
		s := q.clone()
		p := &s.posts[i]
		p.signal.Policy.TargetTracking.TargetValue = &target
		for k := range p.alarms {
			a := &p.alarms[k]
			if a.wrong != "" {
				continue
			}
			a.alarm.Threshold = target
			if a.role == roleLow {
				a.alarm.Threshold = s.view.Tracking.lowThreshold(target, s.view.Desired)
			}
			a.again()
		}
		p.ring()
		return s
	}
	if now <= 0 {
		return
	}
	for dir, limit := range [2]float64{now / 1000, now * 100} { // a target is greater than 0
		dir := float64(2*dir - 1)
		if b, ok := q.boundary(with, now, dir, now, limit); ok {
			q.try(with(b.sure), "target", 1+10*math.Abs(b.sure-now)/now, "a target of %s instead of %s for policy %s",
				b.words(""), figure(now), q.posts[i].signal.Policy.Name)
		}
	}
}

func (q *inquiry) threshold(i, k int) {
	a := &q.posts[i].alarms[k]
	if a.wrong != "" || len(a.points) == 0 {
		return
	}
	altered := func(how func(*cloudwatch.Alarm)) scene {
		s := q.clone()
		p := &s.posts[i]
		how(&p.alarms[k].alarm)
		p.alarms[k].again()
		p.ring()
		return s
	}
	now, size := a.alarm.Threshold, max(math.Abs(a.alarm.Threshold), 1e-9)
	with := func(v float64) scene { return altered(func(x *cloudwatch.Alarm) { x.Threshold = v }) }
	for _, dir := range []float64{1, -1} {
		if b, ok := q.boundary(with, now, dir, size, math.Inf(int(dir))); ok {
			q.try(with(b.sure), "threshold", 1+10*math.Abs(b.sure-now)/size, "a threshold of %s instead of %s for alarm %s",
				b.words(a.unit()), figure(now)+a.unit(), a.alarm.AlarmName)
		}
	}
	if n, m := a.breaching(), a.alarm.Needed(); n > 0 && n < m {
		s := altered(func(x *cloudwatch.Alarm) { x.DatapointsToAlarm = int32(n) })
		q.try(s, "points", 1+float64(m-n), "%d of %d data points enough instead of %d of %d for alarm %s",
			n, a.alarm.EvaluationPeriods, m, a.alarm.EvaluationPeriods, a.alarm.AlarmName)
	}
}

// bound is where a value begins to change the decision.
type bound struct {
	at        float64
	inclusive bool
	up        bool
	sure      float64 // a value close to it that does change the decision
}

// words is "61 or more", "more than 60", "39 or less", "less than 40".
func (b bound) words(unit string) string {
	switch n := figure(b.at) + unit; {
	case b.inclusive && b.up:
		return n + " or more"
	case b.inclusive:
		return n + " or less"
	case b.up:
		return "more than " + n
	default:
		return "less than " + n
	}
}

// side is "at or above 50", "above 50", "at or below 40", "below 40".
func (b bound) side(unit string) string {
	word := "below "
	if b.up {
		word = "above "
	}
	if b.inclusive {
		word = "at or " + word
	}
	return word + figure(b.at) + unit
}

// boundary looks from a value in one direction for the first that changes the decision: in strides that double, then
// between the last two. It is told as a round number if it is one.
func (q *inquiry) boundary(with func(float64) scene, from, dir, size, limit float64) (bound, bool) {
	no, yes, found := from, from, false
	for stride := size / 1024; stride <= size*8 && !found; stride *= 2 {
		next := from + dir*stride
		if (next-limit)*dir > 0 {
			next = limit
		}
		if found = q.differs(with(next)); found {
			yes = next
		} else {
			no = next
		}
		if next == limit {
			break
		}
	}
	if !found {
		return bound{}, false
	}
	for range 80 {
		middle := no + (yes-no)/2
		if middle == no || middle == yes {
			break
		}
		if q.differs(with(middle)) {
			yes = middle
		} else {
			no = middle
		}
	}
	b := bound{up: dir > 0, sure: yes}
	if round := math.Round(yes*100) / 100; math.Abs(round-yes) <= 1e-7*max(1, math.Abs(yes)) {
		b.at = round
		if b.inclusive = q.differs(with(round)); b.inclusive {
			b.sure = round
		}
		return b, true
	}
	digits := 2
	for scale := math.Abs(yes); scale < 1 && digits < 12; scale *= 10 {
		digits++
	}
	power := math.Pow(10, float64(digits))
	b.inclusive, b.at = true, math.Ceil(yes*power*dir)*dir/power
	if (b.at-limit)*dir > 0 || !q.differs(with(b.at)) {
		b.at = yes
	}
	b.sure = b.at
	return b, true
}

// limit is how far a metric can go.
func (a *sight) limit(dir float64) float64 {
	switch {
	case dir < 0:
		for _, p := range a.points {
			if p.Known && p.Value < 0 {
				return math.Inf(-1)
			}
		}
		return 0
	case a.unit() != "":
		return 100
	}
	return math.Inf(1)
}

// unit follows values of what is known to be percentages.
func (a *sight) unit() string {
	if len(a.alarm.Metrics) == 0 && a.alarm.Namespace == "AWS/EC2" && a.alarm.MetricName == "CPUUtilization" && a.alarm.Statistic != "Sum" && a.alarm.Statistic != "SampleCount" {
		return " %"
	}
	return ""
}

// periods is "1 minute", "3 minutes", "2 periods of 10 s".
func periods(n int, seconds int32) string {
	what := "minute"
	if seconds != 60 {
		what = "period"
	}
	if n != 1 {
		what += "s"
	}
	if seconds != 60 {
		what += " of " + short(time.Duration(seconds)*time.Second)
	}
	return fmt.Sprintf("%d %s", n, what)
}

// short is "12 s", "3 min", "2 min 30 s", "1 h 5 min".
func short(d time.Duration) string {
	if d < time.Second {
		return number(d.Seconds()) + " s"
	}
	d = d.Round(time.Second)
	var parts []string
	for _, x := range []struct {
		n    time.Duration
		unit string
	}{{d / time.Hour, "h"}, {d % time.Hour / time.Minute, "min"}, {d % time.Minute / time.Second, "s"}} {
		if x.n > 0 && len(parts) < 2 {
			parts = append(parts, fmt.Sprintf("%d %s", x.n, x.unit))
		}
	}
	return strings.Join(parts, " ")
}

// figure is a number as people write it, with what counts of a small one.
func figure(v float64) string {
	if v != 0 && math.Abs(v) < 0.01 || math.Abs(v) >= 1e9 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return number(v)
}

// clock is a time of day.
func clock(seconds int64) string { return time.Unix(seconds, 0).UTC().Format("15:04:05") }
