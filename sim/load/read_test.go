package load

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// TestRead: what a file says, start, slots in requests per minute, and a word of each note.
func TestRead(t *testing.T) {
	zone := func(name string) *time.Location {
		l, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	minute := Options{}
	for _, c := range []struct {
		name, text string
		o          Options
		start      string
		perMinute  []float64
		notes      []string
	}{
		{"counts of minutes", "period,count\n1998-04-30 21:30:00,2\n1998-04-30 21:31:00,11\n1998-04-30 21:32:00,16\n", minute, "1998-04-30 21:30:00", []float64{2, 11, 16}, nil},
		{"no header, RFC 3339", "2026-01-02T03:00:00Z,6\n2026-01-02T03:01:00Z,7\n", minute, "2026-01-02 03:00:00", []float64{6, 7}, nil},
		{"BOM, CRLF, a last line without an end", "\xef\xbb\xbftime,value\r\n2026-01-02 03:00:00,6\r\n2026-01-02 03:01:00,7", minute, "2026-01-02 03:00:00", []float64{6, 7}, nil},
		{"semicolon, decimal comma", "Zeit;Last\n2026-01-02 03:00;1,5\n2026-01-02 03:01;2,5\n", minute, "2026-01-02 03:00:00", []float64{1.5, 2.5}, nil},
		{"tab, thousands", "time\tvalue\n2026/01/02 03:00\t1,234\n2026/01/02 03:01\t1,234,567.5\n", minute, "2026-01-02 03:00:00", []float64{1234, 1234567.5}, nil},
		{"value before time, quotes, an empty line", "\"value\",\"time\"\n\"1\",\"2026-01-02 03:00:00\"\n\n2,2026-01-02 03:01:00\n", minute, "2026-01-02 03:00:00", []float64{1, 2}, nil},
		{"several columns", "time,errors,requests\n2026-01-02 03:00:00,9,1\n2026-01-02 03:01:00,9,2\n", minute, "2026-01-02 03:00:00", []float64{1, 2}, nil},
		{"a column by its name", "time,errors,requests\n2026-01-02 03:00:00,9,1\n2026-01-02 03:01:00,8,2\n", Options{Value: "Errors"}, "2026-01-02 03:00:00", []float64{9, 8}, nil},
		{"seconds since 1970", "1400000040,1\n1400000100,2\n", minute, "2014-05-13 16:54:00", []float64{1, 2}, nil},
		{"milliseconds since 1970", "1400000040000,1\n1400000100000,2\n", minute, "2014-05-13 16:54:00", []float64{1, 2}, nil},
		{"per second", "2026-01-02 03:00:00,1\n2026-01-02 03:01:00,2\n", Options{Unit: PerSecond}, "2026-01-02 03:00:00", []float64{60, 120}, nil},
		{"per minute, every five", "2026-01-02 03:00:00,6\n2026-01-02 03:05:00,6\n", Options{Unit: PerMinute}, "2026-01-02 03:00:00", repeat(6, 10), []string{"5 min apart"}},
		{"percent", "2026-01-02 03:00:00,50\n2026-01-02 03:01:00,150\n", Options{Unit: Percent, PerInstance: 2}, "2026-01-02 03:00:00", []float64{60, 180}, []string{"the work of one instance"}},
		{"finer than a minute", "2026-01-02 03:00:00,1\n2026-01-02 03:00:20,2\n2026-01-02 03:00:40,3\n2026-01-02 03:01:00,4\n2026-01-02 03:01:20,4\n2026-01-02 03:01:40,4\n",
			minute, "2026-01-02 03:00:00", []float64{6, 12}, []string{"20 s apart"}},
		{"finer, kept", "2026-01-02 03:00:00,1\n2026-01-02 03:00:20,2\n2026-01-02 03:00:40,3\n", Options{Step: 20 * time.Second}, "2026-01-02 03:00:00", []float64{3, 6, 9}, nil},
		{"a gap of two", "2026-01-02 03:00:00,1\n2026-01-02 03:01:00,1\n2026-01-02 03:04:00,4\n2026-01-02 03:05:00,4\n", minute, "2026-01-02 03:00:00", []float64{1, 1, 2, 3, 4, 4}, []string{"2 of 6 slots had no value; the neighbours filled in"}},
		{"an empty value is a gap", "2026-01-02 03:00:00,1\n2026-01-02 03:01:00,\n2026-01-02 03:02:00,3\n2026-01-02 03:03:00,3\n", minute, "2026-01-02 03:00:00", []float64{1, 2, 3, 3}, []string{"1 line has no value", "1 of 4"}},
		{"doubles", "2026-01-02 03:00:00,1\n2026-01-02 03:00:00,3\n2026-01-02 03:01:00,5\n", minute, "2026-01-02 03:00:00", []float64{2, 5}, []string{"1 value (the first in line 2) has a time that was there already"}},
		{"wrong order", "2026-01-02 03:01:00,2\n2026-01-02 03:00:00,1\n2026-01-02 03:02:00,3\n", minute, "2026-01-02 03:00:00", []float64{1, 2, 3}, []string{"1 of 3 values was out of order"}},
		{"newest first", "2026-01-02 03:01:00,2\n2026-01-02 03:00:00,1\n", minute, "2026-01-02 03:00:00", []float64{1, 2}, []string{"newest value came first"}},
		{"offsets", "2026-01-02T03:00:00+02:00,1\n2026-01-02T03:01:00+0200,2\n2026-01-02T01:02:00Z,3\n", minute, "2026-01-02 01:00:00", []float64{1, 2, 3}, nil},
		{"a zone", "2026-07-02 03:00:00,1\n2026-07-02 03:01:00,2\n", Options{Zone: zone("Europe/Berlin")}, "2026-07-02 01:00:00", []float64{1, 2}, nil},
		{"mixed zones", "2026-07-02 03:00:00,1\n2026-07-02 03:01:00Z,2\n", minute, "2026-07-02 03:00:00", []float64{1, 2}, []string{"taken for UTC"}},
		{"off the minute", "2026-07-02 03:00:37,1\n2026-07-02 03:01:37,2\n", minute, "2026-07-02 03:00:00", []float64{1, 2}, nil},
		{"nearly even", "2026-07-02 03:00:00,1\n2026-07-02 03:01:02,2\n2026-07-02 03:01:58,3\n2026-07-02 03:03:00,4\n2026-07-02 03:04:00,5\n", Options{Unit: PerMinute}, "2026-07-02 03:00:00", []float64{1, 2, 3, 4, 5}, []string{"were not on an even grid"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadFrom(strings.NewReader(c.text), "load.csv", c.o)
			if err != nil {
				t.Fatal(err)
			}
			want(t, got, c.start, c.perMinute, c.notes)
		})
	}
}

func repeat(value float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = value
	}
	return out
}

