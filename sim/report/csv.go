package report

import (
	"encoding/csv"
	"io"
	"strconv"

	"github.com/billow-cloud/billow/sim/outcome"
)

// columns are those of CSV. Rates are requests per second, utilization is in percent, latencies are in seconds; in_time,
// late and lost are requests of the slot; optimum is what a plan for one who knows the load has in service, empty where there
// is no plan; forecast is 0 where there is none.
var columns = []string{"outcome", "time", "rate", "desired", "in_service", "pending", "utilization", "in_time", "late", "lost",
	"backlog", "p50", "p95", "p99", "optimum", "forecast"}

// CSV writes every point of every outcome.
func CSV(w io.Writer, outcomes []outcome.Outcome) error {
	out := csv.NewWriter(w)
	if err := out.Write(columns); err != nil {
		return err
	}
	real := func(v float64) string { return strconv.FormatFloat(v, 'g', 8, 64) }
	for _, o := range outcomes {
		optimum := func(n int) string {
			if o.Summary.AboveBound == nil {
				return ""
			}
			return strconv.Itoa(n)
		}
		for _, p := range o.Points {
			err := out.Write([]string{o.Name, p.At.UTC().Format("2006-01-02T15:04:05Z"), real(p.Rate), strconv.Itoa(p.Desired), strconv.Itoa(p.InService),
				strconv.Itoa(p.Pending), real(p.Utilization), real(p.InTime), real(p.Late), real(p.Lost), real(p.Backlog),
				real(p.P50), real(p.P95), real(p.P99), optimum(p.Optimum), real(p.Forecast)})
			if err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}
