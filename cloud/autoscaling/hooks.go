package autoscaling

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// Transitions that hooks hold up (AS-HK-15).
const (
	launchingTransition   = "autoscaling:EC2_INSTANCE_LAUNCHING"
	terminatingTransition = "autoscaling:EC2_INSTANCE_TERMINATING"
)

// Results of a lifecycle action (AS-HK-05).
const (
	resultContinue = "CONTINUE"
	resultAbandon  = "ABANDON"
)

const (
	hookLimit      = 50      // per group (AS-QL-06)
	longestWait    = 172_800 // seconds (AS-HK-02)
	usualHeartbeat = 3600    // seconds (AS-HK-01)
)

// Hook is a lifecycle hook of a group.
type Hook struct {
	Name          string
	Transition    string
	Heartbeat     int // seconds
	DefaultResult string
	Metadata      string
	Target        string `json:",omitempty"` // ARN of the topic or queue that is told
	Role          string `json:",omitempty"` // ARN
}

// globalTimeout is the longest that the hook can hold an instance (AS-HK-02).
func (h Hook) globalTimeout() int { return min(longestWait, 100*h.Heartbeat) }

// Wait is one lifecycle action: a hook that holds a member.
type Wait struct {
	Hook     string
	Token    string
	Deadline time.Time // of the heartbeat
	Last     time.Time // no heartbeat goes beyond
	Result   string    // empty while it is active
	TimedOut bool
}

// held tells whether the hooks of a transition hold the member up, and starts them when it first comes by. All hooks
// of a transition start together; the member goes on when all are complete or one abandons (AS-HK-09).
func (r *roster) held(m *Member, transition string) bool {
	waiting, proceed := statePendingWait, statePendingProceed
	if transition == terminatingTransition {
		waiting, proceed = stateTerminatingWait, stateTerminatingProceed
	}
	switch m.LifecycleState {
	case proceed:
		return false
	case waiting:
	default:
		if !r.startWaits(m, transition) {
			return false
		}
		r.move(m, waiting)
		r.update(m.Activity, func(a *Activity) {
			a.StatusCode, a.Progress = statusMidLifecycle, 40 // AS-AC-03
			if transition == terminatingTransition {
				a.Progress = 60
			}
		})
		r.put(*m)
	}
	var next time.Time
	abandoned := -1
	for i, w := range r.expire(m) {
		if w.Result == resultAbandon && abandoned < 0 {
			abandoned = i
		}
		if w.Result == "" && (next.IsZero() || w.Deadline.Before(next)) {
			next = w.Deadline
		}
	}
	switch {
	case abandoned < 0:
	case transition == launchingTransition:
		r.abandon(*m, m.Waits[abandoned])
		return true
	case r.Options.Retain && r.alive(m.ID):
		r.retain(*m, m.Waits[abandoned])
		return true
	}
	if abandoned < 0 && !next.IsZero() {
		r.tx.At(Name, keyMember, m.ID, next)
		return true
	}
	m.Waits = nil
	r.move(m, proceed)
	r.put(*m)
	return false
}

// startWaits begins a lifecycle action for each hook of a transition; false if there is none.
func (r *roster) startWaits(m *Member, transition string) bool {
	var waits []Wait
	for _, h := range r.Hooks {
		if h.Transition == transition {
			now := r.tx.Now()
			waits = append(waits, Wait{Hook: h.Name, Token: r.tx.UUID(), Deadline: now.Add(inSeconds(h.Heartbeat)), Last: now.Add(inSeconds(h.globalTimeout()))})
			r.tellAction(m, &h, waits[len(waits)-1].Token)
			if r.tellTarget(m, &h, waits[len(waits)-1].Token) != nil { // AS-HK-16
				waits[len(waits)-1].Result = h.DefaultResult
			}
		}
	}
	m.Waits = waits
	return len(waits) > 0
}

func inSeconds(n int) time.Duration { return time.Duration(n) * time.Second }

// expire gives the actions whose heartbeat is over their default result, and those whose hook is gone as well.
func (r *roster) expire(m *Member) []Wait {
	waits := slices.Clone(m.Waits)
	for i, w := range waits {
		if w.Result == "" && !w.Deadline.After(r.tx.Now()) {
			waits[i].TimedOut, waits[i].Result = true, resultAbandon
			if h, ok := r.hook(w.Hook); ok {
				waits[i].Result = h.DefaultResult
			}
		}
	}
	m.Waits = waits
	return waits
}

