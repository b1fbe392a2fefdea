package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/billow-cloud/billow/sim/fuzz"
	"github.com/billow-cloud/billow/sim/report"
)

// simFuzz is `billow sim fuzz`: any number of random runs against the control plane, on all cores.
type simFuzz struct {
	Seeds   *int          `help:"How many seeds to run: 300, or with --seed 1." placeholder:"N"`
	Seed    *uint64       `help:"The seed to run, or the first of them." placeholder:"S"`
	Steps   int           `help:"How long each run is, in calls of its workload." default:"200" placeholder:"N"`
	For     time.Duration `help:"Run new seeds for so long, however many they are." placeholder:"DURATION"`
	Faults  string        `help:"What may go wrong: all, none, or kinds with commas between them (lost, late, doubled, reordered, launch, death, hang, zone, inventory, facts, kill, clock)." default:"all" placeholder:"LIST"`
	Verbose bool          `help:"Tell of every run, every operation and every kind of fault."`
}

// fuzzSeeds is how many runs are made if nobody says.
const fuzzSeeds = 300

// Run is called by kong.
func (f *simFuzz) Run(ctx context.Context) error {
	faults, err := fuzz.ParseFaults(f.Faults)
	if err != nil {
		return err
	}
	switch {
	case f.Seeds != nil && *f.Seeds <= 0:
		return errors.New("--seeds must be above 0")
	case f.Steps <= 0:
		return errors.New("--steps must be above 0")
	case f.For < 0:
		return errors.New("--for must not be negative")
	}
	o, n := fuzz.Options{Steps: f.Steps, Faults: faults}, fuzzSeeds
	if f.Seed != nil {
		o.Seed, n = *f.Seed, 1
	}
	switch {
	case f.Seeds != nil:
		n = *f.Seeds
	case f.For > 0:
		n = math.MaxInt
	}
	debug.SetGCPercent(400) // many small clouds that live shortly
	began, sum := time.Now(), fuzz.Summary{}
	stop := func() bool {
		return ctx.Err() != nil || len(sum.Broken) > 0 || f.For > 0 && time.Since(began) >= f.For
	}
	bar := f.bar(n)
	fuzz.Many(o, n, runtime.NumCPU(), stop, func(x fuzz.Result) {
		sum.Add(x)
		f.show(bar, began, &sum)
		if f.Verbose {
			fmt.Printf("seed %d: %s inputs, %s of cloud time, trace %016x\n", x.Seed, whole(x.Inputs), x.Virtual.Round(time.Second), x.Trace)
		}
	})
	if bar != nil {
		_ = bar.Finish() // it is decoration
	}
	f.summary(os.Stdout, &sum, time.Since(began))
	if len(sum.Broken) == 0 {
		return nil
	}
	fmt.Printf("\nSeed %d breaks an invariant. A smaller run that breaks it too is looked for.\n\n", sum.Broken[0].Seed)
	fmt.Print(fuzz.Shrink(sum.Broken[0]).Explain())
	return exitStatus(1)
}

// bar is a progress line, on a terminal; nil elsewhere.
func (f *simFuzz) bar(n int) *progressbar.ProgressBar {
	if n == 1 || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	of := int64(n)
	if f.For > 0 {
		of = int64(f.For / time.Millisecond)
	}
	return progressbar.NewOptions64(of, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription("fuzzing"),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetElapsedTime(false), progressbar.OptionThrottle(100*time.Millisecond))
}

func (f *simFuzz) show(bar *progressbar.ProgressBar, began time.Time, sum *fuzz.Summary) {
	if bar == nil || time.Since(began) < time.Second {
		return
	}
	bar.Describe(fmt.Sprintf("fuzzing: %d seeds, %d inputs", sum.Runs, sum.Inputs))
	done := int64(sum.Runs)
	if f.For > 0 {
		done = int64(min(time.Since(began), f.For) / time.Millisecond)
	}
	_ = bar.Set64(done)
}

// summary prints what was tried.
func (f *simFuzz) summary(w io.Writer, sum *fuzz.Summary, took time.Duration) {
	calls, rate := sum.Answered(), float64(sum.Runs)/max(took.Seconds(), 1e-9)
	t := report.Table(w)
	t.AppendRow(table.Row{"seeds", fmt.Sprintf("%s, %.1f a second on %d cores", whole(sum.Runs), rate, runtime.NumCPU())})
	t.AppendRow(table.Row{"steps of the workload", whole(sum.Steps)})
	t.AppendRow(table.Row{"inputs of the control plane", whole(sum.Inputs)})
	t.AppendRow(table.Row{"time of the cloud", fmt.Sprintf("%s hours in %s", report.Number(sum.Hours, 0), took.Round(100*time.Millisecond))})
	t.AppendRow(table.Row{"calls", fmt.Sprintf("%s succeeded, %s were refused", whole(calls.Good), whole(calls.Refused))})
	var faults []string
	for k, n := range sum.Injected {
		faults = append(faults, fmt.Sprintf("%s%s%s", fuzz.Fault(k), stuck, whole(n)))
	}
	t.AppendRow(table.Row{"faults", strings.ReplaceAll(text.WrapSoft(strings.Join(faults, ", "), 64), stuck, " ")})
	all, never := len(fuzz.Mutating()), sum.Never()
	t.AppendRow(table.Row{"operations that change something", fmt.Sprintf("%d of %d succeeded at least once", all-len(never), all)})
	t.AppendRow(table.Row{"invariants", map[bool]string{true: "all held", false: "broken"}[len(sum.Broken) == 0]})
	t.Render()
	if !f.Verbose {
		return
	}
	var names []string
	for name := range sum.Calls {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintln(w)
	ops := report.Table(w, report.Right(2, 3)...)
	ops.AppendHeader(table.Row{"operation", "succeeded", "refused"})
	for _, name := range names {
		ops.AppendRow(table.Row{name, whole(sum.Calls[name].Good), whole(sum.Calls[name].Refused)})
	}
	ops.Render()
	if len(never) > 0 {
		fmt.Fprintln(w, "never succeeded:", strings.Join(never, " "))
	}
}

// stuck is a blank at which no line is broken.
const stuck = "\u00a0"

// whole is a number with thousands set apart.
func whole[N ~int | ~int64 | ~uint64](n N) string { return report.Number(float64(n), 0) }
