package autoscaling

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// GroupUsage is the fact of what all instances of a group used alike in a minute, From to To: what one ec2.Usage with the
// same sample for each of them says, at the cost of one. It is for worlds in which the instances of a group are alike.
// The group's CPUUtilization, with the dimension AutoScalingGroupName, becomes what it would be; there are no other
// metrics of usage, and none of single instances, of images and of instance types.
type GroupUsage struct {
	Scope      cloud.Scope
	Group      string
	From, To   time.Time
	CPUPercent float64 // of each; 100 is all that the instance type promises
}

// Alike is the row of what each of a group's instances with basic monitoring used and what is not published yet.
type Alike struct {
	Period               time.Time // start of the five minutes
	Count, Sum, Min, Max float64   // of minutes
}

// The periods of basic monitoring (CW-NM-02).
const basicPeriod = 5 * time.Minute

// measure publishes a group's usage: of its members with detailed monitoring at once, of the others every five minutes.
func (s *Service) measure(tx *cloud.Tx, f GroupUsage) {
	g, ok := s.groups.Get(tx, f.Group)
	span := f.To.Sub(f.From)
	if !ok || span <= 0 {
		return
	}
	t := s.tallies.of(tx.Scope, g.Name)
	minute, next := f.From.Add(span/2).UTC().Truncate(time.Minute), f.To.Add(span/2).UTC().Truncate(time.Minute)
	a, waiting := s.scaling.alike.Get(tx, g.Name)
	warmup := s.metricWarmup(tx, g)
	if waiting && !a.Period.Equal(minute.Truncate(basicPeriod)) { // the period went by without its last minute
		s.publishAlike(tx, g, t.contributing(a.Period, warmup)[0], a)
		a = Alike{}
	}
	if t.stays[1] > 0 {
		s.publishAlike(tx, g, t.contributing(minute, warmup)[1], Alike{}.add(minute, f.CPUPercent))
	}
	if t.stays[0] > 0 {
		a = a.add(minute.Truncate(basicPeriod), f.CPUPercent)
	}
	if !a.Period.IsZero() && !next.Before(a.Period.Add(basicPeriod)) {
		s.publishAlike(tx, g, t.contributing(a.Period, warmup)[0], a)
		a = Alike{}
	}
	switch {
	case a != Alike{}:
		s.scaling.alike.Put(tx, g.Name, a)
	case waiting:
		s.scaling.alike.Delete(tx, g.Name)
	}
}

// add is the row with one minute more.
func (a Alike) add(period time.Time, v float64) Alike {
	if a.Count == 0 {
		return Alike{period, 1, v, v, v}
	}
	return Alike{a.Period, a.Count + 1, a.Sum + v, min(a.Min, v), max(a.Max, v)}
}

// publishAlike publishes what each of n instances used in a period.
func (s *Service) publishAlike(tx *cloud.Tx, g Group, n int, a Alike) {
	if n <= 0 {
		return
	}
	row, _ := s.scaling.contributions.Get(tx, g.Name)
	s.scaling.contributions.Put(tx, g.Name, row.with(Contribution{At: a.Period.Unix(), Instances: n}))
	s.cloudwatch.Put(tx, []cloudwatch.Datum{{
		Namespace: "AWS/EC2", Metric: "CPUUtilization", Unit: "Percent", At: a.Period,
		Dimensions: []cloudwatch.Dimension{{Name: "AutoScalingGroupName", Value: g.Name}},
		Stat:       cloudwatch.Stat{Count: float64(n) * a.Count, Sum: float64(n) * a.Sum, Min: a.Min, Max: a.Max},
	}})
}
