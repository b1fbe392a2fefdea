package functions

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/logs"
)

// What is kept of what a function prints.
const (
	maxLine    = 64 << 10 // bytes of a line; the rest is left out
	maxPage    = 1 << 20  // of one invocation, each line with lineCost
	lineCost   = 64
	tailLength = 4 << 10 // of LogResult
	maxBatch   = 256 << 10
)

// How long lines wait for others before they are told.
const (
	settle    = 10 * time.Millisecond // for what was printed before the end, and is under way yet
	tellAfter = 250 * time.Millisecond
)

// journal turns what an environment prints into log events, with Lambda's own lines before and after each invocation.
// It never holds more than a batch and a line; who prints faster than the control plane takes it waits.
type journal struct {
	now     func() time.Time
	observe func(...cloud.Fact)
	scope   cloud.Scope
	group   string
	stream  string

	telling sync.Mutex // held while a batch is told, so that they stay in order

	mu      sync.Mutex
	events  []logs.Event
	size    int
	timer   bool   // somebody will flush
	line    []byte // begun and not ended
	long    bool   // the line is longer than what is kept of it
	page    *page
	opening string   // the page's first line, until the runtime takes the invocation
	pending []string // the end of the page, not written yet
	last    time.Time
}

// page is what belongs to one invocation.
type page struct {
	used    int // of maxPage
	dropped int64
	text    []byte // the last tailLength bytes, or a little more
}

func newJournal(now func() time.Time, observe func(...cloud.Fact), scope cloud.Scope, group, stream string) *journal {
	return &journal{now: now, observe: observe, scope: scope, group: group, stream: stream, page: &page{}}
}

// Write takes what the runtime prints; it never fails.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	j.last = time.Now()
	for rest := b; len(rest) > 0; {
		n, ended := len(rest), false
		for i, c := range rest {
			if c == '\n' {
				n, ended = i+1, true
				break
			}
		}
		if room := maxLine - len(j.line); n > room {
			j.line, j.long = append(j.line, rest[:max(room, 0)]...), true
			j.page.dropped += int64(n - max(room, 0))
		} else {
			j.line = append(j.line, rest[:n]...)
		}
		rest = rest[n:]
		if ended {
			j.endLine()
		}
	}
	full := j.size > maxBatch
	j.mu.Unlock()
	if full {
		j.flush()
	}
	return len(b), nil
}

// endLine makes an event of the line. Runtimes write a carriage return for a line break that is no end of an event. The
// caller holds mu.
func (j *journal) endLine() {
	line := j.line
	j.line = j.line[:0]
	if len(line) == 0 {
		return
	}
	if j.long {
		j.long = false
		line = append(line, " [the rest of this line was left out]\n"...)
	}
	if cost := len(line) + lineCost; j.page.used+cost > maxPage {
		j.page.dropped += int64(len(line))
		j.page.used = maxPage
		return
	} else {
		j.page.used += cost
	}
	j.add(strings.ToValidUTF8(strings.ReplaceAll(strings.TrimSuffix(string(line), "\r\n"), "\r", "\n"), "\uFFFD"))
}

// add writes an event. The caller holds mu.
func (j *journal) add(message string) {
	if !strings.HasSuffix(message, "\n") {
		message += "\n"
	}
	at := j.now().UTC().Truncate(time.Millisecond)
	if n := len(j.events); n > 0 && at.Before(j.events[n-1].At) {
		at = j.events[n-1].At
	}
	j.events = append(j.events, logs.Event{At: at, Message: message})
	j.size += len(message) + lineCost
	p := j.page
	if p.text = append(p.text, message...); len(p.text) > 4*tailLength {
		p.text = append([]byte(nil), p.text[len(p.text)-tailLength:]...)
	}
	j.later(tellAfter)
}

// later has a flush happen, if none will. The caller holds mu.
func (j *journal) later(d time.Duration) {
	if !j.timer {
		j.timer = true
		time.AfterFunc(d, j.flush)
	}
}

// note writes a line of Lambda's own.
func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.add(line)
}

// open begins an invocation's page: what a runtime that is still starting prints belongs to it too.
func (j *journal) open(id, version string) *page {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.place()
	j.page = &page{}
	j.opening = "START RequestId: " + id + " Version: " + version + "\n"
	return j.page
}

// begin writes the page's first line: the runtime takes the invocation.
func (j *journal) begin() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.start()
}

func (j *journal) start() {
	if j.opening != "" {
		j.add(j.opening)
		j.opening = ""
	}
}

// close ends a page with lines that are written a moment later, behind what is still on its way from the function.
func (j *journal) close(p *page, lines ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.page != p {
		return
	}
	j.pending, j.last = lines, time.Now()
	j.timer = true
	time.AfterFunc(settle, j.flush)
}

// discard forgets a page of which nothing became.
func (j *journal) discard() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.opening = ""
}

// place writes the end of the page. The caller holds mu.
func (j *journal) place() {
	if len(j.pending) == 0 {
		return
	}
	lines := j.pending
	j.pending = nil
	j.start()
	j.endLine()
	if j.page.dropped > 0 {
		j.add(fmt.Sprintf("%d bytes of output were left out: of one invocation, %d bytes are kept\n", j.page.dropped, maxPage))
	}
	for _, line := range lines {
		j.add(line)
	}
}

// flush tells what there is.
func (j *journal) flush() {
	j.telling.Lock()
	defer j.telling.Unlock()
	j.mu.Lock()
	j.timer = false
	if time.Since(j.last) >= settle {
		j.place()
	} else if len(j.pending) > 0 {
		j.later(settle)
	}
	events := j.events
	j.events, j.size = nil, 0
	j.mu.Unlock()
	if len(events) > 0 {
		j.observe(logs.Written{Scope: j.scope, Group: j.group, Stream: j.stream, Events: events})
	}
}

// finish writes everything that there will be.
func (j *journal) finish() {
	j.mu.Lock()
	j.place()
	j.endLine()
	j.mu.Unlock()
	j.flush()
}

// tail is the end of a page, as LogResult has it: what is still on its way is waited for, for a moment.
func (j *journal) tail(p *page) string {
	for range 20 {
		j.mu.Lock()
		quiet := j.page != p || time.Since(j.last) > settle/2
		if quiet && j.page == p {
			j.place()
		}
		j.mu.Unlock()
		if quiet {
			break
		}
		time.Sleep(time.Millisecond)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	text := p.text
	if len(text) > tailLength {
		text = text[len(text)-tailLength:]
	}
	return base64.StdEncoding.EncodeToString(text)
}
