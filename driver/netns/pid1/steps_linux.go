package pid1

import (
	"syscall"
	"unsafe"
)

// setup carries out the steps in order. It stops at the first that fails and
// says which it was.
func setup(steps []string) (failed string, err error) {
	for _, packed := range steps {
		fields, ok := split([]byte(packed))
		if !ok || len(fields) == 0 {
			return "decode", syscall.EINVAL
		}
		op, args := fields[0], fields[1:]
		optional := op[len(op)-1] == '?'
		if optional {
			op = op[:len(op)-1]
		}
		if err := perform(op, args); err != nil && !optional {
			what := op
			for _, arg := range args {
				if len(arg) < 200 {
					what += " " + arg
				}
			}
			return what, err
		}
	}
	return "", nil
}

func perform(op string, args []string) error {
	for len(args) < 5 {
		args = append(args, "")
	}
	switch op {
	case "mkdir":
		err := syscall.Mkdir(args[0], uint32(number(args[1])))
		if err == syscall.EEXIST {
			return nil
		}
		return err
	case "mount":
		return syscall.Mount(args[0], args[1], args[2], uintptr(number(args[3])), args[4])
	case "touch":
		fd, err := syscall.Open(args[0], syscall.O_CREAT|syscall.O_WRONLY|syscall.O_CLOEXEC, 0o644)
		if err != nil {
			return err
		}
		return syscall.Close(fd)
	case "symlink":
		return syscall.Symlink(args[0], args[1])
	case "mkfifo":
		if err := syscall.Mknod(args[0], syscall.S_IFIFO|uint32(number(args[1])), 0); err != nil {
			return err
		}
		return syscall.Chmod(args[0], uint32(number(args[1]))) // whatever the umask is
	case "mknod":
		if err := syscall.Mknod(args[0], uint32(number(args[1])), number(args[2])); err != nil {
			return err
		}
		return syscall.Chmod(args[0], uint32(number(args[1]))&0o777)
	case "chmod":
		return syscall.Chmod(args[0], uint32(number(args[1])))
	case "write":
		return write(args[0], args[1])
	case "open":
		fd, err := syscall.Open(args[1], number(args[2])|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0o640)
		if err != nil {
			return err
		}
		send([]int{fd}, Descriptor, args[0])
		return syscall.Close(fd)
	case "pivot":
		return pivot(args[0])
	case "hostname":
		return syscall.Sethostname([]byte(args[0]))
	case "console":
		return console(args[0])
	case "seccomp":
		return seccomp([]byte(args[0]), uintptr(number(args[1])))
	case "caps":
		return capabilities(uint64(number(args[0])))
	}
	return syscall.ENOSYS
}

func write(path, content string) error {
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	_, err = syscall.Write(fd, []byte(content))
	return err
}

// pivot makes the directory the root and lets go of everything else. The old
// root is stacked on the new one for a moment, so it needs no directory there.
func pivot(root string) error {
	if err := syscall.Chdir(root); err != nil {
		return err
	}
	if err := syscall.PivotRoot(".", "."); err != nil {
		return err
	}
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return err
	}
	return syscall.Chdir("/")
}

// console turns our standard streams, and those of what we start, to the FIFO
// that the keeper reads. Opened for both directions, so that nobody waits.
func console(path string) error {
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	if err := syscall.Dup3(fd, 1, 0); err != nil {
		return err
	}
	return syscall.Dup3(fd, 2, 0)
}

// seccomp loads the filter. If the system call of that number can be had, its
// descriptor, on which the keeper answers for supervised calls, is sent there.
func seccomp(filter []byte, call uintptr) error {
	program := struct {
		length uint16
		filter unsafe.Pointer
	}{uint16(len(filter) / 8), unsafe.Pointer(&filter[0])}
	const setModeFilter, newListener = 1, 8
	if fd, _, errno := syscall.RawSyscall(call, setModeFilter, newListener, uintptr(unsafe.Pointer(&program))); errno == 0 {
		send([]int{int(fd)}, Descriptor, "supervisor")
		return syscall.Close(int(fd))
	}
	const modeFilter = 2
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_SECCOMP, modeFilter, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

// capabilities drops all but the mask, for this thread and what it starts. A
// program run by root gets what is in the bounding set, so that is cut first.
func capabilities(keep uint64) error {
	for c := uint(0); c < 64; c++ {
		if keep&(1<<c) != 0 {
			continue
		}
		if err := prctl(syscall.PR_CAPBSET_DROP, uintptr(c)); err == syscall.EINVAL {
			break // beyond the kernel's last capability
		} else if err != nil {
			return err
		}
	}
	header := struct {
		version uint32
		pid     int32
	}{version: 0x20080522}
	var old, data [2]struct{ effective, permitted, inheritable uint32 }
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&old[0])), 0); errno != 0 {
		return errno
	}
	for i := range data {
		data[i].permitted = old[i].permitted & uint32(keep>>(32*i))
		data[i].effective = data[i].permitted
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0); errno != 0 {
		return errno
	}
	return nil
}

// terminal opens a new pseudo terminal of the instance.
func terminal() (master, slave int, err error) {
	master, err = syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, -1, err
	}
	var unlock int32
	if _, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(master), syscall.TIOCSPTLCK, uintptr(unsafe.Pointer(&unlock))); errno != 0 {
		syscall.Close(master)
		return -1, -1, errno
	}
	const tiocgptpeer = 0x5441 // opens the slave without a path
	fd, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(master), tiocgptpeer, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC)
	if errno != 0 {
		syscall.Close(master)
		return -1, -1, errno
	}
	return master, int(fd), nil
}

// ignoreSignals keeps a stray kill 1 from ending the instance; the keeper uses
// the control socket and SIGKILL only.
func ignoreSignals() {
	action := struct {
		handler, flags, restorer uintptr
		mask                     uint64
	}{handler: 1} // SIG_IGN
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE} {
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	}
}

// rename sets the name that ps shows: we were executed as /proc/self/exe.
func rename(name string) {
	b := append([]byte(name), 0)
	syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0)
}

func prctl(option, argument uintptr) error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, option, argument, 0); errno != 0 {
		return errno
	}
	return nil
}
