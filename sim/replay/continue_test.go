package replay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/region"
	"github.com/billow-cloud/billow/flight"
)

var (
	here = cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	noon = time.Date(2026, 9, 28, 12, 0, 0, 0, time.UTC)
)

// server is a world of its own, other than the model that recordings are continued in: a wish comes true a set time
// later, and the work of a minute is shared by those that run.
type server struct {
	t       *testing.T
	cloud   *cloud.Cloud
	w       *flight.Writer
	now     time.Time
	due     []due
	running []string
}

type due struct {
	at   time.Time
	fact cloud.Fact
}

const bootTakes = 90 * time.Second

// recorded is a recording of two hours of a group that tracks 50 %: the work rises after half an hour, and falls again.
func recorded(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "1"+flight.Suffix)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o := region.Options{Seed: 3, AnyImage: true}
	s := &server{t: t, cloud: region.New(o), now: noon}
	header := flight.Header{Format: flight.Format, Build: flight.ThisBuild(), Types: flight.Fingerprint(s.cloud), Cause: flight.CauseStart, Options: o}
	if s.w, err = flight.NewWriter(f, header, s.cloud.Moment()); err != nil {
		t.Fatal(err)
	}
	s.cloud.Freeze()(func(table, key string, row any) bool {
		r, err := flight.NewRow(table, key, row)
		if err == nil {
			err = s.w.Row(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
	s.w.Begin()
	s.call("CreateLaunchConfiguration", &asapi.CreateLaunchConfigurationInput{LaunchConfigurationName: new("web"), ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.micro")})
	s.call("CreateAutoScalingGroup", &asapi.CreateAutoScalingGroupInput{AutoScalingGroupName: new("web"), LaunchConfigurationName: new("web"),
		MinSize: new(int32(4)), MaxSize: new(int32(20)), AvailabilityZones: []string{"us-east-1a"}, DefaultInstanceWarmup: new(int32(90))})
	s.call("PutScalingPolicy", &asapi.PutScalingPolicyInput{AutoScalingGroupName: new("web"), PolicyName: new("cpu"), PolicyType: new("TargetTrackingScaling"),
		TargetTrackingConfiguration: &asapi.TargetTrackingConfiguration{TargetValue: new(50.0), PredefinedMetricSpecification: &asapi.PredefinedMetricSpecification{
			PredefinedMetricType: new("ASGAverageCPUUtilization")}}})
	for m := range 120 {
		work := 140.0 // percent of one instance
		if m > 30 && m < 80 {
			work = 390
		}
		s.until(noon.Add(time.Duration(m+1) * time.Minute))
		u := ec2.Usage{From: s.now.Add(-time.Minute), To: s.now}
		for _, id := range s.running {
			u.Samples = append(u.Samples, ec2.UsageSample{ID: id, CPUPercent: min(100, work/float64(len(s.running)))})
		}
		s.step(cloud.Observed{Facts: []cloud.Fact{u}})
	}
	if err := s.w.Close(flight.End{Cause: flight.CauseStop}); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *server) call(operation string, in any) {
	s.t.Helper()
	if out := s.step(cloud.Call{Scope: here, RequestID: "r", Service: autoscaling.Name, Operation: operation, In: in}); out.Err != nil {
		s.t.Fatal(out.Err)
	}
}

func (s *server) step(in cloud.Input) cloud.Output {
	s.t.Helper()
	b, err := flight.AppendInput(nil, s.cloud, in)
	if err != nil {
		s.t.Fatal(err)
	}
	out := s.cloud.Step(s.now, in)
	if err := s.w.Step(s.now.UnixNano(), b, out); err != nil {
		s.t.Fatal(err)
	}
	for _, e := range out.Effects {
		switch e := e.(type) {
		case ec2.LaunchInstance:
			s.due = append(s.due, due{s.now.Add(bootTakes), ec2.InstanceRunning{ID: e.Spec.ID}})
		case ec2.TerminateInstance:
			s.due = append(s.due, due{s.now.Add(5 * time.Second), ec2.InstanceTerminated{ID: e.ID}})
			s.running = slices.DeleteFunc(s.running, func(id string) bool { return id == e.ID })
		}
	}
	return out
}

// until lets time pass.
func (s *server) until(end time.Time) {
	s.t.Helper()
	for range 1000 {
		next := end
		if wake := s.cloud.Wake(); !wake.IsZero() && wake.Before(next) {
			next = wake
		}
		slices.SortStableFunc(s.due, func(a, b due) int { return a.at.Compare(b.at) })
		if len(s.due) > 0 && s.due[0].at.Before(next) {
			next = s.due[0].at
		}
		if next.After(s.now) {
			s.now = next
		}
		if len(s.due) > 0 && !s.due[0].at.After(s.now) {
			fact := s.due[0].fact
			s.due = s.due[1:]
			if up, ok := fact.(ec2.InstanceRunning); ok && !slices.Contains(s.running, up.ID) { // a wish may be made twice
				s.running = append(s.running, up.ID)
			}
			s.step(cloud.Observed{Facts: []cloud.Fact{fact}})
			continue
		}
		if wake := s.cloud.Wake(); !wake.IsZero() && !wake.After(s.now) {
			s.step(cloud.Tick{})
			continue
		}
		if !s.now.Before(end) {
			return
		}
	}
	s.t.Fatal("it does not come to rest")
}

func policy(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cpu.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const tracking = `{"AutoScalingGroupName": "web", "PolicyName": "cpu", "PolicyType": "TargetTrackingScaling", "TargetTrackingConfiguration":
	{"TargetValue": %v, "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}}`

// TestARecordingContinues: with the same policies the model comes close to what happened, with others it goes their way, and
// what is done twice is the same.
func TestARecordingContinues(t *testing.T) {
	files := []string{recorded(t)}
	o := Options{Build: flight.ThisBuild()}
	r, err := Replay(files, o)
	if err != nil || r.Difference != nil || len(r.Replayed) < 5 {
		t.Fatalf("%+v: %v", r, err)
	}
	w := WhatIf{At: noon.Add(20 * time.Minute), Files: []string{policy(t, fmt.Sprintf(tracking, 80))}}
	c, err := Continue(files, o, w)
	if err != nil {
		t.Fatal(err)
	}
	happened, same, changed := c.Happened.Summary, c.Same.Summary, c.Changed.Summary
	if d := same.InstanceHours / happened.InstanceHours; d < 0.95 || d > 1.05 || same.MaxInstances != happened.MaxInstances || same.Actions != happened.Actions {
		t.Errorf("it happened: %+v\nin the model: %+v", happened, same)
	}
	if changed.InstanceHours > 0.8*happened.InstanceHours || changed.MaxInstances >= happened.MaxInstances || changed.MinutesOverTarget <= same.MinutesOverTarget {
		t.Errorf("with 50 %%: %+v\nwith 80 %%: %+v", same, changed)
	}
	if c.Target != 50 || c.World.Boot.Mean < 89 || c.World.Boot.Mean > 92 || c.Group != "web" {
		t.Errorf("measured: %+v, target %v", c.World, c.Target)
	}
	again, err := Continue(files, o, w)
	if err != nil || again.Changed.Summary != changed || again.Same.Summary != same {
		t.Errorf("done again it is %+v: %v", again.Changed.Summary, err)
	}
	w.Files = []string{policy(t, fmt.Sprintf(tracking, 50))}
	if c, err := Continue(files, o, w); err != nil || c.Changed.Summary.InstanceHours != c.Same.Summary.InstanceHours {
		t.Errorf("the same policy is another one: %+v, %+v: %v", c.Changed.Summary, c.Same.Summary, err)
	}
	w.Files, w.Remove = nil, []string{"cpu"}
	if c, err := Continue(files, o, w); err != nil || c.Changed.Summary.Actions != 0 || c.Changed.Summary.MaxInstances != 4 {
		t.Errorf("without a policy: %+v: %v", c.Changed.Summary, err)
	}
}

func TestWhatCannotBeContinued(t *testing.T) {
	files := []string{recorded(t)}
	fine := policy(t, fmt.Sprintf(tracking, 80))
	at := noon.Add(20 * time.Minute)
	for want, w := range map[string]WhatIf{
		"nothing to change": {At: at},
		"--remove no-such":  {At: at, Remove: []string{"no-such"}},
		"--at 2026-09-29T12:00:00Z is not within the recording, which goes from": {At: noon.Add(24 * time.Hour), Files: []string{fine}},
		"--at 2026-09-28T11":                             {At: noon.Add(-time.Minute), Files: []string{fine}},
		"--until 2026-09-28T12:20:00Z is not after --at": {At: at, Until: at, Files: []string{fine}},
		"no group other":                                 {At: at, Group: "other", Files: []string{fine}},
		"cpu.json:1":                                     {At: at, Files: []string{policy(t, fmt.Sprintf(tracking, -1))}},
		"which is not in the fi":                         {At: at, Files: []string{policy(t, strings.Replace(fmt.Sprintf(tracking, 80), "web", "else", 1))}},
	} {
		if _, err := Continue(files, Options{Build: flight.ThisBuild()}, w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", w, err, want)
		}
	}
}

// A metric of one's own is in the recording, but does not go on in a model.
func TestMetricsThatNobodyPublishesAreNoted(t *testing.T) {
	c := region.New(region.Options{Seed: 3, AnyImage: true})
	do := func(service, operation string, in any) any {
		t.Helper()
		out := c.Step(noon, cloud.Call{Scope: here, RequestID: "r", Service: service, Operation: operation, In: in})
		if out.Err != nil {
			t.Fatal(out.Err)
		}
		return out.Reply
	}
	do("autoscaling", "CreateLaunchConfiguration", &asapi.CreateLaunchConfigurationInput{LaunchConfigurationName: new("web"), ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.micro")})
	do("autoscaling", "CreateAutoScalingGroup", &asapi.CreateAutoScalingGroupInput{AutoScalingGroupName: new("web"), LaunchConfigurationName: new("web"),
		MinSize: new(int32(0)), MaxSize: new(int32(2)), AvailabilityZones: []string{"us-east-1a"}})
	do("autoscaling", "PutScalingPolicy", &asapi.PutScalingPolicyInput{AutoScalingGroupName: new("web"), PolicyName: new("cpu"), PolicyType: new("TargetTrackingScaling"),
		TargetTrackingConfiguration: &asapi.TargetTrackingConfiguration{TargetValue: new(50.0), PredefinedMetricSpecification: &asapi.PredefinedMetricSpecification{
			PredefinedMetricType: new("ASGAverageCPUUtilization")}}})
	p := do("autoscaling", "PutScalingPolicy", &asapi.PutScalingPolicyInput{AutoScalingGroupName: new("web"), PolicyName: new("queue"), AdjustmentType: new("ChangeInCapacity"),
		ScalingAdjustment: new(int32(1))}).(*asapi.PutScalingPolicyOutput)
	do("cloudwatch", "PutMetricAlarm", &cwapi.PutMetricAlarmInput{AlarmName: new("long"), Namespace: new("App"), MetricName: new("Backlog"), Statistic: new("Average"),
		Period: new(int32(60)), EvaluationPeriods: new(int32(1)), Threshold: new(1.0), ComparisonOperator: new("GreaterThanThreshold"), AlarmActions: []string{*p.PolicyARN}})
	x := &Continuation{At: noon}
	err := x.unpublished(c, region.Options{AnyImage: true}, &group{name: "web", scope: here})
	if err != nil || len(x.Notes) != 1 || !strings.Contains(x.Notes[0], "Policy queue follows the metric Backlog of App, which nobody publishes") {
		t.Errorf("%q: %v", x.Notes, err)
	}
}

func TestNothingIsReplayedBeforeTheBeginning(t *testing.T) {
	_, err := Replay([]string{recorded(t)}, Options{Build: flight.ThisBuild(), To: noon.Add(-time.Hour)})
	if err == nil || err.Error() != "the recording begins after 2026-09-28T11:00:00Z by the cloud's clock" {
		t.Error(err)
	}
}

// TestSegmentsOfAnotherBuildAreLeftOut: after an upgrade, what the new build has recorded can be replayed at once.
func TestSegmentsOfAnotherBuildAreLeftOut(t *testing.T) {
	old := filepath.Join(t.TempDir(), "0"+flight.Suffix)
	f, err := os.Create(old)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := flight.NewWriter(f, flight.Header{Format: flight.Format, Build: flight.Build{Version: "v0", ID: "0123456789abcdef"}}, cloud.Moment{})
	if err != nil {
		t.Fatal(err)
	}
	w.Begin()
	w.Close(flight.End{Cause: flight.CauseStop})
	o := Options{Build: flight.ThisBuild()}
	r, err := Replay([]string{old, recorded(t)}, o)
	if err != nil || r.Segments != 1 || r.Difference != nil || len(r.Notes) != 1 || r.Notes[0] != "0.blw is left out: billow v0 (binary 01234567) has recorded it." {
		t.Errorf("%+v: %v", r, err)
	}
	var refused *ErrBuild
	if _, err := Replay([]string{old}, o); !errors.As(err, &refused) {
		t.Errorf("another build alone: %v", err)
	}
}
