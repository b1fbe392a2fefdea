// Package world is the model of everything around the control plane: how long an instance takes to boot, how many requests
// it serves at a time and how long each takes, what fails, who waits and who gives up.
//
// It is a fluid model: requests are a flow, not objects. Between two events (a slot of the load, an instance more or less)
// the rate is constant; waiting follows from the number of servers and how busy they are, and from the backlog where there
// is more load than capacity. The same model serves the real control plane and the references of other makers.
package world

// Model is what a user says of the world; it is the JSON of --world. Durations are in seconds, shares from 0 to 1.
type Model struct {
	Types    map[string]Type `json:"instance_types"`
	Boot     Spread          `json:"boot"`         // from launch until it can serve
	WarmUp   float64         `json:"warm_up"`      // after that, until it is at full speed
	ColdRate float64         `json:"cold_rate"`    // its speed meanwhile; 0 is 1: no difference
	Delay    float64         `json:"metric_delay"` // from the end of a period until its metrics can be seen
	Deadline float64         `json:"deadline"`     // an answer within it is in time
	Timeout  float64         `json:"timeout"`      // clients give up after it; 0 is never
	Retries  Retries         `json:"retries"`
	Queue    float64         `json:"queue"` // requests that may wait per instance; 0 is no limit
	Failures Failures        `json:"failures"`
	Seed     uint64          `json:"seed"`
}

// Type is what one instance of a type does.
type Type struct {
	ServiceTime Spread  `json:"service_time"` // of one request
	Concurrency float64 `json:"concurrency"`  // requests at a time; Concurrency / ServiceTime.Mean requests per second are 100 % CPU
	Price       float64 `json:"price"`        // per hour
}

// Spread is a distribution of durations: a log-normal one by its mean and its coefficient of variation.
type Spread struct {
	Mean float64 `json:"mean"`
	CV   float64 `json:"cv"`
}

// Retries are of requests that were lost.
type Retries struct {
	Share float64 `json:"share"` // of those who try again
	After float64 `json:"after"`
	Times int     `json:"times"`
}

// Failures are what goes wrong, at rates and at set times.
type Failures struct {
	LaunchShare float64 `json:"launch_share"`      // of launches that fail
	PerInstance float64 `json:"per_instance_hour"` // instances that die
	Events      []Event `json:"events"`
}

// Event is something at a set time after the start of the run.
type Event struct {
	At    float64 `json:"at"`
	For   float64 `json:"for"`
	Kind  string  `json:"kind"`  // "no-capacity" (launches fail), "zone-down" (its instances die, none can be launched), "kill", "no-metrics"
	Zone  string  `json:"zone"`  // empty: all
	Count int     `json:"count"` // of instances, for "kill"
}
