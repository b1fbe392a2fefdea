package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/billow-cloud/billow/sim/input"
	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/report"
	"github.com/billow-cloud/billow/sim/tune"
	"github.com/billow-cloud/billow/sim/world"
)

type simTune struct {
	File  string `arg:"" optional:"" name:"load-file" help:"The load: CSV (time, value), JSON of aws cloudwatch get-metric-data or get-metric-statistics, an ALB access log or a folder of them."`
	Load  string `help:"The same as a flag, as billow sim run has it." placeholder:"LOAD"`
	Unit  string `help:"What a value of the load is: count (requests per period), rps, rpm, or percent (CPU; 100 is what one instance can do)." enum:",count,rps,rpm,percent" default:""`
	Value string `help:"The column of the CSV, or the Id or Label of the metric, that is the load." placeholder:"NAME"`
	Zone  string `help:"Time zone of times that name none, such as Europe/Berlin." default:"UTC"`
	Gaps  string `help:"What a period without a value means: auto (filled up to an hour or three periods, else no load), zero, interpolate, or refuse." enum:",auto,zero,interpolate,refuse" default:""`

	World       string  `help:"World model (JSON): see billow sim world." placeholder:"FILE"`
	PerInstance float64 `help:"Requests per second that one instance serves at 100 % CPU; otherwise the load is scaled so that 20 instances are half busy on average." placeholder:"RATE"`
	Type        string  `help:"Instance type; otherwise the world model's only one, or m5.large without a model."`
	Group       string  `help:"Name of the Auto Scaling group, for what is written." default:"web"`
	Min         int     `help:"Fewest instances." default:"1"`
	Max         int     `help:"Most instances; otherwise four times what the peak needs at 100 %, from 100 to 1000."`

	Objective float64 `help:"Share of requests to be answered in time, such as 0.999; otherwise what target tracking at 50 % CPU reaches." placeholder:"SHARE"`
	Tuned     float64 `help:"Share of the load to tune on; the rest judges." default:"0.6"`
	Budget    int     `help:"How many policies to try; otherwise as many as take about a minute: 1500 to 6000, more for a shorter load." placeholder:"N"`
	Seed      uint64  `help:"Decides all that is left to chance." default:"1"`
	Out       string  `help:"Folder for the inputs of the AWS CLI and apply.sh." placeholder:"DIR"`
	JSON      bool    `name:"json" help:"Print JSON in place of tables."`
}

// Run searches and prints.
func (t *simTune) Run(ctx context.Context) error {
	endAtOnce(ctx)
	return interrupted(ctx, t.run(ctx))
}

func (t *simTune) run(ctx context.Context) error {
	o, err := t.options()
	if err != nil {
		return err
	}
	show := newProgress(1)
	if of := show.of(0); of != nil {
		o.Progress = func(done, all int) { of(time.Duration(done), time.Duration(all)) }
	}
	o.Stop, o.Workers = ctx.Err, runtime.GOMAXPROCS(0)
	r, err := tune.Run(o)
	show.end()
	if err != nil {
		return err
	}
	r.Notes = append(append([]string{}, o.Load.Notes...), r.Notes...)
	if err := t.save(r); err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	if t.JSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		t.print(out, r)
	}
	return errors.Join(err, out.Flush())
}

// check refuses what cannot be, and puts in what is not given.
func (t *simTune) check() error {
	t.Load = cmp.Or(t.Load, t.File)
	switch {
	case t.Load == "" || t.File != "" && t.Load != t.File:
		return errors.New("give one load: billow sim tune LOAD, or --load LOAD")
	case t.Tuned < 0.1 || t.Tuned > 0.9:
		return errors.New("--tuned is the share of the load to tune on: from 0.1 to 0.9")
	case t.Objective < 0 || t.Objective >= 1:
		return errors.New("--objective is a share of requests, above 0 and below 1: such as 0.999")
	case t.Budget != 0 && t.Budget < 100:
		return errors.New("--budget must be at least 100 policies")
	case t.Min < 1:
		return errors.New("--min must be at least 1")
	case t.PerInstance < 0:
		return errors.New("--per-instance must be above 0")
	case t.World != "" && t.PerInstance > 0:
		return errors.New("--per-instance is what a world model says: leave off one of them")
	}
	return nil
}

// model reads the world and settles the instance type.
func (t *simTune) model() (world.Model, error) {
	if t.World == "" {
		t.Type = cmp.Or(t.Type, "m5.large")
		return defaultWorld(cmp.Or(t.PerInstance, percentOf), t.Type), nil
	}
	f, err := input.Open(t.World)
	if err != nil {
		return world.Model{}, err
	}
	defer f.Close()
	m, err := world.Read(input.Name(t.World), f)
	if err != nil {
		return m, err
	}
	names := slices.Sorted(maps.Keys(m.Types))
	switch {
	case t.Type != "":
	case len(names) == 1:
		t.Type = names[0]
	default:
		return m, fmt.Errorf("%s has the instance types %s: choose one with --type", t.World, strings.Join(names, ", "))
	}
	return m, nil
}

