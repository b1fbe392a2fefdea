package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/daemon"
)

type explain struct {
	data
	Group  string `arg:"" help:"Auto Scaling group."`
	At     string `help:"When, in the cloud's time: 2026-01-31T12:00:00Z, 12:00 (UTC), or how long ago: 5m." placeholder:"TIME"`
	Last   string `help:"List all evaluations of this long, up to TIME: 30m." placeholder:"DURATION"`
	Region string `help:"Region of the group; needed only if several have one of that name."`
	JSON   bool   `name:"json" help:"Print everything as JSON."`
}

func (e *explain) Run(ctx context.Context) error {
	in := autoscaling.ExplainInput{Group: e.Group, Region: e.Region, At: e.At, Last: e.Last}
	var all autoscaling.ExplainOutput
	for range 100 { // a day's minutes come in parts
		var part autoscaling.ExplainOutput
		if err := daemon.Ask(ctx, e.Data, e.Region, "explain", in, &part); err != nil {
			return err
		}
		part.Evaluations, all.Evaluations = nil, append(all.Evaluations, part.Evaluations...)
		next := part.Next
		part.Evaluations, part.Next = all.Evaluations, time.Time{}
		all = part
		if next.IsZero() {
			break
		}
		if in.After = next; in.At == "" {
			in.At = part.Now.Format(time.RFC3339Nano) // the parts have one end
		}
	}
	if e.JSON {
		return printJSON(os.Stdout, all)
	}
	if e.Last != "" {
		explainList(os.Stdout, all)
		return nil
	}
	for i := range all.Evaluations {
		explainOne(os.Stdout, all.Group, &all.Evaluations[i])
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(v)
}

// paper is how wide what is printed may be.
const paper = 92

func explainOne(w io.Writer, group string, x *autoscaling.Explanation) {
	g := &x.Group
	fmt.Fprintf(w, "Group %s, evaluated at %s UTC (the cloud's time)\n\n", group, x.Due.Format("2006-01-02 15:04:05"))
	fmt.Fprintln(w, indented(told(x), 0))
	fmt.Fprintln(w)
	t := plainTable(w, 12, paper-18)
	t.AppendRow(table.Row{"capacity", fmt.Sprintf("desired %d, min %d, max %d; %d in service, %d pending%s%s", g.Desired, g.Min, g.Max, g.InService, g.Pending,
		unlessNone(", %d standby", g.Standby), unlessNone(", %d terminating", g.Terminating))})
	t.AppendRow(table.Row{"cooldown", timeOr(g.CooldownEnds, "none", "simple policies wait until ")})
	t.AppendRow(table.Row{"warming", warmingText(g.Warming)})
	suspended := "no process"
	if len(g.Suspended) > 0 {
		suspended = strings.Join(g.Suspended, ", ")
	}
	t.AppendRow(table.Row{"suspended", suspended})
	if g.Floor > 0 {
		t.AppendRow(table.Row{"forecast", fmt.Sprintf("%d for this hour: no policy scales in under it", g.Floor)})
	}
	t.Render()
	for i := range x.Policies {
		explainPolicy(w, &x.Policies[i])
	}
	explainActivities(w, x.Activities)
	explainChanges(w, x)
	for _, n := range x.Notes {
		fmt.Fprintln(w, indented("Note: "+n+".", 0))
	}
}

// told is what came of an evaluation, in a sentence or two.
func told(x *autoscaling.Explanation) string {
	switch {
	case x.To != x.From && x.Winner != "":
		return fmt.Sprintf("Desired capacity %d -> %d, by policy %s: %s.", x.From, x.To, x.Winner, x.Reason)
	case x.To != x.From:
		return fmt.Sprintf("Desired capacity %d -> %d: %s.", x.From, x.To, x.Reason)
	case x.Decided.IsZero():
		return fmt.Sprintf("No policy was called, and the desired capacity stayed %d: %s. [%s]", x.From, x.Reason, x.Code)
	}
	return fmt.Sprintf("A policy was called, and the desired capacity stayed %d: %s. [%s]", x.From, x.Reason, x.Code)
}

func unlessNone(format string, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

func timeOr(t time.Time, none, before string) string {
	if t.IsZero() {
		return none
	}
	return before + t.UTC().Format("15:04:05")
}

func warmingText(list []autoscaling.WarmingNote) string {
	if len(list) == 0 {
		return "no instance"
	}
	var parts []string
	for i, m := range list {
		if i == 8 {
			parts = append(parts, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		if m.Until.IsZero() {
			parts = append(parts, m.ID+" is "+m.State)
		} else {
			parts = append(parts, m.ID+timeOr(m.Until, "", " until "))
		}
	}
	return strings.Join(parts, ", ")
}

func explainPolicy(w io.Writer, p *autoscaling.PolicyNote) {
	state := ""
	if !p.Enabled {
		state = ", disabled"
	}
	fmt.Fprintf(w, "\nPolicy %s (%s: %s%s)\n", p.Name, p.Type, p.Does, state)
	said := p.Reason
	switch {
	case p.Wants != nil && p.Winner:
		said = fmt.Sprintf("wants %d and decides: %s", *p.Wants, p.Reason)
	case p.Wants != nil:
		said = fmt.Sprintf("wants %d: %s", *p.Wants, p.Reason)
	case p.Called:
		said = "called, but holds: " + p.Reason
	}
	fmt.Fprintln(w, indented(fmt.Sprintf("%s [%s]", said, p.Code), 2))
	for i := range p.Alarms {
		explainAlarm(w, &p.Alarms[i])
	}
}

func explainAlarm(w io.Writer, a *autoscaling.AlarmNote) {
	unit := a.Unit
	if unit != "" {
		unit = " " + unit
	}
	off := ""
	if !a.ActionsEnabled {
		off = ", actions disabled"
	}
	was := ""
	if a.Before != a.State {
		was = " (it was " + a.Before + ")"
	}
	name := a.Name
	if a.Role != "" {
		name = "of its own, " + a.Role
	}
	fmt.Fprintf(w, "  Alarm %s: %s%s%s%s\n", name, a.State, timeOr(a.Since, "", " since "), was, off)
	fmt.Fprintln(w, indented(fmt.Sprintf("%s %s of %d s %s %s%s: %d of the last %d data points, it takes %d%s", a.Metric, a.Statistic, a.Period,
		a.Comparison, value(a.Threshold), unit, a.Breaching, a.N, a.M, missingText(a)), 4))
	if a.Wrong != "" {
		fmt.Fprintln(w, indented(a.Wrong, 4))
		return
	}
	var points []string
	form := "15:04"
	if a.Period < 60 {
		form = "15:04:05"
	}
	for _, p := range a.Points {
		item := p.At.UTC().Format(form) + " "
		switch {
		case p.Value == nil:
			item += "-"
		default:
			item += value(*p.Value)
			if p.Breaching {
				item += "!"
			}
			if !p.Counted {
				item = "(" + item + ")"
			}
		}
		points = append(points, item)
	}
	fmt.Fprintln(w, lined(points, 4))
}

func missingText(a *autoscaling.AlarmNote) string {
	if a.Missing == 0 {
		return ""
	}
	text := fmt.Sprintf("; %d missing, taken as %s", a.Missing, a.MissingIs)
	if a.MissingIs == "missing" && a.State == "ALARM" && a.Before != a.State && a.Breaching < a.M {
		text += fmt.Sprintf(": all that there are breach, the first of them for %d periods or more, which is enough", a.M) // CW-AL-08
	}
	return text
}

func value(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }

// indented wraps a text behind an indentation.
func indented(s string, by int) string {
	margin := strings.Repeat(" ", by)
	lines := strings.Split(text.WrapSoft(s, paper-by), "\n")
	for i := range lines {
		lines[i] = margin + strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// lined puts items beside each other, as many as a line has room for.
func lined(items []string, by int) string {
	margin := strings.Repeat(" ", by)
	text, width := margin, by
	for i, item := range items {
		if n := utf8.RuneCountInString(item) + 3; width+n > paper && i > 0 {
			text, width = strings.TrimRight(text, " ")+"\n"+margin, by+n
		} else {
			width += n
		}
		text += item + "   "
	}
	return strings.TrimRight(text, " ")
}

func explainActivities(w io.Writer, list []autoscaling.ActivityNote) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w, "\nActivities (* of this decision)")
	for _, a := range list {
		mark := " "
		if a.Decided {
			mark = "*"
		}
		fmt.Fprintf(w, "%s %s %s %s\n", mark, a.Start.UTC().Format("15:04:05"), a.ID, a.Status)
		fmt.Fprintln(w, indented(a.Description, 4))
		fmt.Fprintln(w, indented(a.Cause, 4))
	}
}

func explainChanges(w io.Writer, x *autoscaling.Explanation) {
	fmt.Fprintln(w)
	if len(x.Counterfactuals) == 0 {
		fmt.Fprintln(w, "No single change nearby would have changed the decision.")
		return
	}
	fmt.Fprintln(w, "What would have changed the decision, nearest first (each was evaluated again)")
	t := plainTable(w, paper-24, 20)
	t.AppendHeader(table.Row{"with", "desired capacity"})
	for _, c := range x.Counterfactuals {
		t.AppendRow(table.Row{c.Change, fmt.Sprintf("%d instead of %d", c.Desired, x.To)})
	}
	t.Render()
}

// explainList is one line for each evaluation; those in a row with nothing new are one.
func explainList(w io.Writer, all autoscaling.ExplainOutput) {
	if len(all.Evaluations) == 0 {
		fmt.Fprintf(w, "Group %s had no evaluation in that time.\n", all.Group)
		return
	}
	fmt.Fprintf(w, "Group %s, %s to %s UTC (the cloud's time)\n\n", all.Group,
		all.Evaluations[0].Due.Format("2006-01-02 15:04:05"), all.Evaluations[len(all.Evaluations)-1].Due.Format("15:04:05"))
	t := plainTable(w, 13, 7, 7, 16, paper-52)
	t.AppendHeader(table.Row{"time", "service", "desired", "metrics", "what came of it"})
	for i := 0; i < len(all.Evaluations); {
		x := &all.Evaluations[i]
		n := i + 1
		for n < len(all.Evaluations) && sameOutcome(x, &all.Evaluations[n]) {
			n++
		}
		when := x.Due.Format("15:04:05")
		if n > i+1 {
			when = x.Due.Format("15:04") + "-" + all.Evaluations[n-1].Due.Format("15:04")
			x = &all.Evaluations[n-1]
		}
		desired := fmt.Sprint(x.From)
		if x.To != x.From {
			desired = fmt.Sprintf("%d->%d", x.From, x.To)
		}
		service := fmt.Sprint(x.Group.InService)
		if x.Group.Pending > 0 {
			service += fmt.Sprintf("+%d", x.Group.Pending)
		}
		said := x.Reason
		if n > i+1 && all.Evaluations[i].Reason != said { // the figures are those of the last one
			said = "at " + x.Due.Format("15:04") + ": " + said
		}
		if x.To != x.From && x.Winner != "" {
			said = "policy " + x.Winner + ": " + said
		}
		for _, a := range x.Activities {
			if !a.Decided {
				said += "; " + a.Description
			}
		}
		t.AppendRow(table.Row{when, service, desired, metricsText(x), said + " [" + x.Code + "]"})
		i = n
	}
	t.Render()
	fmt.Fprintln(w, "\nbillow explain "+all.Group+" --at TIME tells one of them in full.")
}

// sameOutcome tells whether nothing new came of the second evaluation.
func sameOutcome(a, b *autoscaling.Explanation) bool {
	return a.From == a.To && b.From == b.To && a.From == b.From && a.Code == b.Code && len(a.Activities)+len(b.Activities) == 0 &&
		a.Group.InService == b.Group.InService && a.Group.Pending == b.Group.Pending
}

// metricsText is the newest data point of everything that alarms look at.
func metricsText(x *autoscaling.Explanation) string {
	var parts []string
	seen := map[string]bool{}
	for i := range x.Policies {
		for _, a := range x.Policies[i].Alarms {
			if seen[a.Metric] || len(a.Points) == 0 {
				continue
			}
			seen[a.Metric] = true
			newest := "-"
			if v := a.Points[len(a.Points)-1].Value; v != nil {
				newest = value(*v)
			}
			parts = append(parts, a.Metric+" "+newest)
		}
	}
	return strings.Join(parts, ", ")
}
