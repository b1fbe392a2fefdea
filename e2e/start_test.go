package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// nobody is a user without any right, for what needs one.
const nobody = 65534

// refuses runs a command that must end at once with exit code 1 and one sentence.
func refuses(t *testing.T, want string, prepare func(*exec.Cmd), args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out bytes.Buffer
	cmd.Stderr, cmd.Stdout = &out, &out
	if prepare != nil {
		prepare(cmd)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	text := out.String()
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("billow %s: %v, want exit code 1: %s", strings.Join(args, " "), err, text)
	}
	if !strings.HasPrefix(text, "billow: ") || strings.Count(text, "\n") != 1 || !strings.Contains(text, want) {
		t.Errorf("billow %s said %q, want one sentence with %q", strings.Join(args, " "), text, want)
	}
}

// asNobody runs a command without rights.
func asNobody(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// openDir makes a directory that every user can reach; t.TempDir can be reached by its owner only.
func openDir(t testing.TB, owner int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "billow-e2e-open")
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, owner, owner))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("%s needs root, to make what it tests", t.Name())
	}
}

// A start that cannot be says why in one sentence.
func TestStartErrors(t *testing.T) {
	need(t)
	t.Parallel()
	running := start(t, "--driver", "sim")
	address := strings.TrimPrefix(running.endpoint, "http://")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"unknown flag --bogus", []string{"--bogus"}},
		{`expected a float but got "x"`, []string{"--time-scale", "x"}},
		{"--time-scale must be greater than 0", []string{"--time-scale", "0"}},
		{"--vcpu must be", []string{"--vcpu=-1"}},
		{"--driver must be one of", []string{"--driver", "vmware"}},
		{"--driver docker is not built yet", []string{"--driver", "docker"}},
		{"another program uses that address", []string{"--listen", address}},
		{"this machine does not have that address", []string{"--listen", "192.0.2.1:4566"}},
		{"invalid port", []string{"--listen", "127.0.0.1:99999"}},
		{"missing port", []string{"--listen", "localhost"}},
		{"loopback address only", []string{"--listen", "0.0.0.0:0", "--auth", "none"}},
		{"loopback address only", []string{"--listen", ":0", "--auth", "none"}},
		{"another billow server is using the data directory", []string{"--data", running.data}},
		{"cannot be made: not a directory", []string{"--data", file + "/below"}},
	} {
		refuses(t, c.want, nil, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--driver", "sim"}, c.args...)...)
	}
	refuses(t, "unexpected argument", nil, "bogus")
	refuses(t, "no server has run with the data directory", nil, "env", "--data", t.TempDir())
	refuses(t, "no server is running with the data directory", nil, "exec", "--data", t.TempDir(), "i-1", "--", "true")
	refuses(t, "another billow server is using", nil, "destroy", "--data", running.data)
}

