package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/flight"
	"github.com/billow-cloud/billow/sim/outcome"
	"github.com/billow-cloud/billow/sim/replay"
	"github.com/billow-cloud/billow/sim/report"
)

type simReplay struct {
	Recording string   `arg:"" help:"A server's data directory, a directory of segments, or one segment. The server may be running." type:"path"`
	To        string   `help:"Stop at this instant of the cloud's clock: 2026-09-27T12:00:00Z, 12:00 (UTC, the last there is), or how long before the end: 5m." placeholder:"TIME"`
	Group     string   `help:"Only this Auto Scaling group." placeholder:"NAME"`
	Force     bool     `help:"Replay what another build has recorded, too."`
	JSON      bool     `name:"json" help:"Print JSON."`
	At        string   `help:"Continue from this instant in virtual time, with what --policy and --remove change." placeholder:"TIME"`
	Until     string   `help:"Up to this instant; the recording's end if it is not given, or earlier." placeholder:"TIME"`
	Policy    []string `help:"Policies, alarms or schedules, as aws describes or takes them: they replace those of the same name." aliases:"policies,alarm" placeholder:"FILE" type:"existingfile" sep:"none"`
	Remove    []string `help:"A policy to be removed." placeholder:"NAME" sep:"none"`
	World     string   `help:"A world model to continue in, in place of the measured one; see billow sim world." placeholder:"FILE" type:"existingfile"`
}

func (s *simReplay) Run(ctx context.Context) error {
	files, err := flight.Files(s.Recording)
	if err != nil {
		return err
	}
	switch continued := len(s.Policy)+len(s.Remove) > 0; {
	case s.At != "":
		return s.proceed(ctx, files)
	case continued || s.World != "" || s.Until != "":
		return errors.New("--policy, --remove, --world and --until need --at: the instant from which on something is different")
	}
	to, err := s.instant("--to", s.To, files)
	if err != nil {
		return err
	}
	r, err := replay.Replay(files, replay.Options{Build: flight.ThisBuild(), Force: s.Force, To: to})
	if err != nil {
		return err
	}
	if groups := replay.Groups(r.Replayed); s.Group != "" && !slices.ContainsFunc(groups, func(o outcome.Outcome) bool { return o.Group == s.Group }) {
		var names []string
		for _, o := range groups {
			names = append(names, o.Group)
		}
		return fmt.Errorf("the recording has no activity of a group %s; it has some of: %s", s.Group, cmp.Or(strings.Join(names, ", "), "none"))
	}
	if s.JSON {
		err = s.printJSON(os.Stdout, r)
	} else {
		s.print(os.Stdout, r)
	}
	if err == nil && (!identical(r) || r.Damaged) {
		err = exitStatus(1)
	}
	return err
}

// instant reads a time as `billow explain` does, seen from the end of the recording; an empty one is zero.
func (s *simReplay) instant(flag, text string, files []string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := autoscaling.Moment(text, replay.End(files))
	if known := (*api.Error)(nil); errors.As(err, &known) {
		err = fmt.Errorf("%s: %s", flag, known.Message)
	}
	return at, err
}

// identical tells whether the replay gave what the server did.
func identical(r *replay.Result) bool {
	return r.Difference == nil && slices.Equal(r.Recorded, r.Replayed)
}

// replayedActivity is one activity as `aws autoscaling describe-scaling-activities` prints it.
type replayedActivity struct {
	ActivityId           string
	AutoScalingGroupName string
	Description          string
	Cause                string
	StartTime            time.Time
	EndTime              *time.Time `json:",omitempty"`
	StatusCode           string
	StatusMessage        string `json:",omitempty"`
	Progress             int
}

func (s *simReplay) printJSON(w io.Writer, r *replay.Result) error {
	out := struct {
		Build      string
		From, To   time.Time
		Segments   int
		Steps      int
		Identical  bool
		Damaged    bool
		Difference string `json:",omitempty"`
		Notes      []string
		Activities []replayedActivity // newest first
	}{
		Build: r.Build.String(), From: r.From, To: r.To, Segments: r.Segments, Steps: r.Steps, Identical: identical(r), Damaged: r.Damaged,
		Notes: append([]string{}, r.Notes...), Activities: []replayedActivity{},
	}
	if r.Difference != nil {
		out.Difference = r.Difference.String()
	}
	for _, a := range slices.Backward(r.Replayed) {
		if s.Group != "" && a.Group != s.Group {
			continue
		}
		x := replayedActivity{
			ActivityId: a.ID, AutoScalingGroupName: a.Group, Description: a.Description, Cause: a.Cause, StartTime: a.Start,
			StatusCode: a.StatusCode, StatusMessage: a.StatusMessage, Progress: a.Progress,
		}
		if !a.End.IsZero() {
			x.EndTime = &a.End
		}
		out.Activities = append(out.Activities, x)
	}
	return printJSON(w, out)
}

func (s *simReplay) print(w io.Writer, r *replay.Result) {
	fmt.Fprintf(w, "recorded by billow %s\n", r.Build)
	for _, n := range r.Notes {
		fmt.Fprintln(w, "note:", n)
	}
	for _, group := range replay.Groups(r.Replayed) {
		if s.Group != "" && group.Group != s.Group {
			continue
		}
		fmt.Fprintf(w, "\n%s (%s)\n", group.Group, group.Name)
		report.Activities(w, group)
	}
	fmt.Fprintln(w)
	segments := "1 segment"
	if r.Segments != 1 {
		segments = fmt.Sprintf("%d segments", r.Segments)
	}
	span := fmt.Sprintf("%d steps in %s, from %s to %s by the cloud's clock", r.Steps, segments, r.From.Format(replayStamp), r.To.Format(replayStamp))
	switch {
	case r.Difference != nil:
		fmt.Fprintf(w, "DIFFERENT %s; %s\n", r.Difference, span)
	case !identical(r):
		fmt.Fprintf(w, "DIFFERENT activities; %s\n", span)
	case r.Damaged:
		fmt.Fprintf(w, "identical as far as the recording can be read: %s\n", span)
	default:
		fmt.Fprintf(w, "identical: %s\n", span)
	}
}
