package keeper

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver/netns/pid1"
)

// guest is a running init (package pid1) as seen from outside: its process and
// its control socket.
type guest struct {
	pid, pidfd int
	conn       *net.UnixConn
	ready      chan error    // what became of the setup
	ended      chan struct{} // closed when it is gone and reaped
	status     syscall.WaitStatus

	mu       sync.Mutex
	gone     bool
	tag      int
	files    map[string]*os.File        // opened inside, by name
	waiting  map[string]chan spawned    // by tag
	programs map[int]chan<- programExit // by process ID
	alive    chan struct{}              // closed by the sign of life that it was asked for; nil: none is awaited
}

type spawned struct {
	pid      int
	terminal *os.File
	err      error
	exit     <-chan programExit
}

// programExit is how a program ended; lost when the instance ended first.
type programExit struct {
	status syscall.WaitStatus
	lost   bool
}

// errGone is what programs of an instance get when it ends under them.
var errGone = errors.New("the instance ended")

// clone starts an init in new namespaces and in its control groups. On v1
// hierarchies the forking thread moves there first, and the child is born in
// the right place: moving another process would wait for an RCU grace period.
func (k *keeper) clone(place *placement) (*guest, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pair[1])
	own := os.NewFile(uintptr(pair[0]), "control")
	defer own.Close()
	conn, err := net.FileConn(own)
	if err != nil {
		return nil, err
	}
	g := &guest{
		pidfd: -1, conn: conn.(*net.UnixConn),
		ready: make(chan error, 1), ended: make(chan struct{}),
		files: map[string]*os.File{}, waiting: map[string]chan spawned{}, programs: map[int]chan<- programExit{},
	}
	attr := &syscall.ProcAttr{
		Env:   []string{pid1.Marker + "=1", "GOGC=off", "GOMAXPROCS=1"},
		Files: []uintptr{k.null.Fd(), k.null.Fd(), 2, uintptr(pair[1]), k.lock.Fd()},
		Sys: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP,
			PidFD:      &g.pidfd,
		},
	}
	forked := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		release, err := place.enter(attr.Sys)
		if err == nil {
			g.pid, err = syscall.ForkExec(k.executable, []string{"/sbin/init"}, attr)
			release()
		}
		forked <- err
	}()
	if err := <-forked; err != nil {
		conn.Close()
		return nil, fmt.Errorf("cloning the instance: %w", err)
	}
	if !k.cgroups.has("cpu") {
		// Nothing else keeps busy instances from starving the daemon.
		unix.Setpriority(unix.PRIO_PROCESS, g.pid, 5)
	}
	go g.receive()
	return g, nil
}

// receive takes what init says until it is gone, then reaps it.
func (g *guest) receive() {
	buffer, control := make([]byte, 8<<10), make([]byte, unix.CmsgSpace(4*4))
	for {
		n, nc, _, _, err := g.conn.ReadMsgUnix(buffer, control)
		if err != nil || n == 0 {
			break
		}
		if m, ok := pid1.Decode(buffer[:n]); ok {
			g.handle(m, receivedFiles(control[:nc]))
		}
	}
	unix.PidfdSendSignal(g.pidfd, unix.SIGKILL, nil, 0)
	for {
		if _, err := syscall.Wait4(g.pid, &g.status, 0, nil); err != syscall.EINTR {
			break
		}
	}
	g.mu.Lock()
	g.gone = true
	for _, reply := range g.waiting {
		reply <- spawned{err: errGone}
	}
	for _, exit := range g.programs {
		exit <- programExit{lost: true}
	}
	g.mu.Unlock()
	g.conn.Close()
	unix.Close(g.pidfd)
	select {
	case g.ready <- errGone:
	default:
	}
	close(g.ended)
}

