package report

import (
	"bytes"
	"encoding/csv"
	"image/png"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/billow-cloud/billow/sim/outcome"
)

var began = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// wave is a made-up outcome of some minutes.
func wave(name string, minutes int) outcome.Outcome {
	o := outcome.Outcome{Name: name, Group: "web", From: began, To: began.Add(time.Duration(minutes) * time.Minute)}
	for i := range minutes {
		rate := 500 + 400*math.Sin(float64(i)/200)
		o.Points = append(o.Points, outcome.Point{At: began.Add(time.Duration(i) * time.Minute), Rate: rate, Desired: int(rate / 50), InService: int(rate/50) - i%2,
			Utilization: 50 + float64(i%7), InTime: 60*rate - 3, Late: 2, Lost: 1, P50: 0.1, P95: 0.3, P99: 0.5 + float64(i%10)/100, Optimum: int(rate / 80)})
	}
	o.Summary = outcome.Summary{Requests: 1234567.8, InTime: 0.9999951, Late: 0.0000049, P99: 1.25, P50: 0.1, InstanceHours: 1680, LowerBound: 1200,
		AboveBound: new(0.4), Cost: 17.472, Actions: 12, TimeToReact: 240.3}
	o.Activities = []outcome.Activity{{StartTime: began, Description: "Launching a new EC2 instance: i-1", StatusCode: "Successful",
		Cause: "a monitor alarm <b> in state ALARM", From: 1, To: 2}}
	return o
}

