package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/billow-cloud/billow/sim"
	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/peers"
	"github.com/billow-cloud/billow/sim/setup"
	"github.com/billow-cloud/billow/sim/world"
)

// references are those that compare has built in.
var references = []string{"fixed", "hpa", "gcp", "nomad", "keda", "optimum"}

type simCompare struct {
	simInput  `embed:""`
	simOutput `embed:""`
	Name      string   `help:"Name of what the files have; otherwise the group's." placeholder:"NAME"`
	Variant   []string `help:"Other policies, schedules or groups, to take the place of those in the files: NAME=FILE[,FILE...]." placeholder:"NAME=FILE" sep:"none"`
	With      []string `help:"References: fixed, hpa, gcp, nomad, keda, optimum; none for none." default:"fixed,hpa,gcp,nomad,keda,optimum"`
	Group     string   `help:"The group, where several have a load." placeholder:"NAME"`
	Target    float64  `help:"CPU percent that the references keep to; otherwise as the first policies do, or 50." placeholder:"PERCENT"`
}

// variant is one set-up of several.
type variant struct {
	name  string
	setup setup.Setup
}

// Run puts all variants and references side by side.
func (c *simCompare) Run(ctx context.Context) error {
	endAtOnce(ctx)
	return interrupted(ctx, c.run(ctx))
}

func (c *simCompare) run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	with, err := c.with()
	if err != nil {
		return err
	}
	j, err := c.read()
	if err != nil {
		return err
	}
	group, err := c.group(j)
	if err != nil {
		return err
	}
	variants, err := c.variants(j, group)
	if err != nil {
		return err
	}
	show := newProgress(len(variants) + len(references))
	defer show.end()
	all, err := j.runAll(ctx, show, variants, group)
	if err != nil {
		return err
	}
	plan, err := j.optimum(group)
	if err != nil {
		j.notes = append(j.notes, noOptimum(group, err))
	}
	for i := range all {
		j.judge(&all[i], variants[i].setup, plan)
	}
	refs, err := c.peers(ctx, show, j, group, with, plan)
	if err != nil {
		return err
	}
	show.end()
	return c.write(fmt.Sprintf("%s, %s to %s UTC", group, stamp(j.from), stamp(j.to)), j.notes, append(all, refs...))
}

func (c *simCompare) with() ([]string, error) {
	for _, w := range c.With {
		if w != "none" && !slices.Contains(references, w) {
			return nil, fmt.Errorf("--with %s: there are %s, and none", w, strings.Join(references, ", "))
		}
	}
	return c.With, nil
}

// group is the one that is compared.
func (c *simCompare) group(j *simJob) (string, error) {
	switch {
	case c.Group != "" && !slices.Contains(j.groups, c.Group):
		return "", fmt.Errorf("--group %s: it has no load; %s has", c.Group, strings.Join(j.groups, ", "))
	case c.Group != "":
		return c.Group, nil
	case len(j.groups) > 1:
		return "", fmt.Errorf("several groups have a load: choose one of %s with --group", strings.Join(j.groups, ", "))
	}
	return j.groups[0], nil
}

func (c *simCompare) variants(j *simJob, group string) ([]variant, error) {
	first := c.Name
	if first == "" {
		first = group
	}
	all := []variant{{first, j.setup}}
	for _, text := range c.Variant {
		name, files, named := strings.Cut(text, "=")
		if !named || name == "" || files == "" {
			return nil, fmt.Errorf("--variant %s: it must be NAME=FILE", text)
		}
		if slices.ContainsFunc(all, func(v variant) bool { return v.name == name }) {
			return nil, fmt.Errorf("--variant %s: there is a variant %s already", text, name)
		}
		s, err := setup.ReadVariant(c.Files, strings.Split(files, ","), c.options(j.from))
		if err != nil {
			return nil, err
		}
		if s.Find(group) == nil {
			return nil, fmt.Errorf("--variant %s: it has no group %s", text, group)
		}
		for _, n := range s.Notes {
			if !slices.Contains(j.notes, n) {
				j.notes = append(j.notes, n)
			}
		}
		all = append(all, variant{name, s})
	}
	return all, nil
}

