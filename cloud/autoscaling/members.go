package autoscaling

import (
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// Member is an instance of a group. Its key is the instance's ID. In brackets: what makes the transition.
//
//	 launch                        AttachInstances                 ExitStandby
//	   |                                  |                             |
//	   v                                  v                             |
//	Pending --[running]----------------> (no hooks) -------------.   Pending
//	   |  \                                                      |      |
//	   |   [running, launch hooks]                               v      v
//	   |     '-> Pending:Wait --[CONTINUE]--> Pending:Proceed -> InService
//	   |             |                                            | | |
//	[launch failed]  [ABANDON, time-out]           EnterStandby --' | '-- DetachInstances
//	   |             |                                  |           |           |
//	   v             |                                  v           |           v
//	(no member) <-.  |                         EnteringStandby      |       Detaching
//	              |  |                                  |        scale-in,      |
//	              |  |                              [drained]    Unhealthy  [drained]
//	              |  |                                  v           |           v
//	              |  |                               Standby        |      (no member; the
//	              |  v                                              v       instance runs on)
//	              |  Terminating <----------------------------------'
//	              |     |        [drained]
//	              |     |- no hooks ------------------------> EC2 terminates
//	              |     '- Terminating:Wait -> Terminating:Proceed -^ |
//	              |          ^      '-[ABANDON, retain]-> Terminating:Retained --DetachInstances--> Detaching
//	              |          '--TerminateInstanceInAutoScalingGroup--'  |
//	              '-------------------------------[terminated]--------'
//
// Every state but the steady ones, InService, Standby and Terminating:Retained, has an open activity, which ends with it.
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
	Detailed       bool   `json:",omitempty"` // monitored in detail when it joined

	Launched    time.Time // when the instance was launched
	InServiceAt time.Time // when it last reached InService
	Since       time.Time // of LifecycleState

	Activity  string // key of the open activity that moves it, or empty
	Rebalance bool   // launched to balance zones; the surplus it made has not been worked off

	CheckAt time.Time // when a failing health check counts; zero if none fails
	Ending  bool      // EC2 has been told to terminate the instance
	Waits   []Wait    // lifecycle actions that hold the member in a wait state
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
	stateRetained           = "Terminating:Retained"
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
	phaseRetained
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
	case stateRetained:
		return phaseRetained
	case stateDetaching:
		return phaseDetaching
	}
	return phaseTerminating
}

// reconcileMember brings a member on as far as it can go now.
func (s *Service) reconcileMember(tx *cloud.Tx, id string) {
	m, ok := s.members.Get(tx, id)
	if !ok {
		return
	}
	r, ok := s.open(tx, m.Group)
	if !ok {
		return
	}
	switch m.phase() {
	case phasePending:
		r.advancePending(m)
	case phaseInService:
		r.check(m)
	case phaseStandby:
		if m.LifecycleState == stateEnteringStandby && !r.draining(m.ID) {
			r.arrive(m, stateStandby)
		}
	case phaseDetaching:
		if !r.draining(m.ID) {
			r.end(m.Activity, statusSuccessful, "")
			r.s.ec2.Untag(r.tx, m.ID, ec2.GroupTag)
			r.drop(m)
		}
	case phaseRetained:
		r.checkRetained(m)
	case phaseTerminating:
		r.advanceTerminating(m)
	}
	r.save()
	r.close()
}

// arrive ends a member's way to a steady state.
func (r *roster) arrive(m Member, state string) {
	r.end(m.Activity, statusSuccessful, "")
	m.Activity = ""
	r.move(&m, state)
	r.put(m)
	r.touch()
}

// advancePending brings a member into service as soon as its instance runs and its launch hooks are through
// (AS-LC-02). Hooks do not run for attached members and those that come from standby (AS-LC-06, AS-HK-10).
func (r *roster) advancePending(m Member) {
	a, _ := r.s.activities.Get(r.tx, m.Activity)
	i, gone := r.instance(m.ID)
	switch {
	case a.Kind != kindLaunch:
		r.enter(m)
	case gone || i.State != ec2.Pending && i.State != ec2.Running:
		r.launchFailed(m, i)
	case i.State == ec2.Running:
		if r.held(&m, launchingTransition) {
			return
		}
		r.enter(m)
	}
}

// enter puts a member into service and behind the group's load balancers (LB-DR-04). A mark that it got on the way
// stays (AS-HC-07).
func (r *roster) enter(m Member) {
	if !r.suspended("AddToLoadBalancer") { // AS-SP-05
		r.register(m.ID)
	}
	m.InServiceAt, m.CheckAt = r.tx.Now(), time.Time{}
	r.arrive(m, stateInService)
	r.succeeded(m.AvailabilityZone)
	r.s.ec2.SetTargetLifecycleState(r.tx, m.ID, stateInService)
	r.tx.Touch(Name, keyMember, m.ID)
}

// launchFailed ends a launch whose instance did not get as far as InService (AS-AC-13).
func (r *roster) launchFailed(m Member, i ec2.Instance) {
	reason := i.StateReason
	switch reason.Code {
	case "Client.UserInitiatedShutdown", "Client.InstanceInitiatedShutdown", "Client.InstanceTerminated":
		r.died(m)
		r.end(m.Activity, statusCancelled, endedWhilePending(reason.Code, reason.Message))
	default:
		text := reason.Message
		if zoneTrouble(reason.Code) { // the known texts of a lack of capacity are without the code
			text = strings.TrimPrefix(text, reason.Code+": ")
		}
		if text == "" {
			text = "Client.InternalError: Client error on launch"
		}
		r.holdBack(m.AvailabilityZone, reason.Code)
		r.end(m.Activity, statusFailed, failureText(text))
	}
	if i.State != ec2.Terminated && i.State != ec2.ShuttingDown && i.ID != "" {
		_ = r.s.ec2.Terminate(r.tx, []string{m.ID}, "") // it is there: it can only be on its way already
	}
	r.drop(m)
}

// advanceTerminating takes a member through draining, hooks and EC2's termination (AS-LC-03). Hooks run for an instance
// that ended by itself, too: what they see to may outlive it (a volume, an entry in a list).
func (r *roster) advanceTerminating(m Member) {
	i, gone := r.instance(m.ID)
	if !m.Ending {
		if !gone && i.State != ec2.ShuttingDown && !r.Force && r.draining(m.ID) {
			r.update(m.Activity, func(a *Activity) {
				if a.StatusCode != statusDraining {
					a.StatusCode, a.Description = statusDraining, a.Description+drainingEnd
				}
			})
			return
		}
		if r.held(&m, terminatingTransition) {
			return
		}
	}
	if gone {
		r.end(m.Activity, statusSuccessful, "")
		r.drop(m)
		return
	}
	if m.Ending {
		return
	}
	r.update(m.Activity, func(a *Activity) {
		a.StatusCode, a.Progress = statusInProgress, 50
		a.Description = strings.TrimSuffix(a.Description, drainingEnd)
	})
	m.Ending = true
	r.put(m)
	if err := r.s.ec2.Terminate(r.tx, []string{m.ID}, ""); err != nil {
		r.end(m.Activity, statusSuccessful, "") // EC2 does not know it any more
		r.drop(m)
	}
}
