// Package drivertest is the conformance suite that every driver passes: what
// driver.Driver promises in words, in tests.
//
// It is not a place for what only one driver can do; that is tested beside it.
// The one idea is that a driver gives a Kind (how to make it, what it can do)
// and the suite uses nothing but the interface. What a kind cannot do is
// skipped by name. No test waits for a time: each waits for a condition, for a
// bounded time.
package drivertest

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/driver"
)

// Kind is a driver under test.
type Kind struct {
	Name string
	New  func(dir string) (driver.Driver, error)

	// Program is the test binary inside an instance; empty when there are no
	// processes at all, as with the sim driver.
	Program string
	// Secret is a file of the host that no instance may see; it is made by the test.
	Secret string

	LimitsCPU, LimitsMemory bool
	LimitsProcesses         bool
	Images                  bool
	Persistent              bool // instances outlive the driver
	GrowsMounted            bool // a file system may be grown while it is mounted

	// KillInstance ends the instance as a crash would.
	KillInstance func(t *testing.T, dir, id string)
	// HangInstance stops all of the instance's processes, from outside.
	HangInstance func(t *testing.T, dir, id string)
	// Clean looks, after a test, for complaints of the driver itself.
	Clean func(t *testing.T, dir string)
	// Leaks lists what is left on the host of a directory without instances.
	Leaks func(dir string) []string
}

// patience bounds every wait.
const patience = 20 * time.Second

// Run runs the suite.
func Run(t *testing.T, kind Kind) {
	s := suite{kind}
	t.Run("Lifecycle", s.lifecycle)
	t.Run("Mistakes", s.mistakes)
	t.Run("Reset", s.reset)
	t.Run("SandboxMistakes", s.sandboxMistakes)
	t.Run("VolumeRecords", s.volumeRecords)
	t.Run("ImportBad", s.importBad)
	s.real(t, "Dial", true, s.dial)
	s.real(t, "UserData", true, s.userData)
	s.real(t, "Exec", true, s.exec)
	s.real(t, "Terminal", true, s.terminal)
	s.real(t, "DiskStays", true, s.diskStays)
	s.real(t, "Image", kind.Images, s.image)
	s.real(t, "Isolation", true, s.isolation)
	s.real(t, "CloudAddress", true, s.cloudAddress)
	s.real(t, "Neighbours", true, s.neighbours)
	s.real(t, "Public", true, s.public)
	s.real(t, "Volumes", true, s.volumes)
	s.real(t, "Import", true, s.importImage)
	s.real(t, "Measure", true, s.measure)
	s.real(t, "LimitCPU", kind.LimitsCPU, s.limitCPU)
	s.real(t, "LimitMemory", kind.LimitsMemory, s.limitMemory)
	s.real(t, "Sandbox", true, s.sandbox)
	s.real(t, "SandboxMemory", kind.LimitsMemory, s.sandboxMemory)
	s.real(t, "SandboxProcesses", kind.LimitsProcesses, s.sandboxProcesses)
	s.real(t, "Power", true, s.power)
	s.real(t, "Killed", kind.KillInstance != nil, s.killed)
	s.real(t, "Hung", kind.HangInstance != nil, s.hung)
	s.real(t, "Adoption", kind.Persistent, s.adoption)
	s.real(t, "SideBySide", true, s.sideBySide)
	s.real(t, "Leaks", kind.Leaks != nil, s.leaks)
}

type suite struct{ kind Kind }

func (s suite) real(t *testing.T, name string, can bool, test func(*testing.T)) {
	t.Run(name, func(t *testing.T) {
		if s.kind.Program == "" || !can {
			t.Skipf("%s cannot do that", s.kind.Name)
		}
		test(t)
	})
}

// open makes a driver in a new directory, and clears up after the test.
func (s suite) open(t *testing.T) (driver.Driver, context.Context) {
	dir := directory(t)
	return s.openAt(t, dir)
}

// directory is like t.TempDir, with a short name that another user may enter.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "drivertest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "the directory can be removed", func() bool { return os.RemoveAll(dir) == nil })
	})
	return dir
}

