package peers

import "time"

// Nomad is the Nomad Autoscaler with its target-value strategy on CPU (PE-NO-01): a factor, and a cooldown after each
// action. Its metrics come from a Prometheus with its usual interval of 15 s.
type Nomad struct {
	Target    float64 // percent
	Threshold float64
	Cooldown  time.Duration
	MaxUp     int // largest step up; 0 is no limit
	MaxDown   int
	acted     time.Duration
	has       bool
}

// NewNomad is one with the documented defaults.
func NewNomad(target float64) *Nomad {
	return &Nomad{Target: target, Threshold: 0.01, Cooldown: 5 * time.Minute}
}

// Name and the rest make it a Scaler.
func (*Nomad) Name() string { return "Nomad" }

// Every is the evaluation interval.
func (*Nomad) Every() time.Duration { return 10 * time.Second }

// Source is Prometheus.
func (*Nomad) Source() Source {
	return Source{Period: 15 * time.Second, Window: 60 * time.Second, Delay: 0}
}

// Desired is the count times the factor.
func (n *Nomad) Desired(s Seen) (int, string) {
	if !s.Known || n.has && s.At-n.acted < n.Cooldown {
		return s.Desired, ""
	}
	factor := s.Utilization / n.Target
	if n.Target == 0 {
		factor = s.Utilization
	}
	if near(factor, n.Threshold) {
		return s.Desired, ""
	}
	want := ceil(float64(s.Desired) * factor)
	if s.Desired == 0 {
		want = ceil(factor)
	}
	if n.MaxUp > 0 {
		want = min(want, s.Desired+n.MaxUp)
	}
	if n.MaxDown > 0 {
		want = max(want, s.Desired-n.MaxDown)
	}
	want = max(want, s.Min)
	if s.Max > 0 {
		want = min(want, s.Max)
	}
	if want == s.Desired {
		return want, ""
	}
	n.acted, n.has = s.At, true
	return want, measured(n.Target, s.Utilization)
}
