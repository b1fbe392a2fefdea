package netns

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/driver/drivertest"
	"github.com/billow-cloud/billow/driver/netns/keeper"
)

func kind(rootless bool) drivertest.Kind {
	k := drivertest.Kind{
		Name:    "netns",
		New:     func(dir string) (driver.Driver, error) { return New(Config{Dir: dir, Rootless: rootless}) },
		Program: "/usr/local/bin/billow", Secret: filepath.Join(os.TempDir(), "drivertest.secret"),
		Images: true, Persistent: true, KillInstance: killInstance, HangInstance: hangInstance, Leaks: leaks, Clean: clean,
	}
	if rootless {
		k.Name = "netns-rootless"
	}
	status, _ := os.ReadFile("/proc/self/status")
	_, capabilities, _ := strings.Cut(string(status), "CapEff:")
	mask, _ := strconv.ParseUint(strings.Fields(capabilities + " 0")[0], 16, 64)
	k.GrowsMounted = mask&(1<<unix.CAP_SYS_RESOURCE) != 0
	return k
}

func TestMain(m *testing.M) { drivertest.Main(m, kind(false), kind(true)) }

func TestRoot(t *testing.T) {
	if !privileged() {
		t.Skip("this mode needs root")
	}
	k := kind(false)
	notes := notesOf(t, k)
	k.LimitsCPU = !strings.Contains(notes, "type's CPU")
	k.LimitsProcesses = !strings.Contains(notes, "number of processes")
	k.LimitsMemory = !strings.Contains(notes, "type's memory")
	drivertest.Run(t, k)
}

// TestRootless runs the suite as an unprivileged user: as the one who runs the
// test or, when that is root, as nobody, in a process of its own.
func TestRootless(t *testing.T) {
	if os.Geteuid() != 0 {
		k := kind(true)
		if d, err := k.New(t.TempDir()); err != nil {
			t.Skip(err)
		} else {
			d.Close()
		}
		drivertest.Run(t, k)
		return
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "rootless-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "netns.test")
	if err := copyProgram(program); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestRootless$", "-test.timeout=120s", "-test.v="+strconv.FormatBool(testing.Verbose()))
	cmd.Dir, cmd.Env = dir, []string{"TMPDIR=" + dir, "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	output, err := cmd.CombinedOutput()
	t.Logf("as user %d:\n%s", nobody, output)
	if err != nil {
		t.Error(err)
	}
}

// TestKeeperDies kills the keeper with kill -9 under a living driver: its
// instances are stopped as by a crash of the host, and everything goes on.
func TestKeeperDies(t *testing.T) {
	dir, err := os.MkdirTemp("", "keeper-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	d, err := New(Config{Dir: dir})
	if err != nil {
		t.Skip(err)
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	defer d.Reset(ctx)
	listener, err := d.Network().Listen("tcp", "169.254.169.254:80")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, "metadata")
			conn.Close()
		}
	}()
	spec := driver.Spec{ID: "i-1", PrivateIP: netip.MustParseAddr("172.31.5.10"), Subnet: netip.MustParsePrefix("172.31.0.0/20")}
	if err := d.Launch(ctx, spec); err != nil {
		t.Fatal(err)
	}
	keepers, inits := processes(dir)
	if len(keepers) != 1 || len(inits) != 1 {
		t.Fatalf("%d keepers, %d inits", len(keepers), len(inits))
	}
	syscall.Kill(keepers[0], syscall.SIGKILL)
	for e := range d.Events() {
		if e.Kind == driver.Exited {
			if e.ID != "i-1" || e.Reason != driver.ReasonHost {
				t.Errorf("unexpected %+v", e)
			}
			break
		}
	}
	if err := syscall.Kill(inits[0], 0); err != syscall.ESRCH {
		t.Errorf("an instance outlived its keeper: %v", err)
	}
	if err := d.Start(ctx, spec); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	code, err := d.Exec(ctx, "i-1", driver.ExecRequest{Args: []string{"/usr/local/bin/billow", "helper", "fetch", "169.254.169.254:80"}, Stdout: &out, Stderr: &out})
	if err != nil || code != 0 || out.String() != "metadata\n" {
		t.Errorf("the listener was not made again: code %d, %v, %q", code, err, out.String())
	}
	d.Reset(ctx)
	d.Close()
	for end := time.Now().Add(5 * time.Second); len(leaks(dir)) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("left behind: %v", leaks(dir))
		}
	}
}

func copyProgram(to string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	in, err := os.Open(own)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, in)
	return err
}

func notesOf(t *testing.T, k drivertest.Kind) string {
	d, err := k.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return strings.Join(d.Notes(), "\n")
}

// processes lists the processes that work in the directory: its keeper and, by
// their parent, the inits of its instances.
func processes(dir string) (keepers, inits []int) {
	entries, _ := os.ReadDir("/proc")
	parents := map[int]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); string(args) == "billow-keeper\x00"+dir+"\x00" {
			keepers = append(keepers, pid)
		}
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])); len(f) > 1 {
			parents[pid], _ = strconv.Atoi(f[1])
		}
	}
	for pid, parent := range parents {
		for _, k := range keepers {
			if parent == k {
				inits = append(inits, pid)
			}
		}
	}
	return keepers, inits
}

func killInstance(t *testing.T, dir, id string) {
	_, inits := processes(dir)
	if len(inits) != 1 {
		t.Fatalf("%d inits, want that of %s only", len(inits), id)
	}
	if err := syscall.Kill(inits[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// hangInstance stops its init; without that nothing answers any more, whatever else runs.
func hangInstance(t *testing.T, dir, id string) {
	_, inits := processes(dir)
	if len(inits) != 1 {
		t.Fatalf("%d inits, want that of %s only", len(inits), id)
	}
	if err := syscall.Kill(inits[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// clean holds the keeper to silence: it logs failures, and data races land there too.
func clean(t *testing.T, dir string) {
	if log, _ := os.ReadFile(filepath.Join(dir, keeper.LogName)); len(log) > 0 {
		t.Errorf("the keeper logged:\n%s", log)
	}
}

// leaks looks for what could be left: processes, mounts, control groups, links,
// files of instances.
func leaks(dir string) (left []string) {
	keepers, inits := processes(dir)
	for _, pid := range append(keepers, inits...) {
		left = append(left, "process "+strconv.Itoa(pid))
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	if strings.Contains(string(mounts), dir) {
		left = append(left, "a mount")
	}
	links, _ := os.ReadFile("/proc/self/net/dev")
	if strings.Contains(string(links), "vac1f050") {
		left = append(left, "a link")
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*/", "/sys/fs/cgroup/*/*/", "/sys/fs/cgroup/*/*/*/"} {
		groups, _ := filepath.Glob(pattern + keeper.GroupName(dir))
		left = append(left, groups...)
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, path := range loops {
		if backing, _ := os.ReadFile(path); strings.HasPrefix(string(backing), dir+"/") {
			left = append(left, path)
		}
	}
	for _, of := range []string{"instances", "images", "layers", "ebs/volumes", "ebs/snapshots"} {
		files, _ := filepath.Glob(filepath.Join(dir, of, "*"))
		left = append(left, files...)
	}
	return left
}
