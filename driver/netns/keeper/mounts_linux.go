package keeper

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mounts supervises the few system calls of an instance that need rights on
// the host: mounting one of its volumes, unmounting it, and growing a mounted
// file system. The kernel stops the caller (seccomp's user notification), the
// keeper looks at what is asked for and does it in the caller's place, or
// refuses. So mount(8), fstab and programs of their own work as they are, in
// any image.
//
// A volume's content is the guest's own work, so two things are forced on every
// mount: no device nodes, which would open the host's disks, and errors that do
// not end in a panic of the host, which an ext4 file system can ask for.
type mounts struct {
	k      *keeper
	i      *instance
	notify *os.File // nil: mounting is refused by the filter

	mu   sync.Mutex
	made map[uint64]made // by mount ID
}

// made is a mount that was made for a guest.
type made struct {
	volume string
	kind   string
	path   string // as the guest named it, from its root
}

// mountable are the file systems that a guest may have mounted.
var mountable = []string{"ext4", "ext3", "ext2", "xfs", "btrfs", "vfat"}

// Flags that a guest may give; nodev is added.
const (
	mountFlags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_SYNCHRONOUS | unix.MS_DIRSYNC |
		unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_RELATIME | unix.MS_STRICTATIME | unix.MS_LAZYTIME | unix.MS_SILENT | unix.MS_REMOUNT
	magicFlags     = 0xc0ed0000
	magicFlagsMask = 0xffff0000
)

// Requests of ioctl that are supervised.
const (
	ext4Resize = 0x40086610 // EXT4_IOC_RESIZE_FS, a number of blocks
	xfsGrow    = 0x4010586e // XFS_IOC_FSGROWFSDATA, 16 bytes
)

// fsShutdown is EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN.
const fsShutdown = 0x8004587d

// supervised are the requests of ioctl that stop for the supervision.
var supervised = []uint32{ext4Resize, xfsGrow}

// notification and answer are seccomp_notif and seccomp_notif_resp.
type notification struct {
	ID    uint64
	PID   uint32
	Flags uint32
	Call  int32
	Arch  uint32
	IP    uint64
	Args  [6]uint64
}

type answer struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32
}

func (k *keeper) supervise(i *instance, b *boot, notify *os.File) *mounts {
	m := &mounts{k: k, i: i, made: map[uint64]made{}}
	if notify == nil {
		return m
	}
	fd, err := unix.FcntlInt(notify.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	notify.Close()
	if err != nil {
		return m
	}
	unix.SetNonblock(fd, true)
	m.notify = os.NewFile(uintptr(fd), "seccomp")
	go m.serve(b)
	return m
}

// stop ends the supervision; the instance is gone.
func (m *mounts) stop() {
	if m.notify != nil {
		m.notify.Close()
	}
}

func (m *mounts) serve(b *boot) {
	raw, err := m.notify.SyscallConn()
	if err != nil {
		return
	}
	for {
		var n notification
		var failed unix.Errno
		err := raw.Read(func(fd uintptr) bool {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if ready, _ := unix.Poll(poll, 0); ready == 0 {
				return false
			}
			_, _, failed = unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n)))
			return true
		})
		switch {
		case err != nil:
			return // closed
		case failed == unix.ENOENT || failed == unix.EINTR: // the caller was killed meanwhile, or all are gone
			select {
			case <-b.guest.ended:
				return
			case <-time.After(time.Millisecond):
			}
		case failed != 0:
			m.k.log("supervising %s: %v", m.i.id, failed)
			return
		default:
			go m.handle(raw, b, n)
		}
	}
}

func (m *mounts) handle(raw interface{ Control(func(uintptr)) error }, b *boot, n notification) {
	c := &caller{pid: int(n.PID), valid: func() bool {
		var errno unix.Errno
		err := raw.Control(func(fd uintptr) {
			_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, uintptr(unsafe.Pointer(&n.ID)))
		})
		return err == nil && errno == 0
	}}
	var err error
	switch n.Call {
	case unix.SYS_MOUNT:
		err = m.mount(b, c, n.Args)
	case unix.SYS_UMOUNT2:
		err = m.unmount(b, c, n.Args)
	case unix.SYS_IOCTL:
		err = m.control(c, n.Args)
	default:
		err = unix.ENOSYS
	}
	a := answer{ID: n.ID}
	if err != nil {
		errno := unix.EPERM
		errors.As(err, &errno)
		a.Error, a.Value = -int32(errno), -1
	}
	raw.Control(func(fd uintptr) {
		unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a)))
	})
}

// caller is a process that waits for its system call.
type caller struct {
	pid   int
	valid func() bool // it still waits: the process ID is still its own
}

func (c *caller) proc(name string) string { return filepath.Join("/proc", strconv.Itoa(c.pid), name) }

