package autoscaling

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// This file puts a scene and its decision into words and codes.

func (a *account) tell(x *Explanation, sc *scene, d Decision, state GroupState, called bool) {
	v := sc.view
	x.Group = GroupNote{GroupState: state, CooldownEnds: v.CooldownEnds, Floor: v.Floor}
	n := &x.Group
	n.Min, n.Max, n.Desired, n.InService, n.Pending = v.Min, v.Max, v.Desired, v.InService, v.Pending
	if !v.CooldownEnds.After(v.Now) {
		n.CooldownEnds = time.Time{}
	}
	longest := time.Duration(0)
	for i := range sc.posts {
		longest = max(longest, sc.posts[i].warmup)
	}
	for _, m := range sc.young {
		w := WarmingNote{ID: m.ID, State: m.State}
		if !m.InServiceAt.IsZero() {
			if w.Until = m.InServiceAt.Add(longest); !w.Until.After(v.Now) {
				continue
			}
		}
		n.Warming = append(n.Warming, w)
	}
	x.From, x.To = v.Desired, d.Desired
	for i := range sc.posts {
		x.Policies = append(x.Policies, sc.policyNote(i, d))
	}
	if called && d.Winner >= 0 {
		x.Winner = sc.posts[d.Winner].signal.Policy.Name
	}
	x.Code, x.Reason = sc.overall(x.Policies, d)
}

// overall is why the group did what it did: what the policy says that decided, or the one that came nearest to it.
func (sc *scene) overall(policies []PolicyNote, d Decision) (code, reason string) {
	switch {
	case sc.barred != "":
		code = CodeSuspended
		if strings.Contains(sc.barred, "deleted") {
			code = CodeDeleting
		}
		return code, sc.barred
	case d.Winner >= 0:
		return policies[d.Winner].Code, d.Reason
	case len(policies) == 0:
		return CodeNoPolicy, "the group has no policies"
	}
	best := -1
	for i, p := range policies {
		if best < 0 || nearness(p) > nearness(policies[best]) {
			best = i
		}
	}
	reason = policies[best].Reason
	if len(policies) > 1 {
		reason = "policy " + policies[best].Name + ": " + reason
	}
	return policies[best].Code, reason
}

// nearness orders policies by how close they came to deciding.
func nearness(p PolicyNote) int {
	if p.Called {
		return 100
	}
	return slices.Index([]string{CodePredictive, CodeDisabled, CodeNoAlarm, CodeNotCalled, CodeInBand, CodeNoData, CodeTooFew, CodeNoActions}, p.Code)
}

func (sc *scene) policyNote(i int, d Decision) PolicyNote {
	p := &sc.posts[i]
	x := &p.signal
	n := PolicyNote{
		Name: x.Policy.Name, Type: x.Policy.Type, Does: x.Policy.does(), Enabled: x.Policy.Enabled, Called: x.Due, ByHand: x.ByHand,
		Winner: i == d.Winner, Warming: x.Warming, Measured: x.Measured,
	}
	for k := range p.alarms {
		n.Alarms = append(n.Alarms, p.alarms[k].note())
	}
	if !x.Due {
		n.Code, n.Reason = p.silence()
		return n
	}
	if x.HasValue {
		n.Value = new(x.Value)
	}
	if d.Verdicts[i].Ready {
		n.Wants = new(d.Verdicts[i].Wants)
	}
	n.Code, n.Reason = sc.code(i, d), d.Verdicts[i].Reason
	if sc.barred != "" {
		n.Reason = sc.barred
	}
	switch {
	case n.Code == CodeMax:
		n.Reason += fmt.Sprintf("; the max size is %d", sc.view.Max)
	case n.Code == CodeMin:
		n.Reason += fmt.Sprintf("; the min size is %d", sc.view.Min)
	case n.Code == CodeSuspended && i == d.Winner:
		n.Reason = d.Reason
	case n.Code == CodeOutvoted:
		n.Reason += "; policy " + sc.posts[d.Winner].signal.Policy.Name + " wants more"
	}
	return n
}

