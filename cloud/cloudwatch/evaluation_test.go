package cloudwatch

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
)

// missingDataTable is the table of CW-AL-07: N, M, points from old to new (X breaching, 0 not, - missing), and the state
// for missing, ignore, breaching and notBreaching.
var missingDataTable = []struct {
	rule   string
	n, m   int32
	points string
	states [4]string
}{
	{"CW-AL-07a", 3, 3, "0 - X - X", [4]string{"OK", "OK", "OK", "OK"}},
	{"CW-AL-07b", 3, 3, "0 - - - -", [4]string{"OK", "OK", "OK", "OK"}},
	{"CW-AL-07c", 3, 3, "- - - - -", [4]string{"INSUFFICIENT_DATA", "keep", "ALARM", "OK"}},
	{"CW-AL-07d", 3, 3, "0 X X - X", [4]string{"ALARM", "ALARM", "ALARM", "ALARM"}},
	{"CW-AL-07e", 3, 3, "- - X - -", [4]string{"ALARM", "keep", "ALARM", "OK"}},
	{"CW-AL-07f", 3, 2, "0 - X - X", [4]string{"ALARM", "ALARM", "ALARM", "ALARM"}},
	{"CW-AL-07g", 3, 2, "0 0 X 0 X", [4]string{"ALARM", "ALARM", "ALARM", "ALARM"}},
	{"CW-AL-07h", 3, 2, "0 - X - -", [4]string{"OK", "OK", "ALARM", "OK"}},
	{"CW-AL-07i", 3, 2, "- - - - 0", [4]string{"OK", "OK", "ALARM", "OK"}},
	{"CW-AL-07j", 3, 2, "- - - X -", [4]string{"ALARM", "keep", "ALARM", "OK"}},
	// CW-AL-08: these are premature, and stay as they were.
	{"CW-AL-08", 3, 3, "- - - - X", [4]string{"keep", "keep", "ALARM", "OK"}},
	{"CW-AL-08", 3, 3, "- - - X -", [4]string{"keep", "keep", "ALARM", "OK"}},
}

var treatments = [4]string{"missing", "ignore", "breaching", "notBreaching"}

// TestMissingData puts the points of every row as metric data and lets the alarm be evaluated, from each state.
func TestMissingData(t *testing.T) {
	for _, row := range missingDataTable {
		for i, treatment := range treatments {
			for _, before := range []string{StateOK, StateAlarm, StateInsufficientData} {
				w := newWorld(t)
				w.now = noon.Add(30 * time.Second)
				call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) {
					in.EvaluationPeriods, in.DatapointsToAlarm, in.TreatMissingData = new(row.n), new(row.m), new(treatment)
				}))
				call[shape.SetAlarmStateOutput](w, "SetAlarmState", &shape.SetAlarmStateInput{AlarmName: new("high"),
					StateValue: &before, StateReason: new("test")})
				// The evaluation at 12:01 looks at windows that end at 12:00 (CW-AL-03f).
				points := strings.Fields(row.points)
				for k, p := range points {
					at := noon.Add(time.Duration(k-len(points)) * time.Minute)
					switch p {
					case "X":
						w.put(cpu(at, 90))
					case "0":
						w.put(cpu(at, 10))
					}
				}
				w.until(noon.Add(time.Minute))
				want := row.states[i]
				if want == "keep" {
					want = before
				}
				if got := w.alarm("high").StateValue; got != want {
					t.Errorf("%s %q, %s, from %s: %s, want %s", row.rule, row.points, treatment, before, got, want)
				}
			}
		}
	}
}

