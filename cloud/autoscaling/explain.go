package autoscaling

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// This file answers why a group did what it did, or nothing, at some instant. It is not an API of AWS: the daemon asks it
// for `billow explain`, by the internal call "explain".

// ExplainInput asks about one instant, or with Last or After about all evaluations up to there, without counterfactuals.
type ExplainInput struct {
	Group, Region string    // of any region if that is empty
	At            string    // as a person writes it: see moment; empty is now
	Last          string    // a duration
	After         time.Time // where an answer ended that was not all
}

// ExplainOutput is the answer. With From it may be the beginning only: Next is then where to go on.
type ExplainOutput struct {
	Group, Region, Account string
	Now                    time.Time
	Evaluations            []Explanation // oldest first
	Next                   time.Time     `json:",omitzero"`
}

// Explanation is one evaluation of a group's policies.
type Explanation struct {
	At       time.Time // the instant that was asked about
	Due      time.Time // when alarms were due last
	Policies []PolicyNote
	Group    GroupNote

	Decided    time.Time `json:",omitzero"` // when policies were called and decided; zero if none was called
	From, To   int       // the desired capacity before and after
	Winner     string    // the policy that decided
	Code       string    // one of the codes below
	Reason     string
	Activities []ActivityNote // that began then, or that the decision began

	Counterfactuals []Counterfactual
	Notes           []string // what is not known
}

// GroupNote is the group as it was.
type GroupNote struct {
	GroupState
	CooldownEnds time.Time `json:",omitzero"` // zero: none
	Floor        int       // what is forecast for the hour
	Warming      []WarmingNote
}

// WarmingNote is a member that was on its way in (Until is zero) or warming, as long as the policy with the longest
// warm-up has it.
type WarmingNote struct {
	ID, State string
	Until     time.Time `json:",omitzero"`
}

// PolicyNote is one policy's part.
type PolicyNote struct {
	Name, Type, Does string
	Enabled          bool
	Alarms           []AlarmNote
	Called           bool // by an alarm, or by hand
	ByHand           bool
	Winner           bool
	Wants            *int // the capacity it wanted; nil if it had no opinion
	Value            *float64
	Warming          int
	Measured         int // target tracking: how many instances the newest data point is of
	Code, Reason     string
}

// AlarmNote is what an alarm looked at.
type AlarmNote struct {
	Name, Role, Metric, Statistic, Comparison, Unit string
	Period                                          int32
	Threshold                                       float64
	M, N, Breaching, Missing                        int
	MissingIs                                       string // what missing data is taken for
	Before, State                                   string
	Since                                           time.Time // of State
	ActionsEnabled                                  bool
	Points                                          []PointNote // oldest first
	Wrong                                           string      // why there are no points
}

// PointNote is one window; without Value there was no data.
type PointNote struct {
	At                 time.Time
	Value              *float64
	Breaching, Counted bool
}

// ActivityNote is a scaling activity.
type ActivityNote struct {
	ID, Description, Status, Cause string
	Start                          time.Time
	Decided                        bool // this evaluation's decision brought it about
}

func (s *Service) explainOperations() []cloud.Operation {
	return []cloud.Operation{cloud.Handle("explain", s.explain)}
}

// Codes: why something or nothing happened.
const (
	CodeOut        = "scale-out"
	CodeIn         = "scale-in"
	CodeInBand     = "in-band" // no data point is on the wrong side of a threshold
	CodeTooFew     = "insufficient-breaching"
	CodeNoData     = "insufficient-data"
	CodeWarming    = "warming"
	CodePending    = "pending"
	CodeTarget     = "above-target" // removing one would bring the metric over the target (AS-TT-11)
	CodeEnough     = "enough"       // what is there or on its way is enough
	CodeMax        = "at-max"
	CodeMin        = "at-min"
	CodeForecast   = "forecast"
	CodeCooldown   = "cooldown"
	CodeActivity   = "activity"
	CodeDisabled   = "disabled"
	CodeSuspended  = "suspended"
	CodeOutvoted   = "outvoted"
	CodeOther      = "other-policy" // another target tracking policy is not ready to scale in (AS-PM-04)
	CodeNoStep     = "no-step"
	CodeZero       = "zero-adjustment"
	CodeNoScaleIn  = "scale-in-disabled"
	CodeNoAlarm    = "no-alarm"
	CodeNoActions  = "actions-disabled"
	CodeNotCalled  = "not-called"
	CodeNoPolicy   = "no-policy"
	CodePredictive = "predictive"
	CodeDeleting   = "deleting"
)

