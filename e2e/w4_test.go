package e2e

import (
	"archive/zip"
	"bytes"
	"cmp"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the three parts of the walkthrough "high availability for one server" share. Their user data, functions and policies
// are in testdata/w4, as files that can be used elsewhere as they are.

// needFailover skips a test whose clients ask port 80 of an Elastic IP, and whose instances use the AWS CLI.
func needFailover(t testing.TB) {
	t.Helper()
	need(t, "aws", "curl")
	for _, path := range []string{"/usr/bin/aws", "/usr/bin/python3"} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("instances see the programs in /usr only, and there is no %s", path)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("clients ask port 80 of a public address, which takes root")
	}
}

// w4 reads a file of the walkthrough.
func (s *server) w4(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "w4", name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// role makes a role that a service may take, with one policy.
func (s *server) role(name, service, policy string) (arn string) {
	s.t.Helper()
	arn = s.text("iam", "create-role", "--role-name", name, "--query", "Role.Arn", "--assume-role-policy-document",
		strings.ReplaceAll(trustEC2, "ec2.amazonaws.com", service))
	s.allow(name, policy)
	return arn
}

// allow gives a role its one policy.
func (s *server) allow(role, policy string) {
	s.t.Helper()
	s.aws(nil, "iam", "put-role-policy", "--role-name", role, "--policy-name", "does", "--policy-document", policy)
}

// profile makes an instance profile of the same name with such a role.
func (s *server) profile(name, policy string) {
	s.t.Helper()
	s.role(name, "ec2.amazonaws.com", policy)
	s.aws(nil, "iam", "create-instance-profile", "--instance-profile-name", name)
	s.aws(nil, "iam", "add-role-to-instance-profile", "--instance-profile-name", name, "--role-name", name)
}

// address allocates the Elastic IP that clients know.
func (s *server) address(name string) (allocation, ip string) {
	s.t.Helper()
	allocation = s.text("ec2", "allocate-address", "--domain", "vpc", "--tag-specifications", "ResourceType=elastic-ip,Tags=[{Key=Name,Value="+name+"}]",
		"--query", "AllocationId")
	return allocation, s.text("ec2", "describe-addresses", "--allocation-ids", allocation, "--query", "Addresses[0].PublicIp")
}

// groupOfOne makes a group that keeps one instance in one of two zones, from a template with user data and the instance
// profile of its name.
func (s *server) groupOfOne(name, userData string, more ...string) {
	s.t.Helper()
	s.aws(nil, "ec2", "create-launch-template", "--launch-template-name", name, "--launch-template-data", mustJSON(s.t, map[string]any{
		"ImageId": s.amazonLinux(), "InstanceType": "t2.micro", "UserData": []byte(userData), "IamInstanceProfile": map[string]any{"Name": name},
	}))
	s.aws(nil, append([]string{"autoscaling", "create-auto-scaling-group", "--auto-scaling-group-name", name, "--launch-template", "LaunchTemplateName=" + name,
		"--min-size", "1", "--max-size", "1", "--desired-capacity", "1", "--vpc-zone-identifier", strings.Join(s.defaultSubnets()[:2], ",")}, more...)...)
}

// function makes a Python function of a module of the walkthrough and those that it needs, which a role of its name runs,
// and gives its ARN.
func (s *server) function(name, module, policy string, environment map[string]string) (arn string) {
	s.t.Helper()
	var code bytes.Buffer
	z := zip.NewWriter(&code)
	for _, file := range []string{module, "aws.py"} {
		w, err := z.Create(filepath.Base(file))
		if err == nil {
			_, err = io.WriteString(w, s.w4(file))
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		s.t.Fatal(err)
	}
	zipped := s.file(name+".zip", code.String())
	arn = s.text("lambda", "create-function", "--function-name", name, "--runtime", "python3.12", "--handler", strings.TrimSuffix(filepath.Base(module), ".py")+".handler",
		"--role", s.role(name, "lambda.amazonaws.com", policy), "--timeout", "60", "--memory-size", "512", "--zip-file", strings.Replace(zipped, "file:", "fileb:", 1),
		"--environment", mustJSON(s.t, map[string]any{"Variables": environment}), "--query", "FunctionArn")
	eventually(s.t, 20*time.Second, name+" is active", func() bool {
		return s.text("lambda", "get-function-configuration", "--function-name", name, "--query", "State") == "Active"
	})
	return arn
}

// mayCall lets a service call a function on behalf of what it has.
func (s *server) mayCall(function, principal, source string) {
	s.t.Helper()
	s.aws(nil, "lambda", "add-permission", "--function-name", function, "--statement-id", strings.ReplaceAll(principal, ".", "-"),
		"--action", "lambda:InvokeFunction", "--principal", principal, "--source-arn", source)
}

// rule has events that match a pattern call a function.
func (s *server) rule(name, pattern, function string) {
	s.t.Helper()
	s.mayCall(function, "events.amazonaws.com", s.text("events", "put-rule", "--name", name, "--event-pattern", pattern, "--query", "RuleArn"))
	s.aws(nil, "events", "put-targets", "--rule", name, "--targets", "Id=function,Arn="+function)
}

// awaitPrinted waits until a function has logged all these words.
func (s *server) awaitPrinted(function string, words ...string) {
	s.t.Helper()
	var out []byte
	defer func() {
		if s.t.Failed() {
			s.t.Logf("the log of %s: %s", function, out)
		}
	}()
	eventually(s.t, 20*time.Second, "the log of "+function+" shows "+strings.Join(words, " "), func() bool {
		out, _ = s.awsCLI("logs", "filter-log-events", "--log-group-name", "/aws/lambda/"+function, "--query", "events[].message")
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(string(out), word) })
	})
}