// twin is the algorithm of CW-AL-07 as it is written there, over text, without any of the code under test.
func twin(n, m int, treatment, points string) string {
	real := strings.ReplaceAll(points, "-", "")
	x := strings.Count(real, "X")
	if len(real) >= n {
		if strings.Count(real[len(real)-n:], "X") >= m {
			return "ALARM"
		}
		return "OK"
	}
	if real == "" {
		return map[string]string{"missing": "INSUFFICIENT_DATA", "ignore": "", "breaching": "ALARM", "notBreaching": "OK"}[treatment]
	}
	k := n - len(real)
	if treatment == "breaching" && x+k >= m || treatment == "notBreaching" && x >= m {
		return "ALARM"
	}
	if treatment == "breaching" || treatment == "notBreaching" {
		return "OK"
	}
	if x >= m {
		return "ALARM"
	}
	if strings.Contains(real, "0") {
		return "OK"
	}
	if age := len(strings.TrimLeft(points, "-")); age >= m && treatment == "missing" {
		return "ALARM"
	}
	return ""
}

func TestDecideAgainstItsTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		n := 1 + r.IntN(6)
		m := 1 + r.IntN(n)
		treatment := treatments[r.IntN(4)]
		text := ""
		var points []datapoint
		for i := range n + 2 {
			c := "--X0"[r.IntN(4)]
			text += string(c)
			points = append(points, datapoint{At: int64(i), Known: c != '-', Breaching: c == 'X'})
		}
		a := &Alarm{EvaluationPeriods: int32(n), DatapointsToAlarm: int32(m), TreatMissingData: treatment}
		if got, want := a.decide(points), twin(n, m, treatment, text); got != want {
			t.Fatalf("N %d M %d %s %s: %q, want %q", n, m, treatment, text, got, want)
		}
	}
}

// TestComparisons: CW-AL-04, at the threshold and beside it.
func TestComparisons(t *testing.T) {
	for operator, want := range map[string][3]bool{
		"GreaterThanThreshold": {false, false, true}, "GreaterThanOrEqualToThreshold": {false, true, true},
		"LessThanThreshold": {true, false, false}, "LessThanOrEqualToThreshold": {true, true, false},
	} {
		a := Alarm{ComparisonOperator: operator, Threshold: 5}
		if got := [3]bool{a.breaching(4), a.breaching(5), a.breaching(6)}; got != want {
			t.Errorf("%s: %v, want %v", operator, got, want)
		}
	}
}

// TestActionsAndTheirTimes: three periods of a minute above the target lead to ALARM one minute after the third has ended
// (AS-TT-22, CW-AL-03f); the policy's action comes then and once a minute (AS-TT-09, CW-AL-14), a topic's only once.
func TestActionsAndTheirTimes(t *testing.T) {
	const policy = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:autoScalingGroupName/g:policyName/p"
	const topic = "arn:aws:sns:us-east-1:123456789012:t"
	w := newWorld(t)
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) {
		in.EvaluationPeriods = new(int32(3))
		in.AlarmActions, in.OKActions = []string{topic, policy}, []string{topic}
	}))
	a := w.alarm("high")
	if a.StateValue != StateInsufficientData || a.StateReason != "Unchecked: Initial alarm creation" {
		t.Errorf("CW-AL-01: %s, %s", a.StateValue, a.StateReason)
	}
	for i := range 10 { // high for the minutes 12:03 to 12:07
		at := noon.Add(time.Duration(i) * time.Minute)
		w.until(at.Add(59 * time.Second))
		v := 20.0
		if i >= 3 && i < 8 {
			v = 80 + float64(i)
		}
		w.put(cpu(at, v))
	}
	w.until(noon.Add(11 * time.Minute))
	var got []string
	for _, c := range w.changes {
		got = append(got, c.At.Format("15:04:05 ")+c.Old.StateValue+" > "+c.Alarm.StateValue)
	}
	want := "12:02:00 INSUFFICIENT_DATA > OK, 12:07:00 OK > ALARM, 12:10:00 ALARM > OK"
	// 12:02: one point that does not breach is OK. 12:07: windows that end at 12:06, 3 of 3 high. 12:09 is still high for 3 of 3, 12:10 is not.
	if strings.Join(got, ", ") != want {
		t.Errorf("changes %q, want %q", got, want)
	}
	got = nil
	for _, x := range w.actions {
		kind := "topic"
		if x.ActionARN == policy {
			kind = "policy"
		}
		if x.Repeat {
			kind += " again"
		}
		got = append(got, x.At.Format("15:04 ")+x.New+" "+kind+" "+javaDouble(x.Value))
	}
	want = "12:02 OK topic 20.0, 12:07 ALARM topic 85.0, 12:07 ALARM policy 85.0, 12:08 ALARM policy again 86.0, " +
		"12:09 ALARM policy again 87.0, 12:10 OK topic 20.0"
	if strings.Join(got, ", ") != want {
		t.Errorf("actions\n%s, want\n%s", strings.Join(got, ", "), want)
	}
}

