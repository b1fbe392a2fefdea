package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// simulate runs `billow sim` on the files of testdata/sim.
func simulate(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"sim"}, args...)...)
	cmd.Dir = "testdata/sim"
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	err = cmd.Run()
	return out.String(), failed.String(), err
}

// figures is what `billow sim --json` prints.
type figures struct {
	Notes    []string
	Outcomes []struct {
		Name, Group string
		From, To    time.Time
		Summary     struct {
			Requests float64 `json:"requests"`
			InTime   float64 `json:"in_time_share"`
			Hours    float64 `json:"instance_hours"`
			Optimum  float64 `json:"lower_bound_hours"`
			Cost     float64 `json:"cost"`
			Actions  int     `json:"actions"`
			Most     int     `json:"max_instances"`
		}
		Activities []struct{ Cause string }
	}
}

func simulated(t *testing.T, args ...string) figures {
	t.Helper()
	out, failed, err := simulate(t, append(args, "--json")...)
	if err != nil {
		t.Fatalf("%v: %s", err, failed)
	}
	var f figures
	if err := json.Unmarshal([]byte(out), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestSimRun: two JSON files as aws prints them and a CSV give a table, every activity, and a report in one file.
func TestSimRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page, minutes, picture, drawing := filepath.Join(dir, "report.html"), filepath.Join(dir, "minutes.csv"), filepath.Join(dir, "p.png"), filepath.Join(dir, "p.svg")
	args := []string{"run", "groups.json", "policies.json", "--load", "load.csv"}
	out, failed, err := simulate(t, append(args, "--activities", "--html", page, "--csv", minutes, "--png", picture, "--svg", drawing)...)
	if err != nil {
		t.Fatalf("%v: %s", err, failed)
	}
	for _, want := range []string{"web, 2026-05-04 00:00 to 2026-05-06 00:00 UTC", "Instance-hours", "In time", "triggered policy cpu50 changing the desired capacity",
		"load.csv: its values are 5 min apart", "groups.json:3: the launch template of web is not in the files: its instances are taken for m5.large",
		"one m5.large serves 8.84 requests per second, so that the peak of 86.7 needs 70 % of its MaxSize 20 at 70 % CPU"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) { // causes are wrapped
			t.Errorf("no %q in\n%.2000s", want, out)
		}
	}
	if failed != "" {
		t.Errorf("standard error, which is not a terminal: %s", failed)
	}
	for path, head := range map[string]string{page: "<!", minutes: "outcome,time,rate,desired", picture: "\x89PNG", drawing: "<?xml"} {
		data, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(strings.ToLower(string(data)), strings.ToLower(head)) {
			t.Errorf("%s begins with %.40q: %v", path, data, err)
		}
	}
	if data, _ := os.ReadFile(minutes); strings.Count(string(data), "\n") != 1+2*24*60 {
		t.Errorf("%d lines", strings.Count(string(data), "\n"))
	}
	f := simulated(t, append(args, "--activities")...)
	s := f.Outcomes[0].Summary
	if len(f.Outcomes) != 1 || f.Outcomes[0].Name != "web" || s.InTime < 0.99 || s.Hours < s.Optimum || s.Optimum < 100 || s.Actions < 10 || s.Most > 20 || len(f.Outcomes[0].Activities) < s.Actions {
		t.Errorf("%+v", s)
	}
	if want := s.Hours * 0.096; s.Cost < want-0.01 || s.Cost > want+0.01 {
		t.Errorf("%g instance-hours cost %g", s.Hours, s.Cost)
	}
	if math.Abs(s.Requests-6_660_804) > 1 {
		t.Errorf("%f requests, not all that the file has", s.Requests)
	}
	again, _, _ := simulate(t, append(args, "--activities", "--html", page, "--csv", minutes, "--png", picture, "--svg", drawing)...)
	if again != out {
		t.Error("a second run differs")
	}
}

