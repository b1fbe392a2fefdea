package autoscaling

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	metrics "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// A shadow is a set of policies that is watched on a live group and never acts: no API of AWS shows it or its alarms.
// watching.go has its alarms evaluated and its policies decided as real ones are, on the real group; whatif.go follows what
// the group would have come to. This file is what users do with shadows, by internal calls of the daemon.

// Shadow is the row of a set of policies that is watched; its key is policyKey. It is written when it is put.
type Shadow struct {
	Group, Name string
	Made        time.Time
	Parts       []ShadowPart
	// Apart says why it is not followed what the group would have come to; empty if it is.
	Apart string `json:",omitempty"`
}

// ShadowPart is one of a shadow's policies, with its alarms; High and Low of the policy are names of these.
type ShadowPart struct {
	Policy Policy
	Alarms []cloudwatch.Alarm
}

// Bounds of shadows.
const (
	shadowsAGroup   = 10
	shadowsInAll    = 1000
	alarmsAShadow   = 50
	divergencesKept = 20 // the first, and as many of the newest
)

// ShadowPutInput makes or replaces a shadow. Without a name it has its first policy's.
type ShadowPutInput struct {
	Group, Region, Name string
	Policies            []ShadowPolicy
	Alarms              []metrics.PutMetricAlarmInput // for those policies that they name as their action, or for the only one without
	PerInstance         bool                          // the alarms' metrics are of work that the instances share
}

// ShadowPolicy is a policy as PutScalingPolicy takes it or DescribePolicies shows it. An alarm in it that has a name only
// is a copy of the group's account's alarm of that name.
type ShadowPolicy struct {
	shape.PutScalingPolicyInput
	PolicyARN string
	Alarm     *metrics.PutMetricAlarmInput
	Alarms    []metrics.PutMetricAlarmInput
}

// ShadowInput names a group's shadow, or with an empty name all of them; an empty group is all groups.
type ShadowInput struct{ Group, Region, Name string }

// ShadowListOutput lists shadows in order of group and name.
type ShadowListOutput struct{ Shadows []ShadowReport }

// ShadowReport is what came of watching a shadow.
type ShadowReport struct {
	Group, Name string
	Made, Now   time.Time
	Policies    []string
	Watch       Watch
	First       []Divergence `json:",omitempty"`
	Newest      []Divergence `json:",omitempty"` // those that are not among the first
	Apart       string       `json:",omitempty"`
	Replaced    *time.Time   `json:",omitempty"` // since when one of that name was watched that is gone now
}

func (s *Service) shadowOperations() []cloud.Operation {
	return []cloud.Operation{
		cloud.Handle("shadow-put", s.shadowPut), cloud.Handle("shadow-list", s.shadowList),
		cloud.Handle("shadow-report", s.shadowReport), cloud.Handle("shadow-delete", s.shadowDelete),
	}
}

func (s *Service) shadowPut(tx *cloud.Tx, in *ShadowPutInput) (*ShadowReport, error) {
	scope, err := s.located(tx, in.Group, in.Region)
	if err != nil {
		return nil, err
	}
	var out *ShadowReport
	tx.In(scope, func() { out, err = s.putShadow(tx, in) })
	return out, err
}

func (s *Service) putShadow(tx *cloud.Tx, in *ShadowPutInput) (*ShadowReport, error) {
	g, _ := s.groups.Get(tx, in.Group)
	x := Shadow{Group: g.Name, Name: in.Name, Made: tx.Now()}
	if len(in.Policies) == 0 {
		return nil, invalid("there is no policy to watch")
	}
	if x.Name == "" {
		x.Name = api.Value(in.Policies[0].PolicyName)
	}
	if x.Name == "" || len(x.Name) > 255 || strings.ContainsFunc(x.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, invalid("a shadow needs a name of at most 255 printable characters: give one with --name or as PolicyName")
	}
	for i := range in.Policies {
		part, err := s.shadowPart(tx, g, &in.Policies[i])
		if err != nil {
			return nil, err
		}
		x.Parts = append(x.Parts, part)
	}
	if err := s.shareAlarms(&x, in); err != nil {
		return nil, err
	}
	x.Apart = x.apart(in.PerInstance)
	key := policyKey(g.Name, x.Name)
	if !s.diary.shadows.Has(tx, key) {
		n := 0
		for range s.diary.shadows.Prefix(tx, policyKey(g.Name, "")) {
			n++
		}
		if n >= shadowsAGroup || s.diary.shadows.Len() >= shadowsInAll {
			return nil, invalid("a group may have %d shadows, and all groups together %d", shadowsAGroup, shadowsInAll)
		}
	}
	before, replaces := s.diary.shadows.Get(tx, key)
	s.dropShadow(tx, key)
	s.diary.shadows.Put(tx, key, x)
	s.diary.watches.Put(tx, key, s.newWatch(tx, g, &x))
	tx.Touch(Name, keyShadow, g.Name)
	out := s.report(tx, key, x)
	if replaces {
		out.Replaced = &before.Made
	}
	return out, nil
}

