package outcome

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Twelve minutes; more load than capacity from minute 2 to 5 and from 7 to 8, and from 11 to the end.
func TestSummarizeByHand(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rates := []float64{50, 100, 150, 150, 150, 150, 150, 250, 150, 150, 150, 300}
	capacity := []float64{100, 100, 100, 100, 100, 200, 200, 200, 200, 200, 200, 200}
	o := Outcome{From: start, To: start.Add(12 * time.Minute)}
	for i := range rates {
		o.Points = append(o.Points, Point{
			At: start.Add(time.Duration(i) * time.Minute), Rate: rates[i], Capacity: capacity[i], Utilization: min(100, 100*rates[i]/capacity[i]),
		})
	}
	o.Activities = []Activity{{From: 1, To: 2}, {From: 2, To: 2}, {From: 2, To: 1}, {From: 1, To: 4}}
	o.Summary.InstanceHours = 3
	o.Summarize(75)
	o.CountActions()
	o.Summary.Compare(2)
	s := o.Summary
	if s.MinutesOverTarget != 6 { // 1, 2, 3, 4, 7 and 11: 75 % is not above 75 %
		t.Errorf("%v minutes over target", s.MinutesOverTarget)
	}
	if s.TimeToReact != 120 { // the median of 3 and 1
		t.Errorf("%v to react", s.TimeToReact)
	}
	if s.Actions != 3 || s.Outs != 2 || s.Ins != 1 || s.LargestAction != 3 {
		t.Errorf("%d actions, %d out, %d in, largest %d", s.Actions, s.Outs, s.Ins, s.LargestAction)
	}
	if *s.AboveBound != 0.5 {
		t.Errorf("%v above the lower bound", *s.AboveBound)
	}
	var none Outcome
	none.Summarize(50)
	none.CountActions()
	none.Summary.Compare(0)
	if none.Summary != (Summary{}) {
		t.Errorf("%+v of nothing", none.Summary)
	}
	never := Outcome{From: start, To: start.Add(time.Minute), Points: []Point{{At: start, Rate: 2, Capacity: 1}}}
	if never.Summarize(50); never.Summary.TimeToReact != 60 {
		t.Errorf("%v to react when it never did", never.Summary.TimeToReact)
	}
}

// TestAbsent: what there is none of is not 0 in JSON.
func TestAbsent(t *testing.T) {
	text := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	none := text(Outcome{Activities: []Activity{{StatusCode: "InProgress"}}})
	for _, name := range []string{"lower_bound_hours", "above_lower_bound", "time_to_react_seconds", "latency_p99_seconds", "end_time", "desired_before"} {
		if strings.Contains(none, name) {
			t.Errorf("%s in %s", name, none)
		}
	}
	some := Summary{InstanceHours: 2, TimeToReact: 90}
	some.Compare(2)
	for _, want := range []string{`"lower_bound_hours":2`, `"above_lower_bound":0`, `"time_to_react_seconds":90`} {
		if !strings.Contains(text(some), want) {
			t.Errorf("no %s in %s", want, text(some))
		}
	}
}
