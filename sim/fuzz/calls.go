package fuzz

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/api/catalog"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	elbapi "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/region"
)

// Where calls are made: nearly all in the one scope, so that they meet.
var (
	here  = cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	there = cloud.Scope{Account: "210987654321", Region: "eu-west-1"}
)

// operation is one that the control plane implements.
type operation struct {
	svc *api.Service
	op  *api.Operation
}

// Name is "autoscaling.SetDesiredCapacity".
func (o operation) Name() string { return o.svc.Name + "." + o.op.Name }

// Reads tells whether an operation only reads.
func (o operation) Reads() bool {
	if o.op.Name == "GetSessionToken" {
		return false
	}
	for _, verb := range []string{"Describe", "List", "Get"} {
		if strings.HasPrefix(o.op.Name, verb) {
			return true
		}
	}
	return false
}

// destroys says that an operation takes away what others need; it is called less often.
func (o operation) destroys() bool {
	for _, verb := range []string{"Delete", "Terminate", "Deregister"} {
		if strings.HasPrefix(o.op.Name, verb) {
			return true
		}
	}
	return false
}

// implemented lists the operations of the tables that the control plane has.
func implemented() []operation {
	var all []operation
	c := region.New(region.Options{})
	for _, svc := range catalog.Services {
		for i := range svc.Operations {
			op := &svc.Operations[i]
			if _, ok := c.Operation(svc.Name, op.Name); ok {
				all = append(all, operation{svc, op})
			}
		}
	}
	return all
}

// Mutating names the implemented operations that change something.
func Mutating() []string {
	var names []string
	for _, o := range implemented() {
		if !o.Reads() {
			names = append(names, o.Name())
		}
	}
	return names
}

func find(ops []operation, service, name string) operation {
	i := slices.IndexFunc(ops, func(o operation) bool { return o.svc.Name == service && o.op.Name == name })
	if i < 0 {
		panic(service + " " + name + " is not implemented")
	}
	return ops[i]
}

// question is an empty input of an operation that describes or lists what there is; nil if there is none.
func (o operation) question(a *author) any {
	if !strings.HasPrefix(o.op.Name, "Describe") && !strings.HasPrefix(o.op.Name, "List") || static[o.op.Name] {
		return nil
	}
	in := o.op.In()
	if !a.valid(o.svc, o.op.Input, reflect.ValueOf(in)) {
		return nil
	}
	return in
}

// static operations answer with words that name nothing, or with very much.
var static = map[string]bool{
	"DescribeAccountLimits": true, "DescribeRegions": true, "DescribeInstanceTypes": true, "DescribeInstanceTypeOfferings": true,
	"DescribeMetricCollectionTypes": true, "DescribeScalingProcessTypes": true, "DescribeAdjustmentTypes": true,
	"DescribeTerminationPolicyTypes": true, "DescribeLifecycleHookTypes": true, "DescribeAutoScalingNotificationTypes": true,
	"DescribeAccountAttributes": true, "DescribeScalingActivities": true, "DescribeAlarmHistory": true, "DescribeParameters": true,
}

// look forgets all words and learns those of what there is.
func (r *run) look() {
	r.words = map[string][]string{}
	r.looking = true
	r.enrolled = nil
	for _, key := range sortedKeys(r.rows.members) {
		if m := r.rows.members[key]; scopeOf(key) == here {
			r.enrolled = append(r.enrolled, member{m.Group, m.ID})
		}
	}
	for _, o := range r.ops {
		if in := o.question(r.author); in != nil {
			r.call(here, o, in)
		}
	}
	listeners := find(r.ops, "elbv2", "DescribeListeners")
	for _, arn := range slices.Clone(r.words["loadbalancerarn"]) { // listed by load balancer only
		r.call(here, listeners, &elbapi.DescribeListenersInput{LoadBalancerArn: &arn})
	}
	r.looking = false
	for _, key := range sortedKeys(r.rows.tables[ec2.Name+".images"]) {
		if i := r.image(key); !i.BuiltIn && scopeOf(key) == here {
			r.learn("ownimage", i.ID)
			r.learn("rootsnapshot", i.SnapshotID)
		}
	}
	for _, key := range sortedKeys(r.rows.tables[ec2.Name+".vpcs"]) {
		if v := r.rows.tables[ec2.Name+".vpcs"][key].value.(*ec2.VPC); !v.Default && scopeOf(key) == here {
			r.learn("emptyvpc", v.ID)
		}
	}
	r.author.service = ""
	for _, key := range sortedKeys(r.rows.tables[ec2.Name+".volumes"]) {
		if v := r.rows.tables[ec2.Name+".volumes"][key].value.(*ec2.Volume); !v.Root && scopeOf(key) == here {
			r.learn("ownvolume", v.ID)
		}
	}
	for _, key := range sortedKeys(r.rows.tables[ec2.Name+".snapshots"]) {
		if n := r.snapshot(key); n.Root && scopeOf(key) == here {
			r.learn("rootsnapshot", n.ID)
		} else if scopeOf(key) == here {
			r.learn("ownsnapshot", n.ID)
		}
	}
}

