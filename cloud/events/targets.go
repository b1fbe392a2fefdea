package events

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/events"
	"github.com/billow-cloud/billow/cloud"
)

// maxTargets is how many targets a rule may have.
const maxTargets = 5

// Target is the row of a rule's target. Its key is the rule's, a colon and the ID.
type Target struct {
	Bus, Rule, ID string
	ARN           string
	RoleARN       string     `json:",omitempty"`
	Input         string     `json:",omitempty"` // JSON that it always gets
	InputPath     string     `json:",omitempty"` // of the part of the event that it gets
	Template      string     `json:",omitempty"` // of an InputTransformer
	Variables     []Variable `json:",omitempty"` // in order of name
	DeadLetter    string     `json:",omitempty"` // ARN of the queue
	Attempts      *int32     `json:",omitempty"` // MaximumRetryAttempts; nil is the default
	Age           int32      `json:",omitempty"` // MaximumEventAgeInSeconds; 0 is the default
}

// Variable is one of an InputTransformer's: a path in the event.
type Variable struct{ Name, Path string }

func (t Target) key() string { return ruleKey(t.Bus, t.Rule) + ":" + t.ID }

// PutTargets adds targets to a rule or replaces those of the same ID.
func (s *Service) PutTargets(tx *cloud.Tx, in *shape.PutTargetsInput) (*shape.PutTargetsOutput, error) {
	r, err := s.ruleOf(tx, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, t := range s.targets.Prefix(tx, r.key()+":") {
		ids[t.ID] = true
	}
	for i, x := range in.Targets {
		if ids[*x.Id] = true; slices.ContainsFunc(in.Targets[:i], func(y shape.Target) bool { return *y.Id == *x.Id }) {
			return nil, invalid("Target Id %s is given twice.", *x.Id)
		}
	}
	if len(ids) > maxTargets {
		return nil, limitExceeded()
	}
	var all []Target
	for _, x := range in.Targets {
		t, err := s.target(tx, r, x)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	for _, t := range all {
		s.targets.Put(tx, t.key(), t)
	}
	return &shape.PutTargetsOutput{FailedEntryCount: new(int32(0)), FailedEntries: []shape.PutTargetsResultEntry{}}, nil
}

// target takes one target of a call and checks it.
func (s *Service) target(tx *cloud.Tx, r Rule, x shape.Target) (Target, error) {
	t := Target{Bus: r.Bus, Rule: r.Name, ID: *x.Id, ARN: *x.Arn, RoleARN: api.Value(x.RoleArn), Input: api.Value(x.Input), InputPath: api.Value(x.InputPath)}
	if receiverOf(t.ARN) == "" {
		return t, invalid("Parameter %s is not valid. Reason: Provided Arn is not in correct format or of a service that cannot be a target here.", t.ARN)
	}
	given := 0
	for _, is := range []bool{x.Input != nil, x.InputPath != nil, x.InputTransformer != nil} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return t, invalid("Only one of Input, InputPath, or InputTransformer must be provided for target %s.", t.ID)
	case x.Input != nil && !json.Valid([]byte(t.Input)):
		return t, invalid("JSON syntax error in input for target %s : %s", t.ID, t.Input)
	case x.InputPath != nil && !validPath(t.InputPath):
		return t, invalid("InputPath for target %s is not a valid JSON path: %s", t.ID, t.InputPath)
	}
	if t.RoleARN == "" && receiverOf(t.ARN) == toAction {
		return t, invalid("RoleArn is required for target %s.", t.ARN)
	}
	if err := s.checkRole(tx, t.RoleARN); err != nil {
		return t, err
	}
	if x.InputTransformer != nil {
		if err := t.transformer(x.InputTransformer); err != nil {
			return t, err
		}
	}
	for _, p := range []struct {
		name  string
		given bool
	}{
		{"KinesisParameters", x.KinesisParameters != nil}, {"RunCommandParameters", x.RunCommandParameters != nil}, {"EcsParameters", x.EcsParameters != nil},
		{"BatchParameters", x.BatchParameters != nil}, {"HttpParameters", x.HttpParameters != nil}, {"RedshiftDataParameters", x.RedshiftDataParameters != nil},
		{"SageMakerPipelineParameters", x.SageMakerPipelineParameters != nil}, {"AppSyncParameters", x.AppSyncParameters != nil},
		{"SqsParameters", x.SqsParameters != nil},
	} {
		if p.given {
			return t, invalid("Parameter(s) %s not valid for target: %s.", p.name, t.ARN)
		}
	}
	if x.DeadLetterConfig != nil {
		if t.DeadLetter = api.Value(x.DeadLetterConfig.Arn); t.DeadLetter != "" && receiverOf(t.DeadLetter) != toQueue {
			return t, invalid("Parameter DeadLetterConfig.Arn is not valid. Reason: it must be the ARN of a standard queue.")
		}
	}
	if x.RetryPolicy != nil {
		t.Attempts, t.Age = x.RetryPolicy.MaximumRetryAttempts, api.Value(x.RetryPolicy.MaximumEventAgeInSeconds)
	}
	return t, nil
}

// transformer takes an InputTransformer.
func (t *Target) transformer(x *shape.InputTransformer) error {
	t.Template = *x.InputTemplate
	for _, name := range slices.Sorted(maps.Keys(x.InputPathsMap)) {
		path := x.InputPathsMap[name]
		switch {
		case strings.HasPrefix(strings.ToUpper(name), "AWS."):
			return invalid("InputPathsMap for target %s contains a reserved name: %s", t.ID, name)
		case !validPath(path):
			return invalid("InputPathsMap for target %s contains an invalid JSON path: %s", t.ID, path)
		}
		t.Variables = append(t.Variables, Variable{name, path})
	}
	for _, name := range placeholders(t.Template) {
		known := slices.Contains(predefined, name) || slices.ContainsFunc(t.Variables, func(v Variable) bool { return v.Name == name })
		if !known {
			return invalid("InputTemplate for target %s contains invalid placeholder %s.", t.ID, name)
		}
	}
	if wrong := badTemplate(t.Template); wrong != "" {
		return invalid("Invalid InputTemplate for target %s : %s.", t.ID, wrong)
	}
	return nil
}

// RemoveTargets takes targets from a rule; those that are not there are told as failed.
func (s *Service) RemoveTargets(tx *cloud.Tx, in *shape.RemoveTargetsInput) (*shape.RemoveTargetsOutput, error) {
	r, err := s.ruleOf(tx, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	out := &shape.RemoveTargetsOutput{FailedEntries: []shape.RemoveTargetsResultEntry{}}
	for _, id := range in.Ids {
		key := r.key() + ":" + id
		if !s.targets.Has(tx, key) {
			out.FailedEntries = append(out.FailedEntries, shape.RemoveTargetsResultEntry{TargetId: new(id), ErrorCode: new("ResourceNotFoundException"),
				ErrorMessage: new("Rule " + r.Name + " does not have a target with the Id " + id + ".")})
		}
		s.targets.Delete(tx, key)
	}
	out.FailedEntryCount = new(int32(len(out.FailedEntries)))
	return out, nil
}

// ListTargetsByRule lists the targets of a rule in order of ID.
func (s *Service) ListTargetsByRule(tx *cloud.Tx, in *shape.ListTargetsByRuleInput) (*shape.ListTargetsByRuleOutput, error) {
	r, err := s.ruleOf(tx, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	each := func(yield func(string, shape.Target) bool) {
		for _, t := range s.targets.Prefix(tx, r.key()+":") {
			if !yield(t.ID, t.shape()) {
				return
			}
		}
	}
	all, next, err := page(each, in.NextToken, in.Limit)
	return &shape.ListTargetsByRuleOutput{Targets: all, NextToken: next}, err
}

func (t Target) shape() shape.Target {
	x := shape.Target{Id: &t.ID, Arn: &t.ARN, RoleArn: some(t.RoleARN), Input: some(t.Input), InputPath: some(t.InputPath), DeadLetterConfig: deadLetter(t.DeadLetter)}
	if t.Template != "" {
		x.InputTransformer = &shape.InputTransformer{InputTemplate: &t.Template}
		for _, v := range t.Variables {
			if x.InputTransformer.InputPathsMap == nil {
				x.InputTransformer.InputPathsMap = map[string]string{}
			}
			x.InputTransformer.InputPathsMap[v.Name] = v.Path
		}
	}
	if t.Attempts != nil || t.Age != 0 {
		x.RetryPolicy = &shape.RetryPolicy{MaximumRetryAttempts: t.Attempts}
		if t.Age != 0 {
			x.RetryPolicy.MaximumEventAgeInSeconds = &t.Age
		}
	}
	return x
}

// ListRuleNamesByTarget lists the rules of a bus that have a target of an ARN, in order of name.
func (s *Service) ListRuleNamesByTarget(tx *cloud.Tx, in *shape.ListRuleNamesByTargetInput) (*shape.ListRuleNamesByTargetOutput, error) {
	b, err := s.bus(tx, in.EventBusName)
	if err != nil {
		return nil, err
	}
	each := func(yield func(string, string) bool) {
		last := ""
		for _, t := range s.aimed.Each(tx, b.Name+" "+*in.TargetArn) {
			if t.Rule != last {
				if last = t.Rule; !yield(t.Rule, t.Rule) {
					return
				}
			}
		}
	}
	all, next, err := page(each, in.NextToken, in.Limit)
	return &shape.ListRuleNamesByTargetOutput{RuleNames: all, NextToken: next}, err
}
