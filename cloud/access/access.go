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

// Thing is what a service tells of one of its resources, for condition keys and exact ARNs. All of it may be empty.
type Thing struct {
	ARN    string
	Tags   []iam.Tag
	Keys   map[string]string // condition keys in lower case: "ec2:instancetype"
	Policy string            // document of the resource itself
}

// Finder tells of a resource by its ARN as far as it follows from a call's input; not ok if it knows nothing of it.
type Finder func(tx *cloud.Tx, arn string) (t Thing, ok bool)

// Access decides on calls.
type Access struct {
	identities *iam.Service
	finders    map[string]Finder // by service, as calls name it
	launch     func(tx *cloud.Tx, in any) []string
	plans      map[reflect.Type]*plan
}

// New makes it. Launch gives the ARNs of all that a RunInstances call uses and makes.
func New(identities *iam.Service, launch func(tx *cloud.Tx, in any) []string, finders map[string]Finder) *Access {
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
	resources := a.resources(tx, c, p, in)
	for _, arn := range resources {
		if err := a.ask(tx, c.Service, p.action, arn, p, in, nil); err != nil {
			return err
		}
	}
	if c.Service == "ec2" {
		return a.tagging(tx, c, p, in)
	}
	return nil
}

// free are operations that need no permission, or whose handlers ask by themselves.
var free = map[string]bool{
	"sts.GetCallerIdentity": true, "sts.GetSessionToken": true, "sts.AssumeRole": true,
}

// ask asks IAM about one resource.
func (a *Access) ask(tx *cloud.Tx, service, action, arn string, p *plan, in reflect.Value, extra map[string]string) error {
	var t Thing
	if find := a.finders[service]; find != nil && arn != "*" {
		if found, ok := find(tx, arn); ok {
			if t = found; t.ARN != "" {
				arn = t.ARN
			}
		}
	}
	q := iam.Question{Action: action, Resource: arn, Resources: a.identities.ResourcePolicy(t.Policy)}
	q.Context = func(key string) []string {
		if v, ok := t.Keys[key]; ok {
			return []string{v}
		}
		if v, ok := extra[key]; ok {
			return []string{v}
		}
		if _, tag, ok := strings.Cut(key, ":resourcetag/"); ok {
			return tagNamed(t.Tags, tag)
		}
		return p.key(key, in)
	}
	return a.identities.Check(tx, q)
}

func tagNamed(tags []iam.Tag, name string) []string {
	for _, t := range tags {
		if strings.EqualFold(t.Key, name) {
			return []string{t.Value}
		}
	}
	return nil
}

// tagging asks for ec2:CreateTags too where a call makes things with tags.
func (a *Access) tagging(tx *cloud.Tx, c cloud.Call, p *plan, in reflect.Value) error {
	if p.specifications < 0 {
		return nil
	}
	specs := in.Field(p.specifications)
	for i := range specs.Len() {
		kind := text(specs.Index(i).FieldByName("ResourceType"))
		if kind == "" || specs.Index(i).FieldByName("Tags").Len() == 0 {
			continue
		}
		extra := map[string]string{"ec2:createaction": c.Operation}
		if err := a.ask(tx, "ec2", "ec2:CreateTags", tx.Scope.ARN("ec2", kind+"/*"), p, in, extra); err != nil {
			return err
		}
	}
	return nil
}

// May tells whether the caller of a step may do something to a resource, beside the call itself: for handlers that do
// more than one thing (AS-LC-12).
func (a *Access) May(tx *cloud.Tx, service, action, arn string) error {
	return a.ask(tx, service, action, arn, &plan{}, reflect.Value{}, nil)
}