// explainedAtOnce bounds one call: the control plane does nothing else meanwhile.
const explainedAtOnce = 60

// located finds a group in the scope of the call or, unless a region was named, in the only other one that has it.
func (s *Service) located(tx *cloud.Tx, name, region string) (cloud.Scope, error) {
	scope, has := tx.Scope, false
	if region != "" {
		scope.Region = region
	}
	if tx.In(scope, func() { has = s.groups.Has(tx, name) }); has {
		return scope, nil
	}
	var scopes []cloud.Scope
	var names []string
	for k := range s.groups.Everywhere() {
		if k.ID == name {
			scopes = append(scopes, k.Scope)
		}
		if k.Scope == scope && len(names) < 10 {
			names = append(names, k.ID)
		}
	}
	switch {
	case len(scopes) > 0 && region != "":
		return scope, invalid("there is no group %s in %s; there is one in %s", name, region, scopes[0].Region)
	case len(scopes) == 1:
		return scopes[0], nil
	case len(scopes) > 1:
		return scope, invalid("there are groups %s in several regions or accounts: %v; choose one with --region", name, scopes)
	case len(names) == 0:
		return scope, invalid("there is no group %s, and no other in %s", name, scope.Region)
	}
	return scope, invalid("there is no group %s; there are %s", name, strings.Join(names, ", "))
}

func (s *Service) explain(tx *cloud.Tx, in *ExplainInput) (out *ExplainOutput, err error) {
	if !s.diary.on {
		return nil, invalid("this server keeps no evaluations")
	}
	scope, err := s.located(tx, in.Group, in.Region)
	if err != nil {
		return nil, err
	}
	tx.In(scope, func() { out, err = s.explained(tx, *in) })
	return out, err
}

func (s *Service) explained(tx *cloud.Tx, in ExplainInput) (*ExplainOutput, error) {
	g, _ := s.groups.Get(tx, in.Group)
	out := &ExplainOutput{Group: g.Name, Region: tx.Scope.Region, Account: tx.Scope.Account, Now: tx.Now()}
	at, err := Moment(in.At, tx.Now())
	if err != nil {
		return nil, err
	}
	kept, _ := s.diary.minutes.First(logKey(tx, g.Name))
	since := g.Created.Truncate(time.Second)
	if first := time.Unix(kept, 0).UTC(); kept != 0 && first.After(since.Add(time.Minute)) {
		since = first // the first minute of a group is kept at its end
	}
	switch {
	case at.After(tx.Now()):
		return nil, invalid("%s is in the future: the cloud's clock shows %s", dateTime(at), dateTime(tx.Now()))
	case at.Before(g.Created.Truncate(time.Second)):
		return nil, invalid("%s is before group %s was made, which was at %s", dateTime(at), g.Name, dateTime(g.Created))
	case at.Before(since):
		return nil, invalid("what group %s did is kept from %s on; %s is before that", g.Name, dateTime(since), dateTime(at))
	}
	from := in.After
	if in.Last != "" && from.IsZero() {
		last, err := time.ParseDuration(in.Last)
		if err != nil || last <= 0 || last > 24*time.Hour {
			return nil, invalid("--last takes a duration up to 24h, such as 30m, not %s", in.Last)
		}
		if from = at.Add(-last); from.Before(since) {
			from = since
		}
	}
	a := s.account(tx, g, at, from)
	if from.IsZero() {
		x, scene := a.evaluation(at)
		x.Counterfactuals = scene.counterfactuals()
		out.Evaluations = append(out.Evaluations, x)
		return out, nil
	}
	for t := from.Truncate(a.step).Add(a.step); !t.After(at); t = t.Add(a.step) {
		if len(out.Evaluations) == explainedAtOnce {
			out.Next = t.Add(-a.step)
			break
		}
		x, _ := a.evaluation(t.Add(a.step - 1))
		out.Evaluations = append(out.Evaluations, x)
	}
	return out, nil
}