// code says why a policy that was called did what it did.
func (sc *scene) code(i int, d Decision) string {
	v, t, x := sc.view, d.Verdicts[i], &sc.posts[i].signal
	switch {
	case strings.Contains(sc.barred, "deleted"):
		return CodeDeleting
	case sc.barred != "":
		return CodeSuspended
	case !x.Policy.Enabled:
		return CodeDisabled
	case !t.Ready:
		return sc.held(i)
	case i != d.Winner && t.Wants != v.Desired:
		return CodeOutvoted
	case d.Desired > v.Desired && i == d.Winner:
		return CodeOut
	case d.Desired < v.Desired && i == d.Winner:
		return CodeIn
	case t.Wants != v.Desired:
		return CodeSuspended
	}
	free := sc.clone()
	free.view.Max, free.view.Min, free.view.Floor = math.MaxInt32, 0, 0
	for k := range free.posts {
		free.posts[k].signal.Due = k == i
	}
	wants := free.decide().Verdicts[i].Wants
	switch {
	case wants > v.Max:
		return CodeMax
	case wants < v.Min:
		return CodeMin
	case wants < v.Desired && v.Floor > wants:
		return CodeForecast
	case x.Policy.Type == typeTargetTracking && x.Low && !x.High:
		return CodeTarget
	}
	return CodeEnough
}

// held says why a policy that was called has no opinion.
func (sc *scene) held(i int) string {
	v, x := &sc.view, &sc.posts[i].signal
	p := &x.Policy
	switch {
	case p.Type == typeSimple && blocked(v) != "" && v.Activity != "":
		return CodeActivity
	case p.Type == typeSimple && blocked(v) != "":
		return CodeCooldown
	case p.Type == typeSimple:
		return CodeZero
	case p.Type == typeTargetTracking && !x.HasValue:
		return CodeNoData
	case p.Type == typeTargetTracking && x.High:
		return CodeWarming
	case p.Type == typeTargetTracking && p.scaleInDisabled():
		return CodeNoScaleIn
	case p.Type == typeStep:
		breach := 0.0
		if x.HasValue {
			breach = x.Value - x.Threshold
		}
		if n, ok := matchStep(p.StepAdjustments, breach, x.Below); !ok {
			return CodeNoStep
		} else if n == 0 && p.AdjustmentType != exactCapacity {
			return CodeZero
		}
	}
	switch {
	case v.Pending > 0:
		return CodePending
	case x.Warming > 0:
		return CodeWarming
	case p.Type == typeTargetTracking && x.In.At.Add(p.scaleInCooldown()).After(v.Now):
		return CodeCooldown
	case p.Type == typeTargetTracking && x.Low:
		return CodeOther
	}
	return CodeInBand
}

// silence says why no alarm called a policy.
func (p *post) silence() (code, reason string) {
	switch {
	case p.signal.Policy.Type == typePredictive:
		return CodePredictive, "it has no alarm: it raises the group to the forecast of each hour"
	case !p.signal.Policy.Enabled:
		return CodeDisabled, "the policy is disabled"
	case len(p.alarms) == 0:
		return CodeNoAlarm, "no alarm calls the policy"
	}
	order := []string{CodeInBand, CodeNotCalled, CodeNoData, CodeTooFew, CodeNoActions}
	var parts []string
	for i := range p.alarms {
		c, why := p.alarms[i].silence()
		if k := slices.Index(order, c); code == "" || k > slices.Index(order, code) {
			code, parts = c, []string{why}
		} else if c == code {
			parts = append(parts, why)
		}
	}
	if code != CodeInBand || len(p.alarms) < 2 {
		return code, strings.Join(parts, "; ")
	}
	return code, p.band()
}

// band is a sentence about a policy whose alarms all rest.
func (p *post) band() string {
	lo, hi := math.Inf(-1), math.Inf(1)
	same := true
	for i := range p.alarms {
		a := &p.alarms[i]
		same = same && a.alarm.Measure() == p.alarms[0].alarm.Measure()
		if a.below() {
			lo = max(lo, a.alarm.Threshold)
		} else {
			hi = min(hi, a.alarm.Threshold)
		}
	}
	a := &p.alarms[0]
	newest, known := a.newest()
	if !same || !known || math.IsInf(lo, 0) || math.IsInf(hi, 0) {
		return "no alarm is in ALARM"
	}
	return fmt.Sprintf("%s is %s%s, in the band from %s to %s%s", a.alarm.Label(), figure(newest.Value), a.unit(), figure(lo), figure(hi), a.unit())
}

