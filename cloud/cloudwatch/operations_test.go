package cloudwatch

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
)

func TestPutMetricDataRefuses(t *testing.T) {
	w := newWorld(t)
	one := func(change func(*shape.MetricDatum)) *shape.PutMetricDataInput {
		d := shape.MetricDatum{MetricName: new("m"), Value: new(1.0)}
		change(&d)
		return &shape.PutMetricDataInput{Namespace: new("My"), MetricData: []shape.MetricDatum{{MetricName: new("first"), Value: new(1.0)}, d}}
	}
	for _, c := range []struct {
		rule, code string
		in         *shape.PutMetricDataInput
	}{
		{"CW-PD-01", "InvalidParameterValue", &shape.PutMetricDataInput{Namespace: new("AWS/EC2"), MetricData: []shape.MetricDatum{{}}}},
		{"CW-PD-01", "MissingParameter", &shape.PutMetricDataInput{Namespace: new("My")}},
		{"CW-PD-01", "ValidationError", &shape.PutMetricDataInput{Namespace: new("My"), MetricData: make([]shape.MetricDatum, 1001)}},
		{"CW-PD-01", "InvalidParameterValue", one(func(d *shape.MetricDatum) { d.Value, d.Values = nil, make([]float64, 151) })},
		{"CW-PD-01", "InvalidParameterValue", one(func(d *shape.MetricDatum) { d.Value, d.Values, d.Counts = nil, []float64{1, 2}, []float64{1} })},
		{"CW-PD-02", "InvalidParameterValue", one(func(d *shape.MetricDatum) { d.Timestamp = new(noon.Add(-15 * 24 * time.Hour)) })},
		{"CW-PD-02", "InvalidParameterValue", one(func(d *shape.MetricDatum) { d.Timestamp = new(noon.Add(3 * time.Hour)) })},
		{"CW-PD-03", "InvalidParameterValue", one(func(d *shape.MetricDatum) { d.Value = new(bound * 2) })},
		{"CW-PD-03", "InvalidParameterValue", one(func(d *shape.MetricDatum) { d.Value = new(bound - bound); *d.Value /= *d.Value })},
		{"CW-PD-04", "InvalidParameterCombination", one(func(d *shape.MetricDatum) { d.StatisticValues = &shape.StatisticSet{} })},
		{"CW-PD-04", "InvalidParameterCombination", one(func(d *shape.MetricDatum) { d.Value = nil })},
		{"CW-ST-01", "InvalidParameterValue", one(func(d *shape.MetricDatum) { d.MetricName = new("a" + fieldMark + "b") })},
		{"CW-ST-02", "InvalidParameterValue", one(func(d *shape.MetricDatum) { d.StorageResolution = new(int32(5)) })},
		{"CW-ST-01", "InvalidParameterValue", one(func(d *shape.MetricDatum) {
			d.Dimensions = []shape.Dimension{{Name: new("a"), Value: new("1")}, {Name: new("a"), Value: new("2")}}
		})},
	} {
		_, err := w.try("PutMetricData", c.in)
		wantError(t, err, c.code, "")
	}
	if got := dump(w.cloud); len(got) != 1 { // the generator's row
		t.Errorf("something was kept: %v", got)
	}
}

