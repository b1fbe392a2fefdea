package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// BenchmarkLoop is the main job at time scale 60: a group of one instance behind a load balancer gets load that it
// cannot bear, from one moment to the next; how long is it, by the wall clock, until the second instance answers its
// first request through the load balancer? The policy is target tracking with the alarms that AWS makes for it.
//
// AWS's part of that is: waiting for the first minute that breaches as a whole, three such minutes, and the one minute
// that CloudWatch gives the data to arrive before it looks (CW-AL-03f). It ends at an instant that the alarm's history
// tells: the start of the first of the three points that breached, and four minutes. Everything after it is Billow's
// own: measuring, storing, deciding, launching, booting the application (its user data), the first health check
// (LB-HC-03), routing.
func BenchmarkLoop(b *testing.B) {
	asRoot(b)
	const scale = 60
	var total, own []time.Duration
	for b.Loop() {
		for phase := range 3 { // the load begins at the start of a minute, and after a third and two thirds of one
			s := start(b, "--driver", "netns", "--time-scale", "60", "--vcpu", "0.2")
			dnsName := makeLoop(b, s)
			time.Sleep(time.Duration(phase) * time.Minute / 3 / scale)
			from := s.now(b)
			began, new := time.Now(), s.load(b, dnsName)
			all := new.Sub(began)
			waited := s.breached(b).Sub(from) / scale
			total, own = append(total, all), append(own, all-waited)
			b.Logf("load step to traffic %.2f s, of which AWS's periods %.2f s", all.Seconds(), waited.Seconds())
			s.destroy() // or its instances slow down the next
		}
	}
	figure(b, "load-to-traffic", "s", quantile(total, 1).Seconds(), 8)
	figure(b, "own", "s", median(own).Seconds(), 1)
	beside(b, "own-worst", "s", quantile(own, 1).Seconds())
	b.ReportMetric(0, "ns/op")
}

// now is the cloud's time.
func (s *server) now(b *testing.B) time.Time {
	b.Helper()
	answer, err := http.Get(s.endpoint + "/_billow/clock")
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	var clock struct{ Cloud time.Time }
	if err := json.NewDecoder(answer.Body).Decode(&clock); err != nil {
		b.Fatal(err)
	}
	return clock.Cloud
}

// load sends requests by four clients, each one after the other, until a second instance has answered; it says when.
func (s *server) load(b *testing.B, dnsName string) time.Time {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var mu sync.Mutex
	var first string
	var second time.Time
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				status, name, err := s.get(dnsName, "/")
				mu.Lock()
				switch {
				case err != nil || status != 200:
				case first == "":
					first = name
				case name != first && second.IsZero():
					second = time.Now()
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	if second.IsZero() {
		b.Fatal("no second instance takes traffic")
	}
	return second
}

// breached is the instant, on the cloud's clock, at which the alarm could first be known to be in state ALARM.
func (s *server) breached(b *testing.B) time.Time {
	b.Helper()
	client := cloudwatch.NewFromConfig(s.sdk())
	alarms := must(b, func(ctx context.Context) (*cloudwatch.DescribeAlarmsOutput, error) {
		return client.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String("TargetTracking-web-AlarmHigh"), StateValue: cwtypes.StateValueAlarm})
	})
	if len(alarms.MetricAlarms) != 1 {
		b.Fatalf("alarms in state ALARM: %+v", alarms.MetricAlarms)
	}
	alarm := alarms.MetricAlarms[0]
	var data struct{ StartDate string }
	if err := json.Unmarshal([]byte(aws.ToString(alarm.StateReasonData)), &data); err != nil {
		b.Fatal(err)
	}
	at, err := time.Parse("2006-01-02T15:04:05.000-0700", data.StartDate)
	if err != nil {
		b.Fatal(err)
	}
	if n, period := aws.ToInt32(alarm.EvaluationPeriods), aws.ToInt32(alarm.Period); n != 3 || period != 60 {
		b.Fatalf("the alarm has %d periods of %d s, AWS's has 3 of 60 s", n, period)
	}
	return at.Add(4 * time.Minute)
}

