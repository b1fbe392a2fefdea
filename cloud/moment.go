package cloud

import (
	"maps"
	"slices"
	"time"
)

// Moment is what a cloud knows beside its rows. With the rows it is the whole cloud: one that is loaded with both goes
// on exactly as the first does, where one that is loaded with rows alone reconciles everything at its next step.
type Moment struct {
	Last   time.Time // of the last step; zero before the first
	Loaded bool      // rows were loaded and nothing has been reconciled yet
	Timers []Timer   // in order of key
}

// Timer is one timer of a Moment. Keys mean something to the same build only.
type Timer struct {
	Key string
	At  int64 // nanoseconds since 1970
}

// Moment is taken between two steps.
func (c *Cloud) Moment() Moment {
	m := Moment{Last: c.last, Loaded: c.loaded}
	for _, key := range slices.Sorted(maps.Keys(c.timers.at)) {
		m.Timers = append(m.Timers, Timer{key, c.timers.at[key].ns})
	}
	return m
}

// Resume has a cloud whose rows were loaded go on from a moment; it may be called only before the first Step.
func (c *Cloud) Resume(m Moment) {
	c.last, c.loaded = m.Last, m.Loaded
	for _, t := range m.Timers {
		c.timers.put(t.Key, t.At)
	}
}

// Freeze gives all rows as they are now, in the order of Dump, to be walked later and by another goroutine. It costs
// little: tables are copied on write.
func (c *Cloud) Freeze() (dump func(yield func(table, key string, row any) bool)) {
	type frozen struct {
		name string
		dump func(func(string, any) bool)
	}
	var all []frozen
	for _, st := range c.tables() {
		all = append(all, frozen{st.Name(), st.Freeze()})
	}
	return func(yield func(table, key string, row any) bool) {
		for _, st := range all {
			for key, row := range st.dump {
				if !yield(st.name, key, row) {
					return
				}
			}
		}
	}
}
