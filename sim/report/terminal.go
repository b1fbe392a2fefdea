package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/billow-cloud/billow/sim/outcome"
)

// lineWidth is how wide what is printed may be.
const lineWidth = 96

// instant is how tables and CSV write times: UTC, by the second.
const instant = "2006-01-02 15:04:05"

// Summary writes the figures of all outcomes. A few stand side by side, one figure a line; more than that stand one below
// the other with the figures that decide.
func Summary(w io.Writer, outcomes []outcome.Outcome) {
	if len(outcomes) > 3 {
		ranking(w, outcomes)
		return
	}
	t := Table(w, Right(2, len(outcomes)+1)...)
	head := table.Row{""}
	for _, o := range outcomes {
		head = append(head, o.Name)
	}
	t.AppendHeader(head)
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
	t := Table(w, Right(2, 8)...)
	t.AppendHeader(table.Row{"", "In time", "Lost", "p99", "Hours", "Cost", "vs. bound", "Changes"})
	for _, o := range outcomes {
		s := o.Summary
		t.AppendRow(table.Row{o.Name, brief(s, s.InTime), brief(s, s.Lost), latency(s, s.P99), Number(s.InstanceHours, 1), Number(s.Cost, 2), distance(s), whole(s.Actions)})
	}
	t.Render()
}

// Activities writes what was done and why, one activity a line and its cause below it.
func Activities(w io.Writer, o outcome.Outcome) {
	for _, a := range o.Activities {
		title := a.Description
		if a.StatusCode != "" && a.StatusCode != "Successful" {
			title += " (" + a.StatusCode + ")"
		}
		if c := change(a); c != "" {
			title += " [" + c + "]"
		}
		wrapped(w, a.StartTime.UTC().Format(instant)+"  ", strings.Repeat(" ", len(instant)+2), title)
		if a.Cause != "" {
			wrapped(w, "    ", "    ", a.Cause)
		}
	}
}

// wrapped writes a text in lines, the first after one text and the others after another one of the same width.
func wrapped(w io.Writer, first, others, what string) {
	for line := range strings.SplitSeq(text.WrapSoft(what, lineWidth-len(first)), "\n") {
		fmt.Fprintf(w, "%s%s\n", first, strings.TrimRight(line, " "))
		first = others
	}
}

// distance is above with its sign.
func distance(s outcome.Summary) string {
	if s.AboveBound == nil || *s.AboveBound < 0 {
		return above(s)
	}
	return "+" + above(s)
}

// Table is a table for a terminal: without lines, two blanks between columns, none at the ends of lines. Headers are as they
// are written, and what is wider than its column's WidthMax is broken between words, if there is a column for it.
func Table(w io.Writer, columns ...table.ColumnConfig) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Format.Header = text.FormatDefault
	t.Style().Box.PaddingLeft, t.Style().Box.PaddingRight = "", "  "
	t.SuppressTrailingSpaces()
	for i := range columns {
		if columns[i].WidthMax > 0 && columns[i].WidthMaxEnforcer == nil {
			columns[i].WidthMaxEnforcer = text.WrapSoft
		}
	}
	t.SetColumnConfigs(columns)
	return t
}

// Right are columns of numbers, from one to another, counted from 1.
func Right(from, to int) (columns []table.ColumnConfig) {
	for n := from; n <= to; n++ {
		columns = append(columns, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	return columns
}
