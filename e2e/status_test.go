package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// status is what the check of the instance itself says.
func (s *server) status(id string) string {
	s.t.Helper()
	return s.text("ec2", "describe-instance-status", "--instance-ids", id, "--query", "InstanceStatuses[0].InstanceStatus.Status")
}

// TestHungInstances: an instance whose processes are stopped from outside is impaired. One is well again when they go on,
// one is rebooted by its alarm, and one is replaced by its group.
func TestHungInstances(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	s := start(t, "--time-scale", "60")
	const patience = 90 * time.Second // the machine may be busy; it takes about 10
	recovering, rebooted := s.launch(""), s.launch("")
	s.newGroup("web", 1, 1, 1, &types.RequestLaunchTemplateData{InstanceType: types.InstanceTypeT3Micro})
	grouped := s.awaitInService("web", 1, patience)[0]
	for _, id := range []string{recovering, rebooted} {
		s.await(id, types.InstanceStateNameRunning)
	}
	s.aws(nil, "cloudwatch", "put-metric-alarm", "--alarm-name", "hung", "--namespace", "AWS/EC2", "--metric-name", "StatusCheckFailed_Instance",
		"--dimensions", "Name=InstanceId,Value="+rebooted, "--statistic", "Maximum", "--period", "60", "--evaluation-periods", "1", "--threshold", "1",
		"--comparison-operator", "GreaterThanOrEqualToThreshold", "--alarm-actions", "arn:aws:automate:us-east-1:ec2:reboot")
	eventually(t, patience, "all checks pass", func() bool {
		return s.status(recovering) == "ok" && s.status(rebooted) == "ok" && s.status(grouped) == "ok"
	})
	boots := s.boots()
	for _, id := range []string{recovering, rebooted, grouped} {
		signalInstance(t, s.data, boots[id], syscall.SIGSTOP)
	}
	eventually(t, patience, "the instance is impaired", func() bool { return s.status(recovering) == "impaired" })
	signalInstance(t, s.data, boots[recovering], syscall.SIGCONT)
	eventually(t, patience, "the instance is well again", func() bool { return s.status(recovering) == "ok" })

	eventually(t, patience, "the alarm has rebooted its instance", func() bool {
		history := s.texts("cloudwatch", "describe-alarm-history", "--alarm-name", "hung", "--history-item-type", "Action", "--query", "AlarmHistoryItems[].HistorySummary")
		return len(history) > 0 && strings.HasPrefix(history[0], "Successfully executed action")
	})
	eventually(t, patience, "the rebooted instance is well", func() bool { return s.status(rebooted) == "ok" })
	eventually(t, patience, "it has another process 1", func() bool { // it may be under way still
		out, err := s.exec(rebooted, "sh", "-c", "cut -d' ' -f22 /proc/1/stat; readlink /proc/self/ns/net")
		return err == nil && out != boots[rebooted]
	})

	eventually(t, patience, "the group has replaced its instance", func() bool {
		now := s.inService("web")
		return len(now) == 1 && now[0] != grouped
	})
	replaced := false
	for _, a := range s.activities("web") {
		replaced = replaced || strings.Contains(a.Cause, "taken out of service in response to an EC2 instance status check failure")
	}
	if !replaced {
		t.Errorf("%+v", s.activities("web"))
	}
}
