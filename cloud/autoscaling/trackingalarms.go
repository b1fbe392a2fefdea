package autoscaling

import (
	"math"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// How long a metric has to be over the target and under the low threshold (AS-TT-03), in data points of a minute. With
// shorter periods (AS-TT-18) the high alarm still takes three data points, the low one still a quarter of an hour.
const (
	highPoints = 3
	lowSeconds = 15 * 60
)

// Predefined metrics (AS-TT-16).
var predefined = map[string]string{
	"ASGAverageCPUUtilization": "CPUUtilization",
	"ASGAverageNetworkIn":      "NetworkIn",
	"ASGAverageNetworkOut":     "NetworkOut",
}

const requestCountPerTarget = "ALBRequestCountPerTarget"

// maxExpression is how long an expression may be (AS-TT-17).
const maxExpression = 2047

// checkTracking refuses a target tracking configuration that cannot be followed.
func checkTracking(g Group, in *shape.PutScalingPolicyInput) error {
	c := in.TargetTrackingConfiguration
	switch {
	case c == nil:
		return invalid("TargetTrackingConfiguration is required for policy type TargetTrackingScaling")
	case in.AdjustmentType != nil || in.ScalingAdjustment != nil || len(in.StepAdjustments) > 0 || in.MinAdjustmentMagnitude != nil ||
		in.MinAdjustmentStep != nil || in.Cooldown != nil || in.MetricAggregationType != nil:
		return invalid("Only TargetTrackingConfiguration and EstimatedInstanceWarmup are supported for policy type TargetTrackingScaling")
	case (c.PredefinedMetricSpecification == nil) == (c.CustomizedMetricSpecification == nil):
		return invalid("Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified")
	}
	if v := api.Value(c.TargetValue); !(v > 0) || v > math.Ldexp(1, 360) { // AS-TT-19
		return invalid("TargetValue must be greater than 0 and at most 2^360")
	}
	if api.Value(c.ScaleInCooldown) < 0 || api.Value(c.ScaleOutCooldown) < 0 {
		return invalid("ScaleInCooldown and ScaleOutCooldown must not be negative")
	}
	if m := c.CustomizedMetricSpecification; m != nil {
		return checkCustomized(m)
	}
	return checkPredefined(g, *c.PredefinedMetricSpecification)
}

func checkPredefined(g Group, m shape.PredefinedMetricSpecification) error {
	kind, label := api.Value(m.PredefinedMetricType), api.Value(m.ResourceLabel)
	if _, ok := predefined[kind]; ok {
		if label != "" {
			return invalid("ResourceLabel is only supported for the predefined metric ALBRequestCountPerTarget")
		}
		return nil
	}
	if kind != requestCountPerTarget {
		return invalid("The predefined metric type %s is not valid", kind)
	}
	return checkLabel(g, kind, label)
}

// checkLabel refuses a ResourceLabel of a predefined metric that does not name a target group of the group.
func checkLabel(g Group, kind, label string) error {
	_, targetGroup, ok := splitLabel(label)
	if !ok {
		return invalid("ResourceLabel must have the form app/<load balancer>/<id>/targetgroup/<target group>/<id> for the predefined metric %s", kind)
	}
	for _, a := range g.Attachments {
		if strings.HasSuffix(a.ID, ":"+targetGroup) {
			return nil
		}
	}
	return invalid("The target group of ResourceLabel %s is not attached to the AutoScalingGroup %s", label, g.Name)
}

// splitLabel takes a ResourceLabel apart into the values of the dimensions LoadBalancer and TargetGroup.
func splitLabel(label string) (loadBalancer, targetGroup string, ok bool) {
	part := strings.Split(label, "/")
	if len(part) != 6 || part[0] != "app" || part[3] != "targetgroup" || part[1] == "" || part[2] == "" || part[4] == "" || part[5] == "" {
		return "", "", false
	}
	return strings.Join(part[:3], "/"), strings.Join(part[3:], "/"), true
}

// checkCustomized checks one metric or a set of queries (AS-TT-17).
func checkCustomized(m *shape.CustomizedMetricSpecification) error {
	if len(m.Metrics) == 0 {
		if m.MetricName == nil || m.Namespace == nil || m.Statistic == nil {
			return invalid("CustomizedMetricSpecification must have MetricName, Namespace and Statistic, or Metrics")
		}
		return goodPeriod(m.Period)
	}
	if m.MetricName != nil || m.Namespace != nil || m.Statistic != nil || m.Unit != nil || len(m.Dimensions) > 0 || m.Period != nil {
		return invalid("CustomizedMetricSpecification must not have Metrics together with the members of a single metric")
	}
	seen, returned, period := map[string]bool{}, 0, int32(0)
	for _, q := range m.Metrics {
		id := api.Value(q.Id)
		switch {
		case id == "" || id[0] < 'a' || id[0] > 'z':
			return invalid("The Id %s of a metric data query must start with a lowercase letter", id)
		case seen[id]:
			return invalid("The Id %s occurs in more than one metric data query", id)
		case (q.Expression == nil) == (q.MetricStat == nil):
			return invalid("The metric data query %s must have either Expression or MetricStat", id)
		case len(api.Value(q.Expression)) > maxExpression:
			return invalid("The expression of metric data query %s is longer than %d characters", id, maxExpression)
		}
		seen[id] = true
		if q.ReturnData == nil || *q.ReturnData {
			returned++
		}
		for _, p := range []*int32{q.Period, statPeriod(q)} {
			if err := goodPeriod(p); err != nil {
				return err
			}
			if p != nil && period != 0 && *p != period {
				return invalid("All metric data queries must have the same period") // CW-MM-08
			}
			if p != nil {
				period = *p
			}
		}
	}
	if returned != 1 {
		return invalid("Exactly one metric data query must have ReturnData true")
	}
	return nil
}

func statPeriod(q shape.TargetTrackingMetricDataQuery) *int32 {
	if q.MetricStat == nil {
		return nil
	}
	return q.MetricStat.Period
}

// goodPeriod allows 10, 30 and 60 seconds (AS-TT-18).
func goodPeriod(p *int32) error {
	if p != nil && *p != 10 && *p != 30 && *p != 60 {
		return invalid("Period must be 10, 30 or 60 seconds")
	}
	return nil
}

// putAlarms makes the alarms of a target tracking policy and notes their names in it (AS-TT-01, AS-TT-02).
func (s *Service) putAlarms(tx *cloud.Tx, g Group, p Policy) (Policy, error) {
	high, low := s.scaling.tracking.alarms(g, p)
	p.High, p.Low = "TargetTracking-"+g.Name+"-AlarmHigh-"+tx.UUID(), ""
	high.AlarmName = p.High
	if err := s.cloudwatch.PutAlarm(tx, high); err != nil {
		return p, err
	}
	if p.scaleInDisabled() {
		return p, nil // AS-TT-07
	}
	p.Low = "TargetTracking-" + g.Name + "-AlarmLow-" + tx.UUID()
	low.AlarmName, p.LowThreshold = p.Low, low.Threshold
	return p, s.cloudwatch.PutAlarm(tx, low)
}

// alarms are the two that a target tracking policy has, without names (AS-TT-01, AS-TT-03).
func (m TrackingModel) alarms(g Group, p Policy) (high, low cloudwatch.Alarm) {
	high = trackedMetric(g.Name, p.TargetTracking)
	high.AlarmDescription = "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy " + p.ARN + "."
	high.ActionsEnabled, high.AlarmActions, high.TreatMissingData = true, []string{p.ARN}, "missing"
	low = high
	high.ComparisonOperator, high.Threshold, high.EvaluationPeriods = "GreaterThanThreshold", p.target(), highPoints
	low.ComparisonOperator, low.Threshold, low.EvaluationPeriods = "LessThanThreshold", m.lowThreshold(p.target(), g.DesiredCapacity), lowSeconds/p.period()
	return high, low
}

// trackedMetric is an alarm on the metric that a configuration names, without thresholds.
func trackedMetric(group string, c shape.TargetTrackingConfiguration) cloudwatch.Alarm {
	if m := c.CustomizedMetricSpecification; m != nil {
		return customizedMetric(m)
	}
	kind := api.Value(c.PredefinedMetricSpecification.PredefinedMetricType)
	if kind == requestCountPerTarget {
		loadBalancer, targetGroup, _ := splitLabel(api.Value(c.PredefinedMetricSpecification.ResourceLabel))
		return cloudwatch.Alarm{
			Namespace: "AWS/ApplicationELB", MetricName: "RequestCountPerTarget", Statistic: "Sum", Period: 60,
			Dimensions: []cloudwatch.Dimension{{Name: "LoadBalancer", Value: loadBalancer}, {Name: "TargetGroup", Value: targetGroup}},
		}
	}
	return cloudwatch.Alarm{
		Namespace: "AWS/EC2", MetricName: predefined[kind], Statistic: "Average", Period: 60,
		Dimensions: []cloudwatch.Dimension{{Name: "AutoScalingGroupName", Value: group}},
	}
}

func customizedMetric(m *shape.CustomizedMetricSpecification) cloudwatch.Alarm {
	if len(m.Metrics) == 0 {
		return cloudwatch.Alarm{
			Namespace: api.Value(m.Namespace), MetricName: api.Value(m.MetricName), Dimensions: dimensions(m.Dimensions),
			Statistic: api.Value(m.Statistic), Unit: api.Value(m.Unit), Period: customizedPeriod(m),
		}
	}
	a, period := cloudwatch.Alarm{}, customizedPeriod(m)
	for _, q := range m.Metrics { // AS-TT-06
		c := cloudwatch.Query{
			ID: api.Value(q.Id), Expression: api.Value(q.Expression), Label: api.Value(q.Label),
			ReturnData: q.ReturnData == nil || *q.ReturnData, Period: period,
		}
		if q.MetricStat != nil && q.MetricStat.Metric != nil {
			c.Namespace, c.MetricName = api.Value(q.MetricStat.Metric.Namespace), api.Value(q.MetricStat.Metric.MetricName)
			c.Dimensions = dimensions(q.MetricStat.Metric.Dimensions)
			c.Stat, c.Unit = api.Value(q.MetricStat.Stat), api.Value(q.MetricStat.Unit)
		}
		a.Metrics = append(a.Metrics, c)
	}
	return a
}

func dimensions(in []shape.MetricDimension) []cloudwatch.Dimension {
	var out []cloudwatch.Dimension
	for _, d := range in {
		out = append(out, cloudwatch.Dimension{Name: api.Value(d.Name), Value: api.Value(d.Value)})
	}
	return out
}

// customizedPeriod is the period of a customized metric in seconds, 60 by default (AS-TT-18).
func customizedPeriod(m *shape.CustomizedMetricSpecification) int32 {
	if m.Period != nil {
		return *m.Period
	}
	for _, q := range m.Metrics {
		if p := statPeriod(q); p != nil {
			return *p
		}
		if q.Period != nil {
			return *q.Period
		}
	}
	return 60
}

// period is that of a target tracking policy's metric in seconds.
func (p Policy) period() int32 {
	if m := p.TargetTracking.CustomizedMetricSpecification; m != nil {
		return customizedPeriod(m)
	}
	return 60
}

// settleLow gives the low alarms of a group their thresholds anew when its capacity has settled (AS-TT-05). An alarm that
// was changed by hand stays as it is until then.
func (s *Service) settleLow(tx *cloud.Tx, g *Group) {
	for _, row := range s.policiesOf.group(tx.Scope, g.Name) {
		if row.Low == "" {
			continue
		}
		threshold := s.scaling.tracking.lowThreshold(row.target(), g.DesiredCapacity)
		if row.LowThreshold == threshold {
			continue
		}
		if c := s.capacity(tx, *g, 0); c.Pending > 0 || c.InService != g.DesiredCapacity {
			return
		}
		p := *row
		p.LowThreshold = threshold
		s.scaling.policies.Put(tx, p.key(), p)
		low, ok := s.cloudwatch.Alarm(tx, p.Low)
		if !ok { // AS-TT-21: an alarm that was deleted by hand stays away
			continue
		}
		low.Threshold = threshold
		if err := s.cloudwatch.PutAlarm(tx, low); err != nil {
			panic(err) // it was good with the threshold before
		}
	}
}

// deleteAlarms removes the alarms that a policy owns.
func (s *Service) deleteAlarms(tx *cloud.Tx, p Policy) {
	for _, name := range []string{p.High, p.Low} {
		if name != "" {
			s.cloudwatch.DeleteAlarm(tx, name)
		}
	}
}
