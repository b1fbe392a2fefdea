package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/region"
	"github.com/billow-cloud/billow/flight"
	"github.com/billow-cloud/billow/sim"
	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/setup"
	"github.com/billow-cloud/billow/sim/world"
)

// WhatIf is how a recording is continued.
type WhatIf struct {
	Group     string       // may be empty where there is one only
	At, Until time.Time    // by the cloud's clock; Until may be zero: the recording's end
	Files     []string     // policies, alarms, schedules, in the place of those of the same name
	Remove    []string     // names of policies to be removed
	World     *world.Model // nil: as measured
	Stop      func() error // asked now and then
}

// Continuation is what happened, and what would have.
type Continuation struct {
	Group     string
	At, Until time.Time
	Target    float64         // percent of CPU that "over target" means
	Happened  outcome.Outcome // as recorded; latencies and shares in time are not known
	Same      outcome.Outcome // the model of the recorded world with the policies as they were: how good the model is
	Changed   outcome.Outcome // the same model with what WhatIf changes
	World     world.Model
	Notes     []string
}

// Continue goes through a recording up to an instant, and from there on in virtual time: with the policies as they were,
// and with others. The load is the recording's own: the requests that came through the group's load balancers, or the
// work that its instances did together. It ends where the recording ends.
func Continue(files []string, o Options, w WhatIf) (*Continuation, error) {
	h, options := newHistory(), region.Options{}
	o.Begin = func(c *cloud.Cloud, header flight.Header) {
		h.begin(c, c.Moment().Last)
		options = header.Options
	}
	o.See = func(_ *cloud.Cloud, s flight.Step, out cloud.Output) { h.step(s, out) }
	whole, err := Replay(files, o)
	if err != nil {
		return nil, err
	}
	w.At = w.At.UTC().Truncate(time.Second)
	if w.Until.IsZero() || w.Until.After(whole.To) {
		w.Until = whole.To
	}
	w.Until = w.Until.UTC().Truncate(time.Second)
	if w.At.Before(whole.From) || !w.At.Before(whole.To) {
		return nil, fmt.Errorf("--at %s is not within the recording, which goes from %s to %s by the cloud's clock", w.At.Format(time.RFC3339),
			whole.From.Format(time.RFC3339), whole.To.Format(time.RFC3339))
	}
	if !w.At.Before(w.Until) {
		return nil, fmt.Errorf("--until %s is not after --at %s", w.Until.Format(time.RFC3339), w.At.Format(time.RFC3339))
	}
	g, err := h.choose(w.Group)
	if err != nil {
		return nil, err
	}
	o.Begin = func(_ *cloud.Cloud, header flight.Header) { options = header.Options }
	o.See, o.To = nil, w.At
	r, err := Replay(files, o)
	if err != nil {
		return nil, err
	}
	c := &Continuation{Group: g.name, At: w.At, Until: w.Until, Target: g.tracked, Notes: whole.Notes}
	if whole.Difference != nil {
		c.Notes = append(c.Notes, "The replay differs from the recording "+whole.Difference.String()+".")
	}
	return c, c.run(h, g, r.Cloud, options, whole.Recorded, w)
}

// choose finds the group that is meant.
func (h *history) choose(name string) (*group, error) {
	var names []string
	var found []*group
	for _, g := range h.sorted() {
		names = append(names, g.name)
		if name == "" || g.name == name {
			found = append(found, g)
		}
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("the recording has no Auto Scaling group")
	case len(found) == 0:
		return nil, fmt.Errorf("the recording has no group %s; it has %s", name, strings.Join(names, ", "))
	case len(found) > 1:
		return nil, fmt.Errorf("the recording has several groups, choose one with --group: %s", strings.Join(names, ", "))
	}
	return found[0], nil
}

