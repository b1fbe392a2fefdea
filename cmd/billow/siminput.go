package main

import (
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
	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/setup"
	"github.com/billow-cloud/billow/sim/world"
)

// simSource is what a group and its load are read from.
type simSource struct {
	Files []string `arg:"" optional:"" help:"JSON that aws describe-* printed (groups, policies, alarms, templates, scheduled actions ...), inputs of calls, or scripts of aws calls, in any order."`

	Load  []string      `help:"Load: CSV (time, value), JSON of aws cloudwatch get-metric-data or get-metric-statistics, an ALB access log or a folder of them. GROUP=FILE where there are several groups." placeholder:"FILE" required:"" sep:"none"`
	Unit  string        `help:"What a value of the load is: count (requests per period), rps, rpm, or percent (CPU; 100 is what one instance can do)." enum:",count,rps,rpm,percent" default:""`
	Value string        `help:"The column of the CSV, or the Id or Label of the metric, that is the load." placeholder:"NAME"`
	Zone  string        `help:"Time zone of times that name none, such as Europe/Berlin." default:"UTC"`
	Gaps  string        `help:"What a period without a value means: auto (filled up to an hour or three periods, else no load), zero, interpolate, or refuse." enum:",auto,zero,interpolate,refuse" default:""`
	Slot  time.Duration `help:"Slots of the load; longer ones of the file are smoothed, shorter ones averaged." default:"1m"`
	Scale float64       `help:"The load times this." default:"1"`

	World       string  `help:"World model (JSON): see billow sim world." placeholder:"FILE"`
	PerInstance float64 `help:"Requests per second that one instance serves at 100 % CPU; otherwise as the load needs." placeholder:"RATE"`

	From string `help:"Begin of the run (2006-01-02 15:04); otherwise where the load begins." placeholder:"TIME"`
	To   string `help:"End of the run; otherwise where the load ends." placeholder:"TIME"`
	Seed uint64 `help:"Decides all that is left to chance." default:"1"`
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
	if j.setup, err = setup.Read(in.Files, setup.Options{}); err != nil {
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
	if j.setup, err = setup.Read(in.Files, setup.Options{Start: j.from}); err != nil {
		return nil, err
	}
	j.notes = append(j.notes, j.setup.Notes...)
	if len(j.setup.Hooks) > 0 {
		j.notes = append(j.notes, fmt.Sprintf("Lifecycle actions of %s are completed after %v (--hook-time).", strings.Join(j.setup.Hooks, ", "), in.HookTime))
	}
	if err := j.checkWorld(); err != nil {
		return nil, err
	}
	j.imagine()
	j.notes = unique(j.notes)
	return j, nil
}

// bounds checks the numbers.
func (in *simInput) bounds() error {
	switch {
	case !(in.Scale > 0) || math.IsInf(in.Scale, 0):
		return errors.New("--scale must be above 0")
	case !(in.PerInstance >= 0) || math.IsInf(in.PerInstance, 0):
		return errors.New("--per-instance must not be below 0")
	case !(in.InTime > 0 && in.InTime <= 1):
		return errors.New("--in-time must be above 0 and at most 1")
	case in.Slot < 0 || in.Slot > time.Hour:
		return errors.New("--slot must be at most an hour: within a slot the load does not change")
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
		if _, known := j.world.Types[kindOf(g)]; !known && !isAny(j.world) {
			return fmt.Errorf("%s: it has no instance type %s, which group %s uses; add it to instance_types, or \"*\" for any", j.input.World, kindOf(g), name)
		}
	}
	for i, e := range j.world.Failures.Events {
		switch {
		case e.At >= j.to.Sub(j.from).Seconds():
			j.notes = append(j.notes, fmt.Sprintf("%s: event %d (%s) is after the end of the run.", j.input.World, i+1, e.Kind))
		case e.Zone != "" && e.Kind != world.NoMetrics && len(zones) > 0 && !slices.ContainsFunc(zones, e.Affects):
			j.notes = append(j.notes, fmt.Sprintf("%s: event %d (%s) is in the zone %s, where no group is: nothing comes of it.", j.input.World, i+1, e.Kind, e.Zone))
		}
	}
	return nil
}

func isAny(m world.Model) bool { _, any := m.Types["*"]; return any }

// readWorld reads the world model, if there is one.
func (j *simJob) readWorld() error {
	if j.input.World == "" {
		return nil
	}
	f, err := os.Open(j.input.World)
	if err != nil {
		return fmt.Errorf("%s: %w", j.input.World, unwrapped(err))
	}
	defer f.Close()
	if j.world, err = world.Read(j.input.World, f); err != nil {
		return err
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
	t, own := j.world.Types[kindOf(g)]
	if !own {
		t = j.world.Types["*"]
	}
	if !(t.ServiceTime.Mean > 0) {
		return 0
	}
	return t.PerSecond()
}

func kindOf(g *setup.Group) string {
	if len(g.InstanceTypes) == 0 {
		return setup.DefaultType
	}
	return g.InstanceTypes[0]
}

// mostRate is the most requests per second that are taken for a load.
const mostRate = 1e15

func (j *simJob) readLoads() error {
	zone, err := time.LoadLocation(j.input.Zone)
	if err != nil {
		return fmt.Errorf("--zone: there is no time zone %q", j.input.Zone)
	}
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
		t, err := load.Read(path, load.Options{Unit: load.Unit(j.input.Unit), Value: j.input.Value, Zone: zone, Step: j.input.Slot, Gaps: load.Gaps(j.input.Gaps), PerInstance: per})
		if err != nil {
			return err
		}
		for i := range t.Rates {
			t.Rates[i] *= j.input.Scale
		}
		if peak := t.Peak(); peak > mostRate {
			return fmt.Errorf("%s: times %g it is %.3g requests per second, which is too large for a load", path, j.input.Scale, peak)
		}
		for _, n := range t.Notes {
			j.notes = append(j.notes, fmt.Sprintf("%s: %s", path, n))
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
		return nil, "", fmt.Errorf("--load %s: there is no group %s; there are %s", text, name, j.names())
	}
	if len(j.setup.Groups) != 1 {
		return nil, "", fmt.Errorf("--load %s: of which group? --load GROUP=%s, of %s", text, filepath.Base(text), j.names())
	}
	return &j.setup.Groups[0], text, nil
}

func (j *simJob) names() string {
	var names []string
	for _, g := range j.setup.Groups {
		names = append(names, g.Name)
	}
	return strings.Join(names, ", ")
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
		at, err := instantOf(x.text)
		if err != nil {
			return fmt.Errorf("%s %s: %w", x.flag, x.text, err)
		}
		*x.to = at
	}
	if j.input.From != "" && j.input.To != "" && !j.from.Before(j.to) {
		return fmt.Errorf("--from %s is not before --to %s", j.input.From, j.input.To)
	}
	if !j.from.Before(j.to) || !j.from.Before(last) || !first.Before(j.to) {
		return fmt.Errorf("there is no load from %s to %s: it goes from %s to %s", stamp(j.from), stamp(j.to), stamp(first), stamp(last))
	}
	if j.from.Before(first) || last.Before(j.to) {
		j.notes = append(j.notes, fmt.Sprintf("The load goes from %s to %s; in the rest of the run there is none.", stamp(first), stamp(last)))
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

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04") }

func instantOf(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, errors.New("is not a time: 2006-01-02 15:04, in UTC")
}

// Where nothing says what an instance can do: how much of a group its load's peak needs, or how busy an instance is that
// has as many requests as its policy wants it to have.
const (
	peakShare = 0.7 // of MaxSize
	peakCPU   = 0.7

	longRequest = 5 // seconds: more than that is told
)

// imagine makes a world for every group, where there is no model.
func (j *simJob) imagine() {
	j.world.Seed = j.input.Seed
	if j.input.World != "" {
		return
	}
	for i := range j.setup.Groups {
		g := &j.setup.Groups[i]
		per, why := j.perInstance(g), ""
		peak := j.loads[g.Name].Peak()
		switch {
		case per > 0:
		case j.input.Unit == string(load.Percent):
			per, why = percentOf, "that is 100 % of its CPU"
		case j.setup.RequestTarget(g.Name) > 0:
			target := j.setup.RequestTarget(g.Name)
			per = rounded(target / 60 / peakCPU)
			why = fmt.Sprintf("so that its policy's target of %.6g requests per minute is %.0f %% CPU", target, 100*peakCPU)
		case peak > 0 && g.Max > 0:
			per = rounded(peak / (peakShare * peakCPU * float64(g.Max)))
			why = fmt.Sprintf("so that the peak of %s needs %.0f %% of its MaxSize %d at %.0f %% CPU", rounded3(peak), 100*peakShare, g.Max, 100*peakCPU)
		default:
			per = percentOf
		}
		m := defaultWorld(per, kindOf(g))
		m.Seed = j.input.Seed
		j.worlds[g.Name] = m
		if _, loaded := j.loads[g.Name]; !loaded {
			continue
		}
		t := m.Types[kindOf(g)]
		if why != "" {
			why = ", " + why
		}
		if t.ServiceTime.Mean > longRequest {
			j.notes = append(j.notes, fmt.Sprintf("The load of %s is so small for its MaxSize that a request was taken to last %.3g s: say with --per-instance how many an instance serves.", g.Name, t.ServiceTime.Mean))
		}
		j.notes = append(j.notes, fmt.Sprintf("World of %s, since no model was given: one %s serves %s requests per second%s; a request takes %.3g s, a boot %.0f s; in time is %.3g s. billow sim world prints a model for --world.",
			g.Name, kindOf(g), rounded3(per), why, t.ServiceTime.Mean, m.Boot.Mean, m.Deadline))
	}
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
		Name: name, Seed: j.input.Seed, Setup: s.Apply, Loads: j.loads, World: j.world, Worlds: j.worlds, From: j.from, To: j.to, Hooks: hooks,
	}
}

// judge compares an outcome with the optimum, and with its policies' target.
func (j *simJob) judge(o *outcome.Outcome, s setup.Setup, plan world.Plan) {
	g := s.Find(o.Group)
	ready, err := world.Prepare(j.worldOf(o.Group))
	if g == nil || err != nil {
		return
	}
	kind, _ := ready.Kind(kindOf(g))
	o.Summarize(s.Target(o.Group, ready.PerSecond(kind)))
	o.Summary.Compare(plan.Bound)
	t := j.loads[o.Group]
	for i := range o.Points {
		at := o.Points[i].At.Sub(t.Start)
		if n := int(at / t.Step); at >= 0 && n < len(plan.Instances) {
			o.Points[i].Optimum = plan.Instances[n]
		}
	}
}

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
	kind, known := ready.Kind(kindOf(g))
	if !known {
		return world.Plan{}, nil // the run says it
	}
	plan, err := ready.Optimum(j.loads[group], world.Aim{Kind: kind, InTime: j.input.InTime, Min: g.Min, Max: g.Max})
	if err == nil {
		j.notes = unique(append(j.notes, fmt.Sprintf("Optimum: the fewest instance-hours with %.6g %% in time, for one who knows the load (--in-time).", 100*j.input.InTime)))
	}
	return plan, err
}