// makeLoop makes the group, the load balancer and the policy, and waits until the first instance answers.
func makeLoop(b *testing.B, s *server) (dnsName string) {
	b.Helper()
	config := s.sdk()
	instances, groups, balancers := ec2.NewFromConfig(config), autoscaling.NewFromConfig(config), elb.NewFromConfig(config)
	image := builtIn(b, instances)
	subnets := must(b, func(ctx context.Context) (*ec2.DescribeSubnetsOutput, error) {
		return instances.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	}).Subnets
	var ids []string
	for _, subnet := range subnets {
		ids = append(ids, *subnet.SubnetId)
	}
	must(b, func(ctx context.Context) (*ec2.CreateLaunchTemplateOutput, error) {
		return instances.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{
			ImageId: aws.String(image), InstanceType: types.InstanceTypeT2Micro, UserData: aws.String(base64.StdEncoding.EncodeToString([]byte(webApp))),
			Monitoring: &types.LaunchTemplatesMonitoringRequest{Enabled: aws.Bool(true)},
		}})
	})
	targets := *must(b, func(ctx context.Context) (*elb.CreateTargetGroupOutput, error) {
		return balancers.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
			Name: aws.String("web"), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: subnets[0].VpcId,
			HealthCheckPath: aws.String("/health"), HealthCheckIntervalSeconds: aws.Int32(10),
		})
	}).TargetGroups[0].TargetGroupArn
	balancer := must(b, func(ctx context.Context) (*elb.CreateLoadBalancerOutput, error) {
		return balancers.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("web"), Subnets: ids})
	}).LoadBalancers[0]
	must(b, func(ctx context.Context) (*elb.CreateListenerOutput, error) {
		return balancers.CreateListener(ctx, &elb.CreateListenerInput{
			LoadBalancerArn: balancer.LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80),
			DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: aws.String(targets)}},
		})
	})
	must(b, func(ctx context.Context) (*autoscaling.CreateAutoScalingGroupOutput, error) {
		return groups.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
			AutoScalingGroupName: aws.String("web"), LaunchTemplate: templateNamed("web"), MinSize: aws.Int32(1), MaxSize: aws.Int32(4),
			VPCZoneIdentifier: aws.String(strings.Join(ids, ",")), TargetGroupARNs: []string{targets}, DefaultInstanceWarmup: aws.Int32(60),
		})
	})
	must(b, func(ctx context.Context) (*autoscaling.PutScalingPolicyOutput, error) {
		return groups.PutScalingPolicy(ctx, &autoscaling.PutScalingPolicyInput{
			AutoScalingGroupName: aws.String("web"), PolicyName: aws.String("cpu"), PolicyType: aws.String("TargetTrackingScaling"),
			TargetTrackingConfiguration: &astypes.TargetTrackingConfiguration{TargetValue: aws.Float64(50),
				PredefinedMetricSpecification: &astypes.PredefinedMetricSpecification{PredefinedMetricType: astypes.MetricTypeASGAverageCPUUtilization}},
		})
	})
	eventually(b, 20*time.Second, "the first instance answers", func() bool {
		status, _, err := s.get(*balancer.DNSName, "/health")
		return err == nil && status == 200
	})
	s.quiet(b)
	return *balancer.DNSName
}

// quiet waits until a minute of the group's CPUUtilization is far below the target: what comes after is a step.
func (s *server) quiet(b *testing.B) {
	b.Helper()
	client := cloudwatch.NewFromConfig(s.sdk())
	eventually(b, 20*time.Second, "a quiet minute is measured", func() bool {
		now := s.now(b)
		points := must(b, func(ctx context.Context) (*cloudwatch.GetMetricStatisticsOutput, error) {
			return client.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
				Namespace: aws.String("AWS/EC2"), MetricName: aws.String("CPUUtilization"), Statistics: []cwtypes.Statistic{cwtypes.StatisticAverage},
				Dimensions: []cwtypes.Dimension{{Name: aws.String("AutoScalingGroupName"), Value: aws.String("web")}},
				StartTime:  aws.Time(now.Add(-time.Hour)), EndTime: aws.Time(now), Period: aws.Int32(60),
			})
		})
		for _, p := range points.Datapoints {
			if *p.Average < 10 {
				return true
			}
		}
		return false
	})
}

func templateNamed(name string) *astypes.LaunchTemplateSpecification {
	return &astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String(name)}
}
