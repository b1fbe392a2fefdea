package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// told is an event that a queue got from EventBridge.
type told struct {
	DetailType string `json:"detail-type"`
	Resources  []string
	Detail     map[string]string
}

// listens makes a queue that gets all events of EC2.
func (s *server) listens(name string) (hear func() []told) {
	s.t.Helper()
	url := s.text("sqs", "create-queue", "--queue-name", name, "--query", "QueueUrl")
	arn := s.text("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "QueueArn", "--query", "Attributes.QueueArn")
	s.aws(nil, "sqs", "set-queue-attributes", "--queue-url", url, "--attributes", mustJSON(s.t, map[string]string{"Policy": mustJSON(s.t, map[string]any{
		"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Principal": map[string]string{"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}}})}))
	s.aws(nil, "events", "put-rule", "--name", name, "--event-pattern", `{"source":["aws.ec2"]}`)
	s.aws(nil, "events", "put-targets", "--rule", name, "--targets", "Id=1,Arn="+arn)
	var all []told
	return func() []told {
		s.t.Helper()
		var out struct {
			Messages []struct{ Body, ReceiptHandle string }
		}
		data, err := s.awsCLI("sqs", "receive-message", "--queue-url", url, "--max-number-of-messages", "10", "--visibility-timeout", "43200")
		if err != nil {
			s.t.Fatal(err)
		}
		if len(strings.TrimSpace(string(data))) > 0 { // the CLI prints nothing for no messages
			if err := json.Unmarshal(data, &out); err != nil {
				s.t.Fatalf("%v: %s", err, data)
			}
		}
		for _, m := range out.Messages {
			var one told
			if err := json.Unmarshal([]byte(m.Body), &one); err != nil {
				s.t.Fatalf("%v: %s", err, m.Body)
			}
			all = append(all, one)
		}
		return all
	}
}

// TestSpotInterruption: what `billow fail` announces, the metadata service and EventBridge tell, and the instance ends.
func TestSpotInterruption(t *testing.T) {
	need(t, "aws", "curl")
	t.Parallel()
	s := start(t, "--time-scale", "10")
	hear := s.listens("spot")
	id := s.launch("", func(in *ec2.RunInstancesInput) {
		in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
	})
	other := s.launch("")
	s.await(id, types.InstanceStateNameRunning)
	s.await(other, types.InstanceStateNameRunning)
	metadata := func(path string) string {
		out, err := s.exec(id, "curl", "-sS", "-m", "10", "-w", " %{http_code}", "http://169.254.169.254/latest/meta-data/"+path)
		if err != nil {
			t.Fatalf("%s: %v: %s", path, err, out)
		}
		return out
	}
	if got := metadata("spot/instance-action"); !strings.HasSuffix(got, " 404") {
		t.Errorf("told before: %s", got)
	}
	if out, err := s.billow("fail", "--data", s.data, other, "--spot-interruption").CombinedOutput(); err == nil || !strings.Contains(string(out), "is no Spot Instance") {
		t.Errorf("an On-Demand Instance: %v %s", err, out)
	}
	if out, err := s.billow("fail", "--data", s.data, other, "--event", "instance-stop", "--in", "1m").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if codes := s.texts("ec2", "describe-instance-status", "--instance-ids", other, "--query", "InstanceStatuses[0].Events[].Code"); !slices.Equal(codes, []string{"instance-stop"}) && s.instance(other).State.Name == types.InstanceStateNameRunning {
		t.Errorf("scheduled: %q", codes)
	}
	if out, err := s.billow("fail", "--data", s.data, id, "--spot-interruption", "--in", "3m").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if got := metadata("events/recommendations/rebalance"); !strings.HasPrefix(got, `{"noticeTime":"`) || !strings.HasSuffix(got, `Z"} 200`) {
		t.Error(got)
	}
	eventually(t, 60*time.Second, "the instance has got its notice", func() bool {
		out, err := s.exec(id, "curl", "-sS", "-m", "10", "http://169.254.169.254/latest/meta-data/spot/instance-action")
		return err == nil && strings.HasPrefix(out, `{"action":"terminate","time":"`) || s.instance(id).State.Name == types.InstanceStateNameTerminated // a busy machine
	})
	eventually(t, 60*time.Second, "the instance has ended", func() bool {
		i := s.instance(id)
		return i.State.Name == types.InstanceStateNameTerminated && *i.StateReason.Code == "Server.SpotInstanceTermination"
	})
	s.await(other, types.InstanceStateNameStopped)
	eventually(t, 30*time.Second, "EventBridge has told it", func() bool {
		about := func(kind, action string) bool {
			return slices.ContainsFunc(hear(), func(e told) bool {
				return e.DetailType == kind && e.Detail["instance-id"] == id && e.Detail["instance-action"] == action && len(e.Resources) == 1
			})
		}
		return about("EC2 Instance Rebalance Recommendation", "") && about("EC2 Spot Instance Interruption Warning", "terminate")
	})
}

// TestVolumeEvents: EBS tells EventBridge of volumes and snapshots.
func TestVolumeEvents(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	s := start(t, "--driver", "sim", "--auth", "none")
	hear := s.listens("volumes")
	volume := s.text("ec2", "create-volume", "--availability-zone", "us-east-1a", "--size", "1", "--query", "VolumeId")
	snapshot := s.text("ec2", "create-snapshot", "--volume-id", volume, "--query", "SnapshotId")
	s.aws(nil, "ec2", "delete-volume", "--volume-id", volume)
	eventually(t, 30*time.Second, "all events have come", func() bool {
		seen := map[string]bool{}
		for _, e := range hear() {
			seen[e.DetailType+" "+e.Detail["event"]+" "+e.Detail["result"]+" "+e.Resources[0]] = true
		}
		volumeARN := "arn:aws:ec2:us-east-1:123456789012:volume/" + volume
		return seen["EBS Volume Notification createVolume available "+volumeARN] && seen["EBS Volume Notification deleteVolume deleted "+volumeARN] &&
			seen["EBS Snapshot Notification createSnapshot succeeded arn:aws:ec2::us-east-1:snapshot/"+snapshot]
	})
}
