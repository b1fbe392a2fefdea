package fuzz

import (
	"sync"
	"sync/atomic"
)

// Many makes runs that differ in their seeds only, side by side, and gives each result to report, in no order. It makes up
// to n runs, beginning with the seed of o, and no new ones once stop says so. Neither is called by two at a time.
func Many(o Options, n, workers int, stop func() bool, report func(Result)) {
	var next atomic.Uint64
	var one sync.Mutex
	var all sync.WaitGroup
	for range max(1, workers) {
		all.Go(func() {
			for {
				one.Lock()
				over := stop()
				one.Unlock()
				i := next.Add(1) - 1
				if over || i >= uint64(n) {
					return
				}
				x := o
				x.Seed += i
				result := Run(x)
				one.Lock()
				report(result)
				one.Unlock()
			}
		})
	}
	all.Wait()
}

// Summary is what many runs came to.
type Summary struct {
	Runs, Steps, Inputs int
	Hours               float64 // virtual
	Calls               map[string]Count
	Injected            [faultKinds]int
	Broken              []Result // in order of seed
}

// Add counts a result.
func (s *Summary) Add(x Result) {
	if s.Calls == nil {
		s.Calls = map[string]Count{}
	}
	s.Runs++
	s.Steps += x.Steps
	s.Inputs += x.Inputs
	s.Hours += x.Virtual.Hours()
	for name, n := range x.Calls { // any order
		sum := s.Calls[name]
		s.Calls[name] = Count{sum.Good + n.Good, sum.Refused + n.Refused}
	}
	for k, n := range x.Injected {
		s.Injected[k] += n
	}
	if x.Broken == nil {
		return
	}
	at := len(s.Broken)
	for at > 0 && s.Broken[at-1].Seed > x.Seed {
		at--
	}
	s.Broken = append(s.Broken[:at], append([]Result{x}, s.Broken[at:]...)...)
}

// Never lists the mutating operations that no run has seen succeed.
func (s *Summary) Never() []string {
	var names []string
	for _, name := range Mutating() {
		if s.Calls[name].Good == 0 {
			names = append(names, name)
		}
	}
	return names
}

// Answered is how many calls succeeded and were refused.
func (s *Summary) Answered() Count {
	var all Count
	for _, n := range s.Calls { // any order
		all.Good, all.Refused = all.Good+n.Good, all.Refused+n.Refused
	}
	return all
}
