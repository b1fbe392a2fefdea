package autoscaling

import (
	"slices"
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
)

func TestScheduledActions(t *testing.T) { // AS-SC
	w := scaledWorld(t, 1, 5, 1, nil)
	put := func(in shape.PutScheduledUpdateGroupActionInput) error {
		in.AutoScalingGroupName = new("g")
		_, err := w.ask(Name, "PutScheduledUpdateGroupAction", &in)
		return err
	}
	if err := put(shape.PutScheduledUpdateGroupActionInput{ScheduledActionName: new("once"), StartTime: new(start.Add(10 * time.Minute)), DesiredCapacity: new(int32(3))}); err != nil {
		t.Fatal(err)
	}
	if err := put(shape.PutScheduledUpdateGroupActionInput{ScheduledActionName: new("hourly"), Recurrence: new("0 * * * *"), MinSize: new(int32(2)), MaxSize: new(int32(2)), TimeZone: new("Asia/Seoul")}); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]shape.PutScheduledUpdateGroupActionInput{
		"past":       {StartTime: new(start), DesiredCapacity: new(int32(1))},
		"no size":    {StartTime: new(start.Add(time.Hour))},
		"no time":    {DesiredCapacity: new(int32(1))},
		"same start": {StartTime: new(start.Add(10 * time.Minute)), DesiredCapacity: new(int32(1))},
		"bad cron":   {Recurrence: new("99 * * * *"), DesiredCapacity: new(int32(1))},
		"bad zone":   {Recurrence: new("1 * * * *"), TimeZone: new("Mars/Olympus"), DesiredCapacity: new(int32(1))},
		"bounds":     {Recurrence: new("1 * * * *"), MinSize: new(int32(3)), MaxSize: new(int32(1))},
		"early end":  {StartTime: new(start.Add(time.Hour)), EndTime: new(start.Add(time.Minute)), DesiredCapacity: new(int32(1))},
	} {
		in.ScheduledActionName = new("bad")
		if err := put(in); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	w.advance(start.Add(11 * time.Minute).Sub(w.now))
	if g := w.group("g"); g.DesiredCapacity != 3 {
		t.Errorf("once: %d", g.DesiredCapacity)
	}
	if c := w.causes(); !strings.Contains(c[len(c)-1], "a scheduled action update of AutoScalingGroup constraints to min: 1, max: 5, desired: 3 changing the desired capacity from 1 to 3.") {
		t.Errorf("%q", c)
	}
	list := must[shape.DescribeScheduledActionsOutput](w, Name, "DescribeScheduledActions", &shape.DescribeScheduledActionsInput{AutoScalingGroupName: new("g")}).ScheduledUpdateGroupActions
	if len(list) != 1 || *list[0].ScheduledActionName != "hourly" || !list[0].StartTime.Equal(start.Add(time.Hour)) {
		t.Errorf("an action that has run for the last time is gone: %+v", list)
	}
	w.advance(start.Add(61 * time.Minute).Sub(w.now))
	if g := w.group("g"); g.MinSize != 2 || g.MaxSize != 2 || g.DesiredCapacity != 2 {
		t.Errorf("AS-SC-06: %d to %d, %d", g.MinSize, g.MaxSize, g.DesiredCapacity)
	}
	if err := put(shape.PutScheduledUpdateGroupActionInput{ScheduledActionName: new("far"), StartTime: new(w.now.Add(time.Minute)), DesiredCapacity: new(int32(9))}); err != nil {
		t.Fatal(err)
	}
	w.advance(2 * time.Minute)
	failed := 0
	w.cloud.Dump(func(_, _ string, row any) bool {
		if a, ok := row.(*Activity); ok && a.StatusCode == statusFailed {
			failed++
		}
		return true
	})
	if g := w.group("g"); g.DesiredCapacity != 2 || failed != 1 {
		t.Errorf("a desired capacity outside the bounds: %d, %d failed activities", g.DesiredCapacity, failed)
	}
	batch := must[shape.BatchDeleteScheduledActionOutput](w, Name, "BatchDeleteScheduledAction", &shape.BatchDeleteScheduledActionInput{AutoScalingGroupName: new("g"), ScheduledActionNames: []string{"hourly", "none"}})
	if len(batch.FailedScheduledActions) != 1 || *batch.FailedScheduledActions[0].ScheduledActionName != "none" {
		t.Errorf("%+v", batch)
	}
}

func TestScheduledActionsKeepToTheirZoneAndEnd(t *testing.T) { // AS-SC-02, AS-SC-03
	w := scaledWorld(t, 1, 5, 1, nil)
	w.check = 0
	must[shape.PutScheduledUpdateGroupActionOutput](w, Name, "PutScheduledUpdateGroupAction", &shape.PutScheduledUpdateGroupActionInput{
		AutoScalingGroupName: new("g"), ScheduledActionName: new("office"), Recurrence: new("0 9 * * *"), TimeZone: new("America/New_York"),
		EndTime: new(start.Add(34 * time.Hour)), DesiredCapacity: new(int32(4))})
	var when []time.Time
	for range 3 * 24 {
		w.advance(time.Hour)
		if w.group("g").DesiredCapacity == 4 {
			when = append(when, w.now.Truncate(time.Hour))
			must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(1))})
		}
	}
	// 9:00 in New York is 13:00 in September; the second day's is an hour before the end.
	if want := []time.Time{start.Add(9 * time.Hour), start.Add(33 * time.Hour)}; !slices.EqualFunc(when, want, time.Time.Equal) {
		t.Errorf("ran at %v, want %v", when, want)
	}
	if n := w.s.scaling.schedules.Table.Len(); n != 0 {
		t.Errorf("%d actions are left after their end", n)
	}
}

func TestScheduledActionsOfASuspendedProcessAreLost(t *testing.T) { // AS-SP-11
	w := scaledWorld(t, 1, 5, 1, nil)
	must[shape.PutScheduledUpdateGroupActionOutput](w, Name, "PutScheduledUpdateGroupAction", &shape.PutScheduledUpdateGroupActionInput{
		AutoScalingGroupName: new("g"), ScheduledActionName: new("hourly"), Recurrence: new("0 * * * *"), DesiredCapacity: new(int32(4))})
	must[shape.SuspendProcessesOutput](w, Name, "SuspendProcesses", &shape.SuspendProcessesInput{AutoScalingGroupName: new("g"), ScalingProcesses: []string{"ScheduledActions"}})
	for _, x := range []struct {
		after time.Duration
		want  int
	}{{90 * time.Minute, 1}, {25 * time.Minute, 1}, {30 * time.Minute, 4}} {
		w.advance(x.after)
		if n := w.group("g").DesiredCapacity; n != x.want {
			t.Errorf("at %v: %d, want %d", w.now, n, x.want)
		}
		must[shape.ResumeProcessesOutput](w, Name, "ResumeProcesses", &shape.ResumeProcessesInput{AutoScalingGroupName: new("g")})
	}
}