// runAll runs the variants beside each other.
func (j *simJob) runAll(ctx context.Context, show *progress, variants []variant, group string) ([]outcome.Outcome, error) {
	all := make([]outcome.Outcome, len(variants))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for i, v := range variants {
		work.Go(func() error {
			s := j.scenario(v.name, v.setup)
			s.Stop, s.Progress = ctx.Err, show.of(i)
			s.Loads = map[string]load.Trace{group: j.loads[group]}
			out, err := sim.Run(s)
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			n := slices.IndexFunc(out, func(o outcome.Outcome) bool { return o.Group == group })
			if n < 0 {
				return fmt.Errorf("%s: group %s came to nothing", v.name, group)
			}
			all[i] = out[n]
			return nil
		})
	}
	return all, work.Wait()
}

// deregistration is how long a target is drained unless told otherwise (LB-DR-01).
const deregistration = 300 * time.Second

// peers are the references' outcomes.
func (c *simCompare) peers(ctx context.Context, show *progress, j *simJob, group string, with []string, plan world.Plan) ([]outcome.Outcome, error) {
	if slices.Contains(with, "none") {
		return nil, nil
	}
	ready, err := world.Prepare(j.worldOf(group))
	if err != nil {
		return nil, err
	}
	g := j.setup.Find(group)
	if g.Max == 0 {
		return nil, nil // the note on the optimum says why
	}
	kind, _ := ready.Kind(g.Type())
	s := peers.Setup{Name: group, Trace: j.loads[group], Ready: ready, Type: g.Type(), Min: g.Min, Max: g.Max, Start: g.Desired, Zones: g.Zones,
		Target: c.Target, InTime: j.input.InTime, Optimum: plan.Bound}
	if g.TargetGroup != "" {
		s.Drain = deregistration
	}
	if s.Target == 0 {
		s.Target = j.setup.Target(group, ready.PerSecond(kind))
	}
	if s.Target == 0 {
		s.Target = 50
	}
	j.notes = append(j.notes, fmt.Sprintf("The references keep to %.3g %% CPU, between MinSize %d and MaxSize %d.", s.Target, g.Min, g.Max))
	list, err := peers.References(s)
	if err != nil {
		j.notes = append(j.notes, fmt.Sprintf("There is neither a fixed size nor a clairvoyant: %s.", strings.TrimPrefix(strings.TrimPrefix(err.Error(), "peers: "), "world: ")))
		list = j.others(s, kind)
	}
	var all []outcome.Outcome
	for i, p := range list {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if told := show.of(len(show.done) - len(references) + min(i, len(references)-1)); told != nil {
			told(1, 1)
		}
		if !slices.Contains(with, short(p)) {
			continue
		}
		o, err := peers.Run(p, s)
		if err != nil {
			return nil, err
		}
		j.beside(&o, plan)
		all = append(all, o)
	}
	return all, nil
}

// others are the references that need not know the load.
func (j *simJob) others(s peers.Setup, kind world.Kind) []peers.Scaler {
	google := peers.NewGoogleMIG(s.Target)
	google.Initialization = max(google.Initialization, s.Ready.Lead())
	return []peers.Scaler{peers.NewKubernetesHPA(s.Target), google, peers.NewNomad(s.Target), peers.NewKEDA(s.Target / 100 * s.Ready.PerSecond(kind))}
}

// short is what --with calls a reference.
func short(p peers.Scaler) string {
	switch p.(type) {
	case *peers.Fixed:
		return "fixed"
	case *peers.KubernetesHPA:
		return "hpa"
	case *peers.GoogleMIG:
		return "gcp"
	case *peers.Nomad:
		return "nomad"
	case *peers.KEDA:
		return "keda"
	case *peers.Clairvoyant:
		return "optimum"
	}
	return ""
}
