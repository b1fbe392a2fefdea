package demo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// state is what the public API shows of the group at one moment.
type state struct {
	Desired    int
	InService  []string // instance IDs
	Pending    int
	Ending     int
	Healthy    int                // targets that the load balancer sends requests to
	CPU        *float64           // the group's newest average
	Activities []astypes.Activity // newest first
}

// look asks the API, as any client would.
func (s *stack) look(ctx context.Context, cloudNow time.Time) (state, error) {
	var now state
	groups, err := s.autoscaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{groupName}})
	if err != nil || len(groups.AutoScalingGroups) == 0 {
		return now, err
	}
	group := groups.AutoScalingGroups[0]
	now.Desired = int(aws.ToInt32(group.DesiredCapacity))
	for _, i := range group.Instances {
		switch i.LifecycleState {
		case astypes.LifecycleStateInService:
			now.InService = append(now.InService, *i.InstanceId)
		case astypes.LifecycleStatePending:
			now.Pending++
		default:
			now.Ending++
		}
	}
	health, err := s.elb.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: aws.String(s.TargetGroup)})
	if err != nil {
		return now, err
	}
	for _, t := range health.TargetHealthDescriptions {
		if t.TargetHealth.State == elbtypes.TargetHealthStateEnumHealthy {
			now.Healthy++
		}
	}
	activities, err := s.autoscaling.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String(groupName)})
	if err != nil {
		return now, err
	}
	now.Activities = activities.Activities
	now.CPU, err = s.groupCPU(ctx, cloudNow)
	return now, err
}

func (s *stack) groupCPU(ctx context.Context, cloudNow time.Time) (*float64, error) {
	points, err := s.cloudwatch.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String("AWS/EC2"), MetricName: aws.String("CPUUtilization"), Period: aws.Int32(60),
		Dimensions: []cwtypes.Dimension{{Name: aws.String("AutoScalingGroupName"), Value: aws.String(groupName)}},
		StartTime:  aws.Time(cloudNow.Add(-5 * time.Minute)), EndTime: aws.Time(cloudNow.Add(time.Minute)),
		Statistics: []cwtypes.Statistic{cwtypes.StatisticAverage},
	})
	if err != nil {
		return nil, err
	}
	var newest *cwtypes.Datapoint
	for i, p := range points.Datapoints {
		if newest == nil || p.Timestamp.After(*newest.Timestamp) {
			newest = &points.Datapoints[i]
		}
	}
	if newest == nil {
		return nil, nil
	}
	return newest.Average, nil
}

// kill ends an instance behind the group's back.
func (s *stack) kill(ctx context.Context, id string) error {
	return s.ec2.call(ctx, "TerminateInstances", nil, "InstanceId.1", id)
}