func want(t *testing.T, got Trace, start string, perMinute []float64, notes []string) {
	t.Helper()
	if !got.Start.Equal(at(t, start)) {
		t.Errorf("starts at %v, want %s", got.Start, start)
	}
	if len(got.Rates) != len(perMinute) {
		t.Fatalf("%d slots, want %d: %v", len(got.Rates), len(perMinute), got.Rates)
	}
	for i, r := range got.Rates {
		if math.Abs(r*60-perMinute[i]) > 1e-6 {
			t.Errorf("slot %d: %g a minute, want %g", i, r*60, perMinute[i])
		}
	}
	if len(got.Notes) != len(notes) {
		t.Fatalf("notes %q, want %q", got.Notes, notes)
	}
	for i, n := range got.Notes {
		if !strings.Contains(n, notes[i]) {
			t.Errorf("note %q, want one with %q", n, notes[i])
		}
	}
}

// TestRefused: one sentence with file and line.
func TestRefused(t *testing.T) {
	const head = "time,value\n2026-01-02 03:00:00,1\n"
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "load.csv: it is empty"},
		{"only blanks", " \r\n\n", "load.csv: it is empty"},
		{"only a header", "time,value\n", "load.csv: there are no values in it"},
		{"one row", head, "load.csv: it has one value; at least two are needed"},
		{"one instant", head + "2026-01-02 03:00:00,1\n", "load.csv: all of its values are of the same time"},
		{"negative", head + "2026-01-02 03:01:00,-4\n", "load.csv:3: -4 is negative"},
		{"not a number", head + "2026-01-02 03:01:00,many\n", `load.csv:3: "many" is not a number`},
		{"NaN", head + "2026-01-02 03:01:00,NaN\n", `load.csv:3: "NaN" is not a number`},
		{"infinite", head + "2026-01-02 03:01:00,+Inf\n", `load.csv:3: "+Inf" is not a number`},
		{"huge", head + "2026-01-02 03:01:00,1e300\n", "load.csv:3: 1e+300 is too large"},
		{"larger than any number", head + "2026-01-02 03:01:00,1e999\n", `load.csv:3: 1e999 is too large for a load`},
		{"larger than any number, below zero", head + "2026-01-02 03:01:00,-1e999\n", `load.csv:3: -1e999 is negative`},
		{"no time", head + "\nlater,4\n", `load.csv:4: "later" is not a time`},
		{"no such day", head + "2026-02-30 03:01:00,4\n", `load.csv:3: "2026-02-30 03:01:00" is not a time`},
		{"no such hour", head + "2026-02-20 25:01:00,4\n", `load.csv:3: "2026-02-20 25:01:00" is not a time`},
		{"a zone by letters", head + "2026-01-02 03:01:00 CST,4\n", `load.csv:3: "2026-01-02 03:01:00 CST" has the zone "CST"; an offset`},
		{"a column too few", head + "2026-01-02 03:01:00\n", "load.csv:3: it has 1 column;"},
		{"one column", "2026-01-02 03:01:00\n", "load.csv:1: it has one column"},
		{"which column", "time,a,b\n2026-01-02 03:01:00,1,2\n", "load.csv:1: which column is the load is not clear: name it (--value), one of a, b"},
		{"an open quote", head + "\"2026-01-02 03:01:00,4\n", "load.csv:3: it cannot be read as CSV"},
		{"before 1970", head + "1926-01-02 03:01:00,4\n", "load.csv:3: its time is before 1970"},
		{"too long", head + "2026-01-02 03:00:10,4\n2026-01-02 03:00:20,4\n2099-01-01 00:00:00,5\n", "load.csv: its times are 2"},
		{"milliseconds apart", "1400000040000,1\n1400000040050,1\n1400000040100,2\n", "load.csv: its values are 50 ms apart"},
		{"UTF-16", "\xff\xfet\x00", "load.csv: it is written in UTF-16"},
		{"binary", "\x7fELF\x00\x01", "load.csv: it is not a text file"},
		{"cut gzip", "\x1f\x8b\x08", "load.csv: it is not whole"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadFrom(strings.NewReader(c.text), "load.csv", Options{})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%v\nwant %s ...", err, c.want)
			}
		})
	}
	if _, err := ReadFrom(strings.NewReader(head), "load.csv", Options{Unit: Percent}); err == nil || !strings.Contains(err.Error(), "what one instance serves") {
		t.Error(err)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none.csv"), Options{}); err == nil || !strings.HasSuffix(err.Error(), "none.csv: no such file or directory") {
		t.Error(err)
	}
}

