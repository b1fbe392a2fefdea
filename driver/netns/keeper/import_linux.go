package keeper

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
)

// keptFree is what unpacking leaves free on the disk.
const keptFree = 512 << 20

// importImage makes an image of an archive. Its only layer is a whole root
// directory.
func (k *keeper) importImage(id string, config driver.ImageConfig, in io.Reader) error {
	if !driver.ValidID(id) {
		return driver.Errorf(driver.CodeInvalid, "%q is not a valid image ID.", id)
	}
	name := fmt.Sprintf("%s.%x", id, time.Now().UnixNano())
	k.mu.Lock()
	_, exists := k.images[id]
	k.making[name] = !exists
	k.mu.Unlock()
	if exists {
		return nil
	}
	layer := filepath.Join("layers", name)
	u := unpacker{rootless: k.rootless}
	err := u.unpack(filepath.Join(layer, "root"), in)
	record := imageRecord{Layers: []string{name}, Whole: true, Config: config}
	if err == nil {
		// What pads the archive is read, or its sender would think that it was refused.
		io.Copy(io.Discard, io.LimitReader(in, 1<<20))
		err = writeJSON(imagePath(id), record)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.making, name)
	if err != nil {
		os.RemoveAll(layer)
		return explain("importing the image", err)
	}
	k.images[id] = record
	return nil
}

// unpacker writes an archive into a directory and nowhere else: every name is
// resolved by os.Root, which follows no link out of it.
type unpacker struct {
	rootless bool
	root     *os.Root
	entries  int
	bytes    int64
	checked  int64 // bytes at the last look at the free space
}

func refuse(format string, args ...any) error {
	return driver.Errorf(driver.CodeInvalid, format, args...)
}

func (u *unpacker) unpack(dir string, in io.Reader) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if u.root, err = os.OpenRoot(dir); err != nil {
		return err
	}
	defer u.root.Close()
	if err := u.room(); err != nil {
		return err
	}
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return refuse("The archive cannot be read: %v.", err)
		}
		if err := u.entry(h, r); err != nil {
			return err
		}
	}
	if u.entries == 0 {
		return refuse("The archive is empty, or is none.")
	}
	return u.furnish()
}

// entry unpacks one entry, within the bounds.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	name, err := inside(h.Name)
	if err != nil {
		return err
	}
	if u.entries++; u.entries > driver.ImportEntries {
		return refuse("The archive has more than %d files.", driver.ImportEntries)
	}
	if h.Size < 0 || u.bytes+h.Size > driver.ImportLimit {
		return refuse("The archive unpacks to more than %d GiB.", driver.ImportLimit>>30)
	}
	u.bytes += h.Size
	if u.bytes-u.checked > 64<<20 {
		if err := u.room(); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeDir:
		err = u.root.MkdirAll(name, 0o755)
	case tar.TypeReg, tar.TypeGNUSparse:
		err = u.file(name, content)
	case tar.TypeSymlink:
		if err = u.clear(name); err == nil {
			err = u.root.Symlink(h.Linkname, name)
		}
	case tar.TypeLink:
		var target string
		if target, err = inside(h.Linkname); err != nil {
			return err
		}
		if err = u.clear(name); err == nil {
			err = u.root.Link(target, name)
		}
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return refuse("%s is a device node or a pipe; instances get a /dev of their own. Leave it out, as in: tar --exclude='./dev/*' -C ROOT -c .", h.Name)
	default:
		return refuse("%s is of a kind (%q) that no root file system has.", h.Name, h.Typeflag)
	}
	if err == nil && h.Typeflag != tar.TypeLink {
		err = u.attributes(name, h)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return err
	}
	return refuse("%s cannot be unpacked: %v.", h.Name, err)
}

// inside gives a name as one below the root, if it is that.
func inside(name string) (string, error) {
	for _, part := range strings.Split(name, "/") {
		if part == ".." {
			return "", refuse("%q points out of the root file system.", name)
		}
	}
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if clean == "" || strings.ContainsRune(clean, 0) {
		clean = "."
	}
	return clean, nil
}

// clear makes room for an entry: the last of a name counts, but a directory
// that holds something stays.
func (u *unpacker) clear(name string) error {
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := u.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (u *unpacker) file(name string, content io.Reader) error {
	if err := u.clear(name); err != nil {
		return err
	}
	file, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// attributes sets owner, mode, times and, of extended attributes, the
// capabilities of programs: others could mean something to the overlay.
func (u *unpacker) attributes(name string, h *tar.Header) error {
	if !u.rootless {
		if err := u.root.Lchown(name, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	if err := u.root.Chmod(name, h.FileInfo().Mode()&bits); err != nil {
		return err
	}
	if capability := h.PAXRecords["SCHILY.xattr.security.capability"]; capability != "" && !u.rootless {
		file, err := u.root.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := unix.Fsetxattr(int(file.Fd()), "security.capability", []byte(capability), 0); err != nil && err != unix.ENOTSUP {
			return err
		}
	}
	if h.Typeflag == tar.TypeDir {
		return nil
	}
	return u.root.Chtimes(name, h.ModTime, h.ModTime)
}

// room refuses to fill the disk to its brim.
func (u *unpacker) room() error {
	u.checked = u.bytes
	dir, err := u.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return err
	}
	if st.Bavail*uint64(st.Bsize) < keptFree {
		return driver.Errorf(driver.CodeCapacity, "The disk of the data directory is nearly full.")
	}
	return nil
}

// furnish sees to the directories that an instance needs. Those that become
// mount points are directories and not links, which would be followed.
func (u *unpacker) furnish() error {
	for _, name := range []string{"proc", "sys", "dev", "run"} {
		if info, err := u.root.Lstat(name); err == nil && info.IsDir() {
			continue
		}
		if err := u.clear(name); err != nil {
			return err
		}
		if err := u.root.Mkdir(name, 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"etc", "root", "var/log", "var/lib/cloud"} {
		if _, err := u.root.Stat(name); err != nil {
			u.root.MkdirAll(name, 0o755) // a link that leads nowhere is the image's own affair
		}
	}
	if _, err := u.root.Lstat("tmp"); err != nil {
		if err := u.root.Mkdir("tmp", 0o755); err != nil {
			return err
		}
		return u.root.Chmod("tmp", 0o777|fs.ModeSticky)
	}
	return nil
}
