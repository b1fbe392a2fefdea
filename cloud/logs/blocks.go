package logs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// Group is the row of a log group, found by its name.
type Group struct {
	Name      string
	Created   time.Time
	Retention int32  `json:",omitempty"` // days; 0 is for ever
	Class     string `json:",omitempty"`
	KMSKey    string `json:",omitempty"`
	Protected bool   `json:",omitempty"`
	Tags      []Tag  `json:",omitempty"` // in order of key
	Bytes     int64  // of its events
	Blocks    int64
	Next      int64 // of its blocks' numbers
}

// Stream is the row of a log stream: its group's name, a zero byte and its own.
type Stream struct {
	Group, Name string
	Created     time.Time
	Bytes       int64
	Blocks      int64
	Next        int64  // number of the next event
	Tail        string // key of the last block; empty if there is none
	Last        int64  // time of the last event
	Ingested    int64  // when the last batch came
}

// Block is the row of some events of a stream that follow each other.
type Block struct {
	Group, Stream string
	First, Last   int64 // times of its events
	Bytes         int64
	Lines         []Line
}

// Line is an event in its block. Times are milliseconds since 1970.
type Line struct {
	At   int64  `json:"t"`
	In   int64  `json:"i"` // when it came
	N    int64  `json:"n"` // number in its stream
	Text string `json:"m"`
}

// What a block and a group may hold. A block that is not full yet is written again with every batch, so it is small.
const (
	maxBlock   = 16 << 10
	maxGroup   = 16 << 20
	perBlock   = 512 // what a block counts beside its events
	perEvent   = 26  // what AWS counts beside an event's text
	maxMessage = 256 << 10
)

func streamKey(group, stream string) string { return group + "\x00" + stream }

func blockKey(group string, first, number int64) string {
	return fmt.Sprintf("%s\x00%013d%010d", group, max(first, 0), number)
}

func (l *Line) size() int64 { return int64(len(l.Text)) + perEvent }

// held is what counts against maxGroup.
func (g *Group) held() int64 { return g.Bytes + g.Blocks*perBlock }

// Put adds events to a stream; group and stream are made if need be, as for Lambda. Texts that are too long are cut.
func (s *Service) Put(tx *cloud.Tx, group, stream string, events []Event) {
	if len(events) == 0 {
		return
	}
	g, ok := s.groups.Get(tx, group)
	if !ok {
		g = s.newGroup(tx, group)
		s.groups.Put(tx, group, g)
	}
	st, ok := s.streams.Get(tx, streamKey(group, stream))
	if !ok {
		st = Stream{Group: group, Name: stream, Created: tx.Now().Truncate(time.Millisecond)}
	}
	s.add(tx, g, st, events)
}

func (s *Service) newGroup(tx *cloud.Tx, name string) Group {
	return Group{Name: name, Created: tx.Now().Truncate(time.Millisecond), Class: "STANDARD"}
}

// add adds events to a stream and writes all rows that change.
func (s *Service) add(tx *cloud.Tx, g Group, st Stream, events []Event) {
	lines := make([]Line, len(events))
	for i, e := range events {
		text := e.Message
		if len(text) > maxMessage {
			text = strings.ToValidUTF8(text[:maxMessage], "")
		}
		lines[i] = Line{At: e.At.UnixMilli(), In: tx.Now().UnixMilli(), Text: text}
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return cmp.Compare(a.At, b.At) })
	for i := range lines {
		lines[i].N = st.Next
		st.Next++
	}
	first := g.Blocks == 0
	late := 0
	for st.Tail != "" && late < len(lines) && lines[late].At < st.Last {
		s.insert(tx, &g, &st, lines[late])
		late++
	}
	s.append(tx, &g, &st, lines[late:])
	st.Ingested = tx.Now().UnixMilli()
	s.streams.Put(tx, streamKey(g.Name, st.Name), st)
	s.groups.Put(tx, g.Name, g)
	if g.held() > maxGroup {
		s.makeRoom(tx, g.Name)
	}
	if first && g.Retention > 0 {
		tx.Touch(Name, kindGroup, g.Name)
	}
}

// append adds lines behind all others.
func (s *Service) append(tx *cloud.Tx, g *Group, st *Stream, lines []Line) {
	if len(lines) == 0 {
		return
	}
	b, _ := s.blocks.Get(tx, st.Tail)
	b.Lines = slices.Clip(b.Lines)
	for _, l := range lines {
		if st.Tail == "" || b.Bytes+l.size() > maxBlock {
			if st.Tail != "" {
				s.blocks.Put(tx, st.Tail, b)
			}
			b = Block{Group: g.Name, Stream: st.Name, First: l.At}
			st.Tail = s.newKey(g, st, l.At)
		}
		b.Lines = append(b.Lines, l)
		b.Last, b.Bytes, st.Last = l.At, b.Bytes+l.size(), l.At
		g.Bytes, st.Bytes = g.Bytes+l.size(), st.Bytes+l.size()
	}
	s.blocks.Put(tx, st.Tail, b)
}

