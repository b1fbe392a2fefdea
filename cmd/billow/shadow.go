package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/billow-cloud/billow/api"
	metrics "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/daemon"
)

// shadowCommands are about policies that are watched on a live group without acting.
type shadowCommands struct {
	Put    shadowPut    `cmd:"" help:"Watch a policy, or a set of policies, on a live group without acting."`
	List   shadowList   `cmd:"" help:"List what is watched."`
	Report shadowReport `cmd:"" help:"Compare what a shadow would have done with what was done."`
	Delete shadowDelete `cmd:"" help:"Stop watching."`
}

// shadowServer is where a group is.
type shadowServer struct {
	data
	Region string `help:"Region of the group; needed only if several have one of that name."`
	JSON   bool   `name:"json" help:"Print everything as JSON."`
}

func (s *shadowServer) ask(ctx context.Context, operation string, in any) (autoscaling.ShadowListOutput, error) {
	var out autoscaling.ShadowListOutput
	return out, daemon.Ask(ctx, s.Data, s.Region, operation, in, &out)
}

type shadowPut struct {
	shadowServer
	Group       string   `arg:"" help:"Auto Scaling group."`
	Policy      string   `arg:"" help:"JSON as put-scaling-policy --cli-input-json takes it or describe-policies prints it; - is standard input." placeholder:"POLICY.json"`
	Alarm       []string `help:"JSON of the alarms that call step and simple policies: as put-metric-alarm takes it or describe-alarms prints it." placeholder:"FILE"`
	Name        string   `help:"Name of the shadow; by default its first policy's."`
	PerInstance bool     `help:"Take the alarms' metrics to be of work that the instances share, so that it can be followed what the group would have come to."`
}

func (p *shadowPut) Run(ctx context.Context) error {
	in := autoscaling.ShadowPutInput{Group: p.Group, Region: p.Region, Name: p.Name, PerInstance: p.PerInstance}
	var err error
	if in.Policies, err = readJSON[autoscaling.ShadowPolicy](p.Policy, "ScalingPolicies"); err != nil {
		return err
	}
	for _, x := range in.Policies {
		if api.Value(x.PolicyName) == "" && x.PolicyType == nil && x.TargetTrackingConfiguration == nil && len(x.StepAdjustments) == 0 {
			return fmt.Errorf("%s holds no scaling policy: give what put-scaling-policy --cli-input-json takes or describe-policies prints", p.Policy)
		}
	}
	for _, file := range p.Alarm {
		alarms, err := readJSON[metrics.PutMetricAlarmInput](file, "MetricAlarms")
		if err != nil {
			return err
		}
		in.Alarms = append(in.Alarms, alarms...)
	}
	var out autoscaling.ShadowReport
	if err := daemon.Ask(ctx, p.Data, p.Region, "shadow-put", in, &out); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(append([]string{p.Policy}, p.Alarm...), ", "), err)
	}
	if p.JSON {
		return printJSON(os.Stdout, out)
	}
	fmt.Println(indented(fmt.Sprintf("Shadow %s watches group %s from now on, and never acts: %s.", out.Name, out.Group, strings.Join(out.Policies, "; ")), 0))
	if out.Replaced != nil {
		fmt.Println(indented(fmt.Sprintf("The shadow of that name that was watched since %s UTC is gone, with what it had come to.", out.Replaced.Format("2006-01-02 15:04:05")), 0))
	}
	for _, x := range in.Policies {
		if of := api.Value(x.AutoScalingGroupName); of != "" && of != p.Group {
			fmt.Println(indented(fmt.Sprintf("Policy %s is written for group %s; here it is watched on %s.", api.Value(x.PolicyName), of, p.Group), 0))
		}
	}
	if out.Apart != "" {
		fmt.Println(indented("What the group would have come to is not followed: "+out.Apart+" (--per-instance says that it is).", 0))
	}
	return nil
}

// readJSON reads a file that holds one thing, a list of them, or an object with such a list by name.
func readJSON[T any](file, list string) ([]T, error) {
	var text []byte
	var err error
	name := file
	if file == "-" {
		name = "standard input"
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	fail := func(err error) error {
		var syntax *json.SyntaxError
		var wrong *json.UnmarshalTypeError
		line := 1
		switch {
		case errors.As(err, &syntax):
			line += bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
		case errors.As(err, &wrong):
			line += bytes.Count(text[:min(int(wrong.Offset), len(text))], []byte("\n"))
			err = fmt.Errorf("%s cannot be a %s", wrong.Field, wrong.Value)
		}
		return fmt.Errorf("%s:%d: %w", name, line, err)
	}
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '[' {
		var all []T
		if err := json.Unmarshal(text, &all); err != nil {
			return nil, fail(err)
		}
		return all, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, fail(err)
	}
	if inner, ok := members[list]; ok {
		var all []T
		if err := json.Unmarshal(inner, &all); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", name, list, err)
		}
		return all, nil
	}
	var one T
	if err := json.Unmarshal(text, &one); err != nil {
		return nil, fail(err)
	}
	return []T{one}, nil
}

type shadowList struct {
	shadowServer
	Group string `arg:"" optional:"" help:"Auto Scaling group; all if it is left out."`
}