// Moment is a time as people write it: RFC 3339; a date and a time of day; a time of day, which is the last one that there
// was; or how long ago, "5m". All but the first are in UTC.
func Moment(text string, now time.Time) (time.Time, error) {
	if text == "" || text == "now" {
		return now, nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	for _, form := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(form, text); err == nil {
			day := now.Truncate(24 * time.Hour)
			if t = day.Add(t.Sub(t.Truncate(24 * time.Hour))); t.After(now) {
				t = t.AddDate(0, 0, -1)
			}
			return t, nil
		}
	}
	ago := strings.TrimPrefix(strings.TrimSpace(strings.TrimSuffix(text, "ago")), "-")
	if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return now, invalid("%q is no time: write it as 2026-01-31T12:00:00Z, as 12:00 (UTC), or as how long ago, 5m", text)
}

// account is what explanations of one group share.
type account struct {
	s         *Service
	tx        *cloud.Tx
	g         Group
	step      time.Duration // between two evaluations
	from      time.Time
	timelines map[string]*cloudwatch.Timeline
	callers   map[string][]string // alarms of a policy that does not own its alarms, by ARN
	history   []Activity          // newest first; nil until it is needed
}

func (s *Service) account(tx *cloud.Tx, g Group, at, from time.Time) *account {
	a := &account{s: s, tx: tx, g: g, step: time.Minute, from: at.Add(-2 * time.Minute), timelines: map[string]*cloudwatch.Timeline{}, callers: map[string][]string{}}
	if !from.IsZero() {
		a.from = from.Add(-2 * time.Minute)
	}
	policies, _ := s.policiesAt(tx, g.Name, at.Unix())
	for _, p := range policies {
		for _, name := range a.alarmNames(p) {
			if x, ok := a.alarm(name, at, at); ok && x.Interval() < a.step {
				a.step = x.Interval()
			}
		}
	}
	return a
}

func (a *account) alarm(name string, at, state time.Time) (cloudwatch.Alarm, bool) {
	t := a.timelines[name]
	if t == nil {
		t = new(a.s.cloudwatch.Timeline(a.tx, name, a.from))
		a.timelines[name] = t
	}
	return t.At(at, state)
}

func (a *account) alarmNames(p Policy) []string {
	if p.Type == typeTargetTracking {
		return slices.DeleteFunc([]string{p.High, p.Low}, func(name string) bool { return name == "" })
	}
	names, known := a.callers[p.ARN]
	if !known {
		names = a.s.cloudwatch.AlarmsCalling(a.tx, p.ARN, a.from)
		a.callers[p.ARN] = names
	}
	return names
}

