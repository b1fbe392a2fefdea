package balancer

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// checker checks one target, one check at a time, until it is closed.
type checker struct {
	b    *Balancer
	t    *target
	spec checkSpec
	seen State // in the last table; guarded by Balancer.mu
	stop context.Context
	end  context.CancelFunc

	mu     sync.Mutex
	timer  *time.Timer
	due    time.Time
	spread bool         // the timer has been put into its place in the interval
	last   HealthResult // the last one that was reported, or what the state stands for
}

// checkSpec is what to check and when; a checker lives as long as its does not change.
type checkSpec struct {
	protocol, address, path, matcher string
	interval, timeout                time.Duration // wall
}

func (b *Balancer) specOf(h *HealthCheck, t *Target) checkSpec {
	return checkSpec{
		protocol: cmp.Or(h.Protocol, ProtocolHTTP), address: instanceAddress(t.Address, h.Port),
		path: cmp.Or(h.Path, "/"), matcher: h.Matcher,
		interval: max(b.wall(cmp.Or(h.Interval, 30*time.Second), 0), checkFloor),
		timeout:  b.wall(cmp.Or(h.Timeout, 5*time.Second), healthFloor),
	}
}

// check starts and ends checkers as the table says: targets that are draining, unused, of a
// group without checks, or of a group that no listener uses (LB-HC-08), have none.
func (b *Balancer) check(t *table) {
	wanted := make(map[targetKey]checkSpec, len(t.targets))
	for key, place := range t.targets {
		h := &t.groups[key.group].HealthCheck
		switch place.State {
		case StateInitial, StateHealthy, StateUnhealthy:
			if h.Enabled && t.used[key.group] {
				wanted[key] = b.specOf(h, place)
			}
		}
	}
	for key, k := range b.checkers {
		spec, ok := wanted[key]
		// Registered anew: the first check of an initial target is made at once.
		anew := ok && t.targets[key].State == StateInitial && k.seen != StateInitial
		if !ok || spec != k.spec || anew {
			k.close()
			delete(b.checkers, key)
		} else {
			k.seen = t.targets[key].State
		}
	}
	for key, spec := range wanted {
		if b.checkers[key] == nil {
			b.checkers[key] = b.newChecker(b.targets[key], spec)
		}
	}
}

func (b *Balancer) newChecker(t *target, spec checkSpec) *checker {
	k := &checker{b: b, t: t, spec: spec, seen: t.config.Load().State}
	k.last.Passed = k.seen == StateHealthy
	k.stop, k.end = context.WithCancel(b.stop)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due = time.Now()
	k.timer = time.AfterFunc(0, k.run)
	return k
}

func (k *checker) close() {
	k.end()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer.Stop()
}

// run makes one check and sets the timer for the next.
func (k *checker) run() {
	select {
	case k.b.checkSlots <- struct{}{}:
	case <-k.stop.Done():
		return
	}
	r := k.probe()
	<-k.b.checkSlots
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stop.Err() != nil {
		return
	}
	k.report(r)
	k.due = k.due.Add(k.spec.interval)
	if !k.spread { // over the interval, always in the same way, by the target's ID
		k.spread = true
		h := fnv.New32a()
		io.WriteString(h, k.t.key.group+" "+k.t.key.id)
		k.due = k.due.Add(-time.Duration(float64(k.spec.interval) / 4 * float64(h.Sum32()) / (1 << 32)))
	}
	if late := time.Since(k.due); late > 0 {
		k.due = k.due.Add(late)
	}
	k.timer.Reset(time.Until(k.due))
}

// report passes a result on if it can matter; see Facts.
func (k *checker) report(r HealthResult) {
	place := k.t.config.Load()
	agrees := place.State == StateHealthy && r.Passed || place.State == StateUnhealthy && !r.Passed
	same := r.Passed == k.last.Passed && r.Reason == k.last.Reason && r.Code == k.last.Code
	if r.Passed && k.last.Passed {
		same = true // whatever code it was
	}
	if agrees && same && !place.Streak {
		return
	}
	k.last = r
	k.b.facts.health(r)
}

// probe asks the target once.
func (k *checker) probe() HealthResult {
	ctx, cancel := context.WithTimeout(k.stop, k.spec.timeout)
	defer cancel()
	code, err := k.ask(ctx)
	r := HealthResult{TargetGroup: k.t.key.group, Target: k.t.key.id, At: time.Now(), Code: code}
	switch {
	case err != nil && isTimeout(err):
		r.Reason = ReasonTimeout
	case err != nil:
		r.Reason = ReasonFailedHealthChecks
	case k.spec.protocol == ProtocolTCP || k.matches(code):
		r.Passed = true
	default:
		r.Reason = ReasonResponseCodeMismatch
	}
	return r
}

// ask connects and, for HTTP, makes the request of LB-HC-02.
func (k *checker) ask(ctx context.Context) (code int, err error) {
	c, err := k.b.connect(ctx, k.spec.address, k.spec.timeout)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if k.spec.protocol == ProtocolTCP {
		return 0, nil
	}
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline) // an error shows at the next use
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n",
		k.spec.path, k.spec.address); err != nil {
		return 0, err
	}
	const enough = 64 << 10
	res, err := http.ReadResponse(bufio.NewReader(io.LimitReader(c, enough)), nil)
	if err != nil {
		return 0, err
	}
	// Read what comes, so that a small server is not met with a reset while it is writing.
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, nil
}

func (k *checker) matches(code int) bool {
	m, err := parseMatcher(k.spec.matcher)
	if err != nil {
		return code == http.StatusOK
	}
	return m(code)
}

// parseMatcher reads "200,202" or "200-299,301"; empty is 200 (LB-HC-01).
func parseMatcher(s string) (func(code int) bool, error) {
	type span struct{ low, high int }
	var spans []span
	for part := range strings.SplitSeq(cmp.Or(s, "200"), ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		low, err := strconv.Atoi(strings.TrimSpace(from))
		high := low
		if err == nil && isRange {
			high, err = strconv.Atoi(strings.TrimSpace(to))
		}
		if err != nil || low > high {
			return nil, fmt.Errorf("balancer: matcher %q is not a list of codes and ranges", s)
		}
		spans = append(spans, span{low, high})
	}
	return func(code int) bool {
		for _, s := range spans {
			if s.low <= code && code <= s.high {
				return true
			}
		}
		return false
	}, nil
}
