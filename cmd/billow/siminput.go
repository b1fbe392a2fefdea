package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones by name, on hosts without them too

	"github.com/billow-cloud/billow/sim"
	"github.com/billow-cloud/billow/sim/input"
	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/report"
	"github.com/billow-cloud/billow/sim/setup"
	"github.com/billow-cloud/billow/sim/world"
)

// simSource is what a group and its load are read from.
type simSource struct {
	Files []string `arg:"" optional:"" help:"JSON that aws describe-* printed (groups, policies, alarms, templates, scheduled actions ...), inputs of calls, or scripts of aws calls, in any order; - is standard input."`

	Load  []string      `help:"Load: CSV (time, value), JSON of aws cloudwatch get-metric-data or get-metric-statistics, an ALB access log or a folder of them. GROUP=FILE where there are several groups; - is standard input." placeholder:"FILE" required:"" sep:"none"`
	Unit  string        `help:"What a value of the load is: count (requests per period), rps, rpm, or percent (CPU; 100 is what one instance can do)." enum:",count,rps,rpm,percent" default:""`
	Value string        `help:"The column of the CSV, or the Id or Label of the metric, that is the load." placeholder:"NAME"`
	Zone  string        `help:"Time zone of times that name none, such as Europe/Berlin." default:"UTC"`
	Gaps  string        `help:"What a period without a value means: auto (filled up to an hour or three periods, else no load), zero, interpolate, or refuse." enum:",auto,zero,interpolate,refuse" default:""`
	Slot  time.Duration `help:"Slots of the load; longer ones of the file are smoothed, shorter ones averaged." default:"1m"`
	Scale float64       `help:"The load times this." default:"1"`

	World       string  `help:"World model (JSON): see billow sim world." placeholder:"FILE"`
	PerInstance float64 `help:"Requests per second that one instance serves at 100 % CPU; otherwise as the load needs." placeholder:"RATE"`

	From string  `help:"Begin of the run (2006-01-02 15:04, in the zone of --zone); otherwise where the load begins." placeholder:"TIME"`
	To   string  `help:"End of the run; otherwise where the load ends." placeholder:"TIME"`
	Seed *uint64 `help:"Decides all that is left to chance; otherwise the world model's seed, or 1." placeholder:"N"`
}

// simInput is what a run is made of.
type simInput struct {
	simSource `embed:""`
	InTime    float64       `help:"Share of requests that shall be answered in time: what the optimum is measured by." default:"0.99"`
	HookTime  time.Duration `help:"How long after its start a lifecycle action is completed." default:"30s"`
}

// simJob is what to run, read and completed.
type simJob struct {
	input    *simInput
	setup    setup.Setup
	loads    map[string]load.Trace
	groups   []string // that have a load, in order of name
	world    world.Model
	model    []byte                 // the JSON of --world
	zone     *time.Location         // of times that name none
	worlds   map[string]world.Model // by group, without --world
	from, to time.Time
	notes    []string
}

// read reads everything.
func (in *simInput) read() (*simJob, error) {
	j := &simJob{input: in, loads: map[string]load.Trace{}, worlds: map[string]world.Model{}}
	err := in.bounds()
	if err != nil {
		return nil, err
	}
	if len(in.Files) == 0 {
		return nil, errors.New("of which group? give the JSON that aws autoscaling describe-auto-scaling-groups prints, and that of describe-policies")
	}
	if j.zone, err = time.LoadLocation(in.Zone); err != nil {
		return nil, fmt.Errorf("--zone: there is no time zone %q", in.Zone)
	}
	if j.setup, err = setup.Read(in.Files, in.options(time.Time{})); err != nil {
		return nil, err
	}
	if err := j.readWorld(); err != nil {
		return nil, err
	}
	if err := j.readLoads(); err != nil {
		return nil, err
	}
	if err := j.cut(); err != nil {
		return nil, err
	}
	if j.setup, err = setup.Read(in.Files, in.options(j.from)); err != nil {
		return nil, err
	}
	j.notes = append(j.notes, j.setup.Notes...)
	if len(j.setup.Hooks) > 0 {
		j.notes = append(j.notes, fmt.Sprintf("Lifecycle actions of %s are completed after %v (--hook-time).", strings.Join(j.setup.Hooks, ", "), in.HookTime))
	}
	if err := j.checkWorld(); err != nil {
		return nil, err
	}
	if err := j.imagine(); err != nil {
		return nil, err
	}
	j.notes = unique(j.notes)
	return j, nil
}

