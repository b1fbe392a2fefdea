// Package outcome is what a simulated run came to: the same shape for the real control plane, for the references of other
// makers and for the clairvoyant optimum, so that they can be put side by side, plotted and written out.
//
// It is data with the arithmetic of summing up; it neither runs anything nor prints.
package outcome

import "time"

// Outcome is one group under one load with one way of scaling.
type Outcome struct {
	Name       string // of the variant: "web", "Kubernetes HPA", "tuned"
	Group      string
	From, To   time.Time
	Summary    Summary
	Points     []Point    // one per slot (a minute unless said otherwise), in order of time
	Activities []Activity // in order of StartTime
}

// Summary are the figures of a run. Shares are of all requests that arrived, retries not counted again.
type Summary struct {
	Requests float64 `json:"requests"`
	InTime   float64 `json:"in_time_share"` // answered within the world's deadline
	Late     float64 `json:"late_share"`    // answered, but after the deadline
	Lost     float64 `json:"lost_share"`    // never answered: timed out, refused, no instance
	Retries  float64 `json:"retries"`

	P50 float64 `json:"latency_p50_seconds"` // of answered requests
	P95 float64 `json:"latency_p95_seconds"`
	P99 float64 `json:"latency_p99_seconds"`

	InstanceHours float64 `json:"instance_hours"` // from launch to termination, by the second
	Cost          float64 `json:"cost"`           // in the currency of the prices
	OptimumHours  float64 `json:"optimum_hours"`  // clairvoyant: what would have been enough for the same objective
	AboveOptimum  float64 `json:"above_optimum"`  // InstanceHours / OptimumHours - 1

	MinutesOverTarget float64       `json:"minutes_over_target"` // minutes whose utilization was above the policy's target
	MeanUtilization   float64       `json:"mean_utilization"`    // percent of the capacity in service
	Headroom          float64       `json:"headroom"`            // mean share of the capacity in service that was idle
	Actions           int           `json:"actions"`             // changes of desired capacity
	Outs, Ins         int           `json:"-"`
	LargestAction     int           `json:"largest_action"`
	TimeToReact       time.Duration `json:"time_to_react"` // median, from demand first above capacity to capacity enough; 0 if it never was
	MaxInstances      int           `json:"max_instances"`
	FailedLaunches    int           `json:"failed_launches"`
}

// Point is one slot of a run.
type Point struct {
	At            time.Time
	Rate          float64 // requests per second that arrived, first tries
	Desired       int
	InService     int
	Pending       int     // launched and paid for, not serving
	Capacity      float64 // requests per second that the instances in service can serve, at the end of the slot
	Utilization   float64 // percent, mean over the instances in service
	InTime        float64 // requests in the slot
	Late, Lost    float64
	Backlog       float64 // requests waiting at the end of the slot
	P50, P95, P99 float64 // seconds
	Optimum       int     // what the clairvoyant has
	Forecast      float64 // predictive scaling's capacity, 0 if there is none
}

// Activity is one thing that was done, with its cause in AWS's words (AS-AC).
type Activity struct {
	ID          string
	StartTime   time.Time
	EndTime     time.Time // zero: still going on at the end
	Description string
	Cause       string
	StatusCode  string
	From, To    int // desired capacity before and after, if this is a change of it
}
