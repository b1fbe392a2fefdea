// Package mutation checks the tests: it breaks the control plane in one place at a time, on purpose, and wants a test to
// fail. It is not a tool that makes up changes; each breakage is written down in the table of mutants with what it would
// do to a user, so that the table says what the suite is relied on for.
//
// The one idea: a mutant is a snippet of source that occurs exactly once and what it is replaced by. All mutants are
// compiled at the same time, into copies of their functions that an environment variable chooses (woven_test.go), with
// "go test -overlay": the tree itself is never touched, and a mutant costs only the run of its tests.
//
// Invariants: a snippet that is not there any more, or twice, fails the check, so that a change of the code takes its
// mutants along; a mutant that does not compile fails it too; the tests that catch pass without the mutant. A bug that
// no test noticed becomes a mutant.
package mutation

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	selected = flag.String("mutants", cmp.Or(os.Getenv("BILLOW_MUTANTS"), "all"), "which mutants to run: all, none, or those with this in their names or files")
	find     = flag.Bool("find", false, "run all tests of a mutant's package, to see which of them catch it")
)

// mutant is one deliberate breakage.
type mutant struct {
	name string // what is broken
	why  string // what that would do to users
	file string // from the root of the repository
	old  string // occurs exactly once in the file, in a function
	new  string
	pkg  string // whose tests catch it; empty is that of the file
	run  string // those tests, as for go test -run
}

func (m mutant) tests() string {
	if m.pkg != "" {
		return m.pkg
	}
	return filepath.ToSlash(filepath.Dir(m.file))
}

const root = "../.."

// TestMutantsFit: every mutant of the table belongs to the code as it is.
func TestMutantsFit(t *testing.T) {
	names := map[string]bool{}
	for i, m := range mutants {
		if _, err := weave([]int{i}); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if m.why == "" || m.old == m.new || names[m.name] {
			t.Errorf("%s: a mutant has a name of its own, a reason, a change, and tests that catch it", m.name)
		}
		names[m.name] = true
	}
	if len(mutants) < 25 {
		t.Errorf("%d mutants; at least 25 are wanted", len(mutants))
	}
}

// TestMutants: every mutant that was asked for makes its tests fail.
func TestMutants(t *testing.T) {
	if testing.Short() || *selected == "none" {
		t.Skip("no mutants are run: -short, or none was asked for")
	}
	var chosen []int
	for i, m := range mutants {
		if *selected == "all" || strings.Contains(m.name, *selected) || strings.Contains(m.file, *selected) {
			chosen = append(chosen, i)
		}
	}
	if len(chosen) == 0 {
		t.Fatalf("no mutant has %q in its name or file", *selected)
	}
	began := time.Now()
	binaries := build(t, chosen)
	t.Logf("built in %v", time.Since(began).Round(time.Second))
	for pkg, binary := range binaries {
		if output, err := run(t, binary, pkg, "", catching(pkg, chosen)); err != nil {
			t.Fatalf("%s: without a mutant the tests must pass: %v\n%s", pkg, err, output)
		}
	}
	two := make(chan bool, 2) // at a time
	for _, i := range chosen {
		m := mutants[i]
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			two <- true
			defer func() { <-two }()
			began := time.Now()
			tests := m.run
			if *find {
				tests = "."
			}
			output, err := run(t, binaries[m.tests()], m.tests(), number(i), tests)
			var exit *exec.ExitError
			switch names := failed.FindAllStringSubmatch(output, -1); {
			case err == nil:
				t.Fatalf("not caught: in %s, the tests %s pass with\n\t%s\ninstead of\n\t%s\nwhich means: %s", m.file, tests, m.new, m.old, m.why)
			case !errors.As(err, &exit) || len(names) == 0 && !strings.Contains(output, "panic: "):
				t.Fatalf("%v\n%s", err, output)
			default:
				t.Logf("caught by %v after %v", names, time.Since(began).Round(time.Millisecond))
			}
		})
	}
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: \S+`)

// catching are the tests of a package that catch its mutants.
func catching(pkg string, chosen []int) string {
	var patterns []string
	for _, i := range chosen {
		if mutants[i].tests() == pkg && !slices.Contains(patterns, mutants[i].run) {
			patterns = append(patterns, mutants[i].run)
		}
	}
	return strings.Join(patterns, "|")
}

// build compiles the tests of all packages that are needed, with the mutants in them.
func build(t *testing.T, chosen []int) map[string]string {
	t.Helper()
	dir := t.TempDir()
	overlay, err := layOver(dir, chosen)
	if err != nil {
		t.Fatal(err)
	}
	binaries := map[string]string{}
	for _, i := range chosen {
		pkg := mutants[i].tests()
		if binaries[pkg] != "" {
			continue
		}
		binaries[pkg] = filepath.Join(dir, strings.ReplaceAll(pkg, "/", "-")+".test")
		c := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", overlay, "-gcflags=github.com/billow-cloud/billow/cloud/...=-N -l", "-ldflags=-s -w", "-o", binaries[pkg], "./"+pkg)
		c.Dir = root
		if output, err := c.CombinedOutput(); err != nil {
			t.Fatalf("a mutant of %s does not compile: %v\n%s", pkg, err, output)
		}
	}
	return binaries
}

// run runs tests of a package with a mutant, or without one.
func run(t *testing.T, binary, pkg, mutant, tests string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, binary, "-test.short", "-test.timeout=1m", "-test.run", tests)
	c.Dir, c.WaitDelay = filepath.Join(root, pkg), 10*time.Second
	c.Env = append(os.Environ(), variable+"="+mutant, "GOMAXPROCS=1")
	output, err := c.CombinedOutput()
	if err == nil && strings.Contains(string(output), "no tests to run") {
		err = errors.New("there is no test of that name")
	}
	return string(output), err
}
