package daemon

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/region"
	"github.com/billow-cloud/billow/flight"
)

// recorder is the flight recorder: it keeps the last part of what the loop was told, in segments of bounded size, so that
// it can be replayed. It never holds up or fails a step: inputs are written out by those who bring them, before they
// take the loop's lock; one goroutine does the rest. What it cannot keep up with, or has no room for, is left out, which
// ends a segment; the next one begins with a new snapshot and says so. A nil recorder records nothing.
type recorder struct {
	dir  string
	keep int64 // bytes of all segments
	log  *slog.Logger
	ops  flight.Operations

	// due is why the next step begins a segment; nil if it does not. The goroutine asks for one by it, too.
	due atomic.Pointer[flight.End]

	// Under the loop's lock.
	options region.Options
	scale   float64
	server  string
	lost    bool // since something was left out, until the next segment begins

	mu     sync.Mutex
	queue  []entry
	weight int // about the bytes that queue holds
	more   chan struct{}
	stop   chan struct{}
	done   chan struct{}
}

// entry is a step, or the beginning of a segment.
type entry struct {
	at     int64
	input  []byte
	out    cloud.Output
	weight int

	begin  *flight.Header
	moment cloud.Moment
	rows   func(yield func(table, key string, row any) bool)
}

// Bounds of the recorder.
const (
	flightSegments = 8         // about so many are kept
	flightQueue    = 64 << 20  // bytes that wait for the goroutine
	flightReserve  = 128 << 20 // bytes that must be free on the disk: they are the store's
	flightFlush    = 100 * time.Millisecond
	flightRetry    = 30 * time.Second
)