// read takes bytes out of the caller's memory.
func (c *caller) read(address uint64, n int) ([]byte, error) {
	file, err := os.Open(c.proc("mem"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if !c.valid() {
		return nil, unix.ESRCH
	}
	b := make([]byte, n)
	got := 0
	for got < n { // by page: what follows the text may not be there
		page := min(n-got, 4096-int((address+uint64(got))%4096))
		count, err := file.ReadAt(b[got:got+page], int64(address)+int64(got))
		got += count
		if err != nil || bytes.IndexByte(b[:got], 0) >= 0 && n == textLimit {
			break
		}
	}
	if got == 0 {
		return nil, unix.EFAULT
	}
	return b[:got], nil
}

const textLimit = 4096

// text reads a string that ends with a NUL; none is empty.
func (c *caller) text(address uint64) (string, error) {
	if address == 0 {
		return "", nil
	}
	b, err := c.read(address, textLimit)
	if err != nil {
		return "", err
	}
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		return "", unix.ENAMETOOLONG
	}
	return string(b[:end]), nil
}

// root tells whether the caller is the instance's root.
func (c *caller) root() bool {
	for line := range strings.Lines(readString(c.proc("status"))) {
		if rest, found := strings.CutPrefix(line, "Uid:"); found {
			ids := strings.Fields(rest)
			return len(ids) == 4 && ids[3] == "0" && c.valid() // the file system's: what counts for paths
		}
	}
	return false
}

// as runs do where the caller is: in the guest's mount namespace, with the
// caller's root and working directory.
func (c *caller) as(g *guest, do func() error) error {
	var dirs [2]int
	for n, name := range []string{"root", "cwd"} {
		fd, err := unix.Open(c.proc(name), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		dirs[n] = fd
	}
	if !c.valid() {
		return unix.ESRCH
	}
	return g.within(func() error {
		if err := errors.Join(unix.Fchdir(dirs[0]), unix.Chroot("."), unix.Fchdir(dirs[1])); err != nil {
			return err
		}
		return do()
	})
}

// mount does what mount(2) was asked for, if that is to mount one of the
// instance's volumes, or to change such a mount.
func (m *mounts) mount(b *boot, c *caller, args [6]uint64) error {
	source, err := c.text(args[0])
	if err != nil {
		return err
	}
	target, err := c.text(args[1])
	if err != nil {
		return err
	}
	kind, err := c.text(args[2])
	if err != nil {
		return err
	}
	data, err := c.text(args[4])
	if err != nil {
		return err
	}
	flags := uintptr(args[3])
	if flags&magicFlagsMask == magicFlags {
		flags &^= magicFlagsMask
	}
	if flags&^mountFlags != 0 || !c.root() {
		return unix.EPERM
	}
	flags |= unix.MS_NODEV
	if flags&unix.MS_REMOUNT != 0 {
		return c.as(b.guest, func() error { return m.remount(target, flags, data) })
	}
	if !slices.Contains(mountable, kind) {
		return unix.EPERM
	}
	if !filepath.IsAbs(source) {
		return unix.ENOTBLK
	}
	return c.as(b.guest, func() error { return m.mountVolume(source, target, kind, flags, data) })
}

// mountVolume runs where the caller is.
func (m *mounts) mountVolume(source, target, kind string, flags uintptr, data string) error {
	var st unix.Stat_t
	if err := unix.Stat(source, &st); err != nil {
		return err
	}
	v := m.k.volumeAt(m.i, &st)
	if v == nil {
		return unix.EPERM
	}
	if err := unix.Chdir(target); err != nil {
		return err
	}
	path, err := unix.Getwd()
	if err != nil {
		return err
	}
	// Whatever the names mean by now, it is in the guest's own tree, and the only devices there are its volumes.
	if err := unix.Mount(source, ".", kind, flags, safeOptions(kind, data)); err != nil {
		return err
	}
	id, err := mountRoot(path, 0)
	if err != nil {
		return nil // moved already; it can only be unmounted by its end
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made[id] = made{v.id, kind, path}
	return nil
}

// safeOptions has an error of the file system never end in a panic.
func safeOptions(kind, data string) string {
	if !strings.HasPrefix(kind, "ext") {
		return data
	}
	var options []string
	for _, o := range strings.Split(data, ",") {
		if o != "" && o != "errors=panic" {
			options = append(options, o)
		}
	}
	if !slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(o, "errors=") }) {
		options = append(options, "errors=remount-ro")
	}
	return strings.Join(options, ",")
}

// mountRoot gives the ID of the mount whose root is at a path.
func mountRoot(path string, flags int) (uint64, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, flags, unix.STATX_MNT_ID, &st); err != nil {
		return 0, err
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 || st.Mask&unix.STATX_MNT_ID == 0 {
		return 0, unix.EINVAL
	}
	return st.Mnt_id, nil
}

func (m *mounts) find(id uint64) (made, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one, found := m.made[id]
	return one, found
}

func (m *mounts) remount(target string, flags uintptr, data string) error {
	if err := unix.Chdir(target); err != nil {
		return err
	}
	id, err := mountRoot(".", 0)
	if err != nil {
		return err
	}
	one, own := m.find(id)
	if !own {
		return unix.EPERM
	}
	return unix.Mount("", ".", "", flags, safeOptions(one.kind, data))
}

// unmount does what umount2(2) was asked for, if the mount was made here. The
// name is resolved once; what is unmounted is then named from its parent, in
// which nobody can rename a mount point.
func (m *mounts) unmount(b *boot, c *caller, args [6]uint64) error {
	target, err := c.text(args[0])
	if err != nil {
		return err
	}
	flags := int(args[1])
	if flags&^(unix.MNT_FORCE|unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) != 0 || !c.root() {
		return unix.EPERM
	}
	return c.as(b.guest, func() error { return m.unmountAt(target, flags) })
}

func (m *mounts) unmountAt(target string, flags int) error {
	if flags&unix.UMOUNT_NOFOLLOW != 0 {
		var st unix.Stat_t
		if err := unix.Lstat(target, &st); err != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return unix.EINVAL
		}
	}
	if err := unix.Chdir(target); err != nil {
		return err
	}
	path, err := unix.Getwd()
	if err != nil {
		return err
	}
	if err := unix.Chdir(".."); err != nil {
		return err
	}
	name := filepath.Base(path)
	id, err := mountRoot(name, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return err
	}
	if _, own := m.find(id); !own {
		return unix.EPERM
	}
	if err := unix.Unmount(name, flags|unix.UMOUNT_NOFOLLOW); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.made, id)
	return nil
}

