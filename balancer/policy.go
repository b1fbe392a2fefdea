package balancer

import (
	"math/rand/v2"
	"sync/atomic"
)

// policy chooses one of the members, of which there is at least one. A policy keeps its
// state while the members change.
type policy interface {
	pick(members []member) member
}

func newPolicy(algorithm string) policy {
	switch algorithm {
	case AlgorithmLeastOutstandingRequests:
		return &leastOutstanding{}
	case AlgorithmWeightedRandom:
		return weightedRandom{intN: rand.IntN}
	default:
		return &roundRobin{}
	}
}

// roundRobin takes each in turn (LB-RT-01).
type roundRobin struct{ turn atomic.Uint64 }

func (p *roundRobin) pick(members []member) member {
	return members[(p.turn.Add(1)-1)%uint64(len(members))]
}

// leastOutstanding takes the one with the fewest requests in progress. How AWS breaks ties
// is not documented (LB-RT-02); here they go round, so that idle targets take turns.
type leastOutstanding struct{ turn atomic.Uint64 }

func (p *leastOutstanding) pick(members []member) member {
	start := (p.turn.Add(1) - 1) % uint64(len(members))
	best := members[start]
	least := best.target.inFlight()
	for i := uint64(1); i < uint64(len(members)) && least > 0; i++ {
		m := members[(start+i)%uint64(len(members))]
		if n := m.target.inFlight(); n < least {
			best, least = m, n
		}
	}
	return best
}

// weightedRandom takes any, all equally likely; anomaly mitigation is not built (LB-RT-03).
type weightedRandom struct{ intN func(int) int }

func (p weightedRandom) pick(members []member) member { return members[p.intN(len(members))] }

// pickBranch shares out requests by weight. Successive turns multiplied by the golden ratio
// fall evenly over [0, 1), so the shares hold over short runs too, without a lock.
func pickBranch(branches []branch, total int, turn uint64) *branch {
	const golden = 0x9E3779B97F4A7C15
	at := int((turn * golden >> 32) * uint64(total) >> 32)
	for i := range branches {
		if at -= branches[i].weight; at < 0 {
			return &branches[i]
		}
	}
	return &branches[len(branches)-1]
}
