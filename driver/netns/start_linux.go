package netns

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver/netns/keeper"
)

// privileged tells whether this process may do as root does.
func privileged() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if os.Geteuid() != 0 || unix.Capget(&header, &data[0]) != nil {
		return false
	}
	has := func(c int) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	return has(unix.CAP_SYS_ADMIN) && has(unix.CAP_NET_ADMIN) && has(unix.CAP_MKNOD)
}

// startKeeper starts this program again as the keeper of the directory, and
// waits until it takes requests. It is in a session of its own: what ends the
// daemon or its terminal does not end it.
func startKeeper(dir *os.File, rootless bool) error {
	log, err := os.OpenFile(filepath.Join(dir.Name(), keeper.LogName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return notStarted(err)
	}
	defer log.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return notStarted(err)
	}
	defer null.Close()
	answer, ready, err := os.Pipe()
	if err != nil {
		return notStarted(err)
	}
	defer answer.Close()
	attr := &os.ProcAttr{
		Dir:   dir.Name(),
		Env:   []string{keeper.Marker + "=root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOGC=50"},
		Files: []*os.File{null, null, log, ready},
		Sys: &syscall.SysProcAttr{
			Setsid:     true,
			Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		},
	}
	if rootless {
		attr.Env[0] = keeper.Marker + "=rootless"
		attr.Sys.Cloneflags |= unix.CLONE_NEWUSER
		attr.Sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.Sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	process, err := os.StartProcess("/proc/self/exe", []string{"billow-keeper", dir.Name()}, attr)
	ready.Close()
	if err != nil {
		return refused(err, rootless)
	}
	answer.SetReadDeadline(time.Now().Add(20 * time.Second))
	text, err := io.ReadAll(io.LimitReader(answer, 4<<10))
	if string(text) == "ok" {
		go process.Wait() // it may end before we do
		return nil
	}
	process.Kill()
	process.Wait()
	switch {
	case rootless && strings.Contains(string(text), unix.EPERM.Error()) || rootless && strings.Contains(string(text), unix.EACCES.Error()):
		// AppArmor lets the namespace be made and then nothing be done in it.
		return fmt.Errorf("%w (%s)", refused(unix.EPERM, true), text)
	case len(text) > 0:
		return fmt.Errorf("the keeper of the instances could not start: %s", text)
	case err != nil:
		return fmt.Errorf("the keeper of the instances did not start in time: %w", err)
	}
	if rootless {
		return refused(unix.EPERM, true)
	}
	return fmt.Errorf("the keeper of the instances died while starting; its last words are in %s", log.Name())
}

// refused says what this host forbids and how to allow it.
func refused(err error, rootless bool) error {
	read := func(path string) string {
		b, _ := os.ReadFile(path)
		return strings.TrimSpace(string(b))
	}
	switch {
	case errors.Is(err, unix.ENOSPC) && rootless, rootless && read("/proc/sys/user/max_user_namespaces") == "0":
		return errors.New("this host allows no user namespaces: set user.max_user_namespaces above 0 (sysctl -w user.max_user_namespaces=10000), or run as root")
	case rootless && read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
		return errors.New("this host allows user namespaces to root only: sysctl -w kernel.unprivileged_userns_clone=1, or run as root")
	case rootless && read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
		return errors.New("AppArmor keeps user namespaces from this program: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root")
	case rootless && errors.Is(err, unix.EPERM):
		return errors.New("this host does not let this process make a user namespace (a container's seccomp profile does that): allow it, or run as root with CAP_SYS_ADMIN")
	case errors.Is(err, unix.EPERM):
		return errors.New("this process is root but may not make namespaces: it needs CAP_SYS_ADMIN and CAP_NET_ADMIN (docker run --privileged)")
	case errors.Is(err, unix.ENOSPC):
		return errors.New("this host has reached its number of namespaces: raise the user.max_*_namespaces sysctls")
	}
	return notStarted(err)
}

func notStarted(err error) error {
	return fmt.Errorf("the keeper of the instances cannot be started: %w", err)
}

// Sweep removes what is left on the host, outside of the directory, where no
// instance is any more and no keeper runs.
func Sweep(dir string) { keeper.SweepGroups(dir) }

// killPeer ends the keeper at the other end of the connection; the kernel ends
// its instances with it.
func killPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	return unix.Kill(int(peer.Pid), unix.SIGKILL)
}
