package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// journal is what clients were told, and what they have asked for without hearing of it.
type journal struct {
	mu        sync.Mutex
	instances map[string]string // by ID: the tag that the instance was given, "" until that was acknowledged
	published float64           // sum of the values that were acknowledged
	tried     float64           // and of all that were sent
}

// TestKilledUnderChanges: the server is killed in the middle of changing calls, again and again. Everything that was
// acknowledged is there afterwards, and no instance is there that nobody was told of, but for the calls in flight.
func TestKilledUnderChanges(t *testing.T) {
	need(t)
	t.Parallel()
	s := start(t, "--driver", "sim")
	told := &journal{instances: map[string]string{}}
	const clients = 4
	for round := range 4 {
		var acknowledged atomic.Int64
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		image := s.image()
		for range clients {
			ec2Client, cwClient := s.ec2(), s.cloudwatch()
			running.Go(func() { told.change(ctx, ec2Client, cwClient, image, &acknowledged) })
		}
		eventually(t, 30*time.Second, "there is a stream of changes", func() bool { return acknowledged.Load() > int64(20+20*round) })
		s.stop(syscall.SIGKILL)
		cancel()
		running.Wait()
		s.run()
		told.check(s, clients*(round+1))
	}
}

// change makes changes one after the other, and notes what was acknowledged, until the server does not answer any more.
func (j *journal) change(ctx context.Context, instances *ec2.Client, metrics *cloudwatch.Client, image string, count *atomic.Int64) {
	for n := range 10_000 {
		out, err := instances.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: &image, InstanceType: types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1)),
		})
		if err != nil {
			return
		}
		id, value := *out.Instances[0].InstanceId, fmt.Sprint(n)
		j.mu.Lock()
		j.instances[id] = ""
		j.tried++
		j.mu.Unlock()
		if _, err := instances.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: new("n"), Value: &value}}}); err != nil {
			return
		}
		j.mu.Lock()
		j.instances[id] = value
		j.mu.Unlock()
		if _, err := metrics.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{
			Namespace: new("Durable"), MetricData: []cwtypes.MetricDatum{{MetricName: new("N"), Value: new(1.0)}},
		}); err != nil {
			return
		}
		j.mu.Lock()
		j.published++
		j.mu.Unlock()
		count.Add(1)
	}
}

func (j *journal) check(s *server, inFlight int) {
	s.t.Helper()
	there := map[string]string{}
	for _, i := range s.instances() {
		tag := ""
		if len(i.Tags) > 0 {
			tag = *i.Tags[0].Value
		}
		there[*i.InstanceId] = tag
		if i.State.Name != types.InstanceStateNameRunning {
			s.t.Errorf("%s is %s", *i.InstanceId, i.State.Name)
		}
	}
	for id, tag := range j.instances {
		if have, ok := there[id]; !ok || tag != "" && have != tag {
			s.t.Errorf("acknowledged: %s with tag %q; found %t with %q", id, tag, ok, have)
		}
	}
	if extra := len(there) - len(j.instances); extra > inFlight {
		s.t.Errorf("%d instances that nobody was told of", extra)
	}
	points := good(s.t, &cloudwatch.GetMetricStatisticsInput{
		Namespace: new("Durable"), MetricName: new("N"), Period: new(int32(60)), Statistics: []cwtypes.Statistic{cwtypes.StatisticSum},
		StartTime: new(time.Now().Add(-time.Hour)), EndTime: new(time.Now().Add(time.Hour)),
	}, plainly(s.cloudwatch().GetMetricStatistics)).Datapoints
	sum := 0.0
	for _, p := range points {
		sum += *p.Sum
	}
	if sum < j.published || sum > j.tried {
		s.t.Errorf("metric data: %g was acknowledged, %g was sent, %g is there", j.published, j.tried, sum)
	}
}

// boots are the running instances of a server as the host sees them: the process 1 of each, by ID.
func (s *server) boots() map[string]string {
	s.t.Helper()
	seen := map[string]string{}
	for _, i := range s.instances() {
		if i.State.Name != types.InstanceStateNameRunning {
			continue
		}
		seen[*i.InstanceId] = s.boot(*i.InstanceId)
	}
	return seen
}

