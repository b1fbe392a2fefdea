package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sys/unix"
)

// BenchmarkLaunch is the time from the call of RunInstances to a TCP connection with a program in the instance, as
// another instance of the same network sees it: the program is started by user data, and the other instance tries to
// connect, over and over, from the moment at which the call has told the address. Fifty launches in a row; all stay.
//
// Beside it: the answer of the call; the instance's own kernel answering at its address, which is when a program that
// is there already could be reached; and what the same program needs on the host, from its start to its first
// connection.
func BenchmarkLaunch(b *testing.B) {
	asRoot(b)
	s := start(b, "--driver", "netns")
	client := ec2.NewFromConfig(s.sdk())
	from := enter(b, s, launch(b, client, ""))
	const app = "#!/bin/sh\nbillow demo-app --listen :80 >/dev/null 2>&1 &\n"
	var answered, address, accepted []time.Duration
	for b.Loop() {
		for range 50 {
			began := time.Now()
			i := launch(b, client, app)
			answered = append(answered, time.Since(began))
			kernel, program := from.reach(b, *i.PrivateIpAddress+":80")
			address, accepted = append(address, kernel.Sub(began)), append(accepted, program.Sub(began))
		}
	}
	figure(b, "reachable", "ms", milliseconds(median(accepted)), 40)
	beside(b, "reachable-p90", "ms", milliseconds(quantile(accepted, 0.9)))
	beside(b, "answered", "ms", milliseconds(median(answered)))
	beside(b, "address", "ms", milliseconds(median(address)))
	beside(b, "program-alone", "ms", milliseconds(programAlone(b)))
	beside(b, "fork-exec-true", "ms", milliseconds(forkExec(b)))
	b.ReportMetric(0, "ns/op")
}

// launch runs one instance of the built-in image.
func launch(b *testing.B, client *ec2.Client, userData string) types.Instance {
	b.Helper()
	out := must(b, func(ctx context.Context) (*ec2.RunInstancesOutput, error) {
		in := &ec2.RunInstancesInput{
			ImageId: aws.String(builtIn(b, client)), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		}
		if userData != "" {
			in.UserData = aws.String(base64.StdEncoding.EncodeToString([]byte(userData)))
		}
		return client.RunInstances(ctx, in)
	})
	return out.Instances[0]
}

var images = map[*ec2.Client]string{}

// builtIn is an image that is always there.
func builtIn(b *testing.B, client *ec2.Client) string {
	b.Helper()
	if id := images[client]; id != "" {
		return id
	}
	out := must(b, func(ctx context.Context) (*ec2.DescribeImagesOutput, error) {
		return client.DescribeImages(ctx, &ec2.DescribeImagesInput{
			Owners: []string{"amazon"}, Filters: []types.Filter{{Name: aws.String("architecture"), Values: []string{"x86_64"}}},
		})
	})
	if len(out.Images) == 0 {
		b.Fatal("there is no built-in image")
	}
	images[client] = *out.Images[0].ImageId
	return images[client]
}

// running waits until that many instances run.
func running(b *testing.B, client *ec2.Client, n int) {
	b.Helper()
	eventually(b, time.Minute, fmt.Sprintf("%d instances run", n), func() bool {
		out := must(b, func(ctx context.Context) (*ec2.DescribeInstancesOutput, error) {
			return client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{
				Filters: []types.Filter{{Name: aws.String("instance-state-name"), Values: []string{"running"}}},
			})
		})
		found := 0
		for _, r := range out.Reservations {
			found += len(r.Instances)
		}
		return found == n
	})
}

// vantage makes connections from inside an instance: it has a thread of its own in the instance's network.
type vantage struct{ orders chan func() }