// newRecorder begins to record into a data directory, keeping about so many bytes. It does not fail: a server without a
// recording is still a server.
func newRecorder(data string, keep int64, o region.Options, scale float64, log *slog.Logger) *recorder {
	r := &recorder{
		dir: filepath.Join(data, flight.Folder), keep: keep, log: log, ops: region.New(region.Options{}),
		options: o, scale: scale, server: hex.EncodeToString(random(8)),
		more: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	r.due.Store(&flight.End{Cause: flight.CauseStart})
	go r.run()
	return r
}

// noted is an input in its written form.
type noted struct {
	input []byte
	err   error
}

// note writes an input out. It is called before the step, since a handler may change its input, and outside of the lock.
func (r *recorder) note(in cloud.Input) (n noted) {
	if r != nil {
		n.input, n.err = flight.AppendInput(nil, r.ops, in)
	}
	return n
}

// before begins a segment if one is due; it is called under the loop's lock before a step.
func (r *recorder) before(c *cloud.Cloud) {
	if r == nil {
		return
	}
	why := r.due.Load()
	if why == nil || r.full(flightQueue/2) {
		return
	}
	r.due.Store(nil)
	h := &flight.Header{
		Format: flight.Format, Build: flight.ThisBuild(), Server: r.server, Cause: why.Cause, Note: why.Note,
		Options: r.options, TimeScale: r.scale, Wall: time.Now().UTC().Round(0),
	}
	r.lost = false
	r.add(entry{begin: h, moment: c.Moment(), rows: c.Freeze()})
}

// after takes a step; it is called under the loop's lock.
func (r *recorder) after(now time.Time, n noted, out cloud.Output) {
	switch {
	case r == nil || r.lost:
	case n.err != nil:
		if len(out.Changes) > 0 || len(out.Effects) > 0 {
			r.lose(n.err.Error())
		}
	case r.full(flightQueue):
		r.lose("the recorder fell behind")
	default:
		if len(out.Changes) == 0 {
			out.Reply = nil // nothing is kept of it, and it may be large
		}
		r.add(entry{at: now.UnixNano(), input: n.input, out: out, weight: len(n.input) + 256 + 256*(len(out.Changes)+len(out.Effects))})
	}
}

// lose leaves steps out until the next segment can begin.
func (r *recorder) lose(why string) {
	r.lost = true
	r.due.Store(&flight.End{Cause: flight.CauseGap, Note: why})
	r.log.Warn("the flight recording has a gap", "cause", why)
}

// reset has the next step begin a segment of another cloud; it is called under the loop's lock.
func (r *recorder) reset(o region.Options) {
	if r != nil {
		r.options = o
		r.due.Store(&flight.End{Cause: flight.CauseReset})
	}
}

func (r *recorder) full(limit int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.weight > limit
}

func (r *recorder) add(e entry) {
	r.mu.Lock()
	r.queue = append(r.queue, e)
	r.weight += e.weight
	r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// close writes what is queued and ends the segment. Nothing may be stepped any more.
func (r *recorder) close() {
	if r == nil {
		return
	}
	close(r.stop)
	select {
	case <-r.done:
	case <-time.After(5 * time.Second): // a disk that hangs must not keep the server from ending
	}
}

func (r *recorder) run() {
	defer close(r.done)
	t := &tape{recorder: r}
	gathered := time.NewTimer(0)
	for {
		select {
		case <-r.more:
			t.take()
			gathered.Reset(flightFlush) // less to write, and better compressed
			select {
			case <-gathered.C:
			case <-r.stop:
			}
			t.take()
			t.flush()
		case <-r.stop:
			t.take()
			t.end(flight.End{Cause: flight.CauseStop})
			return
		}
	}
}

// tape is the goroutine's part: the file of the present segment.
type tape struct {
	*recorder
	file   *os.File
	w      *flight.Writer
	start  int64     // size of the snapshot
	asked  bool      // for the next segment
	failed time.Time // the last time; zero if the next segment may begin
	told   bool      // of the failure
	types  uint32
}

// take writes everything that has been queued.
func (t *tape) take() {
	t.mu.Lock()
	queue := t.queue
	t.queue = nil
	t.mu.Unlock()
	for i, e := range queue {
		queue[i] = entry{}
		if err := t.write(e); err != nil {
			t.fail(err)
		}
		t.mu.Lock()
		t.weight -= e.weight
		t.mu.Unlock()
	}
}

func (t *tape) write(e entry) error {
	if e.begin != nil {
		t.end(flight.End{Cause: e.begin.Cause, Note: e.begin.Note})
		if err := t.begin(e); err != nil {
			if t.file != nil {
				os.Remove(t.file.Name()) // half a snapshot is of no use
			}
			return err
		}
		t.told = false
		return nil
	}
	if t.w == nil {
		if !t.failed.IsZero() && time.Since(t.failed) > flightRetry {
			t.failed = time.Time{}
			t.due.CompareAndSwap(nil, &flight.End{Cause: flight.CauseGap, Note: "there was no room for the recording"})
		}
		return nil
	}
	if err := t.w.Step(e.at, e.input, e.out); err != nil {
		return err
	}
	if !t.asked && t.w.Size()-t.start > max(t.keep/flightSegments, t.start) {
		t.asked = t.due.CompareAndSwap(nil, &flight.End{Cause: flight.CauseSize})
	}
	return nil
}

func (t *tape) flush() {
	if t.w != nil {
		if err := t.w.Flush(); err != nil {
			t.fail(err)
		}
	}
}

// fail gives up the segment; a new one is tried later.
func (t *tape) fail(err error) {
	if !t.told {
		t.log.Warn("the flight recording is interrupted", "error", err)
	}
	t.told = true
	t.end(flight.End{Cause: flight.CauseGap, Note: err.Error()})
	t.failed = time.Now()
}

// end closes the present segment.
func (t *tape) end(why flight.End) {
	if t.w != nil {
		_ = t.w.Close(why) // where there is no room for it, the reader sees that the end is missing
		t.w = nil
	}
	if t.file != nil {
		t.file.Close()
		t.file = nil
	}
}

// begin makes a new segment and writes the snapshot.
func (t *tape) begin(e entry) error {
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(t.dir, &disk); err == nil && int64(disk.Bavail)*disk.Bsize < flightReserve {
		return fmt.Errorf("less than %d MiB are left on the disk: %w", flightReserve>>20, syscall.ENOSPC)
	}
	number, err := t.prune()
	if err != nil {
		return err
	}
	t.file, err = os.OpenFile(filepath.Join(t.dir, fmt.Sprintf("%08d%s", number, flight.Suffix)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if t.types == 0 {
		t.types = flight.Fingerprint(region.New(region.Options{}))
	}
	e.begin.Types = t.types
	if t.w, err = flight.NewWriter(t.file, *e.begin, e.moment); err != nil {
		return err
	}
	e.rows(func(table, key string, row any) bool {
		var r flight.Row
		if r, err = flight.NewRow(table, key, row); err == nil {
			err = t.w.Row(r)
		}
		return err == nil
	})
	if err == nil {
		err = t.w.Begin()
	}
	if err == nil {
		err = t.w.Flush()
	}
	t.start, t.asked = t.w.Size(), false
	return err
}

// prune removes the oldest segments so that there is room for one more, and gives its number.
func (t *tape) prune() (next int, err error) {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return 0, err
	}
	var files []fs.FileInfo
	total := t.keep / flightSegments
	for _, e := range entries {
		if info, err := e.Info(); err == nil && filepath.Ext(e.Name()) == flight.Suffix {
			files = append(files, info)
			total += info.Size()
			var n int
			if _, err := fmt.Sscanf(e.Name(), "%d", &n); err == nil {
				next = max(next, n)
			}
		}
	}
	for _, f := range files { // in the order of their names
		if total <= t.keep {
			break
		}
		if err := os.Remove(filepath.Join(t.dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		total -= f.Size()
	}
	return next + 1, nil
}
