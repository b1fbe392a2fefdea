package daemon

import "time"

// Clock is the cloud's clock: it runs Scale times as fast as the wall clock from a common start.
type Clock struct {
	Wall  time.Time // the two clocks' common start: when the wall clock showed Wall, the cloud's showed Cloud
	Cloud time.Time
	Scale float64
}

// At is the cloud's time at an instant of the wall clock: a time as rows keep it, without a reading of this host's
// monotonic clock.
func (c Clock) At(wall time.Time) time.Time {
	return c.Cloud.Add(time.Duration(float64(wall.Sub(c.Wall)) * c.Scale)).UTC().Round(0)
}

// Now is the cloud's time now.
func (c Clock) Now() time.Time { return c.At(time.Now()) }

// Until is how long, by the wall clock, it takes until the cloud's clock shows t; negative if it has.
func (c Clock) Until(t time.Time) time.Duration {
	return c.wall(t.Sub(c.Now()))
}

// wall turns a span of cloud time into wall time.
func (c Clock) wall(d time.Duration) time.Duration { return time.Duration(float64(d) / c.Scale) }

// rebase is the same clock, going on at another speed from an instant of the wall clock. It never goes back, also when
// the wall clock was set back between two runs.
func (c Clock) rebase(wall time.Time, scale float64) Clock {
	if wall.Before(c.Wall) {
		return Clock{Wall: wall, Cloud: c.Cloud, Scale: scale}
	}
	return Clock{Wall: wall, Cloud: c.At(wall), Scale: scale}
}