func TestStateReason(t *testing.T) {
	w := newWorld(t)
	w.now = noon.Add(10 * time.Second)
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(nil))
	w.put(cpu(noon.Add(-time.Minute), 99.5))
	w.until(noon.Add(time.Minute))
	a := w.alarm("high")
	want := "Threshold Crossed: 1 out of the last 1 datapoints [99.5 (20/11/26 11:59:00)] was greater than the threshold (50.0) " +
		"(minimum 1 datapoint for OK -> ALARM transition)."
	if a.StateReason != want {
		t.Errorf("CW-AL-15:\n%s, want\n%s", a.StateReason, want)
	}
	want = `{"version":"1.0","queryDate":"2026-11-20T12:01:00.000+0000","startDate":"2026-11-20T11:59:00.000+0000","statistic":"Average",` +
		`"period":60,"recentDatapoints":[99.5],"threshold":50.0,"evaluatedDatapoints":[{"timestamp":"2026-11-20T11:59:00.000+0000",` +
		`"sampleCount":1.0,"value":99.5}]}`
	if a.StateReasonData != want {
		t.Errorf("CW-AL-16:\n%s, want\n%s", a.StateReasonData, want)
	}
	w.until(noon.Add(4 * time.Minute)) // the point leaves the range of N + 2 windows
	a = w.alarm("high")
	if a.StateReason != "Insufficient Data: 1 datapoint was unknown." || a.StateValue != StateInsufficientData {
		t.Errorf("CW-AL-15: %s", a.StateReason)
	}
	want = `"recentDatapoints":[],"threshold":50.0,"evaluatedDatapoints":[{"timestamp":"2026-11-20T12:02:00.000+0000"}]}`
	if !strings.HasSuffix(a.StateReasonData, want) || strings.Contains(a.StateReasonData, "startDate") {
		t.Errorf("CW-AL-16: %s", a.StateReasonData)
	}
}

func TestReasonOfSeveralPoints(t *testing.T) {
	w := newWorld(t)
	a := &Alarm{EvaluationPeriods: 3, DatapointsToAlarm: 2, Threshold: 5, ComparisonOperator: "LessThanOrEqualToThreshold",
		Statistic: "Sum", Period: 60, TreatMissingData: "notBreaching"}
	at := noon.Unix()
	points := []datapoint{{At: at, Value: 1, Known: true, Breaching: true}, {At: at + 60}, {At: at + 120, Value: 2, Known: true, Breaching: true},
		{At: at + 180, Value: 1e7, Known: true}, {At: at + 240, Value: 0.0005, Known: true, Breaching: true}}
	for _, c := range []struct {
		state  string
		points []datapoint
		want   string
	}{
		{StateAlarm, points, "Threshold Crossed: 2 out of the last 3 datapoints [5.0E-4 (20/11/26 12:04:00), 2.0 (20/11/26 12:02:00)] were less " +
			"than or equal to the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition)."},
		{StateOK, points, "Threshold Crossed: 1 out of the last 3 datapoints [1.0E7 (20/11/26 12:03:00)] was not less than or equal to the " +
			"threshold (5.0) (minimum 2 datapoints for ALARM -> OK transition)."},
		{StateOK, points[1:2], "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as [NonBreaching]."},
	} {
		w.now = noon
		a := *a
		got := ""
		w.inside(func(tx *cloud.Tx) { got, _ = a.reason(tx, c.state, c.points) })
		if got != c.want {
			t.Errorf("\n%s, want\n%s", got, c.want)
		}
	}
}

