package functions

import (
	"archive/zip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Bounds on what a zip may unpack to; the control plane has checked it before, with the same bounds.
const (
	maxUnzipped = 250 << 20
	maxFiles    = 100_000
)

// codeStore keeps zips by their hash, and unpacks each once. A zip is on the disk before the call that brought it is
// answered; what was unpacked is made anew after a crash of the host, which may have left it torn.
//
//	code/HASH.zip             as uploaded
//	unpacked-BOOT/HASH/       read-only for all who have it
//	unpacked-BOOT/runtime/    the bootstraps of interpreted runtimes
type codeStore struct {
	dir string
	log *slog.Logger

	mu        sync.Mutex
	prepared  bool
	unpacking map[string]*sync.Mutex
	wanted    map[string]bool      // of which the control plane has said, since the start, that it has them
	uploads   map[string]int       // under way
	uploaded  map[string]time.Time // last
}

func newStore(dir string, log *slog.Logger) *codeStore {
	return &codeStore{dir: dir, log: log, unpacking: map[string]*sync.Mutex{}, wanted: map[string]bool{}, uploads: map[string]int{}, uploaded: map[string]time.Time{}}
}

func (s *codeStore) zip(hash string) string { return filepath.Join(s.dir, "code", hash+".zip") }
func (s *codeStore) unpacked(name string) string {
	return filepath.Join(s.dir, "unpacked-"+bootID(), name)
}

// bootID tells one run of the host's kernel from the next.
var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
})

// prepare makes the folders, and removes what was unpacked before the host's last start.
func (s *codeStore) prepare() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.prepared {
		return nil
	}
	if old, _ := filepath.Glob(filepath.Join(s.dir, "unpacked-*")); old != nil {
		for _, dir := range old {
			if dir != s.unpacked("") && bootID() != "unknown" {
				os.RemoveAll(dir)
			}
		}
	}
	err := errors.Join(os.MkdirAll(filepath.Join(s.dir, "code"), 0o700), os.MkdirAll(s.unpacked("runtime"), 0o755))
	s.prepared = err == nil
	return err
}

// upload says that a call brings code; until done, and for a moment after it, nothing removes that.
func (s *codeStore) upload(hash string) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads[hash]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.uploads[hash]--; s.uploads[hash] == 0 {
			delete(s.uploads, hash)
		}
		s.uploaded[hash] = time.Now()
	})
}

// keep writes a zip, so that it is there after a crash.
func (s *codeStore) keep(hash string, content []byte) error {
	if err := s.prepare(); err != nil {
		return err
	}
	if info, err := os.Stat(s.zip(hash)); err == nil && info.Size() == int64(len(content)) {
		return nil
	}
	file, err := os.CreateTemp(filepath.Dir(s.zip(hash)), "new-*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), s.zip(hash))
	}
	if err != nil {
		os.Remove(file.Name())
		return err
	}
	dir, err := os.Open(filepath.Dir(s.zip(hash)))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// have notes that some function has the code.
func (s *codeStore) have(hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted[hash] = true
}

// drop removes code that no function has any more. A wish that is older than an upload of the same code is not told from
// a newer one, so after an upload code stays for a while; then it is the next start's sweep that removes it.
func (s *codeStore) drop(hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.wanted, hash)
	if s.uploads[hash] == 0 && time.Since(s.uploaded[hash]) > time.Minute {
		s.remove(hash)
	}
}

// remove takes the folder away under another name first, so that nobody finds half of it. The caller holds mu.
func (s *codeStore) remove(hash string) {
	delete(s.uploaded, hash)
	os.Remove(s.zip(hash))
	if gone := s.unpacked("gone-" + random(8)); os.Rename(s.unpacked(hash), gone) == nil {
		os.RemoveAll(gone)
	}
}

// sweep removes what nobody has said to have since the start.
func (s *codeStore) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, _ := os.ReadDir(filepath.Join(s.dir, "code"))
	for _, entry := range entries {
		hash := strings.TrimSuffix(entry.Name(), ".zip")
		if strings.HasPrefix(hash, "new-") && len(s.uploads) == 0 {
			os.Remove(filepath.Join(s.dir, "code", hash))
		} else if !s.wanted[hash] && s.uploads[hash] == 0 && s.uploaded[hash].IsZero() {
			s.remove(hash)
		}
	}
}

