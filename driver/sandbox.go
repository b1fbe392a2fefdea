package driver

import (
	"path/filepath"
	"strings"
)

// Sandbox is what is different for an instance that is there for one program,
// started by Exec: its disk is the image, read-only, with the given folders; it
// has no user data and no volumes; nothing of it is kept, so it ends at once,
// and is neither started again nor made an image of. Its private address is the
// caller's choice too: one that no subnet can have keeps it apart.
//
// What the host cannot limit is in the driver's Notes.
type Sandbox struct {
	Folders   []Folder
	Scratch   int64 // bytes of /tmp, which counts as memory; 0 is as much as there is memory
	Processes int   // processes and threads that there may be at once; 0 is no limit
}

// Folder is one of the host, to be seen read-only inside.
type Folder struct {
	Source string // absolute, on the host
	Target string // below /var, one name: /var/task
}

func (b *Sandbox) validate(s Spec) error {
	for _, f := range b.Folders {
		name, below := strings.CutPrefix(f.Target, "/var/")
		if !filepath.IsAbs(f.Source) || !below || name == "" || strings.Contains(name, "/") || strings.HasPrefix(name, ".") {
			return Errorf(CodeInvalid, "The folder %s cannot be seen at %s.", f.Source, f.Target)
		}
	}
	if len(s.UserData) > 0 || len(s.Volumes) > 0 || s.ImageID != "" {
		return Errorf(CodeInvalid, "The sandbox %s has what only an instance can have.", s.ID)
	}
	return nil
}
