package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/billow-cloud/billow/sim"
)

const (
	webGroup = `{"AutoScalingGroups": [{"AutoScalingGroupName": "web", "MinSize": 1, "MaxSize": 10, "DesiredCapacity": 2,
		"AvailabilityZones": ["eu-west-1a", "eu-west-1b"], "LaunchTemplate": {"LaunchTemplateName": "web"}}]}`
	webPolicy = `{"AutoScalingGroupName": "web", "PolicyName": "cpu", "PolicyType": "TargetTrackingScaling", "TargetTrackingConfiguration":
		{"TargetValue": 50, "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}}`
)

// job is what `billow sim run` reads of a group, a policy, a load, and flags.
func job(t *testing.T, load string, flags ...string) (*simJob, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"groups.json": webGroup, "policy.json": webPolicy, "load": load} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var in simInput
	parser, err := kong.New(&in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{filepath.Join(dir, "groups.json"), filepath.Join(dir, "policy.json"), "--load", filepath.Join(dir, "load")}, flags...)); err != nil {
		t.Fatal(err)
	}
	return in.read()
}

// TestPercentOfAFile: what a file says that its unit is, is as good as --unit.
func TestPercentOfAFile(t *testing.T) {
	const text = `{"Label": "CPUUtilization", "Datapoints": [{"Timestamp": "2026-05-04T10:01:00Z", "Average": 250, "Unit": "Percent"},
		{"Timestamp": "2026-05-04T10:00:00Z", "Average": 500, "Unit": "Percent"}]}`
	without, err := job(t, text)
	if err != nil {
		t.Fatal(err)
	}
	with, err := job(t, text, "--unit", "percent")
	if err != nil {
		t.Fatal(err)
	}
	a, b := without.worldOf("web").Types["t3.medium"].PerSecond(), with.worldOf("web").Types["t3.medium"].PerSecond()
	if a != percentOf || a != b || without.loads["web"].Peak() != 500 {
		t.Errorf("an instance serves %v, with --unit %v, of %v", a, b, without.loads["web"].Peak())
	}
	if !strings.Contains(strings.Join(without.notes, "\n"), "the work of one instance") {
		t.Error(without.notes)
	}
}