func (c *Continuation) run(h *history, g *group, at *cloud.Cloud, o region.Options, recorded []Activity, w WhatIf) error {
	trace, model := h.measured(g, w, &c.Notes)
	c.World = model
	if w.World != nil {
		c.World = *w.World
	}
	changes, err := w.changes(at, o, g)
	if err != nil {
		return err
	}
	c.Notes = append(c.Notes, changes.Notes...)
	if err := c.unpublished(at, o, g); err != nil {
		return err
	}
	replaced := slices.Clone(w.Remove)
	for _, s := range changes.Steps {
		if in, ok := s.Call.In.(*asapi.PutScalingPolicyInput); ok && in.PolicyName != nil {
			replaced = append(replaced, *in.PolicyName)
		}
	}
	s := sim.Scenario{
		Loads: map[string]load.Trace{g.name: trace}, World: c.World, From: w.At, To: w.Until, EachInstance: true, Stop: w.Stop,
		Hooks: map[string]time.Duration{},
	}
	for hook, took := range h.completed { // any order
		mean, _ := spread(took)
		s.Hooks[hook] = time.Duration(mean * float64(time.Second))
	}
	s.World.Failures.Events = append(slices.Clone(s.World.Failures.Events), g.lostAgain(w)...)
	run := func(name string, without []string, build func(setup.Do) error) (outcome.Outcome, error) {
		s := s
		s.Name, s.Setup = name, build
		for _, t := range h.calls[g.key] {
			in, policy := t.call.In.(*asapi.PutScalingPolicyInput)
			if t.at.After(w.At) && !(policy && in.PolicyName != nil && slices.Contains(without, *in.PolicyName)) {
				s.Calls = append(s.Calls, sim.Timed{At: t.at, Call: t.call})
			}
		}
		twin, err := clone(at, o)
		if err != nil {
			return outcome.Outcome{}, err
		}
		all, err := sim.Continue(twin, s)
		if err != nil {
			return outcome.Outcome{}, err
		}
		for _, x := range all {
			if x.Group == g.name {
				x.Summarize(c.Target)
				return x, nil
			}
		}
		return outcome.Outcome{}, fmt.Errorf("the group %s is not there at %s", g.name, w.At.Format(time.RFC3339))
	}
	if c.Same, err = run("as it was, in the model", nil, nil); err != nil {
		return err
	}
	build := func(do setup.Do) error {
		for _, name := range w.Remove {
			in := &asapi.DeletePolicyInput{AutoScalingGroupName: &g.name, PolicyName: &name}
			if _, err := do(cloud.Call{Scope: g.scope, Service: autoscaling.Name, Operation: "DeletePolicy", In: in}); err != nil {
				return fmt.Errorf("--remove %s: %w", name, err)
			}
		}
		return changes.Apply(do)
	}
	if c.Changed, err = run("changed", replaced, build); err != nil {
		return err
	}
	c.Happened = h.happened(g, w, recorded, c.Target)
	return nil
}

// lostAgain has the instances that the group lost die at the same instants in the model.
func (g *group) lostAgain(w WhatIf) []world.Event {
	var events []world.Event
	for _, lost := range g.losses {
		if lost.After(w.At) && lost.Before(w.Until) {
			events = append(events, world.Event{At: lost.Sub(w.At).Seconds(), Kind: world.Kill, Count: 1})
		}
	}
	return events
}

// changes reads what is to become different.
func (w *WhatIf) changes(at *cloud.Cloud, o region.Options, g *group) (setup.Setup, error) {
	if len(w.Files) == 0 {
		if len(w.Remove) == 0 {
			return setup.Setup{}, errors.New("there is nothing to change: name files with --policy, or policies with --remove")
		}
		return setup.Setup{Scope: g.scope}, nil
	}
	ask, err := asking(at, o, w.At, g.scope)
	if err != nil {
		return setup.Setup{}, err
	}
	reply, err := ask(autoscaling.Name, "DescribeAutoScalingGroups", &asapi.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{g.name}})
	if err != nil {
		return setup.Setup{}, err
	}
	groups := reply.(*asapi.DescribeAutoScalingGroupsOutput).AutoScalingGroups
	if len(groups) == 0 {
		return setup.Setup{}, fmt.Errorf("the group %s is not there at %s", g.name, w.At.Format(time.RFC3339))
	}
	return setup.Changes(w.Files, g.scope, groups, setup.Options{Start: w.At})
}

