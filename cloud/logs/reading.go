package logs

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/logs"
	"github.com/billow-cloud/billow/cloud"
)

// What one answer may have, and what may be looked through for it.
const (
	maxEvents  = 10_000
	maxAnswer  = 1 << 20
	maxScanned = 8 << 20
)

// eventID is an event's, of 56 digits as AWS's: its time, its stream and its number there.
func eventID(stream string, l *Line) string {
	h := fnv.New64a()
	h.Write([]byte(stream))
	return fmt.Sprintf("%013d%020d%023d", max(l.At, 0), h.Sum64(), l.N)
}

// window is the time that a question is about: from, and up to but without to.
type window struct{ from, to int64 }

func (g *Group) window(tx *cloud.Tx, from, to *int64) window {
	w := window{max(api.Value(from), g.floor(tx)), math.MaxInt64}
	if to != nil {
		w.to = *to
	}
	return w
}

// GetLogEvents reads a stream, page by page in both directions. Without a token it is the last page, or the first.
func (s *Service) GetLogEvents(tx *cloud.Tx, in *shape.GetLogEventsInput) (*shape.GetLogEventsOutput, error) {
	g, st, err := s.stream(tx, in.LogGroupName, in.LogGroupIdentifier, in.LogStreamName)
	if err != nil {
		return nil, err
	}
	w := g.window(tx, in.StartTime, in.EndTime)
	back, at := !api.Value(in.StartFromHead), position{}
	if in.NextToken != nil {
		if back, at, err = parseToken(*in.NextToken); err != nil {
			return nil, err
		}
	}
	fits := func(l *Line) bool {
		return l.At >= w.from && l.At < w.to && (in.NextToken == nil || back && at.after(l) || !back && at.before(l))
	}
	all := s.lines(tx, st, w, back, int(api.Or(in.Limit, maxEvents)), fits)
	out := &shape.GetLogEventsOutput{Events: []shape.OutputLogEvent{}}
	for i := range all {
		out.Events = append(out.Events, shape.OutputLogEvent{Timestamp: &all[i].At, IngestionTime: &all[i].In, Message: &all[i].Text})
	}
	first, last := at, at
	if n := len(all); n > 0 {
		first, last = position{all[0].At, all[0].N}, position{all[n-1].At, all[n-1].N}
	} else if in.NextToken == nil {
		first, last = position{w.from, -1}, position{w.from, -1}
	}
	out.NextBackwardToken, out.NextForwardToken = new("b/"+first.String()), new("f/"+last.String())
	return out, nil
}

// lines gives as many of a stream's lines as an answer may have: the last that fit, or the first.
func (s *Service) lines(tx *cloud.Tx, st Stream, w window, back bool, limit int, fits func(*Line) bool) (all []Line) {
	var blocks []Block
	for _, b := range s.byStream.Each(tx, streamKey(st.Group, st.Name)) {
		if b.Last >= w.from && b.First < w.to {
			blocks = append(blocks, b)
		}
	}
	if back {
		slices.Reverse(blocks)
		defer func() { slices.Reverse(all) }()
	}
	size := 0
	for _, b := range blocks {
		for i := range b.Lines {
			l := &b.Lines[i]
			if back {
				l = &b.Lines[len(b.Lines)-1-i]
			}
			if !fits(l) {
				continue
			}
			if size += int(l.size()); len(all) == limit || len(all) > 0 && size > maxAnswer {
				return all
			}
			all = append(all, *l)
		}
	}
	return all
}

// position is a place in a stream: that of an event.
type position struct{ at, n int64 }

func (p position) before(l *Line) bool { return l.At > p.at || l.At == p.at && l.N > p.n }
func (p position) after(l *Line) bool  { return l.At < p.at || l.At == p.at && l.N < p.n }

// String is 56 digits, as AWS's are. Numbers are one more, since -1 is before all.
func (p position) String() string { return fmt.Sprintf("%028d%028d", max(p.at, 0), p.n+1) }

func parseToken(token string) (back bool, p position, err error) {
	kind, digits, _ := strings.Cut(token, "/")
	if len(digits) == 56 && (kind == "b" || kind == "f") {
		at, err1 := strconv.ParseInt(digits[:28], 10, 64)
		n, err2 := strconv.ParseInt(digits[28:], 10, 64)
		if err1 == nil && err2 == nil {
			return kind == "b", position{at, n - 1}, nil
		}
	}
	return false, p, invalid("The specified nextToken is invalid.")
}

// cursor is a place in a block that is being read.
type cursor struct {
	stream string
	lines  []Line // those not read
}

// cursors are a heap: the next event of all streams is on top.
type cursors []cursor

