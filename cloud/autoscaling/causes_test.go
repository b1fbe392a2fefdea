package autoscaling

import (
	"strings"
	"testing"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// TestCausesOfManyTriggersAreNotTooLong: what was wanted while no launch was possible is told with the next launch, of too
// much the newest.
func TestCausesOfManyTriggersAreNotTooLong(t *testing.T) {
	w := newWorld(t, 1)
	must := func(op string, in any) {
		t.Helper()
		if out := w.step(cloud.Call{Scope: here, Service: Name, Operation: op, In: in}); out.Err != nil {
			t.Fatal(out.Err)
		}
	}
	must("CreateLaunchConfiguration", &shape.CreateLaunchConfigurationInput{LaunchConfigurationName: new("lc"), ImageId: new("ami-0abcdef1234567890"), InstanceType: new("t3.micro")})
	must("CreateAutoScalingGroup", &shape.CreateAutoScalingGroupInput{AutoScalingGroupName: new("g"), LaunchConfigurationName: new("lc"),
		MinSize: new(int32(0)), MaxSize: new(int32(12)), DesiredCapacity: new(int32(0)), AvailabilityZones: []string{"us-east-1a"}})
	must("SuspendProcesses", &shape.SuspendProcessesInput{AutoScalingGroupName: new("g"), ScalingProcesses: []string{"Launch"}})
	for n := range int32(12) {
		must("SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(n + 1)})
	}
	must("ResumeProcesses", &shape.ResumeProcessesInput{AutoScalingGroupName: new("g")})
	seen := 0
	w.do(func(tx *cloud.Tx) {
		for _, a := range w.s.activities.All(tx) {
			seen++
			if len(a.Cause) > causeLimit || !strings.Contains(a.Cause, "from 11 to 12") || strings.Contains(a.Cause, "from 2 to 3") {
				t.Errorf("a cause of %d bytes: %s", len(a.Cause), a.Cause)
			}
		}
	})
	if seen != 12 {
		t.Errorf("%d activities", seen)
	}
}
