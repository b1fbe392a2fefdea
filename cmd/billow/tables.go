package main

import (
	"io"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/billow-cloud/billow/sim/report"
)

// plainTable is a table below a heading: its lines begin with two blanks. Columns are broken between words where they are
// wider than they may be.
func plainTable(w io.Writer, widths ...int) table.Writer {
	var columns []table.ColumnConfig
	for i, width := range widths {
		columns = append(columns, table.ColumnConfig{Number: i + 1, WidthMax: width})
	}
	t := report.Table(w, columns...)
	t.Style().Box.PaddingLeft, t.Style().Box.PaddingRight = "  ", ""
	return t
}
