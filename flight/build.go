package flight

import (
	"cmp"
	"debug/elf"
	"encoding/hex"
	"hash/fnv"
	"runtime/debug"
	"strings"
	"sync"
)

// Build says which program wrote a recording.
type Build struct {
	Version  string
	Revision string `json:",omitempty"` // of the source
	Modified bool   `json:",omitempty"` // the source was not exactly that revision
	ID       string `json:",omitempty"` // of the binary: the linker's, in short
}

// ThisBuild is the running program's.
var ThisBuild = sync.OnceValue(func() Build {
	b := Build{Version: "(devel)"}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Version = cmp.Or(info.Main.Version, b.Version)
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if f, err := elf.Open("/proc/self/exe"); err == nil {
		defer f.Close()
		if note := f.Section(".note.go.buildid"); note != nil {
			if id, err := note.Data(); err == nil {
				sum := fnv.New64a()
				sum.Write(id)
				b.ID = hex.EncodeToString(sum.Sum(nil))
			}
		}
	}
	return b
})

// Same tells whether two builds are of the same source, for certain.
func (b Build) Same(other Build) bool {
	if b.ID != "" && b.ID == other.ID {
		return true
	}
	return b.Revision != "" && b.Revision == other.Revision && !b.Modified && !other.Modified
}

func (b Build) String() string {
	text := b.Version
	if b.Revision != "" && !strings.Contains(text, b.Revision[:min(12, len(b.Revision))]) {
		text += " of revision " + b.Revision[:min(12, len(b.Revision))]
	}
	if b.ID != "" {
		text += " (binary " + b.ID[:8] + ")"
	}
	return text
}
