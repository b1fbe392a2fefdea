package setup

import (
	"fmt"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// Changes reads what is to become different in a cloud that goes on: policies, alarms, schedules, or a script of calls,
// for groups that are there, described as that cloud does. Nothing is made for the groups themselves, and names of load
// balancers are those of that cloud.
func Changes(files []string, scope cloud.Scope, groups []asapi.AutoScalingGroup, o Options) (Setup, error) {
	p := &pieces{}
	for _, f := range files {
		if err := p.read(f); err != nil {
			return Setup{}, err
		}
	}
	for _, g := range p.groups {
		p.note(g.at, "what it says of groups is left off: they are as they are.")
		break
	}
	p.groups = nil
	for _, g := range groups {
		p.groups = append(p.groups, found[asapi.AutoScalingGroup]{g, Source{File: "the recording"}})
	}
	b := &builder{pieces: p, Options: o, groups: map[string]*asapi.AutoScalingGroup{}, balanced: map[string]balanced{}, tokens: map[string]string{},
		made: map[string]bool{}, zones: map[string]string{}, policies: map[string]*asapi.ScalingPolicy{}}
	if err := b.checkGroups(); err != nil {
		return Setup{}, err
	}
	b.watched()
	for name := range b.tokens { // any order
		b.tokens[name] = name
	}
	for _, step := range []func() error{b.makePolicies, b.makeAlarms, b.makeSchedules, b.takeScript} {
		if err := step(); err != nil {
			return Setup{}, err
		}
	}
	if len(b.out.Steps) == 0 {
		return Setup{}, fmt.Errorf("there is nothing in %v that would change a policy, an alarm or a schedule", files)
	}
	b.crossed()
	b.out.Scope, b.out.Notes = scope, b.notes
	return b.out, nil
}