func (s suite) openAt(t *testing.T, dir string) (driver.Driver, context.Context) {
	t.Helper()
	d, err := s.kind.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(func() {
		defer cancel()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := d.Reset(ctx); err != nil && !errors.Is(err, os.ErrClosed) && !t.Failed() {
			t.Errorf("reset: %v", err)
		}
		d.Close()
		if s.kind.Clean != nil {
			s.kind.Clean(t, dir)
		}
	})
	return d, ctx
}

// plain is an instance that does nothing.
func plain(id, address string) driver.Spec {
	return driver.Spec{
		ID: id, PrivateIP: netip.MustParseAddr(address), Subnet: netip.MustParsePrefix("172.31.0.0/20"),
		Hostname: "ip-" + strings.ReplaceAll(address, ".", "-") + ".ec2.internal",
	}
}

// programPath is where server finds the test binary.
var programPath = "/usr/local/bin/billow"

// server is an instance that answers on port 80, after every boot.
func server(id, address string) driver.Spec {
	spec := plain(id, address)
	spec.UserData = []byte("#!/bin/sh\nmkdir -p /var/lib/cloud/scripts/per-boot\n" +
		"printf '#!/bin/sh\\n" + programPath + " helper serve :80 &\\n' > /var/lib/cloud/scripts/per-boot/serve\n" +
		"chmod +x /var/lib/cloud/scripts/per-boot/serve\n/var/lib/cloud/scripts/per-boot/serve\necho served\n")
	return spec
}

// eventually polls, for a bounded time.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// find gives the instance's line of the inventory.
func find(t *testing.T, ctx context.Context, d driver.Driver, id string) (driver.Instance, bool) {
	t.Helper()
	all, err := d.Inventory(ctx)
	ok(t, err)
	for _, i := range all.Instances {
		if i.ID == id {
			return i, true
		}
	}
	return driver.Instance{}, false
}

func expectState(t *testing.T, ctx context.Context, d driver.Driver, id string, want driver.State) driver.Instance {
	t.Helper()
	i, exists := find(t, ctx, d, id)
	if !exists || i.State != want {
		t.Fatalf("%s is %q (exists: %v), want %q", id, i.State, exists, want)
	}
	return i
}

// event waits for one of the kind about the instance.
func event(t *testing.T, d driver.Driver, id string, kind driver.Kind) driver.Event {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, open := <-d.Events():
			if !open {
				t.Fatalf("no more events while waiting for %s of %s", kind, id)
			}
			if e.ID == id && e.Kind == kind {
				return e
			}
		case <-timeout:
			t.Fatalf("no event %s of %s within %v", kind, id, patience)
		}
	}
}

// ask connects to the address until it answers, and returns the line.
func ask(t *testing.T, ctx context.Context, d driver.Driver, address string) string {
	t.Helper()
	var line string
	eventually(t, address+" answers", func() bool {
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		conn, err := d.Network().Dial(ctx, "tcp", address)
		if err != nil {
			return false
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Second))
		b, err := io.ReadAll(io.LimitReader(conn, 1000))
		line = strings.TrimSpace(string(b))
		return err == nil && line != ""
	})
	return line
}

// run runs a program in the instance.
func run(t *testing.T, ctx context.Context, d driver.Driver, id string, args ...string) (code int, output string) {
	t.Helper()
	var out strings.Builder
	code, err := d.Exec(ctx, id, driver.ExecRequest{Args: args, Stdout: &out, Stderr: &out})
	if err != nil {
		t.Fatalf("%q in %s: %v", args, id, err)
	}
	return code, strings.TrimSpace(out.String())
}

// sh runs a script that must succeed.
func sh(t *testing.T, ctx context.Context, d driver.Driver, id, script string) string {
	t.Helper()
	code, output := run(t, ctx, d, id, "sh", "-c", script)
	if code != 0 {
		t.Fatalf("%s: exit code %d: %s", script, code, output)
	}
	return output
}
