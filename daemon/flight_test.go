package daemon

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/driver/sim"
	"github.com/billow-cloud/billow/flight"
	"github.com/billow-cloud/billow/sim/replay"
	"github.com/billow-cloud/billow/wire"
)

// replayed goes through a data directory's recording, in which nothing may differ.
func replayed(t *testing.T, data string) *replay.Result {
	t.Helper()
	files, err := flight.Files(data)
	if err != nil {
		t.Fatal(err)
	}
	r, err := replay.Replay(files, replay.Options{Build: flight.ThisBuild()})
	if err != nil {
		t.Fatal(err)
	}
	if r.Difference != nil {
		t.Errorf("the replay differs %v", r.Difference)
	}
	if diff := cmp.Diff(r.Recorded, r.Replayed); diff != "" {
		t.Errorf("other activities:\n%s", diff)
	}
	return r
}

// busy makes a group and calls of all kinds, some wrong, some about instances that are gone, from several clients.
func (w *world) busy(name string, calls int) {
	w.t.Helper()
	must[asapi.CreateLaunchConfigurationOutput](w, autoscaling.Name, "CreateLaunchConfiguration", &asapi.CreateLaunchConfigurationInput{
		LaunchConfigurationName: &name, ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.micro"),
	})
	must[asapi.CreateAutoScalingGroupOutput](w, autoscaling.Name, "CreateAutoScalingGroup", &asapi.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, LaunchConfigurationName: &name, MinSize: new(int32(1)), MaxSize: new(int32(6)), AvailabilityZones: []string{"us-east-1a", "us-east-1b"},
	})
	var clients sync.WaitGroup
	for client := range 3 {
		rng := rand.New(rand.NewPCG(uint64(client), 1))
		clients.Go(func() {
			for range calls {
				switch n := int32(rng.IntN(8)); rng.IntN(6) {
				case 0, 1:
					do[asapi.SetDesiredCapacityOutput](w, autoscaling.Name, "SetDesiredCapacity", &asapi.SetDesiredCapacityInput{AutoScalingGroupName: &name, DesiredCapacity: &n})
				case 2:
					w.launch()
				case 3:
					for id := range w.instanceStates() {
						do[ec2api.TerminateInstancesOutput](w, ec2.Name, "TerminateInstances", &ec2api.TerminateInstancesInput{InstanceIds: []string{id}})
						break
					}
				case 4:
					do[ec2api.CreateTagsOutput](w, ec2.Name, "CreateTags", &ec2api.CreateTagsInput{Resources: []string{"i-1"}, Tags: []ec2api.Tag{{Key: new("k")}}})
				default:
					do[asapi.DescribeAutoScalingGroupsOutput](w, autoscaling.Name, "DescribeAutoScalingGroups", &asapi.DescribeAutoScalingGroupsInput{})
				}
			}
		})
	}
	clients.Wait()
}

func (w *world) activities() (ids []string) {
	w.t.Helper()
	for _, a := range must[asapi.DescribeScalingActivitiesOutput](w, autoscaling.Name, "DescribeScalingActivities", &asapi.DescribeScalingActivitiesInput{}).Activities {
		ids = append(ids, *a.ActivityId+" "+*a.StatusCode+" "+*a.Cause)
	}
	return ids
}

// TestARecordingReplaysToTheSame: over restarts, a reset, rotations, instant effects and such that take their time; it can be
// read while the server runs, too.
func TestARecordingReplaysToTheSame(t *testing.T) {
	for _, instant := range []bool{true, false} {
		t.Run(fmt.Sprint("instant ", instant), func(t *testing.T) {
			c := Config{Auth: AuthNone, Instant: instant, Data: t.TempDir(), TimeScale: 300, Flight: 8 << 20}
			w := begin(t, c, nil)
			w.busy("a", 40)
			w.stop()
			w = begin(t, c, nil)
			w.busy("b", 20)
			w.post("/_billow/reset", http.StatusOK)
			w.busy("c", 20)
			want := w.activities()
			w.await("what has happened is in the files", func() bool { return len(replayed(t, c.Data).Recorded) >= len(want) })
			w.stop()
			r := replayed(t, c.Data)
			if r.Segments != 3 || r.Steps < 200 || len(r.Notes) > 0 || len(r.Recorded) < len(want) {
				t.Errorf("%d segments, %d steps, %d activities of %d, notes %v", r.Segments, r.Steps, len(r.Recorded), len(want), r.Notes)
			}
			told := map[string]bool{}
			for _, a := range r.Replayed {
				told[a.ID+" "+a.StatusCode+" "+a.Cause] = true
			}
			for _, a := range want {
				if !told[a] && !strings.Contains(a, "InProgress") && !strings.Contains(a, "PreInService") {
					t.Errorf("the API told of %s", a)
				}
			}
			files, _ := flight.Files(c.Data)
			for _, f := range files {
				if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v %v", f, info.Mode(), err)
				}
			}
		})
	}
}

