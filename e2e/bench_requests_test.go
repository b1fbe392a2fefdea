package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sys/unix"
)

// BenchmarkRequest is the processor time that the server uses per API request, with the sim driver: signature checked,
// answer sent and, for a change, on the disk. The requests are made and signed once and sent again and again over one
// keep-alive connection, one after the other, so that the client's own work is not in it (nor would it be: the client is
// another process). ns/op is the latency that the client sees.
//
// Beside each: what a bare net/http server uses that reads the same request and answers the same bytes. The rest of the
// figure is Billow's.
func BenchmarkRequest(b *testing.B) {
	if testing.Short() {
		b.Skip("not part of the short run")
	}
	b.Run("DescribeRegions", func(b *testing.B) {
		s := start(b, "--driver", "sim")
		s.perRequest(b, 0.08, 1, s.sign(b, "ec2", "2016-11-15", "DescribeRegions"))
	})
	b.Run("DescribeInstances", func(b *testing.B) {
		s := start(b, "--driver", "sim")
		client := ec2.NewFromConfig(s.sdk())
		var id string
		for range 10 {
			id = launchMany(b, client, 100)
		}
		s.perRequest(b, 0.1, 1, s.sign(b, "ec2", "2016-11-15", "DescribeInstances", "InstanceId.1", id))
	})
	b.Run("DescribeAutoScalingGroups", func(b *testing.B) {
		s := start(b, "--driver", "sim")
		makeGroups(b, s)
		s.perRequest(b, 0.6, 1, s.sign(b, "autoscaling", "2011-01-01", "DescribeAutoScalingGroups"))
	})
	for _, clients := range []int{1, 8} {
		b.Run(fmt.Sprintf("RunInstances-%d-clients", clients), func(b *testing.B) {
			s := start(b, "--driver", "sim")
			client := ec2.NewFromConfig(s.sdk())
			image := builtIn(b, client)
			subnets := must(b, func(ctx context.Context) (*ec2.DescribeSubnetsOutput, error) {
				return client.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
			}).Subnets
			var requests [][]byte
			for _, subnet := range subnets { // in turn: a default subnet has 4,091 addresses
				requests = append(requests, s.sign(b, "ec2", "2016-11-15", "RunInstances", "ImageId", image, "InstanceType", "t3.micro",
					"MinCount", "1", "MaxCount", "1", "SubnetId", *subnet.SubnetId))
			}
			s.perRequest(b, 0.3, clients, requests...)
			beside(b, "fdatasync", "ms", milliseconds(syncs(b)))
		})
	}
}

// launchMany runs instances and gives the ID of one of them.
func launchMany(b *testing.B, client *ec2.Client, n int32) string {
	b.Helper()
	image := builtIn(b, client)
	out := must(b, func(ctx context.Context) (*ec2.RunInstancesOutput, error) {
		return client.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: aws.String(image), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(n), MaxCount: aws.Int32(n),
		})
	})
	return *out.Instances[n/2].InstanceId
}

// makeGroups makes 20 groups with 20 instances each, and waits until all are in service.
func makeGroups(b *testing.B, s *server) {
	b.Helper()
	const groups, members = 20, 20
	config := s.sdk()
	client, instances := autoscaling.NewFromConfig(config), ec2.NewFromConfig(config)
	must(b, func(ctx context.Context) (*ec2.CreateLaunchTemplateOutput, error) {
		return instances.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("template"), LaunchTemplateData: &types.RequestLaunchTemplateData{
			ImageId: aws.String(builtIn(b, instances)), InstanceType: types.InstanceTypeT3Micro,
		}})
	})
	for i := range groups {
		must(b, func(ctx context.Context) (*autoscaling.CreateAutoScalingGroupOutput, error) {
			return client.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
				AutoScalingGroupName: aws.String(fmt.Sprintf("group-%d", i)), LaunchTemplate: templateNamed("template"),
				MinSize: aws.Int32(0), MaxSize: aws.Int32(2 * members), DesiredCapacity: aws.Int32(members),
				AvailabilityZones: []string{"us-east-1a", "us-east-1b", "us-east-1c"},
			})
		})
	}
	eventually(b, 30*time.Second, "all instances are in service", func() bool {
		out := must(b, func(ctx context.Context) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
			return client.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
		})
		n := 0
		for _, g := range out.AutoScalingGroups {
			for _, i := range g.Instances {
				if i.LifecycleState == "InService" {
					n++
				}
			}
		}
		return n == groups*members
	})
}

