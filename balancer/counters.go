package balancer

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// Counters are differences since the last Collect, for one load balancer, or, if
// TargetGroup is not empty, for one target group behind it and one zone. The two kinds
// of row do not overlap: the first has what is known without a target (connections,
// bytes, answers made by the load balancer), the second what has a target. RequestCount
// of a load balancer is the sum over its rows. The fields of the AWS metrics have
// their names in AWS/ApplicationELB (CW-NM-03); AWS/ELB's (CW-NM-06) are in brackets.
type Counters struct {
	LoadBalancer string
	TargetGroup  string
	Zone         string

	// Rows with a TargetGroup.
	RequestCount               int64        // a target was chosen (CW-NM-04); TCP: connections
	TargetStatus               [6]int64     // by first digit: [2] is HTTPCode_Target_2XX_Count [HTTPCode_Backend_2XX]
	TargetConnectionErrorCount int64        // [BackendConnectionErrors]
	TargetResponseTime         Distribution // seconds of wall time from request sent to response head [Latency]

	// Rows without one.
	NewConnectionCount      int64
	ActiveConnectionCount   int64 // a gauge: open client connections now
	RejectedConnectionCount int64
	ProcessedBytes          int64
	ELB4XX                  int64 // HTTPCode_ELB_4XX_Count [HTTPCode_ELB_4XX]
	ELB5XX                  int64 // HTTPCode_ELB_5XX_Count [HTTPCode_ELB_5XX]
	ELB500                  int64
	ELB502                  int64
	ELB503                  int64
	ELB504                  int64
}

// Distribution describes measured values: exact count, sum and bounds, and buckets fine
// enough for percentiles (a bucket's value is within 5 % of the values in it). Values and
// Counts are what PutMetricData's members of these names hold.
type Distribution struct {
	Count    int64
	Sum      float64
	Min, Max float64
	Values   []float64 // ascending, bucket middles clamped to Min and Max
	Counts   []float64
}

// TargetLoad is the live view of one target.
type TargetLoad struct {
	TargetGroup string
	Target      string
	State       State
	InFlight    int64
}

// Buckets of a histogram: 8 per power of two, over nanoseconds from 1 to 2^40 (18 minutes).
const (
	subBits = 3
	buckets = (40 - subBits + 1) << subBits
)

// histogram counts durations without locks.
type histogram struct {
	count [buckets]atomic.Int64
	sum   atomic.Int64 // ns
	min   atomic.Int64 // ns + 1, so that 0 is none
	max   atomic.Int64 // ns
}

func bucketOf(ns int64) int {
	if ns < 1<<subBits {
		return int(max(ns, 0))
	}
	shift := bits.Len64(uint64(ns)) - subBits - 1
	return min((shift+1)<<subBits|int(ns>>shift)&(1<<subBits-1), buckets-1)
}

// middle is the value that stands for bucket i, in ns.
func middle(i int) float64 {
	if i < 1<<subBits {
		return float64(i)
	}
	shift := i>>subBits - 1
	low := float64(int64(1<<subBits|i&(1<<subBits-1)) << shift)
	return low + math.Ldexp(0.5, shift)
}

func (h *histogram) add(d time.Duration) {
	ns := max(int64(d), 0)
	h.count[bucketOf(ns)].Add(1)
	h.sum.Add(ns)
	for old := h.min.Load(); old == 0 || ns+1 < old; old = h.min.Load() {
		if h.min.CompareAndSwap(old, ns+1) {
			break
		}
	}
	for old := h.max.Load(); ns > old; old = h.max.Load() {
		if h.max.CompareAndSwap(old, ns) {
			break
		}
	}
}

// take returns and forgets what was added. A value added meanwhile is wholly counted, now
// or next time; only its share of Sum, Min and Max may come in the other one of the two.
func (h *histogram) take() Distribution {
	const second = float64(time.Second)
	d := Distribution{Sum: float64(h.sum.Swap(0)) / second}
	low, high := h.min.Swap(0)-1, h.max.Swap(0)
	for i := range h.count {
		if h.count[i].Load() == 0 {
			continue
		}
		n, v := h.count[i].Swap(0), middle(i)
		if low >= 0 {
			v = max(v, float64(low))
		}
		if high > 0 {
			v = min(v, float64(high))
		}
		d.Count += n
		d.Values = append(d.Values, v/second)
		d.Counts = append(d.Counts, float64(n))
	}
	if d.Count > 0 {
		d.Min, d.Max = float64(max(low, 0))/second, float64(high)/second
		d.Max = max(d.Max, d.Min)
	}
	return d
}
