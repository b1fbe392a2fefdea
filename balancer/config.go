// Package balancer is the L4/L7 data plane: what Elastic Load Balancing does with
// bytes. It is not the control plane: it keeps no thresholds, owns no deregistration
// delays and knows no API; it is told what is so and says what it saw.
//
// The one idea: the whole configuration is one immutable value, swapped whole
// ([Balancer.Apply]). What did not change between two configurations keeps its
// sockets, its kept-alive connections and its counts, because those hang on IDs and
// not on a configuration. A request keeps the configuration it began with.
//
// Invariants: a change of configuration fails no request whose target stays or drains;
// a target that was reported as drained gets no request until it is registered anew;
// what is counted is collected exactly once; no client and no target can end the
// process. All durations in a Config are cloud time, divided by [Options].TimeScale
// here; see [Options] for the floors, which exist because programs behind the
// balancer run in real time.
package balancer

import (
	"net/netip"
	"time"
)

// Config is everything the balancer is to do, at one instant. It and all it points to
// must not be changed after it was given to Apply.
type Config struct {
	LoadBalancers []LoadBalancer
	TargetGroups  []TargetGroup
}

// Kind tells a classic load balancer from an application load balancer.
type Kind string

const (
	KindApplication Kind = "application"
	// KindClassic has no fail-open (LB-CL-04).
	KindClassic Kind = "classic"
)

// LoadBalancer is one load balancer and its listeners.
type LoadBalancer struct {
	ID   string // the ARN, or the name of a classic one; identity across configurations
	Kind Kind

	// DNSNames are matched against the Host header by Match, in any letter case, with or
	// without a port.
	DNSNames []string
	// Address is the (loopback) address to listen on; the zero value means that only
	// Match leads here.
	Address netip.Addr

	IdleTimeout     time.Duration // idle_timeout.timeout_seconds, 0 is 60 s (LB-HD-03)
	ClientKeepAlive time.Duration // client_keep_alive.seconds, 0 is 3600 s (LB-HD-03)

	// XForwardedFor is routing.http.xff_header_processing.mode: append (also if empty),
	// preserve or remove (LB-HD-01).
	XForwardedFor           string
	XFFClientPort           bool // routing.http.xff_client_port.enabled (LB-HD-02)
	DropInvalidHeaderFields bool // routing.http.drop_invalid_header_fields.enabled (LB-HD-04)

	Listeners []Listener
}

// Protocols of listeners, target groups and health checks. HTTPS and SSL listeners are
// not built yet: Apply reports them as a Problem.
const (
	ProtocolHTTP = "HTTP"
	ProtocolTCP  = "TCP"
)

// Listener is a port of a load balancer and where its requests go.
type Listener struct {
	ID       string // unique within its load balancer
	Protocol string // HTTP or TCP
	Port     int
	// Forward shares requests between 1 to 5 target groups by weight (LB-RU-03). A target
	// group without healthy targets keeps its share (LB-RU-04). For one group without a
	// given weight, write 1.
	Forward []WeightedTargetGroup
	// InstancePort, if not 0, replaces the port in the targets' addresses: the instance
	// port of a classic listener.
	InstancePort int
}

// WeightedTargetGroup is one branch of a forward action.
type WeightedTargetGroup struct {
	TargetGroup string // TargetGroup.ID
	Weight      int    // 0 to 999
}

// Balancing algorithms (LB-RT-01); empty is round_robin.
const (
	AlgorithmRoundRobin               = "round_robin"
	AlgorithmLeastOutstandingRequests = "least_outstanding_requests"
	AlgorithmWeightedRandom           = "weighted_random"
)

// TargetGroup is a set of targets with one health check. The instances of a classic
// load balancer are given as a target group too (by convention with the load balancer's
// name as ID).
type TargetGroup struct {
	ID        string // the ARN; identity across configurations
	Algorithm string
	Targets   []Target

	HealthCheck HealthCheck

	// Fail-open (LB-HC-07), for listeners of application load balancers: with fewer
	// healthy targets than MinimumHealthyCount (0 is 1), or a smaller share of them than
	// MinimumHealthyPercentage (0 is off), requests go to all registered targets.
	MinimumHealthyCount      int
	MinimumHealthyPercentage int
}

// State is the target's state as the control plane has decided it.
type State string

const (
	StateInitial   State = "initial"
	StateHealthy   State = "healthy"
	StateUnhealthy State = "unhealthy"
	// StateDraining: no new requests; open ones may end (LB-DR-01). Not checked.
	StateDraining State = "draining"
	// StateUnavailable: health checks are disabled; routed to like healthy. Not checked.
	StateUnavailable State = "unavailable"
	// StateUnused: registered but unable to serve (stopped, zone not enabled): neither
	// routed to nor checked, also not when failing open.
	StateUnused State = "unused"
)

// Target is one address in a target group. A target that is missing from the next Config
// is gone: its open requests are cut (LB-DR-02). To let them end, show it as draining first.
type Target struct {
	ID      string // identity across configurations, together with Address
	Address string // host:port
	Zone    string // name of its Availability Zone, only for counters
	State   State
	// Streak says that the control plane is counting toward a change of State: every
	// result of this target is then reported, also the ones that agree with State.
	Streak bool
}

// HealthCheck is how targets of a group are checked. Thresholds are not here: the control
// plane counts.
type HealthCheck struct {
	Enabled  bool
	Protocol string // HTTP (also if empty) or TCP
	Port     int    // 0 is traffic-port
	Path     string // empty is /
	Interval time.Duration
	Timeout  time.Duration
	Matcher  string // HTTP codes, as in "200,202" or "200-299"; empty is 200
}

// Problem is a part of a Config that could not be done. The rest was done.
// What failed is tried again on the next Apply.
type Problem struct {
	LoadBalancer string // ID, empty if the problem is of a target group
	Listener     string // ID
	TargetGroup  string // ID, empty if the problem is of a listener
	Message      string // one sentence for a person
}

// Reasons of a failed check, as DescribeTargetHealth spells them (LB-HC-05).
const (
	ReasonResponseCodeMismatch = "Target.ResponseCodeMismatch"
	ReasonTimeout              = "Target.Timeout"
	ReasonFailedHealthChecks   = "Target.FailedHealthChecks"
)

// HealthResult is one health check that was made.
type HealthResult struct {
	TargetGroup string
	Target      string
	At          time.Time // wall time when the result was known
	Passed      bool
	Reason      string // empty if Passed
	Code        int    // status code of the answer, 0 if there was none
}

// Drained says that a draining target has no request left in flight and will get none.
type Drained struct {
	TargetGroup string
	Target      string
	At          time.Time // wall time
}

// Facts is what the balancer noticed since the last report, in the order in which it
// was noticed. Steady state is silent: a health result is reported only if it can matter,
// that is if the state in the Config is initial, if it disagrees with that state, if the
// target's Streak is set, or if it differs from the last result that was reported.
type Facts struct {
	Health  []HealthResult
	Drained []Drained
}
