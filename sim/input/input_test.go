package input

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestStandard: standard input is there for all who read it whole, under a name of its own.
func TestStandard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "load.csv")
	if err := os.WriteFile(path, []byte("time,value\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	was := os.Stdin
	t.Cleanup(func() { os.Stdin = was })
	var err error
	if os.Stdin, err = os.Open(path); err != nil {
		t.Fatal(err)
	}
	defer os.Stdin.Close()
	for _, from := range []string{Standard, Standard, path} {
		if data, err := Read(from); err != nil || string(data) != "time,value\n" {
			t.Errorf("%s: %q, %v", Name(from), data, err)
		}
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if data, err := io.ReadAll(f); err != nil || len(data) != 11 {
		t.Errorf("%q, %v", data, err)
	}
	if Name(Standard) != "standard input" || Name(path) != path {
		t.Error(Name(Standard), Name(path))
	}
}

// TestSentences: an error is the path and what the operating system says.
func TestSentences(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	for path, want := range map[string]string{none: none + ": no such file or directory", dir: dir + ": is a directory"} {
		if _, err := Read(path); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := Open(none); err == nil || err.Error() != none+": no such file or directory" {
		t.Error(err)
	}
}