// TestForeignDirectoriesAreSpared: destroy removes what a server has made, and nothing else.
func TestForeignDirectoriesAreSpared(t *testing.T) {
	need(t)
	t.Parallel()
	dir := t.TempDir()
	mine := filepath.Join(dir, "mine", "file")
	if err := errors.Join(os.Mkdir(filepath.Dir(mine), 0o700), os.WriteFile(mine, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	refuses(t, "not a server's data directory; nothing was removed", nil, "destroy", "--data", dir)
	s := start(t, "--driver", "sim")
	if err := os.Rename(filepath.Dir(mine), filepath.Join(s.data, "mine")); err != nil {
		t.Fatal(err)
	}
	s.stop(syscall.SIGTERM)
	if out, err := exec.Command(binary, "destroy", "--data", s.data).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	left, err := filepath.Glob(filepath.Join(s.data, "*"))
	if _, gone := os.Stat(filepath.Join(s.data, "mine", "file")); err != nil || gone != nil || len(left) != 1 {
		t.Errorf("left: %v (%v, %v)", left, err, gone)
	}
	os.RemoveAll(s.data)
}

// A store that this program cannot read is neither taken nor touched.
func TestDamagedStores(t *testing.T) {
	need(t)
	t.Parallel()
	for name, c := range map[string]struct {
		want   string
		damage func(t *testing.T, dir string)
	}{
		"unknown table": {`rows of a table "future.things" that this build does not know`, func(t *testing.T, dir string) {
			conn, err := sqlite.OpenConn(filepath.Join(dir, "billow.db"), sqlite.OpenReadWrite)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := sqlitex.ExecuteTransient(conn, "insert into rows (tbl, key, data) values ('future.things', 'k', '{}')", nil); err != nil {
				t.Fatal(err)
			}
		}},
		"other content": {"billow.db is damaged", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "billow.db"), bytes.Repeat([]byte("not a store "), 5000), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		"overwritten pages": {"billow.db is damaged", func(t *testing.T, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, "billow.db"), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			size, _ := f.Seek(0, 2)
			if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, int(size)-4096), 4096); err != nil {
				t.Fatal(err)
			}
		}},
		"keys cut short": {"the keys in", func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "access.json"), 10); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "--driver", "sim")
			s.stop(syscall.SIGTERM)
			c.damage(t, s.data)
			before, err := os.ReadFile(filepath.Join(s.data, "billow.db"))
			if err != nil {
				t.Fatal(err)
			}
			refuses(t, c.want, nil, "serve", "--listen", "127.0.0.1:0", "--data", s.data, "--driver", "sim")
			if after, err := os.ReadFile(filepath.Join(s.data, "billow.db")); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed: %d bytes, %d before (%v)", len(after), len(before), err)
			}
		})
	}
}

func TestMissingRights(t *testing.T) {
	need(t, "setpriv")
	needRoot(t)
	t.Parallel()
	if first, _ := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); strings.TrimSpace(string(first)) == "1024" {
		refuses(t, "ports below 1024 need root", asNobody, "serve", "--listen", "127.0.0.1:79", "--data", openDir(t, nobody), "--driver", "sim")
	}
	theirs := openDir(t, 0)
	refuses(t, "cannot be written: permission denied", asNobody, "serve", "--listen", "127.0.0.1:0", "--data", theirs)
	refuses(t, "cannot be made: permission denied", asNobody, "serve", "--listen", "127.0.0.1:0", "--data", theirs+"/below")
	// In a user namespace of its own, for which the limit is set; outside nothing changes.
	forbidding := func(cmd *exec.Cmd) {
		script := `echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0" "$@"`
		cmd.Args = append([]string{"sh", "-c", script, binary}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		maps := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: maps, GidMappings: maps, GidMappingsEnableSetgroups: true}
		cmd.Env = append(os.Environ(), "TMPDIR="+openDir(t, nobody))
	}
	data := openDir(t, nobody)
	refuses(t, "allows no user namespaces: set user.max_user_namespaces above 0", forbidding, "serve", "--listen", "127.0.0.1:0", "--data", data)
	refuses(t, "allows no user namespaces: set user.max_user_namespaces above 0", forbidding, "destroy", "--data", withInstance(t, data))
}