// unpublished notes the metrics that alarms of the group's policies look at and that nobody publishes in the model.
func (c *Continuation) unpublished(at *cloud.Cloud, o region.Options, g *group) error {
	ask, err := asking(at, o, c.At, g.scope)
	if err != nil {
		return err
	}
	reply, err := ask(autoscaling.Name, "DescribePolicies", &asapi.DescribePoliciesInput{AutoScalingGroupName: &g.name})
	if err != nil {
		return err
	}
	for _, p := range reply.(*asapi.DescribePoliciesOutput).ScalingPolicies {
		var names []string
		for _, a := range p.Alarms {
			names = append(names, api.Value(a.AlarmName))
		}
		if len(names) == 0 {
			continue
		}
		reply, err := ask(cloudwatch.Name, "DescribeAlarms", &cwapi.DescribeAlarmsInput{AlarmNames: names})
		if err != nil {
			return err
		}
		for _, a := range reply.(*cwapi.DescribeAlarmsOutput).MetricAlarms {
			if space := api.Value(a.Namespace); space != "" && !strings.HasPrefix(space, "AWS/") {
				c.Notes = append(c.Notes, fmt.Sprintf("Policy %s follows the metric %s of %s, which nobody publishes in the model: from %s on it has no data there.",
					api.Value(p.PolicyName), api.Value(a.MetricName), space, c.At.Format(time.RFC3339)))
				break
			}
		}
	}
	return nil
}

// asking asks a copy of a cloud as it is at an instant.
func asking(c *cloud.Cloud, o region.Options, at time.Time, scope cloud.Scope) (func(service, operation string, in any) (any, error), error) {
	twin, err := clone(c, o)
	return func(service, operation string, in any) (any, error) {
		out := twin.Step(at, cloud.Call{Scope: scope, RequestID: "replay", Service: service, Operation: operation, In: in})
		return out.Reply, out.Err
	}, err
}

// clone makes a second cloud that goes on as the first would.
func clone(c *cloud.Cloud, o region.Options) (*cloud.Cloud, error) {
	twin := region.New(o)
	var failed error
	c.Dump(func(table, key string, row any) bool {
		data, err := json.Marshal(row)
		if err == nil {
			err = twin.Load(table, key, data)
		}
		failed = err
		return err == nil
	})
	twin.Resume(c.Moment())
	return twin, failed
}

// measured is the load of a group from an instant on, and a model of the world that it was in.
func (h *history) measured(g *group, w WhatIf, notes *[]string) (load.Trace, world.Model) {
	work, requests, answers, answering, full := 0.0, 0.0, 0.0, 0.0, 0
	for _, start := range sortedMinutes(g) {
		m := g.minutes[start]
		if m.measured > 0 {
			work += m.work / 100 * 60 // seconds of a whole instance
			requests += m.requests
		}
		if m.measured > 0 && m.work/float64(m.measured) > 95 {
			full++
		}
		if m.measured > 0 && m.work/float64(m.measured) < 50 {
			answers, answering = answers+m.answers, answering+m.answering
		}
	}
	trace := load.Trace{Name: "the recording's", Start: w.At.Truncate(time.Minute), Step: time.Minute}
	counted := requests > 0 && work > 0
	for t := trace.Start; t.Before(w.Until); t = t.Add(time.Minute) {
		rate := 0.0
		if m := g.minutes[t.Unix()]; m != nil && counted {
			rate = m.requests / 60
		} else if m != nil {
			rate = m.work // one request a second is one percent of an instance
		}
		trace.Rates = append(trace.Rates, rate)
	}
	perInstance := 100.0
	if counted {
		perInstance = requests / work
		*notes = append(*notes, fmt.Sprintf("The load is the requests that came through the load balancer; measured, an instance does %.3g of them a second at 100 %% CPU.", perInstance))
	} else {
		*notes = append(*notes, "The load is the work that the instances did together, since no requests were counted.")
		if full > 0 {
			*notes = append(*notes, fmt.Sprintf("In %d minutes the instances were busy all the time: there was more load than they did.", full))
		}
	}
	m := world.Default(perInstance)
	if t := m.Types["*"]; answers > 0 {
		t.ServiceTime.Mean = answering / answers
		t.Concurrency = max(1, perInstance*t.ServiceTime.Mean)
		t.ServiceTime.Mean = t.Concurrency / perInstance
		m.Types["*"] = t
		m.Deadline, m.Timeout = 10*t.ServiceTime.Mean, 100*t.ServiceTime.Mean
	}
	m.WarmUp, m.ColdRate, m.Delay = 0, 0, 0
	if boots := h.boots(g); len(boots) > 0 {
		m.Boot.Mean, m.Boot.CV = spread(boots)
		*notes = append(*notes, fmt.Sprintf("An instance took %.0f s from its launch until it could serve, as the mean of %d.", m.Boot.Mean, len(boots)))
	} else {
		*notes = append(*notes, fmt.Sprintf("No launch is in the recording: %.0f s are assumed until an instance can serve.", m.Boot.Mean))
	}
	return trace, m
}

