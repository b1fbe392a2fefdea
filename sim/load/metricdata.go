package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// metric is one of the MetricDataResults of `aws cloudwatch get-metric-data`, in all of its pages, or the Datapoints of
// `aws cloudwatch get-metric-statistics`.
type metric struct {
	id, label, status string
	times             []int64
	values            []float64
	timeLines, lines  []int
}

// statistic is one of Datapoints.
type statistic struct {
	when, unit   string
	line         int
	sum, average *float64
}

// metricData reads the JSON of CloudWatch. It is read token by token, for the lines that errors name.
func (c *collector) metricData(in *bufio.Reader) error {
	w := &walker{c: c, lines: newLineCounter(in)}
	w.dec = json.NewDecoder(w.lines)
	w.dec.UseNumber()
	if err := w.documents(); err != nil {
		if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
			return c.fault(w.lines.at(wrong.Offset), "it is not whole JSON: %v", wrong)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%s: it is cut off: its JSON does not end", c.name)
		}
		return err
	}
	if w.token != "" {
		c.say("It has a NextToken: CloudWatch has more values, which are not in the file.")
	}
	switch {
	case w.statistics:
		return c.datapoints(w.points)
	case w.results:
		m, err := c.choose(w.metrics)
		if err != nil {
			return err
		}
		return c.result(m)
	default:
		return fmt.Errorf("%s: it has neither MetricDataResults nor Datapoints: it is not what `aws cloudwatch get-metric-data` or get-metric-statistics prints", c.name)
	}
}

// choose takes the metric that is asked for, or the only one.
func (c *collector) choose(metrics []metric) (metric, error) {
	byID := map[string]int{}
	var all []metric
	var names []string
	for _, m := range metrics { // pages repeat an Id
		i, known := byID[m.id]
		if !known {
			i = len(all)
			byID[m.id] = i
			all, names = append(all, metric{id: m.id, label: m.label}), append(names, fmt.Sprintf("%s (%s)", m.id, m.label))
		}
		if len(m.times) != len(m.values) {
			return metric{}, fmt.Errorf("%s: the metric %s has %d timestamps but %d values", c.name, m.id, len(m.times), len(m.values))
		}
		if m.status != "" && m.status != "Complete" && m.status != "PartialData" {
			return metric{}, fmt.Errorf("%s: the metric %s has the status %s", c.name, m.id, m.status)
		}
		a := &all[i]
		a.status = m.status // a page's that is not the last may be of a part
		a.times, a.values = append(a.times, m.times...), append(a.values, m.values...)
		a.timeLines, a.lines = append(a.timeLines, m.timeLines...), append(a.lines, m.lines...)
	}
	if want := c.options.Value; want != "" {
		i := slices.IndexFunc(all, func(m metric) bool { return m.id == want || m.label == want })
		if i < 0 {
			return metric{}, fmt.Errorf("%s: there is no metric with the Id or Label %q; there are %s", c.name, want, strings.Join(names, ", "))
		}
		return all[i], nil
	}
	switch len(all) {
	case 0:
		return metric{}, fmt.Errorf("%s: there are no metrics in it", c.name)
	case 1:
		return all[0], nil
	}
	return metric{}, fmt.Errorf("%s: it has several metrics: choose one (--value) of %s", c.name, strings.Join(names, ", "))
}

func (c *collector) result(m metric) error {
	if m.status == "PartialData" {
		c.say("Of the metric %s it has a part only (StatusCode PartialData): values may be missing.", m.id)
	}
	if m.label == "CPUUtilization" && c.options.Unit == "" {
		if err := c.setUnit(Percent); err != nil {
			return err
		}
	}
	c.sparse()
	for i := range m.times {
		if err := c.add(m.times[i], m.values[i], m.lines[i]); err != nil {
			return err
		}
	}
	return nil
}

// datapoints takes Sum where there is one, else Average, whose unit says what it is.
func (c *collector) datapoints(points []statistic) error {
	for i, p := range points {
		n := p.sum
		if n == nil {
			n = p.average
		}
		if p.when == "" || n == nil {
			return c.fault(p.line, "a data point needs a Timestamp and a Sum or an Average")
		}
		if i == 0 && c.options.Unit == "" {
			switch {
			case p.unit == "Percent":
				if err := c.setUnit(Percent); err != nil {
					return err
				}
			case p.unit == "Count/Second" && p.sum == nil:
				c.unit = PerSecond
			}
		}
		at, err := c.clock.parse(p.when)
		if err != nil {
			return c.fault(p.line, "%q %v", p.when, err)
		}
		c.sparse()
		if err := c.add(at, *n, p.line); err != nil {
			return err
		}
	}
	return nil
}