// boot is the start of an instance's process 1, in clock ticks since the host's boot, and its network.
func (s *server) boot(id string) string {
	s.t.Helper()
	out, err := s.exec(id, "sh", "-c", "cut -d' ' -f22 /proc/1/stat; readlink /proc/self/ns/net")
	if err != nil {
		s.t.Errorf("%s: %v: %s", id, err, out)
	}
	return out
}

// TestInstancesOutliveTheServer: after a kill and after an orderly end they run on, and the next server adopts them as they
// are; those whose launch was under way are there once.
func TestInstancesOutliveTheServer(t *testing.T) {
	need(t)
	t.Parallel()
	s := start(t)
	var ids []string
	for range 2 {
		ids = append(ids, s.launch("#!/bin/sh\necho once >> /var/log/boots\n"))
	}
	for _, id := range ids {
		s.await(id, types.InstanceStateNameRunning)
	}
	keeper, before, clock := keeperOf(t, s.data), s.boots(), s.cloudTime(0)

	// Killed with launches under way: some were acknowledged.
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	var running sync.WaitGroup
	client, image := s.ec2(), s.image()
	for range 6 {
		running.Go(func() {
			out, err := client.RunInstances(context.Background(), &ec2.RunInstancesInput{
				ImageId: &image, InstanceType: types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1)),
			})
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			acknowledged[*out.Instances[0].InstanceId] = true
		})
	}
	eventually(t, 20*time.Second, "some launches are acknowledged", func() bool { mu.Lock(); defer mu.Unlock(); return len(acknowledged) >= 2 })
	s.stop(syscall.SIGKILL)
	running.Wait()
	s.run()
	known := map[string]bool{}
	eventually(t, 20*time.Second, "all launches have ended well", func() bool {
		for _, i := range s.instances() {
			known[*i.InstanceId] = true
			if i.State.Name != types.InstanceStateNameRunning {
				return false
			}
		}
		return true
	})
	for id := range acknowledged {
		if !known[id] {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	if len(known) > 8 {
		t.Errorf("there are %d instances, 8 were asked for", len(known))
	}
	after := s.boots()
	for _, id := range ids {
		if before[id] != after[id] {
			t.Errorf("%s was not adopted but started again: process 1 was %q, is %q", id, before[id], after[id])
		}
	}
	if now := s.cloudTime(0); now < clock {
		t.Errorf("the cloud's clock went from %s back to %s", clock, now)
	}

	// An orderly end.
	s.stop(syscall.SIGTERM)
	if pid := keeperOf(t, s.data); pid != keeper {
		t.Errorf("the keeper was process %d and is %d", keeper, pid)
	}
	s.run()
	last := s.boots()
	for id, was := range after {
		if is := last[id]; is != was {
			t.Errorf("%s after an orderly end: process 1 was %q, is %q", id, was, is)
		}
	}
	if out, err := s.exec(ids[0], "cat", "/var/log/boots"); err != nil || out != "once\n" {
		t.Errorf("user data ran %q (%v)", out, err)
	}
}

// TestGroupsGoOnAfterAKill: the server is killed in the middle of a scale-out, and one instance while it is down.
func TestGroupsGoOnAfterAKill(t *testing.T) {
	need(t)
	t.Parallel()
	s := start(t, "--time-scale", "60")
	s.newGroup("web", 1, 6, 2, &types.RequestLaunchTemplateData{InstanceType: types.InstanceTypeT3Micro})
	first := s.awaitMembers("web", 2)
	before := s.boots()
	good(t, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: new("web"), DesiredCapacity: new(int32(5))}, plainly(s.autoscaling().SetDesiredCapacity))
	s.stop(syscall.SIGKILL)

	var victim, survivor string
	for id := range first {
		if victim == "" {
			victim = id
		} else {
			survivor = id
		}
	}
	killInstance(t, s.data, before[victim])
	s.run()
	last := s.awaitMembers("web", 5)
	if _, there := last[victim]; there {
		t.Errorf("%s, which was killed while the server was down, is still in service", victim)
	}
	if _, there := last[survivor]; !there || s.boots()[survivor] != before[survivor] {
		t.Errorf("%s was not adopted: it is in service %t, its process 1 was %q and is %q", survivor, there, before[survivor], s.boots()[survivor])
	}
	var causes []string
	for _, a := range s.scalingActivities("web") {
		causes = append(causes, *a.Cause)
	}
	if !slices.ContainsFunc(causes, func(c string) bool { return strings.Contains(c, "taken out of service in response to an EC2") }) {
		t.Errorf("no activity says why the killed one was replaced: %q", causes)
	}
	running := 0
	for _, i := range s.instances() {
		if i.State.Name == types.InstanceStateNameRunning {
			running++
		}
	}
	if running != 5 {
		t.Errorf("%d instances run, the group wants 5", running)
	}
}

