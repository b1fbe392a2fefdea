package autoscaling

import (
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// TestOnlyItsTokenCompletesAnAction: of two launches that a hook holds, a token is that of one, and it is good once
// (AS-HK-05, AS-HK-20).
func TestOnlyItsTokenCompletesAnAction(t *testing.T) {
	w := scaledWorld(t, 0, 2, 0, nil)
	w.check = 0
	must[shape.PutLifecycleHookOutput](w, Name, "PutLifecycleHook", &shape.PutLifecycleHookInput{AutoScalingGroupName: new("g"), LifecycleHookName: new("h"),
		LifecycleTransition: new(launchingTransition), HeartbeatTimeout: new(int32(3600))})
	must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(2))})
	w.advance(2 * time.Minute)
	held := func() (tokens []string) {
		for _, m := range w.s.members.Everywhere() {
			for _, x := range m.Waits {
				tokens = append(tokens, x.Token)
			}
		}
		return tokens
	}
	complete := func(token string) error {
		return w.cloud.Step(w.now, cloud.Call{Scope: here, RequestID: "r", Service: Name, Operation: "CompleteLifecycleAction", In: &shape.CompleteLifecycleActionInput{
			AutoScalingGroupName: new("g"), LifecycleHookName: new("h"), LifecycleActionToken: &token, LifecycleActionResult: new(resultContinue)}}).Err
	}
	before := held()
	if len(before) != 2 || before[0] == before[1] {
		t.Fatalf("the tokens of two launches are %q", before)
	}
	if complete("00000000-0000-0000-0000-000000000000") == nil {
		t.Error("a token of nobody completes an action")
	}
	if err := complete(before[1]); err != nil {
		t.Fatal(err)
	}
	if after := held(); len(after) != 1 || after[0] != before[0] {
		t.Errorf("of %q, %q waits still", before, after)
	}
	if complete(before[1]) == nil {
		t.Error("a token completes an action twice")
	}
}
