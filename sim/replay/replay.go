// Package replay goes through a flight recording again: the same inputs at the same instants through the same control
// plane give the same activities, and from any instant on it can be continued with other policies.
//
// It trusts nothing: every step is compared with what the server noted of it, and every snapshot that follows without a
// gap with the rows that the replay has come to. The first difference is told; there is none unless the build is another
// one or the control plane is not as deterministic as it has to be.
//
// It does not record (the daemon does), and reads no clock.
package replay

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/region"
	"github.com/billow-cloud/billow/flight"
	"github.com/billow-cloud/billow/sim/outcome"
)

// Options are how a recording is gone through.
type Options struct {
	Build flight.Build // the program's own
	Force bool         // also what another build has recorded
	To    time.Time    // the last instant, by the cloud's clock; zero is all
	// See, if set, is called after each step, and Begin after each load of a snapshot, with the cloud as it is then.
	See   func(c *cloud.Cloud, s flight.Step, out cloud.Output)
	Begin func(c *cloud.Cloud, h flight.Header)
}

// Result is what came of it.
type Result struct {
	Build      flight.Build // that recorded
	From, To   time.Time    // of the first and the last step, by the cloud's clock
	Segments   int
	Steps      int
	Difference *Difference // the first one
	Notes      []string    // what is missing in the recording, one sentence each
	Damaged    bool        // a part of it cannot be read: what was replayed is not all that happened
	Recorded   []Activity  // what happened, oldest first
	Replayed   []Activity  // what the replay came to
	Cloud      *cloud.Cloud
}

// Difference is where a replay leaves the recording.
type Difference struct {
	Segment string
	Step    int // in the segment, from 1; 0 is its snapshot
	At      time.Time
	What    string
}

func (d *Difference) String() string {
	if d.Step == 0 {
		return fmt.Sprintf("at the beginning of %s, %s", d.Segment, d.What)
	}
	return fmt.Sprintf("at step %d of %s (%s, %s)", d.Step, d.Segment, d.What, d.At.Format(time.RFC3339Nano))
}

// Activity is a scaling activity with the scope of its group.
type Activity struct {
	Scope string // "123456789012/us-east-1"
	autoscaling.Activity
}

// ErrBuild says that another build has made the recording.
type ErrBuild struct {
	Recorded, This flight.Build
	Form           bool // its inputs cannot even be read
}

func (e *ErrBuild) Error() string {
	if e.Form {
		return fmt.Sprintf("the recording was made by billow %s, whose inputs have another form than those of this build", e.Recorded)
	}
	return fmt.Sprintf("the recording was made by billow %s, and only that build gives the same for certain; this is %s (--force replays it all the same and says where it differs)", e.Recorded, e.This)
}

// Replay goes through the segments in files, oldest first.
func Replay(files []string, o Options) (*Result, error) {
	p := &player{options: o, result: &Result{}, recorded: map[string]flight.Row{}}
	var foreign error
	for _, f := range files {
		p.follows(f)
		more, err := p.segment(f)
		if errors.Is(err, flight.ErrDamaged) && len(files) > 1 { // the others stand without it
			p.damaged("%v; it is left out.", err)
			continue
		}
		if other := (*ErrBuild)(nil); errors.As(err, &other) { // before the server was another one: a segment stands alone
			p.note("%s is left out: billow %s has recorded it.", filepath.Base(f), other.Recorded)
			p.end, foreign = flight.End{}, err
			continue
		}
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	if p.result.Segments == 0 && foreign != nil {
		return nil, foreign
	}
	r := p.result
	if r.Segments == 0 {
		return nil, errors.New("the recording has no step")
	}
	if r.Steps == 0 && !o.To.IsZero() {
		return nil, fmt.Errorf("the recording begins after %s by the cloud's clock", o.To.UTC().Format(time.RFC3339))
	}
	r.Cloud = p.cloud
	for _, key := range slices.Sorted(maps.Keys(p.recorded)) {
		a, err := activity(key, p.recorded[key].Data)
		if err != nil {
			return nil, err
		}
		r.Recorded = append(r.Recorded, a)
	}
	p.cloud.Dump(func(table, key string, row any) bool {
		if a, ok := row.(*autoscaling.Activity); ok && table == flight.ActivityTable {
			r.Replayed = append(r.Replayed, Activity{scope(key), *a})
		}
		return true
	})
	for _, all := range [][]Activity{r.Recorded, r.Replayed} {
		slices.SortStableFunc(all, func(a, b Activity) int {
			return cmp.Or(a.Start.Compare(b.Start), strings.Compare(a.Scope+a.Group, b.Scope+b.Group), cmp.Compare(a.Number, b.Number))
		})
	}
	return r, nil
}

// player is a replay under way.
type player struct {
	options  Options
	result   *Result
	cloud    *cloud.Cloud
	header   flight.Header
	number   int                   // of the segment before, by its name; 0 if that has none
	end      flight.End            // of the segment before; empty if that was cut off or is missing
	recorded map[string]flight.Row // activities as the recording has them, by key
}

// follows notes segments that are missing before this one. Nothing can be compared across a hole.
func (p *player) follows(file string) {
	n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(file), flight.Suffix))
	switch missing := n - p.number - 1; {
	case n == 0 || p.number == 0 || missing == 0:
	case missing == 1:
		p.damaged("Segment %d is missing.", n-1)
	default:
		p.damaged("Segments %d to %d are missing.", p.number+1, n-1)
	}
	p.number = n
}

