package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	if binary := os.Getenv(guardianMark); binary != "" {
		keepGuard(binary)
		return
	}
	dir, err := os.MkdirTemp("", "billow-e2e")
	if err != nil {
		panic(err)
	}
	// Others may run the binary too: rootless tests start it as another user.
	os.Chmod(dir, 0o755)
	binary = filepath.Join(dir, "billow")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", binary, "../cmd/billow") // as make does
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("the binary does not build: %v\n%s", err, out)
		os.RemoveAll(dir)
		os.Exit(1)
	}
	if err := startGuardian(); err != nil {
		panic(err)
	}
	if flag.Parse(); flag.Lookup("test.parallel").Value.String() == fmt.Sprint(runtime.GOMAXPROCS(0)) {
		flag.Set("test.parallel", "4") // these tests wait more than they compute
	}
	os.Exit(m.Run())
}

// server is one `billow serve`.
type server struct {
	t        testing.TB
	data     string
	args     []string
	command  func(args ...string) *exec.Cmd // the binary with arguments; as this user if nil
	cmd      *exec.Cmd
	log      *buffer
	endpoint string
	env      []string // for AWS clients
}

// buffer collects output of a process that is still running.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs a server until the test ends; then its instances are gone too.
func start(t testing.TB, args ...string) *server {
	t.Helper()
	return startIn(t, t.TempDir(), args...)
}

// startIn is start with a data directory.
func startIn(t testing.TB, data string, args ...string) *server {
	t.Helper()
	s := &server{t: t, data: data, args: args}
	t.Cleanup(s.destroy)
	s.run()
	return s
}

// billow is a command of the server's user.
func (s *server) billow(args ...string) *exec.Cmd {
	if s.command != nil {
		return s.command(args...)
	}
	return exec.Command(binary, args...)
}

// run starts the process and waits until it is healthy.
func (s *server) run() {
	s.t.Helper()
	s.log = &buffer{}
	s.cmd = s.billow(append([]string{"serve", "--listen", "127.0.0.1:0", "--data", s.data}, s.args...)...)
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	guard(s.data, s.cmd.Process.Pid)
	s.endpoint, s.env = "", nil
	eventually(s.t, 20*time.Second, "the server is healthy", func() bool {
		if _, after, ok := strings.Cut(s.log.String(), "endpoint="); ok {
			s.endpoint, _, _ = strings.Cut(after, " ")
		}
		if s.endpoint == "" {
			if s.cmd.ProcessState != nil || syscall.Kill(s.cmd.Process.Pid, 0) != nil {
				s.t.Fatalf("the server ended: %s", s.log)
			}
			return false
		}
		r, err := http.Get(s.endpoint + "/_billow/health")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	out, err := s.billow("env", "--data", s.data).Output()
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		s.env = append(s.env, strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(line), "export "), "'", ""))
	}
}

// stop ends the process with a signal and waits for it.
func (s *server) stop(signal os.Signal) {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.cmd.Process.Signal(signal)
	done := make(chan struct{})
	go func() { s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		s.cmd.Process.Kill()
		<-done
		s.t.Errorf("the server did not end on %v: %s", signal, s.log)
	}
	s.cmd = nil
}

// destroy ends the server and all its instances.
func (s *server) destroy() {
	s.stop(syscall.SIGTERM)
	if s.t.Failed() {
		s.t.Logf("server log:\n%s", s.log)
	}
	if out, err := s.billow("destroy", "--data", s.data).CombinedOutput(); err != nil {
		s.t.Errorf("destroy: %v: %s", err, out)
		return
	}
	unguard(s.data)
}

// exec runs a command in an instance and returns what it printed.
func (s *server) exec(instance string, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"exec", "--data", s.data, instance, "--"}, command...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// awsCLI is the AWS command line with this server's endpoint and keys.
func (s *server) awsCLI(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// Versions before 2.13 do not read AWS_ENDPOINT_URL.
	cmd := exec.CommandContext(ctx, "aws", append([]string{"--endpoint-url", s.endpoint, "--output", "json"}, args...)...)
	cmd.Env = append(os.Environ(), append(s.env, "AWS_MAX_ATTEMPTS=1", "HOME="+s.data, "AWS_PAGER=")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("aws %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

// aws runs an AWS CLI command that must succeed and decodes its answer into out, if given.
func (s *server) aws(out any, args ...string) {
	s.t.Helper()
	data, err := s.awsCLI(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			s.t.Fatalf("aws %s: %v in %q", strings.Join(args, " "), err, data)
		}
	}
}

// need skips a test whose client is not installed.
func need(t testing.TB, tools ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("end-to-end tests are not part of the short run")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s needs %s, which is not installed", t.Name(), tool)
		}
	}
}

// eventually polls until a condition holds and fails the test when it never does.
func eventually(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("within %v it did not happen that %s", within, what)
}
