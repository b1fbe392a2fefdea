package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// BenchmarkStart is the time from the start of a server on an empty store to the first 200 of its health page, and what
// the server (with its keeper) then holds in memory when nothing happens. RSS counts pages that server and keeper share
// twice, PSS once.
//
// "alone" is the sim driver in a root directory that holds the binary and nothing else: it needs no other program, no
// library and no file of the system.
func BenchmarkStart(b *testing.B) {
	if testing.Short() {
		b.Skip("not part of the short run")
	}
	b.Run("netns", func(b *testing.B) {
		asRoot(b)
		benchStart(b, "netns", "")
	})
	b.Run("sim", func(b *testing.B) { benchStart(b, "sim", "") })
	b.Run("alone", func(b *testing.B) {
		asRoot(b)
		root := b.TempDir()
		program, err := os.ReadFile(binary)
		if err == nil {
			err = os.WriteFile(filepath.Join(root, "billow"), program, 0o755)
		}
		if err != nil {
			b.Fatal(err)
		}
		benchStart(b, "sim", root)
	})
}

func benchStart(b *testing.B, driver, root string) {
	var healthy []time.Duration
	var rss, pss float64
	n := 0
	run := func(rest func(pid int)) {
		n++
		healthy = append(healthy, startOnce(b, driver, root, n, rest))
	}
	for b.Loop() {
		for range 20 {
			run(func(int) {})
		}
	}
	run(func(pid int) {
		idle(b, pid)
		all := processes(pid)
		rss, pss = memory("Rss:", all...), memory("Pss:", all...)
	})
	figure(b, "healthy", "ms", milliseconds(median(healthy)), 300)
	beside(b, "healthy-worst", "ms", milliseconds(quantile(healthy, 1)))
	figure(b, "idle-RSS", "MB", rss, 60)
	beside(b, "idle-PSS", "MB", pss)
	beside(b, "fork-exec-true", "ms", milliseconds(forkExec(b)))
	b.ReportMetric(0, "ns/op")
}

// startOnce starts a server on an empty directory, in a root directory of its own if one is given, calls rest, and ends
// the server.
func startOnce(b *testing.B, driver, root string, n int, rest func(pid int)) (healthy time.Duration) {
	b.Helper()
	address, data, program := freePort(b), filepath.Join(b.TempDir(), "data"), binary
	if root != "" {
		data, program = fmt.Sprintf("/data%d", n), "/billow"
	}
	cmd := exec.Command(program, "serve", "--listen", address, "--data", data, "--driver", driver)
	if root != "" {
		cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", []string{}, &syscall.SysProcAttr{Chroot: root}
	}
	var log buffer
	cmd.Stderr = &log
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if root == "" {
			if out, err := exec.Command(binary, "destroy", "--data", data).CombinedOutput(); err != nil {
				b.Errorf("destroy: %v: %s", err, out)
			}
		}
	}()
	for end := began.Add(10 * time.Second); healthy == 0; time.Sleep(500 * time.Microsecond) {
		if answer, err := client.Get("http://" + address + "/_billow/health"); err == nil {
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				healthy = time.Since(began)
			}
		}
		if time.Now().After(end) {
			b.Fatalf("the server is not healthy: %s", &log)
		}
	}
	rest(cmd.Process.Pid)
	return healthy
}

// idle waits until a process uses no processor time to speak of for a second.
func idle(b *testing.B, pid int) {
	b.Helper()
	eventually(b, 20*time.Second, "the server is idle", func() bool {
		before := processorTime(pid)
		time.Sleep(time.Second) // the span that is looked at
		return processorTime(pid)-before <= 20*time.Millisecond
	})
}
