package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestW3 is the walkthrough "conditions": a group that follows CPU with one-minute conditions, under ab, and one that
// follows a memory metric which the instance publishes.
func TestW3(t *testing.T) {
	need(t, "aws", "ab")
	t.Parallel()
	s := start(t, "--time-scale", "60", "--vcpu", "0.1")
	subnets := s.defaultSubnets()

	// 1. Stop a server, make an image of it, start it again, start a second server from the image.
	first := s.runInstance(webApp)
	s.aws(nil, "ec2", "stop-instances", "--instance-ids", first)
	s.awaitState(first, "stopped")
	image := s.text("ec2", "create-image", "--instance-id", first, "--name", "web", "--query", "ImageId")
	s.awaitImage(image)
	s.aws(nil, "ec2", "start-instances", "--instance-ids", first)
	s.awaitState(first, "running")
	second := s.text("ec2", "run-instances", "--image-id", image, "--instance-type", "t2.micro", "--query", "Instances[0].InstanceId")
	s.awaitState(second, "running")

	// 2. A load balancer with a health check in front of both; refreshing alternates; each server's own log shows its share.
	vpc := s.text("ec2", "describe-vpcs", "--query", "Vpcs[0].VpcId")
	targets := s.text("elbv2", "create-target-group", "--name", "web", "--protocol", "HTTP", "--port", "80", "--vpc-id", vpc,
		"--health-check-path", "/health", "--health-check-interval-seconds", "10", "--query", "TargetGroups[0].TargetGroupArn")
	s.aws(nil, "elbv2", "modify-target-group-attributes", "--target-group-arn", targets,
		"--attributes", "Key=deregistration_delay.timeout_seconds,Value=30")
	lb := s.text("elbv2", "create-load-balancer", "--name", "web", "--subnets", subnets[0], subnets[1], subnets[2],
		"--query", "LoadBalancers[0].LoadBalancerArn")
	dnsName := s.text("elbv2", "describe-load-balancers", "--names", "web", "--query", "LoadBalancers[0].DNSName")
	s.aws(nil, "elbv2", "create-listener", "--load-balancer-arn", lb, "--protocol", "HTTP", "--port", "80",
		"--default-actions", "Type=forward,TargetGroupArn="+targets)
	s.aws(nil, "elbv2", "register-targets", "--target-group-arn", targets, "--targets", "Id="+first, "Id="+second)
	eventually(t, 20*time.Second, "both servers are healthy", func() bool {
		states := s.targets(targets)
		return states[first] == "healthy" && states[second] == "healthy"
	})
	share := map[string]int{}
	for range 10 {
		status, body, err := s.get(dnsName, "/")
		if err != nil || status != 200 {
			t.Fatalf("through the load balancer: %d, %v", status, err)
		}
		share[body]++
	}
	if len(share) != 2 {
		t.Errorf("pages came from %v", share)
	}
	for _, id := range []string{first, second} {
		if out, err := s.exec(id, "grep", "-c", "GET / ", "/var/log/web.log"); err != nil || strings.TrimSpace(out) != "5" {
			t.Errorf("the log of %s shows %q of 10 requests (%v)", id, strings.TrimSpace(out), err)
		}
	}

	// 3. Delete both; a template from the image; a group with conditions on CPU.
	s.aws(nil, "ec2", "terminate-instances", "--instance-ids", first, second)
	s.awaitState(first, "terminated")
	s.aws(nil, "ec2", "create-launch-template", "--launch-template-name", "web", "--launch-template-data", mustJSON(t, map[string]any{
		"ImageId": image, "InstanceType": "t2.micro", "Monitoring": map[string]any{"Enabled": true},
	}))
	s.aws(nil, "autoscaling", "create-auto-scaling-group", "--auto-scaling-group-name", "web",
		"--launch-template", "LaunchTemplateName=web", "--min-size", "1", "--max-size", "3",
		"--vpc-zone-identifier", strings.Join(subnets, ","), "--target-group-arns", targets, "--default-cooldown", "60")
	s.condition("web", "cpu-high", "GreaterThanOrEqualToThreshold", 10, 1, "AWS/EC2", "CPUUtilization")
	s.condition("web", "cpu-low", "LessThanOrEqualToThreshold", 5, -1, "AWS/EC2", "CPUUtilization")

	// 4. Creating the group starts one instance by itself.
	s.awaitInService("web", 1, 20*time.Second)
	eventually(t, 20*time.Second, "the load balancer serves", func() bool {
		status, _, err := s.get(dnsName, "/")
		return err == nil && status == 200
	})

	// 5. Under load a second instance appears. 6. When the load ends it disappears.
	stop := s.ab(dnsName, "/", 100, 180)
	eventually(t, 40*time.Second, "a second instance appears", func() bool { return len(s.inService("web")) >= 2 })
	t.Logf("ab:\n%s", stop())
	s.awaitInService("web", 1, 60*time.Second)
	s.checkCauses("web")

	s.memory(image, subnets)
}

// memory is the condition on a metric that the instance publishes itself.
func (s *server) memory(image string, subnets []string) {
	s.t.Helper()
	s.aws(nil, "autoscaling", "create-auto-scaling-group", "--auto-scaling-group-name", "cache",
		"--launch-template", "LaunchTemplateName=web", "--min-size", "1", "--max-size", "2",
		"--vpc-zone-identifier", subnets[0], "--default-cooldown", "60")
	s.condition("cache", "memory-high", "GreaterThanOrEqualToThreshold", 80, 1, "Shop", "MemoryUsed")
	s.condition("cache", "memory-low", "LessThanOrEqualToThreshold", 20, -1, "Shop", "MemoryUsed")
	s.awaitInService("cache", 1, 20*time.Second)
	publish := func(percent int) {
		// From inside an instance, with the same client and the same API. The instance may be the one that the condition
		// ends meanwhile; then there is another one the next time.
		script := fmt.Sprintf("%s aws --endpoint-url http://billow.internal cloudwatch put-metric-data --namespace Shop --metric-name MemoryUsed "+
			"--dimensions AutoScalingGroupName=cache --value %d", strings.Join(s.env[1:], " "), percent)
		if out, err := s.exec(s.inService("cache")[0], "sh", "-c", script); err != nil {
			s.t.Logf("publishing from inside: %v: %s", err, out)
		}
	}
	eventually(s.t, 60*time.Second, "the memory condition adds an instance", func() bool {
		publish(90)
		return s.group("cache").DesiredCapacity == 2
	})
	s.awaitInService("cache", 2, 20*time.Second)
	eventually(s.t, 60*time.Second, "the memory condition removes an instance", func() bool {
		publish(10)
		return s.group("cache").DesiredCapacity == 1
	})
}

// condition is a one-minute alarm on the group's average and a policy that adds or removes one.
func (s *server) condition(group, name, comparison string, threshold, change int, namespace, metric string) {
	s.t.Helper()
	policy := s.text("autoscaling", "put-scaling-policy", "--auto-scaling-group-name", group, "--policy-name", name,
		"--policy-type", "SimpleScaling", "--adjustment-type", "ChangeInCapacity", fmt.Sprintf("--scaling-adjustment=%d", change),
		"--query", "PolicyARN")
	s.aws(nil, "cloudwatch", "put-metric-alarm", "--alarm-name", group+"-"+name, "--namespace", namespace, "--metric-name", metric,
		"--dimensions", "Name=AutoScalingGroupName,Value="+group, "--statistic", "Average", "--period", "60",
		"--evaluation-periods", "1", "--threshold", fmt.Sprint(threshold), "--comparison-operator", comparison, "--alarm-actions", policy)
}
