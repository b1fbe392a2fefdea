package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// asUser makes a command that runs without root, in a home of its own; it skips the test where that cannot be.
func asUser(t testing.TB, home string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + home, "PATH=" + os.Getenv("PATH")}
	cmd.Dir = home
	if os.Geteuid() == 0 {
		asNobody(cmd)
	}
	return cmd
}

// rootlessHome is a home of the user without rights.
func rootlessHome(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		return t.TempDir()
	}
	home := openDir(t, nobody)
	probe := asUser(t, home, "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(home, "probe"))
	var said buffer
	probe.Stderr = &said
	if err := probe.Start(); err != nil {
		t.Skipf("%s needs to run programs as another user: %v", t.Name(), err)
	}
	ended := make(chan struct{})
	go func() { probe.Wait(); close(ended) }()
	eventually(t, 20*time.Second, "a server without root starts or says why not", func() bool {
		return strings.HasSuffix(said.String(), "\n")
	})
	if !strings.Contains(said.String(), "billow is ready") {
		<-ended
		t.Skipf("%s cannot run here: %s", t.Name(), said.String())
	}
	probe.Process.Signal(syscall.SIGTERM)
	<-ended
	if out, err := asUser(t, home, "destroy", "--data", filepath.Join(home, "probe")).CombinedOutput(); err != nil {
		t.Fatalf("destroy without root: %v: %s", err, out)
	}
	return home
}

// TestWithoutRoot runs a server and its instances as a user without rights.
func TestWithoutRoot(t *testing.T) {
	need(t)
	t.Parallel()
	home := rootlessHome(t)
	s := &server{t: t, data: filepath.Join(home, "data"), command: func(args ...string) *exec.Cmd { return asUser(t, home, args...) }}
	t.Cleanup(s.destroy)
	s.run()
	id := s.launch("#!/bin/sh\necho hello > /root/file\n")
	other := s.launch("")
	for _, i := range []string{id, other} {
		s.await(i, types.InstanceStateNameRunning)
	}
	eventually(t, 10*time.Second, "user data has run", func() bool {
		out, err := s.exec(id, "cat", "/root/file")
		return err == nil && out == "hello\n"
	})
	if got := s.shell(t, id, "id -u"); got != "0" {
		t.Errorf("the user inside is %s", got)
	}
	if got := s.shell(t, id, "curl -sS -m 10 http://169.254.169.254/latest/meta-data/instance-id"); got != id {
		t.Errorf("metadata: %s", got)
	}
	before := s.boots()
	s.stop(syscall.SIGKILL)
	s.run()
	if after := s.boots(); len(after) != 2 || after[id] != before[id] {
		t.Errorf("after a kill: %v, before %v", after, before)
	}
	if out, err := s.exec(other, "poweroff"); err != nil {
		t.Logf("poweroff: %v: %s", err, out)
	}
	s.await(other, types.InstanceStateNameStopped)
	keeper := keeperOf(t, s.data)
	s.destroy()
	eventually(t, 5*time.Second, "nothing is left", func() bool { return syscall.Kill(keeper, 0) != nil })
	if left, _ := filepath.Glob(filepath.Join(s.data, "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestDemoWithoutRoot is `billow demo` as a user without rights: the whole loop, what root would add, and nothing left.
func TestDemoWithoutRoot(t *testing.T) {
	need(t)
	t.Parallel()
	home := rootlessHome(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := asUser(t, home, "demo", "--plain")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer context.AfterFunc(ctx, func() { cmd.Process.Signal(syscall.SIGINT) })()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v:\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "takes root") {
		t.Errorf("it does not say what root would add:\n%s", out.String())
	}
	if left, _ := filepath.Glob(filepath.Join(home, "*")); len(left) > 0 {
		t.Errorf("the demo has left %v", left)
	}
}

// TestInterruptedDemo: Ctrl-C in the middle leaves nothing behind.
func TestInterruptedDemo(t *testing.T) {
	need(t)
	t.Parallel()
	home := openDir(t, os.Geteuid())
	cmd := exec.Command(binary, "demo", "--plain")
	cmd.Env = append(os.Environ(), "TMPDIR="+home)
	var out buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var keeper int
	eventually(t, 60*time.Second, "it has begun", func() bool {
		if found, _ := filepath.Glob(filepath.Join(home, "billow-demo-*", "netns", "instances", "i-*")); len(found) > 0 {
			keeper = keeperOf(t, filepath.Dir(filepath.Dir(filepath.Dir(found[0]))))
		}
		return keeper != 0
	})
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code == 0 {
		t.Errorf("interrupted, it ended well:\n%s", out.String())
	}
	if left, _ := filepath.Glob(filepath.Join(home, "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	eventually(t, 5*time.Second, "its processes are gone", func() bool { return syscall.Kill(keeper, 0) != nil })
}

// openTerminal makes a terminal: what a program writes to its side is read at the other.
func openTerminal(t testing.TB) (main, side *os.File) {
	t.Helper()
	main, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("%s needs terminals: %v", t.Name(), err)
	}
	fd := int(main.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if side, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return main, side
}
