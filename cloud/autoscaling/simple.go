package autoscaling

import (
	"fmt"
	"strconv"
	"time"
)

// simple decides for a simple policy. It waits for the activity in progress and for the cooldown; a call in between is
// dropped, and the alarm's repeated action tries again (AS-SI-02).
func simple(v *View, s *Signal) Verdict {
	if !s.ByHand || s.HonorCooldown { // AS-CD-05
		if why := blocked(v); why != "" {
			return Verdict{Reason: why}
		}
	}
	p := &s.Policy
	n := p.ScalingAdjustment
	switch {
	case p.AdjustmentType == exactCapacity:
		return want(v, n, func() string { return "the policy sets " + strconv.Itoa(n) })
	case n == 0:
		return hold(v, func() string { return "the policy's adjustment is 0" })
	}
	to := 0
	if n > 0 {
		to = v.Desired + delta(p.AdjustmentType, v.Desired, n, p.magnitude())
	} else {
		to = reduced(v, p.AdjustmentType, n, p.magnitude())
	}
	return want(v, to, func() string { return fmt.Sprintf("the policy makes %d of %d", to, v.Desired) })
}

// blocked tells why a simple policy has to wait; empty if it has not.
func blocked(v *View) string {
	switch {
	case v.Activity != "":
		return "scaling activity " + v.Activity + " is in progress"
	case v.CooldownEnds.After(v.Now):
		return "the cooldown lasts until " + v.CooldownEnds.Format(time.RFC3339)
	}
	return ""
}