// options are what files do not tell: the region is then that of the AWS CLI's settings.
func (in *simInput) options(start time.Time) setup.Options {
	o := setup.Options{Start: start}
	for _, name := range []string{"AWS_DEFAULT_REGION", "AWS_REGION"} {
		if region := os.Getenv(name); region != "" {
			o.Region, o.Setting = region, name
		}
	}
	return o
}

// bounds checks what can be checked before anything is read.
func (in *simInput) bounds() error {
	standard := 0
	for _, path := range append(append([]string{in.World}, in.Files...), in.Load...) {
		if path == input.Standard || strings.HasSuffix(path, "="+input.Standard) {
			standard++
		}
	}
	switch {
	case standard > 1:
		return errors.New("- is standard input, which can stand for one of the files only")
	case !(in.Scale > 0) || math.IsInf(in.Scale, 0):
		return errors.New("--scale must be above 0")
	case !(in.PerInstance >= 0) || math.IsInf(in.PerInstance, 0):
		return errors.New("--per-instance must not be below 0")
	case !(in.InTime > 0 && in.InTime <= 1):
		return errors.New("--in-time must be above 0 and at most 1")
	case in.Slot > time.Hour:
		return errors.New("--slot must be at most an hour: within a slot the load does not change")
	case in.Slot < time.Second || in.Slot%time.Second != 0:
		return fmt.Errorf("--slot must be a whole number of seconds, at least one; it is %v", in.Slot)
	case in.HookTime < 0:
		return errors.New("--hook-time must not be below 0")
	}
	return nil
}

// checkWorld says which instance type the model lacks, and which of its events nobody will see.
func (j *simJob) checkWorld() error {
	if j.input.World == "" {
		return nil
	}
	var zones []string
	for _, name := range j.groups {
		g := j.setup.Find(name)
		zones = append(zones, g.Zones...)
		if _, known := j.world.Types[g.Type()]; !known && !isAny(j.world) {
			return fmt.Errorf("%s: it has no instance type %s, which group %s uses; add it to instance_types, or \"*\" for any", input.Name(j.input.World), g.Type(), name)
		}
	}
	for i, e := range j.world.Failures.Events {
		switch {
		case e.At >= j.to.Sub(j.from).Seconds():
			j.notes = append(j.notes, fmt.Sprintf("%s: event %d (%s) is after the end of the run.", j.eventAt(i), i+1, e.Kind))
		case e.Zone != "" && e.Kind != world.NoMetrics && len(zones) > 0 && !slices.ContainsFunc(zones, e.Affects):
			j.notes = append(j.notes, fmt.Sprintf("%s: event %d (%s) is in the zone %s, where no group is: nothing comes of it.", j.eventAt(i), i+1, e.Kind, e.Zone))
		}
	}
	return nil
}

// eventAt is where the model has an event.
func (j *simJob) eventAt(n int) string {
	return fmt.Sprintf("%s:%d", input.Name(j.input.World), world.Line(j.model, "failures", "events", strconv.Itoa(n)))
}

func isAny(m world.Model) bool { _, any := m.Types["*"]; return any }

// readWorld reads the world model, if there is one.
func (j *simJob) readWorld() (err error) {
	j.world.Seed = 1
	if j.input.World != "" {
		if j.model, err = input.Read(j.input.World); err != nil {
			return err
		}
		if j.world, err = world.Read(input.Name(j.input.World), bytes.NewReader(j.model)); err != nil {
			return err
		}
	}
	if j.input.Seed != nil {
		j.world.Seed = *j.input.Seed
	}
	if j.input.World == "" {
		return nil
	}
	for _, kind := range slices.Sorted(maps.Keys(j.setup.Stands)) { // a type by its own name counts for the one in its place
		stands := j.setup.Stands[kind]
		if t, own := j.world.Types[kind]; own {
			if _, taken := j.world.Types[stands]; !taken {
				j.world.Types[stands] = t
			}
		}
	}
	if j.input.PerInstance > 0 {
		return errors.New("--per-instance is what a world model says: leave off one of them")
	}
	return nil
}