// control grows a mounted file system to the size of its volume, for resize2fs
// and xfs_growfs.
func (m *mounts) control(c *caller, args [6]uint64) error {
	request := uint32(args[1])
	size := map[uint32]int{ext4Resize: 8, xfsGrow: 16}[request]
	if size == 0 || !c.root() {
		return unix.EPERM
	}
	argument, err := c.read(args[2], size)
	if err != nil || len(argument) != size {
		return unix.EFAULT
	}
	pidfd, err := unix.PidfdOpen(c.pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, int(args[0]), 0)
	if err != nil {
		return unix.EBADF
	}
	defer unix.Close(fd)
	if !c.valid() {
		return unix.ESRCH
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	st.Rdev, st.Mode = st.Dev, unix.S_IFBLK // the device that the file is on
	if m.k.volumeAt(m.i, &st) == nil {
		return unix.EPERM
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(&argument[0]))); errno != 0 {
		return errno
	}
	return nil
}

// volumeAt finds the instance's volume whose device a file is.
func (k *keeper) volumeAt(i *instance, st *unix.Stat_t) *volume {
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return nil
	}
	for _, v := range k.volumesOf(i) {
		v.wish.Lock()
		same := v.loop != nil && unix.Mkdev(loopMajor, uint32(v.loop.minor)) == st.Rdev
		v.wish.Unlock()
		if same {
			return v
		}
	}
	return nil
}

// kindOn is the kind of the file system that is mounted from a volume; empty
// when none is.
func (m *mounts) kindOn(volume string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.made {
		if one.volume == volume {
			return one.kind
		}
	}
	return ""
}

// shutDown takes the file systems of a volume away from under the guest: what
// is written is kept, what comes later fails, and who holds a file there is
// killed. The caller holds the volume's wish.
func (m *mounts) shutDown(b *boot, v *volume) {
	m.mu.Lock()
	var paths []string
	for id, one := range m.made {
		if one.volume == v.id {
			paths = append(paths, one.path)
			delete(m.made, id)
		}
	}
	m.mu.Unlock()
	slices.Sort(paths)
	slices.Reverse(paths) // nested ones first
	dev := unix.Mkdev(loopMajor, uint32(v.loop.minor))
	for _, path := range paths {
		b.guest.within(func() error {
			if fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
				var st unix.Stat_t
				if unix.Fstat(fd, &st) == nil && st.Dev == dev {
					keepLog := uint32(0)
					unix.Syscall(unix.SYS_IOCTL, uintptr(fd), fsShutdown, uintptr(unsafe.Pointer(&keepLog)))
				}
				unix.Close(fd)
			}
			return unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		})
	}
	kill(processesWith(func(st *unix.Stat_t) bool {
		return st.Dev == dev || st.Mode&unix.S_IFMT == unix.S_IFBLK && st.Rdev == dev
	}))
	v.loop.unheld()
}
