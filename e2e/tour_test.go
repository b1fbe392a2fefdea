package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTour pastes the tour of README.md into a shell, block by block, as a reader does.
func TestTour(t *testing.T) {
	paste(t, tours(t, "../README.md")[0],
		"triggered policy cpu changing the desired capacity from 1 to",
		"in response to an EC2 health check indicating it has been terminated or stopped",
		"launched in response to an unhealthy instance needing to be replaced",
		"changing the desired capacity from 2 to 1")
}

// TestFailoverTour does that with the section on failover.
func TestFailoverTour(t *testing.T) {
	if _, err := os.Stat("/usr/bin/aws"); err != nil {
		t.Skip("instances see no AWS CLI")
	}
	paste(t, tours(t, "../README.md")[1],
		"us-east-1b\trunning", "(UnauthorizedOperation) when calling the AssociateAddress operation", "no answer")
}

// paste runs blocks of commands in one shell, with a port and a home of its own, and wants to see some texts.
func paste(t *testing.T, blocks []string, wants ...string) {
	need(t, "aws", "curl", "bash")
	t.Parallel()
	script := strings.Join(blocks, "\n")
	for from, to := range map[string]string{
		"make build\n": "", "$PWD/bin": filepath.Dir(binary), "127.0.0.1:4566": freePort(t),
	} {
		if !strings.Contains(script, from) {
			t.Fatalf("the tour has no %q", from)
		}
		script = strings.ReplaceAll(script, from, to)
	}

	directory := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-c", script)
	cmd.Env = append(os.Environ(), "TMPDIR="+directory, "HOME="+directory)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the server and the load are its children
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	left, _ := filepath.Glob(filepath.Join(directory, "*", "billow"))
	for _, data := range left {
		t.Errorf("%s is left", data)
		if out, err := exec.Command(binary, "destroy", "--data", data).CombinedOutput(); err != nil {
			t.Errorf("destroy: %v: %s", err, out)
		}
	}
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, want := range wants {
		if !strings.Contains(string(out), want) {
			t.Errorf("the tour does not show %q:\n%s", want, out)
		}
	}
}

// TestTourInKorean: the commands are the same in both languages; only comments are translated.
func TestTourInKorean(t *testing.T) {
	comments := regexp.MustCompile(`\s+# .*`)
	plain := func(readme string) (scripts []string) {
		for _, blocks := range tours(t, readme) {
			scripts = append(scripts, comments.ReplaceAllString(strings.Join(blocks, "\n"), ""))
		}
		return scripts
	}
	if english, korean := plain("../README.md"), plain("../README.ko.md"); !slices.Equal(english, korean) {
		t.Errorf("the tours differ:\n%q\n%q", english, korean)
	}
}

// tours are the shell blocks of the sections of a README that have numbered steps.
func tours(t *testing.T, readme string) (sections [][]string) {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	for section := range strings.SplitSeq(string(text), "\n## ") {
		_, steps, numbered := strings.Cut(section, "\n**1. ")
		if !numbered {
			continue
		}
		var blocks []string
		for _, found := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(steps, -1) {
			blocks = append(blocks, found[1])
		}
		if len(blocks) < 5 {
			t.Fatalf("%s: %d blocks of commands", readme, len(blocks))
		}
		sections = append(sections, blocks)
	}
	if len(sections) != 2 {
		t.Fatalf("%s: %d tours", readme, len(sections))
	}
	return sections
}