// enter puts a thread into the network of an instance.
func enter(b *testing.B, s *server, i types.Instance) vantage {
	b.Helper()
	var link string
	eventually(b, 10*time.Second, "programs can be run in "+*i.InstanceId, func() bool {
		out, err := s.exec(*i.InstanceId, "readlink", "/proc/self/ns/net")
		link = strings.TrimSpace(out)
		return err == nil
	})
	namespaces, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, path := range namespaces {
		if to, err := os.Readlink(path); err != nil || to != link {
			continue
		}
		ns, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		v, entered := vantage{make(chan func())}, make(chan error)
		go func() {
			runtime.LockOSThread() // for good: the thread ends with this goroutine
			defer ns.Close()
			entered <- unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			for order := range v.orders {
				order()
			}
		}()
		if err := <-entered; err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { close(v.orders) })
		return v
	}
	b.Fatalf("no process is in the network %s of %s", link, *i.InstanceId)
	return vantage{}
}

// reach tries to connect until it works, and tells when the instance first answered at all, be it with a refusal, and
// when it accepted. An attempt is given up after 10 ms: one that began before the address was there would only try again
// after a second, since its connect call does not hear that there is no way yet.
func (v vantage) reach(b *testing.B, address string) (answered, accepted time.Time) {
	b.Helper()
	done := make(chan struct{})
	v.orders <- func() {
		defer close(done)
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
			conn, err := net.DialTimeout("tcp4", address, 10*time.Millisecond)
			if err == nil {
				accepted = time.Now()
				conn.Close()
			}
			if answered.IsZero() && (err == nil || errors.Is(err, syscall.ECONNREFUSED)) {
				answered = time.Now()
			}
			if err == nil {
				return
			}
		}
	}
	<-done
	if accepted.IsZero() {
		b.Fatalf("%s cannot be reached", address)
	}
	return answered, accepted
}

// programAlone is the median time from the start of the demo's application on the host to its first connection.
func programAlone(b *testing.B) time.Duration {
	b.Helper()
	var took []time.Duration
	for range 10 {
		address := freePort(b)
		cmd := exec.Command(binary, "demo-app", "--listen", address)
		began := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		for end := began.Add(10 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
			if conn, err := net.Dial("tcp4", address); err == nil {
				took = append(took, time.Since(began))
				conn.Close()
				break
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	if len(took) == 0 {
		b.Fatal("the application does not start")
	}
	return median(took)
}

// BenchmarkAlive is the memory of 200 instances that are alive at once and run nothing: the growth of all processes of
// the cloud (server, keeper, and the init of each instance), divided by 200. Beside it: what the whole host has less to
// give, which counts the kernel's part too (network namespaces, mounts, control groups) and everything else that
// happens on the host; and the time that it takes to launch them all.
func BenchmarkAlive(b *testing.B) {
	asRoot(b)
	const count, batch = 200, 20
	s := start(b, "--driver", "netns")
	client := ec2.NewFromConfig(s.sdk())
	image := builtIn(b, client)
	for b.Loop() {
		server := s.cmd.Process.Pid
		before, free := memory("Pss:", processes(server)...), available()
		began := time.Now()
		for range count / batch {
			must(b, func(ctx context.Context) (*ec2.RunInstancesOutput, error) {
				return client.RunInstances(ctx, &ec2.RunInstancesInput{
					ImageId: aws.String(image), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(batch), MaxCount: aws.Int32(batch),
				})
			})
		}
		running(b, client, count)
		took := time.Since(began)
		all := processes(server)
		if len(all) < count+2 {
			b.Fatalf("%d processes for %d instances", len(all), count)
		}
		figure(b, "each", "MB", (memory("Pss:", all...)-before)/count, 5)
		beside(b, "each-host", "MB", (free-available())/count)
		beside(b, "programs-before", "MB", before)
		beside(b, "launch-all", "s", took.Seconds())
	}
	b.ReportMetric(0, "ns/op")
}

// available is what the host could still give to programs, in MB.
func available() float64 {
	os.WriteFile("/proc/sys/vm/drop_caches", []byte("2"), 0) // unused dentries and inodes; fails without root
	return kilobytes("/proc/meminfo", "MemAvailable:") / 1000
}
