package setup

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	elbapi "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// anyImage stands for an image that is not named: no image is looked at in virtual time.
const anyImage = "ami-0123456789abcdef0"

var (
	imageID     = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)
	targetGroup = regexp.MustCompile(`^arn:aws[a-z-]*:elasticloadbalancing:[^:]*:[^:]*:(targetgroup/([^/]+)/[^/]+)$`)
)

// mapZones gives the zones of the files by position those that every region has here: a, b and c.
func (b *builder) mapZones() {
	var all []string
	var at []Source
	for _, g := range b.pieces.groups {
		all, at = append(all, g.of.AvailabilityZones...), append(at, g.at)
	}
	for _, s := range b.script {
		if in, makes := s.Call.In.(*asapi.CreateAutoScalingGroupInput); makes {
			all, at = append(all, in.AvailabilityZones...), append(at, s.Source)
		}
	}
	all = slices.DeleteFunc(all, func(z string) bool { return strings.Contains(z, "${") }) // it is not known yet
	slices.Sort(all)
	all = slices.Compact(all)
	known := func(zone string) bool {
		letter, ok := strings.CutPrefix(zone, b.out.Scope.Region)
		return ok && strings.Contains("abc", letter) && len(letter) == 1
	}
	same := !slices.ContainsFunc(all, func(z string) bool { return !known(z) })
	for i, z := range all {
		if b.zones[z] = z; !same {
			b.zones[z] = b.out.Scope.Region + string("abc"[i%3])
		}
	}
	if !same {
		b.note(at[0], "the zones %s are taken as a, b and c of %s, in this order.", strings.Join(all, ", "), b.out.Scope.Region)
	}
}

