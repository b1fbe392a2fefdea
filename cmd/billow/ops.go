package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/billow-cloud/billow/api/catalog"
	"github.com/billow-cloud/billow/cloud/region"
	"github.com/billow-cloud/billow/sim/report"
)

type ops struct {
	Service string `arg:"" optional:"" help:"Only this service."`
	Absent  bool   `help:"List the absent operations too, not only their number."`
}

func (o *ops) Run() error {
	control := region.New(region.Options{})
	out := report.Table(os.Stdout, table.ColumnConfig{Number: 4, WidthMax: 70})
	out.AppendHeader(table.Row{"Service", "Operation", "Status", "Note"})
	var summary [][4]any
	for _, s := range catalog.Services {
		if o.Service != "" && s.Name != o.Service {
			continue
		}
		real, stored, absent := 0, 0, 0
		for _, op := range s.Operations {
			known, ok := control.Operation(s.Name, op.Name)
			switch {
			case !ok:
				absent++
				if o.Absent {
					out.AppendRow(table.Row{s.Name, op.Name, "absent", ""})
				}
			case known.Stored:
				stored++
				out.AppendRow(table.Row{s.Name, op.Name, "stored", known.Note})
			default:
				real++
				out.AppendRow(table.Row{s.Name, op.Name, "real", known.Note})
			}
		}
		summary = append(summary, [4]any{s.Name, real, stored, absent})
	}
	if len(summary) == 0 {
		return fmt.Errorf("no service %q; there are %v", o.Service, serviceNames())
	}
	out.Render()
	fmt.Println()
	for _, s := range summary {
		fmt.Printf("%s: %d real, %d stored, %d absent\n", s[:]...)
	}
	return nil
}

func serviceNames() []string {
	var names []string
	for _, s := range catalog.Services {
		names = append(names, s.Name)
	}
	return slices.Sorted(slices.Values(names))
}
