package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestW0 is the walkthrough "a group from the command line": launch configuration, classic load balancer, target
// tracking at 80 %, from 2 to 4 and back, no further in either direction.
func TestW0(t *testing.T) {
	need(t, "aws", "ab")
	t.Parallel()
	s := start(t, "--time-scale", "120", "--vcpu", "0.1")
	subnets := s.defaultSubnets()

	s.aws(nil, "autoscaling", "create-launch-configuration", "--launch-configuration-name", "my-launch-config",
		"--image-id", s.amazonLinux(), "--instance-type", "t2.micro", "--user-data", s.file("user-data", webApp))
	dnsName := s.text("elb", "create-load-balancer", "--load-balancer-name", "my-load-balancer",
		"--listeners", "Protocol=HTTP,LoadBalancerPort=80,InstanceProtocol=HTTP,InstancePort=80",
		"--subnets", subnets[0], subnets[1], subnets[2], "--query", "DNSName")
	s.aws(nil, "elb", "configure-health-check", "--load-balancer-name", "my-load-balancer",
		"--health-check", "Target=HTTP:80/health,Interval=10,Timeout=5,UnhealthyThreshold=2,HealthyThreshold=2")

	s.aws(nil, "autoscaling", "create-auto-scaling-group", "--auto-scaling-group-name", "my-auto-scaling-group",
		"--launch-configuration-name", "my-launch-config", "--min-size", "2", "--max-size", "4", "--desired-capacity", "2",
		"--availability-zones", "us-east-1a", "us-east-1b", "us-east-1c", "--load-balancer-names", "my-load-balancer",
		"--vpc-zone-identifier", strings.Join(subnets, ","))
	// The EC2 Auto Scaling API has no cooldown members in a target tracking policy, and the AWS CLI refuses them.
	withCooldowns := s.file("with-cooldowns.json", `{"TargetValue": 80.0, "ScaleInCooldown": 300, "ScaleOutCooldown": 300,
		"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}`)
	put := []string{"autoscaling", "put-scaling-policy", "--auto-scaling-group-name", "my-auto-scaling-group",
		"--policy-name", "my-scaling-policy", "--policy-type", "TargetTrackingScaling", "--target-tracking-configuration"}
	if _, err := s.awsCLI(append(put, withCooldowns)...); err == nil || !strings.Contains(err.Error(), "ScaleInCooldown") {
		t.Errorf("the AWS CLI should refuse ScaleInCooldown: %v", err)
	}
	s.aws(nil, append(put, s.file("scaling_policy.json", `{"TargetValue": 80.0,
		"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}`))...)

	s.awaitInService("my-auto-scaling-group", 2, 20*time.Second)
	eventually(t, 10*time.Second, "the load balancer serves", func() bool {
		status, _, err := s.get(dnsName, "/")
		return err == nil && status == 200
	})

	stop := s.ab(dnsName, "/", 16, 120)
	s.awaitInService("my-auto-scaling-group", 4, 40*time.Second)
	// Under the same load for longer than the policy needs to act: it must not pass its maximum.
	most := 0
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		most = max(most, s.group("my-auto-scaling-group").DesiredCapacity)
	}
	if most != 4 {
		t.Errorf("desired went to %d, the maximum is 4", most)
	}
	t.Logf("ab:\n%s", stop())

	s.awaitInService("my-auto-scaling-group", 2, 60*time.Second)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		if n := s.group("my-auto-scaling-group").DesiredCapacity; n != 2 {
			t.Fatalf("desired went to %d, the minimum is 2", n)
		}
	}
	var points struct{ Datapoints []struct{ Average float64 } }
	s.aws(&points, "cloudwatch", "get-metric-statistics", "--namespace", "AWS/EC2", "--metric-name", "CPUUtilization",
		"--dimensions", "Name=AutoScalingGroupName,Value=my-auto-scaling-group", "--period", "60", "--statistics", "Average",
		"--start-time", s.cloudTime(-2*time.Hour), "--end-time", s.cloudTime(time.Minute))
	high, low := 0.0, 100.0
	for _, p := range points.Datapoints {
		high, low = max(high, p.Average), min(low, p.Average)
	}
	if high <= 80 || low >= 20 {
		t.Errorf("CPU of the group can be watched: from %.0f to %.0f", low, high)
	}
}
