package sim

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/driver/drivertest"
)

func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Kind{Name: "sim", New: func(dir string) (driver.Driver, error) { return New(Config{Dir: dir}) }})
}

func spec(id, address string) driver.Spec {
	return driver.Spec{ID: id, PrivateIP: netip.MustParseAddr(address), Subnet: netip.MustParsePrefix("172.31.0.0/20")}
}

func TestAdoption(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	d, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		d.Launch(ctx, spec("i-1", "172.31.0.10")), d.Launch(ctx, spec("i-2", "172.31.0.11")), d.Launch(ctx, spec("i-3", "172.31.0.12")),
		d.Stop(ctx, "i-2", false), d.CreateImage(ctx, "ami-1", "i-2"), d.Terminate(ctx, "i-3"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	before, _ := d.Inventory(ctx)
	for range 2 { // once as after a crash, once as after a clean end
		if d, err = New(Config{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		after, _ := d.Inventory(ctx)
		if len(after.Instances) != 2 || after.Instances[0].State != driver.Running || after.Instances[1].State != driver.Stopped ||
			!after.Instances[0].Started.Equal(before.Instances[0].Started) || len(after.Images) != 1 {
			t.Errorf("found %+v, want %+v", after, before)
		}
		if err := d.Launch(ctx, spec("i-4", "172.31.0.10")); err == nil {
			t.Error("the address of an adopted instance was given away")
		}
		d.Close()
	}
}

// TestAStartOnAFullDiskLosesNothing: the new file of records takes the old one's place only when it is whole.
func TestAStartOnAFullDiskLosesNothing(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	d, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Launch(ctx, spec("i-1", "172.31.0.10")); err != nil {
		t.Fatal(err)
	}
	d.Close()
	next := filepath.Join(dir, "instances.jsonl.new")
	if err := os.Symlink("/dev/full", next); err != nil {
		t.Fatal(err)
	}
	if d, err := New(Config{Dir: dir}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v, %v", d, err)
	}
	os.Remove(next)
	if d, err = New(Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if all, _ := d.Inventory(ctx); len(all.Instances) != 1 {
		t.Errorf("found %+v", all)
	}
}

func TestBootTakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := New(Config{Boot: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		ctx, start := context.Background(), time.Now()
		if err := d.Launch(ctx, spec("i-1", "172.31.0.10")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("the boot took %v", took)
		}
	})
}

func TestNobodyAnswers(t *testing.T) {
	d, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Network().Dial(context.Background(), "tcp", "172.31.0.10:80"); !errors.Is(err, ErrNoProcesses) {
		t.Error(err)
	}
	l, err := d.Network().Listen("tcp", "169.254.169.254:80")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error)
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	l.Close()
	if err := <-accepted; err == nil {
		t.Error("somebody called")
	}
}
