package fuzz

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/flight"
)

// twin is a second cloud that goes on from a snapshot of the first, as the replay of a flight recording does that begins
// in the middle of a life: it gets every input in its written form, and must come to the same, step by step.
type twin struct {
	of, cloud *cloud.Cloud // of is nil in runs without a twin
	is, wants uint32       // digests
	left      int          // steps until the next snapshot
	written   []byte
	buffer    []byte
}

const (
	twinSteps = 150 // that a twin lives
	twinRuns  = 8   // one run of so many has twins: they cost as much as everything else
)

// record takes an input before the cloud does.
func (r *run) record(in cloud.Input) {
	if r.options.Seed%twinRuns != 0 {
		return
	}
	t := &r.twin
	if t.left--; t.left < 0 || t.of != r.cloud {
		*t = twin{of: r.cloud, cloud: r.fresh(), left: twinSteps}
		r.cloud.Freeze()(func(table, key string, row any) bool {
			data, err := json.Marshal(row)
			if err == nil {
				err = t.cloud.Load(table, key, data)
			}
			if err != nil {
				r.fail("every row has a durable form", "%v", err)
			}
			return true
		})
		t.cloud.Resume(r.cloud.Moment())
	}
	var err error
	if t.written, err = flight.AppendInput(t.written[:0], r.cloud, in); err != nil {
		r.fail("every input can be recorded", "%v", err)
	}
}

// replay gives the twin what was recorded, and compares what the two came to.
func (r *run) replay(at time.Time, out cloud.Output) {
	t := &r.twin
	if t.of == nil {
		return
	}
	in, err := flight.ReadInput(t.written, t.cloud)
	if err != nil {
		r.fail("every input can be recorded", "%v", err)
	}
	t.wants, t.buffer = flight.Digest(t.wants, out, t.buffer)
	again := t.cloud.Step(at, in)
	if t.is, t.buffer = flight.Digest(t.is, again, t.buffer); t.is != t.wants || !r.cloud.Wake().Equal(t.cloud.Wake()) {
		r.fail("a recording replays", "%d steps after a snapshot %s gives another output: the one wakes at %v, the other at %v%s",
			twinSteps-t.left, flight.Name(in), r.cloud.Wake(), t.cloud.Wake(), firstOther(out, again))
	}
}

// firstOther is where two outputs differ, as far as JSON shows it.
func firstOther(a, b cloud.Output) string {
	if len(a.Changes) != len(b.Changes) || len(a.Effects) != len(b.Effects) {
		return fmt.Sprintf("; %d rows and %d effects, or %d and %d", len(a.Changes), len(a.Effects), len(b.Changes), len(b.Effects))
	}
	for i := range a.Changes {
		x, _ := json.Marshal(a.Changes[i])
		if y, _ := json.Marshal(b.Changes[i]); string(x) != string(y) {
			return fmt.Sprintf("\n%s\n%s", x, y)
		}
	}
	x, _ := json.Marshal(a.Reply)
	y, _ := json.Marshal(b.Reply)
	return fmt.Sprintf("; %v, %v\n%s\n%s", a.Err, b.Err, x, y)
}