// TestARecordingBeginsInTheMiddleOfALife: only the last segments are left, and the first of them begins with a snapshot of
// a cloud that goes on meanwhile.
func TestARecordingBeginsInTheMiddleOfALife(t *testing.T) {
	c := Config{Auth: AuthNone, Instant: true, Data: t.TempDir(), TimeScale: 300, Flight: 320 << 10}
	w := begin(t, c, nil)
	oldest := func() string {
		files, err := flight.Files(c.Data)
		if err != nil {
			return ""
		}
		return filepath.Base(files[0])
	}
	w.busy("a", 5)
	for n := range 10_000 {
		if n%50 == 0 && oldest() > "00000003" {
			break
		}
		desired, text := int32(n%4+1), hex.EncodeToString(random(120))
		must[asapi.SetDesiredCapacityOutput](w, autoscaling.Name, "SetDesiredCapacity", &asapi.SetDesiredCapacityInput{AutoScalingGroupName: new("a"), DesiredCapacity: &desired})
		do[ec2api.CreateTagsOutput](w, ec2.Name, "CreateTags", &ec2api.CreateTagsInput{Resources: []string{text}})
	}
	w.stop()
	r := replayed(t, c.Data)
	if r.Segments < 1 || len(r.Notes) > 0 || oldest() <= "00000003" {
		t.Errorf("%d segments from %s on, notes %v", r.Segments, oldest(), r.Notes)
	}
	entries, err := os.ReadDir(filepath.Join(c.Data, flight.Folder))
	total := int64(0)
	for _, e := range entries {
		info, _ := e.Info()
		total += info.Size()
	}
	t.Logf("%d segments, %d steps, %d bytes", r.Segments, r.Steps, total)
	if err != nil || len(entries) > 10 {
		t.Errorf("%d files: %v", len(entries), err)
	}
}

// TestWhatIsLeftOutEndsASegment: a recorder that cannot keep up leaves steps out, says so, and goes on with a new snapshot.
func TestWhatIsLeftOutEndsASegment(t *testing.T) {
	c := Config{Auth: AuthNone, Instant: true, Data: t.TempDir(), TimeScale: 300, Flight: 8 << 20}
	w := begin(t, c, nil)
	w.busy("a", 5)
	w.loop.mu.Lock()
	w.loop.flight.lose("the recorder fell behind")
	w.loop.flight.after(time.Now(), noted{err: errors.New("lost")}, cloud.Output{}) // nothing is taken until the next segment
	w.loop.mu.Unlock()
	w.busy("b", 5)
	w.stop()
	if r := replayed(t, c.Data); r.Segments != 2 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "fell behind") {
		t.Errorf("%d segments, notes %v", r.Segments, r.Notes)
	}
}

// TestATornRecordingIsCutOff: a server that was killed leaves a segment without an end, perhaps in the middle of a record.
func TestATornRecordingIsCutOff(t *testing.T) {
	c := Config{Auth: AuthNone, Instant: true, Data: t.TempDir(), TimeScale: 300, Flight: 8 << 20}
	w := begin(t, c, nil)
	w.busy("a", 20)
	w.stop()
	files, err := flight.Files(c.Data)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], whole[:len(whole)-len(whole)/3], 0o600); err != nil {
		t.Fatal(err)
	}
	w = begin(t, c, nil)
	w.busy("b", 20)
	w.stop()
	if r := replayed(t, c.Data); r.Segments != 2 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "has no end") {
		t.Errorf("%d segments, notes %v", r.Segments, r.Notes)
	}
}

