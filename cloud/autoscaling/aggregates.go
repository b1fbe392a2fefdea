package autoscaling

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// Contributions is the row of how many instances a group's newest metric points are of; its key is the group's name.
// Policies need it: a point is a minute or two old when an alarm looks at it, and the group may be another one by then.
type Contributions struct{ Points []Contribution } // oldest first

// Contribution is one period's number of instances.
type Contribution struct {
	At        int64 // seconds since 1970
	Instances int
}

// contributionsKept bounds the points of a row: enough for the delay of any alarm that policies use.
const contributionsKept = 8

// contributionAge is how old a point may be and still tell the size of the group: basic monitoring gives one in five
// minutes.
const contributionAge = 8 * time.Minute

// groupPoint is what the members of one group add up to in one period.
type groupPoint struct {
	at        int64
	instances int
	stats     [ec2.MetricCount]cloudwatch.Stat
}

// groupBatch is the part of a batch that belongs to one group. It has one point, or two when some of the members are
// measured each minute and some every five.
type groupBatch struct {
	group  Group
	warmup time.Duration
	points []groupPoint
}

// aggregate makes the metrics of groups out of those of their members: AWS/EC2 with the dimension AutoScalingGroupName
// (CW-NM-02), one merged point per group, metric and period. Members in service count when their warm-up was over when
// the period began (AS-WU-01, AS-LC-10), members on their way out until they are gone (AS-WU-05).
func (s *Service) aggregate(tx *cloud.Tx, e ec2.InstancesMeasured) {
	place := map[string]int{}
	var batches []groupBatch
	for i := range e.Samples {
		x := &e.Samples[i]
		m, ok := s.members.Get(tx, x.InstanceID)
		if !ok {
			continue
		}
		n, known := place[m.Group]
		if !known {
			g, ok := s.groups.Get(tx, m.Group)
			if !ok {
				continue
			}
			n = len(batches)
			place[m.Group] = n
			batches = append(batches, groupBatch{group: g, warmup: s.metricWarmup(tx, g)})
		}
		if m.contributes(x.At, batches[n].warmup) {
			batches[n].add(x)
		}
	}
	for _, b := range batches {
		s.publish(tx, b)
	}
}

// contributes tells whether a member is a part of its group's metrics in a period that began at a time.
func (m Member) contributes(at time.Time, warmup time.Duration) bool {
	switch m.phase() {
	case phaseInService, phaseTerminating:
		return !m.InServiceAt.IsZero() && !m.InServiceAt.Add(warmup).After(at)
	}
	return false
}

func (b *groupBatch) add(x *ec2.Measured) {
	at := x.At.Unix()
	i := 0
	for i < len(b.points) && b.points[i].at != at {
		i++
	}
	if i == len(b.points) {
		b.points = append(b.points, groupPoint{at: at})
	}
	p := &b.points[i]
	p.instances++
	for k := range x.Stats {
		p.stats[k] = merge(p.stats[k], x.Stats[k])
	}
}

// merge adds up two sets of samples. Members' points have no raw values that an aggregate could use.
func merge(a, b cloudwatch.Stat) cloudwatch.Stat {
	if a.Count == 0 {
		return cloudwatch.Stat{Count: b.Count, Sum: b.Sum, Min: b.Min, Max: b.Max}
	}
	if b.Count == 0 {
		return a
	}
	return cloudwatch.Stat{Count: a.Count + b.Count, Sum: a.Sum + b.Sum, Min: min(a.Min, b.Min), Max: max(a.Max, b.Max)}
}

func (s *Service) publish(tx *cloud.Tx, b groupBatch) {
	if len(b.points) == 0 {
		return
	}
	row, _ := s.scaling.contributions.Get(tx, b.group.Name)
	data := make([]cloudwatch.Datum, 0, len(b.points)*ec2.MetricCount)
	dims := []cloudwatch.Dimension{{Name: "AutoScalingGroupName", Value: b.group.Name}}
	for _, p := range b.points {
		row = row.with(Contribution{At: p.at, Instances: p.instances})
		for k, metric := range ec2.Metrics {
			data = append(data, cloudwatch.Datum{
				Namespace: "AWS/EC2", Metric: metric.Name, Unit: metric.Unit, Dimensions: dims,
				At: time.Unix(p.at, 0).UTC(), Stat: p.stats[k],
			})
		}
	}
	s.scaling.contributions.Put(tx, b.group.Name, row)
	s.cloudwatch.Put(tx, data)
}

// with is the row with one contribution more; several of the same period add up.
func (c Contributions) with(p Contribution) Contributions {
	points := make([]Contribution, 0, len(c.Points)+1)
	done := false
	for _, x := range c.Points {
		switch {
		case x.At == p.At:
			x.Instances += p.Instances
			done = true
		case x.At > p.At && !done:
			points = append(points, p)
			done = true
		}
		points = append(points, x)
	}
	if !done {
		points = append(points, p)
	}
	return Contributions{points[max(0, len(points)-contributionsKept):]}
}

// contributed is how many instances the group's newest metric point at or before a time is of; false if there is no
// such point, or only one that is too old.
func (s *Service) contributed(tx *cloud.Tx, group string, at time.Time) (int, bool) {
	row, _ := s.scaling.contributions.Get(tx, group)
	for i := len(row.Points) - 1; i >= 0; i-- {
		if p := row.Points[i]; p.At <= at.Unix() {
			return p.Instances, at.Unix()-p.At <= int64(contributionAge/time.Second)
		}
	}
	return 0, false
}
