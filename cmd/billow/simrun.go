package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/billow-cloud/billow/sim"
	"github.com/billow-cloud/billow/sim/outcome"
)

type simRun struct {
	simInput  `embed:""`
	simOutput `embed:""`
	Name      string `help:"Name of the run in what is written; otherwise the group's." placeholder:"NAME"`
}

// Run replays the load.
func (r *simRun) Run(ctx context.Context) error {
	endAtOnce(ctx)
	return interrupted(ctx, r.run(ctx))
}

func (r *simRun) run(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	j, err := r.read()
	if err != nil {
		return err
	}
	show := newProgress(1)
	s := j.scenario(r.Name, j.setup)
	s.Stop, s.Progress = ctx.Err, show.of(0)
	all, err := sim.Run(s)
	show.end()
	if err != nil {
		return err
	}
	all = j.loaded(all)
	for i := range all {
		if r.Name != "" && len(all) > 1 {
			all[i].Name = r.Name + " " + all[i].Group
		}
		plan, err := j.optimum(all[i].Group)
		if err != nil {
			j.notes = append(j.notes, noOptimum(all[i].Group, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		j.judge(&all[i], j.setup, plan)
	}
	title := r.Name
	if title == "" {
		title = strings.Join(j.groups, ", ")
	}
	return r.write(fmt.Sprintf("%s, %s to %s UTC", title, stamp(j.from), stamp(j.to)), j.notes, all)
}

// noOptimum is the note on why there is none.
func noOptimum(group string, err error) string {
	return fmt.Sprintf("There is no optimum for %s, and no lower bound: %s.", group, strings.TrimPrefix(err.Error(), "world: "))
}

// loaded are the outcomes of groups that have a load.
func (j *simJob) loaded(all []outcome.Outcome) []outcome.Outcome {
	var out []outcome.Outcome
	for _, o := range all {
		if _, has := j.loads[o.Group]; has {
			out = append(out, o)
		}
	}
	return out
}
