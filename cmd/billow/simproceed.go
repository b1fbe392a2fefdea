package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/billow-cloud/billow/flight"
	"github.com/billow-cloud/billow/sim/input"
	"github.com/billow-cloud/billow/sim/replay"
	"github.com/billow-cloud/billow/sim/report"
	"github.com/billow-cloud/billow/sim/world"

	sums "github.com/billow-cloud/billow/sim/outcome"
)

// proceed continues a recording with other policies.
func (s *simReplay) proceed(ctx context.Context, files []string) error {
	at, wrong := s.instant("--at", s.At, files)
	until, err := s.instant("--until", s.Until, files)
	if err := cmp.Or(wrong, err); err != nil {
		return err
	}
	w := replay.WhatIf{Group: s.Group, At: at, Until: until, Files: s.Policy, Remove: s.Remove, Stop: ctx.Err}
	if s.World != "" {
		f, err := input.Open(s.World)
		if err != nil {
			return err
		}
		defer f.Close()
		m, err := world.Read(s.World, f)
		if err != nil {
			return err
		}
		w.World = &m
	}
	c, err := replay.Continue(files, replay.Options{Build: flight.ThisBuild(), Force: s.Force}, w)
	if err != nil {
		return err
	}
	if s.JSON {
		return printJSON(os.Stdout, c)
	}
	printContinuation(os.Stdout, c)
	return nil
}

func printContinuation(w io.Writer, c *replay.Continuation) {
	fmt.Fprintf(w, "%s from %s to %s by the cloud's clock\n", c.Group, c.At.Format(replayStamp), c.Until.Format(replayStamp))
	for _, n := range c.Notes {
		fmt.Fprintln(w, "note:", n)
	}
	fmt.Fprintln(w)
	t := report.Table(w)
	t.AppendHeader(table.Row{"Time", "What happened", "What would have happened"})
	for _, at := range instants(c.Happened.Activities, c.Changed.Activities) {
		t.AppendRow(table.Row{at.Format("15:04:05"), doneAt(c.Happened.Activities, at), doneAt(c.Changed.Activities, at)})
	}
	t.Render()
	fmt.Fprintln(w)
	figures := report.Table(w, report.Right(2, 4)...)
	figures.AppendHeader(table.Row{"", "happened", "same policies, in the model", "changed"})
	all := []sums.Summary{c.Happened.Summary, c.Same.Summary, c.Changed.Summary}
	row := func(name string, format string, of func(sums.Summary) any) {
		r := table.Row{name}
		for _, x := range all {
			r = append(r, fmt.Sprintf(format, of(x)))
		}
		figures.AppendRow(r)
	}
	row("instance-hours", "%.2f", func(x sums.Summary) any { return x.InstanceHours })
	row("largest number in service", "%d", func(x sums.Summary) any { return x.MaxInstances })
	row("mean utilization, percent", "%.0f", func(x sums.Summary) any { return x.MeanUtilization })
	if c.Target > 0 {
		row(fmt.Sprintf("minutes over %.3g %%", c.Target), "%.0f", func(x sums.Summary) any { return x.MinutesOverTarget })
	}
	row("changes of desired capacity", "%d", func(x sums.Summary) any { return x.Actions })
	if all[0].Requests > 0 {
		row("requests", "%.0f", func(x sums.Summary) any { return x.Requests })
		row("not answered, percent", "%.3g", func(x sums.Summary) any { return 100 * x.Lost })
	}
	figures.Render()
}

const replayStamp = "2006-01-02 15:04:05"

// instants are those at which activities began, by the second.
func instants(lists ...[]sums.Activity) (all []time.Time) {
	for _, list := range lists {
		for _, a := range list {
			all = append(all, a.StartTime.Truncate(time.Second))
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

// doneAt tells in short what began at an instant.
func doneAt(list []sums.Activity, at time.Time) string {
	var lines []string
	for _, a := range list {
		if !a.StartTime.Truncate(time.Second).Equal(at) {
			continue
		}
		line := a.Description
		if a.From != a.To {
			line = fmt.Sprintf("desired %d -> %d: %s", a.From, a.To, line)
		}
		if a.StatusCode != "" && a.StatusCode != "Successful" {
			line += " (" + a.StatusCode + ")"
		}
		lines = append(lines, text.WrapSoft(line, 42))
	}
	return strings.Join(lines, "\n")
}