// TestWindowsSlide: with a period of 300 s each minute looks at five other minutes (CW-AL-03b).
func TestWindowsSlide(t *testing.T) {
	w := newWorld(t)
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) {
		in.Period, in.Statistic, in.Threshold = new(int32(300)), new("Sum"), new(90.0)
	}))
	for i := range 12 {
		at := noon.Add(time.Duration(i) * time.Minute)
		w.until(at.Add(30 * time.Second))
		v := 10.0
		if i == 5 {
			v = 60
		}
		w.put(cpu(at, v))
	}
	w.until(noon.Add(13 * time.Minute))
	got := ""
	for _, c := range w.changes {
		got += c.At.Format("15:04 ") + c.Alarm.StateValue + " "
	}
	// The minute 12:05 is in the windows that end at 12:06 to 12:10, which are evaluated at 12:07 to 12:11.
	if got != "12:02 OK 12:07 ALARM 12:12 OK " {
		t.Errorf("CW-AL-03b: %s", got)
	}
}

// TestHighResolution: an alarm with a period of 10 s is evaluated every 10 s; its policy is called once a minute.
func TestHighResolution(t *testing.T) {
	w := newWorld(t)
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) {
		in.Period, in.EvaluationPeriods = new(int32(10)), new(int32(2))
		in.AlarmActions = []string{"arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:autoScalingGroupName/g:policyName/p"}
	}))
	for i := range 200 {
		w.until(noon.Add(time.Duration(i) * time.Second))
		d := cpu(w.now, 10)
		d.Resolution = 1
		if i >= 20 {
			d.Stat = Single(90)
		}
		w.put(d)
	}
	got := ""
	for _, a := range w.actions {
		got += a.At.Format("15:04:05 ")
	}
	if got != "12:00:50 12:01:50 12:02:50 " { // 12:00:20 to 12:00:40 are two high windows, evaluated 10 s later
		t.Errorf("CW-AL-03: %s", got)
	}
}

// TestLongAlarms are looked at once an hour, on data up to the hour (CW-AL-03c).
func TestLongAlarms(t *testing.T) {
	w := newWorld(t)
	w.now = noon.Add(10 * time.Minute)
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) {
		in.Period, in.EvaluationPeriods, in.Statistic = new(int32(3600)), new(int32(48)), new("Maximum")
		in.TreatMissingData, in.DatapointsToAlarm = new("notBreaching"), new(int32(1))
	}))
	w.put(cpu(w.now, 99))
	w.until(noon.Add(58 * time.Minute))
	if got := w.alarm("high").StateValue; got != StateInsufficientData {
		t.Errorf("evaluated before the hour: %s", got)
	}
	w.until(noon.Add(61 * time.Minute))
	if len(w.changes) != 1 || !w.changes[0].At.Equal(noon.Add(61*time.Minute)) || w.changes[0].Alarm.StateValue != StateAlarm {
		t.Errorf("CW-AL-03c: %+v", w.changes)
	}
}

// TestAnAlarmThatStaysWritesNothing and is evaluated once a minute.
func TestAnAlarmThatStaysWritesNothing(t *testing.T) {
	w := newWorld(t)
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(nil))
	for i := range 5 {
		now := w.cloud.Wake()
		if want := noon.Add(time.Duration(i+1) * time.Minute); !now.Equal(want) {
			t.Fatalf("wake %v, want %v", now, want)
		}
		if out := w.cloud.Step(now, cloud.Tick{}); out.Err != nil || len(out.Changes) > 0 || len(out.Effects) > 0 {
			t.Errorf("%+v", out)
		}
	}
}

// TestLowSampleCount: a percentile of too few samples keeps the state if the alarm says so (CW-AL-10).
func TestLowSampleCount(t *testing.T) {
	for option, want := range map[string]string{"evaluate": StateAlarm, "ignore": StateInsufficientData} {
		w := newWorld(t)
		w.now = noon.Add(time.Second)
		call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) {
			in.Statistic, in.ExtendedStatistic, in.EvaluateLowSampleCountPercentile = nil, new("p90"), &option
		}))
		d := cpu(noon.Add(-time.Minute), 0)
		d.Stat = Stat{Count: 99, Sum: 99 * 60, Min: 60, Max: 60} // 100 are needed
		w.put(d)
		w.until(noon.Add(time.Minute))
		if got := w.alarm("high").StateValue; got != want {
			t.Errorf("CW-AL-10 %s: %s, want %s", option, got, want)
		}
	}
}