// TestSimCompare: a variant in place of the policies, and the references, side by side.
func TestSimCompare(t *testing.T) {
	t.Parallel()
	f := simulated(t, "compare", "groups.json", "policies.json", "--load", "load.csv", "--variant", "seventy=cpu70.json", "--from", "2026-05-04 06:00", "--to", "2026-05-05 06:00")
	names := []string{}
	for _, o := range f.Outcomes {
		names = append(names, o.Name)
		if o.From.Hour() != 6 || o.To.Sub(o.From) != 24*time.Hour || o.Summary.Optimum != f.Outcomes[0].Summary.Optimum {
			t.Errorf("%+v", o)
		}
	}
	if got := strings.Join(names, ", "); !strings.HasPrefix(got, "web, seventy, fixed size ") || !strings.HasSuffix(got, ", Kubernetes HPA, GCP MIG, Nomad, KEDA, clairvoyant") {
		t.Error(got)
	}
	if f.Outcomes[1].Summary.Hours > 0.85*f.Outcomes[0].Summary.Hours {
		t.Errorf("a target of 70 %% takes %g instance-hours, one of 50 %% %g", f.Outcomes[1].Summary.Hours, f.Outcomes[0].Summary.Hours)
	}
	f = simulated(t, "compare", "groups.json", "policies.json", "--load", "web=load.csv", "--with", "hpa,optimum", "--target", "60", "--name", "as it is")
	if len(f.Outcomes) != 3 || f.Outcomes[0].Name != "as it is" || !strings.Contains(strings.Join(f.Notes, "\n"), "The references keep to 60 % CPU, between MinSize 2 and MaxSize 20") {
		t.Errorf("%+v", f)
	}
}

// TestSimRefused: what is wrong is said in one sentence, with file and line where there is one.
func TestSimRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	negative := file("negative.csv", "time,value\n2026-05-04 00:00:00,1\n2026-05-04 00:01:00,-1\n")
	zero := file("zero.json", "[{\"AutoScalingGroupName\": \"web\", \"PolicyName\": \"p\", \"PolicyType\": \"TargetTrackingScaling\",\n"+
		"\"TargetTrackingConfiguration\": {\"TargetValue\": 0, \"PredefinedMetricSpecification\": {\"PredefinedMetricType\": \"ASGAverageCPUUtilization\"}}}]")
	slow := file("world.json", "{\"deadline\": 0.5,\n\"instance_types\": {\"*\": {\"service_time\": {\"mean\": 2, \"cv\": 0}, \"concurrency\": 4}}}")
	wrong := file("wrong.json", "{\n\"boots\": 3}")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "groups.json", "policies.json", "--load", negative}, negative + ":3: -1 is negative; a load cannot be"},
		{[]string{"run", "groups.json", zero, "--load", "load.csv"}, zero + ":1: policy p of web: TargetValue must be greater than 0 and at most 2^360"},
		{[]string{"run", "policies.json", "--load", "load.csv"}, "policies.json:3: policy cpu50 is of the group web, which is not in the files; there is none"},
		{[]string{"run", "groups.json", "--load", "api=load.csv"}, "--load api=load.csv: there is no group api; there is web"},
		{[]string{"run", "groups.json", "--load", "load.csv", "--from", "2027-01-01"}, "--from 2027-01-01 is after the end of the load, which goes from 2026-05-04 00:00 to 2026-05-06 00:00 UTC"},
		{[]string{"run", "groups.json", "--load", "load.csv", "--from", "noon"}, "--from: noon is not a time; it is written 2006-01-02 15:04, which is in UTC (--zone), or 2006-01-02T15:04:05Z"},
		{[]string{"run", "groups.json", "--load", "load.csv", "--world", wrong}, wrong + `:2: a model has no field "boots"`},
		{[]string{"run", "groups.json", "--load", "load.csv", "--zone", "Mars"}, `--zone: there is no time zone "Mars"`},
		{[]string{"run", "groups.json", "--load", "load.csv", "--html", filepath.Join(dir, "no", "r.html")}, filepath.Join(dir, "no", "r.html") + " cannot be written: no such file or directory"},
		{[]string{"compare", "groups.json", "--load", "load.csv", "--with", "swarm"}, "--with swarm: there are fixed, hpa, gcp, nomad, keda, optimum, and none"},
		{[]string{"compare", "groups.json", "--load", "load.csv", "--variant", "cpu70.json"}, "--variant cpu70.json: it must be NAME=FILE"},
	} {
		_, failed, err := simulate(t, c.args...)
		if err == nil || strings.TrimSpace(failed) != "billow: "+c.want {
			t.Errorf("%v\n%s\nwant %s", c.args, failed, c.want)
		}
	}
	// A world that cannot serve the load at any size: the run says so.
	out, failed, err := simulate(t, "run", "groups.json", "policies.json", "--load", "load.csv", "--world", slow)
	if err != nil || !strings.Contains(out, "no number of instances can serve this load in time") {
		t.Errorf("%v %s\n%s", err, failed, out)
	}
}

