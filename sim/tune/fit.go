package tune

import (
	"fmt"
	"slices"

	"github.com/billow-cloud/billow/sim/load"
)

// meanInstances is how many instances at 100 % CPU the mean of a load needs that was fitted: 20 at 50 %. In much smaller
// groups one instance more or less is all there is to tune.
const meanInstances = 10

// Fit scales a load to a group of a usual size, for those who have not said how much an instance serves. Shares and relative
// savings hardly depend on it.
func Fit(t load.Trace, perInstance float64) load.Trace {
	sum := 0.0
	for _, r := range t.Rates {
		sum += r
	}
	if sum == 0 {
		return t
	}
	by := meanInstances * perInstance * float64(len(t.Rates)) / sum
	t.Rates, t.Notes = slices.Clone(t.Rates), slices.Clone(t.Notes)
	for i := range t.Rates {
		t.Rates[i] *= by
	}
	t.Notes = append(t.Notes, fmt.Sprintf("The load was scaled so that its mean keeps %d instances at 50 %% CPU busy and its peak %.0f, since nothing says what an instance serves (--per-instance).",
		2*meanInstances, 2*t.Peak()/perInstance))
	return t
}
