package setup

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/api/catalog"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
)

// service finds a service's tables.
func service(name string) *api.Service {
	i := slices.IndexFunc(catalog.Services, func(s *api.Service) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return catalog.Services[i]
}

func checkCall(name, operation string, in any) error {
	s := service(name)
	return check(s, s.Find(operation).Input, "", reflect.ValueOf(in))
}

// lay puts others over the pieces.
func (p *pieces) lay(q *pieces) {
	theirs := func(x found[asapi.AutoScalingGroup]) string { return api.Value(x.of.AutoScalingGroupName) }
	made, ruled, planned := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, g := range q.groups {
		made[theirs(g)] = true
	}
	only := ""
	if all := append(slices.Clone(q.groups), p.groups...); len(all) > 0 {
		only = theirs(all[0])
	}
	for _, x := range q.policies {
		ruled[api.Or(x.of.AutoScalingGroupName, only)] = true
	}
	for _, x := range q.schedules {
		planned[api.Or(x.of.AutoScalingGroupName, only)] = true
	}
	for _, s := range q.script {
		switch s.Call.Operation {
		case "CreateAutoScalingGroup":
			made[s.Group] = true
		case "PutScalingPolicy":
			ruled[s.Group] = true
		case "PutScheduledUpdateGroupAction":
			planned[s.Group] = true
		}
	}
	gone := map[string]bool{}
	for _, x := range p.policies {
		if ruled[api.Or(x.of.AutoScalingGroupName, only)] {
			gone[api.Value(x.of.PolicyARN)] = true
		}
	}
	p.groups = slices.DeleteFunc(p.groups, func(x found[asapi.AutoScalingGroup]) bool { return made[theirs(x)] })
	p.policies = slices.DeleteFunc(p.policies, func(x found[asapi.ScalingPolicy]) bool { return ruled[api.Or(x.of.AutoScalingGroupName, only)] })
	p.schedules = slices.DeleteFunc(p.schedules, func(x found[asapi.ScheduledUpdateGroupAction]) bool {
		return planned[api.Or(x.of.AutoScalingGroupName, only)]
	})
	p.alarms = slices.DeleteFunc(p.alarms, func(x found[cwapi.MetricAlarm]) bool {
		return slices.ContainsFunc(x.of.AlarmActions, func(arn string) bool { return gone[arn] })
	})
	p.script = p.unruled(made, ruled, planned)
	p.groups, p.policies, p.schedules, p.alarms = append(p.groups, q.groups...), append(p.policies, q.policies...), append(p.schedules, q.schedules...), append(p.alarms, q.alarms...)
	p.hooks, p.configurations = append(p.hooks, q.hooks...), append(p.configurations, q.configurations...)
	p.templates, p.versions = append(p.templates, q.templates...), append(p.versions, q.versions...)
	p.script, p.notes = append(p.script, q.script...), append(p.notes, q.notes...)
}

// unruled is the script without what the others say anew, and without alarms on policies that are gone.
func (p *pieces) unruled(made, ruled, planned map[string]bool) []Step {
	gone := map[string]bool{}
	return slices.DeleteFunc(p.script, func(s Step) bool {
		drop := false
		switch in := s.Call.In.(type) {
		case *asapi.CreateAutoScalingGroupInput:
			drop = made[s.Group]
		case *asapi.PutScalingPolicyInput:
			drop = ruled[s.Group]
		case *asapi.PutScheduledUpdateGroupActionInput:
			drop = planned[s.Group]
		case *cwapi.PutMetricAlarmInput:
			drop = slices.ContainsFunc(in.AlarmActions, func(arn string) bool { return gone[arn] })
		}
		if drop {
			for _, n := range s.Brings {
				gone[n.Old] = true
			}
		}
		return drop
	})
}

// takeScript adds the calls of scripts, as they are but for what another account has: images and subnets.
func (b *builder) takeScript() error {
	types := map[string]string{}
	for _, s := range b.script {
		switch in := s.Call.In.(type) {
		case *ec2api.CreateLaunchTemplateInput:
			if d := in.LaunchTemplateData; d != nil && d.InstanceType != nil {
				d.InstanceType = new(b.known(*d.InstanceType, s.Source))
				types[api.Value(in.LaunchTemplateName)] = *d.InstanceType
			}
		case *asapi.CreateLaunchConfigurationInput:
			if in.InstanceType != nil {
				in.InstanceType = new(b.known(*in.InstanceType, s.Source))
				types[api.Value(in.LaunchConfigurationName)] = *in.InstanceType
			}
		case *asapi.CreateAutoScalingGroupInput:
			b.scriptGroup(in, s, types)
		case *asapi.PutScalingPolicyInput:
			p := &asapi.ScalingPolicy{}
			carry(in, p)
			for _, n := range s.Brings {
				b.policies[n.Old] = p
			}
			if err := b.knownGroup(s); err != nil {
				return err
			}
			if err := b.observable(p, s.Group); err != nil {
				return fmt.Errorf("%s: %s: %w", s.Source, s.What, err)
			}
		case *cwapi.PutMetricAlarmInput:
			for _, arn := range in.AlarmActions {
				if p := b.policies[arn]; p != nil {
					s.Group = api.Value(p.AutoScalingGroupName)
				}
			}
			if err := b.observableAlarm(in, s.Group); s.Group != "" && err != nil {
				return fmt.Errorf("%s: %s: %w", s.Source, s.What, err)
			}
		case *asapi.EnableMetricsCollectionInput:
			if g := b.groups[s.Group]; g != nil {
				for _, m := range in.Metrics {
					g.EnabledMetrics = append(g.EnabledMetrics, asapi.EnabledMetric{Metric: &m})
				}
			}
		case *asapi.PutLifecycleHookInput:
			in.NotificationTargetARN, in.RoleARN = nil, nil
			b.out.Hooks = append(b.out.Hooks, api.Value(in.LifecycleHookName))
		}
		b.out.Steps = append(b.out.Steps, s)
	}
	return nil
}

func (b *builder) knownGroup(s Step) error {
	if b.groups[s.Group] == nil {
		return fmt.Errorf("%s: %s is of the group %s, which is not in the files before it; %s", s.Source, s.What, s.Group, b.groupNames())
	}
	return nil
}

// scriptGroup takes over a group that a script makes.
func (b *builder) scriptGroup(in *asapi.CreateAutoScalingGroupInput, s Step, types map[string]string) {
	g := &asapi.AutoScalingGroup{}
	carry(in, g)
	b.groups[s.Group] = g
	b.pieces.groups = append(b.pieces.groups, found[asapi.AutoScalingGroup]{*g, s.Source})
	about := Group{Name: s.Group, Min: int(api.Value(in.MinSize)), Max: int(api.Value(in.MaxSize)), Source: s.Source}
	about.Desired = int(api.Or(in.DesiredCapacity, int32(about.Min)))
	template := api.Value(in.LaunchConfigurationName)
	if in.LaunchTemplate != nil {
		template = api.Value(in.LaunchTemplate.LaunchTemplateName)
	}
	if t := types[template]; t != "" {
		about.InstanceTypes = []string{t}
	}
	b.out.Groups = append(b.out.Groups, about)
	for i, z := range in.AvailabilityZones {
		in.AvailabilityZones[i] = or(b.zones[z], z)
	}
	if subnets := api.Value(in.VPCZoneIdentifier); subnets != "" && !strings.Contains(subnets, "${") {
		in.VPCZoneIdentifier = nil
		if in.AvailabilityZones == nil {
			for i := range min(3, 1+strings.Count(subnets, ",")) {
				in.AvailabilityZones = append(in.AvailabilityZones, b.out.Scope.Region+string("abc"[i]))
			}
		}
		b.note(s.Source, "the subnets of %s are taken for those of the default VPC in %s.", s.Group, strings.Join(in.AvailabilityZones, ", "))
	}
	b.out.Groups[len(b.out.Groups)-1].Zones = in.AvailabilityZones
}
