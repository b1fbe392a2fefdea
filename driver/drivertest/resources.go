package drivertest

import (
	"context"
	"testing"
	"time"

	"github.com/billow-cloud/billow/driver"
)

// usage reads the instance's counters.
func usage(t *testing.T, ctx context.Context, d driver.Driver, id string) driver.Usage {
	t.Helper()
	all, err := d.Measure(ctx)
	ok(t, err)
	for _, u := range all {
		if u.ID == id {
			return u
		}
	}
	t.Fatalf("%s is not measured", id)
	return driver.Usage{}
}

func (s suite) measure(t *testing.T) {
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, server("i-1", "172.31.5.10")))
	ok(t, d.Launch(ctx, plain("i-2", "172.31.5.11")))
	ask(t, ctx, d, "172.31.5.10:80")
	before, idle := usage(t, ctx, d, "i-1"), usage(t, ctx, d, "i-2")
	run(t, ctx, d, "i-1", s.kind.Program, "helper", "burn", "400ms")
	for range 20 {
		ask(t, ctx, d, "172.31.5.10:80")
	}
	sh(t, ctx, d, "i-1", "dd if=/dev/zero of=/root/file bs=1M count=8 conv=fsync 2>/dev/null")
	after, still := usage(t, ctx, d, "i-1"), usage(t, ctx, d, "i-2")
	if used := after.CPU - before.CPU; used < 350*time.Millisecond || used > 3*time.Second {
		t.Errorf("400 ms of burning count as %v", used)
	}
	if used := still.CPU - idle.CPU; used > 200*time.Millisecond {
		t.Errorf("the idle instance used %v", used)
	}
	if after.NetworkPacketsIn-before.NetworkPacketsIn < 20 || after.NetworkOut-before.NetworkOut < 20*30 || after.NetworkIn <= before.NetworkIn {
		t.Errorf("20 requests moved the network counters from %+v to %+v", before, after)
	}
	if after.DiskWrite-before.DiskWrite < 8<<20 {
		t.Errorf("8 MiB written count as %d bytes", after.DiskWrite-before.DiskWrite)
	}
	if after.Memory < 1<<20 || after.Memory > 1<<30 {
		t.Errorf("its memory is %d bytes", after.Memory)
	}
	if !after.At.After(before.At) || !after.Started.Equal(before.Started) {
		t.Errorf("the times are off: %+v, %+v", before, after)
	}
	ok(t, d.Reboot(ctx, "i-1"))
	if reset := usage(t, ctx, d, "i-1"); !reset.Started.After(after.Started) || reset.CPU >= after.CPU || reset.NetworkOut >= after.NetworkOut {
		t.Errorf("a new boot goes on from %+v to %+v", after, reset)
	}
	ok(t, d.Stop(ctx, "i-1", true))
	all, err := d.Measure(ctx)
	ok(t, err)
	if len(all) != 1 || all[0].ID != "i-2" {
		t.Errorf("measured are %+v", all)
	}
}

func (s suite) limitCPU(t *testing.T) {
	d, ctx := s.open(t)
	spec := plain("i-1", "172.31.5.10")
	spec.CPUs = 0.1
	ok(t, d.Launch(ctx, spec))
	event(t, d, "i-1", driver.Booted)
	before := usage(t, ctx, d, "i-1")
	run(t, ctx, d, "i-1", s.kind.Program, "helper", "burn", "100ms")
	after := usage(t, ctx, d, "i-1")
	share := float64(after.CPU-before.CPU) / float64(after.At.Sub(before.At))
	if share > 0.16 {
		t.Errorf("it used %.3f of a core, its share is 0.1", share)
	}
	if after.CPUs != spec.CPUs {
		t.Errorf("the share is reported as %v", after.CPUs)
	}
}

func (s suite) limitMemory(t *testing.T) {
	d, ctx := s.open(t)
	spec := plain("i-1", "172.31.5.10")
	spec.Memory = 64 << 20
	ok(t, d.Launch(ctx, spec))
	if code, output := run(t, ctx, d, "i-1", s.kind.Program, "helper", "fill", "16"); code != 0 {
		t.Errorf("16 MiB of 64 do not fit: %d, %s", code, output)
	}
	if code, output := run(t, ctx, d, "i-1", s.kind.Program, "helper", "fill", "256"); code != 137 {
		t.Errorf("256 MiB of 64: code %d, %s", code, output)
	}
	expectState(t, ctx, d, "i-1", driver.Running) // only the program is killed
	if got := usage(t, ctx, d, "i-1").MemoryLimit; got != spec.Memory {
		t.Errorf("the limit is reported as %d", got)
	}
}
