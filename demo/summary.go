package demo

import (
	"fmt"
	"maps"
	"slices"
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/billow-cloud/billow/loadgen"
)

// summary is what the demo says at the end; every figure is measured, the activities are the API's own.
func (d *demo) summary(load loadgen.Summary) {
	m := d.marks
	d.view.phase("summary")
	line := func(format string, args ...any) { d.view.event(fmt.Sprintf(format, args...)) }
	line("requests: %d sent, %d answered, %d failed; latency from the intended send time: p50 %s, p99 %s, longest %s",
		load.Sent, load.Answered, load.Failures(), milliseconds(load.Latency.P50), milliseconds(load.Latency.P99), milliseconds(load.Latency.Max))
	for _, reason := range slices.Sorted(maps.Keys(load.Failed)) {
		line("  failed: %d x %s", load.Failed[reason], reason)
	}
	line("from the load step to the decision:        %s", d.span(m.breach, m.decision))
	line("from the decision to the first new target: %s", d.span(m.decision, m.inService))
	line("from the load step to 3 instances:         %s", d.span(m.breach, m.grown))
	line("from the kill to the replacement:          %s", d.span(m.killed, m.replaced))
	line("from the end of the load to 1 instance:    %s", d.span(m.quiet, m.shrunk))
	line("(AWS's own share: the high alarm needs 3 periods of a minute, the low one 15; time scale %g)", d.options.TimeScale)
	line("")
	line("activities, oldest first:")
	for _, a := range slices.Backward(d.state.Activities) {
		line("  %s: %s", a.StatusCode, *a.Description)
		for _, sentence := range causes(a) {
			line("      %s", sentence)
		}
		if a.StatusCode == astypes.ScalingActivityStatusCodeFailed && a.StatusMessage != nil {
			line("      %s", *a.StatusMessage)
		}
	}
	line("")
	line("the loop closed in %.0f s", time.Since(d.began).Seconds())
}

// span is a length of time by both clocks.
func (d *demo) span(from, to time.Time) string {
	wall := to.Sub(from).Seconds()
	return fmt.Sprintf("%6.2f s (%.0f s of cloud time)", wall, wall*d.options.TimeScale)
}
