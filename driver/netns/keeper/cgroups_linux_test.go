package keeper

import (
	"os"
	"testing"
)

// TestSweepGroups: what a keeper has left that was killed before it could take its control groups away.
func TestSweepGroups(t *testing.T) {
	dir := t.TempDir()
	c := findCgroups(GroupName(dir))
	p := &placement{c: c, id: "i-1"}
	dirs := p.dirs()
	if len(dirs) == 0 {
		t.Skip("no control group can be made here")
	}
	for _, group := range dirs {
		if err := os.MkdirAll(group, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	SweepGroups(dir)
	for _, group := range append(dirs, c.hierarchies...) {
		if _, err := os.Stat(group); err == nil {
			t.Errorf("%s is left", group)
		}
	}
}