// percentOf is what 100 % of an instance is taken for, where nothing says it: then only how many instances counts.
const percentOf = 100

// perInstance is what one instance of a group serves, as far as it is known before the load is; 0 if it is not.
func (j *simJob) perInstance(g *setup.Group) float64 {
	if j.input.PerInstance > 0 {
		return j.input.PerInstance
	}
	if j.input.World == "" {
		return 0
	}
	t, own := j.world.Types[g.Type()]
	if !own {
		t = j.world.Types["*"]
	}
	if !(t.ServiceTime.Mean > 0) {
		return 0
	}
	return t.PerSecond()
}

// mostRate is the most requests per second that are taken for a load.
const mostRate = 1e15

func (j *simJob) readLoads() error {
	for _, text := range j.input.Load {
		group, path, err := j.loadOf(text)
		if err != nil {
			return err
		}
		if _, twice := j.loads[group.Name]; twice {
			return fmt.Errorf("--load %s: group %s has a load already", text, group.Name)
		}
		per := j.perInstance(group)
		if per == 0 {
			per = percentOf
		}
		t, err := load.Read(path, load.Options{Unit: load.Unit(j.input.Unit), Value: j.input.Value, Zone: j.zone, Step: j.input.Slot, Gaps: load.Gaps(j.input.Gaps), PerInstance: per})
		if err != nil {
			return err
		}
		for i := range t.Rates {
			t.Rates[i] *= j.input.Scale
		}
		if peak := t.Peak(); peak > mostRate {
			return fmt.Errorf("%s: times %g it is %.3g requests per second, which is too large for a load", input.Name(path), j.input.Scale, peak)
		}
		for _, n := range t.Notes {
			j.notes = append(j.notes, fmt.Sprintf("%s: %s%s", input.Name(path), strings.ToLower(n[:1]), n[1:]))
		}
		j.loads[group.Name] = t
	}
	j.groups = slices.Sorted(maps.Keys(j.loads))
	return nil
}

// loadOf takes GROUP=FILE apart; the group may be left off if there is one only.
func (j *simJob) loadOf(text string) (*setup.Group, string, error) {
	name, path, named := strings.Cut(text, "=")
	if g := j.setup.Find(name); named && g != nil {
		return g, path, nil
	}
	if _, err := os.Stat(text); named && err != nil {
		return nil, "", fmt.Errorf("--load %s: there is no group %s; %s", text, name, j.names())
	}
	if len(j.setup.Groups) != 1 {
		return nil, "", fmt.Errorf("--load %s: of which group? --load GROUP=%s; %s", text, filepath.Base(text), j.names())
	}
	return &j.setup.Groups[0], text, nil
}

func (j *simJob) names() string {
	var names []string
	for _, g := range j.setup.Groups {
		names = append(names, g.Name)
	}
	if len(names) == 1 {
		return "there is " + names[0]
	}
	return "there are " + strings.Join(names, ", ")
}

// cut leaves of the loads what lies in the run.
func (j *simJob) cut() error {
	first, last := time.Time{}, time.Time{}
	for _, g := range j.groups {
		t := j.loads[g]
		if first.IsZero() || t.Start.Before(first) {
			first = t.Start
		}
		if t.End().After(last) {
			last = t.End()
		}
	}
	j.from, j.to = first, last
	for _, x := range []struct {
		flag, text string
		to         *time.Time
	}{{"--from", j.input.From, &j.from}, {"--to", j.input.To, &j.to}} {
		if x.text == "" {
			continue
		}
		at, err := instantOf(x.text, j.zone)
		if err != nil {
			return fmt.Errorf("%s: %w", x.flag, err)
		}
		*x.to = at
	}
	span := fmt.Sprintf("from %s to %s UTC", stamp(first), stamp(last))
	switch {
	case j.input.From != "" && j.input.To != "" && !j.from.Before(j.to):
		return fmt.Errorf("--from %s is not before --to %s", j.input.From, j.input.To)
	case !j.from.Before(last):
		return fmt.Errorf("--from %s is after the end of the load, which goes %s", j.input.From, span)
	case !first.Before(j.to):
		return fmt.Errorf("--to %s is before the beginning of the load, which goes %s", j.input.To, span)
	case j.from.Before(first) || last.Before(j.to):
		j.notes = append(j.notes, fmt.Sprintf("The load goes %s; in the rest of the run there is none.", span))
	}
	for _, g := range j.groups {
		j.loads[g] = j.loads[g].Between(j.from, j.to)
	}
	return nil
}

