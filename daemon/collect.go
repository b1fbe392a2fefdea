package daemon

import (
	"context"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// How often the daemon looks, in cloud time for metrics (their standard resolution) and in wall time for the inventory,
// which is there for what no event told.
const (
	metricPeriod    = time.Minute
	inventoryPeriod = 5 * time.Second
	// checkFloor is the least time by the wall clock between two status checks, which are due each minute of the cloud's:
	// what an instance cannot do in it is not for want of time.
	checkFloor = 2 * time.Second
)

// collect hands the control plane one batch of measurements per minute of cloud time, at the minute, until ctx ends.
func (d *Daemon) collect(ctx context.Context) {
	for {
		next := d.loop.clock.Now().Truncate(metricPeriod).Add(metricPeriod)
		if !sleep(ctx, d.loop.clock.Until(next)) {
			return
		}
		var facts []cloud.Fact
		usage, err := d.instances.usage(ctx, next)
		if err == nil {
			facts = append(facts, usage)
		} else if ctx.Err() == nil {
			d.log.Warn("a minute has no instance metrics", "error", err)
		}
		d.loop.observe(append(facts, d.routes.traffic(next))...)
	}
}

// check has the instances' status checked until ctx ends.
func (d *Daemon) check(ctx context.Context) {
	for sleep(ctx, max(checkFloor, d.loop.clock.Until(d.loop.clock.Now().Add(metricPeriod)))) {
		if err := d.instances.check(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("no status checks", "error", err)
		}
	}
}

// look takes inventories until ctx ends.
func (d *Daemon) look(ctx context.Context) {
	for sleep(ctx, inventoryPeriod) {
		if err := d.instances.inventory(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("no inventory", "error", err)
		}
	}
}

// sleep waits and tells whether ctx is still good.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