func TestSharesTellNearlyAllFromAll(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0 %", 1: "100 %", 0.5: "50.00 %", 0.99999: "99.999 %", 0.9999951: "99.9995 %", 0.0000049: "0.0005 %", 1 - 1e-12: "> 99.999999 %", 1e-12: "< 0.000001 %",
	} {
		if got := Share(v); got != want {
			t.Errorf("Share(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for want, got := range map[string]string{
		"1,234,568": count(1234567.8), "0": Number(-0.2, 0), "-1,000.5": Number(-1000.5, 1), "999": Number(999, 0), "350 ms": seconds(0.35), "1.25 s": seconds(1.25),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestThePageStandsAlone(t *testing.T) {
	var b bytes.Buffer
	r := Report{Title: "web <1>", Notes: []string{"no world was given"}, Outcomes: []outcome.Outcome{wave("default", 3000), wave("tuned", 3000)}}
	if err := HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	drawings := 0
	for n := range doc.Descendants() {
		switch n.Data {
		case "svg":
			drawings++
		case "script", "link", "img", "iframe":
			t.Errorf("the page has a <%s>", n.Data)
		}
	}
	if drawings != 5 {
		t.Errorf("%d drawings", drawings)
	}
	for _, code := range colourCodes {
		if strings.Contains(text, "stroke:"+code) || strings.Contains(text, "fill:"+code) {
			t.Errorf("the colour %s is fixed: unreadable in the dark", code)
		}
	}
	for _, want := range []string{"web &lt;1&gt;", "state ALARM", "99.9995 %", "var(--v2)", "A point is 3 minutes"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(text, "alarm <b>") {
		t.Error("a cause is not escaped")
	}
	if dir := os.Getenv("BILLOW_REPORT"); dir != "" {
		os.WriteFile(dir, b.Bytes(), 0o644)
	}
}

func TestPictures(t *testing.T) {
	r := Report{Outcomes: []outcome.Outcome{wave("web", 1440)}}
	var p, s, again bytes.Buffer
	if err := PNG(&p, r); err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(&p)
	if err != nil {
		t.Fatal(err)
	}
	if b := picture.Bounds(); b.Dx() < 1000 || b.Dy() < 1000 {
		t.Errorf("the picture is %v", b)
	}
	if err := SVG(&s, r); err != nil {
		t.Fatal(err)
	}
	if err := SVG(&again, r); err != nil || !bytes.Equal(s.Bytes(), again.Bytes()) {
		t.Error("the same outcome gave two pictures", err)
	}
}

func TestCSVHasEveryPoint(t *testing.T) {
	var b bytes.Buffer
	if err := CSV(&b, []outcome.Outcome{wave("a", 10), wave("b", 5)}); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 16 || len(rows[0]) != len(columns) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if got := strings.Join(rows[1][:5], " "); got != "a 2026-03-02T00:00:00Z 500 10 10" {
		t.Error(got)
	}
}

func TestTheTerminalHasAllFigures(t *testing.T) {
	var b bytes.Buffer
	Summary(&b, []outcome.Outcome{wave("web", 3)})
	Activities(&b, wave("web", 3))
	for _, want := range []string{"Instance-hours", "1,680.0", "4m0s", "99.9995 %", "[1 to 2]"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	Summary(&b, []outcome.Outcome{wave("a", 3), wave("b", 3), wave("c", 3), wave("d", 3)})
	if lines := strings.Count(b.String(), "\n"); lines != 5 {
		t.Errorf("%d lines for four outcomes:\n%s", lines, b.String())
	}
}

// Groups have loads and optima of their own: the first one's are not those of the second.
func TestSeveralGroups(t *testing.T) {
	web, api := wave("web", 200), wave("api", 200)
	api.Group = "api"
	for i := range api.Points {
		api.Points[i].Rate, api.Points[i].Optimum = 7, 1
	}
	list, err := panels(Report{Outcomes: []outcome.Outcome{web, api}})
	if err != nil {
		t.Fatal(err)
	}
	if l := list[0].lines; len(l) != 2 || l[0].name != "web" || l[1].name != "api" || l[1].points[0].Y != 7 {
		t.Errorf("%d loads", len(l))
	}
	if l := list[1].lines; len(l) != 4 || l[3].name != "api, optimum" || !l[3].dashed || l[3].points[0].Y != 1 || l[3].color != l[1].color {
		t.Errorf("%d lines of instances", len(l))
	}
	api.Group = "web"
	if list, _ = panels(Report{Outcomes: []outcome.Outcome{web, api}}); len(list[0].lines) != 1 || len(list[1].lines) != 3 {
		t.Error("variants of one group have one load and one optimum")
	}
}

// Of no requests there is no share, and of no answers no latency.
func TestFiguresOfNothing(t *testing.T) {
	for _, f := range figures {
		got := f.text(outcome.Summary{Lost: 1, Requests: 5})
		if strings.HasPrefix(f.name, "Latency") && got != "-" {
			t.Errorf("%s of nobody who was answered is %q", f.name, got)
		}
		if got = f.text(outcome.Summary{}); got != "-" && (f.name == "In time" || f.name == "Lost" || f.name == "Late") {
			t.Errorf("%s of no requests is %q", f.name, got)
		}
	}
}

// The table of many fits a terminal, whatever the shares.
func TestRankingFits(t *testing.T) {
	var b bytes.Buffer
	o := wave("GCP, predictive", 3)
	o.Summary.InTime, o.Summary.Lost, o.Summary.Cost, o.Summary.Actions = 0.9999999934, 0.0012, 123.45, 1265
	Summary(&b, []outcome.Outcome{o, o, o, o})
	for line := range strings.Lines(b.String()) {
		if line = strings.TrimRight(line, " \n"); len(line) > 80 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

// A run that came to nothing still has a report.
func TestNothing(t *testing.T) {
	var b bytes.Buffer
	r := Report{Title: "nothing", Outcomes: []outcome.Outcome{{Name: "none"}}}
	for _, err := range []error{HTML(&b, r), PNG(&b, r), SVG(&b, r), CSV(&b, r.Outcomes)} {
		if err != nil {
			t.Error(err)
		}
	}
}

// No line of a table ends with a blank, and long titles of activities are broken between words.
func TestLinesEnd(t *testing.T) {
	var b bytes.Buffer
	o := wave("web", 3)
	o.Activities[0].Description = strings.Repeat("Launching a new EC2 instance ", 8) + "i-1"
	Summary(&b, []outcome.Outcome{o})
	Summary(&b, []outcome.Outcome{o, o, o, o})
	Activities(&b, o)
	for line := range strings.Lines(b.String()) {
		if line = strings.TrimSuffix(line, "\n"); strings.HasSuffix(line, " ") || len(line) > lineWidth {
			t.Errorf("%q", line)
		}
	}
	if !strings.Contains(b.String(), "\n                     new EC2") && !strings.Contains(b.String(), "\n                     EC2") {
		t.Error(b.String())
	}
	if got := strings.Count(strings.Join(strings.Fields(b.String()), " "), "Launching a new EC2 instance"); got != 8 {
		t.Errorf("%d of 8 in\n%s", got, b.String())
	}
}
