package tune

import (
	"math"
	"strconv"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/sim/twin"
)

// Candidate is a way of scaling by its parameters. Each part of it is one call of AWS's API, or left out.
type Candidate struct {
	Target   float64 // of target tracking on CPU; 0: no such policy
	NoIn     bool    // its DisableScaleIn
	Out      Out
	In       In
	Warmup   int // DefaultInstanceWarmup, seconds; -1 is none
	Min      int
	Calendar Calendar
}

// Out is a step policy that scales out, and its alarm. Its steps take the group to Aim: the further the metric is above
// it, the larger the step.
type Out struct {
	Threshold float64 // 0: no such policy
	Periods   int     // of a minute
	Points    int     // of them that must breach
	Aim       float64 // percent of CPU
	Surge     int     // percent by which to grow when CPU is at its end and says no more how much is needed
	Trend     int     // minutes: the alarm looks at where CPU will be then if it goes on as in the last minute; 0 is off
}

// In is a step policy that scales in, and its alarm.
type In struct {
	Threshold float64 // 0: no such policy
	Periods   int
	Points    int
	Aim       float64
	Most      int // percent that one call may remove
}

// Calendar is scheduled actions that raise the minimum to what a time of the day or of the week has needed.
type Calendar struct {
	Kind  string  // one of the kinds below; empty: none
	Share float64 // of the days, in order of their need, that are covered
	Use   float64 // percent of CPU that the minimum is meant for
	Lead  int     // minutes before the hour
}

// The kinds of calendars.
const (
	Daily   = "day"     // 24 hours
	Weekend = "weekend" // working days, and Saturday and Sunday
	Weekly  = "week"    // 7 days of 24 hours
)

// AWS's names.
const (
	targetTracking = "TargetTrackingScaling"
	stepScaling    = "StepScaling"
	percentChange  = "PercentChangeInCapacity"
)

// saturated is the CPU from which the metric no longer tells how much is needed: a minute at 100 % may be any load.
const saturated = 97

// bucket is the width of a step, in percent of CPU.
const bucket = 5

// steps are the adjustments for a metric above the alarm's threshold. One that looks ahead may see more than 100 %.
func (o Out) steps() []shape.StepAdjustment {
	end := float64(saturated)
	if o.Trend > 0 {
		end = 170
	}
	var steps []shape.StepAdjustment
	lo, width := o.Threshold, max(bucket, (saturated-o.Threshold)/12)
	for lo < end-1 {
		hi := lo + width
		if lo >= saturated {
			hi = lo + 3*bucket
		}
		if hi = min(hi, end); end-hi < 2 {
			hi = end
		}
		grow := math.Ceil(100*((lo+hi)/2/o.Aim-1) - 1e-9)
		if hi > saturated {
			grow = max(grow, float64(o.Surge))
		}
		steps = append(steps, step(lo-o.Threshold, hi-o.Threshold, int(max(grow, 1))))
		lo = hi
	}
	last := math.Ceil(100 * (lo/o.Aim - 1))
	if o.Trend == 0 {
		last = 0
	}
	return append(steps, step(lo-o.Threshold, math.Inf(1), max(o.Surge, int(last), 1)))
}

// steps are the adjustments for a metric below the alarm's threshold. Each is for the upper end of its step, so that it
// never takes more than the metric allows.
func (i In) steps() []shape.StepAdjustment {
	var steps []shape.StepAdjustment
	hi := i.Threshold
	for {
		shrink := int(math.Floor(100*(1-hi/i.Aim) + 1e-9))
		lo := hi - bucket
		if shrink >= i.Most || lo <= 0 || len(steps) == 19 {
			return append(steps, step(math.Inf(-1), hi-i.Threshold, -max(1, min(shrink, i.Most))))
		}
		steps = append(steps, step(lo-i.Threshold, hi-i.Threshold, -max(1, shrink)))
		hi = lo
	}
}

func step(lo, hi float64, percent int) shape.StepAdjustment {
	a := shape.StepAdjustment{ScalingAdjustment: new(int32(percent))}
	if !math.IsInf(lo, -1) {
		a.MetricIntervalLowerBound = new(round(lo))
	}
	if !math.IsInf(hi, 1) {
		a.MetricIntervalUpperBound = new(round(hi))
	}
	return a
}

// round leaves a number with one digit after the point: nobody wants a threshold of 71.3482.
func round(x float64) float64 { return math.Round(x*10) / 10 }

// policies are the calls of PutScalingPolicy.
func (c *Candidate) policies(group string) []*shape.PutScalingPolicyInput {
	var calls []*shape.PutScalingPolicyInput
	if c.Target > 0 {
		p := &shape.PutScalingPolicyInput{
			AutoScalingGroupName: &group, PolicyName: new("track-cpu-" + strconv.FormatFloat(c.Target, 'f', -1, 64)), PolicyType: new(targetTracking),
			TargetTrackingConfiguration: &shape.TargetTrackingConfiguration{
				TargetValue:                   new(c.Target),
				PredefinedMetricSpecification: &shape.PredefinedMetricSpecification{PredefinedMetricType: new("ASGAverageCPUUtilization")},
			},
		}
		if c.NoIn {
			p.TargetTrackingConfiguration.DisableScaleIn = new(true)
		}
		calls = append(calls, p)
	}
	add := func(name string, steps []shape.StepAdjustment) {
		calls = append(calls, &shape.PutScalingPolicyInput{
			AutoScalingGroupName: &group, PolicyName: &name, PolicyType: new(stepScaling), AdjustmentType: new(percentChange),
			MetricAggregationType: new("Average"), StepAdjustments: steps,
		})
	}
	if c.Out.Threshold > 0 {
		add("out", c.Out.steps())
	}
	if c.In.Threshold > 0 {
		add("in", c.In.steps())
	}
	return calls
}

// Plan is the candidate for the twin, in a group of these bounds that begins with start instances.
func (c *Candidate) Plan(most, start int, needs *Needs) (*twin.Plan, error) {
	g := autoscaling.Group{Name: "group", MinSize: max(1, c.Min), MaxSize: most, DesiredCapacity: start, DefaultCooldown: 300, DefaultInstanceWarmup: c.Warmup}
	p := &twin.Plan{Group: g}
	for _, in := range c.policies(g.Name) {
		if err := p.NewPolicy(in); err != nil {
			return nil, err
		}
	}
	n := len(p.Policies)
	if c.In.Threshold > 0 {
		n--
		p.Alarms = append(p.Alarms, twin.Alarm{Policy: n, Threshold: round(c.In.Threshold), Periods: c.In.Periods, Points: c.In.Points})
	}
	if c.Out.Threshold > 0 {
		n--
		p.Alarms = append(p.Alarms, twin.Alarm{Policy: n, Above: true, Trend: float64(c.Out.Trend), Threshold: round(c.Out.Threshold), Periods: c.Out.Periods, Points: c.Out.Points})
	}
	for _, a := range c.Calendar.actions(needs, max(1, c.Min), most) {
		cron, err := autoscaling.ParseCron(a.Recurrence)
		if err != nil {
			return nil, err
		}
		p.Schedules = append(p.Schedules, twin.Schedule{Recurrence: cron, Min: a.Min, Max: -1, Desired: -1})
	}
	return p, nil
}

// leastBusy is the CPU below which the candidate scales in, whatever the load: at least 1, for one that never does.
func (c *Candidate) leastBusy() float64 {
	least := max(1, c.In.Threshold)
	if c.Target > 0 && !c.NoIn {
		least = max(least, 0.9*c.Target) // AS-TT-05, of groups of ten or more
	}
	return least
}
