package balancer

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// lbStats counts what a load balancer does apart from its targets.
type lbStats struct {
	newConns, rejected, bytes atomic.Int64
	active                    atomic.Int64 // gauge
	elb4xx, elb5xx            atomic.Int64
	elb500, elb502            atomic.Int64
	elb503, elb504            atomic.Int64
}

// answered counts an answer that the load balancer itself made (section LB-ER).
func (s *lbStats) answered(status int) {
	switch {
	case status >= 500:
		s.elb5xx.Add(1)
	case status >= 400:
		s.elb4xx.Add(1)
	}
	switch status {
	case 500:
		s.elb500.Add(1)
	case 502:
		s.elb502.Add(1)
	case 503:
		s.elb503.Add(1)
	case 504:
		s.elb504.Add(1)
	}
}

func (s *lbStats) take() Counters {
	return Counters{
		NewConnectionCount:      s.newConns.Swap(0),
		ActiveConnectionCount:   s.active.Load(),
		RejectedConnectionCount: s.rejected.Swap(0),
		ProcessedBytes:          s.bytes.Swap(0),
		ELB4XX:                  s.elb4xx.Swap(0),
		ELB5XX:                  s.elb5xx.Swap(0),
		ELB500:                  s.elb500.Swap(0),
		ELB502:                  s.elb502.Swap(0),
		ELB503:                  s.elb503.Swap(0),
		ELB504:                  s.elb504.Swap(0),
	}
}

func (c *Counters) lbZero() bool {
	return c.NewConnectionCount == 0 && c.ActiveConnectionCount == 0 && c.RejectedConnectionCount == 0 &&
		c.ProcessedBytes == 0 && c.ELB4XX == 0 && c.ELB5XX == 0
}

// targetStats counts what the targets of one target group in one zone do for one load
// balancer.
type targetStats struct {
	requests, connErrors atomic.Int64
	status               [6]atomic.Int64
	responseTime         histogram
}

func (s *targetStats) take() Counters {
	c := Counters{
		RequestCount:               s.requests.Swap(0),
		TargetConnectionErrorCount: s.connErrors.Swap(0),
		TargetResponseTime:         s.responseTime.take(),
	}
	for i := range s.status {
		c.TargetStatus[i] = s.status[i].Swap(0)
	}
	return c
}

func (c *Counters) targetZero() bool {
	return c.RequestCount == 0 && c.TargetConnectionErrorCount == 0 && c.TargetResponseTime.Count == 0 &&
		c.TargetStatus == [6]int64{}
}

type statsKey struct{ lb, group, zone string }

// Collect returns what was counted since the last Collect, rows that are all zero left out,
// ordered by load balancer, target group and zone.
func (b *Balancer) Collect() []Counters {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rows []Counters
	for id, s := range b.lbStats {
		c := s.take()
		c.LoadBalancer = id
		if !c.lbZero() {
			rows = append(rows, c)
		} else if b.table.Load().lbs[id] == nil {
			delete(b.lbStats, id)
		}
	}
	for key, s := range b.targetStats {
		c := s.take()
		c.LoadBalancer, c.TargetGroup, c.Zone = key.lb, key.group, key.zone
		if !c.targetZero() {
			rows = append(rows, c)
		} else if t := b.table.Load(); t.lbs[key.lb] == nil || t.groups[key.group] == nil {
			delete(b.targetStats, key)
		}
	}
	slices.SortFunc(rows, func(x, y Counters) int {
		return cmp.Or(cmp.Compare(x.LoadBalancer, y.LoadBalancer),
			cmp.Compare(x.TargetGroup, y.TargetGroup), cmp.Compare(x.Zone, y.Zone))
	})
	return rows
}

// Snapshot is the number of requests and connections in flight per target, now, ordered
// by target group and target. Targets that were removed are not in it.
func (b *Balancer) Snapshot() []TargetLoad {
	b.mu.Lock()
	defer b.mu.Unlock()
	rows := make([]TargetLoad, 0, len(b.targets))
	for key, t := range b.targets {
		rows = append(rows, TargetLoad{
			TargetGroup: key.group, Target: key.id, State: t.config.Load().State, InFlight: t.inFlight()})
	}
	slices.SortFunc(rows, func(x, y TargetLoad) int {
		return cmp.Or(cmp.Compare(x.TargetGroup, y.TargetGroup), cmp.Compare(x.Target, y.Target))
	})
	return rows
}
