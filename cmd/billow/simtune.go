package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/report"
	"github.com/billow-cloud/billow/sim/tune"
	"github.com/billow-cloud/billow/sim/world"
)

type simTune struct {
	simSource `embed:""`
	Group     string  `help:"The group, where several have a load." placeholder:"NAME"`
	Objective float64 `help:"Share of requests that shall be answered in time, such as 0.999; otherwise what target tracking at 50 % CPU reaches." placeholder:"SHARE"`
	Tuned     float64 `help:"Share of the load to tune on; the rest is for judging." default:"0.6"`
	Budget    int     `help:"How many candidates to try: results do not depend on the speed of the machine." default:"3000"`
	Out       string  `help:"Write the recommended policies, alarms and schedules into this directory, as the AWS CLI takes them, with a script that applies them." placeholder:"DIR" type:"path"`
	JSON      bool    `name:"json" help:"Print JSON in place of tables."`
}

// usualGroup is tuned where no file says of a group.
const usualGroup = "web"

// Run searches for the best policies.
func (t *simTune) Run(ctx context.Context) error {
	endAtOnce(ctx)
	return interrupted(ctx, t.run(ctx))
}

func (t *simTune) run(ctx context.Context) error {
	if t.Out != "" {
		if err := os.MkdirAll(t.Out, 0o755); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	o, group, notes, err := t.options()
	if err != nil {
		return err
	}
	show := newProgress(1)
	o.Budget, o.Tuned, o.Objective, o.Seed, o.Workers, o.Stop = t.Budget, t.Tuned, t.Objective, t.Seed, runtime.GOMAXPROCS(0), ctx.Err
	if step := show.of(0); step != nil {
		o.Progress = func(done, of int) { step(time.Duration(done), time.Duration(max(of, 1))) }
	}
	r, err := tune.Run(o)
	show.end()
	if err != nil {
		return err
	}
	r.Notes = append(notes, r.Notes...)
	if t.Out != "" && r.Recommended.Candidate != nil {
		if err := t.save(r, group); err != nil {
			return err
		}
	}
	if t.JSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	tell(os.Stdout, r, group)
	if t.Out != "" {
		fmt.Printf("\nIn %s: the calls as JSON, and apply.sh, which makes them with the AWS CLI.\n", t.Out)
	}
	return nil
}

// options are the load and the world, of the group in the files or, without files, of one that fits the load.
func (t *simTune) options() (o tune.Options, group string, notes []string, err error) {
	if len(t.Files) == 0 {
		return t.alone()
	}
	in := simInput{simSource: t.simSource, InTime: 0.99}
	j, err := in.read()
	if err != nil {
		return o, "", nil, err
	}
	if group, err = (&simCompare{Group: t.Group}).group(j); err != nil {
		return o, "", nil, err
	}
	g := j.setup.Find(group)
	o = tune.Options{Load: j.loads[group], World: j.worldOf(group), Type: kindOf(g), Min: g.Min, Max: g.Max}
	return o, group, j.notes, nil
}

// alone has nothing but a load.
func (t *simTune) alone() (o tune.Options, group string, notes []string, err error) {
	if len(t.Load) != 1 || t.Group != "" {
		return o, "", nil, errors.New("several loads or --group need the groups: give the JSON of aws autoscaling describe-auto-scaling-groups")
	}
	in := simInput{simSource: t.simSource, InTime: 0.99}
	if err := in.bounds(); err != nil {
		return o, "", nil, err
	}
	zone, err := time.LoadLocation(t.Zone)
	if err != nil {
		return o, "", nil, fmt.Errorf("--zone: there is no time zone %q", t.Zone)
	}
	per, kind := t.PerInstance, "*"
	if per == 0 {
		per = percentOf
	}
	o.World = defaultWorld(per, kind)
	if t.World != "" {
		if o.World, kind, per, err = t.onlyType(); err != nil {
			return o, "", nil, err
		}
	}
	l, err := load.Read(t.Load[0], load.Options{Unit: load.Unit(t.Unit), Value: t.Value, Zone: zone, Step: t.Slot, Gaps: load.Gaps(t.Gaps), PerInstance: per})
	if err != nil {
		return o, "", nil, err
	}
	for i := range l.Rates {
		l.Rates[i] *= t.Scale
	}
	if t.World == "" && t.PerInstance == 0 {
		l = tune.Fit(l, per)
	}
	j := &simJob{input: &in, loads: map[string]load.Trace{usualGroup: l}, groups: []string{usualGroup}}
	if err := j.cut(); err != nil {
		return o, "", nil, err
	}
	o.Load, o.Type, o.World.Seed = j.loads[usualGroup], kind, t.Seed
	return o, usualGroup, append(j.notes, l.Notes...), nil
}

// onlyType is the world of --world, which has to have one instance type.
func (t *simTune) onlyType() (m world.Model, kind string, per float64, err error) {
	j := &simJob{input: &simInput{simSource: t.simSource}}
	if err := j.readWorld(); err != nil {
		return m, "", 0, err
	}
	if len(j.world.Types) != 1 {
		return m, "", 0, fmt.Errorf("%s: which of its instance types? give the JSON of aws autoscaling describe-auto-scaling-groups", t.World)
	}
	for name, x := range j.world.Types {
		kind, per = name, x.PerSecond()
	}
	return j.world, kind, per, nil
}

func (t *simTune) save(r *tune.Result, group string) error {
	files, err := r.Files(r.Recommended.Candidate, group)
	if err != nil {
		return err
	}
	for _, f := range files {
		mode := os.FileMode(0o644)
		if filepath.Ext(f.Name) == ".sh" {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(t.Out, f.Name), f.Body, mode); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	return nil
}

// tell prints what a search found.
func tell(w io.Writer, r *tune.Result, group string) {
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
	fmt.Fprintf(w, "\n%s: tuned on %s to %s, judged on the rest, to %s\n", group, stamp(r.From), stamp(r.Cut), stamp(r.To))
	of := fmt.Sprintf("%s in time", report.Share(r.Objective))
	if r.Relative {
		of = "no fewer in time than target tracking at 50 % CPU, on each part"
	}
	fmt.Fprintf(w, "Objective: %s. %d candidates were tried.\n\n", of, r.Trials)
	rows := []tune.Row{r.Default, r.Sweep, r.Recommended, r.Optimum}
	tuned, held := func(x tune.Row) tune.Figures { return x.Tuned }, func(x tune.Row) tune.Figures { return x.Held }
	figuresOf(w, "On the part that was tuned on", rows, tuned)
	fmt.Fprintln(w)
	figuresOf(w, "On the part that was held back", rows, held)
	s := r.Sure
	fmt.Fprintf(w, "\nOver the %d days that were held back, drawn again and again: it saves %s to %s of the default's hours in nine\nof ten draws, and keeps the objective in %s of them.\n",
		s.Days, report.Share(s.Low), report.Share(s.High), report.Share(s.Share))
	fmt.Fprintf(w, "\nRecommended: %s\n\n", r.Recommended.Candidate)
	front(w, r)
}

// figuresOf is a table of one part of the load.
func figuresOf(w io.Writer, title string, rows []tune.Row, part func(tune.Row) tune.Figures) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{title, "Hours", "", "Cost", "In time", "Lost", "Changes"})
	var right []table.ColumnConfig
	for i := range 6 {
		right = append(right, table.ColumnConfig{Number: i + 2, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(right)
	first := part(rows[0]).Hours
	for _, x := range rows {
		f := part(x)
		if f.Hours == 0 {
			continue
		}
		inTime := report.Share(f.InTime)
		if !f.Meets {
			inTime += " (missed)"
		}
		t.AppendRow(table.Row{x.Name, report.Number(f.Hours, 1), fmt.Sprintf("%+.1f %%", 100*(f.Hours/first-1)), report.Number(f.Cost, 2), inTime, report.Share(f.Lost), f.Actions})
	}
	t.Render()
}

// front prints the Pareto front.
func front(w io.Writer, r *tune.Result) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Format.Header = text.FormatDefault
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 1, Align: text.AlignRight}, {Number: 2, Align: text.AlignRight}, {Number: 3, WidthMax: 72, WidthMaxEnforcer: text.WrapSoft},
	})
	t.AppendHeader(table.Row{"Hours", "In time", "Front: on the tuned part nothing tried costs less and serves as many in time"})
	for _, p := range r.Front {
		t.AppendRow(table.Row{report.Number(p.Hours, 1), report.Share(p.InTime), strings.ReplaceAll(p.Candidate.String(), "; ", ", ")})
	}
	t.Render()
}