// TestSimLeavesNothing: a run that cannot be leaves no file behind, and one that cannot write says so in one line.
func TestSimLeavesNothing(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "r.html")
	if _, failed, err := simulate(t, "run", "groups.json", "--load", "load.csv", "--from", "2026-05-05", "--to", "2026-05-04", "--html", page); err == nil ||
		strings.TrimSpace(failed) != "billow: --from 2026-05-05 is not before --to 2026-05-04" {
		t.Errorf("%v: %s", err, failed)
	}
	if _, err := os.Stat(page); err == nil {
		t.Error("there is a report of a run that was not")
	}
	if _, failed, err := simulate(t, "run", "groups.json", "policies.json", "--load", "load.csv", "--csv", "/dev/full"); err == nil ||
		strings.TrimSpace(failed) != "billow: /dev/full cannot be written: no space left on device" {
		t.Errorf("%v: %s", err, failed)
	}
}

// TestSimTells: what a user would wonder about is told beside the figures.
func TestSimTells(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	model := filepath.Join(dir, "world.json")
	text := `{"failures": {"events": [{"at": 60, "for": 60, "kind": "zone-down", "zone": "f"}, {"at": 9e6, "count": 1, "kind": "kill"}]}}`
	if err := os.WriteFile(model, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, failed, err := simulate(t, "run", "groups.json", "--load", "load.csv", "--world", model, "--from", "2026-05-03", "--to", "2026-05-05")
	if err != nil {
		t.Fatal(failed)
	}
	for _, want := range []string{"groups.json:3: web has neither policies nor schedules in the files: it stays at 5.",
		model + ":1: event 1 (zone-down) is in the zone f, where no group is", model + ":1: event 2 (kill) is after the end of the run",
		"The load goes from 2026-05-04 00:00 to 2026-05-06 00:00 UTC; in the rest of the run there is none.", "Lower bound: with fewer instance-hours nobody has 99 % in time"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"{\n\"boot\": {\"mean\": -3}}", model + ":2: the boot mean is -3; it must be from 0 to 1e+06"},
		{`{"instance_types": {"c5.large": {"service_time": {"mean": 1}, "concurrency": 4}}}`, model + `: it has no instance type m5.large, which group web uses; add it to instance_types, or "*" for any`},
	} {
		if err := os.WriteFile(model, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, failed, err := simulate(t, "run", "groups.json", "--load", "load.csv", "--world", model); err == nil || strings.TrimSpace(failed) != "billow: "+c.want {
			t.Errorf("%v: %s", err, failed)
		}
	}
	for _, c := range []struct{ flag, want string }{
		{"--scale=1e300", "load.csv: times 1e+300 it is 8.67e+301 requests per second, which is too large for a load"}, {"--scale=0", "--scale must be above 0"},
		{"--slot=36h", "--slot must be at most an hour: within a slot the load does not change"},
	} {
		if _, failed, err := simulate(t, "run", "groups.json", "--load", "load.csv", c.flag); err == nil || strings.TrimSpace(failed) != "billow: "+c.want {
			t.Errorf("%v: %s", err, failed)
		}
	}
}
