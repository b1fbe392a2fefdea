// Package demo is `billow demo`: the main job of this cloud, shown live in a terminal with a small real web application.
//
// It starts a private server and speaks to it over HTTP like any client: an image, a template, a load balancer, a group
// of 1 to 4 with target tracking; then load, growth, an instance killed under load and replaced, and shrinking back to
// one. It knows nothing of the server's inside; what it shows, anybody could ask.
//
// It fails when any of that did not happen, and it leaves nothing behind, also when it is interrupted.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// Options are the demo's flags.
type Options struct {
	Driver       string
	TimeScale    float64
	CoresPerVCPU float64
	Burn         time.Duration // processor time per request
	Record       string        // a directory that gets the server's flight recording and its activities; empty is none
	Out          io.Writer
	Terminal     bool // Out is a terminal that can show a live view
}

// Load, as a share of what one instance can do. With a target of 50 %, 1.4 needs three instances: 140 % over two is 70,
// over three 47. In the quiet phases an instance is almost idle.
const (
	quiet = 0.04
	heavy = 1.4
)

// How long each act may take, by the wall clock, whatever the time scale.
const (
	settleTime = 45 * time.Second
	growTime   = 60 * time.Second
	shrinkTime = 75 * time.Second
)

// demo is one run.
type demo struct {
	options Options
	server  *server
	stack   *stack
	load    *load
	view    view
	began   time.Time

	state   state
	marks   marks
	replica string // the instance that was killed
}

// marks are the moments that the summary is about, by the wall clock.
type marks struct {
	breach, decision, inService, grown, killed, replaced, quiet, shrunk time.Time
}

// Run shows the whole loop and returns an error when any part of it did not happen.
func Run(ctx context.Context, o Options) (err error) {
	d := &demo{options: o, began: time.Now(), view: newView(o)}
	defer d.view.close()
	d.say("starting a private server: every cloud minute takes %.3g s (time scale %g)", 60/o.TimeScale, o.TimeScale)
	if d.server, err = startServer(ctx, o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.server.stop()) }()
	d.stack = newStack(d.server, d.say)
	for _, note := range d.server.Notes {
		d.say("this host: %s", note)
	}
	if err := d.stack.create(ctx, o.Burn); err != nil {
		return fmt.Errorf("the set-up failed: %w", err)
	}
	return d.acts(ctx)
}

// acts is the story.
func (d *demo) acts(ctx context.Context) error {
	d.view.phase("waiting for the first instance")
	if err := d.watch(ctx, settleTime, "the first instance takes traffic", func() bool { return d.state.Healthy >= minSize }); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var err error
	if d.load, err = startLoad(ctx, d.server.Endpoint, d.stack.DNSName, d.rate(quiet)); err != nil {
		return err
	}
	if err := d.pause(ctx, 2*time.Minute); err != nil {
		return err
	}
	for _, act := range []func(context.Context) error{d.grow, d.lose, d.shrink} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	d.summary(d.load.end())
	return d.record()
}

// rate is the number of requests a second that uses so many instances' worth of processor time.
func (d *demo) rate(instances float64) float64 {
	return instances * d.options.CoresPerVCPU / d.options.Burn.Seconds()
}

func (d *demo) grow(ctx context.Context) error {
	d.load.generator.SetRate(d.rate(heavy))
	d.marks.breach = time.Now()
	d.view.phase("load")
	d.say("load: %.0f requests a second, %.0f %% of what one instance can do", d.rate(heavy), 100*heavy)
	err := d.watch(ctx, growTime, "the group grows to 3", func() bool {
		if d.marks.decision.IsZero() && d.state.Desired > minSize {
			d.marks.decision = time.Now()
		}
		if d.marks.inService.IsZero() && d.state.Healthy > minSize {
			d.marks.inService = time.Now()
		}
		return d.state.Healthy >= 3 && len(d.state.InService) >= 3
	})
	d.marks.grown = time.Now()
	if err != nil {
		return err
	}
	return d.pause(ctx, 2*time.Minute)
}

// lose kills an instance under load and waits for its replacement.
func (d *demo) lose(ctx context.Context) error {
	d.replica = d.state.InService[0]
	d.view.phase("one instance killed under load")
	d.say("killing %s behind the group's back", d.replica)
	d.marks.killed = time.Now()
	if err := d.stack.kill(ctx, d.replica); err != nil {
		return err
	}
	before := d.state
	err := d.watch(ctx, settleTime, "the killed instance is replaced", func() bool { return replaced(before, d.state, d.replica) })
	d.marks.replaced = time.Now()
	if err != nil {
		return err
	}
	return d.pause(ctx, 2*time.Minute)
}

// replaced tells whether a group is again as large as it was before the kill. Having enough instances is not enough: it
// may have had more than it needed.
func replaced(before, now state, killed string) bool {
	size := len(before.InService)
	return !slices.Contains(now.InService, killed) && len(now.InService) >= size && now.Healthy >= size
}

func (d *demo) shrink(ctx context.Context) error {
	d.load.generator.SetRate(d.rate(quiet))
	d.marks.quiet = time.Now()
	d.view.phase("the load has ended")
	d.say("load: %.0f requests a second", d.rate(quiet))
	err := d.watch(ctx, shrinkTime, "the group shrinks to 1", func() bool {
		return d.state.Desired == minSize && len(d.state.InService) == minSize && d.state.Ending == 0
	})
	d.marks.shrunk = time.Now()
	return err
}

// watch looks at the group and shows it until a condition holds.
func (d *demo) watch(ctx context.Context, within time.Duration, what string, holds func() bool) error {
	return until(ctx, within, what, func() (bool, error) {
		err := d.look(ctx)
		return err == nil && holds(), err
	})
}

// pause goes on showing for a span of cloud time.
func (d *demo) pause(ctx context.Context, cloud time.Duration) error {
	end := time.Now().Add(time.Duration(float64(cloud) / d.options.TimeScale))
	return d.watch(ctx, time.Minute, "time passes", func() bool { return time.Now().After(end) })
}

func (d *demo) look(ctx context.Context) error {
	now, err := d.server.cloudTime(ctx)
	if err != nil {
		return err
	}
	seen := map[string]astypes.ScalingActivityStatusCode{}
	for _, a := range d.state.Activities {
		seen[*a.ActivityId] = a.StatusCode
	}
	if d.state, err = d.stack.look(ctx, now); err != nil {
		return err
	}
	for _, a := range slices.Backward(d.state.Activities) {
		if status, known := seen[*a.ActivityId]; !known || status != a.StatusCode && ended(a.StatusCode) {
			d.view.event(d.stamp() + " " + activityLine(a))
			if !known {
				d.view.event("       " + causes(a)[0])
			}
		}
	}
	d.view.show(time.Since(d.began), d.state, d.load.now())
	return nil
}

func ended(s astypes.ScalingActivityStatusCode) bool {
	return s == astypes.ScalingActivityStatusCodeSuccessful || s == astypes.ScalingActivityStatusCodeFailed ||
		s == astypes.ScalingActivityStatusCodeCancelled
}

func (d *demo) say(format string, args ...any) {
	d.view.event(d.stamp() + " " + fmt.Sprintf(format, args...))
}

func (d *demo) stamp() string { return fmt.Sprintf("%5.1fs", time.Since(d.began).Seconds()) }