func (c cursors) Len() int           { return len(c) }
func (c cursors) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *cursors) Push(x any)        { *c = append(*c, x.(cursor)) }
func (c cursors) Less(i, j int) bool { return c[i].place().less(c[j].place()) }
func (c *cursors) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

func (c cursor) place() place { return place{c.lines[0].At, c.stream, c.lines[0].N} }

// place is where an event stands among all of a group: by time, then by stream.
type place struct {
	at     int64
	stream string
	n      int64
}

func (p place) less(q place) bool {
	switch {
	case p.at != q.at:
		return p.at < q.at
	case p.stream != q.stream:
		return p.stream < q.stream
	}
	return p.n < q.n
}

func (p place) String() string { return fmt.Sprintf("%d/%d/%s", p.at, p.n, p.stream) }

func parsePlace(token string) (p place, err error) {
	parts := strings.SplitN(token, "/", 3)
	if len(parts) != 3 {
		return p, invalid("The specified nextToken is invalid.")
	}
	at, err1 := strconv.ParseInt(parts[0], 10, 64)
	n, err2 := strconv.ParseInt(parts[1], 10, 64)
	if err1 != nil || err2 != nil {
		return p, invalid("The specified nextToken is invalid.")
	}
	return place{at, parts[2], n}, nil
}

// FilterLogEvents finds events in all streams of a group, or some, in order of time.
func (s *Service) FilterLogEvents(tx *cloud.Tx, in *shape.FilterLogEventsInput) (*shape.FilterLogEventsOutput, error) {
	g, err := s.group(tx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	if in.LogStreamNames != nil && in.LogStreamNamePrefix != nil {
		return nil, invalid("LogStreamNamePrefix and LogStreamNames are mutually exclusive parameters.")
	}
	pattern, err := parsePattern(api.Value(in.FilterPattern))
	if err != nil {
		return nil, err
	}
	w := g.window(tx, in.StartTime, in.EndTime)
	var after place
	if in.NextToken != nil {
		if after, err = parsePlace(*in.NextToken); err != nil {
			return nil, err
		}
		w.from = max(w.from, after.at)
	}
	for _, name := range in.LogStreamNames {
		if !s.streams.Has(tx, streamKey(g.Name, name)) {
			return nil, noStream()
		}
	}
	out := &shape.FilterLogEventsOutput{Events: []shape.FilteredLogEvent{}, SearchedLogStreams: []shape.SearchedLogStream{}}
	limit, scanned, size := int(api.Or(in.Limit, maxEvents)), 0, 0
	for stream, l := range s.merged(tx, &g, in, w) {
		at := place{l.At, stream, l.N}
		if in.NextToken != nil && !after.less(at) {
			continue
		}
		if len(out.Events) == limit || size > maxAnswer || scanned > maxScanned {
			out.NextToken = new(after.String())
			break
		}
		after = at
		scanned += len(l.Text) + perEvent
		if pattern.fits(l.Text) {
			size += len(l.Text) + perEvent
			out.Events = append(out.Events, shape.FilteredLogEvent{LogStreamName: new(stream), Timestamp: new(l.At), IngestionTime: new(l.In),
				Message: new(l.Text), EventId: new(eventID(stream, &l))})
		}
	}
	return out, nil
}

// merged yields the events of a window, of the streams that a question is about, in order.
func (s *Service) merged(tx *cloud.Tx, g *Group, in *shape.FilterLogEventsInput, w window) func(yield func(string, Line) bool) {
	wanted := func(stream string) bool {
		return strings.HasPrefix(stream, api.Value(in.LogStreamNamePrefix)) && (in.LogStreamNames == nil || slices.Contains(in.LogStreamNames, stream))
	}
	return func(yield func(string, Line) bool) {
		var open cursors
		// before yields what comes before an instant.
		before := func(until int64) bool {
			for len(open) > 0 && open[0].lines[0].At < until {
				c := &open[0]
				l := c.lines[0]
				if l.At >= w.to {
					heap.Pop(&open)
					continue
				}
				stream := c.stream
				if c.lines = c.lines[1:]; len(c.lines) == 0 {
					heap.Pop(&open)
				} else {
					heap.Fix(&open, 0)
				}
				if !yield(stream, l) {
					return false
				}
			}
			return true
		}
		for _, b := range s.blocks.Prefix(tx, g.Name+"\x00") {
			if b.Last < w.from || b.First >= w.to || !wanted(b.Stream) {
				continue
			}
			if !before(b.First) {
				return
			}
			from, _ := slices.BinarySearchFunc(b.Lines, w.from, func(l Line, at int64) int {
				if l.At < at {
					return -1
				}
				return 1
			})
			if from < len(b.Lines) {
				heap.Push(&open, cursor{b.Stream, b.Lines[from:]})
			}
		}
		before(math.MaxInt64)
	}
}
