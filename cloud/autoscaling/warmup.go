package autoscaling

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// warmup is how long a policy takes a new member to be warming (AS-WU-01): its own value, else the group's, else the
// group's cooldown (AS-WU-07). Simple policies know no warm-up.
func (p Policy) warmup(g Group) time.Duration {
	switch {
	case p.Type == typeSimple:
		return 0
	case p.Warmup != nil:
		return time.Duration(*p.Warmup) * time.Second
	case g.DefaultInstanceWarmup >= 0:
		return time.Duration(g.DefaultInstanceWarmup) * time.Second // an explicit 0 counts (AS-WU-02)
	}
	return time.Duration(g.DefaultCooldown) * time.Second
}

// metricWarmup is how long a new member stays out of the group's metrics (AS-LC-10). All policies look at the same
// metrics, so the longest warm-up that one of them gives itself counts, then the group's. A group that no policy with
// a warm-up looks at leaves out only what its DefaultInstanceWarmup says [I].
func (s *Service) metricWarmup(tx *cloud.Tx, g Group) time.Duration {
	own, longest, warming := false, time.Duration(0), false
	for _, p := range s.scaling.policies.Prefix(tx, policyKey(g.Name, "")) {
		if p.Type == typeSimple || !p.Enabled {
			continue
		}
		warming = true
		if p.Warmup != nil {
			own, longest = true, max(longest, p.warmup(g))
		}
	}
	switch {
	case own:
		return longest
	case g.DefaultInstanceWarmup >= 0 || warming:
		return Policy{Type: typeStep}.warmup(g)
	}
	return 0
}
