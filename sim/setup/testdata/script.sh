#!/bin/bash
# A group with step scaling, as the AWS CLI makes it.
set -euo pipefail
export AWS_PAGER=""
GROUP=shop

aws ec2 create-launch-template --launch-template-name shop \
    --launch-template-data '{"ImageId": "ami-01e24be29428c15b2", "InstanceType": "t3.small", "Monitoring": {"Enabled": true}}'
aws autoscaling create-auto-scaling-group --region eu-west-1 --auto-scaling-group-name $GROUP --min-size 1 --max-size 8 \
    --launch-template "LaunchTemplateName=shop,Version=\$Latest" --vpc-zone-identifier "subnet-1,subnet-2" --tags Key=team,Value=shop,PropagateAtLaunch=true

OUT=$(aws autoscaling put-scaling-policy --auto-scaling-group-name "$GROUP" --policy-name out \
    --policy-type StepScaling --adjustment-type ChangeInCapacity \
    --step-adjustments MetricIntervalLowerBound=0,MetricIntervalUpperBound=15,ScalingAdjustment=1 MetricIntervalLowerBound=15,ScalingAdjustment=3 \
    --query PolicyARN --output text)
IN="$(aws autoscaling put-scaling-policy --auto-scaling-group-name "$GROUP" --policy-name in --scaling-adjustment -1 --adjustment-type ChangeInCapacity --cooldown 300 --query 'PolicyARN' --output text)"
aws cloudwatch put-metric-alarm --alarm-name busy --namespace AWS/EC2 --metric-name CPUUtilization --statistic Average --period 60 \
    --evaluation-periods 2 --threshold 60 --comparison-operator GreaterThanOrEqualToThreshold \
    --dimensions "Name=AutoScalingGroupName,Value=$GROUP" --alarm-actions "$OUT"
aws cloudwatch put-metric-alarm --alarm-name idle --namespace AWS/EC2 --metric-name CPUUtilization --statistic Average --period 60 \
    --evaluation-periods 5 --threshold 30 --comparison-operator LessThanThreshold \
    --dimensions Name=AutoScalingGroupName,Value=${GROUP} --alarm-actions $IN
cat > /tmp/config.json <<JSON
{
  "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageNetworkIn"},
  "TargetValue": 5000000
}
JSON
aws autoscaling put-scaling-policy --auto-scaling-group-name shop --policy-name net --policy-type TargetTrackingScaling \
    --target-tracking-configuration file:///tmp/config.json --no-enabled
aws autoscaling put-scheduled-update-group-action --cli-input-json file://nightly.json
aws autoscaling describe-auto-scaling-groups
