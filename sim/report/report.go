// Package report shows what simulated runs came to: tables for a terminal, CSV for other programs, plots as SVG or PNG, and
// one HTML page with all of it that needs nothing else.
//
// It takes outcomes as they are and computes nothing about scaling; where a long run has more points than a plot has room
// for, neighbours are put together and the plot says so. The same outcomes give the same bytes.
package report

import (
	"time"

	"github.com/billow-cloud/billow/sim/outcome"
)

// Report is what one page is about: one outcome, several of the same group and load side by side, or several groups.
type Report struct {
	Title    string
	Notes    []string // what the reader has to know: the world that was taken, what was repaired in the load
	Outcomes []outcome.Outcome
	Command  string // that makes this report again; may be empty
}

// severalGroups tells whether the outcomes are of more than one group: then each has a load of its own.
func (r Report) severalGroups() bool {
	for _, o := range r.Outcomes {
		if o.Group != r.Outcomes[0].Group {
			return true
		}
	}
	return false
}

// span is how much time the outcomes cover.
func (r Report) span() (from, to time.Time) {
	for i, o := range r.Outcomes {
		if i == 0 || o.From.Before(from) {
			from = o.From
		}
		if i == 0 || o.To.After(to) {
			to = o.To
		}
	}
	return from, to
}
