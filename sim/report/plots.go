package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/billow-cloud/billow/sim/outcome"
)

// The colours of plots as files, and what stands in their place where the page decides by light and dark.
var (
	ink    = rgb(0x2B2B2A)
	faint  = rgb(0xD9D8D4)
	paper  = rgb(0xFCFCFB)
	quiet  = rgb(0x8A8986) // the optimum
	load   = rgb(0x2A78D6)
	wanted = rgb(0xEB6834)
	there  = rgb(0x1BAF7A)
	// variants are told apart by these, in this order.
	variants = []color.RGBA{rgb(0x2A78D7), rgb(0xEB6835), rgb(0x1BAF7B), rgb(0xEDA100), rgb(0x4A3AA7), rgb(0xE87BA4), rgb(0x008300), rgb(0x8A6D3B)}
)

func rgb(v uint32) color.RGBA { return color.RGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 0xFF} }

const (
	width  = 22 * vg.Centimeter
	height = 6 * vg.Centimeter
)

var dashes = []vg.Length{vg.Points(4), vg.Points(3)}

// panel is one plot and the words that a reader needs beside it.
type panel struct {
	title string
	about string
	plot  *plot.Plot
	lines []line
}

// line is one quantity in a panel.
type line struct {
	name   string
	color  color.RGBA
	dashed bool
	points plotter.XYs
}

// panels are all plots of a report.
func panels(r Report) ([]panel, error) {
	if len(r.Outcomes) == 0 || len(r.Outcomes[0].Points) == 0 {
		return nil, nil
	}
	first := r.Outcomes[0]
	each := "A point is " + slotText(slot(first))
	var list []panel
	add := func(title, about, unit string, lines ...line) error {
		p, err := draft(unit, r, lines)
		list = append(list, panel{title, each + about, p, lines})
		return err
	}
	if err := add("Load", ": the mean rate of arrivals.", "requests/s", loads(r)...); err != nil {
		return nil, err
	}
	if err := add("Instances", ": the most in it.", "instances", instances(r)...); err != nil {
		return nil, err
	}
	if err := add("Utilization", ": the mean over the instances in service.", "%", perOutcome(r, func(p outcome.Point) float64 { return p.Utilization }, mean)...); err != nil {
		return nil, err
	}
	notInTime := func(p outcome.Point) float64 { return p.Late + p.Lost }
	if err := add("Requests late or lost", ": their sum.", "requests", perOutcome(r, notInTime, sum)...); err != nil {
		return nil, err
	}
	err := add("Latency, 99th percentile", ": the largest of its slots.", "seconds", perOutcome(r, func(p outcome.Point) float64 { return p.P99 }, largest)...)
	return list, err
}