func TestGaps(t *testing.T) {
	const text = "2026-01-02 03:00:00,6\n2026-01-02 03:01:00,6\n2026-01-02 03:02:00,6\n2026-01-02 05:02:00,6\n2026-01-02 05:03:00,6\n"
	for gaps, sum := range map[Gaps]float64{Auto: 30, Zero: 30, Interpolate: 744} {
		got, err := ReadFrom(strings.NewReader(text), "load.csv", Options{Gaps: gaps})
		if err != nil {
			t.Fatal(err)
		}
		total := 0.0
		for _, r := range got.Rates {
			total += r * 60
		}
		if math.Abs(total-sum) > 1e-6 || len(got.Rates) != 124 {
			t.Errorf("%s: %d slots, %g requests, want %g", gaps, len(got.Rates), total, sum)
		}
		if gaps != Interpolate && !strings.Contains(strings.Join(got.Notes, " "), "119 of 124 slots had no value: no load was taken for it; the longest gap begins at 2026-01-02 03:03 and lasts 1 h 59 min") {
			t.Errorf("%s: %q", gaps, got.Notes)
		}
	}
	_, err := ReadFrom(strings.NewReader(text), "load.csv", Options{Gaps: Refuse})
	if err == nil || err.Error() != "load.csv: it has no values from 2026-01-02 03:03 to 2026-01-02 05:02 (1 h 59 min)" {
		t.Error(err)
	}
}

