package elbv2

import "time"

// TargetChecked is the fact that the data plane checked a target's health. Results may be left out that agree with the
// target's state in the Route, unless its Streak is set or the state is initial. Targets of classic load balancers are
// reported with the same fact.
type TargetChecked struct {
	TargetGroup string    // RouteTargetGroup.ID
	Target      string    // RouteTarget.ID
	At          time.Time // cloud time when the result was known
	Passed      bool
	Reason      string // Target.ResponseCodeMismatch, Target.Timeout, Target.FailedHealthChecks; empty if Passed
	Code        int    // HTTP status of the answer; 0 if there was none
}

// TargetDrained says that a draining target has no request left and will get none. It is a fact of the data plane, and,
// passed on in its scope with InstanceID filled in, an event: whoever deregistered an instance need wait no longer,
// although the target is shown as draining until its delay is over (LB-DR-01).
type TargetDrained struct {
	TargetGroup string // RouteTargetGroup.ID
	Target      string // RouteTarget.ID

	InstanceID string // in the event; empty if the target is an address
}

// Traffic is the fact of what went through load balancers, application and classic, in a span of cloud time.
type Traffic struct {
	From, To time.Time
	Counters []Counters
}

// Counters are what happened in the span at one load balancer, or, if TargetGroup is not empty, at one target group
// behind it in one zone. The two kinds of row do not overlap.
type Counters struct {
	LoadBalancer string // Route.ARN
	TargetGroup  string // RouteTargetGroup.ID
	Zone         string

	// Rows with a TargetGroup.
	RequestCount               int64
	TargetStatus               [6]int64 // by first digit of the target's answer
	TargetConnectionErrorCount int64
	TargetResponseTime         Distribution // seconds

	// Rows without one.
	NewConnectionCount      int64
	ActiveConnectionCount   int64 // open at the end of the span
	RejectedConnectionCount int64
	ProcessedBytes          int64
	ELB4XX                  int64
	ELB5XX                  int64
	ELB500                  int64
	ELB502                  int64
	ELB503                  int64
	ELB504                  int64
}

// Distribution describes measured values; Values and Counts, if given, are good enough for percentiles.
type Distribution struct {
	Count, Sum, Min, Max float64
	Values, Counts       []float64
}

// TargetHealthChanged is the event that a target's state (LB-HC-04) is another one.
type TargetHealthChanged struct {
	TargetGroupARN string
	InstanceID     string // empty if the target is an address
	Target         string // "i-0123456789abcdef0:80"
	From, To       string // From is empty when the target is new
}

// TargetGone is the event that a target is not registered any more: its draining is over, or there was nothing to drain.
type TargetGone struct {
	TargetGroupARN string
	InstanceID     string
	Target         string
}