// TestOtherRecordings: what another build has recorded, and what somebody has tampered with.
func TestOtherRecordings(t *testing.T) {
	c := Config{Auth: AuthNone, Instant: true, Data: t.TempDir(), TimeScale: 300, Flight: 8 << 20}
	w := begin(t, c, nil)
	w.busy("a", 10)
	w.stop()
	files, err := flight.Files(c.Data)
	if err != nil {
		t.Fatal(err)
	}
	other := replay.Options{Build: flight.Build{Version: "v9", ID: "0123456789abcdef"}}
	var refused *replay.ErrBuild
	if _, err := replay.Replay(files, other); !errors.As(err, &refused) || !strings.Contains(err.Error(), "--force") {
		t.Errorf("another build: %v", err)
	}
	other.Force = true
	if r, err := replay.Replay(files, other); err != nil || r.Difference != nil {
		t.Errorf("another build, forced: %v", err)
	}
	if _, err := flight.Files(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no flight recording") {
		t.Errorf("an empty directory: %v", err)
	}
	other.To = refusedFrom(t, files, other)
	if r, err := replay.Replay(files, other); err != nil || r.Steps != 1 {
		t.Errorf("up to the first step: %v", err)
	}
}

func refusedFrom(t *testing.T, files []string, o replay.Options) time.Time {
	r, err := replay.Replay(files, o)
	if err != nil {
		t.Fatal(err)
	}
	return r.From
}

// TestAServerWithoutRoomForARecordingGoesOn: the recorder's folder cannot be written.
func TestAServerWithoutRoomForARecordingGoesOn(t *testing.T) {
	c := Config{Auth: AuthNone, Instant: true, Data: t.TempDir(), TimeScale: 300, Flight: 8 << 20}
	if err := os.WriteFile(filepath.Join(c.Data, flight.Folder), []byte("not a folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := begin(t, c, nil)
	w.busy("a", 10)
	w.stop()
	if text, err := os.ReadFile(filepath.Join(c.Data, flight.Folder)); err != nil || !bytes.Equal(text, []byte("not a folder")) {
		t.Errorf("%q %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(c.Data, "billow.db")); errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// BenchmarkStep is what a call costs whoever makes it, with and without the recorder.
func BenchmarkStep(b *testing.B) {
	for _, keep := range []int64{0, 64 << 20} {
		c := Config{Auth: AuthNone, Instant: true, Data: b.TempDir(), TimeScale: 1, Flight: keep}
		c.Listen, c.Modelled, c.DNSSuffix, c.Log = "127.0.0.1:0", true, "localhost", slog.New(slog.DiscardHandler)
		c.Driver = func() (driver.Driver, error) { return sim.New(sim.Config{Dir: filepath.Join(c.Data, "sim")}) }
		d, err := Open(c)
		if err != nil {
			b.Fatal(err)
		}
		scope := cloud.Scope{Account: wire.DefaultAccount, Region: wire.DefaultRegion}
		call := func(operation string, in any) cloud.Call {
			return cloud.Call{Scope: scope, RequestID: "0b0f1d4e-1f5e-4b5c-8a5e-0123456789ab", Service: ec2.Name, Operation: operation, In: in}
		}
		out, _ := d.loop.step(call("RunInstances", &ec2api.RunInstancesInput{
			ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.micro"), MinCount: new(int32(10)), MaxCount: new(int32(10)),
		}))
		id := *out.Reply.(*ec2api.RunInstancesOutput).Instances[0].InstanceId
		for name, in := range map[string]cloud.Input{
			"DescribeInstances": call("DescribeInstances", &ec2api.DescribeInstancesInput{InstanceIds: []string{id}}),
			"CreateTags":        call("CreateTags", &ec2api.CreateTagsInput{Resources: []string{id}, Tags: []ec2api.Tag{{Key: new("k"), Value: new("v")}}}),
			"tick":              cloud.Tick{},
		} {
			b.Run(fmt.Sprintf("%s/recorded=%t", name, keep > 0), func(b *testing.B) {
				for b.Loop() {
					d.loop.step(in)
				}
			})
		}
		d.release()
	}
}
