package demo

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// view shows what happens. Its methods are called from one goroutine.
type view interface {
	phase(name string)
	event(line string)
	show(since time.Duration, s state, l totals)
	close()
}

func newView(o Options) view {
	if o.Terminal {
		return newLiveView(o.Out)
	}
	return &plainView{out: o.Out}
}

// plainEvery is how often the plain view prints a line when nothing else happens.
const plainEvery = 2 * time.Second

// plainView prints lines, for logs and pipes.
type plainView struct {
	out  io.Writer
	last time.Duration
}

func (v *plainView) phase(name string) { fmt.Fprintf(v.out, "\n== %s\n", name) }
func (v *plainView) event(line string) { fmt.Fprintln(v.out, line) }
func (v *plainView) close()            {}

func (v *plainView) show(since time.Duration, s state, l totals) {
	if since-v.last < plainEvery {
		return
	}
	v.last = since
	fmt.Fprintf(v.out, "%5.1fs %s\n", since.Seconds(), statusLine(s, l))
}

// statusLine is the group and the load in one line.
func statusLine(s state, l totals) string {
	return fmt.Sprintf("desired %d, in service %d, healthy %d | CPU %s | %4.0f requests/s, p50 %s, p99 %s, failed %d",
		s.Desired, len(s.InService), s.Healthy, percent(s.CPU), l.Rate, milliseconds(l.Latency.P50), milliseconds(l.Latency.P99), l.AllFailed)
}

func percent(v *float64) string {
	if v == nil {
		return "   -"
	}
	return fmt.Sprintf("%3.0f%%", *v)
}

func milliseconds(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}

// activityLine is a scaling activity with the part of its cause that says why.
func activityLine(a astypes.Activity) string {
	return fmt.Sprintf("activity %-22s %s", a.StatusCode, aws.ToString(a.Description))
}

// causes breaks an activity's cause into its sentences.
func causes(a astypes.Activity) []string { return strings.Split(aws.ToString(a.Cause), "  ") }
