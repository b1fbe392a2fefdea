package autoscaling

import (
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	metrics "github.com/billow-cloud/billow/api/cloudwatch"
	network "github.com/billow-cloud/billow/api/ec2"
	v2 "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// behindBalancer is a world with a group "g" behind a load balancer; the two ARNs are the load balancer's and the target group's.
func behindBalancer(t *testing.T, lo, hi, desired int32) (w *world, lb, tg string) {
	w = scaledWorld(t, lo, hi, desired, nil)
	var subnets []string
	for _, s := range must[network.DescribeSubnetsOutput](w, ec2.Name, "DescribeSubnets", &network.DescribeSubnetsInput{}).Subnets {
		subnets = append(subnets, *s.SubnetId)
	}
	vpc := must[network.DescribeVpcsOutput](w, ec2.Name, "DescribeVpcs", &network.DescribeVpcsInput{}).Vpcs[0].VpcId
	lb = *must[v2.CreateLoadBalancerOutput](w, elbv2.Name, "CreateLoadBalancer", &v2.CreateLoadBalancerInput{
		Name: new("web"), Subnets: subnets}).LoadBalancers[0].LoadBalancerArn
	tg = *must[v2.CreateTargetGroupOutput](w, elbv2.Name, "CreateTargetGroup", &v2.CreateTargetGroupInput{
		Name: new("web"), Protocol: new("HTTP"), Port: new(int32(80)), VpcId: vpc}).TargetGroups[0].TargetGroupArn
	must[v2.CreateListenerOutput](w, elbv2.Name, "CreateListener", &v2.CreateListenerInput{LoadBalancerArn: &lb, Protocol: new("HTTP"), Port: new(int32(80)),
		DefaultActions: []v2.Action{{Type: new("forward"), TargetGroupArn: &tg}}})
	must[shape.AttachLoadBalancerTargetGroupsOutput](w, Name, "AttachLoadBalancerTargetGroups", &shape.AttachLoadBalancerTargetGroupsInput{
		AutoScalingGroupName: new("g"), TargetGroupARNs: []string{tg}})
	w.advance(time.Minute)
	return w, lb, tg
}

// label is the ResourceLabel of a load balancer and a target group.
func label(lb, tg string) string {
	_, a, _ := strings.Cut(lb, ":loadbalancer/")
	return a + "/" + tg[strings.LastIndex(tg, ":")+1:]
}

// serve lets minutes pass in which the load balancer answers so many requests each; the data plane tells every 10 seconds.
func (w *world) serve(minutes, requests int, lb, tg string) {
	w.t.Helper()
	const parts = 6
	for range minutes * parts {
		w.advance(w.now.Truncate(time.Minute / parts).Add(time.Minute / parts).Sub(w.now))
		w.step(cloud.Observed{Facts: []cloud.Fact{elbv2.Traffic{From: w.now.Add(-time.Minute / parts), To: w.now, Counters: []elbv2.Counters{
			{LoadBalancer: lb, TargetGroup: tg, Zone: "us-east-1a", RequestCount: int64(requests / parts / 2)},
			{LoadBalancer: lb, TargetGroup: tg, Zone: "us-east-1b", RequestCount: int64(requests/parts - requests/parts/2)},
		}}}})
	}
}

// TestRequestsPerTargetCloseTheLoop: 600 requests a minute at 100 per target take 6 instances, 150 take 2 (AS-TT-16, CW-NM-04).
func TestRequestsPerTargetCloseTheLoop(t *testing.T) {
	w, lb, tg := behindBalancer(t, 1, 8, 1)
	must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{
		AutoScalingGroupName: new("g"), PolicyName: new("requests"), PolicyType: new(typeTargetTracking),
		TargetTrackingConfiguration: &shape.TargetTrackingConfiguration{TargetValue: new(100.0), PredefinedMetricSpecification: &shape.PredefinedMetricSpecification{
			PredefinedMetricType: new("ALBRequestCountPerTarget"), ResourceLabel: new(label(lb, tg))}}})
	began := w.now
	for range 20 {
		if w.serve(1, 600, lb, tg); w.group("g").DesiredCapacity > 1 {
			break
		}
	}
	if took := w.now.Sub(began); w.group("g").DesiredCapacity != 6 || took > 5*time.Minute { // AS-TT-22
		t.Errorf("%d instances after %v: %s", w.group("g").DesiredCapacity, took, w.standing("requests").Reason)
	}
	w.serve(20, 600, lb, tg)
	if n := w.group("g").DesiredCapacity; n != 6 {
		t.Errorf("%d instances under a load that takes 6: %s", n, w.standing("requests").Reason)
	}
	w.serve(40, 150, lb, tg)
	if n := w.group("g").DesiredCapacity; n != 2 {
		t.Errorf("%d instances under a load that takes 2: %s", n, w.standing("requests").Reason)
	}
	w.serve(40, 0, lb, tg)
	if n := w.group("g").DesiredCapacity; n != 1 {
		t.Errorf("%d instances without load: %s", n, w.standing("requests").Reason)
	}
}

// TestDescribePoliciesShowsTheAlarmsThatCall: also those that have not called yet.
func TestDescribePoliciesShowsTheAlarmsThatCall(t *testing.T) {
	w := scaledWorld(t, 0, 3, 1, nil)
	arn := must[shape.PutScalingPolicyOutput](w, Name, "PutScalingPolicy", &shape.PutScalingPolicyInput{
		AutoScalingGroupName: new("g"), PolicyName: new("out"), AdjustmentType: new(changeInCapacity), ScalingAdjustment: new(int32(1))}).PolicyARN
	for _, name := range []string{"busy", "also"} {
		must[metrics.PutMetricAlarmOutput](w, cloudwatch.Name, "PutMetricAlarm", &metrics.PutMetricAlarmInput{
			AlarmName: &name, Namespace: new("n"), MetricName: new("m"), Statistic: new("Sum"), Period: new(int32(60)), EvaluationPeriods: new(int32(1)),
			Threshold: new(1.0), ComparisonOperator: new("GreaterThanThreshold"), AlarmActions: []string{*arn}, OKActions: []string{*arn}})
	}
	names := func() string {
		var all []string
		for _, a := range must[shape.DescribePoliciesOutput](w, Name, "DescribePolicies", &shape.DescribePoliciesInput{}).ScalingPolicies[0].Alarms {
			all = append(all, *a.AlarmName)
		}
		return strings.Join(all, " ")
	}
	if got := names(); got != "also busy" {
		t.Errorf("alarms %q", got)
	}
	must[metrics.DeleteAlarmsOutput](w, cloudwatch.Name, "DeleteAlarms", &metrics.DeleteAlarmsInput{AlarmNames: []string{"also"}})
	if got := names(); got != "busy" {
		t.Errorf("alarms %q after one was deleted", got)
	}
}
