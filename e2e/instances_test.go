package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sys/unix"
)

// shell runs a script in an instance, which must end well, and returns what it printed.
func (s *server) shell(t testing.TB, id, script string) string {
	t.Helper()
	out, err := s.exec(id, "sh", "-ec", script)
	if err != nil {
		t.Errorf("in %s: %s: %v: %s", id, script, err, out)
	}
	return strings.TrimSpace(out)
}

// program is `billow exec` for a test that needs more than its output.
func (s *server) program(ctx context.Context, id string, flags []string, command ...string) *exec.Cmd {
	args := append(append([]string{"exec", "--data", s.data}, flags...), append([]string{id, "--"}, command...)...)
	return exec.CommandContext(ctx, binary, args...)
}

// TestInstances is what people do with and in an instance, on one server.
func TestInstances(t *testing.T) {
	need(t, "curl")
	t.Parallel()
	s := start(t)
	const userData = "#!/bin/sh\necho from user data\ntouch /root/booted\n"
	id := s.launch(userData, func(in *ec2.RunInstancesInput) {
		in.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: new("Name"), Value: new("one")}}}}
		in.MetadataOptions = &types.InstanceMetadataOptionsRequest{InstanceMetadataTags: types.InstanceMetadataTagsStateEnabled}
	})
	other := s.launch("")
	s.await(id, types.InstanceStateNameRunning)
	s.await(other, types.InstanceStateNameRunning)
	// In their order, on the same instances; those that end instances come last.
	t.Run("exec", func(t *testing.T) { s.testExec(t, id) })
	t.Run("metadata", func(t *testing.T) { s.testMetadata(t, id, userData) })
	t.Run("names and traffic", func(t *testing.T) { s.testNetwork(t, id, other) })
	t.Run("API from inside", func(t *testing.T) { s.testInside(t, id) })
	t.Run("stop and start", func(t *testing.T) { s.testStopStart(t, id) })
	t.Run("poweroff", func(t *testing.T) { s.testPoweroff(t, id, other) })
}

func (s *server) testExec(t *testing.T, id string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// Input, output and diagnostics are kept apart; the exit code is the program's.
	cmd := s.program(ctx, id, []string{"-e", "WORD=there", "-w", "/tmp"}, "sh", "-c", `cat; pwd; echo "$WORD" >&2; exit 42`)
	cmd.Stdin = strings.NewReader("hello\n")
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 42 || out.String() != "hello\n/tmp\n" || diagnostics.String() != "there\n" {
		t.Errorf("%v, %q, %q", err, out.String(), diagnostics.String())
	}
	// Much in both directions.
	cmd = s.program(ctx, id, nil, "sha256sum")
	cmd.Stdin = io.LimitReader(zeros{}, 20<<20)
	if text, err := cmd.Output(); err != nil || !strings.HasPrefix(string(text), fmt.Sprintf("%x ", sha256.Sum256(make([]byte, 20<<20)))) {
		t.Errorf("sha256sum of 20 MiB: %v %q", err, text)
	}
	if text, err := s.program(ctx, id, nil, "head", "-c", "20000000", "/dev/zero").Output(); err != nil || len(text) != 20_000_000 {
		t.Errorf("20 MB of output: %v, %d bytes", err, len(text))
	}
	// What cannot be run, and signals.
	for script, want := range map[string]int{"/no/such/program": 127, "/etc/passwd": 126, "kill-self": 128 + 15} {
		command := []string{script}
		if script == "kill-self" {
			command = []string{"sh", "-c", "kill -TERM $$"}
		}
		if err := s.program(ctx, id, nil, command...).Run(); !errors.As(err, &exit) || exit.ExitCode() != want {
			t.Errorf("%s: %v, want exit code %d", script, err, want)
		}
	}
	if text, err := s.exec("i-00000000000000000", "true"); err == nil || !strings.Contains(text, "i-00000000000000000") {
		t.Errorf("in an instance that is not there: %v %q", err, text)
	}
	// Ctrl-C ends the program, also when it has not read its input.
	for _, input := range []io.Reader{nil, zeros{}} {
		cmd := s.program(ctx, id, nil, "sh", "-c", "echo begun; exec sleep 987")
		cmd.Stdin = input
		cmd.WaitDelay = time.Second
		var out buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "the program runs", func() bool { return out.String() == "begun\n" })
		cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
			t.Errorf("after Ctrl-C: %v", err)
		}
		eventually(t, 10*time.Second, "the program is gone", func() bool {
			out, _ := s.exec(id, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
			return !strings.Contains(out, "sleep 987")
		})
	}
	s.testTerminal(t, id)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// testTerminal gives the command a terminal: the program has one of the same size, and Ctrl-C goes to it.
