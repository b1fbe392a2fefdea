package setup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/region"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// plane is a control plane without a world.
type plane struct {
	cloud *cloud.Cloud
	scope cloud.Scope
}

func newPlane() *plane { return &plane{cloud: region.New(region.Options{Seed: 1, AnyImage: true})} }

func (p *plane) do(c cloud.Call) (any, error) {
	p.scope = c.Scope
	out := p.cloud.Step(noon, c)
	return out.Reply, out.Err
}

// ask makes a call that must succeed.
func ask[Out any](t *testing.T, p *plane, service, operation string, in any) *Out {
	t.Helper()
	reply, err := p.do(cloud.Call{Scope: p.scope, RequestID: "r", Service: service, Operation: operation, In: in})
	if err != nil {
		t.Fatal(err)
	}
	return reply.(*Out)
}

func data(names ...string) []string {
	for i := range names {
		names[i] = filepath.Join("testdata", names[i])
	}
	return names
}

func build(t *testing.T, s Setup, err error) *plane {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	p := newPlane()
	if err := s.Apply(p.do); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDescribed: what aws printed of one account is there in another, in whatever order the files come.
func TestDescribed(t *testing.T) {
	for _, files := range [][]string{
		{"groups.json", "policies.json", "alarms.json", "templates.json", "others.json"},
		{"others.json", "templates.json", "alarms.json", "policies.json", "groups.json"},
	} {
		s, err := Read(data(files...), Options{Start: noon})
		p := build(t, s, err)
		if s.Scope != (cloud.Scope{Account: "210987654321", Region: "eu-central-1"}) {
			t.Errorf("scope %v", s.Scope)
		}
		groups := ask[asapi.DescribeAutoScalingGroupsOutput](t, p, "autoscaling", "DescribeAutoScalingGroups", &asapi.DescribeAutoScalingGroupsInput{}).AutoScalingGroups
		if len(groups) != 2 {
			t.Fatalf("%d groups", len(groups))
		}
		batch, web := groups[0], groups[1]
		if *web.MinSize != 2 || *web.MaxSize != 12 || *web.DesiredCapacity != 3 || *web.DefaultInstanceWarmup != 120 || *web.HealthCheckType != "ELB" ||
			len(web.TargetGroupARNs) != 1 || len(web.Instances) != 3 || *web.Instances[0].InstanceType != "m5.large" || web.TerminationPolicies[0] != "OldestInstance" ||
			strings.Join(web.AvailabilityZones, ",") != "eu-central-1a,eu-central-1b" || *web.Tags[0].Value != "shop" || *web.EnabledMetrics[0].Metric != "GroupInServiceInstances" {
			t.Errorf("%+v", web)
		}
		if *batch.LaunchConfigurationName != "batch-lc" || *batch.SuspendedProcesses[0].ProcessName != "AZRebalance" || *batch.DefaultCooldown != 120 {
			t.Errorf("%+v", batch)
		}
		checkPolicies(t, p, web)
		actions := ask[asapi.DescribeScheduledActionsOutput](t, p, "autoscaling", "DescribeScheduledActions", &asapi.DescribeScheduledActionsInput{}).ScheduledUpdateGroupActions
		if len(actions) != 1 || *actions[0].Recurrence != "0 6 * * 1-5" || *actions[0].TimeZone != "Europe/Berlin" {
			t.Errorf("%+v", actions)
		}
		hooks := ask[asapi.DescribeLifecycleHooksOutput](t, p, "autoscaling", "DescribeLifecycleHooks", &asapi.DescribeLifecycleHooksInput{AutoScalingGroupName: new("web")}).LifecycleHooks
		if len(hooks) != 1 || hooks[0].NotificationTargetARN != nil || len(s.Hooks) != 1 {
			t.Errorf("%+v", hooks)
		}
		if g := s.Find("web"); g.TargetGroup != "web" || g.LoadBalancer != "front" || g.InstanceTypes[0] != "m5.large" || g.Max != 12 || g.Desired != 3 {
			t.Errorf("%+v", g)
		}
		if s.Stands["m7i.large"] != "m5.large" {
			t.Error(s.Stands)
		}
		checkNotes(t, s.Notes, "the instance type m7i.large is not in the catalogue: m5.large stands for it", "load balancers and target groups of batch that no policy looks at",
			"1 of 4 are of groups that are not in the files", "alarms that act on no policy here, such as disk-full", "launch-day is left off: its time, 2023-12-01 06:00",
			"AZRebalance of batch is suspended", "alarm batch-idle takes instances away below 70 while alarm batch-busy (testdata/alarms.json:27) adds them above 60")
	}
}

func checkPolicies(t *testing.T, p *plane, web asapi.AutoScalingGroup) {
	t.Helper()
	policies := ask[asapi.DescribePoliciesOutput](t, p, "autoscaling", "DescribePolicies", &asapi.DescribePoliciesInput{}).ScalingPolicies
	if len(policies) != 3 {
		t.Fatalf("%d policies", len(policies))
	}
	in, out, requests := policies[0], policies[1], policies[2]
	label := *requests.TargetTrackingConfiguration.PredefinedMetricSpecification.ResourceLabel
	group := web.TargetGroupARNs[0]
	if !strings.HasPrefix(label, "app/front/") || !strings.HasSuffix(label, group[strings.LastIndex(group, ":")+1:]) || len(requests.Alarms) != 2 {
		t.Errorf("label %s of %s, alarms %v", label, group, requests.Alarms)
	}
	alarms := ask[cwapi.DescribeAlarmsOutput](t, p, "cloudwatch", "DescribeAlarms", &cwapi.DescribeAlarmsInput{}).MetricAlarms
	if len(alarms) != 4 || *alarms[2].AlarmName != "batch-busy" || len(alarms[2].AlarmActions) != 1 || alarms[2].AlarmActions[0] != *out.PolicyARN ||
		alarms[3].AlarmActions[0] != *in.PolicyARN {
		t.Errorf("%+v", alarms)
	}
	if *out.MinAdjustmentMagnitude != 1 || *out.StepAdjustments[1].ScalingAdjustment != 50 || *in.Cooldown != 180 {
		t.Errorf("%+v %+v", out, in)
	}
}

func checkNotes(t *testing.T, notes []string, want ...string) {
	t.Helper()
	for _, w := range want {
		n := 0
		for _, note := range notes {
			if strings.Contains(note, w) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d notes with %q in %s", n, w, strings.Join(notes, "\n"))
		}
	}
	if len(notes) != len(want) {
		t.Errorf("%d notes, want %d: %s", len(notes), len(want), strings.Join(notes, "\n"))
	}
}

// TestApplyTwice: applying changes nothing of the set-up.
func TestApplyTwice(t *testing.T) {
	s, err := Read(data("groups.json", "policies.json", "alarms.json"), Options{})
	before := fmt.Sprintf("%+v", s.Steps)
	build(t, s, err)
	build(t, s, err)
	if after := fmt.Sprintf("%+v", s.Steps); after != before {
		t.Error("it has changed")
	}
	checkNotes(t, s.Notes, "the launch template of web is not in the files: its instances are taken for t3.small with a metric every minute",
		"the launch configuration batch-lc is not in the files: its instances are taken for t3.medium", "load balancers and target groups", "1 of 4", "AZRebalance", "disk-full", "batch-idle")
}

func TestScript(t *testing.T) {
	s, err := Read(data("script.sh"), Options{})
	p := build(t, s, err)
	groups := ask[asapi.DescribeAutoScalingGroupsOutput](t, p, "autoscaling", "DescribeAutoScalingGroups", &asapi.DescribeAutoScalingGroupsInput{}).AutoScalingGroups
	if len(groups) != 1 || *groups[0].MaxSize != 8 || strings.Join(groups[0].AvailabilityZones, ",") != "eu-west-1a,eu-west-1b" || *groups[0].Tags[0].Value != "shop" {
		t.Errorf("%+v", groups)
	}
	policies := ask[asapi.DescribePoliciesOutput](t, p, "autoscaling", "DescribePolicies", &asapi.DescribePoliciesInput{}).ScalingPolicies
	alarms := ask[cwapi.DescribeAlarmsOutput](t, p, "cloudwatch", "DescribeAlarms", &cwapi.DescribeAlarmsInput{AlarmNames: []string{"busy", "idle"}}).MetricAlarms
	if len(policies) != 3 || len(alarms) != 2 || alarms[0].AlarmActions[0] != *policies[2].PolicyARN || alarms[1].AlarmActions[0] != *policies[0].PolicyARN {
		t.Fatalf("%+v %+v", policies, alarms)
	}
	if out := policies[2]; len(out.StepAdjustments) != 2 || *out.StepAdjustments[1].ScalingAdjustment != 3 || *policies[1].Enabled || *policies[1].TargetTrackingConfiguration.TargetValue != 5e6 {
		t.Errorf("%+v", policies)
	}
	actions := ask[asapi.DescribeScheduledActionsOutput](t, p, "autoscaling", "DescribeScheduledActions", &asapi.DescribeScheduledActionsInput{}).ScheduledUpdateGroupActions
	if len(actions) != 1 || *actions[0].MaxSize != 2 {
		t.Errorf("%+v", actions)
	}
	if s.Groups[0].InstanceTypes[0] != "t3.small" || s.Groups[0].Source.Line != 9 {
		t.Errorf("%+v", s.Groups)
	}
	checkNotes(t, s.Notes, "the subnets of shop are taken for those of the default VPC in eu-west-1a, eu-west-1b",
		"put-scaling-policy net is not enabled")
	if z := strings.Join(s.Groups[0].Zones, " "); z != "eu-west-1a eu-west-1b" {
		t.Errorf("zones %s", z)
	}
}

// TestVariant: policies laid over take the place of a group's, with their alarms; other groups keep theirs.
func TestVariant(t *testing.T) {
	over := filepath.Join(t.TempDir(), "cpu60.json")
	write(t, over, `{"AutoScalingGroupName": "batch", "PolicyName": "cpu", "PolicyType": "TargetTrackingScaling",
		"TargetTrackingConfiguration": {"TargetValue": 60, "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}}`)
	s, err := ReadVariant(data("groups.json", "policies.json", "alarms.json"), []string{over}, Options{})
	p := build(t, s, err)
	names := []string{}
	for _, x := range ask[asapi.DescribePoliciesOutput](t, p, "autoscaling", "DescribePolicies", &asapi.DescribePoliciesInput{}).ScalingPolicies {
		names = append(names, *x.PolicyName)
	}
	if fmt.Sprint(names) != "[cpu requests]" {
		t.Error(names)
	}
	if n := len(ask[cwapi.DescribeAlarmsOutput](t, p, "cloudwatch", "DescribeAlarms", &cwapi.DescribeAlarmsInput{}).MetricAlarms); n != 4 {
		t.Errorf("%d alarms, want the two of each target", n)
	}

	write(t, over, `{"TargetValue": 60, "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}`)
	s, err = ReadVariant(data("script.sh"), []string{over}, Options{})
	if err == nil || !strings.Contains(err.Error(), "does not name its AutoScalingGroupName") { // the group is made later, by the script
		t.Error(err)
	}
	write(t, over, "aws autoscaling put-scaling-policy --auto-scaling-group-name shop --policy-name cpu --policy-type TargetTrackingScaling "+
		"--target-tracking-configuration TargetValue=60,PredefinedMetricSpecification={PredefinedMetricType=ASGAverageCPUUtilization}\n")
	s, err = ReadVariant(data("script.sh"), []string{over}, Options{})
	p = build(t, s, err)
	if all := ask[asapi.DescribePoliciesOutput](t, p, "autoscaling", "DescribePolicies", &asapi.DescribePoliciesInput{}).ScalingPolicies; len(all) != 1 || *all[0].PolicyName != "cpu" {
		t.Errorf("%+v", all)
	}
	if n := len(ask[cwapi.DescribeAlarmsOutput](t, p, "cloudwatch", "DescribeAlarms", &cwapi.DescribeAlarmsInput{}).MetricAlarms); n != 2 {
		t.Errorf("%d alarms, want the two of the target", n)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

const small = `{"AutoScalingGroups": [{"AutoScalingGroupName": "web", "MinSize": 1, "MaxSize": 4, "DesiredCapacity": 1, "AvailabilityZones": ["us-west-2d", "us-west-2a"],
 "LaunchTemplate": {"LaunchTemplateName": "t"}}]}`

// TestZones: zones that are not here are taken by position.
func TestZones(t *testing.T) {
	file := filepath.Join(t.TempDir(), "g.json")
	write(t, file, small)
	s, err := Read([]string{file}, Options{Type: "m5.large"})
	p := build(t, s, err)
	g := ask[asapi.DescribeAutoScalingGroupsOutput](t, p, "autoscaling", "DescribeAutoScalingGroups", &asapi.DescribeAutoScalingGroupsInput{}).AutoScalingGroups[0]
	if strings.Join(g.AvailabilityZones, ",") != "us-west-2a,us-west-2b" || *g.Instances[0].InstanceType != "m5.large" {
		t.Errorf("%+v", g)
	}
	instances := ask[ec2api.DescribeInstancesOutput](t, p, "ec2", "DescribeInstances", &ec2api.DescribeInstancesInput{})
	if *instances.Reservations[0].Instances[0].Monitoring.State != "enabled" && *instances.Reservations[0].Instances[0].Monitoring.State != "pending" {
		t.Errorf("%+v", instances.Reservations[0].Instances[0].Monitoring)
	}
	checkNotes(t, s.Notes, "the zones us-west-2a, us-west-2d are taken as a, b and c of us-west-2, in this order", "the launch template of web is not in the files",
		"web has neither policies nor schedules in the files")
}

// TestRefused: one sentence with file and line, whether it is the files that are wrong or what the control plane says.
func TestRefused(t *testing.T) {
	const target = `"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}`
	const policy = "{\"ScalingPolicies\": [\n{\"AutoScalingGroupName\": \"web\", \"PolicyName\": \"p\", \"PolicyARN\": \"arn:p\", \"PolicyType\": \"TargetTrackingScaling\",\n \"TargetTrackingConfiguration\": {"
	const group = "aws autoscaling create-auto-scaling-group --auto-scaling-group-name "
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "it is empty"},
		{"cut off", `{"ScalingPolicies": [`, "it is cut off"},
		{"not JSON", "{\n\"ScalingPolicies\" []}", "2: it is not whole JSON"},
		{"something else", "{\"Reservations\": []}", "1: it is not what aws prints of groups"},
		{"a number", "[\n1]", "2: it is a number"},
		{"a wrong kind", policy + `"TargetValue": "high"}}]}`, `3: ScalingPolicy.TargetTrackingConfiguration.TargetValue: "high" is not a number`},
		{"a list for an object", "{\"ScalingPolicies\": [\n{\"AutoScalingGroupName\": \"web\", \"TargetTrackingConfiguration\": [1]}]}", "2: ScalingPolicy.TargetTrackingConfiguration must be an object, not a list"},
		{"a member that is missing", policy + target + `}}]}`, "2: policy p of web: TargetTrackingConfiguration.TargetValue is missing"},
		{"a target of zero", policy + target + `, "TargetValue": 0}}]}`, "2: policy p of web: TargetValue must be greater than 0"},
		{"an enum", "{\"ScalingPolicies\": [\n{\"AutoScalingGroupName\": \"web\", \"PolicyName\": \"p\", \"PolicyType\": \"SimpleScaling\"}]}", "2: policy p of web: "},
		{"an unknown group", strings.Replace(policy, "web", "api", 1) + target + `, "TargetValue": 5}}]}`, "2: policy p is of the group api, which is not in the files; there is web"},
		{"a metric of nobody", policy + `"CustomizedMetricSpecification": {"Namespace": "MyApp", "MetricName": "Backlog", "Statistic": "Average"}, "TargetValue": 5}}]}`,
			"2: policy p of web: nobody publishes the metric Backlog of MyApp in a simulation"},
		{"a metric of another group", policy + `"CustomizedMetricSpecification": {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Statistic": "Average",
			"Dimensions": [{"Name": "AutoScalingGroupName", "Value": "api"}]}, "TargetValue": 5}}]}`, "2: policy p of web: the metric CPUUtilization is of the group api, which is not in the files; there is web"},
		{"a group metric that is not collected", policy + `"CustomizedMetricSpecification": {"Namespace": "AWS/AutoScaling", "MetricName": "GroupDesiredCapacity", "Statistic": "Average",
			"Dimensions": [{"Name": "AutoScalingGroupName", "Value": "web"}]}, "TargetValue": 5}}]}`, "2: policy p of web: the group metric GroupDesiredCapacity of web is not collected"},
		{"a target group that is not the group's", policy + `"PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": "app/a/1/targetgroup/b/2"}, "TargetValue": 5}}]}`,
			"2: policy p of web: The target group of ResourceLabel"},
		{"a group twice", strings.Replace(small, "\n", " ", 1), "1: group web is described twice"},
		{"a member that inputs do not have", "{\"PolicyName\": \"p\",\n\"Target\": 5}", "2: it has no member Target; it can have"},
		{"minimum above maximum", group + "api --min-size 3 --max-size 2 --availability-zones us-west-2a --launch-template LaunchTemplateName=x\n", "1: create-auto-scaling-group"},
		{"a command", "sleep 5\nkubectl apply\n", `2: only calls of aws, variables and cat > FILE <<EOF can be read; it has "kubectl"`},
		{"a loop", "\nfor i in 1 2; do aws autoscaling describe-policies; done\n", "2: only calls of aws, variables"},
		{"a shell error", "aws autoscaling \"open\n", "1: it is neither JSON nor a script of aws calls"},
		{"a service", "aws dynamodb scan\n", `1: there is no service "dynamodb" here`},
		{"an operation", "aws autoscaling put-policy\n", `1: autoscaling has no operation "put-policy" here`},
		{"a flag", "aws autoscaling put-scaling-policy --name x\n", "1: PutScalingPolicy has no flag --name"},
		{"a value too many", "aws autoscaling put-scaling-policy --policy-name a b\n", "1: --policy-name takes one value, not 2"},
		{"a word", "aws autoscaling put-scaling-policy x\n", `1: "x" is neither a flag nor the value of one`},
		{"a required flag", "aws autoscaling put-scaling-policy --policy-name x\n", "1: put-scaling-policy: AutoScalingGroupName is missing"},
		{"a number that is none", group + "x --min-size few\n", `1: MinSize: "few" is not a whole number`},
		{"an unset variable", group + "$GROUP\n", "1: the variable GROUP is not set before it is used"},
		{"a query", "X=$(aws autoscaling describe-policies --query 'ScalingPolicies[*].PolicyARN')\n", "1: a variable is set to one text of an answer"},
		{"shorthand", group + "x --min-size 1 --max-size 2 --launch-template Name\n", `1: --launch-template: "Name" is not Name=value`},
		{"shorthand of a member that is not there", group + "x --launch-template Name=y\n", "1: LaunchTemplate has no member Name; it can have"},
		{"a name that is too short", "aws ec2 create-launch-template --launch-template-name x --launch-template-data {}\n", "1: create-launch-template: LaunchTemplateName is 1 character; it must be at least 3"},
		{"a target that is too large", policy + target + `, "TargetValue": 1e400}}]}`, `3: ScalingPolicy.TargetTrackingConfiguration.TargetValue: "1e400" is too large`},
		{"a file", "aws autoscaling put-scaling-policy --target-tracking-configuration file://none.json\n", "1: --target-tracking-configuration: "},
		{"a policy of a group that is not there", "\naws autoscaling put-scaling-policy --policy-name p --auto-scaling-group-name api --scaling-adjustment 1 --adjustment-type ChangeInCapacity\n",
			"2: put-scaling-policy p is of the group api, which is not in the files before it; there is web"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			files := []string{filepath.Join(dir, "g.json"), filepath.Join(dir, "x")}
			write(t, files[0], small)
			write(t, files[1], c.text)
			s, err := Read(files, Options{})
			if err == nil {
				err = s.Apply(newPlane().do)
			}
			if err == nil {
				t.Fatal("nothing is wrong with it")
			}
			got, ok := strings.CutPrefix(err.Error(), files[1]+":")
			if !ok || !strings.HasPrefix(strings.TrimSpace(got), c.want) || strings.Contains(got, "\n") {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
	if _, err := Read([]string{"none.json"}, Options{}); err == nil || err.Error() != "none.json: no such file or directory" {
		t.Error(err)
	}
	if _, err := Read(data("policies.json"), Options{}); err == nil || !strings.Contains(err.Error(), "there is none") {
		t.Error(err)
	}
}

// TestIdle: what AWS takes but never acts is told of, since a run would only show a group that keeps its size.
func TestIdle(t *testing.T) {
	const group = `{"AutoScalingGroups": [{"AutoScalingGroupName": "web", "MinSize": 1, "MaxSize": 9, "AvailabilityZones": ["us-east-1a", "us-east-1b"]}]}`
	const tracking = `{"AutoScalingGroupName": "web", "PolicyName": "p", "PolicyType": "TargetTrackingScaling", "TargetTrackingConfiguration":
		{"TargetValue": %s, "PredefinedMetricSpecification": {"PredefinedMetricType": "%s"}}}`
	step := func(from, to string) string {
		return `{"ScalingPolicies": [{"AutoScalingGroupName": "web", "PolicyName": "p", "PolicyARN": "arn:p", "PolicyType": "StepScaling", "AdjustmentType": "ChangeInCapacity",
			"StepAdjustments": [{` + from + to + `"ScalingAdjustment": 1}]}]}`
	}
	alarm := func(operator, more string) string {
		return `{"MetricAlarms": [{"AlarmName": "a", "AlarmActions": ["arn:p"], "ComparisonOperator": "` + operator + `", ` + more + `"Namespace": "AWS/EC2", "MetricName": "CPUUtilization",
			"Statistic": "Average", "Period": 60, "EvaluationPeriods": 1, "Threshold": 60, "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "web"}]}]}`
	}
	const up, down = `"MetricIntervalLowerBound": 0, `, `"MetricIntervalUpperBound": 0, `
	for _, c := range []struct {
		group string
		texts []string
		want  string // empty: nothing is to be told
	}{
		{group, nil, "web has neither policies nor schedules in the files: it stays at 1"},
		{group, []string{fmt.Sprintf(tracking, "50", "ASGAverageCPUUtilization")}, ""},
		{strings.Replace(group, `"MaxSize": 9`, `"MaxSize": 1`, 1), []string{fmt.Sprintf(tracking, "50", "ASGAverageCPUUtilization")}, "MinSize and MaxSize of web are both 1"},
		{group, []string{fmt.Sprintf(tracking, "150", "ASGAverageCPUUtilization")}, "policy p of web can never add an instance: CPU is at most 100 %, and its target is 150 %"},
		{group, []string{fmt.Sprintf(tracking, "50", "ASGAverageNetworkIn")}, "policy p of web never acts: nothing in a simulation has NetworkIn"},
		{group, []string{strings.Replace(fmt.Sprintf(tracking, "50", "ASGAverageCPUUtilization"), "{", `{"Enabled": false, `, 1)}, "policy p of web is not enabled"},
		{group, []string{step(up, "")}, "policy p of web never acts: no alarm in the files runs it"},
		{group, []string{step(up, ""), alarm("GreaterThanThreshold", "")}, ""},
		{group, []string{step(down, ""), alarm("LessThanThreshold", "")}, ""},
		{group, []string{step(down, ""), alarm("GreaterThanThreshold", "")}, "alarm a is on above its threshold, but policy p has steps on the other side only"},
		{group, []string{step(up, ""), alarm("LessThanOrEqualToThreshold", "")}, "alarm a is on below its threshold"},
		{group, []string{step(up, ""), alarm("GreaterThanThreshold", `"ActionsEnabled": false, `)}, "alarm a runs nothing"},
	} {
		dir := t.TempDir()
		var files []string
		for i, text := range append([]string{c.group}, c.texts...) {
			files = append(files, filepath.Join(dir, fmt.Sprint(i)))
			write(t, files[i], text)
		}
		s, err := Read(files, Options{})
		build(t, s, err)
		all := strings.Join(s.Notes, "\n")
		told := strings.Contains(all, "never") || strings.Contains(all, "nothing") || strings.Contains(all, "stays") || strings.Contains(all, "both")
		if c.want == "" && told || !strings.Contains(all, c.want) {
			t.Errorf("%s\n%s\nwant %q", c.texts, all, c.want)
		}
	}
}

// FuzzText: whatever a file has, it is understood or refused with an error that names it.
func FuzzText(f *testing.F) {
	for _, name := range []string{"groups.json", "policies.json", "alarms.json", "templates.json", "others.json", "script.sh"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(small)
	f.Fuzz(func(t *testing.T, text string) {
		p := &pieces{}
		err := p.text("file", text)
		if err == nil {
			_, err = p.build(Options{})
		}
		if err != nil && !strings.HasPrefix(err.Error(), "file") && !strings.HasPrefix(err.Error(), "there is no Auto Scaling group") {
			t.Error(err)
		}
	})
}
