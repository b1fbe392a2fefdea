package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/billow-cloud/billow/daemon/functions"
	"github.com/billow-cloud/billow/flight"
	"github.com/billow-cloud/billow/store"
)

// Destroy removes what a stopped server has left in its data directory, and the directory with it unless there are files
// that no server made. Others are the names of folders that belong to drivers; end is called before they go, if one is
// there. A directory that was never a server's is refused.
func Destroy(dir string, others []string, end func() error) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the data directory cannot be read: %w", err)
	}
	ours := append(append(store.Files(), accessFile, accessFile+".new", socketFile, flight.Folder, functions.Folder), others...)
	foreign := func(e fs.DirEntry) bool { return !slices.Contains(ours, e.Name()) }
	certain := func(e fs.DirEntry) bool { return !foreign(e) && e.Name() != "lock" }
	if slices.ContainsFunc(entries, foreign) && !slices.ContainsFunc(entries, certain) {
		return fmt.Errorf("%s is not a server's data directory; nothing was removed", dir)
	}
	lock, err := store.Lock(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return slices.Contains(others, e.Name()) }) {
		if err := end(); err != nil {
			return err
		}
	}
	for _, name := range ours {
		if err := removeAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("the data directory cannot be removed: %w", err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		return err
	}
	return os.Remove(dir)
}

// removeAll is os.RemoveAll, again for a short while when a folder is not empty: a driver's process that has just been
// left alone may be writing its last words.
func removeAll(path string) error {
	for end := time.Now().Add(3 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := os.RemoveAll(path)
		if !errors.Is(err, syscall.ENOTEMPTY) || time.Now().After(end) {
			return err
		}
	}
}