// TestDaylightSaving: with the zone, the hour that is there twice in autumn is two hours, and the one that spring leaves
// out is no gap, in either order; without it, the values of two hours are doubles and the note says what may be wrong.
func TestDaylightSaving(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, start := range []string{"2026-10-24 22:00:00", "2026-03-28 22:00:00"} {
		for _, step := range []time.Duration{time.Hour, 20 * time.Minute, time.Minute} {
			for _, backward := range []bool{false, true} {
				lines := []string{}
				n := int(6 * time.Hour / step)
				for i := range n {
					k := i
					if backward {
						k = n - 1 - i
					}
					lines = append(lines, fmt.Sprintf("%s,%d\n", at(t, start).Add(time.Duration(k)*step).In(berlin).Format("2006-01-02 15:04:05"), k))
				}
				text := strings.Join(lines, "")
				got, err := ReadFrom(strings.NewReader(text), "load.csv", Options{Zone: berlin, Step: step})
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprint(start, " ", step, " ", backward)
				if !got.Start.Equal(at(t, start)) || len(got.Rates) != n {
					t.Errorf("%s: from %v, %d slots, want %d", name, got.Start, len(got.Rates), n)
				}
				for i, r := range got.Rates {
					if math.Abs(r*step.Seconds()-float64(i)) > 1e-9 {
						t.Errorf("%s: slot %d has %g", name, i, r*step.Seconds())
					}
				}
			}
		}
	}
	text := ""
	for k := range 36 {
		text += fmt.Sprintf("%s,1\n", at(t, "2026-10-24 22:00:00").Add(time.Duration(k)*10*time.Minute).In(berlin).Format("2006-01-02 15:04:05"))
	}
	got, err := ReadFrom(strings.NewReader(text), "load.csv", Options{Step: 10 * time.Minute})
	if err != nil || !strings.Contains(strings.Join(got.Notes, " "), "name its time zone") {
		t.Error(err, got.Notes)
	}
}

// TestSmooth: lines in place of stairs keep every slot's mean, are never negative, and have no jump where stairs have one.
func TestSmooth(t *testing.T) {
	means := []float64{10, 20, 30, 0, 0, 100, 3, 3, 50}
	for _, step := range []time.Duration{5 * time.Minute, 30 * time.Minute, time.Hour} {
		k := int(step / time.Minute)
		got := smooth(means, step, time.Minute)
		if len(got) != k*len(means) {
			t.Fatalf("%v: %d slots", step, len(got))
		}
		for i, m := range means {
			sum := 0.0
			for _, r := range got[i*k : (i+1)*k] {
				if r < 0 {
					t.Errorf("%v: %g in slot %d", step, r, i)
				}
				sum += r
			}
			if math.Abs(sum/float64(k)-m) > 1e-9 {
				t.Errorf("%v: the mean of slot %d is %g, was %g", step, i, sum/float64(k), m)
			}
		}
	}
	last := -1.0
	for i, r := range smooth([]float64{10, 20, 30, 40}, 30*time.Minute, time.Minute)[30:90] { // a ramp stays one
		if i > 0 && math.Abs(r-last-10.0/30) > 1e-9 {
			t.Errorf("the ramp goes from %g to %g at %d", last, r, i)
		}
		last = r
	}
	if odd := smooth([]float64{6, 6}, 90*time.Second, time.Minute); len(odd) != 3 || math.Abs(odd[1]-6) > 1e-9 {
		t.Error(odd)
	}
}

