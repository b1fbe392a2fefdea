package autoscaling

import (
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// This file is the way from an alarm to a decision and from it to the group: called notes what each alarm says, and,
// when all alarms of the instant have spoken, decide hands what they said to Decide.

// called takes an alarm's action, if it names a policy.
func (s *Service) called(tx *cloud.Tx, a cloudwatch.AlarmAction) {
	if !strings.HasPrefix(a.ActionARN, "arn:aws:autoscaling:") {
		return
	}
	found := false
	for key, p := range s.scaling.policyARNs.Each(tx, a.ActionARN) {
		st, _ := s.scaling.standings.Get(tx, key)
		st.Due, st.At = true, tx.Now()
		st.Alarm, st.Old, st.New = a.Alarm.AlarmName, a.Old, a.New
		st.Value, st.HasValue = a.Value, a.HasValue
		st.Threshold, st.Below = a.Alarm.Threshold, watchesBelow(a.Alarm)
		s.scaling.standings.Put(tx, key, st)
		tx.Touch(Name, keyDecision, p.Group)
		found = true
	}
	if found {
		s.cloudwatch.Acted(tx, a, nil)
	} else {
		s.cloudwatch.Acted(tx, a, invalid("No policy found for policyARN: %s", a.ActionARN))
	}
}

func watchesBelow(a cloudwatch.Alarm) bool {
	return a.ComparisonOperator == "LessThanThreshold" || a.ComparisonOperator == "LessThanOrEqualToThreshold"
}

// decide lets all policies of a group that are due in this step decide together (AS-PM-03).
func (s *Service) decide(tx *cloud.Tx, group string) {
	g, ok := s.groups.Get(tx, group)
	if !ok {
		return
	}
	b := briefing{s: s, tx: tx, g: g}
	due := false
	for key, p := range s.scaling.policies.Prefix(tx, policyKey(group, "")) {
		st, _ := s.scaling.standings.Get(tx, key)
		if !st.Due && p.Type != typeTargetTracking {
			continue
		}
		due = due || st.Due
		b.standings = append(b.standings, st)
		b.signals = append(b.signals, b.signal(p, st))
	}
	if !due {
		return
	}
	d := Decision{Desired: g.DesiredCapacity, Winner: -1, Verdicts: make([]Verdict, len(b.signals))}
	v := s.view(tx, g, b.capacity)
	if d.Reason = g.barred(); d.Reason == "" {
		d = Decide(v, b.signals)
	}
	s.keepDecision(tx, group, DecisionRecord{View: v, Signals: b.signals, Decision: d, Barred: g.barred()})
	b.record(d)
	if d.Desired != g.DesiredCapacity {
		w, st := b.signals[d.Winner].Policy, b.standings[d.Winner]
		why := Cause{
			Text:     "a monitor alarm " + st.Alarm + " in state " + st.New + " triggered policy " + w.Name, // AS-AC-09
			Cooldown: w.Cooldown,
		}
		if a, ok := s.cloudwatch.Alarm(tx, st.Alarm); ok {
			why.InvokingAlarms = invokingAlarms(tx.Scope, a, st.Old, st.New)
		}
		s.setDesired(tx, g, d.Desired, why)
	}
}

// barred tells why no alarm's call is heard; empty if it is.
func (g Group) barred() string {
	switch {
	case g.Deleting:
		return "the group is being deleted"
	case g.suspended("AlarmNotification"):
		return "AlarmNotification is suspended" // AS-SP-06
	}
	return ""
}

// view is what the policies may know of a group now; c is its capacity, counted with any warm-up.
func (s *Service) view(tx *cloud.Tx, g Group, c Capacity) View {
	v := View{
		Now: tx.Now(), Min: c.Min, Max: c.Max, Desired: c.Desired, InService: c.InService, Pending: c.Pending,
		CooldownEnds: g.cooldownEnds(), NoLaunch: g.suspended("Launch"), NoTerminate: g.suspended("Terminate"),
		Floor: s.forecastFloor(tx, g), Tracking: s.scaling.tracking,
	}
	for _, a := range s.openActivities(tx, g.Name) {
		v.Activity = a.ID
		break
	}
	return v
}

// briefing puts together what a decision needs.
type briefing struct {
	s         *Service
	tx        *cloud.Tx
	g         Group
	signals   []Signal
	standings []Standing // of the same policies
	counted   bool
	warmup    time.Duration // what capacity was counted with
	capacity  Capacity
}

func (b *briefing) signal(p Policy, st Standing) Signal {
	c := b.count(p.warmup(b.g))
	x := Signal{
		Policy: p, Due: st.Due, Warming: c.Warming,
		Alarm: st.Alarm, Value: st.Value, HasValue: st.HasValue, Threshold: st.Threshold, Below: st.Below,
		Out: st.Out, In: st.In,
	}
	if p.Type != typeTargetTracking {
		return x
	}
	x.High, x.Low = b.inAlarm(p.High), b.inAlarm(p.Low)
	if st.At.Add(2 * time.Minute).Before(b.tx.Now()) { // a value is renewed every minute while an alarm lasts (AS-TT-09)
		x.HasValue = false
	}
	point, known := newestPoint(st.At, p.period()), false
	if x.Measured, known = b.s.contributed(b.tx, b.g.Name, point); !known { // nobody measures the instances
		old := b.s.capacity(b.tx, b.g, p.warmup(b.g)+b.tx.Now().Sub(point))
		x.Measured = old.InService - old.Warming + old.Terminating
	}
	return x
}

func (b *briefing) inAlarm(name string) bool {
	if name == "" {
		return false
	}
	a, ok := b.s.cloudwatch.Alarm(b.tx, name)
	return ok && a.StateValue == cloudwatch.StateAlarm
}

// count counts the group's members once for each warm-up asked about in a row.
func (b *briefing) count(warmup time.Duration) Capacity {
	if !b.counted || b.warmup != warmup {
		b.counted, b.warmup, b.capacity = true, warmup, b.s.capacity(b.tx, b.g, warmup)
	}
	return b.capacity
}

// record keeps what was decided, and what target tracking did.
func (b *briefing) record(d Decision) {
	for i, x := range b.signals {
		if !x.Due {
			continue
		}
		st := b.standings[i]
		st.Due, st.Decided, st.Desired, st.Changed = false, b.tx.Now(), d.Desired, i == d.Winner && d.Desired != b.g.DesiredCapacity
		st.Reason = d.Verdicts[i].Reason
		switch {
		case i == d.Winner || st.Reason == "":
			st.Reason = d.Reason
		case d.Winner >= 0 && d.Verdicts[i].Ready:
			st.Reason += "; policy " + b.signals[d.Winner].Policy.Name + " wants more"
		}
		if st.Changed && x.Policy.Type == typeTargetTracking {
			m := Move{At: b.tx.Now(), From: b.g.DesiredCapacity, To: d.Desired}
			if m.To > m.From {
				st.Out = m
			} else {
				st.In = m
			}
		}
		b.standings[i] = st
		b.s.scaling.standings.Put(b.tx, x.Policy.key(), st)
	}
}

// newestPoint is the start of the newest data point that an alarm evaluated at an instant: periods of a minute are
// looked at a minute after their end, shorter ones after ten seconds (CW-AL-03f).
func newestPoint(evaluated time.Time, period int32) time.Time {
	if period < 60 {
		return evaluated.Truncate(10 * time.Second).Add(-time.Duration(10+period) * time.Second)
	}
	return evaluated.Truncate(time.Minute).Add(-time.Minute - time.Duration(period)*time.Second)
}

// ExecutePolicy runs a simple or step policy at once (AS-PM-08).
func (s *Service) ExecutePolicy(tx *cloud.Tx, in *shape.ExecutePolicyInput) (*shape.ExecutePolicyOutput, error) {
	p, err := s.policy(tx, api.Value(in.AutoScalingGroupName), api.Value(in.PolicyName))
	if err != nil {
		return nil, err
	}
	g, err := s.scaledGroup(tx, p.Group)
	if err != nil {
		return nil, err
	}
	switch {
	case p.Type == typeTargetTracking || p.Type == typePredictive:
		return nil, invalid("Policies of type %s can't be executed", p.Type)
	case p.Type == typeStep && (in.MetricValue == nil || in.BreachThreshold == nil):
		return nil, invalid("MetricValue and BreachThreshold are required to execute a policy of type StepScaling")
	case p.Type == typeStep && api.Value(in.HonorCooldown):
		return nil, invalid("HonorCooldown is not supported for policy type StepScaling") // AS-CD-05
	}
	c := s.capacity(tx, g, p.warmup(g))
	v := s.view(tx, g, c)
	if api.Value(in.HonorCooldown) && blocked(&v) != "" { // AS-CD-04
		id := v.Activity
		if id == "" {
			id = g.CooldownActivity
		}
		return nil, api.Errorf("ScalingActivityInProgress", "Scaling activity %s is in progress and blocks this action", id)
	}
	signals := []Signal{{
		Policy: p, Due: true, Warming: c.Warming,
		Value: api.Value(in.MetricValue), HasValue: in.MetricValue != nil, Threshold: api.Value(in.BreachThreshold),
		Below: api.Value(in.MetricValue) < api.Value(in.BreachThreshold), ByHand: true, HonorCooldown: api.Value(in.HonorCooldown),
	}}
	d := Decide(v, signals)
	s.keepDecision(tx, g.Name, DecisionRecord{View: v, Signals: signals, Decision: d})
	s.setDesired(tx, g, d.Desired, Cause{Text: "a user request executed policy " + p.Name, Cooldown: p.Cooldown})
	return &shape.ExecutePolicyOutput{}, nil
}

// alarmsOf lists the alarms of a policy: those that target tracking owns, or those that users have made to call it.
func (s *Service) alarmsOf(tx *cloud.Tx, p Policy) []shape.Alarm {
	out := []shape.Alarm{}
	add := func(name string) {
		out = append(out, shape.Alarm{AlarmName: new(name), AlarmARN: new(s.cloudwatch.AlarmARN(tx, name))})
	}
	if p.Type != typeTargetTracking {
		for name := range s.cloudwatch.AlarmsWithAction(tx, p.ARN) {
			add(name)
		}
		return out
	}
	for _, name := range []string{p.High, p.Low} {
		if name != "" {
			add(name)
		}
	}
	return out
}
