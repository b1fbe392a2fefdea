package autoscaling

import (
	"fmt"
	"math"
	"sort"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
)

// maxSteps is how many step adjustments a policy may have (AS-QL-05).
const maxSteps = 20

// step decides for a step policy.
func step(v *View, s *Signal) Verdict {
	p := &s.Policy
	breach := 0.0
	if s.HasValue { // an alarm may be in ALARM without data, by SetAlarmState or by missing data that breaches
		breach = s.Value - s.Threshold
	}
	adjustment, ok := matchStep(p.StepAdjustments, breach, s.Below)
	switch {
	case !ok:
		return hold(v, func() string { return s.seen() + ": no step is for that" }) // AS-ST-11
	case p.AdjustmentType == exactCapacity:
		return stepExact(v, s, adjustment)
	case adjustment == 0:
		return hold(v, func() string { return s.seen() + ": the step's adjustment is 0" }) // AS-ST-10
	case adjustment > 0:
		// AS-ST-07: warming members count in the capacity that is there, not in the one that the step is taken from.
		from := max(0, v.Desired-v.Pending-s.Warming)
		to := from + delta(p.AdjustmentType, from, adjustment, p.magnitude())
		return want(v, max(to, v.Desired), func() string {
			text := fmt.Sprintf("%s: the step makes %d of %d warm instances", s.seen(), to, from)
			if to <= v.Desired {
				text += fmt.Sprintf(", and %d are on their way", v.Pending+s.Warming)
			}
			return text
		})
	}
	if scalingOut(v, s) {
		return hold(v, func() string { return s.seen() + ", but " + whyScalingOut(v, s) })
	}
	to := reduced(v, p.AdjustmentType, adjustment, p.magnitude())
	return want(v, to, func() string { return fmt.Sprintf("%s: the step makes %d of %d", s.seen(), to, v.Desired) })
}

// seen says what a step policy looks at.
func (s *Signal) seen() string {
	if !s.HasValue {
		return "there is no data point, so it is taken to be at the threshold"
	}
	return fmt.Sprintf("the metric is %s, %s from the threshold", number(s.Value), signed(s.Value-s.Threshold))
}

func stepExact(v *View, s *Signal, capacity int) Verdict {
	if capacity < v.Desired && scalingOut(v, s) {
		return hold(v, func() string { return s.seen() + ", but " + whyScalingOut(v, s) })
	}
	return want(v, capacity, func() string { return fmt.Sprintf("%s: the step sets %d", s.seen(), capacity) })
}

// scalingOut tells that no policy may scale in now (AS-WU-04, AS-TT-13).
func scalingOut(v *View, s *Signal) bool { return v.Pending > 0 || s.Warming > 0 }

func whyScalingOut(v *View, s *Signal) string {
	if v.Pending > 0 {
		return fmt.Sprintf("a scale-out is in progress (%d pending)", v.Pending)
	}
	return fmt.Sprintf("%d instances are warming up", s.Warming)
}

// matchStep finds the adjustment of the step that a breach, metric minus threshold, falls into (AS-ST-01). At the
// threshold itself the side that the alarm watches comes first.
func matchStep(steps []shape.StepAdjustment, breach float64, below bool) (int, bool) {
	up := breach > 0 || breach == 0 && !below
	if n, ok := matchSide(steps, breach, up); ok || breach != 0 {
		return n, ok
	}
	return matchSide(steps, breach, !up)
}

func matchSide(steps []shape.StepAdjustment, breach float64, up bool) (int, bool) {
	for _, a := range steps {
		lo, hi := bounds(a)
		if up && lo <= breach && breach < hi || !up && lo < breach && breach <= hi {
			return int(api.Value(a.ScalingAdjustment)), true
		}
	}
	return 0, false
}

// bounds are the limits of a step's interval; a missing one is infinite.
func bounds(a shape.StepAdjustment) (lo, hi float64) {
	lo, hi = math.Inf(-1), math.Inf(1)
	if a.MetricIntervalLowerBound != nil {
		lo = *a.MetricIntervalLowerBound
	}
	if a.MetricIntervalUpperBound != nil {
		hi = *a.MetricIntervalUpperBound
	}
	return lo, hi
}

// unbounded tells whether a bound is given and none; such a number has no durable form.
func unbounded(bound *float64) bool {
	return bound != nil && (math.IsNaN(*bound) || math.IsInf(*bound, 0))
}

// checkSteps refuses step adjustments that AS-ST-02 does not allow.
func checkSteps(kind string, steps []shape.StepAdjustment) error {
	switch {
	case len(steps) == 0:
		return invalid("StepScaling policies must have at least one step adjustment")
	case len(steps) > maxSteps:
		return invalid("You can specify at most %d step adjustments for a policy", maxSteps)
	}
	sorted := append([]shape.StepAdjustment(nil), steps...)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, _ := bounds(sorted[i])
		b, _ := bounds(sorted[j])
		return a < b
	})
	for i, a := range sorted {
		lo, hi := bounds(a)
		switch {
		case unbounded(a.MetricIntervalLowerBound) || unbounded(a.MetricIntervalUpperBound):
			return invalid("Step adjustment intervals can't have a bound that is not a finite number; leave it out for none")
		case !(lo < hi):
			return invalid("Step adjustment intervals can't have a lower bound that is not less than the upper bound")
		case kind == exactCapacity && api.Value(a.ScalingAdjustment) < 0:
			return invalid("The scaling adjustment of an ExactCapacity policy must not be negative")
		case i > 0:
			_, before := bounds(sorted[i-1])
			if lo < before {
				return invalid("Step adjustment intervals can't overlap")
			}
			if lo > before {
				return invalid("Step adjustment intervals can't have gaps between them")
			}
		}
	}
	lo, _ := bounds(sorted[0])
	_, hi := bounds(sorted[len(sorted)-1])
	switch {
	case lo < 0 && !math.IsInf(lo, -1):
		return invalid("There must be a step adjustment with an unspecified lower bound when one step adjustment has a negative lower bound")
	case hi > 0 && !math.IsInf(hi, 1):
		return invalid("There must be a step adjustment with an unspecified upper bound when one step adjustment has a positive upper bound")
	}
	return nil
}