// killInstance kills process 1 of an instance, as signalInstance tells it.
func killInstance(t testing.TB, data, boot string) {
	t.Helper()
	signalInstance(t, data, boot, syscall.SIGKILL)
}

// signalInstance sends process 1 of an instance a signal, told by when it was started and its network (see boots).
func signalInstance(t testing.TB, data, boot string, signal syscall.Signal) {
	t.Helper()
	lines := strings.Fields(boot)
	for _, pid := range processes(keeperOf(t, data)) {
		network, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if f := statFields(fmt.Sprintf("/proc/%d/stat", pid)); len(lines) == 2 && len(f) > 19 && f[19] == lines[0] && network == lines[1] {
			if err := syscall.Kill(pid, signal); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no process is %q", boot)
}

// TestFullDisk: while there is no room, changes are refused, questions are answered, and nothing that was acknowledged is
// lost; with room all goes on.
func TestFullDisk(t *testing.T) {
	need(t)
	t.Parallel()
	disk := smallDisk(t, 4<<10)
	s := startIn(t, disk+"/data", "--driver", "sim", "--time-scale", "600")
	image, client := s.image(), s.ec2()
	launch := func() (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		out, err := client.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: &image, InstanceType: types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1)),
		})
		if err != nil {
			return "", err
		}
		return *out.Instances[0].InstanceId, nil
	}
	acknowledged := map[string]bool{}
	full := fill(t, disk)
	var refused error
	for range 5000 {
		id, err := launch()
		if err != nil {
			refused = err
			break
		}
		acknowledged[id] = true
	}
	if errorCode(refused) != "ServiceUnavailable" || !strings.Contains(fmt.Sprint(refused), "full") {
		t.Fatalf("on a full disk: %v", refused)
	}
	if began, n := time.Now(), len(s.instances()); n < len(acknowledged) || time.Since(began) > 3*time.Second {
		t.Errorf("meanwhile %d of %d instances are described, within %v", n, len(acknowledged), time.Since(began))
	}
	s.stop(syscall.SIGKILL) // what was acknowledged is on the disk although it is full
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	s.run()
	client = s.ec2()
	check := func() {
		t.Helper()
		there := map[string]bool{}
		for _, i := range s.instances() {
			there[*i.InstanceId] = true
		}
		for id := range acknowledged {
			if !there[id] {
				t.Errorf("%s was acknowledged and is lost", id)
			}
		}
	}
	check()

	full = fill(t, disk)
	for range 5000 {
		if _, refused = launch(); refused != nil {
			break
		}
	}
	if refused == nil {
		t.Fatal("the disk did not get full again")
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "launches are taken again", func() bool {
		id, err := launch()
		if err == nil {
			acknowledged[id] = true
		}
		return err == nil
	})
	check()
}

// TestOrderlyEndUnderLoad: SIGTERM while calls come in ends the server at once and well; what was acknowledged is there, and
// a program that somebody runs in an instance ends with it.
func TestOrderlyEndUnderLoad(t *testing.T) {
	need(t)
	t.Parallel()
	s := start(t)
	id := s.launch("")
	s.await(id, types.InstanceStateNameRunning)
	program := s.program(context.Background(), id, nil, "sh", "-c", "echo begun; exec sleep 876")
	var out buffer
	program.Stdout = &out
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the program runs", func() bool { return out.String() == "begun\n" })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var mu sync.Mutex
	tagged := 0
	var load sync.WaitGroup
	for worker := range 4 {
		client := s.ec2()
		load.Go(func() {
			for n := 0; ; n++ {
				_, err := client.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: new(fmt.Sprint("w", worker)), Value: new(fmt.Sprint(n))}}})
				if err != nil {
					return
				}
				mu.Lock()
				tagged++
				mu.Unlock()
			}
		})
	}
	eventually(t, 20*time.Second, "there is load", func() bool { mu.Lock(); defer mu.Unlock(); return tagged > 50 })
	began := time.Now()
	process := s.cmd
	s.stop(syscall.SIGTERM)
	if took := time.Since(began); took > 5*time.Second || process.ProcessState.ExitCode() != 0 {
		t.Errorf("it took %v to end with code %d: %s", took, process.ProcessState.ExitCode(), s.log)
	}
	load.Wait()
	if err := program.Wait(); err == nil {
		t.Error("exec ended well although its server went away")
	}
	if strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("it complained: %s", s.log)
	}
	s.run()
	sum := 0
	for _, tag := range s.instance(id).Tags {
		n := 0
		fmt.Sscan(*tag.Value, &n)
		sum += n + 1
	}
	if sum < tagged || sum > tagged+4 {
		t.Errorf("%d tags were acknowledged, %d calls show", tagged, sum)
	}
	if out, err := s.exec(id, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"); err != nil || strings.Contains(out, "sleep 876") {
		t.Errorf("the program lives on: %v %s", err, out)
	}
}

