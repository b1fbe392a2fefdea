package setup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
)

// What there are metrics of in virtual time, by namespace.
var (
	ofInstances = []string{"CPUUtilization", "NetworkIn", "NetworkOut", "NetworkPacketsIn", "NetworkPacketsOut", "DiskReadBytes", "DiskWriteBytes",
		"DiskReadOps", "DiskWriteOps", "StatusCheckFailed", "StatusCheckFailed_Instance", "StatusCheckFailed_System"}
	ofBalancers = []string{"RequestCount", "RequestCountPerTarget", "TargetResponseTime", "HealthyHostCount", "UnHealthyHostCount", "HTTPCode_Target_2XX_Count",
		"HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "HTTPCode_ELB_503_Count", "HTTPCode_ELB_504_Count", "RejectedConnectionCount", "TargetConnectionErrorCount"}
)

// metric is a metric that a policy or an alarm looks at.
type metric struct {
	namespace, name string
	dimensions      map[string]string
}

func (m metric) key() string {
	text := m.namespace + " " + m.name
	for _, d := range []string{"AutoScalingGroupName", "LoadBalancer", "TargetGroup"} {
		text += " " + m.dimensions[d]
	}
	return text
}

func ofDimensions[D any](all []D, pair func(D) (name, value *string)) map[string]string {
	out := map[string]string{}
	for _, d := range all {
		name, value := pair(d)
		out[api.Value(name)] = api.Value(value)
	}
	return out
}

func ofPolicy(d asapi.MetricDimension) (*string, *string) { return d.Name, d.Value }
func ofAlarm(d cwapi.Dimension) (*string, *string)        { return d.Name, d.Value }

// policyMetrics are those that a target tracking policy names by itself.
func policyMetrics(p *asapi.ScalingPolicy) []metric {
	if p.TargetTrackingConfiguration == nil || p.TargetTrackingConfiguration.CustomizedMetricSpecification == nil {
		return nil
	}
	c := p.TargetTrackingConfiguration.CustomizedMetricSpecification
	if c.MetricName != nil {
		return []metric{{api.Value(c.Namespace), *c.MetricName, ofDimensions(c.Dimensions, ofPolicy)}}
	}
	var all []metric
	for _, q := range c.Metrics {
		if q.MetricStat != nil && q.MetricStat.Metric != nil {
			m := q.MetricStat.Metric
			all = append(all, metric{api.Value(m.Namespace), api.Value(m.MetricName), ofDimensions(m.Dimensions, ofPolicy)})
		}
	}
	return all
}

func alarmMetrics(a *cwapi.PutMetricAlarmInput) []metric {
	if a.MetricName != nil {
		return []metric{{api.Value(a.Namespace), *a.MetricName, ofDimensions(a.Dimensions, ofAlarm)}}
	}
	var all []metric
	for _, q := range a.Metrics {
		if q.MetricStat != nil && q.MetricStat.Metric != nil {
			m := q.MetricStat.Metric
			all = append(all, metric{api.Value(m.Namespace), api.Value(m.MetricName), ofDimensions(m.Dimensions, ofAlarm)})
		}
	}
	return all
}

// watched finds the target groups that policies and alarms look at, and the load balancers in front of them.
func (b *builder) watched() {
	groups := b.targetGroups()
	watch := func(balancer, group string) {
		if slices.Contains(groups, group) {
			b.watch(balancer, group)
		}
	}
	for _, label := range b.resourceLabels() { // app/NAME/ID/targetgroup/NAME/ID
		if balancer, group, ok := strings.Cut(label, "/targetgroup/"); ok {
			watch(balancer, "targetgroup/"+group)
		}
	}
	var metrics []metric
	for _, p := range b.pieces.policies {
		metrics = append(metrics, policyMetrics(&p.of)...)
	}
	for _, a := range b.pieces.alarms {
		in := &cwapi.PutMetricAlarmInput{}
		carry(&a.of, in)
		metrics = append(metrics, alarmMetrics(in)...)
	}
	for _, m := range metrics {
		if g := m.dimensions["TargetGroup"]; g != "" {
			watch(m.dimensions["LoadBalancer"], g)
		}
	}
	for _, m := range metrics { // a load balancer alone, which one target group alone can be behind
		lb := m.dimensions["LoadBalancer"]
		if lb != "" && m.dimensions["TargetGroup"] == "" && b.tokens[lb] == "" && len(groups) == 1 {
			watch(lb, groups[0])
		}
	}
}

// nameIn is the name in a dimension: "targetgroup/NAME/ID", "app/NAME/ID".
func nameIn(dimension string) (name string, ok bool) {
	parts := strings.Split(dimension, "/")
	if len(parts) != 3 {
		return "", false
	}
	return parts[1], true
}

// watch notes a target group that is looked at, and the load balancer in front of it if it is known.
func (b *builder) watch(balancer, group string) {
	name, _ := nameIn(group)
	t := balanced{name: name, balancer: name}
	front, inFront := nameIn(balancer)
	if inFront {
		t.balancer = front
	} else if was, known := b.balanced[group]; known {
		t = was
	}
	b.balanced[group] = t
	b.tokens[group] = t.dimension()
	if inFront {
		b.tokens[balancer] = t.front()
		b.tokens[balancer+"/"+group] = t.front() + "/" + t.dimension()
	}
}

// resourceLabels are those of policies on requests per target.
func (b *builder) resourceLabels() (labels []string) {
	add := func(label *string) { labels = append(labels, api.Value(label)) }
	for _, p := range b.pieces.policies {
		if c := p.of.TargetTrackingConfiguration; c != nil && c.PredefinedMetricSpecification != nil {
			add(c.PredefinedMetricSpecification.ResourceLabel)
		}
		if p.of.PredictiveScalingConfiguration == nil {
			continue
		}
		for _, m := range p.of.PredictiveScalingConfiguration.MetricSpecifications {
			if m.PredefinedMetricPairSpecification != nil {
				add(m.PredefinedMetricPairSpecification.ResourceLabel)
			}
			if m.PredefinedLoadMetricSpecification != nil {
				add(m.PredefinedLoadMetricSpecification.ResourceLabel)
			}
			if m.PredefinedScalingMetricSpecification != nil {
				add(m.PredefinedScalingMetricSpecification.ResourceLabel)
			}
		}
	}
	return labels
}

// targetGroups are the groups' target groups, as dimensions name them.
func (b *builder) targetGroups() []string {
	var groups []string
	for _, g := range b.pieces.groups {
		for _, arn := range g.of.TargetGroupARNs {
			if m := targetGroup.FindStringSubmatch(arn); m != nil && !slices.Contains(groups, m[1]) {
				groups = append(groups, m[1])
			}
		}
	}
	return groups
}

// observable refuses a policy whose metric nobody publishes.
func (b *builder) observable(p *asapi.ScalingPolicy, group string) error {
	for _, m := range policyMetrics(p) {
		if err := b.published(m, group); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) observableAlarm(a *cwapi.PutMetricAlarmInput, group string) error {
	for _, m := range alarmMetrics(a) {
		if err := b.published(m, group); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) published(m metric, group string) error {
	of := m.dimensions["AutoScalingGroupName"]
	switch m.namespace {
	case "AWS/EC2":
		if !slices.Contains(ofInstances, m.name) {
			return fmt.Errorf("nobody publishes the metric %s of AWS/EC2 in a simulation; there are %s", m.name, strings.Join(ofInstances, ", "))
		}
		if of == "" {
			return fmt.Errorf("the metric %s of AWS/EC2 is looked at without the dimension AutoScalingGroupName; in a simulation there are metrics of groups only", m.name)
		}
	case "AWS/AutoScaling":
		g := b.groups[or(of, group)]
		if g != nil && !slices.ContainsFunc(g.EnabledMetrics, func(e asapi.EnabledMetric) bool { return api.Value(e.Metric) == m.name }) {
			return fmt.Errorf("the group metric %s of %s is not collected: its EnabledMetrics do not have it", m.name, or(of, group))
		}
	case "AWS/ApplicationELB":
		if !slices.Contains(ofBalancers, m.name) {
			return fmt.Errorf("nobody publishes the metric %s of AWS/ApplicationELB in a simulation; there are %s", m.name, strings.Join(ofBalancers, ", "))
		}
		made := strings.Contains(m.dimensions["LoadBalancer"]+m.dimensions["TargetGroup"], "${") // by a script
		if !made && b.tokens[m.dimensions["LoadBalancer"]] == "" && b.tokens[m.dimensions["TargetGroup"]] == "" {
			return fmt.Errorf("the load balancer %s that the metric %s is of has no target group of %s", m.dimensions["LoadBalancer"], m.name, group)
		}
	default:
		return fmt.Errorf("nobody publishes the metric %s of %s in a simulation; policies can follow AWS/EC2, AWS/ApplicationELB and group metrics", m.name, m.namespace)
	}
	if of != "" && b.groups[of] == nil {
		return fmt.Errorf("the metric %s is of the group %s, which is not in the files; %s", m.name, of, b.groupNames())
	}
	return nil
}

// direction is which way a policy moves a group: 1, -1, or 0 if both or neither.
func direction(p *asapi.ScalingPolicy) int {
	sum, magnitude := 0, 0
	add := func(n *int32) {
		switch v := api.Value(n); {
		case v > 0:
			sum, magnitude = sum+1, magnitude+1
		case v < 0:
			sum, magnitude = sum-1, magnitude+1
		}
	}
	add(p.ScalingAdjustment)
	for _, s := range p.StepAdjustments {
		add(s.ScalingAdjustment)
	}
	if api.Value(p.AdjustmentType) == "ExactCapacity" || sum != magnitude && sum != -magnitude || sum == 0 {
		return 0
	}
	return sum / magnitude
}

// crossed tells of pairs of alarms that can both be on: one adds instances above a threshold that is not above the one
// below which the other takes them away, so that they undo each other for ever.
func (b *builder) crossed() {
	type side struct {
		step      Step
		threshold float64
	}
	over, under := map[string][]side{}, map[string][]side{}
	var keys []string
	for _, s := range b.out.Steps {
		a, ok := s.Call.In.(*cwapi.PutMetricAlarmInput)
		metrics := []metric(nil)
		if ok {
			metrics = alarmMetrics(a)
		}
		if len(metrics) != 1 || a.Threshold == nil || len(a.AlarmActions) != 1 || b.policies[a.AlarmActions[0]] == nil {
			continue
		}
		key := s.Group + " " + metrics[0].key() + " " + api.Value(a.Statistic) + api.Value(a.ExtendedStatistic)
		keys = append(keys, key)
		switch way := direction(b.policies[a.AlarmActions[0]]); {
		case way > 0 && strings.HasPrefix(api.Value(a.ComparisonOperator), "GreaterThan"):
			over[key] = append(over[key], side{s, *a.Threshold})
		case way < 0 && strings.HasPrefix(api.Value(a.ComparisonOperator), "LessThan"):
			under[key] = append(under[key], side{s, *a.Threshold})
		}
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		for _, out := range over[key] {
			for _, in := range under[key] {
				if in.threshold > out.threshold {
					b.note(in.step.Source, "%s takes instances away below %g while %s (%s) adds them above %g: in between they undo each other.",
						in.step.What, in.threshold, out.step.What, out.step.Source, out.threshold)
				}
			}
		}
	}
}
