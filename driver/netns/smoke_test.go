package netns

import (
	"context"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/driver/drivertest"
)

func TestMain(m *testing.M) { drivertest.Main(m) }

func TestSmoke(t *testing.T) {
	d, err := New(Config{Dir: t.TempDir(), Rootless: os.Getenv("ROOTLESS") != ""})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	t.Log(d.Notes())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	defer d.Reset(ctx)
	spec := driver.Spec{ID: "i-1", PrivateIP: netip.MustParseAddr("172.31.5.10"), Subnet: netip.MustParsePrefix("172.31.0.0/20"),
		Hostname: "ip-172-31-5-10.ec2.internal",
		UserData: []byte("#!/bin/sh\nid; ls / /etc; cat /proc/mounts /etc/hosts; ls -la /root /dev; ip a; ip r; ps aux; df; cat /proc/self/cgroup\n/usr/local/bin/billow helper serve :80 &\n")}
	for range 5 {
		start := time.Now()
		if err := d.Launch(ctx, spec); err != nil {
			t.Error(err)
			b, _ := os.ReadFile(d.dir.Name() + "/keeper.log")
			t.Fatalf("%s", b)
		}
		t.Log("launch", time.Since(start))
		for range 1000 {
			c, err := d.Network().Dial(ctx, "tcp", "172.31.5.10:80")
			if err == nil {
				b := make([]byte, 100)
				n, _ := c.Read(b)
				t.Logf("%s", b[:n])
				c.Close()
				break
			}
			time.Sleep(time.Millisecond)
		}
		t.Log("reachable", time.Since(start))
		start = time.Now()
		code, err := d.Exec(ctx, "i-1", driver.ExecRequest{Args: []string{"sh", "-c", "grep Cap /proc/self/status; grep Sec /proc/self/status; mount -t tmpfs t /mnt; unshare -n true; exit 7"}, Stdout: os.Stdout, Stderr: os.Stderr})
		t.Log("exec", code, err, time.Since(start))
		us, err := d.Measure(ctx)
		t.Logf("%+v %v", us, err)
		start = time.Now()
		t.Log(<-d.Events())
		b, _ := d.Console(ctx, "i-1")
		t.Logf("%s", b)
		start = time.Now()
		if err := d.Stop(ctx, "i-1", false); err != nil {
			t.Error(err)
		}
		t.Log("stop", time.Since(start))
		start = time.Now()
		if err := d.Terminate(ctx, "i-1"); err != nil {
			t.Error(err)
		}
		t.Log("terminate", time.Since(start))
		spec.UserData = []byte("#!/bin/sh\n/usr/local/bin/billow helper serve :80 &\n")
	}
	start := time.Now()
	all, err := d.Inventory(ctx)
	t.Log(all, err, time.Since(start))
	b, _ := os.ReadFile(d.dir.Name() + "/keeper.log")
	t.Logf("%s", b)
}
