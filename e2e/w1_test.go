package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestW1 is the walkthrough "image, template, group, target group, load balancer", without the notification e-mail (an
// HTTP subscriber stands for it) and without the database tier.
func TestW1(t *testing.T) {
	need(t, "aws", "stress")
	t.Parallel()
	s := start(t, "--time-scale", "120", "--vcpu", "0.1")
	subnets := s.defaultSubnets()

	// 1. An image of a running instance.
	base := s.runInstance(webApp)
	image := s.text("ec2", "create-image", "--instance-id", base, "--name", "web", "--no-reboot", "--query", "ImageId")
	s.awaitImage(image)

	// 2. A template from it, with an existing security group.
	vpc := s.text("ec2", "describe-vpcs", "--query", "Vpcs[0].VpcId")
	security := s.text("ec2", "describe-security-groups", "--filters", "Name=group-name,Values=default", "--query", "SecurityGroups[0].GroupId")
	s.aws(nil, "ec2", "create-launch-template", "--launch-template-name", "web", "--launch-template-data", mustJSON(t, map[string]any{
		"ImageId": image, "InstanceType": "t2.micro", "SecurityGroupIds": []string{security},
		"Monitoring": map[string]any{"Enabled": true},
	}))

	// 3. A target group with an instance registered.
	targets := s.text("elbv2", "create-target-group", "--name", "web", "--protocol", "HTTP", "--port", "80", "--vpc-id", vpc,
		"--health-check-path", "/health", "--health-check-interval-seconds", "10", "--query", "TargetGroups[0].TargetGroupArn")
	s.aws(nil, "elbv2", "modify-target-group-attributes", "--target-group-arn", targets,
		"--attributes", "Key=deregistration_delay.timeout_seconds,Value=30")
	s.aws(nil, "elbv2", "register-targets", "--target-group-arn", targets, "--targets", "Id="+base)
	if states := s.targets(targets); states[base] != "unused" { // LB-HC-08: no listener uses the group yet
		t.Errorf("targets %v", states)
	}

	// 4. The group, with tags, notifications and target tracking at 50 %.
	notices := newMailbox(t)
	topic := s.text("sns", "create-topic", "--name", "scaling", "--query", "TopicArn")
	s.aws(nil, "sns", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", notices.server.URL)
	token := notices.await(t, "SubscriptionConfirmation", "")["Token"].(string)
	s.aws(nil, "sns", "confirm-subscription", "--topic-arn", topic, "--token", token)

	s.aws(nil, "autoscaling", "create-auto-scaling-group", "--auto-scaling-group-name", "web",
		"--launch-template", "LaunchTemplateName=web,Version=$Latest", "--min-size", "1", "--max-size", "4", "--desired-capacity", "1",
		"--vpc-zone-identifier", strings.Join(subnets, ","), "--target-group-arns", targets,
		"--default-instance-warmup", "60", "--tags", "Key=team,Value=shop,PropagateAtLaunch=true")
	s.aws(nil, "autoscaling", "put-notification-configuration", "--auto-scaling-group-name", "web", "--topic-arn", topic,
		"--notification-types", "autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_TERMINATE")
	for name, metric := range map[string]string{
		"cpu": `{"TargetValue": 50, "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}`,
		"in":  `{"TargetValue": 100000000, "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageNetworkIn"}}`,
		"out": `{"TargetValue": 100000000, "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageNetworkOut"}}`,
	} {
		s.aws(nil, "autoscaling", "put-scaling-policy", "--auto-scaling-group-name", "web", "--policy-name", name,
			"--policy-type", "TargetTrackingScaling", "--target-tracking-configuration", metric)
	}

	// 5. Creating the group starts one instance.
	first := s.awaitInService("web", 1, 20*time.Second)[0]
	tags := s.text("ec2", "describe-tags", "--filters", "Name=resource-id,Values="+first, "Name=key,Values=team", "--query", "Tags[0].Value")
	if tags != "shop" {
		t.Errorf("propagated tag: %q", tags)
	}

	// 6. Stress inside it: a second instance starts by itself and joins the target group.
	if out, err := s.exec(first, "sh", "-c", "stress --cpu 1 --timeout 600 >/dev/null 2>&1 & echo started"); err != nil {
		t.Fatalf("stress: %v: %s", err, out)
	}
	two := s.awaitInService("web", 2, 40*time.Second)
	// What the stress leaves over for others keeps the average at or just above 50 %: no third one, however long this takes.
	s.aws(nil, "autoscaling", "suspend-processes", "--auto-scaling-group-name", "web", "--scaling-processes", "AlarmNotification")
	second := two[0]
	if second == first {
		second = two[1]
	}
	// The first instance was there before the notifications were asked for.
	if n := notices.await(t, "Notification", "autoscaling:EC2_INSTANCE_LAUNCH"); n["EC2InstanceId"] != second {
		t.Errorf("notification %v, want one about %s", n, second)
	}
	if states := s.targets(targets); states[second] == "" {
		t.Errorf("the second instance is not in the target group: %v", states)
	}

	// 8. A load balancer on the target group: requests to its name alternate.
	s.aws(nil, "elbv2", "deregister-targets", "--target-group-arn", targets, "--targets", "Id="+base)
	lb := s.text("elbv2", "create-load-balancer", "--name", "web", "--subnets", subnets[0], subnets[1], subnets[2],
		"--query", "LoadBalancers[0].LoadBalancerArn")
	dnsName := s.text("elbv2", "describe-load-balancers", "--names", "web", "--query", "LoadBalancers[0].DNSName")
	s.aws(nil, "elbv2", "create-listener", "--load-balancer-arn", lb, "--protocol", "HTTP", "--port", "80",
		"--default-actions", "Type=forward,TargetGroupArn="+targets)
	eventually(t, 20*time.Second, "both instances are healthy targets", func() bool {
		states := s.targets(targets)
		return states[first] == "healthy" && states[second] == "healthy"
	})
	var answers []string
	for range 6 {
		status, body, err := s.get(dnsName, "/")
		if err != nil || status != 200 {
			t.Fatalf("through the load balancer: %d, %v", status, err)
		}
		answers = append(answers, body)
	}
	if answers[0] == answers[1] || answers[0] != answers[2] || answers[1] != answers[3] {
		t.Errorf("requests do not alternate: %v", answers)
	}

	// 7. The stress ends: one instance ends.
	s.aws(nil, "autoscaling", "resume-processes", "--auto-scaling-group-name", "web", "--scaling-processes", "AlarmNotification")
	if out, err := s.exec(first, "pkill", "stress"); err != nil {
		t.Fatalf("pkill: %v: %s", err, out)
	}
	last := s.awaitInService("web", 1, 60*time.Second)
	eventually(t, 20*time.Second, "the ended instance has left the target group", func() bool {
		states := s.targets(targets)
		return len(states) == 1 && states[last[0]] == "healthy"
	})
	s.checkCauses("web")
}

// checkCauses asserts that every activity says why, in AWS's words.
func (s *server) checkCauses(name string) {
	s.t.Helper()
	var alarm bool
	for _, a := range s.activities(name) {
		if !strings.HasPrefix(a.Cause, "At 20") {
			s.t.Errorf("activity without a cause: %+v", a)
		}
		alarm = alarm || strings.Contains(a.Cause, "a monitor alarm") && strings.Contains(a.Cause, "in state ALARM triggered policy")
	}
	if !alarm {
		s.t.Error("no activity names the alarm and the policy")
	}
}

// runInstance starts an instance of the built-in image and waits until its user data has ended.
func (s *server) runInstance(userData string, more ...string) string {
	s.t.Helper()
	id := s.text(append([]string{"ec2", "run-instances", "--image-id", s.amazonLinux(), "--instance-type", "t2.micro",
		"--user-data", s.file("user-data", userData), "--query", "Instances[0].InstanceId"}, more...)...)
	s.awaitState(id, "running")
	eventually(s.t, 20*time.Second, "the user data of "+id+" has ended", func() bool {
		return s.text("ec2", "get-console-output", "--instance-id", id, "--query", "Output") != ""
	})
	return id
}

func (s *server) awaitImage(id string) {
	s.t.Helper()
	eventually(s.t, 20*time.Second, id+" is available", func() bool {
		return s.text("ec2", "describe-images", "--image-ids", id, "--query", "Images[0].State") == "available"
	})
}

// mailbox is an HTTP subscriber of a topic.
type mailbox struct {
	server *httptest.Server
	mu     sync.Mutex
	got    []map[string]any
}

func newMailbox(t *testing.T) *mailbox {
	m := &mailbox{}
	m.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var message map[string]any
		if json.Unmarshal(body, &message) == nil {
			m.mu.Lock()
			m.got = append(m.got, message)
			m.mu.Unlock()
		}
	}))
	t.Cleanup(m.server.Close)
	return m
}

// await returns the first message of a type; for notifications, the decoded message about an event.
func (m *mailbox) await(t *testing.T, kind, event string) map[string]any {
	t.Helper()
	var found map[string]any
	eventually(t, 20*time.Second, "the topic delivers "+kind+" "+event, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return slices.ContainsFunc(m.got, func(message map[string]any) bool {
			if message["Type"] != kind {
				return false
			}
			found = message
			if event == "" {
				return true
			}
			found = nil
			text, _ := message["Message"].(string)
			return json.Unmarshal([]byte(text), &found) == nil && found["Event"] == event
		})
	})
	return found
}
