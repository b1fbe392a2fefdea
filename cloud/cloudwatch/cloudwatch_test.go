package cloudwatch

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
)

var (
	here = cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
)

// puts is a fact that the watcher turns into metric data, as services above do.
type puts []Datum

// watcher stands for the services above: it puts data and remembers what alarms tell.
type watcher struct {
	cloud.Base
	cw      *Service
	actions []AlarmAction
	changes []AlarmStateChanged
}

func (w *watcher) Name() string { return "watcher" }
func (w *watcher) Observe(tx *cloud.Tx, f cloud.Fact) {
	switch f := f.(type) {
	case puts:
		tx.In(here, func() { w.cw.Put(tx, f) })
	case func(*cloud.Tx):
		tx.In(here, func() { f(tx) })
	}
}
func (w *watcher) Notice(tx *cloud.Tx, e cloud.Event) {
	switch e := e.(type) {
	case AlarmAction:
		w.actions = append(w.actions, e)
		w.cw.Acted(tx, e, nil)
	case AlarmStateChanged:
		w.changes = append(w.changes, e)
	}
}

// world is a cloud with its clock.
type world struct {
	t     testing.TB
	cloud *cloud.Cloud
	*watcher
	now time.Time
}

func newWorld(t testing.TB) *world {
	w := &watcher{cw: New()}
	return &world{t, cloud.New(1, w.cw, w), w, noon}
}

func (w *world) try(op string, in any) (any, error) {
	out := w.cloud.Step(w.now, cloud.Call{Scope: here, Service: Name, Operation: op, In: in})
	return out.Reply, out.Err
}

func call[Out any](w *world, op string, in any) *Out {
	w.t.Helper()
	reply, err := w.try(op, in)
	if err != nil {
		w.t.Fatalf("%s: %v", op, err)
	}
	return reply.(*Out)
}

func (w *world) put(data ...Datum) {
	w.t.Helper()
	if out := w.cloud.Step(w.now, cloud.Observed{Facts: []cloud.Fact{puts(data)}}); out.Err != nil {
		w.t.Fatal(out.Err)
	}
}

// inside runs f in a step.
func (w *world) inside(f func(*cloud.Tx)) {
	w.t.Helper()
	if out := w.cloud.Step(w.now, cloud.Observed{Facts: []cloud.Fact{f}}); out.Err != nil {
		w.t.Fatal(out.Err)
	}
}

// until lets time pass, timer by timer.
func (w *world) until(end time.Time) {
	w.t.Helper()
	for range 1_000_000 {
		wake := w.cloud.Wake()
		if wake.IsZero() || wake.After(end) {
			w.now = end
			return
		}
		if wake.After(w.now) {
			w.now = wake
		}
		if out := w.cloud.Step(w.now, cloud.Tick{}); out.Err != nil {
			w.t.Fatal(out.Err)
		}
	}
	w.t.Fatal("time stands still")
}

func (w *world) alarm(name string) Alarm {
	w.t.Helper()
	var a Alarm
	w.inside(func(tx *cloud.Tx) {
		var ok bool
		if a, ok = w.cw.Alarm(tx, name); !ok {
			w.t.Fatalf("no alarm %s", name)
		}
	})
	return a
}

func cpu(at time.Time, v float64) Datum {
	return Datum{Namespace: "AWS/EC2", Metric: "CPUUtilization", Dimensions: []Dimension{{"InstanceId", "i-1"}}, Unit: "Percent",
		At: at, Stat: Single(v)}
}

func cpuAlarm(change func(*shape.PutMetricAlarmInput)) *shape.PutMetricAlarmInput {
	in := &shape.PutMetricAlarmInput{
		AlarmName: new("high"), Namespace: new("AWS/EC2"), MetricName: new("CPUUtilization"),
		Dimensions: []shape.Dimension{{Name: new("InstanceId"), Value: new("i-1")}},
		Statistic:  new("Average"), Period: new(int32(60)), EvaluationPeriods: new(int32(1)), Threshold: new(50.0),
		ComparisonOperator: new("GreaterThanThreshold"),
	}
	if change != nil {
		change(in)
	}
	return in
}

func wantError(t *testing.T, err error, code, message string) {
	t.Helper()
	e, ok := err.(*api.Error)
	if !ok || e.Code != code || message != "" && e.Message != message {
		t.Errorf("got %v, want %s: %s", err, code, message)
	}
}

// TestLoadedCloudIsTheSame: rows hold everything; what is derived comes back with a tick.
func TestLoadedCloudIsTheSame(t *testing.T) {
	w := newWorld(t)
	stored := map[[2]string][]byte{}
	keep := func(out cloud.Output) {
		if out.Err != nil {
			t.Fatal(out.Err)
		}
		for _, ch := range out.Changes {
			b, err := json.Marshal(ch.Row)
			if err != nil {
				t.Fatal(err)
			}
			if ch.Row == nil {
				delete(stored, [2]string{ch.Table, ch.Key})
			} else {
				stored[[2]string{ch.Table, ch.Key}] = b
			}
		}
	}
	keep(w.cloud.Step(noon, cloud.Call{Scope: here, Service: Name, Operation: "PutMetricAlarm", In: cpuAlarm(func(in *shape.PutMetricAlarmInput) {
		in.AlarmActions = []string{"arn:aws:sns:us-east-1:123456789012:t"}
		in.Tags = []shape.Tag{{Key: new("a"), Value: new("b")}}
	})}))
	for i := range 200 {
		now := noon.Add(time.Duration(i) * time.Minute)
		d := cpu(now, float64(i*37%101)/3)
		d.Stat.Values = []float64{d.Stat.Max}
		keep(w.cloud.Step(now.Add(time.Second), cloud.Observed{Facts: []cloud.Fact{puts{d, cpu(now, 12.5), {Namespace: "My", Metric: "m", At: now,
			Stat: Stat{Count: 4, Sum: 10, Min: 1, Max: 4, Values: []float64{1, 2, 3, 4}}, Resolution: 1}}}}))
	}
	again := newWorld(t)
	for k, b := range stored {
		if err := again.cloud.Load(k[0], k[1], b); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(dump(w.cloud), dump(again.cloud)); diff != "" {
		t.Error(diff)
	}
	now := noon.Add(201 * time.Minute)
	w.cloud.Step(now, cloud.Tick{})
	again.cloud.Step(now, cloud.Tick{})
	if a, b := w.cloud.Wake(), again.cloud.Wake(); !a.Equal(b) || a.IsZero() {
		t.Errorf("wakes %v and %v", a, b)
	}
}

func dump(c *cloud.Cloud) map[string]string {
	rows := map[string]string{}
	c.Dump(func(name, key string, row any) bool {
		b, err := json.Marshal(row)
		rows[name+"|"+key] = fmt.Sprint(string(b), err)
		return true
	})
	return rows
}
