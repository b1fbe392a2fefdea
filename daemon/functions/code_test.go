package functions

import (
	"archive/zip"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type entry struct {
	name, content string
	mode          fs.FileMode
}

func writeZip(t *testing.T, path string, entries ...entry) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z := zip.NewWriter(file)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode)
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(e.content))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whatever the check of the upload let through, unpacking writes inside its folder only.
func TestUnzipStaysInside(t *testing.T) {
	for what, entries := range map[string][]entry{
		"above":           {{"../escaped", "x", 0o644}},
		"absolute":        {{"/tmp/escaped", "x", 0o644}},
		"link above":      {{"link", "..", fs.ModeSymlink | 0o777}},
		"absolute link":   {{"link", "/tmp", fs.ModeSymlink | 0o777}},
		"through a link":  {{"a/link", "../b", fs.ModeSymlink | 0o777}, {"a/link/../../../escaped", "x", 0o644}},
		"device":          {{"device", "", fs.ModeDevice | 0o644}},
		"more than fits":  {{"large", strings.Repeat("0", 1<<20), 0o644}, {"larger", strings.Repeat("0", maxUnzipped), 0o644}},
		"file and folder": {{"a", "x", 0o644}, {"a/b", "x", 0o644}},
	} {
		if what == "more than fits" && testing.Short() {
			continue
		}
		dir := t.TempDir()
		writeZip(t, filepath.Join(dir, "z"), entries...)
		if err := unzip(filepath.Join(dir, "z"), filepath.Join(dir, "to")); err == nil {
			t.Errorf("%s: it was unpacked", what)
		}
		if left, _ := os.ReadDir(dir); len(left) != 2 {
			t.Errorf("%s: the folder above has %v", what, left)
		}
	}
}

func TestUnzipModes(t *testing.T) {
	dir := t.TempDir()
	writeZip(t, filepath.Join(dir, "z"), entry{"bootstrap", "#!", 0o755}, entry{"lib/mod.py", "x", 0}, entry{"link", "lib/mod.py", fs.ModeSymlink | 0o777}, entry{"empty/", "", fs.ModeDir | 0o700})
	if err := unzip(filepath.Join(dir, "z"), filepath.Join(dir, "to")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"bootstrap": 0o555, "lib/mod.py": 0o444, "empty": 0o755} {
		info, err := os.Stat(filepath.Join(dir, "to", name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s is %v, %v", name, info, err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "to", "link")); err != nil || string(got) != "x" {
		t.Errorf("behind the link is %q, %v", got, err)
	}
}

// Code goes when nobody has it, but not while an upload of it may be on its way, which is told from a drop by nothing.
func TestCodeGoes(t *testing.T) {
	s := newStore(filepath.Join(t.TempDir(), "functions"), slog.New(slog.DiscardHandler))
	path := filepath.Join(t.TempDir(), "z")
	writeZip(t, path, entry{"bootstrap", "#!", 0o755})
	content, _ := os.ReadFile(path)
	there := func(hash string) bool {
		_, err := os.Stat(s.zip(hash))
		return err == nil
	}
	for _, hash := range []string{"aa", "bb", "cc"} {
		if err := s.keep(hash, content); err != nil {
			t.Fatal(err)
		}
		if dir, err := s.folder(hash); err != nil || !s.holds(hash, "bootstrap") {
			t.Fatalf("%s: %v", dir, err)
		}
	}
	done := s.upload("aa")
	s.drop("aa")
	done()
	s.drop("aa")
	if !there("aa") {
		t.Error("what was just uploaded is gone")
	}
	s.drop("bb")
	if there("bb") || s.holds("bb", "bootstrap") {
		t.Error("what was dropped is there")
	}
	if err := s.keep("dd", content); err != nil {
		t.Fatal(err)
	}
	s.have("cc")
	s.sweep()
	if !there("aa") || !there("cc") || there("dd") {
		t.Errorf("after the sweep: aa %v, cc %v, dd %v", there("aa"), there("cc"), there("dd"))
	}
}
