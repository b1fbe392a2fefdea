package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// flightActivity is a scaling activity as the API and a replay tell of it.
type flightActivity struct {
	ActivityId, AutoScalingGroupName, Description, Cause, StatusCode string
	StartTime                                                        time.Time
	EndTime                                                          *time.Time
}

// flightReplay is what `billow sim replay --json` prints.
type flightReplay struct {
	Segments, Steps int
	Identical       bool
	Difference      string
	Notes           []string
	Activities      []flightActivity
}

// replay goes through a recording, which must give the same again.
func replay(t *testing.T, recording string) (r flightReplay) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "sim", "replay", "--json", recording)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if len(out) > 0 {
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatal(err)
		}
	}
	if err != nil || !r.Identical {
		t.Fatalf("the replay: %v, difference %s", err, r.Difference)
	}
	return r
}

// sameActivities wants everything that the API has told of in the replay, to the letter.
func sameActivities(t *testing.T, api, replayed []flightActivity) {
	t.Helper()
	have := map[string]string{}
	for _, a := range replayed {
		have[a.ActivityId] = a.text()
	}
	for _, a := range api {
		if a.EndTime != nil && have[a.ActivityId] != a.text() {
			t.Errorf("the API told of\n%s\nthe replay of\n%s", a.text(), have[a.ActivityId])
		}
	}
}

// ended counts what is over.
func ended(activities []flightActivity) (n int) {
	for _, a := range activities {
		if a.EndTime != nil {
			n++
		}
	}
	return n
}

func (a flightActivity) text() string {
	b, _ := json.Marshal([]string{a.AutoScalingGroupName, a.Description, a.Cause, a.StatusCode, a.StartTime.UTC().Format("15:04:05.000")})
	return string(b)
}

// TestTheDemoReplays holds the two worlds together: what a real application under real load made a group do, virtual time
// does again, from the inputs alone.
func TestTheDemoReplays(t *testing.T) { // alone: its load needs the processor
	need(t)
	dir := filepath.Join(t.TempDir(), "recording")
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "demo", "--plain", "--record", dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the demo: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "activities.json"))
	if err != nil {
		t.Fatal(err)
	}
	var told struct{ Activities []flightActivity }
	if err := json.Unmarshal(text, &told); err != nil || len(told.Activities) < 5 {
		t.Fatalf("%d activities: %v", len(told.Activities), err)
	}
	r := replay(t, dir)
	sameActivities(t, told.Activities, r.Activities)
	if len(r.Activities) != len(told.Activities) || len(r.Notes) > 0 || r.Segments != 1 {
		t.Errorf("%d activities of %d, %d segments, notes %v", len(r.Activities), len(told.Activities), r.Segments, r.Notes)
	}
	continued(t, dir, r.Activities[len(r.Activities)-1].StartTime.Add(2*time.Minute))
	size := int64(0)
	files, _ := filepath.Glob(filepath.Join(dir, "*.blw"))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			size += info.Size()
		}
	}
	t.Logf("%d steps in %d bytes", r.Steps, size)
}

// continued goes on from an instant with another target, for which fewer instances are enough.
func continued(t *testing.T, recording string, at time.Time) {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "cpu.json")
	if err := os.WriteFile(policy, []byte(`{"TargetValue": 95, "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"sim", "replay", recording, "--at", at.UTC().Format(time.RFC3339), "--policy", policy}
	out, err := exec.Command(binary, append(args, "--json")...).Output()
	type summary struct {
		Hours   float64 `json:"instance_hours"`
		Actions int     `json:"actions"`
	}
	var c struct {
		Target                  float64
		Happened, Same, Changed struct{ Summary summary }
	}
	if err != nil || json.Unmarshal(out, &c) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if c.Target != 50 || c.Happened.Summary.Actions < 3 || c.Same.Summary.Hours < 0.7*c.Happened.Summary.Hours || c.Same.Summary.Hours > 1.4*c.Happened.Summary.Hours ||
		c.Changed.Summary.Hours >= c.Same.Summary.Hours {
		t.Errorf("continued: %+v", c)
	}
	if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil || !strings.Contains(string(out), "What would have happened") {
		t.Errorf("continued: %v: %s", err, out)
	}
	t.Logf("instance-hours: %.2f happened, %.2f in the model, %.2f with another target", c.Happened.Summary.Hours, c.Same.Summary.Hours, c.Changed.Summary.Hours)
}

// TestAReplayOverAKill: the server is killed while its group changes and started again; the recording of both lives gives
// the same, also while the server runs.
func TestAReplayOverAKill(t *testing.T) {
	need(t)
	t.Parallel()
	s := start(t, "--driver", "sim", "--sim-boot", "200ms", "--time-scale", "120")
	s.newGroup("grp", 0, 20, 2, &types.RequestLaunchTemplateData{InstanceType: types.InstanceTypeT3Micro})
	change := func(sizes ...int32) {
		for _, n := range sizes {
			good(t, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: new("grp"), DesiredCapacity: &n}, plainly(s.autoscaling().SetDesiredCapacity))
		}
	}
	change(5, 1)
	s.awaitMembers("grp", 1)
	change(8, 3, 12) // some instances are launched and others not yet
	s.stop(syscall.SIGKILL)
	s.run()
	change(2, 9, 4)
	s.awaitMembers("grp", 4)
	told := s.flightActivities("grp")
	eventually(t, 10*time.Second, "the recording has it all", func() bool { return ended(replay(t, s.data).Activities) >= ended(told) })
	r := replay(t, s.data)
	sameActivities(t, told, r.Activities)
	if r.Segments != 2 || !strings.Contains(strings.Join(r.Notes, " "), "has no end") {
		t.Errorf("%d segments, notes %v", r.Segments, r.Notes)
	}
	s.stop(syscall.SIGTERM)
	s.run()
	s.stop(syscall.SIGTERM)
	again := replay(t, s.data)
	sameActivities(t, told, again.Activities)
	if again.Segments != 3 {
		t.Errorf("%d segments", again.Segments)
	}
	refuses(t, "no flight recording", nil, "sim", "replay", t.TempDir())
	s.run()
}

// flightActivities are a group's activities as the API tells of them now.
func (s *server) flightActivities(group string) (all []flightActivity) {
	s.t.Helper()
	text, err := json.Marshal(s.scalingActivities(group))
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}
