package autoscaling

import (
	"strings"

	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// This file is what a lifecycle hook's target is told: a topic or a queue (AS-HK-13 to AS-HK-16).

// servicePrincipal is who assumes a hook's role.
const servicePrincipal = "autoscaling.amazonaws.com"

// hookMessage is what a target gets when an action begins (AS-HK-15).
type hookMessage struct {
	Service              string
	Time                 string
	RequestID            string `json:"RequestId"`
	LifecycleActionToken string
	AccountID            string `json:"AccountId"`
	AutoScalingGroupName string
	LifecycleHookName    string
	EC2InstanceID        string `json:"EC2InstanceId"`
	LifecycleTransition  string
	NotificationMetadata string `json:",omitempty"`
	Origin               string
	Destination          string
}

// lines is the message as a mail has it: keys and values.
func (m *hookMessage) lines() string {
	var b strings.Builder
	for _, x := range [][2]string{
		{"Service", m.Service}, {"Time", m.Time}, {"RequestId", m.RequestID}, {"LifecycleActionToken", m.LifecycleActionToken}, {"AccountId", m.AccountID},
		{"AutoScalingGroupName", m.AutoScalingGroupName}, {"LifecycleHookName", m.LifecycleHookName}, {"EC2InstanceId", m.EC2InstanceID},
		{"LifecycleTransition", m.LifecycleTransition}, {"NotificationMetadata", m.NotificationMetadata}, {"Origin", m.Origin}, {"Destination", m.Destination},
	} {
		if x[1] != "" {
			b.WriteString(x[0] + ": " + x[1] + "\n")
		}
	}
	return b.String()
}

// setTarget sets whom a hook tells, and tries it at once (AS-HK-13, AS-HK-14); an empty target is none.
func (r *roster) setTarget(h *Hook, target, role *string) error {
	if target == nil && role == nil {
		return nil
	}
	if target != nil {
		h.Target = *target
	}
	if role != nil {
		h.Role = *role
	}
	switch {
	case h.Target == "":
		h.Role = ""
		return nil
	case strings.HasSuffix(h.Target, ".fifo"):
		return invalid("FIFO queues and topics are not supported as notification targets: %s", h.Target)
	case role != nil && h.Role != "" && r.s.identities != nil:
		if err := r.s.identities.MayPass(r.tx, h.Role, servicePrincipal); err != nil {
			return err
		}
	}
	test := testMessage{
		AccountId: r.tx.Scope.Account, RequestId: r.tx.RequestID, AutoScalingGroupARN: r.ARN, AutoScalingGroupName: r.Name,
		Service: serviceTitle, Event: notifyTest, Time: stamp(r.tx.Now()),
	}
	if r.publish(h, subject("test notification", r.Name), text(test), nil) != nil {
		return invalid("Unable to publish test message to notification target %s using IAM role %s. Please check your target and role configuration "+
			"and try to put lifecycle hook again.", h.Target, r.roleOf(h))
	}
	return nil
}

// roleOf is the role that a hook's target is told in: the group's service-linked one if the hook has none, which may publish
// to topics but not send to queues.
func (r *roster) roleOf(h *Hook) string {
	if h.Role != "" {
		return h.Role
	}
	return r.serviceLinkedRole(r.tx)
}

// tellTarget tells the hook's target of an action that begins.
func (r *roster) tellTarget(m *Member, h *Hook, token string) error {
	if h.Target == "" {
		return nil
	}
	a, _ := r.s.activities.Get(r.tx, m.Activity)
	origin, destination := ways(h.Transition == launchingTransition)
	x := hookMessage{
		Service: serviceTitle, Time: stamp(r.tx.Now()), RequestID: a.ID, LifecycleActionToken: token, AccountID: r.tx.Scope.Account,
		AutoScalingGroupName: r.Name, LifecycleHookName: h.Name, EC2InstanceID: m.ID, LifecycleTransition: h.Transition,
		NotificationMetadata: h.Metadata, Origin: origin, Destination: destination,
	}
	what := strings.TrimPrefix(h.Transition, "autoscaling:EC2_INSTANCE_")
	return r.publish(h, "Auto Scaling:  Lifecycle action '"+what+"' for instance "+m.ID+" in progress.", text(x), map[string]string{"email": x.lines()})
}

// publish sends to a hook's target, a topic or a queue of this account and region, as far as its role may.
func (r *roster) publish(h *Hook, subject, body string, byProtocol map[string]string) error {
	part := strings.SplitN(h.Target, ":", 6)
	switch {
	case len(part) == 6 && part[2] == sns.Name:
		_, policy, _ := r.s.sns.Named(r.tx, h.Target)
		if err := r.mayTell(h, policy, "sns:Publish"); err != nil {
			return err
		}
		return r.s.sns.PublishTexts(r.tx, h.Target, subject, body, byProtocol)
	case len(part) == 6 && part[2] == sqs.Name && r.s.queues != nil:
		_, policy, _ := r.s.queues.Named(r.tx, h.Target)
		if err := r.mayTell(h, policy, "sqs:SendMessage", "sqs:GetQueueUrl"); err != nil {
			return err
		}
		return r.s.queues.Send(r.tx, h.Target, body, nil)
	}
	return invalid("%s is no topic or queue.", h.Target)
}

// mayTell refuses what neither the hook's role nor the target's policy allows, or one of them denies (AS-HK-13).
func (r *roster) mayTell(h *Hook, policy string, actions ...string) error {
	if r.s.identities == nil {
		return nil // nobody has roles
	}
	for _, action := range actions {
		err := r.s.identities.MayAct(r.tx, iam.Act{Service: servicePrincipal, Role: r.roleOf(h), Source: r.ARN, Action: action, Resource: h.Target, Policy: policy})
		if err != nil {
			return err
		}
	}
	return nil
}