// evaluation explains the newest evaluation at or before an instant.
func (a *account) evaluation(at time.Time) (Explanation, scene) {
	due := at.Truncate(a.step)
	// What is due happens a moment later on a real clock: with what is asked about an instant, that moment is meant.
	until := due.Add(a.step / 6)
	if at.After(until) {
		until = at
	}
	if until.After(a.tx.Now()) {
		until = a.tx.Now()
	}
	x := Explanation{At: at, Due: due}
	if due.Before(a.g.Created.Truncate(time.Second)) {
		x.Notes = append(x.Notes, "the group was made at "+dateTime(a.g.Created)+" and has not been evaluated yet: this is how it stands")
	}
	var record *DecisionRecord
	if list := a.s.decisionsIn(a.tx, a.g.Name, due, until); len(list) > 0 {
		record = &list[len(list)-1]
	}
	state, known := a.s.stateAt(a.tx, a.g.Name, until)
	if !known {
		state = a.s.snapshot(a.tx, a.g)
		x.Notes = append(x.Notes, "how the group was then is not kept yet: it is shown as it is now")
	}
	policies, sure := a.s.policiesAt(a.tx, a.g.Name, which(record, due, at, until))
	if !sure && len(policies) > 0 {
		x.Notes = append(x.Notes, "which policies the group had then is not kept: they are shown as they were later")
	}
	sc := a.scene(state, record, policies, due, until)
	d := sc.decide()
	if record != nil {
		x.Decided = record.At
		if d.Desired != record.Decision.Desired {
			x.Notes = append(x.Notes, fmt.Sprintf("a capacity of %d was decided then; from what is known now it would be %d", record.Decision.Desired, d.Desired))
			d = record.Decision
		}
	}
	if record != nil && sc.late() {
		x.Notes = append(x.Notes, "data has come since then: the points are shown with it, and what would have changed the decision is found with it")
	}
	a.tell(&x, &sc, d, state, record != nil)
	x.Activities = a.activities(due, due.Add(a.step), x.Decided)
	return x, sc
}

// late tells whether an alarm that called has other data now than it called with.
func (s *scene) late() bool {
	for i := range s.posts {
		x := &s.posts[i].signal
		for k := range s.posts[i].alarms {
			a := &s.posts[i].alarms[k]
			newest, known := a.newest()
			if x.Due && !x.ByHand && a.wrong == "" && a.alarm.AlarmName == x.Alarm && x.HasValue && (!known || math.Abs(newest.Value-x.Value) > 1e-9*math.Abs(x.Value)) {
				return true
			}
		}
	}
	return false
}

// which says when the policies to be told about were those of the group: of a decision its own; else those that were there
// when alarms were due, or, of a later instant, those of then: their alarms may not have been due yet.
func which(record *DecisionRecord, due, at, until time.Time) int64 {
	switch {
	case record != nil:
		return record.Policies
	case at.Before(until):
		return due.Unix() - 1
	}
	return until.Unix()
}

// scene puts together what the policies knew: from the record of their decision where there is one, else from the group's
// state and the alarms.
func (a *account) scene(state GroupState, record *DecisionRecord, policies []Policy, due, until time.Time) scene {
	g := a.g
	g.DefaultCooldown, g.DefaultInstanceWarmup = state.DefaultCooldown, state.DefaultWarmup
	g.Cooldown, g.CooldownStart, g.Deleting, g.Suspended = state.Cooldown, state.CooldownStart, state.Deleting, nil
	for _, p := range state.Suspended {
		g.Suspended = append(g.Suspended, Suspension{Process: p})
	}
	sc := scene{young: state.Young}
	if record != nil {
		sc.view, sc.barred = record.View, record.Barred
	} else {
		sc.barred = g.barred()
		sc.view = View{
			Now: due, Min: state.Min, Max: state.Max, Desired: state.Desired, InService: state.InService, Pending: state.Pending,
			CooldownEnds: g.cooldownEnds(), Activity: state.OpenActivity, NoLaunch: g.suspended("Launch"),
			NoTerminate: g.suspended("Terminate"), Tracking: a.s.scaling.tracking,
		}
		if a.tx.Now().Truncate(time.Hour).Equal(due.Truncate(time.Hour)) {
			sc.view.Floor = a.s.forecastFloor(a.tx, a.g)
		}
	}
	for _, p := range policies {
		sc.posts = append(sc.posts, a.post(&sc, g, p, record, due, until))
	}
	return sc
}

