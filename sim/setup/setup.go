// Package setup reads what users have of a cloud (the JSON that `aws ... describe-*` prints, or a script of AWS CLI calls)
// and gives the calls that build the same in another control plane: templates, groups, hooks, policies, alarms, schedules.
//
// It decides nothing and knows no rule of AWS beyond names and order: what is wrong with a policy, the control plane says,
// and Apply adds the file and the line. What cannot be carried over (subnets, balancers that no policy looks at) is left
// off and told in Notes.
//
// The one idea: names that only the new cloud can give, such as a policy's ARN in an alarm's actions, stay the old ones in
// the calls and are replaced when the answer that brings the new one has come. A Setup is never changed by applying it.
package setup

import (
	"errors"
	"fmt"
	"strings"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// Setup is what to build, in order.
type Setup struct {
	Scope  cloud.Scope
	Groups []Group // in the order in which the files have them
	Steps  []Step
	Hooks  []string          // names of lifecycle hooks: somebody has to complete their actions
	Stands map[string]string // instance types that the catalogue does not have, and those that stand for them
	Notes  []string          // what was left off or replaced, one sentence each
}

// Group is what a world has to know of an Auto Scaling group before it starts.
type Group struct {
	Name          string
	InstanceTypes []string // of its template and overrides, the first is the usual one; empty if its template has none
	Min, Max      int
	Desired       int
	Zones         []string
	TargetGroup   string // name of the target group that was made for it, or empty
	LoadBalancer  string // name of that target group's balancer
	Source        Source
}

// Type is its usual instance type.
func (g *Group) Type() string {
	if len(g.InstanceTypes) == 0 {
		return DefaultType
	}
	return g.InstanceTypes[0]
}

// Source is where something was written.
type Source struct {
	File string
	Line int // from 1; 0 is unknown
}

func (s Source) String() string {
	if s.Line == 0 {
		return s.File
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}

// Step is one call and what its answer brings.
type Step struct {
	Call   cloud.Call
	Group  string // the group that it is about, or empty
	What   string // for people: "policy cpu of web"
	Source Source
	Brings []Name
}

// Name is a name of the old cloud, and where the answer has the one to use in its place: "PolicyARN", "Subnets.0.SubnetId".
type Name struct {
	Old, Path string
	After     string // if given, only what follows it there
	Last      bool   // the last of them
}

// Do makes one call and gives the answer's shape.
type Do func(cloud.Call) (any, error)

// Apply builds everything, one call after the other. The first error ends it; it names file and line.
func (s Setup) Apply(do Do) error {
	names := map[string]string{}
	for i, step := range s.Steps {
		call := step.Call
		call.Scope, call.RequestID = s.Scope, fmt.Sprintf("setup-%d", i+1)
		call.In = renamed(call.In, names)
		reply, err := do(call)
		if err != nil {
			return &Error{Step: step, Err: err}
		}
		for _, n := range step.Brings {
			is, ok := lookUp(reply, n.Path)
			if !ok {
				return &Error{Step: step, Err: fmt.Errorf("its answer has no %s", n.Path)}
			}
			names[n.Old] = n.cut(is)
		}
	}
	return nil
}

func (n Name) cut(text string) string {
	at := strings.Index(text, n.After)
	if n.Last {
		at = strings.LastIndex(text, n.After)
	}
	if n.After == "" || at < 0 {
		return text
	}
	return text[at+len(n.After):]
}

// Find gives the group called name, or nil.
func (s Setup) Find(name string) *Group {
	for i := range s.Groups {
		if s.Groups[i].Name == name {
			return &s.Groups[i]
		}
	}
	return nil
}

// Error is a call that the control plane refused.
type Error struct {
	Step Step
	Err  error
}

func (e *Error) Error() string {
	what := e.Err.Error()
	if refused, ok := errors.AsType[*api.Error](e.Err); ok {
		what = strings.TrimSpace(refused.Message)
		if what == "" {
			what = refused.Code
		}
	}
	return fmt.Sprintf("%s: %s: %s", e.Step.Source, e.Step.What, what)
}

func (e *Error) Unwrap() error { return e.Err }
