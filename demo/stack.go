package demo

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// What the demo calls its things.
const (
	groupName    = "web"
	imageParam   = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
	instanceType = "t2.micro" // one vCPU
	minSize      = 1
	maxSize      = 4
	targetCPU    = 50.0
)

// stack is the set-up that the demo makes, through the public API only.
type stack struct {
	ec2         *ec2Client
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
		ec2:         &ec2Client{endpoint: s.Endpoint, region: s.Region, keys: config.Credentials},
		autoscaling: autoscaling.NewFromConfig(config), elb: elb.NewFromConfig(config),
		cloudwatch: cloudwatch.NewFromConfig(config), ssm: ssm.NewFromConfig(config), say: say,
	}
}

// create makes everything, in the order of the usual walkthrough: image, template, load balancer, group, policy.
func (s *stack) create(ctx context.Context, burn time.Duration) error {
	image, err := s.makeImage(ctx, burn)
	if err != nil {
		return err
	}
	if err = s.ec2.call(ctx, "CreateLaunchTemplate", nil, "LaunchTemplateName", groupName, "LaunchTemplateData.ImageId", image,
		"LaunchTemplateData.InstanceType", instanceType, "LaunchTemplateData.Monitoring.Enabled", "true"); err != nil {
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
	var run struct {
		ID string `xml:"instancesSet>item>instanceId"`
	}
	err = s.ec2.call(ctx, "RunInstances", &run, "ImageId", *parameter.Parameter.Value, "InstanceType", instanceType,
		"MinCount", "1", "MaxCount", "1", "UserData", base64.StdEncoding.EncodeToString([]byte(install)))
	if err != nil {
		return "", err
	}
	builder := run.ID
	s.say("instance %s runs; its user data installs the web application", builder)
	if err := s.bootLogged(ctx, builder); err != nil {
		return "", err
	}
	var made struct {
		ID string `xml:"imageId"`
	}
	if err := s.ec2.call(ctx, "CreateImage", &made, "InstanceId", builder, "Name", groupName); err != nil {
		return "", err
	}
	err = until(ctx, 30*time.Second, "the image is available", func() (bool, error) {
		var image struct {
			State  string `xml:"imagesSet>item>imageState"`
			Reason string `xml:"imagesSet>item>stateReason>message"`
		}
		err := s.ec2.call(ctx, "DescribeImages", &image, "ImageId.1", made.ID)
		if image.State == "failed" {
			err = fmt.Errorf("the image could not be made: %s", image.Reason)
		}
		return image.State == "available", err
	})
	if err != nil {
		return "", err
	}
	s.say("image %s made of it", made.ID)
	return made.ID, s.ec2.call(ctx, "TerminateInstances", nil, "InstanceId.1", builder)
}

// bootLogged waits until the console shows that user data has ended.
func (s *stack) bootLogged(ctx context.Context, id string) error {
	return until(ctx, 30*time.Second, "the user data of "+id+" has ended", func() (bool, error) {
		var console struct {
			Output string `xml:"output"`
		}
		err := s.ec2.call(ctx, "GetConsoleOutput", &console, "InstanceId", id)
		return console.Output != "", err
	})
}

func (s *stack) subnets(ctx context.Context) ([]string, error) {
	var out struct {
		IDs []string `xml:"subnetSet>item>subnetId"`
	}
	err := s.ec2.call(ctx, "DescribeSubnets", &out)
	return out.IDs, err
}

func (s *stack) makeBalancer(ctx context.Context, subnets []string) error {
	var vpc struct {
		ID string `xml:"vpcSet>item>vpcId"`
	}
	if err := s.ec2.call(ctx, "DescribeVpcs", &vpc); err != nil {
		return err
	}
	group, err := s.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: aws.String(groupName), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: aws.String(vpc.ID),
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
	if _, err := s.autoscaling.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String(groupName),
		LaunchTemplate:       &astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String(groupName), Version: aws.String("$Latest")},
		MinSize:              aws.Int32(minSize), MaxSize: aws.Int32(maxSize), DesiredCapacity: aws.Int32(minSize),
		VPCZoneIdentifier: aws.String(strings.Join(subnets, ",")), TargetGroupARNs: []string{s.TargetGroup},
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
