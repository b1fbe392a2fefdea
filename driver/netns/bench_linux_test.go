package netns

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/driver"
)

// BenchmarkLaunch measures what a user waits for: from the call of Launch to a
// TCP connection with a program that user data starts. Run with -benchtime 50x.
func BenchmarkLaunch(b *testing.B) {
	d, ctx := benchDriver(b)
	var launched, reachable, ended []time.Duration
	for n := 0; b.Loop(); n++ {
		spec := benchSpec(n)
		start := time.Now()
		if err := d.Launch(ctx, spec); err != nil {
			b.Fatal(err)
		}
		launched = append(launched, time.Since(start))
		reach(b, ctx, d, spec)
		reachable = append(reachable, time.Since(start))
		b.StopTimer()
		start = time.Now()
		if err := d.Terminate(ctx, spec.ID); err != nil {
			b.Fatal(err)
		}
		ended = append(ended, time.Since(start))
		b.StartTimer()
	}
	report(b, "launched", launched)
	report(b, "reachable", reachable)
	report(b, "terminated", ended)
}

// BenchmarkAlive launches 200 instances, eight at a time, and measures memory:
// of the processes (shared pages divided by their users) and of the host.
func BenchmarkAlive(b *testing.B) {
	const count = 200
	for b.Loop() {
		d, ctx := benchDriver(b)
		before := available(b)
		start := time.Now()
		slots, failed := make(chan struct{}, 8), make(chan error, count)
		for n := range count {
			slots <- struct{}{}
			go func() {
				spec := benchSpec(n)
				spec.UserData = nil
				failed <- d.Launch(ctx, spec)
				<-slots
			}()
		}
		for range count {
			if err := <-failed; err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms/200")
		keepers, inits := processes(d.dir.Name())
		b.ReportMetric(float64(proportional(inits))/1024/float64(len(inits)), "MB-init")
		b.ReportMetric(float64(proportional(keepers))/1024, "MB-keeper")
		b.ReportMetric(float64(before-available(b))/1024/count, "MB-host/instance")
		start = time.Now()
		if _, err := d.Measure(ctx); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms-measure")
		start = time.Now()
		if silent, err := d.Check(ctx); err != nil || len(silent) > 0 {
			b.Fatal(silent, err)
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms-check")
		start = time.Now()
		if err := d.Reset(ctx); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-reset")
	}
}

// BenchmarkDial measures a connection into an instance, beside what the
// connection itself costs.
func BenchmarkDial(b *testing.B) {
	d, ctx := benchDriver(b)
	spec := benchSpec(0)
	if err := d.Launch(ctx, spec); err != nil {
		b.Fatal(err)
	}
	reach(b, ctx, d, spec)
	for b.Loop() {
		conn, err := d.Network().Dial(ctx, "tcp", spec.PrivateIP.String()+":80")
		if err != nil {
			b.Fatal(err)
		}
		conn.Close()
	}
}

func benchDriver(b *testing.B) (*Driver, context.Context) {
	d, err := New(Config{Dir: b.TempDir()})
	if err != nil {
		b.Skip(err)
	}
	ctx := context.Background()
	b.Cleanup(func() {
		d.Reset(ctx)
		d.Close()
	})
	return d, ctx
}

func benchSpec(n int) driver.Spec {
	return driver.Spec{
		ID: fmt.Sprintf("i-%017d", n), PrivateIP: netip.AddrFrom4([4]byte{172, 31, byte(1 + n/200), byte(10 + n%200)}),
		Subnet: netip.MustParsePrefix("172.31.0.0/20"), Hostname: fmt.Sprintf("ip-%d.ec2.internal", n), CPUs: 0.5, Memory: 512 << 20,
		UserData: []byte("#!/bin/sh\nexec /usr/local/bin/billow helper serve :80\n"),
	}
}

func reach(b *testing.B, ctx context.Context, d *Driver, spec driver.Spec) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Microsecond) {
		ctx, cancel := context.WithTimeout(ctx, 25*time.Millisecond)
		conn, err := d.Network().Dial(ctx, "tcp", spec.PrivateIP.String()+":80")
		cancel()
		if err == nil {
			conn.Close()
			return
		}
	}
	b.Fatal("not reachable")
}

func report(b *testing.B, name string, all []time.Duration) {
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms-"+name)
	b.ReportMetric(float64(all[len(all)*9/10].Microseconds())/1000, "ms-"+name+"-p90")
}

// proportional sums the memory of processes, in KB.
func proportional(pids []int) (sum int) {
	for _, pid := range pids {
		sum += field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
	}
	return sum
}

func available(b *testing.B) int {
	os.WriteFile("/proc/sys/vm/drop_caches", []byte("2"), 0) // unused dentries and inodes; fails without root
	return field("/proc/meminfo", "MemAvailable:")
}

func field(path, name string) int {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}
