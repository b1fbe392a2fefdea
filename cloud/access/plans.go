package access

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/cloud"
)

// plan is what is known of an operation by the type of its input.
type plan struct {
	action         string
	members        map[string]int // a member's name in lower case -> its place
	named          []named        // members that name resources, in the order of the table
	specifications int            // the place of EC2's TagSpecifications, or -1
}

// named is a member that names resources.
type named struct {
	place int
	rule
}

func (a *Access) planOf(c cloud.Call) *plan {
	t := reflect.TypeOf(c.In).Elem()
	if p, ok := a.plans[t]; ok {
		return p
	}
	p := &plan{action: Action(c.Service, c.Operation), members: map[string]int{}, specifications: -1}
	for i := range t.NumField() {
		p.members[strings.ToLower(t.Field(i).Name)] = i
	}
	if i, ok := p.members["tagspecifications"]; ok && t.Field(i).Type.Kind() == reflect.Slice {
		p.specifications = i
	}
	if !wholly(c.Service, c.Operation) {
		for _, r := range rules[c.Service] {
			if i, ok := p.members[strings.ToLower(r.member)]; ok && r.applies(c.Operation) {
				p.named = append(p.named, named{i, r})
			}
		}
	}
	a.plans[t] = p
	return p
}

// vendors are the services whose actions begin with another name than theirs.
var vendors = map[string]string{"elbv2": "elasticloadbalancing", "elb": "elasticloadbalancing"}

// Action is the action of an operation: "elasticloadbalancing:CreateTargetGroup".
func Action(service, operation string) string {
	vendor, ok := vendors[service]
	if !ok {
		vendor = service
	}
	switch service + "." + operation {
	case "lambda.Invoke", "lambda.InvokeAsync":
		operation = "InvokeFunction"
	case "lambda.ListTags":
		operation = "ListTags"
	}
	return vendor + ":" + operation
}

// wholly tells whether an operation is about all there is, whatever its members narrow it to: those that describe.
func wholly(service, operation string) bool {
	switch service {
	case "ec2":
		return strings.HasPrefix(operation, "Describe") && !strings.HasSuffix(operation, "Attribute")
	case "autoscaling", "elbv2", "elb", "cloudwatch":
		return strings.HasPrefix(operation, "Describe") || operation == "GetMetricData" || operation == "GetMetricStatistics"
	}
	return false
}

// resources are the ARNs of what a call is about.
func (a *Access) resources(tx *cloud.Tx, c cloud.Call, p *plan, in reflect.Value) (all []string) {
	put := func(arn string) {
		for _, other := range all {
			if other == arn {
				return
			}
		}
		if arn != "" {
			all = append(all, arn)
		}
	}
	for _, m := range p.named {
		if m.alone && len(all) > 0 {
			continue
		}
		for _, v := range m.values(in.Field(m.place)) {
			put(m.arn(tx, c, p, in, v))
		}
	}
	for _, kind := range makes(c.Service, c.Operation) {
		put(rule{resource: kind}.arn(tx, c, p, in, "*"))
	}
	if len(all) == 0 {
		put(nothing(tx, c))
	}
	return all
}

// nothing is what a call that names nothing is about.
func nothing(tx *cloud.Tx, c cloud.Call) string {
	if c.Service == "iam" && tx.Caller.Kind == cloud.KindUser && ownDefault[c.Operation] {
		return tx.Caller.ARN
	}
	switch all, ok := everything[c.Service+"."+c.Operation]; {
	case ok && c.Service == "iam":
		return "arn:aws:iam::" + tx.Scope.Account + ":" + all
	case ok:
		return tx.Scope.ARN(c.Service, all)
	case c.Service == "logs":
		return tx.Scope.ARN("logs", "log-group::log-stream:")
	}
	return "*"
}

// everything is what calls are about that list all there is, where it is not "*".
var everything = map[string]string{
	"cloudwatch.DescribeAlarms": "alarm:*", "cloudwatch.DescribeAlarmHistory": "alarm:*", "events.ListRules": "rule/*", "sns.ListTopics": "*",
	"sqs.ListQueues": "*", "ssm.DescribeParameters": "*", "iam.ListUsers": "user/", "iam.ListGroups": "group/", "iam.ListRoles": "role/",
	"iam.ListInstanceProfiles": "instance-profile/", "iam.ListPolicies": "policy/",
}

// ownDefault are operations of IAM that are about the caller if they name nobody.
var ownDefault = map[string]bool{
	"GetUser": true, "CreateAccessKey": true, "DeleteAccessKey": true, "UpdateAccessKey": true, "ListAccessKeys": true,
}

// key gives a condition key that is a call's own: its tags, and its members, whose keys are named after them.
func (p *plan) key(key string, in reflect.Value, arn string) []string {
	if !in.IsValid() {
		return nil
	}
	switch {
	case key == "aws:tagkeys":
		var keys []string
		p.tags(in, arn, func(k, _ string) bool { keys = append(keys, k); return true })
		return keys
	case strings.HasPrefix(key, "aws:requesttag/"):
		var value []string
		p.tags(in, arn, func(k, v string) bool {
			if strings.EqualFold(k, key[len("aws:requesttag/"):]) {
				value = []string{v}
			}
			return value == nil
		})
		return value
	}
	vendor, name, _ := strings.Cut(key, ":")
	if mine, _, _ := strings.Cut(p.action, ":"); mine != vendor {
		return nil
	}
	if i, ok := p.members[name]; ok {
		return texts(in.Field(i))
	}
	return nil
}

// tags yields the tags that a call brings a resource: a list or map of its own, or those that EC2's tag specifications have
// for such resources.
func (p *plan) tags(in reflect.Value, arn string, yield func(key, value string) bool) {
	if i, ok := p.members["tagkeys"]; ok {
		for _, k := range texts(in.Field(i)) {
			if !yield(k, "") {
				return
			}
		}
	}
	if i, ok := p.members["tags"]; ok {
		if !eachTag(in.Field(i), yield) {
			return
		}
	}
	if p.specifications >= 0 {
		specs := in.Field(p.specifications)
		for i := range specs.Len() {
			if kind := text(specs.Index(i).FieldByName("ResourceType")); !strings.Contains(arn, ":"+kind+"/") {
				continue
			}
			if !eachTag(specs.Index(i).FieldByName("Tags"), yield) {
				return
			}
		}
	}
}

func eachTag(v reflect.Value, yield func(key, value string) bool) bool {
	switch v.Kind() {
	case reflect.Map: // of texts
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			if !yield(k.String(), v.MapIndex(k).String()) {
				return false
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			e := v.Index(i)
			if e.Kind() != reflect.Struct {
				return true
			}
			if k := text(e.FieldByName("Key")); !yield(k, text(e.FieldByName("Value"))) {
				return false
			}
		}
	}
	return true
}

// text is a scalar as condition keys have it; empty if it was not given.
func text(v reflect.Value) string {
	if !v.IsValid() {
		return ""
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	}
	return ""
}

// texts are the scalars of a member that is one or a list of them.
func texts(v reflect.Value) []string {
	if v.Kind() != reflect.Slice {
		if t := text(v); t != "" {
			return []string{t}
		}
		return nil
	}
	var all []string
	for i := range v.Len() {
		if t := text(v.Index(i)); t != "" {
			all = append(all, t)
		}
	}
	return all
}
