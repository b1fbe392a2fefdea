package autoscaling

import (
	"fmt"
	"math"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// This file is predictive scaling (AS-PD): once an hour a group's capacity is raised to what was forecast for the hour.
//
//	stored metrics --history, every 6 hours--> Forecast --> Prediction (row) --raise, every hour--> setDesired
//	                                                            |
//	                                                            +--floor--> Decide, which scales in no further (AS-PM-07)

// How often a forecast is renewed, how far it looks ahead (AS-PD-02), and how long what it said is kept.
const (
	forecastEvery = 6 * time.Hour
	forecastHours = 48
	forecastsKept = 30 * dayHours
)

// defaultBuffer is the SchedulingBufferTime of a policy without one, in seconds (AS-PD-03).
const defaultBuffer = 300

// Prediction is the row of what a predictive policy has forecast; its key is the policy's.
type Prediction struct {
	Updated time.Time // when the newest forecast was made; zero: there never was enough history for one
	Tried   time.Time // when one was last wanted
	Applied int64     // the hour, in seconds since 1970, that was last raised to; hours before it are over

	// Per hour from the hour From on; those that are past say what the last forecast made before them said.
	From     int64
	Load     []float64
	Capacity []int
}

// capacity is what was forecast for the hour that starts at a time in seconds.
func (x *Prediction) capacity(hour int64) (int, bool) {
	i := (hour - x.From) / 3600
	if hour < x.From || i >= int64(len(x.Capacity)) {
		return 0, false
	}
	return x.Capacity[i], true
}

// renew replaces what was forecast for the hour from on.
func (x *Prediction) renew(from int64, load []float64, capacity []int) {
	past := max(0, min(int((from-x.From)/3600), len(x.Load)))
	if x.From+int64(past)*3600 != from { // a hole: what is before it is forgotten
		past = 0
	}
	first := max(0, past-forecastsKept)
	x.From = from - int64(past-first)*3600
	x.Load = append(append([]float64(nil), x.Load[first:past]...), load...)
	x.Capacity = append(append([]int(nil), x.Capacity[first:past]...), capacity...)
}

func (p *Policy) buffer() time.Duration {
	if b := p.Predictive.SchedulingBufferTime; b != nil {
		return time.Duration(*b) * time.Second
	}
	return defaultBuffer * time.Second
}

// scales tells whether the policy's forecasts move the group (AS-PD-01).
func (p *Policy) scales() bool {
	return p.Enabled && p.Predictive != nil && api.Value(p.Predictive.Mode) == shape.PredictiveScalingModeForecastAndScale
}

// startPredicting makes the row of a policy that was just put; the first hour that it raises to is the next one [I].
func (s *Service) startPredicting(tx *cloud.Tx, p Policy) {
	s.scaling.predictions.Put(tx, p.key(), Prediction{Applied: s.dueHour(tx, p)})
	tx.Touch(Name, keyForecast, p.key())
}

func (s *Service) stopPredicting(tx *cloud.Tx, key string) {
	s.scaling.predictions.Delete(tx, key)
	tx.At(Name, keyForecast, key, time.Time{})
}

// dueHour is the newest hour to which the policy may have raised its group by now: SchedulingBufferTime early (AS-PD-03).
func (s *Service) dueHour(tx *cloud.Tx, p Policy) int64 {
	return tx.Now().Add(p.buffer()).Truncate(time.Hour).Unix()
}

// predict renews a policy's forecast when it is old and raises its group when an hour comes; both at the same instant,
// once an hour. What was missed, as by a server that was down, is made good for the hour that has come last.
func (s *Service) predict(tx *cloud.Tx, key string) {
	p, ok := s.scaling.policies.Get(tx, key)
	x, predicted := s.scaling.predictions.Get(tx, key)
	g, there := s.groups.Get(tx, p.Group)
	if !ok || !predicted || !there || !p.Enabled || g.Deleting {
		tx.At(Name, keyForecast, key, time.Time{})
		return
	}
	due, changed := s.dueHour(tx, p), false
	old := x.Updated.IsZero() || !x.Tried.Add(forecastEvery-time.Hour/2).After(tx.Now())
	if x.Tried.IsZero() || due > x.Applied && old {
		s.forecast(tx, g, p, &x)
		changed = true
	}
	if due > x.Applied {
		x.Applied, changed = due, true
		if n, ok := x.capacity(due); ok {
			s.publishForecast(tx, p, &x, due)
			s.raise(tx, g, p, due, n)
		}
	}
	if changed {
		s.scaling.predictions.Put(tx, key, x)
	}
	tx.At(Name, keyForecast, key, time.Unix(due+3600, 0).Add(-p.buffer()))
}

// forecast makes a new forecast from the hour that is going on until 48 hours ahead.
func (s *Service) forecast(tx *cloud.Tx, g Group, p Policy, x *Prediction) {
	x.Tried = tx.Now()
	end := tx.Now().Truncate(time.Hour)
	history, perInstance := s.history(tx, g, p, end)
	load := Forecast(history, forecastHours+1)
	if load == nil {
		return
	}
	capacity := make([]int, len(load))
	for i, v := range load {
		capacity[i] = ForecastCapacity(v*perInstance, api.Value(p.Predictive.MetricSpecifications[0].TargetValue))
	}
	x.Updated = tx.Now()
	x.renew(end.Unix(), load, capacity)
}

// raise brings a group to the capacity that was forecast for an hour; it never lowers (AS-PD-04). No cooldown and no
// AlarmNotification holds it up (AS-CD-03): neither is about it; Launch is (AS-SP-03).
func (s *Service) raise(tx *cloud.Tx, g Group, p Policy, hour int64, n int) {
	st, _ := s.scaling.standings.Get(tx, p.key())
	st.Decided, st.Changed = tx.Now(), false
	st.Reason = fmt.Sprintf("the forecast for the hour from %s is %d", utcTime(hour), n)
	switch {
	case !p.scales():
		st.Reason += ", and the policy's Mode is ForecastOnly"
	case g.suspended("Launch"):
		st.Reason += "; Launch is suspended"
	default:
		g = s.raiseMax(tx, g, p, n)
		if n > g.MaxSize {
			st.Reason += fmt.Sprintf(", and the group's maximum is %d", g.MaxSize)
		}
		if n = min(n, g.MaxSize); n <= g.DesiredCapacity {
			st.Reason += fmt.Sprintf(", and the group wants %d already", g.DesiredCapacity)
			break
		}
		st.Changed = true
		g = s.setDesired(tx, g, n, Cause{ // AWS's own text is not known [I]
			Text: fmt.Sprintf("the forecast of %d for the hour from %s triggered policy %s", n, utcTime(hour), p.Name)})
	}
	st.Desired = g.DesiredCapacity
	s.scaling.standings.Put(tx, p.key(), st)
}

// raiseMax lifts a group's maximum over a forecast, if the policy may do that; it stays there (AS-PD-05).
func (s *Service) raiseMax(tx *cloud.Tx, g Group, p Policy, n int) Group {
	if api.Value(p.Predictive.MaxCapacityBreachBehavior) != shape.PredictiveScalingMaxCapacityBreachBehaviorIncreaseMaxCapacity {
		return g
	}
	roof := min((n*(100+int(api.Value(p.Predictive.MaxCapacityBuffer)))+99)/100, math.MaxInt32)
	if roof > g.MaxSize {
		g.MaxSize = roof
		s.groups.Put(tx, g.Name, g)
		tx.Touch(Name, keyGroup, g.Name)
	}
	return g
}

// forecastFloor is the capacity that predictive policies have raised a group to and under which others do not go
// meanwhile (AS-PM-07): the forecast of the hour, or of the next one if it has been raised to.
func (s *Service) forecastFloor(tx *cloud.Tx, g Group) int {
	floor := 0
	for key, x := range s.scaling.predictions.Prefix(tx, policyKey(g.Name, "")) {
		if p, ok := s.scaling.policies.Get(tx, key); !ok || !p.scales() {
			continue
		}
		for _, hour := range []int64{tx.Now().Truncate(time.Hour).Unix(), x.Applied} {
			if n, ok := x.capacity(hour); ok {
				floor = max(floor, n)
			}
		}
	}
	return floor
}

// publishForecast publishes what was forecast for an hour as group metrics (AS-GM-04).
func (s *Service) publishForecast(tx *cloud.Tx, p Policy, x *Prediction, hour int64) {
	dims := []cloudwatch.Dimension{{Name: "AutoScalingGroupName", Value: p.Group}, {Name: "PolicyName", Value: p.Name}}
	pair := []cloudwatch.Dimension{dims[0], {Name: "PairIndex", Value: "0"}, dims[1]}
	i, at := (hour-x.From)/3600, time.Unix(hour, 0).UTC()
	s.cloudwatch.Put(tx, []cloudwatch.Datum{
		{Namespace: "AWS/AutoScaling", Metric: "PredictiveScalingLoadForecast", Dimensions: pair, At: at, Stat: cloudwatch.Single(x.Load[i])},
		{Namespace: "AWS/AutoScaling", Metric: "PredictiveScalingCapacityForecast", Dimensions: dims, At: at, Stat: cloudwatch.Single(float64(x.Capacity[i]))},
	})
}

func utcTime(seconds int64) string { return time.Unix(seconds, 0).UTC().Format("2006-01-02T15:04:05Z") }

// GetPredictiveScalingForecast gives what was forecast for a range of time (AS-PD-08).
func (s *Service) GetPredictiveScalingForecast(tx *cloud.Tx, in *shape.GetPredictiveScalingForecastInput) (*shape.GetPredictiveScalingForecastOutput, error) {
	p, err := s.policy(tx, api.Value(in.AutoScalingGroupName), api.Value(in.PolicyName))
	if err != nil {
		return nil, err
	}
	from, to := *in.StartTime, *in.EndTime
	switch {
	case p.Type != typePredictive:
		return nil, invalid("The policy %s is not of type PredictiveScaling", p.Name)
	case !from.Before(to):
		return nil, invalid("StartTime must be earlier than EndTime")
	case to.Sub(from) > 30*24*time.Hour:
		return nil, invalid("The time between StartTime and EndTime must not be more than 30 days")
	case from.Before(tx.Now().AddDate(-1, 0, 0)):
		return nil, invalid("StartTime must not be more than one year ago")
	}
	x, _ := s.scaling.predictions.Get(tx, p.key())
	if x.Updated.IsZero() {
		return nil, invalid("There is no forecast for the policy %s yet: it takes at least %d hours of data", p.Name, HistoryNeeded)
	}
	var times []time.Time
	loads, capacities := []float64{}, []float64{}
	for i, v := range x.Load {
		at := time.Unix(x.From+int64(i)*3600, 0).UTC()
		if !at.Before(from) && at.Before(to) {
			times, loads, capacities = append(times, at), append(loads, v), append(capacities, float64(x.Capacity[i]))
		}
	}
	return &shape.GetPredictiveScalingForecastOutput{
		LoadForecast:     []shape.LoadForecast{{Timestamps: times, Values: loads, MetricSpecification: &p.Predictive.MetricSpecifications[0]}},
		CapacityForecast: &shape.CapacityForecast{Timestamps: times, Values: capacities}, UpdateTime: &x.Updated,
	}, nil
}