// damaged notes a hole in the recording.
func (p *player) damaged(format string, args ...any) {
	p.note(format, args...)
	p.result.Damaged, p.end = true, flight.End{}
}

// segment goes through one segment; more is false when the instant to stop at has come.
func (p *player) segment(file string) (more bool, err error) {
	r, err := flight.Open(file)
	if errors.Is(err, flight.ErrEmpty) {
		p.cutOff(file)
		return true, nil
	}
	if errors.Is(err, fs.ErrNotExist) && p.result.Segments == 0 { // the server has removed its oldest ones meanwhile
		p.note("%s is not there any more.", filepath.Base(file))
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	if err := p.fits(r.Header); err != nil {
		return false, err
	}
	if err := p.begin(r); err != nil {
		if errors.Is(err, flight.ErrEmpty) {
			p.cutOff(file)
			return true, nil
		}
		return false, err
	}
	p.result.Segments++
	if p.options.Begin != nil {
		p.options.Begin(p.cloud, r.Header)
	}
	if more, err = p.steps(r); err != nil || !more {
		return more, err
	}
	p.end = r.End
	switch {
	case r.Damaged != nil:
		p.damaged("%s is damaged after step %d of the recording; what follows in it is left out: %v.", filepath.Base(file), p.result.Steps, r.Damaged)
	case r.Cut:
		p.note("%s has no end: its server is still running, or was killed.", filepath.Base(file))
	case r.End.Cause == flight.CauseGap:
		p.note("Steps are missing after %s: %s.", filepath.Base(file), r.End.Note)
	}
	return true, nil
}

// cutOff notes a segment without a step: how much is missing before the next one is not known.
func (p *player) cutOff(file string) {
	p.note("%s was cut off before its first step.", filepath.Base(file))
	p.end = flight.End{}
}

func (p *player) note(format string, args ...any) {
	p.result.Notes = append(p.result.Notes, fmt.Sprintf(format, args...))
}

// fits refuses what another build has recorded.
func (p *player) fits(h flight.Header) error {
	if p.result.Segments == 0 {
		p.result.Build = h.Build
	}
	if !h.Build.Same(p.options.Build) && !p.options.Force {
		return &ErrBuild{Recorded: h.Build, This: p.options.Build}
	}
	if own := flight.Fingerprint(region.New(region.Options{})); h.Types != own {
		return &ErrBuild{Recorded: h.Build, This: p.options.Build, Form: true}
	}
	return nil
}

// begin loads the snapshot. Where nothing is missing since the segment before, the rows must be those that the replay has
// come to; after a rotation the same cloud even goes on.
func (p *player) begin(r *flight.Reader) error {
	h := r.Header
	if h.Cause == flight.CauseSize && p.cloud != nil && p.end.Cause == "" && !p.result.Damaged {
		p.damaged("Steps before %s are missing: its server went on, so the segment before is damaged.", filepath.Base(r.Path))
	}
	same := p.cloud != nil && p.end.Cause == h.Cause && h.Cause == flight.CauseSize && h.Server == p.header.Server
	compare := same || p.cloud != nil && p.end.Cause == flight.CauseStop && h.Cause == flight.CauseStart
	rows := map[string]string{}
	if compare {
		rows = rowsOf(p.cloud)
	}
	loaded, activities := region.New(h.Options), map[string]flight.Row{}
	different := ""
	moment, err := r.Load(func(table, key string, data []byte) error {
		if table == flight.ActivityTable {
			activities[key] = flight.Row{Table: table, Key: key, Data: bytes.Clone(data)}
		}
		if compare && rows[table+"\x00"+key] != string(data) {
			different = cmp.Or(different, fmt.Sprintf("row %q of %s", key, table))
		}
		delete(rows, table+"\x00"+key)
		if same {
			return nil
		}
		return loaded.Load(table, key, data)
	})
	if err != nil {
		return err
	}
	for _, left := range slices.Sorted(maps.Keys(rows)) {
		table, key, _ := strings.Cut(left, "\x00")
		different = cmp.Or(different, fmt.Sprintf("row %q of %s", key, table))
	}
	if different != "" {
		p.differs(&Difference{Segment: filepath.Base(r.Path), What: different + " is not what the replay has come to"})
	}
	if !same {
		p.cloud = loaded
		p.cloud.Resume(moment)
	}
	p.recorded, p.header = activities, h
	return nil
}

func (p *player) differs(d *Difference) {
	if p.result.Difference == nil {
		p.result.Difference = d
	}
}

func (p *player) steps(r *flight.Reader) (more bool, err error) {
	digest, buffer := uint32(0), []byte(nil)
	for n := 1; ; n++ {
		s, err := r.Next(p.cloud)
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if !p.options.To.IsZero() && s.At.After(p.options.To) {
			return false, nil
		}
		out := p.cloud.Step(s.At, s.Input)
		if digest, buffer = flight.Digest(digest, out, buffer); digest != s.Digest {
			p.differs(&Difference{Segment: filepath.Base(r.Path), Step: n, At: s.At, What: flight.Name(s.Input)})
		}
		for _, a := range s.Activities {
			if a.Data == nil {
				delete(p.recorded, a.Key)
			} else {
				p.recorded[a.Key] = a
			}
		}
		if p.result.Steps++; p.result.Steps == 1 {
			p.result.From = s.At
		}
		p.result.To = s.At
		if p.options.See != nil {
			p.options.See(p.cloud, s, out)
		}
	}
}

// rowsOf are all rows in their durable form.
func rowsOf(c *cloud.Cloud) map[string]string {
	rows := map[string]string{}
	c.Dump(func(table, key string, row any) bool {
		if r, err := flight.NewRow(table, key, row); err == nil {
			rows[table+"\x00"+key] = string(r.Data)
		}
		return true
	})
	return rows
}

func activity(key string, data []byte) (Activity, error) {
	a := Activity{Scope: scope(key)}
	err := json.Unmarshal(data, &a.Activity)
	return a, err
}

// Groups sorts activities by their groups, in the order in which those began. An outcome's Name is the group's scope.
func Groups(all []Activity) (groups []outcome.Outcome) {
	for _, a := range all {
		i := slices.IndexFunc(groups, func(o outcome.Outcome) bool { return o.Name == a.Scope && o.Group == a.Group })
		if i < 0 {
			i, groups = len(groups), append(groups, outcome.Outcome{Name: a.Scope, Group: a.Group})
		}
		groups[i].Activities = append(groups[i].Activities, outcome.Activity{
			ID: a.ID, StartTime: a.Start, EndTime: a.End, Description: a.Description, Cause: a.Cause, StatusCode: a.StatusCode,
		})
	}
	return groups
}

// scope is the head of a row's key.
func scope(key string) string {
	parts := strings.SplitN(key, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// End is the last instant of a recording, by the cloud's clock; zero if nothing of it can be read.
func End(files []string) (end time.Time) {
	operations := region.New(region.Options{})
	for _, f := range slices.Backward(files) {
		r, err := flight.Open(f)
		if err != nil {
			continue
		}
		moment, err := r.Load(func(string, string, []byte) error { return nil })
		for end = moment.Last; err == nil; {
			var s flight.Step
			if s, err = r.Next(operations); err == nil {
				end = s.At
			}
		}
		r.Close()
		if !end.IsZero() {
			return end
		}
	}
	return end
}
