package autoscaling

import (
	"fmt"
	"math"
	"time"

	"github.com/billow-cloud/billow/api"
)

// TrackingModel is what AWS does not publish about target tracking: the zero value is what fits the observations that
// there are. Nothing outside this file depends on it.
type TrackingModel struct {
	// FixedLow puts the low threshold at 0.90 of the target at every size, as other AWS services do, instead of the
	// model of AS-TT-05.
	FixedLow bool
	// AllAtOnce has one call of the low alarm remove all that the metric allows. Otherwise scale-in is "taken
	// gradually" (AS-TT-11): at most a tenth of the capacity a call, but at least one instance. An activity log of
	// 2026 shows an idle group of 4 going to 3 and then to 2 where the formula gives 2 at once.
	AllAtOnce bool
}

// lowThreshold is the low alarm's threshold for a group of n (AS-TT-05).
func (m TrackingModel) lowThreshold(target float64, n int) float64 {
	if m.FixedLow || n <= 0 {
		return target * 18 / 20
	}
	return target * float64(max(14, min(20*(n-1)/n, 18))) / 20
}

// gradual is the least capacity that one call of the low alarm may leave of a capacity.
func (m TrackingModel) gradual(capacity int) int {
	if m.AllAtOnce {
		return 0
	}
	return capacity - max(1, capacity/10)
}

// wanted is how many instances bring the metric to the target, if its sum over the group stays as it is. It is
// rounded up: more is added, less is removed (AS-TT-10, AS-TT-11).
func wanted(instances int, metric, target float64) int {
	n := float64(instances) * metric / target
	if n > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(math.Ceil(n - 1e-9))
}

// track decides for the target tracking policy of signals[i].
func track(v *View, signals []Signal, i int) Verdict {
	s := &signals[i]
	switch {
	case s.ByHand:
		return hold(v, func() string { return "target tracking is not executed by hand" }) // AS-PM-08
	case s.High:
		return trackOut(v, s)
	case s.Low:
		return trackIn(v, signals, i)
	}
	return hold(v, func() string { return "neither of the policy's alarms is in ALARM" })
}

func trackOut(v *View, s *Signal) Verdict {
	target := s.Policy.target()
	if !s.HasValue {
		return hold(v, noDataPoint) // AS-TT-14
	}
	n := s.Measured
	switch {
	case n == 0 && v.current() > 0:
		return hold(v, func() string { // AS-WU-03
			return fmt.Sprintf("all %d instances are on their way in or warming up", v.current())
		})
	case n == 0:
		n = 1 // a group of none is measured by a metric of its own; take it to be one instance's
	}
	if over := s.Out.At.Add(s.Policy.scaleOutCooldown()); over.After(v.Now) {
		// What the last scale-out added is a part of what the next one wants: only a larger one goes through.
		n = min(n, s.Out.From)
	}
	to := wanted(n, s.Value, target)
	return want(v, max(to, v.Desired), func() string {
		text := s.tracked(v, n, to)
		if to <= v.Desired {
			text += fmt.Sprintf(", and there are or will be %d", v.Desired)
		}
		return text
	})
}

func noDataPoint() string { return "there is no data point" }

// tracked says what a target tracking policy makes of its metric on n instances.
func (s *Signal) tracked(v *View, n, to int) string {
	who := fmt.Sprintf("%d instances", n)
	if all := v.current(); n < all {
		who = fmt.Sprintf("%d of %d instances (the others were not warm, or are wanted by a scale-out that still works)", n, all)
	}
	return fmt.Sprintf("the metric is %s on %s, target %s: that takes %d", number(s.Value), who, number(s.Policy.target()), to)
}

// trackIn scales in only if all target tracking policies that may are ready to (AS-PM-04); the one that wants most
// decides.
func trackIn(v *View, signals []Signal, i int) Verdict {
	s := &signals[i]
	if s.Policy.scaleInDisabled() {
		return hold(v, func() string { return "the policy does not scale in" }) // AS-TT-07
	}
	to, reason := trackInOne(v, s)
	if to < 0 {
		return Verdict{Reason: reason}
	}
	for j := range signals {
		other := &signals[j]
		if j == i || other.Policy.Type != typeTargetTracking || !other.Policy.Enabled {
			continue
		}
		if other.High {
			return hold(v, func() string { return reason + ", but policy " + other.Policy.Name + " is ready to scale out" })
		}
		if other.Policy.scaleInDisabled() {
			continue
		}
		if !other.Low {
			return hold(v, func() string { return reason + ", but policy " + other.Policy.Name + " is not ready to scale in" })
		}
		most, why := trackInOne(v, other)
		if most < 0 {
			return hold(v, func() string { return reason + ", but policy " + other.Policy.Name + " holds: " + why })
		}
		if most > to {
			to, reason = most, v.reason(func() string { return "policy " + other.Policy.Name + ": " + why })
		}
	}
	return Verdict{Ready: true, Wants: to, Reason: reason}
}

// trackInOne is the capacity one policy would scale in to, which may be the one that there is; negative if it holds.
func trackInOne(v *View, s *Signal) (int, string) {
	if !s.HasValue {
		return -1, v.reason(noDataPoint) // AS-TT-14
	}
	if scalingOut(v, s) {
		return -1, v.reason(func() string { return whyScalingOut(v, s) })
	}
	if over := s.In.At.Add(s.Policy.scaleInCooldown()); over.After(v.Now) && s.In.At.After(s.Out.At) {
		return -1, v.reason(func() string { return "the policy's scale-in cooldown lasts until " + over.Format(time.RFC3339) })
	}
	n := s.Measured
	to := wanted(n, s.Value, s.Policy.target())
	seen := v.reason(func() string { return s.tracked(v, n, to) })
	if to >= v.Desired { // removing one would bring the metric over the target (AS-TT-11, AS-TT-23)
		return v.Desired, seen
	}
	if least := v.Tracking.gradual(v.Desired); to < least {
		return least, v.reason(func() string { return seen + ", and the way there is gradual" })
	}
	return to, seen
}

func (p *Policy) target() float64       { return api.Value(p.TargetTracking.TargetValue) }
func (p *Policy) scaleInDisabled() bool { return api.Value(p.TargetTracking.DisableScaleIn) }

// The two cooldowns are members of Application Auto Scaling's configuration, which people also write for EC2 Auto
// Scaling; they mean here what they mean there.
func (p *Policy) scaleOutCooldown() time.Duration {
	return time.Duration(api.Value(p.TargetTracking.ScaleOutCooldown)) * time.Second
}

func (p *Policy) scaleInCooldown() time.Duration {
	return time.Duration(api.Value(p.TargetTracking.ScaleInCooldown)) * time.Second
}