// stage makes what a workload needs to be worth something: each of the first forms as it is.
func (r *run) stage() {
	r.look()
	for _, f := range first {
		o := find(r.ops, f.service, f.operation)
		r.call(here, o, r.from(o.op, f.text))
		r.pass(0)
	}
	if r.options.Seed%3 == 0 {
		r.pass(time.Minute) // instances run
		r.look()
		for _, f := range beside {
			o := find(r.ops, f.service, f.operation)
			r.call(here, o, r.from(o.op, f.text))
			r.pass(time.Second)
		}
	}
	r.look()
}

// grow calls each of the forms once.
func (r *run) grow() {
	for _, f := range all {
		o := find(r.ops, f.service, f.operation)
		r.call(here, o, r.from(o.op, f.text))
		r.pass(0)
	}
}

// act is one step of the workload.
func (r *run) act() {
	if r.step%checkEvery == 0 && len(r.rows.groups) < 4 {
		r.grow()
	}
	r.mischief()
	for range 50 {
		o, in := r.written()
		if in == nil || !r.valid(o.svc, o.op.Input, reflect.ValueOf(in)) {
			continue
		}
		scope := here
		if r.chance(3) {
			scope = there
		}
		r.call(scope, o, in)
		return
	}
}

// written is a call: a form as it is, a form with some members changed, or an input from nothing.
func (r *run) written() (operation, any) {
	if r.chance(60) {
		f := pick(r.author, all)
		o := find(r.ops, f.service, f.operation)
		if o.destroys() && r.chance(50) {
			return o, nil
		}
		in := r.from(o.op, f.text)
		if r.chance(60) {
			r.mutate(o.svc, o.op, in)
		}
		r.tame(in)
		return o, in
	}
	o := pick(r.author, r.ops)
	if o.destroys() && r.chance(75) || o.Reads() && r.chance(60) {
		return o, nil
	}
	in := r.input(o.svc, o.op)
	r.tame(in)
	return o, in
}

// most is the size that groups are mostly kept to, so that the world has room for all.
const most = 10

// tame keeps most sizes small: a thousand instances find no more than ten do, and take longer.
func (r *run) tame(in any) {
	if r.chance(2) {
		return
	}
	small := func(to int32, numbers ...*int32) {
		for _, n := range numbers {
			if n != nil && *n > to {
				*n = *n % (to + 1)
			}
		}
	}
	switch in := in.(type) {
	case *ec2api.CreateKeyPairInput:
		in.KeyType = new("ed25519") // RSA keys take longer than all the rest
	case *ec2api.RunInstancesInput:
		small(3, in.MinCount, in.MaxCount)
	case *asapi.CreateAutoScalingGroupInput:
		small(most, in.MinSize, in.MaxSize, in.DesiredCapacity)
	case *asapi.UpdateAutoScalingGroupInput:
		small(most, in.MinSize, in.MaxSize, in.DesiredCapacity)
	case *asapi.SetDesiredCapacityInput:
		small(most, in.DesiredCapacity)
	case *asapi.PutScheduledUpdateGroupActionInput:
		small(most, in.MinSize, in.MaxSize, in.DesiredCapacity)
	}
}

// call makes a call and learns from its answer.
func (r *run) call(scope cloud.Scope, o operation, in any) {
	r.tryAsStranger(scope, o, in)
	text, at := encoded(in), r.clock()
	if at.Before(r.latest) {
		at = r.latest
	}
	out, done := r.do(cloud.Call{Scope: scope, RequestID: "r" + strconv.Itoa(r.result.Inputs), Service: o.svc.Name, Operation: o.op.Name, In: in})
	if after := encoded(in); after != text {
		r.fail("a call leaves its input alone", "%s changed %s to %s", o.Name(), text, after)
	}
	if !done {
		return
	}
	n := r.result.Calls[o.Name()]
	if out.Err != nil {
		n.Refused++
		r.result.Calls[o.Name()] = n
		return
	}
	n.Good++
	r.result.Calls[o.Name()] = n
	r.alarms.told(scope, in, at)
	r.author.service = o.svc.Name
	defer func() { r.author.service = "" }()
	switch out := out.Reply.(type) {
	case *ec2api.CreateVolumeOutput:
		r.learn("ownvolume", *out.VolumeId)
	case *ec2api.CreateSnapshotOutput:
		r.learn("ownsnapshot", *out.SnapshotId)
	case *ec2api.AssociateIamInstanceProfileOutput:
		r.learn("profileassociation", *out.IamInstanceProfileAssociation.AssociationId)
	}
	if strings.HasPrefix(o.op.Name, "Create") || strings.HasPrefix(o.op.Name, "Put") {
		r.read("", reflect.ValueOf(in))
	}
	r.read("", reflect.ValueOf(out.Reply))
	if !r.looking && o.Reads() && len(out.Changes) > 0 && scope == here {
		r.fail("questions change nothing", "%s changed %s %s", o.Name(), out.Changes[0].Table, out.Changes[0].Key)
	}
	if s := encoded(out.Reply); strings.HasPrefix(s, "json: ") {
		r.fail("replies have no infinite numbers", "%s: %s", o.Name(), s)
	}
}