func (a *account) post(sc *scene, g Group, p Policy, record *DecisionRecord, due, until time.Time) post {
	x := post{signal: Signal{Policy: p}, warmup: p.warmup(g)}
	found := false
	if record != nil {
		for _, signal := range record.Signals {
			if signal.Policy.Name == p.Name {
				x.signal, found = signal, true
				x.signal.Policy = p
			}
		}
	}
	for _, name := range a.alarmNames(p) {
		if s, ok := a.sight(p, name, due, until); ok {
			x.alarms = append(x.alarms, s)
		}
	}
	if found {
		return x
	}
	x.signal.Warming = warming(sc.young, x.warmup, sc.view.Now)
	if p.Type != typeTargetTracking {
		return x
	}
	for i := range x.alarms {
		s := &x.alarms[i]
		x.signal.High = x.signal.High || s.role == roleHigh && s.state == cloudwatch.StateAlarm
		x.signal.Low = x.signal.Low || s.role == roleLow && s.state == cloudwatch.StateAlarm
	}
	point := newestPoint(due, p.period())
	if n, ok := a.s.contributed(a.tx, g.Name, point); ok {
		x.signal.Measured = n
	} else {
		x.signal.Measured = max(0, sc.view.InService-warming(sc.young, x.warmup, point))
	}
	if st, ok := a.s.scaling.standings.Get(a.tx, p.key()); ok && !st.Out.At.After(due) && !st.In.At.After(due) {
		x.signal.Out, x.signal.In = st.Out, st.In
	}
	return x
}

// sight is one alarm as it was: in the state before the evaluation, with the data that it looked at and the state after.
func (a *account) sight(p Policy, name string, due, until time.Time) (sight, bool) {
	x, ok := a.alarm(name, due.Add(-time.Millisecond), until) // what was changed at the same instant was so after the evaluation
	if !ok {
		x, ok = a.alarm(name, until, until)
	}
	if !ok || p.Type != typeTargetTracking && !slices.ContainsFunc([]string{cloudwatch.StateOK, cloudwatch.StateAlarm, cloudwatch.StateInsufficientData},
		func(state string) bool {
			actions := x
			actions.ActionsEnabled = true
			return actions.Calls(state, p.ARN)
		}) {
		return sight{}, false
	}
	s := sight{alarm: x, state: x.StateValue, since: x.StateTransitionedTimestamp}
	switch {
	case p.Type == typeTargetTracking && name == p.High:
		s.role = roleHigh
	case p.Type == typeTargetTracking:
		s.role = roleLow
	}
	if before, ok := a.alarm(name, due.Add(-time.Millisecond), due.Add(-time.Millisecond)); ok {
		s.alarm.StateValue, s.alarm.StateTransitionedTimestamp = before.StateValue, before.StateTransitionedTimestamp
	}
	e, err := a.s.cloudwatch.EvaluateAt(a.tx, &s.alarm, due)
	if s.due = e.Due; err != nil {
		s.wrong = err.Error()
		return s, true
	}
	s.points = e.Points
	return s, true
}

// activities are those that began in [from, to), or that the decision brought about.
func (a *account) activities(from, to, decided time.Time) []ActivityNote {
	var out []ActivityNote
	var marks []string
	if !decided.IsZero() {
		for _, how := range []string{"a monitor alarm ", "a user request executed policy "} {
			marks = append(marks, at(decided, how))
		}
	}
	if a.history == nil {
		for _, x := range a.s.activityIDs.Each(a.tx, "group "+a.g.Name) {
			if x.Start.Before(a.from) {
				break
			}
			a.history = append(a.history, x)
		}
	}
	for _, x := range a.history {
		if x.Start.Before(from) {
			break
		}
		caused := slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(x.Cause, mark) })
		if caused || x.Start.Before(to) {
			out = append(out, ActivityNote{ID: x.ID, Description: x.Description, Status: x.StatusCode, Cause: x.Cause, Start: x.Start, Decided: caused})
		}
	}
	slices.Reverse(out)
	return out
}

// dateTime is a time with its date.
func dateTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
