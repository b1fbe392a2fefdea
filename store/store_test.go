package store

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func open(t testing.TB, dir string) (*Store, map[string]string) {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	if err := s.Load(func(table, key string, data []byte) error {
		rows[table+"/"+key] = string(data)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return s, rows
}

func TestRowsComeBack(t *testing.T) {
	dir := t.TempDir()
	s, rows := open(t, dir)
	if len(rows) != 0 {
		t.Fatalf("a new store has rows: %v", rows)
	}
	s.Write([]Row{{"a", "1", "x"}, {"a", "2", 7}, {"b", "1", map[string]int{"n": 1}}})
	ticket := s.Write([]Row{{"a", "1", "y"}, {"a", "2", nil}, {"a", "never", nil}})
	if err := s.Wait(context.Background(), ticket); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, rows = open(t, dir)
	defer s.Close()
	if diff := cmp.Diff(map[string]string{"a/1": `"y"`, "b/1": `{"n":1}`}, rows); diff != "" {
		t.Error(diff)
	}
}

func TestAStoreThatWasNeverReadCanBeClosed(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestARowWithoutAFormKeepsNoOtherFromTheDisk(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var defects []string
	s.Report = func(defect error) { defects = append(defects, defect.Error()) }
	if err := s.Load(func(string, string, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(context.Background(), s.Write([]Row{{"a", "bad", math.Inf(1)}, {"a", "good", 1}})); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if len(defects) != 1 || !strings.Contains(defects[0], `"bad" of a`) {
		t.Errorf("reported %q", defects)
	}
	s, rows := open(t, dir)
	defer s.Close()
	if diff := cmp.Diff(map[string]string{"a/good": "1"}, rows); diff != "" {
		t.Error(diff)
	}
}

func TestOneProcessOnly(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	defer s.Close()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "another billow server") {
		t.Errorf("second open: %v", err)
	}
}

// TestCloseWithoutLoad: who opens the store only for its lock closes it without having read it.
func TestCloseWithoutLoad(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAFullDiskIsSaidAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	// A limit on the number of pages is what a full disk looks like to SQLite.
	if err := setMaxPages(s, 8); err != nil {
		t.Fatal(err)
	}
	s.Patience = 0
	big := strings.Repeat("x", 200_000)
	ticket := s.Write([]Row{{"a", "big", big}})
	if err := s.Wait(context.Background(), ticket); err == nil || !strings.Contains(err.Error(), "full") {
		t.Fatalf("want an error that says full, got %v", err)
	}
	s.Patience = time.Minute
	if err := setMaxPages(s, 10_000); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(context.Background(), s.Write([]Row{{"a", "small", 1}})); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s, rows := open(t, dir)
	defer s.Close()
	if len(rows) != 2 {
		t.Errorf("%d rows", len(rows))
	}
}

// TestWhatWasAcknowledgedSurvivesAKill runs this test binary as a writer, kills it in full flight and compares.
func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	if os.Getenv("STORE_WRITER") != "" {
		s, _ := open(t, os.Getenv("STORE_WRITER"))
		for i := range 100_000 {
			if s.Wait(context.Background(), s.Write([]Row{{"t", fmt.Sprint(i), i}})) == nil {
				fmt.Println("acknowledged", i)
			}
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "STORE_WRITER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last, lines := -1, bufio.NewScanner(out)
	for lines.Scan() {
		if n, _ := fmt.Sscanf(lines.Text(), "acknowledged %d", &last); n == 1 && last == 200 {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	s, rows := open(t, dir)
	defer s.Close()
	if last < 200 || len(rows) < last+1 {
		t.Errorf("acknowledged up to %d, found %d rows", last, len(rows))
	}
}

// BenchmarkCommit reports how many rows a second become durable with 1 and with 64 writers that wait for each row.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprint(writers, "-writers"), func(b *testing.B) {
			s, _ := open(b, b.TempDir())
			defer s.Close()
			var wg sync.WaitGroup
			value := strings.Repeat("v", 1024)
			for w := range writers {
				wg.Go(func() {
					for i := w; i < b.N; i += writers {
						s.Wait(context.Background(), s.Write([]Row{{"t", fmt.Sprint(i % 1000), value}}))
					}
				})
			}
			wg.Wait()
		})
	}
}
