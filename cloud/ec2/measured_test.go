package ec2

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// points reads a metric of an instance back, in periods of a minute.
func (w *world) points(dimension, value, metric string) map[string]cwapi.Datapoint {
	w.t.Helper()
	out := w.step(cloud.Call{Scope: here, Service: "cloudwatch", Operation: "GetMetricStatistics", In: &cwapi.GetMetricStatisticsInput{
		Namespace: new("AWS/EC2"), MetricName: &metric, Dimensions: []cwapi.Dimension{{Name: &dimension, Value: &value}}, Period: new(int32(60)),
		StartTime: new(t0.Add(-time.Hour)), EndTime: new(t0.Add(time.Hour)), Statistics: []string{"Average", "Sum", "Maximum", "SampleCount"},
	}})
	if out.Err != nil {
		w.t.Fatal(out.Err)
	}
	found := map[string]cwapi.Datapoint{}
	for _, p := range out.Reply.(*cwapi.GetMetricStatisticsOutput).Datapoints {
		found[p.Timestamp.Format("15:04")] = p
	}
	return found
}

// CW-NM-02: detailed monitoring gives a point a minute, with aggregates; basic one in five minutes, stamped at its start.
func TestMonitoring(t *testing.T) {
	w := newWorld(t, Options{})
	detailed := w.run(1, func(in *shape.RunInstancesInput) {
		in.Monitoring = &shape.RunInstancesMonitoringEnabled{Enabled: new(true)}
	})[0]
	basic := w.run(1)[0]
	for second := 20; second <= 600; second += 20 { // three batches a minute: CPU is the number of the minute
		to := t0.Add(time.Duration(second) * time.Second)
		cpu := float64((second - 1) / 60)
		w.now = to.Add(300 * time.Millisecond)
		w.observe(Usage{From: to.Add(-20 * time.Second), To: to, Samples: []UsageSample{
			{ID: detailed, CPUPercent: cpu, NetworkIn: 100}, {ID: basic, CPUPercent: cpu, NetworkIn: 100}, {ID: "i-0unknown"},
		}})
	}
	minutes := w.points("InstanceId", detailed, "CPUUtilization")
	if len(minutes) != 10 || *minutes["12:07"].Average != 7 || *minutes["12:07"].SampleCount != 1 {
		t.Errorf("detailed: %d points, %v", len(minutes), minutes["12:07"])
	}
	fives := w.points("InstanceId", basic, "CPUUtilization")
	if len(fives) != 2 || *fives["12:00"].Average != 2 || *fives["12:00"].Maximum != 4 || *fives["12:05"].Average != 7 || *fives["12:05"].SampleCount != 5 {
		t.Errorf("basic: %+v", fives)
	}
	if bytes := w.points("InstanceId", basic, "NetworkIn"); *bytes["12:00"].Sum != 1500 {
		t.Errorf("%v bytes in five minutes, want 15 batches of 100", *bytes["12:00"].Sum)
	}
	if all := w.points("InstanceType", "t3.micro", "CPUUtilization"); len(all) != 10 {
		t.Errorf("aggregate by type: %d points, from detailed monitoring only", len(all))
	}
	if status := w.points("InstanceId", basic, "StatusCheckFailed"); len(status) != 10 || *status["12:03"].Sum != 0 {
		t.Errorf("status checks: %d points, want one a minute", len(status))
	}
	var heard []Measured
	for _, e := range w.events.data {
		heard = append(heard, e.Samples...)
	}
	if len(heard) != 12 || heard[0].InstanceID != detailed || !heard[0].At.Equal(t0) || heard[0].Stats[0].Count != 1 {
		t.Errorf("%d points told, %+v", len(heard), heard[0])
	}
	if w.s.usage.Len() != 0 {
		t.Error("what is published is not kept")
	}
}

