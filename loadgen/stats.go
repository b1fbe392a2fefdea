package loadgen

import (
	"maps"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency describes how long answers took, from the intended time of sending until the
// whole body had come. Only answered requests are in it.
type Latency struct {
	Count               int64
	Mean                time.Duration
	P50, P90, P99, P999 time.Duration
	Max                 time.Duration
}

// Second is what happened in one second.
type Second struct {
	At       time.Duration // its end, since the start of the run
	Rate     float64       // that was meant at its end
	Sent     int64
	Answered int64          // with a status below 400
	Failed   map[string]int // by reason, such as "HTTP 502", "timeout" or "not sent: 1000 in flight"
	InFlight int            // at its end
	Latency  Latency
}

// Summary is what came of a run: Sent = Answered + Cancelled + what is in Failed, except
// for requests that are there as not sent.
type Summary struct {
	Elapsed   time.Duration
	Sent      int64
	NotSent   int64 // due, but too many were in flight; they are in Failed, too
	Answered  int64
	Cancelled int64
	Failed    map[string]int
	Latency   Latency
	// Lag is the greatest delay from when a request was due to when it was sent. It is part
	// of the latency; if it is large, the generator's own machine was too busy.
	Lag time.Duration
}

// Failures is the number of all failed requests.
func (s Summary) Failures() (n int) { return total(s.Failed) }

// Failures is the number of all failed requests.
func (s Second) Failures() (n int) { return total(s.Failed) }

func total(m map[string]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}

// stats counts, for this second and for the run.
type stats struct {
	mu       sync.Mutex
	start    time.Time
	now, all tally
	inFlight int
	lag      time.Duration
	unsent   int64
	gone     int64 // cancelled
}

type tally struct {
	sent, answered int64
	failed         map[string]int
	latency        *hdrhistogram.Histogram // microseconds
}

func newTally() tally {
	return tally{failed: map[string]int{}, latency: hdrhistogram.New(1, int64(time.Hour/time.Microsecond), 3)}
}

func (t *tally) fail(reason string) { t.failed[reason]++ }

func (s *stats) begin(start time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start, s.now, s.all = start, newTally(), newTally()
}

func (s *stats) sent(lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.sent++
	s.all.sent++
	s.inFlight++
	s.lag = max(s.lag, lag)
}

func (s *stats) notSent(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsent++
	s.now.fail(reason)
	s.all.fail(reason)
}

// ended counts a request that was sent.
func (s *stats) ended(due time.Time, status int, err error, cancelled bool) {
	took := time.Since(due)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	switch {
	case err != nil && cancelled:
		s.gone++
	case err != nil || status >= 400:
		s.now.fail(reason(status, err))
		s.all.fail(reason(status, err))
	default:
		s.now.answered++
		s.all.answered++
		// An error means that it took over an hour, which no time-out lets it.
		_ = s.now.latency.RecordValue(took.Microseconds())
		_ = s.all.latency.RecordValue(took.Microseconds())
	}
}

// second returns what was counted since the last call.
func (s *stats) second(now time.Time, rate float64) Second {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.now
	out := Second{At: now.Sub(s.start), Rate: rate, Sent: t.sent, Answered: t.answered,
		Failed: maps.Clone(t.failed), InFlight: s.inFlight, Latency: t.describe()}
	t.latency.Reset()
	clear(t.failed)
	s.now = tally{failed: t.failed, latency: t.latency}
	return out
}

func (s *stats) summary(now time.Time) Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Summary{Elapsed: now.Sub(s.start), Sent: s.all.sent, NotSent: s.unsent, Answered: s.all.answered,
		Cancelled: s.gone, Failed: maps.Clone(s.all.failed), Latency: s.all.describe(), Lag: s.lag}
}

func (t *tally) describe() Latency {
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	h := t.latency
	if h.TotalCount() == 0 {
		return Latency{}
	}
	return Latency{Count: h.TotalCount(), Mean: time.Duration(h.Mean() * float64(time.Microsecond)),
		P50: us(h.ValueAtQuantile(50)), P90: us(h.ValueAtQuantile(90)), P99: us(h.ValueAtQuantile(99)),
		P999: us(h.ValueAtQuantile(99.9)), Max: us(h.Max())}
}
