package autoscaling

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// After a restart everything goes on as if there had been none.
func TestARestartChangesNothing(t *testing.T) {
	stored := map[[2]string][]byte{}
	w := scaledWorldKeeping(t, stored)
	w.track("cpu", 50, nil)
	must[shape.EnableMetricsCollectionOutput](w, Name, "EnableMetricsCollection", &shape.EnableMetricsCollectionInput{AutoScalingGroupName: new("g"), Granularity: new("1Minute")})
	must[shape.PutScheduledUpdateGroupActionOutput](w, Name, "PutScheduledUpdateGroupAction", &shape.PutScheduledUpdateGroupActionInput{
		AutoScalingGroupName: new("g"), ScheduledActionName: new("s"), Recurrence: new("30 4 * * *"), MaxSize: new(int32(6))})
	w.load(7, 130)
	w.advance(35 * time.Second)

	again := newWorld(t, 0)
	for k, row := range stored {
		if err := again.cloud.Load(k[0], k[1], row); err != nil {
			t.Fatal(err)
		}
	}
	again.now, again.checked, again.running, again.facts, again.trace = w.now, w.checked, w.running, w.facts, nil
	rows := func(w *world) map[string]string {
		all := map[string]string{}
		w.cloud.Dump(func(table, key string, row any) bool {
			b, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			all[table+" "+key] = string(b)
			return true
		})
		return all
	}
	if diff := cmp.Diff(rows(w), rows(again)); diff != "" {
		t.Fatalf("the rows' durable form is not exact: %s", diff)
	}
	for _, x := range []*world{w, again} {
		x.load(30, 130)
	}
	if a, b := w.group("g"), again.group("g"); a.DesiredCapacity != b.DesiredCapacity || b.MaxSize != 6 {
		t.Errorf("without a restart %d, with one %d (max %d)", a.DesiredCapacity, b.DesiredCapacity, b.MaxSize)
	}
	for _, metric := range []string{"GroupDesiredCapacity"} {
		if a, b := len(w.statistics("AWS/AutoScaling", metric, 40)), len(again.statistics("AWS/AutoScaling", metric, 40)); a != b {
			t.Errorf("%s: %d points, %d after a restart", metric, a, b)
		}
	}
}

// scaledWorldKeeping is scaledWorld with the durable form of all rows kept in stored.
func scaledWorldKeeping(t *testing.T, stored map[[2]string][]byte) *world {
	w := scaledWorld(t, 1, 4, 1, nil)
	w.cloud.Dump(func(name, key string, row any) bool {
		b, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		stored[[2]string{name, key}] = b
		return true
	})
	w.trace = func(out cloud.Output) {
		for _, c := range out.Changes {
			k := [2]string{c.Table, c.Key}
			if c.Row == nil {
				delete(stored, k)
				continue
			}
			b, err := json.Marshal(c.Row)
			if err != nil {
				t.Fatal(err)
			}
			stored[k] = b
		}
	}
	return w
}

// wakesAsALoadedOne holds the timers against those of a cloud that is loaded from the rows.
func wakesAsALoadedOne(t *testing.T, w *world) {
	t.Helper()
	again := newWorld(t, 99)
	w.cloud.Dump(func(table, key string, row any) bool {
		b, err := json.Marshal(row)
		if err == nil {
			err = again.cloud.Load(table, key, b)
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
	if out := again.cloud.Step(w.now, cloud.Tick{}); out.Err != nil {
		t.Fatal(out.Err)
	}
	if want := again.cloud.Wake(); !w.cloud.Wake().Equal(want) {
		t.Fatalf("wakes at %v, a cloud that is loaded from its rows at %v", w.cloud.Wake(), want)
	}
}

// TestTimersEndWithTheirStates: what a running cloud waits for is what its rows say (found by sim/fuzz).
func TestTimersEndWithTheirStates(t *testing.T) {
	w := scaledWorld(t, 0, 2, 0, nil)
	w.check = 0
	must[shape.PutLifecycleHookOutput](w, Name, "PutLifecycleHook", &shape.PutLifecycleHookInput{AutoScalingGroupName: new("g"), LifecycleHookName: new("h"),
		LifecycleTransition: new(launchingTransition), HeartbeatTimeout: new(int32(3600))})
	must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(1))})
	w.advance(2 * time.Minute)
	wakesAsALoadedOne(t, w)
	must[shape.CompleteLifecycleActionOutput](w, Name, "CompleteLifecycleAction", &shape.CompleteLifecycleActionInput{AutoScalingGroupName: new("g"),
		LifecycleHookName: new("h"), InstanceId: new(w.only()), LifecycleActionResult: new(resultContinue)})
	w.advance(2 * time.Minute)
	wakesAsALoadedOne(t, w)
	if wake := w.cloud.Wake(); !wake.IsZero() {
		t.Errorf("a group at rest wakes at %v", wake)
	}

	tg := balanced(t, w, func(string, any) {})
	must[shape.AttachLoadBalancerTargetGroupsOutput](w, Name, "AttachLoadBalancerTargetGroups", &shape.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: new("g"), TargetGroupARNs: []string{tg}})
	must[shape.UpdateAutoScalingGroupOutput](w, Name, "UpdateAutoScalingGroup", &shape.UpdateAutoScalingGroupInput{AutoScalingGroupName: new("g"),
		HealthCheckType: new("ELB"), HealthCheckGracePeriod: new(int32(1200))})
	w.check, w.checked = 10*time.Second, w.now
	w.advance(2 * time.Minute)
	w.sick[w.only()] = true
	w.advance(2 * time.Minute) // marked at the check after the grace period
	m, _ := w.s.members.Table.Get(here.String() + "/" + w.only())
	must[shape.SuspendProcessesOutput](w, Name, "SuspendProcesses", &shape.SuspendProcessesInput{AutoScalingGroupName: new("g"), ScalingProcesses: []string{"HealthCheck"}})
	w.advance(m.CheckAt.Add(-time.Second).Sub(w.now))
	if wake := w.cloud.Wake(); m.CheckAt.IsZero() || !wake.Equal(m.CheckAt) {
		t.Errorf("wakes at %v, want the check at %v", wake, m.CheckAt)
	}
	wakesAsALoadedOne(t, w)
	must[shape.EnterStandbyOutput](w, Name, "EnterStandby", &shape.EnterStandbyInput{AutoScalingGroupName: new("g"), InstanceIds: []string{w.only()},
		ShouldDecrementDesiredCapacity: new(true)})
	wakesAsALoadedOne(t, w) // and not at a check that does not come
}
