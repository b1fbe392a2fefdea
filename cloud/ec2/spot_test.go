package ec2

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

func (w *world) notify(in NoticeInput) (NoticeOutput, string) {
	w.t.Helper()
	out := w.step(cloud.Call{Scope: here, Service: Name, Operation: "notify", In: &in})
	var said *api.Error
	if errors.As(out.Err, &said) {
		return NoticeOutput{}, said.Code
	}
	return *out.Reply.(*NoticeOutput), ""
}

// spot launches a Spot Instance.
func (w *world) spot(options *shape.SpotMarketOptions) string {
	w.t.Helper()
	return w.run(1, func(in *shape.RunInstancesInput) {
		in.InstanceMarketOptions = &shape.InstanceMarketOptionsRequest{MarketType: new("spot"), SpotOptions: options}
	})[0]
}

// leaf is what the metadata service tells an instance; "" for a path that is not there.
func (w *world) leaf(id, path string) string {
	w.t.Helper()
	out := w.step(cloud.Call{Service: Name, Operation: "instance-metadata", In: &MetadataInput{InstanceID: id}})
	if out.Err != nil {
		w.t.Fatal(out.Err)
	}
	for _, item := range out.Reply.(*MetadataOutput).Items {
		if item.Path == "meta-data/"+path {
			return item.Value
		}
	}
	return ""
}

// TestSpotInterruption: a recommendation at once, the notice two minutes ahead, then the end, as AWS's Fault Injection
// Service does it (EC-MD-06, EC-IN-03).
func TestSpotInterruption(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.spot(nil)
	if got := w.see(id); got.InstanceLifecycle == nil || *got.InstanceLifecycle != "spot" || w.leaf(id, "instance-life-cycle") != "spot" {
		t.Errorf("lifecycle %v", got.InstanceLifecycle)
	}
	if _, code := w.notify(NoticeInput{InstanceID: w.run(1)[0], Interruption: true}); code != "UnsupportedOperation" {
		t.Errorf("an On-Demand Instance is interrupted: %q", code)
	}
	for _, after := range []time.Duration{time.Minute, 16 * time.Minute, -time.Minute} {
		if _, code := w.notify(NoticeInput{InstanceID: id, Interruption: true, After: after}); code != "InvalidParameterValue" {
			t.Errorf("%v ahead: %q", after, code)
		}
	}
	w.refused(&shape.StopInstancesInput{InstanceIds: []string{id}}, "UnsupportedOperation")

	out, _ := w.notify(NoticeInput{InstanceID: id, Interruption: true, After: 5 * time.Minute})
	if out.Action != "terminate" || !out.At.Equal(w.now.Add(5*time.Minute)) {
		t.Errorf("%+v", out)
	}
	arn := " [arn:aws:ec2:us-east-1:123456789012:instance/" + id + "] "
	w.wantTold(`EC2 Instance Rebalance Recommendation` + arn + `{"instance-id":"` + id + `"}`)
	if got := w.leaf(id, "events/recommendations/rebalance"); got != `{"noticeTime":"2026-11-20T12:00:00Z"}` {
		t.Error(got)
	}
	if _, code := w.notify(NoticeInput{InstanceID: id, Interruption: true}); code != "IncorrectInstanceState" {
		t.Errorf("interrupted twice: %q", code)
	}
	w.pass(3*time.Minute - time.Second)
	if got := w.leaf(id, "spot/instance-action"); got != "" {
		t.Errorf("told too early: %s", got)
	}
	w.wantTold()
	w = w.reload()
	w.step(cloud.Tick{})
	w.pass(time.Second)
	w.wantTold(`EC2 Spot Instance Interruption Warning` + arn + `{"instance-id":"` + id + `","instance-action":"terminate"}`)
	if got := w.leaf(id, "spot/instance-action"); got != `{"action":"terminate","time":"2026-11-20T12:05:00Z"}` {
		t.Error(got)
	}
	if got := w.leaf(id, "spot/termination-time"); got != "2026-11-20T12:05:00Z" {
		t.Error(got)
	}
	w.pass(2*time.Minute - time.Second)
	w.wantState(id, Running)
	w.pass(time.Second)
	w.wantState(id, Terminated)
	if r := w.see(id).StateReason; *r.Code != "Server.SpotInstanceTermination" {
		t.Error(*r.Code)
	}
}