func TestIdentity(t *testing.T) {
	w := newWorld(t)
	put := func(unit string, v float64, d ...Dimension) {
		w.put(Datum{Namespace: "My", Metric: "m", Unit: unit, Dimensions: d, At: noon, Stat: Single(v)})
	}
	// CW-ST-01: the order of dimensions does not matter, other dimensions and units are other series.
	put("", 1, Dimension{"a", "1"}, Dimension{"b", "2"})
	put("", 2, Dimension{"b", "2"}, Dimension{"a", "1"})
	put("Count", 10, Dimension{"a", "1"}, Dimension{"b", "2"})
	put("", 100, Dimension{"a", "1"})
	put("", 200, Dimension{"a=1", "2"})
	put("", 300, Dimension{"a", "1=2"})
	in := &shape.GetMetricStatisticsInput{Namespace: new("My"), MetricName: new("m"), Period: new(int32(60)), Statistics: []string{"Sum"},
		Dimensions: []shape.Dimension{{Name: new("b"), Value: new("2")}, {Name: new("a"), Value: new("1")}}, StartTime: new(noon), EndTime: new(noon.Add(time.Minute))}
	got := ""
	for _, d := range call[shape.GetMetricStatisticsOutput](w, "GetMetricStatistics", in).Datapoints {
		got += fmt.Sprint(*d.Sum, *d.Unit, d.Timestamp.Format(" 15:04:05 "))
	}
	if got != "10 Count 12:00:00 3 None 12:00:00 " && got != "10Count 12:00:00 3None 12:00:00 " {
		t.Errorf("CW-ST-01: %q", got)
	}
	list := call[shape.ListMetricsOutput](w, "ListMetrics", &shape.ListMetricsInput{Namespace: new("My")})
	if len(list.Metrics) != 4 {
		t.Errorf("CW-ST-01: %d metrics", len(list.Metrics))
	}
	list = call[shape.ListMetricsOutput](w, "ListMetrics", &shape.ListMetricsInput{Dimensions: []shape.DimensionFilter{{Name: new("a"), Value: new("1")}}})
	if len(list.Metrics) != 2 {
		t.Errorf("filter: %d metrics", len(list.Metrics))
	}
	w.now = noon.Add(15 * 24 * time.Hour) // CW-ST-06
	if list = call[shape.ListMetricsOutput](w, "ListMetrics", &shape.ListMetricsInput{}); len(list.Metrics) != 0 {
		t.Errorf("CW-ST-06: %d metrics", len(list.Metrics))
	}
}

func TestListMetricsPages(t *testing.T) {
	w := newWorld(t)
	var data []Datum
	for i := range 1200 {
		d := cpu(noon, 1)
		d.Dimensions = []Dimension{{"InstanceId", fmt.Sprintf("i-%04d", i)}}
		data = append(data, d)
		d.Unit = "Count"
		data = append(data, d)
	}
	w.put(data...)
	seen := map[string]bool{}
	in := &shape.ListMetricsInput{}
	for range 3 {
		out := call[shape.ListMetricsOutput](w, "ListMetrics", in)
		for _, m := range out.Metrics {
			seen[*m.Dimensions[0].Value] = true
		}
		in.NextToken = out.NextToken
		if strings.ContainsFunc(api.Value(in.NextToken), unicode.IsControl) {
			t.Fatalf("XML can't write the token %q", *in.NextToken)
		}
	}
	if len(seen) != 1200 || in.NextToken != nil {
		t.Errorf("%d seen, token %v", len(seen), in.NextToken)
	}
}

func TestGetMetricStatisticsRefuses(t *testing.T) {
	w := newWorld(t)
	in := shape.GetMetricStatisticsInput{Namespace: new("My"), MetricName: new("m"), Period: new(int32(60)), Statistics: []string{"Sum"},
		StartTime: new(noon.Add(-25 * time.Hour)), EndTime: new(noon)}
	_, err := w.try("GetMetricStatistics", &in)
	wantError(t, err, "InvalidParameterCombination", "You have requested up to 1500 datapoints, which exceeds the limit of 1440. "+
		"You may reduce the datapoints requested by increasing Period, or decreasing the time range.")
	in.Period = new(int32(61))
	_, err = w.try("GetMetricStatistics", &in)
	wantError(t, err, "InvalidParameterValue", "")
	in.Period, in.EndTime = new(int32(300)), in.StartTime
	_, err = w.try("GetMetricStatistics", &in)
	wantError(t, err, "InvalidParameterValue", "")
}

