package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// The benchmarks print the figures that the built binary must reach, as "value, bound", with something measured in the
// same run beside it, so that a slow machine is told from a slow program. A missed bound is said and does not fail: what
// a machine that is busy with other things shows is no defect. The figures of the control plane alone are in
// cloud/region.

// figure prints one figure beside its bound.
func figure(b *testing.B, name, unit string, value, bound float64) {
	b.Helper()
	verdict := "met"
	if value > bound {
		verdict = "MISSED"
	}
	b.Logf("%s: %.3f %s, at most %g: %s", name, value, unit, bound, verdict)
	b.ReportMetric(value, name+"-"+unit)
}

// beside prints what a figure is to be seen beside.
func beside(b *testing.B, name, unit string, value float64) {
	b.Helper()
	b.Logf("%s: %.3f %s", name, value, unit)
	b.ReportMetric(value, name+"-"+unit)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(all []time.Duration) time.Duration { return quantile(all, 0.5) }

func quantile(all []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(q*float64(len(sorted)-1))]
}

// asRoot skips a benchmark of the namespace driver where it would measure something else.
func asRoot(b *testing.B) {
	b.Helper()
	if testing.Short() {
		b.Skip("not part of the short run")
	}
	if os.Geteuid() != 0 {
		b.Skipf("%s is a figure of the namespace driver as root", b.Name())
	}
}

// sdk configures the Go SDK as a user does.
func (s *server) sdk() aws.Config {
	env := map[string]string{}
	for _, line := range s.env {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	return aws.Config{
		Region: env["AWS_REGION"], BaseEndpoint: aws.String(s.endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient:  &http.Client{Transport: wholeRequests{}},
	}
}

// must unwraps the answer of a call that has to succeed.
func must[T any](b *testing.B, call func(context.Context) (T, error)) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := call(ctx)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// processes lists a process and its descendants: the server, its keeper, and the processes of instances.
func processes(root int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		f := statFields(path)
		if len(f) < 2 {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		parent, _ := strconv.Atoi(f[1])
		children[parent] = append(children[parent], pid)
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// statFields are those of /proc/PID/stat from the process state on, which follows the program's name.
func statFields(path string) []string {
	text, _ := os.ReadFile(path)
	_, rest, _ := bytes.Cut(text, []byte(") "))
	return strings.Fields(string(rest))
}

// processorTime is what a process has used so far, in steps of 10 ms.
func processorTime(pid int) time.Duration {
	f := statFields(fmt.Sprintf("/proc/%d/stat", pid))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory sums a line of smaps_rollup over processes, in MB: "Rss:", or "Pss:", which divides shared pages by their users.
func memory(line string, pids ...int) (megabytes float64) {
	for _, pid := range pids {
		megabytes += kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), line) / 1000
	}
	return megabytes
}

// kilobytes reads a line such as "Pss:   120 kB"; those are units of 1,024 bytes, the result is not.
func kilobytes(path, name string) float64 {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, _ := strconv.ParseFloat(f[1], 64)
			return n * 1.024
		}
	}
	return 0
}

// forkExec is what starting the smallest program costs here: /bin/true, from fork to exit.
func forkExec(b *testing.B) time.Duration {
	b.Helper()
	var took []time.Duration
	for range 20 {
		began := time.Now()
		if err := exec.Command("/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	return median(took)
}

// freePort finds a port that nothing listens on.
func freePort(b testing.TB) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