// TestSpotInstancesStop: that of a persistent request may be stopped, by an interruption too, and forgets what it was told.
func TestSpotInstancesStop(t *testing.T) {
	w := newWorld(t, Options{})
	options := func(request, behaviour string) *shape.RunInstancesInput {
		return &shape.RunInstancesInput{ImageId: new(builtins[0].ID), MinCount: new(int32(1)), MaxCount: new(int32(1)), InstanceMarketOptions: &shape.InstanceMarketOptionsRequest{
			MarketType: new("spot"), SpotOptions: &shape.SpotMarketOptions{SpotInstanceType: &request, InstanceInterruptionBehavior: &behaviour}}}
	}
	w.refused(options("one-time", "stop"), "InvalidParameterCombination")
	w.refused(options("persistent", "hibernate"), "UnsupportedHibernationConfiguration")
	id := w.spot(&shape.SpotMarketOptions{SpotInstanceType: new("persistent"), InstanceInterruptionBehavior: new("stop")})
	w.notify(NoticeInput{InstanceID: id, Rebalance: true})
	w.events.told = nil
	if out, code := w.notify(NoticeInput{InstanceID: id, Interruption: true}); out.Action != "stop" {
		t.Errorf("%+v %q", out, code)
	}
	if len(w.events.told) != 1 || !strings.Contains(w.events.told[0], `"instance-action":"stop"`) || w.leaf(id, "spot/termination-time") != "" {
		t.Errorf("%q", w.events.told)
	}
	w.pass(2 * time.Minute)
	w.wantState(id, Stopped)
	if r := w.see(id).StateReason; *r.Code != "Server.SpotInstanceShutdown" {
		t.Error(*r.Code)
	}
	call[shape.StartInstancesOutput](w, &shape.StartInstancesInput{InstanceIds: []string{id}})
	if w.leaf(id, "spot/instance-action")+w.leaf(id, "events/recommendations/rebalance") != "" {
		t.Error("it is told still")
	}
	w.pass(time.Hour)
	w.wantState(id, Running)
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: []string{id}})
	w.wantState(id, Stopped)
}

// TestScheduledEvents: they show while they are to come and after, and do what they say when their time comes.
func TestScheduledEvents(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	w.pass(10 * time.Minute)
	if _, code := w.notify(NoticeInput{InstanceID: id, Event: "flood"}); code != "InvalidParameterValue" {
		t.Errorf("an unknown event: %q", code)
	}
	events := func() (texts []string) {
		for _, e := range call[shape.DescribeInstanceStatusOutput](w, &shape.DescribeInstanceStatusInput{InstanceIds: []string{id}, IncludeAllInstances: new(true)}).InstanceStatuses[0].Events {
			texts = append(texts, *e.Code+": "+*e.Description)
		}
		return texts
	}
	if len(events()) != 0 || w.leaf(id, "events/maintenance/scheduled") != "[]" {
		t.Error("nothing is scheduled")
	}
	w.notify(NoticeInput{InstanceID: id, Event: "system-reboot", After: 5 * time.Minute})
	w.notify(NoticeInput{InstanceID: id, Event: "instance-stop", After: 20 * time.Minute})
	if got := w.leaf(id, "events/maintenance/scheduled"); !strings.Contains(got, `"NotBefore": "20 Nov 2026 12:15:00 GMT"`) ||
		!strings.Contains(got, `"Description": "scheduled reboot"`) || !strings.Contains(got, `"State": "active"`) {
		t.Error(got)
	}
	if all := call[shape.DescribeInstanceStatusOutput](w, &shape.DescribeInstanceStatusInput{Filters: []shape.Filter{{Name: new("event.code"), Values: []string{"instance-stop"}}}}); len(all.InstanceStatuses) != 1 {
		t.Errorf("%d have the event", len(all.InstanceStatuses))
	}
	w.pass(5*time.Minute - time.Second)
	if w.reboots() != 0 {
		t.Error("rebooted too early")
	}
	w.pass(time.Second)
	if w.reboots() != 1 {
		t.Error("not rebooted")
	}
	if got := strings.Join(events(), "; "); got != "system-reboot: [Completed] The instance is scheduled for a reboot; instance-stop: The instance is scheduled to be stopped" {
		t.Error(got)
	}
	if got := w.leaf(id, "events/maintenance/history"); !strings.Contains(got, `"[Completed] scheduled reboot"`) || !strings.Contains(got, `"State": "completed"`) {
		t.Error(got)
	}
	w.pass(15 * time.Minute)
	w.wantState(id, Stopped)
	if r := w.see(id).StateReason; *r.Code != "Server.ScheduledStop" {
		t.Error(*r.Code)
	}
	call[shape.StartInstancesOutput](w, &shape.StartInstancesInput{InstanceIds: []string{id}})
	w.notify(NoticeInput{InstanceID: id, Event: "instance-reboot"})
	call[shape.RebootInstancesOutput](w, &shape.RebootInstancesInput{InstanceIds: []string{id}}) // does it before its time
	w.notify(NoticeInput{InstanceID: id, Event: "instance-retirement"})
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: []string{id}})
	call[shape.StartInstancesOutput](w, &shape.StartInstancesInput{InstanceIds: []string{id}})
	before := w.reboots()
	w.pass(time.Hour)
	if w.wantState(id, Running); w.reboots() != before {
		t.Error("an event that is over came all the same")
	}
	w.pass(scheduledShown)
	if got := events(); len(got) != 0 {
		t.Errorf("shown for ever: %q", got)
	}
}
