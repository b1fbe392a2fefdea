package outcome

import (
	"slices"
	"time"
)

// Slot is the length of a Point; 0 if there are none.
func (o *Outcome) Slot() time.Duration {
	switch len(o.Points) {
	case 0:
		return 0
	case 1:
		return o.To.Sub(o.Points[0].At)
	}
	return o.Points[1].At.Sub(o.Points[0].At)
}

// Summarize adds to the summary what follows from the points: the minutes whose utilization was above a target (percent;
// 0 is none) and the time to react.
func (o *Outcome) Summarize(target float64) {
	o.Summary.MinutesOverTarget = 0
	if target > 0 {
		for i := range o.Points {
			if o.Points[i].Utilization > target {
				o.Summary.MinutesOverTarget += o.Slot().Minutes()
			}
		}
	}
	o.Summary.TimeToReact = o.reaction().Seconds()
}

// reaction is the median time from the start of a slot with more load than capacity to the start of the next one without:
// in service, not only launched. Times still going on at the end do not count, unless there are no others.
func (o *Outcome) reaction() time.Duration {
	var took []time.Duration
	var since time.Time
	under := false
	for i := range o.Points {
		p := &o.Points[i]
		if over := p.Rate > p.Capacity*(1+1e-9); over && !under {
			under, since = true, p.At
		} else if !over && under {
			under = false
			took = append(took, p.At.Sub(since))
		}
	}
	if under && len(took) == 0 {
		took = append(took, o.To.Sub(since))
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return (took[(len(took)-1)/2] + took[len(took)/2]) / 2
}

// CountActions counts the activities that changed the desired capacity.
func (o *Outcome) CountActions() {
	s := &o.Summary
	s.Actions, s.Outs, s.Ins, s.LargestAction = 0, 0, 0, 0
	for _, a := range o.Activities {
		s.Count(a.From, a.To)
	}
}

// Count counts a change of the desired capacity, if it is one.
func (s *Summary) Count(from, to int) {
	switch {
	case to > from:
		s.Outs++
	case to < from:
		s.Ins++
	default:
		return
	}
	s.Actions++
	s.LargestAction = max(s.LargestAction, to-from, from-to)
}

// Compare sets how many instance-hours nobody can do without, and how far above them the run is; 0 is not known.
func (s *Summary) Compare(lowerBound float64) {
	s.LowerBound, s.AboveBound = lowerBound, nil
	if lowerBound > 0 {
		s.AboveBound = new(s.InstanceHours/lowerBound - 1)
	}
}