// unique leaves off what was said before: two groups may have the same load.
func unique(notes []string) []string {
	var out []string
	for _, n := range notes {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// stamp is an instant in what is printed, by the minute of UTC.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04") }

// instantOf reads an instant; in the zone, if it names none.
func instantOf(text string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is not a time; it is written 2006-01-02 15:04, which is in %s (--zone), or 2006-01-02T15:04:05Z", text, zone)
}

// Where nothing says what an instance can do: how much of a group its load's peak needs, or how busy an instance is that
// has as many requests as its policy wants it to have.
const (
	peakShare = 0.7 // of MaxSize
	peakCPU   = 0.7

	longRequest = 1 // seconds: more than that is told
)

// imagine makes a world for every group, where there is no model.
func (j *simJob) imagine() error {
	if j.input.World != "" {
		return nil
	}
	for i := range j.setup.Groups {
		g := &j.setup.Groups[i]
		t, loaded := j.loads[g.Name]
		per, why := j.imagined(g, t)
		m := defaultWorld(per, g.Type())
		if t.Service > 0 {
			m = lasting(per, max(t.Service, leastRequest), g.Type())
		}
		m.Seed = j.world.Seed
		if err := m.Validate(); err != nil {
			return fmt.Errorf("no world can be made in which one instance serves %v requests per second: %s", per, strings.TrimPrefix(err.Error(), "world: "))
		}
		j.worlds[g.Name] = m
		if !loaded {
			continue
		}
		took := m.Types[g.Type()].ServiceTime.Mean
		lasts := ""
		switch {
		case t.Service > 0 && took <= max(t.Service, leastRequest):
			lasts = " as the access log says (target_processing_time)"
		case t.Service > 0:
			lasts = fmt.Sprintf(" (the access log says %.3g s, but one at a time that would be more than %s a second)", t.Service, rounded3(per))
		case took > longRequest:
			j.notes = append(j.notes, fmt.Sprintf("The load of %s is so small for its MaxSize that a request was taken to last %.3g s: say with --per-instance how many an instance serves.", g.Name, took))
		}
		if why != "" {
			why = ", " + why
		}
		j.notes = append(j.notes, fmt.Sprintf("World of %s, since no model was given: one %s serves %s requests per second%s; a request takes %.3g s%s, a boot %.0f s; in time is %.3g s. billow sim world prints a model for --world.",
			g.Name, g.Type(), rounded3(per), why, took, lasts, m.Boot.Mean, m.Deadline))
	}
	return nil
}

// leastRequest is the shortest time, in seconds, that a request is taken to last on average: load balancers log milliseconds.
const leastRequest = 0.001

// imagined is how many requests per second one instance of a group serves where no model says it, and why so many.
func (j *simJob) imagined(g *setup.Group, t load.Trace) (per float64, why string) {
	peak, target := t.Peak(), j.setup.RequestTarget(g.Name)
	switch per := j.perInstance(g); {
	case per > 0:
		return per, ""
	case t.Unit == load.Percent:
		return percentOf, "that is 100 % of its CPU"
	case target > 0:
		per = rounded(target / 60 / peakCPU)
		why = fmt.Sprintf("so that its policy's target of %.6g requests per minute is %.0f %% CPU", target, 100*peakCPU)
		return atLeast(per, why, t.Service)
	case peak > 0 && g.Max > 0:
		per = rounded(peak / (peakShare * peakCPU * float64(g.Max)))
		why = fmt.Sprintf("so that the peak of %s needs %.0f %% of its MaxSize %d at %.0f %% CPU", rounded3(peak), 100*peakShare, g.Max, 100*peakCPU)
		return atLeast(per, why, t.Service)
	}
	return percentOf, ""
}

// atLeast is what an instance serves that works on one request at a time, where it is known how long they last.
func atLeast(per float64, why string, service float64) (float64, string) {
	if service = max(service, leastRequest); service > leastRequest && per*service < 1 {
		return rounded(1 / service), "that is one at a time"
	}
	return per, why
}

func rounded3(v float64) string { return strconv.FormatFloat(rounded(v), 'f', -1, 64) }

// rounded has three digits that count.
func rounded(v float64) float64 {
	short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	return short
}

// worldOf is the model of a group.
func (j *simJob) worldOf(group string) world.Model {
	if m, own := j.worlds[group]; own {
		return m
	}
	return j.world
}

// scenario is the run of one set-up.
func (j *simJob) scenario(name string, s setup.Setup) sim.Scenario {
	hooks := map[string]time.Duration{}
	for _, h := range s.Hooks {
		hooks[h] = j.input.HookTime
	}
	return sim.Scenario{
		Name: name, Seed: j.world.Seed, Setup: s.Apply, Loads: j.loads, World: j.world, Worlds: j.worlds, From: j.from, To: j.to, Hooks: hooks,
	}
}

// judge compares an outcome with what nobody can do without, and with its policies' target.
func (j *simJob) judge(o *outcome.Outcome, s setup.Setup, plan world.Plan) {
	g := s.Find(o.Group)
	ready, err := world.Prepare(j.worldOf(o.Group))
	if g == nil || err != nil {
		return
	}
	kind, _ := ready.Kind(g.Type())
	o.Summarize(s.Target(o.Group, ready.PerSecond(kind)))
	o.Summary.Compare(plan.Bound)
	j.beside(o, plan)
}

// beside puts a plan's instances beside those of an outcome, and tells if it serves nothing.
func (j *simJob) beside(o *outcome.Outcome, plan world.Plan) {
	t := j.loads[o.Group]
	for i := range o.Points {
		at := o.Points[i].At.Sub(t.Start)
		if n := int(at / t.Step); at >= 0 && n < len(plan.Instances) {
			o.Points[i].Optimum = plan.Instances[n]
		}
	}
	switch answered := o.Summary.InTime + o.Summary.Late; {
	case o.Summary.Requests == 0:
	case answered == 0:
		j.notes = append(j.notes, fmt.Sprintf("%s serves nothing: none of its requests is answered, so that its instance-hours are no saving.", o.Name))
	case answered < hardly:
		j.notes = append(j.notes, fmt.Sprintf("%s serves hardly anything: %s of its requests are answered, so that its instance-hours are no saving.", o.Name, report.Share(answered)))
	}
}

// hardly is a share of the requests that is next to nothing.
const hardly = 0.05

// optimum is what one who knows the load would have, or why there is no such plan.
func (j *simJob) optimum(group string) (world.Plan, error) {
	ready, err := world.Prepare(j.worldOf(group))
	if err != nil {
		return world.Plan{}, err
	}
	g := j.setup.Find(group)
	if g.Max == 0 {
		return world.Plan{}, errors.New("its MaxSize is 0")
	}
	kind, known := ready.Kind(g.Type())
	if !known {
		return world.Plan{}, nil // the run says it
	}
	plan, err := ready.Optimum(j.loads[group], world.Aim{Kind: kind, InTime: j.input.InTime, Min: g.Min, Max: g.Max})
	if err == nil {
		j.notes = unique(append(j.notes, fmt.Sprintf("Lower bound: with fewer instance-hours nobody has %.6g %% in time (--in-time), not even one who knows the load. "+
			"The optimum in plots and CSV is a plan for one who does, in whole instances: a little more.", 100*j.input.InTime)))
	}
	return plan, err
}
