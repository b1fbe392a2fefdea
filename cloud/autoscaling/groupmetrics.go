package autoscaling

import (
	"slices"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// groupMetrics are the metrics that can be collected, in AWS's order (AS-GM-02, AS-GM-03), each with how it is counted.
// Those of warm pools have no data: there are no warm pools.
var groupMetrics = []struct {
	name  string
	count func(Capacity) int
}{
	{"GroupMinSize", func(c Capacity) int { return c.Min }},
	{"GroupMaxSize", func(c Capacity) int { return c.Max }},
	{"GroupDesiredCapacity", func(c Capacity) int { return c.Desired }},
	{"GroupInServiceInstances", func(c Capacity) int { return c.InService }},
	{"GroupPendingInstances", func(c Capacity) int { return c.Pending }},
	{"GroupStandbyInstances", func(c Capacity) int { return c.Standby }},
	{"GroupTerminatingInstances", func(c Capacity) int { return c.Terminating }},
	{"GroupTerminatingRetainedInstances", func(c Capacity) int { return c.Retained }},
	{"GroupTotalInstances", Capacity.total},
	{"GroupInServiceCapacity", func(c Capacity) int { return c.InService }},
	{"GroupPendingCapacity", func(c Capacity) int { return c.Pending }},
	{"GroupStandbyCapacity", func(c Capacity) int { return c.Standby }},
	{"GroupTerminatingCapacity", func(c Capacity) int { return c.Terminating }},
	{"GroupTerminatingRetainedCapacity", func(c Capacity) int { return c.Retained }},
	{"GroupTotalCapacity", Capacity.total},
	{"WarmPoolDesiredCapacity", nil},
	{"WarmPoolWarmedCapacity", nil},
	{"WarmPoolPendingCapacity", nil},
	{"WarmPoolPendingRetainedCapacity", nil},
	{"WarmPoolTerminatingCapacity", nil},
	{"WarmPoolTerminatingRetainedCapacity", nil},
	{"WarmPoolTotalCapacity", nil},
	{"GroupAndWarmPoolDesiredCapacity", nil},
	{"GroupAndWarmPoolTotalCapacity", nil},
}

const granularity = "1Minute" // the only one (AS-GM-01)

// total is GroupTotalInstances (AS-GM-02).
func (c Capacity) total() int { return c.InService + c.Pending + c.Terminating + c.Retained }

func (s *Service) metricOperations() []cloud.Operation {
	return []cloud.Operation{
		cloud.Handle("EnableMetricsCollection", s.EnableMetricsCollection).But("metrics of warm pools have no data"),
		cloud.Handle("DisableMetricsCollection", s.DisableMetricsCollection),
		cloud.Handle("DescribeMetricCollectionTypes", s.DescribeMetricCollectionTypes),
	}
}

// EnableMetricsCollection has a group's metrics published each minute; no list means all.
func (s *Service) EnableMetricsCollection(tx *cloud.Tx, in *shape.EnableMetricsCollectionInput) (*shape.EnableMetricsCollectionOutput, error) {
	g, names, err := s.metricRequest(tx, api.Value(in.AutoScalingGroupName), in.Metrics)
	if err != nil {
		return nil, err
	}
	if api.Value(in.Granularity) != granularity {
		return nil, invalid("Granularity %s is not valid. The only valid granularity is 1Minute", api.Value(in.Granularity))
	}
	s.setMetrics(tx, g, func(name string) bool { return slices.Contains(names, name) || slices.Contains(g.EnabledMetrics, name) })
	return &shape.EnableMetricsCollectionOutput{}, nil
}

// DisableMetricsCollection ends it; no list means all.
func (s *Service) DisableMetricsCollection(tx *cloud.Tx, in *shape.DisableMetricsCollectionInput) (*shape.DisableMetricsCollectionOutput, error) {
	g, names, err := s.metricRequest(tx, api.Value(in.AutoScalingGroupName), in.Metrics)
	if err != nil {
		return nil, err
	}
	s.setMetrics(tx, g, func(name string) bool {
		return !slices.Contains(names, name) && slices.Contains(g.EnabledMetrics, name)
	})
	return &shape.DisableMetricsCollectionOutput{}, nil
}

func (s *Service) metricRequest(tx *cloud.Tx, group string, names []string) (Group, []string, error) {
	g, err := s.scaledGroup(tx, group)
	if err != nil {
		return g, nil, err
	}
	if len(names) == 0 {
		for _, m := range groupMetrics {
			names = append(names, m.name)
		}
		return g, names, nil
	}
	for _, name := range names {
		if !isGroupMetric(name) {
			return g, nil, invalid("Metric %s is not a valid metric of an AutoScalingGroup", name)
		}
	}
	return g, names, nil
}

func isGroupMetric(name string) bool {
	for _, m := range groupMetrics {
		if m.name == name {
			return true
		}
	}
	return false
}

// setMetrics writes which metrics are collected, in AWS's order, and sets the timer.
func (s *Service) setMetrics(tx *cloud.Tx, g Group, on func(name string) bool) {
	g.EnabledMetrics = nil
	for _, m := range groupMetrics {
		if on(m.name) {
			g.EnabledMetrics = append(g.EnabledMetrics, m.name)
		}
	}
	s.groups.Put(tx, g.Name, g)
	s.scheduleMetrics(tx, g)
}

// scheduleMetrics sets the timer to the next whole minute, or takes it away.
func (s *Service) scheduleMetrics(tx *cloud.Tx, g Group) {
	var next time.Time
	if len(g.EnabledMetrics) > 0 {
		next = tx.Now().Truncate(time.Minute).Add(time.Minute)
	}
	tx.At(Name, keyMetrics, g.Name, next)
}

// publishGroup publishes a group's metrics for the minute that has just ended. Only its own timer brings it about: a
// load does not, since the minute may have been published already.
func (s *Service) publishGroup(tx *cloud.Tx, group string) {
	g, ok := s.groups.Get(tx, group)
	if !ok {
		return
	}
	s.scheduleMetrics(tx, g)
	minute := tx.Now().Truncate(time.Minute)
	if len(g.EnabledMetrics) == 0 {
		return
	}
	c := s.capacity(tx, g, 0)
	dims := []cloudwatch.Dimension{{Name: "AutoScalingGroupName", Value: g.Name}}
	var data []cloudwatch.Datum
	for _, m := range groupMetrics {
		if m.count == nil || !slices.Contains(g.EnabledMetrics, m.name) {
			continue
		}
		data = append(data, cloudwatch.Datum{
			Namespace: "AWS/AutoScaling", Metric: m.name, Dimensions: dims,
			At: minute.Add(-time.Minute), Stat: cloudwatch.Single(float64(m.count(c))),
		})
	}
	s.cloudwatch.Put(tx, data)
}

// DescribeMetricCollectionTypes lists what can be collected.
func (s *Service) DescribeMetricCollectionTypes(*cloud.Tx, *shape.DescribeMetricCollectionTypesInput) (*shape.DescribeMetricCollectionTypesOutput, error) {
	out := &shape.DescribeMetricCollectionTypesOutput{Granularities: []shape.MetricGranularityType{{Granularity: new(granularity)}}}
	for _, m := range groupMetrics {
		out.Metrics = append(out.Metrics, shape.MetricCollectionType{Metric: new(m.name)})
	}
	return out, nil
}
