// Package twin is a quick double of a group and its policies on sim/world, for a search that tries thousands of policies:
// about a microsecond a virtual minute and no allocation, where the engine in sim runs the whole control plane.
//
// It is not a second opinion: what a policy makes of what it sees, autoscaling.Decide says, alarms with missing data are
// decided by cloudwatch, recurrences and forecasts by autoscaling. Written here is only what carries a decision to the
// world and a measurement back: one kind of instance, no zones, instances that die only when the plan says so, a step a
// minute.
//
// A test holds it to the engine: instance-hours and the share in time of a run must be close.
package twin

import (
	"fmt"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// Plan is a group with all that moves its desired capacity.
type Plan struct {
	Group     autoscaling.Group // sizes, DefaultCooldown and DefaultInstanceWarmup count
	Policies  []autoscaling.Policy
	Alarms    []Alarm // those of step and simple policies; target tracking has its own
	Schedules []Schedule
	Losses    []Loss // in order of time
}

// Loss is instances that die at an instant, and are replaced.
type Loss struct {
	At    float64 // seconds after the beginning
	Share float64 // of those in service
	Count int     // or so many
}

// Alarm is one on the mean CPU utilization of the group, with a period of a minute, or on where it will be if it goes on
// as in the last minute: the metric math m + Trend * DIFF(m).
type Alarm struct {
	Trend     float64
	Policy    int // an index of Plan.Policies: what it calls
	Above     bool
	Threshold float64
	Periods   int // N
	Points    int // M; 0 is N
}

// Schedule is a scheduled action; negative sizes are not given.
type Schedule struct {
	Recurrence        autoscaling.Cron
	Min, Max, Desired int
}

// NewPolicy is a policy of the plan's group, checked as PutScalingPolicy does it.
func (p *Plan) NewPolicy(in *shape.PutScalingPolicyInput) error {
	x, err := autoscaling.NewPolicy(p.Group, in)
	if err != nil {
		return fmt.Errorf("policy %d: %w", len(p.Policies)+1, err)
	}
	p.Policies = append(p.Policies, x)
	return nil
}

// watch is an alarm at work.
type watch struct {
	Alarm
	kind     int // watchUser, watchHigh, watchLow
	target   float64
	orEqual  bool // at the threshold is a breach too
	alarming bool
	run      int // newest points in a row that breach
	full     cloudwatch.Alarm
}

const (
	watchUser = iota
	watchHigh
	watchLow
)

func (w *watch) breaching(v float64) bool {
	switch {
	case v == w.Threshold:
		return w.orEqual
	case w.Above:
		return v > w.Threshold
	}
	return v < w.Threshold
}

// full is the alarm as cloudwatch knows it, for minutes in which data is missing.
func (w *watch) fill() {
	w.full = cloudwatch.Alarm{EvaluationPeriods: int32(w.Periods), DatapointsToAlarm: int32(w.Points)}
}

// watches are the plan's alarms, those of target tracking first.
func (p *Plan) watches(into []watch) []watch {
	into = into[:0]
	for i := range p.Policies {
		x := &p.Policies[i]
		if x.Type != "TargetTrackingScaling" {
			continue
		}
		target := *x.TargetTracking.TargetValue
		into = append(into, watch{Alarm: Alarm{Policy: i, Above: true, Threshold: target, Periods: autoscaling.HighPoints}, kind: watchHigh})
		if in := x.TargetTracking.DisableScaleIn; in == nil || !*in { // AS-TT-07
			into = append(into, watch{Alarm: Alarm{Policy: i, Periods: autoscaling.LowPoints}, kind: watchLow, target: target})
		}
	}
	for _, a := range p.Alarms {
		into = append(into, watch{Alarm: a, orEqual: true})
	}
	for i := range into {
		if into[i].Points == 0 {
			into[i].Points = into[i].Periods
		}
		into[i].fill()
	}
	return into
}

// due is a scheduled action at work.
type due struct {
	Schedule
	next time.Time
}
