package fuzz

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Fault is a kind of thing that goes wrong.
type Fault int

// The faults. A run has each kind or does not: half of the bugs need that something else works.
const (
	Lost      Fault = iota // an effect is never carried out
	Late                   // an effect is carried out up to 20 minutes late
	Doubled                // an effect is carried out twice
	Reordered              // effects overtake each other, also those about one instance
	Launch                 // launches fail: single ones, for lack of room in a zone, all for a reason that is no zone's
	Death                  // instances die, by themselves or without a word, and some come back
	Hang                   // instances never boot, or run and fail health checks
	Zone                   // zones vanish with all that is in them, and return
	Inventory              // inventories began long before they arrive
	Facts                  // facts arrive late and twice
	Kill                   // the daemon is killed between any two steps, or between a step and its changes or effects
	Clock                  // the clock jumps, hours ahead or minutes back
	faultKinds
)

var faultNames = [faultKinds]string{"lost", "late", "doubled", "reordered", "launch", "death", "hang", "zone", "inventory", "facts", "kill", "clock"}

func (f Fault) String() string { return faultNames[f] }

// Faults is a set of kinds.
type Faults uint32

// AllFaults has every kind, NoFaults none.
const (
	AllFaults Faults = 1<<faultKinds - 1
	NoFaults  Faults = 0
)

// Has tells whether a kind is in the set.
func (s Faults) Has(f Fault) bool { return s&(1<<f) != 0 }

// Without is the set less one kind.
func (s Faults) Without(f Fault) Faults { return s &^ (1 << f) }

// String lists the kinds as ParseFaults reads them.
func (s Faults) String() string {
	switch s {
	case AllFaults:
		return "all"
	case NoFaults:
		return "none"
	}
	var names []string
	for f := range faultKinds {
		if s.Has(f) {
			names = append(names, f.String())
		}
	}
	return strings.Join(names, ",")
}

// ParseFaults reads "all", "none" or a list of kinds with commas between them.
func ParseFaults(text string) (Faults, error) {
	switch text {
	case "all", "":
		return AllFaults, nil
	case "none":
		return NoFaults, nil
	}
	var s Faults
next:
	for name := range strings.SplitSeq(text, ",") {
		for f := range faultKinds {
			if strings.TrimSpace(name) == f.String() {
				s |= 1 << f
				continue next
			}
		}
		return 0, fmt.Errorf("%q is no kind of fault; there are all, none, or any of %s with commas between them", name, strings.Join(faultNames[:], ", "))
	}
	return s, nil
}

// fate decides what goes wrong. Each kind draws from a generator of its own, so that a run without one kind is otherwise
// as much as possible the same run.
type fate struct {
	on    Faults
	draws [faultKinds]*rand.Rand
	count [faultKinds]int
	calm  bool // nothing goes wrong any more
}

func newFate(seed uint64, allowed Faults) *fate {
	f := &fate{}
	choice := rand.New(rand.NewPCG(seed, 1))
	for k := range faultKinds {
		f.draws[k] = rand.New(rand.NewPCG(seed, 100+uint64(k)))
		if choice.IntN(100) < 65 { // drawn for those that are not allowed as well
			f.on |= 1 << k
		}
	}
	f.on &= allowed
	return f
}

// strikes draws whether a fault of a kind happens now, with a chance in a thousand, and counts it.
func (f *fate) strikes(k Fault, permille int) bool {
	if f.calm || !f.on.Has(k) || f.draws[k].IntN(1000) >= permille {
		return false
	}
	f.count[k]++
	return true
}

// upTo draws a number in [0, n) from a kind's generator.
func (f *fate) upTo(k Fault, n int) int { return f.draws[k].IntN(n) }