func (g *guest) handle(m pid1.Message, files []*os.File) {
	field := func(i int) string {
		if i < len(m.Fields) {
			return m.Fields[i]
		}
		return ""
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(field(i))
		return n
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch m.Op {
	case pid1.Ready:
		g.ready <- nil
	case pid1.Failed:
		g.ready <- fmt.Errorf("%s: %s", field(0), field(1))
	case pid1.Descriptor:
		if len(files) == 1 {
			g.files[field(0)] = files[0]
			return
		}
	case pid1.Spawned, pid1.NotSpawned:
		reply := g.waiting[field(0)]
		delete(g.waiting, field(0))
		if reply == nil {
			break
		}
		if m.Op == pid1.NotSpawned {
			reply <- spawned{err: syscall.Errno(number(1))}
			break
		}
		exit := make(chan programExit, 1)
		g.programs[number(1)] = exit
		answer := spawned{pid: number(1), exit: exit}
		if len(files) == 1 {
			answer.terminal, files = files[0], nil
		}
		reply <- answer
	case pid1.Alive:
		if g.alive != nil {
			close(g.alive)
			g.alive = nil
		}
	case pid1.Ended:
		if exit := g.programs[number(0)]; exit != nil {
			delete(g.programs, number(0))
			exit <- programExit{status: syscall.WaitStatus(number(1))}
		}
	}
	for _, f := range files {
		f.Close()
	}
}

// ask asks init for a sign of life, unless it owes one already. What it gives
// closes the channel.
func (g *guest) ask() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.alive == nil {
		g.alive = make(chan struct{})
		go g.send(nil, pid1.Ask) // may wait long for one that takes nothing any more
	}
	return g.alive
}

// file takes over a descriptor that a setup step opened.
func (g *guest) file(name string) *os.File {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.files[name]
	delete(g.files, name)
	return f
}

// setup sends the steps and waits for the outcome.
func (g *guest) setup(steps []string) error {
	if err := g.send(nil, pid1.Setup, steps...); err != nil {
		return err
	}
	return <-g.ready
}

// program is what spawn starts; no files means the console.
type program struct {
	args, env []string
	dir       string
	user      string // "UID GID"; empty is root
	tty       bool
	files     []*os.File
}

func (g *guest) spawn(p program) spawned {
	reply := make(chan spawned, 1)
	g.mu.Lock()
	if g.gone {
		g.mu.Unlock()
		return spawned{err: errGone}
	}
	g.tag++
	tag := strconv.Itoa(g.tag)
	g.waiting[tag] = reply
	g.mu.Unlock()
	fields := []string{tag, "", p.dir, strconv.Itoa(len(p.args))}
	switch {
	case p.tty:
		fields[1] = "tty"
	case p.user != "":
		fields[1] = p.user
	}
	fields = append(append(fields, p.args...), p.env...)
	if err := g.send(p.files, pid1.Spawn, fields...); err != nil {
		g.mu.Lock()
		delete(g.waiting, tag)
		g.mu.Unlock()
		return spawned{err: err}
	}
	return <-reply
}

func (g *guest) send(files []*os.File, op byte, fields ...string) error {
	packet := pid1.Encode(op, fields...)
	if len(packet) > pid1.MaxMessage {
		return syscall.E2BIG
	}
	var rights []byte
	if len(files) > 0 {
		var fds []int
		for _, f := range files {
			fds = append(fds, int(f.Fd()))
		}
		rights = unix.UnixRights(fds...)
	}
	_, _, err := g.conn.WriteMsgUnix(packet, rights, nil)
	return err
}

// kill ends a spawned program and its process group.
func (g *guest) kill(pid int) {
	g.send(nil, pid1.Kill, strconv.Itoa(pid), strconv.Itoa(int(unix.SIGKILL)))
}

// term asks init to send SIGTERM to all and to leave when they are gone.
func (g *guest) term() error { return g.send(nil, pid1.Term) }

// destroy ends init and with it, by the kernel, everything inside.
func (g *guest) destroy() {
	unix.PidfdSendSignal(g.pidfd, unix.SIGKILL, nil, 0)
	<-g.ended
}

// receivedFiles takes descriptors out of a control message.
func receivedFiles(control []byte) (files []*os.File) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files
}

// within runs do on a thread that is in the guest's mount namespace, with its
// root directory; the thread is thrown away. Other namespaces and all rights
// stay the keeper's. When it returns, nothing of the guest's tree is held: the
// thread's end, which takes its directories along, may come later.
func (g *guest) within(do func() error) error {
	g.mu.Lock()
	if g.gone {
		g.mu.Unlock()
		return errGone
	}
	pidfd, err := unix.FcntlInt(uintptr(g.pidfd), unix.F_DUPFD_CLOEXEC, 3)
	g.mu.Unlock()
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		home, err := unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(home)
			err = unix.Unshare(unix.CLONE_FS)
		}
		if err == nil {
			err = unix.Setns(pidfd, unix.CLONE_NEWNS)
		}
		if err == nil {
			err = do()
			if back := unix.Setns(home, unix.CLONE_NEWNS); back != nil { // it sets root and working directory
				err = errors.Join(err, back)
			}
		}
		done <- err
	}()
	return <-done
}
