package tune

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/sim/load"
	"github.com/billow-cloud/billow/sim/world"
)

// TestTraces tunes on every CSV below the folders or files of BILLOW_TRACES and prints a line for each: what the policy
// that is recommended saves on the part that it was not tuned on. It is for people; BILLOW_BUDGET is the trials of each.
func TestTraces(t *testing.T) {
	if os.Getenv("BILLOW_TRACES") == "" {
		t.Skip("BILLOW_TRACES names no traces")
	}
	var files []string
	for _, path := range strings.Split(os.Getenv("BILLOW_TRACES"), ":") {
		for _, pattern := range []string{"", "*.csv", "*/*.csv"} {
			found, _ := filepath.Glob(filepath.Join(path, pattern))
			files = append(files, slices.DeleteFunc(found, func(f string) bool { return filepath.Ext(f) != ".csv" })...)
		}
	}
	budget, _ := strconv.Atoi(os.Getenv("BILLOW_BUDGET"))
	for _, f := range files {
		l, err := load.Read(f, load.Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		traceLine(t, Fit(l, 100), budget)
	}
}

// TestSynthetic does the same for made loads; BILLOW_SYNTHETIC is their seed.
func TestSynthetic(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("BILLOW_SYNTHETIC"), 10, 64)
	if err != nil {
		t.Skip("BILLOW_SYNTHETIC names no seed")
	}
	budget, _ := strconv.Atoi(os.Getenv("BILLOW_BUDGET"))
	for _, l := range synthetic(seed) {
		if only := os.Getenv("BILLOW_ONLY"); only == "" || strings.Contains(only, l.Name) {
			traceLine(t, l, budget)
		}
	}
}

func traceLine(t *testing.T, l load.Trace, budget int) {
	began := time.Now()
	r, err := Run(Options{Load: l, World: world.Default(100), Type: "*", Budget: budget, Seed: 1, Workers: 2})
	if err != nil {
		t.Errorf("%s: %v", l.Name, err)
		return
	}
	hindsight := r.Default // the cheapest single target that keeps the objective, for one who knows the part that was held back
	s, err := prepare(Options{Load: l, World: world.Default(100), Type: "*", Seed: 1, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range s.rest.try(s.sweep) {
		if late := x.late / s.rest.total; 1-late >= r.Default.Held.InTime-negligible && x.hours < hindsight.Held.Hours {
			hindsight.Candidate, hindsight.Held.Hours = &s.sweep[i], x.hours
		}
	}
	saved := func(of Figures) float64 { return 100 * (1 - r.Recommended.Held.Hours/of.Hours) }
	against := r.Sweep
	if !against.Held.Meets {
		against = hindsight
	}
	good := r.Recommended.Held.Meets && saved(r.Default.Held) >= 15 && saved(against.Held) >= 5
	mark := "ok"
	if !good {
		mark = "--"
	}
	fmt.Printf("%s %-28.28s %6.1f%% of default, %6.1f%% of sweep tt%.0f(%v), %6.1f%% of hindsight tt%.0f | optimum %.1f%% | in time %.6f default %.6f | tuned part %5.1f%% | first %d strain | %s | sure %.2f %.2f..%.2f  %.0fs\n",
		mark, strings.TrimPrefix(l.Name, "ec2_"), saved(r.Default.Held), saved(r.Sweep.Held), r.Sweep.Candidate.Target, r.Sweep.Held.Meets, saved(hindsight.Held), hindsight.Candidate.Target,
		100*(1-r.Optimum.Held.Hours/r.Default.Held.Hours), r.Recommended.Held.InTime, r.Default.Held.InTime, 100*(1-r.Recommended.Tuned.Hours/r.Default.Tuned.Hours), len(r.Missed), short(r.Recommended.Candidate), r.Sure.Share, r.Sure.Low, r.Sure.High, time.Since(began).Seconds())
	for _, m := range r.Missed {
		fmt.Printf("     missed: %5.1f%% in time %.6f %v | tuned %5.1f%% %v | %s\n", 100*(1-m.Held.Hours/r.Default.Held.Hours), m.Held.InTime, m.Held.Meets, 100*(1-m.Tuned.Hours/r.Default.Tuned.Hours), m.Tuned.Meets, short(m.Candidate))
	}
}

func short(c *Candidate) string {
	text := ""
	if c.Target > 0 {
		text = fmt.Sprintf("TT%v", c.Target)
		if c.NoIn {
			text += "-out"
		}
	}
	if o := c.Out; o.Threshold > 0 {
		text += fmt.Sprintf(" out%v %d/%d aim%v surge%d trend%d", o.Threshold, o.Points, o.Periods, o.Aim, o.Surge, o.Trend)
	}
	if i := c.In; i.Threshold > 0 {
		text += fmt.Sprintf(" in%v %d aim%v most%d", i.Threshold, i.Periods, i.Aim, i.Most)
	}
	return text + fmt.Sprintf(" w%d %s", c.Warmup, c.Calendar.Kind)
}
