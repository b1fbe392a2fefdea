package autoscaling

import (
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// This file is what becomes of instances whose termination a hook gave up, in groups that retain them (AS-HK-19). They
// stay members, are replaced, and are left alone until somebody ends or detaches them.

// Values of TerminateHookAbandon.
const (
	retainAbandoned    = "retain"
	terminateAbandoned = "terminate"
)

// setRetention takes a group's InstanceLifecyclePolicy. It counts when a hook abandons: who is retained already stays it.
func (r *roster) setRetention(p *shape.InstanceLifecyclePolicy) {
	if p != nil && p.RetentionTriggers != nil && p.RetentionTriggers.TerminateHookAbandon != nil {
		r.Options.Retain = *p.RetentionTriggers.TerminateHookAbandon == retainAbandoned
	}
}

// retention is the group's InstanceLifecyclePolicy.
func (o Options) retention() *shape.InstanceLifecyclePolicy {
	action := terminateAbandoned
	if o.Retain {
		action = retainAbandoned
	}
	return &shape.InstanceLifecyclePolicy{RetentionTriggers: &shape.RetentionTriggers{TerminateHookAbandon: &action}}
}

// retain ends a termination that a hook gave up, and keeps the instance.
func (r *roster) retain(m Member, w Wait) {
	r.end(m.Activity, statusCancelled, w.abandonment())
	m.Activity, m.Waits = "", nil
	r.move(&m, stateRetained)
	r.put(m)
	r.touch()
}

// alive tells whether there is an instance left to retain: one that has stopped can still be looked into.
func (r *roster) alive(id string) bool {
	i, gone := r.instance(id)
	return !gone && i.State != ec2.ShuttingDown
}

// checkRetained looks at a retained member to which something happened: the end of its instance ends it as well, without the
// hooks that it has been through.
func (r *roster) checkRetained(m Member) {
	if !r.alive(m.ID) {
		m.Ending = true
		r.terminate(m, ending{cause: at(r.tx.Now(), healthSentence(sickState))})
	}
}

// mayForceDelete refuses to delete a group together with instances that it would retain, be there any or not.
func (g Group) mayForceDelete() error {
	if g.Options.Retain {
		return invalid("You can't force delete this Auto Scaling group because the TerminateHookAbandon retention trigger is set to retain. Change the retention trigger to terminate and try again.")
	}
	return nil
}

// notCounted refuses to take a retained member off the desired capacity; AWS's text is not published [I].
func (m Member) notCounted() error {
	return invalid("Instance %s is in %s and does not count toward the desired capacity: ShouldDecrementDesiredCapacity must be false.", m.ID, stateRetained)
}
