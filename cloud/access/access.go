// Package access says what calls are about: the action of a call, the resources that its input names, and the condition
// keys that it brings, for IAM to decide on.
//
// It knows services by their names and those of their members only, not their packages: what a service knows of its
// resources it asks a Finder. The one idea: the members of AWS's inputs are named after what they name, so that one table
// of members serves all operations of a service; the few operations that differ stand beside it.
//
// Invariants: a call that names nothing known is about "*"; what is asked never changes anything but when a key was used.
package access

import (
	"reflect"
	"strings"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

// Finder tells of a resource by its ARN as far as it follows from a call's input; not ok if it knows nothing of it.
type Finder func(tx *cloud.Tx, arn string) (t iam.Thing, ok bool)

// Access decides on calls.
type Access struct {
	identities *iam.Service
	finders    map[string]Finder // by service, as calls name it
	launch     func(tx *cloud.Tx, in any) []iam.Thing
	plans      map[reflect.Type]*plan
}

// New makes it. Launch gives all that a RunInstances call uses and makes.
func New(identities *iam.Service, launch func(tx *cloud.Tx, in any) []iam.Thing, finders map[string]Finder) *Access {
	return &Access{identities: identities, launch: launch, finders: finders, plans: map[reflect.Type]*plan{}}
}

// Authorize is a cloud.Authorizer.
func (a *Access) Authorize(tx *cloud.Tx, c cloud.Call) error {
	a.identities.Used(tx, c.Service)
	if free[c.Service+"."+c.Operation] {
		return nil
	}
	p := a.planOf(c)
	in := reflect.ValueOf(c.In).Elem()
	if c.Service == "ec2" && c.Operation == "RunInstances" {
		if all := a.launch(tx, c.In); len(all) > 0 {
			return a.launching(tx, all)
		}
	}
	resources := a.resources(tx, c, p, in)
	for _, arn := range resources {
		if err := a.ask(tx, question{c.Service, p.action, arn, p, in, ""}); err != nil {
			return err
		}
	}
	return a.tagging(tx, c, p, in, resources)
}

// launching asks about each thing of a launch with the condition keys that it alone has, and about the tags that it gets.
func (a *Access) launching(tx *cloud.Tx, all []iam.Thing) error {
	for _, action := range []string{"ec2:RunInstances", "ec2:CreateTags"} {
		for _, t := range all {
			if action == "ec2:CreateTags" && len(t.Brings) == 0 {
				continue
			}
			q := iam.Question{Action: action, Resource: t.ARN, Context: func(key string) []string {
				if key == "ec2:createaction" {
					return []string{"RunInstances"}
				}
				return t.Key(key)
			}}
			if err := a.identities.Check(tx, q); err != nil {
				return err
			}
		}
	}
	return nil
}

// free are operations that need no permission, or whose handlers ask by themselves.
var free = map[string]bool{
	"sts.GetCallerIdentity": true, "sts.GetSessionToken": true, "sts.AssumeRole": true,
}

// question is what is asked about one resource.
type question struct {
	service, action, arn string
	plan                 *plan
	in                   reflect.Value
	makes                string // the operation, where the action is that of tagging what it makes
}

// ask asks IAM about one resource.
func (a *Access) ask(tx *cloud.Tx, x question) error {
	var t iam.Thing
	if find := a.finders[x.service]; find != nil && x.arn != "*" {
		if found, ok := find(tx, x.arn); ok {
			if t = found; t.ARN != "" {
				x.arn = t.ARN
			}
		}
	}
	vendor, _, _ := strings.Cut(x.action, ":")
	q := iam.Question{Action: x.action, Resource: x.arn, Resources: a.identities.ResourcePolicy(t.Policy)}
	q.Context = func(key string) []string {
		if v := t.Key(key); v != nil {
			return v
		}
		if x.makes != "" && key == vendor+":createaction" {
			return []string{x.makes}
		}
		return x.plan.key(key, x.in, x.arn)
	}
	return a.identities.Check(tx, q)
}

// taggers are the actions that a call needs beside its own if it makes something with tags.
var taggers = map[string]string{
	"elbv2": "AddTags", "elb": "AddTags", "cloudwatch": "TagResource", "sns": "TagResource", "sqs": "TagQueue", "lambda": "TagResource",
	"events": "TagResource", "logs": "TagResource",
}

// tagging asks for the action that tags, too, where a call makes things with tags.
func (a *Access) tagging(tx *cloud.Tx, c cloud.Call, p *plan, in reflect.Value, resources []string) error {
	if p.specifications >= 0 {
		specs := in.Field(p.specifications)
		for i := range specs.Len() {
			kind := text(specs.Index(i).FieldByName("ResourceType"))
			if kind == "" || specs.Index(i).FieldByName("Tags").Len() == 0 {
				continue
			}
			if err := a.ask(tx, question{"ec2", "ec2:CreateTags", tx.Scope.ARN("ec2", kind+"/*"), p, in, c.Operation}); err != nil {
				return err
			}
		}
		return nil
	}
	place, has := p.members["tags"]
	making := strings.HasPrefix(c.Operation, "Create") || strings.HasPrefix(c.Operation, "Put")
	if !making || !has || in.Field(place).Len() == 0 {
		return nil
	}
	action := taggers[c.Service]
	if c.Service == iam.Name {
		action = "Tag" + strings.TrimPrefix(c.Operation, "Create")
	}
	if action == "" {
		return nil
	}
	for _, arn := range resources {
		if err := a.ask(tx, question{c.Service, Action(c.Service, action), arn, p, in, c.Operation}); err != nil {
			return err
		}
	}
	return nil
}

// May tells whether the caller of a step may do something to a resource, beside the call itself: for handlers that do
// more than one thing (AS-LC-12).
func (a *Access) May(tx *cloud.Tx, service, action, arn string) error {
	return a.ask(tx, question{service: service, action: action, arn: arn, plan: &plan{}})
}
