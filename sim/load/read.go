package load

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/sim/input"
)

// Unit says what a value in a file means.
type Unit string

// The units. Percent is the utilization of a processor: that of one instance, or the sum over several.
const (
	PerPeriod Unit = "count"   // requests within the period that begins at the value's time
	PerSecond Unit = "rps"     // requests per second
	PerMinute Unit = "rpm"     // requests per minute
	Percent   Unit = "percent" // 100 is what one instance can do
)

// Gaps says what a period without a value means.
type Gaps string

// A gap is bridged if it is short (see bridge), and is time without load if it is longer; or always one of them; or refused.
// Sums of CloudWatch have no value where there were no requests, so their gaps are Zero unless told otherwise.
const (
	Auto        Gaps = "auto"
	Zero        Gaps = "zero"
	Interpolate Gaps = "interpolate"
	Refuse      Gaps = "refuse"
)

// Options say how to read what the file itself does not tell.
type Options struct {
	Unit        Unit           // empty: as the file says, else PerPeriod
	Value       string         // the column, or the Id or Label of a metric, where a file has several
	Zone        *time.Location // of times that name no zone; nil is UTC
	Step        time.Duration  // of the trace; 0 is a minute
	PerInstance float64        // requests per second that one instance serves at 100 %: needed for Percent
	Gaps        Gaps           // empty is Auto
}

// Bounds of what is taken for a trace.
const (
	maxSlots = 10_000_000
	maxValue = 1e15
)

var errEmpty = errors.New("it is empty")

// Read reads a trace from a file, from the access logs in a folder, or from standard input ("-"). What it is, it sees from
// what is in it.
func Read(path string, o Options) (Trace, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() && path != input.Standard {
		return readFolder(path, filepath.Base(filepath.Clean(path)), o)
	}
	f, err := input.Open(path)
	if err != nil {
		return Trace{}, err
	}
	defer f.Close()
	return ReadFrom(f, input.Name(path), o)
}

// ReadFrom reads a trace from a stream; name stands for it in errors.
func ReadFrom(r io.Reader, name string, o Options) (Trace, error) {
	c, err := newCollector(name, o)
	if err != nil {
		return Trace{}, err
	}
	if err := c.read(r, name); err != nil {
		return Trace{}, err
	}
	t, err := c.trace()
	t.Name = stem(name)
	return t, err
}

// read recognises what a stream is and collects what it has.
func (c *collector) read(r io.Reader, name string) error {
	c.name = name
	in := bufio.NewReaderSize(r, 1<<16)
	if head, _ := in.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("%s: it is not whole: %v", name, err)
		}
		defer unzipped.Close()
		in = bufio.NewReaderSize(unzipped, 1<<16)
	}
	head, err := in.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return input.Fault(name, err)
	}
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return fmt.Errorf("%s: it is written in UTF-16; save it as UTF-8", name)
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		head = head[3:]
		in.Discard(3)
	}
	switch text := bytes.TrimLeft(head, " \t\r\n"); {
	case len(text) == 0:
		return fmt.Errorf("%s: %w", name, errEmpty)
	case bytes.IndexByte(text, 0) >= 0:
		return fmt.Errorf("%s: it is not a text file", name)
	case text[0] == '{', text[0] == '[':
		return c.metricData(in)
	case isAccessLog(text):
		return c.accessLog(in)
	case c.counting:
		return fmt.Errorf("%s: it is not an access log of an Application Load Balancer", name)
	default:
		return c.csv(in, text)
	}
}

// readFolder adds up the access logs in a folder and those below it.
func readFolder(path, name string, o Options) (Trace, error) {
	var files []string
	err := filepath.WalkDir(path, func(file string, d os.DirEntry, err error) error {
		if err != nil {
			return input.Fault(file, err)
		}
		if d.Type().IsRegular() && (strings.HasSuffix(file, ".log") || strings.HasSuffix(file, ".log.gz")) {
			files = append(files, file)
		}
		return nil
	})
	if err != nil {
		return Trace{}, err
	}
	if len(files) == 0 {
		return Trace{}, fmt.Errorf("%s: there are no access logs (*.log, *.log.gz) in it", path)
	}
	slices.SortFunc(files, cmp.Compare[string])
	c, err := newCollector(path, o)
	if err != nil {
		return Trace{}, err
	}
	for _, file := range files {
		if err := c.readLog(file); err != nil {
			return Trace{}, err
		}
	}
	c.name = path
	t, err := c.trace()
	t.Name = name
	return t, err
}

func (c *collector) readLog(path string) error {
	f, err := input.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.read(f, path); err != nil && !errors.Is(err, errEmpty) { // a quiet hour
		return err
	}
	if !c.counting && c.rows > 0 {
		return fmt.Errorf("%s: it is not an access log of an Application Load Balancer", path)
	}
	return nil
}

// fault is an error at a line.
func (c *collector) fault(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", c.name, line, fmt.Sprintf(format, args...))
}

// stem is a file's name without what tells its format.
func stem(name string) string {
	name = strings.TrimSuffix(filepath.Base(name), ".gz")
	return strings.TrimSuffix(name, filepath.Ext(name))
}
