package e2e

import (
	"testing"
	"time"
)

// TestW4Standby is the walkthrough with a stopped standby in another zone. A function starts it and moves the address to it,
// called by a rule when the server has ended, and by an alarm when the server is too busy.
func TestW4Standby(t *testing.T) {
	needFailover(t)
	t.Parallel()
	s := start(t, "--time-scale", "30")
	ip, first, function := s.webServer()
	second := s.standby(1)
	s.aws(nil, "cloudwatch", "put-metric-alarm", "--alarm-name", "busy", "--namespace", "AWS/EC2", "--metric-name", "CPUUtilization",
		"--dimensions", "Name=InstanceId,Value="+first, "--statistic", "Average", "--period", "60", "--evaluation-periods", "1",
		"--threshold", "100", "--comparison-operator", "GreaterThanOrEqualToThreshold", "--alarm-actions", function)
	s.mayCall(function, "lambda.alarms.cloudwatch.amazonaws.com", s.text("cloudwatch", "describe-alarms", "--alarm-names", "busy", "--query", "MetricAlarms[0].AlarmArn"))

	// The server runs, but has nothing left for its clients.
	g := watchGap(ip, 20*time.Millisecond)
	defer g.stop()
	s.sh(first, "for i in 1 2 3 4; do (while :; do :; done) >/dev/null 2>&1 & done")
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end) && !g.heard(second); {
		time.Sleep(20 * time.Millisecond)
	}
	if !g.heard(second) {
		t.Log("this host is too busy to give the server all that it was promised: the alarm is set by hand")
		s.aws(nil, "cloudwatch", "set-alarm-state", "--alarm-name", "busy", "--state-value", "ALARM", "--state-reason", "test")
	}
	eventually(t, 40*time.Second, "the alarm has moved the address", func() bool { return g.heard(second) })
	longest, failed, back := g.stop()
	t.Logf("the alarm moved the address: %v without answer, %d failed requests", longest, failed)
	if back {
		t.Errorf("%s answered after %s had", first, second)
	}
	s.testOnlyHolder(ip, second)
	s.awaitPrinted("failover", ":alarm:busy about "+first)
	s.aws(nil, "ec2", "terminate-instances", "--instance-ids", first)
	s.awaitState(first, "terminated")
	s.awaitAnswer(ip, second) // the rule told of that too, and there was nothing to do

	// The server is killed.
	var outages []outage
	holder := second
	for len(outages) < 2 || !short(outages) && len(outages) < 4 {
		next := s.standby(len(outages) % 2)
		to, o := s.failover(ip, holder)
		if to != next {
			t.Errorf("%s answers, the standby is %s", to, next)
		}
		s.awaitPrinted("failover", "EC2 Instance State-change Notification about "+holder)
		holder, outages = to, append(outages, o)
	}
	s.testShort(outages)
}

// webServer makes a server with an address, and a function that a rule calls when a server has ended.
func (s *server) webServer() (ip, id, function string) {
	s.t.Helper()
	id = s.launchWeb(0)
	allocation, ip := s.address("web")
	s.aws(nil, "ec2", "associate-address", "--allocation-id", allocation, "--instance-id", id)
	s.awaitAnswer(ip, id)
	function = s.function("failover", "standby/failover.py", s.w4("standby/policy.json"), map[string]string{"ADDRESS": allocation})
	s.rule("ended", s.w4("standby/pattern.json"), function)
	return ip, id, function
}

// launchWeb starts one of the servers in the first or second zone.
func (s *server) launchWeb(zone int) (id string) {
	s.t.Helper()
	return s.runInstance(s.w4("standby/user-data.sh"), "--subnet-id", s.defaultSubnets()[zone], "--monitoring", "Enabled=true",
		"--tag-specifications", "ResourceType=instance,Tags=[{Key=Name,Value=web}]")
}

// standby makes a server that is stopped.
func (s *server) standby(zone int) (id string) {
	s.t.Helper()
	id = s.launchWeb(zone)
	s.aws(nil, "ec2", "stop-instances", "--instance-ids", id)
	s.awaitState(id, "stopped")
	return id
}