func (s *Service) newKey(g *Group, st *Stream, first int64) string {
	g.Next++
	g.Blocks++
	st.Blocks++
	return blockKey(g.Name, first, g.Next)
}

// insert puts a line that came late where it belongs: into the last block that begins before it, or the first.
func (s *Service) insert(tx *cloud.Tx, g *Group, st *Stream, l Line) {
	key, found := "", Block{}
	for k, b := range s.byStream.Each(tx, streamKey(g.Name, st.Name)) {
		if key != "" && b.First > l.At {
			break
		}
		key, found = k, b
	}
	i, _ := slices.BinarySearchFunc(found.Lines, l.At, func(have Line, at int64) int {
		if have.At <= at {
			return -1
		}
		return 1
	})
	found.Lines = slices.Insert(slices.Clone(found.Lines), i, l)
	found.Bytes += l.size()
	g.Bytes, st.Bytes = g.Bytes+l.size(), st.Bytes+l.size()
	parts := []Block{found}
	if n := len(found.Lines); found.Bytes > 2*maxBlock && n > 1 {
		parts = []Block{found.of(found.Lines[:n/2]), found.of(found.Lines[n/2:])}
	}
	last := key == st.Tail
	for i, b := range parts {
		b = b.of(b.Lines)
		switch {
		case i > 0:
			key = s.newKey(g, st, b.First)
		case b.First != found.First: // it comes before all others
			s.blocks.Delete(tx, key)
			g.Next++
			key = blockKey(g.Name, b.First, g.Next)
		}
		s.blocks.Put(tx, key, b)
	}
	if last {
		st.Tail = key
	}
}

// of is a block of the same stream with some lines.
func (b Block) of(lines []Line) Block {
	b.Lines = slices.Clone(lines)
	b.First, b.Last, b.Bytes = lines[0].At, lines[len(lines)-1].At, 0
	for i := range lines {
		b.Bytes += lines[i].size()
	}
	return b
}

// makeRoom drops a group's oldest blocks until the others fit. A stream of which nothing is left goes, too.
func (s *Service) makeRoom(tx *cloud.Tx, group string) {
	for key, b := range s.blocks.Prefix(tx, group+"\x00") {
		if g, _ := s.groups.Get(tx, group); g.held() <= maxGroup {
			return
		}
		s.drop(tx, key, b, true)
	}
}

// drop takes a block away, and with the last one its stream, if it shall go.
func (s *Service) drop(tx *cloud.Tx, key string, b Block, stream bool) {
	s.blocks.Delete(tx, key)
	g, _ := s.groups.Get(tx, b.Group)
	g.Bytes, g.Blocks = g.Bytes-b.Bytes, g.Blocks-1
	s.groups.Put(tx, b.Group, g)
	id := streamKey(b.Group, b.Stream)
	st, ok := s.streams.Get(tx, id)
	if !ok {
		return
	}
	st.Bytes, st.Blocks = st.Bytes-b.Bytes, st.Blocks-1
	if st.Blocks == 0 {
		st.Tail = ""
		if stream {
			s.streams.Delete(tx, id)
			return
		}
	}
	s.streams.Put(tx, id, st)
}

// expireEvery is how often a group's expired blocks are looked for. Readers do not see them even before.
const expireEvery = time.Hour

// expire drops a group's blocks that are too old, and says when to look again.
func (s *Service) expire(tx *cloud.Tx, group string) {
	g, ok := s.groups.Get(tx, group)
	if !ok || g.Retention == 0 {
		tx.At(Name, kindGroup, group, time.Time{})
		return
	}
	var next int64
	floor := g.floor(tx)
	for key, b := range s.blocks.Prefix(tx, group+"\x00") {
		if b.Last < floor {
			s.drop(tx, key, b, false)
		} else if next == 0 || b.Last < next {
			next = b.Last
		}
	}
	if next == 0 {
		tx.At(Name, kindGroup, group, time.Time{})
		return
	}
	at := time.UnixMilli(next + 1).UTC().Add(g.life())
	if soon := tx.Now().Add(expireEvery); at.Before(soon) {
		at = soon
	}
	tx.At(Name, kindGroup, group, at)
}

func (g *Group) life() time.Duration { return time.Duration(g.Retention) * 24 * time.Hour }

// floor is the time before which events have expired.
func (g *Group) floor(tx *cloud.Tx) int64 {
	if g.Retention == 0 {
		return 0
	}
	return tx.Now().Add(-g.life()).UnixMilli()
}