func TestGetMetricData(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.put(Datum{Namespace: "My", Metric: "m", At: noon.Add(time.Duration(i) * time.Minute), Stat: Single(float64(i))})
	}
	w.now = noon.Add(10 * time.Minute)
	stat := &shape.MetricStat{Metric: &shape.Metric{Namespace: new("My"), MetricName: new("m")}, Period: new(int32(120)), Stat: new("Sum")}
	in := &shape.GetMetricDataInput{StartTime: new(noon), EndTime: new(noon.Add(10 * time.Minute)), MetricDataQueries: []shape.MetricDataQuery{
		{Id: new("e1"), Expression: new("m1 * 2"), Label: new("double")}, {Id: new("m1"), MetricStat: stat},
		{Id: new("e2"), Expression: new("e1 + m1"), ReturnData: new(false)}, {Id: new("gone"), MetricStat: &shape.MetricStat{
			Metric: &shape.Metric{Namespace: new("My"), MetricName: new("gone")}, Period: new(int32(60)), Stat: new("p99")}}}}
	show := func(out *shape.GetMetricDataOutput) string {
		text := ""
		for _, r := range out.MetricDataResults {
			text += fmt.Sprint(*r.Id, " ", *r.Label, " ", r.Values, " ", *r.StatusCode)
			if len(r.Timestamps) > 0 {
				text += r.Timestamps[0].Format(" 15:04")
			}
			text += "; "
		}
		return text
	}
	want := "e1 double [34 26 18 10 2] Complete 12:08; m1 m [17 13 9 5 1] Complete 12:08; gone gone [] Complete; "
	if got := show(call[shape.GetMetricDataOutput](w, "GetMetricData", in)); got != want {
		t.Errorf("CW-GM-01:\n%s, want\n%s", got, want)
	}
	in.ScanBy, in.MaxDatapoints = new("TimestampAscending"), new(int32(4))
	got := ""
	for range 5 {
		out := call[shape.GetMetricDataOutput](w, "GetMetricData", in)
		got += show(out) + "| "
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	want = "e1 double [2 10 18 26] PartialData 12:00; | e1 double [34] Complete 12:08; m1 m [1 5 9] PartialData 12:00; | " +
		"m1 m [13 17] Complete 12:06; gone gone [] Complete; | "
	if got != want {
		t.Errorf("pages:\n%s, want\n%s", got, want)
	}
	in.NextToken = nil
	for text, want := range map[string]string{
		"m1 +":       "Error in expression 'e1': unexpected end of the expression",
		"m9":         "Error in expression 'e1': the Id m9 is not defined",
		"e2":         "Error in expression 'e1': the expressions refer to each other in a circle",
		"SUM(m1)":    "Error in expression 'e1': the result is a scalar and not a time series",
		"SEARCH('')": "Error in expression 'e1': the function SEARCH is not supported",
	} {
		in.MetricDataQueries[0].Expression = &text
		_, err := w.try("GetMetricData", in)
		wantError(t, err, "ValidationError", want)
	}
}

