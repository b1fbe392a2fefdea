package tune

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/world"
)

// week is a daily wave with noise and an evening crowd, for some days.
func week(days int, seed uint64) load.Trace {
	rng := rand.New(rand.NewPCG(seed, 1))
	t := load.Trace{Name: "week", Start: time.Date(2026, 9, 28, 0, 0, 0, 0, time.UTC), Step: time.Minute}
	for m := range days * 1440 {
		x := 1.2 - math.Cos(2*math.Pi*float64(m)/1440) + 0.05*rng.NormFloat64()
		if m%1440 > 1200 && m%1440 < 1230 {
			x *= 1.5
		}
		t.Rates = append(t.Rates, 800*max(0, x))
	}
	return t
}

func tuned(t *testing.T, o Options) *Result {
	t.Helper()
	if o.World.Types == nil {
		o.World = world.Default(100)
	}
	o.Type, o.Seed, o.Workers = "*", 1, max(o.Workers, 2)
	r, err := Run(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatIsRecommendedSavesOnWhatItHasNotSeen(t *testing.T) {
	r := tuned(t, Options{Load: week(5, 1), Budget: 300})
	t.Logf("%s: %.1f hours of %.1f and %.1f, %.6f in time of %.6f", r.Recommended.Candidate, r.Recommended.Held.Hours, r.Default.Held.Hours, r.Sweep.Held.Hours, r.Recommended.Held.InTime, r.Default.Held.InTime)
	if !r.Met || r.Recommended.Held.InTime < r.Default.Held.InTime-negligible {
		t.Errorf("the objective is missed: %+v", r.Recommended)
	}
	if saved := 1 - r.Recommended.Held.Hours/r.Default.Held.Hours; saved < 0.15 {
		t.Errorf("it saves %.1f %% of the default's hours", 100*saved)
	}
	if r.Optimum.Held.Hours > r.Recommended.Held.Hours {
		t.Errorf("one who knows the load needs %.1f hours, more than the %.1f of the one who does not", r.Optimum.Held.Hours, r.Recommended.Held.Hours)
	}
	for i, p := range r.Front {
		if i > 0 && (p.Hours < r.Front[i-1].Hours || p.InTime <= r.Front[i-1].InTime) {
			t.Errorf("point %d of the front is beaten by the one before", i)
		}
	}
}

func TestASearchIsDecidedByItsSeed(t *testing.T) {
	o := Options{Load: week(2, 2), Budget: 150}
	a := tuned(t, o)
	o.Workers = 3
	if b := tuned(t, o); !reflect.DeepEqual(a, b) {
		t.Error("two searches with the same seed differ")
	}
}

func TestFilesAreTheCallsOfTheAWSCLI(t *testing.T) {
	c := Candidate{Target: 70, NoIn: true, Warmup: 90, Min: 2, Out: Out{Threshold: 80, Periods: 3, Points: 2, Aim: 60, Surge: 100, Trend: 2},
		In: In{Threshold: 50, Periods: 5, Points: 5, Aim: 60, Most: 20}, Calendar: Calendar{Kind: Daily, Share: 0.9, Use: 80, Lead: 10}}
	n := &Needs{}
	n.add(week(3, 1), 100)
	r := &Result{Recommended: Row{Candidate: &c}, Max: 100, Needs: n}
	files, err := r.Files("web")
	if err != nil {
		t.Fatal(err)
	}
	script := string(files[len(files)-1].Data)
	for _, f := range files[:len(files)-1] {
		var in map[string]any
		if err := json.Unmarshal(f.Data, &in); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		if strings.Contains(string(f.Data), "null") {
			t.Errorf("%s has a null, which the AWS CLI refuses:\n%s", f.Name, f.Data)
		}
		if !strings.Contains(script, "file://"+f.Name) {
			t.Errorf("apply.sh does not use %s", f.Name)
		}
	}
	for _, want := range []string{"update-auto-scaling-group", "put-scaling-policy", "put-metric-alarm", "put-scheduled-update-group-action", `--alarm-actions "$arn"`} {
		if !strings.Contains(script, want) {
			t.Errorf("apply.sh has no %s", want)
		}
	}
}

func TestAnObjectiveThatNobodyReaches(t *testing.T) {
	m := world.Default(100)
	m.Deadline = 0.1 // the mean of the service time: half of all requests are late with any number of instances
	r := tuned(t, Options{Load: week(2, 3), Budget: 150, Objective: 0.99, World: m})
	if r.Met {
		t.Errorf("it says that %v is met", r.Objective)
	}
	if all := strings.Join(r.Notes, "\n"); !strings.Contains(all, "Nothing that was tried reaches 0.99 in time") {
		t.Errorf("it does not say so: %s", all)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for what, o := range map[string]Options{
		"no load":        {Load: load.Trace{Step: time.Minute, Rates: make([]float64, 1000)}},
		"too short":      {Load: load.Trace{Step: time.Minute, Rates: []float64{1, 2, 3}}},
		"objective 2":    {Load: week(1, 1), Objective: 2},
		"budget 3":       {Load: week(1, 1), Budget: 3},
		"tuned on all":   {Load: week(1, 1), Tuned: 1},
		"max below min":  {Load: week(1, 1), Min: 5, Max: 3},
		"unknown type":   {Load: week(1, 1), Type: "x9.large", World: world.Model{Types: map[string]world.Type{"a": world.Default(1).Types["*"]}}},
		"a broken model": {Load: week(1, 1), World: world.Model{}},
	} {
		if o.World.Types == nil && what != "a broken model" {
			o.World = world.Default(100)
		}
		if o.Type == "" {
			o.Type = "*"
		}
		if _, err := Run(o); err == nil {
			t.Errorf("%s: it is taken", what)
		}
	}
}
