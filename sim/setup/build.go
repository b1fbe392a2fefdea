package setup

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// Options are what the files do not tell.
type Options struct {
	// Type is the instance type of groups whose template is not in the files; empty is DefaultType.
	Type string
	// Region is that of files that name none; empty is us-east-1. Setting is what says so: "AWS_REGION".
	Region, Setting string
	// Start is when the run begins: what was scheduled once, before it, is left off.
	Start time.Time
}

// DefaultType is what instances are taken for when nothing says their type.
const DefaultType = "t3.medium"

// Read reads files: what `aws ... describe-*` printed, inputs of calls, and scripts of AWS CLI calls, in any order.
func Read(files []string, o Options) (Setup, error) {
	p := &pieces{}
	for _, f := range files {
		if err := p.read(f); err != nil {
			return Setup{}, err
		}
	}
	return p.build(o)
}

// ReadVariant reads files with others laid over them: a group that both have is the other's, and a group for which the
// others have policies, or schedules, has only those.
func ReadVariant(files, over []string, o Options) (Setup, error) {
	p, q := &pieces{}, &pieces{}
	for _, f := range files {
		if err := p.read(f); err != nil {
			return Setup{}, err
		}
	}
	for _, f := range over {
		if err := q.read(f); err != nil {
			return Setup{}, err
		}
	}
	p.lay(q)
	return p.build(o)
}

// builder makes steps of pieces.
type builder struct {
	*pieces
	Options
	out      Setup
	groups   map[string]*asapi.AutoScalingGroup
	balanced map[string]balanced // by dimension of a target group: those that are watched
	tokens   map[string]string   // names in the files -> names that steps bring
	made     map[string]bool     // templates and configurations
	zones    map[string]string   // of the files -> of the default VPC
	policies map[string]*asapi.ScalingPolicy
}

func (p *pieces) build(o Options) (Setup, error) {
	b := &builder{pieces: p, Options: o, groups: map[string]*asapi.AutoScalingGroup{}, balanced: map[string]balanced{}, tokens: map[string]string{},
		made: map[string]bool{}, zones: map[string]string{}, policies: map[string]*asapi.ScalingPolicy{}}
	b.Type = or(o.Type, DefaultType)
	b.scope()
	b.live()
	if err := b.checkGroups(); err != nil {
		return Setup{}, err
	}
	b.watched()
	b.mapZones()
	for _, step := range []func() error{b.makeBalancers, b.makeGroups, b.makeHooks, b.makePolicies, b.makeAlarms, b.makeSchedules, b.takeScript} {
		if err := step(); err != nil {
			return Setup{}, err
		}
	}
	if len(b.out.Groups) == 0 {
		return Setup{}, errors.New("there is no Auto Scaling group in the files; `aws autoscaling describe-auto-scaling-groups` prints them")
	}
	b.crossed()
	b.idle()
	b.out.Notes = b.notes
	return b.out, nil
}

// step adds a call.
func (b *builder) step(service, operation string, in any, group, what string, at Source, brings ...Name) error {
	if err := checkCall(service, operation, in); err != nil {
		return fmt.Errorf("%s: %s: %w", at, what, err)
	}
	b.out.Steps = append(b.out.Steps, Step{
		Call: cloud.Call{Service: service, Operation: operation, In: in}, Group: group, What: what, Source: at, Brings: brings,
	})
	return nil
}

var (
	arnScope     = regexp.MustCompile(`^arn:aws[a-z-]*:autoscaling:([a-z0-9-]+):(\d{12}):`)
	regionOfZone = regexp.MustCompile(`^[a-z]{2}(?:-[a-z]+)+-\d+`)
)

// scope takes region and account from the groups' ARNs, or the region from what calls are made with, or the groups' zones.
func (b *builder) scope() {
	b.out.Scope = cloud.Scope{Account: "123456789012"}
	region := &b.out.Scope.Region
	for _, s := range b.script {
		*region = or(s.Call.Scope.Region, *region)
	}
	for _, s := range slices.Backward(b.script) {
		in, makes := s.Call.In.(*asapi.CreateAutoScalingGroupInput)
		if makes && s.Call.Scope.Region == "" && len(in.AvailabilityZones) > 0 {
			*region = or(regionOfZone.FindString(in.AvailabilityZones[0]), *region)
		} else if makes {
			*region = or(s.Call.Scope.Region, *region)
		}
	}
	for _, g := range slices.Backward(b.pieces.groups) {
		if m := arnScope.FindStringSubmatch(api.Value(g.of.AutoScalingGroupARN)); m != nil {
			b.out.Scope = cloud.Scope{Account: m[2], Region: m[1]}
		} else if len(g.of.AvailabilityZones) > 0 {
			*region = or(regionOfZone.FindString(g.of.AvailabilityZones[0]), *region)
		}
	}
	switch {
	case *region != "":
	case b.Region != "":
		*region = b.Region
		b.notes = append(b.notes, fmt.Sprintf("No file names a region: it is taken for %s, as %s says.", b.Region, b.Setting))
	default:
		*region = "us-east-1"
		b.notes = append(b.notes, fmt.Sprintf("No file names a region: it is taken for %s.", *region))
	}
}

