package table

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/tidwall/btree"
)

// Log keeps points of one type in time order under each of many keys: a table for metric data. One point is one row of
// the durable form, so adding a point costs the same whatever the length of the series.
type Log[P any] struct {
	name   string
	series map[string]*series[P]
	keys   btree.Set[string]
}

type series[P any] struct {
	times  []int64 // seconds since 1970, ascending
	points []P
	frozen bool // what is there may be walked by others: it is copied before it is written in place
}

// NewLog makes an empty log.
func NewLog[P any](name string) *Log[P] { return &Log[P]{name: name, series: map[string]*series[P]{}} }

func (l *Log[P]) get(key string) (*series[P], bool) {
	s, ok := l.series[key]
	return s, ok
}

// forget drops a series without points.
func (l *Log[P]) forget(key string) {
	delete(l.series, key)
	l.keys.Delete(key)
}

// Name implements Store.
func (l *Log[P]) Name() string { return l.name }

// Get returns the point of a key at a time.
func (l *Log[P]) Get(key string, at int64) (P, bool) {
	var zero P
	s, ok := l.get(key)
	if !ok {
		return zero, false
	}
	if i, found := s.find(at); found {
		return s.points[i], true
	}
	return zero, false
}

// Put writes the point of a key at a time (seconds since 1970), over the one that may be there.
func (l *Log[P]) Put(j *Journal, key string, at int64, point P) {
	p := &point
	record(j, l, rowKey(key, at), l.set(key, at, p), p)
}

// Trim removes the points of a key before a time, all at once: the rest is not moved.
func (l *Log[P]) Trim(j *Journal, key string, before int64) {
	s, ok := l.get(key)
	if !ok {
		return
	}
	n, _ := s.find(before)
	if n == 0 {
		return
	}
	for i := range n {
		old := s.points[i]
		record(j, l, rowKey(key, s.times[i]), &old, nil)
	}
	// What is left stays where it is until the slices grow again: then the room in front of it is given back. A series
	// that shrank a lot is copied at once.
	s.times, s.points = s.times[n:], s.points[n:]
	if cap(s.times) > 4*len(s.times) {
		s.times, s.points = slices.Clone(s.times), slices.Clone(s.points)
	}
	if len(s.times) == 0 {
		l.forget(key)
	}
}

// Range calls yield with the points of a key in [from, to), oldest first, until it returns false. The log must not be
// written meanwhile.
func (l *Log[P]) Range(key string, from, to int64, yield func(at int64, p P) bool) {
	s, ok := l.get(key)
	if !ok {
		return
	}
	for i, _ := s.find(from); i < len(s.times) && s.times[i] < to; i++ {
		if !yield(s.times[i], s.points[i]) {
			return
		}
	}
}

// Last returns the newest point of a key.
func (l *Log[P]) Last(key string) (at int64, p P, ok bool) {
	s, found := l.get(key)
	if !found {
		return 0, p, false
	}
	n := len(s.times) - 1
	return s.times[n], s.points[n], true
}

// First returns the oldest point's time of a key.
func (l *Log[P]) First(key string) (at int64, ok bool) {
	if s, found := l.get(key); found {
		return s.times[0], true
	}
	return 0, false
}

// Load implements Store.
func (l *Log[P]) Load(row string, data []byte) error {
	i := strings.LastIndexByte(row, '@')
	if i < 0 {
		return fmt.Errorf("log %s: row key %q has no time", l.name, row)
	}
	at, err := strconv.ParseInt(row[i+1:], 10, 64)
	if err != nil {
		return fmt.Errorf("log %s: row key %q: %w", l.name, row, err)
	}
	point := new(P)
	if err := json.Unmarshal(data, point); err != nil {
		return fmt.Errorf("log %s, row %q: %w", l.name, row, err)
	}
	l.set(row[:i], at, point)
	return nil
}

// Dump implements Store.
func (l *Log[P]) Dump(yield func(string, any) bool) {
	l.keys.Scan(func(key string) bool { return l.series[key].dump(key, yield) })
}

func (s *series[P]) dump(key string, yield func(string, any) bool) bool {
	for i := range s.times {
		if !yield(rowKey(key, s.times[i]), &s.points[i]) {
			return false
		}
	}
	return true
}

// Freeze implements Store. It takes no copy of the points: they are marked, and added ones stand behind them.
func (l *Log[P]) Freeze() func(func(string, any) bool) {
	keys, all := make([]string, 0, len(l.series)), make([]series[P], 0, len(l.series))
	l.keys.Scan(func(key string) bool {
		s := l.series[key]
		s.frozen = true
		keys, all = append(keys, key), append(all, *s)
		return true
	})
	return func(yield func(string, any) bool) {
		for i, key := range keys {
			if !all[i].dump(key, yield) {
				return
			}
		}
	}
}

// thaw is called before a point is written over, moved or removed.
func (s *series[P]) thaw() {
	if s.frozen {
		s.times, s.points, s.frozen = slices.Clone(s.times), slices.Clone(s.points), false
	}
}

func rowKey(key string, at int64) string { return key + "@" + strconv.FormatInt(at, 10) }

func (s *series[P]) find(at int64) (int, bool) {
	n := len(s.times)
	if n > 0 && s.times[n-1] < at { // the common case: a point newer than all
		return n, false
	}
	i := sort.Search(n, func(i int) bool { return s.times[i] >= at })
	return i, i < n && s.times[i] == at
}

// set writes or, with nil, removes a point, and returns the point before (nil: none). A key without points is gone.
func (l *Log[P]) set(key string, at int64, p *P) *P {
	s, ok := l.get(key)
	if !ok {
		if p == nil {
			return nil
		}
		s = &series[P]{}
		l.series[key] = s
		l.keys.Insert(key)
	}
	i, found := s.find(at)
	switch {
	case found && p != nil:
		s.thaw()
		old := s.points[i]
		s.points[i] = *p
		return &old
	case found:
		s.thaw()
		old := s.points[i]
		s.times = append(s.times[:i], s.times[i+1:]...)
		s.points = append(s.points[:i], s.points[i+1:]...)
		if len(s.times) == 0 {
			l.forget(key)
		}
		return &old
	case p != nil:
		if i < len(s.times) {
			s.thaw()
		}
		s.times = append(s.times, 0)
		s.points = append(s.points, *p)
		copy(s.times[i+1:], s.times[i:])
		copy(s.points[i+1:], s.points[i:])
		s.times[i], s.points[i] = at, *p
	}
	return nil
}

// restore implements undoer.
func (l *Log[P]) restore(row string, old any) {
	i := strings.LastIndexByte(row, '@')
	at, _ := strconv.ParseInt(row[i+1:], 10, 64)
	p, _ := old.(*P)
	l.set(row[:i], at, p)
}