func TestMetricData(t *testing.T) {
	read := func(file string, o Options) (Trace, error) { return Read(filepath.Join("testdata", file), o) }
	got, err := read("metricdata.json", Options{Value: "requests"})
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "2026-05-04 10:00:00", []float64{120, 90, 0, 60, 30, 12}, []string{"1 of 6 slots had no value: no load"})
	if same, err := read("metricdata.json", Options{Value: "web RequestCount"}); err != nil || len(same.Rates) != 6 {
		t.Error(same, err)
	}
	cpu, err := read("metricdata.json", Options{Value: "cpu", Unit: Percent, PerInstance: 10})
	if err != nil {
		t.Fatal(err)
	}
	want(t, cpu, "2026-05-04 10:00:00", []float64{300, 150}, []string{"the work of one instance"})
	statistics, err := read("statistics.json", Options{PerInstance: 10})
	if err != nil {
		t.Fatal(err)
	}
	want(t, statistics, "2026-05-04 10:00:00", []float64{300, 150, 120}, []string{"the work of one instance"})
	if got.Unit != PerPeriod || cpu.Unit != Percent || statistics.Unit != Percent {
		t.Errorf("units %q, %q, %q", got.Unit, cpu.Unit, statistics.Unit)
	}
	sums, err := read("sums.json", Options{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, sums, "2026-05-04 10:00:00", []float64{7, 9}, nil)

	for text, want := range map[string]string{
		`{"MetricDataResults": [{"Id": "a", "Label": "A", "Timestamps": [], "Values": []}, {"Id": "b", "Label": "B"}]}`: "load.json: it has several metrics: choose one (--value) of a (A), b (B)",
		`{"MetricDataResults": []}`: "load.json: there are no metrics in it",
		`{"MetricDataResults": [{"Id": "a", "Timestamps": [], "Values": []}]}`:                                               "load.json: there are no values in it",
		"{\"MetricDataResults\": [{\"Id\": \"a\",\n\"Timestamps\": [\"2026-05-04T10:01:00+00:00\"],\n\"Values\": [1, 2]}]}":  "load.json: the metric a has 1 timestamps but 2 values",
		"{\"MetricDataResults\": [{\"Id\": \"a\",\n\"Timestamps\": [\"2026-05-04T10:01:00+00:00\"],\n\"Values\": [\n-1]}]}":  "load.json:4: -1 is negative",
		"{\"MetricDataResults\": [{\"Id\": \"a\",\n\"Timestamps\": [\"noon\"],\n\"Values\": [1]}]}":                          `load.json:2: "noon" is not a time`,
		"{\"MetricDataResults\": [{\"Id\": \"a\",\n\"Timestamps\": [\"2026-05-04T10:01:00+00:00\"],\n\"Values\": [1e999]}]}": `load.json:3: 1e999 is too large for a load`,
		"{\"MetricDataResults\": [\n{\"Id\" \"a\"}]}":                                                                        "load.json:2: it is not whole JSON",
		`{"MetricDataResults": [{"Id": "a"`:                                                                                  "load.json: it is cut off",
		`{"AutoScalingGroups": []}`:                                                                                          "load.json: it has neither MetricDataResults nor Datapoints",
		"{\"Datapoints\": [\n{\"Timestamp\": \"2026-05-04T10:01:00+00:00\", \"Maximum\": 1}]}":                               "load.json:2: a data point needs a Timestamp and a Sum or an Average",
		strings.Repeat("[", 100): "load.json: its JSON is nested too deeply",
	} {
		if _, err := ReadFrom(strings.NewReader(text), "load.json", Options{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s\n%v\nwant %s", text, err, want)
		}
	}
}

// TestPartOfMetricData: CloudWatch says when what it gave is not all.
func TestPartOfMetricData(t *testing.T) {
	page := func(label, status, rest string) string {
		return `{"MetricDataResults": [{"Id": "a", "Label": "` + label + `", "Timestamps": ["2026-05-04T10:01:00Z", "2026-05-04T10:00:00Z"], "Values": [1, 2], "StatusCode": "` + status + `"}]` + rest + `}`
	}
	for _, c := range []struct {
		text  string
		notes []string
	}{
		{page("A", "Complete", ""), nil},
		{page("A", "PartialData", ""), []string{"Of the metric a it has a part only (StatusCode PartialData)"}},
		{page("A", "Complete", `, "NextToken": "x"`), []string{"It has a NextToken"}},
		{page("A", "PartialData", `, "NextToken": "x"`) + "\n" + strings.ReplaceAll(page("A", "Complete", ""), "10:0", "10:1"), []string{"8 of 12 slots"}},
		{page("CPUUtilization", "Complete", ""), []string{"the work of one instance"}},
	} {
		got, err := ReadFrom(strings.NewReader(c.text), "load.json", Options{PerInstance: 1, Gaps: Interpolate})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Notes) != len(c.notes) {
			t.Errorf("%s: %q", c.text, got.Notes)
			continue
		}
		for i, n := range c.notes {
			if !strings.Contains(got.Notes[i], n) {
				t.Errorf("%s: %q, want %q", c.text, got.Notes[i], n)
			}
		}
	}
}