// live leaves off what is being deleted.
func (b *builder) live() {
	b.pieces.groups = slices.DeleteFunc(b.pieces.groups, func(g found[asapi.AutoScalingGroup]) bool {
		deleting := g.of.Status != nil
		if deleting {
			b.note(g.at, "group %s is left off: %s.", api.Value(g.of.AutoScalingGroupName), *g.of.Status)
		}
		return deleting
	})
}

func (b *builder) checkGroups() error {
	for i := range b.pieces.groups {
		g := &b.pieces.groups[i]
		name := api.Value(g.of.AutoScalingGroupName)
		if name == "" {
			return fmt.Errorf("%s: a group has no AutoScalingGroupName", g.at)
		}
		if b.groups[name] != nil {
			return fmt.Errorf("%s: group %s is described twice", g.at, name)
		}
		if g.of.MinSize == nil || g.of.MaxSize == nil {
			return fmt.Errorf("%s: group %s has no MinSize or no MaxSize", g.at, name)
		}
		b.groups[name] = &g.of
	}
	for i := range b.pieces.policies {
		if p := &b.pieces.policies[i].of; p.AutoScalingGroupName == nil && len(b.pieces.groups) == 1 {
			p.AutoScalingGroupName = b.pieces.groups[0].of.AutoScalingGroupName
		}
	}
	for i := range b.pieces.schedules {
		if s := &b.pieces.schedules[i].of; s.AutoScalingGroupName == nil && len(b.pieces.groups) == 1 {
			s.AutoScalingGroupName = b.pieces.groups[0].of.AutoScalingGroupName
		}
	}
	return nil
}

func (b *builder) groupNames() string {
	var names []string
	for _, g := range b.pieces.groups {
		names = append(names, *g.of.AutoScalingGroupName)
	}
	if len(names) == 0 {
		return "there is none"
	}
	if len(names) > 1 {
		return "there are " + strings.Join(names, ", ")
	}
	return "there is " + names[0]
}

// theirs leaves off, of what is about groups, what is about groups that are not there. If nothing remains of a file's, the
// name is a mistake.
func theirs[T any](b *builder, all []found[T], what string, of func(T) (group, name *string)) ([]found[T], error) {
	type count struct{ known, other int }
	files := map[string]*count{}
	var kept []found[T]
	for _, x := range all {
		c := files[x.at.File]
		if c == nil {
			c = &count{}
			files[x.at.File] = c
		}
		group, name := of(x.of)
		if group == nil {
			return nil, fmt.Errorf("%s: %s %s does not name its AutoScalingGroupName", x.at, what, api.Value(name))
		}
		if b.groups[*group] == nil {
			c.other++
			continue
		}
		c.known++
		kept = append(kept, x)
	}
	told := map[string]bool{}
	for _, x := range all {
		group, name := of(x.of)
		c := files[x.at.File]
		switch {
		case b.groups[*group] != nil || told[x.at.File]:
		case c.known == 0:
			return nil, fmt.Errorf("%s: %s %s is of the group %s, which is not in the files; %s", x.at, what, api.Value(name), *group, b.groupNames())
		default:
			told[x.at.File] = true
			b.note(x.at, "%d of %d are of groups that are not in the files, and left off.", c.other, c.other+c.known)
		}
	}
	return kept, nil
}

func (b *builder) makePolicies() error {
	all, err := theirs(b, b.pieces.policies, "policy", func(p asapi.ScalingPolicy) (*string, *string) { return p.AutoScalingGroupName, p.PolicyName })
	if err != nil {
		return err
	}
	for i := range all {
		p, at := &all[i].of, all[i].at
		group := *p.AutoScalingGroupName
		what := fmt.Sprintf("policy %s of %s", api.Value(p.PolicyName), group)
		if err := b.observable(p, group); err != nil {
			return fmt.Errorf("%s: %s: %w", at, what, err)
		}
		in := &asapi.PutScalingPolicyInput{}
		carry(p, in)
		if in.PolicyType == nil {
			in.PolicyType = new("SimpleScaling")
		}
		if in.MinAdjustmentMagnitude != nil { // aws prints it under its old name too
			in.MinAdjustmentStep = nil
		}
		in = renamed(in, b.tokens).(*asapi.PutScalingPolicyInput)
		var brings []Name
		if p.PolicyARN != nil {
			brings = []Name{{Old: *p.PolicyARN, Path: "PolicyARN"}}
			b.policies[*p.PolicyARN] = p
		}
		if err := b.step("autoscaling", "PutScalingPolicy", in, group, what, at, brings...); err != nil {
			return err
		}
	}
	return nil
}