// abandon ends a launch that a hook gave up: the instance is ended, through the hooks of termination, and replaced
// (AS-HK-06, AS-HK-07). Launches slow down when that goes on (AS-HK-18).
func (r *roster) abandon(m Member, w Wait) {
	r.end(m.Activity, statusCancelled, w.abandonment())
	m.Activity, m.Waits = "", nil
	r.holdBack(m.AvailabilityZone, "")
	// The cause of this termination is not published [I].
	r.terminate(m, ending{cause: at(r.tx.Now(), "instance "+m.ID+" was taken out of service in response to an abandoned lifecycle action.")})
}

// abandonment is the StatusMessage of an activity that the wait's end was the end of (AS-AC-12).
func (w Wait) abandonment() string {
	how := "Lifecycle Action Completed with ABANDON Result"
	if w.TimedOut {
		how = "Heartbeat Timeout"
	}
	return "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token " + w.Token + " was abandoned: " + how
}

func (g Group) hook(name string) (Hook, bool) {
	i, found := slices.BinarySearchFunc(g.Hooks, name, byHook)
	if !found {
		return Hook{}, false
	}
	return g.Hooks[i], true
}

func byHook(h Hook, name string) int { return strings.Compare(h.Name, name) }

// setHooks makes the hooks that a group is created with.
func (r *roster) setHooks(list []shape.LifecycleHookSpecification) error {
	for _, x := range list {
		if err := r.putHook(&shape.PutLifecycleHookInput{
			LifecycleHookName: x.LifecycleHookName, LifecycleTransition: x.LifecycleTransition, DefaultResult: x.DefaultResult,
			HeartbeatTimeout: x.HeartbeatTimeout, NotificationMetadata: x.NotificationMetadata, NotificationTargetARN: x.NotificationTargetARN, RoleARN: x.RoleARN,
		}); err != nil {
			return err
		}
	}
	return nil
}

func (r *roster) putHook(in *shape.PutLifecycleHookInput) error {
	h, exists := r.hook(*in.LifecycleHookName)
	if !exists {
		h = Hook{Name: *in.LifecycleHookName, Heartbeat: usualHeartbeat, DefaultResult: resultAbandon}
	}
	if in.LifecycleTransition != nil {
		h.Transition = *in.LifecycleTransition
	}
	given(in.HeartbeatTimeout, &h.Heartbeat)
	if in.DefaultResult != nil {
		h.DefaultResult = *in.DefaultResult
	}
	if in.NotificationMetadata != nil {
		h.Metadata = *in.NotificationMetadata
	}
	switch {
	case h.Transition != launchingTransition && h.Transition != terminatingTransition:
		return invalid("Lifecycle transition must be one of [%s, %s]", launchingTransition, terminatingTransition)
	case h.Heartbeat < 30 || h.Heartbeat > 7200: // AS-HK-01
		return invalid("HeartbeatTimeout must be between 30 and 7200 seconds.")
	case h.DefaultResult != resultContinue && h.DefaultResult != resultAbandon:
		return invalid("DefaultResult must be CONTINUE or ABANDON.")
	}
	if err := r.setTarget(&h, in.NotificationTargetARN, in.RoleARN); err != nil {
		return err
	}
	i, _ := slices.BinarySearchFunc(r.Hooks, h.Name, byHook)
	list := slices.Clone(r.Hooks)
	if exists {
		list[i] = h
	} else {
		list = slices.Insert(list, i, h)
	}
	if len(list) > hookLimit {
		return api.Errorf("LimitExceeded", "You may only have %d lifecycle hooks on an Auto Scaling group.", hookLimit)
	}
	r.Hooks, r.changed = list, true
	return nil
}