// clear removes everything.
func (s *codeStore) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.wanted)
	clear(s.uploaded)
	s.prepared = false
	if err := os.RemoveAll(s.dir); err != nil {
		s.log.Warn("the code of functions could not be removed", "error", err)
	}
}

// holds tells whether a file is in unpacked code.
func (s *codeStore) holds(hash, name string) bool {
	_, err := os.Stat(filepath.Join(s.unpacked(hash), name))
	return err == nil
}

// folder gives the unpacked code.
func (s *codeStore) folder(hash string) (string, error) {
	if err := s.prepare(); err != nil {
		return "", err
	}
	s.mu.Lock()
	one := s.unpacking[hash]
	if one == nil {
		one = &sync.Mutex{}
		s.unpacking[hash] = one
	}
	s.mu.Unlock()
	one.Lock()
	defer one.Unlock()
	dir := s.unpacked(hash)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	part := s.unpacked("part-" + random(8))
	defer os.RemoveAll(part)
	if err := unzip(s.zip(hash), part); err != nil {
		return "", err
	}
	return dir, os.Rename(part, dir)
}

//go:embed bootstrap.py bootstrap.mjs
var bootstraps embed.FS

// runtime gives the folder with the bootstraps of interpreted runtimes.
var runtimeFiles = []string{"bootstrap.py", "bootstrap.mjs"}

func (s *codeStore) runtime() (string, error) {
	if err := s.prepare(); err != nil {
		return "", err
	}
	dir := s.unpacked("runtime")
	for _, name := range runtimeFiles {
		content, err := bootstraps.ReadFile(name)
		if err != nil {
			return "", err
		}
		if old, err := os.ReadFile(filepath.Join(dir, name)); err == nil && string(old) == string(content) {
			continue
		}
		part := filepath.Join(dir, "new-"+random(8))
		if err := os.WriteFile(part, content, 0o644); err != nil {
			return "", err
		}
		if err := os.Rename(part, filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// unzip unpacks a zip into a new folder. Whatever the zip says, nothing is written outside of it, and not more than
// functions may have.
func unzip(from, to string) error {
	z, err := zip.OpenReader(from)
	if err != nil {
		return err
	}
	defer z.Close()
	if len(z.File) > maxFiles {
		return fmt.Errorf("the zip has %d entries", len(z.File))
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer root.Close()
	left := int64(maxUnzipped)
	for _, f := range z.File {
		n, err := unpack(root, f, left)
		if err != nil {
			return fmt.Errorf("unpacking %q: %w", f.Name, err)
		}
		left -= n
	}
	return nil
}

func unpack(root *os.Root, f *zip.File, left int64) (int64, error) {
	name := strings.TrimSuffix(f.Name, "/")
	if !filepath.IsLocal(name) {
		return 0, errors.New("it points outside of the folder")
	}
	if strings.HasSuffix(f.Name, "/") || f.Mode().IsDir() {
		return 0, root.MkdirAll(name, 0o755)
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return 0, err
	}
	r, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	switch f.Mode().Type() {
	case fs.ModeSymlink:
		target, err := io.ReadAll(io.LimitReader(r, 4096))
		if err != nil {
			return 0, err
		}
		if path.IsAbs(string(target)) || !filepath.IsLocal(path.Join(path.Dir(name), string(target))) {
			return 0, errors.New("it is a link out of the folder")
		}
		return 0, root.Symlink(string(target), name)
	case 0:
	default:
		return 0, errors.New("it is neither file nor folder nor link")
	}
	root.Remove(name) // an entry that is there twice: the last one counts
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(file, io.LimitReader(r, left+1))
	if n > left {
		err = fmt.Errorf("it unpacks to more than %d bytes", maxUnzipped)
	}
	mode := f.Mode().Perm() | 0o444 // as Lambda needs it: readable for all; zips of some tools say nothing
	return n, errors.Join(err, file.Chmod(mode&0o555), file.Close())
}