func slotText(d time.Duration) string {
	switch {
	case d == time.Minute:
		return "a minute"
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return d.String()
}

// instances are what there is against what is wanted, for one outcome; for several, what each has.
func instances(r Report) []line {
	first := r.Outcomes[0]
	inService := func(p outcome.Point) float64 { return float64(p.InService) }
	best := func(p outcome.Point) float64 { return float64(p.Optimum) }
	lines := perOutcome(r, inService, largest)
	if len(r.Outcomes) == 1 {
		lines[0] = line{"in service", there, false, lines[0].points}
		lines = append(lines, line{"desired", wanted, false, thin(first, func(p outcome.Point) float64 { return float64(p.Desired) }, largest)})
	}
	if slices.ContainsFunc(r.Outcomes, func(o outcome.Outcome) bool { return o.Name == "clairvoyant" }) {
		return lines // it has what the optimum is, and boots
	}
	if !r.severalGroups() {
		if optimum := thin(first, best, largest); largestY(optimum) > 0 {
			lines = append(lines, line{"optimum", quiet, true, optimum})
		}
		return lines
	}
	for i, o := range r.Outcomes {
		if optimum := thin(o, best, largest); largestY(optimum) > 0 {
			lines = append(lines, line{o.Name + ", optimum", lines[i].color, true, optimum})
		}
	}
	return lines
}

// loads are what came in: the same for variants of one group, one for each of several groups.
func loads(r Report) []line {
	rate := func(p outcome.Point) float64 { return p.Rate }
	if r.severalGroups() {
		return perOutcome(r, rate, mean)
	}
	return []line{{"requests per second", load, false, thin(r.Outcomes[0], rate, mean)}}
}

func largestY(points plotter.XYs) float64 {
	most := 0.0
	for _, p := range points {
		most = max(most, p.Y)
	}
	return most
}

// perOutcome is one line for each outcome.
func perOutcome(r Report, value func(outcome.Point) float64, combine func([]float64) float64) []line {
	if len(r.Outcomes) == 1 {
		c := there
		return []line{{r.Outcomes[0].Name, c, false, thin(r.Outcomes[0], value, combine)}}
	}
	var lines []line
	for i, o := range r.Outcomes {
		lines = append(lines, line{o.Name, variants[i%len(variants)], i >= len(variants), thin(o, value, combine)})
	}
	return lines
}

// draft makes a plot over the time of the report, from zero up.
func draft(unit string, r Report, lines []line) (*plot.Plot, error) {
	p := plot.New()
	p.BackgroundColor = paper
	p.Y.Label.Text = unit
	from, to := r.span()
	p.X.Min, p.X.Max = float64(from.Unix()), float64(to.Unix())
	p.X.Tick.Marker = calendar{}
	p.Y.Tick.Marker = scale{}
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Tick.Color, a.Tick.Label.Color, a.Label.TextStyle.Color = ink, faint, ink, ink
		a.LineStyle.Color = faint
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	grid.Horizontal.Color, grid.Horizontal.Width = faint, vg.Points(0.5)
	p.Add(grid)
	most := 0.0
	for _, l := range lines {
		drawn, err := plotter.NewLine(l.points)
		if err != nil {
			return nil, err
		}
		drawn.StepStyle = plotter.PostStep
		drawn.Color, drawn.Width = l.color, vg.Points(1.25)
		if l.dashed {
			drawn.Dashes = dashes
		}
		p.Add(drawn)
		most = max(most, largestY(l.points))
	}
	if most == 0 {
		most = 1
	}
	p.Y.Min, p.Y.Max = 0, most*1.05
	return p, nil
}

// keyed gives a plot a title and a legend above its lines, for where no page has them.
func (p panel) keyed() *plot.Plot {
	p.plot.Title.Text, p.plot.Title.TextStyle.Color = p.title, ink
	p.plot.Legend.Top, p.plot.Legend.TextStyle.Color = true, ink
	if len(p.lines) < 2 {
		return p.plot
	}
	for _, l := range p.lines {
		key := &plotter.Line{LineStyle: draw.LineStyle{Color: l.color, Width: vg.Points(2)}}
		if l.dashed {
			key.Dashes = dashes
		}
		p.plot.Legend.Add(l.name, key)
	}
	p.plot.Y.Max *= 1.1 + 0.07*float64(len(p.lines))
	return p.plot
}

// stack puts all panels below each other on a canvas.
func stack(list []panel, c draw.Canvas) {
	for i, p := range list {
		top := c.Max.Y - vg.Length(i)*height
		p.keyed().Draw(margin(draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: c.Min.X, Y: top - height}, Max: vg.Point{X: c.Max.X, Y: top},
		}}))
	}
}

// margin leaves room for the last label of a time axis.
func margin(c draw.Canvas) draw.Canvas { return draw.Crop(c, 0, -vg.Points(24), 0, -vg.Points(4)) }

// calendar puts the ticks of a time axis at whole hours, days or weeks, UTC.
type calendar struct{}

var strides = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 2 * 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour, 28 * 24 * time.Hour, 84 * 24 * time.Hour, 364 * 24 * time.Hour}

func (calendar) Ticks(low, high float64) []plot.Tick {
	stride := strides[len(strides)-1]
	for _, s := range strides {
		room := 9.0
		if s < 24*time.Hour && high-low > 24*3600 {
			room = 6 // for date and time
		}
		if (high-low)/s.Seconds() <= room {
			stride = s
			break
		}
	}
	format := "Jan 2"
	switch {
	case stride < 24*time.Hour && high-low > 24*3600:
		format = "Jan 2 15:04"
	case stride < 24*time.Hour:
		format = "15:04"
	case stride > 84*24*time.Hour:
		format = "Jan 2006"
	}
	var ticks []plot.Tick
	for at := time.Unix(int64(low), 0).UTC().Truncate(stride); float64(at.Unix()) <= high; at = at.Add(stride) {
		if float64(at.Unix()) >= low {
			ticks = append(ticks, plot.Tick{Value: float64(at.Unix()), Label: at.Format(format)})
		}
	}
	return ticks
}

// scale puts four or five ticks at round values, and writes thousands and millions shortly.
type scale struct{}

func (scale) Ticks(low, high float64) []plot.Tick {
	rough := (high - low) / 4
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= rough {
			step = m * power
			break
		}
	}
	var ticks []plot.Tick
	for i := 0; low+float64(i)*step <= high; i++ {
		v := low + float64(i)*step
		ticks = append(ticks, plot.Tick{Value: v, Label: short(v)})
	}
	return ticks
}

func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + " M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + " k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
