package autoscaling

import (
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// TestStatusChecks: an instance whose status checks fail is put up with for five minutes, and for the grace period, and then
// replaced at the next look, which comes every half minute; one whose checks pass again in time stays (AS-HC-02 to AS-HC-06,
// AS-HC-08). The causes are those of AS-AC-11.
func TestStatusChecks(t *testing.T) {
	const (
		status  = "an instance was taken out of service in response to an EC2 instance status check failure."
		volumes = "an instance was taken out of service in response to an EBS volume health check failure."
	)
	// Instances are in service at 0:20. Times are from 0:00, when the group was made.
	for _, c := range []struct {
		what   string
		grace  int32
		kind   string // HealthCheckType
		failAt time.Duration
		fails  ec2.ImpairInput
		before func(w *world, id string)
		want   time.Duration // when it is replaced; 0 never
		cause  string
	}{
		{what: "its own check", failAt: 10 * time.Minute, fails: ec2.ImpairInput{Instance: true}, want: 15*time.Minute + 30*time.Second, cause: status},
		{what: "the system's", failAt: 10*time.Minute + 7*time.Second, fails: ec2.ImpairInput{System: true}, want: 15*time.Minute + 30*time.Second, cause: status},
		{what: "both, and the load balancer's kind as well", kind: "ELB", failAt: 10 * time.Minute, fails: ec2.ImpairInput{Instance: true, System: true}, want: 15*time.Minute + 30*time.Second, cause: status},
		{what: "from its start", failAt: 30 * time.Second, fails: ec2.ImpairInput{Instance: true}, want: 6*time.Minute + 30*time.Second, cause: status},
		{what: "in the grace period, which is longer", grace: 1200, failAt: 10 * time.Minute, fails: ec2.ImpairInput{Instance: true}, want: 20*time.Minute + 30*time.Second, cause: status},
		{what: "in the grace period, which is shorter", grace: 610, failAt: 10 * time.Minute, fails: ec2.ImpairInput{Instance: true}, want: 15*time.Minute + 30*time.Second, cause: status},
		{what: "for four minutes", failAt: 10 * time.Minute, fails: ec2.ImpairInput{Instance: true, For: 4 * time.Minute}},
		{what: "for four minutes of the grace period", grace: 1200, failAt: 10 * time.Minute, fails: ec2.ImpairInput{Instance: true, For: 4 * time.Minute}},
		{what: "for six minutes", failAt: 10 * time.Minute, fails: ec2.ImpairInput{System: true, For: 6 * time.Minute}, want: 15*time.Minute + 30*time.Second, cause: status},
		{what: "its volumes", failAt: 10 * time.Minute, fails: ec2.ImpairInput{Volumes: true}},
		{what: "its volumes, which count", kind: "EC2,EBS", failAt: 10 * time.Minute, fails: ec2.ImpairInput{Volumes: true}, want: 15*time.Minute + 30*time.Second, cause: volumes},
		{what: "its own check while nobody looks", failAt: 10 * time.Minute, fails: ec2.ImpairInput{Instance: true}, before: func(w *world, _ string) {
			must[shape.SuspendProcessesOutput](w, Name, "SuspendProcesses", &shape.SuspendProcessesInput{AutoScalingGroupName: new("g"), ScalingProcesses: []string{"HealthCheck"}})
		}},
		{what: "its own check on standby", failAt: 10 * time.Minute, fails: ec2.ImpairInput{Instance: true}, before: func(w *world, id string) {
			must[shape.EnterStandbyOutput](w, Name, "EnterStandby", &shape.EnterStandbyInput{AutoScalingGroupName: new("g"), InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: new(true)})
		}},
		{what: "its own check, though it is protected", failAt: 10 * time.Minute, fails: ec2.ImpairInput{Instance: true}, want: 15*time.Minute + 30*time.Second, cause: status, before: func(w *world, id string) {
			must[shape.SetInstanceProtectionOutput](w, Name, "SetInstanceProtection", &shape.SetInstanceProtectionInput{AutoScalingGroupName: new("g"), InstanceIds: []string{id}, ProtectedFromScaleIn: new(true)})
		}},
	} {
		w := scaledWorld(t, 0, 2, 1, func(in *shape.CreateAutoScalingGroupInput) {
			in.HealthCheckGracePeriod = &c.grace
			if c.kind != "" {
				in.HealthCheckType = &c.kind
			}
		})
		id := ""
		for _, m := range w.s.members.Everywhere() {
			id = m.ID
		}
		w.advance(start.Add(c.failAt).Sub(w.now))
		if c.before != nil {
			c.before(w, id)
		}
		c.fails.InstanceID = id
		must[ec2.ImpairOutput](w, ec2.Name, "impair", &c.fails)
		w.advance(time.Hour)
		found := time.Duration(0)
		for _, a := range w.s.activities.Everywhere() {
			if a.Kind != kindTerminate {
				continue
			}
			found = a.Start.Sub(start)
			if !strings.HasSuffix(a.Cause, "Z "+c.cause) || a.StatusCode != statusSuccessful || a.InstanceID != id {
				t.Errorf("%s: %+v", c.what, a)
			}
		}
		if found != c.want {
			t.Errorf("%s: replaced at %v, want %v", c.what, found, c.want)
		}
		n := 0
		for _, m := range w.s.members.Everywhere() {
			if m.LifecycleState == stateInService && m.HealthStatus == healthy && (m.ID == id) == (c.want == 0) {
				n++
			}
		}
		if standby := w.states()[0] == stateStandby; n != 1 && !standby {
			t.Errorf("%s: the group has %v", c.what, w.states())
		}
	}
}
