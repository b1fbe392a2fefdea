package loadgen

import (
	"math"
	"time"
)

// pace says when requests are due: one whenever the integral of the rate over time has
// grown by what draw gives. The rate goes linearly from one value to another, then stays.
type pace struct {
	since    time.Time // when the rate began to change
	from, to float64   // requests per second
	over     time.Duration

	draw func() float64 // 1, or exponentially distributed
	last time.Time      // when the last request was due, or the rate was changed
	need float64        // what is left of the integral at last until the next one
}

// begin starts the schedule; changes made before it took effect count from then.
func (p *pace) begin(now time.Time) {
	p.since, p.last = now, now
	p.need = p.draw()
}

func (p *pace) rate(t time.Time) float64 {
	d := t.Sub(p.since)
	if d >= p.over {
		return p.to
	}
	return p.from + (p.to-p.from)*max(float64(d)/float64(p.over), 0)
}

// split gives the rate at last and its slope, for the seconds that are left of the change.
func (p *pace) split() (rate, slope, seconds float64) {
	rate = p.rate(p.last)
	if seconds = (p.over - p.last.Sub(p.since)).Seconds(); seconds > 0 {
		return rate, (p.to - p.from) / p.over.Seconds(), seconds
	}
	return rate, 0, 0
}

// next is when the next request is due; false if it never is at this rate.
func (p *pace) next() (time.Time, bool) {
	if p.need <= 0 {
		return p.last, true
	}
	rate, slope, seconds := p.split()
	// Solve rate·x + slope/2·x² = need, in the form that is exact for small slopes.
	if root := rate*rate + 2*slope*p.need; seconds > 0 && root >= 0 {
		if x := 2 * p.need / (rate + math.Sqrt(root)); x <= seconds {
			return p.after(x), true
		}
	}
	left := p.need - rate*seconds - slope/2*seconds*seconds
	if p.to <= 0 {
		return time.Time{}, false
	}
	return p.after(seconds + left/p.to), true
}

func (p *pace) after(seconds float64) time.Time {
	return p.last.Add(time.Duration(seconds * float64(time.Second)))
}

// take says that the request that was due then is under way.
func (p *pace) take(due time.Time) {
	p.last, p.need = due, p.draw()
}

// change sets a new course from now. What has come together toward the next request is kept.
func (p *pace) change(now time.Time, to float64, over time.Duration) {
	from := p.rate(now)
	if now.After(p.last) {
		rate, slope, seconds := p.split()
		x := now.Sub(p.last).Seconds()
		curved := min(x, seconds)
		p.need -= rate*curved + slope/2*curved*curved + p.to*(x-curved)
		p.last = now
	}
	p.since, p.from, p.to, p.over = now, from, to, over
}
