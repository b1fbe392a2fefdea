// Package pid1 is the init of an instance: process 1 inside, and nothing else.
//
// It builds the inside of the instance from steps that the keeper sends, starts
// programs when the keeper asks, reaps what ends and, at the end, sends SIGTERM
// to everyone and leaves. All decisions (what to mount, what to run, how long
// to wait) are the keeper's: netns/keeper.
//
// The one idea is smallness, because it exists once per instance: it takes over
// the process in a package initialiser, before the rest of the program is
// initialised, and therefore imports nothing but syscall (a package that
// imports more is initialised later, behind packages with large tables).
//
// Invariants: only the main thread forks, and it has dropped its capabilities
// and loaded the seccomp filter before the first fork; nothing from inside the
// instance is ever parsed here; the process cannot be traced from inside.
package pid1

import "syscall"

// Marker is the environment variable that makes process 1 of a PID namespace
// an instance's init. ControlFD is its socket to the keeper.
const (
	Marker    = "BILLOW_PID1"
	ControlFD = 3
)

func init() {
	if syscall.Getpid() != 1 {
		return
	}
	if _, marked := syscall.Getenv(Marker); marked {
		serve()
		syscall.Exit(0)
	}
}

var (
	lock     = make(chan struct{}, 1) // a mutex: spawning and reporting keep their order on the socket
	spawned  = make(chan struct{}, 1) // wakes the reaper when there are children again
	children = map[int]bool{}         // spawned here and not yet reported, by process ID
	leaving  bool                     // Term was received: exit when the last process has ended
)

func serve() {
	ignoreSignals()
	rename("init")
	prctl(syscall.PR_SET_DUMPABLE, 0)
	buffer := make([]byte, MaxMessage)
	control := make([]byte, syscall.CmsgSpace(4*8))
	reaping := false
	for {
		n, nc, _, _, err := syscall.Recvmsg(ControlFD, buffer, control, syscall.MSG_CMSG_CLOEXEC)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return // the keeper is gone, and the kernel ends us anyway
		}
		files := descriptors(control[:nc])
		m, ok := Decode(buffer[:n])
		if !ok {
			return
		}
		switch m.Op {
		case Setup:
			if step, err := setup(m.Fields); err != nil {
				send(nil, Failed, step, err.Error())
				return
			}
			send(nil, Ready)
		case Spawn:
			lock <- struct{}{}
			spawn(m.Fields, files)
			<-lock
			if !reaping {
				reaping = true
				go reap()
			}
			select {
			case spawned <- struct{}{}:
			default:
			}
		case Kill:
			if len(m.Fields) == 2 {
				syscall.Kill(-number(m.Fields[0]), syscall.Signal(number(m.Fields[1])))
			}
		case Ask:
			send(nil, Alive)
		case Term:
			lock <- struct{}{}
			leaving = true
			<-lock
			// A stopped process would never see SIGTERM.
			if syscall.Kill(-1, syscall.SIGTERM) != nil {
				return // nobody else is here
			}
			syscall.Kill(-1, syscall.SIGCONT)
			select {
			case spawned <- struct{}{}:
			default:
			}
		}
		for _, fd := range files {
			syscall.Close(fd)
		}
	}
}

// reap waits for every process that ends, own or orphaned, and reports those
// that the keeper asked for.
func reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil: // ECHILD: there is no other process in here
			lock <- struct{}{}
			done := leaving
			<-lock
			if done {
				syscall.Exit(0)
			}
			<-spawned
		default:
			lock <- struct{}{}
			if children[pid] {
				delete(children, pid)
				send(nil, Ended, decimal(pid), decimal(int(status)))
			}
			<-lock
		}
	}
}

// spawn starts a program. Its standard streams are the given descriptors, or a
// new terminal, or the console when none are given.
func spawn(fields []string, files []int) {
	if len(fields) < 4 {
		return
	}
	tag, tty, dir, argc := fields[0], fields[1] == "tty", fields[2], number(fields[3])
	rest := fields[4:]
	if argc < 1 || argc > len(rest) {
		send(nil, NotSpawned, tag, decimal(int(syscall.EINVAL)))
		return
	}
	args, env := rest[:argc], rest[argc:]
	streams := []uintptr{0, 1, 2}
	for i := 0; i < len(files) && i < 3; i++ {
		streams[i] = uintptr(files[i])
	}
	var beside []int
	if tty {
		master, slave, err := terminal()
		if err != nil {
			send(nil, NotSpawned, tag, decimal(int(err.(syscall.Errno))))
			return
		}
		defer syscall.Close(master)
		defer syscall.Close(slave)
		streams = []uintptr{uintptr(slave), uintptr(slave), uintptr(slave)}
		beside = []int{master}
	}
	pid, err := syscall.ForkExec(lookup(args[0], env), args, &syscall.ProcAttr{
		Dir: dir, Env: env, Files: streams,
		Sys: &syscall.SysProcAttr{Setsid: true, Setctty: tty, Credential: credential(fields[1])},
	})
	if err != nil {
		errno, _ := err.(syscall.Errno)
		send(nil, NotSpawned, tag, decimal(int(errno)))
		return
	}
	children[pid] = true
	send(beside, Spawned, tag, decimal(pid))
}

// credential reads "UID GID"; anything else is root.
func credential(s string) *syscall.Credential {
	for i := 0; i < len(s); i++ {
		if s[i] == ' ' {
			return &syscall.Credential{Uid: uint32(number(s[:i])), Gid: uint32(number(s[i+1:]))}
		}
	}
	return nil
}

// lookup finds a program as a shell would. What is not found is left to exec
// to complain about.
func lookup(name string, env []string) string {
	path := ""
	for _, entry := range env {
		if len(entry) > 5 && entry[:5] == "PATH=" {
			path = entry[5:]
		}
	}
	for i := 0; i < len(name); i++ {
		if name[i] == '/' {
			return name
		}
	}
	for start := 0; start <= len(path); {
		end := start
		for end < len(path) && path[end] != ':' {
			end++
		}
		if candidate := path[start:end] + "/" + name; end > start && executable(candidate) {
			return candidate
		}
		start = end + 1
	}
	return "/nonexistent/" + name
}

func executable(path string) bool {
	var st syscall.Stat_t
	return syscall.Stat(path, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFREG && st.Mode&0o111 != 0
}

// send writes one packet. An error means that the keeper is gone; the receive
// loop sees that too.
func send(files []int, op byte, fields ...string) {
	var rights []byte
	if len(files) > 0 {
		rights = syscall.UnixRights(files...)
	}
	for {
		if err := syscall.Sendmsg(ControlFD, Encode(op, fields...), rights, nil, 0); err != syscall.EINTR {
			return
		}
	}
}

func descriptors(control []byte) (files []int) {
	if len(control) == 0 {
		return nil
	}
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err == nil {
			files = append(files, fds...)
		}
	}
	return files
}

func number(s string) (n int) {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

func decimal(n int) string {
	if n == 0 {
		return "0"
	}
	var digits [20]byte
	i := len(digits)
	for v := uint(n); v > 0; v /= 10 {
		i--
		digits[i] = byte('0' + v%10)
	}
	return string(digits[i:])
}