// TestTheHostGoesDown: what keeps the instances dies, with the server and without it. Instances come back from their disks
// (EC-IN-06), as after a crash of the host.
func TestTheHostGoesDown(t *testing.T) {
	need(t)
	t.Parallel()
	s := start(t)
	id := s.launch("#!/bin/sh\necho once >> /root/boots\n")
	s.await(id, types.InstanceStateNameRunning)
	eventually(t, 10*time.Second, "user data has run", func() bool {
		out, err := s.exec(id, "cat", "/root/boots")
		return err == nil && out == "once\n"
	})
	for _, withServer := range []bool{false, true} {
		before := s.boots()[id]
		keeper := keeperOf(t, s.data)
		if withServer {
			s.stop(syscall.SIGKILL)
		}
		syscall.Kill(keeper, syscall.SIGKILL)
		if withServer {
			s.run()
		}
		eventually(t, 20*time.Second, "it has been started again", func() bool {
			out, err := s.exec(id, "sh", "-c", "cut -d' ' -f22 /proc/1/stat; readlink /proc/self/ns/net")
			return err == nil && out != before && s.instance(id).State.Name == types.InstanceStateNameRunning
		})
		if got := s.shell(t, id, "cat /root/boots"); got != "once" {
			t.Errorf("its disk after a crash: %q", got)
		}
		if got := s.shell(t, id, "curl -sS -m 10 http://169.254.169.254/latest/meta-data/instance-id"); got != id {
			t.Errorf("metadata after a crash: %q", got)
		}
	}
}

// TestLaunchOnAFullDisk: there is room for rows, and none for the files of an instance. The group's activity says why, the
// server lives, and with room the group gets its instance.
func TestLaunchOnAFullDisk(t *testing.T) {
	need(t)
	t.Parallel()
	disk := smallDisk(t, 256<<10) // the server puts a copy of itself there, for its instances
	s := startIn(t, disk+"/data", "--time-scale", "300")
	var st syscall.Statfs_t
	// From here on the store has all the files that it needs.
	good(t, &ec2.CreateKeyPairInput{KeyName: new("first")}, plainly(s.ec2().CreateKeyPair))
	if err := syscall.Statfs(disk, &st); err != nil {
		t.Fatal(err)
	}
	files := func(most uint64) {
		t.Helper()
		if err := syscall.Mount("billow-e2e", disk, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("nr_inodes=%d", most)); err != nil {
			t.Skipf("%s needs to limit the number of files: %v", t.Name(), err)
		}
	}
	files(st.Files - st.Ffree)
	s.newGroup("web", 1, 1, 1, &types.RequestLaunchTemplateData{InstanceType: types.InstanceTypeT3Micro})
	var why string
	eventually(t, 20*time.Second, "a launch has failed", func() bool {
		for _, a := range s.scalingActivities("web") {
			if a.StatusCode == astypes.ScalingActivityStatusCodeFailed {
				why = *a.StatusMessage
				return true
			}
		}
		return false
	})
	if !strings.Contains(why, "The disk of the data directory is full") {
		t.Errorf("the activity failed with %q", why)
	}
	files(st.Files)
	s.awaitMembers("web", 1)
	for id := range s.members("web") {
		s.shell(t, id, "true")
	}
}
