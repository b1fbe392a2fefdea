package autoscaling

import (
	"fmt"
	"time"
)

// View is what a decision may know of a group.
type View struct {
	Now               time.Time
	Min, Max, Desired int
	InService         int
	Pending           int       // on their way in: counted in Desired
	CooldownEnds      time.Time // zero: no cooldown (AS-CD-02)
	Activity          string    // ID of an activity in progress, or empty; only simple scaling waits for it (AS-SI-02)
	NoLaunch          bool      // Launch is suspended (AS-SP-03)
	NoTerminate       bool      // Terminate is suspended (AS-SP-04)
	Floor             int       // what was forecast for this hour: no policy scales in under it (AS-PM-07)
	Tracking          TrackingModel
	// Silent leaves out all reasons: a search that decides millions of times has no reader, and their text is most of
	// what a decision costs.
	Silent bool
}

// current is the capacity that is there or on its way in.
func (v *View) current() int { return v.InService + v.Pending }

// Signal is one policy and what is known about it at the moment of a decision.
type Signal struct {
	Policy  Policy
	Due     bool // an alarm or a user calls it now; others only have a say in target tracking's scale-in (AS-PM-04)
	Warming int  // members in service whose warm-up, as long as this policy takes it to be, is not over (AS-WU-01)
	// Measured is how many instances the newest data point is of: warm ones, and those that were on their way out
	// (AS-TT-08, AS-WU-05).
	Measured int

	Alarm     string  // the alarm that calls; empty for ExecutePolicy
	Value     float64 // the newest evaluated data point (AS-ST-09)
	HasValue  bool
	Threshold float64 // of the alarm
	Below     bool    // the alarm watches for values under its threshold

	High, Low bool // target tracking: which of its alarms are in ALARM
	Out, In   Move // target tracking: what it did last, for the cooldowns of AWS's Application Auto Scaling

	ByHand        bool // ExecutePolicy
	HonorCooldown bool // ExecutePolicy's; alarms always do
}

// Move is a change of capacity that a policy made.
type Move struct {
	At       time.Time
	From, To int
}

// Verdict is what one policy makes of its signal.
type Verdict struct {
	Ready  bool // the policy has an opinion: Wants, which may be what the group has already
	Wants  int
	Reason string
}

// Decision is what the policies that are due together make of a group.
type Decision struct {
	Desired  int
	Winner   int       // the signal that decides, -1 if no policy is ready
	Verdicts []Verdict // one per signal; a signal that is not due has none
	Reason   string    // why Desired is what it is, also when nothing changes
}

// Decide is the whole of dynamic scaling: it takes the group as it is and the policies that are due, and says which
// capacity the group shall have. Desired is inside [Min, Max] if the view's is.
func Decide(v View, signals []Signal) Decision {
	d := Decision{Verdicts: make([]Verdict, len(signals))}
	d.Take(v, signals)
	return d
}

// Take is Decide into a Decision that is there already, whose Verdicts are as many as the signals.
func (d *Decision) Take(v View, signals []Signal) {
	d.Desired, d.Winner, d.Reason = v.Desired, -1, ""
	clear(d.Verdicts)
	for i := range signals {
		if !signals[i].Due {
			continue
		}
		t := verdict(&v, signals, i)
		t.Wants = max(v.Min, min(t.Wants, v.Max)) // AS-PM-02
		if least := min(v.Floor, v.Desired); t.Ready && t.Wants < least {
			t.Wants = least
			t.Reason += v.reason(func() string { return fmt.Sprintf("; the forecast for this hour is %d", v.Floor) })
		}
		d.Verdicts[i] = t
		if t.Ready && (d.Winner < 0 || t.Wants > d.Verdicts[d.Winner].Wants) { // AS-PM-03: the largest capacity wins
			d.Winner = i
		}
	}
	if d.Winner < 0 {
		if !v.Silent {
			d.Reason = firstReason(d.Verdicts)
		}
		return
	}
	w := d.Verdicts[d.Winner]
	d.Reason = w.Reason
	switch {
	case w.Wants > v.Desired && v.NoLaunch:
		d.Reason += "; Launch is suspended"
	case w.Wants < v.Desired && v.NoTerminate:
		d.Reason += "; Terminate is suspended"
	default:
		d.Desired = w.Wants
	}
}

func verdict(v *View, signals []Signal, i int) Verdict {
	s := &signals[i]
	if !s.Policy.Enabled {
		return hold(v, func() string { return "the policy is disabled" }) // AS-PM-05
	}
	switch s.Policy.Type {
	case typeSimple:
		return simple(v, s)
	case typeStep:
		return step(v, s)
	case typeTargetTracking:
		return track(v, signals, i)
	}
	return hold(v, func() string { return "a policy of type " + s.Policy.Type + " does not decide" })
}

func hold(v *View, why func() string) Verdict { return Verdict{Reason: v.reason(why)} }

func want(v *View, capacity int, why func() string) Verdict {
	return Verdict{Ready: true, Wants: capacity, Reason: v.reason(why)}
}

// reason asks for a text only where somebody will read it.
func (v *View) reason(why func() string) string {
	if v.Silent {
		return ""
	}
	return why()
}

func firstReason(verdicts []Verdict) string {
	for _, t := range verdicts {
		if t.Reason != "" {
			return t.Reason
		}
	}
	return "no policy is due"
}

// Adjustment types (AS-ST-04).
const (
	changeInCapacity        = "ChangeInCapacity"
	exactCapacity           = "ExactCapacity"
	percentChangeInCapacity = "PercentChangeInCapacity"
)

// delta is how far an adjustment of a type other than ExactCapacity moves a capacity.
func delta(kind string, capacity, adjustment, magnitude int) int {
	if kind != percentChangeInCapacity {
		return adjustment
	}
	return percent(capacity, adjustment, magnitude)
}

// percent is p percent of a capacity, rounded toward zero but never to nothing (AS-ST-05), and at least magnitude if
// it is anything at all (AS-ST-06).
func percent(capacity, p, magnitude int) int {
	if p == 0 {
		return 0
	}
	sign := 1
	if p < 0 {
		sign = -1
	}
	n := capacity * p / 100
	if n == 0 && capacity != 0 {
		n = sign
	}
	if n*sign < magnitude {
		n = sign * magnitude
	}
	return n
}

// reduced is the capacity after a decrement. It is taken from what is there, so that a decrement smaller than what
// the group holds above its desired capacity does nothing (AS-PM-01).
func reduced(v *View, kind string, adjustment, magnitude int) int {
	from := max(v.Desired, v.current())
	return min(v.Desired, from+delta(kind, from, adjustment, magnitude))
}