// An instance that came up in the middle of a minute was as busy as it was, not half as busy.
func TestPartOfAMinute(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1, func(in *shape.RunInstancesInput) {
		in.Monitoring = &shape.RunInstancesMonitoringEnabled{Enabled: new(true)}
	})[0]
	for _, second := range []int{40, 60} {
		to := t0.Add(time.Duration(second) * time.Second)
		w.now = to
		w.observe(Usage{From: to.Add(-20 * time.Second), To: to, Samples: []UsageSample{{ID: id, CPUPercent: 90, NetworkIn: 100}}})
	}
	if p := w.points("InstanceId", id, "CPUUtilization")["12:00"]; p.Average == nil || *p.Average != 90 {
		t.Errorf("CPU %+v, want 90", p)
	}
	if p := w.points("InstanceId", id, "NetworkIn")["12:00"]; p.Sum == nil || *p.Sum != 200 {
		t.Errorf("bytes %+v, want 200", p)
	}
}

// Batches that do not keep to whole minutes lose nothing and count for one minute each.
func TestBatchesBesideTheMinute(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1, func(in *shape.RunInstancesInput) {
		in.Monitoring = &shape.RunInstancesMonitoringEnabled{Enabled: new(true)}
	})[0]
	for n := range 5 {
		from := t0.Add(time.Duration(n)*time.Minute + 700*time.Millisecond)
		w.now = from.Add(time.Minute)
		w.observe(Usage{From: from, To: w.now, Samples: []UsageSample{{ID: id, CPUPercent: 10 * float64(n)}}})
	}
	got := w.points("InstanceId", id, "CPUUtilization")
	if len(got) != 5 || *got["12:04"].Average != 40 || *got["12:00"].Average != 0 {
		t.Errorf("%+v", got)
	}
}