func (b *builder) makeGroups() error {
	for i := range b.pieces.groups {
		if err := b.makeGroup(&b.pieces.groups[i].of, b.pieces.groups[i].at); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) makeGroup(g *asapi.AutoScalingGroup, at Source) error {
	name := *g.AutoScalingGroupName
	in := &asapi.CreateAutoScalingGroupInput{}
	carry(g, in)
	in.LaunchConfigurationName, in.LaunchTemplate, in.MixedInstancesPolicy = nil, nil, nil
	in.LoadBalancerNames, in.TargetGroupARNs, in.TrafficSources, in.VPCZoneIdentifier = nil, nil, nil, nil
	in.AvailabilityZoneIds, in.PlacementGroup, in.ServiceLinkedRoleARN, in.CapacityReservationSpecification = nil, nil, nil, nil
	in.AvailabilityZoneImpairmentPolicy, in.InstanceLifecyclePolicy = nil, nil
	types, err := b.launches(g, in, at)
	if err != nil {
		return err
	}
	in.AvailabilityZones = nil
	for _, z := range g.AvailabilityZones {
		in.AvailabilityZones = append(in.AvailabilityZones, b.zones[z])
	}
	slices.Sort(in.AvailabilityZones)
	in.AvailabilityZones = slices.Compact(in.AvailabilityZones)
	if len(in.AvailabilityZones) == 0 {
		for _, letter := range "abc" {
			in.AvailabilityZones = append(in.AvailabilityZones, b.out.Scope.Region+string(letter))
		}
	}
	in.Tags = nil
	for _, t := range g.Tags {
		if !strings.HasPrefix(api.Value(t.Key), "aws:") {
			in.Tags = append(in.Tags, asapi.Tag{Key: t.Key, Value: t.Value, PropagateAtLaunch: t.PropagateAtLaunch})
		}
	}
	in.TerminationPolicies = slices.DeleteFunc(slices.Clone(g.TerminationPolicies), func(p string) bool {
		lambda := strings.HasPrefix(p, "arn:")
		if lambda {
			b.note(at, "the termination policy %s of %s is left off.", p, name)
		}
		return lambda
	})
	about := Group{Name: name, InstanceTypes: types, Min: int(*g.MinSize), Max: int(*g.MaxSize), Desired: int(api.Or(g.DesiredCapacity, *g.MinSize)),
		Zones: in.AvailabilityZones, Source: at}
	b.attach(g, in, &about, at)
	b.out.Groups = append(b.out.Groups, about)
	if err := b.step("autoscaling", "CreateAutoScalingGroup", in, name, "group "+name, at); err != nil {
		return err
	}
	return b.processes(g, name, at)
}

// processes suspends what is suspended and has the group's metrics collected that are.
func (b *builder) processes(g *asapi.AutoScalingGroup, name string, at Source) error {
	if len(g.SuspendedProcesses) > 0 {
		in := &asapi.SuspendProcessesInput{AutoScalingGroupName: &name}
		for _, p := range g.SuspendedProcesses {
			in.ScalingProcesses = append(in.ScalingProcesses, api.Value(p.ProcessName))
		}
		b.note(at, "%s of %s is suspended, as described.", strings.Join(in.ScalingProcesses, ", "), name)
		if err := b.step("autoscaling", "SuspendProcesses", in, name, "suspended processes of "+name, at); err != nil {
			return err
		}
	}
	if g.WarmPoolConfiguration != nil {
		b.note(at, "the warm pool of %s is left off.", name)
	}
	if len(g.EnabledMetrics) == 0 {
		return nil
	}
	in := &asapi.EnableMetricsCollectionInput{AutoScalingGroupName: &name, Granularity: new("1Minute")}
	for _, m := range g.EnabledMetrics {
		if !strings.Contains(api.Value(m.Metric), "WarmPool") {
			in.Metrics = append(in.Metrics, api.Value(m.Metric))
		}
	}
	return b.step("autoscaling", "EnableMetricsCollection", in, name, "group metrics of "+name, at)
}

// launches sets what a group launches, and gives its instance types.
func (b *builder) launches(g *asapi.AutoScalingGroup, in *asapi.CreateAutoScalingGroupInput, at Source) ([]string, error) {
	name := *g.AutoScalingGroupName
	if c := g.LaunchConfigurationName; c != nil {
		in.LaunchConfigurationName = c
		return b.configuration(g, *c, at)
	}
	spec, overrides := g.LaunchTemplate, []string(nil)
	if m := g.MixedInstancesPolicy; m != nil && m.LaunchTemplate != nil {
		spec = m.LaunchTemplate.LaunchTemplateSpecification
		for _, o := range m.LaunchTemplate.Overrides {
			if o.InstanceType != nil {
				overrides = append(overrides, *o.InstanceType)
			}
		}
	}
	data := &ec2api.ResponseLaunchTemplateData{}
	if spec == nil {
		b.note(at, "group %s names no launch template: its instances are taken for %s.", name, b.usual(g))
		data = nil
	} else if data = b.version(spec); data == nil {
		b.note(at, "the launch template of %s is not in the files: its instances are taken for %s with a metric every minute.", name, b.usual(g))
	}
	kind, request := b.usual(g), &ec2api.RequestLaunchTemplateData{ImageId: new(anyImage), Monitoring: &ec2api.LaunchTemplatesMonitoringRequest{Enabled: new(true)}}
	if data != nil {
		request.Monitoring = nil
		if data.Monitoring != nil {
			request.Monitoring = &ec2api.LaunchTemplatesMonitoringRequest{Enabled: data.Monitoring.Enabled}
		}
		if data.ImageId != nil && imageID.MatchString(*data.ImageId) {
			request.ImageId = data.ImageId
		}
		if data.CreditSpecification != nil {
			request.CreditSpecification = &ec2api.CreditSpecificationRequest{CpuCredits: data.CreditSpecification.CpuCredits}
		}
		kind = or(api.Value(data.InstanceType), kind)
	}
	if len(overrides) > 0 {
		if kind = overrides[0]; len(overrides) > 1 {
			b.note(at, "the mixed instances of %s are all taken for %s, the first of its overrides.", name, kind)
		}
	}
	kind = b.known(kind, at)
	request.InstanceType = &kind
	template := templateName(name, spec)
	in.LaunchTemplate = &asapi.LaunchTemplateSpecification{LaunchTemplateName: &template, Version: new("$Default")}
	return []string{kind}, b.step("ec2", "CreateLaunchTemplate",
		&ec2api.CreateLaunchTemplateInput{LaunchTemplateName: &template, LaunchTemplateData: request}, name, "launch template of "+name, at)
}

var notOfTemplates = regexp.MustCompile(`[^a-zA-Z0-9()./_-]`)

// templateName is the name of a group's own template: groups may use versions of one that differ.
func templateName(group string, spec *asapi.LaunchTemplateSpecification) string {
	name := "for-" + group
	if spec != nil && spec.LaunchTemplateName != nil {
		name = *spec.LaunchTemplateName + "-for-" + group
	}
	name = notOfTemplates.ReplaceAllString(name, "-")
	return name[max(0, len(name)-128):]
}

// usual is the type of most of a group's instances, or else the default one.
func (b *builder) usual(g *asapi.AutoScalingGroup) string {
	count, best := map[string]int{}, ""
	for _, i := range g.Instances {
		t := api.Value(i.InstanceType)
		if count[t]++; t != "" && (best == "" || count[t] > count[best]) {
			best = t
		}
	}
	return or(best, b.Type)
}

func (b *builder) configuration(g *asapi.AutoScalingGroup, name string, at Source) ([]string, error) {
	in := &asapi.CreateLaunchConfigurationInput{LaunchConfigurationName: &name, ImageId: new(anyImage)}
	kind, there := "", false
	for _, c := range b.configurations {
		if api.Value(c.of.LaunchConfigurationName) != name {
			continue
		}
		there, kind = true, api.Value(c.of.InstanceType)
		in.InstanceMonitoring = c.of.InstanceMonitoring
		if c.of.ImageId != nil && imageID.MatchString(*c.of.ImageId) {
			in.ImageId = c.of.ImageId
		}
		at = c.at
	}
	if !there {
		kind = b.usual(g)
		b.note(at, "the launch configuration %s is not in the files: its instances are taken for %s with a metric every minute.", name, kind)
	}
	kind = b.known(kind, at)
	in.InstanceType = &kind
	if b.made[name] {
		return []string{kind}, nil
	}
	b.made[name] = true
	return []string{kind}, b.step("autoscaling", "CreateLaunchConfiguration", in, *g.AutoScalingGroupName, "launch configuration "+name, at)
}

var family = regexp.MustCompile(`^([a-z]+)(\d+)([a-z-]*)\.(.+)$`)

// known is an instance type of the catalogue: the type itself, or one of its kind and size.
func (b *builder) known(kind string, at Source) string {
	if _, ok := ec2.Type(kind); ok {
		return kind
	}
	if stands, ok := b.out.Stands[kind]; ok {
		return stands
	}
	candidates := []string{"m5.large"}
	if m := family.FindStringSubmatch(kind); m != nil {
		arm := strings.Contains(m[3], "g")
		like := map[string]string{"c": "c5", "r": "r5", "x": "r5", "t": "t3"}[m[1][:1]]
		if arm {
			like = map[string]string{"c": "c7g", "t": "t4g"}[m[1][:1]]
			like = cmp.Or(like, "m7g")
		}
		candidates = []string{cmp.Or(like, "m5") + "." + m[4], "m5." + m[4], "m5.large"}
	}
	for _, c := range candidates {
		if _, ok := ec2.Type(c); ok {
			if b.out.Stands == nil {
				b.out.Stands = map[string]string{}
			}
			b.out.Stands[kind] = c
			b.note(at, "the instance type %s is not in the catalogue: %s stands for it.", kind, c)
			return c
		}
	}
	return kind
}

// balanced is a target group that a policy or an alarm looks at.
type balanced struct{ name, balancer string }

// Names of what only the new cloud can name.
func (t balanced) arn() string       { return "${target group " + t.name + "}" }
func (t balanced) dimension() string { return "${dimension of target group " + t.name + "}" }
func (t balanced) front() string     { return "${dimension of load balancer " + t.balancer + "}" }

// makeBalancers makes an Application Load Balancer for every target group that is watched.
func (b *builder) makeBalancers() error {
	first := true
	for _, g := range b.pieces.groups {
		for _, arn := range g.of.TargetGroupARNs {
			m := targetGroup.FindStringSubmatch(arn)
			if m == nil || b.balanced[m[1]].name == "" || b.made["target group "+m[2]] {
				continue
			}
			t := b.balanced[m[1]]
			b.made["target group "+t.name] = true
			name := *g.of.AutoScalingGroupName
			subnets := []string{"${subnet 0}", "${subnet 1}", "${subnet 2}"}
			if first {
				brings := []Name{{Old: "${vpc}", Path: "Subnets.0.VpcId"}}
				for i, s := range subnets {
					brings = append(brings, Name{Old: s, Path: fmt.Sprintf("Subnets.%d.SubnetId", i)})
				}
				if err := b.step("ec2", "DescribeSubnets", &ec2api.DescribeSubnetsInput{Filters: []ec2api.Filter{{Name: new("default-for-az"), Values: []string{"true"}}}},
					name, "subnets", g.at, brings...); err != nil {
					return err
				}
				first = false
			}
			lb := Name{Old: "${load balancer " + t.balancer + "}", Path: "LoadBalancers.0.LoadBalancerArn"}
			for _, s := range []struct {
				operation string
				in        any
				brings    []Name
			}{
				{"CreateLoadBalancer", &elbapi.CreateLoadBalancerInput{Name: &t.balancer, Subnets: subnets},
					[]Name{lb, {Old: t.front(), Path: lb.Path, After: ":loadbalancer/"}}},
				{"CreateTargetGroup", &elbapi.CreateTargetGroupInput{Name: &t.name, Protocol: new("HTTP"), Port: new(int32(80)), VpcId: new("${vpc}")},
					[]Name{{Old: t.arn(), Path: "TargetGroups.0.TargetGroupArn"}, {Old: t.dimension(), Path: "TargetGroups.0.TargetGroupArn", After: ":", Last: true}}},
				{"CreateListener", &elbapi.CreateListenerInput{LoadBalancerArn: new(lb.Old), Protocol: new("HTTP"), Port: new(int32(80)),
					DefaultActions: []elbapi.Action{{Type: new("forward"), TargetGroupArn: new(t.arn())}}}, nil},
			} {
				if err := b.step("elbv2", s.operation, s.in, name, "load balancer "+t.balancer, g.at, s.brings...); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// attach attaches the target groups that were made.
func (b *builder) attach(g *asapi.AutoScalingGroup, in *asapi.CreateAutoScalingGroupInput, about *Group, at Source) {
	left := len(g.LoadBalancerNames)
	for _, arn := range g.TargetGroupARNs {
		m := targetGroup.FindStringSubmatch(arn)
		if m == nil || b.balanced[m[1]].name == "" {
			left++
			continue
		}
		t := b.balanced[m[1]]
		in.TargetGroupARNs = append(in.TargetGroupARNs, t.arn())
		if about.TargetGroup == "" {
			about.TargetGroup, about.LoadBalancer = t.name, t.balancer
		}
	}
	if left > 0 {
		b.note(at, "load balancers and target groups of %s that no policy looks at are left off: its load reaches its instances evenly.", about.Name)
	}
}
