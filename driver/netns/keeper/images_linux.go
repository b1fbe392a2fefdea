package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
)

// An image is a list of layers, the newest first, over the built-in image.
// layers/NAME holds a copy of an instance's writable layer, images/ID.json the
// list. A layer lives as long as an image or an instance refers to it.
type imageRecord struct {
	Layers []string
	Whole  bool               `json:",omitempty"` // the layers are a root file system: nothing of the host's is below
	Config driver.ImageConfig `json:",omitzero"`
}

// maxLayers keeps the list within a page of mount options.
const maxLayers = 50

func imagePath(id string) string { return filepath.Join("images", id+".json") }

// imageOf tells what an instance of the image is made of.
func (k *keeper) imageOf(imageID string) (imageRecord, error) {
	if imageID == "" {
		return imageRecord{}, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	image, found := k.images[imageID]
	if !found {
		return image, driver.Errorf(driver.CodeImage, "The content of image %s is not on this host.", imageID)
	}
	return image, nil
}

func (k *keeper) createImage(imageID, instanceID string) error {
	if !driver.ValidID(imageID) {
		return driver.Errorf(driver.CodeInvalid, "%q is not a valid image ID.", imageID)
	}
	i := k.find(instanceID)
	if i == nil {
		return notFound(instanceID)
	}
	i.wish.Lock()
	defer i.wish.Unlock()
	if i.gone {
		return notFound(instanceID)
	}
	k.mu.Lock()
	_, exists := k.images[imageID]
	k.mu.Unlock()
	if exists {
		return nil
	}
	if err := k.needBase(); err != nil {
		return explain("making image "+imageID, err)
	}
	if len(i.record.Layers) >= maxLayers {
		return driver.Errorf(driver.CodeInvalid, "Image %s would have more than %d layers.", imageID, maxLayers)
	}
	if b := k.current(i); b != nil && b.place.freeze() {
		defer b.place.thaw()
	}
	name := fmt.Sprintf("%s.%x", imageID, time.Now().UnixNano())
	k.mu.Lock()
	k.making[name] = true
	k.mu.Unlock()
	layer := filepath.Join("layers", name)
	err := os.MkdirAll(layer, 0o755)
	for _, top := range append([]string{"root"}, k.tops(i)...) {
		if err == nil {
			err = copyTree(i.path(top, "upper"), filepath.Join(layer, top))
		}
	}
	record := imageRecord{Layers: append([]string{name}, i.record.Layers...), Whole: i.record.Whole, Config: i.record.Config}
	if err == nil {
		err = writeJSON(imagePath(imageID), record)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.making, name)
	if err != nil {
		os.RemoveAll(layer)
		return explain("making image "+imageID, err)
	}
	k.images[imageID] = record
	return nil
}

func (k *keeper) deleteImage(imageID string) error {
	k.mu.Lock()
	_, exists := k.images[imageID]
	delete(k.images, imageID)
	k.mu.Unlock()
	if !exists {
		return nil
	}
	if err := os.Remove(imagePath(imageID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	k.sweepLayers()
	return nil
}

// sweepLayers removes the layers that nothing refers to any more.
func (k *keeper) sweepLayers() {
	k.mu.Lock()
	defer k.mu.Unlock()
	used := map[string]bool{}
	for _, image := range k.images {
		for _, layer := range image.Layers {
			used[layer] = true
		}
	}
	for _, i := range k.instances {
		for _, layer := range i.record.Layers {
			used[layer] = true
		}
	}
	entries, _ := os.ReadDir("layers")
	for _, entry := range entries {
		if !used[entry.Name()] && !k.making[entry.Name()] {
			os.RemoveAll(filepath.Join("layers", entry.Name()))
		}
	}
}

func (k *keeper) loadImages() error {
	entries, err := os.ReadDir("images")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		id, isImage := strings.CutSuffix(entry.Name(), ".json")
		if !isImage {
			continue
		}
		var record imageRecord
		if err := readJSON(imagePath(id), &record); err != nil {
			return fmt.Errorf("reading image %s: %w", id, err)
		}
		k.images[id] = record
	}
	return nil
}

func (k *keeper) imageIDs() []string {
	return slices.Sorted(maps.Keys(k.images))
}

// copyTree copies a writable layer as it is: owners, modes, times, extended
// attributes (the overlay's marks among them), whiteouts and hard links.
func copyTree(from, to string) error {
	links := map[uint64]string{} // by inode
	type later struct {
		path string
		st   unix.Stat_t
	}
	var directories []later
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		target := filepath.Join(to, path[len(from):])
		if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			if first := links[st.Ino]; first != "" {
				return os.Link(first, target)
			}
			links[st.Ino] = target
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			err = os.Mkdir(target, 0o700)
			directories = append(directories, later{target, st})
		case unix.S_IFREG:
			err = copyFile(path, target, 0o600)
		case unix.S_IFLNK:
			var link string
			if link, err = os.Readlink(path); err == nil {
				err = os.Symlink(link, target)
			}
		case unix.S_IFSOCK:
			return nil
		default:
			err = unix.Mknod(target, st.Mode, int(st.Rdev))
		}
		if err != nil {
			return err
		}
		return copyAttributes(path, target, &st)
	})
	// Times of directories come last: copying into them changed them.
	for i := len(directories) - 1; i >= 0; i-- {
		if err == nil {
			err = setTimes(directories[i].path, &directories[i].st)
		}
	}
	return err
}

func copyAttributes(from, to string, st *unix.Stat_t) error {
	if err := os.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
			return err
		}
	}
	size, err := unix.Llistxattr(from, nil)
	if err != nil && err != unix.ENOTSUP {
		return err
	}
	if size <= 0 {
		return setTimes(to, st)
	}
	names, value := make([]byte, size), make([]byte, 64<<10)
	if size, err = unix.Llistxattr(from, names); err != nil {
		return err
	}
	for _, name := range splitNul(names[:size]) {
		n, err := unix.Lgetxattr(from, name, value)
		if err != nil {
			continue
		}
		if err := unix.Lsetxattr(to, name, value[:n], 0); err != nil && err != unix.EPERM {
			return fmt.Errorf("copying attribute %s: %w", name, err)
		}
	}
	return setTimes(to, st)
}

func setTimes(path string, st *unix.Stat_t) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

func splitNul(b []byte) (names []string) {
	start := 0
	for i, c := range b {
		if c == 0 {
			names = append(names, string(b[start:i]))
			start = i + 1
		}
	}
	return names
}

// writeJSON replaces a file as a whole.
func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