// options reads what there is to tune.
func (t *simTune) options() (o tune.Options, err error) {
	zone, err := time.LoadLocation(t.Zone)
	if err != nil {
		return o, fmt.Errorf("--zone: there is no time zone %q", t.Zone)
	}
	if err := t.check(); err != nil {
		return o, err
	}
	model, err := t.model()
	if err != nil {
		return o, err
	}
	ready, err := world.Prepare(model)
	if err != nil {
		return o, err
	}
	kind, known := ready.Kind(t.Type)
	if !known {
		return o, fmt.Errorf("%s: it has no instance type %s (--type)", t.World, t.Type)
	}
	o = tune.Options{World: model, Type: t.Type, Min: t.Min, Max: t.Max, Objective: t.Objective, Tuned: t.Tuned, Budget: t.Budget, Seed: t.Seed}
	per := ready.PerSecond(kind)
	o.Load, err = load.Read(t.Load, load.Options{Unit: load.Unit(t.Unit), Value: t.Value, Zone: zone, Gaps: load.Gaps(t.Gaps), PerInstance: per})
	if t.World == "" && o.Load.Service > 0 {
		o.World = lasting(per, max(o.Load.Service, leastRequest), t.Type)
	}
	if err == nil && t.PerInstance == 0 && t.World == "" && o.Load.Unit != load.Percent {
		o.Load = tune.Fit(o.Load, per)
	}
	return o, err
}

// save writes the inputs of the AWS CLI.
func (t *simTune) save(r *tune.Result) error {
	if t.Out == "" {
		return nil
	}
	files, err := r.Files(t.Group)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(t.Out, 0o755); err != nil {
		return input.Fault(t.Out, err)
	}
	for _, f := range files {
		mode := os.FileMode(0o644)
		if f.Executable {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(t.Out, f.Name), f.Data, mode); err != nil {
			return input.Fault(filepath.Join(t.Out, f.Name), err)
		}
	}
	return nil
}

func (t *simTune) print(w io.Writer, r *tune.Result) {
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
	what := fmt.Sprintf("%.5g in time", r.Objective)
	if r.Relative {
		what = "as many in time as target tracking at 50 % CPU"
	}
	fmt.Fprintf(w, "\n%s: tuned on %s to %s, judged on the rest, to %s\nObjective: %s. %d policies were tried.\n\n",
		filepath.Base(t.Load), stamp(r.From), stamp(r.Cut), stamp(r.To), what, r.Trials)
	rows := append([]tune.Row{r.Default, r.Sweep}, r.Missed...)
	for i := range rows[2:] {
		rows[2+i].Name = "tried first"
	}
	rows = append(rows, r.Recommended)
	if r.Optimum.Held.Hours > 0 {
		rows = append(rows, r.Optimum)
	}
	fmt.Fprintln(w, "On the part that was held back")
	t.table(w, rows, func(x tune.Row) tune.Figures { return x.Held })
	fmt.Fprintln(w, "\nOn the tuned part")
	t.table(w, rows, func(x tune.Row) tune.Figures { return x.Tuned })
	fmt.Fprintf(w, "\nRecommended: %s.\n", r.Recommended.Candidate)
	fmt.Fprintf(w, "It costs %s than the default (%.1f to %.1f %% less in nine of ten draws of the %s held back), and %s than the best single target; the objective is kept in %.0f %% of draws.\n",
		dearer(r.Recommended.Held.Hours/r.Default.Held.Hours), 100*r.Sure.Low, 100*r.Sure.High, days(r.Sure.Days), dearer(r.Recommended.Held.Hours/r.Sweep.Held.Hours), 100*r.Sure.Share)
	fmt.Fprintln(w, "\nThe front on the tuned part, by the quick model that searches (the tables above are the whole control plane's):")
	fmt.Fprintln(w, "what costs less has fewer in time. Strain: late requests under stress against the default's, below 0 is better.")
	p := report.Table(w, report.Right(1, 3)...)
	p.AppendHeader(table.Row{"Hours", "In time", "Strain", "Policy"})
	for _, x := range r.Front {
		p.AppendRow(table.Row{fmt.Sprintf("%.1f", x.Hours), report.Share(x.InTime), fmt.Sprintf("%+.1f", x.Strain), x.Candidate.String()})
	}
	p.Render()
	if t.Out != "" {
		fmt.Fprintf(w, "\nThe calls are in %s; sh %s makes them.\n", t.Out, filepath.Join(t.Out, "apply.sh"))
	}
}

func (t *simTune) table(w io.Writer, rows []tune.Row, of func(tune.Row) tune.Figures) {
	p := report.Table(w, report.Right(2, 9)...)
	p.AppendHeader(table.Row{"", "Hours", "of default", "Cost", "In time", "Late", "Lost", "Changes", "Objective"})
	usual := of(rows[0]).Hours
	for _, r := range rows {
		f := of(r)
		kept := "missed"
		if f.Meets {
			kept = "kept"
		}
		changes := fmt.Sprint(f.Actions)
		if r.Candidate == nil {
			changes = ""
		}
		p.AppendRow(table.Row{r.Name, fmt.Sprintf("%.1f", f.Hours), fmt.Sprintf("%+.1f %%", 100*(f.Hours/usual-1)), fmt.Sprintf("%.2f", f.Cost), report.Share(f.InTime), report.Share(f.Late), report.Share(f.Lost), changes, kept})
	}
	p.Render()
}

// dearer is a ratio of costs in words.
func dearer(ratio float64) string {
	if ratio > 1.0005 {
		return fmt.Sprintf("%.1f %% more", 100*(ratio-1))
	}
	return fmt.Sprintf("%.1f %% less", 100*(1-ratio))
}

func days(n int) string {
	if n == 1 {
		return "one day"
	}
	return fmt.Sprintf("%d days", n)
}