// makeAlarms: only alarms that act on a policy here count. Those of target tracking are the service's to make.
func (b *builder) makeAlarms() error {
	idle := 0
	for i := range b.pieces.alarms {
		a, at := b.pieces.alarms[i].of, b.pieces.alarms[i].at
		name := api.Value(a.AlarmName)
		ours := func(arns []string) []string {
			return slices.DeleteFunc(slices.Clone(arns), func(arn string) bool { return b.policies[arn] == nil })
		}
		in := &cwapi.PutMetricAlarmInput{}
		carry(&a, in)
		in.AlarmActions, in.OKActions, in.InsufficientDataActions = ours(a.AlarmActions), ours(a.OKActions), ours(a.InsufficientDataActions)
		actions := slices.Concat(in.AlarmActions, in.OKActions, in.InsufficientDataActions)
		tracking := slices.ContainsFunc(actions, func(arn string) bool { return api.Value(b.policies[arn].PolicyType) == "TargetTrackingScaling" })
		switch {
		case strings.HasPrefix(name, "TargetTracking-") && (tracking || len(actions) == 0), tracking:
			continue
		case len(actions) == 0:
			idle++
			if idle == 1 {
				b.note(at, "alarms that act on no policy here, such as %s, are left off.", name)
			}
			continue
		}
		group := *b.policies[actions[0]].AutoScalingGroupName
		what := "alarm " + name
		if err := b.observableAlarm(in, group); err != nil {
			return fmt.Errorf("%s: %s: %w", at, what, err)
		}
		in = renamed(in, b.tokens).(*cwapi.PutMetricAlarmInput)
		if err := b.step("cloudwatch", "PutMetricAlarm", in, group, what, at); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) makeSchedules() error {
	all, err := theirs(b, b.pieces.schedules, "scheduled action", func(s asapi.ScheduledUpdateGroupAction) (*string, *string) {
		return s.AutoScalingGroupName, s.ScheduledActionName
	})
	if err != nil {
		return err
	}
	for _, s := range all {
		in := &asapi.PutScheduledUpdateGroupActionInput{}
		carry(&s.of, in)
		group, name := *in.AutoScalingGroupName, api.Value(in.ScheduledActionName)
		if in.StartTime == nil {
			in.StartTime = in.Time
		}
		in.Time = nil
		switch {
		case in.Recurrence != nil:
			if in.EndTime != nil {
				b.note(s.at, "scheduled action %s recurs without its end, since the load is of another time.", name)
			}
			in.StartTime, in.EndTime = nil, nil // the next time after the files were made
		case in.StartTime != nil && !b.Start.IsZero() && in.StartTime.Before(b.Start):
			b.note(s.at, "scheduled action %s is left off: its time, %s, is before the run.", name, in.StartTime.UTC().Format("2006-01-02 15:04"))
			continue
		}
		if err := b.step("autoscaling", "PutScheduledUpdateGroupAction", in, group, fmt.Sprintf("scheduled action %s of %s", name, group), s.at); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) makeHooks() error {
	all, err := theirs(b, b.pieces.hooks, "lifecycle hook", func(h asapi.LifecycleHook) (*string, *string) { return h.AutoScalingGroupName, h.LifecycleHookName })
	if err != nil {
		return err
	}
	for _, h := range all {
		in := &asapi.PutLifecycleHookInput{}
		carry(&h.of, in)
		in.NotificationTargetARN, in.RoleARN = nil, nil
		group, name := *in.AutoScalingGroupName, api.Value(in.LifecycleHookName)
		b.out.Hooks = append(b.out.Hooks, name)
		if err := b.step("autoscaling", "PutLifecycleHook", in, group, fmt.Sprintf("lifecycle hook %s of %s", name, group), h.at); err != nil {
			return err
		}
	}
	return nil
}

// version is a template's version that a group uses.
func (b *builder) version(spec *asapi.LaunchTemplateSpecification) *ec2api.ResponseLaunchTemplateData {
	id, name, want := api.Value(spec.LaunchTemplateId), api.Value(spec.LaunchTemplateName), or(api.Value(spec.Version), "$Default")
	of := func(i, n *string) bool { return id != "" && api.Value(i) == id || name != "" && api.Value(n) == name }
	var best *ec2api.LaunchTemplateVersion
	for i := range b.versions {
		v := &b.versions[i].of
		if !of(v.LaunchTemplateId, v.LaunchTemplateName) || v.LaunchTemplateData == nil {
			continue
		}
		number := fmt.Sprint(api.Value(v.VersionNumber))
		switch {
		case number == want, want == "$Default" && api.Value(v.DefaultVersion):
			return v.LaunchTemplateData
		case want == "$Latest" && (best == nil || api.Value(v.VersionNumber) > api.Value(best.VersionNumber)):
			best = v
		case want == "$Default" && best == nil && !slices.ContainsFunc(b.templates, func(t found[ec2api.LaunchTemplate]) bool {
			return of(t.of.LaunchTemplateId, t.of.LaunchTemplateName) && api.Value(t.of.DefaultVersionNumber) != api.Value(v.VersionNumber)
		}):
			best = v
		}
	}
	if best != nil {
		return best.LaunchTemplateData
	}
	return nil
}
