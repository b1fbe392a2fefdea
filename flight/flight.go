// Package flight is the written form of what a server went through: every input of its control plane, and what each of
// them came to in short, so that it can be gone through again. The daemon writes it, `billow sim replay` reads it.
//
// It is not the durable form of anything: rows are (see store), and a recording can be followed exactly only by the build
// that wrote it. It neither decides when to record nor runs a control plane.
//
// The one idea: a segment stands alone. It begins with all rows and timers of one moment, so that a recording can begin
// in the middle of a server's life and old segments can be dropped; then come the steps. A file is one stream of zstd, so
// that what was written before a crash can be read, up to the last whole record.
package flight

import (
	"fmt"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/region"
)

// Format is the number of the form in which records are written; it grows with every change.
const Format = 1

// Suffix ends the names of segments' files, which are in the order of time: "00000001.blw".
const Suffix = ".blw"

// Folder is where a server keeps its segments, in its data directory.
const Folder = "flight"

// Header begins a segment.
type Header struct {
	Format    int
	Build     Build
	Types     uint32 // Fingerprint of the build
	Server    string // names one run of a server
	Cause     string // why a segment begins: one of the causes
	Note      string // in words, when something is missing before it
	Options   region.Options
	TimeScale float64
	Wall      time.Time // when it began
}

// Why a segment begins or ends.
const (
	CauseStart = "start" // the server started, with the rows it had
	CauseStop  = "stop"  // the server stopped in order
	CauseSize  = "size"  // the segment before was long enough; nothing is missing in between
	CauseReset = "reset" // everything was dropped
	CauseGap   = "gap"   // something is missing: Note says why
)

// Row is one row of a snapshot, or one that a step has changed, in its durable form; Data is nil if it is gone.
type Row struct {
	Table, Key string
	Data       []byte
}

// Step is one input and what came of it.
type Step struct {
	At    time.Time // as it was given to Step
	Input cloud.Input
	// Digest sums up the outputs of this step and all before it in the segment.
	Digest uint32
	// Activities are the scaling activities that the step has written: enough to tell what happened without replaying.
	Activities []Row
}

// ActivityTable is the table whose changes are kept in full.
const ActivityTable = "autoscaling.activities"

// Name says what a step is about.
func Name(in cloud.Input) string {
	switch in := in.(type) {
	case cloud.Call:
		return in.Service + "." + in.Operation
	case cloud.Observed:
		if len(in.Facts) == 1 {
			return fmt.Sprintf("the fact %T", in.Facts[0])
		}
		return fmt.Sprintf("%d facts", len(in.Facts))
	}
	return "a tick"
}
