package report

import (
	"time"

	"gonum.org/v1/plot/plotter"

	"github.com/billow-cloud/billow/sim/outcome"
)

// room is how many points a plot has place for.
const room = 1000

// How the points of a slot of a plot become one.
func mean(values []float64) float64 { return sum(values) / float64(len(values)) }

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

func largest(values []float64) float64 {
	most := values[0]
	for _, v := range values {
		most = max(most, v)
	}
	return most
}

// together is how many points of an outcome become one of a plot.
func together(o outcome.Outcome) int { return (len(o.Points) + room - 1) / room }

// slot is the time that one point of a plot stands for.
func slot(o outcome.Outcome) time.Duration {
	if len(o.Points) < 2 {
		return time.Minute
	}
	return o.Points[1].At.Sub(o.Points[0].At) * time.Duration(together(o))
}

// thin is a quantity over time with at most as many points as a plot has room for; x is in seconds since 1970.
func thin(o outcome.Outcome, value func(outcome.Point) float64, combine func([]float64) float64) plotter.XYs {
	n := together(o)
	var line plotter.XYs
	var values []float64
	for i := 0; i < len(o.Points); i += n {
		values = values[:0]
		for _, p := range o.Points[i:min(i+n, len(o.Points))] {
			values = append(values, value(p))
		}
		line = append(line, plotter.XY{X: float64(o.Points[i].At.Unix()), Y: combine(values)})
	}
	return line
}