// kill ends an instance from outside the API, as a failing machine does.
func (s *server) kill(id string) {
	s.t.Helper()
	boot := s.boots()[id]
	if boot == "" {
		s.t.Fatalf("%s does not run", id)
	}
	killInstance(s.t, s.data, boot)
}

// outage is a time without an answer, and what a call with the AWS CLI took on this host right after it.
type outage struct{ gap, call time.Duration }

// Clients are without an answer for at most so long when a server was killed, at time scale 30. What else runs on the host
// stretches that: where a call with the AWS CLI alone takes longer than busyCall (it takes 0.5 to 0.8 s), nothing can be told.
const (
	failoverBound = 3 * time.Second
	busyCall      = 1300 * time.Millisecond
)

// short tells whether one of the outages was as short as it must be.
func short(outages []outage) bool {
	return slices.ContainsFunc(outages, func(o outage) bool { return o.gap <= failoverBound })
}

// testShort holds the shortest outage to what is promised.
func (s *server) testShort(outages []outage) {
	s.t.Helper()
	best := slices.MinFunc(outages, func(a, b outage) int { return cmp.Compare(a.gap, b.gap) })
	s.t.Logf("of %d times the shortest without an answer was %v; a call with the AWS CLI took %v then", len(outages), best.gap, best.call)
	switch {
	case best.gap <= failoverBound:
	case best.call <= busyCall:
		s.t.Errorf("clients were without an answer for more than %v: %v", failoverBound, outages)
	default:
		s.t.Logf("the host is too busy to tell whether it can be %v", failoverBound)
	}
}

// failover kills the instance that answers at an address and waits until a client, who asks every 20 ms, hears another one,
// which it returns.
func (s *server) failover(ip, from string) (to string, o outage) {
	s.t.Helper()
	g := watchGap(ip, 20*time.Millisecond)
	defer g.stop()
	eventually(s.t, 15*time.Second, "the client hears "+from, func() bool { return g.heard(from) })
	s.kill(from)
	eventually(s.t, 60*time.Second, "the client hears another one than "+from, func() bool { to = g.last(); return to != from })
	gap, failed, back := g.stop()
	began := time.Now()
	s.testOnlyHolder(ip, to)
	o = outage{gap, time.Since(began) / 2}
	s.t.Logf("%s took over from %s: %v without answer, %d failed requests", to, from, o.gap, failed)
	if back {
		s.t.Errorf("%s answered after another one had", from)
	}
	return to, o
}

// testOnlyHolder: the address is on that instance and no other.
func (s *server) testOnlyHolder(ip, id string) {
	s.t.Helper()
	if got := s.texts("ec2", "describe-addresses", "--query", "Addresses[].InstanceId"); len(got) != 1 || got[0] != id {
		s.t.Errorf("the address is on %v, %s answers", got, id)
	}
	if got := s.texts("ec2", "describe-instances", "--filters", "Name=ip-address,Values="+ip, "--query", "Reservations[].Instances[].InstanceId"); len(got) != 1 || got[0] != id {
		s.t.Errorf("%v show the address, %s answers", got, id)
	}
}

// last is what was heard last.
func (g *gap) last() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.answers) == 0 {
		return ""
	}
	return g.answers[len(g.answers)-1]
}