func (s *server) testTerminal(t *testing.T, id string) {
	main, side := openTerminal(t)
	defer main.Close()
	if err := unix.IoctlSetWinsize(int(side.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 77}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := s.program(ctx, id, nil, "sh") // a shell on a terminal gets one
	cmd.Stdin, cmd.Stdout, cmd.Stderr = side, side, side
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	side.Close()
	var seen buffer
	go io.Copy(&seen, main)
	step := func(send, want string) {
		t.Helper()
		io.WriteString(main, send)
		eventually(t, 10*time.Second, fmt.Sprintf("%q gives %q", send, want), func() bool { return strings.Contains(seen.String(), want) })
	}
	step("stty size; echo re''ady\n", "33 77")
	step("sleep 1000\n", "ready")
	step("\x03", "^C")
	step("echo the shell li''ves\n", "the shell lives")
	io.WriteString(main, "exit 7\n")
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("the shell on a terminal: %v: %s", err, seen.String())
	}
}

func (s *server) testMetadata(t *testing.T, id, userData string) {
	i := s.instance(id)
	const get = "curl -sS -m 10 http://169.254.169.254/latest/"
	for path, want := range map[string]string{
		"meta-data/instance-id":                 id,
		"meta-data/ami-id":                      *i.ImageId,
		"meta-data/local-ipv4":                  *i.PrivateIpAddress,
		"meta-data/placement/availability-zone": *i.Placement.AvailabilityZone,
		"meta-data/placement/region":            "us-east-1",
		"meta-data/tags/instance/":              "Name",
		"meta-data/tags/instance/Name":          "one",
		"user-data":                             strings.TrimSpace(userData),
	} {
		if got := s.shell(t, id, get+path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if got := s.shell(t, id, get+"meta-data/"); !strings.Contains("\n"+got+"\n", "\nplacement/\n") || !strings.Contains(got, "instance-id") {
		t.Errorf("the list is %q", got)
	}
	var document struct{ InstanceID, AccountID, Region, PrivateIP string }
	if text := s.shell(t, id, get+"dynamic/instance-identity/document"); json.Unmarshal([]byte(text), &document) != nil ||
		document.InstanceID != id || document.AccountID != "123456789012" || document.PrivateIP != *i.PrivateIpAddress {
		t.Errorf("the identity document is %q", text)
	}
	const status = "curl -sS -m 10 -o /dev/null -w '%{http_code}' "
	if got := s.shell(t, id, status+"http://169.254.169.254/latest/meta-data/nothing"); got != "404" {
		t.Errorf("what is not there: %s", got)
	}
	// Version 2, alone (EC-MD-01, EC-MD-02).
	good(t, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &id, HttpTokens: types.HttpTokensStateRequired}, plainly(s.ec2().ModifyInstanceMetadataOptions))
	if got := s.shell(t, id, status+"http://169.254.169.254/latest/meta-data/instance-id"); got != "401" {
		t.Errorf("without a token: %s", got)
	}
	const token = `token=$(curl -sS -m 10 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token); `
	if got := s.shell(t, id, token+get+`meta-data/instance-id -H "X-aws-ec2-metadata-token: $token"`); got != id {
		t.Errorf("with a token: %s", got)
	}
}

func (s *server) testNetwork(t *testing.T, id, other string) {
	from, to := s.instance(id), s.instance(other)
	if got := s.shell(t, id, "hostname"); got != strings.Split(*from.PrivateDnsName, ".")[0] && got != *from.PrivateDnsName {
		t.Errorf("its name is %q, not %q", got, *from.PrivateDnsName)
	}
	if got := s.shell(t, id, "getent ahostsv4 "+*to.PrivateDnsName); !strings.HasPrefix(got, *to.PrivateIpAddress+" ") {
		t.Errorf("%s is %q inside, want %s", *to.PrivateDnsName, got, *to.PrivateIpAddress)
	}
	if out, err := s.exec(id, "getent", "hosts", "example.com"); err == nil {
		t.Errorf("a name outside of the cloud: %s", out)
	}
	s.shell(t, other, "billow demo-app --listen :8080 --burn 0 >/dev/null 2>&1 &")
	eventually(t, 10*time.Second, "one instance reaches the other by name", func() bool {
		_, err := s.exec(id, "curl", "-sSf", "-m", "5", "http://"+*to.PrivateDnsName+":8080/")
		return err == nil
	})
}

// testInside calls the API from inside, by its name there.
func (s *server) testInside(t *testing.T, id string) {
	if got := s.shell(t, id, "curl -sS -m 10 http://billow.internal/_billow/health"); !strings.Contains(got, `"status":"ok"`) {
		t.Errorf("health from inside: %s", got)
	}
	if _, err := exec.LookPath("/usr/bin/aws"); err != nil {
		t.Skip("the AWS CLI is not where instances see it")
	}
	var keys []string
	for _, line := range s.env {
		if !strings.HasPrefix(line, "AWS_ENDPOINT_URL=") {
			keys = append(keys, "export "+line+";")
		}
	}
	got := s.shell(t, id, strings.Join(keys, " ")+" aws --endpoint-url http://billow.internal --output text ec2 describe-instances "+
		"--instance-ids "+id+" --query 'Reservations[0].Instances[0].InstanceId'")
	if got != id {
		t.Errorf("the AWS CLI inside: %s", got)
	}
}

// testStopStart: the disk is kept, user data is not run again; a reboot keeps the addresses; the console is kept.
func (s *server) testStopStart(t *testing.T, id string) {
	before := s.instance(id)
	s.shell(t, id, "rm /root/booted; echo kept > /root/file")
	client := s.ec2()
	good(t, &ec2.StopInstancesInput{InstanceIds: []string{id}}, plainly(client.StopInstances))
	s.await(id, types.InstanceStateNameStopped)
	console := good(t, &ec2.GetConsoleOutputInput{InstanceId: &id}, plainly(client.GetConsoleOutput))
	if text, err := base64.StdEncoding.DecodeString(*console.Output); err != nil || !strings.Contains(string(text), "from user data") {
		t.Errorf("console: %q (%v)", text, err)
	}
	if out, err := s.exec(id, "true"); err == nil || !strings.Contains(out, "not running") {
		t.Errorf("exec in a stopped instance: %v %s", err, out)
	}
	good(t, &ec2.StartInstancesInput{InstanceIds: []string{id}}, plainly(client.StartInstances))
	s.await(id, types.InstanceStateNameRunning)
	if got := s.shell(t, id, "cat /root/file; ls /root"); got != "kept\nfile" {
		t.Errorf("after stop and start: %q", got)
	}
	if after := s.instance(id); *after.PrivateIpAddress != *before.PrivateIpAddress {
		t.Errorf("the private address was %s and is %s", *before.PrivateIpAddress, *after.PrivateIpAddress)
	}
	boot := s.shell(t, id, "cut -d' ' -f22 /proc/1/stat")
	good(t, &ec2.RebootInstancesInput{InstanceIds: []string{id}}, plainly(client.RebootInstances))
	eventually(t, 20*time.Second, "it has been rebooted", func() bool {
		out, err := s.exec(id, "cut", "-d ", "-f22", "/proc/1/stat")
		return err == nil && strings.TrimSpace(out) != boot
	})
	if got := s.shell(t, id, "cat /root/file"); got != "kept" {
		t.Errorf("after a reboot: %q", got)
	}
}

// testPoweroff ends instances from inside: one is stopped, one that was told to is terminated (EC-IN-05).
func (s *server) testPoweroff(t *testing.T, id, other string) {
	good(t, &ec2.ModifyInstanceAttributeInput{InstanceId: &other, InstanceInitiatedShutdownBehavior: &types.AttributeValue{Value: new("terminate")}},
		plainly(s.ec2().ModifyInstanceAttribute))
	for instance, state := range map[string]types.InstanceStateName{id: types.InstanceStateNameStopped, other: types.InstanceStateNameTerminated} {
		s.exec(instance, "poweroff") // its own end may be quicker than its exit code
		s.await(instance, state)
	}
	if why := s.instance(id).StateReason; why == nil || *why.Code != "Client.InstanceInitiatedShutdown" {
		t.Errorf("the reason of its stop is %+v", why)
	}
}

// TestWhatCannotStart: a type that is too large fails the group's activity, and the group backs off; user data that fails
// leaves an instance whose console says why; an unknown image is refused.
func TestWhatCannotStart(t *testing.T) {
	need(t)
	t.Parallel()
	s := start(t, "--time-scale", "300")
	s.newGroup("huge", 1, 1, 1, &types.RequestLaunchTemplateData{InstanceType: "m5.24xlarge"})
	var failed []astypes.Activity
	eventually(t, 20*time.Second, "a launch has failed", func() bool {
		failed = nil
		for _, a := range s.scalingActivities("huge") {
			if a.StatusCode == astypes.ScalingActivityStatusCodeFailed {
				failed = append(failed, a)
			}
		}
		return len(failed) > 0
	})
	if why := failed[0].StatusMessage; why == nil || !strings.Contains(*why, "m5.24xlarge") || !strings.Contains(*why, "MiB of memory, this host has") {
		t.Errorf("the activity failed with %v", why)
	}
	if failed[0].Cause == nil || !strings.Contains(*failed[0].Cause, "difference between desired and actual capacity") {
		t.Errorf("its cause is %v", failed[0].Cause)
	}
	id := s.launch("#!/bin/sh\necho about to fail\nno-such-command\nexit 3\n")
	s.await(id, types.InstanceStateNameRunning)
	eventually(t, 20*time.Second, "the console says why", func() bool {
		out := good(t, &ec2.GetConsoleOutputInput{InstanceId: &id}, plainly(s.ec2().GetConsoleOutput)).Output
		if out == nil {
			return false
		}
		text, err := base64.StdEncoding.DecodeString(*out)
		return err == nil && strings.Contains(string(text), "about to fail") && strings.Contains(string(text), "no-such-command") &&
			strings.Contains(string(text), "3")
	})
	_, err := s.ec2().RunInstances(context.Background(), &ec2.RunInstancesInput{ImageId: new("ami-0123456789abcdef0"), MinCount: new(int32(1)), MaxCount: new(int32(1))})
	if errorCode(err) != "InvalidAMIID.NotFound" {
		t.Errorf("an unknown image: %v", err)
	}
	// Attempts come later and later: in a virtual quarter of an hour there are few.
	eventually(t, 30*time.Second, "a quarter of an hour has passed", func() bool {
		return s.cloudTime(-15*time.Minute) > failed[len(failed)-1].StartTime.UTC().Format(time.RFC3339)
	})
	if n := len(s.scalingActivities("huge")); n < 2 || n > 30 {
		t.Errorf("%d attempts in a quarter of an hour", n)
	}
	good(t, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: new("huge"), ForceDelete: new(true)}, plainly(s.autoscaling().DeleteAutoScalingGroup))
	s.shell(t, id, "true")
}

