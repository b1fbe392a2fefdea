package autoscaling

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// told is a world that keeps what explanations need.
func told(t testing.TB, lo, hi, desired int32, change func(*shape.CreateAutoScalingGroupInput)) *world {
	t.Helper()
	w := scaledWorld(t, lo, hi, desired, change)
	w.s.Remember()
	w.do(func(tx *cloud.Tx) { w.s.openDiary(tx, "g") })
	w.advance(time.Minute)
	return w
}

func (w *world) explain(at time.Time) Explanation {
	w.t.Helper()
	out := must[ExplainOutput](w, Name, "explain", &ExplainInput{Group: "g", At: at.Format(time.RFC3339Nano)})
	return out.Evaluations[0]
}

func TestPrintExplain(t *testing.T) {
	w := told(t, 1, 4, 1, nil)
	w.track("cpu", 50, nil)
	w.load(20, 20)
	w.load(4, 80)
	for range 3 {
		x := w.explain(w.now)
		b, _ := json.MarshalIndent(x, "", " ")
		if testing.Verbose() {
			fmt.Println(string(b))
		}
		w.load(1, 80)
	}
}
