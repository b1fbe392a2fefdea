// Package outcome is what a simulated run came to: the same shape for the real control plane, for the references of other
// makers and for the clairvoyant optimum, so that they can be put side by side, plotted and written out.
//
// It is data with the arithmetic of summing up; it neither runs anything nor prints.
package outcome

import "time"

// Outcome is one group under one load with one way of scaling.
type Outcome struct {
	Name       string     `json:"name"` // of the variant: "web", "Kubernetes HPA", "tuned"
	Group      string     `json:"group"`
	From       time.Time  `json:"from"`
	To         time.Time  `json:"to"`
	Summary    Summary    `json:"summary"`
	Points     []Point    `json:"points,omitempty"`     // one per slot (a minute unless said otherwise), in order of time
	Activities []Activity `json:"activities,omitempty"` // in order of StartTime
}

// Summary are the figures of a run. Shares are of all requests that arrived, retries not counted again. What there is
// none of is 0 here, or nil, and absent in JSON.
type Summary struct {
	Requests float64 `json:"requests"`
	InTime   float64 `json:"in_time_share"` // answered within the world's deadline
	Late     float64 `json:"late_share"`    // answered, but after the deadline
	Lost     float64 `json:"lost_share"`    // never answered: timed out, refused, no instance
	Retries  float64 `json:"retries"`

	P50 float64 `json:"latency_p50_seconds,omitempty"` // of answered requests
	P95 float64 `json:"latency_p95_seconds,omitempty"`
	P99 float64 `json:"latency_p99_seconds,omitempty"`

	InstanceHours float64  `json:"instance_hours"`              // from launch to termination, by the second
	Cost          float64  `json:"cost"`                        // in the currency of the prices
	LowerBound    float64  `json:"lower_bound_hours,omitempty"` // instance-hours without which nobody has the same objective, whatever he knows
	AboveBound    *float64 `json:"above_lower_bound,omitempty"` // InstanceHours / LowerBound - 1

	MinutesOverTarget float64 `json:"minutes_over_target"` // minutes whose utilization was above the policy's target
	MeanUtilization   float64 `json:"mean_utilization"`    // percent of the capacity in service
	Headroom          float64 `json:"headroom"`            // mean share of the capacity in service that was idle
	Actions           int     `json:"actions"`             // changes of desired capacity
	Outs, Ins         int     `json:"-"`
	LargestAction     int     `json:"largest_action"`
	TimeToReact       float64 `json:"time_to_react_seconds,omitempty"` // median, from demand first above capacity to capacity enough; 0 if it never was
	MaxInstances      int     `json:"max_instances"`
	FailedLaunches    int     `json:"failed_launches"`
}

// Point is one slot of a run.
type Point struct {
	At          time.Time `json:"at"`
	Rate        float64   `json:"rate"` // requests per second that arrived, first tries
	Desired     int       `json:"desired"`
	InService   int       `json:"in_service"`
	Pending     int       `json:"pending"`     // launched and paid for, not serving
	Capacity    float64   `json:"capacity"`    // requests per second that the instances in service can serve, at the end of the slot
	Utilization float64   `json:"utilization"` // percent, mean over the instances in service
	InTime      float64   `json:"in_time"`     // requests in the slot
	Late        float64   `json:"late"`
	Lost        float64   `json:"lost"`
	Backlog     float64   `json:"backlog"`               // requests waiting at the end of the slot
	P50         float64   `json:"p50_seconds,omitempty"` // latencies
	P95         float64   `json:"p95_seconds,omitempty"`
	P99         float64   `json:"p99_seconds,omitempty"`
	Optimum     int       `json:"optimum,omitempty"`  // what a plan for one who knows the load has
	Forecast    float64   `json:"forecast,omitempty"` // predictive scaling's capacity, 0 if there is none
}

// Activity is one thing that was done, with its cause in AWS's words (AS-AC).
type Activity struct {
	ID          string    `json:"id"`
	StartTime   time.Time `json:"start_time"`
	EndTime     time.Time `json:"end_time,omitzero"` // zero: still going on at the end
	Description string    `json:"description"`
	Cause       string    `json:"cause"`
	StatusCode  string    `json:"status_code"`
	From        int       `json:"desired_before,omitempty"` // desired capacity before and after, if this is a change of it; otherwise the same
	To          int       `json:"desired_after,omitempty"`
}