// shadowPart checks a policy as PutScalingPolicy does, and gives it with the alarms that come with it.
func (s *Service) shadowPart(tx *cloud.Tx, g Group, in *ShadowPolicy) (ShadowPart, error) {
	put := in.PutScalingPolicyInput
	put.AutoScalingGroupName, put.Enabled = &g.Name, new(true)
	name := api.Value(put.PolicyName)
	if name == "" {
		return ShadowPart{}, invalid("a policy has no PolicyName")
	}
	if api.Value(put.PolicyType) == typePredictive {
		return ShadowPart{}, invalid("policy %s is of type PredictiveScaling, which raises by forecast and not by alarms: it cannot be watched", name)
	}
	if api.Value(put.PolicyType) == typeTargetTracking { // what describe-policies shows beside it
		put.StepAdjustments = nil
	}
	if api.Value(put.PolicyType) != typeStep && len(put.StepAdjustments) == 0 {
		put.StepAdjustments = nil
	}
	p, err := newPolicy(g, &put)
	if err != nil {
		return ShadowPart{}, invalid("policy %s: %s", name, said(err))
	}
	p.ARN = tx.Scope.ARN(Name, "scalingPolicy:shadow:autoScalingGroupName/"+g.Name+":policyName/"+name)
	part := ShadowPart{Policy: p}
	if p.Type == typeTargetTracking {
		high, low := s.scaling.tracking.alarms(g, p)
		high.AlarmName, part.Policy.High = name+" high", name+" high"
		part.Alarms = append(part.Alarms, high)
		if !p.scaleInDisabled() {
			low.AlarmName, part.Policy.Low = name+" low", name+" low"
			part.Alarms = append(part.Alarms, low)
		}
		for i := range part.Alarms {
			if err := part.Alarms[i].Check(); err != nil {
				return part, invalid("policy %s: %s", name, said(err))
			}
		}
		return part, nil
	}
	if in.Alarm != nil {
		in.Alarms = append(in.Alarms, *in.Alarm)
	}
	for i := range in.Alarms {
		given := &in.Alarms[i]
		if given.MetricName != nil || len(given.Metrics) > 0 {
			if err := part.take(given); err != nil {
				return part, err
			}
			continue
		}
		if a, ok := s.cloudwatch.Alarm(tx, api.Value(given.AlarmName)); ok {
			part.add(a)
		}
	}
	return part, nil
}

// take adds an alarm that was given in full.
func (p *ShadowPart) take(in *metrics.PutMetricAlarmInput) error {
	if api.Value(in.AlarmName) == "" {
		in.AlarmName = new(fmt.Sprintf("%s %d", p.Policy.Name, len(p.Alarms)+1))
	}
	a, err := cloudwatch.AlarmOf(in)
	if err == nil {
		err = a.Check()
	}
	if err != nil {
		return invalid("alarm %s: %s", *in.AlarmName, said(err))
	}
	p.add(a)
	return nil
}

// add has an alarm call the policy in ALARM, and nothing else.
func (p *ShadowPart) add(a cloudwatch.Alarm) {
	a.ActionsEnabled, a.AlarmActions, a.OKActions, a.InsufficientDataActions = true, []string{p.Policy.ARN}, nil, nil
	p.Alarms = slices.DeleteFunc(p.Alarms, func(b cloudwatch.Alarm) bool { return b.AlarmName == a.AlarmName })
	p.Alarms = append(p.Alarms, a)
}

// shareAlarms gives the policies the alarms that came beside them, and sees that each has one.
func (s *Service) shareAlarms(x *Shadow, in *ShadowPutInput) error {
	needy := func() []int {
		var list []int
		for i := range x.Parts {
			if len(x.Parts[i].Alarms) == 0 {
				list = append(list, i)
			}
		}
		return list
	}
	for k := range in.Alarms {
		given, named := &in.Alarms[k], false
		for i := range x.Parts {
			if in.Policies[i].names(given) && x.Parts[i].Policy.Type != typeTargetTracking {
				named = true
				if err := x.Parts[i].take(given); err != nil {
					return err
				}
			}
		}
		if named {
			continue
		}
		list := needy()
		if len(list) != 1 {
			return invalid("alarm %s does not say in AlarmActions which of the policies it calls", api.Value(given.AlarmName))
		}
		if err := x.Parts[list[0]].take(given); err != nil {
			return err
		}
	}
	n := 0
	for i := range x.Parts {
		p := &x.Parts[i]
		if n += len(p.Alarms); len(p.Alarms) == 0 {
			return invalid("policy %s of type %s has no alarm that calls it: give one in the policy's member Alarm, or in another file with --alarm", p.Policy.Name, p.Policy.Type)
		}
		for k := range p.Alarms { // a copy of a live alarm begins as a new one
			a := &p.Alarms[k]
			a.AlarmArn, a.Tags, a.AlarmDescription = "", nil, ""
			a.StateValue, a.StateReason, a.StateReasonData = cloudwatch.StateInsufficientData, "", ""
			a.StateUpdatedTimestamp, a.StateTransitionedTimestamp, a.AlarmConfigurationUpdatedTimestamp = x.Made, x.Made, x.Made
		}
	}
	if n > alarmsAShadow {
		return invalid("the policies of a shadow may have %d alarms", alarmsAShadow)
	}
	return nil
}

