package demo

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// What the demo calls its things.
const (
	groupName    = "web"
	imageParam   = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
	instanceType = ec2types.InstanceTypeT2Micro // one vCPU
	minSize      = 1
	maxSize      = 4
	targetCPU    = 50.0
)

// stack is the set-up that the demo makes, through the public API only.
type stack struct {
	ec2         *ec2.Client
	autoscaling *autoscaling.Client
	elb         *elb.Client
	cloudwatch  *cloudwatch.Client
	ssm         *ssm.Client

	say func(format string, args ...any)

	DNSName     string
	TargetGroup string
	lbARN       string
}

func newStack(s *server, say func(string, ...any)) *stack {
	config := aws.Config{
		Region:       s.Region,
		BaseEndpoint: aws.String(s.Endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	}
	return &stack{
		ec2: ec2.NewFromConfig(config), autoscaling: autoscaling.NewFromConfig(config), elb: elb.NewFromConfig(config),
		cloudwatch: cloudwatch.NewFromConfig(config), ssm: ssm.NewFromConfig(config), say: say,
	}
}

// create makes everything, in the order of the usual walkthrough: image, template, load balancer, group, policy.
func (s *stack) create(ctx context.Context, burn time.Duration) error {
	image, err := s.makeImage(ctx, burn)
	if err != nil {
		return err
	}
	if _, err = s.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String(groupName),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			ImageId: aws.String(image), InstanceType: instanceType,
			Monitoring: &ec2types.LaunchTemplatesMonitoringRequest{Enabled: aws.Bool(true)},
		},
	}); err != nil {
		return err
	}
	s.say("launch template %s: %s from %s", groupName, instanceType, image)
	subnets, err := s.subnets(ctx)
	if err != nil {
		return err
	}
	if err := s.makeBalancer(ctx, subnets); err != nil {
		return err
	}
	return s.makeGroup(ctx, subnets)
}

// makeImage starts one instance whose user data installs the web application, makes an image of it and ends it.
func (s *stack) makeImage(ctx context.Context, burn time.Duration) (string, error) {
	parameter, err := s.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(imageParam)})
	if err != nil {
		return "", err
	}
	install := fmt.Sprintf(`#!/bin/sh
mkdir -p /var/lib/cloud/scripts/per-boot
cat > /var/lib/cloud/scripts/per-boot/web <<'END'
#!/bin/sh
billow demo-app --listen :80 --burn %s >/var/log/web.log 2>&1 &
END
chmod +x /var/lib/cloud/scripts/per-boot/web
echo installed > /var/lib/installed
`, burn)
	run, err := s.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: parameter.Parameter.Value, InstanceType: instanceType, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		UserData: aws.String(base64.StdEncoding.EncodeToString([]byte(install))),
	})
	if err != nil {
		return "", err
	}
	builder := *run.Instances[0].InstanceId
	s.say("instance %s runs; its user data installs the web application", builder)
	if err := s.bootLogged(ctx, builder); err != nil {
		return "", err
	}
	made, err := s.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: aws.String(builder), Name: aws.String(groupName)})
	if err != nil {
		return "", err
	}
	err = until(ctx, 30*time.Second, "the image is available", func() (bool, error) {
		out, err := s.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{*made.ImageId}})
		if err != nil {
			return false, err
		}
		if state := out.Images[0].State; state == ec2types.ImageStateFailed {
			return false, fmt.Errorf("the image could not be made: %s", aws.ToString(out.Images[0].StateReason.Message))
		}
		return out.Images[0].State == ec2types.ImageStateAvailable, nil
	})
	if err != nil {
		return "", err
	}
	s.say("image %s made of it", *made.ImageId)
	_, err = s.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{builder}})
	return *made.ImageId, err
}

// bootLogged waits until the console shows that user data has ended.
func (s *stack) bootLogged(ctx context.Context, id string) error {
	return until(ctx, 30*time.Second, "the user data of "+id+" has ended", func() (bool, error) {
		out, err := s.ec2.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: aws.String(id)})
		return err == nil && aws.ToString(out.Output) != "", err
	})
}

func (s *stack) subnets(ctx context.Context) ([]string, error) {
	out, err := s.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, n := range out.Subnets {
		ids = append(ids, *n.SubnetId)
	}
	return ids, nil
}

func (s *stack) makeBalancer(ctx context.Context, subnets []string) error {
	vpcs, err := s.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
	if err != nil {
		return err
	}
	group, err := s.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: aws.String(groupName), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: vpcs.Vpcs[0].VpcId,
		TargetType: elbtypes.TargetTypeEnumInstance, HealthCheckPath: aws.String("/health"),
		HealthCheckIntervalSeconds: aws.Int32(10), HealthCheckTimeoutSeconds: aws.Int32(5),
	})
	if err != nil {
		return err
	}
	s.TargetGroup = *group.TargetGroups[0].TargetGroupArn
	if _, err := s.elb.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: aws.String(s.TargetGroup),
		Attributes: []elbtypes.TargetGroupAttribute{
			{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("60")},
		},
	}); err != nil {
		return err
	}
	lb, err := s.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String(groupName), Subnets: subnets})
	if err != nil {
		return err
	}
	s.DNSName, s.lbARN = *lb.LoadBalancers[0].DNSName, *lb.LoadBalancers[0].LoadBalancerArn
	// Port 80 of the load balancer's own address needs root; its name on the server's port works for everybody.
	_, err = s.elb.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: aws.String(s.lbARN), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: aws.String(s.TargetGroup)}},
	})
	s.say("load balancer %s", s.DNSName)
	return err
}

func (s *stack) makeGroup(ctx context.Context, subnets []string) error {
	var zones string
	for i, id := range subnets {
		if i > 0 {
			zones += ","
		}
		zones += id
	}
	if _, err := s.autoscaling.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String(groupName),
		LaunchTemplate:       &astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String(groupName), Version: aws.String("$Latest")},
		MinSize:              aws.Int32(minSize), MaxSize: aws.Int32(maxSize), DesiredCapacity: aws.Int32(minSize),
		VPCZoneIdentifier: aws.String(zones), TargetGroupARNs: []string{s.TargetGroup},
		HealthCheckType: aws.String("ELB"), HealthCheckGracePeriod: aws.Int32(60), DefaultInstanceWarmup: aws.Int32(60),
	}); err != nil {
		return err
	}
	_, err := s.autoscaling.PutScalingPolicy(ctx, &autoscaling.PutScalingPolicyInput{
		AutoScalingGroupName: aws.String(groupName), PolicyName: aws.String("cpu"), PolicyType: aws.String("TargetTrackingScaling"),
		TargetTrackingConfiguration: &astypes.TargetTrackingConfiguration{
			TargetValue: aws.Float64(targetCPU),
			PredefinedMetricSpecification: &astypes.PredefinedMetricSpecification{
				PredefinedMetricType: astypes.MetricTypeASGAverageCPUUtilization,
			},
		},
	})
	s.say("group %s: %d to %d instances in %d zones, CPU at %g %%", groupName, minSize, maxSize, len(subnets), targetCPU)
	return err
}