// TestMathAlarm: an alarm on an expression (CW-MM-08).
func TestMathAlarm(t *testing.T) {
	w := newWorld(t)
	metric := func(id, name string) shape.MetricDataQuery {
		return shape.MetricDataQuery{Id: &id, ReturnData: new(false), MetricStat: &shape.MetricStat{Period: new(int32(60)), Stat: new("Sum"),
			Metric: &shape.Metric{Namespace: new("My"), MetricName: &name}}}
	}
	in := cpuAlarm(func(in *shape.PutMetricAlarmInput) {
		in.Namespace, in.MetricName, in.Dimensions, in.Statistic, in.Period = nil, nil, nil, nil, nil
		in.Metrics = []shape.MetricDataQuery{{Id: new("e1"), Expression: new("100 * errors / requests")}, metric("errors", "Errors"),
			metric("requests", "Requests")}
	})
	w.now = noon.Add(time.Second)
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", in)
	at := noon.Add(-time.Minute)
	w.put(Datum{Namespace: "My", Metric: "Errors", At: at, Stat: Single(6)}, Datum{Namespace: "My", Metric: "Requests", At: at, Stat: Single(10)})
	w.until(noon.Add(time.Minute))
	a := w.alarm("high")
	if a.StateValue != StateAlarm || !strings.Contains(a.StateReason, "[60.0 (20/11/26 11:59:00)]") {
		t.Errorf("%s: %s", a.StateValue, a.StateReason)
	}
	in.Metrics[0].Expression = new("SUM(errors)")
	_, err := w.try("PutMetricAlarm", in)
	wantError(t, err, "ValidationError", "Error in expression 'e1': it gives a scalar; an alarm needs one time series")
}

// TestMessage is what a topic gets (CW-AL-21).
func TestMessage(t *testing.T) {
	w := newWorld(t)
	w.now = noon.Add(time.Second)
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) {
		in.AlarmActions = []string{"arn:aws:sns:us-east-1:123456789012:t"}
	}))
	w.put(cpu(noon.Add(-time.Minute), 99.5))
	w.until(noon.Add(time.Minute))
	subject, body := w.actions[0].Message()
	if subject != `ALARM: "high" in US East (N. Virginia)` {
		t.Error(subject)
	}
	want := `{"AlarmName":"high","AlarmDescription":null,"AWSAccountId":"123456789012","AlarmConfigurationUpdatedTimestamp":` +
		`"2026-11-20T12:00:01.000+0000","NewStateValue":"ALARM","NewStateReason":"Threshold Crossed: 1 out of the last 1 datapoints [99.5 ` +
		`(20/11/26 11:59:00)] was greater than the threshold (50.0) (minimum 1 datapoint for OK -\u003e ALARM transition).","StateChangeTime":` +
		`"2026-11-20T12:01:00.000+0000","Region":"US East (N. Virginia)","AlarmArn":"arn:aws:cloudwatch:us-east-1:123456789012:alarm:high",` +
		`"OldStateValue":"INSUFFICIENT_DATA","OKActions":[],"AlarmActions":["arn:aws:sns:us-east-1:123456789012:t"],"InsufficientDataActions":[],` +
		`"Trigger":{"MetricName":"CPUUtilization","Namespace":"AWS/EC2","StatisticType":"Statistic","Statistic":"AVERAGE","Unit":null,"Dimensions":` +
		`[{"value":"i-1","name":"InstanceId"}],"Period":60,"EvaluationPeriods":1,"ComparisonOperator":"GreaterThanThreshold","Threshold":50,` +
		`"TreatMissingData":"missing","EvaluateLowSampleCountPercentile":""}}`
	if body != want {
		t.Errorf("got\n%s, want\n%s", body, want)
	}
}