// PutLifecycleHook makes a hook or changes one.
func (s *Service) PutLifecycleHook(tx *cloud.Tx, in *shape.PutLifecycleHookInput) (*shape.PutLifecycleHookOutput, error) {
	r, err := s.known(tx, *in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if err := r.putHook(in); err != nil {
		return nil, err
	}
	r.save()
	return &shape.PutLifecycleHookOutput{}, nil
}

// DeleteLifecycleHook deletes a hook. Actions of it that are active are completed first: with ABANDON for instances
// that are launched, with CONTINUE for those that are ended.
func (s *Service) DeleteLifecycleHook(tx *cloud.Tx, in *shape.DeleteLifecycleHookInput) (*shape.DeleteLifecycleHookOutput, error) {
	r, err := s.known(tx, *in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	h, ok := r.hook(*in.LifecycleHookName)
	if !ok {
		return nil, invalid("No Lifecycle Hook found with name %s for Auto Scaling group %s", *in.LifecycleHookName, r.Name)
	}
	result := resultAbandon
	if h.Transition == terminatingTransition {
		result = resultContinue
	}
	for _, m := range r.team() {
		if i := slices.IndexFunc(m.Waits, func(w Wait) bool { return w.Hook == h.Name && w.Result == "" }); i >= 0 {
			r.complete(*m, i, result)
		}
	}
	r.Hooks = slices.DeleteFunc(slices.Clone(r.Hooks), func(x Hook) bool { return x.Name == h.Name })
	r.changed = true
	r.save()
	return &shape.DeleteLifecycleHookOutput{}, nil
}

// complete gives a lifecycle action its result.
func (r *roster) complete(m Member, i int, result string) {
	m.Waits = slices.Clone(m.Waits)
	m.Waits[i].Result = result
	r.put(m)
	r.tx.Touch(Name, keyMember, m.ID)
}

// DescribeLifecycleHooks lists the group's hooks.
func (s *Service) DescribeLifecycleHooks(tx *cloud.Tx, in *shape.DescribeLifecycleHooksInput) (*shape.DescribeLifecycleHooksOutput, error) {
	r, err := s.known(tx, *in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeLifecycleHooksOutput{LifecycleHooks: []shape.LifecycleHook{}}
	for _, h := range r.Hooks {
		if len(in.LifecycleHookNames) == 0 || slices.Contains(in.LifecycleHookNames, h.Name) {
			out.LifecycleHooks = append(out.LifecycleHooks, shape.LifecycleHook{
				LifecycleHookName: &h.Name, AutoScalingGroupName: &r.Name, LifecycleTransition: &h.Transition,
				HeartbeatTimeout: new(int32(h.Heartbeat)), GlobalTimeout: new(int32(h.globalTimeout())), DefaultResult: &h.DefaultResult,
				NotificationMetadata: some(h.Metadata), NotificationTargetARN: some(h.Target), RoleARN: some(h.Role),
			})
		}
	}
	return out, nil
}

// action finds an active lifecycle action by its token or its instance (AS-HK-05, AS-HK-20).
func (r *roster) action(hook string, token, instance *string) (Member, int, error) {
	if token == nil && instance == nil {
		return Member{}, 0, invalid("Either LifecycleActionToken or InstanceId must be given.")
	}
	if _, ok := r.hook(hook); !ok {
		return Member{}, 0, invalid("No Lifecycle Hook found with name %s for Auto Scaling group %s", hook, r.Name)
	}
	for _, m := range r.team() {
		for i, w := range m.Waits {
			if w.Hook == hook && w.Result == "" && (token == nil || w.Token == *token) && (instance == nil || m.ID == *instance) {
				return *m, i, nil
			}
		}
	}
	if token != nil {
		return Member{}, 0, invalid("No active Lifecycle Action found with token %s", *token)
	}
	return Member{}, 0, invalid("No active Lifecycle Action found with instance ID %s", *instance)
}

// CompleteLifecycleAction ends a wait (AS-HK-05).
func (s *Service) CompleteLifecycleAction(tx *cloud.Tx, in *shape.CompleteLifecycleActionInput) (*shape.CompleteLifecycleActionOutput, error) {
	r, err := s.known(tx, *in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if x := *in.LifecycleActionResult; x != resultContinue && x != resultAbandon {
		return nil, invalid("LifecycleActionResult must be CONTINUE or ABANDON.")
	}
	m, i, err := r.action(*in.LifecycleHookName, in.LifecycleActionToken, in.InstanceId)
	if err != nil {
		return nil, err
	}
	r.complete(m, i, *in.LifecycleActionResult)
	return &shape.CompleteLifecycleActionOutput{}, nil
}

// RecordLifecycleActionHeartbeat starts the heartbeat anew, as far as the hook's global time-out allows (AS-HK-04).
func (s *Service) RecordLifecycleActionHeartbeat(tx *cloud.Tx, in *shape.RecordLifecycleActionHeartbeatInput) (*shape.RecordLifecycleActionHeartbeatOutput, error) {
	r, err := s.known(tx, *in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	m, i, err := r.action(*in.LifecycleHookName, in.LifecycleActionToken, in.InstanceId)
	if err != nil {
		return nil, err
	}
	h, _ := r.hook(*in.LifecycleHookName)
	m.Waits = slices.Clone(m.Waits)
	if m.Waits[i].Deadline = tx.Now().Add(inSeconds(h.Heartbeat)); m.Waits[i].Deadline.After(m.Waits[i].Last) {
		m.Waits[i].Deadline = m.Waits[i].Last
	}
	r.put(m)
	tx.Touch(Name, keyMember, m.ID)
	return &shape.RecordLifecycleActionHeartbeatOutput{}, nil
}
