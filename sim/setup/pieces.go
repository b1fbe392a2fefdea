package setup

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/sim/input"
)

// found is something that a file describes, and where.
type found[T any] struct {
	of T
	at Source
}

// pieces are what the files say, before anything is made of it.
type pieces struct {
	groups         []found[asapi.AutoScalingGroup]
	policies       []found[asapi.ScalingPolicy]
	schedules      []found[asapi.ScheduledUpdateGroupAction]
	hooks          []found[asapi.LifecycleHook]
	configurations []found[asapi.LaunchConfiguration]
	templates      []found[ec2api.LaunchTemplate]
	versions       []found[ec2api.LaunchTemplateVersion]
	alarms         []found[cwapi.MetricAlarm]
	script         []Step // in the order of the lines
	notes          []string
}

func (p *pieces) note(at Source, format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf("%s: %s", at, fmt.Sprintf(format, args...)))
}

// read takes a file: JSON, or else a script.
func (p *pieces) read(path string) error {
	data, err := input.Read(path)
	if err != nil {
		return err
	}
	return p.text(input.Name(path), string(data))
}

func (p *pieces) text(path, data string) error {
	switch head := strings.TrimLeft(strings.TrimPrefix(data, "\xef\xbb\xbf"), " \t\r\n"); {
	case head == "":
		return fmt.Errorf("%s: it is empty", path)
	case strings.HasPrefix(data, "\xff\xfe"), strings.HasPrefix(data, "\xfe\xff"):
		return fmt.Errorf("%s: it is written in UTF-16; save it as UTF-8", path)
	case head[0] != '{' && head[0] != '[':
		return p.commands(path, data)
	}
	all, err := documents(path, data, 1)
	if err != nil {
		return err
	}
	for _, n := range all {
		if err := p.document(path, n); err != nil {
			return err
		}
	}
	return nil
}

// document takes one JSON value: what aws prints, the input of a call, or a list of inputs.
func (p *pieces) document(file string, n *node) error {
	if n.kind == list {
		for _, item := range n.items {
			if err := p.document(file, item); err != nil {
				return err
			}
		}
		return nil
	}
	if n.kind != object {
		return fault(file, n.line, "it is %s; what `aws ... describe-*` prints is an object", n.kind)
	}
	any := false
	for _, r := range []struct {
		name string
		take func(file string, n *node) error
	}{
		{"AutoScalingGroups", into(&p.groups, asapi.Service, "AutoScalingGroup")},
		{"ScalingPolicies", into(&p.policies, asapi.Service, "ScalingPolicy")},
		{"ScheduledUpdateGroupActions", into(&p.schedules, asapi.Service, "ScheduledUpdateGroupAction")},
		{"LifecycleHooks", into(&p.hooks, asapi.Service, "LifecycleHook")},
		{"LaunchConfigurations", into(&p.configurations, asapi.Service, "LaunchConfiguration")},
		{"LaunchTemplates", into(&p.templates, ec2api.Service, "LaunchTemplate")},
		{"LaunchTemplateVersions", into(&p.versions, ec2api.Service, "LaunchTemplateVersion")},
		{"MetricAlarms", into(&p.alarms, cwapi.Service, "MetricAlarm")},
	} {
		items := n.get(r.name)
		if items == nil {
			continue
		}
		any = true
		if items.kind != list {
			return fault(file, items.line, "%s must be a list, not %s", r.name, items.kind)
		}
		for _, item := range items.items {
			if err := r.take(file, item); err != nil {
				return err
			}
		}
	}
	if composite := n.get("CompositeAlarms"); composite != nil && len(composite.items) > 0 {
		p.note(Source{file, composite.line}, "composite alarms are left off.")
	}
	if any {
		return nil
	}
	return p.input(file, n)
}

// into fills descriptions of a shape from list items.
func into[T any](to *[]found[T], service *api.Service, shape string) func(string, *node) error {
	return func(file string, n *node) error {
		f := found[T]{at: Source{file, n.line}}
		fill := filler{file: file, service: service}
		if err := fill.fill(shapeOf(service, shape), n, shape, reflect.ValueOf(&f.of).Elem()); err != nil {
			return err
		}
		*to = append(*to, f)
		return nil
	}
}

func shapeOf(service *api.Service, name string) int {
	for i := range service.Shapes {
		if service.Shapes[i].Name == name {
			return i
		}
	}
	panic("setup: " + service.Name + " has no shape " + name)
}

// input takes the input of one call, as --cli-input-json has it, or a file for --target-tracking-configuration.
func (p *pieces) input(file string, n *node) error {
	fill := filler{file: file, service: asapi.Service, strict: true}
	at := Source{file, n.line}
	switch {
	case n.has("TargetValue"):
		var c asapi.TargetTrackingConfiguration
		if err := fill.fill(shapeOf(asapi.Service, "TargetTrackingConfiguration"), n, "", reflect.ValueOf(&c).Elem()); err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		p.policies = append(p.policies, found[asapi.ScalingPolicy]{asapi.ScalingPolicy{
			PolicyName: &name, PolicyType: new("TargetTrackingScaling"), TargetTrackingConfiguration: &c}, at})
	case n.has("PolicyName"):
		return described(&p.policies, fill, "PutScalingPolicy", &asapi.PutScalingPolicyInput{}, n)
	case n.has("ScheduledActionName"):
		return described(&p.schedules, fill, "PutScheduledUpdateGroupAction", &asapi.PutScheduledUpdateGroupActionInput{}, n)
	case n.has("AutoScalingGroupName", "MaxSize"):
		return described(&p.groups, fill, "CreateAutoScalingGroup", &asapi.CreateAutoScalingGroupInput{}, n)
	case n.has("AlarmName", "ComparisonOperator"):
		fill.service = cwapi.Service
		return described(&p.alarms, fill, "PutMetricAlarm", &cwapi.PutMetricAlarmInput{}, n)
	default:
		return fault(file, n.line, "it is not what aws prints of groups, policies, scheduled actions, hooks, launch configurations, launch templates or alarms, nor the input of a call that makes one")
	}
	return nil
}

// described fills an operation's input and takes it for the description of what it makes.
func described[T any](to *[]found[T], fill filler, operation string, in any, n *node) error {
	op := fill.service.Find(operation)
	if err := fill.fill(op.Input, n, "", reflect.ValueOf(in).Elem()); err != nil {
		return err
	}
	f := found[T]{at: Source{fill.file, n.line}}
	carry(in, &f.of)
	*to = append(*to, f)
	return nil
}
