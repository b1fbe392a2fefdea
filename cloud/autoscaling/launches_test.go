package autoscaling

import (
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
)

// TestLaunchesInFlightAreBounded: a large group comes up in waves.
func TestLaunchesInFlightAreBounded(t *testing.T) {
	w := scaledWorld(t, 0, 1000, 0, nil)
	w.check = 0
	must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(250))})
	for _, want := range []int{100, 200, 250} {
		if n := len(w.running); n != want {
			t.Errorf("%d instances launched, want %d", n, want)
		}
		w.advance(w.boot)
	}
}

// TestHeartbeatsEndAtTheGlobalTimeout: AS-HK-02, AS-HK-04.
func TestHeartbeatsEndAtTheGlobalTimeout(t *testing.T) {
	w := scaledWorld(t, 0, 1, 0, nil)
	must[shape.PutLifecycleHookOutput](w, Name, "PutLifecycleHook", &shape.PutLifecycleHookInput{AutoScalingGroupName: new("g"), LifecycleHookName: new("h"),
		LifecycleTransition: new(launchingTransition), HeartbeatTimeout: new(int32(30)), DefaultResult: new(resultContinue)})
	must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(1))})
	w.advance(w.boot)
	held := 0
	for range 200 {
		_, err := w.ask(Name, "RecordLifecycleActionHeartbeat", &shape.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: new("g"),
			LifecycleHookName: new("h"), InstanceId: new(w.only())})
		if err != nil {
			break
		}
		w.advance(20 * time.Second)
		held += 20
	}
	if held != 3000 { // 100 times the heartbeat
		t.Errorf("held for %d s, want 3000", held)
	}
}

// TestAMarkDoesNotStopAHooksClock: nothing else happens to the instance at the time at which its hook is to end.
func TestAMarkDoesNotStopAHooksClock(t *testing.T) {
	w := scaledWorld(t, 0, 1, 0, nil)
	must[shape.PutLifecycleHookOutput](w, Name, "PutLifecycleHook", &shape.PutLifecycleHookInput{AutoScalingGroupName: new("g"), LifecycleHookName: new("h"),
		LifecycleTransition: new(launchingTransition), HeartbeatTimeout: new(int32(300)), DefaultResult: new(resultContinue)})
	must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(1))})
	w.advance(2 * time.Minute)
	id := w.only()
	must[shape.SetInstanceHealthOutput](w, Name, "SetInstanceHealth", &shape.SetInstanceHealthInput{InstanceId: &id, HealthStatus: new(unhealthy)})
	w.advance(4 * time.Minute)
	if m, there := w.s.members.Table.Get(here.String() + "/" + id); there {
		t.Errorf("%s is %s and was to be replaced", id, m.LifecycleState)
	}
}

// only is the one instance that runs.
func (w *world) only() (id string) {
	for id = range w.running {
	}
	return id
}

// TestALostInstanceIsReplacedInAnotherZone: where zones have equally many, AS-AZ-01 leaves the choice open.
func TestALostInstanceIsReplacedInAnotherZone(t *testing.T) {
	w := scaledWorld(t, 1, 1, 1, nil)
	w.advance(2 * time.Minute)
	zones := []string{}
	for range 3 {
		id := w.only()
		m, _ := w.s.members.Table.Get(here.String() + "/" + id)
		zones = append(zones, m.AvailabilityZone)
		must[shape.SetInstanceHealthOutput](w, Name, "SetInstanceHealth", &shape.SetInstanceHealthInput{InstanceId: &id, HealthStatus: new(unhealthy)})
		w.advance(4 * time.Minute)
	}
	if zones[0] == zones[1] || zones[1] == zones[2] {
		t.Errorf("the instances are in %v", zones)
	}
}
