package keeper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const loopMajor = 7

// loop is a loop device. The kernel takes it away with the last descriptor of
// it, which is ours, or that of a program or mount of the guest: nothing is left
// of it when the keeper dies.
type loop struct {
	file  *os.File
	minor int
}

// whyNoLoops tells in a sentence why there can be no loop devices; empty when
// there can.
func whyNoLoops(rootless bool) string {
	if rootless {
		return "There are no volumes without root: a block device takes the rights of root on the host. Run the server as root to have them."
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return fmt.Sprintf("There are no volumes on this host: it has no loop devices (%v). In a container, /dev/loop-control and the loop devices must be let in.", err)
	}
	control.Close()
	return ""
}

// openLoop makes a loop device of a file.
func openLoop(path string) (*loop, error) {
	backing, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	config := unix.LoopConfig{Fd: uint32(backing.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
	copy(config.Info.File_name[:], path)
	for range 100 { // somebody else may take the free one
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("finding a free loop device: %w", err)
		}
		file, err := openDevice(n, 0)
		if err != nil {
			return nil, err
		}
		if err = unix.IoctlLoopConfigure(int(file.Fd()), &config); err == nil {
			return &loop{file, n}, nil
		}
		file.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("configuring loop device %d: %w", n, err)
		}
	}
	return nil, errors.New("no loop device stays free")
}

func devicePath(minor int) string { return "/dev/loop" + strconv.Itoa(minor) }

// openDevice opens a loop device; where /dev is no devtmpfs, the file is made.
func openDevice(minor, flags int) (*os.File, error) {
	path := devicePath(minor)
	file, err := os.OpenFile(path, os.O_RDWR|flags, 0)
	if errors.Is(err, os.ErrNotExist) {
		if err := unix.Mknod(path, nodeMode, int(unix.Mkdev(loopMajor, uint32(minor)))); err != nil && err != unix.EEXIST {
			return nil, err
		}
		file, err = os.OpenFile(path, os.O_RDWR|flags, 0)
	}
	return file, err
}

func (l *loop) close() { l.file.Close() }

// flush writes what programs wrote to the device itself into the file.
func (l *loop) flush() error { return l.file.Sync() }

// grow takes the new size of the file.
func (l *loop) grow() error { return unix.IoctlSetInt(int(l.file.Fd()), unix.LOOP_SET_CAPACITY, 0) }

// claimed tells whether somebody has the device for himself: a mounted file
// system above all.
func (l *loop) claimed() bool {
	file, err := openDevice(l.minor, unix.O_EXCL)
	if err != nil {
		return true
	}
	file.Close()
	return false
}

// freeze has the file system on the device, which a guest has mounted, written
// back and held still. It is mounted here for that, which gives the same one:
// so it needs no descriptor inside the guest, which would keep it from
// unmounting.
func (l *loop) freeze(kind string) (thaw func(), err error) {
	dir := fmt.Sprintf("freezing-%d", l.minor)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	leave := func() {
		unix.Unmount(dir, unix.MNT_DETACH)
		os.Remove(dir)
	}
	if err := unix.Mount(devicePath(l.minor), dir, kind, unix.MS_NODEV|unix.MS_NOSUID, ""); err != nil {
		os.Remove(dir)
		if errors.Is(err, unix.EBUSY) { // mounted read only: it stands still
			return func() {}, nil
		}
		return nil, fmt.Errorf("reaching the file system to freeze it: %w", err)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		leave()
		return nil, err
	}
	if err := unix.IoctlSetInt(fd, fiFreeze, 0); err != nil && err != unix.EBUSY {
		unix.Close(fd)
		leave()
		return nil, fmt.Errorf("freezing the file system: %w", err)
	}
	return func() {
		unix.IoctlSetInt(fd, fiThaw, 0)
		unix.Close(fd)
		leave()
	}, nil
}

const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

// holders are the processes here that have the device open.
func (l *loop) holders() []int {
	return processesWith(func(st *unix.Stat_t) bool {
		return st.Mode&unix.S_IFMT == unix.S_IFBLK && st.Rdev == unix.Mkdev(loopMajor, uint32(l.minor))
	})
}

// unheld waits, for a moment, until nobody has it any more.
func (l *loop) unheld() bool {
	for range 200 {
		if len(l.holders()) == 0 && !l.claimed() {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// processesWith lists the processes of instances that hold a file, by
// descriptor, working directory, root or program, for which is says yes.
func processesWith(is func(*unix.Stat_t) bool) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		own := filepath.Join("/proc", entry.Name())
		links := []string{own + "/cwd", own + "/root", own + "/exe"}
		fds, _ := os.ReadDir(own + "/fd")
		for _, fd := range fds {
			links = append(links, own+"/fd/"+fd.Name())
		}
		if slices.ContainsFunc(links, func(link string) bool {
			var st unix.Stat_t
			return unix.Stat(link, &st) == nil && is(&st)
		}) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func kill(pids []int) {
	for _, pid := range pids {
		unix.Kill(pid, unix.SIGKILL)
	}
}

// sweepLoops lets go of loop devices that an earlier keeper was killed over: a
// file system that was frozen at that moment is left behind with its device.
func (k *keeper) sweepLoops() {
	dir, err := os.Getwd()
	if err != nil || k.noVolumes != "" {
		return
	}
	found, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, path := range found {
		if !strings.HasPrefix(readString(path), filepath.Join(dir, "ebs")+"/") {
			continue
		}
		name := strings.Split(path, "/")[3]
		minor, _ := strconv.Atoi(strings.TrimPrefix(name, "loop"))
		file, err := openDevice(minor, 0)
		if err != nil {
			continue
		}
		l := &loop{file, minor}
		for _, kind := range mountable {
			if thaw, err := l.freeze(kind); err == nil { // EBUSY of the freezing itself: it is frozen
				thaw()
				break
			}
		}
		unix.IoctlSetInt(int(file.Fd()), unix.LOOP_CLR_FD, 0)
		l.close()
	}
}
