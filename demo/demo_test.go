package demo

import "testing"

// TestReplaced: a group of four that has lost one still has three, but nothing was replaced yet.
func TestReplaced(t *testing.T) {
	before := state{InService: []string{"i-1", "i-2", "i-3", "i-4"}, Healthy: 4}
	for name, c := range map[string]struct {
		now  state
		want bool
	}{
		"not noticed yet":         {before, false},
		"gone":                    {state{InService: []string{"i-2", "i-3", "i-4"}, Healthy: 3}, false},
		"successor not healthy":   {state{InService: []string{"i-2", "i-3", "i-4", "i-5"}, Healthy: 3}, false},
		"successor takes traffic": {state{InService: []string{"i-2", "i-3", "i-4", "i-5"}, Healthy: 4}, true},
	} {
		if got := replaced(before, c.now, "i-1"); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