func TestPutMetricAlarmRefuses(t *testing.T) {
	w := newWorld(t)
	for message, change := range map[string]func(*shape.PutMetricAlarmInput){
		"DatapointsToAlarm must be less than or equal to EvaluationPeriods": func(in *shape.PutMetricAlarmInput) { in.DatapointsToAlarm = new(int32(2)) },
		"Statistic should not be set if list of Metrics is set.": func(in *shape.PutMetricAlarmInput) {
			in.MetricName, in.Namespace, in.Dimensions, in.Period = nil, nil, nil, nil
			in.Metrics = []shape.MetricDataQuery{{Id: new("e"), Expression: new("1")}}
		},
		"Invalid period: 45. Period must be 10, 20, 30 or a multiple of 60": func(in *shape.PutMetricAlarmInput) { in.Period = new(int32(45)) },
		"Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).": func(in *shape.PutMetricAlarmInput) {
			in.EvaluationPeriods = new(int32(1441))
		},
		"Invalid arn syntax: nonsense": func(in *shape.PutMetricAlarmInput) { in.AlarmActions = []string{"nonsense"} },
		"Missing dimension InstanceId for action: arn:aws:automate:us-east-1:ec2:stop": func(in *shape.PutMetricAlarmInput) {
			in.AlarmActions, in.Dimensions = []string{"arn:aws:automate:us-east-1:ec2:stop"}, nil
		},
		"Invalid value for TreatMissingData: maybe. Valid values are breaching, notBreaching, ignore and missing.": func(in *shape.PutMetricAlarmInput) {
			in.TreatMissingData = new("maybe")
		},
		"Either Statistic or ExtendedStatistic must be specified": func(in *shape.PutMetricAlarmInput) { in.Statistic = nil },
	} {
		_, err := w.try("PutMetricAlarm", cpuAlarm(change))
		wantError(t, err, "ValidationError", message)
	}
	if got := dump(w.cloud); len(got) != 1 {
		t.Errorf("something was kept: %v", got)
	}
	_, err := w.try("PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) { in.ComparisonOperator = new("GreaterThanUpperThreshold") }))
	wantError(t, err, "NotImplemented", "")
}

func names(out *shape.DescribeAlarmsOutput) string {
	var all []string
	for _, a := range out.MetricAlarms {
		all = append(all, *a.AlarmName)
	}
	return strings.Join(all, " ")
}

func TestDescribeAlarms(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"b2", "a1", "c1", "b1", "b3"} {
		call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) {
			in.AlarmName, in.OKActions = &name, []string{"arn:aws:sns:us-east-1:123456789012:" + name}
		}))
	}
	call[shape.SetAlarmStateOutput](w, "SetAlarmState", &shape.SetAlarmStateInput{AlarmName: new("b2"), StateValue: new("OK"), StateReason: new("x")})
	for want, in := range map[string]*shape.DescribeAlarmsInput{
		"a1 b1 b2 b3 c1": {},
		"b1 b2 b3":       {AlarmNamePrefix: new("b")},
		"a1 c1":          {AlarmNames: []string{"c1", "zz", "a1"}},
		"b2":             {StateValue: new("OK")},
		"b3":             {ActionPrefix: new("arn:aws:sns:us-east-1:123456789012:b3")},
		"":               {AlarmTypes: []string{"CompositeAlarm"}},
	} {
		if got := names(call[shape.DescribeAlarmsOutput](w, "DescribeAlarms", in)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	in, got := &shape.DescribeAlarmsInput{AlarmNamePrefix: new("b"), MaxRecords: new(int32(2))}, ""
	for range 3 {
		out := call[shape.DescribeAlarmsOutput](w, "DescribeAlarms", in)
		got += names(out) + "|"
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if got != "b1 b2|b3|" {
		t.Errorf("pages %q", got)
	}
	forMetric := &shape.DescribeAlarmsForMetricInput{Namespace: new("AWS/EC2"), MetricName: new("CPUUtilization"),
		Dimensions: []shape.Dimension{{Name: new("InstanceId"), Value: new("i-1")}}}
	if n := len(call[shape.DescribeAlarmsForMetricOutput](w, "DescribeAlarmsForMetric", forMetric).MetricAlarms); n != 5 {
		t.Errorf("%d alarms for the metric", n)
	}
	forMetric.Statistic = new("Sum")
	if n := len(call[shape.DescribeAlarmsForMetricOutput](w, "DescribeAlarmsForMetric", forMetric).MetricAlarms); n != 0 {
		t.Errorf("%d alarms with another statistic", n)
	}
}

// TestSetAlarmState: the state holds until the next evaluation, and its actions run (CW-AL-12); not if they are disabled.
func TestSetAlarmState(t *testing.T) {
	w := newWorld(t)
	w.now = noon.Add(30 * time.Second)
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) {
		in.AlarmActions = []string{"arn:aws:sns:us-east-1:123456789012:t"}
	}))
	set := &shape.SetAlarmStateInput{AlarmName: new("high"), StateValue: new("ALARM"), StateReason: new("by hand")}
	call[shape.SetAlarmStateOutput](w, "SetAlarmState", set)
	if a := w.alarm("high"); a.StateValue != StateAlarm || a.StateReason != "by hand" || len(w.actions) != 1 {
		t.Errorf("CW-AL-12: %s, %d actions", a.StateValue, len(w.actions))
	}
	w.until(noon.Add(time.Minute))
	if a := w.alarm("high"); a.StateValue != StateInsufficientData {
		t.Errorf("CW-AL-12: %s after the evaluation", a.StateValue)
	}
	call[shape.DisableAlarmActionsOutput](w, "DisableAlarmActions", &shape.DisableAlarmActionsInput{AlarmNames: []string{"high", "none"}})
	call[shape.SetAlarmStateOutput](w, "SetAlarmState", set)
	if len(w.actions) != 1 || len(w.changes) != 3 {
		t.Errorf("disabled: %d actions, %d changes", len(w.actions), len(w.changes))
	}
	call[shape.EnableAlarmActionsOutput](w, "EnableAlarmActions", &shape.EnableAlarmActionsInput{AlarmNames: []string{"high"}})
	out := call[shape.DescribeAlarmHistoryOutput](w, "DescribeAlarmHistory", &shape.DescribeAlarmHistoryInput{AlarmName: new("high"), ScanBy: new("TimestampAscending")})
	got := ""
	for _, h := range out.AlarmHistoryItems {
		got += *h.HistorySummary + "; "
	}
	want := `Alarm "high" created; Alarm updated from INSUFFICIENT_DATA to ALARM; Successfully executed action arn:aws:sns:us-east-1:123456789012:t; ` +
		`Alarm updated from ALARM to INSUFFICIENT_DATA; Alarm "high" updated; Alarm updated from INSUFFICIENT_DATA to ALARM; Alarm "high" updated; `
	if got != want {
		t.Errorf("history\n%s, want\n%s", got, want)
	}
	_, err := w.try("SetAlarmState", &shape.SetAlarmStateInput{AlarmName: new("none"), StateValue: new("OK"), StateReason: new("x")})
	wantError(t, err, "ResourceNotFound", "Unknown alarm none")
}

