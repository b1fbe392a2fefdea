package ec2

import (
	"strings"
	"testing"
	"time"

	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

func (w *world) impair(in ImpairInput) error {
	w.t.Helper()
	return w.step(cloud.Call{Scope: here, Service: Name, Operation: "impair", In: &in}).Err
}

func (w *world) checks(id string) (instance, system, volumes string) {
	w.t.Helper()
	x := call[shape.DescribeInstanceStatusOutput](w, &shape.DescribeInstanceStatusInput{InstanceIds: []string{id}}).InstanceStatuses[0]
	if (x.InstanceStatus.Details[0].ImpairedSince != nil) != (*x.InstanceStatus.Status == statusImpaired) {
		w.t.Error("ImpairedSince is there when the check fails")
	}
	return *x.InstanceStatus.Status, *x.SystemStatus.Status, *x.AttachedEbsStatus.Status
}

func (w *world) want(id, instance, system, volumes string) {
	w.t.Helper()
	if a, b, c := w.checks(id); a != instance || b != system || c != volumes {
		w.t.Errorf("at %s: %s, %s, %s; want %s, %s, %s", w.now.Format("15:04:05"), a, b, c, instance, system, volumes)
	}
}

func (w *world) reboots() (n int) {
	for _, e := range w.wishes {
		if _, ok := e.(RebootInstance); ok {
			n++
		}
	}
	return n
}

// TestStatusChecksFail: checks fail when told so, for a while or until a restart or recovery helps; metrics and
// DescribeInstanceStatus say which (EC-IN-05), and a system that fails is left by itself (EC-IN-06).
func TestStatusChecksFail(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	if w.impair(ImpairInput{InstanceID: "i-0123456789abcdef0", System: true}) == nil {
		t.Error("an instance that is not there")
	}
	w.pass(10 * time.Minute)
	w.want(id, "ok", "ok", "ok")
	minutes := func(n int) {
		for range n {
			from := w.now
			w.pass(time.Minute)
			w.observe(Usage{From: from, To: w.now, Samples: []UsageSample{{ID: id}}})
		}
	}
	if err := w.impair(ImpairInput{InstanceID: id, Instance: true, Volumes: true, For: 150 * time.Second}); err != nil {
		t.Fatal(err)
	}
	w.want(id, "impaired", "ok", "impaired")
	began := w.now.Truncate(time.Minute).Format("15:04")
	minutes(5)
	w.want(id, "ok", "ok", "ok")
	for metric, want := range map[string]float64{"StatusCheckFailed": 1, "StatusCheckFailed_Instance": 1, "StatusCheckFailed_System": 0, "StatusCheckFailed_AttachedEBS": 1} {
		if p := w.points("InstanceId", id, metric); len(p) < 4 || *p[began].Sum != want {
			t.Errorf("%s: %v", metric, p[began])
		}
	}
	if heard := strings.Join(w.events.heard, ", "); !strings.Contains(heard, "status impaired, status ok") {
		t.Error(heard)
	}
	w.impair(ImpairInput{InstanceID: id, Instance: true})
	call[shape.RebootInstancesOutput](w, &shape.RebootInstancesInput{InstanceIds: []string{id}})
	w.want(id, "ok", "ok", "ok")

	before := w.reboots()
	w.impair(ImpairInput{InstanceID: id, System: true})
	w.pass(recoveredAfter - time.Second)
	w.want(id, "ok", "impaired", "ok")
	w.pass(2 * time.Second)
	w.want(id, "initializing", "initializing", "initializing")
	if n := w.reboots() - before; n != 1 {
		t.Errorf("recovered %d times", n)
	}
	w.pass(10 * time.Minute)
	call[shape.ModifyInstanceMaintenanceOptionsOutput](w, &shape.ModifyInstanceMaintenanceOptionsInput{InstanceId: &id, AutoRecovery: new("disabled")})
	w.impair(ImpairInput{InstanceID: id, System: true})
	w.pass(time.Hour)
	w.want(id, "ok", "impaired", "ok")
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: []string{id}})
	call[shape.StartInstancesOutput](w, &shape.StartInstancesInput{InstanceIds: []string{id}})
	w.want(id, "initializing", "initializing", "initializing")
}

