package autoscaling

import (
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
)

// This file exports the pure parts of scaling for those who decide without a whole cloud: a search over policies, or a
// policy that is only watched. They put View and Signal together themselves and leave the decision to Decide.

// The alarms of target tracking (AS-TT-03): how many data points of a minute each takes.
const (
	HighPoints = highPoints
	LowPoints  = lowSeconds / 60
)

// NewPolicy checks a request as PutScalingPolicy does, and gives the policy that it describes, without ARN and alarms.
func NewPolicy(g Group, in *shape.PutScalingPolicyInput) (Policy, error) { return newPolicy(g, in) }

// InstanceWarmup is how long the policy takes a new member of a group to be warming (AS-WU-01).
func (p *Policy) InstanceWarmup(g *Group) time.Duration { return p.warmup(*g) }

// MetricWarmup is how long a new member stays out of the metrics of a group that has these policies (AS-LC-10).
func MetricWarmup(g Group, policies []Policy) time.Duration {
	all := make([]*Policy, len(policies))
	for i := range policies {
		all[i] = &policies[i]
	}
	return metricWarmup(&g, all)
}

// LowThreshold is the low alarm's threshold for a group of n (AS-TT-05).
func (m TrackingModel) LowThreshold(target float64, n int) float64 { return m.lowThreshold(target, n) }

// metricWarmup: all policies look at the same metrics, so the longest warm-up that one of them gives itself counts, then
// the group's. A group that no policy with a warm-up looks at leaves out only what its DefaultInstanceWarmup says [I].
func metricWarmup(g *Group, policies []*Policy) time.Duration {
	own, longest, warming := false, time.Duration(0), false
	for _, p := range policies {
		if p.Type == typeSimple || p.Type == typePredictive || !p.Enabled {
			continue
		}
		warming = true
		if p.Warmup != nil {
			own, longest = true, max(longest, p.warmup(*g))
		}
	}
	switch {
	case own:
		return longest
	case g.DefaultInstanceWarmup >= 0 || warming:
		return Policy{Type: typeStep}.warmup(*g)
	}
	return 0
}
