package autoscaling

import (
	"testing"
	"time"
)

// BenchmarkMinute is a minute of a group of ten whose policy decides in every one, with and without keeping what
// explanations are made of.
func BenchmarkMinute(b *testing.B) {
	for _, kept := range []bool{false, true} {
		name := "plain"
		if kept {
			name = "kept"
		}
		b.Run(name, func(b *testing.B) {
			w := scaledWorld(b, 10, 10, 10, nil)
			w.s.diary.on = kept
			w.track("cpu", 50, nil)
			w.load(20, 100)
			b.ReportAllocs()
			for b.Loop() {
				w.load(1, 100)
			}
		})
	}
}

// BenchmarkExplain is what one explanation, with its counterfactuals, holds up the control plane.
func BenchmarkExplain(b *testing.B) {
	w := told(b, 1, 4, 2, nil)
	w.track("cpu", 50, nil)
	w.load(30, 84)
	at := w.now.Format(time.RFC3339)
	for b.Loop() {
		must[ExplainOutput](w, Name, "explain", &ExplainInput{Group: "g", At: at})
	}
}