// EC-MD-04, EC-IN-09.
func TestMetadata(t *testing.T) {
	w := newWorld(t, Options{})
	key := call[shape.CreateKeyPairOutput](w, &shape.CreateKeyPairInput{KeyName: new("k"), KeyType: new("ed25519")})
	id := w.run(1, func(in *shape.RunInstancesInput) {
		in.UserData, in.KeyName, in.IamInstanceProfile = new("IyEvYmluL3No"), key.KeyName, &shape.IamInstanceProfileSpecification{Name: new("web")}
		in.MetadataOptions = &shape.InstanceMetadataOptionsRequest{HttpTokens: new("required"), HttpPutResponseHopLimit: new(int32(2))}
		in.TagSpecifications = []shape.TagSpecification{{ResourceType: new("instance"), Tags: []shape.Tag{{Key: new("Name"), Value: new("web")}}}}
		in.BlockDeviceMappings = []shape.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &shape.EbsBlockDevice{VolumeSize: new(int32(1))}}}
	})[0]
	w.now = w.now.Add(time.Minute)
	later := w.volume("us-east-1a")
	call[shape.AttachVolumeOutput](w, &shape.AttachVolumeInput{VolumeId: &later, InstanceId: &id, Device: new("/dev/sdg")})
	i := w.see(id)
	ask := func(in MetadataInput) (map[string]string, *MetadataOutput) {
		out := w.step(cloud.Call{Service: Name, Operation: "instance-metadata", In: &in})
		if out.Err != nil {
			t.Fatal(out.Err)
		}
		m, items := out.Reply.(*MetadataOutput), map[string]string{}
		for _, item := range m.Items {
			items[item.Path] = item.Value
		}
		if !slices.IsSortedFunc(m.Items, func(a, b MetadataItem) int { return strings.Compare(a.Path, b.Path) }) {
			t.Error("not in order")
		}
		return items, m
	}
	items, m := ask(MetadataInput{PrivateIP: *i.PrivateIpAddress})
	if m.InstanceID != id || m.Scope != here || m.Options.HTTPTokens != "required" || m.Options.HopLimit != 2 || string(m.UserData) != "#!/bin/sh" {
		t.Errorf("%+v", m)
	}
	for path, want := range map[string]string{ // any order
		"instance-id": id, "ami-id": *i.ImageId, "instance-type": "t3.micro", "local-ipv4": *i.PrivateIpAddress, "public-ipv4": *i.PublicIpAddress,
		"placement/availability-zone": "us-east-1a", "placement/availability-zone-id": "use1-az1", "placement/region": "us-east-1", "security-groups": "default",
		"network/interfaces/macs/" + *i.NetworkInterfaces[0].MacAddress + "/subnet-id": *i.SubnetId, "instance-life-cycle": "on-demand",
		"network/interfaces/macs/" + *i.NetworkInterfaces[0].MacAddress + "/ipv4-associations/" + *i.PublicIpAddress: *i.PrivateIpAddress,
		"events/maintenance/scheduled": "[]", "events/maintenance/history": "[]",
		"block-device-mapping/ami": "xvda", "block-device-mapping/ebs1": "sdf", "block-device-mapping/ebs2": "", // attached since its start
		"public-keys": "0=k",
		// EC-MD-06: not there, as long as nothing is noticed.
		"spot/instance-action": "", "spot/termination-time": "", "events/recommendations/rebalance": "", "autoscaling/target-lifecycle-state": "",
	} {
		if got := items["meta-data/"+path]; got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	var document map[string]any
	if err := json.Unmarshal([]byte(items["dynamic/instance-identity/document"]), &document); err != nil || document["region"] != "us-east-1" || document["accountId"] != here.Account {
		t.Errorf("%v %v", document, err)
	}
	if _, there := items["meta-data/tags/instance/Name"]; there {
		t.Error("tags are not told unless asked for")
	}
	call[shape.ModifyInstanceMetadataOptionsOutput](w, &shape.ModifyInstanceMetadataOptionsInput{InstanceId: &id, InstanceMetadataTags: new("enabled")})
	if items, _ := ask(MetadataInput{InstanceID: id}); items["meta-data/tags/instance/Name"] != "web" {
		t.Error("no tags")
	}
	w.refused(&shape.CreateTagsInput{Resources: []string{id}, Tags: []shape.Tag{{Key: new("team/web"), Value: new("")}}}, "InvalidParameterValue")
	for _, n := range []int32{0, 65} { // EC-MD-03
		w.refused(&shape.ModifyInstanceMetadataOptionsInput{InstanceId: &id, HttpPutResponseHopLimit: &n}, "InvalidParameterValue")
	}
	call[shape.ModifyInstanceMetadataOptionsOutput](w, &shape.ModifyInstanceMetadataOptionsInput{InstanceId: &id, InstanceMetadataTags: new("disabled")})
	call[shape.CreateTagsOutput](w, &shape.CreateTagsInput{Resources: []string{id}, Tags: []shape.Tag{{Key: new("team/web"), Value: new("")}}})
	w.refused(&shape.ModifyInstanceMetadataOptionsInput{InstanceId: &id, InstanceMetadataTags: new("enabled")}, "InvalidParameterValue")
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: []string{id}})
	w.now = w.now.Add(time.Minute)
	call[shape.StartInstancesOutput](w, &shape.StartInstancesInput{InstanceIds: []string{id}})
	if items, _ := ask(MetadataInput{InstanceID: id}); items["meta-data/block-device-mapping/ebs2"] == "" {
		t.Error("a volume that is there at the start is not told")
	}
}

// An alarm on an instance's metric may stop it.
func TestAlarmStopsAnInstance(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1, func(in *shape.RunInstancesInput) {
		in.Monitoring = &shape.RunInstancesMonitoringEnabled{Enabled: new(true)}
	})[0]
	out := w.step(cloud.Call{Scope: here, Service: "cloudwatch", Operation: "PutMetricAlarm", In: &cwapi.PutMetricAlarmInput{
		AlarmName: new("busy"), Namespace: new(Namespace), MetricName: new("CPUUtilization"), Statistic: new("Average"), Period: new(int32(60)),
		EvaluationPeriods: new(int32(1)), Threshold: new(90.0), ComparisonOperator: new("GreaterThanThreshold"),
		Dimensions: []cwapi.Dimension{{Name: new("InstanceId"), Value: &id}}, AlarmActions: []string{"arn:aws:automate:us-east-1:ec2:stop"},
	}})
	if out.Err != nil {
		t.Fatal(out.Err)
	}
	for range 3 {
		from := w.now
		w.pass(time.Minute)
		w.observe(Usage{From: from, To: w.now, Samples: []UsageSample{{ID: id, CPUPercent: 99}}})
	}
	w.pass(time.Minute)
	w.wantState(id, Stopped)
}
