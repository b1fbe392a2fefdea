package setup

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
)

const shop = `aws ec2 create-launch-template --launch-template-name shop --launch-template-data '{"ImageId": "ami-01e24be29428c15b2", "InstanceType": "t3.small"}'
aws autoscaling create-auto-scaling-group --auto-scaling-group-name shop --min-size 1 --max-size 8 --launch-template LaunchTemplateName=shop `

// tracking is a call that puts a policy.
func tracking(name, metric string, target int) string {
	return fmt.Sprintf("aws autoscaling put-scaling-policy --auto-scaling-group-name shop --policy-name %s --policy-type TargetTrackingScaling "+
		"--target-tracking-configuration 'TargetValue=%d,PredefinedMetricSpecification={PredefinedMetricType=%s}'", name, target, metric)
}

// TestTarget: of a policy's name the last put counts, and what is deleted does not.
func TestTarget(t *testing.T) {
	const cpu, per = "ASGAverageCPUUtilization", "ALBRequestCountPerTarget"
	drop := func(name string) string {
		return "aws autoscaling delete-policy --auto-scaling-group-name shop --policy-name " + name
	}
	step := "OUT=$(aws autoscaling put-scaling-policy --auto-scaling-group-name shop --policy-name out --policy-type StepScaling --adjustment-type ChangeInCapacity " +
		"--step-adjustments MetricIntervalLowerBound=0,ScalingAdjustment=1 --query PolicyARN --output text)"
	alarm := func(name string, threshold int) string {
		return fmt.Sprintf("aws cloudwatch put-metric-alarm --alarm-name %s --namespace AWS/EC2 --metric-name CPUUtilization --statistic Average --period 60 "+
			"--evaluation-periods 2 --threshold %d --comparison-operator GreaterThanThreshold --dimensions Name=AutoScalingGroupName,Value=shop --alarm-actions $OUT", name, threshold)
	}
	for _, c := range []struct {
		calls            []string
		target, requests float64
	}{
		{[]string{tracking("p", cpu, 40), tracking("p", cpu, 60)}, 60, 0},
		{[]string{tracking("p", cpu, 40), tracking("q", cpu, 60)}, 40, 0},
		{[]string{tracking("p", cpu, 40), tracking("q", cpu, 60), drop("p")}, 60, 0},
		{[]string{tracking("p", cpu, 40), drop("p")}, 0, 0},
		{[]string{tracking("p", cpu, 40), drop("p"), tracking("p", cpu, 70)}, 70, 0},
		{[]string{tracking("p", cpu, 40) + " --no-enabled"}, 0, 0},
		{[]string{tracking("p", per, 600), tracking("p", per, 1200)}, 20, 1200},
		{[]string{tracking("p", per, 600), tracking("p", cpu, 55)}, 55, 0},
		{[]string{step, alarm("busy", 50), alarm("busy", 65)}, 65, 0},
		{[]string{step, alarm("busy", 50), alarm("hot", 65), "aws cloudwatch delete-alarms --alarm-names busy"}, 65, 0},
		{[]string{step, alarm("busy", 50), "aws autoscaling delete-policy --policy-name $OUT"}, 0, 0},
		{[]string{step, alarm("busy", 50) + " --no-actions-enabled"}, 0, 0},
	} {
		file := filepath.Join(t.TempDir(), "script.sh")
		write(t, file, shop+"--availability-zones us-east-1a\n"+strings.Join(c.calls, "\n")+"\n")
		s, err := Read([]string{file}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Target("shop", 100); got != c.target {
			t.Errorf("%s: a target of %v, want %v", strings.Join(c.calls, "\n"), got, c.target)
		}
		if got := s.RequestTarget("shop"); got != c.requests {
			t.Errorf("%s: %v requests, want %v", strings.Join(c.calls, "\n"), got, c.requests)
		}
	}
}

// TestRegion: a script's region is what its calls would be made in; what is assumed is told.
func TestRegion(t *testing.T) {
	for _, c := range []struct {
		before, zones, region, told string
		o                           Options
	}{
		{"", "--availability-zones eu-central-1a eu-central-1b", "eu-central-1", "", Options{}},
		{"export AWS_REGION=eu-west-1\n", "--availability-zones eu-west-1a", "eu-west-1", "", Options{Region: "us-west-2", Setting: "AWS_REGION"}},
		{"AWS_DEFAULT_REGION=eu-west-1\n", "--availability-zones ${AWS_DEFAULT_REGION}a", "eu-west-1", "", Options{}},
		{"AWS_REGION=eu-west-1\n", "--region eu-north-1 --availability-zones eu-north-1a", "eu-north-1", "", Options{}},
		{"", "--availability-zones us-gov-west-1d us-gov-west-1f", "us-gov-west-1", "the zones us-gov-west-1d, us-gov-west-1f are taken as a, b and c of us-gov-west-1", Options{}},
		{"", "--vpc-zone-identifier subnet-1,subnet-2", "ap-south-1", "No file names a region: it is taken for ap-south-1, as AWS_REGION says.", Options{Region: "ap-south-1", Setting: "AWS_REGION"}},
		{"", "--vpc-zone-identifier subnet-1,subnet-2", "us-east-1", "No file names a region: it is taken for us-east-1.", Options{}},
	} {
		file := filepath.Join(t.TempDir(), "script.sh")
		text := c.before + shop + c.zones + "\n" + tracking("p", "ASGAverageCPUUtilization", 50) + "\n"
		write(t, file, text)
		s, err := Read([]string{file}, c.o)
		p := build(t, s, err)
		if s.Scope.Region != c.region {
			t.Errorf("%s%s: %s, want %s", c.before, c.zones, s.Scope.Region, c.region)
		}
		if notes := strings.Join(s.Notes, "\n"); !strings.Contains(notes, c.told) || c.told == "" && notes != "" {
			t.Errorf("%s%s: %s, want %q", c.before, c.zones, notes, c.told)
		}
		g := ask[asapi.DescribeAutoScalingGroupsOutput](t, p, "autoscaling", "DescribeAutoScalingGroups", &asapi.DescribeAutoScalingGroupsInput{}).AutoScalingGroups
		if len(g) != 1 || !strings.HasPrefix(g[0].AvailabilityZones[0], c.region) {
			t.Errorf("%+v", g)
		}
	}
}
