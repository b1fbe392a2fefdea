package fuzz

import (
	"fmt"
	"regexp"
	"strings"
)

// Shrink looks for a smaller run that breaks the same invariant: without kinds of faults that it does not need, and with
// fewer steps. It makes a bounded number of runs.
func Shrink(x Result) Result {
	try := func(o Options) bool {
		next := Run(o)
		if next.Broken == nil || next.Broken.Invariant != x.Broken.Invariant {
			return false
		}
		x = next
		return true
	}
	cut := func() {
		if x.Broken.Step < x.Steps { // the rest was never reached
			o := x.Options
			o.Steps = x.Broken.Step + 1
			try(o)
		}
	}
	cut()
	for f := range faultKinds {
		if x.Faults.Has(f) {
			o := x.Options
			o.Faults = o.Faults.Without(f)
			try(o)
			cut()
		}
	}
	least := 0
	for range 12 { // bisection, as if fewer steps than enough were never enough
		o := x.Options
		if o.Steps = (least + x.Steps) / 2; o.Steps >= x.Steps {
			break
		}
		if !try(o) {
			least = o.Steps + 1
		}
		cut()
	}
	return x
}

// Command is what makes the run again.
func (o Options) Command() string {
	text := fmt.Sprintf("billow sim fuzz --seed %d --steps %d", o.Seed, o.Steps)
	if o.Faults != AllFaults {
		text += " --faults " + o.Faults.String()
	}
	return text
}

// Explain tells of a violation: what was broken, how to see it again, and the inputs before it.
func (x Result) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d breaks an invariant in step %d: %s\n%s\n\nthe inputs before it:\n", x.Seed, x.Broken.Step, x.Broken.Invariant, x.Broken.Detail)
	for _, line := range x.Broken.Last {
		b.WriteString("  " + short(line) + "\n")
	}
	fmt.Fprintf(&b, "\nto see it again:\n  %s\n", x.Command())
	return b.String()
}

// absent are members that were not given.
var absent = regexp.MustCompile(`"[A-Za-z]+":null,?`)

func short(line string) string {
	line = absent.ReplaceAllString(line, "")
	return line[:min(len(line), 400)]
}
