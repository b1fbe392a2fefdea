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
	need(t, "aws", "curl", "bash")
	t.Parallel()
	script := strings.Join(tour(t, "../README.md"), "\n")
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
	for _, want := range []string{
		"triggered policy cpu changing the desired capacity from 1 to",
		"in response to an EC2 health check indicating it has been terminated or stopped",
		"launched in response to an unhealthy instance needing to be replaced",
		"changing the desired capacity from 2 to 1",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the tour does not show %q:\n%s", want, out)
		}
	}
}

// TestTourInKorean: the commands are the same in both languages; only comments are translated.
func TestTourInKorean(t *testing.T) {
	comments := regexp.MustCompile(`\s+# .*`)
	plain := func(blocks []string) []string {
		for i, b := range blocks {
			blocks[i] = comments.ReplaceAllString(b, "")
		}
		return blocks
	}
	if english, korean := plain(tour(t, "../README.md")), plain(tour(t, "../README.ko.md")); !slices.Equal(english, korean) {
		t.Errorf("the tours differ:\n%q\n%q", english, korean)
	}
}

// tour is the shell blocks of a README from its first numbered step to the end of that section.
func tour(t *testing.T, readme string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n**1. ")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, found := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, found[1])
	}
	if len(blocks) < 5 {
		t.Fatalf("%s: %d blocks of commands", readme, len(blocks))
	}
	return blocks
}
