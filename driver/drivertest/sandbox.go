package drivertest

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/driver"
)

// box is a sandbox with a folder of the host, at an address that is no subnet's.
func box(t *testing.T, id string) driver.Spec {
	t.Helper()
	dir := directory(t)
	ok(t, os.Chmod(dir, 0o755))
	ok(t, os.WriteFile(filepath.Join(dir, "code"), []byte("#!/bin/sh\necho ran in $PWD\n"), 0o755))
	return driver.Spec{
		ID: id, PrivateIP: netip.MustParseAddr("169.254.64.10"), Subnet: netip.MustParsePrefix("169.254.64.0/18"), Memory: 64 << 20,
		Sandbox: &driver.Sandbox{Folders: []driver.Folder{{Source: dir, Target: "/var/task"}}, Scratch: 8 << 20, Processes: 24},
	}
}

func (s suite) sandbox(t *testing.T) {
	d, ctx := s.open(t)
	spec := box(t, "fn-1")
	ok(t, d.Launch(ctx, spec))
	expectState(t, ctx, d, "fn-1", driver.Running)
	if got := sh(t, ctx, d, "fn-1", "cd /var/task && ./code"); got != "ran in /var/task" {
		t.Errorf("the folder's program says %q", got)
	}
	for _, path := range []string{"/var/task/x", "/etc/x", "/x", "/usr/x", "/var/log/x"} {
		if code, output := run(t, ctx, d, "fn-1", "sh", "-c", "echo x > "+path); code == 0 || !strings.Contains(output, "ead-only") {
			t.Errorf("%s can be written: %d, %s", path, code, output)
		}
	}
	if _, err := os.Stat(filepath.Join(spec.Sandbox.Folders[0].Source, "x")); err == nil {
		t.Error("it wrote into the host's folder")
	}
	sh(t, ctx, d, "fn-1", "head -c 4000000 /dev/zero > /tmp/file && rm /tmp/file")
	if code, output := run(t, ctx, d, "fn-1", "sh", "-c", "head -c 16000000 /dev/zero > /tmp/file"); code == 0 {
		t.Errorf("16 MB fit into 8 MiB: %s", output)
	}
	if code, _ := run(t, ctx, d, "fn-1", "mount", "-o", "remount,rw", "/var/task"); code == 0 {
		t.Error("it can make its code writable")
	}
	s.reachesCloud(t, ctx, d)

	expectCode(t, "rebooting a sandbox", d.Reboot(ctx, "fn-1"), driver.CodeInvalid)
	ok(t, d.Stop(ctx, "fn-1", true))
	expectCode(t, "starting a sandbox again", d.Start(ctx, spec), driver.CodeInvalid)
	ok(t, d.Terminate(ctx, "fn-1"))
	ok(t, d.Launch(ctx, spec))
	begun := time.Now()
	ok(t, d.Terminate(ctx, "fn-1"))
	if took := time.Since(begun); took > 1500*time.Millisecond {
		t.Errorf("it was given %v to end", took)
	}
}

// reachesCloud has the sandbox ask the cloud, which sees its address.
func (s suite) reachesCloud(t *testing.T, ctx context.Context, d driver.Driver) {
	t.Helper()
	listener, err := d.Network().Listen("tcp", "169.254.169.251:9001")
	ok(t, err)
	defer listener.Close()
	go answer(listener)
	if code, output := run(t, ctx, d, "fn-1", s.kind.Program, "helper", "fetch", "169.254.169.251:9001"); code != 0 || !strings.Contains(output, "169.254.64.10") {
		t.Errorf("the cloud answers it %d, %q", code, output)
	}
}

func (s suite) sandboxMemory(t *testing.T) {
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, box(t, "fn-1")))
	if n := usage(t, ctx, d, "fn-1").OutOfMemory; n != 0 {
		t.Errorf("%d were killed before anything ran", n)
	}
	if code, output := run(t, ctx, d, "fn-1", s.kind.Program, "helper", "fill", "256"); code != 137 {
		t.Errorf("256 MiB of 64: code %d, %s", code, output)
	}
	if usage(t, ctx, d, "fn-1").OutOfMemory == 0 {
		t.Error("nothing says that memory ran out")
	}
}

func (s suite) sandboxProcesses(t *testing.T) {
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, box(t, "fn-1")))
	code, output := run(t, ctx, d, "fn-1", "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done; done")
	if code == 0 {
		t.Errorf("a hundred processes run where 24 may: %s", output)
	}
}

func (s suite) sandboxMistakes(t *testing.T) {
	d, ctx := s.open(t)
	for what, change := range map[string]func(*driver.Spec){
		"a relative source":      func(spec *driver.Spec) { spec.Sandbox.Folders[0].Source = "code" },
		"a target above":         func(spec *driver.Spec) { spec.Sandbox.Folders[0].Target = "/var/../etc" },
		"a target somewhere":     func(spec *driver.Spec) { spec.Sandbox.Folders[0].Target = "/etc" },
		"user data":              func(spec *driver.Spec) { spec.UserData = []byte("#!/bin/sh\n") },
		"an image of its own":    func(spec *driver.Spec) { spec.ImageID = "ami-1" },
		"volumes in the sandbox": func(spec *driver.Spec) { spec.Volumes = []driver.Attachment{{VolumeID: "vol-1"}} },
	} {
		spec := box(t, "fn-1")
		change(&spec)
		expectCode(t, what, d.Launch(ctx, spec), driver.CodeInvalid)
	}
}
