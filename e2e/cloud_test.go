package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What AWS CLI answers look like, as far as the walkthroughs read them.
type (
	group struct {
		AutoScalingGroupName string
		MinSize, MaxSize     int
		DesiredCapacity      int
		Instances            []struct{ InstanceId, AvailabilityZone, LifecycleState, HealthStatus string }
	}
	activity struct{ ActivityId, Description, Cause, StatusCode, StatusMessage string }
	target   struct {
		Target       struct{ Id string }
		TargetHealth struct{ State, Reason, Description string }
	}
)

// group describes one Auto Scaling group.
func (s *server) group(name string) group {
	s.t.Helper()
	var out struct{ AutoScalingGroups []group }
	s.aws(&out, "autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", name)
	if len(out.AutoScalingGroups) != 1 {
		s.t.Fatalf("group %s: %+v", name, out)
	}
	return out.AutoScalingGroups[0]
}

// inService lists the IDs of the group's instances that are in service.
func (s *server) inService(name string) []string {
	s.t.Helper()
	var ids []string
	for _, i := range s.group(name).Instances {
		if i.LifecycleState == "InService" {
			ids = append(ids, i.InstanceId)
		}
	}
	return ids
}

func (s *server) activities(name string) []activity {
	s.t.Helper()
	var out struct{ Activities []activity }
	s.aws(&out, "autoscaling", "describe-scaling-activities", "--auto-scaling-group-name", name)
	return out.Activities
}

// awaitInService waits until exactly n instances are in service and nothing else is in the group.
func (s *server) awaitInService(name string, n int, within time.Duration) []string {
	s.t.Helper()
	var ids []string
	defer func() {
		if s.t.Failed() {
			for _, a := range s.activities(name) {
				s.t.Logf("%+v", a)
			}
		}
	}()
	eventually(s.t, within, fmt.Sprintf("%s has %d instances in service", name, n), func() bool {
		ids = s.inService(name)
		return len(ids) == n && len(s.group(name).Instances) == n
	})
	return ids
}

func (s *server) targets(arn string) map[string]string {
	s.t.Helper()
	var out struct{ TargetHealthDescriptions []target }
	s.aws(&out, "elbv2", "describe-target-health", "--target-group-arn", arn)
	states := map[string]string{}
	for _, t := range out.TargetHealthDescriptions {
		states[t.Target.Id] = t.TargetHealth.State
	}
	return states
}

// awaitState waits until an instance is in a state.
func (s *server) awaitState(id, state string) {
	s.t.Helper()
	eventually(s.t, 20*time.Second, id+" is "+state, func() bool {
		return s.text("ec2", "describe-instances", "--instance-ids", id, "--query", "Reservations[0].Instances[0].State.Name") == state
	})
}

// text runs an AWS CLI command whose answer is one string.
func (s *server) text(args ...string) string {
	s.t.Helper()
	var out any
	s.aws(&out, args...)
	switch v := out.(type) {
	case string:
		return v
	case nil:
		return ""
	}
	s.t.Fatalf("aws %s gave %v, want a string", strings.Join(args, " "), out)
	return ""
}

// texts is text for a list of strings.
func (s *server) texts(args ...string) []string {
	s.t.Helper()
	var out []string
	s.aws(&out, args...)
	return out
}

// file writes a file for the AWS CLI and returns its name as an argument.
func (s *server) file(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.data, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return "file://" + path
}

// defaultSubnets are the IDs of the default subnets, in order of zone.
func (s *server) defaultSubnets() []string {
	s.t.Helper()
	return s.texts("ec2", "describe-subnets", "--query", "sort_by(Subnets,&AvailabilityZone)[].SubnetId")
}

func (s *server) amazonLinux() string {
	s.t.Helper()
	return s.text("ssm", "get-parameter", "--name", "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", "--query", "Parameter.Value")
}

// get asks a load balancer, by its name on the server's own port: no privilege, no set-up. Go's resolver and ab do not
// know names under .localhost everywhere, so the address goes into the URL and the name into the Host header.
func (s *server) get(dnsName, path string) (status int, body string, err error) {
	u, err := url.Parse(s.endpoint)
	if err != nil {
		return 0, "", err
	}
	r, err := http.NewRequest(http.MethodGet, s.endpoint+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Host = net.JoinHostPort(dnsName, u.Port())
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, strings.TrimSpace(string(text)), err
}

// ab loads a load balancer until the test ends or stop is called.
func (s *server) ab(dnsName, path string, concurrency, seconds int) (stop func() string) {
	s.t.Helper()
	u, err := url.Parse(s.endpoint)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command("ab", "-r", "-s", "30", "-c", fmt.Sprint(concurrency), "-t", fmt.Sprint(seconds), "-n", "1000000",
		"-H", "Host: "+net.JoinHostPort(dnsName, u.Port()), s.endpoint+path)
	var out buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	stopped := false
	stop = func() string {
		if !stopped {
			stopped = true
			cmd.Process.Signal(os.Interrupt) // ab then prints what it has measured so far
			cmd.Wait()
		}
		return out.String()
	}
	s.t.Cleanup(func() { stop() })
	return stop
}

// webApp is user data that serves pages which cost processor time, at every boot; each server keeps an access log.
const webApp = `#!/bin/sh
mkdir -p /var/lib/cloud/scripts/per-boot
cat > /var/lib/cloud/scripts/per-boot/web <<'END'
#!/bin/sh
billow demo-app --listen :80 --burn 8ms >>/var/log/web.log 2>&1 &
END
chmod +x /var/lib/cloud/scripts/per-boot/web
/var/lib/cloud/scripts/per-boot/web
`

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// cloudTime is a time on the cloud's clock, relative to now, as the AWS CLI takes it.
func (s *server) cloudTime(offset time.Duration) string {
	s.t.Helper()
	answer, err := http.Get(s.endpoint + "/_billow/clock")
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	var clock struct{ Cloud time.Time }
	if err := json.NewDecoder(answer.Body).Decode(&clock); err != nil {
		s.t.Fatal(err)
	}
	return clock.Cloud.Add(offset).Format(time.RFC3339)
}
