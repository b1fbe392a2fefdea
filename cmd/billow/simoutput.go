package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/billow-cloud/billow/sim/input"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/report"
)

// simOutput is where the outcomes go.
type simOutput struct {
	HTML       string `name:"html" help:"Write a report that is one page, with plots." placeholder:"FILE"`
	CSV        string `name:"csv" help:"Write every minute as CSV." placeholder:"FILE"`
	PNG        string `name:"png" help:"Write the plots as one picture." placeholder:"FILE"`
	SVG        string `name:"svg" help:"Write the plots as one picture." placeholder:"FILE"`
	Activities bool   `help:"Print every activity with its cause."`
	JSON       bool   `name:"json" help:"Print JSON in place of a table."`
}

// check tells before a long run what will not work after it.
func (s *simOutput) check() error {
	flags := map[string]string{} // by the file that they name
	for _, o := range [][2]string{{"--html", s.HTML}, {"--csv", s.CSV}, {"--png", s.PNG}, {"--svg", s.SVG}} {
		flag, path := o[0], o[1]
		if path == "" {
			continue
		}
		if whole, err := filepath.Abs(path); err == nil {
			if flags[whole] != "" {
				return fmt.Errorf("%s and %s are the same file: %s", flags[whole], flag, path)
			}
			flags[whole] = flag
		}
		_, missing := os.Stat(path)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return fmt.Errorf("%s cannot be written: %w", path, input.Reason(err))
		}
		f.Close()
		if missing != nil { // a run that fails leaves nothing behind
			_ = os.Remove(path)
		}
	}
	return nil
}

// write prints the outcomes and writes the files.
func (s *simOutput) write(title string, notes []string, all []outcome.Outcome) error {
	if len(all) == 0 {
		return errors.New("no group had a load in the time of the run")
	}
	r := report.Report{Title: title, Notes: notes, Outcomes: all, Command: commandLine(os.Args)}
	for _, f := range []struct {
		path  string
		write func(io.Writer) error
	}{
		{s.HTML, func(w io.Writer) error { return report.HTML(w, r) }},
		{s.CSV, func(w io.Writer) error { return report.CSV(w, all) }},
		{s.PNG, func(w io.Writer) error { return report.PNG(w, r) }},
		{s.SVG, func(w io.Writer) error { return report.SVG(w, r) }},
	} {
		if f.path == "" {
			continue
		}
		if err := writeFile(f.path, f.write); err != nil {
			return err
		}
	}
	out := bufio.NewWriter(os.Stdout)
	if s.JSON {
		if err := s.printJSON(out, notes, all); err != nil {
			return err
		}
		return out.Flush()
	}
	for _, n := range notes {
		fmt.Fprintln(out, n)
	}
	fmt.Fprintf(out, "\n%s\n\n", title)
	report.Summary(out, all)
	if s.Activities {
		for _, o := range all {
			if len(o.Activities) > 0 {
				fmt.Fprintf(out, "\n%s\n", o.Name)
				report.Activities(out, o)
			}
		}
	}
	return out.Flush()
}

func (s *simOutput) printJSON(w io.Writer, notes []string, all []outcome.Outcome) error {
	type figures struct {
		Notes    []string          `json:"notes"`
		Outcomes []outcome.Outcome `json:"outcomes"` // without Points, which CSV has
	}
	f := figures{Notes: notes}
	for _, o := range all {
		if o.Points = nil; !s.Activities {
			o.Activities = nil
		}
		f.Outcomes = append(f.Outcomes, o)
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(f)
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(f)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, input.Reason(err))
	}
	return nil
}

// interrupted is the error of a run in short, if it is that of an interrupt.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return errors.New("interrupted")
	}
	return err
}

// endAtOnce has a second interrupt end the program, whatever it is doing.
func endAtOnce(ctx context.Context) {
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt, syscall.SIGTERM) })
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// commandLine is what to type to have the same again.
func commandLine(args []string) string {
	words := []string{"billow"}
	for _, a := range args[1:] {
		if !plainWord.MatchString(a) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// progress shows how far runs are, on a terminal, if they take longer than a second.
type progress struct {
	mu    sync.Mutex
	began time.Time
	done  []float64
	bar   *progressbar.ProgressBar
}

func newProgress(runs int) *progress {
	return &progress{began: time.Now(), done: make([]float64, runs)}
}

// of is what the n-th run tells.
func (p *progress) of(n int) func(done, total time.Duration) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return func(done, total time.Duration) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.done[n] = float64(done) / float64(total)
		if p.bar == nil && time.Since(p.began) > time.Second {
			p.bar = progressbar.NewOptions(1000, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription("simulating"),
				progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionThrottle(100*time.Millisecond))
		}
		if p.bar != nil {
			sum := 0.0
			for _, d := range p.done {
				sum += d
			}
			_ = p.bar.Set(int(1000 * sum / float64(len(p.done))))
		}
	}
}

func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
	}
}