// TestSilentInstancesAreImpaired: an instance that gives no sign of life twice in a row is impaired since the first time,
// until it gives one or is restarted; what was asked before a restart does not count (EC-IN-05).
func TestSilentInstancesAreImpaired(t *testing.T) {
	w := newWorld(t, Options{})
	ids := w.run(2)
	id, other := ids[0], ids[1]
	w.pass(10 * time.Minute)
	check := func(failed ...string) {
		w.pass(time.Minute)
		w.observe(StatusChecks{Began: w.now.Add(-time.Second), Failed: failed})
	}
	check("i-0123456789abcdef0", id)
	w.want(id, "ok", "ok", "ok")
	check()
	check(id)
	w.want(id, "ok", "ok", "ok")
	since := w.now
	check(id)
	w.want(id, "impaired", "ok", "ok")
	w.want(other, "ok", "ok", "ok")
	if x := call[shape.DescribeInstanceStatusOutput](w, &shape.DescribeInstanceStatusInput{InstanceIds: []string{id}}).InstanceStatuses[0]; !x.InstanceStatus.Details[0].ImpairedSince.Equal(since) {
		t.Errorf("impaired since %v, not %v", x.InstanceStatus.Details[0].ImpairedSince, since)
	}
	check(id, other)
	before := len(w.disk)
	check(id)
	if w.want(id, "impaired", "ok", "ok"); len(w.disk) != before {
		t.Error("a state that stays is written again")
	}
	check()
	w.want(id, "ok", "ok", "ok")

	check(id)
	check(id)
	w.pass(time.Minute)
	began := w.now
	w.pass(time.Second)
	call[shape.RebootInstancesOutput](w, &shape.RebootInstancesInput{InstanceIds: []string{id}})
	w.want(id, "ok", "ok", "ok")
	w.observe(StatusChecks{Began: began, Failed: ids})
	check(ids...)
	w.want(id, "ok", "ok", "ok")
	w.want(other, "impaired", "ok", "ok")
	if heard := strings.Join(w.events.heard, ", "); strings.Count(heard, "status impaired") != 3 {
		t.Error(heard)
	}
	w.impair(ImpairInput{InstanceID: other, System: true}) // what is told is no reason to be heard again
	w.want(other, "impaired", "impaired", "ok")
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: []string{other}})
	call[shape.StartInstancesOutput](w, &shape.StartInstancesInput{InstanceIds: []string{other}})
	w.pass(2 * time.Minute)
	check(other)
	w.want(other, "ok", "ok", "ok")
}

// TestAlarmsAct: an alarm recovers, reboots, stops and terminates, by both kinds of ARN, and its history says whether that
// went well (CW-AL-18).
func TestAlarmsAct(t *testing.T) {
	for _, c := range []struct {
		action, state, summary string
		protect                bool
	}{
		{"arn:aws:automate:us-east-1:ec2:recover", Running, "Successfully executed action arn:aws:automate:us-east-1:ec2:recover", false},
		{"arn:aws:swf:us-east-1:123456789012:action/actions/AWS_EC2.InstanceId.Terminate/1.0", Terminated, "Successfully executed action", false},
		{"arn:aws:automate:us-east-1:ec2:terminate", Running, "Failed to execute action arn:aws:automate:us-east-1:ec2:terminate. Received error: ", true},
		{"arn:aws:automate:us-east-1:ec2:stop", Stopped, "Successfully executed action", false},
	} {
		w := newWorld(t, Options{})
		id := w.run(1, func(in *shape.RunInstancesInput) { in.DisableApiTermination = &c.protect })[0]
		w.pass(10 * time.Minute)
		call[shape.ModifyInstanceMaintenanceOptionsOutput](w, &shape.ModifyInstanceMaintenanceOptionsInput{InstanceId: &id, AutoRecovery: new("disabled")})
		ask := func(op string, in any) any {
			out := w.step(cloud.Call{Scope: here, Service: "cloudwatch", Operation: op, In: in})
			if out.Err != nil {
				t.Fatal(out.Err)
			}
			return out.Reply
		}
		ask("PutMetricAlarm", &cwapi.PutMetricAlarmInput{
			AlarmName: new("sick"), Namespace: new(Namespace), MetricName: new("StatusCheckFailed_System"), Statistic: new("Maximum"), Period: new(int32(60)),
			EvaluationPeriods: new(int32(2)), Threshold: new(0.0), ComparisonOperator: new("GreaterThanThreshold"),
			Dimensions: []cwapi.Dimension{{Name: new("InstanceId"), Value: &id}}, AlarmActions: []string{c.action},
		})
		w.impair(ImpairInput{InstanceID: id, System: true})
		for range 5 {
			from := w.now
			w.pass(time.Minute)
			w.observe(Usage{From: from, To: w.now, Samples: []UsageSample{{ID: id}}})
		}
		w.wantState(id, c.state)
		var said []string
		for _, h := range ask("DescribeAlarmHistory", &cwapi.DescribeAlarmHistoryInput{AlarmName: new("sick"), HistoryItemType: new("Action")}).(*cwapi.DescribeAlarmHistoryOutput).AlarmHistoryItems {
			said = append(said, *h.HistorySummary)
		}
		if len(said) != 1 || !strings.HasPrefix(said[0], c.summary) {
			t.Errorf("%s: %q", c.action, said)
		}
		if c.state == Running && !c.protect && w.reboots() != 1 {
			t.Error("not booted anew")
		}
	}
}
