package sim

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/sim/outcome"
)

// record is what is kept of a group while it runs, beside what its world counts.
type record struct {
	changes    []change // of the desired capacity
	activities []*autoscaling.Activity
	places     map[string]int // of those that are open, by key
}

// change is one of the desired capacity; activity is the place of the first one that follows from it.
type change struct {
	at       time.Time
	from, to int
	activity int
}

func (r *record) change(at time.Time, from, to int) {
	r.changes = append(r.changes, change{at, from, to, len(r.activities)})
}

// activity takes over an activity's row.
func (r *record) activity(key string, row *autoscaling.Activity) {
	if r.places == nil {
		r.places = map[string]int{}
	}
	n, open := r.places[key]
	if !open {
		n = len(r.activities)
		r.activities = append(r.activities, row)
		r.places[key] = n
	}
	r.activities[n] = row
	if !row.End.IsZero() {
		delete(r.places, key)
	}
}

// outcomes are what the groups came to, in order of name.
func (e *engine) outcomes() []outcome.Outcome {
	var all []outcome.Outcome
	for _, f := range e.sorted() {
		if f.world == nil {
			continue
		}
		o := f.world.Finish()
		o.Name, o.Group, o.From, o.To = e.Name, f.name, e.From, e.To
		if o.Name == "" {
			o.Name = f.name
		}
		o.Summary.FailedLaunches = f.failures
		f.record.write(&o, e.From)
		o.Summarize(0)
		all = append(all, o)
	}
	slices.SortStableFunc(all, func(a, b outcome.Outcome) int { return strings.Compare(a.Group, b.Group) })
	return all
}

// write adds activities and changes of the desired capacity to an outcome.
func (r *record) write(o *outcome.Outcome, from time.Time) {
	places := make([]int, len(r.activities))
	for n, a := range r.activities {
		places[n] = -1
		if a.Start.Before(from) && !a.End.IsZero() && a.End.Before(from) {
			continue // of the set-up
		}
		places[n] = len(o.Activities)
		o.Activities = append(o.Activities, outcome.Activity{
			ID: a.ID, StartTime: a.Start, EndTime: a.End, Description: a.Description, Cause: a.Cause, StatusCode: a.StatusCode,
		})
	}
	for _, c := range r.changes {
		o.Summary.Count(c.from, c.to)
		if c.activity < len(places) && places[c.activity] >= 0 && r.activities[c.activity].Start.Equal(c.at) {
			a := &o.Activities[places[c.activity]]
			a.From, a.To = c.from, c.to
		}
	}
}