func sortedMinutes(g *group) []int64 {
	var all []int64
	for start := range g.minutes { // any order: they are sorted below
		all = append(all, start)
	}
	slices.Sort(all)
	return all
}

// happened is what the recording says of the time after an instant.
func (h *history) happened(g *group, w WhatIf, recorded []Activity, target float64) outcome.Outcome {
	o := outcome.Outcome{Name: "happened", Group: g.name, From: w.At, To: w.Until}
	for t := w.At.Truncate(time.Minute); t.Before(w.Until); t = t.Add(time.Minute) {
		end := t.Add(time.Minute)
		p := outcome.Point{At: t, Desired: at(g.desired, end), InService: at(g.served, end)}
		if m := g.minutes[t.Unix()]; m != nil {
			p.Rate, p.Lost = m.requests/60, m.failed
			if m.measured > 0 {
				p.Utilization = m.work / float64(m.measured)
			}
			o.Summary.Requests += m.requests
			o.Summary.Lost += m.failed
			o.Summary.MeanUtilization += m.work
		}
		o.Summary.MaxInstances = max(o.Summary.MaxInstances, p.InService)
		o.Points = append(o.Points, p)
	}
	measured := 0
	for _, p := range o.Points {
		if m := g.minutes[p.At.Unix()]; m != nil {
			measured += m.measured
		}
	}
	if measured > 0 {
		o.Summary.MeanUtilization /= float64(measured)
	}
	if o.Summary.Requests > 0 {
		o.Summary.Lost /= o.Summary.Requests
	}
	for _, m := range h.instances { // any order: a sum of whole nanoseconds
		if m.group == g {
			o.Summary.InstanceHours += overlap(m, w).Hours()
		}
	}
	o.Activities = g.activities(recorded, w)
	o.CountActions()
	o.Summarize(target)
	return o
}

// activities are those of the time after an instant, with the changes of desired capacity that they brought.
func (g *group) activities(recorded []Activity, w WhatIf) (all []outcome.Activity) {
	for _, of := range Groups(recorded) {
		if of.Name == g.scope.String() && of.Group == g.name {
			for _, a := range of.Activities {
				if !a.StartTime.Before(w.At) && a.StartTime.Before(w.Until) {
					all = append(all, a)
				}
			}
		}
	}
	before := at(g.desired, w.At)
	for _, l := range g.desired {
		if !l.at.After(w.At) || l.at.After(w.Until) || l.n == before {
			continue
		}
		i := slices.IndexFunc(all, func(a outcome.Activity) bool { return a.StartTime.Equal(l.at) && a.From == a.To })
		if i < 0 {
			i, all = len(all), append(all, outcome.Activity{StartTime: l.at, Description: "Setting the desired capacity"})
		}
		all[i].From, all[i].To, before = before, l.n, l.n
	}
	slices.SortStableFunc(all, func(a, b outcome.Activity) int { return a.StartTime.Compare(b.StartTime) })
	return all
}

// overlap is how long a machine was there within a time.
func overlap(m *machine, w WhatIf) time.Duration {
	from, to := m.begun, m.ended
	if from.Before(w.At) {
		from = w.At
	}
	if to.IsZero() || to.After(w.Until) {
		to = w.Until
	}
	return max(0, to.Sub(from))
}
