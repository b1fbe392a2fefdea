package peers

import (
	"fmt"
	"time"
)

// GoogleMIG is the autoscaler of a Compute Engine managed instance group on CPU (PE-GC-01 to 03). Its maker says
// "continuously" and names no delay of metrics: here it decides each 15 s by the last minute, seen 15 s later.
type GoogleMIG struct {
	Target         float64       // percent
	Initialization time.Duration // new instances are left out of decisions to scale out
	Stabilization  time.Duration // scale-in keeps to the peak in it
	MaxScaledIn    int           // scale-in control: at most so many fewer than the peak size within ScaledInWindow; 0 is off
	ScaledInWindow time.Duration
	Predictive     bool // OPTIMIZE_AVAILABILITY, once there are three days of history

	recommended []recommendation
	sizes       []recommendation
	history     []float64 // load in instances at 100 %, by minute
}

// NewGoogleMIG is one with the documented defaults.
func NewGoogleMIG(target float64) *GoogleMIG {
	return &GoogleMIG{Target: target, Initialization: 60 * time.Second, Stabilization: 10 * time.Minute}
}

// Name and the rest make it a Scaler.
func (g *GoogleMIG) Name() string {
	if g.Predictive {
		return "GCP, predictive"
	}
	return "GCP MIG"
}

// Every is as continuous as here is.
func (*GoogleMIG) Every() time.Duration { return 15 * time.Second }

// Source is the CPU utilization of the last minute.
func (g *GoogleMIG) Source() Source {
	return Source{Period: 15 * time.Second, Window: 60 * time.Second, Delay: 15 * time.Second, Young: g.Initialization}
}

// Desired is load / target: for more instances without those that are new, for fewer the peak of the stabilization
// period, or of the initialization period if that is longer.
func (g *GoogleMIG) Desired(s Seen) (int, string) {
	if !s.Known {
		return s.Desired, ""
	}
	used := s.Utilization / 100
	all := ceil(used * float64(s.Ready) / (g.Target / 100))
	old := min(s.Ready, s.Alive-s.Young)
	out := ceil(used * float64(old) / (g.Target / 100))
	why := ""
	if g.Predictive {
		if n := g.forecast(s, used*float64(s.Ready)); n > all {
			all, out = n, max(out, n)
			why = fmt.Sprintf("forecast of %d", n)
		}
	}
	var most, size int
	g.recommended, most = peak(g.recommended, s.At, max(all, s.Min), max(g.Stabilization, g.Initialization))
	n := s.Desired
	switch {
	case out > s.Desired:
		n = out
	case most < s.Desired:
		n = most
	}
	if g.MaxScaledIn > 0 {
		g.sizes, size = peak(g.sizes, s.At, s.Desired, g.ScaledInWindow)
		if n < s.Desired {
			n = min(s.Desired, max(n, size-g.MaxScaledIn))
		}
	}
	if n != s.Desired && why == "" {
		why = measured(g.Target, s.Utilization)
	}
	return n, why
}

// forecast is the size for the load of the same minutes of the days before (up to seven), from now until new instances
// have initialized. Its maker does not document the method; this is the simplest that has a daily pattern.
func (g *GoogleMIG) forecast(s Seen, load float64) int {
	const day = 24 * 60
	now := int(s.At / time.Minute)
	for len(g.history) <= now {
		g.history = append(g.history, load)
	}
	g.history[now] = max(g.history[now], load)
	if now < 3*day {
		return 0
	}
	most := 0.0
	for ahead := 0; ahead <= int((g.Initialization+time.Minute-1)/time.Minute); ahead++ {
		sum, days := 0.0, 0
		for at := now + ahead - day; at >= 0 && days < 7; at -= day {
			sum += g.history[at]
			days++
		}
		most = max(most, sum/float64(days))
	}
	return ceil(most / (g.Target / 100))
}
