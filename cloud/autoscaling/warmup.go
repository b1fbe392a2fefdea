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

// metricWarmup is how long a new member stays out of the group's metrics (AS-LC-10).
func (s *Service) metricWarmup(tx *cloud.Tx, g Group) time.Duration {
	return metricWarmup(&g, s.policiesOf.group(tx.Scope, g.Name))
}
