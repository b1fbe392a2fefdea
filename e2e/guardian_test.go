package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// The guardian is a second process of the test binary. It knows which servers run, and when the first process ends, by
// whatever cause, it ends what that has left: an interrupted or timed-out run leaves no instances behind either.
var guardian struct {
	mu   sync.Mutex
	pipe io.WriteCloser
}

const guardianMark = "BILLOW_E2E_GUARDIAN"

// startGuardian begins the watch; the folder of the binary goes with the last server.
func startGuardian() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), guardianMark+"="+binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if guardian.pipe, err = cmd.StdinPipe(); err != nil {
		return err
	}
	return cmd.Start()
}

// guard tells the guardian of a server's process; unguard, that nothing is left of it.
func guard(data string, pid int) { tellGuardian(fmt.Sprintln(pid, data)) }
func unguard(data string)        { tellGuardian(fmt.Sprintln(0, data)) }

func tellGuardian(line string) {
	guardian.mu.Lock()
	defer guardian.mu.Unlock()
	io.WriteString(guardian.pipe, line)
}

// keepGuard is the guardian's whole life.
func keepGuard(binary string) {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	servers := map[string]int{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		first, data, _ := strings.Cut(lines.Text(), " ")
		pid, _ := strconv.Atoi(first)
		if servers[data] = pid; pid == 0 {
			delete(servers, data)
		}
	}
	for data, pid := range servers {
		// The number may be another process's by now: only a server with this directory is meant.
		if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.Contains(string(line), data) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		for range 100 { // until the kernel has let go of its lock
			if exec.Command(binary, "destroy", "--data", data).Run() == nil {
				break
			}
		}
		os.RemoveAll(data)
		os.Remove(filepath.Dir(data)) // the test's own, if nothing else is in it
	}
	os.RemoveAll(filepath.Dir(binary))
}
