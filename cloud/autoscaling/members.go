package autoscaling

import "time"

// Member is an instance of a group. Its key is the instance's ID.
type Member struct {
	ID    string
	Group string

	AvailabilityZone        string
	InstanceType            string
	ImageID                 string
	LaunchConfigurationName string
	Template                TemplateRef

	LifecycleState string
	HealthStatus   string // Healthy or Unhealthy
	Sickness       string // what made it Unhealthy: a key of healthSentences
	Protected      bool   // from scale-in

	Launched    time.Time // when the instance was launched
	InServiceAt time.Time // when it last reached InService
	Since       time.Time // of LifecycleState

	Activity  string // key of the open activity that moves it, or empty
	Rebalance bool   // launched to balance zones; the surplus it made has not been worked off
}

// Values of LifecycleState (AS-LC-01), those that occur here.
const (
	statePending            = "Pending"
	statePendingWait        = "Pending:Wait"
	statePendingProceed     = "Pending:Proceed"
	stateInService          = "InService"
	stateTerminating        = "Terminating"
	stateTerminatingWait    = "Terminating:Wait"
	stateTerminatingProceed = "Terminating:Proceed"
	stateEnteringStandby    = "EnteringStandby"
	stateStandby            = "Standby"
	stateDetaching          = "Detaching"
)

// Values of HealthStatus (AS-LC-08).
const (
	healthy   = "Healthy"
	unhealthy = "Unhealthy"
)

// phase is what a lifecycle state counts as (AS-LC-09).
type phase int

const (
	phasePending phase = iota
	phaseInService
	phaseStandby
	phaseTerminating
	phaseDetaching
)

func (m Member) phase() phase {
	switch m.LifecycleState {
	case statePending, statePendingWait, statePendingProceed:
		return phasePending
	case stateInService:
		return phaseInService
	case stateEnteringStandby, stateStandby:
		return phaseStandby
	case stateDetaching:
		return phaseDetaching
	}
	return phaseTerminating
}