// sign makes the bytes of a request of the query protocols, parameters given as names and values.
func (s *server) sign(b *testing.B, service, version, operation string, parameters ...string) []byte {
	b.Helper()
	form := "Action=" + operation + "&Version=" + version
	for i := 0; i < len(parameters); i += 2 {
		form += "&" + parameters[i] + "=" + url.QueryEscape(parameters[i+1])
	}
	r, err := http.NewRequest(http.MethodPost, s.endpoint+"/", strings.NewReader(form))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	config := s.sdk()
	credentials, err := config.Credentials.Retrieve(context.Background())
	if err == nil {
		sum := sha256.Sum256([]byte(form))
		err = v4.NewSigner().SignHTTP(context.Background(), credentials, r, hex.EncodeToString(sum[:]), service, config.Region, time.Now())
	}
	var out bytes.Buffer
	if err == nil {
		err = r.Write(&out)
	}
	if err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// perRequest sends requests to the server in turn, and the same number to a bare server, and prints what both used.
func (s *server) perRequest(b *testing.B, bound float64, clients int, requests ...[]byte) {
	b.Helper()
	const share = 64 // requests at a time, spread over the clients
	server := s.cmd.Process.Pid
	all := connect(b, strings.TrimPrefix(s.endpoint, "http://"), clients)
	answer := all.exchange(b, 100, requests) // warm, and checked
	idle(b, server)
	before, sent := processorTime(server), 0
	for b.Loop() {
		all.exchange(b, share, requests)
		sent += share
	}
	own := processorTime(server) - before
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sent), "ns/op")

	bare, address := bareServer(b, answer)
	all = connect(b, address, clients)
	all.exchange(b, 100, requests)
	before = processorTime(bare)
	for n := 0; n < sent; n += share {
		all.exchange(b, share, requests)
	}
	other := processorTime(bare) - before
	figure(b, "processor", "ms", milliseconds(own)/float64(sent), bound)
	beside(b, "bare-http", "ms", milliseconds(other)/float64(sent))
	b.Logf("%d requests, %d bytes of answer", sent, len(answer))
}

// connections are kept alive.
type connections []connection

type connection struct {
	net.Conn
	in *bufio.Reader
}

func connect(b *testing.B, address string, n int) (all connections) {
	b.Helper()
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		all = append(all, connection{conn, bufio.NewReaderSize(conn, 1<<20)})
	}
	return all
}

// exchange sends n requests, in turn on each connection and side by side over all of them, and gives an answer's body.
func (all connections) exchange(b *testing.B, n int, requests [][]byte) (answer []byte) {
	b.Helper()
	failed := make([]error, len(all))
	var group sync.WaitGroup
	for c := range all {
		group.Go(func() {
			for i := c; i < n && failed[c] == nil; i += len(all) {
				body, err := all[c].exchange(requests[i%len(requests)])
				if failed[c] = err; c == 0 {
					answer = body
				}
			}
		})
	}
	group.Wait()
	for _, err := range failed {
		if err != nil {
			b.Fatal(err)
		}
	}
	return answer
}

func (c connection) exchange(request []byte) ([]byte, error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, body)
	}
	return body, err
}

// bareVariable makes this test binary a bare server that answers what is in the file it names.
const bareVariable = "BILLOW_BENCH_ANSWER"

func init() {
	file := os.Getenv(bareVariable)
	if file == "" {
		return
	}
	answer, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
		w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
		w.Write(answer)
	}))
	os.Exit(1)
}

func bareServer(b *testing.B, answer []byte) (pid int, address string) {
	b.Helper()
	file := filepath.Join(b.TempDir(), "answer")
	if err := os.WriteFile(file, answer, 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), bareVariable+"="+file)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	address, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return cmd.Process.Pid, strings.TrimSpace(address)
}

// syncs is the median time in which this file system makes a block of 4 KiB durable.
func syncs(b *testing.B) time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "block"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	var took []time.Duration
	for range 100 {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	return median(took)
}