func (l *shadowList) Run(ctx context.Context) error {
	out, err := l.ask(ctx, "shadow-list", autoscaling.ShadowInput{Group: l.Group, Region: l.Region})
	if err != nil {
		return err
	}
	if l.JSON {
		return printJSON(os.Stdout, out)
	}
	if len(out.Shadows) == 0 {
		fmt.Println("There are no shadows.")
		return nil
	}
	t := plainTable(os.Stdout, 16, 16, paper-60, 20)
	t.AppendHeader(table.Row{"group", "shadow", "policies", "differs in"})
	for _, s := range out.Shadows {
		w := s.Watch
		t.AppendRow(table.Row{s.Group, s.Name, strings.Join(s.Policies, "; "), fmt.Sprintf("%d of %d evaluations", w.More+w.Fewer, w.Evaluations)})
	}
	t.Render()
	return nil
}

type shadowDelete struct {
	shadowServer
	Group string `arg:"" help:"Auto Scaling group."`
	Name  string `arg:"" help:"The shadow."`
}

func (d *shadowDelete) Run(ctx context.Context) error {
	out, err := d.ask(ctx, "shadow-delete", autoscaling.ShadowInput{Group: d.Group, Region: d.Region, Name: d.Name})
	if err == nil && d.JSON {
		return printJSON(os.Stdout, out)
	}
	return err
}

type shadowReport struct {
	shadowServer
	Group string `arg:"" help:"Auto Scaling group."`
	Name  string `arg:"" optional:"" help:"The shadow; all of the group if it is left out."`
}

func (r *shadowReport) Run(ctx context.Context) error {
	out, err := r.ask(ctx, "shadow-report", autoscaling.ShadowInput{Group: r.Group, Region: r.Region, Name: r.Name})
	if err != nil {
		return err
	}
	if r.JSON {
		return printJSON(os.Stdout, out)
	}
	for i := range out.Shadows {
		if i > 0 {
			fmt.Println()
		}
		reportShadow(os.Stdout, &out.Shadows[i])
	}
	return nil
}

func reportShadow(w io.Writer, s *autoscaling.ShadowReport) {
	x := &s.Watch
	fmt.Fprintf(w, "Shadow %s on group %s, watched for %s since %s UTC (the cloud's time)\n", s.Name, s.Group,
		s.Now.Sub(s.Made).Round(time.Second), s.Made.Format("2006-01-02 15:04:05"))
	for _, p := range s.Policies {
		fmt.Fprintln(w, indented(p, 2))
	}
	fmt.Fprintln(w, "\nOn the real group: what it would have set at each evaluation, there and then")
	t := plainTable(w, 22, paper-26)
	t.AppendRow(table.Row{"evaluations", x.Evaluations})
	t.AppendRow(table.Row{"agree", fmt.Sprintf("%d: %d without a change, %d with the same one", x.Still+x.Same, x.Still, x.Same)})
	t.AppendRow(table.Row{"differ", fmt.Sprintf("%d: more in %d, fewer in %d", x.More+x.Fewer, x.More, x.Fewer)})
	t.AppendRow(table.Row{"wanted minus set", fmt.Sprintf("%+.2f instance-hours, each wish counted until the next evaluation", x.Wanted)})
	t.AppendRow(table.Row{"newest wish", fmt.Sprintf("%s: %d, where %d was and %d was set: %s", x.Wish.At.Format("15:04:05"), x.Wish.Desired, x.Wish.From, x.Wish.Set, x.Wish.Reason)})
	t.Render()
	reportDivergences(w, s)
	fmt.Fprintln(w, "\nWhat if: what the group would have come to, had the shadow set its capacity since then")
	if s.Apart != "" {
		fmt.Fprintln(w, indented("Not followed: "+s.Apart+".", 2))
		return
	}
	m := &x.Model
	t = plainTable(w, 22, paper-26)
	t.AppendRow(table.Row{"desired capacity", fmt.Sprintf("%d instead of %d", m.Desired, m.RealDesired)})
	share := ""
	if m.RealHours > 0 {
		share = fmt.Sprintf(" (%+.1f %%)", 100*(m.Hours/m.RealHours-1))
	}
	t.AppendRow(table.Row{"instance-hours", fmt.Sprintf("%.2f instead of %.2f%s, from launch to termination", m.Hours, m.RealHours, share)})
	if m.GoalAlarm >= 0 {
		t.AppendRow(table.Row{"minutes over " + value(m.Goal), fmt.Sprintf("%g instead of %g, of %d periods with data", m.Over, m.RealOver, m.Compared)})
	}
	t.AppendRow(table.Row{"changes of capacity", fmt.Sprintf("%d instead of %d", m.Moves, m.RealMoves)})
	t.AppendRow(table.Row{"newest decision", m.Reason})
	t.Render()
	fmt.Fprintln(w, indented(fmt.Sprintf("Taken for it: the work that was measured is there either way and all instances share it (each data point x real instances / its own); "+
		"a launch takes %.0f s, as the last real one; bounds and suspensions are the group's, capacity set by hand or schedule is not followed.", m.Boot), 2))
}

func reportDivergences(w io.Writer, s *autoscaling.ShadowReport) {
	if len(s.First) == 0 {
		return
	}
	const shown = 5
	fmt.Fprintln(w)
	t := plainTable(w, 19, 7, 6, 4, 23, 23)
	t.AppendHeader(table.Row{"differed at", "desired", "shadow", "real", "the shadow says", "what was done"})
	add := func(d autoscaling.Divergence) {
		t.AppendRow(table.Row{d.At.Format("2006-01-02 15:04:05"), d.From, d.Shadow, d.Real, d.Reason, d.RealReason})
	}
	all := append(append([]autoscaling.Divergence(nil), s.First...), s.Newest...)
	for i, d := range all {
		if i < shown || i >= len(all)-shown {
			add(d)
		} else if i == shown {
			t.AppendRow(table.Row{fmt.Sprintf("... %d more", all[len(all)-1].Number-2*shown)})
		}
	}
	t.Render()
}
