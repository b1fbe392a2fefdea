package autoscaling

import (
	"math"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// This file says what load and capacity are for a predictive policy, and reads them from the stored metrics.

// loadKinds are the predefined metrics of AS-PD-06, by their names as a pair, as a load and as a scaling metric. Metric is
// AWS/EC2's with the dimension AutoScalingGroupName; empty for the requests of a target group.
var loadKinds = [...]struct{ pair, load, scaling, metric string }{
	{"ASGCPUUtilization", "ASGTotalCPUUtilization", "ASGAverageCPUUtilization", "CPUUtilization"},
	{"ASGNetworkIn", "ASGTotalNetworkIn", "ASGAverageNetworkIn", "NetworkIn"},
	{"ASGNetworkOut", "ASGTotalNetworkOut", "ASGAverageNetworkOut", "NetworkOut"},
	{"ALBRequestCount", "ALBTargetGroupRequestCount", requestCountPerTarget, ""},
}

// loadKind finds a predefined metric by its place and one of its names.
func loadKind(name string, nameOf func(i int) string) int {
	for i := range loadKinds {
		if nameOf(i) == name {
			return i
		}
	}
	return -1
}

func pairKind(name string) int {
	return loadKind(name, func(i int) string { return loadKinds[i].pair })
}
func totalKind(name string) int {
	return loadKind(name, func(i int) string { return loadKinds[i].load })
}
func scalingKind(name string) int {
	return loadKind(name, func(i int) string { return loadKinds[i].scaling })
}

// checkPredictive refuses a configuration that no forecast can be made with, and fills in its defaults.
func checkPredictive(g Group, p Policy, in *shape.PutScalingPolicyInput) (Policy, error) {
	if in.PredictiveScalingConfiguration == nil {
		return p, invalid("PredictiveScalingConfiguration is required for policy type PredictiveScaling")
	}
	if in.AdjustmentType != nil || in.ScalingAdjustment != nil || len(in.StepAdjustments) > 0 || in.MinAdjustmentMagnitude != nil ||
		in.MinAdjustmentStep != nil || in.Cooldown != nil || in.MetricAggregationType != nil || in.EstimatedInstanceWarmup != nil || in.TargetTrackingConfiguration != nil {
		return p, invalid("Only PredictiveScalingConfiguration is supported for policy type PredictiveScaling")
	}
	c := *in.PredictiveScalingConfiguration
	p.Predictive = &c
	if c.Mode == nil {
		c.Mode = new(shape.PredictiveScalingModeForecastOnly) // AS-PD-01
	}
	if c.MaxCapacityBreachBehavior == nil {
		c.MaxCapacityBreachBehavior = new(shape.PredictiveScalingMaxCapacityBreachBehaviorHonorMaxCapacity)
	}
	increase := *c.MaxCapacityBreachBehavior == shape.PredictiveScalingMaxCapacityBreachBehaviorIncreaseMaxCapacity
	switch {
	case *c.Mode != shape.PredictiveScalingModeForecastOnly && *c.Mode != shape.PredictiveScalingModeForecastAndScale:
		return p, invalid("Mode %s is not valid. It must be one of ForecastAndScale, ForecastOnly", *c.Mode)
	case !increase && *c.MaxCapacityBreachBehavior != shape.PredictiveScalingMaxCapacityBreachBehaviorHonorMaxCapacity:
		return p, invalid("MaxCapacityBreachBehavior %s is not valid. It must be one of HonorMaxCapacity, IncreaseMaxCapacity", *c.MaxCapacityBreachBehavior)
	case increase && c.MaxCapacityBuffer == nil: // AS-PD-05
		return p, invalid("MaxCapacityBuffer is required if MaxCapacityBreachBehavior is IncreaseMaxCapacity")
	case !increase && c.MaxCapacityBuffer != nil:
		return p, invalid("MaxCapacityBuffer is only supported if MaxCapacityBreachBehavior is IncreaseMaxCapacity")
	case api.Value(c.MaxCapacityBuffer) < 0 || api.Value(c.MaxCapacityBuffer) > 100:
		return p, invalid("MaxCapacityBuffer must be between 0 and 100")
	case api.Value(c.SchedulingBufferTime) < 0 || api.Value(c.SchedulingBufferTime) >= 3600: // AS-PD-03
		return p, invalid("SchedulingBufferTime must be at least 0 and less than 3600 seconds")
	case len(c.MetricSpecifications) != 1: // AS-PD-06
		return p, invalid("Exactly one metric specification must be given in MetricSpecifications")
	}
	return p, checkLoad(g, c.MetricSpecifications[0])
}

func checkLoad(g Group, m shape.PredictiveScalingMetricSpecification) error {
	if v := api.Value(m.TargetValue); !(v > 0) || v > math.Ldexp(1, 360) { // as AS-TT-19
		return invalid("TargetValue must be greater than 0 and at most 2^360")
	}
	load, scaling := m.PredefinedLoadMetricSpecification, m.PredefinedScalingMetricSpecification
	if x := m.PredefinedMetricPairSpecification; x != nil {
		if load != nil || scaling != nil || m.CustomizedLoadMetricSpecification != nil || m.CustomizedScalingMetricSpecification != nil || m.CustomizedCapacityMetricSpecification != nil {
			return invalid("PredefinedMetricPairSpecification must not be given together with other metric specifications")
		}
		return checkLoadKind(g, api.Value(x.PredefinedMetricType), pairKind(api.Value(x.PredefinedMetricType)), x.ResourceLabel)
	}
	if (load == nil) == (m.CustomizedLoadMetricSpecification == nil) || (scaling == nil) == (m.CustomizedScalingMetricSpecification == nil) {
		return invalid("Exactly one load metric and one scaling metric, or a predefined metric pair, must be specified")
	}
	if load != nil {
		if err := checkLoadKind(g, api.Value(load.PredefinedMetricType), totalKind(api.Value(load.PredefinedMetricType)), load.ResourceLabel); err != nil {
			return err
		}
	}
	if scaling != nil {
		if err := checkLoadKind(g, api.Value(scaling.PredefinedMetricType), scalingKind(api.Value(scaling.PredefinedMetricType)), scaling.ResourceLabel); err != nil {
			return err
		}
	}
	for _, q := range customizedLoads(m) {
		if err := cloudwatch.CheckQueries(hourlyQueries(q)); err != nil {
			return invalid("The metric data queries of the policy are not valid: %v", err)
		}
	}
	return nil
}

func checkLoadKind(g Group, name string, kind int, label *string) error {
	switch {
	case kind < 0:
		return invalid("The predefined metric type %s is not valid", name)
	case loadKinds[kind].metric == "":
		return checkLabel(g, name, api.Value(label))
	case api.Value(label) != "":
		return invalid("ResourceLabel is only supported for predefined metrics of an Application Load Balancer")
	}
	return nil
}

// customizedLoads are the customized metrics of a specification.
func customizedLoads(m shape.PredictiveScalingMetricSpecification) (all [][]shape.MetricDataQuery) {
	if x := m.CustomizedLoadMetricSpecification; x != nil {
		all = append(all, x.MetricDataQueries)
	}
	if x := m.CustomizedScalingMetricSpecification; x != nil {
		all = append(all, x.MetricDataQueries)
	}
	if x := m.CustomizedCapacityMetricSpecification; x != nil {
		all = append(all, x.MetricDataQueries)
	}
	return all
}

// hourlyQueries are a customized metric's queries with a period of an hour.
func hourlyQueries(in []shape.MetricDataQuery) []cloudwatch.Query {
	var out []cloudwatch.Query
	for _, q := range in {
		c := cloudwatch.Query{ID: api.Value(q.Id), Expression: api.Value(q.Expression), Label: api.Value(q.Label), ReturnData: q.ReturnData == nil || *q.ReturnData}
		if q.MetricStat != nil && q.MetricStat.Metric != nil {
			c.Namespace, c.MetricName = api.Value(q.MetricStat.Metric.Namespace), api.Value(q.MetricStat.Metric.MetricName)
			c.Dimensions = dimensions(q.MetricStat.Metric.Dimensions)
			c.Stat, c.Unit, c.Period = api.Value(q.MetricStat.Stat), api.Value(q.MetricStat.Unit), 3600
		}
		out = append(out, c)
	}
	return out
}

// history is a policy's load in each hour before end, oldest first, NaN where it is not known; and how much of the scaling
// metric a unit of load is on one instance. For a load and a scaling metric that are of the same thing that is 1: the load
// is the mean over the hour of what all instances together have in a minute (AS-PD-07). For others it is what the
// history tells: the sum over instances of the scaling metric against the load [I].
func (s *Service) history(tx *cloud.Tx, g Group, p Policy, end time.Time) (loads []float64, perInstance float64) {
	m := p.Predictive.MetricSpecifications[0]
	r := hourlyReader{s: s, tx: tx, group: g.Name, from: end.Add(-HistoryUsed * time.Hour), to: end}
	if x := m.PredefinedMetricPairSpecification; x != nil {
		return r.total(pairKind(api.Value(x.PredefinedMetricType)), api.Value(x.ResourceLabel)), 1
	}
	load, scaling := m.PredefinedLoadMetricSpecification, m.PredefinedScalingMetricSpecification
	if load != nil {
		kind := totalKind(api.Value(load.PredefinedMetricType))
		loads = r.total(kind, api.Value(load.ResourceLabel))
		if scaling != nil && scalingKind(api.Value(scaling.PredefinedMetricType)) == kind && api.Value(scaling.ResourceLabel) == api.Value(load.ResourceLabel) {
			return loads, 1
		}
	} else {
		loads = r.read(hourlyQueries(m.CustomizedLoadMetricSpecification.MetricDataQueries))
	}
	var perEach, instances []float64
	if scaling != nil {
		perEach = r.mean(scalingKind(api.Value(scaling.PredefinedMetricType)), api.Value(scaling.ResourceLabel))
	} else {
		perEach = r.read(hourlyQueries(m.CustomizedScalingMetricSpecification.MetricDataQueries))
	}
	if x := m.CustomizedCapacityMetricSpecification; x != nil {
		instances = r.read(hourlyQueries(x.MetricDataQueries))
	} else {
		instances = r.perMinute(r.groupMetric("CPUUtilization", "SampleCount"), r.groupMetric("CPUUtilization", "SampleCount"))
	}
	used, of := 0.0, 0.0
	for i, v := range loads {
		if w := perEach[i] * instances[i]; v > 0 && !math.IsNaN(w) {
			used, of = used+w, of+v
		}
	}
	if of == 0 {
		return nil, 0
	}
	return loads, used / of
}

// hourlyReader reads metrics as one value for each hour.
type hourlyReader struct {
	s        *Service
	tx       *cloud.Tx
	group    string
	from, to time.Time
}

func (r *hourlyReader) groupMetric(name, stat string) cloudwatch.Query {
	return cloudwatch.Query{ID: "m", ReturnData: true, Period: 3600, Stat: stat, Namespace: "AWS/EC2", MetricName: name,
		Dimensions: []cloudwatch.Dimension{{Name: "AutoScalingGroupName", Value: r.group}}}
}

func targetGroupMetric(name, stat, label string) cloudwatch.Query {
	loadBalancer, targetGroup, _ := splitLabel(label)
	return cloudwatch.Query{ID: "m", ReturnData: true, Period: 3600, Stat: stat, Namespace: "AWS/ApplicationELB", MetricName: name,
		Dimensions: []cloudwatch.Dimension{{Name: "LoadBalancer", Value: loadBalancer}, {Name: "TargetGroup", Value: targetGroup}}}
}

// total is what all instances of the group have together in a minute.
func (r *hourlyReader) total(kind int, label string) []float64 {
	if name := loadKinds[kind].metric; name != "" {
		q := r.groupMetric(name, "Sum")
		return r.perMinute(q, q)
	}
	// Without requests there is no RequestCount; RequestCountPerTarget is always there (CW-NM-04).
	loads := r.perMinute(targetGroupMetric("RequestCount", "Sum", label), targetGroupMetric(requestCountPerTargetMetric, "Sum", label))
	return loads
}

// requestCountPerTargetMetric is the name in CloudWatch of the predefined metric ALBRequestCountPerTarget.
var requestCountPerTargetMetric = strings.TrimPrefix(requestCountPerTarget, "ALB")

// mean is what one instance has in a minute.
func (r *hourlyReader) mean(kind int, label string) []float64 {
	if name := loadKinds[kind].metric; name != "" {
		return r.read([]cloudwatch.Query{r.groupMetric(name, "Average")})
	}
	q := targetGroupMetric(requestCountPerTargetMetric, "Sum", label)
	return r.perMinute(q, q)
}

// perMinute divides the sums of hours by the minutes in which there is data of another metric. Points may be of five
// minutes, or of an hour when they are old; of an hour of which less than a half was measured nothing is known.
func (r *hourlyReader) perMinute(sum, measured cloudwatch.Query) []float64 {
	out := r.read([]cloudwatch.Query{sum})
	measured.Stat, measured.Period = "SampleCount", 300
	parts := make([]int, len(out))
	readings, err := r.s.cloudwatch.Read(r.tx, []cloudwatch.Query{measured}, r.from, r.to)
	if err != nil {
		panic(err) // it is made here
	}
	for _, x := range readings {
		parts[(x.At-r.from.Unix())/3600]++
	}
	for i, n := range parts {
		switch {
		case n == 1:
			n = 12
		case n < 6:
			out[i] = math.NaN()
			continue
		}
		if math.IsNaN(out[i]) {
			out[i] = 0
		}
		out[i] /= float64(n * 5)
	}
	return out
}

// read gives the value of each hour that queries of a period of an hour give, NaN where there is none.
func (r *hourlyReader) read(queries []cloudwatch.Query) []float64 {
	out := make([]float64, int(r.to.Sub(r.from)/time.Hour))
	for i := range out {
		out[i] = math.NaN()
	}
	readings, err := r.s.cloudwatch.Read(r.tx, queries, r.from, r.to)
	if err != nil { // an expression that does not fit the data that there are: nothing is known
		return out
	}
	for _, x := range readings {
		if i := (x.At - r.from.Unix()) / 3600; i >= 0 && i < int64(len(out)) && x.Value >= 0 && x.Value < 1e300 {
			out[i] = x.Value
		}
	}
	return out
}
