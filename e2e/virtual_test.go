package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestVirtualTime runs what README.md says about virtual time on the files in examples/, and wants the figures that it
// shows: a run is decided by its inputs, so they are the same everywhere.
func TestVirtualTime(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Virtual time\n")
	shown := regexp.MustCompile("(?s)```sh\n(billow sim [a-z]+ examples/[^`]*)```\n\n```\n([^`]*)```").FindAllStringSubmatch(section, -1)
	if len(shown) < 2 {
		t.Fatalf("README shows %d runs with what they print", len(shown))
	}
	for _, x := range shown {
		command, want := x[1], x[2]
		cmd := exec.Command("bash", "-e", "-c", strings.ReplaceAll(command, "report.html", filepath.Join(t.TempDir(), "report.html")))
		cmd.Dir = t.TempDir()
		if err := os.CopyFS(filepath.Join(cmd.Dir, "examples"), os.DirFS("../examples")); err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v", command, err)
			continue
		}
		if got := squeeze(string(out)); !strings.Contains(got, squeeze(want)) {
			t.Errorf("%s prints\n%s\nand README shows\n%s", command, out, want)
		}
	}
}

// squeeze makes texts equal that differ in blanks only, and ends each line of them.
func squeeze(s string) string {
	return regexp.MustCompile(` *\n`).ReplaceAllString(regexp.MustCompile(` +`).ReplaceAllString(s, " "), "\n")
}