// TestSlotsThatDoNotDivide: whatever slots are asked for, there are as many requests as the file has.
func TestSlotsThatDoNotDivide(t *testing.T) {
	for _, period := range []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute} {
		text, sum := "", 0.0
		for k := range 50 {
			text += fmt.Sprintf("%s,%d\n", at(t, "2026-01-02 03:02:00").Add(time.Duration(k)*period).Format("2006-01-02 15:04:05"), 1+k%7)
			sum += float64(1 + k%7)
		}
		for _, step := range []time.Duration{time.Second, 7 * time.Second, 90 * time.Second, time.Minute, 7 * time.Minute, 13 * time.Minute, time.Hour} {
			got, err := ReadFrom(strings.NewReader(text), "load.csv", Options{Step: step})
			if err != nil {
				t.Fatal(err)
			}
			total := 0.0
			for _, r := range got.Rates {
				total += r * got.Step.Seconds()
			}
			if math.Abs(total-sum) > 1e-6 || got.Step != step || !got.Start.Equal(at(t, "2026-01-02 03:02:00")) && step >= time.Minute {
				t.Errorf("every %v, slots of %v from %v: %g requests, want %g", period, got.Step, got.Start, total, sum)
			}
		}
	}
}

func TestAccessLogs(t *testing.T) {
	line := func(when string) string {
		return "h2 " + when + " app/web/50dc6c495c0c9188 10.0.1.252:48160 10.0.0.66:9000 0.000 0.002 0.000 200 200 5 257 \"GET https://x:443/ HTTP/2.0\" \"curl/7.46.0\" - - arn:x \"Root=1\" \"-\" \"-\" 1 2018-07-02T22:22:48.364000Z \"forward\"\n"
	}
	first := line("2018-07-02T22:22:48.364000Z") + line("2018-07-02T22:22:01.186641Z") + line("2018-07-02T22:25:01.186641Z")
	second := line("2018-07-02T22:23:59.999999Z") + strings.Replace(line("2018-07-02T22:25:30.186641Z"), "GET", "GET "+strings.Repeat("x", 200_000), 1)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "2018", "a.log"), []byte(second))
	write(t, filepath.Join(dir, "2018", "b.log.gz"), zipped(t, first))
	write(t, filepath.Join(dir, "2018", "c.log"), nil)
	write(t, filepath.Join(dir, "2018", "readme.txt"), []byte("not a log"))
	got, err := Read(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "2018-07-02 22:22:00", []float64{2, 1, 0, 2}, nil)
	if math.Abs(got.Service-0.002) > 1e-12 {
		t.Errorf("targets took %v s", got.Service)
	}
	one, err := Read(filepath.Join(dir, "2018", "b.log.gz"), Options{Step: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if one.Name != "b" || len(one.Rates) != 7 || one.Rates[0] != 1.0/30 {
		t.Errorf("%+v", one)
	}
	write(t, filepath.Join(dir, "2018", "d.log"), []byte("http yesterday app/web\n"))
	if _, err := Read(dir, Options{}); err == nil || !strings.HasSuffix(err.Error(), `d.log:1: "yesterday" is not a time (2006-01-02 15:04:05, RFC 3339, or seconds since 1970)`) {
		t.Error(err)
	}
	write(t, filepath.Join(dir, "2018", "d.log"), []byte(line("2018-07-02T22:23:59.999999Z")+"garbage\n"))
	if _, err := Read(dir, Options{}); err == nil || !strings.HasSuffix(err.Error(), "d.log:2: it is not a line of an access log of an Application Load Balancer") {
		t.Error(err)
	}
	write(t, filepath.Join(dir, "2018", "d.log"), []byte("time,value\n2026-01-02 03:00:00,1\n"))
	if _, err := Read(dir, Options{}); err == nil || !strings.HasSuffix(err.Error(), "d.log: it is not an access log of an Application Load Balancer") {
		t.Error(err)
	}
	if _, err := Read(t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "there are no access logs") {
		t.Error(err)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// long is a CSV of one value a period, written while it is read.
type long struct {
	rows   int
	period time.Duration
	next   int
	rest   []byte
}

func (l *long) Read(p []byte) (int, error) {
	if len(l.rest) == 0 && l.next >= l.rows {
		return 0, io.EOF
	}
	for len(l.rest) < len(p) && l.next < l.rows {
		when := time.Unix(1_700_000_040, 0).UTC().Add(time.Duration(l.next) * l.period)
		l.rest = when.AppendFormat(l.rest, "2006-01-02 15:04:05,")
		l.rest = append(l.rest, '0'+byte(l.next%10), '\n')
		l.next++
	}
	n := copy(p, l.rest)
	l.rest = append(l.rest[:0], l.rest[n:]...)
	return n, nil
}

func TestMoreRowsThanTheHead(t *testing.T) {
	for period, slots := range map[time.Duration]int{time.Second: 2000, time.Minute: 120_000} {
		got, err := ReadFrom(&long{rows: 120_000, period: period}, "long.csv", Options{Unit: PerSecond})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Rates) != slots || got.Rates[0] != map[time.Duration]float64{time.Second: 4.5, time.Minute: 0}[period] {
			t.Errorf("every %v: %d slots, %v", period, len(got.Rates), got.Rates[0])
		}
	}
}

// FuzzRead: whatever a file has, it is a trace without anything that a trace must not have, or an error that names the file.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"time,value\n2026-01-02 03:00:00,1\n2026-01-02 03:01:00,5\n", "1400000040;1,5\n1400000100;2\n", "2026-10-25 02:00:00+02:00\t1\n2026-10-25 02:30:00\t2\n",
		`{"MetricDataResults": [{"Id": "a", "Timestamps": ["2026-05-04T10:01:00Z", "2026-05-04T10:00:00Z"], "Values": [1, 2]}]}`,
		`{"Datapoints": [{"Timestamp": "2026-05-04T10:01:00Z", "Sum": 1}, {"Timestamp": "2026-05-04T10:02:00Z", "Sum": 1}]}`,
		"http 2018-07-02T22:22:48.364000Z app/web/50dc6c495c0c9188\n",
	} {
		f.Add(text)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReadFrom(strings.NewReader(text), "load.csv", Options{Zone: berlin})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "load.csv") {
				t.Error(err)
			}
			return
		}
		if got.Step != time.Minute || len(got.Rates) == 0 {
			t.Errorf("%d slots of %v", len(got.Rates), got.Step)
		}
		for i, r := range got.Rates {
			if !(r >= 0) || math.IsInf(r, 0) {
				t.Fatalf("%g in slot %d", r, i)
			}
		}
	})
}

// BenchmarkRead is a file of five million lines, one a second.
func BenchmarkRead(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadFrom(&long{rows: 5_000_000, period: time.Second}, "long.csv", Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