// silence says why an alarm did not call.
func (a *sight) silence() (code, reason string) {
	n, m := a.breaching(), a.alarm.Needed()
	side := "above"
	switch a.alarm.ComparisonOperator {
	case "GreaterThanOrEqualToThreshold":
		side = "at or above"
	case "LessThanThreshold":
		side = "below"
	case "LessThanOrEqualToThreshold":
		side = "at or below"
	}
	threshold := figure(a.alarm.Threshold) + a.unit()
	switch {
	case a.state == cloudwatch.StateAlarm && !a.alarm.ActionsEnabled:
		return CodeNoActions, a.name() + " is in ALARM, but its actions are disabled"
	case a.state == cloudwatch.StateAlarm:
		return CodeNotCalled, a.name() + " is in ALARM, but it was not evaluated then"
	case a.wrong != "":
		return CodeNotCalled, a.name() + " is in " + a.state + "; " + a.wrong
	case a.state == cloudwatch.StateInsufficientData:
		return CodeNoData, a.name() + " is in INSUFFICIENT_DATA: " + a.dataThere()
	case n > 0:
		verb := "are"
		if n == 1 {
			verb = "is"
		}
		return CodeTooFew, fmt.Sprintf("%d of the last %d data points of %s %s %s %s; it takes %d", n, a.alarm.EvaluationPeriods, a.alarm.Label(), verb, side, threshold, m)
	}
	newest, known := a.newest()
	if !known {
		return CodeInBand, a.name() + " is in " + a.state + ": " + a.dataThere()
	}
	return CodeInBand, fmt.Sprintf("%s is %s%s, not %s %s", a.alarm.Label(), figure(newest.Value), a.unit(), side, threshold)
}

// name is what a sentence calls the alarm.
func (a *sight) name() string {
	if a.role != "" {
		return "its " + a.role + " alarm"
	}
	return "alarm " + a.alarm.AlarmName
}

func (a *sight) dataThere() string {
	missing, n := a.missing(), int(a.alarm.EvaluationPeriods)
	if missing == n {
		return fmt.Sprintf("none of the last %s had data", periods(n, a.alarm.Seconds()))
	}
	return fmt.Sprintf("%d of the last %s had data", n-missing, periods(n, a.alarm.Seconds()))
}

func (a *sight) note() AlarmNote {
	x := &a.alarm
	n := AlarmNote{
		Name: x.AlarmName, Role: a.role, Metric: x.Label(), Statistic: x.Statistic + x.ExtendedStatistic, Comparison: comparisonSign(x.ComparisonOperator),
		Unit: strings.TrimSpace(a.unit()), Period: x.Seconds(), Threshold: x.Threshold, M: x.Needed(), N: int(x.EvaluationPeriods),
		Breaching: a.breaching(), MissingIs: x.Treatment(), Before: x.StateValue, State: a.state, Since: a.since,
		ActionsEnabled: x.ActionsEnabled, Wrong: a.wrong,
	}
	if a.wrong == "" {
		n.Missing = a.missing()
	}
	counted := x.Counted(a.points)
	for _, p := range a.points {
		note := PointNote{At: time.Unix(p.At, 0).UTC(), Counted: slices.ContainsFunc(counted, func(c cloudwatch.DataPoint) bool { return c.At == p.At })}
		if p.Known && !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
			note.Value, note.Breaching = new(p.Value), x.Breaches(p.Value)
		}
		n.Points = append(n.Points, note)
	}
	return n
}

func comparisonSign(operator string) string {
	switch operator {
	case "GreaterThanOrEqualToThreshold":
		return ">="
	case "GreaterThanThreshold":
		return ">"
	case "LessThanThreshold":
		return "<"
	}
	return "<="
}

// does is what a policy is for, in a few words.
func (p *Policy) does() string {
	change := func(n int) string {
		switch p.AdjustmentType {
		case exactCapacity:
			return fmt.Sprint(n)
		case percentChangeInCapacity:
			return fmt.Sprintf("%+d %%", n)
		}
		return fmt.Sprintf("%+d", n)
	}
	switch p.Type {
	case typeTargetTracking:
		a := trackedMetric(p.Group, p.TargetTracking)
		text := a.Label() + " at " + figure(p.target())
		if p.scaleInDisabled() {
			text += ", no scale-in"
		}
		return text
	case typeSimple:
		return change(p.ScalingAdjustment)
	case typeStep:
		var steps []string
		for _, s := range p.StepAdjustments {
			lo, hi := bounds(s)
			text := change(int(api.Value(s.ScalingAdjustment)))
			switch {
			case math.IsInf(lo, 0) && math.IsInf(hi, 0):
			case math.IsInf(hi, 0):
				text += fmt.Sprintf(" from %s", signed(lo))
			case math.IsInf(lo, 0):
				text += fmt.Sprintf(" to %s", signed(hi))
			default:
				text += fmt.Sprintf(" from %s to %s", signed(lo), signed(hi))
			}
			steps = append(steps, text)
		}
		return strings.Join(steps, ", ")
	case typePredictive:
		return "forecast"
	}
	return ""
}
