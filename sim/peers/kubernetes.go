package peers

import (
	"fmt"
	"math"
	"time"
)

// KubernetesHPA is a HorizontalPodAutoscaler on CPU with the defaults of its behaviour (PE-K8-01, 03, 04), one pod to an
// instance. Its metrics come from metrics-server: a sample each 15 s, over the 15 s before, seen up to 15 s later.
type KubernetesHPA struct {
	Target    float64 // percent
	Tolerance float64
	behaviour behaviour
}

// NewKubernetesHPA is one with the documented defaults.
func NewKubernetesHPA(target float64) *KubernetesHPA {
	return &KubernetesHPA{Target: target, Tolerance: 0.1, behaviour: newBehaviour()}
}

// Name and the rest make it a Scaler.
func (*KubernetesHPA) Name() string { return "Kubernetes HPA" }

// Every is --horizontal-pod-autoscaler-sync-period.
func (*KubernetesHPA) Every() time.Duration { return 15 * time.Second }

// Source is metrics-server's.
func (*KubernetesHPA) Source() Source {
	return Source{Period: 15 * time.Second, Window: 15 * time.Second, Delay: 15 * time.Second}
}

// Desired follows the algorithm as documented.
func (h *KubernetesHPA) Desired(s Seen) (int, string) {
	if s.Desired == 0 {
		return 0, "" // autoscaling is disabled at zero replicas
	}
	if !s.Known || s.Ready == s.Fresh {
		return s.Desired, "" // no metrics: no decision
	}
	n := h.behaviour.apply(s, h.replicas(s))
	if n == s.Desired {
		return n, ""
	}
	return n, measured(h.Target, s.Utilization)
}

// replicas is the raw proposal. Pods that boot, or that are so fresh that they have no sample of their own, are not ready
// yet: they count 0 % if the others say to scale up, and are left out otherwise (PE-K8-03).
func (h *KubernetesHPA) replicas(s Seen) int {
	counted := s.Ready - s.Fresh
	waiting := s.Alive - counted
	ratio := s.Utilization / h.Target
	if waiting == 0 || ratio <= 1 {
		if near(ratio, h.Tolerance) {
			return s.Desired
		}
		return ceil(ratio * float64(counted))
	}
	corrected := ratio * float64(counted) / float64(s.Alive)
	if near(corrected, h.Tolerance) || corrected < 1 {
		return s.Desired
	}
	return max(s.Desired, ceil(corrected*float64(s.Alive)))
}

// near says whether a ratio is within a tolerance of 1, its bounds included.
func near(ratio, tolerance float64) bool { return math.Abs(ratio-1) <= tolerance+1e-9 }

// ceil is the whole number at or above x, not one more for the noise of floating point.
func ceil(x float64) int { return int(math.Ceil(x - 1e-9)) }

// behaviour limits how fast an HPA changes (PE-K8-04).
type behaviour struct {
	downWindow time.Duration
	upPercent  float64
	upPods     int
	upPeriod   time.Duration

	recommended []recommendation // of the window, decreasing
	ups         []change         // of the period
}

type recommendation struct {
	at time.Duration
	n  int
}

type change struct {
	at time.Duration
	by int
}

func newBehaviour() behaviour {
	return behaviour{downWindow: 300 * time.Second, upPercent: 100, upPods: 4, upPeriod: 15 * time.Second}
}

// peak keeps what was recommended in a window and returns the most of it.
func peak(list []recommendation, at time.Duration, n int, window time.Duration) ([]recommendation, int) {
	for len(list) > 0 && list[len(list)-1].n <= n {
		list = list[:len(list)-1]
	}
	list = append(list, recommendation{at, n})
	first := 0
	for list[first].at <= at-window && first < len(list)-1 {
		first++
	}
	if first > 0 {
		list = list[:copy(list, list[first:])]
	}
	return list, list[0].n
}

func (b *behaviour) apply(s Seen, n int) int {
	limit := func(n int) int {
		n = max(n, s.Min)
		if s.Max > 0 {
			n = min(n, s.Max)
		}
		return n
	}
	n = limit(n)
	var most int
	b.recommended, most = peak(b.recommended, s.At, n, b.downWindow)
	if n < s.Desired {
		n = min(s.Desired, most)
	}
	for len(b.ups) > 0 && b.ups[0].at <= s.At-b.upPeriod {
		b.ups = b.ups[1:]
	}
	if n > s.Desired {
		begin := s.Desired
		for _, c := range b.ups {
			begin -= c.by
		}
		n = min(n, max(begin+b.upPods, ceil(float64(begin)*(1+b.upPercent/100))))
		n = max(n, s.Desired)
		b.ups = append(b.ups, change{s.At, n - s.Desired})
	}
	return n
}

// KEDA scales on requests per second, as with a Prometheus trigger over the last minute: 1 to N by an HPA with
// AverageValue, and between 0 and 1 by activity, when the smallest size is 0 (PE-KE-01).
type KEDA struct {
	PerInstance float64 // requests per second and instance to keep
	Activation  float64 // requests per second above which there is activity
	Cooldown    time.Duration
	behaviour   behaviour
	active      time.Duration // last seen
	started     bool
}

// NewKEDA is one with the documented defaults.
func NewKEDA(perInstance float64) *KEDA {
	return &KEDA{PerInstance: perInstance, Cooldown: 300 * time.Second, behaviour: newBehaviour()}
}

// Name and the rest make it a Scaler.
func (*KEDA) Name() string { return "KEDA" }

// Every is the HPA's period, of which every second one is KEDA's own (pollingInterval, 30 s).
func (*KEDA) Every() time.Duration { return 15 * time.Second }

// Source is a Prometheus with its usual interval of 15 s.
func (*KEDA) Source() Source {
	return Source{Period: 15 * time.Second, Window: 60 * time.Second, Delay: 15 * time.Second}
}

// Desired is the HPA's above zero, and KEDA's own between 0 and 1.
func (k *KEDA) Desired(s Seen) (int, string) {
	if !s.Known {
		return s.Desired, ""
	}
	poll := s.At%(30*time.Second) == 0
	if s.Rate > k.Activation || !k.started {
		k.active, k.started = s.At, true
	}
	if s.Desired == 0 {
		if poll && s.Rate > k.Activation {
			return 1, fmt.Sprintf("activity, %.4g requests per second", s.Rate)
		}
		return 0, ""
	}
	if s.Min == 0 && poll && s.At-k.active >= k.Cooldown {
		return 0, fmt.Sprintf("no activity for %v", k.Cooldown)
	}
	n := s.Desired
	ratio := s.Rate / (k.PerInstance * float64(s.Desired))
	if !near(ratio, 0.1) {
		n = ceil(s.Rate / k.PerInstance)
	}
	if n = k.behaviour.apply(s, max(1, n)); n == s.Desired {
		return n, ""
	}
	return n, fmt.Sprintf("%.4g requests per second for each, %.4g in all", k.PerInstance, s.Rate)
}