// TestSeed: the model's seed decides unless there is a flag.
func TestSeed(t *testing.T) {
	const load = "2026-05-04 10:00:00,100\n2026-05-04 10:01:00,100\n"
	model := filepath.Join(t.TempDir(), "world.json")
	if err := os.WriteFile(model, []byte(`{"seed": 7}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags []string
		want  uint64
	}{
		{nil, 1}, {[]string{"--seed", "5"}, 5}, {[]string{"--world", model}, 7}, {[]string{"--world", model, "--seed", "0"}, 0},
	} {
		j, err := job(t, load, c.flags...)
		if err != nil {
			t.Fatal(err)
		}
		if s := j.scenario("", j.setup); s.Seed != c.want || j.worldOf("web").Seed != c.want {
			t.Errorf("%v: seeds %d and %d, want %d", c.flags, s.Seed, j.worldOf("web").Seed, c.want)
		}
	}
}

// TestServiceTime: the world of an access log has requests that last as long as the log says.
func TestServiceTime(t *testing.T) {
	line := func(at, took string) string {
		return "http 2026-05-04T10:" + at + ".000000Z app/web/1 10.0.0.1:1 10.0.0.2:80 0.001 " + took + " 0.000 200 200 5 257 \"GET http://x/ HTTP/1.1\" - - -\n"
	}
	text := line("00:01", "0.020") + line("00:02", "0.030") + line("01:01", "-1")
	for _, c := range []struct {
		flags []string
		mean  float64
		per   float64
		want  string
	}{
		{nil, 0.025, 40, "one t3.medium serves 40 requests per second, that is one at a time; a request takes 0.025 s as the access log says"},
		{[]string{"--per-instance", "200"}, 0.025, 200, "a request takes 0.025 s as the access log says"},
		{[]string{"--per-instance", "10"}, 0.1, 10, "a request takes 0.1 s (the access log says 0.025 s, but one at a time that would be more than 10 a second)"},
	} {
		j, err := job(t, text, c.flags...)
		if err != nil {
			t.Fatal(err)
		}
		kind := j.worldOf("web").Types["t3.medium"]
		if kind.ServiceTime.Mean != c.mean || kind.PerSecond() != c.per || !strings.Contains(strings.Join(j.notes, "\n"), c.want) {
			t.Errorf("%v: %+v\n%s\nwant %s", c.flags, kind, strings.Join(j.notes, "\n"), c.want)
		}
	}
}

// TestNothingServed: a fleet that dies while it boots takes few hours, and is no saving.
func TestNothingServed(t *testing.T) {
	model := filepath.Join(t.TempDir(), "world.json")
	if err := os.WriteFile(model, []byte(`{"failures": {"per_instance_hour": 10000}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	j, err := job(t, "2026-05-04 10:00:00,6000\n2026-05-04 10:01:00,6000\n2026-05-04 10:02:00,6000\n", "--world", model)
	if err != nil {
		t.Fatal(err)
	}
	plan, why := j.optimum("web")
	if why == nil || !strings.Contains(why.Error(), "no number of them can be kept in service") {
		t.Error(why)
	}
	all, err := sim.Run(j.scenario("", j.setup))
	if err != nil {
		t.Fatal(err)
	}
	j.judge(&all[0], j.setup, plan)
	if s := all[0].Summary; s.AboveBound != nil || s.InTime > 0 {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(strings.Join(j.notes, "\n"), "web serves nothing: none of its requests is answered, so that its instance-hours are no saving.") {
		t.Error(j.notes)
	}
}

// TestZoneOfFlags: --from and --to are in the zone that the load's times are in.
func TestZoneOfFlags(t *testing.T) {
	j, err := job(t, "2026-05-04 10:00:00,1\n2026-05-04 10:01:00,1\n2026-05-04 10:02:00,1\n", "--zone", "Europe/Berlin", "--from", "2026-05-04 10:01", "--to", "2026-05-04T08:02:00Z")
	if err != nil {
		t.Fatal(err)
	}
	if from := time.Date(2026, 5, 4, 8, 1, 0, 0, time.UTC); !j.from.Equal(from) || !j.to.Equal(from.Add(time.Minute)) {
		t.Errorf("from %v to %v", j.from, j.to)
	}
}

// TestReferencesHaveAPlan: the instances of the plan stand beside every outcome.
func TestReferencesHaveAPlan(t *testing.T) {
	j, err := job(t, "2026-05-04 10:00:00,6000\n2026-05-04 10:01:00,6000\n2026-05-04 10:02:00,6000\n")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := j.optimum("web")
	if err != nil {
		t.Fatal(err)
	}
	all, err := (&simCompare{}).peers(t.Context(), newProgress(1+len(references)), j, "web", []string{"hpa", "optimum"}, plan)
	if err != nil || len(all) != 2 {
		t.Fatal(err, len(all))
	}
	for _, o := range all {
		if o.Points[1].Optimum < 1 || o.Summary.AboveBound == nil {
			t.Errorf("%s: %+v", o.Name, o.Points[1])
		}
	}
}

// TestRefusedFlags: one sentence each, before anything is run.
func TestRefusedFlags(t *testing.T) {
	for flag, want := range map[string]string{
		"--slot=-1m": "--slot must be a whole number of seconds, at least one; it is -1m0s", "--slot=1500ms": "--slot must be a whole number of seconds, at least one; it is 1.5s",
		"--load=web=-": "- is standard input, which can stand for one of the files only", "--zone=Mars": `--zone: there is no time zone "Mars"`,
		"--per-instance=1e-9": "no world can be made in which one instance serves 1e-09 requests per second",
	} {
		flags := []string{flag}
		if flag == "--load=web=-" {
			flags = append(flags, "--world=-")
		}
		if _, err := job(t, "2026-05-04 10:00:00,1\n2026-05-04 10:01:00,1\n", flags...); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", flag, err, want)
		}
	}
	if err := (&simOutput{CSV: filepath.Join(t.TempDir(), "x"), HTML: filepath.Join(t.TempDir(), "y")}).check(); err != nil {
		t.Error(err)
	}
	t.Chdir(t.TempDir())
	if err := (&simOutput{CSV: "x", PNG: "./x"}).check(); err == nil || err.Error() != "--csv and --png are the same file: ./x" {
		t.Error(err)
	}
	for _, w := range []simWorld{{PerInstance: 0, Type: "*"}, {PerInstance: -1, Type: "*"}, {PerInstance: 100}, {PerInstance: 1e-9, Type: "*"}, {PerInstance: 1e300, Type: "*"}} {
		if err := w.Run(); err == nil || !strings.HasPrefix(err.Error(), "--") {
			t.Errorf("%+v: %v", w, err)
		}
	}
	none := 0
	if err := (&simFuzz{Seeds: &none, Steps: 1, Faults: "all"}).Run(t.Context()); err == nil || err.Error() != "--seeds must be above 0" {
		t.Error(err)
	}
}
