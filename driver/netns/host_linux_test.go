package netns

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/billow-cloud/billow/driver"
)

// again runs the calling test a second time, in namespaces of its own where it
// can change the host as it likes. It tells which of the two this is.
func again(t *testing.T, flags uintptr) (inside bool) {
	const marker = "BILLOW_TEST_INSIDE"
	if os.Getenv(marker) == t.Name() {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), marker+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	if flags&syscall.CLONE_NEWUSER != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	output, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("this host does not let the test make namespaces: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	if strings.Contains(string(output), "--- SKIP") {
		t.Skipf("%s", output)
	}
	return false
}

// TestForbidden: a host without user namespaces gets one sentence that says
// what to do.
func TestForbidden(t *testing.T) {
	if !again(t, syscall.CLONE_NEWUSER) {
		return
	}
	const limit = "/proc/sys/user/max_user_namespaces"
	if err := os.WriteFile(limit, []byte("0"), 0); err != nil {
		t.Skip(err)
	}
	d, err := New(Config{Dir: t.TempDir(), Rootless: true})
	if err == nil {
		d.Close()
		t.Fatal("it works")
	}
	if !strings.Contains(err.Error(), "sysctl -w user.max_user_namespaces=") || strings.Contains(err.Error(), "\n") {
		t.Errorf("it says %q", err)
	}
}

// TestFullDisk: a launch that finds no room fails with that reason and leaves
// nothing; the driver lives on, and so it is after room was made.
func TestFullDisk(t *testing.T) {
	if !again(t, syscall.CLONE_NEWUSER|syscall.CLONE_NEWNS) {
		return
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m,mode=700"); err != nil {
		t.Skip(err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	d, err := New(Config{Dir: dir, Rootless: true})
	if err != nil {
		t.Skip(err)
	}
	defer d.Close()
	ctx := context.Background()
	spec := driver.Spec{ID: "i-1", PrivateIP: netip.MustParseAddr("172.31.5.10"), Subnet: netip.MustParsePrefix("172.31.0.0/20")}
	if err := d.Launch(ctx, spec); err != nil {
		t.Fatal(err)
	}
	filler := dir + "/filler"
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	f.Close()
	spec.ID, spec.PrivateIP = "i-2", netip.MustParseAddr("172.31.5.11")
	err = d.Launch(ctx, spec)
	var coded *driver.Error
	if !errors.As(err, &coded) || coded.Code != driver.CodeCapacity || !strings.Contains(coded.Message, "full") {
		t.Errorf("on a full disk: %v", err)
	}
	all, err := d.Inventory(ctx)
	if err != nil || len(all.Instances) != 1 {
		t.Errorf("left: %+v, %v", all, err)
	}
	os.Remove(filler)
	if err := d.Launch(ctx, spec); err != nil {
		t.Errorf("after room was made: %v", err)
	}
	if err := d.Reset(ctx); err != nil {
		t.Error(err)
	}
}
