package replay

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billow-cloud/billow/flight"
)

// segments puts copies of a recording into a directory under these numbers, each changed by a function.
func segments(t *testing.T, change map[string]func([]byte) []byte) []string {
	t.Helper()
	text, err := os.ReadFile(recorded(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, f := range change {
		if err := os.WriteFile(filepath.Join(dir, name+flight.Suffix), f(bytes.Clone(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := flight.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func whole(b []byte) []byte { return b }

// TestDamageIsToldAndLeftOut: what can be read is replayed, and nobody takes it for all that there was.
func TestDamageIsToldAndLeftOut(t *testing.T) {
	none := func([]byte) []byte { return []byte("something else entirely") }
	middle := func(b []byte) []byte {
		for i := range 20 {
			b[len(b)-len(b)/10+i] ^= 0x55
		}
		return b
	}
	for name, x := range map[string]struct {
		files    map[string]func([]byte) []byte
		segments int
		damaged  bool
		note     string
	}{
		"whole":          {map[string]func([]byte) []byte{"00000001": whole, "00000002": whole}, 2, false, ""},
		"another file":   {map[string]func([]byte) []byte{"00000001": whole, "00000002": none, "00000003": whole}, 2, true, "00000002.blw is not a flight recording; it is left out."},
		"a stray file":   {map[string]func([]byte) []byte{"00000001": whole, "zz": none}, 1, true, "zz.blw is not a flight recording; it is left out."},
		"in the middle":  {map[string]func([]byte) []byte{"00000001": middle, "00000002": whole}, 1, true, "00000001.blw: the segment is damaged: "},
		"missing":        {map[string]func([]byte) []byte{"00000001": whole, "00000003": whole}, 2, true, "Segment 2 is missing."},
		"several":        {map[string]func([]byte) []byte{"00000002": whole, "00000005": whole}, 2, true, "Segments 3 to 4 are missing."},
		"without a step": {map[string]func([]byte) []byte{"00000001": whole, "00000002": func(b []byte) []byte { return b[:10] }, "00000003": whole}, 2, false, "00000002.blw was cut off before its first step."},
	} {
		r, err := Replay(segments(t, x.files), Options{Build: flight.ThisBuild()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Segments != x.segments || r.Damaged != x.damaged || r.Difference != nil && name != "whole" || !strings.Contains(strings.Join(r.Notes, "\n"), x.note) {
			t.Errorf("%s: %d segments, damaged %v, %v, notes %q", name, r.Segments, r.Damaged, r.Difference, r.Notes)
		}
	}
	if _, err := Replay(segments(t, map[string]func([]byte) []byte{"00000001": none}), Options{Build: flight.ThisBuild()}); err == nil || !strings.HasSuffix(err.Error(), "is not a flight recording") {
		t.Errorf("one file that is none: %v", err)
	}
}