// withInstance makes it look as if an instance were left, which takes a keeper to remove.
func withInstance(t *testing.T, data string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(data, "netns", "instances", "i-1"), 0o755); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(data, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, nobody, nobody))
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// smallDisk is a file system of its own with little room.
func smallDisk(t testing.TB, kilobytes int) string {
	t.Helper()
	needRoot(t)
	dir := openDir(t, 0)
	if err := syscall.Mount("billow-e2e", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kilobytes)); err != nil {
		t.Skipf("%s needs to mount a small file system: %v", t.Name(), err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill takes all the room that is left, until the file is removed.
func fill(t testing.TB, dir string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "fill")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for range 1 << 20 {
		if _, err := f.Write(block); err != nil {
			return file
		}
	}
	t.Fatal("the disk does not get full")
	return file
}

func TestStartOnAFullDisk(t *testing.T) {
	need(t)
	t.Parallel()
	for _, room := range []int{0, 16, 40, 64, 96, 128} { // whichever file it is that does not fit
		dir := smallDisk(t, 256)
		full := fill(t, dir)
		if err := os.Truncate(full, int64(256-room)<<10); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		cmd := exec.CommandContext(ctx, binary, "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--driver", "sim")
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		var out buffer
		cmd.Stderr = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		eventually(t, 10*time.Second, "it starts or says why not", func() bool {
			return strings.HasSuffix(out.String(), "\n")
		})
		text := out.String()
		switch ready := strings.Contains(text, "billow is ready"); {
		case ready:
			cancel() // there was room enough
			<-ended
		default:
			<-ended
			cancel()
			if code := cmd.ProcessState.ExitCode(); code != 1 || strings.Count(text, "\n") != 1 ||
				!strings.Contains(text, "the disk is full") && !strings.Contains(text, "no space left on device") {
				t.Errorf("with %d KiB: exit code %d, %q", room, code, text)
			}
		}
	}
}

// TestTwoServers run beside each other, with clouds of their own.
func TestTwoServers(t *testing.T) {
	need(t)
	t.Parallel()
	a, b := start(t), start(t)
	one, two := a.launch(""), b.launch("")
	a.await(one, "running")
	b.await(two, "running")
	for s, ids := range map[*server][2]string{a: {one, two}, b: {two, one}} {
		if out, err := s.exec(ids[0], "hostname"); err != nil {
			t.Errorf("its own instance: %v: %s", err, out)
		}
		if out, err := s.exec(ids[1], "hostname"); err == nil {
			t.Errorf("the other one's instance: %s", out)
		}
	}
	a.stop(syscall.SIGKILL)
	b.stop(syscall.SIGTERM)
	a.run()
	if out, err := a.exec(one, "hostname"); err != nil {
		t.Errorf("after both were ended: %v: %s", err, out)
	}
	b.destroy()
	if out, err := a.exec(one, "hostname"); err != nil {
		t.Errorf("after the other was destroyed: %v: %s", err, out)
	}
}

// TestNothingIsLeft: destroy takes down processes, control groups and mounts.
func TestNothingIsLeft(t *testing.T) {
	need(t)
	needRoot(t)
	t.Parallel()
	s := start(t)
	id := s.launch("#!/bin/sh\nsleep 1000 &\n")
	s.await(id, "running")
	keeper := keeperOf(t, s.data)
	all := processes(keeper)
	if len(all) < 2 {
		t.Fatalf("the keeper and its instance are the processes %v", all)
	}
	var groups []string
	for _, pid := range all {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		for line := range strings.Lines(string(text)) {
			if _, path, ok := strings.Cut(strings.TrimSpace(line), "/"); ok && strings.Contains(path, "billow-") {
				groups = append(groups, path)
			}
		}
	}
	s.destroy()
	eventually(t, 5*time.Second, "its processes are gone", func() bool {
		for _, pid := range all {
			if syscall.Kill(pid, 0) == nil {
				return false
			}
		}
		return true
	})
	for _, path := range groups {
		for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
			if left, _ := filepath.Glob(filepath.Join(root, path)); len(left) > 0 {
				t.Errorf("control groups are left: %v", left)
			}
		}
	}
	if mounts, _ := os.ReadFile("/proc/self/mounts"); strings.Contains(string(mounts), s.data) {
		t.Errorf("mounts are left below %s", s.data)
	}
	if _, err := os.Stat(s.data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data directory is left: %v", err)
	}
}

// keeperOf finds the process that keeps a server's instances.
func keeperOf(t testing.TB, data string) int {
	t.Helper()
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, _ := os.ReadFile(path)
		if args := strings.Split(string(line), "\x00"); args[0] == "billow-keeper" && len(args) > 1 && strings.HasPrefix(args[1], data) {
			var pid int
			fmt.Sscanf(path, "/proc/%d/", &pid)
			return pid
		}
	}
	t.Fatalf("no process keeps the instances of %s", data)
	return 0
}
