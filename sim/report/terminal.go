package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/billow-cloud/billow/sim/outcome"
)

// causeWidth is how wide the sentences below an activity may be.
const causeWidth = 92

// instant is how tables and CSV write times: UTC, by the second.
const instant = "2006-01-02 15:04:05"

// Summary writes the figures of all outcomes. A few stand side by side, one figure a line; more than that stand one below
// the other with the figures that decide.
func Summary(w io.Writer, outcomes []outcome.Outcome) {
	if len(outcomes) > 3 {
		ranking(w, outcomes)
		return
	}
	t := plain(w)
	head := table.Row{""}
	for _, o := range outcomes {
		head = append(head, o.Name)
	}
	t.AppendHeader(head)
	right := []table.ColumnConfig{}
	for i := range outcomes {
		right = append(right, table.ColumnConfig{Number: i + 2, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(right)
	for _, f := range figures {
		row := table.Row{f.name}
		for _, o := range outcomes {
			row = append(row, f.text(o.Summary))
		}
		t.AppendRow(row)
	}
	t.Render()
}

// ranking has one line for each outcome, of 80 columns if names are short.
func ranking(w io.Writer, outcomes []outcome.Outcome) {
	t := plain(w)
	t.Style().Box.PaddingLeft, t.Style().Box.PaddingRight = "", "  "
	t.AppendHeader(table.Row{"", "In time", "Lost", "p99", "Hours", "Cost", "vs. opt.", "Changes"})
	var right []table.ColumnConfig
	for i := range 7 {
		right = append(right, table.ColumnConfig{Number: i + 2, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(right)
	for _, o := range outcomes {
		s := o.Summary
		t.AppendRow(table.Row{o.Name, brief(s, s.InTime), brief(s, s.Lost), latency(s, s.P99), Number(s.InstanceHours, 1), Number(s.Cost, 2), distance(s), s.Actions})
	}
	t.Render()
}

// Activities writes what was done and why, one activity a line and its cause below it.
func Activities(w io.Writer, o outcome.Outcome) {
	for _, a := range o.Activities {
		fmt.Fprintf(w, "%s  %s", a.StartTime.UTC().Format(instant), a.Description)
		if a.StatusCode != "" && a.StatusCode != "Successful" {
			fmt.Fprintf(w, " (%s)", a.StatusCode)
		}
		if c := change(a); c != "" {
			fmt.Fprintf(w, " [%s]", c)
		}
		fmt.Fprintln(w)
		for line := range strings.SplitSeq(text.WrapSoft(a.Cause, causeWidth), "\n") {
			fmt.Fprintf(w, "    %s\n", strings.TrimRight(line, " "))
		}
	}
}

// distance is above with its sign.
func distance(s outcome.Summary) string {
	if s.OptimumHours == 0 || s.AboveOptimum < 0 {
		return above(s)
	}
	return "+" + above(s)
}

func plain(w io.Writer) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Format.Header = text.FormatDefault
	return t
}