// sparse: CloudWatch has no value for a period without requests, and gives the newest first.
func (c *collector) sparse() {
	c.unordered = true
	if c.options.Gaps == "" && c.unit != Percent {
		c.gaps = Zero
	}
}

// walker goes through JSON and keeps what CloudWatch says.
type walker struct {
	c                   *collector
	dec                 *json.Decoder
	lines               *lineCounter
	metrics             []metric
	points              []statistic
	results, statistics bool
	token               string // of the page that would follow the last one
}

// documents reads the pages of an answer, one after the other.
func (w *walker) documents() error {
	for {
		w.token = ""
		if err := w.value(nil); err != nil {
			return err
		}
		if !w.dec.More() {
			return nil
		}
	}
}

// value reads one value; path are the names of the members that lead to it, with "" for an element of a list.
func (w *walker) value(path []string) error {
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		return w.scalar(strings.Join(path, "."), token, w.lines.at(w.dec.InputOffset()))
	}
	if len(path) > 32 {
		return fmt.Errorf("%s: its JSON is nested too deeply", w.c.name)
	}
	w.enter(strings.Join(path, "."), w.lines.at(w.dec.InputOffset()))
	for w.dec.More() {
		name := ""
		if delim == '{' {
			key, err := w.dec.Token()
			if err != nil {
				return err
			}
			name, _ = key.(string)
		}
		if err := w.value(append(path, name)); err != nil {
			return err
		}
	}
	_, err = w.dec.Token()
	return err
}

// enter notes the beginning of a list or an object.
func (w *walker) enter(path string, line int) {
	switch path {
	case "MetricDataResults":
		w.results = true
	case "Datapoints":
		w.statistics = true
	case "MetricDataResults.":
		w.metrics = append(w.metrics, metric{})
	case "Datapoints.":
		w.points = append(w.points, statistic{line: line})
	}
}

func (w *walker) scalar(path string, token json.Token, line int) error {
	text, _ := token.(string)
	if n, ok := token.(json.Number); ok {
		text = n.String()
	}
	if path == "NextToken" {
		w.token = text
	}
	field, ok := strings.CutPrefix(path, "MetricDataResults.")
	if ok && len(w.metrics) > 0 {
		return w.ofResult(&w.metrics[len(w.metrics)-1], strings.TrimPrefix(field, "."), text, line)
	}
	field, ok = strings.CutPrefix(path, "Datapoints.")
	if ok && len(w.points) > 0 {
		return w.ofPoint(&w.points[len(w.points)-1], strings.TrimPrefix(field, "."), text, line)
	}
	return nil
}

func (w *walker) ofResult(m *metric, field, text string, line int) error {
	switch field {
	case "Id":
		m.id = text
	case "Label":
		m.label = text
	case "StatusCode":
		m.status = text
	case "Timestamps.":
		at, err := w.c.clock.parse(text)
		if err != nil {
			return w.c.fault(line, "%q %v", text, err)
		}
		m.times = append(m.times, at)
	case "Values.":
		n, err := w.c.number(text, line, 0)
		if err != nil {
			return err
		}
		m.values, m.lines = append(m.values, n), append(m.lines, line)
	}
	return nil
}

func (w *walker) ofPoint(p *statistic, field, text string, line int) error {
	var err error
	var n float64
	switch field {
	case "Timestamp":
		p.when, p.line = text, line
	case "Unit":
		p.unit = text
	case "Sum":
		n, err = w.c.number(text, line, 0)
		p.sum = &n
	case "Average":
		n, err = w.c.number(text, line, 0)
		p.average = &n
	}
	return err
}

// lineCounter knows the lines of what has been read through it. It forgets lines before the last one asked for.
type lineCounter struct {
	r      io.Reader
	read   int64
	breaks []int64 // offsets of line breaks after the last line asked for
	line   int
}

func newLineCounter(r io.Reader) *lineCounter { return &lineCounter{r: r, line: 1} }

func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for i, b := range p[:n] {
		if b == '\n' {
			l.breaks = append(l.breaks, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

// at is the line of an offset; offsets are asked for in ascending order.
func (l *lineCounter) at(offset int64) int {
	i := 0
	for i < len(l.breaks) && l.breaks[i] < offset {
		i++
	}
	l.line += i
	l.breaks = l.breaks[i:]
	return l.line
}