// TestThrowAwayServer: with --auth none any credentials do, any well-formed image is the built-in one, and reset drops
// everything, also under load.
func TestThrowAwayServer(t *testing.T) {
	need(t)
	t.Parallel()
	s := start(t, "--auth", "none")
	id := s.launch("", func(in *ec2.RunInstancesInput) { in.ImageId = new("ami-0123456789abcdef0") })
	s.await(id, types.InstanceStateNameRunning)
	if _, err := s.ec2().RunInstances(context.Background(), &ec2.RunInstancesInput{
		ImageId: new("ubuntu"), MinCount: new(int32(1)), MaxCount: new(int32(1)),
	}); errorCode(err) != "InvalidAMIID.Malformed" {
		t.Errorf("an image ID that is none: %v", err)
	}
	keeper := keeperOf(t, s.data)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client, image := s.ec2(), "ami-0123456789abcdef0"
		for ctx.Err() == nil {
			client.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: &image, MinCount: new(int32(1)), MaxCount: new(int32(1))})
		}
	}()
	eventually(t, 20*time.Second, "instances come", func() bool { return len(s.instances()) > 5 })
	stop()
	r, err := http.Post(s.endpoint+"/_billow/reset", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	<-ended
	if r.StatusCode != http.StatusOK {
		t.Errorf("reset: %s", r.Status)
	}
	for _, i := range s.instances() {
		if *i.InstanceId == id {
			t.Errorf("%s outlived the reset", id)
		}
	}
	if r, err = http.Post(s.endpoint+"/_billow/reset", "", nil); err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("a second reset: %v", err)
	}
	r.Body.Close()
	if left := processes(keeper); len(left) != 1 || len(s.instances()) != 0 {
		t.Errorf("after the reset there are the processes %v and %d instances", left, len(s.instances()))
	}
	again := s.launch("", func(in *ec2.RunInstancesInput) { in.ImageId = new("ami-0123456789abcdef0") })
	s.await(again, types.InstanceStateNameRunning)
}

// TestOwnPages are what the server tells of itself.
func TestOwnPages(t *testing.T) {
	need(t)
	t.Parallel()
	s := start(t, "--driver", "sim", "--time-scale", "100")
	s.launch("")
	for path, want := range map[string]string{
		"/_billow/health": `"status":"ok"`, "/_billow/clock": `"timeScale":100`, "/_billow/metrics": "billow_steps_total", "/_billow/nothing": "there is no GET",
	} {
		r, err := http.Get(s.endpoint + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if !strings.Contains(string(text), want) {
			t.Errorf("%s: %s", path, text)
		}
	}
	r, err := http.Post(s.endpoint+"/_billow/reset", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusForbidden || len(s.instances()) != 1 {
		t.Errorf("reset on a server that checks signatures: %s", r.Status)
	}
}