// TestActionsThatAnAlarmMayHave: CW-AL-18, CW-AL-19.
func TestActionsThatAnAlarmMayHave(t *testing.T) {
	w := newWorld(t)
	for action, want := range map[string]string{
		"arn:aws:automate:us-east-1:ec2:stop":                                             "",
		"arn:aws:swf:us-east-1:123456789012:action/actions/AWS_EC2.InstanceId.Reboot/1.0": "",
		"arn:aws:automate:us-east-1:ec2:recover":                                          "Invalid use of EC2 'Recover' action", // of the CPU
		"arn:aws:automate:us-east-1:ec2:paint":                                            "Invalid use of EC2 'Paint' action",
		"arn:aws:sns:eu-west-1:123456789012:t":                                            "Invalid region eu-west-1 specified. Only us-east-1 is supported.",
		"arn:aws:ssm:us-east-1:123456789012:opsitem:1":                                    "Actions of Systems Manager and of investigations are not implemented: arn:aws:ssm:us-east-1:123456789012:opsitem:1",
		"arn:aws:s3:::bucket":                                                             "Unsupported action: arn:aws:s3:::bucket",
		"stop":                                                                            "Invalid arn syntax: stop",
	} {
		_, err := w.try("PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) {
			in.AlarmActions = []string{action}
			in.Dimensions = []shape.Dimension{{Name: new("InstanceId"), Value: new("i-1")}}
		}))
		switch e, _ := err.(*api.Error); {
		case want == "" && err != nil, want != "" && (e == nil || e.Message != want):
			t.Errorf("%s: %v", action, err)
		}
	}
}

func TestDeleteAlarms(t *testing.T) {
	w := newWorld(t)
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(nil))
	_, err := w.try("DeleteAlarms", &shape.DeleteAlarmsInput{AlarmNames: []string{"high", "none"}})
	wantError(t, err, "ResourceNotFound", "")
	w.alarm("high")
	call[shape.DeleteAlarmsOutput](w, "DeleteAlarms", &shape.DeleteAlarmsInput{AlarmNames: []string{"high"}})
	if wake := w.cloud.Wake(); !wake.IsZero() {
		t.Errorf("wakes at %v", wake)
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(func(in *shape.PutMetricAlarmInput) {
		in.Tags = []shape.Tag{{Key: new("b"), Value: new("1")}, {Key: new("a"), Value: new("2")}}
	}))
	arn := new("arn:aws:cloudwatch:us-east-1:123456789012:alarm:high")
	call[shape.TagResourceOutput](w, "TagResource", &shape.TagResourceInput{ResourceARN: arn, Tags: []shape.Tag{{Key: new("b"), Value: new("3")}}})
	call[shape.PutMetricAlarmOutput](w, "PutMetricAlarm", cpuAlarm(nil)) // tags stay
	call[shape.UntagResourceOutput](w, "UntagResource", &shape.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"a"}})
	out := call[shape.ListTagsForResourceOutput](w, "ListTagsForResource", &shape.ListTagsForResourceInput{ResourceARN: arn})
	if len(out.Tags) != 1 || *out.Tags[0].Key != "b" || *out.Tags[0].Value != "3" {
		t.Errorf("%+v", out.Tags)
	}
	_, err := w.try("TagResource", &shape.TagResourceInput{ResourceARN: new("arn:aws:cloudwatch:us-east-1:123456789012:alarm:no")})
	wantError(t, err, "ResourceNotFoundException", "")
}

// TestScopes: metrics and alarms of a region do not know those of another.
func TestScopes(t *testing.T) {
	w := newWorld(t)
	w.put(cpu(noon, 1))
	other := cloud.Scope{Account: here.Account, Region: "eu-west-1"}
	w.inside(func(tx *cloud.Tx) {
		tx.In(other, func() {
			if n := len(w.cw.windows(tx, metricKey("AWS/EC2", "CPUUtilization", nil), "", noon.Unix(), 60, 1, false)); n != 1 {
				t.Error(n)
			}
			out, err := w.cw.ListMetrics(tx, &shape.ListMetricsInput{})
			if err != nil || len(out.Metrics) != 0 {
				t.Errorf("%+v %v", out, err)
			}
		})
	})
}

func describeOne(name string) *shape.DescribeAlarmsInput {
	return &shape.DescribeAlarmsInput{AlarmNames: []string{name}}
}