// names tells whether an alarm and the policy belong together: one names the other.
func (p *ShadowPolicy) names(a *metrics.PutMetricAlarmInput) bool {
	for _, arn := range a.AlarmActions {
		if arn != "" && arn == p.PolicyARN || strings.HasSuffix(arn, ":policyName/"+api.Value(p.PolicyName)) {
			return true
		}
	}
	return slices.ContainsFunc(p.Alarms, func(b metrics.PutMetricAlarmInput) bool {
		return api.Value(b.AlarmName) != "" && api.Value(b.AlarmName) == api.Value(a.AlarmName)
	})
}

func said(err error) string {
	if e, ok := err.(*api.Error); ok {
		return e.Message
	}
	return err.Error()
}

func (s *Service) shadowsOf(tx *cloud.Tx, in *ShadowInput) ([]string, error) {
	var keys []string
	if in.Group == "" {
		for key := range s.diary.shadows.All(tx) {
			keys = append(keys, key)
		}
		return keys, nil
	}
	for key, x := range s.diary.shadows.Prefix(tx, policyKey(in.Group, "")) {
		if in.Name == "" || x.Name == in.Name {
			keys = append(keys, key)
		}
	}
	switch {
	case len(keys) > 0:
	case in.Name != "":
		return nil, invalid("group %s has no shadow %s", in.Group, in.Name)
	}
	return keys, nil
}

func (s *Service) shadowList(tx *cloud.Tx, in *ShadowInput) (*ShadowListOutput, error) {
	scope := tx.Scope
	var err error
	if in.Group != "" {
		if scope, err = s.located(tx, in.Group, in.Region); err != nil {
			return nil, err
		}
	}
	out := &ShadowListOutput{Shadows: []ShadowReport{}}
	tx.In(scope, func() {
		var keys []string
		keys, err = s.shadowsOf(tx, in)
		for _, key := range keys {
			x, _ := s.diary.shadows.Get(tx, key)
			out.Shadows = append(out.Shadows, *s.report(tx, key, x))
		}
	})
	return out, err
}

func (s *Service) shadowReport(tx *cloud.Tx, in *ShadowInput) (*ShadowListOutput, error) {
	out, err := s.shadowList(tx, in)
	if err == nil && len(out.Shadows) == 0 {
		return nil, invalid("group %s has no shadows: make one with billow shadow put", in.Group)
	}
	return out, err
}

func (s *Service) shadowDelete(tx *cloud.Tx, in *ShadowInput) (*ShadowListOutput, error) {
	if in.Name == "" {
		return nil, invalid("which shadow of group %s is to be deleted?", in.Group)
	}
	out, err := s.shadowList(tx, in)
	if err != nil {
		return nil, err
	}
	scope, _ := s.located(tx, in.Group, in.Region)
	tx.In(scope, func() { s.dropShadow(tx, policyKey(in.Group, in.Name)) })
	return out, nil
}

// dropShadow removes a shadow and all that is known of it.
func (s *Service) dropShadow(tx *cloud.Tx, key string) {
	s.diary.shadows.Delete(tx, key)
	s.diary.watches.Delete(tx, key)
	for _, first := range []bool{true, false} {
		s.diary.divergences.Trim(tx.Journal(), divergenceKey(tx, key, first), forever)
	}
}

func (s *Service) report(tx *cloud.Tx, key string, x Shadow) *ShadowReport {
	r := &ShadowReport{Group: x.Group, Name: x.Name, Made: x.Made, Now: tx.Now(), Apart: x.Apart}
	r.Watch, _ = s.diary.watches.Get(tx, key)
	for i := range x.Parts {
		p := &x.Parts[i].Policy
		r.Policies = append(r.Policies, p.Name+" ("+p.Type+": "+p.does()+")")
	}
	s.diary.divergences.Range(divergenceKey(tx, key, true), 0, forever, func(_ int64, d Divergence) bool {
		r.First = append(r.First, d)
		return true
	})
	s.diary.divergences.Range(divergenceKey(tx, key, false), 0, forever, func(_ int64, d Divergence) bool {
		r.Newest = append(r.Newest, d)
		return true
	})
	return r
}
